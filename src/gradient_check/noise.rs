//! The rounding noise of a value: measured near a point, or derived from the outputs.
//!
//! An a priori bound, ε |J|, is too small where terms of J cancel, and there is none for an entry
//! of ∇J. The rounding errors are therefore measured, as Moré and Wild do. At points a few units in
//! the last place apart, the third divided difference Σ w v of a smooth function vanishes, and what
//! remains is rounding. For errors with variance σ² it has variance σ² Σ w².
//!
//! Near the edge of the cost's domain, outputs round the same way at all nearby points, so their
//! rounding errors, ε/2 · a, cannot be measured. Their effect on J and ∇J follows from the
//! derivatives of the cost.

use super::{nan, size};
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::link::Link;
use crate::network::Network;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::DMatrix;

/// The number of sample points. A jump between two of them affects three of the seven differences,
/// so it does not move their median.
pub(super) const SAMPLES: usize = 10;

/// The sample points, in units of a tenth of their range. The distances between them differ. Equal
/// distances may be a multiple of the spacing of values of type T, and then all values round alike.
const PLACES: [f64; SAMPLES] = [0.83, 2.06, 2.79, 4.17, 4.91, 6.34, 6.97, 8.14, 9.05, 10.0];

/// A tenth of the range of [`places`], in units of the machine precision.
const SPACING: f64 = 16.0;

/// The median of |x| of a normal x with variance 1.
const MEDIAN: f64 = 0.6745;

/// Returns the standard deviation of the rounding errors of values at [`PLACES`], or 0 if one is
/// not finite.
pub(super) fn level(values: &[f64; SAMPLES]) -> f64 {
    if values.iter().all(|v| v.is_finite()) {
        median_of::<4>(values)
    } else {
        0.0
    }
}

/// Returns the median of the divided differences of N values, as standard deviations of one value.
fn median_of<const N: usize>(values: &[f64; SAMPLES]) -> f64 {
    let windows = PLACES.windows(N).zip(values.windows(N));
    let mut levels: Vec<f64> = windows.map(|(x, v)| difference(x, v)).collect();
    levels.sort_by(f64::total_cmp);
    let level = levels[levels.len() / 2] / MEDIAN;
    if level.is_finite() { level } else { 0.0 }
}

/// Returns |Σ w v|/√Σ w², where Σ w v is the divided difference of the values v at the places x.
fn difference(x: &[f64], v: &[f64]) -> f64 {
    let weight = |i: usize| {
        let others = x.iter().enumerate().filter(|&(j, _)| j != i);
        others
            .map(|(_, other)| 1.0 / (x[i] - other))
            .product::<f64>()
    };
    let weights: Vec<f64> = (0..x.len()).map(weight).collect();
    // Σ w is 0, but not after rounding. Subtracting v₀ keeps its error from multiplying a large v.
    let sum: f64 = weights.iter().zip(v).map(|(w, x)| w * (x - v[0])).sum();
    sum.abs() / weights.iter().map(|w| w * w).sum::<f64>().sqrt()
}

/// Returns the distances from the point at which to sample: a few units in the last place of
/// entries of size 1.
pub(super) fn places<T: Scalar>() -> [T; SAMPLES] {
    let spacing = SPACING * to_f64(T::default_epsilon());
    PLACES.map(|place| real(place * spacing))
}

/// Returns the noise of each entry of a vector. `samples` holds the samples of the vector in
/// sequence.
pub(super) fn levels<T: Scalar>(samples: &[T], entries: usize) -> Vec<f64> {
    let entry = |i: usize| {
        level(&std::array::from_fn(|k| {
            samples.get(k * entries + i).map_or(0.0, |&x| to_f64(x))
        }))
    };
    (0..entries).map(entry).collect()
}

/// Returns the noise of a value along a line, at points spread over the step h. If they are so far
/// apart that the third difference contains curvature, the fifth contains less.
pub(super) fn along(
    value: &mut dyn FnMut(f64) -> Result<f64, Error>,
    h: f64,
) -> Result<f64, Error> {
    let mut values = [0.0; SAMPLES];
    for (v, place) in values.iter_mut().zip(PLACES) {
        *v = value(place / 10.0 * h)?;
    }
    let level = level(&values).min(median_of::<6>(&values));
    Ok(level.max(of_steps(&values)))
}

/// Returns the noise of values that stay constant between single jumps, as a sum with a much larger
/// term does: each jump is a rounding. Returns 0 for all other values.
fn of_steps(values: &[f64; SAMPLES]) -> f64 {
    let jumps: Vec<f64> = values.windows(2).map(|v| (v[1] - v[0]).abs()).collect();
    if jumps.windows(2).any(|pair| pair[0] > 0.0 && pair[1] > 0.0) {
        return 0.0;
    }
    // The standard deviation of an error spread evenly over the jump.
    jumps.into_iter().fold(0.0, f64::max) / 12_f64.sqrt()
}

/// Returns the outputs of a network, or `None` for a canonical pair whose cost is computed from z,
/// unless z is the output itself.
pub(super) fn outputs<T: Scalar, L: Layer<T>, C: Cost<T>>(
    network: &Network<T, L>,
    examples: &Examples<'_, T>,
    cost: &C,
    mut workspace: Workspace<T>,
) -> Result<Option<DMatrix<T>>, Error> {
    if network.is_canonical(cost) && cost.link() != Some(Link::Identity) {
        return Ok(None);
    }
    network.run_forward(network.point(), examples.x, &mut workspace)?;
    let a = workspace.output().ok_or(Error::NoLayers)?;
    Ok(Some(a.clone_owned()))
}

fn outputs_of<'a, T: Scalar>(a: &'a DMatrix<T>, examples: &Examples<'a, T>) -> Outputs<'a, T> {
    let mut outputs = Outputs::new(None, a.as_view(), examples.y);
    outputs.present = examples.present;
    outputs
}

/// Returns the noise of J that the rounding of the outputs causes: (ε/2) ‖w δ ∘ a‖/Σw with
/// δ = ∂cost/∂a.
pub(super) fn of_j<T: Scalar, C: Cost<T>>(
    a: &DMatrix<T>,
    examples: &Examples<'_, T>,
    cost: &C,
) -> f64 {
    let mut delta = DMatrix::repeat(a.nrows(), a.ncols(), nan());
    outputs_of(a, examples).delta(cost, delta.as_view_mut());
    let terms = delta.iter().zip(a).enumerate().map(|(i, (&delta, &a))| {
        let weight = examples.weights.map_or(1.0, |w| w[i / examples.y.nrows()]);
        weight * to_f64(delta) * to_f64(a)
    });
    let size = terms.filter(|x| x.is_finite()).fold(0.0, f64::hypot);
    0.5 * to_f64(T::default_epsilon()) * size / examples.weight
}

/// Returns the relative noise of δ, and so of ∇J, that the rounding of the outputs causes:
/// (ε/2) ‖(∂δ/∂a) a‖/‖δ‖ in the maximum norm.
pub(super) fn of_delta<T: Scalar, C: Cost<T>>(
    a: &DMatrix<T>,
    examples: &Examples<'_, T>,
    cost: &C,
) -> Result<f64, Error> {
    let outputs = outputs_of(a, examples);
    let mut delta = DMatrix::repeat(a.nrows(), a.ncols(), nan());
    outputs.delta(cost, delta.as_view_mut());
    let mut change = DMatrix::repeat(a.nrows(), a.ncols(), nan());
    outputs.delta_tangent(cost, &a.as_view(), change.as_view_mut())?;
    let noise = 0.5 * to_f64(T::default_epsilon()) * size(change.as_slice());
    let relative = noise / size(delta.as_slice());
    Ok(if relative.is_finite() { relative } else { 0.0 })
}
