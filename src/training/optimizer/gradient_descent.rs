//! Gradient descent, with momentum.

use super::memory::{Memory, Slot};
use super::{Optimizer, OptimizerState, above_zero, below_one, in_range, not_negative};
use crate::error::Error;
use crate::kernels::steps::{Descent, Momentum, Rule};
use crate::scalar::Scalar;

/// Gradient descent, θ ← θ − η g; stochastic if g is the gradient of a part of the examples.
///
/// With momentum μ a sum b of past gradients takes the place of g. In the first step b = g, then b ← μ b + (1 − d) g with the dampening d:
///
/// - θ ← θ − η b (Polyak 1964, doi:10.1016/0041-5553(64)90137-5);
/// - θ ← θ − η (g + μ b), Nesterov's, which steps from where momentum is about to lead (Sutskever et al. 2013, PMLR 28(3):1139–1147).
///
/// As in PyTorch, b is a sum of gradients and η multiplies all of it. In the papers b is a sum of steps, which keep the rate of their time; with
/// a constant rate the two are the same.
///
/// The state is b, and none without momentum.
///
/// # Example
/// η = 0.5, μ = 0.5, and a gradient that stays at 1: b is 1, then 0.5 · 1 + 1 = 1.5.
/// ```
/// use backprop::training::{GradientDescent, Optimizer};
///
/// let mut plain = GradientDescent::new(0.5).momentum(0.5);
/// let mut theta = [4.0];
/// plain.step(&mut theta, &[1.0])?;
/// assert_eq!(theta, [3.5]);
/// plain.step(&mut theta, &[1.0])?;
/// assert_eq!(theta, [2.75]);
///
/// // 4 − 0.5 (1 + 0.5 · 1)
/// let mut nesterov = GradientDescent::new(0.5).momentum(0.5).nesterov();
/// let mut theta = [4.0];
/// nesterov.step(&mut theta, &[1.0])?;
/// assert_eq!(theta, [3.25]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "SGD")]
#[derive(Clone, Debug)]
pub struct GradientDescent<T> {
    rate: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    memory: Memory<T>,
}

impl<T: Scalar> GradientDescent<T> {
    /// With the rate η > 0, and without momentum.
    #[doc(alias("learning_rate", "lr"))]
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            memory: Memory::default(),
        }
    }

    /// With momentum μ in \[0, 1), 0.9 for example.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// With the dampening d in \[0, 1] of new gradients. 0 otherwise; with d = μ, b is a mean instead of a sum.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// In Nesterov's form, which needs momentum and takes no dampening.
    #[must_use]
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }

    fn slots(&self) -> &'static [Slot] {
        if self.momentum == 0.0 {
            &[]
        } else {
            &[Slot::Signed]
        }
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        not_negative::<T>("rate", self.rate)?;
        below_one("momentum", self.momentum)?;
        let dampening = self.dampening;
        if self.nesterov {
            above_zero::<T>("momentum of Nesterov's form", self.momentum)?;
            let name = "dampening of Nesterov's form";
            return in_range(dampening == 0.0, name, dampening, "0");
        }
        let holds = (0.0..=1.0).contains(&dampening);
        in_range(holds, "dampening", dampening, "a number from 0 to 1")
    }
}

impl<T: Scalar> Optimizer<T> for GradientDescent<T> {
    fn name(&self) -> &'static str {
        "gradient descent"
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("rate", self.rate)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        let (rate, momentum) = (self.rate, self.momentum);
        let step = self.memory.begin(theta, gradient, self.slots())?;
        let rule = if momentum == 0.0 {
            Rule::Descent(Descent { rate })
        } else {
            Rule::Momentum(Momentum {
                rate,
                momentum,
                // b is 0 before the first step, which takes all of g.
                fresh: if step == 1 { 1.0 } else { 1.0 - self.dampening },
                nesterov: self.nesterov,
            })
        };
        self.memory.apply(rule, 0..theta.len(), theta, gradient);
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.rate
    }

    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn state(&self) -> OptimizerState<T> {
        self.memory.state()
    }

    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error> {
        self.memory.restore(state, self.slots())
    }

    fn reset(&mut self) {
        self.memory.reset();
    }
}
