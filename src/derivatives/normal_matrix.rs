//! The Gauss–Newton matrix of small networks, for normal equations.

use super::curvature_product::check_curvature;
use super::product::curvature_place;
use super::{GaussNewton, fill_with_unit, finish};
use crate::allocation::{allocate, resize};
use crate::cost::Cost;
use crate::error::{Error, unsupported};
use crate::examples::{Examples, check_length};
use crate::kernels::{add_exactly, add_product_transposed};
use crate::layer::{Keep, Layer, LayerGradient};
use crate::network::Network;
use crate::network::chain::{Chain, Wanted, weigh};
use crate::network::job::{Job, JobResults, PartResults};
use crate::objective::Objective;
use crate::scalar::Scalar;
use crate::workspace::{Part, Wants, Workspace, jacobians_together};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// The Jacobians of some examples with respect to θ, and the curvature of their costs.
struct Jacobians<'a, T: Scalar, L, C: ?Sized> {
    chain: Chain<'a, T, L>,
    examples: &'a Examples<'a, T>,
    cost: &'a C,
    at: GaussNewton,
    /// Whether δ of the costs, with respect to the same outputs, is also requested.
    with_deltas: bool,
    /// The first example of the job.
    start: usize,
}

/// The Jacobians of some examples, and the weighted derivatives of their costs with respect to the
/// outputs.
pub(super) struct Pieces<'a, T> {
    /// The number of examples.
    pub(super) count: usize,
    /// The gradients of output i for all examples, P entries each, then those of the next output.
    pub(super) jacobians: &'a [T],
    /// M e_i for all examples, K entries each, then those of the next output.
    pub(super) curvatures: &'a [T],
    /// δ of all examples, K entries each, if requested.
    pub(super) deltas: &'a [T],
    /// The requested number of scalars for each example.
    pub(super) room: &'a mut [T],
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Job<T> for Jacobians<'_, T, L, C> {
    /// Writes K gradients of outputs, M (K × K) and δ to the column of each example.
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        _: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (chain, network, m) = (&self.chain, self.chain.network, range.len());
        let (first, k, p) = (
            self.start + range.start,
            network.outputs(),
            network.parameters(),
        );
        let examples = self.examples.part(first, m);
        chain.forward(first, examples.x, part)?;
        let of = chain.heads(examples.x, &part.output, &part.kept);
        chain.link(self.cost, &mut part.linked);
        let heads = chain.plan().heads.len();
        let linked = part.linked[..heads].iter().all(|&linked| linked);
        let given = (&examples, self.cost, linked);
        let Some(place) = curvature_place(chain, first, given, self.at, &of)? else {
            return Err(unsupported::<C>("a curvature at z that is semi-definite"));
        };
        if self.at == GaussNewton::Outputs {
            part.linked.fill(false);
        }
        let columns = results.columns.unwrap_or_default();
        let (jacobians, costs) = columns.split_at_mut(p * k * m);
        let (curvatures, deltas) = costs.split_at_mut(k * k * m);
        if self.with_deltas {
            place.delta(self.cost, DMatrixViewMut::from_slice(deltas, k, m));
            weigh(&examples, k, deltas);
        }
        for i in 0..k {
            let (unit, column) = (
                &mut part.delta[..k * m],
                &mut curvatures[i * k * m..][..k * m],
            );
            fill_with_unit(unit, k, i);
            let tangent = DMatrixView::from_slice(unit, k, m);
            let to = DMatrixViewMut::from_slice(column, k, m);
            place.delta_tangent(self.cost, &tangent, to)?;
            weigh(&examples, k, column);
        }
        for (i, gradients) in jacobians.chunks_exact_mut(p * m).enumerate() {
            fill_with_unit(&mut part.delta[..k * m], k, i);
            let wanted = Wanted::gradient(LayerGradient::Each {
                gradients,
                stride: p,
            });
            chain.backward(first, examples.x, part, wanted);
        }
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the Gauss–Newton matrix G = (1/m) (Σ w BᵀMB + λI′), P × P, including the penalty.
    ///
    /// The call computes the Jacobians of the outputs in K backward passes, and suits networks of
    /// up to a few hundred parameters.
    ///
    /// Derivation: [(32)](crate::derivation#gauss-newton).
    ///
    /// # Errors
    /// - The errors of [`gauss_newton_product`](Self::gauss_newton_product).
    /// - [`Error::TooLarge`] if there is no memory for P² scalars.
    /// - [`Error::Unsupported`] for [`GaussNewton::Logits`] if cost and activation are not a
    ///   canonical pair.
    /// - [`Error::Coupled`] if a layer couples the examples in this mode.
    ///
    /// # Example
    /// A line has A = \[1 x], so G is the mean of \[1 x]ᵀ\[1 x]:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::activation::Identity;
    /// use backprop::{Examples, GaussNewton, Network, Objective, SquaredError};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
    /// let (x, y) = (DMatrix::from_row_slice(1, 2, &[3.0, 5.0]), DMatrix::zeros(1, 2));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let matrix = network.gauss_newton_matrix(&examples, &objective, GaussNewton::Outputs)?;
    /// assert_eq!(matrix, DMatrix::from_row_slice(2, 2, &[1.0, 4.0, 4.0, 17.0]));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn gauss_newton_matrix<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        at: GaussNewton,
    ) -> Result<DMatrix<T>, Error> {
        let p = self.parameters();
        let entries = allocate("the Gauss–Newton matrix", (p, p), T::zero())?;
        let mut matrix = DMatrix::from_vec(p, p, entries);
        let workspace = &mut Workspace::for_one_call();
        self.gauss_newton_matrix_into(examples, objective, at, workspace, matrix.as_mut_slice())?;
        Ok(matrix)
    }

    /// Writes [`gauss_newton_matrix`](Self::gauss_newton_matrix) into the caller's buffer of P²
    /// entries, column by column.
    ///
    /// # Errors
    /// - The errors of [`gauss_newton_matrix`](Self::gauss_newton_matrix).
    /// - [`Error::Length`] if `matrix` does not have P² entries.
    pub fn gauss_newton_matrix_into<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        at: GaussNewton,
        workspace: &mut Workspace<T>,
        matrix: &mut [T],
    ) -> Result<(), Error> {
        let (p, k) = (self.parameters(), self.outputs());
        check_length("the Gauss–Newton matrix", p.saturating_mul(p), matrix.len())?;
        self.check_jacobians((examples, objective), at, workspace)?;
        let given = (examples, &objective.cost);
        let mut sums = std::mem::take(&mut workspace.matrix);
        let done = resize(
            &mut sums,
            "the Gauss–Newton matrix",
            (matrix.len(), 2),
            T::zero(),
        )
        .and_then(|()| {
            matrix.fill(T::zero());
            sums.fill(T::zero());
            let (lost, some) = sums.split_at_mut(matrix.len());
            let theta = self.theta().as_slice();
            self.for_each_jacobians(theta, given, at, (false, p), workspace, |pieces| {
                add_normal((p, k), pieces, some);
                add_exactly(matrix, lost, some);
                some.fill(T::zero());
                Ok(())
            })
        });
        workspace.matrix = sums;
        done?;
        finish(
            "the Gauss–Newton matrix",
            examples.weight,
            matrix,
            |matrix| {
                let penalty = &objective.penalty;
                penalty.add_curvature_matrix(self.layout(), matrix);
            },
        )
    }

    /// Checks that [`for_each_jacobians`](Self::for_each_jacobians) is defined.
    pub(super) fn check_jacobians<C: Cost<T>>(
        &self,
        (examples, objective): (&Examples<'_, T>, &Objective<C>),
        at: GaussNewton,
        workspace: &Workspace<T>,
    ) -> Result<(), Error> {
        self.check_uncoupled("the Gauss–Newton matrix", workspace)?;
        check_curvature::<T, L, C>(self, &objective.cost, at)?;
        objective.validate(self.layout())?;
        self.check_examples(examples, &objective.cost)
    }

    /// Calls `visit` with the Jacobians of a few examples at a time. `with_deltas` requests δ as
    /// well, and `room` is the number of extra scalars to provide for each example.
    pub(super) fn for_each_jacobians<C: Cost<T>>(
        &self,
        theta: &[T],
        (examples, cost): (&Examples<'_, T>, &C),
        at: GaussNewton,
        (with_deltas, room): (bool, usize),
        workspace: &mut Workspace<T>,
        mut visit: impl FnMut(&mut Pieces<'_, T>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (p, k, m) = (self.parameters(), self.outputs(), examples.len());
        if p == 0 {
            return Ok(());
        }
        let costs = k.saturating_add(usize::from(with_deltas));
        let each = p.saturating_add(costs).saturating_mul(k);
        let all = each.saturating_add(room);
        let together = jacobians_together(all, m);
        self.make_room(m, workspace);
        let mut buffer = std::mem::take(&mut workspace.gradient);
        let what = "the Jacobians of some examples";
        let mut done = resize(&mut buffer, what, (all, together), T::zero());
        let mut first = 0;
        while first < m && done.is_ok() {
            let count = together.min(m - first);
            let (columns, rest) = buffer.split_at_mut(each * count);
            let mut chain = self.chain(self.point_at(theta));
            chain.set_mode(workspace, m, None)?;
            chain.keep = Keep::Slope;
            let job = Jacobians {
                chain,
                examples,
                cost,
                at,
                with_deltas,
                start: first,
            };
            let wants = Wants {
                backward: true,
                keep: Keep::Slope,
                each: true,
                ..Wants::default()
            };
            let results = JobResults {
                columns: Some(&mut *columns),
                ..JobResults::none()
            };
            let cut = self.cut(count, workspace.training.is_some());
            done = self.run(cut, (&job, wants), workspace, results);
            if done.is_ok() {
                let (jacobians, costs) = columns.split_at(p * k * count);
                let (curvatures, deltas) = costs.split_at(k * k * count);
                done = visit(&mut Pieces {
                    count,
                    jacobians,
                    curvatures,
                    deltas,
                    room: &mut rest[..room * count],
                });
            }
            first += count;
        }
        workspace.gradient = buffer;
        done
    }
}

/// N += Σₖ JₖᵀMₖJₖ.
fn add_normal<T: Scalar>((p, k): (usize, usize), pieces: &mut Pieces<'_, T>, matrix: &mut [T]) {
    let (m, jacobians, curvatures) = (pieces.count, pieces.jacobians, pieces.curvatures);
    let weighted = &mut *pieces.room;
    let rows = |i: usize| &jacobians[i * p * m..][..p * m];
    for j in 0..k {
        weighted.fill(T::zero());
        let curvature = &curvatures[j * k * m..][..k * m];
        for i in 0..k {
            let columns = weighted.chunks_exact_mut(p).zip(rows(i).chunks_exact(p));
            for ((to, from), c) in columns.zip(curvature.chunks_exact(k)) {
                if c[i] != T::zero() {
                    to.iter_mut().zip(from).for_each(|(to, &x)| *to += c[i] * x);
                }
            }
        }
        let weighted = DMatrixView::from_slice(&*weighted, p, m);
        add_product_transposed(&weighted, &DMatrixView::from_slice(rows(j), p, m), matrix);
    }
}
