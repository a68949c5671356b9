//! A run is a loop that you can write yourself, with the same parts.

use super::{data, network};
use backprop::data::permutation_into;
use backprop::metrics::{Accuracy, Metric};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Clipping, GradientDescent, Optimizer, Plateau, Schedule, Trainer};
use backprop::{AnyCost, CategoricalCrossEntropy, Error, Examples, Network, Objective, Workspace};

/// The loop of a run, written out.
fn by_hand(
    network: &mut Network<f64>,
    (x, y, weights): (&DMatrix<f64>, &DMatrix<f64>, &[f64]),
    objective: &Objective<AnyCost>,
    lambda: f64,
    (epochs, size, seed): (u64, usize, u64),
    optimizer: &mut dyn Optimizer<f64>,
) {
    let m = x.ncols();
    let all: f64 = weights.iter().sum();
    let mut order = vec![0; m];
    for epoch in 1..=epochs {
        permutation_into(&mut order, seed, epoch);
        for batch in order.chunks(size) {
            let (x, y) = (x.select_columns(batch), y.select_columns(batch));
            let weights: Vec<f64> = batch.iter().map(|&k| weights[k]).collect();
            let total: f64 = weights.iter().sum();
            let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
            let mut gradient = network.gradient_vector(&examples, objective).unwrap();
            // λ/m with the m of all data.
            for place in network.layout().blocks() {
                for i in place.penalised() {
                    gradient[i] =
                        (gradient[i] * total + network.theta()[i] * (lambda * total / all)) / total;
                }
            }
            let mut theta = network.theta().as_slice().to_vec();
            optimizer
                .step(&mut theta, gradient.as_slice(), 1.0)
                .unwrap();
            network.set_theta(&theta).unwrap();
        }
    }
}

#[test]
fn a_run_is_this_loop() {
    let (x, y) = data(5, 3, 23);
    let weights: Vec<f64> = (0..23).map(|k| 0.5 + f64::from(k % 4)).collect();
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    // One batch, batches with 3 or 1 left over, and single examples.
    for size in [23, 5, 11, 1] {
        for lambda in [0.0, 0.7] {
            let objective = Objective::new(CategoricalCrossEntropy);
            let (mut found, mut expected) = (network([5, 4, 3]), network([5, 4, 3]));
            let mut adam = Adam::new(0.01);
            let at = (&x, &y, &weights[..]);
            if size < 23 {
                by_hand(
                    &mut expected,
                    at,
                    &objective,
                    lambda,
                    (4, size, 9),
                    &mut adam,
                );
            } else {
                // A single batch has no order.
                let objective = objective.clone().l2(lambda);
                for _ in 0..4 {
                    let gradient = expected.gradient_vector(&examples, &objective).unwrap();
                    let mut theta = expected.theta().as_slice().to_vec();
                    adam.step(&mut theta, gradient.as_slice(), 1.0).unwrap();
                    expected.set_theta(&theta).unwrap();
                }
            }
            let history = Trainer::new(objective.l2(lambda), Adam::new(0.01))
                .epochs(4)
                .batch_size(size)
                .seed(9)
                .fit(&mut found, &examples)
                .unwrap();
            let difference = (found.theta() - expected.theta()).amax();
            assert!(difference < 1e-13, "{size}, {lambda}: {difference}");
            assert_eq!(history.records().len(), 4);
            assert_eq!(history.records()[3].steps, 4 * 23_u64.div_ceil(size as u64));
        }
    }
}

/// The optimisers work without the trainer.
#[test]
fn custom_loops_train_too() {
    let (x, y) = data(4, 2, 30);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
    let mut trained = network([4, 3, 2]);
    let (mut workspace, mut adam) = (Workspace::new(), Adam::new(0.05));
    let mut theta = trained.theta().as_slice().to_vec();
    let mut gradient = vec![0.0; theta.len()];
    let before = trained.cost(&examples, &objective).unwrap();
    for _ in 0..200 {
        trained
            .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
            .unwrap();
        adam.step(&mut theta, &gradient, 1.0).unwrap();
        trained.set_theta(&theta).unwrap();
    }
    assert!(trained.cost(&examples, &objective).unwrap() < 0.1 * before);
}

/// Your own loop sets the learning rate, clipping and metrics.
#[test]
fn schedules_clipping_and_metrics_work_in_your_own_loop() {
    let (x, y) = data(5, 3, 24);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
    let schedules = [
        Schedule::Cosine {
            over: 4.0,
            floor: 0.1,
        },
        Schedule::Step {
            every: 2.0,
            factor: 0.5,
        },
        Schedule::on_plateau(0, 0.5),
    ];
    for schedule in schedules {
        let (mut found, mut expected) = (network([5, 4, 3]), network([5, 4, 3]));
        let (mut descent, mut plateau) =
            (GradientDescent::new(0.5).momentum(0.9), schedule.plateau());
        let mut rates = Vec::new();
        let mut order = vec![0; 24];
        for epoch in 1..=4 {
            permutation_into(&mut order, 3, epoch);
            let mut rate = 0.0;
            for (b, batch) in order.chunks(10).enumerate() {
                let (x, y) = (x.select_columns(batch), y.select_columns(batch));
                let batch = Examples::new(&x, &y).unwrap();
                let mut gradient = expected.gradient_vector(&batch, &objective).unwrap();
                Clipping::Norm(0.05).apply(gradient.as_mut_slice());
                let now = (epoch - 1) as f64 + b as f64 / 3.0;
                let factor = plateau.as_ref().map_or(1.0, Plateau::factor) * schedule.factor(now);
                rate = 0.5 * factor;
                let mut theta = expected.theta().as_slice().to_vec();
                descent
                    .step(&mut theta, gradient.as_slice(), factor)
                    .unwrap();
                expected.set_theta(&theta).unwrap();
            }
            if let Some(plateau) = &mut plateau {
                plateau.observe(expected.cost(&examples, &objective).unwrap());
            }
            rates.push(Some(rate));
        }
        let history = Trainer::new(objective.clone(), GradientDescent::new(0.5).momentum(0.9))
            .epochs(4)
            .batch_size(10)
            .seed(3)
            .schedule(schedule.clone())
            .clipping(Clipping::Norm(0.05))
            .metric(Accuracy)
            .fit(&mut found, &examples)
            .unwrap();
        assert_eq!(found.theta(), expected.theta(), "{schedule:?}");
        let of_history: Vec<_> = history.records().iter().map(|r| r.rate).collect();
        assert_eq!(of_history, rates);
        let outputs = found.forward(&x).unwrap();
        let accuracy = Accuracy.evaluate(outputs.as_view(), y.as_view()).unwrap();
        assert_eq!(history.records()[3].metrics, [accuracy]);
        assert!(
            history
                .to_csv()
                .starts_with("epoch,steps,cost,batch_cost,validation,rate,\"")
        );
        assert!(history.to_string().contains(&history.metrics()[0]));
    }
}

/// Batches carry which of their targets are present, shuffled with them, and so do the parts of a
/// split.
#[test]
fn batches_carry_missing_targets() {
    let (x, y) = data(4, 3, 23);
    let mut present = DMatrix::from_fn(3, 23, |_, k| k % 4 != 1);
    let stored = y.map_with_location(|i, k, y| if present[(i, k)] { y } else { f64::NAN });
    let examples = Examples::with_missing(&x, &stored, &present).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.3);
    let trainer = || {
        let trainer = Trainer::new(objective.clone(), Adam::new(0.02)).keep_best(false);
        trainer.epochs(3).batch_size(5).seed(7).metric(Accuracy)
    };
    let mut found = network([4, 4, 3]);
    let history = trainer().fit(&mut found, &examples).unwrap();

    let (mut expected, mut adam) = (network([4, 4, 3]), Adam::new(0.02));
    let mut order = vec![0; 23];
    for epoch in 1..=3 {
        permutation_into(&mut order, 7, epoch);
        for batch in order.chunks(5) {
            let (x, y) = (x.select_columns(batch), stored.select_columns(batch));
            let present = DMatrix::from_fn(3, batch.len(), |i, k| present[(i, batch[k])]);
            let examples = Examples::with_missing(&x, &y, &present).unwrap();
            let m = batch.len() as f64;
            // λ/m with the m of all data.
            let objective = Objective::new(CategoricalCrossEntropy).l2(0.3 * m / 23.0);
            let gradient = expected.gradient_vector(&examples, &objective).unwrap();
            expected.step(&mut adam, &gradient).unwrap();
        }
    }
    for (found, expected) in found.theta().iter().zip(expected.theta()) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    let whole: Vec<usize> = (0..23).filter(|k| k % 4 != 1).collect();
    let (some_x, some_y) = (x.select_columns(&whole), y.select_columns(&whole));
    let outputs = found.forward(&some_x).unwrap();
    let accuracy = Accuracy
        .evaluate(outputs.as_view(), some_y.as_view())
        .unwrap();
    assert_eq!(history.records()[2].metrics, [accuracy]);

    // A part of the data for validation.
    let mut split = network([4, 4, 3]);
    let history = trainer()
        .validation_fraction(0.3)
        .fit(&mut split, &examples)
        .unwrap();
    assert!(
        history
            .records()
            .iter()
            .all(|record| record.validation.is_some())
    );

    // A class that is missing alone is refused before the first step.
    present[(0, 2)] = false;
    let partial = Examples::with_missing(&x, &stored, &present).unwrap();
    let before = network([4, 4, 3]);
    let mut unchanged = before.clone();
    let refused = trainer().fit(&mut unchanged, &partial);
    assert!(
        matches!(refused, Err(Error::PartialTargets { example: 2, .. })),
        "{refused:?}"
    );
    assert_eq!(unchanged, before);
}
