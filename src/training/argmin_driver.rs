//! argmin's solvers, iteration by iteration.

use super::full_batch::{Evaluate, FullBatch, Iteration};
use crate::error::Error;
use crate::kernels::{all_finite, sum_of_squares};
use crate::scalar::{Scalar, to_f64};
use argmin::core::{
    ArgminFloat, CostFunction, Error as ArgminError, Gradient, IterState, KV, LineSearch, Problem,
    Solver, State, TerminationStatus,
};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};

pub(super) type Point<T> = IterState<Vec<T>, Vec<T>, (), (), (), T>;

/// Moré and Thuente's line search, which remembers nothing from one search to the next: so it is saved as nothing, and loaded as new. (Unset fields
/// of argmin's own are NaN, which JSON cannot hold.)
#[derive(Clone)]
pub(super) struct Search<T>(MoreThuenteLineSearch<Vec<T>, Vec<T>, T>);

impl<T: ArgminFloat> Search<T> {
    pub(super) fn new() -> Self {
        Self(MoreThuenteLineSearch::new())
    }
}

impl<T> Serialize for Search<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de, T: ArgminFloat> Deserialize<'de> for Search<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Self::new())
    }
}

impl<T: Scalar + ArgminFloat> LineSearch<Vec<T>, T> for Search<T> {
    fn search_direction(&mut self, direction: Vec<T>) {
        self.0.search_direction(direction);
    }

    fn initial_step_length(&mut self, step: T) -> Result<(), ArgminError> {
        LineSearch::<Vec<T>, T>::initial_step_length(&mut self.0, step)
    }
}

impl<O, T: Scalar + ArgminFloat> Solver<O, Point<T>> for Search<T>
where
    MoreThuenteLineSearch<Vec<T>, Vec<T>, T>: Solver<O, Point<T>>,
{
    fn name(&self) -> &str {
        self.0.name()
    }

    fn init(
        &mut self,
        problem: &mut Problem<O>,
        point: Point<T>,
    ) -> Result<(Point<T>, Option<KV>), ArgminError> {
        self.0.init(problem, point)
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<O>,
        point: Point<T>,
    ) -> Result<(Point<T>, Option<KV>), ArgminError> {
        self.0.next_iter(problem, point)
    }

    fn terminate(&mut self, point: &Point<T>) -> TerminationStatus {
        self.0.terminate(point)
    }
}

/// One of argmin's solvers with its settings, from iteration to iteration.
pub(super) struct Driver<T, K, S> {
    pub(super) name: &'static str,
    pub(super) settings: K,
    pub(super) validate: fn(&K) -> Result<(), Error>,
    pub(super) make: fn(&K) -> Result<S, ArgminError>,
    /// The tolerance of ‖∇J‖.
    pub(super) gradient: f64,
    /// The solver and where it is, once it has begun.
    pub(super) current: Option<(S, Point<T>)>,
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
    fn save(&self) -> Result<Option<serde_json::Value>, Error> {
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
    fn load(
        &mut self,
        state: Option<&serde_json::Value>,
        (epochs, at): (u64, &[T]),
    ) -> Result<(), Error> {
        self.current = match state {
            None => None,
            Some(state) => {
                type State<T, S> = (S, Vec<T>, Vec<T>, T, u64);
                let fits = has_vectors_of(at.len(), state);
                let state = State::<T, S>::deserialize(state).map_err(checkpoint)?;
                let (solver, theta, gradient, cost, iterations) = state;
                // An iteration is an epoch, the solver is where the training is, and so are the vectors that it remembers.
                if !fits || iterations > epochs || theta != at || gradient.len() != at.len() {
                    let reason = "the solver's state is not that of the training".to_owned();
                    return Err(Error::Checkpoint { reason });
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
        theta: &mut [T],
        gradient: &mut [T],
        evaluate: &mut Evaluate<'_, T>,
    ) -> Result<Iteration<T>, Error> {
        let evaluated = Evaluated::new(evaluate);
        let mut problem = Problem::new(&evaluated);
        let begun = match self.current.take() {
            Some(current) => Ok(current),
            None => (self.make)(&self.settings).and_then(|mut solver| {
                let start = Point::new().param(theta.to_vec());
                let (start, _) = solver.init(&mut problem, start)?;
                Ok((solver, start))
            }),
        };
        // J at θ, where it stays if the line search finds nothing.
        let mut cost = T::zero();
        let moved = begun.and_then(|(mut solver, point)| {
            cost = point.get_cost();
            let (point, _) = solver.next_iter(&mut problem, point)?;
            Ok((solver, point))
        });
        let last = evaluated.last.borrow();
        if let Some(error) = &last.failed {
            return Err(error.clone());
        }
        let mut iteration = Iteration {
            cost,
            evaluations: last.evaluations,
            converged: true,
        };
        if let Ok((mut solver, mut point)) = moved
            && let (Some(to), Some(slope)) = (point.get_param(), point.get_gradient())
        {
            let stays = *theta == **to || point.get_cost() == cost;
            theta.copy_from_slice(to);
            gradient.copy_from_slice(slope);
            iteration.cost = point.get_cost();
            let norm = to_f64(sum_of_squares(slope)).sqrt();
            iteration.converged =
                stays || norm < self.gradient || solver.terminate(&point).terminated();
            point.increment_iter();
            self.current = Some((solver, point));
        }
        Ok(iteration)
    }
}

/// Whether all lists of numbers in a solver's state have so many entries: argmin's loops take that for granted.
#[cfg(feature = "serde")]
fn has_vectors_of(len: usize, state: &serde_json::Value) -> bool {
    use serde_json::Value;
    match state {
        Value::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => {
            items.iter().all(|item| has_vectors_of(len, item))
        }
        Value::Array(items) => items.is_empty() || items.len() == len,
        Value::Object(fields) => fields.values().all(|field| has_vectors_of(len, field)),
        _ => true,
    }
}

/// J and ∇J as argmin asks for them: in two calls a point, of which the second is answered from the first.
pub(super) struct Evaluated<'e, T: Scalar> {
    evaluate: RefCell<&'e mut Evaluate<'e, T>>,
    last: RefCell<Last<T>>,
}

struct Last<T> {
    theta: Vec<T>,
    gradient: Vec<T>,
    /// J there; `None` before the first evaluation and after one that failed.
    cost: Option<T>,
    failed: Option<Error>,
    evaluations: u64,
}

impl<'e, T: Scalar> Evaluated<'e, T> {
    fn new(evaluate: &'e mut Evaluate<'e, T>) -> Self {
        Self {
            evaluate: RefCell::new(evaluate),
            last: RefCell::new(Last {
                theta: Vec::new(),
                gradient: Vec::new(),
                cost: None,
                failed: None,
                evaluations: 0,
            }),
        }
    }

    /// J at θ, after which `last` holds ∇J there.
    fn at(&self, theta: &[T]) -> Result<T, ArgminError> {
        let last = &mut *self.last.borrow_mut();
        if let Some(cost) = last.cost
            && last.theta == theta
        {
            return Ok(cost);
        }
        if !all_finite(theta) {
            // Of a line search that found no direction: there is nothing to evaluate, and nothing more to gain.
            return Err(ArgminError::msg("the point is not finite"));
        }
        last.cost = None;
        last.theta.clear();
        last.theta.extend_from_slice(theta);
        last.gradient.resize(theta.len(), T::zero());
        last.evaluations += 1;
        let cost = (self.evaluate.borrow_mut())(theta, &mut last.gradient);
        match cost {
            Ok(cost) => {
                last.cost = Some(cost);
                Ok(cost)
            }
            Err(error) => {
                // The solvers take an error for the end of a line search: it is asked for afterwards.
                last.failed = Some(error.clone());
                Err(error.into())
            }
        }
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

#[cfg(feature = "serde")]
fn checkpoint(error: serde_json::Error) -> Error {
    Error::Checkpoint {
        reason: error.to_string(),
    }
}
