//! The learning rate of each step. After every run, the optimiser has its own learning rate again.

use super::{bits, data, network};
use backprop::metrics::{Direction, Metric};
use backprop::nalgebra::DMatrixView;
use backprop::training::{Adam, AdamW, GradientDescent, Method, RmsProp, Schedule, Trainer};
use backprop::{AnyCost, Error, Examples, Objective};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Five batches in an epoch and a change every 0.2 epochs halve the learning rate in every step.
#[test]
fn a_schedule_counts_steps_without_rounding() {
    let (x, y) = data(4, 2, 10);
    let examples = Examples::new(&x, &y).unwrap();
    for (every, size, halvings) in [(0.2, 2, 5), (0.1, 1, 10)] {
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
        let history = Trainer::new(objective, GradientDescent::new(0.5))
            .epochs(100)
            .batch_size(size)
            .schedule(Schedule::Step { every, factor: 0.5 })
            .fit(&mut network([4, 3, 2]), &examples)
            .unwrap();
        for record in history.records() {
            // The learning rate was halved before every step except the first of the run.
            let expected = 0.5_f64.powi(record.epoch as i32 * halvings);
            assert_eq!(
                record.rate,
                Some(expected),
                "every {every}, epoch {}",
                record.epoch
            );
        }
    }
}

/// How a run ends in its third epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Panic,
    PanicOfAMetric,
    ErrorOfAMetric,
    Break,
    Nothing,
}

/// A metric that counts epochs, and can end a run in the third.
#[derive(Debug)]
struct Ends<'a>(&'a Mutex<End>, &'a AtomicU64);

impl Metric<f64> for Ends<'_> {
    fn name(&self) -> String {
        "ends".into()
    }

    fn direction(&self) -> Direction {
        Direction::Maximize
    }

    fn evaluate(&self, _: DMatrixView<'_, f64>, _: DMatrixView<'_, f64>) -> Result<f64, Error> {
        // The first call is for the targets, before the first epoch.
        let epoch = self.1.fetch_add(1, Ordering::Relaxed);
        let end = *self.0.lock().unwrap();
        match end {
            End::PanicOfAMetric if epoch == 3 => panic!("a metric"),
            End::ErrorOfAMetric if epoch == 3 => Err(Error::NoExamples),
            _ => Ok(0.5),
        }
    }
}

/// The next run has the same bits as that of a new trainer.
#[test]
fn a_run_that_ended_leaves_nothing_behind() {
    let (x, y) = data(4, 2, 10);
    let examples = Examples::new(&x, &y).unwrap();
    let methods: [fn() -> Method<f64>; 4] = [
        || GradientDescent::new(0.1).momentum(0.9).into(),
        || Adam::new(0.1).into(),
        || AdamW::new(0.1).into(),
        || RmsProp::new(0.1).centered().into(),
    ];
    for method in methods {
        for end in [
            End::Panic,
            End::PanicOfAMetric,
            End::ErrorOfAMetric,
            End::Break,
        ] {
            let (now, calls) = (Mutex::new(end), AtomicU64::new(0));
            let fresh = || {
                let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
                let step = Schedule::Step {
                    every: 1.0,
                    factor: 0.5,
                };
                let now = &now;
                Trainer::new(objective, method())
                    .epochs(4)
                    .batch_size(3)
                    .schedule(step)
                    .metric(Ends(now, &calls))
                    .on_epoch(move |epoch| {
                        let end = *now.lock().unwrap();
                        match end {
                            End::Panic if epoch.record.epoch == 3 => panic!("a callback"),
                            End::Break if epoch.record.epoch == 3 => ControlFlow::Break(()),
                            _ => ControlFlow::Continue(()),
                        }
                    })
            };
            let mut used = fresh();
            let mut first = network([4, 3, 2]);
            let ended = catch_unwind(AssertUnwindSafe(|| used.fit(&mut first, &examples)));
            match end {
                End::Panic | End::PanicOfAMetric => assert!(ended.is_err(), "{end:?}"),
                End::ErrorOfAMetric => assert_eq!(ended.unwrap(), Err(Error::NoExamples)),
                _ => assert_eq!(ended.unwrap().unwrap().records().len(), 3),
            }
            *now.lock().unwrap() = End::Nothing;
            let (mut again, mut expected) = (network([4, 3, 2]), network([4, 3, 2]));
            let found = used.fit(&mut again, &examples).unwrap();
            let history = fresh().fit(&mut expected, &examples).unwrap();
            assert_eq!(found, history, "{end:?}");
            assert_eq!(bits(&again), bits(&expected), "{end:?}");
            assert_eq!(found.records()[0].rate, Some(0.1));
        }
    }
}
