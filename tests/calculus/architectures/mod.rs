//! Random trees of layers: the numbers of each agree with differences, with dual numbers, and with
//! a forward pass that is written out here and knows nothing of plans and buffers.

mod coverage;
mod directions;
mod frozen;
mod gradients;
mod ids;
mod laws;
mod layers;
mod parts;
mod pullbacks;
mod random;
mod reference;
mod seeds;
mod training;
mod training_parts;
mod trees;

use backprop::cost::{Cost, Outputs};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Columns, Examples, GaussNewton, Scalar, Tangent, VjpTargets, Workspace};
use num_dual::Dual64;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use random::Case;
use trees::Net;

use crate::support::{self, bits, dot, largest, wave, wave_matrix};

type Outcome = Result<(), TestCaseError>;

/// An eighth of the cases of the other property tests, because each case is a tree.
fn config() -> Config {
    let mut config = crate::support::config();
    config.cases /= 8;
    config
}

/// Checks every entry to a bound.
fn close(found: &[f64], expected: &[f64], bound: f64) -> Outcome {
    support::close(found, expected, bound).map_err(TestCaseError::fail)
}

/// Checks each block of θ to a share of its largest entry, or of a thousandth of `size`, the
/// largest term of the sums.
fn close_blocks(
    case: &Case,
    found: &[f64],
    expected: &[f64],
    (share, size): (f64, f64),
) -> Outcome {
    prop_assert_eq!(found.len(), expected.len());
    for place in case.network.layout().blocks() {
        let (found, expected) = (&found[place.range()], &expected[place.range()]);
        close(found, expected, share * largest(expected).max(1e-3 * size))?;
    }
    Ok(())
}

/// The case in dual numbers.
struct Lifted {
    network: Net<Dual64>,
    x: DMatrix<Dual64>,
    y: DMatrix<Dual64>,
}

impl Lifted {
    /// Moves θ and X along directions, by the index of each entry.
    fn new(case: &Case, theta: impl Fn(usize) -> f64, x: impl Fn(usize) -> f64) -> Self {
        let mut index = 0..;
        let p = case.network.parameters();
        let network = case.network.map(|w| {
            let i = index.next().unwrap();
            // The state follows θ, and does not move.
            Dual64::new(w, if i < p { theta(i) } else { 0.0 })
        });
        let entries = case.x.iter().enumerate();
        let entries = entries.map(|(i, &entry)| Dual64::new(entry, x(i)));
        Self {
            network: network.unwrap(),
            x: DMatrix::from_iterator(case.x.nrows(), case.x.ncols(), entries),
            y: case.y.map(convert),
        }
    }

    fn examples<'a>(&'a self, case: &'a Case) -> Examples<'a, Dual64> {
        weighted(masked(&self.x, &self.y, case.present.as_ref()), case)
    }

    fn cost(&self, case: &Case) -> Dual64 {
        let cost = self.network.cost(&self.examples(case), &case.objective);
        cost.unwrap()
    }
}

fn masked<'a, T: Scalar>(
    x: impl Columns<'a, T>,
    y: impl Columns<'a, T>,
    present: Option<&'a DMatrix<bool>>,
) -> Examples<'a, T> {
    match present {
        Some(present) => Examples::with_missing(x, y, present).unwrap(),
        None => Examples::new(x, y).unwrap(),
    }
}

/// The cost of the present targets of one example at outputs a, or at z of a canonical pair.
fn cost_of_example<T: Scalar>(
    case: &Case,
    example: usize,
    z: Option<&DMatrix<T>>,
    a: &DMatrix<T>,
) -> T {
    let y = case.y.columns(example, 1).map(convert::<f64, T>);
    let present: Vec<usize> = match &case.present {
        Some(present) => (0..y.len()).filter(|&u| present[(u, example)]).collect(),
        None => (0..y.len()).collect(),
    };
    let mut sum = T::zero();
    let mut add = |first: usize, count: usize| {
        let (z, a) = (
            z.map(|z| z.rows(first, count).clone_owned()),
            a.rows(first, count),
        );
        let (a, y) = (a.clone_owned(), y.rows(first, count).clone_owned());
        let mut value = [T::zero()];
        let at = Outputs::new(z.as_ref().map(DMatrix::as_view), a.as_view(), y.as_view());
        case.objective.cost.values(&at, &mut value);
        sum += value[0];
    };
    if present.len() == y.len() {
        add(0, y.len());
    } else {
        present.into_iter().for_each(|unit| add(unit, 1));
    }
    sum
}

fn weighted<'a, T: Scalar>(examples: Examples<'a, T>, case: &'a Case) -> Examples<'a, T> {
    match &case.weights {
        Some(weights) => examples.weighted(weights).unwrap(),
        None => examples,
    }
}

/// Every number of a case, from calls that share a workspace, whose buffers hold NaN before each if
/// `poisoned`.
fn numbers(case: &Case, network: &Net<f64>, poisoned: bool) -> Vec<f64> {
    let (examples, objective) = (case.examples(), &case.objective);
    let ((n, m), k, p) = (case.x.shape(), network.outputs(), network.parameters());
    let workspace = &mut Workspace::new();
    let poison = |workspace: &mut Workspace<f64>| {
        if poisoned {
            workspace.fill(f64::NAN);
        }
    };
    let start = if poisoned { f64::NAN } else { 0.0 };
    let mut all = Vec::new();
    // The second round finds the buffers that the last calls of the first have left.
    for _ in 0..2 {
        poison(workspace);
        all.extend(network.forward_into(&case.x, workspace).unwrap().iter());

        poison(workspace);
        let (mut gradient, mut by_x) = (vec![start; p], vec![start; n * m]);
        let parts = network.gradient_into(&examples, objective, workspace, &mut gradient);
        all.push(parts.unwrap().total());
        all.extend(&gradient);
        all.extend(workspace.costs());

        poison(workspace);
        network
            .gradients_into(
                &examples,
                objective,
                workspace,
                VjpTargets::of_inputs(&mut by_x),
            )
            .unwrap();
        all.extend(&by_x);

        poison(workspace);
        let (theta, x_dot) = (wave(p, 0.3), wave_matrix(n, m, 0.8));
        let direction = Tangent::of_parameters(&theta).and_inputs(&x_dot);
        let mut moved = vec![start; k * m];
        network
            .jvp_into(&case.x, direction, workspace, &mut moved)
            .unwrap();
        all.extend(&moved);

        poison(workspace);
        let v = wave(2 * p, 0.4);
        let mut product = vec![start; 2 * p];
        network
            .hessian_product_into(&examples, objective, &v, workspace, &mut product)
            .unwrap();
        all.extend(&product);

        poison(workspace);
        let at = (GaussNewton::Outputs, &v[..]);
        network
            .gauss_newton_product_into(&examples, objective, at, workspace, &mut product)
            .unwrap();
        all.extend(&product);

        poison(workspace);
        let (mut gradients, mut norms) = (vec![start; p * m], vec![start; m]);
        network
            .example_gradients(&examples, &objective.cost)
            .matrix_into(workspace, &mut gradients)
            .unwrap();
        all.extend(&gradients);

        poison(workspace);
        network
            .example_gradients(&examples, &objective.cost)
            .norms_into(workspace, &mut norms)
            .unwrap();
        all.extend(&norms);
    }
    all
}
