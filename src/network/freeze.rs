//! Layers whose parameters keep their values.

use super::Network;
use crate::error::Error;
use crate::layer::Layer;
use crate::path::Path;
use crate::scalar::Scalar;
use std::sync::Arc;

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Freezes a layer and the layers inside it: their parameters keep their values.
    ///
    /// For every derivative, frozen parameters are constants. Their entries in ∇J, H v and all
    /// other derivatives with respect to θ are exactly 0, and their entries in a direction are
    /// ignored. Penalties and gradient clipping skip them. A trainer and [`step`](Self::step) never
    /// move them; [`Optimizer::step`](crate::training::Optimizer::step), called directly, may. They
    /// keep their places in θ. Files and `==` include which layers are frozen;
    /// [`from_layers`](Self::from_layers) creates a network in which all layers move. The
    /// full-batch solvers work on the other parameters only. A backward pass ends at the lowest
    /// layer that still moves, which saves time if the first layers are frozen.
    ///
    /// An empty path is the whole network. Freezing does not change the outputs. A layer that
    /// behaves differently during training still does. You can still set its parameters, for
    /// example with [`set_block`](Self::set_block) or [`set_theta`](Self::set_theta).
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer.
    ///
    /// # Example
    /// a = 1 + 2·(3 + 4x) with half the squared error has δ = 15 at x = 1 and y = 0. Only the last
    /// layer moves:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let builder = Network::<f64>::builder(1).dense(1, Identity).dense(1, Identity);
    /// let mut network = builder.with_theta(&[3.0, 4.0, 1.0, 2.0])?;
    /// network.freeze(0)?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::zeros(1, 1));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let gradient = network.gradient_vector(&examples, &objective)?;
    /// assert_eq!(gradient.as_slice(), &[0.0, 0.0, 15.0, 105.0]);
    ///
    /// network.unfreeze(0)?;
    /// let gradient = network.gradient_vector(&examples, &objective)?;
    /// assert_eq!(gradient.as_slice(), &[30.0, 30.0, 15.0, 105.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("requires_grad", "trainable", "fine_tuning", "transfer_learning"))]
    pub fn freeze(&mut self, layer: impl Into<Path>) -> Result<(), Error> {
        self.set_frozen(&layer.into(), true)
    }

    /// Unfreezes a layer and the layers inside it, so that their parameters move again.
    ///
    /// The state of an optimiser that has skipped the layer starts at 0, but its count of steps
    /// does not, so its first steps may be too long: use a new optimiser.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer.
    ///
    /// # Example
    /// [`freeze`](Self::freeze) has one.
    pub fn unfreeze(&mut self, layer: impl Into<Path>) -> Result<(), Error> {
        self.set_frozen(&layer.into(), false)
    }

    fn set_frozen(&mut self, layer: &Path, frozen: bool) -> Result<(), Error> {
        self.layout.find(layer)?;
        Arc::make_mut(&mut self.layout).freeze(layer, frozen)
    }

    /// Freezes the layers that are frozen in a list of paths.
    pub(super) fn with_frozen(mut self, layers: &[Path]) -> Result<Self, Error> {
        for layer in layers {
            self.set_frozen(layer, true)?;
        }
        Ok(self)
    }

    /// Returns the layers whose own parameters are frozen.
    pub(super) fn frozen_layers(&self) -> Vec<Path> {
        let blocks = self.layout.blocks().iter().filter(|b| b.is_frozen());
        let mut layers: Vec<Path> = blocks.map(|block| block.layer().clone()).collect();
        layers.dedup();
        layers
    }
}
