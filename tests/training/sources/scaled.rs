//! Inputs that are scaled when they are read.

use super::{assert_same, counted};
use backprop::data::{Scaler, Standardizer};
use backprop::nalgebra::DMatrix;
use backprop::source::{Scaled, Source};
use backprop::{Error, Examples};

#[test]
fn scaled_inputs_are_those_of_scaled_matrices() {
    let x = DMatrix::from_vec(2, 500, counted::<f64>(1000, 1000));
    let y = DMatrix::from_vec(1, 500, counted(500, 500));
    let weights = vec![2.0; 500];
    let present = y.map(|y| y > 100.0);
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let examples = examples.weighted(&weights).unwrap();
    let scaler = Standardizer::fit(&x).unwrap();
    let scaled = Scaled::new(examples, scaler.clone()).unwrap();
    let expected = scaler.apply(&x).unwrap();
    let expected = Examples::with_missing(&expected, &y, &present).unwrap();
    assert_same(&scaled, &expected.weighted(&weights).unwrap());
    assert!(scaled.view(0..500).is_none() && !scaled.reads_ahead());
}

#[test]
fn a_scaler_of_other_inputs_is_refused() {
    let x = DMatrix::from_vec(2, 3, counted::<f64>(6, 6));
    let y = DMatrix::zeros(1, 3);
    let scaler = Standardizer::fit(&x).unwrap();
    let found = Scaled::new(Examples::new(&y, &x).unwrap(), scaler).map(drop);
    let refused = Error::Shape {
        what: "X",
        expected: (2, 3),
        found: (1, 3),
    };
    assert_eq!(found, Err(refused));
}
