//! The scalar types whose numbers files and messages hold.

use crate::scalar::Scalar;

pub(crate) mod sealed {
    /// What files need of a scalar type.
    pub trait Number: Sized + Copy + 'static {
        const NAME: &'static str;

        /// The type in NumPy's headers.
        #[cfg(feature = "npz")]
        const DESCRIPTION: &'static str;

        /// Returns the nearest number to an integer.
        fn nearest(value: i128) -> Self;

        /// Appends the bytes, the lowest first.
        fn push_bytes(self, to: &mut Vec<u8>);

        /// Writes the bytes of numbers, the lowest first. Both slices have room for equally many.
        fn write(numbers: &[Self], to: &mut [u8]);

        /// Reads numbers from their bytes, the lowest first. Both slices have equally many.
        fn read(bytes: &[u8], to: &mut [Self]);

        /// Views bytes as numbers, if they are aligned.
        #[cfg(feature = "npz")]
        fn view(bytes: &[u8]) -> Option<&[Self]>;

        /// Views numbers as bytes.
        fn bytes_mut(numbers: &mut [Self]) -> Option<&mut [u8]>;
    }
}

macro_rules! number {
    ($type:ident, $description:literal) => {
        impl sealed::Number for $type {
            const NAME: &'static str = stringify!($type);
            #[cfg(feature = "npz")]
            const DESCRIPTION: &'static str = $description;

            #[inline]
            fn nearest(value: i128) -> Self {
                value as Self
            }

            fn push_bytes(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn write(numbers: &[Self], to: &mut [u8]) {
                let (to, _) = to.as_chunks_mut();
                for (to, number) in to.iter_mut().zip(numbers) {
                    *to = number.to_le_bytes();
                }
            }

            fn read(bytes: &[u8], to: &mut [Self]) {
                let (bytes, _) = bytes.as_chunks();
                for (to, &bytes) in to.iter_mut().zip(bytes) {
                    *to = Self::from_le_bytes(bytes);
                }
            }

            #[cfg(feature = "npz")]
            fn view(bytes: &[u8]) -> Option<&[Self]> {
                bytemuck::try_cast_slice(bytes).ok()
            }

            fn bytes_mut(numbers: &mut [Self]) -> Option<&mut [u8]> {
                bytemuck::try_cast_slice_mut(numbers).ok()
            }
        }

        impl FileScalar for $type {}
    };
}

number!(f32, "<f4");
number!(f64, "<f8");

/// The scalar types of networks whose numbers files and messages can hold: `f32` and `f64`.
///
/// Other networks are converted with [`Network::map`](crate::Network::map).
///
/// # Example
/// A function for networks of either type:
/// ```
/// use backprop::{Accumulator, Error, FileScalar, Network, activation::Tanh};
///
/// fn message<T: FileScalar>(network: &Network<T>) -> Result<Vec<u8>, Error> {
///     Accumulator::new(network)?.to_bytes()
/// }
///
/// let network = Network::<f32>::builder(2).dense(1, Tanh).zeros()?;
/// assert_eq!(message(&network)?.len(), 88); // 56 + 2 (P + 1) · 4 with P = 3
/// # Ok::<(), Error>(())
/// ```
pub trait FileScalar: Scalar + sealed::Number {}
