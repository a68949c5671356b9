//! Networks with every layer and every activation, which are the same after writing and reading.

use crate::support::{wave, wave_matrix};
use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu,
    Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::interchange::FileScalar;
use backprop::layer::{Axis, BatchNorm, LayerNorm, RmsNorm};
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Builder, Network, Shape};

pub(super) const ACTIVATIONS: [AnyActivation; 19] = [
    Identity,
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu { slope: 0.01 },
    LeakyRelu { slope: 1.0 },
    Elu { alpha: 1.0 },
    Elu { alpha: -0.3 },
    Selu,
    Softplus,
    Softsign,
    Gelu,
    GeluTanh,
    Silu,
    Mish,
    HardTanh,
    Sine,
    Exponential,
    Softmax,
];

/// A network with numbers and inputs.
pub(super) struct Case<T: FileScalar> {
    pub(super) name: String,
    pub(super) network: Network<T>,
    pub(super) x: DMatrix<T>,
}

impl<T: FileScalar> Case<T> {
    pub(super) fn new(name: impl Into<String>, builder: Builder<T>) -> Self {
        let mut network = builder.zeros().unwrap();
        let theta = wave(network.parameters(), 0.4).into_iter().map(convert);
        network.set_theta(&theta.collect::<Vec<T>>()).unwrap();
        let state = wave(network.state().len(), 0.9).into_iter();
        let state = state.map(|x| convert(x.abs() + 0.1));
        network.set_state(&state.collect::<Vec<T>>()).unwrap();
        let x = wave_matrix(network.inputs(), 5, 1.0);
        Self {
            name: name.into(),
            network,
            x,
        }
    }

    /// With ids from 0 to 6 as inputs.
    fn of_ids(name: &str, builder: Builder<T>) -> Self {
        let case = Self::new(name, builder);
        let ids = |row: usize, col: usize| convert(((3 * row + 2 * col) % 7) as f64);
        Self {
            x: DMatrix::from_fn(case.x.nrows(), case.x.ncols(), ids),
            ..case
        }
    }
}

const SEQUENCE: Shape = Shape::Sequence {
    steps: 3,
    features: 4,
};

const SIGNAL: Shape = Shape::Signal {
    channels: 3,
    length: 4,
};

const IMAGE: Shape = Shape::Image {
    channels: 2,
    height: 3,
    width: 4,
};

pub(super) fn cases<T: FileScalar>() -> Vec<Case<T>> {
    let start = Network::<T>::builder;
    let mut cases = Vec::new();
    for activation in ACTIVATIONS {
        let name = format!("{activation:?}").replace([' ', '{', '}', ':'], "");
        let mut by_itself = start(5).layer_norm();
        if activation != Identity {
            by_itself = by_itself.activate(activation);
        }
        let fused = start(4)
            .dense(5, activation)
            .dense_without_bias(3, activation);
        cases.push(Case::new(format!("{name}_by_itself"), by_itself));
        cases.push(Case::new(name, fused));
    }
    let affine = |affine| {
        let layer_norm = LayerNorm::new().eps(0.3).affine(affine);
        let batch_norm = BatchNorm::new().eps(0.001).affine(affine);
        let rms_norm = RmsNorm::new().eps(1e-5).affine(affine);
        (layer_norm, batch_norm, rms_norm)
    };
    for is_affine in [true, false] {
        let (layer_norm, batch_norm, rms_norm) = affine(is_affine);
        let name = |name: &str| format!("{name}_{is_affine}");
        let norms = |builder: Builder<T>| {
            let builder = builder.layer(layer_norm.into()).layer(rms_norm.into());
            builder.layer(batch_norm.into())
        };
        cases.push(Case::new(name("norms"), norms(start(4)).dense(2, Tanh)));
        for (kind, shape) in [("steps", SEQUENCE), ("signal", SIGNAL), ("image", IMAGE)] {
            let builder = norms(Builder::new(shape)).dense(3, Relu);
            let axes = layer_norm.axes(2);
            let builder = builder.layer(axes.into()).layer(rms_norm.axes(2).into());
            cases.push(Case::new(
                name(&format!("norms_of_{kind}")),
                builder.flatten(),
            ));
        }
    }
    let momentum = BatchNorm::new().momentum(0.03);
    cases.push(Case::new("momentum", start(3).layer(momentum.into())));
    let signal = Builder::new(SIGNAL).transpose().dense(2, Tanh);
    cases.push(Case::new(
        "transpose",
        signal.transpose().flatten().dense(2, Identity),
    ));
    cases.push(Case::new(
        "several_axes",
        Builder::new(IMAGE)
            .dense(3, Tanh)
            .dense_without_bias(2, Softmax),
    ));
    cases.push(Case::new(
        "dropout",
        start(4)
            .dropout(0.3)
            .dense(3, Tanh)
            .dropout(0.5)
            .dense(2, Softmax),
    ));
    let residuals = start(4)
        .residual(|body| body.dense(6, Tanh).dense(4, Identity))
        .residual(|body| body.residual(|inner| inner.dense(4, Relu)).layer_norm())
        .residual_with_shortcut(|body| body.dense(3, Tanh), |x| x.dense(3, Identity))
        .residual(|body| body.activate(Tanh))
        .residual(|body| body);
    cases.push(Case::new("residuals", residuals));
    let features = start(6)
        .concat(Axis::First, |branches| {
            let branches = branches.branch(|x| x.select(0..4).dense(3, Tanh));
            branches.branch(|x| x.select(4..6)).branch(|x| x)
        })
        .batch_norm()
        .concat(Axis::First, |heads| {
            heads
                .branch(|b| b.dense(3, Softmax))
                .branch(|b| b.dense(1, Exponential))
        });
    cases.push(Case::new("branches", features));
    let rows = Builder::new(SEQUENCE)
        .concat(Axis::First, |b| {
            b.branch(|x| x.dense(4, Tanh)).branch(|x| x)
        })
        .concat(Axis::Last, |b| {
            b.branch(|x| x.dense(2, Tanh)).branch(Builder::rms_norm)
        });
    cases.push(Case::new(
        "concat_of_sequences",
        rows.dense(1, Identity).flatten(),
    ));
    let text = start(5)
        .embedding(7, 3)
        .dense(4, Gelu)
        .batch_norm()
        .flatten();
    cases.push(Case::of_ids("embedding", text.dense(2, Softmax)));
    let mixed = start(3).concat(Axis::First, |branches| {
        let branches = branches.branch(|numbers| numbers.select(0..2));
        branches.branch(|day| day.select(2..3).embedding(7, 3).flatten())
    });
    cases.push(Case::of_ids("ids_and_numbers", mixed.dense(2, Tanh)));
    cases
}
