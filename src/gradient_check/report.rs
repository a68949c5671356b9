//! What a check found.

use super::judge::Outcome;
use super::line::Line;
use super::{Named, Settings};
use std::fmt;

/// The outcome of comparing an analytic with a numerical derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// They agree within the bound.
    Agrees,
    /// They differ, but the function has a kink within the step (as ReLU at 0), and the derivative is right beside it.
    SuspectedKink,
    /// They agree within the bound, but rounding is too large beside the derivatives for that to
    /// prove anything.
    Undecided,
    /// They differ by more than the bound, and the scalar type is too coarse to say why.
    ///
    /// Smaller steps would tell a kink or strong curvature from a wrong derivative, but are lost in
    /// rounding. The values near the point do not contradict the derivative there. This is rare in
    /// `f64`; in `f32` check `network.map(f64::from)?`.
    Unresolved,
    /// Of an optional method of a layer or cost: it answers with [`Error::Unsupported`](crate::Error::Unsupported), and nothing was compared.
    NotProvided,
    /// Of a Gauss–Newton product: vᵀG v < 0. The cost is not convex there, which is no error in a cost that does not claim to be; but G is not semi-definite.
    Indefinite,
    /// They differ: the derivative is wrong.
    Wrong,
}

/// Where in a block a derivative was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// With respect to one entry.
    Entry {
        /// Its row.
        row: usize,
        /// Its column.
        col: usize,
    },
    /// Along the random direction of this number.
    Direction(usize),
}

/// One derivative, by both methods.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Where.
    pub place: Place,
    /// What the code under test says.
    pub analytic: f64,
    /// What differences say.
    pub numeric: f64,
    /// The difference that was allowed.
    pub bound: f64,
    /// What came of it.
    pub verdict: Verdict,
}

impl Comparison {
    /// analytic − numeric, with its sign.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.analytic - self.numeric
    }
}

/// The comparisons of one block.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BlockReport {
    /// The block's name, as `Θ⁽¹⁾`.
    pub label: String,
    /// Its entries.
    pub entries: usize,
    /// Entries or directions compared.
    pub compared: usize,
    /// ‖n − g‖/(‖n‖ + ‖g‖), the course's measure, without suspected kinks and unresolved
    /// comparisons. 0 if both are 0.
    pub relative_error: f64,
    /// The largest derivative compared, in absolute value, analytic or numeric. 0 proves little: dead units, or inputs that are all 0.
    pub largest: f64,
    /// The comparison with the largest difference, if any was made: among the wrong ones if there
    /// are any, else the unresolved. Suspected kinks count only if there is nothing else.
    pub worst: Option<Comparison>,
    /// How many comparisons met a suspected kink.
    pub kinks: usize,
    /// How many comparisons are undecided.
    pub undecided: usize,
    /// How many comparisons are unresolved.
    pub unresolved: usize,
    /// The worst verdict among the comparisons, in the order wrong, indefinite, unresolved,
    /// suspected kink, undecided, agrees. Undecided comparisons count only if the one with the
    /// largest derivative is among them.
    pub verdict: Verdict,
}

/// The result of a gradient check, by block. `{}` prints it as a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// J at the point; NaN where only tangents of a part are checked.
    pub cost: f64,
    /// The step h.
    pub step: f64,
    /// The machine precision of the scalar type.
    precision: f64,
    /// One report a block.
    pub blocks: Vec<BlockReport>,
}

impl Report {
    pub(super) fn new(cost: f64, settings: &Settings) -> Self {
        Self {
            cost,
            step: settings.step,
            precision: settings.precision,
            blocks: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, block: &Named, outcomes: &[(Line, Outcome)]) {
        let comparisons = outcomes
            .iter()
            .enumerate()
            .map(|(index, (line, outcome))| Comparison {
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
        let largest = outcomes.iter().map(|(_, o)| o.size()).fold(0.0, f64::max);
        // A column of small derivatives may be undecided while larger ones are resolved. The
        // comparison with the largest derivative decides.
        let decisive = outcomes.iter().map(|(_, o)| o);
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
        });
    }

    /// A row for what a type does not provide.
    pub(super) fn push_not_provided(&mut self, block: &Named) {
        self.push(block, &[]);
        if let Some(last) = self.blocks.last_mut() {
            last.verdict = Verdict::NotProvided;
        }
    }

    /// Returns whether no derivative is wrong. All other verdicts pass, and show in the table.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.wrong_blocks().next().is_none()
    }

    /// The blocks with a wrong derivative.
    pub fn wrong_blocks(&self) -> impl Iterator<Item = &BlockReport> {
        self.blocks.iter().filter(|b| b.verdict == Verdict::Wrong)
    }

    /// The report of the block with this label.
    #[must_use]
    pub fn block(&self, label: &str) -> Option<&BlockReport> {
        self.blocks.iter().find(|b| b.label == label)
    }

    /// The largest relative error of a block; NaN if one is NaN.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let errors = self.blocks.iter().map(|b| b.relative_error);
        errors.fold(
            0.0,
            |worst: f64, e| if e > worst || e.is_nan() { e } else { worst },
        )
    }

    /// Makes a test of the report.
    ///
    /// # Panics
    /// If a derivative is wrong, with the report's table as the message. It is an assertion for tests: no call on a `Network`, `Examples`,
    /// `Accumulator` or `GradientCheck` panics, unless a layer of yours does.
    #[track_caller]
    #[allow(
        clippy::panic,
        reason = "an assertion is to panic, as the documentation says"
    )]
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
                Verdict::Agrees if b.compared > 0 && b.largest == 0.0 => "agrees, all are 0".into(),
                Verdict::Agrees if b.undecided > 0 => {
                    format!("agrees, {} of {} undecided", b.undecided, b.compared)
                }
                Verdict::Agrees => "agrees".into(),
                Verdict::SuspectedKink => {
                    format!(
                        "agrees but for suspected kinks: {} of {}",
                        b.kinks, b.compared
                    )
                }
                Verdict::Undecided => format!(
                    "undecided: below the rounding of J, {} of {}",
                    b.undecided, b.compared
                ),
                Verdict::Unresolved => {
                    let advice = if self.precision > 1e-12 {
                        ", check it in f64"
                    } else {
                        ""
                    };
                    format!("unresolved: {} of {}{advice}", b.unresolved, b.compared)
                }
                Verdict::NotProvided => "not provided".into(),
                Verdict::Indefinite => "INDEFINITE: below 0".into(),
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
        // A dot above a letter takes no column of its own.
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
