//! How the rows and columns of a product are cut into tiles, and which tile is computed for which size.

use super::tile::{Start, Tile, tile};
use super::vector::{Fast, Vector};
use std::mem::MaybeUninit;

/// The largest number of registers for the sums of a tile.
const LARGEST: usize = 24;

/// Registers and columns of a tile, and whether its last register is read in part.
#[derive(Clone, Copy, Debug)]
pub(super) struct TileSize {
    pub(super) registers: usize,
    pub(super) columns: usize,
    pub(super) tail: bool,
}

/// How the rows of a product are cut into tiles: as even as can be, none above the most that a level can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    /// Registers in a column of C.
    pub(super) vectors: usize,
    /// Registers of the larger tiles, of which there are `many`; the others have one less.
    pub(super) largest: usize,
    many: usize,
    /// The most columns of a tile.
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

    /// Where the tile that begins at register v ends.
    #[inline(always)]
    pub(super) fn next(&self, v: usize) -> usize {
        match v < self.many * self.largest {
            true => v + self.largest,
            false => v + self.largest - 1,
        }
    }

    /// Where a block of at most `most` registers ends that begins with a tile at `first`.
    #[inline(always)]
    pub(super) fn end_of_block(&self, first: usize, most: usize) -> usize {
        let mut end = self.next(first);
        while end < self.vectors && self.next(end) - first <= most {
            end = self.next(end);
        }
        end
    }
}

/// Columns of the next tile.
#[inline(always)]
pub(super) fn width(most: usize, left: usize) -> usize {
    match left {
        _ if left >= most => most,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Computes a tile with one chain per entry.
///
/// # Safety
/// That of [`tile`] for this size.
#[inline(always)]
pub(super) unsafe fn run<V>(size: TileSize, tile: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    // SAFETY: passed on. For narrow tiles the masked version serves both cases where masks exist:
    // half the code to compile, and masks cost only a few percent.
    unsafe {
        match size.tail {
            _ if V::MASKED && size.columns <= NARROW => {
                run_narrow_tile::<V, true>(size.registers, size.columns, tile);
            }
            true => run_tile::<V, true>(size.registers, size.columns, tile),
            false => run_tile::<V, false>(size.registers, size.columns, tile),
        }
    }
}

/// Computes a tile in chains of `chain` multiply-adds, whose results are added in order: in C or,
/// where C is transposed, in a copy with the layout of the registers.
///
/// # Safety
/// That of [`tile`] for this size.
#[inline(always)]
pub(super) unsafe fn run_in_chains<V>(size: TileSize, whole: Tile<V::Scalar>, chain: usize)
where
    V: Vector,
    V::Scalar: Fast,
{
    debug_assert!(size.registers * size.columns <= LARGEST && chain > 0);
    // A copy begins at 0: no sum over examples begins with a column.
    debug_assert!(!(whole.transposed && matches!(whole.start, Start::Column(_))));
    let mut copy = MaybeUninit::<[V; LARGEST]>::uninit();
    let mut tile = whole;
    if whole.transposed {
        tile.c = copy.as_mut_ptr().cast();
        tile.c_step = size.registers * V::LANES;
        tile.transposed = false;
        tile.start = Start::Zero;
    }
    let mut left = whole.depth;
    while left > 0 {
        tile.depth = chain.min(left);
        // SAFETY: part of the depth of the tile, and a copy has room for all registers.
        unsafe { run::<V>(size, &tile) };
        tile.a = tile.a.wrapping_add(tile.depth * tile.a_step);
        tile.b = tile.b.wrapping_add(tile.depth * tile.b_step);
        tile.start = Start::Present;
        left -= tile.depth;
    }
    if whole.transposed {
        let add = matches!(whole.start, Start::Present);
        for i in 0..whole.rows {
            for j in 0..size.columns {
                // SAFETY: entry (i, j) of the tile, which the copy has.
                unsafe {
                    let sum = *tile.c.add(i + j * tile.c_step);
                    let to = whole.c.add(j + i * whole.c_step);
                    *to = if add { *to + sum } else { sum };
                }
            }
        }
    }
}

/// A tile of R registers by C columns, for those that occur.
///
/// # Safety
/// That of [`tile`] for so many registers and columns.
#[inline(always)]
unsafe fn run_tile<V, const TAIL: bool>(registers: usize, columns: usize, t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    // SAFETY: passed on.
    unsafe {
        match columns {
            12 if V::ROWS == 4 => rows_of::<V, 12, TAIL>(registers, t),
            8 => rows_of::<V, 8, TAIL>(registers, t),
            6 => rows_of::<V, 6, TAIL>(registers, t),
            // What has masks has been there already.
            _ if !V::MASKED => run_narrow_tile::<V, TAIL>(registers, columns, t),
            _ => {}
        }
    }
}

/// The columns that a narrow tile has at most.
const NARROW: usize = 4;

/// As [`run_tile`], for the tiles that are left at the end.
///
/// # Safety
/// That of [`tile`] for so many registers and columns.
#[inline(always)]
unsafe fn run_narrow_tile<V, const TAIL: bool>(
    registers: usize,
    columns: usize,
    t: &Tile<V::Scalar>,
) where
    V: Vector,
    V::Scalar: Fast,
{
    // SAFETY: passed on.
    unsafe {
        match columns {
            4 => rows_of::<V, 4, TAIL>(registers, t),
            2 => rows_of::<V, 2, TAIL>(registers, t),
            _ => rows_of::<V, 1, TAIL>(registers, t),
        }
    }
}

/// # Safety
/// That of [`tile`] for so many registers and C columns.
#[inline(always)]
unsafe fn rows_of<V, const C: usize, const TAIL: bool>(registers: usize, t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    // Registers for the sums: all but those for a column of A and an entry of B.
    let most = if V::ROWS == 4 { LARGEST } else { LARGEST / 2 };
    // The least, where narrower tiles are cut for fewer rows: see `Tiles::new`.
    let least = match (V::ROWS, C) {
        (4, 6) => 3,
        (4, 8) => 2,
        _ => 1,
    };
    // SAFETY: passed on.
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

/// C entries from each of `depth` rows, one group after the other.
///
/// # Safety
/// The rows, `step` apart, have C entries that may be read, and `to` room for depth · C.
#[inline(always)]
pub(super) unsafe fn copy_rows<T: Copy, const C: usize>(
    depth: usize,
    from: *const T,
    step: usize,
    to: *mut T,
) {
    for p in 0..depth {
        // SAFETY: the caller vouches for C entries in each row, and for depth · C entries of room.
        unsafe {
            let entries = from.add(p * step).cast::<[T; C]>().read_unaligned();
            to.add(p * C).cast::<[T; C]>().write_unaligned(entries);
        };
    }
}
