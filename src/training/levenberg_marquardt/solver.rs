//! The iterations of Levenberg–Marquardt, and their state.

use super::LevenbergMarquardt;
use super::model::{Damping, Model, Step};
use crate::error::Error;
#[cfg(feature = "serde")]
use crate::error::checkpoint;
use crate::examples::check_length;
use crate::kernels::{all_finite, norm};
use crate::scalar::{Scalar, to_f64};
use crate::training::full_batch::{FullBatch, Iteration, LeastSquares, Method, Problem};
use crate::training::history::Stop;

#[cfg(feature = "serde")]
use crate::{scalar::real, training::full_batch::Reached};
use nalgebra::DVector;
use std::fmt::{self, Debug, Formatter};

/// An undamped step is at most this many times as long as the last step taken.
const REACH: f64 = 10.0;

/// A step is at most this many times the larger of ‖D θ‖ and the last step: MINPACK's factor.
const LONGEST: f64 = 100.0;

/// The solver with its memory between iterations.
struct Solver<T: Scalar> {
    settings: LevenbergMarquardt,
    /// `None` before the first iteration.
    memory: Option<Memory<T>>,
}

struct Memory<T: Scalar> {
    damping: Damping,
    /// D.
    scale: DVector<T>,
    /// ‖D p‖ of the last step taken; 0 before the first.
    last: f64,
    /// The model at θ; `None` at the start of a run and, after a resume, until it is computed
    /// again.
    here: Option<Point<T>>,
}

/// The part of the memory that a checkpoint holds. The rest is computed from θ.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    damping: Damping,
    scale: Vec<f64>,
    last: f64,
}

/// J and its model at some θ.
struct Point<T: Scalar> {
    cost: T,
    /// J computed with the absolute value of each example's cost.
    magnitude: f64,
    gradient: DVector<T>,
    model: Model<T>,
    /// The undamped step; `None` if it overflows.
    newton: Option<Step<T>>,
}

impl<T: Scalar> From<LevenbergMarquardt> for Method<T> {
    fn from(settings: LevenbergMarquardt) -> Self {
        Self::FullBatch(Box::new(Solver {
            settings,
            memory: None,
        }))
    }
}

impl<T: Scalar> Memory<T> {
    fn new(damping: f64, parameters: usize) -> Self {
        Self {
            damping: Damping::new::<T>(damping),
            scale: DVector::zeros(parameters),
            last: 0.0,
            here: None,
        }
    }

    /// Computes the model at θ, and the undamped step from there.
    fn arrive(&mut self, found: LeastSquares<T>) -> Result<Point<T>, Error> {
        let mut point = Point::new(found, self.scale.len())?;
        point.model.widen(&mut self.scale);
        point.newton = point.model.newton(&self.scale);
        Ok(point)
    }
}

impl<T: Scalar> Point<T> {
    fn new(found: LeastSquares<T>, parameters: usize) -> Result<Self, Error> {
        let LeastSquares {
            cost,
            magnitude,
            triangle,
            right,
        } = found;
        let (what, expected) = ("the least-squares form of J", (parameters, parameters));
        for (expected, found) in [
            (expected, triangle.shape()),
            ((parameters, 1), right.shape()),
        ] {
            if found != expected {
                return Err(Error::Shape {
                    what,
                    expected,
                    found,
                });
            }
        }
        // ∇J = Rᵀc.
        let columns = triangle.column_iter().map(|column| {
            let pairs = column.iter().zip(right.iter());
            pairs.fold(T::zero(), |sum, (&r, &c)| sum + r * c)
        });
        let gradient = DVector::from_iterator(parameters, columns);
        Ok(Self {
            cost,
            magnitude,
            gradient,
            model: Model::new(triangle, right),
            newton: None,
        })
    }

    /// Returns whether the gradient or the undamped step is within the tolerance.
    fn is_minimum(&self, theta: &[T], settings: &LevenbergMarquardt) -> bool {
        let is_small = |step: &Step<T>| {
            let mut entries = step.p.iter().zip(theta);
            entries.all(|(p, theta)| to_f64(p.abs()) <= settings.step * to_f64(theta.abs()))
        };
        self.model.slope() <= settings.gradient * self.residual()
            || self.newton.as_ref().is_some_and(is_small)
    }

    /// Returns √(2 J), which is ‖r‖ for a squared error.
    fn residual(&self) -> f64 {
        (2.0 * self.magnitude).sqrt()
    }

    /// Returns the smallest ‖Qᵀr‖ that rounding does not hide in J. Both the sum J and the outputs,
    /// which are computed from rounded parameters, have rounding errors.
    fn rounding(&self, theta: &DVector<T>) -> f64 {
        let (residual, outputs) = (self.residual(), 4.0 * self.model.rounding(theta));
        let sums = 4.0 * to_f64(T::default_epsilon()) * residual;
        (residual * (sums + 2.0 * outputs)).sqrt() + outputs
    }

    fn iteration(&self, evaluations: u64, stop: Option<Stop>) -> Iteration<T> {
        Iteration {
            cost: self.cost,
            evaluations,
            stop,
        }
    }
}

/// Returns the model of J near θ if J is smaller than `cost` and its derivatives are finite there.
fn improvement<T: Scalar>(
    problem: &mut dyn Problem<T>,
    theta: &[T],
    cost: T,
) -> Result<Option<LeastSquares<T>>, Error> {
    if !all_finite(theta) {
        return Ok(None);
    }
    let found = match problem.cost(theta) {
        Ok(found) if found < cost => problem.least_squares(theta).map(Some),
        found => found.map(|_| None),
    };
    match found {
        Err(error) if error.is_of_point() => Ok(None),
        found => found,
    }
}

impl<T: Scalar> FullBatch<T> for Solver<T> {
    fn name(&self) -> &'static str {
        "Levenberg–Marquardt"
    }

    fn validate(&self) -> Result<(), Error> {
        self.settings.validate()
    }

    fn reset(&mut self) {
        self.memory = None;
    }

    fn iterate(
        &mut self,
        problem: &mut dyn Problem<T>,
        theta: &mut [T],
        gradient: &mut [T],
    ) -> Result<Iteration<T>, Error> {
        let known = self.memory.as_ref().map(|memory| memory.scale.len());
        check_length("θ", known.unwrap_or(theta.len()), theta.len())?;
        check_length("∇J", theta.len(), gradient.len())?;
        // A resumed run has already counted the evaluation at its start.
        let mut evaluations = u64::from(self.memory.is_none());
        let new = || Memory::new(self.settings.damping, theta.len());
        let memory = self.memory.get_or_insert_with(new);
        let mut here = match memory.here.take() {
            Some(here) => here,
            None => memory.arrive(problem.least_squares(theta)?)?,
        };
        gradient.copy_from_slice(here.gradient.as_slice());
        if here.is_minimum(theta, &self.settings) {
            let done = here.iteration(evaluations, Some(Stop::Converged));
            memory.here = Some(here);
            return Ok(done);
        }
        let start = DVector::from_column_slice(theta);
        let size = to_f64(norm(memory.scale.component_mul(&start).as_slice()));
        let slope = here.model.slope();
        let rounding = here.rounding(&start);
        let settled = slope <= rounding;
        let mut newton = here.newton.take();
        let mut near = newton.take_if(|step| settled || step.length <= REACH * memory.last);
        let mut refused = false;
        let there = loop {
            let damped = near.is_none();
            let step = match near.take() {
                Some(step) => Some(step),
                None if settled => None,
                None => {
                    let (model, scale) = (&here.model, &memory.scale);
                    memory.damping.step(model, scale, rounding, refused)?
                }
            };
            let Some(step) = step.or_else(|| newton.take().filter(|_| !refused)) else {
                // No short step predicts a decrease above the rounding of J. That is a minimum,
                // unless the gradient is larger (a kink) or the undamped step predicts far more
                // (a plateau).
                let small = here.model.gradient() <= rounding && slope <= 10.0 * rounding;
                let stop = if settled || small {
                    Stop::Converged
                } else {
                    Stop::NoDescent
                };
                return Ok(here.iteration(evaluations, Some(stop)));
            };
            evaluations += 1;
            // The columns of saturated units are almost 0, so a step that is short in the norm of D
            // can be huge in θ.
            let fits = size == 0.0 || step.length <= LONGEST * size.max(memory.last);
            let target = &start + &step.p;
            let found = if fits {
                improvement(problem, target.as_slice(), here.cost)?
            } else {
                None
            };
            if let Some(found) = found {
                let gain = to_f64(here.cost - found.cost);
                let ratio = 2.0 * gain / step.promise.powi(2);
                memory.damping.taken::<T>(ratio);
                memory.last = step.length;
                theta.copy_from_slice(target.as_slice());
                break memory.arrive(found)?;
            }
            if damped {
                memory.damping.refused();
                refused = true;
            }
        };
        gradient.copy_from_slice(there.gradient.as_slice());
        let converged = there.is_minimum(theta, &self.settings);
        let done = there.iteration(evaluations, converged.then_some(Stop::Converged));
        memory.here = Some(there);
        Ok(done)
    }

    #[cfg(feature = "serde")]
    fn save(&self) -> Result<Option<serde_json::Value>, Error> {
        let Some(memory) = &self.memory else {
            return Ok(None);
        };
        let saved = Saved {
            damping: memory.damping,
            scale: memory.scale.iter().map(|&d| to_f64(d)).collect(),
            last: memory.last,
        };
        serde_json::to_value(saved).map(Some).map_err(checkpoint)
    }

    #[cfg(feature = "serde")]
    fn load(&mut self, state: Option<&serde_json::Value>, at: Reached<'_, T>) -> Result<(), Error> {
        let Some(state) = state else {
            return Err(checkpoint("the solver's state is missing"));
        };
        let saved = <Saved as serde::Deserialize>::deserialize(state);
        let saved = saved.map_err(|error| checkpoint(format!("the solver's state: {error}")))?;
        let scale: Vec<T> = saved.scale.iter().map(|&d| real(d)).collect();
        let lengths = all_finite(&scale) && scale.iter().all(|&d| d >= T::zero());
        let is_valid = scale.len() == at.theta.len()
            && lengths
            && saved.damping.is_valid::<T>()
            && saved.last >= 0.0
            && saved.last.is_finite();
        if !is_valid {
            return Err(checkpoint(
                "the solver's state does not fit the training run",
            ));
        }
        self.memory = Some(Memory {
            damping: saved.damping,
            scale: DVector::from_vec(scale),
            last: saved.last,
            here: None,
        });
        Ok(())
    }
}

impl<T: Scalar> Debug for Solver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
