//! A hash of a layout, for sums that travel without their network.

use super::{BlockLayout, Layout};
use crate::checksum::Checksum;
use crate::layer::{Block, BlockStart, StateBlock};
use crate::path::Path;
use crate::point::StatePlace;
use crate::shape::Shape;

impl Layout {
    /// Returns a hash of all that `==` compares, the same on every platform.
    ///
    /// Version 1 of the bytes of an accumulator contains it, so what is hashed, and in which order,
    /// stays the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = Checksum::new();
        add_shape(&mut hash, self.plan.input());
        hash.count(self.depth());
        for child in &self.plan.children {
            add_shape(&mut hash, child.plan.output());
        }
        hash.count(self.blocks.len());
        for place in &self.blocks {
            add_block(&mut hash, place);
        }
        hash.count(self.state_places.len());
        for place in &self.state_places {
            add_state(&mut hash, place);
        }
        hash.value()
    }
}

fn add_shape(hash: &mut Checksum, shape: Shape) {
    let axes = match shape {
        Shape::Units(units) => [1, units, 0, 0],
        Shape::Sequence { steps, features } => [2, steps, features, 0],
        Shape::Signal { channels, length } => [3, channels, length, 0],
        Shape::Image {
            channels,
            height,
            width,
        } => [4, channels, height, width],
    };
    for size in axes {
        hash.count(size);
    }
}

fn add_path(hash: &mut Checksum, path: &Path) {
    hash.count(path.indices().len());
    for &index in path.indices() {
        hash.count(index);
    }
}

fn add_block(hash: &mut Checksum, place: &BlockLayout) {
    let BlockLayout {
        layer,
        index,
        start,
        block,
        frozen,
    } = place;
    add_path(hash, layer);
    hash.count(*index);
    hash.count(*start);
    hash.count((*frozen).into());
    let Block {
        name,
        rows,
        cols,
        penalised_from_column,
        start,
    } = block;
    hash.text(name);
    hash.count(*rows);
    hash.count(*cols);
    hash.count(*penalised_from_column);
    let (kind, value) = match *start {
        BlockStart::Initializer => (0, 0.0),
        BlockStart::Constant(value) => (1, value),
        BlockStart::Normal(deviation) => (2, deviation),
    };
    hash.count(kind);
    hash.number(value);
}

fn add_state(hash: &mut Checksum, place: &StatePlace) {
    let StatePlace {
        layer,
        index,
        block,
        range,
        fixed,
    } = place;
    add_path(hash, layer);
    hash.count(*index);
    hash.count(range.start);
    hash.count(range.end);
    hash.count((*fixed).into());
    let StateBlock {
        name,
        len,
        start,
        least,
    } = block;
    hash.text(name);
    hash.count(*len);
    hash.number(*start);
    hash.number(*least);
}
