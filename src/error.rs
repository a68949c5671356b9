//! The errors of this crate, one variant for each way in which a call can fail.

mod bytes;
mod debug;
mod distributed;
mod location;
pub(crate) mod ranges;
mod table;
mod words;

use crate::path::Path;
use std::borrow::Cow;
use std::ops::Range;
use words::{
    Shape, below, exempt, feeding, in_batch, interval, named, of_class, plainly, remedy,
    remedy_for_coupling, remedy_for_divergence, suitable, suspect, transposed_examples, valid_ids,
    wanted, whole_rows,
};

pub use bytes::BytesFault;
#[cfg(any(feature = "serde", feature = "_interchange"))]
pub(crate) use debug::debug_with_message;
pub use distributed::DistributedFault;
pub use location::{BlockEntry, Location};
pub use table::TableFault;
#[cfg(feature = "serde")]
pub(crate) use words::checkpoint;
#[cfg(feature = "_interchange")]
pub(crate) use words::listed;
pub(crate) use words::{hyperparameter, number, short_name, unsupported};

/// The errors of this crate: one variant for each way in which a call can fail, with the values at
/// fault.
///
/// `Debug` prints the message before the fields, so errors returned from `main` can be read.
///
/// The fields count layers, units and examples from 0, as the code does. The text also names the
/// layer's Θ, which the course counts from 1: `layer: 0` is printed as Θ⁽¹⁾. A call that returns an
/// error leaves everything that the caller owns unchanged, unless its documentation states
/// otherwise.
///
/// # Example
/// ```
/// use backprop::{Error, Network, activation::Sigmoid};
///
/// let refused = Network::<f64>::builder(3).dense(0, Sigmoid).zeros();
/// assert_eq!(refused, Err(Error::ZeroUnits { layer: 0.into() }));
/// let text = "layer 0 (Θ⁽¹⁾) has no units, expected at least one";
/// assert_eq!(Error::ZeroUnits { layer: 0.into() }.to_string(), text);
/// ```
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network without a layer.
    #[error("the network has no layers, expected at least one")]
    NoLayers,
    /// A network whose input has no rows.
    #[error("the network has no inputs, expected at least one")]
    NoInputs,
    /// A layer without outputs.
    #[error("{} has no units, expected at least one", named(.layer))]
    ZeroUnits {
        /// The layer.
        layer: Path,
    },
    /// A layer whose inputs do not match the outputs of the one before it.
    #[error(
        "the number of inputs of {} is {found}, expected {expected}, {}",
        named(.layer), feeding(.layer)
    )]
    LayerInputs {
        /// The layer.
        layer: Path,
        /// The number of outputs of the layer before it, or the number of inputs of the network.
        expected: usize,
        /// The number of inputs that the layer declares.
        found: usize,
    },
    /// A cost of heads that reads more outputs than there are.
    #[error("the heads of the cost read {expected} outputs, but the network has {found}")]
    HeadRows {
        /// The number of outputs that the cost reads.
        expected: usize,
        /// The number of outputs.
        found: usize,
    },
    /// An example with only some of the targets of a group, where the cost needs all or none.
    #[error(
        "example {example} has some but not all of its targets in rows {rows:?}, expected all or \
         none, because the cost of one depends on the others"
    )]
    PartialTargets {
        /// The example.
        example: usize,
        /// The rows that belong together.
        rows: Range<usize>,
    },
    /// A view with gaps between its columns, where an example has several axes.
    #[error(
        "the columns of {what} are apart, expected contiguous columns, because an example has \
         several axes; pass an owned copy"
    )]
    Gaps {
        /// The matrix.
        what: &'static str,
    },
    /// Layers nested too deeply.
    #[error("layers are nested more than {most} deep; put some of them side by side")]
    Depth {
        /// The maximum depth.
        most: usize,
    },
    /// A layer that cannot take inputs of this shape.
    #[error("the inputs of {} are {found}, expected {expected}", named(.layer))]
    LayerShape {
        /// The layer.
        layer: Path,
        /// The shapes that it takes.
        expected: &'static str,
        /// The shape of its inputs.
        found: crate::Shape,
    },
    /// A plan that cannot hold.
    #[error("the plan of {} does not hold: {what}", named(.layer))]
    Plan {
        /// The layer.
        layer: Path,
        /// The fault.
        what: &'static str,
    },
    /// A branch whose output does not fit those of the branches before it.
    #[error(
        "the output of {} is {found}, expected {expected}, as of the branch before it",
        named(.layer)
    )]
    Branch {
        /// The branch.
        layer: Path,
        /// The shape of the outputs before it.
        expected: crate::Shape,
        /// The shape of its output.
        found: crate::Shape,
    },
    /// A concatenation without branches.
    #[error("{} has no branches, expected at least one", named(.layer))]
    NoBranches {
        /// The layer.
        layer: Path,
    },
    /// A block of parameters that exempts more columns from the penalty than it has.
    #[error("block {block} of {}: {}", named(.layer), exempt(*from, *cols))]
    PenalisedColumns {
        /// The layer.
        layer: Path,
        /// The block's name.
        block: String,
        /// The number of its columns.
        cols: usize,
        /// The first penalised column that it declares.
        from: usize,
    },
    /// A size that does not fit in the address space or in memory.
    #[error("there is not enough memory for {what}: {rows} × {cols} entries")]
    TooLarge {
        /// The object that is too large.
        what: &'static str,
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        cols: usize,
    },
    /// Data without examples, or with a total weight of zero.
    #[error("there are no examples, or all their weights are zero")]
    NoExamples,
    /// A matrix of the wrong shape.
    #[error(
        "{what}: expected {}, found {}{}",
        wanted((*expected).into(), (*found).into()),
        Shape::from(*found),
        suspect(what, (*expected).into(), (*found).into())
    )]
    Shape {
        /// The matrix.
        what: &'static str,
        /// The numbers of rows and columns expected.
        expected: (usize, usize),
        /// The numbers of rows and columns found.
        found: (usize, usize),
    },
    /// Inputs and targets with different numbers of examples.
    #[error(
        "X is {} and Y is {}, expected the same number of columns: {}",
        Shape::from(*x), Shape::from(*y), transposed_examples((*x).into(), (*y).into())
    )]
    ExampleCounts {
        /// The numbers of rows and columns of X.
        x: (usize, usize),
        /// The numbers of rows and columns of Y.
        y: (usize, usize),
    },
    /// A slice of the wrong length.
    #[error("{what}: expected a length of {expected}, found {found}")]
    Length {
        /// The slice.
        what: &'static str,
        /// The number of entries expected.
        expected: usize,
        /// The number of entries found.
        found: usize,
    },
    /// A row-major buffer that is not a whole number of rows.
    #[error("{what} has {length} values, expected {}", whole_rows(*row))]
    Ragged {
        /// The buffer.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The length of a row.
        row: usize,
    },
    /// An index that is out of range.
    #[error("there is no {what} {index}{}", below(*count, "none"))]
    Index {
        /// The kind of object that the index counts.
        what: &'static str,
        /// The index.
        index: usize,
        /// The number of valid indices.
        count: usize,
    },
    /// Sums, such as an [`Accumulator`](crate::Accumulator), that belong to a network of another
    /// shape.
    #[error(
        "{what} belongs to a network of another shape, or with other frozen layers: expected a \
         layout of {expected} parameters, found a different one of {found}"
    )]
    OtherNetwork {
        /// The object of the other shape.
        what: &'static str,
        /// The number of parameters in the sums.
        expected: usize,
        /// The number of parameters in the other object.
        found: usize,
    },
    /// Examples that cannot be read.
    #[error("{name}: {reason}")]
    Source {
        /// The file or another name of the source.
        name: String,
        /// Why they cannot be read.
        reason: String,
    },
    /// A table or a raw row that cannot be used.
    #[error("{fault}")]
    Table {
        /// The fault.
        fault: TableFault,
    },
    /// A CSV file that cannot be read.
    #[error("{name}, line {line}: {fault}")]
    Csv {
        /// The file.
        name: String,
        /// The line at which the row begins, from 1.
        line: u64,
        /// The fault.
        fault: TableFault,
    },
    /// Ranks that cannot train together.
    #[error("{fault}")]
    Distributed {
        /// The fault.
        fault: DistributedFault,
    },
    /// Bytes that a value cannot be read from.
    #[error("{what} cannot be read from these bytes: {fault}")]
    Bytes {
        /// The value.
        what: &'static str,
        /// The fault.
        fault: BytesFault,
    },
    /// A layer that is not one block of parameters \[b W], the bias and the weights, although the
    /// call needs one.
    #[error(
        "{} is not dense, expected one block of parameters [b W]: use `block` and `set_block`",
        named(.layer)
    )]
    NotDense {
        /// The layer.
        layer: Path,
    },
    /// A NaN or an infinity, in the arguments or in a result.
    #[error("{at} is {value}{}", at.advice(*value))]
    NonFinite {
        /// Where it was found.
        at: Location,
        /// The value.
        value: f64,
    },
    /// An entry of X that is not one of the ids of an embedding: not whole, out of range, or so
    /// large that the scalar type rounds other whole numbers to it (2²⁴ in `f32`).
    #[error(
        "row {row} of X, example {example}: the id is {value}, {}",
        valid_ids(*.value, *.count)
    )]
    Id {
        /// The row of X.
        row: usize,
        /// The example.
        example: usize,
        /// The value.
        value: f64,
        /// The number of entries of the embedding: ids are whole numbers below it.
        count: usize,
    },
    /// A derivative with respect to ids, which does not exist.
    #[error(
        "row {row} of X holds ids, which have no derivative: request derivatives with respect \
         to the parameters only, and set directions of X to 0 in these rows"
    )]
    IdInputs {
        /// A row of X.
        row: usize,
    },
    /// An embedding whose inputs are outputs of a layer that computes.
    #[error(
        "the inputs of {} are computed by an earlier layer, expected ids: rows of X, which earlier \
         layers may only select or move",
        named(.layer)
    )]
    ComputedIds {
        /// The embedding.
        layer: Path,
    },
    /// A target outside the domain of the cost.
    #[error(
        "the target of unit {unit}, example {example} is {value}, expected a number in {}",
        interval(domain.0, domain.1)
    )]
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
    /// and the categorical cross-entropy of one output ignores the other class. (The derivatives of
    /// such a network are valid, and are not rejected.)
    #[error(
        "{what} needs one output for each class, found 1: for two classes use {expected}, \
         or two outputs with Softmax and CategoricalCrossEntropy"
    )]
    SingleOutput {
        /// The activation of the last layer, or the cost, that needs several outputs.
        what: &'static str,
        /// The activation and cost to use with one output.
        expected: &'static str,
    },
    /// An output of the network at which the cost is not defined, such as −0.1 for a cross-entropy,
    /// which takes its logarithm.
    #[error(
        "the output of {}, unit {unit}, for example {example} is {value}, \
         expected an output {expected}: use an activation with this range{}",
        named(.layer), suitable(expected)
    )]
    Output {
        /// The last layer.
        layer: Path,
        /// The output unit.
        unit: usize,
        /// The example.
        example: usize,
        /// The output.
        value: f64,
        /// The domain in words, such as `"in (0, 1)"`.
        expected: &'static str,
    },
    /// The weight of an example that is negative or not finite.
    #[error("the weight of example {example} is {value}, expected a number in [0, ∞)")]
    Weight {
        /// The example.
        example: usize,
        /// Its weight.
        value: f64,
    },
    /// Weights whose sum overflows or underflows the scalar type.
    #[error(
        "the weights of the examples sum to {value}, expected a sum that the scalar type can hold: \
         scale the weights"
    )]
    TotalWeight {
        /// The sum.
        value: f64,
    },
    /// A hyper-parameter out of its range: a constant that you choose, such as λ or a learning
    /// rate.
    #[error("{name} is {}, expected {expected}", number(*.value))]
    Hyperparameter {
        /// Its name.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The range, in words.
        expected: Cow<'static, str>,
    },
    /// A training run whose cost, gradient, parameters or optimiser state are no longer finite.
    #[error(
        "training diverged in epoch {epoch}{}: {}; {}",
        in_batch(*.batch), plainly(.cause), remedy_for_divergence(*.batch)
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: u64,
        /// The batch of the epoch, from 1; `None` for a full-batch solver.
        batch: Option<usize>,
        /// The error with the value and its place.
        #[source]
        cause: Box<Error>,
    },
    /// A checkpoint that cannot be written or read.
    #[error("checkpoint: {reason}")]
    Checkpoint {
        /// The reason, as the file system or the check of the file reports it.
        reason: String,
    },
    /// A checkpoint of a training run with other settings, which this one cannot resume.
    #[error("the checkpoint is from another training run: {what} was {found}, expected {expected}")]
    OtherTraining {
        /// The setting that differs.
        what: &'static str,
        /// The setting in the trainer.
        expected: String,
        /// The setting in the checkpoint.
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
    /// A number of the state that is out of its range.
    #[error(
        "entry {entry} of {block} in the state of {} is {value}, expected at least {least}",
        named(.layer)
    )]
    State {
        /// The layer.
        layer: Path,
        /// The vector's name.
        block: String,
        /// The entry.
        entry: usize,
        /// The value given.
        value: f64,
        /// The least value.
        least: f64,
    },
    /// No new state to take: the last pass in the workspace was not a training pass of such a
    /// network.
    #[error(
        "the workspace has no new state for this network: call `set_training` and run a pass \
         before `take_state`"
    )]
    NoState,
    /// A derivative of single examples in a mode in which a layer couples them.
    #[error(
        "{} couples the examples of a batch, so {what} does not exist{}",
        named(.layer), remedy_for_coupling(*training)
    )]
    Coupled {
        /// The layer.
        layer: Path,
        /// What was asked for.
        what: &'static str,
        /// Whether the pass is a training pass.
        training: bool,
    },
    /// A layer that gathers statistics in a training pass over examples with weights.
    #[error(
        "{} gathers the statistics of a batch, in which weights of examples have no meaning: \
         repeat examples instead, or fix its statistics",
        named(.layer)
    )]
    WeightedStatistics {
        /// The layer.
        layer: Path,
    },
    /// A layer that draws random numbers, in a method that needs the same J in every evaluation.
    #[error(
        "{} draws random numbers in training, but {what} needs the same J in every evaluation: \
         remove the layer, or use a step optimiser such as Adam",
        named(.layer)
    )]
    Stochastic {
        /// The layer.
        layer: Path,
        /// The method.
        what: &'static str,
    },
    /// A method or a setting that a type does not support, such as a derivative of a custom layer.
    #[error("{by} does not support {what}{}", remedy(what))]
    Unsupported {
        /// The method or the setting.
        what: &'static str,
        /// The type that does not support it.
        by: &'static str,
    },
    /// A label that is not one of the classes.
    #[error(
        "{what}: the label of example {example} is {label}{}",
        below(*classes, "no classes")
    )]
    Label {
        /// The labels.
        what: &'static str,
        /// The example.
        example: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A label that was not among those an encoder was fitted to.
    #[error(
        "the label of example {example} is {label}, expected one of the {known} that the encoder \
         was fitted to"
    )]
    UnknownLabel {
        /// The example.
        example: usize,
        /// Its label, as `Debug` prints it.
        label: String,
        /// The number of labels that the encoder was fitted to.
        known: usize,
    },
    /// An output or a target of a metric that is not a probability.
    #[error(
        "the {what} of unit {unit}, example {example} is {value}, expected a probability in \
         [0, 1]: use outputs of Sigmoid or Softmax"
    )]
    Probability {
        /// `"output"` or `"target"`.
        what: &'static str,
        /// The output unit.
        unit: usize,
        /// The example.
        example: usize,
        /// The value.
        value: f64,
    },
    /// An output whose targets are all positive, or all negative, where a metric compares the two.
    #[error(
        "all targets of unit {unit} are {} ½, expected some on either side, or the ROC curve does \
         not exist: use examples of both classes",
        if *.positive { "above" } else { "at most" }
    )]
    OneClass {
        /// The output unit.
        unit: usize,
        /// Whether all targets are above ½.
        positive: bool,
    },
    /// Fewer examples than the call needs, in total or in one class.
    #[error("{}: expected at least {expected} examples, found {found}", of_class(*.class))]
    FewExamples {
        /// The class with too few examples, or `None` for the data as a whole.
        class: Option<usize>,
        /// The smallest valid number.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// A row (one input, or one target, of all examples) whose spread a scaler cannot divide by.
    #[error("the spread of row {row} is {value}, expected a number in (0, ∞)")]
    Spread {
        /// The row.
        row: usize,
        /// The standard deviation or the range, or a mean that overflowed.
        value: f64,
    },
    /// A finite number that overflows when it is scaled or scaled back.
    #[error("row {row} of example {example} is {value} after scaling, expected a finite number")]
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
    /// Returns the same error of a layer inside another, as layer `index` of it.
    #[must_use]
    pub fn inside(mut self, index: usize) -> Self {
        if let Self::ZeroUnits { layer }
        | Self::LayerInputs { layer, .. }
        | Self::Branch { layer, .. }
        | Self::LayerShape { layer, .. }
        | Self::Plan { layer, .. }
        | Self::Coupled { layer, .. }
        | Self::WeightedStatistics { layer }
        | Self::Stochastic { layer, .. }
        | Self::NoBranches { layer }
        | Self::PenalisedColumns { layer, .. }
        | Self::ComputedIds { layer }
        | Self::NonFinite {
            at: Location::Activation { layer, .. },
            ..
        } = &mut self
        {
            *layer = std::mem::take(layer).inside(index);
        }
        self
    }

    /// Returns whether a value became non-finite in a pass or a step although data and parameters
    /// were finite.
    pub(crate) fn is_divergence(&self) -> bool {
        use Location::{Activation, Cost, Gradient, Objective, OptimizerState, Parameter, State};
        let Self::NonFinite { at, .. } = self else {
            return false;
        };
        matches!(
            at,
            Activation { .. }
                | Cost { .. }
                | Objective
                | Gradient(_)
                | State { .. }
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
