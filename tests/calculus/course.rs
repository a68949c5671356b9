//! The course's debug network, values by hand, and unrolling.

#![allow(
    clippy::unwrap_used,
    reason = "as in the tests that call these functions"
)]

use backprop::activation::{Identity, Relu, Sigmoid, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::{DMatrix, DVector, dmatrix};
use backprop::{
    BinaryCrossEntropy, Error, Examples, Initialization, Network, Objective, SquaredError,
    Workspace, rng, row_major, unroll,
};

/// The course's `debugInitializeWeights`: reshape(sin(1:numel), fan_out, 1 + fan_in)/10,
/// column-major.
fn debug_weights(fan_out: usize, fan_in: usize) -> DMatrix<f64> {
    let entry = |i: usize| ((i + 1) as f64).sin() / 10.0;
    DMatrix::from_iterator(fan_out, 1 + fan_in, (0..fan_out * (1 + fan_in)).map(entry))
}

/// The network and the data of the course's `checkNNGradients`: 3-5-3, m = 5.
fn debug_network() -> (Network<f64>, DMatrix<f64>, DMatrix<f64>) {
    let theta = unroll(&[debug_weights(5, 3), debug_weights(3, 5)]);
    let network = Network::builder(3)
        .dense(5, Sigmoid)
        .dense(3, Sigmoid)
        .with_theta(theta.as_slice())
        .unwrap();
    // The course's X has one example per row; y = 1 + mod(1:m, 3) are classes from 1.
    let x = debug_weights(5, 2).transpose();
    let y = DMatrix::from_fn(3, 5, |class, k| f64::from(class == (k + 1) % 3));
    (network, x, y)
}

fn assert_close(found: f64, expected: f64, relative: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= relative * expected.abs(),
        "{found:e} is not {expected:e}"
    );
}

fn assert_matrix(found: &DMatrix<f64>, expected: &DMatrix<f64>) {
    assert_eq!(found.shape(), expected.shape());
    let error = (found - expected).amax();
    assert!(
        error <= 1e-15 * expected.amax(),
        "{found} is not {expected}: {error:e}"
    );
}

#[test]
fn debug_network_has_the_courses_cost() {
    let (network, x, y) = debug_network();
    let examples = Examples::new(&x, &y).unwrap();
    for (lambda, j) in [(0.0, 2.10095056990246), (3.0, 2.14635981502436)] {
        let objective = Objective::new(BinaryCrossEntropy).l2(lambda);
        assert_close(network.cost(&examples, &objective).unwrap(), j, 1e-14);
        let pass = network.backprop(&examples, &objective).unwrap();
        assert_close(pass.cost(), j, 1e-14);
    }
}

/// The course's step, 1e-4, and its bound: ‖n − g‖/‖n + g‖ below 1e-9.
#[test]
fn debug_network_passes_the_courses_gradient_check() {
    let (network, x, y) = debug_network();
    let examples = Examples::new(&x, &y).unwrap();
    for lambda in [0.0, 3.0] {
        let objective = Objective::new(BinaryCrossEntropy).l2(lambda);
        let report = GradientCheck::new()
            .step(1e-4)
            .network(&network, &examples, &objective)
            .unwrap();
        assert!(report.passed(), "{report}");
        assert!(report.relative_error() < 1e-9, "{report}");
        assert_eq!(report.blocks.iter().map(|b| b.compared).sum::<usize>(), 38);
    }
}

#[test]
fn debug_network_reads_j_with_and_without_penalty() {
    let (network, x, y) = debug_network();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy).l2(3.0);
    let without = network
        .cost(&examples, &Objective::new(BinaryCrossEntropy))
        .unwrap();
    // λ/(2m) Σ Θ² over all columns except the first.
    let squares = (0..2).map(|l| network.dense_weights(l).unwrap().0.norm_squared());
    let penalty = 3.0 / 10.0 * squares.sum::<f64>();

    let pass = network.backprop(&examples, &objective).unwrap();
    let parts = pass.cost_parts();
    assert_eq!(parts.data, without);
    assert_close(parts.penalty, penalty, 1e-15);
    assert_eq!(parts.total(), parts.data + parts.penalty);
    assert_eq!(pass.cost(), parts.total());

    let mut workspace = Workspace::new();
    let mut gradient = vec![0.0; network.parameters()];
    assert_eq!(
        network.cost_into(&examples, &objective, &mut workspace),
        Ok(parts)
    );
    assert_eq!(
        network.gradient_into(&examples, &objective, &mut workspace, &mut gradient),
        Ok(parts)
    );
    // The mean of the examples' costs is J without the penalty.
    assert_close(workspace.costs().iter().sum::<f64>() / 5.0, without, 1e-15);
}

/// One sigmoid unit with two inputs, three examples, λ = 0.
///
/// Θ = L \[1 1 −1\] with L = ln 3; z = L, −L, 0 at x = (0, 0), (0, 2), (1, 2); σ(±L) = ¾, ¼ and
/// σ(0) = ½.
#[test]
fn one_sigmoid_unit_by_hand() {
    let l = 3.0_f64.ln();
    let network = Network::<f64>::builder(2)
        .dense(1, Sigmoid)
        .with_theta(&[l, l, -l])
        .unwrap();
    let x = dmatrix![0.0, 0.0, 1.0; 0.0, 2.0, 2.0];
    let y = dmatrix![1.0, 0.0, 0.5];
    assert_matrix(&network.forward(&x).unwrap(), &dmatrix![0.75, 0.25, 0.5]);

    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy);
    let pass = network.backprop(&examples, &objective).unwrap();
    // −ln ¾ twice, and ln 2 for the soft target.
    let j = (2.0 * (4.0_f64 / 3.0).ln() + 2.0_f64.ln()) / 3.0;
    assert_close(pass.cost(), j, 1e-15);
    // δ = a − y = −¼, ¼, 0 and D = (1/3) Σ δ [1 x₁ x₂].
    let d = dmatrix![0.0, 0.0, 0.5 / 3.0];
    assert_matrix(&pass.gradient().layer(0).unwrap().clone_owned(), &d);
    // ∂J/∂X = (1/3) Wᵀ δ with W = L [1 −1].
    let of_x = dmatrix![-0.25, 0.25, 0.0; 0.25, -0.25, 0.0] * (l / 3.0);
    assert_matrix(
        &network.input_gradient(&examples, &objective).unwrap(),
        &of_x,
    );
}

/// A 2-2-2 network with sigmoid units and two examples. All sigmoids are rational.
///
/// With L = ln 3, so that σ(L) = ¾, σ(−L) = ¼, σ(0) = ½ and σ(−2L) = 1/10:
///
/// ```text
/// Θ⁽¹⁾ = L [−1  2  2;  2 −1 −3]     x = (1, 0) and (−1, 1)     y = (1, 0) and (0, 1)
/// Θ⁽²⁾ = L [ 1  4 −4; −5  4  4]
///
/// z⁽²⁾ = (L, L) and (−L, 0)         a⁽²⁾ = (¾, ¾) and (¼, ½)
/// z⁽³⁾ = (L, L) and (0, −2L)        a⁽³⁾ = (¾, ¾) and (½, 1/10)
///
/// J = ½ (−ln ¾ − ln ¼ − ln ½ − ln 1/10) = ½ ln(320/3)
///
/// δ⁽³⁾ = a⁽³⁾ − y = (−¼, ¾) and (½, −9/10)
/// Δ⁽²⁾ = δ⁽³⁾ [1 a⁽²⁾]ᵀ = [¼ −1/16 1/16; −3/20 27/80 9/80]
/// Wᵀ δ⁽³⁾ = L (2, 4) and L (−8/5, −28/5)      a(1 − a) = (3/16, 3/16) and (3/16, ¼)
/// δ⁽²⁾ = L (3/8, 3/4) and L (−3/10, −7/5)
/// Δ⁽¹⁾ = δ⁽²⁾ [1 x]ᵀ = L [3/40 27/40 −3/10; −13/20 43/20 −7/5]
/// ```
#[test]
fn two_layers_by_hand() {
    let l = 3.0_f64.ln();
    let theta = [
        dmatrix![-1.0, 2.0, 2.0; 2.0, -1.0, -3.0] * l,
        dmatrix![1.0, 4.0, -4.0; -5.0, 4.0, 4.0] * l,
    ];
    let network = Network::<f64>::builder(2)
        .dense(2, Sigmoid)
        .dense(2, Sigmoid)
        .with_theta(unroll(&theta).as_slice())
        .unwrap();
    let x = dmatrix![1.0, -1.0; 0.0, 1.0];
    let y = dmatrix![1.0, 0.0; 0.0, 1.0];
    let examples = Examples::new(&x, &y).unwrap();

    let mut workspace = Workspace::new();
    network.forward_into(&x, &mut workspace).unwrap();
    let layer = |l| workspace.activation(l).unwrap().clone_owned();
    assert_matrix(&layer(0), &dmatrix![0.75, 0.25; 0.75, 0.5]);
    assert_matrix(&layer(1), &dmatrix![0.75, 0.5; 0.75, 0.1]);
    let z = workspace.logits(0).unwrap();
    let error = (z - dmatrix![l, 0.0; l, -2.0 * l]).amax();
    assert!(error < 4e-15, "{error:e}");

    let sums = [
        dmatrix![3.0, 27.0, -12.0; -26.0, 86.0, -56.0] * (l / 40.0),
        dmatrix![20.0, -5.0, 5.0; -12.0, 27.0, 9.0] / 80.0,
    ];
    let j = 0.5 * (320.0_f64 / 3.0).ln();
    for lambda in [0.0, 2.0] {
        let objective = Objective::new(BinaryCrossEntropy).l2(lambda);
        let pass = network.backprop(&examples, &objective).unwrap();
        // λ/(2m) Σ Θ² = λ/4 · L² (4 + 4 + 1 + 9 + 4 · 16), without the biases.
        let penalty = lambda / 4.0 * 82.0 * l * l;
        assert_close(pass.cost(), j + penalty, 3e-15);
        assert_close(pass.cost_parts().data, j, 3e-15);
        assert_close(pass.cost_parts().penalty, penalty, 3e-15);
        for (layer, (sum, theta)) in sums.iter().zip(&theta).enumerate() {
            // D = (Δ + λΘ)/m, without λ in column 0.
            let mut d = sum + theta * lambda;
            d.column_mut(0).copy_from(&sum.column(0));
            let found = pass.gradient().layer(layer).unwrap() - &d / 2.0;
            assert!(found.amax() < 2e-15 * d.amax(), "{found}");
        }
    }
}

/// Biases are exempt: λ never changes column 0 of D, and changes J only by the other columns.
#[test]
fn bias_is_exempt() {
    let (mut network, x, y) = debug_network();
    let examples = Examples::new(&x, &y).unwrap();
    let of = |network: &Network<f64>, lambda| {
        let objective = Objective::new(BinaryCrossEntropy).l2(lambda);
        network.backprop(&examples, &objective).unwrap()
    };
    let (plain, penalised) = (of(&network, 0.0), of(&network, 7.0));
    for l in 0..2 {
        let plain = plain.gradient().layer(l).unwrap();
        let penalised = penalised.gradient().layer(l).unwrap();
        assert_eq!(plain.column(0), penalised.column(0));
        let change = penalised.columns_range(1..) - plain.columns_range(1..);
        let expected = network.dense_weights(l).unwrap().0 * (7.0 / 5.0);
        assert!((change - expected).amax() < 1e-15);
    }
    // Large biases change nothing.
    for l in 0..2 {
        let mut theta = network.block(l, 0).unwrap().clone_owned();
        theta.column_mut(0).fill(100.0);
        network.set_block(l, 0, &theta).unwrap();
    }
    let before = penalised.cost_parts().penalty;
    assert_eq!(of(&network, 7.0).cost_parts().penalty, before);
}

/// \[Θ⁽¹⁾(:); Θ⁽²⁾(:)\] in Octave's notation and its inverse, for θ and the gradient.
#[test]
fn unrolling_is_column_major() {
    let matrices = [
        dmatrix![1.0, 3.0, 5.0, 7.0; 2.0, 4.0, 6.0, 8.0],
        dmatrix![9.0, 10.0, 11.0],
    ];
    let counted = DVector::from_fn(11, |i, _| (i + 1) as f64);
    assert_eq!(unroll(&matrices), counted);

    let mut network = Network::<f64>::builder(3)
        .dense(2, Identity)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    assert_eq!(network.layout().roll(counted.as_slice()).unwrap(), matrices);
    for (l, matrix) in matrices.iter().enumerate() {
        network.set_block(l, 0, matrix).unwrap();
    }
    assert_eq!(network.theta(), &counted);

    let x = dmatrix![1.0, -1.0; 0.5, 2.0; -2.0, 0.25];
    let y = dmatrix![3.0, -5.0];
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError).l2(0.5);
    let pass = network.backprop(&examples, &objective).unwrap();
    let layers = [0, 1].map(|l| pass.gradient().layer(l).unwrap().clone_owned());
    let vector = network.gradient_vector(&examples, &objective).unwrap();
    assert_eq!(vector, unroll(&layers));
    assert_eq!(&vector, pass.gradient().vector());
    assert_eq!(network.layout().roll(vector.as_slice()).unwrap(), layers);
    assert_eq!(vector[2], layers[0][(0, 1)]);

    assert!(network.layout().roll(&vector.as_slice()[1..]).is_err());
}

/// The same layer from PyTorch's buffers (outputs × inputs, row-major) and scikit-learn's (inputs ×
/// outputs, row-major).
#[test]
fn weights_of_other_libraries_have_the_same_meaning() {
    // aᵢ = biasᵢ + Σⱼ Wᵢⱼ xⱼ with W = [1 2 3; 4 5 6].
    let torch = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let scikit = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
    let bias = [0.5, -0.5];
    let zeros = || Network::<f64>::builder(3).dense(2, Identity).zeros();

    let (mut of_torch, mut of_scikit) = (zeros().unwrap(), zeros().unwrap());
    let weights = DMatrix::from_row_slice(2, 3, &torch);
    of_torch.set_dense(0, &weights, &bias).unwrap();
    let coefs = row_major(&scikit, 2).unwrap();
    of_scikit.set_dense(0, coefs, &bias).unwrap();
    assert_eq!(of_torch, of_scikit);
    let theta = dmatrix![0.5, 1.0, 2.0, 3.0; -0.5, 4.0, 5.0, 6.0];
    assert_eq!(of_torch.block(0, 0).unwrap(), theta);

    let a = of_torch.forward(&dmatrix![1.0; 10.0; 100.0]).unwrap();
    assert_eq!(a, dmatrix![321.5; 653.5]);
}

#[test]
fn dense_and_set_dense_are_inverse() {
    let (network, ..) = debug_network();
    let mut copy = Network::builder(3)
        .dense(5, Sigmoid)
        .dense(3, Sigmoid)
        .zeros()
        .unwrap();
    for l in 0..2 {
        let (weights, bias) = network.dense_weights(l).unwrap();
        let theta = network.block(l, 0).unwrap();
        assert_eq!(weights, theta.columns_range(1..));
        assert_eq!(bias, theta.column(0));
        copy.set_dense(l, &weights, bias.as_slice()).unwrap();
        assert_eq!(copy.dense_weights(l).unwrap(), (weights, bias));
    }
    assert_eq!(copy, network);

    // The transpose does not fit. It is refused and changes nothing.
    let (weights, bias) = network.dense_weights(0).unwrap();
    let refused = copy.set_dense(0, &weights.transpose(), bias.as_slice());
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    let refused = copy.set_dense(0, &weights, &bias.as_slice()[1..]);
    assert!(matches!(refused, Err(Error::Length { .. })), "{refused:?}");
    assert_eq!(copy, network);
}

/// A row-major m × n buffer is the transposed matrix, bit for bit.
#[test]
fn row_major_equals_the_transpose() {
    let entries: Vec<f64> = (0..7 * 3).map(|i| f64::from(i).sin()).collect();
    let targets: Vec<f64> = (0..7 * 2).map(|i| f64::from(i).cos()).collect();
    let network = Network::<f64>::builder(3)
        .dense(4, Tanh)
        .dense(3, Relu)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let objective = Objective::new(SquaredError).l2(0.1);

    let x = DMatrix::from_row_slice(7, 3, &entries).transpose();
    let y = DMatrix::from_row_slice(7, 2, &targets).transpose();
    let transposed = Examples::new(&x, &y).unwrap();
    let rows = Examples::new(
        row_major(&entries, 3).unwrap(),
        row_major(&targets, 2).unwrap(),
    )
    .unwrap();
    assert_eq!(rows.x(), transposed.x());
    assert_eq!(
        network.backprop(&rows, &objective),
        network.backprop(&transposed, &objective)
    );
    assert_eq!(network.forward(rows.x()), network.forward(&x));
}
