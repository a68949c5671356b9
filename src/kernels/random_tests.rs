use super::super::at_every_level;
use super::*;

/// Lengths around blocks and registers.
const LENGTHS: [usize; 16] = [
    0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 127, 128, 129, 255, 1000,
];

fn input(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * 0.7).sin() + 2.0).collect()
}

/// The first outputs for the seed 1234567 of the reference implementation in C.
#[test]
fn mix_is_splitmix64() {
    let expected = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];
    for (i, expected) in expected.into_iter().enumerate() {
        assert_eq!(mix(1_234_567, i as u64 + 1), expected);
    }
}

/// Whether number n of a state drops its entry, by the definition.
fn is_dropped(state: u64, n: u64, p: f64) -> bool {
    let word = mix(state, n / 2 + 1);
    let half = if n.is_multiple_of(2) {
        word
    } else {
        word >> 32
    };
    // The numbers from i32::MIN to i32::MAX, as a fraction.
    let place = f64::from(half as u32 as i32) + 2_147_483_648.0;
    place < (p * 4_294_967_296.0).round()
}

/// Compares a mask with its definition. The numbers are scaled by powers of 2, so a product in any
/// precision is exact.
fn compare<T: Scalar>(p: f64, mask_with: impl Fn(Mask<T>, &[T], &mut [T])) {
    for n in LENGTHS {
        for first in [0, 1, 2, 3, 77, (1 << 40) + 1] {
            let draws = Draws { state: 99, first };
            let mask = Mask::<T>::new(draws, p);
            let x: Vec<T> = input(n)
                .into_iter()
                .map(|x| real(f64::from(x as f32)))
                .collect();
            let mut a = vec![real::<T>(f64::NAN); n];
            mask_with(mask, &x, &mut a);
            for (i, (&a, &x)) in a.iter().zip(&x).enumerate() {
                let number = first.wrapping_add(i as u64);
                let expected = match is_dropped(99, number, p) {
                    true => T::zero(),
                    false => x * real(1.0 / (1.0 - p)),
                };
                assert_eq!(a, expected, "n = {n}, first {first}, p = {p}, entry {i}");
            }
        }
    }
}

#[test]
fn masks_are_the_same_at_every_level() {
    at_every_level(|_| {
        for p in [0.5, 0.75, 0.25] {
            compare::<f32>(p, mask_at);
            compare::<f64>(p, mask_at);
        }
        for p in [0.1, 0.4, 1e-3, 0.999] {
            compare::<f64>(p, mask_at);
        }
    });
    compare::<f64>(0.3, mask_plainly);
    compare::<num_dual::Dual64>(0.3, mask_plainly);
}

/// p is rounded to a multiple of 2⁻³², and at least one of 2³² numbers keeps its entry.
#[test]
fn a_threshold_is_the_nearest() {
    let unit = 0.5_f64.powi(32);
    let draws = Draws::new(1, 1, 0);
    for (p, dropped) in [
        (0.0, 0),
        (0.4 * unit, 0),
        (0.6 * unit, 1),
        (3.0 * unit, 3),
        (0.5, 1 << 31),
        (0.1, 429_496_730),
        (1.0 - unit, (1_i64 << 32) - 1),
        (1.0 - f64::EPSILON / 2.0, (1 << 32) - 1),
    ] {
        let least = Mask::<f64>::new(draws, p).least;
        assert_eq!(i64::from(least) - i64::from(i32::MIN), dropped, "{p}");
    }
    let scale = Mask::<f64>::new(draws, 0.75).scale;
    assert_eq!(scale, 4.0);
}

/// The columns of X may be apart. The numbers are counted as if they were not.
#[test]
fn gaps_between_columns_have_no_numbers() {
    let (rows, m) = (7, 5);
    let x = input(rows * m);
    let mut apart = vec![f64::NAN; 10 * m];
    for (apart, x) in apart.chunks_mut(10).zip(x.chunks(rows)) {
        apart[..rows].copy_from_slice(x);
    }
    let whole = DMatrixView::from_slice(&x, rows, m);
    let apart = DMatrixView::from_slice(&apart, 10, m);
    let apart = super::super::rows(apart, 0..rows);
    for first_example in [0, 3] {
        let draws = Draws::new(5, rows, first_example);
        let mut results = [(); 4].map(|()| vec![f64::NAN; rows * m]);
        let [a, b, c, d] = results
            .each_mut()
            .map(|a| DMatrixViewMut::from_slice(a, rows, m));
        apply_mask(Mask::new(draws, 0.5), whole, a);
        apply_mask(Mask::new(draws, 0.5), apart, b);
        add_noise(draws, 0.5, whole, c);
        add_noise(draws, 0.5, apart, d);
        assert_eq!(results[0], results[1]);
        assert_eq!(results[2], results[3]);
    }
}

/// Φ⁻¹ at 40 digits, rounded: in the centre, outside, far outside, and at both ends.
#[test]
fn quantiles_are_accurate() {
    for (word, expected) in [
        (0, -8.209_536_151_601_387),
        (0x1000, -8.076_571_004_130_125),
        (0x1234_5678_9abc_def0, -1.467_565_731_313_297_6),
        (0x8000_0000_0000_0000, 2.782_916_424_671_767e-16),
        (0x7fff_ffff_ffff_ffff, -2.782_916_424_671_767e-16),
        (0xfedc_ba98_7654_3210, 2.616_298_203_643_967),
        (0x0010_0000_0000_0000, -3.487_104_104_114_309_5),
        (0x0000_0000_1234_5678, -6.632_013_921_576_624),
        (u64::MAX, 8.209_536_151_601_387),
        (0x1333_3333_3333_3333, -1.439_531_470_938_455_4),
        (0x1333_3333_ffff_ffff, -1.439_531_469_622_615_1),
        (0x0000_0000_4000_0000, -6.443_934_237_214_046),
        (0x0000_0300_0000_0000, -5.090_230_845_204_124_5),
    ] {
        let q = centred(word);
        let found = normal_quantile(q);
        let error = (found - expected).abs() / expected.abs();
        assert!(error <= 8.0 * f64::EPSILON, "{word:#x}: {found} {error:e}");
        assert!(found.abs() < LARGEST_NORMAL);
    }
}

#[test]
fn normal_numbers_are_the_same_at_every_level() {
    for n in LENGTHS {
        for first in [0, 1, 130, u64::MAX - 2] {
            let x = input(n);
            let expected: Vec<f64> = (0..n as u64)
                .map(|i| {
                    let q = centred(mix(42, first.wrapping_add(i + 1)));
                    let normal = normal_quantile(q);
                    x[i as usize] + 0.3 * normal
                })
                .collect();
            at_every_level(|level| {
                let mut a = vec![f64::NAN; n];
                let x = DMatrixView::from_slice(&x, n, 1);
                let draws = Draws { state: 42, first };
                add_noise(draws, 0.3, x, DMatrixViewMut::from_slice(&mut a, n, 1));
                assert_eq!(a, expected, "{level:?}, n = {n}, first {first}");
            });
        }
    }
}
