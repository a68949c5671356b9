//! The passes of a trace, layer by layer.

use super::trace::{LayerTrace, Values};
use crate::allocation::{allocate, owned};
use crate::error::{Error, Location};
use crate::kernels::first_non_finite;
use crate::layer::{At, Backward, Forward, Frame, Layer, LayerGradient, Linked, Plan};
use crate::network::Network;
use crate::scalar::{Scalar, to_f64};
use nalgebra::{DMatrix, DMatrixView, DVector};

/// Returns the lengths of the scratch of every layer.
pub(super) fn scratch_lens<T: Scalar>(plan: &Plan, m: usize) -> Vec<usize> {
    let mut lens = Vec::with_capacity(plan.nodes());
    plan.scratch::<T>(m, &mut lens);
    lens
}

/// δ of the outputs, and whether it is ∂cost/∂z.
pub(super) struct Start<T: Scalar> {
    pub(super) delta: DMatrix<T>,
    pub(super) linked: Vec<bool>,
}

/// Returns what each layer computes, and what it keeps.
#[allow(clippy::type_complexity, reason = "a pair of lists by layer")]
pub(super) fn forward<T: Scalar, L: Layer<T>>(
    network: &Network<T, L>,
    at: At<'_, T>,
    x: DMatrixView<'_, T>,
) -> Result<(Vec<LayerTrace<T>>, Vec<Vec<T>>), Error> {
    let (mut layers, mut all_kept): (Vec<LayerTrace<T>>, _) = (Vec::new(), Vec::new());
    for (l, (layer, child)) in network.layers().iter().zip(&at.plan.children).enumerate() {
        let (at, m) = (at.child(l, child), x.ncols());
        let (plan, rows) = (at.plan, at.plan.output().len());
        let input = layers.last().map_or(x, |below| below.values.a.as_view());
        let mut a = matrix("a layer's output", (rows, m))?;
        let mut kept = list("what a layer keeps", plan.kept(at.keep, m))?;
        let mut room = list("the room of a layer", plan.plain_room(m))?;
        let mut scratch = list("the scratch", at.scratch_len())?;
        let mut pass = Forward::new(at, input, a.as_view_mut(), &mut kept);
        (pass.room, pass.scratch) = (&mut room, &mut scratch);
        layer.forward(pass);
        if let Some(index) = first_non_finite(a.as_slice()) {
            return Err(Error::NonFinite {
                at: Location::Activation {
                    layer: l.into(),
                    unit: index % rows,
                    example: index / rows,
                },
                value: to_f64(a[index]),
            });
        }
        let mut frame = Frame::new(plan, at.keep, m, a.as_slice(), &kept);
        frame.input = Some(input);
        let head = plan.single_head();
        let z = head.and_then(|head| frame.get(head.z?, rows));
        let z = z.map(|z| owned("z", z)).transpose()?;
        layers.push(LayerTrace {
            name: layer.name(),
            dense: head
                .filter(|_| plan.blocks.len() == 1)
                .and_then(|head| head.activation),
            values: Values { z, a, delta: None },
        });
        all_kept.push(kept);
    }
    Ok((layers, all_kept))
}

/// Computes δ of each layer, and returns Δ.
pub(super) fn backward<T: Scalar, L: Layer<T>>(
    network: &Network<T, L>,
    at: At<'_, T>,
    x: DMatrixView<'_, T>,
    (layers, kept): (&mut [LayerTrace<T>], &[Vec<T>]),
    start: Start<T>,
) -> Result<DVector<T>, Error> {
    let Start { mut delta, linked } = start;
    let mut sums = DVector::from_vec(list("Δ", network.parameters())?);
    let children = network.layers().iter().zip(&at.plan.children);
    for (l, (layer, child)) in children.enumerate().rev() {
        let (at, m) = (at.child(l, child), x.ncols());
        let (below, rest) = layers.split_at_mut(l);
        let input = below.last().map_or(x, |below| below.values.a.as_view());
        let inputs = if l > 0 { at.plan.input().len() } else { 0 };
        let mut below = matrix("δ", (inputs, if l > 0 { m } else { 0 }))?;
        let mut room = list("the room of a layer", at.plan.plain_room(m))?;
        let mut scratch = list("the scratch", at.scratch_len())?;
        let output = rest[0].values.a.as_view();
        let mut pass = Backward::new(at, input, output, &kept[l], delta.as_view_mut());
        pass.linked = if l + 1 == network.depth() {
            Linked(&linked)
        } else {
            Linked::NONE
        };
        let moving = child.moving_mut(sums.as_mut_slice());
        pass.gradient = moving.map_or(LayerGradient::None, LayerGradient::Sum);
        pass.input_delta = (l > 0).then(|| below.as_view_mut());
        (pass.room, pass.scratch) = (&mut room, &mut scratch);
        layer.backward(pass);
        rest[0].values.delta = rest[0].values.z.is_some().then_some(delta);
        delta = below;
    }
    network.layout().clear_frozen(sums.as_mut_slice());
    Ok(sums)
}

/// Allocates zeros. Returns an error where an infallible allocation would abort.
pub(super) fn list<T: Scalar>(what: &'static str, len: usize) -> Result<Vec<T>, Error> {
    allocate(what, (len, 1), T::zero())
}

pub(super) fn matrix<T: Scalar>(
    what: &'static str,
    (rows, cols): (usize, usize),
) -> Result<DMatrix<T>, Error> {
    let entries = allocate(what, (rows, cols), T::zero())?;
    Ok(DMatrix::from_vec(rows, cols, entries))
}

pub(super) fn vector<T: Scalar>(what: &'static str, of: &[T]) -> Result<DVector<T>, Error> {
    let mut copy = list(what, of.len())?;
    copy.copy_from_slice(of);
    Ok(DVector::from_vec(copy))
}
