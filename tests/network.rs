//! Networks as values: building, printing, parameters, seeds, and the problem for argmin.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use argmin::core::{CostFunction, Gradient};
use backprop::activation::{Elu, Identity, LeakyRelu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, ArgminProblem, Builder, CategoricalCrossEntropy, CrossEntropy, Dense, Error,
    Examples, Initialization, Network, Objective, Penalty, SquaredError, Workspace, rng, row_major,
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

/// The reference bits are from an independent implementation of SplitMix64 and xoshiro256++.
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
fn what_is_not_a_network_is_refused() {
    let builder = Network::<f64>::builder;
    assert_eq!(builder(0).dense(1, Tanh).zeros(), Err(Error::NoInputs));
    assert_eq!(builder(2).zeros(), Err(Error::NoLayers));
    assert_eq!(
        builder(2).dense(1, Tanh).dense(0, Tanh).zeros(),
        Err(Error::ZeroUnits { layer: 1 })
    );
    let layers = vec![Dense::new(2, 3, Tanh), Dense::new(4, 1, Tanh)];
    let found = Network::<f64, Dense>::from_layers(2, layers, &[]);
    let expected = Error::LayerInputs {
        layer: 1,
        expected: 3,
        found: 4,
    };
    assert_eq!(found, Err(expected));
    for (inputs, units) in [
        (usize::MAX, 1),
        (usize::MAX, usize::MAX),
        (1, usize::MAX),
        (1 << 40, 1 << 40),
        (1, usize::MAX / 16 - 1),
    ] {
        let refused = builder(inputs).dense(units, Tanh).zeros();
        assert!(
            matches!(refused, Err(Error::TooLarge { .. })),
            "{inputs} × {units}"
        );
    }
    for bad in [f64::NAN, f64::INFINITY] {
        for activation in [LeakyRelu { slope: bad }, Elu { alpha: bad }] {
            let refused = builder(1).dense(1, activation).zeros();
            assert!(matches!(refused, Err(Error::Hyperparameter { .. })));
        }
    }
    let refused = builder(1)
        .dense(1, Tanh)
        .initialize(Initialization::Uniform { epsilon: -1.0 }, &mut rng(0));
    assert!(matches!(
        refused,
        Err(Error::Hyperparameter { value: -1.0, .. })
    ));
}

#[test]
fn bad_parameters_change_nothing() {
    let mut network = small();
    let before = network.clone();
    let mut theta = network.theta().as_slice().to_vec();
    theta[7] = f64::NAN;
    assert!(matches!(
        network.set_theta(&theta),
        Err(Error::NonFiniteInput {
            what: "θ",
            row: 7,
            ..
        })
    ));
    assert!(matches!(
        network.set_theta(&theta[1..]),
        Err(Error::Length {
            expected: 26,
            found: 25,
            ..
        })
    ));
    assert!(matches!(
        network.set_layer_theta(0, &DMatrix::zeros(4, 3)),
        Err(Error::Shape {
            expected: (4, 4),
            found: (4, 3),
            ..
        })
    ));
    assert!(matches!(
        network.set_layer_theta(2, &DMatrix::zeros(4, 4)),
        Err(Error::Index {
            what: "layer",
            index: 2,
            count: 2
        })
    ));
    assert!(matches!(
        network.set_dense(0, &DMatrix::zeros(4, 3), &[0.0; 3]),
        Err(Error::Length {
            what: "the bias",
            expected: 4,
            found: 3
        })
    ));
    assert!(matches!(
        network.set_dense(0, &DMatrix::repeat(4, 3, f64::INFINITY), &[0.0; 4]),
        Err(Error::NonFiniteInput {
            what: "the weights",
            row: 0,
            col: 0,
            ..
        })
    ));
    assert!(matches!(
        network.block(0, 1),
        Err(Error::Index { what: "block", .. })
    ));
    assert!(network.roll(&[0.0]).is_err());
    assert_eq!(network, before);
}

#[test]
fn bad_data_is_named() {
    let (network, (mut x, y)) = (small(), data());
    let objective = Objective::new(CrossEntropy);
    assert!(matches!(
        network.forward(&DMatrix::zeros(2, 5)),
        Err(Error::Shape {
            what: "X",
            expected: (3, 5),
            found: (2, 5)
        })
    ));
    assert_eq!(
        network.forward(&DMatrix::zeros(3, 0)),
        Err(Error::NoExamples)
    );
    assert!(matches!(
        Examples::new(&DMatrix::<f64>::zeros(3, 0), &DMatrix::zeros(2, 0)),
        Err(Error::NoExamples)
    ));
    assert!(matches!(
        Examples::new(&x, &DMatrix::zeros(2, 4)),
        Err(Error::ExampleCounts {
            x: (3, 5),
            y: (2, 4)
        })
    ));
    assert!(matches!(
        row_major(&[1.0, 2.0, 3.0], 2),
        Err(Error::Ragged {
            length: 3,
            row: 2,
            ..
        })
    ));
    assert!(row_major::<f64>(&[], 0).is_err());

    let examples = Examples::new(&x, &y).unwrap();
    assert!(matches!(
        examples.weighted(&[1.0; 4]),
        Err(Error::Length {
            expected: 5,
            found: 4,
            ..
        })
    ));
    assert!(matches!(
        examples.weighted(&[1.0, 1.0, -0.5, 1.0, 1.0]),
        Err(Error::Weight {
            example: 2,
            value: -0.5
        })
    ));
    assert!(matches!(
        examples.weighted(&[0.0; 5]),
        Err(Error::NoExamples)
    ));
    assert!(matches!(
        examples.weighted(&[f64::MAX; 5]),
        Err(Error::TotalWeight {
            value: f64::INFINITY
        })
    ));
    for lambda in [-1.0, f64::NAN, f64::INFINITY] {
        let refused = network.cost(&examples, &objective.clone().l2(lambda));
        assert!(matches!(
            refused,
            Err(Error::Hyperparameter {
                name: "λ of the L2 penalty",
                ..
            })
        ));
    }
    let mut gradient = vec![7.0; 25];
    assert!(matches!(
        network.gradient_into(&examples, &objective, &mut Workspace::new(), &mut gradient),
        Err(Error::Length {
            what: "the gradient",
            expected: 26,
            found: 25
        })
    ));
    assert_eq!(gradient, vec![7.0; 25]);

    let soft = y.map(|y| 1.5 * y);
    assert!(matches!(
        network.backprop(&Examples::new(&x, &soft).unwrap(), &objective),
        Err(Error::Target {
            unit: 0,
            example: 0,
            value: 1.5,
            domain: (0.0, 1.0)
        })
    ));
    x[(1, 3)] = f64::NAN;
    assert!(matches!(
        network.forward(&x),
        Err(Error::NonFiniteInput {
            what: "X",
            row: 1,
            col: 3,
            ..
        })
    ));
}

#[test]
fn an_accumulator_stays_as_it_was_when_it_refuses() {
    let (network, (x, y)) = (small(), data());
    let examples = Examples::new(&x, &y).unwrap();
    let mut workspace = Workspace::new();
    let mut sums = Accumulator::new(&network).unwrap();
    assert_eq!(
        sums.finish(&network, &Penalty::none()),
        Err(Error::NoExamples)
    );
    sums.add(&network, &examples, &CrossEntropy, &mut workspace)
        .unwrap();
    let before = sums.clone();

    // Of the same length, but of another shape.
    let other = Network::<f64>::builder(2)
        .dense(2, Tanh)
        .dense(5, Tanh)
        .dense(1, Tanh);
    let other = other.zeros().unwrap();
    let twin = Network::<f64>::builder(4)
        .dense(3, Tanh)
        .dense(2, Tanh)
        .dense(1, Tanh);
    let twin = twin.zeros().unwrap();
    assert_eq!(twin.parameters(), network.parameters());
    for stranger in [&other, &twin] {
        let refused = sums.add(stranger, &examples, &CrossEntropy, &mut workspace);
        assert!(matches!(refused, Err(Error::OtherNetwork { .. })));
        assert!(sums.merge(&Accumulator::new(stranger).unwrap()).is_err());
        assert!(sums.finish(stranger, &Penalty::none()).is_err());
    }
    let beyond = y.map(|y| 2.0 * y);
    let beyond = Examples::new(&x, &beyond).unwrap();
    assert!(
        sums.add(&network, &beyond, &CrossEntropy, &mut workspace)
            .is_err()
    );
    assert!(sums.finish(&network, &Penalty::l2(-1.0)).is_err());
    assert_eq!(sums, before);

    sums.reset();
    let empty = Accumulator::new(&network).unwrap();
    assert_eq!(sums, empty);
    sums.merge(&empty).unwrap();
    assert_eq!(sums, empty);
    sums.merge(&before).unwrap();
    assert_eq!(sums, before);
}

/// In f32 the weights of the first layer overflow, and the error says where: not in the cost, where it shows.
#[test]
fn an_overflow_is_reported_where_it_appears() {
    let mut theta = vec![0.0_f32; 2 * 2 + 3 * 3];
    theta[3] = 3e38; // unit 1 of layer 0, input 0
    let network = Network::<f32>::builder(1)
        .dense(2, Identity)
        .dense(3, Softmax)
        .with_theta(&theta)
        .unwrap();
    let x = DMatrix::from_row_slice(1, 2, &[1.0, 10.0]);
    let y = DMatrix::repeat(3, 2, 0.5);
    let examples = Examples::new(&x, &y).unwrap();
    let expected = |error| matches!(error, Error::NonFinite { layer: 0, unit: 1, example: 1, value } if value == f64::INFINITY);
    let objective = Objective::new(CategoricalCrossEntropy);
    assert!(expected(network.forward(&x).unwrap_err()));
    assert!(expected(network.cost(&examples, &objective).unwrap_err()));
    assert!(expected(
        network.backprop(&examples, &objective).unwrap_err()
    ));
}

#[test]
fn argmin_gets_cost_and_gradient_from_one_pass_a_point() {
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
