//! Layers with tangents that depend on the batch: on the number of an example, or on all examples.

use super::{close, dot, wave, wave_matrix};
use backprop::activation::{Identity, Tanh};
use backprop::layer::{
    AnyLayer, Backward, BackwardTangent, Couples, Forward, ForwardTangent, Layer, Plan, Site,
};
use backprop::nalgebra::{DMatrix, DMatrixViewMut, convert};
use backprop::{
    Builder, Error, Examples, Initialization, Network, Objective, Scalar, SquaredError, Tangent,
    VjpTargets, Workspace, rng,
};
use num_dual::Dual64;

/// A linear map of a batch that equals its transpose.
#[derive(Clone, Debug, PartialEq)]
enum Symmetric {
    /// Subtracts the mean over the batch.
    Centred,
    /// In training, drops about half of the units, chosen by the seed and the number of the
    /// example.
    Masked,
}

const UNITS: usize = 5;

impl Symmetric {
    fn apply<T: Scalar>(
        &self,
        (training, seed, first): (bool, u64, usize),
        to: &mut DMatrixViewMut<'_, T>,
    ) {
        let m: T = convert(to.ncols() as f64);
        for (i, mut row) in to.row_iter_mut().enumerate() {
            let mean = row.iter().fold(T::zero(), |sum, &x| sum + x) / m;
            for (k, x) in row.iter_mut().enumerate() {
                let key = seed ^ ((i as u64) << 32) ^ (first + k) as u64;
                let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                match self {
                    Self::Centred => *x -= mean,
                    Self::Masked if training && hash.count_ones() % 2 == 1 => *x = T::zero(),
                    Self::Masked => {}
                }
            }
        }
    }
}

impl<T: Scalar> Layer<T> for Symmetric {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let plan = Plan::new(site, site.input);
        Ok(match self {
            Self::Centred => plan.couples(Couples::Always),
            Self::Masked => plan,
        })
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        pass.output.copy_from(&pass.input);
        let mode = (pass.at.training, pass.at.seed, pass.at.first_example);
        self.apply(mode, &mut pass.output);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
            let mode = (pass.at.training, pass.at.seed, pass.at.first_example);
            self.apply(mode, &mut below);
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        match pass.input_tangent {
            Some(tangent) => pass.output_tangent.copy_from(&tangent),
            None => pass.output_tangent.fill(T::zero()),
        }
        let mode = (pass.at.training, pass.at.seed, pass.at.first_example);
        self.apply(mode, &mut pass.output_tangent);
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let pass = along.pass;
        let mode = (pass.at.training, pass.at.seed, pass.at.first_example);
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
            self.apply(mode, &mut below);
        }
        if let Some(mut below) = along.input_delta_tangent {
            below.copy_from(&along.delta_tangent);
            self.apply(mode, &mut below);
        }
        Ok(())
    }
}

fn network(layer: Symmetric) -> Network<f64, AnyLayer<Symmetric>> {
    Builder::new(3)
        .dense(UNITS, Tanh)
        .layer(AnyLayer::Custom(layer))
        .dense(4, Tanh)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(7))
        .unwrap()
}

/// Returns H v and the product with the Jacobian at a seed.
fn found(
    network: &Network<f64, AnyLayer<Symmetric>>,
    (x, y, v): (&DMatrix<f64>, &DMatrix<f64>, &[f64]),
    seed: Option<u64>,
) -> (Vec<f64>, Vec<f64>) {
    let examples = Examples::new(x, y).unwrap();
    let mut workspace = Workspace::new();
    workspace.set_training(seed);
    let (mut product, mut tangent) = (vec![f64::NAN; v.len()], vec![f64::NAN; y.len()]);
    let objective = Objective::new(SquaredError);
    network
        .hessian_product_into(&examples, &objective, v, &mut workspace, &mut product)
        .unwrap();
    let direction = Tangent::of_parameters(v);
    network
        .jvp_into(x, direction, &mut workspace, &mut tangent)
        .unwrap();
    let mut of_theta = vec![f64::NAN; v.len()];
    let wanted = VjpTargets::of_parameters(&mut of_theta[..]);
    network.vjp_into(x, y, &mut workspace, wanted).unwrap();
    let size = y.len() as f64;
    close(&[dot(&of_theta, v)], &[dot(&tangent, y.as_slice())], size).unwrap();
    (product, tangent)
}

#[test]
fn tangents_receive_the_context_of_the_pass() {
    for m in [1, 7, 600, 1301] {
        let (x, y) = (wave_matrix(3, m, 0.2), wave_matrix(2, m, 0.7));
        for (layer, seed) in [
            (Symmetric::Centred, None),
            (Symmetric::Masked, None),
            (Symmetric::Masked, Some(1)),
            (Symmetric::Masked, Some(2)),
        ] {
            let network = network(layer);
            let v = wave(network.parameters(), 0.4);
            let (product, tangent) = found(&network, (&x, &y, &v), seed);

            let mut index = 0..;
            let lifted = network.map(|w| Dual64::new(w, v[index.next().unwrap()]));
            let (lifted, x, y) = (
                lifted.unwrap(),
                x.map(Dual64::from_re),
                y.map(Dual64::from_re),
            );
            let examples = Examples::new(&x, &y).unwrap();
            let mut workspace = Workspace::new();
            workspace.set_training(seed);
            let mut gradient = vec![Dual64::from_re(f64::NAN); v.len()];
            let objective = Objective::new(SquaredError);
            lifted
                .gradient_into(&examples, &objective, &mut workspace, &mut gradient)
                .unwrap();
            let expected: Vec<f64> = gradient.iter().map(|g| g.eps).collect();
            close(&product, &expected, 0.1).unwrap();
            let outputs = workspace.output().unwrap();
            let expected: Vec<f64> = outputs.iter().map(|a| a.eps).collect();
            close(&tangent, &expected, 0.1).unwrap();
        }
    }
}

/// Each seed gives a different function; no seed is a function without dropping.
#[test]
fn seeds_matter() {
    let network = network(Symmetric::Masked);
    let (x, y) = (wave_matrix(3, 7, 0.2), wave_matrix(2, 7, 0.7));
    let v = wave(network.parameters(), 0.4);
    let all = [None, Some(0), Some(1)].map(|seed| found(&network, (&x, &y, &v), seed));
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    assert_eq!(found(&network, (&x, &y, &v), Some(1)), all[2]);
}
