//! Layers without parameters, and layers that break their promises, give results or typed errors,
//! never a panic.

use super::wave;
use backprop::activation::{Identity, Tanh};
use backprop::layer::{Backward, Block, Dense, Forward, Layer};
use backprop::nalgebra::DMatrix;
use backprop::training::{LevenbergMarquardt, Stop, Trainer};
use backprop::{
    Error, Examples, GaussNewton, GradientBuffers, Location, Network, Objective, SquaredError,
    Workspace,
};

/// a = x, without parameters.
#[derive(Debug)]
struct Through;

impl Layer<f64> for Through {
    fn inputs(&self) -> usize {
        2
    }

    fn outputs(&self) -> usize {
        2
    }

    fn blocks(&self) -> Vec<Block> {
        Vec::new()
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

/// Every call works on a network without parameters, in buffers used by another network.
#[test]
fn calls_without_parameters() {
    let at = GaussNewton::Outputs;
    for m in [5, 600] {
        let (x, y) = (
            DMatrix::from_vec(2, m, wave(2 * m, 0.1)),
            DMatrix::zeros(2, m),
        );
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError).l2(0.5);
        let other = Network::<f64>::builder(2)
            .dense(2, Identity)
            .zeros()
            .unwrap();
        let w = &mut Workspace::new();
        let mut network = Network::from_layers(2, vec![Through], &[]).unwrap();
        let mut inputs = vec![0.0; 2 * m];
        for round in 0..2 {
            other
                .gradient_into(&examples, &objective, w, &mut [0.0; 6])
                .unwrap();
            let j = network
                .gradient_into(&examples, &objective, w, &mut [])
                .unwrap();
            let expected = 0.5 * x.norm_squared() / m as f64;
            assert!((j.total() - expected).abs() < 1e-14, "round {round}");
            other
                .gradient_into(&examples, &objective, w, &mut [0.0; 6])
                .unwrap();
            let wanted = GradientBuffers::of_parameters(&mut [][..]).and_inputs(&mut inputs[..]);
            network.vjp_into(&x, &x, w, wanted).unwrap();
            assert_eq!(inputs, x.as_slice());
            let wanted = GradientBuffers::of_parameters(&mut [][..]).and_inputs(&mut inputs[..]);
            network
                .gradients_into(&examples, &objective, w, wanted)
                .unwrap();
            assert!((inputs[0] - x[0] / m as f64).abs() < 1e-15);
            other
                .gradient_into(&examples, &objective, w, &mut [0.0; 6])
                .unwrap();
            let product = network.hessian_product_into(&examples, &objective, &[], w, &mut []);
            assert!(matches!(product, Ok(()) | Err(Error::Unsupported { .. })));
            let product = network.gram_product_into(&x, &[], w, &mut []);
            assert!(matches!(product, Ok(()) | Err(Error::Unsupported { .. })));
        }
        let matrix = network
            .gauss_newton_matrix(&examples, &objective, at)
            .unwrap();
        assert_eq!(matrix.shape(), (0, 0));
        let mut trainer = Trainer::new(objective, LevenbergMarquardt::new());
        let history = trainer.fit(&mut network, &examples).unwrap();
        assert_eq!(history.records().len(), 1);
        assert_eq!(history.stop(), Some(Stop::Converged));
    }
}

/// Each result is optional, and all of them may be left out together.
#[test]
fn a_call_that_wants_nothing_computes_nothing() {
    let network = Network::<f64>::builder(2).dense(3, Tanh).dense(1, Identity);
    let network = network.zeros().unwrap();
    for m in [1, 600] {
        let (x, u) = (DMatrix::repeat(2, m, 0.5), DMatrix::repeat(1, m, 1.0));
        let mut workspace = Workspace::new();
        let nothing = network.vjp_into(&x, &u, &mut workspace, GradientBuffers::default());
        assert_eq!(nothing, Ok(()));
        assert!(workspace.output().is_none());
        // The arguments are still checked.
        let nothing = network.vjp_into(&x, &x, &mut workspace, GradientBuffers::default());
        assert!(matches!(nothing, Err(Error::Shape { .. })));
        let odd = DMatrix::repeat(2, m, f64::NAN);
        let nothing = network.vjp_into(&odd, &u, &mut workspace, GradientBuffers::default());
        assert!(matches!(
            nothing,
            Err(Error::NonFinite {
                at: Location::Input { what: "X", .. },
                ..
            })
        ));
        let (examples, objective) = (Examples::new(&x, &u).unwrap(), Objective::new(SquaredError));
        let parts = network.gradients_into(
            &examples,
            &objective,
            &mut workspace,
            GradientBuffers::default(),
        );
        assert_eq!(
            parts,
            network.cost_into(&examples, &objective, &mut workspace)
        );
        // Without parameters their gradient is empty.
        let through = Network::from_layers(2, vec![Through], &[]).unwrap();
        let wanted = GradientBuffers::of_parameters(&mut [][..]);
        let nothing = through.vjp_into(&x, &x, &mut workspace, wanted);
        assert_eq!(nothing, Ok(()));
    }
}

/// A dense layer that delegates everything except the per-example gradients.
#[derive(Debug)]
struct Shell(Dense);

impl Layer<f64> for Shell {
    fn inputs(&self) -> usize {
        Layer::<f64>::inputs(&self.0)
    }

    fn outputs(&self) -> usize {
        Layer::<f64>::outputs(&self.0)
    }

    fn blocks(&self) -> Vec<Block> {
        Layer::<f64>::blocks(&self.0)
    }

    fn cache_len(&self, examples: usize) -> usize {
        Layer::<f64>::cache_len(&self.0, examples)
    }

    fn as_dense(&self) -> Option<Dense> {
        Layer::<f64>::as_dense(&self.0)
    }

    fn forward(&self, pass: Forward<'_, f64>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.0.backward(pass);
    }
}

#[test]
fn a_wrapper_that_claims_to_be_dense_is_refused() {
    let layers = vec![Shell(Dense::new(2, 1, Identity))];
    let network = Network::from_layers(2, layers, &[0.1, 0.2, 0.3]).unwrap();
    for m in [5, 600] {
        let (x, y) = (
            DMatrix::from_vec(2, m, wave(2 * m, 0.1)),
            DMatrix::zeros(1, m),
        );
        let examples = Examples::new(&x, &y).unwrap();
        let norms = network.example_gradient_norms(&examples, &SquaredError);
        assert!(matches!(norms, Err(Error::Unsupported { .. })), "{norms:?}");
        let gradients = network.example_gradients(&examples, &SquaredError);
        assert!(matches!(gradients, Err(Error::Unsupported { .. })));
        let w = &mut Workspace::new();
        let sum = network.clipped_sum(&examples, &SquaredError, 1.0, w, &mut [0.0; 3]);
        assert!(matches!(sum, Err(Error::Unsupported { .. })));
    }
}

/// Numbers whose squares overflow or vanish are refused, not ignored.
#[test]
fn ends_of_the_range() {
    let network = Network::<f32>::builder(1)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let (x, y) = (
        DMatrix::repeat(1, 1, 1.0_f32),
        DMatrix::repeat(1, 1, 1e-25_f32),
    );
    let examples = Examples::new(&x, &y).unwrap();
    let w = &mut Workspace::new();
    let sum = network.clipped_sum(&examples, &SquaredError, 1e-30, w, &mut [0.0; 2]);
    assert!(matches!(sum, Err(Error::Hyperparameter { .. })), "{sum:?}");
    // 1.2e154² is finite, but twice that overflows.
    let network = Network::<f64>::builder(2)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let (x, y) = (DMatrix::repeat(2, 1, 1.2e154), DMatrix::zeros(1, 1));
    let examples = Examples::new(&x, &y).unwrap();
    let hessian = network
        .hessian(&examples, &Objective::new(SquaredError))
        .unwrap();
    assert_eq!(hessian[(1, 2)], 1.2e154 * 1.2e154);
}
