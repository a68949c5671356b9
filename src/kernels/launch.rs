//! Loops compiled once for each level, and chosen at run time.

use super::functions::Real;
#[cfg(target_arch = "x86_64")]
use super::level::Level;
use super::level::level;

/// A loop over one or two slices that are written; what it only reads is in `self`.
///
/// The slices are arguments, not fields, so that the compiler knows them to be disjoint.
pub(super) trait Kernel<R> {
    type Output;
    fn run<const FMA: bool>(self, a: &mut [R], b: &mut [R]) -> Self::Output;
}

/// Whether every processor of the target has fused multiplication, so that even the portable loops may use it.
const PORTABLE_FMA: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

/// Runs the kernel as it was compiled for the level of this process.
#[inline]
pub(super) fn launch<R: Real, K: Kernel<R>>(kernel: K, a: &mut [R], b: &mut [R]) -> K::Output {
    match level() {
        // SAFETY: `level` is never above what the processor has: AVX2, FMA and the four parts of AVX-512.
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

/// Not inlined, as the others cannot be: the loops are compiled for any length, not again for that of a tail.
#[inline(never)]
fn portable<R: Real, K: Kernel<R>>(kernel: K, a: &mut [R], b: &mut [R]) -> K::Output {
    kernel.run::<PORTABLE_FMA>(a, b)
}

/// The largest multiple of the register length in `length`: a loop over so many entries has no scalar rest.
#[inline(always)]
fn whole_registers<R: Real>(length: usize) -> usize {
    length & !(R::WIDTH - 1)
}

/// How many of so many entries a loop does by itself: all if one is `cheap`, else whole registers; the tail after them goes through
/// padded blocks.
#[inline(always)]
pub(super) fn head_length<R: Real>(cheap: bool, length: usize) -> usize {
    if cheap {
        length
    } else {
        whole_registers::<R>(length)
    }
}
