//! Activations a = g(z): the trait and the 17 built-in activations.
//!
//! Here σ(z) = 1/(1 + e⁻ᶻ) is the logistic function, with σ′(z) = σ(z) σ(−z). Φ and φ are the
//! distribution function and the density of the standard normal distribution. A canonical cost is
//! computed from z, and so stays accurate ([canonical pairs](crate::cost#canonical-pairs)).
//!
//! | [`AnyActivation`] | g(z) | range | canonical cost |
//! |---|---|---|---|
//! | [`Identity`] | z | ℝ | [`SquaredError`], [`Huber`], [`LogCosh`] |
//! | [`Sigmoid`] | σ(z) | (0, 1) | [`BinaryCrossEntropy`] |
//! | [`Tanh`] | tanh z | (−1, 1) | – |
//! | [`Relu`] | max(z, 0) | \[0, ∞) | – |
//! | [`LeakyRelu`] | z if z > 0, else slope · z | ℝ | – |
//! | [`Elu`] | z if z > 0, else α (eᶻ − 1) | (−α, ∞) | – |
//! | [`Selu`] | λ z if z > 0, else λ α (eᶻ − 1) | (−λα, ∞) | – |
//! | [`Softplus`] | ln(1 + eᶻ) | (0, ∞) | – |
//! | [`Softsign`] | z/(1 + \|z\|) | (−1, 1) | – |
//! | [`Gelu`] | z Φ(z) | \[−0.1700, ∞) | – |
//! | [`GeluTanh`] | z σ(v), v = 2√(2/π) (z + 0.044715 z³) | \[−0.1701, ∞) | – |
//! | [`Silu`] | z σ(z) | \[−0.2785, ∞) | – |
//! | [`Mish`] | z t, t = tanh(ln(1 + eᶻ)) | \[−0.3089, ∞) | – |
//! | [`HardTanh`] | min(max(z, −1), 1) | \[−1, 1] | – |
//! | [`Sine`] | sin z | \[−1, 1] | – |
//! | [`Exponential`] | eᶻ | (0, ∞) | [`Poisson`] |
//! | [`Softmax`] | aᵢ = e^(zᵢ)/Σⱼ e^(zⱼ), over the units of an example | (0, 1), Σ aᵢ = 1 | [`CategoricalCrossEntropy`] |
//!
//! The constants of [`Selu`] are λ = 1.0507009873554805 and α = 1.6732632423543772. The minima of
//! [`Gelu`], [`GeluTanh`], [`Silu`] and [`Mish`] are rounded down to four digits.
//!
//! # Derivatives
//! The formulas use a = g(z) where that is shorter. \[i = j] is 1 if i = j, else 0.
//!
//! | | g′(z) | g″(z) |
//! |---|---|---|
//! | [`Identity`] | 1 | 0 |
//! | [`Sigmoid`] | a (1 − a) | −g′ tanh(z/2) |
//! | [`Tanh`] | 1 − a² | −2 a g′ |
//! | [`Relu`] | 1 if z > 0, else 0 | 0 |
//! | [`LeakyRelu`] | 1 if z > 0, else slope | 0 |
//! | [`Elu`] | 1 if z > 0, else α eᶻ | 0 if z > 0, else α eᶻ |
//! | [`Selu`] | λ if z > 0, else λ α eᶻ | 0 if z > 0, else λ α eᶻ |
//! | [`Softplus`] | σ(z) | σ′(z) |
//! | [`Softsign`] | 1/(1 + \|z\|)² | −2 sign(z)/(1 + \|z\|)³, and 0 at 0 |
//! | [`Gelu`] | Φ(z) + z φ(z) | φ(z) (2 − z²) |
//! | [`GeluTanh`] | σ(v) + z σ′(v) v′ | σ′(v) (2v′ + z v″ − z v′² tanh(v/2)) |
//! | [`Silu`] | σ(z) + z σ′(z) | σ′(z) (2 − z tanh(z/2)) |
//! | [`Mish`] | t + z t′, t′ = (1 − t²) σ(z) | t′ (2 + z (σ(−z) − 2 t σ(z))) |
//! | [`HardTanh`] | 1 if \|z\| < 1, else 0 | 0 |
//! | [`Sine`] | cos z | −sin z |
//! | [`Exponential`] | a | a |
//! | [`Softmax`] | ∂aᵢ/∂zⱼ = aᵢ ([i = j] − aⱼ) | ∂²aᵢ/∂zⱼ∂zₖ = aᵢ ([i = j] − aⱼ) ([i = k] − aₖ) − aᵢ aⱼ ([j = k] − aₖ) |
//!
//! At a kink, g′ and g″ are the derivatives from the left, unless the table states otherwise: at 0,
//! g′ is 0 for [`Relu`], the slope for [`LeakyRelu`] and α for [`Elu`]. For [`HardTanh`], g′ is 0
//! at z = ±1. PyTorch does the same.
//!
//! # Accuracy
//! No intermediate result overflows or cancels. For example, a (1 − a) is computed from z, because
//! 1 − a may round to 0. Values and derivatives are accurate even at z = ±800, where only
//! [`Exponential`] overflows. A NaN input gives a NaN output.
//!
//! In `f32` and `f64`, g, g′ and g″ of every elementwise activation are within 4 units in the last
//! place of the true value, on every processor. The unit is different in two cases. Near a root,
//! where a derivative is less than a quarter of the largest term of its formula, the unit is that
//! of the term. Below the smallest normal number, the unit is the spacing of the subnormal numbers.
//! The true value is the table's formula with exact constants: √(2/π) and 0.044715 are not rounded.
//! Other scalars, such as dual numbers, evaluate the table's formulas directly, without this
//! guarantee.
//!
//! # Sources
//! ELU arXiv:1511.07289, SELU arXiv:1706.02515, GELU arXiv:1606.08415, SiLU arXiv:1702.03118, Mish
//! arXiv:1908.08681. The others are older than their names.
//!
//! # Custom activations
//! With the feature `num-dual`, a closure that computes g is enough: see `from_fn`. Without it,
//! implement [`Activation`]:
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
//! // Check it, then use it together with the built-in ones.
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
//! Derivatives along a direction, such as Hessian products, need the two tangent methods, and
//! return [`Error::Unsupported`] without them. The module `dual` (feature `num-dual`) implements
//! each method in one line, and
//! [`GradientCheck::activation_tangents`](crate::GradientCheck::activation_tangents) checks them.
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

use crate::error::{Error, short_name, unsupported};
use crate::link::Link;
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
/// All matrices in a call are s × m, for s units and m examples. If their shapes differ, an
/// implementation may panic. Calls take whole matrices, so a `Box<dyn Activation<T>>` costs one
/// dynamic dispatch per layer. The [module documentation](self) has an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activation for numbers of type `{T}`",
    label = "`Activation<{T}>` is not implemented for `{Self}`",
    note = "the built-in activations are in `backprop::activation`: `Sigmoid`, `Tanh`, `Relu`, …",
    note = "for a custom type, implement `forward` and `backward` of `Activation<{T}>`, \
            preferably for every `T: Scalar`; `activation::from_fn` (feature \
            `num-dual`) needs only g(z)"
)]
pub trait Activation<T: Scalar>: Debug + Send + Sync {
    /// Writes a = g(z). It must write every entry of `a`, whose previous contents are unspecified.
    ///
    /// Derivation: [(3)](crate::derivation#activation).
    fn forward(&self, z: DMatrixView<'_, T>, a: DMatrixViewMut<'_, T>);

    /// Replaces ∂cost/∂a in `delta` by ∂cost/∂z: δ ← (∂a/∂z)ᵀ δ for every example.
    ///
    /// An elementwise function multiplies by g′(z). `a` is g(z), from which many derivatives are
    /// cheaper to compute.
    ///
    /// Derivation: [(11)](crate::derivation#recurrence),
    /// [(12)](crate::derivation#output-error-general) and
    /// [(13)](crate::derivation#recurrence-general).
    fn backward(&self, z: DMatrixView<'_, T>, a: DMatrixView<'_, T>, delta: DMatrixViewMut<'_, T>);

    /// Returns the link function that this activation inverts, if a cost may use it: see [`Link`].
    /// A custom activation may keep the default, `None`.
    fn link(&self) -> Option<Link> {
        None
    }

    /// Returns the built-in activation to which this one is identical, if there is one.
    ///
    /// A [`Dense`](crate::Dense) layer then computes it with fused kernels, and calls neither
    /// `forward` nor `backward` where it does not need z. An activation that wraps a built-in one
    /// and changes its behaviour must keep the default.
    fn as_builtin(&self) -> Option<AnyActivation> {
        None
    }

    /// Checks the constants of this activation. A builder calls this method once, when it builds a
    /// network.
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

    /// Writes ȧ = (∂a/∂z) ż, the change of a along the direction ż.
    ///
    /// Second-order derivatives need this method (forward mode).
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] unless the implementation provides it.
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

    /// Differentiates [`backward`](Self::backward) along the direction (ż, δ̇).
    ///
    /// Writes δ̇ ← (∂a/∂z)ᵀ δ̇ + (d(∂a/∂z)ᵀ/dt) δ, then δ ← (∂a/∂z)ᵀ δ. Here z changes with t
    /// at the rate ż: for an elementwise function, these are g′ δ̇ + g″ ż δ and g′ δ.
    ///
    /// Derivation: [(30)](crate::derivation#backward-tangent).
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] unless the implementation provides it.
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

/// Delegates every method to the boxed activation.
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
