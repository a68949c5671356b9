//! Reports and results as pictures: the gradient check, the confusion matrix, residuals.

use super::plot::{BLUE, LARGEST, ORANGE, write};
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::check_length;
use crate::gradient_check::{BlockReport, Comparison, Place, Report, Verdict};
use crate::metrics::ConfusionMatrix;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DMatrixView;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// The most squares of a picture, and the most points.
const SQUARES: usize = 1 << 16;
const POINTS: usize = 20_000;
/// The most classes whose counts are written as numbers.
const NUMBERED: usize = 20;

impl Report {
    /// Writes the relative errors of all comparisons as an SVG file (feature `plot`): a heat map of
    /// each block, pale at 1e-12 and less, dark at 1e-2 and more. A wrong entry has a black frame.
    ///
    /// The check must [keep its comparisons](crate::GradientCheck::keep_comparisons).
    ///
    /// # Errors
    /// Returns the reason as text if no comparison of an entry was kept, if there are more than
    /// 65,536, or if the file cannot be written.
    ///
    /// # Example
    /// ```no_run
    /// # fn draw(report: &backprop::gradient_check::Report) -> Result<(), String> {
    /// report.plot("target/gradient_check.svg")
    /// # }
    /// ```
    pub fn plot(&self, file: impl AsRef<Path>) -> Result<(), String> {
        let blocks: Vec<Block> = self.blocks.iter().filter_map(Block::new).collect();
        if blocks.is_empty() {
            return Err("no comparison of an entry was kept: call keep_comparisons".into());
        }
        let squares = blocks.iter().map(|b| b.rows.saturating_mul(b.cols));
        if squares.fold(0, usize::saturating_add) > SQUARES {
            return Err(format!("there are more than {SQUARES} entries to draw"));
        }
        let mut picture = String::new();
        draw_blocks(&mut picture, &blocks).map_err(|error| error.to_string())?;
        write(file.as_ref(), &picture)
    }
}

/// The kept comparisons of a block, as a matrix.
struct Block<'a> {
    report: &'a BlockReport,
    rows: usize,
    cols: usize,
}

impl<'a> Block<'a> {
    fn new(report: &'a BlockReport) -> Option<Self> {
        let entries = report.comparisons.iter().filter_map(entry);
        let shape = entries.map(|(row, col)| (row + 1, col + 1));
        let (rows, cols) = shape.reduce(|(r, c), (row, col)| (r.max(row), c.max(col)))?;
        Some(Self { report, rows, cols })
    }

    /// The sides of an entry in pixels.
    fn side(&self) -> i32 {
        let longest = self.rows.max(self.cols);
        (480 / longest).clamp(2, 24) as i32
    }
}

fn entry(of: &Comparison) -> Option<(usize, usize)> {
    match of.place {
        Place::Entry { row, col } => Some((row, col)),
        Place::Direction(_) => None,
    }
}

/// Returns the colour of a relative error.
fn of_error(error: f64) -> RGBColor {
    let dark = ((12.0 + error.max(1e-16).log10()) / 10.0).clamp(0.04, 1.0);
    let mix = |to: f64| (255.0 + (to - 255.0) * dark) as u8;
    RGBColor(mix(200.0), mix(30.0), mix(60.0))
}

fn draw_blocks(picture: &mut String, blocks: &[Block]) -> Result<(), Box<dyn std::error::Error>> {
    const TITLE: i32 = 24;
    const GAP: i32 = 12;
    let height = |block: &Block| TITLE + block.rows as i32 * block.side() + GAP;
    let width = blocks.iter().map(|block| block.cols as i32 * block.side());
    let size = (
        width.fold(320, i32::max) + 2 * GAP,
        blocks.iter().map(height).sum::<i32>() + GAP,
    );
    let root = SVGBackend::with_string(picture, (size.0 as u32, size.1 as u32));
    let root = root.into_drawing_area();
    root.fill(&WHITE)?;
    let mut top = GAP;
    for block in blocks {
        let title = format!(
            "{}: relative error {:.1e}",
            block.report.label, block.report.relative_error
        );
        root.draw(&Text::new(title, (GAP, top), ("sans-serif", 14)))?;
        let side = block.side();
        for of in &block.report.comparisons {
            let Some((row, col)) = entry(of) else {
                continue;
            };
            let corner = (GAP + col as i32 * side, top + TITLE + row as i32 * side);
            let opposite = (corner.0 + side, corner.1 + side);
            let total = of.analytic.abs() + of.numeric.abs();
            let error = match total {
                0.0 => 0.0,
                total => of.difference().abs() / total,
            };
            let error = if error.is_nan() { 1.0 } else { error };
            let fill = of_error(error).filled();
            root.draw(&Rectangle::new([corner, opposite], fill))?;
            if of.verdict == Verdict::Wrong {
                let frame = BLACK.stroke_width(2);
                root.draw(&Rectangle::new([corner, opposite], frame))?;
            }
        }
        top += height(block);
    }
    root.present()?;
    Ok(())
}

impl ConfusionMatrix {
    /// Writes the matrix as an SVG file (feature `plot`): a row for each actual class, a column for
    /// each predicted one, and darker squares for larger shares of the actual class. Up to 20
    /// classes, the squares hold the counts.
    ///
    /// # Errors
    /// Returns the reason as text if there are more than 256 classes, or if the file cannot be
    /// written.
    ///
    /// # Example
    /// ```no_run
    /// use backprop::metrics::ConfusionMatrix;
    ///
    /// let counts = ConfusionMatrix::from_labels(&[0, 0, 1, 1, 1, 2], &[0, 1, 1, 1, 0, 2], 3)?;
    /// counts.plot("target/confusion.svg")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plot(&self, file: impl AsRef<Path>) -> Result<(), String> {
        if self.counts().len() > SQUARES {
            return Err(format!("there are more than {SQUARES} counts to draw"));
        }
        let mut picture = String::new();
        draw_counts(&mut picture, self).map_err(|error| error.to_string())?;
        write(file.as_ref(), &picture)
    }
}

fn draw_counts(
    picture: &mut String,
    matrix: &ConfusionMatrix,
) -> Result<(), Box<dyn std::error::Error>> {
    const EDGE: i32 = 52;
    let (counts, classes) = (matrix.counts(), matrix.classes());
    let numbered = classes <= NUMBERED;
    let side = if numbered { 38 } else { 480 / classes as i32 }.max(2);
    let size = (EDGE + side * classes as i32 + 16) as u32;
    let root = SVGBackend::with_string(picture, (size, size)).into_drawing_area();
    root.fill(&WHITE)?;
    let centred = Pos::new(HPos::Center, VPos::Center);
    let style = |size: i32| ("sans-serif", size).into_text_style(&root).pos(centred);
    let middle = EDGE + side * classes as i32 / 2;
    root.draw(&Text::new("predicted class", (middle, 14), style(14)))?;
    let turned = style(14).transform(plotters::style::FontTransform::Rotate270);
    root.draw(&Text::new("actual class", (14, middle), turned))?;
    for i in 0..classes {
        let at = EDGE + side * i as i32 + side / 2;
        if numbered {
            root.draw(&Text::new(i.to_string(), (at, EDGE - 14), style(13)))?;
            root.draw(&Text::new(i.to_string(), (EDGE - 14, at), style(13)))?;
        }
        let total: usize = counts.row(i).iter().sum();
        for j in 0..classes {
            let corner = (EDGE + side * j as i32, EDGE + side * i as i32);
            let share = counts[(i, j)] as f64 / total.max(1) as f64;
            let colour = if i == j { BLUE } else { ORANGE };
            let white = i32::from(numbered);
            let opposite = (corner.0 + side - white, corner.1 + side - white);
            let fill = WHITE.filled();
            root.draw(&Rectangle::new([corner, opposite], fill))?;
            let fill = colour.mix(0.04 + 0.96 * share).filled();
            root.draw(&Rectangle::new([corner, opposite], fill))?;
            if numbered && counts[(i, j)] > 0 {
                let ink = if share > 0.55 { &WHITE } else { &BLACK };
                let place = (corner.0 + side / 2, corner.1 + side / 2);
                let text = counts[(i, j)].to_string();
                root.draw(&Text::new(text, place, style(13).color(ink)))?;
            }
        }
    }
    root.present()?;
    Ok(())
}

/// Writes the residuals a − y as an SVG file (feature `plot`): one point for each output of each
/// example, at its target y. A good fit scatters evenly around the line at 0.
///
/// Points beyond ±1e300 are left out. Of more than 20,000 points, 20,000 at equal distances are
/// drawn.
///
/// # Errors
/// Returns the reason as text if `outputs` and `targets` have different shapes, if there is no
/// point to draw, or if the file cannot be written.
///
/// # Example
/// ```no_run
/// use backprop::nalgebra::DMatrix;
///
/// let targets = DMatrix::from_row_slice(1, 3, &[1.0, 2.0, 3.0]);
/// let outputs = DMatrix::from_row_slice(1, 3, &[1.1, 1.9, 3.2]);
/// backprop::plot_residuals(&outputs, &targets, "target/residuals.svg")?;
/// # Ok::<(), String>(())
/// ```
pub fn plot_residuals<'a, T: Scalar>(
    outputs: impl Columns<'a, T>,
    targets: impl Columns<'a, T>,
    file: impl AsRef<Path>,
) -> Result<(), String> {
    let (a, y) = (outputs.columns_view(), targets.columns_view());
    same_shape(a, y).map_err(|error| error.to_string())?;
    let pairs = a.iter().zip(y.iter());
    let step = a.len().div_ceil(POINTS).max(1);
    let points = pairs
        .step_by(step)
        .map(|(&a, &y)| (to_f64(y), to_f64(a) - to_f64(y)));
    let drawable = |x: f64| x.abs() <= LARGEST;
    let points: Vec<(f64, f64)> = points
        .filter(|&(y, r)| drawable(y) && drawable(r))
        .collect();
    if points.is_empty() {
        return Err("there is no residual to draw".into());
    }
    let mut picture = String::new();
    draw_residuals(&mut picture, &points).map_err(|error| error.to_string())?;
    write(file.as_ref(), &picture)
}

fn same_shape<T: Scalar>(a: DMatrixView<'_, T>, y: DMatrixView<'_, T>) -> Result<(), Error> {
    check_length("the rows of the targets", a.nrows(), y.nrows())?;
    check_length("the columns of the targets", a.ncols(), y.ncols())
}

fn draw_residuals(
    picture: &mut String,
    points: &[(f64, f64)],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(picture, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = points.iter().map(of).fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(low, high): (f64, f64), x| (low.min(x), high.max(x)),
        );
        // A single value needs a range too, wide enough that rounding does not lose a tick.
        let room = 0.05 * (high - low).max(1e-12 + high.abs().max(low.abs()) * 1e-3);
        (low - room, high + room)
    };
    let (targets, residuals) = (ends(|p| p.0), ends(|p| p.1));
    let residuals = (residuals.0.min(0.0), residuals.1.max(0.0));
    let mut chart = ChartBuilder::on(&root)
        .margin(14)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(targets.0..targets.1, residuals.0..residuals.1)?;
    chart
        .configure_mesh()
        .x_desc("target y")
        .y_desc("residual a − y")
        .light_line_style(TRANSPARENT)
        .draw()?;
    let zero = [(targets.0, 0.0), (targets.1, 0.0)];
    chart.draw_series(LineSeries::new(zero, BLACK.stroke_width(1)))?;
    let dots = points
        .iter()
        .map(|&at| Circle::new(at, 3, BLUE.mix(0.5).filled()));
    chart.draw_series(dots)?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GradientCheck;
    use nalgebra::DMatrix;

    fn file(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("backprop-{}-{name}.svg", std::process::id()))
    }

    fn drawn(file: &Path) -> String {
        let picture = std::fs::read_to_string(file).unwrap();
        std::fs::remove_file(file).unwrap();
        assert!(picture.starts_with("<svg") && !picture.contains("NaN"));
        picture
    }

    /// Every kept entry is a square, and a wrong one has a frame.
    #[test]
    fn a_check_is_drawn_entry_by_entry() {
        let f = |p: &[f64]| (p[0] + p[1] * p[1] + p[2], vec![1.0, p[1], 1.0]);
        let check = GradientCheck::new();
        let blocks = [("p", 1), ("q", 2)];
        let report = check.clone().function(&blocks, &[0.0, 2.0, 1.0], f);
        let refused = report.unwrap().plot(file("none")).unwrap_err();
        assert!(refused.contains("keep_comparisons"), "{refused}");
        let report = check.keep_comparisons();
        let report = report.function(&blocks, &[0.0, 2.0, 1.0], f).unwrap();
        let file = file("check");
        report.plot(&file).unwrap();
        let picture = drawn(&file);
        // The paper, three entries, and the frame of the wrong one.
        assert_eq!(picture.matches("<rect").count(), 5, "{picture}");
        assert!(picture.contains("q: relative error 3.1e-1"), "{picture}");
        assert!(report.plot("/nowhere/check.svg").is_err());
    }

    #[test]
    fn counts_are_drawn_with_numbers_if_there_is_room() {
        let file = file("confusion");
        let few = ConfusionMatrix::from_labels(&[0, 0, 1], &[0, 1, 1], 2).unwrap();
        few.plot(&file).unwrap();
        assert!(drawn(&file).contains("actual class"));
        let labels: Vec<usize> = (0..100).collect();
        let many = ConfusionMatrix::from_labels(&labels, &labels, 100).unwrap();
        many.plot(&file).unwrap();
        assert!(drawn(&file).matches("<rect").count() >= 10_000);
        let most = ConfusionMatrix::from_labels(&[0], &[0], 300).unwrap();
        assert!(most.plot(&file).is_err());
    }

    #[test]
    fn residuals_are_points() {
        let file = file("residuals");
        let y = DMatrix::from_fn(2, 50, |i, k| (i + k) as f64);
        let a = y.map(|y| y + y.sin());
        plot_residuals(&a, &y, &file).unwrap();
        assert_eq!(drawn(&file).matches("<circle").count(), 100);
        for (a, y) in [(1.0, 1.0), (1e300, -1e300), (0.0, 0.0), (1e-300, 2e-300)] {
            let (a, y) = (DMatrix::repeat(1, 1, a), DMatrix::repeat(1, 1, y));
            if plot_residuals(&a, &y, &file).is_ok() {
                drawn(&file);
            }
        }
        let other = DMatrix::repeat(1, 50, 0.0);
        assert!(plot_residuals(&a, &other, &file).is_err());
        let nan = DMatrix::repeat(1, 1, f64::NAN);
        assert!(plot_residuals(&nan, &nan, &file).is_err());
        let many = DMatrix::repeat(1, 50_000, 1.0);
        plot_residuals(&many, &many, &file).unwrap();
        assert!(drawn(&file).matches("<circle").count() <= POINTS);
    }
}
