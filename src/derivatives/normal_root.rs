//! The Gauss–Newton matrix and the gradient as a least-squares problem: G = AᵀA and ∇J = Aᵀr.

use super::normal_matrix::Pieces;
use super::triangle::Triangle;
use super::{GaussNewton, check_finite_result};
use crate::allocation::allocate;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::kernels::largest;
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, real};
use crate::workspace::Workspace;
use std::ops::Range;

/// The largest entry of r², in units of J. Where the curvature of the cost is too small to satisfy
/// this bound, it is increased.
const MOST: f64 = 1e4;

/// The scale and the bound of the rows of [A r].
#[derive(Clone, Copy)]
struct Scale<T> {
    /// 1/√Σw.
    by: T,
    /// The largest entry of r, before scaling.
    most: T,
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns R and c of A = Q R and c = Qᵀr, where G = AᵀA is the Gauss–Newton matrix and ∇J =
    /// Aᵀr, both of the parameters that move, penalty included. An example gives K rows √w LᵀJ of A
    /// and L⁻¹δ √w of r, with its curvature M = LLᵀ.
    ///
    /// If the cost has a slope but no curvature, as Huber's does far from the target, there is no
    /// such r. A little curvature is then added to the cost, less for a larger `size`, which is Σ w
    /// |cost|/Σw plus the penalty.
    pub(crate) fn gauss_newton_root<C: Cost<T>>(
        &self,
        theta: &[T],
        (examples, objective): (&Examples<'_, T>, &Objective<C>),
        (at, size): (GaussNewton, f64),
        workspace: &mut Workspace<T>,
    ) -> Result<Triangle<T>, Error> {
        self.check_jacobians((examples, objective), at, workspace)?;
        let k = self.outputs();
        let moving = self.layout().moving();
        let mut triangle = Triangle::new(moving.iter().map(Range::len).sum())?;
        let scale = Scale {
            by: real((1.0 / examples.weight).sqrt()),
            most: real((MOST * size * examples.weight).sqrt()),
        };
        let given = (examples, &objective.cost);
        let room = triangle.size().saturating_add(1).saturating_mul(k);
        self.for_each_jacobians(theta, given, at, (true, room), workspace, |pieces| {
            check_finite_result("the curvature of the cost", pieces.curvatures)?;
            check_finite_result("δ of the cost", pieces.deltas)?;
            fill_rows(moving, k, pieces, scale);
            triangle.absorb(pieces.count * k, pieces.room)
        })?;
        self.absorb_penalty(theta, objective, moving, scale, &mut triangle)?;
        triangle.check_finite()?;
        Ok(triangle)
    }

    /// Adds a row for each entry that has a penalty: √λ₂ with r = (λ₂ θ + λ₁ sign θ)/√λ₂.
    fn absorb_penalty<C: Cost<T>>(
        &self,
        theta: &[T],
        objective: &Objective<C>,
        moving: &[Range<usize>],
        scale: Scale<T>,
        triangle: &mut Triangle<T>,
    ) -> Result<(), Error> {
        let (p, q) = (self.parameters(), triangle.size());
        let shape = (q, q.saturating_add(1));
        let penalty = &objective.penalty;
        if penalty.is_none() {
            return Ok(());
        }
        let mut block = allocate("the rows of the penalty", shape, T::zero())?;
        let mut slopes = allocate("the slopes of the penalty", (p, 1), T::zero())?;
        penalty.apply(self.layout(), theta, 1.0, Some(&mut slopes));
        let mut curvature = allocate("the curvatures of the penalty", (p, 1), T::zero())?;
        let ones = allocate("the curvatures of the penalty", (p, 1), T::one())?;
        penalty.add_curvature(self.layout(), &ones, &mut curvature);
        for (i, at) in moving.iter().cloned().flatten().enumerate() {
            let (slope, root) = (&mut [slopes[at]], &mut [curvature[at]]);
            factor(1, root, slope, scale.most);
            block[q * q + i] = slope[0] * scale.by;
            block[q * i + i] = root[0] * scale.by;
        }
        triangle.absorb_diagonal(&mut block);
        Ok(())
    }
}

/// Writes the rows of [A r], K for each example, into the room. A has the columns `moving`.
fn fill_rows<T: Scalar>(
    moving: &[Range<usize>],
    k: usize,
    pieces: &mut Pieces<'_, T>,
    scale: Scale<T>,
) {
    let (m, rows) = (pieces.count, pieces.count * k);
    let p = pieces.jacobians.len() / rows;
    let columns: usize = moving.iter().map(Range::len).sum();
    let mut root = vec![T::zero(); k * k];
    let (entries, right) = pieces.room.split_at_mut(columns * rows);
    entries.fill(T::zero());
    for e in 0..m {
        for (i, column) in root.chunks_exact_mut(k).enumerate() {
            column.copy_from_slice(&pieces.curvatures[(i * m + e) * k..][..k]);
        }
        let right = &mut right[e * k..][..k];
        right.copy_from_slice(&pieces.deltas[e * k..][..k]);
        factor(k, &mut root, right, scale.most);
        right.iter_mut().for_each(|r| *r *= scale.by);
        for row in 0..k {
            for i in row..k {
                let c = root[row * k + i] * scale.by;
                if c != T::zero() {
                    let gradient = &pieces.jacobians[(i * m + e) * p..][..p];
                    let mut row = entries.iter_mut().skip(e * k + row).step_by(rows);
                    for range in moving {
                        let gradient = &gradient[range.clone()];
                        row.by_ref().zip(gradient).for_each(|(to, &x)| *to += c * x);
                    }
                }
            }
        }
    }
}

/// Overwrites M = LLᵀ, given by its lower triangle, with Cholesky's L, and δ with r = L⁻¹δ. A pivot
/// within rounding of 0 counts as 0. If r exists only with a larger pivot, the pivot is raised
/// until |r| ≤ `most`.
fn factor<T: Scalar>(k: usize, m: &mut [T], delta: &mut [T], most: T) {
    let rounding = T::default_epsilon() * real(8.0 * k as f64);
    let least_slope = if k > 1 {
        largest(delta) * rounding
    } else {
        T::zero()
    };
    for i in 0..k {
        let whole = m[i * k + i];
        let pivot = (0..i).fold(whole, |left, j| left - m[j * k + i] * m[j * k + i]);
        let has_curvature = pivot > whole * rounding;
        let curvature = if has_curvature { pivot } else { T::zero() };
        let slope = (0..i).fold(delta[i], |left, j| left - m[j * k + i] * delta[j]);
        let needed = if most > T::zero() && (has_curvature || slope.abs() > least_slope) {
            slope / most * (slope / most)
        } else {
            T::zero()
        };
        let root = curvature.max(needed).sqrt();
        for l in i + 1..k {
            let left = (0..i).fold(m[i * k + l], |left, j| left - m[j * k + i] * m[j * k + l]);
            m[i * k + l] = if has_curvature {
                left / root
            } else {
                T::zero()
            };
        }
        m[i * k + i] = root;
        delta[i] = if root > T::zero() {
            slope / root
        } else {
            T::zero()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{Exponential, Identity, Sigmoid, Softmax, Tanh};
    use crate::cost::{
        AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
    };
    use crate::{AnyActivation, Penalty};
    use nalgebra::DMatrix;

    /// RᵀR = G and Rᵀc = ∇J for every cost, with weights and penalties, and blocks of several
    /// sizes.
    #[test]
    fn a_root_has_the_matrix_and_the_gradient() {
        let wave = |i: usize| (1.7 * i as f64).sin();
        let problems: [(AnyActivation, AnyCost); 8] = [
            (Identity, SquaredError),
            (Tanh, SquaredError),
            (Sigmoid, BinaryCrossEntropy),
            (Exponential, Poisson),
            (Softmax, CategoricalCrossEntropy),
            (Softmax, SquaredError),
            (Identity, LogCosh),
            (Identity, Huber { delta: 0.7 }),
        ];
        let weights: Vec<f64> = (0..300).map(|k| (k % 4) as f64).collect();
        for (activation, cost) in problems {
            for (m, penalty) in [(7, Penalty::none()), (300, Penalty::elastic_net(0.2, 0.3))] {
                let builder = Network::<f64>::builder(2).dense(3, Tanh);
                let theta: Vec<f64> = (0..21).map(wave).collect();
                let network = builder.dense(3, activation).with_theta(&theta).unwrap();
                let x = DMatrix::from_fn(2, m, |i, k| wave(i + 2 * k));
                let y = DMatrix::from_fn(3, m, |i, k| f64::from((k + k / 3) % 3 == i));
                let examples = Examples::new(&x, &y)
                    .unwrap()
                    .weighted(&weights[..m])
                    .unwrap();
                let objective = Objective::new(cost).penalty(penalty);
                let at = if network.is_canonical(&cost) {
                    GaussNewton::Logits
                } else {
                    GaussNewton::Outputs
                };
                let size = network.cost(&examples, &objective).unwrap().abs();
                let mut workspace = Workspace::new();
                let given = (&examples, &objective);
                let root = network.gauss_newton_root(&theta, given, (at, size), &mut workspace);
                let root = root.unwrap();
                let matrix = network
                    .gauss_newton_matrix(&examples, &objective, at)
                    .unwrap();
                let gradient = network.gradient_vector(&examples, &objective).unwrap();
                let column = |j: usize| DMatrix::from_column_slice(21, 1, root.column(j));
                // The outer pieces of Huber's cost have no curvature, so a little is added.
                let added = if matches!(cost, Huber { .. }) {
                    1e-3
                } else {
                    0.0
                };
                for i in 0..21 {
                    let slope = column(i).dot(&column(21));
                    assert!(
                        (slope - gradient[i]).abs() < 1e-13,
                        "{cost:?}: {slope} {}",
                        gradient[i]
                    );
                    for j in 0..21 {
                        let error = column(i).dot(&column(j)) - matrix[(i, j)];
                        assert!(error.abs() < 1e-13 + added, "{cost:?} {i} {j}: {error:e}");
                    }
                }
            }
        }
    }

    /// Where there is no curvature, r is bounded, and ∇J is still that of the rows.
    #[test]
    fn slopes_without_curvature_are_given_a_little() {
        let (mut root, mut right) = ([0.0], [-3.0]);
        factor(1, &mut root, &mut right, 100.0);
        assert_eq!((root[0], right[0]), (0.03, -100.0));
        // Softmax: 1 is in the null space of M, and of δ.
        let a = [0.2, 0.3, 0.5_f64];
        let mut m: Vec<f64> = (0..9)
            .map(|i| f64::from(u8::from(i % 4 == 0)) * a[i / 3] - a[i / 3] * a[i % 3])
            .collect();
        let mut delta = [0.2, 0.3, -0.5];
        factor(3, &mut m, &mut delta, 100.0);
        assert_eq!((m[8], delta[2]), (0.0, 0.0));
        assert!((m[0] * delta[0] - 0.2).abs() < 1e-15);
        assert!((m[1] * delta[0] + m[4] * delta[1] - 0.3).abs() < 1e-15);
    }
}
