//! Bridges to other crates, as far as they are types of their own. Rayon is in `kernels/parallel.rs`, serde in derives and `network/saved.rs`.

#[cfg(feature = "argmin")]
pub(crate) mod argmin;
#[cfg(feature = "argmin")]
pub(crate) mod argmin_hessian;
#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "progress")]
mod progress;
