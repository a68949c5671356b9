//! The fully connected layer of the course.

use super::by_position::ByPosition;
use super::dense_each::{gradients_of_positions, gradients_of_units};
use super::dense_form::{Form, activate, scale_by_slope};
use super::memory::{Keep, Len, Place};
use super::plan::Plan;
use super::products::Affine;
use super::site::Site;
use super::{At, Backward, BackwardTangent, Block, Forward, ForwardTangent, Layer, LayerGradient};
use crate::activation::{Activation, AnyActivation, Slope};
use crate::error::Error;
use crate::kernels::parallel::elementwise;
use crate::kernels::{
    self, add_linear, add_outer, add_transpose_product, affine, flat, flat_mut, outer,
    transpose_product,
};
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
/// [`without_bias`](Self::without_bias) leaves out the bias, as before a norm that subtracts the
/// mean.
///
/// # Example
/// Each of 25 units has a bias and 400 weights:
/// ```
/// use backprop::layer::{Layer, Site};
/// use backprop::{Dense, activation::Sigmoid};
///
/// let layer = Dense::new(400, 25, Sigmoid);
/// let plan = Layer::<f64>::plan(&layer, Site::new(400))?;
/// assert_eq!(plan.parameters(), 25 * 401);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("Linear", "FullyConnected"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dense<A = AnyActivation> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) activation: A,
    pub(super) bias: bool,
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
            bias: true,
        }
    }

    /// Returns the layer without a bias: a = g(W x), with Θ = W, outputs × inputs.
    ///
    /// # Example
    /// ```
    /// use backprop::layer::AnyLayer;
    /// use backprop::{Dense, Network, activation::Identity};
    ///
    /// let layers = vec![AnyLayer::from(Dense::new(2, 1, Identity).without_bias())];
    /// let network = Network::<f64>::from_layers(2, layers, &[3.0, 4.0])?;
    /// assert_eq!(network.forward(&[10.0, 1.0])?[0], 34.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// Returns whether there is a bias.
    #[must_use]
    pub fn has_bias(&self) -> bool {
        self.bias
    }

    /// Returns the number of columns of the bias: 1 or 0.
    fn bias_columns(&self) -> usize {
        usize::from(self.bias)
    }

    /// Returns the activation g.
    #[must_use]
    pub fn activation(&self) -> &A {
        &self.activation
    }
}

impl<A> Dense<A> {
    #[inline]
    fn form<T: Scalar>(&self, at: &At<'_, T>) -> Form
    where
        A: Activation<T>,
    {
        Form::new::<T>(self.activation.as_builtin(), at.plan.is_tail(), at.keep)
    }

    /// Replaces ∂cost/∂a in `delta` by ∂cost/∂z.
    #[inline]
    fn to_z<T: Scalar>(&self, pass: &mut Backward<'_, T>)
    where
        A: Activation<T>,
    {
        if pass.linked.get() {
            return;
        }
        let (a, kept) = (&pass.output, pass.kept);
        match self.form(&pass.at) {
            Form::Plain => {
                let z = DMatrixView::from_slice(&kept[..a.len()], self.outputs, a.ncols());
                self.activation.backward(z, *a, pass.delta.as_view_mut());
            }
            Form::Fused(g, slope) => {
                if let (Some(delta), Some(a)) = (flat_mut(&mut pass.delta), flat(a)) {
                    scale_by_slope((g, slope), a, kept, delta);
                }
            }
        }
    }
}

impl<T: Scalar, A: Activation<T>> Layer<T> for Dense<A> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        site.check_inputs(self.inputs)?;
        self.activation.validate()?;
        let activation = self.activation.as_builtin();
        let output = site.input.with_last_axis(self.outputs);
        let form = |keep| Form::new::<T>(activation, site.tail, keep);
        let z = match form(Keep::Z) {
            Form::Plain => Place::Kept(Len::default().into()),
            Form::Fused(..) => Place::Output,
        };
        // Building a network rejects a saturated size as too large.
        let bias = self.bias_columns();
        let cols = self.inputs.saturating_add(bias);
        let columns = site.input.positions();
        let plan = Plan::new(site, output)
            .block(Block::new("Θ", self.outputs, cols).penalised_from_column(bias))
            .product(Affine {
                units: self.outputs,
                inputs: self.inputs,
                columns,
            })
            .keeps_by(|keep| Len::each(output.len().saturating_mul(form(keep).copies(keep))))
            .z(z, self.activation.link())
            .activation(activation)
            .with_activation_module(activation != Some(AnyActivation::Identity))
            .own_each();
        if columns == 1 {
            return Ok(plan);
        }
        // The gradient of an example is a sum over its positions.
        let gradient = Len::fixed(plan.parameters());
        Ok(plan.room(gradient))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.by_position(self.inputs, self.outputs);
        let (x, a, theta) = (&pass.input, &mut pass.output, pass.at.theta);
        match self.form(&pass.at) {
            Form::Plain => {
                let kept = &mut pass.kept[..a.len()];
                let mut z = DMatrixViewMut::from_slice(kept, self.outputs, x.ncols());
                affine(theta, x, &mut z, pass.scratch);
                self.activation.forward(z.as_view(), a.as_view_mut());
            }
            Form::Fused(g, slope) => {
                affine(theta, x, a, pass.scratch);
                if let Some(a) = flat_mut(a) {
                    activate((g, slope), pass.at.keep, a, pass.kept);
                }
            }
        }
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        pass.by_position(self.inputs, self.outputs);
        self.to_z(&mut pass);
        let delta = &pass.delta.as_view();
        if let LayerGradient::Sum(gradient) = pass.gradient {
            outer(delta, &pass.input, gradient, pass.scratch);
        }
        if let Some(below) = &mut pass.input_delta {
            transpose_product(pass.at.theta, delta, below, pass.scratch);
        }
    }

    fn backward_each(&self, mut pass: Backward<'_, T>) {
        let positions = pass.at.plan.input().positions();
        pass.by_position(self.inputs, self.outputs);
        self.to_z(&mut pass);
        let delta = &pass.delta.as_view();
        if positions == 1 {
            gradients_of_units(self.bias, &pass.input, delta, pass.gradient);
        } else {
            let (len, room) = (pass.at.plan.parameters(), pass.room);
            gradients_of_positions(len, positions, &pass.input, delta, pass.gradient, room);
        }
        if let Some(below) = &mut pass.input_delta {
            transpose_product(pass.at.theta, delta, below, pass.scratch);
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        pass.by_position(self.inputs, self.outputs);
        let (a, a_tangent, kept) = (&pass.output, &mut pass.output_tangent, pass.kept);
        let motion = Motion {
            theta: pass.at.theta,
            theta_tangent: pass.theta_tangent,
            x: &pass.input,
            x_tangent: pass.input_tangent.as_ref(),
        };
        match self.form(&pass.at) {
            Form::Plain => {
                let (rows, columns) = a.shape();
                let z = DMatrixView::from_slice(&kept[..a.len()], rows, columns);
                let kept_tangent = &mut pass.kept_tangent[..a.len()];
                let mut z_tangent = DMatrixViewMut::from_slice(kept_tangent, rows, columns);
                motion.affine(&mut z_tangent, pass.scratch);
                let (z_tangent, to) = (z_tangent.as_view(), a_tangent.as_view_mut());
                self.activation.forward_tangent(z, *a, z_tangent, to)
            }
            Form::Fused(g, slope) => {
                motion.affine(a_tangent, pass.scratch);
                let (Some(a_tangent), Some(a)) = (flat_mut(a_tangent), flat(a)) else {
                    return Ok(());
                };
                if (slope, pass.at.keep) != (Slope::Kept, Keep::Curvature) {
                    scale_by_slope((g, slope), a, kept, a_tangent);
                    return Ok(());
                }
                let len = a.len();
                let (slope, bend) = kept[..2 * len].split_at(len);
                let to = [a_tangent, &mut pass.kept_tangent[..len]];
                elementwise(to, [slope, bend], &|[z, change], [slope, bend]| {
                    kernels::tangent(z, change, slope, bend);
                });
                Ok(())
            }
        }
    }

    fn backward_tangent(&self, mut along: BackwardTangent<'_, T>) -> Result<(), Error> {
        along.by_position(self.inputs, self.outputs);
        if !along.pass.linked.get() {
            self.to_z_along(&mut along)?;
        }
        let Backward {
            at,
            input: x,
            delta,
            gradient,
            input_delta,
            scratch,
            ..
        } = along.pass;
        let (delta, delta_tangent) = (&delta.as_view(), &along.delta_tangent.as_view());
        if let Some(gradient) = along.gradient_tangent {
            outer(delta_tangent, &x, gradient, scratch);
            if let Some(x) = &along.input_tangent {
                add_outer(delta, x, gradient, scratch);
            }
        }
        if let Some(below) = &mut along.input_delta_tangent {
            transpose_product(at.theta, delta_tangent, below, scratch);
            if let Some(theta) = along.theta_tangent {
                add_transpose_product(theta, delta, below, scratch);
            }
        }
        if let LayerGradient::Sum(gradient) = gradient {
            outer(delta, &x, gradient, scratch);
        }
        if let Some(mut below) = input_delta {
            transpose_product(at.theta, delta, &mut below, scratch);
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("Dense {}", self.activation.name())
    }
}

impl<A> Dense<A> {
    /// Replaces ∂cost/∂a and its derivative by ∂cost/∂z and its derivative.
    fn to_z_along<T: Scalar>(&self, along: &mut BackwardTangent<'_, T>) -> Result<(), Error>
    where
        A: Activation<T>,
    {
        let pass = &mut along.pass;
        let (at, a, kept, kept_tangent) = (pass.at, &pass.output, pass.kept, along.kept_tangent);
        let (delta, delta_tangent) = (&mut pass.delta, &mut along.delta_tangent);
        let (g, slope) = match self.form(&at) {
            Form::Plain => {
                let z = |kept| DMatrixView::from_slice(kept, self.outputs, a.ncols());
                let (z, z_tangent) = (z(&kept[..a.len()]), z(&kept_tangent[..a.len()]));
                let (delta, dot) = (delta.as_view_mut(), delta_tangent.as_view_mut());
                return self
                    .activation
                    .backward_tangent(z, *a, z_tangent, delta, dot);
            }
            Form::Fused(g, slope) => (g, slope),
        };
        let (Some(delta), Some(delta_tangent), Some(a)) =
            (flat_mut(delta), flat_mut(delta_tangent), flat(a))
        else {
            return Ok(());
        };
        if (slope, at.keep) == (Slope::Kept, Keep::Curvature) {
            let from = [&kept[..a.len()], &kept_tangent[..a.len()]];
            elementwise(
                [delta, delta_tangent],
                from,
                &|[d, dot], [slope, change]| {
                    kernels::backward_tangent(d, dot, slope, change);
                },
            );
        } else {
            // g″ is 0 except at kinks.
            scale_by_slope((g, slope), a, kept, delta);
            scale_by_slope((g, slope), a, kept, delta_tangent);
        }
        Ok(())
    }
}

/// θ and x with their directions.
struct Motion<'a, 'x, T: Scalar> {
    theta: &'a [T],
    theta_tangent: Option<&'a [T]>,
    x: &'a DMatrixView<'x, T>,
    x_tangent: Option<&'a DMatrixView<'x, T>>,
}

impl<T: Scalar> Motion<'_, '_, T> {
    /// ż = ḃ + Ẇ x + W ẋ.
    fn affine(&self, z_tangent: &mut DMatrixViewMut<'_, T>, scratch: &mut [T]) {
        match self.theta_tangent {
            Some(theta) => affine(theta, self.x, z_tangent, scratch),
            None => z_tangent.fill(T::zero()),
        }
        if let Some(x) = self.x_tangent {
            add_linear(self.theta, x, z_tangent, scratch);
        }
    }
}

impl<T: Scalar, A: Activation<T> + 'static> From<Dense<A>> for Box<dyn Layer<T>> {
    fn from(layer: Dense<A>) -> Self {
        Box::new(layer)
    }
}
