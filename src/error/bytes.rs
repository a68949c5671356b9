//! Why bytes cannot be read.

/// Why bytes that should hold a value were refused, in [`Error::Bytes`](crate::Error::Bytes).
///
/// # Example
/// ```
/// use backprop::{Accumulator, BytesFault, Error, Network, activation::Tanh};
///
/// let network = Network::<f64>::builder(2).dense(1, Tanh).zeros()?;
/// let bytes = Accumulator::new(&network)?.to_bytes()?;
/// let cut = Accumulator::from_bytes(&bytes[..100], &network);
/// let (expected, found) = (120, 100);
/// let fault = BytesFault::Length { expected, found };
/// assert_eq!(cut, Err(Error::Bytes { what: "the accumulator", fault }));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BytesFault {
    /// Another beginning: these are bytes of something else.
    #[error("they begin with {found:?}, expected {expected:?}")]
    Beginning {
        /// The beginning of such bytes.
        expected: &'static str,
        /// The beginning found, with escapes for all that is not printable ASCII.
        found: String,
    },
    /// Another version of the format, which another version of this crate wrote.
    #[error(
        "they have version {found}, expected {expected}: write and read them with the same version \
         of this crate"
    )]
    Version {
        /// The version that can be read.
        expected: u32,
        /// The version found.
        found: u32,
    },
    /// Bytes that are missing, or that follow the end.
    #[error("there are {found} bytes, expected {expected}")]
    Length {
        /// The number of bytes that the bytes themselves state, or that the network needs.
        expected: u64,
        /// The number of bytes found.
        found: u64,
    },
    /// Bytes that were changed after they were written.
    #[error("they are damaged: expected the checksum {expected:016x}, found {found:016x}")]
    Checksum {
        /// The checksum that they state.
        expected: u64,
        /// The checksum that they have.
        found: u64,
    },
    /// Numbers of another scalar type.
    #[error("their scalar is {found}, expected {expected}")]
    Scalar {
        /// The scalar type of the network.
        expected: &'static str,
        /// The scalar type of the bytes, with escapes for all that is not printable ASCII.
        found: String,
    },
    /// A number that the value cannot have.
    #[error("number {index} is {value}, expected {expected}")]
    Number {
        /// Its index, from 0, among the numbers after the header.
        index: usize,
        /// The number.
        value: f64,
        /// The range, in words.
        expected: &'static str,
    },
}
