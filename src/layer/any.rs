//! A built-in or a custom layer.

use super::{Backward, BackwardTangent, Block, Dense, Forward, ForwardTangent, Layer, PerExample};
use crate::error::Error;
use crate::link::Link;
use crate::scalar::Scalar;

/// A built-in layer, or a custom one of type `C`. The default layer type of a network.
///
/// `AnyLayer` without a parameter holds only built-in layers. `AnyLayer<MyLayer>` also holds custom
/// ones. The network then has `Clone`, `PartialEq`, `map` and serialisation if `MyLayer` has them.
/// `C` may be an enum of several types, or a `Dense<MyActivation>`. (`Box<dyn Layer<T>>` holds any
/// layer, but a network of boxes cannot be cloned or saved.)
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum AnyLayer<C = NoCustom> {
    /// A fully connected layer with a built-in activation.
    Dense(Dense),
    /// A custom layer.
    Custom(C),
}

/// The empty type, for an `AnyLayer` without custom layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NoCustom {}

impl<C> From<Dense> for AnyLayer<C> {
    fn from(layer: Dense) -> Self {
        Self::Dense(layer)
    }
}

/// Delegates every method.
impl<T: Scalar, C: Layer<T>> Layer<T> for AnyLayer<C> {
    fn inputs(&self) -> usize {
        self.as_layer().inputs()
    }

    fn outputs(&self) -> usize {
        self.as_layer().outputs()
    }

    fn blocks(&self) -> Vec<Block> {
        self.as_layer().blocks()
    }

    fn cache_len(&self, examples: usize) -> usize {
        self.as_layer().cache_len(examples)
    }

    fn scratch_len(&self, examples: usize) -> usize {
        self.as_layer().scratch_len(examples)
    }

    fn as_dense(&self) -> Option<Dense> {
        self.as_layer().as_dense()
    }

    fn link(&self) -> Option<Link> {
        self.as_layer().link()
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.as_layer().forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.as_layer().backward(pass);
    }

    fn keeps_z(&self) -> bool {
        self.as_layer().keeps_z()
    }

    fn backward_per_example(
        &self,
        pass: Backward<'_, T>,
        wanted: PerExample<'_, T>,
    ) -> Result<(), Error> {
        self.as_layer().backward_per_example(pass, wanted)
    }

    fn couples_examples(&self) -> bool {
        self.as_layer().couples_examples()
    }

    fn validate(&self) -> Result<(), Error> {
        self.as_layer().validate()
    }

    fn name(&self) -> String {
        self.as_layer().name()
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.as_layer().forward_tangent(pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.as_layer().backward_tangent(pass)
    }
}

impl<C> AnyLayer<C> {
    /// Dispatches all methods of the trait, once per call and not per element.
    fn as_layer<T: Scalar>(&self) -> &dyn Layer<T>
    where
        C: Layer<T>,
    {
        match self {
            Self::Dense(layer) => layer,
            Self::Custom(layer) => layer,
        }
    }
}

/// There is no value on which to call these methods.
impl<T: Scalar> Layer<T> for NoCustom {
    fn inputs(&self) -> usize {
        match *self {}
    }

    fn outputs(&self) -> usize {
        match *self {}
    }

    fn blocks(&self) -> Vec<Block> {
        match *self {}
    }

    fn forward(&self, _pass: Forward<'_, T>) {
        match *self {}
    }

    fn backward(&self, _pass: Backward<'_, T>) {
        match *self {}
    }
}
