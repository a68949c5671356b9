//! Before training: labels as targets, rows of one scale, and which examples train and which judge.
//!
//! | for | take |
//! |---|---|
//! | classes as targets and back | [`one_hot`], [`labels`]; [`LabelEncoder`] for names of classes |
//! | classes that are rare or matter more | [`balanced_weights`], [`class_weights`] |
//! | rows of size about 1 | [`Standardizer`] (mean 0, deviation 1), [`MinMaxScaler`] (an interval) |
//! | training and test examples | [`train_test_split`], [`stratified_split`], [`KFold`], and [`select`] to gather them |
//! | validation examples as well, for early stopping | [`three_way_split`], [`stratified_three_way_split`], [`Split::within`] |
//! | the order of an epoch | [`permutation_into`] |
//!
//! What is random depends on a seed alone, and is the same on every platform. A scaler is fitted to the training examples and applied
//! to all others as it is.
//!
//! # Example
//! Petals in cm, the species by name, every third flower kept for the test:
//! ```
//! use backprop::data::{LabelEncoder, Standardizer, one_hot, select, stratified_split};
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
mod rows;
mod shuffle;
mod split;
mod standardizer;

use crate::error::Error;
use crate::examples::Columns;
use crate::layout::allocate;
use crate::scalar::Scalar;
use nalgebra::DMatrix;

pub use folds::KFold;
pub(crate) use labels::check_labels;
pub use labels::{LabelEncoder, balanced_weights, class_weights, labels, one_hot};
pub use min_max::MinMaxScaler;
pub use shuffle::permutation_into;
pub(crate) use split::train_validation_split;
pub use split::{
    Fractions, Split, ThreeWaySplit, stratified_split, stratified_three_way_split, three_way_split,
    train_test_split,
};
pub use standardizer::Standardizer;

/// The columns of a matrix at these indices, in their order; an index may come again.
///
/// # Errors
/// - [`Error::Index`] with the first index that is not a column.
/// - [`Error::TooLarge`] if the columns do not fit the memory.
///
/// # Example
/// ```
/// use backprop::{data::select, nalgebra::DMatrix};
///
/// let x = DMatrix::from_row_slice(2, 3, &[1, 2, 3, 4, 5, 6]).map(f64::from);
/// assert_eq!(select(&x, &[2, 0, 2])?, DMatrix::from_row_slice(2, 3, &[3.0, 1.0, 3.0, 6.0, 4.0, 6.0]));
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
