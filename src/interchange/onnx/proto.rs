//! The messages of an ONNX file, as far as a network needs them. Numbers and types are those of
//! `onnx.proto` (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>).

use super::wire::{Field, Fields, push};
use super::{malformed, unsupported};
use crate::allocation::reserved;
use crate::interchange::InterchangeError;
use crate::number::Number;
use std::borrow::Cow;

/// The most axes of a tensor.
pub(super) const MOST_AXES: usize = 8;

type Read<T> = Result<T, InterchangeError>;

/// A file.
#[derive(Debug)]
pub(super) struct Model<'a> {
    /// The version of the operators of the default domain.
    pub(super) opset: i64,
    pub(super) graph: Graph<'a>,
}

#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) initializers: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) outputs: Vec<Input<'a>>,
}

/// An input or an output of a graph.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    /// The type of its entries, 0 if it is not a tensor.
    pub(super) kind: i64,
    pub(super) dims: Vec<Dim<'a>>,
}

/// The size of an axis of an input.
#[derive(Debug, Default)]
pub(super) struct Dim<'a> {
    pub(super) size: Option<i64>,
    pub(super) denotation: &'a str,
}

#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) operator: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: Setting<'a>,
}

/// The value of an attribute.
#[derive(Debug)]
pub(super) enum Setting<'a> {
    Float(f32),
    Int(i64),
    Text(&'a [u8]),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Box<Tensor<'a>>),
    /// A graph, or another type that no operator here uses.
    Other,
}

/// A constant.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) dims: Vec<usize>,
    /// The type of the entries, or its code if it cannot be read.
    pub(super) kind: Result<Number, i64>,
    /// The entries in their own size, the lowest byte of each first.
    pub(super) bytes: Cow<'a, [u8]>,
}

/// The type of a number, from its code.
pub(super) fn kind(code: i64) -> Option<Number> {
    Some(match code {
        1 => Number::F32,
        2 => Number::U8,
        3 => Number::I8,
        4 => Number::U16,
        5 => Number::I16,
        6 => Number::I32,
        7 => Number::I64,
        9 => Number::Bool,
        10 => Number::F16,
        11 => Number::F64,
        12 => Number::U32,
        13 => Number::U64,
        16 => Number::BF16,
        _ => return None,
    })
}

impl<'a> Model<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Read<Self> {
        let (mut opset, mut graph) = (None, None);
        for field in Fields(bytes) {
            let field = field?;
            match field.number {
                7 if graph.is_some() => return Err(malformed("there is more than one graph")),
                7 => graph = Some(Graph::read(field)?),
                8 => {
                    let (mut domain, mut version) = ("", 0);
                    for field in field.fields()? {
                        let field = field?;
                        match field.number {
                            1 => domain = field.text()?,
                            2 => version = field.int()?,
                            _ => {}
                        }
                    }
                    if is_default(domain) {
                        opset = Some(version);
                    }
                }
                25 => return Err(unsupported("it defines functions")),
                _ => {}
            }
        }
        Ok(Self {
            opset: opset.ok_or_else(|| malformed("no version of the operators is given"))?,
            graph: graph.ok_or_else(|| malformed("there is no graph"))?,
        })
    }
}

/// Returns whether the domain is that of the standard operators.
pub(super) fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Reserves room for the fields of this number, which is less than growing needs.
fn room<T>(fields: &Fields<'_>, number: u64) -> Read<Vec<T>> {
    let of_number = |field: &Read<Field<'_>>| field.as_ref().is_ok_and(|f| f.number == number);
    let count = fields.clone().filter(of_number).count();
    Ok(reserved("the graph of a file", count)?)
}

impl<'a> Graph<'a> {
    fn read(field: Field<'a>) -> Read<Self> {
        let fields = field.fields()?;
        let mut graph = Self {
            nodes: room(&fields, 1)?,
            initializers: room(&fields, 5)?,
            inputs: room(&fields, 11)?,
            outputs: room(&fields, 12)?,
        };
        for field in fields {
            let field = field?;
            match field.number {
                1 => push(&mut graph.nodes, Node::read(field)?)?,
                5 => push(&mut graph.initializers, Tensor::read(field)?)?,
                11 => push(&mut graph.inputs, Input::read(field)?)?,
                12 => push(&mut graph.outputs, Input::read(field)?)?,
                14 => return Err(unsupported("it is quantised")),
                15 => return Err(unsupported("it has a sparse tensor")),
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Input<'a> {
    fn read(field: Field<'a>) -> Read<Self> {
        let (mut name, mut kind, mut dims) = ("", 0, Vec::new());
        for field in field.fields()? {
            let field = field?;
            match field.number {
                1 => name = field.text()?,
                2 => {
                    for field in field.fields()? {
                        let field = field?;
                        if field.number == 1 {
                            (kind, dims) = tensor_type(field)?;
                        }
                    }
                }
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(malformed("an input or an output has no name"));
        }
        Ok(Self { name, kind, dims })
    }
}

fn tensor_type(field: Field<'_>) -> Read<(i64, Vec<Dim<'_>>)> {
    let (mut kind, mut dims) = (0, Vec::new());
    for field in field.fields()? {
        let field = field?;
        match field.number {
            1 => kind = field.int()?,
            2 => {
                for field in field.fields()? {
                    let field = field?;
                    if field.number == 1 {
                        push(&mut dims, Dim::read(field)?)?;
                    }
                    if dims.len() > MOST_AXES {
                        return Err(unsupported("an input has more than 8 axes"));
                    }
                }
            }
            _ => {}
        }
    }
    Ok((kind, dims))
}

impl<'a> Dim<'a> {
    fn read(field: Field<'a>) -> Read<Self> {
        let mut dim = Self::default();
        for field in field.fields()? {
            let field = field?;
            match field.number {
                1 => dim.size = Some(field.int()?),
                3 => dim.denotation = field.text()?,
                _ => {}
            }
        }
        Ok(dim)
    }
}

impl<'a> Node<'a> {
    fn read(field: Field<'a>) -> Read<Self> {
        let mut node = Self::default();
        for field in field.fields()? {
            let field = field?;
            match field.number {
                1 => push(&mut node.inputs, field.text()?)?,
                2 => push(&mut node.outputs, field.text()?)?,
                3 => node.name = field.text()?,
                4 => node.operator = field.text()?,
                5 => push(&mut node.attributes, Attribute::read(field)?)?,
                7 => node.domain = field.text()?,
                _ => {}
            }
        }
        if node.operator.is_empty() || node.outputs.is_empty() {
            return Err(malformed("a node has no operator or no output"));
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn read(field: Field<'a>) -> Read<Self> {
        let (mut name, mut value, mut code) = ("", None, 0);
        let (mut ints, mut floats) = (Vec::new(), Vec::new());
        for field in field.fields()? {
            let field = field?;
            match field.number {
                1 => name = field.text()?,
                2 => value = Some(Setting::Float(field.float()?)),
                3 => value = Some(Setting::Int(field.int()?)),
                4 => value = Some(Setting::Text(field.bytes()?)),
                5 => value = Some(Setting::Tensor(Box::new(Tensor::read(field)?))),
                7 => field.push_floats(&mut floats)?,
                8 => field.push_ints(&mut ints)?,
                20 => code = field.int()?,
                13 => {}
                _ => value = Some(Setting::Other),
            }
        }
        if name.is_empty() {
            return Err(malformed("an attribute has no name"));
        }
        // An empty list has no field of its own.
        let value = value.unwrap_or(match code {
            _ if !ints.is_empty() || code == 7 => Setting::Ints(ints),
            _ if !floats.is_empty() || code == 6 => Setting::Floats(floats),
            _ => Setting::Other,
        });
        Ok(Self { name, value })
    }
}

impl<'a> Tensor<'a> {
    fn read(field: Field<'a>) -> Read<Self> {
        let (mut name, mut dims, mut code) = ("", Vec::new(), 0);
        let (mut bytes, mut ints, mut is_external) = (None, Vec::new(), false);
        for field in field.fields()? {
            let field = field?;
            match field.number {
                1 => field.push_ints(&mut dims)?,
                2 => code = field.int()?,
                4 | 9 | 10 if bytes.is_some() => {
                    return Err(malformed("the entries of a tensor are given twice"));
                }
                4 | 9 | 10 => bytes = Some((field.number, field.bytes()?)),
                5 | 7 | 11 => field.push_ints(&mut ints)?,
                8 => name = field.text()?,
                13 => is_external = true,
                14 => is_external |= field.int()? != 0,
                _ => {}
            }
        }
        if dims.len() > MOST_AXES {
            return Err(unsupported(format!(
                "the tensor {name:?} has more than 8 axes"
            )));
        }
        if is_external {
            return Err(unsupported(format!(
                "the tensor {name:?} is in another file"
            )));
        }
        let dims: Option<Vec<usize>> = dims.iter().map(|&dim| dim.try_into().ok()).collect();
        let dims = dims.ok_or_else(|| malformed("a tensor has a negative size"))?;
        let kind = kind(code).ok_or(code);
        let bytes = match (kind, bytes) {
            (Err(_), _) => Cow::default(),
            (Ok(_), Some((9, bytes)))
            | (Ok(Number::F32), Some((4, bytes)))
            | (Ok(Number::F64), Some((10, bytes))) => Cow::Borrowed(bytes),
            (Ok(kind), None) if !matches!(kind, Number::F32 | Number::F64) => {
                let mut bytes = reserved("a tensor", ints.len().saturating_mul(kind.size()))?;
                for value in ints {
                    bytes.extend_from_slice(&value.to_le_bytes()[..kind.size()]);
                }
                Cow::Owned(bytes)
            }
            (Ok(_), None) if ints.is_empty() => Cow::default(),
            _ => {
                return Err(malformed(format!(
                    "the entries of {name:?} have another type"
                )));
            }
        };
        Ok(Self {
            name,
            dims,
            kind,
            bytes,
        })
    }
}
