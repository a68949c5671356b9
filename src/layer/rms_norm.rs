//! Root-mean-square normalisation.

use super::layer_norm::{check_axes, forward, of_runs, plan_of_runs};
use super::normalize::{Norm, check_eps};
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
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RmsNorm {
    axes: usize,
    eps: f64,
    affine: bool,
}

impl Default for RmsNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl RmsNorm {
    /// Creates a norm over the last axis, with ε = 10⁻⁵ and γ.
    #[must_use]
    pub fn new() -> Self {
        Self {
            axes: 1,
            eps: 1e-5,
            affine: true,
        }
    }

    /// Sets the number of last axes that are normalised together, from 1 to all of the input.
    #[must_use]
    pub fn axes(mut self, axes: usize) -> Self {
        self.axes = axes;
        self
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Sets whether there is γ.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = affine;
        self
    }

    fn norm(self, plan: &Plan, m: usize) -> Norm {
        let len = plan.input().last_axes(self.axes);
        of_runs(plan, (len, m), (self.affine, self.eps))
    }
}

impl<T: Scalar> Layer<T> for RmsNorm {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        check_eps::<T>(self.eps)?;
        let len = check_axes(site.input, self.axes)?;
        Ok(plan_of_runs(site, len, (self.affine, false)))
    }

    fn forward(&self, pass: Forward<'_, T>) {
        forward(self.norm(pass.at.plan, pass.input.ncols()), pass);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.norm(pass.at.plan, pass.output.ncols()).backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.norm(pass.at.plan, pass.output.ncols())
            .forward_tangent(pass);
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let pass = &along.pass;
        self.norm(pass.at.plan, pass.output.ncols())
            .backward_tangent(along);
        Ok(())
    }
}

impl<T: Scalar> From<RmsNorm> for Box<dyn Layer<T>> {
    fn from(layer: RmsNorm) -> Self {
        Box::new(layer)
    }
}
