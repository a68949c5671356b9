//! Tables from CSV files (feature `csv`).

use super::csv_lines::Lines;
use crate::allocation::allocate;
use crate::atomic;
use crate::data::Table;
use crate::data::table::{Column, Values, beginning, place};
use crate::error::{Error, TableFault, hyperparameter};
use crate::file_scalar::FileScalar;
use crate::regular_file;
use csv::{ByteRecord, ReaderBuilder, Trim};
use nalgebra::DMatrix;
use std::io::{self, Read, Write as _};
use std::path::Path;

/// How many bytes of cells a streamed part has, or few more.
const PART: usize = 1 << 20;

/// Reads named columns of a CSV file as numbers or text (feature `csv`).
///
/// The file is in UTF-8, and its first row holds the names of the columns. Cells in quotation marks
/// may hold delimiters, line ends and doubled quotation marks, as in RFC 4180. Lines end with LF or
/// CR LF. Empty lines are skipped, and so are spaces around a cell. Columns that are not named here
/// are not read. A cell that is empty or `NA` is a missing value, unless
/// [`missing`](Self::missing) chooses other marks.
///
/// Every error has the line at which its row begins: [`Error::Csv`] with a [`TableFault`].
///
/// # Example
/// ```
/// use backprop::source::Csv;
/// use backprop::nalgebra::DMatrix;
///
/// let csv = Csv::new().numbers(["mass", "flipper"]).text(["sex"]);
/// let table = csv.from_bytes(b"flipper,sex,mass\n181,male,3750\n186,NA,3800\n")?;
/// let x = table.matrix::<f64>(&["flipper", "mass"])?;
/// assert_eq!(x, DMatrix::from_row_slice(2, 2, &[181.0, 186.0, 3750.0, 3800.0]));
/// assert_eq!(table.text("sex")?, [Some("male".to_owned()), None]);
///
/// let refused = csv.from_bytes(b"flipper,sex,mass\n181,male,heavy\n").unwrap_err();
/// let text = "the CSV, line 2: column \"mass\": expected a finite number or a mark of a missing \
///             value, found \"heavy\"";
/// assert_eq!(refused.to_string(), text);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
#[doc(alias("read_csv"))]
pub struct Csv {
    delimiter: u8,
    /// The columns, still without rows, and the marks.
    empty: Table,
}

/// Reads no columns.
impl Default for Csv {
    fn default() -> Self {
        let (delimiter, empty) = (b',', Table::new());
        Self { delimiter, empty }
    }
}

impl Csv {
    /// Reads no columns, with commas between cells.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads these columns as numbers.
    pub fn numbers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(names, &Values::Numbers(Vec::new()))
    }

    /// Reads these columns as text.
    pub fn text<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(names, &Values::Text(Vec::new()))
    }

    fn with<'a>(mut self, names: impl IntoIterator<Item = &'a str>, values: &Values) -> Self {
        for name in names {
            let (name, values) = (name.to_owned(), values.clone());
            self.empty.columns.push(Column { name, values });
        }
        self
    }

    /// Sets the cells that mean a missing value, instead of the empty cell and `NA`.
    pub fn missing<'a>(mut self, marks: impl IntoIterator<Item = &'a str>) -> Self {
        self.empty.marks = marks.into_iter().map(str::to_owned).collect();
        self
    }

    /// Sets the delimiter between cells, an ASCII character such as `b';'`. The default is a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// - [`Error::Source`] if the file cannot be read.
    /// - [`Error::Csv`] with the line and the [`TableFault`]: a column that is absent or occurs
    ///   twice, a cell that is not a number or not UTF-8, a row with too many or too few cells,
    ///   quotation marks out of place, no rows, or a row of more than 16 MiB.
    /// - [`Error::Table`] if a column is to be read twice.
    /// - [`Error::Hyperparameter`] unless the delimiter is an ASCII character other than a
    ///   quotation mark, a space and a line end.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table, Error> {
        let name = path.as_ref().display().to_string();
        let file = regular_file::open(path.as_ref()).map_err(|error| failed(&name, &error))?;
        self.table(&name, file)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<Table, Error> {
        self.table("the CSV", bytes)
    }

    fn table(&self, name: &str, input: impl Read) -> Result<Table, Error> {
        let mut table = Table::new();
        self.parts(name, input, usize::MAX, |part| {
            table = part;
            Ok(())
        })?;
        Ok(table)
    }

    /// Converts a file of any length to a file of numbers, part by part.
    ///
    /// `convert` gets tables of some of the rows, in order. It returns a matrix with one example
    /// per column, such as that of a [`Pipeline`](crate::data::Pipeline) or of [`Table::matrix`].
    /// The new file holds the examples row by row, for
    /// [`RowFile::raw`](crate::source::RowFile::raw). It replaces an existing file only when it is
    /// complete. Memory holds about 1 MiB of cells at a time, or a single row. Returns the number
    /// of rows.
    ///
    /// # Errors
    /// - The errors of [`read`](Self::read), and those of `convert`.
    /// - [`Error::Shape`] if a matrix has another number of examples than its table, or another
    ///   number of rows than the one before it.
    /// - [`Error::Source`] if the new file cannot be written.
    ///
    /// # Example
    /// ```
    /// use backprop::source::{Csv, FileSource, Number, RowFile, Source};
    ///
    /// # let folder = std::env::temp_dir().join(format!("csv-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let (from, to) = (folder.join("xor.csv"), folder.join("xor.bin"));
    /// std::fs::write(&from, "a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")?;
    /// let csv = Csv::new().numbers(["a", "b", "y"]);
    /// let rows = csv.stream(&from, &to, |part| part.matrix::<f32>(&["a", "b", "y"]))?;
    /// assert_eq!(rows, 4);
    /// let source = FileSource::<f32>::joined(RowFile::raw(&to, Number::F32, 3)?, 2)?;
    /// assert_eq!((source.len(), source.inputs(), source.outputs()), (4, 2, 1));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream<T: FileScalar>(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        mut convert: impl FnMut(&Table) -> Result<DMatrix<T>, Error>,
    ) -> Result<usize, Error> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let [name, to_name] = [from, to].map(|path| path.display().to_string());
        let input = regular_file::open(from).map_err(|error| failed(&name, &error))?;
        let (mut rows, mut inputs, mut done) = (0, None, Ok(()));
        let written = atomic::save_with(to, |file| {
            done = self.parts(&name, input, PART, |part| {
                let (what, x) = ("the matrix of a part of the rows", convert(&part)?);
                let (expected, found) = ((*inputs.get_or_insert(x.nrows()), part.rows), x.shape());
                if found != expected {
                    return Err(Error::Shape {
                        what,
                        expected,
                        found,
                    });
                }
                rows += part.rows;
                let mut bytes = allocate(what, (x.len(), size_of::<T>()), 0)?;
                T::write(x.as_slice(), &mut bytes);
                file.write_all(&bytes)
                    .map_err(|error| failed(&to_name, &error))
            });
            done.is_ok()
                .then_some(())
                .ok_or(io::ErrorKind::Other.into())
        });
        done?;
        written.map_err(|error| failed(&to_name, &error))?;
        Ok(rows)
    }

    /// Calls `each` with tables of about `most` bytes of cells, in order.
    fn parts(
        &self,
        name: &str,
        input: impl Read,
        most: usize,
        mut each: impl FnMut(Table) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (delimiter, what) = (self.delimiter, "the delimiter (as a number)");
        if !delimiter.is_ascii() || b"\" \r\n".contains(&delimiter) {
            let expected = "an ASCII character other than a quotation mark, a space and a line end";
            return Err(hyperparameter(what, delimiter.into(), expected));
        }
        let columns = &self.empty.columns;
        for column in columns {
            place(
                columns.iter().map(|column| column.name.as_str()),
                &column.name,
            )?;
        }
        let mut builder = ReaderBuilder::new();
        builder
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All);
        let mut reader = builder.from_reader(Lines::new(input, delimiter));
        let (mut header, mut places) = (Vec::new(), Vec::new());
        let (mut part, mut bytes, mut record) = (self.empty.clone(), 0, ByteRecord::new());
        loop {
            let read = reader.read_byte_record(&mut record);
            let (line, fault) = (reader.get_ref().line, reader.get_ref().fault);
            let refused = |fault| {
                let name = name.to_owned();
                Error::Csv { name, line, fault }
            };
            let at_line = |error| match error {
                Error::Table { fault } => refused(fault),
                other => other,
            };
            let any = read.map_err(|error| match fault {
                Some(what) => refused(TableFault::Syntax { what }),
                None => failed(name, &error),
            })?;
            let text = |place: usize| {
                std::str::from_utf8(&record[place]).map_err(|_| {
                    let text = beginning(&String::from_utf8_lossy(&record[place]));
                    let cell = place + 1;
                    refused(TableFault::Encoding { cell, text })
                })
            };
            if !any {
                let what = match (header.is_empty(), part.first + part.rows) {
                    (true, _) => "there is no header, expected the names of the columns",
                    (_, 0) => "there are no rows after the header, expected at least one",
                    _ if part.rows > 0 => return each(part),
                    _ => return Ok(()),
                };
                return Err(refused(TableFault::Syntax { what }));
            }
            if header.is_empty() {
                for cell in 0..record.len() {
                    header.push(text(cell)?.to_owned());
                }
                for column in columns {
                    let names = header.iter().map(String::as_str);
                    places.push(place(names, &column.name).map_err(at_line)?);
                }
                continue;
            }
            let (expected, found) = (header.len(), record.len());
            if found != expected {
                return Err(refused(TableFault::Cells { expected, found }));
            }
            for (&place, column) in places.iter().zip(&mut part.columns) {
                let pushed = column.push(text(place)?, &self.empty.marks);
                pushed.map_err(at_line)?;
            }
            part.rows += 1;
            bytes += record.as_slice().len();
            if bytes >= most {
                let mut next = self.empty.clone();
                next.first = part.first + part.rows;
                each(std::mem::replace(&mut part, next))?;
                bytes = 0;
            }
        }
    }
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> Error {
    let (name, reason) = (name.to_owned(), error.to_string());
    Error::Source { name, reason }
}
