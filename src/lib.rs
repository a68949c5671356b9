#![doc = include_str!("../README.md")]
//!
//! # The types
//!
//! | type | what it is |
//! |---|---|
//! | [`Network`] | layers and one flat θ; [`forward`](Network::forward), [`cost`](Network::cost), [`backprop`](Network::backprop), [`gradient_vector`](Network::gradient_vector) |
//! | [`Builder`], [`Initialization`] | how a network comes to be |
//! | [`Examples`] | X, Y and weights, validated once |
//! | [`Objective`], [`Penalty`], [`Strength`] | what is minimised: a cost and a penalty |
//! | [`Backprop`], [`Gradient`], [`CostParts`] | J, ∇J, and each D as a view of it |
//! | [`Workspace`] | the buffers of a pass, reused |
//! | [`Accumulator`] | Σ w·cost, Σ w and Δ over any number of batches |
//! | [`Layout`] | where each block of parameters lies in θ |
//! | [`activation`], [`cost`], [`layer`] | the tables of formulas, and the traits for your own |
//! | [`gradient_check`] | the checker |
//! | [`Error`] | everything that can be wrong |
#![warn(unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]

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

// Of two definitions of a link the first counts: this goes before the page's own.
#[cfg_attr(not(feature = "argmin"), doc = "[`ArgminProblem`]: crate#features")]
#[doc = include_str!("../docs/rendered/derivation.md")]
pub mod derivation {}

pub use activation::{Activation, AnyActivation};
#[cfg(feature = "argmin")]
pub use adapters::argmin::ArgminProblem;
#[cfg(feature = "argmin")]
pub use argmin;
pub use cost::{
    AnyCost, CategoricalCrossEntropy, Cost, CrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
pub use error::Error;
pub use examples::{Columns, Examples, row_major};
pub use gradient::{Accumulator, Backprop, CostParts, Gradient, unroll};
pub use gradient_check::GradientCheck;
pub use initialization::{Initialization, rng};
pub use layer::{AnyLayer, Dense, Layer};
pub use layout::{BlockLayout, Layout};
pub use nalgebra;
pub use network::{Builder, Network};
pub use objective::Objective;
pub use rand_xoshiro;
pub use regularization::{Penalty, Strength};
pub use scalar::Scalar;
pub use workspace::Workspace;
