//! J and its model at the parameters of a network, and whether a step is worth taking.

use super::model::Model;
use crate::cost::Cost;
use crate::derivatives::GaussNewton;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;
use nalgebra::DVector;

/// A network and what it is fitted to.
pub(super) struct Problem<'a, 'b, T: Scalar, L, C> {
    pub(super) network: &'a mut Network<T, L>,
    examples: &'a Examples<'b, T>,
    objective: &'a Objective<C>,
    at: GaussNewton,
    workspace: Workspace<T>,
}

/// J and its model at some θ.
pub(super) struct Point<T: Scalar> {
    pub(super) cost: T,
    /// Σ w |cost|/Σw and the penalty: J without the signs of its terms.
    size: f64,
    pub(super) model: Model<T>,
}

impl<T: Scalar> Point<T> {
    /// √(2 J), which is ‖r‖ of a squared error.
    pub(super) fn residual(&self) -> f64 {
        (2.0 * self.size).sqrt()
    }

    /// The least ‖Qᵀr‖ that can be told in J from rounding: of J's own sum, and of outputs that are off by the rounding of θ.
    pub(super) fn rounding(&self, theta: &DVector<T>) -> f64 {
        let (residual, outputs) = (self.residual(), 4.0 * self.model.rounding(theta));
        let sums = 4.0 * to_f64(T::default_epsilon()) * residual;
        (residual * (sums + 2.0 * outputs)).sqrt() + outputs
    }
}

impl<'a, 'b, T: Scalar, L: Layer<T>, C: Cost<T>> Problem<'a, 'b, T, L, C> {
    pub(super) fn new(
        network: &'a mut Network<T, L>,
        examples: &'a Examples<'b, T>,
        objective: &'a Objective<C>,
    ) -> Self {
        let at = match network.is_canonical(&objective.cost) {
            true => GaussNewton::Logits,
            false => GaussNewton::Outputs,
        };
        Self {
            network,
            examples,
            objective,
            at,
            workspace: Workspace::new(),
        }
    }

    /// J and its model at the network's θ.
    pub(super) fn look(&mut self) -> Result<Point<T>, Error> {
        let (cost, size) = self.cost()?;
        self.point(cost, size)
    }

    /// Takes a step if J falls and is finite there with its model; else the network stays where it is.
    pub(super) fn try_step(&mut self, p: &DVector<T>, cost: T) -> Result<Option<Point<T>>, Error> {
        let before = self.network.theta().clone();
        let theta = &before + p;
        if self.network.set_theta(theta.as_slice()).is_err() {
            return Ok(None);
        }
        let there = self.cost().and_then(|(found, size)| match found < cost {
            true => self.point(found, size).map(Some),
            false => Ok(None),
        });
        if let Ok(Some(_)) = there {
            return there;
        }
        self.network.set_theta(before.as_slice())?;
        match there {
            Err(error) if error.is_of_point() => Ok(None),
            there => there,
        }
    }

    fn cost(&mut self) -> Result<(T, f64), Error> {
        let (examples, workspace) = (self.examples, &mut self.workspace);
        let parts = self
            .network
            .cost_into(examples, self.objective, workspace)?;
        let values = workspace.costs().iter().map(|&value| to_f64(value).abs());
        let sum: f64 = match examples.weights {
            None => values.sum(),
            Some(weights) => values.zip(weights).map(|(value, w)| value * w).sum(),
        };
        let size = sum / examples.weight + to_f64(parts.penalty).abs();
        Ok((parts.total(), size))
    }

    fn point(&mut self, cost: T, size: f64) -> Result<Point<T>, Error> {
        let given = (self.examples, self.objective);
        let at = (self.at, size);
        let root = self
            .network
            .gauss_newton_root(given, at, &mut self.workspace)?;
        let model = Model::new(root, self.network.parameters())?;
        Ok(Point { cost, size, model })
    }
}
