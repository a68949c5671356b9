//! Second derivatives of the activations of `f32` and `f64`, and the loops that propagate a
//! direction through an activation.

use super::activation_formulas::{FastActivation, Formula};
use super::elementwise::{BLOCK, MAX_WIDTH, SHORT, STAGE, Task, with_formula};
use super::level::{Kernel, head_length, launch};
use super::real::Real;
use super::table::table;
use crate::scalar::Scalar;

/// b ← g′(a), bend ← g″(a), a ← g(a).
struct CurveKernel<'a, R, F> {
    formula: F,
    bend: &'a mut [R],
}

impl<R: Real, F: Formula<R>> Kernel<R> for CurveKernel<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let n = head_length::<R>(F::CHEAP, a.len());
        let (a, b, c) = (&mut a[..n], &mut b[..n], &mut self.bend[..n]);
        let panels = a.chunks_mut(STAGE).zip(b.chunks_mut(STAGE));
        for ((a, b), c) in panels.zip(c.chunks_mut(STAGE)) {
            if F::STAGED {
                for (first, a) in b.iter_mut().zip(&*a) {
                    *first = self.formula.first::<FMA>(*a);
                }
            }
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                (*a, *b, *c) = self.formula.second::<FMA>(*a, *b);
            }
        }
    }
}

/// values ← g(values), g′ into `slope` and g″ into `bend`. A tail shorter than a register goes
/// through padded blocks.
fn curve<R: Real, F: Formula<R>>(formula: F, values: &mut [R], slope: &mut [R], bend: &mut [R]) {
    let head = head_length::<R>(F::CHEAP, values.len());
    let (values, tail) = values.split_at_mut(head);
    let (slope, slope_tail) = slope.split_at_mut(head);
    let (bend, bend_tail) = bend.split_at_mut(head);
    if !values.is_empty() {
        launch(CurveKernel { formula, bend }, values, slope);
    }
    if !tail.is_empty() {
        let mut blocks = [[R::ZERO; MAX_WIDTH]; 3];
        let [block, slopes, bends] = blocks.each_mut().map(|block| &mut block[..R::WIDTH]);
        block[..tail.len()].copy_from_slice(tail);
        let bend = &mut *bends;
        launch(CurveKernel { formula, bend }, block, slopes);
        tail.copy_from_slice(&block[..tail.len()]);
        slope_tail.copy_from_slice(&slopes[..tail.len()]);
        bend_tail.copy_from_slice(&bends[..tail.len()]);
    }
}

/// [`curve`] as a task.
struct Curve<'a, R> {
    values: &'a mut [R],
    slope: &'a mut [R],
    bend: &'a mut [R],
}

impl<R: Real> Task<R> for Curve<'_, R> {
    fn run<F: Formula<R>>(self, formula: F) {
        curve(formula, self.values, self.slope, self.bend);
    }
}

/// [`activate_with_curvature`] for one precision.
pub(super) fn curve_at<R: Real>(
    activation: FastActivation,
    values: &mut [R],
    slope: &mut [R],
    bend: &mut [R],
) {
    let task = Curve {
        values,
        slope,
        bend,
    };
    with_formula(activation, task);
}

/// Replaces z in `values` by a = g(z), and writes g′(z) to `slope` and g″(z) to `bend`. All slices
/// have equal lengths.
#[must_use]
pub(crate) fn activate_with_curvature<T: Scalar>(
    activation: FastActivation,
    values: &mut [T],
    slope: &mut [T],
    bend: &mut [T],
) -> bool {
    assert!(slope.len() == values.len() && bend.len() == values.len());
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.curve)(activation, values, slope, bend);
    true
}

/// b ← a ∘ g″ and a ← a ∘ g′.
struct Tangent<'a, R> {
    slope: &'a [R],
    bend: &'a [R],
}

impl<R: Real> Kernel<R> for Tangent<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let pairs = self.slope.iter().zip(self.bend);
        for ((a, b), (&slope, &bend)) in a.iter_mut().zip(b).zip(pairs) {
            *b = bend * *a;
            *a *= slope;
        }
    }
}

/// [`tangent`] for one precision.
pub(super) fn tangent_at<R: Real>(z: &mut [R], change: &mut [R], slope: &[R], bend: &[R]) {
    launch(Tangent { slope, bend }, z, change);
}

/// Replaces ż in `z` by ȧ = g′ ∘ ż, and writes g″ ∘ ż, the change of g′, to `change`.
///
/// `slope` is g′ and `bend` is g″. All slices have equal lengths; any scalar is allowed.
pub(crate) fn tangent<T: Scalar>(z: &mut [T], change: &mut [T], slope: &[T], bend: &[T]) {
    assert!(change.len() == z.len() && slope.len() == z.len() && bend.len() == z.len());
    match table::<T>() {
        Some(table) if z.len() > SHORT => (table.tangent)(z, change, slope, bend),
        _ => {
            for (((z, change), &slope), &bend) in z.iter_mut().zip(change).zip(slope).zip(bend) {
                *change = bend * *z;
                *z *= slope;
            }
        }
    }
}

/// b ← g′ ∘ b + ġ′ ∘ a and a ← g′ ∘ a, where `change` is ġ′.
struct BackwardTangent<'a, R> {
    slope: &'a [R],
    change: &'a [R],
}

impl<R: Real> Kernel<R> for BackwardTangent<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) {
        let pairs = self.slope.iter().zip(self.change);
        for ((a, b), (&slope, &change)) in a.iter_mut().zip(b).zip(pairs) {
            *b = slope * *b + change * *a;
            *a *= slope;
        }
    }
}

/// [`backward_tangent`] for one precision.
pub(super) fn backward_tangent_at<R: Real>(
    delta: &mut [R],
    delta_tangent: &mut [R],
    slope: &[R],
    change: &[R],
) {
    launch(BackwardTangent { slope, change }, delta, delta_tangent);
}

/// δ̇ ← g′ ∘ δ̇ + ġ′ ∘ δ and δ ← g′ ∘ δ, where `slope` is g′ and `change` is ġ′.
///
/// All slices have equal lengths; any scalar is allowed.
pub(crate) fn backward_tangent<T: Scalar>(
    delta: &mut [T],
    delta_tangent: &mut [T],
    slope: &[T],
    change: &[T],
) {
    let len = delta.len();
    assert!(delta_tangent.len() == len && slope.len() == len && change.len() == len);
    match table::<T>() {
        Some(table) if len > SHORT => {
            (table.backward_tangent)(delta, delta_tangent, slope, change);
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

/// [`backward_tangent_from_z`] for one precision.
pub(super) fn backward_tangent_from_z_at<R: Real>(
    activation: FastActivation,
    z: &[R],
    z_tangent: &[R],
    delta: &mut [R],
    delta_tangent: &mut [R],
) {
    let mut blocks = [[R::ZERO; BLOCK]; 3];
    let inputs = z.chunks(BLOCK).zip(z_tangent.chunks(BLOCK));
    let outputs = delta.chunks_mut(BLOCK).zip(delta_tangent.chunks_mut(BLOCK));
    for ((z, z_tangent), (delta, delta_tangent)) in inputs.zip(outputs) {
        let [values, slope, bend] = blocks.each_mut().map(|block| &mut block[..z.len()]);
        values.copy_from_slice(z);
        curve_at(activation, values, slope, bend);
        for (bend, &moved) in bend.iter_mut().zip(z_tangent) {
            *bend *= moved;
        }
        backward_tangent_at(delta, delta_tangent, slope, bend);
    }
}

/// [`backward_tangent`] with g′ and ġ′ = g″ ∘ ż computed from z and ż. All slices have equal
/// lengths.
#[must_use]
pub(crate) fn backward_tangent_from_z<T: Scalar>(
    activation: FastActivation,
    z: &[T],
    z_tangent: &[T],
    delta: &mut [T],
    delta_tangent: &mut [T],
) -> bool {
    let len = z.len();
    assert!(z_tangent.len() == len && delta.len() == len && delta_tangent.len() == len);
    let Some(table) = table::<T>() else {
        return false;
    };
    (table.backward_tangent_from_z)(activation, z, z_tangent, delta, delta_tangent);
    true
}

#[cfg(test)]
#[path = "tangents_tests.rs"]
mod tests;
