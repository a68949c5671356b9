//! The same bits for any number of ranks, for every method and kind of data.

use super::{numbers, on_ranks, same_on_all, shared};
use backprop::activation::{Identity, Sigmoid, Softmax, Tanh};
use backprop::distributed::{Communicator, Shard};
use backprop::metrics::{Accuracy, MeanSquaredError};
use backprop::nalgebra::DMatrix;
use backprop::source::{ReadInto, Source};
use backprop::training::{
    Adam, AdamW, Clipping, ConjugateGradient, GradientDescent, IRpropMinus, Lbfgs, Method, RmsProp,
    Schedule, Trainer,
};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Error, Examples, Initialization, Network,
    Objective, SquaredError, rng,
};

fn network(inputs: usize, outputs: usize) -> Network<f64> {
    Network::builder(inputs)
        .dense(9, Tanh)
        .dense(6, Sigmoid)
        .dense(outputs, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

#[test]
fn every_method() {
    let (x, y) = (numbers(5, 2300, 0.1), numbers(3, 2300, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let methods: [fn() -> Method<f64>; 7] = [
        || GradientDescent::new(0.1).momentum(0.9).into(),
        || Adam::new(0.01).into(),
        || AdamW::new(0.01).into(),
        || RmsProp::new(0.01).into(),
        || IRpropMinus::new(0.01).into(),
        || Lbfgs::new().into(),
        || ConjugateGradient::new().into(),
    ];
    for method in methods {
        same_on_all(&network(5, 3), |rank, network| {
            let objective = Objective::new(SquaredError).l2(0.3);
            let trainer = Trainer::new(objective, method()).epochs(3);
            shared(trainer, rank).fit(network, &examples)
        });
    }
}

#[test]
fn mini_batches_with_everything() {
    let (x, y) = (numbers(5, 3001, 0.1), numbers(3, 3001, 0.7));
    let weights: Vec<f64> = (0..3001).map(|k| f64::from(k % 5)).collect();
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let builder = Network::builder(5)
        .dense(9, Tanh)
        .dropout(0.2)
        .gaussian_noise(0.1);
    let network = builder
        .dense(3, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    for batch in [1, 64, 700, 1111, 2251] {
        same_on_all(&network, |rank, network| {
            let objective = Objective::new(SquaredError).l1(0.1).l2(0.2);
            let trainer = Trainer::new(objective, Adam::new(0.01))
                .epochs(if batch == 1 { 1 } else { 3 })
                .batch_size(batch)
                .seed(5)
                .schedule(Schedule::Exponential { factor: 0.9 })
                .clipping(Clipping::Norm(0.5))
                .metric(MeanSquaredError)
                .validation_fraction(0.25);
            shared(trainer, rank).fit(network, &examples)
        });
    }
}

#[test]
fn missing_targets_and_a_monitored_metric() {
    let (x, y) = (numbers(5, 1500, 0.1), numbers(3, 1500, 0.7));
    let present = y.map(|y| y > -0.5);
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    same_on_all(&network(5, 3), |rank, network| {
        let trainer = Trainer::new(Objective::new(SquaredError), Adam::new(0.01))
            .epochs(4)
            .batch_size(800)
            .monitor(MeanSquaredError)
            .patience(2);
        shared(trainer, rank).fit(network, &examples)
    });
}

#[test]
fn classes_and_validation_examples() {
    let x = numbers(6, 1300, 0.2);
    let labels: Vec<usize> = (0..1300).map(|k| (k * k + k / 7) % 4).collect();
    let y = backprop::data::one_hot(&labels, 4).unwrap();
    let examples = Examples::new(x.columns(0, 1000), y.columns(0, 1000)).unwrap();
    let validation = Examples::new(x.columns(1000, 300), y.columns(1000, 300)).unwrap();
    let network = Network::builder(6)
        .dense(8, Tanh)
        .dense(4, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    for shuffle in [true, false] {
        same_on_all(&network, |rank, network| {
            let objective = Objective::new(CategoricalCrossEntropy).l2(1.0);
            let trainer = Trainer::new(objective, Lbfgs::new())
                .epochs(5)
                .shuffle(shuffle)
                .metric(Accuracy)
                .validation(validation);
            shared(trainer, rank).fit(network, &examples)
        });
    }
}

/// More parameters than the second-level cache holds: parts of 512 examples or more.
#[test]
fn large_networks() {
    let x = numbers(300, 2100, 0.1);
    let y = numbers(2, 2100, 0.7).map(|y| f64::from(u8::from(y > 0.0)));
    let examples = Examples::new(&x, &y).unwrap();
    let network = Network::builder(300)
        .dense(900, Tanh)
        .dense(2, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    assert!(network.parameters() > 1 << 18);
    same_on_all(&network, |rank, network| {
        let objective = Objective::new(BinaryCrossEntropy);
        let trainer = Trainer::new(objective, Adam::new(0.001))
            .epochs(1)
            .batch_size(1700);
        shared(trainer, rank).fit(network, &examples)
    });
}

/// Every rank holds a part of the examples, of any length.
#[test]
fn shards_in_the_memory_of_ranks() {
    let (x, y) = (numbers(5, 1501, 0.1), numbers(3, 1501, 0.7));
    let weights: Vec<f64> = (0..1501).map(|k| f64::from(k % 5)).collect();
    let present = y.map(|y| y > -0.5);
    for (weighted, batch) in [(true, 700), (false, 1501), (false, 90)] {
        same_on_all(&network(5, 3), |rank, network| {
            let trainer = Trainer::new(Objective::new(SquaredError), Adam::new(0.01))
                .epochs(2)
                .batch_size(batch)
                .metric(MeanSquaredError)
                .seed(1);
            let trainer = if weighted {
                trainer.validation_fraction(0.2)
            } else {
                trainer
            };
            let part = match rank {
                None => 0..1501,
                Some(rank) => share(rank.rank(), rank.size()),
            };
            let (x, y) = (
                x.columns(part.start, part.len()).into_owned(),
                y.columns(part.start, part.len()).into_owned(),
            );
            let present = present.columns(part.start, part.len()).into_owned();
            let mut examples = Examples::with_missing(&x, &y, &present)?;
            if weighted {
                examples = examples.weighted(&weights[part])?;
            }
            match rank {
                None => shared(trainer, rank).fit(network, &examples),
                Some(at) => {
                    let shard = Shard::new(at, examples)?;
                    shared(trainer, rank).fit_source(network, &shard)
                }
            }
        });
    }
}

/// Examples that have neither inputs nor targets are read too.
#[test]
fn a_shard_of_empty_examples() {
    let empty = DMatrix::<f64>::zeros(0, 3);
    let done = on_ranks(2, |rank| {
        let shard = Shard::new(rank, Examples::new(&empty, &empty)?)?;
        shard.read(&[5, 0], ReadInto::new(&mut [], &mut [], &mut []))?;
        Ok::<_, Error>(shard.len())
    });
    assert_eq!(done, [Ok(6), Ok(6)]);
}

/// The examples of a rank: more for later ranks.
fn share(rank: usize, ranks: usize) -> std::ops::Range<usize> {
    let start = |rank: usize| 1501 * rank * (rank + 1) / (ranks * (ranks + 1));
    start(rank)..start(rank + 1)
}

/// Batch norms with fixed statistics couple no examples.
#[test]
fn fixed_statistics_and_layers_that_draw() {
    let (x, y) = (numbers(3, 2000, 0.1), numbers(2, 2000, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let trainer = || {
        let trainer = Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.1));
        trainer.batch_size(1900).epochs(2)
    };
    let builder = Network::builder(3).dense(40, Tanh).batch_norm();
    let mut network = builder
        .dropout(0.3)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    trainer().fit(&mut network, &examples).unwrap();
    network.fix_statistics(1).unwrap();
    same_on_all(&network, |rank, network| {
        shared(trainer(), rank).fit(network, &examples)
    });
}

/// Branches, norms of single examples and random layers inside each other; batches of a few
/// examples, which are one part, and of many.
#[test]
fn nested_layers() {
    let network = Network::<f64>::builder(5)
        .dense(6, Tanh)
        .residual(|inner| {
            inner
                .layer_norm()
                .dense(4, Tanh)
                .dropout(0.3)
                .dense(6, Identity)
        })
        .dense(3, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(2))
        .unwrap();
    for (m, batch) in [(3, 2), (7, 7), (1300, 1100)] {
        let (x, y) = (numbers(5, m, 0.1), numbers(3, m, 0.7));
        let examples = Examples::new(&x, &y).unwrap();
        same_on_all(&network, |rank, network| {
            let objective = Objective::new(SquaredError).l2(0.3);
            let trainer = Trainer::new(objective, Adam::new(0.01))
                .epochs(2)
                .batch_size(batch);
            shared(trainer, rank).fit(network, &examples)
        });
    }
}
