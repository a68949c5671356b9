//! Exponential, logarithm, sigmoid, tanh and related functions for `f32` and `f64`.
//!
//! Loops over them vectorise: they have no branch, no call and no table. Where two formulas are
//! needed, both are computed and one is selected.
//!
//! Exponential, logarithm and tanh are within 2 units in the last place. Activations and their
//! derivatives are within 4 units, or within 4 units of the largest term near a root. Both hold
//! with and without fused multiplication. `FMA` may only be true where the processor has the
//! instruction, because `mul_add` is a slow call elsewhere.
//!
//! The tails determine how formulas are written. e^(−|z|) carries a factor 2ˢ to the last
//! operation, because a subnormal number would lose the digits of later products. Where the
//! rounding of 1 + p would matter, it is kept as (1 + p) 2ᵏ. 1 + e, and powers of it, are rounded
//! once.

use super::real::Real;

/// Returns Σ cᵢ xⁱ by Horner's rule, for even and odd powers side by side.
///
/// The coefficients start with the highest power.
#[inline(always)]
pub(super) fn polynomial<R: Real, const FMA: bool>(coefficients: &[R], x: R) -> R {
    let &[first, second, ref rest @ ..] = coefficients else {
        return coefficients[0];
    };
    let square = x * x;
    // Each pair of coefficients is one step of both chains. If a single coefficient is left, it is
    // a step of one chain, which then ends in the power 0.
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

/// Like [`polynomial`], but adds the constant last, so the rounding errors of the rest matter less.
#[inline(always)]
pub(super) fn polynomial_of_constant<R: Real, const FMA: bool>(coefficients: &[R], x: R) -> R {
    let [rest @ .., constant] = coefficients else {
        return R::ZERO;
    };
    x.times_plus::<FMA>(polynomial::<R, FMA>(rest, x), *constant)
}

/// Returns p and [`Real::ROUND`] + k such that eˣ = (1 + p) 2ᵏ.
#[inline(always)]
pub(super) fn exp_reduced<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let rounded = x.times_plus::<FMA>(R::LOG2_E, R::ROUND);
    let k = rounded - R::ROUND;
    // r is exact as a sum of two numbers. Only the polynomial uses it rounded.
    let high = k.times_plus::<FMA>(-R::LN_2.0, x);
    let r = k.times_plus::<FMA>(-R::LN_2.1, high);
    let rest = (r * r) * polynomial::<R, FMA>(R::EXP, r);
    (high + k.times_plus::<FMA>(-R::LN_2.1, rest), rounded)
}

/// Returns eʳ − 1 and two powers of two such that their product times eʳ is eˣ.
///
/// A single power of two could not reach the subnormal numbers.
#[inline(always)]
fn exp_parts<R: Real, const FMA: bool>(x: R) -> (R, R, R) {
    let (p, rounded) = exp_reduced::<R, FMA>(x);
    let (first, second) = halves::<R, FMA>(rounded);
    (p, first, second)
}

/// Returns two powers of two whose product is 2ᵏ, from [`Real::ROUND`] + k.
#[inline(always)]
fn halves<R: Real, const FMA: bool>(rounded: R) -> (R, R) {
    let k = rounded - R::ROUND;
    let half = k.times_plus::<FMA>(R::HALF, R::ROUND);
    let other_half = rounded - (half - R::ROUND);
    (R::power_of_two(half), R::power_of_two(other_half))
}

/// Returns the larger of `low` and x. Unlike `max`, it keeps a NaN.
#[inline(always)]
fn at_least<R: Real>(low: R, x: R) -> R {
    if x < low { low } else { x }
}

/// Returns eˣ.
#[inline(always)]
pub(super) fn exp<R: Real, const FMA: bool>(x: R) -> R {
    let (_, high) = R::EXP_RANGE;
    exp_below::<R, FMA>(if x > high { high } else { x })
}

/// Returns eˣ for an x at which it cannot overflow.
#[inline(always)]
pub(super) fn exp_below<R: Real, const FMA: bool>(x: R) -> R {
    let (p, scale, other) = exp_parts::<R, FMA>(at_least(R::EXP_RANGE.0, x));
    (R::ONE + p) * scale * other
}

/// Returns c eˣ and eˣ − 1 for x ≤ 0.
///
/// A large c is scaled down so that the two powers of two reach the smallest c eˣ above 0.
#[inline(always)]
pub(super) fn times_exp_and_exp_m1<R: Real, const FMA: bool>(c: R, x: R) -> (R, R) {
    let large = c.size() > R::ONE;
    let (shift, scale, end) = if large {
        (R::SCALE.0, R::SCALE.1, R::LARGE_EXP_END)
    } else {
        (R::ZERO, R::ONE, R::EXP_RANGE.0)
    };
    let c = c * scale;
    let (p, rounded) = exp_reduced::<R, FMA>(at_least(end, x));
    let (first, second) = halves::<R, FMA>(rounded + shift);
    let whole = first * second * scale;
    (
        (R::ONE + p) * c * first * second,
        whole.times_plus::<FMA>(p, whole - R::ONE),
    )
}

/// Returns ln(base + x) for a base of 0 or 1 and a normal sum of at most 2¹⁰⁰.
///
/// With base 1, it uses all digits of a small x of either sign.
#[inline(always)]
pub(super) fn ln_of_sum<R: Real, const FMA: bool>(base: R, x: R) -> R {
    let (k, scale) = (base + x).exponent();
    // Exact, unlike the sum. For base 1 and k = 0 it is x itself.
    let f = x.times_plus::<FMA>(scale, base * scale - R::ONE);
    let s = f / (R::TWO + f);
    let z = s * s;
    let rest = z * polynomial::<R, FMA>(R::LN, z);
    let half_square = R::HALF * f * f;
    let low = s.times_plus::<FMA>(half_square + rest, k * R::LN_2.1);
    k.times_plus::<FMA>(R::LN_2.0, f - (half_square - low))
}

/// Returns 2ˢ e^(−|z|), with 2ˢ of [`Real::SCALE`].
///
/// The functions below start from it, and form a product with z before 2⁻ˢ makes it subnormal. The
/// result is 0 where such products are 0.
#[inline(always)]
pub(super) fn scaled_exp_of_minus_size<R: Real, const FMA: bool>(z: R) -> R {
    let (p, rounded) = exp_reduced::<R, FMA>(at_least(R::SCALED_END, -z.size()));
    (R::ONE + p) * R::power_of_two(rounded + R::SCALE.0)
}

/// Returns e^(−|z|) from [`scaled_exp_of_minus_size`].
#[inline(always)]
pub(super) fn unscaled<R: Real>(scaled: R) -> R {
    scaled * R::SCALE.1
}

/// Returns 1/(1 + e) for e in [0, 1], to half a unit, by a Newton step with the remainder.
#[inline(always)]
pub(super) fn inverse_of_1_plus<R: Real, const FMA: bool>(e: R) -> R {
    let quotient = R::ONE / (R::ONE + e);
    let remainder = (-e).times_plus::<FMA>(quotient, R::ONE - quotient);
    quotient.times_plus::<FMA>(remainder, quotient)
}

/// Returns σ(z) and σ(−z) from e = e^(−|z|), without cancellation.
#[inline(always)]
pub(super) fn sigmoids_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R) {
    let larger = inverse_of_1_plus::<R, FMA>(e);
    let smaller = e * larger;
    let positive = z >= R::ZERO;
    (
        if positive { larger } else { smaller },
        if positive { smaller } else { larger },
    )
}

/// Returns tanh z and 1 − tanh² z from e = e^(−2|z|).
#[inline(always)]
pub(super) fn tanh_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R) {
    let size = z.size();
    let square = size * size;
    let (p, q) = R::TANH;
    let small = size < R::of(0.625);
    // z + z³ p/q for small z, else 1 − 2e/(1 + e), with one division for both.
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
    // (1 − a)(1 + a). For large z the quotient gives 1 − a without cancellation.
    let rest = if small { R::ONE - a } else { -quotient };
    (a.with_sign_of(z), rest * (R::TWO - rest))
}

/// Returns ln(1 + eᶻ), its derivative σ(z), and σ(−z), from e = e^(−|z|).
#[inline(always)]
pub(super) fn softplus_of_exp<R: Real, const FMA: bool>(z: R, e: R) -> (R, R, R) {
    let positive = if z > R::ZERO { z } else { R::ZERO };
    let value = positive + ln_of_sum::<R, FMA>(R::ONE, e);
    let (slope, opposite) = sigmoids_of_exp::<R, FMA>(z, e);
    (value, slope, opposite)
}

/// Returns the p in 2ˢ e^(−|z|) = (1 + p) 2ˢ⁺ᵏ.
#[inline(always)]
pub(super) fn exp_m1_of_remainder<R: Real, const FMA: bool>(z: R) -> R {
    exp_reduced::<R, FMA>(at_least(R::SCALED_END, -z.size())).0
}

/// Returns the 2ˢ⁺ᵏ in 2ˢ e^(−|z|) = (1 + p) 2ˢ⁺ᵏ.
#[inline(always)]
pub(super) fn power_of_minus_size<R: Real, const FMA: bool>(z: R) -> R {
    let rounded = at_least(R::SCALED_END, -z.size()).times_plus::<FMA>(R::LOG2_E, R::ROUND);
    R::power_of_two(rounded + R::SCALE.0)
}

/// Returns (1 + e)² with little more than one rounding, unlike a product of the rounded 1 + e.
#[inline(always)]
pub(super) fn square_of_1_plus<R: Real, const FMA: bool>(e: R) -> R {
    e.times_plus::<FMA>(R::TWO + e, R::ONE)
}

/// Returns (1 + e)³, computed in the same way.
#[inline(always)]
pub(super) fn cube_of_1_plus<R: Real, const FMA: bool>(e: R) -> R {
    let three = R::ONE + R::TWO;
    e.times_plus::<FMA>(e.times_plus::<FMA>(three + e, three), R::ONE)
}

/// Returns a + b and its rounding error (Knuth's exact addition).
#[inline(always)]
pub(super) fn exact_sum<R: Real>(a: R, b: R) -> (R, R) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// Returns a + b (1 + p) 2ᵏ, rounded only once.
///
/// If 1 + p were rounded, its error would remain where the two terms cancel.
#[inline(always)]
pub(super) fn plus_times_exp<R: Real, const FMA: bool>(a: R, b: R, p: R, power: R) -> R {
    let scaled = b * power;
    let (sum, lost) = exact_sum(a, scaled);
    sum + p.times_plus::<FMA>(scaled, lost)
}

/// Returns (1 + p) x, rounded once.
#[inline(always)]
pub(super) fn times_1_plus<R: Real, const FMA: bool>(x: R, p: R) -> R {
    p.times_plus::<FMA>(x, x)
}

/// Returns z σ(z) and its first two derivatives, from the p and the 2ˢ⁺ᵏ in
/// 2ˢ e^(−|z|) = (1 + p) 2ˢ⁺ᵏ.
#[inline(always)]
pub(super) fn silu_of_exp<R: Real, const FMA: bool>(z: R, p: R, power: R) -> (R, R, R) {
    let scaled = (R::ONE + p) * power;
    let e = unscaled(scaled);
    let (lead, scale) = lead_of(z, scaled);
    let inverse = inverse_of_1_plus::<R, FMA>(e);
    // σ = lead/(1 + e), and σ′ = e/(1 + e)².
    let value = z * lead * inverse * scale;
    let sum = if z < R::ZERO {
        // 1 + z + e cancels near its root, so 1 + p must not be rounded.
        let power = unscaled(power);
        p.times_plus::<FMA>(power, (R::ONE + z) + power)
    } else {
        e.times_plus::<FMA>(R::ONE + z, R::ONE)
    };
    let slope = (sum * inverse) * (lead * inverse) * scale;
    // (2 − |z| tanh(|z|/2)) (1 + e)
    let size = z.size();
    let sum = e.times_plus::<FMA>(size, (R::TWO - size) + (e + e));
    let quotient = times_1_plus::<R, FMA>(sum, p) / cube_of_1_plus::<R, FMA>(e);
    (value, slope, quotient * power * R::SCALE.1)
}

/// Returns the scaled exponential and the factor that undoes the scale for z < 0, else 1 and 1.
#[inline(always)]
pub(super) fn lead_of<R: Real>(z: R, scaled: R) -> (R, R) {
    let negative = z < R::ZERO;
    (
        if negative { scaled } else { R::ONE },
        if negative { R::SCALE.1 } else { R::ONE },
    )
}

/// Returns z tanh(ln(1 + eᶻ)) and its first two derivatives, from the p and the 2ˢ⁺ᵏ in
/// 2ˢ e^(−|z|) = (1 + p) 2ˢ⁺ᵏ.
///
/// With E = eᶻ and d = E² + 2E + 2, they are z E (E + 2)/d, 4 E N/d² and 16 E M/d³, where
///
/// - N = (1 + z) + (3/2 + z) E + E² + E³/4,
/// - M = (1 + z/2) + (2 + z/2) E + (3/2 − 3z/4) E² + (1/2 − z/2) E³.
///
/// For z ≥ 0, numerator and denominator are multiplied by powers of e = 1/E, which reverses the
/// order of the coefficients.
#[inline(always)]
pub(super) fn mish_of_exp<R: Real, const FMA: bool>(z: R, p: R, power: R) -> (R, R, R) {
    let negative = z < R::ZERO;
    let of = |low: f64, high: f64| if negative { R::of(low) } else { R::of(high) };
    let (e, power_of_e) = (unscaled((R::ONE + p) * power), unscaled(power));
    // For z < 0, the formulas' E is (1 + p) 2ᵏ. The scale is undone at the end.
    let times_e = |x| {
        if negative {
            times_1_plus::<R, FMA>(x, p) * power
        } else {
            x
        }
    };
    let scale = if negative { R::SCALE.1 } else { R::ONE };
    // d = base + rest; its inverse is refined like that of 1 + e.
    let base = of(2.0, 1.0);
    let rest = if negative {
        e * (e + R::TWO)
    } else {
        (e + e) * (R::ONE + e)
    };
    let inverse = R::ONE / (base + rest);
    let remainder = (-rest).times_plus::<FMA>(inverse, R::ONE - base * inverse);
    let inverse = inverse.times_plus::<FMA>(remainder, inverse);
    let twice = if negative { e } else { e + e };
    let top = twice.times_plus::<FMA>(inverse, base * inverse);
    let value = times_e(z * top) * scale;

    let ordered = |[first, second, third, last]: [R; 4]| {
        let outer = if negative {
            (first, last)
        } else {
            (last, first)
        };
        let inner = if negative {
            (second, third)
        } else {
            (third, second)
        };
        [outer.0, inner.0, inner.1, outer.1]
    };
    let [quarter, half, three_halves] = [0.25, 0.5, 1.5].map(R::of);
    let [c0, c1, c2, c3] = ordered([R::ONE + z, three_halves + z, R::ONE, quarter]);
    let n = horner::<R, FMA, 4>(e, [c3, c2, c1, c0]);
    // d²/4
    let square = [
        of(0.25, 1.0),
        of(1.0, 2.0),
        R::TWO,
        of(2.0, 1.0),
        of(1.0, 0.25),
    ];
    // Where they do not cancel, t + z t′ has fewer roundings.
    let apart = z > -half;
    let change = if negative { z } else { z * e * e } * (R::ONE + e);
    let quotient = if apart { change } else { n } / horner::<R, FMA, 5>(e, square);
    let slope = quotient + if apart { top } else { R::ZERO };
    let slope = times_e(slope) * scale;

    // m cancels near its roots: there e must not be rounded, in m or in d. Elsewhere the two
    // roundings cancel.
    let half_z = half * z;
    let [c0, c1, c2, c3] = ordered([
        R::ONE + half_z,
        R::TWO + half_z,
        three_halves * (R::ONE - half_z),
        half - half_z,
    ]);
    let m = c3.times_plus::<FMA>(e, c2);
    let m = plus_times_exp::<R, FMA>(c1, m, p, power_of_e);
    let m = plus_times_exp::<R, FMA>(c0, m, p, power_of_e);
    let lost = p.times_plus::<FMA>(power_of_e, power_of_e - e);
    let change_of_inverse = -lost * ((twice + twice) + R::TWO) * inverse;
    let change_of_cube = (change_of_inverse + change_of_inverse) + change_of_inverse;
    // d³/16, and for z ≥ 0 another e.
    let cube = [
        of(0.0625, 0.5),
        of(0.375, 1.5),
        of(1.125, 2.25),
        R::TWO,
        of(2.25, 1.125),
        of(1.5, 0.375),
        of(0.5, 0.0625),
    ];
    let m = if negative {
        m
    } else {
        times_1_plus::<R, FMA>(m * power_of_e, p)
    };
    let bend = times_1_plus::<R, FMA>(m, p) / horner::<R, FMA, 7>(e, cube);
    let bend = times_1_plus::<R, FMA>(bend, change_of_cube) * power * R::SCALE.1;
    (value, slope, bend)
}

/// Returns Σ cᵢ xⁱ by Horner's rule. The coefficients start with the highest power.
#[inline(always)]
fn horner<R: Real, const FMA: bool, const N: usize>(x: R, coefficients: [R; N]) -> R {
    let [first, rest @ ..] = coefficients.as_slice() else {
        return R::ZERO;
    };
    rest.iter()
        .fold(*first, |sum, &c| sum.times_plus::<FMA>(x, c))
}

/// Returns −y ln σ(z) − (1 − y) ln(1 − σ(z)) = max(z, 0) − y z + ln(1 + e^(−|z|)).
#[inline(always)]
pub(super) fn binary_cross_entropy<R: Real, const FMA: bool>(z: R, y: R) -> R {
    let e = exp_below::<R, FMA>(-z.size());
    let factor = if z > R::ZERO { R::ONE - y } else { -y };
    factor.times_plus::<FMA>(z, ln_of_sum::<R, FMA>(R::ONE, e))
}

#[cfg(test)]
#[path = "math_tests.rs"]
mod tests;
