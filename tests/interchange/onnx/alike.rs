//! Graphs that are nearly those of layers: each would be another network.

use super::made::{Graph, Message, int, ints};
use super::operators::read;
use super::refused::refused;
use backprop::activation::HardTanh;
use backprop::interchange::InterchangeError;
use backprop::layer::Activate;

/// Checks that a node of this operator is refused, and why.
fn check(file: &[u8], operator: &str, expected: &str) {
    let error = refused(file);
    let InterchangeError::Operator {
        operator: found,
        reason,
        ..
    } = &error
    else {
        panic!("{operator}: {error:?}");
    };
    assert_eq!(found, operator, "{error}");
    assert!(reason.contains(expected), "{expected:?}: {error}");
}

/// With scalars, and cubes: constants of three axes.
fn graph(sizes: &[i64]) -> Graph {
    let graph = Graph::new(sizes).tensor("-1", &[], &[-1.0]);
    let graph = graph
        .tensor("1", &[], &[1.0])
        .tensor("eps", &[], &[0.1])
        .tensor("2.0", &[], &[2.0]);
    let graph = graph
        .tensor("half", &[2], &[0.5, 1.5])
        .tensor("W", &[2, 2], &[0.1, 0.2, 0.3, 0.4]);
    let graph = graph
        .tensor("eps cube", &[1, 1, 1], &[0.1])
        .tensor("2 cube", &[1, 1, 1], &[2.0]);
    graph
        .tensor("half cube", &[1, 1, 2], &[0.5, 1.5])
        .ints("axis", &[-1])
        .ints("one", &[1])
}

fn to(kind: i64) -> Vec<Message> {
    vec![int("to", kind)]
}

#[test]
fn one_bound_is_no_hard_tanh() {
    let clip = |bounds: [&str; 3]| graph(&[2]).node("Clip", &bounds, vec![]).file();
    check(&clip(["x", "-1", ""]), "Clip", "not a layer by itself");
    check(&clip(["x", "", "1"]), "Clip", "not a layer by itself");
    let both = read(&clip(["x", "-1", "1"]));
    assert_eq!(both.layers(), [Activate::new(HardTanh).into()]);
}

#[test]
fn constants_that_a_cast_rounds() {
    for kind in [6, 7, 9] {
        let cast = graph(&[2]).named_node("Cast", &["half"], "whole", to(kind));
        let cast = cast.named_node("Cast", &["whole"], "bias", to(11));
        let sum = cast.node("MatMul", &["x", "W"], vec![]);
        let sum = sum.node("Add", &["_", "bias"], vec![]);
        check(&sum.file(), "Add", "the added tensor is not a constant");
    }
    // An end of a slice that is too large for 4 bytes.
    let slice = |end: i64, kind: i64| {
        let graph = graph(&[2]).ints("0", &[0]).ints("wide", &[end]);
        let cast = graph.named_node("Cast", &["wide"], "end", to(kind));
        let cast = cast.named_node("Cast", &["0"], "start", to(kind));
        let inputs = ["x", "start", "end", "one"];
        cast.node("Slice", &inputs, vec![]).file()
    };
    check(&slice(i64::MAX, 6), "Slice", "its ends are not constants");
    assert_eq!(read(&slice(i64::MAX, 7)).outputs(), 2);
    assert_eq!(read(&slice(1, 6)).outputs(), 1);
}

#[test]
fn norms_whose_constants_add_an_axis() {
    let layer = |exponent: &str, eps: &str, scale: &str| {
        let mean = graph(&[2]).named_node("ReduceMean", &["x"], "mean", vec![ints("axes", &[-1])]);
        let centre = mean.named_node("Sub", &["x", "mean"], "centre", vec![]);
        let squares = centre.node("Pow", &["centre", exponent], vec![]);
        let variance = squares.node("ReduceMean", &["_"], vec![ints("axes", &[-1])]);
        let root = variance
            .node("Add", &["_", eps], vec![])
            .node("Sqrt", &["_"], vec![]);
        let norm = root.node("Div", &["centre", "_"], vec![]);
        norm.node("Mul", &["_", scale], vec![]).file()
    };
    assert_eq!(read(&layer("2.0", "eps", "half")).layers().len(), 1);
    for file in [
        layer("2 cube", "eps", "half"),
        layer("2.0", "eps cube", "half"),
        layer("2.0", "eps", "half cube"),
    ] {
        check(&file, "Mul", "a constant has more axes than its input");
    }
    let batch = |mean: &str, variance: &str| {
        let root = graph(&[2]).node("Add", &[variance, "eps"], vec![]);
        let root = root.named_node("Sqrt", &["_"], "root", vec![]);
        let centre = root.node("Sub", &["x", mean], vec![]);
        centre.node("Div", &["_", "root"], vec![]).file()
    };
    assert_eq!(read(&batch("half", "half")).layers().len(), 1);
    for file in [batch("half cube", "half"), batch("half", "eps cube")] {
        check(&file, "Div", "a constant has more axes than its input");
    }
}

#[test]
fn outputs_of_what_is_not_examples_of_units() {
    let heads = |graph: Graph| graph.file_of(&[("a", 11), ("b", 11)]);
    let columns = graph(&[2]).named_node("Transpose", &["x"], "a", vec![]);
    let columns = columns.named_node("Softmax", &["_"], "b", vec![]);
    check(&heads(columns), "Softmax", "not the first axis");

    let whole = graph(&[2]).named_node("Cast", &["x"], "whole", to(7));
    let floats = whole.named_node("Cast", &["whole"], "a", to(11));
    let ids = floats.named_node("Gather", &["W", "whole"], "b", vec![]);
    check(&heads(ids), "Gather", "it reads integers");

    let list = graph(&[1]).named_node("Squeeze", &["x", "one"], "list", vec![]);
    let softmax = list.named_node("Softmax", &["list"], "a", vec![]);
    let same = softmax.named_node("Identity", &["list"], "b", vec![]);
    check(&heads(same), "Identity", "without an axis of units");
}

/// N × 1 plus N is N × N.
#[test]
fn sums_with_a_list() {
    let list = graph(&[1]).node("Squeeze", &["x", "one"], vec![]);
    let sum = list.node("Add", &["x", "_"], vec![]);
    check(&sum.file(), "Add", "without an axis of units");
}

#[test]
fn ids_that_a_where_replaces() {
    let graph = graph(&[2]).named_node("Cast", &["x"], "ids", to(7));
    let test = graph.named_node("Cast", &["one"], "test", to(9));
    let ids = test.node("Where", &["test", "ids", "one"], vec![]);
    let file = ids.node("Gather", &["W", "_"], vec![]).file();
    check(&file, "Where", "not a layer by itself");
}

#[test]
fn axes_of_a_constant_that_are_computed() {
    let alpha = graph(&[2]).tensor("column", &[1, 2, 1], &[0.5, 1.5]);
    let axes = alpha.named_node("Neg", &["one"], "axes", vec![]);
    let bias = axes.named_node("Squeeze", &["column", "axes"], "bias", vec![]);
    let sum = bias.node("MatMul", &["x", "W"], vec![]);
    let sum = sum.node("Add", &["_", "bias"], vec![]);
    check(&sum.file(), "Add", "the added tensor is not a constant");
}

#[test]
fn slopes_that_add_an_axis() {
    let slope = |slope: &str| graph(&[2]).node("PRelu", &["x", slope], vec![]).file();
    assert_eq!(read(&slope("eps")).depth(), 1);
    let expected = "a constant has more axes than its input";
    check(&slope("eps cube"), "PRelu", expected);
}

/// The first axis of another value need not be that of the examples.
#[test]
fn shapes_of_other_values() {
    let flat = |of: &str| {
        let graph = Graph::new(&[2, 2]).ints("0", &[0]).ints("rest", &[-1]);
        let other = graph.named_node("Transpose", &["x"], "other", vec![ints("perm", &[1, 0, 2])]);
        let size = other.node("Shape", &[of], vec![]);
        let size = size.node("Gather", &["_", "0"], vec![]);
        let shape = size.node("Concat", &["_", "rest"], vec![int("axis", 0)]);
        shape.node("Reshape", &["x", "_"], vec![]).file()
    };
    assert_eq!(read(&flat("x")).depth(), 1);
    check(
        &flat("other"),
        "Reshape",
        "the sizes of a value that no layer",
    );
}

/// Only of one unit are 1 − p and p the two probabilities of a classifier.
#[test]
fn probabilities_of_several_units() {
    let both = |units: i64| {
        let graph = Graph::new(&[units]).tensor("1", &[], &[1.0]);
        let graph = graph.named_node("Sigmoid", &["x"], "p", vec![]);
        let graph = graph.node("Sub", &["1", "p"], vec![]);
        let joined = graph.node("Concat", &["_", "p"], vec![int("axis", 1)]);
        joined.file()
    };
    assert_eq!(read(&both(1)).outputs(), 1);
    check(&both(2), "Concat", "1 − p and p of several units");
}

/// Softsign is a quotient of real numbers. Integers are divided without a remainder.
#[test]
fn quotients_of_integers() {
    let softsign = |one: &str| {
        let graph = Graph::new(&[2]).tensor("1.0", &[], &[1.0]).ints("1", &[1]);
        let graph = graph.node("Abs", &["x"], vec![]);
        let graph = graph.node("Add", &[one, "_"], vec![]);
        graph.node("Div", &["x", "_"], vec![]).file()
    };
    assert_eq!(read(&softsign("1.0")).depth(), 1);
    assert!(matches!(
        refused(&softsign("1")),
        InterchangeError::Operator { .. }
    ));
}
