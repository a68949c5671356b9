//! Schedules between epochs and beyond their ends, what watches J, and gradients that are hard to clip.

use backprop::training::{Clipping, Plateau, Schedule};

#[test]
fn schedules_end_where_they_say() {
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
    // A warm-up leads to where the rest begins, without a jump.
    let warm = cycle.warm_up(2.0, 0.0);
    assert_eq!(warm.factor(0.0), 0.0);
    assert_eq!(warm.factor(1.0), 0.125);
    assert_eq!(warm.factor(2.0), 0.25);
    assert!((warm.factor(7.0) - 1.0).abs() < 1e-15);
}

#[test]
fn a_plateau_counts_what_is_not_finite_as_no_improvement() {
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
    // Squares are beyond the range of `f32` in both directions.
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
    // The norm itself is beyond: the direction is kept.
    let mut gradient = [3e38_f32, -3e38, 0.0];
    assert_eq!(Clipping::Norm(2.0).apply(&mut gradient), f32::INFINITY);
    let half = std::f32::consts::SQRT_2;
    assert!((gradient[0] - half).abs() < 1e-6 && (gradient[1] + half).abs() < 1e-6);
    let mut nothing = [0.0_f64; 3];
    assert_eq!(Clipping::Norm(1.0).apply(&mut nothing), 0.0);
    assert_eq!(nothing, [0.0; 3]);
    assert_eq!(Clipping::Norm(1.0).apply::<f64>(&mut []), 0.0);
    // The smallest numbers there are.
    let mut gradient = [5e-324_f64, 0.0];
    assert_eq!(Clipping::Norm(1.0).apply(&mut gradient), 5e-324);
}

#[test]
fn what_is_not_finite_stays_visible() {
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
