//! Adam and AdamW.

use super::memory::{Memory, Slot, same_length};
use super::{Optimizer, OptimizerState, above_zero, below_one, not_negative};
use crate::error::Error;
use crate::kernels::steps::{self, Rule};
use crate::layout::{BlockLayout, Layout};
use crate::scalar::Scalar;
use std::ops::Range;

/// Adam: means of gradients, divided by the root of means of their squares (Kingma, Ba 2015, arXiv:1412.6980).
///
/// In step t, from 1, with m = v = 0 before the first:
///
/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − η m̂/(√v̂ + ε) with m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ).
///
/// β₁ = 0.9, β₂ = 0.999 and ε = 10⁻⁸ unless set otherwise. How far an entry moves hardly depends on the scale of its gradients.
///
/// [`amsgrad`](Self::amsgrad) divides by the root of the largest v so far (Reddi, Kale, Kumar 2018, arXiv:1904.09237). As in PyTorch that one
/// is divided by 1 − β₂ᵗ of the present step, and m by 1 − β₁ᵗ; the paper divides neither.
///
/// The state is m, v and, with `amsgrad`, the largest v.
///
/// # Example
/// In the first step m̂ = g and v̂ = g², so that every entry moves by η against the sign of its gradient:
/// ```
/// use backprop::training::{Adam, Optimizer};
///
/// let mut adam = Adam::new(0.1);
/// let mut theta = [1.0_f64, 2.0];
/// adam.step(&mut theta, &[300.0, -0.02])?;
/// assert!((theta[0] - 0.9).abs() < 1e-6);
/// assert!((theta[1] - 2.1).abs() < 1e-6);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adam<T> {
    rate: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    amsgrad: bool,
    memory: Memory<T>,
}

impl<T: Scalar> Adam<T> {
    /// With the rate η > 0; 0.001 is where most begin.
    #[doc(alias("learning_rate", "lr"))]
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            amsgrad: false,
            memory: Memory::default(),
        }
    }

    /// With other β₁ and β₂ in \[0, 1).
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }

    /// With another ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// With the largest v so far in place of v.
    #[must_use]
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }

    fn slots(&self) -> &'static [Slot] {
        const SLOTS: &[Slot] = &[Slot::Signed, Slot::Squares(0.0), Slot::Squares(0.0)];
        if self.amsgrad { SLOTS } else { &SLOTS[..2] }
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        not_negative::<T>("rate", self.rate)?;
        below_one("β₁", self.beta1)?;
        below_one("β₂", self.beta2)?;
        above_zero::<T>("ε", self.epsilon)
    }

    /// The rule of step `step`, which leaves θ as it is before it subtracts.
    fn rule(&self, step: u64) -> steps::Adam {
        let correction = |beta: f64| 1.0 - libm::pow(beta, step as f64);
        steps::Adam {
            rate: self.rate / correction(self.beta1),
            betas: (self.beta1, self.beta2),
            scale: 1.0 / correction(self.beta2).sqrt(),
            epsilon: self.epsilon,
            keep: 1.0,
            amsgrad: self.amsgrad,
        }
    }
}

impl<T: Scalar> Optimizer<T> for Adam<T> {
    fn name(&self) -> &'static str {
        "Adam"
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("rate", self.rate)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        let step = self.memory.begin(theta, gradient, self.slots())?;
        let rule = Rule::Adam(self.rule(step));
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

/// Adam with decay of the weights that is no part of the gradient: θ ← (1 − η w) θ − η m̂/(√v̂ + ε).
///
/// A penalty in J goes through m and v, and pulls less where gradients are large; this decay pulls in proportion to θ alone (Loshchilov, Hutter
/// 2019, arXiv:1711.05101). As in PyTorch the decay is multiplied by the rate, 1 − η w; in the paper by the schedule's factor only. All else is as in [`Adam`].
///
/// Every entry decays, as in PyTorch, unless biases are [spared](Self::spare_biases).
///
/// # Example
/// Without a gradient, θ loses η w = 0.1 · 0.5 of itself in each step:
/// ```
/// use backprop::training::{AdamW, Optimizer};
/// use backprop::{Network, activation::Identity};
///
/// let mut method = AdamW::new(0.1).decay(0.5);
/// let mut theta = [2.0_f64, -4.0];
/// method.step(&mut theta, &[0.0, 0.0])?;
/// assert!((theta[0] - 1.9).abs() < 1e-15 && (theta[1] + 3.8).abs() < 1e-15);
///
/// // One unit with one input: θ = [b, w].
/// let network = Network::<f64>::builder(1).dense(1, Identity).zeros()?;
/// let mut method = AdamW::new(0.1).decay(0.5).spare_biases(network.layout());
/// let mut theta = [2.0_f64, -4.0];
/// method.step(&mut theta, &[0.0, 0.0])?;
/// assert!(theta[0] == 2.0 && (theta[1] + 3.8).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdamW<T> {
    adam: Adam<T>,
    decay: f64,
    mask: Option<Mask>,
}

/// The entries that decay.
#[derive(Clone, Debug)]
struct Mask {
    decayed: Vec<Range<usize>>,
    /// The length of the θ that they are in.
    parameters: usize,
}

impl<T: Scalar> AdamW<T> {
    /// With the rate η > 0 and the decay w = 0.01.
    #[doc(alias("learning_rate", "lr"))]
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            adam: Adam::new(rate),
            decay: 0.01,
            mask: None,
        }
    }

    /// With another decay w ≥ 0 of which η w ≤ 1.
    #[doc(alias = "weight_decay")]
    #[must_use]
    pub fn decay(mut self, decay: f64) -> Self {
        self.decay = decay;
        self
    }

    /// With other β₁ and β₂ in \[0, 1).
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.adam = self.adam.betas(beta1, beta2);
        self
    }

    /// With another ε > 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.adam = self.adam.epsilon(epsilon);
        self
    }

    /// With the largest v so far in place of v.
    #[must_use]
    pub fn amsgrad(mut self) -> Self {
        self.adam = self.adam.amsgrad();
        self
    }

    /// Decays those entries alone that a penalty would act on, [`BlockLayout::penalised`]: in dense layers all but the biases.
    ///
    /// A θ of another length than the layout's is then an [`Error::Length`] of the step.
    #[must_use]
    pub fn spare_biases(mut self, layout: &Layout) -> Self {
        let penalised = layout.blocks().iter().map(BlockLayout::penalised);
        self.mask = Some(Mask {
            decayed: penalised.collect(),
            parameters: layout.parameters(),
        });
        self
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        self.adam.check()?;
        not_negative::<T>("decay", self.decay)?;
        let product = self.adam.rate * self.decay;
        super::in_range(product <= 1.0, "rate times decay", product, "at most 1")
    }
}

impl<T: Scalar> Optimizer<T> for AdamW<T> {
    fn name(&self) -> &'static str {
        "AdamW"
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("rate", self.adam.rate)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        if let Some(mask) = &self.mask {
            same_length("θ", mask.parameters, theta.len())?;
        }
        let adam = &mut self.adam;
        let step = adam.memory.begin(theta, gradient, adam.slots())?;
        let spared = adam.rule(step);
        let keep = 1.0 - adam.rate * self.decay;
        let decayed = steps::Adam { keep, ..spared };
        let mut apply = |rule, entries| {
            let memory = &mut adam.memory;
            memory.apply(Rule::Adam(rule), entries, theta, gradient);
        };
        let Some(mask) = &self.mask else {
            apply(decayed, 0..gradient.len());
            return Ok(());
        };
        let mut done = 0;
        for entries in &mask.decayed {
            apply(spared, done..entries.start);
            apply(decayed, entries.clone());
            done = entries.end;
        }
        apply(spared, done..gradient.len());
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.adam.rate
    }

    fn set_rate(&mut self, rate: f64) {
        self.adam.rate = rate;
    }

    fn state(&self) -> OptimizerState<T> {
        self.adam.state()
    }

    fn restore(&mut self, state: &OptimizerState<T>) -> Result<(), Error> {
        self.adam.restore(state)
    }

    fn reset(&mut self) {
        self.adam.reset();
    }
}
