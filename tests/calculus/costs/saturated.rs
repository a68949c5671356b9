//! Every use of δ at outputs that have rounded to their targets: costs, passes, sums, single
//! examples, inputs, traces, products and training.

use backprop::activation::{AnyActivation, Sigmoid, Softmax, Tanh};
use backprop::cost::{AnyCost, Cost, Outputs, SquaredError};
use backprop::nalgebra::{DMatrix, DMatrixViewMut, convert};
use backprop::{
    Accumulator, Examples, GaussNewton, GradientCheck, Network, Objective, Penalty, Scalar,
    Workspace,
};

/// σ(−40) and σ(−10) (mpmath).
const TAILS: [f64; 2] = [4.248_354_255_291_589e-18, 4.539_786_870_243_439_5e-5];

fn assert_units<T: Scalar>(what: &str, found: T, expected: f64) {
    let found: f64 = found.to_subset().unwrap();
    let epsilon: f64 = T::default_epsilon().to_subset().unwrap();
    let units = (found / expected - 1.0).abs() / epsilon;
    assert!(
        units <= 8.0,
        "{what}: {found:e}, {expected:e}, {units:.1} units"
    );
}

/// One unit, z = 40 and 10 for x = 4 and 1, y = 1, weights 1 and 2. With s = σ(−z): d = −s,
/// cost ½ s², δ = −s² (1 − s).
struct Problem<T: Scalar> {
    network: Network<T>,
    x: DMatrix<T>,
    y: DMatrix<T>,
    /// cost, δ and x of each example.
    expected: [[f64; 3]; 2],
}

fn problem<T: Scalar>(activation: AnyActivation) -> Problem<T> {
    // tanh z = 2 σ(2z) − 1. At half of z its distance from 1 is twice that of σ.
    let (scale, z) = if activation == Tanh {
        (2.0, 5.0)
    } else {
        (1.0, 10.0)
    };
    let network = Network::builder(1).dense(1, activation);
    let expected = [4.0, 1.0].map(|x| {
        let s = scale * TAILS[usize::from(x == 1.0)];
        // σ′ = s (1 − s), tanh′ = s (2 − s).
        [0.5 * s * s, -s * s * (scale - s), x]
    });
    Problem {
        network: network.with_theta(&[0.0, z].map(convert)).unwrap(),
        x: DMatrix::from_row_slice(1, 2, &[4.0, 1.0].map(convert)),
        y: DMatrix::repeat(1, 2, T::one()),
        expected,
    }
}

const WEIGHTS: [f64; 2] = [1.0, 2.0];

fn every_reader<T: Scalar>(activation: AnyActivation) {
    let Problem {
        network,
        x,
        y,
        expected,
    } = problem::<T>(activation);
    // Each example on its own, so that the smaller one counts, and then both together.
    for range in [0..1, 1..2, 0..2] {
        let (x, y) = (
            x.columns_range(range.clone()),
            y.columns_range(range.clone()),
        );
        let weights = &WEIGHTS[range.clone()];
        let examples = Examples::new(x, y).unwrap().weighted(weights).unwrap();
        let objective = Objective::new(SquaredError);
        let total: f64 = weights.iter().sum();
        let mean = |f: &dyn Fn(&[f64; 3]) -> f64| {
            let terms = expected[range.clone()].iter().zip(weights);
            terms.map(|(e, w)| w * f(e)).sum::<f64>() / total
        };
        let j = mean(&|e| e[0]);
        let gradient = [mean(&|e| e[1]), mean(&|e| e[1] * e[2])];
        let same = |what: &str, found: &[T]| {
            for (&found, expected) in found.iter().zip(gradient) {
                assert_units(what, found, expected);
            }
        };

        let (pass, by_inputs) = network.gradients(&examples, &objective).unwrap();
        assert_units("J", pass.cost(), j);
        assert_units("cost", network.cost(&examples, &objective).unwrap(), j);
        same("∇J", pass.gradient().vector().as_slice());
        let slope: f64 = network.theta()[1].to_subset().unwrap();
        for ((&found, e), w) in by_inputs.iter().zip(&expected[range.clone()]).zip(weights) {
            assert_units("∂J/∂X", found, w * e[1] * slope / total);
        }

        let (mut sums, mut workspace) = (Accumulator::new(&network).unwrap(), Workspace::new());
        sums.add(&network, &examples, &objective.cost, &mut workspace)
            .unwrap();
        let sums = sums.finish(&network, &Penalty::none()).unwrap();
        assert_units("J of sums", sums.cost(), j);
        same("∇J of sums", sums.gradient().vector().as_slice());

        let trace = network.trace(&examples, &objective).unwrap();
        same("trace", trace.gradient().vector().as_slice());
        let singles = network
            .example_gradients(&examples, &objective.cost)
            .matrix()
            .unwrap();
        for (k, (e, w)) in expected[range.clone()].iter().zip(weights).enumerate() {
            assert_units("a cost of the trace", trace.costs()[k], e[0]);
            assert_units("δ of the trace", trace.delta(0).unwrap()[k], w * e[1]);
            assert_units("a gradient", singles[(0, k)], e[1]);
            assert_units("a gradient", singles[(1, k)], e[1] * e[2]);
        }

        // d²cost/dz² = g′² + d g″. g″ is −g′ (1 − 2s) or −2 g′ (1 − s), so the second part is about
        // −s g′.
        let v = [T::one(), T::zero()];
        let gauss = network
            .gauss_newton_product(&examples, &objective, GaussNewton::Outputs, &v)
            .unwrap();
        let slope_of = |e: &[f64; 3]| -e[1] / (2.0 * e[0]).sqrt();
        assert_units("G v", gauss[0], mean(&|e| slope_of(e) * slope_of(e)));
        let scale = if activation == Tanh { 2.0 } else { 1.0 };
        let hessian = network.hessian_product(&examples, &objective, &v).unwrap();
        let bend = |e: &[f64; 3]| {
            let (slope, s) = (slope_of(e), (2.0 * e[0]).sqrt());
            let second = if scale == 2.0 {
                2.0 * (1.0 - s)
            } else {
                1.0 - 2.0 * s
            };
            slope * slope + s * slope * second
        };
        assert_units("H v", hessian[0], mean(&bend));
    }
}

#[test]
fn every_use_of_delta_keeps_its_digits() {
    for activation in [Sigmoid, Tanh] {
        every_reader::<f64>(activation);
        every_reader::<f32>(activation);
    }
}

/// With the checker, m > 1, K > 1 and λ > 0, at outputs near 0, ½ and 1.
#[test]
fn central_differences_agree() {
    let theta: Vec<f64> = (0..9).map(|i| 2.5 * (1.3 * f64::from(i)).sin()).collect();
    let x = DMatrix::from_fn(2, 5, |i, k| ((i + 2 * k) as f64).cos());
    let y = DMatrix::from_fn(3, 5, |i, k| [1.0, 0.0, 0.5][(i + k) % 3]);
    let examples = Examples::new(&x, &y).unwrap();
    for activation in super::activations() {
        for cost in [
            SquaredError,
            super::HUBER,
            AnyCost::LogCosh,
            AnyCost::BinaryCrossEntropy,
            AnyCost::Poisson,
        ] {
            let network = Network::<f64>::builder(2).dense(3, activation);
            let network = network.with_theta(&theta).unwrap();
            let objective = Objective::new(cost).l2(0.3);
            if network.cost(&examples, &objective).is_ok() {
                let report = GradientCheck::new().network(&network, &examples, &objective);
                report.unwrap().assert_passed();
                let second = GradientCheck::new().second_order(&network, &examples, &objective);
                second.unwrap().assert_passed();
            }
        }
    }
}

/// d⁴/4, a custom cost that calls `difference`.
#[derive(Debug)]
struct Quartic;

impl<T: Scalar> Cost<T> for Quartic {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        for (k, value) in values.iter_mut().enumerate() {
            let terms = (0..at.a.nrows()).map(|i| at.difference(i, k).powi(4));
            *value = terms.fold(T::zero(), |sum, x| sum + x) * convert(0.25);
        }
    }

    fn delta(&self, at: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        for (i, k) in (0..at.a.ncols()).flat_map(|k| (0..at.a.nrows()).map(move |i| (i, k))) {
            delta[(i, k)] = at.difference(i, k).powi(3);
        }
    }

    fn delta_tangent(
        &self,
        at: &Outputs<'_, T>,
        tangent: backprop::nalgebra::DMatrixView<'_, T>,
        out: DMatrixViewMut<'_, T>,
    ) -> Result<(), backprop::Error> {
        backprop::dual::cost_delta_tangent(self, at, tangent, out)
    }
}

#[test]
fn a_custom_cost_keeps_its_digits() {
    let Problem { network, x, y, .. } = problem::<f64>(Sigmoid);
    let s = TAILS[0];
    let examples = Examples::new(x.columns(0, 1), y.columns(0, 1)).unwrap();
    let objective = Objective::new(Quartic);
    let pass = network.backprop(&examples, &objective).unwrap();
    assert_units("J", pass.cost(), 0.25 * s.powi(4));
    assert_units("∇J", pass.gradient().vector()[0], -s.powi(4));
    // 3 d² g′² − d³ g″.
    let hessian = network
        .hessian_product(&examples, &objective, &[1.0, 0.0])
        .unwrap();
    assert_units("H v", hessian[0], 4.0 * s.powi(4));
    // A unit or example out of range gives NaN instead of a panic.
    let at = Outputs::new(None, x.as_view(), y.as_view());
    assert!(at.difference(1, 0).is_nan() && at.complement(0, 2).is_nan());
}

/// λ/2 Σ Θ² where Θ² is outside the range of the scalar, but λ Θ² is not.
#[test]
fn a_penalty_of_squares_that_no_scalar_holds() {
    for (weight, lambda, expected) in [(1e-200, 1e300, 0.5e-100), (1e200, 1e-300, 0.5e100)] {
        let network = Network::<f64>::builder(1).dense(1, AnyActivation::Identity);
        let network = network.with_theta(&[0.0, weight]).unwrap();
        let (x, y) = (DMatrix::repeat(1, 1, 0.0), DMatrix::repeat(1, 1, 0.0));
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError).l2(lambda);
        let pass = network.backprop(&examples, &objective).unwrap();
        assert_units("J", pass.cost(), expected);
        assert_units("∇J", pass.gradient().vector()[1], lambda * weight);
    }
}

/// `a` and `y` are public fields, and z may have another shape. The differences are then plain.
#[test]
fn shapes_that_do_not_fit_give_plain_differences() {
    let matrix = |rows, cols| DMatrix::repeat(rows, cols, 0.75_f64);
    let (z, a, y) = (matrix(1, 1), matrix(3, 2), matrix(3, 2));
    for activation in [Sigmoid, Softmax, Tanh] {
        let ignored = Outputs::new(None, a.as_view(), y.as_view());
        let ignored = ignored.activated_by(activation, z.as_view());
        let mut replaced = Outputs::new(None, z.as_view(), z.as_view());
        replaced = replaced.activated_by(activation, z.as_view());
        replaced.a = a.as_view();
        replaced.y = y.as_view();
        for at in [ignored, replaced] {
            assert_eq!((at.difference(2, 1), at.complement(2, 1)), (0.0, 0.25));
            assert!(at.difference(3, 1).is_nan() && at.complement(0, 2).is_nan());
            let mut delta = matrix(3, 2);
            SquaredError.delta(&at, delta.as_view_mut());
            assert_eq!(delta, DMatrix::zeros(3, 2));
        }
    }
}
