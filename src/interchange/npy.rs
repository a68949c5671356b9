//! NumPy's `.npy`: one array, for the data of examples (feature `npz`).
//!
//! In NumPy, examples are rows. An array of m examples with n features, `X.shape == (m, n)`, is
//! read as this crate's n × m matrix. In C order, NumPy's default, both have the same order in
//! memory, so nothing is transposed.
//!
//! | array | matrix |
//! |---|---|
//! | `(m, n)` | n × m |
//! | `(m,)` | 1 × m |
//! | `(m, a, b, …)`, such as sequences and images | (a b …) × m, each example in C order |
//!
//! # Example
//! ```
//! use backprop::Examples;
//! use backprop::interchange::{Options, npy};
//! use backprop::nalgebra::DMatrix;
//!
//! let folder = std::env::temp_dir();
//! let (x, y) = (folder.join("example-x.npy"), folder.join("example-y.npy"));
//! // np.save("example-x.npy", [[0., 0.], [0., 1.], [1., 1.]])
//! npy::save(&x, &DMatrix::from_column_slice(2, 3, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]))?;
//! npy::save(&y, &DMatrix::from_column_slice(1, 3, &[0.0, 1.0, 0.0]))?;
//!
//! let x = npy::load::<f64>(&x, &Options::new())?;
//! let y = npy::load::<f64>(&y, &Options::new())?;
//! assert_eq!(x.column(1).as_slice(), &[0.0, 1.0]); // X[1] in NumPy
//! let examples = Examples::new(&x, &y)?;
//! assert_eq!(examples.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Types
//! Floats of 2, 4 and 8 bytes, integers and booleans are read, in either byte order, in C order
//! and in Fortran order. A number that the scalar type cannot hold exactly is an error, unless
//! [`Options::rounded`] is set. NaN and infinities are accepted here, but
//! [`Examples`](crate::Examples) refuses them, except in missing targets
//! ([`Examples::with_missing`](crate::Examples::with_missing)).

use super::npy_header::Header;
use super::strides::row_major;
use super::tensors::{Accepts, Found, Target, Tensor};
use super::{InterchangeError, Options};
use crate::allocation::{allocate, fits, reserved};
use crate::columns::Columns;
use crate::file_scalar::FileScalar;
use crate::number::Number;
use crate::regular_file;
use nalgebra::{DMatrix, DMatrixView};
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

/// An array that was read from bytes: a matrix with one example per column, which borrows the bytes
/// if it can.
///
/// # Example
/// [`from_bytes`] has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a, T: FileScalar> {
    rows: usize,
    numbers: Cow<'a, [T]>,
}

impl<T: FileScalar> Array<'_, T> {
    /// Returns the matrix, n × m.
    #[must_use]
    pub fn view(&self) -> DMatrixView<'_, T> {
        DMatrixView::from_slice(&self.numbers, self.rows, self.numbers.len() / self.rows)
    }

    /// Returns whether the numbers are borrowed from the bytes, rather than copied.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self.numbers, Cow::Borrowed(_))
    }
}

/// Reads a file as a matrix with one example per column.
///
/// Memory is allocated only for the matrix. Numbers of type T in C order go from the file to the
/// matrix without another copy.
///
/// # Errors
/// - [`InterchangeError::Io`] if the file cannot be opened or is not a regular file.
/// - [`InterchangeError::File`] with the reason otherwise: an error of [`from_bytes`].
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("from_numpy", "np.load"))]
pub fn load<T: FileScalar>(
    path: impl AsRef<Path>,
    options: &Options<'_>,
) -> Result<DMatrix<T>, InterchangeError> {
    let path = path.as_ref();
    let io = |source| super::io(path, source);
    let file = regular_file::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let read = read_all(file, length, options);
    read.map_err(|error| error.of_file(path))
}

/// Reads the array of a file of this length.
fn read_all<T: FileScalar>(
    mut file: impl Read,
    length: u64,
    options: &Options<'_>,
) -> Result<DMatrix<T>, InterchangeError> {
    let header = Header::read(&mut file).map_err(malformed)?;
    let (rows, columns) = header.matrix(length)?;
    let mut numbers = allocate("the array", (rows, columns), T::zero())?;
    match T::bytes_mut(&mut numbers) {
        Some(bytes) if header.is_c_order_of::<T>() => {
            file.read_exact(bytes).map_err(malformed)?;
        }
        _ => convert(header, file, &mut numbers, options)?,
    }
    Ok(DMatrix::from_vec(rows, columns, numbers))
}

/// Reads the bytes of a file as a matrix with one example per column.
///
/// The matrix borrows the bytes if they hold numbers of type T in C order, in the byte order of
/// this machine, and are aligned. Otherwise the numbers are copied. NumPy starts the numbers at a
/// multiple of 64 bytes, so those of a file that is mapped into memory are aligned.
///
/// # Errors
/// - [`InterchangeError::Malformed`] if the bytes are not a file of this format, are damaged, or
///   hold an array without axes or without numbers.
/// - [`InterchangeError::Type`] if the entries are not numbers.
/// - [`InterchangeError::Inexact`] or [`InterchangeError::NonFinite`] with the first number that T
///   cannot hold.
/// - [`InterchangeError::Network`] if there is not enough memory.
///
/// # Example
/// ```
/// use backprop::interchange::{Options, npy};
///
/// let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // two examples of three features
/// let bytes = npy::to_bytes(backprop::row_major(&x, 3)?)?;
/// let array = npy::from_bytes::<f64>(&bytes, &Options::new())?;
/// assert_eq!(array.view().shape(), (3, 2));
/// assert_eq!(array.view().column(1).as_slice(), &x[3..]);
///
/// let y = npy::to_bytes(backprop::row_major(&[0.0, 1.0], 1)?)?;
/// let y = npy::from_bytes::<f64>(&y, &Options::new())?;
/// let (x, y) = (array.view(), y.view());
/// assert_eq!(backprop::Examples::new(x, y)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes<'a, T: FileScalar>(
    bytes: &'a [u8],
    options: &Options<'_>,
) -> Result<Array<'a, T>, InterchangeError> {
    let mut rest = bytes;
    let header = Header::read(&mut rest).map_err(malformed)?;
    let (rows, columns) = header.matrix(bytes.len() as u64)?;
    let numbers = match T::view(rest) {
        Some(numbers) if header.is_c_order_of::<T>() => Cow::Borrowed(numbers),
        _ => {
            let mut numbers = allocate("the array", (rows, columns), T::zero())?;
            convert(header, rest, &mut numbers, options)?;
            Cow::Owned(numbers)
        }
    };
    Ok(Array { rows, numbers })
}

/// Writes a matrix to a file, replacing any existing one: see [`to_bytes`].
///
/// # Errors
/// - [`InterchangeError::Network`] if there is not enough memory.
/// - [`InterchangeError::Io`] if the file cannot be written.
///
/// # Example
/// The [module documentation](self) has one.
#[doc(alias("to_numpy", "np.save"))]
pub fn save<'a, T: FileScalar>(
    path: impl AsRef<Path>,
    matrix: impl Columns<'a, T>,
) -> Result<(), InterchangeError> {
    super::save(path.as_ref(), &to_bytes(matrix)?)
}

/// Returns the bytes of a file with a matrix, such as X or the outputs of a network: an array of
/// shape (m, n) in C order, with one example per row.
///
/// # Errors
/// Returns [`InterchangeError::Network`] if there is not enough memory.
///
/// # Example
/// ```
/// use backprop::interchange::npy;
///
/// let bytes = npy::to_bytes(&[0.5_f32, 0.25])?; // one example
/// assert_eq!(bytes.len(), 128 + 8);
/// assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_bytes<'a, T: FileScalar>(
    matrix: impl Columns<'a, T>,
) -> Result<Vec<u8>, InterchangeError> {
    let matrix = matrix.columns_view();
    let (rows, columns) = matrix.shape();
    let header = Header::bytes(T::DESCRIPTION, &[columns, rows]);
    let too_large = crate::Error::TooLarge {
        what: "the file",
        rows,
        cols: columns,
    };
    let length = rows.checked_mul(columns).filter(|&len| fits::<T>(len));
    let length = length.ok_or(too_large)? * size_of::<T>();
    let mut bytes = reserved("the file", header.len().saturating_add(length))?;
    bytes.extend_from_slice(&header);
    // Without rows, the number of columns may be huge.
    if rows > 0 {
        for number in matrix.iter() {
            number.push_bytes(&mut bytes);
        }
    }
    Ok(bytes)
}

/// Reads numbers of any type and order.
fn convert<T: FileScalar>(
    header: Header,
    data: impl Read,
    numbers: &mut [T],
    options: &Options<'_>,
) -> Result<(), InterchangeError> {
    let strides = row_major(&header.shape);
    let mut found = Found {
        shape: header.shape,
        kind: header.kind,
        order: header.order,
        data: Box::new(data),
    };
    let tensor = Tensor {
        name: NAME,
        file: KIND,
        rounded: options.rounded,
    };
    let to = Target {
        numbers,
        start: 0,
        strides: &strides,
        least: f64::NEG_INFINITY,
    };
    tensor.fill(&mut found, Accepts::Any, to)
}

impl Header {
    /// Returns the rows and columns of the array as a matrix, if the numbers are those of a file of
    /// this length.
    fn matrix(&self, length: u64) -> Result<(usize, usize), InterchangeError> {
        let Some((&columns, example)) = self.shape.split_first() else {
            return Err(malformed(
                "the array has no axes, expected examples along the first",
            ));
        };
        let kind = Accepts::Any.checked(&self.kind, NAME)?;
        if self.shape.contains(&0) {
            return Err(malformed("the array has no numbers"));
        }
        let mut all = self.shape.iter();
        let bytes = all.try_fold(kind.size(), |bytes, &axis| bytes.checked_mul(axis));
        let found = length.saturating_sub(self.length as u64);
        if bytes.is_none_or(|bytes| bytes as u64 != found) {
            let shape = &self.shape;
            let what = format!("the shape is {shape:?}, but there are {found} bytes of numbers");
            return Err(malformed(what));
        }
        Ok((example.iter().product(), columns))
    }

    /// Returns whether the bytes are those of a slice of T in memory.
    fn is_c_order_of<T: FileScalar>(&self) -> bool {
        let native = self.order.big_endian == cfg!(target_endian = "big");
        let c_order = !self.order.fortran || self.shape.len() < 2;
        native && c_order && self.kind == Ok(Number::of::<T>())
    }
}

const KIND: &str = "npy";

/// The name of the array in messages.
const NAME: &str = "array";

fn malformed(what: impl std::fmt::Display) -> InterchangeError {
    InterchangeError::Malformed {
        kind: KIND,
        message: what.to_string(),
    }
}
