//! Random trees of layers whose shapes fit.

use crate::support::custom_types::LowRank;
use crate::support::hidden_activations;
use backprop::activation::AnyActivation;
use backprop::layer::{
    Activate, AnyLayer, Axis, BatchNorm, Concat, Dense, Dropout, GaussianNoise, LayerNorm,
    Rearrange, Residual, RmsNorm, Sequential,
};
use backprop::rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng};
use backprop::{Network, Shape, rng};

/// ε of all norms, so large that J is smooth at the scale of differences.
pub(super) const EPS: f64 = 0.1;

pub(super) type Any = AnyLayer<LowRank<AnyActivation>>;
pub(super) type Net<T> = Network<T, Any>;

pub(super) fn sequence(layers: Vec<Any>) -> Sequential<Any> {
    Sequential::new(layers)
}

pub(super) fn concat(branches: Vec<Vec<Any>>, axis: Axis) -> Any {
    let branches = branches.into_iter().map(sequence).collect();
    Concat::new(branches, axis).into()
}

/// Draws trees from a stream of random numbers.
pub(super) struct Trees(Xoshiro256PlusPlus);

impl Trees {
    pub(super) fn new(seed: u64) -> Self {
        Self(rng(seed))
    }

    /// Less than `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    pub(super) fn chance(&mut self, part: usize, of: usize) -> bool {
        self.below(of) < part
    }

    /// From 1 to `n`.
    fn size(&mut self, n: usize) -> usize {
        1 + self.below(n)
    }

    pub(super) fn pick<E: Copy>(&mut self, from: &[E]) -> E {
        from[self.below(from.len())]
    }

    /// Uniform in \[−1, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn hidden(&mut self) -> AnyActivation {
        let all = hidden_activations();
        self.pick(&all)
    }

    fn axis(&mut self) -> Axis {
        self.pick(&[Axis::First, Axis::Last])
    }

    pub(super) fn input(&mut self) -> Shape {
        if self.chance(1, 2) {
            return Shape::Units(self.size(7));
        }
        Shape::Sequence {
            steps: self.size(4),
            features: self.size(4),
        }
    }

    /// Layers that end in plain units.
    pub(super) fn trunk(&mut self, input: Shape, depth: usize) -> (Vec<Any>, usize) {
        let (mut layers, shape) = self.layers(input, depth, true);
        if !matches!(shape, Shape::Units(_)) {
            layers.push(Rearrange::Flatten.into());
        }
        (layers, shape.len())
    }

    /// Up to 3 layers, at least one where containers may follow. Units cannot become a sequence
    /// again, so branches that must end in a sequence may not flatten.
    fn layers(&mut self, from: Shape, depth: usize, flatten: bool) -> (Vec<Any>, Shape) {
        let (mut layers, mut shape) = (Vec::new(), from);
        let least = usize::from(depth > 1);
        for _ in 0..least + self.below(4 - least) {
            let (layer, output) = if shape.len() > 14 {
                self.dense(shape, 3)
            } else {
                self.layer(shape, depth, flatten)
            };
            layers.push(layer);
            shape = output;
        }
        (layers, shape)
    }

    fn dense(&mut self, from: Shape, most: usize) -> (Any, Shape) {
        let units = self.size(most);
        let dense = Dense::new(from.last_axis(), units, self.hidden());
        (dense.into(), from.with_last_axis(units))
    }

    /// A norm, or a layer that is random in training.
    fn keeping_shape(&mut self) -> Any {
        match self.below(6) {
            0 => LayerNorm::new().eps(EPS).into(),
            1 => RmsNorm::new().eps(EPS).into(),
            2 => BatchNorm::new().eps(EPS).into(),
            3 => BatchNorm::new().eps(EPS).affine(false).cumulative().into(),
            4 => Dropout::new(0.4).into(),
            _ => GaussianNoise::new(0.3).into(),
        }
    }

    fn layer(&mut self, from: Shape, depth: usize, flatten: bool) -> (Any, Shape) {
        if self.chance(1, 4) {
            return (self.keeping_shape(), from);
        }
        let is_units = matches!(from, Shape::Units(_));
        let n = from.len();
        match self.below(if depth == 0 { 8 } else { 20 }) {
            0 => (Activate::new(self.hidden()).into(), from),
            1 if is_units && n > 1 => {
                let from = self.below(n - 1);
                let to = from + self.size(n - from);
                let select = Rearrange::Select { from, to };
                (select.into(), Shape::Units(to - from))
            }
            1 if !is_units => (Rearrange::Transpose.into(), transposed(from)),
            2 if is_units || flatten => (Rearrange::Flatten.into(), Shape::Units(n)),
            3 | 4 if is_units => {
                let (rank, outputs, activation) = (self.size(3), self.size(5), self.hidden());
                let layer = LowRank {
                    inputs: n,
                    rank,
                    outputs,
                    activation,
                };
                (Any::Custom(layer), Shape::Units(outputs))
            }
            8 | 9 => {
                let (layers, shape) = self.layers(from, depth - 1, flatten);
                (sequence(layers).into(), shape)
            }
            10..=14 => self.residual(from, depth - 1, flatten),
            15..=19 => self.concat(from, depth - 1, flatten),
            _ => self.dense(from, 5),
        }
    }

    fn residual(&mut self, from: Shape, depth: usize, flatten: bool) -> (Any, Shape) {
        let identity = || sequence(Vec::new());
        let residual = match self.below(6) {
            0 => Residual::new(identity()),
            1 | 2 => Residual::new(self.branch(from, from, depth)),
            3 => Residual::with_shortcut(self.branch(from, from, depth), identity()),
            4 => Residual::with_shortcut(identity(), self.branch(from, from, depth)),
            _ => {
                let (mut body, mut to) = self.layers(from, depth, flatten);
                if body.is_empty() {
                    let (dense, shape) = self.dense(from, 5);
                    body.push(dense);
                    to = shape;
                }
                let shortcut = self.branch(from, to, depth);
                let residual = Residual::with_shortcut(sequence(body), shortcut);
                return (residual.into(), to);
            }
        };
        (residual.into(), from)
    }

    fn concat(&mut self, from: Shape, depth: usize, flatten: bool) -> (Any, Shape) {
        let axis = self.axis();
        let size = |shape: Shape| match axis {
            Axis::First => shape.first_axis(),
            Axis::Last => shape.last_axis(),
        };
        let resized = |shape: Shape, size| match axis {
            Axis::First => shape.with_first_axis(size),
            Axis::Last => shape.with_last_axis(size),
        };
        let (first, shape) = if self.chance(1, 3) {
            (Vec::new(), from)
        } else {
            self.layers(from, depth, flatten)
        };
        let (mut branches, mut total) = (vec![first], size(shape));
        for _ in 0..self.below(6).div_ceil(2) {
            let fits = resized(from, 0) == resized(shape, 0);
            if fits && self.chance(1, 4) {
                branches.push(Vec::new());
                total += size(from);
                continue;
            }
            let to = self.size(3);
            let branch = self.branch(from, resized(shape, to), depth);
            branches.push(branch.layers().to_vec());
            total += to;
        }
        if self.chance(1, 2) {
            branches.reverse();
        }
        (concat(branches, axis), resized(shape, total))
    }

    /// Layers from one shape to another.
    fn branch(&mut self, from: Shape, to: Shape, depth: usize) -> Sequential<Any> {
        let flatten = matches!(to, Shape::Units(_));
        let (mut layers, mut at) = self.layers(from, depth, flatten);
        if flatten && !matches!(at, Shape::Units(_)) {
            layers.push(Rearrange::Flatten.into());
            at = Shape::Units(at.len());
        }
        if std::mem::discriminant(&at) != std::mem::discriminant(&to) {
            layers.push(Rearrange::Transpose.into());
            at = transposed(at);
        }
        if at.last_axis() != to.last_axis() || self.chance(1, 3) {
            let dense = Dense::new(at.last_axis(), to.last_axis(), self.hidden());
            layers.push(dense.into());
        }
        if at.first_axis() != to.first_axis() && !flatten {
            let dense = Dense::new(at.first_axis(), to.first_axis(), self.hidden());
            let transpose = || Rearrange::Transpose.into();
            layers.extend([transpose(), dense.into(), transpose()]);
        }
        sequence(layers)
    }
}

/// The shape of a sequence or a signal with its axes swapped.
pub(super) fn transposed(shape: Shape) -> Shape {
    match shape {
        Shape::Sequence { steps, features } => Shape::Signal {
            channels: features,
            length: steps,
        },
        Shape::Signal { channels, length } => Shape::Sequence {
            steps: length,
            features: channels,
        },
        other => panic!("{other} has no two axes"),
    }
}
