//! Where a number that is not finite was found.

use super::named;
use crate::path::Path;
use std::fmt;

/// Where a NaN or an infinity was found: the `at` of [`Error::NonFinite`](crate::Error::NonFinite).
///
/// [`Input`](Self::Input) is in an argument of the call. All others were computed from finite
/// numbers.
///
/// # Example
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Error, Examples, Location};
///
/// let (x, y) = (DMatrix::from_row_slice(1, 2, &[0.5, f64::NAN]), DMatrix::zeros(1, 2));
/// match Examples::new(&x, &y) {
///     Err(Error::NonFinite { at: Location::Input { what, row, col }, .. }) => {
///         assert_eq!((what, row, col), ("X", 0, 1));
///     }
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// An entry of an argument, such as data or parameters.
    Input {
        /// The argument: `X`, `Y`, `θ`, `the bias`, …
        what: &'static str,
        /// The row, or the entry of a vector.
        row: usize,
        /// The column, which is the example in X and Y, and 0 in a vector.
        col: usize,
    },
    /// An output of a layer in the forward pass.
    Activation {
        /// The layer.
        layer: Path,
        /// The unit.
        unit: usize,
        /// The example.
        example: usize,
    },
    /// The cost of one example, although all activations are finite.
    Cost {
        /// The example.
        example: usize,
    },
    /// The objective J, although the cost of every example is finite: the sum or the penalty
    /// overflowed.
    Objective,
    /// The function under test in the gradient checker.
    TestedFunction,
    /// An entry of the gradient with respect to the parameters.
    Gradient(BlockEntry),
    /// An entry of the gradient with respect to the inputs.
    InputGradient {
        /// The row of X.
        row: usize,
        /// The example.
        example: usize,
    },
    /// An entry of another derivative, such as a Jacobian or a Hessian product.
    Derivative {
        /// The result.
        what: &'static str,
        /// The entry, counted column by column.
        index: usize,
    },
    /// A parameter after a training step.
    Parameter(BlockEntry),
    /// An entry of the optimiser's state after a training step.
    OptimizerState {
        /// The buffer of the state.
        buffer: usize,
        /// The parameter that the entry belongs to.
        entry: BlockEntry,
    },
    /// A number of the state after a training pass.
    State {
        /// The layer.
        layer: Path,
        /// The vector's name.
        block: String,
        /// The entry.
        entry: usize,
    },
    /// A metric, although outputs and targets are finite.
    Metric {
        /// Its name.
        name: String,
    },
}

/// One entry of a block of parameters, or of its gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// The layer.
    pub layer: Path,
    /// The block's name.
    pub block: String,
    /// The row in the block.
    pub row: usize,
    /// The column in the block.
    pub col: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { what, row, col } => {
                write!(f, "the entry of {what} at row {row}, column {col}")
            }
            Self::Activation {
                layer,
                unit,
                example,
            } => write!(
                f,
                "the output of {}, unit {unit}, for example {example}",
                named(layer)
            ),
            Self::Cost { example } => write!(f, "the cost of example {example}"),
            Self::Objective => write!(f, "the objective J"),
            Self::TestedFunction => write!(f, "the function under test"),
            Self::Gradient(entry) => write!(f, "the gradient of {entry}"),
            Self::InputGradient { row, example } => write!(
                f,
                "the gradient with respect to X at row {row}, example {example}"
            ),
            Self::Derivative { what, index } => write!(f, "entry {index} of {what}"),
            Self::Parameter(entry) => write!(f, "the parameter of {entry}"),
            Self::OptimizerState { buffer, entry } => {
                write!(f, "buffer {buffer} of the optimiser's state for {entry}")
            }
            Self::State {
                layer,
                block,
                entry,
            } => write!(
                f,
                "entry {entry} of {block} in the state of {}",
                named(layer)
            ),
            Self::Metric { name } => write!(f, "the metric {name}"),
        }
    }
}

impl fmt::Display for BlockEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            layer,
            block,
            row,
            col,
        } = self;
        write!(
            f,
            "{}, block {block}, at row {row}, column {col}",
            named(layer)
        )
    }
}
