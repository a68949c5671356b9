//! Sums over groups.

use super::{Grouping, Sums};
use crate::scalar::Scalar;

/// The partial sums of a run, one for each lane of the longest register.
const LANES: usize = 16;

/// The groups whose sums are computed together, side by side in registers.
const SIDE: usize = 32;

/// The same for fewer groups than that.
const NARROW: usize = 8;

/// The terms of a chain, after which it is added to a sum that keeps its rounding error.
const CHAIN: usize = 32;

/// A sum and its rounding error so far.
#[derive(Clone, Copy)]
struct Exact<T> {
    sum: T,
    lost: T,
}

impl<T: Scalar> Exact<T> {
    fn zero() -> Self {
        let (sum, lost) = (T::zero(), T::zero());
        Self { sum, lost }
    }

    /// Adds a term (Knuth 1997, The Art of Computer Programming, vol. 2, 4.2.2).
    #[inline(always)]
    fn add(&mut self, term: T) {
        let sum = self.sum + term;
        let part = sum - self.sum;
        self.lost += (self.sum - (sum - part)) + (term - part);
        self.sum = sum;
    }

    #[inline(always)]
    fn total(self) -> T {
        // An overflow leaves a NaN in `lost`.
        if self.sum.is_finite() {
            self.sum + self.lost
        } else {
            self.sum
        }
    }
}

#[inline(always)]
pub(super) fn plainly<T: Scalar>(of: Sums<'_, T>, first: &mut [T], second: &mut [T]) {
    match of.by {
        Grouping::Runs { len } => {
            for (g, (first, second)) in first.iter_mut().zip(&mut *second).enumerate() {
                let [p, pq] = run(of, g * len..(g + 1) * len, g, [Exact::zero(); 2]);
                (*first, *second) = (p.total(), pq.total());
            }
        }
        Grouping::Cycle { count, len: 1 } if count >= SIDE => {
            side_by_side::<T, SIDE>(of, count, first, second);
        }
        Grouping::Cycle { count, len: 1 } if count >= NARROW => {
            side_by_side::<T, NARROW>(of, count, first, second);
        }
        Grouping::Cycle { count, len: 1 } => side_by_side::<T, 1>(of, count, first, second),
        Grouping::Cycle { count, len } => {
            let examples = of.u.len() / (count * len).max(1);
            for (g, (first, second)) in first.iter_mut().zip(&mut *second).enumerate() {
                let mut sums = [Exact::zero(); 2];
                for k in 0..examples {
                    let start = (k * count + g) * len;
                    sums = run(of, start..start + len, g, sums);
                }
                (*first, *second) = (sums[0].total(), sums[1].total());
            }
        }
    }
}

/// Adds the sums over a run of adjacent entries of group g.
#[inline(always)]
fn run<T: Scalar>(
    of: Sums<'_, T>,
    range: std::ops::Range<usize>,
    g: usize,
    mut to: [Exact<T>; 2],
) -> [Exact<T>; 2] {
    let u = &of.u[range.clone()];
    let center = of.center.map_or(T::zero(), |center| center[g]);
    let with = of.with.map(|with| &with[range]);
    for start in (0..u.len()).step_by(LANES * CHAIN) {
        let end = (start + LANES * CHAIN).min(u.len());
        let u = &u[start..end];
        let [first, second] = match with {
            Some(with) => lanes(u, center, &with[start..end], |_, q| q),
            None => lanes(u, center, u, |p, _| p),
        };
        to[0].add(first);
        to[1].add(second);
    }
    to
}

/// Σ p and Σ p q(p, with), in lanes that are added in a fixed order.
#[inline(always)]
fn lanes<T: Scalar>(u: &[T], center: T, with: &[T], q: impl Fn(T, T) -> T) -> [T; 2] {
    let (mut first, mut second) = ([T::zero(); LANES], [T::zero(); LANES]);
    let (whole, rest) = u.as_chunks::<LANES>();
    let (with_whole, with_rest) = with.as_chunks::<LANES>();
    for (u, with) in whole.iter().zip(with_whole) {
        for i in 0..LANES {
            let p = u[i] - center;
            first[i] += p;
            second[i] += p * q(p, with[i]);
        }
    }
    for (i, (&u, &with)) in rest.iter().zip(with_rest).enumerate() {
        let p = u - center;
        first[i] += p;
        second[i] += p * q(p, with);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            first[i] += first[i + width];
            second[i] += second[i + width];
        }
        width /= 2;
    }
    [first[0], second[0]]
}

/// The sums of groups of one entry each, in rows of `count` entries: W adjacent groups at once. The
/// last W overlap those before, whose sums they write again.
#[inline(always)]
fn side_by_side<T: Scalar, const W: usize>(
    of: Sums<'_, T>,
    count: usize,
    first: &mut [T],
    second: &mut [T],
) {
    for start in (0..count).step_by(W) {
        let start = start.min(count - W);
        let groups = start..start + W;
        let (first, second) = (&mut first[groups.clone()], &mut second[groups]);
        in_registers::<T, W>(of, start, count, first, second);
    }
}

/// The sums of W adjacent groups, whose chains stay in registers.
#[inline(always)]
fn in_registers<T: Scalar, const W: usize>(
    of: Sums<'_, T>,
    start: usize,
    count: usize,
    first: &mut [T],
    second: &mut [T],
) {
    let center = match of.center {
        Some(center) => lanes_at(center, start),
        None => [T::zero(); W],
    };
    let mut sums = [[[T::zero(); W]; 2]; 2];
    let rows = of.u.len() / count.max(1);
    for block in (0..rows).step_by(CHAIN) {
        let range = block * count + start..(block + CHAIN).min(rows) * count;
        let u = &of.u[range.clone()];
        let chains = match of.with {
            Some(with) => chain(u, &with[range], count, &center, |_, q| q),
            None => chain(u, u, count, &center, |p, _| p),
        };
        for ([sum, lost], chain) in sums.iter_mut().zip(&chains) {
            for ((sum, lost), &term) in sum.iter_mut().zip(lost).zip(chain) {
                let mut exact = Exact {
                    sum: *sum,
                    lost: *lost,
                };
                exact.add(term);
                (*sum, *lost) = (exact.sum, exact.lost);
            }
        }
    }
    for (to, [sum, lost]) in [first, second].into_iter().zip(sums) {
        for ((to, sum), lost) in to.iter_mut().zip(sum).zip(lost) {
            *to = Exact { sum, lost }.total();
        }
    }
}

/// Σ p and Σ p q(p, with) of the first W entries of each row of `count` entries.
#[inline(always)]
fn chain<T: Scalar, const W: usize>(
    u: &[T],
    with: &[T],
    count: usize,
    center: &[T; W],
    q: impl Fn(T, T) -> T,
) -> [[T; W]; 2] {
    let mut chains = [[T::zero(); W]; 2];
    let [first, second] = &mut chains;
    for (u, with) in u.chunks(count).zip(with.chunks(count)) {
        let (u, with) = (lanes_at::<T, W>(u, 0), lanes_at::<T, W>(with, 0));
        for i in 0..W {
            let p = u[i] - center[i];
            first[i] += p;
            second[i] += p * q(p, with[i]);
        }
    }
    chains
}

/// W adjacent entries.
#[inline(always)]
fn lanes_at<T: Scalar, const W: usize>(from: &[T], start: usize) -> [T; W] {
    let mut lanes = [T::zero(); W];
    lanes.copy_from_slice(&from[start..start + W]);
    lanes
}
