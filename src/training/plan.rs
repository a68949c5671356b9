//! The settings of a run, and the values that depend only on them.

use super::callback::Callback;
use super::clipping::Clipping;
use super::full_batch::Method;
use super::history::{Record, Stop};
use super::optimizer::OptimizerState;
use super::order::Order;
use super::run_state::{Improvement, RunState};
use super::schedule::Schedule;
use super::subset::{Divided, Subset};
use crate::distributed::{Communicator, Ranks, Wire};
use crate::error::Error;
use crate::kernels;
use crate::metrics::{Direction, Metric};
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::source::Source;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a run: all settings of a trainer except the folder of its checkpoints.
pub(super) struct Plan<'a, T: Scalar, C> {
    pub(super) objective: Objective<C>,
    pub(super) method: Method<T>,
    pub(super) epochs: u64,
    pub(super) steps: Option<u64>,
    pub(super) time: Option<Duration>,
    pub(super) batch_size: Option<usize>,
    pub(super) seed: u64,
    pub(super) shuffle: bool,
    pub(super) schedule: Schedule,
    pub(super) clipping: Option<Clipping>,
    pub(super) validation: Option<Arc<dyn Source<T> + 'a>>,
    pub(super) validation_fraction: Option<f64>,
    pub(super) metrics: Vec<Box<dyn Metric<T> + 'a>>,
    /// The index of the metric that is monitored instead of a cost.
    pub(super) monitor: Option<usize>,
    pub(super) patience: Option<u64>,
    pub(super) min_improvement: f64,
    pub(super) keep_best: bool,
    pub(super) callbacks: Vec<Callback<'a, T>>,
    pub(super) ranks: Option<Group<'a, T>>,
}

/// The ranks of a distributed run, and how their numbers become bytes.
#[derive(Clone, Copy)]
pub(super) struct Group<'a, T> {
    pub(super) communicator: &'a dyn Communicator,
    pub(super) wire: Wire<T>,
}

impl<'a, T: Scalar> Group<'a, T> {
    pub(super) fn ranks(self) -> Ranks<'a, T> {
        Ranks::new(self.communicator, self.wire)
    }
}

/// The examples of a run.
#[derive(Clone, Copy)]
pub(super) struct Data<'d, T: Scalar> {
    pub(super) training: Set<'d, T>,
    pub(super) validation: Option<Set<'d, T>>,
}

/// The training or the validation set of a run.
#[derive(Clone, Copy)]
pub(super) struct Set<'d, T: Scalar> {
    pub(super) source: &'d dyn Source<T>,
    /// Which examples of the given source they are, if they are not all.
    pub(super) order: Option<&'d Order>,
    /// Σw of all examples.
    pub(super) weight: f64,
}

impl<'d, T: Scalar> Set<'d, T> {
    /// Takes all examples of a source that was given.
    pub(super) fn all(source: &'d dyn Source<T>) -> Self {
        Self {
            source,
            order: None,
            weight: source.weights().map_or(source.len() as f64, kernels::sum),
        }
    }

    /// Takes some examples of a source that was given.
    pub(super) fn some(subset: &'d Subset<'_, T>) -> Self {
        let order = Some(subset.order());
        Self {
            order,
            ..Self::all(subset)
        }
    }
}

impl<T: Scalar, C> Plan<'_, T, C> {
    /// Returns whether there are validation examples.
    pub(super) fn validates(&self) -> bool {
        self.validation.is_some() || self.validation_fraction.is_some()
    }

    /// Divides the examples by the validation fraction, if there is one.
    pub(super) fn divide<'s>(
        &self,
        source: &'s dyn Source<T>,
    ) -> Result<Option<Divided<'s, T>>, Error> {
        let fraction = self.validation_fraction;
        let divided = fraction.map(|fraction| Divided::new(source, fraction, self.seed));
        divided.transpose()
    }

    /// Discards everything that the method has gathered.
    pub(super) fn reset(&mut self) -> Result<(), Error> {
        match &mut self.method {
            Method::Steps(optimizer) => optimizer.restore(&OptimizerState::default()),
            Method::FullBatch(solver) => {
                solver.reset();
                Ok(())
            }
        }
    }

    /// Returns the value to be minimised: the validation cost, J if there are no validation
    /// examples, or the monitored metric, negated if larger is better.
    pub(super) fn monitored(&self, record: &Record) -> f64 {
        let values = match record.validation {
            Some(_) => &record.validation_metrics,
            None => &record.metrics,
        };
        let metric = self
            .monitor
            .and_then(|at| self.metrics.get(at).zip(values.get(at)));
        match metric.map(|(metric, value)| (metric.direction(), *value)) {
            Some((Direction::Maximize, value)) => -value,
            Some((Direction::Minimize, value)) => value,
            None => record.validation.unwrap_or(record.cost),
        }
    }

    /// Returns the values by which an epoch is compared with the best one so far.
    pub(super) fn improvement(&self, record: &Record) -> Improvement {
        Improvement {
            monitored: self.monitored(record),
            least: self.min_improvement,
            keep: self.keep_best && self.validates(),
        }
    }

    /// Returns the reason for ending the run here, or `None` if it continues.
    pub(super) fn ended(&self, progress: &RunState<T>) -> Option<Stop> {
        let reached = |most: Option<u64>, now: u64| most.is_some_and(|most| now >= most);
        if reached(self.patience, progress.waited) {
            Some(Stop::Patience)
        } else if progress.epoch >= self.epochs {
            Some(Stop::Epochs)
        } else if reached(self.steps, progress.steps) {
            Some(Stop::Steps)
        } else {
            None
        }
    }
}
