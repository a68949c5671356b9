//! Tensors of files into a network.

use super::names::{Entries, Slot, slots};
use super::strides::{row_major, walk};
use super::{BatchCounts, InterchangeError, Options};
use crate::allocation::copied;
use crate::file_scalar::FileScalar;
use crate::layer::Layer;
use crate::network::Network;
use crate::number::{Number, Unfit, Value};
use crate::point::Point;
use crate::scalar::real;
use std::io::{self, Read};
use std::ops::Range;

/// The types of numbers that a tensor may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    Reals,
    Integers,
    /// Both, and truth values.
    Any,
}

impl Accepts {
    fn accepts(self, kind: Number) -> bool {
        match self {
            Self::Reals => kind.is_real(),
            Self::Integers => kind.is_integer(),
            Self::Any => true,
        }
    }

    /// Returns the type of the numbers of a tensor if it is accepted.
    pub(super) fn checked(
        self,
        kind: &Result<Number, String>,
        tensor: &str,
    ) -> Result<Number, InterchangeError> {
        match kind {
            Ok(kind) if self.accepts(*kind) => Ok(*kind),
            other => Err(InterchangeError::Type {
                tensor: tensor.to_owned(),
                expected: self.words(),
                found: other.as_ref().map_or_else(Clone::clone, Number::to_string),
            }),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Reals => "F64, F32, F16 or BF16",
            Self::Integers => "integers",
            Self::Any => "floats of 2, 4 or 8 bytes, integers or booleans",
        }
    }
}

/// A file of tensors whose index has been read.
pub(super) trait TensorFile {
    /// The kind of file.
    const KIND: &'static str;

    /// Returns the names of all tensors.
    fn names(&self) -> &[String];

    /// Opens the tensor at a position in [`names`](Self::names). Reads no numbers.
    fn open(&self, index: usize) -> Result<Found<'_>, InterchangeError>;
}

/// A tensor that was found in a file.
pub(super) struct Found<'a> {
    pub(super) shape: Vec<usize>,
    /// The type of the numbers, or its name if it cannot be read.
    pub(super) kind: Result<Number, String>,
    pub(super) order: Order,
    pub(super) data: Box<dyn Read + 'a>,
}

/// The order of the numbers of a tensor, and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whether the first axis is the fastest.
    pub(crate) fortran: bool,
    pub(crate) big_endian: bool,
}

/// Reads the tensors of a network from a file. After an error, the network is unchanged.
pub(super) fn read<T: FileScalar, L: Layer<T>, S: TensorFile>(
    source: &S,
    network: &mut Network<T, L>,
    options: &Options<'_>,
) -> Result<BatchCounts, InterchangeError> {
    let slots = slots(network, options)?;
    let indices = matched(source.names(), &slots)?;
    let mut theta = copied("the parameters", network.theta().as_slice())?;
    let mut state = copied("the state", network.state().as_slice())?;
    let mut batches = BatchCounts::new();
    for (slot, index) in slots.iter().zip(indices) {
        let Some(index) = index else { continue };
        let mut found = source.open(index)?;
        let of = Tensor {
            name: &slot.place.name,
            file: S::KIND,
            rounded: options.rounded,
        };
        let shape = &slot.place.shape;
        if found.shape != *shape {
            return Err(InterchangeError::Shape {
                tensor: of.name.to_owned(),
                expected: shape.clone(),
                found: found.shape,
            });
        }
        match &slot.entries {
            Entries::Theta { start, strides } => {
                let to = Target {
                    numbers: &mut theta,
                    start: *start,
                    strides,
                    least: f64::NEG_INFINITY,
                };
                of.fill(&mut found, Accepts::Reals, to)?;
            }
            Entries::State { start, least } => {
                let to = Target {
                    numbers: &mut state,
                    start: *start,
                    strides: &[1],
                    least: *least,
                };
                of.fill(&mut found, Accepts::Reals, to)?;
            }
            Entries::Batches { at } => {
                let count = of.whole(&mut found)?;
                match *at {
                    None => batches = batches.with(slot.place.layer.clone(), count),
                    Some(at) => {
                        let count = Value::Whole(count.into());
                        let number = count.to(options.rounded);
                        state[at] = number.map_err(|unfit| of.unfit::<T>(0, count, unfit))?;
                    }
                }
            }
        }
    }
    let (theta, state) = (&theta[..], &state[..]);
    network.set_point(Point { theta, state })?;
    Ok(batches)
}

/// Returns the names of a file in alphabetical order, with their positions.
pub(super) fn by_name(names: &[String]) -> Result<Vec<(&str, usize)>, InterchangeError> {
    let mut sorted: Vec<(&str, usize)> = Vec::new();
    sorted.extend(names.iter().enumerate().map(|(i, name)| (&name[..], i)));
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let tensor = pair[0].0.to_owned();
        return Err(InterchangeError::Duplicate { tensor });
    }
    Ok(sorted)
}

/// Finds the tensor of the file for each tensor of the network. The number of batches may be
/// missing where it does not matter.
fn matched(names: &[String], slots: &[Slot]) -> Result<Vec<Option<usize>>, InterchangeError> {
    let sorted = by_name(names)?;
    let find = |slot: &Slot| {
        let found = sorted.binary_search_by_key(&&slot.place.name[..], |(name, _)| name);
        found.ok().map(|at| sorted[at].1)
    };
    let found: Vec<Option<usize>> = slots.iter().map(find).collect();
    let mut used = vec![false; names.len()];
    found.iter().flatten().for_each(|&index| used[index] = true);
    let mut unexpected = names.iter().zip(&used).filter(|(_, used)| !**used);
    let mut pairs = slots.iter().zip(&found);
    let missing = pairs.find(|(slot, found)| {
        found.is_none() && !matches!(slot.entries, Entries::Batches { at: None })
    });
    if let Some((Slot { place, .. }, _)) = missing {
        return Err(InterchangeError::Missing {
            tensor: place.name.clone(),
            shape: place.shape.clone(),
            unexpected: unexpected.map(|(name, _)| name.clone()).collect(),
        });
    }
    if let Some((name, _)) = unexpected.next() {
        let expected = slots.iter().map(|slot| slot.place.name.clone());
        return Err(InterchangeError::Unexpected {
            tensor: name.clone(),
            expected: expected.collect(),
        });
    }
    Ok(found)
}

/// The numbers of a tensor, which are read in blocks.
struct Blocks<'a> {
    data: &'a mut dyn Read,
    kind: Number,
    big_endian: bool,
    /// The bytes after this block.
    left: usize,
    block: [u8; BLOCK],
    /// The bytes of this block that are still to be decoded.
    rest: Range<usize>,
}

/// The length of a block in bytes, a multiple of the size of every number.
const BLOCK: usize = 1 << 11;

impl<'a> Blocks<'a> {
    fn of(found: &'a mut Found<'_>, kind: Number) -> Self {
        let numbers = found.shape.iter().product::<usize>();
        Self {
            data: &mut found.data,
            kind,
            big_endian: found.order.big_endian,
            left: numbers.saturating_mul(kind.size()),
            block: [0; BLOCK],
            rest: 0..0,
        }
    }

    /// Reads the next number.
    fn next(&mut self) -> io::Result<Value> {
        if self.rest.is_empty() {
            self.rest = 0..self.left.min(BLOCK);
            self.data.read_exact(&mut self.block[self.rest.clone()])?;
            self.left -= self.rest.len();
        }
        let start = self.rest.start;
        self.rest.start += self.kind.size();
        let bytes = &mut self.block[start..self.rest.start];
        if self.big_endian {
            bytes.reverse();
        }
        Ok(self.kind.decode(bytes))
    }
}

/// Where the numbers of a tensor go.
pub(super) struct Target<'a, T> {
    pub(super) numbers: &'a mut [T],
    pub(super) start: usize,
    pub(super) strides: &'a [usize],
    pub(super) least: f64,
}

/// A tensor that is read, for messages.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) file: &'static str,
    pub(super) rounded: bool,
}

impl Tensor<'_> {
    /// Reads all numbers of a tensor, and its end.
    pub(super) fn fill<T: FileScalar>(
        self,
        found: &mut Found<'_>,
        accepts: Accepts,
        to: Target<'_, T>,
    ) -> Result<(), InterchangeError> {
        let kind = accepts.checked(&found.kind, self.name)?;
        let (shape, fortran) = (found.shape.clone(), found.order.fortran);
        let mut numbers = Blocks::of(found, kind);
        for (n, offset) in walk(&shape, to.strides, fortran).enumerate() {
            let value = numbers.next().map_err(|error| self.damaged(&error))?;
            let entry = || {
                let mut all = walk(&shape, &row_major(&shape), fortran);
                all.nth(n).unwrap_or_default()
            };
            let number = match value {
                // `Examples` checks data.
                Value::Real(value) if accepts == Accepts::Any && !value.is_finite() => {
                    Ok(real(value))
                }
                value => value.to(self.rounded),
            };
            let number = number.map_err(|unfit| self.unfit::<T>(entry(), value, unfit))?;
            if value.to_f64() < to.least {
                return Err(InterchangeError::Range {
                    tensor: self.name.to_owned(),
                    entry: entry(),
                    value: value.to_f64(),
                    least: to.least,
                });
            }
            to.numbers[to.start + offset] = number;
        }
        self.end(&mut found.data)
    }

    /// Reads a single integer that is not negative, and the end.
    fn whole(self, found: &mut Found<'_>) -> Result<u64, InterchangeError> {
        let kind = Accepts::Integers.checked(&found.kind, self.name)?;
        let value = Blocks::of(found, kind).next();
        let value = value.map_err(|error| self.damaged(&error))?;
        self.end(&mut found.data)?;
        match value {
            Value::Whole(count) if count >= 0 => Ok(count as u64),
            other => Err(InterchangeError::Range {
                tensor: self.name.to_owned(),
                entry: 0,
                value: other.to_f64(),
                least: 0.0,
            }),
        }
    }

    /// Reads to the end, where checksums are compared, and where nothing may follow.
    fn end(self, data: &mut dyn Read) -> Result<(), InterchangeError> {
        match data.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.malformed("there are more bytes than its shape needs")),
            Err(error) => Err(self.damaged(&error)),
        }
    }

    fn damaged(self, error: &io::Error) -> InterchangeError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.malformed("it ends before its last number");
        }
        self.malformed(error)
    }

    fn malformed(self, what: impl std::fmt::Display) -> InterchangeError {
        InterchangeError::Malformed {
            kind: self.file,
            message: format!("the tensor {:?}: {what}", self.name),
        }
    }

    fn unfit<T: FileScalar>(self, entry: usize, value: Value, unfit: Unfit) -> InterchangeError {
        let (tensor, scalar) = (self.name.to_owned(), T::NAME);
        match unfit {
            Unfit::NonFinite => InterchangeError::NonFinite {
                tensor,
                entry,
                value: value.to_f64(),
                scalar,
            },
            Unfit::Inexact => InterchangeError::Inexact {
                tensor,
                entry,
                value: value.to_string(),
                scalar,
            },
        }
    }
}
