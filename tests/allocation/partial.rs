//! Calls with missing targets and frozen layers, pullbacks, and steps in place.

use super::{Case, allocations_so_far, rounds};
use backprop::nalgebra::{DMatrix, RealField, convert};
use backprop::training::Adam;
use backprop::{Examples, Initialization, Network, Objective, Tangent, VjpTargets, Workspace, rng};

/// Counts allocations in several rounds, after 2 rounds in which the buffers grow, with a workspace
/// for each call.
pub(super) fn allocations<T: RealField + Copy>(case: &Case, m: usize) -> usize {
    let (sizes, hidden, output, cost, _) = *case;
    let real = |x: f64| convert::<f64, T>(x);
    let mut builder = Network::<T>::builder(sizes[0]);
    for &units in &sizes[1..sizes.len() - 1] {
        builder = builder.dense(units, hidden);
    }
    let (n, k) = (sizes[0], *sizes.last().unwrap());
    let network = builder.dense(k, output);
    let mut network = network
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    network.freeze(0).unwrap();
    let p = network.parameters();
    let x = DMatrix::from_fn(n, m, |i, j| real((i as f64 + 2.0 * j as f64).sin()));
    let y = DMatrix::from_fn(k, m, |i, j| real(f64::from(i == j % k)));
    let present = DMatrix::from_fn(k, m, |_, j| j % 3 != 1);
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let objective = Objective::new(cost).l2(0.1);
    let v: Vec<T> = (0..p).map(|i| real((i as f64).cos())).collect();
    let (mut theta, mut of_x) = (v.clone(), vec![real(0.0); n * m]);
    let (mut norms, mut adam) = (vec![real(0.0); m], Adam::new(1e-6));
    let mut round = |w: &mut [Workspace<T>; 6]| {
        let [a, b, c, d, e, f] = w;
        network
            .gradient_into(&examples, &objective, a, &mut theta)
            .unwrap();
        network.step(&mut adam, &theta).unwrap();
        network
            .hessian_product_into(&examples, &objective, &v, b, &mut theta)
            .unwrap();
        let each = network.example_gradients(&examples, &cost);
        each.norms_into(c, &mut norms).unwrap();
        each.clipped_sum(0.5, d, &mut theta).unwrap();
        let direction = Tangent::of_parameters(&v).and_inputs(&x);
        let into = VjpTargets::of_parameters(&mut theta).and_inputs(&mut of_x);
        network.vjp_along_into(&x, &y, direction, e, into).unwrap();
        let mut pullback = network.pullback(&x, f).unwrap();
        let into = VjpTargets::of_parameters(&mut theta).and_inputs(&mut of_x);
        pullback.vjp_into(&y, into).unwrap();
        let into = VjpTargets::of_parameters(&mut theta).and_inputs(&mut of_x);
        pullback.add_vjp_into(&y, into).unwrap();
    };
    let mut workspaces = std::array::from_fn(|_| Workspace::new());
    (0..2).for_each(|_| round(&mut workspaces));
    let before = allocations_so_far();
    (0..rounds(p, m)).for_each(|_| round(&mut workspaces));
    allocations_so_far() - before
}
