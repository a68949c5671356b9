//! What of a training is refused before its first step.

use super::clock::has_clock;
use super::method::Method;
use super::optimizer::in_range;
use super::schedule::Schedule;
use super::trainer::{Patience, Trainer};
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::Network;
use crate::scalar::{Scalar, real};

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// All that can be known to be wrong before the first step.
    pub(super) fn check<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        examples: &Examples<'_, T>,
    ) -> Result<(), Error> {
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let domain = self.objective.cost.target_domain();
        self.objective.validate(network.layout())?;
        network.check_classes(&self.objective.cost)?;
        examples.check(inputs, outputs, domain)?;
        if let Some(validation) = &self.validation {
            validation.check(inputs, outputs, domain)?;
        }
        match &self.method {
            Method::Steps(optimizer) => optimizer.validate()?,
            Method::FullBatch(solver) => solver.validate()?,
        }
        let refused = |name, value, expected| Error::Hyperparameter {
            name,
            value,
            expected,
        };
        if self.epochs == 0 {
            return Err(refused("the number of epochs", 0.0, "at least 1"));
        }
        if self.steps == Some(0) {
            return Err(refused("the number of steps", 0.0, "at least 1"));
        }
        if self.time.is_some() && !has_clock() {
            return Err(Error::Unsupported {
                what: "a time budget",
                by: "this target, which has no clock",
            });
        }
        self.schedule.validate()?;
        if let Some(clipping) = &self.clipping {
            clipping.validate::<T>()?;
        }
        if let Some(fraction) = self.validation_fraction {
            if !(fraction > 0.0 && fraction < 1.0) {
                let name = "the validation fraction";
                return Err(refused(name, fraction, "above 0 and below 1"));
            }
            if self.validation.is_some() {
                let name = "the validation fraction";
                return Err(refused(
                    name,
                    fraction,
                    "none, as there are validation examples",
                ));
            }
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
                by: "a method without a rate",
            });
        }
        if let Some(Patience { least, .. }) = self.patience
            && !(least >= 0.0 && least.is_finite())
        {
            return Err(refused(
                "the least improvement",
                least,
                "finite and at least 0",
            ));
        }
        if self.patience.is_some_and(|patience| patience.epochs == 0) {
            return Err(refused("the patience", 0.0, "at least 1 epoch"));
        }
        Ok(())
    }

    fn takes_batches(&self) -> bool {
        match &self.method {
            Method::Steps(optimizer) => optimizer.takes_batches(),
            Method::FullBatch(_) => false,
        }
    }

    /// Whether a rate that grows stays a number of T as long as epochs and steps last. No schedule goes beyond both its ends.
    pub(super) fn check_rate(&self, m: usize) -> Result<(), Error> {
        let Method::Steps(optimizer) = &self.method else {
            return Ok(());
        };
        let batches = m.div_ceil(self.batch_size.unwrap_or(m)) as u64;
        let epochs = self.steps.map_or(u64::MAX, |most| most.div_ceil(batches));
        let last = self.epochs.min(epochs) - 1;
        let value = optimizer.rate() * self.schedule.factor_at(last, batches - 1, batches);
        in_range(
            real::<T>(value).is_finite(),
            "the rate of the last step",
            value,
            "a finite number",
        )
    }

    /// Whether the batches fit m training examples, and the method.
    pub(super) fn check_batches(&self, m: usize) -> Result<(), Error> {
        let expected = match self.batch_size {
            Some(size) if size == 0 || size > m => "from 1 to the number of training examples",
            Some(size) if size < m && !self.takes_batches() => {
                "all examples: the method takes no batches"
            }
            _ => return Ok(()),
        };
        Err(Error::Hyperparameter {
            name: "the batch size",
            value: self.batch_size.unwrap_or(m) as f64,
            expected,
        })
    }
}
