//! What a library must have for rows from files.

use crate::spec::State;
use std::ops::Range;

/// The operations of a library. Matrices have one example, or one step of an example, per row.
pub trait Library: Sized {
    type Matrix: Clone;
    type Scalar;
    type Gradients;
    type Ids;
    /// A running mean and variance.
    type State;

    /// For `f32` or `f64`, with gradients or without.
    fn new(dtype: &str, train: bool) -> Self;
    fn constant(&self, values: &[f64], shape: [usize; 2]) -> Result<Self::Matrix, String>;
    fn parameter(&self, values: &[f64], shape: [usize; 2]) -> Result<Self::Matrix, String>;

    fn ids(&self, values: &[f64], shape: [usize; 2]) -> Result<Self::Ids, String>;
    /// The state at the start, with mean 0 and variance 1. `affine` are γ and β.
    fn state(&self, state: &State, affine: Affine<'_, Self>) -> Result<Self::State, String>;

    /// X W + b. W is inputs × units, and b is a row.
    fn affine(
        &self,
        x: Self::Matrix,
        weights: &Self::Matrix,
        bias: Option<&Self::Matrix>,
    ) -> Result<Self::Matrix, String>;
    /// Rows of the table, those of an example one after the other.
    fn embedding(&self, ids: &Self::Ids, table: &Self::Matrix) -> Result<Self::Matrix, String>;
    fn layer_norm(
        &self,
        x: Self::Matrix,
        eps: f64,
        affine: Affine<'_, Self>,
    ) -> Result<Self::Matrix, String>;
    /// In training, also updates the running mean and variance.
    fn batch_norm(
        &self,
        x: Self::Matrix,
        state: &mut Self::State,
        affine: Affine<'_, Self>,
    ) -> Result<Self::Matrix, String>;
    /// x ∘ mask/(1 − p).
    fn masked(&self, x: Self::Matrix, mask: &Self::Matrix, p: f64) -> Result<Self::Matrix, String>;
    /// The same with a mask that the library draws.
    fn dropout(&self, x: Self::Matrix, p: f64) -> Result<Self::Matrix, String>;
    /// Elementwise, or the softmax of each row.
    fn activation(&self, name: &str, z: Self::Matrix) -> Result<Self::Matrix, String>;
    fn add(&self, a: Self::Matrix, b: Self::Matrix) -> Result<Self::Matrix, String>;
    fn reshape(&self, x: Self::Matrix, shape: [usize; 2]) -> Result<Self::Matrix, String>;
    /// Swaps the two axes that each row holds.
    fn transpose(&self, x: Self::Matrix, axes: [usize; 2]) -> Result<Self::Matrix, String>;
    fn columns(&self, x: Self::Matrix, columns: Range<usize>) -> Result<Self::Matrix, String>;
    fn join(&self, columns: Vec<Self::Matrix>) -> Result<Self::Matrix, String>;

    /// Σ cost over all rows, from z before the activation that is its partner.
    fn cost(&self, name: &str, z: Self::Matrix, y: &Self::Matrix) -> Result<Self::Scalar, String>;
    fn squares(&self, x: &Self::Matrix) -> Result<Self::Scalar, String>;
    /// Σ factor · scalar.
    fn total(&self, terms: Vec<(Self::Scalar, f64)>) -> Result<Self::Scalar, String>;
    fn backward(&self, loss: &Self::Scalar) -> Result<Self::Gradients, String>;
    fn gradient(
        &self,
        gradients: &Self::Gradients,
        parameter: &Self::Matrix,
    ) -> Option<Self::Matrix>;

    fn number(&self, scalar: Self::Scalar) -> Result<f64, String>;
    fn numbers(&self, matrix: Self::Matrix) -> Result<Vec<f64>, String>;
    /// The running mean and variance.
    fn numbers_of(&self, state: &Self::State) -> Result<[Vec<f64>; 2], String>;
}

/// γ and β of a normalisation.
pub type Affine<'a, L> = Option<[&'a <L as Library>::Matrix; 2]>;
