//! The data of a page: the numbers of a trace and of a report.

use super::json::Json;
use crate::activation::{Activation, AnyActivation, Softmax};
use crate::cost::AnyCost;
use crate::derivatives::{Inner, LayerTrace, Trace, Values};
use crate::gradient_check::{BlockReport, Comparison, Place, Report, Verdict};
use crate::layout::BlockLayout;
use crate::path::Path;
use crate::regularization::Strength;
use crate::scalar::{Scalar, to_f64};
use nalgebra::{DMatrix, DMatrixView};

/// The most entries of a matrix, and the most numbers of all, that a page holds in full.
const MATRIX: usize = 16_384;
const PAGE: usize = 100_000;
/// The most rows and columns of the image of a larger matrix.
const IMAGE: usize = 48;

/// Everything that a page shows.
pub(super) struct Data<'a, T: Scalar> {
    pub(super) trace: &'a Trace<T>,
    pub(super) title: &'a str,
    pub(super) derivation: &'a str,
    pub(super) input_image: Option<(usize, usize)>,
    pub(super) report: Option<&'a Report>,
}

impl<T: Scalar> Data<'_, T> {
    /// Returns the data as JSON.
    pub(super) fn json(&self) -> String {
        let trace = self.trace;
        let mut json = Json::default();
        json.room = PAGE;
        json.object(|json| {
            json.key("title").string(self.title);
            json.key("derivation").string(self.derivation);
            json.key("epsilon").number(to_f64(T::default_epsilon()));
            json.key("weight").number(trace.weight);
            match &trace.weights {
                Some(w) if w.len() <= MATRIX => json.key("weights").numbers(w.iter().copied()),
                _ => json.key("weights").null(),
            }
            match self.input_image {
                Some((height, width)) => json.key("image").list(|json| {
                    json.count(height);
                    json.count(width);
                }),
                None => json.key("image").null(),
            }
            let step = self.report.map(|report| report.step);
            json.key("step").number(step.unwrap_or(f64::NAN));
            self.cost(json);
            json.key("layers").list(|json| {
                let layers = trace.layers.iter().enumerate();
                layers.for_each(|(l, layer)| self.layer(json, l, layer));
            });
            json.key("blocks").list(|json| {
                let blocks = trace.layout().blocks().iter().enumerate();
                blocks.for_each(|(b, place)| self.block(json, b, place));
            });
        });
        json.into_text()
    }

    /// Writes X, Y, the costs and J.
    fn cost(&self, json: &mut Json) {
        let Trace { x, y, cost, .. } = self.trace;
        matrix(json.key("x"), x.as_view());
        matrix(json.key("y"), y.as_view());
        match cost.present.as_ref().filter(|all| all.len() <= MATRIX) {
            Some(present) => json.key("present").list(|json| {
                present.iter().for_each(|&present| json.flag(present));
            }),
            None => json.key("present").null(),
        }
        let m = self.trace.costs.len();
        let costs = DMatrixView::from_slice(self.trace.costs.as_slice(), 1, m);
        matrix(json.key("costs"), costs);
        json.key("cost").object(|json| {
            json.key("name").string(cost.builtin.map_or("", name));
            json.key("linked").flag(self.trace.linked);
            optional(json.key("slope"), cost.slope.as_ref());
        });
        let parts = self.trace.cost_parts();
        json.key("objective").object(|json| {
            json.key("data").number(to_f64(parts.data));
            json.key("penalty").number(to_f64(parts.penalty));
            json.key("total").number(to_f64(parts.total()));
        });
    }

    /// Writes a layer, and the layers inside it.
    fn layer(&self, json: &mut Json, l: usize, layer: &LayerTrace<T>) {
        let path = Path::from(l);
        json.object(|json| {
            json.key("name").string(&layer.name);
            let dense = layer.dense.filter(|_| self.is_dense(l));
            json.key("dense").flag(dense.is_some());
            json.key("g")
                .string(&dense.map_or(String::new(), |g| Activation::<T>::name(&g)));
            values(json, &layer.values);
            let slope = dense.zip(layer.values.z.as_ref());
            let slope = slope.and_then(|(g, z)| slopes(g, z, &layer.values.a));
            optional(json.key("slope"), slope.as_ref());
            json.key("blocks").list(|json| {
                let blocks = self.trace.layout().blocks().iter().enumerate();
                let inside = blocks.filter(|(_, place)| place.layer().starts_with(&path));
                inside.for_each(|(b, _)| json.count(b));
            });
            json.key("inside").list(|json| {
                let inside = self.trace.inner.iter();
                inside
                    .filter(|inner| inner.path.starts_with(&path))
                    .for_each(|inner| inner_layer(json, inner));
            });
        });
    }

    /// Returns whether layer l computes z = Θ [1; a], or Θ a without biases.
    fn is_dense(&self, l: usize) -> bool {
        let layers = &self.trace.layers;
        let below = l.checked_sub(1).and_then(|l| layers.get(l));
        let inputs = below.map_or(self.trace.x.nrows(), |below| below.values.a.nrows());
        let Ok([place]) = self.trace.layout().layer_blocks(l) else {
            return false;
        };
        let block = place.block();
        let exempt = block.penalised_from_column;
        layers[l].values.z.is_some()
            && exempt <= 1
            && (block.rows, block.cols) == (layers[l].values.a.nrows(), inputs + exempt)
    }

    /// Writes a block of parameters with its Θ, Δ and D.
    fn block(&self, json: &mut Json, b: usize, place: &BlockLayout) {
        let (trace, block) = (self.trace, place.block());
        let Strength { l1, l2 } = trace.penalty.strength(place.layer(), place.index());
        let dense = match place.layer().indices() {
            &[l] if trace.layers[l].dense.is_some() && self.is_dense(l) => l + 2,
            _ => 0,
        };
        json.object(|json| {
            json.key("number").count(b);
            json.key("label").string(&place.label());
            json.key("rows").count(block.rows);
            json.key("cols").count(block.cols);
            json.key("start").count(place.range().start);
            json.key("exempt").count(block.penalised_from_column);
            json.key("frozen").flag(place.is_frozen());
            json.key("dense").count(dense);
            json.key("l1").number(l1);
            json.key("l2").number(l2);
            let gradient = trace.gradient().vector().as_slice();
            for (key, vector) in [
                ("theta", trace.theta.as_slice()),
                ("sum", trace.sums().as_slice()),
                ("d", gradient),
            ] {
                matrix(json.key(key), trace.layout().view(place, vector));
            }
            let report = self.report.and_then(|report| report.block(&place.label()));
            match report {
                Some(report) => check(json.key("check"), report, block.rows),
                None => json.key("check").null(),
            }
        });
    }
}

/// Returns the words for a cost, without its constants.
fn name(cost: AnyCost) -> &'static str {
    match cost {
        AnyCost::BinaryCrossEntropy => "BinaryCrossEntropy",
        AnyCost::CategoricalCrossEntropy => "CategoricalCrossEntropy",
        AnyCost::SquaredError => "SquaredError",
        AnyCost::Huber { .. } => "Huber",
        AnyCost::LogCosh => "LogCosh",
        AnyCost::Poisson => "Poisson",
    }
}

/// Returns g′(z), unless the activation mixes units.
fn slopes<T: Scalar>(g: AnyActivation, z: &DMatrix<T>, a: &DMatrix<T>) -> Option<DMatrix<T>> {
    if g == Softmax || a.len() > MATRIX {
        return None;
    }
    let mut slopes = DMatrix::from_element(a.nrows(), a.ncols(), T::one());
    g.backward(z.as_view(), a.as_view(), slopes.as_view_mut());
    Some(slopes)
}

/// Writes z, a and δ.
fn values<T: Scalar>(json: &mut Json, values: &Values<T>) {
    optional(json.key("z"), values.z.as_ref());
    matrix(json.key("a"), values.a.as_view());
    optional(json.key("delta"), values.delta.as_ref());
}

fn inner_layer<T: Scalar>(json: &mut Json, inner: &Inner<T>) {
    json.object(|json| {
        json.key("label").string(&inner.path.label("layer "));
        json.key("depth").count(inner.path.indices().len());
        json.key("name").string(&inner.name);
        values(json, &inner.values);
    });
}

fn optional<T: Scalar>(json: &mut Json, of: Option<&DMatrix<T>>) {
    match of {
        Some(of) => matrix(json, of.as_view()),
        None => json.null(),
    }
}

/// Writes a matrix in full, column by column, or as a summary: its norm, its largest magnitude and
/// an image.
fn matrix<T: Scalar>(json: &mut Json, of: DMatrixView<'_, T>) {
    let (rows, cols) = of.shape();
    json.object(|json| {
        json.key("rows").count(rows);
        json.key("cols").count(cols);
        if of.len() <= MATRIX.min(json.room) {
            json.room -= of.len();
            json.key("values").numbers(of.iter().map(|&x| to_f64(x)));
            return;
        }
        let sizes = || of.iter().map(|&x| to_f64(x).abs());
        json.key("norm").number(sizes().fold(0.0, f64::hypot));
        json.key("largest").number(sizes().fold(0.0, f64::max));
        json.key("image").object(|json| {
            let (height, width) = (rows.min(IMAGE), cols.min(IMAGE));
            json.key("rows").count(height);
            json.key("cols").count(width);
            let part = |all: usize, parts: usize, part: usize| {
                let start = part * all / parts;
                (start, (part + 1) * all / parts - start)
            };
            let pixels = (0..width).flat_map(|k| (0..height).map(move |i| (i, k)));
            json.key("values").numbers(pixels.map(|(i, k)| {
                let (rows, cols) = (part(rows, height, i), part(cols, width, k));
                let of = of.view((rows.0, cols.0), (rows.1, cols.1));
                of.iter().map(|&x| to_f64(x)).sum::<f64>() / of.len() as f64
            }));
        });
    });
}

/// Writes the comparisons of a block: all that the report has kept, or the worst.
fn check(json: &mut Json, report: &BlockReport, rows: usize) {
    let entry = |of: &Comparison| match of.place {
        Place::Entry { row, col } => Some(row + rows * col),
        Place::Direction(_) => None,
    };
    let kept = report.comparisons.iter().filter(|of| entry(of).is_some());
    let kept: Vec<&Comparison> = match report.comparisons.len() {
        0 => report.worst.iter().collect(),
        _ => kept.collect(),
    };
    let kept = kept.into_iter().filter(|of| entry(of).is_some());
    let kept: Vec<&Comparison> = kept.take(MATRIX).collect();
    json.object(|json| {
        json.key("compared").count(report.compared);
        json.key("relative").number(report.relative_error);
        json.key("verdict").string(word(report.verdict));
        json.key("entries").list(|json| {
            let entries = kept.iter().filter_map(|of| entry(of));
            entries.for_each(|entry| json.count(entry));
        });
        json.key("analytic")
            .numbers(kept.iter().map(|of| of.analytic));
        json.key("numeric")
            .numbers(kept.iter().map(|of| of.numeric));
        json.key("bound").numbers(kept.iter().map(|of| of.bound));
        json.key("verdicts").list(|json| {
            kept.iter().for_each(|of| json.string(word(of.verdict)));
        });
    });
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agrees => "agrees",
        Verdict::SuspectedKink => "suspected kink",
        Verdict::Undecided => "undecided",
        Verdict::Unresolved => "unresolved",
        Verdict::NotProvided => "not provided",
        Verdict::Indefinite => "indefinite",
        Verdict::Wrong => "wrong",
    }
}
