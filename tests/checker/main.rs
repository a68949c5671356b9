//! The gradient checker finds every planted fault and accepts what is right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod planted_faults;
mod resolution;
#[path = "../support/mod.rs"]
mod support;
