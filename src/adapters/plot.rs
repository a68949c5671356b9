//! The learning curve of a run as a picture.

use crate::training::History;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::{fs, io};

pub(super) const BLUE: RGBColor = RGBColor(31, 111, 235);
pub(super) const ORANGE: RGBColor = RGBColor(194, 65, 12);

/// The largest magnitude drawn. Beyond it, the ends of the axis, or the distance between them,
/// would not be finite.
pub(super) const LARGEST: f64 = 1e300;

/// Costs that a logarithmic axis can show: all quotients are finite, and no tick can be 0.
const LOGARITHMIC: Range<f64> = 1e-150..1e150;

impl History {
    /// Writes the learning curve as an SVG file: J of the training examples and the cost of the
    /// validation examples for each epoch, with a circle at the [best](Self::best) one (feature
    /// `plot`).
    ///
    /// The cost axis is logarithmic if all costs are positive (at least 1e-150 and below 1e150).
    /// Costs that are not finite, or beyond ±1e300, are left out.
    ///
    /// # Errors
    /// Returns the reason as text if there is no epoch to draw, if the path is a FIFO or a device,
    /// or if the file cannot be written.
    ///
    /// # Example
    /// ```no_run
    /// # fn draw(history: &backprop::training::History) -> Result<(), String> {
    /// history.plot("target/learning_curve.svg")
    /// # }
    /// ```
    pub fn plot(&self, file: impl AsRef<Path>) -> Result<(), String> {
        let of = |value: fn(&crate::training::Record) -> Option<f64>| -> Vec<(f64, f64)> {
            let points = self.records().iter();
            let points = points.filter_map(|r| Some((r.epoch as f64, value(r)?)));
            points.filter(|(_, y)| y.abs() <= LARGEST).collect()
        };
        let curves = [
            ("training (J)", BLUE, of(|r| Some(r.cost))),
            ("validation", ORANGE, of(|r| r.validation)),
        ];
        // The best epoch by the cost that stops training, or else by J.
        let best = self.best().map(|best| {
            let cost = best.validation.unwrap_or(best.cost);
            (best.epoch as f64, cost)
        });
        let best = best.filter(|(_, cost)| cost.abs() <= LARGEST);
        let mut picture = String::new();
        let drawn = draw(&mut picture, &curves, best);
        drawn.map_err(|error| error.to_string())?;
        write(file.as_ref(), &picture)
    }
}

/// Writes a picture to a regular file.
pub(super) fn write(file: &Path, picture: &str) -> Result<(), String> {
    // plotters writes its file on drop and loses the error; opening a FIFO would wait.
    let written = match fs::metadata(file) {
        Ok(found) if !found.is_file() => Err(io::Error::other("expected a regular file")),
        _ => fs::write(file, picture),
    };
    written.map_err(|error| format!("{}: {error}", file.display()))
}

type Curve = (&'static str, RGBColor, Vec<(f64, f64)>);

fn draw(
    picture: &mut String,
    curves: &[Curve],
    best: Option<(f64, f64)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|(_, _, points)| points);
    let ends = |value: fn(&(f64, f64)) -> f64| {
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        points()
            .map(value)
            .fold(start, |(low, high), x| (low.min(x), high.max(x)))
    };
    let ((first, last), (low, high)) = (ends(|p| p.0), ends(|p| p.1));
    if first > last {
        return Err("there is no epoch to draw".into());
    }
    // A single point or a level curve needs a range too: at least one epoch, and wide enough that
    // rounding does not lose a tick.
    let (last, room) = (
        last.max(first + 1.0 + 1e-9 * first),
        0.05 * (high - low).max(1e-12 + high.abs()),
    );
    let root = SVGBackend::with_string(picture, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    if LOGARITHMIC.contains(&low) && LOGARITHMIC.contains(&high) {
        panel(
            &root,
            first..last,
            (low / 1.1..high * 1.1).log_scale(),
            (curves, best),
        )?;
    } else {
        let costs = low - room..high + room;
        panel(&root, first..last, costs, (curves, best))?;
    }
    root.present()?;
    Ok(())
}

/// Draws the axes, the curves and the legend.
fn panel<Y>(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    epochs: Range<f64>,
    costs: Y,
    (curves, best): (&[Curve], Option<(f64, f64)>),
) -> Result<(), Box<dyn std::error::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(root)
        .margin(14)
        .x_label_area_size(38)
        .y_label_area_size(60)
        .build_cartesian_2d(epochs, costs)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("cost")
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, color, points) in curves.iter().filter(|(_, _, points)| !points.is_empty()) {
        let color = *color;
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(2));
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
        chart.draw_series(line)?.label(*name).legend(key);
    }
    if let Some(at) = best {
        let mark = Circle::new(at, 5, BLACK.stroke_width(2));
        let key = |(x, y)| Circle::new((x + 9, y), 5, BLACK.stroke_width(2));
        chart.draw_series([mark])?.label("best epoch").legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Record;

    /// Every history is drawn or rejected. A picture that takes forever fails at the deadline.
    #[test]
    fn any_history_is_drawn_or_refused() {
        let values = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            -f64::from_bits(1),
            0.0,
            1.0,
            1.0 + f64::EPSILON,
            1e-20,
            -1e-20,
            1e-300,
            1e300,
            1.1e300,
            -1e300,
            1e150,
            1e-150,
            1e16,
        ];
        let epochs = [0, 1, 2, 1 << 53, u64::MAX - 5000, u64::MAX - 1, u64::MAX];
        let (done, end) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let name = format!("backprop-plots-{}.svg", std::process::id());
            let file = std::env::temp_dir().join(name);
            for (i, &cost) in values.iter().enumerate() {
                for (j, &validation) in values.iter().enumerate() {
                    for count in [1, 2, 3] {
                        let record = |k: usize| Record {
                            epoch: epochs[(i + 3 * j + k) % epochs.len()],
                            steps: u64::MAX,
                            cost: if k == 1 { validation } else { cost },
                            batch_cost: None,
                            validation: (k < 2).then_some(validation),
                            rate: None,
                            metrics: Vec::new(),
                            validation_metrics: Vec::new(),
                        };
                        let history = History::of_records((0..count).map(record).collect());
                        let drawable = |x: &f64| x.abs() <= LARGEST;
                        let any = [cost, validation].iter().any(drawable);
                        let found = history.plot(&file);
                        assert_eq!(found.is_ok(), any, "{cost:e} {validation:e} {found:?}");
                        if any {
                            let picture = std::fs::read_to_string(&file).unwrap();
                            assert!(picture.len() < 100_000 && !picture.contains("NaN"));
                        }
                    }
                }
            }
            std::fs::remove_file(file).unwrap();
            done.send(()).unwrap();
        });
        let ended = end.recv_timeout(std::time::Duration::from_secs(120));
        let late = ended == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        assert!(!late, "a picture takes forever");
        thread.join().unwrap();
        assert!(History::default().plot(std::env::temp_dir()).is_err());
    }

    #[test]
    fn a_curve_is_drawn_for_each_kind_of_cost() {
        let validation = vec![(1.0, 0.7), (2.0, 0.6)];
        // A logarithmic axis, a flat curve, a single point, and costs below 0.
        for training in [
            vec![(1.0, 0.5), (2.0, 0.25)],
            vec![(1.0, 0.5), (2.0, 0.5)],
            vec![(1.0, 0.5)],
            vec![(1.0, -0.5), (2.0, 0.25)],
        ] {
            let curves = [
                ("training", BLUE, training),
                ("validation", ORANGE, validation.clone()),
            ];
            let mut picture = String::new();
            draw(&mut picture, &curves, Some((2.0, 0.6))).unwrap();
            assert!(picture.contains("best epoch") && picture.contains("<circle"));
            assert!(picture.starts_with("<svg") && picture.contains("validation"));
            assert!(picture.matches("<polyline").count() > 3);
        }
        assert!(draw(&mut String::new(), &[("training", BLUE, Vec::new())], None).is_err());
    }

    #[test]
    fn a_file_that_is_not_written_is_an_error() {
        let history = History::of_records(vec![Record {
            epoch: 1,
            steps: 1,
            cost: 0.5,
            batch_cost: None,
            validation: None,
            rate: None,
            metrics: Vec::new(),
            validation_metrics: Vec::new(),
        }]);
        for file in ["/nowhere/curve.svg", "/dev/full", "/dev/null"] {
            let refused = history.plot(file).unwrap_err();
            assert!(refused.starts_with(file), "{refused}");
        }
    }
}
