//! The vectorised loops against the plain ones, which run on dual numbers here.

use super::super::level::{Level, at_every_level};
use super::*;
use crate::activation::{Activation as _, AnyActivation};
use nalgebra::DMatrix;
use num_dual::Dual64;

const LENGTHS: [usize; 7] = [0, 1, 15, 16, 17, 63, 65];

const SPECIAL: [f64; 25] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -1.278,
    0.62,
    -0.63,
    1e-30,
    -1e-12,
    1e-4,
    -1e-3,
    7.0,
    -9.5,
    30.0,
    -41.0,
    88.0,
    -90.0,
    800.0,
    -800.0,
    1e4,
    -1e4,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn activations() -> [(FastActivation, AnyActivation); 13] {
    let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
    [
        (FastActivation::Sigmoid, AnyActivation::Sigmoid),
        (FastActivation::Tanh, AnyActivation::Tanh),
        (FastActivation::Relu, AnyActivation::Relu),
        (
            FastActivation::LeakyRelu { slope: 0.01 },
            AnyActivation::LeakyRelu { slope: 0.01 },
        ),
        (
            FastActivation::Elu {
                positive: scale,
                negative: scale * alpha,
            },
            AnyActivation::Selu,
        ),
        (FastActivation::Softplus, AnyActivation::Softplus),
        (FastActivation::Softsign, AnyActivation::Softsign),
        (FastActivation::Gelu, AnyActivation::Gelu),
        (FastActivation::GeluTanh, AnyActivation::GeluTanh),
        (FastActivation::Silu, AnyActivation::Silu),
        (FastActivation::Mish, AnyActivation::Mish),
        (FastActivation::HardTanh, AnyActivation::HardTanh),
        (FastActivation::Exponential, AnyActivation::Exponential),
    ]
}

/// Returns g(z) and g′(z) by the plain loops.
fn plain(activation: AnyActivation, z: &[f64]) -> [Vec<f64>; 2] {
    let row = DMatrix::from_iterator(1, z.len(), z.iter().map(|&z| Dual64::from(z)));
    let mut a = row.clone();
    activation.forward(row.as_view(), a.as_view_mut());
    let mut delta = DMatrix::repeat(1, z.len(), Dual64::from(1.0));
    activation.backward(row.as_view(), a.as_view(), delta.as_view_mut());
    [a, delta].map(|x| x.iter().map(|x| x.re).collect())
}

fn inputs<R: Real>(length: usize) -> Vec<R> {
    let waves = (0..).map(|i| 12.0 * f64::from(i).sin());
    SPECIAL
        .into_iter()
        .chain(waves)
        .map(R::of)
        .take(length)
        .collect()
}

/// A tested scalar, with its precision.
trait Tested: Real + Into<f64> {
    const EPSILON: f64;
    const SMALLEST: f64;
}

impl Tested for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const SMALLEST: f64 = f32::MIN_POSITIVE as f64;
}

impl Tested for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const SMALLEST: f64 = f64::MIN_POSITIVE;
}

/// Asserts equality up to a few roundings, and exactly for NaN and ∞.
fn assert_close<R: Tested>(
    found: R,
    expected: f64,
    function: FastActivation,
    level: Level,
    z: f64,
) {
    // `of` rounds a number that is too large for the type to ∞.
    let (found, rounded): (f64, f64) = (found.into(), R::of(expected).into());
    if !rounded.is_finite() {
        assert!(
            found == rounded || found.is_nan() && rounded.is_nan(),
            "{function:?} at {z}, {level:?}: {found} instead of {expected}"
        );
        return;
    }
    let units = match function {
        // The plain loop rounds the arguments of its exponentials.
        FastActivation::Gelu | FastActivation::GeluTanh => {
            8.0 - 8.0 * expected.abs().clamp(1e-300, 1.0).ln()
        }
        _ => 8.0,
    };
    // The derivatives of these have a root, where the terms of a sum cancel.
    let cancelled = match function {
        FastActivation::Silu
        | FastActivation::Mish
        | FastActivation::Gelu
        | FastActivation::GeluTanh
            if z.abs() < 2.0 =>
        {
            4.0
        }
        _ => 0.0,
    };
    let bound = R::EPSILON * (units * rounded.abs() + cancelled) + R::SMALLEST;
    assert!(
        (found - expected).abs() <= bound,
        "{function:?} at {z}, {level:?}: {found} instead of {expected}"
    );
}

fn equals_the_plain_loop<R: Tested>() {
    for (function, activation) in activations() {
        for length in LENGTHS {
            let z = inputs::<R>(length);
            let wide: Vec<f64> = z.iter().map(|&z| z.into()).collect();
            let [values, slopes] = plain(activation, &wide);
            at_every_level(|level| {
                let (mut a, mut slope) = (z.clone(), vec![R::of(7.0); length]);
                activate_at(function, &mut a, Some(&mut slope));
                let mut alone = z.clone();
                activate_at(function, &mut alone, None);
                let mut applied = vec![R::of(7.0); length];
                apply_at(function, &z, &mut applied);
                let mut delta = vec![R::TWO; length];
                scale_by_slope_at(function, &z, &mut delta);
                for i in 0..length {
                    let at = wide[i];
                    assert_close(a[i], values[i], function, level, at);
                    assert_close(slope[i], slopes[i], function, level, at);
                    // An entry has the same bits at any position, with or without its derivative.
                    let mut single = [z[i]];
                    activate_at(function, &mut single, None);
                    let nan = a[i].into().is_nan();
                    assert!(alone[i] == a[i] || nan, "{function:?} at {at}, {level:?}");
                    assert!(applied[i] == a[i] || nan, "{function:?} at {at}, {level:?}");
                    assert!(single[0] == a[i] || nan, "{function:?} at {at}, {level:?}");
                    let same = delta[i] == R::TWO * slope[i];
                    assert!(
                        same || slope[i].into().is_nan(),
                        "{function:?} at {at}, {level:?}"
                    );
                }
            });
        }
    }
}

#[test]
fn every_activation_equals_the_plain_loop() {
    equals_the_plain_loop::<f32>();
    equals_the_plain_loop::<f64>();
}

#[test]
fn limits_are_exact() {
    at_every_level(|_| {
        let at = |function, z: f64| {
            let (mut a, mut slope) = ([z], [f64::NAN]);
            activate_at(function, &mut a, Some(&mut slope));
            (a[0], slope[0])
        };
        assert_eq!(at(FastActivation::Sigmoid, 800.0), (1.0, 0.0));
        assert_eq!(at(FastActivation::Sigmoid, -800.0), (0.0, 0.0));
        assert_eq!(at(FastActivation::Tanh, 1e4), (1.0, 0.0));
        assert_eq!(at(FastActivation::Tanh, f64::NEG_INFINITY), (-1.0, 0.0));
        assert!(at(FastActivation::Tanh, -0.0).0.is_sign_negative());
        assert!(at(FastActivation::Tanh, 0.0).0.is_sign_positive());
        assert_eq!(
            at(FastActivation::Exponential, f64::INFINITY).0,
            f64::INFINITY
        );
        assert_eq!(at(FastActivation::Exponential, -746.0).0, 0.0);
        assert_eq!(at(FastActivation::Exponential, -745.0).0, 5e-324);
        assert_eq!(at(FastActivation::Softplus, -f64::INFINITY), (0.0, 0.0));
        // Where 1 − a has rounded to 0, the slope still has all its digits.
        let (a, slope) = at(FastActivation::Sigmoid, 40.0);
        assert_eq!(a, 1.0);
        assert!((slope / (-40.0_f64).exp() - 1.0).abs() < 1e-15);
        for (function, _) in activations() {
            let (a, slope) = at(function, f64::NAN);
            assert!(a.is_nan() && slope.is_nan(), "{function:?}");
        }
    });
}

#[test]
fn only_f32_and_f64_have_fast_paths() {
    let z = [0.25_f32, -3.0, 5.0];
    let (mut a, mut slope, mut delta) = (z, [0.0; 3], [2.0; 3]);
    assert!(activate(FastActivation::Tanh, &mut a, Some(&mut slope)));
    assert!(a.iter().zip(z).all(|(a, z)| (a - z.tanh()).abs() < 1e-6));
    let mut b = [0.0; 3];
    assert!(apply(FastActivation::Tanh, &z, &mut b));
    assert_eq!(a, b);
    assert!(scale_by_slope(FastActivation::Tanh, &z, &mut delta));
    multiply(&mut b, &slope);
    assert_eq!(b, [0, 1, 2].map(|i| a[i] * slope[i]));
    assert_eq!(delta, slope.map(|s| 2.0 * s));

    let mut wide = [0.25_f64];
    assert!(activate(FastActivation::Tanh, &mut wide, None));
    assert!((wide[0] - 0.25_f64.tanh()).abs() < 1e-15);

    let z = [Dual64::new(0.25, 1.0)];
    let mut a = z;
    assert!(!activate(FastActivation::Tanh, &mut a, None));
    assert!(!apply(FastActivation::Tanh, &z, &mut a));
    assert!(!scale_by_slope(FastActivation::Tanh, &z, &mut a));
    assert_eq!(a, z);
    multiply(&mut a, &z);
    assert_eq!(a, [z[0] * z[0]]);
}

#[test]
fn every_non_finite_entry_is_found() {
    at_every_level(|level| {
        for length in LENGTHS {
            let mut x = vec![-1e300; length];
            let all = |x: &[f64]| launch(AllFinite(x), &mut [], &mut []);
            assert!(all(&x));
            for i in 0..length {
                for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    x[i] = bad;
                    assert!(!all(&x), "{bad} at {i} of {length}, {level:?}");
                }
                x[i] = 0.0;
            }
        }
    });
    assert!(all_finite(&[1.0_f32]) && !all_finite(&[1.0, f32::INFINITY]));
    assert!(all_finite(&[1.0_f64]) && !all_finite(&[f64::NAN]));
    let nan = Dual64::from(f64::NAN);
    assert!(all_finite(&[Dual64::from(1.0)]) && !all_finite(&[nan]));
}

fn quotients<R: Tested>(smallest_normal: f64, largest: f64, unit: f64) {
    // Whole registers and a tail, with both signs, zeros, subnormal numbers and the largest ones.
    let mut values: Vec<f64> = (0..500)
        .map(|i| f64::from(i - 250) * 1.7_f64.powi(i % 60 - 30))
        .collect();
    values.extend([
        0.0,
        -0.0,
        largest,
        -largest,
        smallest_normal,
        40.0 * smallest_normal * unit,
    ]);
    values.extend([f64::INFINITY, f64::NEG_INFINITY]);
    let divisors = [
        1.0, 2.0, 3.0, 10.0, 64.0, 5000.0, 60_000.0, 0.3, 1e-20, 1e36,
    ];
    at_every_level(|level| {
        for divisor in divisors.map(R::of) {
            let values: Vec<R> = values.iter().map(|&x| R::of(x)).collect();
            let mut found = values.clone();
            let finite = divide(&mut found, divisor);
            let exact: Vec<R> = values.iter().map(|&x| x / divisor).collect();
            for (&found, &exact) in found.iter().zip(&exact) {
                let (found, exact): (f64, f64) = (found.into(), exact.into());
                let what = format!("{found} instead of {exact}, / {divisor:?}, {level:?}");
                if exact.abs() < smallest_normal {
                    assert!((found - exact).abs() <= smallest_normal * unit, "{what}");
                } else {
                    assert_eq!(found, exact, "{what}");
                }
                assert_eq!(found.is_sign_negative(), exact.is_sign_negative(), "{what}");
            }
            assert!(!finite);
            let mut moderate = vec![R::of(0.5); 100];
            assert!(divide(&mut moderate, R::of(7.0)));
            moderate[50] = R::of(f64::NAN);
            assert!(!divide(&mut moderate, R::of(7.0)));
            assert!(Into::<f64>::into(moderate[50]).is_nan());
        }
    });
}

#[test]
fn quotients_are_correctly_rounded() {
    quotients::<f32>(
        f32::MIN_POSITIVE.into(),
        f32::MAX.into(),
        f32::EPSILON.into(),
    );
    quotients::<f64>(f64::MIN_POSITIVE, f64::MAX, f64::EPSILON);
}

fn sums_and_products<R: Tested>() {
    at_every_level(|level| {
        for length in [0, 1, 15, 16, 17, 31, 32, 33, 65, 200] {
            let x: Vec<R> = (0..length).map(|i| R::of(f64::from(i) - 7.3)).collect();
            let y: Vec<R> = (0..length)
                .map(|i| R::of(1.0 / (f64::from(i) + 0.7)))
                .collect();
            let (mut sum, mut product) = (x.clone(), x.clone());
            add(&mut sum, &y);
            multiply(&mut product, &y);
            for (i, (&x, &y)) in x.iter().zip(&y).enumerate() {
                assert!(
                    sum[i] == x + y && product[i] == x * y,
                    "{i} of {length}, {level:?}"
                );
            }
        }
    });
}

#[test]
fn sums_and_products_have_the_bits_of_a_plain_loop() {
    sums_and_products::<f32>();
    sums_and_products::<f64>();
}

/// Sums a million terms, and terms whose sum overflows, at every level.
#[test]
fn compensated_sums_do_not_drift() {
    at_every_level(|level| {
        let x: Vec<f32> = (0..37).map(|i| 0.1 + 0.01 * i as f32).collect();
        let (mut sums, mut lost) = (vec![0.0; 37], vec![0.0; 37]);
        for _ in 0..1_000_000 {
            add_exactly(&mut sums, &mut lost, &x);
        }
        for (&sum, &x) in sums.iter().zip(&x) {
            let error = (f64::from(sum) / (f64::from(x) * 1e6) - 1.0).abs();
            assert!(error < 1.2e-7, "{level:?}: {error:e}");
        }
        let (mut sums, mut lost) = (vec![f32::MAX; 37], vec![0.0; 37]);
        for _ in 0..3 {
            add_exactly(&mut sums, &mut lost, &[f32::MAX; 37]);
        }
        assert!(sums.iter().all(|&sum| sum == f32::INFINITY), "{level:?}");
        assert!(lost.iter().all(|&lost| lost == 0.0), "{level:?}");
    });
}
