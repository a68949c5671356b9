//! A built-in or a custom layer.

use super::{
    Activate, Backward, BackwardTangent, BatchNorm, Concat, Dense, Dropout, Embedding, Forward,
    ForwardTangent, GaussianNoise, Layer, LayerNorm, Plan, Rearrange, Residual, RmsNorm,
    Sequential, Site,
};
use crate::error::Error;
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
    /// A built-in activation by itself.
    Activate(Activate),
    /// Entries set to 0 at random in training.
    Dropout(Dropout),
    /// Layer normalisation.
    LayerNorm(LayerNorm),
    /// Root-mean-square normalisation.
    RmsNorm(RmsNorm),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// Normal noise added in training.
    GaussianNoise(GaussianNoise),
    /// A layer that moves entries and computes nothing.
    Rearrange(Rearrange),
    /// Layers in sequence.
    Sequential(Sequential<AnyLayer<C>>),
    /// A residual connection.
    Residual(Residual<AnyLayer<C>>),
    /// Branches side by side.
    Concat(Concat<AnyLayer<C>>),
    /// A learned vector for each id.
    Embedding(Embedding),
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

impl<C> From<Activate> for AnyLayer<C> {
    fn from(layer: Activate) -> Self {
        Self::Activate(layer)
    }
}

impl<C> From<LayerNorm> for AnyLayer<C> {
    fn from(layer: LayerNorm) -> Self {
        Self::LayerNorm(layer)
    }
}

impl<C> From<RmsNorm> for AnyLayer<C> {
    fn from(layer: RmsNorm) -> Self {
        Self::RmsNorm(layer)
    }
}

impl<C> From<BatchNorm> for AnyLayer<C> {
    fn from(layer: BatchNorm) -> Self {
        Self::BatchNorm(layer)
    }
}

impl<C> From<Dropout> for AnyLayer<C> {
    fn from(layer: Dropout) -> Self {
        Self::Dropout(layer)
    }
}

impl<C> From<GaussianNoise> for AnyLayer<C> {
    fn from(layer: GaussianNoise) -> Self {
        Self::GaussianNoise(layer)
    }
}

impl<C> From<Embedding> for AnyLayer<C> {
    fn from(layer: Embedding) -> Self {
        Self::Embedding(layer)
    }
}

impl<C> From<Rearrange> for AnyLayer<C> {
    fn from(layer: Rearrange) -> Self {
        Self::Rearrange(layer)
    }
}

impl<C> From<Sequential<AnyLayer<C>>> for AnyLayer<C> {
    fn from(layer: Sequential<AnyLayer<C>>) -> Self {
        Self::Sequential(layer)
    }
}

impl<C> From<Residual<AnyLayer<C>>> for AnyLayer<C> {
    fn from(layer: Residual<AnyLayer<C>>) -> Self {
        Self::Residual(layer)
    }
}

impl<C> From<Concat<AnyLayer<C>>> for AnyLayer<C> {
    fn from(layer: Concat<AnyLayer<C>>) -> Self {
        Self::Concat(layer)
    }
}

/// Delegates every method.
impl<T: Scalar, C: Layer<T>> Layer<T> for AnyLayer<C> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        self.as_layer().plan(site)
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.as_layer().forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.as_layer().backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.as_layer().backward_each(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.as_layer().forward_tangent(pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.as_layer().backward_tangent(pass)
    }

    fn name(&self) -> String {
        self.as_layer().name()
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
            Self::Activate(layer) => layer,
            Self::Dropout(layer) => layer,
            Self::LayerNorm(layer) => layer,
            Self::RmsNorm(layer) => layer,
            Self::BatchNorm(layer) => layer,
            Self::GaussianNoise(layer) => layer,
            Self::Embedding(layer) => layer,
            Self::Rearrange(layer) => layer,
            Self::Sequential(layer) => layer,
            Self::Residual(layer) => layer,
            Self::Concat(layer) => layer,
            Self::Custom(layer) => layer,
        }
    }
}

/// There is no value on which to call these methods.
impl<T: Scalar> Layer<T> for NoCustom {
    fn plan(&self, _site: Site) -> Result<Plan, Error> {
        match *self {}
    }

    fn forward(&self, _pass: Forward<'_, T>) {
        match *self {}
    }

    fn backward(&self, _pass: Backward<'_, T>) {
        match *self {}
    }
}
