//! Which instructions the kernels may use, decided at run time.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the target has; the loops vectorise for that.
    Portable = 1,
    /// AVX2 and FMA: 256 bits.
    Avx2 = 2,
    /// AVX-512 F, VL, DQ and BW, and all of AVX2: 512 bits.
    Avx512 = 3,
}

/// The level once it is known; 0 before.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level of this process: the best that the processor has, or the one that the environment variable
/// `BACKPROP_SIMD` names (`off`, `avx2`, `avx512`), if the processor has that.
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

/// Scalars of type T in a register.
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

/// The level that is asked for, but never above the best; the best if none is asked for.
fn chosen(wanted: Option<&str>, best: Level) -> Level {
    match wanted {
        Some("off") => Level::Portable,
        Some("avx2") => Level::Avx2.min(best),
        _ => best,
    }
}

/// The best level that processor and operating system have.
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

/// The best level that processor and operating system have.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn best() -> Level {
    Level::Portable
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` once at each level that this machine can run, in a pool of one thread: the others of a larger one would not know of it.
#[cfg(test)]
pub(crate) fn at_every_level(f: impl Fn(Level) + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let levels = [Level::Portable, Level::Avx2, Level::Avx512];
    #[allow(clippy::unwrap_used, reason = "a helper of tests may fail them")]
    pool.unwrap().install(|| {
        for level in levels.into_iter().filter(|&level| level <= best()) {
            FORCED.set(Some(level));
            f(level);
        }
    });
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
