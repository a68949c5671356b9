//! The position of a layer, and what its outputs are for others.

use super::memory::Place;
use crate::activation::AnyActivation;
use crate::error::Error;
use crate::link::Link;
use crate::path::Path;
use crate::shape::Shape;

/// The maximum depth of nested layers. Deeper recursion could exhaust the stack of a thread.
const DEEPEST: usize = 32;

/// The position of a layer: what it is asked for its [`Plan`](super::Plan).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Site {
    /// The shape of the input.
    pub input: Shape,
    /// Whether a cost reads the output. The layer then keeps z, if it has one.
    pub tail: bool,
    depth: usize,
}

impl Site {
    /// Returns the position of a layer that is a network by itself.
    #[must_use]
    pub fn new(input: impl Into<Shape>) -> Self {
        Self {
            input: input.into(),
            tail: true,
            depth: 0,
        }
    }

    /// Returns the position of a layer whose output feeds another layer.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self {
            tail: false,
            ..self
        }
    }

    /// Checks the number of inputs that a layer declares: the size of the last axis.
    ///
    /// # Errors
    /// Returns [`Error::LayerInputs`] if it is another.
    pub fn check_inputs(self, inputs: usize) -> Result<(), Error> {
        let expected = self.input.last_axis();
        if inputs == expected {
            return Ok(());
        }
        Err(Error::LayerInputs {
            layer: Path::default(),
            expected,
            found: inputs,
        })
    }

    /// Returns the position of a layer inside a layer at this one.
    ///
    /// # Errors
    /// Returns [`Error::Depth`] if it is nested too deeply.
    pub fn child(self, input: Shape, tail: bool) -> Result<Self, Error> {
        let depth = self.depth + 1;
        if depth > DEEPEST {
            return Err(Error::Depth { most: DEEPEST });
        }
        Ok(Self { input, tail, depth })
    }
}

/// Outputs that one cost reads: all of a plain network, or those of a branch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    /// The number of outputs of one example.
    pub(crate) rows: usize,
    /// The size of the last axis, along which a softmax sums.
    pub(crate) units: usize,
    pub(crate) a: Place,
    /// z, if the layer keeps it and leaves ∂cost/∂z in `delta`.
    pub(crate) z: Option<Place>,
    /// The link that the outputs invert, if the layer also takes ∂cost/∂z.
    pub(crate) link: Option<Link>,
    /// The built-in activation that computes a from z.
    pub(crate) activation: Option<AnyActivation>,
}

impl Head {
    /// All outputs, without z.
    pub(super) fn new(output: Shape) -> Self {
        Self {
            rows: output.len(),
            units: output.last_axis(),
            a: Place::Output,
            z: None,
            link: None,
            activation: None,
        }
    }
}

/// When the outputs for one example depend on the other examples of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Couples {
    /// Never.
    #[default]
    Never,
    /// Only in training, as in batch normalisation.
    InTraining,
    /// Always.
    Always,
}

impl Couples {
    pub(crate) fn in_mode(self, training: bool) -> bool {
        match self {
            Self::Never => false,
            Self::InTraining => training,
            Self::Always => true,
        }
    }
}
