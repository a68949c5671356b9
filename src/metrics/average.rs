//! Averages over classes or labels, and what 0/0 counts as.

use super::confusion::Tally;
use super::labels::{Label, check_labels, labels_of_row};
use super::present::whole_examples;
use super::{check, class_of, classes_of_rows, not_finite};
use crate::allocation::allocate;
use crate::error::Error;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// How the values of classes, or of labels, are averaged.
///
/// It becomes an [`Averaging`] with [`multi_label`](Self::multi_label) or
/// [`zero_division`](Self::zero_division).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Average {
    /// The mean over all K classes, also those that do not occur. (scikit-learn leaves them out
    /// unless `labels=range(K)` is given.)
    Macro,
    /// The ratio of the sums over all classes. If each example has one class, it equals the
    /// accuracy.
    Micro,
    /// The mean over all K classes, each weighted by its number of examples. If no class has any,
    /// the weights are equal.
    Weighted,
    /// One class. For a single output, class 1 is scikit-learn's `average="binary"`.
    Class(usize),
}

impl Average {
    /// Counts each output as a label of its own, present above ½: see [`Averaging::multi_label`].
    pub fn multi_label(self) -> Averaging {
        Averaging::from(self).multi_label()
    }

    /// Sets what 0/0 counts as: see [`Averaging::zero_division`].
    pub fn zero_division(self, zero_division: ZeroDivision) -> Averaging {
        Averaging::from(self).zero_division(zero_division)
    }

    pub(super) fn validate(self, classes: usize) -> Result<(), Error> {
        match self {
            Self::Class(class) if class >= classes => Err(Error::Index {
                what: "class",
                index: class,
                count: classes,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn name(self, of: &str) -> String {
        match self {
            Self::Macro => format!("macro {of}"),
            Self::Micro => format!("micro {of}"),
            Self::Weighted => format!("weighted {of}"),
            Self::Class(class) => format!("{of} of class {class}"),
        }
    }
}

/// A mean of values, each with its number of examples.
#[derive(Default)]
pub(super) struct Mean {
    sum: f64,
    count: usize,
    weighted_sum: f64,
    examples: usize,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64, examples: usize) {
        self.sum += value;
        self.count += 1;
        self.weighted_sum += value * examples as f64;
        self.examples += examples;
    }

    /// Returns the mean, or `None` if there are no values.
    pub(super) fn value(&self, average: Average) -> Option<f64> {
        if average == Average::Weighted && self.examples > 0 {
            return Some(self.weighted_sum / self.examples as f64);
        }
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The value of a ratio 0/0, such as the precision of a class that was never predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZeroDivision {
    /// 0. This is the default, as in scikit-learn, which also warns.
    #[default]
    Zero,
    /// 1.
    One,
    /// No value: averages leave the class out, as scikit-learn's do with `zero_division=nan`. If
    /// there is no other class, the metric is an [`Error::NonFinite`].
    Exclude,
}

impl ZeroDivision {
    /// Returns part/whole.
    pub(super) fn ratio(self, part: usize, whole: usize) -> Option<f64> {
        match self {
            _ if whole > 0 => Some(part as f64 / whole as f64),
            Self::Zero => Some(0.0),
            Self::One => Some(1.0),
            Self::Exclude => None,
        }
    }
}

/// A ratio of the counts of one class.
pub(super) type Ratio = fn(Tally, ZeroDivision) -> Option<f64>;

/// An [`Average`] with options, for [`Precision`](super::Precision), [`Recall`](super::Recall) and
/// [`F1`](super::F1).
///
/// # Example
/// Three labels of two examples. Label 2 never occurs and is never predicted, so its F1 is 0/0:
/// ```
/// use backprop::metrics::{Average, F1, Metric, ZeroDivision};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(3, 2, &[0.9, 0.8, 0.3, 0.7, 0.1, 0.2]);
/// let y = DMatrix::from_row_slice(3, 2, &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
/// let labels = Average::Macro.multi_label();
/// let f1 = |averaging| F1(averaging).evaluate(a.as_view(), y.as_view());
/// assert_eq!(f1(labels)?, (1.0 + 2.0 / 3.0 + 0.0) / 3.0);
/// assert_eq!(f1(labels.zero_division(ZeroDivision::One))?, (1.0 + 2.0 / 3.0 + 1.0) / 3.0);
/// assert_eq!(f1(labels.zero_division(ZeroDivision::Exclude))?, (1.0 + 2.0 / 3.0) / 2.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Averaging {
    average: Average,
    zero_division: ZeroDivision,
    pub(super) multi_label: bool,
}

impl From<Average> for Averaging {
    fn from(average: Average) -> Self {
        Self {
            average,
            zero_division: ZeroDivision::Zero,
            multi_label: false,
        }
    }
}

impl Averaging {
    /// Counts each output as a label of its own, present if its entry is above ½.
    ///
    /// An example may have any number of labels, as with independent outputs of
    /// [`Sigmoid`](crate::activation::Sigmoid). "Class" i is then label i, and a target that is
    /// missing is not counted. This is scikit-learn's result for indicator matrices.
    pub fn multi_label(mut self) -> Self {
        self.multi_label = true;
        self
    }

    /// Sets what 0/0 counts as, in each class before it is averaged.
    pub fn zero_division(mut self, zero_division: ZeroDivision) -> Self {
        self.zero_division = zero_division;
        self
    }

    pub(super) fn name(self, ratio: &str) -> String {
        let kind = if self.multi_label { "multi-label " } else { "" };
        let zero_division = match self.zero_division {
            ZeroDivision::Zero => "",
            ZeroDivision::One => ", 0/0 = 1",
            ZeroDivision::Exclude => ", without 0/0",
        };
        format!("{kind}{}{zero_division}", self.average.name(ratio))
    }

    /// Averages a ratio over the tallies of the classes.
    pub(super) fn of(
        self,
        name: &str,
        classes: usize,
        tally: impl Fn(usize) -> Tally,
        ratio: Ratio,
    ) -> Result<f64, Error> {
        self.average.validate(classes)?;
        let value = |tally| ratio(tally, self.zero_division);
        let tallies = (0..classes).map(&tally);
        let found = match self.average {
            Average::Micro => value(tallies.fold(Tally::default(), Tally::plus)),
            Average::Class(class) => value(tally(class)),
            Average::Macro | Average::Weighted => {
                let mut mean = Mean::default();
                for tally in tallies {
                    if let Some(value) = value(tally) {
                        mean.add(value, tally.actual);
                    }
                }
                mean.value(self.average)
            }
        };
        found.ok_or_else(|| not_finite(self.name(name), f64::NAN))
    }

    /// Averages a ratio over outputs and targets, some of which may be missing. Only means over
    /// classes allocate if all are present.
    pub(super) fn evaluate<T: Scalar>(
        self,
        name: &str,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: Option<DMatrixView<'_, bool>>,
        ratio: Ratio,
    ) -> Result<f64, Error> {
        if self.multi_label {
            check_labels(outputs, targets, present)?;
            let labels = |row| labels_of_row(outputs, targets, present, row);
            let add = |tally: Tally, label: Label| tally.with(label.predicted, label.actual);
            let tally = |row| labels(row).fold(Tally::default(), add);
            return self.of(name, outputs.nrows(), tally, ratio);
        }
        if let Some(present) = present {
            let [outputs, targets] = whole_examples(outputs, targets, present)?;
            return self.evaluate(name, outputs.as_view(), targets.as_view(), None, ratio);
        }
        check(outputs, targets)?;
        let (classes, m) = (classes_of_rows(outputs.nrows()), outputs.ncols());
        let pairs = || (0..m).map(|k| (class_of(&targets, k), class_of(&outputs, k)));
        match self.average {
            Average::Macro | Average::Weighted => {
                let mut tallies = allocate("the counts", (classes, 1), Tally::default())?;
                for (actual, predicted) in pairs() {
                    tallies[actual].actual += 1;
                    tallies[predicted].predicted += 1;
                    tallies[actual].hits += usize::from(actual == predicted);
                }
                self.of(name, classes, |class| tallies[class], ratio)
            }
            Average::Micro => {
                let hits = pairs().filter(|(actual, predicted)| actual == predicted);
                let all = Tally {
                    hits: hits.count(),
                    predicted: m,
                    actual: m,
                };
                self.of(name, 1, |_| all, ratio)
            }
            Average::Class(_) => {
                let tally = |class| {
                    pairs().fold(Tally::default(), |tally, (actual, predicted)| {
                        tally.with(predicted == class, actual == class)
                    })
                };
                self.of(name, classes, tally, ratio)
            }
        }
    }
}
