//! The network: layers, and one flat θ.

mod builder;
pub(crate) mod chain;
mod evaluate;
pub(crate) mod job;
mod parameters;
pub(crate) mod pass;
#[cfg(feature = "serde")]
mod saved;

use crate::cost::Cost;
use crate::error::Error;
use crate::examples::{Columns, Examples};
use crate::gradient::{Backprop, CostParts, zeros};
use crate::layer::{AnyLayer, Layer};
use crate::layout::{Layout, copied, owned, reserved};
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DMatrixView, DVector};
use std::fmt;
use std::sync::Arc;

pub use builder::Builder;
pub(crate) use parameters::check_theta;

/// A feed-forward network: a chain of layers that describe it, and one flat θ that it owns.
///
/// `Network<f64>` is the whole type for networks of our layers. `L` may be an [`AnyLayer<C>`](AnyLayer) with layers
/// of yours, one layer type alone such as `Dense<MyActivation>`, or a `Box<dyn Layer<T>>`.
///
/// All matrices have one example a column: X is n × m, the outputs are K × m.
///
/// # Example
/// The course's AND gate, σ(−30 + 20 x₁ + 20 x₂):
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Network, activation::Sigmoid};
///
/// let and = Network::<f64>::builder(2).dense(1, Sigmoid).with_theta(&[-30.0, 20.0, 20.0])?;
/// let x = DMatrix::from_row_slice(2, 4, &[0., 0., 1., 1., 0., 1., 0., 1.]);
/// let a = and.forward(&x)?;
/// assert_eq!(a.map(f64::round).as_slice(), &[0.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Saving
/// With the feature `serde` a network is plain data: the name of T, its layers and θ. Loading
/// refuses invalid data: shapes that do not fit, numbers that are not finite, unknown fields. It
/// also refuses numbers of another scalar type: load them as that type, then convert the network
/// with [`map`](Self::map). Data of version 1 does not name its scalar and is read as T. The module
/// `saving` handles files of networks. The feature turns on `float_roundtrip` of `serde_json`,
/// without which an `f64` would lose its last bit in JSON.
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```text")]
/// use backprop::{Network, activation::Sigmoid};
///
/// let network = Network::<f64>::builder(1).dense(1, Sigmoid).with_theta(&[0.1, 0.7])?;
/// let text = serde_json::to_string(&network)?;
/// let loaded: Network<f64> = serde_json::from_str(&text)?;
/// assert_eq!(loaded, network);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T: Scalar, L = AnyLayer> {
    layers: Vec<L>,
    theta: DVector<T>,
    layout: Arc<Layout>,
}

impl<T: Scalar> Network<T> {
    /// Starts a network of our layers with `inputs` input units.
    ///
    /// For other layer types write `Builder::<T, L>::new(inputs)`.
    pub fn builder(inputs: usize) -> Builder<T> {
        Builder::new(inputs)
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// A network of given layers, each taking what the one before it gives, with θ as given.
    ///
    /// # Errors
    /// - [`Error::NoInputs`], [`Error::NoLayers`], [`Error::ZeroUnits`], [`Error::LayerInputs`],
    ///   [`Error::PenalisedColumns`], [`Error::TooLarge`] or [`Error::Hyperparameter`] if the layers are not a network.
    /// - [`Error::Length`] or [`Error::NonFiniteInput`] if θ is not P finite numbers.
    pub fn from_layers(inputs: usize, layers: Vec<L>, theta: &[T]) -> Result<Self, Error> {
        // θ is checked before anything of its size is allocated: the layers may come from a file.
        let layout = Layout::new(inputs, &layers)?;
        check_theta(layout.parameters(), theta)?;
        Ok(Self {
            layers,
            theta: DVector::from_vec(copied("the parameters", theta)?),
            layout: Arc::new(layout),
        })
    }

    fn with_zeros(inputs: usize, layers: Vec<L>) -> Result<Self, Error> {
        let layout = Layout::new(inputs, &layers)?;
        Ok(Self {
            layers,
            theta: zeros(layout.parameters())?,
            layout: Arc::new(layout),
        })
    }

    /// Rows of X.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layout.inputs()
    }

    /// Rows of Y and of the outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layout.outputs()
    }

    /// Layers with weights.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layout.depth()
    }

    /// P, the length of θ.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layout.parameters()
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &[L] {
        &self.layers
    }

    /// Where each block of parameters lies in θ and in ∇J.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn layout_arc(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The same architecture with every parameter mapped to another scalar: `f32`, dual numbers, …
    ///
    /// # Errors
    /// [`Error::NonFiniteInput`] if a parameter is not finite there, as 1e300 in `f32`; [`Error::Hyperparameter`] if a layer's
    /// constant is out of range there; [`Error::TooLarge`] if θ is too large there.
    ///
    /// # Example
    /// ```
    /// use backprop::{Network, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).with_theta(&[0.5, -1.0])?;
    /// let single: Network<f32> = network.map(|w| w as f32)?;
    /// assert_eq!(single.theta().as_slice(), &[0.5_f32, -1.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn map<U: Scalar>(&self, f: impl FnMut(T) -> U) -> Result<Network<U, L>, Error>
    where
        L: Layer<U> + Clone,
    {
        let mut theta = reserved("the parameters", self.parameters())?;
        theta.extend(self.theta.iter().copied().map(f));
        Network::from_layers(self.inputs(), self.layers.clone(), &theta)
    }

    /// The hypothesis h(x) = a⁽ᴸ⁾ for every example: K × m for an X of n × m.
    ///
    /// Derivation: [(4)](crate::derivation#hypothesis).
    ///
    /// # Errors
    /// - [`Error::NoExamples`], [`Error::Shape`] or [`Error::NonFiniteInput`] if X is not n × m with m ≥ 1 and finite.
    /// - [`Error::NonFinite`] with layer, unit and example if an activation overflows.
    /// - [`Error::TooLarge`] if there is no memory for the buffers.
    ///
    /// # Example
    /// a = 1 + 2·3 for a single identity unit:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Network, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// assert_eq!(network.forward(&DMatrix::repeat(1, 1, 3.0))?[0], 7.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn forward<'a>(&self, x: impl Columns<'a, T>) -> Result<DMatrix<T>, Error> {
        let mut workspace = Workspace::for_one_call();
        owned("the outputs", self.forward_into(x, &mut workspace)?)
    }

    /// [`forward`](Self::forward) into the buffers of a workspace, without allocation once they have grown.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_into<'a, 'w>(
        &self,
        x: impl Columns<'a, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<DMatrixView<'w, T>, Error> {
        let x = x.columns_view();
        self.check_inputs(x)?;
        self.run_forward(self.theta.as_slice(), x, workspace)?;
        workspace.output().ok_or(Error::NoLayers)
    }

    /// J(θ) = (1/m) Σₖ costₖ + λ/(2m) Σ Θ², the bias columns exempt.
    ///
    /// Derivation: [(6)](crate::derivation#objective).
    ///
    /// # Errors
    /// Those of [`backprop`](Self::backprop), gradient aside.
    ///
    /// # Example
    /// A sigmoid unit with θ = 0 answers ½ to everything, so that the course's cost is ln 2:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, Examples, Network, Objective, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).zeros()?;
    /// let (x, y) = (DMatrix::repeat(1, 2, 3.0), DMatrix::from_row_slice(1, 2, &[0.0, 1.0]));
    /// let j = network.cost(&Examples::new(&x, &y)?, &Objective::new(BinaryCrossEntropy))?;
    /// assert!((j - 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn cost<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<T, Error> {
        let parts = self.cost_into(examples, objective, &mut Workspace::for_one_call())?;
        Ok(parts.total())
    }

    /// J in its two parts, in the buffers of a workspace.
    ///
    /// # Errors
    /// Those of [`cost`](Self::cost).
    pub fn cost_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<CostParts<T>, Error> {
        self.cost_at(self.theta.as_slice(), examples, objective, workspace)
    }

    /// J and the gradient matrices D of one forward and one backward pass.
    ///
    /// Derivation: [(21)](crate::derivation#regularised-gradient).
    ///
    /// δ⁽ᴸ⁾ is the cost's own (a − y for the canonical pairs); then layer by layer δ⁽ˡ⁾ = (W⁽ˡ⁾)ᵀ δ⁽ˡ⁺¹⁾ ∘ g′(z⁽ˡ⁾), where W is Θ without
    /// its bias column, Δ⁽ˡ⁾ = δ⁽ˡ⁺¹⁾ \[1; a⁽ˡ⁾]ᵀ, and in the end D⁽ˡ⁾ = (Δ⁽ˡ⁾ + λΘ⁽ˡ⁾)/m, without λ in column 0. D⁽ˡ⁾ has the
    /// shape of Θ⁽ˡ⁾, s₍ₗ₊₁₎ × (sₗ + 1). With example weights m is Σw. (Rumelhart, Hinton, Williams 1986, doi:10.1038/323533a0.)
    ///
    /// # Errors
    /// - [`Error::Shape`] if X or Y do not fit the network, [`Error::Target`] if a target is outside the cost's domain.
    /// - [`Error::Hyperparameter`] if λ or a constant of the cost is out of range, [`Error::Index`] if the penalty names a layer or block that is not there.
    /// - [`Error::Output`] if an output is outside the cost's domain.
    /// - [`Error::NonFinite`], [`Error::NonFiniteCost`], [`Error::NonFiniteObjective`] or [`Error::NonFiniteGradient`] where a number
    ///   overflows first.
    /// - [`Error::TooLarge`] if there is no memory for the buffers.
    ///
    /// # Example
    /// One sigmoid unit, x = 2, y = 1, θ = 0: a = ½, δ = a − y = −½, D = δ \[1 x] = \[−½ −1].
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{BinaryCrossEntropy, Examples, Network, Objective, activation::Sigmoid};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Sigmoid).zeros()?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 2.0), DMatrix::repeat(1, 1, 1.0));
    /// let pass = network.backprop(&Examples::new(&x, &y)?, &Objective::new(BinaryCrossEntropy))?;
    /// assert_eq!(pass.gradient().layer(0)?, DMatrix::from_row_slice(1, 2, &[-0.5, -1.0]));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn backprop<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<Backprop<T>, Error> {
        let mut vector = zeros(self.parameters())?;
        let parts = self.gradient_into(
            examples,
            objective,
            &mut Workspace::for_one_call(),
            vector.as_mut_slice(),
        )?;
        Ok(Backprop::new(parts, vector, Arc::clone(&self.layout)))
    }

    /// The unrolled gradient ∇J = \[D⁽¹⁾(:); D⁽²⁾(:); …] alone, of length P.
    ///
    /// Derivation: [(23)](crate::derivation#unrolled).
    ///
    /// # Errors
    /// Those of [`backprop`](Self::backprop).
    pub fn gradient_vector<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<DVector<T>, Error> {
        Ok(self
            .backprop(examples, objective)?
            .into_gradient()
            .into_vector())
    }

    /// J and ∇J into the caller's buffers: what an optimiser calls in its loop, without allocation once they have grown.
    /// Returns J in its two parts; [`total`](CostParts::total) is J.
    ///
    /// Derivation: [(24)](crate::derivation#descent).
    ///
    /// # Errors
    /// Those of [`backprop`](Self::backprop), and [`Error::Length`] if `gradient` has not P entries. What `gradient`
    /// holds after a non-finite gradient is the gradient itself, to look at; after any other error it is unspecified.
    pub fn gradient_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        let theta = self.theta.as_slice();
        self.gradient_at(theta, examples, objective, workspace, gradient)
    }
}

/// A table of the layers, their shapes and their parameter counts.
impl<T: Scalar, L: Layer<T>> fmt::Display for Network<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["layer", "outputs", "parameters", "count"].map(String::from)];
        rows.push([
            "input".into(),
            self.inputs().to_string(),
            String::new(),
            String::new(),
        ]);
        for (layer, sizes) in self.layers.iter().zip(self.layout.layers()) {
            let blocks = &self.layout.blocks()[sizes.blocks.clone()];
            let shapes: Vec<String> = blocks
                .iter()
                .map(|b| format!("{} {} × {}", b.label(), b.block().rows, b.block().cols))
                .collect();
            rows.push([
                layer.name(),
                sizes.outputs.to_string(),
                shapes.join(", "),
                sizes.theta.len().to_string(),
            ]);
        }
        rows.push([
            "total".into(),
            String::new(),
            String::new(),
            self.parameters().to_string(),
        ]);
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        // Names can be of any length, column widths cannot.
        let widest = usize::from(u16::MAX);
        let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0).min(widest));
        for (i, [name, outputs, shapes, count]) in rows.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(
                f,
                "{name:<0$}  {outputs:>1$}  {shapes:<2$}  {count:>3$}",
                widths[0], widths[1], widths[2], widths[3]
            )?;
        }
        Ok(())
    }
}
