//! k-fold cross-validation.

use super::shuffle::permutation_into;
use super::split::{INDICES, SPLIT, Split, enough};
use crate::allocation::{allocate, collected, grow, reserved};
use crate::error::{Error, hyperparameter};
use std::collections::BTreeMap;

/// k-fold cross-validation: k splits in which each example is in exactly one test part.
///
/// The test parts consist of consecutive examples, or of random ones after
/// [`shuffled`](Self::shuffled). Their sizes differ by at most one. If you use the folds to choose
/// settings, first set aside a test part that is in none of the folds ([`Split::within`]).
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
#[doc(alias = "cross_validation")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct KFold {
    folds: usize,
    seed: Option<u64>,
}

impl KFold {
    /// Creates k ≥ 2 folds, in the order of the examples.
    pub fn new(folds: usize) -> Self {
        Self { folds, seed: None }
    }

    /// Shuffles the examples with this seed first.
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Returns the k splits of m examples.
    ///
    /// Without shuffling, the splits equal those of scikit-learn's `KFold`.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if m is 0.
    /// - [`Error::Hyperparameter`] if k is below 2 or above m.
    /// - [`Error::TooLarge`] if k m indices do not fit in memory.
    pub fn split(&self, examples: usize) -> Result<Vec<Split>, Error> {
        self.validate(examples)?;
        let mut all = [Class::new(0, examples)];
        self.deal(examples, &mut all, |_| 0)
    }

    /// Returns k splits in which the number of examples of each class differs by at most one
    /// between folds.
    ///
    /// Without shuffling, the splits equal those of scikit-learn's `StratifiedKFold`.
    ///
    /// # Errors
    /// Returns the errors of [`split`](Self::split), and [`Error::FewExamples`] with the first
    /// label that has fewer than k examples. (scikit-learn only warns.)
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
    #[doc(alias = "StratifiedKFold")]
    pub fn stratified(&self, labels: &[usize]) -> Result<Vec<Split>, Error> {
        self.validate(labels.len())?;
        // Classes in the order of their first examples, as in scikit-learn.
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

    /// Deals the examples of each class to the folds, in blocks.
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
        // Reserve everything at once: a system that overcommits memory might kill the process
        // halfway.
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
        Err(hyperparameter(
            "the number of folds",
            self.folds as f64,
            format!("2 to {examples}, the number of examples"),
        ))
    }
}

/// A class whose examples are being dealt to the folds.
struct Class {
    /// The number of examples of all classes before it.
    start: usize,
    /// Its own number of examples.
    count: usize,
    /// The fold after the current one.
    next: usize,
    /// The number of examples that the current fold has yet to receive.
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

    /// Returns the fold of the next example.
    fn deal(&mut self, folds: usize) -> usize {
        while self.left == 0 {
            // The count of numbers in start..start + count that are ≡ fold (mod folds).
            let from_start = (self.next + folds - self.start % folds) % folds;
            self.left = self.count / folds + usize::from(from_start < self.count % folds);
            self.next += 1;
        }
        self.left -= 1;
        self.next - 1
    }
}
