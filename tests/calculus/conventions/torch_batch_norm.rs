//! PyTorch's batch norm.

use super::values::{example_columns, numbers, value};
use backprop::layer::{AnyLayer, BatchNorm};
use backprop::{Network, Workspace};

/// Runs two training batches and an evaluation as PyTorch did.
fn batch_norm(name: &str, layer: BatchNorm) {
    let x = example_columns("/problem/x");
    let theta = [0.5, -1.5, 2.0, 0.25, 0.75, -1.0];
    let layers: Vec<AnyLayer> = vec![layer.into()];
    let mut network = Network::<f64>::from_layers(3, layers, &theta).unwrap();
    network.freeze(0).unwrap();
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    let assert_close = |what: &str, found: &[f64], pointer: &str| {
        let expected = numbers(value(&format!("/torch/batch_norm/{name}/{pointer}")));
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(&expected) {
            assert!(
                (f - e).abs() <= 1e-14,
                "{what}: {found:?} is not {expected:?}"
            );
        }
    };
    for (step, (first, count)) in [(0, 5), (5, 2)].into_iter().enumerate() {
        let batch = x.columns(first, count).clone_owned();
        let a = network.forward_into(&batch, &mut workspace).unwrap();
        let a = a.clone_owned();
        assert_close("outputs", a.as_slice(), &format!("steps/{step}/outputs"));
        network.take_state(&workspace).unwrap();
        let state = network.state().as_slice();
        assert_close("mean", &state[..3], &format!("steps/{step}/mean"));
        assert_close("variance", &state[3..6], &format!("steps/{step}/variance"));
    }
    let a = network.forward(&x).unwrap();
    assert_close("evaluated", a.as_slice(), "evaluated");
}

/// The momentum is the share of the batch, and `None` is a mean over all batches.
#[test]
fn torch_batch_norm_is_ours() {
    batch_norm("momentum", BatchNorm::new().momentum(0.25));
    batch_norm("cumulative", BatchNorm::new().cumulative());
}

/// One value for a channel: the output is β.
#[test]
fn torch_batch_norm_refuses_one_value() {
    assert_eq!(value("/torch/batch_norm/refuses_one_value"), true);
    let network = Network::<f64>::builder(3).batch_norm().zeros().unwrap();
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    let a = network
        .forward_into(&[1.0, 2.0, 3.0], &mut workspace)
        .unwrap();
    assert!(a.iter().all(|&a| a == 0.0));
}

/// The parameters of the case `cumulative` were frozen when its statistics moved.
#[test]
fn torch_frozen_batch_norms_gather_statistics() {
    batch_norm("cumulative", BatchNorm::new().cumulative());
    let mut network = Network::<f64>::builder(3).batch_norm().zeros().unwrap();
    network.fix_statistics(0).unwrap();
    let x = example_columns("/problem/x");
    let mut workspace = Workspace::new();
    workspace.set_training(Some(0));
    network.forward_into(&x, &mut workspace).unwrap();
    network.take_state(&workspace).unwrap();
    assert_eq!(network.state().as_slice(), &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
}
