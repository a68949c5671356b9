//! An embedding is the product of its table with one-hot vectors. A dense layer without a bias
//! computes that product, with the same parameters in the same order, so every derivative has to
//! agree.

use super::{error, ids, wave};
use backprop::activation::{Identity, Sigmoid, Softmax, Tanh};
use backprop::layer::{AnyLayer, Axis, Layer};
use backprop::nalgebra::{DMatrix, convert, try_convert};
use backprop::{
    AnyCost, BinaryCrossEntropy, Builder, CategoricalCrossEntropy, Error, Examples, GaussNewton,
    GradientCheck, Initialization, Network, Objective, Scalar, Shape, SquaredError, Tangent,
    VjpTargets, Workspace, rng,
};
use num_dual::Dual64;

/// Writes the one-hot vector of each id below the last.
pub(super) fn one_hot<T: Scalar>(ids: &DMatrix<T>, entries: usize) -> DMatrix<T> {
    let mut x = DMatrix::zeros(ids.nrows() * entries, ids.ncols());
    for k in 0..ids.ncols() {
        for i in 0..ids.nrows() {
            let id: f64 = try_convert(ids[(i, k)]).unwrap();
            x[(i * entries + id as usize, k)] = T::one();
        }
    }
    x
}

/// A network of ids and one that takes them as one-hot vectors, at the same θ.
struct Pair<T: Scalar, L = AnyLayer> {
    of_ids: Network<T, L>,
    of_vectors: Network<T>,
    x: DMatrix<T>,
    vectors: DMatrix<T>,
    y: DMatrix<T>,
}

const STEPS: usize = 3;
const ENTRIES: usize = 5;

/// A sequence of ids: embedding, a layer along the features, and one for all.
fn sequence<T: Scalar>(m: usize) -> Pair<T> {
    let rest = |builder: Builder<T>| builder.dense(3, Tanh).flatten().dense(2, Sigmoid);
    let shape = Shape::Sequence {
        steps: STEPS,
        features: ENTRIES,
    };
    let builder = Network::builder(shape).dense_without_bias(4, Identity);
    let rule = Initialization::Normal { sigma: 0.6 };
    let of_vectors = rest(builder).initialize(rule, &mut rng(1)).unwrap();
    let builder = Network::builder(STEPS).embedding(ENTRIES, 4);
    let of_ids = rest(builder)
        .with_theta(of_vectors.theta().as_slice())
        .unwrap();
    let x = ids(STEPS, m, ENTRIES, 1);
    Pair {
        of_ids,
        of_vectors,
        vectors: one_hot(&x, ENTRIES),
        x,
        y: wave::<T>(2, m, 3).map(|y| (y + T::one()) * convert(0.5)),
    }
}

/// Two numbers and two kinds of ids: rows 0 and 3 of X are numbers, 1 and 2 ids.
fn mixed<T: Scalar>(m: usize) -> Pair<T> {
    let of_ids = Network::builder(4).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.select(1..2).embedding(5, 3).flatten());
        let branches = branches.branch(|b| b.select(0..1));
        let branches = branches.branch(|b| b.select(2..3).embedding(7, 2).flatten());
        branches.branch(|b| b.select(3..4).dense(2, Tanh))
    });
    let of_vectors = Network::builder(1 + 5 + 7 + 1).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.select(1..6).dense_without_bias(3, Identity));
        let branches = branches.branch(|b| b.select(0..1));
        let branches = branches.branch(|b| b.select(6..13).dense_without_bias(2, Identity));
        branches.branch(|b| b.select(13..14).dense(2, Tanh))
    });
    let rule = Initialization::Normal { sigma: 0.6 };
    let of_vectors = of_vectors.dense(4, Tanh).dense(3, Softmax);
    let of_vectors = of_vectors.initialize(rule, &mut rng(2)).unwrap();
    let of_ids = of_ids.dense(4, Tanh).dense(3, Softmax);
    let of_ids = of_ids.with_theta(of_vectors.theta().as_slice()).unwrap();
    let (numbers, first, second) = (wave(2, m, 4), ids(1, m, 5, 1), ids(1, m, 7, 2));
    let mut x = DMatrix::zeros(4, m);
    x.rows_mut(0, 1).copy_from(&numbers.rows(0, 1));
    x.rows_mut(1, 1).copy_from(&first);
    x.rows_mut(2, 1).copy_from(&second);
    x.rows_mut(3, 1).copy_from(&numbers.rows(1, 1));
    let mut vectors = DMatrix::zeros(14, m);
    vectors.rows_mut(0, 1).copy_from(&numbers.rows(0, 1));
    vectors.rows_mut(1, 5).copy_from(&one_hot(&first, 5));
    vectors.rows_mut(6, 7).copy_from(&one_hot(&second, 7));
    vectors.rows_mut(13, 1).copy_from(&numbers.rows(1, 1));
    Pair {
        of_ids,
        of_vectors,
        x,
        vectors,
        y: DMatrix::from_fn(3, m, |i, k| convert(f64::from(u8::from(i == k % 3)))),
    }
}

/// The largest error of all results by the parameters; ∞ if a call of the first network fails.
pub(super) fn largest_error<T: Scalar + Into<f64>, L: Layer<T>, M: Layer<T>>(
    (of_ids, x): (&Network<T, L>, &DMatrix<T>),
    (of_vectors, vectors): (&Network<T, M>, &DMatrix<T>),
    y: &DMatrix<T>,
    cost: backprop::AnyCost,
) -> f64 {
    let Ok(found) = results(of_ids, x, y, cost) else {
        return f64::INFINITY;
    };
    let expected = results(of_vectors, vectors, y, cost).unwrap();
    let errors = found.iter().zip(&expected);
    errors.fold(0.0, |worst, (found, expected)| {
        let error = error(found, expected);
        if error <= worst { worst } else { error }
    })
}

fn results<T: Scalar, L: Layer<T>>(
    network: &Network<T, L>,
    x: &DMatrix<T>,
    y: &DMatrix<T>,
    cost: backprop::AnyCost,
) -> Result<Vec<Vec<T>>, Error> {
    let p = network.parameters();
    let nan: T = convert(f64::NAN);
    let weights: Vec<f64> = (0..x.ncols()).map(|k| 0.5 + k as f64).collect();
    let examples = Examples::new(x, y)?.weighted(&weights)?;
    let objective = Objective::new(cost).l2(0.3);
    let mut workspace = Workspace::new();
    let v = wave::<T>(p, 2, 7);
    let v = v.as_slice();
    let u = wave::<T>(y.nrows(), y.ncols(), 8);
    let mut all = vec![network.forward(x)?.as_slice().to_vec()];
    // The second round finds NaN in all buffers.
    for _ in 0..2 {
        workspace.fill(nan);
        let mut gradient = vec![nan; p];
        let parts = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
        all.push(vec![parts.total()]);
        all.push(gradient);
        workspace.fill(nan);
        let mut product = vec![nan; 2 * p];
        network.hessian_product_into(&examples, &objective, v, &mut workspace, &mut product)?;
        all.push(product);
        for at in [GaussNewton::Outputs, GaussNewton::Logits] {
            workspace.fill(nan);
            let mut product = vec![nan; p];
            let along = (at, &v[..p]);
            network.gauss_newton_product_into(
                &examples,
                &objective,
                along,
                &mut workspace,
                &mut product,
            )?;
            all.push(product);
        }
        workspace.fill(nan);
        let mut tangent = vec![nan; y.len()];
        let along = Tangent::of_parameters(&v[..p]);
        network.jvp_into(x, along, &mut workspace, &mut tangent)?;
        all.push(tangent);
        workspace.fill(nan);
        let mut back = vec![nan; p];
        let into = VjpTargets::of_parameters(&mut back);
        network.vjp_along_into(x, &u, along, &mut workspace, into)?;
        all.push(back);
        workspace.fill(nan);
        let mut each = vec![nan; p * x.ncols()];
        let gradients = network.example_gradients(&examples, &cost);
        gradients.matrix_into(&mut workspace, &mut each)?;
        all.push(each);
        workspace.fill(nan);
        let mut norms = vec![nan; x.ncols()];
        gradients.norms_into(&mut workspace, &mut norms)?;
        all.push(norms);
        let mut clipped = vec![nan; p];
        gradients.clipped_sum(0.1, &mut workspace, &mut clipped)?;
        all.push(clipped);
    }
    let matrix = network.gauss_newton_matrix(&examples, &objective, GaussNewton::Outputs);
    all.push(matrix?.as_slice().to_vec());
    all.push(network.hessian(&examples, &objective)?.as_slice().to_vec());
    Ok(all)
}

fn compare<T: Scalar + Into<f64>>(bound: f64) {
    // One example, few, and enough that a batch is cut into parts.
    for m in [1, 2, 7, 700] {
        let pair = sequence::<T>(m);
        let (of_ids, of_vectors) = ((&pair.of_ids, &pair.x), (&pair.of_vectors, &pair.vectors));
        for cost in [BinaryCrossEntropy, SquaredError] {
            let error = largest_error(of_ids, of_vectors, &pair.y, cost);
            assert!(error <= bound, "sequence, m = {m}, {cost:?}: {error:e}");
        }
        let pair = mixed::<T>(m);
        let (of_ids, of_vectors) = ((&pair.of_ids, &pair.x), (&pair.of_vectors, &pair.vectors));
        for cost in [CategoricalCrossEntropy, SquaredError] {
            let error = largest_error(of_ids, of_vectors, &pair.y, cost);
            assert!(error <= bound, "mixed, m = {m}, {cost:?}: {error:e}");
        }
    }
}

#[test]
fn every_derivative_is_that_of_the_product_in_f64() {
    compare::<f64>(1e-12);
}

#[test]
fn every_derivative_is_that_of_the_product_in_f32() {
    compare::<f32>(1e-4);
}

/// Vectors of every length, below and above the one from which another sum is used.
#[test]
fn vectors_of_any_length() {
    for dim in [1, 2, 7, 31, 32, 33, 64, 100] {
        let m = 9;
        let shape = Shape::Sequence {
            steps: 4,
            features: 3,
        };
        let builder = Network::<f64>::builder(shape).dense_without_bias(dim, Identity);
        let rule = Initialization::Normal { sigma: 0.5 };
        let of_vectors = builder.initialize(rule, &mut rng(4)).unwrap();
        let theta = of_vectors.theta().as_slice();
        let of_ids = Network::builder(4)
            .embedding(3, dim)
            .with_theta(theta)
            .unwrap();
        let (x, y) = (ids(4, m, 3, 0), wave(4 * dim, m, 5));
        let vectors = one_hot(&x, 3);
        let examples = Examples::new(&x, &y).unwrap();
        let of_products = Examples::new(&vectors, &y).unwrap();
        let objective = Objective::new(SquaredError);
        let found = of_ids.gradient_vector(&examples, &objective).unwrap();
        let expected = of_vectors
            .gradient_vector(&of_products, &objective)
            .unwrap();
        assert!(error(found.as_slice(), expected.as_slice()) < 1e-14);
    }
}

/// The derivative by the numbers of X is that of the other network, and 0 in the rows of ids.
#[test]
fn inputs_that_are_numbers_have_the_same_derivatives() {
    for m in [1, 2, 7, 700] {
        let pair = mixed::<f64>(m);
        let objective = Objective::new(CategoricalCrossEntropy);
        let examples = Examples::new(&pair.x, &pair.y).unwrap();
        let (_, found) = pair.of_ids.gradients(&examples, &objective).unwrap();
        let of_vectors = Examples::new(&pair.vectors, &pair.y).unwrap();
        let expected = pair
            .of_vectors
            .input_gradient(&of_vectors, &objective)
            .unwrap();
        let rows = [(0, 0), (3, 13)];
        for (row, of_vectors) in rows {
            let found = found.row(row).clone_owned();
            let expected = expected.row(of_vectors).clone_owned();
            assert!(error(found.as_slice(), expected.as_slice()) < 1e-13);
        }
        assert!(found.rows(1, 2).iter().all(|&x| x == 0.0));

        let mut dx = DMatrix::zeros(4, m);
        let mut d_vectors = DMatrix::zeros(14, m);
        for (row, of_vectors) in rows {
            dx.row_mut(row).copy_from(&wave::<f64>(1, m, row));
            d_vectors
                .row_mut(of_vectors)
                .copy_from(&wave::<f64>(1, m, row));
        }
        let found = pair.of_ids.jvp(&pair.x, Tangent::of_inputs(&dx)).unwrap();
        let along = Tangent::of_inputs(&d_vectors);
        let expected = pair.of_vectors.jvp(&pair.vectors, along).unwrap();
        assert!(error(found.as_slice(), expected.as_slice()) < 1e-13);

        let found = pair.of_ids.output_jacobian(&pair.x).unwrap();
        let expected = pair.of_vectors.output_jacobian(&pair.vectors).unwrap();
        for k in 0..m {
            for (row, of_vectors) in rows {
                let found = found.column(4 * k + row).clone_owned();
                let expected = expected.column(14 * k + of_vectors).clone_owned();
                assert!(error(found.as_slice(), expected.as_slice()) < 1e-12);
            }
            assert!(found.columns(4 * k + 1, 2).iter().all(|&x| x == 0.0));
        }
    }
}

/// Dual numbers run the plain loops, and carry the derivative along a direction of θ.
#[test]
fn dual_numbers_give_the_same_derivatives() {
    for m in [1, 2, 5] {
        let pair = mixed::<f64>(m);
        let p = pair.of_ids.parameters();
        let v = wave::<f64>(p, 1, 9);
        let examples = Examples::new(&pair.x, &pair.y).unwrap();
        let objective = Objective::new(CategoricalCrossEntropy).l2(0.3);
        let gradient = pair.of_ids.gradient_vector(&examples, &objective).unwrap();
        let curved = pair
            .of_ids
            .hessian_product(&examples, &objective, v.as_slice())
            .unwrap();

        let mut along = v.iter();
        let moved = pair
            .of_ids
            .map(|w| Dual64::new(w, *along.next().unwrap()))
            .unwrap();
        let (x, y) = (pair.x.map(Dual64::from_re), pair.y.map(Dual64::from_re));
        let examples = Examples::new(&x, &y).unwrap();
        let j = moved.cost(&examples, &objective).unwrap();
        let slope = gradient.dot(&v.column(0));
        assert!((j.eps - slope).abs() <= 1e-13 * slope.abs().max(1.0));
        let dual = moved.gradient_vector(&examples, &objective).unwrap();
        let (real, change) = (dual.map(|d| d.re), dual.map(|d| d.eps));
        assert!(error(real.as_slice(), gradient.as_slice()) < 1e-13);
        assert!(error(change.as_slice(), curved.as_slice()) < 1e-12);
    }
}

#[test]
fn differences_agree() {
    let costs = [
        AnyCost::BinaryCrossEntropy,
        AnyCost::CategoricalCrossEntropy,
    ];
    for m in [1, 2, 6] {
        // Where X is ids alone, there are no rows along ẋ.
        let pairs = [(sequence::<f64>(m), false), (mixed(m), true)];
        for ((pair, has_numbers), cost) in pairs.into_iter().zip(costs) {
            let examples = Examples::new(&pair.x, &pair.y).unwrap();
            let (check, objective) = (GradientCheck::new(), Objective::new(cost).l2(0.2));
            let report = check.network(&pair.of_ids, &examples, &objective);
            report.unwrap().assert_passed();
            let report = check.second_order(&pair.of_ids, &examples, &objective);
            let report = report.unwrap();
            report.assert_passed();
            assert!(report.block("ȧ along θ̇").is_some());
            assert_eq!(report.block("ȧ along ẋ").is_some(), has_numbers);
        }
    }
}

/// The checker leaves out the rows of X that are ids, and checks the others.
#[test]
fn a_layer_by_itself_passes_the_checker() {
    let check = GradientCheck::new();
    let layer = backprop::layer::Embedding::new(4, 3);
    let (theta, x) = (wave::<f64>(12, 1, 0), ids(2, 5, 4, 1));
    let report = check.layer(&layer, theta.as_slice(), &x).unwrap();
    report.assert_passed();
    assert_eq!(report.block("E").map(|block| block.compared), Some(12));
    assert!(report.block("input").is_none());
    check
        .layer_tangents(&layer, theta.as_slice(), &x)
        .unwrap()
        .assert_passed();

    let pair = mixed::<f64>(4);
    let root = &pair.of_ids.layers()[0];
    let theta = &pair.of_ids.theta().as_slice()[..15 + 14 + 4];
    let report = check.layer(root, theta, &pair.x).unwrap();
    report.assert_passed();
    assert_eq!(
        report.block("input").map(|block| block.compared),
        Some(2 * 4)
    );
    check
        .layer_tangents(root, theta, &pair.x)
        .unwrap()
        .assert_passed();
}

/// The weights of a dense layer without a bias, alone and at each step of a sequence.
#[test]
fn a_dense_layer_without_a_bias_passes_the_checker() {
    let check = GradientCheck::new();
    for (inputs, outputs, m) in [(1, 1, 1), (3, 2, 5), (17, 9, 40)] {
        let layer = backprop::Dense::new(inputs, outputs, Tanh).without_bias();
        let theta = wave::<f64>(inputs * outputs, 1, 0).map(|w| 0.3 * w);
        let x = wave::<f64>(inputs, m, 2);
        let report = check.layer(&layer, theta.as_slice(), &x).unwrap();
        report.assert_passed();
        assert_eq!(
            report.block("Θ").map(|block| block.compared),
            Some(inputs * outputs)
        );
        check
            .layer_tangents(&layer, theta.as_slice(), &x)
            .unwrap()
            .assert_passed();
    }
}

#[test]
fn weights_without_a_bias_are_read_and_set() {
    let builder = Network::<f64>::builder(2).embedding(3, 2).flatten();
    let mut network = builder.dense_without_bias(2, Tanh).zeros().unwrap();
    let weights = wave::<f64>(2, 4, 1);
    network.set_dense(2, &weights, &[]).unwrap();
    let (found, bias) = network.dense_weights(2).unwrap();
    assert_eq!((found, bias.len()), (weights.clone(), 0));
    let (what, expected, found) = ("the bias", 0, 2);
    let refused = network.set_dense(2, &weights, &[1.0, 2.0]);
    assert_eq!(
        refused,
        Err(Error::Length {
            what,
            expected,
            found
        })
    );
    // The table of an embedding is no weight of a dense layer.
    assert_eq!(
        network.dense_weights(0),
        Err(Error::NotDense { layer: 0.into() })
    );
}
