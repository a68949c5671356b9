//! Complete training runs: 15 epochs of plain gradient descent on mini-batches of 64, shuffled in
//! each epoch. One JSON record per line.
//!
//! ```sh
//! cargo bench --bench jobs -- --jobs digits,images --threads 1,2 --dtypes f32,f64
//! ```
//!
//! `digits` is 64-32-10 on the first 1,347 rows of `examples/data/digits.csv`, with learning rate
//! 0.1. `images` is 784-64-10 on 10,000 synthetic images of MNIST's size, with learning rate 0.02.
//! Both use ReLU and softmax. The clock runs from the first epoch to the last.

mod common;

use backprop::activation::{Relu, Softmax};
use backprop::nalgebra::{DMatrix, DMatrixView, convert};
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::{
    CategoricalCrossEntropy, Examples, Initialization, Network, Objective, Scalar, Workspace, rng,
    row_major,
};
use common::Random;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const EPOCHS: usize = 15;
const BATCH: usize = 64;
const CLASSES: usize = 10;

const USAGE: &str = "options: --jobs digits,images, --threads 1,2 (1), --dtypes f32,f64";

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1)).unwrap_or_else(|message| {
        eprintln!("{message}\n{USAGE}");
        std::process::exit(2)
    });
    for name in &options.jobs {
        let job = match name.as_str() {
            "digits" => Job::digits()?,
            _ => Job::images(),
        };
        for &threads in &options.threads {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()?;
            for dtype in &options.dtypes {
                let (seconds, accuracy) = pool.install(|| match dtype.as_str() {
                    "f32" => job.train::<f32>(),
                    _ => job.train::<f64>(),
                })?;
                println!(
                    "{{\"impl\": \"backprop\", \"job\": \"{name}\", \"dtype\": \"{dtype}\", \
                     \"threads\": {threads}, \"seconds\": {seconds:.5}, \
                     \"accuracy\": {accuracy:.4}}}"
                );
            }
        }
    }
    Ok(())
}

struct Options {
    jobs: Vec<String>,
    threads: Vec<usize>,
    dtypes: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let list = |text: &str| text.split(',').map(String::from).collect::<Vec<_>>();
        let mut options = Self {
            jobs: list("digits,images"),
            threads: vec![1],
            dtypes: list("f32,f64"),
        };
        let among = |values: Vec<String>, known: [&str; 2]| match values
            .iter()
            .find(|v| !known.contains(&v.as_str()))
        {
            Some(value) => Err(format!("{value:?} is not one of {}", known.join(", "))),
            None => Ok(values),
        };
        while let Some(option) = arguments.next() {
            if option == "--bench" {
                continue; // cargo's
            }
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{option} needs a value"))
            };
            match option.as_str() {
                "--jobs" => options.jobs = among(list(&value()?), ["digits", "images"])?,
                "--dtypes" => options.dtypes = among(list(&value()?), ["f32", "f64"])?,
                "--threads" => {
                    let count =
                        |part: String| part.parse().ok().filter(|&n| (1..=1024).contains(&n));
                    let counts: Option<_> = list(&value()?).into_iter().map(count).collect();
                    options.threads = counts.ok_or("--threads: numbers from 1, as 1,2")?;
                }
                _ => return Err(format!("unknown option {option:?}")),
            }
        }
        Ok(options)
    }
}

/// A classification problem for a network with one hidden layer.
struct Job {
    /// Rows of pixels in 0..=1, in sequence.
    pixels: Vec<f64>,
    labels: Vec<usize>,
    hidden: usize,
    rate: f64,
}

impl Job {
    fn digits() -> Result<Self, Box<dyn Error>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits.csv");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for row in text.lines().skip(1).take(1347) {
            let values: Vec<u8> = row.split(',').map(str::parse).collect::<Result<_, _>>()?;
            let (&label, image) = values.split_last().ok_or("an empty row")?;
            pixels.extend(image.iter().map(|&pixel| f64::from(pixel) / 16.0));
            labels.push(usize::from(label));
        }
        Ok(Self {
            pixels,
            labels,
            hidden: 32,
            rate: 0.1,
        })
    }

    /// Draws images: 0.15 times the prototype of the class, plus 0.85 times uniform noise.
    fn images() -> Self {
        let (images, inputs) = (10_000, 784);
        let mut random = Random::new(1);
        let prototypes: Vec<f64> = (0..CLASSES * inputs).map(|_| random.uniform()).collect();
        let (mut pixels, mut labels) = (
            Vec::with_capacity(images * inputs),
            Vec::with_capacity(images),
        );
        for _ in 0..images {
            let label = (random.uniform() * CLASSES as f64) as usize;
            let prototype = &prototypes[label * inputs..][..inputs];
            pixels.extend(prototype.iter().map(|p| 0.15 * p + 0.85 * random.uniform()));
            labels.push(label);
        }
        Self {
            pixels,
            labels,
            hidden: 64,
            rate: 0.02,
        }
    }

    /// Returns the time in seconds, and the fraction of the training images classified correctly
    /// at the end.
    fn train<T: Scalar>(&self) -> Result<(f64, f64), backprop::Error> {
        let m = self.labels.len();
        let inputs = self.pixels.len() / m;
        let pixels: Vec<T> = self.pixels.iter().map(|&pixel| convert(pixel)).collect();
        let x = row_major(&pixels, inputs)?;
        let rate: T = convert(self.rate);
        let mut random = rng(1);
        let mut network = Network::<T>::builder(inputs)
            .dense(self.hidden, Relu)
            .dense(CLASSES, Softmax)
            .initialize(Initialization::GlorotUniform, &mut random)?;
        let objective = Objective::new(CategoricalCrossEntropy);
        let mut workspace = Workspace::new();

        let clock = Instant::now();
        let mut order: Vec<usize> = (0..m).collect();
        let mut theta = network.theta().as_slice().to_vec();
        let mut gradient = vec![T::zero(); theta.len()];
        let mut x_batch = vec![T::zero(); BATCH * inputs];
        let mut y_batch = [T::zero(); BATCH * CLASSES];
        for _ in 0..EPOCHS {
            // The Fisher–Yates shuffle.
            for last in (1..m).rev() {
                let other = (u64::from(random.next_u32()) * (last as u64 + 1)) >> 32;
                order.swap(last, other as usize);
            }
            for batch in order.chunks(BATCH) {
                y_batch.fill(T::zero());
                for (k, &image) in batch.iter().enumerate() {
                    x_batch[k * inputs..][..inputs]
                        .copy_from_slice(&pixels[image * inputs..][..inputs]);
                    y_batch[k * CLASSES + self.labels[image]] = T::one();
                }
                let x = row_major(&x_batch[..batch.len() * inputs], inputs)?;
                let y = row_major(&y_batch[..batch.len() * CLASSES], CLASSES)?;
                network.gradient_into(
                    &Examples::new(x, y)?,
                    &objective,
                    &mut workspace,
                    &mut gradient,
                )?;
                theta
                    .iter_mut()
                    .zip(&gradient)
                    .for_each(|(t, g)| *t -= rate * *g);
                network.set_theta(&theta)?;
            }
        }
        let seconds = clock.elapsed().as_secs_f64();
        Ok((seconds, self.accuracy(&network.forward(x)?.as_view())))
    }

    fn accuracy<T: Scalar>(&self, a: &DMatrixView<'_, T>) -> f64 {
        let a: DMatrix<T> = a.clone_owned();
        let columns = a.column_iter().zip(&self.labels);
        columns.filter(|(a, label)| a.imax() == **label).count() as f64 / self.labels.len() as f64
    }
}
