//! Training passes of layers with state and chance, and evaluation between them.

use super::allocations_so_far;
use backprop::activation::{Identity, Relu, Softmax};
use backprop::layer::Axis;
use backprop::nalgebra::{DMatrix, RealField, convert};
use backprop::training::Adam;
use backprop::{
    CategoricalCrossEntropy, Examples, Initialization, Network, Objective, Scalar, Tangent,
    VjpTargets, Workspace, rng,
};

/// Ids and numbers, every norm, and both random layers.
fn network<T: Scalar>(fixed: bool) -> Network<T> {
    let builder = Network::<T>::builder(6).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.select(0..5));
        branches.branch(|b| b.select(5..6).embedding(7, 3).flatten())
    });
    let builder = builder.dense_without_bias(12, Identity).batch_norm();
    let builder = builder
        .activate(Relu)
        .dropout(0.2)
        .dense(9, Relu)
        .layer_norm();
    let builder = builder
        .gaussian_noise(0.1)
        .residual(|body| body.dense(9, Relu).rms_norm());
    let mut network = builder
        .dense(3, Softmax)
        .initialize(Initialization::HeNormal, &mut rng(3))
        .unwrap();
    if fixed {
        network.fix_statistics(2).unwrap();
    }
    network
}

/// Counts allocations in several rounds, after 2 rounds in which the buffers grow.
pub(super) fn allocations<T: RealField + Copy>(m: usize, fixed: bool, gives: bool) -> usize {
    let real = |x: f64| convert::<f64, T>(x);
    let mut network = network::<T>(fixed);
    let (n, p) = (6, network.parameters());
    let x = DMatrix::from_fn(n, m, |i, j| match i {
        5 => real((3 * j % 7) as f64),
        _ => real((i as f64 + 2.0 * j as f64).sin()),
    });
    let y = DMatrix::from_fn(3, m, |i, j| real(f64::from(i == j % 3)));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.1);
    let v: Vec<T> = (0..p).map(|i| real((i as f64).cos())).collect();
    let (mut theta, mut tangent) = (v.clone(), vec![real(0.0); 3 * m]);
    let mut adam = Adam::new(1e-6);
    let mut workspaces: [Workspace<T>; 4] = std::array::from_fn(|_| Workspace::new());
    if gives {
        let mask = DMatrix::from_fn(12, m, |i, j| real(f64::from(u8::from((i + j) % 4 > 0))));
        for workspace in &mut workspaces[..3] {
            workspace.set_random_numbers(4, &mask).unwrap();
        }
    }
    let mut step = 0;
    let mut round = || {
        let [a, b, c, d] = &mut workspaces;
        for workspace in [&mut *a, b, c] {
            workspace.set_training(Some(step));
        }
        step += 1;
        network
            .gradient_into(&examples, &objective, a, &mut theta)
            .unwrap();
        network.step(&mut adam, &theta).unwrap();
        network.take_state(a).unwrap();
        network
            .hessian_product_into(&examples, &objective, &v, b, &mut theta)
            .unwrap();
        let along = Tangent::of_parameters(&v);
        network.jvp_into(&x, along, c, &mut tangent).unwrap();
        let into = VjpTargets::of_parameters(&mut theta);
        network.vjp_into(&x, &y, c, into).unwrap();
        network.cost_into(&examples, &objective, d).unwrap();
        network.forward_into(&x, d).unwrap();
        // The same workspace trains and evaluates.
        a.set_training(None);
        network.forward_into(&x, a).unwrap();
    };
    (0..2).for_each(|_| round());
    let before = allocations_so_far();
    (0..5).for_each(|_| round());
    allocations_so_far() - before
}
