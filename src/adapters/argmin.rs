//! The objective of a network as a problem for `argmin`.

use crate::allocation::allocate;
use crate::cost::Cost;
use crate::derivatives::Curvature;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::{Network, check_theta};
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use argmin::core::{CostFunction, Error as ArgminError, Gradient};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// J and ∇J of a network over fixed examples as an `argmin` problem in the flat θ, a `Vec<T>`
/// (feature `argmin`).
///
/// Derivation: [(25)](crate::derivation#minimise).
///
/// argmin requests the cost and the gradient of a point in two calls. One pass computes both, and
/// the second call reuses the result. The network is neither cloned nor changed, and the workspace
/// is reused. Set the parameters that argmin finds with [`Network::set_theta`]. T is `f32` or
/// `f64`, because points are compared by the real part of their entries.
///
/// The entries of [frozen](Network::freeze) layers in ∇J are 0, so solvers that follow ∇J leave them
/// alone. A solver without derivatives does not.
///
/// Threads may share a problem and its Hessians, as argmin's `rayon` feature does. Each call has
/// its own buffers: two vectors of P numbers and a workspace, kept for later calls. The problem
/// remembers as many recent points as there were concurrent calls.
///
/// J is evaluated outside training: a batch norm uses the running statistics of the network, which
/// no call changes.
///
/// argmin's own line searches end a run where J overflows, and its Moré–Thuente search may return a
/// point with a larger J. [`training::Lbfgs`](crate::training::Lbfgs) and
/// [`ConjugateGradient`](crate::training::ConjugateGradient) are argmin's solvers with a search
/// that does neither.
///
/// # Example
/// The least-squares line through (0, 1), (1, 3), (2, 5) is 1 + 2x:
/// ```
/// use backprop::argmin::core::Executor;
/// use backprop::argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
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
    pub(super) shared: Arc<Mutex<Shared<T>>>,
}

/// State shared by the calls of a problem and of its Hessians.
///
/// The lock is never held during a pass. While a pass waits for other threads of its pool, its own
/// thread may start another call of the same problem, which would wait for the lock forever.
#[derive(Debug)]
pub(super) struct Shared<T: Scalar> {
    /// Buffers that no call is using, with the most recently used last. A single thread needs one.
    idle: Vec<Point<T>>,
    evaluations: u64,
    products: u64,
    /// The error of a product, which cannot return it. The next evaluation does.
    error: Option<Error>,
}

/// The buffers of a call, with the results it computed last.
#[derive(Debug)]
struct Point<T: Scalar> {
    theta: Vec<T>,
    /// J at `theta`; `None` while it is unknown.
    cost: Option<T>,
    gradient: Vec<T>,
    workspace: Workspace<T>,
}

impl<'a, T: Scalar, L: Layer<T>, C: Cost<T>> ArgminProblem<'a, T, L, C> {
    /// Returns the problem of minimising `objective` over `examples`.
    ///
    /// # Errors
    /// Returns the errors of [`Network::backprop`] at the network's current parameters, and
    /// [`Error::SingleOutput`] for one output with softmax or the categorical cross-entropy.
    pub fn new(
        network: &'a Network<T, L>,
        examples: &'a Examples<'a, T>,
        objective: &'a Objective<C>,
    ) -> Result<Self, Error> {
        network.check_classes(&objective.cost)?;
        let shared = Shared {
            idle: Vec::new(),
            evaluations: 0,
            products: 0,
            error: None,
        };
        let problem = Self {
            network,
            examples,
            objective,
            curvature: Curvature::Hessian,
            shared: Arc::new(Mutex::new(shared)),
        };
        problem.at(network.theta().as_slice(), |_, _| ())?;
        Ok(problem)
    }

    /// Returns the number of passes: one per point, even if a point is requested several times in a
    /// row. Threads that request the same point at the same time make one pass each.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        lock(&self.shared).evaluations
    }

    /// Sets the curvature of the products. The default is [`Curvature::Hessian`]. With a positive
    /// semidefinite Gauss–Newton matrix, every step of conjugate gradients is a descent direction.
    #[must_use]
    pub fn curvature(mut self, curvature: Curvature) -> Self {
        self.curvature = curvature;
        self
    }

    /// Returns the number of products with the Hessian.
    #[must_use]
    pub fn products(&self) -> u64 {
        lock(&self.shared).products
    }

    /// Reads J and ∇J at θ, and computes both first if they are not known.
    fn at<A>(&self, theta: &[T], read: impl FnOnce(T, &[T]) -> A) -> Result<A, Error> {
        let mut shared = lock(&self.shared);
        if let Some(error) = shared.error.take() {
            return Err(error);
        }
        let known = |point: &Point<T>| point.cost.filter(|_| point.theta == theta);
        if let Some(place) = shared.idle.iter().rposition(|point| known(point).is_some()) {
            shared.idle[place..].rotate_left(1);
            let last = shared.idle.last();
            if let Some((point, cost)) = last.and_then(|last| Some((last, known(last)?))) {
                return Ok(read(cost, &point.gradient));
            }
        }
        check_theta(self.network.parameters(), theta)?;
        let mut point = shared.take(theta.len())?;
        shared.evaluations += 1;
        drop(shared);
        let found = self.evaluate(theta, &mut point);
        let found = found.map(|cost| read(cost, &point.gradient));
        let mut shared = lock(&self.shared);
        if found.is_ok() {
            shared.idle.push(point);
        } else {
            shared.give_back(point);
        }
        found
    }

    /// Computes J at θ, and writes ∇J to the buffers of `point`.
    fn evaluate(&self, theta: &[T], point: &mut Point<T>) -> Result<T, Error> {
        point.cost = None;
        point.theta.copy_from_slice(theta);
        let parts = self.network.gradient_at(
            self.network.point_at(theta),
            self.examples,
            self.objective,
            &mut point.workspace,
            &mut point.gradient,
        )?;
        point.cost = Some(parts.total());
        Ok(parts.total())
    }
}

impl<T: Scalar> Shared<T> {
    /// Takes the least recently used buffers, or allocates buffers of P entries if all are in use.
    fn take(&mut self, parameters: usize) -> Result<Point<T>, Error> {
        if !self.idle.is_empty() {
            return Ok(self.idle.remove(0));
        }
        let shape = (parameters, 1);
        Ok(Point {
            theta: allocate("θ", shape, T::zero())?,
            cost: None,
            gradient: allocate("the gradient", shape, T::zero())?,
            workspace: Workspace::new(),
        })
    }

    /// Returns buffers that hold nothing new, so that they are taken first.
    fn give_back(&mut self, point: Point<T>) {
        self.idle.insert(0, point);
    }
}

/// Runs `product` with the buffers of a call, and counts it.
pub(super) fn with_workspace<T: Scalar, A>(
    shared: &Mutex<Shared<T>>,
    parameters: usize,
    product: impl FnOnce(&mut Workspace<T>) -> Result<A, Error>,
) -> Result<A, Error> {
    let mut guard = lock(shared);
    guard.products += 1;
    let mut point = guard.take(parameters)?;
    drop(guard);
    let found = product(&mut point.workspace);
    lock(shared).give_back(point);
    found
}

/// Keeps an error for the next evaluation, unless an earlier error is already kept.
pub(super) fn defer<T: Scalar>(shared: &Mutex<Shared<T>>, error: Error) {
    lock(shared).error.get_or_insert(error);
}

/// Locks `mutex`, even after a panic. A user's layer runs outside the lock, so a panic loses only
/// the buffers of its call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> CostFunction for ArgminProblem<'_, T, L, C> {
    type Param = Vec<T>;
    type Output = T;

    fn cost(&self, theta: &Vec<T>) -> Result<T, ArgminError> {
        Ok(self.at(theta, |cost, _| cost)?)
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> Gradient for ArgminProblem<'_, T, L, C> {
    type Param = Vec<T>;
    type Gradient = Vec<T>;

    fn gradient(&self, theta: &Vec<T>) -> Result<Vec<T>, ArgminError> {
        Ok(self.at(theta, |_, gradient| gradient.to_vec())?)
    }
}
