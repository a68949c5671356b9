//! A source whose inputs are scaled when they are read.

use super::{ReadInto, Source};
use crate::data::Scaler;
use crate::error::Error;
use crate::scalar::Scalar;

/// A source whose inputs are scaled when they are read. The targets stay as they are.
///
/// A value that overflows is reported when it is used, like one that is not finite in the source.
///
/// # Example
/// Pixels from 0 to 255, stored as bytes, become numbers from 0 to 1:
/// ```
/// use backprop::data::MinMaxScaler;
/// use backprop::source::{FileSource, Number, ReadInto, RowFile, Scaled, Source};
///
/// let folder = std::env::temp_dir();
/// let (x, y) = (folder.join("scaled-x.bin"), folder.join("scaled-y.bin"));
/// std::fs::write(&x, [0, 51, 255, 204])?; // two images of two pixels
/// std::fs::write(&y, [1, 0])?;
/// let pixels = RowFile::raw(&x, Number::U8, 2)?;
/// let images = FileSource::<f32>::new(pixels, RowFile::raw(&y, Number::U8, 1)?)?;
///
/// // x / 255 for each of the two pixels.
/// let images = Scaled::new(images, MinMaxScaler::new(vec![0.0; 2], vec![255.0; 2])?)?;
/// let (mut x, mut y) = ([0.0; 2], [0.0; 1]);
/// images.read(&[1], ReadInto::new(&mut x, &mut y, &mut []))?;
/// assert_eq!(x, [1.0, 0.8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scaled<S, C> {
    source: S,
    scaler: C,
}

impl<S, C> Scaled<S, C> {
    /// Scales the inputs of a source.
    ///
    /// # Errors
    /// Returns [`Error::Shape`] unless the scaler has one row for each input.
    pub fn new<T: Scalar>(source: S, scaler: C) -> Result<Self, Error>
    where
        S: Source<T>,
        C: Scaler<T>,
    {
        if source.inputs() != scaler.rows() {
            return Err(Error::Shape {
                what: "X",
                expected: (scaler.rows(), source.len()),
                found: (source.inputs(), source.len()),
            });
        }
        Ok(Self { source, scaler })
    }
}

impl<T: Scalar, S: Source<T>, C: Scaler<T>> Source<T> for Scaled<S, C> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn inputs(&self) -> usize {
        self.source.inputs()
    }

    fn outputs(&self) -> usize {
        self.source.outputs()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error> {
        let ReadInto { x, y, present } = into;
        self.source.read(indices, ReadInto::new(x, y, present))?;
        for column in x.chunks_exact_mut(self.inputs().max(1)) {
            for (row, x) in column.iter_mut().enumerate() {
                *x = self.scaler.scale(row, *x);
            }
        }
        Ok(())
    }

    fn block(&self) -> usize {
        self.source.block()
    }

    fn weights(&self) -> Option<&[f64]> {
        self.source.weights()
    }

    fn has_missing(&self) -> bool {
        self.source.has_missing()
    }

    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }
}
