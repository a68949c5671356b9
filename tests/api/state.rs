//! State in the modes of a workspace: who writes it, who may take it, and what fixing changes.

use crate::support::wave_matrix;
use backprop::activation::Identity;
use backprop::nalgebra::DMatrix;
use backprop::{
    Error, Examples, Initialization, Network, Objective, Path, SquaredError, Workspace, rng,
};

fn training<T: backprop::Scalar>() -> Workspace<T> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(3));
    workspace
}

/// A batch norm inside a residual.
fn nested() -> Network<f64> {
    let builder = Network::builder(2).residual(backprop::Builder::batch_norm);
    builder.zeros().unwrap()
}

#[test]
fn an_evaluation_after_training_leaves_no_state() {
    let mut network = Network::<f64>::builder(2).batch_norm().zeros().unwrap();
    let (x, mut workspace) = (wave_matrix(2, 5, 0.1), training());
    network.forward_into(&x, &mut workspace).unwrap();
    workspace.set_training(None);
    network.forward_into(&x, &mut workspace).unwrap();
    assert_eq!(network.take_state(&workspace), Err(Error::NoState));
}

#[test]
fn a_pass_that_fails_leaves_no_state() {
    let mut network = Network::<f32>::builder(1).batch_norm().zeros().unwrap();
    let (before, mut workspace) = (network.clone(), training());
    let fits = DMatrix::from_row_slice(1, 2, &[1.0, -1.0]);
    network.forward_into(&fits, &mut workspace).unwrap();
    // The squares overflow.
    let large = DMatrix::from_row_slice(1, 2, &[1e30, -1e30]);
    let failed = network.forward_into(&large, &mut workspace).map(drop);
    assert!(matches!(failed, Err(Error::NonFinite { .. })), "{failed:?}");
    assert_eq!(network.take_state(&workspace), Err(Error::NoState));
    assert_eq!(network, before);
}

/// Examples have gradients of their own while the statistics are fixed, and only then.
#[test]
fn fixed_statistics_release_the_examples_and_released_ones_couple_them() {
    let mut network = nested();
    let (x, y) = (wave_matrix(2, 5, 0.1), wave_matrix(2, 5, 0.4));
    let examples = Examples::new(&x, &y).unwrap();
    let mut gradients = vec![0.0; network.parameters() * 5];
    let mut find = |network: &Network<f64>| {
        let each = network.example_gradients(&examples, &SquaredError);
        each.matrix_into(&mut training(), &mut gradients)
    };
    let coupled = Err(Error::Coupled {
        layer: [0, 0, 0].into(),
        what: "the gradient of one example",
        training: true,
    });
    assert_eq!(find(&network), coupled);
    network.fix_statistics([0, 0, 0]).unwrap();
    assert_eq!(find(&network), Ok(()));
    network.unfix_statistics(0).unwrap();
    assert_eq!(find(&network), coupled);
}

/// 700 examples are cut into parts while the statistics are fixed. Once they are released, the
/// layer gets the batch as a whole again, wherever they were fixed.
#[test]
fn released_statistics_are_those_of_the_whole_batch() {
    let x = wave_matrix(2, 700, 0.1);
    let state = |mut network: Network<f64>| {
        let mut workspace = training();
        network.forward_into(&x, &mut workspace).unwrap();
        network.take_state(&workspace).unwrap();
        network.state().clone()
    };
    for path in [Path::default(), 0.into(), [0, 0, 0].into()] {
        let (mut network, mut workspace) = (nested(), training());
        network.fix_statistics(&path).unwrap();
        network.forward_into(&x, &mut workspace).unwrap();
        assert!(workspace.activation(0).is_none(), "the batch is not cut");
        network.unfix_statistics(&path).unwrap();
        assert_eq!(state(network), state(nested()), "{path:?}");
    }
}

/// A layer with fixed statistics is the same function in both modes, so weights have a meaning.
#[test]
fn fixed_statistics_take_weights() {
    let mut network = Network::<f64>::builder(2)
        .batch_norm()
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    network.fix_statistics(0).unwrap();
    let (x, y) = (wave_matrix(2, 4, 0.3), wave_matrix(1, 4, 0.8));
    let examples = Examples::new(&x, &y).unwrap();
    let examples = examples.weighted(&[1.0, 2.0, 0.5, 3.0]).unwrap();
    let objective = Objective::new(SquaredError);
    let mut gradient = vec![f64::NAN; network.parameters()];
    network
        .gradient_into(&examples, &objective, &mut training(), &mut gradient)
        .unwrap();
    let evaluated = network.gradient_vector(&examples, &objective).unwrap();
    assert_eq!(gradient, evaluated.as_slice());
}

/// The running statistics of a norm inside another layer become those of the examples, unless they
/// are fixed.
#[test]
fn statistics_are_recalibrated_inside_other_layers() {
    let x = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 6.0, -1.0, 0.0, 1.0]);
    let mut network = nested();
    network.recalibrate_statistics(&x).unwrap();
    assert_eq!(network.state().as_slice(), [3.0, 0.0, 7.0, 1.0]);

    let mut fixed = nested();
    fixed.fix_statistics(Path::default()).unwrap();
    let before = fixed.clone();
    fixed.recalibrate_statistics(&x).unwrap();
    assert_eq!(fixed, before);

    // One value of a unit has no variance, and a pass that fails changes nothing.
    let before = network.clone();
    network.recalibrate_statistics(&[5.0, 5.0]).unwrap();
    assert_eq!(network, before);
    let failed = network.recalibrate_statistics(&[f64::NAN, 0.0]);
    assert!(matches!(failed, Err(Error::NonFinite { .. })), "{failed:?}");
    assert_eq!(network, before);
    let mut dense = Network::<f64>::builder(2)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    dense.recalibrate_statistics(&x).unwrap(); // there is no state
}

/// The state of layers in sequence is that of one pass in training: each sees the batch that the
/// layers before it normalise by their own statistics.
#[test]
fn statistics_of_later_layers_follow_from_those_of_the_batch() {
    let builder = Network::<f64>::builder(1).batch_norm();
    let mut network = builder.batch_norm().zeros().unwrap();
    let x = DMatrix::from_row_slice(1, 2, &[2.0, 4.0]);
    network.recalibrate_statistics(&x).unwrap();
    let state = network.state().as_slice();
    assert_eq!(state[..3], [3.0, 2.0, 0.0]);
    // The first gives ∓1/√(1 + ε), whose unbiased variance is 2/(1 + ε).
    assert!((state[3] - 2.0 / (1.0 + 1e-5)).abs() < 1e-12);
}
