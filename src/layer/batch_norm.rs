//! Batch normalisation.

use super::StateBlock;
use super::normalize::{
    Norm, Parameters, Room, Sizes, Statistics, check_eps, columns_of, entries, inverse_root,
    with_memory, with_settings,
};
use super::{At, Backward, BackwardTangent, Forward, ForwardTangent, Layer, Len, Plan, Site};
use crate::error::{Error, number, ranges::fraction};
use crate::kernels::norms::Grouping;
use crate::kernels::{copy, flat};
use crate::scalar::{Scalar, real};
use crate::shape::Shape;
use std::ops::Range;

/// Batch normalisation (Ioffe, Szegedy 2015, arXiv:1502.03167).
///
/// a = γ ∘ (x − μ)/√(σ² + ε) + β, separately for each unit, each feature of a sequence (over its
/// steps), or each channel of a signal or an image (over its positions). γ and β have an entry for
/// each. γ starts at 1 and β at 0; no penalty acts on them. The output has the shape of the
/// input. This is PyTorch's `BatchNorm`:
///
/// - In a training pass, μ and σ² are the mean and the biased variance of the batch, and
///   derivatives pass through both. The state after the step is (1 − p) μᵣ + p μ and (1 − p) σᵣ² +
///   p s², with the [momentum](Self::momentum) p and the **unbiased** variance s². Keras calls 1 −
///   p the momentum.
/// - Outside training, they are the running statistics μᵣ and σᵣ² of the network's
///   [state](crate::Network::state), which are constants to every derivative. They start at 0 and
///   1.
/// - With [fixed statistics](crate::Network::fix_statistics), a training pass uses the running
///   statistics too, and no step changes them.
///
/// In training, the layer couples the examples of a batch, so there are no gradients of single
/// examples, and weights of examples are refused. If a unit has a single value in the batch, σ² is
/// 0, the output is β, and no gradient reaches the layer below. Such a batch has no unbiased
/// variance: it moves μᵣ, but not σᵣ², and [cumulative](Self::cumulative) statistics leave it out.
/// (PyTorch refuses it.)
///
/// Derivation: [(39)](crate::derivation#normalisation),
/// [(40)](crate::derivation#normalisation-error), [(42)](crate::derivation#batch-statistics) and
/// [(43)](crate::derivation#state).
///
/// # Example
/// The batch (2, 4) has the mean 3, the variance 1 and the unbiased variance 2:
/// ```
/// use backprop::nalgebra::DMatrix;
/// use backprop::{Network, Workspace};
///
/// let mut network = Network::<f64>::builder(1).batch_norm().zeros()?;
/// let mut workspace = Workspace::new();
/// workspace.set_training(Some(0));
/// let x = DMatrix::from_row_slice(1, 2, &[2.0, 4.0]);
/// let a = network.forward_into(&x, &mut workspace)?;
/// assert!((a[0] + 1.0).abs() < 1e-5 && (a[1] - 1.0).abs() < 1e-5);
///
/// network.take_state(&workspace)?;
/// let state = network.state();
/// assert!((state[0] - 0.3).abs() < 1e-15); // 0.9 · 0 + 0.1 · 3
/// assert!((state[1] - 1.1).abs() < 1e-15); // 0.9 · 1 + 0.1 · 2
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct BatchNorm {
    eps: f64,
    /// `None` for a cumulative mean.
    pub(crate) momentum: Option<f64>,
    affine: bool,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

/// The places in the state of the running means and variances, and of the number of batches.
pub(crate) struct Running {
    pub(crate) mean: Range<usize>,
    pub(crate) variance: Range<usize>,
    batches: usize,
}

impl Running {
    pub(crate) fn of(units: usize) -> Self {
        Self {
            mean: 0..units,
            variance: units..2 * units,
            batches: 2 * units,
        }
    }
}

impl BatchNorm {
    /// Creates a norm with ε = 10⁻⁵, momentum 0.1, γ and β.
    #[must_use]
    pub fn new() -> Self {
        Self {
            eps: 1e-5,
            momentum: Some(0.1),
            affine: true,
        }
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Sets the share p of a batch in the running statistics, in \[0, 1\].
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = Some(momentum);
        self
    }

    /// Makes the running statistics the means over all batches so far: p = 1/n in the n-th.
    ///
    /// A batch with a single value of each unit is left out, and does not count. n is a third
    /// vector of the state, with one entry. In `f32` it stops at 2²⁴.
    #[must_use]
    pub fn cumulative(mut self) -> Self {
        self.momentum = None;
        self
    }

    /// Sets whether there are γ and β.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = affine;
        self
    }

    /// Returns ε.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.eps
    }

    /// Returns whether there are γ and β.
    #[must_use]
    pub fn is_affine(&self) -> bool {
        self.affine
    }

    /// Returns r = 1/√(σ² + ε), given σ².
    pub(crate) fn r<T: Scalar>(self, variance: T) -> T {
        inverse_root(variance, real(self.eps))
    }

    fn parameters(self) -> Parameters {
        Parameters {
            gamma: self.affine,
            beta: self.affine,
        }
    }

    /// Returns the number of units or channels, and the adjacent entries of each.
    fn channels(shape: Shape) -> (usize, usize) {
        match shape {
            Shape::Units(units) => (units, 1),
            Shape::Sequence { features, .. } => (features, 1),
            Shape::Signal { channels, length } => (channels, length),
            Shape::Image {
                channels,
                height,
                width,
            } => (channels, height.saturating_mul(width)),
        }
    }

    fn norm<T: Scalar>(self, at: &At<'_, T>) -> Norm {
        let (count, len) = Self::channels(at.plan.input());
        let by = Grouping::Cycle { count, len };
        Norm {
            by,
            groups: count,
            per: by,
            units: count,
            centred: true,
            has: self.parameters(),
            eps: self.eps,
            of_entries: at.training && !at.plan.fixed_statistics(),
        }
    }

    /// Moves the running statistics by those of a batch with n values of each unit, or replaces
    /// them.
    fn commit<T: Scalar>(
        self,
        state: &mut [T],
        batch: &Statistics<'_, T>,
        n: usize,
        replaces: bool,
    ) {
        if n < 2 && (replaces || self.momentum.is_none()) {
            return; // μ and σ² stay those of the same batches
        }
        let running = Running::of(batch.mean.len());
        let p: T = match self.momentum {
            Some(_) if replaces => T::one(),
            Some(p) => real(p),
            None => {
                let batches = &mut state[running.batches];
                *batches = match replaces {
                    true => T::one(),
                    false => *batches + T::one(),
                };
                T::one() / *batches
            }
        };
        let kept = T::one() - p;
        let means = batch.mean.iter().zip(&*batch.left);
        for (running, (&mean, &left)) in state[running.mean].iter_mut().zip(means) {
            *running = kept * *running + p * (mean + left);
        }
        if n < 2 {
            return;
        }
        let unbiased = real::<T>(n as f64) / real((n - 1) as f64);
        for (running, &variance) in state[running.variance].iter_mut().zip(&*batch.variance) {
            *running = kept * *running + p * (unbiased * variance);
        }
    }
}

impl<T: Scalar> Layer<T> for BatchNorm {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        check_eps::<T>(self.eps)?;
        if let Some(momentum) = self.momentum {
            fraction("the momentum of the batch norm", momentum)?;
        }
        let (count, _) = Self::channels(site.input);
        let mut plan = Plan::new(site, site.input)
            .state(StateBlock::new("μ", count, 0.0))
            .state(StateBlock::new("σ²", count, 1.0).at_least(0.0));
        if self.momentum.is_none() {
            plan = plan.state(StateBlock::new("n", 1, 0.0).at_least(0.0));
        }
        let sizes = Sizes {
            entries: site.input.len(),
            groups: Len::fixed(count),
            units: count,
        };
        Ok(with_memory(plan, sizes, self.parameters()))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let (at, norm) = (pass.at, self.norm(&pass.at));
        let mut statistics = Room { rest: pass.room }.statistics(norm.groups);
        if norm.of_entries {
            let x = flat(&pass.input).unwrap_or_else(|| {
                copy(&pass.input, &mut pass.output);
                entries(&mut pass.output)
            });
            norm.statistics(x, &mut statistics);
            if let Some(state) = pass.new_state {
                let n = x.len() / norm.groups.max(1);
                self.commit(state, &statistics, n, at.replaces_statistics);
            }
        } else {
            let running = Running::of(norm.groups);
            statistics.mean.copy_from_slice(&at.state[running.mean]);
            statistics.left.fill(T::zero());
            let variance = &at.state[running.variance];
            statistics.variance.copy_from_slice(variance);
        }
        norm.invert(statistics.variance);
        let a = entries(&mut pass.output);
        let (normal, kept_r) = pass.kept.split_at_mut(a.len().min(pass.kept.len()));
        if !normal.is_empty() {
            kept_r[..norm.groups].copy_from_slice(statistics.variance);
        }
        let mut start = 0;
        for x in columns_of(&pass.input) {
            let part = start..start + x.len();
            start = part.end;
            let normal = if normal.is_empty() {
                &mut []
            } else {
                &mut normal[part.clone()]
            };
            norm.normalise(at.theta, &statistics, x, &mut a[part], normal);
        }
    }

    fn backward(&self, pass: Backward<'_, T>) {
        self.norm(&pass.at).backward(pass);
    }

    fn backward_each(&self, pass: Backward<'_, T>) {
        self.backward(pass);
    }

    fn forward_tangent(&self, pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        self.norm(&pass.at).forward_tangent(pass);
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        self.norm(&along.pass.at).backward_tangent(along);
        Ok(())
    }

    fn name(&self) -> String {
        let (mut settings, default) = (Vec::new(), Self::new());
        if self.eps != default.eps {
            settings.push(format!("eps {}", number(self.eps)));
        }
        match self.momentum {
            None => settings.push("cumulative".to_owned()),
            Some(p) if self.momentum != default.momentum => {
                settings.push(format!("momentum {}", number(p)));
            }
            Some(_) => {}
        }
        if !self.affine {
            settings.push("affine false".to_owned());
        }
        with_settings("BatchNorm", &settings)
    }
}

impl<T: Scalar> From<BatchNorm> for Box<dyn Layer<T>> {
    fn from(layer: BatchNorm) -> Self {
        Box::new(layer)
    }
}
