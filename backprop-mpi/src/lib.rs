//! Trains networks of the crate [`backprop`] on several processes or machines, over MPI.
//!
//! [`MpiCommunicator`] is a [`Communicator`](backprop::distributed::Communicator) whose ranks are
//! the processes that `mpirun` starts. Every call ends within a limited time, with an error if a
//! rank does not answer.
//!
//! # Example
//! ```no_run
//! use backprop::distributed::{Communicator, PiecesMut};
//! use backprop_mpi::MpiCommunicator;
//!
//! # fn main() -> Result<(), backprop::Error> {
//! let ranks = MpiCommunicator::initialize()?;
//! let lens = vec![1; ranks.size()];
//! let mut received = vec![0; ranks.size()];
//! let receive = PiecesMut { bytes: &mut received, lens: &lens };
//! ranks.all_gather(&[ranks.rank() as u8], receive)?;
//! println!("{received:?}"); // [0, 1, 2] on each of 3 ranks
//! # Ok(())
//! # }
//! ```
//! Start it on 3 processes with `mpirun -n 3 target/release/program`.

mod communicator;
mod exchange;
mod library;
mod wait;

pub use communicator::MpiCommunicator;
