//! Several sources as one.

use super::{ReadInto, Source};
use crate::allocation::reserved;
use crate::error::Error;
use crate::examples::{Examples, check_weights};
use crate::scalar::Scalar;
use std::ops::Range;

/// Several sources (shards) as one, such as files that each have some of the examples.
///
/// The examples of the first source come first, then those of the second, and so on. All sources
/// have the same numbers of inputs and targets. If they are of different types, box them as
/// `Box<dyn Source<T>>`.
///
/// The size of a [`block`](Source::block) is the smallest among the sources. Blocks are counted from
/// the first example of all, so a block may span two sources; each of them then reads its examples.
///
/// # Example
/// Two sources of two examples each:
/// ```
/// use backprop::source::{ReadInto, Shards, Source};
/// use backprop::{Examples, row_major};
///
/// let first = Examples::new(row_major(&[0.0, 1.0], 1)?, row_major(&[0.0, 2.0], 1)?)?;
/// let second = Examples::new(row_major(&[2.0, 3.0], 1)?, row_major(&[4.0, 6.0], 1)?)?;
/// let shards = Shards::new(vec![first, second])?;
/// assert_eq!(shards.len(), 4);
///
/// let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
/// shards.read(&[3, 1], ReadInto::new(&mut x, &mut y, &mut []))?;
/// assert_eq!((x, y), ([3.0, 1.0], [6.0, 2.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("ConcatDataset", "chain", "interleave"))]
#[derive(Debug)]
#[must_use]
pub struct Shards<S> {
    sources: Vec<S>,
    /// The index after the last example of each source.
    ends: Vec<usize>,
    weights: Option<Vec<f64>>,
}

/// How many indices a source is given at a time.
const INDICES: usize = 512;

impl<S> Shards<S> {
    /// Joins sources. An example has the weight that its source gives it.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] if there are none.
    /// - [`Error::Source`] with the first source whose numbers of inputs and targets are not those
    ///   of the first.
    /// - [`Error::TooLarge`] if there is not enough memory for the weights.
    /// - [`Error::TotalWeight`] if T cannot hold the sum of all weights.
    ///
    /// # Example
    /// The documentation of [`Shards`] has one.
    pub fn new<T: Scalar>(sources: Vec<S>) -> Result<Self, Error>
    where
        S: Source<T>,
    {
        let Some(first) = sources.first() else {
            return Err(Error::NoExamples);
        };
        let (n, outputs) = (first.inputs(), first.outputs());
        let mut ends = reserved("the shards", sources.len())?;
        let mut end = 0_usize;
        for (shard, source) in sources.iter().enumerate() {
            let found = (source.inputs(), source.outputs());
            if found != (n, outputs) {
                return Err(Error::Source {
                    name: format!("shard {shard}"),
                    reason: format!(
                        "it has {} inputs and {} targets, expected {n} and {outputs}, as shard 0",
                        found.0, found.1
                    ),
                });
            }
            end = end.checked_add(source.len()).ok_or(Error::TooLarge {
                what: "the examples of all shards",
                rows: n,
                cols: usize::MAX,
            })?;
            ends.push(end);
        }
        if end == 0 {
            return Err(Error::NoExamples);
        }
        let weights = weights(&sources, end)?;
        Ok(Self {
            sources,
            ends,
            weights,
        })
    }

    /// Returns the sources.
    ///
    /// # Example
    /// ```
    /// use backprop::source::Shards;
    /// use backprop::{Examples, row_major};
    ///
    /// let part = Examples::new(row_major(&[0.0, 1.0], 1)?, row_major(&[0.0, 2.0], 1)?)?;
    /// assert_eq!(Shards::new(vec![part, part])?.sources().len(), 2);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[must_use]
    pub fn sources(&self) -> &[S] {
        &self.sources
    }

    /// Returns the source that has an example, or the number of sources if none has.
    fn shard(&self, example: usize) -> usize {
        self.ends.partition_point(|&end| end <= example)
    }

    /// Returns the index of the first example of a source.
    fn start(&self, shard: usize) -> usize {
        shard.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// Joins the weights of sources, if any of them has weights.
fn weights<T: Scalar, S: Source<T>>(
    sources: &[S],
    examples: usize,
) -> Result<Option<Vec<f64>>, Error> {
    if sources.iter().all(|source| source.weights().is_none()) {
        return Ok(None);
    }
    let mut all = reserved("the weights of all shards", examples)?;
    for source in sources {
        match source.weights() {
            Some(weights) => all.extend_from_slice(weights),
            None => all.resize(all.len() + source.len(), 1.0),
        }
    }
    check_weights::<T>(&all, examples)?;
    Ok(Some(all))
}

impl<T: Scalar, S: Source<T>> Source<T> for Shards<S> {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn inputs(&self) -> usize {
        self.sources[0].inputs()
    }

    fn outputs(&self) -> usize {
        self.sources[0].outputs()
    }

    fn read(&self, indices: &[usize], mut into: ReadInto<'_, T>) -> Result<(), Error> {
        into.check(self, indices)?;
        let mut local = [0; INDICES];
        let mut done = 0;
        for part in indices.chunk_by(|&k, &next| self.shard(k) == self.shard(next)) {
            let shard = self.shard(part[0]);
            let (source, start) = (&self.sources[shard], self.start(shard));
            for part in part.chunks(INDICES) {
                let local = &mut local[..part.len()];
                let pairs = local.iter_mut().zip(part);
                pairs.for_each(|(local, &k)| *local = k - start);
                let mut into = into.columns(self, done..done + part.len());
                if !source.has_missing() {
                    into.present.fill(true);
                    into.present = &mut [];
                }
                source
                    .read(local, into)
                    .map_err(|error| moved(error, start))?;
                done += part.len();
            }
        }
        Ok(())
    }

    fn block(&self) -> usize {
        let blocks = self.sources.iter().map(Source::block);
        blocks.min().unwrap_or(1).max(1)
    }

    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn has_missing(&self) -> bool {
        self.sources.iter().any(Source::has_missing)
    }

    fn reads_ahead(&self) -> bool {
        self.sources.iter().any(Source::reads_ahead)
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        let shard = self.shard(range.start);
        if range.start > range.end || range.end > *self.ends.get(shard)? {
            return None;
        }
        let start = self.start(shard);
        self.sources[shard].view(range.start - start..range.end - start)
    }
}

/// In an error of a source whose first example is `start`, replaces the index of an example with
/// its index among all.
fn moved(mut error: Error, start: usize) -> Error {
    if let Error::Label { example, .. } = &mut error {
        *example += start;
    }
    error
}
