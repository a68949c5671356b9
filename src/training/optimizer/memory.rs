//! The state of an optimiser, and the checks that all of them make.

use super::OptimizerState;
use crate::error::Error;
use crate::kernels::steps::{BUFFERS, Rule, step};
use crate::layout::allocate;
use crate::scalar::{Scalar, real, to_f64};
use std::ops::Range;

/// What one buffer holds, with its first value where that is not always 0.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    /// Means and sums, of either sign.
    Signed,
    /// Sums and means of squares.
    Squares(f64),
    /// Sizes of steps.
    Sizes(f64),
}

impl Slot {
    fn first(self) -> f64 {
        match self {
            Self::Signed => 0.0,
            Self::Squares(first) | Self::Sizes(first) => first,
        }
    }

    fn admits(self, x: f64) -> bool {
        match self {
            Self::Signed => true,
            Self::Squares(_) => x >= 0.0,
            Self::Sizes(_) => x > 0.0,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Signed => "a finite number",
            Self::Squares(_) => "a finite number of at least 0",
            Self::Sizes(_) => "a finite number above 0",
        }
    }
}

/// Steps and buffers, fitted to the length of θ by the first step.
#[derive(Clone, Debug)]
pub(super) struct Memory<T> {
    state: OptimizerState<T>,
    /// The length of θ, once it is known.
    length: Option<usize>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self {
            state: OptimizerState::new(0, Vec::new()),
            length: None,
        }
    }
}

impl<T: Scalar> Memory<T> {
    /// Counts a step: checks the lengths, and allocates the buffers before the first. Returns the number of the step, from 1.
    pub(super) fn begin(
        &mut self,
        theta: &[T],
        gradient: &[T],
        slots: &[Slot],
    ) -> Result<u64, Error> {
        let length = self.length.unwrap_or(theta.len());
        same_length("θ", length, theta.len())?;
        same_length("∇J", length, gradient.len())?;
        if self.state.steps == 0 {
            let buffer = |slot: &Slot| {
                allocate(
                    "the state of the optimiser",
                    (length, 1),
                    real(slot.first()),
                )
            };
            self.state.buffers = slots.iter().map(buffer).collect::<Result<_, _>>()?;
        }
        let buffers = self.state.buffers.len();
        same_length("buffers of the optimiser's state", slots.len(), buffers)?;
        self.length = Some(length);
        self.state.steps = self.state.steps.saturating_add(1);
        Ok(self.state.steps)
    }

    /// The rule at some entries of θ, after [`begin`](Self::begin).
    pub(super) fn apply(
        &mut self,
        rule: Rule,
        entries: Range<usize>,
        theta: &mut [T],
        gradient: &[T],
    ) {
        let mut buffers = self.state.buffers.iter_mut();
        let state: [&mut [T]; BUFFERS] = std::array::from_fn(|_| match buffers.next() {
            Some(buffer) => &mut buffer[entries.clone()],
            None => &mut [],
        });
        let theta = &mut theta[entries.clone()];
        step(rule, theta, &gradient[entries], state);
    }

    pub(super) fn state(&self) -> OptimizerState<T> {
        self.state.clone()
    }

    /// Takes over a state that fits the slots.
    pub(super) fn restore(
        &mut self,
        state: &OptimizerState<T>,
        slots: &[Slot],
    ) -> Result<(), Error> {
        let OptimizerState { steps, buffers } = state;
        // Before the first step there are none.
        let slots = if *steps == 0 { &[] } else { slots };
        same_length(
            "buffers of the optimiser's state",
            slots.len(),
            buffers.len(),
        )?;
        let length = buffers.first().map(Vec::len);
        for (buffer, (values, slot)) in buffers.iter().zip(slots).enumerate() {
            let expected = length.unwrap_or_default();
            same_length("buffer of the optimiser's state", expected, values.len())?;
            let wrong = |x: &T| !(x.is_finite() && slot.admits(to_f64(*x)));
            if let Some(index) = values.iter().position(wrong) {
                return Err(Error::OptimizerState {
                    buffer,
                    index,
                    value: to_f64(values[index]),
                    expected: slot.expected(),
                });
            }
        }
        self.state = state.clone();
        self.length = length;
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Whether a slice, or what is counted, has the length that it must have.
pub(super) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Length {
        what,
        expected,
        found,
    })
}
