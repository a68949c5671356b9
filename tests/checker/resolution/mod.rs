//! The resolution of the gradient checker: functions whose verdict is known, and random networks.
#![allow(
    clippy::unwrap_used,
    reason = "fixtures that cannot fail, outside test functions"
)]

mod fits;
mod functions;
mod random;
