//! `MpiCommunicator`.

use crate::exchange::{Buffers, Call, Incoming, Outgoing, exchange, failed};
use crate::library::{Library, OfThread};
use backprop::distributed::{Communicator, Pieces, PiecesMut};
use backprop::{DistributedFault, Error};
use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// The pause between the aborts of two ranks.
const ABORT_PAUSE: Duration = Duration::from_millis(100);

/// All processes that `mpirun` started, as a [`Communicator`].
///
/// A process has one communicator. Only the thread that initialised it can use it: calls from other
/// threads return [`Library`](DistributedFault::Library). They may compute meanwhile. A program that
/// is started without `mpirun` is the only rank.
///
/// Messages are sent and received without blocking, in segments of at most 256 KiB, from buffers of
/// the communicator. Its memory does not grow with the length of the data. Each message states its
/// call and the length of the data, and the receiver compares both with what it expects.
///
/// # When a rank fails
/// A call that fails poisons the communicator: each later call returns
/// [`Poisoned`](DistributedFault::Poisoned). Messages may still be in progress then, so MPI cannot
/// be finalised. When a poisoned communicator is dropped, or any communicator during a panic, it
/// prints the reason to the standard error and ends the processes of all ranks with `MPI_Abort`.
///
/// A rank that fails for a reason of its own, such as a missing file, has to print it before it
/// drops the communicator, because an error that `main` returns is printed afterwards. `digits_mpi`
/// in the examples does this.
///
/// Otherwise it waits until all ranks drop theirs, and finalises MPI. If a rank drops it while
/// another makes a call, that call returns [`Message`](DistributedFault::Message), and both end the
/// processes of all ranks.
///
/// `mpirun` itself ends all ranks if a process is killed, or if it exits without dropping its
/// communicator.
pub struct MpiCommunicator {
    inner: OfThread<Inner>,
    rank: usize,
    size: usize,
    timeout: Duration,
    poison: OnceLock<String>,
}

/// What belongs to the thread that initialised MPI.
struct Inner {
    library: Library,
    buffers: RefCell<Buffers>,
}

impl MpiCommunicator {
    /// Initialises MPI. All ranks must call it.
    ///
    /// # Errors
    /// Returns [`Error::Distributed`] with [`Library`](DistributedFault::Library) if MPI was ever
    /// initialised in this process before, or if it does not let other threads compute (its level
    /// `MPI_THREAD_FUNNELED`).
    pub fn initialize() -> Result<Self, Error> {
        let library = Library::initialize().map_err(failed)?;
        Ok(Self {
            rank: library.rank().map_err(failed)?,
            size: library.size().map_err(failed)?,
            inner: OfThread::new(Inner {
                library,
                buffers: RefCell::default(),
            }),
            timeout: Duration::from_secs(600),
            poison: OnceLock::new(),
        })
    }

    /// Sets how long a call waits for other ranks before it returns
    /// [`TimedOut`](DistributedFault::TimedOut): 10 minutes by default. Choose more time than any
    /// rank may take between two calls. It starts anew with each segment of 256 KiB.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the other ranks. The next rank comes first, so that not all send to rank 0 at once.
    fn others(&self) -> impl Iterator<Item = usize> {
        (1..self.size).map(|step| (self.rank + step) % self.size)
    }

    fn exchange(
        &self,
        call: Call,
        send: &[Outgoing<'_>],
        receive: &mut [Incoming<'_>],
    ) -> Result<(), Error> {
        if let Some(message) = self.poison.get() {
            let message = message.clone();
            let fault = DistributedFault::Poisoned { message };
            return Err(Error::Distributed { fault });
        }
        let inner = self.inner.get().ok_or_else(|| {
            failed("a call from another thread than the one that initialised MPI".into())
        })?;
        let mut buffers = inner.buffers.borrow_mut();
        let done = exchange(
            &inner.library,
            &mut buffers,
            call,
            send,
            receive,
            self.timeout,
        );
        done.inspect_err(|error| {
            self.poison.get_or_init(|| error.to_string());
        })
    }
}

impl Communicator for MpiCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    /// # Errors
    /// Returns the errors of a [communicator](Communicator#errors). If the pieces do not fit the
    /// bytes or the number of ranks, or if the piece from this rank to itself has two lengths, it
    /// returns [`Error::Length`] and sends nothing.
    fn all_to_all(&self, send: Pieces<'_>, receive: PiecesMut<'_>) -> Result<(), Error> {
        let ranges = self.ranges("pieces to send", send.bytes.len(), send.lens)?;
        self.ranges("pieces to receive", receive.bytes.len(), receive.lens)?;
        let own = &send.bytes[ranges[self.rank].clone()];
        check_own(own, receive.lens[self.rank])?;
        let outgoing = |rank: usize| {
            let bytes = &send.bytes[ranges[rank].clone()];
            Outgoing { rank, bytes }
        };
        let outgoing: Vec<_> = self.others().map(outgoing).collect();
        self.gather(Call::AllToAll, own, &outgoing, receive)
    }

    /// # Errors
    /// Returns the errors of a [communicator](Communicator#errors). If the pieces do not fit the
    /// bytes or the number of ranks, or if this rank's piece does not have the length of `send`, it
    /// returns [`Error::Length`] and sends nothing.
    fn all_gather(&self, send: &[u8], receive: PiecesMut<'_>) -> Result<(), Error> {
        self.ranges("pieces to receive", receive.bytes.len(), receive.lens)?;
        check_own(send, receive.lens[self.rank])?;
        self.gather(Call::AllGather, send, &self.to_others(send), receive)
    }

    /// # Errors
    /// Returns the errors of a [communicator](Communicator#errors). If there is no such rank, it
    /// returns [`Error::Index`] and sends nothing.
    fn broadcast(&self, root: usize, bytes: &mut [u8]) -> Result<(), Error> {
        if root >= self.size {
            return Err(Error::Index {
                what: "rank",
                index: root,
                count: self.size,
            });
        }
        if root == self.rank {
            self.exchange(Call::Broadcast, &self.to_others(bytes), &mut [])
        } else {
            let incoming = Incoming { rank: root, bytes };
            self.exchange(Call::Broadcast, &[], &mut [incoming])
        }
    }

    fn barrier(&self) -> Result<(), Error> {
        self.wait_for_all(Call::Barrier)
    }
}

impl MpiCommunicator {
    /// Waits until every rank makes this call.
    fn wait_for_all(&self, call: Call) -> Result<(), Error> {
        let lens = vec![0; self.size];
        let receive = PiecesMut {
            bytes: &mut [],
            lens: &lens,
        };
        self.gather(call, &[], &self.to_others(&[]), receive)
    }

    /// Returns the same bytes for every other rank.
    fn to_others<'a>(&self, bytes: &'a [u8]) -> Vec<Outgoing<'a>> {
        let outgoing = |rank| Outgoing { rank, bytes };
        self.others().map(outgoing).collect()
    }

    /// Returns where the piece of each rank is.
    fn ranges(
        &self,
        what: &'static str,
        len: usize,
        lens: &[usize],
    ) -> Result<Vec<Range<usize>>, Error> {
        let wrong = |expected, found| {
            Err(Error::Length {
                what,
                expected,
                found,
            })
        };
        if lens.len() != self.size {
            return wrong(self.size, lens.len());
        }
        let mut end = 0_usize;
        let next = |&len: &usize| {
            let start = end;
            end = end.saturating_add(len);
            start..end
        };
        let ranges = lens.iter().map(next).collect();
        if end != len {
            return wrong(end, len);
        }
        Ok(ranges)
    }

    /// Sends and receives a piece for every rank. This rank's own piece is copied.
    fn gather(
        &self,
        call: Call,
        own: &[u8],
        send: &[Outgoing<'_>],
        receive: PiecesMut<'_>,
    ) -> Result<(), Error> {
        let mut rest = receive.bytes;
        let mut incoming = Vec::with_capacity(self.size);
        for (rank, &len) in receive.lens.iter().enumerate() {
            let (bytes, after) = rest.split_at_mut(len);
            rest = after;
            if rank == self.rank {
                bytes.copy_from_slice(own);
            } else {
                incoming.push(Incoming { rank, bytes });
            }
        }
        self.exchange(call, send, &mut incoming)
    }
}

fn check_own(own: &[u8], expected: usize) -> Result<(), Error> {
    if own.len() == expected {
        return Ok(());
    }
    Err(Error::Length {
        what: "the piece that this rank sends to itself",
        expected,
        found: own.len(),
    })
}

impl Debug for MpiCommunicator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("MpiCommunicator")
            .field("rank", &self.rank)
            .field("size", &self.size)
            .field("timeout", &self.timeout)
            .field("poison", &self.poison.get())
            .finish_non_exhaustive()
    }
}

impl Drop for MpiCommunicator {
    fn drop(&mut self) {
        let why = if let Some(message) = self.poison.get() {
            message.clone()
        } else if thread::panicking() {
            "a panic".into()
        } else if let Err(error) = self.wait_for_all(Call::End) {
            error.to_string()
        } else {
            return;
        };
        // No caller can see an error any more, and no destructor runs after this one.
        eprintln!("rank {} ends the processes of all ranks: {why}", self.rank);
        if let Some(inner) = self.inner.get() {
            // The first rank ends the others. The messages of ranks that abort at the same time
            // become garbled in the `mpirun` of Open MPI 4.1.
            thread::sleep(ABORT_PAUSE * u32::try_from(self.rank.min(20)).unwrap_or(20));
            inner.library.abort();
        }
    }
}
