//! Layers: the trait, the parameter blocks, and the arguments of a layer's passes.
//!
//! A layer is a stateless description. It holds sizes and constants, but no parameters and no
//! buffers. These come with each call, as views of the network's flat θ and of a
//! [`Workspace`](crate::Workspace). One layer value therefore works with `f32`, `f64` and dual
//! numbers, and on any number of threads.
//!
//! # The built-in layers
//! | layer | computes | call of [`Builder`](crate::Builder) |
//! |---|---|---|
//! | [`Dense`] | g(Θ \[1; x\]) along the last axis, or g(W x) | `dense`, `dense_without_bias` |
//! | [`Activate`] | g(x) | `activate` |
//! | [`LayerNorm`], [`RmsNorm`] | (x − μ)/√(σ² + ε) or x/√(mean of x² + ε) along the last axes, scaled and shifted | `layer_norm`, `rms_norm` |
//! | [`BatchNorm`] | (x − μ)/√(σ² + ε) of each unit or channel over the batch, scaled and shifted | `batch_norm` |
//! | [`Dropout`] | r ∘ x/(1 − p) with a random mask r in training, and x otherwise | `dropout` |
//! | [`GaussianNoise`] | x + σ n with random normal n in training, and x otherwise | `gaussian_noise` |
//! | [`Embedding`] | a learned vector for each id | `embedding` |
//! | [`Flatten`], [`Transpose`], [`Select`] | x in another order, or some of its rows | `flatten`, `transpose`, `select` |
//! | [`Sequential`] | its layers in sequence | `sequential` |
//! | [`Residual`] | body(x) + x, or body(x) + shortcut(x) | `residual`, `residual_with_shortcut` |
//! | [`Concat`] | branches of the same x, put one after the other along an [`Axis`] | `concat` |
//!
//! The last three contain other layers, of any type and up to 32 deep.
//!
//! # A custom layer
//! This layer scales each of its inputs, aᵢ = γᵢ xᵢ. Its gradient is ∂J/∂γᵢ = Σₖ δᵢₖ xᵢₖ. The error
//! for the layer below is γᵢ δᵢₖ.
//! ```
//! use backprop::activation::{Sigmoid, Tanh};
//! use backprop::gradient_check::GradientCheck;
//! use backprop::layer::{
//!     AnyLayer, Backward, Block, Forward, Layer, LayerGradient, Plan, Site,
//! };
//! use backprop::nalgebra::DMatrix;
//! use backprop::{
//!     BinaryCrossEntropy, Builder, Error, Examples, Initialization, Network, Objective, Scalar,
//!     rng,
//! };
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Scale;
//!
//! impl<T: Scalar> Layer<T> for Scale {
//!     fn plan(&self, site: Site) -> Result<Plan, Error> {
//!         Ok(Plan::new(site, site.input).block(Block::new("γ", site.input.len(), 1)))
//!     }
//!
//!     fn forward(&self, mut pass: Forward<'_, T>) {
//!         for (k, x) in pass.input.column_iter().enumerate() {
//!             for i in 0..x.len() {
//!                 pass.output[(i, k)] = pass.at.theta[i] * x[i];
//!             }
//!         }
//!     }
//!
//!     fn backward(&self, pass: Backward<'_, T>) {
//!         if let LayerGradient::Sum(gradient) = pass.gradient {
//!             gradient.fill(T::zero()); // overwrite: the contents of the buffer are unspecified
//!             for (x, delta) in pass.input.column_iter().zip(pass.delta.column_iter()) {
//!                 for i in 0..x.len() {
//!                     gradient[i] += delta[i] * x[i];
//!                 }
//!             }
//!         }
//!         if let Some(mut below) = pass.input_delta {
//!             for (k, delta) in pass.delta.column_iter().enumerate() {
//!                 for i in 0..delta.len() {
//!                     below[(i, k)] = pass.at.theta[i] * delta[i];
//!                 }
//!             }
//!         }
//!     }
//! }
//!
//! // Check the layer by itself …
//! let theta = [0.5, -1.5, 2.0];
//! let x = DMatrix::from_fn(3, 4, |i, j| (i as f64) - 0.7 * (j as f64));
//! GradientCheck::new().layer(&Scale, &theta, &x)?.assert_passed();
//!
//! // … and in a network, between built-in layers.
//! let network: Network<f64, AnyLayer<Scale>> = Builder::new(2)
//!     .dense(3, Tanh)
//!     .layer(AnyLayer::Custom(Scale))
//!     .dense(1, Sigmoid)
//!     .initialize(Initialization::GlorotUniform, &mut rng(1))?;
//! let x = DMatrix::from_row_slice(2, 4, &[0., 0., 1., 1., 0., 1., 0., 1.]);
//! let y = DMatrix::from_row_slice(1, 4, &[0., 1., 1., 0.]);
//! let examples = Examples::new(&x, &y)?;
//! GradientCheck::new()
//!     .network(&network, &examples, &Objective::new(BinaryCrossEntropy).l2(0.1))?
//!     .assert_passed();
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! # A layer with state
//! A layer declares its statistics with [`Plan::state`] and reads them from [`At::state`]. A
//! training pass updates [`Forward::new_state`], which starts as a copy of the state. After the
//! step, [`Network::take_state`] or a trainer makes it the state of the network.
//!
//! This layer computes a = x − μ with a running mean μ, which starts at 0. Each batch moves it a
//! tenth of the way to the mean of the batch. A pass treats μ as a constant, so the error for the
//! layer below is δ.
//! ```
//! use backprop::gradient_check::GradientCheck;
//! use backprop::layer::{AnyLayer, Backward, Forward, Layer, Plan, Site, StateBlock};
//! use backprop::nalgebra::DMatrix;
//! use backprop::{Builder, Error, Network, Scalar, Workspace};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Center;
//!
//! impl<T: Scalar> Layer<T> for Center {
//!     fn plan(&self, site: Site) -> Result<Plan, Error> {
//!         let mean = StateBlock::new("μ", site.input.len(), 0.0);
//!         Ok(Plan::new(site, site.input).state(mean))
//!     }
//!
//!     fn forward(&self, mut pass: Forward<'_, T>) {
//!         let mean = pass.at.state;
//!         for (mut a, x) in pass.output.column_iter_mut().zip(pass.input.column_iter()) {
//!             for i in 0..x.len() {
//!                 a[i] = x[i] - mean[i];
//!             }
//!         }
//!         if let Some(new) = pass.new_state {
//!             let share = T::from_f64(0.1 / pass.input.ncols() as f64).unwrap_or(T::zero());
//!             for (mean, a) in new.iter_mut().zip(pass.output.row_iter()) {
//!                 *mean += a.iter().fold(T::zero(), |sum, &a| sum + a) * share;
//!             }
//!         }
//!     }
//!
//!     fn backward(&self, pass: Backward<'_, T>) {
//!         if let Some(mut below) = pass.input_delta {
//!             below.copy_from(&pass.delta);
//!         }
//!     }
//! }
//!
//! let x = DMatrix::from_row_slice(1, 2, &[2.0, 4.0]);
//! let check = GradientCheck::new();
//! check.layer(&Center, &[], &x)?.assert_passed();
//! check.training(1).layer(&Center, &[], &x)?.assert_passed();
//!
//! let mut network: Network<f64, AnyLayer<Center>> =
//!     Builder::new(1).layer(AnyLayer::Custom(Center)).zeros()?;
//! let mut workspace = Workspace::new();
//! workspace.set_training(Some(0));
//! network.forward_into(&x, &mut workspace)?;
//! network.take_state(&workspace)?;
//! assert!((network.state()[0] - 0.3).abs() < 1e-15); // 0 + 0.1 (3 − 0)
//! # Ok::<(), Error>(())
//! ```
//!
//! # A layer with random numbers
//! A layer declares with [`Plan::stochastic`] how many random numbers it needs for each example. In
//! a training pass, they come from [`At::random_numbers`] if the caller has set some, and from
//! [`At::rng`] otherwise. Every pass of a step then sees the same numbers, however the batch is
//! split. This layer multiplies each example by its own uniform u in \[0, 2), whose mean is 1.
//! ```
//! use backprop::gradient_check::GradientCheck;
//! use backprop::layer::{At, Backward, Forward, Layer, Plan, Site};
//! use backprop::nalgebra::DMatrix;
//! use backprop::rand_xoshiro::rand_core::Rng;
//! use backprop::{Error, Scalar};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Volume;
//!
//! impl Volume {
//!     /// Returns u of each of m examples.
//!     fn factors<T: Scalar>(at: &At<'_, T>, m: usize) -> Vec<T> {
//!         match (at.training, at.random_numbers(m)) {
//!             (false, _) => vec![T::one(); m],
//!             (true, Some(given)) => given.iter().copied().collect(),
//!             (true, None) => (0..m)
//!                 .map(|k| {
//!                     let uniform = (at.rng(k).next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
//!                     T::from_f64(2.0 * uniform).unwrap_or(T::one())
//!                 })
//!                 .collect(),
//!         }
//!     }
//! }
//!
//! impl<T: Scalar> Layer<T> for Volume {
//!     fn plan(&self, site: Site) -> Result<Plan, Error> {
//!         Ok(Plan::new(site, site.input).stochastic(1))
//!     }
//!
//!     fn forward(&self, mut pass: Forward<'_, T>) {
//!         for (k, u) in Self::factors(&pass.at, pass.input.ncols()).into_iter().enumerate() {
//!             pass.output.set_column(k, &(pass.input.column(k) * u));
//!         }
//!     }
//!
//!     fn backward(&self, pass: Backward<'_, T>) {
//!         if let Some(mut below) = pass.input_delta {
//!             for (k, u) in Self::factors(&pass.at, pass.delta.ncols()).into_iter().enumerate() {
//!                 below.set_column(k, &(pass.delta.column(k) * u));
//!             }
//!         }
//!     }
//! }
//!
//! let x = DMatrix::from_fn(2, 3, |i, k| 1.0 + (i + k) as f64);
//! GradientCheck::new().training(1).layer(&Volume, &[], &x)?.assert_passed();
//! # Ok::<(), Error>(())
//! ```
//!
//! [`Network::take_state`]: crate::Network::take_state

mod activate;
mod any;
mod batch_norm;
mod block;
mod by_position;
mod child;
mod concat;
mod dense;
mod dense_each;
mod dense_form;
#[cfg(feature = "serde")]
mod dense_saved;
mod dropout;
mod embedding;
mod fork;
mod gaussian_noise;
pub(crate) mod given;
mod join;
mod layer_norm;
mod memory;
mod normalize;
mod normalize_backward;
mod normalize_runs;
mod normalize_tangent;
mod passes;
mod plan;
mod products;
mod rearrange;
mod residual;
mod rms_norm;
#[cfg(feature = "serde")]
mod saved;
mod sequential;
mod site;
mod state_block;

use crate::error::{Error, short_name, unsupported};
use crate::kernels::{columns, sum_of_squares};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::any::type_name;
use std::fmt::Debug;

pub use activate::Activate;
pub use any::{AnyLayer, NoCustom};
pub use batch_norm::BatchNorm;
pub(crate) use batch_norm::Running;
pub use block::{Block, BlockStart};
pub(crate) use child::Child;
pub use concat::{Axis, Concat};
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use gaussian_noise::GaussianNoise;
pub use layer_norm::LayerNorm;
pub(crate) use memory::{Frame, KEEPS};
pub use memory::{Keep, Len, Place, Start};
pub use passes::{At, Backward, BackwardTangent, Forward, ForwardTangent, LayerGradient, Linked};
pub use plan::Plan;
pub use products::Affine;
pub use rearrange::Rearrange;
pub use rearrange::Rearrange::{Flatten, Select, Transpose};
pub use residual::Residual;
pub use rms_norm::RmsNorm;
pub use sequential::Sequential;
pub(crate) use site::Head;
pub use site::{Couples, Site};
pub use state_block::StateBlock;

/// A layer: a differentiable map from the activations of one layer to those of the next.
///
/// For m examples, `input` is inputs × m and `output` is outputs × m, with one column for each
/// example. The columns of both are contiguous, except that the columns of X may be apart. A layer
/// states its sizes, its parameters and the memory of its passes once, in a [`Plan`]. A network
/// calls the passes with matrices of these shapes. With other shapes, an implementation may panic.
/// The [module documentation](self) has a worked example.
///
/// A custom layer implements the first three methods. A wrapper delegates every method, including
/// those with a default. If it does not delegate `backward_each`, it calls [`Plan::default_each`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer for numbers of type `{T}`",
    label = "`Layer<{T}>` is not implemented for `{Self}`",
    note = "an activation becomes a layer with `Dense::new(inputs, units, activation)`",
    note = "for a custom type, implement `Layer<{T}>`, preferably for every `T: Scalar`; among \
            built-in layers it is `AnyLayer::Custom(layer)` of an `AnyLayer<{Self}>`"
)]
#[doc(alias = "Module")]
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// Returns the plan of this layer at a site, whose input shape follows from the layers below.
    ///
    /// # Errors
    /// Returns an error if the layer cannot take inputs of this shape, or if a constant of the
    /// layer is out of range.
    fn plan(&self, site: Site) -> Result<Plan, Error>;

    /// Computes `output` and `kept` from θ and `input`. An implementation must write every entry of
    /// both.
    ///
    /// Derivation: [(18)](crate::derivation#products).
    fn forward(&self, pass: Forward<'_, T>);

    /// Computes the gradient, summed over the examples, and the error of the layer below. Both are
    /// **overwritten**, not added to. The gradient is [`LayerGradient::Sum`] or
    /// [`LayerGradient::None`].
    ///
    /// Derivation: [(10)](crate::derivation#gradient), [(11)](crate::derivation#recurrence),
    /// [(13)](crate::derivation#recurrence-general) and [(18)](crate::derivation#products).
    fn backward(&self, pass: Backward<'_, T>);

    /// Like [`backward`](Self::backward), but computes the gradient of each example
    /// ([`LayerGradient::Each`]) or its squared norm ([`LayerGradient::SquaredNorms`]) instead of
    /// the sum.
    ///
    /// The default computes each example again by itself with `forward` and `backward`. A layer
    /// that implements this method declares it with [`Plan::own_each`]; otherwise `room` is longer.
    fn backward_each(&self, pass: Backward<'_, T>) {
        one_by_one(self, pass);
    }

    /// Computes the derivatives of the output and of `kept` along a direction (forward mode); see
    /// [`ForwardTangent`].
    ///
    /// Derivation: [(29)](crate::derivation#forward-tangent).
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] unless the implementation provides it.
    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let _ = pass;
        Err(unsupported::<Self>("Layer::forward_tangent"))
    }

    /// Computes the derivative of [`backward`](Self::backward) along a direction; see
    /// [`BackwardTangent`].
    ///
    /// Derivation: [(30)](crate::derivation#backward-tangent).
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] unless the implementation provides it.
    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        let _ = pass;
        Err(unsupported::<Self>("Layer::backward_tangent"))
    }

    /// Returns the name shown in tables.
    fn name(&self) -> String {
        short_name(type_name::<Self>())
    }
}

/// Computes the gradients of examples, or their squared norms, one example at a time.
fn one_by_one<T: Scalar, L: Layer<T> + ?Sized>(layer: &L, pass: Backward<'_, T>) {
    let Backward {
        at,
        input,
        mut delta,
        linked,
        mut gradient,
        mut input_delta,
        room,
        scratch,
        ..
    } = pass;
    let (rows, p) = (at.plan.outputs(), at.plan.parameters());
    // A wrapper may have handed on a plan that promises a method of its own.
    let needed = at.plan.room_of_one();
    let mut own_room = Vec::new();
    let room = if room.len() < needed {
        own_room.resize(needed, T::zero());
        &mut own_room[..]
    } else {
        room
    };
    let (kept, room) = room.split_at_mut(at.plan.kept(at.keep, 1));
    let (output, room) = room.split_at_mut(rows);
    let (sum, room) = room.split_at_mut(p);
    let room = &mut room[..at.plan.plain_room(1)];
    for k in 0..input.ncols() {
        let at = At {
            first_example: at.first_example + k,
            ..at
        };
        let input = columns(input, k, 1);
        layer.forward(Forward {
            at,
            input,
            output: DMatrixViewMut::from_slice(output, rows, 1),
            kept,
            new_state: None,
            room,
            scratch,
        });
        layer.backward(Backward {
            at,
            input,
            output: DMatrixView::from_slice(output, rows, 1),
            kept,
            delta: delta.columns_mut(k, 1),
            linked,
            gradient: LayerGradient::Sum(sum),
            input_delta: input_delta.as_mut().map(|below| below.columns_mut(k, 1)),
            room,
            scratch,
        });
        at.plan.clear_frozen(sum);
        match &mut gradient {
            LayerGradient::SquaredNorms(norms) => norms[k] += sum_of_squares(sum),
            LayerGradient::Each { gradients, stride } => {
                gradients[k * *stride..][..p].copy_from_slice(sum);
            }
            LayerGradient::None | LayerGradient::Sum(_) => {}
        }
    }
}

/// Delegates every method.
impl<T: Scalar, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        (**self).plan(site)
    }

    fn forward(&self, pass: Forward<'_, T>) {
        (**self).forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        (**self).backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        (**self).backward_each(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        (**self).forward_tangent(pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        (**self).backward_tangent(pass)
    }

    fn name(&self) -> String {
        (**self).name()
    }
}
