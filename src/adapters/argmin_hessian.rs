//! The Hessian of a network's objective for `argmin`, given by its products.

use super::argmin::{ArgminProblem, Shared, defer, lock, with_workspace};
use crate::allocation::allocate;
use crate::cost::Cost;
use crate::derivatives::Curvature;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::{Network, check_theta};
use crate::objective::Objective;
use crate::scalar::Scalar;
use argmin::core::{Error as ArgminError, Hessian};
use argmin_math::ArgminDot;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex};

/// The Hessian of J at a point, or its Gauss–Newton part, as a linear operator for `argmin`'s
/// truncated Newton methods (feature `argmin`).
///
/// No matrix is formed. argmin's interface cannot report the error of a product, so a product that
/// fails returns zeros. These end the inner iterations (those of `NewtonCG` unless its curvature
/// threshold is negative; the default is 0). The next evaluation of the problem returns the error;
/// without one, the error is lost. The last product is kept, because argmin's solvers request it
/// twice.
///
/// # Example
/// Truncated Newton in a trust region, on the parabola through (−1, 1), (0, 0), (1, 1):
/// ```
/// use backprop::argmin::core::{Executor, State};
/// use backprop::argmin::solver::trustregion::{Steihaug, TrustRegion};
/// use backprop::activation::{Identity, Tanh};
/// use backprop::nalgebra::DMatrix;
/// use backprop::{ArgminProblem, Examples, Initialization, Network, Objective, SquaredError, rng};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::<f64>::builder(1).dense(3, Tanh).dense(1, Identity);
/// let network = network.initialize(Initialization::GlorotUniform, &mut rng(1))?;
/// let x = DMatrix::from_row_slice(1, 3, &[-1.0, 0.0, 1.0]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 1.0]);
/// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
///
/// let problem = ArgminProblem::new(&network, &examples, &objective)?;
/// let start = network.theta().as_slice().to_vec();
/// let solver = TrustRegion::new(Steihaug::new().with_max_iters(20));
/// let found = Executor::new(problem, solver).configure(|s| s.param(start).max_iters(50)).run()?;
/// assert!(found.state.get_best_cost() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub struct ArgminHessian<'a, T: Scalar, L, C> {
    network: &'a Network<T, L>,
    examples: &'a Examples<'a, T>,
    objective: &'a Objective<C>,
    curvature: Curvature,
    theta: Arc<Vec<T>>,
    shared: Arc<Mutex<Shared<T>>>,
    known: Arc<Mutex<Known<T>>>,
}

/// The last vector and its product.
type Known<T> = Option<(Vec<T>, Vec<T>)>;

impl<T: Scalar, L, C> Clone for ArgminHessian<'_, T, L, C> {
    fn clone(&self) -> Self {
        Self {
            theta: Arc::clone(&self.theta),
            shared: Arc::clone(&self.shared),
            known: Arc::clone(&self.known),
            ..*self
        }
    }
}

impl<T: Scalar, L, C> Debug for ArgminHessian<'_, T, L, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgminHessian")
            .field("curvature", &self.curvature)
            .field("theta", &self.theta)
            .finish_non_exhaustive()
    }
}

impl<'a, T: Scalar, L: Layer<T>, C: Cost<T>> Hessian for ArgminProblem<'a, T, L, C> {
    type Param = Vec<T>;
    type Hessian = ArgminHessian<'a, T, L, C>;

    fn hessian(&self, theta: &Vec<T>) -> Result<Self::Hessian, ArgminError> {
        check_theta(self.network.parameters(), theta)?;
        Ok(ArgminHessian {
            network: self.network,
            examples: self.examples,
            objective: self.objective,
            curvature: self.curvature,
            theta: Arc::new(theta.clone()),
            shared: Arc::clone(&self.shared),
            known: Arc::default(),
        })
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> ArgminHessian<'_, T, L, C> {
    /// Returns the product with a vector of length P.
    ///
    /// # Errors
    /// Returns the errors of [`Network::hessian_product`] or [`Network::gauss_newton_product`].
    pub fn product(&self, v: &[T]) -> Result<Vec<T>, Error> {
        let mut product = allocate("the product", (v.len(), 1), T::zero())?;
        let at = (&self.theta[..], self.curvature);
        let of = (self.examples, self.objective);
        with_workspace(&self.shared, self.theta.len(), |workspace| {
            let to = &mut product;
            self.network
                .curvature_product_at(at, of, v.into(), workspace, to)
        })?;
        Ok(product)
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> ArgminDot<Vec<T>, Vec<T>> for ArgminHessian<'_, T, L, C> {
    fn dot(&self, v: &Vec<T>) -> Vec<T> {
        if let Some((_, product)) = lock(&self.known).as_ref().filter(|(of, _)| of == v) {
            return product.clone();
        }
        match self.product(v) {
            Ok(product) => {
                *lock(&self.known) = Some((v.clone(), product.clone()));
                product
            }
            Err(error) => {
                defer(&self.shared, error);
                vec![T::zero(); v.len()]
            }
        }
    }
}
