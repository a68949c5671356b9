//! The check of what a forward pass left.

use crate::error::{Error, Location};
use crate::kernels::first_non_finite;
use crate::layer::{Keep, Plan};
use crate::scalar::{Scalar, to_f64};

/// What a pass over m examples left.
#[derive(Clone, Copy)]
pub(super) struct Outcome<'a, T> {
    pub(super) kept: &'a [T],
    pub(super) output: &'a [T],
    pub(super) keep: Keep,
    pub(super) m: usize,
}

/// Checks the outputs of all layers, from the first on.
#[inline]
pub(super) fn check_activations<T: Scalar>(
    plan: &Plan,
    of: Outcome<'_, T>,
    first: usize,
) -> Result<(), Error> {
    for (layer, child) in plan.children.iter().enumerate() {
        let (start, output) = child.found(of.keep, of.m);
        let output = match output {
            Some(range) => &of.kept[range],
            None => of.output,
        };
        if !child.plan.children.is_empty() {
            let kept = &of.kept[start..];
            check_activations(&child.plan, Outcome { kept, output, ..of }, first)
                .map_err(|error| error.inside(layer))?;
        }
        if let Some(index) = first_non_finite(output) {
            let rows = child.plan.outputs();
            return Err(Error::NonFinite {
                at: Location::Activation {
                    layer: layer.into(),
                    unit: index % rows,
                    example: first + index / rows,
                },
                value: to_f64(output[index]),
            });
        }
    }
    Ok(())
}
