//! Metrics where targets are missing, and metrics of one head.

use super::{Direction, Metric, check_shapes};
use crate::allocation::collected;
use crate::error::{Error, hyperparameter};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};
use std::ops::Range;

/// Computes a metric of outputs, some of whose targets may be missing.
pub(crate) fn of_outputs<T: Scalar>(
    metric: &dyn Metric<T>,
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    present: Option<DMatrixView<'_, bool>>,
) -> Result<f64, Error> {
    match present {
        None => metric.evaluate(outputs, targets),
        Some(present) => metric.evaluate_present(outputs, targets, present),
    }
}

/// Checks the shapes of outputs, targets and which of them are present.
pub(super) fn check_present<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    present: DMatrixView<'_, bool>,
) -> Result<(), Error> {
    check_shapes(outputs, targets)?;
    if present.shape() == targets.shape() {
        return Ok(());
    }
    Err(Error::Shape {
        what: "the matrix of present targets",
        expected: targets.shape(),
        found: present.shape(),
    })
}

/// Returns the outputs and targets of the examples all of whose targets are present.
pub(super) fn whole_examples<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    present: DMatrixView<'_, bool>,
) -> Result<[DMatrix<T>; 2], Error> {
    check_present(outputs, targets, present)?;
    let columns = present.column_iter().enumerate();
    let whole = columns.filter(|(_, column)| column.iter().all(|&is| is));
    let whole = whole.map(|(k, _)| Ok(k));
    let whole = collected("the examples", present.ncols(), whole)?;
    if whole.is_empty() {
        return Err(Error::NoExamples);
    }
    Ok([
        crate::data::select(outputs, &whole)?,
        crate::data::select(targets, &whole)?,
    ])
}

/// Returns the outputs and targets that are present, each as one row.
pub(super) fn entries<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    present: DMatrixView<'_, bool>,
) -> Result<[DMatrix<T>; 2], Error> {
    check_present(outputs, targets, present)?;
    let row = |matrix: DMatrixView<'_, T>| {
        let pairs = matrix.iter().zip(present.iter());
        let entries = pairs.filter(|(_, is)| **is).map(|(&x, _)| Ok(x));
        let entries = collected("the present targets", matrix.len(), entries)?;
        Ok::<_, Error>(DMatrix::from_vec(1, entries.len(), entries))
    };
    Ok([row(outputs)?, row(targets)?])
}

/// A metric of some of the outputs: those of one head.
///
/// # Errors
/// Returns the errors of the metric, [`Error::Index`] if there are no such rows, and
/// [`Error::Hyperparameter`] if `rows` is empty.
///
/// # Example
/// The first two outputs are classes, and the third is a number:
/// ```
/// use backprop::metrics::{Accuracy, MeanAbsoluteError, Metric, OfHead};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(3, 2, &[0.9, 0.6, 0.1, 0.4, 1.0, 2.0]);
/// let y = DMatrix::from_row_slice(3, 2, &[1.0, 0.0, 0.0, 1.0, 1.5, 2.0]);
/// let classes = OfHead::new(0..2, Accuracy);
/// let number = OfHead::new(2..3, MeanAbsoluteError);
/// assert_eq!(classes.evaluate(a.as_view(), y.as_view())?, 0.5);
/// assert_eq!(number.evaluate(a.as_view(), y.as_view())?, 0.25);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OfHead<M> {
    rows: Range<usize>,
    metric: M,
}

impl<M> OfHead<M> {
    /// Creates the metric of the outputs in `rows`.
    #[must_use]
    pub fn new(rows: Range<usize>, metric: M) -> Self {
        Self { rows, metric }
    }

    fn check(&self, outputs: usize) -> Result<(), Error> {
        let Range { start, end } = self.rows;
        if start >= end {
            let (what, expected) = ("the first row of a head", "a row before its end");
            return Err(hyperparameter(what, start as f64, expected));
        }
        if end > outputs {
            return Err(Error::Index {
                what: "output",
                index: end - 1,
                count: outputs,
            });
        }
        Ok(())
    }
}

impl<T: Scalar, M: Metric<T>> Metric<T> for OfHead<M> {
    fn name(&self) -> String {
        let Range { start, end } = self.rows;
        format!("{} of outputs {start}..{end}", self.metric.name())
    }

    fn direction(&self) -> Direction {
        self.metric.direction()
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        check_shapes(outputs, targets)?;
        self.check(targets.nrows())?;
        let (start, len) = (self.rows.start, self.rows.len());
        let (outputs, targets) = (outputs.rows(start, len), targets.rows(start, len));
        self.metric.evaluate(outputs, targets)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        check_present(outputs, targets, present)?;
        self.check(targets.nrows())?;
        let (start, len) = (self.rows.start, self.rows.len());
        let (outputs, targets) = (outputs.rows(start, len), targets.rows(start, len));
        self.metric
            .evaluate_present(outputs, targets, present.rows(start, len))
    }
}
