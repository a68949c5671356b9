//! Large and small values: z and differences of 1e4 in `f32`, and results of 1e-18 with all digits.

use super::{HUBER, activate, assert_close, delta, values};
use backprop::activation::{Sigmoid, Softmax};
use backprop::cost::{BinaryCrossEntropy, CategoricalCrossEntropy, LogCosh, SquaredError};
use backprop::nalgebra::DMatrix;
use backprop::{Examples, Network, Objective};

/// A network in `f32` with z = ±1e4: the results are right, not only finite.
#[test]
fn cross_entropy_at_1e4_in_f32() {
    let network = Network::<f32>::builder(1).dense(1, Sigmoid);
    let network = network.with_theta(&[0.0, 1e4]).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    // x, y, cost, a − y
    for (x, y, cost, slope) in [
        (1.0, 0.0, 1e4, 1.0),
        (1.0, 1.0, 0.0, 0.0),
        (1.0, 0.5, 5e3, 0.5),
        (-1.0, 0.0, 0.0, 0.0),
        (-1.0, 1.0, 1e4, -1.0),
        (-1.0, 0.25, 2.5e3, -0.25),
    ] {
        let (x, y) = (DMatrix::repeat(1, 1, x), DMatrix::repeat(1, 1, y));
        let examples = Examples::new(&x, &y).unwrap();
        let pass = network.backprop(&examples, &objective).unwrap();
        assert_eq!(pass.cost(), cost, "x = {x}, y = {y}");
        let gradient = pass.gradient().vector().as_slice();
        assert_eq!(gradient, &[slope, slope * x[0]], "x = {x}, y = {y}");
    }
}

/// Gaps of 1e4 and 2e4 between the z of an example, with hard, soft and unnormalised targets.
#[test]
fn categorical_at_1e4_in_f32() {
    let z = DMatrix::from_column_slice(3, 4, &[1e4_f32, -1e4, 0.0].repeat(4));
    let y = [
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.25, 0.75],
        [2.0, 0.0, 0.5],
    ];
    let y = DMatrix::from_column_slice(3, 4, y.as_flattened());
    let a = activate(Softmax, &z);
    let value = values(CategoricalCrossEntropy, Some(&z), &a, &y);
    assert_eq!(value, [0.0, 2e4, 0.25 * 2e4 + 0.75 * 1e4, 0.5 * 1e4]);
    let expected = [
        [0.0, 0.0, 0.0],
        [1.0, -1.0, 0.0],
        [1.0, -0.25, -0.75],
        [0.5, 0.0, -0.5],
    ];
    let d = delta(CategoricalCrossEntropy, Some(&z), &a, &y);
    assert_eq!(d.as_slice(), expected.as_flattened());
}

/// a has rounded to 1, but the cost has not rounded to 0. The cost is ln(1 + e⁻²⁰) =
/// 2.061153620314381e-9 (mpmath).
#[test]
fn small_costs_keep_their_digits() {
    let expected = 2.061_153_620_314_381e-9;
    let y = DMatrix::from_column_slice(2, 1, &[1.0_f32, 0.0]);
    let z = DMatrix::from_column_slice(2, 1, &[20.0_f32, 0.0]);
    let a = activate(Softmax, &z);
    assert_eq!(a[0], 1.0);
    let categorical = values(CategoricalCrossEntropy, Some(&z), &a, &y)[0];
    let z = DMatrix::repeat(1, 1, 20.0_f32);
    let binary = values(
        BinaryCrossEntropy,
        Some(&z),
        &activate(Sigmoid, &z),
        &y.rows(0, 1).into(),
    )[0];
    for found in [categorical, binary] {
        let error = (f64::from(found) / expected - 1.0).abs();
        assert!(error < 4.0 * f64::from(f32::EPSILON), "{found:e}");
    }
}

/// A unit that has saturated on the right side still has an error. a = 1 − 4e-18 is 1, but a − y is
/// not 0 (mpmath).
#[test]
fn small_errors_keep_their_digits() {
    let tail = 4.248_354_255_291_589e-18;
    let close = |found: f64, expected: f64, epsilon: f64| {
        let error = (found / expected - 1.0).abs();
        assert!(error < 8.0 * epsilon, "{found:e}, expected {expected:e}");
    };
    let z = DMatrix::from_row_slice(1, 3, &[40.0, -40.0, 40.0]);
    let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 0.75]);
    let d = delta(BinaryCrossEntropy, Some(&z), &activate(Sigmoid, &z), &y);
    for (found, expected) in d.iter().zip([-tail, tail, 0.25]) {
        close(*found, expected, f64::EPSILON);
    }
    let single = (z.map(|z| z as f32), y.map(|y| y as f32));
    let d = delta(
        BinaryCrossEntropy,
        Some(&single.0),
        &activate(Sigmoid, &single.0),
        &single.1,
    );
    for (found, expected) in d.iter().zip([-tail, tail, 0.25]) {
        close((*found).into(), expected, f32::EPSILON.into());
    }
    let z = DMatrix::from_column_slice(3, 2, &[40.0, 0.0, 1.0].repeat(2));
    let y = DMatrix::from_column_slice(3, 2, &[1.0, 0.0, 0.0, 0.75, 0.25, 0.0]);
    let (others, third) = (1.579_657_842_830_737_5e-17, 1.154_822_417_301_578_6e-17);
    let expected = [-others, tail, third, 0.25, -0.25, third];
    let d = delta(
        CategoricalCrossEntropy,
        Some(&z),
        &activate(Softmax, &z),
        &y,
    );
    for (found, expected) in d.iter().zip(expected) {
        close(*found, expected, f64::EPSILON);
    }
    let single = (z.map(|z| z as f32), y.map(|y| y as f32));
    let a = activate(Softmax, &single.0);
    let d = delta(CategoricalCrossEntropy, Some(&single.0), &a, &single.1);
    for (found, expected) in d.iter().zip(expected) {
        close((*found).into(), expected, f32::EPSILON.into());
    }
}

/// z spans the range of `f32`. The gap is ∞, but the results are finite.
#[test]
fn categorical_of_the_widest_gap() {
    let z = DMatrix::from_column_slice(2, 1, &[3e38_f32, -3e38]);
    let y = DMatrix::from_column_slice(2, 1, &[1.0, 0.0]);
    let a = activate(Softmax, &z);
    assert_eq!(values(CategoricalCrossEntropy, Some(&z), &a, &y), [0.0]);
    assert_eq!(delta(CategoricalCrossEntropy, Some(&z), &a, &y).amax(), 0.0);
}

/// d, ln cosh d and tanh d from mpmath at 50 digits. All d are exact in `f32`.
#[test]
fn log_cosh_keeps_its_digits() {
    let table = [
        (
            9.313_225_746_154_785e-10,
            4.336_808_689_942_018e-19,
            9.313_225_746_154_785e-10,
        ),
        (
            0.000_976_562_5,
            4.768_370_824_119_191_4e-7,
            0.000_976_562_189_559_260_3,
        ),
        (0.25, 0.030_929_803_620_161_372, 0.244_918_662_403_709_13),
        (0.984_375, 0.421_932_596_444_205_2, 0.754_953_574_963_681_7),
        (1.0, 0.433_780_830_483_027_2, 0.761_594_155_955_764_9),
        (1.5, 0.855_440_171_013_796_8, 0.905_148_253_644_866_4),
        (20.0, 19.306_852_819_440_056, 1.0),
        (10_000.0, 9_999.306_852_819_44, 1.0),
    ];
    for (d, cost, slope) in table {
        for sign in [1.0, -1.0] {
            let (a, y) = (DMatrix::repeat(1, 1, sign * d), DMatrix::zeros(1, 1));
            let single = (a.map(|a| a as f32), DMatrix::<f32>::zeros(1, 1));
            let limit = 4.0 * f64::EPSILON;
            let found = values(LogCosh, None, &a, &y)[0] / cost;
            assert_close("ln cosh", found, 1.0, limit);
            let found = delta(LogCosh, None, &a, &y)[0] / slope;
            assert_close("tanh", found, sign, limit);
            let limit = 4.0 * f64::from(f32::EPSILON);
            let found = f64::from(values(LogCosh, None, &single.0, &single.1)[0]) / cost;
            assert_close("ln cosh in f32", found, 1.0, limit);
            let found = f64::from(delta(LogCosh, None, &single.0, &single.1)[0]) / slope;
            assert_close("tanh in f32", found, sign, limit);
        }
    }
}

/// Regression costs with differences of 1e4 in `f32`.
#[test]
fn regression_costs_at_1e4_in_f32() {
    let (a, y) = (DMatrix::repeat(1, 1, 1e4_f32), DMatrix::zeros(1, 1));
    assert_eq!(values(SquaredError, Some(&a), &a, &y), [5e7]);
    assert_eq!(delta(SquaredError, Some(&a), &a, &y)[0], 1e4);
    assert_eq!(values(HUBER, Some(&a), &a, &y), [0.75 * (1e4 - 0.375)]);
    assert_eq!(delta(HUBER, Some(&a), &a, &y)[0], 0.75);
}
