//! The bytes of a graph, node by node.

use super::read::CHANNEL;
use super::unsupported;
use super::wire::Message;
use crate::file_scalar::FileScalar;
use crate::interchange::{InterchangeError, Options, TensorPlace, tensors};
use crate::layer::{AnyLayer, Layer};
use crate::network::Network;
use crate::path::Path;
use crate::scalar::to_f64;
use crate::shape::Shape;

/// The version of the operators, and that of the format to which it belongs.
pub(super) const OPSET: i64 = 17;
const FORMAT: i64 = 8;

/// The most bytes of a file: a limit of protocol buffers.
const MOST_BYTES: usize = (1 << 31) - 1;

/// A result, with an error of this module.
pub(super) type Done<T = ()> = Result<T, InterchangeError>;

/// The value of an attribute.
#[derive(Clone, Copy)]
pub(super) enum Setting<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f64),
}

/// The layer that is being written, for names and messages.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) path: Path,
    pub(super) name: String,
}

impl Site {
    pub(super) fn refused(&self, reason: &'static str) -> InterchangeError {
        InterchangeError::Layer {
            layer: self.path.clone(),
            name: self.name.clone(),
            reason,
        }
    }
}

/// A graph that is being written.
pub(super) struct Writer<'n, T> {
    graph: Message,
    /// Whether the numbers are `f64`.
    pub(super) is_double: bool,
    /// The number of nodes so far.
    nodes: usize,
    scalars: Vec<f64>,
    places: std::vec::IntoIter<TensorPlace>,
    /// The parameters and the state that are not yet written.
    pub(super) theta: &'n [T],
    pub(super) state: &'n [T],
}

/// Takes the first numbers off a list.
pub(super) fn take<'n, T>(from: &mut &'n [T], len: usize) -> &'n [T] {
    let (first, rest) = from.split_at(len.min(from.len()));
    *from = rest;
    first
}

impl<T: FileScalar> Writer<'_, T> {
    fn code(&self) -> i64 {
        if self.is_double { 11 } else { 1 }
    }

    /// Writes a node, and returns its output.
    pub(super) fn node(
        &mut self,
        site: &Site,
        operator: &str,
        inputs: &[&str],
        settings: &[(&str, Setting<'_>)],
    ) -> Done<String> {
        self.nodes += 1;
        let name = format!("/{}/{operator}_{}", site.path, self.nodes);
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input)?;
        }
        node.text(2, &name)?;
        node.text(3, &name)?;
        node.text(4, operator)?;
        for &(name, setting) in settings {
            let mut attribute = Message::default();
            attribute.text(1, name)?;
            let code = match setting {
                Setting::Float(value) => {
                    attribute.float(2, single(site, value)?);
                    1
                }
                Setting::Int(value) => {
                    attribute.int(3, value);
                    2
                }
                Setting::Ints(values) => {
                    values.iter().for_each(|&value| attribute.int(8, value));
                    7
                }
            };
            attribute.int(20, code);
            node.message(5, &attribute)?;
        }
        self.graph.message(1, &node)?;
        Ok(name)
    }

    fn tensor(&mut self, name: &str, dims: &[usize], code: i64, bytes: &[u8]) -> Done {
        let mut tensor = Message::default();
        dims.iter().for_each(|&dim| tensor.int(1, dim as i64));
        tensor.int(2, code);
        tensor.text(8, name)?;
        tensor.bytes(9, bytes)?;
        self.graph.message(5, &tensor)
    }

    /// Writes the next tensor of the network, and returns its name. The numbers come in row-major
    /// order, and the shape is that of the tensor unless another one is given.
    pub(super) fn parameter(
        &mut self,
        site: &Site,
        dims: Option<&[usize]>,
        numbers: impl Iterator<Item = T>,
    ) -> Done<String> {
        let place = self.places.next();
        let place = place.ok_or_else(|| site.refused("it has more tensors than its plan"))?;
        let size = if self.is_double { 8 } else { 4 };
        let len: usize = place.shape.iter().product();
        let len = len.checked_mul(size).filter(|&len| len <= MOST_BYTES);
        let len = len.ok_or_else(too_long)?;
        let mut bytes = crate::allocation::reserved("a tensor", len)?;
        for (entry, number) in numbers.enumerate() {
            let value = to_f64(number);
            if self.is_double {
                bytes.extend_from_slice(&value.to_le_bytes());
                continue;
            }
            let single = value as f32;
            if !single.is_finite() {
                return Err(InterchangeError::NonFinite {
                    tensor: place.name,
                    entry,
                    value,
                    scalar: "f32",
                });
            }
            bytes.extend_from_slice(&single.to_le_bytes());
        }
        self.tensor(
            &place.name,
            dims.unwrap_or(&place.shape),
            self.code(),
            &bytes,
        )?;
        Ok(place.name)
    }

    /// Skips a tensor that a graph does not need.
    pub(super) fn skip_parameter(&mut self) {
        self.places.next();
    }

    /// Returns the name of a constant, which is written where it is first needed.
    pub(super) fn scalar(&mut self, site: &Site, value: f64) -> Done<String> {
        let same = |other: &f64| other.to_bits() == value.to_bits();
        let known = self.scalars.iter().position(same);
        let index = known.unwrap_or(self.scalars.len());
        let name = format!("constant_{index}");
        if known.is_none() {
            self.scalars.push(value);
            let code = self.code();
            if self.is_double {
                self.tensor(&name, &[], code, &value.to_le_bytes())?;
            } else {
                let value = single(site, value)?;
                self.tensor(&name, &[], code, &value.to_le_bytes())?;
            }
        }
        Ok(name)
    }

    /// Writes a list of one integer, and returns its name.
    pub(super) fn index(&mut self, value: i64) -> Done<String> {
        self.nodes += 1;
        let name = format!("index_{}", self.nodes);
        self.tensor(&name, &[1], 7, &value.to_le_bytes())?;
        Ok(name)
    }

    /// Writes an input or an output.
    fn value(&mut self, number: u64, name: &str, shape: Shape) -> Done {
        let sizes = shape.last_sizes(shape.axes());
        let names: &[&str] = match shape {
            Shape::Units(_) => &["DATA_FEATURE"],
            Shape::Sequence { .. } => &["DATA_TIME", "DATA_FEATURE"],
            Shape::Signal { .. } => &[CHANNEL, "DATA_FEATURE"],
            Shape::Image { .. } => &[CHANNEL, "DATA_FEATURE", "DATA_FEATURE"],
        };
        let mut batch = Message::default();
        batch.text(2, "N")?;
        batch.text(3, "DATA_BATCH")?;
        let mut dims = Message::default();
        dims.message(1, &batch)?;
        for (&size, name) in sizes.iter().zip(names) {
            let mut dim = Message::default();
            dim.int(1, i64::try_from(size).map_err(|_| too_long())?);
            dim.text(3, name)?;
            dims.message(1, &dim)?;
        }
        let mut tensor = Message::default();
        tensor.int(1, self.code());
        tensor.message(2, &dims)?;
        let mut kind = Message::default();
        kind.message(1, &tensor)?;
        let mut value = Message::default();
        value.text(1, name)?;
        value.message(2, &kind)?;
        self.graph.message(number, &value)
    }
}

/// Returns a constant of a layer as an `f32`.
fn single(site: &Site, value: f64) -> Done<f32> {
    let single = value as f32;
    let is_lost = single == 0.0 && value != 0.0 || single.is_infinite() && value.is_finite();
    if is_lost {
        return Err(site.refused("one of its constants is too small or too large for an `f32`"));
    }
    Ok(single)
}

fn too_long() -> InterchangeError {
    unsupported("it would be larger than 2 GiB, the limit of protocol buffers")
}

/// Returns the file of a network.
pub(super) fn network<T: FileScalar, C: Layer<T>>(
    network: &Network<T, AnyLayer<C>>,
    is_double: bool,
) -> Done<Vec<u8>> {
    let plan = network.layout().plan();
    let mut writer = Writer {
        graph: Message::default(),
        is_double,
        nodes: 0,
        scalars: Vec::new(),
        places: tensors(network, &Options::new())?.into_iter(),
        theta: network.theta().as_slice(),
        state: network.state().as_slice(),
    };
    writer.graph.text(2, "network")?;
    writer.value(11, "x", plan.input())?;
    let end = writer.layers(network.layers(), plan, &Path::default(), "x".to_owned())?;
    let mut node = Message::default();
    node.text(1, &end)?;
    for number in [2, 3] {
        node.text(number, "y")?;
    }
    node.text(4, "Identity")?;
    writer.graph.message(1, &node)?;
    writer.value(12, "y", plan.output())?;
    let mut model = Message::default();
    model.int(1, FORMAT);
    model.text(2, "backprop")?;
    model.text(3, env!("CARGO_PKG_VERSION"))?;
    model.message(7, &writer.graph)?;
    let mut opset = Message::default();
    opset.text(1, "")?;
    opset.int(2, OPSET);
    model.message(8, &opset)?;
    let bytes = model.into_bytes();
    if bytes.len() > MOST_BYTES {
        return Err(too_long());
    }
    Ok(bytes)
}
