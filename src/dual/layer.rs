//! Both tangent passes of a layer from dual numbers.

use super::{Dual, OnDual, UNKNOWN, dispatch, lift, lift_slice, tangent, unwritten, value};
use crate::error::Error;
use crate::layer::{Backward, BackwardTangent, Forward, ForwardTangent, Layer};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixViewMut};
use num_dual::{Dual32, Dual64};

/// Computes [`Layer::forward_tangent`] by running [`Layer::forward`] on dual numbers.
///
/// The derivatives of output and cache are taken at θ + θ̇ ε and x + ẋ ε. The pass keeps its
/// training mode, its seed and its first example.
///
/// # Errors
/// Returns [`Error::Unsupported`] if T is neither `f64` nor `f32`, or if the cache has a different
/// length on dual numbers. On an error, nothing is written.
///
/// # Example
/// a = θ x with θ = 2, θ̇ = 3, x = 5 and ẋ = 7 has ȧ = 3 · 5 + 2 · 7 = 29:
/// ```
/// use backprop::layer::{Backward, Block, Forward, ForwardTangent, Layer};
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Error, Scalar, dual};
///
/// #[derive(Debug)]
/// struct Scale;
///
/// impl<T: Scalar> Layer<T> for Scale {
///     fn inputs(&self) -> usize {
///         1
///     }
///
///     fn outputs(&self) -> usize {
///         1
///     }
///
///     fn blocks(&self) -> Vec<Block> {
///         vec![Block::new("γ", 1, 1)]
///     }
///
///     fn forward(&self, mut pass: Forward<'_, T>) {
///         pass.output.zip_apply(&pass.input, |a, x| *a = pass.theta[0] * x);
///     }
///
///     fn backward(&self, pass: Backward<'_, T>) {
///         if let Some(gradient) = pass.gradient {
///             gradient[0] = pass.delta.dot(&pass.input);
///         }
///         if let Some(mut below) = pass.input_delta {
///             below.zip_apply(&pass.delta, |out, d| *out = pass.theta[0] * d);
///         }
///     }
///
///     fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
///         dual::layer_forward_tangent(self, pass)
///     }
/// }
///
/// let [x, x_tangent, a] = [5.0, 7.0, 10.0].map(|x| DMatrix::repeat(1, 1, x));
/// let (mut a_tangent, theta, theta_tangent) = (DMatrix::zeros(1, 1), [2.0], [3.0]);
/// let (input, output) = (x.as_view(), a.as_view());
/// let mut pass =
///     ForwardTangent::new(&theta, input, output, &[], a_tangent.as_view_mut(), &mut []);
/// pass.theta_tangent = Some(&theta_tangent);
/// pass.input_tangent = Some(x_tangent.as_view());
/// Scale.forward_tangent(pass)?;
/// assert_eq!(a_tangent[0], 29.0);
/// # Ok::<(), Error>(())
/// ```
pub fn layer_forward_tangent<T, L>(layer: &L, pass: ForwardTangent<'_, T>) -> Result<(), Error>
where
    T: Scalar,
    L: Layer<Dual64> + Layer<Dual32>,
{
    dispatch::<T, L>("Layer::forward_tangent", On { layer, pass })
}

/// A layer and the pass to compute.
struct On<'a, L, P> {
    layer: &'a L,
    pass: P,
}

impl<D: Dual, T: Scalar, L: Layer<D>> OnDual<D> for On<'_, L, ForwardTangent<'_, T>> {
    fn run(self) -> Option<()> {
        let (layer, mut pass) = (self.layer, self.pass);
        if layer.cache_len(pass.input.ncols()) != pass.cache_tangent.len() {
            return None;
        }
        let theta: Vec<D> = lift_slice(pass.theta, pass.theta_tangent);
        let input = lift(pass.input, pass.input_tangent);
        let (rows, examples) = pass.output_tangent.shape();
        let mut output = unwritten(rows, examples);
        let mut cache = vec![D::of(UNKNOWN, UNKNOWN); pass.cache_tangent.len()];
        layer.forward(Forward {
            theta: &theta,
            input: input.as_view(),
            output: output.as_view_mut(),
            cache: &mut cache,
            scratch: &mut [],
            training: pass.training,
            seed: pass.seed,
            first_example: pass.first_example,
        });
        pass.output_tangent
            .zip_apply(&output, |out, a| *out = tangent(a));
        for (out, c) in pass.cache_tangent.iter_mut().zip(cache) {
            *out = tangent(c);
        }
        Some(())
    }
}

/// Computes [`Layer::backward_tangent`] by running [`Layer::backward`] on dual numbers.
///
/// The pass supplies the output and the cache with their tangents, as [`layer_forward_tangent`]
/// wrote them. It keeps `linked`, its training mode, its seed and its first example. On return, δ
/// and δ̇ hold the two parts of the δ that `backward` leaves.
///
/// # Errors
/// Returns [`Error::Unsupported`] if T is neither `f64` nor `f32`, or if the cache has a different
/// length on dual numbers. On an error, nothing is written.
///
/// # Example
/// Use it like [`layer_forward_tangent`], with `dual::layer_backward_tangent(self, tangent)` as the
/// body of the method.
pub fn layer_backward_tangent<T, L>(layer: &L, along: BackwardTangent<'_, T>) -> Result<(), Error>
where
    T: Scalar,
    L: Layer<Dual64> + Layer<Dual32>,
{
    dispatch::<T, L>("Layer::backward_tangent", On { layer, pass: along })
}

impl<D: Dual, T: Scalar, L: Layer<D>> OnDual<D> for On<'_, L, BackwardTangent<'_, T>> {
    fn run(self) -> Option<()> {
        let (layer, along) = (self.layer, self.pass);
        let (mut pass, mut delta_tangent) = (along.pass, along.delta_tangent);
        let (inputs, examples) = pass.input.shape();
        if layer.cache_len(examples) != pass.cache.len() {
            return None;
        }
        let theta: Vec<D> = lift_slice(pass.theta, along.theta_tangent);
        let input = lift(pass.input, along.input_tangent);
        let output = lift(pass.output, Some(along.output_tangent));
        let cache: Vec<D> = lift_slice(pass.cache, Some(along.cache_tangent));
        let mut delta = lift(pass.delta.as_view(), Some(delta_tangent.as_view()));
        let wanted = pass.gradient.is_some() || along.gradient_tangent.is_some();
        let mut gradient = wanted.then(|| vec![D::of(UNKNOWN, UNKNOWN); theta.len()]);
        let wanted = pass.input_delta.is_some() || along.input_delta_tangent.is_some();
        let mut below = wanted.then(|| unwritten(inputs, examples));
        layer.backward(Backward {
            theta: &theta,
            input: input.as_view(),
            output: output.as_view(),
            cache: &cache,
            delta: delta.as_view_mut(),
            linked: pass.linked,
            gradient: gradient.as_deref_mut(),
            input_delta: below.as_mut().map(DMatrix::as_view_mut),
            scratch: &mut [],
            training: pass.training,
            seed: pass.seed,
            first_example: pass.first_example,
        });
        pass.delta.zip_apply(&delta, |out, d| *out = value(d));
        delta_tangent.zip_apply(&delta, |out, d| *out = tangent(d));
        let write = |out: Option<&mut [T]>, part: fn(D) -> T| {
            for (out, &g) in out.into_iter().flatten().zip(gradient.iter().flatten()) {
                *out = part(g);
            }
        };
        write(pass.gradient, value);
        write(along.gradient_tangent, tangent);
        let write = |out: Option<DMatrixViewMut<'_, T>>, part: fn(D) -> T| {
            if let (Some(mut out), Some(below)) = (out, &below) {
                out.zip_apply(below, |out, e| *out = part(e));
            }
        };
        write(pass.input_delta, value);
        write(along.input_delta_tangent, tangent);
        Some(())
    }
}
