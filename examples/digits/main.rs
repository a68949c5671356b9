//! Handwritten digits: checks the gradient, trains with L-BFGS, classifies the test images, and
//! writes to `target/` two pictures, and a page of the pass of one image.
//!
//! ```sh
//! cargo run --release --example digits
//! ```

mod data;
mod pictures;
mod training;

use backprop::{Examples, GradientCheck, Workspace};
use pictures::{hidden_units, learning_curve};
use std::error::Error;
use std::path::Path;
use std::time::Instant;
use training::{classify, network, objective, train};

fn main() -> Result<(), Box<dyn Error>> {
    let (train_digits, test_digits) = data::load()?;
    let mut network = network(1)?;
    println!("{network}\n");

    // The first 20 images are enough to check the gradient.
    let few = Examples::new(train_digits.x.columns(0, 20), train_digits.y.columns(0, 20))?;
    let report = GradientCheck::new().network(&network, &few, &objective())?;
    println!(
        "gradient check on 20 images, {} derivatives, λ = 1\n{report}\n",
        network.parameters()
    );
    if !report.passed() {
        return Err("the gradient is wrong".into());
    }

    let examples = Examples::new(&train_digits.x, &train_digits.y)?;
    let before = network.cost(&examples, &objective())?;
    let clock = Instant::now();
    let training = train(&mut network, &train_digits)?;
    let seconds = clock.elapsed().as_secs_f64();
    let after = network.cost_into(&examples, &objective(), &mut Workspace::new())?;
    println!(
        "L-BFGS: {} iterations, {} passes, {seconds:.2} s",
        training.iterations, training.evaluations
    );
    println!(
        "J: {before:.4} -> {:.4}, of it {:.4} penalty\n",
        after.total(),
        after.penalty
    );

    let test = classify(&network, &test_digits)?;
    let percent = 100.0 * classify(&network, &train_digits)?.accuracy();
    println!("training accuracy: {percent:.2} %");
    println!("test accuracy: {:.2} %", 100.0 * test.accuracy());
    println!("\nconfusion matrix of the test set (row: the digit, column: the prediction)\n{test}");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder)?;
    let (curve, units) = (
        folder.join("learning_curve.svg"),
        folder.join("hidden_units.png"),
    );
    let sets = [&train_digits, &test_digits];
    learning_curve(&curve, &network, &training.path, sets)?;
    hidden_units(&units, &network)?;
    println!(
        "\npictures: {}\n          {}",
        curve.display(),
        units.display()
    );

    // One pass of the trained network, with every number, for the first test image.
    let image = Examples::new(test_digits.x.columns(0, 1), test_digits.y.columns(0, 1))?;
    let check = GradientCheck::new().keep_comparisons();
    let report = check.network(&network, &image, &objective())?;
    let trace = network.trace(&image, &objective())?;
    let page = trace
        .page()
        .title("A handwritten digit")
        .input_image(8, 8)?;
    let file = folder.join("digits.html");
    page.check(&report)?.write_html(&file)?;
    println!("one pass: {}", file.display());
    Ok(())
}
