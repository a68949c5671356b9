//! Compares derivatives with differences, and vectors with their expected values.

use super::judge::{Allowed, Compared, Outcome, Verdict};
use super::line::{Along, CheckedBlock, Line, On};
use super::report::Report;
use super::settings::Settings;
use super::{GradientCheck, size};
use crate::error::Error;
use crate::initialization::rng;
use crate::scalar::{Scalar, to_f64};
use std::collections::BTreeMap;

/// The largest value in each column, and in the whole block.
#[derive(Default)]
struct Norms {
    columns: BTreeMap<usize, f64>,
    all: f64,
}

impl Norms {
    fn add(&mut self, column: Option<usize>, size: f64) {
        self.all = self.all.max(size);
        if let Some(column) = column {
            let norm = self.columns.entry(column).or_insert(0.0);
            *norm = norm.max(size);
        }
    }

    fn of(&self, column: Option<usize>) -> f64 {
        column
            .and_then(|c| self.columns.get(&c))
            .copied()
            .unwrap_or(self.all)
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

/// The settings of a comparison, and the size of the values.
pub(super) struct Bounds {
    pub(super) settings: Settings,
    /// The size that the floor is relative to.
    pub(super) scale: f64,
    /// Whether many units move at once.
    pub(super) many: bool,
}

impl Bounds {
    /// Compares a block along lines.
    pub(super) fn compare(
        &self,
        report: &mut Report,
        block: &CheckedBlock,
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
            let mut on = On::new(line, along);
            let numeric = on.central(candidate.h)?;
            let size = on.size(candidate.h)?;
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
                many: self.many,
            };
            outcome.judge(&mut On::new(&line, along), allowed)?;
            outcomes.push(Compared { line, outcome });
        }
        report.push(block, &outcomes);
        Ok(())
    }
}

/// Two inner products that should be equal.
pub(super) struct Pair {
    found: f64,
    expected: f64,
    size: f64,
}

impl Pair {
    /// Pairs two inner products. The larger size counts.
    pub(super) fn equal(found: Product, expected: Product) -> Self {
        Self {
            found: found.value,
            expected: expected.value,
            size: found.size.max(expected.size),
        }
    }

    /// Pairs ⟨v, G v⟩ with itself, or with 0 if it is negative.
    pub(super) fn at_least_0(product: Product) -> Self {
        Self {
            found: product.value,
            expected: product.value.max(0.0),
            size: product.size,
        }
    }
}

/// An inner product, and the root of the sum of squares of its terms: its size if the terms have
/// random signs.
pub(super) struct Product {
    value: f64,
    size: f64,
}

impl Product {
    pub(super) fn new<T: Scalar>(a: &[T], b: &[T]) -> Self {
        let terms = || a.iter().zip(b).map(|(&a, &b)| to_f64(a) * to_f64(b));
        Self {
            value: terms().sum(),
            size: terms().fold(0.0, f64::hypot),
        }
    }
}

/// The allowed difference between two computations of an entry, in roundings of the largest entry.
const ROUNDINGS: f64 = 64.0;

impl GradientCheck {
    /// Compares entries with their expected values, within the tolerance and the rounding of sums.
    pub(super) fn compare_entries<T: Scalar>(
        &self,
        report: &mut Report,
        block: &CheckedBlock,
        found: &[T],
        expected: &[T],
    ) -> Result<(), Error> {
        let settings = self.settings::<T>()?;
        let scale = size(found).max(size(expected));
        let mut norms = Norms::default();
        let pairs = self.lines(block, &mut rng(self.seed)).map(|line| {
            let outcome = Outcome::new(line.derivative(found), line.derivative(expected), 1.0);
            norms.add(line.column(block.rows), outcome.size());
            Compared { line, outcome }
        });
        let mut outcomes: Vec<_> = pairs.collect();
        for Compared { line, outcome } in &mut outcomes {
            let norm = norms.of(line.column(block.rows));
            outcome.settle(&Allowed {
                tolerance: settings.relative * norm,
                floor: (settings.floor + ROUNDINGS * settings.precision) * scale,
                value_noise: 0.0,
                hidden_noise: 0.0,
                claim_noise: 0.0,
                norm,
                many: false,
            });
        }
        report.push(block, &outcomes);
        Ok(())
    }

    /// Compares inner products. The row has an entry for each pair; unequal pairs get the verdict
    /// `failing`.
    pub(super) fn compare_pairs<T: Scalar>(
        &self,
        report: &mut Report,
        label: &str,
        pairs: &[Pair],
        failing: Verdict,
    ) -> Result<(), Error> {
        let settings = self.settings::<T>()?;
        let outcomes = pairs.iter().enumerate().map(|(k, pair)| {
            let mut outcome = Outcome::new(pair.found, pair.expected, settings.step);
            outcome.bound = (settings.relative + settings.floor) * pair.size;
            let agrees = (pair.found - pair.expected).abs() <= outcome.bound;
            if !agrees {
                outcome.verdict = failing;
            }
            Compared {
                line: Line::Entry(k),
                outcome,
            }
        });
        let outcomes: Vec<_> = outcomes.collect();
        report.push(&CheckedBlock::new(label, 1, 0, pairs.len()), &outcomes);
        Ok(())
    }
}
