//! One input through several branches, whose outputs are joined: what `Residual` and `Concat`
//! share.

use super::join::{Join, Slot, add_columns, join_in};
use super::memory::Place;
use super::plan::Plan;
use super::site::Site;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Linked, Sequential};
use crate::error::Error;
use crate::kernels::add;
use crate::path::Path;
use crate::scalar::Scalar;
use crate::shape::Shape;
use nalgebra::DMatrixViewMut;

/// A container whose children all take its input.
pub(super) trait Fork<L> {
    /// Returns branch `i`, if there is one.
    fn branch(&self, i: usize) -> Option<&Sequential<L>>;

    /// Returns the name of branch `i` in tables.
    fn branch_name(&self, i: usize) -> String;

    /// Returns how the outputs of the branches make up the output.
    fn join(&self) -> Join;

    /// Returns the shape of the output with one more branch: `so_far` is that of the others.
    fn joined(&self, so_far: Shape, branch: Shape) -> Option<Shape>;
}

/// Returns all entries of an output or an error term, whose columns are contiguous in a pass.
fn entries<'a, T: Scalar>(matrix: &'a mut DMatrixViewMut<'_, T>) -> &'a mut [T] {
    let all = crate::kernels::flat_mut(matrix);
    debug_assert!(all.is_some());
    all.unwrap_or_default()
}

fn view_mut<T: Scalar>(entries: &mut [T], rows: usize, m: usize) -> DMatrixViewMut<'_, T> {
    DMatrixViewMut::from_slice(&mut entries[..rows * m], rows, m)
}

pub(super) fn plan<T: Scalar, L: Layer<T>, F: Fork<L>>(
    fork: &F,
    site: Site,
) -> Result<Plan, Error> {
    let join = fork.join();
    let mut plan = Plan::new(site, site.input);
    let mut output = (join == Join::SumWithInput).then_some(site.input);
    // A sum hides z.
    let tail = site.tail && !join.is_sum();
    let mut heads = Vec::new();
    while let Some(branch) = fork.branch(plan.children.len()) {
        let i = plan.children.len();
        let inner = site.child(site.input, tail)?;
        let child = branch.plan(inner).map_err(|error| error.inside(i))?;
        child.check(inner).map_err(|error| error.inside(i))?;
        let shape = child.output();
        let joined = output.map_or(Some(shape), |so_far| fork.joined(so_far, shape));
        output = Some(joined.ok_or_else(|| {
            let (expected, found) = (output.unwrap_or(shape), shape);
            Error::Branch {
                layer: Path::default(),
                expected,
                found,
            }
            .inside(i)
        })?);
        plan.adopt(fork.branch_name(i), child, Place::Input, true);
        heads.extend(plan.children.last().into_iter().flat_map(Plan::heads_of));
    }
    plan.set_output(output.ok_or(Error::NoBranches {
        layer: Path::default(),
    })?);
    // The outputs of a head are adjacent.
    let adjacent = join == Join::First || plan.output().positions() == 1;
    if tail && adjacent {
        plan.heads = heads;
    } else {
        plan.set_one_head();
    }
    let widest = plan.children.iter().map(|child| child.plan.outputs());
    let widest = widest.fold(plan.inputs(), usize::max);
    Ok(plan.with_buffers(widest).own_each().side_by_side(join))
}

pub(super) fn forward<T: Scalar, L: Layer<T>, F: Fork<L>>(fork: &F, pass: Forward<'_, T>) {
    let Forward {
        at,
        input,
        mut output,
        mut kept,
        mut new_state,
        room,
        scratch,
    } = pass;
    let (join, m, mut first) = (fork.join(), input.ncols(), 0);
    let whole = entries(&mut output);
    for (i, child) in at.plan.children.iter().enumerate() {
        let Some(branch) = fork.branch(i) else { break };
        let at_child = at.child(i, child);
        let plan = at_child.plan;
        let (own, rest) = kept.split_at_mut(plan.kept_in(at.keep, m));
        let (own_output, rest) = rest.split_at_mut(plan.outputs() * m);
        kept = rest;
        branch.forward(Forward {
            at: at_child,
            input,
            output: view_mut(own_output, plan.outputs(), m),
            kept: own,
            new_state: child.state_in(&mut new_state),
            room: &mut room[..plan.plain_room(m)],
            scratch: &mut scratch[..at_child.scratch_len()],
        });
        let slot = Slot::new(join, at.plan, first, child);
        join_in(join, i, slot, own_output, whole);
        first = slot.next(join);
    }
    if join == Join::SumWithInput {
        add_columns(whole, &input);
    }
}

pub(super) fn backward<T: Scalar, L: Layer<T>, F: Fork<L>>(fork: &F, pass: Backward<'_, T>) {
    let Backward {
        at,
        input,
        kept,
        mut delta,
        linked,
        mut gradient,
        mut input_delta,
        room,
        scratch,
        ..
    } = pass;
    let (join, m, inputs) = (fork.join(), input.ncols(), at.plan.inputs());
    let len = at.plan.widest() * m;
    let (own_delta, room) = room.split_at_mut(len);
    let (own_below, room) = room.split_at_mut(len);
    let whole = entries(&mut delta);
    let mut below = input_delta.as_mut().map(entries);
    let (mut first, mut linked) = (0, linked.0);
    for (i, child) in at.plan.children.iter().enumerate() {
        let Some(branch) = fork.branch(i) else { break };
        let at_child = at.child(i, child);
        let plan = at_child.plan;
        let own_delta = &mut own_delta[..plan.outputs() * m];
        let slot = Slot::new(join, at.plan, first, child);
        first = slot.next(join);
        let (own_linked, rest) = linked.split_at(plan.heads.len().min(linked.len()));
        linked = rest;
        let gradient = gradient.part(child);
        if gradient.is_none() && below.is_none() && !plan.is_tail() {
            continue;
        }
        slot.take(whole, own_delta);
        let left = child.left(kept, at.keep, m);
        let of_examples = gradient.is_of_examples();
        let own_room = if of_examples {
            plan.room_of_each(m)
        } else {
            plan.plain_room(m)
        };
        let pass = Backward {
            at: at_child,
            input,
            output: left.output,
            kept: left.kept,
            delta: view_mut(own_delta, plan.outputs(), m),
            linked: Linked(own_linked),
            gradient,
            input_delta: below.as_deref_mut().map(|sum| {
                let to = if i == 0 { sum } else { &mut *own_below };
                view_mut(to, inputs, m)
            }),
            room: &mut room[..own_room],
            scratch: &mut scratch[..at_child.scratch_len()],
        };
        if of_examples {
            branch.backward_each(pass);
        } else {
            branch.backward(pass);
        }
        if let Some(sum) = &mut below
            && i > 0
        {
            add(sum, &own_below[..inputs * m]);
        }
        if plan.is_tail() {
            slot.put(own_delta, whole);
        }
    }
    if let Some(sum) = below
        && join == Join::SumWithInput
    {
        add(sum, whole);
    }
}

pub(super) fn forward_tangent<T: Scalar, L: Layer<T>, F: Fork<L>>(
    fork: &F,
    pass: ForwardTangent<'_, T>,
) -> Result<(), Error> {
    let ForwardTangent {
        at,
        input,
        kept,
        theta_tangent,
        input_tangent,
        mut output_tangent,
        mut kept_tangent,
        room,
        scratch,
        ..
    } = pass;
    let (join, m, mut first) = (fork.join(), input.ncols(), 0);
    let whole = entries(&mut output_tangent);
    for (i, child) in at.plan.children.iter().enumerate() {
        let Some(branch) = fork.branch(i) else { break };
        let at_child = at.child(i, child);
        let plan = at_child.plan;
        let left = child.left(kept, at.keep, m);
        let (own, rest) = kept_tangent.split_at_mut(plan.kept_in(at.keep, m));
        let (own_output, rest) = rest.split_at_mut(plan.outputs() * m);
        kept_tangent = rest;
        let theta_tangent = theta_tangent.and_then(|theta| child.moving(theta));
        let pass = ForwardTangent {
            at: at_child,
            input,
            output: left.output,
            kept: left.kept,
            theta_tangent,
            input_tangent,
            output_tangent: view_mut(own_output, plan.outputs(), m),
            kept_tangent: own,
            room: &mut room[..plan.tangent_room(m)],
            scratch: &mut scratch[..at_child.scratch_len()],
        };
        branch
            .forward_tangent(pass)
            .map_err(|error| error.inside(i))?;
        let slot = Slot::new(join, at.plan, first, child);
        join_in(join, i, slot, own_output, whole);
        first = slot.next(join);
    }
    if let Some(input) = input_tangent
        && join == Join::SumWithInput
    {
        add_columns(whole, &input);
    }
    Ok(())
}

pub(super) fn backward_tangent<T: Scalar, L: Layer<T>, F: Fork<L>>(
    fork: &F,
    along: BackwardTangent<'_, T>,
) -> Result<(), Error> {
    let BackwardTangent {
        pass,
        theta_tangent,
        input_tangent,
        kept_tangent,
        mut delta_tangent,
        mut gradient_tangent,
        mut input_delta_tangent,
        ..
    } = along;
    let Backward {
        at,
        input,
        kept,
        mut delta,
        linked,
        mut gradient,
        mut input_delta,
        room,
        scratch,
        ..
    } = pass;
    let (join, m, inputs) = (fork.join(), input.ncols(), at.plan.inputs());
    let len = at.plan.widest() * m;
    let (own_delta, room) = room.split_at_mut(len);
    let (own_below, room) = room.split_at_mut(len);
    let (own_delta_tangent, room) = room.split_at_mut(len);
    let (own_below_tangent, room) = room.split_at_mut(len);
    let (whole, whole_tangent) = (entries(&mut delta), entries(&mut delta_tangent));
    let mut below = input_delta.as_mut().map(entries);
    let mut below_tangent = input_delta_tangent.as_mut().map(entries);
    let (mut first, mut linked) = (0, linked.0);
    for (i, child) in at.plan.children.iter().enumerate() {
        let Some(branch) = fork.branch(i) else { break };
        let at_child = at.child(i, child);
        let plan = at_child.plan;
        let rows = plan.outputs();
        let own_delta = &mut own_delta[..rows * m];
        let own_delta_tangent = &mut own_delta_tangent[..rows * m];
        let slot = Slot::new(join, at.plan, first, child);
        slot.take(whole, own_delta);
        slot.take(whole_tangent, own_delta_tangent);
        let left = child.left(kept, at.keep, m);
        let left_tangent = child.left(kept_tangent, at.keep, m);
        let (own_linked, rest) = linked.split_at(plan.heads.len().min(linked.len()));
        linked = rest;
        let pass = Backward {
            at: at_child,
            input,
            output: left.output,
            kept: left.kept,
            delta: view_mut(own_delta, rows, m),
            linked: Linked(own_linked),
            gradient: gradient.part(child),
            input_delta: below.as_deref_mut().map(|sum| {
                let to = if i == 0 { sum } else { &mut *own_below };
                view_mut(to, inputs, m)
            }),
            room: &mut room[..plan.tangent_room(m)],
            scratch: &mut scratch[..at_child.scratch_len()],
        };
        let gradient_tangent = gradient_tangent.as_deref_mut();
        let along = BackwardTangent {
            pass,
            theta_tangent: theta_tangent.and_then(|theta| child.moving(theta)),
            input_tangent,
            output_tangent: left_tangent.output,
            kept_tangent: left_tangent.kept,
            delta_tangent: view_mut(own_delta_tangent, rows, m),
            gradient_tangent: gradient_tangent.and_then(|sum| child.moving_mut(sum)),
            input_delta_tangent: below_tangent.as_deref_mut().map(|sum| {
                let to = if i == 0 { sum } else { &mut *own_below_tangent };
                view_mut(to, inputs, m)
            }),
        };
        branch
            .backward_tangent(along)
            .map_err(|error| error.inside(i))?;
        if let Some(sum) = &mut below
            && i > 0
        {
            add(sum, &own_below[..inputs * m]);
        }
        if let Some(sum) = &mut below_tangent
            && i > 0
        {
            add(sum, &own_below_tangent[..inputs * m]);
        }
        if plan.is_tail() {
            slot.put(own_delta, whole);
            slot.put(own_delta_tangent, whole_tangent);
        }
        first = slot.next(join);
    }
    if join == Join::SumWithInput {
        if let Some(sum) = below {
            add(sum, whole);
        }
        if let Some(sum) = below_tangent {
            add(sum, whole_tangent);
        }
    }
    Ok(())
}
