//! Adapters for other crates, each a type or a method of its own. The code for rayon is in
//! `kernels/parallel.rs`, and that for serde in derives and in `network/saved.rs`.

#[cfg(feature = "argmin")]
pub(crate) mod argmin;
#[cfg(feature = "argmin")]
pub(crate) mod argmin_hessian;
#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "progress")]
mod progress;
