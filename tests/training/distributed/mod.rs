//! Several ranks train with the bits of one.

mod bits;
mod counts;
mod failures;
mod faults;
mod levels;
mod messages;
mod resume;
mod silent;
mod wrapped;

use backprop::distributed::ThreadCommunicator;
use backprop::nalgebra::DMatrix;
use backprop::training::{History, Trainer};
use backprop::{Error, Network};
use std::time::Duration;

/// The numbers of ranks that are tried.
pub const RANKS: [usize; 6] = [1, 2, 3, 4, 5, 7];

/// The outcome of a run: the bits of θ and the state, and the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub theta: Vec<u64>,
    pub state: Vec<u64>,
    pub history: History,
}

impl Outcome {
    pub fn new(network: &Network<f64>, history: History) -> Self {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
        Self {
            theta: bits(network.theta().as_slice()),
            state: bits(network.state().as_slice()),
            history,
        }
    }
}

/// Calls `f` on each rank of a group, on a thread of its own with one thread for products.
pub fn on_ranks<R: Send>(ranks: usize, f: impl Fn(&ThreadCommunicator) -> R + Sync) -> Vec<R> {
    let group = ThreadCommunicator::group(ranks);
    std::thread::scope(|scope| {
        let threads: Vec<_> = group
            .into_iter()
            .map(|rank| {
                let rank = rank.timeout(Duration::from_secs(60));
                scope.spawn(|| {
                    let rank = rank;
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                    pool.unwrap().install(|| f(&rank))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Numbers between −1 and 1 that repeat nowhere.
pub fn numbers(rows: usize, cols: usize, salt: f64) -> DMatrix<f64> {
    DMatrix::from_fn(rows, cols, |i, k| {
        (1.7 * salt + 0.9 * i as f64 + 0.37 * k as f64 + 0.011 * (i * k) as f64).sin()
    })
}

/// Checks that any number of ranks gives the outcome of one process.
pub fn same_on_all(
    network: &Network<f64>,
    fit: impl Fn(Option<&ThreadCommunicator>, &mut Network<f64>) -> Result<History, Error> + Sync,
) {
    let run = |rank: Option<&ThreadCommunicator>| {
        let mut trained = network.clone();
        let history = fit(rank, &mut trained)?;
        Ok::<_, Error>(Outcome::new(&trained, history))
    };
    let expected = run(None).unwrap();
    assert_ne!(
        expected.theta,
        Outcome::new(network, History::default()).theta
    );
    for ranks in RANKS {
        for (rank, found) in on_ranks(ranks, |rank| run(Some(rank)))
            .into_iter()
            .enumerate()
        {
            assert!(
                found.as_ref() == Ok(&expected),
                "rank {rank} of {ranks}: {found:?}"
            );
        }
    }
}

/// Returns the trainer, distributed if there is a rank.
pub fn shared<'a, C: backprop::Cost<f64>>(
    trainer: Trainer<'a, f64, C>,
    rank: Option<&'a ThreadCommunicator>,
) -> Trainer<'a, f64, C> {
    match rank {
        None => trainer,
        Some(rank) => trainer.distributed(rank),
    }
}
