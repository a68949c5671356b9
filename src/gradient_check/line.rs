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
    /// A random unit vector. Its entries differ in size, so that no two errors cancel for many of them.
    pub(super) fn random(n: usize, random: &mut impl Rng) -> Self {
        let entry = |_| (random.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        let mut v: Vec<f64> = (0..n).map(entry).collect();
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        Self::Direction(v)
    }

    /// The column of the block that the line moves in, if it is one.
    pub(super) fn column(&self, rows: usize) -> Option<usize> {
        match self {
            Self::Entry(i) => Some(i / rows),
            Self::Direction(_) => None,
        }
    }

    /// The analytic derivative along the line.
    pub(super) fn derivative<T: Scalar>(&self, gradient: &[T]) -> f64 {
        match self {
            Self::Entry(i) => to_f64(gradient[*i]),
            Self::Direction(v) => v.iter().zip(gradient).map(|(v, &g)| v * to_f64(g)).sum(),
        }
    }

    /// The size of θ along the line, at least 1: what steps are relative to.
    pub(super) fn size<T: Scalar>(&self, theta: &[T]) -> f64 {
        match self {
            Self::Entry(i) => to_f64(theta[*i]).abs().max(1.0),
            Self::Direction(_) => theta.iter().map(|&t| to_f64(t).abs()).fold(1.0, f64::max),
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
pub(super) fn central(along: &mut Along<'_>, h: f64) -> Result<f64, Error> {
    let ((up, f_up), (down, f_down)) = (along(h)?, along(-h)?);
    if up == down {
        return Err(Error::Hyperparameter {
            name: "the step of the gradient check",
            value: h,
            expected: "large enough to move θ",
        });
    }
    Ok((f_up - f_down) / (up - down))
}

/// The slopes from the left and from the right, free of curvature by one extrapolation.
fn slopes(along: &mut Along<'_>, h: f64) -> Result<(f64, f64), Error> {
    let (_, f) = along(0.0)?;
    let mut side = |h: f64| -> Result<f64, Error> {
        let ((whole, f_whole), (half, f_half)) = (along(h)?, along(0.5 * h)?);
        Ok(2.0 * (f_half - f) / half - (f_whole - f) / whole)
    };
    Ok((side(-h)?, side(h)?))
}

/// The function along a line: t to how far θ has really moved, and the value there.
pub(super) type Along<'a> = dyn FnMut(f64) -> Result<(f64, f64), Error> + 'a;

/// One comparison and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) analytic: f64,
    pub(super) numeric: f64,
    /// The difference allowed.
    pub(super) bound: f64,
    pub(super) verdict: Verdict,
    h: f64,
}

impl Outcome {
    pub(super) fn new(analytic: f64, numeric: f64, h: f64) -> Self {
        Self {
            analytic,
            numeric,
            bound: 0.0,
            verdict: Verdict::Agrees,
            h,
        }
    }

    /// The larger of the two in absolute value; what is not finite counts as nothing.
    pub(super) fn size(&self) -> f64 {
        let sizes = [self.analytic.abs(), self.numeric.abs()];
        sizes
            .into_iter()
            .filter(|x| x.is_finite())
            .fold(0.0, f64::max)
    }

    fn error(&self, numeric: f64) -> f64 {
        (numeric - self.analytic).abs()
    }

    /// Decides between agreement, a kink and a wrong derivative. `rounding` is the rounding error of one value. Where many units move at once
    /// several may have a kink here, and the derivative is not between the slopes; and values that are derivatives jump there.
    pub(super) fn judge(
        &mut self,
        along: &mut Along<'_>,
        (bound, rounding): (f64, f64),
        many: bool,
    ) -> Result<(), Error> {
        self.bound = bound;
        let difference = self.error(self.numeric);
        if difference <= bound {
            return Ok(());
        }
        self.verdict = Verdict::Wrong;
        if !difference.is_finite() {
            return Ok(());
        }
        // Curvature: the error of a central difference falls with h², and one extrapolation removes it.
        let half = central(along, 0.5 * self.h)?;
        let extrapolated = half + (half - self.numeric) / 3.0;
        if self.error(extrapolated) <= bound {
            (self.numeric, self.verdict) = (extrapolated, Verdict::Agrees);
            return Ok(());
        }
        // Smaller steps agree where J is smooth but wild, and where they no longer reach a kink.
        let mut looked = false;
        for shrink in [8.0, 64.0, 512.0] {
            let h = self.h / shrink;
            let noise = 8.0 * rounding / h;
            if noise > 0.25 * difference {
                break;
            }
            looked = true;
            let numeric = central(along, h)?;
            if self.error(numeric) > bound + noise
                || (numeric - self.numeric).abs() < 0.5 * difference
            {
                continue;
            }
            // A smooth J makes the error fall 4-fold with half the step; at a kink it falls at any rate, or at once.
            let fall = self.error(half) / difference;
            self.verdict = if (0.2..0.3).contains(&fall) {
                self.numeric = numeric;
                Verdict::Agrees
            } else {
                Verdict::SuspectedKink
            };
            return Ok(());
        }
        // A kink right here: the slopes of both sides stay as far apart as h shrinks, and the derivative is between them.
        // (Where J is smooth there is no gap; at a jump, or in noise, it grows.)
        let between = |(left, right): (f64, f64), slack: f64| {
            let apart = (right - left).abs() > 4.0 * slack;
            let (low, high) = (left.min(right) - slack, left.max(right) + slack);
            apart && (many || (low..=high).contains(&self.analytic))
        };
        let wide = slopes(along, self.h)?;
        let noise = 8.0 * rounding / self.h;
        let kink = if looked {
            let near = slopes(along, self.h / 8.0)?;
            let ratio = (near.1 - near.0).abs() / (wide.1 - wide.0).abs();
            // A jump is of the same height over any step: what is left beside the derivative grows 8-fold.
            let left = central(along, self.h / 8.0)? - self.analytic;
            let growth = left / (self.numeric - self.analytic);
            let jump = many && (7.2..8.8).contains(&growth);
            jump || between(near, bound + 8.0 * noise) && (0.5..2.0).contains(&ratio)
        } else {
            // Rounding leaves no second look (as a rule in f32): all that can be said is that a kink would explain it.
            between(wide, bound + noise)
        };
        if kink {
            self.verdict = Verdict::SuspectedKink;
        }
        Ok(())
    }
}
