//! Norms that are composed of simpler operators, as exporters write them where there is no operator
//! for them.

use super::constant::Constant;
use super::graph::Graph;
use super::proto::Node;

/// A norm of several nodes.
#[derive(Debug)]
pub(super) struct Norm<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) eps: f64,
    pub(super) scale: Option<Constant<'a>>,
    /// Whether the scale is what it divides by.
    pub(super) divides: bool,
    pub(super) shift: Option<Constant<'a>>,
    /// The vertex of its input.
    pub(super) start: usize,
    /// The number of axes of its single constants.
    pub(super) rank: usize,
}

impl Norm<'_> {
    /// Returns the number of axes that its input has at least: those of its constants.
    pub(super) fn rank(&self) -> usize {
        let [mean, variance] = match &self.kind {
            Kind::Batch { mean, variance } => [mean.as_ref(), variance.as_ref()],
            _ => [None, None],
        };
        let constants = [mean, variance, self.scale.as_ref(), self.shift.as_ref()];
        let ranks = constants
            .into_iter()
            .flatten()
            .map(|constant| constant.dims.len());
        ranks.fold(self.rank, usize::max)
    }
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// With the axes of the mean.
    Layer(Vec<i64>),
    RootMeanSquare(Vec<i64>),
    /// By running statistics. Without a mean it is 0, and without a variance √(σ² + ε) is 1.
    Batch {
        mean: Option<Constant<'a>>,
        variance: Option<Constant<'a>>,
    },
}

/// A value of ε for which (1 − ε) + ε is exactly 1. It is near 0.001, the default of Keras.
pub(super) const EXACT_EPS: f64 = 1.0 / 1024.0;

/// What is below a fraction bar, or what a factor is one over.
enum Root<'a> {
    Moving(usize),
    Computed(&'a Node<'a>),
}

/// Finds the norm that ends at a vertex, if there is one: core · scale + shift, of which the core
/// alone is necessary.
pub(super) fn find<'a>(graph: &Graph<'a>, end: usize) -> Option<Norm<'a>> {
    let (below, shift) = with_constant(graph, end, "Add").unzip();
    let below = below.unwrap_or(end);
    let scaled = with_constant(graph, below, "Mul");
    let (inner, scale) = scaled.unzip();
    let Some(mut norm) = core(graph, inner.unwrap_or(below)) else {
        // Keras multiplies by γ/√(σ² + ε), which is a constant then. A scaler of scikit-learn
        // divides by σ, or multiplies and adds.
        let (inner, scale, divides) = match inner.zip(scale) {
            Some((inner, scale)) => (inner, scale, false),
            None => {
                let node = graph.node_if(below, "Div")?;
                (graph.moving(node, 0)?, graph.constant(node, 1)?, true)
            }
        };
        let (mean, start) = centred(graph, inner).unzip();
        if mean.is_none() && shift.is_none() {
            return None;
        }
        return Some(Norm {
            kind: Kind::Batch {
                mean,
                variance: None,
            },
            eps: EXACT_EPS,
            scale: Some(scale),
            divides,
            shift,
            start: start.unwrap_or(inner),
            rank: 0,
        });
    };
    norm.scale = scale;
    norm.shift = shift;
    // RMS norms have no shift.
    let is_rms = matches!(norm.kind, Kind::RootMeanSquare(_));
    (!is_rms || norm.shift.is_none()).then_some(norm)
}

/// Splits a node that combines a vertex with a constant, in either order.
fn with_constant<'a>(
    graph: &Graph<'a>,
    vertex: usize,
    operator: &str,
) -> Option<(usize, Constant<'a>)> {
    let node = graph.node_if(vertex, operator)?;
    let [a, b] = [0, 1].map(|index| graph.moving(node, index));
    match (a, b) {
        (Some(vertex), None) => Some((vertex, graph.constant(node, 1)?)),
        (None, Some(vertex)) => Some((vertex, graph.constant(node, 0)?)),
        _ => None,
    }
}

fn core<'a>(graph: &Graph<'a>, vertex: usize) -> Option<Norm<'a>> {
    let node = graph.node(vertex)?;
    let (above, root) = match () {
        () if node.is("Div") => (graph.moving(node, 0)?, operand(graph, node, 1)?),
        () if node.is("Mul") => {
            let inverse = |index: usize| {
                let reciprocal = graph.node_if(graph.moving(node, index)?, "Reciprocal")?;
                Some((
                    graph.moving(node, 1 - index)?,
                    operand(graph, reciprocal, 0)?,
                ))
            };
            inverse(1).or_else(|| inverse(0))?
        }
        () => return None,
    };
    let root = match root {
        Root::Moving(vertex) => graph.node_if(vertex, "Sqrt")?,
        Root::Computed(node) if node.is("Sqrt") => node,
        Root::Computed(_) => return None,
    };
    let (mean, eps) = match operand(graph, root, 0)? {
        Root::Moving(vertex) => with_constant(graph, vertex, "Add")?,
        Root::Computed(node) if node.is("Add") => {
            let (mean, start) = centred(graph, above)?;
            let [a, b] = [graph.constant(node, 0)?, graph.constant(node, 1)?];
            let (variance, eps) = if b.dims.is_empty() { (a, b) } else { (b, a) };
            return Some(Norm {
                kind: Kind::Batch {
                    mean: Some(mean),
                    variance: Some(variance),
                },
                eps: eps.scalar()?,
                scale: None,
                divides: false,
                shift: None,
                start,
                rank: eps.dims.len(),
            });
        }
        Root::Computed(_) => return None,
    };
    let (squares, axes) = mean_of(graph, mean)?;
    let (squared, rank) = square(graph, squares)?;
    if squared != above {
        return None;
    }
    let centre = graph.node_if(above, "Sub").and_then(|difference| {
        let start = graph.moving(difference, 0)?;
        let (of, own_axes) = mean_of(graph, graph.moving(difference, 1)?)?;
        (of == start && own_axes == axes).then_some(start)
    });
    Some(Norm {
        kind: match centre {
            Some(_) => Kind::Layer(axes),
            None => Kind::RootMeanSquare(axes),
        },
        eps: eps.scalar()?,
        scale: None,
        divides: false,
        shift: None,
        start: centre.unwrap_or(above),
        rank: rank.max(eps.dims.len()),
    })
}

fn operand<'a>(graph: &Graph<'a>, node: &Node<'_>, index: usize) -> Option<Root<'a>> {
    match graph.moving(node, index) {
        Some(vertex) => Some(Root::Moving(vertex)),
        None => graph.computed(node, index).map(Root::Computed),
    }
}

/// Splits x − μ with a constant μ.
fn centred<'a>(graph: &Graph<'a>, vertex: usize) -> Option<(Constant<'a>, usize)> {
    let node = graph.node_if(vertex, "Sub")?;
    Some((graph.constant(node, 1)?, graph.moving(node, 0)?))
}

/// Returns the vertex and the axes of a mean that keeps its axes.
fn mean_of(graph: &Graph<'_>, vertex: usize) -> Option<(usize, Vec<i64>)> {
    let node = graph.node_if(vertex, "ReduceMean")?;
    node.check().ok()?;
    if node.int("keepdims", 1).ok()? != 1 {
        return None;
    }
    let axes = match node.ints("axes").ok()? {
        Some(axes) => axes.to_vec(),
        None => graph.ints(node, 1)?,
    };
    Some((graph.moving(node, 0)?, axes))
}

/// Returns the vertex of which this one is the square, and the number of axes of the exponent.
fn square(graph: &Graph<'_>, vertex: usize) -> Option<(usize, usize)> {
    let node = graph.node(vertex)?;
    let of = graph.moving(node, 0)?;
    if node.is("Mul") {
        return (graph.moving(node, 1) == Some(of)).then_some((of, 0));
    }
    let exponent = graph.constant(node, 1)?;
    let is_square = node.is("Pow") && exponent.scalar() == Some(2.0);
    is_square.then_some((of, exponent.dims.len()))
}
