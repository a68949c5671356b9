//! A trace as a page to read, hover and check.

mod data;
mod json;

use crate::derivatives::Trace;
use crate::error::Error;
use crate::gradient_check::Report;
use crate::layout::Layout;
use crate::regular_file::expect_file;
use crate::scalar::Scalar;
use crate::shape::Shape;
use data::Data;
use std::path::Path;
use std::{fs, io};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// Together they are one script: the numbers first, the page last.
const SCRIPTS: [&str; 9] = [
    include_str!("places.js"),
    include_str!("model.js"),
    include_str!("uses.js"),
    include_str!("lines.js"),
    include_str!("matrix.js"),
    include_str!("explanation.js"),
    include_str!("picture.js"),
    include_str!("sections.js"),
    include_str!("view.js"),
];

/// The equations that the lines of a page link to.
const DERIVATION: &str = "https://docs.rs/backprop/latest/backprop/derivation/index.html";

impl<T: Scalar> Trace<T> {
    /// Returns this trace as a page with the default settings: see [`TracePage`].
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 4.0));
    /// let trace = network.trace(&Examples::new(&x, &y)?, &Objective::new(SquaredError))?;
    /// assert!(trace.to_html().starts_with("<!doctype html>"));
    /// # Ok::<(), backprop::Error>(())
    /// ```
    #[must_use]
    pub fn to_html(&self) -> String {
        self.page().to_html()
    }

    /// Returns a page of this trace, to set up and write.
    pub fn page(&self) -> TracePage<'_, T> {
        TracePage {
            trace: self,
            title: None,
            derivation: DERIVATION.into(),
            input_image: image(self.layout()),
            report: None,
        }
    }
}

/// Returns the height and the width of the inputs, if they are an image of one channel.
fn image(layout: &Layout) -> Option<(usize, usize)> {
    match layout.plan().input() {
        Shape::Image {
            channels: 1,
            height,
            width,
        } => Some((height, width)),
        _ => None,
    }
}

/// A [`Trace`] as an HTML page: one file, which loads nothing from elsewhere.
///
/// The page shows every line of the pass with its formula, its shapes and its matrices, in the
/// order in which a pass computes them. Each formula links to its step in the
/// [derivation](crate::derivation). For every number, the page shows the sum that makes it, with
/// the numbers put in, and what the number goes into. Switches change the pass (one example or all,
/// 1/m, λ, the bias in the penalty, the δ of the outputs), and the page computes it again from the
/// data that it holds. Layers without a formula, such as custom ones, show the values of the trace.
///
/// A matrix of more than 12 columns or 16 rows is shown as an image. If it has more than 16,384
/// entries, or the page more than 100,000 numbers, the page holds only its shape, its norm and a
/// smaller image. It then shows the sums over that matrix as traced.
///
/// # Example
/// A page that shows each entry of D beside its central difference. J = ½ (1 + 2·3 − 4)² at
/// Θ = \[1 2], so D = \[3 9]:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Examples, GradientCheck, Network, Objective, SquaredError, activation::Identity};
///
/// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[1.0, 2.0])?;
/// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 4.0));
/// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
/// let trace = network.trace(&examples, &objective)?;
/// let check = GradientCheck::new().keep_comparisons();
/// let report = check.network(&network, &examples, &objective)?;
/// let page = trace.page().title("One unit").check(&report)?.to_html();
/// assert!(page.contains("<title>One unit</title>") && page.contains(r#""d":{"rows":1"#));
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `to_html` or `write_html`"]
pub struct TracePage<'a, T: Scalar> {
    trace: &'a Trace<T>,
    title: Option<String>,
    derivation: String,
    /// The height and the width of an example, if it is shown as an image.
    input_image: Option<(usize, usize)>,
    report: Option<&'a Report>,
}

impl<'a, T: Scalar> TracePage<'a, T> {
    /// Sets the title. The default lists the numbers of units, such as "A pass through 2-3-2".
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the address of the derivation, to which the lines link with the anchors of its
    /// equations. The default is its page on docs.rs.
    pub fn derivation(mut self, address: impl Into<String>) -> Self {
        self.derivation = address.into();
        self
    }

    /// Shows each example as an image of this height and width, row by row, also if the input of
    /// the network is not an image.
    ///
    /// # Errors
    /// Returns [`Error::Length`] unless the image has as many pixels as the network has inputs.
    pub fn input_image(mut self, height: usize, width: usize) -> Result<Self, Error> {
        let (expected, found) = (self.trace.x.nrows(), height.saturating_mul(width));
        if found != expected {
            return Err(Error::Length {
                what: "the image of an example",
                expected,
                found,
            });
        }
        self.input_image = Some((height, width));
        Ok(self)
    }

    /// Shows the central differences of a report of
    /// [`GradientCheck::network`](crate::GradientCheck::network) beside D: those of all entries, if
    /// the check [keeps its comparisons](crate::GradientCheck::keep_comparisons), otherwise the
    /// worst of each block.
    ///
    /// # Errors
    /// Returns [`Error::Length`] if the number of a block's entries in the report differs from that
    /// of the trace, and with 0 found if the report lacks a block that is not frozen: it is the
    /// report of another network.
    pub fn check(mut self, report: &'a Report) -> Result<Self, Error> {
        let blocks = self.trace.layout().blocks().iter();
        for place in blocks.filter(|place| !place.is_frozen()) {
            let (expected, found) = (
                place.range().len(),
                report.block(&place.label()).map_or(0, |row| row.entries),
            );
            if found != expected {
                return Err(Error::Length {
                    what: "a block of the report",
                    expected,
                    found,
                });
            }
        }
        self.report = Some(report);
        Ok(self)
    }

    /// Returns the page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let title = self.title.clone().unwrap_or_else(|| self.default_title());
        let data = Data {
            trace: self.trace,
            title: &title,
            derivation: &self.derivation,
            input_image: self.input_image,
            report: self.report,
        };
        let (style, scripts) = (STYLE.trim_end(), SCRIPTS.map(str::trim_end).join("\n\n"));
        let (text, title) = (format!("{:.6}", self.trace), escaped(&title));
        let filled = [
            ("title", title.as_str()),
            ("style", style),
            ("text", &escaped(&text)),
            ("data", &data.json()),
            ("scripts", &scripts),
        ];
        // Each part is inserted once, so that nothing inside one is taken for a mark.
        let mut page = String::new();
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_str(before);
            let (mark, after) = after.split_once("}}").unwrap_or(("", after));
            let part = filled.iter().find(|(name, _)| *name == mark);
            page.push_str(part.map_or("", |(_, part)| *part));
            rest = after;
        }
        page.push_str(rest);
        page
    }

    /// Writes the page to a file.
    ///
    /// # Errors
    /// Returns the error of the system if the path is a FIFO or a device, or if the file cannot be
    /// written.
    ///
    /// # Example
    /// ```no_run
    /// # fn write(trace: &backprop::Trace<f64>) -> std::io::Result<()> {
    /// trace.page().title("One step of training").write_html("target/pass.html")
    /// # }
    /// ```
    pub fn write_html(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        if let Ok(found) = fs::metadata(path) {
            expect_file(found.file_type())?;
        }
        fs::write(path, self.to_html())
    }

    fn default_title(&self) -> String {
        let layers = &self.trace.layers;
        let inputs = [self.trace.x.nrows()].into_iter();
        let units = inputs.chain(layers.iter().map(|layer| layer.values.a.nrows()));
        // A deep network is named by its ends.
        let mut units: Vec<String> = units.map(|units| units.to_string()).collect();
        if units.len() > 8 {
            units.splice(3..units.len() - 2, ["…".to_owned()]);
        }
        format!("A pass through {}", units.join("-"))
    }
}

/// Escapes a text for HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
