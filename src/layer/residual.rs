//! The sum of a body and a shortcut.

use super::fork::{self, Fork};
use super::join::Join;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Sequential, Site};
use crate::error::Error;
use crate::scalar::Scalar;
use crate::shape::Shape;

/// A residual connection: body(x) + shortcut(x), or body(x) + x without a shortcut.
///
/// Both take the same input, and their outputs have the same shape. An empty body passes x on, so a
/// residual of nothing is 2 x. Nothing is computed after the sum (He et al. 2016,
/// arXiv:1603.05027).
///
/// Derivation: [(35)](crate::derivation#fork) and [(36)](crate::derivation#join).
///
/// # Example
/// f(x) + x with f(x) = 1 + 2 x:
/// ```
/// use backprop::activation::Identity;
/// use backprop::layer::{AnyLayer, Residual, Sequential};
/// use backprop::{Dense, Network};
///
/// let body = Sequential::new(vec![AnyLayer::Dense(Dense::new(1, 1, Identity))]);
/// let layers = vec![AnyLayer::Residual(Residual::new(body))];
/// let network = Network::<f64>::from_layers(1, layers, &[1.0, 2.0])?;
/// assert_eq!(network.forward(&[5.0])?[0], 16.0);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias("SkipConnection", "skip"))]
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Residual<L> {
    body: Sequential<L>,
    shortcut: Option<Sequential<L>>,
}

impl<L> Residual<L> {
    /// Creates body(x) + x.
    #[must_use]
    pub fn new(body: Sequential<L>) -> Self {
        Self {
            body,
            shortcut: None,
        }
    }

    /// Creates body(x) + shortcut(x).
    #[must_use]
    pub fn with_shortcut(body: Sequential<L>, shortcut: Sequential<L>) -> Self {
        Self {
            body,
            shortcut: Some(shortcut),
        }
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &Sequential<L> {
        &self.body
    }

    /// Returns the shortcut, unless it is x itself.
    #[must_use]
    pub fn shortcut(&self) -> Option<&Sequential<L>> {
        self.shortcut.as_ref()
    }
}

impl<L> Fork<L> for Residual<L> {
    fn branch(&self, i: usize) -> Option<&Sequential<L>> {
        match i {
            0 => Some(&self.body),
            1 => self.shortcut.as_ref(),
            _ => None,
        }
    }

    fn branch_name(&self, i: usize) -> String {
        ["body", "shortcut"][i.min(1)].to_owned()
    }

    fn join(&self) -> Join {
        match self.shortcut {
            Some(_) => Join::Sum,
            None => Join::SumWithInput,
        }
    }

    fn joined(&self, so_far: Shape, branch: Shape) -> Option<Shape> {
        (so_far == branch).then_some(branch)
    }
}

impl<T: Scalar, L: Layer<T>> Layer<T> for Residual<L> {
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
        "Residual".to_owned()
    }
}

impl<T: Scalar, L: Layer<T> + 'static> From<Residual<L>> for Box<dyn Layer<T>> {
    fn from(layer: Residual<L>) -> Self {
        Box::new(layer)
    }
}
