//! Checkpoints of one number of ranks, resumed with another, and the ends of runs.

use super::{Outcome, numbers, on_ranks};
use backprop::activation::{Identity, Tanh};
use backprop::distributed::{Communicator, ThreadCommunicator};
use backprop::metrics::MeanSquaredError;
use backprop::saving::Checkpoints;
use backprop::training::{Adam, Lbfgs, Method, Stop, Trainer};
use backprop::{
    AnyCost, DistributedFault, Error, Examples, Initialization, Network, Objective, rng,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("ranks-{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn network() -> Network<f64> {
    Network::builder(4)
        .dense(6, Tanh)
        .dropout(0.2)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

fn trainer<'a>(method: impl Into<Method<f64>>, epochs: u64) -> Trainer<'a, f64> {
    Trainer::new(Objective::new(AnyCost::SquaredError).l2(0.1), method).epochs(epochs)
}

fn adam<'a>(epochs: u64) -> Trainer<'a, f64> {
    trainer(Adam::new(0.01), epochs)
        .batch_size(700)
        .seed(3)
        .metric(MeanSquaredError)
        .validation_fraction(0.2)
        .patience(5)
}

/// Where a run goes on.
#[derive(Clone, Copy, Debug)]
enum Place {
    Ranks(usize),
    Threads,
    One,
}

/// Trains until an epoch at this place, and returns what every rank has.
fn resumed(
    place: Place,
    folder: &Path,
    start: &Network<f64>,
    trainer: &(impl Fn() -> Trainer<'static, f64> + Sync),
) -> Vec<Outcome> {
    let (x, y) = (numbers(4, 2100, 0.1), numbers(2, 2100, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let on_one = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let mut trained = start.clone();
            let mut trainer = trainer().checkpoints(Checkpoints::new(folder), 1);
            let (history, _) = trainer.resume(&mut trained, &examples).unwrap();
            vec![Outcome::new(&trained, history)]
        })
    };
    match place {
        Place::One => on_one(1),
        Place::Threads => on_one(3),
        Place::Ranks(ranks) => on_ranks(ranks, |rank| {
            let mut trained = start.clone();
            // Only rank 0 can write to its folder.
            let own = match rank.rank() {
                0 => folder.to_owned(),
                _ => Path::new("/dev/null/nowhere").to_owned(),
            };
            let trainer = trainer().checkpoints(Checkpoints::new(own), 1);
            let mut trainer = trainer.distributed(rank);
            let (history, resumed) = trainer.resume(&mut trained, &examples).unwrap();
            assert!(resumed.skipped.is_empty());
            Outcome::new(&trained, history)
        }),
    }
}

fn any_number_goes_on(
    name: &str,
    start: &Network<f64>,
    trainer: impl Fn(u64) -> Trainer<'static, f64> + Sync,
) {
    let (x, y) = (numbers(4, 2100, 0.1), numbers(2, 2100, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let mut trained = start.clone();
    let history = trainer(6).fit(&mut trained, &examples).unwrap();
    let expected = Outcome::new(&trained, history);
    use Place::{One, Ranks, Threads};
    for (k, places) in [
        [Ranks(3), Ranks(2), One],
        [Ranks(2), Threads, Ranks(5)],
        [One, Ranks(4), Ranks(1)],
        [Ranks(5), One, Ranks(3)],
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::new(&format!("{name}{k}"));
        for (place, epochs) in places.into_iter().zip([2, 3, 6]) {
            let outcomes = resumed(place, &folder.0, start, &|| trainer(epochs));
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
            assert_eq!(outcomes[0].history.records().len(), epochs as usize);
            if epochs == 6 {
                assert!(outcomes[0] == expected, "{places:?}");
            }
        }
    }
}

#[test]
fn optimisers_go_on_with_other_ranks() {
    any_number_goes_on("adam", &network(), adam);
}

#[test]
fn solvers_go_on_with_other_ranks() {
    let network = Network::builder(4).dense(6, Tanh).dense(2, Identity);
    let start = network.initialize(Initialization::GlorotUniform, &mut rng(3));
    any_number_goes_on("lbfgs", &start.unwrap(), |epochs| {
        trainer(Lbfgs::new(), epochs)
    });
}

/// Rank 0 refuses what it finds for all ranks, and other settings are refused by each.
#[test]
fn checkpoints_that_do_not_fit() {
    let folder = Folder::new("refused");
    resumed(Place::Ranks(2), &folder.0, &network(), &|| adam(2));
    let (x, y) = (numbers(4, 2100, 0.1), numbers(2, 2100, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let run = |trainer: &(dyn Fn() -> Trainer<'static, f64> + Sync), fits: bool| {
        on_ranks(3, |rank| {
            let mut trained = network();
            let trainer = trainer().checkpoints(Checkpoints::new(&folder.0), 1);
            let mut trainer = trainer.distributed(rank);
            let done = if fits {
                trainer.fit(&mut trained, &examples).map(drop)
            } else {
                trainer.resume(&mut trained, &examples).map(drop)
            };
            assert_eq!(trained, network());
            done.unwrap_err()
        })
    };
    // A new run in a folder that has one.
    let found = run(&|| adam(4), true);
    let own = found[0].clone();
    assert!(matches!(&own, Error::Checkpoint { .. }), "{own}");
    let rank = 0;
    let message = own.to_string();
    let fault = DistributedFault::Failed { rank, message };
    let failed = Error::Distributed { fault };
    assert_eq!(found, [own, failed.clone(), failed]);
    // Another seed.
    for found in run(&|| adam(4).seed(4), false) {
        let expected = matches!(
            &found,
            Error::OtherTraining {
                what: "the seed",
                ..
            }
        );
        assert!(expected, "{found}");
    }
    // A checkpoint that is damaged.
    for file in std::fs::read_dir(&folder.0).unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    let found = run(&|| adam(4), false);
    assert!(
        matches!(&found[0], Error::Checkpoint { .. }),
        "{}",
        found[0]
    );
    let message = found[0].to_string();
    let failed = DistributedFault::Failed { rank, message };
    let of_others = |found: &Error| match found {
        // A long text is cut.
        Error::Distributed {
            fault: DistributedFault::Failed { rank: 0, message },
        } => failed.to_string().contains(message),
        _ => false,
    };
    assert!(found[1..].iter().all(of_others), "{found:?}");
}

/// Rank 0 cannot write a later checkpoint: the run ends on all ranks, after the same epoch.
#[test]
fn a_folder_that_is_gone() {
    let folder = Folder::new("gone");
    let inner = folder.0.join("inner");
    let (x, y) = (numbers(4, 2100, 0.1), numbers(2, 2100, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let found = on_ranks(3, |rank| {
        let mut trained = network();
        let mut trainer = adam(6)
            .checkpoints(Checkpoints::new(&inner), 1)
            .on_epoch(|epoch| {
                if rank.rank() == 0 && epoch.record.epoch == 3 {
                    std::fs::remove_dir_all(&inner).unwrap();
                    std::fs::write(&inner, "a file").unwrap();
                }
                ControlFlow::Continue(())
            })
            .distributed(rank);
        let done = trainer.fit(&mut trained, &examples).map(drop);
        (done.unwrap_err(), trained)
    });
    let own = &found[0].0;
    assert!(matches!(own, Error::Checkpoint { .. }), "{own}");
    for (error, trained) in &found[1..] {
        assert!(
            matches!(
                error,
                Error::Distributed {
                    fault: DistributedFault::Failed { rank: 0, .. }
                }
            ),
            "{error}"
        );
        assert_eq!(trained, &found[0].1);
    }
}

/// Runs on three ranks with a change on one of them, and returns the reason and the epochs.
fn ended(
    change: impl for<'a> Fn(Trainer<'a, f64>, &'a ThreadCommunicator) -> Trainer<'a, f64> + Sync,
) -> (Stop, usize) {
    let (x, y) = (numbers(4, 2100, 0.1), numbers(2, 2100, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    let found = on_ranks(3, |rank| {
        let mut trained = network();
        let mut trainer = change(adam(40), rank).distributed(rank);
        let history = trainer.fit(&mut trained, &examples).unwrap();
        Outcome::new(&trained, history)
    });
    assert!(found.iter().all(|outcome| *outcome == found[0]));
    let history = &found[0].history;
    (history.stop().unwrap(), history.records().len())
}

#[test]
fn one_rank_ends_the_run() {
    for last in [0, 1, 2] {
        let stopped = ended(|trainer, rank| {
            if rank.rank() != last {
                return trainer;
            }
            trainer.on_epoch(move |epoch| match epoch.record.epoch {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        });
        assert_eq!(stopped, (Stop::Callback, 3));
    }
    // The time of one rank, which sleeps after its second epoch.
    let (stop, count) = ended(|trainer, rank| {
        if rank.rank() != 1 {
            return trainer;
        }
        trainer.time(Duration::from_secs(2)).on_epoch(|epoch| {
            if epoch.record.epoch == 2 {
                std::thread::sleep(Duration::from_secs(2));
            }
            ControlFlow::Continue(())
        })
    });
    assert_eq!(stop, Stop::Time);
    // A callback is not timed before the next epoch.
    assert!(count <= 3, "{count}");
}
