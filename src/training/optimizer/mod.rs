//! What takes θ downhill, one step from one gradient at a time.

mod adam;
mod adaptive;
mod gradient_descent;
mod memory;
mod rprop;
#[cfg(feature = "serde")]
mod saved;

pub use adam::{Adam, AdamW};
pub use adaptive::{AdaGrad, Adadelta, RmsProp};
pub use gradient_descent::GradientDescent;
pub use rprop::IRpropMinus;

use crate::error::Error;
use crate::kernels::first_non_finite;
use crate::scalar::{Scalar, real};
use std::fmt::Debug;

/// A method that makes one step on θ from ∇J at θ.
///
/// | type | step from the gradient g | state |
/// |---|---|---|
/// | [`GradientDescent`] | η g, or η times a sum of gradients with momentum | 0 or 1 |
/// | [`Adam`], [`AdamW`] | η m̂/(√v̂ + ε), with means m of g and v of g² | 2 or 3 |
/// | [`RmsProp`] | η g/(√v + ε) | 1 to 3 |
/// | [`AdaGrad`] | η g/(√s + ε), with the sum s of g² | 1 |
/// | [`Adadelta`] | η g √(u + ε)/√(v + ε), with the mean u of squared steps | 2 |
/// | [`IRpropMinus`] | sign g times a step size of its own for each entry; whole batches only | 2 |
///
/// η is the rate, and the last column counts vectors as long as θ. Where the paper of a method and PyTorch 2.15 differ, this is
/// PyTorch's method, and the type says in what. Hyper-parameters are `f64` whatever T is, and rounded to T in a step. Every entry of θ
/// is computed from what belongs to that entry alone, with the same bits for all instructions that the processor may have.
///
/// Weight decay that is part of J is a [`Penalty`](crate::Penalty), and in ∇J already; that of [`AdamW`] is not.
///
/// # Example
/// J = θ²/2 has the gradient θ, and a rate of ½ takes half of θ away:
/// ```
/// use backprop::training::{GradientDescent, Optimizer};
///
/// let mut method: Box<dyn Optimizer<f64>> = Box::new(GradientDescent::new(0.5));
/// let mut theta = [8.0, -4.0];
/// for _ in 0..2 {
///     let gradient = theta;
///     method.step(&mut theta, &gradient)?;
/// }
/// assert_eq!(theta, [2.0, -1.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
pub trait Optimizer<T: Scalar>: Debug + Send + Sync {
    /// The name of the method, for reports.
    #[must_use]
    fn name(&self) -> &'static str;

    /// Whether all hyper-parameters are in their ranges, as numbers of T. The rate is above 0.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] names the first that is not.
    fn validate(&self) -> Result<(), Error>;

    /// One step from ∇J at θ, which is written over with the new θ.
    ///
    /// The first step takes the length of θ for the state, and is the only one that allocates. A rate of 0, which a schedule may end in, is
    /// accepted here.
    ///
    /// θ shows anything that is not finite. If the gradient is not finite, θ is not. If the state
    /// overflows, θ becomes non-finite in the same step. [`Trainer`](super::Trainer) scans only θ
    /// after each step, so an optimiser of your own must ensure the same.
    ///
    /// # Errors
    /// With θ and the state unchanged: [`Error::Length`] for a gradient of another length than θ, for a θ of another length than in the steps before,
    /// or for a state that options have changed since; [`Error::Hyperparameter`] as [`validate`](Self::validate);
    /// [`Error::TooLarge`] if there is no memory for the state.
    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error>;

    /// Whether gradients of mini-batches and rates that change are of use to the method; of all ours but [`IRpropMinus`] they are.
    #[must_use]
    fn takes_batches(&self) -> bool {
        true
    }

    /// The rate η.
    #[must_use]
    fn rate(&self) -> f64;

    /// Another rate for the steps to come, as a [`Schedule`](super::Schedule) asks for.
    fn set_rate(&mut self, rate: f64);

    /// A copy of the state, from which [`restore`](Self::restore) continues with the same bits.
    #[must_use]
    fn state(&self) -> OptimizerState<T>;

    /// Continues from the state of an optimiser with the same options. Hyper-parameters are no part of it.
    ///
    /// # Errors
    /// With nothing changed: [`Error::Length`] for another number of buffers or buffers of unequal lengths;
    /// [`Error::OptimizerState`] for an entry that is not finite, or negative where it cannot be.
    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error>;

    /// Forgets all steps. The next one may be on a θ of another length.
    fn reset(&mut self);
}

impl<T: Scalar, O: Optimizer<T> + ?Sized> Optimizer<T> for Box<O> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        (**self).step(theta, gradient)
    }

    fn takes_batches(&self) -> bool {
        (**self).takes_batches()
    }

    fn rate(&self) -> f64 {
        (**self).rate()
    }

    fn set_rate(&mut self, rate: f64) {
        (**self).set_rate(rate);
    }

    fn state(&self) -> OptimizerState<T> {
        (**self).state()
    }

    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error> {
        (**self).restore(state)
    }

    fn reset(&mut self) {
        (**self).reset();
    }
}

/// What an [`Optimizer`] remembers of its steps: with θ and the hyper-parameters all that a checkpoint of it needs.
///
/// Before the first step it has no buffers. The type of each optimiser says which buffers it has.
///
/// # Example
/// ```
/// use backprop::training::{GradientDescent, Optimizer, OptimizerState};
///
/// let mut method = GradientDescent::new(0.5).momentum(0.9);
/// method.step(&mut [8.0, -4.0], &[1.0, 3.0])?;
/// let state = method.state();
/// assert_eq!(state, OptimizerState::new(1, vec![vec![1.0, 3.0]]));
///
/// let mut other = GradientDescent::new(0.5).momentum(0.9);
/// other.restore(&state)?;
/// assert_eq!(other.state(), state);
/// # Ok::<(), backprop::Error>(())
/// ```
/// With the feature `serde` it is saved with the name of T, and loads as that type only.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OptimizerState<T> {
    /// Steps that were made.
    pub steps: u64,
    /// Vectors as long as θ, in the order that the optimiser documents.
    pub buffers: Vec<Vec<T>>,
}

impl<T> OptimizerState<T> {
    /// A state of its parts. Whether an optimiser can take it [`Optimizer::restore`] says.
    #[must_use]
    pub fn new(steps: u64, buffers: Vec<Vec<T>>) -> Self {
        Self { steps, buffers }
    }
}

impl<T: Scalar> OptimizerState<T> {
    /// Returns the buffer, index and value of the first entry that is not finite.
    pub(in crate::training) fn first_non_finite(&self) -> Option<(usize, usize, T)> {
        let mut buffers = self.buffers.iter().enumerate();
        buffers.find_map(|(buffer, values)| {
            first_non_finite(values).map(|index| (buffer, index, values[index]))
        })
    }
}

/// Whether a hyper-parameter is in its range.
pub(super) fn in_range(
    holds: bool,
    name: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::Hyperparameter {
        name,
        value,
        expected,
    })
}

/// Whether a hyper-parameter is finite and above 0, as a number of T too.
pub(super) fn above_zero<T: Scalar>(name: &'static str, value: f64) -> Result<(), Error> {
    let rounded = real::<T>(value);
    let holds = value > 0.0 && rounded > T::zero() && rounded.is_finite();
    in_range(holds, name, value, "a finite number above 0")
}

/// Whether a hyper-parameter is finite and not negative, as a number of T too.
fn not_negative<T: Scalar>(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = value >= 0.0 && real::<T>(value).is_finite();
    in_range(holds, name, value, "a finite number of at least 0")
}

/// Whether a hyper-parameter is in \[0, 1).
fn below_one(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = (0.0..1.0).contains(&value);
    in_range(holds, name, value, "a number of at least 0 and below 1")
}
