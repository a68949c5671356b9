//! The fast paths, compiled once: with this crate, not again in every crate that uses a network.
//!
//! What is generic is compiled where its types become known, and that would be in the user's crate. A table of functions in a static has
//! them here.

use super::costs::{
    CrossEntropy, CrossEntropyDelta, SquaredError, categorical_at, categorical_delta_at,
    sum_over_units, zip,
};
use super::elementwise::{
    Function, activate_at, add_at, all_finite_at, apply_at, divide_at, multiply_at,
    scale_by_slope_at,
};
use super::functions::Real;
use super::level::Level;
use super::product::Product;
use super::row_sums::RowSums;
use super::softmax::softmax_at;
use super::vector::{Fast, dispatch};

pub(super) static F32: Table<f32> = Table::new();
pub(super) static F64: Table<f64> = Table::new();

/// One function for each operation; their contracts are those of the functions that they are.
pub(super) struct Table<R: 'static> {
    pub(super) product: unsafe fn(Product<R>),
    pub(super) row_sums: unsafe fn(RowSums<R>),
    pub(super) activate: fn(Level, Function, &mut [R], Option<&mut [R]>),
    pub(super) apply: fn(Level, Function, &[R], &mut [R]),
    pub(super) scale_by_slope: fn(Level, Function, &[R], &mut [R]),
    pub(super) multiply: fn(Level, &mut [R], &[R]),
    pub(super) add: fn(Level, &mut [R], &[R]),
    pub(super) divide: fn(Level, &mut [R], R) -> bool,
    pub(super) all_finite: fn(Level, &[R]) -> bool,
    pub(super) softmax: fn(Level, usize, &mut [R]),
    pub(super) cross_entropy: Values<R>,
    pub(super) cross_entropy_delta: fn(Level, &[R], &[R], &mut [R]),
    pub(super) squared_error: Values<R>,
    pub(super) categorical: ValuesOfThree<R>,
    pub(super) categorical_delta: Values<R>,
}

/// From two matrices with so many rows: a value for each column, or for each entry.
type Values<R> = fn(Level, usize, (&[R], &[R]), &mut [R]);
/// The same from three.
type ValuesOfThree<R> = fn(Level, usize, (&[R], &[R], &[R]), &mut [R]);

impl<R: Real + Fast> Table<R> {
    const fn new() -> Self {
        Self {
            product: Product::share,
            row_sums: dispatch,
            activate: activate_at,
            apply: apply_at,
            scale_by_slope: scale_by_slope_at,
            multiply: multiply_at,
            add: add_at,
            divide: divide_at,
            all_finite: all_finite_at,
            softmax: softmax_at,
            cross_entropy: |level, rows, at, values| {
                sum_over_units(level, CrossEntropy, rows, at, values);
            },
            cross_entropy_delta: |level, z, y, delta| zip(level, CrossEntropyDelta, z, y, delta),
            squared_error: |level, rows, at, values| {
                sum_over_units(level, SquaredError, rows, at, values);
            },
            categorical: categorical_at,
            categorical_delta: categorical_delta_at,
        }
    }
}
