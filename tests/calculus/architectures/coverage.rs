//! The random trees cover what they promise.

use super::config;
use super::random::{Case, cases};
use super::trees::Any;
use backprop::Shape;
use backprop::layer::{Axis, Sequential};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

type Counts = BTreeMap<String, usize>;

fn count(counts: &mut Counts, what: impl Into<String>) {
    *counts.entry(what.into()).or_default() += 1;
}

fn branches(branches: &[&Sequential<Any>], depth: usize, counts: &mut Counts) {
    for branch in branches {
        if branch.layers().is_empty() {
            count(counts, "empty branch");
        }
        layers(branch.layers(), depth, counts);
    }
}

/// Counts the layers by kind, and the containers by depth.
fn layers(all: &[Any], depth: usize, counts: &mut Counts) {
    for layer in all {
        match layer {
            Any::Dense(dense) => count(counts, format!("{:?}", dense.activation())),
            Any::Activate(_) => count(counts, "activation"),
            Any::Custom(_) => count(counts, "custom"),
            Any::LayerNorm(_) => count(counts, "layer norm"),
            Any::RmsNorm(_) => count(counts, "RMS norm"),
            Any::BatchNorm(norm) => count(counts, format!("batch norm, γ: {}", norm.is_affine())),
            Any::Dropout(_) => count(counts, "dropout"),
            Any::GaussianNoise(_) => count(counts, "noise"),
            Any::Rearrange(layer) => {
                let name = format!("{layer:?}");
                count(counts, name.split(' ').next().unwrap_or_default());
            }
            Any::Sequential(inner) => {
                count(counts, format!("container at {depth}"));
                branches(&[inner], depth + 1, counts);
            }
            Any::Residual(residual) => {
                count(counts, format!("container at {depth}"));
                let shortcut = residual.shortcut();
                count(
                    counts,
                    format!("residual, shortcut: {}", shortcut.is_some()),
                );
                let all: Vec<_> = [Some(residual.body()), shortcut]
                    .into_iter()
                    .flatten()
                    .collect();
                branches(&all, depth + 1, counts);
            }
            Any::Concat(concat) => {
                count(counts, format!("container at {depth}"));
                let several = concat.branches().len() > 1;
                count(counts, format!("{:?}, several: {several}", concat.axis()));
                branches(
                    &concat.branches().iter().collect::<Vec<_>>(),
                    depth + 1,
                    counts,
                );
            }
            other => panic!("{other:?} is not in these networks"),
        }
    }
}

fn case(case: &Case, counts: &mut Counts) {
    layers(case.network.layers(), 0, counts);
    count(counts, format!("{} examples", case.x.ncols()));
    count(
        counts,
        format!("{:?}", std::mem::discriminant(&case.objective.cost)),
    );
    count(
        counts,
        format!("units: {}", matches!(case.input, Shape::Units(_))),
    );
    count(
        counts,
        format!("z: {}, pair: {}", case.logits.is_some(), case.canonical),
    );
    count(counts, format!("weights: {}", case.weights.is_some()));
    count(counts, format!("penalty: {}", case.lambda > 0.0));
    for (path, block, _) in &case.rules {
        let place = if path.len() > 2 { "inside" } else { "outside" };
        count(counts, format!("rule {place}, block: {}", block.is_some()));
    }
    // Two branches of a sequence, along either axis.
    for axis in [Axis::First, Axis::Last] {
        if has_branches_of_a_sequence(case, axis) {
            count(counts, format!("sequence along {axis:?}"));
        }
    }
}

/// Whether a layer of the network itself joins sequences. Inner ones are not counted.
fn has_branches_of_a_sequence(case: &Case, axis: Axis) -> bool {
    let mut shape = case.input;
    for layer in case.network.layers() {
        let site = backprop::layer::Site::new(shape).hidden();
        let output = backprop::Layer::<f64>::plan(layer, site).unwrap().output();
        let joins = |concat: &backprop::layer::Concat<Any>| {
            concat.axis() == axis && concat.branches().len() > 1
        };
        let is_sequence = !matches!(output, Shape::Units(_));
        if is_sequence && matches!(layer, Any::Concat(concat) if joins(concat)) {
            return true;
        }
        shape = output;
    }
    false
}

#[test]
fn trees_cover_what_they_promise() {
    let mut runner = TestRunner::new(config());
    let mut counts = Counts::new();
    for _ in 0..runner.config().cases {
        let tree = cases().new_tree(&mut runner).unwrap();
        case(&tree.current(), &mut counts);
    }
    // Norms and random layers: 6. 17 activations of dense layers; activations, custom layers and 3
    // that move entries; empty branches; containers at 4 depths; residuals with and without a
    // shortcut; either axis, one branch or several; 1 to 7 examples; 6 costs; 2 kinds of inputs; z
    // or a pair or neither; weights or not, a penalty or not; 4 kinds of rules; sequences along
    // either axis.
    let kinds = 6 + 17 + 5 + 1 + 4 + 2 + 4 + 7 + 6 + 2 + 3 + 4 + 4 + 2;
    assert_eq!(counts.len(), kinds, "{counts:#?}");
    let rare = counts.iter().filter(|(_, count)| **count < 5);
    assert_eq!(rare.count(), 0, "{counts:#?}");
}
