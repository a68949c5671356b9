//! Compares the derivative of a vector function of t with differences of the function.

use super::compare::{Bounds, Candidate};
use super::line::{Along, CheckedBlock, Line, Sample};
use super::report::Report;
use super::{GradientCheck, nan, noise, size};
use crate::error::{Error, Location};
use crate::initialization::rng;
use crate::kernels::first_non_finite;
use crate::scalar::{Scalar, real, to_f64};
use std::collections::BTreeMap;
use std::ops::Range;

/// The quantity to compute for a function of t.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Values,
    /// Their derivatives, by the code under test.
    Derivative,
}

/// A vector function of t, cached at the points computed so far. Its lines lie within `range`.
struct Known<T, F> {
    points: BTreeMap<(Asked, u64), Vec<T>>,
    range: Range<usize>,
    at: F,
}

impl<T: Scalar, F: FnMut(Asked, T) -> Result<Vec<T>, Error>> Known<T, F> {
    /// Returns the component along a line.
    fn component(&mut self, asked: Asked, line: &Line, t: f64) -> Result<Sample, Error> {
        let t: T = real(t);
        let moved = to_f64(t);
        let key = (asked, moved.to_bits());
        let point = match self.points.remove(&key) {
            Some(point) => point,
            None => (self.at)(asked, t)?,
        };
        let value = line.derivative(&point[self.range.clone()]);
        self.points.insert(key, point);
        Ok(Sample { t: moved, value })
    }
}

impl<T: Scalar, F: FnMut(Asked, T) -> Result<Vec<T>, Error>> Along for Known<T, F> {
    fn value(&mut self, line: &Line, t: f64) -> Result<Sample, Error> {
        self.component(Asked::Values, line, t)
    }

    fn claim(&mut self, line: &Line, t: f64) -> Result<f64, Error> {
        Ok(self.component(Asked::Derivative, line, t)?.value)
    }
}

impl GradientCheck {
    /// Compares `derivative`, the derivative of a function at t = 0, with differences of the
    /// function. `at` returns the values or the derivative at t. `output_noise` is the part of
    /// their relative error that cannot be measured.
    pub(super) fn compare_tangent<T: Scalar>(
        &self,
        report: &mut Report,
        blocks: &[CheckedBlock],
        derivative: &[T],
        output_noise: f64,
        mut at: impl FnMut(Asked, T) -> Result<Vec<T>, Error>,
    ) -> Result<(), Error> {
        let settings = self.settings::<T>()?;
        let at_0 = at(Asked::Values, T::zero())?;
        if let Some(index) = first_non_finite(&at_0) {
            let value = to_f64(at_0[index]);
            return Err(Error::NonFinite {
                at: Location::TestedFunction,
                value,
            });
        }
        let bounds = Bounds {
            settings,
            scale: size(&at_0).max(size(derivative)),
            many: true,
        };
        let n = at_0.len();
        let [value_noise, claim_noise] = [Asked::Values, Asked::Derivative].map(|asked| {
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
            range: 0..0,
            at,
        };
        let mut random = rng(self.seed);
        for block in blocks {
            let range = block.range();
            known.range = range.clone();
            let hidden = output_noise * size(&known.points[&(Asked::Values, 0)][range.clone()]);
            let lines = self.lines(block, &mut random).map(|line| Candidate {
                analytic: line.derivative(&derivative[range.clone()]),
                h: settings.step,
                value_noise: line.noise(&value_noise[range.clone()]),
                hidden_noise: hidden,
                claim_noise: line.noise(&claim_noise[range.clone()]),
                line,
            });
            bounds.compare(report, block, lines, &mut known)?;
        }
        Ok(())
    }
}
