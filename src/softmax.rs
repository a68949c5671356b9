//! Softmax and its Jacobian matrix as plain loops, for the activation and for the cost that is computed through it.
//!
//! All matrices are K × m, one example a column.

use crate::kernels::index_of_max;
use crate::kernels::squash::NEAR;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// a = softmax(z), shifted by the largest z of the example, so that no exponential overflows.
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

/// aᵢ t − yᵢ of unit i, from y = yᵢ, `others` = t − yᵢ and t, which is Σy or 1, as aᵢ (t − yᵢ) − yᵢ (1 − aᵢ).
///
/// For the largest a, 1 − aᵢ is the sum of the others. Where the two terms nearly cancel and
/// several z are near the largest, it is (uᵢ t − yᵢ Σu)/Σu with u = e^(z − max z), with each u near
/// 1 written as 1 + (u − 1).
pub(crate) fn error_of_unit<T: Scalar>(
    (z, a): (&[T], &[T]),
    i: usize,
    (y, others, t): (T, T, T),
) -> T {
    let rest = match i == index_of_max(a) {
        true => sum_but(a, i),
        false => T::one() - a[i],
    };
    let gain = a[i] * others;
    let d = gain - y * rest;
    if d.abs() < gain * real(0.5) {
        return error_near_the_top((z, a), i, (y, t)).unwrap_or(d);
    }
    d
}

/// The sum of all but xᵢ.
pub(crate) fn sum_but<T: Scalar>(x: &[T], i: usize) -> T {
    let (before, after) = (x[..i].iter(), x[i + 1..].iter());
    before.chain(after).fold(T::zero(), |sum, &x| sum + x)
}

/// [`error_of_unit`] for a unit near the largest, if at least two are.
fn error_near_the_top<T: Scalar>((z, a): (&[T], &[T]), i: usize, (y, t): (T, T)) -> Option<T> {
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

/// v ← a ∘ (v − aᵀv), all relative to the v of the largest a, so that its own entry does not cancel where a is near 1.
///
/// That is v ← (∂a/∂z) v, and with (∂a/∂z)ᵀ the same: the matrix diag a − a aᵀ is symmetric.
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

/// v ← (∂a/∂z) v and its derivative along ż: v̇ ← a ∘ (v̇ − aᵀv̇) + ȧ ∘ (v − aᵀv) − a (ȧᵀv), ȧ = a ∘ (ż − aᵀż).
///
/// v, v̇ and ż relative to those of the largest a, as in [`times_jacobian`].
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
        // ȧ/a of a unit.
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
