//! Borrowed matrices with one example per column.

use crate::allocation::fits;
use crate::error::Error;
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView, DVector, DVectorView};

mod sealed {
    pub trait Sealed {}
}

/// A borrowed matrix with one example per column.
///
/// | argument | read as |
/// |---|---|
/// | `&DMatrix<T>` | the matrix, n × m |
/// | a `DMatrixView<'_, T>`: examples `x.columns(0, 10)`, inputs `x.rows(0, 2)` or `x.rows(k, 1)` | the matrix, n × m |
/// | `&[T]`, `&[T; N]`, `&Vec<T>` | **one example**, n × 1 |
/// | `&DVector<T>`, a `DVectorView<'_, T>` such as `x.column(0)` | one example, n × 1 |
///
/// A slice is one example, whatever its length. A buffer of several examples needs a shape, which
/// either of two calls provides: [`row_major`]`(buffer, n)` computes m and returns an error if the
/// length is not a multiple of n, whereas `DMatrixView::from_slice(buffer, n, m)` panics if the
/// buffer is too short. Without the shape, such a buffer has too many rows, which is an
/// [`Error::Shape`].
///
/// The entries of a column lie next to each other in memory; the columns of a view may have gaps.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Error, Network, activation::Identity, row_major};
///
/// let network = Network::<f64>::builder(2).dense(1, Identity).with_theta(&[1.0, 2.0, 3.0])?;
/// assert_eq!(network.forward(&[0.5, 0.25])?[0], 2.75); // 1 + 2 · 0.5 + 3 · 0.25
///
/// let rows = [0.5, 0.25, 0.0, 1.0]; // two examples
/// assert_eq!(network.forward(row_major(&rows, 2)?)?, DMatrix::from_row_slice(1, 2, &[2.75, 4.0]));
/// assert!(matches!(network.forward(&rows), Err(Error::Shape { found: (4, 1), .. })));
/// # Ok::<(), backprop::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a matrix of `{T}` with one example per column",
    label = "expected `&DMatrix<{T}>`, a view of one, or one example as `&[{T}]`",
    note = "a matrix and a single example are borrowed: write `&x`",
    note = "a row of a matrix, `m.row(k)`, is written `m.rows(k, 1)`",
    note = "a buffer of several examples needs its shape: `row_major(&buffer, n)?` for one example \
            per row, or `DMatrixView::from_slice(&buffer, n, m)`",
    note = "numbers of another type are converted first, as in `x.map(|v| v as {T})`: the network \
            and its data have the same scalar type"
)]
pub trait Columns<'a, T: Scalar>: sealed::Sealed {
    /// Returns the matrix as a view.
    fn columns_view(self) -> DMatrixView<'a, T>;
}

impl<T> sealed::Sealed for &DMatrix<T> {}
impl<T> sealed::Sealed for DMatrixView<'_, T> {}
impl<T> sealed::Sealed for &DMatrixView<'_, T> {}
impl<T> sealed::Sealed for &DVector<T> {}
impl<T> sealed::Sealed for DVectorView<'_, T> {}
impl<T> sealed::Sealed for &[T] {}
impl<T, const N: usize> sealed::Sealed for &[T; N] {}
impl<T> sealed::Sealed for &Vec<T> {}

impl<'a, T: Scalar> Columns<'a, T> for &'a DMatrix<T> {
    fn columns_view(self) -> DMatrixView<'a, T> {
        self.as_view()
    }
}

impl<'a, T: Scalar> Columns<'a, T> for DMatrixView<'a, T> {
    fn columns_view(self) -> DMatrixView<'a, T> {
        self
    }
}

impl<'a, T: Scalar> Columns<'a, T> for &'a DVector<T> {
    fn columns_view(self) -> DMatrixView<'a, T> {
        self.as_slice().columns_view()
    }
}

impl<'a, T: Scalar> Columns<'a, T> for DVectorView<'a, T> {
    fn columns_view(self) -> DMatrixView<'a, T> {
        self.data.into_slice().columns_view()
    }
}

impl<'a, T: Scalar> Columns<'a, T> for &DMatrixView<'a, T> {
    fn columns_view(self) -> DMatrixView<'a, T> {
        *self
    }
}

impl<'a, T: Scalar> Columns<'a, T> for &'a [T] {
    fn columns_view(self) -> DMatrixView<'a, T> {
        DMatrixView::from_slice(self, self.len(), 1)
    }
}

impl<'a, T: Scalar, const N: usize> Columns<'a, T> for &'a [T; N] {
    fn columns_view(self) -> DMatrixView<'a, T> {
        self.as_slice().columns_view()
    }
}

impl<'a, T: Scalar> Columns<'a, T> for &'a Vec<T> {
    fn columns_view(self) -> DMatrixView<'a, T> {
        self.as_slice().columns_view()
    }
}

/// Views a row-major m × n buffer, as in NumPy, C and CSV files, as this crate's n × m matrix.
///
/// Nothing is copied. Each row of the buffer is an example and becomes a column of the matrix; the
/// layout in memory is the same.
///
/// # Errors
/// - [`Error::Ragged`] if n is 0, or the length of the buffer is not a multiple of n.
/// - [`Error::TooLarge`] if a row of n entries exceeds any possible allocation.
///
/// # Example
/// ```
/// let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // two examples of three features
/// let x = backprop::row_major(&rows, 3)?;
/// assert_eq!(x.shape(), (3, 2));
/// assert_eq!(x.column(1).as_slice(), &[4.0, 5.0, 6.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// A `Vec` of rows and arrays of the crate `ndarray` become examples without a copy. The rows of an
/// array must lie one after another in memory, as in its standard layout; `as_standard_layout`
/// copies an array whose rows do not.
/// ```
/// use backprop::{Examples, row_major};
/// use ndarray::{ArrayView2, array};
///
/// let (inputs, targets) = (vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0], array![[0.0], [1.0], [1.0]]);
/// let y: ArrayView2<f64> = targets.view();
/// let rows = y.as_slice().ok_or("the array is not in standard layout")?;
/// let examples = Examples::new(row_major(&inputs, 2)?, row_major(rows, y.ncols())?)?;
/// assert_eq!(examples.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("from_numpy", "ndarray"))]
pub fn row_major<T: Scalar>(buffer: &[T], n: usize) -> Result<DMatrixView<'_, T>, Error> {
    if n == 0 || !buffer.len().is_multiple_of(n) {
        return Err(Error::Ragged {
            what: "the row-major buffer",
            length: buffer.len(),
            row: n,
        });
    }
    if !fits::<T>(n) {
        // The buffer is empty, and sizes computed from n would overflow.
        return Err(Error::TooLarge {
            what: "a row of the row-major buffer",
            rows: 1,
            cols: n,
        });
    }
    Ok(DMatrixView::from_slice(buffer, n, buffer.len() / n))
}
