//! Training: from a gradient to a trained network.
//!
//! A [`Trainer`] goes through the data epoch by epoch and returns a [`History`]. Its [`Method`] is
//! an [`Optimizer`], which makes a step for each mini-batch, or a [`FullBatch`] solver, which uses
//! all examples at once.
//!
//! | for | use |
//! |---|---|
//! | mini-batches | [`batch_size`](Trainer::batch_size), [`seed`](Trainer::seed), [`shuffle`](Trainer::shuffle) |
//! | early stopping | [`validation`](Trainer::validation) with [`patience`](Trainer::patience), by a metric with [`monitor`](Trainer::monitor); [`keep_best`](Trainer::keep_best) keeps the best epoch |
//! | a changing learning rate, clipped gradients | [`schedule`](Trainer::schedule), [`clipping`](Trainer::clipping) |
//! | reports | [`metric`](Trainer::metric), [`on_epoch`](Trainer::on_epoch), [`History`] |
//! | examples larger than memory | [`fit_source`](Trainer::fit_source) with a [`source`](crate::source) |
//! | several processes or machines | [`distributed`](Trainer::distributed) |
//! | continuing after a crash (feature `serde`) | `checkpoints`, `resume` |
//! | L-BFGS, conjugate gradients (feature `argmin`) | `Lbfgs`, `ConjugateGradient` |
//! | small networks that should fit exactly | [`LevenbergMarquardt`] |
//!
//! Every part also works in your own loop: optimisers update flat slices, [`Schedule`] and
//! [`Clipping`] are values, and [`permutation_into`](crate::data::permutation_into) orders the
//! examples. Such a loop must scale the penalty itself, because the gradient of a batch divides λ
//! by the batch size: use λ · (batch size)/m. The trainer does this. With dropout or batch norms,
//! the loop also sets a new seed before each step
//! ([`set_training`](crate::Workspace::set_training)) and takes the state after it
//! ([`take_state`](crate::Network::take_state)), as the repository's example `own_loop` does.
//!
//! # Example
//! ```
//! use backprop::activation::{Softmax, Tanh};
//! use backprop::data::{Fractions, one_hot, select, stratified_three_way_split};
//! use backprop::metrics::{Accuracy, ConfusionMatrix};
//! use backprop::nalgebra::DMatrix;
//! use backprop::training::{Adam, Trainer};
//! use backprop::{CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng};
//!
//! // 90 points on a circle. The class is the third of the circle that a point lies in.
//! let angle = |k: usize| 0.07 * k as f64;
//! let x = DMatrix::from_fn(2, 90, |i, k| if i == 0 { angle(k).cos() } else { angle(k).sin() });
//! let labels: Vec<usize> = (0..90).map(|k| k / 30).collect();
//! let y = one_hot(&labels, 3)?;
//!
//! // Examples for training, early stopping and the final test.
//! let fractions = Fractions { validation: 0.2, test: 0.2 };
//! let split = stratified_three_way_split(&labels, fractions, 1)?;
//! let train = (select(&x, &split.train)?, select(&y, &split.train)?);
//! let validation = (select(&x, &split.validation)?, select(&y, &split.validation)?);
//! let test = (select(&x, &split.test)?, select(&y, &split.test)?);
//!
//! let mut network = Network::<f64>::builder(2)
//!     .dense(8, Tanh)
//!     .dense(3, Softmax)
//!     .initialize(Initialization::GlorotUniform, &mut rng(1))?;
//! let history = Trainer::new(Objective::new(CategoricalCrossEntropy), Adam::new(0.05))
//!     .epochs(200)
//!     .batch_size(16)
//!     .validation(Examples::new(&validation.0, &validation.1)?)
//!     .patience(20)
//!     .metric(Accuracy)
//!     .fit(&mut network, &Examples::new(&train.0, &train.1)?)?;
//! assert!(history.best().is_some_and(|record| record.validation_metrics[0] > 0.9));
//!
//! let confusion = ConfusionMatrix::from_outputs(&network.forward(&test.0)?, &test.1)?;
//! assert!(confusion.accuracy() > 0.8);
//! println!("{confusion}");
//! # Ok::<(), backprop::Error>(())
//! ```

#[cfg(feature = "argmin")]
mod argmin_driver;
mod callback;
#[cfg(feature = "serde")]
mod checkpoint;
mod clipping;
mod clock;
mod decimal;
mod epoch_steps;
mod facts;
mod feed;
mod full_batch;
mod history;
#[cfg(feature = "argmin")]
mod lbfgs;
mod levenberg_marquardt;
#[cfg(feature = "argmin")]
mod line_search;
mod network_problem;
mod optimizer;
mod order;
mod plan;
#[cfg(feature = "serde")]
mod resume;
mod run;
mod run_state;
#[cfg(feature = "serde")]
mod saved_state;
mod schedule;
mod step;
mod subset;
mod sweep;
mod train;
mod trainer;
mod validate;
#[cfg(feature = "argmin")]
mod wolfe_search;

pub use callback::Epoch;
#[cfg(feature = "serde")]
pub use checkpoint::Resumed;
pub use clipping::Clipping;
#[cfg(feature = "serde")]
pub use full_batch::Reached;
pub use full_batch::{FullBatch, Iteration, LeastSquares, Method, Problem};
pub use history::{History, Record, Stop};
#[cfg(feature = "argmin")]
pub use lbfgs::{ConjugateGradient, Lbfgs};
pub use levenberg_marquardt::LevenbergMarquardt;
pub use optimizer::{
    AdaGrad, Adadelta, Adam, AdamW, Entrywise, GradientDescent, IRpropMinus, Optimizer,
    OptimizerInfo, OptimizerState, RmsProp,
};
pub use schedule::{Plateau, Schedule};
pub use trainer::Trainer;
