//! Sums of many vectors in a binary tree. The rounding error grows with the logarithm of their
//! number.

use super::add;
use crate::scalar::Scalar;
use std::ops::Range;

/// Adds vectors in their order: pairs first, then pairs of pairs, and so on.
///
/// The shape of the tree depends only on the number of vectors. The sums of complete subtrees are
/// held in a list of buffers, the largest subtree first. Their number is at most the number of
/// binary digits of the number of vectors.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The total number of vectors.
    vectors: usize,
    /// The number of vectors so far.
    taken: usize,
    /// The number of sums held.
    held: usize,
}

/// Returns the maximum number of sums held before the last vector is added.
pub(crate) fn most_held(vectors: usize) -> usize {
    (usize::BITS - vectors.saturating_sub(1).leading_zeros()) as usize
}

impl Tree {
    pub(crate) fn new(vectors: usize) -> Self {
        Self {
            vectors,
            taken: 0,
            held: 0,
        }
    }

    /// Returns the number of sums held, which is the place of the next vectors in the list.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Adds `count` more vectors, which begin at place [`held`](Self::held) of the list.
    pub(crate) fn take<T: Scalar>(&mut self, count: usize, list: &mut [Vec<T>]) {
        let first = self.held;
        for vector in first..first + count {
            list.swap(self.held, vector);
            self.held += 1;
            self.taken += 1;
            // Two subtrees of the same size make one of twice the size.
            for _ in 0..self.taken.trailing_zeros() {
                if self.taken < self.vectors || self.held > 2 {
                    self.join(list); // the last addition is that of `sum`
                }
            }
        }
    }

    /// Writes the sum of all vectors.
    pub(crate) fn sum<T: Scalar>(mut self, list: &mut [Vec<T>], sum: &mut [T]) {
        while self.held > 2 {
            self.join(list);
        }
        match &list[..self.held] {
            [left, right] => {
                for (sum, (&x, &y)) in sum.iter_mut().zip(left.iter().zip(right)) {
                    *sum = x + y;
                }
            }
            [only] => sum.copy_from_slice(only),
            _ => sum.fill(T::zero()),
        }
    }

    /// Adds the last sum to the one before it.
    fn join<T: Scalar>(&mut self, list: &mut [Vec<T>]) {
        self.held -= 1;
        let (before, last) = list.split_at_mut(self.held);
        add(&mut before[self.held - 1], &last[0]);
    }
}

/// Adds `leaf(k)` for all k in a range that begins with a whole subtree, like a [`Tree`] of them.
pub(crate) fn fold<T: Scalar>(range: Range<usize>, leaf: &impl Fn(usize) -> T) -> T {
    match range.len() {
        0 => T::zero(),
        1 => leaf(range.start),
        len => {
            let middle = range.start + len.next_power_of_two() / 2;
            fold(range.start..middle, leaf) + fold(middle..range.end, leaf)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum does not depend on how many vectors are added at a time.
    #[test]
    fn the_tree_depends_on_the_number_of_vectors_alone() {
        let value = |k: usize| [(k as f32 * 0.37).sin(), 1.0];
        fn by_hand(values: &[[f32; 2]]) -> [f32; 2] {
            if let [value] = values {
                return *value;
            }
            let half = values.len().next_power_of_two() / 2;
            let (left, right) = values.split_at(half);
            let (left, right) = (by_hand(left), by_hand(right));
            [left[0] + right[0], left[1] + right[1]]
        }
        for n in 1..70 {
            let values: Vec<_> = (0..n).map(value).collect();
            let expected = by_hand(&values);
            for at_once in [1, 2, 3, 8, 100] {
                let at_once = at_once.min(n);
                let mut list = vec![vec![f32::NAN; 2]; most_held(n) + at_once];
                let mut tree = Tree::new(n);
                for values in values.chunks(at_once) {
                    for (k, value) in values.iter().enumerate() {
                        list[tree.held() + k].copy_from_slice(value);
                    }
                    tree.take(values.len(), &mut list);
                }
                let mut sum = [f32::NAN; 2];
                tree.sum(&mut list, &mut sum);
                assert_eq!(sum, expected, "{n} by {at_once}");
                assert_eq!(fold(0..n, &|k| values[k][0]), expected[0], "{n}");
            }
        }
    }
}
