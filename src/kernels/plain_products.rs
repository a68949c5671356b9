//! The products as plain loops over contiguous columns, for any scalar. The tests compare the fast
//! paths with them.
//!
//! The innermost loop runs down a column with independent entries, which compilers vectorise.

use super::{columns, flat, flat_mut};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// z = b + W x for every example: Z = [b W] [1; X].
///
/// `weights` is s × n, column-major. Without a bias, `bias` is empty. `x` is n × m, and `z` is s ×
/// m and is overwritten.
pub(super) fn affine<T: Scalar>(
    bias: &[T],
    weights: &[T],
    x: &DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
) {
    for_columns(x, z, |x, z| {
        if bias.is_empty() {
            z.fill(T::zero());
        } else {
            z.copy_from_slice(bias);
        }
        add_to_column(weights, x, z);
    });
}

/// Calls `f` with each column of x and of z.
#[inline]
fn for_columns<T: Scalar>(
    x: &DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
    f: impl Fn(&[T], &mut [T]),
) {
    let (features, rows) = (x.nrows(), z.nrows());
    if features > 0
        && rows > 0
        && let (Some(x), Some(z)) = (flat(x), flat_mut(z))
    {
        for (x, z) in x.chunks_exact(features).zip(z.chunks_exact_mut(rows)) {
            f(x, z);
        }
        return;
    }
    for (x, mut z) in x.column_iter().zip(z.column_iter_mut()) {
        f(x.as_slice(), z.as_mut_slice());
    }
}

/// z += W x for every example.
pub(super) fn add_linear<T: Scalar>(
    weights: &[T],
    x: &DMatrixView<'_, T>,
    z: &mut DMatrixViewMut<'_, T>,
) {
    debug_assert_eq!(weights.len(), z.nrows() * x.nrows());
    for_columns(x, z, |x, z| add_to_column(weights, x, z));
}

/// z += W x for one example.
#[inline]
fn add_to_column<T: Scalar>(weights: &[T], x: &[T], z: &mut [T]) {
    let rows = z.len().max(1);
    let mut quads = weights.chunks_exact(4 * rows);
    let mut inputs = x.chunks_exact(4);
    for (w, x) in quads.by_ref().zip(inputs.by_ref()) {
        add_scaled_4(z, w, [x[0], x[1], x[2], x[3]]);
    }
    let rest = quads.remainder().chunks_exact(rows);
    for (w, &x) in rest.zip(inputs.remainder()) {
        add_scaled(z, w, x);
    }
}

/// The number of examples that are summed before their sum is added to the total. With two levels,
/// the rounding error of 1024 examples grows like that of 64 + 16.
const PANEL: usize = 64;

/// Δ = δ [1; A]ᵀ, the sum over the examples of δ₍ₖ₎ [1, a₍ₖ₎ᵀ].
///
/// `delta` is s × m and `a` is n × m. `gradient` is s × (n + 1), or s × n without a bias,
/// column-major, and is overwritten.
pub(super) fn outer<T: Scalar>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    gradient: &mut [T],
) {
    let has_bias = gradient.len() > delta.nrows() * a.nrows();
    gradient.fill(T::zero());
    if delta.ncols() == 1 {
        let bias = if has_bias { delta.nrows() } else { 0 };
        let (bias, weights) = gradient.split_at_mut(bias);
        add_one_example(
            delta.column(0).as_slice(),
            a.column(0).as_slice(),
            bias,
            weights,
        );
    } else if !has_bias {
        add_panels::<T, 0>(delta, a, gradient);
    } else {
        add_panels::<T, 1>(delta, a, gradient);
    }
}

/// Adds δ of one example to `bias`, and δ aᵀ to `weights`.
fn add_one_example<T: Scalar>(delta: &[T], a: &[T], bias: &mut [T], weights: &mut [T]) {
    for (b, &d) in bias.iter_mut().zip(delta) {
        *b += d;
    }
    for (column, &x) in weights.chunks_exact_mut(delta.len()).zip(a) {
        add_scaled(column, delta, x);
    }
}

/// Adds δ Aᵀ, the sum over the examples of δ₍ₖ₎ a₍ₖ₎ᵀ, to `weights`, which is s × n, column-major.
pub(super) fn add_outer<T: Scalar>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    weights: &mut [T],
) {
    add_panels::<T, 0>(delta, a, weights);
}

/// Adds δ [1; A]ᵀ to `sums`, with BIAS columns of ones: 1 or 0.
fn add_panels<T: Scalar, const BIAS: usize>(
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    sums: &mut [T],
) {
    let (rows, examples) = delta.shape();
    let mut start = 0;
    while start < examples {
        let panel = PANEL.min(examples - start);
        let (delta, a) = (columns(*delta, start, panel), columns(*a, start, panel));
        let (delta, a) = (&delta, &a);
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                8.. => outer_rows::<T, 8, BIAS>(row, delta, a, sums),
                4.. => outer_rows::<T, 4, BIAS>(row, delta, a, sums),
                2.. => outer_rows::<T, 2, BIAS>(row, delta, a, sums),
                _ => outer_rows::<T, 1, BIAS>(row, delta, a, sums),
            };
        }
        start += panel;
    }
}

/// Adds W rows of δ [1; A]ᵀ from `row` on, and returns W. Each entry is summed in a register.
fn outer_rows<T: Scalar, const W: usize, const BIAS: usize>(
    row: usize,
    delta: &DMatrixView<'_, T>,
    a: &DMatrixView<'_, T>,
    gradient: &mut [T],
) -> usize {
    let (rows, examples) = delta.shape();
    let rows_of = |k: usize| -> [T; W] {
        let column = delta.column(k);
        let entries = &column.as_slice()[row..row + W];
        std::array::from_fn(|i| entries[i])
    };
    for (j, column) in gradient.chunks_exact_mut(rows).enumerate() {
        let mut sums = [T::zero(); W];
        if j < BIAS {
            for k in 0..examples {
                let d = rows_of(k);
                (0..W).for_each(|i| sums[i] += d[i]);
            }
        } else {
            for k in 0..examples {
                let (d, x) = (rows_of(k), a[(j - BIAS, k)]);
                (0..W).for_each(|i| sums[i] += d[i] * x);
            }
        }
        for (g, sum) in column[row..row + W].iter_mut().zip(sums) {
            *g += sum;
        }
    }
    W
}

/// Wᵀ δ for every example, with Θ = [b W]: the error that reaches the layer below.
///
/// `weights` is s × n, column-major, `delta` is s × m, and `below` is n × m. The result overwrites
/// `below`, or is added to it with ADD.
pub(super) fn transpose_product<T: Scalar, const ADD: bool>(
    weights: &[T],
    delta: &DMatrixView<'_, T>,
    below: &mut DMatrixViewMut<'_, T>,
) {
    let rows = delta.nrows();
    debug_assert_eq!(weights.len(), rows * below.nrows());
    for k in 0..delta.ncols() {
        let delta_k = delta.column(k);
        let mut below_k = below.column_mut(k);
        let columns = weights.chunks_exact(rows);
        for (b, w) in below_k.as_mut_slice().iter_mut().zip(columns) {
            let sum = dot(w, delta_k.as_slice());
            *b = if ADD { *b + sum } else { sum };
        }
    }
}

/// y += c x.
#[inline]
fn add_scaled<T: Scalar>(y: &mut [T], x: &[T], c: T) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x * c;
    }
}

/// y += X c for four contiguous columns X.
#[inline]
fn add_scaled_4<T: Scalar>(y: &mut [T], x: &[T], c: [T; 4]) {
    let n = y.len();
    let (x01, x23) = x.split_at(2 * n);
    let ((x0, x1), (x2, x3)) = (x01.split_at(n), x23.split_at(n));
    for (i, y) in y.iter_mut().enumerate() {
        *y += (x0[i] * c[0] + x1[i] * c[1]) + (x2[i] * c[2] + x3[i] * c[3]);
    }
}

/// Returns xᵀ y, from eight independent partial sums.
#[inline]
fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    let mut sums = [T::zero(); 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let mut total = T::zero();
    for (&x, &y) in xs.remainder().iter().zip(ys.remainder()) {
        total += x * y;
    }
    for (x, y) in xs.zip(ys) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    let pairs = [0, 1, 2, 3].map(|i| sums[i] + sums[i + 4]);
    total + ((pairs[0] + pairs[2]) + (pairs[1] + pairs[3]))
}
