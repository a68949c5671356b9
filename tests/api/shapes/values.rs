//! Numbers outside the domain of the cost and numbers that overflow. Errors name the exact place.

use super::*;
use backprop::activation::{Identity, Softmax};
use backprop::{BlockEntry, CategoricalCrossEntropy, Location, Penalty, Poisson, SquaredError};

/// Like `no_cost`, but also for an accumulator.
#[track_caller]
fn no_pass(
    what: &str,
    (network, examples, objective): (&Network<f64>, &Examples<'_, f64>, &Objective),
    workspace: &mut Workspace<f64>,
    expected: &Error,
) {
    let copy = network.clone();
    no_cost(what, (network, examples, objective), workspace, expected);
    no_batch(what, (network, examples, objective), workspace, expected);
    assert_eq!(*network, copy, "{what}");
}

/// Asserts that a batch is refused with this error and leaves empty and non-empty sums unchanged.
#[track_caller]
fn no_batch(
    what: &str,
    (network, examples, objective): (&Network<f64>, &Examples<'_, f64>, &Objective),
    workspace: &mut Workspace<f64>,
    expected: &Error,
) {
    let mut sums = Accumulator::new(network).unwrap();
    for _ in 0..2 {
        let before = sums.clone();
        let found = sums.add(network, examples, &objective.cost, workspace);
        refused(what, found, expected);
        assert_eq!(sums, before, "{what}");
        let (rows, outputs) = (network.inputs(), network.outputs());
        let (x, y) = (DMatrix::zeros(rows, 1), DMatrix::zeros(outputs, 1));
        let good = Examples::new(&x, &y).unwrap();
        sums.add(network, &good, &backprop::LogCosh, workspace)
            .unwrap();
    }
}

/// 2-2-2 identity units. Θ⁽¹⁾ and Θ⁽²⁾ are zero except for the given entries.
fn linear(entries: &[(usize, (usize, usize), f64)]) -> Network<f64> {
    let builder = Network::builder(2).dense(2, Identity).dense(2, Identity);
    let mut network = builder.zeros().unwrap();
    for &(layer, at, value) in entries {
        let mut theta = network.block(layer, 0).unwrap().clone_owned();
        theta[at] = value;
        network.set_block(layer, 0, &theta).unwrap();
    }
    network
}

/// The places of a 2 × 5 matrix, column by column.
fn places() -> impl Iterator<Item = (usize, usize)> {
    (0..10).map(|i| (i % 2, i / 2))
}

#[test]
pub(super) fn targets() {
    let problem = Problem::new();
    let network = &problem.network;
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let (infinity, least) = (f64::INFINITY, 5e-324);
    for (cost, domain, bad) in [
        (BinaryCrossEntropy, (0.0, 1.0), [-least, 1.0_f64.next_up()]),
        (BinaryCrossEntropy, (0.0, 1.0), [-f64::MAX, f64::MAX]),
        (CategoricalCrossEntropy, (0.0, infinity), [-least, -2.0]),
        (Poisson, (0.0, infinity), [-least, -f64::MAX]),
    ] {
        for (at, value) in places().flat_map(|at| bad.map(|value| (at, value))) {
            let what = &format!("{cost:?}: {value} at {at:?}");
            let mut y = problem.y.clone();
            y[(1, 4)] = -0.5; // a later one, which the error must not name
            y[at] = value;
            let examples = Examples::new(&problem.x, &y).unwrap();
            let expected = Error::Target {
                unit: at.0,
                example: at.1,
                value,
                domain,
            };
            let objective = Objective::new(cost);
            let call = (network, &examples, &objective);
            no_pass(what, call, &mut workspace, &expected);
            let found = GradientCheck::new().cost(&cost, &Sigmoid, &problem.y, &y);
            refused(what, found, &expected);
            // A zero weight does not help.
            let mut weights = [1.0; 5];
            weights[at.1] = 0.0;
            let weighted = examples.weighted(&weights).unwrap();
            let found = network.cost(&weighted, &objective);
            refused(what, found, &expected);
        }
        for edge in [0.0, -0.0, domain.1.min(f64::MAX.sqrt())] {
            let y = DMatrix::repeat(2, 5, edge);
            let examples = Examples::new(&problem.x, &y).unwrap();
            assert!(network.backprop(&examples, &Objective::new(cost)).is_ok());
        }
    }
    assert_eq!(problem.bits(&mut workspace), before);
}

/// The outputs are the inputs, shifted out of the domain of the cost.
#[test]
pub(super) fn outputs() {
    let mut network = linear(&[]);
    for layer in [0, 1] {
        let identity = DMatrix::identity(2, 2);
        network.set_dense(layer, &identity, &[0.0; 2]).unwrap();
    }
    let unit = "in (0, 1), or 0 where y = 0, or 1 where y = 1";
    let above = "in (0, ∞), or 0 where y = 0";
    let problem = Problem::new();
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    for (cost, value, target, words) in [
        (BinaryCrossEntropy, 0.0, 0.5, unit),
        (BinaryCrossEntropy, 0.0, 5e-324, unit),
        (BinaryCrossEntropy, 1.0, 1.0_f64.next_down(), unit),
        (BinaryCrossEntropy, 1.0, 0.0, unit),
        (BinaryCrossEntropy, -5e-324, 0.0, unit),
        (BinaryCrossEntropy, 1.0_f64.next_up(), 1.0, unit),
        (CategoricalCrossEntropy, 0.0, 1.0, above),
        (CategoricalCrossEntropy, -5e-324, 0.0, above),
        (Poisson, 0.0, 5e-324, above),
        (Poisson, -1e300, 3.0, above),
    ] {
        for at in places() {
            let what = &format!("{cost:?}: {value} at {at:?} with target {target}");
            let (mut a, mut y) = (DMatrix::repeat(2, 5, 0.5), DMatrix::repeat(2, 5, 0.75));
            a[(1, 4)] = -3.0; // a later one
            (a[at], y[at]) = (value, target);
            let examples = Examples::new(&a, &y).unwrap();
            let output = |layer: usize| Error::Output {
                layer: layer.into(),
                unit: at.0,
                example: at.1,
                value,
                expected: words,
            };
            let objective = Objective::new(cost);
            let call = (&network, &examples, &objective);
            no_pass(what, call, &mut workspace, &output(1));
            let found = GradientCheck::new().cost(&cost, &Identity, &a, &y);
            refused(what, found, &output(0));
        }
    }
    // On the edge of the domain, if the target allows it.
    for (cost, edge) in [
        (BinaryCrossEntropy, 0.0),
        (BinaryCrossEntropy, 1.0),
        (Poisson, 0.0),
    ] {
        let edges = DMatrix::repeat(2, 5, edge);
        let examples = Examples::new(&edges, &edges).unwrap();
        assert!(network.backprop(&examples, &Objective::new(cost)).is_ok());
    }
    assert_eq!(problem.bits(&mut workspace), before);
}

#[test]
pub(super) fn overflow() {
    let problem = Problem::new();
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let (infinity, zeros) = (f64::INFINITY, DMatrix::<f64>::zeros(2, 5));
    let squares = Objective::new(SquaredError);

    // z = ±1e300 · 1e10 for one unit and one example, in either layer.
    for (layer, (unit, example)) in places().flat_map(|at| [(0, at), (1, at)]) {
        for sign in [1.0, -1.0] {
            let what = &format!("layer {layer}, unit {unit}, example {example}");
            let network = linear(&[(0, (0, 1), 1.0), (layer, (unit, 1), sign * 1e300)]);
            let mut x = DMatrix::zeros(2, 5);
            (x[(0, 4)], x[(0, example)]) = (1e10, 1e10);
            let expected = Error::NonFinite {
                at: Location::Activation {
                    layer: layer.into(),
                    unit,
                    example,
                },
                value: sign * infinity,
            };
            refused(what, network.forward(&x), &expected);
            let found = network.forward_into(&x, &mut workspace);
            refused(what, found, &expected);
            let examples = Examples::new(&x, &zeros).unwrap();
            let call = (&network, &examples, &squares);
            no_pass(what, call, &mut workspace, &expected);
        }
    }
    // The same in f32, where the next layer would hide the overflow.
    let mut theta = [0.0_f32; 2 * 2 + 3 * 3];
    theta[3] = 3e38;
    let builder = Network::builder(1).dense(2, Identity).dense(3, Softmax);
    let network = builder.with_theta(&theta).unwrap();
    let (x, y) = (
        DMatrix::from_row_slice(1, 2, &[1.0, 10.0]),
        DMatrix::repeat(3, 2, 0.5),
    );
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let expected = Error::NonFinite {
        at: Location::Activation {
            layer: 0.into(),
            unit: 1,
            example: 1,
        },
        value: infinity,
    };
    refused("f32", network.forward(&x), &expected);
    let call = (&network, &examples, &objective);
    no_cost("f32", call, &mut Workspace::new(), &expected);

    let identity = linear(&[(0, (0, 1), 1.0), (1, (0, 1), 1.0)]);
    for example in 0..5 {
        let mut x = zeros.clone();
        (x[(0, 4)], x[(0, example)]) = (-1e200, 1e200);
        let examples = Examples::new(&x, &zeros).unwrap();
        let value = infinity;
        let expected = Error::NonFinite {
            at: Location::Cost { example },
            value,
        };
        let call = (&identity, &examples, &squares);
        no_pass("½ d²", call, &mut workspace, &expected);
    }
    // Each ½ d² is 8e307. The weight makes the second more than 1e308.
    let expected = Error::NonFinite {
        at: Location::Objective,
        value: infinity,
    };
    let x = DMatrix::from_fn(2, 5, |i, _| if i == 0 { 1.3e154 } else { 0.0 });
    let examples = Examples::new(&x, &zeros).unwrap();
    let call = (&identity, &examples, &squares);
    no_pass("Σ", call, &mut workspace, &expected);
    let x = x.map(|x| x * 1e-4);
    let examples = Examples::new(&x, &zeros).unwrap();
    assert!(identity.cost(&examples, &squares).is_ok());
    let heavy = examples.weighted(&[0.0, 1e10, 0.0, 0.0, 0.0]).unwrap();
    let call = (&identity, &heavy, &squares);
    no_pass("Σ w", call, &mut workspace, &expected);
    penalties_that_overflow(&problem, &mut workspace);
    gradients_that_overflow(&mut workspace);
    assert_eq!(problem.bits(&mut workspace), before);
}

/// Finite data and an infinite penalty, which ∂J/∂X and the sums do not contain.
fn penalties_that_overflow(problem: &Problem, workspace: &mut Workspace<f64>) {
    let (network, examples) = (&problem.network, problem.examples());
    let mut sums = Accumulator::new(network).unwrap();
    sums.add(network, &examples, &BinaryCrossEntropy, workspace)
        .unwrap();
    let full = sums.clone();
    let expected = Error::NonFinite {
        at: Location::Objective,
        value: f64::INFINITY,
    };
    for penalty in [Penalty::l1(f64::MAX), Penalty::l2(f64::MAX)] {
        let objective = Objective::new(BinaryCrossEntropy).penalty(penalty.clone());
        let call = (network, &examples, &objective);
        refused("penalty", network.cost(&examples, &objective), &expected);
        let found = network.cost_into(&examples, &objective, workspace);
        refused("penalty", found, &expected);
        no_gradient("penalty", call, workspace, &expected);
        let found = GradientCheck::new().network(network, &examples, &objective);
        refused("penalty", found, &expected);
        refused("penalty", sums.finish(network, &penalty), &expected);
        let found = sums.finish_into(network, &penalty, &mut [0.0; 26]);
        refused("penalty", found, &expected);
        assert_eq!(sums, full);
        assert!(network.input_gradient(&examples, &objective).is_ok());
    }
}

/// J is finite, but a product of the backward pass is not.
fn gradients_that_overflow(workspace: &mut Workspace<f64>) {
    let squares = Objective::new(SquaredError);
    let non_finite = |layer: usize, row, col| Error::NonFinite {
        at: Location::Gradient(BlockEntry {
            layer: layer.into(),
            block: "Θ".into(),
            row,
            col,
        }),
        value: f64::INFINITY,
    };
    // δ of one output is 1e150 and one of its inputs is 1e200. Their product is in D⁽²⁾.
    for (row, below) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let network = linear(&[(1, (row, 0), 1e150), (0, (below, 0), 1e200)]);
        let zeros = DMatrix::zeros(2, 5);
        let examples = Examples::new(&zeros, &zeros).unwrap();
        assert!(network.cost(&examples, &squares).is_ok());
        assert!(network.input_gradient(&examples, &squares).is_ok());
        let call = (&network, &examples, &squares);
        let expected = non_finite(1, row, below + 1);
        no_gradient("D⁽²⁾", call, workspace, &expected);
        no_batch("D⁽²⁾", call, workspace, &expected);
        // The gradient can still be read.
        let mut gradient = [7.0; 12];
        let found = network.gradient_into(&examples, &squares, workspace, &mut gradient);
        refused("D⁽²⁾", found, &expected);
        let mut d = [0.0; 12];
        (d[6 + row], d[6 + row + 2 * (below + 1)]) = (1e150, f64::INFINITY);
        assert_eq!(gradient, d);
    }
    // The same for an input of 1e200 in one example, whose δ reaches layer 0 through a weight of 1.
    for (input, example) in places() {
        let network = linear(&[(1, (1, 2), 1.0), (1, (1, 0), 1e150)]);
        let (mut x, y) = (DMatrix::zeros(2, 5), DMatrix::zeros(2, 5));
        x[(input, example)] = 1e200;
        let examples = Examples::new(&x, &y).unwrap();
        let call = (&network, &examples, &squares);
        let expected = non_finite(0, 1, input + 1);
        no_gradient("D⁽¹⁾", call, workspace, &expected);
        no_batch("D⁽¹⁾", call, workspace, &expected);
        assert!(network.cost(&examples, &squares).is_ok());
    }
    // δ = 1e150 of one example, multiplied by a weight of 1e200 in the first layer.
    for (row, example) in places() {
        let network = linear(&[
            (0, (1, row + 1), 1e200),
            (1, (0, 2), 1.0),
            (1, (0, 0), 1e150),
        ]);
        let x = DMatrix::zeros(2, 5);
        let mut y = DMatrix::from_fn(2, 5, |i, _| if i == 0 { 1e150 } else { 0.0 });
        y[(0, example)] = 0.0;
        let examples = Examples::new(&x, &y).unwrap();
        assert!(network.backprop(&examples, &squares).is_ok());
        let expected = Error::NonFinite {
            at: Location::InputGradient { row, example },
            value: f64::INFINITY,
        };
        let call = (&network, &examples, &squares);
        no_input_gradient("∂J/∂X", call, workspace, &expected);
    }
}
