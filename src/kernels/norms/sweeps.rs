//! Sweeps over all entries, with constants of each group.

use super::{Grouping, Sweep};
use crate::scalar::Scalar;

/// N constants of a piece of adjacent entries: the same for all, or those of each.
#[derive(Clone, Copy)]
pub(super) enum Constants<'a, T, const N: usize> {
    One([T; N]),
    Each([&'a [T]; N]),
}

/// The pieces of adjacent entries: `len` of them, and where each finds its constants.
pub(super) struct Pieces {
    pub(super) len: usize,
    by: Grouping,
}

impl Pieces {
    #[inline(always)]
    pub(super) fn new(by: Grouping) -> Self {
        let len = match by {
            Grouping::Runs { len } => len,
            Grouping::Cycle { count, len: 1 } => count,
            Grouping::Cycle { len, .. } => len,
        };
        Self { len, by }
    }

    /// Returns the constants of a piece.
    #[inline(always)]
    pub(super) fn of<'a, T: Scalar, const N: usize>(
        &self,
        all: [&'a [T]; N],
        piece: usize,
    ) -> Constants<'a, T, N> {
        let group = match self.by {
            Grouping::Runs { .. } => piece,
            Grouping::Cycle { len: 1, .. } => return Constants::Each(all),
            Grouping::Cycle { count, .. } => piece % count,
        };
        Constants::One(all.map(|all| all[group]))
    }
}

/// Replaces each entry of `a`, or writes there what the entry of `from` becomes. `f` takes this
/// entry, that of `x`, and three constants of its group.
#[inline(always)]
fn each<T: Scalar>(
    from: Option<&[T]>,
    a: &mut [T],
    x: Option<&[T]>,
    constants: Constants<'_, T, 3>,
    f: impl Fn(T, T, [T; 3]) -> T,
) {
    match constants {
        Constants::One(all) => entries(from, a, x, |_, a, x| f(a, x, all)),
        Constants::Each([c, s, r]) => {
            let n = a.len();
            let (c, s, r) = (&c[..n], &s[..n], &r[..n]);
            entries(from, a, x, |i, a, x| f(a, x, [c[i], s[i], r[i]]));
        }
    }
}

#[inline(always)]
fn entries<T: Scalar>(
    from: Option<&[T]>,
    a: &mut [T],
    x: Option<&[T]>,
    f: impl Fn(usize, T, T) -> T,
) {
    // Loops, because the closure of an iterator may be left without the registers of the level.
    let n = a.len();
    match (from.map(|from| &from[..n]), x.map(|x| &x[..n])) {
        (Some(from), Some(x)) => {
            for i in 0..n {
                a[i] = f(i, from[i], x[i]);
            }
        }
        (Some(from), None) => {
            for i in 0..n {
                a[i] = f(i, from[i], T::zero());
            }
        }
        (None, Some(x)) => {
            for i in 0..n {
                a[i] = f(i, a[i], x[i]);
            }
        }
        (None, None) => {
            for (i, a) in a.iter_mut().enumerate() {
                *a = f(i, *a, T::zero());
            }
        }
    }
}

#[inline(always)]
pub(super) fn plainly<T: Scalar>(
    by: Grouping,
    sweep: Sweep<'_, T>,
    from: Option<&[T]>,
    a: &mut [T],
) {
    let pieces = Pieces::new(by);
    let len = pieces.len.max(1);
    for (piece, a) in a.chunks_mut(len).enumerate() {
        let start = piece * len;
        let range = start..start + a.len();
        let of = |all| pieces.of(all, piece);
        let from = from.map(|from| &from[range.clone()]);
        match sweep {
            Sweep::Scale(s) => each(from, a, None, of([s; 3]), |a, _, [_, s, _]| a * s),
            Sweep::Project {
                normal,
                center,
                along: s,
                scale,
            } => {
                let x = Some(&normal[range]);
                let all = of([center.unwrap_or(s), s, scale.unwrap_or(s)]);
                match (center, scale) {
                    (Some(_), Some(_)) => {
                        each(from, a, x, all, |a, x, [c, s, r]| (a - c - x * s) * r);
                    }
                    (Some(_), None) => each(from, a, x, all, |a, x, [c, s, _]| a - c - x * s),
                    (None, Some(_)) => each(from, a, x, all, |a, x, [_, s, r]| (a - x * s) * r),
                    (None, None) => each(from, a, x, all, |a, x, [_, s, _]| a - x * s),
                }
            }
            Sweep::Add { x, scale: s, shift } => {
                let (x, all) = (Some(&x[range]), of([shift.unwrap_or(s), s, s]));
                match shift {
                    Some(_) => each(from, a, x, all, |a, x, [c, s, _]| a + (x * s + c)),
                    None => each(from, a, x, all, |a, x, [_, s, _]| a + x * s),
                }
            }
        }
    }
}
