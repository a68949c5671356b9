//! The trait of `f32` and `f64` with the constants and polynomials of each precision.

use crate::scalar::Scalar;

/// `f32` or `f64`, with its bit patterns, constants and polynomials.
pub(super) trait Real: Scalar {
    /// The number of entries in a register of 512 bits.
    const WIDTH: usize;
    const ZERO: Self;
    const ONE: Self;
    const TWO: Self;
    const HALF: Self;
    const INFINITY: Self;
    /// 1/ln 2.
    const LOG2_E: Self;
    /// ln 2 in two parts. The product of the first part and an exponent is exact.
    const LN_2: (Self, Self);
    /// 1.5 · 2ᵖ for p fraction bits. Adding it rounds to an integer, which is then in the low bits.
    const ROUND: Self;
    /// Below the first number eˣ rounds to 0, and above the second it overflows.
    const EXP_RANGE: (Self, Self);
    /// Below this x, even the largest number times eˣ rounds to 0.
    const LARGE_EXP_END: Self;
    /// q in eʳ = 1 + r + r² q(r) for |r| ≤ ½ ln 2. This and the other polynomials begin with the
    /// highest power.
    const EXP: &'static [Self];
    /// p in ln((1 + s)/(1 − s)) = 2s + s³ p(s²) for |s| ≤ 0.2.
    const LN: &'static [Self];
    /// p and q in tanh z = z + z³ p(z²)/q(z²) for |z| ≤ 0.625.
    const TANH: (&'static [Self], &'static [Self]);
    /// s and 2⁻ˢ. The scale 2ˢ keeps exponentials of negative numbers normal where they matter.
    const SCALE: (Self, Self);
    /// The argument at which the scaled exponential becomes 0.
    const SCALED_END: Self;
    /// P and Q of `tests/calculus/activations/coefficients.py`, which also prints the constants
    /// below.
    const GELU: (&'static [Self], &'static [Self]);
    /// The root of Φ(−x) − x φ(x), in two parts.
    const GELU_ROOT: (Self, Self);
    /// The x at which the scaled exponential of −x²/2 becomes 0.
    const GELU_END: Self;
    /// 1/√(2π).
    const DENSITY: Self;
    /// 2√(2/π), and 0.044715 times that, in two parts each.
    const GELU_TANH: [(Self, Self); 2];
    /// The |z| at which the scaled exponential in the tanh form of GELU becomes 0.
    const GELU_TANH_END: Self;

    /// Returns the nearest number of this type.
    fn of(x: f64) -> Self;
    /// Returns self · b + c, rounded once if `FMA`.
    fn times_plus<const FMA: bool>(self, b: Self, c: Self) -> Self;
    /// Returns |self|, without changing the other bits of a NaN.
    fn size(self) -> Self;
    /// Returns |self| with the sign of `sign`.
    fn with_sign_of(self, sign: Self) -> Self;
    /// Returns the leading digits of self, few enough that the product of two such numbers is
    /// exact.
    fn first_digits(self) -> Self;
    /// Returns 2ᵏ from [`ROUND`](Self::ROUND) + k, for the k of normal numbers.
    fn power_of_two(rounded: Self) -> Self;
    /// Returns k and 2⁻ᵏ such that 2⁻ᵏ · self is in [0.75, 1.5), for normal numbers in (0, 2¹⁰⁰].
    fn exponent(self) -> (Self, Self);
}

impl Real for f64 {
    const WIDTH: usize = 8;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const HALF: Self = 0.5;
    const INFINITY: Self = Self::INFINITY;
    const LOG2_E: Self = std::f64::consts::LOG2_E;
    const LN_2: (Self, Self) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
    const ROUND: Self = 6_755_399_441_055_744.0;
    const EXP_RANGE: (Self, Self) = (-746.0, 710.0);
    const LARGE_EXP_END: Self = -1458.0;
    const EXP: &'static [Self] = &[
        2.499_785_941_815_406_8e-8,
        2.762_973_572_619_039e-7,
        2.755_759_206_535_594e-6,
        2.480_149_473_576_305e-5,
        1.984_126_950_224_254_6e-4,
        1.388_888_894_178_645_6e-3,
        8.333_333_333_495_067e-3,
        4.166_666_666_653_867e-2,
        1.666_666_666_666_641_6e-1,
        5.000_000_000_000_009e-1,
    ];
    const LN: &'static [Self] = &[
        1.380_631_249_642_652_6e-1,
        1.317_975_088_920_361_5e-1,
        1.539_069_036_892_538_3e-1,
        1.818_168_105_666_073_4e-1,
        2.222_222_399_013_805e-1,
        2.857_142_855_923_137e-1,
        4.000_000_000_003_79e-1,
        6.666_666_666_666_663e-1,
    ];
    const TANH: (&'static [Self], &'static [Self]) = (
        &[
            -9.643_991_794_250_523e-1,
            -9.928_772_310_019_185e1,
            -1.614_687_684_417_084_5e3,
        ],
        &[
            1.0,
            1.128_116_784_916_329_3e2,
            2.235_488_390_601_004_4e3,
            4.844_063_053_251_255e3,
        ],
    );
    const SCALE: (Self, Self) = (80.0, 8.271_806_125_530_277e-25);
    const SCALED_END: Self = -764.6;
    const GELU: (&'static [Self], &'static [Self]) = (
        &[
            -7.754_879_429_245_929e-10,
            -2.593_235_709_283_641e-9,
            2.124_505_804_242_295e-9,
            1.993_568_531_521_372_2e-8,
            1.290_897_891_548_443_5e-8,
            -8.601_777_329_705_666e-8,
            -1.545_858_428_334_604_8e-7,
            2.724_735_697_405_869_3e-7,
            1.021_312_607_627_817_8e-6,
            -6.301_577_944_151_222e-7,
            -5.920_073_063_996_629e-6,
            7.168_737_539_527_613e-7,
            3.514_465_849_493_066e-5,
            -1.908_319_678_643_467e-6,
            -0.000_231_094_930_169_875_42,
            0.000_133_344_324_013_755_82,
            0.001_630_818_457_001_745,
            -0.003_479_692_368_738_209,
            -0.007_540_188_966_684_328,
            0.060_396_574_891_023_06,
            -0.186_521_857_959_658_92,
            0.387_137_400_742_212,
            -0.607_896_641_971_892_1,
            0.755_285_130_415_751_5,
        ],
        &[
            -5.810_927_911_998_507e-12,
            3.666_362_257_354_168_4e-10,
            1.203_157_583_431_226_8e-9,
            -1.592_651_178_139_950_3e-9,
            -1.065_482_128_273_711_7e-8,
            -7.849_021_627_359_076e-10,
            6.269_300_141_159_083e-8,
            5.235_375_980_316_25e-8,
            -3.490_817_514_966_456_4e-7,
            -4.921_291_096_356_461e-7,
            2.216_646_309_125_554_3e-6,
            3.538_885_511_293_526_3e-6,
            -1.803_492_027_058_845e-5,
            -1.747_721_111_599_562e-5,
            0.000_185_775_772_277_025,
            -0.000_154_613_313_225_969_88,
            -0.001_788_260_541_063_502_7,
            0.009_504_950_375_122_598,
            -0.028_083_359_953_054_096,
            0.060_462_936_767_850_36,
            -0.103_365_898_521_956_86,
            0.462_211_244_049_575_3,
        ],
    );
    const GELU_ROOT: (Self, Self) = (0.751_791_524_693_564_5, -1.495_675_917_700_988_3e-17);
    const GELU_END: Self = 39.102;
    const DENSITY: Self = 0.398_942_280_401_432_7;
    const GELU_TANH: [(Self, Self); 2] = [
        (1.595_769_121_605_730_8, -9.969_308_809_110_92e-17),
        (0.071_354_816_272_600_25, -6.175_149_918_155_315e-19),
    ];
    const GELU_TANH_END: Self = 21.707_2;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn times_plus<const FMA: bool>(self, b: Self, c: Self) -> Self {
        if FMA {
            self.mul_add(b, c)
        } else {
            self * b + c
        }
    }

    #[inline(always)]
    fn size(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn with_sign_of(self, sign: Self) -> Self {
        self.copysign(sign)
    }

    #[inline(always)]
    fn first_digits(self) -> Self {
        Self::from_bits(self.to_bits() & !0x7ff_ffff)
    }

    #[inline(always)]
    fn power_of_two(rounded: Self) -> Self {
        Self::from_bits((rounded.to_bits() << 52).wrapping_add(1023 << 52))
    }

    #[inline(always)]
    fn exponent(self) -> (Self, Self) {
        const TO_INTEGER: f64 = 4_503_599_627_370_496.0;
        // The exponent of x/0.75. Only the exponent and the top bit of the fraction differ from x.
        let bits = self
            .to_bits()
            .wrapping_add(Self::ONE.to_bits() - 0.75_f64.to_bits());
        let k = Self::from_bits(bits >> 52 | TO_INTEGER.to_bits()) - (TO_INTEGER + 1023.0);
        let scale = (2046_u64 << 52).wrapping_sub(bits & 0x7ff << 52);
        (k, Self::from_bits(scale))
    }
}

impl Real for f32 {
    const WIDTH: usize = 16;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const HALF: Self = 0.5;
    const INFINITY: Self = Self::INFINITY;
    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const LN_2: (Self, Self) = (0.693_145_75, 1.428_606_8e-6);
    const ROUND: Self = 12_582_912.0;
    const EXP_RANGE: (Self, Self) = (-104.5, 89.0);
    const LARGE_EXP_END: Self = -194.0;
    const EXP: &'static [Self] = &[
        1.381_458e-3,
        8.368_745e-3,
        4.166_839e-2,
        1.666_652_1e-1,
        4.999_999_4e-1,
    ];
    const LN: &'static [Self] = &[3.036_528_2e-1, 3.995_760_6e-1, 6.666_695e-1];
    const TANH: (&'static [Self], &'static [Self]) = (
        &[
            -5.704_541_7e-3,
            2.063_870_6e-2,
            -5.373_960_4e-2,
            1.333_144_1e-1,
            -3.333_328e-1,
        ],
        &[1.0],
    );
    const SCALE: (Self, Self) = (40.0, 9.094_947e-13);
    const SCALED_END: Self = -115.8;
    const GELU: (&'static [Self], &'static [Self]) = (
        &[
            -1.924_262_5e-5,
            -8.261_221e-5,
            -0.000_213_295_72,
            0.000_216_797_63,
            0.001_643_514_5,
            -0.003_512_791_8,
            -0.007_547_299,
            0.060_402_796,
            -0.186_520_79,
            0.387_136_88,
            -0.607_896_7,
            0.755_285_14,
        ],
        &[
            4.453_868_8e-6,
            -5.034_845_3e-6,
            -8.636_934e-6,
            0.000_177_530_05,
            -0.000_162_403_8,
            -0.001_786_580_9,
            0.009_507_19,
            -0.028_083_462,
            0.060_462_695,
            -0.103_365_9,
            0.462_211_25,
        ],
    );
    const GELU_ROOT: (Self, Self) = (0.751_791_54, -1.211_445e-8);
    const GELU_END: Self = 15.21;
    const DENSITY: Self = 0.398_942_3;
    const GELU_TANH: [(Self, Self); 2] = [
        (1.595_769_2, -4.534_068e-8),
        (0.071_354_814, 2.398_832_5e-9),
    ];
    const GELU_TANH_END: Self = 11.114;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn times_plus<const FMA: bool>(self, b: Self, c: Self) -> Self {
        if FMA {
            self.mul_add(b, c)
        } else {
            self * b + c
        }
    }

    #[inline(always)]
    fn size(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn with_sign_of(self, sign: Self) -> Self {
        self.copysign(sign)
    }

    #[inline(always)]
    fn first_digits(self) -> Self {
        Self::from_bits(self.to_bits() & !0xfff)
    }

    #[inline(always)]
    fn power_of_two(rounded: Self) -> Self {
        Self::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
    }

    #[inline(always)]
    fn exponent(self) -> (Self, Self) {
        const TO_INTEGER: f32 = 8_388_608.0;
        let bits = self
            .to_bits()
            .wrapping_add(Self::ONE.to_bits() - 0.75_f32.to_bits());
        let k = Self::from_bits(bits >> 23 | TO_INTEGER.to_bits()) - (TO_INTEGER + 127.0);
        let scale = (254_u32 << 23).wrapping_sub(bits & 0xff << 23);
        (k, Self::from_bits(scale))
    }
}
