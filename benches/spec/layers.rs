//! The layers of a row, and what they need: parameters, state, masks and ids.

use super::json::At;
use std::ops::Range;

/// A layer. Blocks are indices of [`Parts::blocks`].
#[derive(Debug)]
pub enum Layer {
    /// Acts on the last axis.
    Dense {
        weights: usize,
        bias: Option<usize>,
        activation: String,
    },
    /// Looks up ids of the examples: `ids` is an index of [`Parts::ids`].
    Embedding {
        table: usize,
        ids: usize,
    },
    /// Of each unit over the examples. `state` is an index of [`Parts::states`].
    BatchNorm {
        norm: Norm,
        state: usize,
    },
    /// A layer normalisation, over the last axis.
    Norm(Norm),
    /// The index of a mask in [`Parts::masks`].
    Dropout(usize),
    /// Elementwise, or softmax over the last axis.
    Activation(String),
    Flatten,
    /// Swaps two axes.
    Transpose,
    /// Some entries of one axis.
    Select(Range<usize>),
    /// body(x) + shortcut(x); without a shortcut, body(x) + x.
    Residual {
        body: Vec<Layer>,
        shortcut: Option<Vec<Layer>>,
    },
    /// Outputs one after the other along the first axis or the last.
    Parallel {
        last: bool,
        branches: Vec<Vec<Layer>>,
    },
}

/// A normalisation.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// The blocks of γ and β.
    pub affine: Option<[usize; 2]>,
    pub eps: f64,
}

/// A block of parameters.
#[derive(Debug)]
pub struct Block {
    /// The path of its layer, such as `2.body.1`.
    pub layer: String,
    pub kind: Kind,
    /// Units and inputs, entries and features, or units. The entries are in C order.
    pub shape: Vec<usize>,
}

/// What the parameters of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Weights,
    Bias,
    /// The vectors of an embedding.
    Table,
    /// γ.
    Scale,
    /// β.
    Shift,
}

impl Kind {
    pub fn is_penalised(self) -> bool {
        matches!(self, Self::Weights | Self::Table)
    }
}

/// The running mean and variance of a batch normalisation.
#[derive(Debug)]
pub struct State {
    pub units: usize,
    pub momentum: f64,
    pub norm: Norm,
}

/// The mask of a dropout.
#[derive(Debug)]
pub struct Mask {
    /// The path of its layer.
    pub layer: String,
    /// The number of entries for each example.
    pub entries: usize,
    /// The probability that an entry is dropped.
    pub p: f64,
}

/// The ids that an embedding reads.
#[derive(Debug)]
pub struct Ids {
    /// Their rows of X.
    pub rows: Range<usize>,
    /// The number of ids that exist.
    pub entries: usize,
}

/// What the layers need, in the order in which they name it.
#[derive(Debug)]
pub struct Parts {
    /// Whether the row is a training step.
    train: bool,
    pub blocks: Vec<Block>,
    pub states: Vec<State>,
    pub masks: Vec<Mask>,
    pub ids: Vec<Ids>,
}

/// What a layer reads.
#[derive(Clone, Debug)]
struct Input {
    axes: Vec<usize>,
    /// The rows of X, if the input consists of them.
    rows: Option<Range<usize>>,
}

impl Parts {
    /// Reads the layers of a row with inputs of this shape. Returns the axes of their output, too.
    pub fn read(
        at: &At<'_>,
        axes: &[usize],
        train: bool,
    ) -> Result<(Self, Vec<Layer>, Vec<usize>), String> {
        let mut parts = Self {
            train,
            blocks: Vec::new(),
            states: Vec::new(),
            masks: Vec::new(),
            ids: Vec::new(),
        };
        let rows = matches!(axes, [_]).then(|| 0..axes[0]);
        let axes = axes.to_vec();
        let (layers, axes) = parts.layers(at, "", Input { axes, rows })?;
        Ok((parts, layers, axes))
    }

    /// Reads layers in sequence, and returns the axes of their output.
    fn layers(
        &mut self,
        at: &At<'_>,
        path: &str,
        mut input: Input,
    ) -> Result<(Vec<Layer>, Vec<usize>), String> {
        let mut layers = Vec::new();
        for (i, at) in at.list()?.iter().enumerate() {
            let (layer, axes) = self.layer(at, &format!("{path}{i}"), &input)?;
            input.rows = match (&layer, input.rows) {
                (Layer::Flatten, rows) => rows,
                (Layer::Select(range), Some(rows)) => {
                    Some(rows.start + range.start..rows.start + range.end)
                }
                _ => None,
            };
            input.axes = axes;
            if matches!(layer, Layer::Embedding { .. }) {
                // The layers before it only moved its ids.
                layers.clear();
            }
            layers.push(layer);
        }
        Ok((layers, input.axes))
    }

    /// Adds a block, and returns its index.
    fn block(&mut self, layer: &str, kind: Kind, shape: Vec<usize>) -> usize {
        let layer = layer.to_owned();
        self.blocks.push(Block { layer, kind, shape });
        self.blocks.len() - 1
    }

    /// Adds the blocks of a normalisation.
    fn norm(&mut self, at: &At<'_>, path: &str, units: usize) -> Result<Norm, String> {
        let affine = at.get("affine")?.flag()?;
        Ok(Norm {
            affine: affine.then(|| {
                let mut block = |kind| self.block(path, kind, vec![units]);
                [block(Kind::Scale), block(Kind::Shift)]
            }),
            eps: at.get("eps")?.number()?,
        })
    }

    /// Fails if a layer is not in the mode of the row.
    fn check_mode(&self, at: &At<'_>) -> Result<(), String> {
        let mode = if self.train { "train" } else { "eval" };
        at.get("mode")?.check_text(mode)
    }

    fn layer(
        &mut self,
        at: &At<'_>,
        path: &str,
        input: &Input,
    ) -> Result<(Layer, Vec<usize>), String> {
        let kind = at.get("type")?;
        let only = |keys: &[&str]| at.check_keys(&[keys, &["type"]].concat());
        let mut axes = input.axes.clone();
        let Some(last) = axes.last_mut() else {
            return at.wrong("an input with an axis");
        };
        let layer = match kind.text()? {
            "dense" => {
                only(&["units", "activation", "bias"])?;
                let units = at.get("units")?.size()?;
                let weights = self.block(path, Kind::Weights, vec![units, *last]);
                let bias = at.get("bias")?.flag()?;
                let bias = bias.then(|| self.block(path, Kind::Bias, vec![units]));
                *last = units;
                Layer::Dense {
                    weights,
                    bias,
                    activation: at.get("activation")?.text()?.to_owned(),
                }
            }
            "embedding" => {
                only(&["entries", "dim"])?;
                let Some(rows) = input.rows.clone() else {
                    return at.wrong("an input of rows of X, which only flatten and select move");
                };
                let (entries, dim) = (at.get("entries")?.size()?, at.get("dim")?.size()?);
                let table = self.block(path, Kind::Table, vec![entries, dim]);
                self.ids.push(Ids { rows, entries });
                axes.push(dim);
                let ids = self.ids.len() - 1;
                Layer::Embedding { table, ids }
            }
            "batch_norm" => {
                only(&["eps", "momentum", "mode", "affine"])?;
                self.check_mode(at)?;
                let [units] = axes[..] else {
                    return at.wrong("an input with one axis");
                };
                let norm = self.norm(at, path, units)?;
                let momentum = at.get("momentum")?.number()?;
                self.states.push(State {
                    units,
                    momentum,
                    norm,
                });
                let state = self.states.len() - 1;
                Layer::BatchNorm { norm, state }
            }
            "layer_norm" => {
                only(&["shape", "eps", "affine"])?;
                let (shape, units) = (at.get("shape")?, *last);
                if shape.sizes()? != [units] {
                    return shape.wrong(&format!("the last axis, [{units}]"));
                }
                Layer::Norm(self.norm(at, path, units)?)
            }
            "dropout" => {
                only(&["p", "mode"])?;
                self.check_mode(at)?;
                self.masks.push(Mask {
                    layer: path.to_owned(),
                    entries: axes.iter().product(),
                    p: at.get("p")?.number()?,
                });
                Layer::Dropout(self.masks.len() - 1)
            }
            "activation" => {
                only(&["g"])?;
                Layer::Activation(at.get("g")?.text()?.to_owned())
            }
            "flatten" => {
                only(&[])?;
                axes = vec![axes.iter().product()];
                Layer::Flatten
            }
            "transpose" => {
                only(&[])?;
                if axes.len() != 2 {
                    return at.wrong("an input with two axes");
                }
                axes.reverse();
                Layer::Transpose
            }
            "select" => {
                only(&["from", "to"])?;
                let (from, to) = (at.get("from")?.index()?, at.get("to")?.index()?);
                let [rows] = axes[..] else {
                    return at.wrong("an input with one axis");
                };
                if from >= to || to > rows {
                    return at.wrong(&format!("from < to ≤ {rows}"));
                }
                axes = vec![to - from];
                Layer::Select(from..to)
            }
            "residual" => {
                only(&["body", "shortcut"])?;
                let (body, shortcut) = (at.get("body")?, at.get("shortcut")?);
                let (body, sum) = self.layers(&body, &format!("{path}.body."), input.clone())?;
                let (shortcut, other) = if shortcut.is_null() {
                    (None, axes)
                } else {
                    let path = format!("{path}.shortcut.");
                    let (shortcut, other) = self.layers(&shortcut, &path, input.clone())?;
                    (Some(shortcut), other)
                };
                if sum != other {
                    return at.wrong(&format!("equal shapes, found {sum:?} and {other:?}"));
                }
                axes = sum;
                Layer::Residual { body, shortcut }
            }
            "parallel" => {
                only(&["branches", "axis"])?;
                let (axis, list) = (at.get("axis")?, at.get("branches")?);
                let last = match axis.integer()? {
                    0 => false,
                    -1 => true,
                    _ => return axis.wrong("0 or -1"),
                };
                let (mut branches, mut shapes) = (Vec::new(), Vec::new());
                for (i, branch) in list.list()?.iter().enumerate() {
                    let path = format!("{path}.branches.{i}.");
                    let (branch, axes) = self.layers(branch, &path, input.clone())?;
                    branches.push(branch);
                    shapes.push(axes);
                }
                axes = match joined(&shapes, last) {
                    Some(axes) => axes,
                    None => return list.wrong(&format!("shapes to join, found {shapes:?}")),
                };
                Layer::Parallel { last, branches }
            }
            other => return kind.wrong(&format!("a layer of this crate, found {other:?}")),
        };
        Ok((layer, axes))
    }
}

/// Returns the axes of outputs that are put one after the other.
fn joined(shapes: &[Vec<usize>], last: bool) -> Option<Vec<usize>> {
    let mut shape = shapes.first()?.clone();
    let axis = if last { shape.len() - 1 } else { 0 };
    shape[axis] = 0;
    for other in shapes {
        let mut expected = shape.clone();
        *expected.get_mut(axis)? = *other.get(axis)?;
        if expected != *other {
            return None;
        }
        shape[axis] += other[axis];
    }
    Some(shape)
}
