//! L-BFGS and nonlinear conjugate gradients.

use super::argmin_driver::{Driver, Search};
use super::method::Method;
use crate::error::Error;
use crate::scalar::{Scalar, real};
use argmin::core::{ArgminFloat, Error as ArgminError};
use argmin::solver::conjugategradient::NonlinearConjugateGradient;
use argmin::solver::conjugategradient::beta::PolakRibiere;
use argmin::solver::quasinewton::LBFGS;

type LbfgsOf<T> = LBFGS<Search<T>, Vec<T>, Vec<T>, T>;
type ConjugateGradientOf<T> = NonlinearConjugateGradient<Vec<T>, Search<T>, PolakRibiere, T>;

/// Limited-memory BFGS with Moré and Thuente's line search, by `argmin` (feature `argmin`).
///
/// An iteration moves θ along −H ∇J, where H stands for the inverse Hessian as the last few differences of θ and of ∇J make it out (Liu and Nocedal
/// 1989, doi:10.1007/BF01589116), by a length that the line search finds (Moré and Thuente 1994, doi:10.1145/192115.192132).
///
/// # Example
/// The least-squares line through (0, 1), (1, 3), (2, 5) is 1 + 2x:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{Lbfgs, Trainer};
/// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
///
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
/// Trainer::new(Objective::new(SquaredError), Lbfgs::new())
///     .epochs(50)
///     .fit(&mut network, &Examples::new(&x, &y)?)?;
/// assert!((network.theta()[0] - 1.0).abs() < 1e-6 && (network.theta()[1] - 2.0).abs() < 1e-6);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lbfgs {
    memory: usize,
    gradient: f64,
    cost: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self::new()
    }
}

impl Lbfgs {
    /// With a memory of 10 iterations, until ‖∇J‖ < 10⁻⁹ or J no longer changes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            memory: 10,
            gradient: 1e-9,
            cost: 0.0,
        }
    }

    /// How many differences are remembered, at least 1.
    #[must_use]
    pub fn memory(mut self, iterations: usize) -> Self {
        self.memory = iterations;
        self
    }

    /// Converged when ‖∇J‖ is below `gradient`, or J changes by less than `cost`; both at least 0.
    #[must_use]
    pub fn tolerance(mut self, gradient: f64, cost: f64) -> Self {
        (self.gradient, self.cost) = (gradient, cost);
        self
    }
}

/// Nonlinear conjugate gradients with Polak and Ribière's β, by `argmin` (feature `argmin`).
///
/// An iteration moves θ along p = −∇J + β p, with β = ∇Jᵀ(∇J − ∇J′)/‖∇J′‖² from the gradient ∇J′ before (Polak and Ribière 1969), and by a length that
/// the line search of [`Lbfgs`] finds. It begins anew with −∇J every so many iterations.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{ConjugateGradient, Trainer};
/// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
///
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
/// Trainer::new(Objective::new(SquaredError), ConjugateGradient::new())
///     .epochs(100)
///     .fit(&mut network, &Examples::new(&x, &y)?)?;
/// assert!((network.theta()[0] - 1.0).abs() < 1e-5 && (network.theta()[1] - 2.0).abs() < 1e-5);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConjugateGradient {
    restart: u64,
    gradient: f64,
}

impl Default for ConjugateGradient {
    fn default() -> Self {
        Self::new()
    }
}

impl ConjugateGradient {
    /// Anew every 100 iterations, until ‖∇J‖ < 10⁻⁹.
    #[must_use]
    pub fn new() -> Self {
        Self {
            restart: 100,
            gradient: 1e-9,
        }
    }

    /// Begins anew every so many iterations, at least 1.
    #[must_use]
    pub fn restart(mut self, iterations: u64) -> Self {
        self.restart = iterations;
        self
    }

    /// Converged when ‖∇J‖ is below `gradient` ≥ 0.
    #[must_use]
    pub fn tolerance(mut self, gradient: f64) -> Self {
        self.gradient = gradient;
        self
    }
}

impl Lbfgs {
    fn validate(&self) -> Result<(), Error> {
        if self.memory == 0 {
            return Err(refused("the memory of L-BFGS", 0.0, "at least 1"));
        }
        check_tolerance(self.gradient)?;
        check_tolerance(self.cost)
    }

    fn make<T: Scalar + ArgminFloat>(&self) -> Result<LbfgsOf<T>, ArgminError> {
        LBFGS::new(Search::new(), self.memory)
            .with_tolerance_grad(real(self.gradient))?
            .with_tolerance_cost(real(self.cost))
    }

    fn driver<T: Scalar + ArgminFloat>(self) -> Driver<T, Self, LbfgsOf<T>> {
        Driver {
            name: "L-BFGS",
            settings: self,
            validate: Self::validate,
            make: Self::make,
            gradient: self.gradient,
            current: None,
        }
    }
}

impl ConjugateGradient {
    fn validate(&self) -> Result<(), Error> {
        if self.restart == 0 {
            return Err(refused("the iterations to a restart", 0.0, "at least 1"));
        }
        check_tolerance(self.gradient)
    }

    fn make<T: Scalar + ArgminFloat>(&self) -> Result<ConjugateGradientOf<T>, ArgminError> {
        let solver = NonlinearConjugateGradient::new(Search::new(), PolakRibiere::new());
        Ok(solver.restart_iters(self.restart))
    }

    fn driver<T: Scalar + ArgminFloat>(self) -> Driver<T, Self, ConjugateGradientOf<T>> {
        Driver {
            name: "nonlinear conjugate gradient",
            settings: self,
            validate: Self::validate,
            make: Self::make,
            gradient: self.gradient,
            current: None,
        }
    }
}

fn check_tolerance(value: f64) -> Result<(), Error> {
    match value >= 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(refused("a tolerance", value, "finite and at least 0")),
    }
}

fn refused(name: &'static str, value: f64, expected: &'static str) -> Error {
    Error::Hyperparameter {
        name,
        value,
        expected,
    }
}

// argmin's solvers are for these two alone.

impl From<Lbfgs> for Method<f32> {
    fn from(solver: Lbfgs) -> Self {
        Self::FullBatch(Box::new(solver.driver()))
    }
}

impl From<Lbfgs> for Method<f64> {
    fn from(solver: Lbfgs) -> Self {
        Self::FullBatch(Box::new(solver.driver()))
    }
}

impl From<ConjugateGradient> for Method<f32> {
    fn from(solver: ConjugateGradient) -> Self {
        Self::FullBatch(Box::new(solver.driver()))
    }
}

impl From<ConjugateGradient> for Method<f64> {
    fn from(solver: ConjugateGradient) -> Self {
        Self::FullBatch(Box::new(solver.driver()))
    }
}
