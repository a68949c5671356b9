//! Why something is not saved or not loaded.

use super::Skipped;
use std::io;
use std::path::PathBuf;

/// Why something was not saved.
///
/// # Example
/// ```
/// use backprop::saving::to_bytes;
///
/// let error = to_bytes("rate", &f64::INFINITY).unwrap_err();
/// assert_eq!(error.to_string(), "the value is inf, which JSON cannot hold");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A file or a folder that cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file to be written, or its folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A NaN or an infinity.
    #[error("{} is {value}, which JSON cannot hold", if place.is_empty() { "the value" } else { place })]
    NotFinite {
        /// Where, by fields and indices counted from 0: `theta[3]`. An entry of a map is named by its index. Empty if it is all there is.
        place: String,
        /// The value.
        value: f64,
    },
    /// Something that cannot be written as JSON, as a map whose keys are no strings.
    #[error("{message}")]
    Content {
        /// The reason, as the type or `serde_json` gives it.
        message: String,
    },
    /// There is not enough memory for the content.
    #[error("there is no memory for the content, of {bytes} bytes or more")]
    TooLarge {
        /// A lower bound on the bytes needed.
        bytes: usize,
    },
    /// A kind that is too long for a header.
    #[error("the kind has {found} bytes, expected at most {limit}")]
    Kind {
        /// The most that a kind may have.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// A checkpoint of a step that its folder is beyond: see [`Checkpoints::write`](super::Checkpoints::write).
    #[error("checkpoint {found} would be older than checkpoint {newest}, which its folder has")]
    Step {
        /// The step to be written.
        found: u64,
        /// The newest step that is whole.
        newest: u64,
    },
}

/// Why nothing was loaded.
///
/// # Example
/// ```
/// use backprop::saving::{LoadError, Refusal, load, save};
///
/// let path = std::env::temp_dir().join(format!("rate-{}.backprop", std::process::id()));
/// save(&path, "rate", &0.5)?;
/// match load::<f64>(&path, "network") {
///     Err(LoadError::Refused { reason: Refusal::Kind { found, .. }, .. }) => assert_eq!(found, "rate"),
///     other => panic!("{other:?}"),
/// }
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or a folder that cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said; out of memory if the file is larger than that.
        source: io::Error,
    },
    /// A file that is not what was asked for.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Refusal,
    },
    /// A folder of checkpoints all of which are damaged. (A folder without any is no error.)
    #[error("{}: no checkpoint is whole{}", folder.display(), newest(skipped))]
    NoneWhole {
        /// The folder.
        folder: PathBuf,
        /// All of them, the newest first.
        skipped: Vec<Skipped>,
    },
}

/// What is wrong with a file, or with its bytes.
///
/// # Example
/// ```
/// use backprop::saving::{Refusal, from_bytes};
///
/// let refused = from_bytes::<f64>(b"PK\x03\x04", "rate");
/// assert_eq!(refused, Err(Refusal::NotOurs));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A file of another format.
    #[error("not a file of this crate: its first line is no header")]
    NotOurs,
    /// A file of a later version of the format.
    #[error(
        "the file has version {found}, and this crate reads up to {supported}: a later one wrote it"
    )]
    Newer {
        /// The version of the file.
        found: u64,
        /// The latest version that can be read.
        supported: u64,
    },
    /// A file that holds something else.
    #[error("the file holds {found:?}, expected {expected:?}")]
    Kind {
        /// The kind that was asked for.
        expected: String,
        /// The kind of the file.
        found: String,
    },
    /// A file that ends before its header does, or is empty.
    #[error("the file ends after {found} bytes, within its header")]
    TruncatedHeader {
        /// Bytes found.
        found: u64,
    },
    /// A file that ends before its content does.
    #[error("the content is cut: expected {expected} bytes, found {found}")]
    Truncated {
        /// Bytes of content by the header.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A file with something after its content.
    #[error("something follows the content: expected {expected} bytes, found {found}")]
    TrailingBytes {
        /// Bytes of content by the header.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A file whose content is not what was written.
    #[error("the content has changed: expected the checksum {expected:08x}, found {found:08x}")]
    Corrupt {
        /// The checksum by the header.
        expected: u32,
        /// The checksum of the content.
        found: u32,
    },
    /// Content that is whole, but not a value of the type that was asked for.
    #[error("the content is not what was asked for: {message}")]
    Content {
        /// The reason as the type gives it, with the place in the content as `serde_json` counts.
        message: String,
    },
}

impl Refusal {
    /// Whether the file was cut or changed after it was written, so that an older one may serve. Otherwise it is whole, and somebody's choice.
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

/// What is wrong with the first of them.
fn newest(skipped: &[Skipped]) -> String {
    let first = skipped.first().map(|Skipped { path, reason }| {
        let count = skipped.len();
        format!(" (of {count}; the newest, {}: {reason})", path.display())
    });
    first.unwrap_or_default()
}
