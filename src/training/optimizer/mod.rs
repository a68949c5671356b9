//! Optimisers: one update of the parameters per gradient.

mod adam;
mod adaptive;
mod decay;
mod entrywise;
mod gradient_descent;
mod rprop;
mod rule;
mod state;

pub use adam::{Adam, AdamW};
pub use adaptive::{AdaGrad, Adadelta, RmsProp};
pub use entrywise::Entrywise;
pub use gradient_descent::GradientDescent;
pub use rprop::IRpropMinus;
pub use state::OptimizerState;

pub(super) use decay::Decoupled;
pub(super) use rule::Rule;

use crate::error::{Error, ranges::above_zero};
use crate::scalar::Scalar;
use std::fmt::Debug;
use std::ops::Range;

/// An optimiser, which updates θ from ∇J at θ, one step per gradient.
///
/// | type | step from the gradient g | buffers |
/// |---|---|---|
/// | [`GradientDescent`] | η g, or η times a sum of gradients with momentum | 0 or 1 |
/// | [`Adam`], [`AdamW`] | η m̂/(√v̂ + ε), with means m of g and v of g² | 2 or 3 |
/// | [`RmsProp`] | η g/(√v + ε) | 1 to 3 |
/// | [`AdaGrad`] | η g/(√s + ε), with the sum s of g² | 1 |
/// | [`Adadelta`] | η g √(u + ε)/√(v + ε), with the mean u of squared steps | 2 |
/// | [`IRpropMinus`] | sign g times a separate step size for each entry; only for all examples at once | 2 |
///
/// η is the learning rate. The last column is the number of vectors in the state, each as long as
/// θ. Where the paper and PyTorch 2.15 differ, the type follows PyTorch and documents the
/// difference. Settings are `f64` for any T, and are rounded to T in a step. Each entry of θ
/// depends only on its own gradient and state, and has the same bits on every processor.
///
/// Weight decay that is part of J is a [`Penalty`](crate::Penalty), and ∇J already contains it. The
/// decay of [`AdamW`] is separate.
///
/// # Example
/// J = θ²/2 has the gradient θ, so a step with a learning rate of ½ halves θ:
/// ```
/// use backprop::training::{GradientDescent, Optimizer};
///
/// let mut method: Box<dyn Optimizer<f64>> = Box::new(GradientDescent::new(0.5));
/// let mut theta = [8.0, -4.0];
/// for _ in 0..2 {
///     let gradient = theta;
///     method.step(&mut theta, &gradient, 1.0)?;
/// }
/// assert_eq!(theta, [2.0, -1.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
/// The last argument is a factor on the learning rate. [`Schedule`](super::Schedule) computes it,
/// and [`Clipping`](super::Clipping) bounds the gradient, as they do in a
/// [`Trainer`](super::Trainer):
/// ```
/// use backprop::training::{Clipping, GradientDescent, Optimizer, Schedule};
///
/// let (schedule, clipping) = (Schedule::Exponential { factor: 0.5 }, Clipping::Value(4.0));
/// let mut method = GradientDescent::new(0.5);
/// let mut theta = [8.0, -4.0];
/// for epoch in 0..2 {
///     let mut gradient = theta;
///     clipping.apply(&mut gradient);
///     method.step(&mut theta, &gradient, schedule.factor_at(epoch, 0, 1))?;
/// }
/// assert_eq!(theta, [5.0, -1.5]); // 8 − 0.5 · 4 − 0.25 · 4, −4 + 0.5 · 4 + 0.25 · 2
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Custom optimisers
/// Lion steps along the sign of a mean gradient (Chen et al. 2023, arXiv:2302.06675):
/// θ ← θ − η sign(β₁ m + (1 − β₁) g), then m ← β₂ m + (1 − β₂) g. An [`OptimizerState`] holds m:
/// ```
/// use backprop::Error;
/// use backprop::training::{Method, Optimizer, OptimizerInfo, OptimizerState};
///
/// #[derive(Debug, Default)]
/// struct Lion {
///     rate: f64,
///     state: OptimizerState<f64>,
/// }
///
/// impl Optimizer<f64> for Lion {
///     fn info(&self) -> OptimizerInfo {
///         OptimizerInfo::new("Lion", self.rate)
///     }
///
///     fn step(&mut self, theta: &mut [f64], gradient: &[f64], factor: f64) -> Result<(), Error> {
///         let state = &mut self.state;
///         state.steps += 1;
///         state.buffers.resize(1, vec![0.0; theta.len()]);
///         for ((x, g), m) in theta.iter_mut().zip(gradient).zip(&mut state.buffers[0]) {
///             *x -= self.rate * factor * (0.9 * *m + 0.1 * g).signum();
///             *m = 0.99 * *m + 0.01 * g;
///         }
///         Ok(())
///     }
///
///     fn state(&self) -> OptimizerState<f64> {
///         self.state.clone()
///     }
///
///     fn restore(&mut self, state: &OptimizerState<f64>) -> Result<(), Error> {
///         self.state = state.clone();
///         Ok(())
///     }
/// }
///
/// let mut lion = Lion { rate: 0.5, ..Lion::default() };
/// let mut theta = [2.0, 2.0];
/// lion.step(&mut theta, &[3.0, -4.0], 1.0)?;
/// assert_eq!(theta, [1.5, 2.5]);
/// lion.step(&mut theta, &[-0.1, -4.0], 0.5)?; // 0.9 · 0.03 − 0.1 · 0.1 is above 0
/// assert_eq!(theta, [1.25, 2.75]);
///
/// // For `Trainer::new`, which calls all five methods.
/// let boxed: Box<dyn Optimizer<f64>> = Box::new(lion);
/// let method = Method::from(boxed);
/// # Ok::<(), backprop::Error>(())
/// ```
pub trait Optimizer<T: Scalar>: Debug + Send + Sync {
    /// Returns the name, the learning rate η, and whether the method is suitable for mini-batches.
    fn info(&self) -> OptimizerInfo;

    /// Checks that all settings are in their ranges, also when rounded to T.
    ///
    /// [`Trainer`](super::Trainer) calls this before the first step. By default it checks that the
    /// learning rate is finite and above 0.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] for the first setting that is out of range.
    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("the learning rate", self.info().rate)
    }

    /// Performs one step from ∇J at θ, and overwrites θ with the result.
    ///
    /// The learning rate of this step is η times `factor`, which is 1 without a
    /// [`Schedule`](super::Schedule). A factor of 0 is accepted, because a schedule may end there.
    ///
    /// Only the first step allocates, and it fixes the length of θ.
    ///
    /// If the gradient is not finite or the state overflows, θ becomes non-finite in the same step.
    /// [`Trainer`](super::Trainer) scans only θ after each step, so a custom optimiser must ensure
    /// this too.
    ///
    /// # Errors
    /// The following errors leave θ and the state unchanged:
    /// - [`Error::Length`] if the gradient is not as long as θ, if θ is not as long as in earlier
    ///   steps, or if settings have changed and the state no longer fits them;
    /// - [`Error::Hyperparameter`] as in [`validate`](Self::validate), except that a learning rate
    ///   of 0 is accepted, and for a `factor` that is negative or not finite;
    /// - [`Error::TooLarge`] if there is no memory for the state.
    #[doc(alias = "update")]
    fn step(&mut self, theta: &mut [T], gradient: &[T], factor: f64) -> Result<(), Error>;

    /// Updates only the entries of θ in `moving`, ascending ranges such as
    /// [`Layout::moving`](crate::Layout::moving). The other entries belong to frozen layers.
    ///
    /// The default calls [`step`](Self::step); the caller restores the other entries. The built-in
    /// optimisers skip them.
    ///
    /// # Errors
    /// Returns the errors of [`step`](Self::step).
    fn step_in(
        &mut self,
        moving: &[Range<usize>],
        theta: &mut [T],
        gradient: &[T],
        factor: f64,
    ) -> Result<(), Error> {
        let _ = moving;
        self.step(theta, gradient, factor)
    }

    /// Returns a copy of the state, from which [`restore`](Self::restore) continues bit for bit.
    #[must_use]
    #[doc(alias = "state_dict")]
    fn state(&self) -> OptimizerState<T>;

    /// Replaces the state with that of an optimiser that has the same settings. The state does not
    /// contain the settings.
    ///
    /// Every implementation must accept the empty state, `OptimizerState::default()`. It discards
    /// all steps, and the next θ may have another length.
    ///
    /// # Errors
    /// The following errors leave the state unchanged:
    /// - [`Error::Length`] for a wrong number of buffers, or buffers of unequal lengths;
    /// - [`Error::OptimizerState`] for an entry that is not finite, or is negative where it must
    ///   not be.
    #[doc(alias = "reset")]
    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error>;
}

/// The description of an [`Optimizer`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct OptimizerInfo {
    /// The name of the method, for reports. [Resuming](super::Trainer) a run compares it with the
    /// name in the checkpoint.
    pub name: &'static str,
    /// The learning rate η, before any schedule.
    #[doc(alias("learning_rate", "lr"))]
    pub rate: f64,
    /// Whether the method is suitable for gradients of mini-batches and for schedules. Among the
    /// optimisers of this crate, only [`IRpropMinus`] needs the gradient of all examples and a
    /// constant learning rate.
    pub takes_batches: bool,
}

impl OptimizerInfo {
    /// Creates the description of a method that takes mini-batches.
    pub fn new(name: &'static str, rate: f64) -> Self {
        Self {
            name,
            rate,
            takes_batches: true,
        }
    }
}

impl<T: Scalar, O: Optimizer<T> + ?Sized> Optimizer<T> for Box<O> {
    fn info(&self) -> OptimizerInfo {
        (**self).info()
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T], factor: f64) -> Result<(), Error> {
        (**self).step(theta, gradient, factor)
    }

    fn step_in(
        &mut self,
        moving: &[Range<usize>],
        theta: &mut [T],
        gradient: &[T],
        factor: f64,
    ) -> Result<(), Error> {
        (**self).step_in(moving, theta, gradient, factor)
    }

    fn state(&self) -> OptimizerState<T> {
        (**self).state()
    }

    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error> {
        (**self).restore(state)
    }
}

#[cfg(test)]
#[path = "levels_tests.rs"]
mod tests;
