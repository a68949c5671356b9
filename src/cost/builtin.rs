//! The built-in costs. Formulas: the table of the module documentation.

use super::outputs::sigmoid_parts;
use super::{Cost, Link, Outputs, Violation};
use crate::error::Error;
use crate::kernels::squash::{
    Place, Squash, categorical_delta as categorical_delta_of, differences,
};
use crate::kernels::{costs, flat, flat_mut, index_of_max};
use crate::scalar::{Scalar, ln_cosh, real, tanh};
use crate::softmax::{error_of_unit, sum_but};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The built-in costs; the [module documentation](super) has the table of their formulas.
///
/// The variants are re-exported, so that an objective reads `Objective::new(BinaryCrossEntropy)`.
///
/// # Example
/// −ln 0.8 for one unit with a = 0.8 and y = 1:
/// ```
/// use backprop::cost::{Cost, BinaryCrossEntropy, Outputs};
/// use backprop::nalgebra::DMatrix;
///
/// let (a, y) = (DMatrix::repeat(1, 1, 0.8), DMatrix::repeat(1, 1, 1.0));
/// let mut values = [0.0];
/// BinaryCrossEntropy.values(Outputs::new(None, a.as_view(), y.as_view()), &mut values);
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
    /// −Σ \[y ln a + (1 − y) ln(1 − a)], the course's cost: binary, summed over the outputs; y may be soft.
    ///
    /// Derivation: [(5)](crate::derivation#cross-entropy) and [(9)](crate::derivation#output-error).
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
    /// Quadratic up to |a − y| = δ, linear beyond (Huber 1964, doi:10.1214/aoms/1177703732).
    #[doc(alias("HuberLoss", "SmoothL1Loss"))]
    Huber {
        /// δ > 0, in the units of the targets.
        delta: f64,
    },
    /// Σ ln cosh(a − y).
    LogCosh,
    /// Σ a − y ln a: the negative log-likelihood of counts y with mean a, without the constant ln y!.
    ///
    /// Derivation: [(16)](crate::derivation#other-pairs).
    #[doc(alias = "PoissonNLLLoss")]
    Poisson,
}

impl<T: Scalar> Cost<T> for AnyCost {
    fn values(&self, at: Outputs<'_, T>, values: &mut [T]) {
        if self.fast_values(&at, values) {
            return;
        }
        let (half, one) = (real::<T>(0.5), T::one());
        match (*self, at.z) {
            (Self::BinaryCrossEntropy, Some(z)) => {
                sum_over_units(z, at.y, values, cross_entropy_of_z)
            }
            (Self::BinaryCrossEntropy, None) => at.sum_with_complements(values, |a, rest, y| {
                -x_ln_a(y, a, rest) - x_ln_a(one - y, rest, a)
            }),
            (Self::CategoricalCrossEntropy, Some(z)) => categorical_of_z(z, at.y, values),
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
                sum_over_units(z, at.y, values, |z, y| z.exp() - y * z);
            }
            (Self::Poisson, None) => {
                at.sum_with_complements(values, |a, rest, y| a - x_ln_a(y, a, rest));
            }
        }
    }

    fn delta(&self, at: Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        if self.fast_delta(&at, &mut delta) {
            return;
        }
        let Outputs { z, a, y, .. } = at;
        match (*self, z) {
            (Self::BinaryCrossEntropy, Some(z)) => delta.zip_zip_apply(&z, &y, |out, z, y| {
                let (base, offset) = sigmoid_parts(z);
                *out = (base - y) + offset;
            }),
            (Self::Poisson, Some(z)) => {
                at.squashed(Squash::Exponential, z)
                    .write_differences(&mut delta);
            }
            (Self::CategoricalCrossEntropy, Some(z)) => categorical_delta(z, a, y, delta),
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
            // (1 − y)/(1 − a) − y/a = (a − y)/(a (1 − a)): the right side where the left cancels.
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
            // 1 − y/a = (a − y)/a: the right side where the left cancels.
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
                first_violation(a, y, "above 0, or 0 where y = 0", |a, y| {
                    a > zero || a == zero && y == zero
                })
            }
            _ => Ok(()),
        }
    }

    fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Huber { delta }
                if !(real::<T>(delta) > T::zero() && real::<T>(delta).is_finite()) =>
            {
                Err(Error::Hyperparameter {
                    name: "delta of Huber",
                    value: delta,
                    expected: "a finite number above 0",
                })
            }
            _ => Ok(()),
        }
    }

    fn is_log_likelihood(&self) -> bool {
        !matches!(self, Self::Huber { .. } | Self::LogCosh)
    }

    fn delta_tangent(
        &self,
        at: Outputs<'_, T>,
        tangent: DMatrixView<'_, T>,
        delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        self.write_delta_tangent(at, tangent, delta_tangent);
        Ok(())
    }
}

/// The canonical pairs and the squared error by vectorised loops; false where there is none, and nothing is written then.
impl AnyCost {
    fn fast_values<T: Scalar>(self, at: &Outputs<'_, T>, values: &mut [T]) -> bool {
        let rows = at.a.nrows();
        let z = at.z.as_ref().and_then(flat);
        let (Some(a), Some(y)) = (flat(&at.a), flat(&at.y)) else {
            return false;
        };
        match (self, z) {
            (Self::BinaryCrossEntropy, Some(z)) => costs::cross_entropy(rows, z, y, values),
            (Self::CategoricalCrossEntropy, Some(z)) => costs::categorical(rows, z, a, y, values),
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
            (Self::BinaryCrossEntropy, Some(z)) => costs::cross_entropy_delta(z, y, delta),
            (Self::CategoricalCrossEntropy, Some(z)) => {
                categorical_delta_of(rows, (z, a, y), delta)
            }
            (Self::Poisson, Some(z)) => {
                let place = Place { rows, start: 0 };
                differences(Squash::Exponential, place, (z, a, y), delta)
            }
            _ => false,
        }
    }
}

/// The cost of each example as a sum over its units.
fn sum_over_units<T: Scalar>(
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

/// −y ln σ(z) − (1 − y) ln(1 − σ(z)) = max(z, 0) − y z + ln(1 + e^(−|z|)).
fn cross_entropy_of_z<T: Scalar>(z: T, y: T) -> T {
    // One branch a sign, each smooth: |z| has no derivative at 0, but this function has.
    if z > T::zero() {
        (T::one() - y) * z + (-z).exp().ln_1p()
    } else {
        -y * z + z.exp().ln_1p()
    }
}

/// aᵢ Σy − yᵢ, computed without cancellation.
fn categorical_delta<T: Scalar>(
    z: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    y: DMatrixView<'_, T>,
    mut delta: DMatrixViewMut<'_, T>,
) {
    for k in 0..y.ncols() {
        let (z_k, a_k, y_k) = (z.column(k), a.column(k), y.column(k));
        let (z_k, a_k, y_k) = (z_k.as_slice(), a_k.as_slice(), y_k.as_slice());
        let total = y_k.iter().fold(T::zero(), |sum, &y| sum + y);
        let largest = index_of_max(a_k);
        for (i, out) in delta.column_mut(k).as_mut_slice().iter_mut().enumerate() {
            let others = match i == largest {
                true => sum_but(y_k, i),
                false => total - y_k[i],
            };
            *out = error_of_unit((z_k, a_k), i, (y_k[i], others, total));
        }
    }
}

/// Σᵢ yᵢ (ln Σⱼ e^(zⱼ − max z) − (zᵢ − max z)), whose terms are all ≥ 0.
fn categorical_of_z<T: Scalar>(z: DMatrixView<'_, T>, y: DMatrixView<'_, T>, values: &mut [T]) {
    if z.is_empty() {
        return values.fill(T::zero());
    }
    for (k, value) in values.iter_mut().enumerate() {
        let (z_k, y_k) = (z.column(k), y.column(k));
        let (z_k, y_k) = (z_k.as_slice(), y_k.as_slice());
        // The largest term of the inner sum is 1: left out and put back by ln(1 + …), it hides none of the others.
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
            // As x ln y: nothing for y = 0, even where z − shift overflows.
            if y == T::zero() {
                sum
            } else {
                sum + y * (log_total - (z - shift))
            }
        });
    }
}

/// x ln a, or 0 if x is 0, whatever a is. `rest` is 1 − a, which is more precise than a near 1.
fn x_ln_a<T: Scalar>(x: T, a: T, rest: T) -> T {
    if x == T::zero() {
        T::zero()
    } else if a > real(0.5) && a < real(2.0) {
        x * (-rest).ln_1p()
    } else {
        x * a.ln()
    }
}

/// x / y, which is 0 for x = 0 whatever y is.
fn ratio<T: Scalar>(x: T, y: T) -> T {
    if x == T::zero() { T::zero() } else { x / y }
}

/// The first entry at which `allowed` is false; false for NaN as well.
fn first_violation<T: Scalar>(
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
