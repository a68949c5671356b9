//! Vectorised loops over `f32` and `f64`: activations, sums, products and quotients of vectors.
//!
//! The functions for activations return false and write nothing for any other scalar, and the
//! caller then uses its plain loop. The result for an entry never depends on its place in the
//! slice.

use super::activation_formulas::{
    Elu, Exponential, FastActivation, Formula, Gelu, GeluTanh, HardTanh, LeakyRelu, Mish, Relu,
    Sigmoid, Silu, Softplus, Softsign, Tanh,
};
use super::level::{Kernel, head_length, launch};
use super::real::Real;
use super::table::table;
use crate::scalar::Scalar;

/// a ← g(a).
struct Values<F>(F);

impl<R: Real, F: Formula<R>> Kernel<R> for Values<F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        let n = head_length::<R>(F::CHEAP, a.len());
        if !F::STAGED || n <= R::WIDTH {
            for a in &mut a[..n] {
                *a = self.0.second::<FMA>(*a, self.0.first::<FMA>(*a)).0;
            }
            return;
        }
        let mut firsts = [R::ZERO; STAGE];
        for a in a[..n].chunks_mut(STAGE) {
            for (first, a) in firsts.iter_mut().zip(&*a) {
                *first = self.0.first::<FMA>(*a);
            }
            for (&first, a) in firsts.iter().zip(a) {
                *a = self.0.second::<FMA>(*a, first).0;
            }
        }
    }
}

/// b ← g′(a), a ← g(a).
struct ValuesAndSlopes<F>(F);

impl<R: Real, F: Formula<R>> Kernel<R> for ValuesAndSlopes<F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let n = head_length::<R>(F::CHEAP, a.len());
        if !F::STAGED || n <= R::WIDTH {
            for (a, b) in a[..n].iter_mut().zip(&mut b[..n]) {
                let (value, slope, _) = self.0.second::<FMA>(*a, self.0.first::<FMA>(*a));
                (*a, *b) = (value, slope);
            }
            return;
        }
        for (a, b) in a[..n].chunks_mut(STAGE).zip(b[..n].chunks_mut(STAGE)) {
            for (first, a) in b.iter_mut().zip(&*a) {
                *first = self.0.first::<FMA>(*a);
            }
            for (a, b) in a.iter_mut().zip(b) {
                let (value, slope, _) = self.0.second::<FMA>(*a, *b);
                (*a, *b) = (value, slope);
            }
        }
    }
}

/// The number of entries for which the first stage runs before the second.
pub(super) const STAGE: usize = 256;

/// The largest [`Real::WIDTH`].
pub(super) const MAX_WIDTH: usize = 16;

/// values ← g(values), and g′ into `slope`. A tail shorter than a register goes through a padded
/// block.
fn sweep<R: Real, F: Formula<R>>(formula: F, values: &mut [R], slope: Option<&mut [R]>) {
    let head = head_length::<R>(F::CHEAP, values.len());
    let (values, tail) = values.split_at_mut(head);
    let mut blocks = [[R::ZERO; MAX_WIDTH]; 2];
    let [block, slopes] = blocks.each_mut().map(|block| &mut block[..R::WIDTH]);
    match slope {
        None => {
            if !values.is_empty() {
                launch(Values(formula), values, &mut []);
            }
            if !tail.is_empty() {
                block[..tail.len()].copy_from_slice(tail);
                launch(Values(formula), block, &mut []);
                tail.copy_from_slice(&block[..tail.len()]);
            }
        }
        Some(slope) => {
            let (slope, slope_tail) = slope.split_at_mut(head);
            if !values.is_empty() {
                launch(ValuesAndSlopes(formula), values, slope);
            }
            if !tail.is_empty() {
                block[..tail.len()].copy_from_slice(tail);
                launch(ValuesAndSlopes(formula), block, slopes);
                tail.copy_from_slice(&block[..tail.len()]);
                slope_tail.copy_from_slice(&slopes[..tail.len()]);
            }
        }
    }
}

/// A task that is generic over the formula of an activation.
pub(super) trait Task<R: Real> {
    fn run<F: Formula<R>>(self, formula: F);
}

/// [`sweep`] as a task.
struct Sweep<'a, R> {
    values: &'a mut [R],
    slope: Option<&'a mut [R]>,
}

impl<R: Real> Task<R> for Sweep<'_, R> {
    fn run<F: Formula<R>>(self, formula: F) {
        sweep(formula, self.values, self.slope);
    }
}

/// Runs a task with the formula of an activation.
pub(super) fn with_formula<R: Real>(activation: FastActivation, task: impl Task<R>) {
    use FastActivation as A;
    match activation {
        A::Sigmoid => task.run(Sigmoid),
        A::Tanh => task.run(Tanh),
        A::Relu => task.run(Relu),
        A::LeakyRelu { slope } => task.run(LeakyRelu {
            slope: R::of(slope),
        }),
        A::Elu { positive, negative } => {
            let (positive, negative) = (R::of(positive), R::of(negative));
            task.run(Elu { positive, negative });
        }
        A::Softplus => task.run(Softplus),
        A::Softsign => task.run(Softsign),
        A::Gelu => task.run(Gelu),
        A::GeluTanh => task.run(GeluTanh),
        A::Silu => task.run(Silu),
        A::Mish => task.run(Mish),
        A::HardTanh => task.run(HardTanh),
        A::Exponential => task.run(Exponential),
    }
}

/// [`activate`] for one precision.
pub(super) fn activate_at<R: Real>(
    activation: FastActivation,
    values: &mut [R],
    slope: Option<&mut [R]>,
) {
    with_formula(activation, Sweep { values, slope });
}

/// Replaces z in `values` by a = g(z), and writes g′(z) to `slope` if there is one.
#[must_use]
pub(crate) fn activate<T: Scalar>(
    activation: FastActivation,
    values: &mut [T],
    slope: Option<&mut [T]>,
) -> bool {
    assert!(
        slope
            .as_ref()
            .is_none_or(|slope| slope.len() == values.len())
    );
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.activate)(activation, values, slope);
    true
}

/// The number of entries that stay in the first-level cache between two loops over them.
const PANEL: usize = 1024;

/// [`apply`] for one precision.
pub(super) fn apply_at<R: Real>(activation: FastActivation, z: &[R], a: &mut [R]) {
    for (z, a) in z.chunks(PANEL).zip(a.chunks_mut(PANEL)) {
        a.copy_from_slice(z);
        activate_at(activation, a, None);
    }
}

/// a = g(z) for slices of equal length.
#[must_use]
pub(crate) fn apply<T: Scalar>(activation: FastActivation, z: &[T], a: &mut [T]) -> bool {
    assert_eq!(z.len(), a.len());
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.apply)(activation, z, a);
    true
}

/// The number of entries whose derivatives are kept on the stack at a time.
pub(super) const BLOCK: usize = 128;

/// [`scale_by_slope`] for one precision.
pub(super) fn scale_by_slope_at<R: Real>(activation: FastActivation, z: &[R], delta: &mut [R]) {
    let (mut values, mut slope) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
    for (z, delta) in z.chunks(BLOCK).zip(delta.chunks_mut(BLOCK)) {
        let (values, slope) = (&mut values[..z.len()], &mut slope[..z.len()]);
        values.copy_from_slice(z);
        activate_at(activation, values, Some(&mut *slope));
        launch(Multiply(slope), delta, &mut []);
    }
}

/// δ ← δ ∘ g′(z) for slices of equal length.
#[must_use]
pub(crate) fn scale_by_slope<T: Scalar>(
    activation: FastActivation,
    z: &[T],
    delta: &mut [T],
) -> bool {
    assert_eq!(z.len(), delta.len());
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.scale_by_slope)(activation, z, delta);
    true
}

/// The largest length at which a plain loop is faster than the dispatch to a level. Both give the
/// same bits.
pub(super) const SHORT: usize = 32;

/// a ← a ∘ self.
struct Multiply<'a, R>(&'a [R]);

impl<R: Real> Kernel<R> for Multiply<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        for (a, &b) in a.iter_mut().zip(self.0) {
            *a *= b;
        }
    }
}

pub(super) fn multiply_at<R: Real>(delta: &mut [R], d: &[R]) {
    launch(Multiply(d), delta, &mut []);
}

/// δ ← δ ∘ d for slices of equal length and any scalar.
pub(crate) fn multiply<T: Scalar>(delta: &mut [T], d: &[T]) {
    assert_eq!(delta.len(), d.len());
    match table::<T>() {
        Some(table) if d.len() > SHORT => (table.multiply)(delta, d),
        _ => delta.iter_mut().zip(d).for_each(|(x, &y)| *x *= y),
    }
}

/// a ← a + self.
struct Add<'a, R>(&'a [R]);

impl<R: Real> Kernel<R> for Add<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        for (a, &b) in a.iter_mut().zip(self.0) {
            *a += b;
        }
    }
}

pub(super) fn add_at<R: Real>(x: &mut [R], y: &[R]) {
    launch(Add(y), x, &mut []);
}

/// x ← x + y for slices of equal length and any scalar.
pub(crate) fn add<T: Scalar>(x: &mut [T], y: &[T]) {
    assert_eq!(x.len(), y.len());
    match table::<T>() {
        Some(table) => (table.add)(x, y),
        None => x.iter_mut().zip(y).for_each(|(x, &y)| *x += y),
    }
}

/// a ← a + self, with the rounding error of a in b.
struct AddExactly<'a, R>(&'a [R]);

impl<R: Real> Kernel<R> for AddExactly<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, sums: &mut [R], lost: &mut [R]) {
        for ((sum, lost), &x) in sums.iter_mut().zip(lost).zip(self.0) {
            let (x, before) = (x + *lost, *sum);
            *sum = before + x;
            let added = *sum - before;
            let rest = (before - (*sum - added)) + (x - added);
            *lost = if rest.size() < R::INFINITY {
                rest
            } else {
                R::ZERO
            };
        }
    }
}

pub(super) fn add_exactly_at<R: Real>(sums: &mut [R], lost: &mut [R], x: &[R]) {
    launch(AddExactly(x), sums, lost);
}

/// sums ← sums + x for slices of equal length and any scalar.
///
/// `lost` holds the rounding errors of the sums, at most half a unit in their last place. Each
/// error is added to the next x, so the error of a sum does not grow with the number of terms
/// (Kahan 1965, doi:10.1145/363707.363723, with the remainder of Knuth's exact addition). A sum
/// that overflows stays infinite.
pub(crate) fn add_exactly<T: Scalar>(sums: &mut [T], lost: &mut [T], x: &[T]) {
    assert!(sums.len() == x.len() && lost.len() == x.len());
    if let Some(table) = table::<T>() {
        return (table.add_exactly)(sums, lost, x);
    }
    for ((sum, lost), &x) in sums.iter_mut().zip(lost).zip(x) {
        let (x, before) = (x + *lost, *sum);
        *sum = before + x;
        let added = *sum - before;
        let rest = (before - (*sum - added)) + (x - added);
        *lost = if rest.is_finite() { rest } else { T::zero() };
    }
}

/// a ← a / divisor. Returns whether all quotients are finite.
struct Divide<R>(R);

impl<R: Real> Kernel<R> for Divide<R> {
    type Output = bool;

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) -> bool {
        let (divisor, inverse) = (self.0, R::ONE / self.0);
        // Then neither the inverse nor the quotient leaves the normal range, except that the
        // quotient may underflow.
        let moderate = FMA && divisor >= R::ONE && divisor <= R::of(1e30);
        let mut finite = true;
        for a in a {
            let quotient = if moderate {
                // Correctly rounded without a division (Markstein 1990, doi:10.1147/rd.341.0111),
                // and within one unit for subnormal quotients. The remainder is NaN if the
                // quotient is not finite.
                let quotient = *a * inverse;
                let remainder = (-quotient).times_plus::<FMA>(divisor, *a);
                let corrected = remainder.times_plus::<FMA>(inverse, quotient);
                if corrected.size() < R::INFINITY {
                    corrected.with_sign_of(quotient)
                } else {
                    quotient
                }
            } else {
                *a / divisor
            };
            *a = quotient;
            finite &= quotient.size() < R::INFINITY;
        }
        finite
    }
}

pub(super) fn divide_at<R: Real>(x: &mut [R], divisor: R) -> bool {
    launch(Divide(divisor), x, &mut [])
}

/// x ← x / divisor for any scalar. Returns whether all quotients are finite.
#[must_use]
pub(crate) fn divide<T: Scalar>(x: &mut [T], divisor: T) -> bool {
    let table = table::<T>();
    if divisor == T::one() && table.is_some() {
        return all_finite(x); // x / 1 is x
    }
    match table {
        Some(table) if x.len() > SHORT => (table.divide)(x, divisor),
        _ => {
            x.iter_mut().for_each(|x| *x /= divisor);
            all_finite(x)
        }
    }
}

/// Returns whether all entries are finite.
pub(super) struct AllFinite<'a, R>(pub(super) &'a [R]);

impl<R: Real> Kernel<R> for AllFinite<'_, R> {
    type Output = bool;

    #[inline(always)]
    fn run<const FMA: bool>(self, _: &mut [R], _: &mut [R]) -> bool {
        // `&` instead of `&&`: a loop with an early exit would not vectorise, and the answer is
        // nearly always true.
        self.0
            .iter()
            .fold(true, |all, x| all & (x.size() < R::INFINITY))
    }
}

pub(super) fn all_finite_at<R: Real>(x: &[R]) -> bool {
    launch(AllFinite(x), &mut [], &mut [])
}

/// Returns whether all entries are finite, for any scalar.
#[must_use]
pub(crate) fn all_finite<T: Scalar>(x: &[T]) -> bool {
    match table::<T>() {
        Some(table) if x.len() > SHORT => (table.all_finite)(x),
        _ => x.iter().all(nalgebra::ComplexField::is_finite),
    }
}

#[cfg(test)]
#[path = "elementwise_tests.rs"]
mod tests;
