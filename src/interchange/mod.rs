//! Files of other programs, such as PyTorch and NumPy.
//!
//! | module | feature | reads and writes |
//! |---|---|---|
//! | `safetensors` | `safetensors` | the tensors of a network, in the format of Hugging Face |
//! | `npz` | `npz` | the same tensors, as NumPy arrays |
//! | `npy` | `npz` | X and Y, as NumPy arrays |
//! | `onnx` | `onnx` | whole networks, for PyTorch, Keras, scikit-learn and onnxruntime |
//!
//! A file of tensors holds all parameters and the state of a network by name. It holds no layers,
//! so the network is built first. Every file is validated as a whole before the network changes.
//! An ONNX file holds a whole network. Numbers are read exactly, into `f32` or `f64`. A number that
//! the scalar type cannot hold is an error, unless [`Options::rounded`] is set.
//!
//! # Names
//! The names and the shapes are those of the `state_dict` of an `nn.Sequential` in PyTorch.
//! [`tensors`] lists them for a network. [`Options::names`] sets other names.
//!
//! | layer | tensors |
//! |---|---|
//! | dense | `weight` \[outputs, inputs\], `bias` \[outputs\] |
//! | embedding | `weight` \[entries, features\] |
//! | layer norm, RMS norm | `weight`, and for a layer norm `bias`, of the shape of the axes |
//! | batch norm | `weight`, `bias`, `running_mean`, `running_var` \[units or channels\], `num_batches_tracked` \[\] |
//! | sequential | those of the layers inside |
//! | residual | those of the layers inside, with the prefix `body.` or `shortcut.` |
//! | concat | those of the layers inside, with the prefix `branches.0.`, `branches.1.`, … |
//! | custom | a tensor for each block and each state vector, under its name |
//!
//! The name begins with the position of the layer, from 0. A dense layer with an activation takes
//! up two positions, as `nn.Linear` and `nn.Tanh` do, so it has the same names as a dense layer
//! without one, followed by an activation layer. Every other layer takes up one. In a residual
//! layer at position 2 whose body is two dense layers with activations, the weights of the second
//! are `2.body.2.weight`.
//!
//! Tensors are written in row-major order, the default of PyTorch and NumPy.

mod counts;
mod error;
mod names;
#[cfg(feature = "npz")]
pub mod npy;
#[cfg(feature = "npz")]
pub(crate) mod npy_header;
#[cfg(feature = "npz")]
pub mod npz;
#[cfg(feature = "onnx")]
pub mod onnx;
mod options;
#[cfg(feature = "safetensors")]
pub mod safetensors;
mod strides;
#[cfg(any(feature = "npz", feature = "safetensors"))]
mod tensors;
#[cfg(any(feature = "npz", feature = "safetensors"))]
mod written;

use crate::atomic;
use std::path::Path;

pub use crate::file_scalar::FileScalar;
pub use counts::BatchCounts;
pub use error::InterchangeError;
pub use names::{TensorPlace, tensors};
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
