//! Examples in files of rows.

use super::row_file::RowFile;
use super::row_reader::{BUFFER, RowReader};
use super::{ReadInto, Source};
use crate::error::{Error, hyperparameter};
use crate::examples::check_weights;
use crate::file_scalar::FileScalar;
use crate::number::Value;
use crate::scalar::to_f64;
use std::marker::PhantomData;
use std::ops::Range;

/// The bytes of a block, unless another number of examples is chosen.
const BLOCK: u64 = 1 << 16;

/// Examples in files of rows, which are read when they are needed.
///
/// X and Y are two files with one example per row ([`new`](Self::new)), or one file whose rows are
/// \[x | y\] ([`joined`](Self::joined)). Their numbers are converted to T. NaN and infinities stay
/// unchanged.
///
/// # Example
/// Three examples of two inputs, and their labels, 0 or 1:
/// ```
/// use backprop::source::{FileSource, Number, ReadInto, RowFile, Source};
///
/// # let folder = std::env::temp_dir().join(format!("files-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let (x, y) = (folder.join("x.bin"), folder.join("y.bin"));
/// let rows = [0.0_f32, 0.5, 1.0, 1.5, 2.0, 2.5];
/// std::fs::write(&x, rows.map(f32::to_le_bytes).concat())?;
/// std::fs::write(&y, [1_u8, 0, 1])?;
///
/// let x = RowFile::raw(&x, Number::F32, 2)?;
/// let y = RowFile::raw(&y, Number::U8, 1)?;
/// let source = FileSource::<f32>::new(x, y)?.one_hot(2)?;
/// assert_eq!((source.len(), source.inputs(), source.outputs()), (3, 2, 2));
///
/// let (mut x, mut y) = ([0.0; 4], [0.0; 4]);
/// source.read(&[2, 1], ReadInto::new(&mut x, &mut y, &mut []))?;
/// assert_eq!(x, [2.0, 2.5, 1.0, 1.5]);
/// assert_eq!(y, [0.0, 1.0, 1.0, 0.0]);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct FileSource<T> {
    files: Files,
    /// The number of classes, where the targets are labels.
    classes: Option<usize>,
    missing: bool,
    rounded: bool,
    block: usize,
    weights: Option<Vec<f64>>,
    scalar: PhantomData<T>,
}

#[derive(Debug)]
enum Files {
    Two {
        inputs: RowFile,
        targets: RowFile,
    },
    Joined {
        rows: RowFile,
        /// The number of columns that are inputs.
        inputs: usize,
    },
}

impl Files {
    /// Returns the file with the inputs.
    fn inputs(&self) -> &RowFile {
        match self {
            Self::Two { inputs, .. } => inputs,
            Self::Joined { rows, .. } => rows,
        }
    }

    /// Returns the file with the targets.
    fn targets(&self) -> &RowFile {
        match self {
            Self::Two { targets, .. } => targets,
            Self::Joined { rows, .. } => rows,
        }
    }

    /// Returns the number of targets in a row.
    fn target_columns(&self) -> usize {
        match self {
            Self::Two { targets, .. } => targets.columns(),
            Self::Joined { rows, inputs } => rows.columns() - inputs,
        }
    }
}

impl<T: FileScalar> FileSource<T> {
    /// Takes the inputs from the rows of one file, and the targets from those of another.
    ///
    /// # Errors
    /// Returns [`Error::Source`] unless both files have the same number of rows.
    ///
    /// # Example
    /// The documentation of [`FileSource`] has one.
    pub fn new(inputs: RowFile, targets: RowFile) -> Result<Self, Error> {
        if targets.rows() != inputs.rows() {
            let (found, expected) = (targets.rows(), inputs.rows());
            return Err(targets.error(format!(
                "the file has {found} rows of targets, expected {expected}, a row for each of {}",
                inputs.name()
            )));
        }
        let example = inputs.row_bytes().saturating_add(targets.row_bytes());
        Ok(Self::of(Files::Two { inputs, targets }, example))
    }

    /// Takes the first `inputs` numbers of each row as inputs, and the others as targets.
    ///
    /// # Errors
    /// Returns [`Error::Source`] unless `inputs` is at least 1 and less than the number of columns.
    ///
    /// # Example
    /// Two rows \[x₁ x₂ | y\]:
    /// ```
    /// use backprop::source::{FileSource, Number, ReadInto, RowFile, Source};
    ///
    /// # let folder = std::env::temp_dir().join(format!("joined-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("joined.bin");
    /// let rows = [0.5_f64, 1.0, 0.0, 1.5, 2.0, 1.0];
    /// std::fs::write(&path, rows.map(f64::to_le_bytes).concat())?;
    /// let source = FileSource::<f64>::joined(RowFile::raw(&path, Number::F64, 3)?, 2)?;
    ///
    /// let (mut x, mut y) = ([0.0; 2], [0.0; 1]);
    /// source.read(&[1], ReadInto::new(&mut x, &mut y, &mut []))?;
    /// assert_eq!((x, y), ([1.5, 2.0], [1.0]));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn joined(rows: RowFile, inputs: usize) -> Result<Self, Error> {
        let columns = rows.columns();
        if !(1..columns).contains(&inputs) {
            return Err(rows.error(format!(
                "{inputs} of {columns} columns are inputs, expected at least 1 input and 1 target"
            )));
        }
        let example = rows.row_bytes();
        Ok(Self::of(Files::Joined { rows, inputs }, example))
    }

    /// Uses files. An example has this number of bytes in them.
    fn of(files: Files, example: u64) -> Self {
        Self {
            files,
            classes: None,
            missing: false,
            rounded: false,
            // At least 1 and at most 64 Ki.
            block: (BLOCK / example).max(1) as usize,
            weights: None,
            scalar: PhantomData,
        }
    }

    /// Reads the targets as class labels, 0 to K − 1. The target of a label is 1 in its row of Y,
    /// and 0 in the others, as in [`data::one_hot`](crate::data::one_hot).
    ///
    /// A label that is not a whole number from 0 to K − 1 is an error of
    /// [`read`](Source::read): [`Error::Label`] if it is a whole number, otherwise
    /// [`Error::Source`]. With [`missing_targets`](Self::missing_targets), all targets of a label
    /// that is NaN are missing.
    ///
    /// # Errors
    /// - [`Error::Source`] unless a row has one target.
    /// - [`Error::Hyperparameter`] if there are no classes.
    ///
    /// # Example
    /// The documentation of [`FileSource`] has one.
    #[doc(alias("to_categorical", "labels"))]
    pub fn one_hot(mut self, classes: usize) -> Result<Self, Error> {
        let found = self.files.target_columns();
        if found != 1 {
            return Err(self.files.targets().error(format!(
                "an example has {found} targets, expected 1, its label"
            )));
        }
        if classes == 0 {
            return Err(hyperparameter(
                "the number of classes",
                0.0,
                "a number of at least 1",
            ));
        }
        self.classes = Some(classes);
        Ok(self)
    }

    /// Reads a target that is NaN as missing: see
    /// [`Examples::with_missing`](crate::Examples::with_missing).
    ///
    /// # Example
    /// One example, whose second target was not measured:
    /// ```
    /// use backprop::source::{FileSource, Number, ReadInto, RowFile, Source};
    ///
    /// # let folder = std::env::temp_dir().join(format!("missing-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("missing.bin");
    /// std::fs::write(&path, [0.5_f64, 1.0, f64::NAN].map(f64::to_le_bytes).concat())?;
    /// let rows = RowFile::raw(&path, Number::F64, 3)?;
    /// let source = FileSource::<f64>::joined(rows, 1)?.missing_targets();
    ///
    /// let (mut x, mut y, mut present) = ([0.0; 1], [0.0; 2], [false; 2]);
    /// source.read(&[0], ReadInto::new(&mut x, &mut y, &mut present))?;
    /// assert_eq!(present, [true, false]);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("mask", "NaN"))]
    pub fn missing_targets(self) -> Self {
        let missing = true;
        Self { missing, ..self }
    }

    /// Accepts numbers that T cannot hold exactly, and rounds them to the nearest one. Without this
    /// call, they are an [`Error::Source`]. A number that would become infinite is always an error.
    ///
    /// # Example
    /// The `f64` nearest to 0.1 is not an `f32`:
    /// ```
    /// use backprop::source::{FileSource, Number, ReadInto, RowFile, Source};
    ///
    /// # let folder = std::env::temp_dir().join(format!("rounded-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("rounded.bin");
    /// std::fs::write(&path, [0.1_f64, 1.0].map(f64::to_le_bytes).concat())?;
    /// let source = || FileSource::<f32>::joined(RowFile::raw(&path, Number::F64, 2)?, 1);
    ///
    /// let (mut x, mut y) = ([0.0], [0.0]);
    /// assert!(source()?.read(&[0], ReadInto::new(&mut x, &mut y, &mut [])).is_err());
    /// source()?.rounded().read(&[0], ReadInto::new(&mut x, &mut y, &mut []))?;
    /// assert_eq!(x, [0.1]);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rounded(self) -> Self {
        let rounded = true;
        Self { rounded, ..self }
    }

    /// Sets the number of consecutive examples in a block: see [`Source::block`]. The default is
    /// the number of examples that fit in 64 KiB of the files, or 1.
    ///
    /// Larger blocks are read faster from disk, but the order of the examples is less random.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] if a block has no examples.
    ///
    /// # Example
    /// ```
    /// use backprop::source::{FileSource, Number, RowFile, Source};
    ///
    /// # let folder = std::env::temp_dir().join(format!("block-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("block.bin");
    /// std::fs::write(&path, vec![0; 3_000_000])?;
    /// let rows = RowFile::raw(&path, Number::U8, 3000)?;
    /// let source = FileSource::<f32>::joined(rows, 2999)?;
    /// assert_eq!(source.block(), 21); // 65 536 / 3000
    /// assert_eq!(source.blocks_of(500)?.block(), 500);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocks_of(mut self, examples: usize) -> Result<Self, Error> {
        if examples == 0 {
            return Err(hyperparameter(
                "the number of examples of a block",
                0.0,
                "a number of at least 1",
            ));
        }
        self.block = examples;
        Ok(self)
    }

    /// Sets the example weights wₖ ≥ 0: see [`Examples::weighted`](crate::Examples::weighted).
    ///
    /// # Errors
    /// - [`Error::Length`] unless there is one weight per example.
    /// - [`Error::Weight`] with the first weight that is negative or not finite.
    /// - [`Error::NoExamples`] if all weights are 0, and [`Error::TotalWeight`] if T cannot hold
    ///   their sum.
    ///
    /// # Example
    /// ```
    /// use backprop::source::{FileSource, Number, RowFile, Source};
    ///
    /// # let folder = std::env::temp_dir().join(format!("weighted-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("weighted.bin");
    /// std::fs::write(&path, [1, 0, 0, 1])?;
    /// let source = FileSource::<f32>::joined(RowFile::raw(&path, Number::U8, 2)?, 1)?;
    /// let source = source.weighted(vec![1.0, 0.5])?;
    /// assert_eq!(source.weights(), Some(&[1.0, 0.5][..]));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "sample_weight")]
    pub fn weighted(mut self, weights: Vec<f64>) -> Result<Self, Error> {
        check_weights::<T>(&weights, self.files.inputs().rows())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Reads consecutive examples.
    fn run(
        &self,
        examples: Range<usize>,
        buffer: &mut [u8; BUFFER],
        mut into: ReadInto<'_, T>,
    ) -> Result<(), Error> {
        let first = examples.start;
        match &self.files {
            Files::Two { inputs, targets } => {
                let mut from = RowReader::new(inputs, buffer, examples.clone(), self.rounded);
                from.fill(into.x)?;
                let mut from = RowReader::new(targets, buffer, examples, self.rounded);
                self.targets(&mut from, first, into)
            }
            Files::Joined { rows, .. } => {
                let mut from = RowReader::new(rows, buffer, examples.clone(), self.rounded);
                for (column, example) in examples.enumerate() {
                    let into = into.columns(self, column..column + 1);
                    from.fill(into.x)?;
                    self.targets(&mut from, example, into)?;
                }
                Ok(())
            }
        }
    }

    /// Reads the targets of some examples. `first` is the index of the first.
    fn targets(
        &self,
        from: &mut RowReader<'_>,
        first: usize,
        into: ReadInto<'_, T>,
    ) -> Result<(), Error> {
        let ReadInto { y, present, .. } = into;
        let Some(classes) = self.classes else {
            from.fill(y)?;
            if self.missing {
                for (present, &y) in present.iter_mut().zip(&*y) {
                    *present = !to_f64(y).is_nan();
                }
            }
            return Ok(());
        };
        y.fill(T::zero());
        present.fill(true);
        for (column, y) in y.chunks_exact_mut(classes).enumerate() {
            let (example, value) = (first + column, from.value()?);
            if self.missing && value.to_f64().is_nan() {
                present[column * classes..][..classes].fill(false);
                continue;
            }
            y[self.label(example, value, classes)?] = T::one();
        }
        Ok(())
    }

    /// Returns a label if it is that of a class.
    fn label(&self, example: usize, value: Value, classes: usize) -> Result<usize, Error> {
        let whole = match value {
            Value::Real(value) if value.fract() == 0.0 && value.abs() < TWO_TO_64 => value as i128,
            Value::Whole(value) => value,
            Value::Real(_) => -1,
        };
        match usize::try_from(whole) {
            Ok(label) if label < classes => Ok(label),
            Ok(label) => Err(Error::Label {
                what: "the labels",
                example,
                label,
                classes,
            }),
            Err(_) => Err(self.files.targets().error(format!(
                "the label of example {example} is {value}, expected a whole number from 0 to {}",
                classes - 1
            ))),
        }
    }
}

/// The number above the largest label.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

impl<T: FileScalar> Source<T> for FileSource<T> {
    fn len(&self) -> usize {
        self.files.inputs().rows()
    }

    fn inputs(&self) -> usize {
        match &self.files {
            Files::Two { inputs, .. } => inputs.columns(),
            Files::Joined { inputs, .. } => *inputs,
        }
    }

    fn outputs(&self) -> usize {
        self.classes.unwrap_or_else(|| self.files.target_columns())
    }

    fn read(&self, indices: &[usize], mut into: ReadInto<'_, T>) -> Result<(), Error> {
        into.check(self, indices)?;
        let mut buffer = [0; BUFFER];
        let mut done = 0;
        for run in indices.chunk_by(|&k, &next| next == k + 1) {
            let examples = run[0]..run[0] + run.len();
            let columns = into.columns(self, done..done + run.len());
            self.run(examples, &mut buffer, columns)?;
            done += run.len();
        }
        Ok(())
    }

    fn block(&self) -> usize {
        self.block
    }

    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn has_missing(&self) -> bool {
        self.missing
    }
}
