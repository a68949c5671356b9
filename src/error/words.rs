//! How messages name things, and constructors of errors that many modules return.

use super::{Error, Location};
use std::any::type_name;
use std::borrow::Cow;

/// The examples of a class, or all.
pub(super) fn of_class(class: Option<usize>) -> String {
    class.map_or_else(|| "the data".to_owned(), |class| format!("class {class}"))
}

/// A layer by its index and by its Θ in the course: `layer 0 (Θ⁽¹⁾)`.
pub(super) fn named(layer: usize) -> String {
    format!("layer {layer} (Θ{})", superscript(layer))
}

/// Where the inputs of a layer come from.
pub(super) fn feeding(layer: usize) -> String {
    match layer.checked_sub(1) {
        None => "the number of inputs of the network".to_owned(),
        Some(before) => format!("the number of outputs of layer {before}"),
    }
}

/// A block of parameters whose first penalised column is beyond its columns.
pub(super) fn exempt(from: usize, cols: usize) -> String {
    format!("the first penalised column is {from}, expected at most {cols}, its number of columns")
}

/// A shape as rows × columns.
pub(super) fn size((rows, cols): (usize, usize)) -> String {
    format!("{rows} × {cols}")
}

/// An interval, closed at its finite ends.
pub(super) fn interval((low, high): (f64, f64)) -> String {
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

/// An index counted from 0.
pub(super) fn below(count: usize) -> String {
    match count {
        0 => "none, because there are none".to_owned(),
        1 => "0, because there is only one".to_owned(),
        _ => format!("a number from 0 to {}", count - 1),
    }
}

/// The lengths of row-major buffers.
pub(super) fn whole_rows(row: usize) -> String {
    match row {
        0 => "rows of at least 1 value".to_owned(),
        _ => format!("a multiple of {row}, the length of a row"),
    }
}

/// The layout of X and Y.
pub(super) fn hint(what: &str) -> &'static str {
    match what {
        "X" => " (a column is an example, a row an input)",
        "Y" => " (a column is an example, a row an output)",
        _ => "",
    }
}

/// What may have gone wrong with a matrix of the wrong shape.
pub(super) fn misread(what: &str, expected: (usize, usize), found: (usize, usize)) -> &'static str {
    let examples = matches!(what, "X" | "Y");
    // X and Y may have any number of examples: only the other side has to fit.
    let transposed = found.1 == expected.0 && (examples || found.0 == expected.1);
    match (transposed, examples) {
        (true, true) => {
            ": did you pass it transposed? A column is an example; \
             `row_major` reads examples in rows"
        }
        (true, false) => ": did you pass it transposed?",
        _ => hint(what),
    }
}

/// Which of X and Y may have been passed with an example in each row.
pub(super) fn transposed_examples(x: (usize, usize), y: (usize, usize)) -> String {
    let which = match (x, y) {
        _ if x.0 == y.0 => "did you pass both transposed?",
        _ if x.0 == y.1 => "did you pass X transposed?",
        _ if x.1 == y.0 => "did you pass Y transposed?",
        _ => return "a column is an example (for examples in rows see `row_major`)".to_owned(),
    };
    format!("{which} A column is an example; `row_major` reads examples in rows")
}

/// The batch in which training diverged, if the method steps on batches.
pub(super) fn in_batch(batch: Option<usize>) -> String {
    batch.map_or_else(String::new, |batch| format!(", batch {batch}"))
}

/// The advice after a divergence. A full-batch solver has no batches and no learning rate.
pub(super) fn remedy_for_divergence(batch: Option<usize>) -> &'static str {
    match batch {
        Some(_) => "lower the learning rate or scale the inputs",
        None => "scale the inputs",
    }
}

/// The cause of a divergence without advice of its own.
pub(super) fn plainly(cause: &Error) -> String {
    match cause {
        Error::NonFinite { at, value } => format!("{at} is {value}"),
        other => other.to_string(),
    }
}

/// What to do about a method that a type leaves out.
pub(super) fn remedy(what: &str) -> &'static str {
    if what.ends_with("_tangent") {
        ": implement it, or generate it with `dual` (feature `num-dual`)"
    } else {
        ""
    }
}

impl Location {
    /// What may have gone wrong.
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

/// The layer's number as the course writes it: 0 becomes `⁽¹⁾`.
pub(crate) fn superscript(layer: usize) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digits = (layer as u128 + 1).to_string();
    let raised = digits.bytes().map(|d| DIGITS[usize::from(d - b'0')]);
    format!("⁽{}⁾", raised.collect::<String>())
}

/// Returns the error of a method that type `S` leaves at its default.
pub(crate) fn unsupported<S: ?Sized>(what: &'static str) -> Error {
    Error::Unsupported {
        what,
        by: type_name::<S>(),
    }
}

/// The last segment of a type's path, without its generic arguments.
pub(crate) fn short_name(path: &str) -> String {
    let head = path.split('<').next().unwrap_or(path);
    head.rsplit("::").next().unwrap_or(head).to_owned()
}
