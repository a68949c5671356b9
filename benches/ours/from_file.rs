//! The networks of rows from files.

use crate::spec::{Data, Spec, Values, json};
use backprop::cost::Heads;
use backprop::nalgebra::{convert, convert_unchecked};
use backprop::{Builder, Cost, Examples, Network, Objective, Scalar, Workspace, row_major};
use golden::Costs;
use json::At;

// The files have the layers and costs of the golden cases.
#[allow(dead_code)]
#[path = "../../tests/calculus/golden_layers/spec.rs"]
mod golden;

/// A network with its objective and its data.
#[derive(Debug)]
pub struct Model<T: Scalar> {
    pub network: Network<T>,
    pub objective: Objective<Box<dyn Cost<T>>>,
    x: Vec<T>,
    y: Vec<T>,
}

impl<T: Scalar> Model<T> {
    pub fn new(spec: &Spec) -> Result<Self, String> {
        let data = Data::new(spec)?;
        let at = At::root(&spec.json);
        let input = golden::input(&at.get("input")?)?;
        let (layers, _) = golden::layers(&at.get("layers")?, input)?;
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
            x: convert_all(&data.x),
            y: convert_all(&data.y),
        })
    }

    pub fn examples(&self) -> Result<Examples<'_, T>, backprop::Error> {
        let x = row_major(&self.x, self.network.inputs())?;
        Examples::new(x, row_major(&self.y, self.network.outputs())?)
    }

    /// Returns what the other implementations compare with.
    pub fn values(&self, spec: &Spec) -> Result<Values, backprop::Error> {
        let (examples, mut workspace) = (self.examples()?, Workspace::new());
        let outputs = self.network.forward_into(examples.x(), &mut workspace)?;
        let outputs = real(outputs.iter());
        let pass = self.network.backprop(&examples, &self.objective)?;
        let gradient = real(pass.gradient().vector().iter());
        Ok(Values {
            loss: convert_unchecked(pass.cost()),
            outputs,
            gradient: if spec.train {
                in_blocks(spec, &gradient)
            } else {
                Vec::new()
            },
        })
    }
}

fn convert_all<T: Scalar>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| convert(value)).collect()
}

fn real<'a, T: Scalar>(values: impl Iterator<Item = &'a T>) -> Vec<f64> {
    values.map(|&value| convert_unchecked(value)).collect()
}

/// The indices in θ of the entries of each block. A dense layer has one block there, \[b W], column
/// by column.
fn indices(spec: &Spec) -> Vec<Vec<usize>> {
    let (mut start, mut all) = (0, Vec::new());
    for block in &spec.blocks {
        if let [units, inputs] = block.shape[..] {
            let index = |entry| start + units * (entry % inputs + 1) + entry / inputs;
            all.push((0..units * inputs).map(index).collect());
            all.push((start..start + units).collect());
            start += units * (inputs + 1);
        }
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
