//! The derivatives of δ of the built-in costs along a direction.

use super::{AnyCost, Outputs};
use crate::kernels::{self, Function, flat, flat_mut};
use crate::scalar::{Scalar, real, sigmoid_derivative};
use crate::softmax::times_jacobian;
use nalgebra::{DMatrixView, DMatrixViewMut};

impl AnyCost {
    /// δ̇, where `tangent` is ż if there is a z, else ȧ.
    pub(super) fn write_delta_tangent<T: Scalar>(
        self,
        at: Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        mut out: DMatrixViewMut<'_, T>,
    ) {
        let Outputs { z, a, y, .. } = at;
        let one = T::one();
        out.copy_from(&tangent);
        match (self, z) {
            (Self::SquaredError, _) => {}
            (Self::BinaryCrossEntropy, Some(z)) => scale_by_sigmoid_slope(z, out),
            // 1 − y is 1 − a.
            (Self::BinaryCrossEntropy, None) if at.at_outputs => {
                at.with_complements(&mut out, |out, a, rest, _| {
                    out * (curvature(a, a) + curvature(rest, rest))
                });
            }
            (Self::BinaryCrossEntropy, None) => at.with_complements(&mut out, |out, a, rest, y| {
                out * (curvature(y, a) + curvature(one - y, rest))
            }),
            // δ = a Σy − y.
            (Self::CategoricalCrossEntropy, Some(_)) => {
                times_jacobian(a, out.as_view_mut());
                for (mut out, y) in out.column_iter_mut().zip(y.column_iter()) {
                    out *= y.sum();
                }
            }
            (Self::CategoricalCrossEntropy | Self::Poisson, None) => {
                out.zip_zip_apply(&a, &y, |out, a, y| *out *= curvature(y, a));
            }
            (Self::Huber { delta }, _) => {
                let limit: T = real(delta);
                at.with_differences(&mut out, |out, d| {
                    if d.abs() <= limit {
                        out
                    } else if d.abs() > limit {
                        T::zero()
                    } else {
                        d // NaN
                    }
                });
            }
            // 1 − tanh² d = 4 σ′(2d).
            (Self::LogCosh, _) => at.with_differences(&mut out, |out, d| {
                out * (real::<T>(4.0) * sigmoid_derivative(d + d))
            }),
            (Self::Poisson, Some(_)) => out.zip_apply(&a, |out, a| *out *= a),
        }
    }
}

fn scale_by_sigmoid_slope<T: Scalar>(z: DMatrixView<'_, T>, mut out: DMatrixViewMut<'_, T>) {
    if let (Some(z), Some(out)) = (flat(&z), flat_mut(&mut out))
        && kernels::scale_by_slope(Function::Sigmoid, z, out)
    {
        return;
    }
    out.zip_apply(&z, |out, z| *out *= sigmoid_derivative(z));
}

/// y / a², which is 0 for y = 0 whatever a is; a² alone could underflow or overflow.
fn curvature<T: Scalar>(y: T, a: T) -> T {
    if y == T::zero() { T::zero() } else { y / a / a }
}
