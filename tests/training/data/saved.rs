//! Saved scalers and encoders: bit-exact round trips, a fixed format, and rejection of invalid
//! data.

use backprop::data::{LabelEncoder, MinMaxScaler, Standardizer};
use backprop::nalgebra::dmatrix;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, MapDeserializer};
use std::fmt::Debug;

fn back<V: serde::Serialize + DeserializeOwned>(value: &V) -> V {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn there_and_back() {
    let x = dmatrix![0.1, 0.7, 0.3; 1e-300, -2e-300, 0.0; 4.0, 4.0, 4.0];
    let standard = Standardizer::fit(&x).unwrap();
    assert_eq!(back(&standard), standard);
    let single = Standardizer::fit(&x.map(|x| x as f32)).unwrap();
    assert_eq!(back(&single), single);
    let min_max = MinMaxScaler::fit(&x).unwrap().interval(-0.1, 0.3).unwrap();
    assert_eq!(back(&min_max), min_max);
    let encoder = LabelEncoder::fit(&["b".to_owned(), "a".to_owned()]).unwrap();
    assert_eq!(back(&encoder), encoder);
}

#[test]
fn the_form_is_settled() {
    let x = dmatrix![1.0, 3.0; 2.0, 2.0];
    let written = serde_json::to_string(&Standardizer::fit(&x).unwrap()).unwrap();
    assert_eq!(
        written,
        r#"{"scalar":"f64","means":[2.0,2.0],"deviations":[1.0,1.0]}"#
    );
    let written = serde_json::to_string(&MinMaxScaler::fit(&x).unwrap()).unwrap();
    let expected = r#"{"scalar":"f64","minima":[1.0,2.0],"ranges":[2.0,1.0],"interval":[0.0,1.0]}"#;
    assert_eq!(written, expected);
    let written = serde_json::to_string(&LabelEncoder::fit(&[3, 1]).unwrap()).unwrap();
    assert_eq!(written, r#"{"classes":[1,3]}"#);
}

#[track_caller]
fn refused<V: DeserializeOwned + Debug>(json: &str, reason: &str) {
    let text = serde_json::from_str::<V>(json).unwrap_err().to_string();
    assert!(text.contains(reason), "{json}\n{text}, expected {reason}");
}

#[test]
fn invalid_saved_scalers_are_refused() {
    for (json, reason) in [
        (
            r#"{"means":[1.0],"deviations":[]}"#,
            "the deviations: expected a length of 1, found 0",
        ),
        (
            r#"{"means":[],"deviations":[1.0]}"#,
            "expected a length of 0, found 1",
        ),
        (
            r#"{"means":[1.0,2.0],"deviations":[1.0,0.0]}"#,
            "the spread of row 1 is 0",
        ),
        (
            r#"{"means":[1.0],"deviations":[-2.0]}"#,
            "the spread of row 0 is -2",
        ),
        (
            r#"{"means":[1.0],"deviations":[null]}"#,
            "invalid type: null",
        ),
        (
            r#"{"means":[1e999],"deviations":[1.0]}"#,
            "number out of range",
        ),
        (r#"{"means":[1.0]}"#, "missing field"),
        (
            r#"{"means":[1.0],"deviations":[1.0],"variances":[1.0]}"#,
            "unknown field",
        ),
    ] {
        refused::<Standardizer<f64>>(json, reason);
    }
    refused::<Standardizer<f32>>(
        r#"{"means":[1e39],"deviations":[1.0]}"#,
        "number out of range",
    );
    for (json, reason) in [
        (
            r#"{"minima":[1.0],"ranges":[],"interval":[0.0,1.0]}"#,
            "the ranges: expected a length of 1",
        ),
        (
            r#"{"minima":[1.0],"ranges":[0.0],"interval":[0.0,1.0]}"#,
            "the spread of row 0",
        ),
        (
            r#"{"minima":[1.0],"ranges":[1.0],"interval":[1.0,1.0]}"#,
            "b of the interval [a, b] is 1",
        ),
        (r#"{"minima":[1.0],"ranges":[1.0]}"#, "missing field"),
        (
            r#"{"minima":[1.0],"ranges":[1.0],"interval":[0.0,1.0],"clip":true}"#,
            "unknown field",
        ),
    ] {
        refused::<MinMaxScaler<f64>>(json, reason);
    }
    for (json, reason) in [
        (r#"{"classes":[]}"#, "there are no examples"),
        (r#"{"classes":[2,1]}"#, "not in ascending order"),
        (r#"{"classes":[1,1]}"#, "not in ascending order"),
        (r#"{"classes":[1],"more":0}"#, "unknown field"),
    ] {
        refused::<LabelEncoder<i32>>(json, reason);
    }
}

/// A value read from a format that, unlike JSON, has NaN.
#[test]
fn nan_is_refused() {
    let read = |mean: f64, deviation: f64| {
        let fields = [("means", vec![mean]), ("deviations", vec![deviation])];
        let map = MapDeserializer::<_, ValueError>::new(fields.into_iter());
        Standardizer::<f64>::deserialize(map).map_err(|error| error.to_string())
    };
    assert!(read(1.0, 2.0).is_ok());
    let expected = "the entry of the means at row 0, column 0 is NaN, expected a finite number";
    assert_eq!(read(f64::NAN, 2.0).unwrap_err(), expected);
    let expected = "the spread of row 0 is NaN, expected a number in (0, ∞)";
    assert_eq!(read(1.0, f64::NAN).unwrap_err(), expected);
    let expected = "the spread of row 0 is inf, expected a number in (0, ∞)";
    assert_eq!(read(1.0, f64::INFINITY).unwrap_err(), expected);
}
