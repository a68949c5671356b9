//! Trains the digits on all ranks that `mpirun` starts. Any number of ranks gives the same bits of
//! θ as one process without MPI, even if a run resumes from checkpoints that another number of
//! ranks wrote.
//!
//! ```sh
//! cargo build --release -p backprop-mpi --example digits_mpi
//! mpirun -n 4 target/release/examples/digits_mpi --checkpoints target/digits_mpi
//! cargo run --release --example digits_ranks
//! ```

#[path = "../../examples/digits/data.rs"]
mod data;
#[path = "../../examples/digits_ranks/settings.rs"]
mod settings;

use backprop::distributed::Communicator;
use backprop_mpi::MpiCommunicator;
use settings::{digits, line, option, train};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let ranks = MpiCommunicator::initialize()?;
    // Without this, an error of one rank is lost: the communicator is dropped before `main` returns
    // the error, and ends the processes of all ranks if the others wait for this one.
    run(&ranks).inspect_err(|error| eprintln!("rank {}: {error}", ranks.rank()))
}

fn run(ranks: &MpiCommunicator) -> Result<(), Box<dyn Error>> {
    let network = train(&digits()?, Some(ranks), option("--checkpoints").as_deref())?;
    if ranks.rank() == 0 {
        println!("{}", line(&network));
    }
    Ok(())
}
