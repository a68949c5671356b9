//! Numbers without a pattern, and comparisons of lists of numbers.

use backprop::Scalar;
use backprop::nalgebra::{DMatrix, convert};

/// Returns a direction: numbers of size 1 without a pattern.
pub(crate) fn wave(len: usize, phase: f64) -> Vec<f64> {
    (0..len).map(|i| (phase + 1.7 * i as f64).sin()).collect()
}

/// Returns the same numbers column by column, in any scalar.
pub(crate) fn wave_matrix<T: Scalar>(rows: usize, cols: usize, phase: f64) -> DMatrix<T> {
    DMatrix::from_iterator(
        rows,
        cols,
        wave(rows * cols, phase).into_iter().map(convert),
    )
}

/// Returns the largest absolute value.
pub(crate) fn largest(entries: &[f64]) -> f64 {
    entries.iter().fold(0.0, |max, e| max.max(e.abs()))
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn bits(entries: &[f64]) -> Vec<u64> {
    entries.iter().map(|e| e.to_bits()).collect()
}

/// Compares every entry to a bound.
pub(crate) fn close(found: &[f64], expected: &[f64], bound: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} numbers, not {}", found.len(), expected.len()));
    }
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        // False for a NaN on either side.
        let agrees = (f - e).abs() <= bound;
        if !agrees {
            return Err(format!("entry {i}: {f:e} is not {e:e} within {bound:e}"));
        }
    }
    Ok(())
}
