//! Jobs under `mpirun`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod collectives;
mod faults;
mod launch;
