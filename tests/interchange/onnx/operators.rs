//! Operators with every attribute that changes them.

use super::made::{Graph, Message, float, input, int, ints, text};
use crate::support::wave;
use backprop::activation::{
    AnyActivation, Elu, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu, Selu, Sigmoid,
    Silu, Softplus, Softsign,
};
use backprop::interchange::{Options, onnx};
use backprop::layer::{Activate, AnyLayer, Axis, BatchNorm, Dropout, LayerNorm, RmsNorm};
use backprop::{Dense, Network};

pub(super) fn read(file: &[u8]) -> Network<f64> {
    onnx::from_bytes(file, &Options::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn of_one_node(operator: &str, attributes: Vec<Message>) -> Vec<AnyLayer> {
    let mut graph = Graph::new(&[2]);
    graph.opset = 24;
    read(&graph.node(operator, &["x"], attributes).file())
        .layers()
        .to_vec()
}

#[test]
fn every_activation() {
    let (scale, alpha) = (1.050_701, 1.673_263_2);
    let cases: Vec<(&str, Vec<Message>, AnyActivation)> = vec![
        ("Relu", vec![], Relu),
        ("LeakyRelu", vec![], LeakyRelu { slope: 0.01 }),
        (
            "LeakyRelu",
            vec![float("alpha", 0.2)],
            LeakyRelu { slope: 0.2 },
        ),
        ("Elu", vec![], Elu { alpha: 1.0 }),
        ("Elu", vec![float("alpha", 0.3)], Elu { alpha: 0.3 }),
        ("Celu", vec![float("alpha", 1.0)], Elu { alpha: 1.0 }),
        ("Selu", vec![], Selu),
        (
            "Selu",
            vec![float("alpha", alpha), float("gamma", scale)],
            Selu,
        ),
        ("Gelu", vec![], Gelu),
        ("Gelu", vec![text("approximate", "none")], Gelu),
        ("Gelu", vec![text("approximate", "tanh")], GeluTanh),
        ("Swish", vec![], Silu),
        ("Mish", vec![], Mish),
        ("Softplus", vec![], Softplus),
        ("Softsign", vec![], Softsign),
        ("Softmax", vec![], AnyActivation::Softmax),
        ("Softmax", vec![int("axis", 1)], AnyActivation::Softmax),
        ("Sin", vec![], AnyActivation::Sine),
        ("Exp", vec![], AnyActivation::Exponential),
    ];
    for (operator, attributes, expected) in cases {
        let found = of_one_node(operator, attributes);
        assert_eq!(found, [Activate::new(expected).into()], "{operator}");
    }
    let clip = |low: f64, high: Option<f64>| {
        let mut graph = Graph::new(&[2]).tensor("low", &[], &[low]);
        let mut names = vec!["x", "low"];
        if let Some(high) = high {
            graph = graph.tensor("high", &[], &[high]);
            names.push("high");
        }
        read(&graph.node("Clip", &names, vec![]).file())
            .layers()
            .to_vec()
    };
    assert_eq!(clip(-1.0, Some(1.0)), [Activate::new(HardTanh).into()]);
    assert_eq!(clip(0.0, None), [Activate::new(Relu).into()]);
}

/// Formulas in the forms of several exporters.
#[test]
fn formulas_of_activations() {
    let start = || {
        let graph = Graph::new(&[2])
            .tensor("one", &[], &[1.0])
            .tensor("half", &[1], &[0.5]);
        graph.tensor("two", &[], &[2.0]).tensor("zero", &[], &[0.0])
    };
    let node = |graph: Graph, operator: &str, inputs: &[&str]| graph.node(operator, inputs, vec![]);
    let chain = |graph: Graph, nodes: &[(&str, &[&str])]| {
        nodes.iter().fold(graph, |graph, (operator, inputs)| {
            node(graph, operator, inputs)
        })
    };
    let root = || start().tensor("root", &[], &[std::f64::consts::SQRT_2]);
    let tanh = || {
        let graph = start()
            .tensor("cube", &[], &[0.044715])
            .tensor("three", &[], &[3.0]);
        graph.tensor("root", &[], &[(2.0 / std::f64::consts::PI).sqrt()])
    };
    let cases: Vec<(Graph, AnyActivation)> = vec![
        (
            chain(start(), &[("Sigmoid", &["x"]), ("Mul", &["_", "x"])]),
            Silu,
        ),
        (
            chain(
                start(),
                &[
                    ("Neg", &["x"]),
                    ("Exp", &["_"]),
                    ("Add", &["one", "_"]),
                    ("Div", &["x", "_"]),
                ],
            ),
            Silu,
        ),
        (
            chain(
                start(),
                &[
                    ("Neg", &["x"]),
                    ("Exp", &["_"]),
                    ("Add", &["_", "one"]),
                    ("Reciprocal", &["_"]),
                ],
            ),
            Sigmoid,
        ),
        (
            chain(
                start(),
                &[("Exp", &["x"]), ("Add", &["_", "one"]), ("Log", &["_"])],
            ),
            Softplus,
        ),
        (
            chain(
                start(),
                &[
                    ("Abs", &["x"]),
                    ("Add", &["_", "one"]),
                    ("Div", &["x", "_"]),
                ],
            ),
            Softsign,
        ),
        (
            chain(
                start(),
                &[("Softplus", &["x"]), ("Tanh", &["_"]), ("Mul", &["x", "_"])],
            ),
            Mish,
        ),
        (
            // x (½ + ½ erf(x/√2))
            chain(
                root(),
                &[
                    ("Div", &["x", "root"]),
                    ("Erf", &["_"]),
                    ("Mul", &["half", "_"]),
                    ("Add", &["_", "half"]),
                    ("Mul", &["x", "_"]),
                ],
            ),
            Gelu,
        ),
        (
            // (½ x) (1 + tanh(√(2/π) (x + 0.044715 x³)))
            chain(
                tanh(),
                &[
                    ("Pow", &["x", "three"]),
                    ("Mul", &["_", "cube"]),
                    ("Add", &["x", "_"]),
                    ("Mul", &["root", "_"]),
                    ("Tanh", &["_"]),
                    ("Add", &["_", "one"]),
                    ("Mul", &["_", "x"]),
                    ("Mul", &["_", "half"]),
                ],
            ),
            GeluTanh,
        ),
        (chain(start(), &[("Max", &["zero", "x"])]), Relu),
    ];
    for (graph, expected) in cases {
        let network = read(&graph.node("Identity", &["_"], vec![]).file());
        assert_eq!(network.layers(), [Activate::new(expected).into()]);
    }
}

#[test]
fn norms() {
    let graph = |sizes: &[i64]| {
        let graph = Graph::new(sizes).tensor("scale", &[2], &[2.0, 3.0]);
        let graph = graph
            .tensor("shift", &[2], &[0.5, -0.5])
            .tensor("mean", &[2], &[1.0, 2.0]);
        graph.tensor("variance", &[2], &[4.0, 9.0])
    };
    let names = ["x", "scale", "shift", "mean", "variance"];
    // Of units, and of the channels of a signal and an image.
    for sizes in [&[2][..], &[2, 5], &[2, 3, 5]] {
        let attributes = vec![float("epsilon", 0.25), float("momentum", 0.99)];
        let batch = graph(sizes).node("BatchNormalization", &names, attributes);
        let network = read(&batch.file());
        let expected = BatchNorm::new().eps(0.25).momentum(0.01);
        assert_eq!(network.layers(), [AnyLayer::BatchNorm(expected)]);
        assert_eq!(network.theta().as_slice(), [2.0, 3.0, 0.5, -0.5]);
        assert_eq!(network.state().as_slice(), [1.0, 2.0, 4.0, 9.0]);
    }
    let signal = read(
        &graph(&[2, 5])
            .node("BatchNormalization", &names, vec![])
            .file(),
    );
    assert!(signal.to_string().contains("2 channels × 5"), "{signal}");

    let layer = graph(&[3, 2]).node("LayerNormalization", &names[..3], vec![]);
    let network = read(&layer.file());
    assert_eq!(network.layers(), [AnyLayer::LayerNorm(LayerNorm::new())]);
    assert_eq!(network.theta().as_slice(), [2.0, 3.0, 0.5, -0.5]);
    let layer = graph(&[3, 2]).node("LayerNormalization", &names[..2], vec![int("axis", -1)]);
    assert_eq!(read(&layer.file()).theta().as_slice(), [2.0, 3.0, 0.0, 0.0]);
    let axes = graph(&[3, 2]).tensor("all", &[3, 2], &[1.0; 6]);
    let axes = axes.node("LayerNormalization", &["x", "all"], vec![int("axis", 1)]);
    assert_eq!(
        read(&axes.file()).layers(),
        [AnyLayer::LayerNorm(LayerNorm::new().axes(2))]
    );

    // Of scikit-learn, with an offset and a scale for each unit, or one for all.
    let floats = |name: &str, values: &[f32]| {
        let attribute = Message::default().bytes(1, name).int(20, 6);
        let add = |attribute: Message, &value: &f32| attribute.float(7, value);
        values.iter().fold(attribute, add)
    };
    for (scale, outputs) in [(&[2.0, 0.5][..], [-2.0, 1.0]), (&[3.0], [-3.0, 6.0])] {
        let attributes = vec![floats("offset", &[1.0, -1.0]), floats("scale", scale)];
        let scaler = graph(&[2]).node("ai.onnx.ml:Scaler", &["x"], attributes);
        let found = read(&scaler.file()).forward(&[0.0, 1.0]).unwrap();
        assert_eq!(found.as_slice(), outputs);
    }

    // Of scikit-learn, as operators: (x − μ)/σ, and x · scale + shift.
    let tensors = graph(&[2]).tensor("c", &[2], &[2.0, -4.0]);
    let tensors = tensors.tensor("d", &[1, 2], &[1.0, 3.0]);
    let chain = |operators: [&str; 2]| {
        let graph = tensors.clone().node(operators[0], &["x", "c"], vec![]);
        graph.node(operators[1], &["_", "d"], vec![]).file()
    };
    let by_hand = [
        (["Sub", "Div"], [-1.0, 3.0]),
        (["Sub", "Mul"], [-1.0, 27.0]),
        (["Mul", "Add"], [3.0, -17.0]),
        (["Div", "Add"], [1.5, 1.75]),
    ];
    for (operators, outputs) in by_hand {
        let network = read(&chain(operators));
        assert!(matches!(network.layers(), [AnyLayer::BatchNorm(_)]));
        let found = network.forward(&[1.0, 5.0]).unwrap();
        assert_eq!(found.as_slice(), outputs, "{operators:?}");
    }

    let mut rms = graph(&[2]);
    rms.opset = 23;
    let rms = rms.node("RMSNormalization", &names[..2], vec![float("epsilon", 0.1)]);
    let network = read(&rms.file());
    assert_eq!(
        network.layers(),
        [AnyLayer::RmsNorm(RmsNorm::new().eps(0.1))]
    );
}

#[test]
fn shapes_that_change_nothing() {
    for shape in [[-1, 6], [0, 6], [0, -1]] {
        let graph = Graph::new(&[2, 3]).ints("shape", &shape);
        let network = read(&graph.node("Reshape", &["x", "shape"], vec![]).file());
        assert_eq!(
            network.layers(),
            [AnyLayer::Rearrange(backprop::layer::Flatten)]
        );
    }
    let graph = Graph::new(&[2, 3])
        .ints("same", &[0, 0, -1])
        .ints("one", &[-1]);
    let graph = graph.node("Reshape", &["_", "same"], vec![]);
    let graph = graph.node("Transpose", &["_"], vec![ints("perm", &[0, 1, 2])]);
    let graph = graph
        .node("Flatten", &["_"], vec![])
        .node("Flatten", &["_"], vec![int("axis", 1)]);
    let graph = graph
        .tensor("W", &[6, 1], &wave(6, 0.0))
        .node("MatMul", &["_", "W"], vec![]);
    let graph = graph.node("Cast", &["_"], vec![int("to", 1)]);
    let network = read(&graph.node("Reshape", &["_", "one"], vec![]).file());
    let dense = Dense::new(6, 1, Identity).without_bias();
    assert_eq!(
        network.layers(),
        [backprop::layer::Flatten.into(), AnyLayer::Dense(dense)]
    );
}

#[test]
fn dropout_ids_and_rows() {
    let graph = Graph::new(&[4]).tensor("ratio", &[], &[0.25]);
    let network = read(&graph.node("Dropout", &["x", "ratio"], vec![]).file());
    assert_eq!(network.layers(), [AnyLayer::Dropout(Dropout::new(0.25))]);
    assert_eq!(
        of_one_node("Dropout", vec![int("seed", 3)]),
        [Dropout::new(0.5).into()]
    );

    let fields = Message::default().message(11, input("x", 7, &[2]));
    let ids = Graph::of_input(fields).tensor("E", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let network = read(&ids.node("Gather", &["E", "x"], vec![int("axis", 0)]).file());
    let outputs = network.forward(&[2.0, 0.0]).unwrap();
    assert_eq!(outputs.as_slice(), [5.0, 6.0, 1.0, 2.0]);

    let graph = Graph::new(&[5])
        .ints("from", &[-4])
        .ints("to", &[i64::MAX])
        .ints("axis", &[-1]);
    let network = read(
        &graph
            .node("Slice", &["x", "from", "to", "axis"], vec![])
            .file(),
    );
    let outputs = network.forward(&[0.0, 1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(outputs.as_slice(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn forks_and_heads() {
    let w = wave(4, 0.2);
    let start = || {
        Graph::new(&[2])
            .tensor("W", &[2, 2], &w)
            .tensor("V", &[2, 2], &wave(4, 0.7))
    };
    // A residual in either order, and with a projection.
    for order in [["_", "x"], ["x", "_"]] {
        let graph = start()
            .node("MatMul", &["x", "W"], vec![])
            .node("Add", &order, vec![]);
        let network = read(&graph.file());
        let builder = Network::<f64>::builder(2);
        let expected = builder
            .residual(|b| b.dense_without_bias(2, Identity))
            .zeros()
            .unwrap();
        assert_eq!(network.layers(), expected.layers());
    }
    let both = start().named_node("MatMul", &["x", "W"], "a", vec![]);
    let both = both.named_node("MatMul", &["x", "V"], "b", vec![]);
    let network = read(&both.clone().node("Add", &["a", "b"], vec![]).file());
    assert_eq!(network.theta().len(), 8);
    // Two outputs, which are also the branches of a concatenation.
    let heads = read(&both.clone().file_of(&[("a", 11), ("b", 11)]));
    let concat = read(
        &both
            .clone()
            .node("Concat", &["a", "b"], vec![int("axis", -1)])
            .file(),
    );
    assert_eq!(heads, concat);
    assert_eq!(heads.outputs(), 4);
    // A value on the way is an output too.
    let on_the_way = both
        .node("Relu", &["b"], vec![])
        .file_of(&[("b", 11), ("v3", 0)]);
    let network = read(&on_the_way);
    let outputs = network.forward(&[1.0, -2.0]).unwrap();
    assert_eq!(outputs[2], outputs[0].max(0.0));
    let expected = Network::<f64>::builder(2).dense_without_bias(2, Identity);
    let expected = expected.concat(Axis::First, |heads| {
        heads.branch(|b| b).branch(|b| b.activate(Relu))
    });
    assert_eq!(network.layers(), expected.zeros().unwrap().layers());
}
