//! Sources of examples, which are read in batches.

mod memory;

use crate::error::Error;
use crate::examples::{Examples, check_length};
use crate::scalar::Scalar;
use std::fmt::Debug;
use std::ops::Range;

/// Examples that are read in batches, such as those of a file that no memory holds.
///
/// The examples have indices from 0 to m − 1. [`Examples`] are a source too.
pub trait Source<T: Scalar>: Debug + Send + Sync {
    /// Returns the number of examples, m.
    #[must_use]
    fn len(&self) -> usize;

    /// Returns whether there are no examples.
    #[must_use]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of inputs of an example, n.
    #[must_use]
    fn inputs(&self) -> usize;

    /// Returns the number of targets of an example, K.
    #[must_use]
    fn outputs(&self) -> usize;

    /// Reads the examples with these indices, which are in range, in this order. They may be in any
    /// order and may repeat; examples next to each other in the source are often next to each other
    /// here.
    ///
    /// # Errors
    /// Returns [`Error::Source`] if they cannot be read.
    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error>;

    /// Returns how many examples in a row are cheap to read together, at least 1. Shuffling keeps
    /// such blocks together: examples 0..block, block..2 block and so on.
    #[must_use]
    fn block(&self) -> usize {
        1
    }

    /// Returns the weights of all examples; `None` if every weight is 1.
    #[must_use]
    fn weights(&self) -> Option<&[f64]> {
        None
    }

    /// Returns whether targets may be missing. [`read`](Self::read) then writes
    /// [`ReadInto::present`].
    #[must_use]
    fn has_missing(&self) -> bool {
        false
    }

    /// Returns whether another thread may read the next batch while this one is computed. The
    /// default is `true`.
    #[must_use]
    fn reads_ahead(&self) -> bool {
        true
    }

    /// Returns the examples in a range if they are in memory, as they are in [`Examples`].
    ///
    /// Returns `None` if they are not, if the range is not in 0..m, or if T cannot divide by the
    /// sum of their weights, such as 0.
    #[must_use]
    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        _ = range;
        None
    }
}

/// The buffers that [`Source::read`] writes, with a column for each index.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadInto<'a, T> {
    /// X in column-major order: n scalars for each index.
    pub x: &'a mut [T],
    /// Y in column-major order: K scalars for each index.
    pub y: &'a mut [T],
    /// Whether each entry of Y is present, where targets may be missing; otherwise empty.
    pub present: &'a mut [bool],
}

impl<'a, T> ReadInto<'a, T> {
    /// Borrows the buffers. `present` is empty unless targets may be missing.
    pub fn new(x: &'a mut [T], y: &'a mut [T], present: &'a mut [bool]) -> Self {
        Self { x, y, present }
    }
}

impl<T: Scalar> ReadInto<'_, T> {
    /// Checks the indices, and that the buffers have a column for each.
    pub(crate) fn check<S: Source<T> + ?Sized>(
        &self,
        source: &S,
        indices: &[usize],
    ) -> Result<(), Error> {
        let count = source.len();
        if let Some(&index) = indices.iter().find(|&&index| index >= count) {
            return Err(Error::Index {
                what: "example",
                index,
                count,
            });
        }
        let entries = |rows: usize| rows.saturating_mul(indices.len());
        let targets = entries(source.outputs());
        let present = if source.has_missing() { targets } else { 0 };
        check_length("the buffer for X", entries(source.inputs()), self.x.len())?;
        check_length("the buffer for Y", targets, self.y.len())?;
        check_length(
            "the buffer for present targets",
            present,
            self.present.len(),
        )
    }
}
