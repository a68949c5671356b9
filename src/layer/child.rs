//! A layer inside another, and what it left in a pass.

use super::memory::{Keep, Place, Start};
use super::plan::Plan;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;
use std::ops::Range;

/// A layer inside another: its plan, and the places of its memory in that of its parent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Child {
    /// Its name in tables.
    pub(crate) name: String,
    pub(crate) plan: Plan,
    pub(crate) theta: Range<usize>,
    pub(crate) state: Range<usize>,
    pub(crate) kept: Start,
    pub(crate) input: Place,
    pub(crate) output: Place,
    /// Its position among the plans of the tree.
    pub(super) node: usize,
}

/// What a child left in a pass, or the derivatives of it.
pub(crate) struct Left<'a, T: Scalar> {
    pub(crate) kept: &'a [T],
    pub(crate) output: DMatrixView<'a, T>,
}

impl Child {
    /// Returns where a child's part of its parent's `kept` starts, and the range of its output
    /// there, unless it is the parent's own.
    #[inline]
    pub(crate) fn found(&self, keep: Keep, m: usize) -> (usize, Option<Range<usize>>) {
        let output = match self.output {
            Place::Kept(at) => {
                let start = at.at(keep, m);
                Some(start..start + self.plan.outputs() * m)
            }
            Place::Input | Place::Output => None,
        };
        (self.kept.at(keep, m), output)
    }

    /// Returns what a child kept, and its output. The parent must store that output right after it.
    pub(crate) fn left<'a, T: Scalar>(&self, all: &'a [T], keep: Keep, m: usize) -> Left<'a, T> {
        let rest = &all[self.kept.at(keep, m)..];
        let (kept, rest) = rest.split_at(self.plan.kept_in(keep, m));
        let rows = self.plan.outputs();
        Left {
            kept,
            output: DMatrixView::from_slice(&rest[..rows * m], rows, m),
        }
    }

    /// Returns the part of a vector, laid out like θ, that belongs to this child, if its parameters
    /// move.
    #[inline]
    pub(crate) fn moving<'a, T>(&self, all: &'a [T]) -> Option<&'a [T]> {
        self.plan.moves().then(|| &all[self.theta.clone()])
    }

    /// Like [`moving`](Self::moving), but mutable.
    #[inline]
    pub(crate) fn moving_mut<'a, T>(&self, all: &'a mut [T]) -> Option<&'a mut [T]> {
        self.plan.moves().then(|| &mut all[self.theta.clone()])
    }

    /// Returns the share of this child in its parent's new state, unless its statistics are fixed.
    #[inline]
    pub(crate) fn state_in<'a, T>(&self, all: &'a mut Option<&mut [T]>) -> Option<&'a mut [T]> {
        let all = all.as_deref_mut().filter(|_| !self.plan.fixed_statistics());
        all.map(|all| &mut all[self.state.clone()])
    }

    /// Returns the lengths of the scratch of this child and those inside it.
    #[inline]
    pub(crate) fn scratch<'a>(&self, lens: &'a [usize]) -> &'a [usize] {
        &lens[self.node.min(lens.len())..]
    }
}
