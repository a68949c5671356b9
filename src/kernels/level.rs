//! The instruction set, detected at run time, and loops that are compiled once for each.

use super::real::Real;
use std::sync::atomic::{AtomicU8, Ordering};

/// The instruction sets, in increasing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The instructions that every processor of the target has.
    Portable = 1,
    /// AVX2 and FMA: 256 bits.
    Avx2 = 2,
    /// AVX-512 F, VL, DQ and BW, and everything in `Avx2`: 512 bits.
    Avx512 = 3,
}

/// The level, or 0 until it is known.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// Returns the level of this process.
///
/// It is the best level of the processor, or a lower one that the environment variable
/// `BACKPROP_SIMD` names: `off`, `avx2` or `avx512`.
#[inline]
pub(crate) fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = FORCED.get() {
        return level;
    }
    match LEVEL.load(Ordering::Relaxed) {
        3 => Level::Avx512,
        2 => Level::Avx2,
        1 => Level::Portable,
        _ => detect(),
    }
}

/// Lowers the level of this process for all later computations; ranks that train together have the
/// lowest of their levels.
pub(crate) fn lower_to(most: Level) {
    level();
    LEVEL.fetch_min(most as u8, Ordering::Relaxed);
}

/// Returns the number of scalars of type `T` in a register.
#[inline]
pub(crate) fn lanes<T>() -> usize {
    let bytes = match level() {
        Level::Avx512 => 64,
        Level::Avx2 => 32,
        Level::Portable => 16,
    };
    (bytes / size_of::<T>()).max(1)
}

#[cold]
fn detect() -> Level {
    let wanted = std::env::var("BACKPROP_SIMD");
    let level = chosen(wanted.as_deref().ok(), best());
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

/// Returns the requested level, at most `best`; `best` if the request is missing or unknown.
fn chosen(wanted: Option<&str>, best: Level) -> Level {
    match wanted {
        Some("off") => Level::Portable,
        Some("avx2") => Level::Avx2.min(best),
        _ => best,
    }
}

/// Returns the best level that the processor and the operating system support.
#[cfg(target_arch = "x86_64")]
pub(crate) fn best() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        _ => Level::Portable,
    }
}

/// Returns the best level that the processor and the operating system support.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn best() -> Level {
    Level::Portable
}

/// A loop that writes one or two slices. Slices that it only reads are fields of `self`.
///
/// The written slices are arguments, so the compiler can assume that they are disjoint.
pub(super) trait Kernel<R> {
    type Output;
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) -> Self::Output;
}

/// Whether every processor of the target has fused multiplication. Then portable loops use it too.
const PORTABLE_FMA: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

/// Runs the version of a kernel that was compiled for the level of this process.
#[inline]
pub(super) fn launch<R: Real, K: Kernel<R>>(kernel: K, a: &mut [R], b: &mut [R]) -> K::Output {
    match level() {
        // SAFETY: the processor has all instructions of `level`: AVX2, FMA and the four parts of
        // AVX-512.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512(kernel, a, b) },
        // SAFETY: as above, for AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2(kernel, a, b) },
        _ => portable(kernel, a, b),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn avx512<R: Real, K: Kernel<R>>(kernel: K, a: &mut [R], b: &mut [R]) -> K::Output {
    kernel.run::<true>(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R: Real, K: Kernel<R>>(kernel: K, a: &mut [R], b: &mut [R]) -> K::Output {
    kernel.run::<true>(a, b)
}

/// Like the other two, it is not inlined, because the loops would then be compiled for each
/// constant length.
#[inline(never)]
fn portable<R: Real, K: Kernel<R>>(kernel: K, a: &mut [R], b: &mut [R]) -> K::Output {
    kernel.run::<PORTABLE_FMA>(a, b)
}

/// Returns the largest multiple of the register length up to `length`.
#[inline(always)]
fn whole_registers<R: Real>(length: usize) -> usize {
    length & !(R::WIDTH - 1)
}

/// Returns how many of `length` entries a loop handles directly.
///
/// That is all of them if an entry is `cheap`. Otherwise it is whole registers, and the tail goes
/// through padded blocks.
#[inline(always)]
pub(super) fn head_length<R: Real>(cheap: bool, length: usize) -> usize {
    if cheap {
        length
    } else {
        whole_registers::<R>(length)
    }
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` once at each level that this machine supports.
///
/// It runs in a pool of one thread, because the level is forced only for that thread.
#[cfg(test)]
pub(crate) fn at_every_level(f: impl Fn(Level) + Sync) {
    // rayon's part is compiled once, not again for each closure.
    fn run(f: &(dyn Fn(Level) + Sync)) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let levels = [Level::Portable, Level::Avx2, Level::Avx512];
        #[allow(clippy::unwrap_used, reason = "a test helper may panic")]
        pool.unwrap().install(|| {
            for level in levels.into_iter().filter(|&level| level <= best()) {
                FORCED.set(Some(level));
                f(level);
            }
        });
    }
    run(&f);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_never_above_what_the_processor_has() {
        use Level::{Avx2, Avx512, Portable};
        for (wanted, best, expected) in [
            (None, Avx512, Avx512),
            (None, Portable, Portable),
            (Some("off"), Avx512, Portable),
            (Some("avx2"), Avx512, Avx2),
            (Some("avx2"), Portable, Portable),
            (Some("avx512"), Avx2, Avx2),
            (Some("avx512"), Avx512, Avx512),
            (Some("nonsense"), Avx2, Avx2),
        ] {
            assert_eq!(chosen(wanted, best), expected, "{wanted:?} on {best:?}");
        }
    }
}
