//! x̂ and γ x̂ + β in one sweep.

use super::sweeps::{Constants, Pieces};
use super::{Grouping, Normalise};
use crate::scalar::Scalar;

#[inline(always)]
pub(super) fn plainly<T: Scalar>(of: Normalise<'_, T>, a: &mut [T], normal: &mut [T]) {
    let pieces = Pieces::new(of.by);
    let len = pieces.len.max(1);
    let cycle = match of.per {
        // A run of entries, each with its own γ and β, is a piece or several.
        Grouping::Cycle { count, len: 1 } => Some(count),
        _ => None,
    };
    for (piece, a) in a.chunks_mut(len).enumerate() {
        let range = piece * len..piece * len + a.len();
        let x = &of.x[range.clone()];
        let normal = if normal.is_empty() {
            &mut []
        } else {
            &mut normal[range]
        };
        let constants = |all| pieces.of(all, piece);
        let parameters = |all| match cycle {
            Some(count) => {
                debug_assert!(count == len);
                Constants::Each(all)
            }
            None => constants(all),
        };
        let [center, left, scale] = [of.center, of.left, of.scale].map(constants);
        let (gamma, beta) = (of.gamma.map(parameters), of.beta.map(parameters));
        match (center, left, scale) {
            (Constants::One(c), Constants::One(l), Constants::One(s)) => {
                affine(x, a, normal, |_, x| (x - c - l) * s, (gamma, beta));
            }
            (Constants::Each(c), Constants::Each(l), Constants::Each(s)) => {
                let n = x.len();
                let (c, l, s) = (&c[..n], &l[..n], &s[..n]);
                affine(x, a, normal, |i, x| (x - c[i] - l[i]) * s[i], (gamma, beta));
            }
            // All constants are of the same groups.
            _ => debug_assert!(false),
        }
    }
}

#[inline(always)]
fn affine<T: Scalar>(
    x: &[T],
    a: &mut [T],
    normal: &mut [T],
    hat: impl Fn(usize, T) -> T,
    parameters: (Option<Constants<'_, T>>, Option<Constants<'_, T>>),
) {
    use Constants::{Each, One};
    let n = x.len();
    match parameters {
        (Some(One(gamma)), Some(One(beta))) => {
            write(x, a, normal, hat, |_, x| x * gamma + beta);
        }
        (Some(Each(gamma)), Some(Each(beta))) => {
            let (gamma, beta) = (&gamma[..n], &beta[..n]);
            write(x, a, normal, hat, |i, x| x * gamma[i] + beta[i]);
        }
        (Some(Each(gamma)), None) => {
            let gamma = &gamma[..n];
            write(x, a, normal, hat, |i, x| x * gamma[i]);
        }
        (Some(One(gamma)), None) => write(x, a, normal, hat, |_, x| x * gamma),
        (None, _) => write(x, a, normal, hat, |_, x| x),
        // Both parameters are of the same groups.
        _ => debug_assert!(false),
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
