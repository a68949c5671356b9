//! How a batch is cut into parts. The cut depends only on the shapes, so results do not depend on
//! the numbers of threads and of ranks.

use super::Network;
use crate::layer::Layer;
use crate::scalar::Scalar;
use std::ops::Range;

/// The numbers of examples of the smallest part that a batch is cut into (before the number of
/// parts is made even) and of the largest part. With smaller parts, adding their gradients takes
/// noticeable time. With larger ones, activations leave the cache.
const PART: [usize; 2] = [256, 1024];

/// The memory for the inputs, activations and errors of a part, in bytes. A second-level cache
/// holds this much next to the parameters.
const PART_BYTES: usize = 640 << 10;

/// Networks with more parameters than this do not fit in that cache. Their parts are larger,
/// because each part reads all parameters from a slower cache and adds a gradient there.
const PARAMETERS: usize = 1 << 18;

/// The minimum number of examples in a part of such a network. The maximum is twice this.
const LARGE_PART: usize = 512;

/// The cut of a batch into parts of equal size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The number of examples of the batch, m.
    pub(crate) examples: usize,
    /// The number of examples of a part, at least 1. The last part may have fewer.
    pub(crate) part: usize,
}

impl Cut {
    /// Returns the number of parts.
    #[inline]
    pub(crate) fn parts(self) -> usize {
        if self.examples == self.part {
            1 // without a division, which small networks would notice
        } else {
            self.examples.div_ceil(self.part)
        }
    }

    /// Returns the examples of consecutive parts.
    #[inline]
    pub(crate) fn examples_of(self, parts: &Range<usize>) -> Range<usize> {
        let limit = |part: usize| part.saturating_mul(self.part).min(self.examples);
        limit(parts.start)..limit(parts.end)
    }
}

/// The rule by which batches of a network are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The number of examples from which on a batch is cut.
    pub(super) least: usize,
    /// The maximum number of examples of a part.
    pub(super) most: usize,
    large: bool,
}

impl Rule {
    /// Returns the number of parts of a batch of m. It is even, so that two threads or ranks have
    /// equal work.
    pub(super) fn parts(self, m: usize) -> usize {
        if self.large {
            (m / LARGE_PART) & !1
        } else {
            m.div_ceil(self.most).next_multiple_of(2)
        }
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the cut of a batch of m examples.
    #[inline]
    pub(crate) fn cut(&self, m: usize, training: bool) -> Cut {
        let part = if m < 2 * PART[0] {
            m.max(1)
        } else {
            self.part_of(m, training)
        };
        Cut { examples: m, part }
    }

    /// Returns the size of the parts of a batch that may be cut.
    fn part_of(&self, m: usize, training: bool) -> usize {
        match self.rule(training) {
            Some(rule) if m >= rule.least => m.div_ceil(rule.parts(m)),
            _ => m,
        }
    }

    /// Returns the rule for batches of this network; `None` if every batch is one part.
    pub(super) fn rule(&self, training: bool) -> Option<Rule> {
        let plan = self.layout.plan();
        if plan.couples.in_mode(training) {
            return None;
        }
        if self.is_large() {
            return Some(Rule {
                least: 2 * LARGE_PART,
                most: 2 * LARGE_PART,
                large: true,
            });
        }
        let [least, most] = PART;
        let (units, widest) = plan.units();
        let units = units.saturating_add(widest);
        let entries = units.saturating_mul(2).saturating_add(self.inputs());
        let bytes = entries.saturating_mul(size_of::<T>());
        Some(Rule {
            least: 2 * least,
            most: (PART_BYTES / bytes).clamp(least, most),
            large: false,
        })
    }

    /// Returns whether the parameters leave no room in the cache for a part.
    pub(super) fn is_large(&self) -> bool {
        self.parameters() > PARAMETERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Tanh;

    fn network(inputs: usize, units: usize) -> Network<f32> {
        let builder = Network::builder(inputs).dense(units, Tanh);
        builder.zeros().unwrap()
    }

    /// Parts are even in number unless the last ones are empty, and as large as the rule states.
    #[test]
    fn batches_are_cut_by_shape_alone() {
        let small = network(400, 25);
        let large = network(1000, 300);
        assert!(!small.is_large() && large.is_large());
        for m in 1..5000 {
            let cut = small.cut(m, false);
            let whole = m < 512;
            assert_eq!(cut.parts() == 1, whole, "{m}: {cut:?}");
            assert!(whole || (129..=1024).contains(&cut.part), "{m}: {cut:?}");
            let cut = large.cut(m, false);
            let whole = m < 1024;
            assert_eq!(cut.parts() == 1, whole, "{m}: {cut:?}");
            assert!(whole || (512..=1024).contains(&cut.part), "{m}: {cut:?}");
            let all = 0..cut.parts();
            assert_eq!(cut.examples_of(&all), 0..m);
            assert!(!cut.examples_of(&(cut.parts() - 1..cut.parts())).is_empty());
        }
        assert_eq!(large.cut(4096, false).part, 512);
        assert_eq!(small.cut(0, false).parts(), 0);
    }
}
