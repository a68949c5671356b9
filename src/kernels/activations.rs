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

/// g(z) and g′(z). Where the derivative is not used, the compiler drops it.
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

    fn second<const FMA: bool>(self, z: R, first: R) -> (R, R);
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
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R) {
        let (a, opposite) = functions::sigmoids_of_exp::<R, FMA>(z, e);
        (a, a * opposite)
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
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R) {
        functions::tanh_of_exp::<R, FMA>(z, e)
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
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        let a = if z > R::ZERO { z } else { self.slope * z };
        (a, step(z, R::ONE, self.slope))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl<R: Real> Activation<R> for Relu {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        // `z <= 0` is false for NaN, which `max` would swallow.
        let a = if z <= R::ZERO { R::ZERO } else { z };
        (a, step(z, R::ONE, R::ZERO))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Elu<R> {
    pub(super) positive: R,
    pub(super) negative: R,
}

impl<R: Real> Activation<R> for Elu<R> {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        let below = if z > R::ZERO { R::ZERO } else { z };
        let (exp, exp_m1) = functions::exp_and_exp_m1::<R, FMA>(below);
        if z > R::ZERO {
            (self.positive * z, self.positive)
        } else {
            (self.negative * exp_m1, self.negative * exp)
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
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R) {
        functions::softplus_of_exp::<R, FMA>(z, e)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softsign;

impl<R: Real> Activation<R> for Softsign {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        let under = R::ONE + z.size();
        let d = R::ONE / under;
        (z / under, d * d)
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

/// √(2/π) and the cubic coefficient.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBIC: f64 = 0.044_715;

impl<R: Real> Activation<R> for GeluTanh {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
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
        // Where σ′ is 0 the second term is 0, although u′ may overflow.
        (z * a, if d == R::ZERO { a } else { slope })
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
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R) {
        let (a, opposite) = functions::sigmoids_of_exp::<R, FMA>(z, e);
        (z * a, a * (R::ONE + z * opposite))
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
    fn second<const FMA: bool>(self, z: R, e: R) -> (R, R) {
        functions::mish_of_exp::<R, FMA>(z, e)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh;

impl<R: Real> Activation<R> for HardTanh {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        let a = if z <= -R::ONE { -R::ONE } else { z };
        let a = if z >= R::ONE { R::ONE } else { a };
        let slope = if z.size() >= R::ONE { R::ZERO } else { z };
        (a, if z.size() < R::ONE { R::ONE } else { slope })
    }
}

#[derive(Clone, Copy)]
pub(super) struct Exponential;

impl<R: Real> Activation<R> for Exponential {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R) {
        let a = functions::exp::<R, FMA>(z);
        (a, a)
    }
}

/// `positive` for z > 0, `other` for z ≤ 0, and NaN for NaN.
#[inline(always)]
fn step<R: Real>(z: R, positive: R, other: R) -> R {
    let rest = if z <= R::ZERO { other } else { z };
    if z > R::ZERO { positive } else { rest }
}
