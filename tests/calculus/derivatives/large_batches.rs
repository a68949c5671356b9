//! Batches of 512 and more are computed in parts. They give the same numbers as small batches of
//! the same examples, and errors number the examples within the whole batch.

use super::{close, wave, wave_matrix};
use backprop::activation::{Identity, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::{DMatrix, DVector};
use backprop::{
    AnyActivation, AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Error, Examples,
    GaussNewton, Initialization, Location, Network, Objective, Poisson, SquaredError, Tangent,
    Workspace, rng,
};

/// The number of examples in a batch that is computed as a whole.
const FEW: usize = 100;

fn network(n: usize, k: usize, last: AnyActivation) -> Network<f64> {
    let builder = Network::builder(n)
        .dense(7, Tanh)
        .dense(5, Sigmoid)
        .dense(k, last);
    let start = Initialization::GlorotUniform;
    builder.initialize(start, &mut rng(9)).unwrap()
}

fn starts(m: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..m)
        .step_by(FEW)
        .map(move |first| (first, FEW.min(m - first)))
}

#[track_caller]
fn same(what: &str, found: &[f64], expected: &[f64]) {
    if let Err(error) = close(found, expected, 0.1) {
        panic!("{what}: {error}");
    }
}

fn agree((n, k): (usize, usize), last: AnyActivation, cost: AnyCost, m: usize) {
    let network = network(n, k, last);
    let p = network.parameters();
    let x = wave_matrix(n, m, 0.1);
    let y = DMatrix::from_fn(k, m, |i, j| f64::from(i == j % k));
    let weights: Vec<f64> = (0..m).map(|k| 0.5 + (k % 3) as f64).collect();
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let total = examples.total_weight();
    let objective = Objective::new(cost);
    let (v, x_dot, u) = (wave(p, 0.3), wave_matrix(n, m, 0.6), wave_matrix(k, m, 0.7));

    let kinds = [
        GaussNewton::Logits,
        GaussNewton::Outputs,
        GaussNewton::Fisher,
    ];
    let mut sums = vec![DVector::<f64>::zeros(p); 6];
    let (mut along, mut of_x, mut by_x) = (vec![], vec![], vec![]);
    let (mut jacobians, mut gradients, mut norms) = (vec![], vec![], vec![]);
    for (first, count) in starts(m) {
        let x = x.columns(first, count);
        let part = Examples::new(x, y.columns(first, count)).unwrap();
        let part = part.weighted(&weights[first..first + count]).unwrap();
        let share = part.total_weight() / total;
        let direction = Tangent::of_parameters(&v).and_inputs(x_dot.columns(first, count));
        along.extend_from_slice(network.jvp(x, direction).unwrap().as_slice());
        let (of_theta, below) = network.vjp(x, u.columns(first, count)).unwrap();
        sums[0] += of_theta;
        of_x.extend_from_slice(below.as_slice());
        sums[1] += network.gram_product(x, &v).unwrap();
        sums[2] += network.hessian_product(&part, &objective, &v).unwrap() * share;
        for (sum, at) in sums[3..].iter_mut().zip(kinds) {
            *sum += network
                .gauss_newton_product(&part, &objective, at, &v)
                .unwrap()
                * share;
        }
        let (_, below) = network.gradients(&part, &objective).unwrap();
        by_x.extend((below * share).iter());
        jacobians.extend_from_slice(network.output_jacobian(x).unwrap().as_slice());
        gradients.extend_from_slice(
            network
                .example_gradients(&part, &cost)
                .matrix()
                .unwrap()
                .as_slice(),
        );
        norms.extend_from_slice(
            network
                .example_gradients(&part, &cost)
                .norms()
                .unwrap()
                .as_slice(),
        );
    }

    let direction = Tangent::of_parameters(&v).and_inputs(&x_dot);
    same(
        "jvp",
        network.jvp(&x, direction).unwrap().as_slice(),
        &along,
    );
    let (of_theta, below) = network.vjp(&x, &u).unwrap();
    same("vjp", of_theta.as_slice(), sums[0].as_slice());
    same("vjp of X", below.as_slice(), &of_x);
    same(
        "gram",
        network.gram_product(&x, &v).unwrap().as_slice(),
        sums[1].as_slice(),
    );
    let hessian = network.hessian_product(&examples, &objective, &v).unwrap();
    same("H v", hessian.as_slice(), sums[2].as_slice());
    for (sum, at) in sums[3..].iter().zip(kinds) {
        let found = network.gauss_newton_product(&examples, &objective, at, &v);
        same("G v", found.unwrap().as_slice(), sum.as_slice());
    }
    let (_, below) = network.gradients(&examples, &objective).unwrap();
    same("∂J/∂X", below.as_slice(), &by_x);
    same(
        "∂a/∂x",
        network.output_jacobian(&x).unwrap().as_slice(),
        &jacobians,
    );
    same(
        "∇cost",
        network
            .example_gradients(&examples, &cost)
            .matrix()
            .unwrap()
            .as_slice(),
        &gradients,
    );
    same(
        "‖∇cost‖",
        network
            .example_gradients(&examples, &cost)
            .norms()
            .unwrap()
            .as_slice(),
        &norms,
    );

    let mut visited = Vec::new();
    network
        .example_gradients(&examples, &cost)
        .for_each(&mut Workspace::new(), |_, gradient| {
            visited.extend_from_slice(gradient);
        })
        .unwrap();
    same("visited", &visited, &gradients);
    let (most, mut sum) = (0.8 * norms[0], vec![f64::NAN; p]);
    let count = network.example_gradients(&examples, &cost).clipped_sum(
        most,
        &mut Workspace::new(),
        &mut sum,
    );
    assert_eq!(
        count.unwrap(),
        norms.iter().filter(|&&norm| norm > most).count()
    );
    let factors = norms
        .iter()
        .zip(&weights)
        .map(|(norm, w)| w * (most / norm).min(1.0));
    let expected = DMatrix::from_vec(p, m, gradients) * DVector::from_iterator(m, factors);
    same("clipped", &sum, expected.as_slice());
}

#[test]
fn parts_agree_with_small_batches() {
    for m in [512, 513, 1000, 2803] {
        agree((4, 3), Softmax, CategoricalCrossEntropy, m);
        agree((2, 3), Sigmoid, BinaryCrossEntropy, m);
    }
    agree((3, 2), Tanh, SquaredError, 1301);
    agree((2, 5), AnyActivation::Exponential, Poisson, 777);
}

/// The error names the first bad example by its number in the batch.
#[test]
fn errors_count_the_examples_of_the_whole_batch() {
    let m = 1300;
    let network = Network::<f64>::builder(2)
        .dense(2, Identity)
        .dense(2, Identity);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let p = network.parameters();
    let (x, y) = (wave_matrix(2, m, 0.1), wave_matrix(2, m, 0.5));
    let (v, u) = (wave(p, 0.4), wave_matrix(2, m, 0.2));
    let mut bad = x.clone();
    (bad[(1, 901)], bad[(0, 1203)]) = (f64::NAN, f64::NAN);
    let at = |found: Option<Error>| match found {
        Some(Error::NonFinite {
            at:
                Location::Input {
                    what: "X",
                    row,
                    col,
                },
            ..
        }) => (row, col),
        other => panic!("{other:?}"),
    };
    let direction = Tangent::of_parameters(&v);
    assert_eq!(at(network.jvp(&bad, direction).err()), (1, 901));
    assert_eq!(at(network.vjp(&bad, &u).err()), (1, 901));
    assert_eq!(at(network.gram_product(&bad, &v).err()), (1, 901));
    assert_eq!(at(network.output_jacobian(&bad).err()), (1, 901));

    // Squares that overflow make the cost non-finite, if costs are computed.
    let mut large = x;
    (large[(1, 777)], large[(0, 1203)]) = (1e200, 1e200);
    let examples = Examples::new(&large, &y).unwrap();
    let cost = SquaredError;
    let expected = Error::NonFinite {
        at: Location::Cost { example: 777 },
        value: f64::INFINITY,
    };
    let objective = Objective::new(cost);
    assert_eq!(
        network.gradients(&examples, &objective).err().as_ref(),
        Some(&expected)
    );
    assert_eq!(
        network
            .example_gradients(&examples, &cost)
            .matrix()
            .err()
            .as_ref(),
        Some(&expected)
    );
    assert_eq!(
        network
            .example_gradients(&examples, &cost)
            .norms()
            .err()
            .as_ref(),
        Some(&expected)
    );
    let mut sum = vec![7.0; p];
    let found = network.example_gradients(&examples, &cost).clipped_sum(
        1.0,
        &mut Workspace::new(),
        &mut sum,
    );
    assert_eq!((found, sum), (Err(expected.clone()), vec![7.0; p]));
    let mut visited = 0;
    let found =
        network
            .example_gradients(&examples, &cost)
            .for_each(&mut Workspace::new(), |_, _| {
                visited += 1;
            });
    assert_eq!((found, visited), (Err(expected), 0));

    // At 1e160 costs are 1e320 and more. At 1e150 the costs and δ are finite, but the product of δ
    // with the input is not.
    let (mut outside, target) = (DMatrix::repeat(2, m, 0.1), DMatrix::repeat(2, m, 0.5));
    outside[(0, 640)] = 1e9;
    let examples = Examples::new(&outside, &target).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    for at in [GaussNewton::Outputs, GaussNewton::Fisher] {
        let clear = Network::<f64>::builder(2)
            .dense(2, Identity)
            .dense(2, Identity);
        let clear = clear.with_theta(&[0.5, 0.5, 1.0, 0.0, 0.0, 1.0, 0.1, 0.1, 0.1, 0.0, 0.0, 0.1]);
        let found = clear
            .unwrap()
            .gauss_newton_product(&examples, &objective, at, &v);
        let Err(Error::Output {
            layer,
            example: 640,
            ..
        }) = found
        else {
            panic!("{at:?}: {found:?}");
        };
        assert_eq!(layer, 1, "{at:?}");
    }
}
