//! The driver of the optimisers that update each entry of θ independently.

use super::decay::Decoupled;
use super::rule::Rule;
use super::state::{Memory, OptimizerState};
use super::{Optimizer, OptimizerInfo};
use crate::error::Error;
use crate::error::ranges::{above_zero, not_negative};
use crate::kernels::steps::Step;
use crate::scalar::Scalar;
use std::fmt::Debug;
use std::ops::Range;
use std::slice;

/// An optimiser that updates each entry of θ by a rule that uses only the gradient and state of
/// that entry.
///
/// This is the type behind [`Adam`](super::Adam) and the other optimisers, whose pages document the
/// settings. `R` is the rule with its settings, and `D` the weight decay, if any.
#[derive(Clone, Debug)]
pub struct Entrywise<T, R, D = ()> {
    rate: f64,
    pub(super) rule: R,
    pub(super) decay: D,
    memory: Memory<T>,
}

impl<T: Scalar, R: Rule, D: Decoupled> Entrywise<T, R, D> {
    pub(super) fn of(rate: f64, rule: R, decay: D) -> Self {
        Self {
            rate,
            rule,
            decay,
            memory: Memory::default(),
        }
    }

    /// Checks all settings with the learning rate of a step, which may be 0.
    fn check(&self, rate: f64) -> Result<(), Error> {
        not_negative::<T>(R::RATE, rate)?;
        self.rule.check::<T>()?;
        self.decay
            .get()
            .map_or(Ok(()), |decay| decay.check::<T>(rate))
    }
}

impl<T: Scalar, R: Rule, D: Decoupled> Optimizer<T> for Entrywise<T, R, D> {
    fn info(&self) -> OptimizerInfo {
        let name = match self.decay.get() {
            None => R::NAME,
            Some(_) => R::NAME_WITH_DECAY,
        };
        OptimizerInfo {
            name,
            rate: self.rate,
            takes_batches: R::TAKES_BATCHES,
        }
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>(R::RATE, self.rate)?;
        self.check(self.rate)
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T], factor: f64) -> Result<(), Error> {
        let whole = 0..theta.len();
        self.step_in(slice::from_ref(&whole), theta, gradient, factor)
    }

    fn step_in(
        &mut self,
        moving: &[Range<usize>],
        theta: &mut [T],
        gradient: &[T],
        factor: f64,
    ) -> Result<(), Error> {
        not_negative::<f64>("the factor on the learning rate", factor)?;
        let rate = self.rate * factor;
        self.check(rate)?;
        let whole = 0..theta.len();
        let (keep, decayed) = match self.decay.get() {
            None => (1.0, &[][..]),
            Some(decay) => (decay.keep(rate), decay.entries(&whole)?),
        };
        let rule = self.rule;
        let number = self.memory.begin(theta, gradient, &rule, rate)?;
        let mut apply = |keep, range: Range<usize>| {
            let step = Step { number, rate, keep };
            for moving in moving {
                let end = moving.end.min(range.end);
                let part = moving.start.max(range.start).min(end)..end;
                self.memory.apply(rule, step, part, theta, gradient);
            }
        };
        let mut done = 0;
        for range in decayed {
            apply(1.0, done..range.start);
            apply(keep, range.clone());
            done = range.end;
        }
        apply(1.0, done..whole.end);
        Ok(())
    }

    fn state(&self) -> OptimizerState<T> {
        self.memory.state.clone()
    }

    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error> {
        self.memory.restore(state, self.rule.slots())
    }
}
