//! Compares the Gauss–Newton matrix, and the Hessian in argmin's form, with the products.

use super::*;
use crate::support::{Case, cases, config};
use argmin::core::{Executor, Hessian, State};
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use backprop::activation::{Activation, Identity, Tanh};
use backprop::nalgebra::{DMatrixView, DMatrixViewMut, DVector};
use backprop::{
    ArgminProblem, BinaryCrossEntropy, Curvature, Dense, Error, GaussNewton, LogCosh, Objective,
    SquaredError, Workspace,
};

const EVERY: [GaussNewton; 3] = [
    GaussNewton::Logits,
    GaussNewton::Outputs,
    GaussNewton::Fisher,
];

fn matrix_is_that_of_the_products(case: &Case) -> Outcome {
    let (network, objective, examples) = (&case.network, &case.objective, case.examples());
    let p = network.parameters();
    for at in EVERY {
        let product = |v: &[f64]| network.gauss_newton_product(&examples, objective, at, v);
        let mut entries = vec![f64::NAN; p * p];
        let mut workspace = Workspace::new();
        let to = &mut entries[..];
        match network.gauss_newton_matrix_into(&examples, objective, at, &mut workspace, to) {
            Ok(()) => {
                let matrix = DMatrix::from_vec(p, p, entries);
                let v = wave(p, 0.3);
                let expected = product(&v).unwrap();
                let found = &matrix * DVector::from_column_slice(&v);
                let size = matrix.amax() * largest(&v) * p as f64;
                close_within(found.as_slice(), expected.as_slice(), 1e-13 * size)?;
                close_within(
                    matrix.as_slice(),
                    matrix.transpose().as_slice(),
                    1e-13 * matrix.amax(),
                )?;
            }
            // A matrix is refused exactly where its product is, except for the indefinite M of
            // pairs that are not canonical.
            Err(Error::Unsupported { what, .. }) if what.starts_with("a curvature") => {
                prop_assert_eq!(at, GaussNewton::Logits);
                prop_assert!(product(&wave(p, 0.3)).is_ok());
            }
            Err(error) => prop_assert_eq!(product(&wave(p, 0.3)), Err(error)),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_gauss_newton_matrix_is_that_of_the_products(case in cases(TAME)) {
        matrix_is_that_of_the_products(&case)?;
    }
}

/// More examples than are computed at a time, with two outputs whose M is not diagonal.
#[test]
fn a_matrix_of_many_examples() {
    let network = Network::<f64>::builder(2)
        .dense(3, Tanh)
        .dense(2, backprop::activation::Softmax);
    let network = network.with_theta(&wave(17, 0.1)).unwrap();
    let x = wave_matrix(2, 700, 0.2);
    let y = DMatrix::from_fn(2, 700, |i, k| f64::from(u8::from((k + i) % 2 == 0)));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(backprop::CategoricalCrossEntropy).l2(0.5);
    let at = GaussNewton::Logits;
    let matrix = network.gauss_newton_matrix(&examples, &objective, at);
    let matrix = matrix.unwrap();
    for i in [0, 5, 16] {
        let unit: Vec<f64> = (0..17).map(|j| f64::from(u8::from(i == j))).collect();
        let product = network.gauss_newton_product(&examples, &objective, at, &unit);
        let difference = (matrix.column(i) - product.unwrap()).amax();
        assert!(difference < 1e-13 * matrix.amax(), "{difference}");
    }
    let mut few = [0.0; 3];
    let refused = network.gauss_newton_matrix_into(
        &examples,
        &objective,
        at,
        &mut Workspace::new(),
        &mut few,
    );
    let expected = Error::Length {
        what: "the Gauss–Newton matrix",
        expected: 289,
        found: 3,
    };
    assert_eq!(refused, Err(expected));
}

/// Products are computed at the given point, not at the network's θ, and are counted.
#[test]
fn argmin_multiplies_by_the_hessian_of_a_point() {
    let network = Network::<f64>::builder(2).dense(3, Tanh).dense(1, Identity);
    let network = network.with_theta(&wave(13, 0.1)).unwrap();
    let (x, y) = (wave_matrix(2, 9, 0.2), wave_matrix(1, 9, 0.4));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(LogCosh).l2(0.3);
    let (there, v) = (wave(13, 0.7), wave(13, 0.9));
    let mut moved = network.clone();
    moved.set_theta(&there).unwrap();
    let problem = ArgminProblem::new(&network, &examples, &objective).unwrap();
    let hessian = problem.hessian(&there).unwrap();
    let product = hessian.product(&v).unwrap();
    let expected = moved.hessian_product(&examples, &objective, &v).unwrap();
    assert_eq!(product, expected.as_slice());
    assert_eq!(problem.products(), 1);

    let at = GaussNewton::Outputs;
    let problem = problem.curvature(Curvature::GaussNewton(at));
    let product = problem.hessian(&there).unwrap().product(&v).unwrap();
    let expected = moved.gauss_newton_product(&examples, &objective, at, &v);
    assert_eq!(product, expected.unwrap().as_slice());
}

/// tanh without tangents.
#[derive(Clone, Debug)]
struct Plain;

impl Activation<f64> for Plain {
    fn forward(&self, z: DMatrixView<'_, f64>, a: DMatrixViewMut<'_, f64>) {
        Tanh.forward(z, a);
    }

    fn backward(
        &self,
        z: DMatrixView<'_, f64>,
        a: DMatrixView<'_, f64>,
        delta: DMatrixViewMut<'_, f64>,
    ) {
        Tanh.backward(z, a, delta);
    }
}

/// A product that fails ends the search with its error.
#[test]
fn an_unsupported_product_ends_the_search_of_argmin() {
    let layers = vec![Dense::new(1, 2, Plain), Dense::new(2, 1, Plain)];
    let network = Network::from_layers(1, layers, &wave(7, 0.1)).unwrap();
    let (x, y) = (wave_matrix(1, 5, 0.2), wave_matrix(1, 5, 0.4));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let problem = ArgminProblem::new(&network, &examples, &objective).unwrap();
    let start = network.theta().as_slice().to_vec();
    let product = problem.hessian(&start).unwrap().product(&start);
    assert!(
        matches!(product, Err(Error::Unsupported { .. })),
        "{product:?}"
    );
    let solver = TrustRegion::new(Steihaug::new().with_max_iters(5));
    let search = Executor::new(problem, solver).configure(|s| s.param(start).max_iters(9));
    let error = search.run().err().unwrap();
    assert!(error.to_string().contains("forward_tangent"), "{error}");
}

/// argmin's truncated Newton finds a known minimum, up to rounding.
#[test]
fn truncated_newton_finds_a_minimum() {
    let network = Network::<f64>::builder(2).dense(1, backprop::activation::Sigmoid);
    let network = network.with_theta(&[0.0; 3]).unwrap();
    let (x, y) = (
        wave_matrix(2, 30, 0.2),
        wave_matrix::<f64>(1, 30, 0.4).map(|y| f64::from(y > 0.0)),
    );
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(BinaryCrossEntropy).l2(1.0);
    let problem = ArgminProblem::new(&network, &examples, &objective).unwrap();
    let solver = TrustRegion::new(Steihaug::new().with_max_iters(10));
    let search = Executor::new(problem, solver).configure(|s| s.param(vec![0.0; 3]).max_iters(30));
    let found = search
        .run()
        .unwrap()
        .state
        .get_best_param()
        .unwrap()
        .clone();
    let mut best = network.clone();
    best.set_theta(&found).unwrap();
    let gradient = best.gradient_vector(&examples, &objective).unwrap();
    assert!(gradient.amax() < 1e-9, "{gradient}");
}
