//! The positions of layers and blocks in the flat θ.

mod fingerprint;

use crate::allocation::{fits, owned};
use crate::error::{BlockEntry, Error};
use crate::layer::{Block, Layer, Plan, Sequential, Site};
use crate::path::Path;
use crate::point::{StatePlace, push_places};
use crate::scalar::Scalar;
use crate::shape::Shape;
use nalgebra::{DMatrix, DMatrixView};
use std::ops::Range;

/// The order of the parameters in θ and ∇J: layer by layer, block by block, each column-major.
///
/// Derivation: [(23)](crate::derivation#unrolled).
///
/// The layout reads the sizes from the layers once, when a network is built. It lists the entries
/// that penalties and decay act on, and names the blocks for reports. The order is that of Octave's
/// `(:)`.
///
/// # Example
/// ```
/// use backprop::{Network, activation::Sigmoid};
///
/// let network = Network::<f64>::builder(400).dense(25, Sigmoid).dense(10, Sigmoid).zeros()?;
/// let blocks = network.layout().blocks();
/// assert_eq!(blocks[1].label(), "Θ⁽²⁾");
/// assert_eq!(blocks[1].range(), 10_025..10_285);
/// assert_eq!(blocks[1].penalised(), 10_035..10_285);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Layout {
    /// The plan of all layers in sequence.
    plan: Plan,
    blocks: Vec<BlockLayout>,
    /// The ranges of θ that keep their values, and those that move.
    frozen: Vec<Range<usize>>,
    moving: Vec<Range<usize>>,
    /// The vectors of state, in their order.
    state_places: Vec<StatePlace>,
}

/// One block of parameters and its position in θ.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockLayout {
    layer: Path,
    /// Its index among the blocks of its layer.
    index: usize,
    start: usize,
    block: Block,
    frozen: bool,
}

impl BlockLayout {
    /// Returns whether the block is \[b W\], or W under the name of Θ.
    fn is_dense(&self, plan: &Plan) -> bool {
        let Block {
            rows,
            cols,
            penalised_from_column: bias,
            ..
        } = self.block;
        (bias == 1 || bias == 0 && self.block.name == "Θ")
            && rows == plan.output().last_axis()
            && cols - bias == plan.input().last_axis()
    }

    /// Returns the index of the block's layer, from 0.
    #[must_use]
    pub fn layer(&self) -> &Path {
        &self.layer
    }

    /// Returns the name and the shape of the block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Returns the block's name with the number of its layer, such as `Θ⁽¹⁾`.
    #[must_use]
    pub fn label(&self) -> String {
        self.layer.label(&self.block.name)
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Returns the range of the block's entries in θ.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.block.rows * self.block.cols
    }

    /// Returns whether the block keeps its values: see [`Network::freeze`](crate::Network::freeze).
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Returns the range of the entries that penalties and decay act on: all but the exempt first
    /// columns, and none of a frozen block.
    #[must_use]
    pub fn penalised(&self) -> Range<usize> {
        let range = self.range();
        if self.frozen {
            return range.end..range.end;
        }
        range.start + self.block.rows * self.block.penalised_from_column..range.end
    }
}

impl Layout {
    /// Reads and checks the sizes of layers in sequence.
    pub(crate) fn new<T: Scalar, L: Layer<T>>(
        input: Shape,
        root: &Sequential<L>,
    ) -> Result<Self, Error> {
        if input.is_empty() {
            return Err(Error::NoInputs);
        }
        if root.layers().is_empty() {
            return Err(Error::NoLayers);
        }
        Self::from_plan::<T>(root.plan(Site::new(input))?)
    }

    /// Reads the sizes of a plan whose children are the layers of a network.
    pub(crate) fn from_plan<T: Scalar>(plan: Plan) -> Result<Self, Error> {
        let mut blocks = Vec::new();
        push::<T>(&Path::default(), &plan, &mut blocks, &mut 0)?;
        let (frozen, moving) = (ranges(&blocks, true), ranges(&blocks, false));
        let mut state_places = Vec::new();
        push_places(&Path::default(), &plan, &mut state_places);
        if !fits::<T>(plan.state_len()) {
            let (what, rows, cols) = ("the state", plan.state_len(), 1);
            return Err(Error::TooLarge { what, rows, cols });
        }
        Ok(Self {
            state_places,
            plan,
            blocks,
            frozen,
            moving,
        })
    }

    /// Freezes the layer at a path and those inside it, or releases them.
    pub(crate) fn freeze(&mut self, path: &Path, frozen: bool) -> Result<(), Error> {
        self.plan.freeze(path.indices(), frozen)?;
        let blocks = self.blocks.iter_mut();
        for block in blocks.filter(|block| block.layer.starts_with(path)) {
            block.frozen = frozen;
        }
        self.frozen = ranges(&self.blocks, true);
        self.moving = ranges(&self.blocks, false);
        Ok(())
    }

    /// Fixes the statistics of the layer at a path and of those inside it, or releases them.
    pub(crate) fn fix_statistics(&mut self, path: &Path, fixed: bool) -> Result<(), Error> {
        self.plan.fix_statistics(path.indices(), fixed)?;
        self.state_places.clear();
        push_places(&Path::default(), &self.plan, &mut self.state_places);
        Ok(())
    }

    /// Returns the vectors of state, in their order.
    pub(crate) fn state_places(&self) -> &[StatePlace] {
        &self.state_places
    }

    /// Returns the ranges of θ that keep their values, in order and not adjacent.
    pub(crate) fn frozen(&self) -> &[Range<usize>] {
        &self.frozen
    }

    /// Returns the ranges of θ that move, in order and not adjacent: all of it unless layers are
    /// [frozen](crate::Network::freeze).
    #[must_use]
    pub fn moving(&self) -> &[Range<usize>] {
        &self.moving
    }

    /// Sets the entries of frozen layers to 0 in a vector laid out like θ.
    #[inline]
    pub(crate) fn clear_frozen<T: Scalar>(&self, vector: &mut [T]) {
        if !self.frozen.is_empty() {
            self.plan.clear_frozen(vector);
        }
    }

    /// Returns the number of inputs, the rows of X.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.plan.inputs()
    }

    /// Returns the number of outputs of the last layer, the rows of Y.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.plan.outputs()
    }

    /// Returns the number of layers, not counting the inputs: L − 1 in the course's notation.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.plan.children.len()
    }

    /// Returns P, the length of θ and ∇J.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.plan.parameters()
    }

    /// Returns all blocks, in their order in θ.
    #[must_use]
    pub fn blocks(&self) -> &[BlockLayout] {
        &self.blocks
    }

    /// Splits a vector, laid out like θ, into its matrices, one per block.
    ///
    /// The inverse of [`unroll`](crate::unroll).
    ///
    /// Derivation: [(23)](crate::derivation#unrolled).
    ///
    /// # Errors
    /// Returns [`Error::Length`] if the vector does not have P entries, and [`Error::TooLarge`] if
    /// there is no memory for the matrices.
    pub fn roll<T: Scalar>(&self, vector: &[T]) -> Result<Vec<DMatrix<T>>, Error> {
        if vector.len() != self.parameters() {
            return Err(Error::Length {
                what: "the vector to roll",
                expected: self.parameters(),
                found: vector.len(),
            });
        }
        let blocks = self.blocks().iter();
        blocks
            .map(|place| owned("a block", self.view(place, vector)))
            .collect()
    }

    /// Returns the blocks of one layer, and of those inside it.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer.
    pub fn layer_blocks(&self, layer: impl Into<Path>) -> Result<&[BlockLayout], Error> {
        let path = layer.into();
        self.find(&path)?;
        let inside = |place: &BlockLayout| place.layer.starts_with(&path);
        let first = self.blocks.iter().position(inside);
        let first = first.unwrap_or(self.blocks.len());
        let count = self.blocks[first..]
            .iter()
            .take_while(|place| inside(place))
            .count();
        Ok(&self.blocks[first..first + count])
    }

    /// Returns the plan of a layer.
    pub(crate) fn find(&self, path: &Path) -> Result<&Plan, Error> {
        let mut plan = &self.plan;
        for &index in path.indices() {
            let child = plan.children.get(index).ok_or(Error::Index {
                what: "layer",
                index,
                count: plan.children.len(),
            })?;
            plan = &child.plan;
        }
        Ok(plan)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns block `block` of layer `layer`.
    pub(crate) fn block(
        &self,
        layer: impl Into<Path>,
        block: usize,
    ) -> Result<&BlockLayout, Error> {
        let layer = layer.into();
        let blocks = self.layer_blocks(&layer)?;
        // Those of the layers inside it follow.
        let own = blocks
            .iter()
            .take_while(|place| place.layer == layer)
            .count();
        let blocks = &blocks[..own];
        blocks.get(block).ok_or(Error::Index {
            what: "block",
            index: block,
            count: blocks.len(),
        })
    }

    /// Returns the single block of a dense layer: \[b W\], outputs × (inputs + 1), or W.
    pub(crate) fn dense(&self, layer: impl Into<Path>) -> Result<&BlockLayout, Error> {
        let layer = layer.into();
        let plan = self.find(&layer)?;
        match self.layer_blocks(&layer)? {
            [place] if place.is_dense(plan) => Ok(place),
            _ => Err(Error::NotDense { layer }),
        }
    }

    /// Views a block of a flat vector, laid out like θ, as a matrix.
    pub(crate) fn view<'a, T: Scalar>(
        &self,
        place: &BlockLayout,
        flat: &'a [T],
    ) -> DMatrixView<'a, T> {
        let Block { rows, cols, .. } = place.block;
        DMatrixView::from_slice(&flat[place.range()], rows, cols)
    }

    /// Returns the block, row and column of an index into θ.
    pub(crate) fn entry(&self, index: usize) -> Option<BlockEntry> {
        let place = self.blocks.iter().find(|b| b.range().contains(&index))?;
        let offset = index - place.start;
        Some(BlockEntry {
            layer: place.layer.clone(),
            block: place.block.name.clone().into_owned(),
            row: offset % place.block.rows,
            col: offset / place.block.rows,
        })
    }
}

/// Compares the sizes of layers and blocks, whatever the layers compute.
impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        let mut children = self.plan.children.iter().zip(&other.plan.children);
        self.plan.input() == other.plan.input()
            && self.blocks == other.blocks
            && self.state_places == other.state_places
            && self.depth() == other.depth()
            && children.all(|(a, b)| a.plan.output() == b.plan.output())
    }
}

/// Returns the ranges of the blocks that are frozen, or of the others, joined where they are
/// adjacent.
fn ranges(blocks: &[BlockLayout], frozen: bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for block in blocks.iter().filter(|block| block.frozen == frozen) {
        let range = block.range();
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    ranges
}

/// Adds the blocks of a layer and of those inside it, from index `end` of θ on.
fn push<T: Scalar>(
    path: &Path,
    plan: &Plan,
    blocks: &mut Vec<BlockLayout>,
    end: &mut usize,
) -> Result<(), Error> {
    for (index, block) in plan.blocks.iter().enumerate() {
        blocks.push(BlockLayout {
            layer: path.clone(),
            index,
            start: *end,
            block: block.clone(),
            frozen: plan.is_frozen(),
        });
        *end = end_of::<T>(*end, block)?;
    }
    for (i, child) in plan.children.iter().enumerate() {
        push::<T>(&path.child(i), &child.plan, blocks, end)?;
    }
    Ok(())
}

/// Returns the index after a block that starts at `start`, if such a vector can exist.
fn end_of<T>(start: usize, block: &Block) -> Result<usize, Error> {
    block
        .len()
        .filter(|_| fits::<u8>(block.rows) && fits::<u8>(block.cols))
        .and_then(|len| start.checked_add(len))
        .filter(|&end| fits::<T>(end))
        .ok_or(Error::TooLarge {
            what: "the parameters θ",
            rows: block.rows,
            cols: block.cols,
        })
}
