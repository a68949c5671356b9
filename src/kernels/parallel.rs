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

/// `f` on the slices, cut in two where they are long; an elementwise loop has the same bits wherever it is cut.
pub(crate) fn elementwise<T: Send + Sync>(
    x: &mut [T],
    y: &[T],
    f: &(impl Fn(&mut [T], &[T]) + Sync),
) {
    if x.len() < SHARED || y.len() != x.len() || threads() == 1 {
        return f(x, y);
    }
    let half = (x.len() / 2).next_multiple_of(64);
    let ((x0, x1), (y0, y1)) = (x.split_at_mut(half), y.split_at(half));
    join(|| elementwise(x0, y0, f), || elementwise(x1, y1, f));
}

/// As [`elementwise`], with two slices to be written; the second is as long as the first, or empty.
pub(crate) fn elementwise_pair<T: Send>(
    x: &mut [T],
    y: &mut [T],
    f: &(impl Fn(&mut [T], &mut [T]) + Sync),
) {
    if x.len() < SHARED || threads() == 1 {
        return f(x, y);
    }
    let half = (x.len() / 2).next_multiple_of(64);
    let (x0, x1) = x.split_at_mut(half);
    let (y0, y1) = y.split_at_mut(half.min(y.len()));
    join(
        || elementwise_pair(x0, y0, f),
        || elementwise_pair(x1, y1, f),
    );
}
