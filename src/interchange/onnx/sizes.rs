//! Shapes that a graph computes from the number of examples, as exporters do to flatten.

use super::graph::{Graph, Value};
use super::proto::Node;

/// What a dimension of a computed shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// The number of examples.
    Examples,
    Known(i64),
}

/// The most entries of a computed shape.
const MOST: usize = 16;

impl<'a> Graph<'a> {
    /// Returns the value of a node that reads or changes a shape, if that is all it does.
    pub(super) fn shape_value(&self, node: &Node<'_>) -> Option<Value<'a>> {
        if node.is("Shape") {
            self.moving(node, 0)?;
            let ends = [node.int("start", 0), node.int("end", i64::MAX)];
            return match ends {
                [Ok(0), Ok(1)] => Some(Value::Sizes(vec![Size::Examples])),
                [Ok(0), Ok(i64::MAX)] => Some(Value::Shape),
                _ => None,
            };
        }
        let first = |index: usize| self.ints(node, index).is_some_and(|at| at == [0]);
        match self.operand(node, 0) {
            Value::Shape => {
                let is_first = match node.operator {
                    "Gather" => first(1),
                    "Slice" => {
                        let is_one = self.ints(node, 2).is_some_and(|end| end == [1]);
                        first(1) && is_one && node.inputs.len() <= 4
                    }
                    _ => false,
                };
                is_first.then(|| Value::Sizes(vec![Size::Examples]))
            }
            Value::Sizes(sizes) if node.operator != "Concat" => {
                let keeps = ["Unsqueeze", "Squeeze", "Cast", "Identity"];
                (keeps.contains(&node.operator) && sizes.len() == 1).then_some(Value::Sizes(sizes))
            }
            _ if node.is("Concat") => {
                let mut all = Vec::new();
                for index in 0..node.inputs.len().min(MOST) {
                    all.extend(self.sizes(node, index)?);
                }
                let has_all = all.contains(&Size::Examples) && all.len() == node.inputs.len();
                has_all.then_some(Value::Sizes(all))
            }
            _ => None,
        }
    }

    /// Returns an input of a node that is a shape.
    pub(super) fn sizes(&self, node: &Node<'_>, index: usize) -> Option<Vec<Size>> {
        match self.operand(node, index) {
            Value::Sizes(sizes) => Some(sizes),
            _ => {
                let sizes = self.ints(node, index)?.into_iter();
                Some(sizes.map(Size::Known).collect())
            }
        }
    }
}
