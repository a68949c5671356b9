//! Settings and data that are refused before the first step, with nothing changed.

use super::{bits, data, network};
use backprop::activation::{Exponential, Identity, Sigmoid, Softmax, Tanh};
use backprop::metrics::TopK;
use backprop::nalgebra::DMatrix;
use backprop::training::{
    Adam, Clipping, ConjugateGradient, GradientDescent, IRpropMinus, Lbfgs, LevenbergMarquardt,
    Schedule, Trainer,
};
use backprop::{AnyActivation, AnyCost, Error, Examples, Location, Network, Objective};

type Training<'a> = Trainer<'a, f64>;

fn trainer<'a>() -> Training<'a> {
    Trainer::new(
        Objective::new(AnyCost::CategoricalCrossEntropy),
        Adam::new(0.01),
    )
    .epochs(2)
}

fn refuse(mut trainer: Training<'_>, examples: &Examples<'_, f64>) -> Error {
    let mut refused = network([4, 3, 2]);
    let before = bits(&refused);
    let error = trainer.fit(&mut refused, examples).unwrap_err();
    assert_eq!(bits(&refused), before);
    error
}

fn hyperparameter(error: &Error) -> (&'static str, f64) {
    match error {
        Error::Hyperparameter { name, value, .. } => (name, *value),
        other => panic!("{other}"),
    }
}

#[test]
fn settings_out_of_range() {
    let (x, y) = data(4, 2, 10);
    let examples = Examples::new(&x, &y).unwrap();
    let check = |trainer, expected| {
        assert_eq!(hyperparameter(&refuse(trainer, &examples)), expected);
    };
    check(trainer().epochs(0), ("the number of epochs", 0.0));
    check(trainer().steps(0), ("the number of steps", 0.0));
    check(trainer().batch_size(0), ("the batch size", 0.0));
    check(trainer().batch_size(11), ("the batch size", 11.0));
    check(trainer().patience(0), ("the patience", 0.0));
    let improvement = trainer().patience(3).min_improvement(-1.0);
    check(improvement, ("the minimum improvement", -1.0));
    let objective = || Objective::new(AnyCost::CategoricalCrossEntropy);
    let lbfgs = |solver: Lbfgs| Trainer::new(objective(), solver);
    check(lbfgs(Lbfgs::new()).batch_size(5), ("the batch size", 5.0));
    for memory in [0, 10_001, 100_000_000_000, usize::MAX] {
        let expected = ("the memory of L-BFGS", memory as f64);
        check(lbfgs(Lbfgs::new().memory(memory)), expected);
    }
    check(
        lbfgs(Lbfgs::new().tolerance(-1.0, 0.0)),
        ("the tolerance", -1.0),
    );
    // The last fraction is less than half an example.
    for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.01] {
        let error = refuse(trainer().validation_fraction(fraction), &examples);
        let (name, value) = hyperparameter(&error);
        assert_eq!(
            (name, value.to_bits()),
            ("the validation fraction", fraction.to_bits())
        );
    }
    let both = trainer().validation(examples).validation_fraction(0.2);
    check(both, ("the validation fraction", 0.2));
    let scheduled = lbfgs(Lbfgs::new()).schedule(Schedule::one_cycle(3.0));
    assert!(matches!(
        refuse(scheduled, &examples),
        Error::Unsupported { .. }
    ));
    let damped = || Trainer::new(objective(), LevenbergMarquardt::new());
    check(damped().batch_size(5), ("the batch size", 5.0));
    let scheduled = damped().schedule(Schedule::one_cycle(3.0));
    assert!(matches!(
        refuse(scheduled, &examples),
        Error::Unsupported { .. }
    ));
    let clipped = lbfgs(Lbfgs::new()).clipping(Clipping::Value(1.0));
    assert!(matches!(
        refuse(clipped, &examples),
        Error::Unsupported { .. }
    ));
    let rprop = || Trainer::new(objective(), IRpropMinus::new(0.1));
    check(rprop().batch_size(5), ("the batch size", 5.0));
    let scheduled = rprop().schedule(Schedule::one_cycle(3.0));
    assert!(matches!(
        refuse(scheduled, &examples),
        Error::Unsupported { .. }
    ));
    // 2¹⁰²⁴ is infinite. 2000 epochs reach it, but not 20 epochs or 20 steps.
    let doubled = || trainer().schedule(Schedule::Exponential { factor: 2.0 });
    check(
        doubled().epochs(2000),
        ("the learning rate of the last step", f64::INFINITY),
    );
    let mut trained = network([4, 3, 2]);
    for mut fine in [doubled().epochs(20), doubled().epochs(2000).steps(20)] {
        fine.fit(&mut trained, &examples).unwrap();
    }
    // There are only two classes, which is known before the first epoch.
    let error = refuse(trainer().metric(TopK(3)), &examples);
    assert!(matches!(error, Error::Hyperparameter { .. }), "{error}");
    for rate in [-0.1, f64::INFINITY] {
        let error = refuse(
            Trainer::new(objective(), GradientDescent::new(rate)),
            &examples,
        );
        assert_eq!(hyperparameter(&error).1, rate);
    }
    let error = refuse(
        Trainer::new(objective().l2(-2.0), Adam::new(0.1)),
        &examples,
    );
    assert_eq!(hyperparameter(&error).1, -2.0);
}

#[test]
fn invalid_training_data_are_refused() {
    let shape = |what: &'static str, expected, found| Error::Shape {
        what,
        expected,
        found,
    };
    let (x, y) = data(4, 2, 10);
    let (wide, _) = data(5, 2, 10);
    let (_, tall) = data(4, 3, 10);
    let found = refuse(trainer(), &Examples::new(&wide, &y).unwrap());
    assert_eq!(found, shape("X", (4, 10), (5, 10)));
    let found = refuse(trainer(), &Examples::new(&x, &tall).unwrap());
    assert_eq!(found, shape("Y", (2, 10), (3, 10)));
    let examples = Examples::new(&x, &y).unwrap();
    let found = refuse(
        trainer().validation(Examples::new(&x, &tall).unwrap()),
        &examples,
    );
    assert_eq!(found, shape("Y", (2, 10), (3, 10)));
    let mut negative = y.clone();
    negative[(1, 4)] = -0.5;
    let found = refuse(trainer(), &Examples::new(&x, &negative).unwrap());
    assert!(
        matches!(
            found,
            Error::Target {
                unit: 1,
                example: 4,
                ..
            }
        ),
        "{found}"
    );
    // `Examples::new` refuses an empty matrix, and the NaN in row 2 of example 7.
    let none = DMatrix::<f64>::zeros(4, 0);
    assert_eq!(Examples::new(&none, &none).unwrap_err(), Error::NoExamples);
    let mut bad = x.clone();
    bad[(2, 7)] = f64::NAN;
    let found = Examples::new(&bad, &y).unwrap_err();
    assert!(matches!(
        found,
        Error::NonFinite {
            at: Location::Input {
                what: "X",
                row: 2,
                col: 7
            },
            ..
        }
    ));
}

/// A softmax of one unit is always 1, and the categorical cross-entropy of one output is least
/// where it is 1 for every example. Therefore J = 0, and nothing is learned.
#[test]
fn one_output_cannot_choose_between_classes() {
    let x = DMatrix::from_row_slice(1, 4, &[-1.0, -0.5, 0.5, 1.0]);
    let y = DMatrix::from_row_slice(1, 4, &[0.0, 0.0, 1.0, 1.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let network = |last: AnyActivation| -> Network<f64> {
        let network = Network::builder(1).dense(2, Tanh).dense(1, last);
        network
            .with_theta(&[0.1, -0.2, 0.3, 0.4, 0.5, -0.6, 0.7])
            .unwrap()
    };
    for (last, cost, what) in [
        (Softmax, AnyCost::CategoricalCrossEntropy, "Softmax"),
        (Softmax, AnyCost::BinaryCrossEntropy, "Softmax"),
        (Softmax, AnyCost::SquaredError, "Softmax"),
        (
            Sigmoid,
            AnyCost::CategoricalCrossEntropy,
            "CategoricalCrossEntropy",
        ),
        (
            Exponential,
            AnyCost::CategoricalCrossEntropy,
            "CategoricalCrossEntropy",
        ),
    ] {
        let objective = Objective::new(cost);
        let mut network = network(last);
        let before = network.clone();
        let refused = Error::SingleOutput {
            what,
            expected: "Sigmoid with BinaryCrossEntropy",
        };
        let same = |found: Error| assert_eq!(found, refused);
        for mut trainer in [
            Training::new(objective.clone(), Adam::new(0.1)),
            Training::new(objective.clone(), Lbfgs::new()),
            Training::new(objective.clone(), LevenbergMarquardt::new()),
            Training::new(objective.clone(), ConjugateGradient::new()),
        ] {
            same(trainer.fit(&mut network, &examples).unwrap_err());
        }
        assert_eq!(network, before);
        // The forward pass works, because it has no cost.
        assert_eq!(network.forward(&x).unwrap().ncols(), 4);
    }
    // The right pair, other costs of one output, one hidden unit of softmax, and two outputs work.
    for (last, cost) in [
        (Sigmoid, AnyCost::BinaryCrossEntropy),
        (Identity, AnyCost::SquaredError),
        (Exponential, AnyCost::Poisson),
    ] {
        network(last)
            .backprop(&examples, &Objective::new(cost))
            .unwrap();
    }
    let hidden = Network::<f64>::builder(1)
        .dense(1, Softmax)
        .dense(1, Sigmoid);
    let objective = Objective::new(AnyCost::BinaryCrossEntropy);
    hidden
        .zeros()
        .unwrap()
        .backprop(&examples, &objective)
        .unwrap();
    let two = Network::<f64>::builder(1)
        .dense(2, Softmax)
        .zeros()
        .unwrap();
    let y = DMatrix::from_fn(2, 4, |i, k| f64::from(i == k / 2));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
    two.backprop(&examples, &objective).unwrap();
}
