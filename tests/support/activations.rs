//! The built-in activations with their known values: the list that tests iterate over.

use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu,
    Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};

/// λα of SELU.
pub(crate) const SELU_FLOOR: f64 = 1.758_099_340_847_376_8;
/// λ of SELU.
pub(crate) const SELU_SLOPE: f64 = 1.050_700_987_355_480_5;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Smooth,
    /// A derivative of some order jumps somewhere.
    Piecewise,
}
use Shape::{Piecewise, Smooth};

/// An elementwise activation, its shape, and (g, g′) at −800, 0 and 800.
pub(crate) type KnownValues = (AnyActivation, Shape, [(f64, f64); 3]);

/// All activations except softmax.
#[rustfmt::skip]
pub(crate) fn known_values() -> Vec<KnownValues> {
    let (inf, ln_2) = (f64::INFINITY, std::f64::consts::LN_2);
    let (sin, cos) = 800.0_f64.sin_cos();
    let soft = (800.0 / 801.0, 1.0 / (801.0 * 801.0));
    vec![
        (Identity, Smooth, [(-800.0, 1.0), (0.0, 1.0), (800.0, 1.0)]),
        (Sigmoid, Smooth, [(0.0, 0.0), (0.5, 0.25), (1.0, 0.0)]),
        (Tanh, Smooth, [(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]),
        (Relu, Piecewise, [(0.0, 0.0), (0.0, 0.0), (800.0, 1.0)]),
        (LeakyRelu { slope: 0.01 }, Piecewise, [(-8.0, 0.01), (0.0, 0.01), (800.0, 1.0)]),
        (Elu { alpha: 1.5 }, Piecewise, [(-1.5, 0.0), (0.0, 1.5), (800.0, 1.0)]),
        (
            Selu,
            Piecewise,
            [(-SELU_FLOOR, 0.0), (0.0, SELU_FLOOR), (800.0 * SELU_SLOPE, SELU_SLOPE)],
        ),
        (Softplus, Smooth, [(0.0, 0.0), (ln_2, 0.5), (800.0, 1.0)]),
        (Softsign, Piecewise, [(-soft.0, soft.1), (0.0, 1.0), soft]),
        (Gelu, Smooth, [(0.0, 0.0), (0.0, 0.5), (800.0, 1.0)]),
        (GeluTanh, Smooth, [(0.0, 0.0), (0.0, 0.5), (800.0, 1.0)]),
        (Silu, Smooth, [(0.0, 0.0), (0.0, 0.5), (800.0, 1.0)]),
        (Mish, Smooth, [(0.0, 0.0), (0.0, 0.6), (800.0, 1.0)]),
        (HardTanh, Piecewise, [(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]),
        (Sine, Smooth, [(-sin, cos), (0.0, 1.0), (sin, cos)]),
        (Exponential, Smooth, [(0.0, 0.0), (1.0, 1.0), (inf, inf)]),
    ]
}

/// All activations, softmax last.
pub(crate) fn activations() -> Vec<AnyActivation> {
    let elementwise = known_values().into_iter().map(|(g, ..)| g);
    elementwise.chain([Softmax]).collect()
}

/// The activations for hidden layers: all except the exponential, which overflows in deep networks.
pub(crate) fn hidden_activations() -> Vec<AnyActivation> {
    let all = activations().into_iter();
    all.filter(|&g| g != Exponential).collect()
}
