//! Networks that files describe, and their outputs.

use super::kind::{self, Kind};
use super::raw;
use crate::support::json::At;
use crate::support::spec::{self, Modes};
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{self, FileScalar, Options};
use backprop::layer::AnyLayer;
use backprop::nalgebra::{DMatrix, convert, try_convert};
use backprop::{Network, Shape};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The bounds of errors in `f64` and in `f32`.
pub(crate) const BOUND: f64 = 1e-12;
pub(crate) const BOUND_F32: f64 = 1e-6;

/// A network in several forms that have the same names, with inputs and outputs.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) forms: Vec<Form>,
    /// One example per column.
    pub(crate) x: DMatrix<f64>,
    /// One example after the other. `None` if there is nothing to compare.
    pub(crate) outputs: Option<Vec<f64>>,
}

/// A list of layers.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    input: Shape,
    layers: Vec<AnyLayer>,
}

/// A model, or the types of layers because of which it has to be skipped.
#[derive(Debug)]
pub(crate) enum Read {
    Model(Model),
    Skipped(BTreeSet<&'static str>),
}

/// The largest quotients of error and bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ratios {
    pub(crate) f64: f64,
    pub(crate) f32: f64,
}

impl Read {
    /// Reads `io.json`, or an entry of `expect.json`.
    pub(crate) fn of(at: &At<'_>) -> Result<Self, String> {
        let spec = at.get("spec")?;
        let mut skipped = BTreeSet::new();
        spec::add_skipped(&spec.get("layers")?, &mut skipped)?;
        if !skipped.is_empty() {
            return Ok(Self::Skipped(skipped));
        }
        let mut modes = Modes::default();
        modes.read(&spec.get("layers")?, &[])?;
        if modes.training {
            return spec.wrong("layers in evaluation");
        }
        let forms = forms(&spec)?;
        let network = forms[0].network::<f64>()?;
        let x = at.get("X")?;
        let m = x.list()?.len();
        let outputs = at.find("outputs");
        let outputs = outputs.map(|at| at.array(&[m, network.outputs()]));
        Ok(Self::Model(Model {
            x: DMatrix::from_vec(network.inputs(), m, x.array(&[m, network.inputs()])?),
            outputs: outputs.transpose()?,
            forms,
        }))
    }
}

/// The network as it is described, with each activation in the dense layer before it, and with
/// each as a layer by itself.
fn forms(spec: &At<'_>) -> Result<Vec<Form>, String> {
    let input = spec::input(&spec.get("input")?)?;
    let described = spec.get("layers")?;
    let mut forms = Vec::new();
    for (name, value) in [
        ("as described", described.value().clone()),
        (
            "dense layers with activations",
            each_list(described.value(), &fused),
        ),
        (
            "activations by themselves",
            each_list(described.value(), &split),
        ),
    ] {
        let (layers, _) = spec::layers(&At::root(&value), input, false)?;
        forms.push(Form {
            name,
            input,
            layers,
        });
    }
    Ok(forms)
}

/// Changes every list inside a value.
fn each_list(value: &Value, change: &dyn Fn(Vec<Value>) -> Vec<Value>) -> Value {
    match value {
        Value::Array(items) => {
            change(items.iter().map(|item| each_list(item, change)).collect()).into()
        }
        Value::Object(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (key.clone(), each_list(value, change)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

fn fused(layers: Vec<Value>) -> Vec<Value> {
    let mut fused: Vec<Value> = Vec::new();
    for layer in layers {
        match fused.last_mut() {
            Some(dense)
                if dense["activation"] == "identity"
                    && layer["type"] == "activation"
                    && layer["g"] != "identity" =>
            {
                dense["activation"] = layer["g"].clone();
            }
            _ => fused.push(layer),
        }
    }
    fused
}

fn split(layers: Vec<Value>) -> Vec<Value> {
    let split = |mut layer: Value| {
        if layer["type"] != "dense" || layer["activation"] == "identity" {
            return vec![layer];
        }
        let activation = layer["activation"].take();
        layer["activation"] = "identity".into();
        vec![
            layer,
            serde_json::json!({"type": "activation", "g": activation}),
        ]
    };
    layers.into_iter().flat_map(split).collect()
}

impl Form {
    /// Creates the network. All parameters are 1/4.
    pub(crate) fn network<T: FileScalar>(&self) -> Result<Network<T>, String> {
        let mut network = Network::builder(self.input);
        for layer in &self.layers {
            network = network.layer(layer.clone());
        }
        let mut network = network.zeros().map_err(|error| error.to_string())?;
        let theta = vec![convert(0.25); network.parameters()];
        network
            .set_theta(&theta)
            .map_err(|error| error.to_string())?;
        Ok(network)
    }
}

impl Model {
    /// Compares a file of tensors in every form of the network, and writes it again.
    pub(crate) fn check_tensors(&self, path: &Path) -> Result<Ratios, String> {
        let kind = Kind::of(path)?;
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let tensors = raw::tensors(kind, &bytes);
        let is_f32 = |tensor: &raw::Tensor| ["F32", "<f4"].contains(&&*tensor.kind);
        let is_f32 = tensors.values().any(is_f32);
        let mut ratios = Ratios::default();
        for form in &self.forms {
            let within = |reason| format!("{}: {reason}", form.name);
            let double = self
                .check_form::<f64>(form, path, !is_f32)
                .map_err(within)?;
            let single = self.check_form::<f32>(form, path, is_f32).map_err(within)?;
            ratios.f64 = ratios.f64.max(double / BOUND);
            ratios.f32 = ratios.f32.max(single / BOUND_F32);
        }
        Ok(ratios)
    }

    /// Returns the error of the outputs. Tensors that are `written` again must have the same bytes.
    fn check_form<T: FileScalar>(
        &self,
        form: &Form,
        path: &Path,
        written: bool,
    ) -> Result<f64, String> {
        let mut network = form.network::<T>()?;
        let batches = kind::read(path, &mut network).map_err(|error| error.to_string())?;
        let options = Options::new().batches(&batches);
        let kind = Kind::of(path)?;
        if written {
            let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
            let found = kind::written(kind, &network, &options);
            let found = found.map_err(|error| error.to_string())?;
            if raw::tensors(kind, &found) != raw::tensors(kind, &bytes) {
                return Err("other tensors are written than were read".into());
            }
        }
        for kind in Kind::OF_TENSORS {
            let bytes = kind::written(kind, &network, &options);
            let bytes = bytes.map_err(|error| error.to_string())?;
            let mut same = form.network::<T>()?;
            let found = kind::from_bytes(kind, &bytes, &mut same, &Options::new());
            let found = found.map_err(|error| error.to_string())?;
            if same != network || found != batches {
                return Err(format!("{kind:?} does not keep every bit"));
            }
        }
        let double = onnx::to_bytes(&network, &WriteOptions::new().double());
        let double = double.map_err(|error| error.to_string())?;
        let whole = onnx::from_bytes::<T>(&double, &Options::new());
        let whole = whole.map_err(|error| error.to_string())?;
        if whole.theta() != network.theta() || whole.state() != network.state() {
            return Err("ONNX does not keep every bit".into());
        }
        Ok(self.error(&network)?.max(self.error(&whole)?))
    }

    /// Compares a whole network from a file, and writes it again. An exporter may have combined
    /// layers, and rounded the result to the type of the file.
    pub(crate) fn check_onnx(&self, path: &Path) -> Result<Ratios, String> {
        let is_double = path.to_string_lossy().ends_with("f64.onnx");
        let bound = if is_double { BOUND } else { BOUND_F32 };
        Ok(Ratios {
            f64: self.check_whole::<f64>(path, &WriteOptions::new().double())? / bound,
            f32: self.check_whole::<f32>(path, &WriteOptions::new())? / BOUND_F32,
        })
    }

    fn check_whole<T: FileScalar>(
        &self,
        path: &Path,
        options: &WriteOptions,
    ) -> Result<f64, String> {
        let network = onnx::load::<T>(path, &Options::new());
        let network = network.map_err(|error| error.to_string())?;
        let bytes = onnx::to_bytes(&network, options).map_err(|error| error.to_string())?;
        let same = onnx::from_bytes::<T>(&bytes, &Options::new());
        if same.map_err(|error| error.to_string())? != network {
            return Err("another network is read than was written".into());
        }
        self.error(&network)
    }

    /// Returns the error of the outputs of a network: at most the bound of its scalar.
    pub(crate) fn error<T: FileScalar>(&self, network: &Network<T>) -> Result<f64, String> {
        let x: DMatrix<T> = self.x.map(convert);
        let outputs = network.forward(&x).map_err(|error| error.to_string())?;
        let found: Vec<f64> = outputs.iter().map(|&a| try_convert(a).unwrap()).collect();
        let Some(expected) = &self.outputs else {
            return Err("no outputs to compare".into());
        };
        let (mut error, mut largest) = (0.0_f64, 0.0_f64);
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            // NaN counts as infinite.
            error = error.max(if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            });
            largest = largest.max(expected.abs());
        }
        Ok(error / largest)
    }
}

/// Compares the tensors of the network as described with the list in `io.json`.
pub(crate) fn check_names(at: &At<'_>, model: &Model) -> Result<(), String> {
    let network = model.forms[0].network::<f64>()?;
    let found = interchange::tensors(&network, &Options::new());
    let mut found = found.map_err(|error| error.to_string())?;
    found.retain(|place| place.parameter != "num_batches_tracked");
    let expected = at.get("tensors")?.list()?;
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Err(format!("tensors: {expected}, but the network has {found}"));
    }
    for at in expected {
        let name = at.get("tensor")?.text()?;
        let Some(place) = found.iter().find(|place| place.name == name) else {
            return at.wrong("a tensor of the network");
        };
        let layer = spec::path(&at.get("layer")?)?;
        let (parameter, shape) = (at.get("name")?.text()?, at.get("shape")?.sizes()?);
        if (&place.layer, &*place.parameter, &place.shape) != (&layer, parameter, &shape) {
            return at.wrong(&format!("{place:?}"));
        }
    }
    Ok(())
}
