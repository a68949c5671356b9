//! The structure of a graph: chains of steps, and forks into branches that join again.

use super::formula;
use super::graph::{Graph, refused};
use super::node::FLOATS;
use super::norms::{self, Norm};
use super::proto::{Input, Node};
use super::unsupported;
use crate::activation::AnyActivation;
use crate::error::Error;
use crate::interchange::InterchangeError;

/// The most levels of branches within branches: as many as a network may have.
const DEEPEST: usize = 32;

/// The most steps and branches. A layer takes up much more memory than the node for it, so a small
/// file must not have very many.
const MOST_STEPS: usize = 1 << 13;

/// A step from one value to the next.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// The node that it ends with.
    pub(super) node: &'a Node<'a>,
    pub(super) kind: Kind<'a>,
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// The node alone.
    Node,
    Activation {
        activation: AnyActivation,
        /// The axes that its input has at least.
        rank: usize,
    },
    Norm(Box<Norm<'a>>),
    /// Branches that the node joins.
    Fork(Vec<Vec<Step<'a>>>),
    /// Branches that end at outputs of the graph.
    Heads(Vec<Vec<Step<'a>>>),
    /// The node that joins 1 − p and p, which is left out if p is one unit.
    Binary,
}

/// Where an output of the graph ends.
struct End<'a> {
    vertex: usize,
    /// The node that joins 1 − p and p, if the vertex is p.
    binary: Option<&'a Node<'a>>,
}

/// Divides a graph into steps.
pub(super) struct Divider<'g, 'a> {
    graph: &'g Graph<'a>,
    /// Which vertices a step ends at.
    used: Vec<bool>,
    /// The number of steps and branches so far.
    steps: usize,
}

impl<'a> End<'a> {
    fn step(&self) -> Option<Step<'a>> {
        let kind = Kind::Binary;
        self.binary.map(|node| Step { node, kind })
    }
}

impl<'g, 'a> Divider<'g, 'a> {
    pub(super) fn new(graph: &'g Graph<'a>) -> Self {
        let used = vec![false; graph.len()];
        Self {
            graph,
            used,
            steps: 0,
        }
    }

    /// Returns the steps from the input to the outputs.
    pub(super) fn all(&mut self, outputs: &[Input<'_>]) -> Result<Vec<Step<'a>>, InterchangeError> {
        let mut ends = Vec::new();
        for output in outputs {
            if let Some(end) = self.end(output)? {
                ends.push(end);
            }
        }
        let [first, others @ ..] = &ends[..] else {
            return Err(unsupported(
                "it has no output of floats that depends on its input",
            ));
        };
        let fork = others
            .iter()
            .fold(first.vertex, |a, b| self.graph.common(a, b.vertex));
        let mut steps = self.chain(0, fork, 0)?;
        if others.is_empty() {
            steps.extend(first.step());
        } else {
            let branches = ends.iter().map(|end| {
                let mut branch = self.chain(fork, end.vertex, 1)?;
                branch.extend(end.step());
                Ok::<_, InterchangeError>(branch)
            });
            let kind = Kind::Heads(branches.collect::<Result<_, _>>()?);
            let mut nodes = ends.iter().filter_map(|end| self.graph.node(end.vertex));
            let node = nodes.next_back();
            let node = node.ok_or_else(|| unsupported("it returns its input unchanged"))?;
            steps.push(Step { node, kind });
        }
        Ok(steps)
    }

    /// Returns whether the shape of a value is read that no step starts or ends at.
    pub(super) fn reads_strays(&self) -> bool {
        let mut shaped = self.graph.shaped.iter();
        shaped.any(|&vertex| vertex != 0 && !self.used[vertex])
    }

    /// Counts a step or a branch.
    fn count(&mut self) -> Result<(), InterchangeError> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(unsupported(format!(
                "it has more than {MOST_STEPS} layers and branches"
            )));
        }
        Ok(())
    }

    /// Returns the end of an output, unless it holds class labels.
    fn end(&self, output: &Input<'_>) -> Result<Option<End<'a>>, InterchangeError> {
        let graph = self.graph;
        // The labels of scikit-learn.
        if output.kind != 0 && !FLOATS.contains(&output.kind) {
            return Ok(None);
        }
        let mut end = graph.end(output.name)?;
        if let Some(node) = graph.node(end)
            && node.domain == "ai.onnx.ml"
            && node.operator == "ZipMap"
            && let Some(inner) = graph.moving(node, 0)
        {
            end = inner;
        }
        // [1 − p, p] is p.
        let mut joined = end;
        while let Some(node) = graph.node(joined)
            && (node.is("Identity") || node.casts_to_float())
            && let Some(inner) = graph.moving(node, 0)
        {
            joined = inner;
        }
        let vertex = end;
        let plain = End {
            vertex,
            binary: None,
        };
        Ok(Some(self.binary(joined).unwrap_or(plain)))
    }

    /// Returns the end at p if a vertex is \[1 − p, p\].
    fn binary(&self, vertex: usize) -> Option<End<'a>> {
        let graph = self.graph;
        let join = graph.node_if(vertex, "Concat")?;
        let [other, one] = graph.all_moving(join).try_into().ok()?;
        let difference = graph.node_if(other, "Sub")?;
        let is_binary = join.inputs.len() == 2
            && join.int("axis", 0).ok()? == 1
            && graph.scalar(difference, 0) == Some(1.0)
            && graph.moving(difference, 1) == Some(one);
        is_binary.then_some(End {
            vertex: one,
            binary: Some(join),
        })
    }

    /// Returns the vertex of ids if a node adds the number of vectors to negative ones, and changes
    /// no others. Keras does this ahead of `Gather`.
    fn wrapped_ids(&self, node: &Node<'_>) -> Option<usize> {
        let graph = self.graph;
        if !node.is("Where") {
            return None;
        }
        let [test, sum, ids] = graph.all_moving(node).try_into().ok()?;
        let (test, sum) = (graph.node_if(test, "Less")?, graph.node_if(sum, "Add")?);
        let is_wrapped = graph.moving(test, 0) == Some(ids)
            && graph.scalar(test, 1) == Some(0.0)
            && graph.moving(sum, 0) == Some(ids)
            && graph.scalar(sum, 1).is_some();
        is_wrapped.then_some(ids)
    }

    /// Returns the steps from one vertex to another, to which all paths lead through the first.
    fn chain(
        &mut self,
        from: usize,
        to: usize,
        level: usize,
    ) -> Result<Vec<Step<'a>>, InterchangeError> {
        if level > DEEPEST {
            return Err(Error::Depth { most: DEEPEST }.into());
        }
        self.count()?;
        let (mut at, mut steps) = (to, Vec::new());
        while at != from {
            let Some(node) = self.graph.node(at) else {
                break;
            };
            if std::mem::replace(&mut self.used[at], true) {
                let reason = "its output enters branches that do not all begin at this node";
                return Err(refused(node, reason));
            }
            node.check()?;
            self.count()?;
            let least = self.graph.depth(from);
            let (start, kind) = self.step(node, at, least, level)?;
            steps.push(Step { node, kind });
            at = start;
        }
        steps.reverse();
        Ok(steps)
    }

    /// Returns the step that ends at a node, and where it starts: at this depth at least.
    fn step(
        &mut self,
        node: &'a Node<'a>,
        at: usize,
        least: usize,
        level: usize,
    ) -> Result<(usize, Kind<'a>), InterchangeError> {
        let graph = self.graph;
        let is_inside = |start: usize| graph.depth(start) >= least;
        if let Some(found) = formula::find(graph, at)?
            && is_inside(found.start)
        {
            let (activation, rank) = (found.activation, found.rank);
            return Ok((found.start, Kind::Activation { activation, rank }));
        }
        if let Some(norm) = norms::find(graph, at)
            && is_inside(norm.start)
        {
            return Ok((norm.start, Kind::Norm(Box::new(norm))));
        }
        let moving = graph.all_moving(node);
        if let [start] = moving[..] {
            return Ok((start, Kind::Node));
        }
        if let Some(start) = self.wrapped_ids(node) {
            return Ok((start, Kind::Node));
        }
        let is_sum = node.is("Add") || node.is("Sum");
        let joins = node.is("Concat") || is_sum && moving.len() == 2;
        if !joins || moving.len() != node.inputs.len() {
            return Err(refused(node, "it does not compute a layer from its inputs"));
        }
        let fork = graph.parent(at);
        let branches = moving.iter().map(|&end| self.chain(fork, end, level + 1));
        let branches = branches.collect::<Result<Vec<_>, _>>()?;
        Ok((fork, Kind::Fork(branches)))
    }
}
