//! Each rank computes its share once, and sends what the documentation states.

use super::wrapped::{Kind, Wrapped};
use super::{numbers, on_ranks};
use backprop::activation::{Identity, Tanh};
use backprop::cost::Outputs;
use backprop::nalgebra::DMatrixViewMut;
use backprop::training::{GradientDescent, Trainer};
use backprop::{AnyCost, Cost, Examples, Initialization, Network, Objective, rng};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Squared error, which counts the examples whose values and whose δ it computes.
struct Counting<'c> {
    values: &'c AtomicUsize,
    deltas: &'c AtomicUsize,
    /// The largest number of examples in one call.
    most: &'c AtomicUsize,
}

/// All ranks print the same.
impl std::fmt::Debug for Counting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counting")
    }
}

impl Cost<f64> for Counting<'_> {
    fn values(&self, at: &Outputs<'_, f64>, values: &mut [f64]) {
        self.values.fetch_add(values.len(), Ordering::Relaxed);
        self.most.fetch_max(values.len(), Ordering::Relaxed);
        AnyCost::SquaredError.values(at, values);
    }

    fn delta(&self, at: &Outputs<'_, f64>, delta: DMatrixViewMut<'_, f64>) {
        self.deltas.fetch_add(delta.ncols(), Ordering::Relaxed);
        AnyCost::SquaredError.delta(at, delta);
    }
}

/// What a rank did in one step and one evaluation of J.
struct Counts {
    values: usize,
    deltas: usize,
    most: usize,
    /// The bytes sent to other ranks in all calls of each kind.
    notes: usize,
    sums: Vec<usize>,
}

/// A network whose parts have 256 examples at most.
fn network() -> Network<f64> {
    Network::builder(5)
        .dense(120, Tanh)
        .dense(3, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

fn counts(ranks: usize, m: usize, epochs: u64) -> Vec<Counts> {
    let (x, y) = (numbers(5, m, 0.1), numbers(3, m, 0.7));
    let examples = Examples::new(&x, &y).unwrap();
    on_ranks(ranks, |rank| {
        let wrapped = Wrapped::new(rank, &|_, _, _| {});
        let [values, deltas, most] = [const { AtomicUsize::new(0) }; 3];
        let cost = Counting {
            values: &values,
            deltas: &deltas,
            most: &most,
        };
        let mut trainer = Trainer::new(Objective::new(cost), GradientDescent::new(0.01))
            .epochs(epochs)
            .distributed(&wrapped);
        trainer.fit(&mut network(), &examples).unwrap();
        let calls = wrapped.calls();
        let sent = |kind| calls.iter().filter(move |call| call.kind == kind);
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Counts {
            values: count(&values),
            deltas: count(&deltas),
            most: count(&most),
            notes: sent(Kind::AllGather).map(|call| call.sent).sum(),
            sums: sent(Kind::AllToAll).map(|call| call.sent).collect(),
        }
    })
}

/// The number of examples of the largest part of a batch, and the number of parts.
fn cut(m: usize) -> (usize, usize) {
    let parts = m.div_ceil(256).next_multiple_of(2);
    let part = m.div_ceil(parts);
    (part, m.div_ceil(part))
}

#[test]
fn every_example_is_computed_once() {
    for m in [512, 700, 2000, 3001, 5000] {
        let (part, parts) = cut(m);
        for ranks in [1, 2, 3, 5, 8] {
            // Without the comparison of 64 examples at the start.
            let once = counts(ranks, m, 1);
            let twice = counts(ranks, m, 2);
            let sum = |of: fn(&Counts) -> usize| {
                let pairs = twice.iter().zip(&once);
                pairs.map(|(two, one)| of(two) - of(one)).sum::<usize>()
            };
            // A step and J: the costs of both, and δ of the step.
            assert_eq!(sum(|of| of.deltas), m, "{m} on {ranks}");
            assert_eq!(sum(|of| of.values), 2 * m, "{m} on {ranks}");
            let most = part * parts.div_ceil(ranks);
            for (rank, (two, one)) in twice.iter().zip(&once).enumerate() {
                let own = two.deltas - one.deltas;
                assert!(own <= most, "{own} of {m} on rank {rank} of {ranks}");
                assert_eq!(two.values - one.values, 2 * own);
                assert!(two.most <= part.max(64), "{} of {part}", two.most);
            }
        }
    }
}

/// A rank sends the sums of at most 2 log₂ parts subtrees, cut into slices for the others, and its
/// own slice of the sum to all. Notes and costs take little.
#[test]
fn messages_are_as_small_as_stated() {
    let parameters = network().parameters();
    for m in [700, 5000, 9000] {
        let (_, parts) = cut(m);
        for ranks in [1, 2, 3, 5, 8] {
            let (once, twice) = (counts(ranks, m, 1), counts(ranks, m, 2));
            for (rank, (two, one)) in twice.iter().zip(&once).enumerate() {
                // One exchange for the step.
                let [.., sums] = two.sums[..] else {
                    panic!("no sums")
                };
                assert_eq!((one.sums.len(), two.sums.len()), (1, 2));
                let slices =
                    parameters - parameters * (rank + 1) / ranks + parameters * rank / ranks;
                let checks = 8 * (ranks - 1);
                let roots = (sums - checks) / (8 * slices).max(1);
                assert_eq!(sums, roots * 8 * slices + checks, "rank {rank} of {ranks}");
                let digits = parts.ilog2() as usize + 1;
                assert!(roots <= 2 * digits, "{roots} of {parts} parts");
                assert!(roots <= parts.div_ceil(ranks));
                if parts.is_power_of_two() && ranks.is_power_of_two() {
                    assert!(roots <= 1, "{roots} of {parts} parts on {ranks}");
                }
                // The slices of the sum, the costs of the parts in the step and in J, and notes:
                // of both costs, of the slices, of the parameters, and of the end of the epoch.
                let slice = parameters * (rank + 1) / ranks - parameters * rank / ranks;
                let share = parts * (rank + 1) / ranks - parts * rank / ranks;
                let expected = (ranks - 1) * (8 * (slice + 2 * share) + 5 * 512 + 3 * 8);
                assert_eq!(two.notes - one.notes, expected, "rank {rank} of {ranks}");
            }
            let all: usize = twice.iter().map(|two| two.sums[1]).sum();
            let most = 8 * parameters * (ranks - 1) * (2 * parts.ilog2() as usize + 2);
            assert!(all <= most + 8 * ranks * ranks, "{all}");
        }
    }
}
