//! Optimisers that scale gradients by the squares of past ones: RMSProp, AdaGrad, Adadelta.

use super::Entrywise;
use super::rule::{Rule, Slot};
use crate::error::Error;
use crate::error::ranges::{above_zero, below_one, not_negative};
use crate::kernels::steps::{Compiled, Entries, Step, Update, mean, unless_overflown};
use crate::scalar::{Scalar, real};

/// RMSProp: divides gradients by the root of their mean square (Tieleman, Hinton 2012, lecture 6.5
/// of the course *Neural Networks for Machine Learning*).
///
/// With the gradient g and the learning rate η, entry by entry: v ← α v + (1 − α) g² from v = 0,
/// and θ ← θ − η d with d = g/(√v + ε). The defaults are α = 0.99 and ε = 10⁻⁸.
///
/// - [`centered`](Self::centered): d = g/(√(v − ḡ²) + ε) with the mean ḡ ← α ḡ + (1 − α) g (Graves
///   2013, arXiv:1308.0850, where ε is inside the root). If rounding makes v − ḡ² negative, it
///   counts as 0. In PyTorch, its root is NaN.
/// - [`momentum`](Self::momentum) μ: b ← μ b + d from b = 0, and θ ← θ − η b.
///
/// v starts at 0 and is not corrected for this bias, as in PyTorch. The first step of an entry
/// therefore has the length η/√(1 − α), which is ten times η by default.
///
/// The state is v, followed by ḡ if centred, and by b with momentum.
///
/// # Example
/// With α = 0.75 and g = 4, the first v is 0.25 · 16 = 4, and d = 4/2:
/// ```
/// use backprop::training::{Optimizer, RmsProp};
///
/// let mut method = RmsProp::new(0.1).alpha(0.75);
/// let mut theta = [1.0_f64];
/// method.step(&mut theta, &[4.0], 1.0)?;
/// assert!((theta[0] - 0.8).abs() < 1e-8);
/// # Ok::<(), backprop::Error>(())
/// ```
pub type RmsProp<T> = Entrywise<T, RmsPropRule>;

/// The settings of [`RmsProp`].
#[derive(Clone, Copy, Debug)]
pub struct RmsPropRule {
    alpha: f64,
    epsilon: f64,
    centered: bool,
    momentum: f64,
}

impl<T: Scalar> RmsProp<T> {
    /// Creates RMSProp with the learning rate η > 0, for example 0.01.
    #[must_use]
    #[doc(alias("learning_rate", "lr"))]
    pub fn new(rate: f64) -> Self {
        let rule = RmsPropRule {
            alpha: 0.99,
            epsilon: 1e-8,
            centered: false,
            momentum: 0.0,
        };
        Self::of(rate, rule, ())
    }

    /// Sets α in \[0, 1).
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.rule.alpha = alpha;
        self
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }

    /// Divides by the standard deviation of the gradient instead of the root of its mean square.
    #[must_use]
    pub fn centered(mut self) -> Self {
        self.rule.centered = true;
        self
    }

    /// Sets the momentum μ in \[0, 1). The default is 0.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }
}

impl Rule for RmsPropRule {
    const NAME: &'static str = "RMSProp";

    fn check<T: Scalar>(&self) -> Result<(), Error> {
        below_one("α", self.alpha)?;
        above_zero::<T>("ε", self.epsilon)?;
        below_one("the momentum", self.momentum)
    }

    fn slots(&self) -> &'static [Slot] {
        const SLOTS: &[Slot] = &[Slot::Squares, Slot::Signed, Slot::Signed];
        &SLOTS[..1 + usize::from(self.centered) + usize::from(self.momentum != 0.0)]
    }
}

impl Update for RmsPropRule {
    #[inline(always)]
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>) {
        let (rate, epsilon): (T, T) = (real(step.rate), real(self.epsilon));
        let (momentum, zero): (T, T) = (real(self.momentum), T::zero());
        let rolls = self.momentum != 0.0;
        // ḡ, if there is one, and b follow v, in that order.
        let update = move |theta: T, g: T, [v, second, third]: &mut [T; 3]| {
            *v = mean(self.alpha, *v, g * g);
            let (center, b) = if self.centered {
                (mean(self.alpha, *second, g), *third)
            } else {
                (zero, *second)
            };
            let variance = *v - center * center;
            // Rounding can make the variance negative if the gradient does not change.
            let variance = if variance < zero { zero } else { variance };
            let d = unless_overflown(g / (variance.sqrt() + epsilon), *v);
            let d = if rolls { momentum * b + d } else { d };
            (*second, *third) = if self.centered { (center, d) } else { (d, d) };
            theta - rate * d
        };
        if self.centered && rolls {
            entries.each::<3>(step, update);
        } else if self.centered || rolls {
            entries.each::<2>(step, update);
        } else {
            entries.each::<1>(step, update);
        }
    }

    fn compiled() -> &'static Compiled<Self> {
        static COMPILED: Compiled<RmsPropRule> = Compiled::new();
        &COMPILED
    }
}

/// AdaGrad: divides gradients by the root of the sum of all their squares (Duchi, Hazan, Singer
/// 2011, JMLR 12:2121–2159, with diagonal matrices).
///
/// With the gradient g and the learning rate η, entry by entry: s ← s + g² and
/// θ ← θ − ηₜ g/(√s + ε), with ηₜ = η/(1 + (t − 1) d) in step t, counted from 1. The defaults are
/// s = 0 before the first step, d = 0 and ε = 10⁻¹⁰.
///
/// The decay d comes from PyTorch. The paper uses a constant learning rate, and denotes ε by δ.
///
/// The state is s.
///
/// # Example
/// With g = 3 and then 4, s is 9 and then 25:
/// ```
/// use backprop::training::{AdaGrad, Optimizer};
///
/// let mut method = AdaGrad::new(0.5);
/// let mut theta = [1.0_f64];
/// method.step(&mut theta, &[3.0], 1.0)?; // 0.5 · 3/3
/// assert!((theta[0] - 0.5).abs() < 1e-9);
/// method.step(&mut theta, &[4.0], 1.0)?; // 0.5 · 4/5
/// assert!((theta[0] - 0.1).abs() < 1e-9);
/// # Ok::<(), backprop::Error>(())
/// ```
pub type AdaGrad<T> = Entrywise<T, AdaGradRule>;

/// The settings of [`AdaGrad`].
#[derive(Clone, Copy, Debug)]
pub struct AdaGradRule {
    rate_decay: f64,
    initial: f64,
    epsilon: f64,
}

impl<T: Scalar> AdaGrad<T> {
    /// Creates AdaGrad with the learning rate η > 0, for example 0.01.
    #[must_use]
    #[doc(alias("learning_rate", "lr"))]
    pub fn new(rate: f64) -> Self {
        let rule = AdaGradRule {
            rate_decay: 0.0,
            initial: 0.0,
            epsilon: 1e-10,
        };
        Self::of(rate, rule, ())
    }

    /// Sets the decay d ≥ 0 of the learning rate.
    #[must_use]
    pub fn rate_decay(mut self, rate_decay: f64) -> Self {
        self.rule.rate_decay = rate_decay;
        self
    }

    /// Sets s ≥ 0 before the first step.
    #[must_use]
    pub fn initial(mut self, initial: f64) -> Self {
        self.rule.initial = initial;
        self
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

impl Rule for AdaGradRule {
    const NAME: &'static str = "AdaGrad";

    fn check<T: Scalar>(&self) -> Result<(), Error> {
        not_negative::<T>("the decay of the learning rate", self.rate_decay)?;
        not_negative::<T>("the initial sum of squares", self.initial)?;
        above_zero::<T>("ε", self.epsilon)
    }

    fn slots(&self) -> &'static [Slot] {
        &[Slot::Squares]
    }

    fn first(&self, _: usize, _: f64) -> f64 {
        self.initial
    }
}

impl Update for AdaGradRule {
    #[inline(always)]
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>) {
        let past = (step.number - 1) as f64;
        let rate: T = real(step.rate / (1.0 + past * self.rate_decay));
        let epsilon: T = real(self.epsilon);
        entries.each::<1>(step, move |theta, g, [s, ..]| {
            *s += g * g;
            let d = g / (s.sqrt() + epsilon);
            theta - rate * unless_overflown(d, *s)
        });
    }

    fn compiled() -> &'static Compiled<Self> {
        static COMPILED: Compiled<AdaGradRule> = Compiled::new();
        &COMPILED
    }
}

/// Adadelta: steps in proportion to the root of the mean of squared steps (Zeiler 2012,
/// arXiv:1212.5701).
///
/// With the gradient g and the learning rate η, entry by entry and from v = u = 0:
/// v ← ρ v + (1 − ρ) g², d = g √(u + ε)/√(v + ε), u ← ρ u + (1 − ρ) d², θ ← θ − η d. The defaults
/// are ρ = 0.9 and ε = 10⁻⁶.
///
/// The paper has no learning rate, which corresponds to η = 1, the default in PyTorch. The first
/// steps are as small as √ε.
///
/// The state is v and u.
///
/// # Example
/// With g = 2, ρ = 0.75 and ε = 1, v = 0.25 · 4 = 1 and d = 2 √1/√2:
/// ```
/// use backprop::training::{Adadelta, Optimizer};
///
/// let mut method = Adadelta::new(1.0).rho(0.75).epsilon(1.0);
/// let mut theta = [3.0_f64];
/// method.step(&mut theta, &[2.0], 1.0)?;
/// assert!((theta[0] - (3.0 - 2.0_f64.sqrt())).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
pub type Adadelta<T> = Entrywise<T, AdadeltaRule>;

/// The settings of [`Adadelta`].
#[derive(Clone, Copy, Debug)]
pub struct AdadeltaRule {
    rho: f64,
    epsilon: f64,
}

impl<T: Scalar> Adadelta<T> {
    /// Creates Adadelta with the learning rate η > 0. A learning rate of 1 gives the method of the
    /// paper.
    #[must_use]
    #[doc(alias("learning_rate", "lr"))]
    pub fn new(rate: f64) -> Self {
        let rule = AdadeltaRule {
            rho: 0.9,
            epsilon: 1e-6,
        };
        Self::of(rate, rule, ())
    }

    /// Sets ρ in \[0, 1).
    #[must_use]
    pub fn rho(mut self, rho: f64) -> Self {
        self.rule.rho = rho;
        self
    }

    /// Sets ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

impl Rule for AdadeltaRule {
    const NAME: &'static str = "Adadelta";

    fn check<T: Scalar>(&self) -> Result<(), Error> {
        below_one("ρ", self.rho)?;
        above_zero::<T>("ε", self.epsilon)
    }

    fn slots(&self) -> &'static [Slot] {
        &[Slot::Squares, Slot::Squares]
    }
}

impl Update for AdadeltaRule {
    #[inline(always)]
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>) {
        let (rate, epsilon): (T, T) = (real(step.rate), real(self.epsilon));
        entries.each::<2>(step, move |theta, g, [v, u, _]| {
            *v = mean(self.rho, *v, g * g);
            // Two roots, because the quotient under one root could underflow.
            let d = (*u + epsilon).sqrt() / (*v + epsilon).sqrt() * g;
            *u = mean(self.rho, *u, d * d);
            theta - rate * unless_overflown(unless_overflown(d, *v), *u)
        });
    }

    fn compiled() -> &'static Compiled<Self> {
        static COMPILED: Compiled<AdadeltaRule> = Compiled::new();
        &COMPILED
    }
}
