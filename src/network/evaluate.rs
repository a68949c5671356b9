//! What a network computes of a pass: outputs, J, ∇J, Δ, ∂J/∂X.

use super::Network;
use super::pass::Pass;
use crate::cost::{AnyCost, Cost};
use crate::error::Error;
use crate::examples::{Examples, check_length, check_rows};
use crate::gradient::{CostParts, check_gradient, finish};
use crate::kernels::{self, first_non_finite};
use crate::layer::Layer;
use crate::layout::resize;
use crate::objective::Objective;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::DMatrixView;

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    pub(super) fn check_inputs(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        check_rows("X", x, self.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        Ok(())
    }

    /// z and a of every layer into the workspace; the first a that is not finite ends the pass.
    pub(super) fn run_forward(
        &self,
        x: DMatrixView<'_, T>,
        workspace: &mut Workspace<T>,
    ) -> Result<(), Error> {
        let nothing = None::<(_, &AnyCost)>;
        Pass::new(self, self.theta.as_slice(), x, nothing, false).run(workspace, None, None)
    }

    /// Σ w·cost, and w·Δ and w·∂cost/∂X, each if asked for.
    fn sum<C: Cost<T> + ?Sized>(
        &self,
        theta: &[T],
        (examples, cost): (&Examples<'_, T>, &C),
        workspace: &mut Workspace<T>,
        gradient: Option<&mut [T]>,
        input_delta: Option<&mut [T]>,
    ) -> Result<T, Error> {
        examples.check(self.inputs(), self.outputs(), cost.target_domain())?;
        let objective = Some((examples, cost));
        let pass = Pass::new(self, theta, examples.x, objective, gradient.is_some());
        pass.run(workspace, gradient, input_delta)?;
        let sum = match examples.weights {
            None => kernels::sum(&workspace.values),
            Some(weights) => weighted_sum(weights, &workspace.values),
        };
        match sum.is_finite() {
            true => Ok(sum),
            false => Err(Error::NonFiniteObjective { value: to_f64(sum) }),
        }
    }

    pub(crate) fn cost_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<CostParts<T>, Error> {
        objective.validate(&self.layout)?;
        let sum = self.sum(theta, (examples, &objective.cost), workspace, None, None)?;
        let sums = (sum, examples.weight, examples.weight);
        finish(&self.layout, &objective.penalty, theta, sums, None)
    }

    /// The mean cost at θ, without penalty.
    pub(crate) fn data_cost_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
    ) -> Result<T, Error> {
        cost.validate()?;
        let sum = self.sum(theta, (examples, cost), workspace, None, None)?;
        Ok(sum / real(examples.weight))
    }

    pub(crate) fn gradient_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        let at = (examples, examples.weight);
        self.batch_gradient_at(theta, at, objective, workspace, gradient)
    }

    /// J and ∇J of examples that are part of a larger data set, of which `whole` is the weight: the penalty is Ω/whole.
    pub(crate) fn batch_gradient_at<C: Cost<T>>(
        &self,
        theta: &[T],
        (examples, whole): (&Examples<'_, T>, f64),
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        check_length("the gradient", self.parameters(), gradient.len())?;
        objective.validate(&self.layout)?;
        let at = (examples, &objective.cost);
        let sum = self.sum(theta, at, workspace, Some(&mut *gradient), None)?;
        let sums = (sum, examples.weight, whole);
        finish(
            &self.layout,
            &objective.penalty,
            theta,
            sums,
            Some(gradient),
        )
    }

    /// Σ w·cost, and Δ into `delta`, both unscaled: what an accumulator adds.
    pub(crate) fn sum_batch<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
        delta: &mut Vec<T>,
    ) -> Result<T, Error> {
        resize(delta, "Δ", (self.parameters(), 1), T::zero())?;
        let theta = self.theta.as_slice();
        let sum = self.sum(theta, (examples, cost), workspace, Some(&mut *delta), None)?;
        check_gradient(&self.layout, delta)?;
        Ok(sum)
    }

    pub(super) fn input_gradient_at<C: Cost<T>>(
        &self,
        theta: &[T],
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<(), Error> {
        let (rows, m) = examples.x.shape();
        check_length("the gradient with respect to X", rows * m, gradient.len())?;
        objective.validate(&self.layout)?;
        let at = (examples, &objective.cost);
        self.sum(theta, at, workspace, None, Some(&mut *gradient))?;
        // The penalty does not depend on X: only the division by m is left of `finish`.
        let weight: T = real(examples.weight);
        let finite = kernels::divide(gradient, weight);
        match first_non_finite(gradient).filter(|_| !finite) {
            None => Ok(()),
            Some(index) => Err(Error::NonFiniteInputGradient {
                row: index % rows,
                example: index / rows,
                value: to_f64(gradient[index]),
            }),
        }
    }
}

/// Σ wₖ vₖ by halves, as [`kernels::sum`].
fn weighted_sum<T: Scalar>(weights: &[f64], values: &[T]) -> T {
    if values.len() <= 32 {
        let pairs = weights.iter().zip(values);
        return pairs.fold(T::zero(), |sum, (&w, &v)| sum + real::<T>(w) * v);
    }
    let half = values.len() / 2;
    weighted_sum(&weights[..half], &values[..half])
        + weighted_sum(&weights[half..], &values[half..])
}
