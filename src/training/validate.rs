//! Validates the settings of a run before its first step.

use super::clock::has_clock;
use super::full_batch::Method;
use super::plan::{Data, Plan};
use super::schedule::Schedule;
use crate::cost::Cost;
use crate::error::ranges::{between_zero_and_one, in_range, not_negative};
use crate::error::{Error, hyperparameter};
use crate::examples::check_weights;
use crate::layer::Layer;
use crate::metrics;
use crate::network::Network;
use crate::scalar::{Scalar, real};
use crate::source::{Source, checked_view, in_memory};

impl<T: Scalar, C: Cost<T>> Plan<'_, T, C> {
    /// Validates the settings, and the shapes and targets of the examples.
    pub(super) fn check<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        source: &dyn Source<T>,
    ) -> Result<(), Error> {
        let cost = &self.objective.cost;
        self.objective.validate(network.layout())?;
        network.check_classes(cost)?;
        check_source(network, source, cost)?;
        if let Some(validation) = &self.validation {
            check_source(network, validation.as_ref(), cost)?;
        }
        match &self.method {
            Method::Steps(optimizer) => optimizer.validate()?,
            Method::FullBatch(solver) => {
                if let Some(layer) = network.layout().plan().drawing() {
                    let what = solver.name();
                    return Err(Error::Stochastic { layer, what });
                }
                solver.validate()?;
            }
        }
        in_range(self.epochs > 0, "the number of epochs", 0.0, "at least 1")?;
        in_range(
            self.steps != Some(0),
            "the number of steps",
            0.0,
            "at least 1",
        )?;
        if self.time.is_some() && !has_clock() {
            return Err(Error::Unsupported {
                what: "a time budget",
                by: "a target without a clock",
            });
        }
        self.schedule.validate()?;
        if let Some(clipping) = &self.clipping {
            clipping.validate::<T>()?;
        }
        if let Some(fraction) = self.validation_fraction {
            let name = "the validation fraction";
            between_zero_and_one(name, fraction)?;
            let expected = "none, because validation examples are already given";
            in_range(self.validation.is_none(), name, fraction, expected)?;
        }
        if let Method::FullBatch(_) = self.method
            && (self.schedule != Schedule::Constant || self.clipping.is_some())
        {
            return Err(Error::Unsupported {
                what: "a schedule or clipping",
                by: "a full-batch solver",
            });
        }
        if !self.takes_batches() && self.schedule != Schedule::Constant {
            return Err(Error::Unsupported {
                what: "a schedule",
                by: "a method without a learning rate",
            });
        }
        if self.ranks.is_some()
            && let Some(layer) = network.layout().plan().coupling(true)
        {
            return Err(Error::Coupled {
                layer,
                what: "distributed training",
                training: true,
            });
        }
        not_negative::<f64>("the minimum improvement", self.min_improvement)?;
        in_range(
            self.patience != Some(0),
            "the patience",
            0.0,
            "at least 1 epoch",
        )
    }

    /// Validates the settings that depend on the examples: batches, learning rates and metrics.
    pub(super) fn check_data(&self, data: &Data<'_, T>) -> Result<(), Error> {
        let m = data.training.source.len();
        self.check_batches(m)?;
        self.check_rate(m)?;
        // A metric refuses targets that it cannot measure, such as targets with fewer classes than
        // it ranks.
        let sources = std::iter::once(data.training)
            .chain(data.validation)
            .map(|set| set.source);
        for examples in sources.filter_map(in_memory) {
            for metric in &self.metrics {
                let (y, present) = (examples.y, examples.present());
                metrics::of_outputs(metric.as_ref(), y, y, present)?;
            }
        }
        Ok(())
    }

    fn takes_batches(&self) -> bool {
        match &self.method {
            Method::Steps(optimizer) => optimizer.info().takes_batches,
            Method::FullBatch(_) => false,
        }
    }

    /// Checks that the learning rate is finite as a T in every step. Checking the last step
    /// suffices, because no factor of a schedule exceeds the larger of 1 and its last factor.
    fn check_rate(&self, m: usize) -> Result<(), Error> {
        let Method::Steps(optimizer) = &self.method else {
            return Ok(());
        };
        let batches = m.div_ceil(self.batch_size.unwrap_or(m)) as u64;
        let epochs = self.steps.map_or(u64::MAX, |most| most.div_ceil(batches));
        let last = self.epochs.min(epochs) - 1;
        let value = optimizer.info().rate * self.schedule.factor_at(last, batches - 1, batches);
        in_range(
            real::<T>(value).is_finite(),
            "the learning rate of the last step",
            value,
            "a finite number",
        )
    }

    /// Checks that the batches fit m training examples, and the method.
    fn check_batches(&self, m: usize) -> Result<(), Error> {
        let expected = match self.batch_size {
            Some(size) if size == 0 || size > m => {
                format!("1 to {m}, the number of training examples")
            }
            Some(size) if size < m && !self.takes_batches() => {
                format!("{m}, the number of examples, because the method needs all at once")
            }
            _ => return Ok(()),
        };
        let size = self.batch_size.unwrap_or(m) as f64;
        Err(hyperparameter("the batch size", size, expected))
    }
}

/// Checks that the examples of a source fit the network and the cost. Targets that are not in
/// memory are checked when they are read.
fn check_source<T: Scalar, L: Layer<T>, C: Cost<T>>(
    network: &Network<T, L>,
    source: &dyn Source<T>,
    cost: &C,
) -> Result<(), Error> {
    let m = source.len();
    if m == 0 {
        return Err(Error::NoExamples);
    }
    let rows = [
        ("X", network.inputs(), source.inputs()),
        ("Y", network.outputs(), source.outputs()),
    ];
    for (what, expected, found) in rows {
        if expected != found {
            return Err(Error::Shape {
                what,
                expected: (expected, m),
                found: (found, m),
            });
        }
    }
    if let Some(weights) = source.weights() {
        check_weights::<T>(weights, m)?;
    }
    match checked_view(source, 0..m)? {
        Some(examples) => network.check_examples(&examples, cost),
        None => Ok(()),
    }
}
