//! Every way in which a caller can be wrong, one variant each.

mod debug;
mod location;
mod words;

use words::{hint, of_class};

pub use location::{BlockEntry, Location};
pub(crate) use words::{short_name, superscript, unsupported};

/// What went wrong, with the values that say so.
///
/// Layers, units and examples are counted from 0 in the fields, as in the code, and the layer's Θ from 1 in the text, as in the
/// course: `layer: 0` is printed as Θ⁽¹⁾. A call that returns an error has changed nothing that the caller can see,
/// unless its documentation says otherwise.
///
/// # Example
/// ```
/// use backprop::{Error, Network, activation::Sigmoid};
///
/// let refused = Network::<f64>::builder(3).dense(0, Sigmoid).zeros();
/// assert_eq!(refused, Err(Error::ZeroUnits { layer: 0 }));
/// assert_eq!(Error::ZeroUnits { layer: 0 }.to_string(), "layer 0 (Θ⁽¹⁾) has no units");
/// ```
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network without a layer.
    #[error("the network has no layers")]
    NoLayers,
    /// A network whose input has no rows.
    #[error("the network has no inputs")]
    NoInputs,
    /// A layer without outputs.
    #[error("layer {layer} (Θ{}) has no units", superscript(*.layer))]
    ZeroUnits {
        /// The layer.
        layer: usize,
    },
    /// A layer that does not fit the one before it.
    #[error("layer {layer} (Θ{}) takes {found} inputs, but the layer before it gives {expected}", superscript(*.layer))]
    LayerInputs {
        /// The layer.
        layer: usize,
        /// Outputs of the layer before it, or inputs of the network.
        expected: usize,
        /// Inputs that the layer declares.
        found: usize,
    },
    /// A block of parameters whose exempt columns are more than it has.
    #[error(
        "block {block} of layer {layer} has {cols} columns, but is penalised from column {from}"
    )]
    PenalisedColumns {
        /// The layer.
        layer: usize,
        /// The block's name.
        block: String,
        /// Its columns.
        cols: usize,
        /// The first penalised column that it declares.
        from: usize,
    },
    /// A size that does not fit the address space or the memory.
    #[error("{what} is too large for the memory: {rows} × {cols}")]
    TooLarge {
        /// What would have that size.
        what: &'static str,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// Data without a single example, or whose weights sum to zero.
    #[error("there are no examples, or all their weights are zero")]
    NoExamples,
    /// A matrix of the wrong shape.
    #[error("{what}: expected {} × {}, found {} × {}{}", expected.0, expected.1, found.0, found.1, hint(what))]
    Shape {
        /// The matrix.
        what: &'static str,
        /// Rows and columns expected.
        expected: (usize, usize),
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// Inputs and targets of different numbers of examples.
    #[error(
        "X is {} × {} and Y is {} × {}: a column is an example, so both need as many (for examples in rows see `row_major`)",
        x.0, x.1, y.0, y.1
    )]
    ExampleCounts {
        /// Rows and columns of X.
        x: (usize, usize),
        /// Rows and columns of Y.
        y: (usize, usize),
    },
    /// A slice of the wrong length.
    #[error("{what}: expected {expected} entries, found {found}")]
    Length {
        /// The slice.
        what: &'static str,
        /// Entries expected.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A row-major buffer that is not a whole number of rows.
    #[error("{what}: {length} values are not a whole number of rows of {row} values")]
    Ragged {
        /// The buffer.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The length of a row.
        row: usize,
    },
    /// An index that is out of range.
    #[error("there is no {what} {index}: there are {count}, counted from 0")]
    Index {
        /// What is counted.
        what: &'static str,
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Sums that belong to a network of another shape.
    #[error(
        "{what} is for a network of other sizes (its {expected} parameters are not laid out as these {found})"
    )]
    OtherNetwork {
        /// What was combined.
        what: &'static str,
        /// Parameters of the sums.
        expected: usize,
        /// Parameters of what was given.
        found: usize,
    },
    /// A layer that is not one block of parameters [b W], although the call needs one.
    #[error("layer {layer} (Θ{}) is not dense: its parameters are not one block [b W]", superscript(*.layer))]
    NotDense {
        /// The layer.
        layer: usize,
    },
    /// A NaN or an infinity, in what the caller gave or in what was computed from it.
    #[error("{at} is {value}{}", at.advice())]
    NonFinite {
        /// Where it was found.
        at: Location,
        /// The value.
        value: f64,
    },
    /// A target outside the domain of the cost.
    #[error("target {value} of unit {unit}, example {example}: the cost needs targets in [{}, {}]", domain.0, domain.1)]
    Target {
        /// The output unit.
        unit: usize,
        /// The example.
        example: usize,
        /// The target.
        value: f64,
        /// The closed interval that the cost accepts.
        domain: (f64, f64),
    },
    /// A single output where training needs one for each class. A softmax of one unit is always 1,
    /// and the categorical cross-entropy of one output says nothing about the other class. (The
    /// derivatives of such a network are valid and not refused.)
    #[error(
        "one output with {what}: two classes are {expected} on one output, or Softmax with CategoricalCrossEntropy on two"
    )]
    SingleOutput {
        /// The activation of the last layer, or the cost, that needs several outputs.
        what: &'static str,
        /// The activation and cost to use with one output.
        expected: &'static str,
    },
    /// An output of the network at which the cost is not defined, as a negative one for a cross-entropy.
    #[error(
        "output {value} of layer {layer} (Θ{}), unit {unit}, example {example}: the cost needs outputs {expected}",
        superscript(*.layer)
    )]
    Output {
        /// The last layer.
        layer: usize,
        /// The output unit.
        unit: usize,
        /// The example.
        example: usize,
        /// The output.
        value: f64,
        /// The domain, in words.
        expected: &'static str,
    },
    /// The weight of an example that is negative or not finite.
    #[error("the weight of example {example} is {value}, expected finite and at least 0")]
    Weight {
        /// The example.
        example: usize,
        /// Its weight.
        value: f64,
    },
    /// Weights whose sum overflows or underflows the scalar type.
    #[error("the weights of the examples sum to {value}, which the scalar type cannot hold")]
    TotalWeight {
        /// The sum.
        value: f64,
    },
    /// A hyper-parameter out of its range.
    #[error("{name} is {value}, expected {expected}")]
    Hyperparameter {
        /// Its name.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The range, in words.
        expected: &'static str,
    },
    /// A training whose cost, gradient, parameters or state of the optimiser are no longer finite.
    #[error("training diverged in epoch {epoch}, batch {batch}: {cause}")]
    Diverged {
        /// The epoch, from 1.
        epoch: u64,
        /// The batch of the epoch, from 1.
        batch: usize,
        /// What was not finite, and where.
        #[source]
        cause: Box<Error>,
    },
    /// A checkpoint that cannot be written or read.
    #[error("checkpoint: {reason}")]
    Checkpoint {
        /// The reason, as the file system or the file's check gives it.
        reason: String,
    },
    /// A checkpoint of a training with other settings, from which this one cannot go on.
    #[error("the checkpoint is of another training: {what} is {found} there, expected {expected}")]
    OtherTraining {
        /// What differs.
        what: &'static str,
        /// The setting of the trainer.
        expected: String,
        /// That of the checkpoint.
        found: String,
    },
    /// An entry that the state of an optimiser cannot hold.
    #[error(
        "buffer {buffer} of the optimiser's state is {value} at entry {index}, expected {expected}"
    )]
    OptimizerState {
        /// The buffer.
        buffer: usize,
        /// The entry.
        index: usize,
        /// The value given.
        value: f64,
        /// The range, in words.
        expected: &'static str,
    },
    /// A derivative that a user's own type does not provide.
    #[error("{what} is not provided by {by}")]
    Unsupported {
        /// The method.
        what: &'static str,
        /// The type that lacks it.
        by: &'static str,
    },
    /// A label that is none of the classes.
    #[error(
        "{what}: label {label} of example {example}, but there are {classes} classes, counted from 0"
    )]
    Label {
        /// The labels.
        what: &'static str,
        /// The example.
        example: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A label that an encoder was not fitted to.
    #[error("the label of example {example} is none of the {known} that the encoder knows")]
    UnknownLabel {
        /// The example.
        example: usize,
        /// How many labels the encoder knows.
        known: usize,
    },
    /// Fewer examples than the call needs, in all or of one class.
    #[error("{}: at least {expected} examples are needed, found {found}", of_class(*.class))]
    FewExamples {
        /// The class, if it is one class that has too few.
        class: Option<usize>,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A row whose spread no scaler can divide by.
    #[error("the spread of row {row} is {value}, expected finite and above 0")]
    Spread {
        /// The row.
        row: usize,
        /// The deviation or the range, or a mean that overflowed.
        value: f64,
    },
    /// A finite number that is not finite any more when it is scaled, or scaled back.
    #[error("row {row} of example {example} becomes {value} by scaling")]
    Scaled {
        /// The row.
        row: usize,
        /// The example.
        example: usize,
        /// The value.
        value: f64,
    },
}

impl Error {
    /// Returns whether a value became non-finite in a pass or a step although data and parameters
    /// were finite.
    pub(crate) fn is_divergence(&self) -> bool {
        use Location::{Activation, Cost, Gradient, Objective, OptimizerState, Parameter};
        let Self::NonFinite { at, .. } = self else {
            return false;
        };
        matches!(
            at,
            Activation { .. }
                | Cost { .. }
                | Objective
                | Gradient(_)
                | Parameter(_)
                | OptimizerState { .. }
        )
    }

    /// Returns whether the error concerns the point where J was evaluated, so that a shorter step
    /// may avoid it.
    pub(crate) fn is_of_point(&self) -> bool {
        let derivative = |at: &Location| matches!(at, Location::Derivative { .. });
        match self {
            Self::NonFinite { at, .. } => self.is_divergence() || derivative(at),
            _ => matches!(self, Self::Output { .. }),
        }
    }
}
