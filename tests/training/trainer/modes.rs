//! The mode of the passes of a run: the seed of each step, and what is measured in evaluation.

use super::data;
use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, Backward, BatchNorm, Dense, Forward, Layer, Plan, Site};
use backprop::nalgebra::DMatrix;
use backprop::training::{GradientDescent, Lbfgs, LevenbergMarquardt, Trainer};
use backprop::{Error, Examples, Initialization, Network, Objective, SquaredError, rng};
use std::ops::ControlFlow;
use std::sync::Mutex;

/// Passes its input on, and records the seeds of the training passes.
#[derive(Debug, Default)]
struct Seeds(Mutex<Vec<u64>>);

impl Layer<f64> for Seeds {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input).stochastic(1))
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        if pass.at.training {
            self.0.lock().unwrap().push(pass.at.seed);
        }
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

/// Three epochs of three batches.
#[test]
fn every_step_of_a_run_has_its_own_seed() {
    let layers = vec![
        AnyLayer::Custom(Seeds::default()),
        Dense::new(1, 1, Identity).into(),
    ];
    let mut network = Network::from_layers(1, layers, &[0.0, 0.5]).unwrap();
    let x = DMatrix::from_row_slice(1, 6, &[0.1, 0.9, -0.4, 0.3, -1.2, 0.6]);
    Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.1))
        .epochs(3)
        .batch_size(2)
        .fit(&mut network, &Examples::new(&x, &x).unwrap())
        .unwrap();
    let AnyLayer::Custom(Seeds(seeds)) = &network.layers()[0] else {
        panic!("{network:?}");
    };
    let mut seeds = seeds.lock().unwrap().clone();
    assert_eq!(seeds.len(), 9);
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 9, "{seeds:?}");
}

/// A solver minimises J with the statistics of the batch. The validation cost is that of the
/// network in evaluation.
#[test]
fn a_solver_measures_the_validation_cost_in_evaluation() {
    let mut network = Network::<f64>::builder(4)
        .dense(3, Tanh)
        .batch_norm()
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    let ((x, y), (other_x, other_y)) = (data(4, 2, 12), data(4, 2, 7));
    let validation = Examples::new(&other_x, &other_y).unwrap();
    let history = Trainer::new(Objective::new(SquaredError), Lbfgs::new())
        .epochs(2)
        .validation(validation)
        .keep_best(false)
        .fit(&mut network, &Examples::new(&x, &y).unwrap())
        .unwrap();
    let j = network.cost(&validation, &Objective::new(SquaredError));
    assert_eq!(history.records()[1].validation, Some(j.unwrap()));
}

/// With fixed statistics the network is one function, which Levenberg–Marquardt takes, also with
/// weights. The state does not move.
#[test]
fn a_solver_on_weighted_examples_leaves_fixed_statistics() {
    let mut network = Network::<f64>::builder(4)
        .batch_norm()
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(1))
        .unwrap();
    network.fix_statistics(0).unwrap();
    let before = network.state().clone();
    let (x, y) = data(4, 2, 5);
    let examples = Examples::new(&x, &y).unwrap();
    let examples = examples.weighted(&[1.0, 2.0, 0.5, 1.0, 3.0]).unwrap();
    let history = Trainer::new(Objective::new(SquaredError), LevenbergMarquardt::new())
        .epochs(2)
        .fit(&mut network, &examples)
        .unwrap();
    assert!(history.records()[1].cost <= history.records()[0].cost);
    assert_eq!(network.state(), &before);
}

/// A network that has statistics and no parameters has a best epoch too.
#[test]
fn the_best_epoch_of_a_network_without_parameters_comes_back() {
    let (mut network, x, y) = statistics_alone();
    let examples = Examples::new(&x, &y).unwrap();
    let mut states = Vec::new();
    let history = Trainer::new(Objective::new(SquaredError), GradientDescent::new(0.1))
        .epochs(30)
        .validation(examples)
        .on_epoch(|epoch| {
            states.push(epoch.state.to_vec());
            ControlFlow::Continue(())
        })
        .fit(&mut network, &examples)
        .unwrap();
    let best = history.best().unwrap().epoch as usize;
    assert!(best < 30, "the run has to get worse for this test");
    assert_eq!(network.state().as_slice(), states[best - 1]);
}

/// A batch norm without parameters, whose validation cost falls and rises again.
pub(super) fn statistics_alone() -> (Network<f64>, DMatrix<f64>, DMatrix<f64>) {
    let layer = AnyLayer::from(BatchNorm::new().affine(false));
    let network = Network::from_layers(1, vec![layer], &[]).unwrap();
    let wave = DMatrix::from_fn(1, 6, |_, k| (0.3 + 2.9 * k as f64).sin());
    (network, wave.map(|x| x + 3.0), wave.map(|x| x + 2.7))
}
