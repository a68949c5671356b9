//! The products of back-propagation on matrices, with fast paths or plain loops.
//!
//! Each has two forms: one overwrites its result, and the other adds to it. Derivatives of passes
//! need the second, because they are sums of two products.

use super::gemm::{Gemm, StorageOrder, chain};
use super::gemm_threads::{gemm, is_tiny, scratch};
use super::level;
use super::microkernel::Start;
use super::plain_products;
use super::table::table;
use super::tree::most_held;
use super::vector::{Fast, Operation, Vector};
use super::{add, columns, is_fast};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// Returns the length of the bias in Θ = [b W] or Θ = W. Panics unless `theta` has s × (n + 1) or
/// s × n entries. Other sizes fail even if the product overflows.
fn bias_len<T>(theta: &[T], rows: usize, features: usize) -> usize {
    let weights = rows.checked_mul(features);
    let bias = weights.and_then(|weights| theta.len().checked_sub(weights));
    assert!(
        bias == Some(rows) || bias == Some(0),
        "{rows} × (1 + {features}) or {rows} × {features}, found {}",
        theta.len()
    );
    bias.unwrap_or(0)
}

/// z = b + W x for every example: Z = [b W] [1; X].
///
/// `theta` is s × (n + 1), column-major, with b in column 0, or s × n without a bias. `x` is n × m,
/// and `z` is s × m and is overwritten. `room` is scratch for packing ([`room_for`]), and may be
/// empty.
pub(crate) fn affine<T: Scalar>(
    theta: &[T],
    x: &DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    let (bias, weights) = theta.split_at(bias_len(theta, z.nrows(), x.nrows()));
    let start = if bias.is_empty() {
        Start::Zero
    } else {
        Start::Column(bias.as_ptr())
    };
    if !linear(weights, x, z, room, start) {
        plain_products::affine(bias, weights, x, z);
    }
}

/// z += W x for every example: [`affine`] without the bias, added to `z`.
pub(crate) fn add_linear<T: Scalar>(
    theta: &[T],
    x: &DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    let weights = &theta[bias_len(theta, z.nrows(), x.nrows())..];
    if !linear(weights, x, z, room, Start::Present) {
        plain_products::add_linear(weights, x, z);
    }
}

/// Computes `start` + W x on a fast path. Returns false, and does nothing, if there is none.
#[inline]
fn linear<T: Scalar>(
    weights: &[T],
    x: &DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
    room: &mut [T],
    start: Start<T>,
) -> bool {
    let ((rows, examples), features) = (z.shape(), x.nrows());
    assert_eq!(x.ncols(), examples);
    assert_eq!(rows.checked_mul(features), Some(weights.len()));
    if is_tiny(rows, examples, features) {
        return false;
    }
    let product = Gemm {
        rows,
        columns: examples,
        depth: features,
        chain: usize::MAX,
        order: StorageOrder::ColumnMajor,
        a: weights.as_ptr(),
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
    // SAFETY: the shapes agree, as asserted. Rows are adjacent in views of this type, the start's
    // column is the bias, of `rows` entries, and `z` and `room` are borrowed mutably.
    unsafe { gemm(product) }
}

/// The maximum number of examples whose products are summed in order. The sums of such groups are
/// added in a binary tree.
const IN_ORDER: usize = 2048;

/// Returns the room needed for the sums that are held at the same time, of `len` entries each: the
/// sums of the right halves, and one more.
fn held_sums(len: usize, examples: usize) -> usize {
    if examples <= IN_ORDER {
        return 0;
    }
    len.saturating_mul(1 + most_held(examples.div_ceil(IN_ORDER)))
}

/// Scratch of a product that is summed in a binary tree.
struct TreeRoom<'a, T> {
    packing: &'a mut [T],
    sums: &'a mut [T],
}

impl<'a, T> TreeRoom<'a, T> {
    /// Takes `sums` entries off the end of `room`. Returns the whole room if it is too small, or if
    /// `sums` is 0.
    fn new(room: &'a mut [T], sums: usize) -> Result<Self, &'a mut [T]> {
        if sums == 0 || room.len() < sums {
            return Err(room);
        }
        let (packing, sums) = room.split_at_mut(room.len() - sums);
        Ok(Self { packing, sums })
    }
}

/// Δ = δ [1; A]ᵀ, the sum over the examples of δ₍ₖ₎ [1, a₍ₖ₎ᵀ].
///
/// `delta` is s × m and `a` is n × m. `gradient` is s × (n + 1), or s × n without a bias,
/// column-major, and is overwritten. Without the room for sums ([`room_for`]) the sums of many
/// examples are less accurate.
pub(crate) fn outer<T: Scalar>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    bias_len(gradient, delta.nrows(), a.nrows());
    match TreeRoom::new(room, held_sums(gradient.len(), delta.ncols())) {
        Ok(room) => outer_by_halves(delta, a, gradient, room),
        Err(room) => outer_in_order(delta, a, gradient, room),
    }
}

/// [`outer`], summed in a binary tree over groups of [`IN_ORDER`] examples.
fn outer_by_halves<'a, T: Scalar>(
    delta: &DMatrixView<'a, T>,
    a: &DMatrixView<'a, T>,
    gradient: &mut [T],
    room: TreeRoom<'_, T>,
) {
    let (examples, TreeRoom { packing, sums }) = (delta.ncols(), room);
    if examples <= IN_ORDER {
        return outer_in_order(delta, a, gradient, packing);
    }
    let half = examples.div_ceil(IN_ORDER).next_power_of_two() / 2 * IN_ORDER;
    let of = |matrix: &DMatrixView<'a, T>, range: Range<usize>| {
        columns(*matrix, range.start, range.len())
    };
    let room = TreeRoom {
        packing: &mut *packing,
        sums: &mut *sums,
    };
    outer_by_halves(&of(delta, 0..half), &of(a, 0..half), gradient, room);
    let (right, sums) = sums.split_at_mut(gradient.len());
    let (rest, room) = (half..examples, TreeRoom { packing, sums });
    outer_by_halves(&of(delta, rest.clone()), &of(a, rest), right, room);
    add(gradient, right);
}

/// [`outer`], summed in the order of the examples.
fn outer_in_order<T: Scalar>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    let (bias, weights) = gradient.split_at_mut(bias_len(gradient, delta.nrows(), a.nrows()));
    if !(is_fast::<T>() && weights_outer(delta, a, weights, room, Start::Zero)) {
        plain_products::outer(delta, a, gradient);
    } else if !bias.is_empty() {
        let sums = RowSums::new(delta, bias);
        // SAFETY: `bias` has an entry for each row of δ.
        unsafe { sums.compute() };
    }
}

/// The sums of the rows of a matrix: column 0 of Δ.
#[derive(Debug)]
pub(super) struct RowSums<T> {
    rows: usize,
    columns: usize,
    from: *const T,
    step: usize,
    to: *mut T,
}

impl<T: Scalar> RowSums<T> {
    fn new(matrix: &DMatrixView<'_, T>, to: &mut [T]) -> Self {
        assert_eq!(to.len(), matrix.nrows());
        Self {
            rows: matrix.nrows(),
            columns: matrix.ncols(),
            from: matrix.as_ptr(),
            step: matrix.strides().1,
            to: to.as_mut_ptr(),
        }
    }

    /// Computes the sums in `f32` or `f64`. Does nothing for any other scalar.
    ///
    /// # Safety
    /// The matrix and the slice are still borrowed.
    unsafe fn compute(self) {
        if let Some(table) = table::<T>() {
            // SAFETY: the caller upholds the contract.
            unsafe { (table.row_sums)(self) };
        }
    }
}

impl<T: Fast> Operation<T> for RowSums<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>>(self) {
        // A sum is a product with a column of ones. With `b_step` 0, a single 1 is enough.
        let one = [T::one()];
        let product = Gemm {
            rows: self.rows,
            columns: 1,
            depth: self.columns,
            chain: chain::<T>(),
            order: StorageOrder::ColumnMajor,
            a: self.from,
            a_step: self.step,
            b: one.as_ptr(),
            b_step: 0,
            b_column: 0,
            c: self.to,
            c_step: 0,
            transposed: false,
            start: Start::Zero,
            room: std::ptr::null_mut(),
            room_len: 0,
        };
        // SAFETY: the caller guarantees the matrix and the result, and `one` outlives the call.
        unsafe { product.vector::<V>() };
    }
}

/// Δ += δ [0; A]ᵀ: [`outer`] without column 0, added to `gradient`.
pub(crate) fn add_outer<T: Scalar>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    gradient: &mut [T],
    room: &mut [T],
) {
    let (len, bias) = (gradient.len(), bias_len(gradient, delta.nrows(), a.nrows()));
    let weights = &mut gradient[bias..];
    match TreeRoom::new(room, held_sums(len, delta.ncols())) {
        Ok(TreeRoom { packing, sums }) => {
            let (sum, sums) = sums.split_at_mut(len);
            outer_by_halves(delta, a, sum, TreeRoom { packing, sums });
            add(weights, &sum[bias..]);
        }
        Err(room) => {
            if !weights_outer(delta, a, weights, room, Start::Present) {
                plain_products::add_outer(delta, a, weights);
            }
        }
    }
}

/// C += B Aᵀ, where B is s × m, A is n × m and C is s × n, column-major.
pub(crate) fn add_product_transposed<T: Scalar>(
    b: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    c: &mut [T],
) {
    if !weights_outer(b, a, c, &mut [], Start::Present) {
        plain_products::add_outer(b, a, c);
    }
}

/// Computes `start` + δ Aᵀ on a fast path. Returns false, and does nothing, if there is none.
#[inline]
fn weights_outer<T: Scalar>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    weights: &mut [T],
    room: &mut [T],
    start: Start<T>,
) -> bool {
    let ((rows, examples), features) = (delta.shape(), a.nrows());
    assert_eq!(a.ncols(), examples);
    assert_eq!(rows.checked_mul(features), Some(weights.len()));
    if is_tiny(rows, examples, features) {
        return false;
    }
    let swapped = swap_outer::<T>(rows, features);
    let (left, right) = if swapped { (a, delta) } else { (delta, a) };
    let product = Gemm {
        rows: left.nrows(),
        columns: right.nrows(),
        depth: examples,
        chain: chain::<T>(),
        order: StorageOrder::ColumnMajor,
        a: left.as_ptr(),
        a_step: left.strides().1,
        b: right.as_ptr(),
        b_step: right.strides().1,
        b_column: 1,
        c: weights.as_mut_ptr(),
        c_step: rows,
        // A single row is stored in memory like a column.
        transposed: swapped && rows > 1,
        start,
        room: room.as_mut_ptr(),
        room_len: room.len(),
    };
    // SAFETY: as in `linear`.
    unsafe { gemm(product) }
}

/// Returns whether to compute (δ Aᵀ)ᵀ = A δᵀ instead. That pays off if the features fill registers
/// much better than the units do.
fn swap_outer<T>(rows: usize, features: usize) -> bool {
    let lanes = level::lanes::<T>();
    // The registers needed for each entry. A column of C in a single register is as slow as in two,
    // because then each entry of B is loaded for one multiplication only.
    let registers = |n: usize| n.saturating_add(lanes - 1).max(2 * lanes) & !(lanes - 1);
    let (left, right) = (registers(rows) as f64, registers(features) as f64);
    // left / rows > 1.15 right / features, without a division.
    rows == 1 || left * features as f64 > 1.15 * right * rows as f64
}

/// Wᵀ δ for every example, with Θ = [b W]: the error that reaches the layer below.
///
/// `theta` is s × (n + 1), or s × n without a bias, column-major; `delta` is s × m, and `below` is
/// n × m and is overwritten.
pub(crate) fn transpose_product<T: Scalar>(
    theta: &[T],
    delta: &DMatrixView<'_, T>,
    below: &mut DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    let weights = &theta[bias_len(theta, delta.nrows(), below.nrows())..];
    if !weights_transposed(weights, delta, below, room, Start::Zero) {
        plain_products::transpose_product::<T, false>(weights, delta, below);
    }
}

/// [`transpose_product`], added to `below`.
pub(crate) fn add_transpose_product<T: Scalar>(
    theta: &[T],
    delta: &DMatrixView<'_, T>,
    below: &mut DMatrixViewMut<'_, T>,
    room: &mut [T],
) {
    let weights = &theta[bias_len(theta, delta.nrows(), below.nrows())..];
    if !weights_transposed(weights, delta, below, room, Start::Present) {
        plain_products::transpose_product::<T, true>(weights, delta, below);
    }
}

/// Computes `start` + Wᵀ δ on a fast path. Returns false, and does nothing, if there is none.
#[inline]
fn weights_transposed<T: Scalar>(
    weights: &[T],
    delta: &DMatrixView<'_, T>,
    below: &mut DMatrixViewMut<'_, T>,
    room: &mut [T],
    start: Start<T>,
) -> bool {
    let ((rows, examples), features) = (delta.shape(), below.nrows());
    assert_eq!(below.ncols(), examples);
    assert_eq!(rows.checked_mul(features), Some(weights.len()));
    if is_tiny(rows, examples, features) {
        return false;
    }
    let product = Gemm {
        rows: features,
        columns: examples,
        depth: rows,
        chain: usize::MAX,
        order: StorageOrder::RowMajor,
        a: weights.as_ptr(),
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
    unsafe { gemm(product) }
}

/// Returns the length of the scratch that the products of a layer with s units and n inputs use for
/// m examples, including the sums of a binary tree.
pub(crate) fn room_for<T: Scalar>(units: usize, inputs: usize, examples: usize) -> usize {
    if !is_fast::<T>() {
        return 0;
    }
    let (height, width) = if swap_outer::<T>(units, inputs) {
        (inputs, units)
    } else {
        (units, inputs)
    };
    let sums = held_sums(inputs.saturating_add(1).saturating_mul(units), examples);
    let outer = scratch::<T>(height, width, examples.min(IN_ORDER));
    scratch::<T>(units, examples, inputs)
        .max(outer.saturating_add(sums))
        .max(scratch::<T>(inputs, examples, units))
}

#[cfg(test)]
#[path = "products_tests.rs"]
mod tests;
