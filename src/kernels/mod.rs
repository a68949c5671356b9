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
mod launch;
mod level;
pub(crate) mod parallel;
mod plain;
mod product;
mod row_sums;
mod share;
mod softmax;
pub(crate) mod steps;
mod tile;
mod tiling;
#[cfg(target_arch = "x86_64")]
mod transpose;
mod vector;

use crate::scalar::{Scalar, real, sign};
use nalgebra::{DMatrixView, DMatrixViewMut};
use product::{Layout, Product};
use share::multiply;
use tile::Start;

pub(crate) use cast::{columns, flat, flat_mut};
pub(crate) use elementwise::{
    Function, activate, add, all_finite, apply, divide, multiply as multiply_by, scale_by_slope,
};
pub(crate) use softmax::softmax;

/// Whether a scalar has fast paths.
pub(crate) fn is_fast<T: Scalar>() -> bool {
    cast::is::<T, f32>() || cast::is::<T, f64>()
}

/// Panics unless `theta` has the entries of s × (n + 1), without an overflow that would make other sizes equal to it.
fn assert_is_theta<T>(theta: &[T], rows: usize, features: usize) {
    let len = features.checked_add(1);
    let len = len.and_then(|columns| columns.checked_mul(rows));
    assert_eq!(len, Some(theta.len()), "{rows} × (1 + {features})");
}

/// z = b + W x for every example: Z = [b W] [1; X].
///
/// `theta` is s × (n + 1) column-major with b in column 0, `x` is n × m, `z` is s × m and is overwritten. `room` is scratch
/// for packing ([`room_for`]), and may be empty.
pub(crate) fn affine<T: Scalar>(
    theta: &[T],
    x: DMatrixView<'_, T>,
    mut z: DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    let ((rows, examples), features) = (z.shape(), x.nrows());
    assert_eq!(x.ncols(), examples);
    assert_is_theta(theta, rows, features);
    let (bias, weights) = theta.split_at(rows);
    let product = Product {
        rows,
        columns: examples,
        depth: features,
        layout: Layout::Columns,
        a: weights.as_ptr(),
        a_step: rows,
        b: x.as_ptr(),
        b_step: 1,
        b_column: x.strides().1,
        c: z.as_mut_ptr(),
        c_step: z.strides().1,
        transposed: false,
        start: Start::Column(bias.as_ptr()),
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: the shapes agree, as asserted; rows lie one after the other in views of this type, and `z` and `room` are borrowed for writing.
    if !unsafe { multiply(product) } {
        plain::affine(theta, x, z);
    }
}

/// Δ = δ [1; A]ᵀ, the sum over the examples of δ₍ₖ₎ [1, a₍ₖ₎ᵀ].
///
/// `delta` is s × m, `a` is n × m, `gradient` is s × (n + 1) column-major and is overwritten.
pub(crate) fn outer<T: Scalar>(
    delta: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    let ((rows, examples), features) = (delta.shape(), a.nrows());
    assert_eq!(a.ncols(), examples);
    assert_is_theta(gradient, rows, features);
    if !is_fast::<T>() {
        return plain::outer(delta, a, gradient);
    }
    let (bias, weights) = gradient.split_at_mut(rows);
    let swapped = swap_outer::<T>(rows, features);
    let ((left, right), (height, width)) = match swapped {
        true => ((&a, &delta), (features, rows)),
        false => ((&delta, &a), (rows, features)),
    };
    let product = Product {
        rows: height,
        columns: width,
        depth: examples,
        layout: Layout::Columns,
        a: left.as_ptr(),
        a_step: left.strides().1,
        b: right.as_ptr(),
        b_step: right.strides().1,
        b_column: 1,
        c: weights.as_mut_ptr(),
        c_step: rows,
        // A single row is a column in memory.
        transposed: swapped && rows > 1,
        start: Start::Zero,
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: as in `affine`.
    if unsafe { multiply(product) } {
        let sums = row_sums::RowSums::new(&delta, bias);
        // SAFETY: `bias` has an entry for each row of δ.
        unsafe { sums.compute() };
    } else {
        plain::outer(delta, a, gradient);
    }
}

/// Whether to compute Δᵀ = \[1; A] δᵀ instead: if the features fill registers so much better than the units that storing across pays.
fn swap_outer<T>(rows: usize, features: usize) -> bool {
    let lanes = level::lanes::<T>();
    // Registers that are needed for each entry. A single register for a column of C is as slow as two: each entry of B is then
    // brought to a register for one multiplication alone.
    let cost = |n: usize| (n.div_ceil(lanes).max(2) * lanes) as f64 / n as f64;
    rows == 1 || cost(rows) > 1.15 * cost(features)
}

/// Wᵀ δ for every example: the error that reaches the layer below, without the bias column of Θ = [b W].
///
/// `theta` is s × (n + 1) column-major, `delta` is s × m, `below` is n × m and is overwritten.
pub(crate) fn transpose_product<T: Scalar>(
    theta: &[T],
    delta: DMatrixView<'_, T>,
    mut below: DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    let ((rows, examples), features) = (delta.shape(), below.nrows());
    assert_eq!(below.ncols(), examples);
    assert_is_theta(theta, rows, features);
    let product = Product {
        rows: features,
        columns: examples,
        depth: rows,
        layout: Layout::Rows,
        a: theta[rows..].as_ptr(),
        a_step: rows,
        b: delta.as_ptr(),
        b_step: 1,
        b_column: delta.strides().1,
        c: below.as_mut_ptr(),
        c_step: below.strides().1,
        transposed: false,
        start: Start::Zero,
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: as in `affine`.
    if !unsafe { multiply(product) } {
        plain::transpose_product(theta, delta, below);
    }
}

/// The scratch that the products of a layer of s units on n inputs make use of for m examples.
pub(crate) fn room_for<T: Scalar>(units: usize, inputs: usize, examples: usize) -> usize {
    if !is_fast::<T>() {
        return 0;
    }
    let (height, width) = match swap_outer::<T>(units, inputs) {
        true => (inputs, units),
        false => (units, inputs),
    };
    product::scratch::<T>(units, examples, inputs)
        .max(product::scratch::<T>(height, width, examples))
        .max(product::scratch::<T>(inputs, examples, units))
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
mod products_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes whose product wraps around to the length must not pass.
    #[test]
    #[should_panic(expected = "(1 + ")]
    fn a_length_is_compared_without_an_overflow() {
        let half = 1_usize << (usize::BITS / 2);
        assert_is_theta(&vec![(); half], half, half);
    }

    #[test]
    fn sums_are_accurate() {
        let tenth = vec![0.1_f32; 1_000_000];
        assert!((sum(&tenth) / 100_000.0 - 1.0).abs() < 1e-6);
        assert!((sum_of_squares(&tenth) / 10_000.0 - 1.0).abs() < 1e-6);
        let negative: Vec<f32> = tenth.iter().map(|x| -x).collect();
        assert!((sum_of_magnitudes(&negative) / 100_000.0 - 1.0).abs() < 1e-6);
    }
}
