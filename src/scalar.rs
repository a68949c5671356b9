//! The scalar types, and elementary functions that are accurate everywhere.

use nalgebra::RealField;
use num_traits::{FromPrimitive, NumAssign, Signed};

/// A scalar that a network computes with: any `RealField` of nalgebra that is [`Copy`].
///
/// The trait is implemented for every such type: `f32`, `f64`, and the dual and hyper-dual numbers
/// of the `num-dual` crate. It adds no methods. The bounds from num-traits are part of `RealField`;
/// they are named here because generic code uses them: `T::zero()` and `T::one()`, the operators,
/// and `T::from_usize`.
///
/// # Dual numbers
/// Checks for finite numbers cover only the real part of a dual number: a NaN or an infinity in its
/// derivative parts is not an [`Error::NonFinite`](crate::Error::NonFinite), and passes through to
/// the result.
///
/// # Example
/// ```
/// fn mean<T: backprop::Scalar>(values: &[T]) -> Option<T> {
///     let sum = values.iter().fold(T::zero(), |sum, &x| sum + x);
///     Some(sum / T::from_usize(values.len())?)
/// }
/// assert_eq!(mean(&[1.0_f32, 2.0, 6.0]), Some(3.0));
/// ```
pub trait Scalar: RealField + NumAssign + Signed + FromPrimitive + Copy {}

impl<T: RealField + Copy> Scalar for T {}

/// Converts an `f64` constant to T.
#[inline]
pub(crate) fn real<T: Scalar>(x: f64) -> T {
    nalgebra::convert(x)
}

/// Returns the real part of a scalar as `f64`, for messages, ranges and reports only.
#[inline]
pub(crate) fn to_f64<T: Scalar>(x: T) -> f64 {
    nalgebra::convert_unchecked(x)
}

/// Returns −1, 0 or 1, without a derivative in a dual number. (`RealField::signum` is 1 at 0.)
#[inline]
pub(crate) fn sign<T: Signed + PartialOrd>(x: T) -> T {
    if x > T::zero() {
        T::one()
    } else if x < T::zero() {
        -T::one()
    } else {
        T::zero()
    }
}

/// Returns σ(z) = 1/(1 + e⁻ᶻ). It computes only the exponential of −|z|, so nothing overflows, not
/// even dual parts.
#[inline]
pub(crate) fn sigmoid<T: Scalar>(z: T) -> T {
    if z >= T::zero() {
        T::one() / (T::one() + (-z).exp())
    } else {
        let e = z.exp();
        e / (T::one() + e)
    }
}

/// Returns σ′(z) = σ(z) σ(−z) = e^(−|z|)/(1 + e^(−|z|))². In a (1 − a), the second factor would
/// cancel for large z.
#[inline]
pub(crate) fn sigmoid_derivative<T: Scalar>(z: T) -> T {
    let e = (-z.abs()).exp();
    let d = T::one() + e;
    e / (d * d)
}

/// Returns tanh z, from e^(−2|z|) − 1. A dual number's own tanh is sinh/cosh, which is NaN from
/// |z| ≈ 355 on.
#[inline]
pub(crate) fn tanh<T: Scalar>(z: T) -> T {
    let two = T::one() + T::one();
    if z >= T::zero() {
        let t = (-two * z).exp_m1();
        -t / (two + t)
    } else {
        let t = (two * z).exp_m1();
        t / (two + t)
    }
}

/// Returns ln(1 + eᶻ) = max(z, 0) + ln(1 + e^(−|z|)).
#[inline]
pub(crate) fn softplus<T: Scalar>(z: T) -> T {
    if z >= T::zero() {
        z + (-z).exp().ln_1p()
    } else {
        z.exp().ln_1p()
    }
}

/// Returns ln cosh d, without overflow for large |d| and without cancellation for small |d|.
#[inline]
pub(crate) fn ln_cosh<T: Scalar>(d: T) -> T {
    let size = d.abs();
    if size < T::one() {
        // cosh d − 1 = (eᵈ − 1)²/(2 eᵈ).
        let e = d.exp_m1();
        (e * e / (real::<T>(2.0) * (e + T::one()))).ln_1p()
    } else {
        size + (-(size + size)).exp().ln_1p() - T::ln_2()
    }
}

/// Beyond this size, e^(−z²/2) is 0 in `f64`. Its argument is not computed there: if it overflowed,
/// a dual part would be 0 · ∞.
pub(crate) const SATURATED: f64 = 40.0;

/// Returns the standard normal distribution function Φ(z) = ½ erfc(−z/√2).
#[inline]
pub(crate) fn normal_cdf<T: Scalar>(z: T) -> T {
    erfc(z * real(-std::f64::consts::FRAC_1_SQRT_2)) * real(0.5)
}

/// Returns the standard normal density φ(z) = e^(−z²/2)/√(2π).
#[inline]
pub(crate) fn normal_pdf<T: Scalar>(z: T) -> T {
    if z.abs() > real(SATURATED) {
        return T::zero();
    }
    (z * z * real(-0.5)).exp() * real(0.398_942_280_401_432_7)
}

/// Returns Σ cᵢ xⁱ by Horner's rule; the coefficients start with that of the highest power.
#[inline]
fn polynomial<T: Scalar>(coefficients: &[f64], x: T) -> T {
    coefficients
        .iter()
        .fold(T::zero(), |sum, &c| sum * x + real(c))
}

/// Returns the complementary error function, which [`RealField`] lacks.
///
/// It uses the rational approximations of W. J. Cody, *Math. Comp.* 23 (1969) 631–637,
/// doi:10.1090/S0025-5718-1969-0247736-4. Their relative error is below 1e-18 in each of the three
/// ranges, so the derivative of a dual number is accurate to rounding too.
#[inline]
pub(crate) fn erfc<T: Scalar>(x: T) -> T {
    let size = x.abs();
    if size > real(SATURATED) {
        return if x < T::zero() { real(2.0) } else { T::zero() };
    }
    if size <= real(0.46875) {
        return T::one() - x * erf_over_x(x * x);
    }
    let tail = if size <= real(4.0) {
        polynomial(&ERFC_MIDDLE.0, size) / polynomial(&ERFC_MIDDLE.1, size)
    } else {
        let y = T::one() / (size * size);
        let r = y * polynomial(&ERFC_TAIL.0, y) / polynomial(&ERFC_TAIL.1, y);
        (real::<T>(0.564_189_583_547_756_3) - r) / size
    };
    // e^(−x²) has a relative error of x² units in the last place, below 4e-13 unless it is
    // subnormal.
    let tail = (-(size * size)).exp() * tail;
    if x < T::zero() {
        T::one() + T::one() - tail
    } else {
        tail
    }
}

/// Returns erf(x)/x as a function of x², for |x| ≤ 0.46875.
#[inline]
fn erf_over_x<T: Scalar>(square: T) -> T {
    polynomial(&ERF_SMALL.0, square) / polynomial(&ERF_SMALL.1, square)
}

const ERF_SMALL: ([f64; 5], [f64; 5]) = (
    [
        1.857_777_061_846_031_5e-1,
        3.161_123_743_870_565_6,
        1.138_641_541_510_501_6e2,
        3.774_852_376_853_02e2,
        3.209_377_589_138_469_5e3,
    ],
    [
        1.0,
        2.360_129_095_234_412_1e1,
        2.440_246_379_344_441_7e2,
        1.282_616_526_077_372_3e3,
        2.844_236_833_439_171e3,
    ],
);

const ERFC_MIDDLE: ([f64; 9], [f64; 9]) = (
    [
        2.153_115_354_744_038_5e-8,
        5.641_884_969_886_701e-1,
        8.883_149_794_388_375,
        6.611_919_063_714_163e1,
        2.986_351_381_974_001e2,
        8.819_522_212_417_69e2,
        1.712_047_612_634_070_6e3,
        2.051_078_377_826_071_5e3,
        1.230_339_354_797_997_3e3,
    ],
    [
        1.0,
        1.574_492_611_070_983_5e1,
        1.176_939_508_913_125e2,
        5.371_811_018_620_099e2,
        1.621_389_574_566_690_2e3,
        3.290_799_235_733_459_6e3,
        4.362_619_090_143_247e3,
        3.439_367_674_143_721_6e3,
        1.230_339_354_803_749_4e3,
    ],
);

const ERFC_TAIL: ([f64; 6], [f64; 6]) = (
    [
        1.631_538_713_730_209_8e-2,
        3.053_266_349_612_323_4e-1,
        3.603_448_999_498_044_4e-1,
        1.257_817_261_112_292_5e-1,
        1.608_378_514_874_228e-2,
        6.587_491_615_298_378e-4,
    ],
    [
        1.0,
        2.568_520_192_289_822,
        1.872_952_849_923_467_3,
        5.279_051_029_514_284e-1,
        6.051_834_131_244_132e-2,
        2.335_204_976_268_691_9e-3,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;
    use num_dual::Dual64;

    /// Values from mpmath at 40 digits, in all three ranges and for both signs. The derivative is
    /// −2/√π e^(−x²).
    #[test]
    fn erfc_is_exact_with_its_derivative() {
        for (x, expected) in [
            (-6.0, 1.999_999_999_999_999_98),
            (-3.5, 1.999_999_256_901_627_6),
            (-0.46, 1.484_655_390_001_679_7),
            (-1e-9, 1.000_000_001_128_379_2),
            (0.2, 0.777_297_410_789_521_5),
            (0.46, 0.515_344_609_998_320_3),
            (0.48, 0.497_250_329_305_235_1),
            (1.5, 0.033_894_853_524_689_274),
            (3.9, 3.479_224_859_723_176_5e-8),
            (4.1, 6.700_027_654_084_918e-9),
            (5.7, 7.566_211_621_862_486e-16),
            (8.0, 1.122_429_717_298_292_6e-29),
            (12.5, 6.231_942_781_979_911e-70),
            (20.0, 5.395_865_611_607_901e-176),
            (26.0, 5.663_192_408_856_143e-296),
        ] {
            // Allows a few rounding errors, and x² of them in e^(−x²).
            let bound = (4.0 + x * x) * f64::EPSILON;
            let found = erfc(Dual64::new(x, 1.0));
            assert!((found.re / expected - 1.0).abs() <= bound, "erfc({x})");
            let slope = -std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp();
            // Near erfc = 2 the slope is a difference of larger terms.
            let bound = 8.0 * bound * slope.abs() + f64::EPSILON * f64::from(x < 0.0);
            assert!(
                (found.eps - slope).abs() <= bound,
                "erfc'({x}): {}",
                found.eps
            );
        }
    }
}
