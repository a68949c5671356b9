//! Identities between architectures, most of them bit for bit, and networks in JSON.

use super::random::{Case, cases};
use super::trees::{Any, Net, concat, sequence};
use super::{Outcome, bits, config, numbers};
use backprop::activation::{Sigmoid, Tanh};
use backprop::layer::{
    Axis, Concat, Dense, Flatten, Layer, Rearrange, Residual, Sequential, Site, Transpose,
};
use backprop::nalgebra::DMatrix;
use backprop::{Examples, Objective, Shape, SquaredError};
use proptest::prelude::*;

/// Rewrites the layers of a sequence.
type Rewrite = fn(Vec<Any>) -> Vec<Any>;

/// Rewrites every sequence of a tree, the inner ones first.
fn rewritten(layers: &[Any], rewrite: Rewrite) -> Vec<Any> {
    let inner = |of: &Sequential<Any>| sequence(rewritten(of.layers(), rewrite));
    let layers = layers.iter().map(|layer| match layer {
        Any::Sequential(of) => inner(of).into(),
        Any::Residual(of) => match of.shortcut() {
            Some(shortcut) => Residual::with_shortcut(inner(of.body()), inner(shortcut)).into(),
            None => Residual::new(inner(of.body())).into(),
        },
        Any::Concat(of) => Concat::new(of.branches().iter().map(inner).collect(), of.axis()).into(),
        other => other.clone(),
    });
    rewrite(layers.collect())
}

/// The case with other layers has the same θ and the same numbers, bit for bit.
fn same_bits(case: &Case, rewrite: Rewrite) -> Outcome {
    let layers = rewritten(case.network.layers(), rewrite);
    let theta = case.network.theta().as_slice();
    let mut network = Net::from_layers(case.input, layers, theta).unwrap();
    network.set_state(case.network.state().as_slice()).unwrap();
    let mut case = case.clone();
    // Paths of penalties differ.
    case.objective = Objective::new(case.objective.cost).l2(0.3);
    let (found, expected) = (
        numbers(&case, &network, false),
        numbers(&case, &case.network, false),
    );
    prop_assert_eq!(bits(&found), bits(&expected));
    Ok(())
}

/// Sequences in sequences become layers of the outer one.
fn flat(layers: Vec<Any>) -> Vec<Any> {
    let layers = layers.into_iter().flat_map(|layer| match layer {
        Any::Sequential(inner) => inner.layers().to_vec(),
        other => vec![other],
    });
    layers.collect()
}

/// Each layer becomes a sequence, which is in a sequence.
fn nested(layers: Vec<Any>) -> Vec<Any> {
    let nest = |layer| sequence(vec![sequence(vec![layer]).into()]).into();
    layers.into_iter().map(nest).collect()
}

/// Layers that change nothing, and the halves of a sequence in sequences.
fn halved(mut layers: Vec<Any>) -> Vec<Any> {
    let rest = layers.split_off(layers.len() / 2);
    vec![
        sequence(layers).into(),
        sequence(Vec::new()).into(),
        sequence(rest).into(),
    ]
}

/// Each layer becomes a branch by itself.
fn branched(layers: Vec<Any>) -> Vec<Any> {
    let branch = |layer| concat(vec![vec![layer]], Axis::First);
    layers.into_iter().map(branch).collect()
}

/// Each layer except the last does. Along the last axis, a branch of a sequence has no z.
fn branched_along_the_last_axis(mut layers: Vec<Any>) -> Vec<Any> {
    let last = layers.pop();
    let branch = |layer| concat(vec![vec![layer]], Axis::Last);
    layers.into_iter().map(branch).chain(last).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sequences_of_sequences_are_flat(case in cases()) {
        same_bits(&case, flat)?;
        same_bits(&case, nested)?;
        same_bits(&case, halved)?;
    }

    #[test]
    fn one_branch_is_the_branch(case in cases()) {
        same_bits(&case, branched)?;
        same_bits(&case, branched_along_the_last_axis)?;
    }

    #[test]
    fn networks_in_json_are_equal(case in cases()) {
        let text = serde_json::to_string(&case.network).unwrap();
        let loaded: Net<f64> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&loaded, &case.network);
        let found = numbers(&case, &loaded, false);
        prop_assert_eq!(bits(&found), bits(&numbers(&case, &case.network, false)));
    }
}

const STEPS: Shape = Shape::Sequence {
    steps: 3,
    features: 2,
};

fn wave(rows: usize, m: usize) -> DMatrix<f64> {
    super::wave_matrix(rows, m, 0.4)
}

/// A network of given layers, whose parameters have no pattern.
fn network(input: Shape, layers: &[Any]) -> Net<f64> {
    let places = super::reference::blocks(layers, input);
    let len = places.iter().map(|place| place.rows * place.cols).sum();
    Net::from_layers(input, layers.to_vec(), &super::wave(len, 0.7)).unwrap()
}

fn dense(inputs: usize, units: usize) -> Any {
    Dense::new(inputs, units, Tanh).into()
}

/// a = 2 x exactly, and so are its derivatives, below layers and above them.
#[test]
fn a_residual_of_nothing_is_twice_its_input() {
    for input in [Shape::Units(3), STEPS] {
        let x = wave(input.len(), 4);
        let double: Any = Residual::new(sequence(Vec::new())).into();
        let shortcut = sequence(Vec::new());
        let explicit: Any = Residual::with_shortcut(sequence(Vec::new()), shortcut).into();
        for residual in [double, explicit] {
            let alone = network(input, std::slice::from_ref(&residual));
            assert_eq!(alone.parameters(), 0);
            assert_eq!(alone.forward(&x).unwrap(), &x * 2.0);
            let u = wave(input.len(), 4).map(f64::cos);
            assert_eq!(alone.vjp(&x, &u).unwrap().1, &u * 2.0);

            let below = network(input, &[residual.clone(), dense(input.last_axis(), 2)]);
            let plain = network(input, &[dense(input.last_axis(), 2)]);
            let y = wave(below.outputs(), 4).map(f64::sin);
            let (twice, objective) = (&x * 2.0, Objective::new(SquaredError).l2(0.1));
            let examples = Examples::new(&x, &y).unwrap();
            let (found, by_x) = below.gradients(&examples, &objective).unwrap();
            let examples = Examples::new(&twice, &y).unwrap();
            let (expected, by_twice) = plain.gradients(&examples, &objective).unwrap();
            assert_eq!(found.cost(), expected.cost());
            assert_eq!(found.gradient().vector(), expected.gradient().vector());
            assert_eq!(by_x, by_twice * 2.0);
        }
    }
}

/// Flatten after two transposes is Flatten, and the columns of a transpose are rows.
#[test]
fn two_transposes_are_nothing() {
    let (x, y) = (wave(6, 5), wave(2, 5).map(f64::abs));
    let layers = |moves: &[Rearrange]| {
        let moves = moves.iter().map(|&layer| Any::from(layer));
        let below = [dense(2, 2)].into_iter().chain(moves);
        let layers: Vec<Any> = below.chain([Dense::new(6, 2, Sigmoid).into()]).collect();
        network(STEPS, &layers)
    };
    let (one, three) = (layers(&[Flatten]), layers(&[Transpose, Transpose, Flatten]));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(backprop::BinaryCrossEntropy).l2(0.1);
    let (found, by_x) = three.gradients(&examples, &objective).unwrap();
    let (expected, expected_by_x) = one.gradients(&examples, &objective).unwrap();
    assert_eq!(found.cost(), expected.cost());
    assert_eq!(found.gradient().vector(), expected.gradient().vector());
    assert_eq!(by_x, expected_by_x);
    let v = super::wave(one.parameters(), 0.2);
    assert_eq!(
        one.hessian_product(&examples, &objective, &v).unwrap(),
        three.hessian_product(&examples, &objective, &v).unwrap()
    );
    let transpose = network(STEPS, &[Transpose.into()]);
    let swapped = transpose.forward(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    assert_eq!(swapped.as_slice(), &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
}

/// Along the first axis, steps follow steps; along the last, features follow features.
#[test]
fn branches_follow_each_other_along_the_axis() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let twice: Any = Residual::new(sequence(Vec::new())).into();
    for (axis, expected) in [
        (
            Axis::First,
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0],
        ),
        (
            Axis::Last,
            [1.0, 2.0, 2.0, 4.0, 3.0, 4.0, 6.0, 8.0, 5.0, 6.0, 10.0, 12.0],
        ),
    ] {
        let layer = concat(vec![Vec::new(), vec![twice.clone()]], axis);
        let network = network(STEPS, &[layer]);
        assert_eq!(network.forward(&x).unwrap().as_slice(), &expected);
        let u: Vec<f64> = (1..=12).map(f64::from).collect();
        // Each input has its own cotangent, and twice that of its double.
        let sums = match axis {
            Axis::First => [1 + 14, 2 + 16, 3 + 18, 4 + 20, 5 + 22, 6 + 24],
            Axis::Last => [1 + 6, 2 + 8, 5 + 14, 6 + 16, 9 + 22, 10 + 24],
        };
        let (_, of_x) = network.vjp(&x, &u).unwrap();
        assert_eq!(of_x.as_slice(), sums.map(f64::from));
    }
}

/// Containers hand each pass over single examples on to their layers, so they need no room to
/// compute an example again: two buffers between layers, and two for their derivatives.
#[test]
fn containers_need_room_for_error_terms_only() {
    let room = |layer: Any, m| {
        Layer::<f64>::plan(&layer, Site::new(5))
            .unwrap()
            .room_len(m)
    };
    let (wide, body) = (
        || vec![dense(5, 7), dense(7, 5)],
        || sequence(vec![dense(5, 5)]),
    );
    for m in [1, 4] {
        assert_eq!(room(sequence(vec![dense(5, 5)]).into(), m), 0);
        assert_eq!(room(sequence(wide()).into(), m), 4 * 7 * m);
        assert_eq!(room(Residual::new(body()).into(), m), 4 * 5 * m);
        assert_eq!(
            room(concat(vec![vec![dense(5, 6)]], Axis::First), m),
            4 * 6 * m
        );
        let inner = vec![concat(vec![wide(), Vec::new()], Axis::Last), dense(10, 2)];
        assert_eq!(
            room(sequence(inner).into(), m),
            (4 * 10 + 4 * 5 + 4 * 7) * m
        );
    }
}
