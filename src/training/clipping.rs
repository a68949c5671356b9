//! Gradient clipping.

use crate::error::{Error, ranges::above_zero};
use crate::kernels::{all_finite, largest, norm};
use crate::scalar::{Scalar, real};

/// Gradient clipping: bounds the gradient g before a step.
///
/// [`Norm`](Self::Norm) keeps the direction of g (Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063).
/// [`Value`](Self::Value) does not.
///
/// # Example
/// ‖\[3, 4]‖ = 5. The 10⁻⁶ in the formula leaves the norm slightly below the bound.
/// ```
/// use backprop::training::Clipping;
///
/// let mut gradient = [3.0_f64, 4.0];
/// assert_eq!(Clipping::Norm(1.0).apply(&mut gradient), 5.0);
/// assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
///
/// let mut gradient = [3.0, -4.0, 0.5];
/// Clipping::Value(1.0).apply(&mut gradient);
/// assert_eq!(gradient, [1.0, -1.0, 0.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[doc(alias("clip_grad_norm_", "clip_grad_value_"))]
#[non_exhaustive]
pub enum Clipping {
    /// g ← g · min(1, c/(‖g‖₂ + 10⁻⁶)) with the bound c > 0, like PyTorch's `clip_grad_norm_`.
    Norm(f64),
    /// Clamps every entry to \[−c, c] with the bound c > 0, like PyTorch's `clip_grad_value_`.
    Value(f64),
}

impl Clipping {
    /// Checks that the bound is finite and above 0, also when rounded to T. [`apply`](Self::apply)
    /// does not check this.
    ///
    /// # Errors
    /// Returns [`Error::Hyperparameter`] if it is not.
    pub fn validate<T: Scalar>(&self) -> Result<(), Error> {
        let (name, value) = match *self {
            Self::Norm(value) => ("the bound of the gradient's norm", value),
            Self::Value(value) => ("the bound of the gradient's entries", value),
        };
        above_zero::<T>(name, value)
    }

    /// Clips the gradient, and returns its norm ‖g‖₂ before clipping.
    ///
    /// Squares neither overflow nor underflow, so a finite gradient keeps its direction even if its
    /// norm is too large for T. Such a norm is returned as ∞. A gradient with a non-finite entry
    /// has a non-finite norm, and `Norm` leaves it unchanged. (PyTorch sets all entries to 0 or NaN
    /// in both cases.)
    pub fn apply<T: Scalar>(&self, gradient: &mut [T]) -> T {
        let before = norm(gradient);
        match *self {
            Self::Norm(bound) => clip_norm(gradient, before, real(bound)),
            Self::Value(bound) => {
                let bound: T = real(bound);
                for g in gradient {
                    let below = if *g > bound { bound } else { *g };
                    *g = if below < -bound { -bound } else { below };
                }
            }
        }
        before
    }
}

fn clip_norm<T: Scalar>(gradient: &mut [T], before: T, bound: T) {
    if before.is_finite() {
        let factor = bound / (before + real(1e-6));
        if factor < T::one() {
            gradient.iter_mut().for_each(|g| *g *= factor);
        }
    } else if all_finite(gradient) {
        // The norm is too large for T, but not after division by the largest entry.
        let largest = largest(gradient);
        gradient.iter_mut().for_each(|g| *g /= largest);
        let factor = bound / norm(gradient);
        gradient.iter_mut().for_each(|g| *g *= factor);
    }
}
