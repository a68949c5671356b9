//! Points where rounding does not show: exact fits, and raw inputs of a single example.

use backprop::activation::{Elu, Identity, Sigmoid, Sine, Softplus, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Examples, Initialization, Network, Objective, Scalar, SquaredError, rng};
use std::ops::Range;

/// At an exact fit J and δ are 0, but one step away their rounding errors are not.
#[test]
fn an_exact_fit_is_not_wrong() {
    for (k, activation) in [Softplus, Tanh, Sine, Elu { alpha: 1.0 }, Sigmoid]
        .into_iter()
        .enumerate()
    {
        for seed in 0..60 {
            let mut random = rng(1000 * k as u64 + seed);
            let network = Network::<f64>::builder(1)
                .dense(1, activation)
                .initialize(Initialization::Uniform { epsilon: 1.0 }, &mut random)
                .unwrap();
            let x = DMatrix::repeat(1, 1, 0.1 + 0.01 * seed as f64);
            let y = network.forward(&x).unwrap();
            let examples = Examples::new(&x, &y).unwrap();
            let objective = Objective::new(SquaredError);
            let report = GradientCheck::new().network(&network, &examples, &objective);
            report.unwrap().assert_passed();
        }
    }
}

/// With raw inputs, a changes only in steps of its rounding error.
#[test]
fn raw_inputs_of_one_example_are_not_wrong() {
    fn check<T: Scalar>(sizes: Range<i32>) {
        for seed in 0..200_u64 {
            let mut random = rng(seed);
            let network = Network::<T>::builder(1)
                .dense(1, Identity)
                .initialize(Initialization::Uniform { epsilon: 1.0 }, &mut random)
                .unwrap();
            let size = 10_f64.powi(sizes.start + seed as i32 % sizes.len() as i32);
            let x = size * (1.0 + (seed as f64).sin().abs() * 8.0);
            let x = DMatrix::repeat(1, 1, convert::<f64, T>(x));
            let off: T = convert(0.7 * (seed as f64 * 0.37).cos());
            let y = network.forward(&x).unwrap().map(|a| a + off);
            let examples = Examples::new(&x, &y).unwrap();
            let objective = Objective::new(SquaredError);
            let report = GradientCheck::new().network(&network, &examples, &objective);
            report.unwrap().assert_passed();
        }
    }
    check::<f32>(4..6);
    check::<f64>(6..12);
}
