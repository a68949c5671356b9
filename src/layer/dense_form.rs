//! How a dense layer computes its activation.

use super::memory::Keep;
use crate::activation::{AnyActivation, Slope};
use crate::kernels;
use crate::kernels::parallel::elementwise;
use crate::scalar::Scalar;

/// How a pass computes the activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// z is kept, because a cost or a trace reads it, or because there is no faster form.
    Plain,
    /// a replaces z, and g′(z) is computed with it.
    Fused(AnyActivation, Slope),
}

impl Form {
    pub(super) fn new<T: Scalar>(
        activation: Option<AnyActivation>,
        tail: bool,
        keep: Keep,
    ) -> Self {
        match activation.and_then(|g| Some((g, g.slope()?))) {
            Some((g, Slope::One)) => Self::Fused(g, Slope::One), // a = z
            Some((g, slope)) if !tail && keep != Keep::Z && kernels::is_fast::<T>() => {
                Self::Fused(g, slope)
            }
            _ => Self::Plain,
        }
    }

    /// Returns how many matrices with the size of the output are kept.
    pub(super) fn copies(self, keep: Keep) -> usize {
        match (self, keep) {
            (Self::Plain, _) | (Self::Fused(_, Slope::Kept), Keep::Slope) => 1,
            (Self::Fused(_, Slope::Kept), Keep::Curvature) => 2,
            _ => 0,
        }
    }
}

/// Replaces z in `a` by g(z), and keeps the derivatives that later passes need.
pub(super) fn activate<T: Scalar>(
    (g, slope): (AnyActivation, Slope),
    keep: Keep,
    a: &mut [T],
    kept: &mut [T],
) {
    let Some(function) = g.fast() else {
        return; // a = z
    };
    let len = a.len();
    let done = |done: bool| debug_assert!(done || len == 0);
    match (slope, keep) {
        (Slope::Kept, Keep::Slope) => {
            elementwise([a, &mut kept[..len]], [], &|[a, slope], []| {
                done(kernels::activate(function, a, Some(slope)));
            });
        }
        (Slope::Kept, Keep::Curvature) => {
            let (slope, bend) = kept[..2 * len].split_at_mut(len);
            elementwise([a, slope, bend], [], &|[a, slope, bend], []| {
                done(kernels::activate_with_curvature(function, a, slope, bend));
            });
        }
        _ => elementwise([a], [], &|[a], []| {
            done(kernels::activate(function, a, None));
        }),
    }
}

/// δ ← g′ δ.
pub(super) fn scale_by_slope<T: Scalar>(
    (g, slope): (AnyActivation, Slope),
    a: &[T],
    kept: &[T],
    delta: &mut [T],
) {
    match (slope, g.fast()) {
        (Slope::Kept, _) => {
            elementwise([delta], [&kept[..a.len()]], &|[delta], [slope]| {
                kernels::multiply(delta, slope);
            });
        }
        (Slope::OfOutput, Some(function)) => {
            elementwise([delta], [a], &|[delta], [a]| {
                let done = kernels::scale_by_slope(function, a, delta);
                debug_assert!(done || a.is_empty());
            });
        }
        _ => {}
    }
}
