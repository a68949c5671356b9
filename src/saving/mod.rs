//! Files that hold a network, the state of a training or anything else that serde knows, bit for
//! bit.
//!
//! [`save`] replaces a file as a whole or not at all. [`load`] returns the saved bits or says why
//! not. [`Checkpoints`] keeps the last few states of a long training run. The trainer writes and
//! reads them itself: see [`Trainer::checkpoints`](crate::training::Trainer::checkpoints) and
//! [`resume`](crate::training::Trainer::resume). This module needs the feature `serde`.
//!
//! # Example
//! ```
//! use backprop::data::{LabelEncoder, Standardizer};
//! use backprop::nalgebra::DMatrix;
//! use backprop::{Network, activation::Sigmoid, saving};
//!
//! let theta = [0.1 + 0.2, -0.0, 5e-324];
//! let network = Network::<f64>::builder(2).dense(1, Sigmoid).with_theta(&theta)?;
//! let path = std::env::temp_dir().join(format!("example-{}.backprop", std::process::id()));
//! saving::save(&path, "network", &network)?;
//! let loaded: Network<f64> = saving::load(&path, "network")?;
//! assert_eq!(loaded, network);
//!
//! // With what a network needs to be used; owned names of classes: `String`, not `&str`.
//! let scaler = Standardizer::fit(&DMatrix::<f64>::identity(2, 3))?;
//! let encoder = LabelEncoder::fit(&["no".to_owned(), "yes".to_owned()])?;
//! saving::save(&path, "model", &(&network, &scaler, &encoder))?;
//! type Model = (Network<f64>, Standardizer<f64>, LabelEncoder<String>);
//! assert_eq!(saving::load::<Model>(&path, "model")?, (network, scaler, encoder));
//! # std::fs::remove_file(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Format
//! A line of JSON, then JSON on one line, then the end of the file:
//! ```text
//! {"format":"backprop","version":2,"bytes":123,"crc32":"beefb541","kind":"network"}
//! {"scalar":"f64","inputs":2,"layers":[…],"theta":[0.30000000000000004,-0.0,5e-324]}
//! ```
//! `kind` is a word of the caller's, so that an optimiser's state is not taken for a network.
//! `bytes` and `crc32` (of zlib and gzip) are those of the content. The first line is written in
//! this form to the letter, and has 4096 bytes at most. A number is written with the fewest digits
//! that are read back as the same bits. JSON has no NaN and no infinity: they are refused.
//!
//! `scalar` names the type of the numbers. Networks, scalers and states of optimisers begin with
//! it, in plain serde as well. Loading them as another type is an error that names both;
//! [`Network::map`](crate::Network::map) converts a network.
//!
//! Files of version 1 are read too. Their content has no `scalar` and is read as the requested
//! type. In their first line `kind` comes before `bytes`. A version 1 checkpoint of L-BFGS or
//! conjugate gradients is refused with [`Error::Checkpoint`](crate::Error::Checkpoint) if its
//! solver state does not have today's fields.
//!
//! # What is checked
//! Every cut and every flipped bit is found, and what was not meant to be read is not: another
//! format, version or kind. The content is checked by its type: a [`Network`](crate::Network)
//! refuses sizes that do not fit and parameters that are not finite. Every type of this crate
//! refuses unknown fields. A network of boxed layers cannot be saved, as nothing could say which
//! types are to be read:
//! ```compile_fail,E0277
//! use backprop::{Builder, Dense, Layer, activation::Sigmoid, saving};
//!
//! let layer: Box<dyn Layer<f64>> = Box::new(Dense::new(1, 1, Sigmoid));
//! let network = Builder::<f64, _>::new(1).layer(layer).zeros().unwrap();
//! let refused = saving::to_bytes("network", &network);
//! ```

mod atomic;
mod checkpoints;
mod error;
mod finite;
mod header;

use header::{Header, LIMIT};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

pub use checkpoints::{Checkpoints, Found, Skipped};
pub use error::{LoadError, Refusal, SaveError};

/// How the names of temporary files begin.
const TEMPORARY: &str = ".backprop-";

/// What a kind may have at most, so that no header exceeds its limit however its bytes are escaped.
const LONGEST_KIND: usize = 256;

/// Writes `value` to a file, in place of the one that may be there.
///
/// The new file is written and brought to the disk under a temporary name in the same folder, then
/// renamed: whatever happens, even a power cut, the path has the old content or the new one, whole.
/// Other systems than Unix cannot be asked to bring the folder's entry to the disk as well: there a
/// power cut just after the call may bring the old content back. The file has the permissions of a
/// new one; a symbolic link is replaced, not followed.
///
/// A killed process leaves its temporary file, `.backprop-<word>-<process>-<count>.tmp`. The next
/// `save` to that folder removes it. It stays if its process may still be writing: the file is
/// locked, or on Linux a process with that id is running. Nothing is removed if the file system has
/// no locks.
///
/// # Errors
/// The old file is unchanged, and no temporary file is left.
/// - [`SaveError::NotFinite`] if there is a NaN or an infinity.
/// - [`SaveError::Content`] if `value` cannot be written as JSON.
/// - [`SaveError::Kind`] if `kind` is longer than 256 bytes.
/// - [`SaveError::TooLarge`] if there is no memory for the content.
/// - [`SaveError::Io`] if the file cannot be written, or if the path is a folder, a FIFO, a socket
///   or a device. If only the last step failed, which syncs the folder to the disk, the new content
///   is already in place.
///
/// # Example
/// ```
/// use backprop::saving::{SaveError, to_bytes};
///
/// // `save` refuses what `to_bytes` refuses.
/// let refused = to_bytes("costs", &vec![0.5, f64::NAN]);
/// assert!(matches!(refused, Err(SaveError::NotFinite { place, .. }) if place == "[1]"));
/// ```
#[doc(alias = "state_dict")]
pub fn save<S: Serialize + ?Sized>(
    path: impl AsRef<Path>,
    kind: &str,
    value: &S,
) -> Result<(), SaveError> {
    let (line, content) = encode(kind, value)?;
    let path = path.as_ref();
    let written = atomic::replace(path, TEMPORARY, &[line.as_bytes(), &content]);
    written.map_err(|source| SaveError::Io {
        path: path.to_owned(),
        source,
    })?;
    atomic::remove_leftovers(path, TEMPORARY);
    Ok(())
}

/// Reads what [`save`] wrote, of the kind that is expected.
///
/// A large file of another kind is refused by its first line, and nothing is allocated by what a
/// header claims.
///
/// # Errors
/// - [`LoadError::Io`] if the file cannot be read or is not a regular file. Links are followed.
/// - [`LoadError::Refused`] with the [`Refusal`] if the file differs from what was saved in any
///   bit, or does not hold what was asked for.
///
/// # Example
/// ```
/// use backprop::saving::{LoadError, load};
///
/// let missing = load::<Vec<f64>>("no/such/file.backprop", "costs");
/// assert!(matches!(missing, Err(LoadError::Io { .. })));
/// ```
#[doc(alias = "load_state_dict")]
pub fn load<D: DeserializeOwned>(path: impl AsRef<Path>, kind: &str) -> Result<D, LoadError> {
    let path = path.as_ref();
    let (header, content) = read(path, kind)?;
    header
        .decode(&content)
        .map_err(|reason| refused(path, reason))
}

/// The bytes of the file that [`save`] would write.
///
/// # Errors
/// Those of [`save`], but for [`SaveError::Io`].
///
/// # Example
/// ```
/// use backprop::saving::{from_bytes, to_bytes};
///
/// let bytes = to_bytes("costs", &[0.5, 0.25])?;
/// assert!(bytes.ends_with(b"\n[0.5,0.25]"));
/// assert_eq!(from_bytes::<[f64; 2]>(&bytes, "costs")?, [0.5, 0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_bytes<S: Serialize + ?Sized>(kind: &str, value: &S) -> Result<Vec<u8>, SaveError> {
    let (line, content) = encode(kind, value)?;
    let mut bytes = Content(Vec::new());
    let parts = [line.as_bytes(), &content];
    let copied = parts.iter().try_for_each(|part| bytes.write_all(part));
    let length = line.len() + content.len();
    copied.map_err(|_| SaveError::TooLarge { bytes: length })?;
    Ok(bytes.0)
}

/// Reads the bytes of a file, as [`load`] does.
///
/// # Errors
/// The [`Refusal`] if the bytes are not those that [`to_bytes`] gave for a value of this type and
/// kind.
///
/// # Example
/// ```
/// use backprop::saving::{Refusal, from_bytes, to_bytes};
///
/// let mut bytes = to_bytes("costs", &[0.5, 0.25])?;
/// bytes.push(b' ');
/// let refused = from_bytes::<[f64; 2]>(&bytes, "costs");
/// assert_eq!(refused, Err(Refusal::TrailingBytes { expected: 10, found: 11 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes<D: DeserializeOwned>(bytes: &[u8], kind: &str) -> Result<D, Refusal> {
    let (header, from) = Header::read(bytes, kind)?;
    let content = bytes.get(from..).unwrap_or_default();
    header.expect_bytes(content.len() as u64)?;
    header.decode(content)
}

/// The first line and the content of a file.
fn encode<S: Serialize + ?Sized>(kind: &str, value: &S) -> Result<(String, Vec<u8>), SaveError> {
    if kind.len() > LONGEST_KIND {
        return Err(SaveError::Kind {
            limit: LONGEST_KIND,
            found: kind.len(),
        });
    }
    finite::check(value)?;
    let mut content = Content(Vec::new());
    serde_json::to_writer(&mut content, value).map_err(|error| match error.is_io() {
        true => SaveError::TooLarge {
            bytes: content.0.len(),
        },
        false => SaveError::Content {
            message: error.to_string(),
        },
    })?;
    let content = content.0;
    Ok((Header::of(kind, &content).line(), content))
}

/// A buffer whose growth may fail.
struct Content(Vec<u8>);

impl io::Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.0.try_reserve(bytes.len());
        room.map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The header of a file and its content, of the length that the header says.
fn read(path: &Path, kind: &str) -> Result<(Header, Vec<u8>), LoadError> {
    let io = |source| LoadError::Io {
        path: path.to_owned(),
        source,
    };
    let file = atomic::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    let first = (&file).take(LIMIT as u64).read_to_end(&mut start);
    first.map_err(io)?;
    let (header, from) = Header::read(&start, kind).map_err(|reason| refused(path, reason))?;
    let size = length.saturating_sub(from as u64);
    let checked = header.expect_bytes(size);
    checked.map_err(|reason| refused(path, reason))?;

    let mut content = start.split_off(from);
    let rest = size.saturating_sub(content.len() as u64);
    let room = usize::try_from(rest).ok();
    let room = room.and_then(|rest| content.try_reserve_exact(rest).ok());
    room.ok_or_else(|| io(io::ErrorKind::OutOfMemory.into()))?;
    // A byte more, if the file has grown meanwhile.
    let last = (&file)
        .take(rest.saturating_add(1))
        .read_to_end(&mut content);
    last.map_err(io)?;
    let checked = header.expect_bytes(content.len() as u64);
    checked.map_err(|reason| refused(path, reason))?;
    Ok((header, content))
}

fn refused(path: &Path, reason: Refusal) -> LoadError {
    LoadError::Refused {
        path: path.to_owned(),
        reason,
    }
}
