//! The loops of normalisation at every level, against sums and entries that are written out.

use super::{Grouping, Normalise, Sums, Sweep, group_sums, normalise, sweep, sweep_from};
use crate::kernels::at_every_level;
use crate::scalar::{Scalar, real, to_f64};

/// Groups, and the number of entries: runs and units shorter, as long and longer than registers,
/// chains and blocks.
fn groupings() -> Vec<(Grouping, usize)> {
    let mut all = Vec::new();
    for len in [1, 2, 3, 15, 16, 17, 64, 511, 513, 1100] {
        for groups in [1, 2, 5] {
            all.push((Grouping::Runs { len }, groups * len));
        }
    }
    for (count, len) in [
        (1, 1),
        (3, 1),
        (63, 1),
        (64, 1),
        (65, 1),
        (130, 1),
        (3, 2),
        (2, 17),
        (5, 520),
    ] {
        for examples in [1, 2, 31, 33, 70] {
            all.push((Grouping::Cycle { count, len }, examples * count * len));
        }
    }
    all
}

/// The group of an entry.
fn group(by: Grouping, entry: usize) -> usize {
    match by {
        Grouping::Runs { len } => entry / len,
        Grouping::Cycle { count, len } => entry / len % count,
    }
}

fn wave<T: Scalar>(len: usize, phase: f64) -> Vec<T> {
    (0..len)
        .map(|i| real(1.5 + (phase + 1.7 * i as f64).sin()))
        .collect()
}

fn sums_agree<T: Scalar>() {
    for (by, len) in groupings() {
        let groups = (0..len)
            .map(|i| group(by, i))
            .max()
            .map_or(0, |last| last + 1);
        let (u, q) = (wave::<T>(len, 0.3), wave::<T>(len, 1.1));
        let c = wave::<T>(groups, 2.0);
        for (center, with) in [(None, None), (Some(&c[..]), None), (None, Some(&q[..]))] {
            let of = Sums {
                by,
                u: &u,
                center,
                with,
            };
            let mut found = [vec![real(f64::NAN); groups], vec![real(f64::NAN); groups]];
            let [first, second] = &mut found;
            group_sums(of, first, second);
            // Sums with their rounding errors, by Neumaier's method.
            let mut expected = vec![[[0.0_f64; 2]; 2]; groups];
            let mut sizes = vec![[0.0; 2]; groups];
            for i in 0..len {
                let g = group(by, i);
                let p = center.map_or(u[i], |c| u[i] - c[g]);
                let pq = to_f64(p) * to_f64(with.map_or(p, |q| q[i]));
                for (k, term) in [to_f64(p), pq].into_iter().enumerate() {
                    let [sum, lost] = &mut expected[g][k];
                    let next = *sum + term;
                    *lost += if sum.abs() >= term.abs() {
                        (*sum - next) + term
                    } else {
                        (term - next) + *sum
                    };
                    *sum = next;
                    sizes[g][k] += term.abs();
                }
            }
            let unit = to_f64(T::default_epsilon());
            for g in 0..groups {
                for k in 0..2 {
                    let [sum, lost] = expected[g][k];
                    let error = (to_f64(found[k][g]) - (sum + lost)).abs();
                    assert!(error <= 16.0 * unit * sizes[g][k], "{by:?}, {len}: {error}");
                }
            }
        }
    }
}

fn sweeps_agree<T: Scalar>() {
    for (by, len) in groupings() {
        let groups = (0..len)
            .map(|i| group(by, i))
            .max()
            .map_or(0, |last| last + 1);
        let (a, x) = (wave::<T>(len, 0.3), wave::<T>(len, 1.1));
        let (c, s, r) = (
            wave::<T>(groups, 2.0),
            wave::<T>(groups, 2.6),
            wave::<T>(groups, 0.9),
        );
        let (c, s, r) = (&c[..], &s[..], &r[..]);
        type Formula<T> = fn([T; 5]) -> T;
        let all: [(Sweep<'_, T>, Formula<T>); 7] = [
            (Sweep::Scale(s), |[a, _, _, s, _]| a * s),
            (
                Sweep::Project {
                    normal: &x,
                    center: None,
                    along: s,
                    scale: Some(r),
                },
                |[a, x, _, s, r]| (a - x * s) * r,
            ),
            (
                Sweep::Project {
                    normal: &x,
                    center: Some(c),
                    along: s,
                    scale: Some(r),
                },
                |[a, x, c, s, r]| (a - c - x * s) * r,
            ),
            (
                Sweep::Project {
                    normal: &x,
                    center: None,
                    along: s,
                    scale: None,
                },
                |[a, x, _, s, _]| a - x * s,
            ),
            (
                Sweep::Project {
                    normal: &x,
                    center: Some(c),
                    along: s,
                    scale: None,
                },
                |[a, x, c, s, _]| a - c - x * s,
            ),
            (
                Sweep::Add {
                    x: &x,
                    scale: s,
                    shift: Some(c),
                },
                |[a, x, c, s, _]| a + (x * s + c),
            ),
            (
                Sweep::Add {
                    x: &x,
                    scale: s,
                    shift: None,
                },
                |[a, x, _, s, _]| a + x * s,
            ),
        ];
        for (kind, formula) in all {
            let mut found = a.clone();
            sweep(by, kind, &mut found);
            let mut elsewhere = vec![real(f64::NAN); len];
            sweep_from(by, kind, &a, &mut elsewhere);
            assert_eq!(elsewhere, found, "{by:?}, {len}, {kind:?}");
            for i in 0..len {
                let g = group(by, i);
                let expected = formula([a[i], x[i], c[g], s[g], r[g]]);
                assert_eq!(found[i], expected, "{by:?}, {len}, {kind:?}, entry {i}");
            }
        }
    }
}

/// x̂ and a with and without γ and β, for the entries of a group or for each entry of a run, and
/// without room for x̂.
fn normals_agree<T: Scalar>() {
    for (by, len) in groupings() {
        let runs = match by {
            Grouping::Runs { len } => Some(Grouping::Cycle { count: len, len: 1 }),
            Grouping::Cycle { .. } => None,
        };
        let (x, per) = (wave::<T>(len, 0.3), runs.unwrap_or(by));
        let groups = 1 + (0..len).map(|i| group(by, i)).max().unwrap_or(0);
        let units = 1 + (0..len).map(|i| group(per, i)).max().unwrap_or(0);
        let (center, scale) = (&wave::<T>(groups, 2.0)[..], &wave::<T>(groups, 2.6)[..]);
        let left = &wave::<T>(groups, 0.2)[..];
        let (gammas, betas) = (&wave::<T>(units, 0.9)[..], &wave::<T>(units, 1.9)[..]);
        for (gamma, beta) in [
            (None, None),
            (Some(gammas), None),
            (Some(gammas), Some(betas)),
        ] {
            let of = Normalise {
                by,
                x: &x,
                center,
                left,
                scale,
                per,
                gamma,
                beta,
            };
            let mut a = vec![real(f64::NAN); len];
            let (mut normal, mut alone) = (a.clone(), a.clone());
            normalise(of, &mut a, &mut normal);
            normalise(of, &mut alone, &mut []);
            assert_eq!(a, alone, "{by:?}, {len}");
            for i in 0..len {
                let (g, unit) = (group(by, i), group(per, i));
                let expected = (x[i] - center[g] - left[g]) * scale[g];
                assert_eq!(normal[i], expected, "{by:?}, {len}, entry {i}");
                let scaled = gamma.map_or(expected, |gamma| expected * gamma[unit]);
                let expected = beta.map_or(scaled, |beta| scaled + beta[unit]);
                assert_eq!(a[i], expected, "{by:?}, {len}, entry {i}");
            }
        }
    }
}

#[test]
fn normals_are_their_formulas() {
    at_every_level(|_| {
        normals_agree::<f32>();
        normals_agree::<f64>();
    });
    normals_agree::<num_dual::Dual64>();
}

#[test]
fn sums_are_those_of_the_terms() {
    at_every_level(|_| {
        sums_agree::<f32>();
        sums_agree::<f64>();
    });
    sums_agree::<num_dual::Dual64>();
}

#[test]
fn sweeps_are_their_formulas() {
    at_every_level(|_| {
        sweeps_agree::<f32>();
        sweeps_agree::<f64>();
    });
    sweeps_agree::<num_dual::Dual64>();
}

/// All levels have the same bits.
#[test]
fn sums_have_the_same_bits_at_every_level() {
    for (by, len) in groupings() {
        let (u, q) = (wave::<f32>(len, 0.3), wave::<f32>(len, 1.1));
        let mut first_level = None;
        at_every_level_in_turn(|| {
            let mut sums = [vec![0.0; len], vec![0.0; len]];
            let of = Sums {
                by,
                u: &u,
                center: None,
                with: Some(&q),
            };
            let groups = (0..len)
                .map(|i| group(by, i))
                .max()
                .map_or(0, |last| last + 1);
            let [first, second] = &mut sums;
            group_sums(of, &mut first[..groups], &mut second[..groups]);
            let bits: Vec<u32> = sums.iter().flatten().map(|x| x.to_bits()).collect();
            let expected = first_level.get_or_insert_with(|| bits.clone());
            assert_eq!(*expected, bits, "{by:?}, {len}");
        });
    }
}

/// Calls `f` at each level, one after the other.
fn at_every_level_in_turn(f: impl FnMut() + Send) {
    let f = std::sync::Mutex::new(f);
    #[allow(clippy::unwrap_used, reason = "a test helper may panic")]
    at_every_level(|_| (f.lock().unwrap())());
}

/// The error of 10⁵ terms in `f32` is that of a chain of 32.
#[test]
fn long_sums_do_not_lose_digits() {
    let n = 100_000;
    let u = vec![0.1_f32; 3 * n];
    for by in [
        Grouping::Runs { len: 3 * n },
        Grouping::Cycle { count: 3, len: 1 },
    ] {
        let mut sums = [vec![0.0; 3], vec![0.0; 3]];
        let [first, second] = &mut sums;
        let groups = if matches!(by, Grouping::Runs { .. }) {
            1
        } else {
            3
        };
        let of = Sums {
            by,
            u: &u,
            center: None,
            with: None,
        };
        group_sums(of, &mut first[..groups], &mut second[..groups]);
        let expected = f64::from(0.1_f32) * (3 * n / groups) as f64;
        let error = (f64::from(first[0]) / expected - 1.0).abs();
        // A chain of 32 equal terms loses a little, and always in the same direction.
        assert!(error < 1e-6, "{by:?}: {error}");
    }
}
