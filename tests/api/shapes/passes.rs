//! Valid examples and objectives that do not fit the network, and buffers of the wrong length.

use super::*;
use backprop::activation::Identity;
use backprop::{
    CategoricalCrossEntropy, Huber, Location, LogCosh, Penalty, Poisson, SquaredError, Strength,
    VjpTargets,
};

/// Asserts that every call that adds up costs gives this error and leaves the sums unchanged.
#[track_caller]
fn no_sums(
    what: &str,
    (network, examples, objective): (&Network<f64>, &Examples<'_, f64>, &Objective),
    workspace: &mut Workspace<f64>,
    expected: &Error,
) {
    no_cost(what, (network, examples, objective), workspace, expected);
    let mut sums = Accumulator::new(network).unwrap();
    let empty = sums.clone();
    let found = sums.add(network, examples, &objective.cost, workspace);
    refused(what, found, expected);
    assert_eq!(sums, empty, "{what}");
}

#[test]
pub(super) fn shapes() {
    let problem = Problem::new();
    let (network, objective) = (&problem.network, &problem.objective);
    let (x, y, examples) = (&problem.x, &problem.y, problem.examples());
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    for rows in [2, 4, 0, 1, 6] {
        let other = DMatrix::repeat(rows, 5, 0.5);
        let wrong = Examples::new(&other, y).unwrap();
        let expected = shape("X", (3, 5), (rows, 5));
        let call = (network, &wrong, objective);
        no_sums(
            &format!("X with {rows} rows"),
            call,
            &mut workspace,
            &expected,
        );
        if rows == 2 {
            continue;
        }
        let wrong = Examples::new(x, &other).unwrap();
        let expected = shape("Y", (2, 5), (rows, 5));
        let call = (network, &wrong, objective);
        no_sums(
            &format!("Y with {rows} rows"),
            call,
            &mut workspace,
            &expected,
        );
    }
    let wrong = Examples::new(y, x).unwrap();
    let expected = shape("X", (3, 5), (2, 5));
    let call = (network, &wrong, objective);
    no_sums("exchanged", call, &mut workspace, &expected);
    let (x_t, wide) = (x.transpose(), DMatrix::repeat(2, 3, 0.5));
    let wrong = Examples::new(&x_t, &wide).unwrap();
    let expected = shape("X", (3, 3), (5, 3));
    let call = (network, &wrong, objective);
    no_sums("transposed", call, &mut workspace, &expected);
    let (y_t, narrow) = (y.transpose(), DMatrix::repeat(3, 2, 0.5));
    let wrong = Examples::new(&narrow, &y_t).unwrap();
    let expected = shape("Y", (2, 2), (5, 2));
    let call = (network, &wrong, objective);
    no_sums("transposed", call, &mut workspace, &expected);

    for wrong in [25, 27, 0, 52] {
        let mut gradient = vec![7.0; wrong];
        let expected = length("the gradient", 26, wrong);
        let found = network.gradient_into(&examples, objective, &mut workspace, &mut gradient);
        refused("∇J", found, &expected);
        assert_eq!(gradient, vec![7.0; wrong]);
    }
    for wrong in [14, 16, 0, 3, 5, 26] {
        let mut gradient = vec![7.0; wrong];
        let expected = length("the gradient with respect to X", 15, wrong);
        let found = network.gradients_into(
            &examples,
            objective,
            &mut workspace,
            VjpTargets::of_inputs(&mut gradient),
        );
        refused("∂J/∂X", found, &expected);
        assert_eq!(gradient, vec![7.0; wrong]);
    }
    assert_eq!(*network, Problem::new().network);
    assert_eq!(problem.bits(&mut workspace), before);
}

/// Requests results that a workspace does not hold: before any pass, beyond the layers, and after a
/// failed pass.
#[test]
pub(super) fn workspaces() {
    let problem = Problem::new();
    let (network, objective) = (&problem.network, &problem.objective);
    let mut workspace = Workspace::new();
    for layer in [0, 1, 2, usize::MAX] {
        assert!(workspace.activation(layer).is_none() && workspace.logits(0).is_none());
    }
    assert!(workspace.output().is_none() && workspace.costs().is_empty());
    let before = problem.bits(&mut workspace);
    // Batches of all sizes, refused before and during the pass.
    let infinite = DMatrix::repeat(1, 3, f64::MAX);
    let wide = Network::<f64>::builder(1).dense(7, Tanh).dense(1, Identity);
    let wide = wide.with_theta(&[f64::MAX; 22]).unwrap();
    let expected = Error::NonFinite {
        at: Location::Activation {
            layer: 1.into(),
            unit: 0,
            example: 0,
        },
        value: f64::INFINITY,
    };
    let found = wide.forward_into(&infinite, &mut workspace);
    refused("overflow", found, &expected);
    let wrong = Examples::new(&infinite, &infinite).unwrap();
    let found = network.cost_into(&wrong, objective, &mut workspace);
    refused("shape", found, &shape("X", (3, 3), (1, 3)));
    for layer in [2, 3, usize::MAX] {
        assert!(workspace.activation(layer).is_none());
    }
    assert_eq!(workspace.logits(0).unwrap().shape(), (1, 3));
    let shapes = [0, 1].map(|layer| workspace.activation(layer).unwrap().shape());
    assert_eq!(shapes, [(7, 3), (1, 3)]);
    assert_eq!(problem.bits(&mut workspace), before);
    assert_eq!(workspace.output().unwrap().shape(), (2, 5));
    assert_eq!(workspace.costs().len(), 5);
}

/// Constants of costs, strengths of penalties, and layers and blocks named by penalties.
#[test]
pub(super) fn objectives() {
    let problem = Problem::new();
    let (network, examples) = (&problem.network, problem.examples());
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let positive = "a number in (0, ∞)";
    for delta in BAD.into_iter().chain([0.0, -0.0, -1.0]) {
        let (cost, what) = (Huber { delta }, &format!("δ = {delta}"));
        let expected = hyperparameter("the delta of Huber", delta, positive);
        let objective = Objective::new(cost);
        let call = (network, &examples, &objective);
        no_sums(what, call, &mut workspace, &expected);
        let found = GradientCheck::new().cost(&cost, &Tanh, &problem.y, &problem.y);
        refused(what, found, &expected);
    }
    let single = network.map(|w| w as f32).unwrap();
    let (x, y) = (problem.x.map(|x| x as f32), problem.y.map(|y| y as f32));
    let in_single = Examples::new(&x, &y).unwrap();
    let held = "a number in (0, ∞) that the scalar type can hold";
    for delta in [1e-50, 1e39] {
        let objective = Objective::new(Huber { delta });
        let expected = hyperparameter("the delta of Huber", delta, held);
        let call = (&single, &in_single, &objective);
        no_cost("f32", call, &mut Workspace::new(), &expected);
        assert!(network.cost(&examples, &objective).is_ok());
    }
    // The other costs have no constants.
    for cost in [SquaredError, CategoricalCrossEntropy, LogCosh, Poisson] {
        assert!(network.cost(&examples, &Objective::new(cost)).is_ok());
    }

    let mut sums = Accumulator::new(network).unwrap();
    sums.add(network, &examples, &BinaryCrossEntropy, &mut workspace)
        .unwrap();
    let full = sums.clone();
    let mut no_penalty = |penalty: &Penalty, expected: &Error| {
        let what = &format!("{penalty:?}");
        let objective = Objective::new(BinaryCrossEntropy).penalty(penalty.clone());
        let call = (network, &examples, &objective);
        no_cost(what, call, &mut workspace, expected);
        refused(what, sums.finish(network, penalty), expected);
        let mut gradient = [7.0; 26];
        let found = sums.finish_into(network, penalty, &mut gradient);
        refused(what, found, expected);
        assert_eq!((gradient, &sums), ([7.0; 26], &full), "{what}");
    };
    let (l1, l2) = ("λ of the L1 penalty", "λ of the L2 penalty");
    let range = "a number in [0, ∞)";
    for bad in BAD.into_iter().chain([-1.0, -5e-324]) {
        let of = |l1, l2| Strength { l1, l2 };
        for (name, strength) in [(l1, of(bad, 0.5)), (l2, of(0.5, bad)), (l1, of(bad, bad))] {
            let expected = hyperparameter(name, bad, range);
            let general = Penalty::elastic_net(strength.l1, strength.l2);
            no_penalty(&general, &expected);
            for layer in [0, 1] {
                let good = Penalty::l2(0.5);
                no_penalty(&good.clone().layer(layer, strength), &expected);
                no_penalty(&good.clone().block(layer, 0, strength), &expected);
                // A value is invalid even if a later setting overrides it.
                let overridden = good.layer(layer, strength).layer(layer, of(0.5, 0.5));
                no_penalty(&overridden, &expected);
            }
        }
        let expected = hyperparameter(l1, bad, range);
        no_penalty(
            &Objective::new(BinaryCrossEntropy).l1(bad).penalty,
            &expected,
        );
        let expected = hyperparameter(l2, bad, range);
        no_penalty(
            &Objective::new(BinaryCrossEntropy).l2(bad).penalty,
            &expected,
        );
    }
    let (max, none) = (usize::MAX, Strength::default());
    for layer in [2, 3, max] {
        let expected = index("layer", layer, 2);
        no_penalty(&Penalty::none().layer(layer, none), &expected);
        no_penalty(&Penalty::none().block(layer, 0, none), &expected);
        no_penalty(
            &Penalty::l2(0.5).layer(1, none).block(layer, max, none),
            &expected,
        );
    }
    for block in [1, 2, max] {
        for layer in [0, 1] {
            let expected = index("block", block, 1);
            no_penalty(&Penalty::none().block(layer, block, none), &expected);
        }
    }
    // Finite in f64, but not in f32.
    let single = network.map(|w| w as f32).unwrap();
    let (x, y) = (problem.x.map(|x| x as f32), problem.y.map(|y| y as f32));
    let examples_f32 = Examples::new(&x, &y).unwrap();
    for (objective, name) in [
        (Objective::new(BinaryCrossEntropy).l1(1e39), l1),
        (Objective::new(BinaryCrossEntropy).l2(1e39), l2),
    ] {
        let found = single.cost(&examples_f32, &objective);
        refused("f32", found, &hyperparameter(name, 1e39, range));
        assert!(network.cost(&examples, &objective).is_ok());
    }
    assert_eq!(*network, Problem::new().network);
    assert_eq!(problem.bits(&mut workspace), before);
}
