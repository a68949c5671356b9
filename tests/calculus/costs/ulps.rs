//! Costs, δ and its tangent are within 4 units in the last place of the largest term.
//! `reference.py` (mpmath) wrote the table, `ulps.txt`.

use super::activate;
use backprop::Scalar;
use backprop::activation::{
    AnyActivation, Elu, Exponential, Identity, Sigmoid, Softmax, Softsign, Tanh,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Cost, Huber, LogCosh, Outputs, Poisson,
    SquaredError,
};
use backprop::nalgebra::{DMatrix, convert};
use num_dual::{Dual32, Dual64};

/// A number and its largest term.
#[derive(Clone, Copy)]
struct Sized {
    value: f64,
    size: f64,
}

/// One line of the table.
struct Row<'a> {
    text: &'a str,
    activation: AnyActivation,
    cost: AnyCost,
    z: Vec<f64>,
    y: Vec<f64>,
    value: Sized,
    delta: Vec<Sized>,
    tangent: Vec<Sized>,
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

fn sized(text: &str) -> Sized {
    let (value, size) = text.split_once('/').unwrap_or((text, text));
    let [value, size] = [value, size].map(number);
    Sized {
        value,
        size: size.abs(),
    }
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    include_str!("ulps.txt").lines().map(|text| {
        let fields: Vec<&str> = text.split(' ').collect();
        let list = |i: usize| fields[i].split(',').map(number).collect();
        let sizes = |i: usize| fields[i].split(',').map(sized).collect();
        Row {
            text,
            activation: match fields[0] {
                "sigmoid" => Sigmoid,
                "tanh" => Tanh,
                "softsign" => Softsign,
                "exponential" => Exponential,
                "elu" => Elu { alpha: 1.5 },
                "softmax" => Softmax,
                _ => Identity,
            },
            cost: match fields[1] {
                "cross_entropy" => BinaryCrossEntropy,
                "categorical" => CategoricalCrossEntropy,
                "squared_error" => SquaredError,
                "huber" => Huber { delta: 0.75 },
                "log_cosh" => LogCosh,
                _ => Poisson,
            },
            z: list(2),
            y: list(3),
            value: sized(fields[4]),
            delta: sizes(5),
            tangent: sizes(6),
        }
    })
}

fn is_canonical(activation: AnyActivation, cost: AnyCost) -> bool {
    let pairs = [
        (Sigmoid, BinaryCrossEntropy),
        (Softmax, CategoricalCrossEntropy),
        (Exponential, Poisson),
    ];
    pairs.contains(&(activation, cost))
}

fn is_single<T: Scalar>() -> bool {
    convert::<f64, T>(1.0 + f64::EPSILON) == T::one()
}

/// The smallest normal number.
fn least<T: Scalar>() -> f64 {
    if is_single::<T>() {
        f32::MIN_POSITIVE.into()
    } else {
        f64::MIN_POSITIVE
    }
}

/// The error in units in the last place of the number or its largest term, whichever is larger. 0
/// if that overflows the type and the result is not finite.
fn units<T: Scalar>(found: T, expected: Sized) -> f64 {
    let single = is_single::<T>();
    let most = if single { f32::MAX.into() } else { f64::MAX };
    let size = expected.size.max(expected.value.abs());
    if size > most && !found.is_finite() {
        return 0.0;
    }
    let (digits, least) = if single { (23, -126) } else { (52, -1022) };
    let exponent = match size == 0.0 {
        true => least,
        false => (size.log2().floor() as i32).max(least),
    };
    let found = found.to_subset().unwrap_or(f64::NAN);
    let units = (found - expected.value).abs() / 2.0_f64.powi(exponent - digits);
    if units.is_nan() { f64::INFINITY } else { units }
}

/// Units in the last place for costs and δ. y/a² and (1 − y)/(1 − a)² have twice the error of a and
/// 1 − a.
const UNITS: f64 = 4.0;
const UNITS_OF_TANGENTS: f64 = 6.0;

/// Every line in a batch of equal examples, in whole registers and in a tail.
fn all_have_their_digits<T: Scalar>(examples: usize) {
    let mut failures = Vec::new();
    for row in rows() {
        let shape = (row.z.len(), examples);
        let matrix = |x: &[f64]| DMatrix::<T>::from_fn(shape.0, shape.1, |i, _| convert(x[i]));
        let (z, y) = (matrix(&row.z), matrix(&row.y));
        let a = activate(row.activation, &z);
        if a.iter()
            .any(|&a| a > T::zero() && a < convert(least::<T>()))
        {
            continue; // a has lost digits
        }
        let of_z = is_canonical(row.activation, row.cost).then(|| z.as_view());
        let at = Outputs::new(of_z, a.as_view(), y.as_view());
        let at = at.activated_by(row.activation, z.as_view());
        let mut values = vec![T::zero(); examples];
        row.cost.values(&at, &mut values);
        let (mut delta, mut tangent) = (z.clone(), z.clone());
        row.cost.delta(&at, delta.as_view_mut());
        let along = DMatrix::repeat(shape.0, examples, T::one());
        let done = row
            .cost
            .delta_tangent(&at, along.as_view(), tangent.as_view_mut());
        assert_eq!(done, Ok(()));
        let mut judge = |what: &str, found: T, expected: Sized, most: f64| {
            let units = units(found, expected);
            if units > most {
                failures.push(format!("{what}: {found}, {units:.1} units: {}", row.text));
            }
        };
        for k in 0..examples {
            judge("cost", values[k], row.value, UNITS);
            for i in 0..shape.0 {
                judge("δ", delta[(i, k)], row.delta[i], UNITS);
                judge(
                    "tangent",
                    tangent[(i, k)],
                    row.tangent[i],
                    UNITS_OF_TANGENTS,
                );
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn doubles() {
    all_have_their_digits::<f64>(11);
}

#[test]
fn singles() {
    all_have_their_digits::<f32>(19);
}

#[test]
fn duals() {
    all_have_their_digits::<Dual64>(1);
    all_have_their_digits::<Dual32>(1);
}
