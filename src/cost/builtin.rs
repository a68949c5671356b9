//! The built-in costs. The module documentation gives their formulas.

use super::formulas::{
    binary_cross_entropy_of_z, categorical_cross_entropy_delta, categorical_cross_entropy_of_z,
    curvature, first_violation, ratio, scale_by_sigmoid_slope, sum_of_pairs, x_ln_a,
};
use super::outputs::sigmoid_split;
use super::{Cost, Link, Outputs, Violation};
use crate::activation::AnyActivation;
use crate::error::{Error, ranges::above_zero};
use crate::kernels::plain_softmax::times_jacobian;
use crate::kernels::squash::{OutputSlices, Squash, Window, differences};
use crate::kernels::{costs, flat, flat_mut, squash};
use crate::scalar::{Scalar, ln_cosh, real, sigmoid_derivative, tanh};
use nalgebra::{DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// The built-in costs. The [module documentation](super) has a table of their formulas.
///
/// The variants are re-exported, so you can write `Objective::new(BinaryCrossEntropy)`.
///
/// # Example
/// One unit with a = 0.8 and y = 1 costs −ln 0.8:
/// ```
/// use backprop::cost::{Cost, BinaryCrossEntropy, Outputs};
/// use backprop::nalgebra::DMatrix;
///
/// let (a, y) = (DMatrix::repeat(1, 1, 0.8), DMatrix::repeat(1, 1, 1.0));
/// let mut values = [0.0];
/// BinaryCrossEntropy.values(&Outputs::new(None, a.as_view(), y.as_view()), &mut values);
/// assert!((values[0] - 0.223_143_551_314_209_7_f64).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum AnyCost {
    /// −Σ \[y ln a + (1 − y) ln(1 − a)], summed over independent outputs. Targets in \[0, 1] may be
    /// soft.
    ///
    /// Derivation: [(5)](crate::derivation#cross-entropy) and
    /// [(9)](crate::derivation#output-error).
    #[doc(alias("BCEWithLogitsLoss", "log_loss"))]
    #[doc(alias = "BCE")]
    #[doc(alias = "CrossEntropy")]
    #[cfg_attr(feature = "serde", serde(alias = "cross_entropy"))]
    BinaryCrossEntropy,
    /// −Σ y ln a. The targets of an example need not sum to 1.
    ///
    /// Derivation: [(15)](crate::derivation#softmax-error).
    #[doc(alias("CCE", "CrossEntropyLoss", "NLLLoss", "softmax_cross_entropy"))]
    CategoricalCrossEntropy,
    /// ½ Σ (a − y)².
    ///
    /// Derivation: [(16)](crate::derivation#other-pairs).
    #[doc(alias("MSE", "MSELoss", "mean_squared_error"))]
    SquaredError,
    /// Σ ½ (a − y)² up to |a − y| = δ, linear beyond (Huber 1964, doi:10.1214/aoms/1177703732).
    #[doc(alias("HuberLoss", "SmoothL1Loss"))]
    Huber {
        /// δ > 0, in the units of the targets.
        delta: f64,
    },
    /// Σ ln cosh(a − y).
    LogCosh,
    /// Σ a − y ln a: the negative log-likelihood of counts y with mean a, without its constant ln
    /// y!.
    ///
    /// Derivation: [(16)](crate::derivation#other-pairs).
    #[doc(alias = "PoissonNLLLoss")]
    Poisson,
}

impl<T: Scalar> Cost<T> for AnyCost {
    fn as_builtin(&self) -> Option<AnyCost> {
        Some(*self)
    }

    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        if self.fast_values(at, values) {
            return;
        }
        let (half, one) = (real::<T>(0.5), T::one());
        match (*self, at.z) {
            (Self::BinaryCrossEntropy, Some(z)) => {
                sum_of_pairs(z, at.y, values, binary_cross_entropy_of_z);
            }
            (Self::BinaryCrossEntropy, None) => at.sum_with_complements(values, |a, rest, y| {
                -x_ln_a(y, a, rest) - x_ln_a(one - y, rest, a)
            }),
            (Self::CategoricalCrossEntropy, Some(z)) => {
                categorical_cross_entropy_of_z(z, at.y, values);
            }
            (Self::CategoricalCrossEntropy, None) => {
                at.sum_with_complements(values, |a, rest, y| -x_ln_a(y, a, rest));
            }
            (Self::SquaredError, _) => at.sum_of_differences(values, |d| half * d * d),
            (Self::Huber { delta }, _) => {
                let delta: T = real(delta);
                at.sum_of_differences(values, |d| {
                    let d = d.abs();
                    if d <= delta {
                        half * d * d
                    } else {
                        delta * (d - half * delta)
                    }
                });
            }
            (Self::LogCosh, _) => at.sum_of_differences(values, ln_cosh),
            (Self::Poisson, Some(z)) => {
                sum_of_pairs(z, at.y, values, |z, y| z.exp() - y * z);
            }
            (Self::Poisson, None) => {
                at.sum_with_complements(values, |a, rest, y| a - x_ln_a(y, a, rest));
            }
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        if self.fast_delta(at, &mut delta) {
            return;
        }
        let Outputs { z, a, y, .. } = *at;
        match (*self, z) {
            (Self::BinaryCrossEntropy, Some(z)) => delta.zip_zip_apply(&z, &y, |out, z, y| {
                let (base, offset) = sigmoid_split(z);
                *out = (base - y) + offset;
            }),
            (Self::Poisson, Some(z)) => {
                at.activated_by(AnyActivation::Exponential, z)
                    .write_differences(&mut delta);
            }
            (Self::CategoricalCrossEntropy, Some(z)) => {
                categorical_cross_entropy_delta(z, a, y, delta);
            }
            (Self::CategoricalCrossEntropy, None) => {
                delta.zip_zip_apply(&a, &y, |out, a, y| *out = -ratio(y, a));
            }
            (Self::SquaredError, _) => at.write_differences(&mut delta),
            (Self::Huber { delta: limit }, _) => {
                let limit: T = real(limit);
                at.write_differences(&mut delta);
                delta.apply(|d| {
                    if *d > limit {
                        *d = limit;
                    } else if *d < -limit {
                        *d = -limit;
                    }
                });
            }
            (Self::LogCosh, _) => {
                at.write_differences(&mut delta);
                delta.apply(|d| *d = tanh(*d));
            }
            // (1 − y)/(1 − a) − y/a = (a − y)/(a (1 − a)). The right side replaces the left where
            // the left cancels.
            (Self::BinaryCrossEntropy, None) => {
                at.write_differences(&mut delta);
                at.with_complements(&mut delta, |d, a, rest, y| {
                    let (up, down) = (ratio(T::one() - y, rest), ratio(y, a));
                    if (up - down).abs() < up * real(0.5) {
                        d / a / rest
                    } else {
                        up - down
                    }
                });
            }
            // 1 − y/a = (a − y)/a. The right side replaces the left where the left cancels.
            (Self::Poisson, None) => {
                at.write_differences(&mut delta);
                delta.zip_zip_apply(&a, &y, |d, a, y| {
                    *d = if d.abs() < a * real(0.5) {
                        *d / a
                    } else {
                        T::one() - ratio(y, a)
                    };
                });
            }
        }
    }

    fn link(&self) -> Option<Link> {
        Some(match self {
            Self::BinaryCrossEntropy => Link::Logit,
            Self::CategoricalCrossEntropy => Link::Softmax,
            Self::SquaredError | Self::Huber { .. } | Self::LogCosh => Link::Identity,
            Self::Poisson => Link::Log,
        })
    }

    fn target_domain(&self) -> (f64, f64) {
        match self {
            Self::BinaryCrossEntropy => (0.0, 1.0),
            Self::CategoricalCrossEntropy | Self::Poisson => (0.0, f64::INFINITY),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    fn check_outputs(&self, a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Violation> {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::BinaryCrossEntropy => first_violation(
                a,
                y,
                "in (0, 1), or 0 where y = 0, or 1 where y = 1",
                |a, y| (a > zero || a == zero && y == zero) && (a < one || a == one && y == one),
            ),
            Self::CategoricalCrossEntropy | Self::Poisson => {
                first_violation(a, y, "in (0, ∞), or 0 where y = 0", |a, y| {
                    a > zero || a == zero && y == zero
                })
            }
            _ => Ok(()),
        }
    }

    fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Huber { delta } => above_zero::<T>("the delta of Huber", delta),
            _ => Ok(()),
        }
    }

    /// The classes of the categorical cross-entropy belong together. The other costs are sums over
    /// the outputs.
    fn target_group(&self, unit: usize, outputs: usize) -> Range<usize> {
        match self {
            Self::CategoricalCrossEntropy => 0..outputs,
            _ => unit..unit + 1,
        }
    }

    fn is_log_likelihood(&self) -> bool {
        !matches!(self, Self::Huber { .. } | Self::LogCosh)
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        mut out: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        let Outputs { z, a, y, .. } = *at;
        let one = T::one();
        out.copy_from(&tangent);
        match (*self, z) {
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
        Ok(())
    }
}

/// The vectorised loops, for canonical pairs and the squared error. They return false, and write
/// nothing, if there is no such loop.
impl AnyCost {
    fn fast_values<T: Scalar>(self, at: &Outputs<'_, T>, values: &mut [T]) -> bool {
        let rows = at.a.nrows();
        let z = at.z.as_ref().and_then(flat);
        let (Some(a), Some(y)) = (flat(&at.a), flat(&at.y)) else {
            return false;
        };
        match (self, z) {
            (Self::BinaryCrossEntropy, Some(z)) => costs::binary_cross_entropy(rows, z, y, values),
            (Self::CategoricalCrossEntropy, Some(z)) => {
                costs::categorical_cross_entropy(rows, OutputSlices { z, a, y }, values)
            }
            (Self::SquaredError, _) if at.exact.is_none() => {
                costs::squared_error(rows, a, y, values)
            }
            _ => false,
        }
    }

    fn fast_delta<T: Scalar>(self, at: &Outputs<'_, T>, delta: &mut DMatrixViewMut<'_, T>) -> bool {
        let (rows, z) = (at.a.nrows(), at.z.as_ref().and_then(flat));
        let (Some(a), Some(y), Some(delta)) = (flat(&at.a), flat(&at.y), flat_mut(delta)) else {
            return false;
        };
        match (self, z) {
            (Self::BinaryCrossEntropy, Some(z)) => costs::binary_cross_entropy_delta(z, y, delta),
            (Self::CategoricalCrossEntropy, Some(z)) => {
                squash::categorical_cross_entropy_delta(rows, OutputSlices { z, a, y }, delta)
            }
            (Self::Poisson, Some(z)) => {
                let window = Window { rows, start: 0 };
                let at = OutputSlices { z, a, y };
                differences(Squash::Exponential, window, at, delta)
            }
            _ => false,
        }
    }
}
