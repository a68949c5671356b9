//! Files of other programs.

mod error;
mod names;
mod options;

pub use error::InterchangeError;
pub use names::{TensorPlace, tensors};
pub use options::Options;
