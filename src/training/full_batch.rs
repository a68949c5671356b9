//! The methods of a trainer, full-batch solvers, and the problem that they solve.

use super::history::Stop;
use super::optimizer::{Decoupled, Entrywise, Optimizer, Rule};
use crate::error::{Error, unsupported};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DVector};
use std::fmt::Debug;

/// The method of a training run: an [`Optimizer`], which makes one step per batch, or a
/// [`FullBatch`] solver, which works on all examples at once.
///
/// [`Trainer::new`](super::Trainer::new) takes the methods of this crate directly, through `into`.
/// It also accepts a boxed custom optimiser or solver.
#[derive(Debug)]
#[non_exhaustive]
pub enum Method<T: Scalar> {
    /// One step for each batch.
    Steps(Box<dyn Optimizer<T>>),
    /// One iteration on all examples for each epoch.
    FullBatch(Box<dyn FullBatch<T>>),
}

impl<T: Scalar> Method<T> {
    /// Returns the full-batch solver, which iterates on any [`Problem`]; `None` for an optimiser.
    ///
    /// # Example
    /// See [`Problem`].
    #[must_use]
    pub fn full_batch(self) -> Option<Box<dyn FullBatch<T>>> {
        match self {
            Self::Steps(_) => None,
            Self::FullBatch(solver) => Some(solver),
        }
    }
}

impl<T: Scalar> From<Box<dyn Optimizer<T>>> for Method<T> {
    fn from(optimizer: Box<dyn Optimizer<T>>) -> Self {
        Self::Steps(optimizer)
    }
}

impl<T: Scalar> From<Box<dyn FullBatch<T>>> for Method<T> {
    fn from(solver: Box<dyn FullBatch<T>>) -> Self {
        Self::FullBatch(solver)
    }
}

impl<T: Scalar, R: Rule, D: Decoupled + 'static> From<Entrywise<T, R, D>> for Method<T> {
    fn from(optimizer: Entrywise<T, R, D>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

/// A function J of the parameters, which a [`FullBatch`] solver minimises.
///
/// In a [`Trainer`](super::Trainer), J is the objective of the network over all examples. Implement
/// `Problem` yourself to minimise a custom loss with `Lbfgs`, or to test a solver.
///
/// # Example
/// One iteration of Levenberg–Marquardt on J = ½(θ − 3)²:
/// ```
/// use backprop::nalgebra::{DMatrix, DVector};
/// use backprop::training::{LeastSquares, LevenbergMarquardt, Method, Problem};
/// use backprop::Error;
///
/// struct Parabola;
///
/// impl Problem<f64> for Parabola {
///     fn cost(&mut self, theta: &[f64]) -> Result<f64, Error> {
///         Ok(0.5 * (theta[0] - 3.0) * (theta[0] - 3.0))
///     }
///
///     fn gradient(&mut self, theta: &[f64], gradient: &mut [f64]) -> Result<f64, Error> {
///         gradient[0] = theta[0] - 3.0;
///         self.cost(theta)
///     }
///
///     fn least_squares(&mut self, theta: &[f64]) -> Result<LeastSquares<f64>, Error> {
///         let cost = self.cost(theta)?;
///         Ok(LeastSquares {
///             cost,
///             magnitude: cost,
///             triangle: DMatrix::from_element(1, 1, 1.0),
///             right: DVector::from_element(1, theta[0] - 3.0),
///         })
///     }
/// }
///
/// let method = Method::from(LevenbergMarquardt::new().damping(1e-12));
/// let mut solver = method.full_batch().expect("a full-batch solver");
/// let (mut theta, mut gradient) = ([1.0], [0.0]);
/// solver.iterate(&mut Parabola, &mut theta, &mut gradient)?;
/// assert!((theta[0] - 3.0).abs() < 1e-9);
/// # Ok::<(), Error>(())
/// ```
pub trait Problem<T: Scalar> {
    /// Returns J at θ.
    ///
    /// # Errors
    /// For the problem of a network, returns the errors of [`Network::cost`](crate::Network::cost).
    fn cost(&mut self, theta: &[T]) -> Result<T, Error>;

    /// Returns J at θ and writes ∇J to `gradient`.
    ///
    /// # Errors
    /// For the problem of a network, returns the errors of
    /// [`Network::gradient_into`](crate::Network::gradient_into).
    fn gradient(&mut self, theta: &[T], gradient: &mut [T]) -> Result<T, Error>;

    /// Returns J at θ with its Gauss–Newton approximation, for problems of a few hundred
    /// parameters.
    ///
    /// # Errors
    /// For the problem of a network, returns the errors of
    /// [`Network::gauss_newton_matrix`](crate::Network::gauss_newton_matrix). The default
    /// implementation returns [`Error::Unsupported`].
    fn least_squares(&mut self, theta: &[T]) -> Result<LeastSquares<T>, Error> {
        _ = theta;
        Err(unsupported::<Self>("a least-squares form of J"))
    }
}

/// J near a θ as a least-squares problem: J(θ + p) ≈ J + ½‖R p + c‖² − ½‖c‖².
///
/// R and c come from the QR decomposition A = Q R with c = Qᵀr. A and r have a row for each example
/// and output, and one for each penalised parameter. Therefore, RᵀR = AᵀA is the Gauss–Newton
/// matrix of J, which is never formed, and Rᵀc = Aᵀr is ∇J.
#[derive(Clone, Debug, PartialEq)]
pub struct LeastSquares<T: Scalar> {
    /// J at θ.
    pub cost: T,
    /// J computed with the absolute value of each example's cost. It differs from J only if costs
    /// can be negative, as the Poisson cost can.
    pub magnitude: f64,
    /// R, which is P × P and upper triangular.
    pub triangle: DMatrix<T>,
    /// c, which has P entries.
    pub right: DVector<T>,
}

/// A solver that improves θ by evaluating J and its derivatives over all examples. An iteration may
/// take several evaluations.
///
/// The crate provides [`LevenbergMarquardt`](super::LevenbergMarquardt), and `Lbfgs` and
/// `ConjugateGradient` (feature `argmin`).
pub trait FullBatch<T: Scalar>: Debug + Send + Sync {
    /// Returns the name of the method, for reports and checkpoints.
    #[must_use]
    fn name(&self) -> &'static str;

    /// Checks that all settings are in their ranges.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] for the first setting that is out of range.
    fn validate(&self) -> Result<(), Error>;

    /// Discards everything except the settings.
    fn reset(&mut self);

    /// Runs one iteration: updates `theta`, and writes ∇J at the new θ to `gradient`.
    ///
    /// `theta` is the start of the run, or the point at which the previous iteration ended. Both
    /// vectors leave out the entries of frozen layers.
    ///
    /// # Errors
    /// Returns the errors of `problem`, and [`Error::Length`] if `gradient` is not as long as
    /// `theta`, or if `theta` is not as long as in earlier iterations.
    fn iterate(
        &mut self,
        problem: &mut dyn Problem<T>,
        theta: &mut [T],
        gradient: &mut [T],
    ) -> Result<Iteration<T>, Error>;

    /// Returns the solver's memory between iterations, for a checkpoint; `None` before the first
    /// iteration.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if the solver cannot be saved.
    #[cfg(feature = "serde")]
    fn save(&self) -> Result<Option<serde_json::Value>, Error> {
        Err(unsupported::<Self>("a state that can be saved"))
    }

    /// Restores the memory that [`save`](Self::save) returned, at the point from which a run
    /// continues.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if the solver cannot be saved, and [`Error::Checkpoint`] if
    /// the solver cannot have this `state` at that point.
    #[cfg(feature = "serde")]
    fn load(&mut self, state: Option<&serde_json::Value>, at: Reached<'_, T>) -> Result<(), Error> {
        _ = (state, at);
        Err(unsupported::<Self>("a state that can be saved"))
    }
}

/// The point from which a run continues.
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reached<'a, T> {
    /// The number of completed epochs.
    pub epochs: u64,
    /// θ without the entries of frozen layers, as in [`FullBatch::iterate`].
    pub theta: &'a [T],
    /// J at θ, as in the history.
    pub cost: f64,
}

/// The result of one iteration of a [`FullBatch`] solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration<T> {
    /// J at the new θ.
    pub cost: T,
    /// The number of evaluations of J, with or without its derivatives.
    pub evaluations: u64,
    /// The reason for ending here: the solver has [converged](Stop::Converged), or it
    /// [found no smaller J](Stop::NoDescent). `None` if it continues.
    pub stop: Option<Stop>,
}
