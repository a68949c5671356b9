//! Tangents from dual numbers of layers with state, with fixed statistics, and with random numbers
//! that are drawn or given.

use crate::support::{wave, wave_matrix};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{
    AnyLayer, Backward, BackwardTangent, BatchNorm, Dense, Dropout, Forward, ForwardTangent,
    GaussianNoise, Layer, Plan, Residual, Sequential, Site,
};
use backprop::nalgebra::DMatrix;
use backprop::{
    Error, Examples, Network, Objective, Path, Scalar, SquaredError, Tangent, Workspace, dual,
};
use num_dual::{Dual32, Dual64};

/// A layer whose tangents come from its plain passes on dual numbers.
#[derive(Clone, Debug, PartialEq)]
struct ByDual(AnyLayer);

impl<T: Scalar> Layer<T> for ByDual
where
    AnyLayer: Layer<T> + Layer<Dual64> + Layer<Dual32>,
{
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Layer::<T>::plan(&self.0, site)
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.0.backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.0.backward_each(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        dual::layer_forward_tangent(&self.0, pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        dual::layer_backward_tangent(&self.0, pass)
    }
}

/// Norm and chance, one of them deep inside another layer.
fn layers() -> Vec<AnyLayer> {
    let inner = Sequential::new(vec![
        AnyLayer::from(GaussianNoise::new(0.4)),
        BatchNorm::new().eps(0.1).into(),
        Dropout::new(0.5).into(),
    ]);
    vec![
        Dense::new(3, 3, Tanh).into(),
        Dropout::new(0.4).into(),
        BatchNorm::new().eps(0.1).into(),
        Residual::new(inner).into(),
        Dense::new(3, 2, Identity).into(),
    ]
}

/// ȧ, H v and the new state, which is empty outside training.
fn numbers<L: Layer<f64> + Clone>(
    network: &Network<f64, L>,
    workspace: &mut Workspace<f64>,
) -> [Vec<f64>; 3] {
    let (x, y) = (wave_matrix(3, 4, 0.2), wave_matrix(2, 4, 1.1));
    let (x_dot, v) = (wave_matrix(3, 4, 2.5), wave(network.parameters(), 0.6));
    let examples = Examples::new(&x, &y).unwrap();
    let (mut a_dot, mut product) = (vec![0.0; 8], vec![0.0; v.len()]);
    let along = Tangent::of_parameters(&v).and_inputs(&x_dot);
    network.jvp_into(&x, along, workspace, &mut a_dot).unwrap();
    let objective = Objective::new(SquaredError);
    network
        .hessian_product_into(&examples, &objective, &v, workspace, &mut product)
        .unwrap();
    let mut after = network.clone();
    let state = match after.take_state(workspace) {
        Ok(()) => after.state().as_slice().to_vec(),
        Err(error) => {
            assert_eq!(error, Error::NoState);
            Vec::new()
        }
    };
    [a_dot, product, state]
}

#[test]
fn state_and_given_numbers_are_constants_of_dual_numbers() {
    let theta: Vec<f64> = (0..36)
        .map(|i| 0.8 * (0.5 + 2.3 * f64::from(i)).sin())
        .collect();
    let theta = |p: usize| &theta[..p];
    let p = 12 + 6 + 6 + 8;
    let mut plain = Network::<f64>::from_layers(3, layers(), theta(p)).unwrap();
    // A dense layer in front of others keeps another number of scalars on dual numbers.
    let wrapped = layers().into_iter().map(|layer| match layer {
        AnyLayer::Dense(dense) => AnyLayer::Dense(dense),
        other => AnyLayer::Custom(ByDual(other)),
    });
    let wrapped = wrapped.collect();
    let mut by_dual = Network::<f64, AnyLayer<ByDual>>::from_layers(3, wrapped, theta(p)).unwrap();
    let state = [0.1, -0.2, 0.3, 0.5, 1.5, 0.7, -0.4, 0.2, 0.6, 1.2, 0.4, 0.9];
    plain.set_state(&state).unwrap();
    by_dual.set_state(&state).unwrap();
    let paths: [Path; 3] = [Path::default(), 2.into(), [3, 0, 1].into()];
    for (training, gives, fixed) in [
        (None, false, None),
        (Some(3), false, None),
        (Some(3), true, None),
        (Some(4), false, Some(&paths[0])),
        (Some(4), true, Some(&paths[1])),
        (Some(4), false, Some(&paths[2])),
    ] {
        let mut workspace = Workspace::new();
        workspace.set_training(training);
        if gives {
            let mask = DMatrix::from_fn(3, 4, |i, k| f64::from(u8::from((i + k) % 3 > 0)));
            let noise = DMatrix::from_fn(3, 4, |i, k| (i as f64 - k as f64).cos());
            workspace.set_random_numbers(1, &mask).unwrap();
            workspace.set_random_numbers([3, 0, 0], &noise).unwrap();
            workspace.set_random_numbers([3, 0, 2], &mask).unwrap();
        }
        if let Some(path) = fixed {
            plain.fix_statistics(path).unwrap();
            by_dual.fix_statistics(path).unwrap();
        }
        let expected = numbers(&plain, &mut workspace);
        let found = numbers(&by_dual, &mut workspace);
        assert_eq!(found[2].is_empty(), training.is_none());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), expected.len());
            let size = expected.iter().fold(1.0_f64, |size, e| size.max(e.abs()));
            for (f, e) in found.iter().zip(expected) {
                assert!(
                    (f - e).abs() <= 1e-13 * size,
                    "{training:?}, given: {gives}, fixed: {fixed:?}: {found:?} is not {expected:?}"
                );
            }
        }
        plain.unfix_statistics(Path::default()).unwrap();
        by_dual.unfix_statistics(Path::default()).unwrap();
    }
}
