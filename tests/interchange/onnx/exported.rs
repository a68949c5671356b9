//! Files that other programs wrote: see `generate_onnx.py`.

use backprop::Network;
use backprop::activation::{Identity, Relu, Sigmoid, Softmax, Tanh};
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::interchange::{FileScalar, Options};
use backprop::layer::AnyLayer;
use backprop::nalgebra::{convert, try_convert};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::{fs, io};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    x: Vec<Vec<f64>>,
    outputs: Vec<Vec<f64>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/files/onnx")
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn check<T: FileScalar>(case: &Case, options: &WriteOptions) -> f64 {
    let path = folder().join(&case.file);
    let network = onnx::load::<T>(path, &Options::new().rounded());
    let network = network.unwrap_or_else(|error| panic!("{error}"));
    let bytes = onnx::to_bytes(&network, options).unwrap();
    let same = onnx::from_bytes::<T>(&bytes, &Options::new()).unwrap();
    assert!(same == network, "{}", case.file);
    let (mut error, mut largest) = (0.0_f64, 0.0_f64);
    for (x, expected) in case.x.iter().zip(&case.outputs) {
        let x: Vec<T> = x.iter().map(|&x| convert(x)).collect();
        let outputs = network.forward(&x[..]).unwrap();
        assert_eq!(outputs.len(), expected.len(), "{}", case.file);
        for (&found, expected) in outputs.iter().zip(expected) {
            let found: f64 = try_convert(found).unwrap();
            error = error.max((found - expected).abs());
            largest = largest.max(expected.abs());
        }
    }
    error / largest
}

#[test]
fn networks_of_other_programs_compute_the_same() {
    let cases = cases();
    let count = fs::read_dir(folder()).unwrap();
    let names = count.map(|entry| Ok(entry?.file_name().into_string().unwrap()));
    let names: Result<Vec<String>, io::Error> = names.collect();
    let files = names
        .unwrap()
        .iter()
        .filter(|name| name.ends_with(".onnx"))
        .count();
    assert_eq!(files, cases.len(), "each file is a case");
    for case in &cases {
        let double = check::<f64>(case, &WriteOptions::new().double());
        let single = check::<f32>(case, &WriteOptions::new());
        // In `f32`, unless it is all `f64`.
        let bound = if case.file.contains("f64") {
            1e-14
        } else {
            1e-6
        };
        assert!(
            double < bound && single < 1e-6,
            "{}: {double:.1e} {single:.1e}",
            case.file
        );
    }
}

/// The label tail of scikit-learn is cut off.
#[test]
fn classifiers_return_probabilities() {
    let read = |file: &str| {
        let network = onnx::load::<f64>(folder().join(file), &Options::new()).unwrap();
        network.layers().to_vec()
    };
    let layers = |builder: backprop::Builder<f64>| -> Vec<AnyLayer> {
        builder.zeros().unwrap().layers().to_vec()
    };
    let start = Network::<f64>::builder;
    let binary = layers(start(3).dense(4, Tanh).dense(1, Sigmoid));
    assert_eq!(read("sklearn_binary.onnx"), binary);
    assert_eq!(read("sklearn_binary_f64.onnx"), binary);
    let text = layers(start(3).dense(4, Sigmoid).dense(1, Sigmoid));
    assert_eq!(read("sklearn_binary_text.onnx"), text);
    let several = layers(start(3).dense(4, Relu).dense(3, Relu).dense(3, Softmax));
    assert_eq!(read("sklearn_several.onnx"), several);
    assert_eq!(read("sklearn_several_13.onnx"), several);
    let regressor = layers(start(3).dense(4, Identity).dense(1, Identity));
    assert_eq!(read("sklearn_regressor.onnx"), regressor);
}
