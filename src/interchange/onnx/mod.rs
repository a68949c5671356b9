//! ONNX

mod assemble;
mod chain;
mod constant;
mod expression;
mod formula;
mod graph;
mod node;
mod norms;
mod operators;
mod proto;
mod read;
mod wire;

use super::number::FileScalar;
use super::{InterchangeError, Options};
use crate::network::Network;
use std::path::Path;

/// Reads
pub fn load<T: FileScalar>(
    path: impl AsRef<Path>,
    options: &Options<'_>,
) -> Result<Network<T>, InterchangeError> {
    super::load(path.as_ref(), |bytes| from_bytes(bytes, options))
}

/// Reads
pub fn from_bytes<T: FileScalar>(
    bytes: &[u8],
    options: &Options<'_>,
) -> Result<Network<T>, InterchangeError> {
    read::network(bytes, options)
}

fn malformed(message: impl Into<String>) -> InterchangeError {
    InterchangeError::Malformed {
        kind: "ONNX",
        message: message.into(),
    }
}

fn unsupported(message: impl Into<String>) -> InterchangeError {
    InterchangeError::Unsupported {
        kind: "ONNX",
        message: message.into(),
    }
}
