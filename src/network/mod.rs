//! The network: layers and one flat θ.

// First, because rustdoc follows the order of the modules: it lists `builder` and `forward` first.
mod calls;

mod builder;
pub(crate) mod chain;
mod cut;
mod evaluate;
mod fold;
mod freeze;
pub(crate) mod job;
mod outcome;
mod parameters;
pub(crate) mod pass;
#[cfg(feature = "serde")]
mod saved;
mod state;

use crate::allocation::{copied, reserved};
use crate::error::Error;
use crate::gradient::zeros;
use crate::layer::{AnyLayer, BlockStart, Child, Layer, Sequential};
use crate::layout::Layout;
use crate::path::Path;
use crate::point::initial_state;
use crate::scalar::{Scalar, real};
use crate::shape::Shape;
use nalgebra::DVector;
use std::fmt;
use std::sync::Arc;

pub use builder::{Branches, Builder};
pub(crate) use cut::Cut;
pub(crate) use evaluate::{PartCosts, check_cost};
pub use parameters::ParameterBlock;
pub(crate) use parameters::check_theta;
pub(crate) use pass::Place;
pub use state::StateVector;

/// A feed-forward network: a chain of layers, and one vector θ of all parameters (weights, biases).
///
/// `Network<f64>` is the type for networks of built-in layers. For custom layers, the type
/// parameter `L` is an [`AnyLayer<C>`](AnyLayer), a single layer type such as
/// `Dense<MyActivation>`, or a `Box<dyn Layer<T>>`. (In formulas, L is the number of layers,
/// counting the inputs.)
///
/// Matrices have one column for each example. With n inputs, m examples and K outputs, X is n × m
/// and the outputs are K × m. A single example may be a slice (see [`Columns`](crate::Columns)).
/// The [conventions](crate::conventions) list all symbols.
///
/// # Example
/// The course's AND gate, σ(−30 + 20 x₁ + 20 x₂), where σ is the sigmoid. The bias is the first
/// entry of θ. The columns of X are (0, 0), (0, 1), (1, 0) and (1, 1), so the outputs are σ(−30),
/// σ(−10), σ(−10) and σ(10), with σ(−30) ≈ 10⁻¹³, σ(−10) ≈ 0.00005 and σ(10) ≈ 0.99995:
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
/// With the feature `serde`, a network is plain data: the name of T, the shape of its inputs, its
/// layers, θ and the state. Loading rejects invalid data: shapes that do not fit, numbers that are
/// not finite, unknown fields, layers nested too deeply. It also rejects numbers of another scalar
/// type: load them as that type, then convert the network with [`map`](Self::map). The module
/// `saving` handles files of networks. The feature enables `float_roundtrip` of `serde_json`,
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
#[doc(alias("Sequential", "MLP", "MLPClassifier", "MLPRegressor", "summary"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T: Scalar, L = AnyLayer> {
    root: Sequential<L>,
    theta: DVector<T>,
    /// What passes read and do not differentiate, such as running statistics.
    state: DVector<T>,
    layout: Arc<Layout>,
    spare: Spare<T>,
}

/// Memory for a copy of θ during a step, which is not part of the network.
#[derive(Debug)]
struct Spare<T>(Vec<T>);

impl<T> Clone for Spare<T> {
    fn clone(&self) -> Self {
        Self(Vec::new())
    }
}

impl<T> PartialEq for Spare<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Creates a network from layers and θ. Each layer takes the outputs of the one before it.
    ///
    /// # Errors
    /// - [`Error::NoInputs`], [`Error::NoLayers`], [`Error::ZeroUnits`], [`Error::LayerInputs`],
    ///   [`Error::LayerShape`], [`Error::Branch`], [`Error::NoBranches`], [`Error::ComputedIds`],
    ///   [`Error::Depth`],
    ///   [`Error::PenalisedColumns`], [`Error::TooLarge`] or [`Error::Hyperparameter`] if the
    ///   layers do not form a network.
    /// - [`Error::Length`] or [`Error::NonFinite`] unless θ consists of P finite numbers.
    pub fn from_layers(
        inputs: impl Into<Shape>,
        layers: Vec<L>,
        theta: &[T],
    ) -> Result<Self, Error> {
        // θ is checked before anything of its size is allocated: the layers may come from a file.
        let root = Sequential::new(layers);
        let layout = Layout::new(inputs.into(), &root)?;
        check_theta(layout.parameters(), theta)?;
        Ok(Self {
            state: initial_state(layout.state_places())?,
            root,
            theta: DVector::from_vec(copied("the parameters", theta)?),
            layout: Arc::new(layout),
            spare: Spare(Vec::new()),
        })
    }

    fn with_zeros(inputs: Shape, layers: Vec<L>) -> Result<Self, Error> {
        let root = Sequential::new(layers);
        let layout = Layout::new(inputs, &root)?;
        let mut theta = zeros(layout.parameters())?;
        for place in layout.blocks() {
            if let BlockStart::Constant(start) = place.block().start {
                theta.as_mut_slice()[place.range()].fill(real(start));
            }
        }
        Ok(Self {
            state: initial_state(layout.state_places())?,
            root,
            theta,
            layout: Arc::new(layout),
            spare: Spare(Vec::new()),
        })
    }

    /// Returns the number of inputs, the rows of X.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layout.inputs()
    }

    /// Returns the number of outputs, the rows of Y.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layout.outputs()
    }

    /// Returns the number of layers without the inputs, L − 1.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layout.depth()
    }

    /// Returns the number of parameters, P. [`theta`](Self::theta) returns the parameters
    /// themselves.
    #[doc(alias = "count_params")]
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layout.parameters()
    }

    /// Returns the layers.
    #[must_use]
    pub fn layers(&self) -> &[L] {
        self.root.layers()
    }

    /// Returns the position of each block of parameters in θ and ∇J.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn root(&self) -> &Sequential<L> {
        &self.root
    }

    pub(crate) fn layout_arc(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Converts the network to another scalar, such as `f32` or dual numbers.
    ///
    /// `f` converts each parameter, in the order of θ, and then each number of the state. Frozen
    /// layers stay frozen, and fixed statistics stay fixed.
    ///
    /// # Errors
    /// All concern the new scalar:
    /// - [`Error::NonFinite`] if a parameter or a number of the state is not finite, such as 1e300
    ///   in `f32`.
    /// - [`Error::Hyperparameter`] if a layer's constant is out of range.
    /// - [`Error::TooLarge`] if θ is too large.
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
    pub fn map<U: Scalar>(&self, mut f: impl FnMut(T) -> U) -> Result<Network<U, L>, Error>
    where
        L: Layer<U> + Clone,
    {
        let mut theta = reserved("the parameters", self.parameters())?;
        theta.extend(self.theta.iter().copied().map(&mut f));
        let mut state = reserved("the state", self.state.len())?;
        state.extend(self.state.iter().copied().map(f));
        let input = self.layout.plan().input();
        let mut network = Network::from_layers(input, self.root.layers().to_vec(), &theta)?;
        network.set_state(&state)?;
        network
            .with_frozen(&self.frozen_layers())?
            .with_fixed_statistics(&self.fixed_statistics())
    }
}

/// One line of the table of layers.
struct Row {
    name: String,
    outputs: String,
    shapes: String,
    count: String,
}

impl Row {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outputs: String::new(),
            shapes: String::new(),
            count: String::new(),
        }
    }

    fn cells(&self) -> [&str; 4] {
        [&self.name, &self.outputs, &self.shapes, &self.count]
    }
}

/// Returns a shape in the table: only a number for plain units.
fn outputs(shape: Shape) -> String {
    match shape {
        Shape::Units(units) => units.to_string(),
        shape => shape.to_string(),
    }
}

/// Appends the row of a layer, and then those of the layers inside it.
fn append(child: &Child, path: &Path, rows: &mut Vec<Row>) {
    let plan = &child.plan;
    let blocks = plan.blocks.iter();
    let shapes: Vec<String> = blocks
        .map(|b| format!("{} {} × {}", path.label(&b.name), b.rows, b.cols))
        .collect();
    let depth = path.indices().len().saturating_sub(1);
    rows.push(Row {
        name: format!("{}{}", "  ".repeat(depth), child.name),
        outputs: outputs(plan.output()),
        shapes: format!(
            "{}{}",
            shapes.join(", "),
            if plan.is_frozen() { ", frozen" } else { "" }
        ),
        // The counts of the layers inside add up to the total.
        count: if plan.children.is_empty() {
            plan.parameters().to_string()
        } else {
            String::new()
        },
    });
    for (i, child) in plan.children.iter().enumerate() {
        append(child, &path.child(i), rows);
    }
}

/// Prints a table of the layers with their shapes and numbers of parameters. Layers inside others
/// are indented.
impl<T: Scalar, L: Layer<T>> fmt::Display for Network<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.layout.plan();
        let mut rows = vec![
            Row {
                name: "layer".into(),
                outputs: "outputs".into(),
                shapes: "parameters".into(),
                count: "count".into(),
            },
            Row {
                outputs: outputs(plan.input()),
                ..Row::new("input")
            },
        ];
        for (i, child) in plan.children.iter().enumerate() {
            append(child, &i.into(), &mut rows);
        }
        rows.push(Row {
            count: self.parameters().to_string(),
            ..Row::new("total")
        });
        // Names can be of any length, but column widths cannot.
        let widest = usize::from(u16::MAX);
        let widths: [usize; 4] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row.cells()[column].chars().count());
            cells.max().unwrap_or(0).min(widest)
        });
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let [name, outputs, shapes, count] = row.cells();
            write!(
                f,
                "{name:<0$}  {outputs:>1$}  {shapes:<2$}  {count:>3$}",
                widths[0], widths[1], widths[2], widths[3]
            )?;
        }
        Ok(())
    }
}
