//! What a cost reads of a network: all outputs, those of one head, or those of one position.

use super::{Cost, Link, Outputs, Violation};
use crate::activation::AnyActivation;
use crate::error::Error;
use crate::kernels::{self, columns};
use crate::layer::{Frame, Head};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// The number of values that are computed at a time.
const TOGETHER: usize = 64;

/// The number of targets of a head that are copied at a time.
pub(super) const GATHERED: usize = 256;

/// The heads of a network, with what each left in a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadOutputs<'a, T: Scalar> {
    pub(crate) heads: &'a [Head],
    pub(crate) frame: Frame<'a, T>,
}

impl<T: Scalar> HeadOutputs<'_, T> {
    /// Returns the head with exactly these rows.
    fn find(&self, rows: &Range<usize>) -> Option<&Head> {
        let mut start = 0;
        self.heads.iter().find(|head| {
            let found = start..start + head.rows;
            start = found.end;
            found == *rows
        })
    }
}

impl<'a, T: Scalar> Outputs<'a, T> {
    /// Returns the arguments of a cost with this link, for the outputs of one head: z if the pair
    /// is canonical, and the activation that computed a.
    #[inline]
    pub(crate) fn of_head(
        head: &Head,
        link: Option<Link>,
        frame: &Frame<'a, T>,
        y: DMatrixView<'a, T>,
    ) -> Self {
        let a = frame.get(head.a, head.rows).unwrap_or(frame.output);
        let mut at = Outputs::new(None, a, y);
        let Some(z) = head.z.and_then(|z| frame.get(z, head.rows)) else {
            return at;
        };
        let softmax = Some(Link::Softmax);
        let by_softmax = head.activation == Some(AnyActivation::Softmax);
        if head.units != head.rows && (by_softmax || head.link == softmax || link == softmax) {
            at.units = Some(head.units);
        }
        if head.link.is_some() && head.link == link {
            at.z = Some(z);
        }
        match head.activation {
            Some(activation) => at.activated_by(activation, z),
            None => at,
        }
    }

    /// Returns the outputs in `rows`, for a cost with this link.
    pub(crate) fn in_rows(&self, rows: &Range<usize>, link: Option<Link>) -> Self {
        let y = kernels::rows(self.y, rows.clone());
        let mut at = match self.heads.and_then(|of| Some((of, of.find(rows)?))) {
            Some((of, head)) => Outputs::of_head(head, link, &of.frame, y),
            None => Outputs::new(None, kernels::rows(self.a, rows.clone()), y),
        };
        at.at_outputs = self.at_outputs;
        at.present = self.present.map(|present| present.rows(rows));
        if self.hides_z {
            at.z = None;
        }
        at
    }

    /// Returns the direction of z of the head with exactly these rows.
    pub(crate) fn z_tangent(&self, rows: &Range<usize>) -> Option<DMatrixView<'a, T>> {
        let of = self.tangents?;
        let head = of.find(rows)?;
        of.frame.get(head.z?, head.rows)
    }

    /// Returns the outputs of some examples.
    fn examples(&self, first: usize, count: usize) -> Self {
        let of = |matrix| columns(matrix, first, count);
        Self {
            z: self.z.map(of),
            a: of(self.a),
            y: of(self.y),
            exact: self.exact.map(|exact| exact.columns(first, count)),
            present: self.present.map(|present| present.examples(first)),
            position: self.position.map(|position| position + first),
            ..*self
        }
    }

    /// Returns the outputs of one example, with a column for each position.
    fn positions(&self, example: usize, units: usize) -> Self {
        let of = |matrix: DMatrixView<'a, T>| {
            let column = columns(matrix, example, 1);
            kernels::in_rows(column, units)
        };
        Self {
            z: self.z.map(of),
            a: of(self.a),
            y: of(self.y),
            exact: self.exact.map(|exact| exact.in_rows(example, units)),
            units: None,
            position: Some(0),
            ..*self
        }
    }

    /// Writes the cost of each example.
    #[inline]
    pub(crate) fn values<C: Cost<T> + ?Sized>(&self, cost: &C, values: &mut [T]) {
        if let Some(present) = self.missing(cost) {
            values.fill(T::zero());
            return self.add_present_values(present, cost, T::one(), values);
        }
        let Some(units) = self.units else {
            return cost.values(self, values);
        };
        for (k, value) in values.iter_mut().enumerate() {
            let at = self.positions(k, units);
            *value = T::zero();
            at.in_blocks(cost, |_, block| {
                *value = block.iter().fold(*value, |sum, &v| sum + v);
            });
        }
    }

    /// Calls `visit` with the costs of some columns at a time, and the first of them.
    fn in_blocks<C: Cost<T> + ?Sized>(&self, cost: &C, mut visit: impl FnMut(usize, &[T])) {
        let mut buffer = [T::zero(); TOGETHER];
        self.gathered(|columns, at| {
            for first in (0..columns.len()).step_by(TOGETHER) {
                let count = TOGETHER.min(columns.len() - first);
                let block = &mut buffer[..count];
                cost.values(&at.examples(first, count), block);
                visit(columns.start + first, block);
            }
        });
    }

    /// Calls `visit` with the columns of some examples at a time, and with outputs whose targets
    /// have no gaps, which the fast paths of costs need. The targets of one head of several are
    /// copied.
    pub(super) fn gathered(&self, mut visit: impl FnMut(Range<usize>, &Outputs<'_, T>)) {
        let (rows, m) = self.a.shape();
        if kernels::flat(&self.y).is_some() || rows > GATHERED {
            return visit(0..m, self);
        }
        let (mut buffer, together) = ([T::zero(); GATHERED], GATHERED / rows);
        for first in (0..m).step_by(together) {
            let count = together.min(m - first);
            let at = self.examples(first, count);
            let y = &mut buffer[..rows * count];
            for (to, column) in y.chunks_exact_mut(rows).zip(at.y.column_iter()) {
                to.copy_from_slice(column.as_slice());
            }
            let y = DMatrixView::from_slice(y, rows, count);
            visit(first..first + count, &Outputs { y, ..at });
        }
    }

    /// Adds the cost of each example, multiplied by a weight.
    pub(crate) fn add_values<C: Cost<T> + ?Sized>(&self, cost: &C, weight: T, values: &mut [T]) {
        if let Some(present) = self.missing(cost) {
            return self.add_present_values(present, cost, weight, values);
        }
        if let Some(units) = self.units {
            for (k, value) in values.iter_mut().enumerate() {
                self.positions(k, units).in_blocks(cost, |_, block| {
                    *value = block.iter().fold(*value, |sum, &v| sum + weight * v);
                });
            }
            return;
        }
        self.in_blocks(cost, |first, block| {
            for (value, &v) in values[first..].iter_mut().zip(block) {
                *value += weight * v;
            }
        });
    }

    /// Writes ∂cost/∂z if z is present, otherwise ∂cost/∂a.
    #[inline]
    pub(crate) fn delta<C: Cost<T> + ?Sized>(&self, cost: &C, mut delta: DMatrixViewMut<'_, T>) {
        if let Some(present) = self.missing(cost) {
            return self.present_delta(present, cost, delta);
        }
        let Some(units) = self.units else {
            return cost.delta(self, delta);
        };
        for (k, mut column) in delta.column_iter_mut().enumerate() {
            let column = column.as_mut_slice();
            let count = column.len() / units;
            let to = DMatrixViewMut::from_slice(column, units, count);
            cost.delta(&self.positions(k, units), to);
        }
    }

    /// Writes the derivative of [`delta`](Self::delta) along a direction.
    pub(crate) fn delta_tangent<C: Cost<T> + ?Sized>(
        &self,
        cost: &C,
        tangent: &DMatrixView<'_, T>,
        mut to: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        if let Some(present) = self.missing(cost) {
            return self.present_delta_tangent(present, cost, tangent, to);
        }
        let Some(units) = self.units else {
            return cost.delta_tangent(self, *tangent, to);
        };
        for (k, mut column) in to.column_iter_mut().enumerate() {
            let column = column.as_mut_slice();
            let count = column.len() / units;
            let to = DMatrixViewMut::from_slice(column, units, count);
            let tangent = kernels::in_rows(columns(*tangent, k, 1), units);
            cost.delta_tangent(&self.positions(k, units), tangent, to)?;
        }
        Ok(())
    }

    /// Checks that the cost is defined at the outputs, unless it is computed from z.
    pub(crate) fn check<C: Cost<T> + ?Sized>(&self, cost: &C) -> Result<(), Violation> {
        if self.z.is_some() {
            return Ok(());
        }
        match self.missing(cost) {
            Some(present) => self.check_present(present, cost),
            None => cost.check_outputs(self.a, self.y),
        }
    }
}
