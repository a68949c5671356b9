//! J of a network as a function of the parameters that move, for the full-batch solvers.

use super::full_batch::{FullBatch, Iteration, LeastSquares, Problem};
use super::history::Stop;
use super::plan::Set;
use super::sweep::{Sweep, Work};
use crate::allocation::resize;
use crate::cost::Cost;
use crate::derivatives::GaussNewton;
use crate::error::Error;
use crate::gradient::{CostParts, Sums, finish};
use crate::layer::Layer;
use crate::layout::Layout;
use crate::network::Network;
use crate::objective::Objective;
use crate::point::Point;
use crate::scalar::{Scalar, to_f64};
use crate::source::in_memory;
use crate::workspace::Workspace;
use std::ops::Range;

/// The ranges of θ that move, and buffers for them and for all of θ.
#[derive(Debug)]
pub(super) struct Moving<T> {
    ranges: Vec<Range<usize>>,
    /// θ and ∇J of a solver, without the frozen entries.
    theta: Vec<T>,
    gradient: Vec<T>,
    /// θ and ∇J of the network at a point that the solver tries.
    all_theta: Vec<T>,
    all_gradient: Vec<T>,
}

impl<T: Scalar> Moving<T> {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            ranges: layout.moving().to_vec(),
            theta: Vec::new(),
            gradient: Vec::new(),
            all_theta: Vec::new(),
            all_gradient: Vec::new(),
        }
    }

    /// Sizes the buffers, and starts from θ.
    fn start(&mut self, theta: &[T]) -> Result<(), Error> {
        let len = self.ranges.iter().map(Range::len).sum();
        for (buffer, len) in [
            (&mut self.theta, len),
            (&mut self.gradient, len),
            (&mut self.all_theta, theta.len()),
            (&mut self.all_gradient, theta.len()),
        ] {
            resize(buffer, "the parameters", (len, 1), T::zero())?;
        }
        self.all_theta.copy_from_slice(theta);
        gather(&self.ranges, theta, &mut self.theta);
        Ok(())
    }
}

/// Returns the entries in these ranges.
#[cfg(feature = "serde")]
pub(super) fn moving_entries<T: Scalar>(layout: &Layout, all: &[T]) -> Vec<T> {
    let ranges = layout.moving().iter().cloned();
    ranges
        .flat_map(|range| all[range].iter().copied())
        .collect()
}

fn gather<T: Copy>(ranges: &[Range<usize>], all: &[T], mut moving: &mut [T]) {
    for range in ranges {
        let (now, rest) = moving.split_at_mut(range.len());
        now.copy_from_slice(&all[range.clone()]);
        moving = rest;
    }
}

fn scatter<T: Copy>(ranges: &[Range<usize>], mut moving: &[T], all: &mut [T]) {
    for range in ranges {
        let (now, rest) = moving.split_at(range.len());
        all[range.clone()].copy_from_slice(now);
        moving = rest;
    }
}

/// J of a network over all examples of a run.
pub(super) struct NetworkProblem<'p, 'c, T: Scalar, L, C> {
    pub(super) network: &'p Network<T, L>,
    pub(super) set: Set<'p, T>,
    pub(super) sweep: &'p mut Sweep<'c, T>,
    pub(super) objective: &'p Objective<C>,
    pub(super) workspace: &'p mut Workspace<T>,
    pub(super) moving: &'p mut Moving<T>,
    /// The state of the layers, whose statistics an iteration replaces.
    pub(super) state: &'p mut [T],
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> NetworkProblem<'_, '_, T, L, C> {
    /// Runs one iteration of a solver on the parameters that move, and updates all of θ and ∇J.
    pub(super) fn iterate(
        &mut self,
        solver: &mut dyn FullBatch<T>,
        theta: &mut [T],
        gradient: &mut [T],
    ) -> Result<Iteration<T>, Error> {
        self.moving.start(theta)?;
        // With layers that gather statistics, J is a function of those of all examples.
        let gathers = self.network.layout().plan().gathering().is_some();
        self.workspace.set_training(gathers.then_some(0));
        self.workspace.replaces_statistics = gathers;
        let done = self.search(solver, theta, gradient);
        let done = match done {
            Ok(done) if gathers => self.gather(theta).map(|()| done),
            done => done,
        };
        self.workspace.set_training(None);
        self.workspace.replaces_statistics = false;
        done
    }

    /// Makes the running statistics those of all examples at θ.
    fn gather(&mut self, theta: &[T]) -> Result<(), Error> {
        let work = Work {
            network: self.network,
            point: Point {
                theta,
                state: self.state,
            },
            cost: &self.objective.cost,
            source: self.set.source,
            order: self.set.order,
        };
        self.sweep.all(work, self.workspace, None)?;
        if let Some(new) = self.workspace.new_state(self.network.layout_arc()) {
            self.state.copy_from_slice(new);
        }
        Ok(())
    }

    /// Returns J at θ without its frozen entries, and writes ∇J if it is requested.
    fn evaluate(&mut self, theta: &[T], gradient: Option<&mut [T]>) -> Result<CostParts<T>, Error> {
        let Moving {
            ranges,
            all_theta,
            all_gradient,
            ..
        } = &mut *self.moving;
        scatter(ranges, theta, all_theta);
        let work = Work {
            network: self.network,
            point: Point {
                theta: all_theta,
                state: self.state,
            },
            cost: &self.objective.cost,
            source: self.set.source,
            order: self.set.order,
        };
        let mut into = gradient.is_some().then_some(&mut all_gradient[..]);
        let sum = self.sweep.all(work, self.workspace, into.as_deref_mut())?;
        let (layout, penalty) = (self.network.layout(), &self.objective.penalty);
        let sums = Sums::new(sum, self.set.weight);
        let parts = finish(layout, penalty, all_theta, sums, into)?;
        if let Some(gradient) = gradient {
            gather(ranges, all_gradient, gradient);
        }
        Ok(parts)
    }

    fn search(
        &mut self,
        solver: &mut dyn FullBatch<T>,
        theta: &mut [T],
        gradient: &mut [T],
    ) -> Result<Iteration<T>, Error> {
        if self.moving.theta.is_empty() {
            gradient.fill(T::zero());
            return Ok(Iteration {
                cost: self.cost(&[])?,
                evaluations: 1,
                stop: Some(Stop::Converged),
            });
        }
        let mut of_theta = std::mem::take(&mut self.moving.theta);
        let mut of_gradient = std::mem::take(&mut self.moving.gradient);
        let done = solver.iterate(self, &mut of_theta, &mut of_gradient);
        scatter(&self.moving.ranges, &of_theta, theta);
        gradient.fill(T::zero());
        scatter(&self.moving.ranges, &of_gradient, gradient);
        (self.moving.theta, self.moving.gradient) = (of_theta, of_gradient);
        done
    }
}

impl<T: Scalar, L: Layer<T>, C: Cost<T>> Problem<T> for NetworkProblem<'_, '_, T, L, C> {
    fn cost(&mut self, theta: &[T]) -> Result<T, Error> {
        Ok(self.evaluate(theta, None)?.total())
    }

    fn gradient(&mut self, theta: &[T], gradient: &mut [T]) -> Result<T, Error> {
        Ok(self.evaluate(theta, Some(gradient))?.total())
    }

    fn least_squares(&mut self, theta: &[T]) -> Result<LeastSquares<T>, Error> {
        let examples = in_memory(self.set.source);
        let (Some(examples), None) = (&examples, &self.sweep.ranks) else {
            return Err(Error::Unsupported {
                what: "examples that are not in the memory of one process",
                by: "a least-squares solver",
            });
        };
        let (network, objective) = (self.network, self.objective);
        let (workspace, theta) = (&mut *self.workspace, {
            let Moving {
                ranges, all_theta, ..
            } = &mut *self.moving;
            scatter(ranges, theta, all_theta);
            &all_theta[..]
        });
        let state = &*self.state;
        let parts = network.cost_at(Point { theta, state }, examples, objective, workspace)?;
        let costs = workspace.costs().iter().map(|&cost| to_f64(cost).abs());
        let sum: f64 = match examples.weights {
            None => costs.sum(),
            Some(weights) => costs.zip(weights).map(|(cost, weight)| cost * weight).sum(),
        };
        let magnitude = sum / examples.weight + to_f64(parts.penalty).abs();
        let at = if network.is_canonical(&objective.cost) {
            GaussNewton::Logits
        } else {
            GaussNewton::Outputs
        };
        let given = (examples, objective);
        let root = network.gauss_newton_root(theta, given, (at, magnitude), workspace)?;
        let (triangle, right) = root.into_parts();
        Ok(LeastSquares {
            cost: parts.total(),
            magnitude,
            triangle,
            right,
        })
    }
}
