//! Tables to matrices: missing values, categories and scaling, fitted once.

use super::labels::LabelEncoder;
use super::min_max::MinMaxScaler;
use super::scaler::Scaler;
use super::standardizer::Standardizer;
use super::statistics::{moments, ranges};
use super::table::{Column, Table, Values, fault, kind, not_finite, place, zeros};
use crate::allocation::reserved;
use crate::error::{Error, TableFault};
use crate::examples::check_finite;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrix, DMatrixViewMut, DVector};

/// Makes the inputs X of a network from a [`Table`]: fills missing values, encodes categories as
/// one-hot rows, and scales.
///
/// It is fitted to the training rows and kept: new rows get the same values, categories and scales.
/// Save it in one file with the network (`saving::save`, feature `serde`). Then
/// `network.forward(&pipeline.row(&cells)?)` predicts from a raw row.
///
/// [`Steps`] describe what happens to a column. X has the rows of the columns in the order of the
/// steps. The results are those of scikit-learn's `ColumnTransformer` with an entry for each
/// column.
///
/// # Example
/// ```
/// use backprop::data::{Fill, Pipeline, Steps, Table};
/// use backprop::nalgebra::DMatrix;
///
/// let sex = ["male", "female", "female"].map(|sex| Some(sex.to_owned()));
/// let table = Table::new()
///     .with_numbers("mass", [3.0, f64::NAN, 5.0])?
///     .with_text("sex", sex)?;
/// let mass = Steps::of(["mass"]).fill(Fill::Mean).min_max(0.0, 1.0);
/// let pipeline = Pipeline::<f64>::fit(&table, &[mass, Steps::of(["sex"])])?;
/// let x = DMatrix::from_row_slice(3, 3, &[
///     0.0, 0.5, 1.0, // the mass: the missing one is the mean of the others
///     0.0, 1.0, 1.0, // female
///     1.0, 0.0, 0.0, // male
/// ]);
/// assert_eq!(pipeline.apply(&table)?, x);
/// let row = pipeline.row(&[("year", "2007"), ("mass", "NA"), ("sex", "male")])?;
/// assert_eq!(row.as_slice(), [0.5, 0.0, 1.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[doc(alias("ColumnTransformer", "SimpleImputer", "OneHotEncoder"))]
pub struct Pipeline<T: Scalar> {
    /// The cells of a raw row that mean a missing value.
    marks: Vec<String>,
    columns: Vec<Fitted<T>>,
}

/// A fitted column. Whatever is read from a file, its methods return errors and do not panic.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Fitted<T: Scalar> {
    column: String,
    encoding: Encoding,
    indicator: bool,
    standardizer: Option<Standardizer<T>>,
    min_max: Option<MinMaxScaler<T>>,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
enum Encoding {
    Number {
        fill: Option<f64>,
    },
    OneHot {
        fill: Option<String>,
        categories: LabelEncoder<String>,
        /// Whether a missing value is the last category.
        missing: bool,
        unknown_as_zeros: bool,
    },
}

/// What a [`Pipeline`] does to columns, each by itself: fills missing values, encodes text, adds
/// an indicator, and scales.
///
/// A number is a row of X. Text is a category: it has a row for each category that occurs in the
/// fit, in ascending order, which is 1 for examples of that category and 0 for others. For an
/// `Embedding`, which takes ids, use [`LabelEncoder::encode`].
///
/// Without [`fill`](Self::fill), a missing number is an error. A missing text is a category of its
/// own, the last one, if it occurs in the fit.
///
/// # Example
/// ```
/// use backprop::data::{Fill, Pipeline, Steps, Table};
/// use backprop::nalgebra::DMatrix;
///
/// let island = ["Dream", "Biscoe", "Dream", "Dream"].map(|name| Some(name.to_owned()));
/// let table = Table::new()
///     .with_numbers("age", [1.0, f64::NAN, 9.0, 2.0])?
///     .with_text("island", island)?;
///
/// // The median of 1, 2 and 9, and a row that is 1 where the number was missing.
/// let age = Steps::of(["age"]).fill(Fill::Median).indicator();
/// let x = DMatrix::from_row_slice(2, 4, &[1.0, 2.0, 9.0, 2.0, 0.0, 1.0, 0.0, 0.0]);
/// assert_eq!(Pipeline::<f64>::fit(&table, &[age])?.apply(&table)?, x);
///
/// let strict = Pipeline::<f64>::fit(&table, &[Steps::of(["island"])])?;
/// assert_eq!(strict.row(&[("island", "Dream")])?.as_slice(), [0.0, 1.0]);
/// let refused = strict.row(&[("island", "Torgersen")]).unwrap_err().to_string();
/// assert!(refused.ends_with("\"Torgersen\" is unknown, expected \"Biscoe\", \"Dream\""));
///
/// let lenient = Steps::of(["island"]).fill(Fill::MostFrequent).unknown_as_zeros();
/// let lenient = Pipeline::<f64>::fit(&table, &[lenient])?;
/// assert_eq!(lenient.row(&[("island", "Torgersen")])?.as_slice(), [0.0, 0.0]);
/// assert_eq!(lenient.row(&[("island", "NA")])?.as_slice(), [0.0, 1.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Steps {
    columns: Vec<String>,
    fill: Option<Fill>,
    indicator: bool,
    unknown_as_zeros: bool,
    standardize: bool,
    min_max: Option<(f64, f64)>,
}

/// The value that replaces the missing ones of a column, in [`Steps::fill`].
///
/// # Example
/// The documentation of [`Steps`] has one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fill {
    /// The mean of the numbers.
    Mean,
    /// The median of the numbers: of an even count, the mean of the middle two.
    Median,
    /// The most frequent number or category, or the smallest of several.
    MostFrequent,
    /// This number.
    Number(f64),
    /// This category.
    Category(String),
}

impl Steps {
    /// Takes these columns as they are: numbers, or categories as one-hot rows.
    pub fn of<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let columns = columns.into_iter().map(str::to_owned).collect();
        Self {
            columns,
            ..Self::default()
        }
    }

    /// Fills missing values.
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = Some(fill);
        self
    }

    /// Adds a row after those of a column that has missing values in the fit. It is 1 where the
    /// value is missing and 0 elsewhere.
    #[doc(alias("add_indicator", "MissingIndicator"))]
    pub fn indicator(mut self) -> Self {
        self.indicator = true;
        self
    }

    /// Encodes an unknown category as 0 in every row of the column, instead of an error.
    #[doc(alias = "handle_unknown")]
    pub fn unknown_as_zeros(mut self) -> Self {
        self.unknown_as_zeros = true;
        self
    }

    /// Scales all rows of the column, indicators too, by a [`Standardizer`].
    pub fn standardize(mut self) -> Self {
        self.standardize = true;
        self
    }

    /// Scales all rows of the column, indicators too, to \[a, b] by a [`MinMaxScaler`].
    pub fn min_max(mut self, a: f64, b: f64) -> Self {
        self.min_max = Some((a, b));
        self
    }

    fn fit<T: Scalar>(&self, table: &Table, column: &str) -> Result<Fitted<T>, Error> {
        let values = table.values(column)?;
        let is_missing = |&row: &usize| values.is_missing(row);
        let gaps = (0..table.rows).filter(is_missing).count();
        if gaps == table.rows {
            let column = column.to_owned();
            return Err(fault(TableFault::Empty { column }));
        }
        let mut fitted = Fitted {
            column: column.to_owned(),
            encoding: self.encoding(column, values, gaps > 0)?,
            indicator: self.indicator && gaps > 0,
            standardizer: None,
            min_max: None,
        };
        if self.standardize {
            fitted.standardizer = Some(Standardizer::fit(&fitted.matrix(table)?)?);
        }
        if let Some((a, b)) = self.min_max {
            fitted.min_max = Some(MinMaxScaler::fit(&fitted.matrix(table)?)?.interval(a, b)?);
        }
        Ok(fitted)
    }

    fn encoding(&self, column: &str, values: &Values, gaps: bool) -> Result<Encoding, Error> {
        match values {
            Values::Numbers(values) => {
                let mut present = reserved("the present numbers", values.len())?;
                present.extend(values.iter().copied().filter(|x| !x.is_nan()));
                present.sort_unstable_by(f64::total_cmp);
                let fill = self.fill.as_ref().map(|fill| fill.number(column, present));
                Ok(Encoding::Number {
                    fill: fill.transpose()?,
                })
            }
            Values::Text(values) => {
                let mut present: Vec<&String> = reserved("the present values", values.len() + 1)?;
                present.extend(values.iter().flatten());
                present.sort_unstable();
                let fill = match &self.fill {
                    None => None,
                    Some(Fill::MostFrequent) => Some(most_frequent(&present)),
                    Some(Fill::Category(category)) => Some(category),
                    Some(_) => return Err(kind(column, "numbers")),
                };
                present.dedup();
                present.extend(fill.filter(|_| gaps));
                let categories: Vec<String> = present.into_iter().cloned().collect();
                Ok(Encoding::OneHot {
                    fill: fill.cloned(),
                    categories: LabelEncoder::fit(&categories)?,
                    missing: gaps && fill.is_none(),
                    unknown_as_zeros: self.unknown_as_zeros,
                })
            }
        }
    }
}

impl Fill {
    /// Returns the value for a column with these numbers, in ascending order.
    fn number(&self, column: &str, present: Vec<f64>) -> Result<f64, Error> {
        let middle = present.len() / 2;
        let value = match self {
            Self::Mean => {
                let row = DMatrix::from_vec(1, present.len(), present);
                moments(row.as_view(), &ranges(row.as_view())?)?[0].mean
            }
            Self::Median if present.len() % 2 == 1 => present[middle],
            Self::Median => 0.5 * present[middle - 1] + 0.5 * present[middle],
            Self::MostFrequent => most_frequent(&present),
            Self::Number(value) => *value,
            Self::Category(_) => return Err(kind(column, "text")),
        };
        let finite = Some(value).filter(|value| value.is_finite());
        finite.ok_or_else(|| not_finite(column, &value.to_string()))
    }
}

/// Returns the most frequent value, or the first of several. There is at least one.
fn most_frequent<V: PartialEq + Copy>(sorted: &[V]) -> V {
    let last_first = sorted.chunk_by(PartialEq::eq).rev();
    let most = last_first.max_by_key(|run| run.len());
    most.map_or(sorted[0], |run| run[0])
}

impl<T: Scalar> Fitted<T> {
    /// Returns the number of rows of X.
    fn rows(&self) -> usize {
        usize::from(self.indicator)
            + match &self.encoding {
                Encoding::Number { .. } => 1,
                Encoding::OneHot {
                    categories: known,
                    missing,
                    ..
                } => known.classes().len() + usize::from(*missing),
            }
    }

    fn matrix(&self, table: &Table) -> Result<DMatrix<T>, Error> {
        let mut x = zeros(self.rows(), table.rows)?;
        self.write(table, x.as_view_mut())?;
        Ok(x)
    }

    /// Writes the rows of this column, which are 0.
    fn write(&self, table: &Table, mut x: DMatrixViewMut<'_, T>) -> Result<(), Error> {
        let (name, last) = (&self.column, self.rows() - 1);
        match &self.encoding {
            Encoding::Number { fill } => {
                for (example, &value) in table.numbers(name)?.iter().enumerate() {
                    let value = Some(value).filter(|x| !x.is_nan()).or(*fill);
                    let value = value.ok_or_else(|| table.missing(name, example))?;
                    x[(0, example)] = real(value);
                }
            }
            Encoding::OneHot {
                fill,
                categories,
                missing,
                unknown_as_zeros,
            } => {
                let known = categories.classes();
                for (example, value) in table.text(name)?.iter().enumerate() {
                    let value = value.as_ref().or(fill.as_ref());
                    let row = match value {
                        Some(value) => known.binary_search(value).ok(),
                        None => missing.then_some(known.len()),
                    };
                    match row {
                        Some(row) => x[(row, example)] = T::one(),
                        None if *unknown_as_zeros => {}
                        None => {
                            return Err(fault(TableFault::Category {
                                column: name.clone(),
                                example: table.first + example,
                                value: value.cloned(),
                                known: known.to_vec(),
                            }));
                        }
                    }
                }
            }
        }
        if self.indicator {
            let values = table.values(name)?;
            for example in (0..table.rows).filter(|&example| values.is_missing(example)) {
                x[(last, example)] = T::one();
            }
        }
        check_finite("X", x.as_view())?;
        if let Some(scaler) = &self.standardizer {
            let scaled = scaler.apply(x.rows(0, last + 1))?;
            x.copy_from(&scaled);
        }
        if let Some(scaler) = &self.min_max {
            let scaled = scaler.apply(x.rows(0, last + 1))?;
            x.copy_from(&scaled);
        }
        Ok(())
    }
}

impl<T: Scalar> Pipeline<T> {
    /// Fits a pipeline to a table. Use the training rows only.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if the table has no rows.
    /// - [`Error::Table`] with a [`TableFault`]: a column that is absent or without values, a value
    ///   to fill in that is not of its kind, or a missing number to be scaled.
    /// - The errors of [`Standardizer::fit`], [`MinMaxScaler::fit`] and [`MinMaxScaler::interval`].
    #[doc(alias = "fit_transform")]
    pub fn fit(table: &Table, steps: &[Steps]) -> Result<Self, Error> {
        if table.rows == 0 {
            return Err(Error::NoExamples);
        }
        let mut columns = Vec::new();
        for steps in steps {
            for column in &steps.columns {
                columns.push(steps.fit(table, column)?);
            }
        }
        let marks = table.marks.clone();
        Ok(Self { marks, columns })
    }

    /// Returns the number of rows of X, n.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.iter().map(Fitted::rows).sum()
    }

    /// Returns X (n × m) for the m rows of a table.
    ///
    /// # Errors
    /// - [`Error::Table`] with a [`TableFault`]: a column that is absent or of the other kind, a
    ///   missing value that is not filled, or a category that is unknown, with those that are
    ///   known.
    /// - [`Error::NonFinite`] and [`Error::Scaled`] with the first number that overflows T; its row
    ///   counts from the first of its column.
    /// - [`Error::TooLarge`] if X does not fit in memory.
    #[doc(alias = "transform")]
    pub fn apply(&self, table: &Table) -> Result<DMatrix<T>, Error> {
        let (mut x, mut at) = (zeros(self.rows(), table.rows)?, 0);
        for column in &self.columns {
            column.write(table, x.rows_mut(at, column.rows()))?;
            at += column.rows();
        }
        Ok(x)
    }

    /// Returns x, the inputs of one example, for a raw row: cells with the names of their columns,
    /// in any order.
    ///
    /// A cell is text, as in a CSV file, and the marks of missing values are those of the table of
    /// the fit. Columns that the pipeline does not use are ignored.
    ///
    /// # Errors
    /// The errors of [`apply`](Self::apply), and [`Error::Table`] with
    /// [`TableFault::Repeated`] or [`TableFault::Number`].
    pub fn row(&self, cells: &[(&str, &str)]) -> Result<DVector<T>, Error> {
        let mut table = Table::new();
        table.rows = 1;
        for fitted in &self.columns {
            let values = match fitted.encoding {
                Encoding::Number { .. } => Values::Numbers(Vec::new()),
                Encoding::OneHot { .. } => Values::Text(Vec::new()),
            };
            let name = fitted.column.clone();
            let place = place(cells.iter().map(|(column, _)| *column), &name)?;
            let mut column = Column { name, values };
            column.push(cells[place].1.trim(), &self.marks)?;
            table.columns.retain(|other| other.name != column.name);
            table.columns.push(column);
        }
        Ok(self.apply(&table)?.column(0).clone_owned())
    }
}
