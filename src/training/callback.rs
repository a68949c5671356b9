//! What a callback sees.

use super::clock::has_clock;
use super::history::{History, Record};
use crate::layout::Layout;
use crate::scalar::Scalar;
use std::fmt::{self, Display, Formatter};
use std::ops::ControlFlow;
use std::time::Duration;

pub(super) type Callback<'a, T> = Box<dyn FnMut(&Epoch<'_, T>) -> ControlFlow<()> + 'a>;

/// The state of a training after an epoch, as a callback of [`Trainer::on_epoch`](super::Trainer::on_epoch) sees it.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{GradientDescent, Stop, Trainer};
/// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
/// use std::ops::ControlFlow;
///
/// let mut network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let one = DMatrix::from_element(1, 1, 1.0);
/// let history = Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.25))
///     .on_epoch(|epoch| {
///         eprintln!("{epoch}");
///         match epoch.record.cost < 0.05 {
///             true => ControlFlow::Break(()),
///             false => ControlFlow::Continue(()),
///         }
///     })
///     .fit(&mut network, &Examples::new(&one, &one)?)?;
/// assert_eq!((history.records().len(), history.stop()), (2, Some(Stop::Callback)));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Epoch<'a, T: Scalar> {
    /// What was measured.
    pub record: &'a Record,
    /// The records of all epochs so far, this one included.
    pub history: &'a History,
    /// θ.
    pub theta: &'a [T],
    /// The gradient of the epoch's last batch, at the parameters before its step.
    pub gradient: &'a [T],
    /// How θ and the gradient are divided among the layers.
    pub layout: &'a Layout,
    /// How many epochs the training has at most.
    pub epochs: u64,
    /// Whether this is the first epoch of a call of [`fit`](super::Trainer::fit) or `resume`.
    pub started: bool,
    /// The time since training began; 0 on `wasm32-unknown-unknown`, which has no clock.
    pub elapsed: Duration,
}

/// One line: `12/500  J 0.123400  validation 0.234500  accuracy 0.950000  rate 1.00e-2  3.2 s`. A metric is that of the validation examples, if there are any.
impl<T: Scalar> Display for Epoch<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        write!(f, "{}/{}  J {:.6}", record.epoch, self.epochs, record.cost)?;
        if let Some(validation) = record.validation {
            write!(f, "  validation {validation:.6}")?;
        }
        let values = match record.validation_metrics.is_empty() {
            true => &record.metrics,
            false => &record.validation_metrics,
        };
        for (name, value) in self.history.metrics().iter().zip(values) {
            write!(f, "  {name} {value:.6}")?;
        }
        if let Some(rate) = record.rate {
            write!(f, "  rate {rate:.2e}")?;
        }
        match has_clock() {
            true => write!(f, "  {:.1} s", self.elapsed.as_secs_f64()),
            false => Ok(()),
        }
    }
}
