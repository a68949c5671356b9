//! Resilient propagation.

use super::memory::{Memory, Slot};
use super::{Optimizer, OptimizerState, above_zero, in_range, not_negative};
use crate::error::Error;
use crate::kernels::steps::{Resilient, Rule};
use crate::scalar::Scalar;

/// iRprop⁻: each entry has a step size of its own, and of the gradient only the sign counts (Igel, Hüsken 2003, doi:10.1016/S0925-2312(01)00700-7).
///
/// With the gradient g, the one before it p (0 before the first step) and the step size Δ:
///
/// - sign g = sign p: Δ ← min(η⁺ Δ, Δmax);
/// - sign g = −sign p: Δ ← max(η⁻ Δ, Δmin), and then g ← 0, so that θ stays in this step and Δ in the next;
/// - one of them 0: Δ stays.
///
/// Then θ ← θ − Δ sign g and p ← g. η⁻ = 0.5, η⁺ = 1.2, Δmin = 10⁻⁶ and Δmax = 50 unless set otherwise, and the rate is the first Δ: one that
/// is set after the first step has no effect, nor has a schedule.
///
/// For the gradient of all examples only: with mini-batches signs change by chance, and the step sizes shrink.
///
/// PyTorch's `Rprop` is the same method, but that it takes the sign of the product g p, which is 0 where that underflows.
///
/// The state is p and Δ.
///
/// # Example
/// Steps of 0.1, then 0.12, then none when the sign changes, then 0.06:
/// ```
/// use backprop::training::{IRpropMinus, Optimizer};
///
/// let mut method = IRpropMinus::new(0.1);
/// let mut theta = [1.0_f64];
/// for (gradient, expected) in [(7.0, 0.9), (0.3, 0.78), (-5.0, 0.78), (-5.0, 0.84)] {
///     method.step(&mut theta, &[gradient])?;
///     assert!((theta[0] - expected).abs() < 1e-15);
/// }
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "Rprop")]
#[derive(Clone, Debug)]
pub struct IRpropMinus<T> {
    initial: f64,
    shrink: f64,
    grow: f64,
    least: f64,
    most: f64,
    memory: Memory<T>,
}

impl<T: Scalar> IRpropMinus<T> {
    /// With the first step size, above 0: 0.01 in PyTorch, 0.1 in most papers. It is brought between the bounds.
    #[must_use]
    pub fn new(initial: f64) -> Self {
        Self {
            initial,
            shrink: 0.5,
            grow: 1.2,
            least: 1e-6,
            most: 50.0,
            memory: Memory::default(),
        }
    }

    /// With other factors of the step size, 0 < η⁻ < 1 < η⁺.
    #[must_use]
    pub fn factors(mut self, shrink: f64, grow: f64) -> Self {
        (self.shrink, self.grow) = (shrink, grow);
        self
    }

    /// With other bounds of the step size, 0 < Δmin ≤ Δmax.
    #[must_use]
    pub fn bounds(mut self, least: f64, most: f64) -> Self {
        (self.least, self.most) = (least, most);
        self
    }

    fn slots(&self) -> [Slot; 2] {
        // The first step brings it between its bounds, as every step does.
        [Slot::Signed, Slot::Sizes(self.initial)]
    }

    /// All but whether the rate is above 0.
    fn check(&self) -> Result<(), Error> {
        not_negative::<T>("first step size", self.initial)?;
        let (shrink, grow) = (self.shrink, self.grow);
        let holds = shrink > 0.0 && shrink < 1.0;
        in_range(holds, "η⁻", shrink, "a number between 0 and 1")?;
        above_zero::<T>("η⁺", grow)?;
        in_range(grow > 1.0, "η⁺", grow, "a finite number above 1")?;
        let (least, most) = (self.least, self.most);
        above_zero::<T>("least step size", least)?;
        above_zero::<T>("largest step size", most)?;
        let expected = "a number that is not below the least step size";
        in_range(most >= least, "largest step size", most, expected)
    }
}

impl<T: Scalar> Optimizer<T> for IRpropMinus<T> {
    fn name(&self) -> &'static str {
        "iRprop⁻"
    }

    /// No: the sign of a batch's gradient says as much about the batch as about J.
    fn takes_batches(&self) -> bool {
        false
    }

    fn validate(&self) -> Result<(), Error> {
        above_zero::<T>("first step size", self.initial)?;
        self.check()
    }

    fn step(&mut self, theta: &mut [T], gradient: &[T]) -> Result<(), Error> {
        self.check()?;
        self.memory.begin(theta, gradient, &self.slots())?;
        let rule = Rule::Resilient(Resilient {
            shrink: self.shrink,
            grow: self.grow,
            bounds: (self.least, self.most),
        });
        self.memory.apply(rule, 0..theta.len(), theta, gradient);
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.initial
    }

    fn set_rate(&mut self, rate: f64) {
        self.initial = rate;
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
