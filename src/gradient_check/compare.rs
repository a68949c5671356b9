//! Compares the derivatives of a block with differences, and estimates the noise of both.

use super::judge::{Allowed, Outcome};
use super::line::{Along, Line, On};
use super::report::Report;
use super::{GradientCheck, Named, Settings, nan, noise, size, tangents};
use crate::cost::{Cost, Link, Outputs};
use crate::error::{Error, Location};
use crate::examples::Examples;
use crate::initialization::rng;
use crate::layer::Layer;
use crate::layout::allocate;
use crate::network::Network;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::DMatrix;
use std::collections::BTreeMap;

/// The point where a gradient is checked, with J and ∇J there.
pub(super) struct Start<'a, T> {
    pub(super) theta: &'a [T],
    pub(super) j: T,
    pub(super) gradient: &'a [T],
    /// The noise of J that is derived, not measured.
    pub(super) noise: f64,
}

impl GradientCheck {
    /// Compares `gradient` with differences of J around `theta`. `pass` returns J at a point, and
    /// writes ∇J if given a buffer.
    pub(super) fn compare<T: Scalar>(
        &self,
        blocks: &[Named],
        at: Start<'_, T>,
        mut pass: impl FnMut(&[T], Option<&mut [T]>) -> Result<T, Error>,
    ) -> Result<Report, Error> {
        let settings = self.settings::<T>()?;
        let Start {
            theta,
            j,
            gradient,
            noise,
        } = at;
        if !j.is_finite() {
            return Err(Error::NonFinite {
                at: Location::Objective,
                value: to_f64(j),
            });
        }
        let scale = to_f64(j).abs().max(size(gradient));
        let bounds = Bounds {
            settings,
            scale,
            many: false,
        };
        let (value_noise, claim_noise) = measured(theta, settings.step, &mut pass)?;
        let mut report = Report::new(to_f64(j), &settings);
        let mut random = rng(self.seed);
        for block in blocks {
            let range = block.start..block.start + block.len;
            let lines = self.lines(block, &mut random).map(|line| Candidate {
                analytic: line.derivative(&gradient[range.clone()]),
                h: settings.step * line.size(&theta[range.clone()]),
                value_noise,
                hidden_noise: noise,
                claim_noise: line.noise(&claim_noise[range.clone()]),
                line,
            });
            let mut along = Around {
                theta,
                point: theta.to_vec(),
                gradient: vec![nan(); theta.len()],
                block,
                pass: &mut pass,
            };
            bounds.compare(&mut report, block, lines, &mut along)?;
        }
        Ok(report)
    }
}

/// Measures the noise of J and of each entry of ∇J, moving all of θ by a few units in the last
/// place. That of J is measured a step away too: at an exact fit J is 0, and so is its noise, but not
/// beside it. If a pass fails, the noise counts as 0.
fn measured<T: Scalar>(
    theta: &[T],
    step: f64,
    pass: &mut impl FnMut(&[T], Option<&mut [T]>) -> Result<T, Error>,
) -> Result<(f64, Vec<f64>), Error> {
    let p = theta.len();
    let direction = tangents::direction(theta, 0);
    let samples = (p, noise::SAMPLES);
    let mut gradients = allocate("gradients beside the point", samples, nan::<T>())?;
    let [mut values, mut beside] = [[f64::NAN; noise::SAMPLES]; 2];
    for (k, t) in noise::places::<T>().into_iter().enumerate() {
        let point = tangents::moved(theta, Some(&direction), t + real(step));
        if let Ok(j) = pass(&point, None) {
            beside[k] = to_f64(j);
        }
        let point = tangents::moved(theta, Some(&direction), t);
        if let Ok(j) = pass(&point, Some(&mut gradients[k * p..][..p])) {
            values[k] = to_f64(j);
        }
    }
    let value_noise = noise::level(&values).max(noise::level(&beside));
    Ok((value_noise, noise::levels(&gradients, p)))
}

/// Returns the outputs of a network; `None` for a canonical pair, whose cost is computed from z, if z
/// is not the output itself.
///
/// Near the edge of the cost's domain, outputs round the same way at all nearby points. So their
/// rounding errors, ε/2 · a, cannot be measured. Their effect on J and ∇J follows from the
/// derivatives of the cost.
pub(super) fn outputs<T: Scalar, L: Layer<T>, C: Cost<T>>(
    network: &Network<T, L>,
    examples: &Examples<'_, T>,
    cost: &C,
) -> Result<Option<DMatrix<T>>, Error> {
    if network.is_canonical(cost) && cost.link() != Some(Link::Identity) {
        return Ok(None);
    }
    let mut workspace = Workspace::for_one_call();
    network.run_forward(network.theta().as_slice(), examples.x, &mut workspace)?;
    let a = workspace.output().ok_or(Error::NoLayers)?;
    Ok(Some(a.clone_owned()))
}

/// Returns the noise of J that the rounding of the outputs causes: (ε/2) ‖w δ ∘ a‖/Σw with
/// δ = ∂cost/∂a.
pub(super) fn noise_of_j<T: Scalar, C: Cost<T>>(
    a: &DMatrix<T>,
    examples: &Examples<'_, T>,
    cost: &C,
) -> f64 {
    let mut delta = DMatrix::repeat(a.nrows(), a.ncols(), nan());
    let outputs = Outputs::new(None, a.as_view(), examples.y);
    cost.delta(outputs, delta.as_view_mut());
    let terms = delta.iter().zip(a).enumerate().map(|(i, (&delta, &a))| {
        let weight = examples.weights.map_or(1.0, |w| w[i / examples.y.nrows()]);
        weight * to_f64(delta) * to_f64(a)
    });
    let size = terms.filter(|x| x.is_finite()).fold(0.0, f64::hypot);
    0.5 * to_f64(T::default_epsilon()) * size / examples.weight
}

/// Returns the relative noise of δ, and so of ∇J, that the rounding of the outputs causes:
/// (ε/2) ‖(∂δ/∂a) a‖/‖δ‖ in the maximum norm.
pub(super) fn noise_of_delta<T: Scalar, C: Cost<T>>(
    a: &DMatrix<T>,
    examples: &Examples<'_, T>,
    cost: &C,
) -> Result<f64, Error> {
    let outputs = Outputs::new(None, a.as_view(), examples.y);
    let mut delta = DMatrix::repeat(a.nrows(), a.ncols(), nan());
    cost.delta(outputs, delta.as_view_mut());
    let mut change = DMatrix::repeat(a.nrows(), a.ncols(), nan());
    cost.delta_tangent(outputs, a.as_view(), change.as_view_mut())?;
    let noise = 0.5 * to_f64(T::default_epsilon()) * size(change.as_slice());
    let relative = noise / size(delta.as_slice());
    Ok(if relative.is_finite() { relative } else { 0.0 })
}

/// The largest value of each column, and of the whole block.
#[derive(Default)]
pub(super) struct Norms {
    columns: BTreeMap<usize, f64>,
    all: f64,
}

impl Norms {
    pub(super) fn add(&mut self, column: Option<usize>, size: f64) {
        self.all = self.all.max(size);
        if let Some(column) = column {
            let norm = self.columns.entry(column).or_insert(0.0);
            *norm = norm.max(size);
        }
    }

    pub(super) fn of(&self, column: Option<usize>) -> f64 {
        column
            .and_then(|c| self.columns.get(&c))
            .copied()
            .unwrap_or(self.all)
    }
}

/// J around θ, along lines within a block.
struct Around<'a, T, F> {
    theta: &'a [T],
    point: Vec<T>,
    gradient: Vec<T>,
    block: &'a Named,
    pass: &'a mut F,
}

impl<T: Scalar, F: FnMut(&[T], Option<&mut [T]>) -> Result<T, Error>> Along for Around<'_, T, F> {
    fn value(&mut self, line: &Line, t: f64) -> Result<(f64, f64), Error> {
        let start = self.block.start;
        let moved = line.move_to(self.theta, &mut self.point, start, t);
        let found = (self.pass)(&self.point, None).map(to_f64);
        line.move_to(self.theta, &mut self.point, start, 0.0);
        Ok((moved, found?))
    }

    fn claim(&mut self, line: &Line, t: f64) -> Result<f64, Error> {
        let Named { start, len, .. } = *self.block;
        line.move_to(self.theta, &mut self.point, start, t);
        let found = (self.pass)(&self.point, Some(&mut self.gradient));
        line.move_to(self.theta, &mut self.point, start, 0.0);
        found?;
        Ok(line.derivative(&self.gradient[start..start + len]))
    }
}

/// A derivative to compare: its line, the analytic value, the step, and the noise.
pub(super) struct Candidate {
    pub(super) line: Line,
    pub(super) analytic: f64,
    pub(super) h: f64,
    pub(super) value_noise: f64,
    pub(super) hidden_noise: f64,
    pub(super) claim_noise: f64,
}

/// How large a difference may be.
pub(super) struct Bounds {
    pub(super) settings: Settings,
    /// What the floor is relative to.
    pub(super) scale: f64,
    /// Whether many units move at once.
    pub(super) many: bool,
}

impl Bounds {
    /// Compares a block along lines.
    pub(super) fn compare(
        &self,
        report: &mut Report,
        block: &Named,
        lines: impl Iterator<Item = Candidate>,
        along: &mut dyn Along,
    ) -> Result<(), Error> {
        let Settings {
            relative,
            floor,
            precision,
            ..
        } = self.settings;
        let mut compared = Vec::new();
        let (mut norms, mut noises) = (Norms::default(), Norms::default());
        // Two rounds: the bounds of the second depend on all derivatives of the first.
        for mut candidate in lines {
            let line = &candidate.line;
            let (numeric, size) = On::new(line, along).central_and_size(candidate.h)?;
            let outcome = Outcome::new(candidate.analytic, numeric, candidate.h);
            let column = line.column(block.rows);
            norms.add(column, outcome.size());
            noises.add(column, candidate.claim_noise);
            candidate.value_noise = candidate.value_noise.max(0.5 * precision * size);
            compared.push((candidate, outcome));
        }
        let mut outcomes = Vec::with_capacity(compared.len());
        for (candidate, mut outcome) in compared {
            let line = candidate.line;
            let column = line.column(block.rows);
            let norm = norms.of(column);
            let allowed = Allowed {
                tolerance: relative * norm,
                floor: floor * self.scale,
                value_noise: candidate.value_noise,
                hidden_noise: candidate.hidden_noise,
                claim_noise: noises.of(column),
                norm,
                precision,
                many: self.many,
            };
            outcome.judge(&mut On::new(&line, along), allowed)?;
            outcomes.push((line, outcome));
        }
        report.push(block, &outcomes);
        Ok(())
    }
}
