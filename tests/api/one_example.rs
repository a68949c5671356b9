//! A slice, an array, a `Vec` or an nalgebra vector is one example wherever X is accepted.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::data::{Scaler, Standardizer};
use backprop::nalgebra::{DMatrix, DMatrixView, DVector};
use backprop::{
    BinaryCrossEntropy, Error, Examples, Initialization, Network, Objective, Tangent, Workspace,
    rng, row_major,
};

fn network() -> Network<f64> {
    Network::builder(3)
        .dense(4, Tanh)
        .dense(2, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(5))
        .unwrap()
}

#[test]
fn every_form_gives_the_bits_of_a_column() {
    let (network, x) = (network(), [0.1, -0.2, 0.3]);
    let expected = network
        .forward(&DMatrix::from_column_slice(3, 1, &x))
        .unwrap();
    assert_eq!(expected.shape(), (2, 1));
    let (vec, vector) = (x.to_vec(), DVector::from_column_slice(&x));
    assert_eq!(network.forward(&x).unwrap(), expected);
    assert_eq!(network.forward(&x[..]).unwrap(), expected);
    assert_eq!(network.forward(&vec).unwrap(), expected);
    assert_eq!(network.forward(&vector).unwrap(), expected);
    assert_eq!(network.forward(vector.column(0)).unwrap(), expected);
    assert_eq!(network.forward(&[0.1, -0.2, 0.3]).unwrap(), expected);

    let mut workspace = Workspace::new();
    assert_eq!(network.forward_into(&x, &mut workspace).unwrap(), expected);
    let single = network.map(|w| w as f32).unwrap();
    assert_eq!(single.forward(&[0.1, -0.2, 0.3]).unwrap().shape(), (2, 1));
}

#[test]
fn other_calls_accept_one_example_too() {
    let (network, x, y) = (network(), [0.1, -0.2, 0.3], [1.0, 0.0]);
    let column = |numbers: &[f64]| DMatrix::from_column_slice(numbers.len(), 1, numbers);
    let (examples, objective) = (
        Examples::new(&x, &y).unwrap(),
        Objective::new(BinaryCrossEntropy),
    );
    let (columns, targets) = (column(&x), column(&y));
    let expected = Examples::new(&columns, &targets).unwrap();
    assert_eq!((examples.len(), examples.x()), (1, expected.x()));
    assert_eq!(
        network.backprop(&examples, &objective).unwrap(),
        network.backprop(&expected, &objective).unwrap()
    );
    let (along, expected) = (Tangent::of_inputs(&x), Tangent::of_inputs(&columns));
    assert_eq!(
        network.jvp(&x, along).unwrap(),
        network.jvp(&columns, expected).unwrap()
    );
    assert_eq!(
        network.vjp(&x, &y).unwrap(),
        network.vjp(&columns, &targets).unwrap()
    );
    let scaler = Standardizer::new(vec![1.0, 2.0, 3.0], vec![2.0; 3]).unwrap();
    assert_eq!(scaler.apply(&x).unwrap(), scaler.apply(&columns).unwrap());
}

/// A slice is one example, never several: any other length gives an error with both shapes.
#[test]
fn a_slice_of_another_length_is_refused() {
    let shape = |rows| Error::Shape {
        what: "X",
        expected: (3, 1),
        found: (rows, 1),
    };
    let network = network();
    let buffer = [0.1, -0.2, 0.3, 0.4, 0.5, 0.6]; // two examples
    for rows in [0, 1, 2, 4, 6] {
        assert_eq!(network.forward(&buffer[..rows]), Err(shape(rows)));
    }
    let none: [f64; 0] = [];
    assert_eq!(network.forward(&none), Err(shape(0)));
    assert_eq!(network.forward(&Vec::new()), Err(shape(0)));

    let both = network.forward(row_major(&buffer, 3).unwrap()).unwrap();
    assert_eq!(
        both,
        network
            .forward(DMatrixView::from_slice(&buffer, 3, 2))
            .unwrap()
    );
    assert_eq!(
        both.column(1),
        network.forward(&buffer[3..]).unwrap().column(0)
    );

    // With one feature, the four numbers could be four examples, but they are not read that way.
    let one = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let refused = one.forward(&[1.0, 2.0, 3.0, 4.0]).unwrap_err();
    assert!(matches!(
        refused,
        Error::Shape {
            expected: (1, 1),
            found: (4, 1),
            ..
        }
    ));
    assert_eq!(
        network
            .forward(&[0.1, f64::NAN, 0.3])
            .map_err(|e| e.to_string()),
        network
            .forward(&DVector::from_vec(vec![0.1, f64::NAN, 0.3]))
            .map_err(|e| e.to_string())
    );
}
