//! Ranks that fail or diverge in the middle of a run.

use super::{numbers, on_ranks};
use backprop::activation::{Identity, Tanh};
use backprop::distributed::Communicator;
use backprop::metrics::{Direction, Metric};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::source::{ReadInto, Source};
use backprop::training::{
    FullBatch, GradientDescent, Iteration, Method, Optimizer, OptimizerInfo, OptimizerState,
    Problem, Trainer,
};
use backprop::{
    DistributedFault, Error, Examples, Initialization, Network, Objective, SquaredError, rng,
};
use std::sync::atomic::{AtomicUsize, Ordering};

fn network() -> Network<f64> {
    Network::builder(3)
        .dense(4, Tanh)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

fn trainer<'a>(method: impl Into<Method<f64>>) -> Trainer<'a, f64> {
    Trainer::new(Objective::new(SquaredError), method)
        .epochs(3)
        .batch_size(20)
        .seed(1)
}

/// The examples of all ranks: 2000, so that an epoch has 100 steps.
fn data() -> (DMatrix<f64>, DMatrix<f64>) {
    (numbers(3, 2000, 0.1), numbers(2, 2000, 0.7))
}

fn fault(error: &Error) -> &DistributedFault {
    match error {
        Error::Distributed { fault } => fault,
        other => panic!("{other:?}"),
    }
}

/// Checks that rank 1 returned its own error, and the others that it failed.
#[track_caller]
fn assert_failed(found: &[Result<(), Error>], message: &str) -> Error {
    let own = found[1].clone().unwrap_err();
    assert!(!matches!(own, Error::Distributed { .. }), "{own}");
    for (rank, found) in found.iter().enumerate().filter(|&(rank, _)| rank != 1) {
        let error = found.as_ref().unwrap_err();
        let DistributedFault::Failed {
            rank: 1,
            message: found,
        } = fault(error)
        else {
            panic!("{error:?} on rank {rank}, {own:?} on rank 1");
        };
        assert!(found.contains(message), "{found}");
    }
    assert!(own.to_string().contains(message), "{own}");
    own
}

/// Gradient descent that misbehaves at a step.
#[derive(Clone, Debug)]
struct Misbehaving {
    steps: u64,
    at: u64,
    how: How,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Well,
    Fails,
    Diverges,
    Overflows,
}

/// All ranks print the same.
impl std::fmt::Debug for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("How")
    }
}

impl Optimizer<f64> for Misbehaving {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("Misbehaving", 0.01)
    }

    fn step(&mut self, theta: &mut [f64], gradient: &[f64], factor: f64) -> Result<(), Error> {
        self.steps += 1;
        let pairs = theta.iter_mut().zip(gradient);
        pairs.for_each(|(theta, gradient)| *theta -= 0.01 * factor * gradient);
        if self.steps == self.at {
            match self.how {
                How::Well => {}
                How::Fails => {
                    let what = "a step of that number";
                    return Err(Error::Unsupported {
                        what,
                        by: "the optimiser",
                    });
                }
                How::Diverges => theta[2] += 1e-9,
                How::Overflows => theta[3] = f64::INFINITY,
            }
        }
        Ok(())
    }

    fn state(&self) -> OptimizerState<f64> {
        OptimizerState::default()
    }

    fn restore(&mut self, _state: &OptimizerState<f64>) -> Result<(), Error> {
        self.steps = 0;
        Ok(())
    }
}

/// Trains with an optimiser that misbehaves on rank 1 of four. Also returns whether the network
/// has changed, and trains again with the same communicator.
fn misbehaved(batch: usize, at: u64, how: How, epochs: u64) -> Vec<Result<(), Error>> {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    on_ranks(4, |rank| {
        let how = if rank.rank() == 1 { how } else { How::Well };
        let optimizer: Box<dyn Optimizer<f64>> = Box::new(Misbehaving { steps: 0, at, how });
        let mut trained = network();
        let done = trainer(optimizer)
            .batch_size(batch)
            .epochs(epochs)
            .distributed(rank)
            .fit(&mut trained, &examples);
        let again = trainer(GradientDescent::new(0.1)).epochs(1);
        let mut again = again.distributed(rank);
        again.fit(&mut network(), &examples).expect("another run");
        assert!(done.is_ok() || at > 2000 / batch as u64 || trained == network());
        done.map(drop)
    })
}

#[test]
fn a_step_that_fails_on_one_rank() {
    // In the middle, before a comparison, and the last of an epoch or of the run.
    for (at, epochs) in [(3, 2), (64, 2), (100, 2), (200, 2), (1, 1), (100, 1)] {
        let found = misbehaved(20, at, How::Fails, epochs);
        assert_failed(&found, "a step of that number");
    }
    // The only one of an epoch.
    for at in [1, 2] {
        let found = misbehaved(2000, at, How::Fails, 2);
        assert_failed(&found, "a step of that number");
    }
}

#[test]
fn parameters_that_overflow_on_one_rank() {
    for (at, epochs) in [(3, 2), (64, 2), (100, 1)] {
        let found = misbehaved(20, at, How::Overflows, epochs);
        let own = assert_failed(&found, "inf");
        assert!(
            matches!(own, Error::Diverged { epoch: 1, batch: Some(b), .. } if b as u64 == at),
            "{own}"
        );
    }
}

#[test]
fn parameters_that_differ() {
    for (at, epochs, step) in [
        (1, 1, 64),
        (63, 1, 64),
        (64, 1, 64),
        (65, 1, 100),
        (100, 1, 100),
    ] {
        let found = misbehaved(20, at, How::Diverges, epochs);
        for found in &found {
            let error = found.as_ref().unwrap_err();
            let ranks = vec![1];
            assert_eq!(
                fault(error),
                &DistributedFault::Diverged { step, ranks },
                "{at}"
            );
        }
    }
}

/// A source that fails, or has a number that is not finite, from some reading on.
#[derive(Debug)]
struct Failing<'s> {
    examples: Examples<'s, f64>,
    readings: AtomicUsize,
    last: usize,
    infinite: bool,
}

impl Source<f64> for Failing<'_> {
    fn len(&self) -> usize {
        self.examples.len()
    }

    fn inputs(&self) -> usize {
        3
    }

    fn outputs(&self) -> usize {
        2
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, f64>) -> Result<(), Error> {
        let late = self.readings.fetch_add(1, Ordering::Relaxed) >= self.last;
        let ReadInto { x, y, .. } = into;
        self.examples.read(indices, ReadInto::new(x, y, &mut []))?;
        if late && self.infinite && indices.contains(&1977) {
            let column = indices.iter().position(|&k| k == 1977).unwrap();
            x[3 * column + 2] = f64::NAN;
        } else if late && !self.infinite {
            let (name, reason) = ("examples.bin".to_owned(), "the disk is gone".to_owned());
            return Err(Error::Source { name, reason });
        }
        Ok(())
    }
}

/// The error of one rank's data is its own, and the others name it. The ranks can train again.
#[test]
fn data_that_fail_on_one_rank() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    // From the comparison of the data on, from a step, and from the evaluation on. Rank 1 computes
    // the only part of a batch of 20, and the second of all examples.
    for (last, infinite, message) in [
        (0, false, "examples.bin: the disk is gone"),
        (7, false, "examples.bin: the disk is gone"),
        (103, false, "examples.bin: the disk is gone"),
        (1, true, "the entry of X at row 2, column 1977 is NaN"),
        (101, true, "the entry of X at row 2, column 1977 is NaN"),
    ] {
        for batch in [20, 2000] {
            if batch == 2000 && last > 1 {
                continue;
            }
            let found = on_ranks(2, |rank| {
                let fails = rank.rank() == 1;
                let source = Failing {
                    examples,
                    readings: AtomicUsize::new(0),
                    last: if fails { last } else { usize::MAX },
                    infinite,
                };
                let mut trained = network();
                let trainer = || {
                    let trainer = trainer(GradientDescent::new(0.1)).epochs(2);
                    trainer.batch_size(batch).distributed(rank)
                };
                let done = trainer().shuffle(false).fit_source(&mut trained, &source);
                trainer()
                    .fit(&mut network(), &examples)
                    .expect("another run");
                assert!(done.is_ok() || last > 100 || trained == network());
                done.map(drop)
            });
            assert_failed(&found, message);
        }
    }
}

/// A metric that fails, or counts its calls.
#[derive(Debug)]
struct Measured {
    calls: AtomicUsize,
    last: usize,
}

impl Metric<f64> for Measured {
    fn name(&self) -> String {
        "measured".to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::Minimize
    }

    fn evaluate(&self, a: DMatrixView<'_, f64>, _y: DMatrixView<'_, f64>) -> Result<f64, Error> {
        // Once before the run.
        if self.calls.fetch_add(1, Ordering::Relaxed) >= self.last {
            let what = "these outputs";
            return Err(Error::Unsupported {
                what,
                by: "the metric",
            });
        }
        Ok(a.sum())
    }
}

#[test]
fn a_metric_that_fails_on_one_rank() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    for (last, validates) in [
        (0, false),
        (1, false),
        (2, false),
        (2, true),
        (3, true),
        (5, true),
    ] {
        let thetas = on_ranks(3, |rank| {
            let last = if rank.rank() == 1 { last } else { usize::MAX };
            let mut trained = network();
            let trainer = trainer(GradientDescent::new(0.1)).metric(Measured {
                calls: AtomicUsize::new(0),
                last,
            });
            let trainer = if validates {
                trainer.validation_fraction(0.5)
            } else {
                trainer
            };
            let done = trainer.distributed(rank).fit(&mut trained, &examples);
            (done.map(drop), trained)
        });
        let (found, thetas): (Vec<_>, Vec<_>) = thetas.into_iter().unzip();
        assert_failed(&found, "these outputs");
        // All ranks end with the parameters of the same epoch.
        assert!(
            thetas.iter().all(|theta| *theta == thetas[0]),
            "{last} {validates}"
        );
    }
}

/// Gradient descent on all examples, which changes one bit more at an iteration.
struct Solver {
    /// The number of iterations, and the one that misbehaves.
    iterations: [u64; 2],
}

/// All ranks print the same.
impl std::fmt::Debug for Solver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Solver")
    }
}

impl FullBatch<f64> for Solver {
    fn name(&self) -> &'static str {
        "solver"
    }

    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    fn reset(&mut self) {}

    fn iterate(
        &mut self,
        problem: &mut dyn Problem<f64>,
        theta: &mut [f64],
        gradient: &mut [f64],
    ) -> Result<Iteration<f64>, Error> {
        problem.gradient(theta, gradient)?;
        let pairs = theta.iter_mut().zip(&*gradient);
        pairs.for_each(|(theta, gradient)| *theta -= 0.1 * gradient);
        let [iteration, at] = &mut self.iterations;
        *iteration += 1;
        if iteration == at {
            theta[5] -= 1e-9;
        }
        Ok(Iteration {
            cost: problem.cost(theta)?,
            evaluations: 2,
            stop: None,
        })
    }
}

#[test]
fn a_solver_whose_parameters_differ() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let found = on_ranks(3, |rank| {
        let iterations = [0, if rank.rank() == 2 { 2 } else { 0 }];
        let solver: Box<dyn FullBatch<f64>> = Box::new(Solver { iterations });
        let mut trained = network();
        let done = trainer(solver)
            .batch_size(2000)
            .distributed(rank)
            .fit(&mut trained, &examples);
        (done.map(drop), trained)
    });
    let (step, ranks) = (4, vec![2]);
    let expected = DistributedFault::Diverged { step, ranks };
    for (found, trained) in &found {
        assert_eq!(fault(found.as_ref().unwrap_err()), &expected);
        // The parameters of the first epoch.
        assert!(*trained == found_first(&network(), &examples));
    }
}

/// The parameters after one iteration.
fn found_first(start: &Network<f64>, examples: &Examples<'_, f64>) -> Network<f64> {
    let mut trained = start.clone();
    let iterations = [0, 0];
    let solver: Box<dyn FullBatch<f64>> = Box::new(Solver { iterations });
    trainer(solver)
        .batch_size(2000)
        .epochs(1)
        .fit(&mut trained, examples)
        .unwrap();
    trained
}
