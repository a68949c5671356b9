//! Gauss–Newton products against Jᵀ M J with explicit J and M.

use super::{Outcome, TAME, close, dot, wave};
use crate::support::{Case, cases, config};
use backprop::activation::{Activation, AnyActivation, Identity};
use backprop::cost::{Cost, Outputs};
use backprop::layer::{AnyLayer, Dense};
use backprop::nalgebra::{DMatrix, DVector, convert};
use backprop::{AnyCost, Error, Examples, GaussNewton, Network, Objective};
use num_dual::HyperDual64;
use proptest::prelude::*;

fn last_activation(case: &Case) -> AnyActivation {
    match case.network.layers().last() {
        Some(AnyLayer::Dense(dense)) => *dense.activation(),
        other => panic!("{other:?} is not in these networks"),
    }
}

/// The network without its last activation: its outputs are z⁽ᴸ⁾.
fn without_last_activation(network: &Network<f64>) -> Network<f64> {
    let mut layers = network.layers().to_vec();
    layers.pop();
    let theta = network.block(layers.len(), 0).unwrap();
    let (n, k) = (theta.ncols() - 1, network.outputs());
    layers.push(Dense::new(n, k, Identity).into());
    Network::from_layers(network.inputs(), layers, network.theta().as_slice()).unwrap()
}

/// Returns the Jacobian of one example, K × P, row by row.
fn jacobian(network: &Network<f64>, x: &DMatrix<f64>, example: usize) -> DMatrix<f64> {
    let (k, p) = (network.outputs(), network.parameters());
    let mut rows = DMatrix::zeros(k, p);
    for i in 0..k {
        let unit = DVector::from_fn(k, |j, _| f64::from(i == j));
        let (row, _) = network.vjp(x.column(example), &unit).unwrap();
        rows.row_mut(i).copy_from(&row.transpose());
    }
    rows
}

/// ∂²cost/∂z² or ∂²cost/∂a² of one example, from values of the cost on hyper-dual numbers.
fn second_derivatives(case: &Case, example: usize, at: GaussNewton) -> DMatrix<f64> {
    let activation = last_activation(case);
    let linked = Activation::<f64>::link(&activation).is_some()
        && Activation::<f64>::link(&activation) == Cost::<f64>::link(&case.objective.cost);
    let y = DMatrix::from_columns(&[case.y.column(example)]).map(convert);
    let z = without_last_activation(&case.network)
        .forward(case.x.column(example))
        .unwrap();
    let a = case.network.forward(case.x.column(example)).unwrap();
    let k = z.len();
    DMatrix::from_fn(k, k, |i, j| {
        let lift = |u: usize, value: f64| {
            HyperDual64::new(value, f64::from(u == i), f64::from(u == j), 0.0)
        };
        let (z, a) = match at {
            GaussNewton::Logits => {
                let z = DMatrix::from_fn(k, 1, |u, _| lift(u, z[u]));
                let mut a = z.clone();
                activation.forward(z.as_view(), a.as_view_mut());
                (Some(z).filter(|_| linked), a)
            }
            _ => (None, DMatrix::from_fn(k, 1, |u, _| lift(u, a[u]))),
        };
        let z = z.as_ref().map(DMatrix::as_view);
        let mut value = [HyperDual64::from_re(f64::NAN)];
        let outputs = Outputs::new(z, a.as_view(), y.as_view());
        case.objective.cost.values(&outputs, &mut value);
        value[0].eps1eps2
    })
}

/// The largest of ∂cost/∂a of one example.
fn slope(case: &Case, example: usize) -> f64 {
    let a = case.network.forward(case.x.column(example)).unwrap();
    let y = case.y.columns(example, 1);
    let mut delta = a.clone();
    let outputs = Outputs::new(None, a.as_view(), y);
    case.objective.cost.delta(&outputs, delta.as_view_mut());
    delta.amax()
}

/// The contribution of the penalty to a product.
fn of_penalty(case: &Case, v: &[f64]) -> DVector<f64> {
    let mut sum = DVector::zeros(v.len());
    for place in case.network.layout().blocks() {
        let strength = case.objective.penalty.strength(place.layer(), 0);
        for i in place.range().skip(place.block().rows) {
            sum[i] = strength.l2 * v[i] / case.examples().total_weight();
        }
    }
    sum
}

fn product(case: &Case, at: GaussNewton, v: &[f64]) -> DVector<f64> {
    let (network, examples) = (&case.network, case.examples());
    network
        .gauss_newton_product(&examples, &case.objective, at, v)
        .unwrap()
}

/// (1/m) Σ w JᵀMJ v with the penalty's part, and the size of the terms of these sums.
fn explicit(case: &Case, at: GaussNewton, v: &[f64]) -> (DVector<f64>, f64) {
    let network = match at {
        GaussNewton::Logits => without_last_activation(&case.network),
        _ => case.network.clone(),
    };
    let v = DVector::from_column_slice(v);
    let (mut sum, mut size) = (DVector::zeros(v.len()), 0.0_f64);
    let m = case.examples().total_weight();
    for example in 0..case.x.ncols() {
        let (j, w) = (
            jacobian(&network, &case.x, example),
            case.weight(example) / m,
        );
        let curvature = second_derivatives(case, example, at);
        let mut largest = curvature.amax();
        if at == GaussNewton::Logits {
            // g′ M g′ and ∂cost/∂a g″ may cancel. For softmax, g′ and g″ are differences of numbers
            // of size 1.
            let (of_outputs, slope) = (
                second_derivatives(case, example, GaussNewton::Outputs),
                slope(case, example),
            );
            largest = largest.max(of_outputs.amax()).max(slope);
        }
        size = size.max(w * j.amax() * j.amax() * largest);
        sum += j.transpose() * (curvature * (j * &v)) * w;
    }
    (sum + of_penalty(case, v.as_slice()), size)
}

fn agrees(case: &Case, at: GaussNewton) -> Outcome {
    let v = wave(case.network.parameters(), 0.6);
    let (expected, size) = explicit(case, at, &v);
    close(product(case, at, &v).as_slice(), expected.as_slice(), size)
}

/// (1/m) Σ w E\[∇cost ∇costᵀ] v over targets with mean a and the model's variance. The gradient is
/// linear in y, so only the mean and the variance matter, and independent units may be drawn one at
/// a time.
fn expected_squares(case: &Case, v: &[f64]) -> (DVector<f64>, f64) {
    let cost = case.objective.cost;
    let (mut sum, mut size) = (DVector::zeros(v.len()), 0.0_f64);
    let m = case.examples().total_weight();
    for example in 0..case.x.ncols() {
        let x = case.x.column(example);
        let a = case.network.forward(x).unwrap();
        for unit in 0..a.len() {
            // Targets of this unit and their probabilities.
            let mean = a[unit];
            let targets = match cost {
                AnyCost::BinaryCrossEntropy => vec![(0.0, 1.0 - mean), (1.0, mean)],
                AnyCost::CategoricalCrossEntropy => vec![(1.0, mean)],
                AnyCost::SquaredError => vec![(mean - 1.0, 0.5), (mean + 1.0, 0.5)],
                _ => vec![(0.0, 1.0 / (1.0 + mean)), (mean + 1.0, mean / (1.0 + mean))],
            };
            for (target, probability) in targets {
                let mut y = match cost {
                    // The other targets are 0, because an example has exactly one class.
                    AnyCost::CategoricalCrossEntropy => DMatrix::zeros(a.len(), 1),
                    _ => a.clone(),
                };
                y[unit] = target;
                let one = Examples::new(x, &y).unwrap();
                let gradient = case
                    .network
                    .gradient_vector(&one, &Objective::new(cost))
                    .unwrap();
                let w = probability * case.weight(example) / m;
                sum += &gradient * (gradient.dot(&DVector::from_column_slice(v)) * w);
                size = size.max(gradient.amax() * gradient.amax() * w);
            }
        }
    }
    (sum + of_penalty(case, v), size)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn at_the_logits(case in cases(TAME)) {
        agrees(&case, GaussNewton::Logits)?;
    }

    #[test]
    fn at_the_outputs(case in cases(TAME)) {
        agrees(&case, GaussNewton::Outputs)?;
    }

    /// The Fisher information is the mean of ∇cost ∇costᵀ under the model. Costs without a model
    /// are refused.
    #[test]
    fn fisher_is_a_mean_under_the_model(case in cases(TAME)) {
        let v = wave(case.network.parameters(), 0.6);
        if matches!(case.objective.cost, AnyCost::Huber { .. } | AnyCost::LogCosh) {
            let found = case.network.gauss_newton_product(
                &case.examples(), &case.objective, GaussNewton::Fisher, &v,
            );
            let refused = matches!(
                found,
                Err(Error::Unsupported { what: "Cost::is_log_likelihood", .. })
            );
            prop_assert!(refused, "{found:?}");
            return Ok(());
        }
        let (expected, size) = expected_squares(&case, &v);
        close(product(&case, GaussNewton::Fisher, &v).as_slice(), expected.as_slice(), size)?;
    }

    /// vᵀGv is never negative, at the logits for canonical pairs.
    #[test]
    fn products_are_semi_definite(case in cases(TAME), phase in 0.0..6.0) {
        let v = wave(case.network.parameters(), phase);
        let canonical = Activation::<f64>::link(&last_activation(&case));
        let cost = &case.objective.cost;
        let kinds = [
            (GaussNewton::Outputs, true),
            (GaussNewton::Fisher, Cost::<f64>::is_log_likelihood(cost)),
            (GaussNewton::Logits, canonical.is_some() && canonical == Cost::<f64>::link(cost)),
        ];
        for (at, holds) in kinds.into_iter().filter(|kind| kind.1) {
            let product = product(&case, at, &v);
            let square = dot(product.as_slice(), &v);
            let rounding = 1e-13 * product.amax() * v.len() as f64;
            prop_assert!(holds && square >= -rounding, "{at:?}: {square:e}");
        }
    }

    /// For ½ squared errors and identity outputs all three agree: (1/m) Σ AᵀA v.
    #[test]
    fn of_least_squares_all_are_one(case in cases(TAME)) {
        let case = Case {
            network: without_last_activation(&case.network),
            objective: Objective::new(AnyCost::SquaredError),
            weights: None,
            y: case.y.map(f64::sin),
            ..case
        };
        let v = wave(case.network.parameters(), 0.9);
        let gram = case.network.gram_product(&case.x, &v).unwrap() / case.x.ncols() as f64;
        for at in [GaussNewton::Logits, GaussNewton::Outputs, GaussNewton::Fisher] {
            close(product(&case, at, &v).as_slice(), gram.as_slice(), 0.0)?;
        }
        let (explicit, size) = explicit(&case, GaussNewton::Outputs, &v);
        close(gram.as_slice(), explicit.as_slice(), size)?;
    }
}
