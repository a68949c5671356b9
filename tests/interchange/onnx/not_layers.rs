//! Nodes that are refused, each with its operator and a reason.

use super::made::{Graph, Message, float, int, ints, text};
use super::refused::refused;
use crate::support::wave;
use backprop::interchange::InterchangeError;

/// Reads an attribute such as `axis=1`, `alpha=0.5`, `perm=[1,0]` or `approximate=tanh`.
fn attribute(words: &str) -> Message {
    let (name, value) = words.split_once('=').unwrap();
    if let Some(list) = value.strip_prefix('[') {
        let numbers = list.trim_end_matches(']').split(',');
        return ints(
            name,
            &numbers.map(|x| x.parse().unwrap()).collect::<Vec<i64>>(),
        );
    }
    match (value.parse::<i64>(), value.parse::<f32>()) {
        (Ok(value), _) => int(name, value),
        (_, Ok(value)) => float(name, value),
        _ => text(name, value),
    }
}

/// Makes a file of nodes such as `Gemm(x, W) transA=1; Relu(_)`, where `_` is the last value.
/// There are the constants `W`, 2 × 2, `v`, two entries, `one`, `cube`, 1 × 1 × 1, and integers.
fn file(sizes: &[i64], nodes: &str) -> Vec<u8> {
    let graph = Graph::new(sizes).tensor("W", &[2, 2], &wave(4, 0.3));
    let graph = graph
        .tensor("v", &[2], &[1.0, 2.0])
        .tensor("one", &[], &[1.0]);
    let graph = graph
        .tensor("cube", &[1, 1, 1], &[1.0])
        .ints("0", &[0])
        .ints("1", &[1]);
    let graph = graph
        .ints("2", &[2])
        .ints("0 2", &[0, 2])
        .ints("seven", &[7]);
    let nodes = nodes.split("; ");
    let graph = nodes.fold(graph, |graph, node| {
        let (operator, rest) = node.split_once('(').unwrap();
        let (inputs, attributes) = rest.split_once(')').unwrap();
        let inputs: Vec<&str> = inputs.split(", ").collect();
        let attributes = attributes.split_whitespace().map(attribute);
        graph.node(operator, &inputs, attributes.collect())
    });
    graph.file()
}

/// The last node is refused, unless the reason begins with the name of another operator.
const REFUSED: &[(&[i64], &str, &str)] = &[
    (
        &[2],
        "com.example:Frobnicate(x)",
        "only standard operators are supported",
    ),
    (
        &[2],
        "com.example:Relu(x)",
        "only standard operators are supported",
    ),
    (&[2], "HardSwish(x)", "there is no layer for it"),
    (&[2], "HardSigmoid(x) alpha=0.2", "there is no layer for it"),
    (&[2], "LogSoftmax(x)", "there is no layer for it"),
    (&[2], "If(x) then_branch=x", "there is no layer for it"),
    (&[2], "QuantizeLinear(x, one)", "there is no layer for it"),
    (&[2], "Conv(x, W) group=1", "there is no layer for it"),
    (
        &[2],
        "Relu(x) axis=1",
        "the attribute \"axis\" is not supported",
    ),
    (
        &[2],
        "Elu(x) alpha=1",
        "the attribute \"alpha\" is not a float",
    ),
    (&[2], "Softmax(x) axis=1.0", "is not an integer"),
    (&[2], "Gelu(x) approximate=1", "is not text"),
    (
        &[2],
        "Gelu(x) approximate=other",
        "its approximation is not none or tanh",
    ),
    (&[2], "Transpose(x) perm=1", "is not a list of integers"),
    (&[2], "Celu(x) alpha=2.0", "its alpha is 2, expected 1"),
    (&[2], "Selu(x) gamma=1.0", "its gamma is 1, expected 1.0507"),
    (&[2], "Swish(x) alpha=2.0", "its alpha is 2, expected 1"),
    (&[2], "PRelu(x, v)", "its slope is not a single constant"),
    (&[2], "Mul(x, v)", "it is not a layer by itself"),
    (&[2], "Mul(x, one)", "it is not a layer by itself"),
    (
        &[2],
        "Mul(x, x)",
        "it does not compute a layer from its inputs",
    ),
    (
        &[2],
        "Sigmoid(x); Mul(_, x, one)",
        "it does not compute a layer from its inputs",
    ),
    (&[2], "Sub(x, v)", "it is not a layer by itself"),
    (&[2], "Sqrt(x)", "it is not a layer by itself"),
    (&[2], "Clip(x, one)", "it is not a layer by itself"),
    (&[2], "Max(x, cube)", "it is not a layer by itself"),
    (
        &[2],
        "Exp(x); Add(cube, _); Log(_)",
        "a constant has more axes than its input",
    ),
    (
        &[2],
        "Add(x, v)",
        "it adds a constant to something other than a matrix product",
    ),
    (
        &[2],
        "Gemm(x, W, v); Add(_, v)",
        "it adds a constant to something other than a matrix product",
    ),
    (
        &[2],
        "MatMul(x, W); Tanh(_); Add(_, v)",
        "to something other than a matrix product",
    ),
    (
        &[2],
        "Gemm(x, W) transA=1",
        "the examples are not the first axis",
    ),
    (&[2], "Gemm(W, x)", "the examples are not the first axis"),
    (&[2], "MatMul(W, x)", "the examples are not the first axis"),
    (
        &[2],
        "Gemm(W, x) transB=1",
        "are not the first axis of its output",
    ),
    (
        &[2],
        "Gemm(x, x)",
        "it does not compute a layer from its inputs",
    ),
    (
        &[2],
        "Gemm(x, W, x)",
        "it does not compute a layer from its inputs",
    ),
    (&[2], "Gemm(x, v)", "its weights are not a matrix"),
    (&[2], "Neg(W); Gemm(x, _)", "its weights are not a constant"),
    (&[2], "Neg(v); Gemm(x, W, _)", "its bias is not a constant"),
    (&[3], "Gemm(x, W)", "is 2, expected 3"),
    (&[3, 2], "Gemm(x, W)", "its input does not have two axes"),
    (&[2], "Gemm(x, W, W)", "has the shape [2, 2], expected [2]"),
    (
        &[2],
        "Gemm(x, W, cube)",
        "its bias has more axes than its input",
    ),
    (
        &[2],
        "BatchNormalization(x, v, v, v, v) training_mode=1",
        "it is in training mode",
    ),
    (
        &[3],
        "BatchNormalization(x, v, v, v, v)",
        "has the shape [2], expected [3]",
    ),
    (
        &[2],
        "BatchNormalization(x, v, v, v)",
        "its parameters are not constants",
    ),
    (
        &[2],
        "LayerNormalization(x, v) axis=0",
        "it normalises along the axis of the examples",
    ),
    (
        &[2],
        "LayerNormalization(x, x)",
        "it does not compute a layer from its inputs",
    ),
    (
        &[2],
        "Neg(v); LayerNormalization(x, _)",
        "its scale is not a constant",
    ),
    (
        &[2],
        "Neg(v); LayerNormalization(x, v, _)",
        "its bias is not a constant",
    ),
    (&[2], "LayerNormalization(x, v) epsilon=-1.0", "ε"),
    (
        &[2],
        "RMSNormalization(x, v, v)",
        "its bias is not a constant",
    ),
    (
        &[2],
        "Sub(x, v); Mul(_, W)",
        "has the shape [2, 2], expected [2]",
    ),
    (&[2], "Dropout(x, one, one)", "it is in training mode"),
    (&[2], "Dropout(x, v)", "its ratio is not a constant"),
    (&[2, 2], "Softmax(x) axis=1", "its axis is not the last one"),
    (&[2, 2], "Flatten(x) axis=2", "its axis is not 1"),
    (
        &[2, 2],
        "Reshape(x, 0 2)",
        "the shape [0, 2], which is not flat",
    ),
    (
        &[2, 2],
        "Reshape(x, x)",
        "it does not compute a layer from its inputs",
    ),
    (
        &[2, 2],
        "Shape(x); Reshape(x, _)",
        "its shape is not a constant",
    ),
    (&[2, 2], "Squeeze(x, 1)", "it is not a layer by itself"),
    (&[1], "Squeeze(x, 0)", "its axis is not 1"),
    (
        &[1],
        "Squeeze(x, 1); Relu(_)",
        "it reads numbers without an axis of units",
    ),
    (
        &[2, 2],
        "Transpose(x) perm=[1,0,2]",
        "it does not swap the two axes of an example",
    ),
    (
        &[2],
        "Transpose(x)",
        "the examples are not the first axis of its output",
    ),
    (
        &[2],
        "Transpose(x); Flatten(_)",
        "the examples are not the first axis of its input",
    ),
    (
        &[2],
        "Transpose(x); Sub(_, v); Mul(_, v)",
        "the examples are not the first axis",
    ),
    (
        &[2],
        "Transpose(x); Tanh(_); Add(_, _)",
        "the examples are not the first axis",
    ),
    (&[2], "Gather(x, 0)", "its table is not a constant matrix"),
    (&[2], "Gather(W, x) axis=1", "its axis is not 0"),
    (&[2], "Cast(x) to=7", "its output is rounded to integers"),
    (
        &[2],
        "Cast(x) to=9",
        "it casts to a type that no layer reads",
    ),
    (
        &[2],
        "Cast(x) to=7; Cast(_) to=1",
        "it casts to a type that no layer reads",
    ),
    (
        &[2],
        "Cast(x) to=7; Relu(_)",
        "it reads integers, which only `Gather` may",
    ),
    (&[2], "Less(x, 0)", "it is not a layer by itself"),
    (
        &[2],
        "Concat(x, x) axis=0",
        "its axis is not the first or the last of an example",
    ),
    (
        &[2, 2, 2],
        "Concat(x, x) axis=2",
        "its axis is not the first or the last",
    ),
    (&[2], "Concat(x, W) axis=1", "it is not a layer by itself"),
    (&[2], "Slice(x, 0, 2, 1, 2)", "or its step is not 1"),
    (
        &[2],
        "Slice(x, 0, x, 1)",
        "it does not compute a layer from its inputs",
    ),
    (&[2], "Slice(x, 0, 1, 0)", "its axis is not 1"),
    (&[2, 2], "Slice(x, 0, 1, 1)", "plain units"),
    (
        &[2],
        "Sum(x, x, x)",
        "it does not compute a layer from its inputs",
    ),
];

#[test]
fn nodes_that_are_not_layers() {
    for &(sizes, nodes, expected) in REFUSED {
        let error = refused(&file(sizes, nodes));
        let InterchangeError::Operator {
            operator,
            node,
            reason,
        } = &error
        else {
            panic!("{nodes}: {error:?}");
        };
        let last = nodes.rsplit("; ").next().unwrap();
        let (last, _) = last.split_once('(').unwrap();
        assert_eq!(
            operator.replace("example.", "example:"),
            last,
            "{nodes}: {error}"
        );
        assert!(node.starts_with("node "), "{error}");
        assert!(
            reason.contains(expected),
            "{nodes}: expected {expected:?}, found {error}"
        );
    }
}

/// Ids that are negative in the graph, as Keras reads them, and what is only like it.
#[test]
fn wrapped_ids() {
    let graph = |sum: &str, choice: [&str; 3]| {
        let graph = Graph::new(&[2]).tensor("W", &[2, 2], &wave(4, 0.3));
        let graph = graph.ints("0", &[0]).ints("2", &[2]);
        let graph = graph.named_node("Cast", &["x"], "ids", vec![int("to", 7)]);
        let graph = graph.named_node("Less", &["ids", "0"], "test", vec![]);
        let graph = graph.named_node(sum, &["ids", "2"], "sum", vec![]);
        let graph = graph.node("Where", &choice, vec![]);
        graph.node("Gather", &["W", "_"], vec![]).file()
    };
    let file = graph("Add", ["test", "sum", "ids"]);
    let options = backprop::interchange::Options::new();
    let network = backprop::interchange::onnx::from_bytes::<f64>(&file, &options).unwrap();
    assert_eq!(network.depth(), 1);
    let other_sum = graph("Sub", ["test", "sum", "ids"]);
    for file in [other_sum, graph("Add", ["test", "ids", "sum"])] {
        let error = refused(&file).to_string();
        assert!(
            error.contains("Where") && error.contains("does not compute a layer"),
            "{error}"
        );
    }
}

/// Shapes that are computed from the number of examples.
#[test]
fn computed_shapes() {
    let start = || {
        let graph = Graph::new(&[2, 3])
            .ints("0", &[0])
            .ints("1", &[1])
            .ints("rest", &[-1]);
        graph.ints("six", &[6]).ints("three", &[3])
    };
    let shape = |rest: &str| {
        let graph = start()
            .node("Shape", &["x"], vec![])
            .node("Gather", &["_", "0"], vec![]);
        let graph = graph
            .node("Unsqueeze", &["_", "0"], vec![])
            .node("Cast", &["_"], vec![]);
        let graph = graph.node("Concat", &["_", rest], vec![int("axis", 0)]);
        graph.node("Reshape", &["x", "_"], vec![]).file()
    };
    let sliced = start().node("Shape", &["x"], vec![]);
    let sliced = sliced.node("Slice", &["_", "0", "1"], vec![]);
    let sliced = sliced.node("Concat", &["_", "rest"], vec![int("axis", 0)]);
    let part = start().node("Shape", &["x"], vec![int("start", 0), int("end", 1)]);
    let part = part.node("Concat", &["_", "six"], vec![int("axis", 0)]);
    for file in [
        shape("rest"),
        shape("six"),
        sliced.node("Reshape", &["x", "_"], vec![]).file(),
        part.node("Reshape", &["x", "_"], vec![]).file(),
    ] {
        let options = backprop::interchange::Options::new();
        let network = backprop::interchange::onnx::from_bytes::<f64>(&file, &options).unwrap();
        assert_eq!(network.layers(), [backprop::layer::Flatten.into()]);
    }
    let other = refused(&shape("three")).to_string();
    assert!(
        other.contains("the shape [N, 3], which is not flat"),
        "{other}"
    );
    // The first axis need not be that of the examples.
    let turned = Graph::new(&[2]).ints("0", &[0]).ints("rest", &[-1]);
    let turned = turned.named_node("Transpose", &["x"], "t", vec![]);
    let turned = turned
        .node("Shape", &["t"], vec![])
        .node("Gather", &["_", "0"], vec![]);
    let turned = turned.node("Concat", &["_", "rest"], vec![int("axis", 0)]);
    let turned = turned.node("Reshape", &["t", "_"], vec![]);
    let error = refused(&turned.node("Transpose", &["_"], vec![]).file()).to_string();
    assert!(error.contains("reads the sizes of axes"), "{error}");
}
