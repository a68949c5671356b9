//! J of a network over the examples of a run, as solvers see it.

use super::full_batch::{LeastSquares, Problem};
use crate::cost::Cost;
use crate::derivatives::GaussNewton;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;

/// J of a network over all examples of a run.
pub(super) struct NetworkProblem<'p, T: Scalar, L, C> {
    pub(super) network: &'p Network<T, L>,
    pub(super) examples: &'p Examples<'p, T>,
    pub(super) objective: &'p Objective<C>,
    pub(super) workspace: &'p mut Workspace<T>,
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> Problem<T> for NetworkProblem<'_, T, L, C> {
    fn cost(&mut self, theta: &[T]) -> Result<T, Error> {
        let (examples, workspace) = (self.examples, &mut *self.workspace);
        let parts = self
            .network
            .cost_at(theta, examples, self.objective, workspace)?;
        Ok(parts.total())
    }

    fn gradient(&mut self, theta: &[T], gradient: &mut [T]) -> Result<T, Error> {
        let (examples, workspace) = (self.examples, &mut *self.workspace);
        let parts =
            self.network
                .gradient_at(theta, examples, self.objective, workspace, gradient)?;
        Ok(parts.total())
    }

    fn least_squares(&mut self, theta: &[T]) -> Result<LeastSquares<T>, Error> {
        let (network, examples, objective) = (self.network, self.examples, self.objective);
        let workspace = &mut *self.workspace;
        let parts = network.cost_at(theta, examples, objective, workspace)?;
        let costs = workspace.costs().iter().map(|&cost| to_f64(cost).abs());
        let sum: f64 = match examples.weights {
            None => costs.sum(),
            Some(weights) => costs.zip(weights).map(|(cost, weight)| cost * weight).sum(),
        };
        let magnitude = sum / examples.weight + to_f64(parts.penalty).abs();
        let at = if network.is_canonical(&objective.cost) {
            GaussNewton::Logits
        } else {
            GaussNewton::Outputs
        };
        let given = (examples, objective);
        let root = network.gauss_newton_root(theta, given, (at, magnitude), workspace)?;
        let (triangle, right) = root.into_parts();
        Ok(LeastSquares {
            cost: parts.total(),
            magnitude,
            triangle,
            right,
        })
    }
}
