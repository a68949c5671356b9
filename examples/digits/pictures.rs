//! The two pictures of the example: the learning curve, and the weights of the hidden units.

use crate::data::Digits;
use crate::training::{classify, objective};
use backprop::{Examples, Network, Objective};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use png::{BitDepth, ColorType, Compression, Encoder};
use std::error::Error;
use std::fs::File;
use std::path::Path;

const BLUE: RGBColor = RGBColor(31, 111, 235);
const ORANGE: RGBColor = RGBColor(194, 65, 12);

/// Pixels on a side of a weight, and between two units.
const SCALE: usize = 9;
const GAP: usize = 6;
/// Units per row.
const ROW: usize = 5;

/// Draws the cost and the fraction of misclassified images over a run, for the training and the
/// test images.
pub fn learning_curve(
    file: &Path,
    network: &Network<f64>,
    path: &[Vec<f64>],
    [train, test]: [&Digits; 2],
) -> Result<(), Box<dyn Error>> {
    let (mut costs, mut misclassified) = ([vec![], vec![]], [vec![], vec![]]);
    // The penalty is left out, so the costs of both sets can be compared.
    let cost = Objective::new(objective().cost);
    let mut network = network.clone();
    for theta in path {
        network.set_theta(theta)?;
        for (set, digits) in [train, test].into_iter().enumerate() {
            costs[set].push(network.cost(&Examples::new(&digits.x, &digits.y)?, &cost)?);
            misclassified[set].push(100.0 * (1.0 - classify(&network, digits)?.accuracy()));
        }
    }
    let root = SVGBackend::new(file, (880, 360)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(440);
    let iterations = path.len();
    let costs_axis = (0.1..10.0).log_scale();
    panel(
        &left,
        "cost of an image, without the penalty",
        iterations,
        costs_axis,
        &costs,
    )?;
    let misclassified_axis = (0.1..100.0).log_scale();
    panel(
        &right,
        "images misclassified, %",
        iterations,
        misclassified_axis,
        &misclassified,
    )?;
    root.present()?;
    Ok(())
}

/// Draws one diagram with a curve for the training images and one for the test images.
fn panel<Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    iterations: usize,
    y: Y,
    [train, test]: &[Vec<f64>; 2],
) -> Result<(), Box<dyn Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(38)
        .y_label_area_size(46)
        .build_cartesian_2d(0..iterations - 1, y)?;
    chart
        .configure_mesh()
        .x_desc("iterations of L-BFGS")
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 228, 232))
        .axis_style(RGBColor(140, 149, 159))
        .label_style(("sans-serif", 13))
        .draw()?;
    for (values, color, name) in [(train, BLUE, "training"), (test, ORANGE, "test")] {
        let line = LineSeries::new(values.iter().copied().enumerate(), color.stroke_width(2));
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 14))
        .margin(12)
        .draw()?;
    Ok(())
}

/// Draws the incoming weights of each hidden unit as an image of 8 × 8 pixels. Ink on orange
/// excites the unit, ink on blue inhibits it.
pub fn hidden_units(file: &Path, network: &Network<f64>) -> Result<(), Box<dyn Error>> {
    let (weights, _) = network.dense_weights(0)?;
    let step = 8 * SCALE + GAP;
    let (width, height) = (ROW * step + GAP, weights.nrows().div_ceil(ROW) * step + GAP);
    // An index into the palette for each pixel: 1 to 31 for a weight, 0 for the background.
    let mut pixels = vec![0; width * height];
    for (unit, row) in weights.row_iter().enumerate() {
        let largest = row.amax();
        let (left, top) = (GAP + unit % ROW * step, GAP + unit / ROW * step);
        for (y, x) in (0..8 * SCALE).flat_map(|y| (0..8 * SCALE).map(move |x| (y, x))) {
            let weight = between(x, y, |i, j| row[8 * j + i]) / largest;
            pixels[(top + y) * width + left + x] = (16.0 + 15.0 * weight).round() as u8;
        }
    }
    let mut encoder = Encoder::new(File::create(file)?, width as u32, height as u32);
    let weights = (1..32).flat_map(|index| color((f64::from(index) - 16.0) / 15.0));
    encoder.set_palette([[225; 3].to_vec(), weights.collect()].concat());
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// Returns the weight at a pixel, interpolated between the weights around it. Strokes are easier to
/// see this way than with square pixels.
fn between(x: usize, y: usize, weight: impl Fn(usize, usize) -> f64) -> f64 {
    let split = |pixel: usize| {
        let place = ((pixel as f64 + 0.5) / SCALE as f64 - 0.5).clamp(0.0, 7.0);
        let low = (place as usize).min(6);
        (low, place - low as f64)
    };
    let ((i, u), (j, v)) = (split(x), split(y));
    let along = |j| (1.0 - u) * weight(i, j) + u * weight(i + 1, j);
    (1.0 - v) * along(j) + v * along(j + 1)
}

/// Returns a colour from blue at −1 through white at 0 to orange at 1.
fn color(weight: f64) -> [u8; 3] {
    let end = if weight < 0.0 { BLUE } else { ORANGE };
    let mix = |c: u8| (255.0 + (f64::from(c) - 255.0) * weight.abs()).round() as u8;
    [mix(end.0), mix(end.1), mix(end.2)]
}
