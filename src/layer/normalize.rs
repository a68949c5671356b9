//! What the norms share: x̂ = (x − μ) r with r = 1/√(σ² + ε), a = γ ∘ x̂ + β, and its derivatives.

use super::{Block, Len, Plan};
use crate::error::{Error, ranges::above_zero};
use crate::kernels::norms::{Grouping, Normalise, Sums, group_sums, normalise};
use crate::kernels::{columns, flat, flat_mut};
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::array::from_fn;
use std::ops::Range;

/// Groups of up to this many entries are projected twice. A gradient below a norm is what is left
/// of much larger terms, and the second projection removes most of their rounding.
const SMALL: usize = 16;

/// The entries of whole runs that go through all sweeps before the next ones do, so that they stay
/// in the first-level cache.
const PANEL: usize = 1024;

/// The parameters of a norm. None has β without γ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) gamma: bool,
    pub(super) beta: bool,
}

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
    pub(super) has: Parameters,
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

impl<'a, T> Normal<'a, T> {
    pub(super) fn new(entries: &'a [T], r: &'a [T]) -> Self {
        let scale = r;
        Self { entries, r, scale }
    }
}

/// The mean and the variance of each group.
pub(super) struct Statistics<'a, T> {
    pub(super) mean: &'a mut [T],
    /// What rounding took from the mean: next to a large offset, that is as large as the entries
    /// are without it.
    pub(super) left: &'a mut [T],
    /// The (biased) variance, which [`invert`](Norm::invert) replaces by r.
    pub(super) variance: &'a mut [T],
}

/// The means of some u and of u x̂ over each group, or their sums.
pub(super) struct Means<'a, T> {
    pub(super) plain: &'a mut [T],
    pub(super) products: &'a mut [T],
}

impl<'a, T> Means<'a, T> {
    pub(super) fn new([plain, products]: [&'a mut [T]; 2]) -> Self {
        Self { plain, products }
    }
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

    /// Takes N vectors of the same length.
    pub(super) fn vectors<const N: usize>(&mut self, len: usize) -> [&'a mut [T]; N] {
        from_fn(|_| self.take(len))
    }

    pub(super) fn statistics(&mut self, groups: usize) -> Statistics<'a, T> {
        let [mean, left, variance] = self.vectors(groups);
        Statistics {
            mean,
            left,
            variance,
        }
    }
}

/// Checks ε.
pub(super) fn check_eps<T: Scalar>(eps: f64) -> Result<(), Error> {
    above_zero::<T>("ε of the norm", eps)
}

/// Returns 1/√(σ² + ε), or NaN if the sum overflows: 1/√∞ = 0 would hide it.
pub(crate) fn inverse_root<T: Scalar>(variance: T, eps: T) -> T {
    let sum = variance + eps;
    if sum.is_finite() {
        T::one() / sum.sqrt()
    } else {
        real(f64::NAN)
    }
}

/// Returns the name of a norm with those of its settings that are not the default.
pub(super) fn with_settings(norm: &str, settings: &[String]) -> String {
    match settings {
        [] => norm.to_owned(),
        _ => format!("{norm}({})", settings.join(", ")),
    }
}

/// Adds γ and β, and the lengths of the memory.
pub(super) fn with_memory(mut plan: Plan, sizes: Sizes, has: Parameters) -> Plan {
    let Sizes {
        entries,
        groups,
        units,
    } = sizes;
    if has.gamma {
        plan = plan.block(Block::constant("γ", units, 1, 1.0));
    }
    if has.beta {
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
    let all = flat_mut(matrix);
    debug_assert!(all.is_some(), "the columns must be contiguous");
    all.unwrap_or_default()
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
        let has = self.has;
        let (gamma, beta) = theta.split_at(if has.gamma { self.units } else { 0 });
        (has.gamma.then_some(gamma), has.beta.then_some(beta))
    }

    /// Writes the mean and the variance of each group; for a norm that is not centred, 0 and the
    /// mean square.
    pub(super) fn statistics<T: Scalar>(&self, x: &[T], to: &mut Statistics<'_, T>) {
        let Statistics {
            mean,
            left,
            variance,
        } = to;
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
        let center = Some(&**mean);
        group_sums(Sums { center, ..plain }, left, variance);
        for (left, v) in left.iter_mut().zip(&mut **variance) {
            *left /= n;
            *v = *v / n - *left * *left;
            if *v < T::zero() {
                *v = T::zero(); // rounded below 0
            }
        }
    }

    /// Replaces variances by r = 1/√(σ² + ε).
    pub(super) fn invert<T: Scalar>(&self, variance: &mut [T]) {
        let eps = real::<T>(self.eps);
        for v in variance {
            *v = inverse_root(*v, eps);
        }
    }

    /// Writes a = γ ∘ x̂ + β, and x̂ to `normal` unless it is empty, given the mean and r.
    pub(super) fn normalise<T: Scalar>(
        &self,
        theta: &[T],
        of: &Statistics<'_, T>,
        x: &[T],
        a: &mut [T],
        normal: &mut [T],
    ) {
        let (gamma, beta) = self.split(theta);
        let of = Normalise {
            by: self.by,
            x,
            center: of.mean,
            left: of.left,
            scale: of.variance,
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
    pub(super) fn means<T: Scalar>(&self, u: &[T], q: &[T], to: &mut Means<'_, T>) {
        let n = self.size::<T>(u.len());
        let of = Sums {
            by: self.by,
            u,
            center: None,
            with: Some(q),
        };
        group_sums(of, to.plain, to.products);
        to.plain.iter_mut().for_each(|mean| *mean /= n);
        to.products.iter_mut().for_each(|mean| *mean /= n);
    }

    /// Computes Σ δ and Σ δ x̂ over the entries of each γ.
    pub(super) fn sums<T: Scalar>(&self, delta: &[T], normal: &[T], to: &mut Means<'_, T>) {
        let of = Sums {
            by: self.per,
            u: delta,
            center: None,
            with: Some(normal),
        };
        group_sums(of, to.plain, to.products);
    }
}
