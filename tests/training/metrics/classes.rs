//! Classification metrics: values by hand, properties, and scikit-learn.

use super::{VALUES, cases, close, example_columns, list, uniform, value};
use backprop::data::{labels, one_hot};
use backprop::metrics::{Accuracy, Average, ConfusionMatrix, F1, Metric, Precision, Recall, TopK};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::rng;
use serde_json::Value;

/// Precision, recall and F1 with every kind of average, from outputs and from counts.
fn compare(case: &Value, a: &DMatrix<f64>, y: &DMatrix<f64>) {
    let counts = ConfusionMatrix::from_outputs(a, y).unwrap();
    close(
        "accuracy",
        value(&Accuracy, a, y),
        case["accuracy"].as_f64().unwrap(),
    );
    assert_eq!(counts.accuracy(), value(&Accuracy, a, y));
    let rows: Vec<Vec<usize>> = list(&case["confusion"]);
    let classes = rows.len();
    let expected = DMatrix::from_row_slice(classes, classes, &rows.concat());
    assert_eq!(*counts.counts(), expected);
    let averages = (0..classes).map(|class| {
        let pointer = format!("classes/{class}");
        (Average::Class(class), pointer)
    });
    let averages = averages.chain([
        (Average::Macro, "macro".to_owned()),
        (Average::Micro, "micro".to_owned()),
    ]);
    for (average, pointer) in averages {
        for (name, of_outputs, of_counts) in [
            (
                "precision",
                value(&Precision(average), a, y),
                counts.precision(average),
            ),
            (
                "recall",
                value(&Recall(average), a, y),
                counts.recall(average),
            ),
            ("f1", value(&F1(average), a, y), counts.f1(average)),
        ] {
            let pointer = format!("/{name}/{pointer}");
            let expected = case.pointer(&pointer).unwrap().as_f64().unwrap();
            close(&pointer, of_outputs, expected);
            assert_eq!(of_outputs, of_counts.unwrap());
        }
    }
}

#[test]
fn several_classes_of_scikit_learn() {
    assert_eq!(cases("classes").len(), 3, "{}", VALUES["versions"]);
    for case in cases("classes") {
        let a = example_columns(&case["outputs"]);
        let actual: Vec<usize> = list(&case["labels"]);
        let y = one_hot(&actual, a.nrows()).unwrap();
        compare(case, &a, &y);
        for (k, expected) in list::<f64>(&case["top_k"]).into_iter().enumerate() {
            close("top k", value(&TopK(k + 1), &a, &y), expected);
        }
        let read = labels(&a).unwrap();
        let counts = ConfusionMatrix::from_labels(&actual, &read, a.nrows()).unwrap();
        assert_eq!(counts, ConfusionMatrix::from_outputs(&a, &y).unwrap());
    }
}

#[test]
fn two_classes_of_scikit_learn() {
    assert_eq!(cases("binary").len(), 3);
    for case in cases("binary") {
        let (a, y) = (
            example_columns(&case["outputs"]),
            example_columns(&case["labels"]),
        );
        compare(case, &a, &y);
        let binary: Vec<f64> = list(&case["binary"]);
        let one = Average::Class(1);
        close("precision", value(&Precision(one), &a, &y), binary[0]);
        close("recall", value(&Recall(one), &a, &y), binary[1]);
        close("F1", value(&F1(one), &a, &y), binary[2]);
        assert_eq!(value(&TopK(1), &a, &y), value(&Accuracy, &a, &y));
        assert_eq!(value(&TopK(2), &a, &y), 1.0);
    }
}

/// A single output of ½ is class 0. Among equal outputs or targets, the first decides the class.
#[test]
fn ties_between_outputs() {
    let half = dmatrix![0.5, 0.5_f64.next_up(), 0.5, -7.0];
    let y = dmatrix![0.0, 1.0, 1.0, 0.0];
    assert_eq!(value(&Accuracy, &half, &y), 0.75);
    let a = dmatrix![0.5, 0.2, 0.3; 0.5, 0.4, 0.3; 0.0, 0.4, 0.3];
    let y = dmatrix![0.0, 0.0, 0.0; 1.0, 0.0, 0.0; 0.0, 1.0, 1.0];
    for (k, expected) in [(1, 0.0), (2, 2.0 / 3.0), (3, 1.0)] {
        assert_eq!(value(&TopK(k), &a, &y), expected, "{k}");
    }
    let soft = dmatrix![0.6, 0.5, 0.2; 0.4, 0.5, 0.8];
    let counts = ConfusionMatrix::from_outputs(&soft, &soft).unwrap();
    assert_eq!(*counts.counts(), dmatrix![2, 0; 0, 1]);
}

/// Random outputs, some of them equal, against counts made one by one.
#[test]
fn ranks_and_counts_by_their_definition() {
    let mut rng = rng(4);
    for classes in 1..7 {
        for _ in 0..40 {
            let draw = |u: f64| (4.0 * u).round() / 4.0;
            let a = DMatrix::from_fn(classes, 30, |_, _| draw(uniform(&mut rng)));
            let y = DMatrix::from_fn(classes, 30, |_, _| draw(uniform(&mut rng)));
            let class = |m: &DMatrix<f64>, k: usize| {
                if classes == 1 {
                    return usize::from(m[k] > 0.5);
                }
                let most = m.column(k).max();
                m.column(k).iter().position(|&x| x == most).unwrap()
            };
            let pairs: Vec<(usize, usize)> =
                (0..30).map(|k| (class(&y, k), class(&a, k))).collect();
            let counts = ConfusionMatrix::from_outputs(&a, &y).unwrap();
            assert_eq!(counts.classes(), classes.max(2));
            for i in 0..counts.classes() {
                for j in 0..counts.classes() {
                    let expected = pairs.iter().filter(|&&pair| pair == (i, j)).count();
                    assert_eq!(counts.counts()[(i, j)], expected);
                }
            }
            let hits = pairs.iter().filter(|(i, j)| i == j).count();
            let accuracy = hits as f64 / 30.0;
            for found in [
                value(&Accuracy, &a, &y),
                value(&TopK(1), &a, &y),
                counts.accuracy(),
                value(&Precision(Average::Micro), &a, &y),
                value(&Recall(Average::Micro), &a, &y),
                value(&F1(Average::Micro), &a, &y),
                counts.f1(Average::Micro).unwrap(),
            ] {
                assert_eq!(found, accuracy);
            }
            // A stable sort: equal outputs keep their order.
            if classes > 1 {
                for k in 1..=classes {
                    let found = (0..30).filter(|&example| {
                        let column = a.column(example);
                        let mut order: Vec<usize> = (0..classes).collect();
                        order.sort_by(|&i, &j| column[j].partial_cmp(&column[i]).unwrap());
                        order[..k].contains(&pairs[example].0)
                    });
                    assert_eq!(value(&TopK(k), &a, &y), found.count() as f64 / 30.0);
                }
            }
        }
    }
}

/// Swapping outputs and targets swaps precision and recall.
#[test]
fn precision_is_recall_with_the_arguments_swapped() {
    let mut rng = rng(6);
    for classes in [1, 2, 5] {
        let (a, y) = (
            DMatrix::from_fn(classes, 40, |_, _| uniform(&mut rng)),
            DMatrix::from_fn(classes, 40, |_, _| uniform(&mut rng)),
        );
        for average in [
            Average::Macro,
            Average::Micro,
            Average::Class(0),
            Average::Class(1),
        ] {
            if average == Average::Class(1) && classes == 5 {
                continue;
            }
            let (p, r) = (
                value(&Precision(average), &a, &y),
                value(&Recall(average), &y, &a),
            );
            assert_eq!(p, r);
            assert_eq!(value(&F1(average), &a, &y), value(&F1(average), &y, &a));
        }
    }
}

/// 0/0 counts as 0.
#[test]
fn empty_classes_count_as_0() {
    let (a, y) = (dmatrix![0.1, 0.2], dmatrix![0.0, 0.0]);
    let one = Average::Class(1);
    for metric in [&Precision(one) as &dyn Metric<f64>, &Recall(one), &F1(one)] {
        assert_eq!(metric.evaluate(a.as_view(), y.as_view()).unwrap(), 0.0);
    }
    assert_eq!(value(&F1(Average::Macro), &a, &y), 0.5);
    assert_eq!(value(&F1(Average::Micro), &a, &y), 1.0);
}

#[test]
fn tables_are_aligned() {
    let (actual, read): (Vec<usize>, Vec<usize>) = (0..12345).map(|k| (k % 11, k % 3)).unzip();
    let counts = ConfusionMatrix::from_labels(&actual, &read, 11).unwrap();
    let table = counts.to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 13);
    assert!(
        lines.iter().all(|line| line.len() == lines[0].len()),
        "{table}"
    );
    assert!(lines[0].starts_with("true \\ pred     0     1 "), "{table}");
    assert!(lines[0].ends_with("    10  recall"), "{table}");
    let counts = ConfusionMatrix::from_labels(&[0; 1_234_567], &[0; 1_234_567], 2).unwrap();
    let expected = "\
true \\ pred       0       1  recall
0           1234567       0   1.000
1                 0       0   0.000
precision     1.000   0.000   1.000";
    assert_eq!(counts.to_string(), expected);
}
