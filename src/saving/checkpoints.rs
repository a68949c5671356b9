//! A folder that holds the last few states of a training.

use super::atomic::{self, Leftover};
use super::{LoadError, Refusal, SaveError, encode, load};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const KIND: &str = "checkpoint";
/// How the names of temporary files begin.
const TEMPORARY: &str = ".checkpoint-";

/// The last few states of a training, in a folder: a run that was killed goes on from the newest
/// that is whole.
///
/// Each is a file of [`save`](super::save), named by its step:
/// `checkpoint-00000000000000000042.backprop`. Everything else in the folder is ignored, including
/// folders, FIFOs and devices with such a name. One run at a time may write to a folder; any number
/// may read it meanwhile.
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

/// The newest checkpoint that is whole.
///
/// # Example
/// See [`Checkpoints`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found<D> {
    /// Its step.
    pub step: u64,
    /// What it holds.
    pub value: D,
    /// Its file.
    pub path: PathBuf,
    /// Newer ones that are damaged, the newest first.
    pub skipped: Vec<Skipped>,
}

/// A checkpoint that is damaged.
///
/// # Example
/// See [`Checkpoints::latest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Refusal,
}

/// What is in a folder: checkpoints by step, and temporary files.
#[derive(Default)]
struct Listing {
    checkpoints: Vec<(u64, PathBuf)>,
    leftovers: Vec<Leftover>,
}

impl Checkpoints {
    /// Those in this folder, which need not exist. The last three are kept.
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

    /// How many are kept, one at least: the one just written always is.
    ///
    /// # Example
    /// See [`Checkpoints`].
    #[must_use]
    pub fn keep(self, count: usize) -> Self {
        let keep = count.max(1);
        Self { keep, ..self }
    }

    /// Writes the checkpoint of a step and gives its path, then removes the oldest beyond those to
    /// keep.
    ///
    /// Nothing is removed before the new file is on the disk. A step may be written again; it may
    /// not be older than one that is whole, because then
    /// [`latest`](Self::latest) would find that one, of a run that was given up: begin such a run in a folder of its own. Damaged files of later steps
    /// are removed, and so are temporary files of killed runs, under the rules of
    /// [`save`](super::save). Anything that cannot be removed is left for the next call. The folder
    /// is created if needed.
    ///
    /// # Errors
    /// Those of [`save`](super::save), and [`SaveError::Step`] if the folder has a whole one of a
    /// later step. No checkpoint was removed.
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
            if is_whole(path)? {
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
            // The next call tries again.
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

    /// The newest checkpoint that is whole, or `None` if there is none at all.
    ///
    /// What was cut or changed is skipped, and said to be. What is whole but not for this program
    /// is an error, because to go on from an older one would lose the work silently: a file of a
    /// later version of the format, of another kind, or with another type in it. This call changes
    /// nothing.
    ///
    /// # Errors
    /// - [`LoadError::NoneWhole`] if there are checkpoints and all are damaged.
    /// - [`LoadError::Refused`] if the newest that is not damaged cannot be used.
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
        // A run that writes meanwhile may remove all files that were listed; then there are newer
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

    /// [`latest`](Self::latest), or that a file has vanished, if no older one is left.
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

    /// What is in the folder, the oldest checkpoint first.
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
                // A link to something else is ignored as that is; one that leads nowhere is not.
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

/// The step in a file's name, if it is one of [`name`].
fn step_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix("checkpoint-")?;
    let step = digits.strip_suffix(".backprop")?.parse().ok()?;
    (name(step) == file_name).then_some(step)
}

/// Whether a file is a checkpoint without damage, readable by this program or not.
fn is_whole(path: &Path) -> Result<bool, SaveError> {
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
