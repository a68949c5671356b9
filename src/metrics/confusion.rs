//! The confusion matrix.

use super::average::{Ratio, ZeroDivision};
use super::{check, class_of, classes_of_rows};
use crate::allocation::{allocate, collected};
use crate::columns::Columns;
use crate::data::check_labels;
use crate::error::Error;
use crate::examples::check_length;
use crate::scalar::Scalar;
use nalgebra::DMatrix;
use std::fmt;

/// Counts examples by actual class (rows) and predicted class (columns), as scikit-learn's
/// `confusion_matrix` does.
///
/// It is printed as a table, with the recall of a class at the end of its row, the precision below
/// its column, and the accuracy in the corner. 0/0 is shown as 0.
/// [`with_names`](Self::with_names) names the classes.
///
/// # Example
/// ```
/// use backprop::metrics::{Average, ConfusionMatrix};
///
/// let counts = ConfusionMatrix::from_labels(&[0, 0, 1, 1, 1, 2], &[0, 1, 1, 1, 0, 2], 3)?;
/// assert_eq!(counts.counts()[(1, 0)], 1); // one example of class 1 was classified as 0
/// assert_eq!(counts.accuracy(), 4.0 / 6.0);
/// assert_eq!(counts.recall(Average::Class(0))?, 0.5);
/// let table = "\
/// true \\ pred     0     1     2  recall
/// 0               1     1     0   0.500
/// 1               1     2     0   0.667
/// 2               0     0     1   1.000
/// precision   0.500 0.667 1.000   0.667";
/// assert_eq!(counts.to_string(), table);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: DMatrix<usize>,
    /// One for each class, or none.
    names: Vec<String>,
}

impl ConfusionMatrix {
    /// Counts pairs of labels, each of which is one of `classes` classes.
    ///
    /// # Errors
    /// - [`Error::Length`] if the numbers of actual and predicted labels differ.
    /// - [`Error::NoExamples`] if there are no labels.
    /// - [`Error::Label`] with the first label that is not a class, actual labels first.
    /// - [`Error::TooLarge`] if the K × K counts do not fit in memory.
    pub fn from_labels(
        actual: &[usize],
        predicted: &[usize],
        classes: usize,
    ) -> Result<Self, Error> {
        check_length("the predicted labels", actual.len(), predicted.len())?;
        if actual.is_empty() {
            return Err(Error::NoExamples);
        }
        check_labels("the actual labels", actual, classes)?;
        check_labels("the predicted labels", predicted, classes)?;
        let pairs = actual.iter().copied().zip(predicted.iter().copied());
        Self::count(pairs, classes)
    }

    /// Counts the outputs of a network by actual and predicted class. Outputs and targets are K ×
    /// m.
    ///
    /// There are K classes, or two if K = 1. The class of a column is determined as for
    /// [`Accuracy`](super::Accuracy).
    ///
    /// # Errors
    /// Returns the errors of [`check`], and [`Error::TooLarge`] if the counts do not fit in memory.
    ///
    /// # Example
    /// ```
    /// use backprop::metrics::ConfusionMatrix;
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let a = DMatrix::from_row_slice(1, 3, &[0.9, 0.4, 0.7]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.0, 0.0, 0.0]);
    /// let counts = ConfusionMatrix::from_outputs(&a, &y)?;
    /// assert_eq!(*counts.counts(), DMatrix::from_row_slice(2, 2, &[1, 1, 0, 1]));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn from_outputs<'a, T: Scalar>(
        outputs: impl Columns<'a, T>,
        targets: impl Columns<'a, T>,
    ) -> Result<Self, Error> {
        let (outputs, targets) = (outputs.columns_view(), targets.columns_view());
        check(outputs, targets)?;
        let examples = 0..outputs.ncols();
        let pairs = examples.map(|k| (class_of(&targets, k), class_of(&outputs, k)));
        Self::count(pairs, classes_of_rows(outputs.nrows()))
    }

    fn count(pairs: impl Iterator<Item = (usize, usize)>, classes: usize) -> Result<Self, Error> {
        let counts = allocate("the confusion matrix", (classes, classes), 0)?;
        let mut counts = DMatrix::from_vec(classes, classes, counts);
        pairs.for_each(|pair| counts[pair] += 1);
        let names = Vec::new();
        Ok(Self { counts, names })
    }

    /// Names the classes, in the order of their numbers. The table then shows the names.
    ///
    /// # Errors
    /// - [`Error::Length`] unless there are K names.
    /// - [`Error::TooLarge`] if they do not fit in memory.
    ///
    /// # Example
    /// ```
    /// use backprop::data::LabelEncoder;
    /// use backprop::metrics::ConfusionMatrix;
    ///
    /// let encoder = LabelEncoder::fit(&["cat", "horse"])?;
    /// let counts = ConfusionMatrix::from_labels(&[0, 0, 1], &[0, 1, 1], 2)?;
    /// let table = "\
    /// true \\ pred   cat horse  recall
    /// cat             1     1   0.500
    /// horse           0     1   1.000
    /// precision   1.000 0.500   0.667";
    /// assert_eq!(counts.with_names(encoder.classes())?.to_string(), table);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn with_names<N: ToString>(mut self, names: &[N]) -> Result<Self, Error> {
        check_length("the names of the classes", self.classes(), names.len())?;
        let names = names.iter().map(|name| Ok(name.to_string()));
        self.names = collected("the names of the classes", self.classes(), names)?;
        Ok(self)
    }

    /// Returns the names of the classes, or an empty list without
    /// [`with_names`](Self::with_names).
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the number of classes K.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.counts.nrows()
    }

    /// Returns the counts, K × K. Entry (i, j) counts examples of class i classified as class j.
    #[must_use]
    pub fn counts(&self) -> &DMatrix<usize> {
        &self.counts
    }

    /// Returns the [`Accuracy`](super::Accuracy): the fraction of examples on the diagonal.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.counts.trace() as f64 / self.counts.sum() as f64
    }

    /// Returns the counts of one class.
    pub(super) fn tally(&self, class: usize) -> Tally {
        Tally {
            hits: self.counts[(class, class)],
            predicted: self.counts.column(class).sum(),
            actual: self.counts.row(class).sum(),
        }
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |class: usize| match self.names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        };
        let ratio = |class, of: Ratio| of(self.tally(class), ZeroDivision::Zero).unwrap_or(0.0);
        let names = (0..self.classes()).map(name);
        let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
        let largest = self.counts.iter().copied().max().unwrap_or(0);
        // A precision takes five characters.
        let width = 1 + largest.to_string().len().max(longest).max(5);
        let first = longest.max(11);
        write!(f, "{:first$}", "true \\ pred")?;
        for class in 0..self.classes() {
            write!(f, "{:>width$}", name(class))?;
        }
        write!(f, "  recall")?;
        for (class, row) in self.counts.row_iter().enumerate() {
            write!(f, "\n{:<first$}", name(class))?;
            for count in row.iter() {
                write!(f, "{count:>width$}")?;
            }
            write!(f, "{:8.3}", ratio(class, Tally::recall))?;
        }
        write!(f, "\n{:first$}", "precision")?;
        for class in 0..self.classes() {
            write!(f, "{:width$.3}", ratio(class, Tally::precision))?;
        }
        write!(f, "{:8.3}", self.accuracy())
    }
}

/// The counts of one class: true positives, predicted positives and actual positives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) hits: usize,
    pub(super) predicted: usize,
    pub(super) actual: usize,
}

impl Tally {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            predicted: self.predicted + other.predicted,
            actual: self.actual + other.actual,
        }
    }

    /// Counts one more example.
    pub(super) fn with(self, predicted: bool, actual: bool) -> Self {
        self.plus(Self {
            hits: usize::from(predicted && actual),
            predicted: usize::from(predicted),
            actual: usize::from(actual),
        })
    }

    pub(super) fn precision(self, zero_division: ZeroDivision) -> Option<f64> {
        zero_division.ratio(self.hits, self.predicted)
    }

    pub(super) fn recall(self, zero_division: ZeroDivision) -> Option<f64> {
        zero_division.ratio(self.hits, self.actual)
    }

    pub(super) fn f1(self, zero_division: ZeroDivision) -> Option<f64> {
        zero_division.ratio(2 * self.hits, self.predicted + self.actual)
    }
}
