//! Checkpoints of a training, and how it goes on from one.

use super::method::Method;
use super::progress::Progress;
use super::trainer::Trainer;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::network::Network;
use crate::saving::{Checkpoints, Found, Skipped};
use crate::scalar::Scalar;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a checkpoint holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved<T> {
    pub(super) settings: Settings,
    pub(super) progress: Progress<T>,
    /// What a full-batch solver remembers.
    pub(super) solver: Option<serde_json::Value>,
}

/// What has to be the same for a training to go on with the bits that it would have had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) method: String,
    pub(super) parameters: usize,
    pub(super) examples: usize,
    pub(super) batch_size: usize,
    pub(super) seed: Option<u64>,
}

type Write<'a, T> = Box<dyn Fn(&Saved<T>) -> Result<(), String> + 'a>;
type Latest<'a, T> = Box<dyn Fn() -> Result<Option<Found<Saved<T>>>, String> + 'a>;

/// Where a training is saved, and how often. What T has to do for it was known where this was made.
pub(super) struct Store<'a, T> {
    every: u64,
    write: Write<'a, T>,
    latest: Latest<'a, T>,
}

/// From where a training went on.
///
/// # Example
/// See [`Trainer::checkpoints`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Resumed {
    /// The epochs that were done; 0 if there was no checkpoint.
    pub epoch: u64,
    /// Newer checkpoints that were damaged and so passed over: a warning to be shown.
    pub skipped: Vec<Skipped>,
}

impl<'a, T: Scalar + Serialize + DeserializeOwned, C: Cost<T>> Trainer<'a, T, C> {
    /// Writes a checkpoint every so many epochs, at least 1, and when the training ends; [`resume`](Self::resume) goes on from the newest.
    ///
    /// A checkpoint holds the parameters, the state of the method, the best epoch's parameters, what patience has counted, and the history: all that
    /// the rest of the training depends on beside the data, the settings and the number of the epoch. So a training that was broken off, even by force, and
    /// resumed has the bits of one that was not. Only what the time budget counts begins anew.
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
    /// trainer(25).fit(&mut network, &examples)?;
    /// let (history, resumed) = trainer(40).resume(&mut network, &examples)?;
    /// assert_eq!((resumed.epoch, history.records().len()), (25, 40));
    ///
    /// let mut at_once = start.clone();
    /// Trainer::new(Objective::new(SquaredError), Adam::new(0.1)).epochs(40).batch_size(2).fit(&mut at_once, &examples)?;
    /// assert_eq!(network.theta(), at_once.theta());
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints, every: u64) -> Self {
        let reader = checkpoints.clone();
        self.store = Some(Store {
            every,
            write: Box::new(move |saved| {
                let written = checkpoints.write(saved.progress.epoch, saved);
                written.map(drop).map_err(|error| error.to_string())
            }),
            latest: Box::new(move || reader.latest().map_err(|error| error.to_string())),
        });
        self
    }
}

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Goes on from the newest checkpoint, or begins if there is none; and says from where.
    ///
    /// The network's own parameters count only if there is no checkpoint. A training that had ended goes on if it may now: if it has more epochs, steps or
    /// patience. One that a callback ended, or a solver that had converged, goes on as well.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit), and
    /// - [`Error::Unsupported`] without [`checkpoints`](Self::checkpoints), or if the method cannot be saved.
    /// - [`Error::Checkpoint`] if a checkpoint cannot be read or written, or all are damaged.
    /// - [`Error::OtherTraining`] if the newest is of another method, network, number of examples, batch size or seed. Nothing was changed.
    pub fn resume<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
    ) -> Result<(super::History, Resumed), Error> {
        let Some(store) = &self.store else {
            return Err(Error::Unsupported {
                what: "a folder of checkpoints",
                by: "this trainer",
            });
        };
        let found = (store.latest)().map_err(|reason| Error::Checkpoint { reason })?;
        let Some(found) = found else {
            let history = self.fit(network, examples)?;
            return Ok((history, Resumed::default()));
        };
        let Saved {
            settings,
            mut progress,
            solver,
        } = found.value;
        self.settings(network.parameters(), examples.len())
            .expect_equal(&settings)?;
        match &mut self.method {
            Method::Steps(optimizer) => {
                optimizer.reset();
                if progress.optimizer.steps > 0 {
                    optimizer.restore(&progress.optimizer)?;
                }
            }
            Method::FullBatch(method) => method.load(solver.as_ref())?,
        }
        let resumed = Resumed {
            epoch: progress.epoch,
            skipped: found.skipped,
        };
        self.run(network, examples, &mut progress)?;
        Ok((progress.into_history(), resumed))
    }

    pub(super) fn settings(&self, parameters: usize, examples: usize) -> Settings {
        let size = self.batch_size.unwrap_or(examples);
        Settings {
            method: match &self.method {
                Method::Steps(optimizer) => optimizer.name().to_owned(),
                Method::FullBatch(solver) => solver.name().to_owned(),
            },
            parameters,
            examples,
            batch_size: size,
            seed: (self.shuffle && size < examples).then_some(self.seed),
        }
    }

    /// Writes a checkpoint if it is time for one.
    pub(super) fn save(
        &self,
        progress: &mut Progress<T>,
        settings: &Settings,
    ) -> Result<(), Error> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        if progress.history.stop.is_none() && !progress.epoch.is_multiple_of(store.every.max(1)) {
            return Ok(());
        }
        let solver = match &self.method {
            Method::Steps(optimizer) => {
                progress.optimizer = optimizer.state();
                None
            }
            Method::FullBatch(solver) => solver.save()?,
        };
        let saved = Saved {
            settings: settings.clone(),
            progress: progress.clone(),
            solver,
        };
        (store.write)(&saved).map_err(|reason| Error::Checkpoint { reason })
    }
}

impl Settings {
    fn expect_equal(&self, found: &Self) -> Result<(), Error> {
        let seed = |settings: &Self| match settings.seed {
            Some(seed) => seed.to_string(),
            None => "none".to_owned(),
        };
        let pairs = [
            ("the method", self.method.clone(), found.method.clone()),
            (
                "the number of parameters",
                self.parameters.to_string(),
                found.parameters.to_string(),
            ),
            (
                "the number of examples",
                self.examples.to_string(),
                found.examples.to_string(),
            ),
            (
                "the batch size",
                self.batch_size.to_string(),
                found.batch_size.to_string(),
            ),
            ("the seed", seed(self), seed(found)),
        ];
        match pairs
            .into_iter()
            .find(|(_, expected, found)| expected != found)
        {
            None => Ok(()),
            Some((what, expected, found)) => Err(Error::OtherTraining {
                what,
                expected,
                found,
            }),
        }
    }
}
