//! The objective of a network as a problem for `argmin`.

use crate::cost::Cost;
use crate::derivatives::Curvature;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::layout::allocate;
use crate::network::{Network, check_theta};
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use argmin::core::{CostFunction, Error as ArgminError, Gradient};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// J and ∇J of a network over fixed examples as an `argmin` problem in the flat θ, a `Vec<T>` (feature `argmin`).
///
/// Derivation: [(25)](crate::derivation#minimise).
///
/// argmin asks for the cost and for the gradient of a point in two calls. Here one pass computes both, and the
/// second call is answered from the first. The network is not cloned, and the workspace is reused; the network itself
/// stays as it is: set the parameters that argmin found with [`Network::set_theta`]. T is `f32` or `f64`: of a dual
/// number only the real part tells one point from another.
///
/// argmin's own line searches end a run where J overflows, and its Moré–Thuente search may return a
/// point with a larger J. [`training::Lbfgs`](crate::training::Lbfgs) and
/// [`ConjugateGradient`](crate::training::ConjugateGradient) are argmin's solvers with a search that does
/// neither.
///
/// # Example
/// The least-squares line through (0, 1), (1, 3), (2, 5) is 1 + 2x:
/// ```
/// use argmin::core::Executor;
/// use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
/// use backprop::nalgebra::DMatrix;
/// use backprop::{ArgminProblem, Examples, Network, Objective, SquaredError, activation::Identity};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
/// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
///
/// let problem = ArgminProblem::new(&network, &examples, &objective)?;
/// let start = network.theta().as_slice().to_vec();
/// let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7);
/// let found = Executor::new(problem, solver).configure(|s| s.param(start).max_iters(50)).run()?;
/// let theta = found.state.best_param.ok_or("no point was found")?;
/// network.set_theta(&theta)?;
/// assert!((network.theta()[0] - 1.0).abs() < 1e-6 && (network.theta()[1] - 2.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ArgminProblem<'a, T: Scalar, L, C> {
    pub(super) network: &'a Network<T, L>,
    pub(super) examples: &'a Examples<'a, T>,
    pub(super) objective: &'a Objective<C>,
    pub(super) curvature: Curvature,
    pub(super) last: Arc<Mutex<Last<T>>>,
}

/// The last point, and what was computed there.
#[derive(Debug)]
pub(super) struct Last<T: Scalar> {
    theta: Vec<T>,
    /// J there; `None` while it is unknown.
    cost: Option<T>,
    gradient: Vec<T>,
    pub(super) workspace: Workspace<T>,
    evaluations: u64,
    pub(super) products: u64,
    /// What a product could not say, as it has no result for it: the next evaluation does.
    pub(super) error: Option<Error>,
}

impl<'a, T: Scalar, L: Layer<T>, C: Cost<T>> ArgminProblem<'a, T, L, C> {
    /// The problem of minimising `objective` over `examples`.
    ///
    /// # Errors
    /// Those of [`Network::backprop`] at the network's present parameters, where it is tried once.
    pub fn new(
        network: &'a Network<T, L>,
        examples: &'a Examples<'a, T>,
        objective: &'a Objective<C>,
    ) -> Result<Self, Error> {
        let last = Last {
            gradient: allocate("the gradient", (network.parameters(), 1), T::zero())?,
            theta: Vec::new(),
            cost: None,
            workspace: Workspace::new(),
            evaluations: 0,
            products: 0,
            error: None,
        };
        let problem = Self {
            network,
            examples,
            objective,
            curvature: Curvature::Hessian,
            last: Arc::new(Mutex::new(last)),
        };
        drop(problem.at(network.theta().as_slice())?);
        Ok(problem)
    }

    /// How many passes were made: one a point, however often it was asked for in a row.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.lock().evaluations
    }

    /// Which curvature the products are with; [`Curvature::Hessian`] unless set. With a positive semidefinite Gauss–Newton matrix every step of conjugate gradients is one of descent.
    #[must_use]
    pub fn curvature(mut self, curvature: Curvature) -> Self {
        self.curvature = curvature;
        self
    }

    /// How many products with the Hessian were made.
    #[must_use]
    pub fn products(&self) -> u64 {
        self.lock().products
    }

    fn lock(&self) -> MutexGuard<'_, Last<T>> {
        lock(&self.last)
    }

    /// J at θ, and under the guard ∇J; computed unless θ is the last point.
    fn at(&self, theta: &[T]) -> Result<(T, MutexGuard<'_, Last<T>>), Error> {
        let mut guard = self.lock();
        let last = &mut *guard;
        if let Some(error) = last.error.take() {
            return Err(error);
        }
        if let Some(cost) = last.cost
            && last.theta == theta
        {
            return Ok((cost, guard));
        }
        last.cost = None;
        check_theta(self.network.parameters(), theta)?;
        last.theta.clear();
        last.theta.extend_from_slice(theta);
        last.evaluations += 1;
        let parts = self.network.gradient_at(
            theta,
            self.examples,
            self.objective,
            &mut last.workspace,
            &mut last.gradient,
        )?;
        let cost = parts.total();
        last.cost = Some(cost);
        Ok((cost, guard))
    }
}

pub(super) fn lock<T: Scalar>(last: &Mutex<Last<T>>) -> MutexGuard<'_, Last<T>> {
    // A panic in a user's layer leaves at worst `cost: None`, so that nothing stale can be read.
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> CostFunction for ArgminProblem<'_, T, L, C> {
    type Param = Vec<T>;
    type Output = T;

    fn cost(&self, theta: &Vec<T>) -> Result<T, ArgminError> {
        Ok(self.at(theta)?.0)
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> Gradient for ArgminProblem<'_, T, L, C> {
    type Param = Vec<T>;
    type Gradient = Vec<T>;

    fn gradient(&self, theta: &Vec<T>) -> Result<Vec<T>, ArgminError> {
        Ok(self.at(theta)?.1.gradient.clone())
    }
}
