//! Some blocks of a source, as a source.

use super::feed::Chunk;
use super::order::{Order, Selection};
use crate::allocation::collected;
use crate::data::{Split, train_validation_split};
use crate::error::Error;
use crate::examples::{Examples, scalar_weight};
use crate::kernels;
use crate::scalar::Scalar;
use crate::source::{ReadInto, Source, in_memory};
use std::ops::Range;

/// Some blocks of a source, in ascending order.
#[derive(Debug)]
pub(super) struct Subset<'s, T> {
    source: &'s dyn Source<T>,
    order: Order,
    weights: Option<Vec<f64>>,
    /// Σw of the examples.
    weight: f64,
    /// A copy of the examples, if the source is in memory.
    copy: Option<Chunk<T>>,
}

/// A source whose examples are divided into training and validation examples.
#[derive(Debug)]
pub(super) struct Divided<'s, T> {
    pub(super) training: Subset<'s, T>,
    pub(super) validation: Subset<'s, T>,
}

impl<'s, T: Scalar> Divided<'s, T> {
    /// Selects this fraction of the blocks of a source for validation, at random, and the others
    /// for training.
    pub(super) fn new(source: &'s dyn Source<T>, fraction: f64, seed: u64) -> Result<Self, Error> {
        let blocks = source.len().div_ceil(source.block().max(1));
        let Split { train, test } = train_validation_split(blocks, fraction, seed)?;
        Ok(Self {
            training: Subset::new(source, train)?,
            // Here, the second set of the split is for validation.
            validation: Subset::new(source, test)?,
        })
    }
}

impl<'s, T: Scalar> Subset<'s, T> {
    fn new(source: &'s dyn Source<T>, blocks: Vec<usize>) -> Result<Self, Error> {
        let order = Order::of(blocks, source.len(), source.block().max(1));
        let weights = source.weights().map(|weights| {
            let chosen = (0..order.len()).map(|k| Ok(weights[order.index(k)]));
            collected("the weights", order.len(), chosen)
        });
        let weights = weights.transpose()?;
        let weight = match &weights {
            Some(weights) => kernels::sum(weights),
            None => order.len() as f64,
        };
        if weight == 0.0 {
            return Err(Error::NoExamples);
        }
        scalar_weight::<T>(weight)?;
        let copy = in_memory(source).is_some().then(|| {
            let mut copy = Chunk::new();
            let selection = Selection {
                order: Some(&order),
                places: 0..order.len(),
            };
            copy.read(source, &selection).map(|()| copy)
        });
        let copy = copy.transpose()?;
        Ok(Self {
            source,
            order,
            weights,
            weight,
            copy,
        })
    }
}

impl<T> Subset<'_, T> {
    /// Returns which examples of the source these are.
    pub(super) fn order(&self) -> &Order {
        &self.order
    }
}

impl<T: Scalar> Source<T> for Subset<'_, T> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn inputs(&self) -> usize {
        self.source.inputs()
    }

    fn outputs(&self) -> usize {
        self.source.outputs()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, T>) -> Result<(), Error> {
        if let Some(copy) = self.view(0..self.len()) {
            return copy.read(indices, into);
        }
        let chosen = indices.iter().map(|&k| Ok(self.order.index(k)));
        let chosen = collected("the order of the examples", indices.len(), chosen)?;
        self.source.read(&chosen, into)
    }

    fn block(&self) -> usize {
        self.source.block()
    }

    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn has_missing(&self) -> bool {
        self.source.has_missing()
    }

    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, T>> {
        let mut all = self.copy.as_ref()?.examples(self.source).ok()??;
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        if range.len() == self.len() {
            all.weight = self.weight;
            return Some(all);
        }
        all.part(range.start, range.len()).reweighted()
    }
}
