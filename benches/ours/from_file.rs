//! The networks of rows from files.

use crate::common::{Options, Timing};
use crate::spec::{Data, Kind, Spec, Values, json};
use backprop::cost::Heads;
use backprop::nalgebra::{DMatrix, convert, convert_unchecked};
use backprop::row_major;
use backprop::{Builder, Cost, Error, Examples, Network, Objective, Path, Scalar, Workspace};
use golden::Costs;
use json::At;
use serde_json::Value;
use std::hint::black_box;

// The files have the layers and costs of the golden cases.
#[allow(dead_code)]
#[path = "../../tests/support/spec.rs"]
mod golden;

/// A network with its objective and its data.
#[derive(Debug)]
pub struct Model<T: Scalar> {
    pub network: Network<T>,
    pub objective: Objective<Box<dyn Cost<T>>>,
    numbers: Numbers<T>,
}

#[derive(Debug)]
struct Numbers<T: Scalar> {
    x: Vec<T>,
    y: Vec<T>,
    /// The mask of each dropout and its layer.
    masks: Vec<(Path, DMatrix<T>)>,
}

impl<T: Scalar> Model<T> {
    pub fn new(spec: &Spec) -> Result<Self, String> {
        let data = Data::new(spec)?;
        let at = At::root(&spec.json);
        let input = golden::input(&at.get("input")?)?;
        let (layers, _) = golden::layers(&at.get("layers")?, input, spec.train)?;
        let layers = layers.into_iter();
        let builder = layers.fold(Network::builder(input), Builder::layer);
        let theta = in_theta(spec, &data.blocks);
        let network = builder.with_theta(&convert_all(&theta));
        let cost: Box<dyn Cost<T>> = match Costs::read(&at.get("cost")?)? {
            Costs::One(cost) => Box::new(cost),
            Costs::Heads(heads) => {
                let heads = heads.into_iter().fold(Heads::new(), |sum, head| {
                    sum.head(head.rows, head.cost, head.weight)
                });
                Box::new(heads)
            }
        };
        Ok(Self {
            network: network.map_err(|error| error.to_string())?,
            objective: Objective::new(cost).l2(spec.lambda),
            numbers: Numbers::new(spec, &data)?,
        })
    }

    pub fn examples(&self) -> Result<Examples<'_, T>, Error> {
        self.numbers.examples(&self.network)
    }

    /// Returns what the other implementations compare with.
    pub fn values(self, spec: &Spec) -> Result<Values, Error> {
        let (mut network, objective, numbers) = (self.network, self.objective, self.numbers);
        let (examples, mut workspace) = (numbers.examples(&network)?, numbers.workspace(spec)?);
        let outputs = network.forward_into(examples.x(), &mut workspace)?;
        let outputs = real(outputs.iter());
        let mut gradient = vec![T::zero(); network.parameters()];
        let loss = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
        let mut values = Values {
            loss: convert_unchecked(loss.total()),
            outputs,
            gradient: Vec::new(),
            state: Vec::new(),
        };
        if spec.train {
            network.take_state(&workspace)?;
            let state = network.state_by_path();
            values.state = state.map(|vector| real(vector.values.iter())).collect();
            values.gradient = in_blocks(spec, &real(gradient.iter()));
        }
        Ok(values)
    }

    /// Measures training steps: J and all gradients with masks of their own, and the state after
    /// each. Returns J with the given masks, too.
    pub fn measure(self, spec: &Spec, options: &Options) -> Result<(f64, Timing), Error> {
        let (mut network, objective, numbers) = (self.network, self.objective, self.numbers);
        let (examples, mut workspace) = (numbers.examples(&network)?, numbers.workspace(spec)?);
        let mut gradient = vec![T::zero(); network.parameters()];
        let loss = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
        workspace.clear_random_numbers();
        let mut seed = 0;
        let timing = Timing::of(options.min_time, options.tries, || {
            seed += 1;
            workspace.set_training(Some(seed));
            let examples = black_box(&examples);
            let step = network.gradient_into(examples, &objective, &mut workspace, &mut gradient);
            let step = step.and_then(|_| network.take_state(&workspace));
            black_box((step.is_ok(), &gradient));
        });
        Ok((convert_unchecked(loss.total()), timing))
    }
}

impl<T: Scalar> Numbers<T> {
    fn new(spec: &Spec, data: &Data) -> Result<Self, String> {
        let mut masks = Vec::new();
        for (mask, kept) in spec.parts.masks.iter().zip(&data.masks) {
            let path = golden::path(&At::root(&Value::from(mask.layer.as_str())))?;
            let kept = DMatrix::from_vec(mask.entries, spec.batch, convert_all(kept));
            masks.push((path, kept));
        }
        Ok(Self {
            x: convert_all(&data.x),
            y: convert_all(&data.y),
            masks,
        })
    }

    fn examples(&self, network: &Network<T>) -> Result<Examples<'_, T>, Error> {
        let x = row_major(&self.x, network.inputs())?;
        Examples::new(x, row_major(&self.y, network.outputs())?)
    }

    /// Returns a workspace for the passes of a row. Those of a training step use the given masks.
    fn workspace(&self, spec: &Spec) -> Result<Workspace<T>, Error> {
        let mut workspace = Workspace::new();
        if spec.train {
            workspace.set_training(Some(0));
            for (layer, mask) in &self.masks {
                workspace.set_random_numbers(layer.clone(), mask)?;
            }
        }
        Ok(workspace)
    }
}

fn convert_all<T: Scalar>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| convert(value)).collect()
}

fn real<'a, T: Scalar>(values: impl Iterator<Item = &'a T>) -> Vec<f64> {
    values.map(|&value| convert_unchecked(value)).collect()
}

/// The indices in θ of the entries of each block. A dense layer with biases has one block there,
/// \[b W], and one without has W, column by column. Other layers have theirs in C order.
fn indices(spec: &Spec) -> Vec<Vec<usize>> {
    let (mut start, mut all) = (0, Vec::new());
    let mut blocks = spec.parts.blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        let len: usize = block.shape.iter().product();
        let bias = blocks.next_if(|next| next.kind == Kind::Bias);
        let biases = bias.map_or(0, |bias| bias.shape[0]);
        all.push(match block.shape[..] {
            [units, inputs] if block.kind == Kind::Weights => {
                let weights = start + biases;
                let index = |entry| weights + units * (entry % inputs) + entry / inputs;
                (0..len).map(index).collect()
            }
            _ => (start..start + len).collect(),
        });
        if bias.is_some() {
            all.push((start..start + biases).collect());
        }
        start += len + biases;
    }
    all
}

/// Puts weights and biases in the order of θ.
fn in_theta(spec: &Spec, blocks: &[Vec<f64>]) -> Vec<f64> {
    let mut theta = vec![f64::NAN; blocks.iter().map(Vec::len).sum()];
    for (indices, block) in indices(spec).iter().zip(blocks) {
        for (&index, &value) in indices.iter().zip(block) {
            theta[index] = value;
        }
    }
    theta
}

/// Returns the entries of each block of a vector in the order of θ.
fn in_blocks(spec: &Spec, theta: &[f64]) -> Vec<Vec<f64>> {
    let block = |indices: &Vec<usize>| indices.iter().map(|&index| theta[index]).collect();
    indices(spec).iter().map(block).collect()
}
