//! Layer normalisation.

use super::normalize_runs::OverAxes;
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Plan, Site};
use crate::error::Error;
use crate::scalar::Scalar;

/// Layer normalisation (Ba et al. 2016, arXiv:1607.06450).
///
/// a = γ ∘ (x − μ)/√(σ² + ε) + β. The mean μ and the (biased) variance σ² are those of the last
/// axis of each example, at each of its positions, or those of its last [`axes`](Self::axes). γ
/// and β have an entry for each entry of these axes. γ starts at 1 and β at 0; no penalty acts on
/// them. The output has the shape of the input, and does not change if x is shifted or (up to ε)
/// scaled. This is PyTorch's `LayerNorm`.
///
/// Derivation: [(39)](crate::derivation#normalisation) and
/// [(40)](crate::derivation#normalisation-error).
///
/// # Example
/// x = (1, 3) has the mean 2 and the variance 1:
/// ```
/// use backprop::Network;
///
/// let network = Network::<f64>::builder(2).layer_norm().zeros()?;
/// let a = network.forward(&[1.0, 3.0])?;
/// assert!((a[0] + 1.0).abs() < 1e-5 && (a[1] - 1.0).abs() < 1e-5);
/// assert_eq!(network.parameters(), 4);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct LayerNorm(pub(crate) OverAxes<true>);

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNorm {
    /// Creates a norm over the last axis, with ε = 10⁻⁵, γ and β.
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

    /// Sets whether there are γ and β.
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

    /// Returns whether there are γ and β.
    #[must_use]
    pub fn is_affine(&self) -> bool {
        self.0.affine
    }
}

impl<T: Scalar> Layer<T> for LayerNorm {
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

impl<T: Scalar> From<LayerNorm> for Box<dyn Layer<T>> {
    fn from(layer: LayerNorm) -> Self {
        Box::new(layer)
    }
}
