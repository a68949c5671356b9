//! The classic bugs of back-propagation, planted: the gradient check finds each in the right block.
#![allow(
    clippy::unwrap_used,
    reason = "fixtures that cannot fail, outside test functions"
)]

mod checker;
mod inconclusive;
mod kinks;
mod mutants;
mod tangent_faults;
mod tangent_mutants;
mod training;

use backprop::activation::{AnyActivation, Identity, Relu, Sigmoid, Sine, Tanh};
use backprop::cost::{BinaryCrossEntropy, Cost, SquaredError};
use backprop::gradient_check::{GradientCheck, Place, Report};
use backprop::layer::{AnyLayer, Layer};
use backprop::nalgebra::DMatrix;
use backprop::{
    BlockLayout, Builder, Dense, Error, Examples, Initialization, Layout, Location, Network,
    Objective, rng,
};
use mutants::{ActivationFault, CostFault, Fault, Faulty, FaultyActivation, FaultyCost};

const INPUTS: usize = 3;
const EXAMPLES: usize = 5;
const LAMBDA: f64 = 1.5;

/// Inputs and targets of two outputs in (0, 1).
fn data() -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_fn(INPUTS, EXAMPLES, |i, k| (1.0 + (i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(2, EXAMPLES, |i, k| f64::from((i + k) % 3 == 0));
    (x, y)
}

/// Sets biases that are not 0, so that a penalty on them shows.
fn with_biases<L: Layer<f64>>(builder: Builder<f64, L>) -> Network<f64, L> {
    let uniform = Initialization::Uniform { epsilon: 0.9 };
    let mut network = builder.initialize(uniform, &mut rng(11)).unwrap();
    let mut theta = network.theta().clone();
    for (i, t) in theta.iter_mut().enumerate().filter(|(_, t)| **t == 0.0) {
        *t = 0.4 + 0.1 * (i as f64).sin();
    }
    network.set_theta(theta.as_slice()).unwrap();
    network
}

/// A 3-4-3-2 network, with no square block and a fault in layer number `at`.
fn planted(fault: Fault, at: usize) -> Network<f64, AnyLayer<Faulty>> {
    let sizes = [(INPUTS, 4, Tanh), (4, 3, Tanh), (3, 2, Sigmoid)];
    let mut builder = Builder::new(INPUTS);
    for (l, (inputs, outputs, g)) in sizes.into_iter().enumerate() {
        let inner = Dense::new(inputs, outputs, g);
        builder = builder.layer(if l == at {
            AnyLayer::Custom(Faulty { inner, fault })
        } else {
            AnyLayer::Dense(inner)
        });
    }
    with_biases(builder)
}

fn check<L: Layer<f64>, C: Cost<f64>>(network: &Network<f64, L>, cost: C) -> Report {
    check_with(&GradientCheck::new(), network, cost)
}

fn check_with<L: Layer<f64>, C: Cost<f64>>(
    check: &GradientCheck,
    network: &Network<f64, L>,
    cost: C,
) -> Report {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(cost).l2(LAMBDA);
    check.network(network, &examples, &objective).unwrap()
}

/// Returns the labels of the wrong blocks.
fn wrong(report: &Report) -> Vec<&str> {
    report.wrong_blocks().map(|b| b.label.as_str()).collect()
}

const LABELS: [&str; 3] = ["Θ⁽¹⁾", "Θ⁽²⁾", "Θ⁽³⁾"];

/// Faults in the gradient of a layer. They do not change the δ that it passes down.
const OF_THE_GRADIENT: [Fault; 9] = [
    Fault::NotAveraged,
    Fault::AveragedTwice,
    Fault::Transposed,
    Fault::WrongSign,
    Fault::Factor(2.0),
    Fault::Factor(1.0001),
    Fault::AddsToOld,
    Fault::KeepsOld,
    Fault::NoBias,
];

/// Faults in the δ that a layer passes down. They do not change its own gradient.
const OF_THE_ERROR: [Fault; 4] = [
    Fault::ErrorWrongSign,
    Fault::ErrorFactor(0.5),
    Fault::ErrorAddsToOld,
    Fault::ErrorKeepsOld,
];

#[test]
fn correct_derivatives_pass() {
    for at in 0..3 {
        let report = check(&planted(Fault::None, at), BinaryCrossEntropy);
        report.assert_passed();
        assert_eq!(report.blocks.iter().map(|b| b.kinks).sum::<usize>(), 0);
        assert!(report.relative_error() < 1e-8, "{report}");
        let labels: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
        assert_eq!(labels, LABELS);
    }
}

/// Only the faulty block is named, in a hidden layer and in the linked output layer.
#[test]
fn faults_of_the_gradient_are_named() {
    for fault in OF_THE_GRADIENT {
        for (at, label) in LABELS.into_iter().enumerate() {
            let report = check(&planted(fault, at), BinaryCrossEntropy);
            assert_eq!(wrong(&report), [label], "{fault:?}\n{report}");
            // As above, but without a link: the output layer computes its own g′.
            let report = check(&planted(fault, at), SquaredError);
            assert_eq!(wrong(&report), [label], "{fault:?}\n{report}");
        }
    }
}

/// All layers below the fault are wrong, and no others.
#[test]
fn faults_of_the_error_are_named() {
    for fault in OF_THE_ERROR {
        for at in 0..3 {
            let report = check(&planted(fault, at), BinaryCrossEntropy);
            assert_eq!(wrong(&report), LABELS[..at], "{fault:?}\n{report}");
        }
    }
}

#[test]
fn samples_directions_and_f32_find_faults_too() {
    let (x, y) = data();
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy).l2(LAMBDA);
    let checks = [
        GradientCheck::new().sampled(6, 1),
        GradientCheck::new().directions(4, 1),
        GradientCheck::new().step(1e-4),
    ];
    let correct = planted(Fault::None, 1);
    for fault in OF_THE_GRADIENT
        .into_iter()
        .filter(|f| *f != Fault::Factor(1.0001))
    {
        let network = planted(fault, 1);
        for c in &checks {
            check_with(c, &correct, BinaryCrossEntropy).assert_passed();
            let report = check_with(c, &network, BinaryCrossEntropy);
            assert_eq!(wrong(&report), [LABELS[1]], "{fault:?}, {c:?}\n{report}");
        }
        let single = network.map(|w| w as f32).unwrap();
        let report = GradientCheck::new().network(&single, &examples, &objective);
        assert_eq!(wrong(&report.unwrap()), [LABELS[1]], "{fault:?} in f32");
    }
    let single = correct.map(|w| w as f32).unwrap();
    let report = GradientCheck::new().network(&single, &examples, &objective);
    report.unwrap().assert_passed();
}

/// The check of the layer by itself names its block for faults of the gradient, and `input` for
/// faults of δ, on both paths.
#[test]
fn faults_are_found_when_checking_the_layer_by_itself() {
    let x = DMatrix::from_fn(4, 5, |i, k| (0.3 + (2 * i + 5 * k) as f64).cos());
    let theta: Vec<f64> = (0..15).map(|i| 0.8 * (f64::from(i) * 1.7).sin()).collect();
    let inner = Dense::new(4, 3, Sigmoid);
    let faulty = |fault| {
        let layer = Faulty { inner, fault };
        GradientCheck::new().layer(&layer, &theta, &x).unwrap()
    };
    faulty(Fault::None).assert_passed();
    for fault in OF_THE_GRADIENT {
        assert_eq!(wrong(&faulty(fault)), ["Θ", "Θ (linked)"], "{fault:?}");
    }
    for fault in OF_THE_ERROR {
        let expected = ["input", "input (linked)"];
        assert_eq!(wrong(&faulty(fault)), expected, "{fault:?}");
    }
}

/// A faulty hidden activation makes the layers up to it wrong. Those above are right.
#[test]
fn missing_and_wrong_derivatives_of_hidden_layers() {
    let build = |fault, at: usize, g: AnyActivation| {
        let mut builder = Builder::<f64, AnyLayer<Dense<FaultyActivation>>>::new(INPUTS);
        for (l, (inputs, outputs)) in [(INPUTS, 4), (4, 3)].into_iter().enumerate() {
            let fault = if l == at {
                fault
            } else {
                ActivationFault::None
            };
            let g = FaultyActivation { inner: g, fault };
            builder = builder.layer(AnyLayer::Custom(Dense::new(inputs, outputs, g)));
        }
        let mut network = with_biases(builder.dense(2, Sigmoid));
        // Steep enough that sin falls at some examples.
        let steep = network.theta() * 2.5;
        network.set_theta(steep.as_slice()).unwrap();
        network
    };
    for g in [Sine, Tanh] {
        check(&build(ActivationFault::None, 0, g), BinaryCrossEntropy).assert_passed();
        for fault in [
            ActivationFault::NoDerivative,
            ActivationFault::OfTheOutput,
            ActivationFault::Absolute,
        ] {
            if (g, fault) == (Tanh, ActivationFault::Absolute) {
                continue; // tanh rises everywhere: |g′| is right
            }
            for at in 0..2 {
                let report = check(&build(fault, at, g), BinaryCrossEntropy);
                assert_eq!(
                    wrong(&report),
                    LABELS[..=at],
                    "{fault:?} of {g:?}\n{report}"
                );
            }
            // The check of the activation by itself.
            let z = DMatrix::from_fn(2, 3, |i, j| 1.3 * i as f64 + 0.9 * j as f64 - 0.4);
            let activation = FaultyActivation { inner: g, fault };
            let report = GradientCheck::new().activation(&activation, &z).unwrap();
            assert_eq!(wrong(&report), ["z"], "{fault:?} of {g:?}");
        }
    }
}

/// New buffers hold zeros; those of a used workspace do not. An unwritten value counts as wrong.
#[test]
fn unwritten_zeros_count_as_wrong() {
    let (mut x, y) = data();
    x.row_mut(1).fill(0.0); // a feature without information: its column of Θ⁽¹⁾ has gradient 0
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    let (right, faulty) = (planted(Fault::None, 0), planted(Fault::SkipsZeros, 0));
    let first = |n: &Network<f64, _>| n.backprop(&examples, &objective).unwrap();
    assert_eq!(
        first(&faulty),
        first(&right),
        "in new buffers it does not show"
    );
    let check = |n| {
        GradientCheck::new()
            .network(n, &examples, &objective)
            .unwrap()
    };
    check(&right).assert_passed();
    assert_eq!(wrong(&check(&faulty)), ["Θ⁽¹⁾"]);

    // An unwritten value in the forward pass is an output that is NaN.
    let relu = |fault| FaultyActivation { inner: Relu, fault };
    let network = |fault| {
        let dense = Dense::new(INPUTS, 4, relu(fault));
        let builder = Builder::new(INPUTS).layer(AnyLayer::Custom(dense));
        with_biases(builder.dense(2, Sigmoid))
    };
    let check = |fault| GradientCheck::new().network(&network(fault), &examples, &objective);
    check(ActivationFault::None).unwrap().assert_passed();
    let found = check(ActivationFault::SkipsZeros);
    assert!(
        matches!(
            found,
            Err(Error::NonFinite {
                at: Location::Activation { ref layer, .. },
                ..
            }) if *layer == 0
        ),
        "{found:?}"
    );
    let z = DMatrix::from_row_slice(1, 2, &[0.5, -0.5]);
    let found = GradientCheck::new().activation(&relu(ActivationFault::SkipsZeros), &z);
    assert!(
        matches!(
            found,
            Err(Error::NonFinite {
                at: Location::TestedFunction,
                ..
            })
        ),
        "{found:?}"
    );
}

/// A wrong δ⁽ᴸ⁾ makes every block wrong. The check of the cost by itself names the path.
#[test]
fn faults_of_the_cost() {
    let (z, y) = (DMatrix::from_element(2, 5, 0.3), data().1);
    let checked = |cost: FaultyCost, g: AnyActivation| {
        let (network, report) = (
            check(&with_output(g), cost),
            GradientCheck::new().cost(&cost, &g, &z, &y).unwrap(),
        );
        (network, report)
    };
    for (inner, g, canonical) in [
        (BinaryCrossEntropy, Sigmoid, true),
        (SquaredError, Sigmoid, false),
        (SquaredError, Identity, true),
    ] {
        let cost = |fault| FaultyCost { inner, fault };
        let (network, alone) = checked(cost(CostFault::None), g);
        network.assert_passed();
        alone.assert_passed();
        for fault in [CostFault::Factor(2.0), CostFault::WrongSign] {
            let (network, alone) = checked(cost(fault), g);
            assert_eq!(wrong(&network), LABELS, "{fault:?}, {inner:?}\n{network}");
            let paths = ["∂cost/∂a", "∂cost/∂z"];
            let expected = if canonical { &paths[..] } else { &paths[..1] };
            assert_eq!(wrong(&alone), expected, "{fault:?}, {inner:?}");
        }
    }
    // A common slip: δ = a − y for a squared error after a sigmoid, as for a canonical pair.
    let slip = FaultyCost {
        inner: SquaredError,
        fault: CostFault::PretendsToBeCanonical,
    };
    let (network, alone) = checked(slip, Sigmoid);
    assert_eq!(wrong(&network), LABELS);
    assert_eq!(wrong(&alone), ["∂cost/∂z"]);
}

fn with_output(g: AnyActivation) -> Network<f64> {
    let builder = Network::builder(INPUTS).dense(4, Tanh).dense(3, Tanh);
    with_biases(builder.dense(2, g))
}

/// A fault in ∇J, as a function of the gradient, θ and the places of the blocks.
type Corrupt = fn(&mut [f64], &[f64], &Layout);

/// Checks a correct network whose gradient is corrupted on its way to the checker.
fn corrupted(corrupt: Corrupt) -> Report {
    let network = with_output(Sigmoid);
    let layout = network.layout();
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy).l2(LAMBDA);
    let labels: Vec<String> = layout.blocks().iter().map(BlockLayout::label).collect();
    let blocks: Vec<(&str, usize)> = labels
        .iter()
        .zip(layout.blocks())
        .map(|(label, b)| (label.as_str(), b.range().len()))
        .collect();
    let f = |theta: &[f64]| {
        let mut moved = network.clone();
        moved.set_theta(theta).unwrap();
        let pass = moved.backprop(&examples, &objective).unwrap();
        let j = pass.cost();
        let mut gradient = pass.into_gradient().into_vector();
        corrupt(gradient.as_mut_slice(), theta, layout);
        (j, gradient.as_slice().to_vec())
    };
    let theta = network.theta().as_slice();
    GradientCheck::new().function(&blocks, theta, f).unwrap()
}

#[test]
fn faults_of_the_sum_and_the_penalty() {
    let m = EXAMPLES as f64;
    corrupted(|_, _, _| {}).assert_passed();

    let no_division: Corrupt = |g, _, _| g.iter_mut().for_each(|g| *g *= EXAMPLES as f64);
    assert_eq!(wrong(&corrupted(no_division)), LABELS);

    let no_penalty: Corrupt = |g, theta, layout| penalise(g, theta, layout, -LAMBDA / 5.0, 0..3);
    assert_eq!(wrong(&corrupted(no_penalty)), LABELS);
    let not_in_layer_2: Corrupt =
        |g, theta, layout| penalise(g, theta, layout, -LAMBDA / 5.0, 1..2);
    assert_eq!(wrong(&corrupted(not_in_layer_2)), [LABELS[1]]);
    let undivided: Corrupt =
        |g, theta, layout| penalise(g, theta, layout, LAMBDA - LAMBDA / 5.0, 0..3);
    assert_eq!(wrong(&corrupted(undivided)), LABELS);

    let bias_penalised: Corrupt = |g, theta, layout| {
        for b in layout.blocks() {
            for i in b.range().start..b.penalised().start {
                g[i] += LAMBDA / 5.0 * theta[i];
            }
        }
    };
    let report = corrupted(bias_penalised);
    assert_eq!(wrong(&report), LABELS);
    let network = with_output(Sigmoid);
    for (block, place) in report.blocks.iter().zip(network.layout().blocks()) {
        // The worst entry is a bias, off by λ/m · b.
        let worst = block.worst.unwrap();
        let Place::Entry { row, col: 0 } = worst.place else {
            panic!("not a bias\n{report}");
        };
        let bias = network.theta()[place.range().start + row];
        let error = (worst.difference() - LAMBDA / m * bias).abs();
        assert!(error < 1e-8, "{report}");
    }
}

/// Adds c Θ to the gradient of the blocks numbered `which`, biases exempt.
fn penalise(g: &mut [f64], theta: &[f64], layout: &Layout, c: f64, which: std::ops::Range<usize>) {
    for b in &layout.blocks()[which] {
        for i in b.penalised() {
            g[i] += c * theta[i];
        }
    }
}
