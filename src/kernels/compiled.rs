//! The fast paths, compiled once: with this crate, not again in every crate that uses a network.
//!
//! What is generic is compiled where its types become known, and that would be in the user's crate. A table of functions in a static has
//! them here.

use super::cast::is;
use super::costs::{
    BinaryCrossEntropy, BinaryCrossEntropyDelta, SquaredError, categorical_at, sum_over_units, zip,
};
use super::elementwise::{
    Function, activate_at, add_at, add_exactly_at, all_finite_at, apply_at, divide_at, multiply_at,
    scale_by_slope_at,
};
use super::functions::Real;
use super::product::Product;
use super::row_sums::RowSums;
use super::softmax::softmax_at;
use super::squash::{Place, Squash, categorical_delta_at, differences_at};
use super::steps::{BUFFERS, Rule, step_at};
use super::tangents::{backward_tangent_at, backward_tangent_from_z_at, curve_at, tangent_at};
use super::vector::{Fast, dispatch};
use crate::scalar::Scalar;

static F32: Table<f32> = Table::new();
static F64: Table<f64> = Table::new();

/// The fast paths of `f32` and `f64`; `None` for any other scalar.
#[inline]
pub(super) fn table<T: Scalar>() -> Option<&'static Table<T>> {
    // SAFETY: the types are the same, so the reference is to what it says.
    unsafe {
        if is::<T, f32>() {
            Some(&*(&raw const F32).cast())
        } else if is::<T, f64>() {
            Some(&*(&raw const F64).cast())
        } else {
            None
        }
    }
}

/// One function for each operation; their contracts are those of the functions that they are.
pub(super) struct Table<R: 'static> {
    pub(super) product: unsafe fn(Product<R>),
    pub(super) row_sums: unsafe fn(RowSums<R>),
    pub(super) activate: fn(Function, &mut [R], Option<&mut [R]>),
    pub(super) curve: fn(Function, &mut [R], &mut [R], &mut [R]),
    pub(super) tangent: Tangent<R>,
    pub(super) backward_tangent: Tangent<R>,
    pub(super) backward_tangent_from_z: TangentOfFunction<R>,
    pub(super) apply: fn(Function, &[R], &mut [R]),
    pub(super) scale_by_slope: fn(Function, &[R], &mut [R]),
    pub(super) multiply: fn(&mut [R], &[R]),
    pub(super) add: fn(&mut [R], &[R]),
    pub(super) add_exactly: fn(&mut [R], &mut [R], &[R]),
    pub(super) divide: fn(&mut [R], R) -> bool,
    pub(super) all_finite: fn(&[R]) -> bool,
    pub(super) softmax: fn(usize, &mut [R]),
    pub(super) cross_entropy: Values<R>,
    pub(super) cross_entropy_delta: fn(&[R], &[R], &mut [R]),
    pub(super) squared_error: Values<R>,
    pub(super) categorical: ValuesOfThree<R>,
    pub(super) categorical_delta: ValuesOfThree<R>,
    pub(super) differences: Differences<R>,
    pub(super) step: Step<R>,
}

/// On two slices, from two others.
type Tangent<R> = fn(&mut [R], &mut [R], (&[R], &[R]));
/// The same for a function.
type TangentOfFunction<R> = fn(Function, (&[R], &[R]), &mut [R], &mut [R]);
/// From two matrices with so many rows: a value for each column, or for each entry.
type Values<R> = fn(usize, (&[R], &[R]), &mut [R]);
/// The same from three.
type ValuesOfThree<R> = fn(usize, (&[R], &[R], &[R]), &mut [R]);
/// a − y from z, a and y.
type Differences<R> = fn(Squash, Place, (&[R], &[R], &[R]), &mut [R]);
/// On θ with its gradient and the state of an optimiser.
type Step<R> = fn(Rule, &mut [R], &[R], [&mut [R]; BUFFERS]);

impl<R: Real + Fast> Table<R> {
    const fn new() -> Self {
        Self {
            product: Product::share,
            row_sums: dispatch,
            activate: activate_at,
            curve: curve_at,
            tangent: tangent_at,
            backward_tangent: backward_tangent_at,
            backward_tangent_from_z: backward_tangent_from_z_at,
            apply: apply_at,
            scale_by_slope: scale_by_slope_at,
            multiply: multiply_at,
            add: add_at,
            add_exactly: add_exactly_at,
            divide: divide_at,
            all_finite: all_finite_at,
            softmax: softmax_at,
            cross_entropy: |rows, at, values| {
                sum_over_units(BinaryCrossEntropy, rows, at, values);
            },
            cross_entropy_delta: |z, y, delta| zip(BinaryCrossEntropyDelta, z, y, delta),
            squared_error: |rows, at, values| {
                sum_over_units(SquaredError, rows, at, values);
            },
            categorical: categorical_at,
            categorical_delta: categorical_delta_at,
            differences: differences_at,
            step: step_at,
        }
    }
}
