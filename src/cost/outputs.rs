//! The arguments of a cost, with a − y and 1 − a more precise than the rounded a allows.

use crate::kernels::squash::{CANCELS, NEAR, Place, Squash, differences};
use crate::kernels::{flat, flat_mut, sum};
use crate::scalar::{Scalar, real, tanh};
use crate::softmax::error_of_unit;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// The arguments of a cost: the outputs of a batch and its targets, all K × m.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outputs<'a, T: Scalar> {
    /// z⁽ᴸ⁾, present exactly if the output activation has the cost's own [`Link`](super::Link): then compute from it.
    pub z: Option<DMatrixView<'a, T>>,
    /// a⁽ᴸ⁾.
    pub a: DMatrixView<'a, T>,
    /// The targets y.
    pub y: DMatrixView<'a, T>,
    /// How to compute a − y and 1 − a more precisely than from the rounded a.
    pub(crate) exact: Option<Exact<'a, T>>,
    /// Whether y is a, as for the Fisher information: then 1 − y is 1 − a.
    pub(crate) at_outputs: bool,
}

/// How to compute a − y and 1 − a more precisely than from the rounded a.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exact<'a, T: Scalar> {
    /// a is this function of z.
    Squashed(Squash, DMatrixView<'a, T>),
    /// a − y and 1 − a.
    #[cfg(feature = "num-dual")]
    Known(&'a Known<'a, T>),
}

/// a − y and 1 − a.
#[cfg(feature = "num-dual")]
#[derive(Debug)]
pub(crate) struct Known<'a, T: Scalar> {
    pub(crate) difference: DMatrixView<'a, T>,
    pub(crate) complement: DMatrixView<'a, T>,
}

/// The number of entries in a block on the stack.
const BLOCK: usize = 128;

impl<'a, T: Scalar> Outputs<'a, T> {
    /// Outputs and targets of equal shape; `z` only for a canonical pair.
    #[must_use]
    pub fn new(
        z: Option<DMatrixView<'a, T>>,
        a: DMatrixView<'a, T>,
        y: DMatrixView<'a, T>,
    ) -> Self {
        Self {
            z,
            a,
            y,
            exact: None,
            at_outputs: false,
        }
    }

    /// Adds z (K × m) and the activation that computed a from it, so that
    /// [`difference`](Self::difference) and [`complement`](Self::complement) are accurate.
    ///
    /// A network does this itself.
    ///
    /// # Example
    /// σ(40) rounds to 1, so a − y is 0 for y = 1. The true value is −σ(−40) = −4.2·10⁻¹⁸:
    /// ```
    /// use backprop::activation::{Activation, Sigmoid};
    /// use backprop::cost::{Cost, Outputs, SquaredError, Squash};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let (z, y) = (DMatrix::repeat(1, 1, 40.0_f64), DMatrix::repeat(1, 1, 1.0));
    /// let (mut a, mut delta) = (z.clone(), z.clone());
    /// Sigmoid.forward(z.as_view(), a.as_view_mut());
    ///
    /// let at = Outputs::new(None, a.as_view(), y.as_view());
    /// assert_eq!(at.difference(0, 0), 0.0);
    ///
    /// let at = at.squashed(Squash::Sigmoid, z.as_view());
    /// assert!((at.difference(0, 0) / -4.248_354_255_291_589e-18 - 1.0).abs() < 1e-15);
    /// SquaredError.delta(at, delta.as_view_mut());
    /// assert_eq!(delta[0], at.difference(0, 0));
    /// ```
    #[must_use]
    pub fn squashed(mut self, squash: Squash, z: DMatrixView<'a, T>) -> Self {
        self.exact = (z.shape() == self.a.shape()).then_some(Exact::Squashed(squash, z));
        self
    }

    /// Returns a − y for one unit and example, accurate even where a has rounded to y; NaN if there
    /// is no such entry.
    ///
    /// Near the constants of the [`Squash`], such as 0 and ±1, it is computed from z and accurate
    /// to all its digits. Elsewhere it is the plain difference. With dual numbers its derivative is
    /// that of a.
    #[must_use]
    pub fn difference(&self, unit: usize, example: usize) -> T {
        let at = (unit, example);
        let (Some(&a), Some(&y)) = (self.a.get(at), self.y.get(at)) else {
            return real(f64::NAN);
        };
        match self.exact {
            None => a - y,
            #[cfg(feature = "num-dual")]
            Some(Exact::Known(known)) => known.difference[at],
            Some(Exact::Squashed(squash, z)) => difference_of(squash, (z, self.a), at, y),
        }
    }

    /// Returns 1 − a for one unit and example, accurate even where a has rounded to 1; NaN if there
    /// is no such entry.
    #[must_use]
    pub fn complement(&self, unit: usize, example: usize) -> T {
        let at = (unit, example);
        let Some(&a) = self.a.get(at) else {
            return real(f64::NAN);
        };
        match self.exact {
            None => T::one() - a,
            #[cfg(feature = "num-dual")]
            Some(Exact::Known(known)) => known.complement[at],
            Some(Exact::Squashed(squash, z)) => -difference_of(squash, (z, self.a), at, T::one()),
        }
    }

    /// Returns the same with a as the targets.
    pub(crate) fn with_outputs_as_targets(self) -> Self {
        Self {
            y: self.a,
            at_outputs: true,
            ..self
        }
    }

    /// Writes a − y for all entries.
    pub(super) fn write_differences(&self, out: &mut DMatrixViewMut<'_, T>) {
        if let Some(out) = flat_mut(out)
            && self.differences(0..out.len(), out)
        {
            return;
        }
        let (rows, cols) = out.shape();
        for (i, k) in (0..cols).flat_map(|k| (0..rows).map(move |i| (i, k))) {
            out[(i, k)] = self.difference(i, k);
        }
    }

    /// Writes a − y for consecutive entries. Returns false, and writes nothing, if the matrices are
    /// not contiguous.
    fn differences(&self, range: Range<usize>, out: &mut [T]) -> bool {
        let (Some(a), Some(y)) = (flat(&self.a), flat(&self.y)) else {
            return false;
        };
        let y = &y[range.clone()];
        if let Some(Exact::Squashed(squash, z)) = self.exact {
            return flat(&z).is_some_and(|z| {
                let (rows, start) = (self.a.nrows(), range.start);
                differences(squash, Place { rows, start }, (z, a, y), out)
            });
        }
        if self.exact.is_some() {
            return false;
        }
        for (out, (&a, &y)) in out.iter_mut().zip(a[range].iter().zip(y)) {
            *out = a - y;
        }
        true
    }

    /// [`differences`](Self::differences) for 1 − a, of at most [`BLOCK`] entries.
    fn complements(&self, range: Range<usize>, out: &mut [T]) -> bool {
        let Some(a) = flat(&self.a) else {
            return false;
        };
        match self.exact {
            #[cfg(feature = "num-dual")]
            Some(Exact::Known(_)) => return false,
            Some(Exact::Squashed(squash, z)) => {
                let ones = [T::one(); BLOCK];
                let place = Place {
                    rows: self.a.nrows(),
                    start: range.start,
                };
                let done = flat(&z)
                    .is_some_and(|z| differences(squash, place, (z, a, &ones[..out.len()]), out));
                if !done {
                    return false;
                }
                out.iter_mut().for_each(|x| *x = -*x);
            }
            None => {
                for (out, &a) in out.iter_mut().zip(&a[range]) {
                    *out = T::one() - a;
                }
            }
        }
        true
    }

    /// values[k] = Σᵢ f(a − y).
    pub(super) fn sum_of_differences(&self, values: &mut [T], f: impl Fn(T) -> T) {
        let fill = |range: Range<usize>, out: &mut [T]| {
            let done = self.differences(range, out);
            if done {
                out.iter_mut().for_each(|d| *d = f(*d));
            }
            done
        };
        self.sum_over_units(values, fill, |i, k| f(self.difference(i, k)));
    }

    /// values[k] = Σᵢ f(a, 1 − a, y).
    pub(super) fn sum_with_complements(&self, values: &mut [T], f: impl Fn(T, T, T) -> T) {
        let fill = |range: Range<usize>, out: &mut [T]| {
            if out.len() > BLOCK {
                return false;
            }
            let (Some(a), Some(y)) = (flat(&self.a), flat(&self.y)) else {
                return false;
            };
            let done = self.complements(range.clone(), out);
            if done {
                let given = a[range.clone()].iter().zip(&y[range]);
                for (x, (&a, &y)) in out.iter_mut().zip(given) {
                    *x = f(a, *x, y);
                }
            }
            done
        };
        self.sum_over_units(values, fill, |i, k| {
            f(self.a[(i, k)], self.complement(i, k), self.y[(i, k)])
        });
    }

    /// out ← f(out, a − y), entry by entry.
    pub(super) fn with_differences(&self, out: &mut DMatrixViewMut<'_, T>, f: impl Fn(T, T) -> T) {
        let (rows, cols) = out.shape();
        for (i, k) in (0..cols).flat_map(|k| (0..rows).map(move |i| (i, k))) {
            out[(i, k)] = f(out[(i, k)], self.difference(i, k));
        }
    }

    /// out ← f(out, a, 1 − a, y), entry by entry.
    pub(super) fn with_complements(
        &self,
        out: &mut DMatrixViewMut<'_, T>,
        f: impl Fn(T, T, T, T) -> T,
    ) {
        if let (Some(a), Some(y), Some(out)) = (flat(&self.a), flat(&self.y), flat_mut(out)) {
            let mut block = [T::zero(); BLOCK];
            for start in (0..out.len()).step_by(BLOCK) {
                let range = start..(start + BLOCK).min(out.len());
                let rest = &mut block[..range.len()];
                if !self.complements(range.clone(), rest) {
                    let rows = self.a.nrows();
                    for (at, rest) in range.clone().zip(&mut *rest) {
                        *rest = self.complement(at % rows, at / rows);
                    }
                }
                let given = a[range.clone()].iter().zip(&y[range.clone()]);
                for ((out, rest), (&a, &y)) in out[range].iter_mut().zip(rest).zip(given) {
                    *out = f(*out, a, *rest, y);
                }
            }
            return;
        }
        let (rows, cols) = out.shape();
        for (i, k) in (0..cols).flat_map(|k| (0..rows).map(move |i| (i, k))) {
            let (d, at) = (out[(i, k)], (i, k));
            out[at] = f(d, self.a[at], self.complement(i, k), self.y[at]);
        }
    }

    /// Sums over the units in blocks of whole columns, or parts of one column, written by `fill`.
    /// Where `fill` returns false, `term` computes the entries one at a time.
    fn sum_over_units(
        &self,
        values: &mut [T],
        fill: impl Fn(Range<usize>, &mut [T]) -> bool,
        term: impl Fn(usize, usize) -> T,
    ) {
        let rows = self.a.nrows();
        if rows == 1 && fill(0..values.len(), values) {
            return;
        }
        values.fill(T::zero());
        if rows == 0 {
            return;
        }
        let mut block = [T::zero(); BLOCK];
        let part = rows.min(BLOCK);
        // A multiple of 16 columns, if that many fit, so that registers are full.
        let columns = match BLOCK / part {
            few @ 0..16 => few,
            many => many / 16 * 16,
        };
        for (c, values) in values.chunks_mut(columns).enumerate() {
            let first = c * columns;
            for i in (0..rows).step_by(part) {
                // Whole columns, or the units of one column from i on.
                let len = if part == rows {
                    rows * values.len()
                } else {
                    part.min(rows - i)
                };
                let start = first * rows + i;
                let terms = &mut block[..len];
                if !fill(start..start + len, terms) {
                    for (at, to) in (start..start + len).zip(&mut *terms) {
                        *to = term(at % rows, at / rows);
                    }
                }
                for (value, terms) in values.iter_mut().zip(terms.chunks(part)) {
                    *value += sum(terms);
                }
            }
        }
    }
}

/// a − y for any y, where a is `squash` of z: the kernels' formula, for one entry of any scalar.
fn difference_of<T: Scalar>(
    squash: Squash,
    (z, a): (DMatrixView<'_, T>, DMatrixView<'_, T>),
    (i, k): (usize, usize),
    y: T,
) -> T {
    let own = a[(i, k)];
    if squash == Squash::Softmax {
        let (z, a) = (z.column(k), a.column(k));
        let given = (z.as_slice(), a.as_slice());
        return error_of_unit(given, i, (y, T::one() - y, T::one()));
    }
    let d = own - y;
    if d.abs() < own.abs() * real(CANCELS) {
        let (base, offset) = parts(squash, z[(i, k)], own);
        return (base - y) + offset;
    }
    d
}

/// a as base + offset: a nearby constant and the remainder, accurate to its own last digit.
fn parts<T: Scalar>(squash: Squash, z: T, a: T) -> (T, T) {
    let (zero, one, half) = (T::zero(), T::one(), real::<T>(0.5));
    let positive = z > zero;
    let beside_one = |rest: T| match positive {
        true => (one, -rest),
        false => (-one, rest),
    };
    match squash {
        Squash::Sigmoid => sigmoid_parts(z),
        Squash::Tanh if a.abs() >= half => {
            let half = tail(-(z + z).abs());
            beside_one(half + half)
        }
        Squash::Softsign if a.abs() >= half => beside_one(one / (one + z.abs())),
        Squash::Exponential if z.abs() < real(NEAR) => (one, z.exp_m1()),
        Squash::Elu { alpha } if z < -half => {
            let alpha: T = real(alpha);
            (-alpha, alpha * z.exp())
        }
        _ => (zero, a),
    }
}

/// σ(z) as base + offset: ½ + ½ tanh(z/2) for |z| < 1, otherwise 1 − σ(−z) or 0 + σ(z).
pub(super) fn sigmoid_parts<T: Scalar>(z: T) -> (T, T) {
    let half: T = real(0.5);
    if z.abs() < T::one() {
        (half, tanh(z * half) * half)
    } else if z > T::zero() {
        (T::one(), -tail(-z))
    } else {
        (T::zero(), tail(z))
    }
}

/// σ(z) for z ≤ −1, as e − e · e/(1 + e) with e = eᶻ, where the rounding of 1 + e hardly matters.
fn tail<T: Scalar>(z: T) -> T {
    let e = z.exp();
    e - e * (e / (T::one() + e))
}
