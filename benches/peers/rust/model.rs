//! Rows from files, on the tensors of a library.

mod library;

pub use library::{Affine, Library};

use crate::common::{Options, Records, Timing};
use crate::spec::{Block, Data, Head, Kind, Layer, Spec, State, Values};
use std::cell::RefCell;
use std::hint::black_box;
use std::ops::Range;

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
            match model.and_then(|mut model| model.measure(options)) {
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
    /// The ids that each embedding reads.
    ids: Vec<L::Ids>,
    states: RefCell<Vec<L::State>>,
    /// The mask of each dropout.
    masks: Vec<L::Matrix>,
    /// Whether the library draws other masks.
    draws: bool,
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
            [units, inputs] if block.kind == Kind::Weights => {
                library.parameter(&transposed(values, units), [inputs, units])
            }
            [entries, features] => library.parameter(values, [entries, features]),
            _ => library.parameter(values, [1, values.len()]),
        };
        let parts = &spec.parts;
        let blocks = parts.blocks.iter().zip(&data.blocks);
        let ids = parts.ids.iter().map(|ids| {
            let examples = data.x.chunks_exact(spec.inputs());
            let rows = examples.flat_map(|x| &x[ids.rows.clone()]);
            let ids: Vec<f64> = rows.copied().collect();
            library.ids(&ids, [spec.batch, ids.len() / spec.batch])
        });
        let masks = parts.masks.iter().zip(&data.masks);
        let mut model = Self {
            x: library.constant(&data.x, [spec.batch, spec.inputs()])?,
            y: spec.heads.iter().map(target).collect::<Result<_, _>>()?,
            parameters: blocks.map(parameter).collect::<Result<_, _>>()?,
            ids: ids.collect::<Result<_, _>>()?,
            states: RefCell::default(),
            masks: masks
                .map(|(mask, kept)| library.constant(kept, [spec.batch, mask.entries]))
                .collect::<Result<_, _>>()?,
            draws: false,
            library,
            spec,
        };
        model.states = RefCell::new(model.start()?);
        Ok(model)
    }

    /// The state at the start.
    fn start(&self) -> Result<Vec<L::State>, String> {
        let states = self.spec.parts.states.iter();
        let state = |state: &State| self.library.state(state, self.scales(state.norm.affine));
        states.map(state).collect()
    }

    /// γ and β.
    fn scales(&self, affine: Option<[usize; 2]>) -> Affine<'_, L> {
        affine.map(|blocks| blocks.map(|block| &self.parameters[block]))
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
            Layer::Dense {
                weights,
                bias,
                activation,
            } => {
                let z = self.affine(*weights, *bias, x, &mut axes)?;
                self.activation(activation, z, &axes)?
            }
            Layer::Embedding { table, ids } => {
                let parts = &self.spec.parts;
                axes = vec![parts.ids[*ids].rows.len(), parts.blocks[*table].shape[1]];
                library.embedding(&self.ids[*ids], &self.parameters[*table])?
            }
            Layer::BatchNorm { norm, state } => {
                let state = &mut self.states.borrow_mut()[*state];
                library.batch_norm(x, state, self.scales(norm.affine))?
            }
            Layer::Norm(norm) => {
                let x = self.reshape(x, &axes, axes[axes.len() - 1])?;
                let a = library.layer_norm(x, norm.eps, self.scales(norm.affine))?;
                self.flat(a, &axes)?
            }
            Layer::Dropout(_) if !self.spec.train => x,
            Layer::Dropout(mask) => {
                let p = self.spec.parts.masks[*mask].p;
                if self.draws {
                    library.dropout(x, p)?
                } else {
                    library.masked(x, &self.masks[*mask], p)?
                }
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

    /// A matrix with one example per row, from one with one step per row.
    fn flat(&self, x: L::Matrix, axes: &[usize]) -> Result<L::Matrix, String> {
        if axes.len() == 1 {
            return Ok(x);
        }
        let shape = [self.spec.batch, axes.iter().product()];
        self.library.reshape(x, shape)
    }

    /// Z of a dense layer. `axes` become those of its output.
    fn affine(
        &self,
        weights: usize,
        bias: Option<usize>,
        x: L::Matrix,
        axes: &mut [usize],
    ) -> Result<L::Matrix, String> {
        let [.., inputs] = *axes else {
            return Err("an input without axes".into());
        };
        let x = self.reshape(x, axes, inputs)?;
        let bias = bias.map(|bias| &self.parameters[bias]);
        let z = self.library.affine(x, &self.parameters[weights], bias)?;
        if let Some(last) = axes.last_mut() {
            *last = self.spec.parts.blocks[weights].shape[0];
        }
        self.flat(z, axes)
    }

    fn activation(&self, name: &str, z: L::Matrix, axes: &[usize]) -> Result<L::Matrix, String> {
        if name == "softmax" && axes.len() > 1 {
            let rows = self.reshape(z, axes, axes[axes.len() - 1])?;
            let a = self.library.activation(name, rows)?;
            return self.flat(a, axes);
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
            [
                before @ ..,
                Layer::Dense {
                    weights,
                    bias,
                    activation,
                },
            ] => {
                let (x, mut axes) = self.layers(before, x, axes)?;
                let z = self.affine(*weights, *bias, x, &mut axes)?;
                (z, axes, activation.as_str())
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
            let blocks = self.spec.parts.blocks.iter().zip(&self.parameters);
            for (_, weights) in blocks.filter(|(block, _)| block.kind.is_penalised()) {
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
        let mut values = Values {
            loss: 0.0,
            outputs: self.library.numbers(self.outputs()?)?,
            gradient: Vec::new(),
            state: Vec::new(),
        };
        if !self.spec.train {
            values.loss = self.library.number(self.loss()?)?;
            return Ok(values);
        }
        self.states.replace(self.start()?);
        let (loss, gradients) = self.step()?;
        values.loss = loss;
        for (block, parameter) in self.spec.parts.blocks.iter().zip(&self.parameters) {
            let gradient = self.library.gradient(&gradients, parameter);
            let entries = gradient.map(|gradient| self.library.numbers(gradient));
            let entries = match (entries.transpose()?, &block.shape[..]) {
                (Some(entries), [_, inputs]) if block.kind == Kind::Weights => {
                    transposed(&entries, *inputs)
                }
                (Some(entries), _) => entries,
                // No cost depends on it.
                (None, shape) => vec![0.0; shape.iter().product()],
            };
            values.gradient.push(entries);
        }
        for state in self.states.borrow().iter() {
            values.state.extend(self.library.numbers_of(state)?);
        }
        Ok(values)
    }

    /// J with the given masks (or Σ a²/m) and the time.
    fn measure(&mut self, options: &Options) -> Result<(f64, Timing), String> {
        let (min_time, tries) = (options.min_time, options.tries);
        if self.spec.train {
            let (loss, _) = self.step()?;
            self.draws = true;
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
