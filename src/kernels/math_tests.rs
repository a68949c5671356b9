//! The error of each function in units in the last place: `f32` against `f64`, and `f64` against
//! double-double numbers.

use super::super::activation_formulas::FastActivation;
use super::super::elementwise::activate_at;
use super::super::level::at_every_level;
use super::super::tangents::curve_at;
use super::*;
use std::ops::{Add, Mul, Neg, Sub};

/// An unevaluated sum of two `f64`, with about 106 bits.
#[derive(Clone, Copy, Debug)]
struct Double(f64, f64);

impl From<f64> for Double {
    fn from(x: f64) -> Self {
        Self(x, 0.0)
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, y: Self) -> Self {
        let s = self.0 + y.0;
        let v = s - self.0;
        let error = (self.0 - (s - v)) + (y.0 - v);
        let low = error + (self.1 + y.1);
        Self(s + low, (s - (s + low)) + low)
    }
}

impl Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, y: Self) -> Self {
        self + -y
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, y: Self) -> Self {
        let p = self.0 * y.0;
        let low = self.0.mul_add(y.0, -p) + (self.0 * y.1 + self.1 * y.0);
        Self(p + low, (p - (p + low)) + low)
    }
}

impl Double {
    const ONE: Self = Self(1.0, 0.0);

    fn reciprocal(self) -> Self {
        let r = Self::from(1.0 / self.0);
        let r = r + r * (Self::ONE - self * r);
        r + r * (Self::ONE - self * r)
    }

    /// Returns eˣ from the Taylor series, at x − k ln 2 halved eight times.
    fn exp(self) -> Self {
        let k = (self.0 / std::f64::consts::LN_2).round();
        let ln_2 = Self(std::f64::consts::LN_2, 2.319_046_813_846_3e-17);
        let r = (self - ln_2 * k.into()) * Self::from(1.0 / 256.0);
        // e^r − 1, from which (e^r − 1)(e^r + 1) = e^2r − 1.
        let mut e = (1..=11).rev().fold(Self(0.0, 0.0), |sum, i| {
            (Self::ONE + sum) * r * Self::from(f64::from(i)).reciprocal()
        });
        for _ in 0..8 {
            e = e * (e + 2.0.into());
        }
        let (first, k) = ((k / 2.0).floor(), k);
        let scale = |x: f64| x * 2.0_f64.powf(first) * 2.0_f64.powf(k - first);
        let e = e + Self::ONE;
        Self(scale(e.0), scale(e.1))
    }

    /// Returns ln(1 + x) for x in [−½, 1].
    fn ln_1p(self) -> Self {
        if self.0.abs() < 1e-9 {
            let third = Self::from(3.0).reciprocal();
            return self - self * self * (Self::from(0.5) - self * third);
        }
        let y = Self::from(self.0.ln_1p());
        y + ((self + Self::ONE) * (-y).exp() - Self::ONE)
    }

    fn sigmoid(z: f64) -> Self {
        let e = Self::from(-z.abs()).exp();
        let r = (e + Self::ONE).reciprocal();
        if z >= 0.0 { r } else { e * r }
    }

    fn tanh(z: f64) -> Self {
        if z.abs() < 1e-4 {
            let s = Self::from(z) * Self::from(z);
            let third = -Self::from(3.0).reciprocal();
            let [c, d] = [2.0 / 15.0, -17.0 / 315.0].map(Self::from);
            return Self::from(z) + Self::from(z) * s * (third + s * (c + s * d));
        }
        let e = Self::from(-2.0 * z.abs()).exp();
        let a = (Self::ONE - e) * (Self::ONE + e).reciprocal();
        if z < 0.0 { -a } else { a }
    }

    fn tanh_slope(z: f64) -> Self {
        Self::from(4.0) * Self::sigmoid(2.0 * z) * Self::sigmoid(-2.0 * z)
    }

    fn softplus(z: f64) -> Self {
        Self::from(z.max(0.0)) + Self::from(-z.abs()).exp().ln_1p()
    }
}

/// A type whose errors are counted in units in the last place.
trait Counted: Real {
    const EPSILON: f64;
    const MIN: f64;
    fn to_f64(self) -> f64;

    /// Returns |self − exact| in units in the last place of the exact value.
    ///
    /// Below the smallest normal number, the unit is that of this number.
    fn error(self, exact: Double) -> f64 {
        self.error_by(exact.0, exact)
    }

    /// Returns the same in units of another number.
    fn error_by(self, number: f64, exact: Double) -> f64 {
        let size = number.abs().max(Self::MIN);
        let binade = f64::from_bits(size.to_bits() & 0x7ff << 52);
        let difference = (Double::from(self.to_f64()) - exact).0.abs();
        difference / binade / Self::EPSILON
    }
}

impl Counted for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const MIN: f64 = f32::MIN_POSITIVE as f64;
    fn to_f64(self) -> f64 {
        self.into()
    }
}

impl Counted for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const MIN: f64 = f64::MIN_POSITIVE;
    fn to_f64(self) -> f64 {
        self
    }
}

/// Returns numbers of both signs: some evenly spaced over ±range, and the same number in a
/// geometric progression down to the subnormal ones.
fn grid<R: Counted>(range: f64, count: i32) -> Vec<R> {
    let steps = f64::from(count);
    let smallest = (R::MIN * R::EPSILON).ln();
    let size = |i: i32| {
        let t = (f64::from(i) + 0.37) / steps;
        [range * t, (smallest * (1.0 - t) + range.ln() * t).exp()]
    };
    let sizes = (0..count).flat_map(size);
    sizes.flat_map(|x| [R::of(x), R::of(-x)]).collect()
}

/// The largest errors allowed, in units.
struct Bounds {
    value: f64,
    derivative: f64,
}

const EXACT: Bounds = Bounds {
    value: 2.0,
    derivative: 2.0,
};
const SIGMOIDAL: Bounds = Bounds {
    value: 2.0,
    derivative: 5.0,
};

/// Asserts that the errors of value and derivative are within bounds at each level.
fn check<R: Counted>(
    function: FastActivation,
    z: &[R],
    bounds: Bounds,
    exact: impl Fn(f64) -> (Double, Double),
) {
    let exact: Vec<_> = z.iter().map(|z| exact(z.to_f64())).collect();
    at_every_level(|level| {
        let (mut a, mut slope) = (z.to_vec(), z.to_vec());
        activate_at(function, &mut a, Some(&mut slope));
        let mut worst = [(0.0, R::ZERO); 2];
        for (i, &(value, derivative)) in exact.iter().enumerate() {
            let errors = [a[i].error(value), slope[i].error(derivative)];
            for (worst, error) in worst.iter_mut().zip(errors) {
                if error > worst.0 || error.is_nan() {
                    *worst = (error, z[i]);
                }
            }
        }
        let [value, derivative] = worst;
        let name = std::any::type_name::<R>();
        println!("{function:?} {name} {level:?}: {value:?}, derivative {derivative:?}");
        assert!(value.0 <= bounds.value, "{function:?} {level:?}: {value:?}");
        assert!(
            derivative.0 <= bounds.derivative,
            "{function:?}' {level:?}: {derivative:?}"
        );
    });
}

#[test]
fn f32_values_are_within_2_units() {
    let wide = grid::<f32>(110.0, 500_000);
    let plain = |a: f64, d: f64| (Double::from(a), Double::from(d));
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    // Overflow is tested with the special values.
    let finite: Vec<f32> = wide.iter().copied().filter(|&z| z < 88.7).collect();
    check(FastActivation::Exponential, &finite, EXACT, |z| {
        plain(z.exp(), z.exp())
    });
    check(FastActivation::Sigmoid, &wide, SIGMOIDAL, |z| {
        plain(sigmoid(z), sigmoid(z) * sigmoid(-z))
    });
    check(FastActivation::Softplus, &wide, EXACT, |z| {
        plain(z.max(0.0) + (-z.abs()).exp().ln_1p(), sigmoid(z))
    });
    let narrow = grid::<f32>(55.0, 500_000);
    check(FastActivation::Tanh, &narrow, SIGMOIDAL, |z| {
        plain(z.tanh(), 4.0 * sigmoid(2.0 * z) * sigmoid(-2.0 * z))
    });
}

#[test]
fn f64_values_are_within_2_units() {
    let wide = grid::<f64>(750.0, 30_000);
    let finite: Vec<f64> = wide.iter().copied().filter(|&z| z < 709.7).collect();
    check(FastActivation::Exponential, &finite, EXACT, |z| {
        let e = Double::from(z).exp();
        (e, e)
    });
    check(FastActivation::Sigmoid, &wide, SIGMOIDAL, |z| {
        let (p, q) = (Double::sigmoid(z), Double::sigmoid(-z));
        (p, p * q)
    });
    check(FastActivation::Softplus, &wide, EXACT, |z| {
        (Double::softplus(z), Double::sigmoid(z))
    });
    check(
        FastActivation::Tanh,
        &grid::<f64>(380.0, 30_000),
        SIGMOIDAL,
        |z| (Double::tanh(z), Double::tanh_slope(z)),
    );
}

/// Checks eᶻ − 1 and its derivative through ELU, for z ≤ 0.
#[test]
fn exp_m1_is_within_2_units() {
    let elu = FastActivation::Elu {
        positive: 1.0,
        negative: 1.0,
    };
    let mut z = grid::<f32>(110.0, 30_000);
    z.retain(|&z| z <= 0.0);
    check(elu, &z, EXACT, |z| (z.exp_m1().into(), z.exp().into()));
    let mut z = grid::<f64>(750.0, 30_000);
    z.retain(|&z| z <= 0.0);
    check(elu, &z, EXACT, |z| {
        let e = Double::from(z).exp();
        let small = Double::from(z) + Double(z * z * 0.5, 0.0);
        (if z > -1e-9 { small } else { e - Double::ONE }, e)
    });
}

/// Checks ln(1 + x) for x of both signs, and ln x over many exponents.
#[test]
fn logarithms_are_within_a_unit() {
    fn worst<R: Counted, const FMA: bool>() -> f64 {
        let near = (0..=30_000).map(|i| -0.5 + f64::from(i) * 0.5e-4);
        let tiny = (1..1_000).flat_map(|i| [0.96_f64.powi(i), -0.5 * 0.96_f64.powi(i)]);
        let near = near.chain(tiny).map(R::of).map(|x| {
            let exact = Double::from(x.to_f64()).ln_1p();
            ln_of_sum::<R, FMA>(R::ONE, x).error(exact)
        });
        let far = (0..20_000).map(|i| R::of((-80.0 + 0.005 * f64::from(i)).exp()));
        let far = far.map(|x| {
            // A Newton step for eʸ = x doubles the digits of y.
            let y = Double::from(x.to_f64().ln());
            let exact = y + (Double::from(x.to_f64()) * (-y).exp() - Double::ONE);
            ln_of_sum::<R, FMA>(R::ZERO, x).error(exact)
        });
        near.chain(far).fold(0.0, f64::max)
    }
    let found = [
        worst::<f32, false>(),
        worst::<f32, true>(),
        worst::<f64, false>(),
        worst::<f64, true>(),
    ];
    println!("{found:?}");
    assert!(found.iter().all(|&units| units <= 1.0), "{found:?}");
}

/// g, g′ and g″ with the largest term of each formula.
type Terms = [(Double, f64); 3];

/// Asserts that g, g′ and g″ are within 4 units at each level.
///
/// The unit is that of the largest term where the value is less than a quarter of it.
fn check_curve<R: Counted>(function: FastActivation, z: &[R], exact: impl Fn(f64) -> Terms) {
    let exact: Vec<Terms> = z.iter().map(|z| exact(z.to_f64())).collect();
    at_every_level(|level| {
        let mut found = [z.to_vec(), z.to_vec(), z.to_vec()];
        let [a, slope, bend] = &mut found;
        curve_at(function, a, slope, bend);
        for (i, exact) in exact.iter().enumerate() {
            for (order, &(value, largest)) in exact.iter().enumerate() {
                let unit_of = if value.0.abs() < 0.25 * largest {
                    largest
                } else {
                    value.0
                };
                let error = found[order][i].error_by(unit_of, value);
                let at = z[i];
                assert!(
                    error <= 4.0,
                    "{function:?} {level:?}, derivative {order} at {at}: {error}"
                );
            }
        }
    });
}

/// Returns Φ(−x)/φ(x) for x ≥ 2, as a continued fraction.
fn mills_ratio(x: f64) -> Double {
    let x = Double::from(x);
    let below = (1..=400).rev().fold(x, |below, i| {
        x + Double::from(f64::from(i)) * below.reciprocal()
    });
    below.reciprocal()
}

/// Checks the tails, where half a unit of z² changes the value by hundreds of units, and the roots.
fn curves_are_within_4_units<R: Counted>(end: f64, end_of_tanh: f64) {
    let one = Double::ONE;
    let two = Double::from(2.0);
    let product = |x: Double, y: Double| (x * y).0.abs();
    let wide: Vec<R> = grid(end * end / 2.0, 4_000);
    check_curve(FastActivation::Sigmoid, &wide, |z| {
        let slope = Double::sigmoid(z) * Double::sigmoid(-z);
        let bend = -slope * Double::tanh(0.5 * z);
        [Double::sigmoid(z), slope, bend].map(|x| (x, 0.0))
    });
    check_curve(FastActivation::Silu, &wide, |z| {
        let (s, tanh, z) = (Double::sigmoid(z), Double::tanh(0.5 * z), Double::from(z));
        let slope = s * Double::sigmoid(-z.0);
        let bend = slope * (two - z * tanh);
        [
            (z * s, 0.0),
            (
                s * (one + z * Double::sigmoid(-z.0)),
                s.0.max(product(z, slope)),
            ),
            (bend, slope.0 * 2.0_f64.max(product(z, tanh))),
        ]
    });
    // 2√(2/π), and 0.044715 times that, to 32 digits.
    let scale = Double(1.595_769_121_605_730_8, -9.969_308_809_110_92e-17);
    let cubic = Double(0.071_354_816_272_600_25, -6.175_149_918_155_315e-19);
    check_curve(
        FastActivation::GeluTanh,
        &grid::<R>(end_of_tanh, 8_000),
        |z| {
            let z = Double::from(z);
            let square = z * z;
            let v = z * (scale + cubic * square);
            let rate = scale + cubic * square * 3.0.into();
            let e = if v.0 < 0.0 { v } else { -v }.exp();
            let larger = (one + e).reciprocal();
            let slope = e * larger * larger;
            let s = if v.0 < 0.0 { e * larger } else { larger };
            let tanh = (one - e) * larger;
            let tanh = if v.0 < 0.0 { -tanh } else { tanh };
            let straight = two * rate + cubic * square * 6.0.into();
            let bent = z * rate * rate * tanh;
            [
                (z * s, 0.0),
                (s + z * rate * slope, s.0),
                (slope * (straight - bent), slope.0 * straight.0.max(bent.0)),
            ]
        },
    );
    let tail: Vec<R> = (0..8_000)
        .map(|i| R::of(-2.0 - (end - 2.0) * f64::from(i) / 8_000.0))
        .collect();
    let density = Double(0.398_942_280_401_432_7, -2.499_232_701_463_665e-17);
    check_curve(FastActivation::Gelu, &tail, |z| {
        let square = Double::from(z) * Double::from(z);
        let density = density * (square * Double::from(-0.5)).exp();
        let (z, ratio) = (Double::from(z), mills_ratio(-z));
        let bend = density * (two - square);
        [z * density * ratio, density * (ratio + z), bend].map(|x| (x, 0.0))
    });
}

#[test]
fn f64_curves_are_within_4_units() {
    curves_are_within_4_units::<f64>(37.0, 21.0);
}

#[test]
fn f32_curves_are_within_4_units() {
    curves_are_within_4_units::<f32>(13.0, 10.2);
}

/// Compares the reference itself with values from mpmath at 40 digits.
#[test]
fn double_double_numbers_are_exact() {
    let close = |found: Double, expected: Double| {
        let difference = (found - expected).0.abs();
        assert!(difference <= 1e-28 * expected.0.abs(), "{found:?}");
    };
    let e = Double(std::f64::consts::E, 1.445_646_891_729_250_2e-16);
    close(Double::from(1.0).exp(), e);
    close(
        Double::softplus(-3.0),
        Double(0.048_587_351_573_742_06, -2.891_114_904_506_295_4e-18),
    );
    close(
        Double::tanh(0.7),
        Double(0.604_367_777_117_163_5, -2.791_618_001_542_534_6e-17),
    );
}
