//! Prepares data for training: labels, scaling, splits and shuffling.
//!
//! | for | use |
//! |---|---|
//! | class labels to targets and back | [`one_hot`], [`labels`]; [`LabelEncoder`] for class names |
//! | rare or important classes | [`balanced_weights`], [`class_weights`] |
//! | a table of numbers and text, such as a CSV file (`source::Csv`) | [`Table`] |
//! | a table to inputs: missing values, categories, scales | [`Pipeline`] of [`Steps`] |
//! | inputs of size about 1 | [`Standardizer`] (mean 0, standard deviation 1), [`MinMaxScaler`] (an interval); [`Scaler`] for a custom one |
//! | training and test examples | [`train_test_split`], [`stratified_split`], [`KFold`]; [`select`] copies them |
//! | validation examples too, for early stopping | [`three_way_split`], [`stratified_three_way_split`], [`Split::within`] |
//! | the order of an epoch | [`permutation_into`] |
//!
//! Random choices depend only on a seed and are the same on every platform. Fit a scaler to the
//! training examples, then apply it unchanged to all others.
//!
//! # Example
//! Petals in cm and species by name. A third of the flowers are test examples:
//! ```
//! use backprop::data::{LabelEncoder, Scaler, Standardizer, one_hot, select, stratified_split};
//! use backprop::row_major;
//!
//! let rows = [1.4, 0.2, 1.3, 0.2, 1.7, 0.4, 4.7, 1.4, 4.5, 1.5, 4.0, 1.3];
//! let species = ["setosa", "setosa", "setosa", "versicolor", "versicolor", "versicolor"];
//! let x = row_major(&rows, 2)?;
//!
//! let encoder = LabelEncoder::fit(&species)?;
//! let labels = encoder.encode(&species)?;
//! let y = one_hot::<f64>(&labels, encoder.classes().len())?;
//!
//! let split = stratified_split(&labels, 1.0 / 3.0, 1)?;
//! let train = select(x, &split.train)?;
//! let scaler = Standardizer::fit(&train)?;
//! let (x_train, y_train) = (scaler.apply(&train)?, select(&y, &split.train)?);
//! let (x_test, y_test) = (scaler.apply(&select(x, &split.test)?)?, select(&y, &split.test)?);
//! assert!(x_train.column_sum().amax() < 1e-12); // the sum of each row
//! assert_eq!((y_train.shape(), x_test.shape()), ((2, 4), (2, 2)));
//! assert_eq!(y_test.column_sum().as_slice(), [1.0, 1.0]); // one flower of each species
//! # Ok::<(), backprop::Error>(())
//! ```

mod folds;
mod labels;
mod min_max;
mod pipeline;
mod scaler;
mod shuffle;
mod split;
mod standardizer;
mod statistics;
pub(crate) mod table;

use crate::allocation::allocate;
use crate::columns::Columns;
use crate::error::Error;
use crate::scalar::Scalar;
use nalgebra::DMatrix;

pub use folds::KFold;
pub(crate) use labels::check_labels;
pub use labels::{LabelEncoder, balanced_weights, class_weights, labels, one_hot};
pub use min_max::MinMaxScaler;
pub use pipeline::{Fill, Pipeline, Steps};
pub use scaler::Scaler;
pub use shuffle::permutation_into;
pub(crate) use split::train_validation_split;
pub use split::{
    Fractions, Split, ThreeWaySplit, stratified_split, stratified_three_way_split, three_way_split,
    train_test_split,
};
pub use standardizer::Standardizer;
pub use table::Table;

/// Returns the columns of a matrix at the given indices, in that order. Indices may repeat.
///
/// # Errors
/// - [`Error::Index`] with the first index that is not a column.
/// - [`Error::TooLarge`] if the columns do not fit in memory.
///
/// # Example
/// ```
/// use backprop::{data::select, nalgebra::DMatrix};
///
/// let x = DMatrix::from_row_slice(2, 3, &[1, 2, 3, 4, 5, 6]).map(f64::from);
/// let selected = DMatrix::from_row_slice(2, 3, &[3.0, 1.0, 3.0, 6.0, 4.0, 6.0]);
/// assert_eq!(select(&x, &[2, 0, 2])?, selected);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn select<'a, T: Scalar>(
    matrix: impl Columns<'a, T>,
    indices: &[usize],
) -> Result<DMatrix<T>, Error> {
    let matrix = matrix.columns_view();
    let (rows, count) = matrix.shape();
    if let Some(&index) = indices.iter().find(|&&index| index >= count) {
        let what = "example";
        return Err(Error::Index { what, index, count });
    }
    let shape = (rows, indices.len());
    let selected = allocate("the selected columns", shape, T::zero())?;
    let mut selected = DMatrix::from_vec(rows, indices.len(), selected);
    for (mut column, &index) in selected.column_iter_mut().zip(indices) {
        column.copy_from(&matrix.column(index));
    }
    Ok(selected)
}
