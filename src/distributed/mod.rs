//! Training on several processes or machines, with the bits of one.

mod communicator;

pub use communicator::{Communicator, Pieces, PiecesMut};
