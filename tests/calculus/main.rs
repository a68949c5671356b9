//! The numbers are right: costs, gradients and derivatives agree with independent sources, at every
//! level of instructions and with any number of threads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod activations;
mod conventions;
mod costs;
mod course;
mod derivatives;
mod golden;
mod initialization;
mod levels;
mod penalties;
mod precision;
mod properties;
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod trace;
