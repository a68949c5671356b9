//! Sums over groups of entries, and sweeps with one constant for each group: the loops of
//! normalisation.
//!
//! The fast paths are the same loops as the plain ones, compiled for the registers of each level.
//! Nothing is fused, so all levels have the same bits.

mod normal;
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
    /// a ← a s.
    Scale(&'a [T]),
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

/// What x̂ = ((x − c) − l) s and a = x̂ γ + β are computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalise<'a, T> {
    pub(crate) by: Grouping,
    pub(crate) x: &'a [T],
    pub(crate) center: &'a [T],
    /// l: what rounding took from c.
    pub(crate) left: &'a [T],
    pub(crate) scale: &'a [T],
    /// The entries that share γ and β: those of `by`, or a cycle of single entries.
    pub(crate) per: Grouping,
    pub(crate) gamma: Option<&'a [T]>,
    /// β, which no norm has without γ.
    pub(crate) beta: Option<&'a [T]>,
}

/// [`Normalise`] as a kernel, which writes a, and x̂ if there is room for it.
impl<R: Real> Kernel<R> for Normalise<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], normal: &mut [R]) {
        normal::plainly(self, a, normal);
    }
}

/// A sweep with its groups, as a kernel.
struct Swept<'a, R> {
    by: Grouping,
    sweep: Sweep<'a, R>,
    from: Option<&'a [R]>,
}

impl<R: Real> Kernel<R> for Swept<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        sweeps::plainly(self.by, self.sweep, self.from, a);
    }
}

/// [`group_sums`] for one precision, in the best registers.
pub(super) fn sums_at<R: Real>(sums: Sums<'_, R>, first: &mut [R], second: &mut [R]) {
    launch(sums, first, second);
}

/// [`sweep`] for one precision, in the best registers.
pub(super) fn sweep_at<R: Real>(
    by: Grouping,
    sweep: Sweep<'_, R>,
    from: Option<&[R]>,
    a: &mut [R],
) {
    launch(Swept { by, sweep, from }, a, &mut []);
}

/// [`normalise`] for one precision, in the best registers.
pub(super) fn normalise_at<R: Real>(of: Normalise<'_, R>, a: &mut [R], normal: &mut [R]) {
    launch(of, a, normal);
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
    swept(by, sweep, None, a);
}

/// Writes to `a` what the sweep makes of the entries of `from`.
pub(crate) fn sweep_from<T: Scalar>(by: Grouping, sweep: Sweep<'_, T>, from: &[T], a: &mut [T]) {
    swept(by, sweep, Some(from), a);
}

fn swept<T: Scalar>(by: Grouping, sweep: Sweep<'_, T>, from: Option<&[T]>, a: &mut [T]) {
    match table::<T>() {
        Some(table) => (table.sweep)(by, sweep, from, a),
        None => sweeps::plainly(by, sweep, from, a),
    }
}

/// Writes a, and x̂ to `normal` unless it is empty.
pub(crate) fn normalise<T: Scalar>(of: Normalise<'_, T>, a: &mut [T], normal: &mut [T]) {
    match table::<T>() {
        Some(table) => (table.normalise)(of, a, normal),
        None => normal::plainly(of, a, normal),
    }
}

#[cfg(test)]
#[path = "../norms_tests.rs"]
mod tests;
