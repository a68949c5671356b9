//! Which layers of a tree keep their parameters.

use super::Plan;
use crate::error::Error;
use crate::scalar::Scalar;

impl Plan {
    /// Returns whether a parameter of this tree moves.
    #[inline]
    pub(crate) fn moves(&self) -> bool {
        self.moves
    }

    /// Returns whether the layer's own parameters keep their values.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Returns the first child with a parameter that moves, or the number of children.
    #[inline]
    pub(crate) fn first_that_moves(&self) -> usize {
        self.first_that_moves
    }

    /// Freezes the layer at a path and those inside it, or releases them. Returns the index that
    /// does not exist, with the number of children, if there is no such layer.
    pub(crate) fn freeze(&mut self, path: &[usize], frozen: bool) -> Result<(), Error> {
        match path {
            [] => {
                self.frozen = frozen && !self.blocks.is_empty();
                for child in &mut self.children {
                    child.plan.freeze(&[], frozen)?;
                }
            }
            &[index, ref inner @ ..] => {
                let count = self.children.len();
                let what = "layer";
                let child = self.children.get_mut(index);
                let child = child.ok_or(Error::Index { what, index, count })?;
                child.plan.freeze(inner, frozen)?;
            }
        }
        let moving = self.children.iter().position(|child| child.plan.moves);
        self.first_that_moves = moving.unwrap_or(self.children.len());
        self.moves = moving.is_some() || !self.frozen && !self.blocks.is_empty();
        Ok(())
    }

    /// Sets the entries of frozen layers to 0 in a vector that holds the parameters of this tree.
    pub(crate) fn clear_frozen<T: Scalar>(&self, vector: &mut [T]) {
        if self.frozen {
            let own = self
                .children
                .first()
                .map_or(self.parameters, |child| child.theta.start);
            vector[..own].fill(T::zero());
        }
        for child in &self.children {
            child.plan.clear_frozen(&mut vector[child.theta.clone()]);
        }
    }
}
