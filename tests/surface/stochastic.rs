//! What a stochastic layer is told: whether a pass serves training, its seed, and which example is which.

use super::data;
use backprop::activation::{Identity, Tanh};
use backprop::gradient_check::GradientCheck;
use backprop::layer::{AnyLayer, Backward, Block, Forward, Layer};
use backprop::nalgebra::DMatrixViewMut;
use backprop::{
    Builder, Examples, Initialization, Network, Objective, Scalar, SquaredError, Workspace, rng,
};

/// A layer without parameters that acts at random in training: at the same seed it is one function, which the passes see.
#[derive(Clone, Debug, PartialEq)]
struct Dropout {
    units: usize,
}

impl Dropout {
    /// Keeps about half, by a hash of seed, unit and example.
    fn keeps(seed: u64, unit: usize, example: usize) -> bool {
        let mixed =
            (seed ^ (unit as u64) << 32 ^ example as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40).count_ones().is_multiple_of(2)
    }

    fn mask<T: Scalar>(training: bool, seed: u64, first: usize, of: &mut DMatrixViewMut<'_, T>) {
        for k in 0..of.ncols() {
            for i in 0..of.nrows() {
                if training && !Self::keeps(seed, i, first + k) {
                    of[(i, k)] = T::zero();
                }
            }
        }
    }
}

impl<T: Scalar> Layer<T> for Dropout {
    fn inputs(&self) -> usize {
        self.units
    }

    fn outputs(&self) -> usize {
        self.units
    }

    fn blocks(&self) -> Vec<Block> {
        vec![]
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.copy_from(&pass.input);
        Self::mask(
            pass.training,
            pass.seed,
            pass.first_example,
            &mut pass.output,
        );
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
            Self::mask(pass.training, pass.seed, pass.first_example, &mut below);
        }
    }
}

#[test]
fn a_stochastic_layer_is_told_of_training() {
    let network: Network<f64, AnyLayer<Dropout>> = Builder::new(3)
        .dense(6, Tanh)
        .layer(AnyLayer::Custom(Dropout { units: 6 }))
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
    // With one seed it is one function: its gradient can be checked.
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
