//! The text of each message.

use backprop::{BlockEntry, BytesFault, DistributedFault, Error, Location, TableFault};
use std::time::Duration;

fn entry() -> BlockEntry {
    BlockEntry {
        layer: 0.into(),
        block: "Θ".into(),
        row: 2,
        col: 1,
    }
}

fn not_finite(at: Location) -> Error {
    let value = f64::INFINITY;
    Error::NonFinite { at, value }
}

fn shape(what: &'static str, expected: (usize, usize), found: (usize, usize)) -> Error {
    Error::Shape {
        what,
        expected,
        found,
    }
}

fn check(table: &[(Error, &str)]) {
    for (error, text) in table {
        assert_eq!(&error.to_string(), text);
    }
}

#[test]
fn networks() {
    check(&[
        (
            Error::NoLayers,
            "the network has no layers, expected at least one",
        ),
        (
            Error::NoInputs,
            "the network has no inputs, expected at least one",
        ),
        (
            Error::Depth { most: 7 },
            "layers are nested more than 7 deep; put some of them side by side",
        ),
        (
            Error::Plan {
                layer: 1.into(),
                what: "z ends after what the layer keeps",
            },
            "the plan of layer 1 (Θ⁽²⁾) does not hold: z ends after what the layer keeps",
        ),
        (
            Error::HeadRows {
                expected: 5,
                found: 3,
            },
            "the heads of the cost read 5 outputs, but the network has 3",
        ),
        (
            Error::PartialTargets {
                example: 2,
                rows: 0..3,
            },
            "example 2 has some but not all of its targets in rows 0..3, expected all or none, \
             because the cost of one depends on the others",
        ),
        (
            Error::Gaps { what: "X" },
            "the columns of X are apart, expected contiguous columns, because an example has \
             several axes; pass an owned copy",
        ),
        (
            Error::NoBranches {
                layer: [2, 0].into(),
            },
            "layer 2.0 (Θ⁽³·¹⁾) has no branches, expected at least one",
        ),
        (
            Error::Branch {
                layer: [1, 3].into(),
                expected: 3.into(),
                found: 2.into(),
            },
            "the output of layer 1.3 (Θ⁽²·⁴⁾) is 2 units, expected 3 units, as of the branch \
             before it",
        ),
        (
            Error::LayerShape {
                layer: 0.into(),
                expected: "a sequence or a signal",
                found: backprop::Shape::Image {
                    channels: 3,
                    height: 4,
                    width: 5,
                },
            },
            "the inputs of layer 0 (Θ⁽¹⁾) are 3 channels × 4 × 5, expected a sequence or a signal",
        ),
        (
            Error::LayerInputs {
                layer: [1, 0, 2].into(),
                expected: 3,
                found: 4,
            },
            "the number of inputs of layer 1.0.2 (Θ⁽²·¹·³⁾) is 4, expected 3, the number of \
             outputs of layer 1.0.1",
        ),
        (
            Error::LayerInputs {
                layer: [1, 0].into(),
                expected: 3,
                found: 4,
            },
            "the number of inputs of layer 1.0 (Θ⁽²·¹⁾) is 4, expected 3, the last axis of the \
             inputs of the layer around it",
        ),
        (
            Error::ZeroUnits { layer: 9.into() },
            "layer 9 (Θ⁽¹⁰⁾) has no units, expected at least one",
        ),
        (
            Error::LayerInputs {
                layer: 0.into(),
                expected: 3,
                found: 4,
            },
            "the number of inputs of layer 0 (Θ⁽¹⁾) is 4, expected 3, the number of inputs of the \
             network",
        ),
        (
            Error::LayerInputs {
                layer: 2.into(),
                expected: 3,
                found: 4,
            },
            "the number of inputs of layer 2 (Θ⁽³⁾) is 4, expected 3, the number of outputs of \
             layer 1",
        ),
        (
            Error::PenalisedColumns {
                layer: 1.into(),
                block: "U".into(),
                cols: 3,
                from: 5,
            },
            "block U of layer 1 (Θ⁽²⁾): the first penalised column is 5, expected at most 3, \
             its number of columns",
        ),
        (
            Error::TooLarge {
                what: "the Hessian",
                rows: 7,
                cols: 7,
            },
            "there is not enough memory for the Hessian: 7 × 7 entries",
        ),
        (
            Error::NotDense { layer: 1.into() },
            "layer 1 (Θ⁽²⁾) is not dense, expected one block of parameters [b W]: use `block` \
             and `set_block`",
        ),
        (
            Error::OtherNetwork {
                what: "the accumulator",
                expected: 9,
                found: 9,
            },
            "the accumulator belongs to a network of another shape, or with other frozen layers: \
             expected a layout of \
             9 parameters, found a different one of 9",
        ),
        (
            Error::SingleOutput {
                what: "Softmax",
                expected: "Sigmoid with BinaryCrossEntropy",
            },
            "Softmax needs one output for each class, found 1: for two classes use Sigmoid with \
             BinaryCrossEntropy, or two outputs with Softmax and CategoricalCrossEntropy",
        ),
        (
            Error::Unsupported {
                what: "a time budget",
                by: "a target without a clock",
            },
            "a target without a clock does not support a time budget",
        ),
        (
            Error::Unsupported {
                what: "Layer::forward_tangent",
                by: "my::Layer",
            },
            "my::Layer does not support Layer::forward_tangent: implement it, or generate it with \
             `dual` (feature `num-dual`)",
        ),
    ]);
}

#[test]
fn data() {
    check(&[
        (
            Error::NoExamples,
            "there are no examples, or all their weights are zero",
        ),
        (
            Error::Source {
                name: "x.bin".to_owned(),
                reason: "the file is empty, expected at least one row".to_owned(),
            },
            "x.bin: the file is empty, expected at least one row",
        ),
        (
            Error::Csv {
                name: "x.csv".to_owned(),
                line: 7,
                fault: TableFault::Number {
                    column: "mass".to_owned(),
                    text: "heavy".to_owned(),
                },
            },
            "x.csv, line 7: column \"mass\": expected a finite number or a mark of a missing \
             value, found \"heavy\"",
        ),
        (
            Error::Table {
                fault: TableFault::Category {
                    column: "sex".to_owned(),
                    example: 3,
                    value: None,
                    known: vec!["female".to_owned(), "male".to_owned()],
                },
            },
            "column \"sex\", example 3: the category of missing values is unknown, expected \
             \"female\", \"male\"",
        ),
        (
            Error::Table {
                fault: TableFault::Length {
                    column: "sex".to_owned(),
                    expected: 3,
                    found: 2,
                },
            },
            "column \"sex\" has 2 values, expected 3, as the columns before it",
        ),
        (
            Error::Table {
                fault: TableFault::Empty {
                    column: "sex".to_owned(),
                },
            },
            "all values of column \"sex\" are missing, expected at least one",
        ),
        (
            shape("X", (4, 10), (5, 10)),
            "X: expected 4 rows, found 5 × 10 (a column is an example, a row an input)",
        ),
        (
            shape("X", (4, 4), (10, 4)),
            "X: expected 4 rows, found 10 × 4: did you pass it transposed? A column is an example; \
             `row_major` reads examples in rows",
        ),
        (
            shape("the weights", (4, 3), (3, 4)),
            "the weights: expected 4 × 3, found 3 × 4: did you pass it transposed?",
        ),
        (
            shape("the weights", (3, 3), (5, 3)),
            "the weights: expected 3 rows, found 5 × 3",
        ),
        (
            shape("the weights", (3, 3), (3, 5)),
            "the weights: expected 3 × 3, found 3 × 5",
        ),
        (
            shape("the targets", (1, 4), (0, 4)),
            "the targets: expected 1 row, found 0 × 4",
        ),
        (
            shape("X", (2, 1), (4, 1)),
            "X: expected 2 rows, found 4 × 1: a slice is one example; `row_major(&buffer, 2)` \
             reads several",
        ),
        (
            shape("Y", (3, 5), (1, 5)),
            "Y: expected 3 rows, found 1 × 5: for class numbers use `one_hot`",
        ),
        (
            shape("Y", (3, 5), (2, 5)),
            "Y: expected 3 rows, found 2 × 5 (a column is an example, a row an output)",
        ),
        (
            shape("the cotangent", (1, 3), (3, 1)),
            "the cotangent: expected 1 × 3, found 3 × 1: did you pass it transposed? \
             `DMatrixView::from_slice` gives a slice its shape",
        ),
        (
            Error::Length {
                what: "the bias",
                expected: 1,
                found: 2,
            },
            "the bias: expected a length of 1, found 2",
        ),
        (
            Error::Ragged {
                what: "the row-major buffer",
                length: 7,
                row: 3,
            },
            "the row-major buffer has 7 values, expected a multiple of 3, the length of a row",
        ),
        (
            Error::Ragged {
                what: "the row-major buffer",
                length: 7,
                row: 0,
            },
            "the row-major buffer has 7 values, expected rows of at least 1 value",
        ),
        (
            Error::Index {
                what: "layer",
                index: 3,
                count: 3,
            },
            "there is no layer 3, expected a number from 0 to 2",
        ),
        (
            Error::Index {
                what: "block",
                index: 1,
                count: 1,
            },
            "there is no block 1, expected 0, because there is only one",
        ),
        (
            Error::Index {
                what: "block",
                index: 1,
                count: 0,
            },
            "there is no block 1: there are none",
        ),
        (
            Error::Weight {
                example: 3,
                value: -1.0,
            },
            "the weight of example 3 is -1, expected a number in [0, ∞)",
        ),
        (
            Error::TotalWeight {
                value: f64::INFINITY,
            },
            "the weights of the examples sum to inf, expected a sum that the scalar type can hold: \
             scale the weights",
        ),
        (
            Error::Label {
                what: "the labels",
                example: 2,
                label: 3,
                classes: 3,
            },
            "the labels: the label of example 2 is 3, expected a number from 0 to 2",
        ),
        (
            Error::Label {
                what: "the labels",
                example: 2,
                label: 3,
                classes: 0,
            },
            "the labels: the label of example 2 is 3: there are no classes",
        ),
        (
            Error::Probability {
                what: "output",
                unit: 1,
                example: 4,
                value: 1.5,
            },
            "the output of unit 1, example 4 is 1.5, expected a probability in [0, 1]: use outputs \
             of Sigmoid or Softmax",
        ),
        (
            Error::OneClass {
                unit: 2,
                positive: false,
            },
            "all targets of unit 2 are at most ½, expected some on either side, or the ROC curve \
             does not exist: use examples of both classes",
        ),
        (
            Error::FewExamples {
                class: Some(2),
                expected: 3,
                found: 1,
            },
            "class 2: expected at least 3 examples, found 1",
        ),
        (
            Error::FewExamples {
                class: None,
                expected: 2,
                found: 1,
            },
            "the data: expected at least 2 examples, found 1",
        ),
        (
            Error::Spread { row: 1, value: 0.0 },
            "the spread of row 1 is 0, expected a number in (0, ∞)",
        ),
        (
            Error::Scaled {
                row: 1,
                example: 2,
                value: f64::NEG_INFINITY,
            },
            "row 1 of example 2 is -inf after scaling, expected a finite number",
        ),
    ]);
}

#[test]
fn values() {
    let target = |domain| Error::Target {
        unit: 1,
        example: 4,
        value: -0.5,
        domain,
    };
    let (input, output) = (
        "(a column is an example, a row an input)",
        "a row an output",
    );
    let input =
        format!("the entry of X at row 1, column 2 is inf, expected a finite number {input}");
    let of_y = not_finite(Location::Input {
        what: "Y",
        row: 0,
        col: 0,
    });
    assert!(of_y.to_string().contains(output));
    check(&[
        (
            target((0.0, 1.0)),
            "the target of unit 1, example 4 is -0.5, expected a number in [0, 1]",
        ),
        (
            target((0.0, f64::INFINITY)),
            "the target of unit 1, example 4 is -0.5, expected a number in [0, ∞)",
        ),
        (
            target((f64::NEG_INFINITY, -1.0)),
            "the target of unit 1, example 4 is -0.5, expected a number in (−∞, -1]",
        ),
        (
            Error::Output {
                layer: 1.into(),
                unit: 0,
                example: 3,
                value: 1.5,
                expected: "in (0, ∞), or 0 where y = 0",
            },
            "the output of layer 1 (Θ⁽²⁾), unit 0, for example 3 is 1.5, expected an output \
             in (0, ∞), or 0 where y = 0: use an activation with this range, such as `Softmax` or \
             `Exponential`",
        ),
        (
            Error::Output {
                layer: 1.into(),
                unit: 0,
                example: 3,
                value: 1.5,
                expected: "below 1",
            },
            "the output of layer 1 (Θ⁽²⁾), unit 0, for example 3 is 1.5, expected an output \
             below 1: use an activation with this range",
        ),
        (
            not_finite(Location::Input {
                what: "X",
                row: 1,
                col: 2,
            }),
            &input,
        ),
        (
            not_finite(Location::Activation {
                layer: 0.into(),
                unit: 1,
                example: 2,
            }),
            "the output of layer 0 (Θ⁽¹⁾), unit 1, for example 2 is inf: scale the inputs or use \
             smaller weights",
        ),
        (
            not_finite(Location::Cost { example: 2 }),
            "the cost of example 2 is inf",
        ),
        (
            not_finite(Location::Objective),
            "the objective J is inf, although the cost of every example is finite",
        ),
        (
            not_finite(Location::TestedFunction),
            "the function under test is inf",
        ),
        (
            not_finite(Location::Gradient(entry())),
            "the gradient of layer 0 (Θ⁽¹⁾), block Θ, at row 2, column 1 is inf",
        ),
        (
            not_finite(Location::InputGradient { row: 1, example: 2 }),
            "the gradient with respect to X at row 1, example 2 is inf",
        ),
        (
            not_finite(Location::Derivative {
                what: "the output Jacobian",
                index: 5,
            }),
            "entry 5 of the output Jacobian is inf",
        ),
        (
            not_finite(Location::Parameter(entry())),
            "the parameter of layer 0 (Θ⁽¹⁾), block Θ, at row 2, column 1 is inf",
        ),
        (
            not_finite(Location::OptimizerState {
                buffer: 1,
                entry: entry(),
            }),
            "buffer 1 of the optimiser's state for layer 0 (Θ⁽¹⁾), block Θ, at row 2, column 1 \
             is inf",
        ),
        (
            not_finite(Location::Metric { name: "R²".into() }),
            "the metric R² is inf, although outputs and targets are finite",
        ),
    ]);
}

#[test]
fn training() {
    let cause = not_finite(Location::Activation {
        layer: 0.into(),
        unit: 1,
        example: 2,
    });
    let diverged = |batch| Error::Diverged {
        epoch: 3,
        batch,
        cause: Box::new(cause.clone()),
    };
    check(&[
        (
            diverged(None),
            "training diverged in epoch 3: the output of layer 0 (Θ⁽¹⁾), unit 1, for example 2 is \
             inf; scale the inputs",
        ),
        (
            diverged(Some(7)),
            "training diverged in epoch 3, batch 7: the output of layer 0 (Θ⁽¹⁾), unit 1, \
             for example 2 is inf; lower the learning rate or scale the inputs",
        ),
        (
            Error::Hyperparameter {
                name: "the learning rate",
                value: -1.0,
                expected: "a number in [0, ∞)".into(),
            },
            "the learning rate is -1, expected a number in [0, ∞)",
        ),
        (
            Error::Checkpoint {
                reason: "its optimiser has made 3 steps, expected 4".into(),
            },
            "checkpoint: its optimiser has made 3 steps, expected 4",
        ),
        (
            Error::OtherTraining {
                what: "the seed",
                expected: "1".into(),
                found: "2".into(),
            },
            "the checkpoint is from another training run: the seed was 2, expected 1",
        ),
        (
            Error::OptimizerState {
                buffer: 1,
                index: 4,
                value: -1.0,
                expected: "a number in [0, ∞)",
            },
            "buffer 1 of the optimiser's state is -1 at entry 4, expected a number in [0, ∞)",
        ),
    ]);
}

#[test]
fn ranks() {
    let faults = [
        (
            DistributedFault::Disagreement {
                what: "the batch size",
                rank: 2,
                expected: "64".to_owned(),
                found: "none".to_owned(),
            },
            "the batch size of rank 2 is none, expected 64 as on rank 0: start every rank with the \
             same program, settings and data; a `Shard` joins data that ranks hold in parts",
        ),
        (
            DistributedFault::Diverged {
                step: 128,
                ranks: vec![1, 3],
            },
            "after step 128, the parameters or the state of ranks [1, 3] differ from those of rank \
             0: a processor, a custom function or the memory of a rank is at fault",
        ),
        (
            DistributedFault::Failed {
                rank: 1,
                message: "x.bin: the disk is gone".to_owned(),
            },
            "rank 1 failed: x.bin: the disk is gone",
        ),
        (
            DistributedFault::Message {
                what: "the version",
                rank: 4,
                expected: 1,
                found: 2,
            },
            "the version of a message of rank 4 is 2, expected 1: every rank must make the same \
             calls in the same order, such as `Trainer::distributed` on all or none",
        ),
        (
            DistributedFault::TimedOut {
                after: Duration::from_secs(600),
            },
            "not all ranks answered within 600s: a rank has ended, or hangs",
        ),
        (
            DistributedFault::Poisoned {
                message: "rank 3 has ended".to_owned(),
            },
            "this communicator refuses calls after an earlier error: rank 3 has ended",
        ),
        (
            DistributedFault::Library {
                message: "MPI_ERR_COMM".to_owned(),
            },
            "the library that sends the messages failed: MPI_ERR_COMM",
        ),
    ];
    check(&faults.map(|(fault, text)| (Error::Distributed { fault }, text)));
}

#[test]
fn bytes() {
    let table = [
        (
            BytesFault::Beginning {
                expected: "bpropsum",
                found: "PK\\x03".to_owned(),
            },
            r#"they begin with "PK\\x03", expected "bpropsum""#,
        ),
        (
            BytesFault::Version {
                expected: 1,
                found: 2,
            },
            "they have version 2, expected 1: write and read them with the same version of this \
             crate",
        ),
        (
            BytesFault::Length {
                expected: 56,
                found: 7,
            },
            "there are 7 bytes, expected 56",
        ),
        (
            BytesFault::Checksum {
                expected: 0xab,
                found: 1,
            },
            "they are damaged: expected the checksum 00000000000000ab, found 0000000000000001",
        ),
        (
            BytesFault::Scalar {
                expected: "f64",
                found: "f32".to_owned(),
            },
            "their scalar is f32, expected f64",
        ),
        (
            BytesFault::Number {
                index: 1,
                value: f64::INFINITY,
                expected: "a finite rounding error",
            },
            "number 1 is inf, expected a finite rounding error",
        ),
    ];
    for (fault, text) in table {
        let what = "the accumulator";
        let text = format!("{what} cannot be read from these bytes: {text}");
        check(&[(Error::Bytes { what, fault }, &text)]);
    }
}
