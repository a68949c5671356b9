//! State, random numbers that are given, and what layers with state refuse.

use super::{BAD, refused};
use backprop::activation::{Identity, Softmax};
use backprop::layer::{BatchNorm, Block, Dropout};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Lbfgs, LevenbergMarquardt, Trainer};
use backprop::{
    AnyLayer, Error, Examples, GaussNewton, Location, Network, Objective, Path, SquaredError,
    Tangent, Workspace,
};

/// Dense, then batch norm inside a residual, then dropout.
fn network() -> Network<f64> {
    let builder = Network::builder(2).dense(2, Identity);
    let builder = builder.residual(backprop::Builder::batch_norm).dropout(0.5);
    let theta = [0.0, 0.0, 1.0, 0.5, -0.5, 1.0, 1.0, 1.0, 0.0, 0.0];
    builder.with_theta(&theta).unwrap()
}

fn x() -> DMatrix<f64> {
    DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 4.0, -1.0, 0.5, 0.0])
}

fn training() -> Workspace<f64> {
    let mut workspace = Workspace::new();
    workspace.set_training(Some(3));
    workspace
}

#[test]
pub(super) fn states() {
    let norm: Path = [1, 0, 0].into();
    let mut network = network();
    let whole = network.clone();
    for len in [0, 3, 5] {
        let expected = Error::Length {
            what: "the state",
            expected: 4,
            found: len,
        };
        refused("set_state", network.set_state(&vec![1.0; len]), &expected);
    }
    for value in BAD {
        let at = Location::State {
            layer: norm.clone(),
            block: "σ²".into(),
            entry: 1,
        };
        let found = network.set_state(&[0.0, 0.0, 1.0, value]);
        let Err(Error::NonFinite { at: found, .. }) = found else {
            panic!("{found:?}");
        };
        assert_eq!(found, at);
        refused(
            "set_state",
            network.set_state(&[0.0, 0.0, 1.0, f64::INFINITY]),
            &Error::NonFinite {
                at,
                value: f64::INFINITY,
            },
        );
    }
    let expected = Error::State {
        layer: norm,
        block: "σ²".into(),
        entry: 0,
        value: -0.25,
        least: 0.0,
    };
    refused(
        "set_state",
        network.set_state(&[0.0, 0.0, -0.25, 1.0]),
        &expected,
    );
    for index in [7, usize::MAX] {
        let expected = Error::Index {
            what: "layer",
            index,
            count: 3,
        };
        refused("fix_statistics", network.fix_statistics(index), &expected);
        refused(
            "unfix_statistics",
            network.unfix_statistics(index),
            &expected,
        );
    }
    // No pass, an evaluation, and a pass of another network.
    let mut workspace = Workspace::new();
    refused(
        "take_state",
        network.take_state(&workspace),
        &Error::NoState,
    );
    network.forward_into(&x(), &mut workspace).unwrap();
    refused(
        "take_state",
        network.take_state(&workspace),
        &Error::NoState,
    );
    workspace.set_training(Some(1));
    let other = Network::<f64>::builder(2).batch_norm().zeros().unwrap();
    other.forward_into(&x(), &mut workspace).unwrap();
    refused(
        "take_state",
        network.take_state(&workspace),
        &Error::NoState,
    );
    assert_eq!(network, whole);
    network.forward_into(&x(), &mut workspace).unwrap();
    network.take_state(&workspace).unwrap();
    assert_ne!(network, whole);
}

#[test]
pub(super) fn given_numbers() {
    let network = network();
    let mut workspace = training();
    let what = "the random numbers given to a layer";
    let two = DMatrix::repeat(2, 3, 1.0);
    workspace.set_random_numbers(2, &two).unwrap();
    network.forward_into(&x(), &mut workspace).unwrap();
    for (rows, cols) in [(1, 3), (3, 3), (2, 2), (2, 4)] {
        workspace
            .set_random_numbers(2, &DMatrix::repeat(rows, cols, 1.0))
            .unwrap();
        let expected = Error::Shape {
            what,
            expected: (2, 3),
            found: (rows, cols),
        };
        let found = network.forward_into(&x(), &mut workspace).map(drop);
        refused("forward_into", found, &expected);
    }
    workspace
        .set_random_numbers(2, &DMatrix::repeat(2, 3, f64::NAN))
        .unwrap();
    let found = network.forward_into(&x(), &mut workspace).map(drop);
    let Err(Error::NonFinite { at, .. }) = found else {
        panic!("{found:?}");
    };
    let (row, col) = (0, 0);
    assert_eq!(at, Location::Input { what, row, col });
    // A layer that draws nothing takes no numbers.
    workspace.clear_random_numbers();
    workspace.set_random_numbers(0, &two).unwrap();
    let expected = Error::Shape {
        what,
        expected: (0, 3),
        found: (2, 3),
    };
    let found = network.forward_into(&x(), &mut workspace).map(drop);
    refused("forward_into", found, &expected);
    workspace.clear_random_numbers();
    workspace.set_random_numbers([1, 4], &two).unwrap();
    let expected = Error::Index {
        what: "layer",
        index: 4,
        count: 1,
    };
    let found = network.forward_into(&x(), &mut workspace).map(drop);
    refused("forward_into", found, &expected);
    // Outside training, nothing is drawn and nothing is read.
    workspace.set_training(None);
    network.forward_into(&x(), &mut workspace).unwrap();
}

#[test]
pub(super) fn couplings() {
    let network = network();
    let (x, y) = (x(), DMatrix::zeros(2, 3));
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let mut workspace = training();
    let coupled = |what| Error::Coupled {
        layer: [1, 0, 0].into(),
        what,
        training: true,
    };
    let (p, m) = (network.parameters(), 3);
    let mut numbers = vec![7.0; p * m];
    let each = network.example_gradients(&examples, &SquaredError);
    let gradient = coupled("the gradient of one example");
    refused(
        "matrix",
        each.matrix_into(&mut workspace, &mut numbers),
        &gradient,
    );
    refused(
        "norms",
        each.norms_into(&mut workspace, &mut numbers[..m]),
        &gradient,
    );
    let found = each.clipped_sum(1.0, &mut workspace, &mut numbers[..p]);
    refused("clipped_sum", found.map(drop), &gradient);
    let found = each.for_each(&mut workspace, |_, _| panic!("visited"));
    refused("for_each", found, &gradient);
    let found = network.output_jacobian_into(&x, &mut workspace, &mut numbers[..12]);
    refused(
        "output_jacobian",
        found,
        &coupled("a Jacobian of one example"),
    );
    let mut matrix = vec![7.0; p * p];
    let at = GaussNewton::Outputs;
    let found =
        network.gauss_newton_matrix_into(&examples, &objective, at, &mut workspace, &mut matrix);
    refused(
        "gauss_newton_matrix",
        found,
        &coupled("the Gauss–Newton matrix"),
    );
    assert!(
        numbers.iter().chain(&matrix).all(|&n| n == 7.0),
        "overwritten"
    );
    // Products, Hessians and Jacobian products of the batch exist, and so does everything outside
    // training.
    let v = vec![1.0; p];
    let mut product = vec![0.0; p];
    network
        .hessian_product_into(&examples, &objective, &v, &mut workspace, &mut product)
        .unwrap();
    let along = Tangent::of_parameters(&v);
    network
        .jvp_into(&x, along, &mut workspace, &mut numbers[..2 * m])
        .unwrap();
    each.matrix().unwrap();
    network.output_jacobian(&x).unwrap();
    network
        .gauss_newton_matrix(&examples, &objective, at)
        .unwrap();
}

#[test]
pub(super) fn weights_and_solvers() {
    let (x, y) = (x(), DMatrix::zeros(2, 3));
    let examples = Examples::new(&x, &y).unwrap();
    let weighted = examples.weighted(&[1.0, 2.0, 1.0]).unwrap();
    let objective = Objective::new(SquaredError);
    let mut network = network();
    let whole = network.clone();
    let expected = Error::WeightedStatistics {
        layer: [1, 0, 0].into(),
    };
    let mut workspace = training();
    let mut gradient = vec![7.0; network.parameters()];
    let found = network.gradient_into(&weighted, &objective, &mut workspace, &mut gradient);
    refused("gradient_into", found.map(drop), &expected);
    let found = network.cost_into(&weighted, &objective, &mut workspace);
    refused("cost_into", found.map(drop), &expected);
    let v = gradient.clone();
    let found =
        network.hessian_product_into(&weighted, &objective, &v, &mut workspace, &mut gradient);
    refused("hessian_product_into", found, &expected);
    assert_eq!(gradient, v);
    let mut trainer = Trainer::new(objective.clone(), Adam::new(0.1));
    refused(
        "fit",
        trainer.fit(&mut network, &weighted).map(drop),
        &expected,
    );
    let mut trainer = Trainer::new(objective.clone(), Lbfgs::new());
    let Err(Error::Stochastic { layer, .. }) = trainer.fit(&mut network, &examples) else {
        panic!("L-BFGS takes dropout");
    };
    assert_eq!(layer, Path::from(2));
    let mut trainer = Trainer::new(objective, LevenbergMarquardt::new());
    let what = "Levenberg–Marquardt";
    let expected = Error::Stochastic {
        layer: 2.into(),
        what,
    };
    refused(
        "fit",
        trainer.fit(&mut network, &examples).map(drop),
        &expected,
    );
    assert_eq!(network, whole);
}

#[test]
pub(super) fn constants_of_layers() {
    for p in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let layers: Vec<AnyLayer> = vec![Dropout::new(p).into()];
        let found = Network::<f64>::from_layers(2, layers, &[]);
        assert!(
            matches!(found, Err(Error::Hyperparameter { .. })),
            "{p}: {found:?}"
        );
    }
    for eps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let layers: Vec<AnyLayer> = vec![BatchNorm::new().eps(eps).into()];
        let found = Network::<f64>::from_layers(2, layers, &[1.0, 1.0, 0.0, 0.0]);
        assert!(
            matches!(found, Err(Error::Hyperparameter { .. })),
            "{eps}: {found:?}"
        );
    }
    let block = Block::constant("γ", 3, 1, 1.0);
    assert_eq!((block.penalised_from_column, block.len()), (1, Some(3)));
    let started = Network::<f64>::builder(2)
        .batch_norm()
        .dense(2, Softmax)
        .zeros();
    assert_eq!(
        started.unwrap().theta().as_slice()[..5],
        [1.0, 1.0, 0.0, 0.0, 0.0]
    );
}

#[test]
pub(super) fn ids() {
    let builder = Network::<f64>::builder(2).embedding(5, 3).flatten();
    let mut network = builder.dense(2, Identity).zeros().unwrap();
    let whole = network.clone();
    let (x, y) = (
        DMatrix::from_row_slice(2, 2, &[0.0, 4.0, 1.0, 2.5]),
        DMatrix::zeros(2, 2),
    );
    let expected = Error::Id {
        row: 1,
        example: 1,
        value: 2.5,
        count: 5,
    };
    let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
    refused("forward", network.forward(&x), &expected);
    refused(
        "backprop",
        network.backprop(&examples, &objective),
        &expected,
    );
    let mut trainer = Trainer::new(objective.clone(), Adam::new(0.1));
    refused(
        "fit",
        trainer.fit(&mut network, &examples).map(drop),
        &expected,
    );
    assert_eq!(network, whole);
    let x = x.map(f64::floor);
    let examples = Examples::new(&x, &y).unwrap();
    let expected = Error::IdInputs { row: 0 };
    refused(
        "input_gradient",
        network.input_gradient(&examples, &objective),
        &expected,
    );
    refused("output_jacobian", network.output_jacobian(&x), &expected);
    let expected = Error::ComputedIds { layer: 1.into() };
    let builder = Network::<f64>::builder(2)
        .dense(2, Identity)
        .embedding(5, 3);
    refused("zeros", builder.zeros(), &expected);
}
