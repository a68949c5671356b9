//! Random trees of layers with their last layers, data and objectives that fit them.

use super::trees::{Any, Net, Trees, concat, sequence};
use super::{masked, reference, weighted};
use crate::support::custom_types::LowRank;
use backprop::activation::{
    AnyActivation, Exponential, Identity, Sigmoid, Softmax, Softplus, Tanh,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::layer::{Activate, Axis, Dense, Rearrange, Residual};
use backprop::nalgebra::DMatrix;
use backprop::{Examples, Objective, Path, Shape, Strength};
use proptest::prelude::*;

/// A strength that applies to the layers at and inside a path, or to one block of the layer there.
pub(super) type Rule = (Vec<usize>, Option<usize>, f64);

/// A network, examples and an objective.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) network: Net<f64>,
    pub(super) input: Shape,
    /// The same network without its last activation, if all outputs have one and z is its input.
    pub(super) logits: Option<Net<f64>>,
    pub(super) last_activation: AnyActivation,
    /// Whether the cost is computed from z.
    pub(super) canonical: bool,
    pub(super) objective: Objective,
    /// λ₂ where no rule applies, and the rules. The last one that applies counts.
    pub(super) lambda: f64,
    pub(super) rules: Vec<Rule>,
    pub(super) x: DMatrix<f64>,
    /// NaN where a target is missing.
    pub(super) y: DMatrix<f64>,
    /// Which targets are present; `None` if all are.
    pub(super) present: Option<DMatrix<bool>>,
    pub(super) weights: Option<Vec<f64>>,
}

impl Case {
    pub(super) fn examples(&self) -> Examples<'_, f64> {
        weighted(masked(&self.x, &self.y, self.present.as_ref()), self)
    }

    /// Whether the targets of an example can only be missing together.
    pub(super) fn is_of_classes(&self) -> bool {
        self.objective.cost == CategoricalCrossEntropy || self.last_activation == Softmax
    }

    /// The same with all targets.
    pub(super) fn with_all_targets(mut self) -> Self {
        let share = 1.0 / self.y.nrows() as f64;
        self.y.apply(|y| *y = if y.is_nan() { share } else { *y });
        self.present = None;
        self
    }

    pub(super) fn weight(&self, example: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[example])
    }

    /// The case of a seed: containers nested at most `depth` deep, m examples.
    pub(super) fn new(seed: u64, depth: usize, m: usize) -> Self {
        let mut trees = Trees::new(seed);
        let input = trees.input();
        let (trunk, width) = trees.trunk(input, depth);
        let head = trees.head(width, depth);
        let with = |last: AnyActivation| [&trunk[..], &head.layers(last)].concat();
        let layers = with(head.activation);
        let x = DMatrix::from_fn(input.len(), m, |_, _| 1.5 * trees.uniform());
        let theta = trees.theta(&layers, (input, &x), head.cost);
        let mut network = Net::from_layers(input, layers, &theta).unwrap();
        let state = trees.state(&network);
        network.set_state(&state).unwrap();
        let logits = head.keeps_z().then(|| with(Identity));
        let logits = logits.map(|layers| {
            let mut logits = Net::from_layers(input, layers, &theta).unwrap();
            logits.set_state(&state).unwrap();
            logits
        });
        let mut y = DMatrix::from_fn(network.outputs(), m, |_, _| trees.target(head.cost));
        if head.cost == CategoricalCrossEntropy {
            // Probabilities.
            for mut column in y.column_iter_mut() {
                column[0] += 0.1;
                let sum = column.sum();
                column /= sum;
            }
        }
        let mut case = Self {
            network,
            input,
            logits,
            last_activation: head.activation,
            canonical: head.keeps_z() && head.is_pair(),
            objective: Objective::new(head.cost),
            lambda: 0.0,
            rules: Vec::new(),
            x,
            y,
            present: None,
            weights: None,
        };
        if trees.chance(1, 3) {
            let together = case.is_of_classes();
            let (k, m) = case.y.shape();
            let mut present = DMatrix::repeat(k, m, true);
            for (unit, example) in (0..m).flat_map(|e| (0..k).map(move |u| (u, e))) {
                present[(unit, example)] = match unit {
                    0 => trees.chance(2, 3),
                    _ if together => present[(0, example)],
                    _ => trees.chance(2, 3),
                };
                if !present[(unit, example)] {
                    case.y[(unit, example)] = f64::NAN;
                }
            }
            case.present = Some(present);
        }
        if trees.chance(2, 3) {
            case.penalise(&mut trees);
        }
        if trees.chance(1, 2) {
            let mut weights: Vec<f64> = (0..m).map(|_| 0.5 * trees.below(5) as f64).collect();
            weights[m - 1] = 1.25; // at least one must be positive
            case.weights = Some(weights);
        }
        case
    }

    fn penalise(&mut self, trees: &mut Trees) {
        self.lambda = 0.05 + 2.0 * trees.uniform().abs();
        let mut objective = self.objective.clone().l2(self.lambda);
        let places = reference::blocks(self.network.layers(), self.input);
        for _ in 0..trees.below(4) {
            let Some(place) = places.get(trees.below(places.len().max(1))) else {
                break;
            };
            let strength = 3.0 * trees.uniform().abs();
            let l2 = Strength {
                l1: 0.0,
                l2: strength,
            };
            if trees.chance(1, 2) {
                let block = place.index;
                let path = Path::from(&place.path[..]);
                objective.penalty = objective.penalty.block(path, block, l2);
                self.rules.push((place.path.clone(), Some(block), strength));
            } else {
                // The layer itself, or one around it.
                let path = place.path[..=trees.below(place.path.len())].to_vec();
                objective.penalty = objective.penalty.layer(&path[..], l2);
                self.rules.push((path, None, strength));
            }
        }
        self.objective = objective;
    }
}

/// Trees of depth 0 to 4, 1 to 7 examples.
pub(super) fn cases() -> impl Strategy<Value = Case> {
    (any::<u64>().no_shrink(), 0..=4_usize, 1..=7_usize)
        .prop_map(|(seed, depth, m)| Case::new(seed, depth, m))
}

/// The form of the last layers. `g` is the last activation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// Dense g.
    Dense,
    /// Dense g in two sequences.
    Nested,
    /// One branch that ends in Dense g.
    Branch,
    /// Two branches that end in Dense g. Together they have no z.
    Branches,
    /// Dense, then g by itself.
    Activate,
    /// Dense, then a branch that is g by itself: z is the input of the branch.
    ActivateInBranch,
    /// A branch of Dense and g in a sequence in a branch.
    Deep,
    /// A custom layer with g.
    LowRank,
    /// Dense g and a layer that only moves entries, which hides z.
    Hidden,
    /// x + g(Dense x): z of the body is not that of the sum.
    Residual,
}

/// The last layers.
struct Head {
    form: Form,
    inputs: usize,
    outputs: usize,
    /// The units of the first of two branches.
    first: usize,
    activation: AnyActivation,
    cost: AnyCost,
}

impl Head {
    fn keeps_z(&self) -> bool {
        !matches!(self.form, Form::Branches | Form::Hidden | Form::Residual)
    }

    fn is_pair(&self) -> bool {
        let pairs = [
            (Softmax, CategoricalCrossEntropy),
            (Sigmoid, BinaryCrossEntropy),
            (Identity, SquaredError),
            (Exponential, Poisson),
        ];
        pairs.contains(&(self.activation, self.cost))
    }

    fn layers(&self, g: AnyActivation) -> Vec<Any> {
        let (n, k) = (self.inputs, self.outputs);
        let dense = |units, g| Any::from(Dense::new(n, units, g));
        match self.form {
            Form::Dense => vec![dense(k, g)],
            Form::Nested => {
                let inner = sequence(vec![sequence(vec![dense(k, g)]).into()]);
                vec![inner.into()]
            }
            Form::Branch => vec![concat(vec![vec![dense(k, g)]], Axis::First)],
            Form::Branches => {
                let branches = vec![vec![dense(self.first, g)], vec![dense(k - self.first, g)]];
                vec![concat(branches, Axis::Last)]
            }
            Form::Activate => vec![dense(k, Identity), Activate::new(g).into()],
            Form::ActivateInBranch => {
                let branch = vec![vec![Activate::new(g).into()]];
                vec![dense(k, Tanh), concat(branch, Axis::Last)]
            }
            Form::Deep => {
                let inner = sequence(vec![dense(k, Identity), Activate::new(g).into()]);
                vec![concat(vec![vec![inner.into()]], Axis::First)]
            }
            Form::LowRank => vec![Any::Custom(LowRank {
                inputs: n,
                rank: 2,
                outputs: k,
                activation: g,
            })],
            Form::Hidden => vec![dense(k, g), Rearrange::Flatten.into()],
            Form::Residual => {
                let body = sequence(vec![Dense::new(k, k, g).into()]);
                vec![dense(k, Tanh), Residual::new(body).into()]
            }
        }
    }
}

impl Trees {
    fn head(&mut self, inputs: usize, depth: usize) -> Head {
        let (activation, cost) = self.pick(&[
            (Softmax, CategoricalCrossEntropy),
            (Sigmoid, BinaryCrossEntropy),
            (Identity, SquaredError),
            (Softmax, CategoricalCrossEntropy),
            (Sigmoid, BinaryCrossEntropy),
            (Exponential, Poisson),
            (Softplus, Poisson),
            (Tanh, SquaredError),
            (Softmax, SquaredError),
            (Sigmoid, LogCosh),
            (Identity, Huber { delta: 0.8 }),
        ]);
        let plain = [Form::Dense, Form::Activate, Form::LowRank, Form::Hidden];
        let nested = [
            Form::Nested,
            Form::Branch,
            Form::Branches,
            Form::ActivateInBranch,
            Form::Deep,
            Form::Residual,
        ];
        let mut form = self.pick(&if depth == 0 {
            plain.to_vec()
        } else {
            [&plain[..], &nested[..]].concat()
        });
        if form == Form::Residual && !matches!(cost, SquaredError | LogCosh | Huber { .. }) {
            form = Form::Branches; // its outputs would leave the domain
        }
        // The softmax of one unit is constant.
        let outputs = 2 + self.below(3);
        let first = if activation == Softmax { outputs } else { 1 };
        Head {
            form,
            inputs,
            outputs: match form {
                Form::Branches if activation == Softmax => 2 * outputs,
                _ => outputs,
            },
            first,
            activation,
            cost,
        }
    }

    /// Statistics that are not those of a new network.
    fn state(&mut self, network: &Net<f64>) -> Vec<f64> {
        let mut state = Vec::new();
        for vector in network.state_by_path() {
            let new = vector.values.iter().map(|_| match vector.name {
                "σ²" => 0.3 + self.uniform().abs(),
                "μ" => 0.5 * self.uniform(),
                _ => 3.0,
            });
            state.extend(new);
        }
        state
    }

    /// Parameters with which the outputs are well inside the domain of the cost.
    fn theta(&mut self, layers: &[Any], x: (Shape, &DMatrix<f64>), cost: AnyCost) -> Vec<f64> {
        let (input, x) = x;
        let mut theta = Vec::new();
        for place in reference::blocks(layers, input) {
            let scale = 1.6 / (place.cols as f64).sqrt();
            theta.extend((0..place.rows * place.cols).map(|_| scale * self.uniform()));
        }
        let inside = match cost {
            BinaryCrossEntropy | CategoricalCrossEntropy => 0.03..0.97,
            Poisson => 0.05..20.0,
            _ => return theta,
        };
        loop {
            let network = Net::from_layers(input, layers.to_vec(), &theta).unwrap();
            let outputs = network.forward(x).unwrap();
            if outputs.iter().all(|a| inside.contains(a)) {
                return theta;
            }
            // At θ = 0 the outputs are the same for all z.
            theta.iter_mut().for_each(|w| *w *= 0.8);
        }
    }

    /// A target in the domain of the cost, often on its edge.
    fn target(&mut self, cost: AnyCost) -> f64 {
        let u = self.uniform();
        match (cost, self.below(3)) {
            (BinaryCrossEntropy | CategoricalCrossEntropy, 0) => 0.0,
            (BinaryCrossEntropy | CategoricalCrossEntropy, 1) => 1.0,
            (BinaryCrossEntropy | CategoricalCrossEntropy, _) => u.abs(),
            (Poisson, _) => (5.0 * u.abs()).floor(),
            _ => 2.0 * u,
        }
    }
}
