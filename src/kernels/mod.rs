//! The hot core: the three products of back-propagation and the elementwise functions.
//!
//! Each has a plain loop, generic over the scalar, which is what every scalar but `f32` and `f64` takes, and what the tests hold the fast
//! paths against. Those are chosen by the type, and their instructions at run time ([`level`]).

#![allow(
    unsafe_code,
    reason = "the one module that may: each block has its contract and a test against the plain loop"
)]

mod activations;
mod cast;
mod compiled;
pub(crate) mod costs;
mod elementwise;
mod functions;
mod gelu;
mod launch;
mod level;
pub(crate) mod parallel;
mod plain;
mod product;
mod products;
mod real;
mod row_sums;
mod share;
mod softmax;
pub(crate) mod squash;
pub(crate) mod steps;
mod tangents;
mod tile;
mod tiling;
#[cfg(target_arch = "x86_64")]
mod transpose;
pub(crate) mod tree;
mod vector;

use crate::scalar::{Scalar, real, sign};
use nalgebra::{DMatrixView, DMatrixViewMut};

pub(crate) use cast::{columns, flat, flat_mut};
pub(crate) use elementwise::{
    Function, activate, add, add_exactly, all_finite, apply, divide, multiply as multiply_by,
    scale_by_slope,
};
pub(crate) use products::{
    add_linear, add_outer, add_product_transposed, add_transpose_product, affine, outer, room_for,
    transpose_product,
};
pub(crate) use softmax::softmax;
pub(crate) use tangents::{
    activate_with_curvature, backward_tangent, backward_tangent_from_z, tangent,
};

/// Whether a scalar has fast paths.
pub(crate) fn is_fast<T: Scalar>() -> bool {
    cast::is::<T, f32>() || cast::is::<T, f64>()
}

/// Calls `f` on all entries of both matrices at once, or column by column if the columns are not
/// contiguous.
pub(crate) fn runs<T: Scalar>(
    z: DMatrixView<'_, T>,
    mut a: DMatrixViewMut<'_, T>,
    f: impl Fn(&[T], &mut [T]),
) {
    if let (Some(z), Some(a)) = (flat(&z), flat_mut(&mut a)) {
        return f(z, a);
    }
    for k in 0..z.ncols() {
        f(z.column(k).as_slice(), a.column_mut(k).as_mut_slice());
    }
}

/// a = g(z), entry by entry.
#[inline]
pub(crate) fn map<T: Scalar>(
    z: DMatrixView<'_, T>,
    mut a: DMatrixViewMut<'_, T>,
    g: impl Fn(T) -> T,
) {
    for k in 0..z.ncols() {
        let (z_k, mut a_k) = (z.column(k), a.column_mut(k));
        for (a, &z) in a_k.as_mut_slice().iter_mut().zip(z_k.as_slice()) {
            *a = g(z);
        }
    }
}

/// δ ← δ · g′(z, a), entry by entry.
#[inline]
pub(crate) fn scale_by<T: Scalar>(
    z: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    mut delta: DMatrixViewMut<'_, T>,
    derivative: impl Fn(T, T) -> T,
) {
    for k in 0..z.ncols() {
        let (z_k, a_k, mut delta_k) = (z.column(k), a.column(k), delta.column_mut(k));
        let pairs = z_k.as_slice().iter().zip(a_k.as_slice());
        for (d, (&z, &a)) in delta_k.as_mut_slice().iter_mut().zip(pairs) {
            *d *= derivative(z, a);
        }
    }
}

/// Entries that [`sum`] and its kin add up one after the other, in as many sums as `LANES`.
const LEAF: usize = 256;
const LANES: usize = 16;

/// Σ xᵢ by halves, so that the rounding error grows with ln n, not n.
pub(crate) fn sum<T: Scalar>(x: &[T]) -> T {
    sum_of(x, &|x| x)
}

/// The sum of squares by halves, as [`sum`].
pub(crate) fn sum_of_squares<T: Scalar>(x: &[T]) -> T {
    sum_of(x, &|x| x * x)
}

/// The largest magnitude; 0 of nothing. A NaN is passed over.
pub(crate) fn largest<T: Scalar>(x: &[T]) -> T {
    x.iter().fold(T::zero(), |most, x| x.abs().max(most))
}

/// √Σ xᵢ², which neither overflows nor underflows on the way: NaN or ∞ only if an entry is, or if the norm itself overflows.
pub(crate) fn norm<T: Scalar>(x: &[T]) -> T {
    let squares = sum_of_squares(x);
    // The squares that count are normal numbers then, even in `f32`.
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

/// The sum of magnitudes by halves, as [`sum`].
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

/// The index of the first non-finite entry, if there is one.
pub(crate) fn first_non_finite<T: Scalar>(values: &[T]) -> Option<usize> {
    if all_finite(values) {
        return None;
    }
    values.iter().position(|x| !x.is_finite())
}

/// The index of the largest entry of a slice that is not empty; 0 if its first entry is NaN.
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
