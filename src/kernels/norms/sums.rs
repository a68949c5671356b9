//! Sums over groups.

use super::{Grouping, Sums};
use crate::scalar::Scalar;

/// The partial sums of a run, one for each lane of the longest register.
const LANES: usize = 16;

/// The groups whose sums are computed together, side by side in registers.
const SIDE: usize = 64;

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
        Grouping::Cycle { count, len: 1 } => {
            for start in (0..count).step_by(SIDE) {
                let end = (start + SIDE).min(count);
                side_by_side(
                    of,
                    (start, count),
                    &mut first[start..end],
                    &mut second[start..end],
                );
            }
        }
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

/// The sums of up to [`SIDE`] adjacent groups of one entry each, in rows of `count` entries.
#[inline(always)]
fn side_by_side<T: Scalar>(
    of: Sums<'_, T>,
    (start, count): (usize, usize),
    first: &mut [T],
    second: &mut [T],
) {
    let width = first.len();
    let mut center = [T::zero(); SIDE];
    if let Some(all) = of.center {
        center[..width].copy_from_slice(&all[start..start + width]);
    }
    let mut sums = [[Exact::zero(); SIDE]; 2];
    let columns = of.u.len() / count.max(1);
    for block in (0..columns).step_by(CHAIN) {
        let mut chains = [[T::zero(); SIDE]; 2];
        for k in block..(block + CHAIN).min(columns) {
            let at = k * count + start;
            let u = &of.u[at..at + width];
            match of.with {
                Some(with) => add_row(&mut chains, &center, u, &with[at..at + width], |_, q| q),
                None => add_row(&mut chains, &center, u, u, |p, _| p),
            }
        }
        for (sums, chains) in sums.iter_mut().zip(&chains) {
            for (sum, &chain) in sums.iter_mut().zip(chains).take(width) {
                sum.add(chain);
            }
        }
    }
    for i in 0..width {
        (first[i], second[i]) = (sums[0][i].total(), sums[1][i].total());
    }
}

#[inline(always)]
fn add_row<T: Scalar>(
    chains: &mut [[T; SIDE]; 2],
    center: &[T; SIDE],
    u: &[T],
    with: &[T],
    q: impl Fn(T, T) -> T,
) {
    let [first, second] = chains;
    let rows = u.iter().zip(with).zip(center);
    for (((&u, &with), &c), (first, second)) in rows.zip(first.iter_mut().zip(second)) {
        let p = u - c;
        *first += p;
        *second += p * q(p, with);
    }
}
