//! Jacobian, Hessian and Gauss–Newton products as one job.

use super::tangent::Along;
use super::{GaussNewton, check_vector};
use crate::cost::{Cost, Outputs};
use crate::error::Error;
use crate::examples::{Examples, check_length};
use crate::kernels::columns;
use crate::layer::{Frame, Keep, Layer, LayerGradient};
use crate::network::Network;
use crate::network::chain::{Chain, Wanted, check_part_inputs, outputs_at, weigh};
use crate::network::job::{Job, JobResults, PartResults};
use crate::scalar::{Scalar, to_f64};
use crate::workspace::{Part, Wants, Workspace};
use nalgebra::DMatrixView;
use std::ops::Range;

/// A pass along directions.
pub(super) struct Product<'a, T: Scalar, L, C: ?Sized> {
    pub(super) chain: Chain<'a, T, L>,
    pub(super) x: DMatrixView<'a, T>,
    pub(super) operator: Operator<'a, T, C>,
    /// θ̇ of one or more directions, in sequence, and ẋ.
    pub(super) along: Along<'a, T>,
}

/// The matrix of the product.
pub(super) enum Operator<'a, T: Scalar, C: ?Sized> {
    /// ∂a⁽ᴸ⁾/∂(θ, x). The result has a column for each example.
    Outputs,
    /// Σ AᵀA.
    Gram,
    /// Σ w ∂²cost/∂θ².
    Hessian(&'a Examples<'a, T>, &'a C),
    /// Σ w JᵀMJ.
    GaussNewton(&'a Examples<'a, T>, &'a C, GaussNewton),
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Product<'_, T, L, C> {
    pub(super) fn run(
        mut self,
        workspace: &mut Workspace<T>,
        results: JobResults<'_, T>,
    ) -> Result<(), Error> {
        self.chain.training = workspace.training;
        let wants = Wants {
            sums: results.sums.as_ref().map_or(0, |sums| sums.len()),
            backward: !matches!(self.operator, Operator::Outputs),
            keep: self.keep(),
            tangents: true,
            ..Wants::default()
        };
        self.chain.keep = wants.keep;
        let network = self.chain.network;
        if matches!(self.operator, Operator::Outputs | Operator::Gram) {
            network.check_whole_inputs(self.x, workspace)?;
        }
        network.run(self.x.ncols(), (&self, wants), workspace, results)
    }

    fn keep(&self) -> Keep {
        match self.operator {
            Operator::Hessian(..) => Keep::Curvature,
            _ => Keep::Slope,
        }
    }

    /// Writes M times ż or ȧ into the first δ of the part, and returns whether it is M at z.
    fn curvature(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        (examples, cost): (&Examples<'_, T>, &C),
        at: GaussNewton,
        part: &mut Part<T>,
    ) -> Result<bool, Error> {
        let (chain, m) = (&self.chain, x.ncols());
        let mut frame = chain.frame(m, &part.output, &part.kept);
        frame.input = Some(x);
        let place = curvature_place(chain, first, (examples, cost), at, frame)?;
        let Some(place) = place else {
            chain.cost_delta_tangent(examples, cost, part)?;
            chain.to_z(first, x, part)?;
            return Ok(true);
        };
        let (rows, linked) = (place.a.nrows(), place.z.is_some());
        let tangent = chain.frame(m, &part.output_tangent, &part.kept_tangent);
        chain.delta_tangent((place, tangent), cost, &mut part.delta)?;
        weigh(examples, rows, &mut part.delta[..rows * m]);
        Ok(linked)
    }
}

/// Returns the point at which the curvature M of the cost is taken, after checking its domain: z if
/// the layer keeps it. `None` for the logits of a pair that is not canonical, where M also depends
/// on the activation.
pub(super) fn curvature_place<'b, T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized>(
    chain: &Chain<'_, T, L>,
    first: usize,
    (examples, cost): (&Examples<'b, T>, &C),
    at: GaussNewton,
    frame: Frame<'b, T>,
) -> Result<Option<Outputs<'b, T>>, Error> {
    let outputs = outputs_at(chain.head(), cost, &frame, examples.y);
    let Outputs { z, a, .. } = outputs;
    let place = match (at, z) {
        (GaussNewton::Logits, None) => return Ok(None),
        (GaussNewton::Logits, Some(_)) => outputs,
        (GaussNewton::Outputs, _) => Outputs { z: None, ..outputs },
        (GaussNewton::Fisher, _) => outputs.with_outputs_as_targets(),
    };
    chain.check_domain(first, place, cost)?;
    if at == GaussNewton::Fisher && place.z.is_none() {
        // At the edge of the domain the Fisher information is not finite.
        let (low, high) = cost.target_domain();
        let outside = |a: &T| !(to_f64(*a) > low && to_f64(*a) < high);
        if let Some(index) = a.iter().position(outside) {
            let (unit, k) = (index % a.nrows(), index / a.nrows());
            return Err(Error::Output {
                layer: (chain.depth() - 1).into(),
                unit,
                example: first + k,
                value: to_f64(a[(unit, k)]),
                expected: "inside the interval of the targets, away from its ends",
            });
        }
    }
    Ok(Some(place))
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Job<T> for Product<'_, T, L, C> {
    fn part(
        &self,
        range: Range<usize>,
        part: &mut Part<T>,
        results: PartResults<'_, T>,
        sums: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let (first, m, chain) = (range.start, range.len(), &self.chain);
        let x = columns(self.x, first, m);
        let given = match self.operator {
            Operator::Hessian(all, cost) | Operator::GaussNewton(all, cost, _) => {
                Some((all.part(first, m), cost))
            }
            Operator::Outputs | Operator::Gram => {
                check_part_inputs(first, x, self.x)?;
                None
            }
        };
        chain.forward(first, x, part)?;
        part.copy_outputs(results.outputs);
        if let Some((examples, cost)) = &given {
            let at = chain.outputs(examples, *cost, part);
            chain.check_domain(first, at, *cost)?;
        }
        let (theta, x_tangent) = self.along;
        let x_tangent = x_tangent.map(|x| columns(x, first, m));
        let Some(sums) = sums else {
            chain.forward_tangent(first, x, part, (theta, x_tangent))?;
            if let Some(columns) = results.columns {
                columns.copy_from_slice(&part.output_tangent[..columns.len()]);
            }
            return Ok(());
        };
        let p = chain.network.parameters();
        let directions = theta.unwrap_or_default().chunks_exact(p.max(1));
        for (theta, sums) in directions.zip(sums.chunks_exact_mut(p.max(1))) {
            let along = (Some(theta), x_tangent);
            chain.forward_tangent(first, x, part, along)?;
            let linked = match (&self.operator, &given) {
                (Operator::Hessian(..), Some((examples, cost))) => {
                    let linked = chain.cost_delta_tangent(examples, *cost, part)?;
                    chain.backward_tangent(first, x, part, linked, (along, Some(sums)))?;
                    continue;
                }
                (Operator::GaussNewton(_, _, at), Some((examples, cost))) => {
                    self.curvature(first, x, (examples, *cost), *at, part)?
                }
                _ => {
                    let len = m * chain.network.outputs();
                    part.delta[..len].copy_from_slice(&part.output_tangent[..len]);
                    false
                }
            };
            let wanted = Wanted::gradient(LayerGradient::Sum(sums));
            chain.backward(first, x, part, linked, wanted);
        }
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Checks that there is at least one vector of length P, and a result for each.
    pub(super) fn check_directions(&self, v: &[T], product: &[T]) -> Result<(), Error> {
        let p = self.parameters();
        let directions = v.len().checked_div(p).unwrap_or(0).max(1);
        check_vector("v", v, directions * p)?;
        check_length("the product", v.len(), product.len())
    }
}
