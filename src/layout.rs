//! The positions of layers and blocks in the flat θ.

use crate::activation::AnyActivation;
use crate::cost::Outputs;
use crate::error::{BlockEntry, Error, superscript};
use crate::layer::{Block, Dense, Layer};
use crate::link::Link;
use crate::scalar::Scalar;
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
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    inputs: usize,
    layers: Vec<LayerLayout>,
    blocks: Vec<BlockLayout>,
    parameters: usize,
    /// The number of outputs of the widest layer.
    widest: usize,
    /// Whether a layer couples the examples of a batch.
    couples: bool,
}

/// The sizes of one layer, read once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerLayout {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// The range of its parameters in θ.
    pub(crate) theta: Range<usize>,
    /// The range of its blocks in `Layout::blocks`.
    pub(crate) blocks: Range<usize>,
    pub(crate) link: Option<Link>,
    /// The activation of a built-in dense layer.
    pub(crate) activation: Option<AnyActivation>,
    /// The layer, if passes compute it with fused kernels.
    pub(crate) fused: Option<Dense>,
}

impl LayerLayout {
    /// Returns the arguments of a cost with this link: z if the pair is canonical, and the
    /// activation that computed a.
    #[inline]
    pub(crate) fn cost_at<'a, T: Scalar>(
        &self,
        link: Option<Link>,
        z: Option<DMatrixView<'a, T>>,
        at: Outputs<'a, T>,
    ) -> Outputs<'a, T> {
        let linked = self.link.is_some() && self.link == link;
        let at = Outputs::new(z.filter(|_| linked), at.a, at.y);
        match (self.activation, z) {
            (Some(activation), Some(z)) => at.activated_by(activation, z),
            _ => at,
        }
    }
}

/// One block of parameters and its position in θ.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockLayout {
    layer: usize,
    start: usize,
    block: Block,
}

impl BlockLayout {
    /// Returns the index of the block's layer, from 0.
    #[must_use]
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// Returns the name and the shape of the block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Returns the block's name with the number of its layer, such as `Θ⁽¹⁾`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}{}", self.block.name, superscript(self.layer))
    }

    /// Returns the range of the block's entries in θ.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.block.rows * self.block.cols
    }

    /// Returns the range of the entries that penalties and decay act on: all but the exempt first
    /// columns.
    #[must_use]
    pub fn penalised(&self) -> Range<usize> {
        let range = self.range();
        range.start + self.block.rows * self.block.penalised_from_column..range.end
    }
}

impl Layout {
    /// Reads and checks the sizes of a chain of layers.
    pub(crate) fn new<T: Scalar, L: Layer<T>>(inputs: usize, layers: &[L]) -> Result<Self, Error> {
        if inputs == 0 {
            return Err(Error::NoInputs);
        }
        if layers.is_empty() {
            return Err(Error::NoLayers);
        }
        let mut layout = Self {
            inputs,
            layers: Vec::with_capacity(layers.len()),
            blocks: Vec::new(),
            parameters: 0,
            widest: 0,
            couples: false,
        };
        for layer in layers {
            layout.push(layer)?;
        }
        Ok(layout)
    }

    fn push<T: Scalar, L: Layer<T>>(&mut self, layer: &L) -> Result<(), Error> {
        let index = self.layers.len();
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let expected = self.outputs();
        if inputs != expected {
            return Err(Error::LayerInputs {
                layer: index,
                expected,
                found: inputs,
            });
        }
        if outputs == 0 {
            return Err(Error::ZeroUnits { layer: index });
        }
        layer.validate()?;
        let (theta, blocks) = (self.parameters, self.blocks.len());
        for block in layer.blocks() {
            if block.penalised_from_column > block.cols {
                return Err(Error::PenalisedColumns {
                    layer: index,
                    block: block.name.into_owned(),
                    cols: block.cols,
                    from: block.penalised_from_column,
                });
            }
            let end = block
                .len()
                .filter(|_| fits::<u8>(block.rows) && fits::<u8>(block.cols))
                .and_then(|len| self.parameters.checked_add(len))
                .filter(|&end| fits::<T>(end))
                .ok_or(Error::TooLarge {
                    what: "the parameters θ",
                    rows: block.rows,
                    cols: block.cols,
                })?;
            self.blocks.push(BlockLayout {
                layer: index,
                start: self.parameters,
                block,
            });
            self.parameters = end;
        }
        self.widest = self.widest.max(outputs);
        self.couples |= layer.couples_examples();
        let dense = layer.as_dense();
        self.layers.push(LayerLayout {
            inputs,
            outputs,
            theta: theta..self.parameters,
            blocks: blocks..self.blocks.len(),
            link: layer.link(),
            activation: dense.map(|dense| *dense.activation()),
            fused: dense.filter(Dense::is_fused::<T>),
        });
        Ok(())
    }

    /// Returns the number of inputs, the rows of X.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the number of outputs of the last layer, the rows of Y.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |last| last.outputs)
    }

    /// Returns the number of layers, not counting the inputs: L − 1 in the course's notation.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Returns P, the length of θ and ∇J.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Returns all blocks, in their order in θ.
    #[must_use]
    pub fn blocks(&self) -> &[BlockLayout] {
        &self.blocks
    }

    /// Returns whether the layers and blocks of both have equal sizes, whatever the layers compute.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        self.inputs == other.inputs
            && self.blocks == other.blocks
            && self.layers.len() == other.layers.len()
            && (self.layers.iter().zip(&other.layers)).all(|(a, b)| a.outputs == b.outputs)
    }

    /// Returns the blocks of one layer.
    ///
    /// # Errors
    /// Returns [`Error::Index`] if there is no such layer.
    pub fn layer_blocks(&self, layer: usize) -> Result<&[BlockLayout], Error> {
        Ok(&self.blocks[self.layer(layer)?.blocks.clone()])
    }

    pub(crate) fn widest(&self) -> usize {
        self.widest
    }

    pub(crate) fn couples_examples(&self) -> bool {
        self.couples
    }

    pub(crate) fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }

    pub(crate) fn layer(&self, layer: usize) -> Result<&LayerLayout, Error> {
        self.layers.get(layer).ok_or(Error::Index {
            what: "layer",
            index: layer,
            count: self.layers.len(),
        })
    }

    /// Returns block `block` of layer `layer`.
    pub(crate) fn block(&self, layer: usize, block: usize) -> Result<&BlockLayout, Error> {
        let blocks = self.layer_blocks(layer)?;
        blocks.get(block).ok_or(Error::Index {
            what: "block",
            index: block,
            count: blocks.len(),
        })
    }

    /// Returns the single block of a dense layer: \[b W\], outputs × (inputs + 1).
    pub(crate) fn dense(&self, layer: usize) -> Result<&BlockLayout, Error> {
        let sizes = self.layer(layer)?;
        match self.layer_blocks(layer)? {
            [place]
                if place.block.penalised_from_column == 1
                    && place.block.rows == sizes.outputs
                    && place.block.cols - 1 == sizes.inputs =>
            {
                Ok(place)
            }
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
            layer: place.layer,
            block: place.block.name.clone().into_owned(),
            row: offset % place.block.rows,
            col: offset / place.block.rows,
        })
    }
}

/// Returns whether `len` scalars fit in one allocation.
pub(crate) fn fits<T>(len: usize) -> bool {
    len.checked_mul(size_of::<T>())
        .is_some_and(|bytes| isize::try_from(bytes).is_ok())
}

/// Allocates rows × cols copies of `value`. Returns an error where an infallible allocation would
/// abort.
pub(crate) fn allocate<T: Clone>(
    what: &'static str,
    (rows, cols): (usize, usize),
    value: T,
) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    resize(&mut vector, what, (rows, cols), value)?;
    Ok(vector)
}

/// Copies a slice. Returns an error where an infallible allocation would abort.
pub(crate) fn copied<T: Copy>(what: &'static str, values: &[T]) -> Result<Vec<T>, Error> {
    let mut copy = reserved(what, values.len())?;
    copy.extend_from_slice(values);
    Ok(copy)
}

/// Returns an empty vector with room for `len` entries.
pub(crate) fn reserved<T>(what: &'static str, len: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    let room = vector.try_reserve_exact(len);
    let (rows, cols) = (len, 1);
    room.map_err(|_| Error::TooLarge { what, rows, cols })?;
    Ok(vector)
}

/// Reserves room for at least one more entry; repeated pushes stay cheap.
pub(crate) fn grow<T>(what: &'static str, vector: &mut Vec<T>) -> Result<(), Error> {
    let (rows, cols) = (vector.len().saturating_add(1), 1);
    let room = vector.try_reserve(1);
    room.map_err(|_| Error::TooLarge { what, rows, cols })
}

/// Collects an iterator into a vector with room for `len` entries.
pub(crate) fn collected<T>(
    what: &'static str,
    len: usize,
    items: impl IntoIterator<Item = Result<T, Error>>,
) -> Result<Vec<T>, Error> {
    let mut vector = reserved(what, len)?;
    for item in items {
        vector.push(item?);
    }
    Ok(vector)
}

/// Copies a view into an owned matrix. Returns an error where an infallible allocation would abort.
pub(crate) fn owned<T: Scalar>(
    what: &'static str,
    matrix: DMatrixView<'_, T>,
) -> Result<DMatrix<T>, Error> {
    let (rows, cols) = matrix.shape();
    let too_large = || Error::TooLarge { what, rows, cols };
    let mut entries = Vec::new();
    let room = entries.try_reserve_exact(matrix.len());
    room.map_err(|_| too_large())?;
    entries.extend(matrix.iter().copied());
    Ok(DMatrix::from_vec(rows, cols, entries))
}

/// Grows or shrinks `vector` to rows × cols, keeping its capacity.
pub(crate) fn resize<T: Clone>(
    vector: &mut Vec<T>,
    what: &'static str,
    (rows, cols): (usize, usize),
    value: T,
) -> Result<(), Error> {
    let too_large = || Error::TooLarge { what, rows, cols };
    let len = rows.checked_mul(cols).ok_or_else(too_large)?;
    let more = len.saturating_sub(vector.len());
    vector.try_reserve_exact(more).map_err(|_| too_large())?;
    vector.resize(len, value);
    Ok(())
}
