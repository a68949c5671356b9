//! One derivative: along a coordinate or a direction, with a second look where it disagrees.

use super::report::Verdict;
use crate::error::Error;
use crate::scalar::{Scalar, real, to_f64};
use rand_xoshiro::rand_core::Rng;

/// A line through θ within one block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// Along one entry.
    Entry(usize),
    /// Along a unit vector.
    Direction(Vec<f64>),
}

impl Line {
    /// A random unit vector with entries ±1/√n.
    pub(super) fn random(n: usize, random: &mut impl Rng) -> Self {
        let size = 1.0 / (n as f64).sqrt();
        let signs = (0..n).map(|_| {
            if random.next_u64() >> 63 == 0 {
                size
            } else {
                -size
            }
        });
        Self::Direction(signs.collect())
    }

    /// The analytic derivative along the line.
    pub(super) fn derivative<T: Scalar>(&self, gradient: &[T]) -> f64 {
        match self {
            Self::Entry(i) => to_f64(gradient[*i]),
            Self::Direction(v) => v.iter().zip(gradient).map(|(v, &g)| v * to_f64(g)).sum(),
        }
    }

    /// The size of θ along the line, at least 1: what steps are relative to.
    pub(super) fn size<T: Scalar>(&self, theta: &[T], start: usize) -> f64 {
        match self {
            Self::Entry(i) => to_f64(theta[start + i]).abs().max(1.0),
            Self::Direction(_) => 1.0,
        }
    }

    /// Moves `point` to t along the line from θ, and returns how far that is after rounding.
    pub(super) fn move_to<T: Scalar>(
        &self,
        theta: &[T],
        point: &mut [T],
        start: usize,
        t: f64,
    ) -> f64 {
        match self {
            Self::Entry(i) => {
                let i = start + i;
                point[i] = if t == 0.0 {
                    theta[i]
                } else {
                    theta[i] + real(t)
                };
                to_f64(point[i] - theta[i])
            }
            Self::Direction(v) => {
                for (i, v) in v.iter().enumerate() {
                    let i = start + i;
                    point[i] = if t == 0.0 {
                        theta[i]
                    } else {
                        theta[i] + real(t * v)
                    };
                }
                t
            }
        }
    }
}

/// \[f(h) − f(−h)\] over the distance really moved.
pub(super) fn central(
    along: &mut impl FnMut(f64) -> Result<(f64, f64), Error>,
    h: f64,
) -> Result<f64, Error> {
    let ((up, f_up), (down, f_down)) = (along(h)?, along(-h)?);
    Ok((f_up - f_down) / (up - down))
}

/// One comparison and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) analytic: f64,
    pub(super) numeric: f64,
    pub(super) verdict: Verdict,
    h: f64,
}

impl Outcome {
    pub(super) fn new(analytic: f64, numeric: f64, h: f64) -> Self {
        Self {
            analytic,
            numeric,
            verdict: Verdict::Agrees,
            h,
        }
    }

    /// The larger of the two in absolute value; NaN counts as nothing.
    pub(super) fn size(&self) -> f64 {
        self.analytic.abs().max(self.numeric.abs())
    }

    fn agrees(&self, numeric: f64, bound: f64) -> bool {
        (numeric - self.analytic).abs() <= bound
    }

    /// Decides between agreement, a kink and a wrong derivative. `rounding` is the rounding error of one value.
    pub(super) fn judge(
        &mut self,
        along: &mut impl FnMut(f64) -> Result<(f64, f64), Error>,
        bound: f64,
        rounding: f64,
    ) -> Result<(), Error> {
        if self.agrees(self.numeric, bound) {
            return Ok(());
        }
        self.verdict = Verdict::Wrong;
        if !self.analytic.is_finite() {
            return Ok(());
        }
        // Curvature: the error of a central difference falls with h², and one extrapolation removes it.
        let half = central(along, 0.5 * self.h)?;
        let extrapolated = half + (half - self.numeric) / 3.0;
        if self.agrees(extrapolated, bound) {
            (self.numeric, self.verdict) = (extrapolated, Verdict::Agrees);
            return Ok(());
        }
        // Kinks: steps that no longer reach one agree, as long as rounding leaves them any say.
        let difference = (self.numeric - self.analytic).abs();
        for shrink in [8.0, 64.0, 512.0] {
            let h = self.h / shrink;
            let noise = 8.0 * rounding / h;
            if noise > 0.25 * difference {
                break;
            }
            if self.agrees(central(along, h)?, bound + noise) {
                self.verdict = Verdict::SuspectedKink;
                return Ok(());
            }
        }
        // A kink right here: the slopes of both sides stay apart as h shrinks, and the derivative is between them.
        let (left, right) = slopes(along, self.h)?;
        let (near_left, near_right) = slopes(along, self.h / 8.0)?;
        let noise = 64.0 * rounding / self.h;
        let (gap, near_gap) = ((right - left).abs(), (near_right - near_left).abs());
        let (low, high) = (near_left.min(near_right), near_left.max(near_right));
        let between = self.analytic >= low - bound - noise && self.analytic <= high + bound + noise;
        if near_gap > 0.5 * gap && near_gap > 4.0 * (bound + noise) && between {
            self.verdict = Verdict::SuspectedKink;
        }
        Ok(())
    }
}

/// The slopes from the left and from the right.
fn slopes(
    along: &mut impl FnMut(f64) -> Result<(f64, f64), Error>,
    h: f64,
) -> Result<(f64, f64), Error> {
    let ((down, f_down), (_, f), (up, f_up)) = (along(-h)?, along(0.0)?, along(h)?);
    Ok(((f - f_down) / -down, (f_up - f) / up))
}
