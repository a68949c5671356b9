//! Solvers that take all examples at once.

use super::history::Stop;
use crate::error::Error;
#[cfg(feature = "serde")]
use crate::error::unsupported;
use crate::scalar::Scalar;
use std::fmt::Debug;

/// J at a θ, and ∇J into the slice.
pub type Evaluate<'a, T> = dyn FnMut(&[T], &mut [T]) -> Result<T, Error> + 'a;

/// A solver that improves θ by evaluating J and ∇J over all examples, several times an iteration if it has to.
///
/// Ours are `Lbfgs` and `ConjugateGradient` (feature `argmin`).
pub trait FullBatch<T: Scalar>: Debug + Send + Sync {
    /// The name of the method, for reports and checkpoints.
    #[must_use]
    fn name(&self) -> &'static str;

    /// Refuses settings that are out of their range.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`].
    fn validate(&self) -> Result<(), Error>;

    /// Forgets everything but the settings.
    fn reset(&mut self);

    /// One iteration from `theta`, which it moves; `gradient` gets ∇J there.
    ///
    /// # Errors
    /// Those of `evaluate`.
    fn iterate(
        &mut self,
        theta: &mut [T],
        gradient: &mut [T],
        evaluate: &mut Evaluate<'_, T>,
    ) -> Result<Iteration<T>, Error>;

    /// What is remembered from iteration to iteration, for a checkpoint; `None` before the first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] from a solver that cannot be saved.
    #[cfg(feature = "serde")]
    fn save(&self) -> Result<Option<serde_json::Value>, Error> {
        Err(unsupported::<Self>("a state that can be saved"))
    }

    /// Restores what [`save`](Self::save) returned, at the point that a run continues from.
    ///
    /// # Errors
    /// [`Error::Unsupported`] from a solver that cannot be saved, [`Error::Checkpoint`] for what is no state of it.
    #[cfg(feature = "serde")]
    fn load(
        &mut self,
        _state: Option<&serde_json::Value>,
        _at: Reached<'_, T>,
    ) -> Result<(), Error> {
        Err(unsupported::<Self>("a state that can be saved"))
    }
}

/// The point that a run continues from.
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reached<'a, T> {
    /// Epochs done.
    pub epochs: u64,
    /// θ.
    pub theta: &'a [T],
    /// J at θ, as recorded.
    pub cost: f64,
}

/// What an iteration of a [`FullBatch`] solver came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration<T> {
    /// J at the new θ.
    pub cost: T,
    /// How often J and ∇J were evaluated.
    pub evaluations: u64,
    /// Why the solver ends here: it has [converged](Stop::Converged), or its
    /// [line search failed](Stop::LineSearchFailed). `None` if it goes on.
    pub stop: Option<Stop>,
}
