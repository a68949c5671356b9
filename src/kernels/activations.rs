//! The activations of `f32` and `f64` with their derivatives, one entry at a time and without a branch.

use super::functions::{self, Real};
use crate::scalar::SATURATED;

/// The activations that vectorise; formulas and constants as in the table of [`crate::activation`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu {
        slope: f64,
    },
    /// p z for z > 0, else q (eᶻ − 1): ELU and SELU.
    Elu {
        positive: f64,
        negative: f64,
    },
    Softplus,
    Softsign,
    GeluTanh,
    Silu,
    Mish,
    HardTanh,
    Exponential,
}

/// g(z), g′(z) and g″(z). Where a derivative is not used, the compiler drops it.
pub(super) trait Activation<R>: Copy {
    /// Whether an entry costs so little that a tail is best done entry by entry.
    const CHEAP: bool = false;

    /// Whether [`second`](Self::second) makes use of the first stage.
    const STAGED: bool = false;

    /// The first stage, of many entries before their second: a loop over one long chain of operations alone waits for most of them.
    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        z
    }

    fn second<const FMA: bool>(self, z: R, first: R) -> (R, R, R);
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl<R: Real> Activation<R> for Sigmoid {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        functions::exp_of_minus_size::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R, R) {
        let (a, opposite) = functions::sigmoids_of_exp::<R, FMA>(z, e);
        let slope = a * opposite;
        (a, slope, slope * (opposite - a))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl<R: Real> Activation<R> for Tanh {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        functions::exp_of_minus_size::<R, FMA>(z + z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R, R) {
        let (a, slope) = functions::tanh_of_exp::<R, FMA>(z, e);
        (a, slope, -(a + a) * slope)
    }
}

/// z for z > 0, else `slope` · z.
#[derive(Clone, Copy)]
pub(super) struct LeakyRelu<R> {
    pub(super) slope: R,
}

impl<R: Real> Activation<R> for LeakyRelu<R> {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let a = if z > R::ZERO { z } else { self.slope * z };
        (a, step(z, R::ONE, self.slope), step(z, R::ZERO, R::ZERO))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl<R: Real> Activation<R> for Relu {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        // `z <= 0` is false for NaN, which `max` would swallow.
        let a = if z <= R::ZERO { R::ZERO } else { z };
        (a, step(z, R::ONE, R::ZERO), step(z, R::ZERO, R::ZERO))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Elu<R> {
    pub(super) positive: R,
    pub(super) negative: R,
}

impl<R: Real> Activation<R> for Elu<R> {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let below = if z > R::ZERO { R::ZERO } else { z };
        let (exp, exp_m1) = functions::exp_and_exp_m1::<R, FMA>(below);
        if z > R::ZERO {
            (self.positive * z, self.positive, R::ZERO)
        } else {
            let slope = self.negative * exp;
            (self.negative * exp_m1, slope, slope)
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl<R: Real> Activation<R> for Softplus {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        functions::exp_of_minus_size::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R, R) {
        let (a, slope, opposite) = functions::softplus_of_exp::<R, FMA>(z, e);
        (a, slope, slope * opposite)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softsign;

impl<R: Real> Activation<R> for Softsign {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let under = R::ONE + z.size();
        let d = R::ONE / under;
        // Between −2 and 2 at 0.
        let twice = if z == R::ZERO { z } else { -R::TWO };
        (z / under, d * d, (twice * (d * d * d)).with_sign_of(-z))
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

/// √(2/π) and the cubic coefficient.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBIC: f64 = 0.044_715;

impl<R: Real> Activation<R> for GeluTanh {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let square = z * z;
        let twice_u = R::of(2.0 * GELU_SCALE) * z * (R::ONE + R::of(GELU_CUBIC) * square);
        // σ is 0 or 1 for large |z|, and has been for long before z³ overflows.
        let end = R::of(1e4).with_sign_of(z);
        let saturated = z.size() > R::of(SATURATED);
        let argument = if saturated { end } else { twice_u };
        let (a, opposite) = functions::sigmoids::<R, FMA>(argument);
        let d = a * opposite;
        let inner = R::ONE + R::of(3.0 * GELU_CUBIC) * square;
        let slope = a + d * R::of(2.0 * GELU_SCALE) * inner * z;
        // (zσ)″ with σ of 2u: σ′ (2 (2u)′ + z ((σ(−2u) − σ(2u)) (2u)′² + (2u)″)).
        let rate = R::of(2.0 * GELU_SCALE) * inner;
        let change = R::of(12.0 * GELU_SCALE * GELU_CUBIC) * z;
        let bend = d * (rate + rate + z * ((opposite - a) * rate * rate + change));
        // Where σ′ is 0 the other terms are 0, although u′ may overflow.
        let flat = d == R::ZERO;
        (
            z * a,
            if flat { a } else { slope },
            if flat { d } else { bend },
        )
    }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl<R: Real> Activation<R> for Silu {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        functions::exp_of_minus_size::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R, R) {
        let (a, opposite) = functions::sigmoids_of_exp::<R, FMA>(z, e);
        let slope = a * (R::ONE + z * opposite);
        let bend = a * opposite * (R::TWO + z * (opposite - a));
        (z * a, slope, bend)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Mish;

impl<R: Real> Activation<R> for Mish {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        functions::exp_of_minus_size::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R, R) {
        functions::mish_of_exp::<R, FMA>(z, e)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh;

impl<R: Real> Activation<R> for HardTanh {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let a = if z <= -R::ONE { -R::ONE } else { z };
        let a = if z >= R::ONE { R::ONE } else { a };
        let slope = if z.size() >= R::ONE { R::ZERO } else { z };
        let slope = if z.size() < R::ONE { R::ONE } else { slope };
        (a, slope, step(z, R::ZERO, R::ZERO))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Exponential;

impl<R: Real> Activation<R> for Exponential {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let a = functions::exp::<R, FMA>(z);
        (a, a, a)
    }
}

/// `positive` for z > 0, `other` for z ≤ 0, and NaN for NaN.
#[inline(always)]
fn step<R: Real>(z: R, positive: R, other: R) -> R {
    let rest = if z <= R::ZERO { other } else { z };
    if z > R::ZERO { positive } else { rest }
}
