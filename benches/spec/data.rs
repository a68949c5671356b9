//! The numbers of a row from a file, and the values that implementations compare.

use super::{Head, Spec};
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
}

impl Data {
    /// Draws the numbers in the order of `benches/peers/rows/README.md`.
    pub fn new(spec: &Spec) -> Result<Self, String> {
        let mut random = Random::new(1);
        let x = (0..spec.batch * spec.inputs())
            .map(|_| (random.uniform() - 0.5) * 3.46)
            .collect();
        let mut y = vec![0.0; spec.batch * spec.outputs()];
        for example in y.chunks_exact_mut(spec.outputs()) {
            for head in &spec.heads {
                draw(head, &mut example[head.rows.clone()], &mut random)?;
            }
        }
        let mut blocks = Vec::new();
        for block in &spec.blocks {
            let bound = match block.shape[..] {
                [units, inputs] => (6.0 / (inputs + units) as f64).sqrt(),
                _ => 0.1,
            };
            let entries = 0..block.shape.iter().product();
            blocks.push(
                entries
                    .map(|_| (random.uniform() * 2.0 - 1.0) * bound)
                    .collect(),
            );
        }
        Ok(Self { x, y, blocks })
    }
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
        })
    }
}
