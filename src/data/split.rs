//! Splits examples into training, validation and test parts.

use super::shuffle::permutation_into;
use crate::allocation::{allocate, reserved};
use crate::error::{Error, hyperparameter};
use std::collections::BTreeMap;

/// Training and test examples. Each example is in exactly one part, and both parts are in ascending
/// order.
///
/// Test examples must not influence training. Early stopping and the choice of settings need a
/// separate validation part: see [`three_way_split`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// The indices of the training examples.
    pub train: Vec<usize>,
    /// The indices of the test examples.
    pub test: Vec<usize>,
}

/// Training, validation and test examples. Each example is in exactly one part, and each part is in
/// ascending order.
///
/// [`Trainer::validation`](crate::training::Trainer::validation) uses the validation part to choose
/// when to stop and which epoch is best, so its cost is optimistic. Report the cost of the test
/// part, which influences no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreeWaySplit {
    /// The indices of the training examples.
    pub train: Vec<usize>,
    /// The indices of the validation examples, for early stopping and the choice of settings.
    pub validation: Vec<usize>,
    /// The indices of the test examples, for the final result.
    pub test: Vec<usize>,
}

/// The validation and test shares of a [`ThreeWaySplit`]. Both are above 0, and they sum to less
/// than 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fractions {
    /// The number of validation examples, as a fraction of all examples.
    pub validation: f64,
    /// The number of test examples, as a fraction of all examples.
    pub test: f64,
}

impl Split {
    /// Replaces each index k by `chosen[k]`. It turns a split of 0..m into a split of the m indices
    /// in `chosen`, such as one part of another split.
    ///
    /// # Errors
    /// Returns [`Error::Index`] with the first index that is out of range for `chosen`.
    ///
    /// # Example
    /// Two of ten examples are kept for the test. The other eight form folds for the choice of
    /// settings:
    /// ```
    /// use backprop::data::{KFold, train_test_split};
    ///
    /// let outer = train_test_split(10, 0.2, 1)?;
    /// for fold in KFold::new(4).split(outer.train.len())? {
    ///     let fold = fold.within(&outer.train)?;
    ///     assert_eq!((fold.train.len(), fold.test.len()), (6, 2));
    ///     assert!(fold.test.iter().all(|k| !outer.test.contains(k)));
    /// }
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn within(mut self, chosen: &[usize]) -> Result<Self, Error> {
        for index in self.train.iter_mut().chain(&mut self.test) {
            *index = *chosen.get(*index).ok_or(Error::Index {
                what: "example",
                index: *index,
                count: chosen.len(),
            })?;
        }
        Ok(self)
    }

    /// Splits the training part again; its test part becomes the validation part.
    fn with(self, inner: Self) -> Result<ThreeWaySplit, Error> {
        let inner = inner.within(&self.train)?;
        Ok(ThreeWaySplit {
            train: inner.train,
            validation: inner.test,
            test: self.test,
        })
    }

    /// Splits 0..m by a predicate on each index.
    pub(super) fn of(examples: usize, is_test: impl Fn(usize) -> bool) -> Result<Self, Error> {
        let count = (0..examples).filter(|&k| is_test(k)).count();
        let side = |len, test| {
            let mut indices: Vec<usize> = reserved(INDICES, len)?;
            indices.extend((0..examples).filter(|&k| is_test(k) == test));
            Ok(indices)
        };
        Ok(Self {
            train: side(examples - count, false)?,
            test: side(count, true)?,
        })
    }
}

/// Splits m examples at random: round(`test_fraction` · m) test examples, the others for training.
///
/// The same seed gives the same split on every platform. Halves are rounded up. (scikit-learn's
/// `train_test_split` always rounds up.)
///
/// # Errors
/// - [`Error::NoExamples`] if m is 0.
/// - [`Error::Hyperparameter`] if the fraction is not in (0, 1), or leaves one part empty.
/// - [`Error::TooLarge`] if m indices do not fit in memory.
///
/// # Example
/// ```
/// use backprop::data::{select, train_test_split};
/// use backprop::nalgebra::DMatrix;
///
/// let x = DMatrix::from_row_slice(1, 5, &[0.0, 1.0, 2.0, 3.0, 4.0]);
/// let split = train_test_split(x.ncols(), 0.4, 1)?;
/// assert_eq!((split.train.len(), split.test.len()), (3, 2));
/// let (train, test) = (select(&x, &split.train)?, select(&x, &split.test)?);
/// assert_eq!(train.sum() + test.sum(), 10.0);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn train_test_split(examples: usize, test_fraction: f64, seed: u64) -> Result<Split, Error> {
    let tests = share(TEST, examples, test_fraction, examples, 1)?;
    random(examples, tests, seed)
}

/// Splits like [`train_test_split`], with a validation part instead of the test part.
pub(crate) fn train_validation_split(
    examples: usize,
    fraction: f64,
    seed: u64,
) -> Result<Split, Error> {
    let count = share("the validation fraction", examples, fraction, examples, 1)?;
    random(examples, count, seed)
}

/// Splits m examples at random into training, validation and test parts.
///
/// The validation and test parts have round(fraction · m) examples each. The rest is for training.
///
/// The test part equals that of [`train_test_split`] with the same fraction and seed.
///
/// # Errors
/// Returns the errors of [`train_test_split`], for either fraction.
///
/// # Example
/// ```
/// use backprop::data::{Fractions, three_way_split};
///
/// let split = three_way_split(10, Fractions { validation: 0.2, test: 0.3 }, 1)?;
/// assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (5, 2, 3));
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "train_validation_test_split")]
pub fn three_way_split(
    examples: usize,
    fractions: Fractions,
    seed: u64,
) -> Result<ThreeWaySplit, Error> {
    let (validations, tests) = fractions.counts(examples, 1)?;
    let outer = random(examples, tests, seed)?;
    let inner = random(outer.train.len(), validations, seed)?;
    outer.with(inner)
}

/// Splits at random, with `tests` test examples.
fn random(examples: usize, tests: usize, seed: u64) -> Result<Split, Error> {
    let order = shuffled(examples, seed)?;
    let mut is_test = allocate(INDICES, (examples, 1), false)?;
    order[..tests].iter().for_each(|&k| is_test[k] = true);
    Split::of(examples, |k| is_test[k])
}

/// Splits m examples at random, with the same share of each class in both parts.
///
/// The test part has t = round(`test_fraction` · m) examples, as in [`train_test_split`]. A class
/// of c examples contributes t c/m of them, rounded by the largest-remainder method: up for the
/// classes with the largest remainders, and for lower labels first if remainders are equal.
///
/// # Errors
/// - The errors of [`train_test_split`], also if a part has fewer examples than there are classes.
/// - [`Error::FewExamples`] with the lowest label that has only one example.
///
/// # Example
/// ```
/// use backprop::data::stratified_split;
///
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
/// let split = stratified_split(&labels, 0.5, 1)?;
/// let ones = split.test.iter().filter(|&&k| labels[k] == 1);
/// assert_eq!((split.test.len(), ones.count()), (5, 2));
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn stratified_split(labels: &[usize], test_fraction: f64, seed: u64) -> Result<Split, Error> {
    let counts = count(labels);
    let classes = counts.len();
    enough(counts, 2)?;
    let tests = share(TEST, labels.len(), test_fraction, labels.len(), classes)?;
    stratified(labels, tests, seed)
}

/// Splits like [`three_way_split`], with the same share of each class in all parts.
///
/// Shares are equal up to the rounding to whole examples. The test part is that of
/// [`stratified_split`]. The validation part is taken from the rest in the same way.
///
/// # Errors
/// - The errors of [`three_way_split`], also if a part has fewer examples than there are classes.
/// - [`Error::FewExamples`] with the lowest label that has fewer than three examples.
///
/// # Example
/// ```
/// use backprop::data::{Fractions, stratified_three_way_split};
///
/// let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
/// let fractions = Fractions { validation: 0.25, test: 0.25 };
/// let split = stratified_three_way_split(&labels, fractions, 1)?;
/// let ones = |part: &[usize]| part.iter().filter(|&&k| labels[k] == 1).count();
/// assert_eq!([ones(&split.train), ones(&split.validation), ones(&split.test)], [2, 1, 1]);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn stratified_three_way_split(
    labels: &[usize],
    fractions: Fractions,
    seed: u64,
) -> Result<ThreeWaySplit, Error> {
    let counts = count(labels);
    let classes = counts.len();
    enough(counts, 3)?;
    let (validations, tests) = fractions.counts(labels.len(), classes)?;
    let outer = stratified(labels, tests, seed)?;
    let mut rest = allocate(INDICES, (outer.train.len(), 1), 0)?;
    for (label, &k) in rest.iter_mut().zip(&outer.train) {
        *label = labels[k];
    }
    let inner = stratified(&rest, validations, seed)?;
    outer.with(inner)
}

/// Counts the examples of each class.
fn count(labels: &[usize]) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for &label in labels {
        *counts.entry(label).or_default() += 1;
    }
    counts
}

/// Splits at random, with `tests` test examples and the share of each class among them.
fn stratified(labels: &[usize], tests: usize, seed: u64) -> Result<Split, Error> {
    let mut left = largest_remainders(count(labels), tests, labels.len())?;
    let order = shuffled(labels.len(), seed)?;
    let mut is_test = allocate(INDICES, (labels.len(), 1), false)?;
    for k in order {
        if let Some(left) = left.get_mut(&labels[k])
            && *left > 0
        {
            *left -= 1;
            is_test[k] = true;
        }
    }
    Split::of(labels.len(), |k| is_test[k])
}

/// Divides `total` in proportion to the counts, which sum to `sum`.
fn largest_remainders(
    mut counts: BTreeMap<usize, usize>,
    total: usize,
    sum: usize,
) -> Result<BTreeMap<usize, usize>, Error> {
    let (sum, mut missing) = (sum as u128, total);
    let mut remainders = reserved("the classes", counts.len())?;
    for (&label, count) in &mut counts {
        let product = total as u128 * *count as u128;
        // At most `total`.
        *count = (product / sum) as usize;
        missing -= *count;
        remainders.push((product % sum, label));
    }
    // If remainders are equal, the lowest label comes first.
    remainders.sort_unstable_by_key(|&(remainder, label)| (std::cmp::Reverse(remainder), label));
    for (_, label) in remainders.into_iter().take(missing) {
        *counts.entry(label).or_default() += 1;
    }
    Ok(counts)
}

pub(super) const INDICES: &str = "the indices of the examples";

/// The epoch number used for splits. No training run reaches it, so a split never equals the order
/// of an epoch with the same seed.
pub(super) const SPLIT: u64 = u64::MAX;

/// Returns a random order of 0..m.
fn shuffled(examples: usize, seed: u64) -> Result<Vec<usize>, Error> {
    let mut order = allocate(INDICES, (examples, 1), 0)?;
    permutation_into(&mut order, seed, SPLIT);
    Ok(order)
}

const TEST: &str = "the fraction of test examples";

impl Fractions {
    /// Returns the numbers of validation and test examples.
    fn counts(self, examples: usize, least: usize) -> Result<(usize, usize), Error> {
        let tests = share(TEST, examples, self.test, examples, least)?;
        let name = "the fraction of validation examples";
        let left = examples - tests;
        let validations = share(name, examples, self.validation, left, least)?;
        Ok((validations, tests))
    }
}

/// Returns the number of examples in a fraction of all. This part, and the rest of `left` examples,
/// have at least `least`.
fn share(
    name: &'static str,
    examples: usize,
    fraction: f64,
    left: usize,
    least: usize,
) -> Result<usize, Error> {
    if examples == 0 {
        return Err(Error::NoExamples);
    }
    let count = (fraction * examples as f64).round();
    let fits = count >= least as f64 && count <= left.saturating_sub(least) as f64;
    if fraction > 0.0 && fraction < 1.0 && fits {
        return Ok(count as usize);
    }
    let part = match least {
        1 => format!("at least one of {examples} examples in each part"),
        _ => format!(
            "at least {least} of {examples} examples in each part, one for each of the {least} \
             classes"
        ),
    };
    let expected = format!("a number in (0, 1) that puts {part}");
    Err(hyperparameter(name, fraction, expected))
}

/// Checks that each class has at least `expected` examples.
pub(super) fn enough(
    counts: impl IntoIterator<Item = (usize, usize)>,
    expected: usize,
) -> Result<(), Error> {
    let few = counts.into_iter().find(|&(_, count)| count < expected);
    few.map_or(Ok(()), |(label, found)| {
        Err(Error::FewExamples {
            class: Some(label),
            expected,
            found,
        })
    })
}
