//! The quadratic model of J around a θ, its damped steps, and the damping μ (Nielsen's rule).

use crate::allocation::allocate;
use crate::derivatives::Triangle;
use crate::error::Error;
use crate::kernels::{all_finite, norm};
use crate::scalar::{Scalar, real, to_f64};
use nalgebra::{ColPivQR, DMatrix, DVector, Dyn, PermutationSequence};

/// J(θ + p) ≈ J + ½‖A p + r‖² − ½‖r‖². The columns of A are scaled to length 1, pivoted and
/// truncated to their rank.
pub(super) struct Model<T: Scalar> {
    /// The length of each column of A.
    lengths: DVector<T>,
    /// R of the scaled columns in the order of `order`; zero below the rank.
    triangle: DMatrix<T>,
    /// Qᵀr; zero below the rank.
    right: DVector<T>,
    rank: usize,
    order: PermutationSequence<Dyn>,
}

/// A step, with its length and its predicted decrease.
pub(super) struct Step<T: Scalar> {
    /// p, which is added to θ.
    pub(super) p: DVector<T>,
    /// ‖D p‖.
    pub(super) length: f64,
    /// √(2 · the predicted decrease of J).
    pub(super) promise: f64,
}

impl<T: Scalar> Model<T> {
    /// Builds the model from R and c = Qᵀr of A.
    pub(super) fn new(mut triangle: DMatrix<T>, mut right: DVector<T>) -> Self {
        let size = right.len();
        let mut lengths = DVector::zeros(size);
        for (mut column, to) in triangle.column_iter_mut().zip(lengths.iter_mut()) {
            let length = norm(column.as_slice());
            *to = length;
            if length > T::zero() {
                column.iter_mut().for_each(|x| *x /= length);
            }
        }
        let factors = ColPivQR::new(triangle);
        factors.q_tr_mul(&mut right);
        let order = factors.p().clone();
        let mut triangle = factors.unpack_r();
        // A column of length 1 with a smaller remainder depends on the others.
        let rounding = T::default_epsilon() * real(8.0 * (size as f64).sqrt());
        let rank = (0..size).find(|&i| triangle[(i, i)] <= rounding);
        let rank = rank.unwrap_or(size);
        triangle.rows_range_mut(rank..).fill(T::zero());
        right.rows_range_mut(rank..).fill(T::zero());
        Self {
            lengths,
            triangle,
            right,
            rank,
            order,
        }
    }

    /// Returns ‖Qᵀr‖: the part of ‖r‖ that a step can remove, to first order. It is 0 at a minimum.
    pub(super) fn slope(&self) -> f64 {
        to_f64(norm(self.right.as_slice()))
    }

    /// Returns ‖∇J‖ in the scale of the columns, which have length 1.
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

    /// Returns the rounding error that the parameters cause in the outputs: ε ‖A θ‖, without
    /// cancellation.
    pub(super) fn rounding(&self, theta: &DVector<T>) -> f64 {
        to_f64(norm(self.lengths.component_mul(theta).as_slice()) * T::default_epsilon())
    }

    /// Returns the step to the minimum of the model within its rank, or `None` if the step
    /// overflows.
    pub(super) fn newton(&self, scale: &DVector<T>) -> Option<Step<T>> {
        let mut p = -&self.right;
        let n = self.rank;
        let head = self.triangle.view((0, 0), (n, n));
        if !head.solve_upper_triangular_mut(&mut p.rows_range_mut(..n)) {
            return None;
        }
        self.step(p, 0.0, scale)
    }

    /// Returns the solution of (G + μ D²) p = −∇J with μ > 0, or `None` if it overflows.
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
        Ok(self.step(p, mu, scale))
    }

    /// Raises D to the largest length of each column so far. D never shrinks, so a column that is
    /// small for a while does not cause long steps.
    pub(super) fn widen(&self, scale: &mut DVector<T>) {
        for (j, &length) in self.lengths.iter().enumerate() {
            scale[j] = scale[j].max(length);
        }
    }

    /// Returns √μ D, divided by the lengths of the columns, in the order of the pivots.
    fn damping(&self, mu: f64, scale: &DVector<T>) -> DVector<T> {
        let root: T = real(mu.sqrt());
        let mut damping = scale.zip_map(&self.lengths, |d, length| {
            // For a column that has always been zero, d is 0.
            if length > T::zero() {
                d / length * root
            } else {
                root
            }
        });
        self.order.permute_rows(&mut damping);
        damping
    }

    /// Returns the step with the scaled and pivoted entries `p`.
    fn step(&self, mut p: DVector<T>, mu: f64, scale: &DVector<T>) -> Option<Step<T>> {
        let n = self.rank;
        let mut moved = DVector::<T>::zeros(n);
        for (j, &x) in p.iter().enumerate() {
            let column = self.triangle.column(j);
            let pairs = moved.iter_mut().zip(column.iter());
            pairs.take(j + 1).for_each(|(to, &r)| *to += r * x);
        }
        self.order.inv_permute_rows(&mut p);
        for (p, &length) in p.iter_mut().zip(&self.lengths) {
            // The parameter of a zero column does not change.
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

/// Above this μ, steps are lost in rounding.
const MOST: f64 = 1e30;

/// The smallest factor on μ in a step.
const SHRINK: f64 = 0.1;

/// The damping μ, and the factor by which it grows when a step is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(super) struct Damping {
    mu: f64,
    growth: f64,
}

impl Damping {
    pub(super) fn new<T: Scalar>(mu: f64) -> Self {
        Self {
            mu: mu.clamp(least::<T>(), MOST),
            growth: 2.0,
        }
    }

    /// Returns whether a fit in T can have this damping.
    #[cfg(feature = "serde")]
    pub(super) fn is_valid<T: Scalar>(&self) -> bool {
        let finite = self.mu.is_finite() && self.growth.is_finite();
        finite && self.mu >= least::<T>() && self.growth >= 2.0
    }

    /// Adapts μ after an accepted step. `ratio` is the decrease of J divided by the predicted
    /// decrease.
    pub(super) fn taken<T: Scalar>(&mut self, ratio: f64) {
        let factor = (1.0 - (2.0 * ratio - 1.0).powi(3)).max(SHRINK);
        self.mu = (self.mu * factor).max(least::<T>());
        self.growth = 2.0;
    }

    /// Raises μ after a refused step.
    pub(super) fn refused(&mut self) {
        self.mu *= self.growth;
        self.growth *= 2.0;
    }

    /// Returns a damped step with a predicted decrease above the rounding of J, or `None` if there
    /// is none. Lowers μ if such a step requires it, unless a step was already `refused` here.
    pub(super) fn step<T: Scalar>(
        &mut self,
        model: &Model<T>,
        scale: &DVector<T>,
        rounding: f64,
        refused: bool,
    ) -> Result<Option<Step<T>>, Error> {
        let least = least::<T>();
        while self.mu <= MOST {
            match model.damped(self.mu, scale)? {
                Some(step) if step.promise > rounding => return Ok(Some(step)),
                Some(_) if refused || self.mu <= least => return Ok(None),
                Some(_) => self.mu = (self.mu * SHRINK).max(least),
                None => self.refused(),
            }
        }
        Ok(None)
    }
}

/// Below this μ, the damping is lost in rounding.
fn least<T: Scalar>() -> f64 {
    to_f64(T::default_epsilon()).powi(2)
}
