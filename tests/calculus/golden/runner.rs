//! The runner itself: it refuses malformed cases and finds wrong numbers.

use super::{BOUND_F64, golden, relative_error, run, within};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::{env, fs, process};

/// A folder with one case, which `change` made from a good one. Dropping it removes the folder.
struct Folder(PathBuf);

impl Folder {
    fn empty(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("backprop-golden-{}-{name}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn with(name: &str, text: &str) -> Self {
        let folder = Self::empty(name);
        fs::write(folder.0.join("case.json"), text).unwrap();
        folder
    }

    fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Self {
        let good = golden().join("tanh_softmax_cce_sums_3-4-2_m2_lam0.01.json");
        let mut value = serde_json::from_str(&fs::read_to_string(good).unwrap()).unwrap();
        change(&mut value);
        Self::with(name, &value.to_string())
    }

    /// All failures of a run.
    fn failures(&self) -> Vec<String> {
        run(&self.0).expect_err("the folder is bad")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // At worst the folder remains, which is no reason to fail the test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn folders_without_a_readable_case_fail() {
    let missing = golden().join("no such folder");
    assert!(run(&missing).unwrap_err()[0].contains("no such folder"));

    let empty = Folder::empty("empty").failures();
    assert!(empty[0].contains("empty: no *.json"), "{empty:?}");

    let other = Folder::empty("other");
    fs::write(other.0.join("case.txt"), "{}").unwrap();
    assert!(other.failures()[0].contains("no *.json"));

    let directory = Folder::empty("directory");
    fs::create_dir_all(directory.0.join("case.json")).unwrap();
    assert!(directory.failures()[0].starts_with("case.json: the file: "));

    for (name, text) in [
        ("cut", r#"{"name": "x", "#),
        ("nan", r#"{"J": NaN}"#),
        ("none", ""),
    ] {
        let failures = Folder::with(name, text).failures();
        assert!(
            failures[0].starts_with("case.json: the JSON: "),
            "{failures:?}"
        );
    }
}

#[test]
fn malformed_cases_name_file_and_field() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 14] = [
        (
            "activation",
            |c| c["spec"]["hidden_activation"] = json!("tanhh"),
            "spec.hidden_activation: expected a known activation, found \"tanhh\"",
        ),
        (
            "output",
            |c| c["spec"]["output_activation"] = json!(null),
            "spec.output_activation: expected a known activation",
        ),
        (
            "cost",
            |c| c["spec"]["cost"] = json!("mse"),
            "spec.cost: expected a known cost",
        ),
        (
            "lambda",
            |c| c["spec"]["lambda"] = json!("0"),
            "spec.lambda: expected a number",
        ),
        (
            "sizes",
            |c| c["spec"]["layer_sizes"] = json!([3]),
            "spec.layer_sizes: fewer than 2",
        ),
        (
            "units",
            |c| c["spec"]["layer_sizes"][1] = json!(0),
            "spec.layer_sizes[1]: expected a positive",
        ),
        (
            "m",
            |c| c["spec"]["m"] = json!(3),
            "X[0]: expected 3 entries, found 2",
        ),
        (
            "bias",
            |c| c["Theta"][1][0] = json!([0.5, 0.5, 0.5, 0.5]),
            "Theta[1][0]: expected 5 entries, found 4",
        ),
        (
            "layers",
            |c| c["Theta"] = json!([]),
            "Theta: expected 2 entries, found 0",
        ),
        (
            "ragged",
            |c| c["grad_X"][2] = json!([0.5]),
            "grad_X[2]: expected 2 entries, found 1",
        ),
        (
            "null",
            |c| c["grad"][0][1][2] = json!(null),
            "grad[0][1][2]: expected a number",
        ),
        (
            "flat",
            |c| c["outputs"] = json!(1.0),
            "outputs: expected a list",
        ),
        (
            "examples",
            |c| c["per_example_grad"] = json!([[]]),
            "per_example_grad: expected 2 entries",
        ),
        (
            "missing",
            |c| drop(c.as_object_mut().unwrap().remove("logits")),
            "logits: missing",
        ),
    ];
    for (name, change, expected) in cases {
        let failures = Folder::changed(name, change).failures();
        assert_eq!(failures.len(), 1, "{failures:?}");
        let expected = format!("case.json: {expected}");
        assert!(failures[0].starts_with(&expected), "{failures:?}");
    }
}

#[test]
fn refused_values_name_the_pass() {
    let negative = Folder::changed("negative", |c| c["spec"]["lambda"] = json!(-1.0)).failures();
    assert!(negative[0].starts_with("case.json: f64 pass: λ of the L2 penalty is -1"));
    assert!(negative[1].starts_with("case.json: f32 pass: λ of the L2 penalty is -1"));
}

/// Changes one entry of each field by 1e-10 of its size. The runner reports only that field.
#[test]
fn wrong_values_name_file_and_field() {
    let entries = [
        ("J", "/J"),
        ("grad", "/grad/0/3/1"),
        ("grad_X", "/grad_X/2/0"),
        ("outputs", "/outputs/0/1"),
        ("logits", "/logits/1/0"),
        ("per_example_cost", "/per_example_cost/1"),
        ("per_example_grad", "/per_example_grad/1/1/0/4"),
        ("hvp", "/hvp/0/2/3"),
        ("ggn_logits_vp", "/ggn_logits_vp/0/1/2"),
        ("hessian", "/hessian/14/14"),
    ];
    for (field, pointer) in entries {
        let folder = Folder::changed(field, |c| {
            let entry = c.pointer_mut(pointer).unwrap();
            *entry = json!(entry.as_f64().unwrap() * (1.0 + 1e-10));
        });
        let failures = folder.failures();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].starts_with(&format!("case.json: {field}: f64 error ")));
    }
}

/// All inputs are exact in `f32`, but 2²⁴ + 1 is not. There a = 2²⁴ and d = 0; in `f64`, d = 1.
#[test]
fn wrong_values_in_f32_name_file_and_field() {
    let big = 16_777_216.0;
    let spec = json!({
        "layer_sizes": [1, 1], "hidden_activation": "relu", "output_activation": "identity",
        "cost": "half_mse", "lambda": 0, "m": 1,
    });
    let case = json!({
        "spec": spec, "Theta": [[[big, 1.0]]], "X": [[1.0]], "Y": [[big]],
        "J": 0.5, "grad": [[[1.0, 1.0]]], "grad_X": [[1.0]], "per_example_cost": [0.5],
        "outputs": [[big + 1.0]], "logits": [[big + 1.0]],
    });
    let failures = Folder::with("f32", &case.to_string()).failures();
    let expected = ["J", "grad", "grad_X", "per_example_cost"]
        .map(|f| format!("case.json: {f}: f32 error 1e0 > 1e-5"));
    assert_eq!(failures, expected);
}

/// One run reports the failures of all files. Null and unknown fields are not failures.
#[test]
fn failures_are_collected() {
    let folder = Folder::changed("many", |c| {
        c["J"] = json!(0.5);
        c["grad_X"][0][0] = json!(7.0);
        c["outputs"][1][1] = json!(0.5);
    });
    fs::write(folder.0.join("broken.json"), "[").unwrap();
    let failures = folder.failures();
    let starts = [
        "broken.json: the JSON: ",
        "case.json: J: f64 ",
        "case.json: grad_X: f64 ",
        "case.json: outputs: f64 ",
    ];
    assert_eq!(failures.len(), starts.len(), "{failures:?}");
    for (failure, start) in failures.iter().zip(starts) {
        assert!(failure.starts_with(start), "{failure}");
    }

    let fine = Folder::changed("fine", |c| {
        for skipped in ["hvp", "hessian", "per_example_grad", "of the future"] {
            c[skipped] = json!(null);
        }
        c.as_object_mut().unwrap().remove("v");
    });
    assert_eq!(run(&fine.0).unwrap().cases, 1);
}

#[test]
fn errors_are_relative_to_each_block_and_nan_is_never_small() {
    let expected = [vec![100.0, 1.0], vec![0.01, 0.02]];
    let error = |found: [Vec<f64>; 2]| relative_error(&found, &expected);
    assert_eq!(error(expected.clone()), 0.0);
    assert!((error([vec![100.0, 2.0], vec![0.01, 0.02]]) - 0.01).abs() < 1e-15);
    assert!((error([vec![100.0, 1.0], vec![0.01, 0.03]]) - 0.5).abs() < 1e-15);
    for wrong in [
        [vec![100.0, f64::NAN], vec![0.01, 0.02]],
        [vec![100.0, f64::INFINITY], vec![0.01, 0.02]],
        [vec![100.0], vec![0.01, 0.02]],
        [vec![], vec![0.01, 0.02]],
    ] {
        assert_eq!(error(wrong), f64::INFINITY);
    }
    assert_eq!(relative_error(&[vec![1e-300]], &[vec![0.0]]), f64::INFINITY);
    assert_eq!(relative_error(&[], &[vec![1.0]]), f64::INFINITY);
    assert!(within(1e-13, BOUND_F64));
    assert!(!within(f64::NAN, BOUND_F64) && !within(1.0, f64::INFINITY));
}

#[test]
fn nulls_are_skipped() {
    let fields = ["grad_X", "logits", "per_example_grad", "hvp"];
    let folder = Folder::changed("nulls", |c| fields.iter().for_each(|f| c[*f] = json!(null)));
    assert_eq!(run(&folder.0).unwrap().cases, 1);
}
