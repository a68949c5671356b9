//! The innermost loops of the products: one tile of C = A B in registers, and what brings A into order for it.

#![allow(
    clippy::needless_range_loop,
    reason = "a tile is two indices; as iterators the compiler does not keep it in registers"
)]

use super::vector::{Fast, Vector};

/// Where the entries of a result start from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<T> {
    Zero,
    /// The same column of M entries for every column of C.
    Column(*const T),
    /// What C holds, added last: the sum over a block of the depth is rounded on its own, not against the sum so far.
    Present,
}

/// One tile: `rows` × C entries of C, summed over `depth` columns of A and rows of B.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<T> {
    /// Rows of the tile that exist; more than R − 1 registers full, at most R.
    pub(super) rows: usize,
    pub(super) depth: usize,
    /// A: rows lie one after the other, columns `a_step` apart.
    pub(super) a: *const T,
    pub(super) a_step: usize,
    /// B: rows are `b_step` apart, columns `b_column`.
    pub(super) b: *const T,
    pub(super) b_step: usize,
    pub(super) b_column: usize,
    /// C: rows lie one after the other and columns `c_step` apart, or if `transposed` the other way round.
    pub(super) c: *mut T,
    pub(super) c_step: usize,
    pub(super) transposed: bool,
    pub(super) start: Start<T>,
}

/// Computes a tile of R registers by C columns. With TAIL the last register of each column of A is read in part.
///
/// Each entry is one chain of multiply-adds in the order of the depth, whatever tile it is part of.
///
/// # Safety
/// The processor has the instructions of `V`; all entries of A, B, C and the start that [`Tile`] describes may be read, those of C
/// written. Without TAIL the columns of A have R · LANES entries.
#[inline(always)]
pub(super) unsafe fn tile<V, const R: usize, const C: usize, const TAIL: bool>(t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    let last = t.rows - (R - 1) * V::LANES;
    // SAFETY: register i < R − 1 covers rows i·LANES.. of the tile, the last one `last` ≤ LANES rows; column j < C. Those are entries that the
    // caller vouches for.
    unsafe {
        let mut sums = [[V::splat(V::Scalar::ZERO); R]; C];
        if let Start::Column(column) = t.start {
            for i in 0..R {
                let from = column.add(i * V::LANES);
                let entries = match i {
                    _ if i + 1 < R => V::load(from),
                    _ => V::load_first(from, last),
                };
                sums.iter_mut().for_each(|sums| sums[i] = entries);
            }
        }
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.depth {
            let mut column = [V::splat(V::Scalar::ZERO); R];
            for i in 0..R {
                column[i] = match i {
                    _ if TAIL && i + 1 == R => V::load_first(a.add(i * V::LANES), last),
                    _ => V::load(a.add(i * V::LANES)),
                };
            }
            for j in 0..C {
                let x = V::splat(*b.add(j * t.b_column));
                for i in 0..R {
                    sums[j][i] = column[i].mul_add(x, sums[j][i]);
                }
            }
            a = a.wrapping_add(t.a_step);
            b = b.wrapping_add(t.b_step);
        }
        if t.transposed {
            // Through memory, as a whole: an index that is known only at run time would keep the sums out of the registers above.
            let mut tile = [[V::splat(V::Scalar::ZERO); R]; C];
            for j in 0..C {
                for i in 0..R {
                    sums[j][i].store((&raw mut tile[j][i]).cast());
                }
            }
            return store_transposed::<V, R, C>(t, tile.as_ptr().cast());
        }
        let row = |j: usize, i: usize| t.c.add(j * t.c_step + i * V::LANES);
        if matches!(t.start, Start::Present) {
            for j in 0..C {
                for i in 0..R - 1 {
                    sums[j][i] = sums[j][i].add(V::load(row(j, i)));
                }
                sums[j][R - 1] = sums[j][R - 1].add(V::load_first(row(j, R - 1), last));
            }
        }
        for j in 0..C {
            for i in 0..R - 1 {
                sums[j][i].store(row(j, i));
            }
        }
        if last == V::LANES {
            for j in 0..C {
                sums[j][R - 1].store(row(j, R - 1));
            }
        } else {
            for j in 0..C {
                sums[j][R - 1].store_first(row(j, R - 1), last);
            }
        }
    }
}

/// Row i of the tile becomes column i of C. (There is no start but zero or what is present.)
///
/// # Safety
/// As [`tile`]; `sums` points to C columns of R · LANES entries.
#[inline(always)]
unsafe fn store_transposed<V, const R: usize, const C: usize>(
    t: &Tile<V::Scalar>,
    sums: *const V::Scalar,
) where
    V: Vector,
    V::Scalar: Fast,
{
    let add = matches!(t.start, Start::Present);
    for i in 0..t.rows {
        // SAFETY: row i < t.rows of the tile is a column of C with C entries.
        unsafe {
            let c = t.c.add(i * t.c_step);
            for j in 0..C {
                let sum = *sums.add(j * R * V::LANES + i);
                *c.add(j) = if add { *c.add(j) + sum } else { sum };
            }
        }
    }
}

/// Copies `rows` × `depth` entries of an A whose rows lie one after the other, columns `step` apart, to columns of `width` ≥ rows entries;
/// what is left of a column becomes 0.
///
/// # Safety
/// The processor has the instructions of `V`; A may be read, and `to` written for depth · width entries; `width` is a multiple of LANES.
#[inline(always)]
pub(super) unsafe fn pack_rows<V>(
    (rows, width, depth): (usize, usize, usize),
    a: *const V::Scalar,
    step: usize,
    to: *mut V::Scalar,
) where
    V: Vector,
    V::Scalar: Fast,
{
    let (full, rest) = (rows / V::LANES, rows % V::LANES);
    for p in 0..depth {
        // SAFETY: column p < depth of both, whole registers within `rows` and `width`.
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

/// As [`pack_rows`], for an A whose columns lie one after the other in memory and whose rows are `step` apart: Aᵀ as it is stored.
///
/// # Safety
/// As [`pack_rows`].
#[inline(always)]
pub(super) unsafe fn pack_transposed<V>(
    (rows, width, depth): (usize, usize, usize),
    a: *const V::Scalar,
    step: usize,
    to: *mut V::Scalar,
) where
    V: Vector,
    V::Scalar: Fast,
{
    let whole = depth - depth % V::LANES;
    // SAFETY: blocks of LANES × LANES below `rows` and `whole` ≤ depth, then what is left of both, entry by entry; all within `width`.
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
                *to.add(p * width + i) = match i < rows {
                    true => *a.add(i * step + p),
                    false => V::Scalar::ZERO,
                };
            }
        }
    }
}

/// y = start + A x for one vector x, with the sum over the depth in `8 / R` chains or more, so that none waits for the one before.
///
/// # Safety
/// As [`tile`] with C = 1 and TAIL.
#[inline(always)]
pub(super) unsafe fn vector_tile<V, const R: usize, const U: usize>(t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    let last = t.rows - (R - 1) * V::LANES;
    // SAFETY: as in `tile`, columns p < depth.
    unsafe {
        let mut sums = [[V::splat(V::Scalar::ZERO); R]; U];
        let load = |from: *const V::Scalar, i: usize| match i {
            _ if i + 1 == R && last < V::LANES => V::load_first(from.add(i * V::LANES), last),
            _ => V::load(from.add(i * V::LANES)),
        };
        match t.start {
            Start::Column(from) => (0..R).for_each(|i| sums[0][i] = load(from, i)),
            Start::Zero | Start::Present => {}
        }
        let (mut a, mut b) = (t.a, t.b);
        let (rounds, rest) = (t.depth / U, t.depth % U);
        for _ in 0..rounds {
            for (u, sums) in sums.iter_mut().enumerate() {
                let x = V::splat(*b.add(u * t.b_step));
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = load(a.add(u * t.a_step), i).mul_add(x, *sum);
                }
            }
            a = a.wrapping_add(U * t.a_step);
            b = b.wrapping_add(U * t.b_step);
        }
        for u in 0..rest {
            let x = V::splat(*b.add(u * t.b_step));
            for (i, sum) in sums[u].iter_mut().enumerate() {
                *sum = load(a.add(u * t.a_step), i).mul_add(x, *sum);
            }
        }
        for i in 0..R {
            let mut total = sums[0][i];
            for sums in &sums[1..] {
                total = total.add(sums[i]);
            }
            if matches!(t.start, Start::Present) {
                total = total.add(load(t.c, i));
            }
            match i {
                _ if i + 1 < R || last == V::LANES => total.store(t.c.add(i * V::LANES)),
                _ => total.store_first(t.c.add(i * V::LANES), last),
            }
        }
    }
}

/// R dot products cᵢ = startᵢ + Aᵢᵀ x of columns of A, `step` apart, with one vector x.
///
/// # Safety
/// The processor has the instructions of `V`; R columns of A and x have `depth` entries that may be read, `c` has R that may be written.
#[inline(always)]
pub(super) unsafe fn dots<V, const R: usize>(
    depth: usize,
    a: *const V::Scalar,
    step: usize,
    x: *const V::Scalar,
) -> [V::Scalar; R]
where
    V: Vector,
    V::Scalar: Fast,
{
    let whole = depth - depth % V::LANES;
    // SAFETY: whole registers below `whole`, and one with the depth − whole entries that are left.
    unsafe {
        let mut sums = [V::splat(V::Scalar::ZERO); R];
        for p in (0..whole).step_by(V::LANES) {
            let x = V::load(x.add(p));
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(a.add(i * step + p)).mul_add(x, *sum);
            }
        }
        if whole < depth {
            let x = V::load_first(x.add(whole), depth - whole);
            for (i, sum) in sums.iter_mut().enumerate() {
                let a = V::load_first(a.add(i * step + whole), depth - whole);
                *sum = a.mul_add(x, *sum);
            }
        }
        sums.map(|sum| sum.sum())
    }
}
