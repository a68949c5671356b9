//! What the norms share: x̂ = (x − μ) r with r = 1/√(σ² + ε), a = γ ∘ x̂ + β, and its derivatives.

use super::{Block, Len, Plan};
use crate::error::{Error, ranges::above_zero};
use crate::kernels::norms::{Grouping, Normalise, Sums, group_sums, normalise};
use crate::kernels::{columns, flat, flat_mut};
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// Groups of up to this many entries are projected twice. A gradient below a norm is what is left
/// of much larger terms, and the second projection removes most of their rounding.
const SMALL: usize = 16;

/// The entries of whole runs that go through all sweeps before the next ones do, so that they stay
/// in the first-level cache.
const PANEL: usize = 1024;

/// The groups and the parameters of a norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    /// The entries that share a mean and a variance.
    pub(super) by: Grouping,
    /// The number of these groups in a pass.
    pub(super) groups: usize,
    /// The entries that share γ and β.
    pub(super) per: Grouping,
    /// The number of entries of γ.
    pub(super) units: usize,
    /// Whether the mean is subtracted.
    pub(super) centred: bool,
    pub(super) gamma: bool,
    pub(super) beta: bool,
    pub(super) eps: f64,
    /// Whether mean and variance are those of the entries, and not constants.
    pub(super) of_entries: bool,
}

/// Some of the groups of a norm, with all their entries.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// The norm of these groups alone.
    pub(super) norm: Norm,
    pub(super) groups: Range<usize>,
    pub(super) entries: Range<usize>,
}

/// The lengths of what a norm keeps and needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The entries of an example.
    pub(super) entries: usize,
    /// The number of groups.
    pub(super) groups: Len,
    /// The number of entries of γ.
    pub(super) units: usize,
}

/// x̂ with r, and the factor of what is left after a projection: r, or r γ.
#[derive(Clone, Copy)]
pub(super) struct Normal<'a, T> {
    pub(super) entries: &'a [T],
    pub(super) r: &'a [T],
    pub(super) scale: &'a [T],
}

/// Room for vectors with a number for each group, or for each entry of γ.
pub(super) struct Room<'a, T> {
    pub(super) rest: &'a mut [T],
}

impl<'a, T> Room<'a, T> {
    pub(super) fn take(&mut self, len: usize) -> &'a mut [T] {
        let (taken, rest) = std::mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        taken
    }
}

/// Checks ε.
pub(super) fn check_eps<T: Scalar>(eps: f64) -> Result<(), Error> {
    above_zero::<T>("ε of the norm", eps)
}

/// Adds γ and β, and the lengths of the memory.
pub(super) fn with_memory(mut plan: Plan, sizes: Sizes, (gamma, beta): (bool, bool)) -> Plan {
    let Sizes {
        entries,
        groups,
        units,
    } = sizes;
    if gamma {
        plan = plan.block(Block::constant("γ", units, 1, 1.0));
    }
    if beta {
        plan = plan.block(Block::constant("β", units, 1, 0.0));
    }
    let groups_times = |n: usize| Len {
        each: groups.each.saturating_mul(n),
        fixed: groups.fixed.saturating_mul(n),
    };
    let parameters = Len::fixed(units.saturating_mul(4));
    plan.keeps_by(|keep| match keep {
        super::Keep::Nothing => Len::default(),
        _ => Len::each(entries) + groups,
    })
    .room(groups_times(5) + parameters)
    .tangent_room_of(groups_times(10) + parameters + Len::each(entries))
    .own_each()
}

/// Returns all entries of a matrix whose columns are contiguous, as those of every pass are.
pub(super) fn entries<'a, T: Scalar>(matrix: &'a mut DMatrixViewMut<'_, T>) -> &'a mut [T] {
    flat_mut(matrix).unwrap_or_default()
}

/// Copies the columns of a matrix.
pub(super) fn copy<T: Scalar>(from: &DMatrixView<'_, T>, to: &mut [T]) {
    if let Some(from) = flat(from) {
        to.copy_from_slice(from);
        return;
    }
    for (from, to) in from.column_iter().zip(to.chunks_mut(from.nrows().max(1))) {
        to.copy_from_slice(from.as_slice());
    }
}

/// Returns all entries of a matrix at once if they are contiguous, or else column by column.
pub(super) fn columns_of<'a, T: Scalar>(
    matrix: &DMatrixView<'a, T>,
) -> impl Iterator<Item = &'a [T]> {
    let all = flat(matrix);
    let apart = if all.is_some() { 0 } else { matrix.ncols() };
    let matrix = *matrix;
    let column = move |k| flat(&columns(matrix, k, 1)).unwrap_or_default();
    all.into_iter().chain((0..apart).map(column))
}

impl Norm {
    /// The number of entries of a group.
    pub(super) fn size<T: Scalar>(&self, entries: usize) -> T {
        real((entries / self.groups.max(1)) as f64)
    }

    /// Splits θ, or a vector like it, into its shares of γ and β.
    pub(super) fn split<'a, T>(&self, theta: &'a [T]) -> (Option<&'a [T]>, Option<&'a [T]>) {
        let (gamma, beta) = theta.split_at(if self.gamma { self.units } else { 0 });
        (self.gamma.then_some(gamma), self.beta.then_some(beta))
    }

    /// Writes the mean and the (biased) variance of each group; for a norm that is not centred, 0
    /// and the mean square. `left` becomes what rounding took from the mean: next to a large
    /// offset, that is as large as the entries are without it.
    pub(super) fn statistics<T: Scalar>(
        &self,
        x: &[T],
        (mean, left): (&mut [T], &mut [T]),
        variance: &mut [T],
    ) {
        let (by, n) = (self.by, self.size::<T>(x.len()));
        let plain = Sums {
            by,
            u: x,
            center: None,
            with: None,
        };
        group_sums(plain, mean, variance);
        if !self.centred {
            mean.fill(T::zero());
            left.fill(T::zero());
            variance.iter_mut().for_each(|v| *v /= n);
            return;
        }
        mean.iter_mut().for_each(|mean| *mean /= n);
        let center = Some(&*mean);
        group_sums(Sums { center, ..plain }, left, variance);
        for (left, v) in left.iter_mut().zip(variance) {
            *left /= n;
            *v = *v / n - *left * *left;
            if *v < T::zero() {
                *v = T::zero(); // rounded below 0
            }
        }
    }

    /// Replaces variances by r = 1/√(σ² + ε).
    pub(super) fn invert_roots<T: Scalar>(&self, variance: &mut [T]) {
        let eps = real::<T>(self.eps);
        for v in variance {
            let sum = *v + eps;
            // Where the squares overflow, 1/√∞ = 0 would hide it.
            *v = if sum.is_finite() {
                T::one() / sum.sqrt()
            } else {
                real(f64::NAN)
            };
        }
    }

    /// Writes a = γ ∘ x̂ + β, and x̂ to `normal` unless it is empty.
    pub(super) fn normalise<T: Scalar>(
        &self,
        theta: &[T],
        (x, a): (&[T], &mut [T]),
        (center, left, scale): (&[T], &[T], &[T]),
        normal: &mut [T],
    ) {
        let (gamma, beta) = self.split(theta);
        let of = Normalise {
            by: self.by,
            x,
            center,
            left,
            scale,
            per: self.per,
            gamma,
            beta,
        };
        normalise(of, a, normal);
    }

    /// Returns the parts of a norm of runs whose entries fit the cache, in order.
    pub(super) fn panels(&self, entries: usize) -> impl Iterator<Item = Panel> {
        let norm = *self;
        let size = (entries / self.groups.max(1)).max(1);
        let most = match self.by {
            Grouping::Runs { .. } => (PANEL / size).max(1),
            Grouping::Cycle { .. } => self.groups.max(1),
        };
        (0..self.groups).step_by(most).map(move |start| {
            let end = (start + most).min(norm.groups);
            Panel {
                norm: Norm {
                    groups: end - start,
                    ..norm
                },
                groups: start..end,
                entries: start * size..end * size,
            }
        })
    }

    /// Returns whether groups of this many entries together are projected twice.
    pub(super) fn is_small(&self, entries: usize) -> bool {
        entries <= SMALL * self.groups
    }

    /// Writes the means of u and of u q over each group.
    pub(super) fn means<T: Scalar>(
        &self,
        (u, q): (&[T], &[T]),
        plain: &mut [T],
        products: &mut [T],
    ) {
        let n = self.size::<T>(u.len());
        let of = Sums {
            by: self.by,
            u,
            center: None,
            with: Some(q),
        };
        group_sums(of, plain, products);
        plain.iter_mut().for_each(|mean| *mean /= n);
        products.iter_mut().for_each(|mean| *mean /= n);
    }
}
