//! A progress bar for a run.

use crate::cost::Cost;
use crate::scalar::Scalar;
use crate::training::Trainer;
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Shows a progress bar on the terminal, with the line of the
    /// [`Epoch`](crate::training::Epoch) and the time left (feature `progress`).
    ///
    /// It prints to standard error, and only if that is a terminal. Its last line stays when the
    /// run ends.
    ///
    /// # Example
    /// ```
    /// use backprop::training::{Adam, Trainer};
    /// use backprop::{Objective, SquaredError};
    ///
    /// let trainer = Trainer::<f64>::new(Objective::new(SquaredError), Adam::new(0.01)).progress();
    /// # drop(trainer);
    /// ```
    #[must_use]
    pub fn progress(self) -> Self {
        let mut bar: Option<ProgressBar> = None;
        self.on_epoch(move |epoch| {
            // Each call of `fit` or `resume` has its own bar.
            if epoch.started {
                bar = None;
            }
            let bar = bar.get_or_insert_with(|| new_bar(epoch.epochs));
            if !bar.is_hidden() {
                bar.set_message(epoch.to_string());
                bar.set_position(epoch.record.epoch);
            }
            ControlFlow::Continue(())
        })
    }
}

fn new_bar(epochs: u64) -> ProgressBar {
    let bar = ProgressBar::new(epochs);
    match ProgressStyle::with_template("{bar:24} {msg}  {eta} left") {
        Ok(style) => bar.with_style(style),
        // This is the default style, in case indicatif ever rejects the template.
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{GradientDescent, History};
    use crate::{AnyCost, Examples, Network, Objective, activation::AnyActivation};
    use nalgebra::DMatrix;

    fn train(progress: bool) -> (Vec<f64>, History) {
        let one = DMatrix::from_element(1, 1, 1.0);
        let examples = Examples::new(&one, &one).unwrap();
        let network = Network::<f64>::builder(1).dense(1, AnyActivation::Identity);
        let mut network = network.zeros().unwrap();
        let objective = Objective::new(AnyCost::SquaredError);
        let mut trainer = Trainer::new(objective, GradientDescent::new(0.25)).epochs(3);
        if progress {
            trainer = trainer.progress();
        }
        let history = trainer.fit(&mut network, &examples).unwrap();
        (network.theta().as_slice().to_vec(), history)
    }

    #[test]
    fn a_bar_changes_nothing() {
        assert_eq!(train(true), train(false));
    }
}
