//! State: numbers that passes read but do not differentiate.

use super::Network;
use crate::columns::Columns;
use crate::error::Error;
use crate::layer::Layer;
use crate::path::Path;
use crate::point::check_state;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use nalgebra::DVector;
use std::sync::Arc;

/// One vector of state: see [`Network::state_by_path`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateVector<'a, T: Scalar> {
    /// The layer that the vector belongs to.
    pub path: &'a Path,
    /// The index of the vector in its layer.
    pub index: usize,
    /// The symbol, such as μ.
    pub name: &'a str,
    /// The numbers.
    pub values: &'a [T],
    /// Whether training leaves them unchanged: see [`Network::fix_statistics`].
    pub is_fixed: bool,
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the state of all layers in one vector, such as the running means and variances of
    /// every [`BatchNorm`](crate::layer::BatchNorm): layer by layer, in the order of θ.
    ///
    /// State is a part of the function that a network computes, like θ, but it is not
    /// differentiated. Passes only read it. [`take_state`](Self::take_state) and a trainer replace
    /// it after a training pass.
    ///
    /// Derivation: [(43)](crate::derivation#state).
    ///
    /// # Example
    /// The running means of two units start at 0, and their variances at 1:
    /// ```
    /// use backprop::Network;
    ///
    /// let network = Network::<f64>::builder(2).batch_norm().zeros()?;
    /// assert_eq!(network.state().as_slice(), &[0.0, 0.0, 1.0, 1.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("buffers", "running_mean", "running_var"))]
    #[must_use]
    pub fn state(&self) -> &DVector<T> {
        &self.state
    }

    /// Replaces the state of all layers.
    ///
    /// # Errors
    /// Returns [`Error::Length`] if `state` has another length, [`Error::NonFinite`] with the first
    /// number that is NaN or infinite, and [`Error::State`] with the first that is out of its
    /// range, such as a negative variance. The network is unchanged after an error.
    pub fn set_state(&mut self, state: &[T]) -> Result<(), Error> {
        check_state(self.layout.state_places(), state)?;
        self.state.as_mut_slice().copy_from_slice(state);
        Ok(())
    }

    /// Iterates over all vectors of state, in their order in [`state`](Self::state).
    pub fn state_by_path(&self) -> impl Iterator<Item = StateVector<'_, T>> {
        let places = self.layout.state_places().iter();
        places.map(|place| StateVector {
            path: &place.layer,
            index: place.index,
            name: &place.block.name,
            values: &self.state.as_slice()[place.range.clone()],
            is_fixed: place.fixed,
        })
    }

    /// Replaces the state with the new state from the last training pass in a workspace.
    ///
    /// In your own training loop, call it after each step, as a trainer does. With an
    /// [`Accumulator`](crate::Accumulator), each batch uses its own statistics. Call this after
    /// every batch to include all batches, or after the last one to include only that one.
    ///
    /// Derivation: [(43)](crate::derivation#state).
    ///
    /// # Errors
    /// Returns [`Error::NoState`] if the network has state and the last pass in this workspace was
    /// not a training pass of a network of this shape. The network is unchanged after an error.
    ///
    /// # Example
    /// The running mean moves a tenth of the way to the mean of the batch, 3:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, Workspace};
    ///
    /// let mut network = Network::<f64>::builder(1).batch_norm().zeros()?;
    /// let mut workspace = Workspace::new();
    /// workspace.set_training(Some(0));
    /// network.forward_into(&DMatrix::from_row_slice(1, 2, &[2.0, 4.0]), &mut workspace)?;
    /// network.take_state(&workspace)?;
    /// assert!((network.state()[0] - 0.3).abs() < 1e-15);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn take_state(&mut self, workspace: &Workspace<T>) -> Result<(), Error> {
        if self.state.is_empty() {
            return Ok(());
        }
        let state = workspace.new_state(&self.layout).ok_or(Error::NoState)?;
        self.state.as_mut_slice().copy_from_slice(state);
        Ok(())
    }

    /// Replaces the running statistics of all layers with those of these examples.
    ///
    /// The running statistics of a [`BatchNorm`](crate::layer::BatchNorm) lag behind θ while it
    /// changes. After training, or after another change of θ such as averaging, one pass over the
    /// training examples makes them exact: μ, and the unbiased σ². A cumulative norm counts the
    /// examples as its first batch, and fixed statistics stay. This is a training pass with the
    /// seed 0, so dropout acts. X is n × m. A norm that sees only one value of each unit keeps
    /// its statistics.
    ///
    /// Derivation: [(43)](crate::derivation#state).
    ///
    /// # Errors
    /// Returns the errors of [`forward_into`](Self::forward_into), and [`Error::NonFinite`] or
    /// [`Error::State`] if a new number of the state is not finite or is out of its range. The
    /// network is unchanged after an error.
    ///
    /// # Example
    /// The batch (2, 4) has the mean 3 and the unbiased variance 2:
    /// ```
    /// use backprop::Network;
    /// use backprop::nalgebra::DMatrix;
    ///
    /// let mut network = Network::<f64>::builder(1).batch_norm().zeros()?;
    /// network.recalibrate_statistics(&DMatrix::from_row_slice(1, 2, &[2.0, 4.0]))?;
    /// assert_eq!(network.state().as_slice(), &[3.0, 2.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("update_bn", "calibrate"))]
    pub fn recalibrate_statistics<'x>(&mut self, x: impl Columns<'x, T>) -> Result<(), Error> {
        let mut workspace = Workspace::for_one_call();
        workspace.set_training(Some(0));
        workspace.replaces_statistics = true;
        self.forward_into(x, &mut workspace)?;
        self.take_state(&workspace)
    }

    /// Fixes the statistics of a layer and of those inside it: in training, they are used as in
    /// evaluation, and no step changes them.
    ///
    /// [`freeze`](Self::freeze) does not imply this, as in PyTorch; in Keras it does. To fine-tune a
    /// network with small batches, fix the statistics as well. An empty path is the whole network.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, Workspace};
    ///
    /// let mut network = Network::<f64>::builder(1).batch_norm().zeros()?;
    /// network.fix_statistics(0)?;
    /// let mut workspace = Workspace::new();
    /// workspace.set_training(Some(0));
    /// let x = DMatrix::from_row_slice(1, 2, &[2.0, 4.0]);
    /// let a = network.forward_into(&x, &mut workspace)?;
    /// assert!((a[0] - 2.0).abs() < 1e-4); // the mean is 0, and the variance 1
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn fix_statistics(&mut self, layer: impl Into<Path>) -> Result<(), Error> {
        self.set_fixed(&layer.into(), true)
    }

    /// Lets the statistics of a layer and of those inside it follow the batches again.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer.
    ///
    /// # Example
    /// [`fix_statistics`](Self::fix_statistics) has one.
    pub fn unfix_statistics(&mut self, layer: impl Into<Path>) -> Result<(), Error> {
        self.set_fixed(&layer.into(), false)
    }

    fn set_fixed(&mut self, layer: &Path, fixed: bool) -> Result<(), Error> {
        self.layout.find(layer)?;
        Arc::make_mut(&mut self.layout).fix_statistics(layer, fixed)
    }

    /// Fixes the statistics of the layers in a list of paths.
    pub(super) fn with_fixed_statistics(mut self, layers: &[Path]) -> Result<Self, Error> {
        for layer in layers {
            self.set_fixed(layer, true)?;
        }
        Ok(self)
    }

    /// Returns the layers whose own statistics are fixed.
    pub(super) fn fixed_statistics(&self) -> Vec<Path> {
        let places = self.layout.state_places().iter().filter(|p| p.fixed);
        let mut layers: Vec<Path> = places.map(|place| place.layer.clone()).collect();
        layers.dedup();
        layers
    }
}
