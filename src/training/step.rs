//! One step of an optimiser on a network, in place, and its check.

use super::optimizer::Optimizer;
use crate::columns::Columns;
use crate::error::{Error, Location};
use crate::gradient::check_gradient;
use crate::kernels::first_non_finite;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::network::Network;
use crate::scalar::{Scalar, to_f64};

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Moves θ by one step of an optimiser, in place. Frozen layers keep their values.
    ///
    /// The gradient has P entries, as written by [`gradient_into`](Self::gradient_into). The first
    /// step allocates P scalars for a copy of θ, which later steps reuse to undo a failed step. For
    /// a learning rate that follows a [`Schedule`](crate::training::Schedule), pass its factor to
    /// [`Optimizer::step_in`], on a copy of θ, with [`Layout::moving`](crate::Layout::moving).
    ///
    /// Derivation: [(24)](crate::derivation#descent).
    ///
    /// # Errors
    /// - [`Error::Shape`] unless the gradient is P × 1.
    /// - The errors of [`Optimizer::step`].
    /// - [`Error::NonFinite`] with the entry if the gradient, the optimiser's state or θ after the
    ///   step is not finite.
    ///
    /// After an error, θ is unchanged. The optimiser's state may have changed; to retry, restore an
    /// earlier [`state`](Optimizer::state).
    ///
    /// # Example
    /// One unit, a = θ₀ + θ₁ x, with δ = a − y = 2 at x = 3, moves by −0.1 (2, 6):
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::training::GradientDescent;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let mut network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[2.0, 1.0])?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 3.0));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let mut optimizer = GradientDescent::new(0.1);
    /// let gradient = network.gradient_vector(&examples, &objective)?;
    /// network.step(&mut optimizer, &gradient)?;
    /// assert_eq!(network.theta().as_slice(), &[1.8, 0.3999999999999999]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("update", "optimizer.step"))]
    pub fn step<'g, O: Optimizer<T> + ?Sized>(
        &mut self,
        optimizer: &mut O,
        gradient: impl Columns<'g, T>,
    ) -> Result<(), Error> {
        let gradient = gradient.columns_view();
        let expected = (self.parameters(), 1);
        if gradient.shape() != expected {
            return Err(Error::Shape {
                what: "the gradient",
                expected,
                found: gradient.shape(),
            });
        }
        let gradient = gradient.column(0);
        let gradient = gradient.as_slice();
        check_gradient(self.layout(), gradient)?;
        self.change(|layout, theta| {
            optimizer.step_in(layout.moving(), theta, gradient, 1.0)?;
            check_step(layout, theta, optimizer)
        })
    }
}

/// Checks that all parameters are finite. The error names the block.
pub(super) fn check_parameters<T: Scalar>(layout: &Layout, theta: &[T]) -> Result<(), Error> {
    match first_non_finite(theta).and_then(|index| Some((index, layout.entry(index)?))) {
        None => Ok(()),
        Some((index, entry)) => Err(Error::NonFinite {
            at: Location::Parameter(entry),
            value: to_f64(theta[index]),
        }),
    }
}

/// Checks that a step is finite by scanning θ, which suffices ([`Optimizer::step`]). The error
/// names the entry that overflowed: one of the state, if any, or else one of θ.
pub(super) fn check_step<T: Scalar, O: Optimizer<T> + ?Sized>(
    layout: &Layout,
    theta: &[T],
    optimizer: &O,
) -> Result<(), Error> {
    let Err(found) = check_parameters(layout, theta) else {
        return Ok(());
    };
    let state = optimizer.state().first_non_finite();
    let state = state.and_then(|(buffer, index, value)| {
        let entry = layout.entry(index)?;
        let at = Location::OptimizerState { buffer, entry };
        let value = to_f64(value);
        Some(Error::NonFinite { at, value })
    });
    Err(state.unwrap_or(found))
}
