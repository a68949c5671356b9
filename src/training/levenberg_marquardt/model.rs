//! The quadratic model of J around a θ, and its steps.

use crate::derivatives::Triangle;
use crate::error::Error;
use crate::kernels::{all_finite, norm};
use crate::layout::allocate;
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{ColPivQR, DMatrix, DVector, Dyn, PermutationSequence};

/// J(θ + p) ≈ J + ½‖A p + r‖² − ½‖r‖², by the triangle of A with columns of length 1, pivoted and cut to its rank.
pub(super) struct Model<T: Scalar> {
    /// The lengths of A's columns.
    lengths: DVector<T>,
    /// R of A's scaled columns in the order of `order`, zero below its rank.
    triangle: DMatrix<T>,
    /// Qᵀr, zero below the rank.
    right: DVector<T>,
    rank: usize,
    order: PermutationSequence<Dyn>,
}

/// A step and what the model says of it.
pub(super) struct Step<T: Scalar> {
    /// p, to be added to θ.
    pub(super) p: DVector<T>,
    /// ‖D p‖.
    pub(super) length: f64,
    /// √(2 · the fall of J that the model promises).
    pub(super) promise: f64,
}

impl<T: Scalar> Model<T> {
    pub(super) fn new(mut root: Triangle<T>, size: usize) -> Result<Self, Error> {
        let mut lengths = DVector::zeros(size);
        let mut entries = allocate(
            "the factor of the Gauss–Newton matrix",
            (size, size),
            T::zero(),
        )?;
        for j in 0..size {
            let (from, to) = (root.column_mut(j), &mut entries[j * size..][..size]);
            let length = norm(from);
            lengths[j] = length;
            if length > T::zero() {
                to.iter_mut()
                    .zip(&*from)
                    .for_each(|(to, &x)| *to = x / length);
            }
        }
        let mut right = DVector::from_column_slice(root.column(size));
        drop(root);
        let factors = ColPivQR::new(DMatrix::from_vec(size, size, entries));
        factors.q_tr_mul(&mut right);
        let order = factors.p().clone();
        let mut triangle = factors.unpack_r();
        // What is left of columns of length 1 that depend on others.
        let rounding = T::default_epsilon() * real(8.0 * (size as f64).sqrt());
        let rank = (0..size).find(|&i| triangle[(i, i)] <= rounding);
        let rank = rank.unwrap_or(size);
        triangle.rows_range_mut(rank..).fill(T::zero());
        right.rows_range_mut(rank..).fill(T::zero());
        Ok(Self {
            lengths,
            triangle,
            right,
            rank,
            order,
        })
    }

    /// The part of ‖r‖ that a step can take away, to first order: ‖Qᵀr‖, which is 0 at a minimum.
    pub(super) fn slope(&self) -> f64 {
        to_f64(norm(self.right.as_slice()))
    }

    /// ‖∇J‖ by the scaled columns, which have length 1.
    pub(super) fn gradient(&self) -> f64 {
        let columns = self.triangle.column_iter().enumerate();
        let entries: Vec<T> = columns
            .map(|(j, column)| {
                let pairs = column.iter().zip(self.right.iter()).take(j + 1);
                pairs.fold(T::zero(), |sum, (&r, &c)| sum + r * c)
            })
            .collect();
        to_f64(norm(&entries))
    }

    /// The rounding of the outputs, as far as the parameters cause it: ‖A θ‖ without cancellation, times ε.
    pub(super) fn rounding(&self, theta: &DVector<T>) -> f64 {
        to_f64(norm(self.lengths.component_mul(theta).as_slice()) * T::default_epsilon())
    }

    /// The step to the minimum of the model: that with the fewest entries where there are several, `None` if it overflows.
    pub(super) fn newton(&self, scale: &DVector<T>) -> Option<Step<T>> {
        let mut p = -&self.right;
        let (head, n) = (
            self.triangle.view((0, 0), (self.rank, self.rank)),
            self.rank,
        );
        if !head.solve_upper_triangular_mut(&mut p.rows_range_mut(..n)) {
            return None;
        }
        self.step(p, (0.0, scale))
    }

    /// The step of (G + μ D²) p = −∇J, μ > 0.
    pub(super) fn damped(&self, mu: f64, scale: &DVector<T>) -> Result<Option<Step<T>>, Error> {
        let n = self.lengths.len();
        let mut damped = Triangle::new(n)?;
        for j in 0..n {
            let from = self.triangle.column(j);
            damped.column_mut(j).copy_from_slice(from.as_slice());
        }
        damped.column_mut(n).copy_from_slice(self.right.as_slice());
        let mut block = allocate("the damping", (n, n.saturating_add(1)), T::zero())?;
        let damping = self.damping(mu, scale);
        (0..n).for_each(|i| block[i * n + i] = damping[i]);
        damped.absorb_diagonal(&mut block);
        let mut p = -DVector::from_column_slice(damped.column(n));
        for i in (0..n).rev() {
            let column = damped.column(i);
            let x = p[i] / column[i];
            p[i] = x;
            p.iter_mut()
                .zip(&column[..i])
                .for_each(|(to, &r)| *to -= r * x);
        }
        Ok(self.step(p, (mu, scale)))
    }

    /// D becomes the largest length of each column so far: it never shrinks, so that a column that fades for a while makes no long steps.
    pub(super) fn widen(&self, scale: &mut DVector<T>) {
        for (j, &length) in self.lengths.iter().enumerate() {
            scale[j] = scale[j].max(length);
        }
    }

    /// √μ D by the lengths of the columns, in the order of the pivots.
    fn damping(&self, mu: f64, scale: &DVector<T>) -> DVector<T> {
        let root: T = real(mu.sqrt());
        let mut damping = scale.zip_map(&self.lengths, |d, length| {
            // Of a zero column that never was another d is 0.
            if length > T::zero() {
                d / length * root
            } else {
                root
            }
        });
        self.order.permute_rows(&mut damping);
        damping
    }

    /// The step whose scaled and pivoted entries are p.
    fn step(&self, mut p: DVector<T>, (mu, scale): (f64, &DVector<T>)) -> Option<Step<T>> {
        let n = self.rank;
        let mut moved = DVector::<T>::zeros(n);
        for (j, &x) in p.iter().enumerate() {
            let column = self.triangle.column(j);
            let pairs = moved.iter_mut().zip(column.iter());
            pairs.take(j + 1).for_each(|(to, &r)| *to += r * x);
        }
        self.order.inv_permute_rows(&mut p);
        for (p, &length) in p.iter_mut().zip(&self.lengths) {
            // A zero column has nothing to say.
            *p = if length > T::zero() {
                *p / length
            } else {
                T::zero()
            };
        }
        let length = to_f64(norm(p.component_mul(scale).as_slice()));
        let moved = to_f64(norm(moved.as_slice()));
        let promise = moved.hypot((2.0 * mu).sqrt() * length);
        all_finite(p.as_slice()).then_some(Step { p, length, promise })
    }
}
