//! The errors of reading and writing files of other programs.

use crate::error::{Error, debug_with_message, listed};
use std::io;
use std::path::{Path, PathBuf};

/// Why a file of another program cannot be read or written.
///
/// After an error, the network is unchanged, and no file is written.
///
/// # Example
/// A file whose tensor `0.bias` is missing:
#[cfg_attr(feature = "safetensors", doc = "```")]
#[cfg_attr(not(feature = "safetensors"), doc = "```text")]
/// use backprop::interchange::{InterchangeError, Options, safetensors};
/// use backprop::{Network, activation::Identity};
///
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let file = Network::<f64>::builder(1).dense_without_bias(1, Identity).zeros()?;
/// let bytes = safetensors::to_bytes(&file, &Options::new())?;
///
/// let refused = safetensors::from_bytes(&bytes, &mut network, &Options::new());
/// let Err(InterchangeError::Missing { tensor, shape, .. }) = refused else { panic!() };
/// assert_eq!((&tensor[..], &shape[..]), ("0.bias", &[1][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InterchangeError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The underlying I/O error. Its kind is `OutOfMemory` if the file does not fit into
        /// memory.
        source: io::Error,
    },
    /// The content of a file is refused.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason: every variant except this one and [`Io`](Self::Io).
        reason: Box<InterchangeError>,
    },
    /// An error of this crate, such as [`Error::TooLarge`] if there is not enough memory.
    #[error("{source}")]
    Network {
        /// The error.
        #[from]
        source: Error,
    },
    /// The bytes are not a file of this kind, or are damaged.
    #[error("not a valid {kind} file: {message}")]
    Malformed {
        /// The kind of file, such as `"npz"`.
        kind: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The file lacks a tensor of the network.
    #[error(
        "the tensor {tensor:?} is missing, expected the shape {shape:?}; {}",
        unused(.unexpected)
    )]
    Missing {
        /// The name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The tensors of the file that the network does not have.
        unexpected: Vec<String>,
    },
    /// The file has a tensor that the network does not have.
    #[error("the network has no tensor {tensor:?}, expected {}", listed(.expected))]
    Unexpected {
        /// The name of the tensor.
        tensor: String,
        /// The names of all tensors of the network.
        expected: Vec<String>,
    },
    /// Two tensors of a file have the same name.
    #[error("the file has more than one tensor {tensor:?}, expected one")]
    Duplicate {
        /// The name.
        tensor: String,
    },
    /// A tensor of the network has a name that cannot be used.
    #[error(
        "the name {tensor:?} of {parameter} of layer {layer} {reason}; \
         choose another with `Options::names`"
    )]
    Name {
        /// The name.
        tensor: String,
        /// The layer.
        layer: crate::Path,
        /// The parameter of the layer.
        parameter: String,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// A tensor of the wrong shape.
    #[error("the tensor {tensor:?} has the shape {found:?}, expected {expected:?}")]
    Shape {
        /// The name of the tensor.
        tensor: String,
        /// The shape of the network's tensor.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor whose entries are of another type.
    #[error("the entries of the tensor {tensor:?} are {found}, expected {expected}")]
    Type {
        /// The name of the tensor.
        tensor: String,
        /// The types that can be read.
        expected: &'static str,
        /// The type in the file.
        found: String,
    },
    /// A NaN or an infinity, or a number that rounds to one.
    #[error("entry {entry} of the tensor {tensor:?} is {value}, expected a finite {scalar}")]
    NonFinite {
        /// The name of the tensor.
        tensor: String,
        /// The position of the entry in row-major order.
        entry: usize,
        /// The value.
        value: f64,
        /// The scalar type of the network, or of the file to be written.
        scalar: &'static str,
    },
    /// A number that the scalar type of the network, or of the file to be written, cannot hold
    /// exactly.
    #[error(
        "entry {entry} of the tensor {tensor:?} is {value}, which {scalar} cannot hold exactly{}",
        rounding(.scalar)
    )]
    Inexact {
        /// The name of the tensor.
        tensor: String,
        /// The position of the entry in row-major order.
        entry: usize,
        /// The value, in decimal notation.
        value: String,
        /// The scalar type.
        scalar: &'static str,
    },
    /// A valid file that this crate cannot read, or a network that such a file cannot hold.
    #[error("this {kind} file is not supported: {message}")]
    Unsupported {
        /// The kind of file, such as `"ONNX"`.
        kind: &'static str,
        /// What the file has, and what is supported.
        message: String,
    },
    /// A node of a graph that corresponds to no layer of this crate, or whose attributes or inputs
    /// are not supported.
    #[error("node {node:?} ({operator}) is not supported: {reason}")]
    Operator {
        /// The name of the node, or of its first output if it has none.
        node: String,
        /// The operator, with its domain if that is not the standard one.
        operator: String,
        /// What the node has, and what is supported.
        reason: String,
    },
    /// A layer that files of this kind cannot hold.
    #[error("layer {layer} ({name}) cannot be written: {reason}")]
    Layer {
        /// The layer.
        layer: crate::Path,
        /// Its name in tables.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// A number below the smallest that the network accepts, such as a negative variance.
    #[error("entry {entry} of the tensor {tensor:?} is {value}, expected at least {least}")]
    Range {
        /// The name of the tensor.
        tensor: String,
        /// The position of the entry in row-major order.
        entry: usize,
        /// The value.
        value: f64,
        /// The smallest value that is accepted.
        least: f64,
    },
}

debug_with_message! {
    InterchangeError {
        Io { path, source }
        File { path, reason }
        Network { source }
        Malformed { kind, message }
        Missing { tensor, shape, unexpected }
        Unexpected { tensor, expected }
        Duplicate { tensor }
        Name { tensor, layer, parameter, reason }
        Shape { tensor, expected, found }
        Type { tensor, expected, found }
        NonFinite { tensor, entry, value, scalar }
        Inexact { tensor, entry, value, scalar }
        Unsupported { kind, message }
        Operator { node, operator, reason }
        Layer { layer, name, reason }
        Range { tensor, entry, value, least }
    }
}

impl InterchangeError {
    /// Returns the reason of a [`File`](Self::File) error, without the path, and any other error
    /// unchanged.
    ///
    /// # Example
    #[cfg_attr(feature = "safetensors", doc = "```")]
    #[cfg_attr(not(feature = "safetensors"), doc = "```text")]
    /// use backprop::interchange::{InterchangeError, Options, safetensors};
    /// use backprop::{Network, activation::Identity};
    ///
    /// let path = std::env::temp_dir().join(format!("not-a-file-{}", std::process::id()));
    /// std::fs::write(&path, b"no header")?;
    /// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let error = safetensors::load(&path, &mut network, &Options::new()).unwrap_err();
    /// assert!(error.to_string().contains("not-a-file"));
    /// assert!(matches!(error.reason(), InterchangeError::Malformed { .. }));
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Self {
        match self {
            Self::File { reason, .. } => reason.reason(),
            other => other,
        }
    }

    /// Adds the file to an error.
    pub(super) fn of_file(self, path: &Path) -> Self {
        let path = path.to_owned();
        let reason = Box::new(self);
        Self::File { path, reason }
    }
}

fn unused(names: &[String]) -> String {
    match names {
        [] => "the network uses every tensor of the file".to_owned(),
        names => format!(
            "the file has {}, which the network lacks; if only the names differ, set \
             `Options::names`",
            listed(names)
        ),
    }
}

fn rounding(scalar: &str) -> &'static str {
    match scalar {
        "i64" => "",
        _ => ": `Options::rounded` accepts the nearest value",
    }
}
