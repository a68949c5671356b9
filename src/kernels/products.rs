//! The products of back-propagation on matrices: the fast ones where there are any, else the plain loops.
//!
//! Each comes in two forms: one that overwrites its result, and one that adds to it, for the sums of two products in the derivatives of
//! passes.

use super::level;
use super::plain;
use super::product::{self, Layout, Product, chain};
use super::row_sums::RowSums;
use super::share::multiply;
use super::tile::Start;
use super::tree::most_held;
use super::{add, columns, is_fast};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

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
    let bias = &theta[..z.nrows().min(theta.len())];
    if !linear(theta, x, &mut z, Start::Column(bias.as_ptr()), room) {
        plain::affine(theta, x, z);
    }
}

/// z += W x for every example: [`affine`] without the bias, added to what `z` holds.
pub(crate) fn add_linear<T: Scalar>(
    theta: &[T],
    x: DMatrixView<'_, T>,
    mut z: DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    if !linear(theta, x, &mut z, Start::Present, room) {
        plain::add_linear(theta, x, z);
    }
}

/// W x from a start, by a fast product; false, and nothing done, if there is none.
#[inline]
fn linear<T: Scalar>(
    theta: &[T],
    x: DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
    start: Start<T>,
    room: &mut [T],
) -> bool {
    let ((rows, examples), features) = (z.shape(), x.nrows());
    assert_eq!(x.ncols(), examples);
    assert_is_theta(theta, rows, features);
    let product = Product {
        rows,
        columns: examples,
        depth: features,
        chain: usize::MAX,
        layout: Layout::Columns,
        a: theta[rows..].as_ptr(),
        a_step: rows,
        b: x.as_ptr(),
        b_step: 1,
        b_column: x.strides().1,
        c: z.as_mut_ptr(),
        c_step: z.strides().1,
        transposed: false,
        start,
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: the shapes agree, as asserted; rows lie one after the other in views of this type, a start's column is column 0 of θ, and `z` and
    // `room` are borrowed for writing.
    unsafe { multiply(product) }
}

/// The most examples whose products are summed in order. A binary tree adds the sums of larger
/// groups.
const IN_ORDER: usize = 2048;

/// Returns the room for the sums, of `len` entries each, held at the same time: those of the right
/// halves, and one more.
fn held_sums(len: usize, examples: usize) -> usize {
    match examples > IN_ORDER {
        true => len.saturating_mul(1 + most_held(examples.div_ceil(IN_ORDER))),
        false => 0,
    }
}

/// Splits the room for sums off the end of the scratch, unless the scratch is too small.
fn split_room<T>(room: &mut [T], sums: usize) -> Option<(&mut [T], &mut [T])> {
    let rest = room.len().checked_sub(sums).filter(|_| sums > 0)?;
    Some(room.split_at_mut(rest))
}

/// Δ = δ [1; A]ᵀ, the sum over the examples of δ₍ₖ₎ [1, a₍ₖ₎ᵀ].
///
/// `delta` is s × m, `a` is n × m, `gradient` is s × (n + 1) column-major and is overwritten. Without
/// the room for sums ([`room_for`]) those of many examples are less exact.
pub(crate) fn outer<T: Scalar>(
    delta: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    assert_is_theta(gradient, delta.nrows(), a.nrows());
    match split_room(room, held_sums(gradient.len(), delta.ncols())) {
        Some(room) => outer_by_halves(delta, a, gradient, room),
        None => outer_in_order(delta, a, gradient, room),
    }
}

/// [`outer`] by a binary tree over groups of [`IN_ORDER`] examples.
fn outer_by_halves<T: Scalar>(
    delta: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    gradient: &mut [T],
    (room, sums): (&mut [T], &mut [T]),
) {
    let examples = delta.ncols();
    if examples <= IN_ORDER {
        return outer_in_order(delta, a, gradient, room);
    }
    let half = examples.div_ceil(IN_ORDER).next_power_of_two() / 2 * IN_ORDER;
    let of = |matrix, range: Range<usize>| columns(matrix, range.start, range.len());
    outer_by_halves(of(delta, 0..half), of(a, 0..half), gradient, (room, sums));
    let (right, sums) = sums.split_at_mut(gradient.len());
    let rest = half..examples;
    outer_by_halves(of(delta, rest.clone()), of(a, rest), right, (room, sums));
    add(gradient, right);
}

fn outer_in_order<T: Scalar>(
    delta: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    let (bias, weights) = gradient.split_at_mut(delta.nrows());
    if is_fast::<T>() && weights_outer(delta, a, weights, Start::Zero, room) {
        let sums = RowSums::new(&delta, bias);
        // SAFETY: `bias` has an entry for each row of δ.
        unsafe { sums.compute() };
    } else {
        plain::outer(delta, a, gradient);
    }
}

/// Δ += δ [0; A]ᵀ: [`outer`] but for column 0, added to what `gradient` holds.
pub(crate) fn add_outer<T: Scalar>(
    delta: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    assert_is_theta(gradient, delta.nrows(), a.nrows());
    let (len, rows) = (gradient.len(), delta.nrows());
    let weights = &mut gradient[rows..];
    if let Some((room, sums)) = split_room(room, held_sums(len, delta.ncols())) {
        let (sum, sums) = sums.split_at_mut(len);
        outer_by_halves(delta, a, sum, (room, sums));
        add(weights, &sum[rows..]);
    } else if !weights_outer(delta, a, weights, Start::Present, room) {
        plain::add_outer(delta, a, weights);
    }
}

/// C += B Aᵀ for B of s × m, A of n × m and C of s × n, column-major.
pub(crate) fn add_product_transposed<T: Scalar>(
    b: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    c: &mut [T],
) {
    if !weights_outer(b, a, c, Start::Present, &mut []) {
        plain::add_outer(b, a, c);
    }
}

/// δ Aᵀ from a start, by a fast product; false, and nothing done, if there is none.
#[inline]
fn weights_outer<T: Scalar>(
    delta: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    weights: &mut [T],
    start: Start<T>,
    room: &mut [T],
) -> bool {
    let ((rows, examples), features) = (delta.shape(), a.nrows());
    assert_eq!(a.ncols(), examples);
    assert_eq!(rows.checked_mul(features), Some(weights.len()));
    let swapped = swap_outer::<T>(rows, features);
    let ((left, right), (height, width)) = match swapped {
        true => ((&a, &delta), (features, rows)),
        false => ((&delta, &a), (rows, features)),
    };
    let product = Product {
        rows: height,
        columns: width,
        depth: examples,
        chain: chain::<T>(),
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
        start,
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: as in `linear`.
    unsafe { multiply(product) }
}

/// Whether to compute Δᵀ = \[1; A] δᵀ instead: if the features fill registers so much better than the units that storing across pays.
fn swap_outer<T>(rows: usize, features: usize) -> bool {
    let lanes = level::lanes::<T>();
    // Registers that are needed for each entry. A single register for a column of C is as slow as two: each entry of B is then
    // brought to a register for one multiplication alone.
    let cost = |n: usize| n.div_ceil(lanes).max(2).saturating_mul(lanes) as f64 / n as f64;
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
    if !weights_transposed(theta, delta, &mut below, Start::Zero, room) {
        plain::transpose_product::<T, false>(theta, delta, below);
    }
}

/// [`transpose_product`], added to what `below` holds.
pub(crate) fn add_transpose_product<T: Scalar>(
    theta: &[T],
    delta: DMatrixView<'_, T>,
    mut below: DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    if !weights_transposed(theta, delta, &mut below, Start::Present, room) {
        plain::transpose_product::<T, true>(theta, delta, below);
    }
}

/// Wᵀ δ from a start, by a fast product; false, and nothing done, if there is none.
#[inline]
fn weights_transposed<T: Scalar>(
    theta: &[T],
    delta: DMatrixView<'_, T>,
    below: &mut DMatrixViewMut<'_, T>,
    start: Start<T>,
    room: &mut [T],
) -> bool {
    let ((rows, examples), features) = (delta.shape(), below.nrows());
    assert_eq!(below.ncols(), examples);
    assert_is_theta(theta, rows, features);
    let product = Product {
        rows: features,
        columns: examples,
        depth: rows,
        chain: usize::MAX,
        layout: Layout::Rows,
        a: theta[rows..].as_ptr(),
        a_step: rows,
        b: delta.as_ptr(),
        b_step: 1,
        b_column: delta.strides().1,
        c: below.as_mut_ptr(),
        c_step: below.strides().1,
        transposed: false,
        start,
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: as in `linear`.
    unsafe { multiply(product) }
}

/// Returns the scratch that the products of a layer with s units and n inputs use for m examples,
/// including the sums that many examples need.
pub(crate) fn room_for<T: Scalar>(units: usize, inputs: usize, examples: usize) -> usize {
    if !is_fast::<T>() {
        return 0;
    }
    let (height, width) = match swap_outer::<T>(units, inputs) {
        true => (inputs, units),
        false => (units, inputs),
    };
    let sums = held_sums(inputs.saturating_add(1).saturating_mul(units), examples);
    let outer = product::scratch::<T>(height, width, examples.min(IN_ORDER));
    product::scratch::<T>(units, examples, inputs)
        .max(outer.saturating_add(sums))
        .max(product::scratch::<T>(inputs, examples, units))
}

#[cfg(test)]
#[path = "products_tests.rs"]
mod tests;
