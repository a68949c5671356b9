//! The numbers are right: costs, gradients and derivatives agree with independent sources, with
//! every instruction set and any number of threads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod activations;
mod architectures;
mod chance;
mod conventions;
mod costs;
mod course;
mod derivatives;
mod embedding;
mod golden;
mod golden_layers;
mod heads;
mod initialization;
mod levels;
mod norms;
mod orthogonal;
mod penalties;
mod precision;
mod properties;
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod trace;
