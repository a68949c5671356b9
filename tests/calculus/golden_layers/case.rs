//! Reads a golden case. `tests/golden/layers/README.md` describes the format.

use super::fields::Field;
use super::state;
use crate::support::json::At;
use crate::support::spec::{self, Costs, Modes};
use backprop::layer::AnyLayer;
use backprop::nalgebra::DMatrix;
use backprop::{Network, Path};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The fields that describe a case, besides those that are compared. `name`, `check` and `note` are
/// not read.
const OTHERS: [&str; 14] = [
    "name",
    "spec",
    "n_params",
    "parameters",
    "X",
    "Y",
    "u",
    "v",
    "state",
    "masks",
    "zero_blocks",
    "bound",
    "check",
    "note",
];

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Read {
    Case(Box<Case>),
    /// The types for which the case has to be skipped.
    Skipped(BTreeSet<&'static str>),
}

/// A network, its data and the expected results.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) network: Network<f64>,
    pub(crate) costs: Costs,
    pub(crate) lambda: f64,
    /// One example per column.
    pub(crate) x: DMatrix<f64>,
    pub(crate) y: DMatrix<f64>,
    /// The direction in X; of ones if the file has none.
    pub(crate) u: DMatrix<f64>,
    /// The direction in θ, in the order of θ.
    pub(crate) v: Vec<f64>,
    /// Whether the network is in training.
    pub(crate) training: bool,
    /// The masks of the layers of chance, with one example per column.
    pub(crate) masks: Vec<(Path, DMatrix<f64>)>,
    /// The entries of each block of the file, in C order: their indices in θ.
    pub(crate) entries: Vec<Vec<usize>>,
    /// The fields of the file. `None` stands for null: the call has to be refused.
    pub(crate) expected: BTreeMap<Field, Option<Vec<Vec<f64>>>>,
    zero_blocks: BTreeMap<Field, Vec<usize>>,
    bounds: BTreeMap<Field, f64>,
    default_bound: f64,
}

impl Case {
    pub(crate) fn read(text: &str) -> Result<Read, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("the JSON: {e}"))?;
        let case = At::root(&value);
        let compared = Field::ALL.map(Field::name);
        case.check_keys(&[&OTHERS[..], &compared].concat())?;
        let spec = case.get("spec")?;
        spec.check_keys(&["input", "layers", "cost", "lambda", "m"])?;
        let costs = Costs::read(&spec.get("cost")?)?;
        let mut skipped = BTreeSet::new();
        spec::add_skipped(&spec.get("layers")?, &mut skipped)?;
        if !skipped.is_empty() {
            return Ok(Read::Skipped(skipped));
        }
        let (input, list) = (spec::input(&spec.get("input")?)?, spec.get("layers")?);
        let mut modes = Modes::default();
        modes.read(&list, &[])?;
        let (layers, _) = spec::layers(&list, input, modes.training)?;
        let blocks = Blocks::read(&case.get("parameters")?)?;
        let mut network = blocks.network(input, layers)?;
        let entries = blocks.entries(&network)?;
        let p = entries.iter().map(Vec::len).sum::<usize>();
        let found = case.get("n_params")?.index()?;
        if (p, p) != (found, network.parameters()) {
            let parameters = network.parameters();
            return Err(format!(
                "n_params: {found}, but {p} in the blocks and {parameters} in the network"
            ));
        }
        let theta = in_theta(&entries, &blocks.values);
        network.set_theta(&theta).map_err(|e| e.to_string())?;
        if let Some(state) = found_iff(&case, "state", !network.state().is_empty())? {
            let state = state::read(&state, &network)?.concat();
            network.set_state(&state).map_err(|e| e.to_string())?;
        }
        if modes.training {
            for path in &modes.fixed {
                let fixed = network.fix_statistics(path.clone());
                fixed.map_err(|e| e.to_string())?;
            }
        }
        let v = in_theta(&entries, &blocks.like(&case.get("v")?)?);

        let m = spec.get("m")?.size()?;
        let masks = match found_iff(&case, "masks", !modes.chance.is_empty())? {
            Some(masks) => state::masks(&masks, &modes.chance, m)?,
            None => Vec::new(),
        };
        let (n, k) = (network.inputs(), network.outputs());
        let columns = |at: &At<'_>, rows| {
            let entries = at.array(&[m, rows])?;
            Ok::<_, String>(DMatrix::from_vec(rows, m, entries))
        };
        let u = case.get("u")?;
        let u = if u.is_null() {
            DMatrix::repeat(n, m, 1.0)
        } else {
            columns(&u, n)?
        };
        let mut read = Self {
            costs,
            lambda: spec.get("lambda")?.number()?,
            x: columns(&case.get("X")?, n)?,
            y: columns(&case.get("Y")?, k)?,
            u,
            v,
            training: modes.training,
            masks,
            entries,
            expected: BTreeMap::new(),
            zero_blocks: BTreeMap::new(),
            bounds: BTreeMap::new(),
            default_bound: 0.0,
            network,
        };
        for field in Field::ALL {
            let Some(at) = case.find(field.name()) else {
                if field.is_optional() {
                    continue;
                }
                return Err(format!("{}: missing", field.name()));
            };
            let values = if at.is_null() {
                None
            } else {
                Some(read.values(field, &at, &blocks)?)
            };
            read.expected.insert(field, values);
        }
        read.read_bounds(&case)?;
        Ok(Read::Case(Box::new(read)))
    }

    /// Reads a field as the blocks that its error is relative to.
    fn values(&self, field: Field, at: &At<'_>, of: &Blocks) -> Result<Vec<Vec<f64>>, String> {
        let m = self.x.ncols();
        let (p, n, k) = (
            self.network.parameters(),
            self.network.inputs(),
            self.network.outputs(),
        );
        Ok(match field {
            Field::J => vec![at.array(&[])?],
            Field::PerExampleCost => vec![at.array(&[m])?],
            Field::Logits | Field::Outputs | Field::JvpX => vec![at.array(&[m, k])?],
            Field::GradX => vec![at.array(&[m, n])?],
            Field::Grad | Field::Hvp | Field::GgnLogitsVp => of.like(at)?,
            Field::Hessian => vec![at.array(&[p, p])?],
            Field::StateAfter => state::read(at, &self.network)?,
            Field::PerExampleGrad => {
                // One block over all examples.
                let mut blocks = vec![Vec::new(); of.shapes.len()];
                for example in at.list_of(m)? {
                    let values = example.list_of(blocks.len())?;
                    for ((block, at), shape) in blocks.iter_mut().zip(values).zip(&of.shapes) {
                        block.extend(at.array(shape)?);
                    }
                }
                blocks
            }
        })
    }

    fn read_bounds(&mut self, case: &At<'_>) -> Result<(), String> {
        for (name, at) in case.get("bound")?.entries()? {
            let bound = at.number()?;
            if !(bound > 0.0 && bound < 1.0) {
                return at.wrong("a number between 0 and 1");
            }
            if name == "default" {
                self.default_bound = bound;
            } else {
                self.bounds.insert(self.present(name, &at)?, bound);
            }
        }
        if self.default_bound == 0.0 {
            return Err("bound.default: missing".into());
        }
        for (name, at) in case.get("zero_blocks")?.entries()? {
            let field = self.present(name, &at)?;
            let blocks = at.list()?;
            let blocks = blocks
                .iter()
                .map(At::index)
                .collect::<Result<Vec<_>, _>>()?;
            let count = self.expected[&field].as_ref().map_or(0, Vec::len);
            if blocks.iter().any(|&block| block >= count) {
                return at.wrong(&format!("indices of {count} blocks"));
            }
            self.zero_blocks.insert(field, blocks);
        }
        Ok(())
    }

    /// Finds a field of the case by its name.
    fn present(&self, name: &str, at: &At<'_>) -> Result<Field, String> {
        let mut fields = self.expected.keys().copied();
        let field = fields.find(|field| field.name() == name);
        field.map_or_else(|| at.wrong("a field of the case"), Ok)
    }

    /// The bound of a field in `f64`.
    pub(crate) fn bound(&self, field: Field) -> f64 {
        *self.bounds.get(&field).unwrap_or(&self.default_bound)
    }

    pub(crate) fn zero_blocks(&self, field: Field) -> &[usize] {
        self.zero_blocks.get(&field).map_or(&[], Vec::as_slice)
    }
}

/// Finds a field that belongs to some layers. A case has it exactly if the network has such layers.
fn found_iff<'a>(case: &At<'a>, key: &str, expected: bool) -> Result<Option<At<'a>>, String> {
    match (case.find(key), expected) {
        (Some(field), false) => field.wrong("no such field: no layer of the case has it"),
        (None, true) => Err(format!("{key}: missing")),
        (field, _) => Ok(field),
    }
}

/// Puts the blocks of a file in the order of θ.
fn in_theta(entries: &[Vec<usize>], blocks: &[Vec<f64>]) -> Vec<f64> {
    let mut theta = vec![f64::NAN; entries.iter().map(Vec::len).sum()];
    for (&index, &value) in entries.iter().flatten().zip(blocks.iter().flatten()) {
        theta[index] = value;
    }
    theta
}

/// The blocks of parameters of a file.
#[derive(Debug, Default)]
struct Blocks {
    /// `2.body.1`, as the file has it.
    layers: Vec<String>,
    paths: Vec<Path>,
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    penalised: Vec<bool>,
    values: Vec<Vec<f64>>,
}

impl Blocks {
    fn read(at: &At<'_>) -> Result<Self, String> {
        let mut blocks = Self::default();
        for at in at.list()? {
            at.check_keys(&["layer", "name", "shape", "penalised", "values"])?;
            let (layer, shape) = (at.get("layer")?, at.get("shape")?.sizes()?);
            blocks.layers.push(layer.text()?.to_owned());
            blocks.paths.push(spec::path(&layer)?);
            blocks.names.push(at.get("name")?.text()?.to_owned());
            blocks.penalised.push(at.get("penalised")?.flag()?);
            blocks.values.push(at.get("values")?.array(&shape)?);
            blocks.shapes.push(shape);
        }
        Ok(blocks)
    }

    /// Reads a list with one entry per block, in the same order.
    fn like(&self, at: &At<'_>) -> Result<Vec<Vec<f64>>, String> {
        let list = at.list_of(self.shapes.len())?;
        let blocks = list.iter().enumerate().map(|(i, at)| {
            at.check_keys(&["layer", "name", "values"])?;
            at.get("layer")?.check_text(&self.layers[i])?;
            at.get("name")?.check_text(&self.names[i])?;
            at.get("values")?.array(&self.shapes[i])
        });
        blocks.collect()
    }

    /// Creates the network, with zeros for parameters.
    fn network(
        &self,
        input: backprop::Shape,
        layers: Vec<AnyLayer>,
    ) -> Result<Network<f64>, String> {
        let zeros = vec![0.0; self.values.iter().map(Vec::len).sum()];
        let network = Network::from_layers(input, layers, &zeros);
        network.map_err(|error| format!("spec.layers: {error}"))
    }

    /// Finds the entries of each block in θ, in C order. A dense layer has one block \[b W] or W
    /// there, column by column.
    fn entries(&self, network: &Network<f64>) -> Result<Vec<Vec<usize>>, String> {
        let mut all = Vec::new();
        for (i, path) in self.paths.iter().enumerate() {
            let (layer, name) = (&self.layers[i], &self.names[i]);
            let fail = |reason: &str| Err(format!("parameters[{i}]: {layer} {name}: {reason}"));
            let places = network.layout().blocks().iter();
            let places = places.filter(|place| place.layer() == path);
            // A norm has a block for each, and other layers have one.
            let other = if name == "bias" { "γ" } else { "β" };
            let mut places = places.filter(|place| place.block().name != other);
            let Some(place) = places.next() else {
                return fail("no such layer in the network");
            };
            let (start, block) = (place.range().start, place.block());
            let (rows, cols) = (block.rows, block.cols);
            let index = |row: usize, col: usize| start + col * rows + row;
            let bias = block.penalised_from_column;
            let entries: Vec<usize> = match (&block.name[..], name.as_str(), &self.shapes[i][..]) {
                ("Θ", "bias", &[units]) if units == rows => {
                    (0..rows).map(|r| index(r, 0)).collect()
                }
                ("Θ", "weight", &[units, inputs]) if (units, inputs + bias) == (rows, cols) => {
                    let entry = |e| index(e / inputs, e % inputs + bias);
                    (0..rows * inputs).map(entry).collect()
                }
                // One entry after the other.
                ("γ", "weight", shape) | ("β", "bias", shape)
                    if shape.iter().product::<usize>() == rows * cols =>
                {
                    place.range().collect()
                }
                // The rows of the file are the columns of E.
                ("E", "weight", &[entries, dim]) if (dim, entries) == (rows, cols) => {
                    place.range().collect()
                }
                _ => return fail("not the name and the shape of a block of the layer"),
            };
            let penalised = entries.iter().map(|e| place.penalised().contains(e));
            if penalised.into_iter().any(|is| is != self.penalised[i]) {
                return fail("the network penalises other entries");
            }
            all.push(entries);
        }
        let mut each: Vec<usize> = all.iter().flatten().copied().collect();
        each.sort_unstable();
        if each.iter().enumerate().any(|(i, &entry)| i != entry) {
            return Err("parameters: a block is missing, or there twice".into());
        }
        Ok(all)
    }
}
