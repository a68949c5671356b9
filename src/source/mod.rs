//! Sources of examples: data that is read in batches and may be larger than memory.
//!
//! | data | source |
//! |---|---|
//! | matrices in memory | [`Examples`] |
//! | X and Y as two files of rows | [`FileSource::new`] |
//! | one file of rows \[x \| y\] | [`FileSource::joined`] |
//! | class labels as targets | [`FileSource::one_hot`] |
//! | unknown targets, which are NaN in the file | [`FileSource::missing_targets`] |
//! | inputs that need scaling, such as pixels stored as bytes | [`Scaled`] |
//! | CSV files (feature `csv`) | `Csv`, which reads a table, or converts a file of any length |
//! | several shards, such as files that each have some of the examples | [`Shards`] |
//! | anything else, such as numbers that are computed or compressed | your [`Source`] |
//!
//! A [`RowFile`] is a file with one example per row, either of plain numbers ([`RowFile::raw`]) or
//! saved by NumPy (`RowFile::npy`, feature `npz`). Convert other formats once. In Python, this
//! writes such a file 1000 rows at a time, so that not all rows have to be in memory:
//!
//! ```python
//! rows = np.lib.format.open_memmap("x.npy", "w+", np.float32, (m, n))
//! for k in range(0, m, 1000):
//!     rows[k : k + 1000] = examples(k, k + 1000)  # of shape (1000, n)
//! ```
//!
//! Memory holds only the examples that are being read and computed:
//!
//! - A *block* is a number of consecutive examples ([`Source::block`]). They are read fastest
//!   together, so shuffling moves whole blocks.
//! - A *chunk* is what is read and computed at a time: a batch or, if it has more than 16 MiB, some
//!   of its parts. Another thread reads the next chunk meanwhile.
//!
//! Numbers of the scalar type, such as `f32` for a network of `f32`, go from the file to the batch
//! without a conversion.
//!
//! # Example
//! [`Trainer::fit_source`](crate::training::Trainer::fit_source) trains a network. With blocks of
//! one example, the order and the bits are those of training from memory:
//! ```
//! use backprop::activation::{Sigmoid, Tanh};
//! use backprop::source::{FileSource, Number, RowFile};
//! use backprop::training::{Adam, Trainer};
//! use backprop::{BinaryCrossEntropy, Examples, Initialization, Network, Objective};
//! use backprop::{rng, row_major};
//!
//! # let folder = std::env::temp_dir().join(format!("trained-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let (x, y) = ([0.0_f64, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]);
//! std::fs::write(folder.join("x.bin"), x.map(f64::to_le_bytes).concat())?;
//! std::fs::write(folder.join("y.bin"), y.map(|y| y as u8))?;
//! let inputs = RowFile::raw(folder.join("x.bin"), Number::F64, 2)?;
//! let targets = RowFile::raw(folder.join("y.bin"), Number::U8, 1)?;
//! let source = FileSource::new(inputs, targets)?.blocks_of(1)?;
//!
//! let start = Network::<f64>::builder(2)
//!     .dense(4, Tanh)
//!     .dense(1, Sigmoid)
//!     .initialize(Initialization::GlorotUniform, &mut rng(1))?;
//! let trainer = || {
//!     let trainer = Trainer::new(Objective::new(BinaryCrossEntropy), Adam::new(0.05));
//!     trainer.epochs(20).batch_size(2).seed(7)
//! };
//! let (mut from_file, mut from_memory) = (start.clone(), start);
//! trainer().fit_source(&mut from_file, &source)?;
//! trainer().fit(&mut from_memory, &Examples::new(row_major(&x, 2)?, row_major(&y, 1)?)?)?;
//! assert_eq!(from_file, from_memory);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "csv")]
mod csv_lines;
mod file_source;
mod memory;
mod row_file;
mod row_reader;
mod scaled;
mod shards;

use crate::error::Error;
use crate::examples::{Examples, check_length};
use crate::scalar::Scalar;
use std::fmt::Debug;
use std::ops::Range;

pub use crate::number::Number;
#[cfg(feature = "csv")]
pub use csv::Csv;
pub use file_source::FileSource;
pub(crate) use memory::in_memory;
pub use row_file::RowFile;
pub use scaled::Scaled;
pub use shards::Shards;

/// Examples that are read in batches, such as those of a file larger than memory.
///
/// The examples have indices from 0 to m − 1. [`Examples`] are a source too. Several threads may
/// read at the same time.
///
/// # Example
/// Examples (x, x²) for x = 0, 1, …, m − 1, which are computed when they are read:
/// ```
/// use backprop::Error;
/// use backprop::source::{ReadInto, Source};
///
/// #[derive(Debug)]
/// struct Squares(usize);
///
/// impl Source<f64> for Squares {
///     fn len(&self) -> usize {
///         self.0
///     }
///
///     fn inputs(&self) -> usize {
///         1
///     }
///
///     fn outputs(&self) -> usize {
///         1
///     }
///
///     fn read(&self, indices: &[usize], into: ReadInto<'_, f64>) -> Result<(), Error> {
///         for ((&k, x), y) in indices.iter().zip(into.x).zip(into.y) {
///             (*x, *y) = (k as f64, (k * k) as f64);
///         }
///         Ok(())
///     }
/// }
///
/// let (mut x, mut y) = ([0.0; 3], [0.0; 3]);
/// Squares(1000).read(&[7, 999, 7], ReadInto::new(&mut x, &mut y, &mut []))?;
/// assert_eq!(y, [49.0, 998_001.0, 49.0]);
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("Dataset", "DataLoader"))]
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

    /// Reads the examples with these indices, in this order. They may be in any order and may
    /// repeat. Examples next to each other in the source are often next to each other here.
    ///
    /// The numbers may be NaN or infinite; the caller checks that. After an error, the contents of
    /// the buffers are unspecified.
    ///
    /// # Errors
    /// - [`Error::Source`] if the examples cannot be read.
    /// - The sources of this module return [`Error::Index`] with the first index that is out of
    ///   range, and [`Error::Length`] unless the buffers have a column for each index.
    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error>;

    /// Returns the number of consecutive examples in a block, at least 1. They are read fastest
    /// together, so shuffling moves whole blocks: examples 0..block, block..2 block and so on. The
    /// default is 1.
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

    /// Returns the examples in a range without copying them, if they are in memory.
    ///
    /// Returns `None` if they are not, if the range is not in 0..m, or if T cannot divide by the
    /// sum of their weights, such as 0.
    #[must_use]
    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        _ = range;
        None
    }
}

/// Returns a view of a source after checking that it has the sizes of the source, which may be of
/// any type.
pub(crate) fn checked_view<'s, T: Scalar>(
    source: &'s dyn Source<T>,
    range: Range<usize>,
) -> Result<Option<Examples<'s, T>>, Error> {
    let Some(view) = source.view(range.clone()) else {
        return Ok(None);
    };
    let has = |present: bool| usize::from(present);
    let found = [
        view.len(),
        view.x.nrows(),
        view.y.nrows(),
        has(view.weights.is_some()),
        has(view.present.is_some()),
    ];
    let expected = [
        range.len(),
        source.inputs(),
        source.outputs(),
        has(source.weights().is_some()),
        has(source.has_missing()),
    ];
    if found == expected {
        return Ok(Some(view));
    }
    let describe = |[m, n, k, weights, missing]: [usize; 5]| {
        let with = ["without", "with"];
        format!(
            "{m} examples of {n} inputs and {k} targets, {} weights and {} missing targets",
            with[weights], with[missing]
        )
    };
    let (found, expected) = (describe(found), describe(expected));
    Err(Error::Source {
        name: format!("the view of examples {range:?} of a source"),
        reason: format!("it has {found}, expected {expected}"),
    })
}

impl<T: Scalar, S: Source<T> + ?Sized> Source<T> for Box<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn is_empty(&self) -> bool {
        (**self).is_empty()
    }

    fn inputs(&self) -> usize {
        (**self).inputs()
    }

    fn outputs(&self) -> usize {
        (**self).outputs()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error> {
        (**self).read(indices, into)
    }

    fn block(&self) -> usize {
        (**self).block()
    }

    fn weights(&self) -> Option<&[f64]> {
        (**self).weights()
    }

    fn has_missing(&self) -> bool {
        (**self).has_missing()
    }

    fn reads_ahead(&self) -> bool {
        (**self).reads_ahead()
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        (**self).view(range)
    }
}

impl<T: Scalar, S: Source<T> + ?Sized> Source<T> for &S {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn inputs(&self) -> usize {
        (**self).inputs()
    }

    fn outputs(&self) -> usize {
        (**self).outputs()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error> {
        (**self).read(indices, into)
    }

    fn block(&self) -> usize {
        (**self).block()
    }

    fn weights(&self) -> Option<&[f64]> {
        (**self).weights()
    }

    fn has_missing(&self) -> bool {
        (**self).has_missing()
    }

    fn reads_ahead(&self) -> bool {
        (**self).reads_ahead()
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        (**self).view(range)
    }
}

/// The buffers that [`Source::read`] writes, with a column for each index.
///
/// # Example
/// The documentation of [`Source`] has one.
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
    ///
    /// # Example
    /// Two examples of two inputs and one target, in memory:
    /// ```
    /// use backprop::source::{ReadInto, Source};
    /// use backprop::{Examples, row_major};
    ///
    /// let rows = [0.0, 0.5, 1.0, 1.5];
    /// let examples = Examples::new(row_major(&rows, 2)?, row_major(&[3.0, 4.0], 1)?)?;
    /// let (mut x, mut y) = ([0.0; 2], [0.0; 1]);
    /// examples.read(&[1], ReadInto::new(&mut x, &mut y, &mut []))?;
    /// assert_eq!((x, y), ([1.0, 1.5], [4.0]));
    /// # Ok::<(), backprop::Error>(())
    /// ```
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

    /// Returns the buffers of some of the columns.
    pub(crate) fn columns<S: Source<T> + ?Sized>(
        &mut self,
        source: &S,
        columns: Range<usize>,
    ) -> ReadInto<'_, T> {
        let entries = |rows: usize| rows * columns.start..rows * columns.end;
        let (x, y) = (entries(source.inputs()), entries(source.outputs()));
        let present = match self.present {
            [] => 0..0,
            _ => y.clone(),
        };
        ReadInto {
            x: &mut self.x[x],
            y: &mut self.y[y],
            present: &mut self.present[present],
        }
    }
}
