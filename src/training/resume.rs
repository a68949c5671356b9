//! Checkpoints of a trainer, and how a run resumes from one.

use super::checkpoint::{Resumed, Store};
use super::history::History;
use super::trainer::Trainer;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::Network;
use crate::saving::Checkpoints;
use crate::scalar::Scalar;
use crate::source::Source;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<'a, T: Scalar + Serialize + DeserializeOwned, C: Cost<T>> Trainer<'a, T, C> {
    /// Writes a checkpoint after every `every` epochs (at least 1) and when the run ends (feature
    /// `serde`). [`resume`](Self::resume) continues from the newest checkpoint. A folder that
    /// cannot be written to is refused before the first step.
    ///
    /// A checkpoint holds the parameters, the state of the method, the best epoch's parameters, the
    /// count of patience, and the history. Besides these, the rest of the run depends only on the
    /// data and the settings. A run that was interrupted (or even killed) and resumed therefore
    /// gives the same bits as an uninterrupted one. Only a time limit starts again from zero.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::saving::Checkpoints;
    /// use backprop::training::{Adam, Trainer};
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let folder = std::env::temp_dir().join(format!("training-{}", std::process::id()));
    /// let start = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
    /// let examples = Examples::new(&x, &y)?;
    /// let trainer = |epochs| {
    ///     let trainer = Trainer::new(Objective::new(SquaredError), Adam::new(0.1));
    ///     trainer.epochs(epochs).batch_size(2).checkpoints(Checkpoints::new(&folder), 10)
    /// };
    ///
    /// let mut network = start.clone();
    /// trainer(25).resume(&mut network, &examples)?; // starts, because there is no checkpoint
    /// let (history, resumed) = trainer(40).resume(&mut network, &examples)?;
    /// assert_eq!((resumed.epoch, history.records().len()), (25, 40));
    ///
    /// let mut at_once = start.clone();
    /// let uninterrupted = Trainer::new(Objective::new(SquaredError), Adam::new(0.1));
    /// uninterrupted.epochs(40).batch_size(2).fit(&mut at_once, &examples)?;
    /// assert_eq!(network.theta(), at_once.theta());
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints, every: u64) -> Self {
        self.store = Some(Store::new(checkpoints, every));
        self
    }
}

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Continues from the newest checkpoint, or starts a new run if there is none (feature
    /// `serde`). Returns the history, and the point from which the run resumed. A program that
    /// calls this method can be interrupted and started again any number of times.
    ///
    /// The network's own parameters are used only if there is no checkpoint. A finished run
    /// continues if it now has more epochs, steps or patience. A run that a callback ended, or
    /// whose solver had converged, continues as well.
    ///
    /// The checkpoint must agree with this trainer in the scalar type T, the name of the method
    /// (and the settings of a full-batch solver), the layers of the network and which of them are
    /// frozen, the penalty, the number of examples, their blocks ([`Source::block`]) where these
    /// determine the order, the batch size, the seed, shuffling, the validation fraction, the
    /// presence of validation examples, the schedule, the metrics and the monitored value.
    /// Everything else comes from this trainer: the learning rate and other settings of an
    /// optimiser, the cost, clipping, patience and the data themselves. The bits equal those of an
    /// uninterrupted run only if these are unchanged too.
    ///
    /// # Errors
    /// Returns the errors of [`fit`](Self::fit), and
    /// - [`Error::Unsupported`] if [`checkpoints`](Self::checkpoints) was not called, or if the
    ///   method cannot be saved.
    /// - [`Error::Checkpoint`] if a checkpoint cannot be read or written, if all checkpoints are
    ///   damaged, or if the saved state cannot come from a run with these settings. The whole state
    ///   is checked before any of it is used.
    /// - [`Error::OtherTraining`] if the checkpoint does not agree with this trainer. In that case,
    ///   nothing is changed.
    ///
    /// An error in the first epoch that this call computes leaves the network unchanged.
    pub fn resume<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
    ) -> Result<(History, Resumed), Error> {
        self.resume_source(network, examples)
    }

    /// Continues like [`resume`](Self::resume), with examples that need not be in memory, as in
    /// [`fit_source`](Self::fit_source).
    ///
    /// # Errors
    /// Returns the errors of [`resume`](Self::resume) and of the source.
    pub fn resume_source<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        source: &dyn Source<T>,
    ) -> Result<(History, Resumed), Error> {
        if self.store.is_none() {
            return Err(Error::Unsupported {
                what: "a folder of checkpoints",
                by: "this trainer",
            });
        }
        self.train(network, source, true)
    }
}
