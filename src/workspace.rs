//! The buffers of one pass.

mod mode;
mod part;
mod room;

use crate::allocation::resize;
use crate::error::Error;
use crate::kernels::parallel;
use crate::kernels::tree::most_held;
use crate::layer::given::GivenList;
use crate::layer::{Frame, Keep, Plan};
use crate::layout::Layout;
use crate::path::Path;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;
pub(crate) use part::Part;
use room::Room;
pub(crate) use room::{Most, gradients_together, jacobians_together};
use std::sync::Arc;

/// The buffers of a pass, reused by later calls.
///
/// After its first batch, a workspace allocates nothing for batches up to that size, except as
/// listed under [Memory](Self#memory). The symbols here are those of the
/// [conventions](crate::conventions).
///
/// A workspace adapts to the network and the batch of each call, and can be used with different
/// networks in turn. After a pass it holds a⁽ᴸ⁾, the cost of each example and, unless the batch was
/// computed in parts, a⁽ˡ⁾ of every layer. After an error, its contents are unspecified. Threads
/// can share a network and its examples, but each needs its own workspace.
///
/// # Memory
/// A batch is computed as a whole if it has fewer than 512 examples (1024 if the network has more
/// than 2¹⁸ parameters), or if a layer couples examples. Then the buffers hold z or g′(z) and a of
/// every layer, and twice the widest δ, for all examples.
///
/// Any other batch is computed in parts of 129 to 1024 examples (at least 512 with more than 2¹⁸
/// parameters); the last part may have fewer. Then the buffers hold the same for up to four parts
/// per thread (one part on one thread; with more than 2¹⁸ parameters, one per thread and at most
/// 2²³/P). They also hold a gradient of P scalars for each of these parts and for each binary digit
/// of the number of parts, because the parts are added in pairs, then pairs of pairs, and so on.
/// They also hold a⁽ᴸ⁾ and the costs of the whole batch.
///
/// Either way, each part needs a few hundred KiB of scratch. If more than 2048 examples are
/// computed as a whole, the scratch holds one more Δ of the largest layer for each doubling.
///
/// The first call, and each call with a larger batch, reserves room for everything in this section,
/// for this batch and smaller ones. It writes only what it needs itself, and on most systems memory
/// takes no space until it is written. A failed reservation is an error only once the room is
/// needed.
///
/// Four things are not reserved: a pullback of a batch that is cut into parts, all of which it
/// holds; sums for several directions, before the first call with that number; a Gauss–Newton
/// matrix with P > 2¹⁰ or more than 2²⁰ scalars for one example; and custom layers that need more
/// for fewer examples. A clone starts without reserved room.
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
    /// a of the last layer for all parts.
    pub(crate) outputs: Vec<T>,
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
    /// See [`At::replaces_statistics`](crate::layer::At::replaces_statistics).
    pub(crate) replaces_statistics: bool,
    /// Random numbers in place of those of the seed, sorted by layer.
    pub(crate) given: GivenList<T>,
    /// Whether the parts do not have these yet.
    given_changed: bool,
    /// The sizes that the buffers fit, so that the next pass of the same kind can skip the checks.
    fitted: Option<Fitted>,
    room: Room,
}

/// The sizes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The number of parts that are computed at the same time.
    pub(crate) parts: usize,
    /// The number of parts that have buffers of their own.
    pub(crate) held: usize,
    /// The examples of a part.
    pub(crate) part: usize,
    /// The examples of the batch.
    pub(crate) examples: usize,
}

/// A kind of pass through a network with this layout.
#[derive(Clone, Debug)]
struct Fitted {
    layout: Arc<Layout>,
    sizes: Sizes,
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
    /// δ: for Δ, or for the inputs.
    pub(crate) backward: bool,
    /// What the forward pass keeps for the others.
    pub(crate) keep: Keep,
    /// Derivatives along a direction.
    pub(crate) tangents: bool,
    /// The gradients of single examples, or their norms.
    pub(crate) each: bool,
    /// Whether every part of a batch keeps its buffers, for later jobs.
    pub(crate) hold: bool,
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
            values: Vec::new(),
            gradient: Vec::new(),
            matrix: Vec::new(),
            weights: Vec::new(),
            training: None,
            replaces_statistics: false,
            given: None,
            given_changed: false,
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

    /// Fills every buffer with `value`.
    ///
    /// Tests fill the buffers with NaN before a pass, to show that nothing is read before it is
    /// written.
    pub fn fill(&mut self, value: T) {
        for part in &mut self.parts {
            for buffer in part.buffers() {
                buffer.fill(value);
            }
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
        let fitted = self.fitted.as_ref()?;
        let (rows, m) = (fitted.layout.outputs(), fitted.sizes.examples);
        let entries = if self.whole {
            &self.parts.first()?.output
        } else {
            &self.outputs
        };
        Some(DMatrixView::from_slice(&entries[..rows * m], rows, m))
    }

    /// Returns the output of a layer in the last pass, s × m for s units: a⁽ˡ⁺²⁾ of layer l (from
    /// 0). The course counts from 1 and begins with the inputs, a⁽¹⁾, so layer 0 computes a⁽²⁾.
    ///
    /// `None` before the first pass, if there is no such layer, or if the batch was computed in
    /// parts (see [Memory](Self#memory)).
    #[must_use]
    pub fn activation(&self, layer: impl Into<Path>) -> Option<DMatrixView<'_, T>> {
        let fitted = self.fitted.as_ref()?;
        let part = self.parts.first().filter(|_| self.whole)?;
        let (keep, m) = (fitted.wants.keep, fitted.sizes.examples);
        let mut plan = fitted.layout.plan();
        let (mut kept, mut output) = (&part.kept[..], &part.output[..]);
        for &index in layer.into().indices() {
            let child = plan.children.get(index)?;
            let (start, range) = child.found(keep, m);
            output = range.map_or(output, |range| &kept[range]);
            (plan, kept) = (&child.plan, &kept[start..]);
        }
        let rows = plan.outputs();
        Some(DMatrixView::from_slice(&output[..rows * m], rows, m))
    }

    /// Returns the logits z of a head in the last pass, as many rows as the head has outputs. A
    /// network without branches at its end has one head, 0, and its logits are z⁽ᴸ⁾, K × m.
    ///
    /// `None` where [`activation`](Self::activation) is `None`, if there is no such head, or if it
    /// has no z of its own (a sum has none, and that of a first layer may be X).
    #[must_use]
    pub fn logits(&self, head: usize) -> Option<DMatrixView<'_, T>> {
        let (plan, frame) = self.frame()?;
        let head = plan.heads.get(head)?;
        frame.get(head.z?, head.rows)
    }

    /// Returns the plan and the matrices of the last pass, unless it was computed in parts.
    fn frame(&self) -> Option<(&Plan, Frame<'_, T>)> {
        let fitted = self.fitted.as_ref()?;
        let part = self.parts.first().filter(|_| self.whole)?;
        let (plan, keep) = (fitted.layout.plan(), fitted.wants.keep);
        let m = fitted.sizes.examples;
        Some((plan, Frame::new(plan, keep, m, &part.output, &part.kept)))
    }

    /// Returns the state after the last pass, if it was a training pass of such a network.
    pub(crate) fn new_state(&self, layout: &Arc<Layout>) -> Option<&[T]> {
        let fitted = self.fitted.as_ref()?;
        let part = self.parts.first().filter(|part| part.has_new_state)?;
        let same = Arc::ptr_eq(&fitted.layout, layout) || fitted.layout == *layout;
        same.then(|| &part.new_state[..layout.plan().state_len()])
    }

    /// Returns the cost of each example in the last pass that computed costs, without weights and
    /// penalty.
    #[must_use]
    pub fn costs(&self) -> &[T] {
        &self.values
    }

    /// Sizes the buffers for a kind of pass.
    pub(crate) fn fit(
        &mut self,
        layout: &Arc<Layout>,
        sizes: Sizes,
        wants: Wants,
        most: impl FnOnce() -> Most,
    ) -> Result<(), Error> {
        let Sizes {
            parts,
            held,
            part,
            examples,
        } = sizes;
        // Scratch is for each thread that may share a product.
        let threads = if parallel::is_worth_a_thread(part, layout.parameters()) {
            parallel::threads()
        } else {
            1
        };
        if let Some(fitted) = &self.fitted
            && (fitted.sizes, fitted.wants, fitted.threads) == (sizes, wants, threads)
            && !self.given_changed
            && Arc::ptr_eq(&fitted.layout, layout)
        {
            return Ok(());
        }
        self.fitted = None;
        self.whole = part == examples;
        if self.parts.len() < held {
            let more = held - self.parts.len();
            let reserved = self.parts.try_reserve(more);
            reserved.map_err(|_| Error::TooLarge {
                what: "the buffers of the parts",
                rows: held,
                cols: 1,
            })?;
            self.parts.resize_with(held, Part::new);
        }
        let sums = if self.whole {
            parts
        } else {
            parts + most_held(examples.div_ceil(part.max(1)))
        };
        if self.sums.len() < sums {
            self.sums.resize_with(sums, Vec::new);
        }
        for buffers in &mut self.parts {
            buffers.given.clone_from(&self.given);
        }
        self.given_changed = false;
        for buffers in &mut self.parts[..held] {
            buffers.fit(layout.plan(), part, wants)?;
        }
        if wants.sums > 0 && (wants.scratch || !self.whole) {
            let shape = (wants.sums, 1);
            for sums in &mut self.sums[..sums] {
                resize(sums, "the sums of a part", shape, T::zero())?;
            }
        }
        if !self.whole {
            let shape = (layout.outputs(), examples);
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
        self.make_room(layout, most(), wants.sums);
        Ok(())
    }
}
