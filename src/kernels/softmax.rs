//! Softmax of `f32` and `f64`, and sums and maxima of columns.

use super::activation_formulas::FastActivation;
use super::elementwise::activate_at;
use super::level::{Kernel, launch};
use super::real::Real;
use super::table::table;
use crate::scalar::Scalar;

/// Returns Σ xᵢ, from eight partial sums if there are at least 16 terms.
#[inline(always)]
pub(super) fn column_sum<R: Real>(x: &[R]) -> R {
    column_sum_of(x, x, |x, _| x)
}

/// Returns Σ f(xᵢ, yᵢ), from eight partial sums if there are at least 16 terms.
#[inline(always)]
pub(super) fn column_sum_of<R: Real>(x: &[R], y: &[R], f: impl Fn(R, R) -> R) -> R {
    let few = |x: &[R], y: &[R]| {
        let pairs = x.iter().zip(y);
        pairs.fold(R::ZERO, |sum, (&x, &y)| sum + f(x, y))
    };
    if x.len() < 16 {
        return few(x, y);
    }
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut sums = [R::ZERO; 8];
    for (x, y) in x.iter().zip(y) {
        (0..8).for_each(|i| sums[i] += f(x[i], y[i]));
    }
    sums.iter().fold(few(x_rest, y_rest), |sum, &x| sum + x)
}

/// Returns the largest entry of a non-empty slice. If there is a NaN, the result may be any entry.
#[inline(always)]
pub(super) fn column_max<R: Real>(x: &[R]) -> R {
    let larger = |best: R, x: R| if x > best { x } else { best };
    if x.len() < 16 {
        return x[1..].iter().fold(x[0], |best, &x| larger(best, x));
    }
    let (parts, rest) = x.as_chunks::<8>();
    let rest = rest.iter().fold(x[0], |best, &x| larger(best, x));
    let mut best = [x[0]; 8];
    for part in parts {
        (0..8).for_each(|i| best[i] = larger(best[i], part[i]));
    }
    best.iter().fold(rest, |best, &x| larger(best, x))
}

/// Subtracts its largest entry from each column.
struct Shift {
    rows: usize,
}

impl<R: Real> Kernel<R> for Shift {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        for_each_column(self.rows, a, shift);
    }
}

/// Divides each column by its sum.
struct Normalize {
    rows: usize,
}

impl<R: Real> Kernel<R> for Normalize {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        for_each_column(self.rows, a, normalize);
    }
}

// These are functions, not closures: only a function can be marked for inlining, and code that is
// not inlined is compiled for the portable level.

#[inline(always)]
fn shift<R: Real>(column: &mut [R]) {
    let shift = column_max(column);
    column.iter_mut().for_each(|z| *z -= shift);
}

#[inline(always)]
fn normalize<R: Real>(column: &mut [R]) {
    let total = column_sum(column);
    column.iter_mut().for_each(|a| *a /= total);
}

/// Calls f on each column. The common lengths are constants, which the compiler can exploit.
#[inline(always)]
fn for_each_column<R: Real>(rows: usize, a: &mut [R], f: impl Fn(&mut [R])) {
    match rows {
        2 => a.as_chunks_mut::<2>().0.iter_mut().for_each(|c| f(c)),
        3 => a.as_chunks_mut::<3>().0.iter_mut().for_each(|c| f(c)),
        4 => a.as_chunks_mut::<4>().0.iter_mut().for_each(|c| f(c)),
        _ => a.chunks_exact_mut(rows).for_each(f),
    }
}

/// [`softmax`] for one precision.
pub(super) fn softmax_at<R: Real>(rows: usize, values: &mut [R]) {
    /// The number of entries that stay in the first-level cache between the three loops.
    const PANEL: usize = 1024;
    if rows == 0 {
        return;
    }
    for panel in values.chunks_mut((PANEL / rows).max(1) * rows) {
        launch(Shift { rows }, panel, &mut []);
        activate_at(FastActivation::Exponential, panel, None);
        launch(Normalize { rows }, panel, &mut []);
    }
}

/// Replaces z in `values` by the softmax of each column of `rows` entries.
#[must_use]
pub(crate) fn softmax<T: Scalar>(rows: usize, values: &mut [T]) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.softmax)(rows, values);
    true
}
