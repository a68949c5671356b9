//! Outputs of squashing activations, accurate near the constants that they round to.
//!
//! Such an output is a sum base + offset: a nearby constant, and the remainder to its own last
//! digit. So a − y = (base − y) + offset is accurate even where a has rounded to y, or y is the
//! constant.

use super::compiled::table;
use super::elementwise::MAX_WIDTH;
use super::functions::{self, Real, polynomial};
use super::launch::{Kernel, head_length, launch};
use super::softmax::{largest, total, total_of};
use crate::scalar::Scalar;

/// An output activation that comes so close to a constant that a rounds to it.
///
/// Together with z it gives a cost the true distance of a from the constant: see
/// [`Outputs::squashed`](crate::cost::Outputs::squashed).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Squash {
    /// σ(z), near 0, ½ and 1.
    Sigmoid,
    /// tanh z, near −1 and 1.
    Tanh,
    /// z/(1 + |z|), near −1 and 1.
    Softsign,
    /// e^(zᵢ)/Σⱼ e^(zⱼ), near 0, 1/n (for n nearly equal largest outputs) and 1.
    Softmax,
    /// eᶻ, near 1.
    Exponential,
    /// α (eᶻ − 1) for z < 0, near −α: ELU, and SELU with its product λα as α.
    Elu {
        /// α.
        alpha: f64,
    },
}

/// The largest |z| for which the polynomial of the exponential gives eᶻ − 1; less than ½ ln 2.
pub(crate) const NEAR: f64 = 0.34;

/// a − y cancels if it is less than this fraction of a: then it amplifies the relative error of a.
pub(crate) const CANCELS: f64 = 0.75;

/// The output of one unit as base + offset.
pub(super) trait Parts<R>: Copy {
    fn parts<const FMA: bool>(self, z: R, a: R) -> (R, R);
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl<R: Real> Parts<R> for Sigmoid {
    #[inline(always)]
    fn parts<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        sigmoid_parts::<R, FMA>(z)
    }
}

/// σ(z) as ½ + ½ tanh(z/2) for |z| < 1, otherwise as 1 − σ(−z) or 0 + σ(z), with one division.
#[inline(always)]
pub(super) fn sigmoid_parts<R: Real, const FMA: bool>(z: R) -> (R, R) {
    let (e, less_one) = functions::times_exp_and_exp_m1::<R, FMA>(R::ONE, -z.size());
    let (near, positive) = (z.size() < R::ONE, z > R::ZERO);
    let quotient = (if near { -R::HALF * less_one } else { e }) / (R::ONE + e);
    let tail = tail::<R, FMA>(e, quotient);
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

#[derive(Clone, Copy)]
struct Tanh;

impl<R: Real> Parts<R> for Tanh {
    #[inline(always)]
    fn parts<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        // 1 − 2 σ(−2z).
        let e = functions::exp_below::<R, FMA>(-(z + z).size());
        let half = tail::<R, FMA>(e, e / (R::ONE + e));
        beside_one(z, a, half + half)
    }
}

/// Recomputes e/(1 + e) for e < ½ from the rounded quotient, as e − e · e/(1 + e). There the
/// rounding of 1 + e and of the division hardly matters.
#[inline(always)]
fn tail<R: Real, const FMA: bool>(e: R, quotient: R) -> R {
    (-e).times_plus::<FMA>(quotient, e)
}

#[derive(Clone, Copy)]
struct Softsign;

impl<R: Real> Parts<R> for Softsign {
    #[inline(always)]
    fn parts<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        beside_one(z, a, R::ONE / (R::ONE + z.size()))
    }
}

/// ±(1 − rest) with the sign of z, or a itself where a is not near ±1.
#[inline(always)]
fn beside_one<R: Real>(z: R, a: R, rest: R) -> (R, R) {
    let near = a.size() < R::HALF;
    (
        if near {
            R::ZERO
        } else {
            R::ONE.with_sign_of(z)
        },
        if near { a } else { -rest.with_sign_of(z) },
    )
}

#[derive(Clone, Copy)]
struct Exponential;

impl<R: Real> Parts<R> for Exponential {
    #[inline(always)]
    fn parts<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        let near = z.size() < R::of(NEAR);
        let less_one = exp_m1_near_zero::<R, FMA>(if near { z } else { R::ZERO });
        (
            if near { R::ONE } else { R::ZERO },
            if near { less_one } else { a },
        )
    }
}

/// eᶻ − 1 for |z| up to [`NEAR`].
#[inline(always)]
fn exp_m1_near_zero<R: Real, const FMA: bool>(z: R) -> R {
    (z * z).times_plus::<FMA>(polynomial::<R, FMA>(R::EXP, z), z)
}

#[derive(Clone, Copy)]
struct Elu<R> {
    alpha: R,
}

impl<R: Real> Parts<R> for Elu<R> {
    #[inline(always)]
    fn parts<const FMA: bool>(self, z: R, a: R) -> (R, R) {
        let below = z < -R::HALF;
        let e = functions::exp_below::<R, FMA>(if below { z } else { R::ZERO });
        (
            if below { -self.alpha } else { R::ZERO },
            if below { self.alpha * e } else { a },
        )
    }
}

/// out ← a − y, from base + offset where the plain difference cancels.
struct Difference<'a, R, P> {
    parts: P,
    z: &'a [R],
    a: &'a [R],
    y: &'a [R],
}

impl<R: Real, P: Parts<R>> Kernel<R> for Difference<'_, R, P> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, out: &mut [R], _: &mut [R]) {
        /// The entries that are tested together: if none cancels, all keep the plain difference.
        const PANEL: usize = 64;
        let n = head_length::<R>(false, out.len());
        let given = self.z[..n].chunks(PANEL).zip(self.a[..n].chunks(PANEL));
        let given = given.zip(self.y[..n].chunks(PANEL));
        for (out, ((z, a), y)) in out[..n].chunks_mut(PANEL).zip(given) {
            let mut cancels = false;
            for (d, (&a, &y)) in out.iter_mut().zip(a.iter().zip(y)) {
                *d = a - y;
                cancels |= d.size() < R::of(CANCELS) * a.size();
            }
            if cancels {
                let given = z.iter().zip(a).zip(y);
                for (d, ((&z, &a), &y)) in out.iter_mut().zip(given) {
                    let (base, offset) = self.parts.parts::<FMA>(z, a);
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

/// [`Difference`]; a tail shorter than a register goes through padded blocks.
fn difference<R: Real, P: Parts<R>>(parts: P, (z, a, y): Three<'_, R>, out: &mut [R]) {
    assert!(z.len() == out.len() && a.len() == out.len() && y.len() == out.len());
    let head = head_length::<R>(false, out.len());
    let (out, tail) = out.split_at_mut(head);
    if !out.is_empty() {
        launch(Difference { parts, z, a, y }, out, &mut []);
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
        launch(
            Difference { parts, z, a, y },
            &mut outs[..R::WIDTH],
            &mut [],
        );
        tail.copy_from_slice(&outs[..tail.len()]);
    }
}

/// z, a and y.
type Three<'a, R> = (&'a [R], &'a [R], &'a [R]);

/// Which entries of matrices with `rows` units are wanted: as many as there are results, from
/// `start` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) rows: usize,
    pub(crate) start: usize,
}

/// [`differences`] for one precision: z and a hold all entries, y only those that are wanted.
pub(super) fn differences_at<R: Real>(
    squash: Squash,
    place: Place,
    (z, a, y): Three<'_, R>,
    out: &mut [R],
) {
    if squash == Squash::Softmax {
        return softmax_delta_at(place, (z, a, y), false, out);
    }
    let range = place.start..place.start + out.len();
    let given = (&z[range.clone()], &a[range], y);
    match squash {
        Squash::Sigmoid => difference(Sigmoid, given, out),
        Squash::Tanh => difference(Tanh, given, out),
        Squash::Softsign => difference(Softsign, given, out),
        Squash::Exponential => difference(Exponential, given, out),
        Squash::Elu { alpha } => {
            let alpha = R::of(alpha);
            difference(Elu { alpha }, given, out);
        }
        Squash::Softmax => {}
    }
}

/// out ← a − y for the entries at `place`, accurate even where a has rounded to y. z and a hold all
/// entries, y only those that are wanted.
#[must_use]
pub(crate) fn differences<T: Scalar>(
    squash: Squash,
    place: Place,
    given: Three<'_, T>,
    out: &mut [T],
) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.differences)(squash, place, given, out);
    true
}

/// out ← aᵢ t − yᵢ of a softmax, where t is Σy or 1.
#[derive(Clone, Copy)]
struct SoftmaxDelta<'a, R> {
    place: Place,
    z: &'a [R],
    a: &'a [R],
    y: &'a [R],
    of_targets: bool,
}

impl<R: Real> Kernel<R> for SoftmaxDelta<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, out: &mut [R], _: &mut [R]) {
        // Makes the common lengths compile-time constants.
        match self.place.rows {
            2 => self.columns::<FMA>(2, out),
            3 => self.columns::<FMA>(3, out),
            4 => self.columns::<FMA>(4, out),
            10 => self.columns::<FMA>(10, out),
            rows => self.columns::<FMA>(rows, out),
        }
    }
}

impl<R: Real> SoftmaxDelta<'_, R> {
    /// Column by column. The first and the last column may be incomplete.
    #[inline(always)]
    fn columns<const FMA: bool>(self, rows: usize, out: &mut [R]) {
        let start = self.place.start;
        if start.is_multiple_of(rows) {
            let whole = out.len() / rows * rows;
            let given = self.z[start..]
                .chunks_exact(rows)
                .zip(self.a[start..].chunks_exact(rows));
            let given = given.zip(self.y.chunks_exact(rows));
            for (out, ((z, a), y)) in out[..whole].chunks_exact_mut(rows).zip(given) {
                softmax_column((z, a, y), 0, self.of_targets, out);
            }
            return self.parts(whole, rows, out);
        }
        self.parts(0, rows, out);
    }

    /// The columns from entry `done` on, each of which may be incomplete.
    #[inline(always)]
    fn parts(self, mut done: usize, rows: usize, out: &mut [R]) {
        while done < out.len() {
            let (column, first) = (
                (self.place.start + done) / rows,
                (self.place.start + done) % rows,
            );
            let n = (rows - first).min(out.len() - done);
            let whole = column * rows..(column + 1) * rows;
            let (z, a) = (&self.z[whole.clone()], &self.a[whole]);
            let (y, out) = (&self.y[done..done + n], &mut out[done..done + n]);
            softmax_column((z, a, y), first, self.of_targets, out);
            done += n;
        }
    }
}

/// [`SoftmaxDelta`] for one column, from unit `first` on, as a (t − y) − y (1 − a). For an a above
/// ½, t − y and 1 − a are computed as sums over the other units.
#[inline(always)]
fn softmax_column<R: Real>((z, a, y): Three<'_, R>, first: usize, of_targets: bool, out: &mut [R]) {
    let other_a = total_of(a, a, unless_near_one);
    let (sum, other_y) = if of_targets {
        (total(y), total_of(a, y, unless_near_one))
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
        softmax_near_the_top((z, a, y), first, sum, out);
    }
}

/// The same for the units whose z is near the largest, if there are at least two. With
/// u = e^(z − max z), δ is (u t − y Σu)/Σu. For the n units near the largest, u is written as
/// 1 + (e^(z − max z) − 1).
///
/// Not inlined, because few targets need it, and so compiled for the portable level only.
#[inline(never)]
fn softmax_near_the_top<R: Real>((z, a, y): Three<'_, R>, first: usize, sum: R, out: &mut [R]) {
    let (shift, top) = (largest(z), largest(a));
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

/// x, or 0 where a is above ½. At most one output of a softmax is.
#[inline(always)]
pub(super) fn unless_near_one<R: Real>(a: R, x: R) -> R {
    if a > R::HALF { R::ZERO } else { x }
}

fn softmax_delta_at<R: Real>(
    place: Place,
    (z, a, y): Three<'_, R>,
    of_targets: bool,
    out: &mut [R],
) {
    assert!(z.len() == a.len() && y.len() == out.len());
    assert!(place.start + out.len() <= a.len());
    if place.rows > 0 {
        let job = SoftmaxDelta {
            place,
            z,
            a,
            y,
            of_targets,
        };
        launch(job, out, &mut []);
    }
}

pub(super) fn categorical_delta_at<R: Real>(rows: usize, given: Three<'_, R>, delta: &mut [R]) {
    softmax_delta_at(Place { rows, start: 0 }, given, true, delta);
}

/// δᵢ = aᵢ Σy − yᵢ of a softmax, computed without cancellation.
#[must_use]
pub(crate) fn categorical_delta<T: Scalar>(
    rows: usize,
    given: Three<'_, T>,
    delta: &mut [T],
) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.categorical_delta)(rows, given, delta);
    true
}

#[cfg(test)]
#[path = "squash_tests.rs"]
mod tests;
