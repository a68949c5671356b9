//! A product on as many threads as it is worth, each entry of C by one of them.

use super::compiled::table;
use super::parallel::{join, threads};
use super::product::{Layout, Product, VECTOR_ROWS};
use super::tile::Start;
use super::vector::{Fast, dispatch};
use crate::scalar::Scalar;

/// The operations of a product from which on it is shared out over threads: less takes no longer than waking one and moving the
/// operands to its cache, which `f64` has twice as many bytes of.
const fn shared<T>() -> usize {
    match size_of::<T>() {
        4 => 3_000_000,
        _ => 6_000_000,
    }
}

/// The multiplications up to which the plain loop is done before a register has been filled.
const TINY: usize = 64;

/// Computes a product of `f32` or `f64`; false, and nothing done, for any other scalar, and for a product so small that the
/// plain loop is faster.
///
/// # Safety
/// All entries of A and B may be read, `rows` of the start's column, and those of C if the start is what is present; those of C and
/// `room_len` of the room may be written, and nobody else does so meanwhile. No two entries of C are in one place, and C and the room lie apart
/// from all that is read. Where A lies by rows, `b_step` is 1 and C is not transposed.
pub(super) unsafe fn multiply<T: Scalar>(product: Product<T>) -> bool {
    if multiplications(product.rows, product.columns, product.depth) <= TINY {
        return false;
    }
    let Some(table) = table::<T>() else {
        return false;
    };
    // SAFETY: passed on.
    unsafe { (table.product)(product) };
    true
}

fn multiplications(rows: usize, columns: usize, depth: usize) -> usize {
    rows.saturating_mul(columns).saturating_mul(depth)
}

/// How many parts a product of these sizes is computed in: the results are the same for any number.
pub(super) fn parts<T>(rows: usize, columns: usize, depth: usize) -> usize {
    let operations = multiplications(rows, columns, depth).saturating_mul(2);
    if operations < shared::<T>() || (rows < 128 && columns < 48) {
        return 1;
    }
    threads().min(operations / (shared::<T>() / 2))
}

impl<T: Fast> Product<T> {
    /// # Safety
    /// That of [`multiply`].
    pub(super) unsafe fn share(self) {
        // SAFETY: passed on.
        unsafe { self.split(parts::<T>(self.rows, self.columns, self.depth)) }
    }

    /// Cuts the rows or the columns of C in two until there are as many parts as asked for, each with its share of the room.
    ///
    /// # Safety
    /// That of [`multiply`].
    unsafe fn split(self, parts: usize) {
        // Whole tiles, and enough columns that each part goes the way that the whole goes. Those of a matrix times a vector are
        // groups of eight registers.
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
            // SAFETY: passed on.
            return unsafe { dispatch(self) };
        };
        first.room_len = self.room_len / parts * (parts / 2);
        second.room = self.room.wrapping_add(first.room_len);
        second.room_len = self.room_len - first.room_len;
        // SAFETY: the parts write other entries of C and of the room, and only read what they share.
        join(
            move || unsafe { first.split(parts / 2) },
            move || unsafe { second.split(parts - parts / 2) },
        );
    }

    /// The rows from `row` on.
    fn below(mut self, row: usize) -> Self {
        self.rows -= row;
        self.a = self.a.wrapping_add(match self.layout {
            Layout::Columns => row,
            Layout::Rows => row * self.a_step,
        });
        self.c = self.c.wrapping_add(match self.transposed {
            true => row * self.c_step,
            false => row,
        });
        if let Start::Column(column) = self.start {
            self.start = Start::Column(column.wrapping_add(row));
        }
        self
    }

    /// The columns from `column` on.
    fn beside(mut self, column: usize) -> Self {
        self.columns -= column;
        self.b = self.b.wrapping_add(column * self.b_column);
        self.c = self.c.wrapping_add(match self.transposed {
            true => column,
            false => column * self.c_step,
        });
        self
    }
}
