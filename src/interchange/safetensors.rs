//! safetensors, the format of Hugging Face for the tensors of a model (feature `safetensors`).
//!
//! [`load`] reads the tensors into a network that is already built, and [`save`] writes them. The
//! file holds names, shapes and numbers, but no layers. The [module above](super) describes the
//! names.
//!
//! # Example
//! A PyTorch network, `nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())`, whose `state_dict` was
//! saved with `safetensors.torch.save_file`:
//! ```
//! use backprop::interchange::{Options, safetensors};
//! use backprop::{Network, activation::Sigmoid};
//! # let path = std::env::temp_dir().join(format!("and-{}.safetensors", std::process::id()));
//! # let header = br#"{"0.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
//! #  "0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#;
//! # let mut file = (header.len() as u64).to_le_bytes().to_vec();
//! # file.extend(header);
//! # for x in [-30.0_f32, 20.0, 10.0] {
//! #     file.extend(x.to_le_bytes());
//! # }
//! # std::fs::write(&path, file)?;
//!
//! let mut network = Network::<f64>::builder(2).dense(1, Sigmoid).zeros()?;
//! safetensors::load(&path, &mut network, &Options::new())?;
//! assert_eq!(network.theta().as_slice(), &[-30.0, 20.0, 10.0]); // [b W]
//!
//! safetensors::save(&path, &network, &Options::new())?; // as F64
//! let mut same = Network::<f64>::builder(2).dense(1, Sigmoid).zeros()?;
//! safetensors::load(&path, &mut same, &Options::new())?;
//! assert_eq!(same, network);
//! # std::fs::remove_file(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is written
//! The numbers have the scalar type of the network, `F32` or `F64`, in row-major order. The
//! metadata has one entry, `producer`: this crate and its version. Equal networks give equal bytes.

use super::names::slots;
use super::tensors::{Found, Order, TensorFile, by_name, read};
use super::written::{Written, written};
use super::{BatchCounts, InterchangeError, Options};
use crate::allocation::reserved;
use crate::file_scalar::FileScalar;
use crate::layer::Layer;
use crate::network::Network;
use crate::number::Number;
use ::safetensors::tensor::{Metadata, TensorInfo};
use ::safetensors::{Dtype, SafeTensors};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::path::Path;

/// The maximum length of a header in bytes: 100,000 tensors with names of a hundred characters.
const LONGEST_HEADER: usize = 1 << 24;

/// Writes the parameters and the state of a network to a file, replacing any existing one.
///
/// The file is replaced atomically, as `saving::save` does.
///
/// # Errors
/// - [`InterchangeError::Name`] if two tensors have the same name.
/// - [`InterchangeError::Inexact`] if an `i64` cannot hold the number of batches of a batch norm.
/// - [`InterchangeError::Network`] if there is not enough memory.
/// - [`InterchangeError::Io`] if the file cannot be written.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("save_file", "state_dict"))]
pub fn save<T: FileScalar, L: Layer<T>>(
    path: impl AsRef<Path>,
    network: &Network<T, L>,
    options: &Options<'_>,
) -> Result<(), InterchangeError> {
    super::save(path.as_ref(), &to_bytes(network, options)?)
}

/// Reads the parameters and the state of a network from a file.
///
/// The file must have every tensor of the network, with its shape, and no others. Only
/// `num_batches_tracked` of a batch norm with a momentum may be missing. The file is validated as a
/// whole before the network changes. The types `F64`, `F32`, `F16` and `BF16` are read, into
/// networks of `f32` and `f64`. Frozen layers are read too. Returns the numbers of batches, which
/// the network does not hold.
///
/// # Errors
/// After an error, the network is unchanged.
/// - [`InterchangeError::Io`] if the file cannot be read or is not a regular file.
/// - [`InterchangeError::File`] with the reason otherwise:
///   - [`InterchangeError::Malformed`] if the file is damaged, or is not of this format.
///   - [`InterchangeError::Missing`], [`InterchangeError::Unexpected`],
///     [`InterchangeError::Duplicate`] or [`InterchangeError::Shape`] if the tensors are not those
///     of the network.
///   - [`InterchangeError::Type`], [`InterchangeError::NonFinite`], [`InterchangeError::Inexact`]
///     or [`InterchangeError::Range`] if the network cannot hold a number.
///   - [`InterchangeError::Name`] if two tensors of the network have the same name.
///   - [`InterchangeError::Network`] if there is not enough memory.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("load_file", "load_state_dict"))]
pub fn load<T: FileScalar, L: Layer<T>>(
    path: impl AsRef<Path>,
    network: &mut Network<T, L>,
    options: &Options<'_>,
) -> Result<BatchCounts, InterchangeError> {
    super::load(path.as_ref(), |bytes| from_bytes(bytes, network, options))
}

/// Returns the bytes of the file that [`save`] would write.
///
/// # Errors
/// Returns the errors of [`save`], except [`InterchangeError::Io`].
///
/// # Example
/// ```
/// use backprop::interchange::{Options, safetensors};
/// use backprop::{Network, activation::Identity};
///
/// let network = Network::<f32>::builder(1).dense(1, Identity).with_theta(&[0.5, 2.0])?;
/// let bytes = safetensors::to_bytes(&network, &Options::new())?;
/// assert!(bytes.ends_with(&[0, 0, 0, 64, 0, 0, 0, 63])); // 0.weight = 2, 0.bias = 0.5
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_bytes<T: FileScalar, L: Layer<T>>(
    network: &Network<T, L>,
    options: &Options<'_>,
) -> Result<Vec<u8>, InterchangeError> {
    let slots = slots(network, options)?;
    let mut tensors = written(network, &slots, options)?;
    // Integers of 8 bytes first, so that all numbers are aligned.
    tensors.sort_by_key(|tensor| !tensor.is_count());
    let mut end = 0;
    let infos = tensors.iter().map(|tensor| {
        let start = end;
        end += tensor.bytes();
        (tensor.place.name.clone(), info(tensor, (start, end)))
    });
    let producer = format!("backprop {}", env!("CARGO_PKG_VERSION"));
    let metadata = [("producer".to_owned(), producer)].into_iter().collect();
    let header = Metadata::new(Some(metadata), infos.collect());
    let header = header.map_err(malformed)?;
    let mut header = serde_json::to_vec(&header).map_err(malformed)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = reserved("the file", 8 + header.len() + end)?;
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    for tensor in &tensors {
        tensor.push_bytes(&mut bytes);
    }
    Ok(bytes)
}

fn info<T: FileScalar>(tensor: &Written<'_, T>, data_offsets: (usize, usize)) -> TensorInfo {
    let dtype = match Number::of::<T>() {
        _ if tensor.is_count() => Dtype::I64,
        Number::F32 => Dtype::F32,
        _ => Dtype::F64,
    };
    TensorInfo {
        dtype,
        shape: tensor.place.shape.clone(),
        data_offsets,
    }
}

/// Reads the parameters and the state of a network from the bytes of a file, as [`load`] does from
/// the file.
///
/// # Errors
/// Returns the reasons that [`load`] lists. After an error, the network is unchanged.
///
/// # Example
/// ```
/// use backprop::interchange::{InterchangeError, Options, safetensors};
/// use backprop::{Network, activation::Identity};
///
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.5, 2.0])?;
/// let bytes = safetensors::to_bytes(&network, &Options::new())?;
/// let cut = &bytes[..bytes.len() - 1];
/// let refused = safetensors::from_bytes(cut, &mut network, &Options::new());
/// assert!(matches!(refused, Err(InterchangeError::Malformed { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes<T: FileScalar, L: Layer<T>>(
    bytes: &[u8],
    network: &mut Network<T, L>,
    options: &Options<'_>,
) -> Result<BatchCounts, InterchangeError> {
    read(&File::open(bytes)?, network, options)
}

/// The tensors of a file.
struct File<'a> {
    names: Vec<String>,
    tensors: SafeTensors<'a>,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, InterchangeError> {
        let length = bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let length = length.and_then(|length| usize::try_from(length).ok());
        if let Some(found) = length
            && found > LONGEST_HEADER
        {
            return Err(malformed(format_args!(
                "its header has {found} bytes, expected at most {LONGEST_HEADER}"
            )));
        }
        let header = length.and_then(|length| bytes.get(8..8 + length));
        let header = header.ok_or_else(|| malformed("it ends before its header does"))?;
        // First, because the library keeps only one of several tensors with the same name.
        let mut header = serde_json::Deserializer::from_slice(header);
        let names = header.deserialize_map(Names).map_err(malformed)?;
        by_name(&names)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(malformed)?;
        Ok(Self { names, tensors })
    }
}

/// Reads the names of all tensors of a header.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if name != "__metadata__" {
                names.push(name);
            }
        }
        Ok(names)
    }
}

impl TensorFile for File<'_> {
    const KIND: &'static str = "safetensors";

    fn names(&self) -> &[String] {
        &self.names
    }

    fn open(&self, index: usize) -> Result<Found<'_>, InterchangeError> {
        let name = self.names.get(index).map(String::as_str);
        let tensor = self.tensors.tensor(name.unwrap_or_default());
        let tensor = tensor.map_err(malformed)?;
        Ok(Found {
            shape: tensor.shape().to_vec(),
            kind: match tensor.dtype() {
                Dtype::F64 => Ok(Number::F64),
                Dtype::F32 => Ok(Number::F32),
                Dtype::F16 => Ok(Number::F16),
                Dtype::BF16 => Ok(Number::BF16),
                Dtype::BOOL => Ok(Number::Bool),
                Dtype::I8 => Ok(Number::I8),
                Dtype::I16 => Ok(Number::I16),
                Dtype::I32 => Ok(Number::I32),
                Dtype::I64 => Ok(Number::I64),
                Dtype::U8 => Ok(Number::U8),
                Dtype::U16 => Ok(Number::U16),
                Dtype::U32 => Ok(Number::U32),
                Dtype::U64 => Ok(Number::U64),
                other => Err(other.to_string()),
            },
            order: Order::default(),
            data: Box::new(tensor.data()),
        })
    }
}

fn malformed(what: impl fmt::Display) -> InterchangeError {
    InterchangeError::Malformed {
        kind: File::KIND,
        message: what.to_string(),
    }
}
