//! Metrics of probabilities: the log-loss, and the area under the ROC curve.

use super::average::{Average, Mean};
use super::labels::{Label, check_labels, labels_of_row};
use super::{Direction, Metric, check, classes_of_rows, not_finite, pairwise_sum};
use crate::allocation::reserved;
use crate::error::Error;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DMatrixView;
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
    for (example, column) in matrix.column_iter().enumerate() {
        for (unit, &entry) in column.iter().enumerate() {
            let value = to_f64(entry);
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::Probability {
                    what,
                    unit,
                    example,
                    value,
                });
            }
        }
    }
    Ok(())
}

/// The area under the ROC curve: the probability that a random example of a class has a larger
/// output than a random one of the others, plus half the probability that they are equal.
///
/// With one output, it is the area of class 1, whatever the average. With K outputs, each is taken
/// against the rest, and [`Average`] combines the K areas: for one-hot targets this is
/// scikit-learn's `multi_class="ovr"`, and for several independent labels its result for an
/// indicator matrix. [`Average::Micro`] ranks all K m entries together.
///
/// A target is positive if it is above ½. Outputs are only ranked, so they need not be
/// probabilities. Targets that are missing are not counted. (Fawcett 2006,
/// doi:10.1016/j.patrec.2005.10.010.)
///
/// # Errors
/// - The errors of [`check`], and [`Error::Index`] for a class that does not exist.
/// - [`Error::OneClass`] with the first output without a positive or without a negative target.
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
        let area = |rows: Range<usize>| {
            let first = rows.start;
            let mut ranked = reserved("the ranked outputs", rows.len() * outputs.ncols())?;
            let labels = |row| labels_of_row(outputs, targets, present, row);
            ranked.extend(rows.flat_map(labels));
            Area::of(ranked, first)
        };
        match self.0 {
            Average::Micro => Ok(area(0..rows)?.value),
            // With one output, both classes have the same area.
            Average::Class(class) => {
                let row = class.min(rows - 1);
                Ok(area(row..row + 1)?.value)
            }
            Average::Macro | Average::Weighted => {
                let mut mean = Mean::default();
                for row in 0..rows {
                    let area = area(row..row + 1)?;
                    mean.add(area.value, area.positives);
                }
                let found = mean.value(self.0);
                found.ok_or_else(|| not_finite(self.0.name(ROC_AUC), f64::NAN))
            }
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

struct Area {
    value: f64,
    positives: usize,
}

impl Area {
    /// Counts the pairs of a positive and a negative target whose outputs are in order, equal ones
    /// by half.
    fn of(mut ranked: Vec<Label>, unit: usize) -> Result<Self, Error> {
        let positives = ranked.iter().filter(|label| label.actual).count();
        let negatives = ranked.len() - positives;
        if positives == 0 || negatives == 0 {
            if ranked.is_empty() {
                return Err(Error::NoExamples);
            }
            return Err(Error::OneClass {
                unit,
                positive: positives > 0,
            });
        }
        // All are finite, and 0 equals −0.
        let by_output = |a: &Label, b: &Label| {
            let order = a.output.partial_cmp(&b.output);
            order.unwrap_or(std::cmp::Ordering::Equal)
        };
        ranked.sort_unstable_by(by_output);
        let (mut twice, mut below) = (0_u128, 0);
        for equal in ranked.chunk_by(|a, b| a.output == b.output) {
            let hits = equal.iter().filter(|label| label.actual).count();
            let others = equal.len() - hits;
            twice += hits as u128 * (2 * below + others) as u128;
            below += others;
        }
        let pairs = positives as u128 * negatives as u128;
        Ok(Self {
            value: twice as f64 / (2 * pairs) as f64,
            positives,
        })
    }
}
