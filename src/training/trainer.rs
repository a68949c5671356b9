//! The trainer and its settings.

use super::callback::Epoch;
#[cfg(feature = "serde")]
use super::checkpoint::Store;
use super::clipping::Clipping;
use super::full_batch::Method;
use super::history::History;
use super::plan::{Group, Plan};
use super::schedule::Schedule;
use crate::cost::{AnyCost, Cost};
use crate::distributed::{Communicator, Wire};
use crate::error::Error;
use crate::examples::Examples;
use crate::file_scalar::FileScalar;
use crate::layer::Layer;
use crate::metrics::Metric;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::source::Source;
use std::fmt::{self, Debug, Formatter};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Trains a network, with mini-batches, validation, early stopping ([`patience`](Self::patience)),
/// limits and callbacks.
///
/// An epoch uses every example once, in batches of [`batch_size`](Self::batch_size). The order
/// depends only on the seed and the number of the epoch. The optimiser makes one step for each
/// batch: it changes the parameters once, using the gradient of the batch. This gradient is the
/// mean over the examples of the batch plus the gradient of the penalty, with its strength λ
/// divided by the size m of the **whole** training set, so a penalty acts equally for any batch
/// size. A [`Record`](super::Record) reports J over all training examples at the end of each epoch.
///
/// Steps use training passes; costs and metrics are measured in evaluation. Dropout therefore acts
/// only in the steps, with a new seed for each batch, and only the steps use batch statistics and
/// update the running ones. A full-batch solver uses the statistics of all examples, and each
/// iteration makes these the running ones, whatever the momentum. It refuses dropout
/// ([`Error::Stochastic`]), and Levenberg–Marquardt also refuses batch statistics
/// ([`Error::Coupled`]).
///
/// The network changes only when the run ends. It then has the last parameters or, with
/// [`validation`](Self::validation) examples, those of the best epoch
/// ([`keep_best`](Self::keep_best)). Validation examples are used only for measuring. The same seed
/// gives the same bits for any number of threads and [ranks](Self::distributed), with or without
/// callbacks.
///
/// `Trainer` is neither `Send` nor `Sync`, because its callbacks need not be. All other types of
/// this crate are both.
///
/// # Example
/// XOR with Adam at a learning rate of 0.05 and batches of two: 1000 steps. The last record has
/// index 499:
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
    pub(super) plan: Plan<'a, T, C>,
    #[cfg(feature = "serde")]
    pub(super) store: Option<Store<T>>,
}

impl<'a, T: Scalar, C: Cost<T>> Trainer<'a, T, C> {
    /// Returns a trainer for 100 epochs, each on all examples at once. With a
    /// [`batch_size`](Self::batch_size), the examples are reshuffled for each epoch.
    ///
    /// `method` is an [`Optimizer`](super::Optimizer) such as [`Adam`](super::Adam), which makes a
    /// step for each batch, or a [`FullBatch`](super::FullBatch) solver such as
    /// [`LevenbergMarquardt`](super::LevenbergMarquardt), which always uses all examples.
    #[must_use]
    pub fn new(objective: Objective<C>, method: impl Into<Method<T>>) -> Self {
        Self {
            plan: Plan {
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
                min_improvement: 0.0,
                keep_best: true,
                callbacks: Vec::new(),
                ranks: None,
            },
            #[cfg(feature = "serde")]
            store: None,
        }
    }

    /// Sets the maximum number of epochs. For a full-batch solver, an epoch is an iteration.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.plan.epochs = epochs;
        self
    }

    /// Sets the maximum number of steps. The run stops at the end of the epoch that reaches it. For
    /// a full-batch solver, each evaluation of J counts as a step.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.plan.steps = Some(steps);
        self
    }

    /// Stops at the end of the epoch in which this much time has passed since [`fit`](Self::fit)
    /// was called. `fit` refuses a time limit on `wasm32-unknown-unknown`, which has no clock.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.plan.time = Some(time);
        self
    }

    /// Sets the number of examples in a batch, from 1 to m. The last batch of an epoch holds the
    /// remaining examples. By default, a batch is the whole training set.
    #[must_use]
    pub fn batch_size(mut self, examples: usize) -> Self {
        self.plan.batch_size = Some(examples);
        self
    }

    /// Sets the seed of the order of the examples, of stochastic layers and of
    /// [`validation_fraction`](Self::validation_fraction). The default is 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// Sets whether the examples are shuffled for each epoch. The default is `true`.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.plan.shuffle = shuffle;
        self
    }

    /// Changes the learning rate over time: in each step, it is the optimiser's own learning rate
    /// times the schedule's factor at that point in the epoch. A schedule that waits for a plateau
    /// follows the monitored cost. Full-batch solvers and [`IRpropMinus`](super::IRpropMinus)
    /// refuse a schedule.
    #[doc(alias = "lr_scheduler")]
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.plan.schedule = schedule;
        self
    }

    /// Clips the gradient of each batch before its step, bounding either its norm or its entries.
    /// Full-batch solvers refuse clipping.
    #[must_use]
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.plan.clipping = Some(clipping);
        self
    }

    /// Adds a metric, which is evaluated after each epoch on the training and the validation
    /// examples. It ignores example weights.
    #[must_use]
    pub fn metric(mut self, metric: impl Metric<T> + 'a) -> Self {
        self.plan.metrics.push(Box::new(metric));
        self
    }

    /// Adds a [`metric`](Self::metric) that replaces the monitored cost. Early stopping, the best
    /// epoch and a schedule that waits for a plateau then follow this metric.
    /// [`Metric::direction`] returns whether larger is better. If this method is called more than
    /// once, the last metric is monitored.
    #[must_use]
    pub fn monitor(mut self, metric: impl Metric<T> + 'a) -> Self {
        self.plan.monitor = Some(self.plan.metrics.len());
        self.metric(metric)
    }

    /// Holds out a fraction of the examples, above 0 and below 1, for validation. The seed
    /// determines these examples, and m counts only the others.
    ///
    /// The split ignores classes, and any scaler has already been fitted to the validation examples
    /// too. For a stratified split, which keeps the proportions of the classes, or for validation
    /// examples that the scaler was not fitted to, split first
    /// ([`stratified_three_way_split`](crate::data::stratified_three_way_split)) and use
    /// [`validation`](Self::validation).
    #[must_use]
    pub fn validation_fraction(mut self, fraction: f64) -> Self {
        self.plan.validation_fraction = Some(fraction);
        self
    }

    /// Sets the validation examples, in memory or from another [`Source`]. They do not contribute
    /// to the gradient. Early stopping and the best epoch follow their mean cost, or the
    /// [`monitor`](Self::monitor)ed metric on them. They therefore influence the result, so test on
    /// other examples ([`three_way_split`](crate::data::three_way_split)).
    #[must_use]
    pub fn validation(mut self, examples: impl Source<T> + 'a) -> Self {
        self.plan.validation = Some(Arc::new(examples));
        self
    }

    /// Stops the run early, after `epochs` consecutive epochs (at least 1) without an improvement
    /// of the monitored cost. By default, a run does not stop early.
    ///
    /// The monitored cost is that of the validation examples, or J if there are none;
    /// [`monitor`](Self::monitor) replaces it with a metric. Any decrease below the best value so
    /// far is an improvement, unless [`min_improvement`](Self::min_improvement) requires more.
    #[doc(alias = "early_stopping")]
    #[must_use]
    pub fn patience(mut self, epochs: u64) -> Self {
        self.plan.patience = Some(epochs);
        self
    }

    /// Sets the improvement, at least 0, that must be exceeded for the count of
    /// [`patience`](Self::patience) to restart. The default is 0.
    ///
    /// A smaller improvement still sets the best value that later epochs are compared with. This is
    /// scikit-learn's `tol`. In contrast, Keras' `min_delta` ignores a smaller improvement
    /// altogether, so many small ones can add up to one that counts.
    #[doc(alias("min_delta", "tol"))]
    #[must_use]
    pub fn min_improvement(mut self, least: f64) -> Self {
        self.plan.min_improvement = least;
        self
    }

    /// Sets whether a run with validation examples ends with the parameters of its best epoch. The
    /// default is `true`.
    #[doc(alias = "restore_best_weights")]
    #[must_use]
    pub fn keep_best(mut self, keep: bool) -> Self {
        self.plan.keep_best = keep;
        self
    }

    /// Calls `f` after each epoch. [`ControlFlow::Break`] stops the run there.
    #[doc(alias = "callback")]
    #[must_use]
    pub fn on_epoch(mut self, f: impl FnMut(&Epoch<'_, T>) -> ControlFlow<()> + 'a) -> Self {
        self.plan.callbacks.push(Box::new(f));
        self
    }

    /// Shares the work of the run with other processes or machines: the ranks. Each rank calls
    /// [`fit`](Self::fit) with the same settings and its own communicator.
    ///
    /// Every rank has all examples, reads them from the same files, or holds a
    /// [`Shard`](crate::distributed::Shard) of them. The batches are those of a run on one process,
    /// so [`batch_size`](Self::batch_size) counts the examples of all ranks. Each rank computes
    /// some parts of a batch. Their sums are added in the same order as on one process, and every
    /// rank makes the same step. The result has the same bits for any number of ranks and threads.
    ///
    /// At the start, the ranks compare the version of this crate, the target, the network, the
    /// settings, the sizes and some values of the data, the parameters, and some values of the
    /// functions of the network. From then on, each process computes with the instructions (SIMD)
    /// that all of them have. After every 64 steps and after each epoch, the ranks compare the
    /// parameters. The run ends after an epoch if a callback of any rank ends it, or if the time
    /// limit of any rank has passed. Rank 0 reads and writes the checkpoints; a run can resume with
    /// any number of ranks.
    ///
    /// # Errors
    /// [`fit`](Self::fit) then also returns
    /// - [`Error::Distributed`] if the ranks differ, if one does not answer, or if another one
    ///   failed ([`DistributedFault::Failed`](crate::DistributedFault::Failed), with its error);
    /// - [`Error::Coupled`] for layers that couple the examples of a batch in training, such as
    ///   batch norms whose statistics are not fixed;
    /// - [`Error::Unsupported`] for Levenberg–Marquardt.
    ///
    /// # Example
    /// See [`distributed`](crate::distributed).
    #[must_use]
    pub fn distributed(mut self, communicator: &'a dyn Communicator) -> Self
    where
        T: FileScalar,
    {
        let wire = Wire::new();
        self.plan.ranks = Some(Group { communicator, wire });
        self
    }

    /// Trains the network and returns the history. Each call starts anew: the state of the
    /// optimiser is reset, and epochs count from 1.
    ///
    /// # Errors
    /// The following errors occur before the first step and leave everything unchanged:
    /// - the errors of [`Network::gradient_into`](crate::Network::gradient_into) on the training
    ///   examples, and on the validation examples;
    /// - the errors of a metric that cannot measure these targets;
    /// - [`Error::SingleOutput`] for one output with softmax or the categorical cross-entropy,
    ///   which has nothing to learn;
    /// - [`Error::Hyperparameter`] for a setting that is out of range: no epochs, a batch size of 0
    ///   or above m, a learning rate that is not above 0 or overflows T, …
    /// - [`Error::Stochastic`] for a layer that draws random numbers with a full-batch solver;
    /// - [`Error::Unsupported`] for a schedule or clipping with a full-batch solver, a schedule
    ///   with [`IRpropMinus`](super::IRpropMinus), checkpoints of a solver that cannot be saved, or
    ///   a time limit without a clock;
    /// - [`Error::Checkpoint`] if the folder already has checkpoints (`resume` continues from
    ///   them), or cannot be written to.
    ///
    /// The following errors occur during training. The network then has the parameters of the best
    /// epoch, or those of the last epoch with a finite J if the best are not kept. If this call has
    /// not completed an epoch, the network is unchanged:
    /// - [`Error::Diverged`] if a cost, a gradient, a parameter or the state of the optimiser is
    ///   not finite;
    /// - [`Error::Checkpoint`] if a checkpoint cannot be written;
    /// - the errors of the metrics, and other errors of a forward or backward pass, such as
    ///   [`Error::Output`].
    #[doc(alias = "train")]
    pub fn fit<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        examples: &Examples<'_, T>,
    ) -> Result<History, Error> {
        self.fit_source(network, examples)
    }

    /// Trains the network like [`fit`](Self::fit), with examples that need not be in memory.
    ///
    /// Shuffling moves whole blocks of the source ([`Source::block`]); their order depends only on
    /// the seed and the epoch. If the source allows it, another thread reads the next batch while
    /// this one is computed. A batch of more than 16 MiB is read and computed in several chunks.
    /// The result has the same bits as with all examples in memory if their order is the same: with
    /// blocks of one example, or without shuffling.
    ///
    /// Each epoch reads the examples twice: for the steps, and for J. With metrics, the outputs and
    /// targets of all examples are in memory, 2 K m scalars.
    ///
    /// # Errors
    /// Returns the errors of [`fit`](Self::fit) and of the source. Examples that are not in memory
    /// are checked when they are read, so the errors of their values, and of metrics that cannot
    /// measure their targets, occur during training. Levenberg–Marquardt needs all examples in
    /// memory and returns [`Error::Unsupported`] otherwise.
    ///
    /// # Example
    /// See [`source`](crate::source).
    pub fn fit_source<L: Layer<T>>(
        &mut self,
        network: &mut Network<T, L>,
        source: &dyn Source<T>,
    ) -> Result<History, Error> {
        self.train(network, source, false)
            .map(|(history, _)| history)
    }
}

impl<T: Scalar, C: Debug> Debug for Trainer<'_, T, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("objective", &self.plan.objective)
            .field("method", &self.plan.method)
            .field("epochs", &self.plan.epochs)
            .field("batch_size", &self.plan.batch_size)
            .field("seed", &self.plan.seed)
            .finish_non_exhaustive()
    }
}
