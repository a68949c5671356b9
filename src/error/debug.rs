//! `Debug` of errors: the message first, so that `main` and `unwrap` show it, then the fields.

/// Implements `Debug` for an enum of errors: its message, then variant and fields in brackets.
///
/// `field: Wrapper` prints the field as `Wrapper(field)`. The compiler rejects a list that leaves
/// out a variant or a field.
macro_rules! debug_with_message {
    ($type:ty { $($variant:ident { $($field:ident $(: $wrapper:path)?),* })* }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self} [")?;
                self.debug_fields(f)?;
                f.write_str("]")
            }
        }

        impl $type {
            /// Prints the variant and its fields, without the message.
            fn debug_fields(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant { $($field),* } => f
                        .debug_struct(stringify!($variant))
                        $(.field(stringify!($field), &$($wrapper)?($field)))*
                        .finish(),)*
                }
            }
        }
    };
}

#[cfg(any(feature = "serde", feature = "_interchange"))]
pub(crate) use debug_with_message;

debug_with_message! {
    super::Error {
        NoLayers {}
        NoInputs {}
        Branch { layer, expected, found }
        NoBranches { layer }
        LayerShape { layer, expected, found }
        Plan { layer, what }
        PartialTargets { example, rows }
        HeadRows { expected, found }
        Gaps { what }
        Depth { most }
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
        Bytes { what, fault }
        Source { name, reason }
        Table { fault }
        Csv { name, line, fault }
        Distributed { fault }
        NotDense { layer }
        NonFinite { at, value }
        Id { row, example, value, count }
        IdInputs { row }
        ComputedIds { layer }
        Target { unit, example, value, domain }
        SingleOutput { what, expected }
        Output { layer, unit, example, value, expected }
        Weight { example, value }
        TotalWeight { value }
        Hyperparameter { name, value, expected }
        Diverged { epoch, batch, cause: Cause }
        Checkpoint { reason }
        OtherTraining { what, expected, found }
        OptimizerState { buffer, index, value, expected }
        State { layer, block, entry, value, least }
        NoState {}
        Coupled { layer, what, training }
        WeightedStatistics { layer }
        Stochastic { layer, what }
        Unsupported { what, by }
        Label { what, example, label, classes }
        UnknownLabel { example, label, known }
        Probability { what, unit, example, value }
        OneClass { unit, positive }
        FewExamples { class, expected, found }
        Spread { row, value }
        Scaled { row, example, value }
    }
}

/// A nested error, printed without its message, which the message of the outer error contains.
struct Cause<'a>(&'a super::Error);

impl std::fmt::Debug for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.debug_fields(f)
    }
}
