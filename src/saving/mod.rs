//! Saves networks, training states and any other serde type to files, and loads them bit for bit.
//!
//! [`save`] replaces a file atomically. [`load`] returns exactly the saved value or an error with
//! the reason. [`Checkpoints`] keeps the latest states of a long training run. The trainer writes
//! and reads them itself: see [`Trainer::checkpoints`](crate::training::Trainer::checkpoints) and
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
//! // Save the scaler and the encoder with the network. Class names must be owned to be loaded.
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
//! A file consists of a header and the content, each of which is one line of JSON. The content ends
//! without a line feed:
//! ```text
//! {"format":"backprop","version":2,"bytes":123,"crc32":"beefb541","kind":"network"}
//! {"scalar":"f64","inputs":2,"layers":[…],"theta":[0.30000000000000004,-0.0,5e-324]}
//! ```
//! The caller chooses `kind`, so that an optimiser's state is not mistaken for a network. `bytes`
//! and `crc32` are the length and the checksum of the content (the CRC-32 of zlib and gzip). The
//! header always has exactly this form, and is at most 4096 bytes long. A number is written with
//! the fewest digits that read back as the same bits. NaN and infinities are refused, because JSON
//! cannot hold them.
//!
//! `scalar` names the type of the numbers. It is the first field of every network, scaler and
//! optimiser state, even when serialised without this module. Loading as another scalar type is an
//! error that names both types. [`Network::map`](crate::Network::map) converts a network.
//!
//! Files of version 1 can also be read. Their content has no `scalar` and is read as the requested
//! type. In their header, `kind` comes before `bytes`. A version 1 checkpoint of L-BFGS or
//! conjugate gradients is refused with [`Error::Checkpoint`](crate::Error::Checkpoint) if its
//! solver state does not have the current fields.
//!
//! # Checks
//! Loading detects any flipped bit and truncation at any byte. It refuses files of another format,
//! of a later version or of another kind. The type then checks the content: a
//! [`Network`](crate::Network) refuses sizes that do not match and parameters that are not finite,
//! and every type of this crate refuses unknown fields. A network of boxed layers cannot be saved,
//! because the file could not specify which types to load:
//! ```compile_fail,E0277
//! use backprop::{Builder, Dense, Layer, activation::Sigmoid, saving};
//!
//! let layer: Box<dyn Layer<f64>> = Box::new(Dense::new(1, 1, Sigmoid));
//! let network = Builder::<f64, _>::new(1).layer(layer).zeros().unwrap();
//! let refused = saving::to_bytes("network", &network);
//! ```

mod checkpoints;
mod error;
mod finite;
mod header;

use crate::allocation::Buffer;
use crate::atomic;
use crate::regular_file;
use header::{Header, LIMIT};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

pub use checkpoints::{Checkpoints, Found, Skipped};
pub use error::{LoadError, Refusal, SaveError};

/// The JSON Schema (2020-12) of a [`Network`](crate::Network) of built-in layers, the file
/// `docs/network.schema.json`. The page [`json`](crate::json) explains it.
///
/// # Example
/// ```
/// let schema: serde_json::Value = serde_json::from_str(backprop::saving::NETWORK_SCHEMA)?;
/// assert_eq!(schema["required"], serde_json::json!(["inputs", "layers", "theta"]));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const NETWORK_SCHEMA: &str = include_str!("../../docs/network.schema.json");

/// The maximum length of a kind in bytes. It keeps the header within its limit, however the kind is
/// escaped.
const LONGEST_KIND: usize = 256;

/// Saves `value` to a file, replacing any existing one.
///
/// The new file is written under a temporary name in the same folder, synced to disk, and renamed.
/// Even after a power failure, the path has either the old content or the new one in full. The
/// folder itself can be synced only on Unix. On other systems, a power failure just after the call
/// may bring back the old content. The file gets the permissions of a new file. A symbolic link is
/// replaced, not followed.
///
/// A killed process leaves its temporary file, `.backprop-<word>-<process>-<count>.tmp`. The next
/// `save` to the same folder removes it, unless its process may still be writing: the file is
/// locked, or on Linux a process with that id is running. On file systems without locks, nothing is
/// removed.
///
/// # Errors
/// On an error, the old file is unchanged and no temporary file is left.
/// - [`SaveError::NotFinite`] if `value` contains a NaN or an infinity.
/// - [`SaveError::Content`] if `value` cannot be written as JSON.
/// - [`SaveError::Kind`] if `kind` is longer than 256 bytes.
/// - [`SaveError::TooLarge`] if there is not enough memory for the content.
/// - [`SaveError::Io`] if the file cannot be written, or if the path is a folder, a FIFO, a socket
///   or a device. If only the last step fails, which syncs the folder, the new content is already
///   in place.
///
/// # Example
/// ```
/// use backprop::saving::{SaveError, to_bytes};
///
/// // `save` refuses the same values as `to_bytes`.
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
    let written = atomic::save(path, &[line.as_bytes(), &content]);
    written.map_err(|source| SaveError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Loads a value of this kind that [`save`] wrote.
///
/// A file of another kind is refused after its header is read, however large it is. The length in
/// the header must match the file before memory is allocated for the content.
///
/// # Errors
/// - [`LoadError::Io`] if the file cannot be read or is not a regular file. Links are followed.
/// - [`LoadError::Refused`] with the [`Refusal`] if any bit of the file has changed since it was
///   saved, or if it does not hold a value of this kind and type.
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

/// Returns the bytes of the file that [`save`] would write.
///
/// # Errors
/// Returns the errors of [`save`], except [`SaveError::Io`].
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
    let mut bytes = Buffer::default();
    let parts = [line.as_bytes(), &content];
    let copied = parts.iter().try_for_each(|part| bytes.write_all(part));
    let length = line.len() + content.len();
    copied.map_err(|_| SaveError::TooLarge { bytes: length })?;
    Ok(bytes.0)
}

/// Loads a value from the bytes of a file, as [`load`] does from the file.
///
/// # Errors
/// Returns the [`Refusal`] if the bytes are not those that [`to_bytes`] returned for a value of
/// this type and kind.
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

/// Returns the header line and the content of a file.
fn encode<S: Serialize + ?Sized>(kind: &str, value: &S) -> Result<(String, Vec<u8>), SaveError> {
    if kind.len() > LONGEST_KIND {
        return Err(SaveError::Kind {
            limit: LONGEST_KIND,
            found: kind.len(),
        });
    }
    finite::check(value)?;
    let mut content = Buffer::default();
    let written = serde_json::to_writer(&mut content, value);
    let content = content.0;
    if let Err(error) = written {
        let (bytes, message) = (content.len(), error.to_string());
        return Err(if error.is_io() {
            SaveError::TooLarge { bytes }
        } else {
            SaveError::Content { message }
        });
    }
    Ok((Header::of(kind, &content).line(), content))
}

/// Reads the header and the content of a file, after checking that their lengths match.
fn read(path: &Path, kind: &str) -> Result<(Header, Vec<u8>), LoadError> {
    let io = |source| LoadError::Io {
        path: path.to_owned(),
        source,
    };
    let file = regular_file::open(path).map_err(io)?;
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
    // Reading one more byte shows whether the file has grown since then.
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
