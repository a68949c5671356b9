//! Resilient propagation.

use super::Entrywise;
use super::rule::{Rule, Slot};
use crate::error::Error;
use crate::error::ranges::{above_zero, between_zero_and_one, in_range};
use crate::kernels::steps::{Compiled, Entries, Step, Update};
use crate::scalar::{Scalar, real};

/// iRprop⁻: uses only the sign of the gradient, with a step size for each entry (Igel, Hüsken
/// 2003, doi:10.1016/S0925-2312(01)00700-7).
///
/// With the gradient g, the previous gradient p (0 before the first step) and the step size Δ:
///
/// - sign g = sign p: Δ ← min(η⁺ Δ, Δmax);
/// - sign g = −sign p: Δ ← max(η⁻ Δ, Δmin), and then g ← 0, so θ does not change in this step and Δ
///   does not change in the next;
/// - one of the signs is 0: Δ does not change.
///
/// Then θ ← θ − Δ sign g and p ← g. The defaults are η⁻ = 0.5, η⁺ = 1.2, Δmin = 10⁻⁶ and
/// Δmax = 50. The learning rate is the first Δ, so only the factor of the first step has an effect.
///
/// Use it only with the gradient of all examples. With mini-batches, signs change by chance, and
/// the step sizes shrink.
///
/// PyTorch's `Rprop` is the same method, except that it takes the sign of the product g p, which is
/// 0 if the product underflows.
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
///     method.step(&mut theta, &[gradient], 1.0)?;
///     assert!((theta[0] - expected).abs() < 1e-15);
/// }
/// # Ok::<(), backprop::Error>(())
/// ```
#[doc(alias = "Rprop")]
pub type IRpropMinus<T> = Entrywise<T, IRpropMinusRule>;

/// The settings of [`IRpropMinus`].
#[derive(Clone, Copy, Debug)]
pub struct IRpropMinusRule {
    shrink: f64,
    grow: f64,
    least: f64,
    most: f64,
}

impl<T: Scalar> IRpropMinus<T> {
    /// Creates the method with the first step size, which must be above 0. It is 0.01 in PyTorch
    /// and 0.1 in most papers.
    ///
    /// The first step clamps this size to the bounds.
    #[must_use]
    pub fn new(initial: f64) -> Self {
        let rule = IRpropMinusRule {
            shrink: 0.5,
            grow: 1.2,
            least: 1e-6,
            most: 50.0,
        };
        Self::of(initial, rule, ())
    }

    /// Sets the factors of the step size, 0 < η⁻ < 1 < η⁺.
    #[must_use]
    pub fn factors(mut self, shrink: f64, grow: f64) -> Self {
        (self.rule.shrink, self.rule.grow) = (shrink, grow);
        self
    }

    /// Sets the bounds of the step size, 0 < Δmin ≤ Δmax.
    #[must_use]
    pub fn bounds(mut self, least: f64, most: f64) -> Self {
        (self.rule.least, self.rule.most) = (least, most);
        self
    }
}

impl Rule for IRpropMinusRule {
    const NAME: &'static str = "iRprop⁻";
    const RATE: &'static str = "the first step size";
    /// The sign of a batch's gradient depends on the batch as much as on J.
    const TAKES_BATCHES: bool = false;

    fn check<T: Scalar>(&self) -> Result<(), Error> {
        let (shrink, grow) = (self.shrink, self.grow);
        between_zero_and_one("η⁻", shrink)?;
        above_zero::<T>("η⁺", grow)?;
        in_range(grow > 1.0, "η⁺", grow, "a number in (1, ∞)")?;
        let (least, most) = (self.least, self.most);
        above_zero::<T>("the smallest step size", least)?;
        above_zero::<T>("the largest step size", most)?;
        let expected = "a number no smaller than the smallest step size";
        in_range(most >= least, "the largest step size", most, expected)
    }

    fn slots(&self) -> &'static [Slot] {
        &[Slot::Signed, Slot::Sizes]
    }

    fn first(&self, slot: usize, rate: f64) -> f64 {
        if slot == 0 { 0.0 } else { rate }
    }
}

impl Update for IRpropMinusRule {
    #[inline(always)]
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>) {
        let (zero, one) = (T::zero(), T::one());
        let (shrink, grow): (T, T) = (real(self.shrink), real(self.grow));
        let (least, most): (T, T) = (real(self.least), real(self.most));
        entries.each::<2>(step, move |theta, g, [p, size, _]| {
            let same = (*p > zero) & (g > zero) | (*p < zero) & (g < zero);
            let opposite = (*p > zero) & (g < zero) | (*p < zero) & (g > zero);
            let factor = if same { grow } else { one };
            let factor = if opposite { shrink } else { factor };
            let scaled = *size * factor;
            let scaled = if scaled < least { least } else { scaled };
            *size = if scaled > most { most } else { scaled };
            let g = if opposite { zero } else { g };
            *p = g;
            // Δ sign g: 0 for 0, and NaN for NaN.
            let d = if g > zero { *size } else { zero * g };
            let d = if g < zero { -*size } else { d };
            theta - d
        });
    }

    fn compiled() -> &'static Compiled<Self> {
        static COMPILED: Compiled<IRpropMinusRule> = Compiled::new();
        &COMPILED
    }
}
