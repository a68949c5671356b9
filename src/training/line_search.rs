//! Moré and Thuente's line search: a step that meets the strong Wolfe conditions.

/// J along a direction p: the value φ(α) = J(θ + αp) and the slope φ′(α) = pᵀ∇J(θ + αp).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The step length α.
    pub(super) step: f64,
    pub(super) value: f64,
    pub(super) slope: f64,
}

/// The strong Wolfe conditions on a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wolfe {
    /// The constant c₁ of sufficient decrease: φ(α) ≤ φ(0) + c₁ α φ′(0).
    pub(super) decrease: f64,
    /// The constant c₂ of the curvature condition: |φ′(α)| ≤ c₂ |φ′(0)|.
    pub(super) curvature: f64,
    /// The relative width of the bracket at which a decrease is enough.
    pub(super) width: f64,
    /// Differences of J below this value are rounding errors. A step with such a difference must
    /// meet only the curvature condition.
    pub(super) resolution: f64,
}

/// The maximum number of finite values that a search evaluates.
const TRIALS: u32 = 20;
/// The maximum number of non-finite values. Each makes the step ten times shorter.
const OVERFLOWS: u32 = 60;
/// Until the minimum is bracketed, the next increase of the step is within these multiples of the
/// last increase.
const GROWTH: (f64, f64) = (1.1, 4.0);
/// The bracket is halved unless two trials shrink it by this factor.
const SHRINK: f64 = 0.66;

impl Wolfe {
    /// Returns a step from `start` (α = 0) that meets the conditions, or else the best step found.
    ///
    /// `None` means that no step made J smaller. `first` is the first step tried. `evaluate`
    /// returns `None` where J or ∇J is not finite; the search then shortens the step.
    ///
    /// Source: Moré and Thuente 1994, doi:10.1145/192115.192132, with 0 as the smallest step.
    pub(super) fn search<E>(
        &self,
        start: Sample,
        first: f64,
        mut evaluate: impl FnMut(f64) -> Result<Option<Sample>, E>,
    ) -> Result<Option<Sample>, E> {
        if !(start.slope < 0.0 && start.slope.is_finite() && first > 0.0 && first.is_finite()) {
            return Ok(None);
        }
        let mut bracket = Bracket::new(start);
        let (mut step, mut trials, mut overflows) = (first, 0, 0);
        // The slope c₁ φ′(0) of the line below which a decrease is sufficient.
        let line = self.decrease * start.slope;
        // Stage 1 minimises ψ(α) = φ(α) − φ(0) − c₁ α φ′(0), and stage 2 minimises φ.
        let mut first_stage = true;
        while trials < TRIALS {
            let Some(trial) = evaluate(step)? else {
                overflows += 1;
                bracket.limit = step;
                step = bracket.low.step + 0.1 * (step - bracket.low.step);
                if overflows == OVERFLOWS || step == bracket.low.step {
                    break;
                }
                continue;
            };
            trials += 1;
            let decreases = trial.value <= start.value + line * step
                || trial.value <= start.value && -line * step <= self.resolution;
            if decreases && trial.slope.abs() <= self.curvature * -start.slope {
                return Ok(Some(trial));
            }
            first_stage &= !(decreases && trial.slope >= 0.0);
            let by_line = first_stage && !decreases && trial.value <= bracket.low.value;
            step = bracket.update(trial, if by_line { line } else { 0.0 });
            if bracket.closed {
                let (from, to) = bracket.ends();
                // Rounding leaves no room, or the minimum is located well enough.
                if !(from < step && step < to) || to - from <= self.width * to {
                    break;
                }
            }
        }
        Ok(Some(bracket.low).filter(|low| low.value < start.value))
    }
}

/// The interval that contains a minimum once it is closed; until then, the range searched so far.
#[derive(Clone, Copy, Debug)]
struct Bracket {
    /// The end with the smaller value.
    low: Sample,
    high: Sample,
    closed: bool,
    /// Steps stay below this value, at which J is not finite.
    limit: f64,
    /// The widths after the last trial and after the one before it.
    widths: (f64, f64),
}

impl Bracket {
    fn new(start: Sample) -> Self {
        Self {
            low: start,
            high: start,
            closed: false,
            limit: f64::INFINITY,
            widths: (f64::INFINITY, f64::INFINITY),
        }
    }

    fn ends(&self) -> (f64, f64) {
        let (a, b) = (self.low.step, self.high.step);
        (a.min(b), a.max(b))
    }

    /// Adds a trial, and returns the next step. Values and slopes are measured from the line
    /// through 0 with the slope `line`.
    fn update(&mut self, trial: Sample, line: f64) -> f64 {
        let above = |sample: Sample| Sample {
            value: sample.value - line * sample.step,
            slope: sample.slope - line,
            ..sample
        };
        let (low, high, at) = (above(self.low), above(self.high), above(trial));
        let Proposal { step, closes } = Proposal::new(low, high, at, self.closed);
        self.closed |= closes;
        if at.value > low.value {
            self.high = trial;
        } else {
            if at.slope * (low.step - at.step) < 0.0 {
                self.high = self.low;
            }
            self.low = trial;
        }
        if !self.closed {
            let growth = trial.step - low.step;
            let least = if low.step == 0.0 { 0.0 } else { GROWTH.0 };
            let next = step.clamp(trial.step + least * growth, trial.step + GROWTH.1 * growth);
            return if next < self.limit {
                next
            } else {
                0.5 * (trial.step + self.limit)
            };
        }
        let width = (self.high.step - self.low.step).abs();
        let halve = width >= SHRINK * self.widths.1;
        self.widths = (width, self.widths.0);
        if halve {
            self.low.step + 0.5 * (self.high.step - self.low.step)
        } else {
            step
        }
    }
}

/// The next step by interpolation (section 4 of the paper), and whether the trial closes the
/// bracket.
#[derive(Clone, Copy, Debug)]
struct Proposal {
    step: f64,
    closes: bool,
}

impl Proposal {
    fn new(low: Sample, high: Sample, trial: Sample, closed: bool) -> Self {
        let from_trial = |step: f64| (step - trial.step).abs();
        let cubic = cubic_minimum(low, trial);
        // Case 1: the value is larger, so a minimum lies in between.
        if trial.value > low.value {
            let quadratic = quadratic_minimum(low, trial);
            let (near, far) = ((cubic - low.step).abs(), (quadratic - low.step).abs());
            let onward = (trial.step - low.step).signum();
            let lies_between = (cubic - low.step) * onward > 0.0;
            let step = if !lies_between {
                // The minimum is so close that the cubic loses it to rounding.
                quadratic
            } else if near < far {
                cubic
            } else {
                cubic + 0.5 * (quadratic - cubic)
            };
            return Self { step, closes: true };
        }
        let secant = secant_minimum(low, trial);
        let farther = |a: f64, b: f64| if from_trial(a) > from_trial(b) { a } else { b };
        // Case 2: the slope has the other sign, so a minimum lies in between.
        if trial.slope * low.slope < 0.0 {
            let step = farther(cubic, secant);
            return Self { step, closes: true };
        }
        let onward = (trial.step - low.step).signum();
        let step = if trial.slope.abs() <= low.slope.abs() {
            // Case 3: the slope is less steep. The cubic is used if its minimum lies beyond the
            // trial.
            let beyond = Some(cubic).filter(|cubic| (cubic - trial.step) * onward > 0.0);
            if closed {
                let nearer = beyond.filter(|&cubic| from_trial(cubic) < from_trial(secant));
                let most = trial.step + SHRINK * (high.step - trial.step);
                let step = nearer.unwrap_or(secant);
                if onward > 0.0 {
                    step.min(most)
                } else {
                    step.max(most)
                }
            } else {
                farther(beyond.unwrap_or(onward * f64::INFINITY), secant)
            }
        } else if closed {
            // Case 4: the slope is steeper.
            cubic_minimum(high, trial)
        } else {
            onward * f64::INFINITY
        };
        Self {
            step,
            closes: false,
        }
    }
}

/// The minimum of the cubic with the values and slopes at a and b (Nocedal and Wright, *Numerical
/// Optimization*, 3.59); NaN if there is none.
fn cubic_minimum(a: Sample, b: Sample) -> f64 {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    // Scaled, so that no square overflows.
    let scale = d1.abs().max(a.slope.abs()).max(b.slope.abs());
    let square = (d1 / scale).powi(2) - (a.slope / scale) * (b.slope / scale);
    if square <= 0.0 {
        return f64::NAN;
    }
    let d2 = scale * square.sqrt().copysign(b.step - a.step);
    b.step - (b.step - a.step) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2))
}

/// The minimum of the parabola with the value and slope at a and the value at b.
fn quadratic_minimum(a: Sample, b: Sample) -> f64 {
    let secant = (a.value - b.value) / (b.step - a.step);
    a.step + 0.5 * (a.slope / (secant + a.slope)) * (b.step - a.step)
}

/// The minimum of the parabola with the slopes at a and b.
fn secant_minimum(a: Sample, b: Sample) -> f64 {
    b.step + (b.slope / (b.slope - a.slope)) * (a.step - b.step)
}

#[cfg(test)]
#[path = "line_search_tests.rs"]
mod tests;
