//! How the outputs of branches make up one output.

use super::child::Child;
use super::plan::Plan;
use crate::kernels::add;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// How the outputs of branches make up the output of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Their sum.
    Sum,
    /// Their sum, to which the input is added.
    SumWithInput,
    /// One after the other, along the first axis.
    First,
    /// One after the other, along the last axis.
    Last,
}

impl Join {
    pub(super) fn is_sum(self) -> bool {
        matches!(self, Self::Sum | Self::SumWithInput)
    }
}

/// The entries of one branch in the output of a fork.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// The adjacent entries of the branch, and of the fork.
    run: usize,
    whole: usize,
    /// The first entry in each run of the fork.
    first: usize,
}

impl Slot {
    pub(super) fn new(join: Join, plan: &Plan, first: usize, child: &Child) -> Self {
        let (branch, whole) = (child.plan.output(), plan.output());
        match join {
            Join::Sum | Join::SumWithInput => Self {
                run: branch.len(),
                whole: whole.len(),
                first: 0,
            },
            Join::First => Self {
                run: branch.len(),
                whole: whole.len(),
                first,
            },
            Join::Last => Self {
                run: branch.last_axis(),
                whole: whole.last_axis(),
                first,
            },
        }
    }

    /// Returns the first entry of the next branch.
    pub(super) fn next(self, join: Join) -> usize {
        if join.is_sum() {
            0
        } else {
            self.first + self.run
        }
    }

    /// Returns which entry of the branch an entry of the fork is, if it is one.
    pub(super) fn find(self, entry: usize) -> Option<usize> {
        let whole = self.whole.max(1);
        let (run, place) = (entry / whole, entry % whole);
        let inner = place.checked_sub(self.first)?;
        (inner < self.run).then(|| run * self.run + inner)
    }

    /// Copies the entries of the branch out of the whole.
    pub(super) fn take<T: Copy>(self, whole: &[T], branch: &mut [T]) {
        let runs = branch.chunks_exact_mut(self.run.max(1));
        for (run, whole) in runs.zip(whole.chunks_exact(self.whole.max(1))) {
            run.copy_from_slice(&whole[self.first..][..self.run]);
        }
    }

    /// Copies the entries of the branch into the whole.
    pub(super) fn put<T: Copy>(self, branch: &[T], whole: &mut [T]) {
        let runs = branch.chunks_exact(self.run.max(1));
        for (run, whole) in runs.zip(whole.chunks_exact_mut(self.whole.max(1))) {
            whole[self.first..][..self.run].copy_from_slice(run);
        }
    }
}

/// Adds the output of branch `i` to the whole, or copies it to its place.
pub(super) fn join_in<T: Scalar>(join: Join, i: usize, slot: Slot, branch: &[T], whole: &mut [T]) {
    if join.is_sum() && i > 0 {
        add(whole, branch);
    } else {
        slot.put(branch, whole);
    }
}

/// Adds a matrix, whose columns may be apart, to contiguous columns.
pub(super) fn add_columns<T: Scalar>(sum: &mut [T], from: &DMatrixView<'_, T>) {
    let columns = sum.chunks_exact_mut(from.nrows().max(1));
    for (sum, column) in columns.zip(from.column_iter()) {
        add(sum, column.as_slice());
    }
}
