//! The second derivatives against those of dual numbers, at every level.

use super::super::elementwise::{Function, activate};
use super::super::level::at_every_level;
use super::*;
use crate::activation::{Activation as _, AnyActivation};
use nalgebra::DMatrix;
use num_dual::Dual64;

fn functions() -> [(Function, AnyActivation); 13] {
    let (positive, negative) = (1.0, 0.7);
    [
        (Function::Sigmoid, AnyActivation::Sigmoid),
        (Function::Tanh, AnyActivation::Tanh),
        (Function::Relu, AnyActivation::Relu),
        (
            Function::LeakyRelu { slope: 0.01 },
            AnyActivation::LeakyRelu { slope: 0.01 },
        ),
        (
            Function::Elu { positive, negative },
            AnyActivation::Elu { alpha: negative },
        ),
        (Function::Softplus, AnyActivation::Softplus),
        (Function::Softsign, AnyActivation::Softsign),
        (Function::Gelu, AnyActivation::Gelu),
        (Function::GeluTanh, AnyActivation::GeluTanh),
        (Function::Silu, AnyActivation::Silu),
        (Function::Mish, AnyActivation::Mish),
        (Function::HardTanh, AnyActivation::HardTanh),
        (Function::Exponential, AnyActivation::Exponential),
    ]
}

/// g″(z): the dual part of g′.
fn exact(activation: AnyActivation, z: f64) -> f64 {
    let z = DMatrix::repeat(1, 1, Dual64::new(z, 1.0));
    let mut a = z.clone();
    activation.forward(z.as_view(), a.as_view_mut());
    let mut delta = DMatrix::repeat(1, 1, Dual64::from(1.0));
    activation.backward(z.as_view(), a.as_view(), delta.as_view_mut());
    delta[0].eps
}

/// No multiples of the step are kinks; some hundred entries with a tail.
fn inputs() -> Vec<f64> {
    let mut z: Vec<f64> = (0..517).map(|i| 0.0613 * (f64::from(i) - 258.3)).collect();
    z.extend([40.0, -40.0, 1e4, -1e4]);
    z
}

fn second_derivatives_are_exact<R: Real + Into<f64>>(epsilon: f64) {
    let z = inputs();
    let z: Vec<R> = z.iter().map(|&z| R::of(z)).collect();
    for (function, activation) in functions() {
        at_every_level(|level| {
            let nan = R::of(f64::NAN);
            let (mut a, mut slope, mut bend) = (z.clone(), vec![nan; z.len()], vec![nan; z.len()]);
            curve_at(function, &mut a, &mut slope, &mut bend);
            let (mut values, mut slopes) = (z.clone(), vec![nan; z.len()]);
            super::super::elementwise::activate_at(function, &mut values, Some(&mut slopes));
            for (i, &z) in z.iter().enumerate() {
                let z: f64 = z.into();
                if function == Function::Exponential && z > 80.0 {
                    continue; // it overflows, as it must
                }
                assert!(a[i] == values[i] && slope[i] == slopes[i], "the same bits");
                let (found, expected): (f64, f64) = (bend[i].into(), exact(activation, z));
                // Near a root of g″ its terms cancel; far out e^(−|z|) moves by |z| roundings.
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
fn every_second_derivative_is_that_of_dual_numbers() {
    second_derivatives_are_exact::<f64>(f64::EPSILON);
    second_derivatives_are_exact::<f32>(f32::EPSILON.into());
}

#[test]
fn nan_stays_nan() {
    at_every_level(|_| {
        for (function, _) in functions() {
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
        Function::Tanh,
        &mut dual,
        &mut slope,
        &mut bend
    ));
    assert_eq!(dual, z);
    assert!(!activate(Function::Tanh, &mut dual, None));
}

#[test]
fn loops_along_a_direction_are_those_of_the_formula() {
    at_every_level(|level| {
        for length in [0, 1, 15, 32, 33, 65, 200] {
            let wave = |phase: f64| -> Vec<f64> {
                (0..length).map(|i| (phase + f64::from(i)).sin()).collect()
            };
            let (z, slope, bend) = (wave(0.1), wave(0.2), wave(0.3));
            let (mut a, mut change) = (z.clone(), vec![f64::NAN; z.len()]);
            tangent(&mut a, &mut change, (&slope, &bend));
            let (delta, dot) = (wave(0.4), wave(0.5));
            let (mut d, mut d_dot) = (delta.clone(), dot.clone());
            backward_tangent(&mut d, &mut d_dot, (&slope, &bend));
            for i in 0..z.len() {
                let at = format!("{i} of {length}, {level:?}");
                assert_eq!((a[i], change[i]), (slope[i] * z[i], bend[i] * z[i]), "{at}");
                assert_eq!(d[i], slope[i] * delta[i], "{at}");
                assert_eq!(d_dot[i], slope[i] * dot[i] + bend[i] * delta[i], "{at}");
            }
        }
    });
}
