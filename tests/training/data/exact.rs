//! Scaled rows against exact values (`exact.py`); fitted examples never leave their interval.

use super::{list, uniform};
use backprop::data::{MinMaxScaler, Scaler, Standardizer};
use backprop::metrics::{Metric, R2};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::{Scalar, rng};
use serde_json::Value;
use std::sync::LazyLock;

/// Statistics, scaled rows and scores from fractions (`exact.py`).
static EXACT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("exact.json")).unwrap());

/// Rows that are far from 0, or that vary only in their last bits, are scaled as in exact
/// arithmetic, up to a few rounding errors in T.
#[test]
fn rows_equal_exact_arithmetic() {
    fn check<T: Scalar>(row: &Value, to: fn(f64) -> T, from: fn(T) -> f64) {
        let epsilon = from(T::default_epsilon());
        let numbers = |name: &str| list::<f64>(&row[name]);
        let values = numbers("x");
        let x = DMatrix::from_fn(1, values.len(), |_, k| to(values[k]));
        let size = values.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        let close = |what: &str, found: T, expected: f64, size: f64| {
            let off = (from(found) - expected).abs();
            assert!(
                off <= 3.0 * epsilon * size,
                "{what}: {} and {expected}, {values:?}",
                from(found)
            );
        };

        let scaler = Standardizer::fit(&x).unwrap();
        let (mean, deviation) = (&row["mean"], row["deviation"].as_f64().unwrap());
        close("mean", scaler.means()[0], mean.as_f64().unwrap(), size);
        close("deviation", scaler.deviations()[0], deviation, deviation);
        let z = scaler.apply(&x).unwrap();
        for (&found, expected) in z.iter().zip(numbers("standard")) {
            close("z", found, expected, expected.abs().max(0.1));
        }
        let back = scaler.invert(&z).unwrap();
        for (&found, &expected) in back.iter().zip(&values) {
            close("back", found, expected, size);
        }

        let scaler = MinMaxScaler::fit(&x).unwrap();
        let unit = scaler.apply(&x).unwrap();
        for (&found, expected) in unit.iter().zip(numbers("unit")) {
            close("t", found, expected, expected);
        }
        let scaler = scaler.interval(-0.1, 0.3).unwrap();
        for (&found, expected) in scaler.apply(&x).unwrap().iter().zip(numbers("interval")) {
            close("of the interval", found, expected, 0.3);
        }
    }
    let rows = EXACT["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 19);
    for row in rows {
        match row["scalar"].as_str() {
            Some("f32") => check::<f32>(row, |x| x as f32, f64::from),
            _ => check::<f64>(row, |x| x, |x| x),
        }
    }
}

/// Rows of a counter and a pressure whose spread is at most 10⁻⁶ of their size.
#[test]
fn rows_that_vary_by_a_bit() {
    let counter = DMatrix::from_fn(1, 13, |_, k| 1.7e9_f32 + 128.0 * k as f32);
    let pressure = DMatrix::from_fn(1, 13, |_, k| 101_325.0_f32 + k as f32 / 128.0);
    for x in [counter, pressure] {
        let z = Standardizer::fit(&x).unwrap().apply(&x).unwrap();
        let unit = MinMaxScaler::fit(&x).unwrap().apply(&x).unwrap();
        for k in 0..13 {
            // (k − 6)/√14.
            let expected = (k as f32 - 6.0) / 14.0_f32.sqrt();
            assert!((z[k] - expected).abs() <= 2e-7, "{} {expected}", z[k]);
            assert!((unit[k] - k as f32 / 12.0).abs() <= 6e-8);
        }
        assert_eq!((unit[0], unit[12]), (0.0, 1.0));
    }
    // Eight equal values, and one that is larger by one unit in the last place: −1/√8 and √8.
    let mut x = DMatrix::repeat(1, 9, 0.3);
    x[3] = 0.1 + 0.2;
    let z = Standardizer::fit(&x).unwrap().apply(&x).unwrap();
    for (k, z) in z.iter().enumerate() {
        let expected = if k == 3 {
            8.0_f64.sqrt()
        } else {
            -(0.125_f64.sqrt())
        };
        assert!((z - expected).abs() <= 1e-15, "{z}");
    }
}

/// R² of targets that differ in their last bits. Their mean lies between two neighbouring floats.
#[test]
fn scores_equal_exact_arithmetic() {
    let scores = EXACT["r2"].as_array().unwrap();
    assert_eq!(scores.len(), 4);
    for score in scores {
        let row = |name: &str| {
            let values = list::<f64>(&score[name]);
            DMatrix::from_row_slice(1, values.len(), &values)
        };
        let found = R2.evaluate(row("outputs").as_view(), row("targets").as_view());
        let expected = score["r2"].as_f64().unwrap();
        assert!((found.unwrap() - expected).abs() <= 1e-15, "{score}");
    }
}

/// A file contains the rounding remainders of the means only if one is not 0. Files without them
/// load too.
#[test]
fn rounding_remainders_are_saved() {
    let x = dmatrix![16_777_216.0_f32, 16_777_218.0, 16_777_218.0];
    let scaler = Standardizer::fit(&x).unwrap();
    let text = serde_json::to_string(&scaler).unwrap();
    assert!(text.contains(r#""rests":["#), "{text}");
    let read: Standardizer<f32> = serde_json::from_str(&text).unwrap();
    assert_eq!(read.apply(&x), scaler.apply(&x));
    // Without the remainder, z follows from the rounded mean.
    let known = Standardizer::new(scaler.means().to_vec(), scaler.deviations().to_vec()).unwrap();
    assert_ne!(known.apply(&x), scaler.apply(&x));
    assert_ne!(known, scaler);
    assert_eq!(read, scaler);
    assert!(!serde_json::to_string(&known).unwrap().contains("rests"));
    let wrong = text.replace(r#""rests":["#, r#""rests":[0.0,"#);
    let refused = serde_json::from_str::<Standardizer<f32>>(&wrong).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("expected a length of 1, found 2"),
        "{refused}"
    );
    // Larger than a rounding error.
    let i = text.find(r#""rests":["#).unwrap();
    let forged = format!(r#"{}"rests":[3.0]}}"#, &text[..i]);
    let refused = serde_json::from_str::<Standardizer<f32>>(&forged).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the rounding remainder of a mean"),
        "{refused}"
    );
}

/// For every interval, fitted values stay inside. Minimum and maximum map to the ends, and map back
/// up to rounding errors. Order is preserved, for fitted and new values.
#[test]
fn outputs_stay_within_their_intervals() {
    fn check<T: Scalar>(to: fn(f64) -> T, seed: u64, sizes: f64) {
        let cases = std::env::var("BACKPROP_INTERVALS").map_or(3000, |n| n.parse().unwrap());
        let mut rng = rng(seed);
        let mut done = 0;
        for case in 0..cases {
            let size = 10.0_f64.powf(sizes * uniform(&mut rng) * f64::from(u8::from(case % 4 > 0)));
            let mut ends = [uniform(&mut rng) * size, uniform(&mut rng) * size];
            if case % 5 == 0 {
                // Ends of different magnitude, near each other, or with few digits.
                ends[1] = match case % 3 {
                    0 => ends[0] * uniform(&mut rng) * 1e-9,
                    1 => ends[0] * (1.0 + 1e-6 * uniform(&mut rng)),
                    _ => (ends[0] * 10.0).round() / 10.0 + 0.4,
                };
            }
            let (a, b) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let scale = 10.0_f64.powf(sizes * uniform(&mut rng));
            let offset = match case % 3 {
                0 => 0.0,
                _ => 10.0_f64.powf(3.0 * uniform(&mut rng)) * scale,
            };
            let row: Vec<T> = (0..12)
                .map(|_| to(offset + scale * uniform(&mut rng)))
                .collect();
            let x = DMatrix::from_row_slice(1, 12, &row);
            let Ok(scaler) = MinMaxScaler::fit(&x).and_then(|scaler| scaler.interval(a, b)) else {
                continue;
            };
            done += 1;
            let (low, high) = (to(a), to(b));
            let [least, largest] = [x.min(), x.max()];
            let z = scaler.apply(&x).unwrap();
            assert!(
                z.iter().all(|&z| low <= z && z <= high),
                "{x} to {a}..{b}: {z}"
            );
            let of = |x: T| scaler.apply(&DMatrix::repeat(1, 1, x)).map(|z| z[0]);
            let back = |z: T| scaler.invert(&DMatrix::repeat(1, 1, z)).unwrap()[0];
            assert_eq!(of(least).unwrap(), low);
            if least == largest {
                continue;
            }
            assert_eq!(of(largest).unwrap(), high, "{x} to {a}..{b}");
            assert_eq!(back(low), least, "{x} of {a}..{b}");
            let range = largest - least;
            let error = back(high) - largest;
            let size = least.abs() + range;
            assert!(
                error.abs() <= size * T::default_epsilon(),
                "{x} of {a}..{b}"
            );
            // Near the middle, where the two formulas meet, and beyond the ends.
            let mut points: Vec<T> = (-40..=40)
                .map(|i| least + range * (to(0.5) + to(f64::from(i)) * T::default_epsilon()))
                .chain((-30..=60).map(|i| least + range * to(f64::from(i) / 30.0)))
                .chain(row)
                .filter(T::is_finite)
                .collect();
            points.sort_by(|x, y| x.partial_cmp(y).unwrap());
            let values: Vec<T> = points.iter().filter_map(|&x| of(x).ok()).collect();
            assert!(values.is_sorted(), "{x} to {a}..{b}");
        }
        assert!(done > cases / 2, "{done} of {cases}");
    }
    check::<f64>(|x| x, 5, 300.0);
    check::<f32>(|x| x as f32, 6, 35.0);
}

/// A reported row and interval, where 157 of 60,000 values were above 0.3.
#[test]
fn reported_values_stay_in_their_interval() {
    let mut rng = rng(1);
    let x = DMatrix::from_fn(60, 1000, |_, _| uniform(&mut rng));
    let scaler = MinMaxScaler::fit(&x).unwrap().interval(-0.1, 0.3).unwrap();
    let z = scaler.apply(&x).unwrap();
    assert_eq!((z.min(), z.max()), (-0.1, 0.3));
    for row in z.row_iter() {
        assert_eq!((row.min(), row.max()), (-0.1, 0.3));
    }
}
