//! Permutations depend only on seed and epoch, and are all equally likely.

use super::{VALUES, list};
use backprop::data::permutation_into;
use std::collections::{BTreeMap, BTreeSet};

fn permutation(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order = vec![usize::MAX; n];
    permutation_into(&mut order, seed, epoch);
    order
}

/// Permutations equal those of an implementation in another language, on every platform.
#[test]
fn permutations_are_pinned() {
    let cases = VALUES["permutations"].as_array().unwrap();
    assert!(cases.len() > 5);
    for case in cases {
        let number = |name: &str| case[name].as_str().unwrap().parse().unwrap();
        let order: Vec<usize> = list(&case["order"]);
        let found = permutation(order.len(), number("seed"), number("epoch"));
        assert_eq!(found, order, "{case}");
    }
}

#[test]
fn permutations_are_permutations() {
    assert!(permutation(0, 1, 2).is_empty());
    assert_eq!(permutation(1, 1, 2), [0]);
    for n in (0..70).chain([1000, 4097]) {
        for epoch in [0, 1, u64::MAX] {
            let mut order = permutation(n, n as u64, epoch);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..n), "{n}");
        }
    }
}

/// Neither the contents of the buffer nor earlier epochs matter.
#[test]
fn permutations_depend_only_on_seed_and_epoch() {
    let mut order: Vec<usize> = (0..100).collect();
    for epoch in [9, 3, 9, 0] {
        permutation_into(&mut order, 4, epoch);
        assert_eq!(order, permutation(100, 4, epoch));
    }
    // All pairs of seed and epoch give different orders, even if swapped or with an equal sum.
    let all: BTreeSet<Vec<usize>> = (0..30)
        .flat_map(|seed| (0..30).map(move |epoch| permutation(100, seed, epoch)))
        .collect();
    assert_eq!(all.len(), 900);
}

/// Computes χ² = Σ (found − expected)²/expected.
fn chi_square(found: impl IntoIterator<Item = f64>, expected: f64) -> f64 {
    let terms = found.into_iter().map(|n| (n - expected).powi(2) / expected);
    terms.sum()
}

/// All 120 orders of five are equally frequent, over epochs and over seeds. With 119 degrees of
/// freedom, χ² exceeds 182 once in 5000 times, and it falls below 72 as rarely.
#[test]
fn all_orders_are_equally_likely() {
    let trials = 60_000;
    for by_epoch in [true, false] {
        let mut often = BTreeMap::<Vec<usize>, f64>::new();
        for trial in 0..trials {
            let (seed, epoch) = if by_epoch { (17, trial) } else { (trial, 17) };
            *often.entry(permutation(5, seed, epoch)).or_default() += 1.0;
        }
        assert_eq!(often.len(), 120);
        let found = chi_square(often.into_values(), trials as f64 / 120.0);
        assert!(found > 72.0 && found < 182.0, "{found}");
    }
}

/// Every entry occurs equally often in every place. For 30 × 30 counts, χ² has 29² = 841 degrees of
/// freedom and a standard deviation of 41.
#[test]
fn all_places_are_equally_likely() {
    let (n, trials) = (30, 20_000);
    let mut often = vec![0.0; n * n];
    let mut order = vec![0; n];
    for epoch in 0..trials {
        permutation_into(&mut order, 23, epoch);
        for (place, &entry) in order.iter().enumerate() {
            often[place * n + entry] += 1.0;
        }
    }
    let found = chi_square(often, trials as f64 / n as f64);
    assert!((found - 841.0).abs() < 4.0 * 41.0, "{found}");
}

/// The positions of an entry in successive epochs are uncorrelated.
#[test]
fn epochs_are_independent() {
    let (n, epochs) = (50_usize, 4000_u64);
    let mut sum = 0.0;
    let centred = |x: usize| x as f64 - (n as f64 - 1.0) / 2.0;
    let mut last = permutation(n, 2, 0);
    for epoch in 1..=epochs {
        let next = permutation(n, 2, epoch);
        let pairs = last.iter().zip(&next);
        sum += pairs.map(|(&a, &b)| centred(a) * centred(b)).sum::<f64>();
        last = next;
    }
    // A sum of n products of two numbers of variance v has the standard deviation v n/√(n − 1). For
    // all epochs it is √epochs times that.
    let variance = (n * n - 1) as f64 / 12.0;
    let deviation = variance * n as f64 / (n as f64 - 1.0).sqrt() * (epochs as f64).sqrt();
    assert!(
        sum.abs() < 4.0 * deviation,
        "{} deviations",
        sum / deviation
    );
}
