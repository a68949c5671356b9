//! The fully connected layer of the course.

use super::{Backward, BackwardTangent, Block, Forward, ForwardTangent, Layer, PerExample};
use crate::activation::{Activation, AnyActivation};
use crate::error::Error;
use crate::kernels::{
    add_linear, add_outer, add_transpose_product, affine, outer, room_for, sum_of_squares,
    transpose_product,
};
use crate::link::Link;
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// A fully connected layer: z = Θ \[1; x], a = g(z).
///
/// Derivation: [(2)](crate::derivation#pre-activation), [(10)](crate::derivation#gradient) and
/// [(29)](crate::derivation#forward-tangent).
///
/// Θ is outputs × (inputs + 1), with the **bias in column 0**; x is inputs × m, for m examples, and
/// \[1; x] is x below a row of ones; z, a and δ are outputs × m. With δ = ∂cost/∂z the backward
/// pass computes Δ = δ \[1; x]ᵀ, summed over the examples and in the shape of Θ. It passes Wᵀ δ to
/// the layer below (the one nearer the inputs), where W is Θ without column 0.
///
/// The activation is a built-in one or any type that implements [`Activation`].
///
/// # Example
/// Each of 25 units has a bias and 400 weights:
/// ```
/// use backprop::{Dense, layer::Layer, activation::Sigmoid};
///
/// let layer = Dense::new(400, 25, Sigmoid);
/// assert_eq!(Layer::<f64>::blocks(&layer)[0].len(), Some(25 * 401));
/// ```
#[doc(alias("Linear", "FullyConnected"))]
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Dense<A = AnyActivation> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) activation: A,
}

impl<A> Dense<A> {
    /// Creates a layer with `outputs` units and `inputs` inputs. Building a network checks the
    /// sizes.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, activation: A) -> Self {
        Self {
            inputs,
            outputs,
            activation,
        }
    }

    /// Returns the activation g.
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
        // Building a network rejects a saturated size as too large.
        let cols = self.inputs.saturating_add(1);
        vec![Block::new("Θ", self.outputs, cols).penalised_from_column(1)]
    }

    /// The cache is z.
    fn cache_len(&self, examples: usize) -> usize {
        self.outputs.saturating_mul(examples)
    }

    /// Room to pack blocks of Θ, x and δ in the order in which the products read them.
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

    fn keeps_z(&self) -> bool {
        true
    }

    /// D of an example is δ \[1; x]ᵀ, and its squared norm ‖δ‖² (1 + ‖x‖²).
    fn backward_per_example(
        &self,
        pass: Backward<'_, T>,
        wanted: PerExample<'_, T>,
    ) -> Result<(), Error> {
        let mut delta = pass.delta;
        if !pass.linked {
            let z = DMatrixView::from_slice(pass.cache, self.outputs, pass.input.ncols());
            self.activation
                .backward(z, pass.output, delta.as_view_mut());
        }
        per_example(pass.input, delta.as_view(), wanted);
        let below = (None, pass.input_delta);
        products(pass.theta, pass.input, delta.as_view(), below, pass.scratch);
        Ok(())
    }

    /// ż = Θ̇ \[1; x] + W ẋ and ȧ = (∂a/∂z) ż.
    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let shape = (self.outputs, pass.input.ncols());
        let z = DMatrixView::from_slice(pass.cache, shape.0, shape.1);
        let mut z_tangent = DMatrixViewMut::from_slice(pass.cache_tangent, shape.0, shape.1);
        linear_tangent(
            (pass.theta, pass.theta_tangent),
            (pass.input, pass.input_tangent),
            z_tangent.as_view_mut(),
            pass.scratch,
        );
        let z_tangent = z_tangent.as_view();
        self.activation
            .forward_tangent(z, pass.output, z_tangent, pass.output_tangent)
    }

    /// Δ̇ = δ̇ \[1; x]ᵀ + δ \[0; ẋ]ᵀ, and Wᵀ δ̇ + Ẇᵀ δ for the layer below.
    fn backward_tangent(&self, mut along: BackwardTangent<'_, T>) -> Result<(), Error> {
        if !along.pass.linked {
            let shape = (self.outputs, along.pass.input.ncols());
            self.activation.backward_tangent(
                DMatrixView::from_slice(along.pass.cache, shape.0, shape.1),
                along.pass.output,
                DMatrixView::from_slice(along.cache_tangent, shape.0, shape.1),
                along.pass.delta.as_view_mut(),
                along.delta_tangent.as_view_mut(),
            )?;
        }
        products_tangent(along);
        Ok(())
    }

    fn validate(&self) -> Result<(), Error> {
        self.activation.validate()
    }

    fn name(&self) -> String {
        format!("Dense {}", self.activation.name())
    }
}

/// Computes Δ and the error of the layer below, where requested.
pub(super) fn products<T: Scalar>(
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

/// Computes ż from θ, x and their directions.
pub(super) fn linear_tangent<T: Scalar>(
    (theta, theta_tangent): (&[T], Option<&[T]>),
    (x, x_tangent): (DMatrixView<'_, T>, Option<DMatrixView<'_, T>>),
    mut z_tangent: DMatrixViewMut<'_, T>,
    scratch: &mut [T],
) {
    match theta_tangent {
        Some(theta) => affine(theta, x, z_tangent.as_view_mut(), scratch),
        None => z_tangent.fill(T::zero()),
    }
    if let Some(x) = x_tangent {
        add_linear(theta, x, z_tangent, scratch);
    }
}

/// Computes [`products`] and their derivatives from δ = ∂cost/∂z and δ̇.
pub(super) fn products_tangent<T: Scalar>(along: BackwardTangent<'_, T>) {
    let Backward {
        theta,
        input: x,
        delta,
        gradient,
        input_delta,
        scratch,
        ..
    } = along.pass;
    let (delta, delta_tangent) = (delta.as_view(), along.delta_tangent.as_view());
    if let Some(gradient) = along.gradient_tangent {
        outer(delta_tangent, x, gradient, scratch);
        if let Some(x) = along.input_tangent {
            add_outer(delta, x, gradient, scratch);
        }
    }
    if let Some(mut below) = along.input_delta_tangent {
        transpose_product(theta, delta_tangent, below.as_view_mut(), scratch);
        if let Some(theta) = along.theta_tangent {
            add_transpose_product(theta, delta, below, scratch);
        }
    }
    products(theta, x, delta, (gradient, input_delta), scratch);
}

/// Writes the gradient δₖ \[1; xₖ]ᵀ of each example, or adds its squared norm to what is there.
pub(super) fn per_example<T: Scalar>(
    x: DMatrixView<'_, T>,
    delta: DMatrixView<'_, T>,
    wanted: PerExample<'_, T>,
) {
    let columns = x.column_iter().zip(delta.column_iter());
    match wanted {
        PerExample::SquaredNorms(norms) => {
            for ((x, delta), norm) in columns.zip(norms) {
                let size = T::one() + sum_of_squares(x.as_slice());
                *norm += sum_of_squares(delta.as_slice()) * size;
            }
        }
        PerExample::Gradients(mut gradients) => {
            for ((x, delta), mut gradient) in columns.zip(gradients.column_iter_mut()) {
                let delta = delta.as_slice();
                let (bias, weights) = gradient.as_mut_slice().split_at_mut(delta.len());
                bias.copy_from_slice(delta);
                for (column, &x) in weights.chunks_exact_mut(delta.len()).zip(x.as_slice()) {
                    for (w, &d) in column.iter_mut().zip(delta) {
                        *w = d * x;
                    }
                }
            }
        }
    }
}

/// Lets `dense(units, activation)` be used in a builder of boxed layers.
impl<T: Scalar, A: Activation<T> + 'static> From<Dense<A>> for Box<dyn Layer<T>> {
    fn from(layer: Dense<A>) -> Self {
        Box::new(layer)
    }
}
