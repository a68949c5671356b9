//! A network worked out by hand: a = b₂ + w₂ exp(b₁ + w₁ x) at z = 0, and J = ½ (a − y)² + (w₁² +
//! w₂²) with λ = 2.

use super::{bits, close};
use backprop::activation::{Exponential, Identity};
use backprop::nalgebra::DMatrix;
use backprop::{Examples, GaussNewton, Network, Objective, SquaredError, Tangent, Workspace};

/// A = ∂a/∂(b₁, w₁, b₂, w₂) with x = 2, exp(z) = 1 and w₂ = 3.
const A: [f64; 4] = [3.0, 6.0, 1.0, 1.0];

/// A Aᵀ + d ∂²a/∂θ² with d = 3, without the penalty.
#[rustfmt::skip]
const H: [f64; 16] = [
    18.0, 36.0, 3.0, 6.0,
    36.0, 72.0, 6.0, 12.0,
    3.0, 6.0, 1.0, 1.0,
    6.0, 12.0, 1.0, 1.0,
];

fn times(factor: f64) -> [f64; 4] {
    A.map(|a| factor * a)
}

#[track_caller]
fn same(found: &[f64], expected: &[f64]) {
    close(found, expected, 0.0).unwrap();
}

#[test]
fn every_derivative_of_a_tiny_network() {
    let network = Network::<f64>::builder(1)
        .dense(1, Exponential)
        .dense(1, Identity);
    let network = network.with_theta(&[-2.0, 1.0, 1.0, 3.0]).unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 2.0), DMatrix::repeat(1, 1, 1.0));
    let (one, two) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(1, 1, 2.0));
    let examples = Examples::new(&x, &y).unwrap();
    let plain = Objective::new(SquaredError);
    let penalised = plain.clone().l2(2.0);

    let v = [1.0, -1.0, 2.0, 5.0];
    let a_v = 3.0 - 6.0 + 2.0 + 5.0;
    same(
        network
            .jvp(&x, Tangent::of_parameters(&v))
            .unwrap()
            .as_slice(),
        &[a_v],
    );
    same(
        network
            .jvp(&x, Tangent::of_inputs(&one))
            .unwrap()
            .as_slice(),
        &[3.0],
    );
    let both = Tangent::of_parameters(&v).and_inputs(&two);
    same(network.jvp(&x, both).unwrap().as_slice(), &[a_v + 6.0]);
    let (of_theta, of_x) = network.vjp(&x, &two).unwrap();
    same(of_theta.as_slice(), &times(2.0));
    same(of_x.as_slice(), &[6.0]);
    same(network.output_jacobian(&x).unwrap().as_slice(), &[3.0]);
    same(
        network.gram_product(&x, &v).unwrap().as_slice(),
        &times(a_v),
    );

    let (pass, by_x) = network.gradients(&examples, &penalised).unwrap();
    same(&[pass.cost()], &[4.5 + 1.0 + 9.0]);
    same(
        pass.gradient().vector().as_slice(),
        &[9.0, 18.0 + 2.0, 3.0, 3.0 + 6.0],
    );
    same(by_x.as_slice(), &[9.0]);

    let mut h = H;
    same(network.hessian(&examples, &plain).unwrap().as_slice(), &h);
    (h[5], h[15]) = (h[5] + 2.0, h[15] + 2.0);
    same(
        network.hessian(&examples, &penalised).unwrap().as_slice(),
        &h,
    );
    let diagonal = network.hessian_diagonal(&examples, &penalised).unwrap();
    same(diagonal.as_slice(), &[18.0, 74.0, 1.0, 3.0]);
    let product = network.hessian_product(&examples, &penalised, &v).unwrap();
    same(
        product.as_slice(),
        &[
            18.0,
            36.0 - 74.0 + 12.0 + 60.0,
            4.0,
            6.0 - 12.0 + 2.0 + 15.0,
        ],
    );
    for at in [
        GaussNewton::Logits,
        GaussNewton::Outputs,
        GaussNewton::Fisher,
    ] {
        let found = network
            .gauss_newton_product(&examples, &plain, at, &v)
            .unwrap();
        same(found.as_slice(), &times(a_v));
        let found = network
            .gauss_newton_product(&examples, &penalised, at, &v)
            .unwrap();
        let mut expected = times(a_v);
        (expected[1], expected[3]) = (expected[1] - 2.0, expected[3] + 10.0);
        same(found.as_slice(), &expected);
    }

    let gradients = network
        .example_gradients(&examples, &SquaredError)
        .matrix()
        .unwrap();
    same(gradients.as_slice(), &times(3.0));
    let norms = network
        .example_gradients(&examples, &SquaredError)
        .norms()
        .unwrap();
    same(norms.as_slice(), &[3.0 * 47.0_f64.sqrt()]);
    let weights = [5.0];
    let weighted = examples.weighted(&weights).unwrap();
    let (mut sum, mut workspace) = ([f64::NAN; 4], Workspace::new());
    for (most, shortened, factor) in [(1.0, 1, 5.0 / 47.0_f64.sqrt()), (21.0, 0, 15.0)] {
        let count = network
            .example_gradients(&weighted, &SquaredError)
            .clipped_sum(most, &mut workspace, &mut sum);
        assert_eq!(count, Ok(shortened));
        same(&sum, &times(factor));
    }
}

/// Each direction of a product has its own result: a zero vector between others gives zeros.
#[test]
fn directions_do_not_touch_each_other() {
    let network = Network::<f64>::builder(1)
        .dense(1, Exponential)
        .dense(1, Identity);
    let network = network.with_theta(&[-2.0, 1.0, 1.0, 3.0]).unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 2.0), DMatrix::repeat(1, 1, 1.0));
    let examples = Examples::new(&x, &y).unwrap();
    let (zero, unit) = ([0.0; 4], [0.0, 1.0, 0.0, 0.0]);
    let mut found = [f64::NAN; 12];
    let objective = Objective::new(SquaredError);
    let v = [unit, zero, unit].concat();
    let workspace = &mut Workspace::new();
    network
        .hessian_product_into(&examples, &objective, &v, workspace, &mut found)
        .unwrap();
    assert_eq!(bits(&found[..4]), bits(&found[8..]));
    assert_eq!(found[4..8], zero);
    same(&found[..4], &H[4..8]);
}
