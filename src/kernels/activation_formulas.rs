//! The activations of `f32` and `f64` with their derivatives, for one entry and without a branch.

use super::gelu;
use super::math;
use super::real::Real;

/// The activations with vectorised loops. The table of [`crate::activation`] has the formulas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FastActivation {
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu {
        slope: f64,
    },
    /// `positive` · z for z > 0, else `negative` · (eᶻ − 1): ELU and SELU.
    Elu {
        positive: f64,
        negative: f64,
    },
    Softplus,
    Softsign,
    Gelu,
    GeluTanh,
    Silu,
    Mish,
    HardTanh,
    Exponential,
}

/// Computes g(z), g′(z) and g″(z). The compiler drops a derivative that is not used.
pub(super) trait Formula<R>: Copy {
    /// Whether an entry costs so little that a tail is fastest entry by entry.
    const CHEAP: bool = false;

    /// Whether [`second`](Self::second) uses the result of [`first`](Self::first).
    const STAGED: bool = false;

    /// The first stage. It runs over many entries before the second stage does, because one long
    /// chain of operations would leave the processor waiting.
    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        z
    }

    /// The second stage: g, g′ and g″ from z and the result of the first.
    fn second<const FMA: bool>(self, z: R, first: R) -> (R, R, R);
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl<R: Real> Formula<R> for Sigmoid {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        math::scaled_exp_of_minus_size::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, scaled: R) -> (R, R, R) {
        let e = math::unscaled(scaled);
        let (a, opposite) = math::sigmoids_of_exp::<R, FMA>(z, e);
        let slope = a * opposite;
        // 1 − 2a cancels near 0; tanh does not.
        let (tanh, ..) = math::tanh_of_exp::<R, FMA>(R::HALF * z, e);
        let size = scaled * tanh.size() / math::square_of_1_plus::<R, FMA>(e);
        (a, slope, (size * R::SCALE.1).with_sign_of(-z))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl<R: Real> Formula<R> for Tanh {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        math::scaled_exp_of_minus_size::<R, FMA>(z + z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, scaled: R) -> (R, R, R) {
        let e = math::unscaled(scaled);
        let (a, slope) = math::tanh_of_exp::<R, FMA>(z, e);
        // 1 − a = 2e/(1 + e) recomputed as 2 (e − e e/(1 + e)), which avoids the quotient's
        // roundings for small e.
        let rest = R::ONE - a.size();
        let rest = if e < R::of(0.25) {
            (e + e) - e * rest
        } else {
            rest
        };
        let refined = if e < R::of(0.25) {
            rest * (R::TWO - rest)
        } else {
            slope
        };
        // For large |z| it is 8e, and a subnormal e has too few digits for that.
        let far = R::of(8.0) * scaled * R::SCALE.1;
        let size = if scaled < R::ONE {
            far
        } else {
            (a + a).size() * refined
        };
        (a, slope, size.with_sign_of(-z))
    }
}

/// z for z > 0, else `slope` · z.
#[derive(Clone, Copy)]
pub(super) struct LeakyRelu<R> {
    pub(super) slope: R,
}

impl<R: Real> Formula<R> for LeakyRelu<R> {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let a = if z > R::ZERO { z } else { self.slope * z };
        (
            a,
            by_sign(z, R::ONE, self.slope),
            by_sign(z, R::ZERO, R::ZERO),
        )
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl<R: Real> Formula<R> for Relu {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        // `z <= 0` is false for NaN, which `max` would swallow.
        let a = if z <= R::ZERO { R::ZERO } else { z };
        (a, by_sign(z, R::ONE, R::ZERO), by_sign(z, R::ZERO, R::ZERO))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Elu<R> {
    pub(super) positive: R,
    pub(super) negative: R,
}

impl<R: Real> Formula<R> for Elu<R> {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let below = if z > R::ZERO { R::ZERO } else { z };
        let (exp, exp_m1) = math::times_exp_and_exp_m1::<R, FMA>(self.negative, below);
        if z > R::ZERO {
            (self.positive * z, self.positive, R::ZERO)
        } else {
            (self.negative * exp_m1, exp, exp)
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl<R: Real> Formula<R> for Softplus {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        math::scaled_exp_of_minus_size::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, scaled: R) -> (R, R, R) {
        let e = math::unscaled(scaled);
        let (a, slope, opposite) = math::softplus_of_exp::<R, FMA>(z, e);
        (a, slope, slope * opposite)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softsign;

impl<R: Real> Formula<R> for Softsign {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let size = z.size();
        let under = R::ONE + size;
        let d = R::ONE / under;
        // The rounding error of `under`, which would enter three times.
        let lost = if size < R::ONE {
            (R::ONE - under) + size
        } else {
            (size - under) + R::ONE
        };
        let twice = (d + d) / (under * under);
        let bend = (R::of(-3.0) * lost * d).times_plus::<FMA>(twice, twice);
        // At 0, where it jumps from 2 to −2, it is 0.
        let bend = if z == R::ZERO {
            z
        } else {
            bend.with_sign_of(-z)
        };
        (z / under, d * d, bend)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl<R: Real> Formula<R> for Gelu {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        gelu::gelu::<R, FMA>(z)
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

impl<R: Real> Formula<R> for GeluTanh {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        gelu::gelu_tanh::<R, FMA>(z)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl<R: Real> Formula<R> for Silu {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        math::exp_m1_of_remainder::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, p: R) -> (R, R, R) {
        let power = math::power_of_minus_size::<R, FMA>(z);
        math::silu_of_exp::<R, FMA>(z, p, power)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Mish;

impl<R: Real> Formula<R> for Mish {
    const STAGED: bool = true;

    #[inline(always)]
    fn first<const FMA: bool>(self, z: R) -> R {
        math::exp_m1_of_remainder::<R, FMA>(z)
    }

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, p: R) -> (R, R, R) {
        let power = math::power_of_minus_size::<R, FMA>(z);
        math::mish_of_exp::<R, FMA>(z, p, power)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh;

impl<R: Real> Formula<R> for HardTanh {
    const CHEAP: bool = true;

    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let a = if z <= -R::ONE { -R::ONE } else { z };
        let a = if z >= R::ONE { R::ONE } else { a };
        let slope = if z.size() >= R::ONE { R::ZERO } else { z };
        let slope = if z.size() < R::ONE { R::ONE } else { slope };
        (a, slope, by_sign(z, R::ZERO, R::ZERO))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Exponential;

impl<R: Real> Formula<R> for Exponential {
    #[inline(always)]
    fn second<const FMA: bool>(self, z: R, _: R) -> (R, R, R) {
        let a = math::exp::<R, FMA>(z);
        (a, a, a)
    }
}

/// Returns `positive` for z > 0, `other` for z ≤ 0, and NaN for NaN.
#[inline(always)]
fn by_sign<R: Real>(z: R, positive: R, other: R) -> R {
    let rest = if z <= R::ZERO { other } else { z };
    if z > R::ZERO { positive } else { rest }
}
