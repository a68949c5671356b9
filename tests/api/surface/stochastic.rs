//! A stochastic layer receives its seed, the number of the first example, and whether the pass is
//! for training.

use super::data;
use backprop::activation::{Identity, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{AnyLayer, At, Backward, Forward, Layer, Plan, Site};
use backprop::nalgebra::{DMatrix, DMatrixViewMut};
use backprop::training::{GradientDescent, Trainer};
use backprop::{
    AnyCost, Builder, Error, Examples, Initialization, Network, Objective, Scalar, SquaredError,
    VjpTargets, Workspace, rng,
};
use std::sync::Mutex;

/// A layer without parameters that drops units at random in training. With a fixed seed it is a
/// deterministic function.
#[derive(Clone, Debug, PartialEq)]
struct Dropout;

impl Dropout {
    /// Keeps about half of the units, by a hash of seed, unit and example.
    fn keeps(seed: u64, unit: usize, example: usize) -> bool {
        let mixed =
            (seed ^ (unit as u64) << 32 ^ example as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40).count_ones().is_multiple_of(2)
    }

    fn mask<T: Scalar>(at: At<'_, T>, of: &mut DMatrixViewMut<'_, T>) {
        for k in 0..of.ncols() {
            for i in 0..of.nrows() {
                if at.training && !Self::keeps(at.seed, i, at.first_example + k) {
                    of[(i, k)] = T::zero();
                }
            }
        }
    }
}

impl<T: Scalar> Layer<T> for Dropout {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.copy_from(&pass.input);
        Self::mask(pass.at, &mut pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
            Self::mask(pass.at, &mut below);
        }
    }
}

#[test]
fn a_stochastic_layer_receives_the_mode_of_the_pass() {
    let network: Network<f64, AnyLayer<Dropout>> = Builder::new(3)
        .dense(6, Tanh)
        .layer(AnyLayer::Custom(Dropout))
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = Objective::new(SquaredError);
    let mut workspace = Workspace::new();
    let mut pass = |seed| {
        workspace.set_training(seed);
        let mut gradient = vec![f64::NAN; network.parameters()];
        let parts = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient);
        let kept = workspace
            .activation(1)
            .unwrap()
            .iter()
            .filter(|a| **a != 0.0)
            .count();
        (parts.unwrap().total(), gradient, kept)
    };
    let plain = pass(None);
    let plainly = network.backprop(&examples, &objective).unwrap();
    assert_eq!((plain.0, plain.2), (plainly.cost(), 36));
    assert_eq!(plain.1, plainly.gradient().vector().as_slice());
    let first = pass(Some(7));
    assert!((6..30).contains(&first.2), "{} of 36 kept", first.2);
    assert_eq!(pass(Some(7)), first);
    assert_ne!(pass(Some(8)), first);
    assert_eq!(pass(None), plain);
    // With a fixed seed it is a deterministic function, so its gradient can be checked.
    let blocks = [("θ", network.parameters())];
    let theta = network.theta().as_slice();
    let at = |theta: &[f64]| {
        let mut moved = network.clone();
        moved.set_theta(theta).unwrap();
        let (mut workspace, mut gradient) = (Workspace::new(), vec![0.0; theta.len()]);
        workspace.set_training(Some(7));
        let parts = moved.gradient_into(&examples, &objective, &mut workspace, &mut gradient);
        (parts.unwrap().total(), gradient)
    };
    GradientCheck::new()
        .function(&blocks, theta, at)
        .unwrap()
        .assert_passed();
}

/// Passes its input on, and records the seeds that it receives.
#[derive(Debug, Default)]
struct Seeds {
    forward: Mutex<Vec<u64>>,
    backward: Mutex<Vec<u64>>,
}

impl Layer<f64> for Seeds {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input))
    }

    fn forward(&self, mut pass: Forward<'_, f64>) {
        self.forward.lock().unwrap().push(pass.at.seed);
        pass.output.copy_from(&pass.input);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.backward.lock().unwrap().push(pass.at.seed);
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
        }
    }
}

/// Layers with the same mask would drop the same units, so each layer has its own seed, the same in
/// the forward and the backward pass.
#[test]
fn every_layer_has_its_own_seed() {
    let layers = vec![Seeds::default(), Seeds::default(), Seeds::default()];
    let network = Network::from_layers(1, layers, &[]).unwrap();
    let x = DMatrix::repeat(1, 1, 0.5);
    let examples = Examples::new(&x, &x).unwrap();
    let mut workspace = Workspace::new();
    for seed in [0, 1, u64::MAX] {
        workspace.set_training(Some(seed));
        let objective = Objective::new(SquaredError);
        // Without parameters, only the gradient with respect to X reaches the lower layers.
        let mut of_x = [f64::NAN];
        let wanted = VjpTargets::of_parameters(&mut []).and_inputs(&mut of_x);
        let parts = network.gradients_into(&examples, &objective, &mut workspace, wanted);
        assert_eq!((parts.unwrap().total(), of_x), (0.0, [0.0]));
    }
    let mut all = vec![];
    for layer in network.layers() {
        let forward = layer.forward.lock().unwrap().clone();
        assert_eq!(forward, *layer.backward.lock().unwrap());
        all.extend(forward);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 9, "three layers, three seeds: {all:?}");
}

#[test]
fn stochastic_layers_act_only_in_training_steps() {
    let start: Network<f64, AnyLayer<Dropout>> = Builder::new(3)
        .dense(6, Tanh)
        .layer(AnyLayer::Custom(Dropout))
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let (x, y) = data();
    let examples = Examples::new(&x, &y).unwrap();
    let objective = || Objective::new(AnyCost::SquaredError);
    let train = |seed| {
        let mut network = start.clone();
        let history = Trainer::new(objective(), GradientDescent::new(0.1))
            .epochs(3)
            .seed(seed)
            .fit(&mut network, &examples)
            .unwrap();
        // J is that of the function without dropping.
        let j = network.cost(&examples, &objective()).unwrap();
        assert_eq!(history.records()[2].cost, j);
        network
    };
    let first = train(1);
    assert_eq!(train(1), first);
    assert_ne!(train(2), first);
}
