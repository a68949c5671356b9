//! Permutations that depend only on a seed and an epoch.

use crate::kernels::random::mix;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Writes the order of the examples in one epoch: a random permutation of 0..n with
/// n = `order.len()`.
///
/// All n! permutations are equally likely. The result depends only on n, the seed and the epoch, so
/// any epoch can be computed without the epochs before it. It is the same on every platform.
/// Nothing is allocated.
///
/// The shuffle is Fisher–Yates (Durstenfeld 1964, doi:10.1145/364520.364540), from the last entry
/// down, with unbiased bounded integers (Lemire 2019, doi:10.1145/3230636). These integers come
/// from the generator of [`rng`](crate::rng), seeded with s(s(seed) + epoch). Here s(x) is the
/// first output of SplitMix64 with seed x. The orders of neighbouring seeds and epochs are
/// therefore unrelated to one another, and to [`rng`](crate::rng) with the same seed.
///
/// # Example
/// ```
/// use backprop::data::permutation_into;
///
/// let mut order = [0; 8];
/// permutation_into(&mut order, 7, 0);
/// assert_eq!(order, [5, 6, 3, 4, 1, 0, 7, 2]);
/// permutation_into(&mut order, 7, 1);
/// assert_eq!(order, [6, 7, 1, 4, 0, 5, 2, 3]);
/// ```
#[doc(alias = "randperm")]
pub fn permutation_into(order: &mut [usize], seed: u64, epoch: u64) {
    for (i, entry) in order.iter_mut().enumerate() {
        *entry = i;
    }
    let mut rng = generator(seed, epoch);
    for i in (1..order.len()).rev() {
        let j = below(&mut rng, i as u64 + 1) as usize;
        order.swap(i, j);
    }
}

/// Returns the generator of an epoch.
fn generator(seed: u64, epoch: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(mix(mix(seed, 1).wrapping_add(epoch), 1))
}

/// Draws uniformly from 0..n, for n ≥ 1: returns the upper half of draw × n. Draws again if the
/// lower half is below 2⁶⁴ mod n.
fn below(rng: &mut Xoshiro256PlusPlus, n: u64) -> u64 {
    let mut product = u128::from(rng.next_u64()) * u128::from(n);
    // The remainder is below n, so it is needed only if the lower half is too.
    if (product as u64) < n {
        let excess = n.wrapping_neg() % n;
        while (product as u64) < excess {
            product = u128::from(rng.next_u64()) * u128::from(n);
        }
    }
    (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For a bound just above 2⁶³, nearly every second draw is rejected. The others are halved.
    #[test]
    fn draws_without_a_fair_place_are_rejected() {
        let n = (1_u64 << 63) + 1;
        let (mut all, mut kept) = (crate::rng(5), crate::rng(5));
        let mut rejected = 0;
        for _ in 0..1000 {
            let found = below(&mut kept, n);
            assert!(found < n);
            // x n = x 2⁶³ + x. The upper half is x/2 up to the carry; the lower is small for even
            // x.
            let draw = loop {
                let x = all.next_u64();
                if (u128::from(x) * u128::from(n)) as u64 >= n - 2 {
                    break x;
                }
                rejected += 1;
            };
            assert!(found.abs_diff(draw / 2) <= 1);
        }
        assert_eq!(all, kept);
        assert!((850..1150).contains(&rejected), "{rejected}");
    }

    #[test]
    fn one_has_no_choice() {
        let mut rng = crate::rng(3);
        assert!((0..100).all(|_| below(&mut rng, 1) == 0));
    }
}
