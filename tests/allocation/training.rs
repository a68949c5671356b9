//! The allocations of optimiser steps, training runs, and the functions around them.

use super::allocations_so_far;
use backprop::activation::{Softmax, Tanh};
use backprop::data::{MinMaxScaler, Scaler, Standardizer, permutation_into};
use backprop::metrics::{
    Accuracy, Average, F1, MeanAbsoluteError, MeanSquaredError, Metric, Precision, R2, Recall, TopK,
};
use backprop::nalgebra::{DMatrix, RealField};
use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, Clipping, GradientDescent, IRpropMinus, Optimizer, RmsProp,
    Trainer,
};
use backprop::{CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng};
use std::ops::ControlFlow;

pub(super) fn optimizers() -> Vec<Box<dyn Optimizer<f64>>> {
    vec![
        Box::new(GradientDescent::new(0.01).momentum(0.9).nesterov()),
        Box::new(Adam::new(0.01).amsgrad()),
        Box::new(AdamW::new(0.01)),
        Box::new(RmsProp::new(0.01)),
        Box::new(AdaGrad::new(0.01)),
        Box::new(Adadelta::new(1.0)),
    ]
}

/// The allocations of all epochs after the first, with shuffled batches, a smaller last batch,
/// validation examples and a silent progress bar.
pub(super) fn allocations_of_a_run(optimizer: Box<dyn Optimizer<f64>>) -> usize {
    let mut network = Network::<f64>::builder(5)
        .dense(20, Tanh)
        .dense(3, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let x = DMatrix::from_fn(5, 1030, |i, j| (i as f64 + 2.0 * j as f64).sin());
    let y = DMatrix::from_fn(3, 1030, |i, j| f64::from(i == j % 3));
    let examples = Examples::new(&x, &y).unwrap();
    let validation = Examples::new(x.columns(0, 50), y.columns(0, 50)).unwrap();
    let mut counts = [0; 12];
    Trainer::new(Objective::new(CategoricalCrossEntropy).l2(0.1), optimizer)
        .epochs(12)
        .batch_size(100)
        .validation(validation)
        .progress()
        .on_epoch(|epoch| {
            counts[epoch.record.epoch as usize - 1] = allocations_so_far();
            ControlFlow::Continue(())
        })
        .fit(&mut network, &examples)
        .unwrap();
    counts[11] - counts[0]
}

/// The allocations of ten steps of each optimiser after its first. The list has every kind of
/// buffer.
pub(super) fn allocations_of_steps<T: RealField + Copy>() -> usize {
    let network = Network::<T>::builder(20).dense(30, Tanh).dense(3, Softmax);
    let network = network.zeros().unwrap();
    let layout = network.layout();
    let mut methods: Vec<Box<dyn Optimizer<T>>> = vec![
        Box::new(GradientDescent::new(0.1)),
        Box::new(GradientDescent::new(0.1).momentum(0.9).nesterov()),
        Box::new(Adam::new(0.1).amsgrad()),
        Box::new(AdamW::new(0.1).spare_biases(layout)),
        Box::new(RmsProp::new(0.1).centered().momentum(0.9)),
        Box::new(AdaGrad::new(0.1)),
        Box::new(Adadelta::new(1.0)),
        Box::new(IRpropMinus::new(0.1)),
    ];
    let mut theta = vec![T::one(); network.parameters()];
    let mut gradient = theta.clone();
    let mut round = || {
        for method in &mut methods {
            method.step(&mut theta, &gradient, 1.0).unwrap();
            Clipping::Norm(1.0).apply(&mut gradient);
        }
    };
    round();
    let before = allocations_so_far();
    (0..10).for_each(|_| round());
    allocations_so_far() - before
}

/// The allocations around training: permutations, scalers, and every metric except a macro average.
pub(super) fn allocations_beside_training() -> usize {
    let x = DMatrix::from_fn(5, 300, |i, k| (i as f64 + 2.0 * k as f64).sin());
    let y = DMatrix::from_fn(5, 300, |i, k| f64::from(i == k % 5));
    let mut scaled = x.clone();
    let standard = Standardizer::fit(&x).unwrap();
    let min_max = MinMaxScaler::fit(&x).unwrap();
    let one = Average::Class(1);
    let metrics: [&dyn Metric<f64>; 10] = [
        &Accuracy,
        &TopK(2),
        &Precision(one),
        &Recall(one),
        &F1(one),
        &F1(Average::Micro),
        &R2,
        &MeanAbsoluteError,
        &MeanSquaredError,
        &Box::new(Accuracy),
    ];
    let mut order = [0; 300];
    let before = allocations_so_far();
    for epoch in 0..10 {
        permutation_into(&mut order, 1, epoch);
        standard.apply_into(&x, scaled.as_view_mut()).unwrap();
        min_max.apply_into(&x, scaled.as_view_mut()).unwrap();
        standard.invert_into(&x, scaled.as_view_mut()).unwrap();
        min_max.invert_into(&x, scaled.as_view_mut()).unwrap();
        for metric in metrics {
            let value = metric.evaluate(x.as_view(), y.as_view()).unwrap();
            assert!(value.is_finite());
        }
    }
    allocations_so_far() - before
}
