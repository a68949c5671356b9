//! Reading and setting parameters: all of θ, layer by layer, or as weights and biases.

use super::Network;
use crate::allocation::{copied, owned, resize};
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::{check_finite, check_length};
use crate::initialization::Initialization;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::path::Path;
use crate::point::{Point, check_state};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView, DVector};
use rand_xoshiro::rand_core::Rng;

/// One matrix of parameters: see [`Network::parameters_by_path`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParameterBlock<'a, T: Scalar> {
    /// The layer that the matrix belongs to.
    pub path: &'a Path,
    /// The index of the matrix in its layer: 0 for Θ of a dense layer.
    pub index: usize,
    /// The symbol, such as Θ.
    pub name: &'a str,
    /// The matrix, outputs × (inputs + 1) for a dense layer, with the bias in column 0.
    pub values: DMatrixView<'a, T>,
    /// Whether it keeps its values: see [`Network::freeze`].
    pub is_frozen: bool,
}

impl<T: Scalar> ParameterBlock<'_, T> {
    /// Returns the symbol with the number of the layer, such as `Θ⁽¹⁾`.
    #[must_use]
    pub fn label(&self) -> String {
        self.path.label(self.name)
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns θ, all parameters in one vector: \[Θ⁽¹⁾(:); Θ⁽²⁾(:); …].
    #[doc(alias("parameters_to_vector", "state_dict"))]
    #[must_use]
    pub fn theta(&self) -> &DVector<T> {
        &self.theta
    }

    /// Replaces all parameters.
    ///
    /// Derivation: [(24)](crate::derivation#descent).
    ///
    /// # Errors
    /// Returns [`Error::Length`] if `theta` does not have P entries, and [`Error::NonFinite`] with
    /// the first that is NaN or infinite (in the real part of a
    /// [dual number](crate::Scalar#dual-numbers)). The network is unchanged after an error.
    ///
    /// # Example
    /// A target network follows another slowly: θ′ ← τθ + (1 − τ)θ′.
    /// ```
    /// use backprop::{Network, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// let mut target = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let tau = 0.25;
    /// let theta = network.theta() * tau + target.theta() * (1.0 - tau);
    /// target.set_theta(theta.as_slice())?;
    /// assert_eq!(target.theta().as_slice(), &[0.25, 0.5]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("vector_to_parameters", "load_state_dict"))]
    pub fn set_theta(&mut self, theta: &[T]) -> Result<(), Error> {
        check_theta(self.parameters(), theta)?;
        self.theta.as_mut_slice().copy_from_slice(theta);
        Ok(())
    }

    /// Replaces θ and the state.
    pub(crate) fn set_point(&mut self, point: Point<'_, T>) -> Result<(), Error> {
        check_state(self.layout.state_places(), point.state)?;
        self.set_theta(point.theta)?;
        self.state.as_mut_slice().copy_from_slice(point.state);
        Ok(())
    }

    /// Changes θ except for frozen layers. Restores θ after an error.
    pub(crate) fn change(
        &mut self,
        change: impl FnOnce(&Layout, &mut [T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (theta, spare) = (self.theta.as_mut_slice(), &mut self.spare.0);
        resize(
            spare,
            "a copy of the parameters",
            (theta.len(), 1),
            T::zero(),
        )?;
        spare.copy_from_slice(theta);
        let done = change(&self.layout, theta);
        if done.is_err() {
            theta.copy_from_slice(spare);
        }
        for range in self.layout.frozen() {
            theta[range.clone()].copy_from_slice(&spare[range.clone()]);
        }
        done
    }

    /// Iterates over all matrices of parameters, in their order in θ.
    ///
    /// [`set_block`](Self::set_block) replaces one of them.
    ///
    /// # Example
    /// ```
    /// use backprop::{Network, activation::Tanh};
    ///
    /// let builder = Network::<f64>::builder(3).dense(2, Tanh);
    /// let mut network = builder.residual(|body| body.dense(2, Tanh)).zeros()?;
    /// network.freeze(0)?;
    /// let found: Vec<_> = network
    ///     .parameters_by_path()
    ///     .map(|p| (p.label(), p.path.to_string(), p.values.shape(), p.is_frozen))
    ///     .collect();
    /// assert_eq!(found[0], ("Θ⁽¹⁾".into(), "0".into(), (2, 4), true));
    /// assert_eq!(found[1], ("Θ⁽²·¹·¹⁾".into(), "1.0.0".into(), (2, 3), false));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("named_parameters", "state_dict"))]
    pub fn parameters_by_path(&self) -> impl Iterator<Item = ParameterBlock<'_, T>> {
        let blocks = self.layout.blocks().iter();
        blocks.map(|place| ParameterBlock {
            path: place.layer(),
            index: place.index(),
            name: &place.block().name,
            values: self.layout.view(place, self.theta.as_slice()),
            is_frozen: place.is_frozen(),
        })
    }

    /// Returns block b of layer l, both counted from 0.
    ///
    /// Block 0 of a dense layer is Θ, outputs × (inputs + 1), with the bias in column 0.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer or block.
    pub fn block(&self, layer: impl Into<Path>, block: usize) -> Result<DMatrixView<'_, T>, Error> {
        let place = self.layout.block(layer, block)?;
        Ok(self.layout.view(place, self.theta.as_slice()))
    }

    /// Replaces block b of layer l, both counted from 0.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer or block, [`Error::Shape`] if the matrix
    /// has another shape, and [`Error::NonFinite`] if an entry is NaN or infinite. The network is
    /// unchanged after an error.
    pub fn set_block<'a>(
        &mut self,
        layer: impl Into<Path>,
        block: usize,
        matrix: impl Columns<'a, T>,
    ) -> Result<(), Error> {
        let matrix = matrix.columns_view();
        let place = self.layout.block(layer, block)?;
        let (rows, cols) = (place.block().rows, place.block().cols);
        check_shape("Θ", matrix, (rows, cols))?;
        check_finite("Θ", matrix)?;
        let target = &mut self.theta.as_mut_slice()[place.range()];
        for (target, column) in target
            .chunks_exact_mut(rows.max(1))
            .zip(matrix.column_iter())
        {
            target.copy_from_slice(column.as_slice());
        }
        Ok(())
    }

    /// Draws new weights for layer l (from 0) and sets its biases to 0.
    ///
    /// This lets layers start with different rules; see [`Initialization`].
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer, and [`Error::Hyperparameter`] if a
    /// constant of the initialiser is out of range. The network is unchanged after an error.
    pub fn initialize_layer<R: Rng + ?Sized>(
        &mut self,
        layer: impl Into<Path>,
        initialization: Initialization,
        rng: &mut R,
    ) -> Result<(), Error> {
        let blocks = self.layout.layer_blocks(layer)?;
        initialization.fill(blocks, self.theta.as_mut_slice(), rng)
    }

    /// Returns the weights (outputs × inputs) and the bias (outputs) of dense layer l (from 0),
    /// where Θ = \[b W]. Of a layer without a bias, Θ = W and the bias is empty.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer, [`Error::NotDense`] if its parameters
    /// are not one block \[b W], and [`Error::TooLarge`] if there is no memory for the copies.
    #[doc(alias("get_weights", "coefs_", "intercepts_"))]
    pub fn dense_weights(&self, layer: impl Into<Path>) -> Result<(DMatrix<T>, DVector<T>), Error> {
        let place = self.layout.dense(layer)?;
        let theta = self.layout.view(place, self.theta.as_slice());
        let first = place.block().penalised_from_column;
        let weights = theta.columns_range(first..);
        let bias = &self.theta.as_slice()[place.range()][..theta.nrows() * first];
        let bias = copied("the bias", bias)?;
        Ok((owned("the weights", weights)?, DVector::from_vec(bias)))
    }

    /// Sets the weights (outputs × inputs) and the bias (outputs, or none) of dense layer l (from
    /// 0).
    ///
    /// Other libraries store weights and biases in this form. PyTorch's `Linear.weight` is
    /// outputs × inputs, so use `DMatrix::from_row_slice(outputs, inputs, &weight)`. scikit-learn's
    /// `coefs_[l]` and Keras' kernel are inputs × outputs, the transpose. Their buffers are
    /// row-major, so [`row_major`](crate::row_major)`(&kernel, outputs)` reads them already
    /// transposed.
    ///
    /// # Errors
    /// Returns [`Error::Index`] or [`Error::NotDense`] as [`dense_weights`](Self::dense_weights)
    /// does, and [`Error::Shape`], [`Error::Length`] or [`Error::NonFinite`] if the weights or the
    /// bias do not fit. The network is unchanged after an error.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Sigmoid};
    ///
    /// let mut network = Network::<f64>::builder(2).dense(1, Sigmoid).zeros()?;
    /// network.set_dense(0, &DMatrix::from_row_slice(1, 2, &[20.0, 10.0]), &[-30.0])?;
    /// assert_eq!(network.theta().as_slice(), &[-30.0, 20.0, 10.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias = "set_weights")]
    pub fn set_dense<'a>(
        &mut self,
        layer: impl Into<Path>,
        weights: impl Columns<'a, T>,
        bias: &[T],
    ) -> Result<(), Error> {
        let weights = weights.columns_view();
        let place = self.layout.dense(layer)?;
        let first = place.block().penalised_from_column;
        let (rows, cols) = (place.block().rows, place.block().cols);
        check_shape("the weights", weights, (rows, cols - first))?;
        check_length("the bias", rows * first, bias.len())?;
        check_finite("the weights", weights)?;
        check_finite("the bias", DMatrixView::from_slice(bias, rows, first))?;
        let target = &mut self.theta.as_mut_slice()[place.range()];
        let (target_bias, target) = target.split_at_mut(bias.len());
        target_bias.copy_from_slice(bias);
        for (target, column) in target.chunks_exact_mut(rows).zip(weights.column_iter()) {
            target.copy_from_slice(column.as_slice());
        }
        Ok(())
    }
}

fn check_shape<T: Scalar>(
    what: &'static str,
    matrix: DMatrixView<'_, T>,
    expected: (usize, usize),
) -> Result<(), Error> {
    if matrix.shape() == expected {
        return Ok(());
    }
    Err(Error::Shape {
        what,
        expected,
        found: matrix.shape(),
    })
}

/// Checks that `theta` holds one finite number for each parameter.
pub(crate) fn check_theta<T: Scalar>(parameters: usize, theta: &[T]) -> Result<(), Error> {
    check_length("θ", parameters, theta.len())?;
    check_finite("θ", DMatrixView::from_slice(theta, theta.len(), 1))
}
