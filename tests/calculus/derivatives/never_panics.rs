//! Layers without parameters, and layers that break their promises, give results or typed errors,
//! never a panic.

use super::{close, wave};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{Backward, Dense, Forward, Layer, Plan, Site};
use backprop::nalgebra::DMatrix;
use backprop::training::{LevenbergMarquardt, Stop, Trainer};
use backprop::{
    Error, Examples, GaussNewton, Location, Network, Objective, SquaredError, VjpTargets, Workspace,
};

/// a = x, without parameters.
#[derive(Debug)]
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
            let wanted = VjpTargets::of_parameters(&mut [][..]).and_inputs(&mut inputs[..]);
            network.vjp_into(&x, &x, w, wanted).unwrap();
            assert_eq!(inputs, x.as_slice());
            let wanted = VjpTargets::of_parameters(&mut [][..]).and_inputs(&mut inputs[..]);
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
        let nothing = network.vjp_into(&x, &u, &mut workspace, VjpTargets::default());
        assert_eq!(nothing, Ok(()));
        assert!(workspace.output().is_none());
        // The arguments are still checked.
        let nothing = network.vjp_into(&x, &x, &mut workspace, VjpTargets::default());
        assert!(matches!(nothing, Err(Error::Shape { .. })));
        let odd = DMatrix::repeat(2, m, f64::NAN);
        let nothing = network.vjp_into(&odd, &u, &mut workspace, VjpTargets::default());
        assert!(matches!(
            nothing,
            Err(Error::NonFinite {
                at: Location::Input { what: "X", .. },
                ..
            })
        ));
        let (examples, objective) = (Examples::new(&x, &u).unwrap(), Objective::new(SquaredError));
        let parts =
            network.gradients_into(&examples, &objective, &mut workspace, VjpTargets::default());
        assert_eq!(
            parts,
            network.cost_into(&examples, &objective, &mut workspace)
        );
        // Without parameters their gradient is empty.
        let through = Network::from_layers(2, vec![Through], &[]).unwrap();
        let wanted = VjpTargets::of_parameters(&mut [][..]);
        let nothing = through.vjp_into(&x, &x, &mut workspace, wanted);
        assert_eq!(nothing, Ok(()));
    }
}

/// A dense layer that delegates only its plan and the required passes.
#[derive(Debug)]
struct Shell(Dense);

impl Layer<f64> for Shell {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Layer::<f64>::plan(&self.0, site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, f64>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.0.backward(pass);
    }
}

/// Without the methods of `Dense`, such a wrapper has the defaults: gradients of single examples
/// from passes over one example, and no tangents.
#[test]
fn a_wrapper_of_dense_that_delegates_less_has_the_defaults() {
    let theta = &[0.1, 0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9];
    let dense = || [Dense::new(2, 2, Tanh), Dense::new(2, 1, Identity)];
    let shells = dense().map(Shell).into();
    let network = Network::<f64, Shell>::from_layers(2, shells, theta).unwrap();
    let plain = Network::<f64, Dense>::from_layers(2, dense().into(), theta).unwrap();
    for m in [5, 600] {
        let (x, y) = (
            DMatrix::from_vec(2, m, wave(2 * m, 0.1)),
            DMatrix::zeros(1, m),
        );
        let examples = Examples::new(&x, &y).unwrap();
        let objective = Objective::new(SquaredError);
        let [found, expected] = [
            network.backprop(&examples, &objective),
            plain.backprop(&examples, &objective),
        ]
        .map(Result::unwrap);
        assert_eq!(found.cost_parts(), expected.cost_parts());
        assert_eq!(found.gradient().vector(), expected.gradient().vector());
        let [norms, expected] = [
            network.example_gradients(&examples, &SquaredError).norms(),
            plain.example_gradients(&examples, &SquaredError).norms(),
        ]
        .map(Result::unwrap);
        close(norms.as_slice(), expected.as_slice(), 0.1).unwrap();
        let [gradients, expected] = [
            network.example_gradients(&examples, &SquaredError).matrix(),
            plain.example_gradients(&examples, &SquaredError).matrix(),
        ]
        .map(Result::unwrap);
        close(gradients.as_slice(), expected.as_slice(), 0.1).unwrap();
        let w = &mut Workspace::new();
        let most = norms.mean();
        let (mut sum, mut expected) = ([f64::NAN; 9], [f64::NAN; 9]);
        let count = network
            .example_gradients(&examples, &SquaredError)
            .clipped_sum(most, w, &mut sum);
        let of_plain = plain
            .example_gradients(&examples, &SquaredError)
            .clipped_sum(most, w, &mut expected);
        assert_eq!(count, of_plain);
        assert!(count.is_ok_and(|count| count > 0 && count < m));
        close(&sum, &expected, m as f64).unwrap();
        let product = network.hessian_product(&examples, &objective, theta);
        let what = "Layer::forward_tangent";
        assert!(
            matches!(product, Err(Error::Unsupported { what: found, .. }) if found == what),
            "{product:?}"
        );
    }
}

/// A dense layer that hands on a plan that promises more than it delegates.
#[derive(Debug)]
struct Boaster(Dense);

impl Layer<f64> for Boaster {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Layer::<f64>::plan(&self.0, site)
    }

    fn forward(&self, pass: Forward<'_, f64>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, f64>) {
        self.0.backward(pass);
    }
}

#[test]
fn a_wrapper_that_claims_to_be_dense_gets_results_or_is_refused() {
    let (layers, theta) = (vec![Boaster(Dense::new(2, 1, Identity))], [0.1, 0.2, 0.3]);
    let network = Network::from_layers(2, layers, &theta).unwrap();
    let plain = Network::<f64>::builder(2).dense(1, Identity);
    let plain = plain.with_theta(&theta).unwrap();
    for m in [5, 600] {
        let (x, y) = (
            DMatrix::from_vec(2, m, wave(2 * m, 0.1)),
            DMatrix::zeros(1, m),
        );
        let examples = Examples::new(&x, &y).unwrap();
        let cost = SquaredError;
        match network.example_gradients(&examples, &cost).norms() {
            Ok(norms) => {
                let expected = plain.example_gradients(&examples, &cost).norms().unwrap();
                close(norms.as_slice(), expected.as_slice(), 0.1).unwrap();
            }
            Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error:?}"),
        }
        match network.example_gradients(&examples, &cost).matrix() {
            Ok(gradients) => {
                let expected = plain.example_gradients(&examples, &cost).matrix().unwrap();
                close(gradients.as_slice(), expected.as_slice(), 0.1).unwrap();
            }
            Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error:?}"),
        }
        let w = &mut Workspace::new();
        let (mut sum, mut expected) = ([f64::NAN; 3], [f64::NAN; 3]);
        match network
            .example_gradients(&examples, &cost)
            .clipped_sum(1.0, w, &mut sum)
        {
            Ok(count) => {
                let of_plain =
                    plain
                        .example_gradients(&examples, &cost)
                        .clipped_sum(1.0, w, &mut expected);
                assert_eq!(Ok(count), of_plain);
                close(&sum, &expected, m as f64).unwrap();
            }
            Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error:?}"),
        }
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
    let sum = network
        .example_gradients(&examples, &SquaredError)
        .clipped_sum(1e-30, w, &mut [0.0; 2]);
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
