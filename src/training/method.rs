//! How a trainer updates the parameters.

use super::full_batch::FullBatch;
use super::optimizer::{Decoupled, Entrywise, Optimizer, Rule};
use crate::scalar::Scalar;

/// How training updates the parameters: an [`Optimizer`] step by step, or a [`FullBatch`] solver on
/// all examples at once.
///
/// [`Trainer::new`](super::Trainer::new) takes the methods of this crate directly, through `into`.
/// It also takes a boxed optimiser or solver of your own.
#[derive(Debug)]
#[non_exhaustive]
pub enum Method<T: Scalar> {
    /// One step for each batch.
    Steps(Box<dyn Optimizer<T>>),
    /// One iteration on all examples for each epoch.
    FullBatch(Box<dyn FullBatch<T>>),
}

impl<T: Scalar> From<Box<dyn Optimizer<T>>> for Method<T> {
    fn from(optimizer: Box<dyn Optimizer<T>>) -> Self {
        Self::Steps(optimizer)
    }
}

impl<T: Scalar> From<Box<dyn FullBatch<T>>> for Method<T> {
    fn from(solver: Box<dyn FullBatch<T>>) -> Self {
        Self::FullBatch(solver)
    }
}

impl<T: Scalar, R: Rule, D: Decoupled + 'static> From<Entrywise<T, R, D>> for Method<T> {
    fn from(optimizer: Entrywise<T, R, D>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}
