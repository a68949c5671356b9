//! The numbers of a row from a file, and the values that implementations compare.

use super::layers::Mask;
use super::{Block, Head, Kind, Spec};
use crate::common::Random;
use serde_json::{Value, json};

/// The data of a row. All implementations get the same numbers.
#[derive(Debug)]
pub struct Data {
    /// Examples × inputs.
    pub x: Vec<f64>,
    /// Examples × outputs.
    pub y: Vec<f64>,
    /// The entries of each block.
    pub blocks: Vec<Vec<f64>>,
    /// The mask of each dropout, example by example: 1 where an entry is kept.
    pub masks: Vec<Vec<f64>>,
}

impl Data {
    /// Draws the numbers in the order of `benches/peers/rows/README.md`.
    pub fn new(spec: &Spec) -> Result<Self, String> {
        let mut random = Random::new(1);
        let uniform = (0..spec.batch * spec.inputs()).map(|_| random.uniform());
        let mut x: Vec<f64> = uniform.collect();
        for example in x.chunks_exact_mut(spec.inputs()) {
            let mut numbers = vec![true; example.len()];
            for ids in &spec.parts.ids {
                let scale = ids.entries as f64;
                let rows = ids.rows.clone();
                example[rows.clone()]
                    .iter_mut()
                    .for_each(|u| *u = (*u * scale).floor());
                numbers[rows].fill(false);
            }
            let entries = example.iter_mut().zip(numbers);
            for (u, _) in entries.filter(|(_, is_number)| *is_number) {
                *u = (*u - 0.5) * 3.46;
            }
        }
        let mut y = vec![0.0; spec.batch * spec.outputs()];
        for example in y.chunks_exact_mut(spec.outputs()) {
            for head in &spec.heads {
                draw(head, &mut example[head.rows.clone()], &mut random)?;
            }
        }
        let blocks = spec.parts.blocks.iter();
        let blocks = blocks.map(|block| entries(block, &mut random)).collect();
        let mask = |mask: &Mask| {
            let entries = 0..spec.batch * mask.entries;
            let kept = entries.map(|_| f64::from(random.uniform() >= mask.p));
            kept.collect()
        };
        Ok(Self {
            x,
            y,
            blocks,
            masks: spec.parts.masks.iter().map(mask).collect(),
        })
    }
}

/// Draws the entries of a block.
fn entries(block: &Block, random: &mut Random) -> Vec<f64> {
    let scale = match block.kind {
        Kind::Weights => (6.0 / block.shape.iter().sum::<usize>() as f64).sqrt(),
        _ => 0.1,
    };
    let entry = |_| {
        let u = random.uniform();
        match block.kind {
            Kind::Table => (u - 0.5) * 3.46,
            Kind::Scale => u + 0.5,
            Kind::Weights | Kind::Bias | Kind::Shift => (u * 2.0 - 1.0) * scale,
        }
    };
    (0..block.shape.iter().product()).map(entry).collect()
}

/// Draws the targets of one head of one example.
fn draw(head: &Head, y: &mut [f64], random: &mut Random) -> Result<(), String> {
    match head.cost.as_str() {
        "half_mse" | "huber" | "log_cosh" => y.fill_with(|| random.uniform() - 0.5),
        "bce" => y.fill_with(|| f64::from(random.uniform() > 0.5)),
        "cce" => {
            for y in y.chunks_exact_mut(head.classes) {
                y[(random.uniform() * head.classes as f64) as usize] = 1.0;
            }
        }
        "poisson_nll" => y.fill_with(|| (random.uniform() * 3.0).floor()),
        other => return Err(format!("cost: no targets for {other:?}")),
    }
    Ok(())
}

/// What implementations compare before they are measured.
#[derive(Debug)]
pub struct Values {
    /// J.
    pub loss: f64,
    /// Examples × outputs.
    pub outputs: Vec<f64>,
    /// The entries of each block. None for inference.
    pub gradient: Vec<Vec<f64>>,
    /// The running mean and variance of each batch normalisation after the step. None for
    /// inference.
    pub state: Vec<Vec<f64>>,
}

impl Values {
    /// The record of an implementation.
    pub fn record(&self, implementation: &str, spec: &Spec, dtype: &str) -> Value {
        json!({
            "impl": implementation,
            "row": spec.name,
            "dtype": dtype,
            "loss": self.loss,
            "outputs": self.outputs,
            "gradient": self.gradient,
            "state": self.state,
        })
    }
}
