//! The kinds of files, and how each is read and written.

use backprop::Network;
use backprop::interchange::{BatchCounts, FileScalar, InterchangeError, Options, npz, safetensors};
use std::path::Path;

/// A kind of file, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Safetensors,
    Npz,
    Onnx,
}

impl Kind {
    pub(crate) const OF_TENSORS: [Self; 2] = [Self::Safetensors, Self::Npz];

    pub(crate) fn of(path: &Path) -> Result<Self, String> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("npz") => Ok(Self::Npz),
            Some("onnx") => Ok(Self::Onnx),
            _ => Err(format!("{}: not a known kind of file", path.display())),
        }
    }
}

/// Reads the tensors of a file into a network.
pub(crate) fn read<T: FileScalar>(
    path: &Path,
    network: &mut Network<T>,
) -> Result<BatchCounts, InterchangeError> {
    match Kind::of(path) {
        Ok(Kind::Npz) => npz::load(path, network, &Options::new()),
        _ => safetensors::load(path, network, &Options::new()),
    }
}

/// Returns the bytes of a file of tensors.
pub(crate) fn written<T: FileScalar>(
    kind: Kind,
    network: &Network<T>,
    options: &Options<'_>,
) -> Result<Vec<u8>, InterchangeError> {
    match kind {
        Kind::Npz => npz::to_bytes(network, options),
        _ => safetensors::to_bytes(network, options),
    }
}

/// Reads the tensors of the bytes of a file.
pub(crate) fn from_bytes<T: FileScalar>(
    kind: Kind,
    bytes: &[u8],
    network: &mut Network<T>,
    options: &Options<'_>,
) -> Result<BatchCounts, InterchangeError> {
    match kind {
        Kind::Npz => npz::from_bytes(bytes, network, options),
        _ => safetensors::from_bytes(bytes, network, options),
    }
}
