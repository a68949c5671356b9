//! Schedules: how the learning rate changes from epoch to epoch.

use super::decimal::Time;
use crate::error::Error;
use crate::error::ranges::{above_zero, below_one, between_zero_and_one, fraction};
use std::f64::consts::PI;

/// A schedule of the learning rate: a factor on it for each epoch e, counted from 0.
///
/// Epochs may be fractional, for a learning rate that changes from step to step. In step k of an
/// epoch of n steps, e is the epoch plus k/n ([`factor_at`](Self::factor_at)). All lengths are in
/// epochs. All other numbers are fractions of the optimiser's initial learning rate.
///
/// Lengths are interpreted as the decimals that you write, and are compared and divided without
/// rounding. For example, `every: 0.2` is one fifth of an epoch, and the third change comes at 0.6,
/// although 3 · 0.2 is more than 0.6 in `f64`.
///
/// # Example
/// ```
/// use backprop::training::Schedule;
///
/// let halved = Schedule::Step { every: 10.0, factor: 0.5 };
/// assert_eq!([0.0, 9.9, 10.0, 25.0].map(|epoch| halved.factor(epoch)), [1.0, 1.0, 0.5, 0.25]);
///
/// let cosine = Schedule::Cosine { over: 20.0, floor: 0.1 };
/// assert!((cosine.factor(10.0) - 0.55).abs() < 1e-15);
///
/// // Rises from 0.2 to 1 in four epochs, then continues as before.
/// let warm = cosine.warm_up(4.0, 0.2);
/// assert!((warm.factor(2.0) - 0.6).abs() < 1e-15);
/// assert!((warm.factor(14.0) - 0.55).abs() < 1e-15);
/// # warm.validate()?;
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Schedule {
    /// The factor is 1.
    #[default]
    Constant,
    /// The factor is fⁿ with n = ⌊e/every⌋.
    Step {
        /// The number of epochs between two changes, above 0.
        every: f64,
        /// f > 0.
        factor: f64,
    },
    /// The factor is fᵉ.
    Exponential {
        /// f > 0.
        factor: f64,
    },
    /// The factor is floor + (1 − floor) (1 + cos(π e/over))/2, and `floor` from `over` on
    /// (Loshchilov, Hutter 2017, arXiv:1608.03983, without restarts).
    Cosine {
        /// The number of epochs until the floor is reached, above 0.
        over: f64,
        /// The last factor, from 0 to 1.
        floor: f64,
    },
    /// The factor rises from `start` to 1 and falls to `end`, both along half a cosine. It is `end`
    /// from `over` on (Smith, Topin 2018, arXiv:1708.07120).
    ///
    /// PyTorch's `OneCycleLR` of N steps corresponds to `over` = N − 1 and
    /// `rise` = (0.3 N − 1)/(N − 1), counted in steps. PyTorch's cycle also changes the momentum.
    OneCycle {
        /// The length of the cycle in epochs, above 0.
        over: f64,
        /// The fraction of the cycle in which the factor rises, from 0 to 1.
        rise: f64,
        /// The first factor, from 0 to 1.
        start: f64,
        /// The last factor, from 0 to 1.
        end: f64,
    },
    /// The factor rises linearly from a fraction of the first factor of `then` to that factor.
    /// After that, it is the factor of `then`, starting from epoch 0 of `then` (Goyal et al. 2017,
    /// arXiv:1706.02677).
    WarmUp {
        /// The length of the warm-up in epochs, above 0.
        epochs: f64,
        /// The fraction at the beginning, from 0 to 1. With 0, a loop that changes the learning
        /// rate only once per epoch wastes the first epoch.
        from: f64,
        /// The schedule after the warm-up.
        then: Box<Schedule>,
    },
    /// The factor is multiplied by f whenever J has stopped falling. The factor comes from a
    /// [`Plateau`], which observes the costs; [`factor`](Self::factor) returns 1.
    OnPlateau {
        /// The number of consecutive values without improvement that leave the learning rate
        /// unchanged. The next such value lowers it.
        patience: usize,
        /// f between 0 and 1.
        factor: f64,
        /// The smallest improvement, as a fraction of the best value, from 0 to below 1.
        threshold: f64,
        /// The smallest factor, from 0 to 1.
        floor: f64,
    },
}

impl Schedule {
    /// Creates a cycle over the given number of epochs with PyTorch's defaults. The factor rises
    /// from 1/25 for 0.3 of the cycle, then falls to 1/250,000.
    #[doc(alias = "OneCycleLR")]
    #[must_use]
    pub fn one_cycle(over: f64) -> Self {
        Self::OneCycle {
            over,
            rise: 0.3,
            start: 0.04,
            end: 4e-6,
        }
    }

    /// Creates a plateau with PyTorch's other defaults: a threshold of 10⁻⁴ and no floor.
    #[doc(alias = "ReduceLROnPlateau")]
    #[must_use]
    pub fn on_plateau(patience: usize, factor: f64) -> Self {
        Self::OnPlateau {
            patience,
            factor,
            threshold: 1e-4,
            floor: 0.0,
        }
    }

    /// Puts a [`WarmUp`](Self::WarmUp) of the given number of epochs before this schedule. The
    /// warm-up starts at the fraction `from` of the schedule's first factor.
    #[must_use]
    pub fn warm_up(self, epochs: f64, from: f64) -> Self {
        Self::WarmUp {
            epochs,
            from,
            then: Box::new(self),
        }
    }

    /// Returns the factor in an epoch, counted from 0; a negative epoch counts as 0. The epoch is
    /// interpreted as a decimal: 0.6 is three fifths.
    ///
    /// In a loop over steps, use [`factor_at`](Self::factor_at), because a third of an epoch is not
    /// a decimal.
    #[must_use]
    pub fn factor(&self, epoch: f64) -> f64 {
        self.at(&Time::of(epoch))
    }

    /// Returns the factor at epoch + step/steps, without rounding. This is the factor before step
    /// `step` of an epoch of `steps` steps. Epochs and steps count from 0.
    ///
    /// # Example
    /// With 15 steps per epoch, a fifth of an epoch is three steps:
    /// ```
    /// use backprop::training::Schedule;
    ///
    /// let halved = Schedule::Step { every: 0.2, factor: 0.5 };
    /// let factors = [0, 2, 3, 8, 9].map(|step| halved.factor_at(0, step, 15));
    /// assert_eq!(factors, [1.0, 1.0, 0.5, 0.25, 0.125]);
    /// assert_eq!(halved.factor_at(1, 3, 15), 0.015625); // six times
    /// ```
    #[must_use]
    pub fn factor_at(&self, epoch: u64, step: u64, steps: u64) -> f64 {
        match self {
            Self::Constant | Self::OnPlateau { .. } => 1.0,
            _ => self.at(&Time::of_step(epoch, step, steps)),
        }
    }

    fn at(&self, time: &Time) -> f64 {
        match *self {
            Self::Constant | Self::OnPlateau { .. } => 1.0,
            Self::Step { every, factor } => libm::pow(factor, time.whole(every)),
            Self::Exponential { factor } => libm::pow(factor, time.rounded),
            Self::Cosine { over, floor } if time.reached(over) => floor,
            Self::Cosine { over, floor } => anneal(1.0, floor, time.rounded / over),
            Self::OneCycle {
                over,
                rise,
                start,
                end,
            } => match time.rounded / over {
                _ if time.reached(over) => end,
                // Both halves are level where they meet, so rounding has no effect there.
                part if part < rise => anneal(start, 1.0, part / rise),
                part if rise < 1.0 => anneal(1.0, end, (part - rise) / (1.0 - rise)),
                _ => 1.0,
            },
            Self::WarmUp {
                epochs,
                from,
                ref then,
            } => {
                if time.reached(epochs) {
                    return then.at(&time.since(epochs));
                }
                let part = (time.rounded / epochs).min(1.0);
                (from + (1.0 - from) * part) * then.factor(0.0)
            }
        }
    }

    /// Returns the [`Plateau`] of an [`OnPlateau`](Self::OnPlateau), with or without a warm-up, or
    /// `None` for other schedules.
    #[must_use]
    pub fn plateau(&self) -> Option<Plateau> {
        match *self {
            Self::WarmUp { ref then, .. } => then.plateau(),
            Self::OnPlateau {
                patience,
                factor,
                threshold,
                floor,
            } => Some(Plateau {
                patience,
                shrink: factor,
                threshold,
                floor,
                best: None,
                waited: 0,
                factor: 1.0,
            }),
            _ => None,
        }
    }

    /// Checks that all numbers are in their ranges.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] for the first number that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Constant => Ok(()),
            Self::Step { every, factor } => {
                let name = "the number of epochs between two changes of the learning rate";
                above_zero::<f64>(name, every)?;
                above_zero::<f64>("the factor on the learning rate", factor)
            }
            Self::Exponential { factor } => {
                above_zero::<f64>("the factor on the learning rate", factor)
            }
            Self::Cosine { over, floor } => {
                above_zero::<f64>("the number of epochs of the cosine", over)?;
                fraction("the floor of the cosine", floor)
            }
            Self::OneCycle {
                over,
                rise,
                start,
                end,
            } => {
                above_zero::<f64>("the number of epochs of the cycle", over)?;
                fraction("the rise of the cycle", rise)?;
                fraction("the start of the cycle", start)?;
                fraction("the end of the cycle", end)
            }
            Self::WarmUp {
                epochs,
                from,
                ref then,
            } => {
                above_zero::<f64>("the number of epochs of the warm-up", epochs)?;
                fraction("the start of the warm-up", from)?;
                then.validate()
            }
            Self::OnPlateau {
                factor,
                threshold,
                floor,
                ..
            } => {
                between_zero_and_one("the factor on a plateau", factor)?;
                below_one("the threshold of a plateau", threshold)?;
                fraction("the floor on a plateau", floor)
            }
        }
    }
}

/// The state of an [`OnPlateau`](Schedule::OnPlateau) schedule, which lowers the learning rate when
/// the cost stops falling.
///
/// This is PyTorch's `ReduceLROnPlateau` for values to be minimised, without a cool-down. A value
/// improves on the best value b if it is below b − t |b| with the threshold t. PyTorch compares
/// with b (1 − t), which differs if b is negative. A non-finite value is never an improvement.
///
/// # Example
/// With a patience of 1, the second value without improvement halves the learning rate:
/// ```
/// use backprop::training::Schedule;
///
/// let mut plateau = Schedule::on_plateau(1, 0.5).plateau().unwrap();
/// let factors = [4.0, 3.0, 3.0, 3.5, 2.0].map(|cost| plateau.observe(cost));
/// assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Plateau {
    patience: usize,
    shrink: f64,
    threshold: f64,
    floor: f64,
    best: Option<f64>,
    waited: usize,
    factor: f64,
}

impl Plateau {
    /// Records the value of an epoch, and returns the factor on the learning rate from then on.
    pub fn observe(&mut self, value: f64) -> f64 {
        let bound = self.best.map(|best| best - self.threshold * best.abs());
        if value.is_finite() && bound.is_none_or(|bound| value < bound) {
            (self.best, self.waited) = (Some(value), 0);
        } else if self.waited < self.patience {
            self.waited += 1;
        } else {
            self.waited = 0;
            // The floor never raises the factor.
            let lower = (self.factor * self.shrink).max(self.floor);
            self.factor = self.factor.min(lower);
        }
        self.factor
    }

    /// Returns the factor on the learning rate.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Returns the best value so far.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        self.best
    }
}

/// Returns the value at t in \[0, 1] of half a cosine from a to b: exactly a and b at the ends.
fn anneal(a: f64, b: f64, t: f64) -> f64 {
    match libm::cos(PI * t.min(1.0)) {
        1.0 => a,
        cos => b + (a - b) * 0.5 * (1.0 + cos),
    }
}
