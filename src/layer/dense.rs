//! The fully connected layer of the course.

use super::{Backward, Block, Forward, Layer};
use crate::activation::{Activation, AnyActivation, Slope};
use crate::cost::Link;
use crate::error::Error;
use crate::kernels::parallel::{elementwise, elementwise_pair};
use crate::kernels::{self, affine, flat, flat_mut, outer, room_for, transpose_product};
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

    /// Room to bring blocks of Θ, x and δ into the order in which the products read them.
    fn scratch_len(&self, examples: usize) -> usize {
        room_for::<T>(self.outputs, self.inputs, examples)
    }

    fn as_dense(&self) -> Option<Dense> {
        let activation = self.activation.as_builtin()?;
        Some(Dense::new(self.inputs, self.outputs, activation))
    }

    fn link(&self) -> Option<Link> {
        self.activation.link()
    }

    fn forward(&self, pass: Forward<'_, T>) {
        let examples = pass.input.ncols();
        let mut z = DMatrixViewMut::from_slice(pass.cache, self.outputs, examples);
        affine(pass.theta, pass.input, z.as_view_mut(), pass.scratch);
        self.activation.forward(z.as_view(), pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        let mut delta = pass.delta;
        if !pass.linked {
            let z = DMatrixView::from_slice(pass.cache, self.outputs, pass.input.ncols());
            self.activation
                .backward(z, pass.output, delta.as_view_mut());
        }
        products(
            pass.theta,
            pass.input,
            delta.as_view(),
            (pass.gradient, pass.input_delta),
            pass.scratch,
        );
    }

    fn validate(&self) -> Result<(), Error> {
        self.activation.validate()
    }

    fn name(&self) -> String {
        format!("Dense {}", self.activation.name())
    }
}

/// A hidden layer in one sweep each way: no cost reads its z, so that a takes the place of z, and g′(z) comes with it.
impl Dense {
    /// Whether there are fused kernels for this activation and this scalar.
    pub(crate) fn is_fused<T: Scalar>(&self) -> bool {
        kernels::is_fast::<T>() && self.activation.slope().is_some()
    }

    /// The scalars that the backward pass wants of the forward pass, for a batch.
    pub(crate) fn fused_cache_len(&self, examples: usize) -> usize {
        match self.activation.slope() {
            Some(Slope::Kept) => self.outputs.saturating_mul(examples),
            _ => 0,
        }
    }

    /// `output` becomes a, and `slope` g′(z) where that is kept.
    pub(crate) fn forward_fused<T: Scalar>(
        &self,
        theta: &[T],
        x: DMatrixView<'_, T>,
        output: &mut [T],
        slope: &mut [T],
        scratch: &mut [T],
    ) {
        let z = DMatrixViewMut::from_slice(output, self.outputs, x.ncols());
        affine(theta, x, z, scratch);
        let Some(function) = self.activation.function() else {
            return; // a = z
        };
        let slope = match self.activation.slope() {
            Some(Slope::Kept) => &mut slope[..output.len()],
            _ => &mut [],
        };
        elementwise_pair(output, slope, &|a, slope| {
            let done = kernels::activate(function, a, Some(slope).filter(|s| !s.is_empty()));
            debug_assert!(done || a.is_empty());
        });
    }

    /// As [`Layer::backward`], with g′(z) from the cache or from the output.
    pub(crate) fn backward_fused<T: Scalar>(&self, pass: Backward<'_, T>) {
        let mut delta = pass.delta;
        if let (Some(delta), Some(a)) = (flat_mut(&mut delta), flat(&pass.output)) {
            match (self.activation.slope(), self.activation.function()) {
                (Some(Slope::Kept), _) => {
                    elementwise(delta, &pass.cache[..a.len()], &kernels::multiply_by);
                }
                (Some(Slope::OfOutput), Some(function)) => elementwise(delta, a, &|delta, a| {
                    let done = kernels::scale_by_slope(function, a, delta);
                    debug_assert!(done);
                }),
                _ => {}
            }
        }
        products(
            pass.theta,
            pass.input,
            delta.as_view(),
            (pass.gradient, pass.input_delta),
            pass.scratch,
        );
    }
}

/// Δ and the error of the layer below, each if asked for.
fn products<T: Scalar>(
    theta: &[T],
    x: DMatrixView<'_, T>,
    delta: DMatrixView<'_, T>,
    (gradient, below): (Option<&mut [T]>, Option<DMatrixViewMut<'_, T>>),
    scratch: &mut [T],
) {
    if let Some(gradient) = gradient {
        outer(delta, x, gradient, scratch);
    }
    if let Some(below) = below {
        transpose_product(theta, delta, below, scratch);
    }
}

/// So that a builder of boxed layers takes `dense(units, activation)` too.
impl<T: Scalar, A: Activation<T> + 'static> From<Dense<A>> for Box<dyn Layer<T>> {
    fn from(layer: Dense<A>) -> Self {
        Box::new(layer)
    }
}
