//! Custom optimisers and layers in training: interrupted, resumed and saved bit for bit.

use crate::support::custom_types::LowRank;
use backprop::activation::{AnyActivation, Softmax, Tanh};
use backprop::layer::AnyLayer;
use backprop::nalgebra::DMatrix;
use backprop::saving::{Checkpoints, load, save};
use backprop::training::{
    Adam, History, Method, Optimizer, OptimizerInfo, OptimizerState, Trainer,
};
use backprop::{
    Builder, CategoricalCrossEntropy, Dense, Error, Examples, Initialization, Network, Objective,
    rng,
};
use std::path::Path;

type Own = AnyLayer<LowRank<AnyActivation>>;

/// Steps along the signs of a mean of gradients. Step t is shorter by a factor of √t.
#[derive(Debug)]
struct Signs {
    rate: f64,
    steps: u64,
    mean: Vec<f64>,
}

impl Signs {
    fn new() -> Self {
        Self {
            rate: 0.01,
            steps: 0,
            mean: Vec::new(),
        }
    }
}

impl Optimizer<f64> for Signs {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("signs", self.rate)
    }

    fn step(&mut self, theta: &mut [f64], gradient: &[f64], factor: f64) -> Result<(), Error> {
        self.steps += 1;
        self.mean.resize(theta.len(), 0.0);
        let length = self.rate * factor / (self.steps as f64).sqrt();
        for ((w, g), mean) in theta.iter_mut().zip(gradient).zip(&mut self.mean) {
            *mean = 0.9 * *mean + 0.1 * g;
            *w -= length * mean.signum();
        }
        Ok(())
    }

    fn state(&self) -> OptimizerState<f64> {
        OptimizerState::new(self.steps, vec![self.mean.clone()])
    }

    fn restore(&mut self, state: &OptimizerState<f64>) -> Result<(), Error> {
        self.steps = state.steps;
        self.mean = state.buffers.first().cloned().unwrap_or_default();
        Ok(())
    }
}

fn signs() -> Method<f64> {
    let own: Box<dyn Optimizer<f64>> = Box::new(Signs::new());
    own.into()
}

/// A dense layer, and two of low rank with built-in activations.
fn network() -> Network<f64, Own> {
    let low_rank = |(inputs, rank, outputs), activation| {
        AnyLayer::Custom(LowRank {
            inputs,
            rank,
            outputs,
            activation,
        })
    };
    Builder::new(5)
        .layer(AnyLayer::Dense(Dense::new(5, 6, Tanh)))
        .layer(low_rank((6, 2, 4), AnyActivation::GeluTanh))
        .layer(low_rank((4, 2, 3), Softmax))
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

/// Runs 15 epochs, in one run or resumed from the existing checkpoints.
fn train(method: Method<f64>, epochs: u64, folder: Option<&Path>) -> (Network<f64, Own>, History) {
    let x = DMatrix::from_fn(5, 40, |i, k| (0.9 * i as f64 + 0.37 * k as f64).sin());
    let y = DMatrix::from_fn(3, 40, |i, k| f64::from(i == (k * k + k / 3) % 3));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
    let trainer = Trainer::new(objective, method);
    let mut trainer = trainer.epochs(epochs).batch_size(12).seed(5);
    let mut network = network();
    let Some(folder) = folder else {
        let history = trainer.fit(&mut network, &examples).unwrap();
        return (network, history);
    };
    let mut trainer = trainer.checkpoints(Checkpoints::new(folder), 2);
    let (history, _) = trainer.resume(&mut network, &examples).unwrap();
    (network, history)
}

fn bits(network: &Network<f64, Own>) -> Vec<u64> {
    network.theta().iter().map(|w| w.to_bits()).collect()
}

/// `Optimizer::validate` checks the learning rate by default.
#[test]
fn a_custom_optimizer_with_learning_rate_zero_is_refused() {
    let own = Signs {
        rate: 0.0,
        ..Signs::new()
    };
    let own: Box<dyn Optimizer<f64>> = Box::new(own);
    let (x, y) = (DMatrix::from_element(5, 2, 1.0), DMatrix::identity(3, 2));
    let examples = Examples::new(&x, &y).unwrap();
    let mut trainer = Trainer::new(Objective::new(CategoricalCrossEntropy), own);
    let refused = trainer.fit(&mut network(), &examples).unwrap_err();
    assert!(
        matches!(refused, Error::Hyperparameter { name, .. } if name.ends_with("rate")),
        "{refused}"
    );
}

#[test]
fn custom_optimizers_and_layers_are_saved_and_resumed_bit_for_bit() {
    for (name, method) in [
        ("signs", signs as fn() -> Method<f64>),
        ("adam", || Adam::new(0.02).into()),
    ] {
        let folder = format!("backprop-trained-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        _ = std::fs::remove_dir_all(&folder);
        let (expected, history) = train(method(), 15, None);
        assert!(history.records()[14].cost < history.records()[0].cost);
        train(method(), 7, Some(&folder));
        let (found, resumed) = train(method(), 15, Some(&folder));
        assert_eq!(bits(&found), bits(&expected), "{name}");
        assert_eq!(resumed, history, "{name}");

        let file = folder.join("network");
        save(&file, "network", &found).unwrap();
        let read: Network<f64, Own> = load(&file, "network").unwrap();
        assert_eq!(bits(&read), bits(&expected));
        assert_eq!(read, found);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
