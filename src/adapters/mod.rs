//! Adapters for other crates. The code for rayon is in `kernels/parallel.rs`, and that for serde in
//! derives and in `network/saved.rs`.

#[cfg(feature = "argmin")]
pub(crate) mod argmin;
#[cfg(feature = "argmin")]
pub(crate) mod argmin_hessian;
#[cfg(feature = "plot")]
pub(crate) mod pictures;
#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "progress")]
mod progress_bar;
