//! Files written by hand, and the network that most tests read.

use backprop::interchange::{BatchCounts, FileScalar, InterchangeError, Options, npz, safetensors};
use backprop::{Builder, Network, activation::Tanh};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A tensor for a file: its name, type, shape and bytes.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Made {
    pub(crate) fn new(name: &str, kind: &'static str, shape: &[usize], bytes: &[u8]) -> Self {
        let (name, shape, bytes) = (name.to_owned(), shape.to_vec(), bytes.to_vec());
        Self {
            name,
            kind,
            shape,
            bytes,
        }
    }

    pub(crate) fn f64(name: &str, shape: &[usize], numbers: &[f64]) -> Self {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self::new(name, "F64", shape, &bytes)
    }

    pub(crate) fn i64(name: &str, number: i64) -> Self {
        Self::new(name, "I64", &[], &number.to_le_bytes())
    }
}

/// Writes a safetensors file.
pub(crate) fn file(tensors: &[Made]) -> Vec<u8> {
    let mut end = 0;
    let mut numbers = Vec::new();
    let entries = tensors.iter().map(|tensor| {
        let start = end;
        end += tensor.bytes.len();
        numbers.extend_from_slice(&tensor.bytes);
        let info = json!({
            "dtype": tensor.kind,
            "shape": tensor.shape,
            "data_offsets": [start, end],
        });
        // Names may repeat.
        format!("{}:{info}", json!(tensor.name))
    });
    let header = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    with_header(&header, &numbers)
}

pub(crate) fn with_header(header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(numbers);
    bytes
}

/// A dense layer from 3 to 2 with an activation, and a batch norm: the layers of most files in
/// `tests/interchange/files/`, whose script is `tests/interchange/generate.py`.
pub(crate) fn layers<T: FileScalar>() -> Builder<T> {
    Network::builder(3).dense(2, Tanh).batch_norm()
}

/// θ and the state of those files.
pub(crate) const THETA: [f64; 12] = [
    0.5, -0.5, 1.0, -4.0, 2.0, 5.5, 3.0, 6.25, // [b W], column by column
    1.5, 2.5, -1.0, 0.125, // γ, β
];
pub(crate) const STATE: [f64; 4] = [0.25, 0.75, 2.0, 3.0];
pub(crate) const BATCHES: u64 = 9;

/// The tensors of those files.
pub(crate) fn tensors() -> Vec<Made> {
    vec![
        Made::f64("0.weight", &[2, 3], &[1.0, 2.0, 3.0, -4.0, 5.5, 6.25]),
        Made::f64("0.bias", &[2], &[0.5, -0.5]),
        Made::f64("2.weight", &[2], &[1.5, 2.5]),
        Made::f64("2.bias", &[2], &[-1.0, 0.125]),
        Made::f64("2.running_mean", &[2], &[0.25, 0.75]),
        Made::f64("2.running_var", &[2], &[2.0, 3.0]),
        Made::i64("2.num_batches_tracked", 9),
    ]
}

/// Returns the tensors with another in place of the one with its name.
pub(crate) fn with(tensor: Made) -> Vec<Made> {
    let mut tensors = tensors();
    let found = tensors.iter_mut().find(|t| t.name == tensor.name);
    *found.unwrap() = tensor;
    tensors
}

pub(crate) fn path(name: &str) -> PathBuf {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/files");
    files.join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Reads a safetensors file. If it is refused, the network must be unchanged.
pub(crate) fn read<T: FileScalar>(
    bytes: &[u8],
    layers: Builder<T>,
    options: &Options<'_>,
) -> Result<(Network<T>, BatchCounts), InterchangeError> {
    checked(layers, |network| {
        safetensors::from_bytes(bytes, network, options)
    })
}

/// Reads an npz file in the same way.
pub(crate) fn read_npz<T: FileScalar>(
    bytes: &[u8],
    layers: Builder<T>,
    options: &Options<'_>,
) -> Result<(Network<T>, BatchCounts), InterchangeError> {
    checked(layers, |network| npz::from_bytes(bytes, network, options))
}

pub(crate) fn checked<T: FileScalar>(
    layers: Builder<T>,
    read: impl FnOnce(&mut Network<T>) -> Result<BatchCounts, InterchangeError>,
) -> Result<(Network<T>, BatchCounts), InterchangeError> {
    let mut network = layers.zeros().unwrap();
    let before = network.clone();
    match read(&mut network) {
        Ok(batches) => Ok((network, batches)),
        Err(error) => {
            assert_eq!(network, before, "{error}");
            Err(error)
        }
    }
}

/// Returns the error of a safetensors file for the usual network.
pub(crate) fn refused(bytes: &[u8]) -> InterchangeError {
    read::<f64>(bytes, layers(), &Options::new()).unwrap_err()
}
