//! A network from the bytes of a file.

use super::assemble::Assembler;
use super::chain::Divider;
use super::graph::Graph;
use super::proto::{Input, Model};
use super::unsupported;
use crate::activation::AnyActivation;
use crate::file_scalar::FileScalar;
use crate::interchange::{InterchangeError, Options};
use crate::layer::{Activate, AnyLayer};
use crate::network::Network;
use crate::shape::Shape;

pub(super) fn network<T: FileScalar>(
    bytes: &[u8],
    options: &Options<'_>,
) -> Result<Network<T>, InterchangeError> {
    let model = Model::read(bytes)?;
    let graph = Graph::new(&model)?;
    let mut divider = Divider::new(&graph);
    let steps = divider.all(&model.graph.outputs)?;
    let reads_strays = divider.reads_strays();
    let mut is_signal = graph
        .input
        .dims
        .get(1)
        .is_some_and(|dim| dim.denotation == CHANNEL);
    loop {
        let shape = shape(graph.input, is_signal)?;
        let mut assembler = Assembler {
            graph: &graph,
            options,
            theta: Vec::new(),
            state: Vec::new(),
            most: bytes.len(),
            wants_signal: false,
            reads_strays,
        };
        let layers = match assembler.layers(&steps, shape) {
            // Two axes of an example may be those of a sequence or of a signal.
            Err(_) if assembler.wants_signal && !is_signal => {
                is_signal = true;
                continue;
            }
            layers => layers?,
        };
        let mut layers = layers.layers;
        if layers.is_empty() {
            layers.push(AnyLayer::Activate(Activate::new(AnyActivation::Identity)));
        }
        let mut network = Network::from_layers(shape, layers, &assembler.theta)?;
        network.set_state(&assembler.state)?;
        return Ok(network);
    }
}

/// What the axes of an input are called.
pub(super) const CHANNEL: &str = "DATA_CHANNEL";

/// Returns the shape of one example of an input.
fn shape(input: &Input<'_>, is_signal: bool) -> Result<Shape, InterchangeError> {
    let name = input.name;
    let sizes = input.dims.iter().skip(1).map(|dim| {
        let size = dim.size.and_then(|size| usize::try_from(size).ok());
        size.filter(|&size| size > 0)
    });
    let sizes = sizes.collect::<Option<Vec<_>>>().ok_or_else(|| {
        unsupported(format!(
            "the size of an axis of its input {name:?} is not given"
        ))
    })?;
    Ok(match sizes[..] {
        [units] => Shape::Units(units),
        [channels, length] if is_signal => Shape::Signal { channels, length },
        [steps, features] => Shape::Sequence { steps, features },
        [channels, height, width] => Shape::Image {
            channels,
            height,
            width,
        },
        _ => {
            let rank = input.dims.len();
            let message = format!("its input {name:?} has {rank} axes, expected 2 to 4");
            return Err(unsupported(message));
        }
    })
}
