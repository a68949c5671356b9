//! x̂ and γ x̂ + β in one sweep.

use super::Normalise;
use super::sweeps::{Constants, Pieces};
use crate::scalar::Scalar;

#[inline(always)]
pub(super) fn plainly<T: Scalar>(of: Normalise<'_, T>, a: &mut [T], normal: &mut [T]) {
    let pieces = Pieces::new(of.by);
    let len = pieces.len.max(1);
    for (piece, a) in a.chunks_mut(len).enumerate() {
        let range = piece * len..piece * len + a.len();
        let x = &of.x[range.clone()];
        let normal = if normal.is_empty() {
            &mut []
        } else {
            &mut normal[range]
        };
        match pieces.of([of.center, of.left, of.scale], piece) {
            Constants::One([c, l, s]) => {
                affine(of, piece, x, a, normal, |_, x| (x - c - l) * s);
            }
            Constants::Each([c, l, s]) => {
                let n = x.len();
                let (c, l, s) = (&c[..n], &l[..n], &s[..n]);
                affine(of, piece, x, a, normal, |i, x| (x - c[i] - l[i]) * s[i]);
            }
        }
    }
}

/// x̂ and a of a piece, given x̂ of an entry.
#[inline(always)]
fn affine<T: Scalar>(
    of: Normalise<'_, T>,
    piece: usize,
    x: &[T],
    a: &mut [T],
    normal: &mut [T],
    hat: impl Fn(usize, T) -> T,
) {
    // The pieces of γ and β are the same: a run of entries, each with its own γ, is one piece.
    let (per, n) = (Pieces::new(of.per), x.len());
    debug_assert!(of.gamma.is_none() || per.len == Pieces::new(of.by).len);
    match (of.gamma, of.beta) {
        (Some(gamma), Some(beta)) => match per.of([gamma, beta], piece) {
            Constants::One([gamma, beta]) => {
                write(x, a, normal, hat, |_, x| x * gamma + beta);
            }
            Constants::Each([gamma, beta]) => {
                let (gamma, beta) = (&gamma[..n], &beta[..n]);
                write(x, a, normal, hat, |i, x| x * gamma[i] + beta[i]);
            }
        },
        (Some(gamma), None) => match per.of([gamma], piece) {
            Constants::One([gamma]) => write(x, a, normal, hat, |_, x| x * gamma),
            Constants::Each([gamma]) => {
                let gamma = &gamma[..n];
                write(x, a, normal, hat, |i, x| x * gamma[i]);
            }
        },
        (None, _) => write(x, a, normal, hat, |_, x| x),
    }
}

#[inline(always)]
fn write<T: Scalar>(
    x: &[T],
    a: &mut [T],
    normal: &mut [T],
    hat: impl Fn(usize, T) -> T,
    output: impl Fn(usize, T) -> T,
) {
    let n = x.len();
    let a = &mut a[..n];
    if normal.is_empty() {
        for i in 0..n {
            a[i] = output(i, hat(i, x[i]));
        }
        return;
    }
    let normal = &mut normal[..n];
    for i in 0..n {
        let x = hat(i, x[i]);
        normal[i] = x;
        a[i] = output(i, x);
    }
}
