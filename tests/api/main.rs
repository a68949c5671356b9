//! The public interface keeps its promises: user code compiles and runs, and every wrong input is
//! an error that changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod approximate_equality;
mod buffers;
mod errors;
mod network;
mod one_example;
mod settings;
mod shapes;
mod sharing;
#[path = "../support/mod.rs"]
mod support;
mod surface;
