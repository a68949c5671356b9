//! The computations of a pass: outputs, J, ∇J, Δ and ∂J/∂X.

use super::Network;
use super::chain::Chain;
use super::cut::Cut;
use super::job::JobResults;
use super::pass::{Pass, Place, Seed};
use crate::allocation::resize;
use crate::cost::{AnyCost, Cost};
use crate::error::{Error, Location, hyperparameter};
use crate::examples::{Examples, check_length, check_rows};
use crate::gradient::{CostParts, Sums, check_gradient, finish};
use crate::kernels::{self, tree::fold};
use crate::layer::{Keep, Layer};
use crate::link::Link;
use crate::objective::Objective;
use crate::point::Point;
use crate::scalar::{Scalar, real, to_f64};
use crate::workspace::Workspace;
use nalgebra::DMatrixView;
use std::ops::Range;

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    pub(crate) fn check_inputs(&self, x: DMatrixView<'_, T>) -> Result<(), Error> {
        check_rows("X", x, self.inputs())?;
        if x.ncols() == 0 {
            return Err(Error::NoExamples);
        }
        self.layout.plan().check_ids(x)
    }

    /// Checks that examples fit the network and the cost.
    pub(crate) fn check_examples<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
    ) -> Result<(), Error> {
        let outputs = self.outputs();
        examples.check(self.inputs(), outputs, cost)?;
        self.layout.plan().check_ids(examples.x)?;
        let Some(present) = examples.present else {
            return Ok(());
        };
        let mut unit = 0;
        while unit < outputs {
            // The groups of the cost and those of softmax heads, joined where they overlap.
            let (mut next, mut end) = (unit, unit + 1);
            while next < end {
                let of_cost = cost.target_group(next, outputs);
                for group in [Some(of_cost), self.softmax_rows(next)]
                    .into_iter()
                    .flatten()
                {
                    if group.start < unit || !group.contains(&next) || group.end > outputs {
                        return Err(hyperparameter(
                            "the first row of a group of targets",
                            group.start as f64,
                            "groups that cut the outputs into ranges, in order",
                        ));
                    }
                    end = end.max(group.end);
                }
                next += 1;
            }
            let rows = unit..end;
            let is_partial = |&example: &usize| {
                let of_group = &present.of(example)[rows.clone()];
                of_group.iter().any(|&present| present != of_group[0])
            };
            if let Some(example) = (0..examples.len()).find(is_partial) {
                return Err(Error::PartialTargets { example, rows });
            }
            unit = rows.end;
        }
        Ok(())
    }

    /// Returns the rows of the head with this output, if its activation is a softmax.
    fn softmax_rows(&self, unit: usize) -> Option<Range<usize>> {
        let mut start = 0;
        let mut heads = self.layout.plan().heads.iter().map(|head| {
            let rows = start..start + head.rows;
            start = rows.end;
            (rows, head.link)
        });
        let (rows, link) = heads.find(|(rows, _)| rows.contains(&unit))?;
        (link == Some(Link::Softmax)).then_some(rows)
    }

    /// Rejects a single output where one per class is needed, because there is nothing to learn.
    /// The derivatives are still valid, so only minimisers call this.
    pub(crate) fn check_classes<C: Cost<T> + ?Sized>(&self, cost: &C) -> Result<(), Error> {
        let softmax = Some(Link::Softmax);
        let link = self.link();
        let what = match (self.outputs(), link == softmax, cost.link() == softmax) {
            (1, true, _) => "Softmax",
            (1, _, true) => "CategoricalCrossEntropy",
            _ => return Ok(()),
        };
        Err(Error::SingleOutput {
            what,
            expected: "Sigmoid with BinaryCrossEntropy",
        })
    }

    /// Returns θ with the state that belongs to it.
    #[inline]
    pub(crate) fn point(&self) -> Point<'_, T> {
        self.point_at(self.theta.as_slice())
    }

    /// Returns another θ with the state of this network.
    #[inline]
    pub(crate) fn point_at<'a>(&'a self, theta: &'a [T]) -> Point<'a, T> {
        let state = self.state.as_slice();
        Point { theta, state }
    }

    /// Returns the layers at a point, outside training.
    pub(crate) fn chain<'a>(&'a self, point: Point<'a, T>) -> Chain<'a, T, L> {
        Chain {
            network: self,
            point,
            training: None,
            replaces_statistics: false,
            keep: Keep::Nothing,
        }
    }

    /// Returns the link that the outputs invert.
    fn link(&self) -> Option<Link> {
        self.layout.plan().single_head()?.link
    }

    /// Returns whether the cost of every head is computed from z.
    pub(crate) fn is_canonical<C: Cost<T> + ?Sized>(&self, cost: &C) -> bool {
        let plan = self.layout.plan();
        let mut start = 0;
        plan.heads.iter().all(|head| {
            let rows = start..start + head.rows;
            start = rows.end;
            head.link.is_some() && head.link == cost.link_of(rows, plan.outputs())
        })
    }

    /// Computes z and a of every layer in the workspace. The first a that is not finite ends the
    /// pass.
    pub(crate) fn run_forward(
        &self,
        point: Point<'_, T>,
        x: DMatrixView<'_, T>,
        workspace: &mut Workspace<T>,
    ) -> Result<(), Error> {
        let pass = Pass {
            chain: self.chain(point),
            x,
            place: Place::whole(self.cut(x.ncols(), workspace.training.is_some())),
            seed: Seed::<_, AnyCost>::None,
            divisor: T::one(),
        };
        pass.run(workspace, JobResults::none())
    }

    /// Returns Σ w·cost, and writes Σ w·Δ and w·∂cost/∂X / Σw where requested.
    pub(crate) fn sum<C: Cost<T> + ?Sized>(
        &self,
        point: Point<'_, T>,
        (examples, cost): (&Examples<'_, T>, &C),
        workspace: &mut Workspace<T>,
        (gradient, input_delta): (Option<&mut [T]>, Option<&mut [T]>),
    ) -> Result<T, Error> {
        let cut = self.cut(examples.len(), workspace.training.is_some());
        let into = JobResults {
            sums: gradient,
            input_delta,
            columns: None,
        };
        self.sum_at(Place::whole(cut), point, examples, cost, workspace, into)?;
        let costs = PartCosts::new(examples, cut, workspace);
        check_cost(match cut.parts() {
            1 => costs.of(0),
            parts => fold(0..parts, &|part| costs.of(part)),
        })
    }

    /// Leaves the costs of examples of a batch in the workspace, and writes Σ w·Δ and w·∂cost/∂X /
    /// Σw where requested.
    #[inline(always)]
    pub(crate) fn sum_at<C: Cost<T> + ?Sized>(
        &self,
        place: Place,
        point: Point<'_, T>,
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
        into: JobResults<'_, T>,
    ) -> Result<(), Error> {
        self.check_examples(examples, cost)?;
        if into.input_delta.is_some() {
            self.layout.plan().check_differentiates_inputs()?;
        }
        let pass = Pass {
            chain: self.chain(point),
            x: examples.x,
            place,
            seed: Seed::Cost(examples, cost),
            divisor: real(examples.weight),
        };
        pass.run(workspace, into)
    }

    pub(crate) fn cost_at<C: Cost<T>>(
        &self,
        point: Point<'_, T>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<CostParts<T>, Error> {
        objective.validate(&self.layout)?;
        let sum = self.sum(point, (examples, &objective.cost), workspace, (None, None))?;
        let sums = Sums::new(sum, examples.weight);
        finish(&self.layout, &objective.penalty, point.theta, sums, None)
    }

    pub(crate) fn gradient_at<C: Cost<T>>(
        &self,
        point: Point<'_, T>,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
        gradient: &mut [T],
    ) -> Result<CostParts<T>, Error> {
        check_length("the gradient", self.parameters(), gradient.len())?;
        objective.validate(&self.layout)?;
        let at = (examples, &objective.cost);
        let sum = self.sum(point, at, workspace, (Some(&mut *gradient), None))?;
        let sums = Sums::new(sum, examples.weight);
        finish(
            &self.layout,
            &objective.penalty,
            point.theta,
            sums,
            Some(gradient),
        )
    }

    /// Returns Σ w·cost and writes Δ to `delta`, both unscaled, for an accumulator to add.
    pub(crate) fn sum_batch<C: Cost<T> + ?Sized>(
        &self,
        examples: &Examples<'_, T>,
        cost: &C,
        workspace: &mut Workspace<T>,
        delta: &mut Vec<T>,
    ) -> Result<T, Error> {
        resize(delta, "Δ", (self.parameters(), 1), T::zero())?;
        let sum = self.sum(
            self.point(),
            (examples, cost),
            workspace,
            (Some(&mut *delta), None),
        )?;
        check_gradient(&self.layout, delta)?;
        Ok(sum)
    }
}

/// The costs of examples, part by part.
pub(crate) struct PartCosts<'a, T> {
    cut: Cut,
    values: &'a [T],
    weights: Option<&'a [f64]>,
}

impl<'a, T: Scalar> PartCosts<'a, T> {
    /// Takes the costs that [`Network::sum_at`] left.
    pub(crate) fn new(examples: &Examples<'a, T>, cut: Cut, workspace: &'a Workspace<T>) -> Self {
        Self {
            cut,
            values: &workspace.values,
            weights: examples.weights,
        }
    }

    /// Returns Σ w·cost of a part.
    #[inline]
    pub(crate) fn of(&self, part: usize) -> T {
        let range = self.cut.examples_of(&(part..part + 1));
        match self.weights {
            None => kernels::sum(&self.values[range]),
            Some(weights) => weighted_sum(&weights[range.clone()], &self.values[range]),
        }
    }
}

/// Checks that Σ w·cost is finite.
#[inline]
pub(crate) fn check_cost<T: Scalar>(sum: T) -> Result<T, Error> {
    if sum.is_finite() {
        return Ok(sum);
    }
    Err(Error::NonFinite {
        at: Location::Objective,
        value: to_f64(sum),
    })
}

/// Returns Σ wₖ vₖ by pairwise summation, like [`kernels::sum`].
fn weighted_sum<T: Scalar>(weights: &[f64], values: &[T]) -> T {
    if values.len() <= 32 {
        let pairs = weights.iter().zip(values);
        return pairs.fold(T::zero(), |sum, (&w, &v)| sum + real::<T>(w) * v);
    }
    let half = values.len() / 2;
    weighted_sum(&weights[..half], &values[..half])
        + weighted_sum(&weights[half..], &values[half..])
}
