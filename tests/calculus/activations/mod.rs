//! Every built-in activation: reference values, extremes, NaN and properties.

mod properties;
mod reference;
mod tangents;
mod ulps;

use crate::support::{SELU_FLOOR, SELU_SLOPE, activations, known_values};
use backprop::Scalar;
use backprop::activation::{
    Activation, AnyActivation, Elu, Exponential, HardTanh, LeakyRelu, Relu, Selu, Softmax, Softsign,
};
use backprop::nalgebra::{DMatrix, convert};
use num_dual::{Dual2_64, Dual64};

/// All activations except softmax.
fn elementwise() -> impl Iterator<Item = AnyActivation> {
    known_values().into_iter().map(|(g, ..)| g)
}

/// One unit, with one example per value.
fn row<T: Scalar>(z: &[f64]) -> DMatrix<T> {
    DMatrix::from_fn(1, z.len(), |_, j| convert(z[j]))
}

/// g(z), written over NaN.
fn value<T: Scalar>(g: AnyActivation, z: &DMatrix<T>) -> DMatrix<T> {
    let mut a = DMatrix::repeat(z.nrows(), z.ncols(), convert(f64::NAN));
    g.forward(z.as_view(), a.as_view_mut());
    a
}

/// g′(z), from the backward pass with δ = 1.
fn slope<T: Scalar>(g: AnyActivation, z: &DMatrix<T>) -> DMatrix<T> {
    let a = value(g, z);
    let mut delta = DMatrix::repeat(z.nrows(), z.ncols(), T::one());
    g.backward(z.as_view(), a.as_view(), delta.as_view_mut());
    delta
}

fn dual(z: f64) -> Dual64 {
    Dual64::new(z, 1.0)
}

/// Asserts equality, also of infinities, or a difference below `tolerance`. Fails for NaN.
#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        found == expected || (found - expected).abs() <= tolerance,
        "{what}: {found:e}, expected {expected:e}, tolerance {tolerance:e}"
    );
}

fn right_at_extremes<T: Scalar + Into<f64>>() {
    let epsilon: f64 = T::default_epsilon().into();
    let z = row::<T>(&[-800.0, 0.0, 800.0]);
    for (g, _, expected) in known_values() {
        let (a, d) = (value(g, &z), slope(g, &z));
        for (j, (value, slope)) in expected.into_iter().enumerate() {
            let what = format!("{g:?} at {:?}", z[j]);
            let limit = 4.0 * epsilon;
            assert_close(&what, a[j].into(), value, limit * value.abs());
            assert_close(&what, d[j].into(), slope, limit * slope.abs());
        }
    }
}

#[test]
fn f64_is_right_at_0_and_800() {
    right_at_extremes::<f64>();
}

#[test]
fn f32_is_right_at_0_and_800() {
    right_at_extremes::<f32>();
}

/// Both parts of forward, and both of backward: the second is g″.
#[test]
fn dual_numbers_are_right_at_0_and_800() {
    let z = row::<f64>(&[-800.0, 0.0, 800.0]).map(dual);
    for (g, _, expected) in known_values() {
        let (a, d) = (value(g, &z), slope(g, &z));
        for (j, (value, slope)) in expected.into_iter().enumerate() {
            let what = format!("{g:?} at {}", z[j].re);
            let limit = 4.0 * f64::EPSILON;
            assert_close(&what, a[j].re, value, limit * value.abs());
            assert_close(&what, a[j].eps, slope, limit * slope.abs());
            assert_close(&what, d[j].re, slope, limit * slope.abs());
            // δ · g′ = (1 + 0ε)(∞ + ∞ε) has no ε part. This is the only case that overflows.
            let overflows = g == Exponential && z[j].re == 800.0;
            assert!(overflows || d[j].eps.is_finite(), "{what}: {}", d[j].eps);
        }
    }
}

/// The forward pass gives g′ on dual numbers and g″ on second-order ones. The backward pass agrees
/// with the first, and on dual numbers with the second.
#[test]
fn dual_derivative_of_forward_is_backward() {
    let grid: Vec<f64> = (-48..=48).map(|i| f64::from(i) / 8.0).collect();
    let z = row::<f64>(&grid);
    for g in elementwise() {
        let first = value(g, &z.map(dual));
        let second = value(g, &z.map(|z| Dual2_64::new(z, 1.0, 0.0)));
        let (plain, analytic) = (value(g, &z), slope(g, &z.map(dual)));
        for j in 0..grid.len() {
            let what = format!("{g:?} at {}", z[j]);
            let limit = 1e-14 * plain[j].abs().max(1.0);
            assert_close(&what, first[j].re, plain[j], limit);
            assert_close(&what, first[j].eps, analytic[j].re, limit);
            // |z| has no second derivative at 0. Dual numbers take one side.
            if g != Softsign || z[j] != 0.0 {
                assert_close(&what, analytic[j].eps, second[j].v2, 4.0 * limit);
            }
        }
    }
}

/// Column j of the Jacobian from forward, row i from backward.
#[test]
fn dual_jacobian_of_softmax_is_backward() {
    let z = [0.3, -1.2, 2.5, 0.0];
    for j in 0..4 {
        let moved = DMatrix::from_fn(4, 1, |i, _| Dual64::new(z[i], f64::from(i == j)));
        let column = value(Softmax, &moved);
        for i in 0..4 {
            let z = DMatrix::from_column_slice(4, 1, &z);
            let a = value(Softmax, &z);
            let mut delta = DMatrix::from_fn(4, 1, |k, _| f64::from(k == i));
            Softmax.backward(z.as_view(), a.as_view(), delta.as_view_mut());
            assert_close("∂aᵢ/∂zⱼ", column[i].eps, delta[j], 1e-15);
        }
    }
}

/// One-sided derivatives: from the left, and 0 at both ends of hard tanh. Plain and dual numbers
/// agree, and so do −0 and 0.
#[test]
fn kinks_take_the_documented_side() {
    let negative = -0.25;
    let kinks: [(AnyActivation, f64, f64, f64); 7] = [
        // g, the kink, g′ at it, g′ right of it
        (Relu, 0.0, 0.0, 1.0),
        (LeakyRelu { slope: 0.01 }, 0.0, 0.01, 1.0),
        (LeakyRelu { slope: negative }, 0.0, negative, 1.0),
        (Elu { alpha: 1.5 }, 0.0, 1.5, 1.0),
        (Selu, 0.0, SELU_FLOOR, SELU_SLOPE),
        (HardTanh, -1.0, 0.0, 1.0),
        (HardTanh, 1.0, 0.0, 0.0),
    ];
    for (g, kink, at, right) in kinks {
        for z in [kink, if kink == 0.0 { -0.0 } else { kink }] {
            let what = format!("{g:?} at {z}");
            assert_close(&what, slope(g, &row::<f64>(&[z]))[0], at, 1e-15);
            assert_close(&what, value(g, &row(&[z]).map(dual))[0].eps, at, 1e-15);
        }
        let beside = row::<f64>(&[kink.next_up()]);
        assert_close("right of it", slope(g, &beside)[0], right, 1e-15);
    }
    let below_one = slope(HardTanh, &row::<f64>(&[1.0_f64.next_down()]));
    assert_close("left of 1", below_one[0], 1.0, 0.0);
}
