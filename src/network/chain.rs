//! The layers in sequence, forward and backward, on the buffers of a part.

use super::Network;
use crate::cost::{Cost, Outputs};
use crate::error::{Error, Location};
use crate::examples::{Examples, check_finite};
use crate::kernels::{self, first_non_finite};
use crate::layer::{Backward, Dense, Forward, Keep, Layer, PerExample};
use crate::layout::LayerLayout;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::{Buffers, Part};
use nalgebra::{Const, DMatrixView, DMatrixViewMut, Dyn};

/// A network at a θ, in one pass.
pub(crate) struct Chain<'a, T: Scalar, L> {
    pub(crate) network: &'a Network<T, L>,
    pub(crate) theta: &'a [T],
    pub(crate) training: Option<u64>,
}

/// The results requested from a backward pass, besides the errors.
pub(crate) enum Wanted<'a, T> {
    /// Nothing.
    Errors,
    /// The sum of the gradients over the examples, of length P.
    Sum(&'a mut [T]),
    /// The gradient of each example, P × m.
    Gradients(&'a mut [T]),
    /// The squared norm of each example's gradient.
    SquaredNorms(&'a mut [T]),
}

impl<'a, T: Scalar, L: Layer<T>> Chain<'a, T, L> {
    pub(crate) fn depth(&self) -> usize {
        self.network.depth()
    }

    pub(crate) fn sizes(&self, l: usize) -> &'a LayerLayout {
        &self.network.layout.layers()[l]
    }

    /// Returns layer l if fused kernels compute it in a pass that keeps values. They never compute
    /// the last layer, because costs read its z.
    #[inline]
    pub(crate) fn fused(&self, l: usize) -> Option<Dense> {
        self.sizes(l).fused.filter(|_| l + 1 < self.depth())
    }

    /// Returns whether the first layer is dense. It then leaves ∂cost/∂z in its δ, and Wᵀ times
    /// that is ∂cost/∂x.
    pub(crate) fn starts_dense(&self) -> bool {
        let first = self.network.layers.first();
        first.is_some_and(|layer| layer.as_dense().is_some())
    }

    /// Returns whether this is a training pass, and the seed of layer l.
    pub(crate) fn mode(&self, l: usize) -> (bool, u64) {
        mode(self.training, l)
    }

    /// Returns a of the layer below layer l, or X.
    #[inline]
    pub(crate) fn input<'b>(
        &self,
        l: usize,
        x: DMatrixView<'b, T>,
        layers: &'b [Buffers<T>],
    ) -> DMatrixView<'b, T> {
        match l.checked_sub(1) {
            Some(below) => layers[below].view(x.ncols()),
            None => x,
        }
    }

    /// Computes z and a of every layer. The first a that is not finite ends the pass. With `keep`,
    /// fused hidden layers keep the values that it selects instead of z.
    #[inline]
    pub(crate) fn forward(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        keep: Option<Keep>,
    ) -> Result<(), Error> {
        let m = x.ncols();
        for (l, layer) in self.network.layers.iter().enumerate() {
            let sizes = self.sizes(l);
            let (below, rest) = part.layers.split_at_mut(l);
            let input = self.input(l, x, below);
            let Some(buffers) = rest.first_mut() else {
                break;
            };
            let rows = sizes.outputs;
            let output = &mut buffers.output[..rows * m];
            let theta = &self.theta[sizes.theta.clone()];
            let scratch = &mut part.scratch[..buffers.scratch];
            if let (Some(dense), Some(keep)) = (self.fused(l), keep) {
                dense.forward_fused(theta, input, output, (&mut buffers.cache, keep), scratch);
            } else {
                let output = DMatrixViewMut::from_slice(output, rows, m);
                let cache = &mut buffers.cache[..layer.cache_len(m)];
                let mut pass = Forward::new(theta, input, output, cache);
                pass.scratch = scratch;
                (pass.training, pass.seed) = self.mode(l);
                pass.first_example = first;
                layer.forward(pass);
            }
            let output = &buffers.output[..rows * m];
            if let Some(index) = first_non_finite(output) {
                return Err(Error::NonFinite {
                    at: Location::Activation {
                        layer: l,
                        unit: index % rows,
                        example: first + index / rows,
                    },
                    value: to_f64(output[index]),
                });
            }
        }
        Ok(())
    }

    /// Returns the arguments of the cost after a forward pass: with z only if the pair is
    /// canonical, and with the way the outputs saturate.
    #[inline]
    pub(crate) fn outputs<'b, C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'b, T>,
        cost: &C,
        layers: &'b [Buffers<T>],
    ) -> Outputs<'b, T> {
        let last = self.depth() - 1;
        let (buffers, m) = (&layers[last], examples.len());
        let at = Outputs::new(None, buffers.view(m), examples.y);
        self.sizes(last)
            .cost_at(cost.link(), buffers.cache_view(m), at)
    }

    /// Computes the cost of each example, and checks that it is defined and finite.
    #[inline]
    pub(crate) fn costs<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &Part<T>,
        values: &mut [T],
    ) -> Result<(), Error> {
        let at = self.outputs(examples, cost, &part.layers);
        self.check_domain(first, at, cost)?;
        cost.values(at, values);
        match first_non_finite(values) {
            None => Ok(()),
            Some(example) => Err(Error::NonFinite {
                at: Location::Cost {
                    example: first + example,
                },
                value: to_f64(values[example]),
            }),
        }
    }

    /// Checks that the cost is defined at all outputs. A canonical pair is defined everywhere.
    pub(crate) fn check_domain<C: Cost<T> + ?Sized>(
        &self,
        first: usize,
        at: Outputs<'_, T>,
        cost: &C,
    ) -> Result<(), Error> {
        if at.z.is_some() {
            return Ok(());
        }
        cost.check_outputs(at.a, at.y).map_err(|found| {
            let value = at.a.get((found.unit, found.example));
            Error::Output {
                layer: self.depth() - 1,
                unit: found.unit,
                example: first + found.example,
                value: value.map_or(f64::NAN, |&a| to_f64(a)),
                expected: found.expected,
            }
        })
    }

    /// Writes w·∂cost/∂z or w·∂cost/∂a of the outputs into the first δ of the part. Returns whether
    /// it is ∂cost/∂z.
    #[inline]
    pub(crate) fn cost_delta<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        part: &mut Part<T>,
    ) -> bool {
        let at = self.outputs(examples, cost, &part.layers);
        let (rows, m) = at.a.shape();
        let delta = &mut part.deltas[0][..rows * m];
        cost.delta(at, DMatrixViewMut::from_slice(delta, rows, m));
        weigh(examples, rows, delta);
        at.z.is_some()
    }

    /// Runs the backward pass from the first δ of the part, which is ∂cost/∂z if `linked`.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if per-example gradients are requested and a layer does not
    /// provide them.
    #[inline]
    pub(crate) fn backward(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        part: &mut Part<T>,
        linked: bool,
        (mut wanted, mut input_delta): (Wanted<'_, T>, Option<&mut [T]>),
    ) -> Result<(), Error> {
        let (network, m) = (self.network, x.ncols());
        let layers = &part.layers;
        let [mut delta, mut below] = part.deltas.each_mut();
        for (l, layer) in network.layers.iter().enumerate().rev() {
            let sizes = self.sizes(l);
            let buffers = &layers[l];
            let fused = self.fused(l);
            let cache = match fused {
                Some(_) => &buffers.cache[..],
                None => &buffers.cache[..layer.cache_len(m)],
            };
            let delta_l =
                DMatrixViewMut::from_slice(&mut delta[..sizes.outputs * m], sizes.outputs, m);
            let theta = &self.theta[sizes.theta.clone()];
            let input = self.input(l, x, layers);
            let mut pass = Backward::new(theta, input, buffers.view(m), cache, delta_l);
            pass.linked = linked && l + 1 == network.depth();
            pass.input_delta = match l {
                0 => input_delta.as_deref_mut(),
                _ => Some(&mut below[..sizes.inputs * m]),
            }
            .map(|below| DMatrixViewMut::from_slice(below, sizes.inputs, m));
            pass.scratch = &mut part.scratch[..buffers.scratch];
            (pass.training, pass.seed) = self.mode(l);
            pass.first_example = first;
            let per_example = match &mut wanted {
                Wanted::Errors => None,
                Wanted::Sum(sum) => {
                    pass.gradient = Some(&mut sum[sizes.theta.clone()]);
                    None
                }
                Wanted::SquaredNorms(norms) => Some(PerExample::SquaredNorms(norms)),
                Wanted::Gradients(gradients) => {
                    let (p, rows) = (network.parameters(), sizes.theta.len());
                    Some(PerExample::Gradients(
                        DMatrixViewMut::from_slice_with_strides_generic(
                            &mut gradients[sizes.theta.start..],
                            Dyn(rows),
                            Dyn(m),
                            Const::<1>,
                            Dyn(p),
                        ),
                    ))
                }
            };
            match (fused, per_example) {
                (Some(dense), None) => dense.backward_fused(pass),
                (Some(dense), Some(wanted)) => dense.backward_per_example_fused(pass, wanted),
                (None, None) => layer.backward(pass),
                (None, Some(wanted)) => layer.backward_per_example(pass, wanted)?,
            }
            std::mem::swap(&mut delta, &mut below);
        }
        Ok(())
    }
}

/// Multiplies the columns by the weights of the examples, if they have any.
pub(crate) fn weigh<T: Scalar>(examples: &Examples<'_, T>, rows: usize, columns: &mut [T]) {
    if let Some(weights) = examples.weights {
        for (column, &w) in columns.chunks_exact_mut(rows).zip(weights) {
            column.iter_mut().for_each(|d| *d *= real::<T>(w));
        }
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Checks that all inputs are finite if the batch is computed as a whole, before anything of
    /// its size is allocated.
    pub(crate) fn check_whole_inputs(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        if self.part_size(x.ncols()) == x.ncols() {
            check_finite_inputs(0, x)
        } else {
            Ok(())
        }
    }
}

/// Checks that all inputs of a part of a batch are finite, just before the first product reads them
/// into the cache anyway.
pub(crate) fn check_part_inputs<T: Scalar>(
    first: usize,
    part: DMatrixView<'_, T>,
    whole: DMatrixView<'_, T>,
) -> Result<(), Error> {
    if part.ncols() < whole.ncols() {
        check_finite_inputs(first, part)
    } else {
        Ok(())
    }
}

/// Checks that all inputs are finite. The error counts the examples of the whole batch.
fn check_finite_inputs<T: Scalar>(first: usize, x: DMatrixView<'_, T>) -> Result<(), Error> {
    if kernels::flat(&x).is_some_and(kernels::all_finite) {
        return Ok(());
    }
    check_finite("X", x).map_err(|mut error| {
        if let Error::NonFinite {
            at: Location::Input { col, .. },
            ..
        } = &mut error
        {
            *col += first;
        }
        error
    })
}

/// Returns whether this is a training pass, and the seed of a layer. The layers of one pass have
/// different seeds.
fn mode(training: Option<u64>, layer: usize) -> (bool, u64) {
    /// 2⁶⁴/φ, the step of SplitMix64: multiples of it spread over all bits.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let seed = training.unwrap_or(0);
    (
        training.is_some(),
        seed.wrapping_add(STEP.wrapping_mul(layer as u64)),
    )
}
