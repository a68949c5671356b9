//! Splits: partitions, equal shares of each class, and scikit-learn's folds.

use super::{VALUES, list, uniform};
use backprop::data::{
    Fractions, KFold, Split, ThreeWaySplit, stratified_split, stratified_three_way_split,
    three_way_split, train_test_split,
};
use backprop::{Error, rng};
use std::collections::BTreeMap;

/// Checks that each index of 0..m is in one of the two parts, in ascending order.
#[track_caller]
fn is_partition(split: &Split, examples: usize) {
    let ascending = |part: &[usize]| part.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(
        ascending(&split.train) && ascending(&split.test),
        "{split:?}"
    );
    let mut all = [&split.train[..], &split.test].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..examples), "{split:?}");
}

/// Counts the examples of each label.
fn counts(labels: impl IntoIterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_default() += 1;
    }
    counts
}

fn of_class(split: &Split, labels: &[usize], label: usize) -> usize {
    split.test.iter().filter(|&&k| labels[k] == label).count()
}

#[test]
fn the_test_part_has_its_share() {
    for (examples, fraction, tests) in [
        (10, 0.2, 2),
        (10, 0.25, 3),
        (10, 0.24, 2),
        (2, 0.5, 1),
        (3, 1.0 / 3.0, 1),
        (1000, 0.999, 999),
        (7, 0.9, 6),
    ] {
        for seed in 0..20 {
            let split = train_test_split(examples, fraction, seed).unwrap();
            is_partition(&split, examples);
            assert_eq!(split.test.len(), tests, "{fraction} of {examples}");
            assert_eq!(split, train_test_split(examples, fraction, seed).unwrap());
        }
    }
    let of = |seed| train_test_split(100, 0.3, seed).unwrap().test;
    assert_ne!(of(1), of(2));
}

/// A split of a split gives three disjoint parts.
#[test]
fn a_split_within_a_split() {
    let labels: Vec<usize> = (0..60).map(|k| usize::from(k % 3 == 0)).collect();
    for seed in 0..20 {
        let outer = stratified_split(&labels, 0.2, seed).unwrap();
        let rest: Vec<usize> = outer.train.iter().map(|&k| labels[k]).collect();
        let inner = stratified_split(&rest, 0.25, seed).unwrap();
        let inner = inner.within(&outer.train).unwrap();
        let mut both = [&inner.train[..], &inner.test].concat();
        both.sort_unstable();
        assert_eq!(both, outer.train);
        assert_eq!((inner.train.len(), inner.test.len()), (36, 12));
        assert_eq!(of_class(&inner, &labels, 1), 4);
    }
    let refused = train_test_split(5, 0.4, 1).unwrap().within(&[7, 8, 9, 10]);
    let expected = Error::Index {
        what: "example",
        index: 4,
        count: 4,
    };
    assert_eq!(refused, Err(expected));
}

/// Over many seeds, every example occurs equally often in the test part.
#[test]
fn no_example_is_preferred() {
    let (seeds, examples) = (20_000, 10);
    let labels = [4, 4, 9, 4, 9, 4, 4, 9, 9, 4];
    for stratified in [false, true] {
        let mut often = [0.0; 10];
        for seed in 0..seeds {
            let split = if stratified {
                stratified_split(&labels, 0.5, seed)
            } else {
                train_test_split(examples, 0.5, seed)
            };
            split.unwrap().test.iter().for_each(|&k| often[k] += 1.0);
        }
        let expected = seeds as f64 / 2.0;
        // Five standard deviations of a binomial count.
        let bound = 5.0 * (expected / 2.0).sqrt();
        for (k, often) in often.iter().enumerate() {
            assert!(
                (often - expected).abs() < bound,
                "{k}: {often}, {stratified}"
            );
        }
    }
}

#[test]
fn classes_have_their_shares() {
    for case in VALUES["shares"].as_array().unwrap() {
        let of_classes: Vec<usize> = list(&case["counts"]);
        let expected: Vec<usize> = list(&case["test_counts"]);
        let tests = usize::try_from(case["tests"].as_u64().unwrap()).unwrap();
        let labels = of_classes.iter().enumerate();
        let labels: Vec<usize> = labels.flat_map(|(label, &n)| vec![label; n]).collect();
        let fraction = tests as f64 / labels.len() as f64;
        for seed in 0..10 {
            let split = stratified_split(&labels, fraction, seed).unwrap();
            is_partition(&split, labels.len());
            let found: Vec<usize> = (0..of_classes.len())
                .map(|label| of_class(&split, &labels, label))
                .collect();
            assert_eq!(found, expected, "{case}");
        }
    }
    // Equal remainders: the lowest label gets one more.
    let labels = [
        8,
        8,
        8,
        usize::MAX,
        usize::MAX,
        usize::MAX,
        2,
        2,
        2,
        5,
        5,
        5,
    ];
    let split = stratified_split(&labels, 0.5, 3).unwrap();
    let found = [2, 5, 8, usize::MAX].map(|label| of_class(&split, &labels, label));
    assert_eq!(found, [2, 2, 1, 1]);
}

/// Each class gets its quota, rounded down or up, and the total is as requested.
#[test]
fn random_labels_are_stratified() {
    let mut rng = rng(5);
    let mut seen = 0;
    for seed in 0..400 {
        let m = 12 + (200.0 * uniform(&mut rng).abs()) as usize;
        let classes = 1.0 + (6.0 * uniform(&mut rng).abs()).floor();
        let label = |u: f64| (classes * u * u) as usize;
        let labels: Vec<usize> = (0..m).map(|_| label(uniform(&mut rng))).collect();
        let all = counts(labels.iter().copied());
        let (fewest, fraction) = (
            all.values().min().unwrap(),
            0.1 + 0.4 * (1.0 + uniform(&mut rng)),
        );
        if *fewest < 2 {
            continue;
        }
        seen += 1;
        let split = stratified_split(&labels, fraction, seed);
        // A part with fewer examples than classes is refused, as by scikit-learn.
        let tests = (fraction * m as f64).round() as usize;
        if tests.min(m - tests) < all.len() {
            assert!(split.is_err(), "{tests} of {m}, {all:?}");
            continue;
        }
        let split = split.unwrap();
        is_partition(&split, m);
        assert_eq!(split.test.len(), (fraction * m as f64).round() as usize);
        for (&label, &count) in &all {
            let (found, whole) = (of_class(&split, &labels, label), split.test.len() * count);
            assert!(found == whole / m || found == whole.div_ceil(m), "{all:?}");
        }
        for folds in 2..=(*fewest).min(7) {
            for k_fold in [KFold::new(folds), KFold::new(folds).shuffled(seed)] {
                let splits = k_fold.stratified(&labels).unwrap();
                are_folds(&splits, folds, m);
                for (&label, &count) in &all {
                    for split in &splits {
                        let found = of_class(split, &labels, label);
                        let (least, most) = (count / folds, count.div_ceil(folds));
                        assert!(found == least || found == most, "{all:?}");
                    }
                }
                are_folds(&k_fold.split(m).unwrap(), folds, m);
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

/// Each example is in a test part once. The sizes of the test parts differ by at most one.
#[track_caller]
fn are_folds(splits: &[Split], folds: usize, examples: usize) {
    assert_eq!(splits.len(), folds);
    splits
        .iter()
        .for_each(|split| is_partition(split, examples));
    let mut tests: Vec<usize> = splits.iter().flat_map(|split| split.test.clone()).collect();
    tests.sort_unstable();
    assert!(tests.into_iter().eq(0..examples));
    let sizes = splits.iter().map(|split| split.test.len());
    assert!(
        sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1,
        "{splits:?}"
    );
}

#[test]
fn folds_of_scikit_learn() {
    let number = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let tests = |splits: Vec<Split>| -> Vec<Vec<usize>> {
        splits.into_iter().map(|split| split.test).collect()
    };
    for case in VALUES["k_fold"].as_array().unwrap() {
        let k_fold = KFold::new(number(&case["folds"]));
        let found = tests(k_fold.split(number(&case["examples"])).unwrap());
        assert_eq!(found, list::<Vec<usize>>(&case["tests"]), "{case}");
    }
    for case in VALUES["stratified"].as_array().unwrap() {
        let k_fold = KFold::new(number(&case["folds"]));
        let labels: Vec<usize> = list(&case["labels"]);
        let found = tests(k_fold.stratified(&labels).unwrap());
        assert_eq!(found, list::<Vec<usize>>(&case["tests"]), "{case}");
    }
}

#[test]
fn seeds_make_folds() {
    let folds = |seed| KFold::new(4).shuffled(seed).split(40).unwrap();
    assert_eq!(folds(1), folds(1));
    assert_ne!(folds(1), folds(2));
    assert_ne!(folds(1), KFold::new(4).split(40).unwrap());
    let labels: Vec<usize> = (0..40).map(|k| k % 2).collect();
    let folds = |seed| KFold::new(4).shuffled(seed).stratified(&labels).unwrap();
    assert_eq!(folds(1), folds(1));
    assert_ne!(folds(1), folds(2));
}

/// Checks that each example is in exactly one part, in ascending order.
fn are_three_parts(split: &ThreeWaySplit, sizes: [usize; 3]) {
    let parts = [&split.train, &split.validation, &split.test];
    assert_eq!(parts.map(Vec::len), sizes);
    assert!(
        parts
            .iter()
            .all(|part| part.windows(2).all(|w| w[0] < w[1]))
    );
    let mut all = parts.map(Clone::clone).concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..sizes.iter().sum()));
}

#[test]
fn three_parts_hold_each_example_once() {
    for (m, validation, test, sizes) in [
        (10, 0.2, 0.3, [5, 2, 3]),
        (3, 0.4, 0.4, [1, 1, 1]),
        (101, 0.25, 0.5, [25, 25, 51]),
        (1000, 0.001, 0.998, [1, 1, 998]),
    ] {
        for seed in 0..20 {
            let fractions = Fractions { validation, test };
            let split = three_way_split(m, fractions, seed).unwrap();
            are_three_parts(&split, sizes);
            assert_eq!(split, three_way_split(m, fractions, seed).unwrap());
            assert_eq!(split.test, train_test_split(m, test, seed).unwrap().test);
        }
    }
}

/// Classes of 60, 30 and 10 examples get their shares in each part.
#[test]
fn three_stratified_parts_have_their_shares() {
    let labels: Vec<usize> = (0..100)
        .map(|k| [0, 1, 0, 2, 0, 1, 0, 1, 0, 0][k % 10])
        .collect();
    let fractions = Fractions {
        validation: 0.2,
        test: 0.3,
    };
    for seed in 0..20 {
        let split = stratified_three_way_split(&labels, fractions, seed).unwrap();
        are_three_parts(&split, [50, 20, 30]);
        for (part, counts) in [
            (&split.train, [30, 15, 5]),
            (&split.validation, [12, 6, 2]),
            (&split.test, [18, 9, 3]),
        ] {
            let of = |class| part.iter().filter(|&&k| labels[k] == class).count();
            assert_eq!([of(0), of(1), of(2)], counts);
        }
        assert_eq!(
            split.test,
            stratified_split(&labels, 0.3, seed).unwrap().test
        );
    }
}
