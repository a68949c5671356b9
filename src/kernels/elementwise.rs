//! Activations of `f32` and `f64`, vectorised for the processor at hand.
//!
//! Each function returns false, with nothing written, for any other scalar: the caller's plain loop is for those. The
//! values of an entry depend on that entry alone, never on its place in the slice.

pub(crate) use super::activations::Function;
use super::activations::{
    Activation, Elu, Exponential, GeluTanh, HardTanh, LeakyRelu, Mish, Relu, Sigmoid, Silu,
    Softplus, Softsign, Tanh,
};
use super::cast::{cast, cast_mut};
use super::compiled::{F32, F64};
use super::functions::Real;
use super::launch::{Kernel, launch, whole_registers};
use super::level::{Level, level};
use crate::scalar::Scalar;

/// a ← g(a).
struct Values<A>(A);

impl<R: Real, A: Activation<R>> Kernel<R> for Values<A> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        let n = head_length::<R, A>(a.len());
        for a in &mut a[..n] {
            *a = self.0.at::<FMA>(*a).0;
        }
    }
}

/// b ← g′(a), a ← g(a).
struct ValuesAndSlopes<A>(A);

impl<R: Real, A: Activation<R>> Kernel<R> for ValuesAndSlopes<A> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let n = head_length::<R, A>(a.len());
        for (a, b) in a[..n].iter_mut().zip(&mut b[..n]) {
            (*a, *b) = self.0.at::<FMA>(*a);
        }
    }
}

/// How many of the entries a loop does by itself; the tail after them goes through a padded block.
#[inline(always)]
fn head_length<R: Real, A: Activation<R>>(length: usize) -> usize {
    if A::CHEAP {
        length
    } else {
        whole_registers::<R>(length)
    }
}

/// The most that [`Real::WIDTH`] is.
pub(super) const MAX_WIDTH: usize = 16;

/// values ← g(values), and g′ into `slope`; a tail that fills no register goes through a padded block.
fn sweep<R: Real, A: Activation<R>>(
    level: Level,
    activation: A,
    values: &mut [R],
    slope: Option<&mut [R]>,
) {
    let head = head_length::<R, A>(values.len());
    let (values, tail) = values.split_at_mut(head);
    let mut blocks = [[R::ZERO; MAX_WIDTH]; 2];
    let [block, slopes] = blocks.each_mut().map(|block| &mut block[..R::WIDTH]);
    match slope {
        None => {
            if !values.is_empty() {
                launch(level, Values(activation), values, &mut []);
            }
            if !tail.is_empty() {
                block[..tail.len()].copy_from_slice(tail);
                launch(level, Values(activation), block, &mut []);
                tail.copy_from_slice(&block[..tail.len()]);
            }
        }
        Some(slope) => {
            let (slope, slope_tail) = slope.split_at_mut(head);
            if !values.is_empty() {
                launch(level, ValuesAndSlopes(activation), values, slope);
            }
            if !tail.is_empty() {
                block[..tail.len()].copy_from_slice(tail);
                launch(level, ValuesAndSlopes(activation), block, slopes);
                tail.copy_from_slice(&block[..tail.len()]);
                slope_tail.copy_from_slice(&slopes[..tail.len()]);
            }
        }
    }
}

/// [`sweep`] of the function that is asked for.
pub(super) fn activate_at<R: Real>(
    level: Level,
    function: Function,
    values: &mut [R],
    slope: Option<&mut [R]>,
) {
    match function {
        Function::Sigmoid => sweep(level, Sigmoid, values, slope),
        Function::Tanh => sweep(level, Tanh, values, slope),
        Function::Relu => sweep(level, Relu, values, slope),
        Function::LeakyRelu { slope: factor } => {
            let leaky = LeakyRelu {
                slope: R::of(factor),
            };
            sweep(level, leaky, values, slope);
        }
        Function::Elu { positive, negative } => {
            let (positive, negative) = (R::of(positive), R::of(negative));
            sweep(level, Elu { positive, negative }, values, slope);
        }
        Function::Softplus => sweep(level, Softplus, values, slope),
        Function::Softsign => sweep(level, Softsign, values, slope),
        Function::GeluTanh => sweep(level, GeluTanh, values, slope),
        Function::Silu => sweep(level, Silu, values, slope),
        Function::Mish => sweep(level, Mish, values, slope),
        Function::HardTanh => sweep(level, HardTanh, values, slope),
        Function::Exponential => sweep(level, Exponential, values, slope),
    }
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
    if let Some(values) = cast_mut::<T, f32>(values) {
        (F32.activate)(level(), function, values, slope.and_then(cast_mut));
        return true;
    }
    if let Some(values) = cast_mut::<T, f64>(values) {
        (F64.activate)(level(), function, values, slope.and_then(cast_mut));
        return true;
    }
    false
}

/// Entries that stay in the first cache between two loops over them.
const PANEL: usize = 1024;

pub(super) fn apply_at<R: Real>(level: Level, function: Function, z: &[R], a: &mut [R]) {
    for (z, a) in z.chunks(PANEL).zip(a.chunks_mut(PANEL)) {
        a.copy_from_slice(z);
        activate_at(level, function, a, None);
    }
}

/// a = g(z), of the same length.
#[must_use]
pub(crate) fn apply<T: Scalar>(function: Function, z: &[T], a: &mut [T]) -> bool {
    assert_eq!(z.len(), a.len());
    if let (Some(z), Some(a)) = (cast::<T, f32>(z), cast_mut::<T, f32>(a)) {
        (F32.apply)(level(), function, z, a);
        return true;
    }
    if let (Some(z), Some(a)) = (cast::<T, f64>(z), cast_mut::<T, f64>(a)) {
        (F64.apply)(level(), function, z, a);
        return true;
    }
    false
}

pub(super) fn scale_by_slope_at<R: Real>(
    level: Level,
    function: Function,
    z: &[R],
    delta: &mut [R],
) {
    const BLOCK: usize = 128;
    let (mut values, mut slope) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
    for (z, delta) in z.chunks(BLOCK).zip(delta.chunks_mut(BLOCK)) {
        let (values, slope) = (&mut values[..z.len()], &mut slope[..z.len()]);
        values.copy_from_slice(z);
        activate_at(level, function, values, Some(&mut *slope));
        launch(level, Multiply(slope), delta, &mut []);
    }
}

/// δ ← δ ∘ g′(z), of the same length.
#[must_use]
pub(crate) fn scale_by_slope<T: Scalar>(function: Function, z: &[T], delta: &mut [T]) -> bool {
    assert_eq!(z.len(), delta.len());
    if let (Some(z), Some(delta)) = (cast::<T, f32>(z), cast_mut::<T, f32>(delta)) {
        (F32.scale_by_slope)(level(), function, z, delta);
        return true;
    }
    if let (Some(z), Some(delta)) = (cast::<T, f64>(z), cast_mut::<T, f64>(delta)) {
        (F64.scale_by_slope)(level(), function, z, delta);
        return true;
    }
    false
}

/// Entries up to which a plain loop is done before the instructions are chosen. The bits are the same.
const SHORT: usize = 32;

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

pub(super) fn multiply_at<R: Real>(level: Level, delta: &mut [R], d: &[R]) {
    launch(level, Multiply(d), delta, &mut []);
}

/// δ ← δ ∘ d, of the same length and of any scalar.
pub(crate) fn multiply<T: Scalar>(delta: &mut [T], d: &[T]) {
    assert_eq!(delta.len(), d.len());
    if delta.len() <= SHORT {
        return delta.iter_mut().zip(d).for_each(|(x, &y)| *x *= y);
    }
    if let (Some(delta), Some(d)) = (cast_mut::<T, f32>(delta), cast::<T, f32>(d)) {
        return (F32.multiply)(level(), delta, d);
    }
    if let (Some(delta), Some(d)) = (cast_mut::<T, f64>(delta), cast::<T, f64>(d)) {
        return (F64.multiply)(level(), delta, d);
    }
    for (delta, &d) in delta.iter_mut().zip(d) {
        *delta *= d;
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

pub(super) fn add_at<R: Real>(level: Level, x: &mut [R], y: &[R]) {
    launch(level, Add(y), x, &mut []);
}

/// x ← x + y, of the same length and of any scalar.
pub(crate) fn add<T: Scalar>(x: &mut [T], y: &[T]) {
    assert_eq!(x.len(), y.len());
    if let (Some(x), Some(y)) = (cast_mut::<T, f32>(x), cast::<T, f32>(y)) {
        return (F32.add)(level(), x, y);
    }
    if let (Some(x), Some(y)) = (cast_mut::<T, f64>(x), cast::<T, f64>(y)) {
        return (F64.add)(level(), x, y);
    }
    for (x, &y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// a ← a / divisor, and whether all quotients are finite.
struct Divide<R>(R);

impl<R: Real> Kernel<R> for Divide<R> {
    type Output = bool;

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) -> bool {
        let (divisor, inverse) = (self.0, R::ONE / self.0);
        let mut finite = true;
        for a in a {
            let quotient = if FMA {
                // Exact to the last bit without a division (Markstein 1990, doi:10.1147/rd.341.0111): corrected by the remainder,
                // which is NaN if the quotient is not finite.
                let quotient = *a * inverse;
                let remainder = (-quotient).times_plus::<FMA>(divisor, *a);
                let corrected = remainder.times_plus::<FMA>(inverse, quotient);
                if corrected.size() < R::INFINITY {
                    corrected
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

pub(super) fn divide_at<R: Real>(level: Level, x: &mut [R], divisor: R) -> bool {
    launch(level, Divide(divisor), x, &mut [])
}

/// x ← x / divisor for any scalar, and whether all quotients are finite.
#[must_use]
pub(crate) fn divide<T: Scalar>(x: &mut [T], divisor: T) -> bool {
    if divisor == T::one() && super::is_fast::<T>() {
        return all_finite(x); // nothing to write
    }
    if x.len() > SHORT {
        if let (Some(x), Some(&[divisor])) = (cast_mut::<T, f32>(x), cast::<T, f32>(&[divisor])) {
            return (F32.divide)(level(), x, divisor);
        }
        if let (Some(x), Some(&[divisor])) = (cast_mut::<T, f64>(x), cast::<T, f64>(&[divisor])) {
            return (F64.divide)(level(), x, divisor);
        }
    }
    x.iter_mut().for_each(|x| *x /= divisor);
    all_finite(x)
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

pub(super) fn all_finite_at<R: Real>(level: Level, x: &[R]) -> bool {
    launch(level, AllFinite(x), &mut [], &mut [])
}

/// Whether no entry is infinite or NaN, for any scalar.
#[must_use]
pub(crate) fn all_finite<T: Scalar>(x: &[T]) -> bool {
    if x.len() <= SHORT {
        return x.iter().all(nalgebra::ComplexField::is_finite);
    }
    if let Some(x) = cast::<T, f32>(x) {
        return (F32.all_finite)(level(), x);
    }
    if let Some(x) = cast::<T, f64>(x) {
        return (F64.all_finite)(level(), x);
    }
    x.iter().all(nalgebra::ComplexField::is_finite)
}

#[cfg(test)]
#[path = "elementwise_tests.rs"]
mod tests;
