//! Trains the digits on one rank, or on several that are threads of this process. Any number of
//! ranks and threads gives the same bits of θ, even if a run resumes from checkpoints that another
//! number of ranks wrote.
//!
//! ```sh
//! cargo run --release --example digits_ranks
//! cargo run --release --example digits_ranks -- --ranks 3 --checkpoints target/digits_ranks
//! ```
//!
//! `digits_mpi` of the crate `backprop-mpi` makes the same run on several processes or machines.

#[path = "../digits/data.rs"]
mod data;
mod settings;

use backprop::Network;
use backprop::distributed::{Communicator, ThreadCommunicator};
use settings::{digits, line, option, train};
use std::error::Error;
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let digits = digits()?;
    let checkpoints = option("--checkpoints");
    let checkpoints = checkpoints.as_deref();
    let Some(ranks) = option("--ranks") else {
        println!("{}", line(&train(&digits, None, checkpoints)?));
        return Ok(());
    };
    let ranks = ThreadCommunicator::group(ranks.parse()?);
    let networks: Vec<Network<f64>> = thread::scope(|scope| {
        let rank = |rank: ThreadCommunicator| {
            let digits = &digits;
            scope.spawn(move || train(digits, Some(&rank as &dyn Communicator), checkpoints))
        };
        let ranks: Vec<_> = ranks.into_iter().map(rank).collect();
        let ended = ranks.into_iter().map(|rank| match rank.join() {
            Ok(network) => network,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect::<Result<_, _>>()
    })?;
    // Every rank has the same network.
    let first = networks.first().ok_or("there are no ranks")?;
    assert!(networks.iter().all(|network| network == first));
    println!("{}", line(first));
    Ok(())
}
