//! Training passes whose batch is cut into parts or groups: every example keeps its own random
//! numbers, in every derivative.

use super::random::Case;
use super::{Lifted, close, dot, largest, wave, wave_matrix};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, Dropout, GaussianNoise};
use backprop::nalgebra::DMatrix;
use backprop::{
    Examples, GaussNewton, Initialization, Network, Objective, Path, Scalar, SquaredError, Tangent,
    VjpTargets, Workspace, rng,
};
use num_dual::HyperDual64;

const SEED: u64 = 21;

fn training<T: Scalar>() -> Workspace<T> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(SEED));
    workspace
}

/// The outputs a of a training pass, and their derivatives by forward passes in hyper-dual and dual
/// numbers: along v and w in θ, along both, and along ẋ.
struct Forward {
    v: Vec<f64>,
    w: Vec<f64>,
    x: DMatrix<f64>,
    a: DMatrix<f64>,
    by_v: DMatrix<f64>,
    by_w: DMatrix<f64>,
    by_both: DMatrix<f64>,
    by_x: DMatrix<f64>,
}

impl Forward {
    fn new(case: &Case) -> Self {
        let (p, (n, m)) = (case.network.parameters(), case.x.shape());
        let (v, w, x) = (wave(p, 0.4), wave(p, 1.9), wave_matrix(n, m, 0.8));
        let mut index = 0..;
        let twice = case.network.map(|theta| {
            let i = index.next().unwrap();
            // The state follows θ, and does not move.
            let along = |v: &[f64]| v.get(i).copied().unwrap_or(0.0);
            HyperDual64::new(theta, along(&v), along(&w), 0.0)
        });
        let (twice, still) = (twice.unwrap(), case.x.map(HyperDual64::from));
        let mut workspace = training();
        let outputs = twice.forward_into(&still, &mut workspace).unwrap();
        let lifted = Lifted::new(case, |_| 0.0, |i| x[i]);
        let mut workspace = training();
        let moved = lifted.network.forward_into(&lifted.x, &mut workspace);
        Self {
            a: outputs.map(|a| a.re),
            by_v: outputs.map(|a| a.eps1),
            by_w: outputs.map(|a| a.eps2),
            by_both: outputs.map(|a| a.eps1eps2),
            by_x: moved.unwrap().map(|a| a.eps),
            v,
            w,
            x,
        }
    }
}

/// Σ a ∘ b of each example.
fn each(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Vec<f64> {
    a.component_mul(b).row_sum().iter().copied().collect()
}

fn near(what: &str, found: &[f64], expected: &[f64]) {
    let bound = 1e-11 * largest(expected).max(1.0);
    close(found, expected, bound).unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Products along directions, and ∇J and ∂J/∂X along them.
fn first_order(case: &Case, known: &Forward, whole: bool) {
    let (network, p, (n, m)) = (&case.network, case.network.parameters(), case.x.shape());
    let workspace = &mut training();
    let mut moved = vec![f64::NAN; known.a.len()];
    let mut jvp = |along: Tangent<'_, f64>, expected: &DMatrix<f64>| {
        network
            .jvp_into(&case.x, along, workspace, &mut moved)
            .unwrap();
        near("jvp", &moved, expected.as_slice());
    };
    jvp(Tangent::of_parameters(&known.v), &known.by_v);
    jvp(Tangent::of_inputs(&known.x), &known.by_x);

    let (mut of_theta, mut of_x) = (vec![f64::NAN; p], vec![f64::NAN; n * m]);
    // What ∂/∂X is along ẋ, example by example unless they are coupled.
    let along_x = |of_x: &[f64]| {
        let all = each(&DMatrix::from_column_slice(n, m, of_x), &known.x);
        if whole { vec![all.iter().sum()] } else { all }
    };
    let of_outputs = |u: &DMatrix<f64>| {
        let all = each(u, &known.by_x);
        if whole { vec![all.iter().sum()] } else { all }
    };

    let u = wave_matrix(known.a.nrows(), m, 2.2);
    let into = VjpTargets::of_parameters(&mut of_theta).and_inputs(&mut of_x);
    network.vjp_into(&case.x, &u, workspace, into).unwrap();
    near("vjp", &[dot(&of_theta, &known.v)], &[u.dot(&known.by_v)]);
    near("vjp of X", &along_x(&of_x), &of_outputs(&u));

    let into = VjpTargets::of_parameters(&mut of_theta).and_inputs(&mut of_x);
    network
        .pullback(&case.x, workspace)
        .unwrap()
        .vjp_into(&u, into)
        .unwrap();
    near(
        "pullback",
        &[dot(&of_theta, &known.v)],
        &[u.dot(&known.by_v)],
    );
    near("pullback of X", &along_x(&of_x), &of_outputs(&u));

    let (examples, objective) = (
        Examples::new(&case.x, &case.y).unwrap(),
        Objective::new(SquaredError),
    );
    let errors = (&known.a - &case.y) / m as f64;
    let into = VjpTargets::of_parameters(&mut of_theta).and_inputs(&mut of_x);
    network
        .gradients_into(&examples, &objective, workspace, into)
        .unwrap();
    near(
        "∇J",
        &[dot(&of_theta, &known.v)],
        &[errors.dot(&known.by_v)],
    );
    near("∂J/∂X", &along_x(&of_x), &of_outputs(&errors));
    of_theta.fill(f64::NAN);
    network
        .gradient_into(&examples, &objective, workspace, &mut of_theta)
        .unwrap();
    near(
        "gradient_into",
        &[dot(&of_theta, &known.w)],
        &[errors.dot(&known.by_w)],
    );
}

/// Products with the curvature of J, and the derivative of a vector–Jacobian product.
fn second_order(case: &Case, known: &Forward) {
    let (network, p, m) = (&case.network, case.network.parameters(), case.x.ncols());
    let workspace = &mut training();
    let (examples, objective) = (
        Examples::new(&case.x, &case.y).unwrap(),
        Objective::new(SquaredError),
    );
    let errors = (&known.a - &case.y) / m as f64;
    let gauss_newton = known.by_v.dot(&known.by_w) / m as f64;
    let mut product = vec![f64::NAN; p];

    network
        .hessian_product_into(&examples, &objective, &known.v, workspace, &mut product)
        .unwrap();
    let hessian = gauss_newton + errors.dot(&known.by_both);
    near("H v", &[dot(&product, &known.w)], &[hessian]);

    let at = (GaussNewton::Outputs, &known.v[..]);
    network
        .gauss_newton_product_into(&examples, &objective, at, workspace, &mut product)
        .unwrap();
    near("G v", &[dot(&product, &known.w)], &[gauss_newton]);

    network
        .gram_product_into(&case.x, &known.v, workspace, &mut product)
        .unwrap();
    near(
        "AᵀA v",
        &[dot(&product, &known.w)],
        &[known.by_v.dot(&known.by_w)],
    );

    let u = wave_matrix(known.a.nrows(), m, 2.2);
    let along = Tangent::of_parameters(&known.v);
    let into = VjpTargets::of_parameters(&mut product);
    network
        .vjp_along_into(&case.x, &u, along, workspace, into)
        .unwrap();
    near(
        "vjp along v",
        &[dot(&product, &known.w)],
        &[u.dot(&known.by_both)],
    );
}

/// Derivatives of single examples, and the Gauss–Newton matrix, which is made of them.
fn of_examples(case: &Case, known: &Forward) {
    let (network, p, (n, m)) = (&case.network, case.network.parameters(), case.x.shape());
    let workspace = &mut training();
    let (examples, objective) = (
        Examples::new(&case.x, &case.y).unwrap(),
        Objective::new(SquaredError),
    );
    let expected = each(&(&known.a - &case.y), &known.by_v);

    let gradients = network.example_gradients(&examples, &SquaredError);
    let mut matrix = vec![f64::NAN; p * m];
    gradients.matrix_into(workspace, &mut matrix).unwrap();
    let slopes: Vec<f64> = matrix.chunks(p).map(|g| dot(g, &known.v)).collect();
    near("gradients of examples", &slopes, &expected);
    let norms: Vec<f64> = matrix.chunks(p).map(|g| dot(g, g).sqrt()).collect();
    let mut found = vec![f64::NAN; m];
    gradients.norms_into(workspace, &mut found).unwrap();
    near("norms of examples", &found, &norms);
    found.fill(f64::NAN);
    gradients
        .for_each(workspace, |k, gradient| found[k] = dot(gradient, &known.v))
        .unwrap();
    near("each gradient", &found, &expected);

    let outputs = known.a.nrows();
    let mut jacobians = vec![f64::NAN; outputs * n * m];
    network
        .output_jacobian_into(&case.x, workspace, &mut jacobians)
        .unwrap();
    let jacobians = DMatrix::from_vec(outputs, n * m, jacobians);
    let moved = (0..m).flat_map(|k| {
        let moved = jacobians.columns(k * n, n) * known.x.column(k);
        moved.iter().copied().collect::<Vec<_>>()
    });
    near("∂a/∂x", &moved.collect::<Vec<_>>(), known.by_x.as_slice());

    let mut curvature = vec![f64::NAN; p * p];
    network
        .gauss_newton_matrix_into(
            &examples,
            &objective,
            GaussNewton::Outputs,
            workspace,
            &mut curvature,
        )
        .unwrap();
    let rows = curvature.chunks(p).map(|row| dot(row, &known.v));
    let found = dot(&rows.collect::<Vec<_>>(), &known.w);
    near("G", &[found], &[known.by_v.dot(&known.by_w) / m as f64]);
}

/// Every derivative of random trees, which together have every layer, against forward passes in
/// dual numbers.
#[test]
fn every_derivative_in_training_agrees_with_dual_numbers() {
    let (mut cut, mut whole) = (0, 0);
    for (seed, m) in (0..40).flat_map(|seed| [(seed, 600), (seed, 2100)]) {
        let mut case = Case::new(seed, 4, m).with_all_targets();
        (case.weights, case.objective) = (None, Objective::new(SquaredError));
        if case.network.parameters() == 0 || case.network.parameters() > 300 {
            continue;
        }
        if !case.network.state().is_empty() {
            // Statistics of the batch couple its examples, so the batch is not cut.
            let known = Forward::new(&case);
            first_order(&case, &known, true);
            second_order(&case, &known);
            whole += 1;
            case.network.fix_statistics(Path::default()).unwrap();
        }
        let mut workspace = training();
        case.network.forward_into(&case.x, &mut workspace).unwrap();
        assert!(workspace.activation(0).is_none(), "the batch is not cut");
        let known = Forward::new(&case);
        first_order(&case, &known, false);
        second_order(&case, &known);
        of_examples(&case, &known);
        cut += 1;
    }
    assert!(cut >= 40 && whole >= 10, "{cut} and {whole} networks");
}

#[test]
fn errors_go_back_through_the_mask_of_their_example() {
    let (n, m) = (5, 1301);
    let network = Network::<f64>::builder(n).dropout(0.6).zeros().unwrap();
    let (x, u) = (DMatrix::repeat(n, m, 1.0), wave_matrix(n, m, 0.3));
    let workspace = &mut training();
    let mask = network.forward_into(&x, workspace).unwrap().clone_owned();
    let expected = u.component_mul(&mask);
    let mut found = vec![f64::NAN; n * m];
    let into = VjpTargets::of_inputs(&mut found);
    network.vjp_into(&x, &u, workspace, into).unwrap();
    assert_eq!(found, expected.as_slice());
    let along = Tangent::of_inputs(&u);
    network.jvp_into(&x, along, workspace, &mut found).unwrap();
    assert_eq!(found, expected.as_slice());
}

#[test]
fn given_numbers_belong_to_the_examples_of_every_part() {
    let (n, m) = (3, 1301);
    let x = wave_matrix(n, m, 0.1);
    let given = DMatrix::from_fn(n, m, |i, k| f64::from((i * 7 + k * k) % 5 > 1));
    let cases: [(AnyLayer, DMatrix<f64>); 2] = [
        (Dropout::new(0.5).into(), x.component_mul(&given) * 2.0),
        (GaussianNoise::new(0.5).into(), &x + &given * 0.5),
    ];
    for (layer, expected) in cases {
        let network = Network::from_layers(n, vec![layer], &[]).unwrap();
        let workspace = &mut training();
        workspace.set_random_numbers(0, &given).unwrap();
        assert_eq!(network.forward_into(&x, workspace).unwrap(), expected);
    }
}

/// A group holds at most 2¹⁶ scalars, so the batch is computed in several.
#[test]
fn gradients_in_groups_have_the_numbers_of_the_batch() {
    let network = Network::<f64>::builder(100)
        .dropout(0.5)
        .dense(100, Tanh)
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let (m, p) = (15, network.parameters());
    assert!(p * m > 1 << 16);
    let (x, y) = (wave_matrix(100, m, 0.2), wave_matrix(1, m, 0.9));
    let examples = Examples::new(&x, &y).unwrap();
    let gradients = network.example_gradients(&examples, &SquaredError);
    let mut all = vec![f64::NAN; p * m];
    gradients.matrix_into(&mut training(), &mut all).unwrap();
    let mut seen = 0;
    gradients
        .for_each(&mut training(), |k, gradient| {
            near("a gradient", gradient, &all[k * p..][..p]);
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, m);
}
