//! Both tangent passes of a layer from dual numbers.

use super::{Dual, OnDual, UNKNOWN, dispatch, lift, lift_slice, tangent, unwritten, value};
use crate::error::Error;
use crate::layer::given::{Given, GivenNode};
use crate::layer::{
    At, Backward, BackwardTangent, Forward, ForwardTangent, Layer, LayerGradient, Plan, Site,
};
use crate::scalar::{Scalar, to_f64};
use nalgebra::{DMatrix, DMatrixViewMut};
use num_dual::{Dual32, Dual64};

/// Computes [`Layer::forward_tangent`] by running [`Layer::forward`] on dual numbers.
///
/// The derivatives of the output and of what the layer keeps are taken at θ + θ̇ ε and x + ẋ ε. The
/// pass keeps its training mode, its seed and its first example.
///
/// # Errors
/// Returns [`Error::Unsupported`] if T is neither `f64` nor `f32`, or if the layer keeps another
/// number of scalars on dual numbers. On an error, nothing is written.
///
/// # Example
/// a = θ x with θ = 2, θ̇ = 3, x = 5 and ẋ = 7 has ȧ = 3 · 5 + 2 · 7 = 29:
/// ```
/// use backprop::layer::{
///     Backward, Block, Forward, ForwardTangent, Layer, LayerGradient, Plan, Site,
/// };
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Error, Network, Scalar, Tangent, dual};
///
/// #[derive(Debug)]
/// struct Scale;
///
/// impl<T: Scalar> Layer<T> for Scale {
///     fn plan(&self, site: Site) -> Result<Plan, Error> {
///         Ok(Plan::new(site, site.input).block(Block::new("γ", 1, 1)))
///     }
///
///     fn forward(&self, mut pass: Forward<'_, T>) {
///         pass.output.zip_apply(&pass.input, |a, x| *a = pass.at.theta[0] * x);
///     }
///
///     fn backward(&self, pass: Backward<'_, T>) {
///         if let LayerGradient::Sum(gradient) = pass.gradient {
///             gradient[0] = pass.delta.dot(&pass.input);
///         }
///         if let Some(mut below) = pass.input_delta {
///             below.zip_apply(&pass.delta, |out, d| *out = pass.at.theta[0] * d);
///         }
///     }
///
///     fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
///         dual::layer_forward_tangent(self, pass)
///     }
/// }
///
/// let network = Network::from_layers(1, vec![Scale], &[2.0])?;
/// let direction = Tangent::of_parameters(&[3.0]);
/// let x_tangent = DMatrix::repeat(1, 1, 7.0);
/// let a_tangent = network.jvp(&[5.0], direction.and_inputs(&x_tangent))?;
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

/// The plan of the layer on dual numbers, with NaN as room and scratch.
struct Planned<D: Scalar> {
    plan: Plan,
    lens: Vec<usize>,
    /// State and given numbers are constants.
    state: Vec<D>,
    given: Option<GivenNode<D>>,
    room: Vec<D>,
    scratch: Vec<D>,
}

impl<D: Dual> Planned<D> {
    /// Returns `None` if what the layer keeps has another length on dual numbers.
    fn new<T: Scalar, L: Layer<D>>(layer: &L, at: &At<'_, T>, m: usize) -> Option<Self> {
        let site = Site::new(at.plan.input());
        let site = if at.plan.is_tail() {
            site
        } else {
            site.hidden()
        };
        let mut plan = layer.plan(site).ok()?;
        plan.fix_as_in(at.plan);
        if plan.kept(at.keep, m) != at.plan.kept(at.keep, m) {
            return None;
        }
        let mut lens = Vec::new();
        plan.scratch::<D>(m, &mut lens);
        let unknown = D::of(UNKNOWN, UNKNOWN);
        Some(Self {
            room: vec![unknown; plan.plain_room(m)],
            scratch: vec![unknown; lens[0]],
            plan,
            lens,
            state: lift_slice(at.state, None),
            given: at
                .given
                .0
                .map(|given| given.map(&|x| D::of(to_f64(x), 0.0))),
        })
    }
}

impl<D: Dual> Planned<D> {
    /// Splits into the arguments of a pass on dual numbers, in the mode of `at`, room and scratch.
    fn split<'a, T: Scalar>(&'a mut self, at: &At<'_, T>, theta: &'a [D]) -> Lent<'a, D> {
        let at = At {
            state: &self.state,
            keep: at.keep,
            training: at.training,
            seed: at.seed,
            first_example: at.first_example,
            replaces_statistics: at.replaces_statistics,
            scratch: &self.lens,
            given: Given(self.given.as_ref()),
            ..At::new(&self.plan, theta)
        };
        Lent {
            at,
            room: &mut self.room,
            scratch: &mut self.scratch,
        }
    }
}

/// What a pass on dual numbers borrows.
struct Lent<'a, D: Scalar> {
    at: At<'a, D>,
    room: &'a mut [D],
    scratch: &'a mut [D],
}

/// Lifts θ along a direction. Frozen layers inside the layer do not move.
fn lift_theta<D: Dual, T: Scalar>(at: &At<'_, T>, tangent: Option<&[T]>) -> Vec<D> {
    let tangent = tangent.map(|tangent| {
        let mut moving = tangent.to_vec();
        at.plan.clear_frozen(&mut moving);
        moving
    });
    lift_slice(at.theta, tangent.as_deref())
}

impl<D: Dual, T: Scalar, L: Layer<D>> OnDual<D> for On<'_, L, ForwardTangent<'_, T>> {
    fn run(self) -> Option<()> {
        let (layer, mut pass) = (self.layer, self.pass);
        let mut planned = Planned::<D>::new(layer, &pass.at, pass.input.ncols())?;
        let theta: Vec<D> = lift_theta(&pass.at, pass.theta_tangent);
        let input = lift(pass.input, pass.input_tangent);
        let (rows, examples) = pass.output_tangent.shape();
        let mut output = unwritten(rows, examples);
        let mut kept = vec![D::of(UNKNOWN, UNKNOWN); pass.kept_tangent.len()];
        let Lent { at, room, scratch } = planned.split(&pass.at, &theta);
        layer.forward(Forward {
            at,
            input: input.as_view(),
            output: output.as_view_mut(),
            kept: &mut kept,
            new_state: None,
            room,
            scratch,
        });
        pass.output_tangent
            .zip_apply(&output, |out, a| *out = tangent(a));
        for (out, c) in pass.kept_tangent.iter_mut().zip(kept) {
            *out = tangent(c);
        }
        Some(())
    }
}

/// Computes [`Layer::backward_tangent`] by running [`Layer::backward`] on dual numbers.
///
/// The pass supplies the output and what the layer keeps, with their tangents, as
/// [`layer_forward_tangent`] wrote them. It keeps `linked`, its training mode, its seed and its
/// first example. On return, δ and δ̇ hold the two parts of the δ that `backward` leaves.
///
/// # Errors
/// Returns [`Error::Unsupported`] if T is neither `f64` nor `f32`, or if the layer keeps another
/// number of scalars on dual numbers. On an error, nothing is written.
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
        let mut planned = Planned::<D>::new(layer, &pass.at, examples)?;
        let theta: Vec<D> = lift_theta(&pass.at, along.theta_tangent);
        let input = lift(pass.input, along.input_tangent);
        let output = lift(pass.output, Some(along.output_tangent));
        let kept: Vec<D> = lift_slice(pass.kept, Some(along.kept_tangent));
        let mut delta = lift(pass.delta.as_view(), Some(delta_tangent.as_view()));
        let wanted = !pass.gradient.is_none() || along.gradient_tangent.is_some();
        let mut gradient = wanted.then(|| vec![D::of(UNKNOWN, UNKNOWN); theta.len()]);
        let wanted = pass.input_delta.is_some() || along.input_delta_tangent.is_some();
        let mut below = wanted.then(|| unwritten(inputs, examples));
        let Lent { at, room, scratch } = planned.split(&pass.at, &theta);
        layer.backward(Backward {
            at,
            input: input.as_view(),
            output: output.as_view(),
            kept: &kept,
            delta: delta.as_view_mut(),
            linked: pass.linked,
            gradient: gradient
                .as_deref_mut()
                .map_or(LayerGradient::None, LayerGradient::Sum),
            input_delta: below.as_mut().map(DMatrix::as_view_mut),
            room,
            scratch,
        });
        pass.delta.zip_apply(&delta, |out, d| *out = value(d));
        delta_tangent.zip_apply(&delta, |out, d| *out = tangent(d));
        let write = |out: Option<&mut [T]>, part: fn(D) -> T| {
            for (out, &g) in out.into_iter().flatten().zip(gradient.iter().flatten()) {
                *out = part(g);
            }
        };
        if let LayerGradient::Sum(sum) = pass.gradient {
            write(Some(sum), value);
        }
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
