//! placeholder

pub mod activation;
mod adapters;
pub mod cost;
mod error;
mod examples;
mod gradient;
pub mod gradient_check;
mod initialization;
mod kernels;
pub mod layer;
mod layout;
mod network;
mod objective;
mod regularization;
mod scalar;
mod workspace;

pub use activation::{Activation, AnyActivation};
#[cfg(feature = "argmin")]
pub use adapters::argmin::ArgminProblem;
pub use cost::{
    AnyCost, CategoricalCrossEntropy, Cost, CrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
pub use error::Error;
pub use examples::{Columns, Examples, row_major};
pub use gradient::{Accumulator, Backprop, CostParts, Gradient, unroll};
pub use initialization::{Initialization, rng};
pub use layer::{AnyLayer, Dense, Layer};
pub use layout::{BlockLayout, Layout};
pub use nalgebra;
pub use network::{Builder, Network};
pub use objective::Objective;
pub use rand_xoshiro;
pub use regularization::Penalty;
pub use scalar::Scalar;
pub use workspace::Workspace;
