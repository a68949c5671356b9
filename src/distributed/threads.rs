//! Ranks that are threads of one process.

use super::communicator::{Communicator, Pieces, PiecesMut};
use crate::error::{DistributedFault, Error};
use crate::examples::check_length;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A rank that is a thread of this process.
///
/// Use it in tests, or to try out distributed training: it gives the same bits as processes do.
/// Otherwise train without ranks in one process, because its threads share the parameters.
///
/// If a thread drops its rank, such as when it owns the rank and panics, the calls of the others
/// return [`DistributedFault::Poisoned`].
///
/// # Example
/// ```
/// use backprop::distributed::{Communicator, PiecesMut, ThreadCommunicator};
///
/// let ranks = ThreadCommunicator::group(3);
/// let all = std::thread::scope(|scope| {
///     let threads: Vec<_> = ranks
///         .into_iter()
///         .map(|rank| {
///             scope.spawn(move || {
///                 let mut all = [0; 3];
///                 let lens = [1; 3];
///                 let receive = PiecesMut { bytes: &mut all, lens: &lens };
///                 rank.all_gather(&[10 * rank.rank() as u8], receive).map(|()| all)
///             })
///         })
///         .collect();
///     threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
/// });
/// assert!(all.into_iter().all(|all| matches!(all, Ok(Ok([0, 10, 20])))));
/// ```
#[derive(Debug)]
pub struct ThreadCommunicator {
    rank: usize,
    timeout: Duration,
    group: Arc<Group>,
}

/// What the ranks of a group share.
#[derive(Debug)]
struct Group {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What each rank sends in this call, in pieces; `None` until it has made the call.
    sent: Vec<Option<Sent>>,
    /// The number of ranks that have received everything in this call.
    received: usize,
    /// The error that ended the use of the group.
    poison: Option<String>,
}

#[derive(Debug)]
struct Sent {
    bytes: Vec<u8>,
    /// The length of each piece; empty if all ranks get all bytes.
    lens: Vec<usize>,
}

impl ThreadCommunicator {
    /// Returns the ranks of a group, one for each thread. They wait for each other for at most ten
    /// minutes; see [`timeout`](Self::timeout).
    #[must_use]
    pub fn group(size: usize) -> Vec<Self> {
        let state = State {
            sent: (0..size).map(|_| None).collect(),
            received: 0,
            poison: None,
        };
        let group = Arc::new(Group {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let rank = |rank| Self {
            rank,
            timeout: Duration::from_secs(600),
            group: Arc::clone(&group),
        };
        (0..size).map(rank).collect()
    }

    /// Sets how long a call of this rank waits for the others.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panics poisons the group when its rank is dropped.
        let state = self.group.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_done`, but no longer than the timeout.
    fn wait<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
        is_done: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'s, State>, Error> {
        if !is_done(&state) {
            let waits = |state: &mut State| state.poison.is_none() && !is_done(state);
            let waited = (self.group.changed).wait_timeout_while(state, self.timeout, waits);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Before the poison, because a rank may be dropped while others are still in its last call.
        if is_done(&state) {
            return Ok(state);
        }
        not_poisoned(&state)?;
        let after = self.timeout;
        let fault = DistributedFault::TimedOut { after };
        state.poison = Some(fault.to_string());
        self.group.changed.notify_all();
        Err(failed(fault))
    }

    /// Sends bytes, and calls `receive` with those of all ranks.
    fn exchange(
        &self,
        sent: Sent,
        receive: impl FnOnce(&State) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Waits until all ranks have left the previous call.
        let mut state = self.wait(self.lock(), |state| state.sent[self.rank].is_none())?;
        not_poisoned(&state)?;
        state.sent[self.rank] = Some(sent);
        self.group.changed.notify_all();
        let all_sent = |state: &State| state.sent.iter().all(Option::is_some);
        let mut state = self.wait(state, all_sent)?;
        let done = receive(&state);
        state.received += 1;
        if let Err(error) = &done {
            state.poison = Some(error.to_string());
        }
        if state.received == state.sent.len() {
            state.received = 0;
            state.sent.fill_with(|| None);
        }
        self.group.changed.notify_all();
        done
    }
}

impl Communicator for ThreadCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.lock().sent.len()
    }

    fn all_to_all(&self, send: Pieces<'_>, receive: PiecesMut<'_>) -> Result<(), Error> {
        self.check(send.lens, send.bytes)?;
        self.check(receive.lens, receive.bytes)?;
        let sent = Sent {
            bytes: send.bytes.to_vec(),
            lens: send.lens.to_vec(),
        };
        self.exchange(sent, |state| self.receive(state, receive))
    }

    fn all_gather(&self, send: &[u8], receive: PiecesMut<'_>) -> Result<(), Error> {
        self.check(receive.lens, receive.bytes)?;
        let sent = Sent {
            bytes: send.to_vec(),
            lens: Vec::new(),
        };
        self.exchange(sent, |state| self.receive(state, receive))
    }

    fn broadcast(&self, root: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let mut lens = vec![0; self.size()];
        let len = lens.get_mut(root).ok_or(Error::Index {
            what: "rank",
            index: root,
            count: self.size(),
        })?;
        *len = bytes.len();
        let sent = Sent {
            bytes: if self.rank == root {
                bytes.to_vec()
            } else {
                Vec::new()
            },
            lens: Vec::new(),
        };
        let receive = PiecesMut { bytes, lens: &lens };
        self.exchange(sent, |state| self.receive(state, receive))
    }

    fn barrier(&self) -> Result<(), Error> {
        let sent = Sent {
            bytes: Vec::new(),
            lens: Vec::new(),
        };
        self.exchange(sent, |_| Ok(()))
    }
}

impl ThreadCommunicator {
    /// Checks that there is a piece for each rank, and that the pieces have all bytes.
    fn check(&self, lens: &[usize], bytes: &[u8]) -> Result<(), Error> {
        check_length("the lengths of pieces", self.size(), lens.len())?;
        let all = lens
            .iter()
            .fold(0, |all: usize, &len| all.saturating_add(len));
        check_length("the bytes of all pieces", all, bytes.len())
    }

    /// Copies what every rank sends to this one.
    fn receive(&self, state: &State, receive: PiecesMut<'_>) -> Result<(), Error> {
        let mut rest = receive.bytes;
        for (rank, sent) in state.sent.iter().enumerate() {
            let Some(sent) = sent else { continue };
            let bytes = match &sent.lens[..] {
                [] => &sent.bytes[..],
                lens => {
                    let start = lens.iter().take(self.rank).sum::<usize>();
                    let len = lens.get(self.rank).copied().unwrap_or(0);
                    sent.bytes.get(start..start + len).unwrap_or_default()
                }
            };
            let len = receive.lens.get(rank).copied().unwrap_or(0);
            if bytes.len() != len || rest.len() < len {
                return Err(failed(DistributedFault::Message {
                    what: "the length",
                    rank,
                    expected: len as u64,
                    found: bytes.len() as u64,
                }));
            }
            let (to, others) = rest.split_at_mut(len);
            to.copy_from_slice(bytes);
            rest = others;
        }
        Ok(())
    }
}

impl Drop for ThreadCommunicator {
    fn drop(&mut self) {
        let mut state = self.lock();
        if state.poison.is_none() {
            state.poison = Some(format!("rank {} has ended", self.rank));
        }
        self.group.changed.notify_all();
    }
}

/// Refuses a group that failed before.
fn not_poisoned(state: &State) -> Result<(), Error> {
    match &state.poison {
        None => Ok(()),
        Some(message) => Err(failed(DistributedFault::Poisoned {
            message: message.clone(),
        })),
    }
}

fn failed(fault: DistributedFault) -> Error {
    Error::Distributed { fault }
}
