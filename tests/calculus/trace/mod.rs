//! A trace agrees with a pass by hand and with `backprop`, and returns the same errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "as in the tests that call these functions"
)]

mod custom_layers;
mod nested;
mod pages;
mod tables;

use crate::support::{cases, config};
use backprop::activation::{Identity, Relu, Sigmoid};
use backprop::nalgebra::{DMatrix, DMatrixView, dmatrix};
use backprop::{
    Accumulator, BinaryCrossEntropy, BlockEntry, Error, Examples, Initialization, Layer, Location,
    Network, Objective, Penalty, SquaredError, Strength, Trace, Workspace, rng, unroll,
};
use proptest::prelude::*;

fn largest<'a>(entries: impl IntoIterator<Item = &'a f64>) -> f64 {
    entries
        .into_iter()
        .fold(0.0, |max: f64, e| max.max(e.abs()))
}

/// Returns whether every entry is within `relative` of the largest expected one. False for NaN.
fn close(found: DMatrixView<'_, f64>, expected: DMatrixView<'_, f64>, relative: f64) -> bool {
    let bound = relative * largest(expected.iter());
    let mut pairs = found.iter().zip(expected.iter());
    found.shape() == expected.shape() && pairs.all(|(f, e)| (f - e).abs() <= bound)
}

/// Compares the trace with `backprop`, `forward` and an accumulator, which use other kernels.
fn agrees<L: Layer<f64>>(
    network: &Network<f64, L>,
    examples: &Examples<'_, f64>,
    objective: &Objective,
) -> Trace<f64> {
    let trace = network.trace(examples, objective).unwrap();
    let pass = network.backprop(examples, objective).unwrap();
    let mut workspace = Workspace::new();
    let mut sums = Accumulator::new(network).unwrap();
    sums.add(network, examples, &objective.cost, &mut workspace)
        .unwrap();

    let costs = largest(workspace.costs());
    let difference = trace.cost_parts().data - pass.cost_parts().data;
    assert!(difference.abs() <= 1e-12 * costs, "{difference:e}");
    assert_eq!(trace.cost_parts().penalty, pass.cost_parts().penalty);
    assert!((trace.cost() - pass.cost()).abs() <= 1e-12 * costs.max(pass.cost().abs()));
    for (found, expected) in trace.costs().iter().zip(workspace.costs()) {
        assert!((found - expected).abs() <= 1e-12 * costs);
    }
    assert_eq!(trace.costs().len(), examples.len());

    for (found, expected) in [
        (trace.gradient().vector(), pass.gradient().vector()),
        (trace.sums(), sums.delta()),
    ] {
        // If a gradient is 0 up to rounding, it is the rounding error of numbers of size 1.
        let size = largest(expected.iter());
        for place in network.layout().blocks() {
            let (found, expected) = (
                &found.as_slice()[place.range()],
                &expected.as_slice()[place.range()],
            );
            let bound = 1e-12 * largest(expected).max(1e-3 * size).max(1e-3);
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= bound, "{}: {f:e}, {e:e}", place.label());
            }
        }
    }

    assert_eq!(trace.input(), examples.x());
    let a = network.forward(examples.x()).unwrap();
    let found = trace.activation(network.depth() - 1).unwrap();
    assert!(close(found, a.as_view(), 1e-12));
    trace
}

proptest! {
    #![proptest_config(config())]

    /// The trace agrees for any network, penalty and weights. Within it, z = Θ [1; a] and Δ = δ [1;
    /// a]ᵀ, computed by nalgebra.
    #[test]
    fn a_trace_is_the_pass_of_backprop(case in cases(10.0)) {
        let (network, examples) = (&case.network, case.examples());
        let trace = agrees(network, &examples, &case.objective);
        for l in 0..network.depth() {
            let below = match l {
                0 => trace.input(),
                _ => trace.activation(l - 1).unwrap(),
            };
            let with_one = below.clone_owned().insert_row(0, 1.0);
            let theta = network.block(l, 0).unwrap();
            let z = theta * &with_one;
            let size = largest(theta.iter()) * largest(with_one.iter()).max(1.0);
            prop_assert!((trace.z(l).unwrap() - z).amax() <= 1e-13 * size.max(1e-3));
            let delta = trace.delta(l).unwrap();
            let sum = delta * with_one.transpose();
            let size = largest(delta.iter()) * largest(with_one.iter());
            prop_assert!((trace.layer_sum(l).unwrap() - sum).amax() <= 1e-13 * size);
        }
    }
}

fn numbers(rows: usize, cols: usize) -> DMatrix<f64> {
    DMatrix::from_fn(rows, cols, |i, k| ((1 + i + rows * k) as f64).sin())
}

/// The trace agrees for a batch that `backprop` computes in parts, and in `f32`.
#[test]
fn large_batches_and_other_scalars_are_traced() {
    let network = Network::<f64>::builder(3)
        .dense(6, Relu)
        .dense(5, Sigmoid)
        .dense(2, Identity)
        .initialize(Initialization::HeNormal, &mut rng(2))
        .unwrap();
    let (x, y) = (numbers(3, 700), numbers(2, 700));
    let objective = Objective::new(SquaredError).l1(0.1).l2(0.3);
    let trace = agrees(&network, &Examples::new(&x, &y).unwrap(), &objective);
    assert!(trace.to_string().contains(
        "D⁽³⁾ = (Δ⁽³⁾ + λ₁ sign Θ⁽³⁾ + λ₂Θ⁽³⁾)/m, λ₁ = 0.1, λ₂ = 0.3, not in column 0 (2 × 6)"
    ));

    let single = network.map(|w| w as f32).unwrap();
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    let examples = Examples::new(&x, &y).unwrap();
    let found = single.trace(&examples, &objective).unwrap();
    let pass = single.backprop(&examples, &objective).unwrap();
    for gradient in [pass.gradient(), found.gradient()] {
        let expected = trace.gradient().vector();
        let error = (gradient.vector().map(f64::from) - expected).amax();
        assert!(error < 1e-5 * expected.amax(), "{error:e}");
    }
}

/// Everything that can go wrong gives the expected error, the same one as `backprop` gives.
#[test]
fn errors_equal_those_of_backprop() {
    let network = |theta: &[f64]| {
        let layers = Network::<f64>::builder(1).dense(1, Identity);
        layers.dense(1, Identity).with_theta(theta).unwrap()
    };
    let refused = |network: &Network<f64>, (x, y): (f64, f64), objective: &Objective| {
        let (x, y) = (DMatrix::repeat(1, 2, x), DMatrix::repeat(1, 2, y));
        let examples = Examples::new(&x, &y).unwrap();
        let error = network.trace(&examples, objective).unwrap_err();
        assert_eq!(error, network.backprop(&examples, objective).unwrap_err());
        error
    };
    let plain = network(&[0.0, 1.0, 0.0, 1.0]);
    let huge = network(&[0.0, 1.0, 0.0, 1e200]);
    let squared = Objective::new(SquaredError);
    let entropy = Objective::new(BinaryCrossEntropy);

    let error = refused(&plain, (1.0, 1.0), &Objective::new(SquaredError).l2(-1.0));
    assert!(matches!(error, Error::Hyperparameter { value: -1.0, .. }));
    let strength = Strength { l1: 0.0, l2: 1.0 };
    let elsewhere = Penalty::none().layer(2, strength);
    let error = refused(
        &plain,
        (1.0, 1.0),
        &Objective::new(SquaredError).penalty(elsewhere),
    );
    assert!(matches!(
        error,
        Error::Index {
            index: 2,
            count: 2,
            ..
        }
    ));
    let error = refused(&plain, (0.5, 1.5), &entropy);
    assert!(matches!(
        error,
        Error::Target {
            example: 0,
            value: 1.5,
            ..
        }
    ));
    let error = refused(&plain, (1.5, 1.0), &entropy);
    assert!(matches!(
        error,
        Error::Output {
            ref layer,
            value: 1.5,
            ..
        } if *layer == 1
    ));
    let error = refused(&huge, (1e200, 1.0), &squared);
    assert!(matches!(
        error,
        Error::NonFinite {
            at: Location::Activation {
                ref layer,
                unit: 0,
                example: 0
            },
            ..
        } if *layer == 1
    ));
    let error = refused(&plain, (1e200, 1.0), &squared);
    assert!(matches!(
        error,
        Error::NonFinite {
            at: Location::Cost { example: 0 },
            ..
        }
    ));
    // ½ 1.7e154² is finite, but twice that is not.
    let error = refused(&plain, (1.7e154, 0.0), &squared);
    assert!(matches!(
        error,
        Error::NonFinite {
            at: Location::Objective,
            ..
        }
    ));
    // D⁽¹⁾ = 1e200 · 1e120: the cost is finite, its gradient is not.
    let error = refused(&huge, (0.0, 1e120), &squared);
    assert!(matches!(
        error,
        Error::NonFinite {
            at: Location::Gradient(BlockEntry {
                ref layer,
                row: 0,
                col: 0,
                ..
            }),
            ..
        } if *layer == 0
    ));

    for (x, y, what) in [(2, 1, "X"), (1, 2, "Y")] {
        let (x, y) = (numbers(x, 2), numbers(y, 2));
        let examples = Examples::new(&x, &y).unwrap();
        let (expected, found) = ((1, 2), (2, 2));
        let error = Error::Shape {
            what,
            expected,
            found,
        };
        assert_eq!(
            network(&[0.0; 4]).trace(&examples, &squared),
            Err(error.clone())
        );
        assert_eq!(network(&[0.0; 4]).backprop(&examples, &squared), Err(error));
    }
}

/// The network of `examples/worked_example.rs`, with numbers known to nine digits.
#[test]
fn a_pass_by_hand() {
    let theta = [
        dmatrix![0.35, 0.15, 0.20; 0.35, 0.25, 0.30],
        dmatrix![0.60, 0.40, 0.45; 0.60, 0.50, 0.55],
    ];
    let network = Network::<f64>::builder(2)
        .dense(2, Sigmoid)
        .dense(2, Sigmoid);
    let network = network.with_theta(unroll(&theta).as_slice()).unwrap();
    let (x, y) = (dmatrix![0.05; 0.10], dmatrix![0.01; 0.99]);
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network
        .trace(&examples, &Objective::new(SquaredError))
        .unwrap();
    let holds = |found: Option<DMatrixView<'_, f64>>, expected: [f64; 2]| {
        let error = (found.unwrap() - DMatrix::from_column_slice(2, 1, &expected)).amax();
        assert!(error < 5.1e-10, "{expected:?}: {error:e}");
    };
    assert_eq!(trace.input(), x);
    holds(trace.z(0), [0.3775, 0.3925]);
    holds(trace.activation(0), [0.593269992, 0.596884378]);
    holds(trace.z(1), [1.105905967, 1.224921404]);
    holds(trace.activation(1), [0.75136507, 0.772928465]);
    assert!((trace.cost() - 0.298371109).abs() < 5e-10);
    assert_eq!(trace.costs().as_slice(), [trace.cost()]);
    // 0.74136507 · 0.186815602, and −0.217071535 · 0.175510053.
    holds(trace.delta(1), [0.138498562, -0.038098237]);
    // 0.036350306 · 0.241300709, and 0.041370323 · 0.240613417.
    holds(trace.delta(0), [0.008771355, 0.009954255]);
    let d =
        dmatrix![0.138498562, 0.082167041, 0.082667628; -0.038098237, -0.022602540, -0.022740242];
    assert!((trace.layer_sum(1).unwrap() - &d).amax() < 1e-9);
    assert!((trace.gradient().layer(1).unwrap() - d).amax() < 1e-9);
}
