//! Independent labels, what 0/0 counts as, and class names: by hand, and scikit-learn.

use super::{cases, example_columns, known, list, same, value};
use backprop::Error;
use backprop::data::one_hot;
use backprop::metrics::{
    Accuracy, Average, Averaging, ConfusionMatrix, F1, HammingLoss, Metric, OfHead, Precision,
    Recall, SubsetAccuracy, ZeroDivision,
};
use backprop::nalgebra::{DMatrix, dmatrix};
use serde_json::Value;

const DIVISIONS: [(&str, ZeroDivision); 3] = [
    ("zero", ZeroDivision::Zero),
    ("one", ZeroDivision::One),
    ("exclude", ZeroDivision::Exclude),
];

/// The averages of `classes` classes, and where a case has their values.
fn averages(classes: usize) -> Vec<(Average, String)> {
    let named = [
        (Average::Macro, "macro"),
        (Average::Micro, "micro"),
        (Average::Weighted, "weighted"),
    ];
    let classes = (0..classes).map(|class| (Average::Class(class), format!("classes/{class}")));
    let named = named.map(|(average, name)| (average, name.to_owned()));
    named.into_iter().chain(classes).collect()
}

/// Every ratio, average and value of 0/0 equals scikit-learn's, and is refused where its is NaN.
fn compare_ratios(case: &Value, a: &DMatrix<f64>, y: &DMatrix<f64>, multi_label: bool) {
    let counts = ConfusionMatrix::from_outputs(a, y).unwrap();
    for (name, division) in DIVISIONS {
        for (average, pointer) in averages(a.nrows()) {
            let mut averaging = average.zero_division(division);
            if multi_label {
                averaging = averaging.multi_label();
            }
            let (a, y) = (a.as_view(), y.as_view());
            for (ratio, found, of_counts) in [
                (
                    "precision",
                    Precision(averaging).evaluate(a, y),
                    counts.precision(averaging),
                ),
                (
                    "recall",
                    Recall(averaging).evaluate(a, y),
                    counts.recall(averaging),
                ),
                ("f1", F1(averaging).evaluate(a, y), counts.f1(averaging)),
            ] {
                let pointer = format!("/{ratio} {name}/{pointer}");
                same(&pointer, &found, known(case, &pointer));
                if multi_label {
                    let refused = matches!(of_counts, Err(Error::Unsupported { .. }));
                    assert!(refused, "{of_counts:?}");
                } else {
                    same(&pointer, &of_counts, known(case, &pointer));
                }
            }
        }
    }
}

#[test]
fn zero_divisions_of_scikit_learn() {
    assert_eq!(cases("zero_divisions").len(), 4);
    for case in cases("zero_divisions") {
        let a = example_columns(&case["outputs"]);
        let y = one_hot(&list::<usize>(&case["labels"]), a.nrows()).unwrap();
        compare_ratios(case, &a, &y, false);
    }
}

#[test]
fn labels_of_scikit_learn() {
    assert_eq!(cases("multi_label").len(), 5);
    for case in cases("multi_label") {
        let a = example_columns(&case["outputs"]);
        let y = example_columns(&case["targets"]);
        compare_ratios(case, &a, &y, true);
        let (views, number) = ((a.as_view(), y.as_view()), |name| case[name].as_f64());
        let subset = SubsetAccuracy.evaluate(views.0, views.1);
        same("accuracy", &subset, number("accuracy"));
        let loss = HammingLoss.evaluate(views.0, views.1);
        same("Hamming loss", &loss, number("hamming_loss"));
    }
}

/// One output is the same as one label, and label i is the head i..i + 1.
#[test]
fn a_label_is_a_head_of_one_output() {
    let a = dmatrix![0.9, 0.5, 0.7, 0.2; 0.1, 0.6, 0.8, 0.3];
    let y = dmatrix![1.0, 1.0, 0.0, 0.0; 0.0, 1.0, 1.0, 1.0];
    for label in 0..2 {
        let of_label = F1(Average::Class(label).multi_label());
        let of_head = OfHead::new(label..label + 1, F1(Average::Class(1)));
        assert_eq!(value(&of_label, &a, &y), value(&of_head, &a, &y));
        let (a, y) = (
            a.rows(label, 1).clone_owned(),
            y.rows(label, 1).clone_owned(),
        );
        assert_eq!(value(&SubsetAccuracy, &a, &y), value(&Accuracy, &a, &y));
        assert_eq!(value(&HammingLoss, &a, &y), 1.0 - value(&Accuracy, &a, &y));
    }
}

#[test]
fn missing_labels_are_not_counted() {
    let a = dmatrix![0.9, 0.8, f64::NAN, 0.2; 0.1, 0.6, 0.8, 0.3];
    let y = dmatrix![1.0, 0.0, f64::NAN, 1.0; 0.0, f64::NAN, 1.0, 1.0];
    let present = y.map(|y: f64| !y.is_nan());
    let of = |metric: &dyn Metric<f64>| {
        metric.evaluate_present(a.as_view(), y.as_view(), present.as_view())
    };
    // Label 0: tp, fp, missing, fn. Label 1: tn, missing, tp, fn.
    assert_eq!(of(&HammingLoss), Ok(3.0 / 6.0));
    assert_eq!(of(&Precision(Average::Class(0).multi_label())), Ok(0.5));
    assert_eq!(of(&Precision(Average::Class(1).multi_label())), Ok(1.0));
    assert_eq!(of(&F1(Average::Micro.multi_label())), Ok(4.0 / 7.0));
    assert_eq!(of(&Recall(Average::Macro.multi_label())), Ok(0.5));
    // Only the first and last examples are whole, and the last has both labels wrong.
    assert_eq!(of(&SubsetAccuracy), Ok(0.5));
    let known = y.map(|y: f64| if y.is_nan() { 0.0 } else { y });
    let all = DMatrix::repeat(2, 4, true);
    for metric in [
        &HammingLoss as &dyn Metric<f64>,
        &F1(Average::Macro.multi_label()),
    ] {
        let found = metric.evaluate_present(a.as_view(), known.as_view(), all.as_view());
        assert!(matches!(found, Err(Error::NonFinite { .. })), "{found:?}");
        let none = DMatrix::repeat(2, 4, false);
        let found = metric.evaluate_present(a.as_view(), known.as_view(), none.as_view());
        assert_eq!(found, Err(Error::NoExamples));
        let narrow = DMatrix::repeat(1, 4, true);
        let found = metric.evaluate_present(a.as_view(), known.as_view(), narrow.as_view());
        assert!(matches!(found, Err(Error::Shape { .. })), "{found:?}");
    }
}

/// An average without classes is named in the error.
#[test]
fn averages_without_classes_are_refused() {
    let (a, y) = (dmatrix![0.1, 0.2], dmatrix![0.0, 0.0]);
    let averaging = Average::Macro
        .multi_label()
        .zero_division(ZeroDivision::Exclude);
    let found = F1(averaging)
        .evaluate(a.as_view(), y.as_view())
        .unwrap_err();
    let text = "the metric multi-label macro F1, without 0/0 is NaN";
    assert!(found.to_string().starts_with(text), "{found}");
}

#[test]
fn names_state_the_options() {
    let name = |averaging: Averaging| Metric::<f64>::name(&F1(averaging));
    assert_eq!(name(Average::Weighted.into()), "weighted F1");
    let labels = Average::Macro.multi_label();
    assert_eq!(name(labels), "multi-label macro F1");
    let one = labels.zero_division(ZeroDivision::One);
    assert_eq!(name(one), "multi-label macro F1, 0/0 = 1");
    let without = Average::Class(2).zero_division(ZeroDivision::Exclude);
    assert_eq!(name(without), "F1 of class 2, without 0/0");
    assert_eq!(Metric::<f64>::name(&SubsetAccuracy), "subset accuracy");
    assert_eq!(Metric::<f64>::name(&HammingLoss), "Hamming loss");
}

#[test]
fn classes_have_names() {
    let counts = ConfusionMatrix::from_labels(&[0, 1, 2, 2], &[0, 2, 2, 1], 3).unwrap();
    assert!(counts.names().is_empty());
    let named = counts
        .clone()
        .with_names(&["Adélie", "Chinstrap penguin", "7"])
        .unwrap();
    assert_eq!(named.names(), ["Adélie", "Chinstrap penguin", "7"]);
    let expected = "\
true \\ pred                  Adélie Chinstrap penguin                 7  recall
Adélie                            1                 0                 0   1.000
Chinstrap penguin                 0                 0                 1   0.000
7                                 0                 1                 1   0.500
precision                     1.000             0.000             0.500   0.500";
    assert_eq!(named.to_string(), expected);
    assert_eq!(named.counts(), counts.counts());
    for names in [&["a", "b"][..], &["a", "b", "c", "d"]] {
        let expected = Error::Length {
            what: "the names of the classes",
            expected: 3,
            found: names.len(),
        };
        assert_eq!(counts.clone().with_names(names), Err(expected));
    }
}
