//! Random numbers by their index: of SplitMix64, of a mask, and of a normal distribution.
//!
//! A layer's number depends only on the seed and its index, not on the numbers before it. Batches
//! can therefore be cut in any way, and every pass of a step computes the same numbers again. That
//! takes no memory, and with AVX-512 about as long as reading a mask that was kept.

use super::level::{Kernel, launch};
use super::real::Real;
use super::table::table;
use super::views::{flat, flat_mut};
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The distance of two states of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the output of SplitMix64 at a state (Steele et al. 2014, doi:10.1145/2714064.2660195).
#[inline(always)]
fn output(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns output `index` of SplitMix64 with this seed; the first has index 1.
///
/// It is not linear in the seed or the index. Seeds that are derived in this way, level by level,
/// therefore do not meet those of other levels.
#[inline(always)]
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    output(seed.wrapping_add(STEP.wrapping_mul(index)))
}

/// The random numbers of a layer in one step: entry i of example k has number k · n + i, where n is
/// the number of entries of an example.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    /// The state of SplitMix64 before its first output.
    state: u64,
    /// The number of the first entry.
    first: u64,
}

impl Draws {
    /// Returns the numbers of examples with `entries` entries, from `first_example` on.
    pub(crate) fn new(seed: u64, entries: usize, first_example: usize) -> Self {
        Self {
            // Index 0 belongs to no child of a container.
            state: mix(seed, 0),
            first: (first_example as u64).wrapping_mul(entries as u64),
        }
    }

    /// Returns the same numbers without the first `count`.
    fn skip(self, count: usize) -> Self {
        let first = self.first.wrapping_add(count as u64);
        Self { first, ..self }
    }
}

/// A random mask: each number drops its entry with the same probability.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask<T> {
    draws: Draws,
    /// The least of the 2³² equally likely numbers that keeps its entry.
    least: i32,
    /// The factor of entries that are kept.
    scale: T,
}

impl<T: Scalar> Mask<T> {
    /// Drops entries with probability p in \[0, 1), rounded to a multiple of 2⁻³² below 1, and
    /// multiplies the others by 1/(1 − p).
    pub(crate) fn new(draws: Draws, p: f64) -> Self {
        let dropped = (p * 4_294_967_296.0).round().min(4_294_967_295.0) as i64;
        Self {
            draws,
            least: (dropped - (1 << 31)) as i32,
            scale: real(1.0 / (1.0 - p)),
        }
    }
}

/// The number of entries whose random numbers are computed together.
const BLOCK: usize = 128;

/// a = mask ∘ x, by the plain loop.
///
/// Each output of SplitMix64 has the numbers of two entries, first in its lower half and then in
/// its upper half.
#[inline(always)]
fn mask_plainly<T: Scalar>(mask: Mask<T>, x: &[T], a: &mut [T]) {
    // The product first, so that the compiler selects one of two numbers without a branch.
    let choose = |number: i32, x: T| {
        let kept = x * mask.scale;
        if number >= mask.least {
            kept
        } else {
            T::zero()
        }
    };
    let Draws { state, first } = mask.draws;
    let head = usize::from(first % 2 == 1).min(x.len());
    let ((x_head, x), (a_head, a)) = (x.split_at(head), a.split_at_mut(head));
    for (a, &x) in a_head.iter_mut().zip(x_head) {
        *a = choose((mix(state, first / 2 + 1) >> 32) as i32, x);
    }
    let mut index = first.div_ceil(2) + 1;
    // Two loops: the compiler vectorises each for registers of any length.
    let mut numbers = [0_i32; BLOCK];
    for (x, a) in x.chunks(BLOCK).zip(a.chunks_mut(BLOCK)) {
        let pairs = &mut numbers.as_chunks_mut::<2>().0[..x.len().div_ceil(2)];
        for (j, pair) in pairs.iter_mut().enumerate() {
            let word = mix(state, index.wrapping_add(j as u64));
            *pair = [word as i32, (word >> 32) as i32];
        }
        for ((a, &x), &number) in a.iter_mut().zip(x).zip(&numbers) {
            *a = choose(number, x);
        }
        index = index.wrapping_add(BLOCK as u64 / 2);
    }
}

/// [`mask_plainly`] as a kernel.
struct Masked<'a, R> {
    mask: Mask<R>,
    x: &'a [R],
}

impl<R: Real> Kernel<R> for Masked<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [R], _: &mut [R]) {
        mask_plainly(self.mask, self.x, a);
    }
}

/// [`mask_plainly`] for one precision, in the best registers.
pub(super) fn mask_at<R: Real>(mask: Mask<R>, x: &[R], a: &mut [R]) {
    launch(Masked { mask, x }, a, &mut []);
}

/// a = mask ∘ x, with the same bits at every level.
pub(crate) fn apply_mask<T: Scalar>(
    mask: Mask<T>,
    x: DMatrixView<'_, T>,
    a: DMatrixViewMut<'_, T>,
) {
    by_runs(x, a, |skip, x, a| {
        let draws = mask.draws.skip(skip);
        let mask = Mask { draws, ..mask };
        match table::<T>() {
            Some(table) => (table.mask)(mask, x, a),
            None => mask_plainly(mask, x, a),
        }
    });
}

/// a = x + σ n with standard normal numbers n, which are computed in `f64` for every scalar.
pub(crate) fn add_noise<T: Scalar>(
    draws: Draws,
    sigma: f64,
    x: DMatrixView<'_, T>,
    a: DMatrixViewMut<'_, T>,
) {
    let mut normal = [0.0; BLOCK];
    by_runs(x, a, |skip, x, a| {
        let mut draws = draws.skip(skip);
        for (x, a) in x.chunks(BLOCK).zip(a.chunks_mut(BLOCK)) {
            let normal = &mut normal[..x.len()];
            write_normal(draws, normal);
            for ((a, &x), &n) in a.iter_mut().zip(x).zip(&*normal) {
                *a = x + real(sigma * n);
            }
            draws = draws.skip(BLOCK);
        }
    });
}

/// Calls `f` on all entries of both matrices at once, or column by column if the columns are not
/// contiguous, with the number of entries before them.
fn by_runs<T: Scalar>(
    x: DMatrixView<'_, T>,
    mut a: DMatrixViewMut<'_, T>,
    mut f: impl FnMut(usize, &[T], &mut [T]),
) {
    if let (Some(x), Some(a)) = (flat(&x), flat_mut(&mut a)) {
        return f(0, x, a);
    }
    for k in 0..x.ncols() {
        let skip = k * x.nrows();
        f(skip, x.column(k).as_slice(), a.column_mut(k).as_mut_slice());
    }
}

/// Writes standard normal numbers: the quantiles of uniform numbers.
struct Normal(Draws);

impl Kernel<f64> for Normal {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self, a: &mut [f64], _: &mut [f64]) {
        // Never fused, so that all levels and platforms have the same bits.
        let Draws { state, first } = self.0;
        let q = |j: usize| centred(mix(state, first.wrapping_add(j as u64 + 1)));
        for (j, a) in a.iter_mut().enumerate() {
            *a = central_quantile(q(j));
        }
        for (j, a) in a.iter_mut().enumerate() {
            let q = q(j);
            if q.abs() > CENTRAL {
                *a = outer_quantile(q);
            }
        }
    }
}

/// Writes the standard normal numbers from the first of `draws` on. (It is not generic, so it is
/// compiled in this crate.)
fn write_normal(draws: Draws, normal: &mut [f64]) {
    launch(Normal(draws), normal, &mut []);
}

/// Returns Φ⁻¹(½ + q) for |q| < ½, the quantile of a standard normal number.
pub(crate) fn normal_quantile(q: f64) -> f64 {
    if q.abs() > CENTRAL {
        outer_quantile(q)
    } else {
        central_quantile(q)
    }
}

/// Returns a uniform number in (−½, ½) from the upper 52 bits of a word, an odd multiple of 2⁻⁵³.
#[inline(always)]
pub(crate) fn centred(word: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 52) as f64;
    // 1 + u/2⁵² by its bits: processors without AVX-512 cannot convert long integers.
    let one_and_more = f64::from_bits(word >> 12 | 1.0_f64.to_bits());
    (one_and_more - 1.5) + 0.5 * UNIT
}

/// No normal number is larger: the smallest uniform number is 2⁻⁵³.
pub(crate) const LARGEST_NORMAL: f64 = 8.3;

/// The largest |q| of [`central_quantile`].
const CENTRAL: f64 = 0.425;

/// Returns Φ⁻¹(½ + q) for |q| ≤ 0.425, by algorithm AS 241 (Wichura 1988, doi:10.2307/2347330),
/// with a relative error of about 1e-16.
#[inline(always)]
fn central_quantile(q: f64) -> f64 {
    let r = CENTRAL * CENTRAL - q * q;
    q * horner(&CENTRE[0], r) / horner(&CENTRE[1], r)
}

/// Returns Φ⁻¹(½ + q) for larger |q|, by the same algorithm. `libm` computes the logarithm, so the
/// bits are the same on every platform.
fn outer_quantile(q: f64) -> f64 {
    let r = (-libm::log(0.5 - q.abs())).sqrt();
    let size = if r <= 5.0 {
        horner(&OUTER[0], r - 1.6) / horner(&OUTER[1], r - 1.6)
    } else {
        horner(&FAR[0], r - 5.0) / horner(&FAR[1], r - 5.0)
    };
    size.copysign(q)
}

/// Returns Σ cᵢ xⁱ; the coefficients start with that of the highest power.
#[inline(always)]
fn horner(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, &c| sum * x + c)
}

/// Numerator and denominator of [`central_quantile`].
const CENTRE: [[f64; 8]; 2] = [
    [
        2.509_080_928_730_122_7e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946e4,
        1.971_590_950_306_551_3e3,
        1.331_416_678_917_843_8e2,
        3.387_132_872_796_366_5,
    ],
    [
        5.226_495_278_852_854e3,
        2.872_908_573_572_194_3e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_7e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
];

/// The same for √(−ln p) ≤ 5, from 1.6 on.
const OUTER: [[f64; 8]; 2] = [
    [
        7.745_450_142_783_414e-4,
        2.272_384_498_926_918_4e-2,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4,
        3.647_848_324_763_204_5,
        5.769_497_221_460_691,
        4.630_337_846_156_546,
        1.423_437_110_749_683_5,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        1.519_866_656_361_645_7e-2,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8,
        2.053_191_626_637_759,
        1.0,
    ],
];

/// The same beyond, from 5 on.
const FAR: [[f64; 8]; 2] = [
    [
        2.010_334_399_292_288_1e-7,
        2.711_555_568_743_487_6e-5,
        1.242_660_947_388_078_4e-3,
        2.653_218_952_657_612_4e-2,
        2.965_605_718_285_048_7e-1,
        1.784_826_539_917_291_3,
        5.463_784_911_164_114,
        6.657_904_643_501_103,
    ],
    [
        2.044_263_103_389_939_8e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_8e-5,
        7.868_691_311_456_133e-4,
        1.487_536_129_085_061_5e-2,
        1.369_298_809_227_358e-1,
        5.998_322_065_558_88e-1,
        1.0,
    ],
];

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
