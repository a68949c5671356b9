//! Metrics of probabilities: the log-loss, and the area under the ROC curve.

use super::average::{Average, Mean};
use super::labels::{Label, check_labels, labels_of_row};
use super::{Direction, Metric, check, classes_of_rows, pairwise_sum};
use crate::allocation::reserved;
use crate::error::Error;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DMatrixView;
use std::cmp::Ordering;
use std::ops::Range;

/// The mean cross-entropy of probabilities: −Σ y ln a/m over classes and examples.
///
/// With one output, a and y are the probabilities of class 1, and 1 − a and 1 − y those of class 0.
/// As in scikit-learn, each probability is first clipped to \[ε, 1 − ε], where ε is the machine
/// epsilon of T, so the log-loss is finite for any output in \[0, 1]. The costs
/// [`BinaryCrossEntropy`](crate::BinaryCrossEntropy) and
/// [`CategoricalCrossEntropy`](crate::CategoricalCrossEntropy) are never clipped.
///
/// The outputs of an example should sum to 1, which is not checked.
///
/// # Errors
/// Returns the errors of [`check`], and [`Error::Probability`] with the first output or target that
/// is not in \[0, 1], outputs first.
///
/// # Example
/// ```
/// use backprop::metrics::{LogLoss, Metric};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(1, 2, &[0.8, 0.5]);
/// let y = DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
/// let loss: f64 = LogLoss.evaluate(a.as_view(), y.as_view())?;
/// assert!((loss - (-(0.8_f64.ln()) - 0.5_f64.ln()) / 2.0).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("log_loss", "cross_entropy"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogLoss;

impl<T: Scalar> Metric<T> for LogLoss {
    fn name(&self) -> String {
        "log-loss".to_owned()
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
        check_probabilities("output", outputs)?;
        check_probabilities("target", targets)?;
        let epsilon = to_f64(T::default_epsilon());
        let term = |y: f64, a: f64| match y {
            0.0 => 0.0,
            _ => -y * a.clamp(epsilon, 1.0 - epsilon).ln(),
        };
        let single = outputs.nrows() == 1;
        let of_example = |k| {
            let (a, y) = (outputs.column(k), targets.column(k));
            let pairs = a.iter().zip(y.iter());
            let terms = pairs.map(|(&a, &y)| {
                let (a, y) = (to_f64(a), to_f64(y));
                let other = if single { term(1.0 - y, 1.0 - a) } else { 0.0 };
                term(y, a) + other
            });
            terms.sum()
        };
        Ok(pairwise_sum(0..outputs.ncols(), &of_example) / outputs.ncols() as f64)
    }
}

/// Checks that all entries are in \[0, 1].
fn check_probabilities<T: Scalar>(
    what: &'static str,
    matrix: DMatrixView<'_, T>,
) -> Result<(), Error> {
    let mut entries = matrix.iter().map(|&entry| to_f64(entry)).enumerate();
    match entries.find(|(_, value)| !(0.0..=1.0).contains(value)) {
        None => Ok(()),
        Some((place, value)) => Err(Error::Probability {
            what,
            unit: place % matrix.nrows(),
            example: place / matrix.nrows(),
            value,
        }),
    }
}

/// The area under the ROC curve: the probability that a random example of a class has a larger
/// output than a random one of the others, plus half the probability that they are equal.
///
/// With one output, it is the area of class 1, whatever the average. With K outputs, each is taken
/// against the rest, and [`Average`] combines the K areas: for one-hot targets this is
/// scikit-learn's `multi_class="ovr"`, and for several independent labels its result for an
/// indicator matrix. [`Average::Micro`] ranks all K m entries together. [`Average::Weighted`]
/// leaves out classes without positive targets, and is 0 if there are no others.
///
/// A target is positive if it is above ½. Outputs are only ranked, so they need not be
/// probabilities. Targets that are missing are not counted. (Fawcett 2006,
/// doi:10.1016/j.patrec.2005.10.010.)
///
/// # Errors
/// - The errors of [`check`], and [`Error::Index`] for a class that does not exist.
/// - [`Error::OneClass`] with the first output that has no positive or no negative targets and is
///   not left out. (scikit-learn warns and returns NaN.)
/// - [`Error::TooLarge`] if the outputs to be ranked do not fit in memory.
///
/// # Example
/// Of the four pairs of a positive and a negative example, three are in order:
/// ```
/// use backprop::metrics::{Average, Metric, RocAuc};
/// use backprop::nalgebra::DMatrix;
///
/// let a = DMatrix::from_row_slice(1, 4, &[0.1, 0.4, 0.35, 0.8]);
/// let y = DMatrix::from_row_slice(1, 4, &[0.0, 0.0, 1.0, 1.0]);
/// assert_eq!(RocAuc(Average::Macro).evaluate(a.as_view(), y.as_view())?, 0.75);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("roc_auc_score", "AUROC"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RocAuc(
    /// The average over the classes or labels.
    pub Average,
);

const ROC_AUC: &str = "ROC-AUC";

impl RocAuc {
    fn of<T: Scalar>(
        self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: Option<DMatrixView<'_, bool>>,
    ) -> Result<f64, Error> {
        check_labels(outputs, targets, present)?;
        let rows = outputs.nrows();
        self.0.validate(classes_of_rows(rows))?;
        let labels = |row| labels_of_row(outputs, targets, present, row);
        let area = |rows: Range<usize>| {
            let first = rows.start;
            let mut ranked = reserved("the ranked outputs", rows.len() * outputs.ncols())?;
            ranked.extend(rows.flat_map(labels));
            area(ranked, first)
        };
        match self.0 {
            Average::Macro | Average::Weighted if rows > 1 => {
                let mut mean = Mean::default();
                for row in 0..rows {
                    let positives = labels(row).filter(|label| label.actual).count();
                    if positives > 0 || self.0 == Average::Macro {
                        mean.add(area(row..row + 1)?, positives);
                    }
                }
                Ok(mean.value(self.0).unwrap_or(0.0))
            }
            Average::Class(class) if rows > 1 => area(class..class + 1),
            // With one output, both classes have the same area.
            _ => area(0..rows),
        }
    }
}

impl<T: Scalar> Metric<T> for RocAuc {
    fn name(&self) -> String {
        self.0.name(ROC_AUC)
    }

    fn direction(&self) -> Direction {
        Direction::Maximize
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        self.of(outputs, targets, None)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        self.of(outputs, targets, Some(present))
    }
}

/// Returns the share of the pairs of a positive and a negative target whose outputs are in order,
/// equal ones by half.
fn area(mut labels: Vec<Label>, unit: usize) -> Result<f64, Error> {
    if labels.is_empty() {
        return Err(Error::NoExamples);
    }
    let count = |labels: &[Label]| labels.iter().filter(|label| label.actual).count();
    let positives = count(&labels);
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        let positive = positives > 0;
        return Err(Error::OneClass { unit, positive });
    }
    // All are finite, and −0 equals 0.
    labels.sort_unstable_by(|a, b| a.output.partial_cmp(&b.output).unwrap_or(Ordering::Equal));
    let (mut twice, mut below) = (0_u128, 0);
    for equal in labels.chunk_by(|a, b| a.output == b.output) {
        let hits = count(equal);
        let others = equal.len() - hits;
        twice += hits as u128 * (2 * below + others) as u128;
        below += others;
    }
    Ok(twice as f64 / (2 * positives as u128 * negatives as u128) as f64)
}
