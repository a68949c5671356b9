//! Layers: the trait, the parameter blocks, and the arguments of a layer's passes.
//!
//! A layer is a stateless description. It holds sizes and constants, but no parameters and no
//! buffers. These come with each call, as views of the network's flat θ and of a
//! [`Workspace`](crate::Workspace). One layer value therefore works with `f32`, `f64` and dual
//! numbers, and on any number of threads.
//!
//! # A custom layer
//! This layer scales each of its inputs, aᵢ = γᵢ xᵢ. Its gradient is ∂J/∂γᵢ = Σₖ δᵢₖ xᵢₖ. The error
//! for the layer below is γᵢ δᵢₖ.
//! ```
//! use backprop::activation::{Sigmoid, Tanh};
//! use backprop::gradient_check::GradientCheck;
//! use backprop::layer::{AnyLayer, Backward, Block, Forward, Layer};
//! use backprop::nalgebra::DMatrix;
//! use backprop::{BinaryCrossEntropy, Builder, Examples, Initialization, Network, Objective};
//! use backprop::{Scalar, rng};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Scale {
//!     units: usize,
//! }
//!
//! impl<T: Scalar> Layer<T> for Scale {
//!     fn inputs(&self) -> usize {
//!         self.units
//!     }
//!
//!     fn outputs(&self) -> usize {
//!         self.units
//!     }
//!
//!     fn blocks(&self) -> Vec<Block> {
//!         vec![Block::new("γ", self.units, 1)]
//!     }
//!
//!     fn forward(&self, mut pass: Forward<'_, T>) {
//!         for (k, x) in pass.input.column_iter().enumerate() {
//!             for i in 0..self.units {
//!                 pass.output[(i, k)] = pass.theta[i] * x[i];
//!             }
//!         }
//!     }
//!
//!     fn backward(&self, pass: Backward<'_, T>) {
//!         if let Some(gradient) = pass.gradient {
//!             gradient.fill(T::zero()); // overwrite: the contents of the buffer are unspecified
//!             for (x, delta) in pass.input.column_iter().zip(pass.delta.column_iter()) {
//!                 for i in 0..self.units {
//!                     gradient[i] += delta[i] * x[i];
//!                 }
//!             }
//!         }
//!         if let Some(mut below) = pass.input_delta {
//!             for (k, delta) in pass.delta.column_iter().enumerate() {
//!                 for i in 0..self.units {
//!                     below[(i, k)] = pass.theta[i] * delta[i];
//!                 }
//!             }
//!         }
//!     }
//! }
//!
//! // Check the layer by itself …
//! let theta = [0.5, -1.5, 2.0];
//! let x = DMatrix::from_fn(3, 4, |i, j| (i as f64) - 0.7 * (j as f64));
//! GradientCheck::new().layer(&Scale { units: 3 }, &theta, &x)?.assert_passed();
//!
//! // … and in a network, between built-in layers.
//! let network: Network<f64, AnyLayer<Scale>> = Builder::new(2)
//!     .dense(3, Tanh)
//!     .layer(AnyLayer::Custom(Scale { units: 3 }))
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

mod any;
mod context;
mod dense;
mod fused;

use crate::error::{Error, short_name, unsupported};
use crate::link::Link;
use crate::scalar::Scalar;
use std::any::type_name;
use std::borrow::Cow;
use std::fmt::Debug;

pub use any::{AnyLayer, NoCustom};
pub use context::{Backward, BackwardTangent, Forward, ForwardTangent, PerExample};
pub use dense::Dense;
pub(crate) use fused::Keep;

/// One matrix of a layer's parameters: rows × cols, column-major in the flat θ.
///
/// # Example
/// Θ⁽¹⁾ of a dense layer with 25 units and 400 inputs. Column 0 is the bias, which is not
/// penalised:
/// ```
/// use backprop::layer::Block;
///
/// let block = Block::new("Θ", 25, 401).penalised_from_column(1);
/// assert_eq!(block.len(), Some(10_025));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Block {
    /// The symbol in tables and reports, which add the number of the layer.
    pub name: Cow<'static, str>,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub cols: usize,
    /// The columns before this one are biases. They are exempt from penalties and decay, and start
    /// at 0.
    pub penalised_from_column: usize,
}

impl Block {
    /// Creates a block without biases: all columns are penalised.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, rows: usize, cols: usize) -> Self {
        Self {
            name: name.into(),
            rows,
            cols,
            penalised_from_column: 0,
        }
    }

    /// Exempts the first `column` columns from penalties.
    #[must_use]
    pub fn penalised_from_column(mut self, column: usize) -> Self {
        self.penalised_from_column = column;
        self
    }

    /// Returns rows · cols, or `None` if that overflows.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        self.rows.checked_mul(self.cols)
    }

    /// Returns whether the block has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }
}

/// A layer: a differentiable map from the activations of one layer to those of the next.
///
/// For m examples, `input` is inputs × m and `output` is outputs × m, with one column for each
/// example. The parameters of the layer are its [`blocks`](Self::blocks) in sequence, each
/// column-major. Sizes are read once, when the network is built ([`cache_len`](Self::cache_len) in
/// each pass). A network calls `forward` and `backward` with matrices of these shapes. With other
/// shapes, an implementation may panic. The [module documentation](self) has a worked example.
///
/// A layer that wraps another must delegate every method, including those with a default. Without
/// `cache_len`, the inner layer has no room for its cache; without `link`, canonical costs lose
/// precision.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer for numbers of type `{T}`",
    label = "`Layer<{T}>` is not implemented for `{Self}`",
    note = "an activation becomes a layer with `Dense::new(inputs, units, activation)`",
    note = "for a custom type, implement `Layer<{T}>`, preferably for every `T: Scalar`; among \
            built-in layers it is `AnyLayer::Custom(layer)` of an `AnyLayer<{Self}>`"
)]
#[doc(alias = "Module")]
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// Returns the number of inputs, the rows of `input`.
    fn inputs(&self) -> usize;

    /// Returns the number of outputs, the rows of `output`.
    fn outputs(&self) -> usize;

    /// Returns the parameter matrices in their order in θ. The list is empty for a layer without
    /// parameters.
    fn blocks(&self) -> Vec<Block>;

    /// Returns the number of scalars that `backward` needs from `forward` for a batch, besides
    /// input and output.
    fn cache_len(&self, examples: usize) -> usize {
        let _ = examples;
        0
    }

    /// Returns how many scalars of scratch `forward` and `backward` can use for a batch. Both must
    /// also work with less.
    fn scratch_len(&self, examples: usize) -> usize {
        let _ = examples;
        0
    }

    /// Returns the layer as a built-in dense layer, if it is exactly that.
    ///
    /// A network computes such a layer with fused kernels. It calls neither `forward` nor
    /// `backward` where it does not need z. A layer that wraps a dense layer and changes its
    /// behaviour must keep the default.
    fn as_dense(&self) -> Option<Dense> {
        None
    }

    /// Returns the link function that the output inverts, if any (see [`Link`]).
    ///
    /// A layer with a link promises that the first outputs × m entries of its cache are z,
    /// column-major, and that `backward` with [`Backward::linked`] set takes ∂cost/∂z instead of
    /// ∂cost/∂a.
    fn link(&self) -> Option<Link> {
        None
    }

    /// Returns whether the first outputs × m entries of the cache are z, column-major.
    ///
    /// If so, the output is a function of z, and depends on θ and the input only through z.
    /// [`backward`](Self::backward) leaves ∂cost/∂z in `delta`, or takes it from there with
    /// [`Backward::linked`] set. [`backward_tangent`](Self::backward_tangent) does the same with
    /// the derivative in `delta_tangent`. A layer with a link keeps z.
    ///
    /// Gauss–Newton products at z need this, and so do z and δ in a trace of a pass.
    fn keeps_z(&self) -> bool {
        self.link().is_some()
    }

    /// Computes output and cache from θ and input. An implementation must write every entry of
    /// both.
    ///
    /// Derivation: [(18)](crate::derivation#products).
    fn forward(&self, pass: Forward<'_, T>);

    /// Computes the gradient, summed over the examples, and the error of the layer below. Both are
    /// **overwritten**, not added to.
    ///
    /// Derivation: [(10)](crate::derivation#gradient), [(11)](crate::derivation#recurrence),
    /// [(13)](crate::derivation#recurrence-general) and [(18)](crate::derivation#products).
    fn backward(&self, pass: Backward<'_, T>);

    /// Like [`backward`](Self::backward), but computes the gradient of each example, or its squared
    /// norm, instead of the sum. `pass.gradient` is absent.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] unless the implementation provides it. Without this method, a
    /// network with this layer computes gradients and norms one example at a time, with `forward`
    /// and `backward`, and has no Gauss–Newton matrix.
    fn backward_per_example(
        &self,
        pass: Backward<'_, T>,
        wanted: PerExample<'_, T>,
    ) -> Result<(), Error> {
        let _ = (pass, wanted);
        Err(unsupported::<Self>("Layer::backward_per_example"))
    }

    /// Returns whether the output for one example depends on the others in its batch, as in batch
    /// normalisation.
    ///
    /// A pass never splits a batch for such a layer, and there are no per-example derivatives.
    /// Batches added to one accumulator are not coupled with each other.
    fn couples_examples(&self) -> bool {
        false
    }

    /// Checks the constants of the layer. This is called once, when a network is built.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] if a constant is out of range.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Returns the name shown in tables.
    fn name(&self) -> String {
        short_name(type_name::<Self>())
    }

    /// Computes the derivatives of the output and the cache along a direction (forward mode); see
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
}

/// Delegates every method.
impl<T: Scalar, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn inputs(&self) -> usize {
        (**self).inputs()
    }

    fn outputs(&self) -> usize {
        (**self).outputs()
    }

    fn blocks(&self) -> Vec<Block> {
        (**self).blocks()
    }

    fn cache_len(&self, examples: usize) -> usize {
        (**self).cache_len(examples)
    }

    fn scratch_len(&self, examples: usize) -> usize {
        (**self).scratch_len(examples)
    }

    fn as_dense(&self) -> Option<Dense> {
        (**self).as_dense()
    }

    fn link(&self) -> Option<Link> {
        (**self).link()
    }

    fn forward(&self, pass: Forward<'_, T>) {
        (**self).forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        (**self).backward(pass);
    }

    fn keeps_z(&self) -> bool {
        (**self).keeps_z()
    }

    fn backward_per_example(
        &self,
        pass: Backward<'_, T>,
        wanted: PerExample<'_, T>,
    ) -> Result<(), Error> {
        (**self).backward_per_example(pass, wanted)
    }

    fn couples_examples(&self) -> bool {
        (**self).couples_examples()
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        (**self).forward_tangent(pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        (**self).backward_tangent(pass)
    }
}
