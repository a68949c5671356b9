//! The buffers of one part of a batch.

use super::Wants;
use crate::allocation::resize;
use crate::error::Error;
use crate::layer::Plan;
use crate::layer::given::GivenList;
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// The buffers of one part of a batch. Each holds at least the entries of the part.
#[derive(Clone, Debug)]
pub(crate) struct Part<T: Scalar> {
    /// What the layers keep, and the outputs of all but the last.
    pub(crate) kept: Vec<T>,
    /// a of the last layer.
    pub(crate) output: Vec<T>,
    /// δ of the last layer.
    pub(crate) delta: Vec<T>,
    /// The derivatives of all three along a direction.
    pub(crate) kept_tangent: Vec<T>,
    pub(crate) output_tangent: Vec<T>,
    pub(crate) delta_tangent: Vec<T>,
    /// Room of the layers, which holds δ of inner layers.
    pub(crate) room: Vec<T>,
    /// Scratch for products.
    pub(crate) scratch: Vec<T>,
    /// The length of each layer's scratch. With a larger share, the threads of another layer could
    /// affect how its products are computed.
    pub(crate) scratch_lens: Vec<usize>,
    /// For each head, whether its rows of δ are ∂cost/∂z.
    pub(crate) linked: Vec<bool>,
    /// The state after a training pass, and whether the last pass wrote it.
    pub(crate) new_state: Vec<T>,
    pub(crate) has_new_state: bool,
    /// Random numbers in place of those of the seed.
    pub(crate) given: GivenList<T>,
}

impl<T: Scalar> Part<T> {
    pub(super) fn new() -> Self {
        Self {
            kept: Vec::new(),
            output: Vec::new(),
            delta: Vec::new(),
            kept_tangent: Vec::new(),
            output_tangent: Vec::new(),
            delta_tangent: Vec::new(),
            room: Vec::new(),
            scratch: Vec::new(),
            scratch_lens: Vec::new(),
            linked: Vec::new(),
            new_state: Vec::new(),
            has_new_state: false,
            given: None,
        }
    }

    pub(super) fn buffers(&mut self) -> [&mut Vec<T>; 9] {
        [
            &mut self.kept,
            &mut self.output,
            &mut self.delta,
            &mut self.kept_tangent,
            &mut self.output_tangent,
            &mut self.delta_tangent,
            &mut self.room,
            &mut self.scratch,
            &mut self.new_state,
        ]
    }

    /// Fits the buffers to m examples.
    pub(super) fn fit(&mut self, plan: &Plan, m: usize, wants: Wants) -> Result<(), Error> {
        let (kept, outputs) = (plan.kept(wants.keep, m), plan.outputs());
        let of_each = if wants.each { plan.room_of_each(m) } else { 0 };
        let room = plan.plain_room(m).max(of_each);
        at_least(&mut self.kept, "the activations", (kept, 1))?;
        at_least(&mut self.output, "the outputs", (outputs, m))?;
        if wants.backward {
            at_least(&mut self.delta, "δ", (outputs, m))?;
        }
        if wants.tangents {
            at_least(&mut self.kept_tangent, "the activations", (kept, 1))?;
            at_least(&mut self.output_tangent, "the outputs", (outputs, m))?;
            if wants.backward {
                at_least(&mut self.delta_tangent, "δ", (outputs, m))?;
            }
            at_least(
                &mut self.room,
                "the room of the layers",
                (plan.tangent_room(m), 1),
            )?;
        }
        at_least(&mut self.room, "the room of the layers", (room, 1))?;
        at_least(&mut self.new_state, "the state", (plan.state_len(), 1))?;
        let heads = plan.heads.len();
        if self.linked.len() < heads {
            resize(&mut self.linked, "the heads", (heads, 1), false)?;
        }
        self.scratch_lens.clear();
        let more = plan.nodes();
        let reserved = self.scratch_lens.try_reserve(more);
        reserved.map_err(|_| Error::TooLarge {
            what: "the scratch",
            rows: more,
            cols: 1,
        })?;
        plan.scratch::<T>(m, &mut self.scratch_lens);
        let scratch = self.scratch_lens.first().map_or(0, |&len| len);
        at_least(&mut self.scratch, "the scratch", (scratch, 1))
    }

    /// Starts a backward pass from given derivatives with respect to the outputs.
    pub(crate) fn start_from(&mut self, cotangent: DMatrixView<'_, T>) {
        let columns = self.delta.chunks_exact_mut(cotangent.nrows().max(1));
        for (delta, column) in columns.zip(cotangent.column_iter()) {
            delta.copy_from_slice(column.as_slice());
        }
        self.linked.fill(false);
    }

    /// Copies the outputs of the last layer.
    pub(crate) fn copy_outputs(&self, outputs: &mut [T]) {
        outputs.copy_from_slice(&self.output[..outputs.len()]);
    }
}

/// Lengthens a buffer that is shorter than rows · cols.
fn at_least<T: Scalar>(
    buffer: &mut Vec<T>,
    what: &'static str,
    (rows, cols): (usize, usize),
) -> Result<(), Error> {
    match rows.checked_mul(cols) {
        Some(len) if len <= buffer.len() => Ok(()),
        _ => resize(buffer, what, (rows, cols), T::zero()),
    }
}
