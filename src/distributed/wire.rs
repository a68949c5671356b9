//! Numbers as bytes, with a checksum.

use crate::checksum::{self, Checksum};
use crate::file_scalar::FileScalar;

/// The number of bytes of a checksum.
pub(super) const CHECK: usize = 8;

/// Scalars as bytes. Only the constructor requires T to be a scalar that messages can hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<T> {
    pub(super) name: &'static str,
    write: fn(&[T], &mut [u8]),
    read: fn(&[u8], &mut [T]),
}

impl<T: FileScalar> Wire<T> {
    pub(crate) fn new() -> Self {
        Self {
            name: T::NAME,
            write: T::write,
            read: T::read,
        }
    }
}

impl<T> Wire<T> {
    /// Returns the number of bytes of some scalars.
    pub(super) fn bytes(scalars: usize) -> usize {
        scalars.saturating_mul(size_of::<T>())
    }

    /// Writes numbers to bytes of their length.
    pub(super) fn write(&self, numbers: &[T], to: &mut [u8]) {
        (self.write)(numbers, to);
    }

    /// Reads numbers from bytes of their length.
    pub(super) fn read(&self, bytes: &[u8], to: &mut [T]) {
        (self.read)(bytes, to);
    }

    /// Returns the checksum of the bits of numbers.
    pub(super) fn hash(&self, numbers: &[T]) -> u64 {
        let mut checksum = Checksum::new();
        let mut bytes = [0; 1 << 12];
        for numbers in numbers.chunks((1 << 12) / size_of::<T>().max(1)) {
            let bytes = &mut bytes[..size_of_val(numbers)];
            self.write(numbers, bytes);
            checksum.word(checksum::of_bytes(bytes));
        }
        checksum.value()
    }
}

/// The sender, the receiver and the call of a message. The checksum covers them, so it detects a
/// message that arrives twice, late or in the place of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    /// The number of calls before the one that sends it.
    pub(super) sequence: u64,
    pub(super) from: usize,
    /// The rank that receives it; the number of ranks if all do.
    pub(super) to: usize,
}

impl Address {
    /// Returns the checksum of the bytes of a message.
    fn checksum(self, bytes: &[u8]) -> u64 {
        let mut checksum = Checksum::new();
        checksum.word(checksum::of_bytes(bytes));
        checksum.word(self.sequence);
        checksum.count(self.from);
        checksum.count(self.to);
        checksum.value()
    }

    /// Writes the checksum of a message to its last bytes.
    pub(super) fn seal(self, message: &mut [u8]) {
        let end = message.len().saturating_sub(CHECK);
        let (bytes, check) = message.split_at_mut(end);
        check.copy_from_slice(&self.checksum(bytes).to_le_bytes()[..check.len()]);
    }

    /// Returns the bytes of a message, and the checksums that it should have and has.
    pub(super) fn unseal(self, message: &[u8]) -> (&[u8], [u64; 2]) {
        let end = message.len().saturating_sub(CHECK);
        let (bytes, check) = message.split_at(end);
        let mut found = [0; CHECK];
        found[..check.len()].copy_from_slice(check);
        (bytes, [self.checksum(bytes), u64::from_le_bytes(found)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every changed, missing and exchanged byte is noticed.
    #[test]
    fn messages_are_sealed() {
        let numbers: Vec<f32> = (0..100).map(|k| (k as f32).sin()).collect();
        let wire = Wire::<f32>::new();
        let mut message = vec![0; 4 * 100 + CHECK];
        wire.write(&numbers, &mut message[..400]);
        let address = Address {
            sequence: 5,
            from: 0,
            to: 1,
        };
        address.seal(&mut message);
        let of = |address: Address, message: &[u8]| {
            let (_, [expected, found]) = address.unseal(message);
            expected == found
        };
        let intact = |message: &[u8]| of(address, message);
        assert!(intact(&message));
        for other in [
            Address {
                sequence: 6,
                ..address
            },
            Address { from: 2, ..address },
            Address { to: 2, ..address },
        ] {
            assert!(!of(other, &message), "{other:?}");
        }
        let mut read = vec![0.0; 100];
        wire.read(address.unseal(&message).0, &mut read);
        assert_eq!(read, numbers);
        for place in 0..message.len() {
            let mut changed = message.clone();
            changed[place] ^= 0x40;
            assert!(!intact(&changed), "byte {place}");
            assert!(!intact(&message[..place]) || place == 0, "{place} bytes");
            let mut rest_missing = message.clone();
            rest_missing[place..].fill(0);
            assert!(!intact(&rest_missing), "from byte {place}");
        }
        let mut exchanged = message.clone();
        exchanged.swap(3, 3 + 64);
        assert!(!intact(&exchanged));
        assert_ne!(wire.hash(&numbers), wire.hash(&numbers[1..]));
    }
}
