//! ∂J/∂X, by itself or with ∇J.

use super::VjpTargets;
use crate::allocation::allocate;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::{Examples, check_length};
use crate::gradient::{Backprop, CostParts, Sums, finish, zeros};
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use nalgebra::DMatrix;
use std::sync::Arc;

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns J, ∇J and ∂J/∂X (n × m), all from one pass.
    ///
    /// Derivation: [(26)](crate::derivation#input-gradient).
    ///
    /// # Errors
    /// Returns the errors of [`backprop`](Self::backprop) and
    /// [`input_gradient`](Self::input_gradient).
    ///
    /// # Example
    /// J = ½(θ₀ + θ₁ x − 1)² at θ = (0, 2) and x = 3 has a − y = 5, so ∇J = 5 (1, 3) and ∂J/∂x = 5
    /// · 2:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 2.0])?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 1.0));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let (pass, by_inputs) = network.gradients(&examples, &objective)?;
    /// assert_eq!(pass.gradient().vector().as_slice(), &[5.0, 15.0]);
    /// assert_eq!(by_inputs[(0, 0)], 10.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn gradients<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<(Backprop<T>, DMatrix<T>), Error> {
        let mut vector = zeros(self.parameters())?;
        let shape = examples.x().shape();
        let mut inputs = allocate("∂J/∂X", shape, T::zero())?;
        let wanted = VjpTargets::of_parameters(vector.as_mut_slice()).and_inputs(&mut inputs[..]);
        let parts =
            self.gradients_into(examples, objective, &mut Workspace::for_one_call(), wanted)?;
        let pass = Backprop::new(parts, vector, Arc::clone(self.layout_arc()));
        Ok((pass, DMatrix::from_vec(shape.0, shape.1, inputs)))
    }

    /// Returns J, and writes ∇J and ∂J/∂X into the caller's buffers.
    ///
    /// Computes only the results that have a buffer.
    ///
    /// # Errors
    /// - The errors of [`gradients`](Self::gradients).
    /// - [`Error::Length`] if a buffer has the wrong length.
    pub fn gradients_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        into: VjpTargets<'_, T>,
    ) -> Result<CostParts<T>, Error> {
        let VjpTargets {
            mut parameters,
            inputs,
        } = into;
        if let Some(parameters) = &parameters {
            check_length("the gradient", self.parameters(), parameters.len())?;
        }
        if let Some(inputs) = &inputs {
            let expected = examples.x.len();
            check_length("the gradient with respect to X", expected, inputs.len())?;
        }
        objective.validate(self.layout())?;
        let point = self.point();
        let at = (examples, &objective.cost);
        let wanted = (parameters.as_deref_mut(), inputs);
        let sum = self.sum(point, at, workspace, wanted)?;
        let sums = Sums::new(sum, examples.weight);
        // The penalty does not depend on X: ∂J/∂X is finished.
        finish(
            self.layout(),
            &objective.penalty,
            point.theta,
            sums,
            parameters,
        )
    }

    /// Returns ∂J/∂X, n × m: the derivative of J with respect to each input of each example.
    ///
    /// Derivation: [(26)](crate::derivation#input-gradient).
    ///
    /// # Errors
    /// - The errors of [`backprop`](Self::backprop).
    /// - [`Error::NonFinite`] if the gradient overflows.
    ///
    /// # Example
    /// J = ½(2x − 1)² has ∂J/∂x = 2(2x − 1) = 10 at x = 3:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.0, 2.0])?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 1.0));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let gradient = network.input_gradient(&examples, &objective)?;
    /// assert_eq!(gradient[(0, 0)], 10.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "saliency")]
    pub fn input_gradient<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<DMatrix<T>, Error> {
        let shape = examples.x().shape();
        let mut buffer = allocate("∂J/∂X", shape, T::zero())?;
        objective.validate(self.layout())?;
        // The penalty does not depend on X.
        let (point, at) = (self.point(), (examples, &objective.cost));
        let wanted = (None, Some(&mut buffer[..]));
        self.sum(point, at, &mut Workspace::for_one_call(), wanted)?;
        Ok(DMatrix::from_vec(shape.0, shape.1, buffer))
    }
}
