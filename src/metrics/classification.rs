//! Metrics of classes.

use super::confusion::{ConfusionMatrix, Tally};
use super::{Direction, Metric, check, class_of, classes_of_rows};
use crate::error::Error;
use crate::layout::allocate;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// The share of examples whose class is that of their targets.
///
/// The class of a column is its largest entry, or with one row whether it is above ½. Targets are one-hot columns
/// ([`one_hot`](crate::data::one_hot)), or a row of 0 and 1. For several independent labels an example it says nothing.
///
/// # Errors
/// Those of [`check`].
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

/// The share of examples whose class is among the k of the largest outputs.
///
/// Of equal outputs the first is larger, so that `TopK(1)` is [`Accuracy`] (scikit-learn takes the last). With k the number
/// of classes it is 1.
///
/// # Errors
/// Those of [`check`], and [`Error::Hyperparameter`] unless k is 1 at least and no more than classes.
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
        if !(1..=classes_of_rows(outputs.nrows())).contains(&self.0) {
            return Err(Error::Hyperparameter {
                name: "k of the top-k accuracy",
                value: self.0 as f64,
                expected: "1 at least, and no more than classes",
            });
        }
        Ok(share(outputs.ncols(), |k| {
            let class = class_of(&targets, k);
            if outputs.nrows() == 1 {
                return self.0 == 2 || class_of(&outputs, k) == class;
            }
            let column = outputs.column(k);
            let of_class = column[class];
            let before = column.iter().enumerate();
            let before = before.filter(|&(i, &a)| a > of_class || a == of_class && i < class);
            before.count() < self.0
        }))
    }
}

/// The share of the m examples that pass a test.
fn share(examples: usize, test: impl Fn(usize) -> bool) -> f64 {
    let passed = (0..examples).filter(|&k| test(k)).count();
    passed as f64 / examples as f64
}

/// Of which class, or over which classes, a ratio of counts is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Average {
    /// The mean over all K classes, those that do not occur included, at 0. (scikit-learn leaves them out unless it is
    /// told `labels=range(K)`.)
    Macro,
    /// The ratio of the sums over all classes. As each example has one class, it is the accuracy.
    Micro,
    /// One class. Of one output, class 1 is scikit-learn's `average="binary"`.
    Class(usize),
}

impl Average {
    /// A ratio averaged over the tallies of all classes, one or more.
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

    /// The same of outputs and targets. Only a macro average needs room for the counts.
    fn evaluate<T: Scalar>(
        self,
        (outputs, targets): (DMatrixView<'_, T>, DMatrixView<'_, T>),
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

/// A metric that is a ratio of counts, averaged.
macro_rules! ratio {
    ($metric:ident, $name:literal, $ratio:path, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $metric(
            /// Over which classes.
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
                self.0.evaluate((outputs, targets), $ratio)
            }
        }
    };
}

ratio! {
    Precision, "precision", Tally::precision,
    /// Of the examples that were said to be of a class, the share that are: tp/p.
    ///
    /// It is 0 of a class that nothing was said to be of, as scikit-learn's, which also warns.
    ///
    /// # Errors
    /// Those of [`check`], and [`Error::Index`] of a class that is none.
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
    /// Of the examples of a class, the share that was found: tp/n.
    ///
    /// It is 0 of a class that has no example, as scikit-learn's, which also warns.
    ///
    /// # Errors
    /// Those of [`check`], and [`Error::Index`] of a class that is none.
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
    /// The harmonic mean of precision and recall: 2 tp/(p + n) (van Rijsbergen, *Information Retrieval*, 1979, ch. 7).
    ///
    /// It is 0 of a class that has no example and that none was said to be of, as scikit-learn's, which also warns. The macro average is the
    /// mean of the classes' F1, not the F1 of their means.
    ///
    /// # Errors
    /// Those of [`check`], and [`Error::Index`] of a class that is none.
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

/// The same of counts.
impl ConfusionMatrix {
    /// As [`Precision`].
    ///
    /// # Errors
    /// [`Error::Index`] of a class that is none.
    pub fn precision(&self, average: Average) -> Result<f64, Error> {
        average.of(self.classes(), |class| self.tally(class), Tally::precision)
    }

    /// As [`Recall`].
    ///
    /// # Errors
    /// [`Error::Index`] of a class that is none.
    pub fn recall(&self, average: Average) -> Result<f64, Error> {
        average.of(self.classes(), |class| self.tally(class), Tally::recall)
    }

    /// As [`F1`].
    ///
    /// # Errors
    /// [`Error::Index`] of a class that is none.
    pub fn f1(&self, average: Average) -> Result<f64, Error> {
        average.of(self.classes(), |class| self.tally(class), Tally::f1)
    }
}
