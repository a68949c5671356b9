//! Second derivatives and tangents against dual numbers, at every level.

use super::super::elementwise::{activate, activate_at};
use super::super::level::at_every_level;
use super::*;
use crate::activation::{Activation as _, AnyActivation};
use nalgebra::DMatrix;
use num_dual::Dual64;

fn activations() -> [(FastActivation, AnyActivation); 13] {
    let (positive, negative) = (1.0, 0.7);
    [
        (FastActivation::Sigmoid, AnyActivation::Sigmoid),
        (FastActivation::Tanh, AnyActivation::Tanh),
        (FastActivation::Relu, AnyActivation::Relu),
        (
            FastActivation::LeakyRelu { slope: 0.01 },
            AnyActivation::LeakyRelu { slope: 0.01 },
        ),
        (
            FastActivation::Elu { positive, negative },
            AnyActivation::Elu { alpha: negative },
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

/// Returns g″(z), the dual part of g′.
fn exact(activation: AnyActivation, z: f64) -> f64 {
    let z = DMatrix::repeat(1, 1, Dual64::new(z, 1.0));
    let mut a = z.clone();
    activation.forward(z.as_view(), a.as_view_mut());
    let mut delta = DMatrix::repeat(1, 1, Dual64::from(1.0));
    activation.backward(z.as_view(), a.as_view(), delta.as_view_mut());
    delta[0].eps
}

/// Returns some hundred entries with a tail. None is at a kink.
fn inputs() -> Vec<f64> {
    let mut z: Vec<f64> = (0..517).map(|i| 0.0613 * (f64::from(i) - 258.3)).collect();
    z.extend([40.0, -40.0, 1e4, -1e4]);
    z
}

fn second_derivatives_are_exact<R: Real + Into<f64>>(epsilon: f64) {
    let z = inputs();
    let z: Vec<R> = z.iter().map(|&z| R::of(z)).collect();
    for (function, activation) in activations() {
        at_every_level(|level| {
            let nan = R::of(f64::NAN);
            let (mut a, mut slope, mut bend) = (z.clone(), vec![nan; z.len()], vec![nan; z.len()]);
            curve_at(function, &mut a, &mut slope, &mut bend);
            let (mut values, mut slopes) = (z.clone(), vec![nan; z.len()]);
            activate_at(function, &mut values, Some(&mut slopes));
            for (i, &z) in z.iter().enumerate() {
                let z: f64 = z.into();
                if function == FastActivation::Exponential && z > 80.0 {
                    continue; // eᶻ overflows in `f32`
                }
                assert!(a[i] == values[i] && slope[i] == slopes[i], "the same bits");
                let (found, expected): (f64, f64) = (bend[i].into(), exact(activation, z));
                // Near a root of g″ its terms cancel. For large |z|, e^(−|z|) is off by |z| units.
                let size = expected.abs() * (1.0 + z.abs()) + (-z.abs()).exp().min(1.0);
                let bound = 16.0 * epsilon * size + 1e-37;
                assert!(
                    (found - expected).abs() <= bound,
                    "{function:?} at {z}, {level:?}: {found} instead of {expected}"
                );
            }
        });
    }
}

#[test]
fn second_derivatives_equal_those_of_dual_numbers() {
    second_derivatives_are_exact::<f64>(f64::EPSILON);
    second_derivatives_are_exact::<f32>(f32::EPSILON.into());
}

#[test]
fn nan_stays_nan_and_dual_numbers_have_no_fast_path() {
    at_every_level(|_| {
        for (function, _) in activations() {
            let (mut a, mut slope, mut bend) = ([f64::NAN], [0.0], [0.0]);
            assert!(activate_with_curvature(
                function, &mut a, &mut slope, &mut bend
            ));
            assert!(bend[0].is_nan(), "{function:?}");
        }
    });
    let mut dual = [Dual64::new(0.5, 1.0)];
    let (mut slope, mut bend) = (dual, dual);
    let z = dual;
    assert!(!activate_with_curvature(
        FastActivation::Tanh,
        &mut dual,
        &mut slope,
        &mut bend
    ));
    assert_eq!(dual, z);
    assert!(!activate(FastActivation::Tanh, &mut dual, None));
}

#[test]
fn tangents_equal_the_formula() {
    at_every_level(|level| {
        for length in [0, 1, 15, 32, 33, 65, 200] {
            let wave = |phase: f64| -> Vec<f64> {
                (0..length).map(|i| (phase + f64::from(i)).sin()).collect()
            };
            let (z, slope, bend) = (wave(0.1), wave(0.2), wave(0.3));
            let (mut a, mut change) = (z.clone(), vec![f64::NAN; z.len()]);
            tangent(&mut a, &mut change, &slope, &bend);
            let (delta, dot) = (wave(0.4), wave(0.5));
            let (mut d, mut d_dot) = (delta.clone(), dot.clone());
            backward_tangent(&mut d, &mut d_dot, &slope, &bend);
            for i in 0..z.len() {
                let at = format!("{i} of {length}, {level:?}");
                assert_eq!((a[i], change[i]), (slope[i] * z[i], bend[i] * z[i]), "{at}");
                assert_eq!(d[i], slope[i] * delta[i], "{at}");
                assert_eq!(d_dot[i], slope[i] * dot[i] + bend[i] * delta[i], "{at}");
            }
        }
    });
}
