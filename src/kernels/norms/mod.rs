//! Sums over groups of entries, and sweeps with one constant for each group: the loops of
//! normalisation.
//!
//! The fast paths are the same loops as the plain ones, compiled for the registers of each level.
//! Nothing is fused, so all levels have the same bits.

mod sums;
mod sweeps;

use super::level::{Kernel, launch};
use super::real::Real;
use super::table::table;
use crate::scalar::Scalar;

/// Which entries belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// Each `len` adjacent entries are a group.
    Runs { len: usize },
    /// Runs of `len` adjacent entries belong to group 0, 1, …, `count` − 1, and then to 0 again:
    /// the units (`len` = 1) or the channels of examples one after the other.
    Cycle { count: usize, len: usize },
}

/// What is summed over each group: p and p q, where p = u − c.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums<'a, T> {
    pub(crate) by: Grouping,
    pub(crate) u: &'a [T],
    /// c of each group; 0 if absent.
    pub(crate) center: Option<&'a [T]>,
    /// q of each entry; p itself if absent.
    pub(crate) with: Option<&'a [T]>,
}

/// A sweep over the entries a, with constants of each group.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweep<'a, T> {
    /// a ← (a − μ − ρ) s, where ρ is what μ has lost by rounding.
    Normalise {
        mean: &'a [T],
        rest: &'a [T],
        scale: &'a [T],
    },
    /// a ← a s.
    Scale(&'a [T]),
    /// a ← a s + c.
    Affine { scale: &'a [T], shift: &'a [T] },
    /// a ← (a − c − x̂ s) r: what is left without the parts along 1 and along x̂.
    Project {
        normal: &'a [T],
        center: Option<&'a [T]>,
        along: &'a [T],
        scale: Option<&'a [T]>,
    },
    /// a ← a + x s + c.
    Add {
        x: &'a [T],
        scale: &'a [T],
        shift: Option<&'a [T]>,
    },
}

/// [`Sums`] as a kernel, which writes Σ p and Σ p q.
impl<R: Real> Kernel<R> for Sums<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, first: &mut [R], second: &mut [R]) {
        sums::plainly(self, first, second);
    }
}

/// A sweep with its groups, as a kernel.
struct Swept<'a, R> {
    by: Grouping,
    sweep: Sweep<'a, R>,
}

impl<R: Real> Kernel<R> for Swept<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        sweeps::plainly(self.by, self.sweep, a);
    }
}

/// [`group_sums`] for one precision, in the best registers.
pub(super) fn sums_at<R: Real>(sums: Sums<'_, R>, first: &mut [R], second: &mut [R]) {
    launch(sums, first, second);
}

/// [`sweep`] for one precision, in the best registers.
pub(super) fn sweep_at<R: Real>(by: Grouping, sweep: Sweep<'_, R>, a: &mut [R]) {
    launch(Swept { by, sweep }, a, &mut []);
}

/// Writes Σ p and Σ p q of each group.
pub(crate) fn group_sums<T: Scalar>(sums: Sums<'_, T>, first: &mut [T], second: &mut [T]) {
    match table::<T>() {
        Some(table) => (table.group_sums)(sums, first, second),
        None => sums::plainly(sums, first, second),
    }
}

/// Sweeps over all entries of `a`.
pub(crate) fn sweep<T: Scalar>(by: Grouping, sweep: Sweep<'_, T>, a: &mut [T]) {
    match table::<T>() {
        Some(table) => (table.sweep)(by, sweep, a),
        None => sweeps::plainly(by, sweep, a),
    }
}

#[cfg(test)]
#[path = "../norms_tests.rs"]
mod tests;
