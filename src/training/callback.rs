//! The state that callbacks receive.

use super::clock::has_clock;
use super::history::{History, Record};
use crate::layout::Layout;
use crate::scalar::Scalar;
use std::fmt::{self, Display, Formatter};
use std::ops::ControlFlow;
use std::time::Duration;

pub(super) type Callback<'a, T> = Box<dyn FnMut(&Epoch<'_, T>) -> ControlFlow<()> + 'a>;

/// The state of a run after an epoch, for the callbacks of
/// [`Trainer::on_epoch`](super::Trainer::on_epoch).
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
///         if epoch.record.cost < 0.05 {
///             ControlFlow::Break(())
///         } else {
///             ControlFlow::Continue(())
///         }
///     })
///     .fit(&mut network, &Examples::new(&one, &one)?)?;
/// assert_eq!((history.records().len(), history.stop()), (2, Some(Stop::Callback)));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Epoch<'a, T: Scalar> {
    /// The measurements of this epoch.
    pub record: &'a Record,
    /// The records of all epochs so far, including this one.
    pub history: &'a History,
    /// θ.
    pub theta: &'a [T],
    /// The state of the layers: see [`Network::state`](crate::Network::state).
    pub state: &'a [T],
    /// The gradient of the epoch's last batch, at the parameters before its step. For a full-batch
    /// solver, it is ∇J at θ.
    pub gradient: &'a [T],
    /// How θ and the gradient are divided among the layers.
    pub layout: &'a Layout,
    /// The maximum number of epochs of the run.
    pub epochs: u64,
    /// Whether this is the first epoch of a call of [`fit`](super::Trainer::fit) or `resume`.
    pub started: bool,
    /// The time since the call began; 0 on `wasm32-unknown-unknown`, which has no clock.
    pub elapsed: Duration,
}

/// Prints one line: `12/500  J 0.123400  validation 0.234500  accuracy 0.950000  rate 1.00e-2  3.2
/// s`. The metrics are those of the validation examples, if there are any.
impl<T: Scalar> Display for Epoch<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        write!(f, "{}/{}  J {:.6}", record.epoch, self.epochs, record.cost)?;
        if let Some(validation) = record.validation {
            write!(f, "  validation {validation:.6}")?;
        }
        let values = if record.validation_metrics.is_empty() {
            &record.metrics
        } else {
            &record.validation_metrics
        };
        for (name, value) in self.history.metrics().iter().zip(values) {
            write!(f, "  {name} {value:.6}")?;
        }
        if let Some(rate) = record.rate {
            write!(f, "  rate {rate:.2e}")?;
        }
        if has_clock() {
            write!(f, "  {:.1} s", self.elapsed.as_secs_f64())?;
        }
        Ok(())
    }
}
