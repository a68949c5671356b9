//! Ranks that fail.

use backprop::Error;
use backprop::distributed::{Communicator, Pieces, PiecesMut};
use backprop_mpi::MpiCommunicator;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, Destination};
use std::process::{Command, exit, id};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Gathers one byte of every rank.
fn gather(ranks: &dyn Communicator) -> Result<(), Error> {
    let lens = vec![1; ranks.size()];
    let mut received = vec![0; ranks.size()];
    let receive = PiecesMut {
        bytes: &mut received,
        lens: &lens,
    };
    ranks.all_gather(&[7], receive)
}

/// Prints the result of a call, and that of another one after it.
fn report(ranks: &MpiCommunicator, call: Result<(), Error>) {
    for result in [call, ranks.barrier()] {
        match result {
            Ok(()) => println!("rank {}: ok", ranks.rank()),
            Err(error) => println!("rank {}: {error:?}", ranks.rank()),
        }
    }
}

/// Sends a message to rank 0 without the communicator.
fn send_past(bytes: &[u8]) {
    let world = SimpleCommunicator::world();
    world.process_at_rank(0).send(bytes);
}

/// The last rank does what the case names, and the others make a call.
pub fn provoke(case: &str, ranks: MpiCommunicator) -> Result<(), Error> {
    let start = Instant::now();
    let ranks = ranks.timeout(Duration::from_secs(3));
    let last = ranks.size() - 1;
    ranks.barrier()?;
    if ranks.rank() == last {
        match case {
            "silent" | "silent-end" => sleep(Duration::from_secs(1000)),
            "late" => sleep(Duration::from_millis(300)),
            "exit" => exit(0),
            "return" => return Ok(()),
            "foreign" => send_past(&[7; 5]),
            "panic" => assert_eq!(case, "a panic on purpose"),
            "kill" => {
                let killed = Command::new("kill")
                    .args(["-9", &id().to_string()])
                    .status();
                sleep(Duration::from_secs(1000));
                println!("still alive after {killed:?}");
            }
            _ => (),
        }
    }
    let call = match case {
        "longer" | "much-longer" | "shorter" | "empty" => wrong_length(&ranks, case),
        "root" => {
            let len = if ranks.rank() == last { 5 } else { 4 };
            ranks.broadcast(last, &mut vec![0; len])
        }
        "other-call" if ranks.rank() == last => ranks.broadcast(last, &mut [7]),
        "silent-end" => return Ok(()),
        "arguments" => arguments(&ranks),
        "thread" => {
            let elsewhere = thread::scope(|scope| scope.spawn(|| ranks.barrier()).join());
            println!("rank {}: on a thread: {elsewhere:?}", ranks.rank());
            gather(&ranks)
        }
        _ => gather(&ranks),
    };
    report(&ranks, call);
    println!("rank {}: drops after {:?}", ranks.rank(), start.elapsed());
    drop(ranks);
    // MPI starts once in a process.
    println!("again: {:?}", MpiCommunicator::initialize());
    Ok(())
}

/// The last rank gathers another number of bytes than the others expect of it.
fn wrong_length(ranks: &MpiCommunicator, case: &str) -> Result<(), Error> {
    let last = ranks.size() - 1;
    let mut lens = vec![10; ranks.size()];
    if ranks.rank() == last {
        lens[last] = match case {
            "longer" => 11,
            "shorter" => 9,
            "empty" => 0,
            _ => 100_000_000,
        };
    }
    let mut received = vec![0; lens.iter().sum()];
    let receive = PiecesMut {
        bytes: &mut received,
        lens: &lens,
    };
    ranks.all_gather(&vec![7; lens[ranks.rank()]], receive)
}

/// Prints the errors of wrong arguments. None has an effect on other ranks.
fn arguments(ranks: &MpiCommunicator) -> Result<(), Error> {
    let (rank, size) = (ranks.rank(), ranks.size());
    let ones = vec![1; size];
    let mut longer = ones.clone();
    longer[rank] = 2;
    let endless = vec![usize::MAX; size];
    let gathered = |len: usize, lens: &[usize]| {
        let bytes = &mut vec![0; len];
        ranks.all_gather(&[7], PiecesMut { bytes, lens })
    };
    let sent = |send_lens: &[usize], len: usize, lens: &[usize]| {
        let bytes = &mut vec![0; len];
        let send = Pieces {
            bytes: &vec![0; size],
            lens: send_lens,
        };
        ranks.all_to_all(send, PiecesMut { bytes, lens })
    };
    for result in [
        ranks.broadcast(size, &mut []),
        gathered(size, &ones[1..]),
        gathered(size, &longer),
        gathered(size + 1, &longer),
        gathered(size, &endless),
        sent(&endless, size, &ones),
        sent(&ones, size, &longer),
        sent(&ones, size + 1, &longer),
    ] {
        println!("rank {rank}: argument: {:?}", result.err());
    }
    gather(ranks)
}
