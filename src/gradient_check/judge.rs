//! One comparison, with a closer look where the two derivatives disagree.

use super::line::{Line, On, Slopes};
use super::noise;
use crate::error::Error;

/// The noise allowed in a difference, in units of σ/h. A central difference has the standard
/// deviation σ/(√2 h), so 8 σ/h is eleven standard deviations.
const DEVIATIONS: f64 = 8.0;

/// A comparison is conclusive only if the resolution is at most this fraction of the column's
/// largest derivative.
const RESOLVED: f64 = 0.1;

/// The outcome of comparing an analytic with a numerical derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// They agree within the bound.
    Agrees,
    /// They differ, but the function has a kink within the step (a point where the slope jumps, as
    /// ReLU's does at 0), and the derivative is right next to it.
    SuspectedKink,
    /// They agree within the bound, but rounding is too large, compared with the derivatives, for
    /// that to prove anything.
    Undecided,
    /// They differ by more than the bound, and the scalar type is too coarse to show why.
    ///
    /// Smaller steps would distinguish a kink or strong curvature from a wrong derivative, but they
    /// would be lost in rounding. The values near the point do not contradict the derivative there.
    /// This is rare in `f64`; in `f32`, check `network.map(f64::from)?`.
    Unresolved,
    /// An optional method returned [`Error::Unsupported`](crate::Error::Unsupported), so nothing
    /// was compared.
    NotProvided,
    /// A Gauss–Newton matrix is not semidefinite: v·G v < 0. The cost is not convex there, which is
    /// an error only if the cost should be convex.
    Indefinite,
    /// They differ, and the derivative is wrong.
    Wrong,
}

/// The bounds on the difference of two derivatives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Allowed {
    /// The relative tolerance times the scale.
    pub(super) tolerance: f64,
    /// The floor set by the user, times its scale.
    pub(super) floor: f64,
    /// The measured noise of one value.
    pub(super) value_noise: f64,
    /// The noise that cannot be measured, because neighbouring values round the same way.
    pub(super) hidden_noise: f64,
    /// The noise of the analytic derivative.
    pub(super) claim_noise: f64,
    /// The largest derivative of the column.
    pub(super) norm: f64,
    /// Whether many units move at once. Several may then have a kink here, so the derivative need
    /// not lie between the slopes. Values that are derivatives themselves jump there.
    pub(super) many: bool,
}

impl Allowed {
    /// Returns the measured noise of a central difference with the step h.
    fn noise(&self, h: f64) -> f64 {
        DEVIATIONS * self.value_noise / h
    }

    /// Returns the largest difference that rounding may hide with step h, including the floor.
    pub(super) fn resolution(&self, h: f64) -> f64 {
        let values = self.value_noise.max(self.hidden_noise);
        self.floor + DEVIATIONS * (values / h + self.claim_noise)
    }

    pub(super) fn bound(&self, h: f64) -> f64 {
        self.tolerance + self.resolution(h)
    }
}

/// One comparison and its verdict.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) analytic: f64,
    pub(super) numeric: f64,
    /// The difference allowed.
    pub(super) bound: f64,
    pub(super) verdict: Verdict,
    h: f64,
}

/// A comparison and the line that it was made along.
pub(super) struct Compared {
    pub(super) line: Line,
    pub(super) outcome: Outcome,
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

    /// Returns the larger absolute value of the two derivatives, ignoring non-finite ones.
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

    /// Sets the verdict from the bound, without a closer look, and returns whether the difference
    /// is within it. Agreement is conclusive only where the column is resolved.
    pub(super) fn settle(&mut self, allowed: &Allowed) -> bool {
        self.bound = allowed.bound(self.h);
        let agrees = self.error(self.numeric) <= self.bound;
        let resolved = allowed.resolution(self.h) <= RESOLVED * allowed.norm;
        self.verdict = if !agrees {
            Verdict::Wrong
        } else if resolved || allowed.norm == 0.0 {
            Verdict::Agrees
        } else {
            Verdict::Undecided
        };
        agrees
    }

    /// Decides between agreement, a kink and a wrong derivative.
    pub(super) fn judge(&mut self, on: &mut On<'_>, allowed: Allowed) -> Result<(), Error> {
        if self.settle(&allowed) || !self.error(self.numeric).is_finite() {
            return Ok(());
        }
        let (bound, difference) = (self.bound, self.error(self.numeric));
        // Curvature: the error of a central difference falls as h²; one extrapolation removes it.
        let half = on.central(0.5 * self.h)?;
        let extrapolated = half + (half - self.numeric) / 3.0;
        if self.error(extrapolated) <= bound {
            self.numeric = extrapolated;
            self.settle(&allowed);
            return Ok(());
        }
        // Smaller steps agree where J is smooth but varies fast, or no longer reach a kink.
        let (mut looked, mut all) = (false, true);
        for shrink in [8.0, 64.0, 512.0] {
            let h = self.h / shrink;
            let noise = allowed.noise(h);
            if noise > 0.25 * difference {
                all = false;
                break;
            }
            looked = true;
            let numeric = on.central(h)?;
            if self.error(numeric) > bound + noise
                || (numeric - self.numeric).abs() < 0.5 * difference
            {
                continue;
            }
            // Halving the step divides the error by 4 if J is smooth; at a kink it falls at any
            // rate, or at once.
            let fall = self.error(half) / difference;
            self.verdict = if (0.2..0.3).contains(&fall) {
                self.numeric = numeric;
                Verdict::Agrees
            } else {
                Verdict::SuspectedKink
            };
            return Ok(());
        }
        let kink = self.is_kink(on, &allowed, looked)?;
        self.verdict = if all && kink {
            Verdict::SuspectedKink
        } else if all && !allowed.many && self.is_at_jump(on)? {
            Verdict::Wrong
        } else if self.is_contradicted(on, &allowed)? {
            return self.settle_with_noise(on, allowed);
        } else if kink {
            Verdict::SuspectedKink
        } else {
            Verdict::Unresolved
        };
        Ok(())
    }

    /// Judges the derivative wrong unless the difference is within the noise along this line.
    /// Points a few units in the last place apart may not show that noise: where terms cancel, the
    /// values may all round the same way.
    fn settle_with_noise(&mut self, on: &mut On<'_>, mut allowed: Allowed) -> Result<(), Error> {
        let along = noise::along(&mut |t| Ok(on.value(t)?.value), self.h)?;
        allowed.value_noise = allowed.value_noise.max(along);
        self.settle(&allowed);
        Ok(())
    }

    /// Returns whether J jumps here: a step 64 times smaller makes the difference quotient 64 times
    /// larger.
    fn is_at_jump(&self, on: &mut On<'_>) -> Result<bool, Error> {
        let mut off = |shrink: f64| Ok(on.central(self.h / shrink)? - self.analytic);
        let growth: f64 = off(512.0)? / off(8.0)?;
        Ok((57.0..71.0).contains(&growth))
    }

    /// Returns whether there is a kink exactly here: the gap between the slopes of both sides does
    /// not change as h shrinks, and the derivative lies between them. (There is no gap where J is
    /// smooth; at a jump, or in noise, the gap grows.)
    fn is_kink(&self, on: &mut On<'_>, allowed: &Allowed, looked: bool) -> Result<bool, Error> {
        let between = |slopes: Slopes, slack: f64| {
            let apart = slopes.gap() > 4.0 * slack;
            let low = slopes.left.min(slopes.right) - slack;
            let high = slopes.left.max(slopes.right) + slack;
            apart && (allowed.many || (low..=high).contains(&self.analytic))
        };
        let wide = on.slopes(self.h)?;
        let noise = allowed.noise(self.h);
        if !looked {
            // Rounding rules out smaller steps. A kink would explain the difference, and nothing
            // more can be determined.
            return Ok(between(wide, self.bound + noise));
        }
        let near = on.slopes(self.h / 8.0)?;
        let ratio = near.gap() / wide.gap();
        // A jump has the same height over any step, so the difference from the derivative grows
        // 8-fold.
        let left = on.central(self.h / 8.0)? - self.analytic;
        let growth = left / (self.numeric - self.analytic);
        let jump = allowed.many && (7.2..8.8).contains(&growth);
        Ok(jump || between(near, self.bound + 8.0 * noise) && (0.5..2.0).contains(&ratio))
    }

    /// Returns whether the values contradict the code's own derivatives, at five points within the
    /// smallest step that rounding allows.
    ///
    /// Between two points a and b the mean of f′ is the slope of f. It differs from the mean of
    /// f′(a) and f′(b) by at most half of the variation of f′ in between, with or without kinks. A
    /// correct f′ exceeds that bound only where its variation goes undetected; a wrong one exceeds
    /// it everywhere.
    fn is_contradicted(&self, on: &mut On<'_>, allowed: &Allowed) -> Result<bool, Error> {
        let mut h = self.h;
        while h > self.h / 512.0 && allowed.noise(0.5 * h) <= 0.25 * self.error(self.numeric) {
            h *= 0.5;
        }
        let difference = on.central(h)? - self.analytic;
        if difference.abs() <= allowed.bound(h) {
            return Ok(false);
        }
        let (mut points, mut claims) = (Vec::with_capacity(5), [0.0; 5]);
        for (k, claim) in claims.iter_mut().enumerate() {
            let t = (k as f64 - 2.0) * 0.5 * h;
            points.push(on.value(t)?);
            *claim = on.claim(t).unwrap_or(f64::NAN);
        }
        // A quarter of the distance has four times the noise.
        let slack = allowed.bound(0.25 * h).min(0.5 * difference.abs());
        let steps: [f64; 4] = std::array::from_fn(|i| claims[i + 1] - claims[i]);
        let (mut additions, mut factors, mut in_favour) = (0, 0, 0);
        for (i, &step) in steps.iter().enumerate() {
            let slope = points[i].slope_to(points[i + 1]);
            let claim = 0.5 * (claims[i] + claims[i + 1]);
            // A steady change of f′ is curvature, which the mean accounts for. A kink is a step
            // unlike its neighbours.
            let beside = steps[i.saturating_sub(1)..(i + 2).min(4)].iter();
            let jump = beside.map(|s| (step - s).abs()).fold(0.0, f64::max);
            let (off, jump) = (slope - claim, 0.5 * jump.min(step.abs()));
            if off.abs() > slack + jump {
                // One consistent fault: an offset of one sign, or a factor.
                additions += u8::from(off * difference.signum() > 0.0);
                let factor = off * claim.signum() * difference.signum() * self.analytic.signum();
                factors += u8::from(factor > 0.0);
            } else if jump <= slack && slope.abs().max(claim.abs()) > slack {
                in_favour += 1;
            }
        }
        let against = additions.max(factors);
        if allowed.many {
            // Derivatives jump at kinks, and a jump weighs more the smaller the step.
            return Ok(against == 4);
        }
        // On one side of a kink everything may be 0, even with a fault.
        let clear = allowed.bound(0.25 * h) <= 0.5 * difference.abs();
        Ok(against >= 3 || clear && against == 2 && in_favour == 0)
    }
}
