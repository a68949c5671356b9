//! The trainer on the digits: test accuracy and seconds for each method, activation and seed. One
//! JSON record per line.
//!
//! ```sh
//! cargo bench --bench training -- 10
//! ```
//!
//! The network is 64-32-10 with softmax and λ = 0.001. It is trained on the first 1,347 rows of
//! `examples/data/digits.csv` and tested on the last 450. `benches/peers/training.py` runs
//! scikit-learn on the same data.

use backprop::activation::{Relu, Sigmoid, Softmax};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, GradientDescent, Lbfgs, Method, Trainer};
use backprop::{
    AnyActivation, CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng,
};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const TRAINING: usize = 1347;
const PIXELS: usize = 64;
const CLASSES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let seeds = std::env::args().skip(1).find_map(|s| s.parse().ok());
    let data = Data::load()?;
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    for method in ["lbfgs", "sgd", "adam"] {
        for (name, activation) in [("logistic", Sigmoid), ("relu", Relu)] {
            for seed in 0..seeds.unwrap_or(1) {
                let (accuracy, seconds) = one.install(|| data.train(method, activation, seed))?;
                println!(
                    "{{\"method\": \"{method}\", \"activation\": \"{name}\", \"seed\": {seed}, \
                     \"accuracy\": {accuracy:.5}, \"seconds\": {seconds:.5}}}"
                );
            }
        }
    }
    Ok(())
}

struct Data {
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    labels: Vec<usize>,
}

impl Data {
    fn load() -> Result<Self, Box<dyn Error>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits.csv");
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for row in std::fs::read_to_string(path)?.lines().skip(1) {
            let values: Vec<u8> = row.split(',').map(str::parse).collect::<Result<_, _>>()?;
            let (&label, image) = values.split_last().ok_or("an empty line")?;
            pixels.extend(image.iter().map(|&p| f64::from(p) / 16.0));
            labels.push(usize::from(label));
        }
        let hot = |i, j| f64::from(i == labels[j]);
        Ok(Self {
            x: DMatrix::from_vec(PIXELS, labels.len(), pixels),
            y: DMatrix::from_fn(CLASSES, labels.len(), hot),
            labels,
        })
    }

    /// Returns the fraction of the test images classified correctly, and the seconds of the run.
    fn train(
        &self,
        method: &str,
        activation: AnyActivation,
        seed: u64,
    ) -> Result<(f64, f64), backprop::Error> {
        let mut network = Network::<f64>::builder(PIXELS)
            .dense(32, activation)
            .dense(CLASSES, Softmax)
            .initialize(Initialization::GlorotUniform, &mut rng(seed))?;
        let examples = Examples::new(self.x.columns(0, TRAINING), self.y.columns(0, TRAINING))?;
        let method: Method<f64> = match method {
            "lbfgs" => Lbfgs::new().into(),
            "sgd" => GradientDescent::new(0.1).momentum(0.9).nesterov().into(),
            _ => Adam::new(0.01).into(),
        };
        let full = matches!(method, Method::FullBatch(_));
        let objective = Objective::new(CategoricalCrossEntropy).l2(0.001);
        let trainer = Trainer::new(objective, method).seed(seed);
        let mut trainer = match full {
            true => trainer.epochs(200),
            false => trainer.epochs(100).batch_size(32),
        };
        let clock = Instant::now();
        trainer.fit(&mut network, &examples)?;
        let seconds = clock.elapsed().as_secs_f64();
        let test = self.x.columns(TRAINING, self.labels.len() - TRAINING);
        let outputs = network.forward(test)?;
        let right = outputs
            .column_iter()
            .zip(&self.labels[TRAINING..])
            .filter(|(column, label)| column.argmax().0 == **label);
        Ok((right.count() as f64 / outputs.ncols() as f64, seconds))
    }
}
