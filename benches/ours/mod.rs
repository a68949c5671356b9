//! The networks of the rows.

use crate::common::{Data, Head, Row};
use backprop::activation::{
    Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu, Selu, Sigmoid,
    Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{
    AnyActivation, AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Error, Network, Scalar,
    SquaredError,
};

/// Returns the network of a row, and its cost.
pub fn network<T: Scalar>(row: &Row, data: &Data) -> Result<(Network<T>, AnyCost), Error> {
    let (output, cost) = match row.head {
        Head::Bce => (Sigmoid, BinaryCrossEntropy),
        Head::Softmax => (Softmax, CategoricalCrossEntropy),
        Head::HalfMse => (Identity, SquaredError),
    };
    let mut builder = Network::<T>::builder(row.inputs());
    for (l, (_, outputs)) in row.layers().enumerate() {
        let last = l + 2 == row.sizes.len();
        builder = builder.dense(
            outputs,
            if last {
                output
            } else {
                activation(&row.hidden)
            },
        );
    }
    let mut network = builder.zeros()?;
    for (l, ((inputs, outputs), weights)) in row.layers().zip(&data.weights).enumerate() {
        let weights = weights.iter().map(|&weight| convert(weight));
        let weights = DMatrix::from_iterator(outputs, inputs, weights);
        network.set_dense(l, &weights, &vec![T::zero(); outputs])?;
    }
    Ok((network, cost))
}

/// Returns the activation with this name, which the options have checked.
fn activation(name: &str) -> AnyActivation {
    match name {
        "sigmoid" => Sigmoid,
        "tanh" => Tanh,
        "relu" => Relu,
        "leaky_relu" => LeakyRelu { slope: 0.01 },
        "elu" => Elu { alpha: 1.0 },
        "selu" => Selu,
        "softplus" => Softplus,
        "softsign" => Softsign,
        "gelu" => Gelu,
        "gelu_tanh" => GeluTanh,
        "silu" => Silu,
        "mish" => Mish,
        "hard_tanh" => HardTanh,
        "sine" => Sine,
        "exponential" => Exponential,
        _ => Identity,
    }
}
