//! Copies of A and B in the order in which the tiles of a product read them.

use super::vector::{Fast, Vector};

/// The size of a packed tile of A.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedSize {
    /// The number of rows of A.
    pub(super) rows: usize,
    /// The length of a packed column, which is at least `rows`.
    pub(super) width: usize,
    /// The number of columns of A.
    pub(super) depth: usize,
}

/// Packs a column-major tile of A, whose columns are `step` apart. The rest of each packed column
/// becomes 0.
///
/// # Safety
/// The processor has the instructions of `V`. A may be read, and depth · width entries of `to` may
/// be written. `width` is a multiple of LANES.
#[inline(always)]
pub(super) unsafe fn pack_rows<V>(
    size: PackedSize,
    a: *const V::Scalar,
    step: usize,
    to: *mut V::Scalar,
) where
    V: Vector,
    V::Scalar: Fast,
{
    let PackedSize { rows, width, depth } = size;
    let (full, rest) = (rows / V::LANES, rows % V::LANES);
    for p in 0..depth {
        // SAFETY: column p < depth exists in both, and whole registers lie within `rows` and
        // `width`.
        unsafe {
            let (from, to) = (a.add(p * step), to.add(p * width));
            for i in 0..full {
                V::load(from.add(i * V::LANES)).store(to.add(i * V::LANES));
            }
            if rest > 0 {
                let i = full * V::LANES;
                V::load_first(from.add(i), rest).store(to.add(i));
            }
        }
    }
}

/// Packs a row-major tile of A, whose rows are `step` apart.
///
/// # Safety
/// The same as for [`pack_rows`].
#[inline(always)]
pub(super) unsafe fn pack_transposed<V>(
    size: PackedSize,
    a: *const V::Scalar,
    step: usize,
    to: *mut V::Scalar,
) where
    V: Vector,
    V::Scalar: Fast,
{
    let PackedSize { rows, width, depth } = size;
    let whole = depth - depth % V::LANES;
    // SAFETY: blocks of LANES × LANES below `rows` and `whole` ≤ depth, then the remaining entries
    // of both, one by one. All lie within `width`.
    unsafe {
        let mut i = 0;
        while i + V::LANES <= rows {
            for p in (0..whole).step_by(V::LANES) {
                V::transpose(a.add(i * step + p), step, to.add(p * width + i), width);
            }
            for p in whole..depth {
                for i in i..i + V::LANES {
                    *to.add(p * width + i) = *a.add(i * step + p);
                }
            }
            i += V::LANES;
        }
        for i in i..width {
            for p in 0..depth {
                *to.add(p * width + i) = if i < rows {
                    *a.add(i * step + p)
                } else {
                    V::Scalar::ZERO
                };
            }
        }
    }
}

/// Packs C columns of B, whose rows are `step` apart.
///
/// # Safety
/// C entries of each of `depth` rows may be read, and `to` has space for depth · C entries.
#[inline(always)]
pub(super) unsafe fn pack_columns<T: Copy, const C: usize>(
    depth: usize,
    from: *const T,
    step: usize,
    to: *mut T,
) {
    for p in 0..depth {
        // SAFETY: the caller guarantees C entries in each row, and space for depth · C entries.
        unsafe {
            let entries = from.add(p * step).cast::<[T; C]>().read_unaligned();
            to.add(p * C).cast::<[T; C]>().write_unaligned(entries);
        };
    }
}
