//! The network of the example and its training, shared by the example and its test.

use super::data::{CLASSES, Digits};
use backprop::metrics::ConfusionMatrix;
use backprop::training::{Lbfgs, Trainer};
use backprop::{
    AnyCost, BinaryCrossEntropy, Examples, Initialization, Network, Objective, activation::Sigmoid,
    rng,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::ops::ControlFlow;

/// The number of iterations of L-BFGS.
const ITERATIONS: u64 = 200;

/// Returns the course's network: 64 pixels, 25 hidden units, 10 classes.
pub fn network(seed: u64) -> Result<Network<f64>, backprop::Error> {
    Network::builder(64)
        .dense(25, Sigmoid)
        .dense(CLASSES, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(seed))
}

/// Returns the course's cost with its penalty, λ = 1.
pub fn objective() -> Objective<AnyCost> {
    Objective::new(BinaryCrossEntropy).l2(1.0)
}

/// The record of a run.
#[derive(Debug)]
pub struct Training {
    pub iterations: u64,
    /// Evaluations of J and ∇J.
    pub evaluations: u64,
    /// θ before the first iteration and after each.
    pub path: Vec<Vec<f64>>,
}

/// Minimises J with L-BFGS. The progress bar is silent if there is no terminal.
pub fn train(network: &mut Network<f64>, digits: &Digits) -> Result<Training, Box<dyn Error>> {
    let examples = Examples::new(&digits.x, &digits.y)?;
    let style = "training {bar:32} {pos:>3}/{len} iterations, {msg}, {eta} left";
    let bar = ProgressBar::new(ITERATIONS).with_style(ProgressStyle::with_template(style)?);
    let mut path = vec![network.theta().as_slice().to_vec()];
    let history = Trainer::new(objective(), Lbfgs::new())
        .epochs(ITERATIONS)
        .on_epoch(|epoch| {
            bar.set_message(format!("J = {:.4}", epoch.record.cost));
            bar.inc(1);
            path.push(epoch.theta.to_vec());
            ControlFlow::Continue(())
        })
        .fit(network, &examples)?;
    bar.finish_and_clear();
    let last = history.records().last().ok_or("no iteration was made")?;
    Ok(Training {
        iterations: last.epoch,
        evaluations: last.steps,
        path,
    })
}

/// Classifies every image, and counts which digit was predicted as which.
pub fn classify(
    network: &Network<f64>,
    digits: &Digits,
) -> Result<ConfusionMatrix, backprop::Error> {
    ConfusionMatrix::from_outputs(&network.forward(&digits.x)?, &digits.y)
}
