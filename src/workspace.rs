//! The buffers of one pass.

mod room;

use crate::error::Error;
use crate::kernels::parallel;
use crate::kernels::tree::most_held;
use crate::layer::{Keep, Layer};
use crate::layout::{Layout, resize};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;
use room::Room;
pub(crate) use room::{Most, gradients_together, jacobians_together};
use std::sync::Arc;

/// The buffers of a pass, reused by later calls.
///
/// Once a workspace has been used for a batch, later calls of any kind allocate nothing for batches
/// of the same size or smaller, with three exceptions ([Memory](Self#memory)). The symbols here are
/// those of the [conventions](crate::conventions).
///
/// A workspace adapts to the network and the batch of each call, and can be used with different
/// networks in turn. After a pass it holds a⁽ᴸ⁾, the cost of each example and, unless the batch was
/// computed in parts, a⁽ˡ⁾ of every layer. After an error, its contents are unspecified. Threads
/// can share a network and its examples, but each needs its own workspace.
///
/// # Memory
/// A batch is computed as a whole if it has fewer than 512 examples, if the network has more than
/// 2¹⁸ parameters, or if a layer couples examples. Then the buffers hold z or g′(z) and a of every
/// layer, and twice the widest δ, for all examples.
///
/// Any other batch is computed in parts of 129 to 1024 examples; the last part may have fewer. Then
/// the buffers hold the same for up to four parts per thread (one part on one thread). They also
/// hold a gradient of P scalars for each of these parts and for each binary digit of the number of
/// parts, because the parts are added in pairs, then pairs of pairs, and so on. They also hold a⁽ᴸ⁾
/// and the costs of the whole batch.
///
/// Either way, each part needs a few hundred KiB of scratch. If more than 2048 examples are
/// computed as a whole, the scratch holds one more Δ of the largest layer for each doubling.
///
/// The first call, and each call with a larger batch, reserves room for everything in this section,
/// for this batch and smaller ones. It writes only what it needs itself, and on most systems memory
/// takes no space until it is written. A failed reservation is an error only once the room is
/// needed.
///
/// Three things are not reserved: sums for several directions, before the first call with that
/// number; a Gauss–Newton matrix with P > 2¹⁰ or more than 2²⁰ scalars for one example; and custom
/// layers that need more for fewer examples. A clone starts without reserved room.
///
/// Other derivatives need more:
///
/// - Derivatives along a direction need the buffers of the layers and of δ twice. Hessian products
///   also take g″(z), and P scalars for each direction and part.
/// - An output Jacobian takes n scalars for each example of a part.
/// - Gradients visited one at a time take P scalars, or up to 2¹⁶ for several at once.
/// - A Gauss–Newton matrix takes 2 P² scalars, and up to 2²⁰ for several examples at once, or those
///   of one example.
///
/// After the last two, the workspace holds the outputs and costs of only the last few examples.
///
/// # Example
/// Two units with biases 1 and 2 and weights 3 and 4 compute 1 + 3x and 2 + 4x, here for x = 0 and
/// x = 1. θ is column-major: biases first.
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Network, Workspace, activation::Identity};
///
/// let network = Network::<f64>::builder(1).dense(2, Identity).with_theta(&[1.0, 2.0, 3.0, 4.0])?;
/// let mut workspace = Workspace::new();
/// let x = DMatrix::from_row_slice(1, 2, &[0.0, 1.0]);
/// let a = network.forward_into(&x, &mut workspace)?;
/// assert_eq!(a, DMatrix::from_row_slice(2, 2, &[1.0, 4.0, 2.0, 6.0]));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Workspace<T: Scalar> {
    /// The buffers of the parts of a batch that are computed at the same time.
    pub(crate) parts: Vec<Part<T>>,
    /// The sums over the examples of each part, if there are several, and over earlier parts; or
    /// scratch for a part.
    pub(crate) sums: Vec<Vec<T>>,
    /// Whether the last pass was in one part, so that `parts[0]` holds all of it.
    pub(crate) whole: bool,
    /// a of the last layer for all parts, and its number of rows.
    pub(crate) outputs: Vec<T>,
    pub(crate) rows: usize,
    /// The cost of each example.
    pub(crate) values: Vec<T>,
    /// Σ over a batch of the gradient, before it is added to an accumulator.
    pub(crate) gradient: Vec<T>,
    /// Two P × P matrices: the rounding error of a Gauss–Newton matrix, and the matrix of some
    /// examples.
    pub(crate) matrix: Vec<T>,
    /// Weights of examples, for calls that set them.
    pub(crate) weights: Vec<f64>,
    pub(crate) training: Option<u64>,
    /// The sizes that the buffers fit, so that the next pass of the same kind can skip the checks.
    fitted: Option<Fitted>,
    room: Room,
}

/// A kind of pass: a network's layout, the number of parts, and the examples of a part and of the
/// batch.
#[derive(Clone, Debug)]
struct Fitted {
    layout: Arc<Layout>,
    sizes: (usize, usize, usize),
    wants: Wants,
    threads: usize,
}

/// The results of a pass that need room, besides the outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// The cost of each example.
    pub(crate) values: bool,
    /// The number of scalars summed over the examples of a part: Δ, or P for each direction.
    pub(crate) sums: usize,
    /// Whether these are scratch of each part, not a result.
    pub(crate) scratch: bool,
    /// δ of each layer: for Δ, or for the inputs.
    pub(crate) backward: bool,
    /// The values that hidden layers keep for the backward pass.
    pub(crate) keep: Option<Keep>,
    /// Derivatives along a direction.
    pub(crate) tangents: bool,
    /// Passes of one example at a time in the same buffers.
    pub(crate) single: bool,
}

/// The buffers of one part of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Part<T> {
    pub(crate) layers: Vec<Buffers<T>>,
    /// δ of the current layer and of the one below, alternately.
    pub(crate) deltas: [Vec<T>; 2],
    /// The derivatives of both along a direction.
    pub(crate) tangents: Vec<Buffers<T>>,
    pub(crate) delta_tangents: [Vec<T>; 2],
    pub(crate) scratch: Vec<T>,
    /// Spare buffers of layers and of tangents, left by a network with more layers, the deepest
    /// first.
    spare: [Vec<Buffers<T>>; 2],
}

/// The buffers of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Buffers<T> {
    pub(crate) output: Vec<T>,
    pub(crate) cache: Vec<T>,
    /// The layer's share of the scratch. With a larger share, the threads of another layer could
    /// affect how its products are computed.
    pub(crate) scratch: usize,
    rows: usize,
}

impl<T: Scalar> Buffers<T> {
    fn new() -> Self {
        Self {
            output: Vec::new(),
            cache: Vec::new(),
            scratch: 0,
            rows: 1,
        }
    }

    /// Returns the output for the first m examples.
    pub(crate) fn view(&self, m: usize) -> DMatrixView<'_, T> {
        DMatrixView::from_slice(&self.output[..self.rows * m], self.rows, m)
    }

    /// Returns z of a layer that keeps it.
    pub(crate) fn cache_view(&self, m: usize) -> Option<DMatrixView<'_, T>> {
        let z = self.cache.get(..self.rows * m)?;
        Some(DMatrixView::from_slice(z, self.rows, m))
    }
}

impl<T: Scalar> Default for Workspace<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Scalar> Workspace<T> {
    /// Creates a workspace without buffers. The first pass allocates them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            parts: Vec::new(),
            sums: Vec::new(),
            whole: true,
            outputs: Vec::new(),
            rows: 1,
            values: Vec::new(),
            gradient: Vec::new(),
            matrix: Vec::new(),
            weights: Vec::new(),
            training: None,
            fitted: None,
            room: Room::default(),
        }
    }

    /// Creates a workspace for a single call, which reserves no room for others.
    pub(crate) fn for_one_call() -> Self {
        Self {
            room: Room::none(),
            ..Self::new()
        }
    }

    /// Marks the next passes as training passes with this seed, for custom stochastic layers.
    ///
    /// `None`, the default, makes every layer a deterministic function, which finite differences
    /// need. No built-in layer is stochastic.
    pub fn set_training(&mut self, seed: Option<u64>) {
        self.training = seed;
    }

    /// Fills every buffer with `value`.
    ///
    /// Tests fill the buffers with NaN before a pass, to show that nothing is read before it is
    /// written.
    pub fn fill(&mut self, value: T) {
        for part in &mut self.parts {
            for layer in &mut part.layers {
                layer.output.fill(value);
                layer.cache.fill(value);
            }
            part.deltas.iter_mut().for_each(|delta| delta.fill(value));
            for layer in &mut part.tangents {
                layer.output.fill(value);
                layer.cache.fill(value);
            }
            for delta in &mut part.delta_tangents {
                delta.fill(value);
            }
            part.scratch.fill(value);
        }
        self.sums.iter_mut().for_each(|sums| sums.fill(value));
        self.outputs.fill(value);
        self.values.fill(value);
        self.gradient.fill(value);
        self.matrix.fill(value);
        self.weights.fill(f64::NAN);
    }

    /// Returns a⁽ᴸ⁾ of the last pass, K × m; `None` before the first pass.
    #[must_use]
    pub fn output(&self) -> Option<DMatrixView<'_, T>> {
        if self.whole {
            return self.activation(self.parts.first()?.layers.len().checked_sub(1)?);
        }
        let m = self.outputs.len() / self.rows;
        Some(DMatrixView::from_slice(&self.outputs, self.rows, m))
    }

    /// Returns the output a⁽ˡ⁺²⁾ of layer l (from 0) in the last pass, s × m for s units. The
    /// course counts from 1 and begins with the inputs, a⁽¹⁾, so layer 0 computes a⁽²⁾.
    ///
    /// `None` before the first pass, or if the batch was computed in parts (see
    /// [Memory](Self#memory)).
    #[must_use]
    pub fn activation(&self, layer: usize) -> Option<DMatrixView<'_, T>> {
        let Buffers { output, rows, .. } = self.buffers(layer)?;
        Some(DMatrixView::from_slice(output, *rows, output.len() / rows))
    }

    /// Returns the numbers that layer l (from 0) kept for its backward pass, or `None` where
    /// [`activation`](Self::activation) is `None`.
    ///
    /// For a [`Dense`](crate::Dense) layer at the end of a network, these are the logits z⁽ᴸ⁾,
    /// column-major. For a hidden dense layer they are z after
    /// [`forward_into`](crate::Network::forward_into) and [`cost_into`](crate::Network::cost_into).
    /// After a pass with gradients they are z if the activation is exact GELU, sine, softmax or a
    /// custom one, or if the scalar is neither `f32` nor `f64`. Otherwise the contents are
    /// unspecified.
    #[must_use]
    pub fn cache(&self, layer: usize) -> Option<&[T]> {
        Some(&self.buffers(layer)?.cache)
    }

    fn buffers(&self, layer: usize) -> Option<&Buffers<T>> {
        let part = self.parts.first().filter(|_| self.whole)?;
        part.layers.get(layer)
    }

    /// Returns the cost of each example in the last pass that computed costs, without weights and
    /// penalty.
    #[must_use]
    pub fn costs(&self) -> &[T] {
        &self.values
    }

    /// Sizes the buffers for (parts, examples of a part, examples of the batch).
    pub(crate) fn fit<L: Layer<T>>(
        &mut self,
        layout: &Arc<Layout>,
        layers: &[L],
        sizes: (usize, usize, usize),
        (wants, most): (Wants, impl FnOnce() -> Most),
    ) -> Result<(), Error> {
        let (parts, size, examples) = sizes;
        // Scratch is for each thread that may share a product.
        let threads = if parallel::is_worth_a_thread(size, layout.parameters()) {
            parallel::threads()
        } else {
            1
        };
        if let Some(fitted) = &self.fitted
            && (fitted.sizes, fitted.wants, fitted.threads) == (sizes, wants, threads)
            && Arc::ptr_eq(&fitted.layout, layout)
        {
            return Ok(());
        }
        self.fitted = None;
        self.whole = size == examples;
        if self.parts.len() < parts {
            self.parts.resize_with(parts, Part::new);
        }
        let sums = if self.whole {
            parts
        } else {
            parts + most_held(examples.div_ceil(size.max(1)))
        };
        if self.sums.len() < sums {
            self.sums.resize_with(sums, Vec::new);
        }
        // The last part may have fewer examples.
        let last = match examples % size.max(1) {
            0 => size,
            last => last,
        };
        for part in &mut self.parts[..parts] {
            part.fit(layout, layers, (size, last), wants)?;
            if wants.tangents {
                part.fit_tangents(layout, layers, (size, last), wants)?;
            }
            if wants.backward {
                fit_deltas(&mut part.deltas, layout, size)?;
            }
        }
        if wants.sums > 0 && (wants.scratch || !self.whole) {
            let shape = (wants.sums, 1);
            for sums in &mut self.sums[..sums] {
                resize(sums, "the sums of a part", shape, T::zero())?;
            }
        }
        if !self.whole {
            self.rows = layout.outputs();
            let shape = (self.rows, examples);
            resize(&mut self.outputs, "the outputs", shape, T::zero())?;
        }
        if wants.values {
            resize(&mut self.values, "the costs", (examples, 1), T::zero())?;
        }
        self.fitted = Some(Fitted {
            layout: Arc::clone(layout),
            sizes,
            wants,
            threads,
        });
        // Reserved last, so that it does not take the memory needed now.
        self.make_room(layout, layers, most(), wants.sums);
        Ok(())
    }
}

impl<T: Scalar> Part<T> {
    fn new() -> Self {
        Self {
            layers: Vec::new(),
            deltas: [Vec::new(), Vec::new()],
            tangents: Vec::new(),
            delta_tangents: [Vec::new(), Vec::new()],
            scratch: Vec::new(),
            spare: [Vec::new(), Vec::new()],
        }
    }

    /// Fits the buffers of a forward pass.
    fn fit<L: Layer<T>>(
        &mut self,
        layout: &Layout,
        layers: &[L],
        sizes: (usize, usize),
        wants: Wants,
    ) -> Result<(), Error> {
        set_depth(&mut self.layers, &mut self.spare[0], layers.len());
        let mut scratch = 0;
        for (l, (buffers, layer)) in self.layers.iter_mut().zip(layers).enumerate() {
            let cache = match (layout.layers()[l].fused, wants.keep) {
                (Some(dense), Some(keep)) if l + 1 < layers.len() => {
                    dense.fused_cache_len(sizes.0, keep)
                }
                _ => cache_len(layer, sizes, wants),
            };
            buffers.fit(layout.layers()[l].outputs, sizes.0, cache)?;
            buffers.scratch = layer.scratch_len(sizes.0);
            scratch = scratch.max(buffers.scratch);
        }
        resize(&mut self.scratch, "the scratch", (scratch, 1), T::zero())
    }

    /// Fits the buffers of the derivatives along a direction.
    fn fit_tangents<L: Layer<T>>(
        &mut self,
        layout: &Layout,
        layers: &[L],
        sizes: (usize, usize),
        wants: Wants,
    ) -> Result<(), Error> {
        set_depth(&mut self.tangents, &mut self.spare[1], layers.len());
        for (l, (buffers, layer)) in self.tangents.iter_mut().zip(layers).enumerate() {
            let cache = match (layout.layers()[l].fused, wants.keep) {
                (Some(dense), Some(Keep::Curvature)) if l + 1 < layers.len() => {
                    dense.fused_tangent_len(sizes.0)
                }
                (Some(_), Some(Keep::Slope)) if l + 1 < layers.len() => 0,
                _ => cache_len(layer, sizes, wants),
            };
            buffers.fit(layout.layers()[l].outputs, sizes.0, cache)?;
        }
        if wants.backward {
            fit_deltas(&mut self.delta_tangents, layout, sizes.0)?;
        }
        Ok(())
    }

    /// Copies a of the last layer to `outputs`, if there is room for it.
    pub(crate) fn copy_outputs(&self, outputs: &mut [T]) {
        if let Some(last) = self.layers.last() {
            outputs.copy_from_slice(&last.output[..outputs.len()]);
        }
    }
}

impl<T: Scalar> Buffers<T> {
    fn fit(&mut self, rows: usize, examples: usize, cache: usize) -> Result<(), Error> {
        let shape = (rows, examples);
        resize(&mut self.output, "a layer's output", shape, T::zero())?;
        self.rows = rows;
        resize(&mut self.cache, "a layer's cache", (cache, 1), T::zero())
    }
}

/// Matches the number of buffers to the number of layers. Surplus buffers are kept, and go back to
/// their places when the depth grows again.
fn set_depth<T: Scalar>(buffers: &mut Vec<Buffers<T>>, spare: &mut Vec<Buffers<T>>, depth: usize) {
    let fewer = depth.min(buffers.len());
    spare.extend(buffers.drain(fewer..).rev());
    buffers.resize_with(depth, || spare.pop().unwrap_or_else(Buffers::new));
}

/// Returns the length of the cache of a layer that is not fused, for parts of `examples` examples
/// and the last part.
fn cache_len<T: Scalar, L: Layer<T>>(
    layer: &L,
    (examples, last): (usize, usize),
    wants: Wants,
) -> usize {
    let len = layer.cache_len(examples).max(layer.cache_len(last));
    if wants.single {
        len.max(layer.cache_len(1))
    } else {
        len
    }
}

/// Fits the two buffers that δ alternates between.
fn fit_deltas<T: Scalar>(
    deltas: &mut [Vec<T>; 2],
    layout: &Layout,
    examples: usize,
) -> Result<(), Error> {
    for delta in deltas {
        resize(delta, "δ", (layout.widest(), examples), T::zero())?;
    }
    Ok(())
}
