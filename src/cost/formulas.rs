//! The formulas of the built-in costs, as plain loops.

use super::Violation;
use crate::kernels::plain_softmax::{Column, UnitTarget, error_of_unit, sum_but};
use crate::kernels::{self, FastActivation, flat, flat_mut, index_of_max};
use crate::scalar::{Scalar, real, sigmoid_derivative};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// values[k] = Σᵢ cost(outputᵢ, yᵢ), unit by unit.
pub(super) fn sum_of_pairs<T: Scalar>(
    outputs: DMatrixView<'_, T>,
    y: DMatrixView<'_, T>,
    values: &mut [T],
    cost: impl Fn(T, T) -> T,
) {
    for (k, value) in values.iter_mut().enumerate() {
        let (outputs_k, y_k) = (outputs.column(k), y.column(k));
        let pairs = outputs_k.as_slice().iter().zip(y_k.as_slice());
        *value = pairs.fold(T::zero(), |sum, (&a, &y)| sum + cost(a, y));
    }
}

/// Returns −y ln σ(z) − (1 − y) ln(1 − σ(z)) = max(z, 0) − y z + ln(1 + e^(−|z|)).
pub(super) fn binary_cross_entropy_of_z<T: Scalar>(z: T, y: T) -> T {
    // One smooth branch for each sign, because |z| has no derivative at 0, but this function does.
    if z > T::zero() {
        (T::one() - y) * z + (-z).exp().ln_1p()
    } else {
        -y * z + z.exp().ln_1p()
    }
}

/// δᵢ = aᵢ Σy − yᵢ, computed without cancellation.
pub(super) fn categorical_cross_entropy_delta<T: Scalar>(
    z: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    y: DMatrixView<'_, T>,
    mut delta: DMatrixViewMut<'_, T>,
) {
    for k in 0..y.ncols() {
        let (z_k, a_k, y_k) = (z.column(k), a.column(k), y.column(k));
        let (z, a, y_k) = (z_k.as_slice(), a_k.as_slice(), y_k.as_slice());
        let sum = y_k.iter().fold(T::zero(), |sum, &y| sum + y);
        let largest = index_of_max(a);
        for (i, out) in delta.column_mut(k).as_mut_slice().iter_mut().enumerate() {
            let y = y_k[i];
            let others = if i == largest {
                sum_but(y_k, i)
            } else {
                sum - y
            };
            *out = error_of_unit(Column { z, a }, i, UnitTarget { y, sum, others });
        }
    }
}

/// values[k] = Σᵢ yᵢ (ln Σⱼ e^(zⱼ − max z) − (zᵢ − max z)), whose terms are all ≥ 0.
pub(super) fn categorical_cross_entropy_of_z<T: Scalar>(
    z: DMatrixView<'_, T>,
    y: DMatrixView<'_, T>,
    values: &mut [T],
) {
    if z.is_empty() {
        return values.fill(T::zero());
    }
    for (k, value) in values.iter_mut().enumerate() {
        let (z_k, y_k) = (z.column(k), y.column(k));
        let (z_k, y_k) = (z_k.as_slice(), y_k.as_slice());
        // The largest term of the inner sum is 1. `ln_1p` adds it last, so it does not hide the
        // others.
        let largest = index_of_max(z_k);
        let shift = z_k[largest];
        let others = z_k.iter().enumerate().fold(T::zero(), |sum, (j, &z)| {
            if j == largest {
                sum
            } else {
                sum + (z - shift).exp()
            }
        });
        let log_total = others.ln_1p();
        *value = z_k.iter().zip(y_k).fold(T::zero(), |sum, (&z, &y)| {
            // The term of y = 0 is 0, even where z − shift overflows.
            if y == T::zero() {
                sum
            } else {
                sum + y * (log_total - (z - shift))
            }
        });
    }
}

/// Returns x ln a, or 0 if x is 0, for any a. Near a = 1 it uses the more accurate `rest` = 1 − a.
pub(super) fn x_ln_a<T: Scalar>(x: T, a: T, rest: T) -> T {
    if x == T::zero() {
        T::zero()
    } else if a > real(0.5) && a < real(2.0) {
        x * (-rest).ln_1p()
    } else {
        x * a.ln()
    }
}

/// Returns x / y, or 0 if x is 0, for any y.
pub(super) fn ratio<T: Scalar>(x: T, y: T) -> T {
    if x == T::zero() { T::zero() } else { x / y }
}

/// out ← out ∘ σ′(z).
pub(super) fn scale_by_sigmoid_slope<T: Scalar>(
    z: DMatrixView<'_, T>,
    mut out: DMatrixViewMut<'_, T>,
) {
    if let (Some(z), Some(out)) = (flat(&z), flat_mut(&mut out))
        && kernels::scale_by_slope(FastActivation::Sigmoid, z, out)
    {
        return;
    }
    out.zip_apply(&z, |out, z| *out *= sigmoid_derivative(z));
}

/// Returns y / a², or 0 if y is 0, for any a. The square of a could underflow or overflow.
pub(super) fn curvature<T: Scalar>(y: T, a: T) -> T {
    if y == T::zero() { T::zero() } else { y / a / a }
}

/// Returns an error for the first entry at which `allowed` is false.
pub(super) fn first_violation<T: Scalar>(
    a: DMatrixView<'_, T>,
    y: DMatrixView<'_, T>,
    expected: &'static str,
    allowed: impl Fn(T, T) -> bool,
) -> Result<(), Violation> {
    for k in 0..a.ncols() {
        for (i, (&a, &y)) in a.column(k).iter().zip(y.column(k).iter()).enumerate() {
            if !allowed(a, y) {
                return Err(Violation {
                    unit: i,
                    example: k,
                    expected,
                });
            }
        }
    }
    Ok(())
}
