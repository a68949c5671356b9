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

use crate::support::Case;
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Examples, Network, Scalar};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

type Outcome = Result<(), TestCaseError>;

/// The limit on |z|. A unit saturated near 1 loses the digits of 1 − a, and second derivatives
/// divide by its square.
const TAME: f64 = 3.0;

/// Returns a direction: numbers of size 1 without a pattern.
fn wave(len: usize, phase: f64) -> Vec<f64> {
    (0..len).map(|i| (phase + 1.7 * i as f64).sin()).collect()
}

fn wave_matrix(rows: usize, cols: usize, phase: f64) -> DMatrix<f64> {
    DMatrix::from_vec(rows, cols, wave(rows * cols, phase))
}

fn largest(entries: &[f64]) -> f64 {
    entries.iter().fold(0.0, |max, e| max.max(e.abs()))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn bits(entries: &[f64]) -> Vec<u64> {
    entries.iter().map(|e| e.to_bits()).collect()
}

/// Checks every entry to 1e-12 of the largest, or of `size`, the size of the terms of the sums.
fn close(found: &[f64], expected: &[f64], size: f64) -> Outcome {
    close_within(found, expected, 1e-12 * largest(expected).max(size))
}

fn close_within(found: &[f64], expected: &[f64], bound: f64) -> Outcome {
    prop_assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        // False for a NaN on either side.
        prop_assert!(
            (f - e).abs() <= bound,
            "entry {i}: {f:e} is not {e:e} within {bound:e}"
        );
    }
    Ok(())
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
