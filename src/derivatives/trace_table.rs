//! A trace as tables, in the course's notation.

use super::trace::Trace;
use super::trace_inner::Inner;
use crate::activation::{Activation, Softmax};

use crate::layout::BlockLayout;
use crate::path::Path;
use crate::regularization::Strength;
use crate::scalar::{Scalar, to_f64};
use nalgebra::DMatrixView;
use std::fmt::{self, Write};

/// The maximum number of columns and rows shown. A larger matrix shows its last `TAIL`, and the
/// first ones up to this number.
const COLUMNS: usize = 8;
const ROWS: usize = 12;
const TAIL: usize = 2;
/// The maximum number of decimals of an `f64`.
const MOST_DECIMALS: usize = 1074;

/// Writes the formulas and the matrices, from the inputs to J and back, without a line feed at the
/// end.
impl<T: Scalar> fmt::Display for Trace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forward. A row is a unit, a column an example.")?;
        table(f, "a⁽¹⁾ = X", self.x.as_view())?;
        for l in 0..self.layers.len() {
            self.forward_tables(f, l)?;
        }
        table(f, "y", self.y.as_view())?;
        let m = self.costs.len();
        let costs = DMatrixView::from_slice(self.costs.as_slice(), 1, m);
        table(f, "cost", costs)?;
        if let Some(w) = &self.weights {
            table(f, "w", DMatrixView::from_slice(w, 1, m))?;
        }
        let (parts, m) = (self.cost_parts(), self.m());
        let mean = match self.weights {
            Some(_) => "Σ w cost",
            None => "Σ cost",
        };
        let [data, penalty, total] = [parts.data, parts.penalty, parts.total()].map(to_f64);
        let number = numbers(f, &[data, penalty, total]);
        let (data, penalty, total) = (number(data), number(penalty), number(total));
        write!(
            f,
            "\n\nJ = (1/{m}) {mean} + Ω/{m} = {data} + {penalty} = {total}, {m} = {}",
            self.weight
        )?;
        f.write_str("\n\nBackward.")?;
        (0..self.layers.len())
            .rev()
            .try_for_each(|l| self.backward_tables(f, l))
    }
}

/// Returns the course's number of a layer as a superscript.
fn number(layer: usize) -> String {
    Path::from(layer).label("")
}

impl<T: Scalar> Trace<T> {
    /// The divisor of J and D.
    fn m(&self) -> &'static str {
        match self.weights {
            Some(_) => "Σw",
            None => "m",
        }
    }

    fn blocks(&self, layer: usize) -> &[BlockLayout] {
        self.layout().layer_blocks(layer).unwrap_or(&[])
    }

    /// Writes Θ, z and a of layer l.
    fn forward_tables(&self, f: &mut fmt::Formatter<'_>, l: usize) -> fmt::Result {
        let (layer, below, here) = (&self.layers[l], number(l), number(l + 1));
        for place in self.blocks(l) {
            let theta = self.layout().view(place, self.theta.as_slice());
            table(f, &place.label(), theta)?;
        }
        if let Some(z) = &layer.values.z {
            let formula = match layer.dense {
                Some(_) => format!("z{here} = Θ{below} [1; a{below}]"),
                None => format!("z{here} of {}", layer.name),
            };
            table(f, &formula, z.as_view())?;
        }
        let formula = match (&layer.values.z, layer.dense) {
            (Some(_), Some(g)) => {
                let g = Activation::<T>::name(&g);
                format!("a{here} = g(z{here}), g = {g}")
            }
            (Some(_), None) => format!("a{here} = g(z{here})"),
            (None, _) => format!("a{here} = {}(a{below})", layer.name),
        };
        for inner in self.inside(l) {
            let name = format!("{} ({})", inner.path.label("layer"), inner.name);
            if let Some(z) = &inner.values.z {
                table(f, &format!("z of {name}"), z.as_view())?;
            }
            table(f, &format!("a of {name}"), inner.values.a.as_view())?;
        }
        table(f, &formula, layer.values.a.as_view())
    }

    /// Iterates over the layers inside layer l.
    fn inside(&self, l: usize) -> impl DoubleEndedIterator<Item = &Inner<T>> {
        let outer = Path::from(l);
        self.inner
            .iter()
            .filter(move |inner| inner.path.starts_with(&outer))
    }

    /// Writes δ, Δ and D of layer l.
    fn backward_tables(&self, f: &mut fmt::Formatter<'_>, l: usize) -> fmt::Result {
        let (layer, below, here) = (&self.layers[l], number(l), number(l + 1));
        if let Some(delta) = &layer.values.delta {
            table(f, &self.delta_formula(l), delta.as_view())?;
        }
        for inner in self.inside(l).rev() {
            if let Some(delta) = &inner.values.delta {
                let formula = format!("δ of {} = {}∂cost/∂z", inner.path.label("layer"), self.w());
                table(f, &formula, delta.as_view())?;
            }
        }
        for place in self.blocks(l) {
            let (label, w) = (place.label(), self.w());
            if place.is_frozen() {
                write!(f, "\n\n{label} is frozen: its entries in ∇J are 0.")?;
                continue;
            }
            // A dense layer has only the block Θ; other layers may have several.
            let (sum, d) = match layer.dense {
                Some(_) => (format!("Δ{below}"), format!("D{below}")),
                None => (format!("Δ of {label}"), format!("D of {label}")),
            };
            let formula = match layer.dense {
                Some(_) => format!("{sum} = δ{here} [1; a{below}]ᵀ"),
                None => format!("{sum} = Σ {w}∂cost/∂{label}"),
            };
            table(
                f,
                &formula,
                self.layout().view(place, self.sums().as_slice()),
            )?;
            let formula = self.d_formula(&d, &sum, place);
            let gradient = self.gradient().vector().as_slice();
            table(f, &formula, self.layout().view(place, gradient))?;
        }
        Ok(())
    }

    /// Returns the factor in front of ∂cost.
    fn w(&self) -> &'static str {
        match self.weights {
            Some(_) => "w ",
            None => "",
        }
    }

    /// Returns the formula for δ of layer l, in terms of the layer above if both are built-in dense
    /// layers.
    fn delta_formula(&self, l: usize) -> String {
        let (here, w) = (number(l + 1), self.w());
        let above = self.layers.get(l + 1);
        match (self.layers[l].dense, above.map(|above| above.dense)) {
            (Some(g), Some(Some(_))) => {
                let above = number(l + 2);
                let error = format!("W{here}ᵀ δ{above}");
                match g {
                    Softmax => format!("δ{here} = G{here}ᵀ {error}, G = ∂a/∂z"),
                    _ => format!("δ{here} = ({error}) ∘ g′(z{here})"),
                }
            }
            (Some(g), None) if !self.linked && g != Softmax => {
                format!("δ{here} = {w}∂cost/∂a{here} ∘ g′(z{here})")
            }
            _ => format!("δ{here} = {w}∂cost/∂z{here}"),
        }
    }

    /// Writes D of a block, with its penalty.
    fn d_formula(&self, d: &str, sum: &str, place: &BlockLayout) -> String {
        let (label, m) = (place.label(), self.m());
        let Strength { l1, l2 } = self.penalty.strength(place.layer(), place.index());
        let mut terms = String::new();
        let mut values = String::new();
        for (lambda, symbol, of) in [(l1, "λ₁", " sign "), (l2, "λ₂", "")] {
            let symbol = if l1 == 0.0 { "λ" } else { symbol };
            if lambda != 0.0 {
                terms += &format!(" + {symbol}{of}{label}");
                values += &format!(", {symbol} = {lambda}");
            }
        }
        let exempt = match place.block().penalised_from_column {
            _ if terms.is_empty() => return format!("{d} = {sum}/{m}"),
            0 => String::new(),
            1 => ", not in column 0".into(),
            columns => format!(", not in the first {columns} columns"),
        };
        format!("{d} = ({sum}{terms})/{m}{values}{exempt}")
    }
}

/// Writes a matrix below its formula.
fn table<T: Scalar>(
    f: &mut fmt::Formatter<'_>,
    formula: &str,
    matrix: DMatrixView<'_, T>,
) -> fmt::Result {
    let (rows, cols) = matrix.shape();
    let (shown_rows, shown_cols) = (shown(rows, ROWS), shown(cols, COLUMNS));
    write!(f, "\n\n{formula} ({rows} × {cols}")?;
    for (all, shown, what) in [(rows, &shown_rows, "rows"), (cols, &shown_cols, "columns")] {
        let left_out = all - shown.iter().flatten().count();
        if left_out > 0 {
            write!(f, ", {left_out} of {all} {what} left out")?;
        }
    }
    f.write_char(')')?;
    let entry = |i, k| to_f64(matrix[(i, k)]);
    let rows = shown_rows.iter().flatten();
    let entries = rows.flat_map(|&i| shown_cols.iter().flatten().map(move |&k| entry(i, k)));
    let entries: Vec<f64> = entries.collect();
    let number = numbers(f, &entries);
    let widths = entries.iter().map(|&x| number(x).len());
    let width = widths.max().unwrap_or(0);
    for &i in &shown_rows {
        f.write_str("\n")?;
        for &k in &shown_cols {
            match (i, k) {
                (Some(i), Some(k)) => write!(f, "  {:>width$}", number(entry(i, k)))?,
                (Some(_), None) => f.write_str("  …")?,
                (None, Some(_)) => write!(f, "  {:>width$}", "⋮")?,
                (None, None) => f.write_str("  ⋱")?,
            }
        }
    }
    Ok(())
}

/// Returns the indices shown out of `count`, with a `None` in place of those left out.
fn shown(count: usize, most: usize) -> Vec<Option<usize>> {
    if count <= most {
        return (0..count).map(Some).collect();
    }
    let head = (0..most - TAIL).map(Some);
    let tail = (count - TAIL..count).map(Some);
    head.chain([None]).chain(tail).collect()
}

/// The format of the numbers of a table: a fixed number of decimals, unless all would be 0 or one
/// is huge.
fn numbers(f: &fmt::Formatter<'_>, values: &[f64]) -> impl Fn(f64) -> String + use<> {
    let decimals = f.precision().unwrap_or(6).min(MOST_DECIMALS);
    let finite = values.iter().filter(|x| x.is_finite());
    let largest = finite.fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let least = 0.5 * 0.1_f64.powi(decimals as i32);
    let fixed = largest == 0.0 || (least..1e9).contains(&largest);
    // −0, as a slope of 0 times a negative error, is written as 0.
    move |x| match (fixed, x + 0.0) {
        (true, x) => format!("{x:.decimals$}"),
        (false, x) => format!("{x:.decimals$e}"),
    }
}
