//! The arguments of a layer's passes.

use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The forward pass of one layer, which computes `output` and `cache` from `theta` and `input`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Forward<'a, T: Scalar> {
    /// The layer's parameters: its blocks in sequence, each column-major.
    pub theta: &'a [T],
    /// Activations of the layer below, inputs × m.
    pub input: DMatrixView<'a, T>,
    /// The activations of this layer, outputs × m, to be written.
    pub output: DMatrixViewMut<'a, T>,
    /// The `cache_len(m)` scalars for `backward`, to be written.
    pub cache: &'a mut [T],
    /// Room for intermediate results, with unspecified contents: `scratch_len(m)` scalars in a
    /// network, none by default.
    pub scratch: &'a mut [T],
    /// Whether this is a training pass. A stochastic layer is random only then.
    pub training: bool,
    /// The seed of this layer in this pass. The same seed and example must give the same numbers in
    /// the forward and the backward pass.
    pub seed: u64,
    /// The index in the batch of the first column, for a pass over part of a batch.
    pub first_example: usize,
}

impl<'a, T: Scalar> Forward<'a, T> {
    /// Creates a pass outside training, with seed and first example 0.
    #[must_use]
    pub fn new(
        theta: &'a [T],
        input: DMatrixView<'a, T>,
        output: DMatrixViewMut<'a, T>,
        cache: &'a mut [T],
    ) -> Self {
        Self {
            theta,
            input,
            output,
            cache,
            scratch: &mut [],
            training: false,
            seed: 0,
            first_example: 0,
        }
    }
}

/// The backward pass of one layer, which computes `gradient` and `input_delta` from `delta` and the
/// results of the forward pass.
#[derive(Debug)]
#[non_exhaustive]
pub struct Backward<'a, T: Scalar> {
    /// The layer's parameters, as in the forward pass.
    pub theta: &'a [T],
    /// Activations of the layer below, inputs × m.
    pub input: DMatrixView<'a, T>,
    /// The activations of this layer, outputs × m.
    pub output: DMatrixView<'a, T>,
    /// The cache that the forward pass wrote.
    pub cache: &'a [T],
    /// ∂cost/∂a of each example (∂cost/∂z if `linked`), outputs × m. It may be overwritten.
    ///
    /// Derivation: [(7)](crate::derivation#error-term).
    pub delta: DMatrixViewMut<'a, T>,
    /// Whether `delta` is already ∂cost/∂z. It is set only for layers that
    /// [keep z](crate::Layer::keeps_z).
    pub linked: bool,
    /// ∂cost/∂θ of this layer, summed over the examples, to be **overwritten**; absent if not
    /// needed.
    pub gradient: Option<&'a mut [T]>,
    /// ∂cost/∂input, inputs × m, to be **overwritten**; absent if not needed.
    pub input_delta: Option<DMatrixViewMut<'a, T>>,
    /// As in the forward pass.
    pub scratch: &'a mut [T],
    /// As in the forward pass.
    pub training: bool,
    /// As in the forward pass.
    pub seed: u64,
    /// As in the forward pass.
    pub first_example: usize,
}

impl<'a, T: Scalar> Backward<'a, T> {
    /// Creates a pass outside training that computes nothing yet: set `gradient` and `input_delta`.
    #[must_use]
    pub fn new(
        theta: &'a [T],
        input: DMatrixView<'a, T>,
        output: DMatrixView<'a, T>,
        cache: &'a [T],
        delta: DMatrixViewMut<'a, T>,
    ) -> Self {
        Self {
            theta,
            input,
            output,
            cache,
            delta,
            linked: false,
            gradient: None,
            input_delta: None,
            scratch: &mut [],
            training: false,
            seed: 0,
            first_example: 0,
        }
    }
}

/// The result for each example, instead of the sum of the gradients.
///
/// A layer returns [`Error::Unsupported`](crate::Error::Unsupported) for variants that it does not
/// implement.
#[derive(Debug)]
#[non_exhaustive]
pub enum PerExample<'a, T: Scalar> {
    /// The gradient of each example, to be **overwritten**: one column each, with the layer's
    /// blocks in sequence.
    Gradients(DMatrixViewMut<'a, T>),
    /// The squared Euclidean norm of each example's gradient, to be **added** to the sum over other
    /// layers.
    SquaredNorms(&'a mut [T]),
}

/// The derivative of a forward pass along (θ̇, inpuṫ): `output_tangent` and `cache_tangent`, to be
/// written.
#[derive(Debug)]
#[non_exhaustive]
pub struct ForwardTangent<'a, T: Scalar> {
    /// The layer's parameters, as in the forward pass.
    pub theta: &'a [T],
    /// The activations of the layer below.
    pub input: DMatrixView<'a, T>,
    /// The activations of this layer.
    pub output: DMatrixView<'a, T>,
    /// The cache that the forward pass wrote.
    pub cache: &'a [T],
    /// The direction of the parameters; absent if they do not move.
    pub theta_tangent: Option<&'a [T]>,
    /// The direction of the input; absent if it does not move.
    pub input_tangent: Option<DMatrixView<'a, T>>,
    /// The derivative of the output, to be written.
    pub output_tangent: DMatrixViewMut<'a, T>,
    /// The derivative of the cache, to be written.
    pub cache_tangent: &'a mut [T],
    /// As in the forward pass.
    pub scratch: &'a mut [T],
    /// As in the forward pass.
    pub training: bool,
    /// As in the forward pass.
    pub seed: u64,
    /// As in the forward pass.
    pub first_example: usize,
}

impl<'a, T: Scalar> ForwardTangent<'a, T> {
    /// Creates the derivative of the pass that wrote `output` and `cache`, without a direction yet:
    /// set `theta_tangent` and `input_tangent`.
    #[must_use]
    pub fn new(
        theta: &'a [T],
        input: DMatrixView<'a, T>,
        output: DMatrixView<'a, T>,
        cache: &'a [T],
        output_tangent: DMatrixViewMut<'a, T>,
        cache_tangent: &'a mut [T],
    ) -> Self {
        Self {
            theta,
            input,
            output,
            cache,
            theta_tangent: None,
            input_tangent: None,
            output_tangent,
            cache_tangent,
            scratch: &mut [],
            training: false,
            seed: 0,
            first_example: 0,
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
    /// The backward pass itself.
    pub pass: Backward<'a, T>,
    /// The direction of the parameters; absent if they do not move.
    pub theta_tangent: Option<&'a [T]>,
    /// The direction of the input; absent if it does not move.
    pub input_tangent: Option<DMatrixView<'a, T>>,
    /// The derivative of the output.
    pub output_tangent: DMatrixView<'a, T>,
    /// The derivative of the cache.
    pub cache_tangent: &'a [T],
    /// The derivative of `pass.delta`. It may be overwritten. A layer that
    /// [keeps z](crate::Layer::keeps_z) leaves the derivative of ∂cost/∂z.
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
        cache_tangent: &'a [T],
        delta_tangent: DMatrixViewMut<'a, T>,
    ) -> Self {
        Self {
            pass,
            theta_tangent: None,
            input_tangent: None,
            output_tangent,
            cache_tangent,
            delta_tangent,
            gradient_tangent: None,
            input_delta_tangent: None,
        }
    }
}
