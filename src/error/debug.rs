//! `Debug` of errors: the message first, so that `main` and `unwrap` show it, then the fields.

use super::Error;
use std::fmt;

impl fmt::Debug for Error {
    /// Writes the message, then variant and fields in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [")?;
        Fields(self).fmt(f)?;
        f.write_str("]")
    }
}

/// An error as a derived `Debug` would write it.
struct Fields<'a>(&'a Error);

/// Writes a variant with all of its fields. The compiler refuses a list that leaves one out.
macro_rules! write_fields {
    ($error:expr, $f:expr; $($variant:ident { $($field:ident),* })*) => {
        match $error {
            $(Error::$variant { $($field),* } => {
                $f.debug_struct(stringify!($variant))$(.field(stringify!($field), $field))*.finish()
            })*
            // The message has the cause's message already.
            Error::Diverged { epoch, batch, cause } => $f
                .debug_struct("Diverged")
                .field("epoch", epoch)
                .field("batch", batch)
                .field("cause", &Fields(cause))
                .finish(),
        }
    };
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_fields! { self.0, f;
            NoLayers {}
            NoInputs {}
            ZeroUnits { layer }
            LayerInputs { layer, expected, found }
            PenalisedColumns { layer, block, cols, from }
            TooLarge { what, rows, cols }
            NoExamples {}
            Shape { what, expected, found }
            ExampleCounts { x, y }
            Length { what, expected, found }
            Ragged { what, length, row }
            Index { what, index, count }
            OtherNetwork { what, expected, found }
            NotDense { layer }
            NonFinite { at, value }
            Target { unit, example, value, domain }
            SingleOutput { what, expected }
            Output { layer, unit, example, value, expected }
            Weight { example, value }
            TotalWeight { value }
            Hyperparameter { name, value, expected }
            Checkpoint { reason }
            OtherTraining { what, expected, found }
            OptimizerState { buffer, index, value, expected }
            Unsupported { what, by }
            Label { what, example, label, classes }
            UnknownLabel { example, label, known }
            FewExamples { class, expected, found }
            Spread { row, value }
            Scaled { row, example, value }
        }
    }
}
