//! Every instruction set that `BACKPROP_SIMD` names, in its own process: no crash, and the same
//! numbers up to rounding.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Identity, Relu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::{DMatrix, RealField, convert};
use backprop::{
    AnyActivation, AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Examples, GaussNewton,
    Initialization, Network, Objective, SquaredError, Tangent, rng,
};
use num_dual::HyperHyperDual64;
use std::process::Command;

/// J, ∇J and further derivatives of some networks, for one scalar.
fn results_of<T: RealField + Copy>() -> Vec<f64> {
    let cases: [(&[usize], AnyActivation, AnyActivation, AnyCost, usize); 4] = [
        (&[2, 4, 1], Sigmoid, Sigmoid, BinaryCrossEntropy, 4),
        (&[40, 25, 10], Tanh, Softmax, CategoricalCrossEntropy, 600),
        (&[33, 130, 17, 3], Relu, Identity, SquaredError, 65),
        (&[7, 5, 2], Tanh, Tanh, SquaredError, 1),
    ];
    let mut all = Vec::new();
    for (sizes, hidden, output, cost, m) in cases {
        let mut builder = Network::<T>::builder(sizes[0]);
        for &units in &sizes[1..sizes.len() - 1] {
            builder = builder.dense(units, hidden);
        }
        let k = *sizes.last().unwrap();
        let network = builder
            .dense(k, output)
            .initialize(Initialization::GlorotUniform, &mut rng(2))
            .unwrap();
        let x = DMatrix::from_fn(sizes[0], m, |i, j| {
            convert::<f64, T>((1.1 * i as f64 + 0.3 * j as f64).sin())
        });
        let y = DMatrix::from_fn(k, m, |i, j| convert::<f64, T>(f64::from(i == j % k)));
        let examples = Examples::new(&x, &y).unwrap();
        let pass = network
            .backprop(&examples, &Objective::new(cost).l2(0.2))
            .unwrap();
        all.push(pass.cost());
        all.extend(pass.gradient().vector().iter());
        // v is short, so that all products are smaller than the results above.
        let (p, objective) = (network.parameters(), Objective::new(cost).l2(0.2));
        let v: Vec<T> = (0..p)
            .map(|i| convert((0.7 * i as f64).sin() / p as f64))
            .collect();
        let direction = Tangent::of_parameters(&v).and_inputs(&x);
        all.extend(network.jvp(&x, direction).unwrap().iter());
        let product = network.hessian_product(&examples, &objective, &v).unwrap();
        all.extend(product.iter());
        for at in [GaussNewton::Logits, GaussNewton::Outputs] {
            let product = network.gauss_newton_product(&examples, &objective, at, &v);
            all.extend(product.unwrap().iter());
        }
        let norms = network.example_gradients(&examples, &cost).norms().unwrap();
        all.extend(norms.iter());
        all.extend(network.output_jacobian(&x).unwrap().iter());
    }
    let real = |x: T| backprop::nalgebra::try_convert::<T, f64>(x).unwrap();
    all.into_iter().map(real).collect()
}

/// The results for the two scalars with fast paths and for one wider than a register.
fn results() -> [Vec<f64>; 3] {
    [
        results_of::<f64>(),
        results_of::<f32>(),
        results_of::<HyperHyperDual64>(),
    ]
}

/// Not a test: prints the results in the child processes below.
#[test]
fn printed() {
    if std::env::var_os("PRINT_RESULTS").is_some() {
        let all = results().concat();
        let bits: Vec<String> = all.iter().map(|x| x.to_bits().to_string()).collect();
        println!("results {}", bits.join(" "));
    }
}

#[test]
fn every_level_computes_the_same() {
    let here = results();
    for level in ["off", "avx2", "avx512", "nonsense"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["levels::printed", "--exact", "--nocapture"])
            .env("PRINT_RESULTS", "1")
            .env("BACKPROP_SIMD", level)
            .output()
            .unwrap();
        assert!(output.status.success(), "{level}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, printed) = text.split_once("results ").unwrap();
        let line = printed.lines().next().unwrap();
        let mut found = line
            .split(' ')
            .map(|bits| f64::from_bits(bits.parse().unwrap()));
        // A scalar without fast paths must have the same bits.
        for (here, bound) in here.iter().zip([1e-13, 1e-5, 0.0]) {
            let size = here.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
            for &here in here {
                let found = found.next().unwrap();
                assert!(
                    (found - here).abs() <= bound * size,
                    "{level}: {found} and {here}"
                );
            }
        }
        assert_eq!(found.next(), None);
    }
}
