//! The innermost loops of a product: one tile of C = start + A B in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "with iterators the compiler does not keep a tile in registers"
)]

use super::vector::{Fast, Vector};

/// The start of a product: the matrix to which it is added.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<T> {
    /// Nothing.
    Zero,
    /// The same column of M entries, for every column of C.
    Column(*const T),
    /// The present entries of C. They are added last, so the sum over a block of the depth is
    /// rounded on its own, not against the sum so far.
    Present,
}

/// One tile of C, summed over `depth` columns of A and rows of B.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<T> {
    /// The rows of the tile. They fill more than R − 1 registers, and at most R.
    pub(super) rows: usize,
    pub(super) depth: usize,
    /// A: rows are adjacent, columns `a_step` apart.
    pub(super) a: *const T,
    pub(super) a_step: usize,
    /// B: rows are `b_step` apart, columns `b_column` apart.
    pub(super) b: *const T,
    pub(super) b_step: usize,
    pub(super) b_column: usize,
    /// C: rows are adjacent and columns `c_step` apart, or the reverse if `transposed`.
    pub(super) c: *mut T,
    pub(super) c_step: usize,
    pub(super) transposed: bool,
    pub(super) start: Start<T>,
}

/// Computes a tile of R registers by C columns. With TAIL, the last register of each column of A is
/// read partially.
///
/// Each entry is one chain of multiply-adds in the order of the depth, in any tile.
///
/// # Safety
/// The processor has the instructions of `V`. All entries of A, B, C and the start that [`Tile`]
/// describes may be read, and those of C may be written. Without TAIL, the columns of A have
/// R · LANES entries.
#[inline(always)]
pub(super) unsafe fn tile<V, const R: usize, const C: usize, const TAIL: bool>(t: &Tile<V::Scalar>)
where
    V: Vector,
    V::Scalar: Fast,
{
    let last = t.rows - (R - 1) * V::LANES;
    // SAFETY: register i < R − 1 covers rows i·LANES.. of the tile, and the last one `last` ≤ LANES
    // rows; column j < C. The caller guarantees that these entries exist.
    unsafe {
        let mut sums = [[V::splat(V::Scalar::ZERO); R]; C];
        if let Start::Column(column) = t.start {
            for i in 0..R {
                let from = column.add(i * V::LANES);
                let entries = if i + 1 < R {
                    V::load(from)
                } else {
                    V::load_first(from, last)
                };
                sums.iter_mut().for_each(|sums| sums[i] = entries);
            }
        }
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.depth {
            let mut column = [V::splat(V::Scalar::ZERO); R];
            for i in 0..R {
                column[i] = if TAIL && i + 1 == R {
                    V::load_first(a.add(i * V::LANES), last)
                } else {
                    V::load(a.add(i * V::LANES))
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
            // All sums go through memory: an index that is known only at run time would keep them
            // out of the registers above.
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

/// Writes row i of the tile to column i of a transposed C. The start is zero or present.
///
/// # Safety
/// The same as for [`tile`]; `sums` points to C columns of R · LANES entries.
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

/// Computes y = start + A x for one vector x.
///
/// The sum over the depth has U independent chains, so none waits for the previous one.
///
/// # Safety
/// The same as for [`tile`] with C = 1 and TAIL.
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
        let load = |from: *const V::Scalar, i: usize| {
            if i + 1 == R && last < V::LANES {
                V::load_first(from.add(i * V::LANES), last)
            } else {
                V::load(from.add(i * V::LANES))
            }
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
            if i + 1 < R || last == V::LANES {
                total.store(t.c.add(i * V::LANES));
            } else {
                total.store_first(t.c.add(i * V::LANES), last);
            }
        }
    }
}

/// Computes c = start + a x for a column a and a number x.
///
/// # Safety
/// The processor has the instructions of `V`. The columns a, c and the start have `rows` entries,
/// which may be read, and those of c may be written.
#[inline(always)]
pub(super) unsafe fn outer_column<V>(
    rows: usize,
    a: *const V::Scalar,
    x: V::Scalar,
    start: Start<V::Scalar>,
    c: *mut V::Scalar,
) where
    V: Vector,
    V::Scalar: Fast,
{
    let whole = rows - rows % V::LANES;
    // SAFETY: reads and writes whole registers below `whole`, and one with the remaining entries.
    unsafe {
        let (x, zero) = (V::splat(x), V::splat(V::Scalar::ZERO));
        for i in (0..whole).step_by(V::LANES) {
            let a = V::load(a.add(i));
            let sum = match start {
                Start::Zero => a.mul_add(x, zero),
                Start::Column(from) => a.mul_add(x, V::load(from.add(i))),
                Start::Present => a.mul_add(x, zero).add(V::load(c.add(i))),
            };
            sum.store(c.add(i));
        }
        if whole < rows {
            let left = rows - whole;
            let a = V::load_first(a.add(whole), left);
            let sum = match start {
                Start::Zero => a.mul_add(x, zero),
                Start::Column(from) => a.mul_add(x, V::load_first(from.add(whole), left)),
                Start::Present => a.mul_add(x, zero).add(V::load_first(c.add(whole), left)),
            };
            sum.store_first(c.add(whole), left);
        }
    }
}

/// Returns the dot products of R columns of A, `step` apart, with one vector x.
///
/// # Safety
/// The processor has the instructions of `V`. R columns of A and x have `depth` entries, which may
/// be read.
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
    // SAFETY: reads whole registers below `whole`, and one with the remaining depth − whole
    // entries.
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
