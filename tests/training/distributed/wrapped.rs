//! A communicator that counts what it sends, and changes what it receives.

use backprop::Error;
use backprop::distributed::{Communicator, Pieces, PiecesMut, ThreadCommunicator};
use std::fmt::{self, Debug, Formatter};
use std::sync::Mutex;

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    AllToAll,
    AllGather,
    Broadcast,
    Barrier,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Call {
    pub kind: Kind,
    /// The bytes that this rank sent to others, or has to send in a gathering ring.
    pub sent: usize,
    /// The bytes received in pieces, before they were changed.
    pub received: Vec<Vec<u8>>,
}

/// Changes the pieces of call k, whose earlier calls are listed.
pub type Change<'c> = dyn Fn(usize, &[Call], &mut [Vec<u8>]) + Sync + 'c;

/// A rank whose messages are observed and changed on their way to it.
pub struct Wrapped<'c> {
    inner: &'c ThreadCommunicator,
    calls: Mutex<Vec<Call>>,
    change: &'c Change<'c>,
}

impl Debug for Wrapped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapped")
    }
}

impl<'c> Wrapped<'c> {
    pub fn new(inner: &'c ThreadCommunicator, change: &'c Change<'c>) -> Self {
        Self {
            inner,
            calls: Mutex::new(Vec::new()),
            change,
        }
    }

    /// Returns the calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn end(&self, kind: Kind, sent: usize, receive: PiecesMut<'_>) {
        let mut rest = &receive.bytes[..];
        let pieces = receive.lens.iter().map(|&len| {
            let (piece, others) = rest.split_at(len);
            rest = others;
            piece.to_vec()
        });
        let mut pieces: Vec<_> = pieces.collect();
        let mut calls = self.calls.lock().unwrap();
        let call = Call {
            kind,
            sent,
            received: pieces.clone(),
        };
        calls.push(call);
        (self.change)(calls.len() - 1, &calls, &mut pieces);
        receive.bytes.copy_from_slice(&pieces.concat());
    }
}

impl Communicator for Wrapped<'_> {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn all_to_all(&self, send: Pieces<'_>, receive: PiecesMut<'_>) -> Result<(), Error> {
        let (bytes, lens) = (&mut *receive.bytes, receive.lens);
        self.inner.all_to_all(send, PiecesMut { bytes, lens })?;
        let sent = send.bytes.len() - send.lens[self.rank()];
        self.end(Kind::AllToAll, sent, receive);
        Ok(())
    }

    fn all_gather(&self, send: &[u8], receive: PiecesMut<'_>) -> Result<(), Error> {
        let (bytes, lens) = (&mut *receive.bytes, receive.lens);
        self.inner.all_gather(send, PiecesMut { bytes, lens })?;
        self.end(Kind::AllGather, (self.size() - 1) * send.len(), receive);
        Ok(())
    }

    fn broadcast(&self, root: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.inner.broadcast(root, bytes)?;
        let sent = if root == self.rank() { bytes.len() } else { 0 };
        let mut lens = vec![0; self.size()];
        lens[root] = bytes.len();
        self.end(Kind::Broadcast, sent, PiecesMut { bytes, lens: &lens });
        Ok(())
    }

    fn barrier(&self) -> Result<(), Error> {
        self.inner.barrier()?;
        let nothing = PiecesMut {
            bytes: &mut [],
            lens: &[],
        };
        self.end(Kind::Barrier, 0, nothing);
        Ok(())
    }
}
