//! The arguments of a layer's passes.

use super::child::Child;
use super::given::Given;
use super::memory::Keep;
use super::plan::Plan;
use crate::initialization::rng;
use crate::kernels::random::mix;
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What all passes have in common: the layer's plan and parameters, and the mode of the pass.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct At<'a, T: Scalar> {
    /// The layer's plan.
    pub plan: &'a Plan,
    /// The layer's parameters: its blocks in sequence, each column-major, then those of the layers
    /// inside it.
    pub theta: &'a [T],
    /// The layer's state: its vectors in sequence, then those of the layers inside it. It is not
    /// differentiated.
    pub state: &'a [T],
    /// What the forward pass keeps for later passes.
    pub keep: Keep,
    /// Whether this is a training pass. A stochastic layer is random only then.
    pub training: bool,
    /// The seed of this layer in this pass. The same seed and example must give the same numbers in
    /// every pass.
    pub seed: u64,
    /// The index in the batch of the first column, for a pass over part of a batch.
    pub first_example: usize,
    /// Whether the new running statistics of a training pass are those of its batch alone, and not
    /// a mean of these and the old ones: for a pass over all examples. A [`BatchNorm`] then takes
    /// the batch's μ and unbiased σ² with the share 1, and a cumulative one counts it as the first.
    /// A batch with a single value of each unit replaces nothing.
    ///
    /// [`BatchNorm`]: super::BatchNorm
    pub replaces_statistics: bool,
    /// The lengths of the scratch for products, of this plan and of those inside it.
    pub(crate) scratch: &'a [usize],
    /// Random numbers in place of those of the seed.
    pub(crate) given: Given<'a, T>,
}

impl<'a, T: Scalar> At<'a, T> {
    /// Creates the arguments of passes outside training, without state, with seed and first example
    /// 0, that keep what [`Keep::Curvature`] needs.
    #[must_use]
    pub fn new(plan: &'a Plan, theta: &'a [T]) -> Self {
        Self {
            plan,
            theta,
            state: &[],
            keep: Keep::Curvature,
            training: false,
            seed: 0,
            first_example: 0,
            replaces_statistics: false,
            scratch: &[],
            given: Given::NONE,
        }
    }

    /// Returns the arguments of child `i`.
    #[inline]
    pub(crate) fn child(&self, i: usize, child: &'a Child) -> Self {
        Self {
            plan: &child.plan,
            theta: &self.theta[child.theta.clone()],
            state: &self.state[child.state.clone()],
            seed: match self.training {
                true => mix(self.seed, i as u64 + 1),
                false => 0,
            },
            scratch: child.scratch(self.scratch),
            given: self.given.child(i),
            ..*self
        }
    }

    /// Returns the random numbers that a [stochastic](Plan::stochastic) layer uses in place of those
    /// of its seed, for the m examples of this pass; `None` unless the caller gave some
    /// ([`Workspace::set_random_numbers`](crate::Workspace::set_random_numbers)).
    #[inline]
    #[must_use]
    pub fn random_numbers(&self, m: usize) -> Option<DMatrixView<'a, T>> {
        self.given.columns(self.first_example, m)
    }

    /// Returns a generator for the random numbers of the example in column k of this pass, which
    /// follow from the seed and the index of the example in the batch.
    ///
    /// # Example
    /// Column 2 of a batch is column 0 of a pass over its examples from 2 on:
    /// ```
    /// use backprop::layer::{Activate, At, Layer, Site};
    ///
    /// let plan = Layer::<f64>::plan(&Activate::new(backprop::activation::Tanh), Site::new(1))?;
    /// let mut at = At::<f64>::new(&plan, &[]);
    /// let whole = at.rng(2);
    /// at.first_example = 2;
    /// assert_eq!(at.rng(0), whole);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[must_use]
    pub fn rng(&self, k: usize) -> Xoshiro256PlusPlus {
        // Index 0 belongs to no child of a container.
        let example = (self.first_example as u64).wrapping_add(k as u64);
        rng(mix(mix(self.seed, 0), example.wrapping_add(1)))
    }

    /// Returns the length of the scratch for products.
    #[inline]
    pub(crate) fn scratch_len(&self) -> usize {
        self.scratch.first().map_or(0, |&len| len)
    }
}

/// The forward pass of one layer, which computes `output` and `kept` from θ and `input`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Forward<'a, T: Scalar> {
    /// The layer's plan, parameters and mode.
    pub at: At<'a, T>,
    /// The activations of the layer below, inputs × m.
    pub input: DMatrixView<'a, T>,
    /// The activations of this layer, outputs × m, to be written.
    pub output: DMatrixViewMut<'a, T>,
    /// The scalars for later passes, to be written: as many as [`Plan::kept`] returns.
    pub kept: &'a mut [T],
    /// The new state, to be updated in place: it starts as a copy of [`At::state`]. `None` unless
    /// this is a training pass that changes the statistics of this layer.
    pub new_state: Option<&'a mut [T]>,
    /// Room for intermediate results, with unspecified contents: see [`Plan::room`].
    pub room: &'a mut [T],
    /// Scratch for the products that the plan declares: see [`Plan::product`].
    pub scratch: &'a mut [T],
}

impl<'a, T: Scalar> Forward<'a, T> {
    /// Creates a pass without room and scratch.
    #[must_use]
    pub fn new(
        at: At<'a, T>,
        input: DMatrixView<'a, T>,
        output: DMatrixViewMut<'a, T>,
        kept: &'a mut [T],
    ) -> Self {
        Self {
            at,
            input,
            output,
            kept,
            new_state: None,
            room: &mut [],
            scratch: &mut [],
        }
    }
}

/// What a backward pass computes of ∂cost/∂θ.
#[derive(Debug, Default)]
pub enum LayerGradient<'a, T> {
    /// Nothing.
    #[default]
    None,
    /// The sum over the examples, to be **overwritten**.
    Sum(&'a mut [T]),
    /// The gradient of each example, to be **overwritten**. That of example k starts at k ·
    /// `stride`.
    Each {
        /// The gradients, with those of other layers in between.
        gradients: &'a mut [T],
        /// The distance between the gradients of two examples.
        stride: usize,
    },
    /// The squared Euclidean norm of each example's gradient, to be **added** to the sum over other
    /// layers.
    SquaredNorms(&'a mut [T]),
}

impl<T> LayerGradient<'_, T> {
    /// Returns the child's share, or `None` if its parameters do not move.
    #[inline]
    pub(crate) fn part(&mut self, child: &Child) -> LayerGradient<'_, T> {
        if !child.plan.moves() {
            return LayerGradient::None;
        }
        let range = &child.theta;
        match self {
            Self::None => LayerGradient::None,
            Self::Sum(all) => LayerGradient::Sum(&mut all[range.clone()]),
            Self::Each { gradients, stride } => LayerGradient::Each {
                gradients: &mut gradients[range.start..],
                stride: *stride,
            },
            Self::SquaredNorms(norms) => LayerGradient::SquaredNorms(norms),
        }
    }

    /// Lends all of it.
    #[inline]
    pub(crate) fn reborrow(&mut self) -> LayerGradient<'_, T> {
        match self {
            Self::Sum(all) => LayerGradient::Sum(all),
            Self::Each { gradients, stride } => LayerGradient::Each {
                gradients,
                stride: *stride,
            },
            Self::SquaredNorms(norms) => LayerGradient::SquaredNorms(norms),
            Self::None => LayerGradient::None,
        }
    }

    /// Returns whether nothing is computed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Returns whether [`Layer::backward_each`](crate::Layer::backward_each) computes it.
    pub(crate) fn is_of_examples(&self) -> bool {
        matches!(self, Self::Each { .. } | Self::SquaredNorms(_))
    }
}

/// Whether the error terms of a layer's heads are ∂cost/∂z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linked<'a>(pub(crate) &'a [bool]);

impl<'a> Linked<'a> {
    /// No head is linked.
    pub(crate) const NONE: Self = Self(&[]);

    /// States it for each head of a layer.
    #[must_use]
    pub fn new(heads: &'a [bool]) -> Self {
        Self(heads)
    }

    /// Returns whether those of a layer with one head are.
    #[inline]
    #[must_use]
    pub fn get(self) -> bool {
        self.0.first() == Some(&true)
    }
}

/// The backward pass of one layer, which computes `gradient` and `input_delta` from `delta` and the
/// results of the forward pass.
#[derive(Debug)]
#[non_exhaustive]
pub struct Backward<'a, T: Scalar> {
    /// The layer's plan, parameters and mode, as in the forward pass.
    pub at: At<'a, T>,
    /// The activations of the layer below, inputs × m.
    pub input: DMatrixView<'a, T>,
    /// The activations of this layer, outputs × m.
    pub output: DMatrixView<'a, T>,
    /// What the forward pass kept.
    pub kept: &'a [T],
    /// ∂cost/∂a of each example (∂cost/∂z if [`linked`](Self::linked)), outputs × m. It may be
    /// overwritten.
    ///
    /// Derivation: [(7)](crate::derivation#error-term).
    pub delta: DMatrixViewMut<'a, T>,
    /// Whether `delta` is already ∂cost/∂z. That happens only at the end of a network, to layers
    /// whose plan declares [z](Plan::z).
    pub linked: Linked<'a>,
    /// ∂cost/∂θ of this layer.
    pub gradient: LayerGradient<'a, T>,
    /// ∂cost/∂input, inputs × m, to be **overwritten**; absent if not needed.
    pub input_delta: Option<DMatrixViewMut<'a, T>>,
    /// As in the forward pass.
    pub room: &'a mut [T],
    /// As in the forward pass.
    pub scratch: &'a mut [T],
}

impl<'a, T: Scalar> Backward<'a, T> {
    /// Creates a pass without room and scratch that computes nothing yet: set `gradient` and
    /// `input_delta`.
    #[must_use]
    pub fn new(
        at: At<'a, T>,
        input: DMatrixView<'a, T>,
        output: DMatrixView<'a, T>,
        kept: &'a [T],
        delta: DMatrixViewMut<'a, T>,
    ) -> Self {
        Self {
            at,
            input,
            output,
            kept,
            delta,
            linked: Linked::NONE,
            gradient: LayerGradient::None,
            input_delta: None,
            room: &mut [],
            scratch: &mut [],
        }
    }
}

/// The derivative of a forward pass along (θ̇, inpuṫ): `output_tangent` and `kept_tangent`, to be
/// written.
#[derive(Debug)]
#[non_exhaustive]
pub struct ForwardTangent<'a, T: Scalar> {
    /// The layer's plan, parameters and mode, as in the forward pass.
    pub at: At<'a, T>,
    /// The activations of the layer below.
    pub input: DMatrixView<'a, T>,
    /// The activations of this layer.
    pub output: DMatrixView<'a, T>,
    /// What the forward pass kept.
    pub kept: &'a [T],
    /// The direction of the parameters; absent if they do not move.
    pub theta_tangent: Option<&'a [T]>,
    /// The direction of the input; absent if it does not move.
    pub input_tangent: Option<DMatrixView<'a, T>>,
    /// The derivative of the output, to be written.
    pub output_tangent: DMatrixViewMut<'a, T>,
    /// The derivative of `kept`, which has the same length, to be written where
    /// `backward_tangent` or a cost reads it.
    pub kept_tangent: &'a mut [T],
    /// As in the forward pass.
    pub room: &'a mut [T],
    /// As in the forward pass.
    pub scratch: &'a mut [T],
}

impl<'a, T: Scalar> ForwardTangent<'a, T> {
    /// Creates the derivative of the pass that wrote `output` and `kept`, without a direction yet:
    /// set `theta_tangent` and `input_tangent`.
    #[must_use]
    pub fn new(
        at: At<'a, T>,
        input: DMatrixView<'a, T>,
        output: DMatrixView<'a, T>,
        kept: &'a [T],
        output_tangent: DMatrixViewMut<'a, T>,
        kept_tangent: &'a mut [T],
    ) -> Self {
        Self {
            at,
            input,
            output,
            kept,
            theta_tangent: None,
            input_tangent: None,
            output_tangent,
            kept_tangent,
            room: &mut [],
            scratch: &mut [],
        }
    }
}

/// The derivative of a backward pass along the direction of a [`ForwardTangent`] and of
/// `delta_tangent`.
///
/// Computes the results of [`Backward`] and the derivative of each, as the same code would on dual
/// numbers.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackwardTangent<'a, T: Scalar> {
    /// The backward pass itself. Its gradient is a sum or absent.
    pub pass: Backward<'a, T>,
    /// The direction of the parameters; absent if they do not move.
    pub theta_tangent: Option<&'a [T]>,
    /// The direction of the input; absent if it does not move.
    pub input_tangent: Option<DMatrixView<'a, T>>,
    /// The derivative of the output.
    pub output_tangent: DMatrixView<'a, T>,
    /// The derivative of what the forward pass kept.
    pub kept_tangent: &'a [T],
    /// The derivative of `pass.delta`. It may be overwritten. A layer whose plan declares
    /// [z](Plan::z) leaves the derivative of ∂cost/∂z.
    pub delta_tangent: DMatrixViewMut<'a, T>,
    /// The derivative of `pass.gradient`, to be **overwritten**; absent if not needed.
    pub gradient_tangent: Option<&'a mut [T]>,
    /// The derivative of `pass.input_delta`, to be **overwritten**; absent if not needed.
    pub input_delta_tangent: Option<DMatrixViewMut<'a, T>>,
}

impl<'a, T: Scalar> BackwardTangent<'a, T> {
    /// Creates the derivative of `pass`, which computes nothing yet: set `gradient_tangent` and
    /// `input_delta_tangent`.
    #[must_use]
    pub fn new(
        pass: Backward<'a, T>,
        output_tangent: DMatrixView<'a, T>,
        kept_tangent: &'a [T],
        delta_tangent: DMatrixViewMut<'a, T>,
    ) -> Self {
        Self {
            pass,
            theta_tangent: None,
            input_tangent: None,
            output_tangent,
            kept_tangent,
            delta_tangent,
            gradient_tangent: None,
            input_delta_tangent: None,
        }
    }
}
