//! Regularisation: 200 handwritten digits, with an L2 penalty, with dropout, with batch
//! normalisation, and with nothing. Draws the learning curves of five seeds in
//! `target/regularization.svg`.
//!
//! ```sh
//! cargo run --release --example regularization
//! ```
//!
//! The network has more than a hundred parameters for each image, so it can memorise all images.
//! The cost on the test images shows the effect, and how much each remedy helps. Each seed chooses
//! different images, initial weights and dropout masks.

#[path = "digits/data.rs"]
mod data;

use backprop::activation::{Identity, Relu, Softmax};
use backprop::data::{labels, select, stratified_split};
use backprop::metrics::Accuracy;
use backprop::training::{Adam, Trainer};
use backprop::{CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng};
use data::Digits;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Instant;

const IMAGES: usize = 200;
const SEEDS: RangeInclusive<u64> = 1..=5;
const EPOCHS: usize = 200;
const UNITS: usize = 128;

/// The pair with the lowest cost among λ = 0.1, 0.3 and 1 with p = 0.35, 0.5 and 0.65, over seeds
/// 11 to 15, on the training images that a run does not use. Each is also used alone.
const LAMBDA: f64 = 0.3;
const P: f64 = 0.5;

/// What is added to the network and to its objective.
#[derive(Clone, Copy, Debug, Default)]
struct Remedies {
    name: &'static str,
    color: RGBColor,
    /// λ of the penalty.
    lambda: f64,
    /// p of a dropout after each hidden layer.
    p: f64,
    /// Whether each hidden layer is normalised before its activation.
    batch_norm: bool,
}

/// The test images after each epoch of a run.
#[derive(Debug)]
struct Run {
    costs: Vec<f64>,
    /// In percent.
    errors: Vec<f64>,
    /// The mean cost of the training images after the last epoch, without the penalty.
    trained: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = data::load()?;
    let nothing = Remedies {
        name: "nothing",
        color: RGBColor(87, 96, 106),
        ..Remedies::default()
    };
    let l2 = Remedies {
        name: "L2",
        color: RGBColor(31, 111, 235),
        lambda: LAMBDA,
        ..nothing
    };
    let dropout = Remedies {
        name: "dropout",
        color: RGBColor(194, 65, 12),
        p: P,
        ..nothing
    };
    let both = Remedies {
        name: "L2, dropout",
        color: RGBColor(26, 127, 55),
        lambda: LAMBDA,
        ..dropout
    };
    let batch_norm = Remedies {
        name: "batch norm",
        color: RGBColor(130, 80, 223),
        batch_norm: true,
        ..nothing
    };
    let mut all = Vec::new();
    println!("After {EPOCHS} epochs, the mean of five seeds, the least and the largest:");
    println!(
        "             cost on test images      errors on test images   on the {IMAGES}    time"
    );
    for remedies in [nothing, l2, dropout, both, batch_norm] {
        let clock = Instant::now();
        let runs = SEEDS.map(|seed| run(remedies, seed, [&train, &test]));
        let runs = runs.collect::<Result<Vec<Run>, Box<dyn Error>>>()?;
        let costs = summary(&runs, |run| run.costs[EPOCHS - 1]);
        let errors = summary(&runs, |run| run.errors[EPOCHS - 1]);
        println!(
            "{:11}  {:.3} ({:.3} to {:.3})   {:4.1} % ({:.1} to {:.1}) {:14.4} {:6.1} s",
            remedies.name,
            costs[0],
            costs[1],
            costs[2],
            errors[0],
            errors[1],
            errors[2],
            summary(&runs, |run| run.trained)[0],
            clock.elapsed().as_secs_f64(),
        );
        all.push((remedies, runs));
    }
    println!(
        "\nWithout a remedy, the network learns its images by heart. The cost of the test images\n\
         is lowest near epoch 45 and rises from there. L2 stops the rise. Dropout alone delays\n\
         it, and the network learns more slowly. L2 with dropout, and batch normalisation\n\
         alone, have the lowest mean costs. The error rates hardly differ: the seeds differ\n\
         much more. Stopping at the lowest cost would have helped about as much as L2."
    );
    let mean = |row: usize, epoch: usize| summary(&all[row].1, |run| run.costs[epoch])[0];
    let last = [0, 1, 2, 3, 4].map(|row| mean(row, EPOCHS - 1));
    assert!([1, 3, 4].iter().all(|&row| last[row] < last[0] - 0.02));
    let stopped = (0..EPOCHS)
        .map(|epoch| mean(0, epoch))
        .fold(f64::INFINITY, f64::min);
    assert!(stopped < last[0] - 0.02 && (stopped - last[1]).abs() < 0.02);
    let errors = [0, 1, 2, 3, 4].map(|row| summary(&all[row].1, |run| run.errors[EPOCHS - 1]));
    assert!(
        errors
            .iter()
            .all(|[mean, ..]| (mean - errors[0][0]).abs() < 2.0)
    );
    assert!(
        errors
            .iter()
            .all(|[_, least, largest]| largest - least > 2.0)
    );

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("regularization.svg");
    draw(&file, &all)?;
    println!("\npicture: {}", file.display());
    Ok(())
}

/// Returns the mean, the least and the largest number of the runs.
fn summary(runs: &[Run], number: impl Fn(&Run) -> f64) -> [f64; 3] {
    let numbers = || runs.iter().map(&number);
    let mean = numbers().sum::<f64>() / runs.len() as f64;
    let least = numbers().fold(f64::INFINITY, f64::min);
    [mean, least, numbers().fold(0.0, f64::max)]
}

fn network(remedies: Remedies, seed: u64) -> Result<Network<f64>, backprop::Error> {
    let mut builder = Network::builder(64);
    for _ in 0..2 {
        builder = match remedies.batch_norm {
            true => builder
                .dense_without_bias(UNITS, Identity)
                .batch_norm()
                .activate(Relu),
            false => builder.dense(UNITS, Relu),
        };
        builder = builder.dropout(remedies.p);
    }
    builder
        .dense(data::CLASSES, Softmax)
        .initialize(Initialization::HeUniform, &mut rng(seed))
}

/// Trains on some of the images, and measures the test images after each epoch.
fn run(remedies: Remedies, seed: u64, [train, test]: [&Digits; 2]) -> Result<Run, Box<dyn Error>> {
    let rest = 1.0 - IMAGES as f64 / train.x.ncols() as f64;
    let few = stratified_split(&labels(&train.y)?, rest, seed)?.train;
    let (x, y) = (select(&train.x, &few)?, select(&train.y, &few)?);
    let examples = Examples::new(&x, &y)?;
    let mut network = network(remedies, seed)?;
    let objective = Objective::new(CategoricalCrossEntropy).l2(remedies.lambda);
    let history = Trainer::new(objective, Adam::new(1e-3))
        .epochs(EPOCHS as u64)
        .batch_size(20)
        .seed(seed)
        .metric(Accuracy)
        .validation(Examples::new(&test.x, &test.y)?)
        .keep_best(false) // the test images are only watched
        .fit(&mut network, &examples)?;
    let records = history.records().iter();
    let costs = records.clone().filter_map(|record| record.validation);
    let accuracies = records.filter_map(|record| record.validation_metrics.first());
    Ok(Run {
        costs: costs.collect(),
        errors: accuracies.map(|share| 100.0 * (1.0 - share)).collect(),
        trained: network.cost(&examples, &Objective::new(CategoricalCrossEntropy))?,
    })
}

/// Draws the costs and the errors by epoch: thin lines for the seeds, and their mean.
fn draw(file: &Path, all: &[(Remedies, Vec<Run>)]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (880, 380)).into_drawing_area();
    root.fill(&WHITE)?;
    let [left, right] = &root.split_evenly((1, 2))[..] else {
        return Err("the picture has two halves".into());
    };
    let (costs, errors) = (
        |run: &Run| run.costs.clone(),
        |run: &Run| run.errors.clone(),
    );
    panel(left, "mean cost of the test images", 0.14..0.45, all, costs)?;
    panel(
        right,
        "errors on the test images (%)",
        3.0..12.0,
        all,
        errors,
    )?;
    root.present()?;
    Ok(())
}

/// Draws one half.
fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    y: &str,
    range: Range<f64>,
    all: &[(Remedies, Vec<Run>)],
    curve: fn(&Run) -> Vec<f64>,
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d(0..EPOCHS, range.clone())?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(y)
        .x_labels(5)
        .y_labels(7)
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 228, 232))
        .axis_style(RGBColor(140, 149, 159))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 13))
        .draw()?;
    for (remedies, runs) in all {
        let color = remedies.color;
        // The first epochs are above the picture.
        let shown = |curve: Vec<f64>| (1..).zip(curve).filter(|(_, y)| range.contains(y));
        let mut mean = vec![0.0; EPOCHS];
        for curve in runs.iter().map(curve) {
            for (mean, y) in mean.iter_mut().zip(&curve) {
                *mean += y / runs.len() as f64;
            }
            chart.draw_series(LineSeries::new(shown(curve), color.mix(0.2)))?;
        }
        let style = color.stroke_width(2);
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style);
        let line = LineSeries::new(shown(mean), style);
        chart.draw_series(line)?.label(remedies.name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
