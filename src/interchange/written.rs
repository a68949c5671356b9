//! The tensors of a network that go into a file.

use super::names::{Entries, Slot};
use super::strides::walk;
use super::{InterchangeError, Options, TensorPlace};
use crate::file_scalar::FileScalar;
use crate::layer::Layer;
use crate::network::Network;
use crate::scalar::to_f64;

/// A tensor to be written.
pub(super) struct Written<'a, T> {
    pub(super) place: &'a TensorPlace,
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
            Numbers::Scalars { .. } => self.place.shape.iter().product::<usize>() * size_of::<T>(),
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
                for offset in walk(&self.place.shape, strides, false) {
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
    options: &Options<'_>,
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
            Entries::Batches { at: None } => {
                let batches = options.batches.map(|all| all.of(&slot.place.layer));
                let batches = batches.flatten().unwrap_or_default();
                let count = i64::try_from(batches);
                Numbers::Count(count.map_err(|_| no_i64(&slot.place, batches))?)
            }
            Entries::Batches { at: Some(at) } => {
                let value = to_f64(state[*at]);
                let count = value as i64;
                if count as f64 != value {
                    return Err(no_i64(&slot.place, value));
                }
                Numbers::Count(count)
            }
        };
        Ok(Written {
            place: &slot.place,
            numbers,
        })
    });
    tensors.collect()
}

fn no_i64(place: &TensorPlace, value: impl std::fmt::Debug) -> InterchangeError {
    InterchangeError::Inexact {
        tensor: place.name.clone(),
        entry: 0,
        value: format!("{value:?}"),
        scalar: "i64",
    }
}
