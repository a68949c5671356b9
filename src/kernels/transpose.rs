//! Transposes small square blocks, in AVX2 registers or entry by entry.

use std::arch::x86_64::*;

/// Transposes a square of N × N entries, one at a time.
///
/// # Safety
/// Both pointers point to squares of N × N entries.
#[inline(always)]
pub(super) unsafe fn transpose_plain<T: Copy, const N: usize>(
    from: *const T,
    step: usize,
    to: *mut T,
    to_step: usize,
) {
    for i in 0..N {
        for j in 0..N {
            // SAFETY: i, j < N.
            unsafe { *to.add(j * to_step + i) = *from.add(i * step + j) };
        }
    }
}

/// Transposes a square of 8 × 8 in registers: swaps pairs, then quadruples, then halves.
///
/// # Safety
/// The processor has AVX2, and both pointers point to squares of 8 × 8 entries.
#[inline(always)]
pub(super) unsafe fn transpose_8(from: *const f32, step: usize, to: *mut f32, to_step: usize) {
    // SAFETY: the caller upholds the contract.
    unsafe {
        let r: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(from.add(i * step)));
        let pairs: [__m256; 8] = std::array::from_fn(|i| {
            let (even, odd) = (r[i / 2 * 2], r[i / 2 * 2 + 1]);
            match i % 2 {
                0 => _mm256_unpacklo_ps(even, odd),
                _ => _mm256_unpackhi_ps(even, odd),
            }
        });
        // Rows 0 to 3 (and 4 to 7): column c in the low half, and column c + 4 in the high half.
        let quads: [__m256; 8] = std::array::from_fn(|i| {
            let (rows, c) = (i / 4 * 4, i % 4);
            let (x, y) = (pairs[rows + c / 2], pairs[rows + 2 + c / 2]);
            match c % 2 {
                0 => _mm256_shuffle_ps::<0x44>(x, y),
                _ => _mm256_shuffle_ps::<0xee>(x, y),
            }
        });
        for c in 0..4 {
            let (x, y) = (quads[c], quads[c + 4]);
            _mm256_storeu_ps(to.add(c * to_step), _mm256_permute2f128_ps::<0x20>(x, y));
            _mm256_storeu_ps(
                to.add((c + 4) * to_step),
                _mm256_permute2f128_ps::<0x31>(x, y),
            );
        }
    }
}

/// Transposes a square of 4 × 4 in registers.
///
/// # Safety
/// The processor has AVX2, and both pointers point to squares of 4 × 4 entries.
#[inline(always)]
pub(super) unsafe fn transpose_4(from: *const f64, step: usize, to: *mut f64, to_step: usize) {
    // SAFETY: the caller upholds the contract.
    unsafe {
        let r: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(from.add(i * step)));
        let low = [
            _mm256_unpacklo_pd(r[0], r[1]),
            _mm256_unpacklo_pd(r[2], r[3]),
        ];
        let high = [
            _mm256_unpackhi_pd(r[0], r[1]),
            _mm256_unpackhi_pd(r[2], r[3]),
        ];
        for (c, [x, y]) in [low, high].into_iter().enumerate() {
            _mm256_storeu_pd(to.add(c * to_step), _mm256_permute2f128_pd::<0x20>(x, y));
            _mm256_storeu_pd(
                to.add((c + 2) * to_step),
                _mm256_permute2f128_pd::<0x31>(x, y),
            );
        }
    }
}
