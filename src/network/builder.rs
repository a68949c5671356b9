//! Building a network layer by layer.

use super::Network;
use crate::error::Error;
use crate::initialization::Initialization;
use crate::layer::{
    Activate, AnyLayer, Axis, BatchNorm, Concat, Dense, Dropout, Embedding, GaussianNoise, Layer,
    LayerNorm, Rearrange, Residual, RmsNorm, Sequential, Site,
};
use crate::scalar::Scalar;
use crate::shape::Shape;
use rand_xoshiro::rand_core::Rng;
use std::marker::PhantomData;
use std::ops::Range;

/// Builds a [`Network`] layer by layer. The last call checks the whole network.
///
/// Each layer takes its inputs from the shape of the output so far. Layers that contain others take
/// closures, which get a builder at their place and return it with more layers. An error of the
/// last call names the layer at fault by its [`Path`](crate::Path).
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
///
/// A residual, and then two branches: three units, and all eight outputs of the residual as they
/// are. `Display` prints the network as a tree:
/// ```
/// use backprop::Network;
/// use backprop::activation::{Identity, Tanh};
/// use backprop::layer::Axis;
///
/// let network = Network::<f64>::builder(8)
///     .residual(|body| body.dense(16, Tanh).dense(8, Identity))
///     .concat(Axis::First, |branches| branches.branch(|b| b.dense(3, Tanh)).branch(|b| b))
///     .zeros()?;
/// assert_eq!((network.outputs(), network.parameters()), (3 + 8, 16 * 9 + 8 * 17 + 3 * 9));
/// let text = "\
/// layer               outputs  parameters       count
/// input                     8                        
/// Residual                  8                        
///   body                    8                        
///     Dense Tanh           16  Θ⁽¹·¹·¹⁾ 16 × 9    144
///     Dense Identity        8  Θ⁽¹·¹·²⁾ 8 × 17    136
/// Concat                   11                        
///   branch 1                3                        
///     Dense Tanh            3  Θ⁽²·¹·¹⁾ 3 × 9      27
///   branch 2                8                       0
/// total                                           307";
/// assert_eq!(network.to_string(), text);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder<T: Scalar, L = AnyLayer> {
    input: Shape,
    /// The shape of the output so far, until a layer does not fit.
    output: Option<Shape>,
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
            output: Some(input),
            layers: Vec::new(),
            scalar: PhantomData,
        }
    }

    /// Adds a fully connected layer with `units` units, along the last axis of the output so far.
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
        let inputs = self.output.map_or(0, Shape::last_axis);
        self.layer(L::from(Dense::new(inputs, units, activation)))
    }

    /// Adds a fully connected layer without a bias: g(W x). See
    /// [`Dense::without_bias`](crate::Dense::without_bias).
    pub fn dense_without_bias<A>(self, units: usize, activation: A) -> Self
    where
        L: From<Dense<A>>,
    {
        let inputs = self.output.map_or(0, Shape::last_axis);
        self.layer(L::from(
            Dense::new(inputs, units, activation).without_bias(),
        ))
    }

    /// Adds an activation by itself. After a dense layer, [`dense`](Self::dense) computes the same
    /// in one sweep.
    pub fn activate<A>(self, activation: A) -> Self
    where
        L: From<Activate<A>>,
    {
        self.layer(L::from(Activate::new(activation)))
    }

    /// Adds a [`LayerNorm`] over the last axis, with ε = 10⁻⁵, γ and β.
    pub fn layer_norm(self) -> Self
    where
        L: From<LayerNorm>,
    {
        self.layer(L::from(LayerNorm::new()))
    }

    /// Adds an [`RmsNorm`] over the last axis, with ε = 10⁻⁵ and γ.
    pub fn rms_norm(self) -> Self
    where
        L: From<RmsNorm>,
    {
        self.layer(L::from(RmsNorm::new()))
    }

    /// Adds a [`BatchNorm`] with ε = 10⁻⁵, momentum 0.1, γ and β.
    ///
    /// To normalise before an activation, use `dense(units, Identity)`, this, and `activate`.
    pub fn batch_norm(self) -> Self
    where
        L: From<BatchNorm>,
    {
        self.layer(L::from(BatchNorm::new()))
    }

    /// Adds a [`Dropout`]. In training, it sets each entry to 0 with probability p in \[0, 1], and
    /// divides the others by 1 − p. Outside training it does nothing.
    pub fn dropout(self, p: f64) -> Self
    where
        L: From<Dropout>,
    {
        self.layer(L::from(Dropout::new(p)))
    }

    /// Adds normal noise of standard deviation σ ≥ 0 in training: see [`GaussianNoise`]. Outside
    /// training it does nothing.
    pub fn gaussian_noise(self, sigma: f64) -> Self
    where
        L: From<GaussianNoise>,
    {
        self.layer(L::from(GaussianNoise::new(sigma)))
    }

    /// Adds an [`Embedding`]: a table of `entries` learned vectors with `dim` features. The output
    /// so far must consist of ids.
    pub fn embedding(self, entries: usize, dim: usize) -> Self
    where
        L: From<Embedding>,
    {
        self.layer(L::from(Embedding::new(entries, dim)))
    }

    /// Makes plain units of all entries.
    pub fn flatten(self) -> Self
    where
        L: From<Rearrange>,
    {
        self.layer(L::from(Rearrange::Flatten))
    }

    /// Swaps the two axes of a sequence or a signal.
    pub fn transpose(self) -> Self
    where
        L: From<Rearrange>,
    {
        self.layer(L::from(Rearrange::Transpose))
    }

    /// Passes on these rows of plain units.
    pub fn select(self, rows: Range<usize>) -> Self
    where
        L: From<Rearrange>,
    {
        let Range { start, end } = rows;
        self.layer(L::from(Rearrange::Select {
            from: start,
            to: end,
        }))
    }

    /// Adds layers in sequence as one layer.
    pub fn sequential(self, layers: impl FnOnce(Self) -> Self) -> Self
    where
        L: From<Sequential<L>>,
    {
        let layers = self.inner(layers);
        self.layer(L::from(layers))
    }

    /// Adds body(x) + x, where x is the output so far.
    ///
    /// # Example
    /// The body ends with as many units as it starts with:
    /// ```
    /// use backprop::Network;
    /// use backprop::activation::{Identity, Tanh};
    ///
    /// let network = Network::<f64>::builder(8)
    ///     .residual(|body| body.dense(64, Tanh).dense(8, Identity))
    ///     .dense(1, Identity)
    ///     .zeros()?;
    /// assert_eq!(network.depth(), 2);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("skip", "shortcut"))]
    pub fn residual(self, body: impl FnOnce(Self) -> Self) -> Self
    where
        L: From<Residual<L>>,
    {
        let body = self.inner(body);
        self.layer(L::from(Residual::new(body)))
    }

    /// Adds body(x) + shortcut(x), where x is the output so far. The outputs of both have the same
    /// shape.
    pub fn residual_with_shortcut(
        self,
        body: impl FnOnce(Self) -> Self,
        shortcut: impl FnOnce(Self) -> Self,
    ) -> Self
    where
        L: From<Residual<L>>,
    {
        let (body, shortcut) = (self.inner(body), self.inner(shortcut));
        self.layer(L::from(Residual::with_shortcut(body, shortcut)))
    }

    /// Adds branches that all take the output so far, and whose outputs are put one after the other
    /// along an axis.
    ///
    /// # Example
    /// A mean and a positive scale for each of two targets, as two heads:
    /// ```
    /// use backprop::Network;
    /// use backprop::activation::{Identity, Softplus, Tanh};
    /// use backprop::layer::Axis;
    ///
    /// let network = Network::<f64>::builder(5)
    ///     .dense(16, Tanh)
    ///     .concat(Axis::First, |heads| {
    ///         let heads = heads.branch(|mean| mean.dense(2, Identity));
    ///         heads.branch(|scale| scale.dense(2, Softplus))
    ///     })
    ///     .zeros()?;
    /// assert_eq!(network.outputs(), 4);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[doc(alias("parallel", "branches"))]
    pub fn concat(self, axis: Axis, branches: impl FnOnce(Branches<T, L>) -> Branches<T, L>) -> Self
    where
        L: From<Concat<L>>,
    {
        let none = Branches {
            start: self.start(),
            branches: Vec::new(),
        };
        let branches = branches(none).branches;
        self.layer(L::from(Concat::new(branches, axis)))
    }

    /// Adds a layer of type `L`.
    pub fn layer(mut self, layer: L) -> Self {
        let plan = |shape| layer.plan(Site::new(shape).hidden()).ok();
        // The last call finds the error again, with its path.
        self.output = self.output.and_then(plan).map(|plan| plan.output());
        self.layers.push(layer);
        self
    }

    /// Returns the shape of the output so far, which is the input of the next layer, or `None` if
    /// the layers do not fit.
    ///
    /// # Example
    /// A body for inputs of any size:
    /// ```
    /// use backprop::activation::{Identity, Tanh};
    /// use backprop::{Builder, Network};
    ///
    /// fn body(start: Builder<f64>) -> Builder<f64> {
    ///     let units = start.shape().map_or(0, |shape| shape.last_axis());
    ///     start.dense(2 * units, Tanh).dense(units, Identity)
    /// }
    ///
    /// let network = Network::<f64>::builder(3).residual(body).residual(body).zeros()?;
    /// assert_eq!(network.parameters(), 2 * (6 * 4 + 3 * 7));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[must_use]
    pub fn shape(&self) -> Option<Shape> {
        self.output
    }

    /// Returns a builder without layers that continues here.
    fn start(&self) -> Self {
        Self {
            input: self.output.unwrap_or(Shape::Units(0)),
            output: self.output,
            layers: Vec::new(),
            scalar: PhantomData,
        }
    }

    /// Builds the layers of a container here.
    fn inner(&self, build: impl FnOnce(Self) -> Self) -> Sequential<L> {
        Sequential::new(build(self.start()).layers)
    }

    /// Builds the network with all parameters 0.
    ///
    /// # Errors
    /// Returns [`Error::NoInputs`], [`Error::NoLayers`], [`Error::ZeroUnits`],
    /// [`Error::LayerInputs`], [`Error::LayerShape`], [`Error::Branch`], [`Error::NoBranches`],
    /// [`Error::ComputedIds`], [`Error::Depth`], [`Error::PenalisedColumns`], [`Error::TooLarge`]
    /// or [`Error::Hyperparameter`] if the layers do not form a network.
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

/// Collects the branches of [`Builder::concat`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Branches<T: Scalar, L = AnyLayer> {
    /// Where every branch starts.
    start: Builder<T, L>,
    branches: Vec<Sequential<L>>,
}

impl<T: Scalar, L: Layer<T>> Branches<T, L> {
    /// Adds a branch. `|b| b` passes the input on.
    pub fn branch(mut self, build: impl FnOnce(Builder<T, L>) -> Builder<T, L>) -> Self {
        let branch = self.start.inner(build);
        self.branches.push(branch);
        self
    }
}
