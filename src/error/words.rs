//! The words of the messages, and constructors of errors that many modules return.

use super::{Error, Location};
use crate::path::Path;
use std::any::type_name;
use std::borrow::Cow;
use std::fmt;

/// Names the examples of a class, or all examples.
pub(super) fn of_class(class: Option<usize>) -> String {
    class.map_or_else(|| "the data".to_owned(), |class| format!("class {class}"))
}

/// Lists the first few names.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).map(|name| format!("{name:?}"));
    let mut shown = shown.collect::<Vec<_>>();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    if shown.is_empty() {
        return "none".to_owned();
    }
    shown.join(", ")
}

/// Names a category that may be missing.
pub(super) fn value_of(value: Option<&str>) -> String {
    value.map_or_else(
        || "of missing values".to_owned(),
        |value| format!("{value:?}"),
    )
}

/// Names a layer by its path and by its Θ in the course: `layer 0 (Θ⁽¹⁾)`.
pub(super) fn named(layer: &Path) -> String {
    if layer.indices().is_empty() {
        return "the layer".to_owned();
    }
    format!("layer {layer} ({})", layer.label("Θ"))
}

/// Names the number that the inputs of a layer have to match.
pub(super) fn feeding(layer: &Path) -> String {
    match layer.indices() {
        [] => "the last axis of its inputs".to_owned(),
        [0] => "the number of inputs of the network".to_owned(),
        [.., 0] => "the last axis of the inputs of the layer around it".to_owned(),
        [around @ .., index] => {
            let mut before = around.to_vec();
            before.push(index - 1);
            format!("the number of outputs of layer {}", Path::from(&before[..]))
        }
    }
}

/// Describes the fault of a block that exempts more columns than it has.
pub(super) fn exempt(from: usize, cols: usize) -> String {
    format!("the first penalised column is {from}, expected at most {cols}, its number of columns")
}

/// The shape of a matrix, printed as rows × columns.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Shape {
    rows: usize,
    cols: usize,
}

impl From<(usize, usize)> for Shape {
    fn from((rows, cols): (usize, usize)) -> Self {
        Self { rows, cols }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.rows, self.cols)
    }
}

/// Returns the expected shape, or only its rows if the number of columns is right.
pub(super) fn wanted(expected: Shape, found: Shape) -> String {
    if expected.cols != found.cols || expected == found {
        return expected.to_string();
    }
    let rows = expected.rows;
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}

/// Returns an interval, closed at its finite ends.
pub(super) fn interval(low: f64, high: f64) -> String {
    let left = if low == f64::NEG_INFINITY {
        "(−∞".to_owned()
    } else {
        format!("[{low}")
    };
    let right = if high == f64::INFINITY {
        "∞)".to_owned()
    } else {
        format!("{high}]")
    };
    format!("{left}, {right}")
}

/// Describes the valid indices, counted from 0. `none` completes the words “there are” if there are
/// none.
pub(super) fn below(count: usize, none: &str) -> String {
    match count {
        0 => format!(": there are {none}"),
        1 => ", expected 0, because there is only one".to_owned(),
        _ => format!(", expected a number from 0 to {}", count - 1),
    }
}

/// Describes the valid ids, given one that is not.
pub(super) fn valid_ids(found: f64, count: usize) -> String {
    if found.fract() == 0.0 && found >= 0.0 && found < count as f64 {
        return "to which the scalar type also rounds other ids: use a wider scalar type"
            .to_owned();
    }
    match count.checked_sub(1) {
        Some(last) => format!("expected a whole number from 0 to {last}"),
        None => "but the embedding has no entries".to_owned(),
    }
}

/// Describes the valid lengths of row-major buffers.
pub(super) fn whole_rows(row: usize) -> String {
    match row {
        0 => "rows of at least 1 value".to_owned(),
        _ => format!("a multiple of {row}, the length of a row"),
    }
}

/// Describes the layout of X and Y.
pub(super) fn hint(what: &str) -> &'static str {
    match what {
        "X" => " (a column is an example, a row an input)",
        "Y" => " (a column is an example, a row an output)",
        _ => "",
    }
}

/// Names the suspected cause of a wrong shape.
pub(super) fn suspect(what: &str, expected: Shape, found: Shape) -> String {
    let examples = matches!(what, "X" | "Y");
    if what == "Y" && found.rows == 1 {
        return ": for class numbers use `one_hot`".to_owned();
    }
    if what == "X" && found.cols == 1 {
        let n = expected.rows;
        return format!(": a slice is one example; `row_major(&buffer, {n})` reads several");
    }
    // X and Y may have any number of examples, so only the other dimension has to match.
    let transposed = found.cols == expected.rows && (examples || found.rows == expected.cols);
    if !transposed {
        return hint(what).to_owned();
    }
    let remedy = if examples {
        " A column is an example; `row_major` reads examples in rows"
    } else if found.cols == 1 {
        " `DMatrixView::from_slice` gives a slice its shape"
    } else {
        ""
    };
    format!(": did you pass it transposed?{remedy}")
}

/// Suggests which of X and Y has an example in each row.
pub(super) fn transposed_examples(x: Shape, y: Shape) -> String {
    // Equal numbers of rows may also mean that inputs and outputs are equal in number. Examples
    // usually outnumber both.
    let both = x.rows == y.rows && x.rows > x.cols.max(y.cols);
    let (only_x, only_y) = (x.rows == y.cols, x.cols == y.rows);
    let which = if both {
        "both"
    } else if only_x && !(only_y && x.cols > y.cols) {
        "X"
    } else if only_y {
        "Y"
    } else {
        return "a column is an example (for examples in rows see `row_major`)".to_owned();
    };
    format!(
        "did you pass {which} transposed? A column is an example; `row_major` reads examples in \
         rows"
    )
}

/// Suggests built-in activations whose outputs lie in the domain.
pub(super) fn suitable(domain: &str) -> &'static str {
    if domain.starts_with("in (0, 1)") {
        ", such as `Sigmoid`"
    } else if domain.starts_with("in (0, ∞)") {
        ", such as `Softmax` or `Exponential`"
    } else {
        ""
    }
}

/// Names the batch in which training diverged, if the method works in batches.
pub(super) fn in_batch(batch: Option<usize>) -> String {
    batch.map_or_else(String::new, |batch| format!(", batch {batch}"))
}

/// Returns the advice for training that diverges. A full-batch solver has no batches and no
/// learning rate.
pub(super) fn remedy_for_divergence(batch: Option<usize>) -> &'static str {
    match batch {
        Some(_) => "lower the learning rate or scale the inputs",
        None => "scale the inputs",
    }
}

/// Returns the advice for layers that couple examples.
pub(super) fn remedy_for_coupling(training: bool) -> &'static str {
    if training {
        ": compute it outside training, or fix the statistics of the layer"
    } else {
        ""
    }
}

/// Describes the cause of a divergence, without its own advice.
pub(super) fn plainly(cause: &Error) -> String {
    match cause {
        Error::NonFinite { at, value } => format!("{at} is {value}"),
        other => other.to_string(),
    }
}

/// Explains how to supply a method that a type lacks.
pub(super) fn remedy(what: &str) -> &'static str {
    if what.ends_with("_tangent") {
        ": implement it, or generate it with `dual` (feature `num-dual`)"
    } else {
        ""
    }
}

impl Location {
    /// Suggests the cause, or a remedy.
    pub(super) fn advice(&self, value: f64) -> String {
        match self {
            Self::Input { what, .. } => format!(", expected a finite number{}", hint(what)),
            // A NaN has other causes, such as a custom layer.
            Self::Activation { .. } if value.is_infinite() => {
                ": scale the inputs or use smaller weights".to_owned()
            }
            Self::Objective => ", although the cost of every example is finite".to_owned(),
            Self::Metric { .. } => ", although outputs and targets are finite".to_owned(),
            _ => String::new(),
        }
    }
}

/// Writes a number, with an exponent if it would be long otherwise.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && size.is_finite() && !(1e-5..1e16).contains(&size) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// Returns the error for a hyper-parameter out of its range.
pub(crate) fn hyperparameter(
    name: &'static str,
    value: f64,
    expected: impl Into<Cow<'static, str>>,
) -> Error {
    Error::Hyperparameter {
        name,
        value,
        expected: expected.into(),
    }
}

/// Returns the error for a checkpoint that cannot be written or read.
#[cfg(feature = "serde")]
pub(crate) fn checkpoint(reason: impl ToString) -> Error {
    Error::Checkpoint {
        reason: reason.to_string(),
    }
}

/// Returns the error of a method that type `S` does not implement.
pub(crate) fn unsupported<S: ?Sized>(what: &'static str) -> Error {
    Error::Unsupported {
        what,
        by: type_name::<S>(),
    }
}

/// Returns the last segment of a type's path, without its generic arguments.
pub(crate) fn short_name(path: &str) -> String {
    let head = path.split('<').next().unwrap_or(path);
    head.rsplit("::").next().unwrap_or(head).to_owned()
}
