//! Metrics for classification.

use super::average::{Average, Averaging, Ratio};
use super::confusion::{ConfusionMatrix, Tally};
use super::{Direction, Metric, check, class_of, classes_of_rows, whole_share};
use crate::error::{Error, hyperparameter, unsupported};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;
use std::fmt::Debug;

/// The fraction of examples classified correctly.
///
/// The class of a column is the row of its largest entry. With one row, the class is 1 if the entry
/// is above ½, and 0 otherwise. Targets are one-hot columns ([`one_hot`](crate::data::one_hot)), or
/// a row of 0 and 1. For several independent labels per example, use
/// [`SubsetAccuracy`](super::SubsetAccuracy) or [`HammingLoss`](super::HammingLoss).
///
/// # Errors
/// Returns the errors of [`check`].
///
/// # Example
/// ```
/// use backprop::metrics::{Accuracy, Metric};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(1, 3, &[0.9, 0.4, 0.7]);
/// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 0.0]);
/// assert_eq!(Accuracy.evaluate(a.as_view(), y.as_view())?, 2.0 / 3.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "accuracy_score")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Accuracy;

impl<T: Scalar> Metric<T> for Accuracy {
    fn name(&self) -> String {
        "accuracy".to_owned()
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
        Ok(whole_share(outputs.ncols(), |k| {
            class_of(&outputs, k) == class_of(&targets, k)
        }))
    }
}

/// The fraction of examples whose class is among the k largest outputs.
///
/// Equal outputs rank in the order of their rows, so `TopK(1)` is [`Accuracy`]. (scikit-learn ranks
/// them in the opposite order.) If k is the number of classes, the metric is 1.
///
/// # Errors
/// Returns the errors of [`check`], and [`Error::Hyperparameter`] unless k is between 1 and the
/// number of classes.
///
/// # Example
/// ```
/// use backprop::metrics::{Metric, TopK};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(3, 2, &[0.5, 0.5, 0.3, 0.1, 0.2, 0.4]);
/// let y = DMatrix::from_row_slice(3, 2, &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
/// assert_eq!(TopK(1).evaluate(a.as_view(), y.as_view())?, 0.0);
/// assert_eq!(TopK(2).evaluate(a.as_view(), y.as_view())?, 0.5);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopK(
    /// k.
    pub usize,
);

impl<T: Scalar> Metric<T> for TopK {
    fn name(&self) -> String {
        format!("top-{} accuracy", self.0)
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
        let classes = classes_of_rows(outputs.nrows());
        if !(1..=classes).contains(&self.0) {
            return Err(hyperparameter(
                "k of the top-k accuracy",
                self.0 as f64,
                format!("1 to {classes}, the number of classes"),
            ));
        }
        Ok(whole_share(outputs.ncols(), |k| {
            let class = class_of(&targets, k);
            if outputs.nrows() == 1 {
                return self.0 == 2 || class_of(&outputs, k) == class;
            }
            let column = outputs.column(k);
            let output = column[class];
            let ranked = column.iter().enumerate();
            let before = ranked.filter(|&(i, &a)| a > output || a == output && i < class);
            before.count() < self.0
        }))
    }
}

/// Defines a metric that is an averaged ratio of counts.
macro_rules! ratio {
    ($metric:ident, $name:literal, $ratio:path, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $metric<A = Average>(
            /// The average over the classes: an [`Average`], or an [`Averaging`] with options.
            pub A,
        );

        impl<T: Scalar, A> Metric<T> for $metric<A>
        where
            A: Into<Averaging> + Copy + Debug + Send + Sync,
        {
            fn name(&self) -> String {
                self.0.into().name($name)
            }

            fn direction(&self) -> Direction {
                Direction::Maximize
            }

            fn evaluate(
                &self,
                outputs: DMatrixView<'_, T>,
                targets: DMatrixView<'_, T>,
            ) -> Result<f64, Error> {
                self.0.into().evaluate($name, outputs, targets, None, $ratio)
            }

            fn evaluate_present(
                &self,
                outputs: DMatrixView<'_, T>,
                targets: DMatrixView<'_, T>,
                present: DMatrixView<'_, bool>,
            ) -> Result<f64, Error> {
                self.0.into().evaluate($name, outputs, targets, Some(present), $ratio)
            }
        }
    };
}

ratio! {
    Precision, "precision", Tally::precision,
    /// Precision: the fraction of predicted positives that are correct, tp/(tp + fp).
    ///
    /// It is 0/0 for a class that was never predicted, which counts as 0 unless
    /// [`Average::zero_division`] is called.
    ///
    /// # Errors
    /// Returns the errors of [`check`], [`Error::Index`] for a class that does not exist, and
    /// [`Error::NonFinite`] if [`ZeroDivision::Exclude`](super::ZeroDivision::Exclude) leaves no
    /// class.
    ///
    /// # Example
    /// ```
    /// use backprop::metrics::{Average, Metric, Precision};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let a = DMatrix::from_row_slice(1, 3, &[0.9, 0.8, 0.2]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 0.0]);
    /// let precision = |average| Precision(average).evaluate(a.as_view(), y.as_view());
    /// assert_eq!(precision(Average::Class(1))?, 0.5);
    /// assert_eq!(precision(Average::Class(0))?, 1.0);
    /// assert_eq!(precision(Average::Macro)?, 0.75);
    /// # Ok::<(), backprop::Error>(())
    /// ```
}

ratio! {
    Recall, "recall", Tally::recall,
    /// Recall: the fraction of actual positives that are found, tp/(tp + fn).
    ///
    /// It is 0/0 for a class without examples, which counts as 0 unless
    /// [`Average::zero_division`] is called.
    ///
    /// # Errors
    /// Returns the errors of [`check`], [`Error::Index`] for a class that does not exist, and
    /// [`Error::NonFinite`] if [`ZeroDivision::Exclude`](super::ZeroDivision::Exclude) leaves no
    /// class.
    ///
    /// # Example
    /// ```
    /// use backprop::metrics::{Average, Metric, Recall};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let a = DMatrix::from_row_slice(1, 3, &[0.9, 0.8, 0.2]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 0.0]);
    /// let recall = |average| Recall(average).evaluate(a.as_view(), y.as_view());
    /// assert_eq!(recall(Average::Class(1))?, 1.0);
    /// assert_eq!(recall(Average::Class(0))?, 0.5);
    /// # Ok::<(), backprop::Error>(())
    /// ```
}

ratio! {
    F1, "F1", Tally::f1,
    /// F1: the harmonic mean of precision and recall, 2 tp/(2 tp + fp + fn).
    ///
    /// It is 0/0 for a class that has no examples and was never predicted, which counts as 0 unless
    /// [`Average::zero_division`] is called. The macro average is the mean of the F1 values of the
    /// classes, not the F1 of the mean precision and the mean recall. (van Rijsbergen, *Information
    /// Retrieval*, 1979, ch. 7.)
    ///
    /// # Errors
    /// Returns the errors of [`check`], [`Error::Index`] for a class that does not exist, and
    /// [`Error::NonFinite`] if [`ZeroDivision::Exclude`](super::ZeroDivision::Exclude) leaves no
    /// class.
    ///
    /// # Example
    /// ```
    /// use backprop::metrics::{Average, F1, Metric};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let a = DMatrix::from_row_slice(1, 3, &[0.9, 0.8, 0.2]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 0.0]);
    /// let f1 = F1(Average::Class(1)).evaluate(a.as_view(), y.as_view())?;
    /// assert_eq!(f1, 2.0 / 3.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
}

/// Metrics computed from the counts.
///
/// [`Averaging::multi_label`] is an [`Error::Unsupported`]: these counts are of classes.
impl ConfusionMatrix {
    /// Returns the [`Precision`].
    ///
    /// # Errors
    /// Returns [`Error::Index`] for a class that does not exist, and [`Error::NonFinite`] if
    /// [`ZeroDivision::Exclude`](super::ZeroDivision::Exclude) leaves no class.
    pub fn precision(&self, average: impl Into<Averaging>) -> Result<f64, Error> {
        self.averaged("precision", average.into(), Tally::precision)
    }

    /// Returns the [`Recall`].
    ///
    /// # Errors
    /// Returns the errors of [`precision`](Self::precision).
    pub fn recall(&self, average: impl Into<Averaging>) -> Result<f64, Error> {
        self.averaged("recall", average.into(), Tally::recall)
    }

    /// Returns the [`F1`].
    ///
    /// # Errors
    /// Returns the errors of [`precision`](Self::precision).
    pub fn f1(&self, average: impl Into<Averaging>) -> Result<f64, Error> {
        self.averaged("F1", average.into(), Tally::f1)
    }

    fn averaged(&self, name: &str, average: Averaging, ratio: Ratio) -> Result<f64, Error> {
        if average.multi_label {
            return Err(unsupported::<Self>("a multi-label average"));
        }
        average.of(name, self.classes(), |class| self.tally(class), ratio)
    }
}
