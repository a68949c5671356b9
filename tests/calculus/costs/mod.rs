//! Every built-in cost: by hand, on both paths, at the extremes, and with dual numbers.
#![allow(
    clippy::unwrap_used,
    reason = "fixtures that cannot fail, outside test functions"
)]

mod domain;
mod extremes;
mod extremes_table;
mod saturated;
mod tangents;
mod ulps;
mod weighted;

use crate::support::activations;
use backprop::Scalar;
use backprop::activation::{
    Activation, AnyActivation, Exponential, Identity, Sigmoid, Softmax, Softplus,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Huber, LogCosh, Outputs, Poisson,
    SquaredError,
};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::{DMatrix, convert};
use num_dual::{Dual2_64, Dual64};

const HUBER: AnyCost = Huber { delta: 0.75 };

/// Each cost with its canonical activation.
const CANONICAL: [(AnyCost, AnyActivation); 6] = [
    (BinaryCrossEntropy, Sigmoid),
    (CategoricalCrossEntropy, Softmax),
    (SquaredError, Identity),
    (HUBER, Identity),
    (LogCosh, Identity),
    (Poisson, Exponential),
];

/// The path: canonical if z is given, general otherwise.
type Z<'a, T> = Option<&'a DMatrix<T>>;

/// The cost of each example, written over NaN.
fn values<T: Scalar>(cost: AnyCost, z: Z<'_, T>, a: &DMatrix<T>, y: &DMatrix<T>) -> Vec<T> {
    let mut values = vec![convert(f64::NAN); y.ncols()];
    let at = Outputs::new(z.map(DMatrix::as_view), a.as_view(), y.as_view());
    cost.values(&at, &mut values);
    values
}

/// ∂cost/∂z with z, else ∂cost/∂a, written over NaN.
fn delta<T: Scalar>(cost: AnyCost, z: Z<'_, T>, a: &DMatrix<T>, y: &DMatrix<T>) -> DMatrix<T> {
    let mut delta = DMatrix::repeat(y.nrows(), y.ncols(), convert(f64::NAN));
    let at = Outputs::new(z.map(DMatrix::as_view), a.as_view(), y.as_view());
    cost.delta(&at, delta.as_view_mut());
    delta
}

fn activate<T: Scalar>(g: AnyActivation, z: &DMatrix<T>) -> DMatrix<T> {
    let mut a = DMatrix::repeat(z.nrows(), z.ncols(), convert(f64::NAN));
    g.forward(z.as_view(), a.as_view_mut());
    a
}

/// Asserts a difference below `tolerance`, relative for numbers above 1. Fails for NaN.
#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let bound = tolerance * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= bound,
        "{what}: {found:e}, expected {expected:e}"
    );
}

/// Two units and two examples: sums over the units, one value per example.
#[test]
fn values_and_deltas_by_hand() {
    let a = DMatrix::from_column_slice(2, 2, &[0.8, 0.5, 0.25, 3.0]);
    let y = DMatrix::from_column_slice(2, 2, &[1.0, 0.0, 0.75, 0.5]);
    let ln = f64::ln;
    // d = (−0.2, 0.5), (−0.5, 2.5)
    let table: [(AnyCost, [f64; 2], [f64; 4]); 5] = [
        (
            CategoricalCrossEntropy,
            [-ln(0.8), -0.75 * ln(0.25) - 0.5 * ln(3.0)],
            [-1.25, 0.0, -3.0, -0.5 / 3.0],
        ),
        (
            SquaredError,
            [0.02 + 0.125, 0.125 + 3.125],
            [-0.2, 0.5, -0.5, 2.5],
        ),
        (
            HUBER,
            [0.02 + 0.125, 0.125 + 0.75 * (2.5 - 0.375)],
            [-0.2, 0.5, -0.5, 0.75],
        ),
        (
            LogCosh,
            [
                0.2_f64.cosh().ln() + 0.5_f64.cosh().ln(),
                0.5_f64.cosh().ln() + 2.5_f64.cosh().ln(),
            ],
            [
                -0.2_f64.tanh(),
                0.5_f64.tanh(),
                -0.5_f64.tanh(),
                2.5_f64.tanh(),
            ],
        ),
        (
            Poisson,
            [
                0.8 - ln(0.8) + 0.5,
                0.25 - 0.75 * ln(0.25) + 3.0 - 0.5 * ln(3.0),
            ],
            [1.0 - 1.25, 1.0, 1.0 - 3.0, 1.0 - 0.5 / 3.0],
        ),
    ];
    for (cost, expected, slopes) in table {
        let (value, d) = (values(cost, None, &a, &y), delta(cost, None, &a, &y));
        for k in 0..2 {
            assert_close(&format!("{cost:?}"), value[k], expected[k], 1e-15);
        }
        for i in 0..4 {
            assert_close(&format!("δ of {cost:?}"), d[i], slopes[i], 1e-15);
        }
    }
    // Hard targets (1, 0) and soft ones.
    let a = DMatrix::from_column_slice(2, 2, &[0.8, 0.5, 0.25, 0.9]);
    let y = DMatrix::from_column_slice(2, 2, &[1.0, 0.0, 0.75, 0.5]);
    let value = values(BinaryCrossEntropy, None, &a, &y);
    assert_close("hard", value[0], -ln(0.8) - ln(0.5), 1e-15);
    let first = -0.75 * ln(0.25) - 0.25 * ln(0.75);
    let soft = first - 0.5 * ln(0.9) - 0.5 * ln(0.1);
    assert_close("soft", value[1], soft, 1e-15);
    let d = delta(BinaryCrossEntropy, None, &a, &y);
    let slopes = [-1.25, 2.0, 0.25 / 0.75 - 3.0, 0.5 / 0.1 - 0.5 / 0.9];
    for i in 0..4 {
        assert_close("δ", d[i], slopes[i], 1e-14);
    }
}

/// At its limit, Huber's cost and its derivative agree from both sides.
#[test]
fn huber_at_its_limit() {
    let y = DMatrix::repeat(1, 4, 0.0);
    let a = DMatrix::from_row_slice(1, 4, &[0.75, -0.75, 0.75_f64.next_up(), -10.0]);
    let value = values(HUBER, None, &a, &y);
    assert_eq!(value[..2], [0.281_25, 0.281_25]);
    assert_close("beyond", value[2], 0.281_25, 1e-15);
    assert_eq!(value[3], 0.75 * (10.0 - 0.375));
    let slopes = [0.75, -0.75, 0.75, -0.75];
    assert_eq!(delta(HUBER, None, &a, &y).as_slice(), &slopes);
}

/// Where both paths can be represented, they agree: in the cost, and in ∂cost/∂z from ∂cost/∂a and
/// g′.
#[test]
fn canonical_path_equals_general_path() {
    let z = DMatrix::from_fn(4, 9, |i, j| (2.7 * (9 * i + j) as f64).sin() * 5.0);
    let y = DMatrix::from_fn(4, 9, |i, j| ((i * j) as f64).cos().abs());
    for (cost, g) in CANONICAL {
        let a = activate(g, &z);
        let (canonical, general) = (values(cost, Some(&z), &a, &y), values(cost, None, &a, &y));
        for k in 0..9 {
            assert_close(&format!("{cost:?}"), canonical[k], general[k], 1e-12);
        }
        let mut general = delta(cost, None, &a, &y);
        g.backward(z.as_view(), a.as_view(), general.as_view_mut());
        let canonical = delta(cost, Some(&z), &a, &y);
        for i in 0..z.len() {
            let what = format!("∂cost/∂z of {cost:?}");
            assert_close(&what, canonical[i], general[i], 1e-12);
        }
    }
}

/// Targets that do not sum to 1: δ = a Σy − y, and the cost is still −Σ y ln a.
#[test]
fn categorical_with_other_sums() {
    let z = DMatrix::from_column_slice(3, 2, &[0.5, -1.0, 2.0, 0.0, 0.25, -0.5]);
    let y = DMatrix::from_column_slice(3, 2, &[2.0, 0.5, 1.0, 0.0, 0.0, 0.0]);
    let a = activate(Softmax, &z);
    let d = delta(CategoricalCrossEntropy, Some(&z), &a, &y);
    for i in 0..3 {
        assert_close("δ", d[(i, 0)], 3.5 * a[(i, 0)] - y[(i, 0)], 1e-15);
        assert_eq!(d[(i, 1)], 0.0, "no target, no error");
    }
    let value = values(CategoricalCrossEntropy, Some(&z), &a, &y);
    let expected: f64 = (0..3).map(|i| -y[i] * a[i].ln()).sum();
    assert_close("cost", value[0], expected, 1e-15);
    assert_eq!(value[1], 0.0);
}

/// `delta` is the derivative of `values`, and on dual numbers it carries the second derivative.
/// Both hold on both paths, also at z = 0 and d = 0.
#[test]
fn dual_derivative_of_values_is_delta() {
    let grid: Vec<f64> = (-24..=24).map(|i| f64::from(i) / 8.0).collect();
    for (cost, g) in CANONICAL {
        // Softmax over two units, one of them constant.
        let rows = if g == Softmax { 2 } else { 1 };
        for canonical in [true, false] {
            for (&at, target) in grid.iter().flat_map(|z| [0.0, 0.5, 1.0].map(|y| (z, y))) {
                let y = [target, 1.0];
                let z = |z| if canonical { z } else { out_of(g, z) };
                let first = DMatrix::from_fn(rows, 1, |i, _| {
                    Dual64::new(z(if i == 0 { at } else { 0.25 }), f64::from(i == 0))
                });
                let second = first.map(|z| Dual2_64::new(z.re, z.eps, 0.0));
                let y1 = DMatrix::from_fn(rows, 1, |i, _| Dual64::from_re(y[i]));
                let y2 = DMatrix::from_fn(rows, 1, |i, _| Dual2_64::from_re(y[i]));
                let (value, d, twice) = if canonical {
                    let (a, a2) = (activate(g, &first), activate(g, &second));
                    let value = values(cost, Some(&first), &a, &y1)[0];
                    let d = delta(cost, Some(&first), &a, &y1)[0];
                    (value, d, values(cost, Some(&second), &a2, &y2)[0])
                } else {
                    let value = values(cost, None, &first, &y1)[0];
                    let d = delta(cost, None, &first, &y1)[0];
                    (value, d, values(cost, None, &second, &y2)[0])
                };
                let what = format!("{cost:?} at {at}, y = {target}, canonical: {canonical}");
                assert_close(&what, value.eps, d.re, 1e-14);
                // Huber's second derivative jumps at ±δ.
                let a = z(at);
                if cost != HUBER || (a - target).abs() != 0.75 {
                    assert_close(&format!("second of {what}"), d.eps, twice.v2, 1e-13);
                }
            }
        }
    }
}

/// A point in the domain of the cost, for the general path.
fn out_of(g: AnyActivation, z: f64) -> f64 {
    match g {
        Sigmoid | Softmax => activate(Sigmoid, &DMatrix::repeat(1, 1, z))[0],
        Exponential => z.exp(),
        _ => z,
    }
}

/// Every cost after every activation, at outputs in its domain.
#[test]
fn gradient_check_passes_for_all_pairs() {
    // Outputs in (0, 1), except for softplus and exponential, to keep every cost defined.
    let inner = DMatrix::from_fn(3, 4, |i, j| 0.15 + 0.06 * (4 * i + j) as f64);
    // Both signs for the costs that take them.
    let both = DMatrix::from_fn(3, 4, |i, j| 1.1 * i as f64 - 0.7 * j as f64 - 0.35);
    let y = DMatrix::from_fn(3, 4, |i, j| 0.5 + 0.5 * ((5 * i + 3 * j) as f64).sin());
    for (cost, canonical) in CANONICAL {
        for g in activations() {
            let plane = matches!(cost, SquaredError | Huber { .. } | LogCosh);
            let positive = matches!(g, Sigmoid | Softmax | Softplus | Exponential);
            let mut points = vec![];
            if cost != BinaryCrossEntropy || !matches!(g, Softplus | Exponential) {
                points.push(&inner);
            }
            if plane || (positive && (cost != BinaryCrossEntropy || matches!(g, Sigmoid | Softmax)))
            {
                points.push(&both);
            }
            for z in points {
                let report = GradientCheck::new().cost(&cost, &g, z, &y).unwrap();
                report.assert_passed();
                assert!(report.relative_error() < 1e-7, "{cost:?}, {g:?}\n{report}");
                let labels: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
                let both_paths: &[&str] = &["∂cost/∂a", "∂cost/∂z"];
                let expected = if g == canonical {
                    both_paths
                } else {
                    &both_paths[..1]
                };
                assert_eq!(labels, expected, "{cost:?} after {g:?}");
                assert_eq!(report.blocks[0].compared, 12);
            }
        }
    }
}
