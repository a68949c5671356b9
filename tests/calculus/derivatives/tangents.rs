//! Jacobians and Hessians, and their products.

use super::{Lifted, Outcome, TAME, bits, close, close_within, dot, largest, wave, wave_matrix};
use crate::support::{Case, cases, config};
use backprop::cost::{Cost, Outputs};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{Error, Examples, GaussNewton, Objective, Scalar, Tangent, Workspace};
use num_dual::{Dual2_64, Dual64, HyperDual64};
use proptest::prelude::*;

/// Σ y a, linear in the outputs: y is the cotangent.
#[derive(Debug)]
struct Linear;

impl<T: Scalar> Cost<T> for Linear {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        for (k, value) in values.iter_mut().enumerate() {
            *value = at.a.column(k).dot(&at.y.column(k));
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        delta.copy_from(&at.y);
    }

    fn delta_tangent(
        &self,
        _at: &Outputs<'_, T>,
        _tangent: DMatrixView<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        delta_tangent.fill(T::zero());
        Ok(())
    }
}

/// ȧ of a forward pass on dual numbers.
fn dual_outputs(case: &Case, theta: impl Fn(usize) -> f64, x: impl Fn(usize) -> f64) -> Vec<f64> {
    let lifted = Lifted::new(
        case,
        |w, i| Dual64::new(w, theta(i)),
        |e, i| Dual64::new(e, x(i)),
    );
    let outputs = lifted.network.forward(&lifted.x).unwrap();
    outputs.iter().map(|a| a.eps).collect()
}

/// H v by back-propagation on dual numbers.
fn dual_product(case: &Case, v: &[f64]) -> Vec<f64> {
    let lifted = Lifted::new(case, |w, i| Dual64::new(w, v[i]), |e, _| Dual64::from_re(e));
    let examples = lifted.examples(case);
    let gradient = lifted.network.gradient_vector(&examples, &case.objective);
    gradient.unwrap().iter().map(|g| g.eps).collect()
}

/// The size of the terms of H v and similar products for v of size 1: the gradients of the costs
/// and J.
fn size(case: &Case) -> f64 {
    let pass = case
        .network
        .backprop(&case.examples(), &case.objective)
        .unwrap();
    pass.cost().abs().max(pass.gradient().vector().amax())
}

fn product(case: &Case, v: &[f64]) -> Vec<f64> {
    let product = case
        .network
        .hessian_product(&case.examples(), &case.objective, v);
    product.unwrap().as_slice().to_vec()
}

fn adjoint(case: &Case) -> Outcome {
    let (network, x) = (&case.network, &case.x);
    let (p, m) = (network.parameters(), x.ncols());
    let (theta, x_dot) = (wave(p, 0.3), wave_matrix(x.nrows(), m, 0.8));
    let u = wave_matrix(network.outputs(), m, 1.1);
    let direction = Tangent::of_parameters(&theta).and_inputs(&x_dot);
    let forward = network.jvp(x, direction).unwrap();
    let (of_theta, of_x) = network.vjp(x, &u).unwrap();
    let left = dot(u.as_slice(), forward.as_slice());
    let right = dot(of_theta.as_slice(), &theta) + dot(of_x.as_slice(), x_dot.as_slice());
    let size = largest(of_theta.as_slice()).max(largest(of_x.as_slice()));
    close(&[left], &[right], size * (p + x.len()) as f64)
}

proptest! {
    #![proptest_config(config())]

    /// Along θ, along X, and along both.
    #[test]
    fn jacobian_products_agree_with_dual_numbers(case in cases(TAME)) {
        let (network, x) = (&case.network, &case.x);
        let theta = wave(network.parameters(), 0.3);
        let x_dot = wave_matrix(x.nrows(), x.ncols(), 0.8);
        let of_theta = |i: usize| theta[i];
        let of_x = |i: usize| x_dot[i];
        let still = |_: usize| 0.0;
        let directions = [
            (Tangent::of_parameters(&theta), dual_outputs(&case, of_theta, still)),
            (Tangent::of_inputs(&x_dot), dual_outputs(&case, still, of_x)),
            (
                Tangent::of_parameters(&theta).and_inputs(&x_dot),
                dual_outputs(&case, of_theta, of_x),
            ),
        ];
        let size = network.forward(x).unwrap().amax();
        for (direction, expected) in directions {
            let found = network.jvp(x, direction).unwrap();
            prop_assert_eq!(found.shape(), (network.outputs(), x.ncols()));
            close(found.as_slice(), &expected, size)?;
        }
    }

    /// ⟨u, A v⟩ = ⟨Aᵀu, v⟩, and Aᵀu is the gradient of a cost that is linear in the outputs.
    #[test]
    fn both_jacobian_products_are_adjoint(case in cases(TAME)) {
        adjoint(&case)?;
        let (network, x) = (&case.network, &case.x);
        let m = x.ncols() as f64;
        let u = wave_matrix(network.outputs(), x.ncols(), 1.1);
        let (of_theta, of_x) = network.vjp(x, &u).unwrap();
        let examples = Examples::new(x, &u).unwrap();
        let (pass, by_x) = network.gradients(&examples, &Objective::new(Linear)).unwrap();
        close(of_theta.as_slice(), (pass.gradient().vector() * m).as_slice(), 1e-3)?;
        close(of_x.as_slice(), (by_x * m).as_slice(), 1e-3)?;
        let curvature = network.gauss_newton_product(
            &examples, &Objective::new(Linear), GaussNewton::Outputs, of_theta.as_slice(),
        );
        prop_assert_eq!(curvature.unwrap().amax(), 0.0);
    }

    #[test]
    fn output_jacobians_agree_with_dual_numbers(case in cases(TAME)) {
        let (network, x) = (&case.network, &case.x);
        let (n, k) = (network.inputs(), network.outputs());
        let found = network.output_jacobian(x).unwrap();
        prop_assert_eq!(found.shape(), (k, x.len()));
        let mut expected = DMatrix::zeros(k, x.len());
        for j in 0..n {
            let moved = dual_outputs(&case, |_| 0.0, |i| f64::from(i % n == j));
            for (example, column) in moved.chunks_exact(k).enumerate() {
                expected.column_mut(example * n + j).copy_from_slice(column);
            }
        }
        close(found.as_slice(), expected.as_slice(), network.forward(x).unwrap().amax())?;
    }

    /// H v is the derivative of ∇J. Several v at once give the bits of one at a time, and buffers
    /// are overwritten.
    #[test]
    fn hessian_products_agree_with_dual_numbers(case in cases(TAME)) {
        let p = case.network.parameters();
        let vs: Vec<Vec<f64>> = (0..3).map(|i| wave(p, 0.4 * f64::from(i))).collect();
        let mut each = Vec::new();
        for v in &vs {
            let found = product(&case, v);
            close(&found, &dual_product(&case, v), size(&case))?;
            each.extend(found);
        }
        let mut together = vec![f64::NAN; 3 * p];
        case.network
            .hessian_product_into(
                &case.examples(),
                &case.objective,
                &vs.concat(),
                &mut Workspace::new(),
                &mut together,
            )
            .unwrap();
        prop_assert_eq!(bits(&together), bits(&each));
    }

    /// vᵀHv and uᵀHv are second derivatives of J, computed by forward passes only.
    #[test]
    fn hessian_products_agree_with_second_derivatives(case in cases(TAME)) {
        let p = case.network.parameters();
        let (u, v) = (wave(p, 0.1), wave(p, 0.7));
        let found = product(&case, &v);
        let bound = size(&case).max(largest(&found)) * p as f64;

        let along = |w, i: usize| Dual2_64::new(w, v[i], 0.0);
        let lifted = Lifted::new(&case, along, |e, _| Dual2_64::from_re(e));
        let j = lifted.network.cost(&lifted.examples(&case), &case.objective).unwrap();
        close(&[dot(&found, &v)], &[j.v2], bound)?;

        let along = |w, i: usize| HyperDual64::new(w, u[i], v[i], 0.0);
        let lifted = Lifted::new(&case, along, |e, _| HyperDual64::from_re(e));
        let j = lifted.network.cost(&lifted.examples(&case), &case.objective).unwrap();
        close(&[dot(&found, &u)], &[j.eps1eps2], bound)?;
    }

    /// The matrix is symmetric to the bit, and each of its columns a product.
    #[test]
    fn the_hessian_is_made_of_its_products(case in cases(TAME)) {
        let (network, examples) = (&case.network, case.examples());
        let p = network.parameters();
        let hessian = network.hessian(&examples, &case.objective).unwrap();
        prop_assert_eq!(&hessian, &hessian.transpose());
        let diagonal = network.hessian_diagonal(&examples, &case.objective).unwrap();
        prop_assert_eq!(&diagonal, &hessian.diagonal());
        let size = size(&case).max(hessian.amax());
        for j in [0, p / 2, p - 1] {
            let mut unit = vec![0.0; p];
            unit[j] = 1.0;
            close(hessian.column(j).as_slice(), &dual_product(&case, &unit), size)?;
        }
        let v = wave(p, 0.5);
        let sum = &hessian * backprop::nalgebra::DVector::from_column_slice(&v);
        close(sum.as_slice(), &product(&case, &v), size)?;
    }

    /// Both gradients of one pass equal those of two separate passes.
    #[test]
    fn gradients_of_one_pass_are_those_of_two(case in cases(TAME)) {
        let (network, examples) = (&case.network, case.examples());
        let (pass, by_x) = network.gradients(&examples, &case.objective).unwrap();
        prop_assert_eq!(&pass, &network.backprop(&examples, &case.objective).unwrap());
        prop_assert_eq!(by_x, network.input_gradient(&examples, &case.objective).unwrap());
    }

    /// The bound for `f64`, in roundings of `f32`: 1e-12 is 4504 of them.
    #[test]
    fn single_precision_agrees_to_its_rounding(case in cases(TAME)) {
        let single = Lifted::new(&case, |w, _| w as f32, |e, _| e as f32);
        let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
        // The same numbers in both.
        let double = Case {
            network: single.network.map(f64::from).unwrap(),
            x: single.x.map(f64::from),
            y: single.y.map(f64::from),
            ..case
        };
        let bound = 1e-12 / f64::EPSILON * f64::from(f32::EPSILON);
        let v = wave(double.network.parameters(), 0.2);
        let v: Vec<f32> = v.iter().map(|&v| v as f32).collect();
        let (examples, objective) = (single.examples(&double), &double.objective);
        let found = single.network.hessian_product(&examples, objective, &v).unwrap();
        let expected = product(&double, &wide(&v));
        let size = size(&double).max(largest(&expected));
        close_within(&wide(found.as_slice()), &expected, bound * size)?;

        let found = single.network.jvp(&single.x, Tangent::of_parameters(&v)).unwrap();
        let v = wide(&v);
        let expected = double.network.jvp(&double.x, Tangent::of_parameters(&v)).unwrap();
        let size = double.network.forward(&double.x).unwrap().amax().max(expected.amax());
        close_within(&wide(found.as_slice()), expected.as_slice(), bound * size)?;
    }
}
