//! Adam and AdamW.

use super::Entrywise;
use super::decay::{Decay, Decoupled, Mask};
use super::rule::{Rule, Slot};
use crate::error::Error;
use crate::error::ranges::{above_zero, below_one};
use crate::kernels::steps::{Compiled, Entries, Step, Update, mean, unless_overflown};
use crate::layout::Layout;
use crate::scalar::{Scalar, real};

/// Adam: steps along the mean gradient, divided by the root of the mean square (Kingma, Ba 2015,
/// arXiv:1412.6980).
///
/// g is the gradient and η the learning rate, which sets the size of a step. Here, m is a running
/// mean of g, and v is a running mean of g². Both are 0 before the first step. ε prevents a
/// division by 0. In step t, counted from 1, all operations act entry by entry:
///
/// - m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g²;
/// - m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ);
/// - θ ← θ − η m̂/(√v̂ + ε).
///
/// The defaults are β₁ = 0.9, β₂ = 0.999 and ε = 10⁻⁸. The length of a step hardly depends on the
/// scale of the gradients.
///
/// With [`amsgrad`](Self::amsgrad), the largest v so far replaces v (Reddi, Kale, Kumar 2018,
/// arXiv:1904.09237). As in PyTorch, it is divided by 1 − β₂ᵗ of the current step, and m by
/// 1 − β₁ᵗ. The paper divides neither.
///
/// The state is m, v and, with `amsgrad`, the largest v.
///
/// # Example
/// In the first step m̂ = g and v̂ = g², so every entry moves by η against the sign of its
/// gradient:
/// ```
/// use backprop::training::{Adam, Optimizer};
///
/// let mut adam = Adam::new(0.1);
/// let mut theta = [1.0_f64, 2.0];
/// adam.step(&mut theta, &[300.0, -0.02], 1.0)?; // 1.0: no schedule
/// assert!((theta[0] - 0.9).abs() < 1e-6);
/// assert!((theta[1] - 2.1).abs() < 1e-6);
/// # Ok::<(), backprop::Error>(())
/// ```
pub type Adam<T> = Entrywise<T, AdamRule>;

/// Adam with decoupled weight decay: θ ← (1 − η w) θ − η m̂/(√v̂ + ε).
///
/// A penalty in J enters m and v, so its effect is weaker where gradients are large. This decay is
/// proportional to θ, regardless of the gradients (Loshchilov, Hutter 2019, arXiv:1711.05101). As
/// in PyTorch, the learning rate multiplies the decay w. In the paper, only the schedule's factor
/// multiplies it. Everything else is as in [`Adam`].
///
/// Every entry decays, as in PyTorch, unless you [spare the biases](Self::spare_biases).
///
/// # Example
/// With a gradient of 0, θ shrinks by the fraction η w = 0.1 · 0.5 in each step:
/// ```
/// use backprop::training::{AdamW, Optimizer};
/// use backprop::{Network, activation::Identity};
///
/// let mut method = AdamW::new(0.1).decay(0.5);
/// let mut theta = [2.0_f64, -4.0];
/// method.step(&mut theta, &[0.0, 0.0], 1.0)?;
/// assert!((theta[0] - 1.9).abs() < 1e-15 && (theta[1] + 3.8).abs() < 1e-15);
///
/// // One unit with one input: θ = [b, w].
/// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let mut method = AdamW::new(0.1).decay(0.5).spare_biases(network.layout());
/// let mut theta = [2.0_f64, -4.0];
/// method.step(&mut theta, &[0.0, 0.0], 1.0)?;
/// assert!(theta[0] == 2.0 && (theta[1] + 3.8).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
pub type AdamW<T> = Entrywise<T, AdamRule, Decay>;

/// The settings of [`Adam`].
#[derive(Clone, Copy, Debug)]
pub struct AdamRule {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    amsgrad: bool,
}

impl AdamRule {
    const DEFAULT: Self = Self {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        amsgrad: false,
    };
}

impl<T: Scalar> Adam<T> {
    /// Creates Adam with the learning rate η > 0. A common first choice is 0.001.
    #[must_use]
    #[doc(alias("learning_rate", "lr"))]
    pub fn new(rate: f64) -> Self {
        Self::of(rate, AdamRule::DEFAULT, ())
    }
}

impl<T: Scalar> AdamW<T> {
    /// Creates AdamW with the learning rate η > 0 and the decay w = 0.01.
    #[must_use]
    #[doc(alias("learning_rate", "lr"))]
    pub fn new(rate: f64) -> Self {
        let decay = Decay {
            weight: 0.01,
            mask: None,
        };
        Self::of(rate, AdamRule::DEFAULT, decay)
    }

    /// Sets the decay w ≥ 0. The product η w must be at most 1.
    #[must_use]
    #[doc(alias = "weight_decay")]
    pub fn decay(mut self, decay: f64) -> Self {
        self.decay.weight = decay;
        self
    }

    /// Decays only the entries that a penalty acts on: in dense layers, all except the biases.
    ///
    /// These are the entries in [`BlockLayout::penalised`](crate::layout::BlockLayout::penalised).
    /// A step then returns [`Error::Length`] if θ does not have the length of the layout.
    #[must_use]
    pub fn spare_biases(mut self, layout: &Layout) -> Self {
        self.decay.mask = Some(Mask::penalised(layout));
        self
    }
}

impl<T: Scalar, D: Decoupled> Entrywise<T, AdamRule, D> {
    /// Sets β₁ and β₂, both in \[0, 1).
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.rule.beta1, self.rule.beta2) = (beta1, beta2);
        self
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }

    /// Divides by the root of the largest v so far.
    #[must_use]
    pub fn amsgrad(mut self) -> Self {
        self.rule.amsgrad = true;
        self
    }
}

impl Rule for AdamRule {
    const NAME: &'static str = "Adam";
    const NAME_WITH_DECAY: &'static str = "AdamW";

    fn check<T: Scalar>(&self) -> Result<(), Error> {
        below_one("β₁", self.beta1)?;
        below_one("β₂", self.beta2)?;
        above_zero::<T>("ε", self.epsilon)
    }

    fn slots(&self) -> &'static [Slot] {
        const SLOTS: &[Slot] = &[Slot::Signed, Slot::Squares, Slot::Squares];
        if self.amsgrad { SLOTS } else { &SLOTS[..2] }
    }
}

impl Update for AdamRule {
    #[inline(always)]
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>) {
        // η m̂/(√v̂ + ε) = (η/c₁) m/(√v/√c₂ + ε) with cᵢ = 1 − βᵢᵗ.
        let correction = |beta: f64| 1.0 - libm::pow(beta, step.number as f64);
        let rate: T = real(step.rate / correction(self.beta1));
        let scale: T = real(1.0 / correction(self.beta2).sqrt());
        let epsilon: T = real(self.epsilon);
        let update = move |theta: T, g: T, [m, v, largest]: &mut [T; 3]| {
            *m = mean(self.beta1, *m, g);
            *v = mean(self.beta2, *v, g * g);
            // A comparison with NaN is false, so a NaN in v propagates.
            *largest = if self.amsgrad && *largest >= *v {
                *largest
            } else {
                *v
            };
            let d = *m / (largest.sqrt() * scale + epsilon);
            theta - rate * unless_overflown(d, *largest)
        };
        if self.amsgrad {
            entries.each::<3>(step, update);
        } else {
            entries.each::<2>(step, update);
        }
    }

    fn compiled() -> &'static Compiled<Self> {
        static COMPILED: Compiled<AdamRule> = Compiled::new();
        &COMPILED
    }
}
