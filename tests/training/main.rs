//! Training: the trainer and the solvers, optimisers, metrics, and the data that goes in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod data;
mod digits;
mod distributed;
mod metrics;
mod optimizers;
mod sources;
mod trainer;
