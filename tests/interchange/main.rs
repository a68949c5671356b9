//! Files of other programs: networks agree with what the programs computed, every bit is kept, and
//! a file that is wrong is refused with an error that says why.
//!
//! `cargo test interchange -- --nocapture` prints a summary.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a global allocator that counts; test helpers may panic to fail tests"
)]

mod arrays;
mod awkward;
mod errors;
mod hostile;
mod kind;
mod layers;
mod made;
mod models;
mod numbers;
mod onnx;
mod python;
mod raw;
mod readers;
mod runner;
mod runner_tests;
#[path = "../support/mod.rs"]
mod support;
