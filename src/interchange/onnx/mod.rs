//! ONNX, the format of graphs that most frameworks write and most runtimes read (feature `onnx`).
//!
//! [`load`] reads a whole network, its layers and its parameters. [`save`] writes one.
//!
//! # Example
//! A network that computes the OR of two inputs is written, and read again:
//! ```
//! use backprop::interchange::Options;
//! use backprop::interchange::onnx::{self, WriteOptions};
//! use backprop::{Network, activation::Sigmoid};
//! # let path = std::env::temp_dir().join(format!("or-{}.onnx", std::process::id()));
//!
//! let or = Network::<f32>::builder(2).dense(1, Sigmoid).with_theta(&[-10.0, 20.0, 20.0])?;
//! onnx::save(&path, &or, &WriteOptions::new())?;
//! let same: Network<f32> = onnx::load(&path, &Options::new())?;
//! assert_eq!(same, or);
//! # std::fs::remove_file(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! In Python, `onnxruntime.InferenceSession("or.onnx").run(None, {"x": x})` returns the outputs.
//! The examples are the rows of `x`.
//!
//! # What is read
//! Graphs with one input and operators of the versions 13 to 27, as PyTorch, Keras and scikit-learn
//! write them:
//!
//! | operators | layer |
//! |---|---|
//! | Gemm, MatMul, and Add of a bias | [`Dense`](crate::Dense), with the activation that follows |
//! | Sigmoid, Tanh, Relu, LeakyRelu, PRelu with one slope, Elu, Celu with α = 1, Selu, Softplus, Softsign, Gelu, Swish, Mish, Clip to \[−1, 1\] or \[0, ∞), Sin, Exp, Softmax | an activation |
//! | formulas of sigmoid, softplus, softsign, GELU in both forms, SiLU, Mish, leaky ReLU, ELU, SELU | an activation |
//! | BatchNormalization, LayerNormalization, RMSNormalization, or formulas of them, and scalers of scikit-learn as Scaler or as Sub, Div, Mul and Add of constants | [`BatchNorm`](crate::layer::BatchNorm), [`LayerNorm`](crate::layer::LayerNorm), [`RmsNorm`](crate::layer::RmsNorm) |
//! | Dropout | [`Dropout`](crate::layer::Dropout), with its ratio |
//! | Gather of rows of a matrix | [`Embedding`](crate::layer::Embedding) |
//! | Flatten, Reshape and Squeeze that only flatten, Transpose of two axes, Slice | [`Rearrange`](crate::layer::Rearrange), or nothing |
//! | Add of two branches | [`Residual`](crate::layer::Residual) |
//! | Concat of branches, or several outputs | [`Concat`](crate::layer::Concat) |
//! | Identity, Cast to floats | nothing |
//!
//! An example of three axes is an image, and one of two axes a sequence. It is a signal if the
//! input says so (`DATA_CHANNEL`), or if a BatchNormalization acts on its first axis. A node
//! that no network computes exactly as the graph does is an [`InterchangeError::Operator`], which
//! names the node. A graph may have at most 8192 layers and branches.
//!
//! Classifiers of scikit-learn also return labels. Outputs of labels are left out, and the two
//! probabilities \[1 − p, p\] become p. The outputs of the network are the probabilities.
//!
//! Constants of layers, such as a slope, are `f32` in a graph. They are read as the shortest
//! decimal number that rounds to them: 0.01, not 0.00999999978. Gemm's α and β are multiplied
//! into the parameters, and each product is rounded once. Layers that share a tensor each get a
//! copy.
//!
//! Keras writes a batch norm with its statistics combined into a scale. It becomes a batch norm
//! whose γ is that scale, and whose σ² + ε is 1. So does a scaler of scikit-learn, whose divisor
//! becomes its reciprocal, rounded once. Before further training, call
//! [`fix_statistics`](Network::fix_statistics) for such a layer, because the statistics of a batch
//! would replace these. [`freeze`](Network::freeze) also keeps γ and β.
//!
//! # What is written
//! Operators of version 17. The input `x` and the output `y` have the examples as their first axis,
//! of any size `N`. The tensors have the names that [`tensors`](super::tensors) lists. The producer
//! is `backprop` with its version. Equal networks give equal bytes.
//!
//! A network that is read again is equal, except for what a graph cannot hold:
//! - The layers of a [`Sequential`](crate::layer::Sequential) are written one after the other.
//! - An activation after a dense layer becomes a part of it.
//! - [`GaussianNoise`](crate::layer::GaussianNoise) is left out.
//! - A batch norm has the default momentum if its input is a sequence, if it has no γ and β, or if
//!   its statistics are cumulative.
//!
//! With [`WriteOptions::double`], a layer is written as simpler operators where onnxruntime has no
//! kernel for `f64` or where a constant would be rounded. Two limits remain: onnxruntime has no
//! `f64` kernel for Erf, in GELU, and ε of a batch norm is an `f32`.

mod assemble;
mod chain;
mod constant;
mod expression;
mod formula;
mod graph;
mod node;
mod norms;
mod operators;
mod options;
mod proto;
mod read;
mod shapes;
mod sizes;
mod wire;
mod write;
mod write_layers;

use super::{InterchangeError, Options};
use crate::file_scalar::FileScalar;
use crate::layer::{AnyLayer, Layer};
use crate::network::Network;
use std::path::Path;

pub use options::WriteOptions;

/// Reads a network, its layers and its parameters, from a file.
///
/// The numbers are read exactly, unless [`Options::rounded`] is set. The other options are not
/// used. The types `double`, `float`, `float16` and `bfloat16` are read, into networks of `f32` and
/// `f64`.
///
/// # Errors
/// - [`InterchangeError::Io`] if the file cannot be read or is not a regular file.
/// - [`InterchangeError::File`] with the reason otherwise:
///   - [`InterchangeError::Malformed`] if the file is damaged, or is not of this format.
///   - [`InterchangeError::Unsupported`] if it is valid but uses what is not supported: several
///     inputs, an axis of an unknown size, other versions of the operators, tensors in other files,
///     functions, quantisation.
///   - [`InterchangeError::Operator`] if a node has no counterpart among the layers of this crate.
///   - [`InterchangeError::Type`], [`InterchangeError::NonFinite`], [`InterchangeError::Inexact`]
///     or [`InterchangeError::Range`] if the network cannot hold a number.
///   - [`InterchangeError::Network`] if the layers do not form a network, or if there is not enough
///     memory.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("import", "from_onnx"))]
pub fn load<T: FileScalar>(
    path: impl AsRef<Path>,
    options: &Options<'_>,
) -> Result<Network<T>, InterchangeError> {
    super::load(path.as_ref(), |bytes| from_bytes(bytes, options))
}

/// Reads a network from the bytes of a file, as [`load`] does from the file.
///
/// # Errors
/// Returns the reasons that [`load`] lists.
///
/// # Example
/// ```
/// use backprop::Network;
/// use backprop::interchange::{InterchangeError, Options, onnx};
///
/// let refused: Result<Network<f64>, _> = onnx::from_bytes(b"no graph", &Options::new());
/// assert!(matches!(refused, Err(InterchangeError::Malformed { .. })));
/// ```
pub fn from_bytes<T: FileScalar>(
    bytes: &[u8],
    options: &Options<'_>,
) -> Result<Network<T>, InterchangeError> {
    read::network(bytes, options)
}

/// Writes a network to a file, replacing any existing one.
///
/// The file is replaced atomically, as `saving::save` does.
///
/// # Errors
/// - [`InterchangeError::Layer`] if a layer is custom, if ONNX has no operator for its activation,
///   or if one of its constants is too large or too small for an `f32` where the file needs one.
/// - [`InterchangeError::NonFinite`] if a parameter is too large for the `f32` of the file.
/// - [`InterchangeError::Unsupported`] if the file would be larger than 2 GiB.
/// - [`InterchangeError::Network`] if there is not enough memory.
/// - [`InterchangeError::Io`] if the file cannot be written.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("export", "to_onnx"))]
pub fn save<T: FileScalar, C: Layer<T>>(
    path: impl AsRef<Path>,
    network: &Network<T, AnyLayer<C>>,
    options: &WriteOptions,
) -> Result<(), InterchangeError> {
    super::save(path.as_ref(), &to_bytes(network, options)?)
}

/// Returns the bytes of the file that [`save`] would write.
///
/// # Errors
/// Returns the errors of [`save`], except [`InterchangeError::Io`].
///
/// # Example
/// ```
/// use backprop::interchange::Options;
/// use backprop::interchange::onnx::{self, WriteOptions};
/// use backprop::{Network, activation::Gelu};
///
/// let network = Network::<f64>::builder(1).dense(1, Gelu).with_theta(&[0.1, 0.7])?;
/// let bytes = onnx::to_bytes(&network, &WriteOptions::new().double())?;
/// assert_eq!(onnx::from_bytes::<f64>(&bytes, &Options::new())?, network);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_bytes<T: FileScalar, C: Layer<T>>(
    network: &Network<T, AnyLayer<C>>,
    options: &WriteOptions,
) -> Result<Vec<u8>, InterchangeError> {
    write::network(network, options.is_double)
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
