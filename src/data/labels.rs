//! Class labels: as numbers, as columns of targets, and by name.

use crate::allocation::{allocate, collected, reserved};
use crate::columns::Columns;
use crate::error::{Error, Location};
use crate::examples::check_rows;
use crate::kernels::index_of_max;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DMatrix;
use std::fmt::Debug;

/// Returns the targets Y (K × m) of m labels: column k is 1 in row `labels[k]` and 0 elsewhere.
///
/// Use it for [`Softmax`](crate::activation::Softmax) with
/// [`CategoricalCrossEntropy`](crate::CategoricalCrossEntropy). [`labels`] is the inverse.
///
/// # Errors
/// - [`Error::NoExamples`] if there are no labels.
/// - [`Error::Label`] with the first label that is not below `classes`.
/// - [`Error::TooLarge`] if K × m numbers do not fit in memory.
///
/// # Example
/// ```
/// use backprop::data::one_hot;
/// use backprop::nalgebra::DMatrix;
///
/// let y = one_hot::<f64>(&[2, 0], 3)?;
/// assert_eq!(y, DMatrix::from_row_slice(3, 2, &[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("to_categorical", "OneHotEncoder"))]
pub fn one_hot<T: Scalar>(labels: &[usize], classes: usize) -> Result<DMatrix<T>, Error> {
    if labels.is_empty() {
        return Err(Error::NoExamples);
    }
    check_labels("the labels", labels, classes)?;
    let shape = (classes, labels.len());
    let mut y = allocate("the matrix of targets", shape, T::zero())?;
    for (column, &label) in y.chunks_exact_mut(classes).zip(labels) {
        column[label] = T::one();
    }
    Ok(DMatrix::from_vec(classes, labels.len(), y))
}

/// Returns the weight of each example from the weights of the classes: `weights[labels[k]]`.
///
/// Pass the result to [`Examples::weighted`](crate::Examples::weighted).
///
/// # Errors
/// - [`Error::NoExamples`] if there are no labels.
/// - [`Error::Label`] with the first label that has no weight.
///
/// # Example
/// ```
/// use backprop::data::class_weights;
///
/// assert_eq!(class_weights(&[0, 1, 0], &[1.0, 5.0])?, [1.0, 5.0, 1.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn class_weights(labels: &[usize], weights: &[f64]) -> Result<Vec<f64>, Error> {
    if labels.is_empty() {
        return Err(Error::NoExamples);
    }
    check_labels("the labels", labels, weights.len())?;
    let of_examples = labels.iter().map(|&label| Ok(weights[label]));
    collected("the weights of the examples", labels.len(), of_examples)
}

/// Returns class weights that give all K classes the same total weight: m/(K mᵢ).
///
/// mᵢ is the number of examples of class i. This is scikit-learn's `class_weight="balanced"`. A
/// class without examples has weight 0.
///
/// # Errors
/// Returns the errors of [`class_weights`].
///
/// # Example
/// ```
/// use backprop::data::{balanced_weights, class_weights};
///
/// let labels = [0, 0, 0, 1];
/// let weights = balanced_weights(&labels, 2)?;
/// assert_eq!(weights, [4.0 / 6.0, 2.0]);
/// let example_weights = class_weights(&labels, &weights)?; // they sum to m
/// assert_eq!(example_weights.iter().sum::<f64>(), 4.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "class_weight")]
pub fn balanced_weights(labels: &[usize], classes: usize) -> Result<Vec<f64>, Error> {
    if labels.is_empty() {
        return Err(Error::NoExamples);
    }
    check_labels("the labels", labels, classes)?;
    let mut counts = allocate("the weights of the classes", (classes, 1), 0.0)?;
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let all = labels.len() as f64;
    // The weights replace the counts.
    for count in counts.iter_mut().filter(|count| **count > 0.0) {
        *count = all / (classes as f64 * *count);
    }
    Ok(counts)
}

/// Returns the label of each column: the row of its largest entry, or the first of several equal
/// ones.
///
/// Applied to targets, it inverts [`one_hot`]. Applied to outputs, it returns the predicted
/// classes. A matrix of one row has one class, so all its labels are 0. For two classes on one
/// output, use [`ConfusionMatrix::from_outputs`](crate::metrics::ConfusionMatrix::from_outputs) or
/// another metric.
///
/// # Errors
/// - [`Error::NoExamples`] if there are no columns.
/// - [`Error::Shape`] if there are no rows.
/// - [`Error::NonFinite`] with the first NaN. Infinities are compared like any other value.
///
/// # Example
/// ```
/// use backprop::{data::labels, nalgebra::DMatrix};
///
/// let a = DMatrix::from_row_slice(3, 3, &[0.1, 0.5, 0.4, 0.2, 0.5, 0.3, 0.7, 0.0, 0.3]);
/// assert_eq!(labels(&a)?, [2, 0, 0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "argmax")]
pub fn labels<'a, T: Scalar>(matrix: impl Columns<'a, T>) -> Result<Vec<usize>, Error> {
    const WHAT: &str = "the matrix of classes";
    let matrix = matrix.columns_view();
    if matrix.ncols() == 0 {
        return Err(Error::NoExamples);
    }
    if matrix.nrows() == 0 {
        check_rows(WHAT, matrix, 1)?;
    }
    let columns = matrix.column_iter().enumerate();
    let label = |(col, column): (usize, nalgebra::DVectorView<'_, T>)| {
        let column = column.as_slice();
        match column.iter().position(|&x| to_f64(x).is_nan()) {
            None => Ok(index_of_max(column)),
            Some(row) => Err(Error::NonFinite {
                at: Location::Input {
                    what: WHAT,
                    row,
                    col,
                },
                value: to_f64(column[row]),
            }),
        }
    };
    collected("the labels", matrix.ncols(), columns.map(label))
}

/// Checks that all labels are below `classes`.
pub(crate) fn check_labels(
    what: &'static str,
    labels: &[usize],
    classes: usize,
) -> Result<(), Error> {
    match labels.iter().position(|&label| label >= classes) {
        None => Ok(()),
        Some(example) => Err(Error::Label {
            what,
            example,
            label: labels[example],
            classes,
        }),
    }
}

/// Maps labels of any ordered type to the numbers 0 to K − 1, in ascending order, and back.
///
/// # Example
/// ```
/// use backprop::data::{LabelEncoder, one_hot};
///
/// let species = ["virginica", "setosa", "virginica", "versicolor"];
/// let encoder = LabelEncoder::fit(&species)?;
/// assert_eq!(encoder.classes(), ["setosa", "versicolor", "virginica"]);
/// let labels = encoder.encode(&species)?;
/// assert_eq!(labels, [2, 0, 2, 1]);
/// assert_eq!(encoder.decode(&labels)?, species);
/// let y = one_hot::<f64>(&labels, encoder.classes().len())?;
/// assert_eq!(y.shape(), (3, 4));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LabelEncoder<V> {
    /// In ascending order, without duplicates.
    classes: Vec<V>,
}

impl<V: Ord + Clone> LabelEncoder<V> {
    /// Fits an encoder to the labels that occur in a list.
    ///
    /// # Errors
    /// Returns [`Error::NoExamples`] if there are no labels.
    pub fn fit(labels: &[V]) -> Result<Self, Error> {
        if labels.is_empty() {
            return Err(Error::NoExamples);
        }
        let mut sorted: Vec<&V> = reserved("the classes", labels.len())?;
        sorted.extend(labels);
        sorted.sort_unstable();
        sorted.dedup();
        let classes = sorted.iter().map(|&label| Ok(label.clone()));
        let classes = collected("the classes", sorted.len(), classes)?;
        Ok(Self { classes })
    }

    /// Returns the K labels in ascending order. The label of class c is at index c.
    #[must_use]
    pub fn classes(&self) -> &[V] {
        &self.classes
    }

    /// Returns the class of each label.
    ///
    /// # Errors
    /// Returns [`Error::UnknownLabel`] with the first example whose label the encoder was not
    /// fitted to.
    pub fn encode(&self, labels: &[V]) -> Result<Vec<usize>, Error>
    where
        V: Debug,
    {
        let class = |(example, label)| {
            let found = self.classes.binary_search(label);
            found.map_err(|_| Error::UnknownLabel {
                example,
                label: format!("{label:?}"),
                known: self.classes.len(),
            })
        };
        collected(
            "the labels",
            labels.len(),
            labels.iter().enumerate().map(class),
        )
    }

    /// Returns the label of each class.
    ///
    /// # Errors
    /// Returns [`Error::Label`] with the first number that is not a class.
    pub fn decode(&self, classes: &[usize]) -> Result<Vec<V>, Error> {
        check_labels("the classes", classes, self.classes.len())?;
        let labels = classes.iter().map(|&class| Ok(self.classes[class].clone()));
        collected("the labels", classes.len(), labels)
    }
}

/// Refuses labels that are not in ascending order, and an empty list.
#[cfg(feature = "serde")]
impl<'de, V: Ord + Clone + serde::Deserialize<'de>> serde::Deserialize<'de> for LabelEncoder<V> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        #[derive(serde::Deserialize)]
        #[serde(rename = "LabelEncoder", deny_unknown_fields)]
        struct Read<V> {
            classes: Vec<V>,
        }

        let Read { classes } = Read::deserialize(deserializer)?;
        let fitted = Self::fit(&classes).map_err(D::Error::custom)?;
        if fitted.classes != classes {
            return Err(D::Error::custom("the labels are not in ascending order"));
        }
        Ok(fitted)
    }
}
