//! Building a network layer by layer.

use super::Network;
use crate::error::Error;
use crate::initialization::Initialization;
use crate::layer::{AnyLayer, Dense, Layer, Site};
use crate::scalar::Scalar;
use crate::shape::Shape;
use rand_xoshiro::rand_core::Rng;
use std::marker::PhantomData;

/// Builds a [`Network`] layer by layer. The last call checks the whole network.
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
    input: Shape,
    /// The shape of the output so far, until a layer does not fit.
    output: Result<Shape, Error>,
    layers: Vec<L>,
    scalar: PhantomData<fn() -> T>,
}

impl<T: Scalar, L: Layer<T>> Builder<T, L> {
    /// Starts a network with `inputs` input units.
    ///
    /// Name the layer type here if it is not the default. A type annotation on the `let` is not
    /// enough, because inference does not pass through `?`:
    /// ```
    /// use backprop::{Builder, Layer, activation::{Relu, Sigmoid}};
    ///
    /// let boxed = Builder::<f64, Box<dyn Layer<f64>>>::new(3);
    /// let boxed = boxed.dense(4, Relu).dense(1, Sigmoid).zeros()?;
    /// assert_eq!(boxed.parameters(), 4 * 4 + 5);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn new(inputs: impl Into<Shape>) -> Self {
        let input = inputs.into();
        Self {
            input,
            output: Ok(input),
            layers: Vec::new(),
            scalar: PhantomData,
        }
    }

    /// Adds a fully connected layer with `units` units.
    ///
    /// The default layer type takes a built-in activation. A `Builder<T, Dense<A>>` takes
    /// activations of type `A`, and a `Builder<T, Box<dyn Layer<T>>>` takes any. To mix a custom
    /// activation with built-in ones, use a `Builder<T, AnyLayer<Dense<A>>>` and
    /// `.layer(AnyLayer::Custom(Dense::new(inputs, units, a)))`.
    #[doc(alias("Linear", "fully_connected"))]
    pub fn dense<A>(self, units: usize, activation: A) -> Self
    where
        L: From<Dense<A>>,
    {
        let inputs = self.output.as_ref().map_or(0, |shape| shape.last_axis());
        self.layer(L::from(Dense::new(inputs, units, activation)))
    }

    /// Adds a layer of type `L`.
    pub fn layer(mut self, layer: L) -> Self {
        let (index, input) = (self.layers.len(), self.output);
        self.output = input.and_then(|shape| {
            let plan = layer.plan(Site::new(shape).hidden());
            Ok(plan.map_err(|error| error.inside(index))?.output())
        });
        self.layers.push(layer);
        self
    }

    /// Builds the network with all parameters 0.
    ///
    /// # Errors
    /// Returns [`Error::NoInputs`], [`Error::NoLayers`], [`Error::ZeroUnits`],
    /// [`Error::LayerInputs`], [`Error::PenalisedColumns`], [`Error::TooLarge`] or
    /// [`Error::Hyperparameter`] if the layers do not form a network.
    pub fn zeros(self) -> Result<Network<T, L>, Error> {
        Network::with_zeros(self.input, self.layers)
    }

    /// Builds the network with the given parameters, in the order of [`Layout`](crate::Layout).
    ///
    /// # Errors
    /// Returns the errors of [`zeros`](Self::zeros), and [`Error::Length`] or [`Error::NonFinite`]
    /// unless θ consists of P finite numbers.
    pub fn with_theta(self, theta: &[T]) -> Result<Network<T, L>, Error> {
        Network::from_layers(self.input, self.layers, theta)
    }

    /// Builds the network with random weights. Biases are 0.
    ///
    /// Takes any generator of `rand_core` 0.10 (`rand` 0.10). With the generator of
    /// [`rng`](crate::rng), the same seed gives the same parameters, bit for bit, on every
    /// platform.
    ///
    /// # Errors
    /// Returns the errors of [`zeros`](Self::zeros), and [`Error::Hyperparameter`] if a constant of
    /// the initialiser is out of range.
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
