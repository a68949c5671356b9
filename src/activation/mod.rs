//! Activations g, with a = g(z): the trait, and the built-in ones in one table.
//!
//! Writing σ(z) = 1/(1 + e⁻ᶻ), σ′(z) = σ(z) σ(−z), Φ and φ for the distribution and the density of the standard normal, and s(z) = ln(1 + eᶻ):
//!
//! | [`AnyActivation`] | g(z) | g′(z) | g″(z) | range | canonical cost |
//! |---|---|---|---|---|---|
//! | [`Identity`] | z | 1 | 0 | ℝ | [`SquaredError`], [`Huber`], [`LogCosh`] |
//! | [`Sigmoid`] | σ(z) | a (1 − a) | −g′ tanh(z/2) | (0, 1) | [`BinaryCrossEntropy`] |
//! | [`Tanh`] | tanh z | 1 − a² | −2 a g′ | (−1, 1) | – |
//! | [`Relu`] | max(z, 0) | 1 if z > 0, else 0 | 0 | \[0, ∞) | – |
//! | [`LeakyRelu`] | z if z > 0, else slope · z | 1 if z > 0, else slope | 0 | ℝ | – |
//! | [`Elu`] | z if z > 0, else α (eᶻ − 1) | 1 if z > 0, else α eᶻ | 0 if z > 0, else α eᶻ | (−α, ∞) | – |
//! | [`Selu`] | λ z if z > 0, else λ α (eᶻ − 1) | λ if z > 0, else λ α eᶻ | 0 if z > 0, else λ α eᶻ | (−λα, ∞) | – |
//! | [`Softplus`] | s(z) | σ(z) | σ(z) σ(−z) | (0, ∞) | – |
//! | [`Softsign`] | z / (1 + \|z\|) | 1 / (1 + \|z\|)² | −2 sign(z) / (1 + \|z\|)³, 0 at 0 | (−1, 1) | – |
//! | [`Gelu`] | z Φ(z) | Φ(z) + z φ(z) | φ(z) (2 − z²) | \[−0.17, ∞) | – |
//! | [`GeluTanh`] | z σ(2u), u = √(2/π) (z + 0.044715 z³) | σ(2u) + 2z σ(2u) (1 − σ(2u)) u′ | σ′(2u) (4u′ + 2z u″ − 4z u′² tanh u) | \[−0.171, ∞) | – |
//! | [`Silu`] | z σ(z) | σ(z) (1 + z (1 − σ(z))) | σ′(z) (2 − z tanh(z/2)) | \[−0.28, ∞) | – |
//! | [`Mish`] | z t, t = tanh s(z) | t + z (1 − t²) σ(z) | (1 − t²) σ(z) (2 + z (σ(−z) − 2 t σ(z))) | \[−0.31, ∞) | – |
//! | [`HardTanh`] | min(max(z, −1), 1) | 1 if \|z\| < 1, else 0 | 0 | \[−1, 1] | – |
//! | [`Sine`] | sin z | cos z | −sin z | \[−1, 1] | – |
//! | [`Exponential`] | eᶻ | a | a | (0, ∞) | [`Poisson`] |
//! | [`Softmax`] | eᶻ / Σⱼ e^(zⱼ), over the units of an example | ∂aᵢ/∂zⱼ = aᵢ ([i = j] − aⱼ) | ∂²aᵢ/∂zⱼ∂zₖ = aᵢ ([i = j] − aⱼ) ([i = k] − aₖ) − aᵢ aⱼ ([j = k] − aₖ) | (0, 1), Σ = 1 | [`CategoricalCrossEntropy`] |
//!
//! The constants of [`Selu`] are λ = 1.0507009873554805 and α = 1.6732632423543772. At a kink the derivative is the
//! one from the left ([`Relu`]: 0, [`LeakyRelu`]: the slope, [`Elu`]: α), and at z = ±1 that of [`HardTanh`] is 0, as
//! in PyTorch. g″ is the one from the left too, unless the table says otherwise. No intermediate
//! result overflows or cancels: a (1 − a), for example, is computed from z, because 1 − a may round
//! to 0. Values and derivatives are right even at z = ±800, where only [`Exponential`] overflows,
//! as it must. NaN in gives NaN out.
//!
//! # Accuracy
//! In `f32` and `f64`, g, g′ and g″ of every elementwise activation are within 4 units in the last place
//! of the true value, on every processor. The unit is different in two cases. Near a root, where a
//! derivative is less than a quarter of the largest term of its formula, the unit is that of the
//! term. Below the smallest normal number, the unit is the spacing of the subnormal numbers. The
//! true value is the table's formula with exact constants: √(2/π) and 0.044715 are not rounded.
//! Other scalars, such as dual numbers, evaluate the table's formulas directly, without this
//! guarantee.
//!
//! Sources: ELU doi:10.48550/arXiv.1511.07289, SELU arXiv.1706.02515, GELU arXiv.1606.08415, SiLU
//! arXiv.1702.03118, Mish arXiv.1908.08681; the rest are older than their names.
//!
//! # An activation of your own
//! With the feature `num-dual` its value alone is enough (`from_fn`). Written out, for every scalar:
//! ```
//! use backprop::gradient_check::GradientCheck;
//! use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
//! use backprop::{Activation, AnyLayer, Builder, Dense, Network, Scalar, activation::Sigmoid};
//!
//! /// The bent identity: g(z) = (√(z² + 1) − 1)/2 + z.
//! #[derive(Clone, Debug, PartialEq)]
//! struct BentIdentity;
//!
//! impl<T: Scalar> Activation<T> for BentIdentity {
//!     fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
//!         let (one, two) = (T::one(), T::one() + T::one());
//!         a.zip_apply(&z, |a, z| *a = ((z * z + one).sqrt() - one) / two + z);
//!     }
//!
//!     fn backward(
//!         &self,
//!         z: DMatrixView<'_, T>,
//!         _a: DMatrixView<'_, T>,
//!         mut delta: DMatrixViewMut<'_, T>,
//!     ) {
//!         let (one, two) = (T::one(), T::one() + T::one());
//!         delta.zip_apply(&z, |d, z| *d *= z / (two * (z * z + one).sqrt()) + one);
//!     }
//! }
//!
//! // Prove it right, then use it beside the built-in ones.
//! let z = DMatrix::from_fn(3, 2, |i, j| i as f64 - j as f64 - 0.5);
//! GradientCheck::new().activation(&BentIdentity, &z)?.assert_passed();
//!
//! let network: Network<f64, AnyLayer<Dense<BentIdentity>>> = Builder::new(2)
//!     .layer(AnyLayer::Custom(Dense::new(2, 5, BentIdentity)))
//!     .dense(1, Sigmoid)
//!     .zeros()?;
//! assert_eq!(network.parameters(), 5 * 3 + 6);
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! Without its two tangent methods what goes along a direction, as a Hessian product, is a typed error. The feature `num-dual` writes them in a line each (the module `dual`), or takes the whole activation
//! as one closure (`from_fn`); [`GradientCheck::activation_tangents`](crate::GradientCheck::activation_tangents) proves them.
//!
//! [`SquaredError`]: crate::cost::SquaredError
//! [`Huber`]: crate::cost::Huber
//! [`LogCosh`]: crate::cost::LogCosh
//! [`BinaryCrossEntropy`]: crate::cost::BinaryCrossEntropy
//! [`CategoricalCrossEntropy`]: crate::cost::CategoricalCrossEntropy
//! [`Poisson`]: crate::cost::Poisson

mod builtin;
mod derivatives;
#[cfg(feature = "num-dual")]
mod from_fn;

use crate::cost::Link;
use crate::error::{Error, short_name, unsupported};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::any::type_name;
use std::fmt::Debug;

pub use builtin::AnyActivation;
pub use builtin::AnyActivation::{
    Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu, Selu, Sigmoid,
    Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
pub(crate) use builtin::Slope;
#[cfg(feature = "num-dual")]
pub use from_fn::{FromFn, from_fn};

/// A differentiable function a = g(z) of the units of one example, applied to every example.
///
/// Matrices are s × m, one example a column, and of equal shapes (with others an implementation may panic). All calls are on whole matrices, so that the dynamic dispatch of a
/// `Box<dyn Activation<T>>` is paid once a layer. The [module documentation](self) shows one of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activation for numbers of type `{T}`",
    label = "`Activation<{T}>` is not implemented for `{Self}`",
    note = "the built-in activations are in `backprop::activation`: `Sigmoid`, `Tanh`, `Relu`, …",
    note = "for a type of your own implement `forward` and `backward` of `Activation<{T}>`, best for every \
            `T: Scalar`; `activation::from_fn` (feature `num-dual`) takes g(z) alone"
)]
pub trait Activation<T: Scalar>: Debug + Send + Sync {
    /// a = g(z). Every entry of `a` must be written; what it held before is unspecified.
    ///
    /// Derivation: [(3)](crate::derivation#activation).
    fn forward(&self, z: DMatrixView<'_, T>, a: DMatrixViewMut<'_, T>);

    /// δ ← (∂a/∂z)ᵀ δ for every example: on entry `delta` is ∂cost/∂a, on return ∂cost/∂z.
    ///
    /// Derivation: [(11)](crate::derivation#recurrence), [(12)](crate::derivation#output-error-general) and [(13)](crate::derivation#recurrence-general).
    ///
    /// Elementwise functions multiply by g′(z); `a` = g(z) is there because many derivatives are cheaper from it.
    fn backward(&self, z: DMatrixView<'_, T>, a: DMatrixView<'_, T>, delta: DMatrixViewMut<'_, T>);

    /// The link function that this activation inverts, if a cost can make use of that (see [`Link`]).
    fn link(&self) -> Option<Link> {
        None
    }

    /// This activation as one of ours, if it is exactly that (see [`Layer::as_dense`](crate::Layer::as_dense)).
    fn as_builtin(&self) -> Option<AnyActivation> {
        None
    }

    /// Whether the activation's own constants are in their ranges; asked once, when a network is built.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] if a constant is out of range.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The name that tables print.
    fn name(&self) -> String {
        short_name(type_name::<Self>())
    }

    /// ȧ = (∂a/∂z) ż: the change of a along the direction ż (forward mode, for second-order methods).
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless the implementation provides it.
    fn forward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        a_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let _ = (z, a, z_tangent, a_tangent);
        Err(unsupported::<Self>("Activation::forward_tangent"))
    }

    /// The derivative of [`backward`](Self::backward) along (ż, δ̇): δ̇ ← (∂a/∂z)ᵀ δ̇ + (d(∂a/∂z)ᵀ/dt) δ, and δ ← (∂a/∂z)ᵀ δ.
    ///
    /// Derivation: [(30)](crate::derivation#backward-tangent).
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless the implementation provides it.
    fn backward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        delta: DMatrixViewMut<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let _ = (z, a, z_tangent, delta, delta_tangent);
        Err(unsupported::<Self>("Activation::backward_tangent"))
    }
}

/// Delegates every method.
impl<T: Scalar, A: Activation<T> + ?Sized> Activation<T> for Box<A> {
    fn forward(&self, z: DMatrixView<'_, T>, a: DMatrixViewMut<'_, T>) {
        (**self).forward(z, a);
    }

    fn backward(&self, z: DMatrixView<'_, T>, a: DMatrixView<'_, T>, delta: DMatrixViewMut<'_, T>) {
        (**self).backward(z, a, delta);
    }

    fn link(&self) -> Option<Link> {
        (**self).link()
    }

    fn as_builtin(&self) -> Option<AnyActivation> {
        (**self).as_builtin()
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        a_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        (**self).forward_tangent(z, a, z_tangent, a_tangent)
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        delta: DMatrixViewMut<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        (**self).backward_tangent(z, a, z_tangent, delta, delta_tangent)
    }
}
