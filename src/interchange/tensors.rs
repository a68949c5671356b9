//! Tensors of files into a network, and those of a network into files.

use super::names::{Entries, Slot, row_major, slots};
use super::number::{FileScalar, Kind, Unfit, Value};
use super::{InterchangeError, Options};
use crate::allocation::copied;
use crate::layer::Layer;
use crate::network::Network;
use crate::point::Point;
use crate::scalar::{real, to_f64};
use std::io::{self, Read};

/// The types of numbers that a tensor may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    Reals,
    Integers,
    /// Both, and truth values.
    #[cfg_attr(
        not(feature = "npz"),
        expect(dead_code, reason = "only data may have any")
    )]
    Any,
}

impl Accepts {
    fn accepts(self, kind: Kind) -> bool {
        match self {
            Self::Reals => kind.is_real(),
            Self::Integers => kind.is_integer(),
            Self::Any => true,
        }
    }

    /// Returns the type of the numbers of a tensor if it is accepted.
    pub(super) fn checked(
        self,
        kind: &Result<Kind, String>,
        tensor: &str,
    ) -> Result<Kind, InterchangeError> {
        match kind {
            Ok(kind) if self.accepts(*kind) => Ok(*kind),
            other => Err(InterchangeError::Type {
                tensor: tensor.to_owned(),
                expected: self.words(),
                found: other.as_ref().map_or_else(Clone::clone, Kind::to_string),
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
pub(super) trait Source {
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
    pub(super) kind: Result<Kind, String>,
    pub(super) order: Order,
    pub(super) data: Box<dyn Read + 'a>,
}

/// The order of the numbers of a tensor, and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Whether the first axis is the fastest.
    pub(super) fortran: bool,
    pub(super) big_endian: bool,
}

/// Reads the tensors of a network from a file. After an error, the network is unchanged.
pub(super) fn read<T: FileScalar, L: Layer<T>, S: Source>(
    source: &S,
    network: &mut Network<T, L>,
    options: &Options<'_>,
) -> Result<(), InterchangeError> {
    let slots = slots(network, options)?;
    let indices = matched(source.names(), &slots)?;
    let mut theta = copied("the parameters", network.theta().as_slice())?;
    let mut state = copied("the state", network.state().as_slice())?;
    for (slot, index) in slots.iter().zip(indices) {
        let Some(index) = index else { continue };
        let mut found = source.open(index)?;
        let mut of = Tensor {
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
                // Without a place, it is only checked.
                of.rounded |= at.is_none();
                let mut unused = [T::zero()];
                let to = Target {
                    start: at.unwrap_or_default(),
                    numbers: if at.is_some() {
                        &mut state
                    } else {
                        &mut unused
                    },
                    strides: &[],
                    least: 0.0,
                };
                of.fill(&mut found, Accepts::Integers, to)?;
            }
        }
    }
    let (theta, state) = (&theta[..], &state[..]);
    Ok(network.set_point(Point { theta, state })?)
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
        let (shape, order) = (&found.shape, found.order);
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..kind.size()];
        for (n, offset) in walk(shape, to.strides, order.fortran).enumerate() {
            let read = found.data.read_exact(bytes);
            read.map_err(|error| self.damaged(&error))?;
            if order.big_endian {
                bytes.reverse();
            }
            let value = kind.decode(bytes);
            let entry = || {
                let mut all = walk(shape, &row_major(shape), order.fortran);
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

/// Visits the entries of a tensor, the last axis or the first one the fastest: Σ index · stride of
/// each.
fn walk(
    shape: &[usize],
    strides: &[usize],
    first_fastest: bool,
) -> impl Iterator<Item = usize> + use<> {
    let mut axes: Vec<(usize, usize)> =
        shape.iter().copied().zip(strides.iter().copied()).collect();
    if !first_fastest {
        axes.reverse();
    }
    let len = shape.iter().product();
    let mut index = vec![0; axes.len()];
    let mut next = 0;
    (0..len).map(move |_| {
        let offset = next;
        for (index, &(size, stride)) in index.iter_mut().zip(&axes) {
            *index += 1;
            next += stride;
            if *index < size {
                break;
            }
            next -= stride * size;
            *index = 0;
        }
        offset
    })
}

/// A tensor to be written.
pub(super) struct Written<'a, T> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    numbers: Numbers<'a, T>,
}

/// The numbers of a tensor to be written.
enum Numbers<'a, T> {
    Scalars {
        all: &'a [T],
        start: usize,
        strides: &'a [usize],
    },
    Count(i64),
}

impl<T: FileScalar> Written<'_, T> {
    /// Returns whether the numbers are 64-bit integers instead of scalars.
    pub(super) fn is_count(&self) -> bool {
        matches!(self.numbers, Numbers::Count(_))
    }

    /// Returns the length in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self.numbers {
            Numbers::Scalars { .. } => self.shape.iter().product::<usize>() * size_of::<T>(),
            Numbers::Count(_) => size_of::<i64>(),
        }
    }

    /// Appends the numbers in row-major order, the lowest byte of each first. The buffer must have
    /// room for them.
    pub(super) fn push_bytes(&self, to: &mut Vec<u8>) {
        match self.numbers {
            Numbers::Count(count) => to.extend_from_slice(&count.to_le_bytes()),
            Numbers::Scalars {
                all,
                start,
                strides,
            } => {
                for offset in walk(self.shape, strides, false) {
                    all[start + offset].push_bytes(to);
                }
            }
        }
    }
}

/// Lists the tensors of a network to be written.
pub(super) fn written<'a, T: FileScalar, L: Layer<T>>(
    network: &'a Network<T, L>,
    slots: &'a [Slot],
) -> Result<Vec<Written<'a, T>>, InterchangeError> {
    let state = network.state().as_slice();
    let tensors = slots.iter().map(|slot| {
        let numbers = match &slot.entries {
            Entries::Theta { start, strides } => Numbers::Scalars {
                all: network.theta().as_slice(),
                start: *start,
                strides,
            },
            Entries::State { start, .. } => Numbers::Scalars {
                all: state,
                start: *start,
                strides: &[1],
            },
            Entries::Batches { at: None } => Numbers::Count(0),
            Entries::Batches { at: Some(at) } => {
                let value = to_f64(state[*at]);
                let count = value as i64;
                if count as f64 != value {
                    return Err(InterchangeError::Inexact {
                        tensor: slot.place.name.clone(),
                        entry: 0,
                        value: Value::Real(value).to_string(),
                        scalar: "i64",
                    });
                }
                Numbers::Count(count)
            }
        };
        Ok(Written {
            name: &slot.place.name,
            shape: &slot.place.shape,
            numbers,
        })
    });
    tensors.collect()
}
