//! Comparisons of networks, gradients, passes and scalers with `approx`.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Sigmoid, Tanh};
use backprop::approx::{
    AbsDiffEq, assert_abs_diff_eq, assert_relative_eq, assert_relative_ne, assert_ulps_eq,
    assert_ulps_ne,
};
use backprop::data::{MinMaxScaler, Standardizer};
use backprop::layer::Site;
use backprop::nalgebra::DMatrix;
use backprop::{
    BinaryCrossEntropy, Builder, Examples, Initialization, Layer, Network, Objective, Shape, rng,
};
use num_dual::Dual64;

fn network() -> Network<f64> {
    Network::builder(3)
        .dense(4, Tanh)
        .dense(2, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

/// The network with θ multiplied by 1 + `relative`.
fn scaled(relative: f64) -> Network<f64> {
    network().map(|w| w * (1.0 + relative)).unwrap()
}

#[test]
fn networks_compare_by_theta() {
    let network = network();
    assert_relative_eq!(network, network);
    assert_relative_eq!(network, scaled(1e-12), epsilon = 0.0, max_relative = 2e-12);
    assert_relative_ne!(network, scaled(1e-12), epsilon = 0.0, max_relative = 5e-13);
    assert_abs_diff_eq!(network, scaled(1e-12), epsilon = 2e-12);
    assert!(network.abs_diff_ne(&scaled(1e-3), 1e-12));
    assert_ulps_eq!(network, scaled(f64::EPSILON), epsilon = 0.0, max_ulps = 2);
    assert_ulps_ne!(network, scaled(1e-12), epsilon = 0.0, max_ulps = 2);

    // Each entry counts, including the last.
    let mut other = network.clone();
    let mut theta = network.theta().clone();
    *theta.as_mut_slice().last_mut().unwrap() += 1e-3;
    other.set_theta(theta.as_slice()).unwrap();
    assert_relative_ne!(network, other);
}

/// The default floor of `approx` hides an error in small numbers. Without the floor, it shows.
#[test]
fn the_default_floor_hides_errors_in_small_numbers() {
    let small = |factor: f64| network().map(|w| w * factor * 1e-17).unwrap();
    assert_relative_eq!(small(1.0), small(2.0));
    assert_relative_ne!(small(1.0), small(2.0), epsilon = 0.0);
    assert_ulps_ne!(small(1.0), small(2.0), epsilon = 0.0);
}

#[test]
fn different_layers_are_never_equal() {
    let make = |units, activation| {
        Network::<f64>::builder(3)
            .dense(units, activation)
            .dense(2, Sigmoid)
            .zeros()
            .unwrap()
    };
    let network = make(4, Tanh);
    for other in [make(4, Sigmoid), make(5, Tanh)] {
        assert!(!network.abs_diff_eq(&other, f64::INFINITY));
        assert_relative_ne!(network, other, epsilon = f64::INFINITY);
        assert_ulps_ne!(network, other, epsilon = f64::INFINITY);
    }
    // The same number of parameters, in a different shape.
    let flat = |inputs, units| {
        Network::<f64>::builder(inputs)
            .dense(units, Tanh)
            .zeros()
            .unwrap()
    };
    assert_eq!(flat(3, 3).parameters(), flat(5, 2).parameters());
    assert_relative_ne!(flat(3, 3), flat(5, 2), epsilon = f64::INFINITY);
}

#[test]
fn passes_and_gradients_compare_in_every_number() {
    let x = DMatrix::from_fn(3, 5, |i, k| ((1 + i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(2, 5, |i, k| f64::from((i + k) % 2 == 0));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy).l2(0.1);
    let pass = |objective| network().backprop(&examples, objective).unwrap();
    let (one, weaker) = (pass(&objective), pass(&objective.clone().l2(0.0)));
    assert_ulps_eq!(one, one.clone(), epsilon = 0.0, max_ulps = 0);
    assert_relative_ne!(one, weaker);
    assert_relative_ne!(one.cost_parts(), weaker.cost_parts());
    assert_abs_diff_eq!(one.cost_parts(), weaker.cost_parts(), epsilon = 0.1);
    assert_relative_ne!(one.gradient(), weaker.gradient());
    assert_abs_diff_eq!(one.gradient(), weaker.gradient(), epsilon = 0.1);

    // Reordering the examples changes only the rounding of the sums.
    let backwards = |m: &DMatrix<f64>| DMatrix::from_fn(m.nrows(), 5, |i, k| m[(i, 4 - k)]);
    let (x, y) = (backwards(&x), backwards(&y));
    let other = network()
        .backprop(&Examples::new(&x, &y).unwrap(), &objective)
        .unwrap();
    assert_relative_eq!(one, other, epsilon = 0.0, max_relative = 1e-13);

    let wide = Network::<f64>::builder(3)
        .dense(2, Sigmoid)
        .zeros()
        .unwrap();
    let wide = wide.backprop(&examples, &objective).unwrap();
    assert_abs_diff_ne(&one, &wide);
    assert_abs_diff_ne(one.gradient(), wide.gradient());
}

fn assert_abs_diff_ne<X: AbsDiffEq<Epsilon = f64>>(a: &X, b: &X) {
    assert!(!a.abs_diff_eq(b, f64::INFINITY));
}

#[test]
fn scalers_compare_by_their_numbers() {
    let standard = |mean| Standardizer::new(vec![mean, 2.0], vec![1.0, 0.5]).unwrap();
    assert_relative_eq!(standard(1.0), standard(1.0 + 1e-12), max_relative = 1e-11);
    assert_relative_ne!(standard(1.0), standard(1.0 + 1e-10), max_relative = 1e-11);
    let shorter = Standardizer::new(vec![1.0], vec![1.0]).unwrap();
    assert_abs_diff_ne(&standard(1.0), &shorter);

    let range = |range| MinMaxScaler::new(vec![0.0, 1.0], vec![range, 2.0]).unwrap();
    assert_ulps_eq!(
        range(1.0),
        range(1.0 + f64::EPSILON),
        epsilon = 0.0,
        max_ulps = 1
    );
    assert_ulps_ne!(range(1.0), range(1.0 + 1e-10), epsilon = 0.0);
    assert_abs_diff_ne(&range(1.0), &range(1.0).interval(-1.0, 1.0).unwrap());
    let shorter = MinMaxScaler::new(vec![0.0], vec![1.0]).unwrap();
    assert_abs_diff_ne(&range(1.0), &shorter);
}

/// The comparisons exist for every scalar, with defaults that do not panic.
#[test]
fn other_scalars_and_layer_types_compare() {
    let single = network().map(|w| w as f32).unwrap();
    assert_relative_eq!(single, single);
    assert_ulps_eq!(single, single);
    let dual = network().map(Dual64::from_re).unwrap();
    assert_relative_eq!(dual, dual);
    assert_abs_diff_eq!(dual, dual);
    assert_ulps_eq!(dual, dual);
    // Boxed layers cannot be compared, and neither can networks of them.
    let typed = Builder::<f64, backprop::Dense>::new(2)
        .dense(1, Tanh)
        .zeros()
        .unwrap();
    assert_relative_eq!(typed, typed);
    let plan = Layer::<f64>::plan(&typed.layers()[0], Site::new(2)).unwrap();
    assert_eq!(plan.input(), Shape::Units(2));
}
