//! The order of examples: the blocks of a source, all or some of them, in any order.

use crate::allocation::reserved;
use crate::data::permutation_into;
use crate::error::Error;
use std::ops::Range;

/// Blocks of consecutive examples, one after another. The last block of a source may be short.
#[derive(Debug)]
pub(super) struct Order {
    blocks: Vec<usize>,
    /// The number of examples in a block.
    block: usize,
    /// The place in `blocks` of the short block; their number if there is none.
    short: usize,
    /// The number of examples in the short block; 0 if there is none.
    rest: usize,
}

impl Order {
    /// Lists all blocks of m examples.
    pub(super) fn new(examples: usize, block: usize) -> Result<Self, Error> {
        let block = block.max(1);
        let count = examples.div_ceil(block);
        let mut blocks = reserved("the order of the examples", count)?;
        blocks.extend(0..count);
        Ok(Self::of(blocks, examples, block))
    }

    /// Takes some blocks of m examples.
    pub(super) fn of(blocks: Vec<usize>, examples: usize, block: usize) -> Self {
        let mut order = Self {
            short: blocks.len(),
            rest: 0,
            blocks,
            block,
        };
        order.find_short(examples);
        order
    }

    /// Finds the place of the last block of m examples, if it is short.
    fn find_short(&mut self, examples: usize) {
        let (last, rest) = (examples / self.block, examples % self.block);
        let place = self.blocks.iter().position(|&block| block == last);
        (self.short, self.rest) = match place {
            Some(place) if rest > 0 => (place, rest),
            _ => (self.blocks.len(), 0),
        };
    }

    /// Shuffles all blocks of m examples. The order depends only on the seed and the epoch, so it
    /// is not saved.
    pub(super) fn shuffle(&mut self, examples: usize, seed: u64, epoch: u64) {
        permutation_into(&mut self.blocks, seed, epoch);
        self.find_short(examples);
    }

    /// Returns the number of examples.
    pub(super) fn len(&self) -> usize {
        match self.blocks.len() {
            count if self.short == count => count * self.block,
            count => (count - 1) * self.block + self.rest,
        }
    }

    /// Returns the index of the example at a place in this order.
    pub(super) fn index(&self, place: usize) -> usize {
        let after = self.short * self.block + self.rest;
        let (first, place) = if place < after {
            (0, place)
        } else {
            (self.short + 1, place - after)
        };
        self.blocks[first + place / self.block] * self.block + place % self.block
    }
}

/// Examples of a source: those at consecutive places of an order.
#[derive(Clone, Debug)]
pub(super) struct Selection<'a> {
    /// The order; `None` for the order of the source.
    pub(super) order: Option<&'a Order>,
    pub(super) places: Range<usize>,
}

impl<'a> Selection<'a> {
    /// Selects m examples in the order of their source.
    pub(super) fn all(examples: usize) -> Self {
        Self {
            order: None,
            places: 0..examples,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns a range of these examples, counted from the first.
    pub(super) fn part(&self, range: &Range<usize>) -> Self {
        let start = self.places.start;
        Self {
            order: self.order,
            places: start + range.start..start + range.end,
        }
    }

    /// Returns the index in the source of example k of these.
    pub(super) fn index(&self, k: usize) -> usize {
        let place = self.places.start + k;
        self.order.map_or(place, |order| order.index(place))
    }

    /// Returns the indices in the source.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + use<'a> {
        let order = self.order;
        let places = self.places.clone();
        places.map(move |place| order.map_or(place, |order| order.index(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every example has one place, and blocks stay together.
    #[test]
    fn an_order_is_a_permutation_of_blocks() {
        for (examples, block) in [(1, 1), (7, 1), (10, 3), (9, 3), (2, 5), (64, 10), (100, 7)] {
            let mut order = Order::new(examples, block).unwrap();
            let natural: Vec<usize> = Selection::all(examples).indices().collect();
            let all = |order: &Order| {
                let selection = Selection {
                    order: Some(order),
                    places: 0..order.len(),
                };
                selection.indices().collect::<Vec<_>>()
            };
            assert_eq!(all(&order), natural);
            for epoch in 0..20 {
                order.shuffle(examples, 3, epoch);
                let mut shuffled = all(&order);
                let jumps = shuffled.windows(2).filter(|pair| pair[1] != pair[0] + 1);
                assert!(jumps.count() < examples.div_ceil(block));
                let starts = shuffled.iter().filter(|&&k| k % block == 0).count();
                assert_eq!(starts, examples.div_ceil(block));
                shuffled.sort_unstable();
                assert_eq!(shuffled, natural, "{examples} in blocks of {block}");
            }
        }
        // The largest numbers.
        let mut huge = Order::of(vec![1, 0], usize::MAX, usize::MAX - 1);
        assert_eq!(huge.len(), usize::MAX);
        assert_eq!([0, 1, 5].map(|k| huge.index(k)), [usize::MAX - 1, 0, 4]);
        assert_eq!(huge.index(usize::MAX - 1), usize::MAX - 2);
        huge.blocks.reverse();
        huge.find_short(usize::MAX);
        assert_eq!(
            [0, 5, usize::MAX - 1].map(|k| huge.index(k)),
            [0, 5, usize::MAX - 1]
        );
        let some = Order::of(vec![1, 3], 10, 3);
        assert_eq!(some.len(), 4);
        assert_eq!([0, 1, 2, 3].map(|k| some.index(k)), [3, 4, 5, 9]);
    }
}
