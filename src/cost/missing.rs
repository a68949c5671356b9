//! Targets that are missing: they add nothing to the cost, and their δ is 0.

use super::{Cost, Outputs, Violation};
use crate::error::Error;
use crate::kernels::{columns, rows};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// Which targets are present, for some rows and examples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present<'a> {
    /// The entries from the first example on, `stride` for each.
    entries: &'a [bool],
    stride: usize,
    /// The rows.
    first: usize,
    count: usize,
}

impl<'a> Present<'a> {
    /// Takes all rows of a matrix, column by column.
    pub(crate) fn new(entries: &'a [bool], rows: usize) -> Self {
        Self {
            entries,
            stride: rows,
            first: 0,
            count: rows,
        }
    }

    /// Returns the matrix, of all rows and some examples.
    pub(crate) fn matrix(self, examples: usize) -> DMatrixView<'a, bool> {
        DMatrixView::from_slice(
            &self.entries[..self.stride * examples],
            self.stride,
            examples,
        )
    }

    pub(crate) fn rows(self, range: &Range<usize>) -> Self {
        Self {
            first: self.first + range.start,
            count: range.len(),
            ..self
        }
    }

    pub(crate) fn examples(self, first: usize) -> Self {
        Self {
            entries: &self.entries[first * self.stride..],
            ..self
        }
    }

    /// Returns the entries of one example.
    pub(crate) fn of(self, example: usize) -> &'a [bool] {
        &self.entries[example * self.stride + self.first..][..self.count]
    }

    fn is_whole(self, example: usize) -> bool {
        self.of(example).iter().all(|&present| present)
    }
}

/// Outputs all of whose targets are present.
struct Block {
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Cuts a matrix into blocks whose targets are all present: runs of whole examples, and groups of
/// outputs of the others.
fn blocks<T: Scalar, C: Cost<T> + ?Sized>(
    present: Present<'_>,
    m: usize,
    cost: &C,
    mut visit: impl FnMut(Block),
) {
    let mut k = 0;
    while k < m {
        let run = (k..m).take_while(|&k| present.is_whole(k)).count();
        if run > 0 {
            visit(Block {
                rows: 0..present.count,
                columns: k..k + run,
            });
            k += run;
            continue;
        }
        let mut unit = 0;
        while unit < present.count {
            let rows = cost.target_group(unit, present.count);
            let end = rows.end.clamp(unit + 1, present.count);
            if present.of(k)[unit] {
                visit(Block {
                    rows: unit..end,
                    columns: k..k + 1,
                });
            }
            unit = end;
        }
        k += 1;
    }
}

fn part<'a, T: Scalar>(matrix: DMatrixView<'a, T>, block: &Block) -> DMatrixView<'a, T> {
    let columns = columns(matrix, block.columns.start, block.columns.len());
    rows(columns, block.rows.clone())
}

fn part_mut<'a, T: Scalar>(
    matrix: &'a mut DMatrixViewMut<'_, T>,
    Block { rows, columns }: &Block,
) -> DMatrixViewMut<'a, T> {
    let (start, shape) = ((rows.start, columns.start), (rows.len(), columns.len()));
    matrix.view_mut(start, shape)
}

impl<'a, T: Scalar> Outputs<'a, T> {
    /// Returns which targets are present, unless all are, or the cost consists of heads, which
    /// check themselves.
    #[inline]
    pub(super) fn missing<C: Cost<T> + ?Sized>(&self, cost: &C) -> Option<Present<'a>> {
        self.present.filter(|_| !cost.is_of_heads())
    }

    /// Returns the outputs of a block.
    fn block(&self, block: &Block) -> Self {
        let whole = block.rows.len() == self.a.nrows();
        let exact = self.exact.and_then(|exact| {
            let exact = exact.columns(block.columns.start, block.columns.len());
            if whole {
                Some(exact)
            } else {
                exact.rows(&block.rows)
            }
        });
        Self {
            z: self.z.map(|z| part(z, block)),
            a: part(self.a, block),
            y: part(self.y, block),
            exact,
            present: None,
            units: self.units.filter(|_| whole),
            first: self.first + block.rows.start,
            ..*self
        }
    }

    /// Adds the cost of the present targets of each example, multiplied by a weight.
    pub(super) fn add_present_values<C: Cost<T> + ?Sized>(
        &self,
        present: Present<'_>,
        cost: &C,
        weight: T,
        values: &mut [T],
    ) {
        blocks(present, values.len(), cost, |block| {
            let at = self.block(&block);
            at.add_values(cost, weight, &mut values[block.columns]);
        });
    }

    /// Writes δ, which is 0 where the target is missing.
    pub(super) fn present_delta<C: Cost<T> + ?Sized>(
        &self,
        present: Present<'_>,
        cost: &C,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        delta.fill(T::zero());
        blocks(present, delta.ncols(), cost, |block| {
            self.block(&block).delta(cost, part_mut(&mut delta, &block));
        });
    }

    /// Writes the derivative of δ along a direction.
    pub(super) fn present_delta_tangent<C: Cost<T> + ?Sized>(
        &self,
        present: Present<'_>,
        cost: &C,
        tangent: &DMatrixView<'_, T>,
        mut to: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        to.fill(T::zero());
        let mut done = Ok(());
        blocks(present, to.ncols(), cost, |block| {
            if done.is_ok() {
                let tangent = part(*tangent, &block);
                let to = part_mut(&mut to, &block);
                done = self.block(&block).delta_tangent(cost, &tangent, to);
            }
        });
        done
    }

    /// Checks that the cost is defined at the outputs whose targets are present.
    pub(super) fn check_present<C: Cost<T> + ?Sized>(
        &self,
        present: Present<'_>,
        cost: &C,
    ) -> Result<(), Violation> {
        let mut done = Ok(());
        blocks(present, self.a.ncols(), cost, |block| {
            if done.is_ok() {
                done = self.block(&block).check(cost).map_err(|found| Violation {
                    unit: block.rows.start + found.unit,
                    example: block.columns.start + found.example,
                    ..found
                });
            }
        });
        done
    }
}
