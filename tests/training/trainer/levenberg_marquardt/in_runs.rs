//! A run by Levenberg–Marquardt has the features of every run: records, validation, metrics, early
//! stopping and callbacks.

use super::super::{bits, data, network};
use backprop::metrics::Accuracy;
use backprop::nalgebra::{DMatrix, DVector};
use backprop::training::{
    FullBatch, LeastSquares, LevenbergMarquardt, Method, Problem, Stop, Trainer,
};
use backprop::{AnyCost, Error, Examples, Objective};
use std::ops::ControlFlow;

fn objective() -> Objective<AnyCost> {
    Objective::new(AnyCost::CategoricalCrossEntropy).l2(0.1)
}

#[test]
fn every_epoch_is_recorded() {
    let (x, y) = data(4, 2, 30);
    let (other_x, other_y) = data(4, 2, 9);
    let examples = Examples::new(&x, &y).unwrap();
    let validation = Examples::new(&other_x, &other_y).unwrap();
    let mut trained = network([4, 3, 2]);
    let history = Trainer::new(objective(), LevenbergMarquardt::new())
        .epochs(6)
        .validation(validation)
        .keep_best(false)
        .metric(Accuracy)
        .on_epoch(|epoch| {
            let mut now = network([4, 3, 2]);
            now.set_theta(epoch.theta).unwrap();
            let record = epoch.record;
            assert_eq!(now.cost(&examples, &objective()), Ok(record.cost));
            let plain = Objective::new(AnyCost::CategoricalCrossEntropy);
            let cost = now.cost(&validation, &plain).unwrap();
            assert_eq!(record.validation, Some(cost));
            let gradient = now.gradient_vector(&examples, &objective()).unwrap();
            let difference = gradient - DVector::from_column_slice(epoch.gradient);
            assert!(difference.amax() < 1e-13, "{difference}");
            ControlFlow::Continue(())
        })
        .fit(&mut trained, &examples)
        .unwrap();
    assert_eq!(history.stop(), Some(Stop::Epochs));
    let records = history.records();
    assert_eq!(records.len(), 6);
    let mut before = 1;
    for record in records {
        assert!(record.steps > before, "{history}");
        before = record.steps;
        assert_eq!((record.rate, record.batch_cost), (None, None));
        assert_eq!(record.metrics.len(), 1);
        assert_eq!(record.validation_metrics.len(), 1);
    }
    assert!(records.windows(2).all(|two| two[1].cost < two[0].cost));
    assert_eq!(trained.cost(&examples, &objective()), Ok(records[5].cost));
}

/// Few training examples and no penalty: the validation cost falls, then rises.
#[test]
fn early_stopping_keeps_the_best_epoch() {
    let (x, y) = data(6, 3, 12);
    let (other_x, mut other_y) = data(6, 3, 40);
    let flipped = DMatrix::from_fn(3, 20, |i, j| f64::from(i == (j * 7 + 1) % 3));
    other_y.columns_mut(0, 20).copy_from(&flipped);
    let examples = Examples::new(&x, &y).unwrap();
    let validation = Examples::new(&other_x, &other_y).unwrap();
    let mut thetas = Vec::new();
    let mut trained = network([6, 3, 3]);
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
    let history = Trainer::new(objective, LevenbergMarquardt::new())
        .validation(validation)
        .patience(3)
        .on_epoch(|epoch| {
            thetas.push(epoch.theta.to_vec());
            ControlFlow::Continue(())
        })
        .fit(&mut trained, &examples)
        .unwrap();
    assert_eq!(history.stop(), Some(Stop::Patience));
    let best = history.best().unwrap().epoch;
    assert_eq!(history.records().len() as u64, best + 3);
    assert_eq!(trained.theta().as_slice(), thetas[best as usize - 1]);
}

#[test]
fn budgets_and_callbacks_end_a_run() {
    let (x, y) = data(4, 2, 30);
    let examples = Examples::new(&x, &y).unwrap();
    let run = |change: fn(Trainer<'_, f64>) -> Trainer<'_, f64>| {
        let trainer = Trainer::new(objective(), LevenbergMarquardt::new());
        let history = change(trainer).fit(&mut network([4, 3, 2]), &examples);
        history.unwrap()
    };
    let history = run(|trainer| trainer.steps(4));
    assert_eq!(history.stop(), Some(Stop::Steps));
    assert!(history.records().last().unwrap().steps >= 4);
    let history = run(|trainer| trainer.on_epoch(|_| ControlFlow::Break(())));
    assert_eq!(history.stop(), Some(Stop::Callback));
    assert_eq!(history.records().len(), 1);
}

/// A trainer that is used again forgets the damping and D of its first run.
#[test]
fn every_run_starts_fresh() {
    let (x, y) = data(4, 2, 30);
    let examples = Examples::new(&x, &y).unwrap();
    let mut trainer = Trainer::new(objective(), LevenbergMarquardt::new()).epochs(4);
    let (mut first, mut second) = (network([4, 3, 2]), network([4, 3, 2]));
    let history = trainer.fit(&mut first, &examples).unwrap();
    assert_eq!(trainer.fit(&mut second, &examples), Ok(history));
    assert_eq!(bits(&first), bits(&second));
}

fn levenberg_marquardt() -> Box<dyn FullBatch<f64>> {
    let method = Method::from(LevenbergMarquardt::new());
    method.full_batch().unwrap()
}

/// A problem with this least-squares form everywhere.
struct Wrong(DMatrix<f64>, DVector<f64>);

impl Problem<f64> for Wrong {
    fn cost(&mut self, _: &[f64]) -> Result<f64, Error> {
        Ok(1.0)
    }

    fn gradient(&mut self, _: &[f64], _: &mut [f64]) -> Result<f64, Error> {
        Ok(1.0)
    }

    fn least_squares(&mut self, _: &[f64]) -> Result<LeastSquares<f64>, Error> {
        Ok(LeastSquares {
            cost: 1.0,
            magnitude: 1.0,
            triangle: self.0.clone(),
            right: self.1.clone(),
        })
    }
}

#[test]
fn a_least_squares_form_of_the_wrong_shape_is_refused() {
    for (triangle, right, expected, found) in [
        (DMatrix::zeros(2, 3), DVector::zeros(2), (2, 2), (2, 3)),
        (DMatrix::zeros(3, 3), DVector::zeros(3), (2, 2), (3, 3)),
        (DMatrix::zeros(2, 2), DVector::zeros(1), (2, 1), (1, 1)),
    ] {
        let mut solver = levenberg_marquardt();
        let (mut theta, mut gradient) = ([1.0, 2.0], [0.0; 2]);
        let mut problem = Wrong(triangle, right);
        let error = solver.iterate(&mut problem, &mut theta, &mut gradient);
        let what = "the least-squares form of J";
        let refused = Error::Shape {
            what,
            expected,
            found,
        };
        assert_eq!(error, Err(refused));
        assert_eq!(theta, [1.0, 2.0]);
    }
}

#[test]
fn slices_of_other_lengths_are_refused() {
    let mut solver = levenberg_marquardt();
    let refused = |what, found| {
        let expected = 2;
        Err(Error::Length {
            what,
            expected,
            found,
        })
    };
    let mut problem = Wrong(DMatrix::identity(2, 2), DVector::from_element(2, 1.0));
    let short = solver.iterate(&mut problem, &mut [1.0; 2], &mut [0.0; 3]);
    assert_eq!(short, refused("∇J", 3));
    // The first iteration decides the length of θ.
    let done = solver.iterate(&mut problem, &mut [1.0; 2], &mut [0.0; 2]);
    assert!(done.is_ok(), "{done:?}");
    let long = solver.iterate(&mut problem, &mut [1.0; 3], &mut [0.0; 3]);
    assert_eq!(long, refused("θ", 3));
    let short = solver.iterate(&mut problem, &mut [1.0; 2], &mut [0.0; 1]);
    assert_eq!(short, refused("∇J", 1));
}

/// A problem without a least-squares form.
struct Plain;

impl Problem<f64> for Plain {
    fn cost(&mut self, _: &[f64]) -> Result<f64, Error> {
        Ok(1.0)
    }

    fn gradient(&mut self, _: &[f64], _: &mut [f64]) -> Result<f64, Error> {
        Ok(1.0)
    }
}

#[test]
fn a_problem_without_a_least_squares_form_is_refused() {
    let mut solver = levenberg_marquardt();
    let error = solver.iterate(&mut Plain, &mut [1.0], &mut [0.0]);
    assert!(matches!(error, Err(Error::Unsupported { .. })), "{error:?}");
}
