//! The steps of the optimisers: one loop over θ, ∇J and the state for each of them, for every scalar, and compiled for each level.
//!
//! No multiplication is fused with an addition, so that an entry has the same bits at every level and in the plain loop.

use super::level::{Kernel, launch};
use super::real::Real;
use super::table::table;
use crate::scalar::{Scalar, real};

/// Slices of state beside θ; a rule makes use of the first [`Rule::buffers`] of them.
pub(crate) const BUFFERS: usize = 3;

/// What an optimiser does with each entry θ, g of θ and ∇J and its state s. Constants are `f64` and rounded to the scalar once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Descent(Descent),
    Momentum(Momentum),
    Adam(Adam),
    RmsProp(RmsProp),
    AdaGrad(AdaGrad),
    Adadelta(Adadelta),
    Resilient(Resilient),
}

/// θ ← θ − rate g.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    pub(crate) rate: f64,
}

/// s₀ ← momentum s₀ + fresh g; θ ← θ − rate s₀, or θ − rate (g + momentum s₀).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Momentum {
    pub(crate) rate: f64,
    pub(crate) momentum: f64,
    pub(crate) fresh: f64,
    pub(crate) nesterov: bool,
}

/// s₀ ← β₁ s₀ + (1 − β₁) g, s₁ ← β₂ s₁ + (1 − β₂) g², and s₂ ← max(s₂, s₁) if `amsgrad`;
/// θ ← keep θ − rate s₀/(scale √s₁ + ε), with s₂ in place of s₁ if `amsgrad`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adam {
    pub(crate) rate: f64,
    pub(crate) betas: (f64, f64),
    pub(crate) scale: f64,
    pub(crate) epsilon: f64,
    pub(crate) keep: f64,
    pub(crate) amsgrad: bool,
}

/// s₀ ← α s₀ + (1 − α) g², and if `centered` a mean ← α mean + (1 − α) g; d = g/(√(s₀ − mean²) + ε);
/// θ ← θ − rate d, or with `momentum` b ← momentum b + d and θ ← θ − rate b. Mean and b are what follows s₀, in this order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RmsProp {
    pub(crate) rate: f64,
    pub(crate) alpha: f64,
    pub(crate) epsilon: f64,
    pub(crate) centered: bool,
    pub(crate) momentum: Option<f64>,
}

/// s₀ ← s₀ + g²; θ ← θ − rate g/(√s₀ + ε).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdaGrad {
    pub(crate) rate: f64,
    pub(crate) epsilon: f64,
}

/// s₀ ← ρ s₀ + (1 − ρ) g²; d = √(s₁ + ε)/√(s₀ + ε) g; s₁ ← ρ s₁ + (1 − ρ) d²; θ ← θ − rate d.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adadelta {
    pub(crate) rate: f64,
    pub(crate) rho: f64,
    pub(crate) epsilon: f64,
}

/// s₁ grows, shrinks or stays with sign s₀ sign g, within its bounds, and g is 0 if it shrinks; s₀ ← g; θ ← θ − s₁ sign g.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resilient {
    pub(crate) shrink: f64,
    pub(crate) grow: f64,
    pub(crate) bounds: (f64, f64),
}

impl Rule {
    /// How many slices of state it takes.
    pub(crate) fn buffers(self) -> usize {
        match self {
            Self::Descent(_) => 0,
            Self::Momentum(_) | Self::AdaGrad(_) => 1,
            Self::Adadelta(_) | Self::Resilient(_) => 2,
            Self::Adam(adam) => 2 + usize::from(adam.amsgrad),
            Self::RmsProp(rms) => {
                1 + usize::from(rms.centered) + usize::from(rms.momentum.is_some())
            }
        }
    }
}

/// A rule at one entry: θ and the state after it. What it has no state for is 0, and not stored.
///
/// θ is not finite whenever the state is not, so that a scan of θ finds both. Sums of gradients
/// ensure this by themselves, because θ moves by a multiple of them. Squares do not: dividing by an
/// infinite square gives a step of 0 for ever. So the rules pass an overflow on to θ
/// ([`unless_overflown`]). Step sizes are bounded.
trait Entry<T>: Copy {
    fn at(self, theta: T, g: T, state: [T; BUFFERS]) -> (T, [T; BUFFERS]);
}

impl<T: Scalar> Entry<T> for Descent {
    #[inline(always)]
    fn at(self, theta: T, g: T, state: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        (theta - real::<T>(self.rate) * g, state)
    }
}

impl<T: Scalar> Entry<T> for Momentum {
    #[inline(always)]
    fn at(self, theta: T, g: T, [b, ..]: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        let momentum: T = real(self.momentum);
        let b = momentum * b + real::<T>(self.fresh) * g;
        let d = if self.nesterov { g + momentum * b } else { b };
        (theta - real::<T>(self.rate) * d, [b, T::zero(), T::zero()])
    }
}

impl<T: Scalar> Entry<T> for Adam {
    #[inline(always)]
    fn at(self, theta: T, g: T, [m, v, most]: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        let m = mean(self.betas.0, m, g);
        let v = mean(self.betas.1, v, g * g);
        // Written so that a NaN of v is passed on.
        let most = if self.amsgrad && most >= v { most } else { v };
        let d = m / (most.sqrt() * real(self.scale) + real(self.epsilon));
        let d = unless_overflown(d, most);
        let theta = real::<T>(self.keep) * theta;
        (theta - real::<T>(self.rate) * d, [m, v, most])
    }
}

impl<T: Scalar> Entry<T> for RmsProp {
    #[inline(always)]
    fn at(self, theta: T, g: T, [v, second, third]: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        let v = mean(self.alpha, v, g * g);
        let (center, b) = match self.centered {
            true => (mean(self.alpha, second, g), third),
            false => (T::zero(), second),
        };
        let variance = v - center * center;
        // Of a gradient that does not change, rounding makes it negative.
        let variance = if variance < T::zero() {
            T::zero()
        } else {
            variance
        };
        let d = g / (variance.sqrt() + real(self.epsilon));
        let d = unless_overflown(d, v);
        let d = match self.momentum {
            Some(momentum) => real::<T>(momentum) * b + d,
            None => d,
        };
        let (second, third) = if self.centered { (center, d) } else { (d, d) };
        (theta - real::<T>(self.rate) * d, [v, second, third])
    }
}

impl<T: Scalar> Entry<T> for AdaGrad {
    #[inline(always)]
    fn at(self, theta: T, g: T, [sum, ..]: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        let sum = sum + g * g;
        let d = g / (sum.sqrt() + real(self.epsilon));
        let d = unless_overflown(d, sum);
        (
            theta - real::<T>(self.rate) * d,
            [sum, T::zero(), T::zero()],
        )
    }
}

impl<T: Scalar> Entry<T> for Adadelta {
    #[inline(always)]
    fn at(self, theta: T, g: T, [v, u, _]: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        let epsilon: T = real(self.epsilon);
        let v = mean(self.rho, v, g * g);
        // Two roots: a root of the quotient would underflow.
        let d = (u + epsilon).sqrt() / (v + epsilon).sqrt() * g;
        let u = mean(self.rho, u, d * d);
        let d = unless_overflown(unless_overflown(d, v), u);
        (theta - real::<T>(self.rate) * d, [v, u, T::zero()])
    }
}

impl<T: Scalar> Entry<T> for Resilient {
    #[inline(always)]
    fn at(self, theta: T, g: T, [previous, step, _]: [T; BUFFERS]) -> (T, [T; BUFFERS]) {
        let zero = T::zero();
        let same = (previous > zero) & (g > zero) | (previous < zero) & (g < zero);
        let opposite = (previous > zero) & (g < zero) | (previous < zero) & (g > zero);
        let factor = if same { real(self.grow) } else { T::one() };
        let factor = if opposite { real(self.shrink) } else { factor };
        let (least, most): (T, T) = (real(self.bounds.0), real(self.bounds.1));
        let step = step * factor;
        let step = if step < least { least } else { step };
        let step = if step > most { most } else { step };
        let g = if opposite { zero } else { g };
        // 0 of a 0, and NaN of a NaN.
        let down = if g > zero { step } else { zero * g };
        let down = if g < zero { -step } else { down };
        (theta - down, [g, step, zero])
    }
}

/// Returns d bit for bit if x is finite, else NaN.
#[allow(clippy::eq_op, reason = "∞ − ∞ is NaN")]
#[inline(always)]
fn unless_overflown<T: Scalar>(d: T, x: T) -> T {
    d - (x - x)
}

/// β mean + (1 − β) x.
#[inline(always)]
fn mean<T: Scalar>(beta: f64, mean: T, x: T) -> T {
    real::<T>(beta) * mean + real::<T>(1.0 - beta) * x
}

/// The rule at every entry, with the first N slices of state.
///
/// The slices are arguments of their own, so that the compiler knows them to be disjoint.
#[inline(always)]
fn sweep<T: Scalar, const N: usize>(
    entry: impl Entry<T>,
    theta: &mut [T],
    gradient: &[T],
    a: &mut [T],
    b: &mut [T],
    c: &mut [T],
) {
    let length = theta.len();
    let gradient = &gradient[..length];
    let a = &mut a[..if N > 0 { length } else { 0 }];
    let b = &mut b[..if N > 1 { length } else { 0 }];
    let c = &mut c[..if N > 2 { length } else { 0 }];
    for i in 0..length {
        let mut state = [T::zero(); BUFFERS];
        if N > 0 {
            state[0] = a[i];
        }
        if N > 1 {
            state[1] = b[i];
        }
        if N > 2 {
            state[2] = c[i];
        }
        (theta[i], state) = entry.at(theta[i], gradient[i], state);
        if N > 0 {
            a[i] = state[0];
        }
        if N > 1 {
            b[i] = state[1];
        }
        if N > 2 {
            c[i] = state[2];
        }
    }
}

/// [`sweep`] of the rule that is asked for.
#[inline(always)]
fn sweep_rule<T: Scalar>(
    rule: Rule,
    theta: &mut [T],
    gradient: &[T],
    [a, b, c]: [&mut [T]; BUFFERS],
) {
    match rule {
        Rule::Descent(rule) => sweep::<T, 0>(rule, theta, gradient, a, b, c),
        Rule::Momentum(rule) => sweep::<T, 1>(rule, theta, gradient, a, b, c),
        Rule::Adam(rule) if rule.amsgrad => sweep::<T, 3>(rule, theta, gradient, a, b, c),
        Rule::Adam(rule) => sweep::<T, 2>(rule, theta, gradient, a, b, c),
        Rule::AdaGrad(rule) => sweep::<T, 1>(rule, theta, gradient, a, b, c),
        Rule::Adadelta(rule) => sweep::<T, 2>(rule, theta, gradient, a, b, c),
        Rule::Resilient(rule) => sweep::<T, 2>(rule, theta, gradient, a, b, c),
        Rule::RmsProp(rms) => match Rule::RmsProp(rms).buffers() {
            1 => sweep::<T, 1>(rms, theta, gradient, a, b, c),
            2 => sweep::<T, 2>(rms, theta, gradient, a, b, c),
            _ => sweep::<T, 3>(rms, theta, gradient, a, b, c),
        },
    }
}

/// One step at θ, the first of the slices that are written.
struct Step<'a, R> {
    rule: Rule,
    gradient: &'a [R],
    state: [&'a mut [R]; BUFFERS],
}

impl<R: Real> Kernel<R> for Step<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, theta: &mut [R], _: &mut [R]) {
        sweep_rule(self.rule, theta, self.gradient, self.state);
    }
}

pub(super) fn step_at<R: Real>(
    rule: Rule,
    theta: &mut [R],
    gradient: &[R],
    state: [&mut [R]; BUFFERS],
) {
    let step = Step {
        rule,
        gradient,
        state,
    };
    launch(step, theta, &mut []);
}

/// One step of the rule, for any scalar. The gradient and the slices of state that the rule takes are as long as θ.
pub(crate) fn step<T: Scalar>(
    rule: Rule,
    theta: &mut [T],
    gradient: &[T],
    state: [&mut [T]; BUFFERS],
) {
    assert_eq!(gradient.len(), theta.len());
    for slice in state.iter().take(rule.buffers()) {
        assert_eq!(slice.len(), theta.len());
    }
    match table::<T>() {
        Some(table) => (table.step)(rule, theta, gradient, state),
        None => sweep_rule(rule, theta, gradient, state),
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
