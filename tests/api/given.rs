//! Random numbers that a caller gives take effect in the next pass, of any kind.

use crate::support::wave_matrix;
use backprop::activation::{Identity, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{Examples, Initialization, Network, Objective, SquaredError, Workspace, rng};

fn training() -> Workspace<f64> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(1));
    workspace
}

/// A workspace that has run the same pass before is fitted already.
#[test]
fn numbers_given_between_equal_passes_count() {
    let network = Network::<f64>::builder(2).dropout(0.5).zeros().unwrap();
    let (x, mut workspace) = (wave_matrix(2, 3, 0.2), training());
    let mut pass = |given: Option<f64>| {
        match given {
            Some(number) => workspace
                .set_random_numbers(0, &DMatrix::repeat(2, 3, number))
                .unwrap(),
            None => workspace.clear_random_numbers(),
        }
        let outputs = network.forward_into(&x, &mut workspace).unwrap();
        outputs.clone_owned()
    };
    let drawn = pass(None);
    assert_eq!(pass(Some(1.0)), &x * 2.0);
    assert_eq!(pass(Some(0.0)), &x * 0.0);
    assert_eq!(pass(None), drawn);
}

/// A trace finds δ of inner layers in passes of its own.
#[test]
fn a_trace_uses_the_given_numbers() {
    let network = Network::<f64>::builder(6)
        .residual(|body| body.dense(6, Tanh).dropout(0.5))
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let (x, y) = (wave_matrix(6, 7, 0.2), wave_matrix(1, 7, 0.9));
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    let mut workspace = training();
    let given = DMatrix::from_fn(6, 7, |i, k| f64::from((i + k) % 2 == 0));
    workspace.set_random_numbers([0, 0, 1], &given).unwrap();
    let trace = network.trace_in(&examples, &objective, &workspace);
    let trace = trace.unwrap();
    let delta = trace.delta([0, 0, 0]).unwrap();
    assert_eq!(delta.map(|d| f64::from(d != 0.0)), given);
}
