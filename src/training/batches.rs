//! Mini-batches, and copies of selected examples.

use crate::allocation::{collected, resize};
use crate::cost::Present;
use crate::data::{permutation_into, select};
use crate::error::{Error, Location};
use crate::examples::{Buffers, Examples};
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};

/// The batches of an epoch, in buffers allocated once.
#[derive(Debug)]
pub(super) struct Batches<T> {
    size: usize,
    /// The seed of the order; `None` for the order of the data.
    seed: Option<u64>,
    order: Vec<usize>,
    x: Vec<T>,
    y: Vec<T>,
    present: Vec<bool>,
    weights: Vec<f64>,
}

impl<T: Scalar> Batches<T> {
    pub(super) fn new(
        examples: &Examples<'_, T>,
        size: usize,
        seed: Option<u64>,
    ) -> Result<Self, Error> {
        let mut batches = Self {
            size,
            seed: seed.filter(|_| size < examples.len()),
            order: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            present: Vec::new(),
            weights: Vec::new(),
        };
        if batches.seed.is_some() {
            let (n, k) = (examples.x.nrows(), examples.y.nrows());
            resize(
                &mut batches.order,
                "the order of the examples",
                (examples.len(), 1),
                0,
            )?;
            resize(
                &mut batches.x,
                "the inputs of a batch",
                (n, size),
                T::zero(),
            )?;
            resize(
                &mut batches.y,
                "the targets of a batch",
                (k, size),
                T::zero(),
            )?;
            if examples.present.is_some() {
                let what = "the present targets of a batch";
                resize(&mut batches.present, what, (k, size), false)?;
            }
            if examples.weights.is_some() {
                resize(
                    &mut batches.weights,
                    "the weights of a batch",
                    (size, 1),
                    0.0,
                )?;
            }
        }
        Ok(batches)
    }

    /// Sets the order of an epoch. It depends only on the seed and the epoch, so it is not saved.
    pub(super) fn start(&mut self, epoch: u64) {
        if let Some(seed) = self.seed {
            permutation_into(&mut self.order, seed, epoch);
        }
    }

    /// Returns the number of batches. The last batch may have fewer examples.
    pub(super) fn count(&self, examples: &Examples<'_, T>) -> usize {
        examples.len().div_ceil(self.size)
    }

    /// Returns batch b of the epoch, or `None` if all its weights are 0 or their sum is 0 in T.
    pub(super) fn get<'b>(
        &'b mut self,
        all: &Examples<'b, T>,
        b: usize,
    ) -> Option<Examples<'b, T>> {
        let first = b * self.size;
        let count = self.size.min(all.len() - first);
        if self.seed.is_none() {
            let part = if count == all.len() {
                *all
            } else {
                all.part(first, count)
            };
            return part.reweighted();
        }
        let (n, k) = (all.x.nrows(), all.y.nrows());
        let chosen = &self.order[first..first + count];
        for (&from, to) in chosen.iter().zip(self.x.chunks_exact_mut(n)) {
            to.copy_from_slice(all.x.column(from).as_slice());
        }
        for (&from, to) in chosen.iter().zip(self.y.chunks_exact_mut(k)) {
            to.copy_from_slice(all.y.column(from).as_slice());
        }
        let present = all.present.map(|present| {
            for (&from, to) in chosen.iter().zip(self.present.chunks_exact_mut(k)) {
                to.copy_from_slice(present.of(from));
            }
            Present::new(&self.present[..k * count], k)
        });
        let weights = all.weights.map(|weights| {
            for (&from, to) in chosen.iter().zip(&mut self.weights) {
                *to = weights[from];
            }
            &self.weights[..count]
        });
        let x = DMatrixView::from_slice(&self.x[..n * count], n, count);
        let y = DMatrixView::from_slice(&self.y[..k * count], k, count);
        let buffers = Buffers {
            x,
            y,
            present,
            weights,
        };
        all.with(buffers).reweighted()
    }

    /// In an error, replaces the index of an example in batch b with its index in the whole data
    /// set.
    pub(super) fn place(&self, b: usize, mut error: Error) -> Error {
        if let Error::NonFinite {
            at: Location::Activation { example, .. } | Location::Cost { example },
            ..
        }
        | Error::Output { example, .. } = &mut error
        {
            let place = b * self.size + *example;
            *example = match self.seed {
                Some(_) => self.order.get(place).copied().unwrap_or(place),
                None => place,
            };
        }
        error
    }
}

/// Copies of selected examples.
pub(super) struct Selected<T> {
    x: DMatrix<T>,
    y: DMatrix<T>,
    present: Option<Vec<bool>>,
    weights: Option<Vec<f64>>,
}

impl<T: Scalar> Selected<T> {
    pub(super) fn new(all: &Examples<'_, T>, indices: &[usize]) -> Result<Self, Error> {
        let weights = all.weights.map(|weights| {
            let chosen = indices.iter().map(|&k| Ok(weights[k]));
            collected("the weights", indices.len(), chosen)
        });
        let k = all.y.nrows();
        let present = all.present.map(|present| {
            let chosen = indices
                .iter()
                .flat_map(|&k| present.of(k))
                .map(|&is| Ok(is));
            let len = k.saturating_mul(indices.len());
            collected("the present targets", len, chosen)
        });
        Ok(Self {
            x: select(all.x, indices)?,
            y: select(all.y, indices)?,
            present: present.transpose()?,
            weights: weights.transpose()?,
        })
    }

    pub(super) fn examples(&self) -> Result<Examples<'_, T>, Error> {
        let present = self.present.as_ref();
        let present = present.map(|entries| Present::new(entries, self.y.nrows()));
        let examples = Examples::checked(self.x.as_view(), self.y.as_view(), present)?;
        match &self.weights {
            Some(weights) => examples.weighted(weights),
            None => Ok(examples),
        }
    }
}
