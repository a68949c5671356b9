//! GELU and its tanh form, accurate in the tails.
//!
//! Half a unit of x² changes e^(−x²/2) by hundreds of units there, so the arguments of exponentials
//! are double-word numbers.

use super::math::{
    cube_of_1_plus, exact_sum, exp_reduced, inverse_of_1_plus, lead_of, polynomial,
    polynomial_of_constant, square_of_1_plus, times_1_plus, unscaled,
};
use super::real::Real;

/// The unevaluated sum of two numbers, the second below the last digit of the first.
#[derive(Clone, Copy)]
struct DoubleWord<R> {
    high: R,
    low: R,
}

impl<R: Real> DoubleWord<R> {
    /// Returns a + b, exactly.
    #[inline(always)]
    fn sum(a: R, b: R) -> Self {
        let (high, low) = exact_sum(a, b);
        Self { high, low }
    }

    /// Returns a · b, exactly. Without fused multiplication, it splits the digits of both in half
    /// (Dekker).
    #[inline(always)]
    fn product<const FMA: bool>(a: R, b: R) -> Self {
        let high = a * b;
        let low = if FMA {
            a.times_plus::<FMA>(b, -high)
        } else {
            let (a0, b0) = (a.first_digits(), b.first_digits());
            let (a1, b1) = (a - a0, b - b0);
            ((a0 * b0 - high) + (a0 * b1 + a1 * b0)) + a1 * b1
        };
        Self { high, low }
    }

    /// Returns 1/(a + b) for non-negative numbers.
    #[inline(always)]
    fn inverse_of_sum<const FMA: bool>(a: R, b: R) -> Self {
        let sum = Self::sum(a, b);
        let high = R::ONE / sum.high;
        let product = Self::product::<FMA>(high, sum.high);
        let remainder = ((R::ONE - product.high) - product.low) - high * sum.low;
        let low = high * remainder;
        Self { high, low }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let sum = Self::sum(self.high, other.high);
        let low = sum.low + (self.low + other.low);
        Self { low, ..sum }
    }

    #[inline(always)]
    fn times<const FMA: bool>(self, other: Self) -> Self {
        let product = Self::product::<FMA>(self.high, other.high);
        let low = other.low.times_plus::<FMA>(self.high, product.low);
        let low = self.low.times_plus::<FMA>(other.high, low);
        Self { low, ..product }
    }

    /// Returns self times a power of two.
    #[inline(always)]
    fn scaled(self, by: R) -> Self {
        let (high, low) = (self.high * by, self.low * by);
        Self { high, low }
    }

    /// Returns 2ˢ e^self for self ≤ 0, as (1 + p) times a power of two.
    #[inline(always)]
    fn scaled_exp<const FMA: bool>(self) -> (R, R) {
        let (p, rounded) = exp_reduced::<R, FMA>(self.high);
        let p = p + self.low.times_plus::<FMA>(p, self.low);
        (p, R::power_of_two(rounded + R::SCALE.0))
    }
}

/// Returns z, clamped to ±`end`. NaN stays NaN.
#[inline(always)]
fn within<R: Real>(end: R, z: R) -> R {
    if z.size() > end {
        end.with_sign_of(z)
    } else {
        z
    }
}

/// Returns z Φ(z) and its first two derivatives.
///
/// They are computed from e^(−x²/2), Φ(−x) e^(x²/2) and (Φ(−x) − x φ(x)) e^(x²/2), for x = |z|.
/// The last two are polynomials. The last one has its root factored out, so it is accurate near
/// the root too.
#[inline(always)]
pub(super) fn gelu<R: Real, const FMA: bool>(z: R) -> (R, R, R) {
    let size = z.size();
    let x = within(R::GELU_END, size);
    let square = DoubleWord::product::<FMA>(x, x);
    let (p, power) = square.scaled(-R::HALF).scaled_exp::<FMA>();
    let s = DoubleWord::inverse_of_sum::<FMA>(x, R::of(4.0));
    let t = (R::ONE - R::of(8.0) * s.high) - R::of(8.0) * s.low;
    // x s. Where it is near 1, it does not use the rounded s. At infinity it is NaN, like the
    // formula.
    let four = R::of(4.0);
    let near_one = (R::ONE - four * s.high) - four * s.low;
    let s = s.high + s.low;
    let part = if x < four { size * s } else { near_one } + R::ZERO * size;
    let negative = z < R::ZERO;
    let scale = R::SCALE.1;
    // Φ(−x) 2ˢ
    let tail = polynomial_of_constant::<R, FMA>(R::GELU.0, t);
    let above = times_1_plus::<R, FMA>(s * tail, p) * power * scale;
    let below = times_1_plus::<R, FMA>(part * tail, p) * power * scale;
    let value = if negative {
        -below
    } else {
        z * (R::ONE - above)
    };
    let (root, rest) = R::GELU_ROOT;
    let from_root = (root - size) + rest;
    let from_root = from_root * polynomial::<R, FMA>(R::GELU.1, t);
    let slope = times_1_plus::<R, FMA>(from_root, p) * power * scale;
    let slope = if negative { slope } else { R::ONE - slope };
    let factor = ((R::TWO - square.high) - square.low) * R::DENSITY;
    let bend = times_1_plus::<R, FMA>(factor, p) * power * scale;
    (value, slope, bend)
}

/// Returns z σ(v) and its first two derivatives, for v = 2√(2/π) (z + 0.044715 z³).
///
/// With e = e^(−|v|): σ′ = e/(1 + e)², and v′ and z v″ are polynomials of z².
#[inline(always)]
pub(super) fn gelu_tanh<R: Real, const FMA: bool>(z: R) -> (R, R, R) {
    let [linear, cubic] = R::GELU_TANH.map(|(high, low)| DoubleWord { high, low });
    let negative = z < R::ZERO;
    // Beyond the end σ is 0 or 1.
    let u = within(R::GELU_TANH_END, z).size();
    let square = DoubleWord::product::<FMA>(u, u);
    let c = cubic.times::<FMA>(square);
    let v_over_u = linear.plus(c);
    let (high, low) = (u, R::ZERO);
    let u = DoubleWord { high, low };
    let v = v_over_u.times::<FMA>(u);
    let (p, power) = v.scaled(-R::ONE).scaled_exp::<FMA>();
    let scaled = (R::ONE + p) * power;
    let e = unscaled(scaled);
    let (lead, scale) = lead_of(z, scaled);
    let inverse = inverse_of_1_plus::<R, FMA>(e);
    let value = z * lead * inverse * scale;
    // v′ and |z| v′
    let rate = v_over_u.plus(c.scaled(R::TWO));
    let rise = rate.times::<FMA>(u);
    let sum = if negative {
        // 1 + p must not be rounded, because the sum cancels near the root.
        let power = unscaled(power);
        ((R::ONE - rise.high) + power) + p.times_plus::<FMA>(power, -rise.low)
    } else {
        e.times_plus::<FMA>(R::ONE + rise.high, R::ONE)
    };
    let slope = sum * lead / square_of_1_plus::<R, FMA>(e) * scale;
    // Half of (2v′ + z v″) (1 + e) − |z| v′² (1 − e).
    let straight = rate.plus(c.scaled(R::TWO)).plus(c);
    let bent = rise.times::<FMA>(rate).scaled(R::HALF);
    let difference = (straight.high - bent.high) + (straight.low - bent.low);
    let (both, power_of_e) = (straight.plus(bent), unscaled(power));
    let scaled = both.scaled(power_of_e);
    let sum = DoubleWord::sum(difference, scaled.high);
    let sum = sum.high + (sum.low + scaled.high.times_plus::<FMA>(p, scaled.low));
    let quotient = times_1_plus::<R, FMA>(sum + sum, p) / cube_of_1_plus::<R, FMA>(e);
    let bend = quotient * power * R::SCALE.1;
    (value, slope, bend)
}
