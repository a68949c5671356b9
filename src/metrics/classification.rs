//! Metrics for classification.

use super::confusion::{ConfusionMatrix, Tally};
use super::{Direction, Metric, check, class_of, classes_of_rows};
use crate::allocation::allocate;
use crate::error::{Error, hyperparameter};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// The fraction of examples classified correctly.
///
/// The class of a column is the row of its largest entry. With one row, the class is 1 if the entry
/// is above ½, and 0 otherwise. Targets are one-hot columns ([`one_hot`](crate::data::one_hot)), or
/// a row of 0 and 1. This metric is not suitable for several independent labels per example.
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
        Ok(share(outputs.ncols(), |k| {
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
        Ok(share(outputs.ncols(), |k| {
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

/// Returns the fraction of the m examples that pass a test.
fn share(examples: usize, test: impl Fn(usize) -> bool) -> f64 {
    let passed = (0..examples).filter(|&k| test(k)).count();
    passed as f64 / examples as f64
}

/// How a ratio of counts is averaged over classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Average {
    /// The mean over all K classes. A class that does not occur counts as 0. (scikit-learn leaves
    /// it out unless `labels=range(K)` is given.)
    Macro,
    /// The ratio of the sums over all classes. It equals the accuracy, because each example has one
    /// class.
    Micro,
    /// One class. For a single output, class 1 is scikit-learn's `average="binary"`.
    Class(usize),
}

impl Average {
    /// Averages a ratio over the tallies of the classes.
    pub(super) fn of(
        self,
        classes: usize,
        tally: impl Fn(usize) -> Tally,
        ratio: fn(Tally) -> f64,
    ) -> Result<f64, Error> {
        let tallies = (0..classes).map(&tally);
        match self {
            Self::Macro => Ok(tallies.map(ratio).sum::<f64>() / classes as f64),
            Self::Micro => Ok(ratio(tallies.fold(Tally::default(), Tally::plus))),
            Self::Class(class) => {
                self.validate(classes)?;
                Ok(ratio(tally(class)))
            }
        }
    }

    fn validate(self, classes: usize) -> Result<(), Error> {
        match self {
            Self::Class(class) if class >= classes => Err(Error::Index {
                what: "class",
                index: class,
                count: classes,
            }),
            _ => Ok(()),
        }
    }

    fn name(self, ratio: &str) -> String {
        match self {
            Self::Macro => format!("macro {ratio}"),
            Self::Micro => format!("micro {ratio}"),
            Self::Class(class) => format!("{ratio} of class {class}"),
        }
    }

    /// Averages a ratio over outputs and targets. Only a macro average allocates.
    fn evaluate<T: Scalar>(
        self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        ratio: fn(Tally) -> f64,
    ) -> Result<f64, Error> {
        check(outputs, targets)?;
        let classes = classes_of_rows(outputs.nrows());
        self.validate(classes)?;
        let pairs = || (0..outputs.ncols()).map(|k| (class_of(&targets, k), class_of(&outputs, k)));
        let count = |of: &dyn Fn((usize, usize)) -> bool| pairs().filter(|&pair| of(pair)).count();
        match self {
            Self::Macro => {
                let mut tallies = allocate("the counts", (classes, 1), Tally::default())?;
                for (actual, predicted) in pairs() {
                    tallies[actual].actual += 1;
                    tallies[predicted].predicted += 1;
                    tallies[actual].hits += usize::from(actual == predicted);
                }
                self.of(classes, |class| tallies[class], ratio)
            }
            Self::Micro => Ok(ratio(Tally {
                hits: count(&|(actual, predicted)| actual == predicted),
                predicted: outputs.ncols(),
                actual: outputs.ncols(),
            })),
            Self::Class(class) => Ok(ratio(Tally {
                hits: count(&|pair| pair == (class, class)),
                predicted: count(&|(_, predicted)| predicted == class),
                actual: count(&|(actual, _)| actual == class),
            })),
        }
    }
}

/// Defines a metric that is an averaged ratio of counts.
macro_rules! ratio {
    ($metric:ident, $name:literal, $ratio:path, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $metric(
            /// The average over the classes.
            pub Average,
        );

        impl<T: Scalar> Metric<T> for $metric {
            fn name(&self) -> String {
                self.0.name($name)
            }

            fn direction(&self) -> Direction {
                Direction::Maximize
            }

            fn evaluate(
                &self,
                outputs: DMatrixView<'_, T>,
                targets: DMatrixView<'_, T>,
            ) -> Result<f64, Error> {
                self.0.evaluate(outputs, targets, $ratio)
            }
        }
    };
}

ratio! {
    Precision, "precision", Tally::precision,
    /// Precision: the fraction of predicted positives that are correct, tp/(tp + fp).
    ///
    /// It is zero for a class that was never predicted, as in scikit-learn, which also warns.
    ///
    /// # Errors
    /// Returns the errors of [`check`], and [`Error::Index`] for a class that does not exist.
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
    /// It is zero for a class without examples, as in scikit-learn, which also warns.
    ///
    /// # Errors
    /// Returns the errors of [`check`], and [`Error::Index`] for a class that does not exist.
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
    /// It is zero for a class that has no examples and was never predicted, as in scikit-learn,
    /// which also warns. The macro average is the mean of the F1 values of the classes, not the F1
    /// of the mean precision and the mean recall. (van Rijsbergen, *Information Retrieval*, 1979,
    /// ch. 7.)
    ///
    /// # Errors
    /// Returns the errors of [`check`], and [`Error::Index`] for a class that does not exist.
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
impl ConfusionMatrix {
    /// Returns the [`Precision`].
    ///
    /// # Errors
    /// Returns [`Error::Index`] for a class that does not exist.
    pub fn precision(&self, average: Average) -> Result<f64, Error> {
        average.of(self.classes(), |class| self.tally(class), Tally::precision)
    }

    /// Returns the [`Recall`].
    ///
    /// # Errors
    /// Returns [`Error::Index`] for a class that does not exist.
    pub fn recall(&self, average: Average) -> Result<f64, Error> {
        average.of(self.classes(), |class| self.tally(class), Tally::recall)
    }

    /// Returns the [`F1`].
    ///
    /// # Errors
    /// Returns [`Error::Index`] for a class that does not exist.
    pub fn f1(&self, average: Average) -> Result<f64, Error> {
        average.of(self.classes(), |class| self.tally(class), Tally::f1)
    }
}
