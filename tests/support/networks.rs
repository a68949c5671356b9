//! Random networks with data and objectives that fit them, for property tests.

use super::activations::{Shape, activations, hidden_activations, known_values};
use backprop::activation::{
    Activation, AnyActivation, Exponential, Identity, Sigmoid, Softmax, Softplus,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::layer::{AnyLayer, Dense};
use backprop::nalgebra::DMatrix;
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::{Examples, Network, Objective, Strength, rng};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};

/// 2048 cases, the same in every run, so a failure can be reproduced without a file.
/// `PROPTEST_RNG_SEED` selects other cases, and `PROPTEST_CASES` more of them.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.cases = config.cases.max(2048);
    config.failure_persistence = None;
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}

/// A network, examples and an objective.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) network: Network<f64>,
    pub(crate) objective: Objective,
    pub(crate) x: DMatrix<f64>,
    pub(crate) y: DMatrix<f64>,
    pub(crate) weights: Option<Vec<f64>>,
}

impl Case {
    pub(crate) fn examples(&self) -> Examples<'_, f64> {
        let examples = Examples::new(&self.x, &self.y).unwrap();
        match &self.weights {
            Some(weights) => examples.weighted(weights).unwrap(),
            None => examples,
        }
    }

    /// The weight of an example.
    pub(crate) fn weight(&self, example: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[example])
    }

    /// Returns whether a derivative of J of some order jumps somewhere.
    pub(crate) fn is_piecewise(&self) -> bool {
        let known = known_values();
        let jumps = |g| known.iter().any(|l| l.0 == g && l.1 == Shape::Piecewise);
        let piecewise = |layer: &AnyLayer| match layer {
            AnyLayer::Dense(dense) => jumps(*dense.activation()),
            other => panic!("{other:?} is not in these networks"),
        };
        let blocks = 0..self.network.depth();
        let mut strengths = blocks.map(|layer| self.objective.penalty.strength(layer, 0));
        matches!(self.objective.cost, Huber { .. })
            || strengths.any(|strength| strength.l1 > 0.0)
            || self.network.layers().iter().any(piecewise)
    }
}

/// Depth 1 to 5, widths 1 to 9, m from 1 to 9, any activations, any cost with outputs in its
/// domain, any penalty and weights.
///
/// θ is scaled so that no |z| exceeds a random bound of at most `limit`.
pub(crate) fn cases(limit: f64) -> impl Strategy<Value = Case> {
    let costs = select(vec![
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        SquaredError,
        Huber { delta: 0.8 },
        LogCosh,
        Poisson,
    ]);
    let weights = vec(select(vec![0.0, 0.5, 1.0, 2.0, 3.25]), 9);
    (
        vec(1..=9_usize, 2..=6),
        vec(select(hidden_activations()), 5),
        (costs, any::<usize>()),
        proptest::option::of((strengths(), vec((0..5_usize, strengths()), 0..3))),
        1..=9_usize,
        proptest::option::of(weights),
        (0.5..limit, any::<u64>()),
    )
        .prop_map(
            |(sizes, hidden, (cost, pick), penalty, m, weights, numbers)| {
                let outputs = sizes[sizes.len() - 1];
                let mut fitting = activations();
                fitting.retain(|&g| fits(cost, g, outputs));
                let mut activations = hidden;
                activations[sizes.len() - 2] = fitting[pick % fitting.len()];

                let (limit, seed) = numbers;
                let mut numbers = Numbers::new(seed);
                let x = DMatrix::from_fn(sizes[0], m, |_, _| 2.0 * numbers.uniform());
                let y = DMatrix::from_fn(outputs, m, |_, _| numbers.target(cost));
                let network = network(&sizes, &activations, cost, &x, limit, &mut numbers);
                let weights = weights.map(|mut weights| {
                    weights.truncate(m);
                    // At least one weight must be positive.
                    if weights.iter().all(|w| *w == 0.0) {
                        weights[0] = 2.0;
                    }
                    weights
                });
                let mut objective = Objective::new(cost);
                if let Some((Strength { l1, l2 }, exceptions)) = penalty {
                    objective = objective.l1(l1).l2(l2);
                    for (layer, strength) in exceptions {
                        let penalty = objective.penalty.layer(layer % network.depth(), strength);
                        objective.penalty = penalty;
                    }
                }
                Case {
                    network,
                    objective,
                    x,
                    y,
                    weights,
                }
            },
        )
}

/// λ₁ and λ₂ of a penalty, each 0 in half the cases.
fn strengths() -> impl Strategy<Value = Strength> {
    let lambda = || prop_oneof![Just(0.0), 0.01..4.0];
    (lambda(), lambda()).prop_map(|(l1, l2)| Strength { l1, l2 })
}

/// Returns whether the outputs of an activation are in the domain of a cost for every z.
fn fits(cost: AnyCost, activation: AnyActivation, outputs: usize) -> bool {
    match cost {
        // The softmax of one unit is 1, which fits the target 1 only.
        BinaryCrossEntropy => activation == Sigmoid || activation == Softmax && outputs > 1,
        CategoricalCrossEntropy | Poisson => {
            matches!(activation, Sigmoid | Softmax | Softplus | Exponential)
        }
        _ => true,
    }
}

/// A network whose θ is scaled, layer by layer, so that no |z| exceeds `limit`.
fn network(
    sizes: &[usize],
    activations: &[AnyActivation],
    cost: AnyCost,
    x: &DMatrix<f64>,
    limit: f64,
    numbers: &mut Numbers,
) -> Network<f64> {
    let (mut layers, mut theta): (Vec<AnyLayer>, Vec<f64>) = (Vec::new(), Vec::new());
    for (l, size) in sizes.windows(2).enumerate() {
        let (inputs, units) = (size[0], size[1]);
        let start = theta.len();
        theta.extend((0..units * (inputs + 1)).map(|_| numbers.uniform()));
        layers.push(Dense::new(inputs, units, Identity).into());
        let z = Network::from_layers(sizes[0], layers.clone(), &theta).unwrap();
        let largest = z.forward(x).unwrap().amax();

        let output = Dense::new(inputs, units, activations[l]);
        let last = l + 2 == sizes.len();
        let link = Activation::<f64>::link(&activations[l]);
        let canonical = link == backprop::Cost::<f64>::link(&cost);
        let limit = match cost {
            // If a rounds to 0 or 1, ln a and ln(1 − a) have no digits left. Only canonical pairs
            // keep them.
            BinaryCrossEntropy | CategoricalCrossEntropy | Poisson if last && !canonical => {
                limit.min(3.0)
            }
            _ => limit,
        };
        // Small θ may grow, but not without limit where z is 0.
        let scale = (limit / largest).min(4.0);
        theta[start..].iter_mut().for_each(|t| *t *= scale);
        layers[l] = output.into();
    }
    Network::from_layers(sizes[0], layers, &theta).unwrap()
}

/// A stream of random numbers.
struct Numbers(backprop::rand_xoshiro::Xoshiro256PlusPlus);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(rng(seed))
    }

    /// Uniform in \[−1, 1).
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A target in the domain of the cost, often on its edge.
    fn target(&mut self, cost: AnyCost) -> f64 {
        let u = self.uniform();
        match (cost, self.0.next_u64() % 3) {
            (BinaryCrossEntropy | CategoricalCrossEntropy, 0) => 0.0,
            (BinaryCrossEntropy | CategoricalCrossEntropy, 1) => 1.0,
            (BinaryCrossEntropy | CategoricalCrossEntropy, _) => u.abs(),
            (Poisson, _) => (5.0 * u.abs()).floor(),
            _ => 2.0 * u,
        }
    }
}
