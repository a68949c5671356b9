//! What is refused, and why.

use super::made::{Graph, Message, float, input, int, model, tensor};
use crate::support::wave;
use backprop::Network;
use backprop::interchange::{InterchangeError, Options, onnx};

pub(super) fn refused(file: &[u8]) -> InterchangeError {
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
            graph_of(Message::default().message(11, Message::default())),
            "an input or an output has no name",
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
        (
            version(12),
            "the version 12, expected 13 to 27; `onnx.version_converter`",
        ),
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

/// Layers that do not form a network.
#[test]
fn ids_that_are_computed() {
    let graph = Graph::new(&[2]).tensor("W", &[2, 2], &wave(4, 0.3));
    let graph = graph
        .node("Relu", &["x"], vec![])
        .node("Gather", &["W", "_"], vec![]);
    let error = refused(&graph.file());
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
    assert!(found.contains("do not all begin at this node"), "{found}");
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

/// A small file cannot stand for a deep network.
#[test]
fn many_layers() {
    let deep = |layers: usize| {
        let nodes = 0..layers;
        nodes
            .fold(Graph::new(&[1]), |graph, _| {
                graph.node("Sin", &["_"], vec![])
            })
            .file()
    };
    assert_eq!(
        onnx::from_bytes::<f64>(&deep(8191), &Options::new())
            .unwrap()
            .depth(),
        8191
    );
    let found = message(&deep(8192), "Unsupported");
    assert!(
        found.contains("more than 8192 layers and branches"),
        "{found}"
    );
    let many = Graph::new(&[1]).node("Concat", &["x"; 8192], vec![int("axis", 1)]);
    let found = message(&many.file(), "Unsupported");
    assert!(
        found.contains("more than 8192 layers and branches"),
        "{found}"
    );
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
    // One number for each of very many units.
    let units = Graph::new(&[1 << 36]).tensor("one", &[1], &[1.0]);
    let offset = Message::default()
        .bytes(1, "offset")
        .float(7, 0.5)
        .int(20, 6);
    let scaler = units
        .clone()
        .node("ai.onnx.ml:Scaler", &["x"], vec![offset]);
    let norm = units.node("LayerNormalization", &["x", "one"], vec![]);
    for file in [scaler.file(), norm.file()] {
        let found = message(&file, "Unsupported");
        assert!(found.contains("more parameters than its"), "{found}");
    }
}

#[test]
fn divisors_of_zero() {
    let graph = Graph::new(&[2]).tensor("mean", &[2], &[1.0, 2.0]);
    let graph = graph.tensor("deviation", &[2], &[0.5, 0.0]);
    let graph = graph.node("Sub", &["x", "mean"], vec![]);
    let file = graph.node("Div", &["_", "deviation"], vec![]).file();
    let found = message(&file, "Operator");
    assert!(
        found.contains("(Div) is not supported: 1 over an entry"),
        "{found}"
    );
}

#[test]
fn sizes_whose_product_overflows() {
    let huge = 1 << 40;
    // An axis of size 0 makes a tensor of no entries, whatever its other axes are.
    let graph = Graph::new(&[2]).tensor("slope", &[huge, huge, 0], &[]);
    let slope = graph.node("PRelu", &["x", "slope"], vec![]).file();
    let found = message(&slope, "Operator");
    assert!(
        found.contains("its slope is not a single constant"),
        "{found}"
    );

    for sizes in [&[huge, huge][..], &[huge, huge, 3]] {
        let graph = Graph::new(sizes).tensor("gamma", &[1], &[1.0]);
        let norm = graph.node("LayerNormalization", &["x", "gamma"], vec![int("axis", 1)]);
        let found = message(&norm.file(), "Unsupported");
        assert!(found.contains("more parameters than"), "{found}");
    }
}
