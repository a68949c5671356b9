//! Checkpoints of a training, and how it goes on from one.

use super::full_batch::Reached;
use super::method::Method;
use super::optimizer::OptimizerState;
use super::progress::Progress;
use super::trainer::Trainer;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::metrics::Metric;
use crate::network::Network;
use crate::saved_numbers::scalar_name;
use crate::saving::{Checkpoints, Found, SaveError, Skipped};
use crate::scalar::Scalar;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// The contents of a checkpoint, as read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved<T> {
    pub(super) settings: Settings,
    pub(super) progress: Progress<T>,
    /// What a full-batch solver remembers.
    pub(super) solver: Option<serde_json::Value>,
}

/// The contents of a checkpoint, to be written.
#[derive(Debug, Serialize)]
pub(super) struct Saving<'a, T> {
    settings: &'a Settings,
    progress: &'a Progress<T>,
    solver: Option<serde_json::Value>,
}

/// The settings in a checkpoint whose numbers cannot be read.
#[derive(Debug, Deserialize)]
struct Head {
    settings: Settings,
    #[serde(rename = "progress")]
    _progress: IgnoredAny,
    #[serde(rename = "solver")]
    _solver: IgnoredAny,
}

/// What is compared before a training goes on, in the order of [`Settings`].
const COMPARED: [&str; 12] = [
    "the scalar type",
    "the method",
    "the network",
    "the penalty",
    "the number of examples",
    "the batch size",
    "the seed",
    "the validation fraction",
    "the presence of validation examples",
    "the schedule",
    "the list of metrics",
    "what is monitored",
];

/// The settings without which a training would not go on with the bits that it would have had, as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings([String; COMPARED.len()]);

/// Where a training is saved, and how often. What T has to do for it was known where this was made.
pub(super) struct Store<T> {
    every: u64,
    checkpoints: Checkpoints,
    write: fn(&Checkpoints, &Saving<'_, T>) -> Result<(), SaveError>,
    latest: fn(&Checkpoints) -> Latest<T>,
}

type Latest<T> = Result<Option<Found<Saved<T>>>, Error>;

fn write<T: Serialize>(checkpoints: &Checkpoints, saving: &Saving<'_, T>) -> Result<(), SaveError> {
    let epoch = saving.progress.epoch;
    checkpoints.write(epoch, saving).map(drop)
}

/// Reads the newest checkpoint. If its scalar is not T, the error says so, even though its numbers
/// cannot be read as T.
fn latest<T: DeserializeOwned>(checkpoints: &Checkpoints) -> Latest<T> {
    checkpoints.latest().map_err(|error| {
        let expected = scalar_name::<T>();
        match checkpoints.latest::<Head>() {
            Ok(Some(Found {
                value:
                    Head {
                        settings: Settings([found, ..]),
                        ..
                    },
                ..
            })) if found != expected => Error::OtherTraining {
                what: COMPARED[0],
                expected,
                found,
            },
            _ => unreadable(&error),
        }
    })
}

fn unreadable(error: &impl ToString) -> Error {
    Error::Checkpoint {
        reason: error.to_string(),
    }
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
    /// Writes a checkpoint every so many epochs, at least 1, and when the training ends; [`resume`](Self::resume) goes on from the newest (feature `serde`).
    /// A folder that cannot be written to is refused before the first step.
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
    /// trainer(25).resume(&mut network, &examples)?; // begins, as there is none
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
        self.store = Some(Store {
            every,
            checkpoints,
            write,
            latest,
        });
        self
    }
}

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Goes on from the newest checkpoint, or begins if there is none; and says from where (feature `serde`). One program for the first and every later
    /// start calls this alone.
    ///
    /// The network's own parameters count only if there is no checkpoint. A training that had ended goes on if it may now: if it has more epochs, steps or
    /// patience. One that a callback ended, or a solver that had converged, goes on as well.
    ///
    /// Compared with the checkpoint are T, the name of the method (of a full-batch solver its settings too), the network's layers, the penalty, the number of
    /// examples, batch size, seed, validation fraction, whether there are validation examples, schedule, metrics and which is monitored. Everything else (the rate and other settings of the method, the cost, clipping, patience, the data themselves) is taken from this trainer,
    /// and the bits are those of an unbroken run only if it is the same.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit), and
    /// - [`Error::Unsupported`] without [`checkpoints`](Self::checkpoints), or if the method cannot be saved.
    /// - [`Error::Checkpoint`] if a checkpoint cannot be read or written, if all are damaged, or if
    ///   its state cannot come from a training with these settings. The whole state is checked
    ///   before any of it is used.
    /// - [`Error::OtherTraining`] if what is compared differs. Nothing was changed.
    ///
    /// An error in the first epoch that this call computes leaves the network unchanged.
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
        let Some(found) = (store.latest)(&store.checkpoints)? else {
            let history = self.begin(network, examples)?;
            return Ok((history, Resumed::default()));
        };
        let saved = found.value;
        let settings = self.settings(network, examples.len());
        settings.expect_equal(&saved.settings)?;
        let resumed = Resumed {
            epoch: saved.progress.epoch,
            skipped: found.skipped,
        };
        let history = self.run(network, examples, Some(saved))?;
        Ok((history, resumed))
    }

    /// Restores the state of a checkpoint after checking that all of it can belong to this
    /// training.
    pub(super) fn take_over(
        &mut self,
        parameters: usize,
        validates: bool,
        saved: Saved<T>,
    ) -> Result<Progress<T>, Error> {
        self.check_saved(parameters, validates, &saved)?;
        let Saved {
            mut progress,
            solver,
            ..
        } = saved;
        match &mut self.method {
            Method::Steps(optimizer) => optimizer.restore(&progress.optimizer)?,
            Method::FullBatch(method) => {
                let last = progress.history.records.last();
                let at = Reached {
                    epochs: progress.epoch,
                    theta: &progress.theta,
                    cost: last.map_or(f64::NAN, |record| record.cost),
                };
                method.load(solver.as_ref(), at)?;
            }
        }
        progress.optimizer = OptimizerState::new(0, Vec::new());
        Ok(progress)
    }

    /// Whether checkpoints, if there are to be any, can be written: refused now, not when an epoch is done.
    pub(super) fn check_store(&self) -> Result<(), Error> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        if store.every == 0 {
            return Err(Error::Hyperparameter {
                name: "the epochs between two checkpoints",
                value: 0.0,
                expected: "at least 1",
            });
        }
        if let Method::FullBatch(solver) = &self.method {
            solver.save()?;
        }
        Ok(())
    }

    /// Whether the folder of checkpoints, if there is one, is free for a training that begins.
    pub(super) fn check_folder(&self) -> Result<(), Error> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        match (store.latest)(&store.checkpoints)? {
            None => Ok(()),
            Some(found) => Err(Error::Checkpoint {
                reason: format!(
                    "the folder has a training up to epoch {}: call `resume`, or take another folder",
                    found.step
                ),
            }),
        }
    }

    /// Checks that the folder of checkpoints, if any, accepts files, and leaves nothing in it.
    pub(super) fn try_folder(&self) -> Result<(), Error> {
        let tried = self.store.as_ref().map(|store| store.checkpoints.try_out());
        tried.unwrap_or(Ok(())).map_err(|error| unreadable(&error))
    }

    pub(super) fn settings<L: Layer<T>>(
        &self,
        network: &Network<T, L>,
        examples: usize,
    ) -> Settings {
        let layers = network.layers().iter();
        let layers = layers.map(|layer| format!(" → {} {}", layer.name(), layer.outputs()));
        let metrics: Vec<_> = self.metrics.iter().map(Metric::name).collect();
        Settings([
            scalar_name::<T>(),
            match &self.method {
                Method::Steps(optimizer) => optimizer.name().to_owned(),
                // What a solver has been told is part of what it remembers.
                Method::FullBatch(solver) => format!("{}: {solver:?}", solver.name()),
            },
            format!("{}{}", network.inputs(), layers.collect::<String>()),
            format!("{:?}", self.objective.penalty),
            examples.to_string(),
            match self.batch_size {
                Some(size) => size.to_string(),
                None => "all".to_owned(),
            },
            format!("{}, shuffle {}", self.seed, self.shuffle),
            match self.validation_fraction {
                Some(fraction) => fraction.to_string(),
                None => "none".to_owned(),
            },
            self.validation.is_some().to_string(),
            format!("{:?}", self.schedule),
            metrics.join(", "),
            match self.monitor {
                Some(metric) => format!("metric {metric}"),
                None => "the cost".to_owned(),
            },
        ])
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
        if progress.history.stop.is_none() && !progress.epoch.is_multiple_of(store.every) {
            return Ok(());
        }
        let solver = match &self.method {
            Method::Steps(optimizer) => {
                progress.optimizer = optimizer.state();
                None
            }
            Method::FullBatch(solver) => solver.save()?,
        };
        let saving = Saving {
            settings,
            progress,
            solver,
        };
        (store.write)(&store.checkpoints, &saving).map_err(|error| unreadable(&error))
    }
}

impl Settings {
    fn expect_equal(&self, found: &Self) -> Result<(), Error> {
        let mut pairs = self.0.iter().zip(&found.0).zip(COMPARED);
        match pairs.find(|((expected, found), _)| expected != found) {
            None => Ok(()),
            Some(((expected, found), what)) => Err(Error::OtherTraining {
                what,
                expected: expected.clone(),
                found: found.clone(),
            }),
        }
    }
}
