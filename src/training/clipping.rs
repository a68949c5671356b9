//! Gradients that are too large.

use super::optimizer::above_zero;
use crate::error::Error;
use crate::kernels::{all_finite, largest, norm};
use crate::scalar::{Scalar, real};

/// How a gradient g is cut to size before a step.
///
/// [`Norm`](Self::Norm) keeps its direction (Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063); [`Value`](Self::Value) does not.
///
/// # Example
/// ‖\[3, 4]‖ = 5. The 10⁻⁶ in the formula leaves a norm that is a little below the bound.
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
    /// g ← g · min(1, c/(‖g‖₂ + 10⁻⁶)) with the bound c > 0, as PyTorch's `clip_grad_norm_`.
    Norm(f64),
    /// Every entry into \[−c, c], c > 0, as PyTorch's `clip_grad_value_`.
    Value(f64),
}

impl Clipping {
    /// Whether the bound is finite and above 0, as a number of T too. [`apply`](Self::apply) does not ask.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`].
    pub fn validate<T: Scalar>(&self) -> Result<(), Error> {
        let (name, value) = match *self {
            Self::Norm(value) => ("the bound of the gradient's norm", value),
            Self::Value(value) => ("the bound of the gradient's entries", value),
        };
        above_zero::<T>(name, value)
    }

    /// Cuts the gradient to size, and returns the norm ‖g‖₂ that it had.
    ///
    /// Squares neither overflow nor underflow: a gradient of finite entries comes out with its direction even where its norm is too large for T,
    /// and is returned as ∞. A gradient with an entry that is not finite has a norm that is not, and is left by `Norm` as it is. (In PyTorch all of
    /// both become 0 or NaN.)
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
        // The norm is too large for T; that of its quotient by the largest entry is not.
        let largest = largest(gradient);
        gradient.iter_mut().for_each(|g| *g /= largest);
        let factor = bound / norm(gradient);
        gradient.iter_mut().for_each(|g| *g *= factor);
    }
}
