//! The binary cross-entropy with weights of the positive targets: by hand, against the plain cost,
//! dual numbers and central differences, and where a network has heads, positions and missing
//! targets. `tests/calculus/conventions` compares it with PyTorch.

use super::{activate, assert_close};
use backprop::activation::{Identity, Sigmoid, Softmax, Tanh};
use backprop::cost::{BinaryCrossEntropy, Cost, Heads, Outputs, WeightedBinaryCrossEntropy};
use backprop::layer::{AnyLayer, Axis, Concat, Dense, Sequential};
use backprop::nalgebra::{DMatrix, convert, dmatrix};
use backprop::{Error, Examples, GradientCheck, Network, Objective, Scalar, Shape};
use num_dual::Dual64;

fn cost(weights: &[f64]) -> WeightedBinaryCrossEntropy {
    WeightedBinaryCrossEntropy::new(weights)
}

/// The values, δ and its tangent along ones, written over NaN.
fn all<T: Scalar, C: Cost<T>>(cost: &C, at: &Outputs<'_, T>) -> (Vec<T>, DMatrix<T>, DMatrix<T>) {
    let nan: T = convert(f64::NAN);
    let (rows, m) = at.y.shape();
    let mut values = vec![nan; m];
    let (mut delta, mut tangent) = (DMatrix::repeat(rows, m, nan), DMatrix::repeat(rows, m, nan));
    cost.values(at, &mut values);
    cost.delta(at, delta.as_view_mut());
    let ones = DMatrix::repeat(rows, m, T::one());
    cost.delta_tangent(at, ones.as_view(), tangent.as_view_mut())
        .unwrap();
    (values, delta, tangent)
}

#[test]
fn by_hand() {
    // σ(ln 3) = ¾.
    let z = DMatrix::repeat(3, 1, 3.0_f64.ln());
    let (a, y) = (activate(Sigmoid, &z), dmatrix![1.0; 0.0; 0.5]);
    let cost = cost(&[2.0, 9.0, 4.0]);
    let (up, down) = (0.75_f64.ln(), 0.25_f64.ln());
    let value = -2.0 * up - down - (4.0 * 0.5 * up + 0.5 * down);
    for (z, delta, tangent) in [
        (
            Some(z.as_view()),
            [-2.0 * 0.25, 0.75, 0.5 * 0.75 - 2.0 * 0.25],
            [2.0 * 0.1875, 0.1875, 2.5 * 0.1875],
        ),
        (
            None,
            [-2.0 / 0.75, 4.0, 2.0 - 2.0 / 0.75],
            [2.0 / 0.5625, 16.0, 2.0 / 0.5625 + 8.0],
        ),
    ] {
        let at = Outputs::new(z, a.as_view(), y.as_view());
        let (values, deltas, tangents) = all(&cost, &at);
        assert_close("value", values[0], value, 1e-15);
        for i in 0..3 {
            assert_close("δ", deltas[i], delta[i], 1e-14);
            assert_close("its tangent", tangents[i], tangent[i], 1e-14);
        }
    }
}

/// Three outputs at z from −800 to 800, and targets that may be soft.
fn grid() -> (DMatrix<f64>, DMatrix<f64>) {
    let z = [-800.0, -40.0, -3.0, -0.25, 0.0, 0.5, 2.0, 36.0, 40.0, 800.0];
    let y = [0.0, 1.0, 0.25, 0.0, 1.0, 0.75, 1.0];
    let z = DMatrix::from_fn(3, 70, |i, k| z[(k + 3 * i) % 10]);
    (z, DMatrix::from_fn(3, 70, |i, k| y[(k + 2 * i) % 7]))
}

/// With weights of 1 it is the plain cost, and with weights p it is (1 − y + p y) times the plain
/// cost of the target p y/(1 − y + p y).
#[test]
fn is_the_plain_cost_of_other_targets() {
    let (z, y) = grid();
    let a = activate(Sigmoid, &z);
    for weights in [[1.0; 3], [0.25, 7.0, 1000.0]] {
        let p = DMatrix::from_fn(3, 70, |i, _| weights[i]);
        let scale = p.zip_map(&y, |p, y| 1.0 - y + p * y);
        let moved = p.zip_map(&y, |p, y| p * y).component_div(&scale);
        let near = |what: &str, found: f64, expected: f64, size: f64| {
            let bound = 1e-15 * (expected.abs() + size);
            assert!(
                (found - expected).abs() <= bound,
                "{what}: {found:e}, expected {expected:e}"
            );
        };
        for (i, k) in (0..70).flat_map(|k| (0..3).map(move |i| (i, k))) {
            let [z, a, y, moved] =
                [&z, &a, &y, &moved].map(|matrix| DMatrix::repeat(1, 1, matrix[(i, k)]));
            let (s, p) = (scale[(i, k)], weights[i]);
            let at = Outputs::new(Some(z.as_view()), a.as_view(), y.as_view());
            let plain = Outputs::new(Some(z.as_view()), a.as_view(), moved.as_view());
            let (values, delta, tangent) = all(&cost(&[p]), &at);
            let expected = all(&BinaryCrossEntropy, &plain);
            let what = format!("z = {}, y = {}, p = {p}", z[0], y[0]);
            // For a soft target the other target has rounded, and δ cancels.
            let soft = y[0] > 0.0 && y[0] < 1.0;
            let size = if soft { s } else { 0.0 };
            near(&what, values[0], s * expected.0[0], size * z[0].abs());
            near(&what, delta[0], s * expected.1[0], size);
            near(&what, tangent[0], s * expected.2[0], 0.0);
        }
    }
}

/// σ(40) rounds to 1, but costs and δ have every digit.
#[test]
fn saturated_outputs_are_exact() {
    let z = dmatrix![40.0, -40.0];
    let (a, y) = (activate(Sigmoid, &z), dmatrix![1.0, 0.0]);
    let rest = 4.248_354_255_291_589e-18_f64;
    let at = Outputs::new(Some(z.as_view()), a.as_view(), y.as_view());
    let (values, delta, tangent) = all(&cost(&[3.0]), &at);
    for (found, expected) in [
        (values[0], 3.0 * rest),
        (values[1], rest),
        (delta[0], -3.0 * rest),
        (delta[1], rest),
        (tangent[0], 3.0 * rest),
        (tangent[1], rest),
    ] {
        assert!(
            (found / expected - 1.0).abs() < 1e-15,
            "{found:e}, {expected:e}"
        );
    }
    // The same without z in the cost: the activation computes 1 − a.
    let at = Outputs::new(None, a.as_view(), y.as_view()).activated_by(Sigmoid, z.as_view());
    let values = all(&cost(&[3.0]), &at).0;
    assert!((values[0] / (3.0 * rest) - 1.0).abs() < 1e-14);
}

#[test]
fn derivatives_equal_those_of_dual_numbers() {
    let (z, y) = grid();
    let dual_y = y.map(Dual64::from_re);
    let cost = cost(&[0.5, 3.0, 20.0]);
    for canonical in [true, false] {
        let place = if canonical {
            z.clone()
        } else {
            activate(Sigmoid, &z.map(|z| z.clamp(-30.0, 30.0)))
        };
        let a = if canonical {
            activate(Sigmoid, &z)
        } else {
            place.clone()
        };
        let at = Outputs::new(canonical.then(|| z.as_view()), a.as_view(), y.as_view());
        let (_, delta, tangent) = all(&cost, &at);
        for i in 0..3 {
            // One output moves at a time.
            let moved = DMatrix::from_fn(3, 70, |row, k| {
                Dual64::new(place[(row, k)], f64::from(row == i))
            });
            let dual_a = if canonical {
                activate(Sigmoid, &moved)
            } else {
                moved.clone()
            };
            let at = Outputs::new(
                canonical.then(|| moved.as_view()),
                dual_a.as_view(),
                dual_y.as_view(),
            );
            let (values, deltas, _) = all(&cost, &at);
            for k in 0..70 {
                let close = |found: f64, expected: f64| {
                    let bound = 1e-13 * expected.abs().max(if canonical { 1e-3 } else { 1.0 });
                    assert!(
                        (found - expected).abs() <= bound,
                        "{i} {k}: {found:e}, {expected:e}"
                    );
                };
                close(delta[(i, k)], values[k].eps);
                close(tangent[(i, k)], deltas[(i, k)].eps);
            }
        }
    }
}

#[test]
fn derivatives_equal_differences() {
    let z = DMatrix::from_fn(3, 8, |i, k| (2.0 * i as f64 - 0.9 * k as f64).sin() * 2.0);
    let y = DMatrix::from_fn(3, 8, |i, k| [0.0, 1.0, 0.3, 1.0, 0.0][(i + k) % 5]);
    let (check, cost) = (GradientCheck::new(), cost(&[0.2, 1.0, 6.0]));
    check.cost(&cost, &Sigmoid, &z, &y).unwrap().assert_passed();
    check
        .cost_tangent(&cost, &Sigmoid, &z, &y)
        .unwrap()
        .assert_passed();
    let single = z.map(|z| z as f32);
    check
        .cost(&cost, &Sigmoid, &single, &y.map(|y| y as f32))
        .unwrap()
        .assert_passed();
    let x = DMatrix::from_fn(2, 8, |i, k| (1.1 * i as f64 + 0.7 * k as f64).cos());
    let builder = Network::builder(2).dense(4, Tanh);
    let network = builder.dense(3, Sigmoid).with_theta(&waves(27)).unwrap();
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(cost).l2(0.3));
    check
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
    check
        .second_order(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
}

fn waves(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.8 * (1.3 * i as f64 + 0.4).sin()).collect()
}

/// −Σ p y ln a + (1 − y) ln(1 − a) over the present targets, divided by m.
fn expected(a: &DMatrix<f64>, y: &DMatrix<f64>, p: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, k) in (0..a.ncols()).flat_map(|k| (0..a.nrows()).map(move |i| (i, k))) {
        let (a, y) = (a[(i, k)], y[(i, k)]);
        if !y.is_nan() {
            sum -= p[i] * y * a.ln() + (1.0 - y) * (1.0 - a).ln();
        }
    }
    sum / a.ncols() as f64
}

/// Each target keeps the weight of its output where others are missing, alone and as a head.
#[test]
fn missing_targets_keep_the_weights_of_their_outputs() {
    let x = DMatrix::from_fn(2, 5, |i, k| (0.9 * i as f64 - 0.7 * k as f64).sin());
    let y = DMatrix::from_fn(3, 5, |i, k| [f64::NAN, 1.0, 0.0, 0.6][(i + 3 * k) % 4]);
    let present = y.map(|y| !y.is_nan());
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let p = [0.5, 4.0, 11.0];
    let dense = |outputs, g| -> AnyLayer { AnyLayer::Dense(Dense::new(2, outputs, g)) };
    let alone = Network::from_layers(2, vec![dense(3, Sigmoid)], &waves(9)).unwrap();
    let objective = Objective::new(cost(&p));
    let j = alone.cost(&examples, &objective).unwrap();
    assert_close(
        "alone",
        j,
        expected(&alone.forward(&x).unwrap(), &y, &p),
        1e-14,
    );
    let check = GradientCheck::new();
    check
        .network(&alone, &examples, &objective)
        .unwrap()
        .assert_passed();
    check
        .second_order(&alone, &examples, &objective)
        .unwrap()
        .assert_passed();

    let branches = [1, 2].map(|outputs| Sequential::new(vec![dense(outputs, Sigmoid)]));
    let concat = Concat::new(branches.to_vec(), Axis::First);
    let network = Network::from_layers(2, vec![AnyLayer::Concat(concat)], &waves(9)).unwrap();
    let heads = Heads::new()
        .head(0..1, cost(&p[..1]), 1.0)
        .head(1..3, cost(&p[1..]), 1.0);
    let objective = Objective::new(heads);
    let j = network.cost(&examples, &objective).unwrap();
    assert_close(
        "heads",
        j,
        expected(&network.forward(&x).unwrap(), &y, &p),
        1e-14,
    );
    check
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
}

/// Where the columns of a pass are positions, each position has the weights of its outputs.
#[test]
fn positions_have_their_own_weights() {
    let (steps, features) = (70, 2);
    let layers: Vec<AnyLayer> = vec![AnyLayer::Dense(Dense::new(features, 2, Softmax))];
    let shape = Shape::Sequence { steps, features };
    let network = Network::from_layers(shape, layers, &waves(6)).unwrap();
    let x = DMatrix::from_fn(steps * features, 3, |i, k| {
        (0.9 * i as f64 - 0.7 * k as f64).sin()
    });
    let y = DMatrix::from_fn(steps * 2, 3, |i, k| [0.0, 1.0, 0.3][(i + k) % 3]);
    let p: Vec<f64> = (0..2 * steps).map(|i| 0.5 + (i % 17) as f64).collect();
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(cost(&p)));
    let j = network.cost(&examples, &objective).unwrap();
    assert_close(
        "J",
        j,
        expected(&network.forward(&x).unwrap(), &y, &p),
        1e-13,
    );
    let check = GradientCheck::new();
    check
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
    check
        .second_order(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let network = Network::<f64>::builder(1)
        .dense(2, Sigmoid)
        .zeros()
        .unwrap();
    let (x, y) = (DMatrix::zeros(1, 3), DMatrix::repeat(2, 3, 0.5));
    let examples = Examples::new(&x, &y).unwrap();
    let refused = |weights: &[f64]| {
        let (single, check) = (Objective::new(cost(weights)), GradientCheck::new());
        let found = network.cost(&examples, &single).unwrap_err();
        let of_check = check.cost(&cost(weights), &Sigmoid, &y, &y).unwrap_err();
        assert!(matches!(
            of_check,
            Error::Length { .. } | Error::Hyperparameter { .. }
        ));
        let boxed: Box<dyn Cost<f64>> = Box::new(cost(weights));
        let of_box = network.cost(&examples, &Objective::new(boxed)).unwrap_err();
        let heads = Objective::new(Heads::new().head(0..2, cost(weights), 1.0));
        let of_head = network.cost(&examples, &heads).unwrap_err();
        // Not by `==`, because of NaN.
        assert_eq!(of_box.to_string(), found.to_string());
        assert_eq!(of_head.to_string(), found.to_string());
        found
    };
    for found in [0, 1, 3] {
        let what = "the weights of the cost";
        let expected = Error::Length {
            what,
            expected: 2,
            found,
        };
        assert_eq!(refused(&vec![1.0; found]), expected);
    }
    for bad in [-1.0, f64::INFINITY] {
        let expected = Error::Hyperparameter {
            name: "a weight of positive targets",
            value: bad,
            expected: "a number in [0, ∞)".into(),
        };
        assert_eq!(refused(&[1.0, bad]), expected);
    }
    assert!(matches!(
        refused(&[f64::NAN, 1.0]),
        Error::Hyperparameter { .. }
    ));
    // Positive targets do not count at all with weight 0.
    let zero = Objective::new(cost(&[0.0, 0.0]));
    let ones = DMatrix::repeat(2, 3, 1.0);
    let examples = Examples::new(&x, &ones).unwrap();
    assert_eq!(network.cost(&examples, &zero).unwrap(), 0.0);
    let outside = Network::<f64>::builder(1)
        .dense(2, Identity)
        .with_theta(&[2.0, 2.0, 0.0, 0.0]);
    let found = outside
        .unwrap()
        .cost(&examples, &Objective::new(cost(&[1.0, 2.0])));
    assert!(
        matches!(found, Err(Error::Output { unit: 0, .. })),
        "{found:?}"
    );
    assert!(!Cost::<f64>::is_log_likelihood(&cost(&[2.0])));
}

#[test]
fn is_saved() {
    let objective = Objective::new(cost(&[0.1, 3.0])).l2(0.5);
    let text = serde_json::to_string(&objective).unwrap();
    assert!(
        text.starts_with(r#"{"cost":{"pos_weight":[0.1,3.0]},"#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<Objective<_>>(&text).unwrap(),
        objective
    );
    assert!(
        serde_json::from_str::<WeightedBinaryCrossEntropy>(r#"{"pos_weight":[1],"p":2}"#).is_err()
    );
}
