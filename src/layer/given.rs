//! Random numbers that the caller gives in place of a seed.

use super::plan::Plan;
use crate::error::Error;
use crate::examples::check_finite;
use crate::path::Path;
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};
use std::sync::Arc;

/// The numbers that a layer takes in place of those it would draw: one column for each example of
/// the whole batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GivenNumbers<T: Scalar> {
    pub(crate) layer: Path,
    pub(crate) numbers: DMatrix<T>,
}

impl<T: Scalar> GivenNumbers<T> {
    /// Checks that these numbers fit a layer of this plan and m examples.
    pub(crate) fn check(&self, plan: &Plan, m: usize) -> Result<(), Error> {
        let mut at = plan;
        for &index in self.layer.indices() {
            let (what, count) = ("layer", at.children.len());
            let child = at.children.get(index);
            at = &child.ok_or(Error::Index { what, index, count })?.plan;
        }
        let expected = (at.random_numbers(), m);
        if self.numbers.shape() != expected {
            return Err(Error::Shape {
                what: "the random numbers given to a layer",
                expected,
                found: self.numbers.shape(),
            });
        }
        check_finite(
            "the random numbers given to a layer",
            self.numbers.as_view(),
        )
    }
}

/// Numbers given for several layers, sorted by layer.
pub(crate) type GivenList<T> = Option<Arc<[GivenNumbers<T>]>>;

/// The given numbers of a layer and of those inside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a, T: Scalar> {
    /// Those whose path starts with that of the layer.
    numbers: &'a [GivenNumbers<T>],
    /// The length of the layer's path.
    depth: usize,
}

impl<'a, T: Scalar> Given<'a, T> {
    /// Nothing is given.
    pub(crate) const NONE: Self = Self {
        numbers: &[],
        depth: 0,
    };

    /// Returns all that is given to a network.
    #[inline]
    pub(crate) fn new(all: &'a GivenList<T>) -> Self {
        let numbers = all.as_deref().unwrap_or_default();
        Self { numbers, depth: 0 }
    }

    /// Returns what is given to child `i`.
    #[inline]
    pub(crate) fn child(self, i: usize) -> Self {
        if self.numbers.is_empty() {
            return Self::NONE;
        }
        let index = |given: &GivenNumbers<T>| given.layer.indices().get(self.depth).copied();
        let start = self.numbers.partition_point(|given| index(given) < Some(i));
        let rest = &self.numbers[start..];
        let end = rest.partition_point(|given| index(given) <= Some(i));
        Self {
            numbers: &rest[..end],
            depth: self.depth + 1,
        }
    }

    /// Returns the same numbers in another scalar, to be lent by [`lent`](Self::lent).
    #[cfg(feature = "num-dual")]
    pub(crate) fn map<U: Scalar>(self, f: impl Fn(T) -> U) -> Vec<GivenNumbers<U>> {
        let numbers = self.numbers.iter().map(|given| GivenNumbers {
            layer: given.layer.clone(),
            numbers: given.numbers.map(&f),
        });
        numbers.collect()
    }

    /// Returns the same part of other numbers.
    #[cfg(feature = "num-dual")]
    pub(crate) fn lent<U: Scalar>(self, numbers: &[GivenNumbers<U>]) -> Given<'_, U> {
        let depth = self.depth;
        Given { numbers, depth }
    }

    /// Returns the columns of the layer itself for m examples from `first` on.
    pub(crate) fn columns(self, first: usize, m: usize) -> Option<DMatrixView<'a, T>> {
        let own = self.numbers.first()?;
        let is_own = own.layer.indices().len() == self.depth;
        let fits = first.checked_add(m)? <= own.numbers.ncols();
        (is_own && fits).then(|| own.numbers.columns(first, m))
    }
}
