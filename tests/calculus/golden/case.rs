//! Reads a golden case. `tests/golden/README.md` describes the format.

use backprop::activation::{
    AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu, Mish, Relu,
    Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::cost::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Huber, LogCosh, Poisson, SquaredError,
};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::{Network, Objective, unroll};
use serde_json::Value;

/// A field, split into the blocks that errors are relative to: the layers of `grad`, or the whole
/// array.
pub(crate) type Field = (&'static str, Vec<Vec<f64>>);

/// A network, its data and the expected results.
pub(crate) struct Case {
    pub(crate) network: Network<f64>,
    pub(crate) x: DMatrix<f64>,
    pub(crate) y: DMatrix<f64>,
    pub(crate) objective: Objective,
    /// The direction of the products, if the case has one.
    pub(crate) v: Option<Vec<f64>>,
    pub(crate) expected: Vec<Field>,
}

impl Case {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("the JSON: {e}"))?;
        let case = At::root(&value);
        let spec = case.get("spec")?;
        let sizes = spec.get("layer_sizes")?.list()?;
        let sizes = sizes.iter().map(At::count).collect::<Result<Vec<_>, _>>()?;
        let [inputs, .., outputs] = sizes[..] else {
            return Err("spec.layer_sizes: fewer than 2 of them".into());
        };
        let m = spec.get("m")?.count()?;
        let hidden = activation(&spec.get("hidden_activation")?)?;
        let output = activation(&spec.get("output_activation")?)?;
        let objective =
            Objective::new(cost(&spec.get("cost")?)?).l2(spec.get("lambda")?.number()?);
        let (x, y) = (
            case.get("X")?.matrix(inputs, m)?,
            case.get("Y")?.matrix(outputs, m)?,
        );
        let theta = unroll(&layers(&case.get("Theta")?, &sizes)?);
        let mut builder = Network::builder(inputs);
        for (l, &units) in sizes[1..].iter().enumerate() {
            let last = l + 2 == sizes.len();
            builder = builder.dense(units, if last { output } else { hidden });
        }
        let network = builder.with_theta(theta.as_slice());
        let network = network.map_err(|e| format!("Theta: {e}"))?;

        // J and grad are required. A null in any other field is skipped.
        let mut expected = vec![
            ("J", vec![vec![case.get("J")?.number()?]]),
            ("grad", blocks(&layers(&case.get("grad")?, &sizes)?)),
        ];
        for (field, rows) in [
            ("grad_X", inputs),
            ("outputs", outputs),
            ("logits", outputs),
        ] {
            let entries = case.get(field)?;
            if !value[field].is_null() {
                expected.push((field, vec![entries.matrix(rows, m)?.as_slice().to_vec()]));
            }
        }
        let costs = case.get("per_example_cost")?;
        if !value["per_example_cost"].is_null() {
            expected.push(("per_example_cost", vec![costs.numbers(m)?]));
        }
        if !value["per_example_grad"].is_null() {
            let examples = case.get("per_example_grad")?.list_of(m)?;
            let examples = examples.iter().map(|example| layers(example, &sizes));
            let examples = examples.collect::<Result<Vec<_>, _>>()?;
            expected.push(("per_example_grad", joined(examples)));
        }
        // Other derivatives are compared if the file has them.
        let present = |field: &str| value.get(field).is_some_and(|field| !field.is_null());
        let mut v = None;
        if present("v") {
            let layers = layers(&case.get("v")?, &sizes)?;
            v = Some(unroll(&layers).as_slice().to_vec());
            for field in ["hvp", "ggn_logits_vp", "gn_outputs_vp"] {
                if present(field) {
                    let layers = self::layers(&case.get(field)?, &sizes)?;
                    expected.push((field, blocks(&layers)));
                }
            }
        }
        if present("hessian") {
            let p = network.parameters();
            let hessian = case.get("hessian")?.matrix(p, p)?;
            expected.push(("hessian", vec![hessian.as_slice().to_vec()]));
        }
        Ok(Self {
            network,
            x,
            y,
            objective,
            v,
            expected,
        })
    }

    /// Returns whether a field is in the file.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.expected.iter().any(|(name, _)| *name == field)
    }
}

/// The largest difference divided by the largest entry of its block. Infinite if the lengths differ
/// or a number is not finite.
pub(crate) fn relative_error(found: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let mut worst = 0.0_f64;
    for (found, expected) in found.iter().zip(expected) {
        let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
        let differences: Vec<f64> = differences.collect();
        if found.len() != expected.len() || differences.iter().any(|d| !d.is_finite()) {
            return f64::INFINITY;
        }
        let difference = differences.iter().copied().fold(0.0, f64::max);
        let scale = expected.iter().fold(0.0, |max: f64, e| max.max(e.abs()));
        // A block of zeros must match exactly.
        if difference > 0.0 {
            worst = worst.max(difference / scale);
        }
    }
    worst
}

pub(crate) fn blocks(layers: &[DMatrix<f64>]) -> Vec<Vec<f64>> {
    layers.iter().map(|l| l.as_slice().to_vec()).collect()
}

/// Joins \[example\]\[layer\] into one block per layer over all examples.
pub(crate) fn joined(examples: Vec<Vec<DMatrix<f64>>>) -> Vec<Vec<f64>> {
    let mut joined: Vec<Vec<f64>> = Vec::new();
    for layers in examples {
        joined.resize(layers.len(), Vec::new());
        for (block, layer) in joined.iter_mut().zip(layers) {
            block.extend(layer.as_slice());
        }
    }
    joined
}

/// A value in a JSON file and its path.
struct At<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> At<'a> {
    fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { path, value }
    }

    fn get(&self, key: &str) -> Result<At<'a>, String> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{key}", self.path);
        match self.value.get(key) {
            Some(value) => Ok(At { path, value }),
            None => Err(format!("{path}: missing")),
        }
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, String> {
        Err(format!("{}: expected {expected}", self.path))
    }

    fn list(&self) -> Result<Vec<At<'a>>, String> {
        let Some(values) = self.value.as_array() else {
            return self.wrong("a list");
        };
        let item = |(i, value)| At {
            path: format!("{}[{i}]", self.path),
            value,
        };
        Ok(values.iter().enumerate().map(item).collect())
    }

    fn list_of(&self, len: usize) -> Result<Vec<At<'a>>, String> {
        let list = self.list()?;
        if list.len() == len {
            return Ok(list);
        }
        self.wrong(&format!("{len} entries, found {}", list.len()))
    }

    fn number(&self) -> Result<f64, String> {
        match self.value.as_f64() {
            Some(number) => Ok(number),
            None => self.wrong("a number"),
        }
    }

    /// A size: an integer of at least 1.
    fn count(&self) -> Result<usize, String> {
        match self.value.as_u64().map(usize::try_from) {
            Some(Ok(count)) if count > 0 => Ok(count),
            _ => self.wrong("a positive whole number"),
        }
    }

    fn numbers(&self, len: usize) -> Result<Vec<f64>, String> {
        self.list_of(len)?.iter().map(At::number).collect()
    }

    /// A matrix as a list of its rows.
    fn matrix(&self, rows: usize, cols: usize) -> Result<DMatrix<f64>, String> {
        let mut entries = Vec::new();
        for row in self.list_of(rows)? {
            entries.extend(row.numbers(cols)?);
        }
        Ok(DMatrixView::from_slice(&entries, cols, rows).transpose())
    }
}

/// One matrix per layer, with the bias in column 0.
fn layers(at: &At<'_>, sizes: &[usize]) -> Result<Vec<DMatrix<f64>>, String> {
    let list = at.list_of(sizes.len() - 1)?;
    let shapes = sizes.windows(2);
    let matrices = list.iter().zip(shapes).map(|(matrix, shape)| {
        let [inputs, outputs] = shape else {
            return matrix.wrong("a layer");
        };
        matrix.matrix(*outputs, inputs + 1)
    });
    matrices.collect()
}

fn activation(name: &At<'_>) -> Result<AnyActivation, String> {
    Ok(match name.value.as_str() {
        Some("identity") => Identity,
        Some("sigmoid") => Sigmoid,
        Some("tanh") => Tanh,
        Some("relu") => Relu,
        Some("leaky_relu") => LeakyRelu { slope: 0.01 },
        Some("elu") => Elu { alpha: 1.0 },
        Some("selu") => Selu,
        Some("softplus") => Softplus,
        Some("softsign") => Softsign,
        Some("gelu_erf") => Gelu,
        Some("gelu_tanh") => GeluTanh,
        Some("silu") => Silu,
        Some("mish") => Mish,
        Some("hard_tanh") => HardTanh,
        Some("sin") => Sine,
        Some("exp") => Exponential,
        Some("softmax") => Softmax,
        _ => return name.wrong(&format!("a known activation, found {}", name.value)),
    })
}

fn cost(name: &At<'_>) -> Result<AnyCost, String> {
    Ok(match name.value.as_str() {
        Some("bce") => BinaryCrossEntropy,
        Some("cce") => CategoricalCrossEntropy,
        Some("half_mse") => SquaredError,
        Some("huber") => Huber { delta: 1.0 },
        Some("log_cosh") => LogCosh,
        Some("poisson_nll") => Poisson,
        _ => return name.wrong(&format!("a known cost, found {}", name.value)),
    })
}
