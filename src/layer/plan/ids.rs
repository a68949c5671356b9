//! Which rows of X are ids, and what that means for derivatives.

use super::Plan;
use crate::error::{Error, Location};
use crate::layer::join::{Join, Slot};
use crate::layer::rearrange::Rearrange;
use crate::path::Path;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::ControlFlow;

/// What a layer does with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Computes with numbers.
    Computes,
    /// Looks up ids, each below this number.
    LooksUp(usize),
    /// Moves entries.
    Moves(Rearrange),
    /// Passes it through its children in sequence.
    Chain,
    /// Passes it to each of its children.
    Fork(Join),
}

/// What follows from the roles in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reads {
    role: Role,
    /// Whether entries of the input are ids.
    ids: bool,
    /// Whether every entry of the output is an entry of the input.
    only_moves: bool,
    /// Whether the output has a derivative with respect to some entry of the input.
    numbers: bool,
}

impl Reads {
    pub(super) const NUMBERS: Self = Self {
        role: Role::Computes,
        ids: false,
        only_moves: false,
        numbers: true,
    };
}

/// Visits a row of X that holds ids, with the number of ids that are valid.
type Visit<'a> = &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>;

impl Plan {
    /// Declares that each entry of the input is an id: a whole number in \[0, `count`).
    ///
    /// There is no derivative with respect to an id. A network accepts such a layer only where its
    /// inputs are rows of X; earlier layers may only select or move them. It checks the
    /// ids before each pass. If `input_delta` or `input_delta_tangent` is requested, the layer
    /// fills it with 0; it ignores `input_tangent`.
    pub fn ids(mut self, count: usize) -> Self {
        self.reads = Reads {
            role: Role::LooksUp(count),
            ids: true,
            only_moves: false,
            numbers: false,
        };
        self
    }

    /// Declares that the layer only moves entries.
    pub(in crate::layer) fn moves_entries(mut self, by: Rearrange) -> Self {
        self.reads = Reads {
            role: Role::Moves(by),
            only_moves: true,
            ..Reads::NUMBERS
        };
        self
    }

    /// For containers, after the last child: the children are in sequence.
    ///
    /// # Errors
    /// Returns [`Error::ComputedIds`] if a child reads ids that another has computed.
    pub(crate) fn in_sequence(mut self) -> Result<Self, Error> {
        let mut reads = Reads {
            role: Role::Chain,
            ids: false,
            only_moves: true,
            numbers: true,
        };
        for (i, child) in self.children.iter().enumerate() {
            let own = child.plan.reads;
            if own.ids && !reads.only_moves {
                let layer = child.plan.first_that_reads_ids().inside(i);
                return Err(Error::ComputedIds { layer });
            }
            reads.ids |= own.ids;
            reads.only_moves &= own.only_moves;
            reads.numbers &= own.numbers;
        }
        self.reads = reads;
        Ok(self)
    }

    /// For containers, after the last child: all children take the input.
    pub(in crate::layer) fn side_by_side(mut self, join: Join) -> Self {
        let all = || self.children.iter().map(|child| child.plan.reads);
        self.reads = Reads {
            role: Role::Fork(join),
            ids: all().any(|reads| reads.ids),
            only_moves: !join.is_sum() && all().all(|reads| reads.only_moves),
            numbers: join == Join::SumWithInput || all().any(|reads| reads.numbers),
        };
        self
    }

    /// Returns the name that other programs give to child `i`, or `None` if the children are in
    /// sequence.
    #[cfg(feature = "_interchange")]
    pub(crate) fn branch_key(&self, i: usize) -> Option<String> {
        match self.reads.role {
            Role::Fork(join) if join.is_sum() => Some(["body", "shortcut"][i.min(1)].to_owned()),
            Role::Fork(_) => Some(format!("branches.{i}")),
            _ => None,
        }
    }

    /// Returns whether entries of the input are ids.
    #[inline]
    pub(crate) fn reads_ids(&self) -> bool {
        self.reads.ids
    }

    /// Returns whether the output has a derivative with respect to some entry of the input.
    pub(crate) fn reads_numbers(&self) -> bool {
        self.reads.numbers
    }

    /// Returns the rows of X that do not hold ids.
    pub(crate) fn rows_of_numbers(&self) -> Vec<usize> {
        let mut is_id = vec![false; self.inputs];
        let _ = self.visit_ids(&|row| row, &mut |row, _| {
            is_id[row] = true;
            ControlFlow::Continue(())
        });
        (0..self.inputs).filter(|&row| !is_id[row]).collect()
    }

    /// Returns the path of the first layer inside this one that reads ids.
    fn first_that_reads_ids(&self) -> Path {
        let mut children = self.children.iter().enumerate();
        match children.find(|(_, child)| child.plan.reads.ids) {
            Some((i, child)) => child.plan.first_that_reads_ids().inside(i),
            None => Path::default(),
        }
    }

    /// Returns the entry of the input that an entry of the output is, in a tree that only moves
    /// entries.
    fn source(&self, entry: usize) -> usize {
        match self.reads.role {
            Role::Moves(by) => by.source(self.input, entry),
            Role::Chain => self.source_before(self.children.len(), entry),
            Role::Fork(join) => {
                let mut first = 0;
                for child in &self.children {
                    let slot = Slot::new(join, self, first, child);
                    if let Some(entry) = slot.find(entry) {
                        return child.plan.source(entry);
                    }
                    first = slot.next(join);
                }
                entry
            }
            Role::Computes | Role::LooksUp(_) => entry,
        }
    }

    /// Returns the entry of the input that an entry of the input of child `i` is.
    fn source_before(&self, i: usize, entry: usize) -> usize {
        let before = self.children[..i].iter().rev();
        before.fold(entry, |entry, child| child.plan.source(entry))
    }

    /// Visits the entries of the input that are ids. An entry that several layers look up is
    /// visited for each.
    fn visit_ids(&self, row: &dyn Fn(usize) -> usize, visit: Visit<'_>) -> ControlFlow<()> {
        let readers = self.children.iter().enumerate();
        let mut readers = readers.filter(|(_, child)| child.plan.reads.ids);
        match self.reads.role {
            Role::LooksUp(count) => (0..self.inputs).try_for_each(|i| visit(row(i), count)),
            Role::Chain => readers.try_for_each(|(i, child)| {
                let row = |entry| row(self.source_before(i, entry));
                child.plan.visit_ids(&row, visit)
            }),
            Role::Fork(_) => readers.try_for_each(|(_, child)| child.plan.visit_ids(row, visit)),
            Role::Computes | Role::Moves(_) => ControlFlow::Continue(()),
        }
    }

    /// Calls `fault` with each row of X that holds ids, until it returns an error.
    fn try_for_ids(
        &self,
        mut fault: impl FnMut(usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut done = Ok(());
        // `Break` ends the visits after the first error.
        let _ = self.visit_ids(&|row| row, &mut |row, count| {
            done = fault(row, count);
            match done {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        done
    }

    /// Checks all ids in X.
    ///
    /// # Errors
    /// Returns [`Error::NonFinite`] or [`Error::Id`].
    pub(crate) fn check_ids<T: Scalar>(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        if !self.reads.ids {
            return Ok(());
        }
        let exact = exact::<T>();
        self.try_for_ids(|row, count| {
            let below = exact.min(count as f64);
            for (example, &x) in x.row(row).iter().enumerate() {
                let value = to_f64(x);
                if value >= 0.0 && value < below && value.fract() == 0.0 {
                    continue;
                }
                if !value.is_finite() {
                    let (what, col) = ("X", example);
                    let at = Location::Input { what, row, col };
                    return Err(Error::NonFinite { at, value });
                }
                return Err(Error::Id {
                    row,
                    example,
                    value,
                    count,
                });
            }
            Ok(())
        })
    }

    /// Checks that X does not consist of ids alone.
    ///
    /// # Errors
    /// Returns [`Error::IdInputs`] with the first row of ids otherwise.
    pub(crate) fn check_differentiates_inputs(&self) -> Result<(), Error> {
        if self.reads.numbers {
            return Ok(());
        }
        self.try_for_ids(|row, _| Err(Error::IdInputs { row }))
    }

    /// Checks that a direction of X is 0 in all rows of ids.
    ///
    /// # Errors
    /// Returns [`Error::IdInputs`] otherwise.
    pub(crate) fn check_direction<T: Scalar>(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        if !self.reads.ids {
            return Ok(());
        }
        self.try_for_ids(|row, _| {
            if x.row(row).iter().all(|&x| x == T::zero()) {
                Ok(())
            } else {
                Err(Error::IdInputs { row })
            }
        })
    }

    /// Sets the rows of ids to 0 in a matrix like X, such as ∂J/∂X.
    pub(crate) fn clear_ids<T: Scalar>(&self, mut matrix: DMatrixViewMut<'_, T>) {
        if !self.reads.ids {
            return;
        }
        let _ = self.visit_ids(&|row| row, &mut |row, _| {
            matrix.row_mut(row).fill(T::zero());
            ControlFlow::Continue(())
        });
    }
}

/// Returns the number below which T holds every whole number, and up to which no other one rounds:
/// 2²⁴ for `f32`, 2⁵³ for `f64`.
fn exact<T: Scalar>() -> f64 {
    let mut end = 1.0;
    while end < 2.0_f64.powi(53) && to_f64(real::<T>(end + 1.0)) == end + 1.0 {
        end *= 2.0;
    }
    end
}
