//! The public interface keeps its promises: user code compiles and runs, and every wrong input is an
//! error that changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod buffers;
mod network;
mod settings;
mod shapes;
mod sharing;
#[path = "../support/mod.rs"]
mod support;
mod surface;
