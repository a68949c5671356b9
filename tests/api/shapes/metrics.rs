//! Invalid outputs, targets and classes of metrics.

use super::prepared::{few, label, too_large};
use super::*;
use backprop::metrics::{
    Accuracy, Average, ConfusionMatrix, F1, HammingLoss, LogLoss, MeanAbsoluteError,
    MeanSquaredError, Metric, Precision, R2, Recall, RocAuc, SubsetAccuracy, TopK, ZeroDivision,
};

/// Every metric of classes, with an existing class, and every metric of numbers.
fn metrics() -> Vec<Box<dyn Metric<f64>>> {
    let mut all: Vec<Box<dyn Metric<f64>>> = vec![
        Box::new(Accuracy),
        Box::new(TopK(1)),
        Box::new(R2),
        Box::new(MeanAbsoluteError),
        Box::new(MeanSquaredError),
        Box::new(SubsetAccuracy),
        Box::new(HammingLoss),
        Box::new(LogLoss),
        Box::new(F1(Average::Macro.multi_label())),
    ];
    let averages = [Average::Macro, Average::Micro, Average::Weighted];
    for average in averages.into_iter().chain([Average::Class(1)]) {
        all.push(Box::new(RocAuc(average)));
        all.push(Box::new(Precision(average)));
        all.push(Box::new(Recall(average)));
        all.push(Box::new(F1(average)));
    }
    all
}

#[test]
pub(super) fn metrics_of_outputs() {
    let (a, y) = (Problem::new().y, Problem::new().y);
    let no_metric = |what: &str, a: &DMatrix<f64>, y: &DMatrix<f64>, expected: &Error| {
        let (a, y) = (a.as_view(), y.as_view());
        for metric in metrics() {
            refused(
                &format!("{what}, {metric:?}"),
                metric.evaluate(a, y),
                expected,
            );
        }
        refused(what, ConfusionMatrix::from_outputs(a, y), expected);
        refused(what, backprop::metrics::check(a, y), expected);
    };
    let empty = DMatrix::zeros(2, 0);
    no_metric("none", &a, &empty, &Error::NoExamples);
    no_metric("none", &empty, &empty, &Error::NoExamples);
    let flat = DMatrix::zeros(0, 5);
    no_metric("flat", &a, &flat, &shape("the targets", (1, 5), (0, 5)));
    no_metric("flat", &flat, &flat, &shape("the targets", (1, 5), (0, 5)));
    for wrong in broken_shapes(2, 5) {
        let other = DMatrix::repeat(wrong.0, wrong.1, f64::NAN);
        no_metric("shape", &other, &y, &shape("the outputs", (2, 5), wrong));
    }
    for (broken, at, bad) in broken_entries(&a) {
        let nan = DMatrix::repeat(2, 5, f64::NAN);
        for y in [&y, &nan] {
            no_metric("outputs", &broken, y, &input("the outputs", at, bad));
        }
        no_metric("targets", &a, &broken, &input("the targets", at, bad));
    }
    metrics_of_their_own(&a, &y);
}

/// Invalid classes, ranks and sums.
fn metrics_of_their_own(a: &DMatrix<f64>, y: &DMatrix<f64>) {
    let views = (a.as_view(), y.as_view());
    let row = (a.rows(0, 1).clone_owned(), y.rows(0, 1).clone_owned());
    for k in [0, 3, usize::MAX] {
        let name = "k of the top-k accuracy";
        let expected = hyperparameter(name, k as f64, "1 to 2, the number of classes");
        refused("k", TopK(k).evaluate(views.0, views.1), &expected);
        let found = TopK(k).evaluate(row.0.as_view(), row.1.as_view());
        refused("k", found, &expected);
    }
    let counts = ConfusionMatrix::from_outputs(a, y).unwrap();
    for class in [2, 3, usize::MAX] {
        let (average, expected) = (Average::Class(class), index("class", class, 2));
        for metric in [
            &Precision(average) as &dyn Metric<f64>,
            &Recall(average),
            &F1(average),
            &RocAuc(average),
        ] {
            refused("class", metric.evaluate(views.0, views.1), &expected);
            let found = metric.evaluate(row.0.as_view(), row.1.as_view());
            refused("class", found, &expected);
        }
        let labels = F1(average.multi_label());
        refused("label", labels.evaluate(views.0, views.1), &expected);
        let found = labels.evaluate(row.0.as_view(), row.1.as_view());
        refused("label", found, &index("class", class, 1));
        refused("class", counts.precision(average), &expected);
        refused("class", counts.recall(average), &expected);
        refused("class", counts.f1(average), &expected);
    }
    let found = RocAuc(Average::Macro).evaluate(views.0, DMatrix::zeros(2, 5).as_view());
    let (unit, positive) = (0, false);
    refused("one class", found, &Error::OneClass { unit, positive });
    let mut above = a.clone();
    above[(1, 3)] = 1.5;
    let expected = Error::Probability {
        what: "output",
        unit: 1,
        example: 3,
        value: 1.5,
    };
    refused(
        "above 1",
        LogLoss.evaluate(above.as_view(), views.1),
        &expected,
    );
    let none = F1(Average::Class(1).zero_division(ZeroDivision::Exclude));
    let zeros = DMatrix::<f64>::zeros(1, 5);
    let found = none.evaluate(zeros.as_view(), zeros.as_view()).unwrap_err();
    assert!(matches!(
        found,
        Error::NonFinite {
            at: Location::Metric { .. },
            ..
        }
    ));
    let of_labels = ConfusionMatrix::from_labels;
    for wrong in [0, 2, 4] {
        let found = of_labels(&[0; 3], &vec![9; wrong], 2);
        refused("count", found, &length("the predicted labels", 3, wrong));
    }
    refused("none", of_labels(&[], &[], 2), &Error::NoExamples);
    let found = of_labels(&[0, 2, 3], &[5, 5, 5], 2);
    refused("label", found, &label("the actual labels", 1, 2, 2));
    let found = of_labels(&[0, 1, 1], &[1, 1, 2], 2);
    refused("label", found, &label("the predicted labels", 2, 2, 2));
    let found = of_labels(&[0], &[0], 0);
    refused("label", found, &label("the actual labels", 0, 0, 0));
    let expected = too_large("the confusion matrix", usize::MAX, usize::MAX);
    refused("classes", of_labels(&[0], &[0], usize::MAX), &expected);

    let one = (a.columns(0, 1), y.columns(0, 1));
    refused("one example", R2.evaluate(one.0, one.1), &few(None, 2, 1));
    let overflow = |name: &str, value| Error::NonFinite {
        at: Location::Metric {
            name: name.to_owned(),
        },
        value,
    };
    let (infinity, zeros) = (f64::INFINITY, DMatrix::zeros(2, 5));
    let mut large = zeros.clone();
    (large[(1, 3)], large[(0, 4)]) = (1e200, 1e200);
    let (zeros, large) = (zeros.as_view(), large.as_view());
    let expected = overflow("mean squared error", infinity);
    refused(
        "squares",
        MeanSquaredError.evaluate(large, zeros),
        &expected,
    );
    assert!(MeanAbsoluteError.evaluate(large, zeros).is_ok());
    let what = "coefficient of determination";
    let found = R2.evaluate(large, views.1);
    refused("residuals", found, &overflow(what, -infinity));
    let far = DMatrix::from_fn(2, 5, |_, k| if k == 0 { f64::MIN } else { f64::MAX });
    let expected = overflow(what, f64::NAN);
    refused("mean", R2.evaluate(zeros, far.as_view()), &expected);
    let largest = DMatrix::repeat(2, 5, f64::MAX);
    let found = MeanAbsoluteError.evaluate(largest.as_view(), zeros);
    refused("sum", found, &overflow("mean absolute error", infinity));
}
