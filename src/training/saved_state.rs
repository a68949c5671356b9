//! Checks that the whole state in a checkpoint can belong to this training, before any of it is
//! used.

use super::checkpoint::Saved;
use super::history::Record;
use super::method::Method;
use super::progress::Progress;
use super::trainer::Trainer;
use crate::cost::Cost;
use crate::error::Error;
use crate::kernels::all_finite;
use crate::metrics::Metric;
use crate::scalar::Scalar;

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Refuses a state that no training with these settings can have saved. The optimiser and the
    /// solver check their own state when they restore it.
    ///
    /// The best epoch, its cost and the state of a plateau follow from the records, so they are
    /// computed again.
    pub(super) fn check_saved(
        &self,
        parameters: usize,
        validates: bool,
        saved: &Saved<T>,
    ) -> Result<(), Error> {
        let progress = &saved.progress;
        check_vector("its parameters", &progress.theta, parameters)?;
        self.check_method(parameters, saved)?;
        self.check_records(validates, progress)?;
        self.check_best(parameters, validates, progress)
    }

    fn check_method(&self, parameters: usize, saved: &Saved<T>) -> Result<(), Error> {
        let Progress {
            optimizer, steps, ..
        } = &saved.progress;
        match &self.method {
            Method::Steps(_) => {
                expect(saved.solver.is_none(), || "it has a solver's state".into())?;
                // A custom optimiser that remembers nothing need not count steps.
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

    fn check_records(&self, validates: bool, progress: &Progress<T>) -> Result<(), Error> {
        let Progress {
            epoch,
            steps,
            history,
            ..
        } = progress;
        let records = &history.records;
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
                format!("its record of epoch {number} does not have the values of this training")
            })?;
            before = record.steps;
        }
        // Further counting must not overflow.
        expect(*steps == before && *steps < u64::MAX / 2, || {
            format!("it has made {steps} steps, expected the {before} of its last record")
        })
    }

    fn check_best(
        &self,
        parameters: usize,
        validates: bool,
        progress: &Progress<T>,
    ) -> Result<(), Error> {
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
        let theta = progress.best.as_ref().map_or(&[][..], |best| &best.theta);
        let kept = self.keep_best && validates && best.is_some();
        expect(!kept || !theta.is_empty(), || {
            "it lacks the parameters of its best epoch, which `keep_best(false)` leaves out".into()
        })?;
        if !theta.is_empty() {
            check_vector("the parameters of its best epoch", theta, parameters)?;
            let is_last = best == Some(progress.epoch);
            expect(validates && (!is_last || theta == progress.theta), || {
                "the parameters of its best epoch are not from this training".into()
            })?;
        }
        // At least the epochs since the best, and fewer than all, because the first never waits. (A
        // small improvement moves the best epoch without ending the wait.)
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
    match holds {
        true => Ok(()),
        false => Err(Error::Checkpoint { reason: reason() }),
    }
}
