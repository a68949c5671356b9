//! Shares a product out over threads where that pays off. Each entry of C is computed by a single
//! thread.

use super::gemm::{Gemm, PACKED_B, StorageOrder, VECTOR_ROWS, block};
use super::microkernel::Start;
use super::parallel::{join, threads};
use super::table::table;
use super::vector::{Fast, dispatch};
use crate::scalar::Scalar;

/// Returns the smallest number of operations for which a product is shared out over threads.
///
/// A smaller product takes no longer than waking a thread and moving the operands to its cache.
/// Operands in `f64` have twice as many bytes.
const fn shared_from<T>() -> usize {
    match size_of::<T>() {
        4 => 3_000_000,
        _ => 6_000_000,
    }
}

/// The largest number of multiplications at which the plain loop is faster than registers.
const TINY: usize = 64;

/// Returns whether a product is so small that the plain loop is faster.
#[inline]
pub(super) fn is_tiny(rows: usize, columns: usize, depth: usize) -> bool {
    multiplications(rows, columns, depth) <= TINY
}

/// Computes a product of `f32` or `f64`.
///
/// Returns false, and does nothing, for any other scalar.
///
/// # Safety
/// - All entries of A and B may be read, and so may `rows` entries of the start's column, or the
///   entries of C if the start is [`Start::Present`].
/// - All entries of C and `room_len` entries of the room may be written. Nothing else reads or
///   writes them during the call.
/// - No two entries of C overlap, and C and the room do not overlap anything that is read.
/// - If A is row-major, `b_step` is 1 and C is not transposed.
pub(super) unsafe fn gemm<T: Scalar>(product: Gemm<T>) -> bool {
    let Some(table) = table::<T>() else {
        return false;
    };
    // SAFETY: the caller upholds the contract.
    unsafe { (table.gemm)(product) };
    true
}

#[inline]
fn multiplications(rows: usize, columns: usize, depth: usize) -> usize {
    rows.saturating_mul(columns).saturating_mul(depth)
}

/// Returns the number of parts in which a product of these sizes is computed. The results have the
/// same bits for any number of parts.
fn part_count<T>(rows: usize, columns: usize, depth: usize) -> usize {
    let operations = multiplications(rows, columns, depth).saturating_mul(2);
    if operations < shared_from::<T>() || (rows < 128 && columns < 48) {
        return 1;
    }
    threads().min(operations / (shared_from::<T>() / 2))
}

/// Returns the number of scratch entries that a product of these sizes uses in all its parts.
pub(super) fn scratch<T>(rows: usize, columns: usize, depth: usize) -> usize {
    let (block_rows, block_depth) = block::<T>(rows, depth);
    let each = block_rows * block_depth + block_depth.saturating_mul(columns).min(PACKED_B);
    each.saturating_mul(part_count::<T>(rows, columns, depth))
}

impl<T: Fast> Gemm<T> {
    /// Computes the product, on several threads if that pays off.
    ///
    /// # Safety
    /// The same as for [`gemm`].
    pub(super) unsafe fn share(self) {
        // SAFETY: the caller upholds the contract.
        unsafe { self.split(part_count::<T>(self.rows, self.columns, self.depth)) }
    }

    /// Halves the rows or the columns of C until there are `parts` parts, each with its share of
    /// the room.
    ///
    /// # Safety
    /// The same as for [`gemm`].
    unsafe fn split(self, parts: usize) {
        // Cuts lie between whole tiles and leave enough columns for each part to take the same path
        // as the whole. For a matrix times a vector, a tile is a group of eight registers.
        let cut = |n: usize, unit: usize| (n / parts.max(1) * (parts / 2)).next_multiple_of(unit);
        let rows = if self.columns == 1 { VECTOR_ROWS } else { 64 };
        let (row, column) = (cut(self.rows, rows), cut(self.columns, 24));
        let mut first = self;
        let mut second = if parts > 1 && row > 0 && row < self.rows {
            first.rows = row;
            self.below(row)
        } else if parts > 1 && column >= 3 && column + 3 <= self.columns {
            first.columns = column;
            self.beside(column)
        } else {
            // SAFETY: the caller upholds the contract.
            return unsafe { dispatch(self) };
        };
        first.room_len = self.room_len / parts * (parts / 2);
        second.room = self.room.wrapping_add(first.room_len);
        second.room_len = self.room_len - first.room_len;
        // SAFETY: the parts write different entries of C and of the room, and only read the
        // operands that they share.
        join(
            move || unsafe { first.split(parts / 2) },
            move || unsafe { second.split(parts - parts / 2) },
        );
    }

    /// Returns the part that starts at row `row`.
    fn below(mut self, row: usize) -> Self {
        self.rows -= row;
        self.a = self.a.wrapping_add(match self.order {
            StorageOrder::ColumnMajor => row,
            StorageOrder::RowMajor => row * self.a_step,
        });
        let step = if self.transposed { self.c_step } else { 1 };
        self.c = self.c.wrapping_add(row * step);
        if let Start::Column(column) = self.start {
            self.start = Start::Column(column.wrapping_add(row));
        }
        self
    }

    /// Returns the part that starts at column `column`.
    fn beside(mut self, column: usize) -> Self {
        self.columns -= column;
        self.b = self.b.wrapping_add(column * self.b_column);
        let step = if self.transposed { 1 } else { self.c_step };
        self.c = self.c.wrapping_add(column * step);
        self
    }
}
