//! Softmax of `f32` and `f64`, and the sums and maxima of columns.

use super::compiled::table;
use super::elementwise::{Function, activate_at};
use super::functions::Real;
use super::launch::{Kernel, launch};
use crate::scalar::Scalar;

/// Σ xᵢ, in eight partial sums if there are many.
#[inline(always)]
pub(super) fn total<R: Real>(x: &[R]) -> R {
    total_of(x, x, |x, _| x)
}

/// Σ f(xᵢ, yᵢ), in eight partial sums if there are many.
#[inline(always)]
pub(super) fn total_of<R: Real>(x: &[R], y: &[R], f: impl Fn(R, R) -> R) -> R {
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

/// The largest entry, in eight parts if there are many. With a NaN among them it may be any.
#[inline(always)]
pub(super) fn largest<R: Real>(x: &[R]) -> R {
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

/// Subtracts from each column its largest entry.
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

// Functions, as a closure cannot be made to inline, and what is not inlined is compiled for the portable level.

#[inline(always)]
fn shift<R: Real>(column: &mut [R]) {
    let shift = largest(column);
    column.iter_mut().for_each(|z| *z -= shift);
}

#[inline(always)]
fn normalize<R: Real>(column: &mut [R]) {
    let total = total(column);
    column.iter_mut().for_each(|a| *a /= total);
}

/// Calls f on each column, with the frequent lengths known to the compiler.
#[inline(always)]
fn for_each_column<R: Real>(rows: usize, a: &mut [R], f: impl Fn(&mut [R])) {
    match rows {
        2 => a.as_chunks_mut::<2>().0.iter_mut().for_each(|c| f(c)),
        3 => a.as_chunks_mut::<3>().0.iter_mut().for_each(|c| f(c)),
        4 => a.as_chunks_mut::<4>().0.iter_mut().for_each(|c| f(c)),
        _ => a.chunks_exact_mut(rows).for_each(f),
    }
}

pub(super) fn softmax_at<R: Real>(rows: usize, values: &mut [R]) {
    /// Entries that stay in the first cache between the three loops.
    const PANEL: usize = 1024;
    if rows == 0 {
        return;
    }
    for panel in values.chunks_mut((PANEL / rows).max(1) * rows) {
        launch(Shift { rows }, panel, &mut []);
        activate_at(Function::Exponential, panel, None);
        launch(Normalize { rows }, panel, &mut []);
    }
}

/// On entry `values` holds z, on return the softmax of each column.
#[must_use]
pub(crate) fn softmax<T: Scalar>(rows: usize, values: &mut [T]) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.softmax)(rows, values);
    true
}
