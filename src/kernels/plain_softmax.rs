//! Softmax and its Jacobian matrix as plain loops, for any scalar.
//!
//! The activation and its canonical cost share them. All matrices are K × m, one example per
//! column.

use super::index_of_max;
use super::squash::NEAR;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// a = softmax(z). It subtracts the largest z of each example, so no exponential overflows.
pub(crate) fn softmax<T: Scalar>(z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
    if z.is_empty() {
        return;
    }
    for k in 0..z.ncols() {
        let (z_k, mut a_k) = (z.column(k), a.column_mut(k));
        let (z_k, a_k) = (z_k.as_slice(), a_k.as_mut_slice());
        let shift = z_k[index_of_max(z_k)];
        let mut total = T::zero();
        for (a, &z) in a_k.iter_mut().zip(z_k) {
            *a = (z - shift).exp();
            total += *a;
        }
        for a in a_k {
            *a /= total;
        }
    }
}

/// The units of one example: z and the outputs a.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a, T> {
    pub(crate) z: &'a [T],
    pub(crate) a: &'a [T],
}

/// The target of one unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitTarget<T> {
    /// yᵢ.
    pub(crate) y: T,
    /// t, which is Σy or 1.
    pub(crate) sum: T,
    /// t − yᵢ.
    pub(crate) others: T,
}

/// Returns aᵢ t − yᵢ, computed as aᵢ (t − yᵢ) − yᵢ (1 − aᵢ).
///
/// For the largest a, 1 − aᵢ is the sum of the others. If the two terms nearly cancel and several z
/// are near the largest, the result is (uᵢ t − yᵢ Σu)/Σu with u = e^(z − max z). There, each u near
/// 1 is written as 1 + (u − 1).
pub(crate) fn error_of_unit<T: Scalar>(
    column: Column<'_, T>,
    i: usize,
    target: UnitTarget<T>,
) -> T {
    let a = column.a;
    let rest = if i == index_of_max(a) {
        sum_but(a, i)
    } else {
        T::one() - a[i]
    };
    let gain = a[i] * target.others;
    let d = gain - target.y * rest;
    if d.abs() < gain * real(0.5) {
        return error_near_the_top(column, i, target).unwrap_or(d);
    }
    d
}

/// Returns the sum of all entries except xᵢ.
pub(crate) fn sum_but<T: Scalar>(x: &[T], i: usize) -> T {
    let (before, after) = (x[..i].iter(), x[i + 1..].iter());
    before.chain(after).fold(T::zero(), |sum, &x| sum + x)
}

/// [`error_of_unit`] for a unit near the largest, if there are at least two such units.
fn error_near_the_top<T: Scalar>(
    column: Column<'_, T>,
    i: usize,
    target: UnitTarget<T>,
) -> Option<T> {
    let (Column { z, a }, UnitTarget { y, sum: t, .. }) = (column, target);
    let largest = index_of_max(z);
    let near = |j: usize| z[j] - z[largest] > real(-NEAR);
    let less_one = |j: usize| (z[j] - z[largest]).exp_m1();
    let (mut n, mut less, mut far) = (T::zero(), T::zero(), T::zero());
    for (j, &a) in a.iter().enumerate() {
        if near(j) {
            n += T::one();
            less += less_one(j);
        } else {
            far += a;
        }
    }
    let less = less + far / a[largest];
    let several = n > T::one() && near(i);
    several.then(|| a[largest] * ((t - n * y) + (less_one(i) * t - y * less)))
}

/// v ← (∂a/∂z) v = a ∘ (v − aᵀv).
///
/// The matrix diag a − a aᵀ is symmetric, so (∂a/∂z)ᵀ gives the same. All v are taken relative to
/// the v of the largest a, so that its entry does not cancel where a is near 1.
pub(crate) fn times_jacobian<T: Scalar>(a: DMatrixView<'_, T>, mut v: DMatrixViewMut<'_, T>) {
    if a.is_empty() {
        return;
    }
    for k in 0..a.ncols() {
        let (a_k, mut v_k) = (a.column(k), v.column_mut(k));
        let (a_k, v_k) = (a_k.as_slice(), v_k.as_mut_slice());
        let shift = v_k[index_of_max(a_k)];
        let mut mean = T::zero();
        for (v, &a) in v_k.iter_mut().zip(a_k) {
            *v -= shift;
            mean += a * *v;
        }
        for (v, &a) in v_k.iter_mut().zip(a_k) {
            *v = a * (*v - mean);
        }
    }
}

/// v ← (∂a/∂z) v and its derivative along ż.
///
/// With ȧ = a ∘ (ż − aᵀż) it is v̇ ← a ∘ (v̇ − aᵀv̇) + ȧ ∘ (v − aᵀv) − a (ȧᵀv). As in
/// [`times_jacobian`], v, v̇ and ż are relative to those of the largest a.
pub(crate) fn times_jacobian_tangent<T: Scalar>(
    a: DMatrixView<'_, T>,
    z_tangent: DMatrixView<'_, T>,
    mut v: DMatrixViewMut<'_, T>,
    mut v_tangent: DMatrixViewMut<'_, T>,
) {
    if a.is_empty() {
        return;
    }
    for k in 0..a.ncols() {
        let (a_k, moved_k) = (a.column(k), z_tangent.column(k));
        let (mut v_k, mut v_dot_k) = (v.column_mut(k), v_tangent.column_mut(k));
        let (a_k, moved_k) = (a_k.as_slice(), moved_k.as_slice());
        let (v_k, v_dot_k) = (v_k.as_mut_slice(), v_dot_k.as_mut_slice());
        let units = 0..a_k.len();
        let largest = index_of_max(a_k);
        let (shift, shift_dot, shift_moved) = (v_k[largest], v_dot_k[largest], moved_k[largest]);
        let (mut mean, mut mean_dot, mut mean_moved) = (T::zero(), T::zero(), T::zero());
        for i in units.clone() {
            v_k[i] -= shift;
            v_dot_k[i] -= shift_dot;
            mean += a_k[i] * v_k[i];
            mean_dot += a_k[i] * v_dot_k[i];
            mean_moved += a_k[i] * (moved_k[i] - shift_moved);
        }
        // ȧ/a for a unit.
        let rate = |i: usize| (moved_k[i] - shift_moved) - mean_moved;
        let turned = units
            .clone()
            .fold(T::zero(), |sum, i| sum + a_k[i] * rate(i) * v_k[i]);
        for i in units {
            let centred = v_k[i] - mean;
            v_dot_k[i] = a_k[i] * ((v_dot_k[i] - mean_dot) + rate(i) * centred - turned);
            v_k[i] = a_k[i] * centred;
        }
    }
}
