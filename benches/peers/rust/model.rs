//! Rows from files, on the tensors of a library.

use crate::common::{Options, Records, Timing};
use crate::spec::{Block, Data, Head, Layer, Spec, Values};
use std::hint::black_box;
use std::ops::Range;

/// The operations of a library. Matrices have one example, or one step of an example, per row.
pub trait Library: Sized {
    type Matrix: Clone;
    type Scalar;
    type Gradients;

    /// For `f32` or `f64`, with gradients or without.
    fn new(dtype: &str, train: bool) -> Self;
    fn constant(&self, values: &[f64], shape: [usize; 2]) -> Result<Self::Matrix, String>;
    fn parameter(&self, values: &[f64], shape: [usize; 2]) -> Result<Self::Matrix, String>;

    /// X W + b. W is inputs × units, and b is a row.
    fn affine(&self, x: Self::Matrix, wb: [&Self::Matrix; 2]) -> Result<Self::Matrix, String>;
    /// Elementwise, or the softmax of each row.
    fn activation(&self, name: &str, z: Self::Matrix) -> Result<Self::Matrix, String>;
    fn add(&self, a: Self::Matrix, b: Self::Matrix) -> Result<Self::Matrix, String>;
    fn reshape(&self, x: Self::Matrix, shape: [usize; 2]) -> Result<Self::Matrix, String>;
    /// Swaps the two axes that each row holds.
    fn transpose(&self, x: Self::Matrix, axes: [usize; 2]) -> Result<Self::Matrix, String>;
    fn columns(&self, x: Self::Matrix, columns: Range<usize>) -> Result<Self::Matrix, String>;
    fn join(&self, columns: Vec<Self::Matrix>) -> Result<Self::Matrix, String>;

    /// Σ cost over all rows, from z before the activation that is its partner.
    fn cost(&self, name: &str, z: Self::Matrix, y: &Self::Matrix) -> Result<Self::Scalar, String>;
    fn squares(&self, x: &Self::Matrix) -> Result<Self::Scalar, String>;
    /// Σ factor · scalar.
    fn total(&self, terms: Vec<(Self::Scalar, f64)>) -> Result<Self::Scalar, String>;
    fn backward(&self, loss: &Self::Scalar) -> Result<Self::Gradients, String>;
    fn gradient(
        &self,
        gradients: &Self::Gradients,
        parameter: &Self::Matrix,
    ) -> Option<Self::Matrix>;

    fn number(&self, scalar: Self::Scalar) -> Result<f64, String>;
    fn numbers(&self, matrix: Self::Matrix) -> Result<Vec<f64>, String>;
}

/// Writes a record for each row from a file: times, or with `--values` the values.
pub fn records<L: Library>(
    name: &str,
    specs: &[Spec],
    (dtype, threads): (&str, usize),
    options: &Options,
    records: &mut Records,
) -> Result<(), String> {
    for spec in specs {
        let model = Model::<L>::new(spec, dtype);
        if options.values {
            match model.and_then(|model| model.values()) {
                Ok(values) => records.line(&values.record(name, spec, dtype).to_string())?,
                Err(error) => records.refuse(name, &spec.name, dtype, threads, &error)?,
            }
        } else {
            match model.and_then(|model| model.measure(options)) {
                Ok((check, timing)) => {
                    records.write(name, spec.label(), dtype, threads, check, &timing)?;
                }
                Err(error) => records.refuse(name, &spec.name, dtype, threads, &error)?,
            }
        }
    }
    Ok(())
}

/// Reads the files that the options name.
pub fn specs(options: &Options) -> Result<Vec<Spec>, String> {
    let files = options.files.iter();
    files.map(|(name, file)| Spec::read(name, file)).collect()
}

struct Model<'a, L: Library> {
    library: L,
    spec: &'a Spec,
    x: L::Matrix,
    /// The targets of each head.
    y: Vec<L::Matrix>,
    /// The parameters of each block.
    parameters: Vec<L::Matrix>,
}

/// Some columns of the outputs before their activation.
struct Part<'a, M> {
    columns: Range<usize>,
    /// The size of the last axis.
    last: usize,
    z: M,
    activation: &'a str,
}

impl<'a, L: Library> Model<'a, L> {
    fn new(spec: &'a Spec, dtype: &str) -> Result<Self, String> {
        let library = L::new(dtype, spec.train);
        let data = Data::new(spec)?;
        let target = |head: &Head| {
            let examples = data.y.chunks_exact(spec.outputs());
            let rows = examples.flat_map(|y| &y[head.rows.clone()]);
            let y: Vec<f64> = rows.copied().collect();
            library.constant(&y, [y.len() / head.classes, head.classes])
        };
        let parameter = |(block, values): (&Block, &Vec<f64>)| match block.shape[..] {
            [units, inputs] => library.parameter(&transposed(values, units), [inputs, units]),
            _ => library.parameter(values, [1, values.len()]),
        };
        let blocks = spec.blocks.iter().zip(&data.blocks);
        Ok(Self {
            x: library.constant(&data.x, [spec.batch, spec.inputs()])?,
            y: spec.heads.iter().map(target).collect::<Result<_, _>>()?,
            parameters: blocks.map(parameter).collect::<Result<_, _>>()?,
            library,
            spec,
        })
    }

    /// Layers in sequence, and the axes of their output.
    fn layers(
        &self,
        layers: &[Layer],
        x: L::Matrix,
        axes: &[usize],
    ) -> Result<(L::Matrix, Vec<usize>), String> {
        let mut pair = (x, axes.to_vec());
        for layer in layers {
            pair = self.layer(layer, pair.0, pair.1)?;
        }
        Ok(pair)
    }

    fn layer(
        &self,
        layer: &Layer,
        x: L::Matrix,
        mut axes: Vec<usize>,
    ) -> Result<(L::Matrix, Vec<usize>), String> {
        let library = &self.library;
        let output = match layer {
            Layer::Dense { block, activation } => {
                let z = self.affine(*block, x, &mut axes)?;
                self.activation(activation, z, &axes)?
            }
            Layer::Activation(g) => self.activation(g, x, &axes)?,
            Layer::Flatten => {
                axes = vec![axes.iter().product()];
                x
            }
            Layer::Transpose => {
                let x = library.transpose(x, [axes[0], axes[1]])?;
                axes.reverse();
                x
            }
            Layer::Select(range) => {
                axes = vec![range.len()];
                library.columns(x, range.clone())?
            }
            Layer::Residual { body, shortcut } => {
                let (sum, after) = self.layers(body, x.clone(), &axes)?;
                let x = match shortcut {
                    Some(shortcut) => self.layers(shortcut, x, &axes)?.0,
                    None => x,
                };
                axes = after;
                library.add(sum, x)?
            }
            Layer::Parallel { last, branches } => {
                let (mut parts, mut after) = (Vec::new(), Vec::<usize>::new());
                let axis = if *last { axes.len() - 1 } else { 0 };
                for branch in branches {
                    let (part, axes) = self.layers(branch, x.clone(), &axes)?;
                    let columns = if *last {
                        axes[axis]
                    } else {
                        axes.iter().product()
                    };
                    parts.push(self.reshape(part, &axes, columns)?);
                    if after.is_empty() {
                        after = axes;
                    } else {
                        after[axis] += axes[axis];
                    }
                }
                let columns = after.iter().product();
                axes = after;
                library.reshape(library.join(parts)?, [self.spec.batch, columns])?
            }
        };
        Ok((output, axes))
    }

    /// A matrix with this number of columns.
    fn reshape(&self, x: L::Matrix, axes: &[usize], columns: usize) -> Result<L::Matrix, String> {
        let entries: usize = axes.iter().product();
        if columns == entries {
            return Ok(x);
        }
        let rows = self.spec.batch * entries / columns;
        self.library.reshape(x, [rows, columns])
    }

    /// Z of a dense layer. `axes` become those of its output.
    fn affine(&self, block: usize, x: L::Matrix, axes: &mut [usize]) -> Result<L::Matrix, String> {
        let [.., last] = axes else {
            return Err("an input without axes".into());
        };
        let (inputs, steps) = (*last, axes.len() > 1);
        let x = self.reshape(x, axes, inputs)?;
        let wb = [&self.parameters[block], &self.parameters[block + 1]];
        let z = self.library.affine(x, wb)?;
        if let Some(last) = axes.last_mut() {
            *last = self.spec.blocks[block].shape[0];
        }
        if steps {
            let shape = [self.spec.batch, axes.iter().product()];
            return self.library.reshape(z, shape);
        }
        Ok(z)
    }

    fn activation(&self, name: &str, z: L::Matrix, axes: &[usize]) -> Result<L::Matrix, String> {
        if name == "softmax" && axes.len() > 1 {
            let rows = self.reshape(z, axes, axes[axes.len() - 1])?;
            let a = self.library.activation(name, rows)?;
            let shape = [self.spec.batch, axes.iter().product()];
            return self.library.reshape(a, shape);
        }
        self.library.activation(name, z)
    }

    /// The outputs in parts, each before its activation.
    fn parts(
        &self,
        layers: &'a [Layer],
        x: L::Matrix,
        axes: &[usize],
        parts: &mut Vec<Part<'a, L::Matrix>>,
    ) -> Result<(), String> {
        let start = parts.last().map_or(0, |part| part.columns.end);
        let (z, axes, activation) = match layers {
            [before @ .., Layer::Dense { block, activation }] => {
                let (x, mut axes) = self.layers(before, x, axes)?;
                (
                    self.affine(*block, x, &mut axes)?,
                    axes,
                    activation.as_str(),
                )
            }
            [before @ .., Layer::Activation(g)] => {
                let (z, axes) = self.layers(before, x, axes)?;
                (z, axes, g.as_str())
            }
            [before @ .., Layer::Parallel { branches, .. }] if self.spec.output.len() == 1 => {
                let (x, axes) = self.layers(before, x, axes)?;
                for branch in branches {
                    self.parts(branch, x.clone(), &axes, parts)?;
                }
                return Ok(());
            }
            _ => {
                let (a, axes) = self.layers(layers, x, axes)?;
                (a, axes, "identity")
            }
        };
        let columns = start..start + axes.iter().product::<usize>();
        let last = axes[axes.len() - 1];
        parts.push(Part {
            columns,
            last,
            z,
            activation,
        });
        Ok(())
    }

    fn all_parts(&self) -> Result<Vec<Part<'a, L::Matrix>>, String> {
        let mut parts = Vec::new();
        let spec = self.spec;
        self.parts(&spec.layers, self.x.clone(), &spec.input, &mut parts)?;
        Ok(parts)
    }

    fn outputs(&self) -> Result<L::Matrix, String> {
        let parts = self.all_parts()?.into_iter().map(|part| {
            let axes = [part.columns.len() / part.last, part.last];
            let axes = if axes[0] == 1 { &axes[1..] } else { &axes };
            self.activation(part.activation, part.z, axes)
        });
        let mut parts: Vec<_> = parts.collect::<Result<_, String>>()?;
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => self.library.join(parts),
        }
    }

    /// J.
    fn loss(&self) -> Result<L::Scalar, String> {
        let (parts, mut terms) = (self.all_parts()?, Vec::new());
        let m = self.spec.batch as f64;
        for (head, y) in self.spec.heads.iter().zip(&self.y) {
            let cost = head.cost.as_str();
            let same = |part: &&Part<_>| part.columns == head.rows;
            let Some(part) = parts.iter().find(same) else {
                return Err("a head that is not the outputs of one layer".into());
            };
            let pairs = [
                ("softmax", "cce"),
                ("sigmoid", "bce"),
                ("identity", "half_mse"),
            ];
            if !pairs.contains(&(part.activation, cost)) {
                return Err(format!("no {cost} after {} here", part.activation));
            }
            let z = self.reshape(part.z.clone(), &[head.rows.len()], head.classes)?;
            terms.push((self.library.cost(cost, z, y)?, head.weight / m));
        }
        if self.spec.lambda != 0.0 {
            let blocks = self.spec.blocks.iter().zip(&self.parameters);
            for (_, weights) in blocks.filter(|(block, _)| block.name == "weight") {
                let squares = self.library.squares(weights)?;
                terms.push((squares, self.spec.lambda / (2.0 * m)));
            }
        }
        self.library.total(terms)
    }

    /// J and its gradients.
    fn step(&self) -> Result<(f64, L::Gradients), String> {
        let loss = self.loss()?;
        let gradients = self.library.backward(&loss)?;
        for parameter in &self.parameters {
            black_box(self.library.gradient(&gradients, parameter).is_some());
        }
        Ok((self.library.number(loss)?, gradients))
    }

    fn values(&self) -> Result<Values, String> {
        let outputs = self.library.numbers(self.outputs()?)?;
        if !self.spec.train {
            let loss = self.library.number(self.loss()?)?;
            return Ok(Values {
                loss,
                outputs,
                gradient: Vec::new(),
            });
        }
        let (loss, gradients) = self.step()?;
        let block = |(block, parameter): (&Block, _)| {
            let Some(gradient) = self.library.gradient(&gradients, parameter) else {
                // No cost depends on it.
                return Ok(vec![0.0; block.shape.iter().product()]);
            };
            let values = self.library.numbers(gradient)?;
            Ok(match block.shape[..] {
                [_, inputs] => transposed(&values, inputs),
                _ => values,
            })
        };
        let blocks = self.spec.blocks.iter().zip(&self.parameters);
        let gradient = blocks.map(block).collect::<Result<_, String>>()?;
        Ok(Values {
            loss,
            outputs,
            gradient,
        })
    }

    /// J (or Σ a²/m) and the time.
    fn measure(&self, options: &Options) -> Result<(f64, Timing), String> {
        let (min_time, tries) = (options.min_time, options.tries);
        if self.spec.train {
            let (loss, _) = self.step()?;
            let step = || {
                black_box(self.step().is_ok());
            };
            return Ok((loss, Timing::of(min_time, tries, step)));
        }
        let outputs = self.library.numbers(self.outputs()?)?;
        let squares = outputs.iter().map(|a| a * a).sum::<f64>();
        let forward = || {
            black_box(self.outputs().is_ok());
        };
        let timing = Timing::of(min_time, tries, forward);
        Ok((squares / self.spec.batch as f64, timing))
    }
}

/// The transpose of a row-major matrix with this number of rows.
fn transposed(values: &[f64], rows: usize) -> Vec<f64> {
    let columns = values.len() / rows;
    let entry = |i| values[i % rows * columns + i / rows];
    (0..values.len()).map(entry).collect()
}
