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

/// Calls `f` with each entry, an entry of `x`, and two constants of its group.
#[inline(always)]
fn each<T: Scalar>(
    a: &mut [T],
    x: Option<&[T]>,
    constants: [Constants<'_, T>; 2],
    f: impl Fn(T, T, T, T) -> T,
) {
    use Constants::{Each, One};
    match (x, constants) {
        (None, [One(c), One(s)]) => a.iter_mut().for_each(|a| *a = f(*a, T::zero(), c, s)),
        (Some(x), [One(c), One(s)]) => {
            a.iter_mut().zip(x).for_each(|(a, &x)| *a = f(*a, x, c, s));
        }
        (x, [Each(c), Each(s)]) => {
            let constants = c.iter().zip(s);
            match x {
                None => {
                    for (a, (&c, &s)) in a.iter_mut().zip(constants) {
                        *a = f(*a, T::zero(), c, s);
                    }
                }
                Some(x) => {
                    for ((a, &x), (&c, &s)) in a.iter_mut().zip(x).zip(constants) {
                        *a = f(*a, x, c, s);
                    }
                }
            }
        }
        // Both constants are of the same groups.
        _ => debug_assert!(false),
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
            Sweep::Scale {
                center: Some(c),
                scale,
            } => {
                each(a, None, [of(c), of(scale)], |a, _, c, s| (a - c) * s);
            }
            Sweep::Scale {
                center: None,
                scale,
            } => {
                each(a, None, [of(scale), of(scale)], |a, _, _, s| a * s);
            }
            Sweep::Affine { scale, shift } => {
                each(a, None, [of(shift), of(scale)], |a, _, c, s| a * s + c);
            }
            Sweep::Project {
                normal,
                center,
                along,
                scale,
            } => {
                let x = Some(&normal[part(normal)]);
                match center {
                    Some(c) => each(a, x, [of(c), of(along)], |a, x, c, s| a - c - x * s),
                    None => each(a, x, [of(along), of(along)], |a, x, _, s| a - x * s),
                }
                if let Some(scale) = scale {
                    each(a, None, [of(scale), of(scale)], |a, _, _, s| a * s);
                }
            }
            Sweep::Add {
                x,
                scale,
                shift: Some(c),
            } => {
                let x = Some(&x[part(x)]);
                each(a, x, [of(c), of(scale)], |a, x, c, s| a + (x * s + c));
            }
            Sweep::Add {
                x,
                scale,
                shift: None,
            } => {
                let x = Some(&x[part(x)]);
                each(a, x, [of(scale), of(scale)], |a, x, _, s| a + x * s);
            }
        }
    }
}
