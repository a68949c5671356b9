//! g′ and g″ of the elementwise activations, for every scalar.

use super::AnyActivation;
use super::builtin::{
    GELU_CUBIC, GELU_SCALE, SELU_ALPHA, SELU_SCALE, gelu_tanh_argument, tanh_softplus,
};
use crate::scalar::{
    SATURATED, Scalar, normal_cdf, normal_pdf, real, sigmoid, sigmoid_derivative, sign, tanh,
};

impl AnyActivation {
    /// Returns g′(z), given a = g(z). It is NaN for softmax, which is not elementwise.
    #[inline]
    pub(super) fn first_derivative<T: Scalar>(self, z: T, a: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => one,
            Self::Sigmoid => sigmoid_derivative(z),
            // 1 − tanh² z = 4 σ′(2z).
            Self::Tanh => real::<T>(4.0) * sigmoid_derivative(z + z),
            Self::Relu => by_sign(z, one, zero),
            Self::LeakyRelu { slope } => by_sign(z, one, real(slope)),
            Self::Elu { alpha } => elu_derivative(z, one, real(alpha)),
            Self::Selu => elu_derivative(z, real(SELU_SCALE), real(SELU_SCALE * SELU_ALPHA)),
            Self::Softplus => sigmoid(z),
            Self::Softsign => {
                let d = one / (one + z.abs());
                d * d
            }
            Self::Gelu => normal_cdf(z) + z * normal_pdf(z),
            Self::GeluTanh => {
                let u = gelu_tanh_argument(z);
                let (p, pq) = (sigmoid(u), sigmoid_derivative(u));
                if pq == zero {
                    // Saturated: the second term is 0, although u′ may overflow.
                    return p;
                }
                let slope = one + real::<T>(3.0 * GELU_CUBIC) * z * z;
                p + pq * real::<T>(2.0 * GELU_SCALE) * slope * z
            }
            Self::Silu => sigmoid(z) * (one + z * sigmoid(-z)),
            Self::Mish => {
                let (t, one_minus_t) = tanh_softplus(z);
                t + z * one_minus_t * (one + t) * sigmoid(z)
            }
            Self::HardTanh => {
                if z > -one && z < one {
                    one
                } else if z <= -one || z >= one {
                    zero
                } else {
                    z
                }
            }
            Self::Sine => z.cos(),
            Self::Exponential => a,
            Self::Softmax => real(f64::NAN),
        }
    }

    /// Returns whether g″ is 0 wherever it exists.
    pub(super) fn is_piecewise_linear(self) -> bool {
        matches!(
            self,
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } | Self::HardTanh
        )
    }

    /// Returns g″(z), from the left at a kink. It is NaN for softmax, which is not elementwise.
    ///
    /// σ(−z) − σ(z) is computed as −tanh(z/2), which does not cancel near 0.
    #[inline]
    pub(crate) fn second_derivative<T: Scalar>(self, z: T) -> T {
        let (zero, one, half) = (T::zero(), T::one(), real::<T>(0.5));
        let two = one + one;
        match self {
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } | Self::HardTanh => zero,
            Self::Sigmoid => -sigmoid_derivative(z) * tanh(z * half),
            Self::Tanh => real::<T>(-8.0) * tanh(z) * sigmoid_derivative(z + z),
            Self::Elu { alpha } => elu_derivative(z, zero, real(alpha)),
            Self::Selu => elu_derivative(z, zero, real(SELU_SCALE * SELU_ALPHA)),
            Self::Softplus => sigmoid_derivative(z),
            Self::Softsign => {
                let d = one / (one + z.abs());
                -two * sign(z) * d * d * d
            }
            // z² would overflow long after φ(z) is 0.
            Self::Gelu if z.abs() > real(SATURATED) => zero,
            Self::Gelu => normal_pdf(z) * (two - z * z),
            Self::GeluTanh => {
                // a = z σ(v), a″ = 2σ′ v′ + z (σ″ v′² + σ′ v″), σ″(v) = −σ′(v) tanh(v/2).
                let v = gelu_tanh_argument(z);
                let pq = sigmoid_derivative(v);
                if pq == zero {
                    return zero;
                }
                let scale: T = real(2.0 * GELU_SCALE);
                let square = real::<T>(3.0 * GELU_CUBIC) * z * z;
                let slope = scale * (one + square);
                // z v″ = 2 · scale · square.
                pq * (two * (slope + scale * square) - z * slope * slope * tanh(v * half))
            }
            Self::Silu => sigmoid_derivative(z) * (two - z * tanh(z * half)),
            Self::Mish => {
                // With t′ = (1 − t²) σ: a″ = 2t′ + z t″, t″ = t′ (σ(−z) − 2 t σ).
                let (t, one_minus_t) = tanh_softplus(z);
                let p = sigmoid(z);
                one_minus_t * (one + t) * p * (two + z * (sigmoid(-z) - two * t * p))
            }
            Self::Sine => -z.sin(),
            Self::Exponential => z.exp(),
            Self::Softmax => real(f64::NAN),
        }
    }
}

/// Returns `positive` for z > 0, `other` for z ≤ 0, and NaN for NaN.
#[inline]
fn by_sign<T: Scalar>(z: T, positive: T, other: T) -> T {
    if z > T::zero() {
        positive
    } else if z <= T::zero() {
        other
    } else {
        z
    }
}

/// Returns p for z > 0, else q eᶻ.
#[inline]
fn elu_derivative<T: Scalar>(z: T, p: T, q: T) -> T {
    if z > T::zero() { p } else { q * z.exp() }
}
