//! Containers whose layers do not fit, at any depth, and inputs with several axes.

use super::*;
use backprop::layer::{Axis, Concat, Dense, Rearrange, Residual, Sequential};
use backprop::{Path, Shape, SquaredError};

fn dense(inputs: usize, outputs: usize) -> AnyLayer {
    AnyLayer::Dense(Dense::new(inputs, outputs, Tanh))
}

fn sequence<const N: usize>(layers: [AnyLayer; N]) -> Sequential<AnyLayer> {
    Sequential::new(layers.to_vec())
}

fn residual(body: Sequential<AnyLayer>) -> AnyLayer {
    AnyLayer::Residual(Residual::new(body))
}

fn concat(axis: Axis, branches: &[Sequential<AnyLayer>]) -> AnyLayer {
    AnyLayer::Concat(Concat::new(branches.to_vec(), axis))
}

fn path(indices: &[usize]) -> Path {
    Path::from(indices)
}

#[track_caller]
fn no_network(what: &str, input: impl Into<Shape>, layers: &[AnyLayer], expected: &Error) {
    let input = input.into();
    let found = Network::<f64>::from_layers(input, layers.to_vec(), &[]);
    refused(what, found, expected);
    let builder = Builder::<f64>::new(input);
    let built = layers.iter().cloned().fold(builder, Builder::layer);
    refused(what, built.zeros(), expected);
}

#[test]
pub(super) fn containers() {
    // The layer around a layer adds its index to the path.
    let inner = sequence([dense(3, 4), dense(5, 3)]);
    let expected = Error::LayerInputs {
        layer: path(&[1, 0, 1]),
        expected: 4,
        found: 5,
    };
    no_network("residual", 3, &[dense(3, 3), residual(inner)], &expected);
    let fault = || sequence([dense(3, 4), dense(4, 0)]);
    let zero = |indices: &[usize]| Error::ZeroUnits {
        layer: path(indices),
    };
    no_network("body", 3, &[residual(fault())], &zero(&[0, 0, 1]));
    let shortcut = Residual::with_shortcut(sequence([dense(3, 3)]), fault());
    no_network(
        "shortcut",
        3,
        &[AnyLayer::Residual(shortcut)],
        &zero(&[0, 1, 1]),
    );
    let branches = [sequence([]), sequence([residual(fault())])];
    let layers = [dense(3, 3), concat(Axis::First, &branches)];
    no_network("nested", 3, &layers, &zero(&[1, 1, 0, 0, 1]));

    // Branches that do not fit each other.
    let misfit = |layer: &[usize], expected: Shape, found: Shape| Error::Branch {
        layer: path(layer),
        expected,
        found,
    };
    let expected = misfit(&[0, 0], 3.into(), 2.into());
    no_network("sum", 3, &[residual(sequence([dense(3, 2)]))], &expected);
    let both = Residual::with_shortcut(sequence([dense(3, 2)]), sequence([dense(3, 4)]));
    let expected = misfit(&[0, 1], 2.into(), 4.into());
    no_network("sum of two", 3, &[AnyLayer::Residual(both)], &expected);
    let steps = Shape::Sequence {
        steps: 4,
        features: 3,
    };
    let flat = sequence([AnyLayer::Rearrange(Rearrange::Flatten)]);
    for axis in [Axis::First, Axis::Last] {
        let layers = [concat(axis, &[sequence([]), flat.clone()])];
        no_network("axes", steps, &layers, &misfit(&[0, 1], steps, 12.into()));
    }
    let wider = Shape::Sequence {
        steps: 4,
        features: 2,
    };
    let layers = [concat(
        Axis::First,
        &[sequence([]), sequence([dense(3, 2)])],
    )];
    no_network("features", steps, &layers, &misfit(&[0, 1], steps, wider));

    let expected = Error::NoBranches { layer: path(&[1]) };
    no_network(
        "no branch",
        3,
        &[dense(3, 3), concat(Axis::First, &[])],
        &expected,
    );
}

/// A network with two heads of 2 and 1 outputs.
fn two_heads() -> Network<f64> {
    let branches = [sequence([dense(3, 2)]), sequence([dense(3, 1)])];
    let layers = vec![concat(Axis::First, &branches)];
    Network::from_layers(3, layers, &[0.25; 12]).unwrap()
}

#[test]
pub(super) fn missing_targets() {
    use backprop::cost::{CategoricalCrossEntropy, Heads};
    let network = two_heads();
    let (x, y) = (DMatrix::repeat(3, 4, 0.5), DMatrix::repeat(3, 4, f64::NAN));
    let mut present = DMatrix::repeat(3, 4, false);
    let narrow = DMatrix::repeat(2, 4, true);
    let found = Examples::with_missing(&x, &y, &narrow);
    let expected = Error::Shape {
        what: "the matrix of present targets",
        expected: (3, 4),
        found: (2, 4),
    };
    refused("a matrix of another shape", found, &expected);
    present[(1, 2)] = true;
    let found = Examples::with_missing(&x, &y, &present);
    let expected = Error::NonFinite {
        at: Location::Input {
            what: "Y",
            row: 1,
            col: 2,
        },
        value: f64::NAN,
    };
    refused("a present target that is NaN", found, &expected);

    let y = y.map(|_| 0.5);
    let examples = Examples::with_missing(&x, &y, &present).unwrap();
    let cost = Heads::new()
        .head(0..2, CategoricalCrossEntropy, 1.0)
        .head(2..3, SquaredError, 1.0);
    let expected = Error::PartialTargets {
        example: 2,
        rows: 0..2,
    };
    let objective = Objective::new(cost);
    let (w, cost) = (&mut Workspace::new(), &objective.cost);
    refused("J", network.cost(&examples, &objective), &expected);
    refused("∇J", network.backprop(&examples, &objective), &expected);
    let each = network.example_gradients(&examples, cost);
    refused("each", each.matrix(), &expected);
    refused(
        "H v",
        network.hessian_product(&examples, &objective, &[0.0; 12]),
        &expected,
    );
    refused("trace", network.trace(&examples, &objective), &expected);
    let mut sums = Accumulator::new(&network).unwrap();
    refused("Δ", sums.add(&network, &examples, cost, w), &expected);
    // The other costs take any.
    assert!(
        network
            .cost(&examples, &Objective::new(SquaredError))
            .is_ok()
    );
}

#[test]
pub(super) fn heads() {
    use backprop::cost::{CategoricalCrossEntropy, Heads, Poisson};
    let network = two_heads();
    let (x, y) = (DMatrix::repeat(3, 4, 0.5), DMatrix::repeat(3, 4, 0.25));
    let examples = Examples::new(&x, &y).unwrap();
    let valid = || Heads::new().head(0..2, SquaredError, 0.5);
    let j = |cost: Heads| network.cost(&examples, &Objective::new(cost));
    assert!(j(valid()).is_ok());

    let reads = |expected| Error::HeadRows { expected, found: 3 };
    for end in [4, 7, usize::MAX] {
        let cost = || valid().head(2..end, SquaredError, 1.0);
        refused("too many rows", j(cost()), &reads(end));
        let found = network.example_gradients(&examples, &cost()).matrix();
        refused("too many rows", found, &reads(end));
        let mut sums = Accumulator::new(&network).unwrap();
        let found = sums.add(&network, &examples, &cost(), &mut Workspace::new());
        refused("too many rows", found, &reads(end));
    }
    let range = |name, value, expected: &'static str| Error::Hyperparameter {
        name,
        value,
        expected: expected.into(),
    };
    let expected = range("the number of heads", 0.0, "at least one");
    refused("no heads", j(Heads::new()), &expected);
    for weight in [-1.0, f64::INFINITY] {
        let expected = range("the weight of a head", weight, "a number in [0, ∞)");
        refused(
            "weight",
            j(valid().head(2..3, SquaredError, weight)),
            &expected,
        );
    }
    let order = "a row before its end and after the head before it";
    for (rows, first) in [(2..2, 2.0), (1..3, 1.0), (0..1, 0.0)] {
        let expected = range("the first row of a head", first, order);
        refused("rows", j(valid().head(rows, SquaredError, 1.0)), &expected);
    }

    // Each head has its own domain of targets and of outputs.
    let cost = Heads::new()
        .head(0..2, SquaredError, 1.0)
        .head(2..3, Poisson, 1.0);
    for (unit, fits) in [(0, true), (1, true), (2, false)] {
        let mut y = y.clone();
        y[(unit, 3)] = -0.5;
        let examples = Examples::new(&x, &y).unwrap();
        let found = network.cost(&examples, &Objective::new(cost.clone()));
        if fits {
            assert!(found.is_ok(), "{unit}: {found:?}");
            continue;
        }
        let expected = Error::Target {
            unit,
            example: 3,
            value: -0.5,
            domain: (0.0, f64::INFINITY),
        };
        refused("target", found, &expected);
    }
    let mut network = network;
    network.set_theta(&[-0.25; 12]).unwrap();
    let value = (-0.25_f64 - 3.0 * 0.125).tanh();
    for cost in [Poisson, CategoricalCrossEntropy] {
        let cost = Heads::new()
            .head(0..2, SquaredError, 1.0)
            .head(2..3, cost, 1.0);
        match network.cost(&examples, &Objective::new(cost)) {
            Err(Error::Output {
                layer,
                unit: 2,
                example: 0,
                value: found,
                ..
            }) => {
                assert_eq!(layer, 0);
                assert!((found - value).abs() < 1e-15);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
pub(super) fn shapes_of_inputs() {
    let misfit = |expected, found: Shape| Error::LayerShape {
        layer: path(&[0]),
        expected,
        found,
    };
    let image = Shape::Image {
        channels: 2,
        height: 3,
        width: 4,
    };
    for input in [Shape::Units(6), image] {
        let layers = [AnyLayer::Rearrange(Rearrange::Transpose)];
        no_network(
            "transpose",
            input,
            &layers,
            &misfit("a sequence or a signal", input),
        );
    }
    let selected = "plain units that include the selected rows";
    for (from, to) in [(0, 7), (3, 3), (4, 3), (6, 7), (0, usize::MAX)] {
        let layers = [AnyLayer::Rearrange(Rearrange::Select { from, to })];
        no_network("select", 6, &layers, &misfit(selected, 6.into()));
    }
    let layers = [AnyLayer::Rearrange(Rearrange::Select { from: 0, to: 1 })];
    no_network("select", image, &layers, &misfit(selected, image));
    let empty = Shape::Sequence {
        steps: 0,
        features: 3,
    };
    no_network("no steps", empty, &[dense(3, 2)], &Error::NoInputs);

    // Where an example has several axes, columns that are apart are refused.
    let steps = Shape::Sequence {
        steps: 2,
        features: 3,
    };
    let network = Network::<f64>::from_layers(steps, vec![dense(3, 1)], &[0.5; 4]).unwrap();
    let all = DMatrix::from_fn(7, 3, |i, j| 0.1 * (i + j) as f64);
    let (apart, together) = (all.rows(0, 6), all.rows(0, 6).clone_owned());
    let y = DMatrix::repeat(2, 3, 0.25);
    let expected = Error::Gaps { what: "X" };
    refused("forward", network.forward(apart), &expected);
    let objective = Objective::new(SquaredError);
    let examples = Examples::new(apart, &y).unwrap();
    refused(
        "backprop",
        network.backprop(&examples, &objective),
        &expected,
    );
    let moved = backprop::Tangent::of_inputs(apart);
    let expected = Error::Gaps { what: "Ẋ" };
    refused("jvp", network.jvp(&together, moved), &expected);
    let examples = Examples::new(&together, &y).unwrap();
    assert!(network.backprop(&examples, &objective).is_ok());
    // One example has no gaps.
    assert!(network.forward(all.view((0, 1), (6, 1))).is_ok());
}

/// A layer that states a false plan.
#[derive(Clone, Copy, Debug)]
enum Lying {
    OtherInput,
    ZIsInput,
    ZIsKept(usize, usize),
}

impl Layer<f64> for Lying {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        use backprop::layer::Place;
        Ok(match *self {
            Self::OtherInput => Plan::new(Site::new(7), 2),
            Self::ZIsInput => Plan::new(site, 2).z(Place::Input, None),
            Self::ZIsKept(from, each) => {
                let at = Place::Kept(Len::fixed(from).into());
                Plan::new(site, 2).keeps(Len::each(each)).z(at, None)
            }
        })
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        pass.output.fill(0.5);
    }

    fn backward(&self, _pass: Backward<'_, f64>) {}
}

#[test]
pub(super) fn plans_that_do_not_hold() {
    let x = DMatrix::repeat(3, 2, 0.5);
    for (layer, what) in [
        (
            Lying::OtherInput,
            "it is of another input shape than it was asked for",
        ),
        (
            Lying::ZIsInput,
            "z is the input, which has another number of entries",
        ),
        (Lying::ZIsKept(0, 1), "z ends after what the layer keeps"),
        (Lying::ZIsKept(1, 2), "z ends after what the layer keeps"),
        (
            Lying::ZIsKept(usize::MAX, 2),
            "z ends after what the layer keeps",
        ),
    ] {
        let fault = |indices: &[usize]| Error::Plan {
            layer: path(indices),
            what,
        };
        let custom = AnyLayer::Custom(layer);
        let found = Network::from_layers(3, vec![custom.clone()], &[]);
        refused("a layer", found, &fault(&[0]));
        let inner = Sequential::new(vec![custom]);
        let branches = vec![Sequential::new(vec![]), inner];
        let nested = AnyLayer::Concat(Concat::new(branches, Axis::First));
        let found = Network::from_layers(3, vec![nested], &[]);
        refused("a branch", found, &fault(&[0, 1, 0]));
        let found = GradientCheck::new().layer(&layer, &[], &x);
        refused("the checker", found, &fault(&[0]));
    }
    let network = Network::from_layers(3, vec![Lying::ZIsKept(0, 2)], &[]).unwrap();
    assert!(network.forward(&x).is_ok());
}
