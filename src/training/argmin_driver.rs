//! Runs argmin's solvers iteration by iteration.

#[cfg(feature = "serde")]
use super::full_batch::Reached;
use super::full_batch::{FullBatch, Iteration, Problem};
use super::history::Stop;
use super::wolfe_search::{Point, length};
use crate::error::Error;
#[cfg(feature = "serde")]
use crate::error::checkpoint;
use crate::examples::check_length;
use crate::kernels::all_finite;
use crate::scalar::{Scalar, real, to_f64};
use argmin::core::{
    ArgminFloat, CostFunction, Error as ArgminError, Gradient, Problem as Counted, Solver, State,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "serde")]
use serde::{Deserialize, de::IgnoredAny};
#[cfg(feature = "serde")]
use serde_json::Value;
use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};

/// One of argmin's solvers, with its settings and its state between iterations.
pub(super) struct Driver<T, K, S> {
    pub(super) name: &'static str,
    pub(super) settings: K,
    pub(super) validate: fn(&K) -> Result<(), Error>,
    pub(super) make: fn(&K) -> S,
    pub(super) tolerance: Tolerance,
    /// The solver and its point; `None` before the first iteration.
    pub(super) current: Option<(S, Point<T>)>,
}

/// The condition for convergence: ‖∇J‖ ≤ `gradient`, or J fell by less than `cost`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub(super) gradient: f64,
    pub(super) cost: f64,
}

impl<T, K: Debug, S> Debug for Driver<T, K, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl<T, K, S> FullBatch<T> for Driver<T, K, S>
where
    T: Scalar + ArgminFloat + Serialize + DeserializeOwned,
    K: Debug + Send + Sync,
    S: for<'e> Solver<&'e Evaluated<'e, T>, Point<T>> + Serialize + DeserializeOwned + Send + Sync,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn validate(&self) -> Result<(), Error> {
        (self.validate)(&self.settings)
    }

    fn reset(&mut self) {
        self.current = None;
    }

    #[cfg(feature = "serde")]
    fn save(&self) -> Result<Option<Value>, Error> {
        let Some((solver, point)) = &self.current else {
            return Ok(None);
        };
        let state = (
            solver,
            point.get_param(),
            point.get_gradient(),
            point.get_cost(),
            point.get_iter(),
        );
        serde_json::to_value(state).map(Some).map_err(checkpoint)
    }

    #[cfg(feature = "serde")]
    fn load(&mut self, state: Option<&Value>, at: Reached<'_, T>) -> Result<(), Error> {
        self.current = match state {
            None => None,
            Some(state) => {
                type State<T> = (IgnoredAny, Vec<T>, Vec<T>, T, u64);
                let new = serde_json::to_value((self.make)(&self.settings)).map_err(checkpoint)?;
                let saved = state.get(0).unwrap_or(&Value::Null);
                let made = state.get(4).and_then(Value::as_u64);
                let solver =
                    saved::restore::<T>(saved, new, at.theta.len(), made).map_err(checkpoint)?;
                let solver = S::deserialize(solver).map_err(checkpoint)?;
                let (_, theta, gradient, cost, iterations) =
                    State::<T>::deserialize(state).map_err(checkpoint)?;
                // An iteration is an epoch, and the solver is at the point of the run.
                if iterations > at.epochs
                    || theta != at.theta
                    || gradient.len() != theta.len()
                    || !all_finite(&gradient)
                    || to_f64(cost) != at.cost
                {
                    return Err(checkpoint(
                        "the solver's state does not fit the training run",
                    ));
                }
                let mut point = Point::new().param(theta).gradient(gradient).cost(cost);
                (0..iterations).for_each(|_| point.increment_iter());
                Some((solver, point))
            }
        };
        Ok(())
    }

    fn iterate(
        &mut self,
        problem: &mut dyn Problem<T>,
        theta: &mut [T],
        gradient: &mut [T],
    ) -> Result<Iteration<T>, Error> {
        let known = self.current.as_ref();
        let known = known.and_then(|(_, point)| point.get_param().map(Vec::len));
        check_length("θ", known.unwrap_or(theta.len()), theta.len())?;
        check_length("∇J", theta.len(), gradient.len())?;
        let evaluated = Evaluated::new(problem);
        let (solver, point) = match self.current.take() {
            Some(current) => current,
            None => self.begin(Point::new().param(theta.to_vec()), &evaluated)?,
        };
        let cost = point.get_cost();
        copy(point.get_gradient(), gradient)?;
        if self.is_small(gradient) {
            self.current = Some((solver, point));
            return Ok(evaluated.iteration(cost, Some(Stop::Converged)));
        }
        let remembers = point.get_iter() > 0;
        let mut moved = advance(solver, point, &evaluated)?;
        if moved.is_none() && remembers {
            // The memory may mislead the solver, so try once more along −∇J.
            let start = Point::new().param(theta.to_vec()).cost(cost);
            let (solver, point) = self.begin(start.gradient(gradient.to_vec()), &evaluated)?;
            moved = advance(solver, point, &evaluated)?;
        }
        let Some((solver, mut point)) = moved else {
            return Ok(evaluated.iteration(cost, Some(Stop::NoDescent)));
        };
        copy(point.get_param(), theta)?;
        copy(point.get_gradient(), gradient)?;
        let fell = to_f64(cost) - to_f64(point.get_cost());
        let converged = self.is_small(gradient) || fell < self.tolerance.cost;
        let cost = point.get_cost();
        point.increment_iter();
        self.current = Some((solver, point));
        Ok(evaluated.iteration(cost, converged.then_some(Stop::Converged)))
    }
}

impl<T: Scalar + ArgminFloat, K, S> Driver<T, K, S> {
    fn is_small(&self, gradient: &[T]) -> bool {
        length(gradient) <= self.tolerance.gradient
    }

    /// Starts a new solver, which has no memory yet, at a point. Evaluates J and ∇J unless the
    /// point contains them.
    fn begin<'e>(
        &self,
        point: Point<T>,
        evaluated: &'e Evaluated<'e, T>,
    ) -> Result<(S, Point<T>), Error>
    where
        S: Solver<&'e Evaluated<'e, T>, Point<T>>,
    {
        let mut solver = (self.make)(&self.settings);
        // An overflow that ended the previous search does not affect this start.
        evaluated.last.borrow_mut().failed = None;
        let begun = solver.init(&mut Counted::new(evaluated), point);
        match (evaluated.last.borrow().failed.clone(), begun) {
            (None, Ok((point, _))) => Ok((solver, point)),
            (Some(error), _) => Err(error),
            // argmin returns an error only for a start without θ.
            (None, Err(_)) => Err(lost()),
        }
    }
}

/// Advances the solver by one iteration. Returns `None` if its line search found no smaller J.
fn advance<'e, T, S>(
    mut solver: S,
    point: Point<T>,
    evaluated: &'e Evaluated<'e, T>,
) -> Result<Option<(S, Point<T>)>, Error>
where
    T: Scalar + ArgminFloat,
    S: Solver<&'e Evaluated<'e, T>, Point<T>>,
{
    let cost = point.get_cost();
    let before = point.get_gradient().map(|gradient| length(gradient));
    let next = solver.next_iter(&mut Counted::new(evaluated), point);
    let last = evaluated.last.borrow();
    if let Some(error) = last.failed.as_ref().filter(|error| !error.is_of_point()) {
        return Err(error.clone());
    }
    // If J is unchanged, a smaller gradient also counts as progress.
    let moved = next.ok().map(|(point, _)| point).filter(|point| {
        let slope = point.get_gradient().map(|gradient| length(gradient));
        point.get_param().is_some()
            && slope.is_some()
            && (point.get_cost() < cost || point.get_cost() == cost && slope < before)
    });
    Ok(moved.map(|point| (solver, point)))
}

/// Copies a vector that argmin holds into a slice of the same length.
fn copy<T: Copy>(from: Option<&Vec<T>>, to: &mut [T]) -> Result<(), Error> {
    match from.filter(|from| from.len() == to.len()) {
        Some(from) => to.copy_from_slice(from),
        None => return Err(lost()),
    }
    Ok(())
}

/// Returns the error for a lost θ or ∇J. All of argmin's solvers keep both.
fn lost() -> Error {
    Error::Unsupported {
        what: "a point with its gradient",
        by: "argmin's solver",
    }
}

/// Provides J and ∇J to argmin, which requests them in two calls, from one evaluation per point.
pub(super) struct Evaluated<'e, T: Scalar> {
    problem: RefCell<&'e mut dyn Problem<T>>,
    last: RefCell<Last<T>>,
}

struct Last<T> {
    theta: Vec<T>,
    gradient: Vec<T>,
    /// J at `theta`, or ∞ if the evaluation overflowed; `None` before the first evaluation.
    cost: Option<T>,
    /// The error of the last evaluation.
    failed: Option<Error>,
    evaluations: u64,
}

impl<'e, T: Scalar> Evaluated<'e, T> {
    fn new(problem: &'e mut dyn Problem<T>) -> Self {
        Self {
            problem: RefCell::new(problem),
            last: RefCell::new(Last {
                theta: Vec::new(),
                gradient: Vec::new(),
                cost: None,
                failed: None,
                evaluations: 0,
            }),
        }
    }

    fn iteration(&self, cost: T, stop: Option<Stop>) -> Iteration<T> {
        let evaluations = self.last.borrow().evaluations;
        Iteration {
            cost,
            evaluations,
            stop,
        }
    }

    /// Returns J at θ and leaves ∇J in `last`. Returns ∞ if J or ∇J overflows, or if the cost is
    /// undefined.
    fn at(&self, theta: &[T]) -> Result<T, ArgminError> {
        let last = &mut *self.last.borrow_mut();
        if let Some(cost) = last.cost
            && last.theta == theta
        {
            return Ok(cost);
        }
        if !all_finite(theta) {
            return Ok(real(f64::INFINITY));
        }
        last.theta.clear();
        last.theta.extend_from_slice(theta);
        last.gradient.resize(theta.len(), T::zero());
        last.evaluations += 1;
        let found = (self.problem.borrow_mut()).gradient(theta, &mut last.gradient);
        last.failed = found.as_ref().err().cloned();
        let cost = match found {
            Err(error) if !error.is_of_point() => {
                last.cost = None;
                return Err(error.into());
            }
            found => found.unwrap_or(real(f64::INFINITY)),
        };
        last.cost = Some(cost);
        Ok(cost)
    }
}

impl<T: Scalar> CostFunction for &Evaluated<'_, T> {
    type Param = Vec<T>;
    type Output = T;

    fn cost(&self, theta: &Vec<T>) -> Result<T, ArgminError> {
        self.at(theta)
    }
}

impl<T: Scalar> Gradient for &Evaluated<'_, T> {
    type Param = Vec<T>;
    type Gradient = Vec<T>;

    fn gradient(&self, theta: &Vec<T>) -> Result<Vec<T>, ArgminError> {
        self.at(theta)?;
        Ok(self.last.borrow().gradient.clone())
    }
}

/// Checks the saved state of argmin's solvers, which do not check their own fields.
#[cfg(feature = "serde")]
mod saved {
    use crate::scalar::{Scalar, real};
    use serde_json::Value;

    /// Returns the fields of a new solver with the saved memory, or the reason for refusing that
    /// memory.
    ///
    /// L-BFGS stores differences: one of θ (`s`) and one of ∇J (`y`) for each of the last `m`
    /// iterations. Conjugate gradients store a direction (`p`) and `beta`; their line search stores
    /// J before the last step. Each vector has one finite number per parameter. All other fields
    /// are settings and must equal those of the new solver.
    pub(super) fn restore<T: Scalar>(
        saved: &Value,
        mut new: Value,
        parameters: usize,
        iterations: Option<u64>,
    ) -> Result<Value, String> {
        let (Some(saved), Some(fields)) = (saved.as_object(), new.as_object_mut()) else {
            return Err("the solver's state is not an object".into());
        };
        if let Some(name) = saved.keys().find(|name| !fields.contains_key(*name)) {
            return Err(format!("the solver has no field {name:?}"));
        }
        let vector = |value: &Value| {
            let entries = value.as_array().map(Vec::as_slice);
            entries.is_some_and(|all| all.len() == parameters && all.iter().all(is_finite::<T>))
        };
        let vectors = |value: &Value| {
            let all = value.as_array().filter(|all| all.iter().all(vector));
            all.map(Vec::len)
        };
        let most = fields.get("m").and_then(Value::as_u64);
        for (name, field) in fields {
            let Some(found) = saved.get(name) else {
                return Err(format!("the solver's {name:?} is missing"));
            };
            let fits = match name.as_str() {
                "s" | "y" => vectors(found).is_some_and(|count| {
                    let pair = ["s", "y"].map(|name| saved.get(name).and_then(vectors));
                    let expected = most.zip(iterations).map(|(most, made)| most.min(made));
                    pair == [Some(count); 2] && expected == Some(count as u64)
                }),
                "p" => vector(found),
                "beta" => is_finite::<T>(found),
                "linesearch" => is_search::<T>(found, field),
                _ => *found == *field,
            };
            if !fits {
                return Err(format!(
                    "the solver's {name:?} does not fit this training run"
                ));
            }
            // Files of version 1 have no line search.
            if !found.is_null() {
                *field = found.clone();
            }
        }
        Ok(new)
    }

    /// Returns whether a line search belongs to the same solver. The saved search may also hold J
    /// before the last step.
    fn is_search<T: Scalar>(found: &Value, new: &Value) -> bool {
        let (Some(fields), Some(new)) = (found.as_object(), new.as_object()) else {
            return found.is_null();
        };
        fields.len() == new.len()
            && new.iter().all(|(name, expected)| {
                fields.get(name).is_some_and(|found| match name.as_str() {
                    "before" => found.is_null() || is_finite::<T>(found),
                    _ => found == expected,
                })
            })
    }

    fn is_finite<T: Scalar>(value: &Value) -> bool {
        value.as_f64().is_some_and(|x| real::<T>(x).is_finite())
    }
}
