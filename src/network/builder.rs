//! Building a network layer by layer.

use super::Network;
use crate::error::Error;
use crate::initialization::Initialization;
use crate::layer::{AnyLayer, Dense, Layer};
use crate::scalar::Scalar;
use rand_xoshiro::rand_core::Rng;
use std::marker::PhantomData;

/// Collects layers, and makes a [`Network`] of them: everything is checked at the end, in one place.
///
/// # Example
/// ```
/// use backprop::{Initialization, Network, rng};
/// use backprop::activation::{Sigmoid, Tanh};
///
/// let network = Network::<f64>::builder(64)
///     .dense(25, Tanh)
///     .dense(10, Sigmoid)
///     .initialize(Initialization::GlorotUniform, &mut rng(42))?;
/// assert_eq!(network.parameters(), 25 * 65 + 10 * 26);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder<T: Scalar, L = AnyLayer> {
    inputs: usize,
    /// Outputs of the last layer so far.
    width: usize,
    layers: Vec<L>,
    scalar: PhantomData<fn() -> T>,
}

impl<T: Scalar, L: Layer<T>> Builder<T, L> {
    /// Starts a network with `inputs` input units.
    ///
    /// Name the layer type here where it is not the default; the annotation of a `let` does not reach through `?`:
    /// ```
    /// use backprop::{Builder, Layer, activation::{Relu, Sigmoid}};
    ///
    /// let boxed = Builder::<f64, Box<dyn Layer<f64>>>::new(3).dense(4, Relu).dense(1, Sigmoid).zeros()?;
    /// assert_eq!(boxed.parameters(), 4 * 4 + 5);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn new(inputs: usize) -> Self {
        Self {
            inputs,
            width: inputs,
            layers: Vec::new(),
            scalar: PhantomData,
        }
    }

    /// Adds a fully connected layer of `units` units on top of the present ones.
    ///
    /// With the default layer type the activation is one of ours. A `Builder<T, Dense<A>>` takes activations of type `A`, a
    /// `Builder<T, Box<dyn Layer<T>>>` any. Between ours, in a `Builder<T, AnyLayer<Dense<A>>>`, one of yours is
    /// `.layer(AnyLayer::Custom(Dense::new(inputs, units, a)))`.
    #[doc(alias("Linear", "fully_connected"))]
    pub fn dense<A>(self, units: usize, activation: A) -> Self
    where
        L: From<Dense<A>>,
    {
        let dense = Dense::new(self.width, units, activation);
        self.layer(L::from(dense))
    }

    /// Adds any layer.
    pub fn layer(mut self, layer: L) -> Self {
        self.width = layer.outputs();
        self.layers.push(layer);
        self
    }

    /// The network with all parameters 0.
    ///
    /// # Errors
    /// [`Error::NoInputs`], [`Error::NoLayers`], [`Error::ZeroUnits`], [`Error::LayerInputs`],
    /// [`Error::PenalisedColumns`], [`Error::TooLarge`] or [`Error::Hyperparameter`] if the layers are not a network.
    pub fn zeros(self) -> Result<Network<T, L>, Error> {
        Network::with_zeros(self.inputs, self.layers)
    }

    /// The network with given parameters, unrolled as [`Layout`](crate::Layout) says.
    ///
    /// # Errors
    /// Those of [`zeros`](Self::zeros), and [`Error::Length`] or [`Error::NonFinite`] if θ is not P finite numbers.
    pub fn with_theta(self, theta: &[T]) -> Result<Network<T, L>, Error> {
        Network::from_layers(self.inputs, self.layers, theta)
    }

    /// The network with random weights, and biases 0.
    ///
    /// Any generator of `rand_core` 0.10 (`rand` 0.10) will do. [`rng`](crate::rng) gives a named one: with it the same seed gives the same
    /// parameters, bit for bit, on every platform.
    ///
    /// # Errors
    /// Those of [`zeros`](Self::zeros), and [`Error::Hyperparameter`] if a constant of the initialiser is out of range.
    pub fn initialize<R: Rng + ?Sized>(
        self,
        initialization: Initialization,
        rng: &mut R,
    ) -> Result<Network<T, L>, Error> {
        let mut network = self.zeros()?;
        let blocks = network.layout.blocks();
        initialization.fill(blocks, network.theta.as_mut_slice(), rng)?;
        Ok(network)
    }
}
