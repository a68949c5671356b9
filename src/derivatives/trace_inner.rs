//! The layers inside others in a trace.

use super::trace::Values;
use super::trace_pass::matrix;
use crate::allocation::owned;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::layer::{Child, Frame, Layer};
use crate::network::Network;
use crate::path::Path;
use crate::scalar::{Scalar, real};
use crate::workspace::Workspace;

/// The results of a layer inside another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inner<T: Scalar> {
    pub(crate) path: Path,
    pub(crate) name: String,
    pub(crate) values: Values<T>,
}

/// Appends the layers inside `outer`, from what it left in a pass.
pub(super) fn collect<T: Scalar>(
    outer: &Child,
    path: &Path,
    frame: &Frame<'_, T>,
    all: &mut Vec<Inner<T>>,
) -> Result<(), Error> {
    let m = frame.output.ncols();
    for (i, child) in outer.plan.children.iter().enumerate() {
        let (path, plan) = (path.child(i), &child.plan);
        let input = frame.get(child.input, plan.inputs());
        let Some(output) = frame.get(child.output, plan.outputs()) else {
            continue;
        };
        let (start, _) = child.found(frame.keep, m);
        let kept = &frame.kept[start..][..plan.kept_in(frame.keep, m)];
        let inside = Frame {
            input,
            output,
            kept,
            ..*frame
        };
        let z = plan
            .single_head()
            .and_then(|head| inside.get(head.z?, plan.outputs()));
        all.push(Inner {
            path: path.clone(),
            name: child.name.clone(),
            values: Values {
                z: z.map(|z| owned("z", z)).transpose()?,
                a: owned("a layer's output", output)?,
                delta: None,
            },
        });
        collect(child, &path, &inside, all)?;
    }
    Ok(())
}

/// Writes δ of the inner dense layers that are not frozen and have one position: the bias column of
/// the gradient of each example is δ of that example.
pub(super) fn deltas<T: Scalar, L: Layer<T>, C: Cost<T>>(
    network: &Network<T, L>,
    (examples, cost): (&Examples<'_, T>, &C),
    mode: &Workspace<T>,
    all: &mut [Inner<T>],
) -> Result<(), Error> {
    let layout = network.layout();
    let mut found = Vec::new();
    for inner in all.iter_mut() {
        let Ok(block) = layout.dense(&inner.path) else {
            continue;
        };
        let (rows, m) = inner.values.a.shape();
        let is_own = *block.layer() == inner.path;
        // Without a bias, no column of the gradient is δ.
        let has_bias = block.block().penalised_from_column == 1;
        if is_own
            && has_bias
            && rows == block.block().rows
            && inner.values.z.is_some()
            && !block.is_frozen()
        {
            inner.values.delta = Some(matrix("δ", (rows, m))?);
            found.push((inner, block.range().start));
        }
    }
    if found.is_empty() || layout.plan().couples.in_mode(mode.training.is_some()) {
        found
            .into_iter()
            .for_each(|(inner, _)| inner.values.delta = None);
        return Ok(());
    }
    let each = network.example_gradients(examples, cost);
    each.for_each(&mut mode.with_same_mode(), |k, gradient| {
        let w = real::<T>(examples.weights.map_or(1.0, |weights| weights[k]));
        for (inner, start) in &mut found {
            if let Some(delta) = &mut inner.values.delta {
                for (to, &d) in delta.column_mut(k).iter_mut().zip(&gradient[*start..]) {
                    *to = w * d;
                }
            }
        }
    })
}
