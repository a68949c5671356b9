//! Log-loss and ROC-AUC: by hand, properties, and scikit-learn.

use super::{cases, example_columns, known, list, same, uniform, value};
use backprop::data::one_hot;
use backprop::metrics::{Average, LogLoss, Metric, RocAuc};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::{Error, Location, rng};

const AVERAGES: [(Average, &str); 3] = [
    (Average::Macro, "macro"),
    (Average::Micro, "micro"),
    (Average::Weighted, "weighted"),
];

#[test]
fn probabilities_of_scikit_learn() {
    assert_eq!(cases("probabilities").len(), 11);
    for case in cases("probabilities") {
        let a = example_columns(&case["outputs"]);
        let y = if a.nrows() == 1 {
            example_columns(&case["labels"])
        } else {
            one_hot(&list::<usize>(&case["labels"]), a.nrows()).unwrap()
        };
        let found = LogLoss.evaluate(a.as_view(), y.as_view());
        same("log-loss", &found, known(case, "/log_loss"));
        // scikit-learn computes in f32, we in f64.
        let (single, targets) = (a.map(|a| a as f32), y.map(|y| y as f32));
        let found = LogLoss.evaluate(single.as_view(), targets.as_view());
        match known(case, "/log_loss_f32") {
            Some(expected) => assert!((found.unwrap() / expected - 1.0).abs() < 1e-6),
            None => assert!(found.is_err()),
        }
        if a.nrows() == 1 {
            continue;
        }
        for (average, name) in AVERAGES {
            let found = RocAuc(average).evaluate(a.as_view(), y.as_view());
            same(name, &found, known(case, &format!("/roc_auc/{name}")));
        }
        for class in 0..a.nrows() {
            let found = RocAuc(Average::Class(class)).evaluate(a.as_view(), y.as_view());
            let pointer = format!("/roc_auc/classes/{class}");
            same(&pointer, &found, known(case, &pointer));
        }
    }
}

#[test]
fn ranks_of_scikit_learn() {
    assert_eq!(cases("rank").len(), 11);
    let averages = AVERAGES.map(|(average, _)| average);
    let averages = averages
        .into_iter()
        .chain([Average::Class(0), Average::Class(1)]);
    for (case, average) in cases("rank")
        .iter()
        .flat_map(|case| averages.clone().map(move |average| (case, average)))
    {
        let (a, y) = (
            example_columns(&case["outputs"]),
            example_columns(&case["labels"]),
        );
        let found = RocAuc(average).evaluate(a.as_view(), y.as_view());
        same("ROC-AUC", &found, known(case, "/roc_auc"));
    }
}

#[test]
fn areas_of_labels_of_scikit_learn() {
    for case in cases("multi_label") {
        let a = example_columns(&case["outputs"]);
        let y = example_columns(&case["targets"]);
        for (average, name) in AVERAGES {
            let found = RocAuc(average).evaluate(a.as_view(), y.as_view());
            same(name, &found, known(case, &format!("/roc_auc/{name}")));
        }
    }
}

/// The share of pairs in order, with equal outputs by half.
#[test]
fn area_counts_pairs() {
    let mut rng = rng(5);
    for m in [2, 7, 60] {
        let a = DMatrix::from_fn(1, m, |_, _| (4.0 * uniform(&mut rng)).round());
        let y = DMatrix::from_fn(1, m, |_, k| {
            f64::from(k == 0 || (k > 1 && uniform(&mut rng) > 0.2))
        });
        let (mut pairs, mut in_order) = (0.0, 0.0);
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
            if y[i] > y[j] {
                pairs += 1.0;
                in_order += f64::from(a[i] > a[j]) + 0.5 * f64::from(a[i] == a[j]);
            }
        }
        let found = value(&RocAuc(Average::Macro), &a, &y);
        assert_eq!(found, in_order / pairs);
        // Only the order of the outputs matters, and the other class has the same area.
        assert_eq!(found, value(&RocAuc(Average::Micro), &a.map(f64::exp), &y));
        let (other_a, other_y) = (a.map(|a| -a), y.map(|y| 1.0 - y));
        assert_eq!(found, value(&RocAuc(Average::Class(0)), &other_a, &other_y));
    }
}

#[test]
fn log_loss_of_soft_targets() {
    let (a, y) = (dmatrix![0.25], dmatrix![0.5]);
    let expected = -0.5 * (0.25_f64.ln() + 0.75_f64.ln());
    assert!((value(&LogLoss, &a, &y) - expected).abs() < 1e-15);
    let (a, y) = (dmatrix![0.25; 0.75], dmatrix![0.5; 0.5]);
    assert!((value(&LogLoss, &a, &y) - expected).abs() < 1e-15);
    // Perfect outputs are clipped too.
    let (a, y) = (dmatrix![1.0, 0.0], dmatrix![1.0, 0.0]);
    let least = -(1.0 - f64::EPSILON).ln();
    assert_eq!(value(&LogLoss, &a, &y), 2.0 * least / 2.0);
    assert_eq!(value(&LogLoss, &a.map(|a| 1.0 - a), &y), -f64::EPSILON.ln());
}

#[test]
fn missing_targets_are_not_ranked() {
    let a = dmatrix![0.1, 0.9, 0.35, 0.8; 0.4, 0.3, 0.2, f64::NAN];
    let y = dmatrix![0.0, f64::NAN, 1.0, 1.0; 0.0, 1.0, 1.0, f64::NAN];
    let present = y.map(|y: f64| !y.is_nan());
    let of = |metric: &dyn Metric<f64>| {
        metric.evaluate_present(a.as_view(), y.as_view(), present.as_view())
    };
    assert_eq!(of(&RocAuc(Average::Class(0))), Ok(1.0));
    assert_eq!(of(&RocAuc(Average::Class(1))), Ok(0.0));
    assert_eq!(of(&RocAuc(Average::Weighted)), Ok(0.5));
    // The log-loss is that of the whole examples 0 and 2.
    let expected = -(0.35_f64.ln() + 0.2_f64.ln()) / 2.0;
    assert!((of(&LogLoss).unwrap() - expected).abs() < 1e-15);
    let mut none = present.clone();
    none.row_mut(1).fill(false);
    let found = RocAuc(Average::Macro).evaluate_present(a.as_view(), y.as_view(), none.as_view());
    assert_eq!(found, Err(Error::NoExamples));
}

#[test]
fn undefined_values_are_refused() {
    let a = dmatrix![0.2, 0.7; 0.8, 0.3];
    let area =
        |average: Average, y: DMatrix<f64>| RocAuc(average).evaluate(a.as_view(), y.as_view());
    let refused = |unit, positive| Err(Error::OneClass { unit, positive });
    let (left, right) = (dmatrix![1.0, 0.0; 0.0, 0.0], dmatrix![1.0, 1.0; 0.0, 1.0]);
    assert_eq!(area(Average::Macro, left.clone()), refused(1, false));
    assert_eq!(area(Average::Class(1), left.clone()), refused(1, false));
    assert_eq!(area(Average::Weighted, left), Ok(0.0));
    assert_eq!(area(Average::Weighted, right.clone()), refused(0, true));
    assert_eq!(
        area(Average::Micro, DMatrix::zeros(2, 2)),
        refused(0, false)
    );
    assert_eq!(area(Average::Weighted, DMatrix::zeros(2, 2)), Ok(0.0));
    let index = Error::Index {
        what: "class",
        index: 2,
        count: 2,
    };
    assert_eq!(area(Average::Class(2), right), Err(index));
    let probability = |what, unit, example, value| {
        Err(Error::Probability {
            what,
            unit,
            example,
            value,
        })
    };
    let loss = |a: &DMatrix<f64>, y: &DMatrix<f64>| LogLoss.evaluate(a.as_view(), y.as_view());
    for bad in [-0.5, 1.5, 1.0_f64.next_up(), -f64::MIN_POSITIVE] {
        let mut wrong = a.clone();
        wrong[(0, 1)] = bad;
        assert_eq!(loss(&wrong, &a), probability("output", 0, 1, bad));
        assert_eq!(loss(&a, &wrong), probability("target", 0, 1, bad));
    }
    let mut nan = a.clone();
    nan[(1, 0)] = f64::NAN;
    let at = Location::Input {
        what: "the outputs",
        row: 1,
        col: 0,
    };
    assert!(matches!(loss(&nan, &a), Err(Error::NonFinite { at: found, .. }) if found == at));
}

#[test]
fn names() {
    let name = |average| Metric::<f64>::name(&RocAuc(average));
    assert_eq!(name(Average::Weighted), "weighted ROC-AUC");
    assert_eq!(name(Average::Class(1)), "ROC-AUC of class 1");
    assert_eq!(Metric::<f64>::name(&LogLoss), "log-loss");
}
