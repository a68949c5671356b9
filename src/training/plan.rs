//! The settings of a run, and the values that depend only on them.

use super::batches::Selected;
use super::callback::Callback;
use super::clipping::Clipping;
use super::full_batch::Method;
use super::history::{Record, Stop};
use super::optimizer::OptimizerState;
use super::run_state::{Improvement, RunState};
use super::schedule::Schedule;
use crate::data::{Split, train_validation_split};
use crate::error::Error;
use crate::examples::Examples;
use crate::metrics::{Direction, Metric};
use crate::objective::Objective;
use crate::point::Point;
use crate::scalar::Scalar;
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
    pub(super) validation: Option<Examples<'a, T>>,
    pub(super) validation_fraction: Option<f64>,
    pub(super) metrics: Vec<Box<dyn Metric<T> + 'a>>,
    /// The index of the metric that is monitored instead of a cost.
    pub(super) monitor: Option<usize>,
    pub(super) patience: Option<u64>,
    pub(super) min_improvement: f64,
    pub(super) keep_best: bool,
    pub(super) callbacks: Vec<Callback<'a, T>>,
}

/// The examples of a run.
pub(super) struct Data<'d, T: Scalar> {
    pub(super) training: Examples<'d, T>,
    pub(super) validation: Option<Examples<'d, T>>,
}

/// Copies of the examples, divided by a validation fraction.
pub(super) struct Divided<T> {
    pub(super) training: Selected<T>,
    pub(super) validation: Selected<T>,
}

impl<T: Scalar, C> Plan<'_, T, C> {
    /// Returns whether there are validation examples.
    pub(super) fn validates(&self) -> bool {
        self.validation.is_some() || self.validation_fraction.is_some()
    }

    /// Divides the examples by the validation fraction, if there is one.
    pub(super) fn divide(&self, all: &Examples<'_, T>) -> Result<Option<Divided<T>>, Error> {
        let Some(fraction) = self.validation_fraction else {
            return Ok(None);
        };
        let Split { train, test } = train_validation_split(all.len(), fraction, self.seed)?;
        Ok(Some(Divided {
            training: Selected::new(all, &train)?,
            // Here, the second part of the split is the validation part.
            validation: Selected::new(all, &test)?,
        }))
    }

    /// Resets the method, and returns the state before the first epoch.
    pub(super) fn begin(&mut self, point: Point<'_, T>) -> Result<RunState<T>, Error> {
        let progress = RunState::new(point)?;
        match &mut self.method {
            Method::Steps(optimizer) => optimizer.restore(&OptimizerState::default())?,
            Method::FullBatch(solver) => solver.reset(),
        }
        Ok(progress)
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
