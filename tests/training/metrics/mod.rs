//! Metrics: values by hand, values of scikit-learn, and properties.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod classes;
mod labels;
mod missing;
mod numbers;
mod probabilities;

use backprop::metrics::{
    Accuracy, Average, Direction, F1, HammingLoss, MeanAbsoluteError, MeanSquaredError, Metric,
    Precision, R2, Recall, SubsetAccuracy, TopK,
};
use backprop::nalgebra::{DMatrix, DMatrixView, dmatrix};
use backprop::rand_xoshiro::Xoshiro256PlusPlus;
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::{Error, Scalar, row_major};
use num_dual::Dual64;
use serde_json::Value;
use std::sync::LazyLock;

/// Values of scikit-learn, from `generate.py`.
static VALUES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("values.json")).unwrap());

/// Returns the cases of one kind.
fn cases(kind: &str) -> &'static [Value] {
    VALUES[kind].as_array().unwrap()
}

/// Reads a JSON list.
fn list<V: serde::de::DeserializeOwned>(value: &Value) -> Vec<V> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Reads a number, `None` where scikit-learn raises, or warns and returns NaN.
fn known(case: &Value, pointer: &str) -> Option<f64> {
    let value = case.pointer(pointer).unwrap();
    assert!(value.is_null() || value.is_number(), "{pointer}: {value}");
    value.as_f64()
}

/// The value of scikit-learn, or an error where it has none.
#[track_caller]
fn same(what: &str, found: &Result<f64, Error>, expected: Option<f64>) {
    match (found, expected) {
        (Ok(found), Some(expected)) => close(what, *found, expected),
        (Err(_), None) => {}
        _ => panic!("{what}: {found:?}, expected {expected:?}"),
    }
}

/// Reads a list of examples (one per row) or of numbers as a matrix with one example per column.
fn example_columns(value: &Value) -> DMatrix<f64> {
    if !value[0].is_array() {
        let entries = value.as_array().unwrap().iter();
        let number = |entry: &Value| match entry.as_str() {
            Some(text) => text.parse().unwrap(),
            None => entry.as_f64().unwrap(),
        };
        let numbers: Vec<f64> = entries.map(number).collect();
        return DMatrix::from_row_slice(1, numbers.len(), &numbers);
    }
    let rows: Vec<Vec<f64>> = list(value);
    let features = rows[0].len();
    row_major(&rows.concat(), features).unwrap().clone_owned()
}

/// Evaluates a metric.
#[track_caller]
fn value<T: Scalar>(metric: &impl Metric<T>, outputs: &DMatrix<T>, targets: &DMatrix<T>) -> f64 {
    metric
        .evaluate(outputs.as_view(), targets.as_view())
        .unwrap()
}

/// Equal up to a few rounding errors.
#[track_caller]
fn close(what: &str, found: f64, expected: f64) {
    let bound = 8.0 * f64::EPSILON * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= bound,
        "{what}: {found}, expected {expected}"
    );
}

/// Draws uniformly from \[−1, 1).
fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// All built-in metrics, boxed.
fn all<T: Scalar>() -> Vec<Box<dyn Metric<T>>> {
    let mut all: Vec<Box<dyn Metric<T>>> = vec![
        Box::new(Accuracy),
        Box::new(TopK(1)),
        Box::new(TopK(2)),
        Box::new(R2),
        Box::new(MeanAbsoluteError),
        Box::new(MeanSquaredError),
        Box::new(SubsetAccuracy),
        Box::new(HammingLoss),
        Box::new(F1(Average::Macro.multi_label())),
    ];
    for average in [Average::Macro, Average::Micro, Average::Class(1)] {
        all.push(Box::new(Precision(average)));
        all.push(Box::new(Recall(average)));
        all.push(Box::new(F1(average)));
    }
    all
}

#[test]
fn names_and_directions() {
    let names: Vec<String> = all::<f64>().iter().map(Metric::name).collect();
    let expected = [
        "accuracy",
        "top-1 accuracy",
        "top-2 accuracy",
        "R²",
        "mean absolute error",
        "mean squared error",
        "subset accuracy",
        "Hamming loss",
        "multi-label macro F1",
        "macro precision",
        "macro recall",
        "macro F1",
        "micro precision",
        "micro recall",
        "micro F1",
        "precision of class 1",
        "recall of class 1",
        "F1 of class 1",
    ];
    assert_eq!(names, expected);
    for metric in all::<f64>() {
        let error = metric.name().ends_with("error") || metric.name().ends_with("loss");
        assert_eq!(metric.direction() == Direction::Minimize, error);
    }
}

#[test]
fn better_is_better() {
    use Direction::{Maximize, Minimize};
    for (direction, sign) in [(Maximize, 1.0), (Minimize, -1.0)] {
        assert!(direction.is_better(sign * 2.0, sign));
        assert!(!direction.is_better(sign, sign * 2.0));
        assert!(!direction.is_better(sign, sign));
        assert!(!direction.is_better(f64::NAN, sign) && !direction.is_better(sign, f64::NAN));
        assert!(direction.is_better(sign * f64::MIN, direction.worst()));
    }
}

/// Outputs equal to the targets get the best value; no other outputs are better.
#[test]
fn targets_are_best() {
    let y = dmatrix![1.0, 0.0, 0.0, 1.0; 0.0, 1.0, 1.0, 0.0];
    let mut rng = backprop::rng(3);
    for metric in all::<f64>() {
        let best = value(&metric, &y, &y);
        let expected = f64::from(metric.direction() == Direction::Maximize);
        assert_eq!(best, expected, "{metric:?}");
        for _ in 0..100 {
            let a = DMatrix::from_fn(2, 4, |_, _| uniform(&mut rng));
            assert!(!metric.direction().is_better(value(&metric, &a, &y), best));
        }
    }
}

/// Every scalar type works. Dual numbers count by their real parts.
#[test]
fn scalars_agree() {
    let a = dmatrix![0.5, 0.25, -1.0, 0.125; 0.75, 0.0, 2.0, 0.5; 0.0, -0.5, 1.0, 0.25];
    let y = dmatrix![1.0, 0.0, 0.0, 0.0; 0.0, 1.0, 1.0, 0.0; 0.0, 0.0, 0.0, 1.0];
    let single = (a.map(|x| x as f32), y.map(|x| x as f32));
    let dual = (a.map(|x| Dual64::new(x, 3.0)), y.map(Dual64::from));
    let metrics = all::<f64>()
        .into_iter()
        .zip(all::<f32>())
        .zip(all::<Dual64>());
    for ((of_f64, of_f32), of_dual) in metrics {
        let expected = value(&of_f64, &a, &y);
        assert_eq!(value(&of_f32, &single.0, &single.1), expected, "{of_f64:?}");
        assert_eq!(value(&of_dual, &dual.0, &dual.1), expected, "{of_f64:?}");
    }
}

/// A view into a larger matrix gives the same result as a copy.
#[test]
fn views_are_what_they_show() {
    let mut rng = backprop::rng(8);
    let (a, y) = (
        DMatrix::from_fn(5, 9, |_, _| uniform(&mut rng)),
        DMatrix::from_fn(5, 9, |i, k| f64::from(i == k % 3 + 1)),
    );
    let part = |m: &DMatrix<f64>| m.view((1, 2), (3, 6)).clone_owned();
    for metric in all::<f64>() {
        let of_views = metric.evaluate(a.view((1, 2), (3, 6)), y.view((1, 2), (3, 6)));
        assert_eq!(
            of_views.unwrap(),
            value(&metric, &part(&a), &part(&y)),
            "{metric:?}"
        );
    }
}

/// A custom metric works next to the built-in ones.
#[test]
fn metrics_are_open() {
    #[derive(Debug)]
    struct Count;

    impl<T: Scalar> Metric<T> for Count {
        fn name(&self) -> String {
            "count".into()
        }

        fn direction(&self) -> Direction {
            Direction::Maximize
        }

        fn evaluate(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<f64, Error> {
            backprop::metrics::check(a, y)?;
            Ok(a.ncols() as f64)
        }
    }

    let y = DMatrix::<f64>::zeros(2, 7);
    let boxed: Box<dyn Metric<f64>> = Box::new(Box::new(Count));
    assert_eq!(value(&boxed, &y, &y), 7.0);
}
