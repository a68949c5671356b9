//! Ranks that do not belong together: the same typed error on each, and nothing changes.

use super::{numbers, on_ranks};
use backprop::activation::{AnyActivation, Identity, LeakyRelu, Sigmoid, Tanh};
use backprop::distributed::{Communicator, ThreadCommunicator};
use backprop::metrics::{Accuracy, MeanSquaredError};
use backprop::nalgebra::DMatrix;
use backprop::training::{
    Adam, Clipping, GradientDescent, LevenbergMarquardt, Method, Schedule, Trainer,
};
use backprop::{
    AnyCost, DistributedFault, Error, Examples, Initialization, Network, Objective, rng,
};

type Settings = Trainer<'static, f64, AnyCost>;

/// What a rank trains with.
struct Run {
    network: Network<f64>,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    present: Option<DMatrix<bool>>,
    weights: Option<Vec<f64>>,
    objective: Objective<AnyCost>,
    method: Method<f64>,
    settings: fn(Settings) -> Settings,
}

fn network(activation: impl Into<AnyActivation>) -> Network<f64> {
    Network::builder(3)
        .dense(4, activation.into())
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

impl Run {
    fn new() -> Self {
        Self {
            network: network(Tanh),
            x: numbers(3, 700, 0.1),
            y: numbers(2, 700, 0.7),
            present: None,
            weights: None,
            objective: Objective::new(AnyCost::SquaredError),
            method: Adam::new(0.01).into(),
            settings: |trainer| trainer,
        }
    }

    fn fit(self, rank: &ThreadCommunicator) -> Result<(), Error> {
        let mut network = self.network;
        let start = network.clone();
        let mut examples = match &self.present {
            None => Examples::new(&self.x, &self.y)?,
            Some(present) => Examples::with_missing(&self.x, &self.y, present)?,
        };
        if let Some(weights) = &self.weights {
            examples = examples.weighted(weights)?;
        }
        let trainer = Trainer::new(self.objective, self.method).epochs(2);
        let done = (self.settings)(trainer)
            .distributed(rank)
            .fit(&mut network, &examples);
        assert!(done.is_ok() || network == start);
        done.map(drop)
    }
}

/// Runs with a change on rank 1 of three. Returns the disagreement, which is the same on all.
#[track_caller]
fn disagreement(change: impl Fn(&mut Run) + Sync) -> [String; 3] {
    let found = on_ranks(3, |rank| {
        let mut run = Run::new();
        if rank.rank() == 1 {
            change(&mut run);
        }
        run.fit(rank)
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    match &found[0] {
        Err(Error::Distributed {
            fault:
                DistributedFault::Disagreement {
                    what,
                    rank: 1,
                    expected,
                    found,
                },
        }) => {
            assert_ne!(expected, found);
            [(*what).to_owned(), expected.clone(), found.clone()]
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn equal_ranks_train() {
    assert_eq!(
        on_ranks(3, |rank| Run::new().fit(rank)),
        [const { Ok(()) }; 3]
    );
}

#[test]
fn settings_that_differ() {
    type Change = fn(Settings) -> Settings;
    let cases: [(Change, [&str; 3]); 15] = [
        (|t| t.epochs(3), ["the number of epochs", "2", "3"]),
        (
            |t| t.steps(9),
            [
                "the limits of steps and patience",
                "none and none",
                "9 and none",
            ],
        ),
        (
            |t| t.patience(5),
            [
                "the limits of steps and patience",
                "none and none",
                "none and 5",
            ],
        ),
        (|t| t.batch_size(100), ["the batch size", "none", "100"]),
        (
            |t| t.seed(8),
            ["the seed", "0, shuffle true", "8, shuffle true"],
        ),
        (
            |t| t.shuffle(false),
            ["the seed", "0, shuffle true", "0, shuffle false"],
        ),
        (
            |t| t.schedule(Schedule::Exponential { factor: 0.5 }),
            ["the schedule", "Constant", "Exponential { factor: 0.5 }"],
        ),
        (
            |t| t.clipping(Clipping::Norm(2.0)),
            ["the clipping", "none", "Norm(2.0)"],
        ),
        (
            |t| t.metric(MeanSquaredError),
            [
                "the metrics",
                "[], monitored none",
                "[\"mean squared error\"], monitored none",
            ],
        ),
        (
            |t| t.monitor(Accuracy),
            [
                "the metrics",
                "[], monitored none",
                "[\"accuracy\"], monitored 0",
            ],
        ),
        (
            |t| t.min_improvement(0.5),
            [
                "the settings of validation",
                "fraction none, least improvement 0, keep the best true",
                "fraction none, least improvement 0.5, keep the best true",
            ],
        ),
        (
            |t| t.keep_best(false),
            [
                "the settings of validation",
                "fraction none, least improvement 0, keep the best true",
                "fraction none, least improvement 0, keep the best false",
            ],
        ),
        (
            |t| t.validation_fraction(0.25),
            [
                "the settings of validation",
                "fraction none, least improvement 0, keep the best true",
                "fraction 0.25, least improvement 0, keep the best true",
            ],
        ),
        (
            |t| {
                static X: [f64; 6] = [0.5; 6];
                static Y: [f64; 4] = [0.25; 4];
                let (x, y) = (backprop::row_major(&X, 3), backprop::row_major(&Y, 2));
                t.validation(Examples::new(x.unwrap(), y.unwrap()).unwrap())
            },
            [
                "the validation examples",
                "none",
                "2 with 3 inputs and 2 targets, in blocks of 1, checksum ",
            ],
        ),
        (
            |t| {
                let folder = std::env::temp_dir().join("backprop-no-such-folder");
                t.checkpoints(backprop::saving::Checkpoints::new(folder), 1)
            },
            ["the checkpoints", "none", "those of a new run"],
        ),
    ];
    for (settings, expected) in cases {
        let found = disagreement(|run| run.settings = settings);
        assert_eq!(found[..2], expected[..2]);
        assert!(found[2].starts_with(expected[2]), "{found:?}");
    }
}

#[test]
fn methods_and_objectives_that_differ() {
    let what = |change: fn(&mut Run)| disagreement(change)[0].clone();
    let [method, expected, found] = disagreement(|run| run.method = Adam::new(0.02).into());
    assert_eq!(method, "the method");
    assert!(
        expected.contains("0.01") && found.contains("0.02"),
        "{expected} {found}"
    );
    assert_eq!(
        what(|run| run.method = Adam::new(0.01).betas(0.8, 0.999).into()),
        method
    );
    assert_eq!(
        what(|run| run.method = GradientDescent::new(0.01).into()),
        method
    );
    assert_eq!(
        what(|run| run.method = LevenbergMarquardt::new().into()),
        method
    );
    let objective = "the objective";
    assert_eq!(
        what(|run| run.objective = Objective::new(AnyCost::SquaredError).l2(0.1)),
        objective
    );
    assert_eq!(
        what(|run| run.objective = Objective::new(AnyCost::LogCosh)),
        objective
    );
}

#[test]
fn networks_that_differ() {
    let what = |change: fn(&mut Run)| disagreement(change)[0].clone();
    // The last bit of a parameter.
    let theta = "the checksum of the parameters and the state";
    assert_eq!(
        what(|run| {
            run.network = run
                .network
                .map(|x| if x > 0.5 { x.next_up() } else { x })
                .unwrap();
        }),
        theta
    );
    // Networks of the same size.
    let text = "the network";
    assert_eq!(what(|run| run.network = network(Sigmoid)), text);
    for slope in [0.01, 0.02] {
        let [what, ..] = disagreement(|run| run.network = network(LeakyRelu { slope }));
        assert_eq!(what, text);
    }
    // A constant of a layer.
    let dropping = |rate| {
        let builder = Network::builder(3).dense(4, Tanh).dropout(rate);
        let network = builder.dense(2, Identity);
        network
            .initialize(Initialization::GlorotUniform, &mut rng(3))
            .unwrap()
    };
    let found = on_ranks(3, |rank| {
        let mut run = Run::new();
        let second = rank.rank() == 1;
        run.network = dropping(if second { 0.25 } else { 0.5 });
        run.fit(rank)
    });
    assert!(
        matches!(
            &found[2],
            Err(Error::Distributed {
                fault: DistributedFault::Disagreement { rank: 1, .. }
            })
        ),
        "{found:?}"
    );
    assert!(found.iter().all(|found| *found == found.clone()));
}

#[test]
fn examples_that_differ() {
    let data = "the training examples";
    let [what, expected, found] = disagreement(|run| {
        run.x = numbers(3, 699, 0.1);
        run.y = numbers(2, 699, 0.7);
    });
    assert_eq!(what, data);
    assert!(expected.starts_with("700 with 3 inputs and 2 targets, in blocks of 1"));
    assert!(found.starts_with("699 with 3 inputs and 2 targets, in blocks of 1"));
    let what = |change: fn(&mut Run)| disagreement(change)[0].clone();
    assert_eq!(what(|run| run.x[(2, 0)] = 0.0), data);
    assert_eq!(what(|run| run.y[(1, 0)] = run.y[(1, 0)].next_down()), data);
    assert_eq!(what(|run| run.x = numbers(3, 700, 0.2)), data);
    assert_eq!(what(|run| run.weights = Some(vec![2.0; 700])), data);
    // Weights, and which targets are missing, are compared for all examples or those of the sample.
    assert_eq!(
        what(|run| {
            let mut weights = vec![1.0; 700];
            weights[333] = 0.5;
            run.weights = Some(weights);
        }),
        data
    );
    assert_eq!(what(|run| run.present = Some(run.y.map(|y| y > 0.0))), data);
    // A target that is 0, and missing.
    let missing = |is_missing: bool| {
        let mut run = Run::new();
        run.y[0] = 0.0;
        let mut present = DMatrix::from_element(2, 700, true);
        present[0] = !is_missing;
        run.present = Some(present);
        run
    };
    let found = on_ranks(2, |rank| missing(rank.rank() == 1).fit(rank));
    assert_eq!(found[0], found[1]);
    assert!(
        matches!(
            &found[0],
            Err(Error::Distributed {
                fault: DistributedFault::Disagreement {
                    rank: 1,
                    what: "the training examples",
                    ..
                }
            })
        ),
        "{found:?}"
    );
}

/// Two kinds of networks and solvers are refused on every rank, each by its own error.
#[test]
fn what_ranks_cannot_share() {
    let normalised = || {
        let builder = Network::builder(3).dense(4, Tanh).batch_norm();
        let network = builder.dense(2, Identity);
        network
            .initialize(Initialization::GlorotUniform, &mut rng(3))
            .unwrap()
    };
    let found = on_ranks(3, |rank| {
        let mut run = Run::new();
        run.network = normalised();
        run.fit(rank)
    });
    for found in found {
        let expected = Error::Coupled {
            layer: 1.into(),
            what: "distributed training",
            training: true,
        };
        assert_eq!(found, Err(expected));
    }
    let found = on_ranks(3, |rank| {
        let mut run = Run::new();
        run.method = LevenbergMarquardt::new().into();
        run.fit(rank)
    });
    for found in found {
        assert!(
            matches!(&found, Err(Error::Unsupported { .. })),
            "{found:?}"
        );
    }
    // A setting that is out of range is an error of this rank, and of the others that it failed.
    let found = on_ranks(3, |rank| {
        let mut run = Run::new();
        if rank.rank() == 1 {
            run.settings = |trainer| trainer.epochs(0);
        }
        run.fit(rank)
    });
    let own = found[1].clone().unwrap_err();
    assert!(matches!(&own, Error::Hyperparameter { .. }), "{own:?}");
    let fault = DistributedFault::Failed {
        rank: 1,
        message: own.to_string(),
    };
    let failed = Err(Error::Distributed { fault });
    assert_eq!([&found[0], &found[2]], [&failed, &failed]);
}
