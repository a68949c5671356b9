//! Jobs under `mpirun`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

mod collectives;
mod digits;
mod faults;
mod launch;
