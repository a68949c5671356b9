//! Root-mean-square normalisation.

use super::normalize_runs::OverAxes;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site};
use crate::error::Error;
use crate::scalar::Scalar;

/// Normalisation by the root mean square (Zhang, Sennrich 2019, arXiv:1910.07467).
///
/// a = γ ∘ x/√(mean of x² + ε). The mean is over the last axis of each example, at each of its
/// positions, or over its last [`axes`](Self::axes). Nothing is subtracted, and there is no β. γ
/// has an entry for each entry of these axes and starts at 1; no penalty acts on it. The output has
/// the shape of the input. This is PyTorch's `RMSNorm` with
/// `eps` set to this ε; PyTorch's default is the machine epsilon.
///
/// Derivation: [(41)](crate::derivation#rms-normalisation).
///
/// # Example
/// x = (1, 7) has the mean square 25:
/// ```
/// use backprop::Network;
///
/// let network = Network::<f64>::builder(2).rms_norm().zeros()?;
/// let a = network.forward(&[1.0, 7.0])?;
/// assert!((a[0] - 0.2).abs() < 1e-6 && (a[1] - 1.4).abs() < 1e-6);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct RmsNorm(pub(crate) OverAxes<false>);

impl Default for RmsNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl RmsNorm {
    /// Creates a norm over the last axis, with ε = 10⁻⁵ and γ.
    #[must_use]
    pub fn new() -> Self {
        Self(OverAxes::DEFAULT)
    }

    /// Sets the number of last axes that are normalised together, from 1 to all of the input.
    #[must_use]
    pub fn axes(mut self, axes: usize) -> Self {
        self.0.axes = axes;
        self
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.0.eps = eps;
        self
    }

    /// Sets whether there is γ.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        self.0.affine = affine;
        self
    }

    /// Returns ε.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.0.eps
    }

    /// Returns whether there is γ.
    #[must_use]
    pub fn is_affine(&self) -> bool {
        self.0.affine
    }
}

impl<T: Scalar> Layer<T> for RmsNorm {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        Layer::<T>::plan(&self.0, site)
    }

    fn forward(&self, pass: Forward<'_, T>) {
        self.0.forward(pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.0.backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.0.backward_each(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.0.forward_tangent(pass)
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.0.backward_tangent(along)
    }

    fn name(&self) -> String {
        Layer::<T>::name(&self.0)
    }
}

impl<T: Scalar> From<RmsNorm> for Box<dyn Layer<T>> {
    fn from(layer: RmsNorm) -> Self {
        Box::new(layer)
    }
}
