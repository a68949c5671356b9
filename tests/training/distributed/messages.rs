//! Messages that arrive damaged, twice, late, or in another's place.

use super::wrapped::{Call, Change, Kind, Wrapped};
use super::{Outcome, numbers, on_ranks};
use backprop::activation::{Identity, Tanh};
use backprop::distributed::{Communicator, Shard, ThreadCommunicator};
use backprop::metrics::MeanSquaredError;
use backprop::training::{Adam, Trainer};
use backprop::{
    DistributedFault, Error, Examples, Initialization, Network, Objective, SquaredError, rng,
};

/// What damages the messages of one call.
struct Damage {
    name: &'static str,
    /// Returns whether it changed any byte.
    change: fn(&[Call], &mut [Vec<u8>]) -> bool,
}

/// Replaces a piece, and returns whether it changed.
fn replace(piece: &mut Vec<u8>, by: &[u8]) -> bool {
    let changes = piece.len() == by.len() && piece != by;
    if changes {
        piece.copy_from_slice(by);
    }
    changes
}

/// Returns the last call before this one whose piece `from` has the same length.
fn earlier(calls: &[Call], from: usize) -> Option<&Vec<u8>> {
    let (now, before) = calls.split_last()?;
    let same = |call: &&Call| {
        call.kind == now.kind && call.received[from].len() == now.received[from].len()
    };
    before
        .iter()
        .rev()
        .find(same)
        .map(|call| &call.received[from])
}

const DAMAGES: [Damage; 9] = [
    Damage {
        name: "zeroed",
        change: |_, pieces| {
            let zeros = vec![0; pieces[0].len()];
            replace(&mut pieces[0], &zeros)
        },
    },
    Damage {
        name: "cut",
        change: |_, pieces| {
            let mut cut = pieces[0].clone();
            let half = cut.len() / 2;
            cut[half..].fill(0);
            replace(&mut pieces[0], &cut)
        },
    },
    Damage {
        name: "one bit of the first byte",
        change: |_, pieces| {
            let first = pieces[0].first_mut();
            first.map(|byte| *byte ^= 0x10).is_some()
        },
    },
    Damage {
        name: "one bit of the last byte",
        change: |_, pieces| {
            let last = pieces[2].last_mut();
            last.map(|byte| *byte ^= 1).is_some()
        },
    },
    Damage {
        name: "one bit in the middle",
        change: |_, pieces| {
            let middle = pieces[0].len() / 2;
            let byte = pieces[0].get_mut(middle);
            byte.map(|byte| *byte ^= 0x80).is_some()
        },
    },
    Damage {
        name: "replayed",
        change: |calls, pieces| match earlier(calls, 0) {
            Some(earlier) => replace(&mut pieces[0], earlier),
            None => false,
        },
    },
    Damage {
        name: "replayed of all ranks",
        change: |calls, pieces| {
            let mut changes = false;
            for (rank, piece) in pieces.iter_mut().enumerate() {
                changes |= earlier(calls, rank).is_some_and(|earlier| replace(piece, earlier));
            }
            changes
        },
    },
    Damage {
        name: "twice",
        change: |_, pieces| {
            let first = pieces[0].clone();
            replace(&mut pieces[2], &first)
        },
    },
    Damage {
        name: "exchanged",
        change: |_, pieces| {
            let [first, .., last] = pieces else {
                return false;
            };
            let changes = first.len() == last.len() && first != last;
            if changes {
                std::mem::swap(first, last);
            }
            changes
        },
    },
];

fn network() -> Network<f64> {
    Network::builder(4)
        .dense(6, Tanh)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

/// Trains on a rank, with everything that is ever sent; the examples of a shard too, if `sharded`.
fn train(rank: &dyn Communicator, sharded: bool) -> Result<Outcome, Error> {
    let (x, y) = (numbers(4, 2400, 0.1), numbers(2, 2400, 0.7));
    let present = y.map(|y| y > -0.9);
    let mut network = network();
    let mut trainer = Trainer::new(Objective::new(SquaredError), Adam::new(0.01))
        .epochs(1)
        .batch_size(1200)
        .metric(MeanSquaredError)
        .distributed(rank);
    let history = if sharded {
        let (at, ranks) = (rank.rank(), rank.size());
        let part = 2400 * at / ranks..2400 * (at + 1) / ranks;
        let (x, y, present) = (
            x.columns(part.start, part.len()).into_owned(),
            y.columns(part.start, part.len()).into_owned(),
            present.columns(part.start, part.len()).into_owned(),
        );
        let weights = vec![0.5; part.len()];
        let own = Examples::with_missing(&x, &y, &present)?.weighted(&weights)?;
        let shard = Shard::new(rank, own)?;
        trainer.fit_source(&mut network, &shard)
    } else {
        trainer.fit(&mut network, &Examples::with_missing(&x, &y, &present)?)
    };
    Ok(Outcome::new(&network, history?))
}

/// Trains on three ranks. The messages to rank 1 are changed.
fn trained(sharded: bool, change: &Change<'_>) -> Vec<(Result<Outcome, Error>, Vec<Call>)> {
    on_ranks(3, |rank: &ThreadCommunicator| {
        let leave = |_: usize, _: &[Call], _: &mut [Vec<u8>]| {};
        let change = if rank.rank() == 1 { change } else { &leave };
        let wrapped = Wrapped::new(rank, change);
        let done = train(&wrapped, sharded);
        (done, wrapped.calls())
    })
}

fn every_damage_of_every_call(sharded: bool) {
    let intact = trained(sharded, &|_, _, _| {});
    let calls = &intact[1].1;
    let expected = intact[0].0.as_ref().unwrap();
    assert!(calls.iter().any(|call| call.kind == Kind::AllToAll));
    let mut count = 0;
    for at in 0..calls.len() {
        for Damage { name, change } in DAMAGES {
            let changed = std::sync::atomic::AtomicBool::new(false);
            let found = trained(sharded, &|k, calls, pieces| {
                if k == at && change(calls, pieces) {
                    changed.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            });
            if !changed.into_inner() {
                assert!(
                    found
                        .iter()
                        .all(|(found, _)| found.as_ref() == Ok(expected))
                );
                continue;
            }
            count += 1;
            for (rank, (found, _)) in found.iter().enumerate() {
                // The others need nothing after the last call.
                if rank != 1 && at == calls.len() - 1 {
                    assert_eq!(found.as_ref(), Ok(expected));
                    continue;
                }
                let fault = match found {
                    Err(Error::Distributed { fault }) => fault,
                    other => panic!("call {at} {name}: {other:?} on rank {rank}"),
                };
                let fits = match fault {
                    DistributedFault::Message { .. } => rank == 1,
                    DistributedFault::Poisoned { .. } => rank != 1,
                    _ => false,
                };
                assert!(fits, "call {at} {name}: {fault} on rank {rank}");
            }
        }
    }
    assert!(count > 4 * calls.len(), "{count} of {} calls", calls.len());
}

#[test]
fn damaged_messages_are_noticed() {
    every_damage_of_every_call(false);
}

#[test]
fn damaged_messages_of_shards_are_noticed() {
    every_damage_of_every_call(true);
}
