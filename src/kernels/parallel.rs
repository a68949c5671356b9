//! Threads: the current rayon pool, with the feature `rayon`.
//!
//! Results never depend on the number of threads. How batches are cut depends only on the shapes,
//! and each entry of a product is one sum in one order.

#[cfg(feature = "rayon")]
thread_local! {
    /// Whether this thread computes one part of a job that keeps the other threads busy.
    static SERIAL: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Returns how many threads may work at the same time.
///
/// A call from outside a pool starts the global one, so call it only where there is plenty of work.
#[cfg(feature = "rayon")]
pub(crate) fn threads() -> usize {
    if SERIAL.get() {
        return 1;
    }
    rayon::current_num_threads()
}

/// Runs `f` with all its products and loops on this thread only.
#[cfg(feature = "rayon")]
pub(crate) fn serially<A>(f: impl FnOnce() -> A) -> A {
    /// Restores the flag, even if a custom layer panics.
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            SERIAL.set(self.0);
        }
    }
    let _reset = Reset(SERIAL.replace(true));
    f()
}

/// Runs `f` directly.
#[cfg(not(feature = "rayon"))]
pub(crate) fn serially<A>(f: impl FnOnce() -> A) -> A {
    f()
}

/// Returns how many threads may work at the same time.
#[cfg(not(feature = "rayon"))]
pub(crate) fn threads() -> usize {
    1
}

/// Returns whether a pass over this many examples and parameters takes longer than waking another
/// thread. No smaller pass has a product that is shared out.
pub(crate) fn is_worth_a_thread(examples: usize, parameters: usize) -> bool {
    examples.saturating_mul(parameters) >= 1_000_000
}

/// Runs both closures, at the same time if a thread is free.
#[cfg(feature = "rayon")]
pub(crate) fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    // rayon's part is compiled once, not again for each pair of closures.
    fn run(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
        rayon::join(a, b);
    }
    let (mut a, mut b) = (Some(a), Some(b));
    let (mut first, mut second) = (None, None);
    let mut run_a = || first = a.take().map(|a| a());
    let mut run_b = || second = b.take().map(|b| b());
    run(&mut run_a, &mut run_b);
    match (first, second) {
        (Some(first), Some(second)) => (first, second),
        _ => unreachable!("`rayon::join` runs both"),
    }
}

/// Runs both closures in sequence.
#[cfg(not(feature = "rayon"))]
pub(crate) fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    (a(), b())
}

/// Runs `f` on a thread of the pool.
///
/// Entering the pool costs a few microseconds. A large computation pays this cost once, instead of
/// at each `join`.
#[cfg(feature = "rayon")]
pub(crate) fn enter<A: Send>(f: impl FnOnce() -> A + Send) -> A {
    if rayon::current_thread_index().is_some() || rayon::current_num_threads() == 1 {
        return f();
    }
    join(f, || ()).0
}

/// Runs `f` directly.
#[cfg(not(feature = "rayon"))]
pub(crate) fn enter<A: Send>(f: impl FnOnce() -> A + Send) -> A {
    f()
}

/// The smallest length at which an elementwise loop is shared out.
const SHARED: usize = 1 << 17;

/// Runs an elementwise loop `f`, which writes the slices `to` and reads the slices `from`.
///
/// All slices have equal lengths or are empty. Long ones are halved and shared out over threads,
/// which does not change the bits of an elementwise loop.
#[inline]
pub(crate) fn elementwise<T: Send + Sync, const W: usize, const N: usize>(
    to: [&mut [T]; W],
    from: [&[T]; N],
    f: &(impl Fn([&mut [T]; W], [&[T]; N]) + Sync),
) {
    let len = to.first().map_or(0, |to| to.len());
    if len < SHARED || threads() == 1 {
        f(to, from);
    } else {
        elementwise_halves(to, from, f);
    }
}

/// Runs [`elementwise`] on both halves at the same time.
fn elementwise_halves<T: Send + Sync, const W: usize, const N: usize>(
    to: [&mut [T]; W],
    from: [&[T]; N],
    f: &(impl Fn([&mut [T]; W], [&[T]; N]) + Sync),
) {
    let len = to.first().map_or(0, |to| to.len());
    let half = (len / 2).next_multiple_of(64);
    let mut to = to.map(|to| to.split_at_mut(half.min(to.len())));
    let from = from.map(|from| from.split_at(half.min(from.len())));
    let first = to.each_mut().map(|to| std::mem::take(&mut to.0));
    let second = to.map(|to| to.1);
    join(
        || elementwise(first, from.map(|from| from.0), f),
        || elementwise(second, from.map(|from| from.1), f),
    );
}
