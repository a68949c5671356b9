//! Lengths of the memory of passes, and the places of matrices in it.

use super::child::Child;
use super::plan::Plan;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;
use std::ops::Add;

/// A number of scalars for a batch of m examples, `each` · m + `fixed`.
///
/// Sums saturate: a pass rejects a length that overflows as too large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Len {
    /// The scalars of each example.
    pub each: usize,
    /// The scalars that do not depend on the number of examples.
    pub fixed: usize,
}

impl Len {
    /// Returns `each` scalars for each example.
    #[must_use]
    pub const fn each(each: usize) -> Self {
        Self { each, fixed: 0 }
    }

    /// Returns `fixed` scalars for a batch of any size.
    #[must_use]
    pub const fn fixed(fixed: usize) -> Self {
        Self { each: 0, fixed }
    }

    /// Returns the length for m examples.
    #[inline]
    #[must_use]
    pub const fn at(self, m: usize) -> usize {
        self.each.saturating_mul(m).saturating_add(self.fixed)
    }

    /// Returns the same length in a pass, whose buffers exist, so it cannot overflow.
    #[inline]
    pub(crate) const fn of(self, m: usize) -> usize {
        self.each * m + self.fixed
    }

    /// Returns a length that is at least both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            each: self.each.max(other.each),
            fixed: self.fixed.max(other.fixed),
        }
    }
}

impl Add for Len {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            each: self.each.saturating_add(other.each),
            fixed: self.fixed.saturating_add(other.fixed),
        }
    }
}

/// What later passes need of a forward pass.
///
/// A layer at the end ([`Site::tail`](super::Site::tail)) keeps its z in every case, because costs read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Only the outputs.
    #[default]
    Nothing,
    /// What `backward` and `forward_tangent` need: at best g′(z).
    Slope,
    /// What `backward_tangent` needs as well: g″(z).
    Curvature,
    /// z of every layer, for a trace.
    Z,
}

/// Every [`Keep`], in the order of [`ByKeep`].
pub(crate) const KEEPS: [Keep; 4] = [Keep::Nothing, Keep::Slope, Keep::Curvature, Keep::Z];

/// A length for each [`Keep`].
pub(crate) type ByKeep = [Len; 4];

pub(super) fn sum(a: ByKeep, b: ByKeep) -> ByKeep {
    std::array::from_fn(|i| a[i] + b[i])
}

/// Where a matrix of a layer lies in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the input.
    Input,
    /// It is the output.
    Output,
    /// It starts here in `kept`.
    Kept(Start),
}

/// An index in `kept`, which may depend on what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start(pub(super) ByKeep);

impl From<Len> for Start {
    /// The same index whatever is kept.
    fn from(at: Len) -> Self {
        Self([at; 4])
    }
}

impl Start {
    #[inline]
    pub(crate) fn at(self, keep: Keep, m: usize) -> usize {
        self.0[keep as usize].of(m)
    }
}

impl Place {
    /// Returns the same place as the parent of `child` sees it.
    pub(super) fn outside(self, child: &Child) -> Self {
        match self {
            Self::Input => child.input,
            Self::Output => child.output,
            Self::Kept(at) => Self::Kept(Start(sum(child.kept.0, at.0))),
        }
    }
}

/// The matrices of a layer in one pass, or their derivatives along a direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a, T: Scalar> {
    /// Absent in a derivative if the input does not move.
    pub(crate) input: Option<DMatrixView<'a, T>>,
    pub(crate) output: DMatrixView<'a, T>,
    pub(crate) kept: &'a [T],
    pub(crate) keep: Keep,
}

impl<'a, T: Scalar> Frame<'a, T> {
    /// Takes the first entries of buffers that are at least as long as a pass over m examples
    /// needs, without the input.
    #[inline]
    pub(crate) fn new(plan: &Plan, keep: Keep, m: usize, output: &'a [T], kept: &'a [T]) -> Self {
        let rows = plan.outputs();
        Self {
            input: None,
            output: DMatrixView::from_slice(&output[..rows * m], rows, m),
            kept: &kept[..plan.kept_in(keep, m)],
            keep,
        }
    }

    /// Returns the matrix of `rows` rows at a place.
    #[inline]
    pub(crate) fn get(&self, place: Place, rows: usize) -> Option<DMatrixView<'a, T>> {
        let m = self.output.ncols();
        match place {
            Place::Input => self.input,
            Place::Output => Some(self.output),
            Place::Kept(at) => {
                let all = &self.kept[at.at(self.keep, m)..];
                Some(DMatrixView::from_slice(&all[..rows * m], rows, m))
            }
        }
    }
}
