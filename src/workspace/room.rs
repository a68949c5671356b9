//! Room for later calls of any kind, with a batch no larger than the largest so far.

use super::{Part, Workspace};
use crate::layer::{KEEPS, Plan};
use crate::layout::Layout;
use crate::scalar::Scalar;
use std::sync::Arc;

/// The number of scalars in the per-example gradients that are computed together.
const GRADIENTS: usize = 1 << 16;

/// The number of scalars of Jacobians that are held at the same time.
const JACOBIANS: usize = 1 << 20;

/// The maximum number of parameters for which room is reserved for a Gauss–Newton matrix.
const PARAMETERS: usize = 1 << 10;

/// The maximum number of examples whose Jacobians are held. Up to this number they are computed as
/// a whole, so they lie side by side.
const MOST_JACOBIANS: usize = 256;

/// The depth of a product up to which more examples may need less scratch: the largest depth of a
/// block.
const UNEVEN: usize = 1024;

/// Returns how many of m per-example gradients, with P entries each, are computed together.
pub(crate) fn gradients_together(p: usize, m: usize) -> usize {
    (GRADIENTS / p.max(1)).clamp(1, m.max(1))
}

/// Returns how many Jacobians are held at the same time, if each needs `each` scalars.
pub(crate) fn jacobians_together(each: usize, m: usize) -> usize {
    (JACOBIANS / each.max(1)).clamp(1, MOST_JACOBIANS.min(m.max(1)))
}

/// The largest sizes in which a batch, or any smaller one, is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) examples: usize,
    /// The number of parts computed at the same time.
    pub(crate) parts: usize,
    /// The number of sums held at the same time: of these parts, and of earlier parts.
    pub(crate) sums: usize,
    /// The number of examples of the first part, which may be a whole batch, and of other parts.
    pub(crate) sizes: (usize, usize),
    /// Whether batches are computed in parts, whose outputs are gathered.
    pub(crate) cut: bool,
    pub(crate) threads: usize,
}

impl Most {
    fn max(self, other: Self) -> Self {
        Self {
            examples: self.examples.max(other.examples),
            parts: self.parts.max(other.parts),
            sums: self.sums.max(other.sums),
            sizes: (
                self.sizes.0.max(other.sizes.0),
                self.sizes.1.max(other.sizes.1),
            ),
            cut: self.cut || other.cut,
            threads: self.threads.max(other.threads),
        }
    }
}

/// The room that has been reserved.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Whether to reserve nothing for later calls.
    none: bool,
    layout: Option<Arc<Layout>>,
    most: Most,
    /// Scalars of the sums of a part.
    sums: usize,
}

impl Room {
    pub(super) fn none() -> Self {
        Self {
            none: true,
            ..Self::default()
        }
    }
}

/// A clone's buffers have only the capacity that they need.
impl Clone for Room {
    fn clone(&self) -> Self {
        Self {
            none: self.none,
            ..Self::default()
        }
    }
}

impl<T: Scalar> Workspace<T> {
    /// Reserves room for every kind of call unless it exists: for batches up to the largest so far,
    /// and for `sums` scalars of sums.
    pub(crate) fn make_room(&mut self, layout: &Arc<Layout>, most: Most, sums: usize) {
        let room = &self.room;
        let same = room
            .layout
            .as_ref()
            .is_some_and(|of| Arc::ptr_eq(of, layout));
        let (most, sums) = if same {
            (room.most.max(most), room.sums.max(sums))
        } else {
            (most, sums)
        };
        if room.none || (same && (room.most, room.sums) == (most, sums)) {
            return;
        }
        let parts = most.parts.max(self.parts.len());
        self.parts.resize_with(parts, Part::new);
        let sums_held = most.sums.max(self.sums.len());
        self.sums.resize_with(sums_held, Vec::new);
        // Sums of one direction, or scratch: a gradient, or one input for every example.
        let of_inputs = layout.inputs().saturating_mul(most.sizes.0);
        let of_part = sums.max(layout.parameters()).max(of_inputs);
        for (i, part) in self.parts[..most.parts].iter_mut().enumerate() {
            let size = if i == 0 { most.sizes.0 } else { most.sizes.1 };
            part.make_room(layout.plan(), size);
        }
        for held in &mut self.sums[..most.sums] {
            reserve(held, of_part, 1);
        }
        if most.cut {
            reserve(&mut self.outputs, layout.outputs(), most.examples);
        }
        reserve(&mut self.values, most.examples, 1);
        reserve(&mut self.weights, most.examples, 1);
        let (p, k) = (layout.parameters(), layout.outputs());
        reserve(&mut self.gradient, p.max(most.examples), 1);
        reserve(&mut self.gradient, p, gradients_together(p, most.examples));
        // The scalars that an example takes in a Gauss–Newton matrix.
        let each = p.saturating_add(k).saturating_mul(k).saturating_add(p);
        if each <= JACOBIANS {
            let together = jacobians_together(each, most.examples);
            reserve(&mut self.gradient, each, together);
        }
        if p <= PARAMETERS {
            reserve(&mut self.matrix, p * p, 2);
        }
        self.room = Room {
            none: false,
            layout: Some(Arc::clone(layout)),
            most,
            sums,
        };
    }
}

impl<T: Scalar> Part<T> {
    fn make_room(&mut self, plan: &Plan, size: usize) {
        let kept = KEEPS.map(|keep| plan.kept(keep, size));
        let kept = kept.into_iter().fold(0, usize::max);
        for kept_of in [&mut self.kept, &mut self.kept_tangent] {
            reserve(kept_of, kept, 1);
        }
        for output in [
            &mut self.output,
            &mut self.delta,
            &mut self.output_tangent,
            &mut self.delta_tangent,
        ] {
            reserve(output, plan.output().len(), size);
        }
        reserve(&mut self.room, plan.room_len(size), 1);
        reserve(&mut self.scratch_lens, plan.nodes(), 1);
        reserve(&mut self.linked, plan.heads.len(), 1);
        reserve(&mut self.new_state, plan.state_len(), 1);
        let sizes = (1..size.min(UNEVEN)).chain([size]);
        let scratch = sizes.map(|m| plan.most_scratch::<T>(m));
        reserve(&mut self.scratch, scratch.fold(0, usize::max), 1);
    }
}

/// Tries to reserve room for rows × cols entries. A call that needs the room and does not have it
/// reports the error.
fn reserve<T>(vector: &mut Vec<T>, rows: usize, cols: usize) {
    if let Some(len) = rows.checked_mul(cols) {
        let more = len.saturating_sub(vector.len());
        let _ = vector.try_reserve_exact(more);
    }
}
