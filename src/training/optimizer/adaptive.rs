//! Rates by the squares of past gradients: RMSProp, AdaGrad, Adadelta.

use super::memory::{Memory, Slot};
use super::{Optimizer, OptimizerState, above_zero, below_one, not_negative};
use crate::error::Error;
use crate::kernels::steps::{self, Rule};
use crate::scalar::Scalar;

/// RMSProp: gradients divided by the root of the mean of their squares (Tieleman, Hinton 2012, lecture 6.5 of the course *Neural Networks for
/// Machine Learning*).
///
/// v ← α v + (1 − α) g² from v = 0, and θ ← θ − η d with d = g/(√v + ε). α = 0.99 and ε = 10⁻⁸ unless set otherwise.
///
/// - [`centered`](Self::centered): d = g/(√(v − ḡ²) + ε) with the mean ḡ ← α ḡ + (1 − α) g (Graves 2013, arXiv:1308.0850, where ε is inside the root).
///   A v − ḡ² that rounding made negative counts as 0; in PyTorch its root is NaN.
/// - [`momentum`](Self::momentum) μ: b ← μ b + d from b = 0, and θ ← θ − η b.
///
/// v starts at 0 and is not corrected for it, as in PyTorch: the first step of an entry is η/√(1 − α) long, ten times η.
///
/// The state is v, then ḡ if centered, then b with momentum.
///
/// # Example
/// With α = 0.75 and g = 4 the first v is 0.25 · 16 = 4, and d = 4/2:
/// ```
/// use backprop::training::{Optimizer, RmsProp};
///
/// let mut method = RmsProp::new(0.1).alpha(0.75);
/// let mut theta = [1.0_f64];
/// method.step(&mut theta, &[4.0])?;
/// assert!((theta[0] - 0.8).abs() < 1e-8);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RmsProp<T> {
    rate: f64,
    alpha: f64,
    epsilon: f64,
    centered: bool,
    momentum: f64,
    memory: Memory<T>,
}

impl<T: Scalar> RmsProp<T> {
    /// With the rate η > 0, 0.01 for example; neither centered nor with momentum.
    #[doc(alias("learning_rate", "lr"))]
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            alpha: 0.99,
            epsilon: 1e-8,
            centered: false,
            momentum: 0.0,
            memory: Memory::default(),
        }
    }

    /// With another α in \[0, 1).
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// With another ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// With the variance of the gradient in place of the mean of its square.
    #[must_use]
    pub fn centered(mut self) -> Self {
        self.centered = true;
        self
    }

    /// With momentum μ in \[0, 1).
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    fn slots(&self) -> &'static [Slot] {
        const SLOTS: &[Slot] = &[Slot::Squares(0.0), Slot::Signed, Slot::Signed];
        &SLOTS[..1 + usize::from(self.centered) + usize::from(self.momentum != 0.0)]
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        not_negative::<T>("rate", self.rate)?;
        below_one("α", self.alpha)?;
        above_zero::<T>("ε", self.epsilon)?;
        below_one("momentum", self.momentum)
    }
}

impl<T: Scalar> Optimizer<T> for RmsProp<T> {
    fn name(&self) -> &'static str {
        "RMSProp"
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("rate", self.rate)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        self.memory.begin(theta, gradient, self.slots())?;
        let rule = Rule::RmsProp(steps::RmsProp {
            rate: self.rate,
            alpha: self.alpha,
            epsilon: self.epsilon,
            centered: self.centered,
            momentum: Some(self.momentum).filter(|&momentum| momentum != 0.0),
        });
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

/// AdaGrad: gradients divided by the root of the sum of all their squares (Duchi, Hazan, Singer 2011, JMLR 12:2121–2159, with diagonal matrices).
///
/// s ← s + g² and θ ← θ − ηₜ g/(√s + ε), with ηₜ = η/(1 + (t − 1) d) in step t, from 1. s starts at 0, d is 0 and ε = 10⁻¹⁰ unless set otherwise.
///
/// d is PyTorch's; the paper has a constant rate, and calls ε δ.
///
/// The state is s.
///
/// # Example
/// g = 3, then 4: s = 9, then 25.
/// ```
/// use backprop::training::{AdaGrad, Optimizer};
///
/// let mut method = AdaGrad::new(0.5);
/// let mut theta = [1.0_f64];
/// method.step(&mut theta, &[3.0])?; // 0.5 · 3/3
/// assert!((theta[0] - 0.5).abs() < 1e-9);
/// method.step(&mut theta, &[4.0])?; // 0.5 · 4/5
/// assert!((theta[0] - 0.1).abs() < 1e-9);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaGrad<T> {
    rate: f64,
    rate_decay: f64,
    initial: f64,
    epsilon: f64,
    memory: Memory<T>,
}

impl<T: Scalar> AdaGrad<T> {
    /// With the rate η > 0, 0.01 for example.
    #[doc(alias("learning_rate", "lr"))]
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            rate_decay: 0.0,
            initial: 0.0,
            epsilon: 1e-10,
            memory: Memory::default(),
        }
    }

    /// With the decay d ≥ 0 of the rate.
    #[must_use]
    pub fn rate_decay(mut self, rate_decay: f64) -> Self {
        self.rate_decay = rate_decay;
        self
    }

    /// With another s ≥ 0 before the first step.
    #[must_use]
    pub fn initial(mut self, initial: f64) -> Self {
        self.initial = initial;
        self
    }

    /// With another ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    fn slots(&self) -> [Slot; 1] {
        [Slot::Squares(self.initial)]
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        not_negative::<T>("rate", self.rate)?;
        not_negative::<T>("decay of the rate", self.rate_decay)?;
        not_negative::<T>("initial sum of squares", self.initial)?;
        above_zero::<T>("ε", self.epsilon)
    }
}

impl<T: Scalar> Optimizer<T> for AdaGrad<T> {
    fn name(&self) -> &'static str {
        "AdaGrad"
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("rate", self.rate)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        let step = self.memory.begin(theta, gradient, &self.slots())?;
        let rule = Rule::AdaGrad(steps::AdaGrad {
            rate: self.rate / (1.0 + (step - 1) as f64 * self.rate_decay),
            epsilon: self.epsilon,
        });
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
        self.memory.restore(state, &self.slots())
    }

    fn reset(&mut self) {
        self.memory.reset();
    }
}

/// Adadelta: steps in proportion to the root of the mean of squared steps (Zeiler 2012, arXiv:1212.5701).
///
/// From v = u = 0: v ← ρ v + (1 − ρ) g², d = g √(u + ε)/√(v + ε), u ← ρ u + (1 − ρ) d², θ ← θ − η d. ρ = 0.9 and ε = 10⁻⁶ unless set otherwise.
///
/// The paper has no rate, which is η = 1, PyTorch's default. The first steps are as small as √ε.
///
/// The state is v and u.
///
/// # Example
/// g = 2, ρ = 0.75 and ε = 1: v = 0.25 · 4 = 1, and d = 2 √1/√2.
/// ```
/// use backprop::training::{Adadelta, Optimizer};
///
/// let mut method = Adadelta::new(1.0).rho(0.75).epsilon(1.0);
/// let mut theta = [3.0_f64];
/// method.step(&mut theta, &[2.0])?;
/// assert!((theta[0] - (3.0 - 2.0_f64.sqrt())).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adadelta<T> {
    rate: f64,
    rho: f64,
    epsilon: f64,
    memory: Memory<T>,
}

impl<T: Scalar> Adadelta<T> {
    const SLOTS: &'static [Slot] = &[Slot::Squares(0.0), Slot::Squares(0.0)];

    /// With the rate η > 0; 1 is the paper's method.
    #[doc(alias("learning_rate", "lr"))]
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            rho: 0.9,
            epsilon: 1e-6,
            memory: Memory::default(),
        }
    }

    /// With another ρ in \[0, 1).
    #[must_use]
    pub fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// With another ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        not_negative::<T>("rate", self.rate)?;
        below_one("ρ", self.rho)?;
        above_zero::<T>("ε", self.epsilon)
    }
}

impl<T: Scalar> Optimizer<T> for Adadelta<T> {
    fn name(&self) -> &'static str {
        "Adadelta"
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("rate", self.rate)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        self.memory.begin(theta, gradient, Self::SLOTS)?;
        let rule = Rule::Adadelta(steps::Adadelta {
            rate: self.rate,
            rho: self.rho,
            epsilon: self.epsilon,
        });
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
        self.memory.restore(state, Self::SLOTS)
    }

    fn reset(&mut self) {
        self.memory.reset();
    }
}
