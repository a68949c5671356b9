//! Skip connections: 42 layers of tanh on handwritten digits, with and without them, from three
//! starts. Draws the gradient by layer and the learning curves in `target/residual.svg`.
//!
//! ```sh
//! cargo run --release --example residual
//! ```
//!
//! A hidden layer computes f(x), or x + f(x) with a skip connection. Both networks have the same
//! parameters, which start with the same values. On the way back, a layer multiplies the error by
//! the transpose of ∂f/∂x, or of I + ∂f/∂x: through the skip, all of it reaches the layer below.
//!
//! Depth itself brings nothing here: the example `digits` has a single hidden layer and classifies
//! 97 % of the test images correctly.

#[path = "digits/data.rs"]
mod data;

use backprop::activation::{Softmax, Tanh};
use backprop::metrics::{Accuracy, Metric};
use backprop::training::{Adam, Trainer};
use backprop::{CategoricalCrossEntropy, Examples, Initialization, Network, Objective, rng};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::ops::{Range, RangeFrom};
use std::path::Path;
use std::time::Instant;

const UNITS: usize = 32;
/// The number of layers between the first and the last, each with a skip connection or without.
const BETWEEN: usize = 40;
const EPOCHS: u64 = 30;
/// The learning rate of Adam. Of 1e-4, 3e-4, 1e-3 and 3e-3, it suits the networks without skips
/// best. At 1e-3, three seeds gave test accuracies of 94 to 98 % with skips, and of 10 to 95 %
/// without.
const RATE: f64 = 3e-4;

/// One network and its training.
struct Run {
    skips: bool,
    /// The norm of D of each layer at the start.
    norms: Vec<f64>,
    /// J at the start, and after each epoch.
    costs: Vec<f64>,
    /// On the test images.
    accuracy: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = data::load()?;
    // Weights of variance 1/(3n) for the n inputs of a layer. The other two have 1/n.
    let epsilon = 1.0 / (UNITS as f64).sqrt();
    let starts = [
        ("uniform ±1/√n", Some(Initialization::Uniform { epsilon })),
        ("Glorot", Some(Initialization::GlorotUniform)),
        ("orthogonal", None),
    ];
    println!(
        "start          skips  ‖D‖: first    middle      last  J: before  after    test   time"
    );
    let mut runs = Vec::new();
    for (name, rule) in starts {
        for skips in [false, true] {
            let clock = Instant::now();
            let run = run(&mut network(skips, rule)?, skips, [&train, &test])?;
            println!(
                "{name:13}  {:5}  {:10.1e} {:9.1e} {:9.1e}  {:9.2} {:6.3} {:5.1} % {:4.1} s",
                if skips { "yes" } else { "no" },
                run.norms[0],
                run.norms[BETWEEN / 2],
                run.norms[BETWEEN + 1],
                run.costs[0],
                run.costs[EPOCHS as usize],
                100.0 * run.accuracy,
                clock.elapsed().as_secs_f64(),
            );
            runs.push(run);
        }
    }
    println!(
        "\nWithout skips, the gradient vanishes from the uniform start, and nothing is learned.\n\
         Glorot's rule keeps its norm, but J falls slowly. Orthogonal matrices train the network\n\
         well: initialisation alone solves the problem. With skips, J falls from every start. It\n\
         begins high, because each layer adds to x, and from the two larger starts fewer test\n\
         images are classified correctly than without skips. At a learning rate of 1e-3, it is\n\
         the other way round."
    );
    // Without skips: nothing is learned from the first start, and much from the last.
    assert!(runs[0].accuracy < 0.2 && runs[4].accuracy > 0.9);
    let trained = |run: &Run| run.costs[EPOCHS as usize] < 0.1;
    assert!(runs.iter().filter(|run| run.skips).all(trained));

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("residual.svg");
    draw(&file, starts.map(|(name, _)| name), &runs)?;
    println!("\npicture: {}", file.display());
    Ok(())
}

/// Builds a network whose weights follow a rule, or are orthogonal matrices.
fn network(skips: bool, rule: Option<Initialization>) -> Result<Network<f64>, backprop::Error> {
    let mut layers = Network::<f64>::builder(64).dense(UNITS, Tanh);
    for _ in 0..BETWEEN {
        layers = match skips {
            true => layers.residual(|body| body.dense(UNITS, Tanh)),
            false => layers.dense(UNITS, Tanh),
        };
    }
    let normal = Initialization::Normal { sigma: 1.0 };
    let mut network = layers
        .dense(data::CLASSES, Softmax)
        .initialize(rule.unwrap_or(normal), &mut rng(1))?;
    if rule.is_none() {
        // Q of a QR decomposition has orthonormal columns: it preserves lengths (Saxe, McClelland,
        // Ganguli 2014, arXiv:1312.6120).
        for block in network.layout().blocks().to_vec() {
            let (weights, bias) = network.dense_weights(block.layer())?;
            let weights = match weights.nrows() < weights.ncols() {
                true => weights.transpose().qr().q().transpose(),
                false => weights.qr().q(),
            };
            network.set_dense(block.layer(), &weights, bias.as_slice())?;
        }
    }
    Ok(network)
}

/// Trains the network.
fn run(
    network: &mut Network<f64>,
    skips: bool,
    [train, test]: [&data::Digits; 2],
) -> Result<Run, backprop::Error> {
    let examples = Examples::new(&train.x, &train.y)?;
    let objective = Objective::new(CategoricalCrossEntropy);
    let start = network.backprop(&examples, &objective)?;
    let blocks = network.layout().blocks().iter();
    let norms = blocks.map(|block| Ok(start.gradient().layer(block.layer())?.norm()));
    let norms = norms.collect::<Result<_, backprop::Error>>()?;
    let history = Trainer::new(objective, Adam::new(RATE))
        .epochs(EPOCHS)
        .batch_size(32)
        .fit(network, &examples)?;
    let costs = history.records().iter().map(|record| record.cost);
    Ok(Run {
        skips,
        norms,
        costs: std::iter::once(start.cost()).chain(costs).collect(),
        accuracy: Accuracy.evaluate(network.forward(&test.x)?.as_view(), test.y.as_view())?,
    })
}

/// Draws two diagrams for each start: the norms above, the costs below.
fn draw(file: &Path, starts: [&str; 3], runs: &[Run]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (880, 500)).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(260);
    let (above, below) = (above.split_evenly((1, 3)), below.split_evenly((1, 3)));
    for (column, pair) in runs.chunks(2).enumerate() {
        let norms = pair.iter().map(|run| (1.., &run.norms));
        let costs = pair.iter().map(|run| (0.., &run.costs));
        let y = ["norm of D before training", "J"].map(|y| if column == 0 { y } else { "" });
        panel(
            &above[column],
            starts[column],
            ["layer", y[0]],
            1e-11..1e2,
            norms,
        )?;
        panel(&below[column], "", ["epoch", y[1]], 1e-3..20.0, costs)?;
    }
    root.present()?;
    Ok(())
}

/// Draws one diagram with a curve for the network without skips, and one for that with skips.
fn panel<'a>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    [x, y]: [&str; 2],
    range: Range<f64>,
    curves: impl Iterator<Item = (RangeFrom<usize>, &'a Vec<f64>)> + Clone,
) -> Result<(), Box<dyn Error>> {
    let last = curves
        .clone()
        .flat_map(|(x, y)| x.zip(y))
        .map(|(x, _)| x)
        .max();
    let first = curves.clone().map(|(x, _)| x.start).min();
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d(first.unwrap_or(0)..last.unwrap_or(1), range.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels(5)
        .y_labels(7)
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 228, 232))
        .axis_style(RGBColor(140, 149, 159))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 13))
        .draw()?;
    let styles = [
        ("without skips", RGBColor(31, 111, 235)),
        ("with skips", RGBColor(194, 65, 12)),
    ];
    for ((x, y), (name, color)) in curves.zip(styles) {
        let line = LineSeries::new(x.zip(y.iter().copied()), color.stroke_width(2));
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(key);
    }
    if !caption.is_empty() && !y.is_empty() {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleLeft)
            .label_font(("sans-serif", 14))
            .draw()?;
    }
    Ok(())
}
