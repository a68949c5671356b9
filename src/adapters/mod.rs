//! Bridges to other crates, one file and one feature each: only that file names the crate.

#[cfg(feature = "argmin")]
pub(crate) mod argmin;
