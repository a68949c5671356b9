//! Ids that reach an embedding through layers that move entries, and embeddings elsewhere.

use super::{ids, wave};
use backprop::activation::{Identity, Tanh};
use backprop::layer::Axis;
use backprop::nalgebra::DMatrix;
use backprop::{
    Builder, Error, Examples, Initialization, Network, Objective, Path, Shape, SquaredError,
    Tangent, rng,
};

/// A table whose vectors are their ids, so that outputs show which entries of X were read.
fn build(builder: Builder<f64>) -> Network<f64> {
    let mut network = builder.zeros().unwrap();
    let blocks = network.layout().blocks().len();
    assert_eq!(blocks, 1);
    let count = network.parameters();
    let theta: Vec<f64> = (0..count).map(|id| id as f64).collect();
    network.set_theta(&theta).unwrap();
    network
}

/// Asserts that the outputs are these rows of X, and that a wrong id in one of them is reported
/// with the row of X, and one in any other row is not.
#[track_caller]
fn reads(network: &Network<f64>, rows: &[usize]) {
    let n = network.inputs();
    let x = DMatrix::from_fn(n, 3, |i, k| ((7 * i + 3 * k) % 20) as f64);
    let a = network.forward(&x).unwrap();
    for k in 0..3 {
        let expected: Vec<f64> = rows.iter().map(|&row| x[(row, k)]).collect();
        assert_eq!(a.column(k).as_slice(), expected);
    }
    for row in 0..n {
        let mut wrong = x.clone();
        wrong[(row, 1)] = 20.0;
        let result = network.forward(&wrong);
        if rows.contains(&row) {
            let (example, value, count) = (1, 20.0, 20);
            assert_eq!(
                result,
                Err(Error::Id {
                    row,
                    example,
                    value,
                    count
                })
            );
        } else {
            assert!(result.is_ok());
        }
    }
}

#[test]
fn selected_rows() {
    let network = build(
        Network::builder(6)
            .select(1..5)
            .select(2..4)
            .embedding(20, 1),
    );
    reads(&network, &[3, 4]);
}

#[test]
fn transposed_entries() {
    let sequence = Shape::Sequence {
        steps: 2,
        features: 3,
    };
    let builder = Network::builder(sequence).transpose().flatten();
    reads(
        &build(builder.clone().embedding(20, 1)),
        &[0, 3, 1, 4, 2, 5],
    );
    reads(
        &build(builder.clone().select(1..3).embedding(20, 1)),
        &[3, 1],
    );
    let back = Network::builder(sequence).transpose().transpose();
    reads(&build(back.flatten().embedding(20, 1)), &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn containers_of_layers_that_move() {
    let builder = Network::builder(4).sequential(|s| s.sequential(|s| s.select(1..4)));
    reads(
        &build(builder.sequential(|s| s.select(1..2).embedding(20, 1))),
        &[2],
    );
    // A concatenation may reorder and repeat rows.
    let reordered = Network::builder(4).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.select(3..4)).branch(|b| b);
        branches.branch(|b| b.sequential(|s| s.select(0..3)).select(1..2))
    });
    reads(
        &build(reordered.clone().embedding(20, 1)),
        &[3, 0, 1, 2, 3, 1],
    );
    reads(&build(reordered.select(4..6).embedding(20, 1)), &[3, 1]);
    let shape = Shape::Sequence {
        steps: 2,
        features: 2,
    };
    let side_by_side =
        Network::builder(shape).concat(Axis::Last, |branches| branches.branch(|b| b).branch(|b| b));
    reads(
        &build(side_by_side.flatten().embedding(20, 1)),
        &[0, 1, 0, 1, 2, 3, 2, 3],
    );
}

/// A thousand layers that move entries, one after the other.
#[test]
fn long_chains() {
    let mut builder = Network::builder(Shape::Sequence {
        steps: 3,
        features: 2,
    });
    for _ in 0..501 {
        builder = builder.transpose();
    }
    reads(
        &build(builder.flatten().embedding(20, 1)),
        &[0, 2, 4, 1, 3, 5],
    );
}

#[test]
fn computed_ids_are_refused_with_the_path() {
    let refused = |builder: Builder<f64>, path: Path| {
        assert_eq!(builder.zeros(), Err(Error::ComputedIds { layer: path }));
    };
    let builder = || Network::builder(3);
    refused(builder().dense(2, Tanh).embedding(4, 2), 1.into());
    refused(
        builder().activate(Identity).flatten().embedding(4, 2),
        2.into(),
    );
    refused(
        builder().embedding(4, 2).flatten().embedding(4, 2),
        2.into(),
    );
    // A sum computes, even of entries.
    refused(builder().residual(|b| b).embedding(4, 2), 1.into());
    refused(
        builder().residual(Builder::flatten).embedding(4, 2),
        1.into(),
    );
    let inside = builder().dense(3, Tanh).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b);
        branches.branch(|b| b.select(0..1).sequential(|s| s.embedding(4, 1)).flatten())
    });
    refused(inside, [1, 1, 1, 0].into());
    // A branch that computes hides which outputs are rows of X.
    let partly = builder().concat(Axis::First, |branches| {
        branches.branch(|b| b.dense(2, Tanh)).branch(|b| b)
    });
    refused(partly.select(2..5).embedding(4, 2), 2.into());
    let text = Error::ComputedIds { layer: 1.into() }.to_string();
    assert_eq!(
        text,
        "the inputs of layer 1 (Θ⁽²⁾) are computed by an earlier layer, expected ids: \
         rows of X, which earlier layers may only select or move"
    );
}

/// A row of X that two embeddings read, with different counts.
#[test]
fn several_embeddings_of_one_row() {
    let network = Network::<f64>::builder(1).concat(Axis::First, |branches| {
        branches
            .branch(|b| b.embedding(5, 1))
            .branch(|b| b.embedding(3, 1))
    });
    let network = network.zeros().unwrap();
    network.forward(&[2.0]).unwrap();
    let (row, example, value) = (0, 0, 4.0);
    let refused = network.forward(&[4.0]);
    assert_eq!(
        refused,
        Err(Error::Id {
            row,
            example,
            value,
            count: 3
        })
    );
}

/// A row that is read as a number and as an id is an id: it has no derivative.
#[test]
fn a_row_that_is_a_number_too_has_no_derivative() {
    let network = Network::<f64>::builder(2).concat(Axis::First, |branches| {
        let branches = branches.branch(|b| b.select(1..2).embedding(4, 2).flatten());
        branches.branch(|b| b)
    });
    for outputs in [1, 3] {
        // With three outputs, the Jacobian is computed along the inputs.
        let network = network.clone().dense(outputs, Tanh);
        let network = network
            .initialize(Initialization::GlorotUniform, &mut rng(2))
            .unwrap();
        let mut x = wave::<f64>(2, 3, 1);
        x.row_mut(1).copy_from(&ids::<f64>(1, 3, 4, 2));
        let y = wave(outputs, 3, 2);
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError);
        let gradient = network.input_gradient(&examples, &objective).unwrap();
        assert!(gradient.row(0).iter().all(|&g| g != 0.0));
        assert!(gradient.row(1).iter().all(|&g| g == 0.0));
        let jacobian = network.output_jacobian(&x).unwrap();
        for k in 0..3 {
            assert!(jacobian.column(2 * k).iter().all(|&g| g != 0.0));
            assert!(jacobian.column(2 * k + 1).iter().all(|&g| g == 0.0));
        }
        let along = DMatrix::from_fn(2, 3, |i, _| if i == 0 { 1.0 } else { 0.0 });
        let (_, of_x) = network
            .vjp_along(&x, &y, Tangent::of_inputs(&along))
            .unwrap();
        assert!(of_x.row(0).iter().all(|&g| g != 0.0));
        assert!(of_x.row(1).iter().all(|&g| g == 0.0));
    }
}

/// The columns of X may be apart.
#[test]
fn strided_inputs() {
    let network = build(Network::builder(2).embedding(20, 1));
    let wide = DMatrix::from_fn(4, 5, |i, k| (3 * i + k) as f64);
    let view = wide.rows(1, 2);
    let a = network.forward(view).unwrap();
    assert_eq!(a, view.clone_owned());
}
