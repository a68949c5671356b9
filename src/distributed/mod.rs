//! Training on several processes or machines, with the bits of one.

mod agreement;
mod communicator;
mod note;
mod ranks;
mod shard;
mod threads;
mod wire;

pub(crate) use agreement::Fact;
pub use communicator::{Communicator, Pieces, PiecesMut};
pub(crate) use ranks::{RankOf, Ranks};
pub use shard::Shard;
pub use threads::ThreadCommunicator;
pub(crate) use wire::Wire;
