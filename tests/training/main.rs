//! Training: the trainer and the solvers, optimisers, metrics, and the data that goes in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod data;
mod digits;
mod metrics;
mod optimizers;
mod trainer;
