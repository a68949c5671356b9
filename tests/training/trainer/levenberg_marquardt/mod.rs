//! Levenberg–Marquardt: exact where the model is linear, and never uphill.

mod rank;
mod refused_steps;
mod scales;

use super::{data, network};
use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::training::{Fit, LevenbergMarquardt};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Error, Examples, Huber, Network, Objective,
    SquaredError,
};

/// The ridge regression of a line: with λ = 2 on the slope and m = 4 its normal equations are (XᵀX + diag(0, 2)) θ = Xᵀy.
#[test]
fn a_linear_least_squares_problem_takes_a_step() {
    let mut network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let x = dmatrix![0.0, 1.0, 2.0, 3.0];
    let y = dmatrix![1.0, 3.0, 2.0, 6.0];
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(2.0);
    let fit = LevenbergMarquardt::new()
        .damping(1e-12)
        .iterations(1)
        .fit(&mut network, &examples, &objective)
        .unwrap();
    // [4 6; 6 14 + 2] θ = [12; 25] has the solution (12·16 − 6·25, 4·25 − 6·12)/28.
    let expected = [42.0 / 28.0, 28.0 / 28.0];
    for (found, expected) in network.theta().iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-9,
            "{found} instead of {expected}"
        );
    }
    assert_eq!((fit.iterations, fit.taken, fit.history.len()), (1, 1, 2));
    assert_eq!(fit.cost, network.cost(&examples, &objective).unwrap());
}

#[test]
fn every_cost_descends_to_a_minimum() {
    let (x, y) = data(5, 3, 40);
    let examples = Examples::new(&x, &y).unwrap();
    let mut classes = network([5, 4, 3]);
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);
    let method = LevenbergMarquardt::new().iterations(5000);
    let fit = method.fit(&mut classes, &examples, &objective);
    let slope = classes
        .gradient_vector(&examples, &objective)
        .unwrap()
        .amax();
    minimum(&classes, &fit.unwrap(), slope);

    for cost in [SquaredError, Huber { delta: 0.3 }, BinaryCrossEntropy] {
        let network = Network::<f64>::builder(5).dense(3, Tanh).dense(3, Sigmoid);
        let theta: Vec<f64> = (0..30).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let mut network = network.with_theta(&theta).unwrap();
        let objective = Objective::new(cost).l2(0.5);
        let fit =
            LevenbergMarquardt::new()
                .iterations(5000)
                .fit(&mut network, &examples, &objective);
        let slope = network
            .gradient_vector(&examples, &objective)
            .unwrap()
            .amax();
        minimum(&network, &fit.unwrap(), slope);
    }
}

#[track_caller]
fn minimum(network: &Network<f64>, fit: &Fit<f64>, slope: f64) {
    assert!(
        slope < 1e-7,
        "{network}: {slope:e} after {} steps",
        fit.iterations
    );
    let falls = fit.history.windows(2).all(|two| two[1] < two[0]);
    assert!(falls && fit.history.last() == Some(&fit.cost));
    assert_eq!(fit.history.len() as u64, fit.taken + 1);
}

/// f32 ends at the rounding of f32, not in a loop.
#[test]
fn single_precision_ends() {
    let network = Network::<f32>::builder(1).dense(4, Tanh).dense(1, Identity);
    let theta: Vec<f32> = (0..13).map(|i| (1.7 * i as f32).sin()).collect();
    let mut network = network.with_theta(&theta).unwrap();
    let x = DMatrix::from_fn(1, 20, |_, k| k as f32 / 10.0);
    let y = x.map(f32::sin);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let fit = LevenbergMarquardt::new()
        .iterations(1000)
        .fit(&mut network, &examples, &objective);
    let fit = fit.unwrap();
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
        let found = method.fit(&mut network, &examples, &Objective::new(SquaredError));
        match found {
            Err(Error::Hyperparameter { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let negative = Objective::new(SquaredError).l2(-1.0);
    assert!(plain().fit(&mut network, &examples, &negative).is_err());
    // A tall Y.
    let wrong = dmatrix![1.0, 2.0; 3.0, 4.0];
    let wrong = Examples::new(&x, &wrong).unwrap();
    assert!(
        plain()
            .fit(&mut network, &wrong, &Objective::new(SquaredError))
            .is_err()
    );
    assert_eq!(network, before);
    // No step at all is none.
    let fit = plain()
        .iterations(0)
        .fit(&mut network, &examples, &Objective::new(SquaredError));
    assert_eq!(fit.unwrap().iterations, 0);
    assert_eq!(network, before);
}

/// Huber's cost has no curvature beyond δ: the first steps are those of gradient descent, and it gets there.
#[test]
fn a_start_without_curvature_is_left() {
    let mut network = Network::<f64>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let (x, y) = (dmatrix![-1.0, 0.0, 1.0], dmatrix![98.0, 100.0, 102.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(Huber { delta: 1.0 });
    let method = LevenbergMarquardt::new().iterations(1000);
    let fit = method.fit(&mut network, &examples, &objective).unwrap();
    assert!(fit.cost < 1e-12, "{fit:?}");
}

/// A damping that f32 cannot hold is raised to what it can.
#[test]
fn a_damping_below_the_scalar_still_damps() {
    let mut network = Network::<f32>::builder(2)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    // Two equal inputs: without damping the matrix is singular.
    let x = DMatrix::from_fn(2, 4, |_, k| k as f32);
    let y = DMatrix::from_fn(1, 4, |_, k| 1.0 + 2.0 * k as f32);
    let examples = Examples::new(&x, &y).unwrap();
    let method = LevenbergMarquardt::new().damping(1e-60);
    let fit = method.fit(&mut network, &examples, &Objective::new(SquaredError));
    assert!(fit.unwrap().cost < 1e-6);
}

/// D makes the damping one of each column: of Θ = [b w] with x = 0 the step is −∇J/(1 + μ) for b, whatever the units of the targets.
#[test]
fn the_first_damping_is_relative_to_the_columns() {
    let x = dmatrix![0.0, 0.0];
    for scale in [1e-60, 1.0, 1e60] {
        let y = dmatrix![3.0, 5.0] * scale;
        let mut network = Network::<f64>::builder(1)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let fit = LevenbergMarquardt::new().damping(0.6).iterations(1).fit(
            &mut network,
            &Examples::new(&x, &y).unwrap(),
            &Objective::new(SquaredError),
        );
        let fit = fit.unwrap();
        assert!((network.theta()[0] / scale - 2.5).abs() < 1e-14);
        assert_eq!(
            (network.theta()[1], fit.taken, fit.converged),
            (0.0, 1, false)
        );
    }
}
