//! The settings of a training.

use super::callback::{Callback, Epoch};
#[cfg(feature = "serde")]
use super::checkpoint::{Saved, Store};
use super::clipping::Clipping;
use super::history::{History, Record, Stop};
use super::method::Method;
use super::progress::Progress;
use super::run::Run;
use super::schedule::Schedule;
use crate::cost::{AnyCost, Cost};
use crate::data::{Split, select, train_validation_split};
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::Layer;
use crate::layout::collected;
use crate::metrics::{Direction, Metric};
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::Scalar;
use nalgebra::DMatrix;
use std::fmt::{self, Debug, Formatter};
use std::ops::ControlFlow;
use std::time::Duration;

/// Trains a network: epochs, mini-batches, validation, early stopping ([`patience`](Self::patience)), budgets, callbacks.
///
/// An epoch takes every example once, in batches of [`batch_size`](Self::batch_size), in an order that follows from the seed and the number of the
/// epoch. Stochastic layers of your own act at random in these steps, by a seed for each batch, and not where J is measured. A batch's gradient is that of J, a
/// mean by the batch's own weight, with the penalty's share: λ is divided by m of the **whole** training set, so that a penalty has the same
/// weight whatever the batch size. What is reported is J over all training examples at the end of each epoch.
///
/// The network is changed only when a training ends: it then has the last parameters, or with validation examples those of the best epoch
/// ([`keep_best`](Self::keep_best)). Same seed, same bits: whatever the number of threads, with or without callbacks.
/// A trainer stays on its thread, because its callbacks may hold values that must not leave it. All
/// other types of this crate are `Send` and `Sync`.
///
/// # Example
/// XOR, by Adam on batches of two:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::training::{Adam, Trainer};
/// use backprop::{BinaryCrossEntropy, Examples, Initialization, Network, Objective, rng};
/// use backprop::activation::{Sigmoid, Tanh};
///
/// let x = DMatrix::from_column_slice(2, 4, &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
/// let y = DMatrix::from_row_slice(1, 4, &[0.0, 1.0, 1.0, 0.0]);
/// let mut network = Network::<f64>::builder(2)
///     .dense(4, Tanh)
///     .dense(1, Sigmoid)
///     .initialize(Initialization::GlorotUniform, &mut rng(1))?;
/// let history = Trainer::new(Objective::new(BinaryCrossEntropy), Adam::new(0.05))
///     .epochs(500)
///     .batch_size(2)
///     .seed(7)
///     .fit(&mut network, &Examples::new(&x, &y)?)?;
/// assert!(history.records()[499].cost < 0.01);
/// # Ok::<(), backprop::Error>(())
/// ```
pub struct Trainer<'a, T: Scalar, C = AnyCost> {
    pub(super) objective: Objective<C>,
    pub(super) method: Method<T>,
    pub(super) epochs: u64,
    pub(super) steps: Option<u64>,
    pub(super) time: Option<Duration>,
    pub(super) batch_size: Option<usize>,
    pub(super) seed: u64,
    pub(super) shuffle: bool,
    pub(super) schedule: Schedule,
    pub(super) clipping: Option<Clipping>,
    pub(super) validation: Option<Examples<'a, T>>,
    pub(super) validation_fraction: Option<f64>,
    pub(super) metrics: Vec<Box<dyn Metric<T> + 'a>>,
    /// Which of the metrics is monitored instead of a cost.
    pub(super) monitor: Option<usize>,
    pub(super) patience: Option<Patience>,
    pub(super) keep_best: bool,
    pub(super) callbacks: Vec<Callback<'a, T>>,
    #[cfg(feature = "serde")]
    pub(super) store: Option<Store<T>>,
}

/// How long a training goes on without getting better.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) epochs: u64,
    pub(super) least: f64,
}

impl<'a, T: Scalar, C: Cost<T>> Trainer<'a, T, C> {
    /// A training of 100 epochs on all examples at once; with a [`batch_size`](Self::batch_size) they are shuffled anew for each epoch.
    #[must_use]
    pub fn new(objective: Objective<C>, method: impl Into<Method<T>>) -> Self {
        Self {
            objective,
            method: method.into(),
            epochs: 100,
            steps: None,
            time: None,
            batch_size: None,
            seed: 0,
            shuffle: true,
            schedule: Schedule::Constant,
            clipping: None,
            validation: None,
            validation_fraction: None,
            metrics: Vec::new(),
            monitor: None,
            patience: None,
            keep_best: true,
            callbacks: Vec::new(),
            #[cfg(feature = "serde")]
            store: None,
        }
    }

    /// Ends after so many epochs; of a full-batch solver an epoch is an iteration.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// Ends with the epoch in which so many steps are done.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Stops at the end of the epoch in which this much time has passed since [`fit`](Self::fit)
    /// was called. Refused on `wasm32-unknown-unknown`, which has no clock.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Examples of a batch, from 1 to m; the last of an epoch has those that are left. Without it a batch is the whole data.
    #[must_use]
    pub fn batch_size(mut self, examples: usize) -> Self {
        self.batch_size = Some(examples);
        self
    }

    /// The seed of the orders of the examples, and of [`validation_fraction`](Self::validation_fraction); 0 unless this sets it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether each epoch has an order of its own (it has unless this says no).
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// The rate of each step: the optimiser's own times the schedule's factor at that part of the epoch. One that waits for a plateau goes by the
    /// monitored cost. Full-batch solvers have no rate.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Clips the gradient of each batch before its step. Full-batch solvers take theirs as it is.
    #[must_use]
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.clipping = Some(clipping);
        self
    }

    /// Evaluates a metric after each epoch, on the training and on the validation examples. May be called several times. Weights of examples do not count in it.
    #[must_use]
    pub fn metric(mut self, metric: impl Metric<T> + 'a) -> Self {
        self.metrics.push(Box::new(metric));
        self
    }

    /// A [`metric`](Self::metric) that early stopping, the best epoch and a schedule that waits for a plateau go by instead of the monitored cost; of several
    /// the last. Which way is better, and so what improves by `least`, the metric says itself.
    #[must_use]
    pub fn monitor(mut self, metric: impl Metric<T> + 'a) -> Self {
        self.monitor = Some(self.metrics.len());
        self.metric(metric)
    }

    /// Takes a fraction above 0 and below 1 of the examples, chosen by the seed, for validation instead of training (m is that of the rest).
    ///
    /// Without regard to classes, and after any scaler was fitted: for a stratified part, or one that the scaler has not seen, split first
    /// ([`stratified_three_way_split`](crate::data::stratified_three_way_split)) and use [`validation`](Self::validation).
    #[must_use]
    pub fn validation_fraction(mut self, fraction: f64) -> Self {
        self.validation_fraction = Some(fraction);
        self
    }

    /// Sets the validation examples, which are not trained on. Early stopping and the best epoch
    /// follow their mean cost, or the [`monitor`](Self::monitor)ed metric on them. Because they
    /// decide, keep other examples for the test
    /// ([`three_way_split`](crate::data::three_way_split)).
    #[must_use]
    pub fn validation(mut self, examples: Examples<'a, T>) -> Self {
        self.validation = Some(examples);
        self
    }

    /// Early stopping: ends when the monitored cost, that of the validation examples or else J, has for so many epochs in a row not been below the best so far by more than
    /// `least` ≥ 0. Every improvement, however small, moves the best, as with scikit-learn's `tol` and unlike Keras' `min_delta`.
    /// [`monitor`](Self::monitor) makes it go by a metric.
    #[doc(alias = "early_stopping")]
    #[must_use]
    pub fn patience(mut self, epochs: u64, least: f64) -> Self {
        self.patience = Some(Patience { epochs, least });
        self
    }

    /// Whether a training with validation examples ends with the parameters of its best epoch (it does unless this says no).
    #[must_use]
    pub fn keep_best(mut self, keep: bool) -> Self {
        self.keep_best = keep;
        self
    }

    /// Calls `f` after each epoch; [`ControlFlow::Break`] ends the training there.
    #[must_use]
    pub fn on_epoch(mut self, f: impl FnMut(&Epoch<'_, T>) -> ControlFlow<()> + 'a) -> Self {
        self.callbacks.push(Box::new(f));
        self
    }

    /// Trains the network, and says how it went. Each call begins anew: the optimiser forgets its steps, epochs count from 1.
    ///
    /// # Errors
    /// Before the first step, with nothing changed:
    /// - those of [`Network::gradient_into`](crate::Network::gradient_into) on the examples, and of the validation examples likewise;
    /// - [`Error::SingleOutput`] for one output with softmax or the categorical cross-entropy, which has nothing to learn;
    /// - [`Error::Hyperparameter`] for a setting out of its range: no epochs, a batch size of 0 or above m, a rate that is not above 0 or grows beyond T, …
    /// - [`Error::Unsupported`] for a schedule or clipping with a full-batch solver, or a time budget without a clock;
    /// - [`Error::Checkpoint`] if the folder already has checkpoints (`resume` goes on from them),
    ///   or cannot be written to.
    ///
    /// During training. The network then has the parameters that it would have ended with: those of
    /// the best epoch, or of the last whose J was finite. If this call has not completed an epoch,
    /// it is unchanged:
    /// - [`Error::Diverged`] if a cost, a gradient, a parameter or the state of the optimiser is not finite;
    /// - [`Error::Checkpoint`] if one cannot be written, the errors of the metrics, and those of a pass that are no divergence, as [`Error::Output`].
    pub fn fit<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
    ) -> Result<History, Error> {
        #[cfg(feature = "serde")]
        self.check_folder()?;
        self.begin(network, examples)
    }

    pub(super) fn begin<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
    ) -> Result<History, Error> {
        self.run(
            network,
            examples,
            #[cfg(feature = "serde")]
            None,
        )
    }

    /// Returns the state before the first epoch.
    fn begin_anew<L: Layer<T>>(&mut self, network: &Network<T, L>) -> Result<Progress<T>, Error> {
        let progress = Progress::new(network.theta().as_slice())?;
        match &mut self.method {
            Method::Steps(optimizer) => optimizer.reset(),
            Method::FullBatch(solver) => solver.reset(),
        }
        Ok(progress)
    }

    /// Trains from the beginning, or from the state of a checkpoint.
    pub(super) fn run<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
        #[cfg(feature = "serde")] saved: Option<Saved<T>>,
    ) -> Result<History, Error> {
        self.check(network, examples)?;
        #[cfg(feature = "serde")]
        self.check_store()?;
        let chosen = match self.validation_fraction {
            Some(fraction) => Some(Chosen::split(examples, fraction, self.seed)?),
            None => None,
        };
        let (train, validation) = match &chosen {
            Some([train, validation]) => (train.examples()?, Some(validation.examples()?)),
            None => (*examples, self.validation),
        };
        self.check_batches(train.len())?;
        self.check_rate(train.len())?;
        // What a metric cannot measure, as more classes than there are, it says of the targets as well.
        for metric in &self.metrics {
            metric.evaluate(train.y, train.y)?;
            if let Some(validation) = &validation {
                metric.evaluate(validation.y, validation.y)?;
            }
        }
        #[cfg(feature = "serde")]
        self.try_folder()?;
        #[cfg(feature = "serde")]
        let mut progress = match saved {
            Some(saved) => self.take_over(network.parameters(), validation.is_some(), saved)?,
            None => self.begin_anew(network)?,
        };
        #[cfg(not(feature = "serde"))]
        let mut progress = self.begin_anew(network)?;
        let began = progress.epoch;
        let rate = match &self.method {
            Method::Steps(optimizer) => optimizer.rate(),
            Method::FullBatch(_) => 0.0,
        };
        #[cfg(feature = "serde")]
        let settings = self.settings(network, examples.len());
        let mut run = Run::new(network, (&train, validation), self, rate)?;
        let done = run.go(
            &mut progress,
            #[cfg(feature = "serde")]
            &settings,
        );
        drop(run);
        // After a divergence these are the last good parameters. Without a completed epoch nothing
        // changes.
        if done.is_ok() || progress.epoch > began {
            network.set_theta(progress.result(self.keep_best))?;
        }
        done.map(|()| progress.into_history())
    }

    /// What is to become smaller: the cost of the validation examples, or J if there are none; or the monitored metric, negative if larger is better.
    pub(super) fn monitored(&self, record: &Record) -> f64 {
        let values = match record.validation {
            Some(_) => &record.validation_metrics,
            None => &record.metrics,
        };
        let metric = self
            .monitor
            .and_then(|at| self.metrics.get(at).zip(values.get(at)));
        match metric.map(|(metric, value)| (metric.direction(), *value)) {
            Some((Direction::Maximize, value)) => -value,
            Some((Direction::Minimize, value)) => value,
            None => record.validation.unwrap_or(record.cost),
        }
    }

    /// Whether a training has done all that it may.
    pub(super) fn ended(&self, progress: &Progress<T>) -> Option<Stop> {
        let reached = |most: Option<u64>, now: u64| most.is_some_and(|most| now >= most);
        let patience = self.patience.map(|patience| patience.epochs);
        [
            (reached(patience, progress.waited), Stop::Patience),
            (progress.epoch >= self.epochs, Stop::Epochs),
            (reached(self.steps, progress.steps), Stop::Steps),
        ]
        .into_iter()
        .find_map(|(ends, stop)| ends.then_some(stop))
    }
}

/// Examples of others, in memory of their own.
struct Chosen<T> {
    x: DMatrix<T>,
    y: DMatrix<T>,
    weights: Option<Vec<f64>>,
}

impl<T: Scalar> Chosen<T> {
    /// Those to train on, and a fraction to validate with.
    fn split(all: &Examples<'_, T>, fraction: f64, seed: u64) -> Result<[Self; 2], Error> {
        // The second part is for validation. Test examples are not among these.
        let Split {
            train,
            test: validation,
        } = train_validation_split(all.len(), fraction, seed)?;
        let take = |indices: &[usize]| {
            Ok(Self {
                x: select(all.x, indices)?,
                y: select(all.y, indices)?,
                weights: match all.weights {
                    Some(weights) => {
                        let chosen = indices.iter().map(|&k| Ok(weights[k]));
                        Some(collected("the weights", indices.len(), chosen)?)
                    }
                    None => None,
                },
            })
        };
        Ok([take(&train)?, take(&validation)?])
    }

    fn examples(&self) -> Result<Examples<'_, T>, Error> {
        let examples = Examples::new(&self.x, &self.y)?;
        match &self.weights {
            Some(weights) => examples.weighted(weights),
            None => Ok(examples),
        }
    }
}

impl<T: Scalar, C: Debug> Debug for Trainer<'_, T, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("objective", &self.objective)
            .field("method", &self.method)
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
