//! Random numbers that the caller gives in place of a seed.

use super::plan::Plan;
use crate::error::Error;
use crate::examples::check_finite;
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};
use std::sync::Arc;

/// The numbers given to a layer, and to those inside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GivenNode<T: Scalar> {
    /// One column for each example of the whole batch. Shared, so that a copy of the tree is small.
    numbers: Option<Arc<DMatrix<T>>>,
    /// The layers inside it that get some, by their index, sorted.
    children: Vec<(usize, GivenNode<T>)>,
}

/// What is given to a network.
pub(crate) type GivenList<T> = Option<Arc<GivenNode<T>>>;

impl<T: Scalar> GivenNode<T> {
    pub(crate) fn new() -> Self {
        Self {
            numbers: None,
            children: Vec::new(),
        }
    }

    /// Sets the numbers of the layer at a path.
    pub(crate) fn set(&mut self, path: &[usize], numbers: DMatrix<T>) {
        let &[index, ref inner @ ..] = path else {
            self.numbers = Some(Arc::new(numbers));
            return;
        };
        let at = self.children.partition_point(|(i, _)| *i < index);
        if self.children.get(at).is_none_or(|(i, _)| *i != index) {
            self.children.insert(at, (index, Self::new()));
        }
        self.children[at].1.set(inner, numbers);
    }

    /// Checks that these numbers fit the layers of a plan and m examples.
    pub(crate) fn check(&self, plan: &Plan, m: usize) -> Result<(), Error> {
        if let Some(numbers) = &self.numbers {
            let what = "the random numbers given to a layer";
            let (expected, found) = ((plan.random_numbers(), m), numbers.shape());
            if found != expected {
                return Err(Error::Shape {
                    what,
                    expected,
                    found,
                });
            }
            check_finite(what, numbers.as_view())?;
        }
        for &(index, ref node) in &self.children {
            let (what, count) = ("layer", plan.children.len());
            let child = plan.children.get(index);
            let child = child.ok_or(Error::Index { what, index, count })?;
            node.check(&child.plan, m)?;
        }
        Ok(())
    }

    /// Returns the same numbers in another scalar.
    #[cfg(feature = "num-dual")]
    pub(crate) fn map<U: Scalar>(&self, f: &impl Fn(T) -> U) -> GivenNode<U> {
        let children = self.children.iter();
        GivenNode {
            numbers: self.numbers.as_ref().map(|n| Arc::new(n.map(f))),
            children: children.map(|(i, node)| (*i, node.map(f))).collect(),
        }
    }
}

/// What is given to a layer and to those inside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a, T: Scalar>(pub(crate) Option<&'a GivenNode<T>>);

impl<'a, T: Scalar> Given<'a, T> {
    /// Nothing is given.
    pub(crate) const NONE: Self = Self(None);

    /// Returns what is given to a network.
    #[inline]
    pub(crate) fn new(all: &'a GivenList<T>) -> Self {
        Self(all.as_deref())
    }

    /// Returns what is given to child `i`.
    #[inline]
    pub(crate) fn child(self, i: usize) -> Self {
        self.0.map_or(Self::NONE, |node| {
            let found = node.children.iter().find(|(index, _)| *index == i);
            Self(found.map(|(_, node)| node))
        })
    }

    /// Returns the columns of the layer itself for m examples from `first` on.
    pub(crate) fn columns(self, first: usize, m: usize) -> Option<DMatrixView<'a, T>> {
        let numbers = self.0?.numbers.as_ref()?;
        let fits = first.checked_add(m)? <= numbers.ncols();
        fits.then(|| numbers.columns(first, m))
    }
}
