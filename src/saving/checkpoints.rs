//! A folder of checkpoints of a training run.

use super::{LoadError, Refusal, SaveError, encode, load};
use crate::atomic::{self, Leftover};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const KIND: &str = "checkpoint";
/// The prefix of the names of temporary files.
const TEMPORARY: &str = ".checkpoint-";

/// A folder that keeps the latest states of a training run. A run that was killed resumes from the
/// newest intact one.
///
/// Each checkpoint is a file as written by [`save`](super::save). It is named after its step, such
/// as `checkpoint-00000000000000000042.backprop`. Everything else in the folder is ignored,
/// including subfolders, FIFOs and devices with such a name. Only one run at a time may write to a
/// folder. Any number of runs may read it at the same time.
///
/// # Example
/// ```
/// use backprop::saving::Checkpoints;
///
/// let folder = std::env::temp_dir().join(format!("run-{}", std::process::id()));
/// let checkpoints = Checkpoints::new(&folder).keep(2);
/// assert!(checkpoints.latest::<f64>()?.is_none());
/// for step in 1..=5 {
///     checkpoints.write(step, &(0.5 * step as f64))?;
/// }
/// let found = checkpoints.latest::<f64>()?.unwrap();
/// assert_eq!((found.step, found.value), (5, 2.5));
/// assert_eq!(std::fs::read_dir(&folder)?.count(), 2);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "ModelCheckpoint")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// The newest intact checkpoint.
///
/// # Example
/// See [`Checkpoints`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found<D> {
    /// The step.
    pub step: u64,
    /// The saved value.
    pub value: D,
    /// The path of the file.
    pub path: PathBuf,
    /// The newer checkpoints, which are damaged, newest first.
    pub skipped: Vec<Skipped>,
}

/// A damaged checkpoint.
///
/// # Example
/// See [`Checkpoints::latest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The path of the file.
    pub path: PathBuf,
    /// Why it cannot be loaded.
    pub reason: Refusal,
}

/// The contents of a folder: checkpoints by step, and temporary files.
#[derive(Default)]
struct Listing {
    checkpoints: Vec<(u64, PathBuf)>,
    leftovers: Vec<Leftover>,
}

impl Checkpoints {
    /// Creates a store of checkpoints in `folder`, which need not exist. It keeps the last three.
    ///
    /// # Example
    /// ```
    /// use backprop::saving::Checkpoints;
    ///
    /// let checkpoints = Checkpoints::new("runs/7");
    /// assert_eq!(checkpoints, Checkpoints::new("runs/7").keep(3));
    /// ```
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder: PathBuf = folder.into();
        let here = folder.as_os_str().is_empty();
        Self {
            folder: if here { PathBuf::from(".") } else { folder },
            keep: 3,
        }
    }

    /// Keeps the last `count` checkpoints, and always the one just written.
    ///
    /// # Example
    /// See [`Checkpoints`].
    #[must_use]
    pub fn keep(self, count: usize) -> Self {
        let keep = count.max(1);
        Self { keep, ..self }
    }

    /// Writes the checkpoint of a step, removes the oldest checkpoints beyond the number to keep,
    /// and returns the path of the new file.
    ///
    /// The folder is created if it does not exist. Nothing is removed before the new file is on
    /// disk. A step may be written again. A step before that of an intact checkpoint is refused,
    /// because [`latest`](Self::latest) would return that checkpoint instead. To restart from an
    /// earlier step, use a new folder. Damaged files of later steps are removed, and so are
    /// temporary files of killed runs, under the same rules as in [`save`](super::save). A file
    /// that cannot be removed is left for the next call.
    ///
    /// # Errors
    /// Returns the errors of [`save`](super::save), and [`SaveError::Step`] if the folder has an
    /// intact checkpoint of a later step. On an error, no checkpoint is removed.
    ///
    /// # Example
    /// ```
    /// use backprop::saving::{Checkpoints, SaveError};
    ///
    /// let folder = std::env::temp_dir().join(format!("steps-{}", std::process::id()));
    /// let checkpoints = Checkpoints::new(&folder);
    /// let path = checkpoints.write(42, "forty-two")?;
    /// assert_eq!(path, folder.join("checkpoint-00000000000000000042.backprop"));
    /// let refused = checkpoints.write(41, "forty-one");
    /// assert!(matches!(refused, Err(SaveError::Step { found: 41, newest: 42 })));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write<S: Serialize + ?Sized>(&self, step: u64, value: &S) -> Result<PathBuf, SaveError> {
        let (line, content) = encode(KIND, value)?;
        let io = |source| SaveError::Io {
            path: self.folder.clone(),
            source,
        };
        atomic::create_folder(&self.folder).map_err(io)?;
        let Listing {
            checkpoints,
            leftovers,
        } = self.list().map_err(io)?;
        let (later, earlier): (Vec<_>, Vec<_>) = checkpoints
            .into_iter()
            .filter(|&(other, _)| other != step)
            .partition(|&(other, _)| other > step);
        for &(newest, ref path) in later.iter().rev() {
            if is_intact(path)? {
                let found = step;
                return Err(SaveError::Step { found, newest });
            }
        }

        let path = self.folder.join(name(step));
        let written = atomic::replace(&path, TEMPORARY, &[line.as_bytes(), &content]);
        written.map_err(|source| SaveError::Io {
            path: path.clone(),
            source,
        })?;
        let beyond = earlier.len().saturating_sub(self.keep - 1);
        for (_, path) in earlier.into_iter().take(beyond).chain(later) {
            // If this fails, the next call tries again.
            _ = fs::remove_file(path);
        }
        leftovers.iter().for_each(Leftover::remove);
        Ok(path)
    }

    /// Checks that the folder accepts checkpoints, and leaves nothing in it. Creates it if needed.
    pub(crate) fn try_out(&self) -> Result<(), SaveError> {
        let tried = atomic::try_folder(&self.folder, TEMPORARY);
        tried.map_err(|source| SaveError::Io {
            path: self.folder.clone(),
            source,
        })
    }

    /// Returns the newest intact checkpoint, or `None` if the folder has no checkpoints.
    ///
    /// Damaged checkpoints are skipped and listed in [`Found::skipped`]. An intact checkpoint that
    /// this program cannot use is an error: one of a later version of the format, of another kind,
    /// or with a value of another type. Resuming from an older one would silently lose work. This
    /// call changes nothing in the folder.
    ///
    /// # Errors
    /// - [`LoadError::NoneWhole`] if there are checkpoints and all are damaged.
    /// - [`LoadError::Refused`] if the newest intact checkpoint cannot be used.
    /// - [`LoadError::Io`] if the folder or a file cannot be read. A folder that does not exist has
    ///   no checkpoints.
    ///
    /// # Example
    /// ```
    /// use backprop::saving::{Checkpoints, Refusal};
    ///
    /// let folder = std::env::temp_dir().join(format!("latest-{}", std::process::id()));
    /// let checkpoints = Checkpoints::new(&folder);
    /// checkpoints.write(1, "first")?;
    /// let torn = checkpoints.write(2, "second")?;
    /// std::fs::write(&torn, "")?;
    /// let found = checkpoints.latest::<String>()?.unwrap();
    /// assert_eq!((found.step, found.value.as_str()), (1, "first"));
    /// assert_eq!(found.skipped[0].reason, Refusal::TruncatedHeader { found: 0 });
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest<D: DeserializeOwned>(&self) -> Result<Option<Found<D>>, LoadError> {
        // A run that is writing may remove all the listed files. In that case, there are newer
        // ones.
        let mut tries = 8;
        loop {
            tries -= 1;
            match self.newest() {
                Err(error) if tries > 0 && is_missing(&error) => {}
                found => return found,
            }
        }
    }

    /// Tries [`latest`](Self::latest) once. A file that vanishes after it was listed is an error
    /// unless an older one is intact.
    fn newest<D: DeserializeOwned>(&self) -> Result<Option<Found<D>>, LoadError> {
        let listing = self.list().map_err(|source| LoadError::Io {
            path: self.folder.clone(),
            source,
        })?;
        let (mut skipped, mut missing) = (Vec::new(), None);
        for (step, path) in listing.checkpoints.into_iter().rev() {
            match load(&path, KIND) {
                Ok(value) => {
                    return Ok(Some(Found {
                        step,
                        value,
                        path,
                        skipped,
                    }));
                }
                Err(LoadError::Refused { path, reason }) if reason.is_damage() => {
                    skipped.push(Skipped { path, reason });
                }
                Err(error) if is_missing(&error) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) => Err(error),
            None if skipped.is_empty() => Ok(None),
            None => Err(LoadError::NoneWhole {
                folder: self.folder.clone(),
                skipped,
            }),
        }
    }

    /// Lists the contents of the folder, the oldest checkpoint first.
    fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else {
                continue;
            };
            if let Some(step) = step_of(file_name) {
                let found = entry.file_type()?;
                // A link is ignored if its target would be ignored. A broken link is not ignored.
                let leads = || fs::metadata(entry.path()).map_or(true, |found| found.is_file());
                if found.is_file() || found.is_symlink() && leads() {
                    listing.checkpoints.push((step, entry.path()));
                }
            } else {
                listing.leftovers.extend(Leftover::of(&entry, TEMPORARY));
            }
        }
        listing.checkpoints.sort();
        Ok(listing)
    }
}

fn name(step: u64) -> String {
    format!("checkpoint-{step:020}.backprop")
}

/// Returns the step in a file name if [`name`] returns exactly that file name for the step.
fn step_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix("checkpoint-")?;
    let step = digits.strip_suffix(".backprop")?.parse().ok()?;
    (name(step) == file_name).then_some(step)
}

/// Returns whether a file is an intact checkpoint, even if this program cannot use it.
fn is_intact(path: &Path) -> Result<bool, SaveError> {
    match load::<IgnoredAny>(path, KIND) {
        Err(LoadError::Refused { reason, .. }) => Ok(!reason.is_damage()),
        Err(error) if is_missing(&error) => Ok(false),
        Err(LoadError::Io { path, source }) => Err(SaveError::Io { path, source }),
        _ => Ok(true),
    }
}

fn is_missing(error: &LoadError) -> bool {
    matches!(error, LoadError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
