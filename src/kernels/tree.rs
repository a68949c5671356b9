//! Sums of many vectors in a binary tree. The rounding error grows with the logarithm of their
//! number.

use super::add;
use crate::scalar::Scalar;
use std::ops::Range;

/// Adds vectors in their order: pairs first, then pairs of pairs, and so on.
///
/// The shape of the tree depends only on the number of vectors, its leaves. They come one by one,
/// or as the sums of whole subtrees. The sums of complete subtrees are held in a list of buffers,
/// the largest subtree first. Their number is at most the number of binary digits of the number of
/// leaves.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The total number of leaves.
    leaves: usize,
    /// The number of leaves so far.
    taken: usize,
    /// The number of sums held.
    held: usize,
}

/// Returns the maximum number of sums held before the last leaf is added.
pub(crate) fn most_held(leaves: usize) -> usize {
    (usize::BITS - leaves.saturating_sub(1).leading_zeros()) as usize
}

impl Tree {
    pub(crate) fn new(leaves: usize) -> Self {
        Self {
            leaves,
            taken: 0,
            held: 0,
        }
    }

    /// Returns the number of sums held, which is the place of the next vectors in the list.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Adds `count` more leaves, which begin at place [`held`](Self::held) of the list.
    pub(crate) fn take<T: Scalar>(&mut self, count: usize, list: &mut [Vec<T>]) {
        let first = self.held;
        for vector in first..first + count {
            list.swap(self.held, vector);
            self.take_subtree(1, list);
        }
    }

    /// Adds the sum of the next subtree, one of those of [`subtrees`], which is at place
    /// [`held`](Self::held) of the list.
    pub(crate) fn take_subtree<T: Scalar>(&mut self, leaves: usize, list: &mut [Vec<T>]) {
        self.held += 1;
        self.taken += leaves;
        if !leaves.is_power_of_two() {
            return; // the last subtree, which `sum` joins
        }
        // Two subtrees of the same size make one of twice the size.
        for _ in leaves.trailing_zeros()..self.taken.trailing_zeros() {
            if self.taken < self.leaves || self.held > 2 {
                self.join(list); // the last addition is that of `sum`
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

/// Cuts a range of the leaves 0..all into whole subtrees of at most `most` leaves, in order.
pub(crate) fn subtrees(
    range: Range<usize>,
    all: usize,
    most: usize,
) -> impl Iterator<Item = Range<usize>> + Clone + Send {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let rest = range.end.checked_sub(start).filter(|&rest| rest > 0)?;
        let is_aligned = |len: usize| start.is_multiple_of(len);
        let len = if range.end == all && rest <= most && is_aligned(rest.next_power_of_two()) {
            rest // the last subtree of the tree, which may be incomplete
        } else {
            // The largest complete subtree that begins here.
            let mut len = 1 << rest.min(most).ilog2();
            while !is_aligned(len) {
                len /= 2;
            }
            len
        };
        start += len;
        Some(start - len..start)
    })
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

    /// Subtrees cover a range, are complete or the last, and sums of them are those of the tree.
    #[test]
    fn subtrees_are_nodes_of_the_tree() {
        fn is_node(all: Range<usize>, of: &Range<usize>) -> bool {
            let middle = all.start + all.len().next_power_of_two() / 2;
            all == *of
                || of.end <= middle && all.len() > 1 && is_node(all.start..middle, of)
                || of.start >= middle && all.len() > 1 && is_node(middle..all.end, of)
        }
        for all in 1..40 {
            for start in 0..all {
                for end in start..=all {
                    for most in [1, 2, 3, 8, usize::MAX] {
                        let found: Vec<_> = subtrees(start..end, all, most).collect();
                        let mut next = start;
                        for range in &found {
                            assert_eq!(range.start, next);
                            assert!(range.len() <= most && is_node(0..all, range), "{range:?}");
                            next = range.end;
                        }
                        assert_eq!(next, end);
                        if most == usize::MAX {
                            let digits = all.ilog2() as usize + 1;
                            assert!(found.len() <= 2 * digits, "{found:?}");
                        }
                    }
                }
            }
        }
    }

    /// However the leaves are shared out, the sums of the shares add up to the same bits.
    #[test]
    fn shares_add_up_to_the_sum_of_the_tree() {
        let value = |k: usize| (k as f32 * 0.37).sin();
        for all in 1..50 {
            let expected = fold(0..all, &value);
            for ranks in 1..9 {
                for most in [1, 4, usize::MAX] {
                    let (mut whole, mut sums) = (Tree::new(all), vec![vec![0.0; 1]; 64]);
                    for rank in 0..ranks {
                        let share = all * rank / ranks..all * (rank + 1) / ranks;
                        for root in subtrees(share, all, usize::MAX) {
                            let chunks = subtrees(root.clone(), all, most);
                            let mut list = vec![vec![0.0; 1]; 64];
                            let mut tree = Tree::new(chunks.clone().count());
                            for chunk in chunks {
                                list[tree.held()][0] = fold(chunk, &value);
                                tree.take(1, &mut list);
                            }
                            tree.sum(&mut list, &mut sums[whole.held()]);
                            whole.take_subtree(root.len(), &mut sums);
                        }
                    }
                    assert!(whole.held() <= most_held(all) + 1);
                    let mut sum = [f32::NAN];
                    whole.sum(&mut sums, &mut sum);
                    assert_eq!(sum, [expected], "{all} on {ranks}");
                }
            }
        }
    }

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
