//! Compares directional, second-order and per-example derivatives with dual numbers, which need no
//! step.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

mod batch_aware_layers;
mod by_hand;
mod curvature;
mod custom_layers;
mod example_gradients;
mod large_batches;
mod matrices;
mod never_panics;
mod one_example_at_a_time;
mod tangents;

use crate::support::{self, Case, bits, dot, largest, wave, wave_matrix};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Examples, Network, Scalar};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

type Outcome = Result<(), TestCaseError>;

/// The limit on |z|. A unit saturated near 1 loses the digits of 1 − a, and second derivatives
/// divide by its square.
const TAME: f64 = 3.0;

/// Checks every entry to 1e-12 of the largest, or of `size`, the size of the terms of the sums.
fn close(found: &[f64], expected: &[f64], size: f64) -> Outcome {
    close_within(found, expected, 1e-12 * largest(expected).max(size))
}

fn close_within(found: &[f64], expected: &[f64], bound: f64) -> Outcome {
    support::close(found, expected, bound).map_err(TestCaseError::fail)
}

/// Returns the case in another scalar.
struct Lifted<T: Scalar> {
    network: Network<T>,
    x: DMatrix<T>,
    y: DMatrix<T>,
}

impl<T: Scalar> Lifted<T> {
    /// Maps θ and X by functions of each entry and its index.
    fn new(case: &Case, theta: impl Fn(f64, usize) -> T, x: impl Fn(f64, usize) -> T) -> Self {
        let mut index = 0..;
        let network = case.network.map(|w| theta(w, index.next().unwrap()));
        let entries = case.x.iter().enumerate().map(|(i, &entry)| x(entry, i));
        Self {
            network: network.unwrap(),
            x: DMatrix::from_iterator(case.x.nrows(), case.x.ncols(), entries),
            y: case.y.map(convert),
        }
    }

    fn examples<'a>(&'a self, case: &'a Case) -> Examples<'a, T> {
        let examples = Examples::new(&self.x, &self.y).unwrap();
        match &case.weights {
            Some(weights) => examples.weighted(weights).unwrap(),
            None => examples,
        }
    }
}
