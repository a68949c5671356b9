//! A least-squares problem that grows by blocks of rows. Only the triangle of its QR decomposition
//! is kept.

use crate::allocation::allocate;
use crate::error::{Error, Location};
use crate::kernels::{add_linear, first_non_finite, norm, transpose_product};
use crate::scalar::{Scalar, sign, to_f64};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, DVector};

/// The number of columns whose reflections are combined.
const PANEL: usize = 32;

/// The number of partial sums of a dot product.
const LANES: usize = 8;

/// R and c = Qᵀr of A = Q R. Minimising ‖A p + r‖ needs nothing else. AᵀA is not formed, because
/// that would square the condition number.
#[derive(Debug)]
pub(crate) struct Triangle<T> {
    size: usize,
    /// P × (P + 1), column by column: R, zero below its diagonal, and c.
    entries: Vec<T>,
}

impl<T: Scalar> Triangle<T> {
    /// Creates a problem that has no rows yet: R = 0 and c = 0.
    pub(crate) fn new(size: usize) -> Result<Self, Error> {
        let shape = (size, size.saturating_add(1));
        let entries = allocate("the factor of the Gauss–Newton matrix", shape, T::zero())?;
        Ok(Self { size, entries })
    }

    /// Returns P, the number of columns of R.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns column j of R; the one after the last is c.
    pub(crate) fn column(&self, j: usize) -> &[T] {
        &self.entries[j * self.size..][..self.size]
    }

    pub(crate) fn column_mut(&mut self, j: usize) -> &mut [T] {
        &mut self.entries[j * self.size..][..self.size]
    }

    /// Returns R and c. The memory of R is reused.
    pub(crate) fn into_parts(mut self) -> (DMatrix<T>, DVector<T>) {
        let right = self.entries.split_off(self.size * self.size);
        let triangle = DMatrix::from_vec(self.size, self.size, self.entries);
        (triangle, DVector::from_vec(right))
    }

    pub(crate) fn check_finite(&self) -> Result<(), Error> {
        match first_non_finite(&self.entries) {
            None => Ok(()),
            Some(index) => Err(Error::NonFinite {
                at: Location::Derivative {
                    what: "the factor of the Gauss–Newton matrix",
                    index,
                },
                value: to_f64(self.entries[index]),
            }),
        }
    }

    /// Appends a block of rows of [A r] to the triangle, and makes it triangular again by
    /// Householder reflections. The block is overwritten.
    ///
    /// Reflections scale with the columns, so columns of any size keep all their digits. They are
    /// combined in panels, so most of the work is products: H₁ ⋯ Hₙ = I − V T Vᵀ (Schreiber, Van
    /// Loan 1989, doi:10.1137/0910005).
    pub(crate) fn absorb(&mut self, rows: usize, block: &mut [T]) -> Result<(), Error> {
        let (p, most) = (self.size, PANEL.min(self.size));
        let what = "the reflections of a panel";
        // The products skip their first column.
        let mut panel = allocate(what, (rows, most + 1), T::zero())?;
        let mut turned = allocate(what, (most, p), T::zero())?;
        for start in (0..p).step_by(PANEL) {
            let end = (start + PANEL).min(p);
            let firsts: Vec<T> = (start..end)
                .map(|j| self.reflect(j, rows, (&mut block[..end * rows], rows)))
                .collect();
            let n = end - start;
            let panel = &mut panel[..(n + 1) * rows];
            panel[rows..].copy_from_slice(&block[start * rows..end * rows]);
            let factor = panel_factor(&firsts, &panel[rows..], rows);
            let (right, columns) = (&mut block[end * rows..], p + 1 - end);
            let turned = &mut turned[..n * columns];
            let below = DMatrixView::from_slice(right, rows, columns);
            let mut to = DMatrixViewMut::from_slice(turned, n, columns);
            transpose_product(panel, &below, &mut to, &mut []);
            for (l, turned) in turned.chunks_exact_mut(n).enumerate() {
                let entries = &mut self.column_mut(end + l)[start..end];
                for ((w, &first), &entry) in turned.iter_mut().zip(&firsts).zip(&*entries) {
                    *w += first * entry;
                }
                // −Tᵀ W.
                for i in (0..n).rev() {
                    let column = &factor[i * n..][..i + 1];
                    turned[i] = -dot(column, &turned[..=i]);
                }
                for ((entry, &first), &w) in entries.iter_mut().zip(&firsts).zip(&*turned) {
                    *entry += first * w;
                }
            }
            let mut to = DMatrixViewMut::from_slice(right, rows, columns);
            add_linear(
                panel,
                &DMatrixView::from_slice(turned, n, columns),
                &mut to,
                &mut [],
            );
        }
        Ok(())
    }

    /// Like [`absorb`](Self::absorb), for P rows that are zero except on the diagonal and in r.
    pub(crate) fn absorb_diagonal(&mut self, block: &mut [T]) {
        for j in 0..self.size {
            // All rows below the j-th are still 0.
            self.reflect(j, j + 1, (block, self.size));
        }
    }

    /// Reflects column j of the block into the triangle, together with the columns after it.
    /// Overwrites the column with u, and returns the entry u₀ that belongs to the triangle, or 0 if
    /// there was nothing to reflect. u is scaled to uᵀu = 2 |u₀|. A column has `stride` rows, and
    /// only the first `filled` are used.
    fn reflect(&mut self, j: usize, filled: usize, (block, stride): (&mut [T], usize)) -> T {
        let (left, right) = block.split_at_mut((j + 1) * stride);
        let below = &mut left[j * stride..][..filled];
        let size = norm(below);
        if size == T::zero() {
            return T::zero();
        }
        let head = self.column(j)[j];
        let size = norm(&[head, size]);
        let side = if sign(head) < T::zero() {
            -T::one()
        } else {
            T::one()
        };
        let first = head / size + side;
        below.iter_mut().for_each(|x| *x /= size);
        self.column_mut(j)[j] = -side * size;
        for (l, column) in right.chunks_exact_mut(stride).enumerate() {
            let column = &mut column[..filled];
            let entry = &mut self.column_mut(j + 1 + l)[j];
            let along = (first * *entry + dot(below, column)) / first.abs();
            *entry -= along * first;
            let pairs = column.iter_mut().zip(&*below);
            pairs.for_each(|(to, &u)| *to -= along * u);
        }
        first
    }
}

/// Computes the upper triangular T of H₁ ⋯ Hₙ = I − V T Vᵀ, from the entries of each reflection in
/// the triangle and its column of V in the block.
fn panel_factor<T: Scalar>(firsts: &[T], v: &[T], rows: usize) -> Vec<T> {
    let n = firsts.len();
    let mut factor = vec![T::zero(); n * n];
    for j in 0..n {
        if firsts[j] == T::zero() {
            continue;
        }
        let scale = T::one() / firsts[j].abs();
        let column = |i: usize| &v[i * rows..][..rows];
        let inner: Vec<T> = (0..j).map(|i| dot(column(i), column(j))).collect();
        for i in 0..j {
            let row = (i..j).fold(T::zero(), |sum, l| sum + factor[l * n + i] * inner[l]);
            factor[j * n + i] = -scale * row;
        }
        factor[j * n + j] = scale;
    }
    factor
}

fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    let (x_groups, y_groups) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = x_groups.remainder().iter().zip(y_groups.remainder());
    let rest = rest.fold(T::zero(), |sum, (&x, &y)| sum + x * y);
    let mut sums = [T::zero(); LANES];
    for (x, y) in x_groups.zip(y_groups) {
        for i in 0..LANES {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().fold(rest, |sum, &x| sum + x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DMatrix;

    /// RᵀR = AᵀA and Rᵀc = Aᵀr, to rounding by column, whatever the scales of the columns and the
    /// sizes of the blocks.
    #[test]
    fn a_triangle_is_the_root_of_its_rows() {
        let (p, m) = (2 * PANEL + 5, 123);
        let scales: Vec<f64> = (0..p)
            .map(|j| [1e-120, 1.0, 1e90, 1e-3, 1e7][j % 5])
            .collect();
        let a = DMatrix::from_fn(m, p, |i, j| {
            if i == 4 || j == 7 {
                0.0
            } else {
                (1.3 * i as f64 + 2.1 * (j * j) as f64 + (i * j) as f64).sin() * scales[j]
            }
        });
        let r = DMatrix::from_fn(m, 1, |i, _| (0.7 * i as f64).cos());
        for size in [1, 30, 123] {
            let mut triangle = Triangle::<f64>::new(p).unwrap();
            for first in (0..m).step_by(size) {
                let rows = size.min(m - first);
                let mut block = a.rows(first, rows).into_owned().as_slice().to_vec();
                block.extend_from_slice(r.rows(first, rows).into_owned().as_slice());
                triangle.absorb(rows, &mut block).unwrap();
            }
            triangle.check_finite().unwrap();
            let c = triangle.column(p);
            for i in 0..p {
                let x = triangle.column(i);
                assert!(x[i + 1..].iter().all(|&x| x == 0.0));
                let expected = a.column(i).dot(&r.column(0));
                let bound = 1e-13 * a.column(i).norm() * r.norm();
                assert!((dot(x, c) - expected).abs() <= bound);
                for j in 0..p {
                    let expected = (a.column(i) / scales[i]).dot(&(a.column(j) / scales[j]));
                    let found = triangle.column(j).iter().zip(x);
                    let found: f64 = found.map(|(y, x)| (x / scales[i]) * (y / scales[j])).sum();
                    assert!(
                        (found - expected).abs() < 1e-14 * m as f64,
                        "{i} {j}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_diagonal_is_a_block_of_rows() {
        let p = 4;
        let row = [1.0, -2.0, 0.5, 3.0, 7.0];
        let mut block = vec![0.0; p * (p + 1)];
        for i in 0..p {
            block[i * p + i] = 0.1 * (i + 1) as f64;
            block[p * p + i] = i as f64;
        }
        let (mut one, mut other) = (Triangle::new(p).unwrap(), Triangle::new(p).unwrap());
        one.absorb(1, &mut row.to_vec()).unwrap();
        other.absorb(1, &mut row.to_vec()).unwrap();
        one.absorb_diagonal(&mut block.clone());
        other.absorb(p, &mut block).unwrap();
        for j in 0..=p {
            for (x, y) in one.column(j).iter().zip(other.column(j)) {
                let close: f64 = x - y;
                assert!(close.abs() < 1e-14);
            }
        }
    }
}
