//! Trait objects: everything behind `Box` computes the same bits.

use super::{SMOOTH, bits, data, mixed};
use crate::support::custom_types::{Counts, Cubic, Doubling, LowRank};
use backprop::activation::{Activation, AnyActivation, Identity, Sigmoid, Softmax, Tanh};
use backprop::cost::{AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Cost, SquaredError};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{AnyLayer, Layer};
use backprop::{Accumulator, Builder, Dense, Examples, Network, Objective, Workspace};

type BoxedLayer = Box<dyn Layer<f64>>;
type BoxedActivation = Box<dyn Activation<f64>>;

#[test]
fn a_network_of_boxes() {
    let plain = mixed();
    // The layer type comes first, so that `layer` can box its argument.
    let boxed = Builder::<f64, BoxedLayer>::new(3)
        .dense(4, Tanh)
        .layer(Box::new(SMOOTH))
        .dense(2, Doubling)
        .with_theta(plain.theta().as_slice())
        .unwrap();
    for linked in [true, false] {
        assert_eq!(
            bits(&boxed, Counts { linked }),
            bits(&plain, Counts { linked })
        );
    }
    assert_eq!(bits(&boxed, SquaredError), bits(&plain, SquaredError));
    assert_eq!(boxed.to_string(), plain.to_string());
    assert_eq!(boxed.layout(), plain.layout());
    let (x, y) = data();
    let objective = Objective::new(Counts { linked: true });
    let report = GradientCheck::new().network(&boxed, &Examples::new(&x, &y).unwrap(), &objective);
    report.unwrap().assert_passed();
}

/// Built-in networks with boxed layers, activations and costs, canonical pairs and others.
#[test]
fn boxes_compute_the_same_bits() {
    // The targets of `data` are counts; a third of each lies in [0, 1].
    let ours = |g: AnyActivation| {
        let theta: Vec<f64> = (0..26).map(|i| (f64::from(i) * 1.3).sin()).collect();
        let builder = Network::<f64>::builder(3).dense(4, Tanh).dense(2, g);
        builder.with_theta(&theta).unwrap()
    };
    let (x, y) = data();
    let y = y / 3.0;
    let examples = Examples::new(&x, &y).unwrap();
    for (g, cost) in [
        (Sigmoid, BinaryCrossEntropy),
        (Softmax, CategoricalCrossEntropy),
        (Identity, SquaredError),
        (Softmax, SquaredError),
        (Sigmoid, SquaredError),
    ] {
        let plain = ours(g);
        let theta = plain.theta().as_slice();
        let layers: Network<f64, BoxedLayer> = Builder::new(3)
            .dense(4, Tanh)
            .dense(2, Box::new(g) as BoxedActivation)
            .with_theta(theta)
            .unwrap();
        let activations: Network<f64, Dense<BoxedActivation>> = Builder::new(3)
            .dense(4, Box::new(Tanh) as BoxedActivation)
            .dense(2, Box::new(g) as BoxedActivation)
            .with_theta(theta)
            .unwrap();
        let top: BoxedLayer = Box::new(Dense::new(4, 2, g));
        let nested: Network<f64, AnyLayer<Box<AnyLayer<BoxedLayer>>>> = Builder::new(3)
            .dense(4, Tanh)
            .layer(AnyLayer::Custom(Box::new(AnyLayer::Custom(top))))
            .with_theta(theta)
            .unwrap();
        let expected = plain.backprop(&examples, &Objective::new(cost)).unwrap();
        let boxed: Objective<Box<dyn Cost<f64>>> = Objective::new(Box::new(cost));
        assert_eq!(plain.backprop(&examples, &boxed).unwrap(), expected);
        assert_eq!(layers.backprop(&examples, &boxed).unwrap(), expected);
        assert_eq!(activations.backprop(&examples, &boxed).unwrap(), expected);
        assert_eq!(nested.backprop(&examples, &boxed).unwrap(), expected);
        assert_eq!(layers.to_string(), plain.to_string());
        assert_eq!(nested.to_string(), plain.to_string());
    }
}

/// A user's model with concrete fields and no type parameters.
#[derive(Debug)]
struct Model {
    network: Network<f64>,
    objective: Objective<Box<dyn Cost<f64>>>,
    workspace: Workspace<f64>,
}

impl Model {
    fn descend(&mut self, examples: &Examples<'_, f64>, rate: f64) -> f64 {
        let mut gradient = vec![0.0; self.network.parameters()];
        let parts = self
            .network
            .gradient_into(
                examples,
                &self.objective,
                &mut self.workspace,
                &mut gradient,
            )
            .unwrap();
        let theta = self.network.theta().iter().zip(&gradient);
        let theta: Vec<f64> = theta.map(|(t, g)| t - rate * g).collect();
        self.network.set_theta(&theta).unwrap();
        parts.total()
    }
}

#[test]
fn a_plain_struct_holds_a_network_and_a_cost() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let costs: [Box<dyn Cost<f64>>; 2] =
        [Box::new(SquaredError), Box::new(Counts { linked: true })];
    for cost in costs {
        let theta: Vec<f64> = (0..26).map(|i| 0.1 * f64::from(i).sin()).collect();
        let output = backprop::activation::Softplus;
        let builder = Network::builder(3).dense(4, Tanh).dense(2, output);
        let mut model = Model {
            network: builder.with_theta(&theta).unwrap(),
            objective: Objective::new(cost).l2(0.01),
            workspace: Workspace::new(),
        };
        let first = model.descend(&examples, 0.1);
        let last = (0..50).fold(first, |_, _| model.descend(&examples, 0.1));
        assert!(last < 0.9 * first, "{first} to {last}");
    }
}

/// Calls that take a cost or an activation by reference also accept trait objects.
#[test]
fn references_to_trait_objects() {
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let network = mixed();
    let cost: &dyn Cost<f64> = &Counts { linked: true };
    let mut sums = Accumulator::new(&network).unwrap();
    sums.add(&network, &examples, cost, &mut Workspace::new())
        .unwrap();
    assert_eq!(sums.weight(), 6.0);
    let z = y.map(|y| 0.3 * y - 0.5);
    let check = GradientCheck::new();
    let activation: &dyn Activation<f64> = &Doubling;
    check
        .cost(cost, activation, &z, &y)
        .unwrap()
        .assert_passed();
    check.activation(activation, &z).unwrap().assert_passed();
    let cubic: BoxedActivation = Box::new(Cubic { c: 0.5 });
    check.activation(&cubic, &z).unwrap().assert_passed();
    let layer: BoxedLayer = Box::new(LowRank {
        inputs: 2,
        rank: 1,
        outputs: 3,
        activation: cubic,
    });
    let theta = [0.5, -0.25, 0.1, 0.2, 0.3, 1.0, -1.0, 0.5];
    check.layer(&layer, &theta, &z).unwrap().assert_passed();
    let any: &dyn Cost<f64> = &AnyCost::LogCosh;
    check.cost(any, &Tanh, &z, &y).unwrap().assert_passed();
}
