//! PyTorch's norms over the axes of an example.

use super::values::{assert_close, number, numbers, value};
use backprop::layer::{AnyLayer, LayerNorm, RmsNorm};
use backprop::nalgebra::DMatrix;
use backprop::{Network, Shape};
use serde_json::Value;

#[track_caller]
fn assert_outputs(layer: impl Into<AnyLayer>, expected: &str) {
    let steps = Shape::Sequence {
        steps: 4,
        features: 3,
    };
    let x = DMatrix::from_column_slice(12, 2, &numbers(value("/problem/steps")));
    let network = Network::<f64>::builder(steps).layer(layer.into());
    let a = network.zeros().unwrap().forward(&x).unwrap();
    assert_close(a.as_slice(), &numbers(value(expected)));
}

/// The default eps is ours, 1e-5. `normalized_shape` of two axes is `axes(2)`.
#[test]
fn torch_layer_norm_is_ours() {
    assert_eq!(number("/torch/layer_norm/eps"), 1e-5);
    assert_outputs(LayerNorm::new(), "/torch/layer_norm/one_axis");
    assert_outputs(LayerNorm::new().axes(2), "/torch/layer_norm/two_axes");
}

/// The default `eps=None` is the machine epsilon of the type.
#[test]
fn torch_rms_norm_has_the_machine_epsilon() {
    assert_eq!(value("/torch/rms_norm/eps"), &Value::Null);
    let norm = RmsNorm::new().eps(f64::EPSILON);
    assert_outputs(norm, "/torch/rms_norm/one_axis");
    assert_outputs(norm.axes(2), "/torch/rms_norm/two_axes");
}
