//! Shows which pixels a network depends on: draws ∂J/∂X of digits over the images, in
//! `target/sensitivity.png`.
//!
//! ```sh
//! cargo run --release --example sensitivity
//! ```
//!
//! More ink on orange makes the digit harder to classify, and more ink on blue makes it easier.

#[path = "digits/data.rs"]
mod data;

use backprop::activation::{Softmax, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Trainer};
use backprop::{CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng};
use png::{BitDepth, ColorType, Encoder};
use std::error::Error;
use std::fs::File;
use std::path::Path;

/// The number of picture pixels for each image pixel, and between images.
const SCALE: usize = 12;
const GAP: usize = 8;
/// Pixels on a side of an image.
const SIDE: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = data::load()?;
    let objective = Objective::new(CategoricalCrossEntropy).l2(0.5);
    let mut network = Network::<f64>::builder(SIDE * SIDE)
        .dense(32, Tanh)
        .dense(data::CLASSES, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    Trainer::new(objective.clone(), Adam::new(0.01))
        .epochs(30)
        .batch_size(32)
        .fit(&mut network, &Examples::new(&train.x, &train.y)?)?;

    // One test image of each class. The gradient of one image's cost is m times that of the mean.
    let first = |class| (0..test.y.ncols()).find(|&k| test.y[(class, k)] == 1.0);
    let chosen: Vec<usize> = (0..data::CLASSES).filter_map(first).collect();
    let (x, y) = (
        test.x.select_columns(&chosen),
        test.y.select_columns(&chosen),
    );
    let by_pixel = network.input_gradient(&Examples::new(&x, &y)?, &objective)? * x.ncols() as f64;

    println!(
        "digit  probability  pixel that counts most  cost of 0.1 more ink: predicted  measured"
    );
    let outputs = network.forward(&x)?;
    for (k, slopes) in by_pixel.column_iter().enumerate() {
        let digit = y.column(k).imax();
        let pixel = slopes.icamax();
        let cost = |ink: f64| -> Result<f64, backprop::Error> {
            let mut image = x.columns(k, 1).clone_owned();
            image[pixel] += ink;
            let target = y.columns(k, 1);
            network.cost(
                &Examples::new(&image, target)?,
                &Objective::new(objective.cost),
            )
        };
        println!(
            "{digit:5}  {:11.4}  row {}, column {}         {:+30.5}  {:+.5}",
            outputs[(digit, k)],
            pixel / SIDE,
            pixel % SIDE,
            0.1 * slopes[pixel],
            cost(0.1)? - cost(0.0)?
        );
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sensitivity.png");
    draw(&file, &x, &by_pixel)?;
    println!("\npicture: {}", file.display());
    Ok(())
}

/// Draws the images in a row, and below them the same images with the gradient as colour.
fn draw(file: &Path, x: &DMatrix<f64>, slopes: &DMatrix<f64>) -> Result<(), Box<dyn Error>> {
    let step = SIDE * SCALE + GAP;
    let (width, height) = (x.ncols() * step + GAP, 2 * step + GAP);
    let mut pixels = vec![255_u8; 3 * width * height];
    for (k, row) in (0..x.ncols()).flat_map(|k| [(k, 0), (k, 1)]) {
        let largest = slopes.column(k).amax();
        let (left, top) = (GAP + k * step, GAP + row * step);
        for (v, u) in (0..SIDE * SCALE).flat_map(|v| (0..SIDE * SCALE).map(move |u| (v, u))) {
            let at = (v / SCALE * SIDE + u / SCALE, k);
            let slope = if row == 0 { 0.0 } else { slopes[at] / largest };
            let start = 3 * ((top + v) * width + left + u);
            pixels[start..start + 3].copy_from_slice(&color(x[at], slope));
        }
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut encoder = Encoder::new(File::create(file)?, width as u32, height as u32);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// Returns ink as grey, mixed with orange for a slope of 1 and with blue for −1.
fn color(ink: f64, slope: f64) -> [u8; 3] {
    let end = if slope < 0.0 {
        [31.0, 111.0, 235.0]
    } else {
        [234.0, 88.0, 12.0]
    };
    let grey = 245.0 - 190.0 * ink;
    end.map(|end: f64| (grey + (end - grey) * 0.85 * slope.abs()).round() as u8)
}
