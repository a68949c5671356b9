//! The ranks of a run: what they tell each other, and how their sums become one.

use super::communicator::{Communicator, Pieces, PiecesMut};
use super::items::{Flags, Items, Numbers};
use super::note::{NOTE, Note, Purpose};
use super::wire::{Address, CHECK, Wire};
use crate::allocation::{buffer, resize};
use crate::checksum::Checksum;
use crate::error::{DistributedFault, Error};
use crate::kernels::tree::{Tree, subtrees};
use crate::network::Cut;
use crate::point::Point;
use crate::scalar::Scalar;
use std::ops::Range;

/// What the memory for received messages is called in errors.
pub(super) const MESSAGES: &str = "the messages of all ranks";

/// The place of a rank among those that share the parts of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RankOf {
    pub(crate) rank: usize,
    pub(crate) ranks: usize,
}

impl RankOf {
    /// A process that computes everything.
    pub(crate) const ALONE: Self = Self { rank: 0, ranks: 1 };

    /// Returns the share of this rank: consecutive parts, at most ⌈parts/ranks⌉.
    pub(crate) fn share(self, parts: usize) -> Range<usize> {
        let limit = |rank: usize| (parts as u128 * rank as u128 / self.ranks as u128) as usize;
        limit(self.rank)..limit(self.rank + 1)
    }
}

/// The lengths in bytes of the messages to and from a rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lens {
    pub(super) send: usize,
    pub(super) receive: usize,
}

/// The ranks that train together, seen from one of them.
#[derive(Debug)]
pub(crate) struct Ranks<'c, T> {
    communicator: &'c dyn Communicator,
    place: RankOf,
    wire: Wire<T>,
    /// The number of calls so far.
    sequence: u64,
    /// An error of this rank that it has not yet sent to the others.
    untold: Option<Error>,
    send: Vec<u8>,
    send_lens: Vec<usize>,
    receive: Vec<u8>,
    receive_lens: Vec<usize>,
    /// Sums of subtrees, cut to the entries that this rank adds up.
    held: Vec<Vec<T>>,
}

impl<'c, T: Scalar> Ranks<'c, T> {
    pub(crate) fn new(communicator: &'c dyn Communicator, wire: Wire<T>) -> Self {
        let (rank, ranks) = (communicator.rank(), communicator.size());
        Self {
            communicator,
            place: RankOf { rank, ranks },
            wire,
            sequence: 0,
            untold: None,
            send: Vec::new(),
            send_lens: Vec::new(),
            receive: Vec::new(),
            receive_lens: Vec::new(),
            held: Vec::new(),
        }
    }

    pub(crate) fn place(&self) -> RankOf {
        self.place
    }

    /// Returns whether this is rank 0, which reads and writes checkpoints.
    #[cfg(feature = "serde")]
    pub(crate) fn leads(&self) -> bool {
        self.place.rank == 0
    }

    pub(super) fn wire(&self) -> Wire<T> {
        self.wire
    }

    /// Sends a note to all ranks: whether this one failed, and a word. Returns the words of all
    /// ranks, or the error of this rank or of the first that failed.
    pub(super) fn note(
        &mut self,
        purpose: Purpose,
        done: Result<u64, Error>,
    ) -> Result<Vec<u64>, Error> {
        self.send.clear();
        self.receive_lens.clear();
        self.receive_lens.resize(self.place.ranks, NOTE);
        self.send_note(purpose, done)
    }

    /// Completes the message in `send` with a note, and receives the messages of all ranks, whose
    /// lengths are in `receive_lens`.
    fn send_note(&mut self, purpose: Purpose, done: Result<u64, Error>) -> Result<Vec<u64>, Error> {
        let done = self.untold.take().map_or(done, Err);
        // After a failed message, the communicator sends no other.
        if let Err(Error::Distributed { fault }) = &done
            && ends_messages(fault)
        {
            return done.map(|_| Vec::new());
        }
        let note = Note {
            purpose,
            sequence: self.sequence,
            rank: self.place.rank,
            word: *done.as_ref().unwrap_or(&0),
            failure: done.as_ref().err().map(ToString::to_string),
        };
        self.sequence += 1;
        self.send.extend_from_slice(&note.bytes());
        let len = self.receive_lens.iter().sum();
        resize(&mut self.receive, MESSAGES, (len, 1), 0)?;
        let receive = PiecesMut {
            bytes: &mut self.receive,
            lens: &self.receive_lens,
        };
        let sent = self.communicator.all_gather(&self.send, receive);
        // The error of this rank comes first, because the others may be at another point.
        done?;
        sent?;
        let (mut words, mut wrong) = (Vec::with_capacity(self.place.ranks), None);
        let mut end = 0;
        for (rank, len) in self.receive_lens.iter().enumerate() {
            end += len;
            match note.read(rank, &self.receive[end - NOTE..end]) {
                Ok(Note {
                    failure: Some(message),
                    ..
                }) => {
                    let fault = DistributedFault::Failed { rank, message };
                    return Err(Error::Distributed { fault });
                }
                Ok(found) => words.push(found.word),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        wrong.map_or(Ok(words), Err)
    }

    /// Keeps an error that other ranks may not have, until the next note sends it to them.
    pub(crate) fn hold(&mut self, error: Error) {
        self.untold.get_or_insert(error);
    }

    /// Returns where the next message of a rank belongs.
    fn address(&self, from: usize, to: usize) -> Address {
        Address {
            sequence: self.sequence,
            from,
            to,
        }
    }

    /// Exchanges items of which each rank has a range. On return, every rank has all items.
    pub(super) fn gather(
        &mut self,
        purpose: Purpose,
        done: Result<(), Error>,
        items: &mut dyn Items,
        range_of: &dyn Fn(RankOf) -> Range<usize>,
    ) -> Result<(), Error> {
        let place = self.place;
        let bytes_of = |rank| range_of(RankOf { rank, ..place }).len() * items.size() + CHECK;
        self.receive_lens.clear();
        self.receive_lens
            .extend((0..place.ranks).map(|rank| bytes_of(rank) + NOTE));
        resize(&mut self.send, "a message", (bytes_of(place.rank), 1), 0)?;
        let end = self.send.len() - CHECK;
        items.write(range_of(place), &mut self.send[..end]);
        let address = self.address(place.rank, place.ranks);
        address.seal(&mut self.send);
        self.send_note(purpose, done.map(|()| 0))?;
        let mut rest = &self.receive[..];
        for (from, &len) in self.receive_lens.iter().enumerate() {
            let (message, others) = rest.split_at(len);
            rest = others;
            let bytes = opened(Address { from, ..address }, &message[..len - NOTE])?;
            if from != place.rank {
                let of = RankOf {
                    rank: from,
                    ..place
                };
                items.read(range_of(of), bytes);
            }
        }
        Ok(())
    }

    /// Ends the step on all ranks if one failed. Otherwise sends the costs of this rank's share of
    /// the parts, and receives those of the others.
    pub(crate) fn share_costs(
        &mut self,
        done: Result<(), Error>,
        costs: &mut [T],
    ) -> Result<(), Error> {
        let (parts, wire) = (costs.len(), self.wire);
        let mut items = Numbers {
            wire,
            numbers: costs,
        };
        self.gather(Purpose::Costs, done, &mut items, &|place| {
            place.share(parts)
        })
    }

    /// Sends the columns of the examples of this rank's share of a batch, and receives the others.
    pub(crate) fn gather_columns(&mut self, cut: Cut, numbers: &mut [T]) -> Result<(), Error> {
        let (len, wire) = (numbers.len(), self.wire);
        let mut items = Numbers { wire, numbers };
        self.gather(Purpose::Columns, Ok(()), &mut items, &columns_of(cut, len))
    }

    /// Exchanges flags for the examples of a batch, like [`gather_columns`](Self::gather_columns).
    pub(crate) fn gather_flags(&mut self, cut: Cut, flags: &mut [bool]) -> Result<(), Error> {
        let range_of = columns_of(cut, flags.len());
        self.gather(Purpose::Columns, Ok(()), &mut Flags(flags), &range_of)
    }

    /// Adds the sums of the parts of all ranks. Each rank has the sums of its own subtrees. It
    /// receives its slice of all other sums, adds the slices in the order of the tree, and sends
    /// the result to all.
    pub(crate) fn add_up(
        &mut self,
        parts: usize,
        roots: &[Vec<T>],
        sum: &mut [T],
    ) -> Result<(), Error> {
        let place = self.place;
        let slice_of = |rank| RankOf { rank, ..place }.share(sum.len());
        let roots_of = |rank| {
            let share = RankOf { rank, ..place }.share(parts);
            subtrees(share, parts, usize::MAX)
        };
        let (wire, mine) = (self.wire, slice_of(place.rank));
        let bytes = Wire::<T>::bytes;
        let count = roots_of(place.rank).count();
        let lens = |rank: usize| Lens {
            send: count * bytes(slice_of(rank).len()),
            receive: roots_of(rank).count() * bytes(mine.len()),
        };
        self.exchange(&lens, &mut |rank, message| {
            let slice = slice_of(rank);
            let size = bytes(slice.len());
            for (k, root) in roots[..count].iter().enumerate() {
                wire.write(&root[slice.clone()], &mut message[k * size..][..size]);
            }
        })?;
        let size = bytes(mine.len());
        let (mut tree, mut held) = (Tree::new(parts), std::mem::take(&mut self.held));
        let done = self.received(|rank, message| {
            roots_of(rank).enumerate().try_for_each(|(k, leaves)| {
                let to = buffer(&mut held, "the sums of a rank", tree.held(), mine.len())?;
                wire.read(&message[k * size..][..size], to);
                tree.take_subtree(leaves.len(), &mut held);
                Ok(())
            })
        });
        if done.is_ok() {
            tree.sum(&mut held, &mut sum[mine]);
        }
        self.held = held;
        done?;
        self.gather_slices(sum)
    }

    /// Sends a message to every rank, which `write` writes, and receives one from each.
    pub(super) fn exchange(
        &mut self,
        lens: &dyn Fn(usize) -> Lens,
        write: &mut dyn FnMut(usize, &mut [u8]),
    ) -> Result<(), Error> {
        self.send_lens.clear();
        self.receive_lens.clear();
        for rank in 0..self.place.ranks {
            let Lens { send, receive } = lens(rank);
            self.send_lens.push(send + CHECK);
            self.receive_lens.push(receive + CHECK);
        }
        let len = self.send_lens.iter().sum();
        resize(&mut self.send, MESSAGES, (len, 1), 0)?;
        let address = self.address(self.place.rank, 0);
        self.sequence += 1;
        let mut rest = &mut self.send[..];
        for (to, &len) in self.send_lens.iter().enumerate() {
            let (message, others) = rest.split_at_mut(len);
            rest = others;
            write(to, &mut message[..len - CHECK]);
            Address { to, ..address }.seal(message);
        }
        let len = self.receive_lens.iter().sum();
        resize(&mut self.receive, MESSAGES, (len, 1), 0)?;
        let send = Pieces {
            bytes: &self.send,
            lens: &self.send_lens,
        };
        let receive = PiecesMut {
            bytes: &mut self.receive,
            lens: &self.receive_lens,
        };
        self.communicator.all_to_all(send, receive)
    }

    /// Calls `read` with the rank and the bytes of each message of the last exchange.
    pub(super) fn received(
        &self,
        mut read: impl FnMut(usize, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let address = Address {
            sequence: self.sequence - 1,
            from: 0,
            to: self.place.rank,
        };
        let mut rest = &self.receive[..];
        for (from, &len) in self.receive_lens.iter().enumerate() {
            let (message, others) = rest.split_at(len);
            rest = others;
            read(from, opened(Address { from, ..address }, message)?)?;
        }
        Ok(())
    }

    /// Sends this rank's slice of a vector, and receives the others.
    fn gather_slices(&mut self, numbers: &mut [T]) -> Result<(), Error> {
        let (entries, wire) = (numbers.len(), self.wire);
        let mut items = Numbers { wire, numbers };
        self.gather(Purpose::Slices, Ok(()), &mut items, &|place| {
            place.share(entries)
        })
    }

    /// Checks that all ranks have the same parameters and state after a step, unless one failed.
    pub(crate) fn compare(
        &mut self,
        done: Result<(), Error>,
        step: u64,
        point: Point<'_, T>,
    ) -> Result<(), Error> {
        let hash = done.map(|()| self.hash(point));
        let words = self.note(Purpose::Point, hash)?;
        let differs = |&rank: &usize| words[rank] != words[0];
        let ranks: Vec<usize> = (0..words.len()).filter(differs).collect();
        if ranks.is_empty() {
            return Ok(());
        }
        let fault = DistributedFault::Diverged { step, ranks };
        Err(Error::Distributed { fault })
    }

    /// Returns a checksum of the bits of numbers.
    pub(crate) fn hash_of(&self, numbers: &[T]) -> u64 {
        self.wire.hash(numbers)
    }

    /// Returns a checksum of the parameters and the state.
    pub(crate) fn hash(&self, point: Point<'_, T>) -> u64 {
        let mut hash = Checksum::new();
        hash.word(self.wire.hash(point.theta));
        hash.word(self.wire.hash(point.state));
        hash.value()
    }

    /// Returns the flags that at least one rank has set at the end of an epoch.
    pub(crate) fn any(&mut self, flags: u64) -> Result<u64, Error> {
        let words = self.note(Purpose::Epoch, Ok(flags))?;
        Ok(words.into_iter().fold(0, |all, flags| all | flags))
    }

    /// Ends the run on all ranks if this one failed.
    pub(crate) fn check(&mut self, done: Result<(), Error>) -> Result<(), Error> {
        self.note(Purpose::Check, done.map(|()| 0)).map(drop)
    }

    /// Sends bytes of rank 0 to all ranks, unless it failed.
    #[cfg(feature = "serde")]
    pub(crate) fn broadcast(&mut self, bytes: Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
        let len = bytes.as_ref().map(|bytes| bytes.len() as u64);
        let words = self.note(Purpose::Length, len.map_err(Clone::clone))?;
        let mut bytes = bytes?;
        let len = usize::try_from(words[0]).unwrap_or(usize::MAX);
        resize(
            &mut bytes,
            "the checkpoint",
            (len.saturating_add(CHECK), 1),
            0,
        )?;
        let address = self.address(0, self.place.ranks);
        self.sequence += 1;
        if self.leads() {
            address.seal(&mut bytes);
        }
        self.communicator.broadcast(0, &mut bytes)?;
        opened(address, &bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// Returns which of `len` entries, the columns of a batch, are those of a rank's share.
fn columns_of(cut: Cut, len: usize) -> impl Fn(RankOf) -> Range<usize> {
    let rows = len / cut.examples.max(1);
    move |place| {
        let examples = cut.examples_of(&place.share(cut.parts()));
        examples.start * rows..examples.end * rows
    }
}

/// Returns whether no messages follow this fault.
fn ends_messages(fault: &DistributedFault) -> bool {
    use DistributedFault::{Library, Message, Poisoned, TimedOut};
    matches!(
        fault,
        Message { .. } | TimedOut { .. } | Poisoned { .. } | Library { .. }
    )
}

/// Returns the bytes of a message after checking that it is the one of this address.
fn opened(address: Address, message: &[u8]) -> Result<&[u8], Error> {
    let (bytes, [expected, found]) = address.unseal(message);
    if expected == found {
        return Ok(bytes);
    }
    let fault = DistributedFault::Message {
        what: "the checksum",
        rank: address.from,
        expected,
        found,
    };
    Err(Error::Distributed { fault })
}
