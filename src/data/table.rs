//! Tables of numbers and text, before they become matrices.

use crate::allocation::{allocate, collected, grow};
use crate::error::{Error, TableFault};
use crate::examples::check_finite;
use crate::scalar::{Scalar, real};
use nalgebra::DMatrix;

/// A table with named columns of numbers or text, whose values may be missing.
///
/// It comes from a CSV file (`source::Csv`, feature `csv`) or from columns in memory. A
/// [`Pipeline`](super::Pipeline) makes the inputs X of a network from it.
///
/// # Example
/// ```
/// use backprop::data::Table;
/// use backprop::nalgebra::DMatrix;
///
/// let table = Table::new()
///     .with_numbers("mass", [3.7, 3.8])?
///     .with_numbers("year", [2007.0, f64::NAN])? // NaN is a missing number
///     .with_text("sex", [Some("male".to_owned()), None])?;
/// assert_eq!(table.rows(), 2);
/// assert_eq!(table.matrix::<f64>(&["mass"])?, DMatrix::from_row_slice(1, 2, &[3.7, 3.8]));
///
/// let refused = table.matrix::<f64>(&["mass", "year"]).unwrap_err();
/// assert!(refused.to_string().starts_with("column \"year\", example 1: the value is missing"));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[doc(alias("DataFrame"))]
pub struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: usize,
    /// The index of the first row in its file, for messages.
    pub(crate) first: usize,
    /// The cells that mean a missing value; if there are none, the empty cell and `NA`.
    pub(crate) marks: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) values: Values,
}

#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// NaN is a missing number.
    Numbers(Vec<f64>),
    Text(Vec<Option<String>>),
}

impl Values {
    pub(crate) fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values[row].is_nan(),
            Self::Text(values) => values[row].is_none(),
        }
    }
}

impl Column {
    /// Appends a cell.
    pub(crate) fn push(&mut self, cell: &str, marks: &[String]) -> Result<(), Error> {
        let is_default = marks.is_empty() && ["", "NA"].contains(&cell);
        let is_missing = is_default || marks.iter().any(|mark| mark == cell);
        match &mut self.values {
            Values::Numbers(values) => {
                let number = match cell.parse() {
                    _ if is_missing => f64::NAN,
                    Ok(number) if f64::is_finite(number) => number,
                    _ => return Err(not_finite(&self.name, cell)),
                };
                grow("a column", values)?;
                values.push(number);
            }
            Values::Text(values) => {
                grow("a column", values)?;
                values.push((!is_missing).then(|| cell.to_owned()));
            }
        }
        Ok(())
    }
}

impl Table {
    /// Returns a table without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of numbers, in which NaN is a missing value.
    ///
    /// # Errors
    /// - [`TableFault::Repeated`] if there is a column of this name.
    /// - [`TableFault::Length`] if the columns before it have another length.
    pub fn with_numbers(
        self,
        name: &str,
        values: impl IntoIterator<Item = f64>,
    ) -> Result<Self, Error> {
        let values: Vec<_> = values.into_iter().collect();
        self.with(name, values.len(), Values::Numbers(values))
    }

    /// Adds a column of text, in which `None` is a missing value.
    ///
    /// # Errors
    /// - [`TableFault::Repeated`] if there is a column of this name.
    /// - [`TableFault::Length`] if the columns before it have another length.
    pub fn with_text(
        self,
        name: &str,
        values: impl IntoIterator<Item = Option<String>>,
    ) -> Result<Self, Error> {
        let values: Vec<_> = values.into_iter().collect();
        self.with(name, values.len(), Values::Text(values))
    }

    fn with(mut self, name: &str, found: usize, values: Values) -> Result<Self, Error> {
        let (name, expected) = (name.to_owned(), self.rows);
        if self.columns.iter().any(|column| column.name == name) {
            return Err(fault(TableFault::Repeated { column: name }));
        }
        if !self.columns.is_empty() && found != expected {
            let length = TableFault::Length {
                column: name,
                expected,
                found,
            };
            return Err(fault(length));
        }
        self.rows = found;
        self.columns.push(Column { name, values });
        Ok(self)
    }

    /// Returns the number of rows, m.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn values(&self, name: &str) -> Result<&Values, Error> {
        let names = self.columns.iter().map(|column| column.name.as_str());
        Ok(&self.columns[place(names, name)?].values)
    }

    /// Returns a column of numbers, in which NaN is a missing value.
    ///
    /// # Errors
    /// [`TableFault::Absent`] if there is no such column, and [`TableFault::Kind`] if its values
    /// are text.
    pub fn numbers(&self, name: &str) -> Result<&[f64], Error> {
        match self.values(name)? {
            Values::Numbers(values) => Ok(values),
            Values::Text(_) => Err(kind(name, "numbers")),
        }
    }

    /// Returns a column of text, in which `None` is a missing value.
    ///
    /// # Errors
    /// [`TableFault::Absent`] if there is no such column, and [`TableFault::Kind`] if its values
    /// are numbers.
    pub fn text(&self, name: &str) -> Result<&[Option<String>], Error> {
        match self.values(name)? {
            Values::Text(values) => Ok(values),
            Values::Numbers(_) => Err(kind(name, "text")),
        }
    }

    /// Returns a column of text without missing values, such as class names for a
    /// [`LabelEncoder`](super::LabelEncoder).
    ///
    /// # Errors
    /// The errors of [`text`](Self::text), and [`TableFault::Missing`] with the first missing
    /// value.
    ///
    /// # Example
    /// ```
    /// use backprop::data::{LabelEncoder, Table};
    ///
    /// let species = ["Gentoo", "Adelie", "Gentoo"].map(|name| Some(name.to_owned()));
    /// let names = Table::new().with_text("species", species)?.names("species")?;
    /// assert_eq!(LabelEncoder::fit(&names)?.encode(&names)?, [1, 0, 1]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn names(&self, name: &str) -> Result<Vec<String>, Error> {
        let values = self.text(name)?.iter().enumerate();
        let names = values.map(|(row, value)| value.clone().ok_or_else(|| self.missing(name, row)));
        collected("the names", self.rows, names)
    }

    /// Returns columns of numbers as a matrix (n × m): a row for each column, and an example per
    /// column, as for X and Y.
    ///
    /// # Errors
    /// - The errors of [`numbers`](Self::numbers), and [`TableFault::Missing`] with the first
    ///   missing value.
    /// - [`Error::NonFinite`] with the first number that overflows T.
    pub fn matrix<T: Scalar>(&self, names: &[&str]) -> Result<DMatrix<T>, Error> {
        let mut matrix = zeros(names.len(), self.rows)?;
        for (row, name) in names.iter().enumerate() {
            for (example, &x) in self.numbers(name)?.iter().enumerate() {
                if x.is_nan() {
                    return Err(self.missing(name, example));
                }
                matrix[(row, example)] = real(x);
            }
        }
        check_finite("the matrix of the table", matrix.as_view())?;
        Ok(matrix)
    }

    /// Returns the rows at the given indices, in that order, as [`select`](super::select) does for
    /// the columns of a matrix.
    ///
    /// # Errors
    /// Returns [`Error::Index`] with the first index that is not a row, and [`Error::TooLarge`] if
    /// the rows do not fit in memory.
    pub fn select(&self, indices: &[usize]) -> Result<Self, Error> {
        let (what, count) = ("example", self.rows);
        if let Some(&index) = indices.iter().find(|&&index| index >= count) {
            return Err(Error::Index { what, index, count });
        }
        let mut selected = Self {
            marks: self.marks.clone(),
            ..Self::new()
        };
        selected.rows = indices.len();
        for Column { name, values } in &self.columns {
            let values = match values {
                Values::Numbers(values) => Values::Numbers(chosen(values, indices)?),
                Values::Text(values) => Values::Text(chosen(values, indices)?),
            };
            let name = name.clone();
            selected.columns.push(Column { name, values });
        }
        Ok(selected)
    }

    pub(crate) fn missing(&self, name: &str, row: usize) -> Error {
        let (column, example) = (name.to_owned(), self.first + row);
        fault(TableFault::Missing { column, example })
    }
}

fn chosen<V: Clone>(values: &[V], indices: &[usize]) -> Result<Vec<V>, Error> {
    let chosen = indices.iter().map(|&index| Ok(values[index].clone()));
    collected("the selected rows", indices.len(), chosen)
}

pub(crate) fn zeros<T: Scalar>(rows: usize, cols: usize) -> Result<DMatrix<T>, Error> {
    let entries = allocate("the matrix of the table", (rows, cols), T::zero())?;
    Ok(DMatrix::from_vec(rows, cols, entries))
}

/// Returns the place of the only column of this name.
pub(crate) fn place<'a>(
    mut names: impl Iterator<Item = &'a str> + Clone,
    name: &str,
) -> Result<usize, Error> {
    let (known, column) = (names.clone(), name.to_owned());
    let Some(place) = names.position(|found| found == name) else {
        let known = known.map(str::to_owned).collect();
        return Err(fault(TableFault::Absent { column, known }));
    };
    if names.any(|found| found == name) {
        return Err(fault(TableFault::Repeated { column }));
    }
    Ok(place)
}

pub(crate) fn fault(fault: TableFault) -> Error {
    Error::Table { fault }
}

/// Returns the beginning of a cell, for a message.
pub(crate) fn beginning(cell: &str) -> String {
    cell.chars().take(40).collect()
}

pub(crate) fn not_finite(name: &str, cell: &str) -> Error {
    let (column, text) = (name.to_owned(), beginning(cell));
    fault(TableFault::Number { column, text })
}

pub(crate) fn kind(name: &str, expected: &'static str) -> Error {
    let column = name.to_owned();
    fault(TableFault::Kind { column, expected })
}
