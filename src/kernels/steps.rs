//! The loop over the entries of θ in which the rules of the optimisers run. It is the same for
//! every scalar, and is compiled for each level.
//!
//! No multiplication is fused with an addition, so an entry has the same bits at every level and in
//! the plain loop.

use super::level::{Kernel, launch};
use super::real::Real;
use super::table::is;
use crate::scalar::{Scalar, real};

/// The largest number of buffers in the state of a rule.
pub(crate) const BUFFERS: usize = 3;

/// One step of an optimiser. Constants are `f64`, and rounded to the scalar once.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The number of the step, from 1.
    pub(crate) number: u64,
    /// η, the learning rate times the factor of this step.
    pub(crate) rate: f64,
    /// The part of θ that weight decay keeps: 1 without decay.
    pub(crate) keep: f64,
}

/// Entries of θ, of ∇J, and of the state. A rule uses the first few slices of the state, which are
/// as long as θ.
#[derive(Debug)]
pub struct Entries<'a, T> {
    pub(crate) theta: &'a mut [T],
    pub(crate) gradient: &'a [T],
    pub(crate) state: [&'a mut [T]; BUFFERS],
}

/// How a rule updates an entry.
///
/// θ must become non-finite whenever the state does, so that a scan of θ finds both. Sums of
/// gradients ensure this on their own, because θ moves by a multiple of them. Squares do not: an
/// infinite square gives a step of 0 forever. The rules therefore propagate an overflow to θ with
/// [`unless_overflown`].
pub trait Update: Copy + 'static {
    /// Computes the constants of the step, and updates [each](Entries::each) entry.
    fn update<T: Scalar>(self, step: Step, entries: Entries<'_, T>);

    /// Returns the update as it was compiled with this crate. Implementations return a `static`, so
    /// that it is not compiled again in every crate that uses an optimiser.
    fn compiled() -> &'static Compiled<Self>;
}

impl<T: Scalar> Entries<'_, T> {
    /// Sets every entry of θ to `update(keep θ, g, state)`, which writes the first N slices of the
    /// state. The others are read as 0. The closure owns its constants (`'static`), because the
    /// loop does not vectorise with borrowed ones.
    #[inline(always)]
    pub(crate) fn each<const N: usize>(
        self,
        step: Step,
        update: impl Fn(T, T, &mut [T; BUFFERS]) -> T + 'static,
    ) {
        let [a, b, c] = self.state;
        each::<T, N>(real(step.keep), update, self.theta, self.gradient, a, b, c);
    }
}

/// [`Entries::each`] with the slices as separate arguments, so that the compiler can assume that
/// they are disjoint.
#[inline(always)]
fn each<T: Scalar, const N: usize>(
    keep: T,
    update: impl Fn(T, T, &mut [T; BUFFERS]) -> T,
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
        theta[i] = update(keep * theta[i], gradient[i], &mut state);
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

/// Returns d bit for bit if x is finite, otherwise NaN.
#[allow(clippy::eq_op, reason = "∞ − ∞ is NaN")]
#[inline(always)]
pub(crate) fn unless_overflown<T: Scalar>(d: T, x: T) -> T {
    d - (x - x)
}

/// Returns β mean + (1 − β) x.
#[inline(always)]
pub(crate) fn mean<T: Scalar>(beta: f64, mean: T, x: T) -> T {
    real::<T>(beta) * mean + real::<T>(1.0 - beta) * x
}

/// The update of a rule, compiled for `f32` and `f64`.
#[derive(Debug)]
pub struct Compiled<U> {
    f32: fn(U, Step, Entries<'_, f32>),
    f64: fn(U, Step, Entries<'_, f64>),
}

impl<U: Update> Compiled<U> {
    pub(crate) const fn new() -> Self {
        Self {
            f32: update_at::<f32, U>,
            f64: update_at::<f64, U>,
        }
    }

    /// Returns the update for T; `None` for any other scalar.
    fn of<T: Scalar>(&self) -> Option<fn(U, Step, Entries<'_, T>)> {
        // SAFETY: the types are the same.
        unsafe {
            if is::<T, f32>() {
                Some(*(&raw const self.f32).cast())
            } else if is::<T, f64>() {
                Some(*(&raw const self.f64).cast())
            } else {
                None
            }
        }
    }
}

/// An update of θ, the first of the slices that are written.
struct Launched<'a, R, U> {
    update: U,
    step: Step,
    gradient: &'a [R],
    state: [&'a mut [R]; BUFFERS],
}

impl<R: Real, U: Update> Kernel<R> for Launched<'_, R, U> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, theta: &mut [R], _: &mut [R]) {
        let entries = Entries {
            theta,
            gradient: self.gradient,
            state: self.state,
        };
        self.update.update(self.step, entries);
    }
}

fn update_at<R: Real, U: Update>(update: U, step: Step, entries: Entries<'_, R>) {
    let kernel = Launched {
        update,
        step,
        gradient: entries.gradient,
        state: entries.state,
    };
    launch(kernel, entries.theta, &mut []);
}

/// Takes one step, for any scalar.
pub(crate) fn step<T: Scalar, U: Update>(update: U, step: Step, entries: Entries<'_, T>) {
    match U::compiled().of::<T>() {
        Some(compiled) => compiled(update, step, entries),
        None => update.update(step, entries),
    }
}
