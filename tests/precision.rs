//! Digits that rounding must not take: saturated units, long streams, weights and parameters that a scalar cannot hold.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use backprop::activation::{Identity, LeakyRelu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, Builder, CategoricalCrossEntropy, CrossEntropy, Error, Examples, Network,
    Objective, Penalty, SquaredError, Workspace,
};
use num_dual::Dual64;

/// A mean by a weight that has become ∞ or 0 in the scalar type would be 0, or NaN.
#[test]
fn weights_that_the_scalar_cannot_sum_are_refused() {
    let (x, y) = (
        DMatrix::repeat(3, 3, 0.5_f32),
        DMatrix::repeat(2, 3, 0.5_f32),
    );
    let examples = Examples::new(&x, &y).unwrap();
    for weight in [1.3e38, 1e39, 1e-42, 1e-50] {
        let weights = [weight; 3];
        let refused = examples.weighted(&weights);
        assert!(
            matches!(refused, Err(Error::TotalWeight { .. })),
            "{weight}"
        );
    }
    assert!(examples.weighted(&[1e38, 0.0, 1e38]).is_ok());

    let network = Network::<f64>::builder(1).dense(1, Tanh).zeros().unwrap();
    let (x, y) = (DMatrix::repeat(1, 2, 0.5), DMatrix::repeat(1, 2, 0.5));
    let weights = [1e308, 0.0];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let mut sums = Accumulator::new(&network).unwrap();
    let add = |sums: &mut Accumulator<f64>| {
        sums.add(&network, &examples, &SquaredError, &mut Workspace::new())
    };
    add(&mut sums).unwrap();
    let before = sums.clone();
    assert!(matches!(add(&mut sums), Err(Error::TotalWeight { .. })));
    assert!(matches!(
        sums.merge(&before),
        Err(Error::TotalWeight { .. })
    ));
    assert_eq!(sums, before);
}

#[test]
fn map_gives_a_valid_network_or_none() {
    let network = Builder::<f64>::new(1)
        .dense(1, Sigmoid)
        .with_theta(&[0.0, 1e300])
        .unwrap();
    assert!(matches!(
        network.map(|w| w as f32),
        Err(Error::NonFiniteInput {
            what: "θ",
            row: 1,
            ..
        })
    ));
    let steep = Builder::<f64>::new(1)
        .dense(1, LeakyRelu { slope: 1e300 })
        .zeros()
        .unwrap();
    assert!(matches!(
        steep.map(|w| w as f32),
        Err(Error::Hyperparameter { .. })
    ));
}

/// Where a has rounded to 1, a − y has no digits left; the gradient keeps them, because z has not rounded.
#[test]
fn saturated_gradients_keep_their_digits() {
    for (activation, cost) in [
        (Sigmoid, CrossEntropy),
        (Softmax, CategoricalCrossEntropy),
        (Sigmoid, SquaredError),
        (Tanh, SquaredError),
    ] {
        for z in [-40.0, -30.0, -15.0, 0.0, 15.0, 30.0, 40.0] {
            let network = Builder::<f64>::new(1)
                .dense(2, activation)
                .with_theta(&[0.0, 0.1, z, -z])
                .unwrap();
            let (x, y) = (
                DMatrix::repeat(1, 1, 1.0),
                // The logarithmic costs know how far a is from its target; of a − y that is less than a's last digit.
                match cost {
                    SquaredError => DMatrix::from_column_slice(2, 1, &[0.9, 0.1]),
                    _ => DMatrix::from_column_slice(2, 1, &[1.0, 0.0]),
                },
            );
            let objective = Objective::new(cost);
            let examples = Examples::new(&x, &y).unwrap();
            let gradient = network.gradient_vector(&examples, &objective).unwrap();
            let (x, y) = (x.map(Dual64::from_re), y.map(Dual64::from_re));
            let examples = Examples::new(&x, &y).unwrap();
            for i in 0..4 {
                let mut index = 0;
                let moved = network.map(|w| {
                    index += 1;
                    Dual64::new(w, f64::from(index - 1 == i))
                });
                let exact = moved.unwrap().cost(&examples, &objective).unwrap().eps;
                assert!(
                    (gradient[i] - exact).abs() <= 1e-12 * exact.abs(),
                    "{activation:?} {cost:?} at {z}: {} and {exact}",
                    gradient[i]
                );
            }
        }
    }
}

/// 100,000 batches of one example in f32: a plain sum of their costs would lose three digits.
#[test]
fn streams_keep_the_digits_of_j() {
    let network = Network::<f32>::builder(1)
        .dense(1, Identity)
        .with_theta(&[0.3, 0.0])
        .unwrap();
    let (x, y) = (DMatrix::repeat(1, 1, 1.0), DMatrix::repeat(1, 1, 0.0));
    let examples = Examples::new(&x, &y).unwrap();
    let (mut sums, mut workspace) = (Accumulator::new(&network).unwrap(), Workspace::new());
    for _ in 0..100_000 {
        sums.add(&network, &examples, &SquaredError, &mut workspace)
            .unwrap();
    }
    let j = sums.finish(&network, &Penalty::none()).unwrap().cost();
    assert!((j / (0.5 * 0.3 * 0.3) - 1.0).abs() < 1e-6, "{j}");
}
