//! Which examples to train on, and which to judge by.

use super::shuffle::permutation_into;
use crate::error::Error;
use crate::layout::{allocate, collected, grow, reserved};
use std::collections::BTreeMap;

/// Examples to train on and examples to judge by: each of them in one of the two, both in ascending order.
///
/// For a third part see [`within`](Self::within).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// Indices of the examples to train on.
    pub train: Vec<usize>,
    /// Indices of the others.
    pub test: Vec<usize>,
}

impl Split {
    /// The same split of the examples at these indices instead of 0, 1, …: a part of one split is so divided by another.
    ///
    /// # Errors
    /// [`Error::Index`] with the first index that `chosen` does not have.
    ///
    /// # Example
    /// Of ten examples two are for the test, and of the other eight two for validation; then parts with a share of each class:
    /// ```
    /// use backprop::data::{stratified_split, train_test_split};
    ///
    /// let outer = train_test_split(10, 0.2, 1)?;
    /// let inner = train_test_split(outer.train.len(), 0.25, 1)?.within(&outer.train)?;
    /// let (train, validation, test) = (inner.train, inner.test, outer.test);
    /// assert_eq!((train.len(), validation.len(), test.len()), (6, 2, 2));
    ///
    /// let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
    /// let outer = stratified_split(&labels, 0.25, 1)?;
    /// let rest: Vec<usize> = outer.train.iter().map(|&k| labels[k]).collect();
    /// let inner = stratified_split(&rest, 1.0 / 3.0, 1)?.within(&outer.train)?;
    /// let ones = [inner.train, inner.test, outer.test].map(|part| part.iter().filter(|&&k| labels[k] == 1).count());
    /// assert_eq!(ones, [2, 1, 1]);
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

    /// The split of 0..m by a test of each index.
    fn of(examples: usize, is_test: impl Fn(usize) -> bool) -> Result<Self, Error> {
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

/// A random split of m examples: round(`test_fraction` · m) to judge by, the others to train on.
///
/// The same seed gives the same split, on every platform. A half is rounded up. (scikit-learn's
/// `train_test_split` rounds all up.)
///
/// # Errors
/// - [`Error::NoExamples`] if m is 0.
/// - [`Error::Hyperparameter`] if the fraction is not in (0, 1), or leaves one part empty.
/// - [`Error::TooLarge`] if m indices do not fit the memory.
///
/// # Example
/// ```
/// use backprop::data::{select, train_test_split};
/// use backprop::nalgebra::dmatrix;
///
/// let x = dmatrix![0.0, 1.0, 2.0, 3.0, 4.0];
/// let split = train_test_split(x.ncols(), 0.4, 1)?;
/// assert_eq!((split.train.len(), split.test.len()), (3, 2));
/// let (train, test) = (select(&x, &split.train)?, select(&x, &split.test)?);
/// assert_eq!(train.sum() + test.sum(), 10.0);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn train_test_split(examples: usize, test_fraction: f64, seed: u64) -> Result<Split, Error> {
    let tests = test_count(examples, test_fraction)?;
    let order = shuffled(examples, seed)?;
    let mut is_test = allocate(INDICES, (examples, 1), false)?;
    order[..tests].iter().for_each(|&k| is_test[k] = true);
    Split::of(examples, |k| is_test[k])
}

/// A random split that takes its share of each class.
///
/// The test part has t = round(`test_fraction` · m) examples, as in [`train_test_split`]. Of a class of c examples it has
/// t c/m, rounded down or up: up where the remainders are largest, and of equal ones where the label is lowest (largest-remainder method).
///
/// # Errors
/// As [`train_test_split`], and [`Error::FewExamples`] with the lowest label that a single example has.
///
/// # Example
/// ```
/// use backprop::data::stratified_split;
///
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
/// let split = stratified_split(&labels, 0.5, 1)?;
/// let ones = split.test.iter().filter(|&&k| labels[k] == 1);
/// assert_eq!((split.test.len(), ones.count()), (5, 2));
///
/// // Three parts: what is left is split again, and its indices are those of the first.
/// let rest: Vec<usize> = split.train.iter().map(|&k| labels[k]).collect();
/// let again = stratified_split(&rest, 0.4, 2)?;
/// let [train, validation] = [again.train, again.test].map(|part| part.iter().map(|&k| split.train[k]).collect::<Vec<_>>());
/// assert_eq!((train.len(), validation.len(), split.test.len()), (3, 2, 5));
/// assert_eq!(validation.iter().filter(|&&k| labels[k] == 1).count(), 1);
/// # Ok::<(), backprop::Error>(())
/// ```
pub fn stratified_split(labels: &[usize], test_fraction: f64, seed: u64) -> Result<Split, Error> {
    let tests = test_count(labels.len(), test_fraction)?;
    let mut counts = BTreeMap::<usize, usize>::new();
    for &label in labels {
        *counts.entry(label).or_default() += 1;
    }
    enough(counts.iter().map(|(&label, &count)| (label, count)), 2)?;
    let mut left = largest_remainders(counts, tests, labels.len())?;
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

/// `total` shared out in proportion to the counts, which sum to `sum`.
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
    // Of equal remainders the lowest label is first.
    remainders.sort_unstable_by_key(|&(remainder, label)| (std::cmp::Reverse(remainder), label));
    for (_, label) in remainders.into_iter().take(missing) {
        *counts.entry(label).or_default() += 1;
    }
    Ok(counts)
}

/// Cross-validation: k splits, so that each example is in the test part of exactly one.
///
/// Test parts are consecutive examples, or after [`shuffled`](Self::shuffled) random ones. Their sizes differ by one at most.
///
/// # Example
/// ```
/// use backprop::data::KFold;
///
/// let splits = KFold::new(3).split(7)?;
/// assert_eq!(splits[0].test, [0, 1, 2]);
/// assert_eq!(splits[1].test, [3, 4]);
/// assert_eq!(splits[2].train, [0, 1, 2, 3, 4]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct KFold {
    folds: usize,
    seed: Option<u64>,
}

impl KFold {
    /// k folds, 2 at least, in the order of the examples.
    pub fn new(folds: usize) -> Self {
        Self { folds, seed: None }
    }

    /// The same in an order that is drawn with this seed.
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The k splits of m examples. Without shuffling these are the folds of scikit-learn's `KFold`.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if m is 0.
    /// - [`Error::Hyperparameter`] if k is below 2 or above m.
    /// - [`Error::TooLarge`] if k m indices do not fit the memory.
    pub fn split(&self, examples: usize) -> Result<Vec<Split>, Error> {
        self.validate(examples)?;
        let mut all = [Class::new(0, examples)];
        self.deal(examples, &mut all, |_| 0)
    }

    /// The k splits of examples with these labels: of each class the folds have as many, but for one.
    ///
    /// Without shuffling these are the folds of scikit-learn's `StratifiedKFold`.
    ///
    /// # Errors
    /// As [`split`](Self::split), and [`Error::FewExamples`] with the first label that fewer than k examples have. (scikit-learn
    /// only warns.)
    ///
    /// # Example
    /// ```
    /// use backprop::data::KFold;
    ///
    /// let splits = KFold::new(2).stratified(&[0, 0, 0, 0, 1, 1])?;
    /// assert_eq!(splits[0].test, [0, 1, 4]);
    /// assert_eq!(splits[1].test, [2, 3, 5]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn stratified(&self, labels: &[usize]) -> Result<Vec<Split>, Error> {
        self.validate(labels.len())?;
        // Classes in the order of their first examples, as scikit-learn has them.
        let mut number = BTreeMap::new();
        let mut classes: Vec<(usize, usize)> = Vec::new();
        for &label in labels {
            let class = *number.entry(label).or_insert(classes.len());
            if class == classes.len() {
                grow("the classes", &mut classes)?;
                classes.push((label, 0));
            }
            classes[class].1 += 1;
        }
        enough(classes.iter().copied(), self.folds)?;
        let mut start = 0;
        let states = classes.iter().map(|&(_, count)| {
            start += count;
            Ok(Class::new(start - count, count))
        });
        let mut states = collected("the classes", classes.len(), states)?;
        self.deal(labels.len(), &mut states, |k| number[&labels[k]])
    }

    /// Deals out the examples of each class to the folds, a block to each in turn.
    fn deal(
        &self,
        examples: usize,
        classes: &mut [Class],
        class_of: impl Fn(usize) -> usize,
    ) -> Result<Vec<Split>, Error> {
        let mut order: Vec<usize> = allocate(INDICES, (examples, 1), 0)?;
        match self.seed {
            Some(seed) => permutation_into(&mut order, seed, SPLIT),
            None => order.iter_mut().enumerate().for_each(|(k, o)| *o = k),
        }
        let mut fold_of = allocate(INDICES, (examples, 1), 0)?;
        for k in order {
            fold_of[k] = classes[class_of(k)].deal(self.folds);
        }
        let splits = (0..self.folds).map(|fold| Split::of(examples, |k| fold_of[k] == fold));
        splits.collect()
    }

    fn validate(&self, examples: usize) -> Result<(), Error> {
        if examples == 0 {
            return Err(Error::NoExamples);
        }
        if (2..=examples).contains(&self.folds) {
            return Ok(());
        }
        Err(Error::Hyperparameter {
            name: "the number of folds",
            value: self.folds as f64,
            expected: "2 at least, and no more than examples",
        })
    }
}

/// A class while its examples are dealt out.
struct Class {
    /// Number of examples of the classes before it, and of its own.
    start: usize,
    count: usize,
    /// The fold after the one that gets the next example, and how many more that one gets.
    next: usize,
    left: usize,
}

impl Class {
    fn new(start: usize, count: usize) -> Self {
        Self {
            start,
            count,
            next: 0,
            left: 0,
        }
    }

    /// The fold of the next example.
    fn deal(&mut self, folds: usize) -> usize {
        while self.left == 0 {
            // As many as there are numbers ≡ fold (mod folds) in start..start + count.
            let from_start = (self.next + folds - self.start % folds) % folds;
            self.left = self.count / folds + usize::from(from_start < self.count % folds);
            self.next += 1;
        }
        self.left -= 1;
        self.next - 1
    }
}

const INDICES: &str = "the indices of the examples";

/// The epoch of splits, which no training reaches: a split is not the order of an epoch with the same seed.
const SPLIT: u64 = u64::MAX;

/// A random order of 0..m.
fn shuffled(examples: usize, seed: u64) -> Result<Vec<usize>, Error> {
    let mut order = allocate(INDICES, (examples, 1), 0)?;
    permutation_into(&mut order, seed, SPLIT);
    Ok(order)
}

/// The number of test examples.
fn test_count(examples: usize, fraction: f64) -> Result<usize, Error> {
    if examples == 0 {
        return Err(Error::NoExamples);
    }
    let count = (fraction * examples as f64).round();
    if fraction > 0.0 && fraction < 1.0 && count >= 1.0 && count < examples as f64 {
        return Ok(count as usize);
    }
    Err(Error::Hyperparameter {
        name: "the fraction of test examples",
        value: fraction,
        expected: "a number in (0, 1) that leaves an example to each part",
    })
}

/// Whether each class has as many examples as are needed.
fn enough(counts: impl IntoIterator<Item = (usize, usize)>, expected: usize) -> Result<(), Error> {
    let few = counts.into_iter().find(|&(_, count)| count < expected);
    few.map_or(Ok(()), |(label, found)| {
        Err(Error::FewExamples {
            class: Some(label),
            expected,
            found,
        })
    })
}
