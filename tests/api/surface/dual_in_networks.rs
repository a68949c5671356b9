//! A layer with tangent methods from dual numbers gives a network the same products as one with
//! methods that are written out.

use super::dual::wave;
use crate::support::custom_types::LowRank;
use backprop::activation::{AnyActivation, Sigmoid, Tanh};
use backprop::layer::{
    AnyLayer, Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site,
};
use backprop::{
    BinaryCrossEntropy, Builder, Error, Examples, GaussNewton, Initialization, Network, Objective,
    Scalar, SquaredError, dual, rng,
};

/// Another layer, with tangent methods from dual numbers.
#[derive(Clone, Debug, PartialEq)]
struct ByDual(LowRank<AnyActivation>);

impl ByDual {
    fn as_layer<T: Scalar>(&self) -> &dyn Layer<T> {
        &self.0
    }
}

impl<T: Scalar> Layer<T> for ByDual {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(self.as_layer::<T>().plan(site)?.default_each())
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.as_layer().forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.as_layer().backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        dual::layer_forward_tangent(self, pass)
    }

    fn backward_tangent(&self, pass: BackwardTangent<'_, T>) -> Result<(), Error> {
        dual::layer_backward_tangent(self, pass)
    }
}

/// A 4-3-2 network of two layers of low rank.
fn network<L: Layer<f64>>(
    layer: fn(LowRank<AnyActivation>) -> L,
) -> Result<Network<f64, AnyLayer<L>>, Error> {
    let low_rank = |inputs, outputs, activation| {
        AnyLayer::Custom(layer(LowRank {
            inputs,
            rank: 2,
            outputs,
            activation,
        }))
    };
    Builder::new(4)
        .layer(low_rank(4, 3, Tanh))
        .layer(low_rank(3, 2, Sigmoid))
        .initialize(Initialization::GlorotUniform, &mut rng(3))
}

/// With a canonical cost, and with one whose curvature at z includes the last layer.
#[test]
fn products_equal_those_computed_from_tangents() -> Result<(), Error> {
    let (written, by_dual) = (network(|layer| layer)?, network(ByDual)?);
    assert_eq!(written.theta(), by_dual.theta());
    let (x, y) = (wave(4, 5, 0.2), wave(2, 5, 0.9).map(f64::abs));
    let examples = Examples::new(&x, &y)?;
    let v = wave(written.parameters(), 1, 0.4);
    let v = v.as_slice();
    for objective in [
        Objective::new(BinaryCrossEntropy),
        Objective::new(SquaredError),
    ] {
        let objective = objective.l2(0.1);
        let mut found = vec![by_dual.hessian_product(&examples, &objective, v)?];
        let mut expected = vec![written.hessian_product(&examples, &objective, v)?];
        for at in [
            GaussNewton::Logits,
            GaussNewton::Outputs,
            GaussNewton::Fisher,
        ] {
            found.push(by_dual.gauss_newton_product(&examples, &objective, at, v)?);
            expected.push(written.gauss_newton_product(&examples, &objective, at, v)?);
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let difference = (found - expected).amax();
            assert!(
                difference <= 1e-14 * expected.amax(),
                "product {i}: {found}{expected}"
            );
        }
    }
    Ok(())
}
