//! Networks in onnxruntime, where it is installed: `BACKPROP_PYTHON` names an interpreter with
//! `onnx` and `onnxruntime`.

use super::networks::{Case, cases};
use crate::support::python::Python;
use backprop::interchange::FileScalar;
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::nalgebra::{DMatrix, try_convert};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// An example per row.
fn rows<T: FileScalar>(matrix: &DMatrix<T>) -> Vec<Vec<f64>> {
    let columns = matrix.column_iter();
    let row = |column: &[T]| column.iter().map(|&a| try_convert(a).unwrap()).collect();
    columns.map(|column| row(column.as_slice())).collect()
}

/// Writes a file for each network, and returns their inputs and outputs.
fn write<T: FileScalar>(folder: &Path, scalar: &str, options: &WriteOptions) -> Vec<Value> {
    let write = |case: Case<T>| {
        let file = format!("{}_{scalar}.onnx", case.name);
        onnx::save(folder.join(&file), &case.network, options).unwrap();
        let outputs = case.network.forward(&case.x).unwrap();
        json!({"file": file, "scalar": scalar, "x": rows(&case.x), "outputs": rows(&outputs)})
    };
    cases::<T>().into_iter().map(write).collect()
}

#[test]
fn onnxruntime_computes_the_same() {
    let modules = ["onnx", "onnxruntime", "numpy"];
    let Some(python) = Python::with(&modules, "tests/interchange/check_onnx.py") else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("interchange-onnx-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let single = write::<f32>(&folder, "f32", &WriteOptions::new());
    let double = write::<f64>(&folder, "f64", &WriteOptions::new().double());
    let list = serde_json::to_vec(&[single, double].concat()).unwrap();
    fs::write(folder.join("cases.json"), list).unwrap();
    let script = "tests/interchange/check_onnx.py";
    let arguments = [script, folder.to_str().unwrap()];
    println!("{}", python.run(&arguments, Path::new("."), ""));
    fs::remove_dir_all(folder).unwrap();
}
