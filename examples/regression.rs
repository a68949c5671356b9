//! Numbers instead of classes: predicts the alcohol of 178 wines from twelve other measurements
//! (UCI Wine, CC BY 4.0; see `examples/data/README.md`). Draws predictions against truth, and the
//! residuals, to `target/regression.svg`.
//!
//! ```sh
//! cargo run --release --example regression
//! ```

use backprop::activation::{Identity, Tanh};
use backprop::data::{Scaler, Standardizer, select, train_test_split};
use backprop::metrics::{MeanAbsoluteError, Metric, R2};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Trainer};
use backprop::{Examples, Initialization, Network, Objective, SquaredError, rng};
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const MEASUREMENTS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let (x, alcohol) = load()?;
    let split = train_test_split(x.ncols(), 0.25, 1)?;
    let [train, test] =
        [&split.train, &split.test].map(|part| (select(&x, part), select(&alcohol, part)));
    let ((train_x, train_y), (test_x, test_y)) = ((train.0?, train.1?), (test.0?, test.1?));
    let (of_x, of_y) = (Standardizer::fit(&train_x)?, Standardizer::fit(&train_y)?);
    let (train_x, train_y) = (of_x.apply(&train_x)?, of_y.apply(&train_y)?);

    let mut network = Network::<f64>::builder(MEASUREMENTS)
        .dense(8, Tanh)
        .dense(1, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(2))?;
    let history = Trainer::new(Objective::new(SquaredError).l2(15.0), Adam::new(0.01))
        .epochs(500)
        .batch_size(16)
        .validation_fraction(0.2)
        .patience(30)
        .fit(&mut network, &Examples::new(&train_x, &train_y)?)?;
    let best = history.best().ok_or("no epoch")?;
    println!(
        "{} epochs, the best is {}: J {:.4}, validation {:.4}",
        history.records().len(),
        best.epoch,
        best.cost,
        best.validation.unwrap_or(f64::NAN)
    );

    let predicted = of_y.invert(&network.forward(&of_x.apply(&test_x)?)?)?;
    let r2 = R2.evaluate(predicted.as_view(), test_y.as_view())?;
    let error = MeanAbsoluteError.evaluate(predicted.as_view(), test_y.as_view())?;
    println!("\n{:>10} {:>10} {:>10}", "true, %", "predicted", "residual");
    for (truth, found) in test_y.iter().zip(predicted.iter()).take(10) {
        println!("{truth:>10.2} {found:>10.2} {:>+10.2}", found - truth);
    }
    println!(
        "\n{} test wines: R² = {r2:.3}, mean absolute error {error:.3} % of alcohol",
        test_y.len()
    );
    assert!(r2 > 0.4, "no better than the mean");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("regression.svg");
    draw(&file, test_y.as_slice(), predicted.as_slice())?;
    println!("picture: {}", file.display());
    Ok(())
}

/// Returns the twelve measurements, 12 × m, and the alcohol, 1 × m.
fn load() -> Result<(DMatrix<f64>, DMatrix<f64>), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/wine.csv");
    let (mut measurements, mut alcohol) = (Vec::new(), Vec::new());
    for row in std::fs::read_to_string(path)?.lines().skip(1) {
        let values: Vec<f64> = row.split(',').map(str::parse).collect::<Result<_, _>>()?;
        // The last column is the cultivar.
        let (first, rest) = values.split_first().ok_or("an empty line")?;
        alcohol.push(*first);
        measurements.extend_from_slice(&rest[..MEASUREMENTS]);
    }
    let m = alcohol.len();
    Ok((
        DMatrix::from_vec(MEASUREMENTS, m, measurements),
        DMatrix::from_vec(1, m, alcohol),
    ))
}

/// Plots predictions against true values on the left, with the line of perfect predictions, and
/// residuals against predictions on the right.
fn draw(file: &Path, truth: &[f64], predicted: &[f64]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (880, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(440);
    let residuals: Vec<f64> = predicted.iter().zip(truth).map(|(p, t)| p - t).collect();
    let panels = [
        (
            left,
            "predicted over true, % of alcohol",
            truth,
            predicted,
            11.0..15.0,
            1.0,
        ),
        (
            right,
            "residual over predicted",
            predicted,
            &residuals,
            -2.0..2.0,
            0.0,
        ),
    ];
    for (area, caption, x, y, range, slope) in panels {
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(30)
            .y_label_area_size(40)
            .build_cartesian_2d(11.0..15.0, range)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .draw()?;
        let line = [11.0, 15.0].map(|x| (x, slope * x));
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.4)))?;
        let points = x.iter().zip(y).map(|(&x, &y)| (x, y));
        let blue = RGBColor(31, 111, 235).filled();
        chart.draw_series(points.map(|at| Circle::new(at, 3, blue)))?;
    }
    root.present()?;
    Ok(())
}
