//! 6 of 6. More data than memory: batches stream through accumulators in two threads, and their
//! sums are J and ∇J of all the data.
//!
//! ```sh
//! cargo run --release --example 06_streaming
//! ```

use backprop::activation::{Sigmoid, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::{
    Accumulator, BinaryCrossEntropy, Error, Examples, Initialization, Network, Penalty, Workspace,
    rng,
};
use std::panic::resume_unwind;
use std::thread;

/// The data are 200 batches of 500 points, as if each came from a file.
const BATCHES: u64 = 200;
const SIZE: usize = 500;

/// Returns batch number b: points of a square, and whether they lie in the circle of radius 1.
fn batch(b: u64) -> (DMatrix<f64>, DMatrix<f64>) {
    let mut random = rng(b);
    let x = DMatrix::from_fn(2, SIZE, |_, _| {
        random.next_u32() as f64 / 2f64.powi(31) - 1.0
    }) * 1.5;
    let y = DMatrix::from_fn(1, SIZE, |_, k| f64::from(x.column(k).norm() < 1.0));
    (x, y)
}

/// Returns Σ cost, Σ w and Δ of the given batches. Only one batch is in memory at a time.
fn sums(
    network: &Network<f64>,
    batches: impl Iterator<Item = u64>,
) -> Result<Accumulator<f64>, Error> {
    let (mut sums, mut workspace) = (Accumulator::new(network)?, Workspace::new());
    for b in batches {
        let (x, y) = batch(b);
        let examples = Examples::new(&x, &y)?;
        sums.add(network, &examples, &BinaryCrossEntropy, &mut workspace)?;
    }
    Ok(sums)
}

/// Returns the same sums, over all batches. Each of two threads processes half of the batches.
fn shared(network: &Network<f64>) -> Result<Accumulator<f64>, Error> {
    let (even, odd) = thread::scope(|scope| {
        let odd = scope.spawn(|| sums(network, (1..BATCHES).step_by(2)));
        (sums(network, (0..BATCHES).step_by(2)), odd.join())
    });
    let mut all = even?;
    all.merge(&odd.unwrap_or_else(|panic| resume_unwind(panic))?)?;
    Ok(all)
}

fn main() -> Result<(), Error> {
    let penalty = Penalty::l2(1.0);
    let mut network = Network::<f64>::builder(2)
        .dense(8, Tanh)
        .dense(1, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;

    // The sums do not depend on how the data are split. Only `finish` divides by m and adds the
    // penalty.
    let one = sums(&network, 0..BATCHES)?.finish(&network, &penalty)?;
    let two = shared(&network)?.finish(&network, &penalty)?;
    let difference = one.gradient().vector() - two.gradient().vector();
    println!(
        "one thread or two: ∇J differs by {:.1e}\n",
        difference.amax()
    );
    assert!(difference.amax() < 1e-14);

    let mut velocity = network.theta() * 0.0;
    for step in 0..=90 {
        let all = shared(&network)?;
        let pass = all.finish(&network, &penalty)?;
        if step % 30 == 0 {
            println!(
                "step {step:2}: J = {:.4} over {} points",
                pass.cost(),
                all.weight()
            );
        }
        velocity = velocity * 0.9 - pass.gradient().vector();
        let theta = network.theta() + &velocity;
        network.set_theta(theta.as_slice())?;
    }

    let (x, y) = batch(BATCHES); // a batch outside the data
    let right = network
        .forward(&x)?
        .map(f64::round)
        .zip_map(&y, |a, y| f64::from(a == y))
        .sum();
    println!("\n{right} of {SIZE} new points are classified correctly");
    assert!(right > 450.0);
    Ok(())
}
