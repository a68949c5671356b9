//! The layers and the parameters of steps.

use super::chain::{Kind, Step};
use super::constant::{Constant, Target};
use super::graph::{Graph, from_end, refused};
use super::operators::MORE_AXES;
use super::proto::Node;
use super::unsupported;
use crate::activation::AnyActivation;
use crate::allocation::resize;
use crate::file_scalar::FileScalar;
use crate::interchange::strides::row_major;
use crate::interchange::{InterchangeError, Options};
use crate::layer::{Activate, AnyLayer, Axis, Concat, Dense, Layer, Rearrange, Residual};
use crate::layer::{Sequential, Site};
use crate::shape::Shape;

/// Why a node that reads the outputs as a list is refused.
const FLAT: &str = "it reads numbers without an axis of units";

/// The parameters and the state of the layers so far.
pub(super) struct Assembler<'g, 'a, T> {
    pub(super) graph: &'g Graph<'a>,
    pub(super) options: &'g Options<'g>,
    pub(super) theta: Vec<T>,
    pub(super) state: Vec<T>,
    /// The most parameters, and the most numbers of the state: tensors that many layers share, or
    /// that are repeated along a long axis, must not fill the memory.
    pub(super) most: usize,
    /// Whether a batch norm found a sequence where a signal would fit.
    pub(super) wants_signal: bool,
    /// Whether the number of examples may be that of another value.
    pub(super) reads_strays: bool,
}

/// A product whose layer may still take a bias and an activation.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) bias: bool,
    /// Where its parameters start.
    pub(super) start: usize,
}

impl Product {
    fn layer(self, activation: AnyActivation) -> AnyLayer {
        let dense = Dense::new(self.inputs, self.outputs, activation);
        AnyLayer::Dense(if self.bias {
            dense
        } else {
            dense.without_bias()
        })
    }
}

/// The layers of a chain so far.
pub(super) struct Chain {
    pub(super) layers: Vec<AnyLayer>,
    pub(super) shape: Shape,
    /// Whether the examples are columns.
    pub(super) is_transposed: bool,
    /// Whether the numbers are rounded to integers.
    pub(super) is_whole: bool,
    /// Whether the axis of the single output is gone.
    pub(super) is_flat: bool,
    /// What the last layer is.
    pub(super) product: Option<Product>,
}

impl Chain {
    /// Returns the number of axes, with that of the examples.
    pub(super) fn rank(&self) -> usize {
        self.shape.axes() + 1
    }

    pub(super) fn sizes(&self) -> Vec<usize> {
        self.shape.last_sizes(self.shape.axes())
    }

    pub(super) fn push<T: FileScalar>(
        &mut self,
        node: &Node<'_>,
        layer: AnyLayer,
    ) -> Result<(), InterchangeError> {
        let plan = Layer::<T>::plan(&layer, Site::new(self.shape).hidden());
        let plan = plan.map_err(|error| refused(node, error.to_string()))?;
        self.shape = plan.output();
        self.layers.push(layer);
        self.product = None;
        Ok(())
    }

    pub(super) fn push_product<T: FileScalar>(
        &mut self,
        node: &Node<'_>,
        product: Product,
    ) -> Result<(), InterchangeError> {
        self.push::<T>(node, product.layer(AnyActivation::Identity))?;
        self.product = Some(product);
        Ok(())
    }

    /// Replaces the last layer, which is a product.
    pub(super) fn replace_product(&mut self, product: Product, activation: AnyActivation) {
        self.layers.pop();
        self.layers.push(product.layer(activation));
        self.product = (activation == AnyActivation::Identity).then_some(product);
    }
}

impl<'a, T: FileScalar> Assembler<'_, 'a, T> {
    /// Returns the layers of steps.
    pub(super) fn layers(
        &mut self,
        steps: &[Step<'a>],
        shape: Shape,
    ) -> Result<Chain, InterchangeError> {
        let mut chain = Chain {
            layers: Vec::new(),
            shape,
            is_transposed: false,
            is_whole: false,
            is_flat: false,
            product: None,
        };
        for Step { node, kind } in steps {
            let is = |operator: &str| matches!(kind, Kind::Node) && node.is(operator);
            let keeps = is("Identity") || is("Cast") || is("Where");
            if chain.is_whole && !keeps && !is("Gather") {
                return Err(refused(node, "it reads integers, which only `Gather` may"));
            }
            if chain.is_flat && !keeps {
                return Err(refused(node, FLAT));
            }
            match kind {
                Kind::Node => self.node(&mut chain, node)?,
                Kind::Activation { activation, rank } => {
                    if *rank > chain.rank() {
                        return Err(refused(node, MORE_AXES));
                    }
                    self.activation(&mut chain, node, *activation)?;
                }
                Kind::Norm(norm) => self.norm(&mut chain, node, norm)?,
                Kind::Fork(branches) => self.fork(&mut chain, node, branches)?,
                Kind::Heads(branches) => self.heads(&mut chain, node, branches)?,
                Kind::Binary if chain.shape.len() == 1 => {}
                Kind::Binary => {
                    let reason = "it joins 1 − p and p of several units, expected those of one";
                    return Err(refused(node, reason));
                }
            }
        }
        if let Some(Step { node, .. }) = steps.last() {
            if chain.is_transposed {
                return Err(refused(
                    node,
                    "the examples are not the first axis of its output",
                ));
            }
            if chain.is_whole {
                return Err(refused(node, "its output is rounded to integers"));
            }
        }
        Ok(chain)
    }

    pub(super) fn activation(
        &mut self,
        chain: &mut Chain,
        node: &Node<'_>,
        activation: AnyActivation,
    ) -> Result<(), InterchangeError> {
        let layer = AnyLayer::Activate(Activate::new(activation));
        match chain.product {
            Some(product) => {
                chain.push::<T>(node, layer)?; // checks the constants
                chain.layers.pop();
                chain.replace_product(product, activation);
                Ok(())
            }
            None => chain.push::<T>(node, layer),
        }
    }

    fn fork(
        &mut self,
        chain: &mut Chain,
        node: &Node<'_>,
        branches: &[Vec<Step<'a>>],
    ) -> Result<(), InterchangeError> {
        let rank = chain.rank();
        let mut parts = self.branches(chain, node, branches)?;
        if parts.iter().any(|part| part.is_flat) {
            return Err(refused(node, FLAT));
        }
        if !node.is("Concat") {
            let mut parts = parts.drain(..).map(|part| Sequential::new(part.layers));
            let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
                return Err(refused(node, "it has one input"));
            };
            let residual = match (first.layers().is_empty(), second.layers().is_empty()) {
                (_, true) => Residual::new(first),
                (true, false) => Residual::new(second),
                (false, false) => Residual::with_shortcut(first, second),
            };
            return chain.push::<T>(node, AnyLayer::Residual(residual));
        }
        let rank = parts.first().map_or(rank, Chain::rank);
        let axis = from_end(node.int("axis", 0)?, rank);
        let axis = match axis {
            Some(1) => Axis::First,
            Some(axis) if axis > 0 && axis == rank - 1 => Axis::Last,
            _ => {
                return Err(refused(
                    node,
                    "its axis is not the first or the last of an example",
                ));
            }
        };
        let parts = parts.into_iter().map(|part| Sequential::new(part.layers));
        let concat = Concat::new(parts.collect(), axis);
        chain.push::<T>(node, AnyLayer::Concat(concat))
    }

    fn heads(
        &mut self,
        chain: &mut Chain,
        node: &Node<'_>,
        branches: &[Vec<Step<'a>>],
    ) -> Result<(), InterchangeError> {
        let parts = self.branches(chain, node, branches)?;
        let parts = parts.into_iter().map(
            |Chain {
                 mut layers, shape, ..
             }| {
                if !matches!(shape, Shape::Units(_)) {
                    layers.push(AnyLayer::Rearrange(Rearrange::Flatten));
                }
                Sequential::new(layers)
            },
        );
        let concat = Concat::new(parts.collect(), Axis::First);
        chain.push::<T>(node, AnyLayer::Concat(concat))
    }

    fn branches(
        &mut self,
        chain: &Chain,
        node: &Node<'_>,
        branches: &[Vec<Step<'a>>],
    ) -> Result<Vec<Chain>, InterchangeError> {
        if chain.is_transposed {
            return Err(refused(
                node,
                "the examples are not the first axis of its inputs",
            ));
        }
        let all = branches.iter();
        all.map(|steps| self.layers(steps, chain.shape)).collect()
    }

    /// Adds zeros to the parameters, and returns where they start.
    pub(super) fn grow(&mut self, len: Option<usize>) -> Result<usize, InterchangeError> {
        let start = self.theta.len();
        let end = self.end(start, len)?;
        resize(&mut self.theta, "the parameters", (end, 1), T::zero())?;
        Ok(start)
    }

    /// Returns the end of a part of the parameters or of the state.
    pub(super) fn end(&self, start: usize, len: Option<usize>) -> Result<usize, InterchangeError> {
        let end = len.and_then(|len| start.checked_add(len));
        end.filter(|&end| end <= self.most).ok_or_else(|| {
            let most = self.most;
            unsupported(format!(
                "it has more parameters than its {most} bytes can hold"
            ))
        })
    }

    /// Adds a vector of parameters, in row-major order of its axes: a constant, or a number.
    pub(super) fn vector(
        &mut self,
        node: &Node<'_>,
        from: Option<&Constant<'_>>,
        dims: &[usize],
        otherwise: T,
    ) -> Result<(), InterchangeError> {
        let start = self.grow(product(dims))?;
        let numbers = &mut self.theta[start..];
        let Some(from) = from else {
            numbers.fill(otherwise);
            return Ok(());
        };
        fill(node, from, dims, numbers, self.options, f64::NEG_INFINITY)
    }
}

/// Returns the number of entries of a tensor, unless it is too large.
pub(super) fn product(dims: &[usize]) -> Option<usize> {
    dims.iter()
        .try_fold(1, |len: usize, &dim| len.checked_mul(dim))
}

/// Fills numbers with a constant, in row-major order of the axes along which it may be repeated.
pub(super) fn fill<T: FileScalar>(
    node: &Node<'_>,
    from: &Constant<'_>,
    dims: &[usize],
    numbers: &mut [T],
    options: &Options<'_>,
    least: f64,
) -> Result<(), InterchangeError> {
    let to = Target {
        numbers,
        strides: &row_major(dims),
        factor: 1.0,
        least,
    };
    broadcast(node, from, dims)?.fill(to, options)
}

pub(super) fn broadcast<'a>(
    node: &Node<'_>,
    from: &Constant<'a>,
    dims: &[usize],
) -> Result<Constant<'a>, InterchangeError> {
    from.broadcast(dims).ok_or_else(|| {
        let (name, found) = (from.name, &from.dims);
        let reason = format!("the tensor {name:?} has the shape {found:?}, expected {dims:?}");
        refused(node, reason)
    })
}
