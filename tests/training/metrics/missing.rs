//! Metrics where targets are missing, and metrics of one head.

use backprop::metrics::{
    Accuracy, Average, Direction, F1, MeanAbsoluteError, MeanSquaredError, Metric, OfHead, R2,
};
use backprop::nalgebra::DMatrix;
use backprop::{Error, Location};

const MISSING: f64 = f64::NAN;

/// Two numbers for four examples, by hand.
fn numbers() -> (DMatrix<f64>, DMatrix<f64>, DMatrix<bool>) {
    let a = DMatrix::from_row_slice(2, 4, &[1.0, 2.0, 3.0, 4.0, 0.0, 5.0, -1.0, 2.0]);
    let y = DMatrix::from_row_slice(2, 4, &[1.5, MISSING, 3.0, 2.0, 1.0, 5.0, MISSING, MISSING]);
    let present = y.map(|y| !y.is_nan());
    (a, y, present)
}

fn of<M: Metric<f64>>(metric: M) -> Result<f64, Error> {
    let (a, y, present) = numbers();
    metric.evaluate_present(a.as_view(), y.as_view(), present.as_view())
}

#[test]
fn mean_errors_count_the_targets_that_are_present() {
    // |d| = 0.5, 0, 2 in the first row and 1, 0 in the second.
    assert_eq!(of(MeanAbsoluteError).unwrap(), 3.5 / 5.0);
    assert_eq!(of(MeanSquaredError).unwrap(), (0.25 + 4.0 + 1.0) / 5.0);
    // The first row has the mean 13/6 and Σ (y − ȳ)² = 7/6, the second the mean 3 and 8.
    let expected = (1.0 - 4.25 / (7.0 / 6.0) + 1.0 - 1.0 / 8.0) / 2.0;
    assert!((of(R2).unwrap() - expected).abs() < 1e-14);
    // Box and head delegate.
    let boxed: Box<dyn Metric<f64>> = Box::new(MeanAbsoluteError);
    assert_eq!(of(boxed).unwrap(), 3.5 / 5.0);
    assert_eq!(of(OfHead::new(1..2, MeanAbsoluteError)).unwrap(), 0.5);
    assert_eq!(of(OfHead::new(0..1, MeanSquaredError)).unwrap(), 4.25 / 3.0);
}

#[test]
fn classes_are_those_of_examples_with_all_targets() {
    let a = DMatrix::from_row_slice(2, 4, &[0.9, 0.2, 0.6, 0.1, 0.1, 0.8, 0.4, 0.9]);
    let y = DMatrix::from_row_slice(2, 4, &[1.0, MISSING, 0.0, 0.0, 0.0, MISSING, 1.0, 1.0]);
    let present = y.map(|y| !y.is_nan());
    let of = |metric: &dyn Metric<f64>| {
        metric.evaluate_present(a.as_view(), y.as_view(), present.as_view())
    };
    assert_eq!(of(&Accuracy).unwrap(), 2.0 / 3.0);
    assert_eq!(of(&F1(Average::Class(1))).unwrap(), 2.0 / 3.0);
    let none = DMatrix::repeat(2, 4, false);
    for metric in [&Accuracy as &dyn Metric<f64>, &MeanAbsoluteError, &R2] {
        let found = metric.evaluate_present(a.as_view(), y.as_view(), none.as_view());
        assert!(matches!(found, Err(Error::NoExamples)), "{found:?}");
        let narrow = DMatrix::repeat(1, 4, true);
        let found = metric.evaluate_present(a.as_view(), y.as_view(), narrow.as_view());
        assert!(
            matches!(
                found,
                Err(Error::Shape {
                    expected: (2, 4),
                    ..
                })
            ),
            "{found:?}"
        );
    }
    // With all present, the values are those of `evaluate`, and NaN is refused.
    let (all, known) = (
        DMatrix::repeat(2, 4, true),
        y.map(|y| if y.is_nan() { 0.5 } else { y }),
    );
    for metric in [&Accuracy as &dyn Metric<f64>, &MeanAbsoluteError, &R2] {
        let found = metric.evaluate_present(a.as_view(), known.as_view(), all.as_view());
        let expected = metric.evaluate(a.as_view(), known.as_view());
        assert!((found.unwrap() - expected.unwrap()).abs() < 1e-15);
        let found = metric.evaluate_present(a.as_view(), y.as_view(), all.as_view());
        let refused = matches!(
            &found,
            Err(Error::NonFinite {
                at: Location::Input { .. },
                ..
            })
        );
        assert!(refused, "{found:?}");
    }
}

/// Outputs and targets of different shapes are refused, whatever is present.
#[test]
fn shapes_are_checked_where_targets_are_missing() {
    let (a, y) = (DMatrix::<f64>::zeros(1, 3), DMatrix::<f64>::zeros(2, 3));
    let present = DMatrix::repeat(2, 3, true);
    let head = OfHead::new(0..1, MeanAbsoluteError);
    for metric in [
        &Accuracy as &dyn Metric<f64>,
        &MeanAbsoluteError,
        &R2,
        &head,
    ] {
        let found = metric.evaluate_present(a.as_view(), y.as_view(), present.as_view());
        assert!(
            matches!(found, Err(Error::Shape { found: (1, 3), .. })),
            "{found:?}"
        );
        let (none, no_rows) = (DMatrix::<f64>::zeros(0, 3), DMatrix::repeat(0, 3, true));
        let found = metric.evaluate_present(none.as_view(), none.as_view(), no_rows.as_view());
        assert!(matches!(found, Err(Error::Shape { .. })), "{found:?}");
    }
}

#[test]
fn a_head_has_rows_a_name_and_a_direction() {
    let head = OfHead::new(1..3, MeanAbsoluteError);
    assert_eq!(
        Metric::<f64>::name(&head),
        "mean absolute error of outputs 1..3"
    );
    assert_eq!(Metric::<f64>::direction(&head), Direction::Minimize);
    let (a, y, _) = numbers();
    for empty in [1..1, usize::MAX..usize::MAX] {
        let found = OfHead::new(empty, MeanAbsoluteError).evaluate(a.as_view(), y.as_view());
        assert!(
            matches!(found, Err(Error::Hyperparameter { .. })),
            "{found:?}"
        );
    }
    for (rows, index) in [(1..3, 2), (2..usize::MAX, usize::MAX - 1), (0..9, 8)] {
        let found = OfHead::new(rows, MeanAbsoluteError).evaluate(a.as_view(), y.as_view());
        assert!(
            matches!(found, Err(Error::Index { index: i, count: 2, .. }) if i == index),
            "{found:?}"
        );
    }
}
