//! Outputs of squashing activations, accurate near the constants to which they round.
//!
//! Such an output is split into base + offset: a nearby constant and an accurate remainder.
//! So a − y = (base − y) + offset is accurate even if a has rounded to y, or y is the
//! constant.

use super::activation_formulas::{Elu, Exponential, Sigmoid, Softsign, Tanh};
use super::elementwise::MAX_WIDTH;
use super::level::{Kernel, head_length, launch};
use super::math::{self, polynomial};
use super::real::Real;
use super::softmax::{column_max, column_sum, column_sum_of};
use super::table::table;
use crate::scalar::Scalar;

/// An activation whose outputs come so close to a constant that they round to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Squash {
    /// σ(z), near 0, ½ and 1.
    Sigmoid,
    /// tanh z, near −1 and 1.
    Tanh,
    /// z/(1 + |z|), near −1 and 1.
    Softsign,
    /// e^(zᵢ)/Σⱼ e^(zⱼ), near 0, 1 and 1/n, where n is the number of nearly equal largest outputs.
    Softmax,
    /// eᶻ, near 1.
    Exponential,
    /// α (eᶻ − 1) for z < 0, near −α. For SELU, α is λα.
    Elu { alpha: f64 },
}

/// The largest |z| at which the exponential's polynomial gives eᶻ − 1. It is less than ½ ln 2.
pub(crate) const NEAR: f64 = 0.34;

/// a − y cancels if |a − y| is below this fraction of |a|. The subtraction then amplifies the
/// relative error of a.
pub(crate) const CANCELS: f64 = 0.75;

/// Splits the output of one unit into base and offset.
trait Split<R>: Copy {
    fn split<const FMA: bool>(self, z: R, a: R) -> (R, R);
}

impl<R: Real> Split<R> for Sigmoid {
    #[inline(always)]
    fn split<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        sigmoid_split::<R, FMA>(z)
    }
}

/// Splits σ(z) as ½ + ½ tanh(z/2) for |z| < 1, otherwise as 1 − σ(−z) or 0 + σ(z), with one
/// division.
#[inline(always)]
pub(super) fn sigmoid_split<R: Real, const FMA: bool>(z: R) -> (R, R) {
    let (e, less_one) = math::times_exp_and_exp_m1::<R, FMA>(R::ONE, -z.size());
    let (near, positive) = (z.size() < R::ONE, z > R::ZERO);
    let quotient = (if near { -R::HALF * less_one } else { e }) / (R::ONE + e);
    let tail = sigmoid_tail::<R, FMA>(e, quotient);
    let beyond = if positive { -tail } else { tail };
    let constant = if positive { R::ONE } else { R::ZERO };
    (
        if near { R::HALF } else { constant },
        if near {
            quotient.with_sign_of(z)
        } else {
            beyond
        },
    )
}

impl<R: Real> Split<R> for Tanh {
    #[inline(always)]
    fn split<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        // 1 − 2 σ(−2z).
        let e = math::exp_below::<R, FMA>(-(z + z).size());
        let half = sigmoid_tail::<R, FMA>(e, e / (R::ONE + e));
        beside_one(z, a, half + half)
    }
}

/// Recomputes e/(1 + e) for e < ½ from the rounded quotient, as e − e · e/(1 + e).
///
/// In this form, the rounding of 1 + e and of the division hardly matters.
#[inline(always)]
fn sigmoid_tail<R: Real, const FMA: bool>(e: R, quotient: R) -> R {
    (-e).times_plus::<FMA>(quotient, e)
}

impl<R: Real> Split<R> for Softsign {
    #[inline(always)]
    fn split<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        beside_one(z, a, R::ONE / (R::ONE + z.size()))
    }
}

/// Splits ±(1 − rest) with the sign of z, or takes a itself where it is not near ±1.
#[inline(always)]
fn beside_one<R: Real>(z: R, a: R, rest: R) -> (R, R) {
    let (one, rest) = (R::ONE.with_sign_of(z), -rest.with_sign_of(z));
    let near = a.size() < R::HALF;
    (
        if near { R::ZERO } else { one },
        if near { a } else { rest },
    )
}

impl<R: Real> Split<R> for Exponential {
    #[inline(always)]
    fn split<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        let near = z.size() < R::of(NEAR);
        let less_one = exp_m1_near_zero::<R, FMA>(if near { z } else { R::ZERO });
        (
            if near { R::ONE } else { R::ZERO },
            if near { less_one } else { a },
        )
    }
}

/// Returns eᶻ − 1 for |z| up to [`NEAR`].
#[inline(always)]
fn exp_m1_near_zero<R: Real, const FMA: bool>(z: R) -> R {
    (z * z).times_plus::<FMA>(polynomial::<R, FMA>(R::EXP, z), z)
}

impl<R: Real> Split<R> for Elu<R> {
    #[inline(always)]
    fn split<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        let below = z < -R::HALF;
        let e = math::exp_below::<R, FMA>(if below { z } else { R::ZERO });
        (
            if below { -self.negative } else { R::ZERO },
            if below { self.negative * e } else { a },
        )
    }
}

/// z, the outputs a and the targets y as slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputSlices<'a, R> {
    pub(crate) z: &'a [R],
    pub(crate) a: &'a [R],
    pub(crate) y: &'a [R],
}

/// out ← a − y, from base and offset where the plain difference cancels.
struct Difference<'a, R, S> {
    split: S,
    at: OutputSlices<'a, R>,
}

impl<R: Real, S: Split<R>> Kernel<R> for Difference<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, out: &mut [R], _: &mut [R]) {
        /// The number of entries tested together. If none cancels, all keep the plain difference.
        const PANEL: usize = 64;
        let n = head_length::<R>(false, out.len());
        let OutputSlices { z, a, y } = self.at;
        let given = z[..n].chunks(PANEL).zip(a[..n].chunks(PANEL));
        let given = given.zip(y[..n].chunks(PANEL));
        for (out, ((z, a), y)) in out[..n].chunks_mut(PANEL).zip(given) {
            let mut cancels = false;
            for (d, (&a, &y)) in out.iter_mut().zip(a.iter().zip(y)) {
                *d = a - y;
                cancels |= d.size() < R::of(CANCELS) * a.size();
            }
            if cancels {
                let given = z.iter().zip(a).zip(y);
                for (d, ((&z, &a), &y)) in out.iter_mut().zip(given) {
                    let (base, offset) = self.split.split::<FMA>(z, a);
                    let exact = (base - y) + offset;
                    *d = if d.size() < R::of(CANCELS) * a.size() {
                        exact
                    } else {
                        *d
                    };
                }
            }
        }
    }
}

/// Runs [`Difference`]. A tail shorter than a register goes through padded blocks.
fn difference<R: Real, S: Split<R>>(split: S, at: OutputSlices<'_, R>, out: &mut [R]) {
    let OutputSlices { z, a, y } = at;
    assert!(z.len() == out.len() && a.len() == out.len() && y.len() == out.len());
    let head = head_length::<R>(false, out.len());
    let (out, tail) = out.split_at_mut(head);
    if !out.is_empty() {
        launch(Difference { split, at }, out, &mut []);
    }
    let mut cancels = false;
    for (d, (&a, &y)) in tail.iter_mut().zip(a[head..].iter().zip(&y[head..])) {
        *d = a - y;
        cancels |= d.size() < R::of(CANCELS) * a.size();
    }
    if cancels {
        let mut blocks = [[R::ZERO; MAX_WIDTH]; 4];
        let [zs, a_s, ys, outs] = &mut blocks;
        zs[..tail.len()].copy_from_slice(&z[head..]);
        a_s[..tail.len()].copy_from_slice(&a[head..]);
        ys[..tail.len()].copy_from_slice(&y[head..]);
        let (z, a, y) = (&zs[..], &a_s[..], &ys[..]);
        let at = OutputSlices { z, a, y };
        launch(Difference { split, at }, &mut outs[..R::WIDTH], &mut []);
        tail.copy_from_slice(&outs[..tail.len()]);
    }
}

/// The entries of matrices with `rows` units for which differences are computed. They begin at
/// entry `start`, and there is one for each result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) rows: usize,
    pub(crate) start: usize,
}

/// [`differences`] for one precision.
pub(super) fn differences_at<R: Real>(
    squash: Squash,
    window: Window,
    at: OutputSlices<'_, R>,
    out: &mut [R],
) {
    let range = window.start..window.start + out.len();
    let part = OutputSlices {
        z: &at.z[range.clone()],
        a: &at.a[range],
        y: at.y,
    };
    match squash {
        Squash::Sigmoid => difference(Sigmoid, part, out),
        Squash::Tanh => difference(Tanh, part, out),
        Squash::Softsign => difference(Softsign, part, out),
        Squash::Exponential => difference(Exponential, part, out),
        Squash::Elu { alpha } => {
            let (positive, negative) = (R::ONE, R::of(alpha));
            difference(Elu { positive, negative }, part, out);
        }
        Squash::Softmax => softmax_delta_at(window, at, TargetSum::One, out),
    }
}

/// out ← a − y for the entries in `window`, accurate even where a has rounded to y.
///
/// z and a hold all entries, y only those in the window.
#[must_use]
pub(crate) fn differences<T: Scalar>(
    squash: Squash,
    window: Window,
    at: OutputSlices<'_, T>,
    out: &mut [T],
) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.differences)(squash, window, at, out);
    true
}

/// The factor t in a t − y of a softmax.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TargetSum {
    /// t = 1, for the plain difference.
    One,
    /// t = Σy, for δ of the categorical cross-entropy.
    OfColumn,
}

/// out ← aᵢ t − yᵢ of a softmax.
#[derive(Clone, Copy)]
struct SoftmaxDelta<'a, R> {
    window: Window,
    at: OutputSlices<'a, R>,
    sum: TargetSum,
}

impl<R: Real> Kernel<R> for SoftmaxDelta<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, out: &mut [R], _: &mut [R]) {
        // Makes the common lengths compile-time constants.
        match self.window.rows {
            2 => self.columns::<FMA>(2, out),
            3 => self.columns::<FMA>(3, out),
            4 => self.columns::<FMA>(4, out),
            10 => self.columns::<FMA>(10, out),
            rows => self.columns::<FMA>(rows, out),
        }
    }
}

impl<R: Real> SoftmaxDelta<'_, R> {
    /// Computes column by column. The first and the last column may be incomplete.
    #[inline(always)]
    fn columns<const FMA: bool>(self, rows: usize, out: &mut [R]) {
        let start = self.window.start;
        if start.is_multiple_of(rows) {
            let whole = out.len() / rows * rows;
            let OutputSlices { z, a, y } = self.at;
            let given = z[start..]
                .chunks_exact(rows)
                .zip(a[start..].chunks_exact(rows));
            let given = given.zip(y.chunks_exact(rows));
            for (out, ((z, a), y)) in out[..whole].chunks_exact_mut(rows).zip(given) {
                softmax_column(OutputSlices { z, a, y }, 0, self.sum, out);
            }
            return self.parts(whole, rows, out);
        }
        self.parts(0, rows, out);
    }

    /// Computes the columns from entry `done` on, each of which may be incomplete.
    #[inline(always)]
    fn parts(self, mut done: usize, rows: usize, out: &mut [R]) {
        while done < out.len() {
            let (column, first) = (
                (self.window.start + done) / rows,
                (self.window.start + done) % rows,
            );
            let n = (rows - first).min(out.len() - done);
            let whole = column * rows..(column + 1) * rows;
            let (z, a) = (&self.at.z[whole.clone()], &self.at.a[whole]);
            let (y, out) = (&self.at.y[done..done + n], &mut out[done..done + n]);
            softmax_column(OutputSlices { z, a, y }, first, self.sum, out);
            done += n;
        }
    }
}

/// [`SoftmaxDelta`] for one column, from unit `first` on, as a (t − y) − y (1 − a).
///
/// For an a above ½, t − y and 1 − a are computed as sums over the other units.
#[inline(always)]
fn softmax_column<R: Real>(
    column: OutputSlices<'_, R>,
    first: usize,
    sum: TargetSum,
    out: &mut [R],
) {
    let OutputSlices { z: _, a, y } = column;
    let of_targets = sum == TargetSum::OfColumn;
    let other_a = column_sum_of(a, a, unless_near_one);
    let (sum, other_y) = if of_targets {
        (column_sum(y), column_sum_of(a, y, unless_near_one))
    } else {
        (R::ONE, R::ZERO)
    };
    let mut cancels = false;
    for (d, (&a, &y)) in out.iter_mut().zip(a[first..].iter().zip(y)) {
        let near_one = a > R::HALF;
        let others = if near_one & of_targets {
            other_y
        } else {
            sum - y
        };
        let rest = if near_one { other_a } else { R::ONE - a };
        let gain = a * others;
        *d = gain - y * rest;
        cancels |= d.size() < R::HALF * gain;
    }
    if cancels {
        softmax_near_the_top(column, first, sum, out);
    }
}

/// Corrects [`softmax_column`] for the units whose z is near the largest, if there are at least
/// two.
///
/// With u = e^(z − max z), δ is (u t − y Σu)/Σu. For the n units near the largest, u is written as
/// 1 + (e^(z − max z) − 1).
///
/// Few targets need it, so it is not inlined, and is compiled for the portable level only.
#[inline(never)]
fn softmax_near_the_top<R: Real>(column: OutputSlices<'_, R>, first: usize, sum: R, out: &mut [R]) {
    let OutputSlices { z, a, y } = column;
    let (shift, top) = (column_max(z), column_max(a));
    let (mut n, mut less, mut far) = (R::ZERO, R::ZERO, R::ZERO);
    for (&z, &a) in z.iter().zip(a) {
        let gap = z - shift;
        if gap > -R::of(NEAR) {
            n += R::ONE;
            less += exp_m1_near_zero::<R, false>(gap);
        } else {
            far += a;
        }
    }
    if n < R::TWO {
        return;
    }
    let less = less + far / top;
    for (d, (&z, &y)) in out.iter_mut().zip(z[first..].iter().zip(y)) {
        let gap = z - shift;
        if gap > -R::of(NEAR) {
            let own = exp_m1_near_zero::<R, false>(gap);
            *d = top * ((sum - n * y) + (own * sum - y * less));
        }
    }
}

/// Returns x, or 0 where a is above ½, as at most one output of a softmax is.
#[inline(always)]
pub(super) fn unless_near_one<R: Real>(a: R, x: R) -> R {
    if a > R::HALF { R::ZERO } else { x }
}

fn softmax_delta_at<R: Real>(
    window: Window,
    at: OutputSlices<'_, R>,
    sum: TargetSum,
    out: &mut [R],
) {
    assert!(at.z.len() == at.a.len() && at.y.len() == out.len());
    assert!(window.start + out.len() <= at.a.len());
    if window.rows > 0 {
        launch(SoftmaxDelta { window, at, sum }, out, &mut []);
    }
}

/// [`categorical_cross_entropy_delta`] for one precision.
pub(super) fn categorical_cross_entropy_delta_at<R: Real>(
    rows: usize,
    at: OutputSlices<'_, R>,
    delta: &mut [R],
) {
    softmax_delta_at(Window { rows, start: 0 }, at, TargetSum::OfColumn, delta);
}

/// δᵢ = aᵢ Σy − yᵢ of a softmax, computed without cancellation.
#[must_use]
pub(crate) fn categorical_cross_entropy_delta<T: Scalar>(
    rows: usize,
    at: OutputSlices<'_, T>,
    delta: &mut [T],
) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.categorical_cross_entropy_delta)(rows, at, delta);
    true
}

#[cfg(test)]
#[path = "squash_tests.rs"]
mod tests;
