//! Cross-validation: every example is in exactly one test part.

use super::shuffle::permutation_into;
use super::split::{INDICES, SPLIT, Split, enough};
use crate::error::Error;
use crate::layout::{allocate, collected, grow, reserved};
use std::collections::BTreeMap;

/// Cross-validation: k splits, so that each example is in the test part of exactly one.
///
/// Test parts are consecutive examples, or random ones after [`shuffled`](Self::shuffled). Their
/// sizes differ by at most one. If folds decide on settings, keep a separate test part out of all
/// of them ([`Split::within`]).
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

    /// Returns k stratified splits: the numbers of examples of a class in two folds differ by at most
    /// one.
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
        // Ask for all of it at once: a system that overcommits would kill the process halfway.
        let all = examples.checked_mul(self.folds);
        let fits = all.is_some_and(|all| reserved::<usize>(INDICES, all).is_ok());
        if !fits {
            return Err(Error::TooLarge {
                what: INDICES,
                rows: examples,
                cols: self.folds,
            });
        }
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
