//! Which layers of a tree differ in training, and which of them keep their statistics.

use super::Plan;
use crate::error::Error;
use crate::layer::{Couples, StateBlock};
use crate::path::Path;

impl Plan {
    /// Adds a vector of state. A layer's vectors lie in this order in [`At::state`](crate::layer::At::state).
    ///
    /// In training, such a layer gets the batch as a whole, so it counts as
    /// [coupling](Couples::InTraining) the examples.
    pub fn state(mut self, block: StateBlock) -> Self {
        self.state = self.state.saturating_add(block.len);
        self.state_blocks.push(block);
        let couples = self.own_couples.max(Couples::InTraining);
        self.couples(couples)
    }

    /// Declares that the layer draws random numbers in training: `numbers` for each example.
    ///
    /// The numbers of an example must follow from [`At::seed`](crate::layer::At::seed) and its index in the
    /// batch alone, so that every pass of a step and any cut of the batch uses the same.
    pub fn stochastic(mut self, numbers: usize) -> Self {
        self.numbers = numbers;
        self.stochastic = true;
        self
    }

    /// Returns the length of the state, that of inner layers included.
    #[inline]
    #[must_use]
    pub fn state_len(&self) -> usize {
        self.state
    }

    /// Returns how many random numbers the layer itself draws for each example in training.
    #[must_use]
    pub fn random_numbers(&self) -> usize {
        self.numbers
    }

    /// Returns whether the statistics of this layer are fixed: it then computes in training what it
    /// computes outside, and couples no examples.
    ///
    /// [`Network::fix_statistics`](crate::Network::fix_statistics) sets it.
    #[inline]
    #[must_use]
    pub fn fixed_statistics(&self) -> bool {
        self.fixed
    }

    /// Fixes the statistics of the layers with state at a path and inside it, or releases them.
    pub(crate) fn fix_statistics(&mut self, path: &[usize], fixed: bool) -> Result<(), Error> {
        match path {
            [] => {
                self.fixed = fixed && !self.state_blocks.is_empty();
                for child in &mut self.children {
                    child.plan.fix_statistics(&[], fixed)?;
                }
            }
            &[index, ref inner @ ..] => {
                let count = self.children.len();
                let what = "layer";
                let child = self.children.get_mut(index);
                let child = child.ok_or(Error::Index { what, index, count })?;
                child.plan.fix_statistics(inner, fixed)?;
            }
        }
        let children = self.children.iter().map(|child| child.plan.couples);
        self.couples = children.fold(self.couples_itself(), Couples::max);
        Ok(())
    }

    /// Fixes the statistics of the layers that have them fixed in another plan of this tree.
    #[cfg(feature = "num-dual")]
    pub(crate) fn fix_as_in(&mut self, other: &Self) {
        self.fixed = other.fixed;
        for (child, other) in self.children.iter_mut().zip(&other.children) {
            child.plan.fix_as_in(&other.plan);
        }
        let children = self.children.iter().map(|child| child.plan.couples);
        self.couples = children.fold(self.couples_itself(), Couples::max);
    }

    /// Returns when the layer itself couples the examples.
    fn couples_itself(&self) -> Couples {
        match self.own_couples {
            Couples::InTraining if self.fixed => Couples::Never,
            couples => couples,
        }
    }

    /// Returns the path of the first layer that couples the examples in this mode.
    pub(crate) fn coupling(&self, training: bool) -> Option<Path> {
        self.first(&|plan| plan.couples.in_mode(training), &|plan| {
            plan.couples_itself().in_mode(training)
        })
    }

    /// Returns the path of the first layer that gathers statistics in training.
    pub(crate) fn gathering(&self) -> Option<Path> {
        self.first(&|plan| plan.state > 0, &|plan| {
            !plan.state_blocks.is_empty() && !plan.fixed
        })
    }

    /// Returns the path of the first layer that draws random numbers.
    pub(crate) fn drawing(&self) -> Option<Path> {
        self.first(&|plan| plan.stochastic, &|plan| plan.numbers > 0)
    }

    /// Returns the path of the first layer with a property, in a tree that may hold one.
    fn first(
        &self,
        of_tree: &dyn Fn(&Self) -> bool,
        of_layer: &dyn Fn(&Self) -> bool,
    ) -> Option<Path> {
        if !of_tree(self) {
            return None;
        }
        if of_layer(self) {
            return Some(Path::default());
        }
        let mut children = self.children.iter().enumerate();
        children.find_map(|(i, child)| {
            let inner = child.plan.first(of_tree, of_layer)?;
            Some(inner.inside(i))
        })
    }
}
