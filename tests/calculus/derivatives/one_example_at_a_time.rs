//! Layers without a `backward_each` of their own compute the gradients of examples one at a time.

use super::custom_layers::{Plain, data, plain, same, smooth};
use super::{close, dot};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, Backward, Forward, Layer, Plan, Site};
use backprop::nalgebra::{DMatrix, DVector};
use backprop::{
    Builder, Error, Examples, GaussNewton, Initialization, Network, Objective, SquaredError,
    VjpTargets, Workspace, rng,
};

/// Checks gradients, norms, visits, clipped sums and the Gauss–Newton matrix of such a network,
/// with a seed or without.
fn one_at_a_time<L: Layer<f64>>(network: &Network<f64, L>, m: usize, seed: Option<u64>) {
    let (x, y) = data(network.inputs(), network.outputs(), m);
    let weights: Vec<f64> = (0..m).map(|k| 0.5 + (k % 3) as f64).collect();
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let (p, cost) = (network.parameters(), SquaredError);
    let mut workspace = Workspace::new();
    workspace.set_training(seed);
    let mut gradients = vec![f64::NAN; p * m];
    network
        .example_gradients(&examples, &cost)
        .matrix_into(&mut workspace, &mut gradients)
        .unwrap();
    let gradients = DMatrix::from_vec(p, m, gradients);
    let outputs = workspace.output().unwrap().clone_owned();
    let costs = workspace.costs().to_vec();

    // The pass that sums them reports the same costs and outputs.
    let mut sum = vec![f64::NAN; p];
    let objective = Objective::new(cost);
    network
        .gradient_into(&examples, &objective, &mut workspace, &mut sum)
        .unwrap();
    let total = examples.total_weight();
    let expected = &gradients * DVector::from_column_slice(&weights) / total;
    same(&sum, expected.as_slice());
    same(
        outputs.as_slice(),
        workspace.output().unwrap().clone_owned().as_slice(),
    );
    same(&costs, workspace.costs());
    if seed.is_none() {
        for k in [0, m / 2, m - 1] {
            let one = Examples::new(x.columns(k, 1), y.columns(k, 1)).unwrap();
            let alone = network.gradient_vector(&one, &objective).unwrap();
            same(gradients.column(k).as_slice(), alone.as_slice());
        }
    }

    let mut norms = vec![f64::NAN; m];
    network
        .example_gradients(&examples, &cost)
        .norms_into(&mut workspace, &mut norms)
        .unwrap();
    let expected: Vec<f64> = gradients.column_iter().map(|g| g.norm()).collect();
    same(&norms, &expected);
    same(
        workspace.output().unwrap().clone_owned().as_slice(),
        outputs.as_slice(),
    );
    let mut next = 0;
    network
        .example_gradients(&examples, &cost)
        .for_each(&mut workspace, |k, gradient| {
            assert_eq!(k, next);
            same(gradient, gradients.column(k).as_slice());
            next += 1;
        })
        .unwrap();
    assert_eq!(next, m);

    let most = 0.7 * expected.iter().sum::<f64>() / m as f64;
    let mut clipped = vec![f64::NAN; p];
    let count =
        network
            .example_gradients(&examples, &cost)
            .clipped_sum(most, &mut workspace, &mut clipped);
    let factors = (0..m).map(|k| (0.5 + (k % 3) as f64) * (most / expected[k]).min(1.0));
    let by_hand = &gradients * DVector::from_iterator(m, factors);
    close(&clipped, by_hand.as_slice(), m as f64).unwrap();
    let beyond = expected.iter().filter(|&&norm| norm > most).count();
    assert_eq!(count, Ok(beyond));
    assert!(beyond > 0 || m == 1);

    if m > 10 {
        return;
    }
    let (mut matrix, mut by_hand) = (DMatrix::repeat(p, p, f64::NAN), DMatrix::zeros(p, p));
    let (at, to) = (GaussNewton::Outputs, matrix.as_mut_slice());
    network
        .gauss_newton_matrix_into(&examples, &objective, at, &mut workspace, to)
        .unwrap();
    for (k, i) in (0..m).flat_map(|k| (0..y.nrows()).map(move |i| (k, i))) {
        let unit = DMatrix::from_fn(y.nrows(), m, |row, col| f64::from((row, col) == (i, k)));
        let mut row = DVector::repeat(p, f64::NAN);
        let wanted = VjpTargets::of_parameters(row.as_mut_slice());
        network.vjp_into(&x, &unit, &mut workspace, wanted).unwrap();
        by_hand += &row * row.transpose() * (weights[k] / total);
    }
    same(matrix.as_slice(), by_hand.as_slice());
}

#[test]
fn layers_without_backward_each_run_one_example_at_a_time() {
    for m in [1, 2, 7, 700] {
        one_at_a_time(&plain(4, 2, false), m, None);
        one_at_a_time(&smooth(4, 2, Identity), m, None);
        // An example keeps its number in the batch, whichever pass computes it.
        for seed in [1, 2] {
            one_at_a_time(&plain(4, 2, false), m, Some(seed));
        }
    }
    // With this many parameters, only a few gradients are computed together.
    let layer = AnyLayer::Custom(Plain {
        units: 90,
        couples: false,
    });
    let network = Builder::<f64, _>::new(90)
        .dense(90, Tanh)
        .layer(layer)
        .dense(2, Identity);
    let network = network
        .initialize(Initialization::GlorotUniform, &mut rng(6))
        .unwrap();
    for seed in [None, Some(3)] {
        one_at_a_time(&network, 20, seed);
    }
}

#[test]
fn coupling_layers_have_no_per_example_gradients() {
    let network = plain(4, 2, true);
    let (x, y) = data(4, 2, 6);
    let examples = Examples::new(&x, &y).unwrap();
    let p = network.parameters();
    let coupled = |found: Result<(), Error>, asked: &str| match found {
        Err(Error::Coupled {
            layer,
            what,
            training: false,
        }) => {
            assert_eq!(what, asked);
            assert!(layer.indices().len() == 1, "{layer}");
        }
        other => panic!("{asked}: {other:?}"),
    };
    let mut workspace = Workspace::new();
    let mut kept = vec![7.0; p * 6];
    let cost = SquaredError;
    let each = network.example_gradients(&examples, &cost);
    let gradient = "the gradient of one example";
    coupled(each.matrix_into(&mut workspace, &mut kept), gradient);
    coupled(each.norms_into(&mut workspace, &mut kept[..6]), gradient);
    let clipped = each.clipped_sum(1.0, &mut workspace, &mut kept[..p]);
    coupled(clipped.map(drop), gradient);
    coupled(
        network.output_jacobian_into(&x, &mut workspace, &mut kept[..48]),
        "a Jacobian of one example",
    );
    assert!(kept.iter().all(|&k| k == 7.0), "overwritten");
    let unseen = |_, _: &[f64]| panic!("there is nothing to visit");
    coupled(each.for_each(&mut workspace, unseen), gradient);

    // The results of the whole batch are still available.
    let (gradient, _) = network.gradients(&examples, &Objective::new(cost)).unwrap();
    let errors = network.forward(&x).unwrap() - &y;
    let (of_theta, _) = network.vjp(&x, &errors).unwrap();
    same(
        of_theta.as_slice(),
        (gradient.gradient().vector() * 6.0).as_slice(),
    );
    assert!(dot(of_theta.as_slice(), of_theta.as_slice()) > 0.0);
}

/// Passes its inputs on, without parameters.
#[derive(Clone, Debug, PartialEq)]
struct Through;

impl Layer<f64> for Through {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input))
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

/// Without parameters every example has an empty gradient of norm 0, whatever the workspace held
/// before.
#[test]
fn gradients_without_parameters_are_empty() {
    let mut workspace = Workspace::new();
    let (x, y) = data(4, 2, 600);
    let mut norms = [f64::NAN; 600];
    let other = plain(4, 2, false);
    let of_other = Examples::new(&x, &y).unwrap();
    other
        .example_gradients(&of_other, &SquaredError)
        .norms_into(&mut workspace, &mut norms)
        .unwrap();
    let network = Network::from_layers(2, vec![Through], &[]).unwrap();
    for m in [1, 5, 600] {
        let (x, y) = data(2, 2, m);
        let examples = Examples::new(&x, &y).unwrap();
        let norms = &mut norms[..m];
        network
            .example_gradients(&examples, &SquaredError)
            .norms_into(&mut workspace, norms)
            .unwrap();
        assert_eq!(norms, vec![0.0; m]);
        let mut visited = 0;
        network
            .example_gradients(&examples, &SquaredError)
            .for_each(&mut workspace, |k, gradient| {
                assert_eq!((k, gradient.len()), (visited, 0));
                visited += 1;
            })
            .unwrap();
        assert_eq!(visited, m);
        let gradients = network.example_gradients(&examples, &SquaredError).matrix();
        assert_eq!(gradients.unwrap().shape(), (0, m));
    }
}
