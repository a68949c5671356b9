//! What a tree of layers means, written out for one example at a time: outputs, J, and the blocks
//! of parameters with their paths.

use super::cost_of_example;
use super::random::Case;
use super::trees::{Any, EPS, transposed};
use backprop::activation::{Activation, AnyActivation};
use backprop::layer::{AnyLayer, Axis, Dense, Layer, Rearrange, Sequential, Site};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, convert};
use backprop::{Scalar, Shape};

/// One example between two layers.
#[derive(Clone, Debug)]
struct Tensor<T> {
    shape: Shape,
    entries: Vec<T>,
}

/// A walk through the layers, which takes their parameters off the front of θ.
struct Walk<'a, T> {
    theta: &'a [T],
    state: &'a [f64],
    path: Vec<usize>,
    /// The output of every layer, by its path.
    seen: Vec<(Vec<usize>, Vec<T>)>,
}

impl<'a, T: Scalar> Walk<'a, T> {
    fn new(theta: &'a [T], state: &'a [f64]) -> Self {
        Self {
            theta,
            state,
            path: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn take(&mut self, len: usize) -> &'a [T] {
        let (taken, rest) = self.theta.split_at(len);
        self.theta = rest;
        taken
    }

    /// Takes the next numbers of the state.
    fn take_state(&mut self, len: usize) -> &'a [f64] {
        let (taken, rest) = self.state.split_at(len);
        self.state = rest;
        taken
    }

    /// Computes the output of the layer or branch `index` of the present one.
    fn inside(&mut self, index: usize, run: impl FnOnce(&mut Self) -> Tensor<T>) -> Tensor<T> {
        self.path.push(index);
        let output = run(self);
        self.seen.push((self.path.clone(), output.entries.clone()));
        self.path.pop();
        output
    }

    fn branch(&mut self, index: usize, branch: &Sequential<Any>, x: &Tensor<T>) -> Tensor<T> {
        self.inside(index, |walk| in_sequence(branch.layers(), x.clone(), walk))
    }
}

fn units_of(dense: &Dense, input: Shape) -> usize {
    let plan = Layer::<f64>::plan(dense, Site::new(input)).unwrap();
    plan.output().last_axis()
}

/// Applies an activation along the last axis.
fn activated<T: Scalar>(g: AnyActivation, x: Tensor<T>) -> Tensor<T> {
    let units = x.shape.last_axis();
    let mut entries = x.entries.clone();
    for (z, a) in x.entries.chunks(units).zip(entries.chunks_mut(units)) {
        let z = DMatrixView::from_slice(z, units, 1);
        g.forward(z, DMatrixViewMut::from_slice(a, units, 1));
    }
    Tensor {
        shape: x.shape,
        entries,
    }
}

/// \[b W\] \[1; x\] of each position, from \[b W\] in column-major order.
fn affine<T: Scalar>(theta: &[T], units: usize, x: &Tensor<T>) -> Tensor<T> {
    let mut entries = Vec::new();
    for x in x.entries.chunks(x.shape.last_axis()) {
        for unit in 0..units {
            let terms = x.iter().enumerate();
            let terms = terms.map(|(j, &x)| theta[(j + 1) * units + unit] * x);
            entries.push(terms.fold(theta[unit], |sum, term| sum + term));
        }
    }
    Tensor {
        shape: x.shape.with_last_axis(units),
        entries,
    }
}

/// The number of channels of a batch norm, and the distance between two of one position.
fn channels(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Units(units) => (units, 1),
        Shape::Sequence { features, .. } => (features, 1),
        Shape::Signal { channels, length } => (channels, length),
        other => panic!("{other} is not in these networks"),
    }
}

/// (x − μ)/√(σ² + ε) · γ + β along the last axis, or x/√(mean of x² + ε) · γ.
fn normalised<T: Scalar>(x: Tensor<T>, is_rms: bool, gamma: &[T], beta: &[T]) -> Tensor<T> {
    let n = x.shape.last_axis();
    let mean = |x: &mut dyn Iterator<Item = T>| -> T {
        x.fold(T::zero(), |sum, x| sum + x) / convert(n as f64)
    };
    let mut entries = Vec::new();
    for x in x.entries.chunks(n) {
        let center = if is_rms {
            T::zero()
        } else {
            mean(&mut x.iter().copied())
        };
        let square = mean(&mut x.iter().map(|&x| (x - center) * (x - center)));
        let by = T::one() / (square + convert(EPS)).sqrt();
        let normal = x.iter().enumerate().map(|(i, &x)| {
            let a = (x - center) * by * gamma[i];
            beta.get(i).map_or(a, |&beta| a + beta)
        });
        entries.extend(normal);
    }
    Tensor { entries, ..x }
}

fn in_sequence<T: Scalar>(layers: &[Any], x: Tensor<T>, walk: &mut Walk<'_, T>) -> Tensor<T> {
    let layers = layers.iter().enumerate();
    layers.fold(x, |x, (i, layer)| {
        walk.inside(i, |walk| output(layer, x, walk))
    })
}

fn output<T: Scalar>(layer: &Any, x: Tensor<T>, walk: &mut Walk<'_, T>) -> Tensor<T> {
    match layer {
        AnyLayer::Dense(dense) => {
            let units = units_of(dense, x.shape);
            let block = walk.take(units * (x.shape.last_axis() + 1));
            activated(*dense.activation(), affine(block, units, &x))
        }
        AnyLayer::Custom(layer) => {
            let v = walk.take(layer.rank * layer.inputs);
            let h = (0..layer.rank).map(|i| {
                let terms = x.entries.iter().enumerate();
                let terms = terms.map(|(j, &x)| v[j * layer.rank + i] * x);
                terms.fold(T::zero(), |sum, term| sum + term)
            });
            let h = Tensor {
                shape: Shape::Units(layer.rank),
                entries: h.collect(),
            };
            let b_u = walk.take(layer.outputs * (layer.rank + 1));
            activated(layer.activation, affine(b_u, layer.outputs, &h))
        }
        AnyLayer::Activate(layer) => activated(*layer.activation(), x),
        AnyLayer::Rearrange(Rearrange::Flatten) => Tensor {
            shape: Shape::Units(x.entries.len()),
            ..x
        },
        AnyLayer::Rearrange(Rearrange::Select { from, to }) => Tensor {
            shape: Shape::Units(to - from),
            entries: x.entries[*from..*to].to_vec(),
        },
        AnyLayer::Rearrange(_) => {
            let (rows, cols) = (x.shape.first_axis(), x.shape.last_axis());
            let entries = (0..cols).flat_map(|j| (0..rows).map(move |i| i * cols + j));
            Tensor {
                shape: transposed(x.shape),
                entries: entries.map(|at| x.entries[at]).collect(),
            }
        }
        AnyLayer::LayerNorm(_) | AnyLayer::RmsNorm(_) => {
            let n = x.shape.last_axis();
            let is_rms = matches!(layer, AnyLayer::RmsNorm(_));
            let gamma = walk.take(n);
            let beta = if is_rms { &[][..] } else { walk.take(n) };
            normalised(x, is_rms, gamma, beta)
        }
        AnyLayer::BatchNorm(norm) => {
            let (axis, stride) = channels(x.shape);
            let is_affine = norm.is_affine();
            let gamma = walk.take(if is_affine { axis } else { 0 });
            let beta = walk.take(if is_affine { axis } else { 0 });
            let (mean, variance) = (walk.take_state(axis), walk.take_state(axis));
            walk.take_state(if is_affine { 0 } else { 1 });
            let entries = x.entries.iter().enumerate().map(|(i, &entry)| {
                let c = i / stride % axis;
                let by: T = convert(1.0 / (variance[c] + EPS).sqrt());
                let a = (entry - convert(mean[c])) * by;
                if is_affine { gamma[c] * a + beta[c] } else { a }
            });
            Tensor {
                entries: entries.collect(),
                ..x
            }
        }
        // Outside training, they pass their inputs on.
        AnyLayer::Dropout(_) | AnyLayer::GaussianNoise(_) => x,
        AnyLayer::Sequential(inner) => in_sequence(inner.layers(), x, walk),
        AnyLayer::Residual(residual) => {
            let body = walk.branch(0, residual.body(), &x);
            let shortcut = match residual.shortcut() {
                Some(shortcut) => walk.branch(1, shortcut, &x),
                None => x,
            };
            let sums = body.entries.iter().zip(&shortcut.entries);
            Tensor {
                entries: sums.map(|(&a, &b)| a + b).collect(),
                ..body
            }
        }
        AnyLayer::Concat(concat) => {
            let branches = concat.branches().iter().enumerate();
            let branches = branches.map(|(i, branch)| walk.branch(i, branch, &x));
            joined(&branches.collect::<Vec<_>>(), concat.axis())
        }
        other => panic!("{other:?} is not in these networks"),
    }
}

/// One after the other along an axis. The last axis runs fastest, so rows of all branches alternate
/// along it.
fn joined<T: Scalar>(branches: &[Tensor<T>], axis: Axis) -> Tensor<T> {
    let shape = branches[0].shape;
    let shapes: Vec<Shape> = branches.iter().map(|branch| branch.shape).collect();
    let run: fn(Shape) -> usize = match axis {
        Axis::First => Shape::len,
        Axis::Last => Shape::last_axis,
    };
    let rows = shape.len() / run(shape);
    let rows = (0..rows).flat_map(|row| branches.iter().map(move |branch| (row, branch)));
    let entries = rows.flat_map(|(row, branch)| {
        let run = run(branch.shape);
        branch.entries[row * run..][..run].iter().copied()
    });
    Tensor {
        shape: joined_shape(&shapes, axis),
        entries: entries.collect(),
    }
}

fn joined_shape(shapes: &[Shape], axis: Axis) -> Shape {
    match axis {
        Axis::First => shapes[0].with_first_axis(shapes.iter().map(|s| s.first_axis()).sum()),
        Axis::Last => shapes[0].with_last_axis(shapes.iter().map(|s| s.last_axis()).sum()),
    }
}

/// The outputs of a case's network at a θ and X.
pub(super) fn outputs<T: Scalar>(case: &Case, theta: &[T], x: &DMatrix<T>) -> DMatrix<T> {
    let mut all = Vec::new();
    for example in 0..x.ncols() {
        all.extend(one_output(case, theta, (x, example)).0);
    }
    DMatrix::from_vec(case.network.outputs(), x.ncols(), all)
}

/// The outputs for one example, and the outputs of all layers by their paths.
#[allow(clippy::type_complexity, reason = "a list by path")]
pub(super) fn one_output<T: Scalar>(
    case: &Case,
    theta: &[T],
    (x, example): (&DMatrix<T>, usize),
) -> (Vec<T>, Vec<(Vec<usize>, Vec<T>)>) {
    let mut walk = Walk::new(theta, case.network.state().as_slice());
    let x = Tensor {
        shape: case.input,
        entries: x.column(example).iter().copied().collect(),
    };
    let output = in_sequence(case.network.layers(), x, &mut walk);
    assert!(walk.theta.is_empty() && walk.state.is_empty());
    (output.entries, walk.seen)
}

/// J of a case at a θ and X, with the cost computed from the outputs alone.
pub(super) fn cost<T: Scalar>(case: &Case, theta: &[T], x: &DMatrix<T>) -> T {
    let a = outputs(case, theta, x);
    let (mut sum, mut m) = (T::zero(), 0.0);
    for (k, a) in a.column_iter().enumerate() {
        let a = DMatrix::from_column_slice(a.len(), 1, a.as_slice());
        let value = cost_of_example(case, k, None, &a);
        sum += value * convert(case.weight(k));
        m += case.weight(k);
    }
    let mut walk = Walk::new(theta, &[]);
    for place in blocks(case.network.layers(), case.input) {
        let block = walk.take(place.rows * place.cols);
        let penalised = block[place.rows * place.biases..].iter();
        let squares = penalised.fold(T::zero(), |sum, &w| sum + w * w);
        sum += squares * convert(0.5 * strength(case, &place));
    }
    sum / convert(m)
}

/// λ₂ of a block: that of the last rule that names the block, its layer, or one around it.
fn strength(case: &Case, place: &Place) -> f64 {
    let rules = case.rules.iter().rev();
    let mut named = rules.filter(|(path, block, _)| match block {
        Some(block) => *path == place.path && *block == place.index,
        None => place.path.starts_with(path),
    });
    named.next().map_or(case.lambda, |rule| rule.2)
}

/// A block of parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) path: Vec<usize>,
    /// Its index in its layer.
    pub(super) index: usize,
    pub(super) name: &'static str,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// The first columns that no penalty acts on.
    pub(super) biases: usize,
}

/// The blocks of layers in sequence, in the order of θ.
pub(super) fn blocks(layers: &[Any], input: Shape) -> Vec<Place> {
    let mut found = Vec::new();
    walk(layers, input, &[], &mut found);
    found
}

/// Adds the blocks of layers at a path, and returns the shape of the output.
fn walk(layers: &[Any], input: Shape, path: &[usize], found: &mut Vec<Place>) -> Shape {
    let mut shape = input;
    for (i, layer) in layers.iter().enumerate() {
        let path = [path, &[i]].concat();
        let mut add = |index, name, (rows, cols), biases| {
            let path = path.clone();
            found.push(Place {
                path,
                index,
                name,
                rows,
                cols,
                biases,
            });
        };
        shape = match layer {
            AnyLayer::Dense(dense) => {
                let units = units_of(dense, shape);
                add(0, "Θ", (units, shape.last_axis() + 1), 1);
                shape.with_last_axis(units)
            }
            AnyLayer::Custom(layer) => {
                add(0, "V", (layer.rank, layer.inputs), 0);
                add(1, "U", (layer.outputs, layer.rank + 1), 1);
                Shape::Units(layer.outputs)
            }
            AnyLayer::LayerNorm(_) | AnyLayer::RmsNorm(_) => {
                let n = shape.last_axis();
                add(0, "γ", (n, 1), 1);
                if matches!(layer, AnyLayer::LayerNorm(_)) {
                    add(1, "β", (n, 1), 1);
                }
                shape
            }
            AnyLayer::BatchNorm(norm) => {
                let n = if norm.is_affine() {
                    channels(shape).0
                } else {
                    0
                };
                if n > 0 {
                    add(0, "γ", (n, 1), 1);
                    add(1, "β", (n, 1), 1);
                }
                shape
            }
            AnyLayer::Activate(_) | AnyLayer::Dropout(_) | AnyLayer::GaussianNoise(_) => shape,
            AnyLayer::Rearrange(Rearrange::Flatten) => Shape::Units(shape.len()),
            AnyLayer::Rearrange(Rearrange::Select { from, to }) => Shape::Units(to - from),
            AnyLayer::Rearrange(_) => transposed(shape),
            AnyLayer::Sequential(inner) => walk(inner.layers(), shape, &path, found),
            AnyLayer::Residual(residual) => {
                let branches = [Some(residual.body()), residual.shortcut()];
                let branches: Vec<_> = branches.into_iter().flatten().collect();
                walk_branches(&branches, shape, &path, found)[0]
            }
            AnyLayer::Concat(concat) => {
                let branches: Vec<_> = concat.branches().iter().collect();
                let shapes = walk_branches(&branches, shape, &path, found);
                joined_shape(&shapes, concat.axis())
            }
            other => panic!("{other:?} is not in these networks"),
        };
    }
    shape
}

fn walk_branches(
    branches: &[&Sequential<Any>],
    input: Shape,
    path: &[usize],
    found: &mut Vec<Place>,
) -> Vec<Shape> {
    let branches = branches.iter().enumerate();
    let shapes = branches.map(|(i, branch)| {
        let path = [path, &[i]].concat();
        walk(branch.layers(), input, &path, found)
    });
    shapes.collect()
}
