//! The gradient checker's options, and parts that cannot be checked.

use super::*;
use backprop::activation::{Exponential, Identity};
use backprop::{Dense, Location, SquaredError};

/// Asserts that every call that compares gives this error.
#[track_caller]
fn no_check(check: &GradientCheck, expected: &Error) {
    let (problem, what) = (Problem::new(), &format!("{check:?}"));
    let (network, examples) = (&problem.network, problem.examples());
    let found = check.network(network, &examples, &problem.objective);
    refused(what, found, expected);
    let found = check.function(&[("p", 1)], &[0.5], |p| (p[0], vec![1.0]));
    refused(what, found, expected);
    refused(what, check.function(&[], &[], |_| (1.0, vec![])), expected);
    refused(what, check.activation(&Tanh, &problem.x), expected);
    let layer = Dense::new(3, 2, Sigmoid);
    refused(what, check.layer(&layer, &[0.5; 8], &problem.x), expected);
    for g in [Identity, Tanh] {
        let found = check.cost(&SquaredError, &g, &problem.y, &problem.y);
        refused(what, found, expected);
    }
    assert_eq!(*network, Problem::new().network);
}

#[test]
fn options() {
    let positive = "a number in (0, ∞)";
    // Steps that are lost in rounding or that leave the neighbourhood of θ.
    let range = "a number from the machine precision to 1";
    for bad in BAD
        .into_iter()
        .chain([0.0, -1e-5, 1e-300, 2e-16, 1.1, 1e300])
    {
        let step = hyperparameter("the step of the gradient check", bad, range);
        no_check(&GradientCheck::new().step(bad), &step);
        no_check(&GradientCheck::new().step(bad).directions(1, 1), &step);
    }
    for bad in BAD.into_iter().chain([0.0, -0.0, -1e-5]) {
        let tolerance = hyperparameter("the tolerance of the gradient check", bad, positive);
        no_check(&GradientCheck::new().tolerance(bad, 1e-9), &tolerance);
        no_check(&GradientCheck::new().tolerance(bad, 0.0), &tolerance);
    }
    for bad in BAD.into_iter().chain([-5e-324, -1.0]) {
        let range = "a number in [0, ∞)";
        let floor = hyperparameter("the floor of the gradient check", bad, range);
        no_check(&GradientCheck::new().tolerance(1e-6, bad), &floor);
    }
    let none = hyperparameter("the number of comparisons", 0.0, positive);
    no_check(&GradientCheck::new().sampled(0, 1), &none);
    no_check(&GradientCheck::new().directions(0, 1), &none);
    // A count above the number of entries means all entries.
    let problem = Problem::new();
    let check = GradientCheck::new()
        .tolerance(1e-6, 0.0)
        .sampled(usize::MAX, 1);
    let examples = problem.examples();
    let report = check.network(&problem.network, &examples, &problem.objective);
    assert_eq!(report.unwrap().blocks[0].compared, 16);

    // Each scalar type has its own precision.
    let single = |step| {
        let f = |p: &[f32]| (p[0] + p[1], vec![1.0, 1.0]);
        let check = GradientCheck::new().step(step);
        check.function(&[("p", 2)], &[0.0_f32, 0.5], f)
    };
    let step = hyperparameter("the step of the gradient check", 1e-7, range);
    refused("f32", single(1e-7), &step);
    assert!(single(1.2e-7).is_ok() && single(1.0).is_ok());
}

#[test]
pub(super) fn functions() {
    let theta = [0.5, -0.25, 2.0];
    let f = |p: &[f64]| {
        (
            p.iter().map(|p| p * p).sum(),
            p.iter().map(|p| 2.0 * p).collect(),
        )
    };
    let check = GradientCheck::new();
    let good = [("p", 1), ("q", 2)];
    let before = check.function(&good, &theta, f).unwrap();
    before.assert_passed();
    let max = usize::MAX;
    for (blocks, found) in [
        (&[("p", 1), ("q", 1)][..], 2),
        (&[("p", 1), ("q", 3)], 4),
        (&[("p", 0), ("q", 2)], 2),
        (&[("p", 1)], 1),
        (&[], 0),
        (&[("p", max), ("q", 2)], max),
        (&[("p", max), ("q", 4)], max),
        (&[("p", max / 2 + 1), ("q", max / 2 + 1), ("r", 3)], max),
    ] {
        let mut calls = 0;
        let refusal = check.function(blocks, &theta, |p| {
            calls += 1;
            f(p)
        });
        let what = &format!("{blocks:?}");
        refused(what, refusal, &length("the blocks", 3, found));
        assert_eq!(calls, 0, "{what}");
    }
    for wrong in [0, 1, 2, 4, 5] {
        let mut calls = 0;
        let found = check.function(&good, &theta, |p| {
            calls += 1;
            (f(p).0, vec![1.0; wrong])
        });
        refused("gradient", found, &length("the gradient", 3, wrong));
        assert_eq!(calls, 1);
    }
    for (row, value) in (0..3).flat_map(|row| BAD.map(|value| (row, value))) {
        let mut broken = theta;
        broken[row] = value;
        refused(
            "θ",
            check.function(&good, &broken, f),
            &input("θ", (row, 0), value),
        );
    }
    // NaN at the point, or one step from it.
    for value in BAD {
        let expected = Error::NonFinite {
            at: Location::TestedFunction,
            value,
        };
        for variable in 0..3 {
            for side in [-1.0, 0.0, 1.0] {
                let found = check.function(&good, &theta, |p| {
                    let moved = p[variable] - theta[variable];
                    let here = moved * side > 0.0 || side == 0.0 && p == theta;
                    (if here { value } else { f(p).0 }, f(p).1)
                });
                refused("value", found, &expected);
            }
        }
    }
    assert_eq!(check.function(&good, &theta, f).unwrap(), before);
}

#[test]
fn parts() {
    let check = GradientCheck::new();
    let problem = Problem::new();
    let (x, y) = (&problem.x, &problem.y);
    for (rows, cols) in [(0, 5), (0, 1), (3, 0), (0, 0)] {
        let what = &format!("{rows} × {cols}");
        let z = DMatrix::<f64>::zeros(rows, cols);
        let expected = match cols {
            0 => Error::NoExamples,
            _ => shape("z", (1, cols), (0, cols)),
        };
        refused(what, check.activation(&Tanh, &z), &expected);
        refused(what, check.cost(&SquaredError, &Tanh, &z, &z), &expected);
        refused(what, check.cost(&SquaredError, &Tanh, &z, y), &expected);
    }
    for (broken, at, bad) in broken_entries(x) {
        let what = &format!("{bad} at {at:?}");
        let found = check.activation(&Tanh, &broken);
        refused(what, found, &input("z", at, bad));
        let found = check.cost(&SquaredError, &Tanh, &broken, x);
        refused(what, found, &input("z", at, bad));
        let found = check.cost(&SquaredError, &Tanh, x, &broken);
        refused(what, found, &input("Y", at, bad));
    }
    for rows in [1, 3, 0] {
        let other = DMatrix::repeat(rows, 5, 0.5);
        let found = check.cost(&BinaryCrossEntropy, &Sigmoid, y, &other);
        refused("targets", found, &shape("Y", (2, 5), (rows, 5)));
    }
    for cols in [4, 6, 0] {
        let other = DMatrix::repeat(2, cols, 0.5);
        let found = check.cost(&BinaryCrossEntropy, &Sigmoid, y, &other);
        refused("targets", found, &shape("Y", (2, 5), (2, cols)));
    }
    for (layer, expected) in [
        (
            Dense::new(0, 2, Tanh),
            Error::LayerInputs {
                layer: 0.into(),
                expected: 3,
                found: 0,
            },
        ),
        (Dense::new(3, 0, Tanh), Error::ZeroUnits { layer: 0.into() }),
        (
            Dense::new(3, usize::MAX, Tanh),
            Error::TooLarge {
                what: "the parameters θ",
                rows: usize::MAX,
                cols: 4,
            },
        ),
    ] {
        refused("layer", check.layer(&layer, &[0.5; 8], x), &expected);
    }
    let too_much = DMatrix::repeat(1, 1, 800.0);
    let infinite = |found: Result<_, Error>| match found {
        Err(Error::NonFinite {
            at: Location::TestedFunction,
            value,
        }) => value.is_infinite(),
        _ => false,
    };
    assert!(infinite(check.activation(&Exponential, &too_much)));
    let layer = Dense::new(1, 1, Exponential);
    assert!(infinite(check.layer(&layer, &[0.0, 1.0], &too_much)));
    let found = check.cost(&SquaredError, &Exponential, &too_much, &too_much);
    assert!(infinite(found));

    check.activation(&Tanh, x).unwrap().assert_passed();
    check
        .cost(&BinaryCrossEntropy, &Sigmoid, y, y)
        .unwrap()
        .assert_passed();
    let layer = Dense::new(3, 2, Tanh);
    check.layer(&layer, &[0.5; 8], x).unwrap().assert_passed();
}
