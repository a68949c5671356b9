//! Reading and writing θ: flat, by layer and block, as weights and biases, and the views of a
//! gradient.

use super::*;
use backprop::nalgebra::DVector;
use backprop::{Dense, Location, Penalty};

const LARGEST: f64 = f32::MAX as f64;

/// Asserts that the network still has θ, bit for bit.
#[track_caller]
fn unchanged<L: Layer<f64>>(what: &str, network: &Network<f64, L>, before: &[u64]) {
    assert_eq!(bits(network.theta().as_slice()), before, "{what}");
}

/// Replaces the entries of a vector in turn. The error names the entry.
fn broken_vectors(what: &'static str, values: &[f64]) -> impl Iterator<Item = (Vec<f64>, Error)> {
    let column = DMatrix::from_column_slice(values.len(), 1, values);
    let broken: Vec<_> = broken_entries(&column).collect();
    let to_vector = move |(matrix, at, bad): (DMatrix<f64>, _, _)| {
        (matrix.as_slice().to_vec(), input(what, at, bad))
    };
    broken.into_iter().map(to_vector)
}

#[test]
pub(super) fn theta() {
    let problem = Problem::new();
    let (mut network, examples) = (problem.network.clone(), problem.examples());
    let good = network.theta().as_slice().to_vec();
    let before = bits(&good);
    let mut bad: Vec<(Vec<f64>, Error)> = broken_vectors("θ", &[0.25; 26]).collect();
    for wrong in [25, 27, 0, 52] {
        bad.push((vec![0.5; wrong], length("θ", 26, wrong)));
        bad.push((vec![f64::NAN; wrong], length("θ", 26, wrong)));
    }
    let fixed = problem.network.clone();
    let problem_of = ArgminProblem::new(&fixed, &examples, &problem.objective).unwrap();
    let valid = problem_of.cost(&good).unwrap().to_bits();
    for (theta, expected) in &bad {
        let what = &format!("{theta:?}");
        refused(what, network.set_theta(theta), expected);
        unchanged(what, &network, &before);
        let layers = network.layers().to_vec();
        refused(what, Network::from_layers(3, layers, theta), expected);
        let builder = Network::builder(3).dense(4, Tanh).dense(2, Sigmoid);
        refused(what, builder.with_theta(theta), expected);

        let evaluations = problem_of.evaluations();
        refused_by_argmin(what, problem_of.cost(theta), expected);
        refused_by_argmin(what, problem_of.gradient(theta), expected);
        assert_eq!(problem_of.evaluations(), evaluations, "{what}");
        assert_eq!(problem_of.cost(&good).unwrap().to_bits(), valid, "{what}");

        // Only the first layer has the first sixteen entries.
        let layer = Dense::new(3, 4, Tanh);
        let found = GradientCheck::new().layer(&layer, &theta[..theta.len().min(16)], &problem.x);
        match expected {
            Error::NonFinite {
                at: Location::Input { row, .. },
                ..
            } if *row < 16 => refused(what, found, expected),
            Error::Length { found: 0, .. } => refused(what, found, &length("θ", 16, 0)),
            _ => {}
        }
    }
    // θ is finite but J is not, even in repeated calls.
    let far = vec![1e200; 26];
    let expected = Error::NonFinite {
        at: Location::Objective,
        value: f64::INFINITY,
    };
    for _ in 0..2 {
        refused_by_argmin("far", problem_of.cost(&far), &expected);
        refused_by_argmin("far", problem_of.gradient(&far), &expected);
    }
    let gradient = fixed
        .gradient_vector(&examples, &problem.objective)
        .unwrap();
    let found = problem_of.gradient(&good).unwrap();
    assert_eq!(bits(&found), bits(gradient.as_slice()));
    assert_eq!(problem_of.cost(&good).unwrap().to_bits(), valid);
    for wrong in [15, 17, 0] {
        let (layer, theta) = (Dense::new(3, 4, Tanh), vec![f64::NAN; wrong]);
        let found = GradientCheck::new().layer(&layer, &theta, &problem.x);
        refused("a single layer", found, &length("θ", 16, wrong));
    }

    // θ is not finite in f32, or a map makes it non-finite.
    let last = network.parameters() - 1;
    for (at, value) in [(0, 1e300), (13, -1e300), (last, 1e39)] {
        let mut theta = good.clone();
        (theta[at], theta[last]) = (value, 1e39);
        network.set_theta(&theta).unwrap();
        let infinite = value.signum() * f64::INFINITY;
        let expected = input("θ", (at, 0), infinite);
        refused("map to f32", network.map(|w| w as f32), &expected);
        assert_eq!(network.theta().as_slice(), theta);
    }
    network.set_theta(&good).unwrap();
    for at in [0, 13, last] {
        let mut count = 0;
        let found = network.map(|w| {
            count += 1;
            if count > at { f64::NAN } else { w }
        });
        refused("map", found, &input("θ", (at, 0), f64::NAN));
    }
    assert!(network.map(|w| (w * LARGEST / 2.0) as f32).is_ok());
    for wrong in [25, 27, 0] {
        let found = network.layout().roll(&vec![f64::NAN; wrong]);
        refused("roll", found, &length("the vector to roll", 26, wrong));
    }
    assert_eq!(network.layout().roll(&good).unwrap().len(), 2);
    unchanged("in the end", &network, &before);
    let mut workspace = Workspace::new();
    assert_eq!(
        problem.bits(&mut workspace),
        Problem::new().bits(&mut workspace)
    );
}

/// Layers and blocks that do not exist, in every call that takes one.
#[test]
pub(super) fn blocks() {
    let mut network = mixed();
    assert_eq!(network.parameters(), 14);
    let before = bits(network.theta().as_slice());
    let sums = Accumulator::new(&network).unwrap();
    let (x, y) = (DMatrix::repeat(3, 2, 0.5), DMatrix::repeat(1, 2, 0.5));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(backprop::SquaredError);
    let pass = network.backprop(&examples, &objective).unwrap();
    let gradient = pass.gradient();
    let start = Initialization::Constant { value: 7.0 };

    let max = usize::MAX;
    for (layer, block, expected) in [
        (3, 0, index("layer", 3, 3)),
        (3, 1, index("layer", 3, 3)),
        (max, max, index("layer", max, 3)),
        (0, 2, index("block", 2, 2)),
        (0, max, index("block", max, 2)),
        (1, 1, index("block", 1, 1)),
        (2, 0, index("block", 0, 0)),
        (2, max, index("block", max, 0)),
    ] {
        let what = &format!("layer {layer}, block {block}");
        refused(what, network.block(layer, block), &expected);
        refused(what, gradient.block(layer, block), &expected);
        let seven = DMatrix::repeat(2, 3, 7.0);
        let found = network.set_block(layer, block, &seven);
        refused(what, found, &expected);
        if block == 0 {
            refused(what, network.block(layer, 0), &expected);
            refused(what, gradient.layer(layer), &expected);
            let found = network.set_block(layer, 0, &seven);
            refused(what, found, &expected);
        }
        if layer >= 3 {
            let layout = network.layout();
            refused(what, layout.layer_blocks(layer), &expected);
            refused(what, network.dense_weights(layer), &expected);
            let found = network.set_dense(layer, &seven, &[7.0; 2]);
            refused(what, found, &expected);
            let mut random = rng(5);
            let found = network.initialize_layer(layer, start, &mut random);
            refused(what, found, &expected);
            assert_eq!(random, rng(5), "{what}: numbers were drawn");
        }
        let penalty = Penalty::none().block(layer, block, Default::default());
        let found = sums.finish(&network, &penalty);
        refused(what, found, &expected);
        unchanged(what, &network, &before);
    }
    // Two blocks are not [b W]. Nor are zero blocks, or one block of another shape.
    for layer in [0, 2] {
        let expected = Error::NotDense {
            layer: layer.into(),
        };
        refused("dense", network.dense_weights(layer), &expected);
        let found = network.set_dense(layer, &DMatrix::repeat(2, 3, 7.0), &[7.0; 2]);
        refused("set_dense", found, &expected);
    }
    let biased = |rows, cols| Block::new("Θ", rows, cols).penalised_from_column(1);
    for block in [
        Block::new("Θ", 2, 4),
        biased(2, 3),
        biased(2, 5),
        biased(1, 4),
        biased(4, 2),
    ] {
        let layer = Told::new(3, 2, &[block]);
        let entries = [0.5; 10];
        let len = layer.blocks[0].len().unwrap();
        let mut network = Network::from_layers(3, vec![layer], &entries[..len]).unwrap();
        let expected = Error::NotDense { layer: 0.into() };
        refused("dense", network.dense_weights(0), &expected);
        let found = network.set_dense(0, &DMatrix::repeat(2, 3, 7.0), &[7.0; 2]);
        refused("set_dense", found, &expected);
        unchanged("set_dense", &network, &bits(&entries[..len]));
    }
    unchanged("dense", &network, &before);

    for (layer, block, rows, cols) in [(0, 0, 2, 3), (0, 1, 1, 2), (1, 0, 2, 3)] {
        let good = DMatrix::repeat(rows, cols, 0.25);
        for wrong in broken_shapes(rows, cols) {
            let what = &format!("block {block} of layer {layer} from {wrong:?}");
            let matrix = DMatrix::repeat(wrong.0, wrong.1, f64::NAN);
            let expected = shape("Θ", (rows, cols), wrong);
            let found = network.set_block(layer, block, &matrix);
            refused(what, found, &expected);
            if block == 0 {
                let found = network.set_block(layer, 0, &matrix);
                refused(what, found, &expected);
            }
            unchanged(what, &network, &before);
        }
        for (matrix, at, bad) in broken_entries(&good) {
            let what = &format!("{bad} at {at:?} of block {block} of layer {layer}");
            let expected = input("Θ", at, bad);
            let found = network.set_block(layer, block, &matrix);
            refused(what, found, &expected);
            if block == 0 {
                let found = network.set_block(layer, 0, &matrix);
                refused(what, found, &expected);
            }
            unchanged(what, &network, &before);
        }
    }
    let good = network.block(0, 1).unwrap().clone_owned();
    network.set_block(0, 1, &good).unwrap();
    unchanged("in the end", &network, &before);
}

/// Separate weights and biases, and initialisers of one layer or all.
#[test]
pub(super) fn dense() {
    let Problem { mut network, .. } = Problem::new();
    let before = bits(network.theta().as_slice());
    let (weights, bias) = network.dense_weights(0).unwrap();
    for wrong in broken_shapes(4, 3) {
        let matrix = DMatrix::repeat(wrong.0, wrong.1, f64::NAN);
        let expected = shape("the weights", (4, 3), wrong);
        let found = network.set_dense(0, &matrix, bias.as_slice());
        refused("weights", found, &expected);
        unchanged("weights", &network, &before);
    }
    // All of Θ instead of the weights.
    let whole = network.block(0, 0).unwrap().clone_owned();
    let found = network.set_dense(0, &whole, bias.as_slice());
    refused("Θ", found, &shape("the weights", (4, 3), (4, 4)));
    let found = network.set_dense(1, &weights, bias.as_slice());
    refused("layer 1", found, &shape("the weights", (2, 4), (4, 3)));
    for wrong in [3, 5, 0, 16] {
        let found = network.set_dense(0, &DMatrix::repeat(4, 3, 7.0), &vec![f64::NAN; wrong]);
        refused("bias", found, &length("the bias", 4, wrong));
        unchanged("bias", &network, &before);
    }
    // Every other value is new too, so that any write shows.
    let (others, other) = (DMatrix::repeat(4, 3, 7.0), DVector::repeat(4, 7.0));
    for (matrix, at, bad) in broken_entries(&others) {
        // The weights are checked first.
        for bias in [other.clone(), DVector::repeat(4, f64::NAN)] {
            let found = network.set_dense(0, &matrix, bias.as_slice());
            refused("weights", found, &input("the weights", at, bad));
            unchanged("weights", &network, &before);
        }
    }
    for (vector, expected) in broken_vectors("the bias", other.as_slice()) {
        let found = network.set_dense(0, &others, &vector);
        refused("bias", found, &expected);
        unchanged("bias", &network, &before);
    }
    network.set_dense(0, &weights, bias.as_slice()).unwrap();

    let constant = |value| Initialization::Constant { value };
    let uniform = |epsilon| Initialization::Uniform { epsilon };
    let normal = |sigma| Initialization::Normal { sigma };
    let value = ("the value of the initialiser", "a finite number");
    let epsilon = ("ε of the initialiser", "a number in [0, ∞)");
    let wide = "a number in [0, ∞), small enough that no draw overflows";
    let sigma = ("σ of the initialiser", wide);
    let mut starts = vec![
        (uniform(-0.1), epsilon, -0.1),
        (normal(-0.1), sigma, -0.1),
        (normal(1.5e307), sigma, 1.5e307),
    ];
    for bad in BAD {
        starts.push((constant(bad), value, bad));
        starts.push((uniform(bad), epsilon, bad));
        starts.push((normal(bad), sigma, bad));
    }
    for (start, (name, range), bad) in starts {
        let (what, mut random) = (&format!("{start:?}"), rng(5));
        let expected = hyperparameter(name, bad, range);
        for layer in [0, 1] {
            let found = network.initialize_layer(layer, start, &mut random);
            refused(what, found, &expected);
        }
        let builder = Network::<f64>::builder(3).dense(4, Tanh);
        refused(what, builder.initialize(start, &mut random), &expected);
        assert_eq!(random, rng(5), "{what}: numbers were drawn");
        unchanged(what, &network, &before);
    }
    // In range in f64, but not in f32.
    for (start, (name, range), bad) in [
        (constant(-1e39), value, -1e39),
        (uniform(1e39), epsilon, 1e39),
        (normal(LARGEST / 12.0), sigma, LARGEST / 12.0),
    ] {
        let builder = Network::<f32>::builder(3).dense(4, Tanh);
        let found = builder.initialize(start, &mut rng(5));
        refused("f32", found, &hyperparameter(name, bad, range));
        let builder = Network::<f64>::builder(3).dense(4, Tanh);
        assert!(builder.initialize(start, &mut rng(5)).is_ok());
    }
    unchanged("in the end", &network, &before);
}
