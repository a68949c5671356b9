//! Metrics: measures of the quality of outputs.
//!
//! Outputs a and targets y are K × m, with one example per column. The class of a column is the row
//! of its largest entry, or the first of several equal ones. With a single row (K = 1) there are
//! two classes: class 1 if the entry is above ½, and class 0 otherwise. For one class, tp, fp and
//! fn count the true positives, the false positives and the false negatives. [`Average`] states how
//! classes are combined, and [`ZeroDivision`] what 0/0 counts as.
//!
//! Each output may also be a label of its own, present above ½: then use [`SubsetAccuracy`],
//! [`HammingLoss`], [`RocAuc`], and [`Average::multi_label`] for precision, recall and F1.
//!
//! | metric | formula | better | scikit-learn |
//! |---|---|---|---|
//! | [`Accuracy`] | fraction of examples classified correctly | larger | `accuracy_score` |
//! | [`TopK`] | fraction of examples whose class is among the k largest outputs | larger | `top_k_accuracy_score` |
//! | [`Precision`] | tp/(tp + fp) | larger | `precision_score` |
//! | [`Recall`] | tp/(tp + fn) | larger | `recall_score` |
//! | [`F1`] | 2 tp/(2 tp + fp + fn) | larger | `f1_score` |
//! | [`SubsetAccuracy`] | fraction of examples all of whose labels are right | larger | `accuracy_score` of an indicator matrix |
//! | [`HammingLoss`] | fraction of labels that are wrong | smaller | `hamming_loss` |
//! | [`LogLoss`] | −Σ y ln a/m, a clipped to \[ε, 1 − ε] | smaller | `log_loss` |
//! | [`RocAuc`] | fraction of pairs of a positive and a negative example in order | larger | `roc_auc_score` |
//! | [`R2`] | 1 − Σ (y − a)²/Σ (y − ȳ)², mean over the outputs | larger | `r2_score` |
//! | [`MeanAbsoluteError`] | Σ \|a − y\|/(K m) | smaller | `mean_absolute_error` |
//! | [`MeanSquaredError`] | Σ (a − y)²/(K m) | smaller | `mean_squared_error` |
//!
//! [`OfHead`] is a metric of the outputs of one head. Targets that are missing
//! ([`Examples::with_missing`](crate::Examples::with_missing)) are not counted.
//!
//! [`ConfusionMatrix`] counts predictions by actual and predicted class. Sums are computed in `f64`
//! for every T.
//!
//! # A custom metric
//! ```
//! use backprop::metrics::{Direction, Metric};
//! use backprop::nalgebra::{DMatrixView, DMatrix, try_convert};
//! use backprop::{Error, Scalar};
//!
//! /// The largest |a − y|.
//! #[derive(Debug)]
//! struct Worst;
//!
//! impl<T: Scalar> Metric<T> for Worst {
//!     fn name(&self) -> String {
//!         "largest error".into()
//!     }
//!
//!     fn direction(&self) -> Direction {
//!         Direction::Minimize
//!     }
//!
//!     fn evaluate(
//!         &self,
//!         outputs: DMatrixView<'_, T>,
//!         targets: DMatrixView<'_, T>,
//!     ) -> Result<f64, Error> {
//!         backprop::metrics::check(outputs, targets)?;
//!         let larger = |worst: T, a: T, y: T| worst.max((a - y).abs());
//!         let worst = outputs.zip_fold(&targets, T::zero(), larger);
//!         Ok(try_convert(worst).unwrap_or(f64::NAN))
//!     }
//! }
//!
//! let a = DMatrix::from_row_slice(1, 2, &[0.5, 0.25]);
//! let y = DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
//! assert_eq!(Worst.evaluate(a.as_view(), y.as_view())?, 0.5);
//! # Ok::<(), Error>(())
//! ```

mod average;
mod classification;
mod confusion;
mod labels;
mod present;
mod probabilities;
mod regression;

use crate::error::{Error, Location};
use crate::examples::{check_finite, check_rows};
use crate::kernels::index_of_max;
use crate::scalar::{Scalar, real};
use nalgebra::DMatrixView;
use std::fmt::Debug;
use std::ops::Range;

pub use average::{Average, Averaging, ZeroDivision};
pub use classification::{Accuracy, F1, Precision, Recall, TopK};
pub use confusion::ConfusionMatrix;
pub use labels::{HammingLoss, SubsetAccuracy};
pub use present::OfHead;
pub(crate) use present::of_outputs;
use present::{check_present, whole_examples};
pub use probabilities::{LogLoss, RocAuc};
pub use regression::{MeanAbsoluteError, MeanSquaredError, R2};

/// Whether larger or smaller values of a metric are better.
///
/// # Example
/// ```
/// use backprop::metrics::Direction;
///
/// assert!(Direction::Maximize.is_better(0.9, 0.8));
/// assert!(Direction::Minimize.is_better(0.1, Direction::Minimize.worst()));
/// assert!(!Direction::Maximize.is_better(f64::NAN, 0.8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Larger is better.
    Maximize,
    /// Smaller is better.
    Minimize,
}

impl Direction {
    /// Returns whether `value` is better than `best`. An equal value is not better, and neither is
    /// NaN.
    #[must_use]
    pub fn is_better(self, value: f64, best: f64) -> bool {
        match self {
            Self::Maximize => value > best,
            Self::Minimize => value < best,
        }
    }

    /// Returns the worst value: −∞ to maximise, ∞ to minimise.
    #[must_use]
    pub fn worst(self) -> f64 {
        match self {
            Self::Maximize => f64::NEG_INFINITY,
            Self::Minimize => f64::INFINITY,
        }
    }
}

/// A number that measures the quality of outputs, on training examples or others.
///
/// Unlike a [`Cost`](crate::Cost), a metric has no derivative and is not minimised. The
/// [module documentation](self) contains the formulas of the built-in metrics, and an example of a
/// custom metric.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric for numbers of type `{T}`",
    label = "`Metric<{T}>` is not implemented for `{Self}`",
    note = "the built-in metrics are in `backprop::metrics`: `Accuracy`, `F1`, `R2`, …",
    note = "for a custom type, implement `Metric<{T}>`, preferably for every `T: Scalar`"
)]
pub trait Metric<T: Scalar>: Debug + Send + Sync {
    /// Returns the name shown in tables, such as `"accuracy"` or `"macro F1"`.
    fn name(&self) -> String;

    /// Returns whether larger or smaller values are better.
    fn direction(&self) -> Direction;

    /// Computes the metric of outputs and targets, both K × m.
    ///
    /// # Errors
    /// Returns the errors of [`check`], and those that the implementation documents.
    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error>;

    /// Computes the metric where targets are missing: `present`, K × m, is `true` where there is
    /// one.
    ///
    /// By default, the metric is that of the examples all of whose targets are present. The mean
    /// errors, [`R2`], [`RocAuc`], [`HammingLoss`], and multi-label precision, recall and F1 count
    /// every target that is present.
    ///
    /// # Errors
    /// - The errors of [`evaluate`](Self::evaluate).
    /// - [`Error::Shape`] unless `present` has the shape of the targets, and
    ///   [`Error::NoExamples`] if no target is present, for R² in any output.
    ///
    /// # Example
    /// ```
    /// use backprop::metrics::{MeanAbsoluteError, Metric};
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let a = DMatrix::from_row_slice(1, 3, &[1.0, 2.0, 4.0]);
    /// let y = DMatrix::from_row_slice(1, 3, &[1.5, f64::NAN, 3.0]);
    /// let present = y.map(|y| !y.is_nan());
    /// let error =
    ///     MeanAbsoluteError.evaluate_present(a.as_view(), y.as_view(), present.as_view())?;
    /// assert_eq!(error, 0.75);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        let [outputs, targets] = whole_examples(outputs, targets, present)?;
        self.evaluate(outputs.as_view(), targets.as_view())
    }
}

/// Delegates every method.
impl<T: Scalar, M: Metric<T> + ?Sized> Metric<T> for Box<M> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn direction(&self) -> Direction {
        (**self).direction()
    }

    fn evaluate(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
    ) -> Result<f64, Error> {
        (**self).evaluate(outputs, targets)
    }

    fn evaluate_present(
        &self,
        outputs: DMatrixView<'_, T>,
        targets: DMatrixView<'_, T>,
        present: DMatrixView<'_, bool>,
    ) -> Result<f64, Error> {
        (**self).evaluate_present(outputs, targets, present)
    }
}

/// Checks outputs and targets as every built-in metric does.
///
/// # Errors
/// - [`Error::NoExamples`] if the targets have no columns.
/// - [`Error::Shape`] if the targets have no rows, or the outputs have another shape.
/// - [`Error::NonFinite`] with the first entry that is NaN or infinite, outputs first.
///
/// # Example
/// ```
/// use backprop::{Error, Location, metrics::check, nalgebra::DMatrix};
///
/// let a = DMatrix::from_row_slice(1, 2, &[0.5, f64::NAN]);
/// let y = DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
/// let refused = check(a.as_view(), y.as_view());
/// let place = Location::Input { what: "the outputs", row: 0, col: 1 };
/// assert!(matches!(refused, Err(Error::NonFinite { at, .. }) if at == place));
/// ```
pub fn check<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
) -> Result<(), Error> {
    check_shapes(outputs, targets)?;
    check_finite(OUTPUTS, outputs)?;
    check_finite(TARGETS, targets)
}

/// Checks that there are targets, and outputs of the same shape.
fn check_shapes<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    targets: DMatrixView<'_, T>,
) -> Result<(), Error> {
    if targets.ncols() == 0 {
        return Err(Error::NoExamples);
    }
    if targets.nrows() == 0 {
        check_rows(TARGETS, targets, 1)?;
    }
    if outputs.shape() == targets.shape() {
        return Ok(());
    }
    Err(Error::Shape {
        what: OUTPUTS,
        expected: targets.shape(),
        found: outputs.shape(),
    })
}

const OUTPUTS: &str = "the outputs";
const TARGETS: &str = "the targets";

/// Returns the number of classes for K rows.
fn classes_of_rows(rows: usize) -> usize {
    rows.max(2)
}

/// Returns the class of example `k`.
fn class_of<T: Scalar>(matrix: &DMatrixView<'_, T>, k: usize) -> usize {
    let column = matrix.column(k);
    match column.as_slice() {
        [single] => usize::from(*single > real(0.5)),
        entries => index_of_max(entries),
    }
}

/// Returns the fraction of the m examples that pass a test.
fn whole_share(examples: usize, test: impl Fn(usize) -> bool) -> f64 {
    let passed = (0..examples).filter(|&k| test(k)).count();
    passed as f64 / examples as f64
}

/// The error of a metric that is not finite although outputs and targets are.
fn not_finite(name: String, value: f64) -> Error {
    let at = Location::Metric { name };
    Error::NonFinite { at, value }
}

/// Computes Σ f(k) by pairwise summation, so the rounding error grows only with log m.
fn pairwise_sum(examples: Range<usize>, term: &impl Fn(usize) -> f64) -> f64 {
    if examples.len() <= 64 {
        return examples.map(term).sum();
    }
    let middle = examples.start + examples.len() / 2;
    pairwise_sum(examples.start..middle, term) + pairwise_sum(middle..examples.end, term)
}
