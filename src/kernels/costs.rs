//! Vectorised loops for the costs of `f32` and `f64`. Like those in [`super::elementwise`], they
//! return false for any other scalar.
//!
//! Matrices are slices of columns with `rows` units, one example per column. The transcendental
//! functions run over many columns at once, so short columns are no slower.

use super::elementwise::MAX_WIDTH;
use super::level::{Kernel, head_length, launch};
use super::math;
use super::real::Real;
use super::softmax::{column_max, column_sum, column_sum_of};
use super::squash::{OutputSlices, sigmoid_split, unless_near_one};
use super::table::table;
use crate::scalar::Scalar;

/// The number of entries in a block on the stack.
const BLOCK: usize = 256;

/// The cost of one unit, or its derivative, as a function of an output x and a target y.
pub(super) trait UnitCost<R>: Copy {
    /// Whether an entry costs so little that a tail is fastest entry by entry.
    const CHEAP: bool = false;

    fn at<const FMA: bool>(self, x: R, y: R) -> R;
}

#[derive(Clone, Copy)]
pub(super) struct BinaryCrossEntropy;

impl<R: Real> UnitCost<R> for BinaryCrossEntropy {
    #[inline(always)]
    fn at<const FMA: bool>(self, z: R, y: R) -> R {
        math::binary_cross_entropy::<R, FMA>(z, y)
    }
}

#[derive(Clone, Copy)]
pub(super) struct BinaryCrossEntropyDelta;

impl<R: Real> UnitCost<R> for BinaryCrossEntropyDelta {
    #[inline(always)]
    fn at<const FMA: bool>(self, z: R, y: R) -> R {
        let (base, offset) = sigmoid_split::<R, FMA>(z);
        (base - y) + offset
    }
}

#[derive(Clone, Copy)]
pub(super) struct SquaredError;

impl<R: Real> UnitCost<R> for SquaredError {
    const CHEAP: bool = true;

    #[inline(always)]
    fn at<const FMA: bool>(self, a: R, y: R) -> R {
        R::HALF * (a - y) * (a - y)
    }
}

/// a ← f(x, y).
struct Zip<'a, R, F> {
    function: F,
    x: &'a [R],
    y: &'a [R],
}

impl<R: Real, F: UnitCost<R>> Kernel<R> for Zip<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        let n = head_length::<R>(F::CHEAP, a.len());
        let pairs = self.x[..n].iter().zip(&self.y[..n]);
        for (a, (&x, &y)) in a[..n].iter_mut().zip(pairs) {
            *a = self.function.at::<FMA>(x, y);
        }
    }
}

/// out = f(x, y) for slices of equal length. A tail shorter than a register goes through padded
/// blocks.
pub(super) fn zip<R: Real, F: UnitCost<R>>(function: F, x: &[R], y: &[R], out: &mut [R]) {
    assert!(x.len() == out.len() && y.len() == out.len());
    let head = head_length::<R>(F::CHEAP, out.len());
    let (out, tail) = out.split_at_mut(head);
    if !out.is_empty() {
        launch(Zip { function, x, y }, out, &mut []);
    }
    if !tail.is_empty() {
        let mut blocks = [[R::ZERO; MAX_WIDTH]; 3];
        let [xs, ys, outs] = &mut blocks;
        xs[..tail.len()].copy_from_slice(&x[head..]);
        ys[..tail.len()].copy_from_slice(&y[head..]);
        let (x, y) = (&xs[..], &ys[..]);
        launch(Zip { function, x, y }, &mut outs[..R::WIDTH], &mut []);
        tail.copy_from_slice(&outs[..tail.len()]);
    }
}

/// values[k] = Σᵢ f(xᵢₖ, yᵢₖ).
pub(super) fn column_sums<R: Real, F: UnitCost<R>>(
    function: F,
    rows: usize,
    x: &[R],
    y: &[R],
    values: &mut [R],
) {
    assert!(x.len() == rows * values.len() && y.len() == x.len());
    if rows == 1 {
        return zip(function, x, y, values);
    }
    values.fill(R::ZERO);
    if rows == 0 {
        return;
    }
    let mut block = [R::ZERO; BLOCK];
    // A block has many columns, filling whole registers if possible, or a column has many blocks.
    let columns = (BLOCK / rows).max(1);
    let columns = match columns & !(R::WIDTH - 1) {
        0 => columns,
        whole => whole,
    };
    let part = rows.min(BLOCK);
    let pairs = x.chunks(columns * rows).zip(y.chunks(columns * rows));
    for ((x, y), values) in pairs.zip(values.chunks_mut(columns)) {
        for (x, y) in x.chunks(columns * part).zip(y.chunks(columns * part)) {
            let costs = &mut block[..x.len()];
            zip(function, x, y, costs);
            for (value, costs) in values.iter_mut().zip(costs.chunks(part)) {
                *value += column_sum(costs);
            }
        }
    }
}

/// values[k] = Σᵢ max(z, 0) − y z + ln(1 + e^(−|z|)), the binary cross-entropy of a = σ(z).
#[must_use]
pub(crate) fn binary_cross_entropy<T: Scalar>(
    rows: usize,
    z: &[T],
    y: &[T],
    values: &mut [T],
) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.binary_cross_entropy)(rows, z, y, values);
    true
}

/// δ = σ(z) − y, accurate even where σ(z) is near a y of 0, ½ or 1.
#[must_use]
pub(crate) fn binary_cross_entropy_delta<T: Scalar>(z: &[T], y: &[T], delta: &mut [T]) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.binary_cross_entropy_delta)(z, y, delta);
    true
}

/// values[k] = ½ Σᵢ (a − y)².
#[must_use]
pub(crate) fn squared_error<T: Scalar>(rows: usize, a: &[T], y: &[T], values: &mut [T]) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.squared_error)(rows, a, y, values);
    true
}

/// Writes the categorical cross-entropy of each column.
///
/// ln Σ e^(z − max z) needs no second set of exponentials, because it is −ln max a. If the largest
/// a is above ½, it is computed as −ln(1 − rest), where `rest` is the sum of the other a.
struct CategoricalCrossEntropy<'a, R> {
    rows: usize,
    outputs: OutputSlices<'a, R>,
}

impl<R: Real> Kernel<R> for CategoricalCrossEntropy<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, values: &mut [R], _: &mut [R]) {
        const COLUMNS: usize = 64;
        let (rows, size) = (self.rows, COLUMNS * self.rows);
        let OutputSlices { z, a, y } = self.outputs;
        let mut blocks = [[R::ZERO; COLUMNS]; 3];
        let [shifts, bases, logs] = &mut blocks;
        let blocks = z.chunks(size).zip(a.chunks(size));
        let blocks = blocks.zip(y.chunks(size));
        for (((z, a), y), values) in blocks.zip(values.chunks_mut(COLUMNS)) {
            let columns = z.chunks_exact(rows).zip(a.chunks_exact(rows));
            let stored = shifts.iter_mut().zip(&mut *bases).zip(&mut *logs);
            for ((z, a), ((shift, base), x)) in columns.zip(stored) {
                let top = column_max(a);
                *shift = column_max(z);
                let near_one = top > R::HALF;
                *base = if near_one { R::ONE } else { R::ZERO };
                *x = if near_one {
                    -column_sum_of(a, a, unless_near_one)
                } else {
                    top
                };
            }
            let used = values.len().next_multiple_of(R::WIDTH);
            for (x, &base) in logs[..used].iter_mut().zip(&*bases) {
                *x = math::ln_of_sum::<R, FMA>(base, *x);
            }
            let columns = z.chunks_exact(rows).zip(y.chunks_exact(rows));
            let stored = shifts.iter().zip(&*logs);
            for ((value, (z, y)), (&shift, &log)) in values.iter_mut().zip(columns).zip(stored) {
                // The term of y = 0 is 0, even where z − shift overflows.
                *value = column_sum_of(z, y, |z, y| {
                    let cost = y * (-log - (z - shift));
                    if y == R::ZERO { R::ZERO } else { cost }
                });
            }
        }
    }
}

/// [`categorical_cross_entropy`] for one precision.
pub(super) fn categorical_cross_entropy_at<R: Real>(
    rows: usize,
    outputs: OutputSlices<'_, R>,
    values: &mut [R],
) {
    let OutputSlices { z, a, y } = outputs;
    assert!(z.len() == rows * values.len() && a.len() == z.len() && y.len() == z.len());
    if rows == 0 {
        return values.fill(R::ZERO);
    }
    launch(CategoricalCrossEntropy { rows, outputs }, values, &mut []);
}

/// values[k] = Σᵢ yᵢ (ln Σⱼ e^(zⱼ) − zᵢ), the categorical cross-entropy of a = softmax(z).
#[must_use]
pub(crate) fn categorical_cross_entropy<T: Scalar>(
    rows: usize,
    outputs: OutputSlices<'_, T>,
    values: &mut [T],
) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.categorical_cross_entropy)(rows, outputs, values);
    true
}

#[cfg(test)]
#[path = "costs_tests.rs"]
mod tests;
