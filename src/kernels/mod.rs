//! The hot core: the three products of back-propagation and the elementwise functions.
//!
//! Each operation has a plain loop that is generic over the scalar. Every scalar except `f32` and
//! `f64` uses it, and the tests compare the fast paths with it. `f32` and `f64` have fast paths,
//! which use the best instructions that the processor has ([`level`]).

#![allow(
    unsafe_code,
    reason = "only here: each block has a contract, and a test against the plain loop"
)]

mod activation_formulas;
pub(crate) mod costs;
mod elementwise;
mod gelu;
mod gemm;
mod gemm_threads;
pub(crate) mod level;
mod math;
mod microkernel;
pub(crate) mod norms;
mod packing;
pub(crate) mod parallel;
mod plain_products;
pub(crate) mod plain_softmax;
mod products;
pub(crate) mod random;
mod real;
mod reductions;
mod softmax;
pub(crate) mod squash;
pub(crate) mod steps;
mod table;
mod tangents;
mod tiling;
#[cfg(target_arch = "x86_64")]
mod transpose;
pub(crate) mod tree;
mod vector;
mod views;

pub(crate) use activation_formulas::FastActivation;
pub(crate) use elementwise::{
    activate, add, add_exactly, all_finite, apply, divide, multiply, scale_by_slope,
};
#[cfg(test)]
pub(crate) use level::at_every_level;
pub(crate) use products::{
    add_linear, add_outer, add_product_transposed, add_transpose_product, affine, outer, room_for,
    transpose_product,
};
pub(crate) use reductions::{
    first_non_finite, index_of_max, largest, norm, sum, sum_of_magnitudes, sum_of_squares,
};
pub(crate) use softmax::softmax;
pub(crate) use table::is_fast;
pub(crate) use tangents::{
    activate_with_curvature, backward_tangent, backward_tangent_from_z, tangent,
};
pub(crate) use views::{
    columns, copy, flat, flat_mut, in_rows, in_rows_mut, map, rows, runs, scale_by,
};
