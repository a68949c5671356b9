//! Accumulators: of other networks, empty, with too much weight, and with sums that overflow.

use super::*;
use backprop::activation::Identity;
use backprop::nalgebra::DVector;
use backprop::{BlockEntry, BytesFault, Location, Penalty, SquaredError};
use std::slice::from_ref;

fn other(expected: usize, found: usize) -> Error {
    Error::OtherNetwork {
        what: "the accumulator",
        expected,
        found,
    }
}

/// Asserts that two networks of different shapes refuse each other's sums.
#[track_caller]
fn strangers<L: Layer<f64> + PartialEq>(ours: &Network<f64, L>, theirs: &Network<f64, L>) {
    for (home, guest) in [(ours, theirs), (theirs, ours)] {
        let what = &format!("{home}\nand\n{guest}");
        let p = home.parameters();
        let expected = other(p, guest.parameters());
        let data = |network: &Network<f64, L>| {
            let of = |rows| DMatrix::repeat(rows, 2, 0.5);
            (of(network.inputs()), of(network.outputs()))
        };
        let mut workspace = Workspace::new();
        let mut make = |network: &Network<f64, L>| {
            let (x, y) = data(network);
            let examples = Examples::new(&x, &y).unwrap();
            let mut sums = Accumulator::new(network).unwrap();
            let added = sums.add(network, &examples, &SquaredError, &mut workspace);
            added.unwrap();
            sums
        };
        let (full, strange) = (make(home), make(guest));
        for mut sums in [full, Accumulator::new(home).unwrap()] {
            let before = sums.clone();
            for (x, y) in [data(home), data(guest)] {
                let examples = Examples::new(&x, &y).unwrap();
                let mut workspace = Workspace::new();
                let found = sums.add(guest, &examples, &SquaredError, &mut workspace);
                refused(what, found, &expected);
            }
            refused(what, sums.merge(&strange), &expected);
            let received = Accumulator::from_bytes(&sums.to_bytes().unwrap(), guest);
            refused(what, received, &expected);
            let empty = Accumulator::new(guest).unwrap();
            refused(what, sums.merge(&empty), &expected);
            refused(what, sums.finish(guest, &Penalty::l2(1.0)), &expected);
            let mut gradient = vec![7.0; p];
            let found = sums.finish_into(guest, &Penalty::none(), &mut gradient);
            refused(what, found, &expected);
            assert_eq!((&sums, gradient), (&before, vec![7.0; p]), "{what}");
        }
    }
}

#[test]
pub(super) fn accumulators() {
    let problem = Problem::new();
    let (network, examples) = (&problem.network, problem.examples());
    let mut workspace = Workspace::new();
    let before = problem.bits(&mut workspace);

    let dense = |inputs, units: &[usize]| {
        let builder = Network::<f64>::builder(inputs);
        let units = units.iter();
        units
            .fold(builder, |b, &n| b.dense(n, Tanh))
            .zeros()
            .unwrap()
    };
    let ours = dense(3, &[4, 2]);
    // The same number of parameters in other shapes, and one dimension more or fewer.
    for (inputs, units) in [
        (2, &[2, 5, 1][..]),
        (4, &[3, 2, 1]),
        (12, &[2]),
        (1, &[13]),
        (25, &[1]),
        (2, &[4, 2]),
        (4, &[4, 2]),
        (3, &[3, 2]),
        (3, &[5, 2]),
        (3, &[4, 1]),
        (3, &[4, 3]),
        (3, &[2, 4]),
        (3, &[4]),
        (3, &[4, 2, 2]),
    ] {
        strangers(&ours, &dense(inputs, units));
    }
    // One block of six entries, described in different ways.
    let told = |inputs, outputs, blocks: &[Block]| {
        let layers = vec![Told::new(inputs, outputs, blocks)];
        Network::from_layers(inputs, layers, &[0.5; 6]).unwrap()
    };
    let block = Block::new("U", 2, 3);
    let ours = told(3, 2, from_ref(&block));
    for theirs in [
        told(2, 2, from_ref(&block)),
        told(3, 1, from_ref(&block)),
        told(3, 2, &[Block::new("U", 3, 2)]),
        told(3, 2, &[Block::new("U", 6, 1)]),
        told(3, 2, &[block.clone().penalised_from_column(1)]),
        told(3, 2, &[Block::new("U", 2, 2), Block::new("V", 2, 1)]),
    ] {
        strangers(&ours, &theirs);
    }

    let mut sums = Accumulator::new(network).unwrap();
    let penalty = &problem.objective.penalty;
    let no_examples = Error::NoExamples;
    refused("empty", sums.finish(network, penalty), &no_examples);
    let mut gradient = [7.0; 26];
    let found = sums.finish_into(network, penalty, &mut gradient);
    refused("empty", found, &no_examples);
    sums.add(network, &examples, &BinaryCrossEntropy, &mut workspace)
        .unwrap();
    let full = sums.clone();
    for wrong in [25, 27, 0, 52] {
        let mut gradient = vec![7.0; wrong];
        let found = sums.finish_into(network, penalty, &mut gradient);
        refused("buffer", found, &length("the gradient", 26, wrong));
        assert_eq!((&sums, gradient), (&full, vec![7.0; wrong]));
    }
    let bytes = full.to_bytes().unwrap();
    let (expected, found) = (bytes.len() as u64, 9);
    let cut = Error::Bytes {
        what: "the accumulator",
        fault: BytesFault::Length { expected, found },
    };
    refused("cut", Accumulator::from_bytes(&bytes[..9], network), &cut);
    sums.reset();
    refused("reset", sums.finish(network, penalty), &no_examples);
    assert_eq!(gradient, [7.0; 26]);
    // Any network of the same shape is accepted.
    let again = Problem::new().network;
    sums.add(&again, &examples, &BinaryCrossEntropy, &mut workspace)
        .unwrap();
    assert_eq!(sums, full);
    // So is one with the same sizes and other activations.
    let other = Network::builder(3).dense(4, Sigmoid).dense(2, Identity);
    let other = other.with_theta(network.theta().as_slice()).unwrap();
    sums.add(&other, &examples, &SquaredError, &mut workspace)
        .unwrap();
    assert_eq!(sums.weight(), 2.0 * full.weight());
    too_heavy(&problem);
    beyond_the_scalar();
    assert_eq!(problem.bits(&mut workspace), before);
}

/// Valid weights with an invalid sum.
fn too_heavy(problem: &Problem) {
    let (network, mut workspace) = (&problem.network, Workspace::new());
    let mut weights = [0.0; 5];
    weights[2] = 1.5e308;
    let heavy = problem.examples().weighted(&weights).unwrap();
    let mut sums = Accumulator::new(network).unwrap();
    sums.add(network, &heavy, &SquaredError, &mut workspace)
        .unwrap();
    let before = sums.clone();
    let expected = Error::TotalWeight {
        value: f64::INFINITY,
    };
    let found = sums.add(network, &heavy, &SquaredError, &mut workspace);
    refused("add", found, &expected);
    refused("merge", sums.merge(&before), &expected);
    assert_eq!(sums, before);

    // Twice 2¹²⁷ is more than f32 holds.
    let single = network.map(|w| w as f32).unwrap();
    let (x, y) = (problem.x.map(|x| x as f32), problem.y.map(|y| y as f32));
    weights[2] = 2.0_f64.powi(127);
    let heavy = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let (mut sums, mut workspace) = (Accumulator::new(&single).unwrap(), Workspace::new());
    sums.add(&single, &heavy, &SquaredError, &mut workspace)
        .unwrap();
    let before = sums.clone();
    let expected = Error::TotalWeight {
        value: 2.0_f64.powi(128),
    };
    let found = sums.add(&single, &heavy, &SquaredError, &mut workspace);
    refused("add in f32", found, &expected);
    refused("merge in f32", sums.merge(&before), &expected);
    assert_eq!(sums, before);
    assert!(sums.finish(&single, &Penalty::none()).is_ok());
}

/// Adds Δ = 1e308 twice. Each batch is finite, and the error of the sum names the place.
fn beyond_the_scalar() {
    let builder = Network::<f64>::builder(2).dense(2, Identity);
    let network = builder.with_theta(&[0.0, 1e8, 0.0, 0.0, 0.0, 0.0]).unwrap();
    let (x, y) = (DVector::from_vec(vec![0.0, 1e300]), DVector::zeros(2));
    let (examples, penalty) = (Examples::new(&x, &y).unwrap(), Penalty::none());
    let (mut once, mut workspace) = (Accumulator::new(&network).unwrap(), Workspace::new());
    once.add(&network, &examples, &SquaredError, &mut workspace)
        .unwrap();
    assert!(once.finish(&network, &penalty).is_ok());
    let (mut added, mut merged) = (once.clone(), once.clone());
    added
        .add(&network, &examples, &SquaredError, &mut workspace)
        .unwrap();
    merged.merge(&once).unwrap();
    assert_eq!(added, merged);
    let expected = Error::NonFinite {
        at: Location::Gradient(BlockEntry {
            layer: 0.into(),
            block: "Θ".into(),
            row: 1,
            col: 2,
        }),
        value: f64::INFINITY,
    };
    refused("sum", added.finish(&network, &penalty), &expected);
    let found = added.finish_into(&network, &penalty, &mut [0.0; 6]);
    refused("sum", found, &expected);
    assert_eq!(added, merged);

    // Adds a cost of 1.1e308 twice, with small gradients.
    let network = Network::<f64>::builder(1).dense(1, Identity);
    let network = network.with_theta(&[0.0, 1.0]).unwrap();
    let (x, y) = (DVector::zeros(1), DVector::repeat(1, 1.5e154));
    let examples = Examples::new(&x, &y).unwrap();
    let mut once = Accumulator::new(&network).unwrap();
    once.add(&network, &examples, &SquaredError, &mut workspace)
        .unwrap();
    let mut twice = once.clone();
    twice.merge(&once).unwrap();
    for mut sums in [once.clone(), twice] {
        sums.add(&network, &examples, &SquaredError, &mut workspace)
            .unwrap();
        assert_eq!(sums.cost(), f64::INFINITY);
        let value = f64::INFINITY;
        let expected = Error::NonFinite {
            at: Location::Objective,
            value,
        };
        refused("cost", sums.finish(&network, &penalty), &expected);
    }
}
