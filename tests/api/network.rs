//! Networks as values: building, printing, parameters, seeds and the problem for argmin.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use argmin::core::{CostFunction, Gradient};
use backprop::activation::{LeakyRelu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, ArgminProblem, BinaryCrossEntropy, Builder, Examples, Initialization, Network,
    Objective, SquaredError, Workspace, rng,
};

fn small() -> Network<f64> {
    Network::builder(3)
        .dense(4, Tanh)
        .dense(2, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap()
}

fn data() -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_fn(3, 5, |i, k| ((1 + i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(2, 5, |i, k| f64::from((i + k) % 2 == 0));
    (x, y)
}

#[test]
fn display_is_a_table() {
    let network = Network::<f64>::builder(400)
        .dense(25, LeakyRelu { slope: 0.01 })
        .dense(10, Softmax)
        .zeros()
        .unwrap();
    let expected = "\
layer                  outputs  parameters     count
input                      400                      
Dense LeakyRelu(0.01)       25  Θ⁽¹⁾ 25 × 401  10025
Dense Softmax               10  Θ⁽²⁾ 10 × 26     260
total                                          10285";
    assert_eq!(network.to_string(), expected);
}

/// The bits come from an independent implementation of SplitMix64 and xoshiro256++.
#[test]
fn a_seed_gives_the_same_bits_everywhere() {
    let make = || Builder::<f64>::new(3).dense(1, Tanh);
    let uniform = Initialization::Uniform { epsilon: 0.5 };
    let network = make().initialize(uniform, &mut rng(42)).unwrap();
    assert_eq!(
        network.theta().as_slice(),
        &[
            0.0,
            0.314_305_145_122_909_86,
            -0.181_178_959_938_338_88,
            0.483_894_168_177_488_76
        ]
    );
    let single = Network::<f32>::builder(3)
        .dense(1, Tanh)
        .initialize(uniform, &mut rng(42))
        .unwrap();
    assert_eq!(network.map(|w| w as f32).unwrap(), single);
}

#[test]
fn an_empty_accumulator_adds_nothing() {
    let (network, (x, y)) = (small(), data());
    let examples = Examples::new(&x, &y).unwrap();
    let mut sums = Accumulator::new(&network).unwrap();
    sums.add(
        &network,
        &examples,
        &BinaryCrossEntropy,
        &mut Workspace::new(),
    )
    .unwrap();
    let before = sums.clone();
    sums.reset();
    let empty = Accumulator::new(&network).unwrap();
    assert_eq!(sums, empty);
    sums.merge(&empty).unwrap();
    assert_eq!(sums, empty);
    sums.merge(&before).unwrap();
    assert_eq!(sums, before);
    sums.merge(&empty).unwrap();
    assert_eq!(sums, before);
}

#[test]
fn argmin_gets_cost_and_gradient_from_one_pass_per_point() {
    let (network, (x, y)) = (small(), data());
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(0.3);
    let problem = ArgminProblem::new(&network, &examples, &objective).unwrap();
    let mut theta = network.theta().as_slice().to_vec();
    for evaluations in 1..=3 {
        let moved = network.clone_with(&theta);
        let pass = moved.backprop(&examples, &objective).unwrap();
        assert_eq!(problem.cost(&theta).unwrap(), pass.cost());
        assert_eq!(
            problem.gradient(&theta).unwrap(),
            pass.gradient().vector().as_slice()
        );
        assert_eq!(problem.cost(&theta).unwrap(), pass.cost());
        assert_eq!(problem.evaluations(), evaluations);
        theta[4] += 0.25;
    }
    theta[4] = f64::NAN;
    assert!(problem.gradient(&theta).is_err());
    assert!(problem.cost(&theta).is_err());
    theta[4] = 0.0;
    assert!(problem.cost(&theta).unwrap().is_finite());
}

trait CloneWith {
    fn clone_with(&self, theta: &[f64]) -> Self;
}

impl CloneWith for Network<f64> {
    fn clone_with(&self, theta: &[f64]) -> Self {
        let mut moved = self.clone();
        moved.set_theta(theta).unwrap();
        moved
    }
}
