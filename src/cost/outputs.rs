//! The arguments of a cost, with a − y and 1 − a computed more accurately than from the rounded a.

use super::exact::Exact;
use super::{HeadOutputs, Present};
use crate::activation::AnyActivation;
use crate::kernels::plain_softmax::{Column, UnitTarget, error_of_unit};
use crate::kernels::squash::{CANCELS, NEAR, OutputSlices, Squash, Window, differences};
use crate::kernels::{flat, flat_mut, sum};
use crate::scalar::{Scalar, real, tanh};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// The arguments of a cost: the outputs and the targets of a batch, all K × m.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outputs<'a, T: Scalar> {
    /// z⁽ᴸ⁾, present if the output activation has the same [`Link`](super::Link) as the cost. If it
    /// is present, compute the cost from z.
    pub z: Option<DMatrixView<'a, T>>,
    /// The outputs a⁽ᴸ⁾.
    pub a: DMatrixView<'a, T>,
    /// The targets y.
    pub y: DMatrixView<'a, T>,
    /// How to compute a − y and 1 − a more accurately than from the rounded a.
    pub(crate) exact: Option<Exact<'a, T>>,
    /// Whether y equals a, as it does for the Fisher information. Then 1 − y is 1 − a.
    pub(crate) at_outputs: bool,
    /// The heads of the network, for a cost of several.
    pub(crate) heads: Option<&'a HeadOutputs<'a, T>>,
    /// Their derivatives along a direction.
    pub(crate) tangents: Option<&'a HeadOutputs<'a, T>>,
    /// Whether heads are taken at a, although they have z.
    pub(crate) hides_z: bool,
    /// The units of each position, if the cost of an example is a sum over its positions.
    pub(crate) units: Option<usize>,
    /// Which targets are present; `None` if all are.
    pub(crate) present: Option<Present<'a>>,
    /// The first row, among the outputs of the cost.
    pub(crate) first: usize,
    /// The position of the first column, if the columns are positions.
    pub(crate) position: Option<usize>,
}

/// The number of entries in a block on the stack.
const BLOCK: usize = 128;

impl<'a, T: Scalar> Outputs<'a, T> {
    /// Collects outputs and targets of equal shape. Pass `z` only for a canonical pair.
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
            heads: None,
            tangents: None,
            hides_z: false,
            units: None,
            present: None,
            first: 0,
            position: None,
        }
    }

    /// Returns which of the outputs of the cost an entry is.
    pub(super) fn unit(&self, row: usize, column: usize) -> usize {
        let position = self.position.map_or(0, |first| first + column);
        self.first + position * self.a.nrows() + row
    }

    /// Adds z (K × m) and the activation that computed a from it.
    ///
    /// With these, [`difference`](Self::difference) and [`complement`](Self::complement) are
    /// accurate even where a has rounded to a constant. A network does this itself. A z whose shape
    /// differs from that of a is ignored.
    ///
    /// # Example
    /// σ(40) rounds to 1, so a − y is 0 for y = 1. The true value is −σ(−40) = −4.2·10⁻¹⁸:
    /// ```
    /// use backprop::activation::{Activation, Sigmoid};
    /// use backprop::cost::{Cost, Outputs, SquaredError};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let (z, y) = (DMatrix::repeat(1, 1, 40.0_f64), DMatrix::repeat(1, 1, 1.0));
    /// let (mut a, mut delta) = (z.clone(), z.clone());
    /// Sigmoid.forward(z.as_view(), a.as_view_mut());
    ///
    /// let at = Outputs::new(None, a.as_view(), y.as_view());
    /// assert_eq!(at.difference(0, 0), 0.0);
    ///
    /// let at = at.activated_by(Sigmoid, z.as_view());
    /// assert!((at.difference(0, 0) / -4.248_354_255_291_589e-18 - 1.0).abs() < 1e-15);
    /// SquaredError.delta(&at, delta.as_view_mut());
    /// assert_eq!(delta[0], at.difference(0, 0));
    /// ```
    #[must_use]
    pub fn activated_by(mut self, activation: AnyActivation, z: DMatrixView<'a, T>) -> Self {
        self.exact = activation.squash().map(|squash| Exact::Squashed(squash, z));
        self
    }

    /// Returns `exact` if it still fits a, which is a public field.
    fn exact(&self) -> Option<Exact<'a, T>> {
        self.exact.filter(|exact| {
            let shape = match exact {
                Exact::Squashed(_, z) => z.shape(),
                #[cfg(feature = "num-dual")]
                Exact::Known(known) => known.difference.shape(),
            };
            shape == self.a.shape()
        })
    }

    /// Returns a − y for one unit and example, or NaN if there is no such entry.
    ///
    /// It is accurate even where a has rounded to y. Near a constant to which outputs round, such
    /// as 0 or ±1, it is computed from z. Elsewhere it is the plain difference. With dual numbers
    /// its derivative is that of a.
    #[must_use]
    pub fn difference(&self, unit: usize, example: usize) -> T {
        let at = (unit, example);
        let (Some(&a), Some(&y)) = (self.a.get(at), self.y.get(at)) else {
            return real(f64::NAN);
        };
        match self.exact() {
            None => a - y,
            #[cfg(feature = "num-dual")]
            Some(Exact::Known(known)) => known.difference[at],
            Some(Exact::Squashed(squash, z)) => self.difference_from(squash, z, unit, example, y),
        }
    }

    /// Returns 1 − a for one unit and example, or NaN if there is no such entry.
    ///
    /// It is accurate even where a has rounded to 1.
    #[must_use]
    pub fn complement(&self, unit: usize, example: usize) -> T {
        let at = (unit, example);
        let Some(&a) = self.a.get(at) else {
            return real(f64::NAN);
        };
        match self.exact() {
            None => T::one() - a,
            #[cfg(feature = "num-dual")]
            Some(Exact::Known(known)) => known.complement[at],
            Some(Exact::Squashed(squash, z)) => {
                -self.difference_from(squash, z, unit, example, T::one())
            }
        }
    }

    /// Returns a − y for any y, where a is `squash` of z: the kernels' formula for one entry.
    fn difference_from(
        &self,
        squash: Squash,
        z: DMatrixView<'_, T>,
        unit: usize,
        example: usize,
        y: T,
    ) -> T {
        let at = (unit, example);
        let a = self.a[at];
        if squash == Squash::Softmax {
            let (z_k, a_k) = (z.column(example), self.a.column(example));
            let column = Column {
                z: z_k.as_slice(),
                a: a_k.as_slice(),
            };
            let (sum, others) = (T::one(), T::one() - y);
            return error_of_unit(column, unit, UnitTarget { y, sum, others });
        }
        let d = a - y;
        if d.abs() < a.abs() * real(CANCELS) {
            let (base, offset) = split(squash, z[at], a);
            return (base - y) + offset;
        }
        d
    }

    /// Returns the same outputs with themselves as targets.
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
        if let Some(Exact::Squashed(squash, z)) = self.exact() {
            return flat(&z).is_some_and(|z| {
                let (rows, start) = (self.a.nrows(), range.start);
                differences(
                    squash,
                    Window { rows, start },
                    OutputSlices { z, a, y },
                    out,
                )
            });
        }
        if self.exact().is_some() {
            return false;
        }
        for (out, (&a, &y)) in out.iter_mut().zip(a[range].iter().zip(y)) {
            *out = a - y;
        }
        true
    }

    /// Like [`differences`](Self::differences), but for 1 − a and at most [`BLOCK`] entries.
    fn complements(&self, range: Range<usize>, out: &mut [T]) -> bool {
        let Some(a) = flat(&self.a) else {
            return false;
        };
        match self.exact() {
            #[cfg(feature = "num-dual")]
            Some(Exact::Known(_)) => return false,
            Some(Exact::Squashed(squash, z)) => {
                let ones = [T::one(); BLOCK];
                let window = Window {
                    rows: self.a.nrows(),
                    start: range.start,
                };
                let y = &ones[..out.len()];
                let done = flat(&z)
                    .is_some_and(|z| differences(squash, window, OutputSlices { z, a, y }, out));
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

    /// Sums terms over the units of each example.
    ///
    /// `fill` writes blocks of whole columns, or of parts of one column. If it returns false,
    /// `term` computes the terms one at a time.
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
        // A multiple of 16 columns if 16 fit, so that the terms fill registers.
        let columns = match BLOCK / part {
            few @ 0..16 => few,
            many => many / 16 * 16,
        };
        for (c, values) in values.chunks_mut(columns).enumerate() {
            let first = c * columns;
            for i in (0..rows).step_by(part) {
                // Whole columns, or units of one column from i on.
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

/// Splits a into base + offset: a nearby constant, and the remainder, accurate to its own last
/// digit.
fn split<T: Scalar>(squash: Squash, z: T, a: T) -> (T, T) {
    let (zero, one, half) = (T::zero(), T::one(), real::<T>(0.5));
    let positive = z > zero;
    let beside_one = |rest: T| {
        if positive { (one, -rest) } else { (-one, rest) }
    };
    match squash {
        Squash::Sigmoid => sigmoid_split(z),
        Squash::Tanh if a.abs() >= half => {
            let half = sigmoid_tail(-(z + z).abs());
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

/// Splits σ(z) as ½ + ½ tanh(z/2) for |z| < 1, otherwise as 1 − σ(−z) or 0 + σ(z).
pub(super) fn sigmoid_split<T: Scalar>(z: T) -> (T, T) {
    let half: T = real(0.5);
    if z.abs() < T::one() {
        (half, tanh(z * half) * half)
    } else if z > T::zero() {
        (T::one(), -sigmoid_tail(-z))
    } else {
        (T::zero(), sigmoid_tail(z))
    }
}

/// Returns σ(z) for z ≤ −1 as e − e · e/(1 + e) with e = eᶻ. There the rounding of 1 + e hardly
/// matters.
fn sigmoid_tail<T: Scalar>(z: T) -> T {
    let e = z.exp();
    e - e * (e / (T::one() + e))
}
