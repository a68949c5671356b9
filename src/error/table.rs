//! Why a table was refused.

use super::words::{listed, value_of};

/// Why a table, a CSV file or a raw row was refused, in [`Error::Table`](crate::Error::Table) and
/// [`Error::Csv`](crate::Error::Csv).
///
/// # Example
/// ```
/// use backprop::data::{Pipeline, Steps, Table};
/// use backprop::{Error, TableFault};
///
/// let table = Table::new().with_text("sex", ["female", "male"].map(|s| Some(s.to_owned())))?;
/// let pipeline = Pipeline::<f64>::fit(&table, &[Steps::of(["sex"])])?;
/// let refused = pipeline.row(&[("sex", "mael")]);
/// let text = "column \"sex\", example 0: the category \"mael\" is unknown, expected \"female\", \
///             \"male\"";
/// assert!(matches!(&refused, Err(Error::Table { fault: TableFault::Category { .. } })));
/// assert_eq!(refused.map_err(|error| error.to_string()), Err(text.to_owned()));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableFault {
    /// A column that the table does not have.
    #[error("there is no column {column:?}, expected one of {}", listed(.known))]
    Absent {
        /// The name.
        column: String,
        /// The names of the columns.
        known: Vec<String>,
    },
    /// A name that occurs twice.
    #[error("there is more than one column {column:?}, expected one")]
    Repeated {
        /// The name.
        column: String,
    },
    /// A column of numbers where text is needed, or the reverse.
    #[error("the values of column {column:?} are not {expected}: read it as {expected}")]
    Kind {
        /// The column.
        column: String,
        /// `"numbers"` or `"text"`.
        expected: &'static str,
    },
    /// A cell that is not a finite number.
    #[error(
        "column {column:?}: expected a finite number or a mark of a missing value, found {text:?}"
    )]
    Number {
        /// The column.
        column: String,
        /// The cell, or its beginning.
        text: String,
    },
    /// A missing value where every value is needed.
    #[error(
        "column {column:?}, example {example}: the value is missing, expected a value, or a column \
         whose missing values are filled"
    )]
    Missing {
        /// The column.
        column: String,
        /// The example.
        example: usize,
    },
    /// A column without a single value, to which nothing can be fitted.
    #[error("all values of column {column:?} are missing, expected at least one")]
    Empty {
        /// The column.
        column: String,
    },
    /// A category that the encoder was not fitted to.
    #[error(
        "column {column:?}, example {example}: the category {} is unknown, expected {}",
        value_of(.value.as_deref()), listed(.known)
    )]
    Category {
        /// The column.
        column: String,
        /// The example.
        example: usize,
        /// The category; `None` if the value is missing.
        value: Option<String>,
        /// The known categories.
        known: Vec<String>,
    },
    /// A column whose length differs from that of the others.
    #[error("column {column:?} has {found} values, expected {expected}, as the columns before it")]
    Length {
        /// The column.
        column: String,
        /// The number of rows of the table.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// A row of a CSV file with more or fewer cells than the header has names.
    #[error("the row has {found} cells, expected {expected}, one for each name in the header")]
    Cells {
        /// The number of names in the header.
        expected: usize,
        /// The number of cells.
        found: usize,
    },
    /// A cell that is not text in UTF-8.
    #[error("cell {cell} is not text in UTF-8: {text:?}; convert the file")]
    Encoding {
        /// The position of the cell in its row, from 1.
        cell: usize,
        /// The cell, or its beginning, with � for what is not UTF-8.
        text: String,
    },
    /// Quotation marks or line ends that CSV (RFC 4180) does not allow, or a missing part.
    #[error("{what}")]
    Syntax {
        /// What is wrong, and what to do.
        what: &'static str,
    },
}
