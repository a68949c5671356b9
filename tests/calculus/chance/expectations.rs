//! What layers of chance do on average: derivation (44) and (46).

use super::{Fault, Outcome, drawn, dropout, ensure, trained};
use backprop::activation::Identity;
use backprop::layer::GaussianNoise;
use backprop::nalgebra::DMatrix;
use backprop::{Builder, Examples, Objective, SquaredError};

const SEEDS: u64 = 100_000;

/// Compares the mean over 10⁵ seeds with x, to four standard errors, and the variance with
/// x² p/(1 − p).
pub(super) fn mean_and_variance(fault: Fault) -> Outcome {
    let x = DMatrix::from_row_slice(3, 2, &[0.5, -1.0, 2.0, 10.0, -0.01, 3.0]);
    for p in [0.1, 0.5, 0.8] {
        let layer = dropout(p, fault);
        let (mut sum, mut squares) = (x.clone() * 0.0, x.clone() * 0.0);
        for seed in 0..SEEDS {
            let a = drawn::<f64>(&layer, (seed, 0), x.as_view());
            squares += a.component_mul(&a);
            sum += a;
        }
        let n = SEEDS as f64;
        for ((&x, sum), squares) in x.iter().zip(&sum).zip(&squares) {
            let (mean, odds) = (sum / n, p / (1.0 - p));
            let error = x.abs() * (odds / n).sqrt();
            ensure((mean - x).abs() < 4.0 * error, || {
                format!("p = {p}: the mean of {x} is {mean}")
            })?;
            // a² is x²/(1 − p)² with probability 1 − p, so its relative error is that of a.
            let (found, expected) = (squares / n, x * x / (1.0 - p));
            ensure(
                (found / expected - 1.0).abs() < 4.0 * (odds / n).sqrt(),
                || format!("p = {p}: the mean square of {x} is {found}, not {expected}"),
            )?;
        }
    }
    Ok(())
}

#[test]
fn the_mean_of_dropout_is_the_input() {
    mean_and_variance(Fault::None).unwrap();
}

/// For a linear unit and half the squared error, dropout and noise add a penalty to the mean cost.
#[test]
fn dropout_and_noise_are_penalties_on_average() {
    let x = DMatrix::from_column_slice(3, 1, &[0.5, -1.0, 2.0]);
    let y = DMatrix::from_element(1, 1, 0.3);
    let theta = [0.1, 0.7, -0.4, 0.9];
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let (p, sigma) = (0.3, 0.5);
    let plain = Builder::<f64>::new(3)
        .dense(1, Identity)
        .with_theta(&theta)
        .unwrap();
    let plain = plain.cost(&examples, &objective).unwrap();
    for (builder, penalty) in [
        (
            Builder::<f64>::new(3).dropout(p),
            (0..3)
                .map(|i| p / (1.0 - p) * (x[i] * theta[i + 1]).powi(2))
                .sum::<f64>()
                / 2.0,
        ),
        (
            Builder::<f64>::new(3).gaussian_noise(sigma),
            (0..3).map(|i| (sigma * theta[i + 1]).powi(2)).sum::<f64>() / 2.0,
        ),
    ] {
        let network = builder.dense(1, Identity).with_theta(&theta).unwrap();
        let (mut sum, mut squares) = (0.0, 0.0);
        let (mut workspace, mut gradient) = (trained(0), [f64::NAN; 4]);
        for seed in 0..SEEDS {
            workspace.set_training(Some(seed));
            let parts = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient);
            let cost = parts.unwrap().total();
            sum += cost;
            squares += cost * cost;
        }
        let n = SEEDS as f64;
        let mean = sum / n;
        let error = ((squares / n - mean * mean) / n).sqrt();
        let expected = plain + penalty;
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{mean} and {expected}"
        );
        // The penalty itself is many standard errors.
        assert!(penalty > 20.0 * error);
    }
}

#[test]
fn the_mean_of_noise_is_the_input() {
    let x = DMatrix::from_row_slice(2, 2, &[0.5, -1.0, 2.0, 10.0]);
    let layer = GaussianNoise::new(0.7);
    let mut sum = &x * 0.0;
    for seed in 0..SEEDS {
        sum += drawn::<f64>(&layer, (seed, 0), x.as_view());
    }
    let error = 0.7 / (SEEDS as f64).sqrt();
    assert!((sum / SEEDS as f64 - x).amax() < 4.0 * error);
}
