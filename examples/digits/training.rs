//! The network of the example and its training, for the example and its test alike.

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

/// Iterations of L-BFGS.
const ITERATIONS: u64 = 200;

/// 64 pixels, 25 hidden units, 10 classes, as the course builds it.
pub fn network(seed: u64) -> Result<Network<f64>, backprop::Error> {
    Network::builder(64)
        .dense(25, Sigmoid)
        .dense(CLASSES, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(seed))
}

/// The course's cost with its penalty, λ = 1.
pub fn objective() -> Objective<AnyCost> {
    Objective::new(BinaryCrossEntropy).l2(1.0)
}

/// What a training did.
#[derive(Debug)]
pub struct Training {
    pub iterations: u64,
    /// Of J and ∇J.
    pub evaluations: u64,
    /// θ before the first iteration and after each.
    pub path: Vec<Vec<f64>>,
}

/// Minimises J by L-BFGS, with a bar that is silent where no one looks on.
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

/// Reads every image: which digit was read as which.
pub fn read(network: &Network<f64>, digits: &Digits) -> Result<ConfusionMatrix, backprop::Error> {
    ConfusionMatrix::from_outputs(&network.forward(&digits.x)?, &digits.y)
}
