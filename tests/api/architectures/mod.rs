//! Networks whose layers contain layers: the builder, and such networks as values.

mod table;

use crate::support::custom_types::{Cubic, LowRank};
use backprop::activation::{AnyActivation, Identity, Relu, Sigmoid, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{
    Activate, AnyLayer, Axis, Backward, Concat, Forward, Layer, Plan, Rearrange, Residual,
    Sequential, Site,
};
use backprop::{
    Builder, Dense, Error, Examples, Initialization, Network, Objective, Path, Scalar, Shape,
    SquaredError, rng,
};
use std::cell::RefCell;

const STEPS: Shape = Shape::Sequence {
    steps: 4,
    features: 3,
};

const DEPTH: Error = Error::Depth { most: 32 };

fn sequence<L>(layers: impl Into<Vec<L>>) -> Sequential<L> {
    Sequential::new(layers.into())
}

/// Every kind of layer, for a sequence of four steps with three features.
fn every_kind<T: Scalar, L>(start: Builder<T, L>) -> Builder<T, L>
where
    L: Layer<T> + From<Dense> + From<Activate> + From<Rearrange>,
    L: From<Sequential<L>> + From<Residual<L>> + From<Concat<L>>,
{
    start
        .dense(5, Tanh)
        .residual(|body| body.dense(6, Tanh).dense(5, Identity))
        .concat(Axis::Last, |branches| {
            branches.branch(|b| b.dense(2, Tanh)).branch(|b| b)
        })
        .transpose()
        .residual_with_shortcut(
            |body| body.dense(3, Tanh),
            |shortcut| shortcut.dense(3, Identity),
        )
        .flatten()
        .select(2..9)
        .activate(Relu)
        .sequential(|s| s.dense(4, Tanh).residual(|body| body.dense(4, Tanh)))
        .dense(2, Sigmoid)
}

/// The same layers, written out.
fn written_out<L>() -> Vec<L>
where
    L: From<Dense> + From<Activate> + From<Rearrange>,
    L: From<Sequential<L>> + From<Residual<L>> + From<Concat<L>>,
{
    let dense = |inputs, units, g: AnyActivation| L::from(Dense::new(inputs, units, g));
    let body = sequence([dense(5, 6, Tanh), dense(6, 5, Identity)]);
    let branches = vec![sequence([dense(5, 2, Tanh)]), sequence([])];
    let (deep, shortcut) = (
        sequence([dense(4, 3, Tanh)]),
        sequence([dense(4, 3, Identity)]),
    );
    let last = Residual::new(sequence([dense(4, 4, Tanh)]));
    vec![
        dense(3, 5, Tanh),
        Residual::new(body).into(),
        Concat::new(branches, Axis::Last).into(),
        Rearrange::Transpose.into(),
        Residual::with_shortcut(deep, shortcut).into(),
        Rearrange::Flatten.into(),
        Rearrange::Select { from: 2, to: 9 }.into(),
        Activate::new(Relu).into(),
        sequence([dense(7, 4, Tanh), last.into()]).into(),
        dense(4, 2, Sigmoid),
    ]
}

fn theta(len: usize) -> Vec<f64> {
    (0..len).map(|i| (i as f64 * 1.3).sin()).collect()
}

fn example(inputs: usize) -> Vec<f64> {
    (0..inputs).map(|i| (i as f64 * 0.7).cos()).collect()
}

/// A layer type of a user, which holds the containers too.
#[derive(Clone, Debug, PartialEq)]
enum Own {
    Dense(Dense),
    Activate(Activate),
    Rearrange(Rearrange),
    Sequential(Sequential<Own>),
    Residual(Residual<Own>),
    Concat(Concat<Own>),
}

impl From<Dense> for Own {
    fn from(layer: Dense) -> Self {
        Self::Dense(layer)
    }
}

impl From<Activate> for Own {
    fn from(layer: Activate) -> Self {
        Self::Activate(layer)
    }
}

impl From<Rearrange> for Own {
    fn from(layer: Rearrange) -> Self {
        Self::Rearrange(layer)
    }
}

impl From<Sequential<Own>> for Own {
    fn from(layer: Sequential<Own>) -> Self {
        Self::Sequential(layer)
    }
}

impl From<Residual<Own>> for Own {
    fn from(layer: Residual<Own>) -> Self {
        Self::Residual(layer)
    }
}

impl From<Concat<Own>> for Own {
    fn from(layer: Concat<Own>) -> Self {
        Self::Concat(layer)
    }
}

impl Own {
    fn inner<T: Scalar>(&self) -> &dyn Layer<T> {
        match self {
            Self::Dense(layer) => layer,
            Self::Activate(layer) => layer,
            Self::Rearrange(layer) => layer,
            Self::Sequential(layer) => layer,
            Self::Residual(layer) => layer,
            Self::Concat(layer) => layer,
        }
    }
}

/// It delegates the methods that every layer has, and neither names nor shows what is inside.
impl<T: Scalar> Layer<T> for Own {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(self.inner::<T>().plan(site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.inner().forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.inner().backward(pass);
    }
}

#[test]
fn the_builder_infers_every_shape() {
    let built = every_kind(Network::<f64>::builder(STEPS)).zeros().unwrap();
    let theta = theta(built.parameters());
    let network = Network::from_layers(STEPS, written_out(), &theta).unwrap();
    let with_theta = every_kind(Network::builder(STEPS)).with_theta(&theta);
    assert_eq!(with_theta, Ok(network.clone()));
    assert_eq!(built.layers(), network.layers());
    assert_eq!(built.layout(), network.layout());

    let start = Initialization::GlorotUniform;
    let random = every_kind(Network::<f64>::builder(STEPS)).initialize(start, &mut rng(3));
    let random = random.unwrap();
    assert_eq!(random.layers(), network.layers());
    for place in random.layout().blocks() {
        let weights = &random.theta().as_slice()[place.penalised()];
        assert!(weights.iter().all(|w| *w != 0.0), "{}", place.label());
    }
}

/// The same architecture computes the same bits with any layer type, and its gradient is right.
#[test]
fn every_layer_type_builds_the_same_network() {
    type Boxed = Box<dyn Layer<f64>>;

    let plain = every_kind(Network::<f64>::builder(STEPS)).zeros().unwrap();
    let theta = theta(plain.parameters());
    let plain = every_kind(Network::builder(STEPS)).with_theta(&theta);
    let plain = plain.unwrap();
    let boxed = every_kind(Builder::<f64, Boxed>::new(STEPS)).with_theta(&theta);
    let boxed = boxed.unwrap();
    let own = every_kind(Builder::<f64, Own>::new(STEPS)).with_theta(&theta);
    let own = own.unwrap();
    let custom = every_kind(Builder::<f64, AnyLayer<Own>>::new(STEPS)).with_theta(&theta);
    let custom = custom.unwrap();
    assert_eq!(boxed.layout(), plain.layout());
    assert_eq!(own.layout(), plain.layout());
    assert_eq!(custom.layout(), plain.layout());

    let x = backprop::nalgebra::DMatrix::from_vec(12, 1, example(12));
    let y = backprop::nalgebra::DMatrix::from_vec(2, 1, vec![0.25, 0.75]);
    let (examples, objective) = (
        Examples::new(&x, &y).unwrap(),
        Objective::new(SquaredError).l2(0.1),
    );
    let pass = plain.backprop(&examples, &objective).unwrap();
    assert_eq!(boxed.backprop(&examples, &objective).unwrap(), pass);
    assert_eq!(own.backprop(&examples, &objective).unwrap(), pass);
    assert_eq!(custom.backprop(&examples, &objective).unwrap(), pass);
    for report in [
        GradientCheck::new().network(&plain, &examples, &objective),
        GradientCheck::new().network(&own, &examples, &objective),
    ] {
        report.unwrap().assert_passed();
    }
    assert_eq!(boxed.to_string(), plain.to_string());
    assert_eq!(custom.to_string(), plain.to_string());
}

/// Values that are worked out by hand, with a = b + w x in every dense layer.
#[test]
fn containers_compute_what_they_say() {
    let start = || Network::<f64>::builder(1);
    // 1 + 2 · 5 + 5.
    let network = start().residual(|body| body.dense(1, Identity));
    let network = network.with_theta(&[1.0, 2.0]).unwrap();
    assert_eq!(network.forward(&[5.0]).unwrap().as_slice(), &[16.0]);
    // (1 + 2 · 5) + (−3 − 4 · 5): the body's parameters come first.
    let network = start().residual_with_shortcut(
        |body| body.dense(1, Identity),
        |shortcut| shortcut.dense(1, Identity),
    );
    let network = network.with_theta(&[1.0, 2.0, -3.0, -4.0]).unwrap();
    assert_eq!(network.forward(&[5.0]).unwrap().as_slice(), &[-12.0]);
    // The branches in the order of the calls.
    let network = start().concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.dense(1, Identity));
        branches.branch(|b| b).branch(|b| b.dense(2, Relu))
    });
    let network = network.with_theta(&[1.0, 2.0, 0.5, 0.25, -1.0, 3.0]);
    let outputs = network.unwrap().forward(&[5.0]).unwrap();
    assert_eq!(outputs.as_slice(), &[11.0, 5.0, 0.0, 15.25]);
    // Two steps with two features each, [[1, 2], [3, 4]], and their sums.
    let steps = Shape::Sequence {
        steps: 2,
        features: 2,
    };
    for (axis, expected) in [
        (Axis::First, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]),
        (Axis::Last, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]),
    ] {
        let network = Network::<f64>::builder(steps);
        let network = network.concat(axis, |branches| branches.branch(|b| b).branch(|b| b));
        let outputs = network.zeros().unwrap().forward(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(outputs.unwrap().as_slice(), &expected);
    }
}

/// A builder knows its shape, at the start of each closure too.
#[test]
fn builders_know_their_shape() {
    let seen = RefCell::new(Vec::new());
    let note = |builder: Builder<f64>| {
        seen.borrow_mut().push(builder.shape());
        builder
    };
    let features = |features| {
        let steps = 4;
        Some(Shape::Sequence { steps, features })
    };
    let units = |units| Some(Shape::Units(units));
    let network = note(Network::builder(STEPS).dense(5, Tanh))
        .residual(|body| note(note(body).dense(6, Tanh)).dense(5, Identity))
        .concat(Axis::Last, |branches| {
            let branches = branches.branch(|b| note(note(b).dense(2, Tanh)));
            branches.branch(note)
        })
        .residual_with_shortcut(|b| note(b).dense(1, Tanh), |b| note(b).dense(1, Tanh))
        .flatten()
        .sequential(|s| note(s).select(1..3));
    assert_eq!(note(network).zeros().unwrap().outputs(), 2);
    let expected = [
        features(5), // after the first layer
        features(5), // the body
        features(6),
        features(5), // branch 1
        features(2),
        features(5), // branch 2
        features(7), // the second body
        features(7), // its shortcut
        units(4),    // in sequence
        units(2),
    ];
    assert_eq!(seen.take(), expected);

    // After a misfit there is no shape, and the first misfit is the error.
    let network = Network::builder(3)
        .residual(|body| note(body.transpose()).dense(2, Tanh))
        .concat(Axis::First, |branches| branches.branch(note));
    let found = note(network).residual(|body| note(body).dense(0, Tanh));
    assert_eq!(seen.take(), [None; 4]);
    let expected = Error::LayerShape {
        layer: Path::from([0, 0, 0]),
        expected: "a sequence or a signal",
        found: 3.into(),
    };
    assert_eq!(found.zeros(), Err(expected));
}

/// Every last call returns the first error with the path of its layer, and draws no numbers.
#[test]
fn errors_wait_for_the_last_call() {
    #[track_caller]
    fn refused(builder: Builder<f64>, expected: &Error) {
        assert_eq!(builder.clone().zeros().as_ref(), Err(expected));
        assert_eq!(builder.clone().with_theta(&[]).as_ref(), Err(expected));
        let (start, mut random) = (Initialization::HeNormal, rng(5));
        let found = builder.initialize(start, &mut random);
        assert_eq!((found.as_ref(), random), (Err(expected), rng(5)));
    }
    let zero = |path: &[usize]| Error::ZeroUnits { layer: path.into() };
    let start = || Network::<f64>::builder(3).dense(4, Tanh);
    let misfit = |path: &[usize], expected: usize, found: usize| Error::Branch {
        layer: path.into(),
        expected: expected.into(),
        found: found.into(),
    };

    let builder = start().residual(|body| body.dense(3, Tanh).dense(0, Tanh));
    refused(builder.dense(0, Tanh), &zero(&[1, 0, 1]));
    refused(
        start().residual_with_shortcut(|b| b, |b| b.dense(4, Tanh).dense(0, Tanh)),
        &zero(&[1, 1, 1]),
    );
    refused(
        start().concat(Axis::First, |branches| {
            let branches = branches.branch(|b| b);
            branches.branch(|b| b.sequential(|s| s.dense(0, Tanh)))
        }),
        &zero(&[1, 1, 0, 0]),
    );
    refused(
        start().residual(|body| body.dense(5, Tanh)),
        &misfit(&[1, 0], 4, 5),
    );
    refused(
        start().residual_with_shortcut(|b| b.dense(5, Tanh), |b| b),
        &misfit(&[1, 1], 5, 4),
    );
    let none = Error::NoBranches { layer: 1.into() };
    refused(start().concat(Axis::First, |branches| branches), &none);
    for rows in [3..5, 2..2] {
        let expected = Error::LayerShape {
            layer: Path::from([1, 0]),
            expected: "plain units that include the selected rows",
            found: 4.into(),
        };
        refused(start().sequential(|s| s.select(rows.clone())), &expected);
    }
    let slope = f64::NAN;
    let leaky = backprop::activation::LeakyRelu { slope };
    let found = start().residual(|body| body.activate(leaky)).zeros();
    let text = found.unwrap_err().to_string();
    assert!(text.starts_with("the slope of LeakyRelu is NaN"), "{text}");
    refused(Network::builder(0).residual(|body| body), &Error::NoInputs);
    refused(Network::builder(3), &Error::NoLayers);
    // A container without layers is a layer.
    let network = Network::<f64>::builder(3).sequential(|s| s).zeros();
    assert_eq!(network.unwrap().outputs(), 3);
}

/// A residual and its body are two levels. The layer at level 32 may be empty.
#[test]
fn layers_nest_32_deep() {
    fn nested(start: Builder<f64>, levels: usize) -> Builder<f64> {
        if levels == 0 {
            return start;
        }
        start.residual(|body| nested(body, levels - 1))
    }
    let network = nested(Network::builder(3), 16).zeros().unwrap();
    assert_eq!(network.forward(&[1.0, 2.0, 0.5]).unwrap()[1], 34.0); // 17 x
    assert_eq!(network.clone(), network);
    assert_eq!(nested(Network::builder(3), 17).zeros(), Err(DEPTH));
    assert_eq!(nested(Network::builder(3), 60).zeros(), Err(DEPTH));
    let chain = |levels: usize| {
        (0..levels).fold(AnyLayer::Activate(Activate::new(Tanh)), |inner, _| {
            sequence([inner]).into()
        })
    };
    let network = Network::<f64>::builder(3).layer(chain(31));
    assert_eq!(network.zeros().unwrap().outputs(), 3);
    let network = Network::<f64>::builder(3).layer(chain(32));
    assert_eq!(network.zeros(), Err(DEPTH));
}

/// A network with a custom layer inside two containers.
fn with_custom<T: Scalar>(c: f64) -> Builder<T, AnyLayer<LowRank<Cubic>>> {
    let layer = LowRank {
        inputs: 4,
        rank: 2,
        outputs: 4,
        activation: Cubic { c },
    };
    Builder::new(3).dense(4, Tanh).concat(Axis::First, |heads| {
        heads
            .branch(|b| b.residual(|body| body.layer(AnyLayer::Custom(layer))))
            .branch(|b| b.dense(1, Sigmoid))
    })
}

#[test]
fn values_at_any_depth() {
    let len = with_custom::<f64>(0.5).zeros().unwrap().parameters();
    let network = with_custom(0.5).with_theta(&theta(len)).unwrap();
    assert_eq!(network.clone(), network);
    let other = with_custom(0.25).with_theta(&theta(len)).unwrap();
    assert_ne!(other, network, "a constant differs");
    assert_eq!(other.layout(), network.layout());
    let text = format!("{network:?}");
    for part in [
        "Concat(Concat { branches: [Sequential { layers: [Residual(Residual { body: Sequential",
        "Custom(LowRank { inputs: 4, rank: 2, outputs: 4, activation: Cubic { c: 0.5 } })",
        "shortcut: None",
        "axis: First",
    ] {
        assert!(text.contains(part), "{text}");
    }

    let single = network.map(|w| w as f32).unwrap();
    let theta: Vec<f32> = theta(len).iter().map(|w| *w as f32).collect();
    assert_eq!(with_custom(0.5).with_theta(&theta), Ok(single.clone()));
    assert_eq!(single.layers(), network.layers());
    // The shape of the inputs survives.
    let steps = every_kind(Network::<f64>::builder(STEPS)).zeros().unwrap();
    let single = steps.map(|w| w as f32).unwrap();
    assert_eq!(
        every_kind(Network::<f32>::builder(STEPS)).zeros(),
        Ok(single)
    );
    let found = with_custom::<f64>(f64::NAN).zeros().unwrap_err();
    assert!(matches!(found, Error::Hyperparameter { .. }), "{found}");
}
