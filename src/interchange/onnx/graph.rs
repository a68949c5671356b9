//! The values of a graph: which are constants, which depend on the input, and through which others
//! all paths to a value lead.

use super::constant::Constant;
use super::proto::{self, Node, is_default};
use super::sizes::Size;
use super::wire::push;
use super::{malformed, unsupported};
use crate::interchange::InterchangeError;
use std::collections::BTreeMap;

/// The newest version of the operators that this reader knows.
const NEWEST: i64 = 27;

/// A value of a graph.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// One that depends on the input: a vertex, 0 for the input itself.
    Moving(usize),
    Constant(Box<Constant<'a>>),
    /// A tensor that has been checked, which becomes a constant where it is read.
    Tensor(&'a proto::Tensor<'a>),
    /// What a node computes from constants.
    Computed(&'a Node<'a>),
    /// A further output of a node, such as the mask of a dropout, or what is computed from it.
    Further(&'a Node<'a>),
    /// The shape of a value that depends on the input, or a list of integers made of it.
    Shape,
    Sizes(Vec<Size>),
    /// An input that is left out.
    Absent,
}

/// A vertex of the graph of all values that depend on the input.
#[derive(Clone, Copy, Debug)]
struct Vertex<'a> {
    /// `None` for the input.
    node: Option<&'a Node<'a>>,
    /// The last vertex through which all paths from the input to this one lead.
    parent: usize,
    /// One of the parents of the parent, so that a search is short.
    jump: usize,
    depth: usize,
}

/// A graph whose values are known.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    values: BTreeMap<&'a str, Value<'a>>,
    vertices: Vec<Vertex<'a>>,
    pub(super) input: &'a proto::Input<'a>,
    /// Whether a node reads a shape, and takes its first axis for that of the examples.
    pub(super) reads_shapes: bool,
    /// The vertices whose shapes are read.
    pub(super) shaped: Vec<usize>,
}

/// Returns an error about a node.
pub(super) fn refused(node: &Node<'_>, reason: impl Into<String>) -> InterchangeError {
    let name = match node.name {
        "" => node.outputs.first().copied().unwrap_or_default(),
        name => name,
    };
    let operator = if is_default(node.domain) {
        node.operator.to_owned()
    } else {
        format!("{}.{}", node.domain, node.operator)
    };
    InterchangeError::Operator {
        node: name.to_owned(),
        operator,
        reason: reason.into(),
    }
}

impl<'a> Graph<'a> {
    pub(super) fn new(model: &'a proto::Model<'a>) -> Result<Self, InterchangeError> {
        let (graph, opset) = (&model.graph, model.opset);
        if !(13..=NEWEST).contains(&opset) {
            return Err(unsupported(format!(
                "its operators have the version {opset}, expected 13 to {NEWEST}; \
                 `onnx.version_converter` of Python converts them"
            )));
        }
        let mut values = BTreeMap::new();
        for tensor in &graph.initializers {
            Constant::new(tensor)?; // checks it
            define(&mut values, tensor.name, Value::Tensor(tensor))?;
        }
        let inputs = graph.inputs.iter();
        let mut inputs = inputs.filter(|input| !values.contains_key(input.name));
        let input = inputs.next().ok_or_else(|| malformed("it has no input"))?;
        let more = inputs.count();
        if more > 0 {
            return Err(unsupported(format!(
                "it has {} inputs, expected one",
                more + 1
            )));
        }
        define(&mut values, input.name, Value::Moving(0))?;
        let vertices = vec![Vertex {
            node: None,
            parent: 0,
            jump: 0,
            depth: 0,
        }];
        let mut all = Self {
            values,
            vertices,
            input,
            reads_shapes: false,
            shaped: Vec::new(),
        };
        for node in &graph.nodes {
            all.add(node)?;
        }
        Ok(all)
    }

    /// Adds the outputs of a node.
    fn add(&mut self, node: &'a Node<'a>) -> Result<(), InterchangeError> {
        let (mut parent, mut further) = (None, None);
        for &name in &node.inputs {
            let known = name.is_empty() || self.values.contains_key(name);
            if !known {
                return Err(malformed(format!(
                    "the node {:?} reads {name:?}, which no node before it computes",
                    node.name
                )));
            }
            match self.value(name) {
                Value::Moving(vertex) => {
                    parent = Some(parent.map_or(vertex, |other| self.common(other, vertex)));
                }
                Value::Further(node) => further = Some(node),
                _ => {}
            }
        }
        let shape = self.shape_value(node);
        self.reads_shapes |= shape.is_some();
        if shape.is_some()
            && let Some(vertex) = self.moving(node, 0)
        {
            push(&mut self.shaped, vertex)?;
        }
        let value = match (shape, parent, further) {
            (Some(shape), ..) => shape,
            (None, Some(parent), _) => {
                let jump = self.vertices[parent].jump;
                let depth = |vertex: usize| self.vertices[vertex].depth;
                let is_even = depth(parent) + depth(self.vertices[jump].jump) == 2 * depth(jump);
                let vertex = Vertex {
                    node: Some(node),
                    parent,
                    jump: if is_even {
                        self.vertices[jump].jump
                    } else {
                        parent
                    },
                    depth: depth(parent) + 1,
                };
                push(&mut self.vertices, vertex)?;
                Value::Moving(self.vertices.len() - 1)
            }
            (None, None, Some(node)) => Value::Further(node),
            (None, None, None) => match self.constant_of(node)? {
                Some(constant) => Value::Constant(Box::new(constant)),
                None => Value::Computed(node),
            },
        };
        let mut value = Some(value);
        for &name in node.outputs.iter().filter(|name| !name.is_empty()) {
            define(
                &mut self.values,
                name,
                value.take().unwrap_or(Value::Further(node)),
            )?;
        }
        Ok(())
    }

    /// Returns the last vertex through which all paths to both lead.
    pub(super) fn common(&self, mut a: usize, mut b: usize) -> usize {
        let at = |vertex: usize| self.vertices[vertex];
        while at(a).depth != at(b).depth {
            if at(a).depth < at(b).depth {
                std::mem::swap(&mut a, &mut b);
            }
            let far = at(a).jump;
            a = if at(far).depth >= at(b).depth {
                far
            } else {
                at(a).parent
            };
        }
        while a != b {
            (a, b) = if at(a).jump == at(b).jump {
                (at(a).parent, at(b).parent)
            } else {
                (at(a).jump, at(b).jump)
            };
        }
        a
    }

    /// Returns the value of a node that reads only constants, if it only renames or reshapes one.
    fn constant_of(&self, node: &'a Node<'a>) -> Result<Option<Constant<'a>>, InterchangeError> {
        if !is_default(node.domain) {
            return Ok(None);
        }
        if node.operator == "Constant" {
            let setting = node.attributes.iter().map(|attribute| &attribute.value);
            let mut constants = setting.filter_map(Constant::of_setting);
            return constants.next().transpose();
        }
        let Value::Constant(from) = self.operand(node, 0) else {
            return Ok(None);
        };
        let rank = from.dims.len();
        Ok(match node.operator {
            "Identity" => Some(*from),
            // Numbers are not rounded on the way.
            "Cast" if node.casts_to_float() => Some(*from),
            "Cast" => {
                let to = node.int("to", 0)?;
                let fits = |value: &i64| match to {
                    6 => i32::try_from(*value).is_ok(),
                    to => to == 7,
                };
                let fits = from.ints().is_some_and(|values| values.iter().all(fits));
                fits.then_some(*from)
            }
            "Transpose" => {
                let order = node.ints("perm")?.map(|order| {
                    let order = order.iter().map(|&axis| usize::try_from(axis).ok());
                    order.collect::<Option<Vec<_>>>()
                });
                let order = order.unwrap_or_else(|| Some((0..rank).rev().collect()));
                order.and_then(|order| from.transposed(&order))
            }
            "Reshape" => self.ints(node, 1).and_then(|dims| {
                let dims = dims.iter().map(|&dim| usize::try_from(dim).ok());
                from.reshaped(dims.collect::<Option<_>>()?)
            }),
            "Squeeze" => {
                let axes = match self.operand(node, 1) {
                    Value::Absent => Some(Vec::new()),
                    _ => self.ints(node, 1),
                };
                let Some(axes) = axes else {
                    return Ok(None);
                };
                let axes: Vec<_> = axes.iter().map(|&axis| from_end(axis, rank)).collect();
                let dims = from.dims.iter().enumerate().filter(|&(axis, &size)| {
                    size != 1 || !(axes.is_empty() || axes.contains(&Some(axis)))
                });
                let dims = dims.map(|(_, &size)| size).collect();
                from.reshaped(dims)
            }
            _ => None,
        })
    }

    fn value(&self, name: &str) -> Value<'a> {
        let value = match self.values.get(name) {
            Some(Value::Tensor(tensor)) => {
                let constant = Constant::new(tensor);
                constant
                    .ok()
                    .map(|constant| Value::Constant(Box::new(constant)))
            }
            value => value.cloned(),
        };
        value.unwrap_or(Value::Absent)
    }

    /// Returns an input of a node.
    pub(super) fn operand(&self, node: &Node<'_>, index: usize) -> Value<'a> {
        let name = node.inputs.get(index).copied().unwrap_or_default();
        self.value(name)
    }

    /// Returns the vertex of an input of a node, if it depends on the input of the graph.
    pub(super) fn moving(&self, node: &Node<'_>, index: usize) -> Option<usize> {
        match self.operand(node, index) {
            Value::Moving(vertex) => Some(vertex),
            _ => None,
        }
    }

    /// Returns the vertices of all inputs of a node that depend on the input of the graph.
    pub(super) fn all_moving(&self, node: &Node<'_>) -> Vec<usize> {
        let all = 0..node.inputs.len();
        all.filter_map(|index| self.moving(node, index)).collect()
    }

    pub(super) fn constant(&self, node: &Node<'_>, index: usize) -> Option<Constant<'a>> {
        match self.operand(node, index) {
            Value::Constant(constant) => Some(*constant),
            _ => None,
        }
    }

    /// Returns the node that computes an input of a node from constants.
    pub(super) fn computed(&self, node: &Node<'_>, index: usize) -> Option<&'a Node<'a>> {
        match self.operand(node, index) {
            Value::Computed(node) => Some(node),
            _ => None,
        }
    }

    /// Returns an input of a node that is a single number.
    pub(super) fn scalar(&self, node: &Node<'_>, index: usize) -> Option<f64> {
        self.constant(node, index)?.scalar()
    }

    /// Returns an input of a node that is a list of integers.
    pub(super) fn ints(&self, node: &Node<'_>, index: usize) -> Option<Vec<i64>> {
        self.constant(node, index)?.ints()
    }

    /// Returns the node of a vertex; the input has none.
    pub(super) fn node(&self, vertex: usize) -> Option<&'a Node<'a>> {
        self.vertices[vertex].node
    }

    /// Returns the node of a vertex if it is this operator of the standard domain.
    pub(super) fn node_if(&self, vertex: usize, operator: &str) -> Option<&'a Node<'a>> {
        let node = self.node(vertex)?;
        node.is(operator).then_some(node)
    }

    /// Returns the last vertex through which all paths to this one lead.
    pub(super) fn parent(&self, vertex: usize) -> usize {
        self.vertices[vertex].parent
    }

    /// Returns the number of vertices through which all paths to this one lead.
    pub(super) fn depth(&self, vertex: usize) -> usize {
        self.vertices[vertex].depth
    }

    /// Returns the number of vertices.
    pub(super) fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Returns the vertex of an output.
    pub(super) fn end(&self, name: &str) -> Result<usize, InterchangeError> {
        match self.value(name) {
            Value::Moving(vertex) => Ok(vertex),
            Value::Further(node) => Err(refused(node, "only its first output is read")),
            Value::Absent => Err(malformed(format!("no node computes its output {name:?}"))),
            _ => Err(unsupported(format!(
                "its output {name:?} does not depend on the input"
            ))),
        }
    }
}

fn define<'a>(
    values: &mut BTreeMap<&'a str, Value<'a>>,
    name: &'a str,
    value: Value<'a>,
) -> Result<(), InterchangeError> {
    if values.insert(name, value).is_some() || name.is_empty() {
        return Err(malformed(format!(
            "more than one value has the name {name:?}"
        )));
    }
    Ok(())
}

/// Returns an axis that may be counted from the end.
pub(super) fn from_end(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        rank.checked_sub(usize::try_from(axis.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(axis).ok()?
    };
    (axis < rank).then_some(axis)
}
