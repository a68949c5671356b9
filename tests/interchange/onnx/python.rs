//! Networks in onnxruntime, where it is installed: `BACKPROP_PYTHON` names an interpreter with
//! `onnx` and `onnxruntime`.

use super::networks::{Case, cases};
use backprop::interchange::FileScalar;
use backprop::interchange::onnx::{self, WriteOptions};
use backprop::nalgebra::{DMatrix, try_convert};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

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
    let Some(python) = env::var_os("BACKPROP_PYTHON") else {
        // Past the harness, which would hide it.
        let line = "SKIPPED: onnxruntime is not run; set BACKPROP_PYTHON to an interpreter";
        writeln!(io::stderr(), "{line}").unwrap();
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("interchange-onnx-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let single = write::<f32>(&folder, "f32", &WriteOptions::new());
    let double = write::<f64>(&folder, "f64", &WriteOptions::new().double());
    let list = serde_json::to_vec(&[single, double].concat()).unwrap();
    fs::write(folder.join("cases.json"), list).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/check_onnx.py");
    let output = Command::new(python)
        .arg(script)
        .arg(&folder)
        .output()
        .unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|s| String::from_utf8(s).unwrap());
    assert!(output.status.success(), "{stdout}{stderr}");
    println!("{stdout}");
    fs::remove_dir_all(folder).unwrap();
}
