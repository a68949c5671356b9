//! How programs that name layers as PyTorch does see a layer.

use super::Plan;

/// The modules of an `nn.Sequential` that a layer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Modules {
    /// Their number: 2 for a dense layer with an activation.
    pub(crate) count: usize,
    /// The number of last axes of the input that the tensors of a norm span.
    pub(crate) axes: usize,
}

impl Default for Modules {
    fn default() -> Self {
        Self { count: 1, axes: 1 }
    }
}

impl Plan {
    /// Declares that an activation follows as a module of its own.
    pub(crate) fn with_activation_module(mut self, is_one: bool) -> Self {
        self.modules.count = 1 + usize::from(is_one);
        self
    }

    /// Declares that γ and β have the shape of the last `axes` axes.
    pub(crate) fn spans_axes(mut self, axes: usize) -> Self {
        self.modules.axes = axes;
        self
    }
}
