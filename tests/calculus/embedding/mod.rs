//! Embeddings: values by hand, the product with one-hot vectors, ids in any place, initial tables,
//! and refusals.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

mod by_hand;
mod faults;
mod one_hot;
mod places;
mod refused;
mod starts;

use backprop::Scalar;
use backprop::nalgebra::{DMatrix, convert};

/// Numbers of both signs that are not round.
fn wave<T: Scalar>(rows: usize, columns: usize, seed: usize) -> DMatrix<T> {
    DMatrix::from_fn(rows, columns, |i, j| {
        convert((0.7 * (3 * i + 5 * j + seed + 1) as f64).sin())
    })
}

/// Ids below `count`, in which some repeat and some do not occur.
fn ids<T: Scalar>(rows: usize, examples: usize, count: usize, seed: usize) -> DMatrix<T> {
    DMatrix::from_fn(rows, examples, |i, k| {
        convert(((i * i + 3 * k * k + i * k + seed) % count) as f64)
    })
}

/// The largest error relative to the largest expected entry, or to 1 if that is 0.
fn error<T: Scalar + Into<f64>>(found: &[T], expected: &[T]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = || {
        found
            .iter()
            .map(|&x| x.into())
            .zip(expected.iter().map(|&x| x.into()))
    };
    let size = pairs().fold(0.0, |size: f64, (_, b): (f64, f64)| size.max(b.abs()));
    let worst = pairs().fold(0.0, |worst: f64, (a, b): (f64, f64)| {
        // Unlike `max`, keeps NaN.
        if (a - b).abs() <= worst {
            worst
        } else {
            (a - b).abs()
        }
    });
    worst / if size > 0.0 { size } else { 1.0 }
}
