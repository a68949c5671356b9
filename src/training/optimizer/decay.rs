//! Weight decay that is not part of the gradient.

use crate::error::Error;
use crate::error::ranges::{in_range, not_negative};
use crate::examples::check_length;
use crate::layout::{BlockLayout, Layout};
use crate::scalar::Scalar;
use std::fmt::Debug;
use std::ops::Range;
use std::slice;

/// Decoupled weight decay: θ ← (1 − η w) θ before the rule's own step, for some or all entries.
#[derive(Clone, Debug)]
pub struct Decay {
    pub(super) weight: f64,
    pub(super) mask: Option<Mask>,
}

/// The entries that decay, in order.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    decayed: Vec<Range<usize>>,
    /// The length of θ.
    parameters: usize,
}

impl Mask {
    /// Selects the entries that a penalty acts on.
    pub(super) fn penalised(layout: &Layout) -> Self {
        let penalised = layout.blocks().iter().map(BlockLayout::penalised);
        Self {
            decayed: penalised.collect(),
            parameters: layout.parameters(),
        }
    }
}

impl Decay {
    /// Checks the decay with the learning rate of a step.
    pub(super) fn check<T: Scalar>(&self, rate: f64) -> Result<(), Error> {
        not_negative::<T>("the weight decay", self.weight)?;
        let product = rate * self.weight;
        in_range(
            product <= 1.0,
            "the learning rate times the weight decay",
            product,
            "at most 1",
        )
    }

    /// Returns 1 − η w, the fraction of θ that one step keeps.
    pub(super) fn keep(&self, rate: f64) -> f64 {
        1.0 - rate * self.weight
    }

    /// Returns the entries that decay, given the range of all entries.
    pub(super) fn entries<'a>(
        &'a self,
        all: &'a Range<usize>,
    ) -> Result<&'a [Range<usize>], Error> {
        let Some(mask) = &self.mask else {
            return Ok(slice::from_ref(all));
        };
        check_length("θ", mask.parameters, all.end)?;
        Ok(&mask.decayed)
    }
}

/// A type that represents weight decay, or its absence.
pub trait Decoupled: Debug + Send + Sync {
    /// Returns the decay, if there is one.
    fn get(&self) -> Option<&Decay>;
}

impl Decoupled for () {
    fn get(&self) -> Option<&Decay> {
        None
    }
}

impl Decoupled for Decay {
    fn get(&self) -> Option<&Decay> {
        Some(self)
    }
}
