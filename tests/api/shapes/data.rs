//! X, Y and weights that are invalid for every network.

use super::*;
use backprop::nalgebra::DVector;
use backprop::{Dense, row_major};

fn counts(x: (usize, usize), y: (usize, usize)) -> Error {
    Error::ExampleCounts { x, y }
}

#[track_caller]
fn no_examples(what: &str, x: &DMatrix<f64>, y: &DMatrix<f64>, expected: &Error) {
    refused(what, Examples::new(x, y), expected);
}

#[test]
pub(super) fn examples() {
    let problem = Problem::new();
    let (network, x, y) = (&problem.network, &problem.x, &problem.y);
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let (layer, check) = (Dense::new(3, 4, Tanh), GradientCheck::new());
    let no_forward = |what: &str, x: &DMatrix<f64>, expected: &Error| {
        let mut workspace = Workspace::new();
        refused(what, network.forward(x), expected);
        refused(what, network.forward(x.columns(0, x.ncols())), expected);
        refused(what, network.forward_into(x, &mut workspace), expected);
        assert!(workspace.output().is_none(), "{what}: a pass was made");
        // By itself, the layer is asked for its plan with inputs like X.
        let of_plan = Error::LayerInputs {
            layer: 0.into(),
            expected: x.nrows(),
            found: 3,
        };
        let expected = if x.nrows() == 3 { expected } else { &of_plan };
        refused(what, check.layer(&layer, &[0.5; 16], x), expected);
    };

    for wrong in [(3, 4), (3, 6), (3, 1), (5, 3), (2, 4)] {
        let what = &format!("{wrong:?}");
        let other = DMatrix::repeat(wrong.0, wrong.1, f64::NAN);
        no_examples(what, &other, y, &counts(wrong, (2, 5)));
        no_examples(what, x, &other, &counts((3, 5), wrong));
    }
    let empty = |rows| DMatrix::<f64>::zeros(rows, 0);
    for rows in [0, 3] {
        let what = "no columns";
        no_examples(what, &empty(rows), y, &Error::NoExamples);
        no_examples(what, &empty(rows), &empty(2), &Error::NoExamples);
        no_examples(what, x, &empty(rows), &counts((3, 5), (rows, 0)));
    }
    let expected = counts((5, 3), (5, 2));
    no_examples("transposed", &x.transpose(), &y.transpose(), &expected);
    let found = Examples::new(x.columns(0, 4), y.columns(1, 3));
    refused("views", found, &counts((3, 4), (2, 3)));
    let single = DVector::repeat(3, 0.5);
    let found = Examples::new(&single, y);
    refused("one column", found, &counts((3, 1), (2, 5)));
    let found = Examples::new(x.column(4), y.columns(3, 2));
    refused("one column", found, &counts((3, 1), (2, 2)));

    for (broken, at, bad) in broken_entries(x) {
        let (what, expected) = (&format!("X: {bad} at {at:?}"), input("X", at, bad));
        no_examples(what, &broken, y, &expected);
        no_forward(what, &broken, &expected);
        // X is checked first.
        let nan = DMatrix::repeat(2, 5, f64::NAN);
        no_examples(what, &broken, &nan, &expected);
        let col = broken.columns(at.1, 1);
        let found = network.forward(col);
        refused(what, found, &input("X", (at.0, 0), bad));
    }
    for (broken, at, bad) in broken_entries(y) {
        let what = &format!("Y: {bad} at {at:?}");
        no_examples(what, x, &broken, &input("Y", at, bad));
    }
    let infinite = DVector::from_vec(vec![0.5, f64::INFINITY, 0.5]);
    let expected = input("X", (1, 0), f64::INFINITY);
    refused("a vector", network.forward(&infinite), &expected);

    for wrong in [(2, 5), (4, 5), (5, 3), (0, 5), (0, 0), (2, 0), (1, 1)] {
        let other = DMatrix::repeat(wrong.0, wrong.1, f64::NAN);
        let expected = shape("X", (3, wrong.1), wrong);
        no_forward(&format!("X of {wrong:?}"), &other, &expected);
    }
    no_forward("no columns", &empty(3), &Error::NoExamples);
    for wrong in broken(3) {
        // Only sizes that fit in the memory of a test.
        let single = DVector::repeat(wrong.min(9), 0.5);
        let expected = shape("X", (3, 1), (wrong.min(9), 1));
        refused("one example", network.forward(&single), &expected);
        refused("one example", network.forward(single.column(0)), &expected);
    }
    assert_eq!(problem.bits(&mut workspace), before);
}

#[test]
pub(super) fn weights() {
    let problem = Problem::new();
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let examples = Examples::new(&problem.x, &problem.y).unwrap();
    for wrong in [4, 6, 0, 1, 25] {
        for value in [1.0, 0.0, f64::NAN] {
            let found = examples.weighted(&vec![value; wrong]).map(drop);
            refused("count", found, &length("the example weights", 5, wrong));
        }
    }
    for example in 0..5 {
        for value in BAD.into_iter().chain([-0.5, -5e-324]) {
            let mut weights = problem.weights;
            weights[4] = -1.0;
            weights[example] = value;
            let found = examples.weighted(&weights).map(drop);
            let what = &format!("{value} of {example}");
            refused(what, found, &Error::Weight { example, value });
        }
    }
    for zero in [0.0, -0.0] {
        let found = examples.weighted(&[zero; 5]).map(drop);
        refused("zero", found, &Error::NoExamples);
    }
    let total = |value| Error::TotalWeight { value };
    let found = examples.weighted(&[f64::MAX; 5]).map(drop);
    refused("sum", found, &total(f64::INFINITY));
    let tiny = [0.0, 0.0, 1e-310, 0.0, 0.0];
    refused("sum", examples.weighted(&tiny).map(drop), &total(1e-310));
    // Sums that f64 can hold but f32 cannot: above its range, and where it has no digits left.
    let (x, y) = (problem.x.map(|x| x as f32), problem.y.map(|y| y as f32));
    let single = Examples::new(&x, &y).unwrap();
    // f32 has powers of 2 below 2⁻¹²⁶, but a mean divided by such a power would lose digits.
    for exponent in [127, -160, -149, -140, -130] {
        let value = 2.0_f64.powi(exponent);
        let weights = [value; 5];
        let found = single.weighted(&weights).map(drop);
        refused("f32", found, &total(5.0 * value));
        assert!(examples.weighted(&weights).is_ok());
    }
    // A refused call leaves the examples unchanged, with weights and without.
    assert_eq!(examples.total_weight(), 5.0);
    assert!(problem.examples().weighted(&[f64::NAN; 5]).is_err());
    assert_eq!(problem.examples().total_weight(), 6.5);
    assert_eq!(problem.bits(&mut workspace), before);
}

#[test]
pub(super) fn row_major_buffers() {
    let buffer = [0.5; 15];
    assert_eq!(row_major(&buffer, 3).unwrap().shape(), (3, 5));
    for (length, row) in [
        (15, 2),
        (15, 4),
        (15, 0),
        (15, 16),
        (15, usize::MAX),
        (14, 3),
        (13, 3),
        (1, 3),
        (0, 0),
    ] {
        let expected = Error::Ragged {
            what: "the row-major buffer",
            length,
            row,
        };
        let found = row_major(&buffer[..length], row);
        refused(&format!("{length} by {row}"), found, &expected);
    }
    // Zero rows, each longer than any memory.
    for row in [
        usize::MAX,
        usize::MAX / 2,
        usize::MAX / 8,
        usize::MAX / 16 + 1,
    ] {
        let expected = Error::TooLarge {
            what: "a row of the row-major buffer",
            rows: 1,
            cols: row,
        };
        let found = row_major::<f64>(&[], row);
        refused(&format!("none by {row}"), found, &expected);
    }
    let longest = usize::MAX / 16;
    assert_eq!(row_major::<f64>(&[], longest).unwrap().nrows(), longest);
    // More empty columns than any loop could visit.
    let endless = DMatrix::<f64>::zeros(0, usize::MAX);
    let found = Problem::new().network.forward(&endless);
    refused(
        "no rows",
        found,
        &shape("X", (3, usize::MAX), (0, usize::MAX)),
    );
    assert_eq!(Examples::new(&endless, &endless).unwrap().len(), usize::MAX);
    // Zero rows are complete rows, but give no examples. 5 rows of 3 have a different shape from 3
    // rows of 5.
    let none = row_major::<f64>(&[], 3).unwrap();
    let problem = Problem::new();
    let found = Examples::new(none, none);
    refused("no rows", found, &Error::NoExamples);
    let wrong = row_major(&buffer, 5).unwrap();
    let found = problem.network.forward(wrong);
    refused("rows", found, &shape("X", (3, 3), (5, 3)));
    let found = Examples::new(wrong, &problem.y);
    refused("rows", found, &counts((5, 3), (2, 5)));
}
