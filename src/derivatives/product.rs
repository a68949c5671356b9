//! Jacobian, Hessian and Gauss–Newton products as one job.

use super::{GaussNewton, Tangent, check_vector};
use crate::cost::{Cost, HeadOutputs, Outputs};
use crate::error::Error;
use crate::examples::{Examples, check_finite, check_length};
use crate::kernels::columns;
use crate::layer::{Keep, Layer, LayerGradient};
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
    pub(super) along: Tangent<'a, T>,
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
    /// The derivative of the vector–Jacobian products with a constant cotangent.
    Pullback(DMatrixView<'a, T>),
}

impl<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized> Product<'_, T, L, C> {
    pub(super) fn run(
        mut self,
        workspace: &mut Workspace<T>,
        results: JobResults<'_, T>,
    ) -> Result<(), Error> {
        let weights = match self.operator {
            Operator::Hessian(examples, _) | Operator::GaussNewton(examples, ..) => {
                examples.weights
            }
            _ => None,
        };
        self.chain.set_mode(workspace, self.x.ncols(), weights)?;
        let wants = Wants {
            sums: results.sums.as_ref().map_or(0, |sums| sums.len()),
            backward: !matches!(self.operator, Operator::Outputs),
            keep: self.keep(),
            tangents: true,
            ..Wants::default()
        };
        self.chain.keep = wants.keep;
        let network = self.chain.network;
        if matches!(
            self.operator,
            Operator::Outputs | Operator::Gram | Operator::Pullback(_)
        ) {
            network.check_whole_inputs(self.x, workspace)?;
        }
        let cut = network.cut(self.x.ncols(), workspace.training.is_some());
        network.run(cut, (&self, wants), workspace, results)
    }

    fn keep(&self) -> Keep {
        match self.operator {
            Operator::Hessian(..) | Operator::Pullback(_) => Keep::Curvature,
            _ => Keep::Slope,
        }
    }

    /// Writes M times ż or ȧ into δ, and marks the heads where it is M at z.
    fn curvature(
        &self,
        first: usize,
        x: DMatrixView<'_, T>,
        (examples, cost): (&Examples<'_, T>, &C),
        at: GaussNewton,
        part: &mut Part<T>,
    ) -> Result<(), Error> {
        let (chain, m) = (&self.chain, x.ncols());
        let of = chain.heads(x, &part.output, &part.kept);
        chain.link(cost, &mut part.linked);
        let heads = chain.plan().heads.len();
        let linked = part.linked[..heads].iter().all(|&linked| linked);
        let place = curvature_place(chain, first, (examples, cost, linked), at, &of)?;
        let Some(place) = place else {
            chain.cost_delta_tangent(examples, cost, part)?;
            return chain.to_z(first, x, part);
        };
        let tangent = chain.frame(m, &part.output_tangent, &part.kept_tangent);
        chain.delta_tangent((place, tangent), cost, &mut part.delta)?;
        let rows = chain.plan().outputs();
        weigh(examples, rows, &mut part.delta[..rows * m]);
        if at == GaussNewton::Outputs {
            part.linked.fill(false);
        }
        Ok(())
    }
}

/// Returns the point at which the curvature M of the cost is taken, after checking its domain: z if
/// the layer keeps it. `None` for the logits of a pair that is not canonical, where M also depends
/// on the activation.
pub(super) fn curvature_place<'b, T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized>(
    chain: &Chain<'_, T, L>,
    first: usize,
    (examples, cost, linked): (&Examples<'b, T>, &C, bool),
    at: GaussNewton,
    of: &'b HeadOutputs<'b, T>,
) -> Result<Option<Outputs<'b, T>>, Error> {
    let outputs = outputs_at(of, cost, examples);
    let place = match at {
        GaussNewton::Logits if !linked => return Ok(None),
        GaussNewton::Logits => outputs,
        GaussNewton::Outputs => Outputs {
            z: None,
            hides_z: true,
            ..outputs
        },
        GaussNewton::Fisher => outputs.with_outputs_as_targets(),
    };
    chain.check_domain(first, &place, cost)?;
    if at == GaussNewton::Fisher && !linked {
        check_inside(chain, first, cost, &place)?;
    }
    Ok(Some(place))
}

/// Checks that outputs whose cost is not computed from z are inside the domain: at its edge the
/// Fisher information is not finite.
fn check_inside<T: Scalar, L: Layer<T>, C: Cost<T> + ?Sized>(
    chain: &Chain<'_, T, L>,
    first: usize,
    cost: &C,
    at: &Outputs<'_, T>,
) -> Result<(), Error> {
    let a = at.a;
    let mut start = 0;
    for head in &chain.plan().heads {
        let rows = start..start + head.rows;
        start = rows.end;
        let link = cost.link_of(rows.clone(), a.nrows());
        if head.z.is_some() && head.link.is_some() && head.link == link {
            continue;
        }
        for (k, column) in a.column_iter().enumerate() {
            let present = at.present.map(|present| present.of(k));
            for unit in rows.clone() {
                if present.is_some_and(|present| !present[unit]) {
                    continue;
                }
                let (low, high) = cost.target_domain_of(unit);
                let value = to_f64(column[unit]);
                if !(value > low && value < high) {
                    return Err(Error::Output {
                        layer: (chain.depth() - 1).into(),
                        unit,
                        example: first + k,
                        value,
                        expected: "inside the interval of the targets, away from its ends",
                    });
                }
            }
        }
    }
    Ok(())
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
            Operator::Outputs | Operator::Gram | Operator::Pullback(_) => {
                check_part_inputs(first, x, self.x)?;
                None
            }
        };
        chain.forward(first, x, part)?;
        part.copy_outputs(results.outputs);
        if let Some((examples, cost)) = &given {
            let of = chain.heads(x, &part.output, &part.kept);
            let at = outputs_at(&of, *cost, examples);
            chain.check_domain(first, &at, *cost)?;
        }
        let inputs = self.along.inputs.map(|x| columns(x, first, m));
        let along = Tangent {
            inputs,
            ..self.along
        };
        if let Operator::Pullback(u) = &self.operator {
            chain.forward_tangent(first, x, part, along)?;
            part.start_from(columns(*u, first, m));
            part.delta_tangent[..u.nrows() * m].fill(T::zero());
            let wanted = Wanted {
                gradient: sums.map_or(LayerGradient::None, LayerGradient::Sum),
                input_delta: results.input_delta,
            };
            return chain.backward_tangent(first, x, part, along, wanted);
        }
        let Some(sums) = sums else {
            chain.forward_tangent(first, x, part, along)?;
            if let Some(columns) = results.columns {
                columns.copy_from_slice(&part.output_tangent[..columns.len()]);
            }
            return Ok(());
        };
        let p = chain.network.parameters().max(1);
        for (d, sums) in sums.chunks_exact_mut(p).enumerate() {
            let theta = along.parameters.map(|all| &all[d * p..][..p]);
            let along = Tangent {
                parameters: theta,
                ..along
            };
            chain.forward_tangent(first, x, part, along)?;
            match (&self.operator, &given) {
                (Operator::Hessian(..), Some((examples, cost))) => {
                    chain.cost_delta_tangent(examples, *cost, part)?;
                    let wanted = Wanted::gradient(LayerGradient::Sum(sums));
                    chain.backward_tangent(first, x, part, along, wanted)?;
                    continue;
                }
                (Operator::GaussNewton(_, _, at), Some((examples, cost))) => {
                    self.curvature(first, x, (examples, *cost), *at, part)?;
                }
                _ => {
                    let len = m * chain.network.outputs();
                    part.delta[..len].copy_from_slice(&part.output_tangent[..len]);
                    part.linked.fill(false);
                }
            }
            let wanted = Wanted::gradient(LayerGradient::Sum(sums));
            chain.backward(first, x, part, wanted);
        }
        Ok(())
    }
}

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Checks the directions of a product: one or more θ̇ in sequence, one ẋ, or both.
    pub(super) fn check_directions(
        &self,
        direction: Tangent<'_, T>,
        x: DMatrixView<'_, T>,
        product: &[T],
    ) -> Result<(), Error> {
        let p = self.parameters();
        let directions = match direction.parameters {
            Some(v) => v.len().checked_div(p).unwrap_or(0).max(1),
            None => 1,
        };
        self.check_tangent(("v", direction), directions, x)?;
        check_length("the product", directions * p, product.len())
    }

    /// Checks a direction with `directions` vectors θ̇ in sequence, which errors call `name`.
    pub(super) fn check_tangent(
        &self,
        (name, direction): (&'static str, Tangent<'_, T>),
        directions: usize,
        x: DMatrixView<'_, T>,
    ) -> Result<(), Error> {
        if let Some(theta) = direction.parameters {
            check_vector(name, theta, directions * self.parameters())?;
        }
        let Some(x_tangent) = direction.inputs else {
            return Ok(());
        };
        if x_tangent.shape() != x.shape() {
            return Err(Error::Shape {
                what: "Ẋ",
                expected: x.shape(),
                found: x_tangent.shape(),
            });
        }
        check_finite("Ẋ", x_tangent)?;
        self.layout().plan().check_direction(x_tangent)
    }
}
