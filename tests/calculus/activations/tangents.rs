//! Both tangents against dual numbers, and g″ against numbers from an independent implementation.

use super::reference::{Z, units};
use super::{activations, assert_close, dual, elementwise, row, slope, value};
use backprop::Scalar;
use backprop::activation::{
    Activation, AnyActivation, Elu, Exponential, Gelu, GeluTanh, HardTanh, Identity, LeakyRelu,
    Mish, Relu, Selu, Sigmoid, Silu, Sine, Softmax, Softplus, Softsign, Tanh,
};
use backprop::nalgebra::{DMatrix, convert};
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::rng;
use num_dual::{Dual2_64, Dual64};

/// ȧ, written over NaN.
pub(super) fn forward_tangent<T: Scalar>(
    g: AnyActivation,
    z: &DMatrix<T>,
    moved: &DMatrix<T>,
) -> DMatrix<T> {
    let a = value(g, z);
    let mut out = DMatrix::repeat(z.nrows(), z.ncols(), convert(f64::NAN));
    let (from, to) = (moved.as_view(), out.as_view_mut());
    let done = g.forward_tangent(z.as_view(), a.as_view(), from, to);
    assert_eq!(done, Ok(()), "{g:?}");
    out
}

/// The δ and δ̇ that come from the given δ and δ̇.
fn backward_tangent<T: Scalar>(
    g: AnyActivation,
    z: &DMatrix<T>,
    moved: &DMatrix<T>,
    delta: &DMatrix<T>,
    delta_moved: &DMatrix<T>,
) -> (DMatrix<T>, DMatrix<T>) {
    let (a, mut d, mut d_moved) = (value(g, z), delta.clone(), delta_moved.clone());
    let views = (d.as_view_mut(), d_moved.as_view_mut());
    let done = g.backward_tangent(z.as_view(), a.as_view(), moved.as_view(), views.0, views.1);
    assert_eq!(done, Ok(()), "{g:?}");
    (d, d_moved)
}

/// g″, from the backward pass with ż = 1, δ = 1 and δ̇ = 0.
pub(super) fn curvature<T: Scalar>(g: AnyActivation, z: &DMatrix<T>) -> DMatrix<T> {
    let one = z.map(|_| T::one());
    backward_tangent(g, z, &one, &one, &z.map(|_| T::zero())).1
}

fn wave(rows: usize, cols: usize, phase: f64) -> DMatrix<f64> {
    DMatrix::from_fn(rows, cols, |i, k| (phase + (3 * i + 5 * k) as f64).sin())
}

fn lift(value: &DMatrix<f64>, tangent: &DMatrix<f64>) -> DMatrix<Dual64> {
    value.zip_map(tangent, Dual64::new)
}

/// ȧ, δ and δ̇ from the plain methods on dual numbers.
fn by_dual_numbers(
    g: AnyActivation,
    z: &DMatrix<Dual64>,
    delta: &DMatrix<Dual64>,
) -> [DMatrix<f64>; 3] {
    let (a, mut d) = (value(g, z), delta.clone());
    g.backward(z.as_view(), a.as_view(), d.as_view_mut());
    [a.map(|a| a.eps), d.map(|d| d.re), d.map(|d| d.eps)]
}

/// Steps of 1/8, and saturated values. 0 is missing, because |z| has no second derivative there.
fn grid(g: AnyActivation) -> Vec<f64> {
    let inner = (-80..=80).filter(|&i| i != 0).map(|i| f64::from(i) / 8.0);
    let far = [
        -1e4, -800.0, -60.0, -40.0, -30.0, -20.0, 20.0, 30.0, 40.0, 60.0, 800.0, 1e4,
    ];
    // eᶻ overflows.
    let far = far.into_iter().filter(|&z| g != Exponential || z < 700.0);
    inner.chain(far).chain([-1e-300, 1e-300]).collect()
}

#[test]
fn elementwise_tangents_equal_those_of_dual_numbers() {
    for g in elementwise() {
        let z = row::<f64>(&grid(g));
        let [moved, delta, delta_moved] = [0.2, 0.5, 0.9].map(|phase| wave(1, z.len(), phase));
        let expected = by_dual_numbers(g, &lift(&z, &moved), &lift(&delta, &delta_moved));
        let (d, d_moved) = backward_tangent(g, &z, &moved, &delta, &delta_moved);
        let found = [forward_tangent(g, &z, &moved), d, d_moved];
        for (found, expected) in found.iter().zip(&expected) {
            for (j, &z) in z.iter().enumerate() {
                // Relative, except for terms of size e^(−|z|) that cancel. On dual numbers,
                // z/(1 + |z|) cancels |z| of its units.
                let relative = 1e-13 + z.abs() * f64::EPSILON;
                let limit = relative * expected[j].abs() + 1e-13 * (-z.abs()).exp();
                assert_close(&format!("{g:?} at {z}"), found[j], expected[j], limit);
            }
        }
    }
}

/// The plain forward pass to second order along z + ε gives g″ independently.
#[test]
fn second_derivative_equals_that_of_forward() {
    for g in elementwise() {
        let z = row::<f64>(&grid(g));
        let (found, twice) = (curvature(g, &z), z.map(|z| Dual2_64::new(z, 1.0, 0.0)));
        let twice = value(g, &twice);
        for (j, &z) in z.iter().enumerate() {
            // Relative to g, because its tails lose digits to second order.
            let limit = 1e-13 * twice[j].re.abs().max(1.0);
            assert_close(&format!("{g:?} at {z}"), found[j], twice[j].v2, limit);
        }
    }
}

/// On dual numbers g″ comes with g‴, also at the extremes.
#[test]
fn tangents_of_dual_numbers_have_the_third_derivative() {
    for g in elementwise() {
        let z = row::<f64>(&grid(g));
        let (found, twice) = (
            curvature(g, &z.map(dual)),
            slope(g, &z.map(|z| Dual2_64::new(z, 1.0, 0.0))),
        );
        for (j, &z) in z.iter().enumerate() {
            let limit = 1e-12 * twice[j].re.abs().max(1.0);
            assert_close(&format!("{g:?} at {z}"), found[j].re, twice[j].v1, limit);
            assert_close(&format!("{g:?} at {z}"), found[j].eps, twice[j].v2, limit);
        }
    }
}

/// Activation, g″(Z).
///
/// mpmath 1.3.0 computed these at 60 digits from the formulas of the module documentation. Each was
/// compared with `mpmath.diff` of g and rounded to the nearest `f64`.
#[rustfmt::skip]
#[allow(clippy::approx_constant, reason = "numbers like the others")]
const REFERENCE: &[(AnyActivation, [f64; 12])] = &[
    (Sigmoid, [
        9.357_622_968_836_672e-14, 0.002_454_311_795_380_304_4, 0.006_559_067_766_322_563,
        0.094_730_212_784_752_67, 0.023_164_881_226_653_704, 9.313_225_746_154_785e-10, 0.0,
        -9.313_225_746_154_785e-10, -0.073_653_797_590_808_88, -0.079_962_501_056_153_06,
        -0.002_454_311_795_380_304_4, -9.357_622_968_836_672e-14,
    ]),
    (Tanh, [
        7.005_208_610_157_216e-26, 4.915_249_080_027_189e-5, 0.000_363_133_487_920_905_6,
        0.327_132_597_287_547_84, 0.357_934_603_906_539, 1.490_116_119_384_765_5e-8, 0.0,
        -1.490_116_119_384_765_5e-8, -0.768_532_982_547_285_6, -0.136_218_687_427_113_04,
        -4.915_249_080_027_189e-5, -7.005_208_610_157_216e-26,
    ]),
    (Elu { alpha: 1.5 }, [
        1.403_643_445_326_026_3e-13, 0.003_718_128_264_999_537_7, 0.010_106_920_498_628_201,
        0.334_695_240_222_644_74, 1.243_543_677_270_600_6, 1.499_999_988_824_129, 1.5, 0.0, 0.0,
        0.0, 0.0, 0.0,
    ]),
    (Selu, [
        1.645_163_077_341_618_5e-13, 0.004_357_892_567_921_125, 0.011_845_980_177_756_72,
        0.392_284_987_480_124_14, 1.457_515_546_216_244, 1.758_099_327_748_516_2,
        1.758_099_340_847_376_8, 0.0, 0.0, 0.0, 0.0, 0.0,
    ]),
    (Softplus, [
        9.357_622_968_838_423e-14, 0.002_466_509_291_360_047_6, 0.006_648_056_670_790_155,
        0.149_146_452_070_332_86, 0.247_815_545_149_063_12, 0.25, 0.25, 0.25,
        0.222_639_347_055_066_8, 0.104_993_585_403_506_52, 0.002_466_509_291_360_047_6,
        9.357_622_968_838_423e-14,
    ]),
    (Softsign, [
        6.713_436_944_043_503e-5, 0.005_830_903_790_087_463_5, 0.009_259_259_259_259_259, 0.128,
        1.194_343_198_717_014, 1.999_999_955_296_517, 0.0, -1.999_999_955_296_517,
        -0.416_196_717_979_982_7, -0.074_074_074_074_074_07, -0.005_830_903_790_087_463_5,
        -6.713_436_944_043_503e-5,
    ]),
    (Gelu, [
        -1.323_334_229_120_935_7e-193, -2.065_800_168_939_917e-7, -3.419_454_883_888_884_5e-5,
        -0.032_379_398_916_472_93, 0.770_200_866_488_451_8, 0.797_884_560_802_865_3,
        0.797_884_560_802_865_4, 0.797_884_560_802_865_3, 0.481_072_860_749_210_9,
        -0.107_981_933_026_376_1, -2.065_800_168_939_917e-7, -1.323_334_229_120_935_7e-193,
    ]),
    (GeluTanh, [
        -0.0, -6.824_247_274_157_194e-9, -9.934_132_224_996_206e-6, -0.030_518_196_484_224_946,
        0.770_070_347_431_287_7, 0.797_884_560_802_865_3, 0.797_884_560_802_865_4,
        0.797_884_560_802_865_3, 0.480_421_493_620_692_2, -0.107_875_079_951_078_45,
        -6.824_247_274_157_194e-9, -0.0,
    ]),
    (Silu, [
        -2.620_134_431_274_233e-12, -0.009_792_852_189_561_73, -0.019_499_225_490_032_506,
        0.156_197_584_963_536_7, 0.491_287_675_068_128_7, 0.5, 0.5, 0.5, 0.394_641_708_266_452_5,
        0.050_062_168_694_706_91, -0.009_792_852_189_561_73, -2.620_134_431_274_233e-12,
    ]),
    (Mish, [
        -2.620_134_431_274_741e-12, -0.009_853_567_410_392_498, -0.019_850_678_262_608_362,
        0.154_614_753_561_543_17, 0.638_977_882_768_200_1, 0.640_000_000_715_255_8, 0.64,
        0.639_999_999_284_744_3, 0.361_325_191_366_005_6, -0.057_724_667_408_294_06,
        -0.000_242_857_626_119_760_7, -2.031_510_496_944_727_4e-24,
    ]),
    (Sine, [
        -0.988_031_624_092_861_8, -0.279_415_498_198_925_86, -0.958_924_274_663_138_5,
        0.997_494_986_604_054_4, 0.186_403_296_762_269_88, 7.450_580_596_923_828e-9, 0.0,
        -7.450_580_596_923_828e-9, -0.634_607_080_015_269_3, -0.909_297_426_825_681_7,
        0.279_415_498_198_925_86, 0.988_031_624_092_861_8,
    ]),
    (Exponential, [
        9.357_622_968_840_175e-14, 0.002_478_752_176_666_358_5, 0.006_737_946_999_085_467,
        0.223_130_160_148_429_82, 0.829_029_118_180_400_4, 0.999_999_992_549_419_4, 1.0,
        1.000_000_007_450_580_6, 1.988_737_469_582_292, 7.389_056_098_930_65, 403.428_793_492_735_1,
        10_686_474_581_524.463,
    ]),
];

fn agrees_with_reference<T: Scalar + Into<f64>>(tiny: f64) {
    let epsilon: f64 = T::default_epsilon().into();
    let z = row::<T>(&Z);
    for g in elementwise() {
        let straight = matches!(g, Identity | Relu | LeakyRelu { .. } | HardTanh);
        let listed = REFERENCE.iter().find(|(listed, _)| *listed == g);
        assert!(straight != listed.is_some(), "{g:?}");
        let expected = listed.map_or([0.0; 12], |(_, values)| *values);
        let found = curvature(g, &z);
        for (j, &z) in Z.iter().enumerate() {
            // One more factor than g′, and one more difference.
            let limit = 2.0 * units(g, z) * epsilon * expected[j].abs() + tiny;
            let what = format!("second derivative of {g:?} at {z}");
            assert_close(&what, found[j].into(), expected[j], limit);
        }
    }
}

#[test]
fn f64_agrees_with_reference() {
    agrees_with_reference::<f64>(f64::MIN_POSITIVE);
}

#[test]
fn f32_agrees_with_reference() {
    agrees_with_reference::<f32>(f32::MIN_POSITIVE.into());
}

/// z² and |z|³ overflow here. The result must not contain 0 · ∞ or ∞ − ∞. A NaN stays NaN.
#[test]
fn huge_arguments_and_nan() {
    for g in elementwise() {
        let double = curvature(g, &row::<f64>(&[-1e300, -1e160, -1e4, -0.0, 0.0]));
        let single = curvature(g, &row::<f32>(&[-1e38, -1e20, -1e4, -0.0, 0.0]));
        let single = single.cast::<f64>();
        assert!(double.iter().chain(&single).all(|x| x.is_finite()), "{g:?}");
        if g != Exponential {
            let double = curvature(g, &row::<f64>(&[1e4, 1e160, 1e300]));
            let single = curvature(g, &row::<f32>(&[1e4, 1e20, 1e38])).cast::<f64>();
            assert!(double.iter().chain(&single).all(|x| x.is_finite()), "{g:?}");
        }
        let (nan, one) = (row::<f64>(&[f64::NAN]), row::<f64>(&[1.0]));
        let (d, d_moved) = backward_tangent(g, &nan, &one, &one, &one);
        for x in [forward_tangent(g, &nan, &one)[0], d[0], d_moved[0]] {
            // The derivative of the identity is 1 for every z.
            assert!(x.is_nan() != (g == Identity), "{g:?}: {x}");
        }
        // A NaN of the next layer survives too, even where g′ = 0.
        let z = row::<f64>(&[-2.0]);
        assert!(backward_tangent(g, &z, &one, &nan, &one).0[0].is_nan());
        assert!(backward_tangent(g, &z, &one, &one, &nan).1[0].is_nan());
        assert!(forward_tangent(g, &z, &nan)[0].is_nan());
    }
}

/// At 0 softsign's g″ jumps from 2 to −2, and ELU's from α to 0.
#[test]
fn kinks_take_the_documented_side() {
    for zero in [0.0, -0.0] {
        let at = |g| curvature(g, &row::<f64>(&[zero]))[0];
        assert_eq!(at(Softsign), 0.0);
        assert_eq!(at(Elu { alpha: 1.5 }), 1.5);
        assert_eq!(at(Relu), 0.0);
    }
}

/// Some smooth functions have formulas with a branch at 0. Zeros of both signs and dual numbers
/// agree there.
#[test]
fn branches_meet_at_zero() {
    for g in elementwise() {
        // Here the branch is a kink or a jump of g″.
        if matches!(g, Relu | LeakyRelu { .. } | Elu { .. } | Selu | Softsign) {
            continue;
        }
        let z = row::<f64>(&[-0.0, 0.0]);
        let [moved, delta, delta_moved] = [0.2, 0.5, 0.9].map(|p| row::<f64>(&[p, p]));
        let expected = by_dual_numbers(g, &lift(&z, &moved), &lift(&delta, &delta_moved));
        let (d, d_moved) = backward_tangent(g, &z, &moved, &delta, &delta_moved);
        let found = [forward_tangent(g, &z, &moved), d, d_moved];
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found[0], found[1], "{g:?}");
            let what = format!("{g:?} at 0");
            assert_close(&what, found[0], expected[0], 1e-15);
            assert_close(&what, expected[1], expected[0], 1e-15);
        }
        let twice = value(g, &z.map(|z| Dual2_64::new(z, 1.0, 0.0)));
        let bend = curvature(g, &z);
        assert_close(&format!("{g:?} at 0"), bend[0], twice[0].v2, 1e-15);
    }
}

/// ȧ, δ and δ̇ of each column are sums of aᵢ aⱼ times numbers of size 1. They are accurate to 1e-14
/// of the largest aᵢ (1 − aᵢ) and, where the sums do not cancel, to 1e-13 of the largest entry.
#[track_caller]
fn softmax_agrees(z: &DMatrix<f64>, cancels: bool) {
    let ((rows, cols), a) = (z.shape(), value(Softmax, z));
    let [moved, delta, delta_moved] = [0.2, 0.5, 0.9].map(|phase| wave(rows, cols, phase));
    let expected = by_dual_numbers(Softmax, &lift(z, &moved), &lift(&delta, &delta_moved));
    let (d, d_moved) = backward_tangent(Softmax, z, &moved, &delta, &delta_moved);
    let found = [forward_tangent(Softmax, z, &moved), d, d_moved];
    for (what, (found, expected)) in ["ȧ", "δ", "δ̇"].iter().zip(found.iter().zip(&expected)) {
        for (k, (found, expected)) in found.column_iter().zip(expected.column_iter()).enumerate() {
            let a_k = a.column(k);
            let others = |i: usize| (0..rows).filter(move |&j| j != i).map(|j| a_k[j]);
            let size = (0..rows).map(|i| a_k[i] * others(i).sum::<f64>());
            let mut limit = 1e-14 * size.fold(0.0, f64::max);
            if !cancels {
                limit = limit.min(1e-13 * expected.amax());
            }
            for (&found, &expected) in found.iter().zip(&expected) {
                assert_close(
                    &format!("{what} at {}", z.column(k)),
                    found,
                    expected,
                    limit,
                );
            }
        }
    }
}

/// Mixed columns, a tie, and saturated columns, where no entry cancels.
#[test]
fn softmax_tangents_equal_those_of_dual_numbers() {
    #[rustfmt::skip]
    let z = DMatrix::from_column_slice(3, 6, &[
        0.3, -1.2, 2.5,   0.5, 0.5, 0.5,   40.0, 0.0, -1.0,
        -30.0, 2.0, -31.0,   800.0, -800.0, 799.0,   -1e4, 1e4, 0.0,
    ]);
    softmax_agrees(&z, false);
}

/// From nearly equal units to a single dominant one.
#[test]
fn softmax_tangents_at_random() {
    let mut random = rng(7);
    let mut uniform = || random.next_u64() as f64 / u64::MAX as f64;
    for units in 2..=9 {
        for scale in [0.01, 1.0, 10.0, 100.0, 1e4] {
            let z = DMatrix::from_fn(units, 20, |_, _| scale * uniform());
            softmax_agrees(&z, true);
        }
    }
}

/// Two units, p = a₁ and q = a₂: ∂a₁/∂z = pq (1, −1), with derivative pq (q − p) (ż₁ − ż₂) (1, −1)
/// along ż.
#[test]
fn saturated_softmax_by_hand() {
    let z = DMatrix::from_column_slice(2, 1, &[40.0, 0.0]);
    let tail = 4.248_354_255_291_589e-18; // pq, and q − p is −1
    let [moved, delta] = [[1.0, 3.0], [1.0, 2.0]].map(|v| DMatrix::from_column_slice(2, 1, &v));
    let (d, d_moved) = backward_tangent(Softmax, &z, &moved, &delta, &DMatrix::zeros(2, 1));
    let a_moved = forward_tangent(Softmax, &z, &moved);
    for (i, sign) in [1.0, -1.0].into_iter().enumerate() {
        let limit = 16.0 * f64::EPSILON * tail;
        assert_close("ȧ", a_moved[i], sign * -2.0 * tail, limit);
        assert_close("δ", d[i], sign * -tail, limit);
        // pq (q − p) (ż₁ − ż₂) (δ₁ − δ₂) = −pq · (−2) · (−1)
        assert_close("δ̇", d_moved[i], sign * -2.0 * tail, limit);
    }
}

/// In `f32`, at exact points, to a few units in the last place of the largest entry.
#[test]
fn f32_is_f64_rounded() {
    let z = DMatrix::from_fn(4, 5, |i, k| (4.0 * i as f64 - 3.0 * k as f64) / 4.0);
    let [moved, delta, delta_moved] =
        [0.2, 0.5, 0.9].map(|phase| wave(4, 5, phase).map(|x| f64::from(x as f32)));
    let single = |x: &DMatrix<f64>| x.map(|x| x as f32);
    for g in activations() {
        let (d, d_moved) = backward_tangent(g, &z, &moved, &delta, &delta_moved);
        let expected = [forward_tangent(g, &z, &moved), d, d_moved];
        let [z, moved, delta, delta_moved] = [&z, &moved, &delta, &delta_moved].map(single);
        let (d, d_moved) = backward_tangent(g, &z, &moved, &delta, &delta_moved);
        let found = [forward_tangent(g, &z, &moved), d, d_moved];
        for (found, expected) in found.iter().zip(&expected) {
            let limit = 8.0 * f64::from(f32::EPSILON) * expected.amax();
            for (&found, &expected) in found.iter().zip(expected) {
                assert_close(&format!("{g:?}"), found.into(), expected, limit);
            }
        }
    }
}

/// Views with gaps between their columns are computed by the plain loops, and δ agrees with
/// `backward`.
#[test]
fn parts_of_matrices_have_the_same_tangents() {
    let whole = [0.1, 0.2, 0.5, 0.9].map(|phase| wave(5, 4, phase));
    let [z, moved, delta, delta_moved] = &whole;
    for g in activations() {
        let part = |x: &DMatrix<f64>| x.rows(1, 3).clone_owned();
        let [z_part, moved_part] = [z, moved].map(part);
        let (d, d_moved) =
            backward_tangent(g, &z_part, &moved_part, &part(delta), &part(delta_moved));
        let expected = [forward_tangent(g, &z_part, &moved_part), d, d_moved];

        let mut a = DMatrix::repeat(5, 4, f64::NAN);
        a.rows_mut(1, 3).copy_from(&value(g, &z_part));
        let (z, a, moved) = (z.rows(1, 3), a.rows(1, 3), moved.rows(1, 3));
        let mut out = DMatrix::repeat(5, 4, f64::NAN);
        g.forward_tangent(z, a, moved, out.rows_mut(1, 3)).unwrap();
        let (mut d, mut d_moved) = (delta.clone(), delta_moved.clone());
        let views = (d.rows_mut(1, 3), d_moved.rows_mut(1, 3));
        g.backward_tangent(z, a, moved, views.0, views.1).unwrap();
        let mut plain = part(delta);
        g.backward(z, a, plain.as_view_mut());
        for (found, expected) in [&out, &d, &d_moved].into_iter().zip(&expected) {
            assert!((found.rows(1, 3) - expected).amax() < 1e-14, "{g:?}");
        }
        assert!((d.rows(1, 3) - plain).amax() < 1e-14, "{g:?}");
        let outside = [(&d, delta), (&d_moved, delta_moved)];
        for (found, before) in outside {
            assert_eq!((found.row(0), found.row(4)), (before.row(0), before.row(4)));
        }
    }
}
