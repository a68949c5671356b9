//! Errors of saving and loading.

use super::Skipped;
use crate::error::debug_with_message;
use std::io;
use std::path::PathBuf;

/// An error returned when a value cannot be saved.
///
/// # Example
/// ```
/// use backprop::saving::to_bytes;
///
/// let error = to_bytes("rate", &f64::INFINITY).unwrap_err();
/// assert_eq!(error.to_string(), "the value is inf, which JSON cannot hold");
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A file or a folder cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file to be written, or its folder.
        path: PathBuf,
        /// The underlying I/O error.
        source: io::Error,
    },
    /// The value contains a NaN or an infinity.
    #[error(
        "{} is {value}, which JSON cannot hold",
        if place.is_empty() { "the value" } else { place }
    )]
    NotFinite {
        /// The place in the value, as fields and indices from 0, such as `theta[3]`. The place of
        /// an entry of a map is its index. The place is empty if the value is a single number.
        place: String,
        /// The value.
        value: f64,
    },
    /// The value cannot be written as JSON, for example a map whose keys are not strings.
    #[error("{message}")]
    Content {
        /// The reason given by the type or by `serde_json`.
        message: String,
    },
    /// There is not enough memory for the content.
    #[error("there is not enough memory for the content, which has at least {bytes} bytes")]
    TooLarge {
        /// A lower bound on the bytes needed.
        bytes: usize,
    },
    /// The kind is too long for a header.
    #[error("the kind has {found} bytes, expected at most {limit}")]
    Kind {
        /// The largest number of bytes that a kind may have.
        limit: usize,
        /// The number of bytes in this kind.
        found: usize,
    },
    /// The folder has a checkpoint of a later step: see
    /// [`Checkpoints::write`](super::Checkpoints::write).
    #[error("step {found} is older than checkpoint {newest}, the newest in its folder")]
    Step {
        /// The step to be written.
        found: u64,
        /// The newest step with an intact checkpoint.
        newest: u64,
    },
}

debug_with_message! {
    SaveError {
        Io { path, source }
        NotFinite { place, value }
        Content { message }
        TooLarge { bytes }
        Kind { limit, found }
        Step { found, newest }
    }
}

/// An error returned when a value cannot be loaded.
///
/// # Example
/// ```
/// use backprop::saving::{LoadError, Refusal, load, save};
///
/// let path = std::env::temp_dir().join(format!("rate-{}.backprop", std::process::id()));
/// save(&path, "rate", &0.5)?;
/// match load::<f64>(&path, "network") {
///     Err(LoadError::Refused { reason: Refusal::Kind { found, .. }, .. }) => {
///         assert_eq!(found, "rate");
///     }
///     other => panic!("{other:?}"),
/// }
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or a folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The underlying I/O error. Its kind is `OutOfMemory` if the file does not fit into
        /// memory.
        source: io::Error,
    },
    /// The file is damaged, or does not hold the requested value.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why it cannot be loaded.
        reason: Refusal,
    },
    /// All checkpoints in a folder are damaged. A folder without checkpoints is not an error.
    #[error("{}: no checkpoint can be read{}", folder.display(), newest(skipped))]
    NoneWhole {
        /// The folder.
        folder: PathBuf,
        /// The damaged checkpoints, newest first.
        skipped: Vec<Skipped>,
    },
}

debug_with_message! {
    LoadError {
        Io { path, source }
        Refused { path, reason }
        NoneWhole { folder, skipped }
    }
}

/// Why a file, or its bytes, cannot be loaded.
///
/// # Example
/// ```
/// use backprop::saving::{Refusal, from_bytes};
///
/// let refused = from_bytes::<f64>(b"PK\x03\x04", "rate");
/// assert_eq!(refused, Err(Refusal::NotOurs));
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file is not in this crate's format.
    #[error("the file was not written by this crate: its first line is not a header")]
    NotOurs,
    /// A later version of this crate wrote the file.
    #[error(
        "the file has version {found}, expected at most {supported}: a later version of this crate \
         wrote it"
    )]
    Newer {
        /// The version of the file.
        found: u64,
        /// The latest version that can be read.
        supported: u64,
    },
    /// The file holds another kind of value.
    #[error("the file holds {found:?}, expected {expected:?}")]
    Kind {
        /// The requested kind.
        expected: String,
        /// The kind of the file.
        found: String,
    },
    /// The file ends within its header, or is empty.
    #[error("the file ends after {found} bytes, within its header")]
    TruncatedHeader {
        /// The length of the file in bytes.
        found: u64,
    },
    /// The file ends within its content.
    #[error("the content is cut short: expected {expected} bytes, found {found}")]
    Truncated {
        /// The length of the content in bytes, according to the header.
        expected: u64,
        /// The number of bytes found after the header.
        found: u64,
    },
    /// The file has bytes after its content.
    #[error("the file has extra bytes after its content: expected {expected} bytes, found {found}")]
    TrailingBytes {
        /// The length of the content in bytes, according to the header.
        expected: u64,
        /// The number of bytes found after the header.
        found: u64,
    },
    /// The content was changed after it was written.
    #[error("the content is damaged: expected the checksum {expected:08x}, found {found:08x}")]
    Corrupt {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the content.
        found: u32,
    },
    /// The content is intact, but is not a value of the requested type.
    #[error("the content is not of the requested type: {message}")]
    Content {
        /// The reason given by the type, with the line and the column in the content.
        message: String,
    },
}

debug_with_message! {
    Refusal {
        NotOurs {}
        Newer { found, supported }
        Kind { expected, found }
        TruncatedHeader { found }
        Truncated { expected, found }
        TrailingBytes { expected, found }
        Corrupt { expected, found }
        Content { message }
    }
}

impl Refusal {
    /// Returns whether the file was truncated or changed after it was written. If so, an older
    /// checkpoint can be used instead. A file refused for any other reason is unchanged.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::NotOurs
            | Self::TruncatedHeader { .. }
            | Self::Truncated { .. }
            | Self::TrailingBytes { .. }
            | Self::Corrupt { .. } => true,
            Self::Newer { .. } | Self::Kind { .. } | Self::Content { .. } => false,
        }
    }
}

/// Describes the first damaged checkpoint, which is the newest.
fn newest(skipped: &[Skipped]) -> String {
    let first = skipped.first().map(|Skipped { path, reason }| {
        let count = skipped.len();
        let path = path.display();
        format!(" ({count} damaged); the newest is {path}: {reason}")
    });
    first.unwrap_or_default()
}
