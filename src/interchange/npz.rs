//! NumPy's `.npz`: the tensors of a network as arrays (feature `npz`).
//!
//! The [module above](super) describes the names, which are the keys of `np.load`. The functions
//! are those of `safetensors`. In Python, `npz` files need only NumPy.
//!
//! # Example
//! ```
//! use backprop::interchange::{Options, npz};
//! use backprop::{Network, activation::Sigmoid};
//! # let path = std::env::temp_dir().join(format!("and-{}.npz", std::process::id()));
//!
//! let network = Network::<f64>::builder(2).dense(1, Sigmoid);
//! let network = network.with_theta(&[-30.0, 20.0, 10.0])?;
//! npz::save(&path, &network, &Options::new())?;
//! // np.load(path)["0.weight"] is array([[20., 10.]]), and ["0.bias"] array([-30.])
//!
//! let mut same = Network::<f64>::builder(2).dense(1, Sigmoid).zeros()?;
//! npz::load(&path, &mut same, &Options::new())?;
//! assert_eq!(same, network);
//! # std::fs::remove_file(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Files
//! Arrays are read as `np.savez` and `np.savez_compressed` write them, in C order and in Fortran
//! order, in either byte order. They are written uncompressed, in C order. An array is decompressed
//! only if its name and its shape are those of a tensor of the network, so a small file cannot use
//! more memory than the network.

use super::names::slots;
use super::npy_header::Header;
use super::tensors::{Found, TensorFile, read};
use super::written::{Written, written};
use super::{BatchCounts, InterchangeError, Options, TensorPlace};
use crate::allocation::{Buffer, grow, reserved};
use crate::error::Error;
use crate::file_scalar::FileScalar;
use crate::layer::Layer;
use crate::network::Network;
use flate2::bufread::DeflateDecoder;
use rawzip::path::{EntryPath, ZipFilePath};
use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipArchiveWriter, ZipSliceArchive,
};
use std::fmt::Display;
use std::io::{Read, Write as _};
use std::path::Path;

/// The suffix of every array in a file.
const SUFFIX: &str = ".npy";

/// Writes the parameters and the state of a network to a file, replacing any existing one.
///
/// The file is replaced atomically, as `saving::save` does.
///
/// # Errors
/// - [`InterchangeError::Name`] if two tensors have the same name, or if a zip file cannot hold a
///   name.
/// - [`InterchangeError::Inexact`] if an `i64` cannot hold the number of batches of a batch norm.
/// - [`InterchangeError::Network`] if there is not enough memory.
/// - [`InterchangeError::Io`] if the file cannot be written.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("savez", "to_numpy"))]
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
/// whole before the network changes. Floats of 2, 4 and 8 bytes are read, into networks of `f32`
/// and `f64`. Frozen layers are read too. Returns the numbers of batches, which the network does
/// not hold.
///
/// # Errors
/// After an error, the network is unchanged.
/// - [`InterchangeError::Io`] if the file cannot be read or is not a regular file.
/// - [`InterchangeError::File`] with the reason otherwise:
///   - [`InterchangeError::Malformed`] if the file is damaged, or is not of this format.
///   - [`InterchangeError::Missing`], [`InterchangeError::Unexpected`],
///     [`InterchangeError::Duplicate`] or [`InterchangeError::Shape`] if the arrays are not those
///     of the network.
///   - [`InterchangeError::Type`], [`InterchangeError::NonFinite`], [`InterchangeError::Inexact`]
///     or [`InterchangeError::Range`] if the network cannot hold a number.
///   - [`InterchangeError::Name`] if two tensors of the network have the same name.
///   - [`InterchangeError::Network`] if there is not enough memory.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("from_numpy", "np.load"))]
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
/// [`from_bytes`] has one.
pub fn to_bytes<T: FileScalar, L: Layer<T>>(
    network: &Network<T, L>,
    options: &Options<'_>,
) -> Result<Vec<u8>, InterchangeError> {
    let slots = slots(network, options)?;
    let mut archive = ZipArchiveWriter::new(Buffer::default());
    for tensor in written(network, &slots, options)? {
        let path = path(tensor.place)?;
        let bytes = array(&tensor)?;
        add(&mut archive, path, &bytes).map_err(|_| too_large(bytes.len()))?;
    }
    let len = archive.stream_offset() as usize;
    Ok(archive.finish().map_err(|_| too_large(len))?.0)
}

/// Returns the path of an array in a file.
fn path(place: &TensorPlace) -> Result<EntryPath<'static>, InterchangeError> {
    let path = format!("{}{SUFFIX}", place.name);
    let normalised = ZipFilePath::from_str(&path);
    let is_valid = path.is_ascii() || normalised.as_ref() == path;
    if !is_valid || path.contains('\0') || path.len() > usize::from(u16::MAX) {
        return Err(InterchangeError::Name {
            tensor: place.name.clone(),
            layer: place.layer.clone(),
            parameter: place.parameter.clone(),
            reason: "cannot be the path of a file in a zip file",
        });
    }
    // Conformant paths lose colons, as in the names of Keras. Others have no mark for UTF-8.
    if path.is_ascii() {
        return Ok(EntryPath::verbatim(path.into_bytes()));
    }
    Ok(EntryPath::conformant(path))
}

/// Returns the bytes of an array.
fn array<T: FileScalar>(tensor: &Written<'_, T>) -> Result<Vec<u8>, InterchangeError> {
    let description = if tensor.is_count() {
        "<i8"
    } else {
        T::DESCRIPTION
    };
    let header = Header::bytes(description, &tensor.place.shape);
    let mut bytes = reserved("an array", header.len() + tensor.bytes())?;
    bytes.extend_from_slice(&header);
    tensor.push_bytes(&mut bytes);
    Ok(bytes)
}

/// Adds a file to an archive.
fn add(
    archive: &mut ZipArchiveWriter<Buffer>,
    path: EntryPath<'_>,
    bytes: &[u8],
) -> Result<(), rawzip::Error> {
    let (mut entry, config) = archive.new_file(path).start()?;
    let mut data = config.wrap(&mut entry);
    data.write_all(bytes)?;
    let (_, end) = data.finish()?;
    entry.finish(end)?;
    Ok(())
}

fn too_large(len: usize) -> Error {
    Error::TooLarge {
        what: "the file",
        rows: len,
        cols: 1,
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
/// use backprop::interchange::{InterchangeError, Options, npz};
/// use backprop::{Network, activation::Identity};
///
/// let mut network = Network::<f64>::builder(2).dense(1, Identity).zeros()?;
/// let bytes = npz::to_bytes(&network, &Options::new())?;
/// npz::from_bytes(&bytes, &mut network, &Options::new())?;
///
/// let mut wider = Network::<f64>::builder(3).dense(1, Identity).zeros()?;
/// let refused = npz::from_bytes(&bytes, &mut wider, &Options::new());
/// let Err(InterchangeError::Shape { tensor, expected, found }) = refused else { panic!() };
/// assert_eq!((&tensor[..], expected, found), ("0.weight", vec![1, 3], vec![1, 2]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes<T: FileScalar, L: Layer<T>>(
    bytes: &[u8],
    network: &mut Network<T, L>,
    options: &Options<'_>,
) -> Result<BatchCounts, InterchangeError> {
    read(&File::open(bytes)?, network, options)
}

/// The arrays of a file.
struct File<'a> {
    archive: ZipSliceArchive<&'a [u8]>,
    names: Vec<String>,
    entries: Vec<Entry>,
}

/// Where an array is, and how it is stored.
struct Entry {
    at: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    is_encrypted: bool,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, InterchangeError> {
        let archive = ZipArchive::from_slice(bytes).map_err(malformed)?;
        let (mut names, mut entries) = (Vec::new(), Vec::new());
        for entry in archive.entries() {
            let entry = entry.map_err(malformed)?;
            let path = entry.file_path();
            let name = str::from_utf8(path.as_bytes());
            let name = name.map_err(|_| malformed("the name of an array is not UTF-8"))?;
            grow("the names", &mut names)?;
            names.push(name.strip_suffix(SUFFIX).unwrap_or(name).to_owned());
            grow("the names", &mut entries)?;
            entries.push(Entry {
                at: entry.wayfinder(),
                method: entry.compression_method(),
                is_encrypted: entry.flags().is_encrypted(),
            });
        }
        Ok(Self {
            archive,
            names,
            entries,
        })
    }

    /// Opens an array.
    fn open_entry(&self, entry: &Entry) -> Result<Found<'_>, String> {
        if entry.is_encrypted {
            return Err("it is encrypted".to_owned());
        }
        let file = self.archive.get_entry(entry.at);
        let file = file.map_err(|error| error.to_string())?;
        let mut data: Box<dyn Read + '_> = match entry.method {
            CompressionMethod::STORE => Box::new(file.verifying_reader(file.data())),
            CompressionMethod::DEFLATE => {
                let inflated = DeflateDecoder::new(file.data());
                Box::new(file.verifying_reader(inflated))
            }
            other => {
                return Err(format!(
                    "its compression is {other}, expected deflate or none"
                ));
            }
        };
        let header = Header::read(&mut data).map_err(|error| error.to_string())?;
        Ok(Found {
            shape: header.shape,
            kind: header.kind,
            order: header.order,
            data,
        })
    }
}

impl TensorFile for File<'_> {
    const KIND: &'static str = "npz";

    fn names(&self) -> &[String] {
        &self.names
    }

    fn open(&self, index: usize) -> Result<Found<'_>, InterchangeError> {
        let opened = self.open_entry(&self.entries[index]);
        opened.map_err(|what| malformed(format_args!("the array {:?}: {what}", self.names[index])))
    }
}

fn malformed(what: impl Display) -> InterchangeError {
    InterchangeError::Malformed {
        kind: File::KIND,
        message: what.to_string(),
    }
}
