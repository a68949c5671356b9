//! Rounding must not destroy digits: in saturated units, in long streams, and for weights and
//! parameters beyond the range of the scalar.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Identity, LeakyRelu, Sigmoid, Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, BinaryCrossEntropy, Builder, CategoricalCrossEntropy, Error, Examples, Location,
    Network, Objective, Penalty, SquaredError, Workspace,
};
use num_dual::Dual64;

/// If a weight overflows to ∞ or underflows to 0 in the scalar type, the mean would be 0 or NaN.
#[test]
fn weights_that_overflow_or_underflow_are_refused() {
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
        Err(Error::NonFinite {
            at: Location::Input {
                what: "θ",
                row: 1,
                ..
            },
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

/// If a has rounded to 1, a − y has no digits left. The gradient keeps them, because z has not
/// rounded.
#[test]
fn saturated_gradients_keep_their_digits() {
    for (activation, cost) in [
        (Sigmoid, BinaryCrossEntropy),
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
                // The logarithmic costs resolve a distance from the target that is smaller than the
                // last digit of a.
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

/// 100,000 batches of one example in f32. A plain sum of their costs would lose three digits.
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

/// Pairwise sums. A plain sum of 10⁶ costs would be wrong in the third digit.
#[test]
fn a_million_costs_keep_the_digits_of_j_in_one_batch() {
    let m = 1_000_000;
    let network = Builder::<f32>::new(1)
        .dense(1, Identity)
        .with_theta(&[0.1, 0.7])
        .unwrap();
    for x in [
        DMatrix::repeat(1, m, 0.3_f32),
        DMatrix::from_fn(1, m, |_, k| (k as f32 * 0.37).sin()),
    ] {
        let y = DMatrix::repeat(1, m, 0.0_f32);
        let examples = Examples::new(&x, &y).unwrap();
        let found = network.cost(&examples, &Objective::new(SquaredError));
        // The costs computed in f32, but summed in f64.
        let mut workspace = Workspace::new();
        network
            .cost_into(&examples, &Objective::new(SquaredError), &mut workspace)
            .unwrap();
        let costs = workspace.costs().iter().copied().map(f64::from);
        let expected = costs.sum::<f64>() / m as f64;
        assert!((f64::from(found.unwrap()) / expected - 1.0).abs() <= 1e-6);
    }
}

/// ln Σ e^z in f32 is within 4 units in the last place of max |z|, compared with f64.
#[test]
fn the_log_sum_exp_of_f32_keeps_its_digits() {
    for scale in [1e-3_f32, 1.0, 30.0, 1e4] {
        for k in 2..12_u16 {
            let z: Vec<f32> = (0..k)
                .map(|i| scale * (f32::from(i) * 1.7 + f32::from(k)).sin())
                .collect();
            let mut theta = z.clone();
            theta.resize(2 * z.len(), 0.0);
            let network = Builder::<f32>::new(1)
                .dense(z.len(), Softmax)
                .with_theta(&theta)
                .unwrap();
            // The target is the largest z, so the cost is ln Σ e^(z − max z).
            let max = z.iter().copied().fold(f32::MIN, f32::max);
            let x = DMatrix::repeat(1, 1, 0.0);
            let y = DMatrix::from_fn(z.len(), 1, |i, _| f32::from(u8::from(z[i] == max)));
            let examples = Examples::new(&x, &y).unwrap();
            let objective = Objective::new(CategoricalCrossEntropy);
            let found = f64::from(network.cost(&examples, &objective).unwrap());
            let sum: f64 = z
                .iter()
                .map(|&z| (f64::from(z) - f64::from(max)).exp())
                .sum();
            let size = z.iter().fold(0.0_f32, |size, z| size.max(z.abs()));
            let ulp = f64::from(f32::from_bits(size.to_bits() + 1) - size);
            // The cost is log-sum-exp minus z: one subtraction.
            let error = (found - sum.ln()).abs();
            assert!(
                error <= 4.0 * ulp.max(6e-8),
                "{k} of {scale}: {error:e}, ulp {ulp:e}"
            );
        }
    }
}
