//! A run: epoch by epoch, batch by batch.

use super::callback::Epoch;
use super::clock::Clock;
use super::full_batch::Method;
use super::history::{Record, Stop};
use super::network_problem::{Moving, NetworkProblem};
use super::order::Order;
use super::plan::{Data, Plan, Set};
use super::run_state::RunState;
use super::step::check_parameters;
use super::sweep::{Sweep, Work};
use crate::allocation::{allocate, collected, copied};
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::gradient::{CostParts, Sums, finish};
use crate::layer::Layer;
use crate::metrics::Metric;
use crate::network::Network;
use crate::objective::Objective;
use crate::point::Point;
use crate::scalar::{Scalar, to_f64};
use crate::source::Source;
use crate::workspace::Workspace;

/// The run of a plan with one network and its examples.
pub(super) struct Run<'r, 'a, T: Scalar, L, C> {
    pub(super) network: &'r Network<T, L>,
    pub(super) data: Data<'r, T>,
    pub(super) plan: &'r mut Plan<'a, T, C>,
    /// The order of the examples in an epoch; `None` for that of the source.
    pub(super) order: Option<Order>,
    pub(super) batch_weights: Vec<f64>,
    pub(super) sweep: Sweep<'r, T>,
    pub(super) theta: Vec<T>,
    /// The state of the layers that belongs to θ.
    pub(super) state: Vec<T>,
    pub(super) gradient: Vec<T>,
    /// The entries of θ in frozen layers, in sequence.
    pub(super) frozen: Vec<T>,
    moving: Moving<T>,
    /// Two workspaces, so that neither is refitted within an epoch.
    pub(super) batch_workspace: Workspace<T>,
    data_workspace: Workspace<T>,
    clock: Clock,
    /// Whether no callback has been called yet.
    starts: bool,
}

/// Why a rank wants to end the run after an epoch, as bits.
const BROKEN: u64 = 1;
const LATE: u64 = 2;

impl<'r, 'a, T: Scalar, L: Layer<T>, C: Cost<T>> Run<'r, 'a, T, L, C> {
    /// Starts at the state of `progress`.
    pub(super) fn new(
        network: &'r Network<T, L>,
        data: Data<'r, T>,
        plan: &'r mut Plan<'a, T, C>,
        progress: &mut RunState<T>,
    ) -> Result<Self, Error> {
        // Only a time limit or a callback needs the time.
        let clock = Clock::start(plan.time.is_some() || !plan.callbacks.is_empty());
        let parameters = || allocate("the parameters", (network.parameters(), 1), T::zero());
        let (mut theta, gradient) = (parameters()?, parameters()?);
        theta.copy_from_slice(&progress.theta);
        let state = copied("the state", &progress.state)?;
        let frozen = network.layout().frozen().iter();
        let frozen = frozen.flat_map(|range| theta[range.clone()].iter().map(|&x| Ok(x)));
        let frozen = collected("the frozen parameters", 0, frozen)?;
        let (m, block) = (data.training.source.len(), data.training.source.block());
        let shuffled = plan.shuffle && plan.batch_size.is_some_and(|size| size < m);
        let order = shuffled.then(|| Order::new(m, block)).transpose()?;
        if progress.epoch == 0 {
            progress.plateau = plan.schedule.plateau();
            progress.history.metrics = plan.metrics.iter().map(Metric::name).collect();
        }
        progress.history.stop = plan.ended(progress);
        // With room reserved, epochs do not allocate. If another limit ends the run, the maximum
        // number of epochs may be huge.
        let expected = plan.epochs.saturating_sub(progress.epoch).min(10_000);
        progress.reserve(expected as usize)?;
        Ok(Self {
            network,
            data,
            plan,
            order,
            batch_weights: Vec::new(),
            sweep: Sweep::new(),
            theta,
            state,
            gradient,
            frozen,
            moving: Moving::new(network.layout()),
            batch_workspace: Workspace::new(),
            data_workspace: Workspace::new(),
            clock,
            starts: true,
        })
    }

    /// Runs one epoch and adds it to `progress`.
    pub(super) fn advance(&mut self, progress: &mut RunState<T>) -> Result<(), Error> {
        let number = progress.epoch + 1;
        let done = self.epoch(number, progress);
        if let Some(ranks) = &mut self.sweep.ranks {
            let steps = done.as_ref().map_or(0, |(record, _)| record.steps);
            let point = Point {
                theta: &self.theta,
                state: &self.state,
            };
            ranks.compare(done.as_ref().map(drop).map_err(Clone::clone), steps, point)?;
        }
        let (record, solver) = done?;
        let improvement = self.plan.improvement(&record);
        if let Some(plateau) = &mut progress.plateau {
            plateau.observe(improvement.monitored);
        }
        let steps = record.steps;
        progress.reserve(1)?;
        let point = Point {
            theta: &self.theta,
            state: &self.state,
        };
        progress.note(record, point, improvement)?;
        (progress.epoch, progress.steps) = (number, steps);
        #[cfg(feature = "tracing")]
        emit(progress.history.records.last());
        progress.history.stop = self.stop(progress, solver)?;
        Ok(())
    }

    /// Calls every callback, and returns the reason for ending the run here, if there is one. A
    /// callback takes precedence over the solver, and both over the limits.
    fn stop(
        &mut self,
        progress: &RunState<T>,
        solver: Option<Stop>,
    ) -> Result<Option<Stop>, Error> {
        let plan = &mut *self.plan;
        let Some(record) = progress.history.records.last() else {
            return Ok(None);
        };
        let epoch = Epoch {
            record,
            history: &progress.history,
            theta: &self.theta,
            state: &self.state,
            gradient: &self.gradient,
            layout: self.network.layout(),
            epochs: plan.epochs,
            started: std::mem::take(&mut self.starts),
            elapsed: self.clock.elapsed(),
        };
        let mut broken = false;
        for callback in &mut plan.callbacks {
            broken |= callback(&epoch).is_break();
        }
        let late = plan.time.is_some_and(|most| epoch.elapsed >= most);
        let mut wishes = if broken { BROKEN } else { 0 } | if late { LATE } else { 0 };
        if let Some(ranks) = &mut self.sweep.ranks {
            // The clocks of the ranks differ, and so may their callbacks.
            wishes = ranks.any(wishes)?;
        }
        if wishes & BROKEN != 0 {
            return Ok(Some(Stop::Callback));
        }
        let ended = solver.or_else(|| plan.ended(progress));
        Ok(ended.or((wishes & LATE != 0).then_some(Stop::Time)))
    }

    /// Performs one step per batch or one iteration on all examples, then computes J. Also returns
    /// the solver's reason for ending, if there is one.
    fn epoch(
        &mut self,
        epoch: u64,
        progress: &RunState<T>,
    ) -> Result<(Record, Option<Stop>), Error> {
        let mut record = Record {
            epoch,
            steps: progress.steps,
            cost: f64::NAN,
            batch_cost: None,
            validation: None,
            rate: None,
            metrics: Vec::new(),
            validation_metrics: Vec::new(),
        };
        let (last_batch, stop) = match self.plan.method {
            Method::Steps(_) => {
                let count = self.steps(&mut record, progress)?;
                let parts = self.evaluate(self.data.training);
                let parts = parts.map_err(|cause| with_place(epoch, Some(count), cause))?;
                record.cost = to_f64(parts.total());
                (Some(count), None)
            }
            Method::FullBatch(_) => (None, self.iterate(&mut record)?),
        };
        let measured = self.measure(&mut record, last_batch);
        measured.map_err(|cause| with_place(epoch, last_batch, cause))?;
        Ok((record, stop))
    }

    /// Performs one iteration on all examples. Returns the solver's reason for ending, if there is
    /// one.
    fn iterate(&mut self, record: &mut Record) -> Result<Option<Stop>, Error> {
        let Plan {
            method: Method::FullBatch(solver),
            objective,
            ..
        } = &mut *self.plan
        else {
            return Ok(None);
        };
        let mut problem = NetworkProblem {
            network: self.network,
            set: self.data.training,
            sweep: &mut self.sweep,
            objective,
            workspace: &mut self.data_workspace,
            moving: &mut self.moving,
            state: &mut self.state,
        };
        let done = problem.iterate(solver.as_mut(), &mut self.theta, &mut self.gradient);
        let done = done.map_err(|cause| with_place(record.epoch, None, cause))?;
        record.steps += done.evaluations;
        record.cost = to_f64(done.cost);
        Ok(done.stop)
    }

    /// Returns the parts of J over a set. Keeps the outputs if metrics need them.
    fn evaluate(&mut self, set: Set<'_, T>) -> Result<CostParts<T>, Error> {
        let Objective { cost, penalty } = &self.plan.objective;
        let (theta, state) = (&self.theta, &self.state);
        let work = Work {
            network: self.network,
            point: Point { theta, state },
            cost,
            source: set.source,
            order: set.order,
        };
        let keeps_outputs = !self.plan.metrics.is_empty();
        let workspace = &mut self.data_workspace;
        let sum = self.sweep.evaluate(work, workspace, keeps_outputs)?;
        let sums = Sums::new(sum, set.weight);
        finish(self.network.layout(), penalty, theta, sums, None)
    }

    /// Checks J and θ at the end of an epoch, and adds the metrics and the validation cost.
    fn measure(&mut self, record: &mut Record, last_batch: Option<usize>) -> Result<(), Error> {
        let place = |cause| with_place(record.epoch, last_batch, cause);
        let checked = if record.cost.is_finite() {
            check_parameters(self.network.layout(), &self.theta)
        } else {
            let (at, value) = (Location::Objective, record.cost);
            Err(Error::NonFinite { at, value })
        };
        self.sweep.or_hold(checked.map_err(place))?;
        let Data {
            training,
            validation,
        } = self.data;
        // A solver keeps no outputs.
        if matches!(self.plan.method, Method::FullBatch(_)) && !self.plan.metrics.is_empty() {
            self.evaluate(training)?;
        }
        let metrics = self.metrics(training.source).map_err(place);
        record.metrics = self.sweep.or_hold(metrics)?.unwrap_or_default();
        if let Some(validation) = validation {
            let parts = self.evaluate(validation)?;
            record.validation = Some(to_f64(parts.data));
            record.validation_metrics = self.metrics(validation.source)?;
        }
        Ok(())
    }

    /// Evaluates the metrics on the outputs of the last evaluation, of this source.
    fn metrics(&self, source: &dyn Source<T>) -> Result<Vec<f64>, Error> {
        let values = self.plan.metrics.iter().map(|metric| {
            let value = self.sweep.metric(metric.as_ref(), source)?;
            if value.is_finite() {
                return Ok(value);
            }
            let name = metric.name();
            Err(Error::NonFinite {
                at: Location::Metric { name },
                value,
            })
        });
        values.collect()
    }
}

/// Emits an event for an epoch, at level `INFO`.
#[cfg(feature = "tracing")]
fn emit(record: Option<&Record>) {
    if let Some(record) = record {
        tracing::info!(
            target: "backprop::training",
            epoch = record.epoch,
            steps = record.steps,
            cost = record.cost,
            validation = record.validation,
            rate = record.rate,
            "epoch"
        );
    }
}

/// Adds the epoch and batch to non-finite errors; returns others unchanged.
pub(super) fn with_place(epoch: u64, batch: Option<usize>, cause: Error) -> Error {
    if !cause.is_divergence() {
        return cause;
    }
    Error::Diverged {
        epoch,
        batch,
        cause: Box::new(cause),
    }
}
