//! The bytes of an accumulator.

use super::Accumulator;
use crate::allocation::{allocate, fits, reserved};
use crate::checksum::Checksum;
use crate::error::{BytesFault, Error};
use crate::examples::scalar_weight;
use crate::file_scalar::FileScalar;
use crate::layer::Layer;
use crate::network::Network;
use crate::scalar::to_f64;
use nalgebra::DVector;
use std::slice::from_ref;
use std::sync::Arc;

const WHAT: &str = "the accumulator";
const BEGINNING: &str = "bpropsum";
const VERSION: u32 = 1;

/// The number of bytes before the sums, and of those after them.
const HEADER: usize = 48;
const CHECKSUM: usize = 8;

/// The fields between the version and the sums.
struct Header {
    scalar: [u8; 4],
    parameters: u64,
    fingerprint: u64,
    weight: f64,
}

impl<T: FileScalar> Accumulator<T> {
    /// Returns the sums as bytes, to send them to another process or to write them to a file.
    ///
    /// [`from_bytes`](Self::from_bytes) returns the same sums, bit for bit. Adding, merging and
    /// finishing then give the same bits as without the trip.
    ///
    /// # Format
    /// There are 56 + 2 (P + 1) s bytes, where a scalar has s (4 or 8). Numbers begin with their
    /// lowest byte:
    ///
    /// | offset | bytes | content |
    /// |---|---|---|
    /// | 0 | 8 | `bpropsum` |
    /// | 8 | 4 | the version, 1 |
    /// | 12 | 4 | the scalar, `f32` or `f64`, and a byte 0 |
    /// | 16 | 8 | the number of bytes, from the first to the last |
    /// | 24 | 8 | P |
    /// | 32 | 8 | a hash of the [`Layout`](crate::Layout), equal where layouts are |
    /// | 40 | 8 | Σ w, in `f64` |
    /// | 48 | s | Σ w·cost |
    /// | 48 + s | s | its rounding error so far |
    /// | 48 + 2 s | P s | Δ |
    /// | 48 + (P + 2) s | P s | its rounding errors so far |
    /// | 48 + 2 (P + 1) s | 8 | the checksum of all bytes before it |
    ///
    /// The checksum starts at h = 1. Each eight bytes, as a number w, turn it into
    /// f(h + w · 0x9e3779b97f4a7c15) modulo 2⁶⁴, where f is the output function of SplitMix64
    /// (Steele et al. 2014, doi:10.1145/2714064.2660195). It detects accidents, not forgery.
    ///
    /// # Errors
    /// Returns [`Error::TooLarge`] if there is no memory for the bytes.
    ///
    /// # Example
    /// Two machines share the examples. One sends its sums, and the other merges them:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Accumulator, Examples, Network, Penalty, SquaredError, Workspace};
    /// use backprop::activation::Identity;
    ///
    /// // a = 1 + 2 x, and δ = a − y is 3 for the first example and 1 for the second.
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// let sums_of = |x, y| {
    ///     let (x, y) = (DMatrix::repeat(1, 1, x), DMatrix::repeat(1, 1, y));
    ///     let mut sums = Accumulator::new(&network)?;
    ///     let examples = Examples::new(&x, &y)?;
    ///     sums.add(&network, &examples, &SquaredError, &mut Workspace::new())?;
    ///     Ok::<_, backprop::Error>(sums)
    /// };
    /// let message = sums_of(3.0, 4.0)?.to_bytes()?;
    /// assert_eq!(message.len(), 56 + 2 * (2 + 1) * 8);
    ///
    /// let mut sums = sums_of(0.0, 0.0)?;
    /// sums.merge(&Accumulator::from_bytes(&message, &network)?)?;
    /// let pass = sums.finish(&network, &Penalty::none())?;
    /// assert_eq!(pass.cost(), (4.5 + 0.5) / 2.0);
    /// assert_eq!(pass.gradient().vector().as_slice(), [(3.0 + 1.0) / 2.0, 9.0 / 2.0]);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let parameters = self.delta.len();
        let len = len_of::<T>(parameters)?;
        let mut bytes = reserved("the bytes of the accumulator", len)?;
        bytes.extend_from_slice(BEGINNING.as_bytes());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&scalar_field::<T>());
        for word in [len as u64, parameters as u64, self.layout.fingerprint()] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.weight.to_le_bytes());
        for &number in self.numbers() {
            number.push_bytes(&mut bytes);
        }
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(bytes)
    }

    /// Reads the sums that [`to_bytes`](Self::to_bytes) wrote, on any machine.
    ///
    /// `network` has the shape and the frozen layers of the network that the sums are from; its θ
    /// does not matter. The bytes are checked before they are used. The sums may be infinite or
    /// NaN, as those of an accumulator that overflowed are; [`finish`](Self::finish) reports them.
    ///
    /// # Errors
    /// - [`Error::Bytes`] with the [`BytesFault`] if the bytes are not those of an accumulator of
    ///   this version and scalar, if some are missing, left over or changed, if a rounding error is
    ///   not finite, or if sums over no examples are not 0.
    /// - [`Error::OtherNetwork`] if the sums are from a network of another shape, or with other
    ///   frozen layers.
    /// - [`Error::TotalWeight`] if Σ w is not the weight of an accumulator.
    /// - [`Error::TooLarge`] if there is no memory for 2 P scalars.
    ///
    /// # Example
    /// ```
    /// use backprop::{Accumulator, Error, Network, activation::Tanh};
    ///
    /// let network = Network::<f64>::builder(2).dense(1, Tanh).zeros()?;
    /// let sums = Accumulator::new(&network)?;
    /// let mut bytes = sums.to_bytes()?;
    /// assert_eq!(Accumulator::from_bytes(&bytes, &network)?, sums);
    ///
    /// bytes[60] ^= 1; // one bit, in transit
    /// let refused = Accumulator::from_bytes(&bytes, &network);
    /// assert!(matches!(refused, Err(Error::Bytes { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_bytes<L: Layer<T>>(bytes: &[u8], network: &Network<T, L>) -> Result<Self, Error> {
        let layout = Arc::clone(network.layout_arc());
        let parameters = layout.parameters();
        let len = len_of::<T>(parameters)?;
        let (header, sums) = open(bytes, len)?;
        if header.scalar != scalar_field::<T>() {
            return Err(refused(BytesFault::Scalar {
                expected: T::NAME,
                found: printable(header.scalar.strip_suffix(&[0]).unwrap_or(&header.scalar)),
            }));
        }
        if (header.parameters, header.fingerprint) != (parameters as u64, layout.fingerprint()) {
            return Err(Error::OtherNetwork {
                what: WHAT,
                expected: usize::try_from(header.parameters).unwrap_or(usize::MAX),
                found: parameters,
            });
        }
        expect_len(len as u64, bytes)?;
        if header.weight.to_bits() != 0 {
            scalar_weight::<T>(header.weight)?;
        }
        let mut rest = sums;
        let mut vector = |len| -> Result<Vec<T>, Error> {
            let mut vector = allocate("the parameters", (len, 1), T::zero())?;
            let (bytes, later) = rest.split_at(size_of_val(&vector[..]));
            T::read(bytes, &mut vector);
            rest = later;
            Ok(vector)
        };
        let (cost, lost) = (vector(1)?, vector(1)?);
        let sums = Self {
            cost: cost[0],
            lost: lost[0],
            weight: header.weight,
            delta: DVector::from_vec(vector(parameters)?),
            lost_delta: DVector::from_vec(vector(parameters)?),
            layout,
        };
        sums.check_numbers()?;
        Ok(sums)
    }

    /// Returns all sums and rounding errors, in the order of the bytes.
    fn numbers(&self) -> impl Iterator<Item = &T> {
        let costs = from_ref(&self.cost).iter().chain(from_ref(&self.lost));
        costs.chain(&self.delta).chain(&self.lost_delta)
    }

    /// Checks what holds for the numbers of every accumulator.
    fn check_numbers(&self) -> Result<(), Error> {
        let first_lost = 2 + self.delta.len();
        for (index, &number) in self.numbers().enumerate() {
            let expected = if self.weight == 0.0 && number != T::zero() {
                "0, because no examples were added"
            } else if (index == 1 || index >= first_lost) && !number.is_finite() {
                "a finite rounding error"
            } else {
                continue;
            };
            return Err(refused(BytesFault::Number {
                index,
                value: to_f64(number),
                expected,
            }));
        }
        Ok(())
    }
}

/// Checks all that does not depend on the network, and returns the header and the bytes of the
/// sums. `len` is the number of bytes that the network needs.
fn open(bytes: &[u8], len: usize) -> Result<(Header, &[u8]), Error> {
    let begun = bytes.iter().zip(BEGINNING.as_bytes());
    if begun.clone().any(|(found, expected)| found != expected) {
        return Err(refused(BytesFault::Beginning {
            expected: BEGINNING,
            found: printable(&bytes[..begun.len()]),
        }));
    }
    let too_short = || refused(length(len as u64, bytes));
    let rest = bytes.get(BEGINNING.len()..).ok_or_else(too_short)?;
    let (version, mut rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let (expected, found) = (VERSION, u32::from_le_bytes(*version));
    if found != expected {
        return Err(refused(BytesFault::Version { expected, found }));
    }
    let (scalar, after) = rest.split_first_chunk().ok_or_else(too_short)?;
    rest = after;
    let mut words = [0; 4];
    for word in &mut words {
        let (found, after) = rest.split_first_chunk().ok_or_else(too_short)?;
        (*word, rest) = (u64::from_le_bytes(*found), after);
    }
    let (sums, stated) = rest.split_last_chunk::<CHECKSUM>().ok_or_else(too_short)?;
    let [len, parameters, fingerprint, weight] = words;
    expect_len(len, bytes)?;
    let (expected, found) = (
        u64::from_le_bytes(*stated),
        checksum(&bytes[..bytes.len() - CHECKSUM]),
    );
    if expected != found {
        return Err(refused(BytesFault::Checksum { expected, found }));
    }
    let header = Header {
        scalar: *scalar,
        parameters,
        fingerprint,
        weight: f64::from_bits(weight),
    };
    Ok((header, sums))
}

/// Returns the number of bytes of the sums of P parameters.
fn len_of<T>(parameters: usize) -> Result<usize, Error> {
    let numbers = parameters.saturating_add(1).saturating_mul(2);
    let len = numbers.saturating_mul(size_of::<T>());
    let len = len.saturating_add(HEADER + CHECKSUM);
    let (what, rows, cols) = ("the bytes of the accumulator", len, 1);
    let too_large = Error::TooLarge { what, rows, cols };
    fits::<u8>(len).then_some(len).ok_or(too_large)
}

fn scalar_field<T: FileScalar>() -> [u8; 4] {
    let mut field = [0; 4];
    for (byte, &letter) in field.iter_mut().zip(T::NAME.as_bytes()) {
        *byte = letter;
    }
    field
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut checksum = Checksum::new();
    checksum.bytes(bytes);
    checksum.value()
}

fn expect_len(expected: u64, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() as u64 == expected {
        return Ok(());
    }
    Err(refused(length(expected, bytes)))
}

fn length(expected: u64, bytes: &[u8]) -> BytesFault {
    let found = bytes.len() as u64;
    BytesFault::Length { expected, found }
}

fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn refused(fault: BytesFault) -> Error {
    Error::Bytes { what: WHAT, fault }
}
