//! Batches that are cut into parts, with any number of threads.

use super::random::Case;
use super::{bits, largest, numbers};
use backprop::nalgebra::DMatrix;
use backprop::{Accumulator, Examples, Objective, Workspace};

/// Trees with containers, 60 to 300 parameters, and enough examples for several threads.
fn large_cases() -> impl Iterator<Item = Case> {
    let trees = (0..).filter_map(|seed| {
        let p = Case::new(seed, 4, 1).network.parameters();
        let m = 1_000_000_usize.div_ceil(p) + 13;
        (60..300).contains(&p).then_some((seed, m))
    });
    trees.map(|(seed, m)| Case::new(seed, 4, m))
}

/// Examples `first` to `end` of a case, with the weights of the whole.
fn some<'a>(case: &'a Case, weights: &'a [f64], first: usize, end: usize) -> Examples<'a, f64> {
    let (x, y) = (
        case.x.columns(first, end - first),
        case.y.columns(first, end - first),
    );
    let examples = Examples::new(x, y).unwrap();
    examples.weighted(&weights[first..end]).unwrap()
}

#[test]
fn a_batch_in_parts_is_the_sum_of_its_halves() {
    for seed in 0..24 {
        let case = Case::new(seed, 4, 1100).with_all_targets();
        let (network, m) = (&case.network, 1100);
        let weights: Vec<f64> = (0..m).map(|k| case.weight(k)).collect();
        let sums = |cuts: &[usize]| {
            let mut sums = Accumulator::new(network).unwrap();
            let workspace = &mut Workspace::new();
            for cut in cuts.windows(2) {
                workspace.fill(f64::NAN);
                let examples = some(&case, &weights, cut[0], cut[1]);
                sums.add(network, &examples, &case.objective.cost, workspace)
                    .unwrap();
            }
            sums
        };
        let whole = sums(&[0, m]);
        // Halves are cut into parts, the shorter batches are not.
        for cuts in [vec![0, 550, m], (0..=m).step_by(100).collect()] {
            let found = sums(&cuts);
            assert_eq!(found.weight(), whole.weight());
            let (a, b) = (found.delta(), whole.delta());
            let size = largest(b.as_slice()).max(m as f64);
            assert!((a - b).amax() <= 1e-13 * size, "seed {seed}: {a}{b}");
            assert!((found.cost() - whole.cost()).abs() <= 1e-13 * whole.cost().abs().max(1.0));
        }
        let by_x = |first, end| {
            let objective = Objective::new(case.objective.cost);
            let examples = some(&case, &weights, first, end);
            let by_x = network.input_gradient(&examples, &objective).unwrap();
            by_x * examples.total_weight()
        };
        let halves = [by_x(0, 550), by_x(550, m)];
        let halves = halves.iter().flat_map(|half| half.iter().copied());
        let found = DMatrix::from_iterator(network.inputs(), m, halves);
        let expected = by_x(0, m);
        assert!(
            (found - &expected).amax() <= 1e-13 * expected.amax(),
            "seed {seed}"
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for case in large_cases().take(3) {
        assert!(case.x.ncols() * case.network.parameters() >= 1_000_000);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            bits(
                &pool
                    .unwrap()
                    .install(|| numbers(&case, &case.network, threads == 3)),
            )
        };
        let one = with(1);
        for threads in [2, 3] {
            assert!(with(threads) == one, "{threads} threads: {}", case.network);
        }
    }
}
