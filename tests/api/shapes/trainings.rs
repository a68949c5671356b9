//! Training runs that cannot continue, and invalid states of optimisers.

use super::*;
use backprop::activation::{Exponential, Identity, Softmax};
use backprop::saving::Checkpoints;
use backprop::training::{
    AdaGrad, Adadelta, Adam, GradientDescent, Lbfgs, LevenbergMarquardt, Method, Optimizer,
    OptimizerState, RmsProp, Trainer,
};
use backprop::{AnyCost, ArgminProblem, BlockEntry, Location, SquaredError};

fn linear() -> Network<f64> {
    Network::builder(1).dense(1, Identity).zeros().unwrap()
}

fn trainer<'a>(rate: f64) -> Trainer<'a, f64, AnyCost> {
    Trainer::new(Objective::new(SquaredError), GradientDescent::new(rate)).epochs(2)
}

#[test]
pub(super) fn divergence() {
    // With x = y = 1 the gradient is −1 in both parameters. After a step of 10²⁰⁰ the cost
    // overflows.
    let one = DMatrix::from_element(1, 1, 1.0);
    let examples = Examples::new(&one, &one).unwrap();
    let mut network = linear();
    let found = trainer(1e200).fit(&mut network, &examples).unwrap_err();
    let cause = Box::new(Error::NonFinite {
        at: Location::Cost { example: 0 },
        value: f64::INFINITY,
    });
    let expected = Error::Diverged {
        epoch: 1,
        batch: Some(1),
        cause,
    };
    same("a learning rate of 1e200", &found, &expected);
    assert_eq!(network, linear());
    // The step, 10³⁰⁸ times the gradient −10, overflows. The sigmoid would hide that.
    let mut hidden = Network::builder(1).dense(1, Sigmoid).zeros().unwrap();
    let x = DMatrix::from_element(1, 1, 20.0);
    let examples = Examples::new(&x, &one).unwrap();
    let objective = Objective::new(AnyCost::BinaryCrossEntropy);
    let mut trainer = Trainer::<f64>::new(objective, GradientDescent::new(1e308)).epochs(2);
    let found = trainer.fit(&mut hidden, &examples).unwrap_err();
    let cause = Error::NonFinite {
        at: Location::Parameter(BlockEntry {
            layer: 0.into(),
            block: "Θ".into(),
            row: 0,
            col: 1,
        }),
        value: f64::INFINITY,
    };
    same("a step of infinity", causes(&found), &cause);
}

/// One output where the cost needs one per class. Every minimiser refuses it, but derivatives are
/// computed as for any other function.
#[test]
pub(super) fn single_outputs() {
    let x = DMatrix::from_row_slice(1, 4, &[-1.0, -0.5, 0.5, 1.0]);
    let y = DMatrix::from_row_slice(1, 4, &[0.0, 0.0, 1.0, 1.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let of_cost = "CategoricalCrossEntropy";
    for (last, cost, what) in [
        (Softmax, AnyCost::CategoricalCrossEntropy, "Softmax"),
        (Softmax, AnyCost::BinaryCrossEntropy, "Softmax"),
        (Softmax, AnyCost::SquaredError, "Softmax"),
        (Sigmoid, AnyCost::CategoricalCrossEntropy, of_cost),
        (Exponential, AnyCost::CategoricalCrossEntropy, of_cost),
    ] {
        let network = Network::<f64>::builder(1).dense(2, Tanh).dense(1, last);
        let mut network = network.zeros().unwrap();
        let before = network.clone();
        let objective = Objective::new(cost);
        let expected = Error::SingleOutput {
            what,
            expected: "Sigmoid with BinaryCrossEntropy",
        };
        for method in [
            Method::from(Adam::new(0.1)),
            Lbfgs::new().into(),
            LevenbergMarquardt::new().into(),
        ] {
            let mut trainer = Trainer::new(objective.clone(), method);
            refused(what, trainer.fit(&mut network, &examples), &expected);
        }
        let problem = ArgminProblem::new(&network, &examples, &objective);
        refused(what, problem.map(drop), &expected);
        assert_eq!(network, before);
        if cost != AnyCost::BinaryCrossEntropy {
            let check = GradientCheck::new().network(&network, &examples, &objective);
            assert!(check.unwrap().passed());
        }
    }
}

/// In `f32` the square of 2 · 10¹⁹ is infinite, and every later step of that parameter is 0. J
/// never reveals this.
#[test]
pub(super) fn states_that_overflow() {
    let x = DMatrix::from_column_slice(1, 1, &[2e19_f32]);
    let y = DMatrix::from_column_slice(1, 1, &[1.0_f32]);
    let examples = Examples::new(&x, &y).unwrap();
    let methods: [Method<f32>; 4] = [
        Adam::new(1e-3).into(),
        AdaGrad::new(1e-3).into(),
        RmsProp::new(1e-3).into(),
        Adadelta::new(1.0).into(),
    ];
    for (method, buffer) in methods.into_iter().zip([1, 0, 0, 0]) {
        let mut network = Network::<f32>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let before = network.clone();
        let objective = Objective::new(AnyCost::SquaredError);
        let mut trainer = Trainer::new(objective, method).epochs(1);
        let found = trainer.fit(&mut network, &examples).unwrap_err();
        let state = Error::NonFinite {
            at: Location::OptimizerState {
                buffer,
                entry: BlockEntry {
                    layer: 0.into(),
                    block: "Θ".into(),
                    row: 0,
                    col: 1,
                },
            },
            value: f64::INFINITY,
        };
        same("a square", causes(&found), &state);
        assert!(matches!(
            found,
            Error::Diverged {
                epoch: 1,
                batch: Some(1),
                ..
            }
        ));
        assert_eq!(network, before);
    }
}

fn causes(error: &Error) -> &Error {
    match error {
        Error::Diverged { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
pub(super) fn states_of_optimisers() {
    let (mut adam, mut theta) = (Adam::<f64>::new(0.1), [1.0, 2.0]);
    adam.step(&mut theta, &[0.5, -0.5], 1.0).unwrap();
    let before = adam.state();
    for value in [-1.0, f64::NAN, f64::INFINITY] {
        let mut buffers = before.buffers.clone();
        buffers[1][1] = value; // the mean of squares
        let found = adam.restore(&OptimizerState::new(1, buffers)).unwrap_err();
        let expected = match &found {
            Error::OptimizerState { expected, .. } => *expected,
            other => panic!("{other}"),
        };
        let wanted = Error::OptimizerState {
            buffer: 1,
            index: 1,
            value,
            expected,
        };
        same("a state", &found, &wanted);
        assert_eq!(adam.state(), before);
    }
}

#[test]
pub(super) fn checkpoints_of_others() {
    let folder = std::env::temp_dir().join(format!(
        "backprop-shapes-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let one = DMatrix::from_element(1, 2, 1.0);
    let examples = Examples::new(&one, &one).unwrap();
    let mut network = linear();
    let saved = |rate| trainer(rate).checkpoints(Checkpoints::new(&folder), 1);
    saved(0.1).fit(&mut network, &examples).unwrap();
    let before = network.clone();
    let found = saved(0.1)
        .batch_size(1)
        .resume(&mut network, &examples)
        .unwrap_err();
    let expected = Error::OtherTraining {
        what: "the batch size",
        expected: "1".into(),
        found: "all".into(),
    };
    same("another batch size", &found, &expected);
    assert_eq!(network, before);
    for entry in std::fs::read_dir(&folder).unwrap() {
        std::fs::write(entry.unwrap().path(), "").unwrap();
    }
    let found = saved(0.1).resume(&mut network, &examples).unwrap_err();
    let Error::Checkpoint { reason } = &found else {
        panic!("{found}");
    };
    assert!(reason.contains("no checkpoint can be read"), "{reason}");
    let expected = Error::Checkpoint {
        reason: reason.clone(),
    };
    same("damaged checkpoints", &found, &expected);
    assert_eq!(network, before);
    std::fs::remove_dir_all(folder).unwrap();
}
