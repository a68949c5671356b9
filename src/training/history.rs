//! The history of a run, epoch by epoch.

use std::fmt::{self, Display, Formatter};

/// One epoch, measured at its end.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Record {
    /// The number of the epoch, from 1.
    pub epoch: u64,
    /// The number of steps of the optimiser since the start of the run. For a full-batch solver, it
    /// is the number of evaluations of J, with or without its derivatives.
    pub steps: u64,
    /// J over all training examples, with the penalty, at the parameters at the end of the epoch,
    /// evaluated outside training. For a full-batch solver and layers that gather statistics, it is
    /// J with the statistics of all examples, which the solver minimises.
    pub cost: f64,
    /// The mean of J over the epoch's batches, each at the parameters before its step; `None` for a
    /// full-batch solver.
    pub batch_cost: Option<f64>,
    /// The mean cost of the validation examples, without the penalty; `None` if there are none.
    pub validation: Option<f64>,
    /// The learning rate of the epoch's last step; `None` for a full-batch solver.
    pub rate: Option<f64>,
    /// The metrics on the training examples, in the order of [`History::metrics`].
    pub metrics: Vec<f64>,
    /// The metrics on the validation examples; empty if there are none.
    pub validation_metrics: Vec<f64>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stop {
    /// The maximum number of epochs was reached.
    Epochs,
    /// The maximum number of steps was reached.
    Steps,
    /// The time limit was reached.
    Time,
    /// The monitored value has not improved for the number of epochs set by
    /// [`patience`](super::Trainer::patience).
    Patience,
    /// A callback returned [`ControlFlow::Break`](std::ops::ControlFlow::Break).
    Callback,
    /// The solver converged according to its own tolerances.
    Converged,
    /// The solver found no step that makes J smaller, not even along −∇J.
    ///
    /// Near a minimum, this is the limit of rounding, which `f32` usually reaches before ‖∇J‖ falls
    /// below the tolerance. Far from a minimum, the features are usually badly scaled: use a
    /// [`Standardizer`](crate::data::Standardizer), or
    /// [`LevenbergMarquardt`](super::LevenbergMarquardt), which does not depend on their scales.
    /// Otherwise, J has a kink there, or ∇J is not its gradient.
    #[cfg_attr(feature = "serde", serde(alias = "line_search_failed"))]
    NoDescent,
}

/// The history of a run: a [`Record`] for each epoch, and the reason for its end.
///
/// Write it as JSON (feature `serde`) with `serde_json::to_string(&history)` or
/// `saving::save(path, "history", &history)`, and as CSV with [`to_csv`](Self::to_csv).
///
/// Nothing in a history depends on the machine: the same seed gives the same history, bit for bit.
/// Times are in [`Epoch`](super::Epoch), which callbacks receive.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{GradientDescent, Stop, Trainer};
/// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
///
/// // θ = (b, w) starts at (0, 0). With x = 1, y = 1 and a learning rate of ¼, the error
/// // 1 − (b + w) halves with every step.
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let one = DMatrix::from_element(1, 1, 1.0);
/// let history = Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.25))
///     .epochs(2)
///     .fit(&mut network, &Examples::new(&one, &one)?)?;
/// let costs: Vec<f64> = history.records().iter().map(|record| record.cost).collect();
/// assert_eq!(costs, [0.125, 0.03125]); // ½ · (½)² and ½ · (¼)²
/// assert_eq!(history.stop(), Some(Stop::Epochs));
/// assert_eq!(network.theta().as_slice(), [0.375, 0.375]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct History {
    pub(super) metrics: Vec<String>,
    pub(super) records: Vec<Record>,
    pub(super) stop: Option<Stop>,
    /// The epoch with the best monitored cost or metric.
    pub(super) best: Option<u64>,
}

impl History {
    #[cfg(all(test, feature = "plot"))]
    pub(crate) fn of_records(records: Vec<Record>) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// Returns the records of the epochs, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Returns the names of the metrics.
    #[must_use]
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// Returns why the run ended, or `None` while it continues.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Returns the record of the best epoch, or `None` before the first epoch.
    ///
    /// The best epoch has the lowest validation cost, the lowest J if there are no validation
    /// examples, or the best value of the metric set by
    /// [`Trainer::monitor`](super::Trainer::monitor).
    #[must_use]
    pub fn best(&self) -> Option<&Record> {
        let best = self.best?;
        self.records.iter().find(|record| record.epoch == best)
    }

    /// Returns the records as comma-separated values below a header line with the names. Missing
    /// values are empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let or_nothing = |x: &Option<f64>| x.map(|x| x.to_string()).unwrap_or_default();
        let quoted = |name: String| format!("\"{}\"", name.replace('"', "\"\""));
        let mut csv = String::from("epoch,steps,cost,batch_cost,validation,rate");
        for before in ["", "validation "] {
            for name in &self.metrics {
                csv += ",";
                csv += &quoted(format!("{before}{name}"));
            }
        }
        csv.push('\n');
        for r in &self.records {
            csv += &format!("{},{},{}", r.epoch, r.steps, r.cost);
            let of_validation = r.validation_metrics.iter().copied().map(Some);
            let of_validation = of_validation.chain(std::iter::repeat(None));
            let cells = [r.batch_cost, r.validation, r.rate].into_iter();
            let cells = cells.chain(r.metrics.iter().copied().map(Some));
            for cell in cells.chain(of_validation.take(self.metrics.len())) {
                csv += ",";
                csv += &or_nothing(&cell);
            }
            csv.push('\n');
        }
        csv
    }
}

/// The widest column that can be formatted. Names can be longer.
const WIDEST: usize = u16::MAX as usize;

/// Prints a table of the records, with a column for each metric.
impl Display for History {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of_validation = self
            .records
            .iter()
            .any(|r| !r.validation_metrics.is_empty());
        let mut names = self.metrics.clone();
        if of_validation {
            names.extend(self.metrics.iter().map(|name| format!("validation {name}")));
        }
        write!(
            f,
            "{:>6} {:>8} {:>12} {:>12}",
            "epoch", "steps", "J", "validation"
        )?;
        names.iter().try_for_each(|name| write!(f, " {name:>12}"))?;
        writeln!(f)?;
        for r in &self.records {
            let validation = r
                .validation
                .map_or_else(|| "–".to_owned(), |x| format!("{x:.6}"));
            write!(
                f,
                "{:>6} {:>8} {:>12.6} {validation:>12}",
                r.epoch, r.steps, r.cost
            )?;
            let values = r.metrics.iter().chain(&r.validation_metrics);
            for (name, value) in names.iter().zip(values) {
                write!(
                    f,
                    " {value:>width$.6}",
                    width = name.chars().count().clamp(12, WIDEST)
                )?;
            }
            writeln!(f)?;
        }
        match self.stop {
            Some(stop) => writeln!(f, "ended: {stop:?}"),
            None => Ok(()),
        }
    }
}
