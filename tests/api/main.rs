//! The public interface keeps its promises: user code compiles and runs, and every wrong input
//! returns an error and changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod approximate_equality;
mod architectures;
mod buffers;
mod errors;
mod given;
mod network;
mod one_example;
mod settings;
mod shapes;
mod sharing;
mod state;
#[path = "../support/mod.rs"]
mod support;
mod surface;
