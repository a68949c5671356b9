//! The rules of the optimisers, and the trait that each implements.

use crate::error::Error;
use crate::kernels::steps::Update;
use crate::scalar::Scalar;
use std::fmt::Debug;

/// The rule of an optimiser: its settings, its state, and how one step [updates](Update) an entry.
pub trait Rule: Update + Debug + Send + Sync {
    /// The name of the optimiser.
    const NAME: &'static str;
    /// The name of the optimiser with weight decay.
    const NAME_WITH_DECAY: &'static str = Self::NAME;
    /// The name of the learning rate in errors.
    const RATE: &'static str = "the learning rate";
    /// Whether the rule is suitable for gradients of mini-batches and for schedules.
    const TAKES_BATCHES: bool = true;

    /// Checks the settings.
    fn check<T: Scalar>(&self) -> Result<(), Error>;

    /// Returns the kind of numbers in each buffer of the state.
    fn slots(&self) -> &'static [Slot];

    /// Returns the initial value of the entries of a buffer. `_rate` is the learning rate of the
    /// first step.
    fn first(&self, _slot: usize, _rate: f64) -> f64 {
        0.0
    }
}

/// The kind of numbers in a buffer.
#[derive(Clone, Copy, Debug)]
pub enum Slot {
    /// Means and sums, of either sign.
    Signed,
    /// Sums and means of squares.
    Squares,
    /// Step sizes.
    Sizes,
}

impl Slot {
    pub(super) fn admits(self, x: f64) -> bool {
        match self {
            Self::Signed => true,
            Self::Squares => x >= 0.0,
            Self::Sizes => x > 0.0,
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Signed => "a finite number",
            Self::Squares => "a number in [0, ∞)",
            Self::Sizes => "a number in (0, ∞)",
        }
    }
}
