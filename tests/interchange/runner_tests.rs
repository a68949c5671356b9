//! The runner itself: it refuses folders that are wrong, and finds wrong numbers.

use super::runner::{golden, run};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of some folders of the golden models, removed at the end.
struct Copy(PathBuf);

const MODEL: &str = "mlp_batch_norm_dropout_eval";

impl Copy {
    fn new(test: &str, folders: &[&str]) -> Self {
        let name = format!("interchange-{test}-{}", std::process::id());
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        for folder in folders {
            fs::create_dir(to.join(folder)).unwrap();
            for entry in fs::read_dir(golden().join(folder)).unwrap() {
                let from = entry.unwrap().path();
                fs::copy(&from, to.join(folder).join(from.file_name().unwrap())).unwrap();
            }
        }
        Self(to)
    }

    /// Changes a JSON file.
    fn change(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.0.join(file);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }

    /// Runs and returns the only failure.
    fn failure(&self) -> String {
        let failures = run(&self.0).unwrap_err();
        assert_eq!(failures.len(), 1, "{failures:?}");
        failures.into_iter().next().unwrap()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn interchange_refuses_folders_without_models() {
    let copy = Copy::new("empty", &[]);
    assert!(copy.failure().ends_with("no models in it"));
    fs::write(copy.0.join("README.md"), "text").unwrap();
    assert!(copy.failure().ends_with("no models in it"));
    fs::create_dir(copy.0.join("model")).unwrap();
    assert!(copy.failure().starts_with("model/io.json: "));
    fs::remove_dir(copy.0.join("model")).unwrap();
    fs::create_dir(copy.0.join("awkward")).unwrap();
    let failures = run(&copy.0).unwrap_err();
    assert!(
        failures[0].starts_with("awkward/expect.json: "),
        "{failures:?}"
    );
    run(&copy.0.join("missing")).unwrap_err();
}

#[test]
fn interchange_finds_wrong_models() {
    let io = format!("{MODEL}/io.json");
    let copy = Copy::new("models", &[MODEL]);
    run(&copy.0).unwrap();
    // A wrong output is wrong in each file of tensors.
    copy.change(&io, |io| {
        let output = &mut io["outputs"][1][0];
        *output = json!(output.as_f64().unwrap() * (1.0 + 1e-4));
    });
    let failures = run(&copy.0).unwrap_err();
    for file in ["model.npz", "model.safetensors", "model_f32.safetensors"] {
        let start = format!("{MODEL}/{file}: ");
        assert!(
            failures.iter().any(|failure| failure.starts_with(&start)),
            "{failures:?}"
        );
    }
    for (change, reason) in [
        (
            (|io| io["spec"]["layers"][2]["type"] = json!("maxout")) as fn(&mut Value),
            "a known type of layer",
        ),
        (
            |io| io["spec"]["layers"][2]["g"] = json!("maxout"),
            "a known activation",
        ),
        (
            |io| io["spec"]["layers"][1]["mode"] = json!("train"),
            "layers in evaluation",
        ),
        (
            |io| io["tensors"][0]["tensor"] = json!("weight"),
            "a tensor of the network",
        ),
        (|io| io["tensors"][0]["layer"] = json!("1"), "TensorPlace"),
        (
            |io| io["tensors"][0]["shape"] = json!([3, 5]),
            "TensorPlace",
        ),
        (
            |io| _ = io["tensors"].as_array_mut().unwrap().pop(),
            "the network has 8",
        ),
    ] {
        let copy = Copy::new("model", &[MODEL]);
        copy.change(&io, change);
        let failure = copy.failure();
        assert!(failure.contains(reason), "{failure}");
    }
    let copy = Copy::new("files", &[MODEL]);
    let path = |name: &str| copy.0.join(MODEL).join(name);
    fs::write(path("model.keras"), "text").unwrap();
    assert!(copy.failure().contains("not a known kind of file"));
    fs::remove_file(path("model.keras")).unwrap();
    fs::write(path("more.npz"), "text").unwrap();
    let panicked = std::panic::catch_unwind(|| run(&copy.0));
    assert!(panicked.is_err_and(|_| true), "no file of arrays");
}

#[test]
fn interchange_skips_by_type_and_counts_what_lies_there() {
    let copy = Copy::new(
        "skipped",
        &["lstm_classifier", "mlp_tanh_softmax", "awkward"],
    );
    let line = run(&copy.0).unwrap().line();
    assert!(
        line.starts_with("interchange: 2 models, 7 awkward, worst error/bound f64 "),
        "{line}"
    );
    assert!(line.ends_with("; skipped: 1 (types lstm 1)"), "{line}");
}

#[test]
fn interchange_finds_wrong_awkward_files() {
    let copy = Copy::new("awkward", &["awkward"]);
    run(&copy.0).unwrap();
    let path = |name: &str| copy.0.join("awkward").join(name);
    // Neither of these is what it should be.
    fs::copy(path("fortran_order.npz"), path("more.npz")).unwrap();
    assert_eq!(copy.failure(), "awkward/more.npz: not in expect.json");
    fs::remove_file(path("more.npz")).unwrap();
    fs::rename(path("fortran_order.npz"), path("missing")).unwrap();
    let failures = run(&copy.0).unwrap_err();
    assert_eq!(failures.len(), 2, "{failures:?}");
    fs::rename(path("missing"), path("fortran_order.npz")).unwrap();
    // A good file where an error is expected, and the other way round.
    fs::rename(path("missing_tensor.safetensors"), path("kept")).unwrap();
    fs::copy(path("bf16.safetensors"), path("missing_tensor.safetensors")).unwrap();
    fs::rename(path("kept"), path("bf16.safetensors")).unwrap();
    let failures = run(&copy.0).unwrap_err();
    assert!(
        failures[0].contains("\"2.bias\" is missing"),
        "{failures:?}"
    );
    assert!(
        failures[1].contains("read, expected an error"),
        "{failures:?}"
    );

    for (change, reason) in [
        (
            (|e| e[0]["widened"]["0.bias"][0] = json!(0.5)) as fn(&mut Value),
            "0.bias: other numbers",
        ),
        (
            |e| e[3]["expect"] = json!("typed error naming 2.weight"),
            "naming 2.weight",
        ),
        (
            |e| e[3]["expect"] = json!("typed error naming 2.bias and both shapes; …"),
            "both shapes",
        ),
    ] {
        let copy = Copy::new("entry", &["awkward"]);
        copy.change("awkward/expect.json", change);
        let failure = copy.failure();
        assert!(failure.contains(reason), "{failure}");
    }
}
