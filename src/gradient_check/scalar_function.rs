//! Compares the gradient of a scalar function with differences, and measures the noise of both.

use super::compare::{Bounds, Candidate};
use super::line::{Along, CheckedBlock, Line, Sample, direction, moved};
use super::report::Report;
use super::{GradientCheck, nan, noise, size};
use crate::allocation::allocate;
use crate::error::{Error, Location};
use crate::initialization::rng;
use crate::scalar::{Scalar, real, to_f64};

impl GradientCheck {
    /// Compares the gradient of J with differences of J around `theta`, and returns J there.
    /// `pass` returns J at a point, and writes ∇J if given a buffer. `hidden_noise` is the noise of
    /// J that is derived, not measured.
    pub(super) fn compare_gradient<T: Scalar>(
        &self,
        report: &mut Report,
        blocks: &[CheckedBlock],
        theta: &[T],
        hidden_noise: f64,
        mut pass: impl FnMut(&[T], Option<&mut [T]>) -> Result<T, Error>,
    ) -> Result<f64, Error> {
        let settings = self.settings::<T>()?;
        let mut gradient = allocate("the gradient", (theta.len(), 1), nan::<T>())?;
        let j = to_f64(pass(theta, Some(&mut gradient))?);
        if !j.is_finite() {
            return Err(Error::NonFinite {
                at: Location::TestedFunction,
                value: j,
            });
        }
        let bounds = Bounds {
            settings,
            scale: j.abs().max(size(&gradient)),
            many: false,
        };
        let noise = measure(theta, settings.step, &mut pass)?;
        let mut random = rng(self.seed);
        for block in blocks {
            let range = block.range();
            let lines = self.lines(block, &mut random).map(|line| Candidate {
                analytic: line.derivative(&gradient[range.clone()]),
                h: settings.step * line.size(&theta[range.clone()]),
                value_noise: noise.j,
                hidden_noise,
                claim_noise: line.noise(&noise.gradient[range.clone()]),
                line,
            });
            let mut along = Around {
                theta,
                point: theta.to_vec(),
                gradient: vec![nan(); theta.len()],
                block,
                pass: &mut pass,
            };
            bounds.compare(report, block, lines, &mut along)?;
        }
        Ok(j)
    }
}

/// The measured noise of J, and of each entry of ∇J.
struct Noise {
    j: f64,
    gradient: Vec<f64>,
}

/// Measures the noise while all of θ moves by a few units in the last place. The noise of J is
/// measured a step away too: at an exact fit J and its noise are 0, but near it they are not. If a
/// pass fails, the noise counts as 0.
fn measure<T: Scalar>(
    theta: &[T],
    step: f64,
    pass: &mut impl FnMut(&[T], Option<&mut [T]>) -> Result<T, Error>,
) -> Result<Noise, Error> {
    let p = theta.len();
    let direction = direction(theta, 0);
    let samples = (p, noise::SAMPLES);
    let mut gradients = allocate("the gradients near the point", samples, nan::<T>())?;
    let [mut values, mut beside] = [[f64::NAN; noise::SAMPLES]; 2];
    for (k, t) in noise::places::<T>().into_iter().enumerate() {
        let point = moved(theta, Some(&direction), t + real(step));
        if let Ok(j) = pass(&point, None) {
            beside[k] = to_f64(j);
        }
        let point = moved(theta, Some(&direction), t);
        if let Ok(j) = pass(&point, Some(&mut gradients[k * p..][..p])) {
            values[k] = to_f64(j);
        }
    }
    Ok(Noise {
        j: noise::level(&values).max(noise::level(&beside)),
        gradient: noise::levels(&gradients, p),
    })
}

/// J around θ, along lines within a block.
struct Around<'a, T, F> {
    theta: &'a [T],
    point: Vec<T>,
    gradient: Vec<T>,
    block: &'a CheckedBlock,
    pass: &'a mut F,
}

impl<T: Scalar, F: FnMut(&[T], Option<&mut [T]>) -> Result<T, Error>> Along for Around<'_, T, F> {
    fn value(&mut self, line: &Line, t: f64) -> Result<Sample, Error> {
        let start = self.block.start;
        let t = line.move_to(self.theta, &mut self.point, start, t);
        let found = (self.pass)(&self.point, None).map(to_f64);
        line.move_to(self.theta, &mut self.point, start, 0.0);
        Ok(Sample { t, value: found? })
    }

    fn claim(&mut self, line: &Line, t: f64) -> Result<f64, Error> {
        let start = self.block.start;
        line.move_to(self.theta, &mut self.point, start, t);
        let found = (self.pass)(&self.point, Some(&mut self.gradient));
        line.move_to(self.theta, &mut self.point, start, 0.0);
        found?;
        Ok(line.derivative(&self.gradient[self.block.range()]))
    }
}
