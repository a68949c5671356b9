//! The line search of the full-batch solvers, behind argmin's interface.

use super::line_search::{Sample, Wolfe};
use crate::kernels::largest;
use crate::scalar::{Scalar, real, to_f64};
use argmin::core::{
    ArgminFloat, CostFunction, Error as ArgminError, Gradient, IterState, KV, LineSearch, Problem,
    Solver, State, TerminationReason,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) type Point<T> = IterState<Vec<T>, Vec<T>, (), (), (), T>;

/// Returns ‖x‖ in `f64`, because the norm of an `f32` vector may overflow `f32`. It is NaN if an
/// entry is NaN.
pub(super) fn length<T: Scalar>(x: &[T]) -> f64 {
    let most = to_f64(largest(x)).max(f64::MIN_POSITIVE);
    let squares = x.iter().map(|x| (to_f64(*x) / most).powi(2));
    most * squares.sum::<f64>().sqrt()
}

/// The solver that uses a search. Each has its own conditions and first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum For {
    Lbfgs,
    ConjugateGradient,
}

/// Moré and Thuente's search along a direction that a solver sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Copy + Serialize + serde::de::DeserializeOwned")]
pub(super) struct Search<T> {
    solver: For,
    before: Before<T>,
    #[serde(skip)]
    direction: Vec<T>,
}

/// J before the last step. Clones share it, because argmin clones a search for each use.
#[derive(Clone, Debug)]
struct Before<T>(Arc<Mutex<Option<T>>>);

impl<T: Copy> Before<T> {
    fn get(&self) -> Option<T> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, cost: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cost);
    }
}

impl<T: Copy + Serialize> Serialize for Before<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Before<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|before| Self(Arc::new(Mutex::new(before))))
    }
}

impl<T: Scalar + ArgminFloat> Search<T> {
    pub(super) fn new(solver: For) -> Self {
        Self {
            solver,
            before: Before(Arc::default()),
            direction: Vec::new(),
        }
    }

    /// Returns the difference of J below which rounding dominates.
    fn resolution(&self, cost: f64) -> f64 {
        4.0 * to_f64(T::default_epsilon()) * cost.abs()
    }

    fn wolfe(&self, cost: f64) -> Wolfe {
        let resolution = self.resolution(cost);
        match self.solver {
            // A quasi-Newton step is usually close to the minimum already, so a loose search takes
            // one evaluation.
            For::Lbfgs => Wolfe {
                decrease: 1e-3,
                curvature: 0.9,
                width: 0.1,
                resolution,
            },
            // Conjugate directions need a nearly exact search.
            For::ConjugateGradient => Wolfe {
                decrease: 1e-4,
                curvature: 0.1,
                width: 1e-6,
                resolution,
            },
        }
    }

    /// Returns the first step: 1 for a quasi-Newton direction, and min(1, 1/‖∇J‖) along −∇J, or
    /// more if rounding would hide so small a change of J. For conjugate gradients, it is the
    /// minimum of the parabola with the same decrease as in the last step (Nocedal and Wright,
    /// *Numerical Optimization*, 3.60).
    fn first_step(&self, gradient: &[T], start: Sample) -> f64 {
        let steepest = gradient.iter().zip(&self.direction).all(|(g, d)| *d == -*g);
        let before = self.before.get().map(to_f64);
        match before.map(|before| before - start.value) {
            Some(gained) if self.solver == For::ConjugateGradient && gained > 0.0 => {
                (1.01 * 2.0 * gained / -start.slope).min(1.0)
            }
            _ if steepest => {
                // The step whose predicted decrease is twice the resolution of J.
                let norm = length(gradient);
                let seen = 2.0 * self.resolution(start.value) / norm / norm;
                (1.0 / norm).max(seen).min(1.0)
            }
            _ => 1.0,
        }
    }
}

impl<T: Scalar + ArgminFloat> LineSearch<Vec<T>, T> for Search<T> {
    fn search_direction(&mut self, direction: Vec<T>) {
        self.direction = direction;
    }

    fn initial_step_length(&mut self, _: T) -> Result<(), ArgminError> {
        Ok(())
    }
}

impl<O, T> Solver<O, Point<T>> for Search<T>
where
    T: Scalar + ArgminFloat,
    O: CostFunction<Param = Vec<T>, Output = T> + Gradient<Param = Vec<T>, Gradient = Vec<T>>,
{
    fn name(&self) -> &str {
        "Moré–Thuente line search"
    }

    /// Runs the whole search. Returns an error if no step makes J smaller.
    fn next_iter(
        &mut self,
        problem: &mut Problem<O>,
        mut point: Point<T>,
    ) -> Result<(Point<T>, Option<KV>), ArgminError> {
        let nothing = || ArgminError::msg("the line search found no smaller J");
        let (Some(theta), Some(gradient)) = (point.take_param(), point.take_gradient()) else {
            return Err(nothing());
        };
        let cost = point.get_cost();
        let direction = &self.direction;
        let slope = |gradient: &[T]| -> f64 {
            let terms = gradient.iter().zip(direction);
            terms.map(|(g, d)| to_f64(*g) * to_f64(*d)).sum()
        };
        let at = |step: f64| -> Vec<T> {
            let step = real::<T>(step);
            let entries = theta.iter().zip(direction);
            entries.map(|(theta, d)| *theta + step * *d).collect()
        };
        let start = Sample {
            step: 0.0,
            value: to_f64(cost),
            slope: slope(&gradient),
        };
        let first = self.first_step(&gradient, start);
        let found = self.wolfe(start.value).search(start, first, |step| {
            let theta = at(step);
            let value = to_f64(problem.cost(&theta)?);
            if !value.is_finite() {
                return Ok(None);
            }
            let slope = slope(&problem.gradient(&theta)?);
            Ok::<_, ArgminError>(Some(Sample { step, value, slope }))
        })?;
        let found = found.ok_or_else(nothing)?;
        self.before.set(cost);
        let point = point.param(at(found.step)).cost(real(found.value));
        Ok((
            point.terminate_with(TerminationReason::SolverConverged),
            None,
        ))
    }
}
