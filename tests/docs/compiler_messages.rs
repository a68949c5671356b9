//! The compiler's message for a wrong argument suggests what to write instead.

use super::examples_compile::{Example, errors, features};
use super::render::read;

/// Code that does not compile, with lines of the compiler's message for it.
const MISTAKES: [(&str, &[&str]); 6] = [
    (
        "network.forward(&x.map(|v| v as f32));",
        &[
            "is not a matrix of `f64` with one example per column",
            "expected `&DMatrix<f64>`, a view of one, or one example as `&[f64]`",
            "as in `x.map(|v| v as f64)`: the network and its data have the same scalar type",
        ],
    ),
    (
        "network.forward(&vec![vec![0.0, 1.0]]);",
        &[
            "`&Vec<Vec<{float}>>` is not a matrix of `f64` with one example per column",
            "`row_major(&buffer, n)?` for one example per row",
            "`DMatrixView::from_slice(&buffer, n, m)`",
        ],
    ),
    (
        "network.cost(&examples, &Objective::new(Mine));",
        &[
            "Mine` is not a cost for numbers of type",
            "the built-in costs are in `backprop::cost`",
            "implement `Cost<f64>`",
        ],
    ),
    (
        "GradientCheck::new().activation(&Mine, &x);",
        &[
            "Mine` is not an activation for numbers of type",
            "the built-in activations are in `backprop::activation`",
            "implement `forward` and `backward` of `Activation<",
        ],
    ),
    (
        "GradientCheck::new().layer(&Mine, &[0.0], &x);",
        &[
            "Mine` is not a layer for numbers of type",
            "`Dense::new(inputs, units, activation)`",
            "implement `Layer<",
        ],
    ),
    (
        "Trainer::<f64>::new(Objective::new(SquaredError), Adam::new(0.1)).metric(Mine);",
        &[
            "Mine` is not a metric for numbers of type",
            "the built-in metrics are in `backprop::metrics`",
            "implement `Metric<f64>`",
        ],
    ),
];

#[test]
fn messages_say_what_to_write() {
    let manifest = read("Cargo.toml");
    let examples: Vec<Example> = (0..)
        .zip(MISTAKES)
        .map(|(line, (code, _))| Example {
            file: "mistake".into(),
            line,
            code: format!(
                "use backprop::nalgebra::DMatrix;\n\
                 use backprop::training::{{Adam, Trainer}};\n\
                 use backprop::{{Examples, GradientCheck, Network, Objective, SquaredError}};\n\
                 #[derive(Debug)]\nstruct Mine;\n\
                 fn mistake(network: Network<f64>, x: DMatrix<f64>, \
                 examples: Examples<'_, f64>) {{\n\
                 {code}\n}}\n"
            ),
        })
        .collect();
    let examples: Vec<&Example> = examples.iter().collect();
    let messages = errors("mistakes", &features(&manifest), &examples);
    let messages = messages.expect("none of them compiles");
    // The compiler breaks long lines and indents the rest.
    let messages = messages.split_whitespace().collect::<Vec<_>>().join(" ");
    for (code, expected) in MISTAKES {
        for words in expected {
            assert!(messages.contains(words), "{code}: {words}\n{messages}");
        }
    }
}
