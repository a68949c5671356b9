//! The contents of a checkpoint, where they are kept, and the point from which a run resumed.

use super::run_state::RunState;
use crate::distributed::Ranks;
use crate::error::{Error, checkpoint, ranges::in_range};
use crate::saved_numbers::scalar_name;
use crate::saving::{self, Checkpoints, Found, Refusal, SaveError, Skipped};
use crate::scalar::Scalar;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// The point from which a run resumed.
///
/// # Example
/// See [`Trainer::checkpoints`](super::Trainer::checkpoints).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Resumed {
    /// The number of epochs completed before this call; 0 if there was no checkpoint.
    pub epoch: u64,
    /// Newer checkpoints that were skipped because they are damaged. Show them as a warning.
    pub skipped: Vec<Skipped>,
}

/// The contents of a checkpoint that was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved<T> {
    pub(super) settings: Settings,
    pub(super) progress: RunState<T>,
    /// The memory of a full-batch solver.
    pub(super) solver: Option<serde_json::Value>,
}

/// The contents of a checkpoint, to be written.
#[derive(Debug, Serialize)]
pub(super) struct Saving<'a, T> {
    pub(super) settings: &'a Settings,
    pub(super) progress: &'a RunState<T>,
    pub(super) solver: Option<serde_json::Value>,
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

/// The settings that a checkpoint must agree with, in the order of [`Settings`].
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
    "the monitored value",
];

/// The settings that determine whether a resumed run gives the same bits, as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings(pub(super) [String; COMPARED.len()]);

/// The folder in which a run is saved, and the interval between checkpoints. Only the constructor
/// requires T to be serialisable.
pub(super) struct Store<T> {
    every: u64,
    checkpoints: Checkpoints,
    write: fn(&Checkpoints, &Saving<'_, T>) -> Result<(), SaveError>,
    latest: fn(&Checkpoints) -> Latest<T>,
    encode: fn(&Saved<T>) -> Result<Vec<u8>, SaveError>,
    decode: fn(&[u8]) -> Result<Saved<T>, Refusal>,
}

/// The kind of the bytes of a checkpoint that rank 0 sends to the others.
const SENT: &str = "the state of a training run";

impl<T: Serialize + DeserializeOwned> Store<T> {
    pub(super) fn new(checkpoints: Checkpoints, every: u64) -> Self {
        Self {
            every,
            checkpoints,
            write,
            latest,
            encode: |saved| saving::to_bytes(SENT, saved),
            decode: |bytes| saving::from_bytes(bytes, SENT),
        }
    }
}

impl<T> Store<T> {
    /// Returns the newest intact checkpoint, or `None` if the folder has no checkpoints.
    pub(super) fn latest(&self) -> Latest<T> {
        (self.latest)(&self.checkpoints)
    }

    /// Returns the checkpoint to resume from, if any. A run that starts anew refuses a folder that
    /// has checkpoints.
    pub(super) fn found(&self, resumes: bool) -> Latest<T> {
        match self.latest()? {
            Some(found) if !resumes => Err(checkpoint(format!(
                "the folder already has a training run up to epoch {}: call `resume`, or choose \
                 another folder",
                found.step
            ))),
            found => Ok(found),
        }
    }

    /// Sends what rank 0 found to all ranks.
    pub(super) fn share(
        &self,
        found: Result<Option<Found<Saved<T>>>, Error>,
        ranks: &mut Ranks<'_, T>,
    ) -> Result<Option<Saved<T>>, Error>
    where
        T: Scalar,
    {
        let bytes = found.and_then(|found| match found {
            None => Ok(Vec::new()),
            Some(found) => (self.encode)(&found.value).map_err(checkpoint),
        });
        let bytes = ranks.broadcast(bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        (self.decode)(&bytes).map(Some).map_err(checkpoint)
    }

    /// Checks that checkpoints can be written, and leaves nothing in the folder.
    pub(super) fn check(&self) -> Result<(), Error> {
        let name = "the number of epochs between two checkpoints";
        in_range(self.every > 0, name, 0.0, "at least 1")?;
        self.checkpoints.try_out().map_err(checkpoint)
    }

    /// Returns whether a checkpoint is due.
    pub(super) fn is_due(&self, progress: &RunState<T>) -> bool {
        progress.history.stop.is_some() || progress.epoch.is_multiple_of(self.every)
    }

    pub(super) fn write(&self, saving: &Saving<'_, T>) -> Result<(), Error> {
        (self.write)(&self.checkpoints, saving).map_err(checkpoint)
    }
}

type Latest<T> = Result<Option<Found<Saved<T>>>, Error>;

fn write<T: Serialize>(checkpoints: &Checkpoints, saving: &Saving<'_, T>) -> Result<(), SaveError> {
    let epoch = saving.progress.epoch;
    checkpoints.write(epoch, saving).map(drop)
}

/// Reads the newest checkpoint. If its scalar type is not T, the error names both types, although
/// its numbers cannot be read as T.
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
            _ => checkpoint(error),
        }
    })
}

impl Settings {
    /// Refuses the settings of another run.
    pub(super) fn expect_equal(&self, found: &Self) -> Result<(), Error> {
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
