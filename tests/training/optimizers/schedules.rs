//! Schedules between epochs and beyond their ends, plateaus, and gradients that are hard to clip.

use backprop::training::{Clipping, Plateau, Schedule};

#[test]
fn schedules_end_at_their_documented_values() {
    let cosine = Schedule::Cosine {
        over: 4.0,
        floor: 0.25,
    };
    let cycle = Schedule::OneCycle {
        over: 10.0,
        rise: 0.5,
        start: 0.25,
        end: 0.125,
    };
    for epoch in [4.0, 4.5, 1e9, f64::INFINITY] {
        assert_eq!(cosine.factor(epoch), 0.25);
    }
    for (epoch, expected) in [
        (-3.0, 0.25),
        (0.0, 0.25),
        (2.5, 0.625),
        (5.0, 1.0),
        (7.5, 0.5625),
        (10.0, 0.125),
        (99.0, 0.125),
    ] {
        assert!((cycle.factor(epoch) - expected).abs() < 1e-15, "{epoch}");
    }
    for rise in [0.0, 1.0] {
        let (start, end) = (0.5, 0.25);
        let edge = Schedule::OneCycle {
            over: 2.0,
            rise,
            start,
            end,
        };
        let first = if rise == 0.0 { 1.0 } else { start };
        assert_eq!(edge.factor(0.0), first);
        assert_eq!(edge.factor(2.0), end);
    }
    let root = Schedule::Exponential { factor: 0.25 }.factor(0.5);
    assert!((root - 0.5).abs() < 1e-15);
    // A warm-up ends where the rest begins, without a jump.
    let warm = cycle.warm_up(2.0, 0.0);
    assert_eq!(warm.factor(0.0), 0.0);
    assert_eq!(warm.factor(1.0), 0.125);
    assert_eq!(warm.factor(2.0), 0.25);
    assert!((warm.factor(7.0) - 1.0).abs() < 1e-15);
}

#[test]
fn a_non_finite_value_never_improves_on_a_plateau() {
    let mut plateau = Schedule::on_plateau(0, 0.5).plateau().unwrap();
    assert_eq!(plateau.best(), None);
    let values = [f64::INFINITY, 3.0, f64::NAN, -2.0, f64::NEG_INFINITY, -3.0];
    let factors = values.map(|value| plateau.observe(value));
    assert_eq!(factors, [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]);
    assert_eq!((plateau.best(), plateau.factor()), (Some(-3.0), 0.125));
}

#[test]
fn a_plateau_follows_a_warm_up_and_is_saved_with_its_state() {
    assert_eq!(Schedule::Constant.plateau(), None);
    let schedule = Schedule::on_plateau(1, 0.5).warm_up(3.0, 0.1);
    assert_eq!(schedule.factor(3.0), 1.0);
    let mut plateau = schedule.plateau().unwrap();
    assert_eq!(plateau.observe(1.0), 1.0);
    assert_eq!(plateau.observe(1.0), 1.0);
    let json = serde_json::to_string(&plateau).unwrap();
    let mut read: Plateau = serde_json::from_str(&json).unwrap();
    assert_eq!(read, plateau);
    assert_eq!((read.observe(1.0), plateau.observe(1.0)), (0.5, 0.5));
}

#[test]
fn schedules_and_clippings_are_saved_by_their_names() {
    let schedule = Schedule::one_cycle(30.0).warm_up(2.0, 0.5);
    let json = serde_json::to_string(&schedule).unwrap();
    assert!(json.starts_with(r#"{"warm_up":{"epochs":2.0,"from":0.5,"then":{"one_cycle":"#));
    assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    assert_eq!(
        serde_json::to_string(&Schedule::Constant).unwrap(),
        r#""constant""#
    );
    let wrong = r#"{"exponential": {"factor": 0.5, "every": 2}}"#;
    assert!(serde_json::from_str::<Schedule>(wrong).is_err());
    let json = serde_json::to_string(&Clipping::Norm(0.5)).unwrap();
    assert_eq!(json, r#"{"norm":0.5}"#);
}

#[test]
fn the_norm_neither_overflows_nor_underflows() {
    // The squares overflow or underflow in `f32`.
    for scale in [1e30_f32, 1e-30] {
        let mut gradient = [3.0 * scale, 4.0 * scale, 0.0];
        let norm = Clipping::Norm(1e6).apply(&mut gradient);
        assert!((norm / (5.0 * scale) - 1.0).abs() < 1e-6, "{norm}");
        if scale > 1.0 {
            assert!((gradient[0] / 6e5 - 1.0).abs() < 1e-6);
            assert!((gradient[1] / 8e5 - 1.0).abs() < 1e-6);
        } else {
            assert_eq!(gradient, [3.0 * scale, 4.0 * scale, 0.0]);
        }
    }
    // The norm itself overflows. The direction is kept.
    let mut gradient = [3e38_f32, -3e38, 0.0];
    assert_eq!(Clipping::Norm(2.0).apply(&mut gradient), f32::INFINITY);
    let half = std::f32::consts::SQRT_2;
    assert!((gradient[0] - half).abs() < 1e-6 && (gradient[1] + half).abs() < 1e-6);
    let mut nothing = [0.0_f64; 3];
    assert_eq!(Clipping::Norm(1.0).apply(&mut nothing), 0.0);
    assert_eq!(nothing, [0.0; 3]);
    assert_eq!(Clipping::Norm(1.0).apply::<f64>(&mut []), 0.0);
    // The smallest positive number.
    let mut gradient = [5e-324_f64, 0.0];
    assert_eq!(Clipping::Norm(1.0).apply(&mut gradient), 5e-324);
}

#[test]
fn non_finite_entries_stay_visible() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut gradient = [1.0, wrong, 300.0];
        assert!(!Clipping::Norm(1.0).apply(&mut gradient).is_finite());
        assert_eq!((gradient[0], gradient[2]), (1.0, 300.0));
        assert!(!gradient[1].is_finite());
    }
    let mut gradient = [f64::NAN, f64::INFINITY, -7.0];
    assert!(Clipping::Value(2.0).apply(&mut gradient).is_nan());
    assert!(gradient[0].is_nan());
    assert_eq!(gradient[1..], [2.0, -2.0]);
}

/// Returns ⌊(done/steps)/every⌋ in integers, where `every` is digits/10^places.
fn changes(done: u64, steps: u64, digits: u128, places: u32) -> u128 {
    u128::from(done) * 10_u128.pow(places) / (digits * u128::from(steps))
}

/// Returns how often a factor of 0.999999 was applied.
fn count(factor: f64) -> u128 {
    let count = factor.ln() / 0.999_999_f64.ln();
    assert!((count - count.round()).abs() < 1e-3, "{count}");
    count.round() as u128
}

/// In `f64`, 3 · 0.2 is above 0.6, and 0.3/0.1 is below 3.
#[test]
fn scheduled_drops_come_in_the_right_step() {
    let factor = 0.999_999;
    for (every, (digits, places), steps, all) in [
        (0.2, (2, 1), 5, 1_000_000),
        (0.1, (1, 1), 10, 100_000),
        (0.07, (7, 2), 100, 100_000),
        (0.3, (3, 1), 10, 100_000),
        (0.7, (7, 1), 20, 100_000),
        (1.1, (11, 1), 30, 100_000),
        (2.0, (2, 0), 7, 100_000),
        (1e-3, (1, 3), 1000, 100_000),
        // These are written with all their digits.
        (1.0 / 3.0, (3_333_333_333_333_333, 16), 3, 100_000),
        (0.1 + 0.2, (30_000_000_000_000_004, 17), 10, 100_000),
    ] {
        let schedule = Schedule::Step { every, factor };
        for done in 0..all {
            let expected = changes(done, steps, digits, places);
            let found = schedule.factor_at(done / steps, done % steps, steps);
            assert_eq!(count(found), expected, "step {done}/{steps}, every {every}");
            // A decimal with a few digits gives the same result.
            if steps % 3 != 0 && steps != 7 {
                let found = schedule.factor(done as f64 / steps as f64);
                assert_eq!(count(found), expected, "{done}/{steps} by {every}");
            }
        }
    }
    let halved = Schedule::Step {
        every: 0.2,
        factor: 0.5,
    };
    assert_eq!(halved.factor(0.6), 0.125);
    for (every, expected) in [(1e-300, 0.0), (5e-324, 0.0), (1e300, 1.0), (f64::MAX, 1.0)] {
        let schedule = Schedule::Step { every, factor: 0.5 };
        assert_eq!(schedule.factor_at(1 << 40, 1, 3), expected);
        assert_eq!(schedule.factor(1e15 / 3.0), expected);
    }
}

/// Tries every length and every step in tenths. The schedule after a warm-up begins in the first
/// step after it, and ends in its own last step.
#[test]
fn the_schedule_starts_right_after_the_warm_up() {
    for warm in 1..30_u64 {
        for length in 1..30_u64 {
            let tenths = |count: u64| count as f64 / 10.0;
            let step = Schedule::Step {
                every: tenths(length),
                factor: 0.5,
            };
            let step = step.warm_up(tenths(warm), 0.25);
            // It jumps from 1 to 0.25 at its end.
            let cycle = Schedule::OneCycle {
                over: tenths(length),
                rise: 1.0,
                start: 0.5,
                end: 0.25,
            };
            let twice = cycle.clone().warm_up(tenths(warm), 0.5).warm_up(0.3, 0.5);
            let cosine = Schedule::Cosine {
                over: tenths(length),
                floor: 0.7,
            }
            .warm_up(tenths(warm), 0.0);
            for done in 0..80_u64 {
                let at = |schedule: &Schedule| {
                    let found = schedule.factor_at(done / 10, done % 10, 10);
                    // Fifths, tenths and decimals agree.
                    if done % 2 == 0 {
                        assert_eq!(found, schedule.factor_at(done / 10, done % 10 / 2, 5));
                    }
                    let decimal = schedule.factor(done as f64 / 10.0);
                    assert!(
                        (decimal - found).abs() < 1e-14,
                        "{schedule:?} at {done}: {decimal}, {found}"
                    );
                    found
                };
                let message = format!("{warm}, {length}, {done}");
                match done.checked_sub(warm) {
                    None => assert!(at(&step) < 1.0, "{message}"),
                    Some(after) => {
                        assert_eq!(
                            at(&step),
                            0.5_f64.powi((after / length) as i32),
                            "{message}"
                        );
                    }
                }
                match done.checked_sub(warm + 3) {
                    Some(after) if after >= length => assert_eq!(at(&twice), 0.25, "{message}"),
                    Some(0) => assert_eq!(at(&twice), 0.5, "{message}"),
                    Some(_) => assert!(at(&twice) > 0.5, "{message}"),
                    None => assert!(at(&twice) < 0.5, "{message}"),
                }
                match done.checked_sub(warm) {
                    Some(after) if after >= length => assert_eq!(at(&cosine), 0.7, "{message}"),
                    Some(0) => assert_eq!(at(&cosine), 1.0, "{message}"),
                    _ => assert!(at(&cosine) < 1.0, "{message}"),
                }
            }
        }
    }
}

/// The peak of a cycle is exactly 1, whatever its ends.
#[test]
fn a_cycle_peaks_at_one() {
    for over in [0.7, 10.0, 30.0] {
        for (start, end) in [(0.04, 4e-6), (0.3, 0.1), (0.0, 0.7)] {
            for rise in [0.1, 0.25, 0.3, 0.9] {
                let cycle = Schedule::OneCycle {
                    over,
                    rise,
                    start,
                    end,
                };
                assert_eq!(cycle.factor(rise * over), 1.0);
                assert_eq!((cycle.factor(0.0), cycle.factor(over)), (start, end));
            }
        }
    }
}
