//! Threads: the current rayon pool, if the crate was built with it.
//!
//! What is computed never depends on the threads, only who computes it: batches are cut by their shapes, and each entry of a
//! product is one sum in one order.

#[cfg(feature = "rayon")]
thread_local! {
    /// Whether the threads have enough to do with what this one is a part of.
    static SERIAL: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// How many threads may work at the same time. Asking from outside a pool starts the global one: ask only where work is plenty.
#[cfg(feature = "rayon")]
pub(crate) fn threads() -> usize {
    if SERIAL.get() {
        return 1;
    }
    rayon::current_num_threads()
}

/// `f` with all its products and loops on this thread alone.
#[cfg(feature = "rayon")]
pub(crate) fn serially<A>(f: impl FnOnce() -> A) -> A {
    /// Back to what it was, even if a layer of a user panics.
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            SERIAL.set(self.0);
        }
    }
    let _reset = Reset(SERIAL.replace(true));
    f()
}

/// `f` itself.
#[cfg(not(feature = "rayon"))]
pub(crate) fn serially<A>(f: impl FnOnce() -> A) -> A {
    f()
}

/// How many threads may work at the same time.
#[cfg(not(feature = "rayon"))]
pub(crate) fn threads() -> usize {
    1
}

/// Whether a pass of so many examples through so many parameters takes longer than waking another thread. No smaller one has a
/// product that is shared out.
pub(crate) fn is_worth_a_thread(examples: usize, parameters: usize) -> bool {
    examples.saturating_mul(parameters) >= 1_000_000
}

/// Both results, computed at the same time where a thread is free.
#[cfg(feature = "rayon")]
pub(crate) fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(a, b)
}

/// Both results, one after the other.
#[cfg(not(feature = "rayon"))]
pub(crate) fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    (a(), b())
}

/// `f` on a thread of the pool: entering costs some microseconds, which one large computation pays once, not at each `join`.
#[cfg(feature = "rayon")]
pub(crate) fn enter<A: Send>(f: impl FnOnce() -> A + Send) -> A {
    if rayon::current_thread_index().is_some() || rayon::current_num_threads() == 1 {
        return f();
    }
    rayon::join(f, || ()).0
}

/// `f` itself.
#[cfg(not(feature = "rayon"))]
pub(crate) fn enter<A: Send>(f: impl FnOnce() -> A + Send) -> A {
    f()
}

/// Entries of a slice from which on an elementwise loop is shared out.
const SHARED: usize = 1 << 17;

/// `f` on slices that are written and slices that are read, all of one length or empty, cut in two where they are long: an elementwise loop
/// has the same bits wherever it is cut.
#[inline]
pub(crate) fn elementwise<T: Send + Sync, const W: usize, const N: usize>(
    to: [&mut [T]; W],
    of: [&[T]; N],
    f: &(impl Fn([&mut [T]; W], [&[T]; N]) + Sync),
) {
    let len = to.first().map_or(0, |to| to.len());
    match len < SHARED || threads() == 1 {
        true => f(to, of),
        false => halves(to, of, f),
    }
}

/// [`elementwise`] on both halves at the same time.
fn halves<T: Send + Sync, const W: usize, const N: usize>(
    to: [&mut [T]; W],
    of: [&[T]; N],
    f: &(impl Fn([&mut [T]; W], [&[T]; N]) + Sync),
) {
    let len = to.first().map_or(0, |to| to.len());
    let half = (len / 2).next_multiple_of(64);
    let mut to = to.map(|to| to.split_at_mut(half.min(to.len())));
    let of = of.map(|of| of.split_at(half.min(of.len())));
    let first = to.each_mut().map(|to| std::mem::take(&mut to.0));
    let second = to.map(|to| to.1);
    join(
        || elementwise(first, of.map(|of| of.0), f),
        || elementwise(second, of.map(|of| of.1), f),
    );
}
