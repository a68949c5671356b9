//! The gradient checker finds every planted fault and accepts correct code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod planted_faults;
mod resolution;
#[path = "../support/mod.rs"]
mod support;
