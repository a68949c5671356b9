//! Rows from JSON files, whose format is in `benches/peers/rows/README.md`: the layers as a tree,
//! and their blocks of parameters. Our driver and the Rust peers include this folder by path.

// Each driver uses only a part of it.
#![allow(dead_code, unused_imports)]

mod data;
#[path = "../../tests/calculus/golden_layers/json.rs"]
pub mod json;

pub use data::{Data, Values};

use crate::common::Label;
use json::At;
use serde_json::Value;
use std::ops::Range;

/// A network, its cost and the size of its batch.
#[derive(Debug)]
pub struct Spec {
    pub name: String,
    /// The axes of one example.
    pub input: Vec<usize>,
    pub layers: Vec<Layer>,
    /// The axes of one output.
    pub output: Vec<usize>,
    /// In the order in which the layers name them.
    pub blocks: Vec<Block>,
    pub heads: Vec<Head>,
    /// J has λ/(2m) Σ w² over all weights.
    pub lambda: f64,
    /// Examples.
    pub batch: usize,
    /// Whether it is a training step (J and all gradients) or inference.
    pub train: bool,
    /// The whole file.
    pub json: Value,
}

/// A layer. Blocks are indices of [`Spec::blocks`].
#[derive(Debug)]
pub enum Layer {
    /// Acts on the last axis. Its weights are block `block`, its biases the next.
    Dense {
        block: usize,
        activation: String,
    },
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

/// A block of parameters.
#[derive(Debug)]
pub struct Block {
    /// The path of its layer, such as `2.body.1`.
    pub layer: String,
    /// `weight` or `bias`.
    pub name: &'static str,
    /// Units and inputs, or units. The entries are in C order.
    pub shape: Vec<usize>,
}

/// A cost of some entries of the flattened outputs.
#[derive(Debug)]
pub struct Head {
    pub rows: Range<usize>,
    pub cost: String,
    pub weight: f64,
    /// The number of classes of a softmax: the rows, or the last axis of a sequence.
    pub classes: usize,
}

impl Spec {
    /// Reads a file.
    pub fn read(name: &str, path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Self::parse(name, &text).map_err(|error| format!("{path}: {error}"))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let at = At::root(&json);
        at.check_keys(&["input", "layers", "cost", "lambda", "batch", "mode"])?;
        let input = at.get("input")?.sizes()?;
        let mut blocks = Vec::new();
        let (layers, output) = layers(&at.get("layers")?, "", &input, &mut blocks)?;
        let mode = at.get("mode")?;
        Ok(Self {
            name: name.into(),
            heads: heads(&at.get("cost")?, &output)?,
            lambda: at.get("lambda")?.number()?,
            batch: at.get("batch")?.size()?,
            train: match mode.text()? {
                "train" => true,
                "forward" => false,
                _ => return mode.wrong("train or forward"),
            },
            input,
            layers,
            output,
            blocks,
            json: json.clone(),
        })
    }

    pub fn label(&self) -> Label<'_> {
        (&self.name, self.train)
    }

    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    pub fn outputs(&self) -> usize {
        self.output.iter().product()
    }
}

/// Reads layers in sequence, and returns the axes of their output.
fn layers(
    at: &At<'_>,
    path: &str,
    input: &[usize],
    blocks: &mut Vec<Block>,
) -> Result<(Vec<Layer>, Vec<usize>), String> {
    let (mut layers, mut shape) = (Vec::new(), input.to_vec());
    for (i, at) in at.list()?.iter().enumerate() {
        let layer;
        (layer, shape) = self::layer(at, &format!("{path}{i}"), &shape, blocks)?;
        layers.push(layer);
    }
    Ok((layers, shape))
}

fn layer(
    at: &At<'_>,
    path: &str,
    input: &[usize],
    blocks: &mut Vec<Block>,
) -> Result<(Layer, Vec<usize>), String> {
    let kind = at.get("type")?;
    let only = |keys: &[&str]| at.check_keys(&[keys, &["type"]].concat());
    let mut shape = input.to_vec();
    let layer = match kind.text()? {
        "dense" => {
            only(&["units", "activation", "bias"])?;
            if !at.get("bias")?.flag()? {
                return at.wrong("a bias: no network of this crate has dense layers without one");
            }
            let (units, block) = (at.get("units")?.size()?, blocks.len());
            let Some(inputs) = shape.last_mut() else {
                return at.wrong("an input with an axis");
            };
            let mut push = |name, shape| {
                let layer = path.to_owned();
                blocks.push(Block { layer, name, shape });
            };
            push("weight", vec![units, *inputs]);
            push("bias", vec![units]);
            *inputs = units;
            let activation = at.get("activation")?.text()?.to_owned();
            Layer::Dense { block, activation }
        }
        "activation" => {
            only(&["g"])?;
            Layer::Activation(at.get("g")?.text()?.to_owned())
        }
        "flatten" => {
            only(&[])?;
            shape = vec![shape.iter().product()];
            Layer::Flatten
        }
        "transpose" => {
            only(&[])?;
            let [first, last] = shape[..] else {
                return at.wrong("an input with two axes");
            };
            shape = vec![last, first];
            Layer::Transpose
        }
        "select" => {
            only(&["from", "to"])?;
            let (from, to) = (at.get("from")?.index()?, at.get("to")?.index()?);
            let [rows] = shape[..] else {
                return at.wrong("an input with one axis");
            };
            if from >= to || to > rows {
                return at.wrong(&format!("from < to ≤ {rows}"));
            }
            shape = vec![to - from];
            Layer::Select(from..to)
        }
        "residual" => {
            only(&["body", "shortcut"])?;
            let (body, shortcut) = (at.get("body")?, at.get("shortcut")?);
            let (body, sum) = layers(&body, &format!("{path}.body."), input, blocks)?;
            let (shortcut, other) = if shortcut.is_null() {
                (None, shape)
            } else {
                let path = format!("{path}.shortcut.");
                let (shortcut, other) = layers(&shortcut, &path, input, blocks)?;
                (Some(shortcut), other)
            };
            if sum != other {
                return at.wrong(&format!("equal shapes, found {sum:?} and {other:?}"));
            }
            shape = sum;
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
                let (branch, shape) = layers(branch, &path, input, blocks)?;
                branches.push(branch);
                shapes.push(shape);
            }
            shape = match joined(&shapes, last) {
                Some(shape) => shape,
                None => return list.wrong(&format!("shapes to join, found {shapes:?}")),
            };
            Layer::Parallel { last, branches }
        }
        other => return kind.wrong(&format!("a layer of this crate, found {other:?}")),
    };
    Ok((layer, shape))
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

/// Reads the cost of all outputs, or one for each head.
fn heads(at: &At<'_>, output: &[usize]) -> Result<Vec<Head>, String> {
    let outputs = output.iter().product();
    if !at.is_object() {
        return Ok(vec![Head {
            rows: 0..outputs,
            cost: at.text()?.to_owned(),
            weight: 1.0,
            classes: *output.last().unwrap_or(&1),
        }]);
    }
    at.check_keys(&["heads"])?;
    let heads = at.get("heads")?.list()?;
    let head = |at: &At<'_>| {
        at.check_keys(&["rows", "cost", "weight"])?;
        let rows = at.get("rows")?.list_of(2)?;
        let rows = rows[0].index()?..rows[1].index()?;
        if rows.is_empty() || rows.end > outputs {
            return at.wrong(&format!("rows among {outputs} outputs"));
        }
        Ok(Head {
            classes: rows.len(),
            rows,
            cost: at.get("cost")?.text()?.to_owned(),
            weight: at.get("weight")?.number()?,
        })
    };
    heads.iter().map(head).collect()
}
