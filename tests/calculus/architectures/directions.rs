//! Jacobian products, Hessian products and Gauss–Newton products.

use super::random::{Case, cases};
use super::{
    Lifted, Outcome, bits, close, config, cost_of_example, dot, largest, reference, wave,
    wave_matrix,
};
use backprop::nalgebra::{DMatrix, DVector, convert};
use backprop::{Error, GaussNewton, Tangent, Workspace};
use num_dual::{Dual64, HyperDual64};
use proptest::prelude::*;

/// The size of the terms of a second derivative along directions of size 1.
fn size(case: &Case, found: &[f64]) -> f64 {
    let pass = case
        .network
        .backprop(&case.examples(), &case.objective)
        .unwrap();
    let gradient = pass.gradient().vector().amax();
    pass.cost().abs().max(gradient).max(largest(found)).max(1.0)
}

/// The Jacobian of one example's outputs, K × P, row by row.
fn jacobian(network: &super::Net<f64>, x: &DMatrix<f64>, example: usize) -> DMatrix<f64> {
    let k = network.outputs();
    let mut rows = DMatrix::zeros(k, network.parameters());
    for i in 0..k {
        let unit = DVector::from_fn(k, |j, _| f64::from(i == j));
        let (row, _) = network.vjp(x.column(example), &unit).unwrap();
        rows.row_mut(i).copy_from(&row.transpose());
    }
    rows
}

/// Second derivatives of the cost of one example, from its values on hyper-dual numbers: with
/// respect to z of a canonical pair, or to a.
fn curvature(case: &Case, example: usize, canonical: bool) -> DMatrix<f64> {
    let k = case.network.outputs();
    let a = case.network.forward(case.x.column(example)).unwrap();
    let z = case.logits.as_ref().filter(|_| canonical);
    let z = z.map(|network| network.forward(case.x.column(example)).unwrap());
    DMatrix::from_fn(k, k, |i, j| {
        let lift = |of: &DMatrix<f64>| {
            DMatrix::from_fn(k, 1, |u, _| {
                HyperDual64::new(of[u], f64::from(u == i), f64::from(u == j), 0.0)
            })
        };
        let (a, z) = (lift(&a), z.as_ref().map(lift));
        cost_of_example(case, example, z.as_ref(), &a).eps1eps2
    })
}

/// (1/m) (Σ w JᵀMJ v + λ I′ v), and the size of its terms.
fn explicit(case: &Case, v: &[f64], logits: bool) -> (Vec<f64>, f64) {
    let network = case.logits.as_ref().filter(|_| logits);
    let network = network.unwrap_or(&case.network);
    let v = DVector::from_column_slice(v);
    let (mut sum, mut size) = (DVector::zeros(v.len()), 0.0_f64);
    let m = case.examples().total_weight();
    for example in 0..case.x.ncols() {
        let j = jacobian(network, &case.x, example);
        let (matrix, w) = (curvature(case, example, logits), case.weight(example) / m);
        size = size.max(w * j.amax() * j.amax() * matrix.amax());
        sum += j.transpose() * (matrix * (j * &v)) * w;
    }
    for place in case.network.layout().blocks() {
        let index = case.network.layout().blocks().iter();
        let index = index.take_while(|other| other.range() != place.range());
        let index = index.filter(|other| other.layer() == place.layer()).count();
        let strength = case.objective.penalty.strength(place.layer(), index);
        for i in place.penalised() {
            sum[i] += strength.l2 * v[i] / m;
            size = size.max(strength.l2 / m);
        }
    }
    (sum.as_slice().to_vec(), size)
}

fn product(case: &Case, at: GaussNewton, v: &[f64]) -> Result<Vec<f64>, Error> {
    let (examples, objective) = (case.examples(), &case.objective);
    let product = case
        .network
        .gauss_newton_product(&examples, objective, at, v)?;
    Ok(product.as_slice().to_vec())
}

fn semidefinite(found: &[f64], v: &[f64]) -> Outcome {
    let rounding = 1e-13 * largest(found) * v.len() as f64;
    prop_assert!(dot(found, v) >= -rounding, "{:e}", dot(found, v));
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// Along θ, along X, and along both, by the same layers and by the reference.
    #[test]
    fn forward_products_agree_with_dual_numbers(case in cases()) {
        let (network, x) = (&case.network, &case.x);
        let theta = wave(network.parameters(), 0.3);
        let x_dot = wave_matrix(x.nrows(), x.ncols(), 0.8);
        let directions = [
            (Tangent::of_parameters(&theta), (1.0, 0.0)),
            (Tangent::of_inputs(&x_dot), (0.0, 1.0)),
            (Tangent::of_parameters(&theta).and_inputs(&x_dot), (1.0, 1.0)),
        ];
        for (direction, (by_theta, by_x)) in directions {
            let found = network.jvp(x, direction).unwrap();
            let lifted = Lifted::new(&case, |i| by_theta * theta[i], |i| by_x * x_dot[i]);
            let moved: Vec<Dual64> = lifted.network.theta().iter().copied().collect();
            let outputs = [
                lifted.network.forward(&lifted.x).unwrap(),
                reference::outputs(&case, &moved, &lifted.x),
            ];
            for outputs in outputs {
                let expected: Vec<f64> = outputs.iter().map(|a| a.eps).collect();
                let size = outputs.iter().fold(1.0_f64, |size, a| size.max(a.re.abs()));
                close(found.as_slice(), &expected, 1e-12 * size.max(largest(&expected)))?;
            }
        }
    }

    /// ⟨u, A v⟩ = ⟨Aᵀu, v⟩, for θ and X together and apart.
    #[test]
    fn both_jacobian_products_are_adjoint(case in cases()) {
        let (network, x) = (&case.network, &case.x);
        let theta = wave(network.parameters(), 0.3);
        let x_dot = wave_matrix(x.nrows(), x.ncols(), 0.8);
        let u = wave_matrix(network.outputs(), x.ncols(), 1.1);
        let (of_theta, of_x) = network.vjp(x, &u).unwrap();
        let right = dot(of_theta.as_slice(), &theta);
        let right_by_x = dot(of_x.as_slice(), x_dot.as_slice());
        let directions = [
            (Tangent::of_parameters(&theta), right),
            (Tangent::of_inputs(&x_dot), right_by_x),
            (Tangent::of_parameters(&theta).and_inputs(&x_dot), right + right_by_x),
        ];
        let size = of_theta.amax().max(of_x.amax()).max(1.0);
        for (direction, expected) in directions {
            let moved = network.jvp(x, direction).unwrap();
            let found = dot(u.as_slice(), moved.as_slice());
            close(&[found], &[expected], 1e-13 * size * (theta.len() + x.len()) as f64)?;
        }
    }

    /// H v is the derivative of ∇J, by back-propagation in dual numbers.
    #[test]
    fn hessian_products_agree_with_dual_numbers(case in cases()) {
        let (network, p) = (&case.network, case.network.parameters());
        let mut each = Vec::new();
        for phase in [0.0, 0.9] {
            let v = wave(p, phase);
            let lifted = Lifted::new(&case, |i| v[i], |_| 0.0);
            let gradient = lifted.network.gradient_vector(&lifted.examples(&case), &case.objective);
            let expected: Vec<f64> = gradient.unwrap().iter().map(|g| g.eps).collect();
            let found = network.hessian_product(&case.examples(), &case.objective, &v).unwrap();
            close(found.as_slice(), &expected, 1e-11 * size(&case, &expected))?;
            each.extend(found.iter());
        }
        // Both at once share a forward pass.
        let (v, mut together) = ([wave(p, 0.0), wave(p, 0.9)].concat(), vec![f64::NAN; 2 * p]);
        let workspace = &mut Workspace::new();
        network
            .hessian_product_into(&case.examples(), &case.objective, &v, workspace, &mut together)
            .unwrap();
        prop_assert_eq!(bits(&together), bits(&each));
    }

    /// uᵀHv is a second derivative of J, by a forward pass that shares no code with the layers.
    #[test]
    fn hessian_products_agree_with_a_reference_in_hyper_dual_numbers(case in cases()) {
        let p = case.network.parameters();
        let (u, v) = (wave(p, 0.1), wave(p, 0.7));
        let found = case.network.hessian_product(&case.examples(), &case.objective, &v).unwrap();
        let theta = case.network.theta().iter().enumerate();
        let theta = theta.map(|(i, &w)| HyperDual64::new(w, u[i], v[i], 0.0));
        let j = reference::cost(&case, &theta.collect::<Vec<_>>(), &case.x.map(convert));
        let bound = 1e-12 * size(&case, found.as_slice()) * p as f64;
        close(&[dot(found.as_slice(), &u)], &[j.eps1eps2], bound)?;
    }

    #[test]
    fn gauss_newton_products_agree_with_explicit_jacobians(case in cases()) {
        let v = wave(case.network.parameters(), 0.6);
        let found = product(&case, GaussNewton::Outputs, &v).unwrap();
        let (expected, size) = explicit(&case, &v, false);
        close(&found, &expected, 1e-11 * size.max(largest(&expected)))?;
        semidefinite(&found, &v)?;

        let found = product(&case, GaussNewton::Logits, &v);
        if case.logits.is_none() {
            // Without z it is refused. Several heads have z, each its own.
            match found {
                Err(Error::Unsupported { .. }) => {}
                Ok(found) => prop_assert!(found.iter().all(|entry| entry.is_finite())),
                other => prop_assert!(false, "{other:?}"),
            }
        } else if case.canonical {
            let found = found.unwrap();
            let (expected, size) = explicit(&case, &v, true);
            close(&found, &expected, 1e-11 * size.max(largest(&expected)))?;
            semidefinite(&found, &v)?;
        }
    }

    /// The Fisher information of a canonical pair is its Gauss–Newton matrix at the logits.
    #[test]
    fn fisher_products_are_those_at_the_logits(case in cases()) {
        if !case.canonical {
            return Ok(());
        }
        let v = wave(case.network.parameters(), 0.2);
        let found = product(&case, GaussNewton::Fisher, &v).unwrap();
        let expected = product(&case, GaussNewton::Logits, &v).unwrap();
        semidefinite(&found, &v)?;
        let (_, size) = explicit(&case, &v, true);
        close(&found, &expected, 1e-11 * size.max(largest(&expected)))?;
    }

    /// Each row of ∂a/∂x is a product with Aᵀ.
    #[test]
    fn output_jacobians_are_made_of_products(case in cases()) {
        let (network, x) = (&case.network, &case.x);
        let found = network.output_jacobian(x).unwrap();
        prop_assert_eq!(found.shape(), (network.outputs(), x.len()));
        for i in 0..network.outputs() {
            let unit = DMatrix::from_fn(network.outputs(), x.ncols(), |j, _| f64::from(i == j));
            let (_, row) = network.vjp(x, &unit).unwrap();
            let found: Vec<f64> = found.row(i).iter().copied().collect();
            close(&found, row.as_slice(), 1e-12 * largest(row.as_slice()).max(1.0))?;
        }
    }
}
