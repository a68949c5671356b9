//! Vector registers for the products, one type for each level.

#[cfg(target_arch = "x86_64")]
use super::level::Level;
use super::level::level;
#[cfg(target_arch = "x86_64")]
use super::transpose::{transpose_4, transpose_8, transpose_plain};
use crate::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// A register of `LANES` scalars.
///
/// Every method is inlined into a caller that was compiled for the instructions it needs.
///
/// # Safety
/// All methods may be called only if the processor has the instructions of the type, which
/// [`dispatch`] ensures. `load` and `store` take a pointer to `LANES` scalars, `load_first` and
/// `store_first` to `n` ≤ `LANES`. No pointer needs to be aligned.
pub(super) trait Vector: Copy {
    type Scalar: Copy;
    /// The number of scalars in a register.
    const LANES: usize;
    /// The number of rows of the largest tile of a product, in registers.
    const ROWS: usize;
    /// Whether partial loads are one instruction.
    const MASKED: bool;
    unsafe fn splat(x: Self::Scalar) -> Self;
    unsafe fn load(p: *const Self::Scalar) -> Self;
    /// Loads the first n lanes and sets the others to 0.
    unsafe fn load_first(p: *const Self::Scalar, n: usize) -> Self;
    unsafe fn store(self, p: *mut Self::Scalar);
    unsafe fn store_first(self, p: *mut Self::Scalar, n: usize);
    unsafe fn add(self, other: Self) -> Self;
    /// Returns self · b + c.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// Returns the sum of the lanes.
    unsafe fn sum(self) -> Self::Scalar;
    /// Copies the transpose of a square of LANES × LANES entries:
    /// `to[j·to_step + i] = from[i·step + j]`.
    #[inline(always)]
    unsafe fn transpose(
        from: *const Self::Scalar,
        step: usize,
        to: *mut Self::Scalar,
        to_step: usize,
    ) {
        for i in 0..Self::LANES {
            for j in 0..Self::LANES {
                // SAFETY: both pointers point to squares of LANES × LANES entries.
                unsafe { *to.add(j * to_step + i) = *from.add(i * step + j) };
            }
        }
    }
}

/// A scalar with fast paths, with its registers at each level.
pub(super) trait Fast: Scalar {
    type Portable: Vector<Scalar = Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Scalar = Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Scalar = Self>;
    const ZERO: Self;
}

#[cfg(target_arch = "x86_64")]
impl Fast for f32 {
    type Portable = __m128;
    type Avx2 = __m256;
    type Avx512 = __m512;
    const ZERO: Self = 0.0;
}

#[cfg(target_arch = "x86_64")]
impl Fast for f64 {
    type Portable = __m128d;
    type Avx2 = __m256d;
    type Avx512 = __m512d;
    const ZERO: Self = 0.0;
}

#[cfg(not(target_arch = "x86_64"))]
impl Fast for f32 {
    type Portable = Lanes<f32, 4>;
    const ZERO: Self = 0.0;
}

#[cfg(not(target_arch = "x86_64"))]
impl Fast for f64 {
    type Portable = Lanes<f64, 2>;
    const ZERO: Self = 0.0;
}

/// An operation written for registers of any kind. `run` must be `#[inline(always)]`.
pub(super) trait Operation<T: Fast> {
    /// # Safety
    /// The processor has the instructions of `V`, and the contract of the operation holds.
    unsafe fn run<V: Vector<Scalar = T>>(self);
}

/// Runs an operation in the registers of the level of this process.
///
/// # Safety
/// The contract of the operation holds.
#[inline]
pub(super) unsafe fn dispatch<T: Fast, O: Operation<T>>(operation: O) {
    // SAFETY: the processor has the instructions of `level`. The caller guarantees the contract of
    // the operation.
    unsafe {
        match level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(operation),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(operation),
            _ => operation.run::<T::Portable>(),
        }
    }
}

/// # Safety
/// The processor has AVX2, FMA and the four parts of AVX-512, and the contract of the operation
/// holds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn avx512<T: Fast, O: Operation<T>>(operation: O) {
    // SAFETY: the caller upholds the contract.
    unsafe { operation.run::<T::Avx512>() }
}

/// # Safety
/// The processor has AVX2 and FMA, and the contract of the operation holds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Fast, O: Operation<T>>(operation: O) {
    // SAFETY: the caller upholds the contract.
    unsafe { operation.run::<T::Avx2>() }
}

/// Implements [`Vector`] for the registers of AVX-512, whose masks cost nothing. `mask` is the type
/// of a mask.
#[cfg(target_arch = "x86_64")]
macro_rules! masked {
    ($vector:ty, $scalar:ty, $lanes:literal, $mask:ty, $splat:ident, $load:ident, $load_mask:ident,
     $store:ident, $store_mask:ident, $add:ident, $fma:ident, $sum:ident, $half:ty) => {
        impl Vector for $vector {
            type Scalar = $scalar;
            const LANES: usize = $lanes;
            const ROWS: usize = 4;
            const MASKED: bool = true;
            #[inline(always)]
            unsafe fn splat(x: $scalar) -> Self {
                // SAFETY: the caller's processor has AVX-512.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $scalar) -> Self {
                // SAFETY: the caller's processor has AVX-512, and p points to LANES scalars.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn load_first(p: *const $scalar, n: usize) -> Self {
                // SAFETY: as for `load`; the mask limits the load to n scalars.
                unsafe { $load_mask(((1_u32 << n) - 1) as $mask, p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $scalar) {
                // SAFETY: as for `load`.
                unsafe { $store(p, self) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $scalar, n: usize) {
                // SAFETY: as for `load_first`.
                unsafe { $store_mask(p, ((1_u32 << n) - 1) as $mask, self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller's processor has AVX-512.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: the caller's processor has AVX-512.
                unsafe { $fma(self, b, c) }
            }
            #[inline(always)]
            unsafe fn sum(self) -> $scalar {
                // SAFETY: the caller's processor has AVX-512.
                unsafe { $sum(self) }
            }
            #[inline(always)]
            unsafe fn transpose(
                from: *const $scalar,
                step: usize,
                to: *mut $scalar,
                to_step: usize,
            ) {
                let half = $lanes / 2;
                for (i, j) in [(0, 0), (0, half), (half, 0), (half, half)] {
                    // SAFETY: a quarter of the square. AVX-512 includes AVX2.
                    unsafe {
                        <$half>::transpose(
                            from.add(i * step + j),
                            step,
                            to.add(j * to_step + i),
                            to_step,
                        );
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
masked!(
    __m512,
    f32,
    16,
    u16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_storeu_ps,
    _mm512_mask_storeu_ps,
    _mm512_add_ps,
    _mm512_fmadd_ps,
    _mm512_reduce_add_ps,
    __m256
);
#[cfg(target_arch = "x86_64")]
masked!(
    __m512d,
    f64,
    8,
    u8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_maskz_loadu_pd,
    _mm512_storeu_pd,
    _mm512_mask_storeu_pd,
    _mm512_add_pd,
    _mm512_fmadd_pd,
    _mm512_reduce_add_pd,
    __m256d
);

/// Implements [`Vector`] for the registers of AVX2 and SSE2, whose partial loads and stores go
/// through memory.
#[cfg(target_arch = "x86_64")]
macro_rules! unmasked {
    ($vector:ty, $scalar:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident,
     |$a:ident, $b:ident, $c:ident| $fma:expr, $transpose:path) => {
        impl Vector for $vector {
            type Scalar = $scalar;
            const LANES: usize = $lanes;
            const ROWS: usize = 2;
            const MASKED: bool = false;
            #[inline(always)]
            unsafe fn splat(x: $scalar) -> Self {
                // SAFETY: the caller's processor has the instructions.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $scalar) -> Self {
                // SAFETY: the caller's processor has the instructions, and p points to LANES
                // scalars.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn load_first(p: *const $scalar, n: usize) -> Self {
                let mut lanes = [0.0; $lanes];
                // SAFETY: p points to n ≤ LANES scalars, and `lanes` has LANES.
                unsafe {
                    std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
                    $load(lanes.as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $scalar) {
                // SAFETY: as for `load`.
                unsafe { $store(p, self) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $scalar, n: usize) {
                let mut lanes = [0.0; $lanes];
                // SAFETY: as for `load_first`.
                unsafe {
                    $store(lanes.as_mut_ptr(), self);
                    std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
                }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller's processor has the instructions.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, $b: Self, $c: Self) -> Self {
                let $a = self;
                // SAFETY: the caller's processor has the instructions.
                unsafe { $fma }
            }
            #[inline(always)]
            unsafe fn sum(self) -> $scalar {
                let mut lanes = [0.0; $lanes];
                // SAFETY: `lanes` has LANES scalars.
                unsafe { $store(lanes.as_mut_ptr(), self) };
                lanes.iter().sum()
            }
            #[inline(always)]
            unsafe fn transpose(
                from: *const $scalar,
                step: usize,
                to: *mut $scalar,
                to_step: usize,
            ) {
                // SAFETY: the caller's processor has the instructions, and both pointers point to
                // squares.
                unsafe { $transpose(from, step, to, to_step) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
unmasked!(
    __m256,
    f32,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    |a, b, c| _mm256_fmadd_ps(a, b, c),
    transpose_8
);
#[cfg(target_arch = "x86_64")]
unmasked!(
    __m256d,
    f64,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    |a, b, c| _mm256_fmadd_pd(a, b, c),
    transpose_4
);
#[cfg(target_arch = "x86_64")]
unmasked!(
    __m128,
    f32,
    4,
    _mm_set1_ps,
    _mm_loadu_ps,
    _mm_storeu_ps,
    _mm_add_ps,
    |a, b, c| _mm_add_ps(_mm_mul_ps(a, b), c),
    transpose_plain::<f32, 4>
);
#[cfg(target_arch = "x86_64")]
unmasked!(
    __m128d,
    f64,
    2,
    _mm_set1_pd,
    _mm_loadu_pd,
    _mm_storeu_pd,
    _mm_add_pd,
    |a, b, c| _mm_add_pd(_mm_mul_pd(a, b), c),
    transpose_plain::<f64, 2>
);

/// Registers as arrays, which compilers vectorise for the processor at hand.
#[cfg(any(not(target_arch = "x86_64"), test))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<T, const N: usize>([T; N]);

#[cfg(any(not(target_arch = "x86_64"), test))]
impl<T: Fast, const N: usize> Vector for Lanes<T, N> {
    type Scalar = T;
    const LANES: usize = N;
    const ROWS: usize = 2;
    const MASKED: bool = false;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: p points to N scalars.
        Self(unsafe { p.cast::<[T; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_first(p: *const T, n: usize) -> Self {
        let mut lanes = [T::ZERO; N];
        // SAFETY: p points to n ≤ N scalars.
        unsafe { std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n) };
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: p points to N scalars.
        unsafe { p.cast::<[T; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut T, n: usize) {
        // SAFETY: p points to n ≤ N scalars.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), p, n) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
    #[inline(always)]
    unsafe fn sum(self) -> T {
        self.0.iter().fold(T::ZERO, |sum, &x| sum + x)
    }
}
