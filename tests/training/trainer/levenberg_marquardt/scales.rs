//! The units and offsets of features and targets do not change a fit, nor whether it converges.

use super::{Fit, fit};
use backprop::activation::{Exponential, Identity, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::training::LevenbergMarquardt;
use backprop::{
    AnyActivation, AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Examples, Huber,
    Initialization, LogCosh, Network, Objective, Poisson, Scalar, SquaredError, rng,
};
use proptest::prelude::*;

/// One layer from zeros.
fn layer<T: Scalar>(inputs: usize, units: usize, activation: AnyActivation) -> Network<T> {
    let builder = Network::<T>::builder(inputs).dense(units, activation);
    builder.zeros().unwrap()
}

fn fit_with<T: Scalar>(
    network: &mut Network<T>,
    (x, y): (&DMatrix<T>, &DMatrix<T>),
    objective: &Objective<AnyCost>,
) -> Fit {
    let examples = Examples::new(x, y).unwrap();
    let method = LevenbergMarquardt::new();
    fit(method, 100, network, &examples, objective).unwrap()
}

/// A row of f(0), f(1), ….
fn row(m: usize, f: impl Fn(f64) -> f64) -> DMatrix<f64> {
    DMatrix::from_fn(1, m, |_, k| f(k as f64))
}

fn line(x: &DMatrix<f64>, y: &DMatrix<f64>) -> (Fit, f64, f64) {
    let mut network = layer(1, 1, Identity);
    let fit = fit_with(&mut network, (x, y), &Objective::new(SquaredError));
    (fit, network.theta()[0], network.theta()[1])
}

/// Slope, mean of y and J of the least-squares line through x = offset + step · k, whose mean is
/// offset + step · (m − 1)/2.
fn centred(step: f64, y: &DMatrix<f64>) -> (f64, f64, f64) {
    let m = y.len() as f64;
    let centre = (m - 1.0) / 2.0;
    let mean = y.sum() / m;
    let pairs = || {
        y.iter()
            .enumerate()
            .map(|(k, y)| (k as f64 - centre, y - mean))
    };
    let slope = pairs().map(|(x, y)| x * y).sum::<f64>() / pairs().map(|(x, _)| x * x).sum::<f64>();
    let errors = pairs().map(|(x, y)| (slope * x - y) * (slope * x - y));
    (slope / step, mean, errors.sum::<f64>() / (2.0 * m))
}

#[test]
fn a_line_of_any_size_is_converged_at_its_minimum() {
    for scale in [1.0, 10.0, 100.0, 1e-5, 1e7] {
        let x = row(30, |k| scale * k);
        let (fit, b, w) = line(&x, &row(30, |k| scale * (2.0 * k + 1.0)));
        assert!(
            fit.converged() && fit.cost <= 1e-28 * scale * scale,
            "{fit:?}"
        );
        assert!((b / scale - 1.0).abs() < 1e-13 && (w - 2.0).abs() < 1e-14);

        let y = row(30, |k| scale * (2.0 * k + 1.0 + k.sin()));
        let (fit, _, w) = line(&x, &y);
        let (slope, _, j) = centred(scale, &y);
        assert!(
            fit.converged() && (fit.cost / j - 1.0).abs() < 1e-13,
            "{fit:?}"
        );
        assert!((w / slope - 1.0).abs() < 1e-13);
    }
}

/// SciPy's `lm` finds the same fits.
#[test]
fn nearly_parallel_and_tiny_columns_are_fitted_exactly() {
    let (fit, b, w) = line(
        &row(10, |k| 1e-9 * (k + 1.0)),
        &row(10, |k| 1.0 + 2e9 * (1e-9 * (k + 1.0))),
    );
    assert!(fit.converged() && fit.cost < 1e-28, "{fit:?}");
    assert!((w / 2e9 - 1.0).abs() < 1e-14 && (b - 1.0).abs() < 1e-13);

    let y = row(20, |k| 2.0 * k + 10.0 + k.sin());
    let (slope, _, j) = centred(60.0, &y);
    let (fit, _, w) = line(&row(20, |k| 1.7e9 + 60.0 * k), &y);
    assert!((j - 0.226_450_7).abs() < 1e-7);
    assert!(
        fit.converged() && (fit.cost / 0.226_451_4 - 1.0).abs() < 1e-5,
        "{fit:?}"
    );
    assert!((w / slope - 1.0).abs() < 1e-8);

    let x = row(20, |k| 1e6 + k);
    let (fit, b, w) = line(&x, &x.map(|x| 2.0 * x - 1.99e6));
    assert!(fit.converged() && fit.cost < 1e-18, "{fit:?}");
    assert!((w - 2.0).abs() < 1e-11 && (b / -1.99e6 - 1.0).abs() < 1e-11);

    for scale in [1e-150, 1e-60, 1e-13, 1e60, 1e150] {
        let (fit, b, w) = line(&row(20, |k| k), &row(20, |k| scale * (2.0 * k + 1.0)));
        assert!(
            fit.converged() && fit.cost <= 1e-28 * scale * scale,
            "{scale:e}: {fit:?}"
        );
        assert!((b / scale - 1.0).abs() < 1e-13 && (w / scale - 2.0).abs() < 1e-13);
    }
}

/// Up to the offset at which rounding makes x and the constant the same column.
#[test]
fn an_offset_costs_no_more_than_the_rounding_of_the_outputs() {
    let y = row(20, |k| 2.0 * k + 10.0 + k.sin());
    let (slope, _, j) = centred(1.0, &y);
    for exponent in 0..=13 {
        let offset = 10_f64.powi(exponent);
        let (fit, _, w) = line(&row(20, |k| offset + k), &y);
        // θ₁x and θ₀, both about 2 · offset in size, cancel, and only their rounding error remains.
        let rounding = 8.0 * f64::EPSILON * offset;
        let bound = 1e-13 + 4.0 * rounding;
        assert!(
            fit.converged() && (fit.cost - j).abs() < bound,
            "{offset:e}: {fit:?}"
        );
        assert!((w - slope).abs() < 1e-11 + rounding, "{offset:e}: {w}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Three features, each with its own unit and offset, against the QR of centred and scaled
    /// columns.
    #[test]
    fn features_of_any_units_give_the_same_fit(
        units in prop::collection::vec(-12..=12_i32, 3),
        offsets in prop::collection::vec(-1e5..1e5_f64, 3),
        (size, shift, noise) in (-40..=40_i32, -1e4..1e4_f64, 0.0..1.0_f64),
        seed in 0..1000_u32,
    ) {
        let m = 25;
        let wave = |i: usize, k: usize| {
            (1.7 * (i + 1) as f64 * k as f64 + f64::from(seed) + (i * i) as f64).sin()
        };
        let plain = DMatrix::from_fn(3, m, wave);
        let x = DMatrix::from_fn(3, m, |i, k| 10_f64.powi(units[i]) * (offsets[i] + plain[(i, k)]));
        let size = 10_f64.powi(size);
        let y = DMatrix::from_fn(1, m, |_, k| {
            let signal = 2.0 * plain[(0, k)] - plain[(1, k)] + 0.5 * plain[(2, k)];
            size * (shift + signal + noise * wave(7, k))
        });
        let mut network = layer(3, 1, Identity);
        let fit = fit_with(&mut network, (&x, &y), &Objective::new(SquaredError));

        let a = DMatrix::from_fn(m, 4, |k, i| if i == 3 { 1.0 } else { plain[(i, k)] });
        let qr = a.clone().qr();
        let right = y.transpose() / size;
        let solution = qr.r().solve_upper_triangular(&(qr.q().transpose() * &right)).unwrap();
        let expected = a * solution;
        let j = (&expected - &right).norm_squared() / (2.0 * m as f64);
        // The sum loses the rounding of the targets' offset and of the features' offsets.
        let theta = network.theta();
        let terms = (0..3).map(|i| theta[i + 1].abs() * x.row(i).amax());
        let terms = terms.sum::<f64>() + theta[0].abs();
        let rounding = 1e-12 + 256.0 * f64::EPSILON * (terms / size + shift.abs());
        prop_assert!(fit.converged(), "{fit:?}");
        let found = network.forward(&x).unwrap().transpose() / size;
        let worst = (&found - &expected).amax();
        // Where the minimum of J is above 0, J determines the outputs to the square root of its
        // rounding error.
        prop_assert!(worst < rounding + (rounding * j.sqrt()).sqrt(), "{worst:e} {rounding:e}");
        let excess = fit.cost / size / size - j;
        prop_assert!(excess.abs() < rounding * (j.sqrt() + rounding), "{excess:e} {rounding:e}");
    }
}

/// Every cost has the same minimum for any units of the features, with a penalty in the same units.
#[test]
fn costs_do_not_depend_on_the_units_of_the_features() {
    let m = 60;
    let wave = |i: usize, k: usize| ((i * i) as f64 + (1.3 + 0.7 * i as f64) * k as f64).sin();
    let class = |k: usize| match (wave(0, k) + wave(5, k), wave(1, k) + wave(6, k)) {
        (a, _) if a > 0.3 => 0,
        (_, b) if b > 0.0 => 1,
        _ => 2,
    };
    let plain = DMatrix::from_fn(2, m, wave);
    let one = DMatrix::from_fn(1, m, |_, k| f64::from(class(k) == 0));
    let three = DMatrix::from_fn(3, m, |i, k| f64::from(class(k) == i));
    let counts = plain.row_sum().map(|sum| (2.0 * sum.exp() + 0.4).round());
    let counts = DMatrix::from_row_slice(1, m, counts.as_slice());
    let far = DMatrix::from_fn(1, m, |_, k| {
        let outlier = if k % 9 == 0 { 50.0 } else { 0.0 };
        100.0 + 3.0 * wave(0, k) + wave(1, k) + 0.3 * wave(4, k) + outlier
    });
    let problems: [(AnyActivation, AnyCost, &DMatrix<f64>); 6] = [
        (Sigmoid, BinaryCrossEntropy, &one),
        (Sigmoid, SquaredError, &one),
        (Softmax, CategoricalCrossEntropy, &three),
        (Exponential, Poisson, &counts),
        (Identity, LogCosh, &far),
        (Identity, Huber { delta: 0.2 }, &far),
    ];
    for (activation, cost, y) in problems {
        for lambda in [0.0, 0.5] {
            let mut costs = Vec::new();
            for (unit, offset) in [(1.0, 0.0), (1e-9, 0.0), (1e9, 0.0), (1.0, 1e4), (1e-5, 1e6)] {
                let x = plain.map(|x| unit * (offset + x));
                let objective = Objective::new(cost).l2(lambda * unit * unit);
                let mut network = layer(2, y.nrows(), activation);
                let fit = fit_with(&mut network, (&x, y), &objective);
                assert!(
                    fit.converged(),
                    "{cost:?}, λ {lambda}, {unit:e} {offset:e}: {fit:?}"
                );
                costs.push(fit.cost);
            }
            for cost_of in &costs {
                let error = (cost_of / costs[0] - 1.0).abs();
                assert!(error < 1e-9, "{cost:?}, λ {lambda}: {costs:?}");
            }
        }
    }
}

/// Weights count as repetitions, and their scale does not matter.
#[test]
fn weights_of_any_size() {
    let x = row(12, |k| 1e5 + k);
    let y = row(12, |k| (1.0 + k).ln());
    let double: Vec<f64> = (0..12).map(|k| f64::from(k % 3)).collect();
    let (mut repeated_x, mut repeated_y) = (Vec::new(), Vec::new());
    for k in 0..12 {
        for _ in 0..k % 3 {
            repeated_x.push(x[k]);
            repeated_y.push(y[k]);
        }
    }
    let repeated = |values: &[f64]| DMatrix::from_row_slice(1, values.len(), values);
    let (expected, _, slope) = line(&repeated(&repeated_x), &repeated(&repeated_y));
    for size in [1e-200, 1.0, 1e200] {
        let weights: Vec<f64> = double.iter().map(|w| w * size).collect();
        let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
        let mut network = layer(1, 1, Identity);
        let method = LevenbergMarquardt::new();
        let objective = Objective::new(SquaredError);
        let fit = fit(method, 100, &mut network, &examples, &objective).unwrap();
        assert!(fit.converged(), "{fit:?}");
        assert!((fit.cost / expected.cost - 1.0).abs() < 1e-9);
        assert!((network.theta()[1] / slope - 1.0).abs() < 1e-8);
    }
}

#[test]
fn single_precision_has_its_own_bounds() {
    let x = dmatrix![150.0_f32, 160.0, 170.0, 180.0, 190.0];
    let y = dmatrix![50.0_f32, 58.0, 66.0, 75.0, 84.0];
    let mut network = layer(1, 1, Identity);
    let fit = fit_with(&mut network, (&x, &y), &Objective::new(SquaredError));
    assert!(
        fit.converged() && (fit.cost / 0.07 - 1.0).abs() < 1e-3,
        "{fit:?}"
    );

    let j = centred(1.0, &row(20, |k| 2.0 * k + 10.0 + k.sin())).2;
    for (offset, unit, size) in [
        (0.0, 1e-30, 1.0),
        (0.0, 1e15, 1.0),
        (0.0, 1.0, 1e-15),
        (0.0, 1.0, 1e15),
        (1e3, 1.0, 1.0),
        (1e5, 1.0, 1.0),
    ] {
        let x = row(20, |k| unit * (offset + k)).map(|x| x as f32);
        let y = row(20, |k| size * (2.0 * k + 10.0 + k.sin())).map(|y| y as f32);
        let mut network = layer(1, 1, Identity);
        let fit = fit_with(&mut network, (&x, &y), &Objective::new(SquaredError));
        let found = fit.cost / size / size;
        let bound = 1e-5 + f64::from(f32::EPSILON) * offset;
        assert!(
            fit.converged() && (found - j).abs() < bound,
            "{offset:e} {unit:e}: {fit:?}"
        );
    }
}

/// If the last layer starts in the units of the targets, all steps are the same up to rounding.
#[test]
fn fits_do_not_depend_on_the_unit_of_the_targets() {
    let x = row(30, |k| k / 10.0);
    let start = Network::<f64>::builder(1).dense(1, Tanh).dense(1, Identity);
    let start = start
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let last = start.layout().blocks()[1].range();
    for noise in [0.0, 0.1] {
        let mut histories = Vec::new();
        for size in [1.0, 1e-60, 1e-13, 1e13, 1e60] {
            let curve = |x: f64| 0.5 + 2.0 * (0.8 * x - 1.0).tanh();
            let y = row(30, |k| size * (curve(k / 10.0) + noise * (7.0 * k).sin()));
            let mut theta = start.theta().as_slice().to_vec();
            theta[last.clone()].iter_mut().for_each(|t| *t *= size);
            let mut network = start.clone();
            network.set_theta(&theta).unwrap();
            let fit = fit_with(&mut network, (&x, &y), &Objective::new(SquaredError));
            assert!(fit.converged(), "{fit:?}");
            if noise == 0.0 {
                assert!(fit.cost < 1e-28 * size * size, "{fit:?}");
            }
            let history = fit.costs.iter().map(|j| j / size / size);
            // Below this, the rounding of the outputs makes a difference.
            let least = (fit.cost / size / size * (1.0 + 1e-9)).max(1e-24);
            histories.push(history.filter(|&j| j > least).collect::<Vec<f64>>());
        }
        for history in &histories {
            assert_eq!(history.len(), histories[0].len());
            for (j, expected) in history.iter().zip(&histories[0]) {
                assert!((j / expected - 1.0).abs() < 1e-6, "{histories:?}");
            }
        }
    }
}

/// From one start, a network first has to reach tiny or large outputs.
#[test]
fn a_network_reaches_targets_of_other_sizes() {
    let x = row(30, |k| k / 10.0);
    for size in [1e-13, 1e-3, 10.0] {
        let y = row(30, |k| size * (0.5 + 2.0 * (0.8 * k / 10.0 - 1.0).tanh()));
        let network = Network::<f64>::builder(1).dense(1, Tanh).dense(1, Identity);
        let mut network = network
            .initialize(Initialization::GlorotUniform, &mut rng(3))
            .unwrap();
        let examples = Examples::new(&x, &y).unwrap();
        let method = LevenbergMarquardt::new();
        let objective = Objective::new(SquaredError);
        let fit = fit(method, 1000, &mut network, &examples, &objective).unwrap();
        assert!(
            fit.converged() && fit.cost < 1e-26 * size * size,
            "{size:e}: {fit:?}"
        );
    }
}
