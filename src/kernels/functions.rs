//! The functions behind activations and costs for `f32` and `f64`, written so that loops over them vectorise: no
//! branch, no call, no table; where two formulas are needed both are computed and one is selected.
//!
//! All are accurate to about 2 units in the last place, with and without fused multiplication. `FMA` must be true
//! only where the processor has the instruction: elsewhere `mul_add` is a slow call.

use crate::scalar::Scalar;

/// `f32` and `f64`: bit patterns, and the constants and polynomials of each precision.
pub(super) trait Real: Scalar {
    /// Entries of a register of 512 bits.
    const WIDTH: usize;
    const ZERO: Self;
    const ONE: Self;
    const TWO: Self;
    const HALF: Self;
    const INFINITY: Self;
    /// 1/ln 2, and ln 2 in two parts; the first times an exponent is exact.
    const LOG2_E: Self;
    const LN_2: (Self, Self);
    /// 1.5 · 2ᵖ for p fraction bits: adding it rounds to an integer, which is then in the low bits.
    const ROUND: Self;
    /// Below the first eˣ rounds to 0, above the second it overflows.
    const EXP_RANGE: (Self, Self);
    /// q with eʳ = 1 + r + r² q(r) for |r| ≤ ½ ln 2, from the highest power down, as all that follow.
    const EXP: &'static [Self];
    /// p with ln((1 + s)/(1 − s)) = 2s + s³ p(s²) for |s| ≤ 0.2.
    const LN: &'static [Self];
    /// p and q with tanh z = z + z³ p(z²)/q(z²) for |z| ≤ 0.625.
    const TANH: (&'static [Self], &'static [Self]);

    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// self · b + c, rounded once if `FMA`.
    fn times_plus<const FMA: bool>(self, b: Self, c: Self) -> Self;
    /// |self|, without touching the other bits of a NaN.
    fn size(self) -> Self;
    /// |self| with the sign of `sign`.
    fn with_sign_of(self, sign: Self) -> Self;
    /// 2ᵏ from [`ROUND`](Self::ROUND) + k, for the k of normal numbers.
    fn power_of_two(rounded: Self) -> Self;
    /// k and 2⁻ᵏ such that 2⁻ᵏ · self is in [0.75, 1.5), for normal numbers from above 0 to 2¹⁰⁰.
    fn exponent(self) -> (Self, Self);
}

impl Real for f64 {
    const WIDTH: usize = 8;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const HALF: Self = 0.5;
    const INFINITY: Self = Self::INFINITY;
    const LOG2_E: Self = std::f64::consts::LOG2_E;
    const LN_2: (Self, Self) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
    const ROUND: Self = 6_755_399_441_055_744.0;
    const EXP_RANGE: (Self, Self) = (-746.0, 710.0);
    const EXP: &'static [Self] = &[
        2.499_785_941_815_406_8e-8,
        2.762_973_572_619_039e-7,
        2.755_759_206_535_594e-6,
        2.480_149_473_576_305e-5,
        1.984_126_950_224_254_6e-4,
        1.388_888_894_178_645_6e-3,
        8.333_333_333_495_067e-3,
        4.166_666_666_653_867e-2,
        1.666_666_666_666_641_6e-1,
        5.000_000_000_000_009e-1,
    ];
    const LN: &'static [Self] = &[
        1.380_631_249_642_652_6e-1,
        1.317_975_088_920_361_5e-1,
        1.539_069_036_892_538_3e-1,
        1.818_168_105_666_073_4e-1,
        2.222_222_399_013_805e-1,
        2.857_142_855_923_137e-1,
        4.000_000_000_003_79e-1,
        6.666_666_666_666_663e-1,
    ];
    const TANH: (&'static [Self], &'static [Self]) = (
        &[
            -9.643_991_794_250_523e-1,
            -9.928_772_310_019_185e1,
            -1.614_687_684_417_084_5e3,
        ],
        &[
            1.0,
            1.128_116_784_916_329_3e2,
            2.235_488_390_601_004_4e3,
            4.844_063_053_251_255e3,
        ],
    );

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn times_plus<const FMA: bool>(self, b: Self, c: Self) -> Self {
        if FMA {
            self.mul_add(b, c)
        } else {
            self * b + c
        }
    }

    #[inline(always)]
    fn size(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn with_sign_of(self, sign: Self) -> Self {
        self.copysign(sign)
    }

    #[inline(always)]
    fn power_of_two(rounded: Self) -> Self {
        Self::from_bits((rounded.to_bits() << 52).wrapping_add(1023 << 52))
    }

    #[inline(always)]
    fn exponent(self) -> (Self, Self) {
        const TO_INTEGER: f64 = 4_503_599_627_370_496.0;
        // The exponent of x/0.75, whose own bits are those of x but for the exponent and the top bit of the fraction.
        let bits = self
            .to_bits()
            .wrapping_add(Self::ONE.to_bits() - 0.75_f64.to_bits());
        let k = Self::from_bits(bits >> 52 | TO_INTEGER.to_bits()) - (TO_INTEGER + 1023.0);
        let scale = (2046_u64 << 52).wrapping_sub(bits & 0x7ff << 52);
        (k, Self::from_bits(scale))
    }
}

impl Real for f32 {
    const WIDTH: usize = 16;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const HALF: Self = 0.5;
    const INFINITY: Self = Self::INFINITY;
    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const LN_2: (Self, Self) = (0.693_145_75, 1.428_606_8e-6);
    const ROUND: Self = 12_582_912.0;
    const EXP_RANGE: (Self, Self) = (-104.5, 89.0);
    const EXP: &'static [Self] = &[
        1.381_458e-3,
        8.368_745e-3,
        4.166_839e-2,
        1.666_652_1e-1,
        4.999_999_4e-1,
    ];
    const LN: &'static [Self] = &[3.036_528_2e-1, 3.995_760_6e-1, 6.666_695e-1];
    const TANH: (&'static [Self], &'static [Self]) = (
        &[
            -5.704_541_7e-3,
            2.063_870_6e-2,
            -5.373_960_4e-2,
            1.333_144_1e-1,
            -3.333_328e-1,
        ],
        &[1.0],
    );

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn times_plus<const FMA: bool>(self, b: Self, c: Self) -> Self {
        if FMA {
            self.mul_add(b, c)
        } else {
            self * b + c
        }
    }

    #[inline(always)]
    fn size(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn with_sign_of(self, sign: Self) -> Self {
        self.copysign(sign)
    }

    #[inline(always)]
    fn power_of_two(rounded: Self) -> Self {
        Self::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
    }

    #[inline(always)]
    fn exponent(self) -> (Self, Self) {
        const TO_INTEGER: f32 = 8_388_608.0;
        let bits = self
            .to_bits()
            .wrapping_add(Self::ONE.to_bits() - 0.75_f32.to_bits());
        let k = Self::from_bits(bits >> 23 | TO_INTEGER.to_bits()) - (TO_INTEGER + 127.0);
        let scale = (254_u32 << 23).wrapping_sub(bits & 0xff << 23);
        (k, Self::from_bits(scale))
    }
}

/// Σ cᵢ xⁱ: Horner's rule for the even and for the odd powers, side by side.
#[inline(always)]
fn polynomial<R: Real, const FMA: bool>(coefficients: &[R], x: R) -> R {
    let &[first, second, ref rest @ ..] = coefficients else {
        return coefficients[0];
    };
    let square = x * x;
    // Each pair is a step of both; a last single one is a step of one of them, which then ends in the power 0.
    let (pairs, last) = rest.as_chunks::<2>();
    let (p, q) = pairs.iter().fold((first, second), |(p, q), &[c, d]| {
        (
            p.times_plus::<FMA>(square, c),
            q.times_plus::<FMA>(square, d),
        )
    });
    match last {
        [] => p.times_plus::<FMA>(x, q),
        [c, ..] => q.times_plus::<FMA>(x, p.times_plus::<FMA>(square, *c)),
    }
}

/// eʳ − 1 and two powers of two whose product times eʳ is eˣ: one alone could not reach the subnormal numbers.
#[inline(always)]
fn exp_parts<R: Real, const FMA: bool>(x: R) -> (R, R, R) {
    let rounded = x.times_plus::<FMA>(R::LOG2_E, R::ROUND);
    let k = rounded - R::ROUND;
    // r is exact as a sum of two; only the polynomial takes it rounded.
    let high = k.times_plus::<FMA>(-R::LN_2.0, x);
    let r = k.times_plus::<FMA>(-R::LN_2.1, high);
    let rest = (r * r) * polynomial::<R, FMA>(R::EXP, r);
    let p = high + k.times_plus::<FMA>(-R::LN_2.1, rest);
    let half = k.times_plus::<FMA>(R::HALF, R::ROUND);
    let other_half = rounded - (half - R::ROUND);
    (p, R::power_of_two(half), R::power_of_two(other_half))
}

/// x, but not below `low`; NaN stays, which `max` would swallow.
#[inline(always)]
fn at_least<R: Real>(low: R, x: R) -> R {
    if x < low { low } else { x }
}

/// eˣ.
#[inline(always)]
pub(super) fn exp<R: Real, const FMA: bool>(x: R) -> R {
    let (_, high) = R::EXP_RANGE;
    exp_below::<R, FMA>(if x > high { high } else { x })
}

/// eˣ for x that cannot overflow.
#[inline(always)]
pub(super) fn exp_below<R: Real, const FMA: bool>(x: R) -> R {
    let (p, scale, other) = exp_parts::<R, FMA>(at_least(R::EXP_RANGE.0, x));
    (R::ONE + p) * scale * other
}

/// eˣ and eˣ − 1 for x ≤ 0.
#[inline(always)]
pub(super) fn exp_and_exp_m1<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let (p, scale, other) = exp_parts::<R, FMA>(at_least(R::EXP_RANGE.0, x));
    let whole = scale * other;
    (
        (R::ONE + p) * scale * other,
        whole.times_plus::<FMA>(p, whole - R::ONE),
    )
}

/// ln(base + x) for a base of 0 or 1 and a sum that is normal and at most 2¹⁰⁰: with 1 the digits of a small x,
/// of either sign, all count.
#[inline(always)]
pub(super) fn ln_of_sum<R: Real, const FMA: bool>(base: R, x: R) -> R {
    let (k, scale) = (base + x).exponent();
    // Exact, as the sum is not: the range [0.75, 1.5) is such that only a sum in [0.75, 1.5) has rounded.
    let f = x.times_plus::<FMA>(scale, base * scale - R::ONE);
    let s = f / (R::TWO + f);
    let z = s * s;
    let rest = z * polynomial::<R, FMA>(R::LN, z);
    let half_square = R::HALF * f * f;
    let low = s.times_plus::<FMA>(half_square + rest, k * R::LN_2.1);
    k.times_plus::<FMA>(R::LN_2.0, f - (half_square - low))
}

/// e^(−|z|), which all that follow can be computed from.
#[inline(always)]
pub(super) fn exp_of_minus_size<R: Real, const FMA: bool>(z: R) -> R {
    exp_below::<R, FMA>(-z.size())
}

/// σ(z) and σ(−z), of which neither cancels, with the exponential of −|z| alone.
#[inline(always)]
pub(super) fn sigmoids<R: Real, const FMA: bool>(z: R) -> (R, R) {
    let e = exp_below::<R, FMA>(-z.size());
    sigmoids_of_exp::<R, FMA>(z, e)
}

/// [`sigmoids`] from e = e^(−|z|).
#[inline(always)]
pub(super) fn sigmoids_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R) {
    let positive = z >= R::ZERO;
    let quotient = (if positive { R::ONE } else { e }) / (R::ONE + e);
    // a = e (1 − a), in which the rounding of 1 + e hardly counts if e is small.
    let refined = (-e).times_plus::<FMA>(quotient, e);
    let below = if e < R::HALF { refined } else { quotient };
    let a = if positive { quotient } else { below };
    // 1 − a, for z ≥ 0 as e/(1 + e); for z < 0 there is a ≤ ½.
    let opposite = if positive { e * a } else { R::ONE - a };
    (a, opposite)
}

/// tanh z and 1 − tanh² z from e = e^(−2|z|).
#[inline(always)]
pub(super) fn tanh_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R) {
    let size = z.size();
    let square = size * size;
    let (p, q) = R::TANH;
    let small = size < R::of(0.625);
    // z + z³ p/q for small z, else 1 − 2e/(1 + e): in one division.
    let over = if small {
        size * square * polynomial::<R, FMA>(p, square)
    } else {
        -(e + e)
    };
    let under = if small {
        polynomial::<R, FMA>(q, square)
    } else {
        R::ONE + e
    };
    let quotient = over / under;
    let a = (if small { size } else { R::ONE }) + quotient;
    // (1 − a)(1 + a), where 1 − a does not cancel if it is the quotient.
    let rest = if small { R::ONE - a } else { -quotient };
    (a.with_sign_of(z), rest * (R::TWO - rest))
}

/// ln(1 + eᶻ), its derivative σ(z), and σ(−z), from e = e^(−|z|).
#[inline(always)]
pub(super) fn softplus_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R, R) {
    let positive = if z > R::ZERO { z } else { R::ZERO };
    let value = positive + ln_of_sum::<R, FMA>(R::ONE, e);
    let (slope, opposite) = sigmoids_of_exp::<R, FMA>(z, e);
    (value, slope, opposite)
}

/// z tanh(ln(1 + eᶻ)) with its first and second derivative from e = e^(−|z|).
#[inline(always)]
pub(super) fn mish_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R, R) {
    // t = tanh(ln(1 + eᶻ)) and 1 − t as fractions of one denominator, from e^(−|z|).
    let positive = z >= R::ZERO;
    let n = e * (e + R::TWO);
    let twice = e + e;
    let under = if positive {
        R::ONE + twice * (R::ONE + e)
    } else {
        n + R::TWO
    };
    let t = (if positive { R::ONE + twice } else { n }) / under;
    let rest = (if positive { twice * e } else { R::TWO }) / under;
    let (s, opposite) = sigmoids_of_exp::<R, FMA>(z, e);
    let slope = t + z * rest * (R::ONE + t) * s;
    // t′ = (1 − t²) σ, t″ = t′ (σ(−z) − 2 t σ), and (z t)″ = 2 t′ + z t″.
    let rate = rest * (R::ONE + t) * s;
    let bend = rate * (R::TWO + z * (opposite - R::TWO * t * s));
    (z * t, slope, bend)
}

/// −y ln σ(z) − (1 − y) ln(1 − σ(z)) = max(z, 0) − y z + ln(1 + e^(−|z|)).
#[inline(always)]
pub(super) fn cross_entropy<R: Real, const FMA: bool>(z: R, y: R) -> R {
    let e = exp_below::<R, FMA>(-z.size());
    let factor = if z > R::ZERO { R::ONE - y } else { -y };
    factor.times_plus::<FMA>(z, ln_of_sum::<R, FMA>(R::ONE, e))
}

/// σ(z) − y from the side on which σ does not round to 1: (1 − y) − σ(−z) for z > 0.
#[inline(always)]
pub(super) fn cross_entropy_delta<R: Real, const FMA: bool>(z: R, y: R) -> R {
    let e = exp_below::<R, FMA>(-z.size());
    let s = e / (R::ONE + e);
    if z > R::ZERO { (R::ONE - y) - s } else { s - y }
}

#[cfg(test)]
#[path = "functions_tests.rs"]
mod tests;
