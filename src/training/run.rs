//! A run: epoch by epoch, batch by batch.

use super::batches::Batches;
use super::callback::Epoch;
use super::clock::Clock;
use super::full_batch::Method;
use super::history::{Record, Stop};
use super::network_problem::{Moving, NetworkProblem};
use super::optimizer::Optimizer;
use super::plan::{Data, Plan};
use super::run_state::RunState;
use super::schedule::Plateau;
use crate::allocation::{allocate, collected, copied};
use crate::cost::Cost;
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::kernels::{first_non_finite, random::mix};
use crate::layer::Layer;
use crate::layout::Layout;
use crate::metrics::{self, Metric};
use crate::network::Network;
use crate::point::Point;
use crate::scalar::{Scalar, to_f64};
use crate::workspace::Workspace;

/// The run of a plan with one network and its examples.
pub(super) struct Run<'r, 'a, T: Scalar, L, C> {
    network: &'r Network<T, L>,
    data: Data<'r, T>,
    pub(super) plan: &'r mut Plan<'a, T, C>,
    batches: Batches<T>,
    theta: Vec<T>,
    /// The state of the layers that belongs to θ.
    state: Vec<T>,
    gradient: Vec<T>,
    /// The entries of θ in frozen layers, in sequence.
    frozen: Vec<T>,
    moving: Moving<T>,
    /// Two workspaces, so that neither is refitted within an epoch.
    batch_workspace: Workspace<T>,
    data_workspace: Workspace<T>,
    clock: Clock,
    /// Whether no callback has been called yet.
    starts: bool,
}

impl<'r, 'a, T: Scalar, L: Layer<T>, C: Cost<T>> Run<'r, 'a, T, L, C> {
    /// Starts at the state of `progress`.
    pub(super) fn new(
        network: &'r Network<T, L>,
        data: Data<'r, T>,
        plan: &'r mut Plan<'a, T, C>,
        progress: &mut RunState<T>,
    ) -> Result<Self, Error> {
        let size = plan.batch_size.unwrap_or(data.training.len());
        let order = plan.shuffle.then_some(plan.seed);
        // Only a time limit or a callback needs the time.
        let clock = Clock::start(plan.time.is_some() || !plan.callbacks.is_empty());
        let parameters = || allocate("the parameters", (network.parameters(), 1), T::zero());
        let (mut theta, gradient) = (parameters()?, parameters()?);
        theta.copy_from_slice(&progress.theta);
        let state = copied("the state", &progress.state)?;
        let frozen = network.layout().frozen().iter();
        let frozen = frozen.flat_map(|range| theta[range.clone()].iter().map(|&x| Ok(x)));
        let frozen = collected("the frozen parameters", 0, frozen)?;
        let batches = Batches::new(&data.training, size, order)?;
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
            batches,
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
        let (record, solver) = self.epoch(number, progress)?;
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
        progress.history.stop = self.stop(progress, solver);
        Ok(())
    }

    /// Calls every callback, and returns the reason for ending the run here, if there is one. A
    /// callback takes precedence over the solver, and both over the limits.
    fn stop(&mut self, progress: &RunState<T>, solver: Option<Stop>) -> Option<Stop> {
        let plan = &mut *self.plan;
        let epoch = Epoch {
            record: progress.history.records.last()?,
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
        if broken {
            return Some(Stop::Callback);
        }
        let late = plan.time.is_some_and(|most| epoch.elapsed >= most);
        let ended = solver.or_else(|| plan.ended(progress));
        ended.or(late.then_some(Stop::Time))
    }

    /// Performs one step per batch or one iteration on all examples, then computes J. Also returns
    /// the solver's reason for ending, if there is one.
    fn epoch(
        &mut self,
        epoch: u64,
        progress: &RunState<T>,
    ) -> Result<(Record, Option<Stop>), Error> {
        let (network, examples) = (self.network, &self.data.training);
        let Plan {
            method,
            objective,
            schedule,
            clipping,
            seed,
            ..
        } = &mut *self.plan;
        let (workspace, whole) = (&mut self.batch_workspace, &mut self.data_workspace);
        let (theta, state, gradient) = (&mut self.theta, &mut self.state, &mut self.gradient);
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
        let (last_batch, cost, stop) = match method {
            Method::Steps(optimizer) => {
                let count = self.batches.count(examples);
                let (mut sum, mut weight) = (0.0, 0.0);
                let plateau = progress.plateau.as_ref().map_or(1.0, Plateau::factor);
                self.batches.start(epoch);
                for b in 0..count {
                    let Some(batch) = self.batches.get(examples, b) else {
                        continue;
                    };
                    let (at, number) = ((&batch, examples.weight), Some(b + 1));
                    // Stochastic layers act at random, and a resumed run repeats the same choices.
                    let step = mix(mix(*seed, epoch), b as u64 + 1);
                    workspace.set_training(Some(step));
                    let point = Point { theta, state };
                    let done = network.batch_gradient_at(point, at, objective, workspace, gradient);
                    let parts = match done {
                        Ok(parts) => parts,
                        Err(cause) => {
                            return Err(with_place(epoch, number, self.batches.place(b, cause)));
                        }
                    };
                    if let Some(clipping) = clipping {
                        clipping.apply(gradient);
                    }
                    let factor = plateau * schedule.factor_at(epoch - 1, b as u64, count as u64);
                    let moving = network.layout().moving();
                    optimizer.step_in(moving, theta, gradient, factor)?;
                    put_back(network.layout(), &self.frozen, theta);
                    if let Some(new) = workspace.new_state(network.layout_arc()) {
                        state.copy_from_slice(new);
                    }
                    record.rate = Some(optimizer.info().rate * factor);
                    // A saturating function may hide an overflow.
                    check_step(network.layout(), theta, &**optimizer)
                        .map_err(|cause| with_place(epoch, number, cause))?;
                    sum += to_f64(parts.total()) * batch.weight;
                    weight += batch.weight;
                    record.steps += 1;
                }
                if weight == 0.0 {
                    // The examples have weight as a whole, but no single batch does.
                    let value = examples.weight;
                    return Err(Error::TotalWeight { value });
                }
                record.batch_cost = Some(sum / weight);
                let parts = network.cost_at(Point { theta, state }, examples, objective, whole);
                let parts = parts.map_err(|cause| with_place(epoch, Some(count), cause))?;
                (Some(count), parts.total(), None)
            }
            Method::FullBatch(solver) => {
                let mut problem = NetworkProblem {
                    network,
                    examples,
                    objective,
                    workspace: whole,
                    moving: &mut self.moving,
                    state,
                };
                let done = problem.iterate(solver.as_mut(), theta, gradient);
                let done = done.map_err(|cause| with_place(epoch, None, cause))?;
                record.steps += done.evaluations;
                (None, done.cost, done.stop)
            }
        };
        record.cost = to_f64(cost);
        let measured = self.measure(&mut record);
        measured.map_err(|cause| with_place(epoch, last_batch, cause))?;
        Ok((record, stop))
    }

    /// Checks J and θ at the end of an epoch, and adds the metrics and the validation cost.
    fn measure(&mut self, record: &mut Record) -> Result<(), Error> {
        let (network, examples) = (self.network, &self.data.training);
        let point = Point {
            theta: &self.theta,
            state: &self.state,
        };
        let Plan {
            method,
            objective,
            metrics,
            ..
        } = &*self.plan;
        let workspace = &mut self.data_workspace;
        if !record.cost.is_finite() {
            let (at, value) = (Location::Objective, record.cost);
            return Err(Error::NonFinite { at, value });
        }
        check_parameters(network.layout(), point.theta)?;
        // The workspace has the outputs at these parameters, unless a solver has evaluated others
        // since.
        if matches!(method, Method::FullBatch(_)) && !metrics.is_empty() {
            network.cost_at(point, examples, objective, workspace)?;
        }
        record.metrics = evaluate_all(metrics, workspace, examples)?;
        if let Some(validation) = &self.data.validation {
            let value = network.data_cost_at(point, validation, &objective.cost, workspace)?;
            record.validation = Some(to_f64(value));
            record.validation_metrics = evaluate_all(metrics, workspace, validation)?;
        }
        Ok(())
    }
}

/// Evaluates the metrics on the outputs of the last forward pass.
fn evaluate_all<T: Scalar>(
    metrics: &[Box<dyn Metric<T> + '_>],
    workspace: &Workspace<T>,
    examples: &Examples<'_, T>,
) -> Result<Vec<f64>, Error> {
    let Some(outputs) = workspace.output() else {
        return Ok(Vec::new());
    };
    let values = metrics.iter().map(|metric| {
        let value = metrics::of_examples(metric.as_ref(), outputs, examples)?;
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
fn with_place(epoch: u64, batch: Option<usize>, cause: Error) -> Error {
    if !cause.is_divergence() {
        return cause;
    }
    Error::Diverged {
        epoch,
        batch,
        cause: Box::new(cause),
    }
}

/// Restores the frozen entries of θ. A custom optimiser may have moved them.
fn put_back<T: Scalar>(layout: &Layout, mut frozen: &[T], theta: &mut [T]) {
    for range in layout.frozen() {
        let (now, rest) = frozen.split_at(range.len());
        theta[range.clone()].copy_from_slice(now);
        frozen = rest;
    }
}

/// Checks that all parameters are finite. The error names the block.
fn check_parameters<T: Scalar>(layout: &Layout, theta: &[T]) -> Result<(), Error> {
    match first_non_finite(theta).and_then(|index| Some((index, layout.entry(index)?))) {
        None => Ok(()),
        Some((index, entry)) => Err(Error::NonFinite {
            at: Location::Parameter(entry),
            value: to_f64(theta[index]),
        }),
    }
}

/// Checks that a step is finite by scanning θ, which suffices ([`Optimizer::step`]). The error
/// names the entry that overflowed: one of the state, if any, or else one of θ.
pub(super) fn check_step<T: Scalar, O: Optimizer<T> + ?Sized>(
    layout: &Layout,
    theta: &[T],
    optimizer: &O,
) -> Result<(), Error> {
    let Err(found) = check_parameters(layout, theta) else {
        return Ok(());
    };
    let state = optimizer.state().first_non_finite();
    let state = state.and_then(|(buffer, index, value)| {
        let entry = layout.entry(index)?;
        let at = Location::OptimizerState { buffer, entry };
        let value = to_f64(value);
        Some(Error::NonFinite { at, value })
    });
    Err(state.unwrap_or(found))
}
