//! Layer normalisation.

use super::normalize::{Norm, Sizes, check_eps, columns_of, entries, with_memory};
use super::{Backward, BackwardTangent, Forward, ForwardTangent, Layer, Len, Plan, Site};
use crate::error::{Error, hyperparameter};
use crate::kernels::norms::Grouping;
use crate::scalar::Scalar;
use crate::shape::Shape;

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
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct LayerNorm {
    axes: usize,
    eps: f64,
    affine: bool,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNorm {
    /// Creates a norm over the last axis, with ε = 10⁻⁵, γ and β.
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

    /// Sets whether there are γ and β.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = affine;
        self
    }

    fn norm(self, plan: &Plan, m: usize) -> Norm {
        let len = plan.input().last_axes(self.axes);
        Norm {
            centred: true,
            beta: self.affine,
            ..of_runs(plan, (len, m), (self.affine, self.eps))
        }
    }
}

/// Checks the number of axes, and returns the number of their entries.
pub(super) fn check_axes(shape: Shape, axes: usize) -> Result<usize, Error> {
    let most = shape.axes();
    if (1..=most).contains(&axes) {
        return Ok(shape.last_axes(axes));
    }
    let expected = format!("1 to {most}, the number of axes of the inputs");
    Err(hyperparameter(
        "the number of normalised axes",
        axes as f64,
        expected,
    ))
}

/// The norm of runs of adjacent entries, without mean and β.
pub(super) fn of_runs(plan: &Plan, (len, m): (usize, usize), (gamma, eps): (bool, f64)) -> Norm {
    Norm {
        by: Grouping::Runs { len },
        groups: plan.inputs() / len.max(1) * m,
        per: Grouping::Cycle { count: len, len: 1 },
        units: len,
        centred: false,
        gamma,
        beta: false,
        eps,
        of_entries: true,
    }
}

/// The plan of a norm of runs of `len` entries.
pub(super) fn plan_of_runs(site: Site, len: usize, parameters: (bool, bool)) -> Plan {
    let entries = site.input.len();
    let sizes = Sizes {
        entries,
        groups: Len::each(entries / len.max(1)),
        units: len,
    };
    with_memory(Plan::new(site, site.input), sizes, parameters)
}

/// The forward pass of a norm of runs.
pub(super) fn forward<T: Scalar>(norm: Norm, mut pass: Forward<'_, T>) {
    let a = entries(&mut pass.output);
    let (normal, kept_scale) = pass.kept.split_at_mut(a.len().min(pass.kept.len()));
    let columns = pass.input.ncols().max(1);
    let part = Norm {
        groups: norm.groups / columns,
        ..norm
    };
    let len = a.len() / columns;
    for (k, x) in columns_of(&pass.input).enumerate() {
        let (norm, start) = if x.len() == len { (part, k) } else { (norm, 0) };
        let (group, entry) = (start * part.groups, start * len);
        for panel in norm.panels(x.len()) {
            let (norm, of) = (panel.norm, panel.entries.start + entry);
            let to = of..panel.entries.end + entry;
            let (x, a) = (&x[panel.entries], &mut a[to.clone()]);
            let (mean, room) = pass.room.split_at_mut(norm.groups);
            let (scale, room) = room.split_at_mut(norm.groups);
            let left = &mut room[..norm.groups];
            norm.statistics(x, (&mut *mean, &mut *left), scale);
            norm.invert_roots(scale);
            let normal = if normal.is_empty() {
                &mut []
            } else {
                let groups = panel.groups.start + group..panel.groups.end + group;
                kept_scale[groups].copy_from_slice(scale);
                &mut normal[to]
            };
            norm.normalise(pass.at.theta, (x, a), (mean, left, scale), normal);
        }
    }
}

impl<T: Scalar> Layer<T> for LayerNorm {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        check_eps::<T>(self.eps)?;
        let len = check_axes(site.input, self.axes)?;
        Ok(plan_of_runs(site, len, (self.affine, self.affine)))
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

impl<T: Scalar> From<LayerNorm> for Box<dyn Layer<T>> {
    fn from(layer: LayerNorm) -> Self {
        Box::new(layer)
    }
}
