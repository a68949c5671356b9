//! Training: from a gradient to a trained network.
//!
//! A [`Trainer`] goes through the data epoch by epoch, by an [`Optimizer`] on mini-batches or by a [`FullBatch`] solver on all examples, and gives
//! back a [`History`]. Every part of it serves a loop of one's own as well: optimisers step on flat slices, [`Schedule`] and [`Clipping`] are
//! values, and a batch's order is [`permutation_into`](crate::data::permutation_into).

#[cfg(feature = "argmin")]
mod argmin_driver;
mod batches;
mod callback;
#[cfg(feature = "serde")]
mod checkpoint;
mod clipping;
mod full_batch;
mod history;
#[cfg(feature = "argmin")]
mod lbfgs;
mod method;
mod optimizer;
mod progress;
mod run;
mod schedule;
mod trainer;

pub use callback::Epoch;
#[cfg(feature = "serde")]
pub use checkpoint::Resumed;
pub use clipping::Clipping;
pub use full_batch::{Evaluate, FullBatch, Iteration};
pub use history::{History, Record, Stop};
#[cfg(feature = "argmin")]
pub use lbfgs::{ConjugateGradient, Lbfgs};
pub use method::Method;
pub use optimizer::{
    AdaGrad, Adadelta, Adam, AdamW, GradientDescent, IRpropMinus, Optimizer, OptimizerState,
    RmsProp,
};
pub use schedule::{Plateau, Schedule};
pub use trainer::Trainer;
