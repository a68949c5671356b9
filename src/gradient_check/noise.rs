//! Measures the rounding noise of a value.
//!
//! An a priori bound, ε |J|, is too small where terms of J cancel, and says nothing about an entry
//! of ∇J. So the rounding errors are measured, as Moré and Wild do. At points a few units in the
//! last place apart, the third difference of a smooth function vanishes, and what remains is
//! rounding. The third difference of errors with variance σ² has variance 20 σ² = (1 + 9 + 9 + 1)
//! σ².

use crate::error::Error;
use crate::scalar::{Scalar, real, to_f64};

/// The number of sample points. A jump between two of them affects three of the seven differences,
/// so it does not move their median.
pub(super) const SAMPLES: usize = 10;

/// The distance between sample points, in units of the machine precision.
const SPACING: f64 = 16.0;

/// The median of |x| of a normal x with variance 1.
const MEDIAN: f64 = 0.6745;

/// Returns the standard deviation of the rounding errors of equally spaced values; 0 if one is not
/// finite.
pub(super) fn level(values: &[f64; SAMPLES]) -> f64 {
    let third = |v: &[f64]| (v[3] - v[0] - 3.0 * (v[2] - v[1])).abs();
    let mut thirds = [0.0; SAMPLES - 3];
    for (third_difference, four) in thirds.iter_mut().zip(values.windows(4)) {
        *third_difference = third(four);
    }
    thirds.sort_by(f64::total_cmp);
    let level = thirds[thirds.len() / 2] / (MEDIAN * 20_f64.sqrt());
    if values.iter().all(|v| v.is_finite()) && level.is_finite() {
        level
    } else {
        0.0
    }
}

/// Returns the distances from the point at which to sample: a few units in the last place of
/// entries of size 1.
pub(super) fn places<T: Scalar>() -> [T; SAMPLES] {
    let spacing = SPACING * to_f64(T::default_epsilon());
    std::array::from_fn(|k| real((k + 1) as f64 * spacing))
}

/// Returns the noise of each entry of a vector. `samples` holds one sample of the vector after the
/// other.
pub(super) fn levels<T: Scalar>(samples: &[T], entries: usize) -> Vec<f64> {
    let of = |i: usize| {
        level(&std::array::from_fn(|k| {
            samples.get(k * entries + i).map_or(0.0, |&x| to_f64(x))
        }))
    };
    (0..entries).map(of).collect()
}

/// Returns the noise of a value along a line, at points spread over the step h. If they are so far
/// apart that the third difference sees curvature, the fifth sees less; its variance is 252 σ².
pub(super) fn along(
    value: &mut dyn FnMut(f64) -> Result<(f64, f64), Error>,
    h: f64,
) -> Result<f64, Error> {
    let mut values = [0.0; SAMPLES];
    for (k, v) in values.iter_mut().enumerate() {
        *v = value((k + 1) as f64 / SAMPLES as f64 * h)?.1;
    }
    let fifth = |v: &[f64]| (v[5] - v[0] - 5.0 * (v[4] - v[1]) + 10.0 * (v[3] - v[2])).abs();
    let mut fifths = [0.0; SAMPLES - 5];
    for (fifth_difference, six) in fifths.iter_mut().zip(values.windows(6)) {
        *fifth_difference = fifth(six);
    }
    fifths.sort_by(f64::total_cmp);
    Ok(level(&values).min(fifths[2] / (MEDIAN * 252_f64.sqrt())))
}
