//! What is shared by the checks of tangents, and those of a single activation and cost.

use super::compare::{Bounds, Candidate, Norms};
use super::judge::{Allowed, Outcome};
use super::line::{Along, Line};
use super::parts::{block, check_not_empty, cotangent};
use super::{BlockReport, GradientCheck, Named, Report, Verdict, nan, noise, size};
use crate::activation::Activation;
use crate::cost::{Cost, Outputs};
use crate::error::{Error, Location};
use crate::examples::{Columns, check_finite};
use crate::initialization::rng;
use crate::kernels::first_non_finite;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrix, DMatrixView};
use std::collections::BTreeMap;

/// Two numbers that should be equal, and the size of the terms that each is a sum of.
pub(super) struct Pair {
    found: f64,
    expected: f64,
    size: f64,
}

impl Pair {
    /// Inner products ⟨a, b⟩ and ⟨c, d⟩. Their size is the root of the sum of squares of the terms: that of an inner product whose terms have random signs.
    pub(super) fn of_products<T: Scalar>((a, b): (&[T], &[T]), (c, d): (&[T], &[T])) -> Self {
        let ((found, size), (expected, other)) = (product(a, b), product(c, d));
        Self {
            found,
            expected,
            size: size.max(other),
        }
    }

    /// ⟨v, G v⟩ beside itself, or beside 0 if it is less.
    pub(super) fn at_least_0<T: Scalar>(v: &[T], product_with_g: &[T]) -> Self {
        let (found, size) = product(v, product_with_g);
        Self {
            found,
            expected: found.max(0.0),
            size,
        }
    }
}

/// ⟨a, b⟩ and the root of the sum of squares of its terms.
fn product<T: Scalar>(a: &[T], b: &[T]) -> (f64, f64) {
    let terms = || a.iter().zip(b).map(|(&a, &b)| to_f64(a) * to_f64(b));
    (terms().sum(), terms().fold(0.0, f64::hypot))
}

/// A random direction in which every entry moves by ½ to 3/2 of its size, which counts as at least 1.
pub(super) fn direction<T: Scalar>(at: &[T], seed: u64) -> Vec<T> {
    let r = cotangent::<T>(at.len(), 1, seed);
    let entries = r.iter().zip(at);
    entries.map(|(&r, &x)| r * x.abs().max(T::one())).collect()
}

/// x + t ẋ, or x itself where it does not move.
pub(super) fn moved<T: Scalar>(x: &[T], along: Option<&[T]>, t: T) -> Vec<T> {
    match along {
        Some(along) => x.iter().zip(along).map(|(&x, &d)| x + t * d).collect(),
        None => x.to_vec(),
    }
}

/// What to compute for a function of t.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Values,
    /// Their derivatives, by the code under test.
    Derivative,
}

/// A vector function of t, cached at the points computed so far, along lines within a block.
struct Known<T, F> {
    points: BTreeMap<(Asked, u64), Vec<T>>,
    start: usize,
    len: usize,
    at: F,
}

impl<T: Scalar, F: FnMut(Asked, T) -> Result<Vec<T>, Error>> Known<T, F> {
    /// Returns the t actually reached, and the component along a line.
    fn component(&mut self, asked: Asked, line: &Line, t: f64) -> Result<(f64, f64), Error> {
        let t: T = real(t);
        let moved = to_f64(t);
        let key = (asked, moved.to_bits());
        let point = match self.points.remove(&key) {
            Some(point) => point,
            None => (self.at)(asked, t)?,
        };
        let value = line.derivative(&point[self.start..self.start + self.len]);
        self.points.insert(key, point);
        Ok((moved, value))
    }
}

impl<T: Scalar, F: FnMut(Asked, T) -> Result<Vec<T>, Error>> Along for Known<T, F> {
    fn value(&mut self, line: &Line, t: f64) -> Result<(f64, f64), Error> {
        self.component(Asked::Values, line, t)
    }

    fn claim(&mut self, line: &Line, t: f64) -> Result<f64, Error> {
        Ok(self.component(Asked::Derivative, line, t)?.1)
    }
}

/// How far two ways of computing an entry may differ, in roundings of the largest entry.
const ROUNDINGS: f64 = 64.0;

impl GradientCheck {
    /// Compares `derivative`, that of a function at t = 0, with differences of the function. `at`
    /// returns the values or the derivative at t. `output_noise` is the part of their relative
    /// error that cannot be measured.
    pub(super) fn compare_along<T: Scalar>(
        &self,
        blocks: &[Named],
        derivative: &[T],
        output_noise: f64,
        mut at: impl FnMut(Asked, T) -> Result<Vec<T>, Error>,
    ) -> Result<Vec<BlockReport>, Error> {
        let settings = self.settings::<T>()?;
        let at_0 = at(Asked::Values, T::zero())?;
        if let Some(index) = first_non_finite(&at_0) {
            let value = to_f64(at_0[index]);
            return Err(Error::NonFinite {
                at: Location::Objective,
                value,
            });
        }
        let bounds = Bounds {
            settings,
            scale: size(&at_0).max(size(derivative)),
            many: true,
        };
        let n = at_0.len();
        let noises = [Asked::Values, Asked::Derivative].map(|asked| {
            let mut samples = Vec::with_capacity(noise::SAMPLES * n);
            for t in noise::places::<T>() {
                match at(asked, t) {
                    Ok(sample) => samples.extend(sample),
                    // If a pass fails, no noise can be measured.
                    Err(_) => samples.resize(samples.len() + n, nan()),
                }
            }
            noise::levels(&samples, n)
        });
        // All entries have the same points.
        let mut known = Known {
            points: BTreeMap::from([((Asked::Values, 0_u64), at_0)]),
            start: 0,
            len: 0,
            at,
        };
        let (mut report, mut random) = (Report::new(f64::NAN, &settings), rng(self.seed));
        for block in blocks {
            let range = block.start..block.start + block.len;
            (known.start, known.len) = (block.start, block.len);
            let hidden = output_noise * size(&known.points[&(Asked::Values, 0)][range.clone()]);
            let lines = self.lines(block, &mut random).map(|line| Candidate {
                analytic: line.derivative(&derivative[range.clone()]),
                h: settings.step,
                value_noise: line.noise(&noises[0][range.clone()]),
                hidden_noise: hidden,
                claim_noise: line.noise(&noises[1][range.clone()]),
                line,
            });
            bounds.compare(&mut report, block, lines, &mut known)?;
        }
        Ok(report.blocks)
    }

    /// Compares entries with their expected values, within the tolerance and the rounding of sums.
    pub(super) fn compare_entries<T: Scalar>(
        &self,
        blocks: &[Named],
        found: &[T],
        expected: &[T],
    ) -> Result<Vec<BlockReport>, Error> {
        let settings = self.settings::<T>()?;
        let scale = size(found).max(size(expected));
        let (mut report, mut random) = (Report::new(f64::NAN, &settings), rng(self.seed));
        for block in blocks {
            let range = block.start..block.start + block.len;
            let mut norms = Norms::default();
            let pairs = self.lines(block, &mut random).map(|line| {
                let analytic = line.derivative(&found[range.clone()]);
                let outcome =
                    Outcome::new(analytic, line.derivative(&expected[range.clone()]), 1.0);
                norms.add(line.column(block.rows), outcome.size());
                (line, outcome)
            });
            let mut outcomes: Vec<_> = pairs.collect();
            for (line, outcome) in &mut outcomes {
                let norm = norms.of(line.column(block.rows));
                outcome.settle(&Allowed {
                    tolerance: settings.relative * norm,
                    floor: (settings.floor + ROUNDINGS * settings.precision) * scale,
                    value_noise: 0.0,
                    hidden_noise: 0.0,
                    claim_noise: 0.0,
                    norm,
                    precision: settings.precision,
                    many: false,
                });
            }
            report.push(block, &outcomes);
        }
        Ok(report.blocks)
    }

    /// Compares inner products, a row with an entry for each pair. One that is off has the verdict `failing`.
    pub(super) fn compare_pairs<T: Scalar>(
        &self,
        label: &str,
        pairs: &[Pair],
        failing: Verdict,
    ) -> Result<Vec<BlockReport>, Error> {
        let settings = self.settings::<T>()?;
        let mut report = Report::new(f64::NAN, &settings);
        let outcomes = pairs.iter().enumerate().map(|(k, pair)| {
            let mut outcome = Outcome::new(pair.found, pair.expected, settings.step);
            outcome.bound = (settings.relative + settings.floor) * pair.size;
            let agrees = (pair.found - pair.expected).abs() <= outcome.bound;
            if !agrees {
                outcome.verdict = failing;
            }
            (Line::Entry(k), outcome)
        });
        let outcomes: Vec<_> = outcomes.collect();
        report.push(&block(label, 1, 0, pairs.len()), &outcomes);
        Ok(report.blocks)
    }

    /// Checks the tangents of one activation at z (s × m), along random ż and δ̇ and for a random δ.
    ///
    /// The report has the rows `ȧ`, of [`forward_tangent`](Activation::forward_tangent), held against differences of `forward`; `δ̇`, of
    /// [`backward_tangent`](Activation::backward_tangent), against differences of `backward`; and `δ`, which that computes as well, against `backward` itself. Buffers to be
    /// written hold NaN before. Prove `backward` by [`activation`](Self::activation) first.
    ///
    /// # Errors
    /// Those of [`activation`](Self::activation), and [`Error::Unsupported`] if the activation has no tangents.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{GradientCheck, activation::Tanh};
    ///
    /// let z = DMatrix::from_row_slice(2, 2, &[0.5, -1.0, 2.0, 0.1]);
    /// let report = GradientCheck::new().activation_tangents(&Tanh, &z)?;
    /// report.assert_passed();
    /// let rows: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
    /// assert_eq!(rows, ["ȧ", "δ̇", "δ"]);
    /// assert_eq!(report.blocks[0].compared, 4);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn activation_tangents<'a, T: Scalar, A: Activation<T> + ?Sized>(
        &self,
        activation: &A,
        z: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let z = z.columns_view();
        check_not_empty("z", z)?;
        check_finite("z", z)?;
        activation.validate()?;
        let ((rows, cols), z) = (z.shape(), z.clone_owned());
        let n = rows * cols;
        let matrix = |entries: Vec<T>| DMatrix::from_vec(rows, cols, entries);
        let z_dot = matrix(direction(z.as_slice(), self.seed));
        let delta = cotangent(rows, cols, self.seed.wrapping_add(1));
        let delta_dot = cotangent(rows, cols, self.seed.wrapping_add(2));
        // a and what becomes of δ, at t.
        let plain = |t: T| {
            let z = matrix(moved(z.as_slice(), Some(z_dot.as_slice()), t));
            let mut delta = matrix(moved(delta.as_slice(), Some(delta_dot.as_slice()), t));
            let mut a = DMatrix::repeat(rows, cols, nan());
            activation.forward(z.as_view(), a.as_view_mut());
            activation.backward(z.as_view(), a.as_view(), delta.as_view_mut());
            [a.as_slice(), delta.as_slice()].concat()
        };
        // ȧ and δ̇ by the activation's tangent methods, and the δ computed with them.
        let tangent = |t: T| {
            let z = matrix(moved(z.as_slice(), Some(z_dot.as_slice()), t));
            let mut back = matrix(moved(delta.as_slice(), Some(delta_dot.as_slice()), t));
            let mut a = DMatrix::repeat(rows, cols, nan());
            activation.forward(z.as_view(), a.as_view_mut());
            let (z, a, z_dot) = (z.as_view(), a.as_view(), z_dot.as_view());
            let mut a_dot = DMatrix::repeat(rows, cols, nan());
            activation.forward_tangent(z, a, z_dot, a_dot.as_view_mut())?;
            let mut back_dot = delta_dot.clone();
            let pair = (back.as_view_mut(), back_dot.as_view_mut());
            activation.backward_tangent(z, a, z_dot, pair.0, pair.1)?;
            Ok(([a_dot.as_slice(), back_dot.as_slice()].concat(), back))
        };
        let at_0 = plain(T::zero());
        let (tangents, back) = tangent(T::zero())?;

        let mut report = Report::new(f64::NAN, &self.settings::<T>()?);
        let blocks = [block("ȧ", rows, 0, n), block("δ̇", rows, n, n)];
        let of_tangents = self.compare_along(&blocks, &tangents, 0.0, |asked, t| match asked {
            Asked::Values => Ok(plain(t)),
            Asked::Derivative => Ok(tangent(t)?.0),
        })?;
        report.blocks.extend(of_tangents);
        let of_delta = [block("δ", rows, 0, n)];
        let of_delta = self.compare_entries(&of_delta, back.as_slice(), &at_0[n..])?;
        report.blocks.extend(of_delta);
        Ok(report)
    }

    /// Checks [`delta_tangent`](Cost::delta_tangent) of one cost at the outputs a = g(z) and the targets y, all K × m, along random ȧ and ż: against differences of
    /// [`delta`](Cost::delta).
    ///
    /// The report has a row `∂²cost/∂a² ȧ`. If cost and activation are a canonical pair, it has a row `∂²cost/∂z² ż` for the cost's own way from z, and
    /// `∂²cost/∂a² ȧ` only if no output is within a step of the edge of the cost's domain.
    ///
    /// # Errors
    /// Those of [`cost`](Self::cost), and [`Error::Unsupported`] if the cost has no tangent.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, GradientCheck, activation::Sigmoid};
    ///
    /// let (z, y) = (DMatrix::from_row_slice(1, 2, &[0.5, -1.0]), DMatrix::from_row_slice(1, 2, &[1.0, 0.0]));
    /// let report = GradientCheck::new().cost_tangent(&BinaryCrossEntropy, &Sigmoid, &z, &y)?;
    /// report.assert_passed();
    /// let rows: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
    /// assert_eq!(rows, ["∂²cost/∂a² ȧ", "∂²cost/∂z² ż"]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn cost_tangent<'a, T: Scalar, C: Cost<T> + ?Sized, A: Activation<T> + ?Sized>(
        &self,
        cost: &C,
        activation: &A,
        z: impl Columns<'a, T>,
        y: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let (z, y) = (z.columns_view(), y.columns_view());
        let (a, linked, has_room) = self.outputs_of(cost, activation, z, y)?;
        let ((rows, cols), z) = (z.shape(), z.clone_owned());
        let mut report = Report::new(f64::NAN, &self.settings::<T>()?);
        let paths = [("∂²cost/∂a² ȧ", &a, false), ("∂²cost/∂z² ż", &z, true)];
        for (label, place, of_z) in paths {
            if !(if of_z { linked } else { has_room }) {
                continue;
            }
            let dot = direction(place.as_slice(), self.seed);
            // What the cost is evaluated at, `place` moved by t.
            let at = |t: T| {
                let entries = moved(place.as_slice(), Some(&dot), t);
                let place = DMatrix::from_vec(rows, cols, entries);
                let mut a = place.clone();
                if of_z {
                    a.fill(nan());
                    activation.forward(place.as_view(), a.as_view_mut());
                }
                (of_z.then_some(place), a)
            };
            let of = |asked, t: T| {
                let (z, a) = at(t);
                let outputs = Outputs::new(z.as_ref().map(DMatrix::as_view), a.as_view(), y);
                let mut found = DMatrix::repeat(rows, cols, nan());
                let dot = DMatrixView::from_slice(&dot, rows, cols);
                match asked {
                    Asked::Values => cost.delta(outputs, found.as_view_mut()),
                    Asked::Derivative => {
                        cost.delta_tangent(outputs, dot, found.as_view_mut())?;
                    }
                }
                Ok(found.as_slice().to_vec())
            };
            let found = of(Asked::Derivative, T::zero())?;
            let blocks = [block(label, rows, 0, rows * cols)];
            let compared = self.compare_along(&blocks, &found, 0.0, of);
            report.blocks.extend(compared?);
        }
        Ok(report)
    }
}
