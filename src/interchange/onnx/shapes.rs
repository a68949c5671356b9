//! The layers of single nodes that move or look up numbers.

use super::assemble::{Assembler, Chain};
use super::graph::{Value, from_end, refused};
use super::operators::Done;
use super::proto::Node;
use super::sizes::Size;
use crate::file_scalar::FileScalar;
use crate::layer::{AnyLayer, Embedding, Rearrange};
use crate::shape::Shape;

impl<T: FileScalar> Assembler<'_, '_, T> {
    pub(super) fn reshape(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let Some(to) = self.graph.sizes(node, 1) else {
            return Err(refused(node, "its shape is not a constant"));
        };
        if self.reads_strays && to.contains(&Size::Examples) {
            let reason = "the graph reads the sizes of a value that no layer computes";
            return Err(refused(node, reason));
        }
        let allows_zero = node.flag("allowzero")?;
        let batch = self.graph.input.dims.first().and_then(|dim| dim.size);
        let fits = |to: &[Size], sizes: &[usize]| {
            let from = chain.sizes();
            let [examples, to @ ..] = to else {
                return false;
            };
            let is_batch = match examples {
                Size::Examples | Size::Known(-1) => true,
                Size::Known(0) => !allows_zero,
                Size::Known(size) => Some(*size) == batch,
            };
            let unknown = to.iter().filter(|&&size| size == Size::Known(-1)).count();
            let unknown = unknown + usize::from(*examples == Size::Known(-1));
            let keeps = |axis: usize| !allows_zero && from.get(axis) == sizes.get(axis);
            let mut pairs = to.iter().zip(sizes).enumerate();
            is_batch
                && to.len() == sizes.len()
                && unknown <= 1
                && pairs.all(|(axis, (&to, &size))| match to {
                    Size::Examples => false,
                    Size::Known(-1) => true,
                    Size::Known(0) => keeps(axis),
                    Size::Known(to) => usize::try_from(to) == Ok(size),
                })
        };
        if fits(&to, &chain.sizes()) {
            return Ok(());
        }
        if fits(&to, &[chain.shape.len()]) {
            return flatten::<T>(chain, node);
        }
        if chain.shape == Shape::Units(1) && fits(&to, &[]) {
            chain.is_flat = true;
            return Ok(());
        }
        let found = chain.shape;
        let to = to.iter().map(|size| match size {
            Size::Examples => "N".to_owned(),
            Size::Known(size) => size.to_string(),
        });
        let to = to.collect::<Vec<_>>().join(", ");
        let reason = format!("it gives an example of {found} the shape [{to}], which is not flat");
        Err(refused(node, reason))
    }

    pub(super) fn embedding(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let Some(table) = self
            .graph
            .constant(node, 0)
            .filter(|table| table.dims.len() == 2)
        else {
            return Err(refused(node, "its table is not a constant matrix"));
        };
        if from_end(node.int("axis", 0)?, 2) != Some(0) {
            return Err(refused(node, "its axis is not 0"));
        }
        let (entries, dim) = (table.dims[0], table.dims[1]);
        chain.is_whole = false;
        chain.push::<T>(node, AnyLayer::Embedding(Embedding::new(entries, dim)))?;
        self.vector(node, Some(&table), &[entries, dim], T::zero())
    }

    pub(super) fn select(&mut self, chain: &mut Chain, node: &Node<'_>) -> Done {
        let one = |index: usize| match self.graph.ints(node, index)?[..] {
            [value] => Some(value),
            _ => None,
        };
        let step = match self.graph.operand(node, 4) {
            Value::Absent => Some(1),
            _ => one(4),
        };
        let (Some(from), Some(to), Some(axis), Some(1)) = (one(1), one(2), one(3), step) else {
            return Err(refused(
                node,
                "its ends are not constants, or its step is not 1",
            ));
        };
        let units = chain.shape.len();
        let place = |at: i64| match usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX) {
            back if at < 0 => units.saturating_sub(back),
            at => at.min(units),
        };
        if from_end(axis, chain.rank()) != Some(1) {
            return Err(refused(node, "its axis is not 1"));
        }
        let (from, to) = (place(from), place(to));
        chain.push::<T>(node, AnyLayer::Rearrange(Rearrange::Select { from, to }))
    }
}

pub(super) fn cast(chain: &mut Chain, node: &Node<'_>) -> Done {
    match node.int("to", 0)? {
        _ if node.casts_to_float() && !chain.is_whole => {}
        6 | 7 => chain.is_whole = true,
        _ => return Err(refused(node, "it casts to a type that no layer reads")),
    }
    Ok(())
}

pub(super) fn flatten<T: FileScalar>(chain: &mut Chain, node: &Node<'_>) -> Done {
    match chain.shape {
        Shape::Units(_) => Ok(()),
        _ => chain.push::<T>(node, AnyLayer::Rearrange(Rearrange::Flatten)),
    }
}

/// Swaps axes, in a graph that may read shapes.
pub(super) fn transpose<T: FileScalar>(
    chain: &mut Chain,
    node: &Node<'_>,
    reads_shapes: bool,
) -> Done {
    let rank = chain.rank();
    let reversed: Vec<i64> = (0..rank as i64).rev().collect();
    let order = node.ints("perm")?.unwrap_or(&reversed);
    match order {
        [0, 1] | [0, 1, 2] | [0, 1, 2, 3] if order.len() == rank => Ok(()),
        [1, 0] if rank == 2 && reads_shapes => {
            Err(refused(node, "the graph reads the sizes of axes too"))
        }
        [1, 0] if rank == 2 => {
            chain.is_transposed = !chain.is_transposed;
            Ok(())
        }
        [0, 2, 1] if rank == 3 => chain.push::<T>(node, AnyLayer::Rearrange(Rearrange::Transpose)),
        _ => Err(refused(node, "it does not swap the two axes of an example")),
    }
}
