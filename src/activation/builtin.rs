//! The built-in activations. The module documentation has their formulas.

use super::Activation;
use crate::error::{Error, number, ranges::in_range};
use crate::kernels::plain_softmax;
use crate::kernels::squash::Squash;
use crate::kernels::{self, FastActivation, flat, flat_mut, map, runs, scale_by};
use crate::link::Link;
use crate::scalar::{SATURATED, Scalar, normal_cdf, real, sigmoid, softplus, tanh};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// λ and α of the SELU paper.
pub(super) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
pub(super) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// √(2/π), and the cubic coefficient of the tanh form of GELU.
pub(super) const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
pub(super) const GELU_CUBIC: f64 = 0.044_715;

/// The built-in activations. The [module documentation](super) has a table of their formulas.
///
/// The variants are re-exported, so you can write `dense(25, Sigmoid)`.
///
/// # Example
/// ```
/// use backprop::activation::{Activation, Sigmoid};
/// use backprop::nalgebra::DMatrix;
///
/// let z = DMatrix::from_row_slice(1, 3, &[0.0, 3.0_f64.ln(), -800.0]);
/// let mut a = DMatrix::zeros(1, 3);
/// Sigmoid.forward(z.as_view(), a.as_view_mut());
/// assert!((a - DMatrix::from_row_slice(1, 3, &[0.5, 0.75, 0.0])).amax() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum AnyActivation {
    /// a = z.
    #[doc(alias = "linear")]
    Identity,
    /// a = 1/(1 + e⁻ᶻ), the logistic function.
    ///
    /// Derivation: [(8)](crate::derivation#sigmoid-slope).
    #[doc(alias("logistic", "expit"))]
    Sigmoid,
    /// a = tanh z.
    Tanh,
    /// a = max(z, 0).
    Relu,
    /// a = z for z > 0, else `slope` · z.
    LeakyRelu {
        /// The slope for z < 0, a finite number. 0.01 is common.
        slope: f64,
    },
    /// a = z for z > 0, else α (eᶻ − 1).
    Elu {
        /// α, a finite number. 1 is common, and the only value without a kink at 0.
        alpha: f64,
    },
    /// Scaled ELU, with the constants λ and α of self-normalising networks.
    Selu,
    /// a = ln(1 + eᶻ).
    Softplus,
    /// a = z/(1 + |z|).
    Softsign,
    /// a = z Φ(z), the exact form and PyTorch's default.
    Gelu,
    /// a = z σ(2√(2/π)(z + 0.044715 z³)), the tanh form of [`Gelu`](Self::Gelu).
    GeluTanh,
    /// a = z σ(z), also known as swish.
    #[doc(alias = "Swish")]
    Silu,
    /// a = z tanh(ln(1 + eᶻ)).
    Mish,
    /// a = min(max(z, −1), 1).
    HardTanh,
    /// a = sin z.
    #[doc(alias("sin", "SIREN"))]
    Sine,
    /// a = eᶻ.
    #[doc(alias = "exp")]
    Exponential,
    /// aᵢ = e^(zᵢ)/Σⱼ e^(zⱼ), over the units of an example.
    ///
    /// Derivation: [(14)](crate::derivation#softmax).
    Softmax,
}

/// The source of g′(z) in a fused layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slope {
    /// g′ is 1.
    One,
    /// g′ is computed from a, which gives the same result as z.
    OfOutput,
    /// g′ is computed together with a and kept.
    Kept,
}

impl AnyActivation {
    /// Returns the vectorised version, if there is one. The identity does not need one.
    pub(crate) fn fast(self) -> Option<FastActivation> {
        use FastActivation as Fast;
        Some(match self {
            Self::Sigmoid => Fast::Sigmoid,
            Self::Tanh => Fast::Tanh,
            Self::Relu => Fast::Relu,
            Self::LeakyRelu { slope } => Fast::LeakyRelu { slope },
            Self::Elu { alpha } => Fast::Elu {
                positive: 1.0,
                negative: alpha,
            },
            Self::Selu => Fast::Elu {
                positive: SELU_SCALE,
                negative: SELU_SCALE * SELU_ALPHA,
            },
            Self::Softplus => Fast::Softplus,
            Self::Softsign => Fast::Softsign,
            Self::Gelu => Fast::Gelu,
            Self::GeluTanh => Fast::GeluTanh,
            Self::Silu => Fast::Silu,
            Self::Mish => Fast::Mish,
            Self::HardTanh => Fast::HardTanh,
            Self::Exponential => Fast::Exponential,
            Self::Identity | Self::Sine | Self::Softmax => return None,
        })
    }

    /// Returns the constants that outputs approach, with the formulas for them, if there are any.
    pub(crate) fn squash(self) -> Option<Squash> {
        Some(match self {
            Self::Sigmoid => Squash::Sigmoid,
            Self::Tanh => Squash::Tanh,
            Self::Softsign => Squash::Softsign,
            Self::Softmax => Squash::Softmax,
            Self::Exponential => Squash::Exponential,
            Self::Elu { alpha } => Squash::Elu { alpha },
            Self::Selu => Squash::Elu {
                alpha: SELU_SCALE * SELU_ALPHA,
            },
            _ => return None,
        })
    }

    /// Returns the source of g′ in a fused layer, or `None` if there is no fused layer.
    pub(crate) fn slope(self) -> Option<Slope> {
        match self {
            Self::Identity => Some(Slope::One),
            Self::Relu => Some(Slope::OfOutput),
            other => other.fast().map(|_| Slope::Kept),
        }
    }
}

impl<T: Scalar> Activation<T> for AnyActivation {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        let shape = z.shape();
        assert_eq!(shape, a.shape());
        if kernels::is_fast::<T>() {
            if let Some(fast) = self.fast() {
                return runs(z, a, |z, a| {
                    let done = kernels::apply(fast, z, a);
                    debug_assert!(done || a.is_empty());
                });
            }
            if let (Self::Softmax, Some(z), Some(a)) = (self, flat(&z), flat_mut(&mut a)) {
                a.copy_from_slice(z);
                let done = kernels::softmax(shape.0, a);
                debug_assert!(done || a.is_empty());
                return;
            }
        }
        let (zero, one) = (T::zero(), T::one());
        match *self {
            Self::Identity => a.copy_from(&z),
            Self::Sigmoid => map(z, a, sigmoid),
            Self::Tanh => map(z, a, tanh),
            // `z <= 0` is false for NaN, which `max` would swallow.
            Self::Relu => map(z, a, |z| if z <= zero { zero } else { z }),
            Self::LeakyRelu { slope } => {
                let slope: T = real(slope);
                map(z, a, |z| if z > zero { z } else { slope * z });
            }
            Self::Elu { alpha } => elu(z, a, one, real(alpha)),
            Self::Selu => elu(z, a, real(SELU_SCALE), real(SELU_SCALE * SELU_ALPHA)),
            Self::Softplus => map(z, a, softplus),
            Self::Softsign => map(z, a, |z| z / (one + z.abs())),
            Self::Gelu => map(z, a, |z| z * normal_cdf(z)),
            Self::GeluTanh => map(z, a, |z| z * sigmoid(gelu_tanh_argument(z))),
            Self::Silu => map(z, a, |z| z * sigmoid(z)),
            Self::Mish => map(z, a, |z| z * tanh_softplus(z).0),
            Self::HardTanh => map(z, a, |z| {
                if z <= -one {
                    -one
                } else if z >= one {
                    one
                } else {
                    z
                }
            }),
            Self::Sine => map(z, a, T::sin),
            Self::Exponential => map(z, a, T::exp),
            Self::Softmax => plain_softmax::softmax(z, a),
        }
    }

    fn backward(&self, z: DMatrixView<'_, T>, a: DMatrixView<'_, T>, delta: DMatrixViewMut<'_, T>) {
        assert_eq!((z.shape(), a.shape()), (delta.shape(), delta.shape()));
        if kernels::is_fast::<T>()
            && let Some(fast) = self.fast()
        {
            return runs(z, delta, |z, delta| {
                let done = kernels::scale_by_slope(fast, z, delta);
                debug_assert!(done || z.is_empty());
            });
        }
        match *self {
            Self::Identity => {}
            Self::Softmax => plain_softmax::times_jacobian(a, delta),
            g => scale_by(z, a, delta, |z, a| g.first_derivative(z, a)),
        }
    }

    fn as_builtin(&self) -> Option<AnyActivation> {
        Some(*self)
    }

    fn link(&self) -> Option<Link> {
        match self {
            Self::Identity => Some(Link::Identity),
            Self::Sigmoid => Some(Link::Logit),
            Self::Softmax => Some(Link::Softmax),
            Self::Exponential => Some(Link::Log),
            _ => None,
        }
    }

    fn validate(&self) -> Result<(), Error> {
        let (name, value) = match *self {
            Self::LeakyRelu { slope } => ("the slope of LeakyRelu", slope),
            Self::Elu { alpha } => ("the alpha of Elu", alpha),
            _ => return Ok(()),
        };
        in_range(real::<T>(value).is_finite(), name, value, "a finite number")
    }

    fn name(&self) -> String {
        match self {
            Self::LeakyRelu { slope } => format!("LeakyRelu({})", number(*slope)),
            Self::Elu { alpha } => format!("Elu({})", number(*alpha)),
            other => format!("{other:?}"),
        }
    }

    fn forward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        mut a_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        // ∂a/∂z is symmetric, for softmax too, and otherwise diagonal.
        a_tangent.copy_from(&z_tangent);
        self.backward(z, a, a_tangent);
        Ok(())
    }

    fn backward_tangent(
        &self,
        z: DMatrixView<'_, T>,
        a: DMatrixView<'_, T>,
        z_tangent: DMatrixView<'_, T>,
        delta: DMatrixViewMut<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        assert_eq!((z.shape(), a.shape()), (delta.shape(), delta.shape()));
        let shapes = (z_tangent.shape(), delta_tangent.shape());
        assert_eq!(shapes, (delta.shape(), delta.shape()));
        if *self == Self::Softmax {
            plain_softmax::times_jacobian_tangent(a, z_tangent, delta, delta_tangent);
            return Ok(());
        }
        if kernels::is_fast::<T>()
            && !self.is_piecewise_linear()
            && let Some(fast) = self.fast()
        {
            let mut delta = delta;
            for k in 0..z.ncols() {
                let (z, z_tangent) = (z.column(k), z_tangent.column(k));
                let (mut delta, mut moved) = (delta.column_mut(k), delta_tangent.column_mut(k));
                let done = kernels::backward_tangent_from_z(
                    fast,
                    z.as_slice(),
                    z_tangent.as_slice(),
                    delta.as_mut_slice(),
                    moved.as_mut_slice(),
                );
                debug_assert!(done || z.is_empty());
            }
            return Ok(());
        }
        self.backward(z, a, delta_tangent.as_view_mut());
        if !self.is_piecewise_linear() {
            for k in 0..z.ncols() {
                let (z_k, moved_k, delta_k) = (z.column(k), z_tangent.column(k), delta.column(k));
                let factors = moved_k.as_slice().iter().zip(delta_k.as_slice());
                let factors = z_k.as_slice().iter().zip(factors);
                let mut out_k = delta_tangent.column_mut(k);
                for (out, (&z, (&moved, &d))) in out_k.as_mut_slice().iter_mut().zip(factors) {
                    *out += self.second_derivative(z) * moved * d;
                }
            }
        }
        self.backward(z, a, delta);
        Ok(())
    }
}

/// a = p z for z > 0, else q (eᶻ − 1).
fn elu<T: Scalar>(z: DMatrixView<'_, T>, a: DMatrixViewMut<'_, T>, p: T, q: T) {
    map(z, a, |z| if z > T::zero() { p * z } else { q * z.exp_m1() });
}

/// Returns 2u = 2√(2/π)(z + 0.044715 z³), for which ½(1 + tanh u) = σ(2u).
#[inline]
pub(super) fn gelu_tanh_argument<T: Scalar>(z: T) -> T {
    if z.abs() > real(SATURATED) {
        // σ(2u) is 0 or 1 here, and z³ may overflow.
        return if z > T::zero() { real(1e4) } else { real(-1e4) };
    }
    real::<T>(2.0 * GELU_SCALE) * z * (T::one() + real::<T>(GELU_CUBIC) * z * z)
}

/// Returns t = tanh(ln(1 + eᶻ)) and 1 − t, computed from e^(−|z|).
#[inline]
pub(super) fn tanh_softplus<T: Scalar>(z: T) -> (T, T) {
    let one = T::one();
    let two = one + one;
    if z >= T::zero() {
        let n = (-z).exp();
        let d = one + two * n * (one + n);
        ((one + two * n) / d, two * n * n / d)
    } else {
        let e = z.exp();
        let n = e * (e + two);
        (n / (n + two), two / (n + two))
    }
}
