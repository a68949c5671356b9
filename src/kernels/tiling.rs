//! Cuts the rows and columns of a product into tiles, and picks the microkernel for each size.

use super::gemm;
use super::microkernel::{Start, Tile, tile};
use super::vector::{Fast, Vector};
use std::mem::MaybeUninit;

/// The maximum number of registers for the sums of a tile.
const LARGEST: usize = 24;

/// The registers and columns of a tile, and whether its last register is read in part.
#[derive(Clone, Copy, Debug)]
pub(super) struct TileSize {
    pub(super) registers: usize,
    pub(super) columns: usize,
    pub(super) tail: bool,
}

/// A division of the rows of a product into tiles. They are as even as possible, and none is larger
/// than the registers of a level can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    /// The number of registers in a column of C.
    pub(super) vectors: usize,
    /// The number of registers of the larger tiles, of which there are `many`. The others have one
    /// fewer.
    pub(super) largest: usize,
    many: usize,
    /// The maximum number of columns of a tile.
    pub(super) columns: usize,
}

impl Tiles {
    #[inline(always)]
    pub(super) fn new<V: Vector>(rows: usize) -> Self {
        let vectors = rows.div_ceil(V::LANES);
        let tiles = vectors.div_ceil(V::ROWS).max(1);
        let largest = vectors.div_ceil(tiles);
        Self {
            vectors,
            largest,
            many: vectors - tiles * (largest - 1),
            columns: match (V::ROWS, largest) {
                (4, 4) => 6,
                (4, 3) => 8,
                (4, _) => 12,
                (_, 2) => 6,
                _ => 8,
            },
        }
    }

    /// Returns the end of the tile that begins at register v.
    #[inline(always)]
    pub(super) fn next(&self, v: usize) -> usize {
        if v < self.many * self.largest {
            v + self.largest
        } else {
            v + self.largest - 1
        }
    }

    /// Returns the end of a block that begins at register `first`: whole tiles, and at most `most`
    /// registers unless a single tile has more.
    #[inline(always)]
    pub(super) fn end_of_block(&self, first: usize, most: usize) -> usize {
        let mut end = self.next(first);
        while end < self.vectors && self.next(end) - first <= most {
            end = self.next(end);
        }
        end
    }
}

/// Returns the columns of the next tile, with `left` columns remaining and at most `most`.
#[inline(always)]
pub(super) fn width(most: usize, left: usize) -> usize {
    match left {
        _ if left >= most => most,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Computes a tile in one chain.
///
/// # Safety
/// The same as for [`tile`], with this size.
#[inline(always)]
unsafe fn run<V>(size: TileSize, tile: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    // SAFETY: the caller upholds the contract. For narrow tiles, the masked version handles both
    // cases where masks exist. This halves the code to compile, and masks cost only a few percent.
    unsafe {
        if V::MASKED && size.columns <= NARROW {
            run_narrow_tile::<V, true>(size.registers, size.columns, tile);
        } else if size.tail {
            run_tile::<V, true>(size.registers, size.columns, tile);
        } else {
            run_tile::<V, false>(size.registers, size.columns, tile);
        }
    }
}

/// Computes a tile in chains of `chain` multiply-adds. Their results are added in order: in C or,
/// if C is transposed, in a copy with the layout of the registers.
///
/// # Safety
/// The same as for [`tile`], with this size.
#[inline(always)]
pub(super) unsafe fn run_in_chains<V>(size: TileSize, tile: &mut Tile<V::Scalar>, chain: usize)
where
    V: Vector,
    V::Scalar: Fast,
{
    debug_assert!(size.registers * size.columns <= LARGEST && chain > 0);
    // A scalar without a limit needs no loop, and one with a limit has only this one to compile.
    if gemm::chain::<V::Scalar>() == usize::MAX {
        debug_assert_eq!(chain, usize::MAX);
        // SAFETY: the caller upholds the contract.
        return unsafe { run::<V>(size, tile) };
    }
    let mut left = tile.depth;
    let mut copy = MaybeUninit::<[V; LARGEST]>::uninit();
    let (c, c_step, start) = (tile.c, tile.c_step, tile.start);
    let copied = tile.transposed && left > chain;
    if copied {
        // A copy starts from 0, because no sum over examples starts from a column.
        debug_assert!(!matches!(start, Start::Column(_)));
        tile.c = copy.as_mut_ptr().cast();
        tile.c_step = size.registers * V::LANES;
        tile.transposed = false;
        tile.start = Start::Zero;
    }
    loop {
        tile.depth = chain.min(left);
        // SAFETY: part of the depth of the tile, and a copy has space for all registers.
        unsafe { run::<V>(size, tile) };
        left -= tile.depth;
        if left == 0 {
            break;
        }
        tile.a = tile.a.wrapping_add(tile.depth * tile.a_step);
        tile.b = tile.b.wrapping_add(tile.depth * tile.b_step);
        tile.start = Start::Present;
    }
    if copied {
        let add = matches!(start, Start::Present);
        for i in 0..tile.rows {
            for j in 0..size.columns {
                // SAFETY: entry (i, j) of the tile, which the copy has.
                unsafe {
                    let sum = *tile.c.add(i + j * tile.c_step);
                    let to = c.add(j + i * c_step);
                    *to = if add { *to + sum } else { sum };
                }
            }
        }
    }
}

/// Computes a tile, for any number of registers and columns that occurs.
///
/// # Safety
/// The same as for [`tile`], with these numbers of registers and columns.
#[inline(always)]
unsafe fn run_tile<V, const TAIL: bool>(registers: usize, columns: usize, t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    // SAFETY: the caller upholds the contract.
    unsafe {
        match columns {
            12 if V::ROWS == 4 => rows_of::<V, 12, TAIL>(registers, t),
            8 => rows_of::<V, 8, TAIL>(registers, t),
            6 => rows_of::<V, 6, TAIL>(registers, t),
            // Registers with masks have taken the narrow path already.
            _ if !V::MASKED => run_narrow_tile::<V, TAIL>(registers, columns, t),
            _ => {}
        }
    }
}

/// The maximum number of columns of a narrow tile.
const NARROW: usize = 4;

/// Like [`run_tile`], for the narrow tiles at the end of a row of tiles.
///
/// # Safety
/// The same as for [`tile`], with these numbers of registers and columns.
#[inline(always)]
unsafe fn run_narrow_tile<V, const TAIL: bool>(
    registers: usize,
    columns: usize,
    t: &Tile<V::Scalar>,
) where
    V: Vector,
    V::Scalar: Fast,
{
    // SAFETY: the caller upholds the contract.
    unsafe {
        match columns {
            4 => rows_of::<V, 4, TAIL>(registers, t),
            2 => rows_of::<V, 2, TAIL>(registers, t),
            _ => rows_of::<V, 1, TAIL>(registers, t),
        }
    }
}

/// Computes a tile with C columns.
///
/// # Safety
/// The same as for [`tile`], with this number of registers and C columns.
#[inline(always)]
unsafe fn rows_of<V, const C: usize, const TAIL: bool>(registers: usize, t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    // All registers except those for a column of A and an entry of B hold sums.
    let most = if V::ROWS == 4 { LARGEST } else { LARGEST / 2 };
    // The smallest number of registers that `Tiles::new` combines with C columns.
    let least = match (V::ROWS, C) {
        (4, 6) => 3,
        (4, 8) => 2,
        _ => 1,
    };
    // SAFETY: the caller upholds the contract.
    unsafe {
        match registers {
            4 if V::ROWS == 4 && 4 * C <= most => tile::<V, 4, C, TAIL>(t),
            3 if V::ROWS == 4 && 3 * C <= most => tile::<V, 3, C, TAIL>(t),
            2 if least <= 2 && 2 * C <= most => tile::<V, 2, C, TAIL>(t),
            _ if least == 1 => tile::<V, 1, C, TAIL>(t),
            _ => debug_assert!(false, "{registers} registers by {C} columns"),
        }
    }
}
