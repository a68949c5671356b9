//! What one rank does in the tests of this crate. `mpirun -n 3 collectives check` checks every
//! collective call, and the other cases provoke a fault on the last rank:
//!
//! ```sh
//! cargo run -p backprop-mpi --example collectives latency
//! mpirun -n 2 target/debug/examples/collectives latency
//! ```

mod faults;

use backprop::Error;
use backprop::distributed::{Communicator, Pieces, PiecesMut};
use backprop_mpi::MpiCommunicator;
use std::time::{Duration, Instant};

/// Numbers that are the same on every rank.
struct Numbers(u64);

impl Numbers {
    /// Returns a number below `end`, by SplitMix64.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) % end as u64) as usize
    }

    /// Returns a length: often 0, or near the length of a segment.
    fn len(&mut self) -> usize {
        match self.below(6) {
            0 => 0,
            1 => self.below(4),
            2 => (1 << 18) - 2 + self.below(5),
            3 => self.below(1 << 20),
            _ => self.below(3000),
        }
    }
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The bytes that rank `from` sends to rank `to` in a call.
fn bytes(call: usize, from: usize, to: usize, len: usize) -> Vec<u8> {
    let key = mix((call as u64) << 32 | (from as u64) << 16 | to as u64);
    let mut bytes = vec![0; len];
    for (i, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&mix(key ^ i as u64).to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// Calls all-to-all with `lens[from][to]`, and checks what arrives.
fn all_to_all(ranks: &dyn Communicator, call: usize, lens: &[Vec<usize>]) -> Result<(), Error> {
    let (rank, size) = (ranks.rank(), ranks.size());
    let send: Vec<u8> = (0..size)
        .flat_map(|to| bytes(call, rank, to, lens[rank][to]))
        .collect();
    let expected: Vec<u8> = (0..size)
        .flat_map(|from| bytes(call, from, rank, lens[from][rank]))
        .collect();
    let receive_lens: Vec<usize> = lens.iter().map(|lens| lens[rank]).collect();
    let mut received = vec![0xff; expected.len()];
    let send = Pieces {
        bytes: &send,
        lens: &lens[rank],
    };
    let receive = PiecesMut {
        bytes: &mut received,
        lens: &receive_lens,
    };
    ranks.all_to_all(send, receive)?;
    assert!(received == expected, "call {call}: all-to-all");
    Ok(())
}

/// Calls all-gather with `lens[from]`, and checks what arrives.
fn all_gather(ranks: &dyn Communicator, call: usize, lens: &[usize]) -> Result<(), Error> {
    let send = bytes(call, ranks.rank(), 0, lens[ranks.rank()]);
    let expected: Vec<u8> = lens
        .iter()
        .enumerate()
        .flat_map(|(from, &len)| bytes(call, from, 0, len))
        .collect();
    let mut received = vec![0xff; expected.len()];
    let receive = PiecesMut {
        bytes: &mut received,
        lens,
    };
    ranks.all_gather(&send, receive)?;
    assert!(received == expected, "call {call}: all-gather");
    Ok(())
}

/// Calls broadcast, and checks what arrives.
fn broadcast(ranks: &dyn Communicator, call: usize, root: usize, len: usize) -> Result<(), Error> {
    let expected = bytes(call, root, 0, len);
    let mut received = vec![0xff; len];
    if root == ranks.rank() {
        received.copy_from_slice(&expected);
    }
    ranks.broadcast(root, &mut received)?;
    assert!(received == expected, "call {call}: broadcast");
    Ok(())
}

/// Makes random calls with random lengths.
fn check(ranks: &dyn Communicator, calls: usize) -> Result<(), Error> {
    let size = ranks.size();
    let mut numbers = Numbers(size as u64);
    for call in 0..calls {
        match numbers.below(4) {
            0 => {
                let row = |numbers: &mut Numbers| (0..size).map(|_| numbers.len()).collect();
                let lens: Vec<Vec<usize>> = (0..size).map(|_| row(&mut numbers)).collect();
                all_to_all(ranks, call, &lens)?;
            }
            1 => {
                let lens: Vec<usize> = (0..size).map(|_| numbers.len()).collect();
                all_gather(ranks, call, &lens)?;
            }
            2 => broadcast(ranks, call, numbers.below(size), numbers.len())?,
            _ => ranks.barrier()?,
        }
        // A rank that is late changes nothing.
        if numbers.below(100) == 0 && numbers.below(size) == ranks.rank() {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    Ok(())
}

/// Makes each call with pieces of more than 64 MiB, and of uneven lengths.
fn large(ranks: &dyn Communicator) -> Result<(), Error> {
    let len = (64 << 20) + 12_345;
    let lens: Vec<usize> = (0..ranks.size()).map(|rank| len - rank * 77_777).collect();
    all_gather(ranks, 0, &lens)?;
    broadcast(ranks, 1, ranks.size() - 1, len)?;
    let mut matrix = vec![vec![0; ranks.size()]; ranks.size()];
    for (from, row) in matrix.iter_mut().enumerate() {
        row[(from + 1) % ranks.size()] = len;
        row[from] = from;
    }
    all_to_all(ranks, 2, &matrix)
}

/// Prints how long calls take on average, after some that do not count.
fn latency(ranks: &dyn Communicator) -> Result<(), Error> {
    for len in [8, 1 << 10, 1 << 15, 1 << 20, 25 << 20] {
        let repeats = (100_000_000 / (len + 5000)).max(5);
        let lens = vec![len; ranks.size()];
        let send = vec![1; len];
        let mut received = vec![0; len * ranks.size()];
        let mut start = Instant::now();
        for repeat in 0..repeats + repeats / 10 {
            if repeat == repeats / 10 {
                start = Instant::now();
            }
            let receive = PiecesMut {
                bytes: &mut received,
                lens: &lens,
            };
            ranks.all_gather(&send, receive)?;
        }
        let each = start.elapsed().as_secs_f64() / repeats as f64;
        if ranks.rank() == 0 {
            println!("all-gather of {len} bytes: {:.1} µs", each * 1e6);
        }
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().unwrap_or("check".into());
    let number: Option<usize> = arguments.next().and_then(|number| number.parse().ok());
    let ranks = MpiCommunicator::initialize()?;
    match case.as_str() {
        "check" => check(&ranks, number.unwrap_or(1000))?,
        "large" => large(&ranks)?,
        "latency" => latency(&ranks)?,
        fault => return faults::provoke(fault, ranks),
    }
    println!("rank {} of {}: {case} passed", ranks.rank(), ranks.size());
    Ok(())
}
