//! Branches side by side.

use super::fork::{self, Fork};
use super::join::Join;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Sequential, Site};
use crate::error::Error;
use crate::scalar::Scalar;
use crate::shape::Shape;

/// The axis along which outputs are put one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Axis {
    /// The first axis: units, the steps of a sequence, or the channels of a signal or an image.
    #[default]
    First,
    /// The last axis: units, the features of a sequence, the length of a signal, or the width of an
    /// image.
    Last,
}

/// Branches that take the same input, and whose outputs are put one after the other along an axis.
///
/// An empty branch passes its input on. At the end of a network, the branches are its heads.
///
/// Derivation: [(35)](crate::derivation#fork) and [(36)](crate::derivation#join).
///
/// # Example
/// \[1 + 2 x; x\]:
/// ```
/// use backprop::activation::Identity;
/// use backprop::layer::{AnyLayer, Axis, Concat, Sequential};
/// use backprop::{Dense, Network};
///
/// let branch = Sequential::new(vec![AnyLayer::Dense(Dense::new(1, 1, Identity))]);
/// let concat = Concat::new(vec![branch, Sequential::new(vec![])], Axis::First);
/// let layers = vec![AnyLayer::Concat(concat)];
/// let network = Network::<f64>::from_layers(1, layers, &[1.0, 2.0])?;
/// assert_eq!(network.forward(&[5.0])?.as_slice(), &[11.0, 5.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("Parallel", "concatenate", "cat"))]
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Concat<L> {
    branches: Vec<Sequential<L>>,
    axis: Axis,
}

impl<L> Concat<L> {
    /// Creates a layer of branches.
    #[must_use]
    pub fn new(branches: Vec<Sequential<L>>, axis: Axis) -> Self {
        Self { branches, axis }
    }

    /// Returns the branches.
    #[must_use]
    pub fn branches(&self) -> &[Sequential<L>] {
        &self.branches
    }

    /// Returns the axis.
    #[must_use]
    pub fn axis(&self) -> Axis {
        self.axis
    }
}

impl<L> Fork<L> for Concat<L> {
    fn branch(&self, i: usize) -> Option<&Sequential<L>> {
        self.branches.get(i)
    }

    fn branch_name(&self, i: usize) -> String {
        format!("branch {}", i + 1)
    }

    fn join(&self) -> Join {
        match self.axis {
            Axis::First => Join::First,
            Axis::Last => Join::Last,
        }
    }

    fn joined(&self, so_far: Shape, branch: Shape) -> Option<Shape> {
        match self.axis {
            Axis::Last => {
                let size = so_far.last_axis().saturating_add(branch.last_axis());
                let fits = so_far.with_last_axis(0) == branch.with_last_axis(0);
                fits.then(|| so_far.with_last_axis(size))
            }
            Axis::First => {
                let size = so_far.first_axis().saturating_add(branch.first_axis());
                let fits = so_far.with_first_axis(0) == branch.with_first_axis(0);
                fits.then(|| so_far.with_first_axis(size))
            }
        }
    }
}

impl<T: Scalar, L: Layer<T>> Layer<T> for Concat<L> {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        fork::plan(self, site)
    }

    fn forward(&self, pass: Forward<'_, T>) {
        fork::forward(self, pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        fork::backward(self, pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        fork::backward(self, pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        fork::forward_tangent(self, pass)
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        fork::backward_tangent(self, along)
    }

    fn name(&self) -> String {
        "Concat".to_owned()
    }
}

impl<T: Scalar, L: Layer<T> + 'static> From<Concat<L>> for Box<dyn Layer<T>> {
    fn from(layer: Concat<L>) -> Self {
        Box::new(layer)
    }
}
