//! Every set of instructions that `BACKPROP_SIMD` names, each in a process of its own: the same numbers to rounding, and no crash.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use backprop::activation::{Identity, Relu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    AnyActivation, AnyCost, CategoricalCrossEntropy, CrossEntropy, Examples, Initialization,
    Network, Objective, SquaredError, rng,
};
use std::process::Command;

/// J and ∇J of some networks.
fn results() -> Vec<f64> {
    let cases: [(&[usize], AnyActivation, AnyActivation, AnyCost, usize); 4] = [
        (&[2, 4, 1], Sigmoid, Sigmoid, CrossEntropy, 4),
        (&[40, 25, 10], Tanh, Softmax, CategoricalCrossEntropy, 600),
        (&[33, 130, 17, 3], Relu, Identity, SquaredError, 65),
        (&[7, 5, 2], Tanh, Tanh, SquaredError, 1),
    ];
    let mut all = Vec::new();
    for (sizes, hidden, output, cost, m) in cases {
        let mut builder = Network::<f64>::builder(sizes[0]);
        for &units in &sizes[1..sizes.len() - 1] {
            builder = builder.dense(units, hidden);
        }
        let k = *sizes.last().unwrap();
        let network = builder
            .dense(k, output)
            .initialize(Initialization::GlorotUniform, &mut rng(2))
            .unwrap();
        let x = DMatrix::from_fn(sizes[0], m, |i, j| (1.1 * i as f64 + 0.3 * j as f64).sin());
        let y = DMatrix::from_fn(k, m, |i, j| f64::from(i == j % k));
        let examples = Examples::new(&x, &y).unwrap();
        let pass = network
            .backprop(&examples, &Objective::new(cost).l2(0.2))
            .unwrap();
        all.push(pass.cost());
        all.extend(pass.gradient().vector().iter());
    }
    all
}

/// Not a test of its own: what the processes below print.
#[test]
fn printed() {
    if std::env::var_os("PRINT_RESULTS").is_some() {
        let bits: Vec<String> = results().iter().map(|x| x.to_bits().to_string()).collect();
        println!("results {}", bits.join(" "));
    }
}

#[test]
fn every_level_computes_the_same() {
    let here = results();
    for level in ["off", "avx2", "avx512", "nonsense"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["printed", "--exact", "--nocapture"])
            .env("PRINT_RESULTS", "1")
            .env("BACKPROP_SIMD", level)
            .output()
            .unwrap();
        assert!(output.status.success(), "{level}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, printed) = text.split_once("results ").unwrap();
        let line = printed.lines().next().unwrap();
        let found: Vec<f64> = line
            .split(' ')
            .map(|bits| f64::from_bits(bits.parse().unwrap()))
            .collect();
        assert_eq!(found.len(), here.len());
        let size = here.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
        for (found, here) in found.iter().zip(&here) {
            assert!(
                (found - here).abs() <= 1e-13 * size,
                "{level}: {found} and {here}"
            );
        }
    }
}
