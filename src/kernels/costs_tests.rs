//! Softmax and the costs against the plain loops, which run on dual numbers here.

use super::super::level::at_every_level;
use super::super::softmax::{softmax, softmax_at};
use super::super::squash::{categorical_cross_entropy_delta, categorical_cross_entropy_delta_at};
use super::*;
use crate::activation::{Activation as _, AnyActivation};
use crate::cost::{AnyCost, Cost as _, Outputs};
use nalgebra::DMatrix;
use num_dual::Dual64;

const SHAPES: [(usize, usize); 16] = [
    (0, 3),
    (3, 0),
    (1, 1),
    (1, 4),
    (1, 130),
    (2, 5),
    (3, 32),
    (3, 257),
    (8, 4),
    (10, 1),
    (10, 64),
    (16, 9),
    (37, 5),
    (128, 3),
    (130, 2),
    (1100, 2),
];

/// z with wide and narrow columns, hard and soft targets, and softmax by the plain loops.
struct Case {
    rows: usize,
    z: DMatrix<Dual64>,
    a: DMatrix<Dual64>,
    y: DMatrix<Dual64>,
}

impl Case {
    fn new(rows: usize, columns: usize) -> Self {
        let z = DMatrix::from_fn(rows, columns, |i, k| {
            let wave = ((7 * i + 3 * k + rows) as f64).sin();
            // Exact in `f32`, so that both scalars start from the same numbers.
            let scale = [1.0, 40.0, 1e4, 1e-3][k % 4];
            Dual64::from(f64::from((scale * wave) as f32))
        });
        let y = DMatrix::from_fn(rows, columns, |i, k| {
            let hard = if (i + k) % rows.max(1) == 0 { 1.0 } else { 0.0 };
            Dual64::from(if k % 3 == 2 { 0.25 } else { hard })
        });
        let mut a = z.clone();
        AnyActivation::Softmax.forward(z.as_view(), a.as_view_mut());
        Self { rows, z, a, y }
    }

    /// Returns the costs and δ by the plain loops.
    fn plain(&self, cost: AnyCost, a: &DMatrix<Dual64>) -> [Vec<f64>; 2] {
        let mut values = vec![Dual64::from(7.0); self.z.ncols()];
        let mut delta = self.z.clone();
        let z = Some(self.z.as_view());
        let at = || Outputs::new(z, a.as_view(), self.y.as_view());
        cost.values(&at(), &mut values);
        cost.delta(&at(), delta.as_view_mut());
        [
            values.iter().map(|x| x.re).collect(),
            delta.iter().map(|x| x.re).collect(),
        ]
    }
}

/// Returns the entries as the tested scalar.
fn of<R: Real>(x: &DMatrix<Dual64>) -> Vec<R> {
    x.iter().map(|x| R::of(x.re)).collect()
}

fn epsilon<R: Real>() -> f64 {
    if size_of::<R>() == 4 {
        f32::EPSILON.into()
    } else {
        f64::EPSILON
    }
}

fn assert_close<R: Real + Into<f64>>(found: &[R], expected: &[f64], units: f64, name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let smallest = f64::from(f32::MIN_POSITIVE);
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let found: f64 = found.into();
        // The rounding of z changes eᶻ by |z| units.
        let units = units - 2.0 * expected.abs().clamp(1e-300, 1.0).ln();
        let bound = units * epsilon::<R>() * expected.abs() + smallest;
        assert!(
            (found - expected).abs() <= bound,
            "{name}, {i}: {found} instead of {expected}"
        );
    }
}

fn equal_the_plain_loops<R: Real + Into<f64>>() {
    at_every_level(|level| {
        for (rows, columns) in SHAPES {
            let case = Case::new(rows, columns);
            let name = |what: &str| format!("{what} of {rows} x {columns}, {level:?}");
            let (z, y): (Vec<R>, Vec<R>) = (of(&case.z), of(&case.y));
            // Rounding errors add up in a column.
            let units = 16.0 + (case.rows as f64).sqrt();
            let outputs = || vec![R::of(7.0); columns];
            let entries = || vec![R::of(7.0); rows * columns];

            let mut a = z.clone();
            softmax_at(rows, &mut a);
            let expected: Vec<f64> = case.a.iter().map(|a| a.re).collect();
            assert_close(&a, &expected, units, &name("softmax"));

            let [values, delta] = case.plain(AnyCost::CategoricalCrossEntropy, &case.a);
            let mut found = outputs();
            let at = OutputSlices {
                z: &z,
                a: &a,
                y: &y,
            };
            categorical_cross_entropy_at(rows, at, &mut found);
            assert_close(&found, &values, units, &name("categorical"));
            let mut found = entries();
            categorical_cross_entropy_delta_at(rows, at, &mut found);
            // Soft targets can be near the outputs, where any order of operations loses digits.
            let soft = |i: &usize| i / rows.max(1) % 3 == 2;
            let (near, far): (Vec<_>, Vec<_>) = (0..found.len()).partition(soft);
            let near: f64 = near
                .iter()
                .map(|&i| (found[i].into() - delta[i]).abs())
                .fold(0.0, f64::max);
            assert!(
                near <= units * epsilon::<R>(),
                "{}: {near}",
                name("categorical delta")
            );
            let found: Vec<R> = far.iter().map(|&i| found[i]).collect();
            let delta: Vec<f64> = far.iter().map(|&i| delta[i]).collect();
            assert_close(&found, &delta, 4.0 * units, &name("categorical delta"));

            let [values, delta] = case.plain(AnyCost::BinaryCrossEntropy, &case.a);
            let mut found = outputs();
            column_sums(BinaryCrossEntropy, rows, &z, &y, &mut found);
            assert_close(&found, &values, units, &name("cross-entropy"));
            let mut found = entries();
            zip(BinaryCrossEntropyDelta, &z, &y, &mut found);
            assert_close(&found, &delta, units, &name("cross-entropy delta"));

            // z as outputs, so that the differences have all sizes and are exact.
            let [values, _] = case.plain(AnyCost::SquaredError, &case.z);
            let mut found = outputs();
            column_sums(SquaredError, rows, &z, &y, &mut found);
            assert_close(&found, &values, units, &name("squared error"));
        }
    });
}

#[test]
fn softmax_and_costs_equal_the_plain_loops() {
    equal_the_plain_loops::<f32>();
    equal_the_plain_loops::<f64>();
}

/// Checks the costs where σ(z) has rounded, at lengths on both sides of a register.
#[test]
fn saturated_digits_are_kept() {
    at_every_level(|_| {
        for length in [1, 7, 8, 9, 17] {
            let pair = |z: f64, y: f64| (vec![z; length], vec![y; length]);
            let mut out = vec![7.0; length];
            let (z, y) = pair(40.0, 1.0);
            zip(BinaryCrossEntropyDelta, &z, &y, &mut out);
            let expected = -(-40.0_f64).exp();
            assert!(out.iter().all(|d| (d / expected - 1.0).abs() < 1e-15));
            column_sums(BinaryCrossEntropy, 1, &z, &y, &mut out);
            assert!(out.iter().all(|c| (c / -expected - 1.0).abs() < 1e-15));
            let (z, y) = pair(-800.0, 1.0);
            column_sums(BinaryCrossEntropy, 1, &z, &y, &mut out);
            assert!(out.iter().all(|&c| c == 800.0));
            let (z, y) = pair(f64::NAN, 1.0);
            column_sums(BinaryCrossEntropy, 1, &z, &y, &mut out);
            assert!(out.iter().all(|c| c.is_nan()));
        }
    });
}

/// Checks ln Σ eᶻ − max z over the whole range of the largest output, from 1/K to 1.
#[test]
fn the_log_of_the_sum_is_accurate() {
    at_every_level(|level| {
        for i in 0..2_000 {
            let gap = 0.01 * f64::from(i);
            let z = [-gap, 0.0, -2.0 * gap, -gap];
            let mut a = z;
            softmax_at(4, &mut a);
            let mut value = [7.0];
            let y = [0.0, 1.0, 0.0, 0.0];
            let (z, a, y) = (&z, &a, &y);
            categorical_cross_entropy_at(4, OutputSlices { z, a, y }, &mut value);
            let others = 2.0 * (-gap).exp() + (-2.0 * gap).exp();
            let expected = others.ln_1p();
            let error = (value[0] / expected - 1.0).abs() / f64::EPSILON;
            assert!(error < 6.0, "{level:?}, {gap}: {error} units");
        }
    });
}

/// A NaN reaches the cost of its own column and of no other.
#[test]
fn nan_stays_in_its_column() {
    at_every_level(|_| {
        for bad in 0..3 {
            let mut z = [0.5_f64; 9];
            z[3 + bad] = f64::NAN;
            let mut a = z;
            softmax_at(3, &mut a);
            assert!(a[3..6].iter().all(|a| a.is_nan()), "{bad}");
            assert!((a[0] - 1.0 / 3.0).abs() < 1e-15 && a[8] == a[0]);
            let mut values = [7.0; 3];
            let (z, a, y) = (&z, &a, &[1.0; 9]);
            categorical_cross_entropy_at(3, OutputSlices { z, a, y }, &mut values);
            assert!(values[1].is_nan() && (values[2] - 3.0 * 3.0_f64.ln()).abs() < 1e-14);
        }
    });
}

#[test]
fn only_f32_and_f64_have_fast_paths() {
    let (z, y) = ([0.5_f32, -1.0, 2.0, 0.0], [0.0, 1.0, 1.0, 0.0]);
    let mut a = z;
    assert!(softmax(2, &mut a));
    let (mut values, mut delta) = ([7.0; 2], [7.0; 4]);
    let at = OutputSlices {
        z: &z,
        a: &a,
        y: &y,
    };
    assert!(categorical_cross_entropy(2, at, &mut values));
    assert!((values[0] - (1.0 + 1.5_f32.exp()).ln()).abs() < 1e-6);
    assert!(categorical_cross_entropy_delta(2, at, &mut delta));
    assert!(
        delta
            .iter()
            .zip(a.iter().zip(y))
            .all(|(d, (a, y))| (d - (a - y)).abs() < 1e-6)
    );
    assert!(binary_cross_entropy(2, &z, &y, &mut values));
    assert!((values[1] - ((-2.0_f32).exp().ln_1p() + 2.0_f32.ln())).abs() < 1e-6);
    assert!(binary_cross_entropy_delta(&z, &y, &mut delta));
    assert!((delta[3] - 0.5).abs() < 1e-6);
    assert!(squared_error(2, &z, &y, &mut values));
    assert_eq!(values, [2.125, 0.5]);

    let mut wide = [0.0, 3.0_f64.ln()];
    assert!(softmax(2, &mut wide));
    assert!((wide[1] - 0.75).abs() < 1e-15);

    let z = [Dual64::from(0.5); 2];
    let (mut out, mut values) = (z, [Dual64::from(7.0)]);
    let at = OutputSlices {
        z: &z,
        a: &z,
        y: &z,
    };
    assert!(!softmax(2, &mut out) && !binary_cross_entropy_delta(&z, &z, &mut out));
    assert!(!categorical_cross_entropy_delta(2, at, &mut out) && out == z);
    assert!(!categorical_cross_entropy(2, at, &mut values));
    assert!(!binary_cross_entropy(2, &z, &z, &mut values));
    assert!(!squared_error(2, &z, &z, &mut values) && values[0].re == 7.0);
}
