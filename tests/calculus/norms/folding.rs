//! Batch norms folded into dense layers.

use super::{close, wave};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, Axis, BatchNorm, Dense, LayerNorm, Residual, Sequential};
use backprop::nalgebra::DMatrix;
use backprop::{Network, Path, Shape};

/// Numbers without a pattern for all parameters and statistics.
fn filled(input: impl Into<Shape>, layers: Vec<AnyLayer>) -> Network<f64> {
    let input = input.into();
    let p: usize = {
        let plan = Sequential::new(layers.clone());
        let site = backprop::layer::Site::new(input);
        backprop::Layer::<f64>::plan(&plan, site)
            .unwrap()
            .parameters()
    };
    let theta = wave::<f64>(p, 1, 0.7);
    let mut network = Network::from_layers(input, layers, theta.as_slice()).unwrap();
    let state: Vec<f64> = wave::<f64>(network.state().len(), 1, 0.2)
        .iter()
        .map(|x| 0.3 + x.abs())
        .collect();
    network.set_state(&state).unwrap();
    network
}

fn dense(inputs: usize, units: usize) -> AnyLayer {
    Dense::new(inputs, units, Identity).into()
}

fn same_outputs(network: &Network<f64>, folded: &Network<f64>) {
    let x = wave::<f64>(network.inputs(), 7, 0.4);
    let (found, expected) = (folded.forward(&x).unwrap(), network.forward(&x).unwrap());
    close(
        found.as_slice(),
        expected.as_slice(),
        1e-12 * expected.amax().max(1.0),
    );
}

#[test]
fn folded_networks_have_the_same_outputs() {
    let body = Sequential::new(vec![
        dense(4, 4),
        BatchNorm::new().cumulative().into(),
        Dense::new(4, 4, Tanh).into(),
    ]);
    let branch = |k| vec![dense(4, k), BatchNorm::new().affine(false).into()];
    let branches = vec![Sequential::new(branch(2)), Sequential::new(branch(3))];
    let layers = vec![
        Dense::new(3, 4, Identity).without_bias().into(),
        BatchNorm::new().eps(0.2).into(),
        backprop::layer::Activate::new(Tanh).into(),
        LayerNorm::new().into(),
        BatchNorm::new().into(), // after a layer norm: it stays
        Residual::with_shortcut(body, Sequential::new(branch(4))).into(),
        backprop::layer::Concat::new(branches, Axis::First).into(),
        Dense::new(5, 5, Tanh).into(),
        BatchNorm::new().into(), // after tanh: it stays
        Sequential::new(vec![dense(5, 2), BatchNorm::new().into()]).into(),
    ];
    let mut network = filled(3, layers);
    network.freeze(0).unwrap();
    network.freeze([5, 0, 2]).unwrap();
    network.fix_statistics(8).unwrap();
    let folded = network.fold_batch_norms().unwrap();
    same_outputs(&network, &folded);
    let table = folded.to_string();
    assert_eq!(table.matches("BatchNorm").count(), 2, "{table}");
    // Two norms stay, with two vectors each.
    assert_eq!(folded.state_by_path().count(), 4);
    let frozen: Vec<Path> = folded
        .parameters_by_path()
        .filter(|p| p.is_frozen)
        .map(|p| p.path.clone())
        .collect();
    assert_eq!(frozen, [Path::from(0), Path::from([4, 0, 1])]);
    let fixed: Vec<Path> = folded
        .state_by_path()
        .filter(|s| s.is_fixed)
        .map(|s| s.path.clone())
        .collect();
    assert_eq!(fixed, [Path::from(7), Path::from(7)]);
    // Nothing is left to fold.
    assert_eq!(folded.fold_batch_norms().unwrap(), folded);
}

/// Features of a sequence fold, channels of a signal do not: the dense layer acts on positions.
#[test]
fn only_the_axis_of_the_dense_layer_folds() {
    let layers = || vec![dense(3, 4), BatchNorm::new().into()];
    let sequence = Shape::Sequence {
        steps: 2,
        features: 3,
    };
    let signal = Shape::Signal {
        channels: 2,
        length: 3,
    };
    let network = filled(sequence, layers());
    let folded = network.fold_batch_norms().unwrap();
    assert_eq!(folded.depth(), 1);
    same_outputs(&network, &folded);
    let network = filled(signal, layers());
    let folded = network.fold_batch_norms().unwrap();
    assert_eq!(folded, network);
}

/// In f32 too, and a network without norms is itself.
#[test]
fn without_norms_nothing_changes() {
    let network = filled(3, vec![dense(3, 4), Dense::new(4, 2, Tanh).into()]);
    assert_eq!(network.fold_batch_norms().unwrap(), network);
    let network = filled(3, vec![dense(3, 4), BatchNorm::new().into()]);
    let single = network.map(|x| x as f32).unwrap();
    let x = wave::<f32>(3, 5, 0.4);
    let found = single.fold_batch_norms().unwrap().forward(&x).unwrap();
    let expected: DMatrix<f32> = single.forward(&x).unwrap();
    let difference = (found - &expected).amax();
    assert!(difference <= 1e-5 * expected.amax(), "{difference}");
}
