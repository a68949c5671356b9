//! Layers in sequence.

use super::memory::{Keep, Place};
use super::plan::Plan;
use super::site::Site;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Linked};
use crate::error::Error;
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// Layers in sequence: each takes the outputs of the one before it.
///
/// Without layers, the output is the input.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Sequential<L> {
    layers: Vec<L>,
}

impl<L> Sequential<L> {
    /// Puts layers in sequence.
    #[must_use]
    pub fn new(layers: Vec<L>) -> Self {
        Self { layers }
    }

    /// Returns the layers.
    #[must_use]
    pub fn layers(&self) -> &[L] {
        &self.layers
    }
}

/// The two buffers between which the error terms of inner layers alternate.
struct Alternating<'a, T> {
    now: &'a mut [T],
    next: &'a mut [T],
}

impl<'a, T> Alternating<'a, T> {
    /// Takes the buffers off the front of `room`, and returns the rest of it.
    #[inline]
    fn new(plan: &Plan, m: usize, room: &'a mut [T]) -> (Self, &'a mut [T]) {
        let len = plan.widest() * m;
        let (now, room) = room.split_at_mut(len);
        let (next, room) = room.split_at_mut(len);
        (Self { now, next }, room)
    }

    #[inline]
    fn swap(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
    }
}

/// Returns the first child that a backward pass has to reach. Nothing is computed below it.
///
/// The last child is always reached, because a head leaves ∂cost/∂z in `delta`.
#[inline]
fn lowest(plan: &Plan, wants_gradient: bool, wants_input_delta: bool) -> usize {
    let last = plan.children.len() - 1;
    match (wants_input_delta, wants_gradient) {
        (true, _) => 0,
        (false, true) => plan.first_that_moves().min(last),
        (false, false) => last,
    }
}

/// What one child left in a pass, or the derivatives of it.
struct Left<'a, T: Scalar> {
    /// Absent if it is that of the first child.
    input: Option<DMatrixView<'a, T>>,
    /// Absent if it is that of the last child.
    output: Option<DMatrixView<'a, T>>,
    kept: &'a [T],
}

impl<'a, T: Scalar> Left<'a, T> {
    /// Finds it in what all children keep: \[kept | output | kept | output | … | kept\].
    #[inline(always)]
    fn new(plan: &Plan, i: usize, all: &'a [T], at: (Keep, usize)) -> Self {
        let (child, (keep, m)) = (&plan.children[i], at);
        let start = child.kept.at(keep, m);
        let (before, rest) = all.split_at(start);
        let (kept, rest) = rest.split_at(child.plan.kept_in(keep, m));
        let inputs = child.plan.inputs();
        Self {
            input: (i > 0).then(|| view(&before[start - inputs * m..], inputs, m)),
            output: (i + 1 < plan.children.len()).then(|| view(rest, child.plan.outputs(), m)),
            kept,
        }
    }
}

#[inline]
fn view<T: Scalar>(entries: &[T], rows: usize, m: usize) -> DMatrixView<'_, T> {
    DMatrixView::from_slice(&entries[..rows * m], rows, m)
}

#[inline]
fn view_mut<T: Scalar>(entries: &mut [T], rows: usize, m: usize) -> DMatrixViewMut<'_, T> {
    DMatrixViewMut::from_slice(&mut entries[..rows * m], rows, m)
}

impl<T: Scalar, L: Layer<T>> Layer<T> for Sequential<L> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let mut plan = Plan::new(site, site.input);
        let (mut input, mut widest) = (Place::Input, 0);
        for (i, layer) in self.layers.iter().enumerate() {
            let is_last = i + 1 == self.layers.len();
            let inner = site.child(plan.output(), site.tail && is_last)?;
            let child = layer.plan(inner).map_err(|error| error.inside(i))?;
            child.check(inner).map_err(|error| error.inside(i))?;
            plan.set_output(child.output());
            if !is_last {
                widest = widest.max(child.outputs());
            }
            plan.adopt(layer.name(), child, input, !is_last);
            if let Some(child) = plan.children.last() {
                input = child.output;
                plan.heads = Plan::heads_of(child).collect();
            }
        }
        plan.with_buffers(widest).own_each().in_sequence()
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let (at, m) = (&pass.at, pass.input.ncols());
        let Some((last, inner)) = at.plan.children.split_last() else {
            pass.output.copy_from(&pass.input);
            return;
        };
        let mut kept = pass.kept;
        let mut below: Option<&[T]> = None;
        for (i, (layer, child)) in self.layers.iter().zip(inner).enumerate() {
            let at = at.child(i, child);
            let plan = at.plan;
            let (own, rest) = kept.split_at_mut(plan.kept_in(at.keep, m));
            let (output, rest) = rest.split_at_mut(plan.outputs() * m);
            kept = rest;
            layer.forward(Forward {
                input: match below {
                    Some(below) => view(below, plan.inputs(), m),
                    None => pass.input,
                },
                output: view_mut(output, plan.outputs(), m),
                kept: own,
                new_state: child.state_in(&mut pass.new_state),
                room: &mut pass.room[..plan.plain_room(m)],
                scratch: &mut pass.scratch[..at.scratch_len()],
                at,
            });
            below = Some(output);
        }
        if let Some(layer) = self.layers.last() {
            let at = at.child(inner.len(), last);
            let plan = at.plan;
            layer.forward(Forward {
                input: match below {
                    Some(below) => view(below, plan.inputs(), m),
                    None => pass.input,
                },
                output: pass.output,
                kept: &mut kept[..plan.kept_in(at.keep, m)],
                new_state: last.state_in(&mut pass.new_state),
                room: &mut pass.room[..plan.plain_room(m)],
                scratch: &mut pass.scratch[..at.scratch_len()],
                at,
            });
        }
    }

    fn backward(&self, mut pass: Backward<'_, T>) {
        let (at, m) = (&pass.at, pass.output.ncols());
        let children = &at.plan.children;
        if children.is_empty() {
            if let Some(mut below) = pass.input_delta {
                below.copy_from(&pass.delta);
            }
            return;
        }
        let last = children.len() - 1;
        let wants_gradient = !pass.gradient.is_none();
        let lowest = lowest(at.plan, wants_gradient, pass.input_delta.is_some());
        let (mut deltas, room) = Alternating::new(at.plan, m, pass.room);
        // From the end, what the layers kept is [… | kept | output | kept].
        let (mut before, mut output) = (pass.kept, pass.output);
        for i in (lowest..=last).rev() {
            let (child, layer) = (&children[i], &self.layers[i]);
            let at = at.child(i, child);
            let plan = at.plan;
            let kept;
            (before, kept) = before.split_at(before.len() - plan.kept_in(at.keep, m));
            let mut input = pass.input;
            if i > 0 {
                let below;
                (before, below) = before.split_at(before.len() - plan.inputs() * m);
                input = DMatrixView::from_slice(below, plan.inputs(), m);
            }
            let gradient = pass.gradient.part(child);
            let of_examples = gradient.is_of_examples();
            let own_room = if of_examples {
                plan.room_of_each(m)
            } else {
                plan.plain_room(m)
            };
            let pass = Backward {
                input,
                output,
                kept,
                delta: if i == last {
                    pass.delta.as_view_mut()
                } else {
                    view_mut(deltas.now, plan.outputs(), m)
                },
                linked: if i == last { pass.linked } else { Linked::NONE },
                gradient,
                input_delta: if i == 0 {
                    pass.input_delta.as_mut().map(DMatrixViewMut::as_view_mut)
                } else if i > lowest {
                    Some(view_mut(deltas.next, plan.inputs(), m))
                } else {
                    None
                },
                room: &mut room[..own_room],
                scratch: &mut pass.scratch[..at.scratch_len()],
                at,
            };
            if of_examples {
                layer.backward_each(pass);
            } else {
                layer.backward(pass);
            }
            output = input;
            deltas.swap();
        }
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        let ForwardTangent {
            at,
            input,
            output,
            kept,
            theta_tangent,
            mut input_tangent,
            mut output_tangent,
            mut kept_tangent,
            room,
            scratch,
        } = pass;
        let m = output.ncols();
        let children = &at.plan.children;
        if children.is_empty() {
            match input_tangent {
                Some(input) => output_tangent.copy_from(&input),
                None => output_tangent.fill(T::zero()),
            }
            return Ok(());
        }
        for (i, (layer, child)) in self.layers.iter().zip(children).enumerate() {
            let left = Left::new(at.plan, i, kept, (at.keep, m));
            let at = at.child(i, child);
            let (own, rest) = kept_tangent.split_at_mut(at.plan.kept_in(at.keep, m));
            let rows = at.plan.outputs();
            let is_last = i + 1 == children.len();
            let (own_output, rest) = rest.split_at_mut(if is_last { 0 } else { rows * m });
            kept_tangent = rest;
            let theta_tangent = theta_tangent.and_then(|theta| child.moving(theta));
            if theta_tangent.is_none() && input_tangent.is_none() {
                // Nothing moves up to here.
                own.fill(T::zero());
                own_output.fill(T::zero());
                if is_last {
                    output_tangent.fill(T::zero());
                }
                continue;
            }
            let pass = ForwardTangent {
                at,
                input: left.input.unwrap_or(input),
                output: left.output.unwrap_or(output),
                kept: left.kept,
                theta_tangent,
                input_tangent,
                output_tangent: if is_last {
                    output_tangent.as_view_mut()
                } else {
                    view_mut(own_output, rows, m)
                },
                kept_tangent: own,
                room: &mut room[..at.plan.tangent_room(m)],
                scratch: &mut scratch[..at.scratch_len()],
            };
            layer
                .forward_tangent(pass)
                .map_err(|error| error.inside(i))?;
            if !is_last {
                input_tangent = Some(view(own_output, rows, m));
            }
        }
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let BackwardTangent {
            pass,
            theta_tangent,
            input_tangent,
            output_tangent,
            kept_tangent,
            mut delta_tangent,
            mut gradient_tangent,
            mut input_delta_tangent,
        } = along;
        let Backward {
            at,
            input,
            output,
            kept,
            mut delta,
            linked,
            mut gradient,
            mut input_delta,
            room,
            scratch,
        } = pass;
        let m = output.ncols();
        let children = &at.plan.children;
        if children.is_empty() {
            for (below, delta) in [(input_delta, delta), (input_delta_tangent, delta_tangent)] {
                if let Some(mut below) = below {
                    below.copy_from(&delta);
                }
            }
            return Ok(());
        }
        let last = children.len() - 1;
        let lowest = lowest(
            at.plan,
            !gradient.is_none() || gradient_tangent.is_some(),
            input_delta.is_some() || input_delta_tangent.is_some(),
        );
        let (mut deltas, room) = Alternating::new(at.plan, m, room);
        let (mut tangents, room) = Alternating::new(at.plan, m, room);
        for i in (lowest..=last).rev() {
            let (child, layer) = (&children[i], &self.layers[i]);
            let left = Left::new(at.plan, i, kept, (at.keep, m));
            let left_tangent = Left::new(at.plan, i, kept_tangent, (at.keep, m));
            let at = at.child(i, child);
            let (rows, inputs) = (at.plan.outputs(), at.plan.inputs());
            let pass = Backward {
                at,
                input: left.input.unwrap_or(input),
                output: left.output.unwrap_or(output),
                kept: left.kept,
                delta: if i == last {
                    delta.as_view_mut()
                } else {
                    view_mut(deltas.now, rows, m)
                },
                linked: if i == last { linked } else { Linked::NONE },
                gradient: gradient.part(child),
                input_delta: if i == 0 {
                    input_delta.as_mut().map(DMatrixViewMut::as_view_mut)
                } else if i > lowest {
                    Some(view_mut(deltas.next, inputs, m))
                } else {
                    None
                },
                room: &mut room[..at.plan.tangent_room(m)],
                scratch: &mut scratch[..at.scratch_len()],
            };
            let gradient_tangent = gradient_tangent.as_deref_mut();
            let along = BackwardTangent {
                pass,
                theta_tangent: theta_tangent.and_then(|theta| child.moving(theta)),
                input_tangent: left_tangent.input.or(input_tangent.filter(|_| i == 0)),
                output_tangent: left_tangent.output.unwrap_or(output_tangent),
                kept_tangent: left_tangent.kept,
                delta_tangent: if i == last {
                    delta_tangent.as_view_mut()
                } else {
                    view_mut(tangents.now, rows, m)
                },
                gradient_tangent: gradient_tangent.and_then(|sum| child.moving_mut(sum)),
                input_delta_tangent: if i == 0 {
                    input_delta_tangent
                        .as_mut()
                        .map(DMatrixViewMut::as_view_mut)
                } else if i > lowest {
                    Some(view_mut(tangents.next, inputs, m))
                } else {
                    None
                },
            };
            layer
                .backward_tangent(along)
                .map_err(|error| error.inside(i))?;
            deltas.swap();
            tangents.swap();
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("Sequential of {}", self.layers.len())
    }
}

impl<T: Scalar, L: Layer<T> + 'static> From<Sequential<L>> for Box<dyn Layer<T>> {
    fn from(layer: Sequential<L>) -> Self {
        Box::new(layer)
    }
}
