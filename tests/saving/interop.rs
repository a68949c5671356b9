//! Networks from other libraries: what the scripts of `examples/interop` wrote is read, and has the
//! outputs that the library computed. Where `BACKPROP_PYTHON` names a Python with the library, the
//! script runs again.

use super::Folder;
use super::containers::every_kind;
use super::python::Python;
use super::schema::activations;
use super::state::with_state;
use backprop::approx::AbsDiffEq;
use backprop::layer::{AnyLayer, Axis, BatchNorm, LayerNorm, RmsNorm};
use backprop::nalgebra::DMatrix;
use backprop::{Network, Shape};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/interop")
}

/// A list of examples, one per row, as a matrix with one per column.
fn columns(rows: &Value) -> DMatrix<f64> {
    let rows = rows.as_array().unwrap().iter();
    let columns = rows.map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()));
    let columns: Vec<Vec<f64>> = columns.map(Iterator::collect).collect();
    DMatrix::from_fn(columns[0].len(), columns.len(), |i, k| columns[k][i])
}

/// Asserts equality within a bound, relative to the largest entry.
#[track_caller]
fn assert_close(what: &str, found: &DMatrix<f64>, expected: &DMatrix<f64>, bound: f64) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let error = (found - expected).amax() / expected.amax();
    assert!(error <= bound, "{what}: {error:e} is more than {bound:e}");
}

/// Checks the networks in a folder that a script wrote, and returns their names.
fn check(folder: &Path, library: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| Some(name.strip_suffix(".io.json")?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| name.starts_with(library)).collect();
    names.sort();
    for name in &names {
        let read = |end: &str| fs::read_to_string(folder.join(format!("{name}{end}"))).unwrap();
        let network: Network<f64> = serde_json::from_str(&read(".json")).unwrap();
        let io: Value = serde_json::from_str(&read(".io.json")).unwrap();
        let (x, expected) = (columns(&io["x"]), columns(&io["outputs"]));
        let bound = match io["computed_in"].as_str() {
            Some("float64") => 1e-12,
            Some("float32") => 1e-6,
            other => panic!("{name}: {other:?}"),
        };
        let found = network.forward(&x).unwrap();
        assert_close(name, &found, &expected, bound);
        let single = network.map(|v| v as f32).unwrap();
        let found = single.forward(&x.clone().cast::<f32>()).unwrap();
        let found = found.cast::<f64>();
        assert_close(name, &found, &expected, 1e-6);
    }
    names
}

/// Checks the committed files of a script, and those that it writes now.
fn script(library: &str, modules: &[&str], count: usize) {
    let committed = check(&scripts().join("files"), library);
    assert_eq!(committed.len(), count, "{committed:?}");
    let name = format!("from_{library}.py");
    let unchecked = format!("examples/interop/{name} with the library itself");
    let Some(python) = Python::with(&[&["numpy"], modules].concat(), &unchecked) else {
        return;
    };
    let folder = Folder::new(library);
    let path = scripts().join(name);
    let arguments = [path.to_str().unwrap(), folder.0.to_str().unwrap()];
    python.run(&arguments, Path::new("."), "");
    assert_eq!(check(&folder.0, library), committed);
}

#[test]
fn networks_of_pytorch_are_read() {
    script("pytorch", &["torch"], 2);
}

#[test]
fn networks_of_keras_are_read() {
    script("keras", &["keras"], 3);
}

#[test]
fn networks_of_scikit_learn_are_read() {
    script("sklearn", &["sklearn"], 5);
}

#[test]
fn networks_of_jax_are_read() {
    script("jax", &["jax"], 1);
}

/// Networks with every layer, activation and shape, with examples.
fn ours() -> Vec<(&'static str, Network<f64>, DMatrix<f64>)> {
    let x = |inputs: usize| DMatrix::from_fn(inputs, 4, |i, k| ((7 * i + 3 * k) as f64).sin());
    // Each activation in a branch of its own, so none hides the mistakes of another.
    let all = Network::<f64>::builder(3).concat(Axis::First, |branches| {
        activations()
            .into_iter()
            .fold(branches, |branches, g| branches.branch(|b| b.dense(2, g)))
    });
    let image = Shape::Image {
        channels: 2,
        height: 2,
        width: 3,
    };
    let norm = LayerNorm::new().axes(2).eps(0.25);
    let images = Network::builder(image)
        .batch_norm()
        .layer(AnyLayer::from(norm))
        .layer(AnyLayer::from(RmsNorm::new().axes(3).eps(0.5)))
        .flatten();
    let signal = Shape::Signal {
        channels: 2,
        length: 3,
    };
    let signals = Network::builder(signal)
        .layer(AnyLayer::from(BatchNorm::new().cumulative()))
        .transpose()
        .layer(AnyLayer::from(BatchNorm::new().eps(0.125)));
    let filled = |builder: backprop::Builder<f64>| {
        let zeros = builder.clone().zeros().unwrap();
        let theta: Vec<f64> = (0..zeros.parameters())
            .map(|i| (i as f64 * 1.3).sin())
            .collect();
        let mut network = builder.with_theta(&theta).unwrap();
        let state = (0..network.state().len()).map(|i| 0.5 + 0.25 * i as f64);
        network.set_state(&state.collect::<Vec<_>>()).unwrap();
        network
    };
    let ids = DMatrix::from_row_slice(2, 4, &[0.0, 3.0, 1.0, 2.0, 2.0, 1.0, 3.0, 0.0]);
    vec![
        ("numpy_activations", filled(all), x(3)),
        ("numpy_containers", every_kind(), x(6)),
        ("numpy_images", filled(images), x(12)),
        ("numpy_signals", filled(signals), x(6)),
        ("numpy_state", with_state(), ids),
    ]
}

/// `to_numpy.py` computes our outputs from the JSON that we write.
#[test]
fn numpy_computes_the_outputs_of_our_networks() {
    let python = Python::with(&["numpy"], "examples/interop/to_numpy.py");
    let folder = std::env::var_os("BACKPROP_WRITE_FILES").map(PathBuf::from);
    let committed = scripts().join("files");
    let ours = ours();
    let temporary = Folder::new("numpy");
    for (name, network, x) in &ours {
        let rows = |a: &DMatrix<f64>| -> Value {
            a.column_iter()
                .map(|column| json!(column.as_slice()))
                .collect()
        };
        let written = serde_json::to_string(network).unwrap() + "\n";
        if let Some(python) = &python {
            let (file, script) = (temporary.file(name), scripts().join("to_numpy.py"));
            fs::write(&file, &written).unwrap();
            let arguments = [script.to_str().unwrap(), file.to_str().unwrap()];
            let computed = python.run(&arguments, Path::new("."), &rows(x).to_string());
            let computed: Value = serde_json::from_str(&computed).unwrap();
            let found = network.forward(x).unwrap();
            assert_close(name, &found, &columns(&computed), 1e-12);
            if let Some(folder) = &folder {
                let io = json!({"computed_in": "float64", "x": rows(x), "outputs": computed});
                fs::write(folder.join(format!("{name}.json")), &written).unwrap();
                fs::write(folder.join(format!("{name}.io.json")), format!("{io}\n")).unwrap();
            }
        }
        // The sine may differ in the last bit.
        let file = fs::read_to_string(committed.join(format!("{name}.json"))).unwrap();
        let file: Network<f64> = serde_json::from_str(&file).unwrap();
        assert!(
            file.abs_diff_eq(network, 1e-15),
            "{name}: the committed file is another network"
        );
    }
    assert_eq!(check(&committed, "numpy").len(), ours.len());
}
