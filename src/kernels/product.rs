//! C = start + A B: how a product is cut into blocks that fit the caches, and those into tiles that fit the registers.

use super::share::parts;
use super::tile::{Start, Tile, dots, pack_rows, pack_transposed, vector_tile};
use super::tiling::{TileSize, Tiles, copy_rows, run, run_in_chains, width};
use super::vector::{Fast, Operation, Vector};

/// The memory that a block of packed A should fill at most, in bytes: half of a second-level cache of 1 MiB.
const BLOCK_BYTES: usize = 512 << 10;

/// The memory of one row of a packed block, in bytes: with six columns of B beside it half of a first-level cache of 48 KiB.
const DEPTH_BYTES: usize = 4096;

/// The most entries of B that are packed at once.
const PACKED_B: usize = 1 << 20;

/// The most rows of a matrix that are multiplied with a vector at once, at any level: in how many chains a row is summed depends on where
/// it lies in such a group.
pub(super) const VECTOR_ROWS: usize = 8 * 16;

/// The most examples in one chain of a sum over examples. Longer sums are cut into chains of this
/// length, whose results are added in order.
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

/// How A lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Column by column, rows one after the other.
    Columns,
    /// Row by row: the transpose of a matrix that lies column by column.
    Rows,
}

/// A product C = start + A B of M × K by K × N.
///
/// Entry (i, p) of A is at `a[i + p · a_step]`, or at `a[p + i · a_step]` if A lies by rows. Entry (p, j) of B is at `b[p · b_step + j · b_column]`.
/// Entry (i, j) of C is at `c[i + j · c_step]`, or if `transposed` at `c[j + i · c_step]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product<T> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    /// The most multiply-adds in one chain: [`chain`] of a sum over examples, or as many as there are.
    pub(super) chain: usize,
    pub(super) layout: Layout,
    pub(super) a: *const T,
    pub(super) a_step: usize,
    pub(super) b: *const T,
    pub(super) b_step: usize,
    pub(super) b_column: usize,
    pub(super) c: *mut T,
    pub(super) c_step: usize,
    pub(super) transposed: bool,
    pub(super) start: Start<T>,
    /// Room for packing; with less than [`scratch`] asks for, A is read where it lies, or dot by dot.
    pub(super) room: *mut T,
    pub(super) room_len: usize,
}

// SAFETY: a product is a description, of operands that other threads read too; what may be read and written at the same time is the
// contract of `run`.
unsafe impl<T: Send + Sync> Send for Product<T> {}

/// Rows of a block, rounded to whole tiles of the widest registers, and its depth.
fn block<T>(rows: usize, depth: usize) -> (usize, usize) {
    let depth = depth.clamp(1, DEPTH_BYTES / size_of::<T>());
    // 64 is a multiple of the rows of every tile.
    let most = (BLOCK_BYTES / size_of::<T>() / depth / 64).max(1) * 64;
    (rows.min(most).next_multiple_of(64), depth)
}

/// The entries of scratch that a product of these sizes makes use of, all its parts together.
pub(super) fn scratch<T>(rows: usize, columns: usize, depth: usize) -> usize {
    let (block_rows, block_depth) = block::<T>(rows, depth);
    let each = block_rows * block_depth + block_depth.saturating_mul(columns).min(PACKED_B);
    each.saturating_mul(parts::<T>(rows, columns, depth))
}

impl<T: Fast> Operation<T> for Product<T> {
    /// # Safety
    /// That of [`multiply`](super::share::multiply).
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>>(self) {
        // SAFETY: passed on.
        unsafe {
            match (self.layout, self.columns) {
                _ if self.rows == 0 || self.columns == 0 => {}
                (Layout::Columns, 1) if !self.transposed => self.vector::<V>(),
                (Layout::Rows, 1 | 2) => self.dots::<V>(),
                (Layout::Rows, _) if self.room_len < self.packed_len() => self.dots::<V>(),
                _ => self.blocks::<V>(),
            }
        }
    }
}

impl<T: Fast> Product<T> {
    fn packed_len(&self) -> usize {
        let (rows, depth) = block::<T>(self.rows, self.depth);
        rows * depth
    }

    /// Whether to pack an A that could be read where it lies: when several columns of B make up for it, and A does not fit
    /// the caches where it lies, because it is large or because its columns are a multiple of a page apart.
    fn pack(&self) -> bool {
        let bytes = size_of::<T>();
        let large = self.rows * self.depth * bytes > BLOCK_BYTES;
        let aliased = (self.a_step * bytes).is_multiple_of(2048) && self.depth >= 32;
        self.layout == Layout::Rows
            || (self.columns >= 32 && (large || aliased) && self.room_len >= self.packed_len())
    }

    /// Whether to pack B: where a row of it is read a few entries at a time, by several rows of tiles.
    fn pack_b(&self, rows_of_tile: usize, room: usize, depth: usize) -> bool {
        self.b_column == 1 && self.rows >= 2 * rows_of_tile && self.columns * depth <= room
    }

    /// # Safety
    /// That of [`multiply`](super::share::multiply), and the processor has the instructions of `V`.
    #[inline(always)]
    unsafe fn blocks<V: Vector<Scalar = T>>(self) {
        let tiles = Tiles::new::<V>(self.rows);
        let (pack, (block_rows, block_depth)) = (self.pack(), block::<T>(self.rows, self.depth));
        let (room, room_len) = match pack {
            true => (
                self.room.wrapping_add(self.packed_len()),
                self.room_len - self.packed_len(),
            ),
            false => (self.room, self.room_len),
        };
        let pack_b = self.pack_b(
            tiles.largest * V::LANES,
            room_len,
            block_depth.min(self.depth),
        );
        // Rows of a block in registers, as whole tiles.
        let block_vectors = match pack {
            true => (block_rows / V::LANES).min(tiles.vectors),
            false => tiles.vectors,
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
                // SAFETY: `pack_b` has made sure of the room.
                unsafe { self.pack_columns::<V>(b, depth, tiles.columns, room) };
            }
            let mut first = 0;
            while first < tiles.vectors {
                // SAFETY: blocks of rows and of the depth inside the product.
                first = unsafe {
                    let end = tiles.end_of_block(first, block_vectors);
                    let place = Place {
                        p,
                        depth,
                        first,
                        end,
                        start,
                    };
                    let packed_b = pack_b.then_some(room.cast_const());
                    self.block::<V>(&tiles, place, pack, b, packed_b);
                    end
                };
            }
            p += depth;
            if p >= self.depth {
                return;
            }
        }
    }

    /// B in the order in which tiles read it: tile by tile, row by row.
    ///
    /// # Safety
    /// `b` has `depth` rows of all columns that may be read, `room` room for as many entries.
    #[inline(always)]
    unsafe fn pack_columns<V: Vector<Scalar = T>>(
        &self,
        b: *const T,
        depth: usize,
        most: usize,
        room: *mut T,
    ) {
        let mut j = 0;
        while j < self.columns {
            let columns = width(most, self.columns - j);
            // SAFETY: columns j.. of B, and depth · columns entries of the room from depth · j on.
            unsafe {
                let (from, to) = (b.add(j), room.add(depth * j));
                match columns {
                    12 => copy_rows::<T, 12>(depth, from, self.b_step, to),
                    8 => copy_rows::<T, 8>(depth, from, self.b_step, to),
                    6 => copy_rows::<T, 6>(depth, from, self.b_step, to),
                    4 => copy_rows::<T, 4>(depth, from, self.b_step, to),
                    2 => copy_rows::<T, 2>(depth, from, self.b_step, to),
                    _ => copy_rows::<T, 1>(depth, from, self.b_step, to),
                }
            }
            j += columns;
        }
    }

    /// One block, tile by tile.
    ///
    /// # Safety
    /// That of [`multiply`](super::share::multiply), and the processor has the instructions of `V`, `at` is inside the product; with `pack` the room holds a block, and a packed B holds its rows.
    #[inline(always)]
    unsafe fn block<V: Vector<Scalar = T>>(
        &self,
        tiles: &Tiles,
        at: Place<T>,
        pack: bool,
        b: *const T,
        packed_b: Option<*const T>,
    ) {
        let corner = match self.layout {
            Layout::Columns => self
                .a
                .wrapping_add(at.first * V::LANES + at.p * self.a_step),
            Layout::Rows => self
                .a
                .wrapping_add(at.first * V::LANES * self.a_step + at.p),
        };
        let rows = (at.end * V::LANES).min(self.rows) - at.first * V::LANES;
        let width_of_block = (at.end - at.first) * V::LANES;
        if pack {
            // SAFETY: `run` has made sure of the room; whole registers, as the block is made of them.
            unsafe {
                let mut v = at.first;
                while v < at.end {
                    let next = tiles.next(v);
                    let (i, wide) = ((v - at.first) * V::LANES, (next - v) * V::LANES);
                    let shape = (wide.min(rows - i), wide, at.depth);
                    let to = self.room.add(i * at.depth);
                    match self.layout {
                        Layout::Columns => pack_rows::<V>(shape, corner.add(i), self.a_step, to),
                        Layout::Rows => {
                            let from = corner.add(i * self.a_step);
                            pack_transposed::<V>(shape, from, self.a_step, to);
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
                let (a, a_step) = match pack {
                    true => (self.room.wrapping_add(i * at.depth).cast_const(), wide),
                    false => (corner.wrapping_add(i), self.a_step),
                };
                let row = at.first * V::LANES + i;
                let tile = Tile {
                    rows: wide.min(rows - i),
                    depth: at.depth,
                    a,
                    a_step,
                    b,
                    b_step,
                    b_column,
                    c: match self.transposed {
                        true => self.c.wrapping_add(j + row * self.c_step),
                        false => self.c.wrapping_add(row + j * self.c_step),
                    },
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
                // SAFETY: a tile inside the product; without `tail` its registers are full, or A is packed.
                unsafe {
                    match at.depth <= self.chain {
                        true => run::<V>(size, &tile),
                        false => run_in_chains::<V>(size, tile, self.chain),
                    }
                }
                v = next;
            }
            j += columns;
        }
    }

    /// One column of B: matrix times vector, in panels of the depth so that rounding errors grow with the panels' number and length, not
    /// with the product of both.
    ///
    /// # Safety
    /// That of [`multiply`](super::share::multiply), and the processor has the instructions of `V`, and C is not transposed.
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
                // SAFETY: rows of the product, the last register in part.
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

    /// Entry by entry, each a dot product of two columns in memory: A lies by rows.
    ///
    /// # Safety
    /// That of [`multiply`](super::share::multiply), and the processor has the instructions of `V`, and C is not transposed.
    #[inline(always)]
    unsafe fn dots<V: Vector<Scalar = T>>(&self) {
        debug_assert!(self.b_step == 1 && !self.transposed);
        for j in 0..self.columns {
            let x = self.b.wrapping_add(j * self.b_column);
            let mut i = 0;
            while i < self.rows {
                let a = self.a.wrapping_add(i * self.a_step);
                // SAFETY: rows i.. of A, each of `depth` entries.
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

    /// R sums to C, from row i of column j on; returns R.
    ///
    /// # Safety
    /// That of [`multiply`](super::share::multiply), and those rows exist.
    #[inline(always)]
    unsafe fn put<const R: usize>(&self, i: usize, j: usize, sums: [T; R]) -> usize {
        for (r, sum) in sums.into_iter().enumerate() {
            // SAFETY: entry (i + r, j) of C, and of the start.
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

/// A block of a product: part of the depth, and registers `first..end` of the rows.
#[derive(Clone, Copy)]
struct Place<T> {
    p: usize,
    depth: usize,
    first: usize,
    end: usize,
    start: Start<T>,
}
