//! The report of a check: verdicts by block, and the table that shows them.

use super::judge::{Compared, Outcome, Verdict};
use super::line::{CheckedBlock, Line};
use super::settings::Settings;
use crate::scalar::{Scalar, to_f64};
use std::fmt;

/// The place in a block where a derivative was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The derivative with respect to one entry.
    Entry {
        /// The row of the entry.
        row: usize,
        /// The column of the entry.
        col: usize,
    },
    /// The derivative along the random direction with this number.
    Direction(usize),
}

/// One derivative, analytic and numerical.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The place in the block.
    pub place: Place,
    /// The derivative that the code under test computes.
    pub analytic: f64,
    /// The derivative by differences.
    pub numeric: f64,
    /// The largest difference that counts as agreement.
    pub bound: f64,
    /// The outcome.
    pub verdict: Verdict,
}

impl Comparison {
    /// Returns analytic − numeric.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.analytic - self.numeric
    }
}

/// The comparisons of one block: a row of the table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BlockReport {
    /// The name of the block, such as `Θ⁽¹⁾`.
    pub label: String,
    /// The number of entries of the block.
    pub entries: usize,
    /// The number of entries or directions compared.
    pub compared: usize,
    /// ‖n − g‖/(‖n‖ + ‖g‖), the course's measure, without suspected kinks and unresolved
    /// comparisons. 0 if both are 0.
    pub relative_error: f64,
    /// The largest absolute value of a derivative compared, analytic or numeric. A 0 proves little:
    /// the units may be dead, or the inputs all 0.
    pub largest: f64,
    /// The comparison with the largest difference, if any was made. Wrong ones come first, then
    /// unresolved ones. A suspected kink appears only if there is nothing else.
    pub worst: Option<Comparison>,
    /// The number of comparisons with a suspected kink.
    pub kinks: usize,
    /// The number of undecided comparisons.
    pub undecided: usize,
    /// The number of unresolved comparisons.
    pub unresolved: usize,
    /// All comparisons, if the check [keeps](super::GradientCheck::keep_comparisons) them.
    pub comparisons: Vec<Comparison>,
    /// The worst verdict among the comparisons, in the order wrong, indefinite, unresolved,
    /// suspected kink, undecided, agrees. Undecided comparisons count only if the one with the
    /// largest derivative is among them.
    pub verdict: Verdict,
}

/// The result of a gradient check, block by block. `{}` prints it as a table.
///
/// # Example
/// The second block has lost its factor 2, so its relative error is |2 − 4|/(2 + 4) = ⅓:
/// ```
/// use backprop::GradientCheck;
///
/// let f = |p: &[f64]| (p[0] + p[1] * p[1], vec![1.0, p[1]]);
/// let report = GradientCheck::new().function(&[("p", 1), ("q", 1)], &[0.0, 2.0], f)?;
/// assert!(!report.passed());
/// let wrong: Vec<&str> = report.wrong_blocks().map(|b| b.label.as_str()).collect();
/// assert_eq!(wrong, ["q"]);
/// assert!((report.relative_error() - 1.0 / 3.0).abs() < 1e-9);
/// println!("{report}");
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "call `passed` or `assert_passed`"]
#[non_exhaustive]
pub struct Report {
    /// J at the point. NaN if only the tangents of an activation, cost or layer were checked.
    pub cost: f64,
    /// The step h.
    pub step: f64,
    /// The machine precision of the scalar type.
    precision: f64,
    /// Whether the blocks keep all comparisons.
    keeps: bool,
    /// One report for each block.
    pub blocks: Vec<BlockReport>,
}

impl Report {
    /// Creates a report without rows, and without J.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            cost: f64::NAN,
            step: settings.step,
            precision: settings.precision,
            keeps: settings.keeps,
            blocks: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, block: &CheckedBlock, all: &[Compared]) {
        let comparisons = all
            .iter()
            .enumerate()
            .map(|(index, Compared { line, outcome })| Comparison {
                place: match line {
                    Line::Entry(i) => Place::Entry {
                        row: i % block.rows,
                        col: i / block.rows,
                    },
                    Line::Direction(_) => Place::Direction(index),
                },
                analytic: outcome.analytic,
                numeric: outcome.numeric,
                bound: outcome.bound,
                verdict: outcome.verdict,
            });
        let comparisons: Vec<Comparison> = comparisons.collect();
        let left_out =
            |c: &Comparison| matches!(c.verdict, Verdict::SuspectedKink | Verdict::Unresolved);
        let norm = |f: fn(&Comparison) -> f64| {
            let smooth = comparisons.iter().filter(|c| !left_out(c));
            smooth.map(f).fold(0.0, f64::hypot)
        };
        let total = norm(|c| c.analytic) + norm(|c| c.numeric);
        let difference = norm(Comparison::difference);
        // Wrong, then unresolved, then agreeing, then kinks; among equals the largest difference,
        // with NaN above all.
        let rank = |c: &Comparison| {
            let class = match c.verdict {
                Verdict::Wrong | Verdict::Indefinite => 3,
                Verdict::Unresolved => 2,
                Verdict::Agrees | Verdict::Undecided | Verdict::NotProvided => 1,
                Verdict::SuspectedKink => 0,
            };
            let size = c.difference().abs();
            (class, if size.is_nan() { f64::INFINITY } else { size })
        };
        let worst = comparisons
            .iter()
            .copied()
            .reduce(|worst, c| if rank(&c) > rank(&worst) { c } else { worst });
        let relative_error = if total == 0.0 {
            0.0
        } else {
            difference / total
        };
        let count = |verdict| comparisons.iter().filter(|c| c.verdict == verdict).count();
        let largest = all.iter().map(|c| c.outcome.size()).fold(0.0, f64::max);
        // A column of small derivatives may be undecided while larger ones are resolved. The
        // comparison with the largest derivative decides.
        let decisive = all.iter().map(|c| &c.outcome);
        let decisive = decisive.reduce(|most, o| if o.size() > most.size() { o } else { most });
        let undecided = decisive.is_some_and(|o| o.verdict == Verdict::Undecided);
        let by_weight = [
            Verdict::Wrong,
            Verdict::Indefinite,
            Verdict::Unresolved,
            Verdict::SuspectedKink,
        ];
        let verdict = match by_weight.into_iter().find(|&verdict| count(verdict) > 0) {
            Some(verdict) => verdict,
            None if undecided => Verdict::Undecided,
            None => Verdict::Agrees,
        };
        self.blocks.push(BlockReport {
            label: block.label.clone(),
            entries: block.len,
            compared: comparisons.len(),
            relative_error,
            largest,
            worst,
            kinks: count(Verdict::SuspectedKink),
            undecided: count(Verdict::Undecided),
            unresolved: count(Verdict::Unresolved),
            verdict,
            comparisons: if self.keeps { comparisons } else { Vec::new() },
        });
    }

    /// Adds a row, with a label and a number of rows, of entries that have to be equal bit for bit.
    pub(super) fn push_equal<T: Scalar>(
        &mut self,
        (label, rows): (&str, usize),
        found: &[T],
        expected: &[T],
    ) {
        let pairs = found.iter().zip(expected).enumerate();
        let compared = pairs.map(|(i, (&found, &expected))| {
            let (found, expected) = (to_f64(found), to_f64(expected));
            let mut outcome = Outcome::new(found, expected, 1.0);
            if found.to_bits() != expected.to_bits() {
                outcome.verdict = Verdict::Wrong;
            }
            Compared {
                line: Line::Entry(i),
                outcome,
            }
        });
        let compared: Vec<_> = compared.collect();
        self.push(
            &CheckedBlock::new(label, rows, 0, compared.len()),
            &compared,
        );
    }

    /// Adds a row for a method that a type does not provide.
    pub(super) fn push_not_provided(&mut self, block: &CheckedBlock) {
        self.push(block, &[]);
        if let Some(last) = self.blocks.last_mut() {
            last.verdict = Verdict::NotProvided;
        }
    }

    /// Returns whether no derivative is wrong. All other verdicts pass, and appear in the table.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.wrong_blocks().next().is_none()
    }

    /// Returns the blocks with a wrong derivative.
    pub fn wrong_blocks(&self) -> impl Iterator<Item = &BlockReport> {
        self.blocks.iter().filter(|b| b.verdict == Verdict::Wrong)
    }

    /// Returns the report of the block with this label.
    #[must_use]
    pub fn block(&self, label: &str) -> Option<&BlockReport> {
        self.blocks.iter().find(|b| b.label == label)
    }

    /// Returns the largest relative error of a block; NaN if one is NaN.
    ///
    /// An [undecided](Verdict::Undecided) block has derivatives below the rounding of J, so its own
    /// relative error may be 1 although all is well. It counts with its largest difference,
    /// relative to the largest derivative of the report. An example is the bias of a layer just
    /// below a batch norm in training, whose gradient is 0.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let largest = self.blocks.iter().map(|b| b.largest).fold(0.0, f64::max);
        let errors = self.blocks.iter().map(|b| match (b.verdict, b.worst) {
            (Verdict::Undecided, Some(worst)) => worst.difference().abs() / largest,
            _ => b.relative_error,
        });
        errors.fold(
            0.0,
            |worst: f64, e| if e > worst || e.is_nan() { e } else { worst },
        )
    }

    /// Panics if a derivative is wrong. This method is meant for tests.
    ///
    /// # Panics
    /// Panics if a derivative is wrong, with the table of the report as the message. The
    /// checker has no other call that panics, unless a custom type does.
    #[track_caller]
    #[allow(clippy::panic, reason = "an assertion for tests")]
    pub fn assert_passed(&self) {
        if !self.passed() {
            panic!("the gradient check failed\n{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "block",
            "entries",
            "compared",
            "relative error",
            "worst at",
            "analytic",
            "numeric",
            "verdict",
        ];
        let mut rows = vec![header.map(String::from)];
        for b in &self.blocks {
            let place = b.worst.map_or_else(String::new, |w| match w.place {
                Place::Entry { row, col } => format!("({row}, {col})"),
                Place::Direction(index) => format!("direction {index}"),
            });
            let number = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:+.9e}"));
            let verdict = match b.verdict {
                Verdict::Agrees if b.compared > 0 && b.largest == 0.0 => "agrees, all 0".into(),
                Verdict::Agrees if b.undecided > 0 => {
                    format!("agrees, {} of {} undecided", b.undecided, b.compared)
                }
                Verdict::Agrees => "agrees".into(),
                Verdict::SuspectedKink => {
                    format!("agrees, {} of {} at suspected kinks", b.kinks, b.compared)
                }
                Verdict::Undecided => format!(
                    "undecided, {} of {} below the rounding of J",
                    b.undecided, b.compared
                ),
                Verdict::Unresolved => {
                    let coarse = self.precision > 1e-12;
                    let advice = if coarse { ": check it in f64" } else { "" };
                    format!("unresolved, {} of {}{advice}", b.unresolved, b.compared)
                }
                Verdict::NotProvided => "not provided".into(),
                Verdict::Indefinite => "INDEFINITE: v·G v < 0".into(),
                Verdict::Wrong => "WRONG".into(),
            };
            rows.push([
                b.label.clone(),
                b.entries.to_string(),
                b.compared.to_string(),
                format!("{:.1e}", b.relative_error),
                place,
                number(b.worst.map(|w| w.analytic)),
                number(b.worst.map(|w| w.numeric)),
                verdict,
            ]);
        }
        // A combining dot above a letter takes no column.
        let columns = |cell: &str| cell.chars().filter(|c| *c != '\u{307}').count();
        let width = |column: usize| rows.iter().map(|row| columns(&row[column])).max();
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            for (column, cell) in row.iter().enumerate() {
                let width = width(column).unwrap_or(0) + cell.chars().count() - columns(cell);
                let width = width.min(usize::from(u16::MAX)); // names may be of any length
                match column {
                    0 => write!(f, "{cell:<width$}")?,
                    7 => write!(f, "  {cell}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
        }
        Ok(())
    }
}
