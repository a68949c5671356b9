//! Activations of `f32` and `f64`, vectorised for the processor at hand.
//!
//! Each function returns false, with nothing written, for any other scalar: the caller's plain loop is for those. The
//! values of an entry depend on that entry alone, never on its place in the slice.

pub(crate) use super::activations::Function;
use super::activations::{
    Activation, Elu, Exponential, Gelu, GeluTanh, HardTanh, LeakyRelu, Mish, Relu, Sigmoid, Silu,
    Softplus, Softsign, Tanh,
};
use super::compiled::table;
use super::functions::Real;
use super::launch::{Kernel, head_length, launch};
use crate::scalar::Scalar;

/// a ← g(a).
struct Values<A>(A);

impl<R: Real, A: Activation<R>> Kernel<R> for Values<A> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        let n = head_length::<R>(A::CHEAP, a.len());
        if !A::STAGED || n <= R::WIDTH {
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
struct ValuesAndSlopes<A>(A);

impl<R: Real, A: Activation<R>> Kernel<R> for ValuesAndSlopes<A> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let n = head_length::<R>(A::CHEAP, a.len());
        if !A::STAGED || n <= R::WIDTH {
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

/// Entries between the stages of an activation.
pub(super) const STAGE: usize = 256;

/// The most that [`Real::WIDTH`] is.
pub(super) const MAX_WIDTH: usize = 16;

/// values ← g(values), and g′ into `slope`; a tail that fills no register goes through a padded block.
fn sweep<R: Real, A: Activation<R>>(activation: A, values: &mut [R], slope: Option<&mut [R]>) {
    let head = head_length::<R>(A::CHEAP, values.len());
    let (values, tail) = values.split_at_mut(head);
    let mut blocks = [[R::ZERO; MAX_WIDTH]; 2];
    let [block, slopes] = blocks.each_mut().map(|block| &mut block[..R::WIDTH]);
    match slope {
        None => {
            if !values.is_empty() {
                launch(Values(activation), values, &mut []);
            }
            if !tail.is_empty() {
                block[..tail.len()].copy_from_slice(tail);
                launch(Values(activation), block, &mut []);
                tail.copy_from_slice(&block[..tail.len()]);
            }
        }
        Some(slope) => {
            let (slope, slope_tail) = slope.split_at_mut(head);
            if !values.is_empty() {
                launch(ValuesAndSlopes(activation), values, slope);
            }
            if !tail.is_empty() {
                block[..tail.len()].copy_from_slice(tail);
                launch(ValuesAndSlopes(activation), block, slopes);
                tail.copy_from_slice(&block[..tail.len()]);
                slope_tail.copy_from_slice(&slopes[..tail.len()]);
            }
        }
    }
}

/// What is to be done with the activation that a [`Function`] names.
pub(super) trait With<R: Real> {
    fn with<A: Activation<R>>(self, activation: A);
}

/// [`sweep`].
struct Sweep<'a, R>(&'a mut [R], Option<&'a mut [R]>);

impl<R: Real> With<R> for Sweep<'_, R> {
    fn with<A: Activation<R>>(self, activation: A) {
        sweep(activation, self.0, self.1);
    }
}

/// The task with the activation itself.
pub(super) fn with<R: Real>(function: Function, task: impl With<R>) {
    match function {
        Function::Sigmoid => task.with(Sigmoid),
        Function::Tanh => task.with(Tanh),
        Function::Relu => task.with(Relu),
        Function::LeakyRelu { slope } => task.with(LeakyRelu {
            slope: R::of(slope),
        }),
        Function::Elu { positive, negative } => {
            let (positive, negative) = (R::of(positive), R::of(negative));
            task.with(Elu { positive, negative });
        }
        Function::Softplus => task.with(Softplus),
        Function::Softsign => task.with(Softsign),
        Function::Gelu => task.with(Gelu),
        Function::GeluTanh => task.with(GeluTanh),
        Function::Silu => task.with(Silu),
        Function::Mish => task.with(Mish),
        Function::HardTanh => task.with(HardTanh),
        Function::Exponential => task.with(Exponential),
    }
}

/// [`sweep`] of the function that is asked for.
pub(super) fn activate_at<R: Real>(function: Function, values: &mut [R], slope: Option<&mut [R]>) {
    with(function, Sweep(values, slope));
}

/// On entry `values` holds z, on return a = g(z); `slope`, of the same length, gets g′(z) if it is asked for.
#[must_use]
pub(crate) fn activate<T: Scalar>(
    function: Function,
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
    (table.activate)(function, values, slope);
    true
}

/// Entries that stay in the first cache between two loops over them.
const PANEL: usize = 1024;

pub(super) fn apply_at<R: Real>(function: Function, z: &[R], a: &mut [R]) {
    for (z, a) in z.chunks(PANEL).zip(a.chunks_mut(PANEL)) {
        a.copy_from_slice(z);
        activate_at(function, a, None);
    }
}

/// a = g(z), of the same length.
#[must_use]
pub(crate) fn apply<T: Scalar>(function: Function, z: &[T], a: &mut [T]) -> bool {
    assert_eq!(z.len(), a.len());
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.apply)(function, z, a);
    true
}

/// The number of entries whose derivatives are held at a time.
pub(super) const BLOCK: usize = 128;

pub(super) fn scale_by_slope_at<R: Real>(function: Function, z: &[R], delta: &mut [R]) {
    let (mut values, mut slope) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
    for (z, delta) in z.chunks(BLOCK).zip(delta.chunks_mut(BLOCK)) {
        let (values, slope) = (&mut values[..z.len()], &mut slope[..z.len()]);
        values.copy_from_slice(z);
        activate_at(function, values, Some(&mut *slope));
        launch(Multiply(slope), delta, &mut []);
    }
}

/// δ ← δ ∘ g′(z), of the same length.
#[must_use]
pub(crate) fn scale_by_slope<T: Scalar>(function: Function, z: &[T], delta: &mut [T]) -> bool {
    assert_eq!(z.len(), delta.len());
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.scale_by_slope)(function, z, delta);
    true
}

/// Entries up to which a plain loop is done before the instructions are chosen. The bits are the same.
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

/// δ ← δ ∘ d, of the same length and of any scalar.
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

/// x ← x + y, of the same length and of any scalar.
pub(crate) fn add<T: Scalar>(x: &mut [T], y: &[T]) {
    assert_eq!(x.len(), y.len());
    match table::<T>() {
        Some(table) => (table.add)(x, y),
        None => x.iter_mut().zip(y).for_each(|(x, &y)| *x += y),
    }
}

/// a ← a + self, where b holds the rounding error of a.
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

/// sums ← sums + x, of the same length and of any scalar. `lost` holds the rounding errors of the
/// sums, at most half a unit in their last place. It is added to the next x, so the error of a sum
/// does not grow with the number of terms (Kahan 1965, doi:10.1145/363707.363723, with the
/// remainder of Knuth's exact addition). A sum that overflows stays infinite.
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

/// a ← a / divisor, and whether all quotients are finite.
struct Divide<R>(R);

impl<R: Real> Kernel<R> for Divide<R> {
    type Output = bool;

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) -> bool {
        let (divisor, inverse) = (self.0, R::ONE / self.0);
        // Neither the quotient nor the inverse leaves the normal range then, unless the quotient does so downwards.
        let moderate = FMA && divisor >= R::ONE && divisor <= R::of(1e30);
        let mut finite = true;
        for a in a {
            let quotient = if moderate {
                // Exact to the last bit without a division (Markstein 1990, doi:10.1147/rd.341.0111), of subnormal numbers to one unit:
                // corrected by the remainder, which is NaN if the quotient is not finite.
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

/// x ← x / divisor for any scalar, and whether all quotients are finite.
#[must_use]
pub(crate) fn divide<T: Scalar>(x: &mut [T], divisor: T) -> bool {
    let table = table::<T>();
    if divisor == T::one() && table.is_some() {
        return all_finite(x); // nothing to write
    }
    match table {
        Some(table) if x.len() > SHORT => (table.divide)(x, divisor),
        _ => {
            x.iter_mut().for_each(|x| *x /= divisor);
            all_finite(x)
        }
    }
}

/// Whether no entry is infinite or NaN.
pub(super) struct AllFinite<'a, R>(pub(super) &'a [R]);

impl<R: Real> Kernel<R> for AllFinite<'_, R> {
    type Output = bool;

    #[inline(always)]
    fn run<const FMA: bool>(self, _: &mut [R], _: &mut [R]) -> bool {
        // `&` instead of `&&`: a loop with an early exit would not vectorise, and the usual answer is true.
        self.0
            .iter()
            .fold(true, |all, x| all & (x.size() < R::INFINITY))
    }
}

pub(super) fn all_finite_at<R: Real>(x: &[R]) -> bool {
    launch(AllFinite(x), &mut [], &mut [])
}

/// Whether no entry is infinite or NaN, for any scalar.
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
