//! The fast paths of `f32` and `f64`, compiled once, in this crate.
//!
//! Generic code is compiled in the crate that chooses its types, which would be the user's. A
//! static table of function pointers makes the compiler do that here instead.

use super::activation_formulas::FastActivation;
use super::costs::{
    BinaryCrossEntropy, BinaryCrossEntropyDelta, SquaredError, categorical_cross_entropy_at,
    column_sums, zip,
};
use super::elementwise::{
    activate_at, add_at, add_exactly_at, all_finite_at, apply_at, divide_at, multiply_at,
    scale_by_slope_at,
};
use super::gemm::Gemm;
use super::norms::{Grouping, Normalise, Sums, Sweep, normalise_at, sums_at, sweep_at};
use super::products::RowSums;
use super::random::{Mask, mask_at};
use super::real::Real;
use super::softmax::softmax_at;
use super::squash::{
    OutputSlices, Squash, Window, categorical_cross_entropy_delta_at, differences_at,
};
use super::tangents::{backward_tangent_at, backward_tangent_from_z_at, curve_at, tangent_at};
use super::vector::{Fast, dispatch};
use crate::scalar::Scalar;
use std::any::TypeId;

static F32: Table<f32> = Table::new();
static F64: Table<f64> = Table::new();

/// Returns whether `A` and `B` are the same type. The compiler folds the comparison into a
/// constant.
#[inline(always)]
pub(super) fn is<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// Returns whether a scalar has fast paths.
pub(crate) fn is_fast<T: Scalar>() -> bool {
    is::<T, f32>() || is::<T, f64>()
}

/// Returns the fast paths of `f32` or `f64`, and `None` for any other scalar.
#[inline]
pub(super) fn table<T: Scalar>() -> Option<&'static Table<T>> {
    // SAFETY: the types are the same, so the reference has the right type.
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

/// One function for each operation. Each entry has the contract of the function it points to.
pub(super) struct Table<R: 'static> {
    pub(super) gemm: unsafe fn(Gemm<R>),
    pub(super) row_sums: unsafe fn(RowSums<R>),
    pub(super) activate: fn(FastActivation, &mut [R], Option<&mut [R]>),
    pub(super) curve: fn(FastActivation, &mut [R], &mut [R], &mut [R]),
    pub(super) tangent: Tangent<R>,
    pub(super) backward_tangent: Tangent<R>,
    pub(super) backward_tangent_from_z: TangentFromZ<R>,
    pub(super) apply: fn(FastActivation, &[R], &mut [R]),
    pub(super) scale_by_slope: fn(FastActivation, &[R], &mut [R]),
    pub(super) multiply: fn(&mut [R], &[R]),
    pub(super) mask: fn(Mask<R>, &[R], &mut [R]),
    pub(super) group_sums: fn(Sums<'_, R>, &mut [R], &mut [R]),
    pub(super) sweep: GroupSweep<R>,
    pub(super) normalise: fn(Normalise<'_, R>, &mut [R], &mut [R]),
    pub(super) add: fn(&mut [R], &[R]),
    pub(super) add_exactly: fn(&mut [R], &mut [R], &[R]),
    pub(super) divide: fn(&mut [R], R) -> bool,
    pub(super) all_finite: fn(&[R]) -> bool,
    pub(super) softmax: fn(usize, &mut [R]),
    pub(super) binary_cross_entropy: CostValues<R>,
    pub(super) binary_cross_entropy_delta: fn(&[R], &[R], &mut [R]),
    pub(super) squared_error: CostValues<R>,
    pub(super) categorical_cross_entropy: FromOutputs<R>,
    pub(super) categorical_cross_entropy_delta: FromOutputs<R>,
    pub(super) differences: Differences<R>,
}

/// Changes two slices by the entries of two others.
type Tangent<R> = fn(&mut [R], &mut [R], &[R], &[R]);
/// Changes two slices by g′ and g″ at the entries of two others.
type TangentFromZ<R> = fn(FastActivation, &[R], &[R], &mut [R], &mut [R]);
/// Sweeps over a slice, or writes there what becomes of another one.
type GroupSweep<R> = fn(Grouping, Sweep<'_, R>, Option<&[R]>, &mut [R]);
/// Computes a value for each column of two matrices with the given number of rows.
type CostValues<R> = fn(usize, &[R], &[R], &mut [R]);
/// Computes a value for each column, or for each entry, of z, a and y.
type FromOutputs<R> = fn(usize, OutputSlices<'_, R>, &mut [R]);
/// Computes a − y from z, a and y.
type Differences<R> = fn(Squash, Window, OutputSlices<'_, R>, &mut [R]);

impl<R: Real + Fast> Table<R> {
    const fn new() -> Self {
        Self {
            gemm: Gemm::share,
            row_sums: dispatch,
            activate: activate_at,
            curve: curve_at,
            tangent: tangent_at,
            backward_tangent: backward_tangent_at,
            backward_tangent_from_z: backward_tangent_from_z_at,
            apply: apply_at,
            scale_by_slope: scale_by_slope_at,
            multiply: multiply_at,
            mask: mask_at,
            group_sums: sums_at,
            sweep: sweep_at,
            normalise: normalise_at,
            add: add_at,
            add_exactly: add_exactly_at,
            divide: divide_at,
            all_finite: all_finite_at,
            softmax: softmax_at,
            binary_cross_entropy: |rows, z, y, values| {
                column_sums(BinaryCrossEntropy, rows, z, y, values);
            },
            binary_cross_entropy_delta: |z, y, delta| zip(BinaryCrossEntropyDelta, z, y, delta),
            squared_error: |rows, a, y, values| column_sums(SquaredError, rows, a, y, values),
            categorical_cross_entropy: categorical_cross_entropy_at,
            categorical_cross_entropy_delta: categorical_cross_entropy_delta_at,
            differences: differences_at,
        }
    }
}
