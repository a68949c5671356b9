//! Ranks that do not answer.

use super::numbers;
use backprop::activation::{Identity, Tanh};
use backprop::distributed::{Communicator, ThreadCommunicator};
use backprop::training::{GradientDescent, Trainer};
use backprop::{
    AnyCost, DistributedFault, Error, Examples, Initialization, Network, Objective, rng,
};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

fn network() -> Network<f64> {
    Network::builder(3)
        .dense(4, Tanh)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

fn trainer<'a>() -> Trainer<'a, f64> {
    let objective = Objective::new(AnyCost::SquaredError);
    Trainer::new(objective, GradientDescent::new(0.1))
        .epochs(3)
        .batch_size(20)
}

fn fault(error: &Error) -> &DistributedFault {
    match error {
        Error::Distributed { fault } => fault,
        other => panic!("{other:?}"),
    }
}

/// Ranks that do not answer are noticed after the time that a rank waits, and not later.
#[test]
fn silent_ranks() {
    let (x, y) = (numbers(3, 2000, 0.1), numbers(2, 2000, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    for how in ["sleeps", "sleeps in a step", "returns", "panics"] {
        // A rank that ends is noticed at once.
        let sleeps = how.starts_with("sleeps");
        let after = Duration::from_millis(if sleeps { 300 } else { 60_000 });
        let started = Instant::now();
        let group = ThreadCommunicator::group(3);
        let found: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let threads = group.into_iter().map(|rank| {
                scope.spawn(move || {
                    let rank = rank.timeout(after);
                    let mut trained = network();
                    let mut trainer = trainer().distributed(&rank);
                    if rank.rank() == 1 {
                        match how {
                            "returns" => return Ok(()),
                            "sleeps" => std::thread::sleep(4 * after),
                            _ => {
                                trainer = trainer.on_epoch(move |_| {
                                    assert!(how != "panics", "planted");
                                    std::thread::sleep(4 * after);
                                    std::ops::ControlFlow::Continue(())
                                });
                            }
                        }
                    }
                    let done = trainer.fit(&mut trained, &examples);
                    assert!(done.is_err(), "{how}");
                    if matches!(how, "sleeps" | "returns") {
                        assert!(trained == network(), "{how}");
                    }
                    done.map(drop)
                })
            });
            let threads: Vec<_> = threads.collect();
            let ends = threads.into_iter().map(ScopedJoinHandle::join);
            ends.map(|end| end.unwrap_or(Ok(()))).collect()
        });
        assert!(started.elapsed() < Duration::from_secs(20), "{how}");
        let timed_out = found.iter().filter(|found| {
            matches!(found, Err(error) if *fault(error) == DistributedFault::TimedOut { after })
        });
        let timed_out = timed_out.count();
        assert!(
            if sleeps {
                timed_out >= 1
            } else {
                timed_out == 0
            },
            "{how}: {found:?}"
        );
        for (rank, found) in found.iter().enumerate() {
            match found {
                Ok(()) => assert!(rank == 1 && !sleeps, "{how} {rank}"),
                Err(error) => assert!(matches!(
                    fault(error),
                    DistributedFault::TimedOut { .. } | DistributedFault::Poisoned { .. }
                )),
            }
        }
    }
}
