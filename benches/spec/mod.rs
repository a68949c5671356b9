//! Rows from JSON files, whose format is in `benches/peers/rows/README.md`: the layers as a tree,
//! and what they need. Our driver and the Rust peers include this folder by path.

// Each driver uses only a part of it.
#![allow(dead_code, unused_imports)]

mod data;
#[path = "../../tests/support/json.rs"]
pub mod json;
mod layers;

pub use data::{Data, Values};
pub use layers::{Block, Kind, Layer, Norm, Parts, State};

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
    /// What the layers need.
    pub parts: Parts,
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
        let mode = at.get("mode")?;
        let train = match mode.text()? {
            "train" => true,
            "forward" => false,
            _ => return mode.wrong("train or forward"),
        };
        let (parts, layers, output) = Parts::read(&at.get("layers")?, &input, train)?;
        Ok(Self {
            name: name.into(),
            heads: heads(&at.get("cost")?, &output)?,
            lambda: at.get("lambda")?.number()?,
            batch: at.get("batch")?.size()?,
            train,
            input,
            layers,
            output,
            parts,
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
