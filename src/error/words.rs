//! How messages name things, and the errors of methods that a type leaves out.

use super::Error;
use std::any::type_name;

/// Which examples are meant: those of a class, or all.
pub(super) fn of_class(class: Option<usize>) -> String {
    class.map_or_else(|| "the data".to_owned(), |class| format!("class {class}"))
}

/// What a reader of a message about X or Y may have overlooked.
pub(super) fn hint(what: &str) -> &'static str {
    match what {
        "X" => " (a column is an example, a row an input)",
        "Y" => " (a column is an example, a row an output)",
        _ => "",
    }
}

/// The layer's number as the course writes it: 0 becomes `⁽¹⁾`.
pub(crate) fn superscript(layer: usize) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digits = (layer as u128 + 1).to_string();
    let raised = digits.bytes().map(|d| DIGITS[usize::from(d - b'0')]);
    format!("⁽{}⁾", raised.collect::<String>())
}

/// The error of a tangent method that type `S` leaves at its default.
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
