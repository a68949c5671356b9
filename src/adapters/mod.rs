//! Bridges to other crates that are types or methods of their own. Rayon is in
//! `kernels/parallel.rs`, serde in derives and `network/saved.rs`.

#[cfg(feature = "argmin")]
pub(crate) mod argmin;
#[cfg(feature = "argmin")]
pub(crate) mod argmin_hessian;
#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "progress")]
mod progress;
