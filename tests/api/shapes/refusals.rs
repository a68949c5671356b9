//! Asserts that every call of a kind is refused with the same error.

use super::{Error, refused};
use backprop::nalgebra::convert;
use backprop::{
    ArgminProblem, Cost, Examples, GaussNewton, GradientCheck, Layer, Location, Network, Objective,
    Scalar, VjpTargets, Workspace,
};

/// Asserts that each call that computes J gives this error and leaves the caller's numbers
/// unchanged.
#[track_caller]
pub(super) fn no_cost<T: Scalar, L: Layer<T> + PartialEq, C: Cost<T>>(
    what: &str,
    (network, examples, objective): (&Network<T, L>, &Examples<'_, T>, &Objective<C>),
    workspace: &mut Workspace<T>,
    expected: &Error,
) {
    refused(what, network.cost(examples, objective), expected);
    let found = network.cost_into(examples, objective, workspace);
    refused(what, found, expected);
    let found = GradientCheck::new().network(network, examples, objective);
    refused(what, found, expected);
    no_gradient(what, (network, examples, objective), workspace, expected);
    no_input_gradient(what, (network, examples, objective), workspace, expected);
    no_curvature(what, (network, examples, objective), workspace, expected);
    no_single_gradients(
        what,
        (network, examples, &objective.cost),
        workspace,
        expected,
    );
}

/// The same for each call that computes ∇J.
#[track_caller]
pub(super) fn no_gradient<T: Scalar, L: Layer<T> + PartialEq, C: Cost<T>>(
    what: &str,
    (network, examples, objective): (&Network<T, L>, &Examples<'_, T>, &Objective<C>),
    workspace: &mut Workspace<T>,
    expected: &Error,
) {
    refused(what, network.backprop(examples, objective), expected);
    refused(what, network.gradient_vector(examples, objective), expected);
    let seven: T = convert(7.0);
    let mut gradient = vec![seven; network.parameters()];
    let found = network.gradient_into(examples, objective, workspace, &mut gradient);
    refused(what, found, expected);
    if before_the_pass(expected) {
        assert!(gradient.iter().all(|&g| g == seven), "{what}: overwritten");
    }
    let found = ArgminProblem::new(network, examples, objective);
    refused(what, found.map(drop), expected);
}

/// The same for each call that computes ∂J/∂X.
#[track_caller]
pub(super) fn no_input_gradient<T: Scalar, L: Layer<T> + PartialEq, C: Cost<T>>(
    what: &str,
    (network, examples, objective): (&Network<T, L>, &Examples<'_, T>, &Objective<C>),
    workspace: &mut Workspace<T>,
    expected: &Error,
) {
    refused(what, network.input_gradient(examples, objective), expected);
    let seven: T = convert(7.0);
    let mut gradient = vec![seven; examples.x().len()];
    let found = network.gradients_into(
        examples,
        objective,
        workspace,
        VjpTargets::of_inputs(&mut gradient),
    );
    refused(what, found, expected);
    if before_the_pass(expected) {
        assert!(gradient.iter().all(|&g| g == seven), "{what}: overwritten");
    }
}

/// The same for each call that computes second derivatives, which need outputs but no costs.
#[track_caller]
pub(super) fn no_curvature<T: Scalar, L: Layer<T> + PartialEq, C: Cost<T>>(
    what: &str,
    (network, examples, objective): (&Network<T, L>, &Examples<'_, T>, &Objective<C>),
    workspace: &mut Workspace<T>,
    expected: &Error,
) {
    let of_the_outputs = matches!(
        expected,
        Error::NonFinite {
            at: Location::Activation { .. },
            ..
        } | Error::Output { .. }
    );
    if !before_the_pass(expected) && !of_the_outputs {
        return;
    }
    let seven: T = convert(7.0);
    let v = vec![seven; network.parameters()];
    let mut product = v.clone();
    let found = network.hessian_product_into(examples, objective, &v, workspace, &mut product);
    refused(what, found, expected);
    let along = (GaussNewton::Outputs, &v[..]);
    let found =
        network.gauss_newton_product_into(examples, objective, along, workspace, &mut product);
    refused(what, found, expected);
    assert!(product == v, "{what}: overwritten");
    refused(what, network.hessian(examples, objective), expected);
    let found = network.hessian_diagonal(examples, objective);
    refused(what, found, expected);
    refused(what, network.gradients(examples, objective), expected);
}

/// The same for each call that computes per-example gradients, which have no penalty.
#[track_caller]
pub(super) fn no_single_gradients<T: Scalar, L: Layer<T> + PartialEq, C: Cost<T>>(
    what: &str,
    (network, examples, cost): (&Network<T, L>, &Examples<'_, T>, &C),
    workspace: &mut Workspace<T>,
    expected: &Error,
) {
    let of_a_penalty = match expected {
        Error::Hyperparameter { name, .. } => name.contains("penalty"),
        Error::Index { .. } => true,
        _ => false,
    };
    let of_an_example = matches!(
        expected,
        Error::NonFinite {
            at: Location::Activation { .. } | Location::Cost { .. },
            ..
        } | Error::Output { .. }
    );
    if of_a_penalty || !(before_the_pass(expected) || of_an_example) {
        return;
    }
    let (seven, m) = (convert::<f64, T>(7.0), examples.len());
    refused(
        what,
        network.example_gradients(examples, cost).matrix(),
        expected,
    );
    let found = network.example_gradients(examples, cost).norms();
    refused(what, found, expected);
    let mut sum = vec![seven; network.parameters()];
    let found = network
        .example_gradients(examples, cost)
        .clipped_sum(1.0, workspace, &mut sum);
    refused(what, found, expected);
    assert!(sum.iter().all(|&s| s == seven), "{what}: overwritten");
    let mut norms = vec![seven; m];
    let found = network
        .example_gradients(examples, cost)
        .norms_into(workspace, &mut norms);
    refused(what, found, expected);
    let unseen = |k, _: &[T]| panic!("{what}: example {k} is visited");
    let found = network
        .example_gradients(examples, cost)
        .for_each(workspace, unseen);
    refused(what, found, expected);
}

/// Asserts that a pass is refused before it computes anything.
fn before_the_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Shape { .. }
            | Error::Index { .. }
            | Error::Target { .. }
            | Error::Hyperparameter { .. }
    )
}
