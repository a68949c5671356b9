//! μ, by how well the model has foretold what J does (Nielsen's rule).

use super::model::{Model, Step};
use crate::error::Error;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DVector;

/// Beyond this no step is left.
const MOST: f64 = 1e30;

/// How much μ shrinks at most in a step.
const SHRINK: f64 = 0.1;

/// μ and the factor by which it grows when a step is refused.
pub(super) struct Damping {
    mu: f64,
    growth: f64,
    /// Below this the damping would be lost in rounding.
    least: f64,
}

impl Damping {
    pub(super) fn new<T: Scalar>(mu: f64) -> Self {
        let least = to_f64(T::default_epsilon()).powi(2);
        Self {
            mu: mu.clamp(least, MOST),
            growth: 2.0,
            least,
        }
    }

    /// A step was taken, on which J fell by so much of what the model had promised.
    pub(super) fn taken(&mut self, ratio: f64) {
        let factor = (1.0 - (2.0 * ratio - 1.0).powi(3)).max(SHRINK);
        self.mu = (self.mu * factor).max(self.least);
        self.growth = 2.0;
    }

    pub(super) fn refused(&mut self) {
        self.mu *= self.growth;
        self.growth *= 2.0;
    }

    /// The damped step, which promises more than the rounding of J: μ is less where it has to be for that, unless it was found too small here. `None` if there is no such step.
    pub(super) fn step<T: Scalar>(
        &mut self,
        model: &Model<T>,
        scale: &DVector<T>,
        (rounding, refused): (f64, bool),
    ) -> Result<Option<Step<T>>, Error> {
        while self.mu <= MOST {
            match model.damped(self.mu, scale)? {
                Some(step) if step.promise > rounding => return Ok(Some(step)),
                Some(_) if refused || self.mu <= self.least => return Ok(None),
                Some(_) => self.mu = (self.mu * SHRINK).max(self.least),
                None => self.refused(),
            }
        }
        Ok(None)
    }
}
