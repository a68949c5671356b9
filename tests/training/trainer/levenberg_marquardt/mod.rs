//! Levenberg–Marquardt is exact where the model is linear, and J never grows.

mod in_runs;
mod rank;
mod refused_steps;
mod scales;

use super::{data, network};
use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::training::{LevenbergMarquardt, Method, Stop, Trainer};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Error, Examples, Huber, Network, Objective,
    Scalar, SquaredError, cost::Cost, nalgebra,
};

/// The outcome of a run by Levenberg–Marquardt.
#[derive(Debug)]
struct Fit {
    /// J at the end.
    cost: f64,
    /// Steps tried.
    tried: u64,
    /// Steps taken.
    taken: u64,
    stop: Option<Stop>,
    /// J at the start and after each step taken.
    costs: Vec<f64>,
}

impl Fit {
    fn converged(&self) -> bool {
        self.stop == Some(Stop::Converged)
    }
}

/// Trains for at most `epochs` epochs, and checks that every epoch takes one step that makes J
/// smaller. Only the last may take no step, if the solver ends there.
fn fit<T: Scalar, C: Cost<T> + Clone>(
    method: LevenbergMarquardt,
    epochs: u64,
    network: &mut Network<T>,
    examples: &Examples<'_, T>,
    objective: &Objective<C>,
) -> Result<Fit, Error> {
    let start = network.cost(examples, objective);
    let history = Trainer::new(objective.clone(), Method::from(method))
        .epochs(epochs)
        .fit(network, examples)?;
    let mut costs = vec![nalgebra::convert_unchecked(start?)];
    let stop = history.stop();
    for record in history.records() {
        if record.cost < costs[costs.len() - 1] {
            costs.push(record.cost);
            continue;
        }
        let last = record.epoch as usize == history.records().len();
        let ends = matches!(stop, Some(Stop::Converged | Stop::NoDescent));
        assert!(last && ends, "{history}");
        assert_eq!(record.cost, costs[costs.len() - 1]);
    }
    let cost = nalgebra::convert_unchecked(network.cost(examples, objective)?);
    assert_eq!(costs.last(), Some(&cost));
    Ok(Fit {
        cost,
        tried: history.records()[history.records().len() - 1].steps - 1,
        taken: costs.len() as u64 - 1,
        stop,
        costs,
    })
}

/// Ridge regression of a line. With λ = 2 on the slope and m = 4 the normal equations are
/// (XᵀX + diag(0, 2)) θ = Xᵀy.
#[test]
fn a_linear_least_squares_problem_takes_one_step() {
    let mut network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let x = dmatrix![0.0, 1.0, 2.0, 3.0];
    let y = dmatrix![1.0, 3.0, 2.0, 6.0];
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(2.0);
    let method = LevenbergMarquardt::new().damping(1e-12);
    let fit = fit(method, 1, &mut network, &examples, &objective).unwrap();
    // The solution of [4 6; 6 14 + 2] θ = [12; 25] is (12·16 − 6·25, 4·25 − 6·12)/28.
    let expected = [42.0 / 28.0, 28.0 / 28.0];
    for (found, expected) in network.theta().iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-9,
            "{found} instead of {expected}"
        );
    }
    assert_eq!((fit.tried, fit.taken), (1, 1));
}

#[test]
fn every_cost_descends_to_a_minimum() {
    let (x, y) = data(5, 3, 40);
    let examples = Examples::new(&x, &y).unwrap();
    let mut classes = network([5, 4, 3]);
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);
    let method = LevenbergMarquardt::new();
    let found = fit(method, 5000, &mut classes, &examples, &objective);
    let slope = classes
        .gradient_vector(&examples, &objective)
        .unwrap()
        .amax();
    minimum(&classes, &found.unwrap(), slope);

    for cost in [SquaredError, Huber { delta: 0.3 }, BinaryCrossEntropy] {
        let network = Network::<f64>::builder(5).dense(3, Tanh).dense(3, Sigmoid);
        let theta: Vec<f64> = (0..30).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let mut network = network.with_theta(&theta).unwrap();
        let objective = Objective::new(cost).l2(0.5);
        let found = fit(method, 5000, &mut network, &examples, &objective);
        let slope = network
            .gradient_vector(&examples, &objective)
            .unwrap()
            .amax();
        minimum(&network, &found.unwrap(), slope);
    }
}

#[track_caller]
fn minimum(network: &Network<f64>, fit: &Fit, slope: f64) {
    assert!(
        slope < 1e-7,
        "{network}: {slope:e} after {} steps",
        fit.tried
    );
}

/// A fit in `f32` ends at the rounding error of `f32`, and does not loop forever.
#[test]
fn fits_in_single_precision_end() {
    let network = Network::<f32>::builder(1).dense(4, Tanh).dense(1, Identity);
    let theta: Vec<f32> = (0..13).map(|i| (1.7 * i as f32).sin()).collect();
    let mut network = network.with_theta(&theta).unwrap();
    let x = DMatrix::from_fn(1, 20, |_, k| k as f32 / 10.0);
    let y = x.map(f32::sin);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 1000, &mut network, &examples, &objective).unwrap();
    assert!(fit.cost < 1e-5 && fit.cost.is_finite(), "{fit:?}");
}

#[test]
fn settings_out_of_range_are_refused_and_nothing_moves() {
    let mut network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let before = network.clone();
    let (x, y) = (dmatrix![0.0, 1.0], dmatrix![1.0, 2.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let plain = LevenbergMarquardt::new;
    for (method, name) in [
        (plain().damping(0.0), "the damping"),
        (plain().damping(f64::NAN), "the damping"),
        (plain().damping(f64::INFINITY), "the damping"),
        (
            plain().tolerance(-1.0, 0.0),
            "the tolerance of the gradient",
        ),
        (
            plain().tolerance(0.0, f64::NAN),
            "the tolerance of the step",
        ),
    ] {
        let objective = Objective::new(SquaredError);
        let found = fit(method, 100, &mut network, &examples, &objective);
        match found {
            Err(Error::Hyperparameter { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let negative = Objective::new(SquaredError).l2(-1.0);
    let refused = fit(plain(), 100, &mut network, &examples, &negative);
    assert!(refused.is_err());
    // Y with too many rows.
    let wrong = dmatrix![1.0, 2.0; 3.0, 4.0];
    let wrong = Examples::new(&x, &wrong).unwrap();
    let objective = Objective::new(SquaredError);
    assert!(fit(plain(), 100, &mut network, &wrong, &objective).is_err());
    assert!(fit(plain(), 0, &mut network, &examples, &objective).is_err());
    assert_eq!(network, before);
}

/// Huber's cost has no curvature beyond δ, so the first steps are those of gradient descent.
#[test]
fn a_start_without_curvature_takes_gradient_descent_steps() {
    let mut network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let (x, y) = (dmatrix![-1.0, 0.0, 1.0], dmatrix![98.0, 100.0, 102.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(Huber { delta: 1.0 });
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 1000, &mut network, &examples, &objective).unwrap();
    assert!(fit.cost < 1e-12, "{fit:?}");
}

/// A damping below the range of `f32` is raised.
#[test]
fn a_damping_below_the_scalar_still_damps() {
    let mut network = Network::<f32>::builder(2)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    // The inputs are equal, so the matrix is singular without damping.
    let x = DMatrix::from_fn(2, 4, |_, k| k as f32);
    let y = DMatrix::from_fn(1, 4, |_, k| 1.0 + 2.0 * k as f32);
    let examples = Examples::new(&x, &y).unwrap();
    let method = LevenbergMarquardt::new().damping(1e-60);
    let objective = Objective::new(SquaredError);
    let fit = fit(method, 100, &mut network, &examples, &objective);
    assert!(fit.unwrap().cost < 1e-6);
}

/// D scales the damping by the columns. With x = 0 the step of b is −∇J/(1 + μ), whatever the units
/// of the targets.
#[test]
fn the_first_damping_is_relative_to_the_columns() {
    let x = dmatrix![0.0, 0.0];
    for scale in [1e-60, 1.0, 1e60] {
        let y = dmatrix![3.0, 5.0] * scale;
        let mut network = Network::<f64>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let method = LevenbergMarquardt::new().damping(0.6);
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError);
        let fit = fit(method, 1, &mut network, &examples, &objective).unwrap();
        assert!((network.theta()[0] / scale - 2.5).abs() < 1e-14);
        assert_eq!(
            (network.theta()[1], fit.taken, fit.converged()),
            (0.0, 1, false)
        );
    }
}
