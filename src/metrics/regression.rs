//! Metrics for regression.

use super::present::entries;
use super::{Direction, Metric, check, check_present, not_finite, pairwise_sum};
use crate::error::Error;
use crate::kernels;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DMatrixView;

/// The mean of |a − y| over all outputs and examples.
///
/// # Errors
/// Returns the errors of [`check`], and [`Error::NonFinite`] if the sum overflows.
///
/// # Example
/// ```
/// use backprop::metrics::{MeanAbsoluteError, Metric};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(2, 2, &[1.0, 4.0, 0.0, 2.0]);
/// let y = DMatrix::from_row_slice(2, 2, &[2.0, 4.0, 0.0, -1.0]);
/// assert_eq!(MeanAbsoluteError.evaluate(a.as_view(), y.as_view())?, 1.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "MAE")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MeanAbsoluteError;

impl<T: Scalar> Metric<T> for MeanAbsoluteError {
    fn name(&self) -> String {
        MEAN_ABSOLUTE_ERROR.to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::Minimize
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        mean(MEAN_ABSOLUTE_ERROR, outputs, targets, f64::abs)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        let [outputs, targets] = entries(outputs, targets, present)?;
        mean(
            MEAN_ABSOLUTE_ERROR,
            outputs.as_view(),
            targets.as_view(),
            f64::abs,
        )
    }
}

/// The mean of (a − y)² over all outputs and examples.
///
/// It is 2/K times the mean cost of [`SquaredError`](crate::SquaredError), which has a factor ½ and
/// sums over the outputs.
///
/// # Errors
/// Returns the errors of [`check`], and [`Error::NonFinite`] if a square or the sum overflows.
///
/// # Example
/// ```
/// use backprop::metrics::{MeanSquaredError, Metric};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(2, 2, &[1.0, 4.0, 0.0, 2.0]);
/// let y = DMatrix::from_row_slice(2, 2, &[2.0, 4.0, 0.0, -1.0]);
/// assert_eq!(MeanSquaredError.evaluate(a.as_view(), y.as_view())?, 2.5);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "MSE")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MeanSquaredError;

impl<T: Scalar> Metric<T> for MeanSquaredError {
    fn name(&self) -> String {
        MEAN_SQUARED_ERROR.to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::Minimize
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        mean(MEAN_SQUARED_ERROR, outputs, targets, |d| d * d)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        let [outputs, targets] = entries(outputs, targets, present)?;
        mean(
            MEAN_SQUARED_ERROR,
            outputs.as_view(),
            targets.as_view(),
            |d| d * d,
        )
    }
}

/// The coefficient of determination, R² = 1 − Σ (y − a)²/Σ (y − ȳ)², averaged over the outputs.
///
/// It is 1 if the outputs equal the targets, and 0 if the outputs predict no better than the mean
/// ȳ. It may be negative. If all targets of an output are equal, its R² is 1 for exact predictions
/// and 0 otherwise, as in scikit-learn.
///
/// # Errors
/// Returns the errors of [`check`], [`Error::FewExamples`] for a single example, and
/// [`Error::NonFinite`] if a sum overflows.
///
/// # Example
/// ```
/// use backprop::metrics::{Metric, R2};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(1, 3, &[1.0, 2.0, 4.0]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 2.0, 3.0]);
/// assert_eq!(R2.evaluate(a.as_view(), y.as_view())?, 0.5);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "r2_score")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct R2;

impl<T: Scalar> Metric<T> for R2 {
    fn name(&self) -> String {
        "R²".to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::Maximize
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        check(outputs, targets)?;
        if outputs.ncols() < 2 {
            return Err(Error::FewExamples {
                class: None,
                expected: 2,
                found: outputs.ncols(),
            });
        }
        let rows = 0..outputs.nrows();
        let sum: f64 = rows.map(|row| r2_of_row(outputs, targets, row)).sum();
        finite("coefficient of determination", sum / outputs.nrows() as f64)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        check_present(outputs, targets, present)?;
        let rows = targets.nrows();
        let sum = (0..rows).try_fold(0.0, |sum, row| {
            let outputs = kernels::rows(outputs, row..row + 1);
            let targets = kernels::rows(targets, row..row + 1);
            let [outputs, targets] = entries(outputs, targets, present.rows(row, 1))?;
            Ok::<_, Error>(sum + self.evaluate(outputs.as_view(), targets.as_view())?)
        })?;
        Ok(sum / rows as f64)
    }
}

fn r2_of_row<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    row: usize,
) -> f64 {
    let examples = outputs.ncols();
    let pairs = |k| (to_f64(outputs[(row, k)]), to_f64(targets[(row, k)]));
    let sum = |term: &dyn Fn(f64, f64) -> f64| {
        let term = |k| {
            let (a, y) = pairs(k);
            term(a, y)
        };
        pairwise_sum(0..examples, &term)
    };
    // Relative to the first target, so the mean of equal targets is exact.
    let first = pairs(0).1;
    let mean = first + sum(&|_, y| y - first) / examples as f64;
    if !mean.is_finite() {
        return f64::NAN;
    }
    let targets = (0..examples).map(|k| pairs(k).1);
    let largest = targets.fold(0.0, |largest: f64, y| largest.max((y - mean).abs()));
    if largest == 0.0 {
        let mut pairs = (0..examples).map(pairs);
        return f64::from(pairs.all(|(a, y)| a == y));
    }
    // In units of the largest deviation, so no square overflows.
    let square = |d: f64| (d / largest) * (d / largest);
    // Corrects for the rounding of the mean.
    let rest = sum(&|_, y| (y - mean) / largest) / examples as f64;
    let total = sum(&|_, y| square(y - mean)) - examples as f64 * rest * rest;
    1.0 - sum(&|a, y| square(y - a)) / total
}

const MEAN_ABSOLUTE_ERROR: &str = "mean absolute error";
const MEAN_SQUARED_ERROR: &str = "mean squared error";

/// Computes the mean of a function of a − y over all entries.
fn mean<T: Scalar>(
    what: &'static str,
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    term: fn(f64) -> f64,
) -> Result<f64, Error> {
    check(outputs, targets)?;
    let (rows, examples) = outputs.shape();
    let of_example = |k| {
        let (a, y) = (outputs.column(k), targets.column(k));
        let pairs = a.iter().zip(y.iter());
        pairs.map(|(&a, &y)| term(to_f64(a) - to_f64(y))).sum()
    };
    let sum = pairwise_sum(0..examples, &of_example);
    finite(what, sum / (rows as f64 * examples as f64))
}

/// Returns the value of a metric unless it overflowed.
fn finite(name: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(not_finite(name.to_owned(), value))
}
