//! How a batch is cut into parts, and the results with it.

use super::Network;
use crate::layer::Layer;
use crate::scalar::Scalar;

/// The examples of the smallest part that a batch is cut into, before their number is made even, and of the largest: below, adding up the gradients of the parts shows,
/// above, activations leave the cache.
const PART: (usize, usize) = (256, 1024);

/// The memory of the inputs, activations and errors of a part, in bytes: what a second-level cache holds beside the parameters.
const PART_BYTES: usize = 640 << 10;

/// Networks with more parameters than this compute a batch as a whole, and share out each product instead.
const PART_PARAMETERS: usize = 1 << 18;

/// What the parts of a pass write to, beside the buffers of their own.
pub(super) struct Results<'a, T> {
    pub(super) outputs: &'a mut [T],
    pub(super) values: &'a mut [T],
    /// w·∂cost/∂X, if asked for.
    pub(super) input_delta: Option<&'a mut [T]>,
}

impl<'a, T: Scalar> Results<'a, T> {
    /// Those of the first `examples` of m, and the rest.
    pub(super) fn split(self, examples: usize, m: usize) -> (Self, Self) {
        fn cut<T>(slice: &mut [T], examples: usize, m: usize) -> (&mut [T], &mut [T]) {
            slice.split_at_mut(slice.len() / m * examples)
        }
        let (outputs, later_outputs) = cut(self.outputs, examples, m);
        let (values, later_values) = cut(self.values, examples, m);
        let (input_delta, later_input_delta) = match self.input_delta {
            Some(input_delta) => {
                let (first, later) = cut(input_delta, examples, m);
                (Some(first), Some(later))
            }
            None => (None, None),
        };
        (
            Self {
                outputs,
                values,
                input_delta,
            },
            Self {
                outputs: later_outputs,
                values: later_values,
                input_delta: later_input_delta,
            },
        )
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Examples of a part of a batch of m: by the shapes alone, so that the results do not depend on the machine's threads.
    pub(super) fn part_size(&self, m: usize) -> usize {
        let (least, most) = PART;
        let layout = &self.layout;
        if m < 2 * least || self.parameters() > PART_PARAMETERS || layout.couples_examples() {
            return m;
        }
        let outputs = layout.layers().iter().map(|sizes| sizes.outputs);
        let units = outputs.fold(layout.widest(), usize::saturating_add);
        let entries = units.saturating_mul(2).saturating_add(layout.inputs());
        let bytes = entries.saturating_mul(size_of::<T>());
        let fits = (PART_BYTES / bytes).clamp(least, most);
        // An even number of parts, and all of one size: two threads have as much to do.
        let parts = m.div_ceil(fits).next_multiple_of(2);
        m.div_ceil(parts)
    }
}
