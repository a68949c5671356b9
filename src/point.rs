//! A point at which a network is evaluated: θ and state.

use crate::allocation::allocate;
use crate::error::{Error, Location};
use crate::examples::check_length;
use crate::kernels::first_non_finite;
use crate::layer::{Plan, StateBlock};
use crate::path::Path;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::DVector;
use std::ops::Range;

/// θ and the state that belongs to it.
///
/// Whatever copies θ copies both: with another state, the same θ is another function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point<'a, T> {
    pub(crate) theta: &'a [T],
    pub(crate) state: &'a [T],
}

/// A vector of state and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StatePlace {
    pub(crate) layer: Path,
    pub(crate) index: usize,
    pub(crate) block: StateBlock,
    pub(crate) range: Range<usize>,
    pub(crate) fixed: bool,
}

/// Returns the state of a new network.
pub(crate) fn initial_state<T: Scalar>(places: &[StatePlace]) -> Result<DVector<T>, Error> {
    let len = places.last().map_or(0, |place| place.range.end);
    let mut state = allocate("the state", (len, 1), T::zero())?;
    start_state(places, &mut state);
    Ok(DVector::from_vec(state))
}

/// Writes the state of a new network.
pub(crate) fn start_state<T: Scalar>(places: &[StatePlace], state: &mut [T]) {
    for place in places {
        state[place.range.clone()].fill(real(place.block.start));
    }
}

/// Checks that numbers can be the state of these vectors.
pub(crate) fn check_state<T: Scalar>(places: &[StatePlace], state: &[T]) -> Result<(), Error> {
    let len = places.last().map_or(0, |place| place.range.end);
    check_length("the state", len, state.len())?;
    check_finite_state(places, state)?;
    for place in places {
        let values = &state[place.range.clone()];
        let least: T = real(place.block.least);
        if let Some(entry) = values.iter().position(|&value| value < least) {
            return Err(Error::State {
                layer: place.layer.clone(),
                block: place.block.name.to_string(),
                entry,
                value: to_f64(values[entry]),
                least: place.block.least,
            });
        }
    }
    Ok(())
}

/// Checks that the state is finite.
#[inline]
pub(crate) fn check_finite_state<T: Scalar>(
    places: &[StatePlace],
    state: &[T],
) -> Result<(), Error> {
    let Some(index) = first_non_finite(state) else {
        return Ok(());
    };
    let place = places.iter().find(|place| place.range.contains(&index));
    let at = place.map_or(Location::Objective, |place| Location::State {
        layer: place.layer.clone(),
        block: place.block.name.to_string(),
        entry: index - place.range.start,
    });
    let value = to_f64(state[index]);
    Err(Error::NonFinite { at, value })
}

/// Lists the vectors of state of a layer and of those inside it.
pub(crate) fn push_places(path: &Path, plan: &Plan, places: &mut Vec<StatePlace>) {
    for (index, block) in plan.state_blocks.iter().enumerate() {
        let start = places.last().map_or(0, |place| place.range.end);
        places.push(StatePlace {
            layer: path.clone(),
            index,
            block: block.clone(),
            range: start..start.saturating_add(block.len),
            fixed: plan.fixed_statistics(),
        });
    }
    for (i, child) in plan.children.iter().enumerate() {
        push_places(&path.child(i), &child.plan, places);
    }
}
