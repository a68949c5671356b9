//! The matrix product C = start + A B, cut into blocks that fit in the caches. The blocks are cut
//! into tiles that fit in the registers.

use super::microkernel::{Start, Tile, dots, outer_column, vector_tile};
use super::packing::{PackedSize, pack_columns, pack_rows, pack_transposed};
use super::tiling::{TileSize, Tiles, run_in_chains, width};
use super::vector::{Fast, Operation, Vector};

/// The maximum size of a packed block of A in bytes: half of a second-level cache of 1 MiB.
const BLOCK_BYTES: usize = 512 << 10;

/// The maximum size of a row of a packed block in bytes. Together with six columns of B, that is
/// half of a first-level cache of 48 KiB.
const DEPTH_BYTES: usize = 4096;

/// The maximum number of entries of B that are packed at a time.
pub(super) const PACKED_B: usize = 1 << 20;

/// The maximum number of rows of a matrix that are multiplied by a vector at a time, at any level.
///
/// The number of chains in which a row is summed depends on its place in such a group.
pub(super) const VECTOR_ROWS: usize = 8 * 16;

/// The maximum number of examples in one chain of a sum over examples. Longer sums are cut into
/// chains of this length, whose results are added in order.
///
/// A chain of n equal terms is off by up to 3/8 n units of rounding: in `f32` by 2.3·10⁻⁵ for 1024
/// terms and 2.1·10⁻⁶ for 96. In `f64` it is off by at most 10⁻¹³ for the depth of a block, so
/// shorter chains would only cost time.
pub(super) const fn chain<T>() -> usize {
    match size_of::<T>() {
        4 => 96,
        _ => usize::MAX,
    }
}

/// The order in which the entries of A lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageOrder {
    /// Column by column.
    ColumnMajor,
    /// Row by row: the transpose of a column-major matrix.
    RowMajor,
}

/// A product C = start + A B of M × K by K × N.
///
/// - Entry (i, p) of A is `a[i + p · a_step]`, or `a[p + i · a_step]` if A is row-major.
/// - Entry (p, j) of B is `b[p · b_step + j · b_column]`.
/// - Entry (i, j) of C is `c[i + j · c_step]`, or `c[j + i · c_step]` if C is `transposed`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gemm<T> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    /// The maximum number of multiply-adds in one chain: [`chain`] for a sum over examples,
    /// otherwise no limit.
    pub(super) chain: usize,
    pub(super) order: StorageOrder,
    pub(super) a: *const T,
    pub(super) a_step: usize,
    pub(super) b: *const T,
    pub(super) b_step: usize,
    pub(super) b_column: usize,
    pub(super) c: *mut T,
    pub(super) c_step: usize,
    pub(super) transposed: bool,
    pub(super) start: Start<T>,
    /// Scratch for packing. If it is shorter than [`scratch`](super::gemm_threads::scratch)
    /// returns, A is read in place, or the product is computed as dot products.
    pub(super) room: *mut T,
    pub(super) room_len: usize,
}

// SAFETY: a `Gemm` only describes a product. The contract of `gemm` specifies which memory other
// threads may read or write while it runs.
unsafe impl<T: Send + Sync> Send for Gemm<T> {}

/// Returns the rows of a block, rounded up to whole tiles of the widest registers, and its depth.
pub(super) fn block<T>(rows: usize, depth: usize) -> (usize, usize) {
    let depth = depth.clamp(1, DEPTH_BYTES / size_of::<T>());
    // 64 is a multiple of the rows of every tile.
    let most = (BLOCK_BYTES / size_of::<T>() / depth / 64).max(1) * 64;
    (rows.min(most).next_multiple_of(64), depth)
}

impl<T: Fast> Operation<T> for Gemm<T> {
    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm).
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>>(self) {
        // SAFETY: the caller upholds the contract.
        unsafe {
            match (self.order, self.columns) {
                _ if self.rows == 0 || self.columns == 0 => {}
                (StorageOrder::ColumnMajor, 1) if !self.transposed => self.vector::<V>(),
                (StorageOrder::ColumnMajor, _) if self.depth == 1 && !self.transposed => {
                    self.outer::<V>();
                }
                (StorageOrder::RowMajor, 1 | 2) => self.dots::<V>(),
                (StorageOrder::RowMajor, _) if self.room_len < self.packed_len() => {
                    self.dots::<V>();
                }
                _ => self.blocks::<V>(),
            }
        }
    }
}

impl<T: Fast> Gemm<T> {
    fn packed_len(&self) -> usize {
        let (rows, depth) = block::<T>(self.rows, self.depth);
        rows * depth
    }

    /// Returns whether to pack A.
    ///
    /// A row-major A has to be packed. Otherwise packing pays off if B has many columns and A does
    /// not fit in the caches in place: it is large, or its columns are a multiple of half a page
    /// apart.
    fn pack(&self) -> bool {
        let bytes = size_of::<T>();
        let large = self.rows * self.depth * bytes > BLOCK_BYTES;
        let aliased = (self.a_step * bytes).is_multiple_of(2048) && self.depth >= 32;
        self.order == StorageOrder::RowMajor
            || (self.columns >= 32 && (large || aliased) && self.room_len >= self.packed_len())
    }

    /// Returns whether to pack B. Packing pays off if several rows of tiles read the rows of B in
    /// pieces.
    fn pack_b(&self, rows_of_tile: usize, room: usize, depth: usize) -> bool {
        self.b_column == 1 && self.rows >= 2 * rows_of_tile && self.columns * depth <= room
    }

    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm). In addition, the processor has the
    /// instructions of `V`.
    #[inline(always)]
    unsafe fn blocks<V: Vector<Scalar = T>>(self) {
        let tiles = Tiles::new::<V>(self.rows);
        let (pack, (block_rows, block_depth)) = (self.pack(), block::<T>(self.rows, self.depth));
        let used = if pack { self.packed_len() } else { 0 };
        let (room, room_len) = (self.room.wrapping_add(used), self.room_len - used);
        let pack_b = self.pack_b(
            tiles.largest * V::LANES,
            room_len,
            block_depth.min(self.depth),
        );
        // The rows of a block, in registers and as whole tiles.
        let block_vectors = if pack {
            (block_rows / V::LANES).min(tiles.vectors)
        } else {
            tiles.vectors
        };
        let mut p = 0;
        loop {
            let depth = block_depth.min(self.depth - p);
            let b = self.b.wrapping_add(p * self.b_step);
            let start = match p {
                0 => self.start,
                _ => Start::Present,
            };
            if pack_b {
                // SAFETY: `pack_b` has checked the length of the room.
                unsafe { self.pack_b_columns(b, depth, tiles.columns, room) };
            }
            let mut first = 0;
            while first < tiles.vectors {
                // SAFETY: the block of rows and of the depth lies inside the product.
                first = unsafe {
                    let end = tiles.end_of_block(first, block_vectors);
                    let block = Block {
                        p,
                        depth,
                        first,
                        end,
                        start,
                    };
                    let packed_b = pack_b.then_some(room.cast_const());
                    self.block::<V>(&tiles, block, pack, b, packed_b);
                    end
                };
            }
            p += depth;
            if p >= self.depth {
                return;
            }
        }
    }

    /// Packs B in the order in which tiles read it: tile by tile, row by row.
    ///
    /// # Safety
    /// `depth` rows of all columns of `b` may be read, and `room` has space for the same number of
    /// entries.
    #[inline(always)]
    unsafe fn pack_b_columns(&self, b: *const T, depth: usize, most: usize, room: *mut T) {
        let mut j = 0;
        while j < self.columns {
            let columns = width(most, self.columns - j);
            // SAFETY: reads columns j.. of B, and writes depth · columns entries of the room,
            // starting at depth · j.
            unsafe {
                let (from, to) = (b.add(j), room.add(depth * j));
                match columns {
                    12 => pack_columns::<T, 12>(depth, from, self.b_step, to),
                    8 => pack_columns::<T, 8>(depth, from, self.b_step, to),
                    6 => pack_columns::<T, 6>(depth, from, self.b_step, to),
                    4 => pack_columns::<T, 4>(depth, from, self.b_step, to),
                    2 => pack_columns::<T, 2>(depth, from, self.b_step, to),
                    _ => pack_columns::<T, 1>(depth, from, self.b_step, to),
                }
            }
            j += columns;
        }
    }

    /// Computes one block, tile by tile.
    ///
    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm). In addition, the processor has the
    /// instructions of `V`, and `at` lies inside the product. With `pack`, the room holds a block,
    /// and a packed B holds its rows.
    #[inline(always)]
    unsafe fn block<V: Vector<Scalar = T>>(
        &self,
        tiles: &Tiles,
        at: Block<T>,
        pack: bool,
        b: *const T,
        packed_b: Option<*const T>,
    ) {
        let corner = self.a.wrapping_add(match self.order {
            StorageOrder::ColumnMajor => at.first * V::LANES + at.p * self.a_step,
            StorageOrder::RowMajor => at.first * V::LANES * self.a_step + at.p,
        });
        let rows = (at.end * V::LANES).min(self.rows) - at.first * V::LANES;
        let width_of_block = (at.end - at.first) * V::LANES;
        if pack {
            // SAFETY: the caller has checked the length of the room. A block consists of whole
            // registers.
            unsafe {
                let mut v = at.first;
                while v < at.end {
                    let next = tiles.next(v);
                    let (i, width) = ((v - at.first) * V::LANES, (next - v) * V::LANES);
                    let size = PackedSize {
                        rows: width.min(rows - i),
                        width,
                        depth: at.depth,
                    };
                    let to = self.room.add(i * at.depth);
                    match self.order {
                        StorageOrder::ColumnMajor => {
                            pack_rows::<V>(size, corner.add(i), self.a_step, to);
                        }
                        StorageOrder::RowMajor => {
                            let from = corner.add(i * self.a_step);
                            pack_transposed::<V>(size, from, self.a_step, to);
                        }
                    }
                    v = next;
                }
            }
        }
        debug_assert!(width_of_block >= rows);
        let mut j = 0;
        while j < self.columns {
            let columns = width(tiles.columns, self.columns - j);
            let (b, b_step, b_column) = match packed_b {
                Some(packed) => (packed.wrapping_add(at.depth * j), columns, 1),
                None => (
                    b.wrapping_add(j * self.b_column),
                    self.b_step,
                    self.b_column,
                ),
            };
            let mut v = at.first;
            while v < at.end {
                let next = tiles.next(v);
                let i = (v - at.first) * V::LANES;
                let wide = (next - v) * V::LANES;
                let (a, a_step) = if pack {
                    (self.room.wrapping_add(i * at.depth).cast_const(), wide)
                } else {
                    (corner.wrapping_add(i), self.a_step)
                };
                let row = at.first * V::LANES + i;
                let mut tile = Tile {
                    rows: wide.min(rows - i),
                    depth: at.depth,
                    a,
                    a_step,
                    b,
                    b_step,
                    b_column,
                    c: self.c.wrapping_add(if self.transposed {
                        j + row * self.c_step
                    } else {
                        row + j * self.c_step
                    }),
                    c_step: self.c_step,
                    transposed: self.transposed,
                    start: match at.start {
                        Start::Column(column) => Start::Column(column.wrapping_add(row)),
                        other => other,
                    },
                };
                let size = TileSize {
                    registers: next - v,
                    columns,
                    tail: !pack && tile.rows < wide,
                };
                // SAFETY: the tile lies inside the product. Without `tail`, its registers are full,
                // or A is packed.
                unsafe { run_in_chains::<V>(size, &mut tile, self.chain) };
                v = next;
            }
            j += columns;
        }
    }

    /// Computes a matrix times a vector, where B is a single column.
    ///
    /// The depth is cut into panels, so rounding errors grow with the number and the length of the
    /// panels, not with their product.
    ///
    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm). In addition, the processor has the
    /// instructions of `V`, and C is not transposed.
    #[inline(always)]
    pub(super) unsafe fn vector<V: Vector<Scalar = T>>(&self) {
        let vectors = self.rows.div_ceil(V::LANES);
        let mut v = 0;
        while v < vectors {
            let registers = match vectors - v {
                8.. => 8,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let (row, chains) = (v * V::LANES, 8 / registers);
            let panel = (DEPTH_BYTES / size_of::<T>()).min(self.chain.saturating_mul(chains));
            let mut p = 0;
            loop {
                let depth = panel.min(self.depth - p);
                let tile = Tile {
                    rows: (registers * V::LANES).min(self.rows - row),
                    depth,
                    a: self.a.wrapping_add(row + p * self.a_step),
                    a_step: self.a_step,
                    b: self.b.wrapping_add(p * self.b_step),
                    b_step: self.b_step,
                    b_column: 0,
                    c: self.c.wrapping_add(row),
                    c_step: 0,
                    transposed: false,
                    start: match self.start {
                        _ if p > 0 => Start::Present,
                        Start::Column(column) => Start::Column(column.wrapping_add(row)),
                        other => other,
                    },
                };
                // SAFETY: the rows lie inside the product, and the last register may be partial.
                unsafe {
                    match registers {
                        8 => vector_tile::<V, 8, 1>(&tile),
                        4 => vector_tile::<V, 4, 2>(&tile),
                        2 => vector_tile::<V, 2, 4>(&tile),
                        _ => vector_tile::<V, 1, 8>(&tile),
                    }
                }
                p += depth;
                if p >= self.depth {
                    break;
                }
            }
            v += registers;
        }
    }

    /// Computes the outer product of a column and a row. It waits for memory, so tiles would only
    /// add their cost.
    ///
    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm). In addition, the processor has the
    /// instructions of `V`, the depth is 1 and C is not transposed.
    #[inline(always)]
    unsafe fn outer<V: Vector<Scalar = T>>(&self) {
        for j in 0..self.columns {
            let c = self.c.wrapping_add(j * self.c_step);
            // SAFETY: column j < N of C, and entry j of the row B.
            unsafe {
                let x = *self.b.add(j * self.b_column);
                outer_column::<V>(self.rows, self.a, x, self.start, c);
            }
        }
    }

    /// Computes each entry as a dot product of two columns in memory, for a row-major A.
    ///
    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm). In addition, the processor has the
    /// instructions of `V`, and C is not transposed.
    #[inline(always)]
    unsafe fn dots<V: Vector<Scalar = T>>(&self) {
        debug_assert!(self.b_step == 1 && !self.transposed);
        for j in 0..self.columns {
            let x = self.b.wrapping_add(j * self.b_column);
            let mut i = 0;
            while i < self.rows {
                let a = self.a.wrapping_add(i * self.a_step);
                // SAFETY: reads rows i.. of A, each of `depth` entries.
                unsafe {
                    i += match self.rows - i {
                        8.. => self.put(i, j, dots::<V, 8>(self.depth, a, self.a_step, x)),
                        4.. => self.put(i, j, dots::<V, 4>(self.depth, a, self.a_step, x)),
                        _ => self.put(i, j, dots::<V, 1>(self.depth, a, self.a_step, x)),
                    };
                }
            }
        }
    }

    /// Writes R sums to column j of C, starting at row i, and returns R.
    ///
    /// # Safety
    /// The same as for [`gemm`](super::gemm_threads::gemm), and those rows exist.
    #[inline(always)]
    unsafe fn put<const R: usize>(&self, i: usize, j: usize, sums: [T; R]) -> usize {
        for (r, sum) in sums.into_iter().enumerate() {
            // SAFETY: entry (i + r, j) of C and of the start exists.
            unsafe {
                let c = self.c.add(i + r + j * self.c_step);
                *c = match self.start {
                    Start::Zero => sum,
                    Start::Column(column) => *column.add(i + r) + sum,
                    Start::Present => *c + sum,
                };
            }
        }
        R
    }
}

/// A block of a product: `depth` columns of A starting at `p`, and registers `first..end` of the
/// rows.
#[derive(Clone, Copy)]
struct Block<T> {
    p: usize,
    depth: usize,
    first: usize,
    end: usize,
    start: Start<T>,
}
