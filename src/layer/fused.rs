//! Hidden dense layers, in one sweep forward and one backward. No cost reads their z, so a replaces
//! z, and g′(z) is computed with it.

use super::dense::{linear_tangent, per_example, products, products_tangent};
use super::{Backward, BackwardTangent, Dense, ForwardTangent, PerExample};
use crate::activation::Slope;
use crate::kernels::parallel::elementwise;
use crate::kernels::{self, affine, flat, flat_mut};
use crate::scalar::Scalar;
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The values that a fused layer keeps from a forward pass, besides a.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// g′(z), unless it follows from a.
    Slope,
    /// g′(z) followed by g″(z), unless they follow from a.
    Curvature,
}

impl Dense {
    /// Returns whether there are fused kernels for this activation and this scalar.
    pub(crate) fn is_fused<T: Scalar>(&self) -> bool {
        kernels::is_fast::<T>() && self.activation.slope().is_some()
    }

    /// Returns how many scalars the forward pass of a batch keeps for the backward pass.
    pub(crate) fn fused_cache_len(&self, examples: usize, keep: Keep) -> usize {
        let copies = match (self.activation.slope(), keep) {
            (Some(Slope::Kept), Keep::Slope) => 1,
            (Some(Slope::Kept), Keep::Curvature) => 2,
            _ => 0,
        };
        self.outputs.saturating_mul(examples).saturating_mul(copies)
    }

    /// Returns how many scalars the tangent of a forward pass keeps for the backward pass: the
    /// change of g′(z).
    pub(crate) fn fused_tangent_len(&self, examples: usize) -> usize {
        self.fused_cache_len(examples, Keep::Slope)
    }

    /// Writes a to `output`, and the values to keep to `cache`.
    pub(crate) fn forward_fused<T: Scalar>(
        &self,
        theta: &[T],
        x: DMatrixView<'_, T>,
        output: &mut [T],
        (cache, keep): (&mut [T], Keep),
        scratch: &mut [T],
    ) {
        let z = DMatrixViewMut::from_slice(output, self.outputs, x.ncols());
        affine(theta, x, z, scratch);
        let Some(function) = self.activation.fast() else {
            return; // a = z
        };
        let len = output.len();
        let done = |done: bool| debug_assert!(done || len == 0);
        match (self.activation.slope(), keep) {
            (Some(Slope::Kept), Keep::Slope) => {
                let to = [output, &mut cache[..len]];
                elementwise(to, [], &|[a, slope], []| {
                    done(kernels::activate(function, a, Some(slope)));
                });
            }
            (Some(Slope::Kept), Keep::Curvature) => {
                let (slope, bend) = cache[..2 * len].split_at_mut(len);
                elementwise([output, slope, bend], [], &|[a, slope, bend], []| {
                    done(kernels::activate_with_curvature(function, a, slope, bend));
                });
            }
            _ => elementwise([output], [], &|[a], []| {
                done(kernels::activate(function, a, None));
            }),
        }
    }

    /// δ ← g′(z) ∘ δ, with g′(z) from the cache or from the output. The same for ż gives ȧ.
    fn scale_by_slope<T: Scalar>(&self, a: &[T], cache: &[T], delta: &mut [T]) {
        match (self.activation.slope(), self.activation.fast()) {
            (Some(Slope::Kept), _) => {
                elementwise([delta], [&cache[..a.len()]], &|[delta], [slope]| {
                    kernels::multiply(delta, slope);
                });
            }
            (Some(Slope::OfOutput), Some(function)) => {
                elementwise([delta], [a], &|[delta], [a]| {
                    let done = kernels::scale_by_slope(function, a, delta);
                    debug_assert!(done || a.is_empty());
                });
            }
            _ => {}
        }
    }

    /// Like [`Layer::backward`](super::Layer::backward).
    pub(crate) fn backward_fused<T: Scalar>(&self, pass: Backward<'_, T>) {
        let mut delta = pass.delta;
        if let (Some(delta), Some(a)) = (flat_mut(&mut delta), flat(&pass.output)) {
            self.scale_by_slope(a, pass.cache, delta);
        }
        let wanted = (pass.gradient, pass.input_delta);
        products(
            pass.theta,
            pass.input,
            delta.as_view(),
            wanted,
            pass.scratch,
        );
    }

    /// Like [`Layer::backward_per_example`](super::Layer::backward_per_example).
    pub(crate) fn backward_per_example_fused<T: Scalar>(
        &self,
        pass: Backward<'_, T>,
        wanted: PerExample<'_, T>,
    ) {
        let mut delta = pass.delta;
        if let (Some(delta), Some(a)) = (flat_mut(&mut delta), flat(&pass.output)) {
            self.scale_by_slope(a, pass.cache, delta);
        }
        per_example(pass.input, delta.as_view(), wanted);
        let below = (None, pass.input_delta);
        products(pass.theta, pass.input, delta.as_view(), below, pass.scratch);
    }

    /// Like [`Layer::forward_tangent`](super::Layer::forward_tangent). The tangent of the cache, if
    /// there is room for it, is that of g′(z).
    pub(crate) fn forward_tangent_fused<T: Scalar>(&self, pass: ForwardTangent<'_, T>) {
        let mut output = pass.output_tangent;
        linear_tangent(
            (pass.theta, pass.theta_tangent),
            (pass.input, pass.input_tangent),
            output.as_view_mut(),
            pass.scratch,
        );
        let (Some(output), Some(a)) = (flat_mut(&mut output), flat(&pass.output)) else {
            return;
        };
        let len = a.len();
        if pass.cache_tangent.is_empty() {
            return self.scale_by_slope(a, pass.cache, output);
        }
        let (slope, bend) = pass.cache[..2 * len].split_at(len);
        let to = [output, &mut pass.cache_tangent[..len]];
        elementwise(to, [slope, bend], &|[z, change], [slope, bend]| {
            kernels::tangent(z, change, slope, bend);
        });
    }

    /// Like [`Layer::backward_tangent`](super::Layer::backward_tangent).
    pub(crate) fn backward_tangent_fused<T: Scalar>(&self, mut along: BackwardTangent<'_, T>) {
        let pass = &mut along.pass;
        if let (Some(delta), Some(delta_tangent), Some(a)) = (
            flat_mut(&mut pass.delta),
            flat_mut(&mut along.delta_tangent),
            flat(&pass.output),
        ) {
            let len = a.len();
            if along.cache_tangent.is_empty() {
                // g″ is 0 except at kinks.
                self.scale_by_slope(a, pass.cache, delta);
                self.scale_by_slope(a, pass.cache, delta_tangent);
            } else {
                let of = [&pass.cache[..len], &along.cache_tangent[..len]];
                elementwise([delta, delta_tangent], of, &|[d, dot], [slope, change]| {
                    kernels::backward_tangent(d, dot, slope, change);
                });
            }
        }
        products_tangent(along);
    }
}
