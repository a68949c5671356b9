//! Networks at extreme values, in `f64` and `f32`, against `extremes.txt`, which `extremes.py`
//! computes with mpmath. The networks give the correct number, or a typed error where an
//! intermediate result overflows.

use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, HardTanh, Identity, LeakyRelu, Mish, Relu, Selu,
    Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Examples, Network, Objective, Scalar};

/// Units in the last place: 4 for a cost and its δ, and 4 for g′ and the products in each of two
/// layers.
const UNITS: f64 = 12.0;

fn activation(name: &str) -> AnyActivation {
    match name {
        "identity" => Identity,
        "sigmoid" => Sigmoid,
        "tanh" => Tanh,
        "relu" => Relu,
        "leaky_relu" => LeakyRelu { slope: 0.125 },
        "elu" => Elu { alpha: 1.0 },
        "selu" => Selu,
        "softplus" => Softplus,
        "softsign" => Softsign,
        "gelu" => Gelu,
        "silu" => Silu,
        "mish" => Mish,
        "hard_tanh" => HardTanh,
        "sine" => Sine,
        "exponential" => Exponential,
        other => {
            assert_eq!(other, "softmax");
            Softmax
        }
    }
}

fn cost(name: &str) -> AnyCost {
    match name {
        "cross_entropy" => BinaryCrossEntropy,
        "categorical" => CategoricalCrossEntropy,
        "squared_error" => SquaredError,
        "huber" => Huber { delta: 0.75 },
        "log_cosh" => LogCosh,
        other => {
            assert_eq!(other, "poisson");
            Poisson
        }
    }
}

/// Compares one line of the table with the network's result.
fn check<T: Scalar>(
    fields: &[&str],
    (least, most, epsilon): (f64, f64, f64),
) -> Result<(), String> {
    let list =
        |i: usize| -> Vec<f64> { fields[i].split(',').map(|x| x.parse().unwrap()).collect() };
    let scalars = |i: usize| -> Vec<T> { list(i).into_iter().map(convert).collect() };
    let [overflows, underflows, edge] = ['o', 'u', 'e'].map(|note| fields[7].contains(note));
    let (theta, x, y) = (scalars(4), scalars(5), scalars(6));
    let expected = [list(8), list(9), list(10)].concat();
    let builder = Network::<T>::builder(1);
    let builder = match fields[1] {
        "-" => builder,
        hidden => builder.dense(1, activation(hidden)),
    };
    let network = builder
        .dense(y.len(), activation(fields[2]))
        .with_theta(&theta)
        .unwrap();
    let (x, y) = (DMatrix::from_vec(1, 1, x), DMatrix::from_vec(y.len(), 1, y));
    let examples = Examples::new(&x, &y).unwrap();
    let found = network.gradients(&examples, &Objective::new(cost(fields[3])));
    let beyond = expected.iter().any(|x| x.abs() > most);
    let (pass, by_inputs) = match found {
        Ok(found) => found,
        Err(_) if overflows || edge || beyond => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let mut found = vec![pass.cost()];
    found.extend(pass.gradient().vector().iter());
    found.extend(by_inputs.iter());
    for (&found, expected) in found.iter().zip(&expected) {
        let found: f64 = found.to_subset().unwrap();
        let units = (found - expected).abs() / (epsilon * expected.abs());
        let units = if expected.abs() < least {
            // A subnormal result has an absolute error. After an underflow any subnormal number
            // passes.
            let unit = if underflows { least } else { epsilon * least };
            (found - expected).abs() / unit
        } else if underflows {
            // An intermediate underflow counts as 0.
            if found.is_finite() && found.abs() <= 2.0 * expected.abs() {
                0.0
            } else {
                units
            }
        } else {
            units
        };
        if units.is_nan() || units > UNITS {
            return Err(format!("{found:e} for {expected:e}: {units:.1}"));
        }
    }
    Ok(())
}

#[test]
fn calls_return_the_correct_number_or_a_typed_error() {
    let mut failures = Vec::new();
    for line in include_str!("extremes.txt").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let double = (f64::MIN_POSITIVE, f64::MAX, f64::EPSILON);
        let single = (
            f32::MIN_POSITIVE.into(),
            f32::MAX.into(),
            f32::EPSILON.into(),
        );
        let result = match fields[0] {
            "f64" => check::<f64>(&fields, double),
            _ => check::<f32>(&fields, single),
        };
        if let Err(error) = result {
            failures.push(format!("{error}: {line}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
