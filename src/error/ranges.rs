//! Checks of the ranges of settings.

use super::{Error, hyperparameter};
use crate::scalar::{Scalar, real};

/// Returns [`Error::Hyperparameter`] unless the setting `holds`.
pub(crate) fn in_range(
    holds: bool,
    name: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(hyperparameter(name, value, expected))
}

/// Checks that a setting is finite and above 0, also when rounded to T.
pub(crate) fn above_zero<T: Scalar>(name: &'static str, value: f64) -> Result<(), Error> {
    let rounded = real::<T>(value);
    let holds = value > 0.0 && rounded > T::zero() && rounded.is_finite();
    let expected = if value > 0.0 && value.is_finite() {
        "a number in (0, ∞) that the scalar type can hold"
    } else {
        "a number in (0, ∞)"
    };
    in_range(holds, name, value, expected)
}

/// Checks that a setting is finite and not negative, also when rounded to T.
pub(crate) fn not_negative<T: Scalar>(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = value >= 0.0 && real::<T>(value).is_finite();
    in_range(holds, name, value, "a number in [0, ∞)")
}

/// Checks that a setting is in \[0, 1).
pub(crate) fn below_one(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = (0.0..1.0).contains(&value);
    in_range(holds, name, value, "a number in [0, 1)")
}

/// Checks that a setting is in (0, 1).
pub(crate) fn between_zero_and_one(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = value > 0.0 && value < 1.0;
    in_range(holds, name, value, "a number in (0, 1)")
}

/// Checks that a setting is in \[0, 1].
pub(crate) fn fraction(name: &'static str, value: f64) -> Result<(), Error> {
    let holds = (0.0..=1.0).contains(&value);
    in_range(holds, name, value, "a number in [0, 1]")
}
