//! Fine-tuning: a network learns one task from hundreds of images, and then another from 50.
//!
//! ```sh
//! cargo run --release --example fine_tuning
//! ```
//!
//! The second task keeps the trunk: all layers but the last. A new last layer is trained while the
//! trunk is frozen. Then the trunk is unfrozen, and all layers are trained at a lower rate. Whether
//! this helps depends on the tasks, so there are two pairs of them. A random trunk takes the same
//! steps for comparison; with all layers from the start, that is training from scratch.

#[path = "digits/data.rs"]
mod data;

use backprop::activation::{Softmax, Tanh};
use backprop::data::{labels, one_hot, select, stratified_split};
use backprop::metrics::{Accuracy, Metric};
use backprop::training::{Adam, Trainer};
use backprop::{CategoricalCrossEntropy, Dense, Examples, Initialization, Network, Objective, rng};
use data::Digits;
use std::{error::Error, ops::Range, time::Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Returns the class of a digit, or `None` if the task leaves it out.
type Task = fn(usize) -> Option<usize>;
/// A learning rate and a number of epochs.
type Steps = (f64, u64);

/// These steps and λ had the best accuracy on training images that no task uses, over both pairs
/// and seeds 11 to 20. The steps after unfreezing had the best from the trained trunk. If there
/// are no other images, choose by cross-validation of the 50.
const ALL: Steps = (0.003, 30);
const LAST: Steps = (0.01, 100);

fn main() -> Result<()> {
    let low: Task = |digit| (digit < 5).then_some(digit);
    let high: Task = |digit| digit.checked_sub(5);
    let [frozen, released, all] = compare("0 to 4, then 5 to 9", low, high, (0.003, 300))?;
    assert!(frozen[1] + 5.0 < frozen[0] && (released[1] - all[0]).abs() < 2.0);
    println!(
        "The trunk knows what distinguishes 0 to 4, not 5 to 9. Frozen, it is worse than random\n\
         weights. Unfreezing repairs this, but training from scratch is as good.\n"
    );
    let parity: Task = |digit| Some(digit % 2);
    let [frozen, released, all] = compare("digits, then parity", Some, parity, (3e-4, 30))?;
    assert!(frozen[1] > all[0] + 4.0 && (released[1] - frozen[1]).abs() < 2.0);
    println!(
        "The trunk knows what distinguishes all digits, and parity needs nothing else. Keeping it\n\
         frozen works best; unfreezing adds nothing. Freezing saves the backward pass through the\n\
         trunk, but not the forward pass."
    );
    Ok(())
}

/// Trains on two tasks, and prints the test accuracy of the second. Returns the means in percent,
/// for the random trunk and the trained one.
fn compare(name: &str, first: Task, second: Task, release: Steps) -> Result<[[f64; 2]; 3]> {
    let (train, test) = data::load()?;
    let many = images(&train, 0..900, first)?;
    let others = images(&train, 900..train.x.ncols(), second)?;
    let test = images(&test, 0..test.x.ncols(), second)?;
    let (classes, share) = (test.y.nrows(), 1.0 - 50.0 / others.x.ncols() as f64);
    let mut runs = [const { [const { Vec::new() }; 2] }; 3];
    let (mut moving, mut seconds) = ([0; 3], [0.0; 3]);
    for seed in 1..=5 {
        let few = stratified_split(&labels(&others.y)?, share, seed)?.train;
        let (x, y) = (select(&others.x, &few)?, select(&others.y, &few)?);
        let few = Digits { x, y };
        let mut trained = network(many.y.nrows(), seed)?;
        fit(&mut trained, &many, ALL, seed)?;
        let trained = replace_last(&trained, classes, seed)?;
        for (trunk, start) in [network(classes, seed)?, trained].into_iter().enumerate() {
            let mut network = start.clone();
            for (row, steps) in [LAST, release, ALL].into_iter().enumerate() {
                match row {
                    0 => network.freeze(0)?,
                    1 => network.unfreeze(0)?,
                    _ => network = start.clone(),
                }
                let blocks = network.parameters_by_path().filter(|p| !p.is_frozen);
                moving[row] = blocks.map(|p| p.values.len()).sum();
                seconds[row] += fit(&mut network, &few, steps, seed)?;
                let a = network.forward(&test.x)?;
                runs[row][trunk].push(100.0 * Accuracy.evaluate(a.as_view(), test.y.as_view())?);
            }
        }
    }
    println!("{name}   random trunk, range   trained trunk, range   moving  µs/epoch");
    let mut means = [[0.0; 2]; 3];
    for (row, name) in (0..).zip(["frozen trunk", "then unfrozen", "all from the start"]) {
        print!("{name:21}");
        for (mean, runs) in means[row].iter_mut().zip(&mut runs[row]) {
            runs.sort_by(f64::total_cmp);
            *mean = runs.iter().sum::<f64>() / 5.0;
            print!(" {mean:5.1} %, {:.1} to {:.1} ", runs[0], runs[4]);
        }
        println!("  {:6} {:9.0}", moving[row], 1e6 * seconds[row] / 10.0);
    }
    Ok(means)
}

/// Returns the images of a task, with its classes one-hot.
fn images(digits: &Digits, columns: Range<usize>, class: Task) -> Result<Digits> {
    let digit = labels(&digits.y)?;
    let chosen = columns.filter_map(|k| Some((k, class(digit[k])?)));
    let (columns, classes): (Vec<_>, Vec<_>) = chosen.unzip();
    let y = one_hot(&classes, classes.iter().max().map_or(0, |last| last + 1))?;
    let x = select(&digits.x, &columns)?;
    Ok(Digits { x, y })
}

/// Builds the trunk, which is layer 0, and the last layer.
fn network(classes: usize, seed: u64) -> Result<Network<f64>> {
    let trunk = Network::<f64>::builder(64).sequential(|t| t.dense(64, Tanh).dense(32, Tanh));
    let network = trunk.dense(classes, Softmax);
    Ok(network.initialize(Initialization::GlorotUniform, &mut rng(seed))?)
}

/// Returns a network with the same trunk and a new last layer.
fn replace_last(network: &Network<f64>, classes: usize, seed: u64) -> Result<Network<f64>> {
    let mut layers = network.layers().to_vec();
    layers[1] = Dense::new(32, classes, Softmax).into();
    // The parameters of the trunk come first in θ.
    let trunk = network.layout().layer_blocks(1)?[0].range().start;
    let mut theta = network.theta().as_slice()[..trunk].to_vec();
    theta.resize(trunk + classes * (1 + 32), 0.0);
    let mut network = Network::from_layers(64, layers, &theta)?;
    network.initialize_layer(1, Initialization::GlorotUniform, &mut rng(100 + seed))?;
    Ok(network)
}

/// Trains the parameters that are not frozen. Returns the seconds per epoch.
fn fit(network: &mut Network<f64>, set: &Digits, (rate, epochs): Steps, seed: u64) -> Result<f64> {
    let clock = Instant::now();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
    let trainer = Trainer::new(objective, Adam::new(rate)).epochs(epochs);
    let mut trainer = trainer.batch_size(10).seed(seed);
    trainer.fit(network, &Examples::new(&set.x, &set.y)?)?;
    Ok(clock.elapsed().as_secs_f64() / epochs as f64)
}
