//! The trait `Communicator`.

use crate::error::Error;
use std::fmt::Debug;

/// A group of ranks that exchange bytes: processes, on one machine or on many, or threads.
///
/// Every rank makes the same calls in the same order. A call is collective: it returns when the
/// bytes of all ranks have arrived. The bytes from one rank arrive unchanged and in order. Sender
/// and receiver know the lengths before the call. A piece may be empty, and pieces may differ in
/// length.
///
/// A run calls its communicator from the thread that calls [`fit`](crate::training::Trainer::fit).
/// It detects ranks that make different calls by itself, so a communicator only carries bytes.
///
/// # Errors
/// A communicator waits for a limited time. If a rank does not answer, or the library that sends
/// the messages fails, the call returns [`Error::Distributed`] with
/// [`TimedOut`](crate::DistributedFault::TimedOut) or
/// [`Library`](crate::DistributedFault::Library). If a message does not have the expected length,
/// it returns [`Message`](crate::DistributedFault::Message). The communicator is then poisoned:
/// each later call returns [`Poisoned`](crate::DistributedFault::Poisoned).
pub trait Communicator: Debug + Sync {
    /// Returns the number of this rank, from 0 to [`size`](Self::size) − 1.
    #[must_use]
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    #[must_use]
    fn size(&self) -> usize;

    /// Sends piece r of `send` to rank r, and receives into piece r of `receive` what rank r sends
    /// to this rank. There is a piece for every rank, this one included.
    ///
    /// # Errors
    /// Returns the errors of a [communicator](Self#errors).
    fn all_to_all(&self, send: Pieces<'_>, receive: PiecesMut<'_>) -> Result<(), Error>;

    /// Sends the same bytes to every rank, and receives into piece r of `receive` those of rank r.
    ///
    /// # Errors
    /// Returns the errors of a [communicator](Self#errors).
    fn all_gather(&self, send: &[u8], receive: PiecesMut<'_>) -> Result<(), Error>;

    /// Sends the bytes of rank `root` to all others, which have the same number of bytes.
    ///
    /// # Errors
    /// Returns the errors of a [communicator](Self#errors).
    fn broadcast(&self, root: usize, bytes: &mut [u8]) -> Result<(), Error>;

    /// Waits until every rank has made this call.
    ///
    /// # Errors
    /// Returns the errors of a [communicator](Self#errors).
    fn barrier(&self) -> Result<(), Error>;
}

/// Bytes in pieces, one for each rank, without gaps.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'a> {
    /// All pieces, one after another.
    pub bytes: &'a [u8],
    /// The length of each piece. The sum is the length of `bytes`.
    pub lens: &'a [usize],
}

/// Bytes to write, in pieces, one for each rank, without gaps.
#[derive(Debug)]
pub struct PiecesMut<'a> {
    /// All pieces, one after another.
    pub bytes: &'a mut [u8],
    /// The length of each piece. The sum is the length of `bytes`.
    pub lens: &'a [usize],
}
