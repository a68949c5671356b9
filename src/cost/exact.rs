//! How to compute a − y and 1 − a where a has rounded to a constant.

use crate::kernels::squash::Squash;
use crate::kernels::{columns, in_rows, rows};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;
use std::ops::Range;

/// How to compute a − y and 1 − a more accurately than from the rounded a.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exact<'a, T: Scalar> {
    /// a is this function of z.
    Squashed(Squash, DMatrixView<'a, T>),
    /// They are already computed.
    #[cfg(feature = "num-dual")]
    Known(&'a Known<'a, T>),
}

impl<T: Scalar> Exact<'_, T> {
    /// Returns the same for some examples.
    pub(crate) fn columns(self, first: usize, count: usize) -> Self {
        match self {
            Self::Squashed(squash, z) => Self::Squashed(squash, columns(z, first, count)),
            #[cfg(feature = "num-dual")]
            Self::Known(_) => self,
        }
    }

    /// Returns the same for some rows, if a depends only on z of the same unit.
    pub(crate) fn rows(self, range: &Range<usize>) -> Option<Self> {
        match self {
            Self::Squashed(Squash::Softmax, _) => None,
            Self::Squashed(squash, z) => Some(Self::Squashed(squash, rows(z, range.clone()))),
            #[cfg(feature = "num-dual")]
            Self::Known(_) => None,
        }
    }

    /// Returns the same for one example, with a column for each position.
    pub(crate) fn in_rows(self, example: usize, units: usize) -> Self {
        match self {
            Self::Squashed(squash, z) => {
                Self::Squashed(squash, in_rows(columns(z, example, 1), units))
            }
            #[cfg(feature = "num-dual")]
            Self::Known(_) => self,
        }
    }
}

/// a − y and 1 − a.
#[cfg(feature = "num-dual")]
#[derive(Debug)]
pub(crate) struct Known<'a, T: Scalar> {
    pub(crate) difference: DMatrixView<'a, T>,
    pub(crate) complement: DMatrixView<'a, T>,
}
