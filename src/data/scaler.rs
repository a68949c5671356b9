//! The trait of scalers, which scale the rows of a matrix.

use crate::allocation::allocate;
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::{check_finite, check_rows};
use crate::scalar::{Scalar, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use std::fmt::Debug;

/// Scales each row of a matrix by an invertible function. A row holds one input, or one target, of
/// all examples.
///
/// An implementation scales single entries, and the methods on matrices are derived from it. They
/// check shapes and values first, so an error changes nothing.
///
/// # Example
/// The logarithm of prices, as a custom scaler:
/// ```
/// use backprop::Scalar;
/// use backprop::data::Scaler;
/// use backprop::nalgebra::DMatrix;
///
/// #[derive(Debug)]
/// struct Logarithm {
///     rows: usize,
/// }
///
/// impl<T: Scalar> Scaler<T> for Logarithm {
///     fn rows(&self) -> usize {
///         self.rows
///     }
///
///     fn scale(&self, _row: usize, x: T) -> T {
///         x.ln()
///     }
///
///     fn unscale(&self, _row: usize, z: T) -> T {
///         z.exp()
///     }
/// }
///
/// let prices = DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
/// let z = Logarithm { rows: 1 }.apply(prices.column(0))?;
/// assert_eq!(z[0], 0.0);
/// assert!(Logarithm { rows: 1 }.apply(&prices).is_err()); // ln 0 is −∞
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "transform")]
#[doc(alias = "inverse_transform")]
pub trait Scaler<T: Scalar>: Debug + Send + Sync {
    /// Returns n, the number of rows that the scaler was made for.
    #[must_use]
    fn rows(&self) -> usize;

    /// Returns the scaled value of x, an entry of row `row`.
    ///
    /// # Panics
    /// An implementation may panic if `row` is not below [`rows`](Self::rows). The built-in scalers
    /// do.
    #[must_use]
    fn scale(&self, row: usize, x: T) -> T;

    /// Returns the entry of row `row` whose scaled value is z: the inverse of
    /// [`scale`](Self::scale), up to rounding.
    ///
    /// # Panics
    /// Panics like [`scale`](Self::scale).
    #[must_use]
    fn unscale(&self, row: usize, z: T) -> T;

    /// Scales X (n × m).
    ///
    /// # Errors
    /// - [`Error::Shape`] if X does not have n rows.
    /// - [`Error::NonFinite`] with the first entry that is NaN or infinite.
    /// - [`Error::Scaled`] with the first entry that overflows.
    /// - [`Error::TooLarge`] if there is no memory for the result.
    #[doc(alias = "transform")]
    fn apply<'a>(&self, x: impl Columns<'a, T>) -> Result<DMatrix<T>, Error>
    where
        Self: Sized,
    {
        mapped("X", x.columns_view(), self.rows(), |row, x| {
            self.scale(row, x)
        })
    }

    /// Scales X (n × m) into a matrix of the same shape, without allocation.
    ///
    /// # Errors
    /// Returns the errors of [`apply`](Self::apply), and [`Error::Shape`] if `scaled` has another
    /// shape. An error leaves `scaled` unchanged.
    fn apply_into<'a>(
        &self,
        x: impl Columns<'a, T>,
        scaled: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error>
    where
        Self: Sized,
    {
        map_into("X", x.columns_view(), scaled, self.rows(), |row, x| {
            self.scale(row, x)
        })
    }

    /// Scales Z (n × m) back, the inverse of [`apply`](Self::apply) up to rounding.
    ///
    /// # Errors
    /// Returns the errors of [`apply`](Self::apply).
    #[doc(alias = "inverse_transform")]
    fn invert<'a>(&self, z: impl Columns<'a, T>) -> Result<DMatrix<T>, Error>
    where
        Self: Sized,
    {
        mapped(SCALED, z.columns_view(), self.rows(), |row, z| {
            self.unscale(row, z)
        })
    }

    /// Scales Z (n × m) back into a matrix of the same shape, without allocation.
    ///
    /// # Errors
    /// Returns the errors of [`apply_into`](Self::apply_into).
    #[doc(alias = "inverse_transform")]
    fn invert_into<'a>(&self, z: impl Columns<'a, T>, x: DMatrixViewMut<'_, T>) -> Result<(), Error>
    where
        Self: Sized,
    {
        map_into(SCALED, z.columns_view(), x, self.rows(), |row, z| {
            self.unscale(row, z)
        })
    }
}

/// Delegates every method.
impl<T: Scalar, S: Scaler<T> + ?Sized> Scaler<T> for Box<S> {
    fn rows(&self) -> usize {
        (**self).rows()
    }

    fn scale(&self, row: usize, x: T) -> T {
        (**self).scale(row, x)
    }

    fn unscale(&self, row: usize, z: T) -> T {
        (**self).unscale(row, z)
    }
}

const SCALED: &str = "the scaled matrix";

/// Returns the matrix of f(row, x) if all its entries are finite.
fn mapped<T: Scalar>(
    what: &'static str,
    x: DMatrixView<'_, T>,
    rows: usize,
    f: impl Fn(usize, T) -> T,
) -> Result<DMatrix<T>, Error> {
    check_rows(what, x, rows)?;
    let entries = allocate(SCALED, x.shape(), T::zero())?;
    let mut out = DMatrix::from_vec(x.nrows(), x.ncols(), entries);
    check_finite(what, x)?;
    map_checked(x, f, |row, example, value| out[(row, example)] = value)?;
    Ok(out)
}

/// Writes f(row, x) to `out` if all results are finite. Otherwise `out` keeps its entries, which is
/// why each result is computed twice.
fn map_into<T: Scalar>(
    what: &'static str,
    x: DMatrixView<'_, T>,
    mut out: DMatrixViewMut<'_, T>,
    rows: usize,
    f: impl Fn(usize, T) -> T,
) -> Result<(), Error> {
    check_rows(what, x, rows)?;
    if out.shape() != x.shape() {
        return Err(Error::Shape {
            what: "the matrix for the result",
            expected: x.shape(),
            found: out.shape(),
        });
    }
    check_finite(what, x)?;
    map_checked(x, &f, |_, _, _| {})?;
    map_checked(x, &f, |row, example, value| out[(row, example)] = value)
}

/// Passes each finite f(row, x) to `put`, with its row and example.
fn map_checked<T: Scalar>(
    x: DMatrixView<'_, T>,
    f: impl Fn(usize, T) -> T,
    mut put: impl FnMut(usize, usize, T),
) -> Result<(), Error> {
    if x.is_empty() {
        return Ok(()); // without rows, the number of columns may be huge
    }
    for (example, column) in x.column_iter().enumerate() {
        for (row, &x) in column.iter().enumerate() {
            let value = f(row, x);
            if !value.is_finite() {
                return Err(Error::Scaled {
                    row,
                    example,
                    value: to_f64(value),
                });
            }
            put(row, example, value);
        }
    }
    Ok(())
}
