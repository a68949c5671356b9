//! An activation as a layer of its own.

use super::by_position::ByPosition;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Place, Plan, Site};
use crate::activation::{Activation, AnyActivation};
use crate::error::Error;
use crate::kernels::copy;
use crate::scalar::Scalar;

/// An activation as a layer of its own, a = g(x).
///
/// Softmax acts on the last axis. After a dense layer, `Dense::new(inputs, units, g)` computes the
/// same in one sweep.
///
/// # Example
/// ```
/// use backprop::activation::Relu;
/// use backprop::layer::{Activate, AnyLayer};
/// use backprop::Network;
///
/// let layers = vec![AnyLayer::Activate(Activate::new(Relu))];
/// let network = Network::<f64>::from_layers(2, layers, &[])?;
/// assert_eq!(network.forward(&[-1.0, 3.0])?.as_slice(), &[0.0, 3.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Activate<A = AnyActivation> {
    activation: A,
}

impl<A> Activate<A> {
    /// Creates a layer that computes this activation.
    #[must_use]
    pub fn new(activation: A) -> Self {
        Self { activation }
    }

    /// Returns the activation.
    #[must_use]
    pub fn activation(&self) -> &A {
        &self.activation
    }
}

impl<T: Scalar, A: Activation<T>> Layer<T> for Activate<A> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        self.activation.validate()?;
        Ok(Plan::new(site, site.input)
            .z(Place::Input, self.activation.link())
            .activation(self.activation.as_builtin())
            .own_each())
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let units = pass.at.plan.output().last_axis();
        pass.by_position(units, units);
        self.activation.forward(pass.input, pass.output);
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        let units = pass.at.plan.output().last_axis();
        pass.by_position(units, units);
        if !pass.linked.get() {
            let delta = pass.delta.as_view_mut();
            self.activation.backward(pass.input, pass.output, delta);
        }
        if let Some(mut below) = pass.input_delta {
            copy(&pass.delta.as_view(), &mut below);
        }
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass); // there are no parameters
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let units = pass.at.plan.output().last_axis();
        pass.by_position(units, units);
        let Some(z_tangent) = pass.input_tangent else {
            pass.output_tangent.fill(T::zero());
            return Ok(());
        };
        let (z, a) = (pass.input, pass.output);
        self.activation
            .forward_tangent(z, a, z_tangent, pass.output_tangent)
    }

    fn backward_tangent(&self, mut along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let units = along.pass.at.plan.output().last_axis();
        along.by_position(units, units);
        let Backward {
            input: z,
            output: a,
            mut delta,
            linked,
            input_delta,
            ..
        } = along.pass;
        let mut delta_tangent = along.delta_tangent;
        match along.input_tangent {
            _ if linked.get() => {}
            Some(z_tangent) => {
                let (delta, dot) = (delta.as_view_mut(), delta_tangent.as_view_mut());
                self.activation
                    .backward_tangent(z, a, z_tangent, delta, dot)?;
            }
            None => {
                self.activation.backward(z, a, delta_tangent.as_view_mut());
                self.activation.backward(z, a, delta.as_view_mut());
            }
        }
        if let Some(mut below) = input_delta {
            copy(&delta.as_view(), &mut below);
        }
        if let Some(mut below) = along.input_delta_tangent {
            copy(&delta_tangent.as_view(), &mut below);
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.activation.name()
    }
}

impl<T: Scalar, A: Activation<T> + 'static> From<Activate<A>> for Box<dyn Layer<T>> {
    fn from(layer: Activate<A>) -> Self {
        Box::new(layer)
    }
}
