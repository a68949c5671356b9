//! What a trainer moves through the parameters by.

use super::full_batch::FullBatch;
use super::optimizer::{
    AdaGrad, Adadelta, Adam, AdamW, GradientDescent, IRpropMinus, Optimizer, RmsProp,
};
use crate::scalar::Scalar;

/// How a training moves through the parameters: an [`Optimizer`] step by step, or a solver on all examples at once.
///
/// All of ours become one by `into`, so that [`Trainer::new`](super::Trainer::new) takes them as they are; so does a boxed optimiser or solver of your own.
#[derive(Debug)]
#[non_exhaustive]
pub enum Method<T: Scalar> {
    /// A step for each batch.
    Steps(Box<dyn Optimizer<T>>),
    /// An iteration on all examples for each epoch.
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

impl<T: Scalar> From<GradientDescent<T>> for Method<T> {
    fn from(optimizer: GradientDescent<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

impl<T: Scalar> From<Adam<T>> for Method<T> {
    fn from(optimizer: Adam<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

impl<T: Scalar> From<AdamW<T>> for Method<T> {
    fn from(optimizer: AdamW<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

impl<T: Scalar> From<RmsProp<T>> for Method<T> {
    fn from(optimizer: RmsProp<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

impl<T: Scalar> From<AdaGrad<T>> for Method<T> {
    fn from(optimizer: AdaGrad<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

impl<T: Scalar> From<Adadelta<T>> for Method<T> {
    fn from(optimizer: Adadelta<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}

impl<T: Scalar> From<IRpropMinus<T>> for Method<T> {
    fn from(optimizer: IRpropMinus<T>) -> Self {
        Self::Steps(Box::new(optimizer))
    }
}
