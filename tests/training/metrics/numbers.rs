//! Regression metrics: values by hand, properties, and scikit-learn.

use super::{cases, close, example_columns, value};
use backprop::metrics::{MeanAbsoluteError, MeanSquaredError, R2};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};

#[test]
fn numbers_of_scikit_learn() {
    assert_eq!(cases("numbers").len(), 6);
    for case in cases("numbers") {
        let (a, y) = (
            example_columns(&case["outputs"]),
            example_columns(&case["targets"]),
        );
        let number = |name: &str| case[name].as_f64().unwrap();
        close("R²", value(&R2, &a, &y), number("r2"));
        let error = value(&MeanAbsoluteError, &a, &y);
        close("mean absolute error", error, number("mean_absolute_error"));
        let error = value(&MeanSquaredError, &a, &y);
        close("mean squared error", error, number("mean_squared_error"));
    }
}

/// Equal targets have no deviation, however their mean rounds.
#[test]
fn constant_targets() {
    for m in [2, 3, 10, 1000] {
        for constant in [0.0_f64, 0.1, -1e300, 1e-300] {
            let y = DMatrix::repeat(1, m, constant);
            assert_eq!(value(&R2, &y, &y), 1.0);
            let mut a = y.clone();
            a[1] = if constant == 0.0 {
                1e-9
            } else {
                0.9 * constant
            };
            assert_eq!(value(&R2, &a, &y), 0.0);
        }
    }
    // Half of the outputs are constant.
    let y = dmatrix![1.0, 2.0, 3.0; 0.1, 0.1, 0.1];
    let a = dmatrix![1.0, 2.0, 4.0; 0.1, 0.1, 0.1];
    assert_eq!(value(&R2, &a, &y), 0.75);
}

/// R² does not depend on the scale of the numbers.
#[test]
fn sizes_do_not_matter() {
    let (a, y) = (dmatrix![1.0, 2.0, 4.0], dmatrix![1.0, 2.0, 3.0]);
    for exponent in [-1000, -600, 600, 1000] {
        let scale = 2.0_f64.powi(exponent);
        assert_eq!(value(&R2, &(&a * scale), &(&y * scale)), 0.5);
    }
}

/// Predicting the mean gives R² = 0.
#[test]
fn the_mean_explains_nothing() {
    let y = DMatrix::from_fn(3, 50, |i, k| 1e3 * i as f64 + (k as f64).sin());
    let mut a = y.clone();
    for (mut row, mean) in a.row_iter_mut().zip(y.column_mean().iter()) {
        row.fill(*mean);
    }
    assert!(value(&R2, &a, &y).abs() < 1e-12);
}

/// The metric is 2/K times the cost, as documented.
#[test]
fn the_squared_error_is_the_cost_up_to_a_factor() {
    let network = Network::<f64>::builder(2).dense(3, Identity);
    let theta: Vec<f64> = (0..9).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let network = network.with_theta(&theta).unwrap();
    let x = DMatrix::from_fn(2, 7, |i, k| ((i + 3 * k) as f64).cos());
    let y = DMatrix::from_fn(3, 7, |i, k| ((2 * i + k) as f64).sin());
    let examples = Examples::new(&x, &y).unwrap();
    let cost = network
        .cost(&examples, &Objective::new(SquaredError))
        .unwrap();
    let a = network.forward(&x).unwrap();
    close(
        "mean squared error",
        value(&MeanSquaredError, &a, &y),
        cost * 2.0 / 3.0,
    );
}

/// The mean of a million errors of 0.1 in `f32` does not have the error of a plain sum.
#[test]
fn long_sums_keep_their_digits() {
    let (a, y) = (
        DMatrix::repeat(1, 1_000_000, 0.1_f32),
        DMatrix::zeros(1, 1_000_000),
    );
    let tenth = f64::from(0.1_f32);
    close(
        "mean absolute error",
        value(&MeanAbsoluteError, &a, &y),
        tenth,
    );
    close(
        "mean squared error",
        value(&MeanSquaredError, &a, &y),
        tenth * tenth,
    );
}
