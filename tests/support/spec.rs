//! The network and the cost that JSON describes, in the format of `tests/golden/layers/`.

use super::json::At;
use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu,
    Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::layer::{
    Activate, AnyLayer, Axis, BatchNorm, Concat, Dense, Dropout, Embedding, Flatten, Layer,
    LayerNorm, Residual, RmsNorm, Select, Sequential, Site, Transpose,
};
use backprop::{Path, Shape};
use std::collections::BTreeSet;
use std::ops::Range;

/// The types of layers that the crate does not have. Cases with them are skipped.
const SKIPPED: [&str; 10] = [
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "global_avg_pool",
    "gru",
    "lstm",
    "max_pool1d",
    "max_pool2d",
    "rnn",
];

/// The keys of the types that the crate has, without `type`.
fn keys(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "dense" => &["units", "activation", "bias"],
        "activation" => &["g"],
        "dropout" => &["p", "mode"],
        "batch_norm" => &["eps", "momentum", "mode", "affine"],
        "layer_norm" | "rms_norm" => &["shape", "eps", "affine"],
        "embedding" => &["entries", "dim"],
        "residual" => &["body", "shortcut"],
        "parallel" => &["branches", "axis"],
        "select" => &["from", "to"],
        "flatten" | "transpose" => &[],
        _ => return None,
    })
}

/// Adds the types in a list of layers for which the case has to be skipped. Fails at an unknown
/// type or key.
pub(crate) fn add_skipped(list: &At<'_>, to: &mut BTreeSet<&'static str>) -> Result<(), String> {
    for layer in list.list()? {
        let at = layer.get("type")?;
        let kind = at.text()?;
        if let Some(skipped) = SKIPPED.into_iter().find(|skipped| *skipped == kind) {
            to.insert(skipped);
            continue;
        }
        let Some(keys) = keys(kind) else {
            return at.wrong(&format!("a known type of layer, found {kind:?}"));
        };
        layer.check_keys(&[keys, &["type"]].concat())?;
        for &key in keys {
            let inner = layer.get(key)?;
            match key {
                "body" => add_skipped(&inner, to)?,
                "shortcut" if !inner.is_null() => add_skipped(&inner, to)?,
                "branches" => {
                    for branch in inner.list()? {
                        add_skipped(&branch, to)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The shape of one example.
pub(crate) fn input(at: &At<'_>) -> Result<Shape, String> {
    match at.sizes()?[..] {
        [units] => Ok(Shape::Units(units)),
        [steps, features] => Ok(Shape::Sequence { steps, features }),
        [channels, height, width] => Ok(Shape::Image {
            channels,
            height,
            width,
        }),
        _ => at.wrong("one, two or three sizes"),
    }
}

/// The layers that are in a mode of their own.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    /// Whether a layer is in training.
    pub(crate) training: bool,
    /// The norms that use their running statistics, to be fixed if another layer is in training.
    pub(crate) fixed: Vec<Path>,
    /// The layers of chance that are in training.
    pub(crate) chance: Vec<Path>,
}

impl Modes {
    /// Reads the modes of layers in sequence, inside the layer at a path.
    pub(crate) fn read(&mut self, list: &At<'_>, outer: &[usize]) -> Result<(), String> {
        for (i, at) in list.list()?.iter().enumerate() {
            let path = [outer, &[i]].concat();
            let within = |inner: usize| [&path[..], &[inner]].concat();
            match at.get("type")?.text()? {
                "residual" => {
                    self.read(&at.get("body")?, &within(0))?;
                    let shortcut = at.get("shortcut")?;
                    if !shortcut.is_null() {
                        self.read(&shortcut, &within(1))?;
                    }
                }
                "parallel" => {
                    for (k, branch) in at.get("branches")?.list()?.iter().enumerate() {
                        self.read(branch, &within(k))?;
                    }
                }
                kind @ ("batch_norm" | "dropout") => {
                    let trains = trains(at)?;
                    self.training |= trains;
                    let path = Path::from(&path[..]);
                    match (kind, trains) {
                        ("dropout", true) => self.chance.push(path),
                        ("batch_norm", false) => self.fixed.push(path),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether the mode of a layer is training.
fn trains(at: &At<'_>) -> Result<bool, String> {
    let mode = at.get("mode")?;
    match mode.text()? {
        "train" => Ok(true),
        "eval" => Ok(false),
        _ => mode.wrong("train or eval"),
    }
}

/// Layers in sequence, and the shape of their output. `training` is the mode of the network.
pub(crate) fn layers(
    at: &At<'_>,
    input: Shape,
    training: bool,
) -> Result<(Vec<AnyLayer>, Shape), String> {
    let (mut layers, mut shape) = (Vec::new(), input);
    for at in at.list()? {
        let layer = layer(&at, shape, training)?;
        match Layer::<f64>::plan(&layer, Site::new(shape)) {
            Ok(plan) => shape = plan.output(),
            Err(error) => return at.refuse(error),
        }
        layers.push(layer);
    }
    Ok((layers, shape))
}

fn layer(at: &At<'_>, input: Shape, training: bool) -> Result<AnyLayer, String> {
    let sequence = |at: &At<'_>| Ok::<_, String>(Sequential::new(layers(at, input, training)?.0));
    Ok(match at.get("type")?.text()? {
        "dense" => {
            let units = at.get("units")?.size()?;
            let activation = activation(&at.get("activation")?)?;
            let dense = Dense::new(input.last_axis(), units, activation);
            if at.get("bias")?.flag()? {
                dense.into()
            } else {
                dense.without_bias().into()
            }
        }
        "embedding" => {
            let (entries, dim) = (at.get("entries")?.size()?, at.get("dim")?.size()?);
            Embedding::new(entries, dim).into()
        }
        "dropout" => {
            let (p, trains) = (at.get("p")?.number()?, trains(at)?);
            // In evaluation, it does nothing.
            Dropout::new(if training && !trains { 0.0 } else { p }).into()
        }
        "batch_norm" => BatchNorm::new()
            .eps(at.get("eps")?.number()?)
            .momentum(at.get("momentum")?.number()?)
            .affine(at.get("affine")?.flag()?)
            .into(),
        kind @ ("layer_norm" | "rms_norm") => {
            let axes = trailing_axes(&at.get("shape")?, input)?;
            let (eps, affine) = (at.get("eps")?.number()?, at.get("affine")?.flag()?);
            if kind == "layer_norm" {
                LayerNorm::new().axes(axes).eps(eps).affine(affine).into()
            } else {
                RmsNorm::new().axes(axes).eps(eps).affine(affine).into()
            }
        }
        "activation" => Activate::new(activation(&at.get("g")?)?).into(),
        "flatten" => Flatten.into(),
        "transpose" => Transpose.into(),
        "select" => {
            let (from, to) = (at.get("from")?.index()?, at.get("to")?.index()?);
            Select { from, to }.into()
        }
        "residual" => {
            let (body, shortcut) = (sequence(&at.get("body")?)?, at.get("shortcut")?);
            if shortcut.is_null() {
                Residual::new(body).into()
            } else {
                Residual::with_shortcut(body, sequence(&shortcut)?).into()
            }
        }
        "parallel" => {
            let axis = at.get("axis")?;
            let axis = match axis.integer()? {
                0 => Axis::First,
                -1 => Axis::Last,
                _ => return axis.wrong("0 or -1"),
            };
            let branches = at.get("branches")?.list()?;
            let branches = branches.iter().map(sequence).collect::<Result<_, _>>()?;
            Concat::new(branches, axis).into()
        }
        _ => return at.wrong("a layer that the crate has"),
    })
}

/// The number of axes that a norm sums over: the last ones of its input.
fn trailing_axes(at: &At<'_>, input: Shape) -> Result<usize, String> {
    let all = match input {
        Shape::Sequence { steps, features } => vec![steps, features],
        Shape::Signal { channels, length } => vec![channels, length],
        Shape::Image {
            channels,
            height,
            width,
        } => vec![channels, height, width],
        _ => vec![input.len()],
    };
    let shape = at.sizes()?;
    if all.ends_with(&shape) {
        Ok(shape.len())
    } else {
        at.wrong("the last axes of the input")
    }
}

/// Whether the outputs have no activation of their own, so that they are the logits too: after any
/// layer but a dense one and an activation.
pub(crate) fn ends_without_activation(layers: &[AnyLayer]) -> bool {
    match layers.last() {
        None => true,
        Some(AnyLayer::Concat(concat)) => {
            let mut branches = concat.branches().iter();
            branches.all(|branch| ends_without_activation(branch.layers()))
        }
        Some(layer) => !matches!(layer, AnyLayer::Dense(_) | AnyLayer::Activate(_)),
    }
}

/// Reads `2.body.1`, `2.shortcut.0` or `1.branches.0.2`.
pub(crate) fn path(at: &At<'_>) -> Result<Path, String> {
    let mut indices = Vec::new();
    for word in at.text()?.split('.') {
        match (word, word.parse()) {
            ("body", _) => indices.push(0),
            ("shortcut", _) => indices.push(1),
            ("branches", _) => {}
            (_, Ok(index)) => indices.push(index),
            _ => return at.wrong("the path of a layer"),
        }
    }
    Ok(Path::from(&indices[..]))
}

fn activation(name: &At<'_>) -> Result<AnyActivation, String> {
    Ok(match name.text()? {
        "identity" => Identity,
        "sigmoid" => Sigmoid,
        "tanh" => Tanh,
        "relu" => Relu,
        "leaky_relu" => LeakyRelu { slope: 0.01 },
        "elu" => Elu { alpha: 1.0 },
        "selu" => Selu,
        "softplus" => Softplus,
        "softsign" => Softsign,
        "gelu_erf" => Gelu,
        "gelu_tanh" => GeluTanh,
        "silu" => Silu,
        "mish" => Mish,
        "hard_tanh" => HardTanh,
        "sin" => Sine,
        "exp" => Exponential,
        "softmax" => Softmax,
        other => return name.wrong(&format!("a known activation, found {other:?}")),
    })
}

/// The cost of all outputs, or of several heads.
#[derive(Clone, Debug)]
pub(crate) enum Costs {
    One(AnyCost),
    Heads(Vec<Head>),
}

/// The cost of some rows of the outputs.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) rows: Range<usize>,
    pub(crate) cost: AnyCost,
    pub(crate) weight: f64,
}

impl Costs {
    pub(crate) fn read(at: &At<'_>) -> Result<Self, String> {
        if !at.is_object() {
            return Ok(Self::One(cost(at)?));
        }
        at.check_keys(&["heads"])?;
        let heads = at.get("heads")?.list()?;
        Ok(Self::Heads(
            heads.iter().map(Head::read).collect::<Result<_, _>>()?,
        ))
    }
}

impl Head {
    fn read(at: &At<'_>) -> Result<Self, String> {
        at.check_keys(&["rows", "cost", "weight"])?;
        let rows = at.get("rows")?.list_of(2)?;
        Ok(Self {
            rows: rows[0].index()?..rows[1].index()?,
            cost: cost(&at.get("cost")?)?,
            weight: at.get("weight")?.number()?,
        })
    }
}

fn cost(name: &At<'_>) -> Result<AnyCost, String> {
    Ok(match name.text()? {
        "bce" => BinaryCrossEntropy,
        "cce" => CategoricalCrossEntropy,
        "half_mse" => SquaredError,
        "huber" => Huber { delta: 1.0 },
        "log_cosh" => LogCosh,
        "poisson_nll" => Poisson,
        other => return name.wrong(&format!("a known cost, found {other:?}")),
    })
}
