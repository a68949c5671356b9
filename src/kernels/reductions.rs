//! Sums, norms and searches over a slice, for every scalar.

use super::elementwise::all_finite;
use crate::scalar::{Scalar, real, sign};

/// The largest slice that is summed in a loop. Longer slices are halved.
const LEAF: usize = 256;

/// The number of partial sums in that loop.
const LANES: usize = 16;

/// Returns Σ xᵢ by pairwise summation. The rounding error grows with ln n, not n.
pub(crate) fn sum<T: Scalar>(x: &[T]) -> T {
    sum_of(x, &|x| x)
}

/// Returns Σ xᵢ², summed like [`sum`].
pub(crate) fn sum_of_squares<T: Scalar>(x: &[T]) -> T {
    sum_of(x, &|x| x * x)
}

/// Returns the largest |xᵢ|, or 0 for an empty slice. NaN entries are ignored.
pub(crate) fn largest<T: Scalar>(x: &[T]) -> T {
    x.iter().fold(T::zero(), |most, x| x.abs().max(most))
}

/// Returns √Σ xᵢ² without intermediate overflow or underflow. The result is NaN or ∞ only if an
/// entry is, or if the norm itself overflows.
pub(crate) fn norm<T: Scalar>(x: &[T]) -> T {
    let squares = sum_of_squares(x);
    // Then the squares that matter are normal numbers, even in `f32`.
    if squares > real(1e-20) && squares.is_finite() {
        return squares.sqrt();
    }
    let is_nan = squares.partial_cmp(&T::zero()).is_none();
    if is_nan {
        return squares;
    }
    let largest = largest(x);
    if largest == T::zero() || !largest.is_finite() {
        return largest;
    }
    largest * sum_of(x, &|x| (x / largest) * (x / largest)).sqrt()
}

/// Returns Σ |xᵢ|, summed like [`sum`].
pub(crate) fn sum_of_magnitudes<T: Scalar>(x: &[T]) -> T {
    sum_of(x, &|x| x * sign(x))
}

fn sum_of<T: Scalar>(x: &[T], term: &impl Fn(T) -> T) -> T {
    if x.len() > LEAF {
        let (left, right) = x.split_at((x.len() / 2).next_multiple_of(LANES));
        return sum_of(left, term) + sum_of(right, term);
    }
    let groups = x.chunks_exact(LANES);
    let rest = groups.remainder().iter();
    let rest = rest.fold(T::zero(), |sum, &x| sum + term(x));
    if x.len() < LANES {
        return rest;
    }
    let mut sums = [T::zero(); LANES];
    for group in groups {
        for (sum, &x) in sums.iter_mut().zip(group) {
            *sum += term(x);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0] + rest
}

/// Returns the index of the first non-finite entry, if there is one.
pub(crate) fn first_non_finite<T: Scalar>(values: &[T]) -> Option<usize> {
    if all_finite(values) {
        return None;
    }
    values.iter().position(|x| !x.is_finite())
}

/// Returns the index of the largest entry of a non-empty slice, or 0 if the first entry is NaN.
pub(crate) fn index_of_max<T: Scalar>(x: &[T]) -> usize {
    (1..x.len()).fold(0, |best, i| if x[i] > x[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_accurate() {
        let tenth = vec![0.1_f32; 1_000_000];
        assert!((sum(&tenth) / 100_000.0 - 1.0).abs() < 1e-6);
        assert!((sum_of_squares(&tenth) / 10_000.0 - 1.0).abs() < 1e-6);
        let negative: Vec<f32> = tenth.iter().map(|x| -x).collect();
        assert!((sum_of_magnitudes(&negative) / 100_000.0 - 1.0).abs() < 1e-6);
    }
}
