//! The tensors of a network: their names, shapes and places.

use super::strides::row_major;
use super::{InterchangeError, Options};
use crate::layer::{Block, Layer, Plan, StateBlock};
use crate::network::Network;
use crate::path::Path;
use crate::scalar::Scalar;
use std::collections::BTreeSet;

/// A tensor of a network, as files hold it.
///
/// # Example
/// [`tensors`](super::tensors) lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorPlace {
    /// The layer, counted as this crate does: a dense layer with an activation is one.
    pub layer: Path,
    /// The parameter of the layer, such as `weight` or `running_mean`.
    pub parameter: String,
    /// The name in files.
    pub name: String,
    /// The shape in files, such as \[outputs, inputs\] for the weights of a dense layer. It is
    /// empty for a single number.
    pub shape: Vec<usize>,
}

/// Lists the tensors of a network in the order of its layers, with the names of `options`.
///
/// # Errors
/// Returns [`InterchangeError::Name`] if two tensors have the same name.
///
/// # Example
/// A dense layer with an activation counts as two modules, `Linear` and `Tanh`:
/// ```
/// use backprop::Network;
/// use backprop::activation::{Identity, Tanh};
/// use backprop::interchange::{Options, tensors};
///
/// let builder = Network::<f64>::builder(4).dense(5, Tanh).batch_norm();
/// let network = builder.residual(|body| body.dense(5, Identity)).zeros()?;
/// let found = tensors(&network, &Options::new())?;
/// let found: Vec<_> = found.iter().map(|t| (&t.name[..], &t.shape[..])).collect();
/// assert_eq!(found, [
///     ("0.weight", &[5, 4][..]),
///     ("0.bias", &[5]),
///     ("2.weight", &[5]),
///     ("2.bias", &[5]),
///     ("2.running_mean", &[5]),
///     ("2.running_var", &[5]),
///     ("2.num_batches_tracked", &[]),
///     ("3.body.0.weight", &[5, 5]),
///     ("3.body.0.bias", &[5]),
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("state_dict", "named_parameters", "named_buffers"))]
pub fn tensors<T: Scalar, L: Layer<T>>(
    network: &Network<T, L>,
    options: &Options<'_>,
) -> Result<Vec<TensorPlace>, InterchangeError> {
    let slots = slots(network, options)?;
    Ok(slots.into_iter().map(|slot| slot.place).collect())
}

/// A tensor, and where its entries are in the network.
#[cfg_attr(
    not(any(feature = "npz", feature = "safetensors")),
    expect(dead_code, reason = "only files of tensors need it")
)]
pub(super) struct Slot {
    pub(super) place: TensorPlace,
    pub(super) entries: Entries,
}

/// Where the entries of a tensor are.
#[cfg_attr(
    not(any(feature = "npz", feature = "safetensors")),
    expect(dead_code, reason = "only files of tensors need it")
)]
pub(super) enum Entries {
    /// In θ: entry (i, j, …) at start + Σ index · stride.
    Theta { start: usize, strides: Vec<usize> },
    /// In the state, one after the other. Each is at least this number.
    State { start: usize, least: f64 },
    /// The number of batches that a batch norm has seen, at this position of the state. With a
    /// momentum it does not matter, and the network does not have it.
    Batches { at: Option<usize> },
}

/// Lists the tensors of a network with their entries.
pub(super) fn slots<T: Scalar, L: Layer<T>>(
    network: &Network<T, L>,
    options: &Options<'_>,
) -> Result<Vec<Slot>, InterchangeError> {
    let mut list = List::default();
    list.add(network.layout().plan(), &Path::default(), "");
    let mut names = BTreeSet::new();
    for Slot { place, .. } in &mut list.slots {
        options.rename(place);
        let reason = match place.name.as_str() {
            "" => "is empty",
            "__metadata__" => "is reserved for the metadata of safetensors",
            name if !names.insert(name.to_owned()) => "is that of another tensor",
            _ => continue,
        };
        return Err(InterchangeError::Name {
            tensor: place.name.clone(),
            layer: place.layer.clone(),
            parameter: place.parameter.clone(),
            reason,
        });
    }
    Ok(list.slots)
}

/// The tensors so far, with the lengths of θ and of the state that they take up.
#[derive(Default)]
struct List {
    slots: Vec<Slot>,
    theta: usize,
    state: usize,
}

/// The parameter of a block that other programs know by another name.
fn known(symbol: &str) -> &str {
    match symbol {
        "γ" | "E" => "weight",
        "β" => "bias",
        "μ" => "running_mean",
        "σ²" => "running_var",
        other => other,
    }
}

impl List {
    /// Adds the tensors of a layer and of those inside it, in the order of θ and of the state.
    fn add(&mut self, plan: &Plan, layer: &Path, prefix: &str) {
        for block in &plan.blocks {
            self.add_block(plan, block, layer, prefix);
        }
        self.add_state(&plan.state_blocks, layer, prefix);
        let mut module = 0;
        for (i, child) in plan.children.iter().enumerate() {
            let key = plan.branch_key(i).unwrap_or_else(|| module.to_string());
            self.add(&child.plan, &layer.child(i), &format!("{prefix}{key}."));
            module += child.plan.modules.count;
        }
    }

    fn add_block(&mut self, plan: &Plan, block: &Block, layer: &Path, prefix: &str) {
        let Block {
            rows,
            cols,
            penalised_from_column: bias,
            ..
        } = *block;
        let start = self.theta;
        self.theta += rows * cols;
        let mut push = |parameter: &str, start: usize, shape: Vec<usize>, strides: Vec<usize>| {
            let place = place(layer, prefix, parameter, shape);
            let entries = Entries::Theta { start, strides };
            self.slots.push(Slot { place, entries });
        };
        let parameter = known(&block.name);
        match &*block.name {
            // [b W], column by column.
            "Θ" if bias < 2 && bias < cols => {
                let shape = vec![rows, cols - bias];
                push("weight", start + rows * bias, shape, vec![1, rows]);
                if bias == 1 {
                    push("bias", start, vec![rows], vec![1]);
                }
            }
            // Its columns are the rows of the tensor.
            "E" => push(parameter, start, vec![cols, rows], vec![rows, 1]),
            "γ" | "β" if cols == 1 => {
                let sizes = plan.input().last_sizes(plan.modules.axes);
                let shape = if sizes.iter().product::<usize>() == rows {
                    sizes
                } else {
                    vec![rows] // of channels
                };
                let strides = row_major(&shape);
                push(parameter, start, shape, strides);
            }
            _ if cols == 1 => push(parameter, start, vec![rows], vec![1]),
            _ => push(parameter, start, vec![rows, cols], vec![1, rows]),
        }
    }

    fn add_state(&mut self, blocks: &[StateBlock], layer: &Path, prefix: &str) {
        let names: Vec<&str> = blocks.iter().map(|block| &*block.name).collect();
        let is_batch_norm = matches!(names[..], ["μ", "σ²"] | ["μ", "σ²", "n"]);
        let mut at = None;
        for block in blocks {
            let start = self.state;
            self.state += block.len;
            if is_batch_norm && block.name == "n" {
                at = Some(start);
                continue;
            }
            let least = block.least;
            self.slots.push(Slot {
                place: place(layer, prefix, known(&block.name), vec![block.len]),
                entries: Entries::State { start, least },
            });
        }
        if is_batch_norm {
            self.slots.push(Slot {
                place: place(layer, prefix, "num_batches_tracked", Vec::new()),
                entries: Entries::Batches { at },
            });
        }
    }
}

fn place(layer: &Path, prefix: &str, parameter: &str, shape: Vec<usize>) -> TensorPlace {
    TensorPlace {
        layer: layer.clone(),
        parameter: parameter.to_owned(),
        name: format!("{prefix}{parameter}"),
        shape,
    }
}
