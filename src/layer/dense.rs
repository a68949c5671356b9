//! The fully connected layer of the course.

use super::{Backward, Block, Forward, Layer};
use crate::activation::{Activation, AnyActivation};
use crate::cost::Link;
use crate::error::Error;
use crate::kernels::{affine, outer, transpose_product};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// A fully connected layer: z = Θ \[1; x], a = g(z).
///
/// Derivation: [(2)](crate::derivation#pre-activation) and [(10)](crate::derivation#gradient).
///
/// Shapes: Θ is outputs × (inputs + 1) with the **bias in column 0**; x is inputs × m; z, a and δ are outputs × m.
/// With δ = ∂cost/∂z the backward pass gives Δ = δ \[1; x]ᵀ, of the shape of Θ and summed over the examples, and
/// passes Wᵀ δ down, where W is Θ without column 0.
///
/// The activation may be one of ours, or any type of yours that implements [`Activation`].
///
/// # Example
/// ```
/// use backprop::{Dense, layer::Layer, activation::Sigmoid};
///
/// let layer = Dense::new(400, 25, Sigmoid);
/// assert_eq!(Layer::<f64>::blocks(&layer)[0].len(), Some(25 * 401));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Dense<A = AnyActivation> {
    inputs: usize,
    outputs: usize,
    activation: A,
}

impl<A> Dense<A> {
    /// A layer of `outputs` units on `inputs` inputs. Sizes are checked when a network is built of it.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, activation: A) -> Self {
        Self {
            inputs,
            outputs,
            activation,
        }
    }

    /// The activation g.
    #[must_use]
    pub fn activation(&self) -> &A {
        &self.activation
    }
}

impl<T: Scalar, A: Activation<T>> Layer<T> for Dense<A> {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn blocks(&self) -> Vec<Block> {
        // A saturated size is refused as too large when the network is built.
        let cols = self.inputs.saturating_add(1);
        vec![Block::new("Θ", self.outputs, cols).penalised_from_column(1)]
    }

    /// The cache is z.
    fn cache_len(&self, examples: usize) -> usize {
        self.outputs.saturating_mul(examples)
    }

    fn link(&self) -> Option<Link> {
        self.activation.link()
    }

    fn forward(&self, pass: Forward<'_, T>) {
        let examples = pass.input.ncols();
        let mut z = DMatrixViewMut::from_slice(pass.cache, self.outputs, examples);
        affine(pass.theta, pass.input, z.as_view_mut(), &mut []);
        self.activation.forward(z.as_view(), pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        let mut delta = pass.delta;
        if !pass.linked {
            let z = DMatrixView::from_slice(pass.cache, self.outputs, pass.input.ncols());
            self.activation
                .backward(z, pass.output, delta.as_view_mut());
        }
        if let Some(gradient) = pass.gradient {
            outer(delta.as_view(), pass.input, gradient, &mut []);
        }
        if let Some(below) = pass.input_delta {
            transpose_product(pass.theta, delta.as_view(), below, &mut []);
        }
    }

    fn validate(&self) -> Result<(), Error> {
        self.activation.validate()
    }

    fn name(&self) -> String {
        format!("Dense {}", self.activation.name())
    }
}

/// So that a builder of boxed layers takes `dense(units, activation)` too.
impl<T: Scalar, A: Activation<T> + 'static> From<Dense<A>> for Box<dyn Layer<T>> {
    fn from(layer: Dense<A>) -> Self {
        Box::new(layer)
    }
}
