//! Per-example gradients.

use super::{TAME, bits, close, largest};
use crate::support::{Case, cases, config};
use backprop::{Examples, Objective, Workspace};
use proptest::prelude::*;

/// The size to which smaller gradients are compared. Outputs and targets have size 1, and δ, their
/// difference, keeps the rounding of both. 1e-13 is 450 such roundings.
const ROUNDED: f64 = 0.1;

/// Returns ∇cost of each example from its own pass, in sequence.
fn one_by_one(case: &Case) -> Vec<f64> {
    let objective = Objective::new(case.objective.cost);
    let gradient = |k| {
        let one = Examples::new(case.x.columns(k, 1), case.y.columns(k, 1)).unwrap();
        case.network.gradient_vector(&one, &objective).unwrap()
    };
    (0..case.x.ncols())
        .flat_map(|k| gradient(k).as_slice().to_vec())
        .collect()
}

fn norm(gradient: &[f64]) -> f64 {
    gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
}

proptest! {
    #![proptest_config(config())]

    /// Weights and penalties do not affect per-example gradients.
    #[test]
    fn they_are_those_of_a_pass_each(case in cases(TAME)) {
        let (network, examples, cost) = (&case.network, case.examples(), &case.objective.cost);
        let p = network.parameters();
        let expected = one_by_one(&case);
        let found = network.example_gradients(&examples, cost).matrix().unwrap();
        prop_assert_eq!(found.shape(), (p, case.x.ncols()));
        for (found, expected) in found.column_iter().zip(expected.chunks_exact(p)) {
            close(found.as_slice(), expected, ROUNDED)?;
        }

        let mut visited = Vec::new();
        let mut numbers = Vec::new();
        network
            .example_gradients(&examples, cost).for_each(&mut Workspace::new(), |k, gradient| {
                numbers.push(k);
                visited.extend_from_slice(gradient);
            })
            .unwrap();
        prop_assert_eq!(numbers, (0..case.x.ncols()).collect::<Vec<_>>());
        prop_assert_eq!(bits(&visited), bits(found.as_slice()));

        let norms = network.example_gradients(&examples, cost).norms().unwrap();
        let expected: Vec<f64> = expected.chunks_exact(p).map(norm).collect();
        for (&found, expected) in norms.iter().zip(expected) {
            close(&[found], &[expected], ROUNDED)?;
        }
    }

    /// By hand: the sum of weighted gradients, in which those above the limit are clipped to it.
    #[test]
    fn clipped_sums_are_sums_of_shortened_gradients(case in cases(TAME), share in 0.01..1.5) {
        let (network, examples, cost) = (&case.network, case.examples(), &case.objective.cost);
        let p = network.parameters();
        let gradients = one_by_one(&case);
        let norms: Vec<f64> = gradients.chunks_exact(p).map(norm).collect();
        // The limit differs from every norm. At a norm, rounding would decide.
        let most = share * largest(&norms) + 1e-6;
        let (mut expected, mut shortened, mut size) = (vec![0.0; p], 0, 0.0_f64);
        for (k, gradient) in gradients.chunks_exact(p).enumerate() {
            shortened += usize::from(norms[k] > most);
            let factor = case.weight(k) * (most / norms[k]).min(1.0);
            for (sum, g) in expected.iter_mut().zip(gradient) {
                *sum += factor * g;
                size = size.max((factor * g).abs());
            }
        }
        let mut found = vec![f64::NAN; p];
        let each = network.example_gradients(&examples, cost);
        let count = each.clipped_sum(most, &mut Workspace::new(), &mut found);
        prop_assert_eq!(count.unwrap(), shortened);
        close(&found, &expected, size)?;
    }
}
