//! Directions, cotangents, vectors and buffers that do not fit, and derivatives of finite numbers
//! that overflow.

use super::*;
use backprop::activation::Identity;
use backprop::nalgebra::DVector;
use backprop::{GaussNewton, Huber, Location, SquaredError, Tangent, VjpTargets};

/// Asserts that the call is refused and leaves the caller's numbers unchanged.
#[track_caller]
fn kept<R: Debug>(
    what: &str,
    len: usize,
    expected: &Error,
    call: impl FnOnce(&mut [f64]) -> Result<R, Error>,
) {
    let mut buffer = vec![7.0; len];
    refused(what, call(&mut buffer), expected);
    assert!(buffer.iter().all(|&b| b == 7.0), "{what}: overwritten");
}

/// θ̇, Ẋ, u and v with wrong sizes and with non-finite entries.
#[test]
pub(super) fn directions() {
    let problem = Problem::new();
    let (network, x, examples) = (&problem.network, &problem.x, problem.examples());
    let objective = &problem.objective;
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let w = &mut workspace;
    let good = vec![0.5; 26];

    for wrong in [25, 27, 0, 52] {
        let theta = vec![0.5; wrong];
        let expected = length("θ̇", 26, wrong);
        let direction = Tangent::of_parameters(&theta);
        refused("jvp", network.jvp(x, direction), &expected);
        kept("jvp", 10, &expected, |to| {
            network.jvp_into(x, direction, w, to)
        });
    }
    for (rows, cols) in broken_shapes(3, 5) {
        let tangent = DMatrix::repeat(rows, cols, 0.5);
        let expected = shape("Ẋ", (3, 5), (rows, cols));
        for direction in [
            Tangent::of_inputs(&tangent),
            Tangent::of_parameters(&good).and_inputs(&tangent),
        ] {
            kept("jvp", 10, &expected, |to| {
                network.jvp_into(x, direction, w, to)
            });
        }
    }
    for (rows, cols) in broken_shapes(2, 5) {
        let cotangent = DMatrix::repeat(rows, cols, 0.5);
        let expected = shape("the cotangent", (2, 5), (rows, cols));
        refused("vjp", network.vjp(x, &cotangent), &expected);
        kept("vjp", 26, &expected, |to| {
            network.vjp_into(x, &cotangent, w, VjpTargets::of_parameters(to))
        });
        kept("vjp", 15, &expected, |to| {
            network.vjp_into(x, &cotangent, w, VjpTargets::of_inputs(to))
        });
    }
    // Any number of complete vectors is accepted, with the same number of results.
    for (len, expected) in [(0, 26), (25, 26), (27, 26), (51, 26), (53, 52), (77, 52)] {
        let v = vec![0.5; len];
        let expected = length("v", expected, len);
        no_product(&problem, &v, len, w, &expected);
    }
    for (len, product) in [(26, 25), (26, 27), (26, 0), (26, 52), (52, 26), (52, 51)] {
        let v = vec![0.5; len];
        let expected = length("the product", len, product);
        no_product(&problem, &v, product, w, &expected);
    }

    for at in 0..26 {
        for bad in BAD {
            let mut v = good.clone();
            (v[25], v[at]) = (f64::NEG_INFINITY, bad);
            let direction = Tangent::of_parameters(&v);
            let expected = input("θ̇", (at, 0), bad);
            kept("jvp", 10, &expected, |to| {
                network.jvp_into(x, direction, w, to)
            });
            no_product(&problem, &v, 26, w, &input("v", (at, 0), bad));
            let two = [good.clone(), v].concat();
            no_product(&problem, &two, 52, w, &input("v", (26 + at, 0), bad));
        }
    }
    for (tangent, at, bad) in broken_entries(x) {
        let expected = input("Ẋ", at, bad);
        let direction = Tangent::of_inputs(&tangent);
        kept("jvp", 10, &expected, |to| {
            network.jvp_into(x, direction, w, to)
        });
    }
    for (cotangent, at, bad) in broken_entries(&problem.y) {
        let expected = input("the cotangent", at, bad);
        kept("vjp", 26, &expected, |to| {
            network.vjp_into(x, &cotangent, w, VjpTargets::of_parameters(to))
        });
    }
    assert!(network.hessian_product(&examples, objective, &good).is_ok());
    assert_eq!(problem.bits(&mut workspace), before);
}

/// Asserts that every product with v is refused and leaves a result of this length unchanged.
#[track_caller]
fn no_product(
    problem: &Problem,
    v: &[f64],
    len: usize,
    workspace: &mut Workspace<f64>,
    expected: &Error,
) {
    let (network, x, examples) = (&problem.network, &problem.x, problem.examples());
    let objective = &problem.objective;
    kept("H v", len, expected, |to| {
        network.hessian_product_into(&examples, objective, v, workspace, to)
    });
    for at in [
        GaussNewton::Logits,
        GaussNewton::Outputs,
        GaussNewton::Fisher,
    ] {
        kept("G v", len, expected, |to| {
            network.gauss_newton_product_into(&examples, objective, (at, v), workspace, to)
        });
    }
    kept("AᵀA v", len, expected, |to| {
        network.gram_product_into(x, v, workspace, to)
    });
}

/// X with wrong sizes, without columns, and with non-finite entries.
#[test]
pub(super) fn inputs() {
    let problem = Problem::new();
    let network = &problem.network;
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let v = vec![0.5; 26];
    let mut no_pass = |x: &DMatrix<f64>, expected: &Error| {
        let m = x.ncols();
        let (direction, u) = (Tangent::of_parameters(&v), DMatrix::repeat(2, m, 0.5));
        let w = &mut workspace;
        refused("jvp", network.jvp(x, direction), expected);
        refused("vjp", network.vjp(x, &u), expected);
        refused("AᵀA v", network.gram_product(x, &v), expected);
        refused("∂a/∂x", network.output_jacobian(x), expected);
        kept("jvp", 2 * m, expected, |to| {
            network.jvp_into(x, direction, w, to)
        });
        kept("vjp", 26, expected, |to| {
            network.vjp_into(x, &u, w, VjpTargets::of_parameters(to))
        });
        kept("AᵀA v", 26, expected, |to| {
            network.gram_product_into(x, &v, w, to)
        });
        kept("∂a/∂x", 6 * m, expected, |to| {
            network.output_jacobian_into(x, w, to)
        });
    };
    for rows in [2, 4, 0, 1, 6] {
        let x = DMatrix::repeat(rows, 5, 0.5);
        no_pass(&x, &shape("X", (3, 5), (rows, 5)));
    }
    no_pass(&DMatrix::zeros(3, 0), &Error::NoExamples);
    for (x, at, bad) in broken_entries(&problem.x) {
        no_pass(&x, &input("X", at, bad));
    }
    assert_eq!(problem.bits(&mut workspace), before);
}

/// One less, one more, zero, and the lengths of other results.
#[test]
pub(super) fn buffers() {
    let problem = Problem::new();
    let (network, x, examples) = (&problem.network, &problem.x, problem.examples());
    let (objective, cost) = (&problem.objective, &problem.objective.cost);
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);
    let w = &mut workspace;
    let (v, u) = (vec![0.5; 26], &problem.y);
    for wrong in [
        0, 4, 5, 6, 9, 10, 11, 14, 15, 16, 25, 26, 27, 29, 30, 31, 129, 130, 131,
    ] {
        let mut other = |what: &'static str, right: usize, call: &mut Call| {
            if wrong != right {
                kept(what, wrong, &length(what, right, wrong), |to| call(w, to));
            }
        };
        other("the tangent", 10, &mut |w, to| {
            network.jvp_into(x, Tangent::of_parameters(&v), w, to)
        });
        let of = "the buffer for the gradient with respect to θ";
        other(of, 26, &mut |w, to| {
            network.vjp_into(x, u, w, VjpTargets::of_parameters(to))
        });
        let of = "the buffer for the gradient with respect to X";
        other(of, 15, &mut |w, to| {
            network.vjp_into(x, u, w, VjpTargets::of_inputs(to))
        });
        other("the output Jacobians", 30, &mut |w, to| {
            network.output_jacobian_into(x, w, to)
        });
        other("the gradient", 26, &mut |w, to| {
            let wanted = VjpTargets::of_parameters(to);
            network
                .gradients_into(&examples, objective, w, wanted)
                .map(drop)
        });
        other("the gradient with respect to X", 15, &mut |w, to| {
            let wanted = VjpTargets::of_inputs(to);
            network
                .gradients_into(&examples, objective, w, wanted)
                .map(drop)
        });
        other("the gradients of the examples", 130, &mut |w, to| {
            network
                .example_gradients(&examples, cost)
                .matrix_into(w, to)
        });
        other("the norms", 5, &mut |w, to| {
            network.example_gradients(&examples, cost).norms_into(w, to)
        });
        other("the sum", 26, &mut |w, to| {
            network
                .example_gradients(&examples, cost)
                .clipped_sum(1.0, w, to)
                .map(drop)
        });
    }
    assert_eq!(problem.bits(&mut workspace), before);
}

type Call<'a> = dyn FnMut(&mut Workspace<f64>, &mut [f64]) -> Result<(), Error> + 'a;

#[test]
pub(super) fn limits_of_norms() {
    let problem = Problem::new();
    let (network, examples) = (&problem.network, problem.examples());
    let cost = &problem.objective.cost;
    let mut workspace = Workspace::new();
    let name = "the largest norm of an example's gradient";
    let positive = "a number in (0, ∞) whose square neither overflows nor underflows";
    for most in BAD.into_iter().chain([0.0, -0.0, -1.0]) {
        let expected = hyperparameter(name, most, positive);
        kept("most", 26, &expected, |to| {
            network
                .example_gradients(&examples, cost)
                .clipped_sum(most, &mut workspace, to)
        });
    }
    // Finite in f64, but not in f32.
    let single = network.map(|w| w as f32).unwrap();
    let (x, y) = (problem.x.map(|x| x as f32), problem.y.map(|y| y as f32));
    let in_single = Examples::new(&x, &y).unwrap();
    for most in [1e-50, 1e39] {
        let (mut sum, mut of_single) = ([7.0; 26], [7.0_f32; 26]);
        let found = single.example_gradients(&in_single, cost).clipped_sum(
            most,
            &mut Workspace::new(),
            &mut of_single,
        );
        refused("f32", found, &hyperparameter(name, most, positive));
        assert_eq!(of_single, [7.0; 26]);
        let found =
            network
                .example_gradients(&examples, cost)
                .clipped_sum(most, &mut workspace, &mut sum);
        assert!(found.is_ok(), "{found:?}");
    }
}

/// An identity unit with one input.
fn line(theta: [f64; 2]) -> Network<f64> {
    let network = Network::builder(1).dense(1, Identity);
    network.with_theta(&theta).unwrap()
}

fn overflow(what: &'static str, index: usize, value: f64) -> Error {
    Error::NonFinite {
        at: Location::Derivative { what, index },
        value,
    }
}

/// Finite at θ and X but not along a direction: the first entry of every result.
#[test]
pub(super) fn overflow_along_directions() {
    let (inf, what) = (f64::INFINITY, "the Jacobian–vector product");
    let network = line([0.0, 0.0]);
    let x = DMatrix::from_row_slice(1, 3, &[0.1, 10.0, 10.0]);
    for sign in [1.0, -1.0] {
        let theta = [0.0, sign * 1e308];
        let found = network.jvp(&x, Tangent::of_parameters(&theta));
        refused("θ̇", found, &overflow(what, 1, sign * inf));
        let found = line([0.0, 10.0]).jvp(&x, Tangent::of_inputs(&(&x * (sign * 1e307))));
        refused("Ẋ", found, &overflow(what, 1, sign * inf));
    }

    let what = "the vector–Jacobian product";
    let u = DMatrix::from_row_slice(1, 3, &[0.1, 1e308, 0.1]);
    refused("θ", network.vjp(&x, &u), &overflow(what, 1, inf));
    let steep = line([0.0, 10.0]);
    let zeros = DMatrix::zeros(1, 3);
    let found = steep.vjp(&zeros, &u);
    refused("X", found, &overflow(what, 1, inf));
    let mut below = [0.0; 3];
    let wanted = VjpTargets::of_inputs(&mut below[..]);
    let found = steep.vjp_into(&zeros, &u, &mut Workspace::new(), wanted);
    refused("X", found, &overflow(what, 1, inf));

    // AᵀA v with A = (1, x).
    let far = DMatrix::repeat(1, 1, 1e200);
    let (zero, v) = (DMatrix::zeros(1, 1), [1.0, 0.0, 0.0, 1e200, 0.0, 1e200]);
    let examples = Examples::new(&far, &zero).unwrap();
    let squares = Objective::new(SquaredError);
    let (mut product, mut workspace) = ([0.0; 6], Workspace::new());
    let (gram, curvature) = ("the product with AᵀA", "the product with the curvature");
    let found = network.gram_product_into(&far, &v, &mut workspace, &mut product);
    refused("AᵀA v", found, &overflow(gram, 2, inf));
    let found = network.hessian_product_into(&examples, &squares, &v, &mut workspace, &mut product);
    refused("H v", found, &overflow(curvature, 2, inf));
    for at in [
        GaussNewton::Logits,
        GaussNewton::Outputs,
        GaussNewton::Fisher,
    ] {
        let along = (at, &v[..]);
        let found = network.gauss_newton_product_into(
            &examples,
            &squares,
            along,
            &mut workspace,
            &mut product,
        );
        refused("G v", found, &overflow(curvature, 2, inf));
    }
    let found = network.hessian(&examples, &squares);
    // The last entry is x².
    refused("H", found, &overflow(curvature, 3, inf));
    refused(
        "diagonal",
        network.hessian_diagonal(&examples, &squares),
        &overflow(curvature, 3, inf),
    );

    // By rows and by columns.
    let what = "the output Jacobian";
    for (n, k) in [(2, 1), (1, 2)] {
        let theta: &[f64] = match n {
            2 => &[0.0, 1.0, 1e200, 0.0, 1e200],
            _ => &[0.0, 1e200, 0.0, 0.0, 1.0, 1e200],
        };
        let network = Network::builder(n).dense(1, Identity).dense(k, Identity);
        let network = network.with_theta(theta).unwrap();
        let found = network.output_jacobian(&DMatrix::zeros(n, 2));
        refused("∂a/∂x", found, &overflow(what, 1, inf));
    }
}

/// Finite costs whose gradients, or their squares or sums, are infinite.
#[test]
pub(super) fn overflow_of_single_examples() {
    let network = line([0.0, 0.0]);
    let mut workspace = Workspace::new();
    let x = DMatrix::from_row_slice(1, 3, &[1.0, 1e250, 1e250]);
    let y = DMatrix::repeat(1, 3, 1e150);
    let (examples, cost) = (Examples::new(&x, &y).unwrap(), Huber { delta: 1e100 });
    let expected = overflow("the gradient of an example", 3, f64::NEG_INFINITY);
    refused(
        "∇cost",
        network.example_gradients(&examples, &cost).matrix(),
        &expected,
    );
    let mut visited = Vec::new();
    let found =
        network
            .example_gradients(&examples, &cost)
            .for_each(&mut workspace, |k, gradient| {
                visited.push((k, gradient.to_vec()));
            });
    refused("∇cost", found, &expected);
    assert_eq!(visited, [(0, vec![-1e100, -1e100])]);

    let what = "the squared norm of an example's gradient";
    let expected = overflow(what, 1, f64::INFINITY);
    refused(
        "norm",
        network.example_gradients(&examples, &cost).norms(),
        &expected,
    );
    kept("sum", 2, &expected, |to| {
        network
            .example_gradients(&examples, &cost)
            .clipped_sum(1.0, &mut workspace, to)
    });

    // The norm, 1e150, is below the limit. The weight is 1e200.
    let (x, y) = (DVector::repeat(1, 1e150), DVector::repeat(1, 1.0));
    let weights = [1e200];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let mut sum = [0.0; 2];
    let found = network
        .example_gradients(&examples, &SquaredError)
        .clipped_sum(1e160, &mut workspace, &mut sum);
    let what = "the sum of the clipped gradients";
    refused("sum", found, &overflow(what, 1, f64::NEG_INFINITY));
}
