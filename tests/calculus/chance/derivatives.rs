//! With a fixed seed, a network of chance is a function: all its derivatives agree with differences
//! and dual numbers.

use super::{
    Any, Fault, Net, Outcome, close, dot, drawn, dropout, ensure, largest, trained, wave,
    wave_matrix,
};
use backprop::activation::{Identity, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{Dense, GaussianNoise, Residual, Sequential};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{
    Examples, Network, Objective, Scalar, SquaredError, Tangent, VjpTargets, Workspace,
};
use num_dual::Dual64;

const SEED: u64 = 21;

/// Dropout on the inputs, between dense layers, inside a residual, and at the end; and noise.
fn network(fault: Fault) -> Net {
    let dense = |n, k| Any::from(Dense::new(n, k, Tanh));
    let body = vec![dropout(0.3, fault), dense(5, 5), dropout(0.5, fault)];
    let layers = vec![
        dropout(0.2, fault),
        dense(4, 5),
        GaussianNoise::new(0.3).into(),
        Residual::new(Sequential::new(body)).into(),
        dropout(0.4, fault),
        Dense::new(5, 3, Identity).into(),
        dropout(0.25, fault),
    ];
    Net::from_layers(4, layers, &wave(25 + 30 + 18, 0.4)).unwrap()
}

/// The network, X and Y in dual numbers, moved along directions of θ and X.
struct Lifted {
    network: Net<Dual64>,
    x: DMatrix<Dual64>,
    y: DMatrix<Dual64>,
}

impl Lifted {
    fn new(case: &Case, theta: &[f64], x: Option<&DMatrix<f64>>) -> Self {
        let mut index = 0..;
        let moved = |w| Dual64::new(w, theta[index.next().unwrap()]);
        Self {
            network: case.network.map(moved).unwrap(),
            x: match x {
                Some(dot) => case.x.zip_map(dot, Dual64::new),
                None => case.x.map(Dual64::from_re),
            },
            y: case.y.map(Dual64::from_re),
        }
    }

    /// J and its gradient, by back-propagation on dual numbers.
    fn gradient(&self) -> (Dual64, Vec<Dual64>) {
        gradient(&self.network, &self.x, &self.y)
    }
}

struct Case {
    network: Net,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
}

impl Case {
    fn new(fault: Fault, m: usize) -> Self {
        Self {
            network: network(fault),
            x: wave_matrix(4, m, 0.1),
            y: wave_matrix(3, m, 0.8),
        }
    }
}

fn gradient<T: Scalar>(network: &Net<T>, x: &DMatrix<T>, y: &DMatrix<T>) -> (T, Vec<T>) {
    let mut gradient = vec![convert(f64::NAN); network.parameters()];
    let (examples, objective) = (Examples::new(x, y).unwrap(), Objective::new(SquaredError));
    let mut workspace = trained(SEED);
    let parts = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient);
    (parts.unwrap().total(), gradient)
}

/// Compares ∇J with the derivatives of J in dual numbers, and H v with the derivatives of ∇J.
pub(super) fn gradients(fault: Fault) -> Outcome {
    for m in 1..=7 {
        let case = Case::new(fault, m);
        let p = case.network.parameters();
        let (_, found) = gradient(&case.network, &case.x, &case.y);
        let along = |i: usize| {
            let unit: Vec<f64> = (0..p).map(|j| f64::from(i == j)).collect();
            Lifted::new(&case, &unit, None).gradient().0.eps
        };
        let expected: Vec<f64> = (0..p).map(along).collect();
        close("∇J", &found, &expected, (1e-12, 0.0))?;
    }
    Ok(())
}

/// Compares products with the Hessian and the Jacobian with dual numbers, and both Jacobian
/// products with each other.
pub(super) fn directions(fault: Fault) -> Outcome {
    for m in 1..=7 {
        let case = Case::new(fault, m);
        let (network, x, y) = (&case.network, &case.x, &case.y);
        let p = network.parameters();
        let (v, x_dot) = (wave(p, 0.9), wave_matrix(4, m, 1.3));
        let workspace = &mut trained(SEED);

        let mut product = vec![f64::NAN; p];
        let (examples, objective) = (Examples::new(x, y).unwrap(), Objective::new(SquaredError));
        network
            .hessian_product_into(&examples, &objective, &v, workspace, &mut product)
            .unwrap();
        let (_, dual) = Lifted::new(&case, &v, None).gradient();
        let expected: Vec<f64> = dual.iter().map(|g| g.eps).collect();
        let size = dual.iter().fold(0.0, |max: f64, g| max.max(g.re.abs()));
        close("H v", &product, &expected, (1e-12, size))?;

        let mut moved = vec![f64::NAN; 3 * m];
        let direction = Tangent::of_parameters(&v).and_inputs(&x_dot);
        network
            .jvp_into(x, direction, workspace, &mut moved)
            .unwrap();
        let lifted = Lifted::new(&case, &v, Some(&x_dot));
        let workspace_of_duals = &mut trained(SEED);
        let a = lifted
            .network
            .forward_into(&lifted.x, workspace_of_duals)
            .unwrap();
        let expected: Vec<f64> = a.iter().map(|a| a.eps).collect();
        close("the Jacobian product", &moved, &expected, (1e-12, 0.0))?;

        let u = wave_matrix(3, m, 0.2);
        let (mut of_theta, mut of_x) = (vec![f64::NAN; p], vec![f64::NAN; 4 * m]);
        let into = VjpTargets::of_parameters(&mut of_theta).and_inputs(&mut of_x);
        network.vjp_into(x, &u, workspace, into).unwrap();
        let left = dot(u.as_slice(), &moved);
        let right = dot(&of_theta, &v) + dot(&of_x, x_dot.as_slice());
        ensure(
            (left - right).abs() <= 1e-12 * largest(&of_theta).max(1.0),
            || format!("⟨u, A v⟩ = {left}, ⟨Aᵀu, v⟩ = {right}"),
        )?;
    }
    Ok(())
}

#[test]
fn gradients_agree_with_dual_numbers() {
    gradients(Fault::None).unwrap();
}

#[test]
fn directions_agree_with_dual_numbers() {
    directions(Fault::None).unwrap();
}

/// Compares the gradients by θ and X with central differences.
pub(super) fn differences(fault: Fault) -> bool {
    (1..=7).all(|m| {
        let case = Case::new(fault, m);
        let network = &case.network;
        let start = [network.theta().as_slice(), case.x.as_slice()].concat();
        let p = network.parameters();
        let blocks = [("θ", p), ("X", 4 * m)];
        let report = GradientCheck::new().function(&blocks, &start, |at| {
            let mut network = network.clone();
            network.set_theta(&at[..p]).unwrap();
            let x = DMatrix::from_column_slice(4, m, &at[p..]);
            let mut gradient = vec![f64::NAN; at.len()];
            let (of_theta, of_x) = gradient.split_at_mut(p);
            let into = VjpTargets::of_parameters(of_theta).and_inputs(of_x);
            let examples = Examples::new(&x, &case.y).unwrap();
            let objective = Objective::new(SquaredError);
            let parts = network.gradients_into(&examples, &objective, &mut trained(SEED), into);
            (parts.unwrap().total(), gradient)
        });
        report.unwrap().passed()
    })
}

#[test]
fn gradients_agree_with_differences() {
    assert!(differences(Fault::None));
}

/// The gradients of examples add up to that of the batch, also if it is cut into parts.
pub(super) fn examples(fault: Fault) -> Outcome {
    for m in [1, 2, 7, 700] {
        let case = Case::new(fault, m);
        let (network, p) = (&case.network, case.network.parameters());
        let examples = Examples::new(&case.x, &case.y).unwrap();
        let (mut each, mut norms) = (vec![f64::NAN; p * m], vec![f64::NAN; m]);
        let workspace = &mut trained(SEED);
        let gradients = network.example_gradients(&examples, &SquaredError);
        gradients.matrix_into(workspace, &mut each).unwrap();
        gradients.norms_into(workspace, &mut norms).unwrap();
        let mut mean = vec![0.0; p];
        for (gradient, norm) in each.chunks(p).zip(&norms) {
            let own = dot(gradient, gradient).sqrt();
            close("the norm", &[*norm], &[own], (1e-13, 1.0))?;
            mean.iter_mut()
                .zip(gradient)
                .for_each(|(mean, g)| *mean += g / m as f64);
        }
        let (_, expected) = gradient(network, &case.x, &case.y);
        close("the mean gradient", &mean, &expected, (1e-12, 0.0))?;
        // An example alone has the masks of its place in the batch.
        let mut alone = trained(SEED);
        let first = Examples::new(case.x.columns(0, 1), case.y.columns(0, 1)).unwrap();
        let mut gradient = vec![f64::NAN; p];
        let objective = Objective::new(SquaredError);
        network
            .gradient_into(&first, &objective, &mut alone, &mut gradient)
            .unwrap();
        close("the first gradient", &each[..p], &gradient, (1e-13, 1.0))?;
    }
    Ok(())
}

#[test]
fn gradients_of_examples_add_up() {
    examples(Fault::None).unwrap();
}

/// δ of the inputs of a dropout layer is δ of its outputs times the very mask of the forward pass.
#[test]
fn the_error_goes_back_through_the_same_mask() {
    let (n, m) = (200, 40);
    let network = Network::<f64>::builder(n).dropout(0.6).zeros().unwrap();
    let x = DMatrix::repeat(n, m, 1.0);
    let workspace: &mut Workspace<f64> = &mut trained(SEED);
    let scaled_mask = network.forward_into(&x, workspace).unwrap().clone_owned();
    assert!(
        scaled_mask
            .iter()
            .all(|&a| a == 0.0 || a == 1.0 / (1.0 - 0.6))
    );
    let u = wave_matrix(n, m, 0.3);
    let mut of_x = vec![f64::NAN; n * m];
    let into = VjpTargets::of_parameters(&mut []).and_inputs(&mut of_x);
    network.vjp_into(&x, &u, workspace, into).unwrap();
    assert_eq!(of_x, u.component_mul(&scaled_mask).as_slice());
    // A direction of X, too.
    let mut moved = vec![f64::NAN; n * m];
    let direction = Tangent::of_inputs(&u);
    network
        .jvp_into(&x, direction, workspace, &mut moved)
        .unwrap();
    assert_eq!(moved, of_x);
}

/// The second difference of J along v is vᵀ H v, also with noise.
#[test]
fn noise_is_a_constant() {
    let x = wave_matrix(6, 3, 0.2);
    let layer = GaussianNoise::new(0.5);
    let a = drawn::<f64>(&layer, (3, 2), x.as_view());
    let dual = x.map(|x| Dual64::new(x, 7.0));
    let moved = drawn::<Dual64>(&layer, (3, 2), dual.as_view());
    assert_eq!(moved.map(|a| a.re), a);
    assert!(moved.iter().all(|a| a.eps == 7.0));
}
