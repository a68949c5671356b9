//! The trainer: validation, early stopping, budgets, divergence, and the bits of a run.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers may panic to fail tests"
)]

mod forged;
mod forged_at_random;
mod forged_state;
mod frozen;
mod levenberg_marquardt;
mod modes;
mod own_loop;
mod rates;
mod refused;
mod resume;
mod solvers;
mod solvers_on_digits;
mod state;
mod unwritable_folders;
mod weights;

use backprop::activation::{Identity, Sigmoid, Softmax, Tanh};
use backprop::metrics::Accuracy;
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, GradientDescent, History, Lbfgs, Stop, Trainer};
use backprop::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Error, Examples, Initialization,
    Location, Network, Objective, SquaredError, rng,
};
use std::ops::ControlFlow;
use std::time::Duration;

fn network(sizes: [usize; 3]) -> Network<f64> {
    Network::builder(sizes[0])
        .dense(sizes[1], Tanh)
        .dense(sizes[2], Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(4))
        .unwrap()
}

fn data(n: usize, k: usize, m: usize) -> (DMatrix<f64>, DMatrix<f64>) {
    let class = |j: usize| (j * j + j / 3) % k;
    (
        DMatrix::from_fn(n, m, |i, j| {
            (0.9 * i as f64 + 0.37 * j as f64).sin() + f64::from(i == class(j))
        }),
        DMatrix::from_fn(k, m, |i, j| f64::from(i == class(j))),
    )
}

fn bits(network: &Network<f64>) -> Vec<u64> {
    network.theta().iter().map(|x| x.to_bits()).collect()
}

/// A record reports J of all data, and the costs of the batches before their steps.
#[test]
fn the_history_holds_j_of_the_whole_data() {
    let (x, y) = data(4, 2, 17);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.4);
    let (other_x, other_y) = data(4, 2, 9);
    let validation = Examples::new(&other_x, &other_y).unwrap();
    let mut trained = network([4, 3, 2]);
    let mut seen = Vec::new();
    let history = Trainer::new(objective.clone(), GradientDescent::new(0.1).momentum(0.9))
        .epochs(3)
        .batch_size(4)
        .validation(validation)
        .keep_best(false)
        .on_epoch(|epoch| {
            let mut now = network([4, 3, 2]);
            now.set_theta(epoch.theta).unwrap();
            let j = now.cost(&examples, &objective).unwrap();
            let plain = Objective::new(AnyCost::CategoricalCrossEntropy);
            let of_validation = now.cost(&validation, &plain).unwrap();
            seen.push((j, Some(of_validation)));
            assert_eq!(epoch.history.records().last(), Some(epoch.record));
            assert_eq!(epoch.record.epoch as usize, epoch.history.records().len());
            ControlFlow::Continue(())
        })
        .fit(&mut trained, &examples)
        .unwrap();
    let found: Vec<_> = history
        .records()
        .iter()
        .map(|r| (r.cost, r.validation))
        .collect();
    assert_eq!(found, seen);
    assert_eq!(history.stop(), Some(Stop::Epochs));
    let last = history.records().last().unwrap();
    assert_eq!(trained.cost(&examples, &objective).unwrap(), last.cost);
    assert_eq!(last.rate, Some(0.1));
}

fn train<'a>(change: impl FnOnce(Trainer<'a, f64>) -> Trainer<'a, f64>) -> (Vec<u64>, History) {
    let (x, y) = data(6, 3, 600);
    let examples = Examples::new(&x, &y).unwrap();
    let mut network = network([6, 20, 3]);
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.1);
    let trainer = Trainer::new(objective, Adam::new(0.01)).epochs(5).seed(3);
    let history = change(trainer).fit(&mut network, &examples).unwrap();
    (bits(&network), history)
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    for size in [600, 32] {
        let (x, y) = data(6, 3, 50);
        let validation = Examples::new(&x, &y).unwrap();
        let expected = train(|trainer| trainer.batch_size(size));
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let found = pool
                .build()
                .unwrap()
                .install(|| train(|trainer| trainer.batch_size(size)));
            assert_eq!(found, expected, "{threads} threads");
        }
        let watched = train(|trainer| {
            let trainer = trainer
                .batch_size(size)
                .validation(validation)
                .keep_best(false);
            trainer.on_epoch(|_| ControlFlow::Continue(()))
        });
        assert_eq!(watched.0, expected.0);
        if size < 600 {
            let other = train(|trainer| trainer.batch_size(size).seed(4));
            assert_ne!(other.0, expected.0);
            let unshuffled = train(|trainer| trainer.batch_size(size).shuffle(false));
            assert_ne!(unshuffled.0, expected.0);
        }
    }
}

#[test]
fn a_trainer_may_be_used_again() {
    let (x, y) = data(6, 3, 40);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let mut trainer = Trainer::new(objective, Adam::new(0.01))
        .epochs(3)
        .batch_size(16);
    let (mut first, mut second) = (network([6, 5, 3]), network([6, 5, 3]));
    let histories = [&mut first, &mut second].map(|n| trainer.fit(n, &examples).unwrap());
    assert_eq!(bits(&first), bits(&second));
    assert_eq!(histories[0], histories[1]);
}

#[test]
fn patience_ends_a_run_and_the_best_epoch_is_kept() {
    // Few training examples, many units: the validation cost falls, then rises.
    let (x, y) = data(8, 3, 12);
    let flipped = DMatrix::from_fn(3, 60, |i, j| f64::from(i == (j * 7 + 1) % 3));
    let (other_x, mut other_y) = data(8, 3, 60);
    other_y
        .columns_mut(0, 30)
        .copy_from(&flipped.columns(0, 30));
    let (examples, validation) = (
        Examples::new(&x, &y).unwrap(),
        Examples::new(&other_x, &other_y).unwrap(),
    );
    let fit = |keep| {
        let mut thetas = Vec::new();
        let mut trained = network([8, 30, 3]);
        let history = Trainer::new(Objective::new(CategoricalCrossEntropy), Adam::new(0.03))
            .epochs(500)
            .validation(validation)
            .patience(10)
            .keep_best(keep)
            .on_epoch(|epoch| {
                thetas.push(epoch.theta.to_vec());
                ControlFlow::Continue(())
            })
            .fit(&mut trained, &examples)
            .unwrap();
        (trained, history, thetas)
    };
    let (best, history, thetas) = fit(true);
    assert_eq!(history.stop(), Some(Stop::Patience));
    let record = history.best().unwrap();
    let smallest = history
        .records()
        .iter()
        .map(|r| r.validation.unwrap())
        .fold(f64::INFINITY, f64::min);
    assert_eq!(record.validation, Some(smallest));
    assert_eq!(history.records().len() as u64, record.epoch + 10);
    assert_eq!(best.theta().as_slice(), thetas[record.epoch as usize - 1]);
    let (last, _, thetas) = fit(false);
    assert_eq!(last.theta().as_slice(), thetas.last().unwrap().as_slice());
}

#[test]
fn budgets_end_a_run() {
    let (theta, history) = train(|trainer| trainer.batch_size(100).steps(13));
    assert_eq!(
        (history.records().len(), history.stop()),
        (3, Some(Stop::Steps))
    );
    assert_eq!(history.records()[2].steps, 18);
    let (same, history) = train(|trainer| trainer.batch_size(100).epochs(3));
    assert_eq!((theta, history.stop()), (same, Some(Stop::Epochs)));
    let (_, history) = train(|trainer| trainer.time(Duration::ZERO));
    assert_eq!(
        (history.records().len(), history.stop()),
        (1, Some(Stop::Time))
    );
    let (_, history) = train(|trainer| {
        trainer.on_epoch(|epoch| match epoch.record.epoch {
            2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    });
    assert_eq!(
        (history.records().len(), history.stop()),
        (2, Some(Stop::Callback))
    );
}

#[test]
fn a_divergence_is_named_and_the_last_good_parameters_are_kept() {
    let (x, y) = data(3, 2, 20);
    let examples = Examples::new(&x, &y).unwrap();
    let start = Network::<f64>::builder(3)
        .dense(4, Identity)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap();
    let mut thetas = vec![start.theta().as_slice().to_vec()];
    let mut diverging = start.clone();
    let error = Trainer::new(Objective::new(SquaredError), GradientDescent::new(3.0))
        .epochs(1000)
        .batch_size(7)
        .on_epoch(|epoch| {
            assert!(epoch.record.cost.is_finite());
            thetas.push(epoch.theta.to_vec());
            ControlFlow::Continue(())
        })
        .fit(&mut diverging, &examples)
        .unwrap_err();
    let Error::Diverged {
        epoch,
        batch: Some(batch),
        cause,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*epoch as usize, thetas.len());
    assert!((1..=3).contains(batch));
    assert!(
        matches!(
            **cause,
            Error::NonFinite {
                at: Location::Activation { .. }
                    | Location::Cost { .. }
                    | Location::Gradient(_)
                    | Location::Objective,
                ..
            }
        ),
        "{cause}"
    );
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(
        diverging.theta().as_slice(),
        thetas.last().unwrap().as_slice()
    );
    // An error in the first epoch leaves the parameters as they were. The sigmoid hides parameters
    // that overflowed.
    let mut hidden = Network::<f64>::builder(3)
        .dense(2, Sigmoid)
        .zeros()
        .unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    let error = Trainer::new(objective, GradientDescent::new(1e308))
        .epochs(1)
        .fit(&mut hidden, &Examples::new(&(10.0 * &x), &y).unwrap())
        .unwrap_err();
    assert!(matches!(error, Error::Diverged { epoch: 1, .. }), "{error}");
    assert_eq!(hidden.theta().amax(), 0.0);
}

#[test]
fn an_epoch_is_printed_on_one_line() {
    let (x, y) = data(4, 2, 10);
    let examples = Examples::new(&x, &y).unwrap();
    let line = |validation: bool| {
        let mut line = String::new();
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
        let mut trainer = Trainer::new(objective, Adam::new(0.01)).metric(Accuracy);
        if validation {
            trainer = trainer.validation(examples);
        }
        let history = trainer
            .epochs(1)
            .on_epoch(|epoch| {
                line = epoch.to_string();
                ControlFlow::Continue(())
            })
            .fit(&mut network([4, 3, 2]), &examples)
            .unwrap();
        (line, history.records()[0].clone())
    };
    let (found, record) = line(false);
    let middle = format!("accuracy {:.6}  rate 1.00e-2  ", record.metrics[0]);
    let start = format!("1/1  J {:.6}  {middle}", record.cost);
    assert!(
        found.starts_with(&start) && found.ends_with(" s"),
        "{found}"
    );
    // Without a penalty the cost of the same examples is J.
    let start = format!("1/1  J {0:.6}  validation {0:.6}  {middle}", record.cost);
    assert!(line(true).0.starts_with(&start), "{found}");
}

/// L-BFGS also converges where J falls by less than its tolerance.
#[test]
fn a_tolerance_of_the_cost_ends_a_run() {
    let row = |values: &[f64]| DMatrix::from_row_slice(1, values.len(), values);
    let (x, y) = (row(&[1.0, 2.0, 4.0]), row(&[3.0, 5.0, 7.0]));
    let examples = Examples::new(&x, &y).unwrap();
    let run = |cost| {
        let mut network = Network::<f64>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let solver = Lbfgs::new().tolerance(0.0, cost);
        Trainer::new(Objective::new(SquaredError), solver)
            .fit(&mut network, &examples)
            .unwrap()
    };
    let (loose, exact) = (run(1e-3), run(0.0));
    assert_eq!(loose.stop(), Some(Stop::Converged));
    assert!(loose.records().len() < exact.records().len());
    let [.., before, last] = loose.records() else {
        panic!("two iterations at least")
    };
    assert!(before.cost - last.cost < 1e-3);
}
