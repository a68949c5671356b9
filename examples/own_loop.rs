//! Training without the trainer: your own loop over mini-batches, with one of the crate's
//! optimisers. The data are two interleaved half moons.
//!
//! ```sh
//! cargo run --release --example own_loop
//! ```

use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::data::{permutation_into, select};
use backprop::metrics::ConfusionMatrix;
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Optimizer};
use backprop::{BinaryCrossEntropy, Examples, Initialization, Network, Objective, Workspace, rng};
use std::error::Error;
use std::f64::consts::PI;

const EXAMPLES: usize = 400;
const BATCH: usize = 32;
const LAMBDA: f64 = 0.01;

fn main() -> Result<(), Box<dyn Error>> {
    let (x, y) = moons();
    let all = Examples::new(&x, &y)?;
    let objective = Objective::new(BinaryCrossEntropy).l2(LAMBDA);
    let mut network = Network::<f64>::builder(2)
        .dense(16, Identity)
        .batch_norm()
        .activate(Tanh)
        .dense(1, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;

    let (mut adam, mut workspace) = (Adam::new(0.02), Workspace::new());
    let mut theta = network.theta().as_slice().to_vec();
    let mut gradient = vec![0.0; theta.len()];
    let mut order = vec![0; EXAMPLES];
    println!("{:>6} {:>10} {:>10}", "epoch", "J", "accuracy");
    let mut step = 0;
    for epoch in 0..=60 {
        if epoch % 10 == 0 {
            let cost = network.cost(&all, &objective)?;
            let accuracy = ConfusionMatrix::from_outputs(&network.forward(&x)?, &y)?.accuracy();
            println!("{epoch:>6} {cost:>10.5} {:>8.2} %", 100.0 * accuracy);
        }
        permutation_into(&mut order, 7, epoch);
        for batch in order.chunks(BATCH) {
            let (x, y) = (select(&x, batch)?, select(&y, batch)?);
            let examples = Examples::new(&x, &y)?;
            // The gradient of a batch is divided by the batch size, but the penalty is λ/m for all
            // examples.
            let share = batch.len() as f64 / EXAMPLES as f64;
            let objective = Objective::new(BinaryCrossEntropy).l2(LAMBDA * share);
            // In training, the norm uses the statistics of the batch; dropout would draw its masks
            // from the seed. `cost` and `forward` evaluate the network.
            workspace.set_training(Some(step));
            network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
            adam.step(&mut theta, &gradient, 1.0)?;
            network.set_theta(&theta)?;
            // The running statistics move towards those of the batch.
            network.take_state(&workspace)?;
            step += 1;
        }
    }
    let read = ConfusionMatrix::from_outputs(&network.forward(&x)?, &y)?;
    assert!(read.accuracy() > 0.99);
    Ok(())
}

/// Returns points on two half circles, 2 × m, and the half circle of each, 1 × m.
fn moons() -> (DMatrix<f64>, DMatrix<f64>) {
    let angle = |k: usize| PI * (k / 2) as f64 / (EXAMPLES / 2) as f64;
    let noise = |k: usize| 0.1 * (12.9898 * k as f64).sin();
    let x = DMatrix::from_fn(2, EXAMPLES, |i, k| match (i, k % 2) {
        (0, 0) => angle(k).cos() + noise(k),
        (0, _) => 1.0 - angle(k).cos() + noise(k),
        (_, 0) => angle(k).sin() + noise(3 * k + 1),
        _ => 0.5 - angle(k).sin() + noise(3 * k + 1),
    });
    (x, DMatrix::from_fn(1, EXAMPLES, |_, k| (k % 2) as f64))
}
