//! The traits that users implement, used as users would use them. Later versions must still compile
//! these tests and pass them.
#![allow(
    clippy::unwrap_used,
    reason = "fixtures that cannot fail, outside test functions"
)]

mod boxed;
mod delegation;
mod dense;
mod dual;
mod dual_in_networks;
mod dual_state;
mod from_fn;
mod products;
mod saved;
mod stochastic;
mod tangents;
mod threads;
mod trained;

use crate::support::custom_types::{Counts, Cubic, Doubling, LOG2, LowRank};
use backprop::activation::{Activation, AnyActivation, Identity, Softmax, Tanh};
use backprop::approx::assert_abs_diff_eq;
use backprop::cost::{CategoricalCrossEntropy, Cost, SquaredError};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{AnyLayer, Backward, Forward, Layer, Linked, Place, Plan, Site};
use backprop::nalgebra::DMatrix;
use backprop::{
    Accumulator, Builder, Dense, Error, Examples, Initialization, Location, Network, Objective,
    Penalty, Scalar, Workspace, rng,
};
use num_dual::Dual64;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Several custom layers in one network: an enum, like `AnyLayer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Mine {
    Smooth(LowRank<Cubic>),
    Ours(LowRank<AnyActivation>),
    Last(Dense<Doubling>),
}

impl Mine {
    fn as_layer<T: Scalar>(&self) -> &dyn Layer<T> {
        match self {
            Self::Smooth(layer) => layer,
            Self::Ours(layer) => layer,
            Self::Last(layer) => layer,
        }
    }
}

impl<T: Scalar> Layer<T> for Mine {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        self.as_layer::<T>().plan(site)
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.as_layer().forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.as_layer().backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.as_layer().backward_each(pass);
    }

    fn name(&self) -> String {
        self.as_layer::<T>().name()
    }
}

/// Gives the `linked` of its backward pass to a function.
struct Lender<F>(F);

impl<F> fmt::Debug for Lender<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lender")
    }
}

impl<F: Fn(Linked<'_>) + Send + Sync> Layer<f64> for Lender<F> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input).z(Place::Output, Some(LOG2)))
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        (self.0)(pass.linked);
    }
}

/// Calls `f` with the `linked` of a pass, whose δ is ∂cost/∂z or not. Only a network with a
/// canonical pair can make the first.
fn with_linked(linked: bool, f: impl Fn(Linked<'_>) + Send + Sync) {
    let called = AtomicBool::new(false);
    let once = |found: Linked<'_>| {
        assert_eq!(found.get(), linked);
        assert!(!called.swap(true, Ordering::Relaxed));
        f(found);
    };
    let network = Network::from_layers(1, vec![Lender(once)], &[]).unwrap();
    let one = DMatrix::repeat(1, 1, 1.0);
    let examples = Examples::new(&one, &one).unwrap();
    let objective = Objective::new(Counts { linked });
    network.backprop(&examples, &objective).unwrap();
    assert!(called.load(Ordering::Relaxed));
}

/// A layer may declare that its input is z, wherever it lies in a network.
#[test]
fn the_input_of_a_layer_may_be_its_z() {
    /// Its z is its input.
    #[derive(Debug)]
    struct Twice;
    impl<T: Scalar> Layer<T> for Twice {
        fn plan(&self, site: Site) -> Result<Plan, Error> {
            Ok(Plan::new(site, site.input).z(Place::Input, Some(LOG2)))
        }

        fn forward(&self, mut pass: Forward<'_, T>) {
            Doubling.forward(pass.input, pass.output.as_view_mut());
        }

        fn backward(&self, mut pass: Backward<'_, T>) {
            if !pass.linked.get() {
                Doubling.backward(pass.input, pass.output, pass.delta.as_view_mut());
            }
            if let Some(mut below) = pass.input_delta {
                below.copy_from(&pass.delta);
            }
        }
    }
    // At z = −1100 a rounds to 0, so that only the canonical path has a cost.
    let (z, y) = (DMatrix::repeat(1, 1, -1100.0), DMatrix::repeat(1, 1, 1.0));
    let examples = Examples::new(&z, &y).unwrap();
    let objective = Objective::new(Counts { linked: true });
    let expected = Ok(1100.0 * std::f64::consts::LN_2);
    let second: Network<f64, AnyLayer<Twice>> = Builder::new(1)
        .dense(1, Identity)
        .layer(AnyLayer::Custom(Twice))
        .with_theta(&[0.0, 1.0])
        .unwrap();
    assert_eq!(second.cost(&examples, &objective), expected);
    let first = Network::from_layers(1, vec![Twice], &[]).unwrap();
    assert_eq!(first.cost(&examples, &objective), expected);
}

type Mixed<T> = Network<T, AnyLayer<Mine>>;

const SMOOTH: LowRank<Cubic> = LowRank {
    inputs: 4,
    rank: 2,
    outputs: 5,
    activation: Cubic { c: 0.125 },
};

/// A 3-4-5-2 network: a built-in layer, a custom one with two blocks, a custom last one with a
/// link.
fn mixed() -> Mixed<f64> {
    let last = Dense::new(5, 2, Doubling);
    let builder = Builder::new(3)
        .dense(4, Tanh)
        .layer(AnyLayer::Custom(Mine::Smooth(SMOOTH)))
        .layer(AnyLayer::Custom(Mine::Last(last)));
    let glorot = Initialization::GlorotUniform;
    builder.initialize(glorot, &mut rng(5)).unwrap()
}

fn data() -> (DMatrix<f64>, DMatrix<f64>) {
    let x = DMatrix::from_fn(3, 6, |i, k| (1.0 + (i + 3 * k) as f64).sin());
    let y = DMatrix::from_fn(2, 6, |i, k| ((2 * i + k) % 4) as f64);
    (x, y)
}

/// Returns J and ∇J as bits, for exact comparison.
fn bits<L: Layer<f64>, C: Cost<f64>>(network: &Network<f64, L>, cost: C) -> Vec<u64> {
    let (x, y) = data();
    let objective = Objective::new(cost).l2(0.5);
    let pass = network.backprop(&Examples::new(&x, &y).unwrap(), &objective);
    let pass = pass.unwrap();
    let numbers = pass
        .gradient()
        .vector()
        .iter()
        .copied()
        .chain([pass.cost()]);
    numbers.map(f64::to_bits).collect()
}

#[test]
fn gradient_check_of_custom_types() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    for linked in [true, false] {
        let objective = Objective::new(Counts { linked }).l2(0.5);
        let report = GradientCheck::new().network(&mixed(), &examples, &objective);
        let report = report.unwrap();
        report.assert_passed();
        assert!(report.relative_error() < 1e-8, "{report}");
        let labels: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
        assert_eq!(labels, ["Θ⁽¹⁾", "V⁽²⁾", "U⁽²⁾", "Θ⁽³⁾"]);
    }
    let theta: Vec<f64> = (0..23).map(|i| (f64::from(i) * 0.9).sin()).collect();
    let x = DMatrix::from_fn(4, 3, |i, k| (i as f64 - 1.2 * k as f64).cos());
    GradientCheck::new()
        .layer(&SMOOTH, &theta, &x)
        .unwrap()
        .assert_passed();
    GradientCheck::new()
        .activation(&Cubic { c: 0.125 }, &x)
        .unwrap()
        .assert_passed();
    GradientCheck::new()
        .activation(&Doubling, &x)
        .unwrap()
        .assert_passed();
    let y = x.map(f64::abs);
    let report = GradientCheck::new().cost(&Counts { linked: true }, &Doubling, &x, &y);
    let report = report.unwrap();
    report.assert_passed();
    assert_eq!(report.blocks.len(), 2, "both paths\n{report}");
}

/// A custom link pairs a custom activation with a custom cost, and with nothing else.
#[test]
fn a_custom_canonical_pair_agrees() {
    let (linked, general) = (Counts { linked: true }, Counts { linked: false });
    let (a, b) = (bits(&mixed(), linked.clone()), bits(&mixed(), general));
    assert_ne!(a, b, "the two paths round differently");
    for (a, b) in a.into_iter().zip(b) {
        let (a, b) = (f64::from_bits(a), f64::from_bits(b));
        assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{a}, {b}");
    }
    // At z = −1100 a rounds to 0: the general path refuses it, and the canonical one gives the
    // right result.
    let last: Mixed<f64> = Builder::new(1)
        .layer(AnyLayer::Custom(Mine::Last(Dense::new(1, 1, Doubling))))
        .with_theta(&[-1100.0, 0.0])
        .unwrap();
    let (x, y) = (DMatrix::zeros(1, 1), DMatrix::repeat(1, 1, 1.0));
    let examples = Examples::new(&x, &y).unwrap();
    let j = last.cost(&examples, &Objective::new(linked)).unwrap();
    assert_eq!(j, 1100.0 * std::f64::consts::LN_2);
    let refused = last.cost(&examples, &Objective::new(Counts { linked: false }));
    let expected = Error::Output {
        layer: 0.into(),
        unit: 0,
        example: 0,
        value: 0.0,
        expected: "above 0",
    };
    assert_eq!(refused, Err(expected));
}

/// A custom layer with a built-in activation has its link: softmax from z, as in a dense layer.
#[test]
fn built_in_activations_keep_their_link_in_custom_layers() {
    let low_rank = LowRank {
        inputs: 3,
        rank: 1,
        outputs: 2,
        activation: Softmax,
    };
    let network: Mixed<f64> = Builder::new(3)
        .layer(AnyLayer::Custom(Mine::Ours(low_rank)))
        .with_theta(&[1e4, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0])
        .unwrap();
    let x = DMatrix::from_column_slice(3, 1, &[1.0, 0.0, 0.0]);
    let y = DMatrix::from_column_slice(2, 1, &[0.0, 1.0]);
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy);
    let pass = network.backprop(&examples, &objective).unwrap();
    assert_eq!(pass.cost(), 2e4);
    let of_u = pass.gradient().block(0, 1).unwrap();
    assert_eq!(of_u, DMatrix::from_row_slice(2, 2, &[1.0, 1e4, -1.0, -1e4]));
}

/// Back-propagation agrees with dual numbers, entry by entry.
#[test]
fn dual_numbers_agree() {
    let (x, y) = data();
    let network = mixed();
    let objective = Objective::new(Counts { linked: true }).l2(0.5);
    let pass = network.backprop(&Examples::new(&x, &y).unwrap(), &objective);
    let pass = pass.unwrap();
    let (x, y) = (x.map(Dual64::from_re), y.map(Dual64::from_re));
    let examples = Examples::new(&x, &y).unwrap();
    let mut moved: Mixed<Dual64> = network.map(Dual64::from_re).unwrap();
    let zero = moved.theta().clone();
    for (i, &g) in pass.gradient().vector().iter().enumerate() {
        let mut theta = zero.clone();
        theta[i].eps = 1.0;
        moved.set_theta(theta.as_slice()).unwrap();
        let j = moved.cost(&examples, &objective).unwrap();
        assert!((j.re - pass.cost()).abs() < 1e-14);
        assert!((j.eps - g).abs() < 1e-13, "θ[{i}]: {} and {g}", j.eps);
    }
}

#[test]
fn single_precision_agrees() {
    let (x, y) = data();
    let objective = Objective::new(Counts { linked: true }).l2(0.5);
    let double = mixed().backprop(&Examples::new(&x, &y).unwrap(), &objective);
    let (x, y) = (x.map(|x| x as f32), y.map(|y| y as f32));
    let single: Mixed<f32> = mixed().map(|w| w as f32).unwrap();
    let examples = Examples::new(&x, &y).unwrap();
    let pass = single.backprop(&examples, &objective).unwrap();
    let double = double.unwrap();
    for (a, b) in pass
        .gradient()
        .vector()
        .iter()
        .zip(double.gradient().vector())
    {
        assert!(
            (f64::from(*a) - b).abs() < 1e-5 * b.abs().max(1.0),
            "{a}, {b}"
        );
    }
    let report = GradientCheck::new().network(&single, &examples, &objective);
    report.unwrap().assert_passed();
}

/// A value that the other scalar cannot hold is refused, not mapped to infinity.
#[test]
fn maps_that_leave_the_domain() {
    let (mut network, single) = (mixed(), |w: f64| w as f32);
    let mut theta = network.theta().clone();
    theta[3] = 1e300;
    network.set_theta(theta.as_slice()).unwrap();
    let expected = Error::NonFinite {
        at: Location::Input {
            what: "θ",
            row: 3,
            col: 0,
        },
        value: f64::INFINITY,
    };
    assert_eq!(network.map(single), Err::<Mixed<f32>, _>(expected));
    assert_eq!(network.map(|w| w).unwrap(), network);
}

#[test]
fn clone_eq_display_and_constants() {
    let network = mixed();
    let copy = network.clone();
    assert_eq!(copy, network);
    assert_eq!(bits(&copy, SquaredError), bits(&network, SquaredError));
    let mut other = network.clone();
    let theta: Vec<f64> = network.theta().iter().map(|t| t + 1.0).collect();
    other.set_theta(&theta).unwrap();
    assert_ne!(other, network);

    let table = network.to_string();
    for part in [
        "Dense Tanh",
        "LowRank",
        "Dense Doubling",
        "V⁽²⁾ 2 × 4, U⁽²⁾ 5 × 3",
        "51",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    let rank = LowRank { rank: 0, ..SMOOTH };
    let c = LowRank {
        activation: Cubic { c: f64::NAN },
        ..SMOOTH
    };
    for (bad, expected) in [(rank, "rank of LowRank"), (c, "c of Cubic")] {
        let layer = AnyLayer::Custom(Mine::Smooth(bad));
        match Mixed::<f64>::from_layers(4, vec![layer], &[0.0; 23]) {
            Err(Error::Hyperparameter { name, .. }) => assert_eq!(name, expected),
            other => panic!("{other:?}"),
        }
    }
}

/// Several threads share a network, each with its own workspace.
#[test]
fn threads_share_a_network() {
    let (x, y) = data();
    let (network, objective) = (mixed(), Objective::new(Counts { linked: true }));
    let half = |from| Examples::new(x.columns(from, 3), y.columns(from, 3)).unwrap();
    let sums = std::thread::scope(|scope| {
        let workers = [0, 3].map(|from| {
            let (network, objective) = (&network, &objective);
            let examples = half(from);
            scope.spawn(move || {
                let mut sums = Accumulator::new(network).unwrap();
                let mut workspace = Workspace::new();
                sums.add(network, &examples, &objective.cost, &mut workspace)
                    .unwrap();
                sums
            })
        });
        let [mut first, second] = workers.map(|worker| worker.join().unwrap());
        first.merge(&second).unwrap();
        first
    });
    let merged = sums.finish(&network, &Penalty::none()).unwrap();
    let whole = network.backprop(&Examples::new(&x, &y).unwrap(), &objective);
    assert_abs_diff_eq!(merged, whole.unwrap(), epsilon = 1e-14);
}
