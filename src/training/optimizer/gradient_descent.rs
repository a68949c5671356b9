//! Gradient descent, with momentum.

use super::Entrywise;
use super::rule::{Rule, Slot};
use crate::error::Error;
use crate::error::ranges::{above_zero, below_one, fraction, in_range};
use crate::kernels::steps::{Compiled, Entries, Step, Update};
use crate::scalar::{Scalar, real};

/// Gradient descent: θ ← θ − η g with the gradient g and the learning rate η. With gradients of
/// mini-batches, it is stochastic gradient descent.
///
/// With [`momentum`](Self::momentum) μ, a sum b of past gradients replaces g. In the first step,
/// b = g. In later steps, b ← μ b + (1 − d) g with the [`dampening`](Self::dampening) d, and
///
/// - θ ← θ − η b (Polyak 1964, doi:10.1016/0041-5553(64)90137-5), or
/// - θ ← θ − η (g + μ b) in [Nesterov's form](Self::nesterov), which looks ahead to where momentum
///   leads (Sutskever et al. 2013, PMLR 28(3):1139–1147).
///
/// As in PyTorch, b is a sum of gradients, and η multiplies the whole sum. In the papers, b is a
/// sum of steps, each with the learning rate of its own step. With a constant learning rate, the
/// two forms are equivalent.
///
/// The state is b. Without momentum, there is no state.
///
/// # Example
/// η = 0.5, μ = 0.5, and a gradient that stays at 1: b is 1, then 0.5 · 1 + 1 = 1.5.
/// ```
/// use backprop::training::{GradientDescent, Optimizer};
///
/// let mut plain = GradientDescent::new(0.5).momentum(0.5);
/// let mut theta = [4.0];
/// plain.step(&mut theta, &[1.0], 1.0)?;
/// assert_eq!(theta, [3.5]);
/// plain.step(&mut theta, &[1.0], 1.0)?;
/// assert_eq!(theta, [2.75]);
///
/// // 4 − 0.5 (1 + 0.5 · 1)
/// let mut nesterov = GradientDescent::new(0.5).momentum(0.5).nesterov();
/// let mut theta = [4.0];
/// nesterov.step(&mut theta, &[1.0], 1.0)?;
/// assert_eq!(theta, [3.25]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "SGD")]
pub type GradientDescent<T> = Entrywise<T, GradientDescentRule>;

/// The settings of [`GradientDescent`].
#[derive(Clone, Copy, Debug)]
pub struct GradientDescentRule {
    momentum: f64,
    dampening: f64,
    nesterov: bool,
}

impl<T: Scalar> GradientDescent<T> {
    /// Creates gradient descent with the learning rate η > 0, without momentum.
    #[must_use]
    #[doc(alias("learning_rate", "lr"))]
    pub fn new(rate: f64) -> Self {
        let rule = GradientDescentRule {
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
        };
        Self::of(rate, rule, ())
    }

    /// Sets the momentum μ in \[0, 1), for example 0.9.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }

    /// Sets the dampening d of new gradients, in \[0, 1]. The default is 0. With d = μ, b is a mean
    /// instead of a sum.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.rule.dampening = dampening;
        self
    }

    /// Uses Nesterov's form, which requires momentum and does not allow dampening.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.rule.nesterov = true;
        self
    }
}

impl Rule for GradientDescentRule {
    const NAME: &'static str = "gradient descent";

    fn check<T: Scalar>(&self) -> Result<(), Error> {
        below_one("the momentum", self.momentum)?;
        let dampening = self.dampening;
        if self.nesterov {
            above_zero::<T>("the momentum of Nesterov's form", self.momentum)?;
            let name = "the dampening of Nesterov's form";
            return in_range(dampening == 0.0, name, dampening, "0");
        }
        fraction("the dampening", dampening)
    }

    fn slots(&self) -> &'static [Slot] {
        if self.momentum == 0.0 {
            &[]
        } else {
            &[Slot::Signed]
        }
    }
}

impl Update for GradientDescentRule {
    #[inline(always)]
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>) {
        let (rate, momentum): (T, T) = (real(step.rate), real(self.momentum));
        if self.momentum == 0.0 {
            return entries.each::<0>(step, move |theta, g, _| theta - rate * g);
        }
        // b is 0 before the first step, which is not dampened.
        let first = step.number == 1;
        let fresh: T = real(if first { 1.0 } else { 1.0 - self.dampening });
        entries.each::<1>(step, move |theta, g, [b, ..]| {
            *b = momentum * *b + fresh * g;
            let d = if self.nesterov { g + momentum * *b } else { *b };
            theta - rate * d
        });
    }

    fn compiled() -> &'static Compiled<Self> {
        static COMPILED: Compiled<GradientDescentRule> = Compiled::new();
        &COMPILED
    }
}
