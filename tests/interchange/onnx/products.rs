//! Products and sums with constants, and where constants come from.

use super::made::{Graph, Message, float, input, int, ints, tensor};
use super::operators::read;
use crate::support::wave;
use backprop::activation::{Identity, LeakyRelu, Tanh};
use backprop::layer::AnyLayer;
use backprop::nalgebra::DMatrix;
use backprop::{Dense, Network};

/// Row-major numbers of a matrix.
fn rows(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

fn check(network: &Network<f64>, x: &DMatrix<f64>, expected: &DMatrix<f64>, what: &str) {
    let error = (network.forward(x).unwrap() - expected).amax();
    assert!(error < 1e-14 * expected.amax().max(1.0), "{what}: {error}");
}

/// Y = α op(A) op(B) + β C, with the weights on either side.
#[test]
fn every_gemm() {
    let (inputs, outputs, m) = (3, 2, 4);
    let w = DMatrix::from_vec(outputs, inputs, wave(6, 0.3));
    let x = DMatrix::from_vec(inputs, m, wave(12, 0.8));
    let shapes: [&[i64]; 5] = [&[], &[1], &[1, 1], &[2], &[1, 2]];
    let columns: [&[i64]; 4] = [&[], &[1], &[1, 1], &[2, 1]];
    for left in [false, true] {
        for case in 0..16 {
            let [trans_a, trans_b, scaled, plain_x] = [1, 2, 4, 8].map(|bit| case & bit != 0);
            let (alpha, beta) = if scaled { (0.7, -1.3) } else { (1.0, 1.0) };
            let biases = if left { &columns[..] } else { &shapes[..] };
            for bias in biases.iter().map(Some).chain([None]) {
                // The weights are outputs × inputs on the left, and the other way on the right.
                let is_swapped = if left { trans_a } else { !trans_b };
                let (dims, numbers) = if is_swapped {
                    ([3, 2], rows(&w.transpose()))
                } else {
                    ([2, 3], rows(&w))
                };
                let mut graph = Graph::new(&[3]).tensor("W", &dims, &numbers);
                // The examples have to be columns on the right, and rows on the left.
                let wants_columns = if left { !trans_b } else { trans_a };
                if wants_columns {
                    graph = graph.node("Transpose", &["_"], vec![ints("perm", &[1, 0])]);
                } else if plain_x {
                    graph = graph.node("Transpose", &["_"], vec![ints("perm", &[0, 1])]);
                }
                let end = graph.end.clone();
                let mut names = if left {
                    vec!["W", &end]
                } else {
                    vec![&*end, "W"]
                };
                let mut sum = alpha * &w * &x;
                if let Some(dims) = bias {
                    let len = dims.iter().product::<i64>() as usize;
                    let c = wave(len, 1.1);
                    graph = graph.tensor("C", dims, &c);
                    names.push("C");
                    for (i, mut row) in sum.row_iter_mut().enumerate() {
                        row.add_scalar_mut(beta * c[i % len]);
                    }
                }
                let mut attributes =
                    vec![int("transA", trans_a.into()), int("transB", trans_b.into())];
                if scaled {
                    attributes.extend([float("alpha", 0.7), float("beta", -1.3)]);
                }
                graph = graph
                    .node("Gemm", &names, attributes)
                    .node("Tanh", &["_"], vec![]);
                if left {
                    graph = graph.node("Transpose", &["_"], vec![]);
                }
                let network = read(&graph.file());
                let what = format!("left {left}, case {case}, bias {bias:?}");
                check(&network, &x, &sum.map(f64::tanh), &what);
                let dense = Dense::new(inputs, outputs, Tanh);
                let dense = if bias.is_some() {
                    dense
                } else {
                    dense.without_bias()
                };
                assert_eq!(network.layers(), [AnyLayer::Dense(dense)], "{what}");
            }
        }
    }
}

#[test]
fn products_and_sums() {
    let w = DMatrix::from_vec(2, 3, wave(6, 0.3));
    let x = DMatrix::from_vec(3, 4, wave(12, 0.8));
    let b = [0.5, -2.0];
    let mut expected = &w * &x;
    for (mut row, b) in expected.row_iter_mut().zip(b) {
        row.add_scalar_mut(b);
    }
    let graph = Graph::new(&[3]).tensor("b", &[1, 2], &b);
    let transposed = graph.clone().tensor("W", &[3, 2], &rows(&w.transpose()));
    for order in [["_", "b"], ["b", "_"]] {
        let product = transposed.clone().node("MatMul", &["x", "W"], vec![]);
        let network = read(&product.node("Add", &order, vec![]).file());
        check(&network, &x, &expected, "MatMul and Add");
        assert_eq!(network.layers(), [Dense::new(3, 2, Identity).into()]);
    }
    // On the left, and with weights that another node transposes or reshapes.
    let columns = graph
        .clone()
        .tensor("W", &[2, 3], &rows(&w))
        .tensor("c", &[2, 1], &b);
    let columns = columns.node("Transpose", &["x"], vec![]);
    let left = columns
        .node("MatMul", &["W", "_"], vec![])
        .node("Add", &["_", "c"], vec![]);
    check(
        &read(&left.node("Transpose", &["_"], vec![]).file()),
        &x,
        &expected,
        "left",
    );
    let turned = graph.clone().tensor("W", &[2, 3], &rows(&w));
    let turned = turned.named_node("Transpose", &["W"], "V", vec![]);
    let turned = turned.named_node("Identity", &["V"], "U", vec![]);
    let turned = turned
        .node("MatMul", &["x", "U"], vec![])
        .node("Add", &["_", "b"], vec![]);
    check(&read(&turned.file()), &x, &expected, "turned");
    let flat = graph
        .tensor("flat", &[6], &rows(&w.transpose()))
        .ints("shape", &[3, 2]);
    let flat = flat.named_node("Reshape", &["flat", "shape"], "W", vec![]);
    let flat = flat
        .node("MatMul", &["x", "W"], vec![])
        .node("Add", &["_", "b"], vec![]);
    check(&read(&flat.file()), &x, &expected, "flat");
}

/// Initializers that are listed as inputs, and constants of nodes.
#[test]
fn where_constants_come_from() {
    let fields = Message::default().message(11, input("x", 11, &[1]));
    let fields = fields.message(11, input("W", 11, &[1]));
    let graph = Graph::of_input(fields).tensor("W", &[1, 1], &[2.0]);
    let network = read(&graph.node("MatMul", &["x", "W"], vec![]).file());
    assert_eq!(network.theta().as_slice(), [2.0]);
    let value = tensor("", &[1, 1], 11).bytes(9, 3.0_f64.to_le_bytes());
    let value = Message::default()
        .bytes(1, "value")
        .message(5, value)
        .int(20, 4);
    let graph = Graph::new(&[1]).named_node("Constant", &[], "W", vec![value]);
    let value = vec![float("value_float", 0.1)];
    let graph = graph.named_node("Constant", &[], "slope", value);
    let graph = graph
        .node("MatMul", &["x", "W"], vec![])
        .node("PRelu", &["_", "slope"], vec![]);
    let network = read(&graph.file());
    assert_eq!(network.theta().as_slice(), [3.0]);
    let dense = Dense::new(1, 1, LeakyRelu { slope: 0.1 }).without_bias();
    assert_eq!(network.layers(), [AnyLayer::Dense(dense)]);
}

/// Numbers in each field and of each type that holds some.
#[test]
fn every_type_of_numbers() {
    let doubles: Vec<u8> = [1.5_f64, -2.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let singles: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let half = [0x3e00_u16, 0xc000];
    let brain = [0x3fc0_u16, 0xc000];
    let of = |halves: [u16; 2]| halves.map(u16::to_le_bytes).concat();
    let list = |halves: [u16; 2]| {
        let packed = Message::default()
            .varint(halves[0].into())
            .varint(halves[1].into());
        packed.0
    };
    for (kind, number, bytes) in [
        (11, 9, doubles.clone()),
        (11, 10, doubles),
        (1, 9, singles.clone()),
        (1, 4, singles),
        (10, 9, of(half)),
        (10, 5, list(half)),
        (16, 9, of(brain)),
        (16, 5, list(brain)),
    ] {
        let weights = tensor("W", &[1, 2], kind).bytes(number, bytes);
        let graph = Graph::new(&[1])
            .field(5, weights)
            .node("MatMul", &["x", "W"], vec![]);
        let network = read(&graph.file());
        assert_eq!(
            network.theta().as_slice(),
            [1.5, -2.0],
            "type {kind}, field {number}"
        );
    }
    // Not packed.
    let weights = tensor("W", &[1, 2], 10).int(5, 0x3e00).int(5, 0xc000);
    let graph = Graph::new(&[1])
        .field(5, weights)
        .node("MatMul", &["x", "W"], vec![]);
    assert_eq!(read(&graph.file()).theta().as_slice(), [1.5, -2.0]);
}
