//! A bar that shows how a training goes on.

use crate::cost::Cost;
use crate::scalar::Scalar;
use crate::training::{Record, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;

impl<T: Scalar, C: Cost<T>> Trainer<'_, T, C> {
    /// Shows a bar on the terminal: epochs, J, the cost of the validation examples, the metrics, the rate and the time that is left (feature `progress`).
    ///
    /// It is silent where standard error is no terminal, and leaves its last line there when the training ends.
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
            // A training that is used again, or resumed, has a bar of its own.
            if epoch.started {
                bar = None;
            }
            let bar = bar.get_or_insert_with(|| new_bar(epoch.epochs));
            if !bar.is_hidden() {
                bar.set_message(line(epoch.record, epoch.history.metrics()));
            }
            bar.set_position(epoch.record.epoch);
            ControlFlow::Continue(())
        })
    }
}

fn new_bar(epochs: u64) -> ProgressBar {
    let bar = ProgressBar::new(epochs);
    match ProgressStyle::with_template("{bar:24} {pos:>4}/{len} epochs, {msg}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar, // the default one, should this crate's template ever be refused
    }
}

/// What there is to say of an epoch, in one line.
fn line(record: &Record, metrics: &[String]) -> String {
    let mut line = format!("J {:.5}", record.cost);
    let mut add = |name: &str, value: f64| line += &format!(", {name} {value:.5}");
    if let Some(validation) = record.validation {
        add("validation", validation);
    }
    let values = match record.validation_metrics.is_empty() {
        true => &record.metrics,
        false => &record.validation_metrics,
    };
    for (name, &value) in metrics.iter().zip(values) {
        add(name, value);
    }
    if let Some(rate) = record.rate {
        add("rate", rate);
    }
    line
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

    #[test]
    fn a_line_says_what_there_is() {
        let (_, history) = train(false);
        let mut record = history.records()[0].clone();
        assert_eq!(line(&record, &[]), "J 0.12500, rate 0.25000");
        record.validation = Some(0.5);
        record.metrics = vec![0.75];
        let names = ["accuracy".to_owned()];
        assert_eq!(
            line(&record, &names),
            "J 0.12500, validation 0.50000, accuracy 0.75000, rate 0.25000"
        );
        record.validation_metrics = vec![0.25];
        assert!(line(&record, &names).contains("accuracy 0.25000"));
    }
}
