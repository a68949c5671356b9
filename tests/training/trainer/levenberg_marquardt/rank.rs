//! Parameters that the data do not determine, and runs that do not end at a minimum.

use super::fit;
use backprop::activation::{Identity, Relu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::training::{LevenbergMarquardt, Stop};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Examples, Network, Objective, SquaredError,
};

fn wave(i: usize, k: usize) -> f64 {
    ((i * i) as f64 + (1.3 + 0.7 * i as f64) * k as f64).sin()
}

#[test]
fn more_parameters_than_examples_fit_exactly() {
    let x = DMatrix::from_fn(9, 4, |i, k| 10_f64.powi(3 * i as i32 - 12) * wave(i, k));
    let y = DMatrix::from_fn(2, 4, |i, k| 1e5 * wave(i + 20, k));
    let examples = Examples::new(&x, &y).unwrap();
    let mut network = Network::<f64>::builder(9)
        .dense(2, Identity)
        .zeros()
        .unwrap();
    let objective = Objective::new(SquaredError);
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
    assert!(fit.converged() && fit.cost < 1e-18, "{fit:?}");
}

/// The third feature is a combination of the others, so the fit is that of two features.
#[test]
fn dependent_features_add_nothing() {
    let y = DMatrix::from_fn(1, 40, |_, k| wave(20, k));
    let fitted = |rows: usize| {
        let x = DMatrix::from_fn(rows, 40, |i, k| match i {
            2 => 2.0 * wave(0, k) - 3.0 * wave(1, k),
            _ => wave(i, k),
        });
        let examples = Examples::new(&x, &y).unwrap();
        let mut network = Network::<f64>::builder(rows)
            .dense(1, Identity)
            .zeros()
            .unwrap();
        let objective = Objective::new(SquaredError);
        let method = LevenbergMarquardt::new();
        fit(method, 100, &mut network, &examples, &objective).unwrap()
    };
    let (two, three) = (fitted(2), fitted(3));
    assert!(two.converged() && three.converged());
    assert!((three.cost / two.cost - 1.0).abs() < 1e-14);
}

/// A unit that is never active has columns of zeros, and its parameters stay as they are.
#[test]
fn dead_units_stay_and_the_others_are_fitted() {
    let x = DMatrix::from_fn(1, 20, |_, k| k as f64);
    let y = x.map(|x| 3.0 * x + 7.0);
    // [b w] of a dead unit and of one that is always active, then [b w w].
    let theta = [-5.0, 1.0, -1.0, 0.5, 0.1, 0.2, 0.3];
    let network = Network::<f64>::builder(1).dense(2, Relu).dense(1, Identity);
    let mut network = network.with_theta(&theta).unwrap();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
    assert!(fit.converged() && fit.cost < 1e-24, "{fit:?}");
    for dead in [0, 2, 5] {
        assert_eq!(network.theta()[dead], theta[dead]);
    }
}

/// Adding a constant to all logits changes nothing, so M is singular in every example.
#[test]
fn softmax_without_penalty_converges() {
    let x = DMatrix::from_fn(2, 60, wave);
    let y = DMatrix::from_fn(3, 60, |i, k| f64::from((k * k + k / 7) % 3 == i));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let mut network = Network::<f64>::builder(2)
        .dense(3, Softmax)
        .zeros()
        .unwrap();
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
    let slope = network
        .gradient_vector(&examples, &objective)
        .unwrap()
        .amax();
    assert!(fit.converged() && slope < 1e-9, "{slope:e} {fit:?}");
}

/// The minimum lies at infinity, so no θ is a minimum, however small J is.
#[test]
fn separable_classes_never_converge() {
    let x = dmatrix![-3.0, -1.0, 2.0, 5.0];
    let y = dmatrix![0.0, 0.0, 1.0, 1.0];
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    for steps in [1, 10, 100] {
        let mut network = Network::<f64>::builder(1)
            .dense(1, Sigmoid)
            .zeros()
            .unwrap();
        let method = LevenbergMarquardt::new();
        let fit = fit(method, steps, &mut network, &examples, &objective).unwrap();
        assert!(!fit.converged() && fit.taken == steps, "{fit:?}");
    }
}

/// At a kink of L1 no step makes J smaller, but ∇J is not small.
#[test]
fn a_kink_is_no_minimum_of_the_model() {
    let x = dmatrix![-1.0, 0.0, 1.0];
    let y = dmatrix![-0.5, 0.1, 0.6];
    let examples = Examples::new(&x, &y).unwrap();
    let network = Network::<f64>::builder(1).dense(1, Identity);
    let mut network = network.with_theta(&[1.0, 1.0]).unwrap();
    let objective = Objective::new(SquaredError).l1(30.0);
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 1000, &mut network, &examples, &objective).unwrap();
    assert!(
        fit.stop == Some(Stop::NoDescent) && fit.tried < 1000,
        "{fit:?}"
    );
    assert!(network.theta()[1].abs() < 1e-3);
}

/// Columns of saturated units are almost 0. They cause no huge steps, and no false convergence.
#[test]
fn saturated_units_cause_no_huge_steps() {
    let x = DMatrix::from_row_slice(1, 5, &[3.0, -5.0, 4.0, 7.0, -1.0]);
    let y = DMatrix::from_row_slice(1, 5, &[0.5, 1.0, 1.0, 1.0, 1.0]);
    let network = Network::<f64>::builder(1).dense(1, Tanh);
    let mut network = network.with_theta(&[-5.0, -3.0]).unwrap();
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    let method = LevenbergMarquardt::new();
    let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
    let gradient = network.gradient_vector(&examples, &objective).unwrap();
    assert!(
        !fit.converged() || gradient.norm() < 1e-6,
        "{fit:?} {gradient}"
    );
    assert!(network.theta().amax() < 1e12, "{}", network.theta());
}

/// Each tolerance on its own ends a fit before its first step.
#[test]
fn tolerances_end_a_fit() {
    let x = DMatrix::from_row_slice(1, 3, &[0.0, 1.0, 2.0]);
    let y = DMatrix::from_row_slice(1, 3, &[1.0, 3.0, 5.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let steps = |gradient, step| {
        let network = Network::<f64>::builder(1).dense(1, Identity);
        let mut network = network.with_theta(&[1.1, 1.9]).unwrap();
        let method = LevenbergMarquardt::new().tolerance(gradient, step);
        let objective = Objective::new(SquaredError);
        let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
        assert!(fit.converged());
        fit.tried
    };
    // The residual lies in the space of the columns, cos φ = 1; the undamped step is 9 and 5 % of
    // θ.
    assert_eq!((steps(1.0, 0.0), steps(0.0, 0.1)), (0, 0));
    assert!(steps(0.99, 0.0) > 0 && steps(0.0, 0.08) > 0);
}
