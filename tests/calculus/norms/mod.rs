//! Layer, RMS and batch normalisation: values by hand, laws, extremes, folding, and faults.

mod by_hand;
mod extremes;
mod faults;
mod folding;
mod laws;
mod running;
mod threads;

use crate::support::wave_matrix as wave;
use backprop::layer::AnyLayer;
use backprop::nalgebra::{DMatrix, convert};
use backprop::{
    CostParts, Examples, Network, Objective, Scalar, Shape, SquaredError, VjpTargets, Workspace,
};

fn network<T: Scalar>(
    input: impl Into<Shape>,
    layer: impl Into<AnyLayer>,
    theta: &[T],
) -> Network<T> {
    Network::from_layers(input, vec![layer.into()], theta).unwrap()
}

fn training<T: Scalar>() -> Workspace<T> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(1));
    workspace
}

/// What a pass with a given δ of the outputs computes.
#[derive(Debug)]
struct Passed<T: Scalar> {
    a: DMatrix<T>,
    /// Σ δ ∂a/∂θ.
    by_theta: Vec<T>,
    /// Σ δ ∂a/∂X.
    by_x: DMatrix<T>,
}

fn pass<T: Scalar>(
    network: &Network<T>,
    x: &DMatrix<T>,
    delta: &DMatrix<T>,
    workspace: &mut Workspace<T>,
) -> Passed<T> {
    let nan = convert::<f64, T>(f64::NAN);
    let a = network.forward_into(x, workspace).unwrap().clone_owned();
    let (mut by_theta, mut by_x) = (vec![nan; network.parameters()], vec![nan; x.len()]);
    let wanted = VjpTargets::of_parameters(&mut by_theta).and_inputs(&mut by_x);
    network.vjp_into(x, delta, workspace, wanted).unwrap();
    Passed {
        a,
        by_theta,
        by_x: DMatrix::from_vec(x.nrows(), x.ncols(), by_x),
    }
}

/// J with half the squared error to 0, and ∇J.
fn gradient(network: &Network<f64>, x: &DMatrix<f64>, lambda: f64) -> (CostParts<f64>, Vec<f64>) {
    let y = DMatrix::zeros(network.outputs(), x.ncols());
    let examples = Examples::new(x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(lambda);
    let mut gradient = vec![f64::NAN; network.parameters()];
    let parts = network.gradient_into(&examples, &objective, &mut training(), &mut gradient);
    (parts.unwrap(), gradient)
}

#[track_caller]
fn close<T: Scalar>(found: &[T], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len());
    for (f, &e) in found.iter().zip(expected) {
        let error = (*f - convert::<f64, T>(e)).abs();
        assert!(error <= convert(bound), "{found:?} is not {expected:?}");
    }
}
