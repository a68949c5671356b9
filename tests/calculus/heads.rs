//! Networks with several heads, and costs that are sums over the positions of a sequence, against
//! values by hand and against networks with one head.

use backprop::activation::{AnyActivation, Exponential, Identity, Sigmoid, Softmax, Tanh};
use backprop::cost::{Cost, Heads, Outputs};
use backprop::layer::{AnyLayer, Axis, Concat, Flatten, Sequential, Transpose};
use backprop::nalgebra::{DMatrix, DMatrixViewMut, convert};
use backprop::{
    BinaryCrossEntropy, CategoricalCrossEntropy, Dense, Error, Examples, GaussNewton,
    GradientCheck, Network, Objective, Scalar, Shape, SquaredError,
};

fn dense(inputs: usize, outputs: usize, g: AnyActivation) -> AnyLayer {
    AnyLayer::Dense(Dense::new(inputs, outputs, g))
}

/// Branches of one dense layer each, at the end of a network without other layers.
fn heads(inputs: usize, branches: &[(usize, AnyActivation)], theta: &[f64]) -> Network<f64> {
    let branches = branches
        .iter()
        .map(|&(outputs, g)| Sequential::new(vec![dense(inputs, outputs, g)]));
    let layers = vec![AnyLayer::Concat(Concat::new(
        branches.collect(),
        Axis::First,
    ))];
    Network::from_layers(inputs, layers, theta).unwrap()
}

fn waves(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.8 * (1.3 * i as f64 + 0.4).sin()).collect()
}

/// δ is w (a − y) at z = 10⁴ too, beside a head that is not saturated.
#[test]
fn saturated_heads_are_exact() {
    let theta = [1e4, 0.0, 0.0, 0.0, -1e4, 0.0, 2.5, 0.0];
    let branches = [(2, Softmax), (1, Sigmoid), (1, Identity)];
    let network = heads(1, &branches, &theta);
    let x = DMatrix::repeat(1, 1, 0.0);
    let y = DMatrix::from_column_slice(4, 1, &[0.0, 1.0, 1.0, 2.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let cost = Heads::new()
        .head(0..2, CategoricalCrossEntropy, 1.0)
        .head(2..3, BinaryCrossEntropy, 0.5)
        .head(3..4, SquaredError, 0.25);
    let objective = Objective::new(cost);
    let pass = network.backprop(&examples, &objective).unwrap();
    assert_eq!(pass.cost(), 1e4 + 0.5 * 1e4 + 0.25 * 0.125);
    let expected = [1.0, -1.0, 0.0, 0.0, -0.5, 0.0, 0.125, 0.0];
    assert_eq!(pass.gradient().vector().as_slice(), &expected);
}

/// The heads of a concatenation are the networks that they would be alone: their costs and
/// gradients add up, in any mixture of canonical and other pairs, and so do their curvatures.
#[test]
fn heads_are_independent_networks() {
    let (n, m) = (3, 5);
    let x = DMatrix::from_fn(n, m, |i, j| (0.9 * i as f64 - 0.7 * j as f64).sin());
    let of = [
        (2, Softmax, CategoricalCrossEntropy, 1.0),
        (1, Tanh, SquaredError, 0.3),
        (2, Sigmoid, BinaryCrossEntropy, 2.0),
        (3, Identity, SquaredError, 0.0),
    ];
    let outputs: usize = of.iter().map(|head| head.0).sum();
    let y = DMatrix::from_fn(outputs, m, |i, j| [0.2, 0.8, 0.5][(i + j) % 3]);
    let (theta, v) = (waves(outputs * (n + 1)), waves(outputs * (n + 1) + 1));
    let v = &v[1..];
    let network = heads(n, &of.map(|head| (head.0, head.1)), &theta);
    let (mut cost, mut row) = (Heads::new(), 0);
    for (rows, _, pair, weight) in of {
        cost = cost.head(row..row + rows, pair, weight);
        row += rows;
    }
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(cost);
    let pass = network.backprop(&examples, &objective).unwrap();
    let h = network.hessian_product(&examples, &objective, v).unwrap();
    let g = network.gauss_newton_product(&examples, &objective, GaussNewton::Outputs, v);
    let g = g.unwrap();
    let (mut total, mut row, mut at) = (0.0, 0, 0);
    for (rows, activation, pair, weight) in of {
        let len = rows * (n + 1);
        let (part, y) = (at..at + len, y.rows(row, rows).clone_owned());
        let alone = Network::from_layers(n, vec![dense(n, rows, activation)], &theta[part.clone()]);
        let (alone, examples) = (alone.unwrap(), Examples::new(&x, &y).unwrap());
        let objective = Objective::new(pair);
        let found = alone.backprop(&examples, &objective).unwrap();
        total += weight * found.cost();
        let v = &v[part.clone()];
        let curvature = alone.hessian_product(&examples, &objective, v).unwrap();
        let outer = alone.gauss_newton_product(&examples, &objective, GaussNewton::Outputs, v);
        for (what, all, one) in [
            ("∇J", pass.gradient().vector(), found.gradient().vector()),
            ("H v", &h, &curvature),
            ("G v", &g, &outer.unwrap()),
        ] {
            for (found, expected) in all.as_slice()[part.clone()].iter().zip(one.iter()) {
                let expected = weight * expected;
                let close = (found - expected).abs() <= 1e-14 * (1.0 + expected.abs());
                assert!(close, "{what} of {activation:?}: {found} and {expected}");
            }
        }
        (row, at) = (row + rows, at + len);
    }
    assert!((pass.cost() - total).abs() < 1e-14 * total);
}

/// A softmax at each step, with the cost summed over the steps, has the cost and the gradient of
/// its steps as examples, times their number.
#[test]
fn a_softmax_at_each_step_is_one_for_each_example() {
    let (steps, features, m) = (4, 3, 5);
    let theta = waves(2 * (features + 1));
    let x = DMatrix::from_fn(steps * features, m, |i, j| {
        (0.3 * i as f64 + j as f64).cos()
    });
    let y = DMatrix::from_fn(2 * steps, m, |i, j| [0.25, 0.75][(i + j) % 2]);
    let shape = Shape::Sequence { steps, features };
    let sequence = Network::from_layers(shape, vec![dense(features, 2, Softmax)], &theta);
    let sequence = sequence.unwrap();
    let single = Network::from_layers(features, vec![dense(features, 2, Softmax)], &theta);
    let single = single.unwrap();
    let flat_x = DMatrix::from_column_slice(features, steps * m, x.as_slice());
    let flat_y = DMatrix::from_column_slice(2, steps * m, y.as_slice());
    let (examples, flat) = (
        Examples::new(&x, &y).unwrap(),
        Examples::new(&flat_x, &flat_y),
    );
    for cost in [CategoricalCrossEntropy, SquaredError] {
        let objective = Objective::new(cost);
        let found = sequence.backprop(&examples, &objective).unwrap();
        let expected = single.backprop(flat.as_ref().unwrap(), &objective).unwrap();
        let times = steps as f64;
        assert!((found.cost() - times * expected.cost()).abs() < 1e-14);
        let expected = expected.gradient().vector() * times;
        assert!(
            (found.gradient().vector() - expected).amax() < 1e-15,
            "{cost:?}"
        );
        let check = GradientCheck::new();
        check
            .network(&sequence, &examples, &objective)
            .unwrap()
            .assert_passed();
        let second = check.second_order(&sequence, &examples, &objective);
        second.unwrap().assert_passed();
    }
    // Flattened, it is the same cost of a network whose softmax is not the last layer.
    let layers = vec![dense(features, 2, Softmax), AnyLayer::Rearrange(Flatten)];
    let flattened = Network::from_layers(shape, layers, &theta).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let found = flattened.backprop(&examples, &objective).unwrap();
    let expected = sequence.backprop(&examples, &objective).unwrap();
    assert!((found.cost() - expected.cost()).abs() < 1e-14);
    let difference = found.gradient().vector() - expected.gradient().vector();
    assert!(difference.amax() < 1e-15);
}

/// Along the last axis of an output with several positions, the entries of a branch are apart. A
/// cost of adjacent rows then reads both branches, and neither has z for it.
#[test]
fn branches_that_are_apart_are_not_heads() {
    let branch = |scale| {
        let layers = vec![AnyLayer::Rearrange(Transpose), dense(1, 1, Sigmoid)];
        (Sequential::new(layers), scale)
    };
    let branches = [branch(0.5), branch(-1.5)];
    let theta = branches
        .each_ref()
        .map(|(_, scale)| [0.25, *scale])
        .concat();
    let concat = Concat::new(branches.map(|(branch, _)| branch).to_vec(), Axis::Last);
    let shape = Shape::Sequence {
        steps: 1,
        features: 3,
    };
    let network = Network::from_layers(shape, vec![AnyLayer::Concat(concat)], &theta).unwrap();
    let x = DMatrix::from_fn(3, 4, |i, j| (0.7 * i as f64 - 0.4 * j as f64).sin());
    let y = DMatrix::from_fn(6, 4, |i, j| [0.1, 0.6, 0.9][(i + j) % 3]);
    let examples = Examples::new(&x, &y).unwrap();
    let cost = Heads::new()
        .head(0..3, BinaryCrossEntropy, 1.0)
        .head(3..6, BinaryCrossEntropy, 1.0);
    let a = network.forward(&x).unwrap();
    for k in 0..4 {
        for i in 0..3 {
            let sigma = |scale: f64| 1.0 / (1.0 + (-(0.25 + scale * x[(i, k)])).exp());
            assert!((a[(2 * i, k)] - sigma(0.5)).abs() < 1e-15);
            assert!((a[(2 * i + 1, k)] - sigma(-1.5)).abs() < 1e-15);
        }
    }
    let entries = a.iter().zip(y.iter());
    let costs = entries.map(|(&a, &y): (&f64, &f64)| -y * a.ln() - (1.0 - y) * (1.0 - a).ln());
    let objective = Objective::new(cost);
    let found = network.cost(&examples, &objective).unwrap();
    assert!((found - costs.sum::<f64>() / 4.0).abs() < 1e-14);
    let check = GradientCheck::new();
    check
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
    let second = check.second_order(&network, &examples, &objective);
    second.unwrap().assert_passed();
}

/// Targets that are missing in one head leave the others as they are, at the same m.
#[test]
fn heads_may_miss_targets() {
    let (n, m) = (3, 6);
    let x = DMatrix::from_fn(n, m, |i, j| (0.9 * i as f64 - 0.7 * j as f64).sin());
    let mut y = DMatrix::from_fn(5, m, |i, j| [0.2, 0.8, 0.5][(i + j) % 3]);
    for mut column in y.column_iter_mut() {
        let sum: f64 = column.rows(0, 3).sum();
        column.rows_mut(0, 3).iter_mut().for_each(|y| *y /= sum);
    }
    let weights: Vec<f64> = (0..m).map(|k| 0.5 + k as f64).collect();
    let mut present = DMatrix::repeat(5, m, true);
    for k in [1, 4] {
        present.view_mut((0, k), (3, 1)).fill(false);
    }
    for (unit, k) in [(3, 0), (4, 2), (3, 4), (4, 4)] {
        present[(unit, k)] = false;
    }
    let theta = waves(5 * (n + 1));
    let network = heads(n, &[(3, Softmax), (2, Identity)], &theta);
    let cost = Heads::new()
        .head(0..3, CategoricalCrossEntropy, 0.7)
        .head(3..5, SquaredError, 1.3);
    let objective = Objective::new(cost.clone()).l2(0.3);
    let stored = DMatrix::from_fn(
        5,
        m,
        |i, j| if present[(i, j)] { y[(i, j)] } else { f64::NAN },
    );
    let examples = Examples::with_missing(&x, &stored, &present).unwrap();
    let examples = examples.weighted(&weights).unwrap();
    let found = network.backprop(&examples, &objective).unwrap();
    // By hand, from the outputs: δ of a present target is w (a − y) times the weight of its head.
    let a = network.forward(&x).unwrap();
    let (mut j, mut sum) = (0.0, DMatrix::<f64>::zeros(5, n + 1));
    for k in 0..m {
        for unit in 0..5 {
            if !present[(unit, k)] {
                continue;
            }
            let (a, y) = (a[(unit, k)], y[(unit, k)]);
            let of_head = if unit < 3 { 0.7 } else { 1.3 };
            let value = if unit < 3 {
                -y * a.ln()
            } else {
                0.5 * (a - y) * (a - y)
            };
            j += weights[k] * of_head * value;
            let delta = weights[k] * of_head * (a - y);
            sum[(unit, 0)] += delta;
            for i in 0..n {
                sum[(unit, i + 1)] += delta * x[(i, k)];
            }
        }
    }
    let all: f64 = weights.iter().sum();
    let blocks = [
        &found.gradient().layer([0, 0, 0]),
        &found.gradient().layer([0, 1, 0]),
    ]
    .map(|block| block.as_ref().unwrap().clone_owned());
    for (first, block) in [(0, &blocks[0]), (3, &blocks[1])] {
        let theta = network.block([0, usize::from(first > 0), 0], 0).unwrap();
        for (at, d) in block.row_iter().enumerate() {
            for (col, d) in d.iter().enumerate() {
                let penalty = if col > 0 { 0.3 * theta[(at, col)] } else { 0.0 };
                let expected: f64 = (sum[(first + at, col)] + penalty) / all;
                assert!(
                    (d - expected).abs() < 1e-15,
                    "{first} {at} {col}: {d} {expected}"
                );
            }
        }
    }
    assert!((found.cost_parts().data - j / all).abs() < 1e-15);
    GradientCheck::new()
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
    GradientCheck::new()
        .second_order(&network, &examples, &objective)
        .unwrap()
        .assert_passed();

    // Classes are missing together, whatever the cost says.
    present[(1, 3)] = false;
    for cost in [cost, Heads::new().head(0..3, SquaredError, 1.0)] {
        let objective = Objective::new(cost);
        let partial = Examples::with_missing(&x, &y, &present).unwrap();
        let found = network.cost(&partial, &objective).unwrap_err();
        assert!(
            matches!(&found, Error::PartialTargets { example: 3, rows } if *rows == (0..3)),
            "{found}"
        );
    }
}

/// ½ (Σ d)² of two outputs at a time, whose targets are missing together.
#[derive(Debug)]
struct Pairs;

impl<T: Scalar> Cost<T> for Pairs {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        for (k, value) in values.iter_mut().enumerate() {
            let pairs = (0..at.a.nrows()).step_by(2).map(|i| {
                let d = at.difference(i, k) + at.difference(i + 1, k);
                d * d * convert(0.5)
            });
            *value = pairs.fold(T::zero(), |sum, pair| sum + pair);
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        for (i, k) in (0..delta.ncols()).flat_map(|k| (0..at.a.nrows()).map(move |i| (i, k))) {
            let first = i - i % 2;
            delta[(i, k)] = at.difference(first, k) + at.difference(first + 1, k);
        }
    }

    fn target_group(&self, unit: usize, _outputs: usize) -> std::ops::Range<usize> {
        let first = unit - unit % 2;
        first..first + 2
    }
}

/// A cost is called with whole groups, and groups that are not ranges in order are refused.
#[test]
fn custom_costs_have_groups() {
    let network = heads(2, &[(4, Identity)], &waves(12));
    let x = DMatrix::from_fn(2, 3, |i, k| 0.4 * i as f64 - 0.3 * k as f64);
    let mut y = DMatrix::from_fn(4, 3, |i, k| 0.1 * (i + k) as f64);
    for place in [(0, 1), (1, 1), (2, 2), (3, 2)] {
        y[place] = f64::NAN;
    }
    let present = y.map(|y| !y.is_nan());
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let objective = Objective::new(Pairs);
    let a = network.forward(&x).unwrap();
    let mut expected = 0.0;
    for (first, k) in [(0, 0), (2, 0), (2, 1), (0, 2)] {
        let d = a[(first, k)] - y[(first, k)] + a[(first + 1, k)] - y[(first + 1, k)];
        expected += 0.5 * d * d / 3.0;
    }
    let found = network.cost(&examples, &objective).unwrap();
    assert!((found - expected).abs() < 1e-15);
    GradientCheck::new()
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();
    y.fill(0.5);
    let mut present = present;
    present[(0, 0)] = false;
    let partial = Examples::with_missing(&x, &y, &present).unwrap();
    let found = network.cost(&partial, &objective).unwrap_err();
    let expected = Error::PartialTargets {
        example: 0,
        rows: 0..2,
    };
    assert_eq!(found, expected);
    // Three outputs cannot be cut into pairs.
    let network = heads(2, &[(3, Identity)], &waves(9));
    let (y, present) = (DMatrix::repeat(3, 3, 0.5), DMatrix::repeat(3, 3, true));
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let found = network.cost(&examples, &objective).unwrap_err();
    assert!(matches!(found, Error::Hyperparameter { .. }), "{found}");
}

/// Heads with more rows, and batches with more examples, than are gathered at a time: δ by hand.
#[test]
fn large_heads_have_the_same_errors() {
    for (rows, m) in [(300, 7), (5, 200)] {
        let outputs = rows + 3;
        let network = heads(1, &[(rows, Identity), (3, Softmax)], &waves(2 * outputs));
        let x = DMatrix::from_fn(1, m, |_, k| (0.7 * k as f64).sin());
        let mut y = DMatrix::from_fn(outputs, m, |i, k| match i.checked_sub(rows) {
            Some(class) => f64::from(class == k % 3),
            None => (0.3 * i as f64 + k as f64).cos(),
        });
        let cost = Heads::new().head(0..rows, SquaredError, 0.5).head(
            rows..outputs,
            CategoricalCrossEntropy,
            2.0,
        );
        let objective = Objective::new(cost);
        let a = network.forward(&x).unwrap();
        for misses in [false, true] {
            if misses {
                for k in 0..m {
                    if k % 5 == 2 {
                        y.view_mut((rows, k), (3, 1)).fill(f64::NAN);
                    }
                    y[(k % rows, k)] = f64::NAN;
                }
            }
            let present = y.map(|y| !y.is_nan());
            let examples = match misses {
                false => Examples::new(&x, &y).unwrap(),
                true => Examples::with_missing(&x, &y, &present).unwrap(),
            };
            let found = network.backprop(&examples, &objective).unwrap();
            let (mut j, mut biases) = (0.0, vec![0.0; outputs]);
            for (i, k) in (0..m).flat_map(|k| (0..outputs).map(move |i| (i, k))) {
                let (a, y) = (a[(i, k)], y[(i, k)]);
                if y.is_nan() {
                    continue;
                }
                let weight = if i < rows { 0.5 } else { 2.0 };
                let value = if i < rows {
                    0.5 * (a - y) * (a - y)
                } else {
                    -y * a.ln()
                };
                j += weight * value / m as f64;
                biases[i] += weight * (a - y) / m as f64;
            }
            assert!((found.cost() - j).abs() < 1e-12 * j, "{} {j}", found.cost());
            let gradient = found.gradient();
            let of_heads = [[0, 0, 0], [0, 1, 0]].map(|path| gradient.layer(path).unwrap());
            let columns = of_heads
                .iter()
                .flat_map(|d| d.column(0).iter().copied().collect::<Vec<_>>());
            for (found, expected) in columns.zip(biases) {
                assert!((found - expected).abs() < 1e-13, "{found} {expected}");
            }
        }
    }
}

/// The domain of a cost counts where the target is present, and an error names the example.
#[test]
fn domains_count_where_targets_are_present() {
    // A tanh that is 1, −1 and about 0.46, with the binary cross-entropy.
    let network = heads(1, &[(2, Tanh)], &[0.0, 0.5, 40.0, 0.0]);
    let x = DMatrix::from_row_slice(1, 4, &[0.0125, 0.0125, 1.0, -1.0]);
    let y = DMatrix::repeat(2, 4, 0.5);
    let objective = Objective::new(BinaryCrossEntropy);
    for bad in [2, 3] {
        let present = DMatrix::from_fn(2, 4, |i, k| i == 1 || k < 2 || k == bad);
        let examples = Examples::with_missing(&x, &y, &present).unwrap();
        let found = network.cost(&examples, &objective).unwrap_err();
        let named = matches!(&found, Error::Output { unit: 0, example, .. } if *example == bad);
        assert!(named, "{found}");
    }
    // A missing target may be outside the interval too.
    let mut stored = y.clone();
    stored[(0, 3)] = 7.0;
    let present = DMatrix::from_fn(2, 4, |i, k| i == 1 || k < 2);
    let examples = Examples::with_missing(&x, &stored, &present).unwrap();
    network.cost(&examples, &objective).unwrap();
    let fisher = |examples: &Examples<'_, f64>| {
        let v = [1.0, -0.5, 0.25, 2.0];
        network.gauss_newton_product(examples, &objective, GaussNewton::Fisher, &v)
    };
    fisher(&examples).unwrap();
    assert!(matches!(
        fisher(&Examples::new(&x, &y).unwrap()),
        Err(Error::Output { .. })
    ));
}

/// a − y of a saturated unit is exact beside a missing target too.
#[test]
fn saturated_units_are_exact_beside_missing_targets() {
    let network = heads(1, &[(2, Sigmoid)], &[40.0, 0.5, 0.0, 0.0]);
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(2, 1, 1.0));
    let present = DMatrix::from_row_slice(2, 1, &[true, false]);
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let found = network
        .cost(&examples, &Objective::new(SquaredError))
        .unwrap();
    let error = (-40.0_f64).exp();
    assert!(
        (found / (0.5 * error * error) - 1.0).abs() < 1e-12,
        "{found:e}"
    );
}

/// The groups of a cost and those of softmax heads are joined where they overlap.
#[test]
fn one_cost_over_several_heads_has_joined_groups() {
    let x = DMatrix::zeros(1, 2);
    let objective = Objective::new(CategoricalCrossEntropy);
    let network = heads(1, &[(2, Softmax), (2, Softmax)], &[0.0; 8]);
    let present = DMatrix::from_fn(4, 2, |i, k| k == 0 || i < 2);
    for stored in [0.0, 7.0, f64::NAN] {
        let y = DMatrix::from_fn(4, 2, |i, k| if present[(i, k)] { 0.5 } else { stored });
        let examples = Examples::with_missing(&x, &y, &present).unwrap();
        let expected = Error::PartialTargets {
            example: 1,
            rows: 0..4,
        };
        assert_eq!(network.cost(&examples, &objective), Err(expected));
    }
    // A mask under which nothing is missing changes nothing.
    for parts in [
        [(2, Softmax), (1, Exponential)],
        [(1, Exponential), (2, Softmax)],
    ] {
        let network = heads(1, &parts, &[0.0; 6]);
        let (y, present) = (DMatrix::repeat(3, 2, 0.5), DMatrix::repeat(3, 2, true));
        let all = network.cost(&Examples::new(&x, &y).unwrap(), &objective);
        let examples = Examples::with_missing(&x, &y, &present).unwrap();
        assert_eq!(network.cost(&examples, &objective), all);
        assert!(all.is_ok());
    }
}

/// The Fisher information does not exist where an output is at the edge of the interval, even if
/// the cost does; a missing target asks for neither.
#[test]
fn fisher_information_at_the_edge_is_refused() {
    // tanh 40 = 1, a valid output for y = 1.
    let network = heads(1, &[(2, Tanh)], &[40.0, 0.5, 0.0, 0.0]);
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(2, 1, 1.0));
    let objective = Objective::new(BinaryCrossEntropy);
    let fisher = |examples: &Examples<'_, f64>| {
        let v = [1.0, -0.5, 0.25, 2.0];
        network.gauss_newton_product(examples, &objective, GaussNewton::Fisher, &v)
    };
    let all = Examples::new(&x, &y).unwrap();
    assert!(network.cost(&all, &objective).is_ok());
    assert!(matches!(fisher(&all), Err(Error::Output { unit: 0, .. })));
    let present = DMatrix::from_row_slice(2, 1, &[false, true]);
    fisher(&Examples::with_missing(&x, &y, &present).unwrap()).unwrap();
}
