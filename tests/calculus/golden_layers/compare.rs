//! Compares what was computed with what a case expects.

use super::case::Case;
use super::fields::{Computed, Field};
use backprop::Workspace;
use std::collections::BTreeMap;

/// The bound in `f32`. It grows if rounding only the inputs moves the field by more than an eighth
/// of it.
const BOUND_F32: f64 = 1e-5;

/// A case and a field whose bound in `f32` is looser, because no computation that stores the
/// activations of each layer in `f32` can promise [`BOUND_F32`].
///
/// ∂J/∂γ of its first norm is a thousandth of its terms. Rounding every activation and error term
/// to the nearest `f32`, with all else in `f64`, leaves an error of 1.47e-5; with random roundings
/// of the same size, one computation in seven is above 1e-5. PyTorch's `f32` has 2.0e-5. This crate
/// has 0.7e-5 with fused products and 1.01e-5 without.
const BOUND_OF_ROUNDED: (&str, Field, f64) =
    ("batch_norm_train_stacked.json", Field::Grad, 1.47e-5);

/// The number of comparisons, and how closely they agreed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) worst_f64: Option<Worst>,
    pub(crate) worst_f32: Option<Worst>,
    /// The number of cases in which a field was compared.
    pub(crate) compared: BTreeMap<Field, usize>,
}

/// The comparison with the largest ratio of error and bound.
#[derive(Debug)]
pub(crate) struct Worst {
    pub(crate) ratio: f64,
    pub(crate) case: String,
    pub(crate) field: Field,
}

/// The file of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    /// Whether the case is too extreme for `f32`.
    pub(crate) extreme: bool,
}

impl Case {
    /// Compares every field and returns the failures.
    pub(crate) fn check(
        &self,
        file: File<'_>,
        workspace: &mut Workspace<f64>,
        tally: &mut Tally,
    ) -> Vec<String> {
        let mut failures = Vec::new();
        let found = match self.compute(|x| x, workspace) {
            Ok(found) => found,
            Err(failure) => return vec![failure],
        };
        for (field, found) in found {
            let bound = self.bound(field);
            match self.error(field, &found) {
                Ok(error) if within(error, bound) => {
                    worsen(&mut tally.worst_f64, error / bound, file, field);
                }
                Ok(error) => failures.push(failure(field, "f64", error, bound)),
                Err(failure) => failures.push(format!("{}: f64: {failure}", field.name())),
            }
            *tally.compared.entry(field).or_default() += 1;
        }
        if !file.extreme {
            failures.extend(self.check_f32(file, tally));
        }
        failures
    }

    fn check_f32(&self, file: File<'_>, tally: &mut Tally) -> Vec<String> {
        let mut failures = Vec::new();
        // The best that f32 can do: the same computation in f64, from inputs rounded to f32.
        let rounded = self.compute(|x| f64::from(x as f32), &mut Workspace::new());
        let single = self.compute(|x| x as f32, &mut Workspace::new());
        let (rounded, single) = match rounded.and_then(|rounded| Ok((rounded, single?))) {
            Ok(both) => both,
            Err(failure) => return vec![format!("f32: {failure}")],
        };
        for ((field, rounded), (_, found)) in rounded.iter().zip(&single) {
            let errors = self.error(*field, rounded);
            match errors.and_then(|e| Ok((e, self.error(*field, found)?))) {
                Ok((unavoidable, error)) => {
                    let bound = BOUND_F32.max(8.0 * unavoidable);
                    let (case, field_of, looser) = BOUND_OF_ROUNDED;
                    let bound = match (file.name, *field) == (case, field_of) {
                        true => bound.max(looser),
                        false => bound,
                    };
                    if within(error, bound) {
                        worsen(&mut tally.worst_f32, error / bound, file, *field);
                    } else {
                        failures.push(failure(*field, "f32", error, bound));
                    }
                }
                Err(failure) => failures.push(format!("{}: f32: {failure}", field.name())),
            }
        }
        failures
    }

    /// The error of a field, 0 for a refusal that the file expects.
    fn error(&self, field: Field, found: &Computed) -> Result<f64, String> {
        match (found, &self.expected[&field]) {
            (Ok(found), Some(expected)) => {
                Ok(relative_error(found, expected, self.zero_blocks(field)))
            }
            (Err(error), Some(_)) => Err(format!("refused: {error}")),
            (Ok(_), None) => Err("not refused".into()),
            (Err(_), None) => Ok(0.0),
        }
    }
}

/// The largest difference of a block divided by the largest entry expected in it. A block of zeros,
/// or one in `zero_blocks`, is measured against the whole field, and a field of zeros against 1.
/// Infinite if the lengths differ or a number is not finite.
pub(crate) fn relative_error(
    found: &[Vec<f64>],
    expected: &[Vec<f64>],
    zero_blocks: &[usize],
) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = |block: &[f64]| block.iter().fold(0.0, |max: f64, e| max.max(e.abs()));
    let whole = expected.iter().map(|block| largest(block));
    let whole = match whole.fold(0.0, f64::max) {
        0.0 => 1.0,
        whole => whole,
    };
    let mut worst = 0.0_f64;
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
        let differences: Vec<f64> = differences.collect();
        if found.len() != expected.len() || differences.iter().any(|d| !d.is_finite()) {
            return f64::INFINITY;
        }
        let scale = match largest(expected) {
            0.0 => whole,
            _ if zero_blocks.contains(&i) => whole,
            scale => scale,
        };
        worst = worst.max(largest(&differences) / scale);
    }
    worst
}

/// False if the error or the bound is infinite or NaN.
pub(crate) fn within(error: f64, bound: f64) -> bool {
    error <= bound && bound.is_finite()
}

fn failure(field: Field, scalar: &str, error: f64, bound: f64) -> String {
    format!("{}: {scalar} error {error:e} > {bound:e}", field.name())
}

fn worsen(worst: &mut Option<Worst>, ratio: f64, file: File<'_>, field: Field) {
    if worst.as_ref().is_none_or(|worst| ratio > worst.ratio) {
        let case = file.name.trim_end_matches(".json").to_owned();
        *worst = Some(Worst { ratio, case, field });
    }
}
