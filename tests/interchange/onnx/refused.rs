//! What is refused, and why.

use super::made::{Graph, Message, float, input, int, ints, model, tensor, text};
use crate::support::wave;
use backprop::Network;
use backprop::interchange::{InterchangeError, Options, onnx};

fn refused(file: &[u8]) -> InterchangeError {
    let read: Result<Network<f64>, _> = onnx::from_bytes(file, &Options::new());
    match read {
        Ok(network) => panic!("it is read:\n{network}"),
        Err(error) => error,
    }
}

fn message(file: &[u8], kind: &str) -> String {
    let error = refused(file);
    let found = format!("{error:?}");
    assert!(
        found.contains(&format!("[{kind} {{")),
        "expected {kind}, found {found}"
    );
    error.to_string()
}

#[test]
fn damaged_files() {
    let valid = Graph::new(&[2]).tensor("W", &[2, 1], &[1.0, 2.0]);
    let valid = valid.node("MatMul", &["x", "W"], vec![]).file();
    onnx::from_bytes::<f64>(&valid, &Options::new()).unwrap();
    let mut read = 0;
    for end in 0..valid.len() {
        // Without the version of the operators, or with it as 0, it is refused too.
        let cut = onnx::from_bytes::<f64>(&valid[..end], &Options::new());
        read += usize::from(cut.is_ok());
    }
    assert_eq!(read, 0);
    let graph = || Graph::new(&[2]);
    let once = || graph().tensor("W", &[2, 1], &[1.0, 2.0]);
    let product = |graph: Graph| graph.node("MatMul", &["x", "W"], vec![]).file();
    let graph_of = |fields: Message| model(fields, 17).0;
    let no_output = Message::default().bytes(1, "x").bytes(4, "Relu");
    let no_name = Message::default().int(3, 1);
    for (file, expected) in [
        (b"\x3a\x05".to_vec(), "a field is cut off"),
        (b"\x3b".to_vec(), "no known type"),
        (vec![0xff; 11], "a field is cut off"),
        (Vec::new(), "no version of the operators"),
        (
            Message::default()
                .message(8, Message::default().int(2, 17))
                .0,
            "there is no graph",
        ),
        (
            [product(once()), product(once())].concat(),
            "more than one graph",
        ),
        (
            Message::default().int(7, 3).0,
            "field 7 of a message is not a sequence of bytes",
        ),
        (graph_of(Message::default()), "it has no input"),
        (
            product(graph().tensor("W", &[2, 1], &[1.0])),
            "8 bytes of entries, expected [2, 1]",
        ),
        (
            product(graph().tensor("W", &[-2, 1], &[1.0])),
            "a negative size",
        ),
        (
            product(graph().tensor("W", &[i64::MAX, 3], &[])),
            "too many entries",
        ),
        (
            product(once().tensor("W", &[2, 1], &[1.0, 2.0])),
            "more than one value has the name",
        ),
        (
            product(once().tensor("", &[1], &[1.0])),
            "more than one value has the name",
        ),
        (
            product(graph()),
            "reads \"W\", which no node before it computes",
        ),
        (
            graph().node("Relu", &["v1"], vec![]).file(),
            "which no node before it computes",
        ),
        (
            graph().node("Relu", &["x"], vec![]).file_of(&[("z", 11)]),
            "no node computes",
        ),
        (
            graph().field(1, no_output).file(),
            "no operator or no output",
        ),
        (
            graph().node("Relu", &["x"], vec![no_name]).file(),
            "an attribute has no name",
        ),
        (
            product(graph().field(
                5,
                tensor("W", &[2, 1], 11).bytes(9, [0; 16]).bytes(9, [0; 16]),
            )),
            "given twice",
        ),
        (
            product(graph().field(5, tensor("W", &[2, 1], 11).bytes(4, [0; 8]))),
            "another type",
        ),
        (
            product(graph().field(5, tensor("W", &[2, 1], 1).int(5, 1).int(5, 1))),
            "another type",
        ),
        (
            product(graph().field(5, tensor("W", &[2, 1], 10).bytes(5, [0xff]))),
            "list of integers",
        ),
        (
            graph()
                .field(12, Message::default().bytes(1, [0xff]))
                .file(),
            "text in UTF-8",
        ),
    ] {
        let found = message(&file, "Malformed");
        assert!(
            found.contains(expected),
            "expected {expected:?}, found {found:?}"
        );
    }
}

#[test]
fn files_that_are_valid_and_not_read() {
    let relu = |graph: Graph| graph.node("Relu", &["x"], vec![]).file();
    let of_input =
        |message: Message| relu(Graph::of_input(Message::default().message(11, message)));
    let no_shape = Message::default().bytes(1, "x");
    let symbolic = Message::default().bytes(1, "x").message(
        2,
        Message::default().message(
            1,
            Message::default().int(1, 11).message(
                2,
                [2, 2].iter().fold(Message::default(), |dims, &number| {
                    dims.message(1, Message::default().bytes(number, "n"))
                }),
            ),
        ),
    );
    let version = |opset: i64| {
        let mut graph = Graph::new(&[2]);
        graph.opset = opset;
        relu(graph)
    };
    let external = tensor("W", &[2, 1], 11).int(14, 1);
    let place = tensor("W", &[2, 1], 11).message(13, Message::default().bytes(1, "location"));
    let functions = [relu(Graph::new(&[2])), Message::default().bytes(25, "").0].concat();
    let constant = Graph::new(&[2]).tensor("W", &[1], &[1.0]);
    for (file, expected) in [
        (version(12), "the version 12, expected 13 to"),
        (version(99), "the version 99, expected 13 to"),
        (
            relu(Graph::new(&[2]).field(11, input("z", 11, &[2]))),
            "it has 2 inputs",
        ),
        (of_input(no_shape), "has 0 axes, expected 2 to 4"),
        (of_input(input("x", 11, &[])), "has 1 axes, expected 2 to 4"),
        (
            of_input(input("x", 11, &[1, 2, 3, 4])),
            "has 5 axes, expected 2 to 4",
        ),
        (
            of_input(input("x", 11, &[1; 9])),
            "an input has more than 8 axes",
        ),
        (
            of_input(symbolic),
            "the size of an axis of its input \"x\" is not given",
        ),
        (
            of_input(input("x", 11, &[0])),
            "the size of an axis of its input \"x\" is not given",
        ),
        (functions, "it defines functions"),
        (
            relu(Graph::new(&[2]).field(14, Message::default())),
            "it is quantised",
        ),
        (
            relu(Graph::new(&[2]).field(15, Message::default())),
            "it has a sparse tensor",
        ),
        (
            relu(Graph::new(&[2]).field(5, external)),
            "the tensor \"W\" is in another file",
        ),
        (
            relu(Graph::new(&[2]).field(5, place)),
            "the tensor \"W\" is in another file",
        ),
        (
            relu(Graph::new(&[2]).tensor("W", &[1; 9], &[1.0])),
            "\"W\" has more than 8 axes",
        ),
        (
            constant.clone().file_of(&[("W", 11)]),
            "\"W\" does not depend on the input",
        ),
        (
            constant
                .clone()
                .node("Neg", &["W"], vec![])
                .file_of(&[("v1", 11)]),
            "\"v1\" does not depend on the input",
        ),
        (constant.file_of(&[]), "no output of floats"),
        (
            Graph::new(&[2])
                .node("ArgMax", &["x"], vec![])
                .file_of(&[("v1", 7)]),
            "no output of floats",
        ),
    ] {
        let found = message(&file, "Unsupported");
        assert!(
            found.contains(expected),
            "expected {expected:?}, found {found:?}"
        );
    }
}

/// A graph of one node whose further inputs are `W`, 2 × 2, `v`, 2 entries, `one` and `zero`.
fn of_one(sizes: &[i64], operator: &str, inputs: &[&str], attributes: Vec<Message>) -> Vec<u8> {
    of_nodes(sizes, &[(operator, inputs, attributes)])
}

fn of_nodes(sizes: &[i64], nodes: &[(&str, &[&str], Vec<Message>)]) -> Vec<u8> {
    let graph = Graph::new(sizes)
        .tensor("W", &[2, 2], &wave(4, 0.3))
        .tensor("v", &[2], &[1.0, 2.0]);
    let graph = graph
        .tensor("one", &[], &[1.0])
        .tensor("square", &[1, 1, 1], &[1.0]);
    let graph = graph
        .ints("0", &[0])
        .ints("1", &[1])
        .ints("2", &[2])
        .ints("0,2", &[0, 2]);
    let nodes = nodes.iter().cloned();
    nodes
        .fold(graph, |graph, (name, inputs, attributes)| {
            graph.node(name, inputs, attributes)
        })
        .file()
}

#[test]
fn nodes_that_are_not_layers() {
    let none = Vec::new;
    let epsilon = || vec![float("epsilon", 0.1), int("training_mode", 1)];
    let norm: [&str; 5] = ["x", "v", "v", "v", "v"];
    let branch = |inner: Message| Message::default().bytes(1, "then_branch").message(6, inner);
    for (file, operator, expected) in [
        (
            of_one(&[2], "com.example:Frobnicate", &["x"], none()),
            "com.example.Frobnicate",
            "only",
        ),
        (
            of_one(&[2], "HardSwish", &["x"], none()),
            "HardSwish",
            "there is no layer for it",
        ),
        (
            of_one(&[2], "HardSigmoid", &["x"], none()),
            "HardSigmoid",
            "there is no layer for it",
        ),
        (
            of_one(&[2], "LogSoftmax", &["x"], none()),
            "LogSoftmax",
            "there is no layer for it",
        ),
        (
            of_one(&[2], "If", &["x"], vec![branch(Message::default())]),
            "If",
            "there is no layer for it",
        ),
        (
            of_one(&[2], "QuantizeLinear", &["x"], none()),
            "QuantizeLinear",
            "there is no layer",
        ),
        (
            of_one(&[2], "Relu", &["x"], vec![int("axis", 1)]),
            "Relu",
            "\"axis\" is not known",
        ),
        (
            of_one(&[2], "Elu", &["x"], vec![int("alpha", 1)]),
            "Elu",
            "is not a float",
        ),
        (
            of_one(&[2], "Softmax", &["x"], vec![float("axis", 1.0)]),
            "Softmax",
            "not an integer",
        ),
        (
            of_one(&[2], "Gelu", &["x"], vec![int("approximate", 1)]),
            "Gelu",
            "is not text",
        ),
        (
            of_one(&[2], "Gelu", &["x"], vec![text("approximate", "x")]),
            "Gelu",
            "approximation",
        ),
        (
            of_one(&[2], "Transpose", &["x"], vec![int("perm", 1)]),
            "Transpose",
            "list of integers",
        ),
        (
            of_one(&[2], "Celu", &["x"], vec![float("alpha", 2.0)]),
            "Celu",
            "alpha is 2, expected 1",
        ),
        (
            of_one(&[2], "Selu", &["x"], vec![float("gamma", 1.0)]),
            "Selu",
            "gamma is 1, expected",
        ),
        (
            of_one(&[2], "Swish", &["x"], vec![float("alpha", 2.0)]),
            "Swish",
            "alpha is 2",
        ),
        (
            of_one(&[2], "PRelu", &["x", "v"], none()),
            "PRelu",
            "not a single constant",
        ),
        (
            of_one(&[2], "Mul", &["x", "v"], none()),
            "Mul",
            "it is not a layer by itself",
        ),
        (
            of_one(&[2], "Mul", &["x", "x"], none()),
            "Mul",
            "does not compute a layer",
        ),
        (
            of_one(&[2], "Mul", &["x", "one"], none()),
            "Mul",
            "it is not a layer by itself",
        ),
        (
            of_one(&[2], "Add", &["x", "v"], none()),
            "Add",
            "to what is not a matrix product",
        ),
        (
            of_one(&[2], "Sqrt", &["x"], none()),
            "Sqrt",
            "it is not a layer by itself",
        ),
        (
            of_one(&[2], "Clip", &["x", "one"], none()),
            "Clip",
            "it is not a layer by itself",
        ),
        (
            of_one(&[2], "Gemm", &["x", "W"], vec![int("transA", 1)]),
            "Gemm",
            "not the first axis",
        ),
        (
            of_one(&[2], "Gemm", &["W", "x"], none()),
            "Gemm",
            "not the first axis",
        ),
        (
            of_one(&[2], "MatMul", &["W", "x"], none()),
            "MatMul",
            "not the first axis",
        ),
        (
            of_one(&[2], "Gemm", &["x", "x"], none()),
            "Gemm",
            "does not compute a layer",
        ),
        (
            of_one(&[2], "Gemm", &["x", "W", "x"], none()),
            "Gemm",
            "does not compute a layer",
        ),
        (
            of_one(&[2], "Gemm", &["x", "v"], none()),
            "Gemm",
            "its weights are not a matrix",
        ),
        (
            of_one(&[3], "Gemm", &["x", "W"], none()),
            "Gemm",
            "is 2, expected 3",
        ),
        (
            of_one(&[3, 2], "Gemm", &["x", "W"], none()),
            "Gemm",
            "does not have two axes",
        ),
        (
            of_one(&[2], "Gemm", &["x", "W", "W"], none()),
            "Gemm",
            "[2, 2], expected [2]",
        ),
        (
            of_one(&[2], "Gemm", &["x", "W", "square"], none()),
            "Gemm",
            "more axes",
        ),
        (
            of_nodes(
                &[2],
                &[
                    ("Sigmoid", &["x"], none()),
                    ("Mul", &["_", "x", "one"], none()),
                ],
            ),
            "Mul",
            "does not compute a layer",
        ),
        (
            of_one(&[2], "Max", &["x", "square"], none()),
            "Max",
            "not a layer by itself",
        ),
        (
            of_nodes(
                &[2],
                &[
                    ("Exp", &["x"], none()),
                    ("Add", &["square", "_"], none()),
                    ("Log", &["_"], none()),
                ],
            ),
            "Log",
            "a constant has more axes than its input",
        ),
        (
            of_one(&[2], "BatchNormalization", &norm, epsilon()),
            "BatchNormalization",
            "training",
        ),
        (
            of_one(&[3], "BatchNormalization", &norm, none()),
            "BatchNormalization",
            "expected [3]",
        ),
        (
            of_one(&[2], "BatchNormalization", &norm[..3], none()),
            "BatchNormalization",
            "constants",
        ),
        (
            of_one(
                &[2],
                "LayerNormalization",
                &["x", "v"],
                vec![int("axis", 0)],
            ),
            "LayerNormalization",
            "its axis is that of the examples",
        ),
        (
            of_one(&[2], "LayerNormalization", &["x", "x"], none()),
            "LayerNormalization",
            "does not compute a layer",
        ),
        (
            of_one(&[2], "Dropout", &["x", "one", "one"], none()),
            "Dropout",
            "in training mode",
        ),
        (
            of_one(&[2], "Dropout", &["x", "v"], none()),
            "Dropout",
            "ratio is not a constant",
        ),
        (
            of_one(&[2, 2], "Softmax", &["x"], vec![int("axis", 1)]),
            "Softmax",
            "not the last one",
        ),
        (
            of_one(&[2, 2], "Flatten", &["x"], vec![int("axis", 2)]),
            "Flatten",
            "its axis is not 1",
        ),
        (
            of_one(&[2, 2], "Reshape", &["x", "0,2"], none()),
            "Reshape",
            "which is not flat",
        ),
        (
            of_one(&[2, 2], "Reshape", &["x", "x"], none()),
            "Reshape",
            "does not compute a layer",
        ),
        (
            of_one(&[2, 2], "Squeeze", &["x", "1"], none()),
            "Squeeze",
            "not a layer by itself",
        ),
        (
            of_one(&[1], "Squeeze", &["x", "0"], none()),
            "Squeeze",
            "its axis is not 1",
        ),
        (
            of_nodes(
                &[1],
                &[("Squeeze", &["x", "1"], none()), ("Relu", &["_"], none())],
            ),
            "Relu",
            "without an axis of units",
        ),
        (
            of_one(&[2, 2], "Transpose", &["x"], vec![ints("perm", &[1, 0, 2])]),
            "Transpose",
            "does not swap the two axes",
        ),
        (
            of_one(&[2], "Transpose", &["x"], none()),
            "Transpose",
            "not the first axis of its output",
        ),
        (
            of_nodes(
                &[2],
                &[("Transpose", &["x"], none()), ("Flatten", &["_"], none())],
            ),
            "Flatten",
            "not the first axis",
        ),
        (
            of_one(&[2], "Gather", &["x", "0"], none()),
            "Gather",
            "table is not a constant matrix",
        ),
        (
            of_one(&[2], "Gather", &["W", "x"], vec![int("axis", 1)]),
            "Gather",
            "its axis is not 0",
        ),
        (
            of_one(&[2], "Cast", &["x"], vec![int("to", 7)]),
            "Cast",
            "rounded to integers",
        ),
        (
            of_one(&[2], "Cast", &["x"], vec![int("to", 9)]),
            "Cast",
            "a type that no layer reads",
        ),
        (
            of_nodes(
                &[2],
                &[
                    ("Cast", &["x"], vec![int("to", 7)]),
                    ("Cast", &["_"], vec![int("to", 1)]),
                ],
            ),
            "Cast",
            "a type that no layer reads",
        ),
        (
            of_nodes(
                &[2],
                &[
                    ("Cast", &["x"], vec![int("to", 7)]),
                    ("Relu", &["_"], none()),
                ],
            ),
            "Relu",
            "integers, which only `Gather` may",
        ),
        (
            of_one(&[2], "Concat", &["x", "x"], vec![int("axis", 0)]),
            "Concat",
            "not the first or",
        ),
        (
            of_one(&[2], "Concat", &["x", "W"], vec![int("axis", 1)]),
            "Concat",
            "not a layer",
        ),
        (
            of_one(&[2], "Slice", &["x", "0", "2", "1", "2"], none()),
            "Slice",
            "its step is not 1",
        ),
        (
            of_one(&[2], "Slice", &["x", "0", "1", "0"], none()),
            "Slice",
            "its axis is not 1",
        ),
        (
            of_one(&[2, 2], "Slice", &["x", "0", "1", "1"], none()),
            "Slice",
            "plain units",
        ),
    ] {
        let error = refused(&file);
        let InterchangeError::Operator {
            operator: found,
            node,
            reason,
        } = &error
        else {
            panic!("{operator}: {error:?}");
        };
        assert_eq!(found, operator, "{error}");
        assert!(node.starts_with("node "), "{error}");
        assert!(
            reason.contains(expected),
            "expected {expected:?}, found {error}"
        );
    }
}

/// Layers that do not form a network.
#[test]
fn ids_that_are_computed() {
    let nodes: [(&str, &[&str], Vec<Message>); 2] =
        [("Relu", &["x"], vec![]), ("Gather", &["W", "_"], vec![])];
    let error = refused(&of_nodes(&[2], &nodes));
    assert!(error.to_string().contains("id"), "{error}");
}

#[test]
fn branches_that_overlap() {
    let graph = Graph::new(&[2]).named_node("Tanh", &["x"], "a", vec![]);
    let graph = graph.named_node("Sin", &["a"], "b", vec![]);
    let graph = graph
        .named_node("Add", &["x", "a"], "c", vec![])
        .node("Add", &["c", "b"], vec![]);
    let found = message(&graph.file(), "Operator");
    assert!(found.contains("do not all begin there"), "{found}");
    // Deeper than a network may be.
    let deep = (0..60).fold(Graph::new(&[2]), |graph, i| {
        graph.named_node("Tanh", &["_"], &format!("d{i}"), vec![])
    });
    let deep = (0..60).rev().fold(deep, |graph, i| {
        graph.named_node("Add", &["_", &format!("d{i}")], &format!("e{i}"), vec![])
    });
    let found = refused(&deep.file());
    assert!(found.to_string().contains("32"), "{found}");
}

#[test]
fn numbers_that_do_not_fit() {
    let product = |numbers: &[f64]| {
        let graph = Graph::new(&[1]).tensor("W", &[1, 2], numbers);
        graph
            .node("Gemm", &["x", "W"], vec![float("alpha", 2.0)])
            .file()
    };
    for value in [f64::NAN, f64::INFINITY, 1e308] {
        let error = refused(&product(&[1.0, value]));
        let InterchangeError::NonFinite { tensor, entry, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((&*tensor, entry), ("W", 1));
    }
    let inexact = onnx::from_bytes::<f32>(&product(&[0.5, 0.1]), &Options::new());
    assert!(matches!(inexact, Err(InterchangeError::Inexact { .. })));
    let rounded = onnx::from_bytes::<f32>(&product(&[0.5, 0.1]), &Options::new().rounded());
    assert_eq!(rounded.unwrap().theta().as_slice(), [1.0, 0.2]);

    let names = ["x", "v", "v", "v", "variance"];
    let graph = Graph::new(&[2]).tensor("v", &[2], &[1.0; 2]);
    let graph = graph.tensor("variance", &[2], &[1.0, -0.5]);
    let error = refused(&graph.node("BatchNormalization", &names, vec![]).file());
    let InterchangeError::Range {
        tensor: name,
        entry,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((&*name, entry), ("variance", 1));

    for (kind, expected) in [
        (8, "of the type number 8"),
        (7, "I64"),
        (17, "of the type number 17"),
    ] {
        let weights = tensor("W", &[1, 1], kind).bytes(9, [0; 8]);
        let graph = Graph::new(&[1])
            .field(5, weights)
            .node("MatMul", &["x", "W"], vec![]);
        let error = refused(&graph.file());
        let InterchangeError::Type { tensor, found, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((&*tensor, &*found), ("W", expected));
    }
}

/// A small file cannot stand for a large network.
#[test]
fn shared_tensors_do_not_fill_the_memory() {
    let graph = Graph::new(&[30]).tensor("W", &[30, 30], &wave(900, 0.0));
    let deep = |layers: usize| {
        let nodes = 0..layers;
        nodes
            .fold(graph.clone(), |graph, _| {
                graph.node("MatMul", &["_", "W"], vec![])
            })
            .file()
    };
    assert!(onnx::from_bytes::<f64>(&deep(3), &Options::new()).is_ok());
    let found = message(&deep(1000), "Unsupported");
    assert!(found.contains("more parameters than its"), "{found}");
}
