//! Files of other programs.

mod error;
mod names;
#[cfg(feature = "npz")]
pub mod npy;
#[cfg(feature = "npz")]
mod npy_header;
#[cfg(feature = "npz")]
pub mod npz;
mod number;
mod options;
#[cfg(feature = "safetensors")]
pub mod safetensors;
mod tensors;

use crate::atomic;
use std::path::Path;

pub use error::InterchangeError;
pub use names::{TensorPlace, tensors};
pub use number::FileScalar;
pub use options::Options;

/// Replaces a file.
fn save(path: &Path, bytes: &[u8]) -> Result<(), InterchangeError> {
    atomic::save(path, &[bytes]).map_err(|source| io(path, source))
}

/// Reads a file, and adds its path to every error.
fn load<R>(
    path: &Path,
    read: impl FnOnce(&[u8]) -> Result<R, InterchangeError>,
) -> Result<R, InterchangeError> {
    let bytes = atomic::read(path).map_err(|source| io(path, source))?;
    read(&bytes).map_err(|error| error.of_file(path))
}

fn io(path: &Path, source: std::io::Error) -> InterchangeError {
    let path = path.to_owned();
    InterchangeError::Io { path, source }
}
