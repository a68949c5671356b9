//! Sweeps over all entries, with constants of each group.

use super::{Grouping, Sweep};
use crate::scalar::Scalar;

/// The constants of a piece of adjacent entries: one for all, or one for each.
#[derive(Clone, Copy)]
enum Constants<'a, T> {
    One(T),
    Each(&'a [T]),
}

/// The pieces of adjacent entries: `len` of them, and where each finds its constants.
struct Pieces {
    len: usize,
    by: Grouping,
}

impl Pieces {
    #[inline(always)]
    fn new(by: Grouping) -> Self {
        let len = match by {
            Grouping::Runs { len } => len,
            Grouping::Cycle { count, len: 1 } => count,
            Grouping::Cycle { len, .. } => len,
        };
        Self { len, by }
    }

    /// Returns the constants of a piece.
    #[inline(always)]
    fn of<'a, T: Scalar>(&self, all: &'a [T], piece: usize) -> Constants<'a, T> {
        match self.by {
            Grouping::Runs { .. } => Constants::One(all[piece]),
            Grouping::Cycle { len: 1, .. } => Constants::Each(all),
            Grouping::Cycle { count, .. } => Constants::One(all[piece % count]),
        }
    }
}

/// Calls `f` with each entry, an entry of `x`, and the constants of its group.
#[inline(always)]
fn each<T: Scalar, const N: usize>(
    a: &mut [T],
    x: Option<&[T]>,
    constants: [Constants<'_, T>; N],
    f: impl Fn(T, T, [T; N]) -> T,
) {
    let len = a.len();
    let mut one = [T::zero(); N];
    let mut all: [&[T]; N] = [&[]; N];
    let mut varies = false;
    for (i, constant) in constants.into_iter().enumerate() {
        match constant {
            Constants::One(c) => one[i] = c,
            Constants::Each(c) => (all[i], varies) = (&c[..len], true),
        }
    }
    match (x, varies) {
        (None, false) => a.iter_mut().for_each(|a| *a = f(*a, T::zero(), one)),
        (Some(x), false) => a.iter_mut().zip(x).for_each(|(a, &x)| *a = f(*a, x, one)),
        // The constants of a sweep are all of the same groups.
        (None, true) => {
            for i in 0..len {
                a[i] = f(a[i], T::zero(), all.map(|c| c[i]));
            }
        }
        (Some(x), true) => {
            let x = &x[..len];
            for i in 0..len {
                a[i] = f(a[i], x[i], all.map(|c| c[i]));
            }
        }
    }
}

#[inline(always)]
pub(super) fn plainly<T: Scalar>(by: Grouping, sweep: Sweep<'_, T>, a: &mut [T]) {
    let pieces = Pieces::new(by);
    let len = pieces.len.max(1);
    for (piece, a) in a.chunks_mut(len).enumerate() {
        let start = piece * len;
        let of = |all| pieces.of(all, piece);
        let part = |x: &'_ [T]| start..start + a.len().min(x.len());
        match sweep {
            Sweep::Normalise { mean, rest, scale } => {
                let constants = [of(mean), of(rest), of(scale)];
                each(a, None, constants, |a, _, [c, d, s]| (a - c - d) * s);
            }
            Sweep::Scale(scale) => each(a, None, [of(scale)], |a, _, [s]| a * s),
            Sweep::Affine { scale, shift } => {
                each(a, None, [of(shift), of(scale)], |a, _, [c, s]| a * s + c);
            }
            Sweep::Project {
                normal,
                center,
                along,
                scale,
            } => {
                let x = Some(&normal[part(normal)]);
                match (center, scale) {
                    (Some(c), Some(scale)) => {
                        let constants = [of(c), of(along), of(scale)];
                        each(a, x, constants, |a, x, [c, s, r]| (a - c - x * s) * r);
                    }
                    (Some(c), None) => {
                        each(a, x, [of(c), of(along)], |a, x, [c, s]| a - c - x * s);
                    }
                    (None, Some(scale)) => {
                        each(a, x, [of(along), of(scale)], |a, x, [s, r]| (a - x * s) * r);
                    }
                    (None, None) => each(a, x, [of(along)], |a, x, [s]| a - x * s),
                }
            }
            Sweep::Add { x, scale, shift } => {
                let x = Some(&x[part(x)]);
                match shift {
                    Some(c) => each(a, x, [of(c), of(scale)], |a, x, [c, s]| a + (x * s + c)),
                    None => each(a, x, [of(scale)], |a, x, [s]| a + x * s),
                }
            }
        }
    }
}
