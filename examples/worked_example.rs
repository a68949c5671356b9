//! One pass in numbers that you can check by hand, next to the formulas, printed and as a page in
//! `target/`; one step of gradient descent; and the same step with a common mistake.
//!
//! The network is that of M. Mazur, *A Step by Step Backpropagation Example*
//! (<https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/>): 2-2-2, sigmoid
//! units, one example, learning rate ½, fixed biases. The new weights in the article are right, but
//! the error that it states for them, 0.291027924, is wrong. It belongs to hidden weights whose
//! gradient was computed with output weights that had already moved.
//!
//! ```sh
//! cargo run --release --example worked_example
//! ```

use backprop::activation::Sigmoid;
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::{Error, Examples, GradientCheck, Network, Objective, SquaredError, unroll};
use std::path::Path;

const RATE: f64 = 0.5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (x, y) = (dmatrix![0.05; 0.10], dmatrix![0.01; 0.99]);
    // The bias is in column 0: [b₁ w₁ w₂; b₁ w₃ w₄] and [b₂ w₅ w₆; b₂ w₇ w₈].
    let hidden = dmatrix![0.35, 0.15, 0.20; 0.35, 0.25, 0.30];
    let output = dmatrix![0.60, 0.40, 0.45; 0.60, 0.50, 0.55];
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(SquaredError); // ½ Σ (a − y)²
    let network = |hidden: &DMatrix<f64>, output: &DMatrix<f64>| {
        Network::<f64>::builder(2)
            .dense(2, Sigmoid)
            .dense(2, Sigmoid)
            .with_theta(unroll(&[hidden.clone(), output.clone()]).as_slice())
    };

    let trace = network(&hidden, &output)?.trace(&examples, &objective)?;
    println!("{trace:.9}\n");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/worked_example.html");
    let report = GradientCheck::new().keep_comparisons();
    let report = report.network(&network(&hidden, &output)?, &examples, &objective)?;
    let title = "A step by step back-propagation example";
    trace
        .page()
        .title(title)
        .check(&report)?
        .write_html(&page)?;
    println!(
        "The same as a page to read, hover and check: {}\n",
        page.display()
    );
    assert!((trace.cost() - 0.298371109).abs() < 5e-10);

    // The step Θ − ½ D, without the biases.
    let step = |theta: &DMatrix<f64>, d: DMatrix<f64>| {
        let mut moved = theta - d * RATE;
        moved.set_column(0, &theta.column(0));
        moved
    };
    let d = |layer| Ok::<_, Error>(trace.gradient().layer(layer)?.clone_owned());
    let (new_hidden, new_output) = (step(&hidden, d(0)?), step(&output, d(1)?));
    let right = network(&new_hidden, &new_output)?.cost(&examples, &objective)?;
    println!("One step, both gradients at the old weights:");
    println!("  Θ⁽¹⁾{new_hidden:.9}  Θ⁽²⁾{new_output:.9}  J = {right:.12}\n");

    // The same step from a given Θ⁽²⁾: δ⁽²⁾ = (W⁽²⁾ᵀ δ⁽³⁾) ∘ a⁽²⁾ ∘ (1 − a⁽²⁾) and D⁽¹⁾ = δ⁽²⁾ [1;
    // x]ᵀ.
    let a = trace.activation(0).ok_or(Error::NoLayers)?;
    let delta = trace.delta(1).ok_or(Error::NoLayers)?;
    let through = |output: &DMatrix<f64>| {
        let error = output.columns(1, 2).transpose() * delta;
        error.component_mul(&a.map(|a| a * (1.0 - a))) * dmatrix![1.0, x[0], x[1]]
    };
    assert!((through(&output) - d(0)?).amax() < 1e-15);
    let wrong_hidden = step(&hidden, through(&new_output));
    let wrong = network(&wrong_hidden, &new_output)?.cost(&examples, &objective)?;
    println!("The same step with D⁽¹⁾ from the new Θ⁽²⁾, after w₅ to w₈ have moved:");
    println!("  Θ⁽¹⁾{wrong_hidden:.9}  J = {wrong:.12}, in the article 0.291027924\n");
    println!("D⁽¹⁾ is the derivative at one point, the old weights: {right:.9} is right.");

    let article = dmatrix![0.35, 0.149780716, 0.19956143; 0.35, 0.24975114, 0.29950229];
    assert!((new_hidden - article).amax() < 5e-9);
    assert!((right - 0.291027773694).abs() < 1e-12);
    assert_eq!(format!("{wrong:.9}"), "0.291027924");
    Ok(())
}
