//! Metrics of several independent labels: the outputs of K sigmoids.

use super::present::entries;
use super::{Direction, Metric, check, whole_share};
use crate::error::Error;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::DMatrixView;

/// One output and its target, as a label that is present above ½.
#[derive(Clone, Copy)]
pub(super) struct Label {
    pub(super) output: f64,
    pub(super) predicted: bool,
    pub(super) actual: bool,
}

/// Returns the labels of one row, without those whose target is missing.
pub(super) fn labels_of_row<'a, T: Scalar>(
    outputs: DMatrixView<'a, T>,
    targets: DMatrixView<'a, T>,
    present: Option<DMatrixView<'a, bool>>,
    row: usize,
) -> impl Iterator<Item = Label> + use<'a, T> {
    let half = real::<T>(0.5);
    let examples = (0..outputs.ncols())
        .filter(move |&k| present.as_ref().is_none_or(|present| present[(row, k)]));
    examples.map(move |k| Label {
        output: to_f64(outputs[(row, k)]),
        predicted: outputs[(row, k)] > half,
        actual: targets[(row, k)] > half,
    })
}

/// Checks outputs and targets, without those that are missing.
pub(super) fn check_labels<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
    present: Option<DMatrixView<'_, bool>>,
) -> Result<(), Error> {
    let Some(present) = present else {
        return check(outputs, targets);
    };
    let [outputs, targets] = entries(outputs, targets, present)?;
    check(outputs.as_view(), targets.as_view())
}

/// The fraction of examples all of whose labels are predicted correctly.
///
/// Each of the K outputs is a label of its own, present if its entry is above ½. With one output,
/// this is [`Accuracy`](super::Accuracy). The accuracy of label i alone is that of
/// [`OfHead::new(i..i + 1, Accuracy)`](super::OfHead).
///
/// # Errors
/// Returns the errors of [`check`].
///
/// # Example
/// ```
/// use backprop::metrics::{HammingLoss, Metric, SubsetAccuracy};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(2, 2, &[0.9, 0.8, 0.2, 0.7]);
/// let y = DMatrix::from_row_slice(2, 2, &[1.0, 1.0, 0.0, 0.0]);
/// assert_eq!(SubsetAccuracy.evaluate(a.as_view(), y.as_view())?, 1.0 / 2.0);
/// assert_eq!(HammingLoss.evaluate(a.as_view(), y.as_view())?, 1.0 / 4.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "accuracy_score")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubsetAccuracy;

impl<T: Scalar> Metric<T> for SubsetAccuracy {
    fn name(&self) -> String {
        "subset accuracy".to_owned()
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
        let half = real::<T>(0.5);
        Ok(whole_share(outputs.ncols(), |k| {
            let (a, y) = (outputs.column(k), targets.column(k));
            a.iter()
                .zip(y.iter())
                .all(|(&a, &y)| (a > half) == (y > half))
        }))
    }
}

/// The fraction of labels that are predicted wrongly.
///
/// Each of the K outputs is a label of its own, present if its entry is above ½. [`SubsetAccuracy`]
/// has an example. Targets that are missing are not counted.
///
/// # Errors
/// Returns the errors of [`check`].
#[doc(alias = "hamming_loss")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HammingLoss;

impl<T: Scalar> Metric<T> for HammingLoss {
    fn name(&self) -> String {
        "Hamming loss".to_owned()
    }

    fn direction(&self) -> Direction {
        Direction::Minimize
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        check(outputs, targets)?;
        let half = real::<T>(0.5);
        let pairs = outputs.iter().zip(targets.iter());
        let wrong = pairs.filter(|&(&a, &y)| (a > half) != (y > half));
        Ok(wrong.count() as f64 / outputs.len() as f64)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        let [outputs, targets] = entries(outputs, targets, present)?;
        self.evaluate(outputs.as_view(), targets.as_view())
    }
}
