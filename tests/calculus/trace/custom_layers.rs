//! Traces of custom layers and activations: their numbers and their tables.

use super::{agrees, close, numbers};
use backprop::activation::{Softmax, Tanh};
use backprop::layer::{Backward, Block, Forward, LayerGradient, Plan, Site};
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{
    Activation, Builder, CategoricalCrossEntropy, Dense, Error, Examples, Initialization, Layer,
    Network, Objective, Scalar, rng, unroll,
};

/// aᵢ = γᵢ xᵢ: parameters, but no z.
#[derive(Clone, Debug)]
struct Scale;

impl<T: Scalar> Layer<T> for Scale {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Ok(Plan::new(site, site.input).block(Block::new("γ", site.input.len(), 1)))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        for (k, x) in pass.input.column_iter().enumerate() {
            for i in 0..x.len() {
                pass.output[(i, k)] = pass.at.theta[i] * x[i];
            }
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        if let LayerGradient::Sum(gradient) = pass.gradient {
            for (i, entry) in gradient.iter_mut().enumerate() {
                *entry = pass.delta.row(i).dot(&pass.input.row(i));
            }
        }
        if let Some(mut below) = pass.input_delta {
            below.copy_from(&pass.delta);
            for (i, mut row) in below.row_iter_mut().enumerate() {
                row *= pass.at.theta[i];
            }
        }
    }
}

/// g(z) = z + z³, a custom activation.
#[derive(Clone, Debug)]
struct Cubic;

impl<T: Scalar> Activation<T> for Cubic {
    fn forward(&self, z: DMatrixView<'_, T>, mut a: DMatrixViewMut<'_, T>) {
        a.zip_apply(&z, |a, z| *a = z + z * z * z);
    }

    fn backward(
        &self,
        z: DMatrixView<'_, T>,
        _a: DMatrixView<'_, T>,
        mut delta: DMatrixViewMut<'_, T>,
    ) {
        let three = T::one() + T::one() + T::one();
        delta.zip_apply(&z, |d, z| *d *= T::one() + three * z * z);
    }
}

type Boxed = Network<f64, Box<dyn Layer<f64>>>;

/// Four layers: a built-in one, one without z, one with a custom activation, and softmax.
#[test]
fn custom_layers_are_traced() {
    let (x, y) = (
        numbers(3, 6),
        DMatrix::from_fn(3, 6, |i, k| f64::from(i == k % 3)),
    );
    let weights = [1.0, 0.5, 2.0, 0.0, 1.5, 3.0];
    let examples = Examples::new(&x, &y).unwrap().weighted(&weights).unwrap();
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.7);
    let network: Boxed = Builder::new(3)
        .dense(4, Tanh)
        .layer(Box::new(Scale) as Box<dyn Layer<f64>>)
        .layer(Box::new(Dense::new(4, 5, Cubic)) as Box<dyn Layer<f64>>)
        .dense(3, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(4))
        .unwrap();
    let trace = agrees(&network, &examples, &objective);

    // z and δ exist for all layers except the one that keeps no z.
    let kept = [0, 1, 2, 3, 4].map(|l| (trace.z(l).is_some(), trace.delta(l).is_some()));
    let (yes, no) = ((true, true), (false, false));
    assert_eq!(kept, [yes, no, yes, yes, no]);
    let shapes = [0, 1, 2, 3, 4].map(|l| trace.activation(l).map(|a| a.shape()));
    let shape = |rows| Some((rows, 6));
    assert_eq!(shapes, [shape(4), shape(4), shape(5), shape(3), None]);
    let z = trace.z(2).unwrap();
    assert_eq!(trace.activation(2).unwrap(), z.map(|z| z + z * z * z));
    // δ = w (a − y) for targets that sum to 1. It is 0 for the example of weight 0.
    let mut delta = trace.activation(3).unwrap() - &y;
    for (mut column, w) in delta.column_iter_mut().zip(weights) {
        column *= w;
    }
    assert!(close(trace.delta(3).unwrap(), delta.as_view(), 1e-15));
    assert_eq!(trace.delta(2).unwrap().column(3).amax(), 0.0);

    let sums = [0, 1, 2, 3].map(|l| trace.layer_sum(l).unwrap().clone_owned());
    assert_eq!(trace.sums(), &unroll(&sums));
    assert_eq!(sums[1].shape(), (4, 1));
    assert_eq!(trace.layout(), network.layout());
    for (layer, block, what, index, count) in [(4, 0, "layer", 4, 4), (1, 1, "block", 1, 1)] {
        let refused = trace.block_sum(layer, block);
        assert_eq!(refused, Err(Error::Index { what, index, count }));
    }

    // The tables give no formulas for custom layers.
    let text = trace.to_string();
    for heading in [
        "z⁽²⁾ = Θ⁽¹⁾ [1; a⁽¹⁾] (4 × 6)",
        "a⁽²⁾ = g(z⁽²⁾), g = Tanh (4 × 6)",
        "γ⁽²⁾ (4 × 1)",
        "a⁽³⁾ = Scale(a⁽²⁾) (4 × 6)",
        "z⁽⁴⁾ of Dense Cubic (5 × 6)",
        "a⁽⁴⁾ = g(z⁽⁴⁾) (5 × 6)",
        "w (1 × 6)",
        "J = (1/Σw) Σ w cost + Ω/Σw = ",
        "Σw = 8",
        "δ⁽⁵⁾ = w ∂cost/∂z⁽⁵⁾ (3 × 6)",
        "δ⁽⁴⁾ = w ∂cost/∂z⁽⁴⁾ (5 × 6)",
        "Δ of Θ⁽³⁾ = Σ w ∂cost/∂Θ⁽³⁾ (5 × 5)",
        "Δ of γ⁽²⁾ = Σ w ∂cost/∂γ⁽²⁾ (4 × 1)",
        "D of γ⁽²⁾ = (Δ of γ⁽²⁾ + λγ⁽²⁾)/Σw, λ = 0.7 (4 × 1)",
        "δ⁽²⁾ = w ∂cost/∂z⁽²⁾ (4 × 6)",
        "D⁽¹⁾ = (Δ⁽¹⁾ + λΘ⁽¹⁾)/Σw, λ = 0.7, not in column 0 (4 × 4)",
    ] {
        assert!(text.contains(heading), "{heading}\n{text}");
    }
    assert!(!text.contains("z⁽³⁾") && !text.contains("δ⁽³⁾"), "{text}");
}
