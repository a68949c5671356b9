//! L-BFGS and nonlinear conjugate gradients: argmin's solvers with this crate's line search.

use super::argmin_driver::{Driver, Tolerance};
use super::full_batch::Method;
use super::wolfe_search::{For, Search};
use crate::error::Error;
use crate::error::ranges::{in_range, not_negative};
use crate::scalar::{Scalar, real};
use argmin::core::ArgminFloat;
use argmin::solver::conjugategradient::NonlinearConjugateGradient;
use argmin::solver::conjugategradient::beta::PolakRibierePlus;
use argmin::solver::quasinewton::LBFGS;

/// The maximum number of differences. argmin allocates room for all of them at once, and aborts the
/// process if there is not enough memory.
const MOST_MEMORY: usize = 10_000;

type LbfgsOf<T> = LBFGS<Search<T>, Vec<T>, Vec<T>, T>;
type ConjugateGradientOf<T> = NonlinearConjugateGradient<Vec<T>, Search<T>, PolakRibierePlus, T>;

/// Limited-memory BFGS on all examples at once, with the solver from `argmin` (feature `argmin`).
///
/// An iteration moves θ by α p with p = −H ∇J. H approximates the inverse Hessian from the last
/// differences of θ and ∇J (Liu and Nocedal 1989, doi:10.1007/BF01589116). α meets the strong Wolfe
/// conditions with c₁ = 10⁻³ and c₂ = 0.9 (Moré and Thuente 1994, doi:10.1145/192115.192132; the
/// implementation is this crate's own). The first α tried is 1, or min(1, 1/‖∇J‖) while there are
/// no differences (or longer, if rounding would hide the change of J).
///
/// J never increases. A step to a point where J or ∇J is not finite is shortened. If the search
/// finds no smaller J, the solver discards its differences and tries once more along −∇J. If that
/// fails too, the run ends with [`Stop::NoDescent`](super::Stop::NoDescent).
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
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
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
    /// Returns a solver that keeps 10 differences and converges at ‖∇J‖ ≤ 10⁻⁹.
    #[must_use]
    pub fn new() -> Self {
        Self {
            memory: 10,
            gradient: 1e-9,
            cost: 0.0,
        }
    }

    /// Sets the number of differences to keep, from 1 to 10,000.
    #[must_use]
    pub fn memory(mut self, iterations: usize) -> Self {
        self.memory = iterations;
        self
    }

    /// Sets the condition for convergence: ‖∇J‖ ≤ `gradient`, or J falls by less than `cost`. Both
    /// must be at least 0.
    #[must_use]
    pub fn tolerance(mut self, gradient: f64, cost: f64) -> Self {
        (self.gradient, self.cost) = (gradient, cost);
        self
    }
}

/// Nonlinear conjugate gradients on all examples at once, with the solver from `argmin` (feature
/// `argmin`).
///
/// An iteration moves θ by α p with p = −∇J + β p′, where p′ is the previous direction and β =
/// max(0, ∇Jᵀ(∇J − ∇J′)/‖∇J′‖²) with the previous gradient ∇J′ (Polak and Ribière 1969; Nocedal and
/// Wright, *Numerical Optimization*, 5.45). The search for α and its guarantees are those of
/// [`Lbfgs`], with c₁ = 10⁻⁴ and c₂ = 0.1. If J were a parabola, the first α tried would decrease J
/// by 1.01 times the last decrease; this α is at most 1.
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
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
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
    /// Returns a solver that restarts every 100 iterations and converges at ‖∇J‖ ≤ 10⁻⁹.
    #[must_use]
    pub fn new() -> Self {
        Self {
            restart: 100,
            gradient: 1e-9,
        }
    }

    /// Sets the number of iterations between restarts along −∇J, at least 1.
    #[must_use]
    pub fn restart(mut self, iterations: u64) -> Self {
        self.restart = iterations;
        self
    }

    /// Sets the condition for convergence: ‖∇J‖ ≤ `gradient`, which must be at least 0.
    #[must_use]
    pub fn tolerance(mut self, gradient: f64) -> Self {
        self.gradient = gradient;
        self
    }
}

impl Lbfgs {
    fn validate(&self) -> Result<(), Error> {
        let (memory, holds) = (self.memory as f64, (1..=MOST_MEMORY).contains(&self.memory));
        in_range(holds, "the memory of L-BFGS", memory, "1 to 10,000")?;
        not_negative::<f64>("the tolerance", self.gradient)?;
        not_negative::<f64>("the tolerance", self.cost)
    }

    fn make<T: Scalar + ArgminFloat>(&self) -> LbfgsOf<T> {
        let solver = || LBFGS::new(Search::new(For::Lbfgs), self.memory);
        // The driver applies the tolerances. argmin's copies are only part of the saved state.
        let toleranced = solver().with_tolerance_grad(real(self.gradient));
        let toleranced = toleranced.and_then(|solver| solver.with_tolerance_cost(real(self.cost)));
        toleranced.unwrap_or_else(|_| solver())
    }

    fn driver<T: Scalar + ArgminFloat>(self) -> Driver<T, Self, LbfgsOf<T>> {
        Driver {
            name: "L-BFGS",
            settings: self,
            validate: Self::validate,
            make: Self::make,
            tolerance: Tolerance {
                gradient: self.gradient,
                cost: self.cost,
            },
            current: None,
        }
    }
}

impl ConjugateGradient {
    fn validate(&self) -> Result<(), Error> {
        let name = "the number of iterations before a restart";
        in_range(self.restart > 0, name, 0.0, "at least 1")?;
        not_negative::<f64>("the tolerance", self.gradient)
    }

    fn make<T: Scalar + ArgminFloat>(&self) -> ConjugateGradientOf<T> {
        let search = Search::new(For::ConjugateGradient);
        NonlinearConjugateGradient::new(search, PolakRibierePlus::new()).restart_iters(self.restart)
    }

    fn driver<T: Scalar + ArgminFloat>(self) -> Driver<T, Self, ConjugateGradientOf<T>> {
        Driver {
            name: "nonlinear conjugate gradient",
            settings: self,
            validate: Self::validate,
            make: Self::make,
            tolerance: Tolerance {
                gradient: self.gradient,
                cost: 0.0,
            },
            current: None,
        }
    }
}

// argmin's solvers support only `f32` and `f64`.

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
