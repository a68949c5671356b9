//! Invalid labels, rows and splits.

use super::*;
use backprop::TableFault;
use backprop::data::{
    Fractions, KFold, LabelEncoder, MinMaxScaler, Scaler, Standardizer, Table, balanced_weights,
    class_weights, labels, one_hot, select, stratified_split, stratified_three_way_split,
    three_way_split, train_test_split,
};
use backprop::nalgebra::dmatrix;
use backprop::source::Csv;

pub(super) fn too_large(what: &'static str, rows: usize, cols: usize) -> Error {
    Error::TooLarge { what, rows, cols }
}

pub(super) fn label(what: &'static str, example: usize, label: usize, classes: usize) -> Error {
    Error::Label {
        what,
        example,
        label,
        classes,
    }
}

pub(super) fn few(class: Option<usize>, expected: usize, found: usize) -> Error {
    Error::FewExamples {
        class,
        expected,
        found,
    }
}

fn spread(row: usize, value: f64) -> Error {
    Error::Spread { row, value }
}

fn scaled(row: usize, example: usize, value: f64) -> Error {
    Error::Scaled {
        row,
        example,
        value,
    }
}

#[test]
pub(super) fn labels_of_examples() {
    refused("none", one_hot::<f64>(&[], 3), &Error::NoExamples);
    for bad in [3, 4, usize::MAX] {
        let expected = label("the labels", 1, bad, 3);
        refused("label", one_hot::<f64>(&[2, bad, 9], 3), &expected);
    }
    refused("none", class_weights(&[], &[1.0]), &Error::NoExamples);
    refused("none", balanced_weights(&[], 3), &Error::NoExamples);
    let expected = label("the labels", 1, 3, 3);
    refused("label", class_weights(&[2, 3], &[1.0; 3]), &expected);
    refused("label", balanced_weights(&[2, 3], 3), &expected);
    let expected = label("the labels", 0, 0, 0);
    refused("no classes", one_hot::<f64>(&[0], 0), &expected);
    for classes in [usize::MAX, usize::MAX / 16] {
        let expected = too_large("the matrix of targets", classes, 2);
        refused("classes", one_hot::<f64>(&[0, 0], classes), &expected);
    }

    let what = "the matrix of classes";
    refused(
        "none",
        labels(&DMatrix::<f64>::zeros(3, 0)),
        &Error::NoExamples,
    );
    let found = labels(&DMatrix::<f64>::zeros(0, 2));
    refused("no rows", found, &shape(what, (1, 2), (0, 2)));
    for at in [(0, 0), (2, 1), (1, 4)] {
        let mut a = DMatrix::repeat(3, 5, 0.5);
        a[(2, 4)] = f64::NAN;
        a[at] = f64::NAN;
        refused("NaN", labels(&a), &input(what, at, f64::NAN));
    }

    let none: [&str; 0] = [];
    refused("none", LabelEncoder::fit(&none), &Error::NoExamples);
    let encoder = LabelEncoder::fit(&["b", "d", "b"]).unwrap();
    for unknown in ["", "a", "c", "e"] {
        let found = encoder.encode(&["d", "b", unknown, "f"]);
        let expected = Error::UnknownLabel {
            example: 2,
            label: format!("{unknown:?}"),
            known: 2,
        };
        refused(unknown, found, &expected);
    }
    for bad in [2, usize::MAX] {
        let expected = label("the classes", 1, bad, 2);
        refused("class", encoder.decode(&[1, bad]), &expected);
    }

    let x = DMatrix::<f64>::zeros(2, 5);
    for bad in [5, 6, usize::MAX] {
        let found = select(&x, &[0, 4, bad, 99]);
        refused("select", found, &index("example", bad, 5));
    }
    let found = select(&DMatrix::<f64>::zeros(2, 0), &[0]);
    refused("select", found, &index("example", 0, 0));
}

#[test]
pub(super) fn scalers() {
    let x = Problem::new().x;
    for rows in [0, 3] {
        let empty = DMatrix::<f64>::zeros(rows, 0);
        refused("none", Standardizer::fit(&empty), &Error::NoExamples);
        refused("none", MinMaxScaler::fit(&empty), &Error::NoExamples);
    }
    let standard = Standardizer::fit(&x).unwrap();
    let min_max = MinMaxScaler::fit(&x).unwrap();
    let seven = DMatrix::repeat(3, 5, 7.0);
    let mut into = seven.clone();
    // Both scalers, in both directions and into a buffer, which stays unchanged.
    let mut no_scaling = |what: &str, x: &DMatrix<f64>, expected: [&Error; 2]| {
        refused(what, standard.apply(x), expected[0]);
        refused(what, min_max.apply(x), expected[0]);
        refused(what, standard.invert(x), expected[1]);
        refused(what, min_max.invert(x), expected[1]);
        for found in [
            standard.apply_into(x, into.as_view_mut()),
            min_max.apply_into(x, into.as_view_mut()),
        ] {
            refused(what, found, expected[0]);
        }
        for found in [
            standard.invert_into(x, into.as_view_mut()),
            min_max.invert_into(x, into.as_view_mut()),
        ] {
            refused(what, found, expected[1]);
        }
        assert_eq!(into, seven, "{what}");
    };
    let z = "the scaled matrix";
    for (broken, at, bad) in broken_entries(&x) {
        let what = &format!("{bad} at {at:?}");
        let expected = input("X", at, bad);
        refused(what, Standardizer::fit(&broken), &expected);
        refused(what, MinMaxScaler::fit(&broken), &expected);
        no_scaling(what, &broken, [&expected, &input(z, at, bad)]);
    }
    for wrong in [(2, 5), (4, 5), (0, 5), (5, 3), (1, 1), (0, 0)] {
        let other = DMatrix::repeat(wrong.0, wrong.1, f64::NAN);
        let expected = [
            shape("X", (3, wrong.1), wrong),
            shape(z, (3, wrong.1), wrong),
        ];
        no_scaling(&format!("{wrong:?}"), &other, expected.each_ref());
    }
    for wrong in broken_shapes(3, 5) {
        let mut out = DMatrix::repeat(wrong.0, wrong.1, 7.0);
        let expected = shape("the matrix for the result", (3, 5), wrong);
        refused(
            "buffer",
            standard.apply_into(&x, out.as_view_mut()),
            &expected,
        );
        refused(
            "buffer",
            min_max.apply_into(&x, out.as_view_mut()),
            &expected,
        );
        assert!(out.iter().all(|&x| x == 7.0));
    }
    statistics();
}

/// Means, standard deviations and ranges that a scaler cannot use.
fn statistics() {
    let lengths = |expected| {
        [
            length("the deviations", 2, expected),
            length("the ranges", 2, expected),
        ]
    };
    for count in [0, 1, 3] {
        let divisors = vec![1.0; count];
        let expected = lengths(count);
        refused(
            "count",
            Standardizer::new(vec![0.0; 2], divisors.clone()),
            &expected[0],
        );
        refused(
            "count",
            MinMaxScaler::new(vec![0.0; 2], divisors),
            &expected[1],
        );
    }
    for bad in BAD {
        let mut shifts = vec![1.0, 2.0, f64::NAN];
        shifts[1] = bad;
        let found = Standardizer::new(shifts.clone(), vec![1.0; 3]);
        refused("mean", found, &input("the means", (1, 0), bad));
        let found = MinMaxScaler::new(shifts, vec![1.0; 3]);
        refused("minimum", found, &input("the minima", (1, 0), bad));
    }
    for bad in BAD.into_iter().chain([0.0, -0.0, -5e-324, -1.0]) {
        let divisors = vec![1.0, bad, f64::NAN];
        let found = Standardizer::new(vec![0.0; 3], divisors.clone());
        refused("deviation", found, &spread(1, bad));
        refused(
            "range",
            MinMaxScaler::new(vec![0.0; 3], divisors),
            &spread(1, bad),
        );
    }
    // Finite numbers with an infinite range and, in f32, with a standard deviation of 0.
    let wide = dmatrix![1.0, 2.0; -f64::MAX, f64::MAX];
    refused("wide", Standardizer::fit(&wide), &spread(1, f64::INFINITY));
    refused("wide", MinMaxScaler::fit(&wide), &spread(1, f64::INFINITY));
    let wide = wide.map(|x| x.signum() as f32 * f32::MAX);
    let found = MinMaxScaler::fit(&wide.rows(1, 1).clone_owned());
    refused("f32", found, &spread(0, 2.0 * f64::from(f32::MAX)));
    assert!(Standardizer::fit(&wide).is_ok());

    let expected = "a finite number, with a < b and b − a finite";
    let scaler = MinMaxScaler::fit(&dmatrix![1.0, 2.0]).unwrap();
    let (a, b) = ("a of the interval [a, b]", "b of the interval [a, b]");
    for bad in BAD {
        let found = scaler.clone().interval(bad, 1.0);
        refused("a", found, &hyperparameter(a, bad, expected));
        let found = scaler.clone().interval(0.0, bad);
        refused("b", found, &hyperparameter(b, bad, expected));
    }
    for (low, high) in [(0.0, 0.0), (1.0, 0.0), (-f64::MAX, f64::MAX)] {
        let found = scaler.clone().interval(low, high);
        refused("a < b", found, &hyperparameter(b, high, expected));
    }
    let single = MinMaxScaler::fit(&dmatrix![1.0_f32, 2.0]).unwrap();
    let found = single.clone().interval(1e39, 2e39);
    refused("f32", found, &hyperparameter(a, 1e39, expected));
    let found = single.interval(0.0, 1e-50);
    refused("f32", found, &hyperparameter(b, 1e-50, expected));

    // Divided by a small number or multiplied by a large one.
    let small = Standardizer::new(vec![0.0; 2], vec![1.0, 1e-10]).unwrap();
    let x = dmatrix![1e300, 1.0, 1.0; 1.0, 1.0, -1e300];
    refused("apply", small.apply(&x), &scaled(1, 2, f64::NEG_INFINITY));
    let large = MinMaxScaler::new(vec![0.0; 2], vec![1.0, 1e10]).unwrap();
    refused("invert", large.invert(&x), &scaled(1, 2, f64::NEG_INFINITY));
}

#[test]
pub(super) fn splits() {
    let part = |name, value, m| {
        let expected =
            format!("a number in (0, 1) that puts at least one of {m} examples in each part");
        hyperparameter(name, value, expected)
    };
    let of_test = |value, m| part("the fraction of test examples", value, m);
    let fraction = |value| of_test(value, 10);
    let ones = [1; 10];
    for bad in BAD
        .into_iter()
        .chain([0.0, -0.0, 1.0, 1.5, -0.5, 0.04, 0.96])
    {
        refused("fraction", train_test_split(10, bad, 1), &fraction(bad));
        refused("fraction", stratified_split(&ones, bad, 1), &fraction(bad));
    }
    let of_validation = |value| part("the fraction of validation examples", value, 10);
    for (validation, test, expected) in [
        (f64::NAN, 0.2, of_validation(f64::NAN)),
        (0.0, 0.2, of_validation(0.0)),
        (-0.1, 0.2, of_validation(-0.1)),
        (0.8, 0.2, of_validation(0.8)),
        (1.5, 0.2, of_validation(1.5)),
        (0.2, 1.0, fraction(1.0)),
        (0.2, f64::INFINITY, fraction(f64::INFINITY)),
    ] {
        let parts = Fractions { validation, test };
        refused("three", three_way_split(10, parts, 1), &expected);
        refused(
            "three",
            stratified_three_way_split(&ones, parts, 1),
            &expected,
        );
    }
    let parts = Fractions {
        validation: 0.3,
        test: 0.3,
    };
    refused("none", three_way_split(0, parts, 1), &Error::NoExamples);
    refused(
        "none",
        stratified_three_way_split(&[], parts, 1),
        &Error::NoExamples,
    );
    let two = part("the fraction of validation examples", 0.3, 2);
    refused("two", three_way_split(2, parts, 1), &two);
    let few_of_4 = few(Some(4), 3, 2);
    let labels = [7, 4, 7, 7, 4, 9, 9, 9];
    refused(
        "two of 4",
        stratified_three_way_split(&labels, parts, 1),
        &few_of_4,
    );

    refused("none", train_test_split(0, 0.5, 1), &Error::NoExamples);
    refused("none", stratified_split(&[], 0.5, 1), &Error::NoExamples);
    refused("one", train_test_split(1, 0.5, 1), &of_test(0.5, 1));
    let max = usize::MAX;
    let indices = too_large("the indices of the examples", max, 1);
    refused("memory", train_test_split(max, 0.5, 1), &indices);
    let found = stratified_split(&[7, 2, 7, 9, 9], 0.5, 1);
    refused("class", found, &few(Some(2), 2, 1));
    let found = stratified_split(&[usize::MAX, 3, 3], 0.5, 1);
    refused("class", found, &few(Some(usize::MAX), 2, 1));

    // Each part has an example for each class, as many as they are.
    let three = [0, 1, 2, 0, 1, 2, 0, 1, 2];
    let least = |name, value| {
        let expected = "a number in (0, 1) that puts at least 3 of 9 examples in each part, one \
                        for each of the 3 classes";
        hyperparameter(name, value, expected)
    };
    for bad in [0.2, 0.8] {
        let expected = least("the fraction of test examples", bad);
        refused("classes", stratified_split(&three, bad, 1), &expected);
    }
    for good in [1.0 / 3.0, 2.0 / 3.0] {
        assert!(stratified_split(&three, good, 1).is_ok());
    }
    let of_parts =
        |validation, test| stratified_three_way_split(&three, Fractions { validation, test }, 1);
    let third = 1.0 / 3.0;
    assert!(of_parts(third, third).is_ok());
    let validation = "the fraction of validation examples";
    for (bad, expected) in [
        (of_parts(0.2, third), least(validation, 0.2)),
        (of_parts(0.45, third), least(validation, 0.45)),
        (
            of_parts(third, 0.2),
            least("the fraction of test examples", 0.2),
        ),
    ] {
        refused("classes", bad, &expected);
    }

    let folds = |value: usize| {
        let expected = "2 to 10, the number of examples";
        hyperparameter("the number of folds", value as f64, expected)
    };
    for bad in [0, 1, 11, max] {
        for k_fold in [KFold::new(bad), KFold::new(bad).shuffled(1)] {
            refused("folds", k_fold.split(10), &folds(bad));
            refused("folds", k_fold.stratified(&ones), &folds(bad));
            refused("none", k_fold.split(0), &Error::NoExamples);
            refused("none", k_fold.stratified(&[]), &Error::NoExamples);
        }
    }
    refused("memory", KFold::new(2).split(max), &indices);
    let found = KFold::new(3).stratified(&[5, 5, 5, 8, 8, 1]);
    refused("class", found, &few(Some(8), 3, 2));
}

#[test]
pub(super) fn tables() {
    let table = Table::new().with_numbers("a", [1.0, 2.0]).unwrap();
    let of = |fault| Error::Table { fault };
    let column = || "a".to_owned();
    let expected = of(TableFault::Repeated { column: column() });
    refused(
        "twice",
        table.clone().with_numbers("a", [1.0, 2.0]),
        &expected,
    );
    let expected = of(TableFault::Length {
        column: "b".to_owned(),
        expected: 2,
        found: 1,
    });
    refused("length", table.clone().with_numbers("b", [1.0]), &expected);
    let expected = of(TableFault::Kind {
        column: column(),
        expected: "text",
    });
    refused("kind", table.text("a"), &expected);
    let expected = Error::Csv {
        name: "the CSV".to_owned(),
        line: 2,
        fault: TableFault::Cells {
            expected: 2,
            found: 1,
        },
    };
    let read = Csv::new().numbers(["a"]).from_bytes(b"a,b\n1\n");
    refused("cells", read, &expected);
}
