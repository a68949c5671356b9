//! Solvers that work on all examples at once, and the problem they are given.

use super::history::Stop;
use super::optimizer::{Decoupled, Entrywise, Optimizer, Rule};
use crate::error::{Error, unsupported};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DVector};
use std::fmt::Debug;

/// How training updates the parameters: an [`Optimizer`] step by step, or a [`FullBatch`] solver on
/// all examples at once.
///
/// [`Trainer::new`](super::Trainer::new) takes the methods of this crate directly, through `into`.
/// It also takes a boxed optimiser or solver of your own.
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

/// The problem of minimising J over all examples, as a [`FullBatch`] solver sees it.
///
/// A [`Trainer`](super::Trainer) poses the problem of its network. Implement the trait yourself to
/// test a solver on a function of your own.
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
    /// Those of [`Network::cost`](crate::Network::cost).
    fn cost(&mut self, theta: &[T]) -> Result<T, Error>;

    /// Returns J at θ and writes ∇J to `gradient`.
    ///
    /// # Errors
    /// Those of [`Network::gradient_into`](crate::Network::gradient_into).
    fn gradient(&mut self, theta: &[T], gradient: &mut [T]) -> Result<T, Error>;

    /// Returns J at θ with its Gauss–Newton approximation, for problems of a few hundred
    /// parameters.
    ///
    /// # Errors
    /// Those of [`Network::gauss_newton_matrix`](crate::Network::gauss_newton_matrix), and by
    /// default [`Error::Unsupported`].
    fn least_squares(&mut self, theta: &[T]) -> Result<LeastSquares<T>, Error> {
        _ = theta;
        Err(unsupported::<Self>("a least-squares form of J"))
    }
}

/// J near a θ as a least-squares problem: J(θ + p) ≈ J + ½‖R p + c‖² − ½‖c‖².
///
/// R and c come from the QR decomposition A = Q R with c = Qᵀr. A and r have a row for each example
/// and output, and one for each penalised parameter. So RᵀR = AᵀA is the Gauss–Newton matrix of J,
/// which is never formed, and Rᵀc = Aᵀr is ∇J.
#[derive(Clone, Debug, PartialEq)]
pub struct LeastSquares<T: Scalar> {
    /// J at θ.
    pub cost: T,
    /// J with the absolute cost of each example. It differs from J only if costs can be negative,
    /// as Poisson's can.
    pub magnitude: f64,
    /// R: P × P and upper triangular.
    pub triangle: DMatrix<T>,
    /// c: P entries.
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
    /// [`Error::Hyperparameter`].
    fn validate(&self) -> Result<(), Error>;

    /// Forgets everything except the settings.
    fn reset(&mut self);

    /// Makes one iteration: moves `theta` and writes ∇J at the new θ to `gradient`.
    ///
    /// `theta` is the start of the run, or where the previous iteration ended.
    ///
    /// # Errors
    /// Those of `problem`.
    fn iterate(
        &mut self,
        problem: &mut dyn Problem<T>,
        theta: &mut [T],
        gradient: &mut [T],
    ) -> Result<Iteration<T>, Error>;

    /// Returns what the solver remembers between iterations, for a checkpoint; `None` before the
    /// first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the solver cannot be saved.
    #[cfg(feature = "serde")]
    fn save(&self) -> Result<Option<serde_json::Value>, Error> {
        Err(unsupported::<Self>("a state that can be saved"))
    }

    /// Restores what [`save`](Self::save) returned, at the point that a run continues from.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the solver cannot be saved, [`Error::Checkpoint`] if `state`
    /// cannot be its state at that point.
    #[cfg(feature = "serde")]
    fn load(&mut self, state: Option<&serde_json::Value>, at: Reached<'_, T>) -> Result<(), Error> {
        _ = (state, at);
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

/// The result of one iteration of a [`FullBatch`] solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration<T> {
    /// J at the new θ.
    pub cost: T,
    /// How often J was evaluated, with or without its derivatives.
    pub evaluations: u64,
    /// Why the solver ends here: it has [converged](Stop::Converged), or it
    /// [found no smaller J](Stop::NoDescent). `None` if it goes on.
    pub stop: Option<Stop>,
}
