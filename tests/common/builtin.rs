//! The one list of the built-in activations that tests run over.

use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu,
    Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};

/// All of them. Softmax alone is not elementwise; the last one overflows in a deep network.
pub(crate) const ACTIVATIONS: [AnyActivation; 17] = [
    Identity,
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu { slope: 0.01 },
    Elu { alpha: 1.5 },
    Selu,
    Softplus,
    Softsign,
    Gelu,
    GeluTanh,
    Silu,
    Mish,
    HardTanh,
    Sine,
    Softmax,
    Exponential,
];
