//! Penalties: values by hand, strengths by layer and block, kinks and refusals.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers may panic to fail tests"
)]

use backprop::activation::{Identity, Sigmoid, Tanh};
use backprop::gradient_check::{GradientCheck, Verdict};
use backprop::layer::{AnyLayer, Backward, Block, Forward, Layer, LayerGradient, Plan, Site};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, BinaryCrossEntropy, Builder, Dense, Error, Examples, Network, Objective, Penalty,
    Scalar, SquaredError, Strength, Workspace,
};
use num_dual::Dual64;

const NONE: Strength = Strength { l1: 0.0, l2: 0.0 };

/// 2-2-1 identity units. The weights have both signs and a 0; no penalty may touch the biases.
fn network() -> Network<f64> {
    let mut network = Network::builder(2)
        .dense(2, Identity)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let first = DMatrix::from_row_slice(2, 3, &[10.0, 1.0, -2.0, -20.0, 0.0, 3.0]);
    let second = DMatrix::from_row_slice(1, 3, &[30.0, -4.0, 0.5]);
    network.set_block(0, 0, &first).unwrap();
    network.set_block(1, 0, &second).unwrap();
    network
}

/// Four examples with weights that sum to m = 5. The network fits them exactly, so J and D come
/// only from the penalty.
fn exact() -> (DMatrix<f64>, DMatrix<f64>, [f64; 4]) {
    let x = DMatrix::from_row_slice(2, 4, &[1.0, 0.0, -1.0, 2.0, 0.5, 1.0, 0.0, -1.0]);
    let y = network().forward(&x).unwrap();
    (x, y, [1.0, 2.0, 0.0, 2.0])
}

/// J, and the rows of D for both layers, times m = 5.
fn scaled(penalty: &Penalty) -> (f64, [f64; 6], [f64; 3]) {
    let (network, (x, y, weights)) = (network(), exact());
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let objective = Objective::new(SquaredError).penalty(penalty.clone());
    let pass = network.backprop(&examples, &objective).unwrap();
    let parts = pass.cost_parts();
    assert_eq!(parts.data, 0.0);
    let row_major = |layer: usize| {
        let d = pass.gradient().layer(layer).unwrap().transpose() * 5.0;
        d.as_slice().to_vec()
    };
    let [first, second] = [0, 1].map(row_major);
    (
        parts.total() * 5.0,
        first.try_into().unwrap(),
        second.try_into().unwrap(),
    )
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f - e).abs() <= 4.0 * f64::EPSILON * e.abs(),
            "{f} is not {e}"
        );
    }
}

#[test]
fn values_and_gradients_equal_those_computed_by_hand() {
    // |Θ⁽¹⁾| sums to 1 + 2 + 0 + 3 = 6 and |Θ⁽²⁾| to 4.5. The squares sum to 14 and 16.25. Biases
    // never count.
    let (half, quarter) = (
        Strength { l1: 0.5, l2: 0.0 },
        Strength { l1: 0.0, l2: 0.25 },
    );
    let both = Strength { l1: 0.5, l2: 0.25 };
    let signs = ([0.0, 0.5, -0.5, 0.0, 0.0, 0.5], [0.0, -0.5, 0.5]);
    let quarters = ([0.0, 0.25, -0.5, 0.0, 0.0, 0.75], [0.0, -1.0, 0.125]);
    let sums = ([0.0, 0.75, -1.0, 0.0, 0.0, 1.25], [0.0, -1.5, 0.625]);
    let (no_first, no_second) = ([0.0; 6], [0.0; 3]);
    for (penalty, j, first, second) in [
        (Penalty::none(), 0.0, no_first, no_second),
        (Penalty::l1(0.5), 5.25, signs.0, signs.1),
        (Penalty::l2(0.25), 3.78125, quarters.0, quarters.1),
        (Penalty::elastic_net(0.5, 0.25), 9.03125, sums.0, sums.1),
        (Penalty::none().layer(1, half), 2.25, no_first, signs.1),
        (Penalty::l1(0.5).layer(1, NONE), 3.0, signs.0, no_second),
        (Penalty::l1(0.5).layer(0, quarter), 4.0, quarters.0, signs.1),
        (Penalty::none().layer(0, both), 4.75, sums.0, no_second),
        (
            Penalty::l2(9.0).block(0, 0, half).layer(1, quarter),
            5.03125,
            signs.0,
            quarters.1,
        ),
        // The last call for a block wins.
        (
            Penalty::none().block(0, 0, both).layer(0, half),
            3.0,
            signs.0,
            no_second,
        ),
        (
            Penalty::none().layer(0, half).block(0, 0, both),
            4.75,
            sums.0,
            no_second,
        ),
    ] {
        let (found_j, found_first, found_second) = scaled(&penalty);
        assert_close(&[found_j], &[j]);
        assert_close(&found_first, &first);
        assert_close(&found_second, &second);
        // Every other method that reports the objective agrees.
        let (network, (x, y, weights)) = (network(), exact());
        let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
        let objective = Objective::new(SquaredError).penalty(penalty.clone());
        assert_close(&[network.cost(&examples, &objective).unwrap() * 5.0], &[j]);
        let mut sums = Accumulator::new(&network).unwrap();
        sums.add(&network, &examples, &SquaredError, &mut Workspace::new())
            .unwrap();
        let finished = sums.finish(&network, &penalty).unwrap();
        assert_eq!(finished, network.backprop(&examples, &objective).unwrap());
        // The penalty does not depend on X.
        let below = network.input_gradient(&examples, &objective).unwrap();
        assert_eq!(below, DMatrix::zeros(2, 4));
    }
}

#[test]
fn setters_of_the_objective_leave_the_rest() {
    let of = |objective: Objective| objective.penalty;
    let new = || Objective::new(BinaryCrossEntropy);
    assert_eq!(of(new()), Penalty::none());
    assert_eq!(of(new().l1(1.0)), Penalty::l1(1.0));
    assert_eq!(of(new().l1(1.0).l2(2.0)), Penalty::elastic_net(1.0, 2.0));
    assert_eq!(of(new().l2(2.0).l1(1.0)), Penalty::elastic_net(1.0, 2.0));
    assert_eq!(
        of(new().l2(2.0).l1(1.0).l2(3.0)),
        Penalty::elastic_net(1.0, 3.0)
    );
    let layered = Penalty::l1(1.0).layer(1, NONE);
    let expected = Penalty::elastic_net(1.0, 2.0).layer(1, NONE);
    assert_eq!(of(new().l2(7.0).penalty(layered).l2(2.0)), expected);
}

/// γ ∘ x + κ: two blocks, neither with exempt columns.
#[derive(Clone, Debug, PartialEq)]
struct ScaleAndShift(usize);

impl<T: Scalar> Layer<T> for ScaleAndShift {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        site.check_inputs(self.0)?;
        Ok(Plan::new(site, self.0)
            .block(Block::new("γ", self.0, 1))
            .block(Block::new("κ", self.0, 1)))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        for (k, x) in pass.input.column_iter().enumerate() {
            for i in 0..self.0 {
                pass.output[(i, k)] = pass.at.theta[i] * x[i] + pass.at.theta[self.0 + i];
            }
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = pass.gradient {
            gradient.fill(T::zero());
            for (x, delta) in pass.input.column_iter().zip(pass.delta.column_iter()) {
                for i in 0..self.0 {
                    gradient[i] += delta[i] * x[i];
                    gradient[self.0 + i] += delta[i];
                }
            }
        }
        if let Some(mut below) = pass.input_delta {
            for (k, delta) in pass.delta.column_iter().enumerate() {
                for i in 0..self.0 {
                    below[(i, k)] = pass.at.theta[i] * delta[i];
                }
            }
        }
    }
}

/// Each block has its own strength, in J and in D. Dual numbers give every derivative.
#[test]
fn blocks_have_their_own_strengths() {
    let theta: Vec<f64> = (0..9 + 6 + 4)
        .map(|i| 1.3 * (1.7 * f64::from(i)).sin())
        .collect();
    let network: Network<f64, AnyLayer<ScaleAndShift>> = Builder::new(2)
        .dense(3, Tanh)
        .layer(AnyLayer::Custom(ScaleAndShift(3)))
        .layer(Dense::new(3, 1, Sigmoid).into())
        .with_theta(&theta)
        .unwrap();
    let x = DMatrix::from_fn(2, 5, |i, k| ((1 + i + 2 * k) as f64).cos());
    let y = DMatrix::from_fn(1, 5, |_, k| f64::from(k % 2 == 0));
    let penalty = Penalty::elastic_net(0.3, 0.2)
        .block(1, 0, Strength { l1: 0.7, l2: 0.0 })
        .block(1, 1, Strength { l1: 0.0, l2: 1.9 })
        .layer(2, Strength { l1: 0.05, l2: 0.4 });
    assert_eq!(penalty.strength(0, 0), Strength { l1: 0.3, l2: 0.2 });
    assert_eq!(penalty.strength(1, 1).l2, 1.9);
    let objective = Objective::new(BinaryCrossEntropy).penalty(penalty);
    let examples = Examples::new(&x, &y).unwrap();
    let pass = network.backprop(&examples, &objective).unwrap();
    GradientCheck::new()
        .network(&network, &examples, &objective)
        .unwrap()
        .assert_passed();

    let (dual_x, dual_y) = (x.map(Dual64::from), y.map(Dual64::from));
    let dual_examples = Examples::new(&dual_x, &dual_y).unwrap();
    for (i, &found) in pass.gradient().vector().iter().enumerate() {
        let mut index = 0;
        let lifted = network.map(|w| {
            index += 1;
            Dual64::new(w, f64::from(index == i + 1))
        });
        let j = lifted.unwrap().cost(&dual_examples, &objective).unwrap();
        assert!((j.re - pass.cost()).abs() <= 1e-14);
        assert!((j.eps - found).abs() <= 1e-13 * found.abs(), "entry {i}");
    }

    // By hand: γ holds entries 9, 10, 11 of θ, κ the next three.
    let (gamma, kappa) = (&theta[9..12], &theta[12..15]);
    let magnitudes = |x: &[f64]| x.iter().map(|x| x.abs()).sum::<f64>();
    let squares = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
    let ours = 0.7 * magnitudes(gamma) + 0.95 * squares(kappa);
    let first = 0.3 * magnitudes(&theta[3..9]) + 0.1 * squares(&theta[3..9]);
    let last = 0.05 * magnitudes(&theta[16..19]) + 0.2 * squares(&theta[16..19]);
    assert_close(&[pass.cost_parts().penalty], &[(ours + first + last) / 5.0]);
}

/// At a weight of exactly 0 the gradient comes only from the data. The checker sees the kink next
/// to it and reports a kink.
#[test]
fn the_kink_of_l1_is_reported() {
    let weight = |w: f64| {
        let network = Network::<f64>::builder(1).dense(1, Identity);
        network.with_theta(&[0.25, w]).unwrap()
    };
    let x = DMatrix::from_row_slice(1, 2, &[1.0, 3.0]);
    let y = DMatrix::from_row_slice(1, 2, &[0.5, -1.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let (plain, lasso) = (
        Objective::new(SquaredError),
        Objective::new(SquaredError).l1(4.0),
    );
    let of = |network: &Network<f64>, objective| network.gradient_vector(&examples, objective);
    for zero in [0.0, -0.0] {
        let network = weight(zero);
        assert_eq!(of(&network, &plain), of(&network, &lasso));
        let report = GradientCheck::new()
            .network(&network, &examples, &lasso)
            .unwrap();
        report.assert_passed();
    }
    for (near, sign) in [(1e-7, 1.0), (-1e-7, -1.0)] {
        let network = weight(near);
        let (with, without) = (of(&network, &lasso).unwrap(), of(&network, &plain).unwrap());
        assert!((with[1] - without[1] - sign * 2.0).abs() < 1e-12);
        let report = GradientCheck::new()
            .network(&network, &examples, &lasso)
            .unwrap();
        let verdict = report.block("Θ⁽¹⁾").map(|b| b.verdict);
        assert_eq!(verdict, Some(Verdict::SuspectedKink), "{report}");
    }
}
