//! Labels to targets and back, and label encoders.

use super::{VALUES, example_columns, list};
use backprop::data::{LabelEncoder, labels, one_hot, select};
use backprop::nalgebra::{DMatrix, dmatrix};
use num_dual::Dual64;

#[test]
fn one_hot_by_hand() {
    let expected = dmatrix![0.0, 1.0, 0.0; 0.0, 0.0, 0.0; 1.0, 0.0, 0.0; 0.0, 0.0, 1.0];
    assert_eq!(one_hot::<f64>(&[2, 0, 3], 4).unwrap(), expected);
    assert_eq!(one_hot::<f32>(&[0, 0], 1).unwrap(), dmatrix![1.0, 1.0]);
}

#[test]
fn labels_undo_one_hot() {
    for classes in 1..7 {
        let all: Vec<usize> = (0..40).map(|k| (k * k + k / 3) % classes).collect();
        assert_eq!(
            labels(&one_hot::<f64>(&all, classes).unwrap()).unwrap(),
            all
        );
        assert_eq!(
            labels(&one_hot::<f32>(&all, classes).unwrap()).unwrap(),
            all
        );
        let dual = one_hot::<Dual64>(&all, classes).unwrap();
        assert_eq!(labels(&dual).unwrap(), all);
    }
}

#[test]
fn of_equal_entries_the_first_counts() {
    let a = dmatrix![1.0, 0.0, -2.0, -0.0; 1.0, 3.0, -2.0, 0.0; 0.0, 3.0, -1.0, -1.0];
    assert_eq!(labels(&a).unwrap(), [0, 1, 2, 0]);
    assert_eq!(labels(a.columns(1, 2)).unwrap(), [1, 2]);
    assert_eq!(labels(a.column(2)).unwrap(), [2]);
    let infinite = dmatrix![f64::NEG_INFINITY, 0.0; f64::MIN, f64::INFINITY];
    assert_eq!(labels(&infinite).unwrap(), [1, 1]);
}

#[test]
fn names_as_scikit_learn_numbers_them() {
    let species: Vec<String> = list(&VALUES["species"]);
    let encoder = LabelEncoder::fit(&species).unwrap();
    let classes: Vec<String> = list(&VALUES["classes"]);
    assert_eq!(encoder.classes(), classes);
    let numbers = encoder.encode(&species).unwrap();
    assert_eq!(numbers, list::<usize>(&VALUES["labels"]));
    assert_eq!(encoder.decode(&numbers).unwrap(), species);
    let y = one_hot::<f64>(&numbers, classes.len()).unwrap();
    assert_eq!(y, example_columns(&VALUES["one_hot"]));
    assert!(encoder.encode(&[]).unwrap().is_empty());
}

#[test]
fn any_ordered_type_is_a_label() {
    let encoder = LabelEncoder::fit(&[30_i64, -5, 30, i64::MAX]).unwrap();
    assert_eq!(encoder.classes(), [-5, 30, i64::MAX]);
    assert_eq!(encoder.encode(&[30, -5]).unwrap(), [1, 0]);
    let encoder = LabelEncoder::fit(&[('b', 1), ('a', 2), ('b', 0)]).unwrap();
    assert_eq!(encoder.encode(&[('b', 0), ('b', 1)]).unwrap(), [1, 2]);
}

#[test]
fn columns_are_gathered() {
    let x = DMatrix::from_fn(3, 5, |i, k| (10 * k + i) as f64);
    let found = select(&x, &[4, 0, 4]).unwrap();
    assert_eq!(
        found,
        dmatrix![40.0, 0.0, 40.0; 41.0, 1.0, 41.0; 42.0, 2.0, 42.0]
    );
    assert_eq!(select(&x, &[0, 1, 2, 3, 4]).unwrap(), x);
    assert_eq!(select(&x, &[]).unwrap().shape(), (3, 0));
    let view = x.view((1, 2), (2, 3));
    assert_eq!(
        select(view, &[2, 1]).unwrap(),
        dmatrix![41.0, 31.0; 42.0, 32.0]
    );
    assert_eq!(
        select(&DMatrix::<f64>::zeros(0, 2), &[1]).unwrap().shape(),
        (0, 1)
    );
}
