//! The layers of single nodes.

use super::assemble::{Assembler, Chain, Product, broadcast, fill, product};
use super::constant::{Constant, Target};
use super::graph::{Value, from_end, refused};
use super::norms::{self, Norm};
use super::proto::Node;
use super::shapes::{cast, flatten, transpose};
use crate::activation::AnyActivation;
use crate::allocation::resize;
use crate::file_scalar::FileScalar;
use crate::interchange::InterchangeError;
use crate::layer::{AnyLayer, BatchNorm, Dropout, LayerNorm, RmsNorm};
use crate::scalar::real;
use crate::shape::Shape;

pub(super) type Done = Result<(), InterchangeError>;

/// Why a node with a constant is refused that would give its input more axes.
pub(super) const MORE_AXES: &str = "a constant has more axes than its input";

/// Why a node that reads columns of examples is refused.
const NOT_FIRST: &str = "the examples are not the first axis of its input";

impl<'a, T: FileScalar> Assembler<'_, 'a, T> {
    /// Adds the layer of a node that stands for itself.
    pub(super) fn node(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        match node.operator {
            "Identity" => return Ok(()),
            "Cast" => return cast(chain, node),
            "Gemm" => return self.gemm(chain, node),
            "MatMul" => return self.matrix_product(chain, node),
            "Add" => return self.bias(chain, node),
            "Dropout" => return self.dropout(chain, node),
            "Transpose" => return transpose::<T>(chain, node, self.graph.reads_shapes),
            "Softmax" => return self.softmax(chain, node),
            _ if chain.is_transposed => return Err(refused(node, NOT_FIRST)),
            _ => {}
        }
        match node.operator {
            "BatchNormalization" => self.batch_norm(chain, node),
            "LayerNormalization" | "RMSNormalization" => self.norm_of_runs(chain, node),
            "Scaler" => self.scaler(chain, node),
            "Flatten" => {
                let axis = from_end(node.int("axis", 1)?, chain.rank());
                if axis != Some(1) {
                    return Err(refused(node, "its axis is not 1"));
                }
                flatten::<T>(chain, node)
            }
            "Reshape" => self.reshape(chain, node),
            "Squeeze" if chain.shape == Shape::Units(1) => {
                let axes = self.graph.ints(node, 1).unwrap_or_default();
                chain.is_flat = matches!(axes[..], [1 | -1]);
                match chain.is_flat {
                    true => Ok(()),
                    false => Err(refused(node, "its axis is not 1")),
                }
            }
            "Concat" if node.inputs.len() == 1 => Ok(()),
            "Gather" => self.embedding(chain, node),
            // Of ids: see `wrapped_ids`.
            "Where" if chain.is_whole && self.graph.all_moving(node).len() == 3 => Ok(()),
            "Slice" => self.select(chain, node),
            _ => Err(refused(node, "it is not a layer by itself")),
        }
    }

    fn gemm(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        let [trans_a, trans_b] = [node.flag("transA")?, node.flag("transB")?];
        if chain.rank() != 2 {
            return Err(refused(node, "its input does not have two axes"));
        }
        let (weights, is_transposed, after) = match [0, 1].map(|i| self.graph.constant(node, i)) {
            [None, Some(b)] => (matrix(node, b, !trans_b)?, trans_a, false),
            [Some(a), None] => (matrix(node, a, trans_a)?, !trans_b, true),
            _ => return Err(refused(node, "its weights are not a constant")),
        };
        if chain.is_transposed != is_transposed {
            return Err(refused(node, NOT_FIRST));
        }
        self.product(chain, node, &weights, alpha)?;
        chain.is_transposed = after;
        match self.graph.operand(node, 2) {
            Value::Absent => Ok(()),
            Value::Constant(bias) => self.add_bias(chain, node, &bias, beta),
            _ => Err(refused(node, "its bias is not a constant")),
        }
    }

    fn matrix_product(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let (weights, is_transposed) = match [0, 1].map(|i| self.graph.constant(node, i)) {
            [None, Some(b)] => (matrix(node, b, true)?, false),
            [Some(a), None] => (matrix(node, a, false)?, true),
            _ => return Err(refused(node, "its weights are not a constant")),
        };
        if chain.is_transposed != is_transposed {
            return Err(refused(node, NOT_FIRST));
        }
        self.product(chain, node, &weights, 1.0)
    }

    /// Adds a dense layer. The weights are outputs × inputs.
    fn product(
        &mut self,
        chain: &mut Chain,
        node: &Node<'_>,
        weights: &Constant<'_>,
        factor: f64,
    ) -> Done {
        let (outputs, inputs) = (weights.dims[0], weights.dims[1]);
        let start = self.grow(outputs.checked_mul(inputs))?;
        let product = Product {
            inputs,
            outputs,
            bias: false,
            start,
        };
        chain.push_product::<T>(node, product)?;
        let to = Target {
            numbers: &mut self.theta[start..],
            strides: &[1, outputs],
            factor,
            least: f64::NEG_INFINITY,
        };
        weights.fill(to, self.options)
    }

    fn bias(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let constants = [0, 1].map(|index| self.graph.constant(node, index));
        match constants.into_iter().flatten().next() {
            Some(bias) => self.add_bias(chain, node, &bias, 1.0),
            None => Err(refused(node, "the added tensor is not a constant")),
        }
    }

    /// Adds a bias to the dense layer that was last.
    fn add_bias(
        &mut self,
        chain: &mut Chain,
        node: &Node<'_>,
        bias: &Constant<'_>,
        factor: f64,
    ) -> Done {
        let Some(product) = chain.product.filter(|product| !product.bias) else {
            return Err(refused(
                node,
                "it adds a constant to something other than a matrix product",
            ));
        };
        let Product { outputs, start, .. } = product;
        let end = self.grow(Some(outputs))?;
        self.theta.copy_within(start..end, start + outputs);
        let dims = [outputs, 1];
        let dims = if chain.is_transposed {
            &dims[..]
        } else {
            &dims[..1]
        };
        if bias.dims.len() > chain.rank() {
            return Err(refused(node, "its bias has more axes than its input"));
        }
        let to = Target {
            numbers: &mut self.theta[start..start + outputs],
            strides: &[1, 1][..dims.len()],
            factor,
            least: f64::NEG_INFINITY,
        };
        broadcast(node, bias, dims)?.fill(to, self.options)?;
        let product = Product {
            bias: true,
            ..product
        };
        chain.replace_product(product, AnyActivation::Identity);
        Ok(())
    }

    fn dropout(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let given = |index: usize, otherwise: f64| match self.graph.operand(node, index) {
            Value::Absent => Some(otherwise),
            _ => self.graph.scalar(node, index),
        };
        if given(2, 0.0) != Some(0.0) {
            return Err(refused(node, "it is in training mode"));
        }
        let ratio = given(1, 0.5);
        let ratio = ratio.ok_or_else(|| refused(node, "its ratio is not a constant"))?;
        chain.push::<T>(node, AnyLayer::Dropout(Dropout::new(ratio)))
    }

    fn softmax(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let rank = chain.rank();
        let axis = if chain.is_transposed { 0 } else { rank - 1 };
        if from_end(node.int("axis", -1)?, rank) != Some(axis) {
            return Err(refused(node, "its axis is not the last one"));
        }
        self.activation(chain, node, AnyActivation::Softmax)
    }

    fn batch_norm(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        if node.flag("training_mode")? {
            return Err(refused(node, "it is in training mode"));
        }
        let units = match chain.shape {
            Shape::Sequence { .. } => {
                self.wants_signal = true;
                return Err(refused(node, "it acts on the steps of a sequence"));
            }
            shape => shape.first_axis(),
        };
        let tensors = [1, 2, 3, 4].map(|index| self.graph.constant(node, index));
        let [Some(scale), Some(shift), Some(mean), Some(variance)] = tensors else {
            return Err(refused(node, "its parameters are not constants"));
        };
        // Of the share of the old statistics, which is an `f32` near 1.
        let momentum = 1.0 - node.float("momentum", 0.9)?;
        let momentum = format!("{momentum:.7}").parse().unwrap_or(momentum);
        let layer = BatchNorm::new().eps(node.float("epsilon", 1e-5)?);
        chain.push::<T>(node, AnyLayer::BatchNorm(layer.momentum(momentum)))?;
        for (tensor, otherwise) in [(&scale, T::one()), (&shift, T::zero())] {
            self.vector(node, Some(tensor), &[units], otherwise)?;
        }
        self.statistics(node, [Some(&mean), Some(&variance)], &[units])
    }

    /// Adds the running statistics of a batch norm, by default those that change nothing.
    fn statistics(
        &mut self,
        node: &Node<'_>,
        of: [Option<&Constant<'_>>; 2],
        dims: &[usize],
    ) -> Done {
        let otherwise = [T::zero(), T::one() - real(norms::EXACT_EPS)];
        let least = [f64::NEG_INFINITY, 0.0];
        for ((tensor, otherwise), least) in of.into_iter().zip(otherwise).zip(least) {
            let start = self.state.len();
            let end = self.end(start, product(dims))?;
            resize(&mut self.state, "the state", (end, 1), otherwise)?;
            if let Some(tensor) = tensor {
                let numbers = &mut self.state[start..];
                fill(node, tensor, dims, numbers, self.options, least)?;
            }
        }
        Ok(())
    }

    /// Adds (x − offset) · scale, which scikit-learn has for its scalers, as a batch norm.
    fn scaler(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let norm = Norm {
            kind: norms::Kind::Batch {
                mean: node.constant("offset")?,
                variance: None,
            },
            eps: norms::EXACT_EPS,
            scale: node.constant("scale")?,
            divides: false,
            shift: None,
            start: 0,
            rank: 0,
        };
        self.norm(chain, node, &norm)
    }

    fn norm_of_runs(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let first = from_end(node.int("axis", -1)?, chain.rank()).filter(|&axis| axis > 0);
        let first =
            first.ok_or_else(|| refused(node, "it normalises along the axis of the examples"))?;
        let is_rms = node.is("RMSNormalization");
        let Some(scale) = self.graph.constant(node, 1) else {
            return Err(refused(node, "its scale is not a constant"));
        };
        let shift = match self.graph.operand(node, 2) {
            Value::Absent => None,
            Value::Constant(shift) if !is_rms => Some(*shift),
            _ => return Err(refused(node, "its bias is not a constant")),
        };
        let axes: Vec<i64> = (first as i64..chain.rank() as i64).collect();
        let norm = Norm {
            kind: if is_rms {
                norms::Kind::RootMeanSquare(axes)
            } else {
                norms::Kind::Layer(axes)
            },
            eps: node.float("epsilon", 1e-5)?,
            scale: Some(scale),
            divides: false,
            shift,
            start: 0,
            rank: 0,
        };
        self.norm(chain, node, &norm)
    }

    pub(super) fn norm(&mut self, chain: &mut Chain, node: &Node<'_>, norm: &Norm<'_>) -> Done {
        if chain.is_transposed {
            return Err(refused(node, NOT_FIRST));
        }
        let rank = chain.rank();
        if norm.rank() > rank {
            return Err(refused(node, MORE_AXES));
        }
        let is_affine = norm.scale.is_some() || norm.shift.is_some();
        let (layer, dims) = match &norm.kind {
            norms::Kind::Batch { .. } => {
                let layer = BatchNorm::new().eps(norm.eps).affine(is_affine);
                // The axis of the units, and those after it.
                let dims = match chain.shape {
                    Shape::Units(units) => vec![units],
                    Shape::Sequence { features, .. } => vec![features],
                    Shape::Signal { channels, .. } => vec![channels, 1],
                    Shape::Image { channels, .. } => vec![channels, 1, 1],
                };
                (AnyLayer::BatchNorm(layer), dims)
            }
            norms::Kind::Layer(axes) | norms::Kind::RootMeanSquare(axes) => {
                let mut found: Vec<_> = axes.iter().map(|&axis| from_end(axis, rank)).collect();
                found.sort_unstable();
                let first = rank.saturating_sub(found.len());
                let expected = (first..rank).map(Some);
                if found.is_empty() || first == 0 || !found.iter().copied().eq(expected) {
                    return Err(refused(
                        node,
                        "its axes are not the last ones of an example",
                    ));
                }
                let (axes, eps) = (found.len(), norm.eps);
                let layer = match &norm.kind {
                    norms::Kind::Layer(_) => {
                        let layer = LayerNorm::new().axes(axes).eps(eps);
                        AnyLayer::LayerNorm(layer.affine(is_affine))
                    }
                    _ => AnyLayer::RmsNorm(RmsNorm::new().axes(axes).eps(eps).affine(is_affine)),
                };
                (layer, chain.shape.last_sizes(axes))
            }
        };
        let has_shift = !matches!(layer, AnyLayer::RmsNorm(_));
        chain.push::<T>(node, layer)?;
        if is_affine {
            let start = self.theta.len();
            self.vector(node, norm.scale.as_ref(), &dims, T::one())?;
            if norm.divides {
                invert(node, &mut self.theta[start..])?;
            }
            if has_shift {
                self.vector(node, norm.shift.as_ref(), &dims, T::zero())?;
            }
        }
        match &norm.kind {
            norms::Kind::Batch { mean, variance } => {
                self.statistics(node, [mean.as_ref(), variance.as_ref()], &dims)
            }
            _ => Ok(()),
        }
    }
}

/// Replaces divisors by factors.
fn invert<T: FileScalar>(node: &Node<'_>, divisors: &mut [T]) -> Done {
    for number in divisors {
        *number = T::one() / *number;
        if !number.is_finite() {
            return Err(refused(node, "1 over an entry of its divisor is infinite"));
        }
    }
    Ok(())
}

/// Returns weights as outputs × inputs.
fn matrix<'a>(
    node: &Node<'_>,
    weights: Constant<'a>,
    is_transposed: bool,
) -> Result<Constant<'a>, InterchangeError> {
    let order = if is_transposed { [1, 0] } else { [0, 1] };
    let matrix = weights.transposed(&order);
    matrix.ok_or_else(|| refused(node, "its weights are not a matrix"))
}
