//! The state of an optimiser between steps, and how it is saved.

use super::rule::{Rule, Slot};
use crate::allocation::allocate;
use crate::error::Error;
use crate::examples::check_length;
use crate::kernels::first_non_finite;
use crate::kernels::steps::{self, BUFFERS, Entries, Step};
use crate::scalar::{Scalar, real, to_f64};
use std::ops::Range;

/// The state of an [`Optimizer`](super::Optimizer): the number of its steps, and its buffers.
///
/// A checkpoint needs only θ, the settings and this state. Before the first step, there are no
/// buffers. Each optimiser documents which buffers it has.
///
/// # Example
/// ```
/// use backprop::training::{GradientDescent, Optimizer, OptimizerState};
///
/// let mut method = GradientDescent::new(0.5).momentum(0.9);
/// method.step(&mut [8.0, -4.0], &[1.0, 3.0], 1.0)?;
/// let state = method.state();
/// assert_eq!(state, OptimizerState::new(1, vec![vec![1.0, 3.0]]));
///
/// let mut other = GradientDescent::new(0.5).momentum(0.9);
/// other.restore(&state)?;
/// assert_eq!(other.state(), state);
/// # Ok::<(), backprop::Error>(())
/// ```
/// With the feature `serde`, the state is saved with the name of T and loads only as that type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OptimizerState<T> {
    /// The number of steps made so far.
    pub steps: u64,
    /// Vectors as long as θ, in the order that the optimiser documents.
    pub buffers: Vec<Vec<T>>,
}

impl<T> OptimizerState<T> {
    /// Creates a state from its parts. [`Optimizer::restore`](super::Optimizer::restore) checks
    /// whether it fits.
    #[must_use]
    pub fn new(steps: u64, buffers: Vec<Vec<T>>) -> Self {
        Self { steps, buffers }
    }
}

impl<T> Default for OptimizerState<T> {
    /// Creates the state before the first step.
    fn default() -> Self {
        Self::new(0, Vec::new())
    }
}

impl<T: Scalar> OptimizerState<T> {
    /// Returns the buffer, index and value of the first entry that is not finite.
    pub(in crate::training) fn first_non_finite(&self) -> Option<(usize, usize, T)> {
        let mut buffers = self.buffers.iter().enumerate();
        buffers.find_map(|(buffer, values)| {
            first_non_finite(values).map(|index| (buffer, index, values[index]))
        })
    }
}

/// The state of an entrywise optimiser. The first step fits it to the length of θ.
#[derive(Clone, Debug)]
pub(super) struct Memory<T> {
    pub(super) state: OptimizerState<T>,
    /// The length of θ, once it is known.
    length: Option<usize>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self {
            state: OptimizerState::default(),
            length: None,
        }
    }
}

impl<T: Scalar> Memory<T> {
    /// Checks the lengths, counts a step, and allocates the buffers before the first. Returns the
    /// number of the step, from 1.
    pub(super) fn begin(
        &mut self,
        theta: &[T],
        gradient: &[T],
        rule: &impl Rule,
        rate: f64,
    ) -> Result<u64, Error> {
        let length = self.length.unwrap_or(theta.len());
        check_length("θ", length, theta.len())?;
        check_length("∇J", length, gradient.len())?;
        let slots = rule.slots().len();
        if self.state.steps == 0 {
            let buffer = |slot| {
                let first = real(rule.first(slot, rate));
                allocate("the state of the optimiser", (length, 1), first)
            };
            self.state.buffers = (0..slots).map(buffer).collect::<Result<_, _>>()?;
        }
        let buffers = self.state.buffers.len();
        check_length("the buffers of the optimiser's state", slots, buffers)?;
        self.length = Some(length);
        self.state.steps = self.state.steps.saturating_add(1);
        Ok(self.state.steps)
    }

    /// Applies the rule to a range of entries, after [`begin`](Self::begin).
    pub(super) fn apply(
        &mut self,
        rule: impl Rule,
        step: Step,
        range: Range<usize>,
        theta: &mut [T],
        gradient: &[T],
    ) {
        let mut buffers = self.state.buffers.iter_mut();
        let state: [&mut [T]; BUFFERS] = std::array::from_fn(|_| match buffers.next() {
            Some(buffer) => &mut buffer[range.clone()],
            None => &mut [],
        });
        let entries = Entries {
            theta: &mut theta[range.clone()],
            gradient: &gradient[range],
            state,
        };
        steps::step(rule, step, entries);
    }

    /// Replaces the state with one that fits the slots.
    pub(super) fn restore(
        &mut self,
        state: &OptimizerState<T>,
        slots: &[Slot],
    ) -> Result<(), Error> {
        let OptimizerState { steps, buffers } = state;
        // There are no buffers before the first step.
        let slots = if *steps == 0 { &[] } else { slots };
        check_length(
            "the buffers of the optimiser's state",
            slots.len(),
            buffers.len(),
        )?;
        let length = buffers.first().map(Vec::len);
        for (buffer, (values, slot)) in buffers.iter().zip(slots).enumerate() {
            let expected = length.unwrap_or_default();
            check_length("a buffer of the optimiser's state", expected, values.len())?;
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
}

/// States as plain data.
#[cfg(feature = "serde")]
mod saved {
    use super::OptimizerState;
    use crate::saved_numbers::{ScalarName, list};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    #[serde(rename = "OptimizerState", bound = "T: Serialize")]
    struct Written<'a, T> {
        scalar: ScalarName<T>,
        steps: u64,
        buffers: &'a [Vec<T>],
    }

    #[derive(Deserialize)]
    #[serde(
        rename = "OptimizerState",
        deny_unknown_fields,
        bound = "T: Deserialize<'de>"
    )]
    struct Read<T> {
        #[serde(default, rename = "scalar")]
        _scalar: ScalarName<T>,
        steps: u64,
        buffers: Vec<Buffer<T>>,
    }

    #[derive(Deserialize)]
    #[serde(transparent, bound = "T: Deserialize<'de>")]
    struct Buffer<T>(#[serde(deserialize_with = "list")] Vec<T>);

    impl<T: Serialize> Serialize for OptimizerState<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let written = Written {
                scalar: ScalarName::<T>::default(),
                steps: self.steps,
                buffers: &self.buffers,
            };
            written.serialize(serializer)
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for OptimizerState<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Read { steps, buffers, .. } = Read::deserialize(deserializer)?;
            let buffers = buffers.into_iter().map(|Buffer(values)| values).collect();
            Ok(Self { steps, buffers })
        }
    }
}
