//! Training passes that have to agree: the same pass again, in two parts, with another seed, and
//! with fixed statistics.

use super::line::{CheckedBlock, cotangent};
use super::single_layer::{Arguments, SingleLayer};
use super::{GradientCheck, Report};
use crate::error::Error;
use crate::kernels::columns;
use crate::layer::Layer;
use crate::point::check_state;
use crate::scalar::Scalar;

/// The results of a forward and a backward pass.
struct Passed<T> {
    output: Vec<T>,
    gradient: Vec<T>,
    below: Vec<T>,
}

impl GradientCheck {
    /// Compares training passes. Outside training there is nothing to compare.
    pub(super) fn compare_passes<T: Scalar, L: Layer<T>>(
        &self,
        report: &mut Report,
        single: &SingleLayer<'_, L>,
        at: Arguments<'_, T>,
    ) -> Result<(), Error> {
        let Some(seed) = single.training else {
            return Ok(());
        };
        let rows = single.outputs;
        let once = single.forward(at);
        check_state(single.layout.state_places(), &once.new_state)?;
        let again = single.forward(at);
        let output = once.output.as_slice();
        report.push_equal(("output, repeated", rows), again.output.as_slice(), output);
        if !once.new_state.is_empty() {
            let (label, len) = ("new state, repeated", once.new_state.len());
            report.push_equal((label, len), &again.new_state, &once.new_state);
        }
        let draws = single.plan.drawing().is_some();
        if !draws {
            let other = SingleLayer {
                training: Some(!seed),
                ..*single
            };
            let found = other.forward(at).output;
            let label = "output with another seed";
            report.push_equal((label, rows), found.as_slice(), output);
        }
        if single.examples > 1 && !single.plan.couples.in_mode(true) {
            self.compare_parts(report, single, at)?;
        }
        if !draws && single.plan.gathering().is_some() {
            self.compare_fixed(report, single, at)?;
        }
        Ok(())
    }

    /// Compares the passes of a batch with those of its two halves.
    fn compare_parts<T: Scalar, L: Layer<T>>(
        &self,
        report: &mut Report,
        single: &SingleLayer<'_, L>,
        at: Arguments<'_, T>,
    ) -> Result<(), Error> {
        let m = single.examples;
        let delta = cotangent(single.outputs, m, self.seed);
        let part = |first: usize, len: usize| {
            let part = SingleLayer {
                first,
                examples: len,
                ..*single
            };
            let at = Arguments {
                x: columns(at.x, first, len),
                ..at
            };
            let forward = part.forward(at);
            let delta = delta.columns(first, len).clone_owned();
            let mut back = part.backward(at, &forward, &delta);
            // As a network does: nothing reads these.
            part.plan.clear_frozen(&mut back.gradient);
            part.plan.clear_ids(back.below.as_view_mut());
            Passed {
                output: forward.output.as_slice().to_vec(),
                gradient: back.gradient,
                below: back.below.as_slice().to_vec(),
            }
        };
        let (whole, mut found, second) = (part(0, m), part(0, m / 2), part(m / 2, m - m / 2));
        found.output.extend(second.output);
        found.below.extend(second.below);
        for (sum, &g) in found.gradient.iter_mut().zip(&second.gradient) {
            *sum += g;
        }
        let of_results = [
            ("output", single.outputs, &found.output, &whole.output),
            ("Δ", single.parameters, &found.gradient, &whole.gradient),
            ("δ below", single.inputs, &found.below, &whole.below),
        ];
        for (name, rows, found, expected) in of_results {
            let label = format!("{name} in two parts");
            let block = CheckedBlock::new(&label, rows, 0, expected.len());
            if block.len > 0 {
                self.compare_entries(report, &block, found, expected)?;
            }
        }
        Ok(())
    }

    /// Compares a training pass while all statistics are fixed with an evaluation.
    fn compare_fixed<T: Scalar, L: Layer<T>>(
        &self,
        report: &mut Report,
        single: &SingleLayer<'_, L>,
        at: Arguments<'_, T>,
    ) -> Result<(), Error> {
        let mut plan = single.plan.clone();
        plan.fix_statistics(&[], true)?;
        let fixed = SingleLayer {
            plan: &plan,
            ..*single
        };
        let evaluated = SingleLayer {
            training: None,
            ..*single
        };
        let (found, expected) = (fixed.forward(at), evaluated.forward(at).output);
        let (label, rows) = ("output with fixed statistics", single.outputs);
        let block = CheckedBlock::new(label, rows, 0, expected.len());
        self.compare_entries(report, &block, found.output.as_slice(), expected.as_slice())
    }
}
