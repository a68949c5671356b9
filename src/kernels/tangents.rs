//! Second derivatives of the activations of `f32` and `f64`, and what a direction needs of them.

use super::activations::{Activation, Function};
use super::compiled::table;
use super::elementwise::{BLOCK, MAX_WIDTH, SHORT, STAGE, With, with};
use super::functions::Real;
use super::launch::{Kernel, head_length, launch};
use crate::scalar::Scalar;

/// b ← g′(a), self ← g″(a), a ← g(a).
struct Curves<'a, R, A>(A, &'a mut [R]);

impl<R: Real, A: Activation<R>> Kernel<R> for Curves<'_, R, A> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let n = head_length::<R>(A::CHEAP, a.len());
        let (a, b, c) = (&mut a[..n], &mut b[..n], &mut self.1[..n]);
        let panels = a.chunks_mut(STAGE).zip(b.chunks_mut(STAGE));
        for ((a, b), c) in panels.zip(c.chunks_mut(STAGE)) {
            if A::STAGED {
                for (first, a) in b.iter_mut().zip(&*a) {
                    *first = self.0.first::<FMA>(*a);
                }
            }
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                (*a, *b, *c) = self.0.second::<FMA>(*a, *b);
            }
        }
    }
}

/// values ← g(values), g′ into `slope` and g″ into `bend`; a tail that fills no register goes through padded blocks.
fn curve<R: Real, A: Activation<R>>(
    activation: A,
    values: &mut [R],
    slope: &mut [R],
    bend: &mut [R],
) {
    let head = head_length::<R>(A::CHEAP, values.len());
    let (values, tail) = values.split_at_mut(head);
    let (slope, slope_tail) = slope.split_at_mut(head);
    let (bend, bend_tail) = bend.split_at_mut(head);
    if !values.is_empty() {
        launch(Curves(activation, bend), values, slope);
    }
    if !tail.is_empty() {
        let mut blocks = [[R::ZERO; MAX_WIDTH]; 3];
        let [block, slopes, bends] = blocks.each_mut().map(|block| &mut block[..R::WIDTH]);
        block[..tail.len()].copy_from_slice(tail);
        launch(Curves(activation, &mut *bends), block, slopes);
        tail.copy_from_slice(&block[..tail.len()]);
        slope_tail.copy_from_slice(&slopes[..tail.len()]);
        bend_tail.copy_from_slice(&bends[..tail.len()]);
    }
}

/// [`curve`].
struct Curve<'a, R>(&'a mut [R], &'a mut [R], &'a mut [R]);

impl<R: Real> With<R> for Curve<'_, R> {
    fn with<A: Activation<R>>(self, activation: A) {
        curve(activation, self.0, self.1, self.2);
    }
}

/// [`curve`] of the function that is asked for.
pub(super) fn curve_at<R: Real>(
    function: Function,
    values: &mut [R],
    slope: &mut [R],
    bend: &mut [R],
) {
    with(function, Curve(values, slope, bend));
}

/// On entry `values` holds z, on return a = g(z), `slope` g′(z) and `bend` g″(z), all of one length.
#[must_use]
pub(crate) fn activate_with_curvature<T: Scalar>(
    function: Function,
    values: &mut [T],
    slope: &mut [T],
    bend: &mut [T],
) -> bool {
    assert!(slope.len() == values.len() && bend.len() == values.len());
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.curve)(function, values, slope, bend);
    true
}

/// b ← a ∘ g″ and a ← a ∘ g′, of g′ and g″.
struct Tangent<'a, R>(&'a [R], &'a [R]);

impl<R: Real> Kernel<R> for Tangent<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let pairs = self.0.iter().zip(self.1);
        for ((a, b), (&slope, &bend)) in a.iter_mut().zip(b).zip(pairs) {
            *b = bend * *a;
            *a *= slope;
        }
    }
}

pub(super) fn tangent_at<R: Real>(z: &mut [R], change: &mut [R], (slope, bend): (&[R], &[R])) {
    launch(Tangent(slope, bend), z, change);
}

/// ȧ = g′ ∘ ż in place of ż, and `change` = g″ ∘ ż, the derivative of g′; all of one length and of any scalar.
pub(crate) fn tangent<T: Scalar>(z: &mut [T], change: &mut [T], (slope, bend): (&[T], &[T])) {
    assert!(change.len() == z.len() && slope.len() == z.len() && bend.len() == z.len());
    match table::<T>() {
        Some(table) if z.len() > SHORT => (table.tangent)(z, change, (slope, bend)),
        _ => {
            for (((z, change), &slope), &bend) in z.iter_mut().zip(change).zip(slope).zip(bend) {
                *change = bend * *z;
                *z *= slope;
            }
        }
    }
}

/// b ← g′ ∘ b + ġ′ ∘ a and a ← g′ ∘ a, of g′ and its derivative.
struct BackwardTangent<'a, R>(&'a [R], &'a [R]);

impl<R: Real> Kernel<R> for BackwardTangent<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let pairs = self.0.iter().zip(self.1);
        for ((a, b), (&slope, &change)) in a.iter_mut().zip(b).zip(pairs) {
            *b = slope * *b + change * *a;
            *a *= slope;
        }
    }
}

pub(super) fn backward_tangent_at<R: Real>(
    delta: &mut [R],
    delta_tangent: &mut [R],
    (slope, change): (&[R], &[R]),
) {
    launch(BackwardTangent(slope, change), delta, delta_tangent);
}

/// δ̇ ← g′ ∘ δ̇ + ġ′ ∘ δ and δ ← g′ ∘ δ; all of one length and of any scalar.
pub(crate) fn backward_tangent<T: Scalar>(
    delta: &mut [T],
    delta_tangent: &mut [T],
    (slope, change): (&[T], &[T]),
) {
    let len = delta.len();
    assert!(delta_tangent.len() == len && slope.len() == len && change.len() == len);
    match table::<T>() {
        Some(table) if len > SHORT => {
            (table.backward_tangent)(delta, delta_tangent, (slope, change));
        }
        _ => {
            let pairs = slope.iter().zip(change);
            for ((d, dot), (&slope, &change)) in delta.iter_mut().zip(delta_tangent).zip(pairs) {
                *dot = slope * *dot + change * *d;
                *d *= slope;
            }
        }
    }
}

pub(super) fn backward_tangent_from_z_at<R: Real>(
    function: Function,
    (z, z_tangent): (&[R], &[R]),
    delta: &mut [R],
    delta_tangent: &mut [R],
) {
    let mut blocks = [[R::ZERO; BLOCK]; 3];
    let inputs = z.chunks(BLOCK).zip(z_tangent.chunks(BLOCK));
    let outputs = delta.chunks_mut(BLOCK).zip(delta_tangent.chunks_mut(BLOCK));
    for ((z, z_tangent), (delta, delta_tangent)) in inputs.zip(outputs) {
        let [values, slope, bend] = blocks.each_mut().map(|block| &mut block[..z.len()]);
        values.copy_from_slice(z);
        curve_at(function, values, slope, bend);
        for (bend, &moved) in bend.iter_mut().zip(z_tangent) {
            *bend *= moved;
        }
        backward_tangent_at(delta, delta_tangent, (slope, bend));
    }
}

/// [`backward_tangent`] with g′ and ġ′ = g″ ∘ ż computed from z and ż; all of the same length.
#[must_use]
pub(crate) fn backward_tangent_from_z<T: Scalar>(
    function: Function,
    (z, z_tangent): (&[T], &[T]),
    delta: &mut [T],
    delta_tangent: &mut [T],
) -> bool {
    let len = z.len();
    assert!(z_tangent.len() == len && delta.len() == len && delta_tangent.len() == len);
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.backward_tangent_from_z)(function, (z, z_tangent), delta, delta_tangent);
    true
}

#[cfg(test)]
#[path = "tangents_tests.rs"]
mod tests;
