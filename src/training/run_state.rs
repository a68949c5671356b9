//! The state of a run between two epochs, with everything needed to continue.

use super::history::{History, Record};
use super::optimizer::OptimizerState;
use super::schedule::Plateau;
use crate::allocation::{copied, resize};
use crate::error::Error;
use crate::point::Point;
use crate::scalar::Scalar;

/// The state of a run between two epochs.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(deny_unknown_fields, bound(deserialize = "T: serde::Deserialize<'de>"))
)]
pub(super) struct RunState<T> {
    /// The number of completed epochs.
    pub(super) epoch: u64,
    pub(super) steps: u64,
    /// θ at the end of the last epoch whose J was finite.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "crate::saved_numbers::list")
    )]
    pub(super) theta: Vec<T>,
    /// The state of the layers that belongs to it.
    #[cfg_attr(
        feature = "serde",
        serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "crate::saved_numbers::list"
        )
    )]
    pub(super) state: Vec<T>,
    pub(super) optimizer: OptimizerState<T>,
    /// The monitored cost, θ and state of the best epoch; `None` before the first.
    pub(super) best: Option<Best<T>>,
    /// The number of epochs in a row without an improvement that counts for patience.
    pub(super) waited: u64,
    pub(super) plateau: Option<Plateau>,
    pub(super) history: History,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(deny_unknown_fields, bound(deserialize = "T: serde::Deserialize<'de>"))
)]
pub(super) struct Best<T> {
    pub(super) cost: f64,
    /// θ; empty if a run ends with the last parameters.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "crate::saved_numbers::list")
    )]
    pub(super) theta: Vec<T>,
    /// The state of the layers that belongs to it.
    #[cfg_attr(
        feature = "serde",
        serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "crate::saved_numbers::list"
        )
    )]
    pub(super) state: Vec<T>,
}

/// How an epoch is compared with the best one so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Improvement {
    /// The value to be minimised.
    pub(super) monitored: f64,
    /// The count for patience restarts after a decrease by more than this.
    pub(super) least: f64,
    /// Whether θ and state of the best epoch are kept.
    pub(super) keep: bool,
}

impl<T: Scalar> RunState<T> {
    pub(super) fn new(point: Point<'_, T>) -> Result<Self, Error> {
        Ok(Self {
            epoch: 0,
            steps: 0,
            theta: copied("the parameters", point.theta)?,
            state: copied("the state", point.state)?,
            optimizer: OptimizerState::default(),
            best: None,
            waited: 0,
            plateau: None,
            history: History::default(),
        })
    }

    /// Adds an epoch that ended at `point`.
    pub(super) fn note(
        &mut self,
        record: Record,
        point: Point<'_, T>,
        improvement: Improvement,
    ) -> Result<(), Error> {
        let Improvement {
            monitored,
            least,
            keep,
        } = improvement;
        let before = self.best.as_ref().map_or(f64::INFINITY, |best| best.cost);
        self.waited = if monitored < before - least {
            0
        } else {
            self.waited + 1
        };
        if monitored < before {
            let best = self.best.get_or_insert_with(|| Best {
                cost: monitored,
                theta: Vec::new(),
                state: Vec::new(),
            });
            // The parameters of an earlier epoch are no longer the best.
            let nothing = Point {
                theta: &[],
                state: &[],
            };
            let kept = if keep { point } else { nothing };
            for (to, from) in [(&mut best.theta, kept.theta), (&mut best.state, kept.state)] {
                resize(to, "the best parameters", (from.len(), 1), T::zero())?;
                to.copy_from_slice(from);
            }
            best.cost = monitored;
            self.history.best = Some(record.epoch);
        }
        self.theta.copy_from_slice(point.theta);
        self.state.copy_from_slice(point.state);
        self.history.records.push(record);
        Ok(())
    }

    /// Reserves room for the records of `epochs` more epochs.
    pub(super) fn reserve(&mut self, epochs: usize) -> Result<(), Error> {
        let records = &mut self.history.records;
        let (what, rows, cols) = ("the history", records.len().saturating_add(epochs), 1);
        let room = records.try_reserve(epochs);
        room.map_err(|_| Error::TooLarge { what, rows, cols })
    }

    /// Returns the point that a run ends with: that of the best epoch if it is kept, otherwise the
    /// last.
    pub(super) fn result(&self, keep: bool) -> Point<'_, T> {
        match &self.best {
            Some(best) if keep && !(best.theta.is_empty() && best.state.is_empty()) => Point {
                theta: &best.theta,
                state: &best.state,
            },
            _ => Point {
                theta: &self.theta,
                state: &self.state,
            },
        }
    }

    pub(super) fn into_history(self) -> History {
        self.history
    }
}
