//! Examples in memory as a source.

use super::{ReadInto, Source};
use crate::error::Error;
use crate::examples::Examples;
use crate::scalar::Scalar;
use std::ops::Range;

impl<T: Scalar> Source<T> for Examples<'_, T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn inputs(&self) -> usize {
        self.x.nrows()
    }

    fn outputs(&self) -> usize {
        self.y.nrows()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error> {
        into.check(self, indices)?;
        let (n, outputs) = (self.x.nrows(), self.y.nrows());
        for (place, &k) in indices.iter().enumerate() {
            into.x[place * n..][..n].copy_from_slice(self.x.column(k).as_slice());
            let y = place * outputs..(place + 1) * outputs;
            into.y[y.clone()].copy_from_slice(self.y.column(k).as_slice());
            if let Some(present) = self.present {
                into.present[y].copy_from_slice(present.of(k));
            }
        }
        Ok(())
    }

    fn weights(&self) -> Option<&[f64]> {
        self.weights
    }

    fn has_missing(&self) -> bool {
        self.present.is_some()
    }

    fn reads_ahead(&self) -> bool {
        false // copying takes less time than handing over
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        if range.len() == self.len() {
            return Some(*self);
        }
        self.part(range.start, range.len()).reweighted()
    }
}

/// Returns the examples of a source that is in memory.
pub(crate) fn in_memory<T: Scalar>(source: &dyn Source<T>) -> Option<Examples<'_, T>> {
    source.view(0..source.len())
}
