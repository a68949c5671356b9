//! Files of rows of numbers, and how their size is checked.

use crate::error::Error;
#[cfg(feature = "npz")]
use crate::interchange::npy_header::Header;
use crate::number::Number;
use crate::regular_file;
use std::fs::File;
use std::io;
use std::path::Path;

/// An open file of numbers, one example per row, for a [`FileSource`](super::FileSource).
///
/// All rows have the same length. Opening the file checks its size and reads no numbers. The file
/// must not change while it is open.
///
/// # Example
/// Two rows of three numbers:
/// ```
/// use backprop::source::{Number, RowFile};
///
/// let path = std::env::temp_dir().join(format!("rows-{}", std::process::id()));
/// let rows = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// std::fs::write(&path, rows.map(f32::to_le_bytes).concat())?;
/// let file = RowFile::raw(&path, Number::F32, 3)?;
/// assert_eq!((file.rows(), file.columns()), (2, 3));
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RowFile {
    /// The path, for messages.
    name: String,
    file: File,
    /// Locked while the offset of the file is set and bytes are read there.
    #[cfg(not(unix))]
    offset: std::sync::Mutex<()>,
    layout: Layout,
    rows: usize,
}

/// What a file holds after its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The offset of the first row in bytes.
    start: u64,
    pub(super) number: Number,
    pub(super) big_endian: bool,
    pub(super) columns: usize,
}

impl RowFile {
    /// Opens a file that holds only numbers: those of the first row, then those of the second, and
    /// so on, each with its lowest byte first.
    ///
    /// NumPy writes such a file with `x.tofile(path)`, for an array of shape (m, `columns`) on a
    /// little-endian machine.
    ///
    /// # Errors
    /// Returns [`Error::Source`] if the file cannot be opened, is not a regular file, is empty, or
    /// has an incomplete row, and if `columns` is 0.
    ///
    /// # Example
    /// The documentation of [`RowFile`] has one.
    #[doc(alias("fromfile", "memmap"))]
    pub fn raw(path: impl AsRef<Path>, number: Number, columns: usize) -> Result<Self, Error> {
        let (name, file, length) = open(path.as_ref())?;
        let row = bytes([columns, number.size()]);
        let reason = if columns == 0 {
            "rows of 0 numbers, expected at least 1".to_owned()
        } else if length == 0 {
            "the file is empty, expected at least one row".to_owned()
        } else if !u128::from(length).is_multiple_of(row) {
            format!(
                "the file has {length} bytes, expected a multiple of {row}: a row has {columns} \
                 numbers of type {number}"
            )
        } else {
            let layout = Layout {
                start: 0,
                number,
                big_endian: false,
                columns,
            };
            // At least 1, because the length is a multiple above 0.
            return Self::checked(name, file, layout, u128::from(length) / row);
        };
        Err(Error::Source { name, reason })
    }

    /// Opens an array that NumPy saved with `np.save(path, x)`, in C order (feature `npz`).
    ///
    /// An array of shape (m, n) has m rows of n numbers. One of shape (m,) has rows of one number,
    /// and one of shape (m, a, b, …) rows of a b … numbers. The numbers are floats of 2, 4 or 8
    /// bytes, integers or booleans, in either byte order.
    ///
    /// # Errors
    /// Returns [`Error::Source`] if the file cannot be opened, is not a regular file, is not an
    /// array of such numbers, has the wrong length, has no numbers, or is in Fortran order.
    ///
    /// # Example
    /// ```
    /// use backprop::interchange::npy;
    /// use backprop::source::RowFile;
    ///
    /// let path = std::env::temp_dir().join(format!("rows-{}.npy", std::process::id()));
    /// npy::save(&path, backprop::row_major(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3)?)?;
    /// let file = RowFile::npy(&path)?;
    /// assert_eq!((file.rows(), file.columns()), (2, 3));
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "npz")]
    #[doc(alias("np.load", "memmap"))]
    pub fn npy(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (name, mut file, length) = open(path.as_ref())?;
        match Header::read(&mut file).map_err(|error| incomplete(&error)) {
            Ok(header) => match array(&header, length) {
                Ok(Array { layout, rows }) => Self::checked(name, file, layout, rows as u128),
                Err(reason) => Err(Error::Source { name, reason }),
            },
            Err(reason) => Err(Error::Source { name, reason }),
        }
    }

    /// Returns a file whose size has been checked.
    fn checked(name: String, file: File, layout: Layout, rows: u128) -> Result<Self, Error> {
        let cols = layout.columns;
        let rows = usize::try_from(rows).map_err(|_| Error::TooLarge {
            what: "the indices of the rows of a file",
            rows: usize::MAX,
            cols,
        })?;
        Ok(Self {
            name,
            file,
            #[cfg(not(unix))]
            offset: std::sync::Mutex::new(()),
            layout,
            rows,
        })
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of numbers in a row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.layout.columns
    }

    /// Returns the type of the numbers.
    #[must_use]
    pub fn number(&self) -> Number {
        self.layout.number
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the path.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns an error of this file.
    pub(super) fn error(&self, reason: String) -> Error {
        let name = self.name.clone();
        Error::Source { name, reason }
    }

    /// Returns the length of a row in bytes. The file has at least one row, so it fits.
    pub(super) fn row_bytes(&self) -> u64 {
        self.layout.columns as u64 * self.layout.number.size() as u64
    }

    /// Returns the offset of a row in bytes.
    pub(super) fn offset(&self, row: usize) -> u64 {
        self.layout.start + row as u64 * self.row_bytes()
    }

    /// Reads bytes at an offset.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
        self.read_exact_at(bytes, offset).map_err(|error| {
            let length = self.file.metadata().map_or(0, |found| found.len());
            let end = self.offset(self.rows);
            if error.kind() != io::ErrorKind::UnexpectedEof || length >= end {
                return self.error(error.to_string());
            }
            self.error(format!(
                "the file has {length} bytes, expected {end}: it was cut after it was opened"
            ))
        })
    }

    #[cfg(unix)]
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read as _, Seek as _};

        let _held = self.offset.lock();
        (&self.file).seek(io::SeekFrom::Start(offset))?;
        (&self.file).read_exact(bytes)
    }
}

/// Opens a regular file, and returns its name and its length too.
fn open(path: &Path) -> Result<(String, File, u64), Error> {
    let name = path.display().to_string();
    let opened = regular_file::open(path).and_then(|file| {
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    match opened {
        Ok((file, length)) => Ok((name, file, length)),
        Err(error) => Err(Error::Source {
            name,
            reason: error.to_string(),
        }),
    }
}

/// Multiplies sizes. On overflow, returns a number that is larger than any file.
fn bytes(sizes: impl IntoIterator<Item = usize>) -> u128 {
    let mut sizes = sizes.into_iter();
    let product = sizes.try_fold(1_u128, |product, size| product.checked_mul(size as u128));
    product.unwrap_or(u128::MAX)
}

/// An array whose header fits its file.
#[cfg(feature = "npz")]
struct Array {
    layout: Layout,
    rows: usize,
}

/// Compares the header of an array with the length of its file. Otherwise returns the reason.
#[cfg(feature = "npz")]
fn array(header: &Header, length: u64) -> Result<Array, String> {
    let shape = &header.shape;
    let number = header.kind.as_ref().map_err(|kind| {
        format!(
            "the entries are {kind}, expected floats of 2, 4 or 8 bytes, integers or booleans: \
             convert them with `x.astype(np.float32)`"
        )
    });
    let number = *number?;
    let Some((&rows, row)) = shape.split_first() else {
        return Err("the array has no axes, expected examples along the first".to_owned());
    };
    if shape.contains(&0) {
        return Err(format!(
            "the array has the shape {shape:?}, expected at least one number"
        ));
    }
    let start = header.length as u64;
    let found = length.saturating_sub(start);
    let expected = bytes(shape.iter().copied().chain([number.size()]));
    if expected != u128::from(found) {
        return Err(format!(
            "the numbers have {found} bytes, expected {expected}: the shape is {shape:?}, of \
             {number}"
        ));
    }
    if header.order.fortran && shape.len() > 1 {
        return Err(
            "the array is in Fortran order, expected C order, where an example is a row: save it \
             with `np.save(path, np.ascontiguousarray(x))`"
                .to_owned(),
        );
    }
    let columns = row.iter().product();
    let layout = Layout {
        start,
        number,
        big_endian: header.order.big_endian,
        columns,
    };
    Ok(Array { layout, rows })
}

/// Describes why a header cannot be read.
#[cfg(feature = "npz")]
fn incomplete(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the file ends before its header does".to_owned(),
        _ => error.to_string(),
    }
}
