//! The state of a run in a checkpoint: written from a plan, and checked before any of it is
//! restored.

use super::checkpoint::{Resumed, Saved, Saving, Settings, Store};
use super::full_batch::{Method, Reached};
use super::history::Record;
use super::network_problem::moving_entries;
use super::optimizer::OptimizerState;
use super::plan::Plan;
use super::run_state::RunState;
use crate::distributed::Ranks;
use crate::error::{Error, checkpoint};
use crate::kernels::all_finite;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::metrics::Metric;
use crate::network::Network;
use crate::point::check_state;
use crate::saved_numbers::scalar_name;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::source::Source;

/// Lists the layers inside a layer, each with its number of outputs and whether it is frozen.
fn architecture(plan: &crate::layer::Plan) -> String {
    let layers = plan.children.iter().map(|child| {
        let inside = match architecture(&child.plan) {
            inside if inside.is_empty() => inside,
            inside => format!(" [{inside}]"),
        };
        let plan = &child.plan;
        let frozen = if plan.is_frozen() { " frozen" } else { "" };
        let fixed = if plan.fixed_statistics() {
            " fixed"
        } else {
            ""
        };
        let outputs = plan.outputs();
        format!(" → {} {outputs}{frozen}{fixed}{inside}", child.name)
    });
    layers.collect()
}

impl<T: Scalar, C> Plan<'_, T, C> {
    /// Returns the settings that are compared with those in a checkpoint.
    pub(super) fn settings<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        source: &dyn Source<T>,
    ) -> Settings {
        let plan = network.layout().plan();
        let input = match plan.input() {
            Shape::Units(units) => units.to_string(),
            shape => shape.to_string(),
        };
        let metrics: Vec<_> = self.metrics.iter().map(Metric::name).collect();
        // The order of the examples depends on the blocks.
        let natural = !self.shuffle && self.validation_fraction.is_none();
        let examples = match source.block() {
            block if block > 1 && !natural => format!("{}, in blocks of {block}", source.len()),
            _ => source.len().to_string(),
        };
        let or_else = |value: Option<String>, absent: &str| value.unwrap_or(absent.to_owned());
        Settings([
            scalar_name::<T>(),
            match &self.method {
                Method::Steps(optimizer) => optimizer.info().name.to_owned(),
                // A solver's memory depends on its settings.
                Method::FullBatch(solver) => format!("{}: {solver:?}", solver.name()),
            },
            format!("{input}{}", architecture(plan)),
            format!("{:?}", self.objective.penalty),
            examples,
            or_else(self.batch_size.map(|size| size.to_string()), "all"),
            format!("{}, shuffle {}", self.seed, self.shuffle),
            or_else(
                self.validation_fraction.map(|part| part.to_string()),
                "none",
            ),
            self.validation.is_some().to_string(),
            format!("{:?}", self.schedule),
            metrics.join(", "),
            or_else(self.monitor.map(|at| format!("metric {at}")), "the cost"),
        ])
    }

    /// Returns the state from which a run begins, that of the newest checkpoint if it resumes. Rank
    /// 0 reads the checkpoint for all.
    pub(super) fn restored<L: Layer<T>>(
        &mut self,
        network: &Network<T, L>,
        store: &Store<T>,
        settings: &Settings,
        resumes: bool,
        ranks: &mut Option<Ranks<'_, T>>,
    ) -> Result<(RunState<T>, Resumed), Error> {
        let leads = ranks.as_ref().is_none_or(Ranks::leads);
        let found = if leads {
            let found = store.found(resumes);
            found.and_then(|found| self.check_store(store).map(|()| found))
        } else {
            Ok(None)
        };
        let skipped = match &found {
            Ok(Some(found)) => found.skipped.clone(),
            _ => Vec::new(),
        };
        let saved = match ranks {
            None => found?.map(|found| found.value),
            Some(ranks) => store.share(found, ranks)?,
        };
        let Some(saved) = saved else {
            return Ok((RunState::new(network.point())?, Resumed::default()));
        };
        settings.expect_equal(&saved.settings)?;
        let epoch = saved.progress.epoch;
        let progress = self.restore(network.layout(), saved)?;
        Ok((progress, Resumed { epoch, skipped }))
    }

    /// Checks that the method can be saved and that the folder accepts checkpoints.
    pub(super) fn check_store(&self, store: &Store<T>) -> Result<(), Error> {
        if let Method::FullBatch(solver) = &self.method {
            solver.save()?;
        }
        store.check()
    }

    /// Writes a checkpoint if one is due.
    pub(super) fn save(
        &self,
        store: &Store<T>,
        progress: &mut RunState<T>,
        settings: &Settings,
    ) -> Result<(), Error> {
        if !store.is_due(progress) {
            return Ok(());
        }
        let solver = match &self.method {
            Method::Steps(optimizer) => {
                progress.optimizer = optimizer.state();
                None
            }
            Method::FullBatch(solver) => solver.save()?,
        };
        store.write(&Saving {
            settings,
            progress,
            solver,
        })
    }

    /// Restores the state of a checkpoint after checking that all of it can belong to this run.
    pub(super) fn restore(
        &mut self,
        layout: &Layout,
        saved: Saved<T>,
    ) -> Result<RunState<T>, Error> {
        self.check_saved(layout, &saved)?;
        let Saved {
            mut progress,
            solver,
            ..
        } = saved;
        match &mut self.method {
            Method::Steps(optimizer) => optimizer.restore(&progress.optimizer)?,
            Method::FullBatch(method) => {
                let last = progress.history.records.last();
                let theta = moving_entries(layout, &progress.theta);
                let at = Reached {
                    epochs: progress.epoch,
                    theta: &theta,
                    cost: last.map_or(f64::NAN, |record| record.cost),
                };
                method.load(solver.as_ref(), at)?;
            }
        }
        progress.optimizer = OptimizerState::default();
        Ok(progress)
    }

    /// Refuses a state that no run with these settings can have saved. The optimiser and the
    /// solver check their own state when they restore it.
    ///
    /// The best epoch, its cost and the state of a plateau follow from the records, so they are
    /// computed again.
    fn check_saved(&self, layout: &Layout, saved: &Saved<T>) -> Result<(), Error> {
        let (progress, parameters) = (&saved.progress, layout.parameters());
        check_vector("its parameters", &progress.theta, parameters)?;
        check_state(layout.state_places(), &progress.state).map_err(checkpoint)?;
        self.check_method(parameters, saved)?;
        self.check_records(progress)?;
        self.check_best(layout, progress)
    }

    fn check_method(&self, parameters: usize, saved: &Saved<T>) -> Result<(), Error> {
        let RunState {
            optimizer, steps, ..
        } = &saved.progress;
        match &self.method {
            Method::Steps(_) => {
                expect(saved.solver.is_none(), || "it has a solver's state".into())?;
                // A custom optimiser without memory need not count steps.
                let counts = optimizer.steps > 0 || !optimizer.buffers.is_empty();
                expect(!counts || optimizer.steps == *steps, || {
                    let found = optimizer.steps;
                    format!("its optimiser has made {found} steps, expected {steps}")
                })?;
                let mut buffers = optimizer.buffers.iter();
                buffers.try_for_each(|x| check_vector("a buffer of its optimiser", x, parameters))
            }
            Method::FullBatch(_) => {
                let none = optimizer.steps == 0 && optimizer.buffers.is_empty();
                expect(none, || "it has an optimiser's state".into())
            }
        }
    }

    fn check_records(&self, progress: &RunState<T>) -> Result<(), Error> {
        let RunState {
            epoch,
            steps,
            history,
            ..
        } = progress;
        let (records, validates) = (&history.records, self.validates());
        let count = records.len();
        expect(count > 0 && *epoch == count as u64, || {
            format!(
                "it has {count} records of {epoch} epochs, expected one for each and at least one"
            )
        })?;
        let names: Vec<String> = self.metrics.iter().map(Metric::name).collect();
        expect(history.metrics == names, || {
            let found = &history.metrics;
            format!("its metrics are {found:?}, expected {names:?}")
        })?;
        let by_steps = matches!(self.method, Method::Steps(_));
        let mut before = 0;
        for (record, number) in records.iter().zip(1..) {
            let counts = record.epoch == number && record.steps >= before;
            expect(counts, || {
                format!(
                    "its record {number} is of epoch {} and step {}",
                    record.epoch, record.steps
                )
            })?;
            let of_validation = if validates { names.len() } else { 0 };
            let fits = record.metrics.len() == names.len()
                && record.validation_metrics.len() == of_validation
                && record.validation.is_some() == validates
                && record.batch_cost.is_some() == by_steps
                && record.rate.is_some() == by_steps
                && is_finite(record);
            expect(fits, || {
                format!(
                    "its record of epoch {number} does not have the values of this training run"
                )
            })?;
            before = record.steps;
        }
        // The count must not overflow later.
        expect(*steps == before && *steps < u64::MAX / 2, || {
            format!("it has made {steps} steps, expected the {before} of its last record")
        })
    }

    fn check_best(&self, layout: &Layout, progress: &RunState<T>) -> Result<(), Error> {
        let (mut best, mut cost) = (None, f64::INFINITY);
        let mut plateau = self.schedule.plateau();
        for record in &progress.history.records {
            let monitored = self.monitored(record);
            if monitored < cost {
                (best, cost) = (Some(record.epoch), monitored);
            }
            if let Some(plateau) = &mut plateau {
                plateau.observe(monitored);
            }
        }
        let history = &progress.history;
        expect(history.best == best, || {
            format!("its best epoch is {:?}, expected {best:?}", history.best)
        })?;
        let found = progress.best.as_ref().map(|best| best.cost);
        expect(found == best.map(|_| cost), || {
            format!("its best cost is {found:?}, expected {cost}")
        })?;
        let kept_point = progress.best.as_ref();
        let (theta, state) =
            kept_point.map_or((&[][..], &[][..]), |best| (&best.theta, &best.state));
        let validates = self.validates();
        let kept = self.keep_best && validates && best.is_some();
        let has_numbers = layout.parameters() > 0 || layout.plan().state_len() > 0;
        let lacks = has_numbers && theta.is_empty() && state.is_empty();
        expect(!(kept && lacks), || {
            "it lacks the parameters of its best epoch, which `keep_best(false)` leaves out".into()
        })?;
        if !theta.is_empty() || !state.is_empty() {
            check_vector(
                "the parameters of its best epoch",
                theta,
                layout.parameters(),
            )?;
            check_state(layout.state_places(), state).map_err(checkpoint)?;
            let is_last = best == Some(progress.epoch);
            let is_same = theta == progress.theta && state == progress.state;
            expect(validates && (!is_last || is_same), || {
                "the parameters of its best epoch are not from this training run".into()
            })?;
        }
        // The count is at least the number of epochs since the best one, and less than the number
        // of all epochs, because the first epoch never counts. (A small improvement moves the best
        // epoch without restarting the count.)
        let (epoch, waited) = (progress.epoch, progress.waited);
        let least = epoch - best.unwrap_or(epoch).min(epoch);
        expect((least..epoch).contains(&waited), || {
            format!("it has waited for {waited} epochs, expected from {least} to below {epoch}")
        })?;
        expect(progress.plateau == plateau, || {
            "the state of its schedule does not follow from its records".into()
        })
    }
}

fn is_finite(record: &Record) -> bool {
    let single = [record.batch_cost, record.validation, record.rate];
    let several = record.metrics.iter().chain(&record.validation_metrics);
    let mut all = single.iter().flatten().chain(several);
    record.cost.is_finite() && all.all(|x| x.is_finite())
}

fn check_vector<T: Scalar>(what: &str, values: &[T], parameters: usize) -> Result<(), Error> {
    let found = values.len();
    expect(found == parameters, || {
        format!("{what}: expected {parameters} numbers, found {found}")
    })?;
    expect(all_finite(values), || {
        format!("{what}: expected finite numbers")
    })
}

fn expect(holds: bool, reason: impl FnOnce() -> String) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(checkpoint(reason()))
}
