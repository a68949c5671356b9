//! Messages between this rank and others, in segments.

use crate::library::{Arrived, Library, Transfer};
use crate::wait::Wait;
use backprop::{DistributedFault, Error};
use std::ops::Range;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

/// The maximum number of bytes of data in one message. Longer data is sent in several, its
/// segments, so that buffers stay small and no count of MPI overflows.
pub(crate) const SEGMENT: usize = 1 << 18;

/// The bytes before the data: the call and the length of the data in all segments.
const HEADER: usize = 16;

/// The call that a message belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    AllToAll,
    AllGather,
    Broadcast,
    Barrier,
    End,
}

/// Bytes for another rank.
pub(crate) struct Outgoing<'a> {
    pub(crate) rank: usize,
    pub(crate) bytes: &'a [u8],
}

/// Bytes from another rank.
pub(crate) struct Incoming<'a> {
    pub(crate) rank: usize,
    pub(crate) bytes: &'a mut [u8],
}

/// Buffers of completed messages, for the next ones.
#[derive(Default)]
pub(crate) struct Buffers {
    sent: Vec<Vec<u8>>,
    /// Each has the length of the longest message.
    received: Vec<Vec<u8>>,
}

/// A message in progress to or from entry `index` of what is sent or received.
struct Message<B> {
    index: usize,
    transfer: Transfer<B>,
}

/// Sends and receives, and returns when all messages have arrived. At most one entry of each
/// direction is for the same rank.
///
/// After an error, messages are still in progress, so no other call may follow.
pub(crate) fn exchange(
    library: &Library,
    buffers: &mut Buffers,
    call: Call,
    send: &[Outgoing<'_>],
    receive: &mut [Incoming<'_>],
    timeout: Duration,
) -> Result<(), Error> {
    let sent = send.iter().map(|outgoing| outgoing.bytes.len());
    let received = receive.iter().map(|incoming| incoming.bytes.len());
    let longest = sent.chain(received).max().unwrap_or(0);
    // Without data, there is still a message, which is only a header.
    for start in (0..longest.max(1)).step_by(SEGMENT) {
        let mut arriving = start_receives(library, buffers, receive, start)?;
        let mut leaving = start_sends(library, buffers, call, send, start)?;
        let wait = Wait::new(timeout);
        loop {
            while let Some(Ended { index, arrived }) = next_ended(library, &mut arriving)? {
                let message = &arrived.bytes[..arrived.count];
                take(call, message, &mut receive[index], start)?;
                buffers.received.push(arrived.bytes);
            }
            while let Some(Ended { arrived, .. }) = next_ended(library, &mut leaving)? {
                buffers.sent.extend(Rc::into_inner(arrived.bytes));
            }
            if arriving.is_empty() && leaving.is_empty() {
                break;
            }
            if !wait.pause() {
                let fault = DistributedFault::TimedOut { after: timeout };
                return Err(Error::Distributed { fault });
            }
        }
    }
    Ok(())
}

/// Returns whether data of this length has a segment that starts here. Empty data has one.
fn has_segment(len: usize, start: usize) -> bool {
    start == 0 || start < len
}

/// Returns the segment that starts here, of data of this length.
fn segment(len: usize, start: usize) -> Range<usize> {
    start..len.min(start.saturating_add(SEGMENT))
}

fn start_receives(
    library: &Library,
    buffers: &mut Buffers,
    receive: &[Incoming<'_>],
    start: usize,
) -> Result<Vec<Message<Vec<u8>>>, Error> {
    let mut messages = Vec::with_capacity(receive.len());
    for (index, incoming) in receive.iter().enumerate() {
        if has_segment(incoming.bytes.len(), start) {
            let mut buffer = buffers.received.pop().unwrap_or_default();
            reserve(&mut buffer, HEADER + SEGMENT)?;
            buffer.resize(HEADER + SEGMENT, 0);
            let transfer = library.receive(incoming.rank, buffer).map_err(failed)?;
            messages.push(Message { index, transfer });
        }
    }
    Ok(messages)
}

fn start_sends(
    library: &Library,
    buffers: &mut Buffers,
    call: Call,
    send: &[Outgoing<'_>],
    start: usize,
) -> Result<Vec<Message<Rc<Vec<u8>>>>, Error> {
    let mut messages = Vec::with_capacity(send.len());
    let mut last: Option<(&[u8], Rc<Vec<u8>>)> = None;
    for (index, outgoing) in send.iter().enumerate() {
        let bytes = outgoing.bytes;
        if has_segment(bytes.len(), start) {
            // One copy of the same bytes is enough for all ranks.
            let same = last.take().filter(|(last, _)| ptr::eq(*last, bytes));
            let message = match same {
                Some((_, message)) => message,
                None => {
                    let mut message = buffers.sent.pop().unwrap_or_default();
                    let data = &bytes[segment(bytes.len(), start)];
                    message.clear();
                    reserve(&mut message, HEADER + data.len())?;
                    message.extend_from_slice(&(call as u64).to_le_bytes());
                    message.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                    message.extend_from_slice(data);
                    Rc::new(message)
                }
            };
            let transfer = library.send(outgoing.rank, &message).map_err(failed)?;
            messages.push(Message { index, transfer });
            last = Some((bytes, message));
        }
    }
    Ok(messages)
}

/// A completed message.
struct Ended<B> {
    index: usize,
    arrived: Arrived<B>,
}

/// Removes a completed message, if there is one.
fn next_ended<B>(
    library: &Library,
    messages: &mut Vec<Message<B>>,
) -> Result<Option<Ended<B>>, Error> {
    for i in 0..messages.len() {
        if messages[i].transfer.poll(library).map_err(failed)? {
            let Message { index, transfer } = messages.swap_remove(i);
            return Ok(transfer.arrived().map(|arrived| Ended { index, arrived }));
        }
    }
    Ok(None)
}

/// Checks a message, and copies its data to where it belongs.
fn take(
    call: Call,
    message: &[u8],
    incoming: &mut Incoming<'_>,
    start: usize,
) -> Result<(), Error> {
    let rank = incoming.rank;
    let len = incoming.bytes.len();
    let target = &mut incoming.bytes[segment(len, start)];
    let (mut header, data) = message.split_at(message.len().min(HEADER));
    expect(
        "the length of the header",
        rank,
        HEADER as u64,
        header.len() as u64,
    )?;
    expect(
        "the call (0 all-to-all, 1 all-gather, 2 broadcast, 3 barrier, 4 end)",
        rank,
        call as u64,
        number(&mut header),
    )?;
    expect("the length", rank, len as u64, number(&mut header))?;
    expect(
        "the length of a segment",
        rank,
        target.len() as u64,
        data.len() as u64,
    )?;
    target.copy_from_slice(data);
    Ok(())
}

/// Removes a number from the start of the bytes. Bytes that are missing are 0.
fn number(bytes: &mut &[u8]) -> u64 {
    let mut number = [0; 8];
    let (first, rest) = bytes.split_at(bytes.len().min(8));
    number[..first.len()].copy_from_slice(first);
    *bytes = rest;
    u64::from_le_bytes(number)
}

fn expect(what: &'static str, rank: usize, expected: u64, found: u64) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let fault = DistributedFault::Message {
        what,
        rank,
        expected,
        found,
    };
    Err(Error::Distributed { fault })
}

fn reserve(buffer: &mut Vec<u8>, len: usize) -> Result<(), Error> {
    let more = len.saturating_sub(buffer.len());
    buffer.try_reserve_exact(more).map_err(|_| Error::TooLarge {
        what: "messages between ranks",
        rows: len,
        cols: 1,
    })
}

/// Returns an error of MPI as one of this crate.
pub(crate) fn failed(message: String) -> Error {
    let fault = DistributedFault::Library { message };
    Error::Distributed { fault }
}
