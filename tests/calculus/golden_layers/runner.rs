//! The runner itself: it refuses malformed cases and finds wrong numbers.

use super::compare::{File, relative_error, within};
use super::fields::Field;
use super::{Summary, golden, run};
use backprop::Workspace;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs, process};

/// It has every field that is compared, except for the state.
const GOOD: &str = "activation_exp_standalone_poisson";

/// The fields of that case.
pub(super) fn all_fields() -> impl Iterator<Item = Field> {
    let all = Field::ALL.into_iter();
    all.filter(|&field| field != Field::StateAfter)
}

fn case(name: &str) -> Value {
    let text = fs::read_to_string(golden().join(name).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Changes a good case and returns the failures.
pub(super) fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut case = case(name);
    change(&mut case);
    failures(&case, false)
}

pub(super) fn failures(case: &Value, extreme: bool) -> Vec<String> {
    let file = File {
        name: "case.json",
        extreme,
    };
    Summary::default().examine(&case.to_string(), file, &mut Workspace::new())
}

pub(super) fn remove(object: &mut Value, key: &str) {
    object.as_object_mut().unwrap().remove(key).unwrap();
}

/// Multiplies a number by 1 + 1e-10.
fn nudge(number: &mut Value) {
    *number = json!(number.as_f64().unwrap() * (1.0 + 1e-10));
}

/// Changes the number with the largest magnitude in nested lists.
pub(super) fn nudge_largest(value: &mut Value) {
    fn largest(value: &Value, pointer: &str, found: &mut (f64, String)) {
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    largest(item, &format!("{pointer}/{i}"), found);
                }
            }
            _ => {
                let size = value.as_f64().unwrap().abs();
                if size > found.0 {
                    *found = (size, pointer.to_owned());
                }
            }
        }
    }
    let mut found = (0.0, String::new());
    largest(value, "", &mut found);
    nudge(value.pointer_mut(&found.1).unwrap());
}

/// The fields that have failures.
pub(super) fn fields(failures: &[String]) -> BTreeSet<&str> {
    let fields = failures.iter().filter_map(|f| f.split_once(':'));
    fields.map(|(field, _)| field).collect()
}

/// Changes one number of each field by 1e-10 of its size. Only that field fails.
#[test]
fn wrong_values_name_the_field() {
    for field in all_fields().map(Field::name) {
        let failures = changed(GOOD, |case| {
            let value = &mut case[field];
            match field {
                "grad" | "hvp" | "ggn_logits_vp" => nudge_largest(&mut value[1]["values"]),
                "per_example_grad" => nudge_largest(&mut value[3][2]),
                "J" => nudge(value),
                _ => nudge_largest(value),
            }
        });
        assert_eq!(failures.len(), 1, "{failures:?}");
        let start = format!("{field}: f64 error ");
        assert!(failures[0].starts_with(&start), "{failures:?}");
    }
}

/// Changes the gradient of each block of a network with a body, a shortcut and a layer after them.
#[test]
fn every_block_is_compared() {
    for block in 0..8 {
        let failures = changed("residual_shortcut_deep", |case| {
            nudge_largest(&mut case["grad"][block]["values"]);
        });
        assert!(failures[0].starts_with("grad: f64 error"), "{failures:?}");
    }
}

/// Changes the inputs instead of the results: the fields that depend on them fail.
#[test]
fn every_input_is_read() {
    type Change = fn(&mut Value);
    let all: Vec<&str> = all_fields().map(Field::name).collect();
    let cases: [(Change, &[&str]); 5] = [
        (|c| nudge(&mut c["u"][0][0]), &["jvp_X"]),
        (
            |c| nudge(&mut c["v"][2]["values"][0][1]),
            &["ggn_logits_vp", "hvp"],
        ),
        (
            |c| c["spec"]["lambda"] = json!(1e-6),
            &["J", "grad", "hessian", "hvp"],
        ),
        (
            |c| nudge(&mut c["Y"][0][1]),
            &[
                "J",
                "grad",
                "grad_X",
                "hessian",
                "hvp",
                "per_example_cost",
                "per_example_grad",
            ],
        ),
        (|c| nudge(&mut c["X"][0][0]), &all),
    ];
    for (change, expected) in cases {
        let failures = changed(GOOD, change);
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        assert_eq!(fields(&failures), expected, "{failures:?}");
    }
    for block in 0..4 {
        let failures = changed(GOOD, |c| {
            nudge_largest(&mut c["parameters"][block]["values"]);
        });
        assert!(fields(&failures).contains("outputs"), "{failures:?}");
    }
}

/// The crate computes all of these fields, so null is wrong.
#[test]
fn null_has_to_be_a_refusal() {
    for field in all_fields().map(Field::name) {
        let failures = changed(GOOD, |case| case[field] = json!(null));
        let expected = ["f64", "f32"].map(|scalar| format!("{field}: {scalar}: not refused"));
        assert_eq!(failures, expected);
    }

    // With a target that the cost refuses, all others are null.
    let outputs = [Field::Logits, Field::Outputs, Field::JvpX];
    let refused = all_fields().filter(|f| !outputs.contains(f));
    let refused: Vec<&str> = refused.map(Field::name).collect();
    let mut case = case(GOOD);
    case["Y"][0][0] = json!(-1.0);
    for field in &refused {
        case[field] = json!(null);
    }
    case["logits"] = self::case(GOOD)["logits"].clone();
    assert_eq!(failures(&case, false), Vec::<String>::new());
    for field in refused {
        case[field] = self::case(GOOD)[field].clone();
        let failures = failures(&case, false);
        let start = format!("{field}: f64: refused: ");
        assert!(failures[0].starts_with(&start), "{failures:?}");
        case[field] = json!(null);
    }
}

/// All inputs are exact in `f32`, but 2²⁴ + 1 is not. There a = 2²⁴ and d = 0; in `f64`, d = 1.
#[test]
fn wrong_values_in_f32_and_bounds_are_those_of_the_field() {
    let big = 16_777_216.0;
    let dense = json!({"type": "dense", "units": 1, "activation": "identity", "bias": true});
    let block = |name: &str, values: &Value| json!({"layer": "0", "name": name, "values": values});
    let both = |weight: f64, bias: f64| {
        let (weight, bias) = (json!([[weight]]), json!([bias]));
        json!([block("weight", &weight), block("bias", &bias)])
    };
    let mut parameters = both(1.0, big);
    for (i, shape) in [json!([1, 1]), json!([1])].into_iter().enumerate() {
        parameters[i]["shape"] = shape;
        parameters[i]["penalised"] = json!(i == 0);
    }
    let mut case = json!({
        "spec": {
            "input": [1], "layers": [dense], "cost": "half_mse", "lambda": 0, "m": 1,
        },
        "parameters": parameters, "n_params": 2, "X": [[1.0]], "Y": [[big]],
        "J": 0.5, "per_example_cost": [0.5], "logits": [[big + 1.0]], "outputs": [[big + 1.0]],
        "grad": both(1.0, 1.0), "grad_X": [[1.0]], "v": both(1.0, 0.0), "hvp": both(1.0, 1.0),
        "u": [[1.0]], "jvp_X": [[1.0]], "bound": {"default": 1e-12}, "zero_blocks": {},
    });
    let expected = ["J", "per_example_cost", "grad", "grad_X"]
        .map(|field| format!("{field}: f32 error 1e0 > 1e-5"));
    assert_eq!(failures(&case, false), expected);
    assert_eq!(failures(&case, true), Vec::<String>::new());

    // The bounds of the file count in f64, and only for their fields.
    case["J"] = json!(0.5 + 1e-9);
    assert_eq!(fields(&failures(&case, true)), BTreeSet::from(["J"]));
    case["bound"]["grad"] = json!(1e-8);
    assert_eq!(fields(&failures(&case, true)), BTreeSet::from(["J"]));
    case["bound"]["J"] = json!(1e-8);
    assert_eq!(failures(&case, true), Vec::<String>::new());

    // With x = 10⁶, ∂J/∂b is 10⁶ times smaller than ∂J/∂w.
    let x = 1e6;
    (case["X"], case["Y"]) = (json!([[x]]), json!([[big + x - 1.0]]));
    (case["logits"], case["outputs"]) = (json!([[big + x]]), json!([[big + x]]));
    (case["J"], case["bound"]) = (json!(0.5), json!({"default": 1e-12}));
    (case["grad"], case["hvp"]) = (both(x, 1.0 + 1e-9), both(x * x, x));
    assert_eq!(fields(&failures(&case, true)), BTreeSet::from(["grad"]));
    case["zero_blocks"] = json!({"grad": [0]});
    assert_eq!(fields(&failures(&case, true)), BTreeSet::from(["grad"]));
    case["zero_blocks"] = json!({"grad": [1]});
    assert_eq!(failures(&case, true), Vec::<String>::new());
}

#[test]
fn errors_are_relative_to_each_block_and_nan_is_never_small() {
    let expected = [vec![100.0, 1.0], vec![0.01, 0.02], vec![0.0]];
    let error = |found: [Vec<f64>; 3], zeros: &[usize]| relative_error(&found, &expected, zeros);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
    assert_eq!(error(expected.clone(), &[]), 0.0);
    let found = [vec![100.0, 1.0], vec![0.01, 0.03], vec![0.0]];
    assert!(close(error(found.clone(), &[]), 0.5));
    assert!(close(error(found.clone(), &[0]), 0.5));
    assert!(close(error(found, &[1]), 1e-4));
    // A block of zeros against the field, and a field of zeros against 1.
    let found = [vec![100.0, 1.0], vec![0.01, 0.02], vec![0.1]];
    assert!(close(error(found, &[]), 1e-3));
    assert_eq!(relative_error(&[vec![1e-13]], &[vec![0.0]], &[]), 1e-13);
    for wrong in [
        [vec![100.0, f64::NAN], vec![0.01, 0.02], vec![0.0]],
        [vec![100.0, f64::INFINITY], vec![0.01, 0.02], vec![0.0]],
        [vec![100.0], vec![0.01, 0.02], vec![0.0]],
        [vec![100.0, 1.0, 1.0], vec![0.01, 0.02], vec![0.0]],
        [vec![100.0, 1.0], vec![0.01, 0.02], vec![]],
    ] {
        assert_eq!(error(wrong, &[0, 1, 2]), f64::INFINITY);
    }
    assert_eq!(relative_error(&[], &[vec![1.0]], &[]), f64::INFINITY);
    assert!(within(1e-13, 1e-12) && !within(2e-12, 1e-12));
    assert!(!within(f64::NAN, 1e-12) && !within(1.0, f64::INFINITY));
}

#[test]
fn malformed_cases_name_the_field() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 26] = [
        (|c| c["future"] = json!(1), "future: unknown"),
        (|c| c["state"] = json!([]), "state: expected no such field"),
        (|c| c["masks"] = json!([]), "masks: expected no such field"),
        (|c| remove(c, "hvp"), "hvp: missing"),
        (|c| remove(c, "u"), "u: missing"),
        (|c| c["spec"]["seed"] = json!(1), "spec.seed: unknown"),
        (|c| c["spec"]["cost"] = json!("mse"), "spec.cost: expected"),
        (
            |c| c["spec"]["lambda"] = json!("0"),
            "spec.lambda: expected a number",
        ),
        (
            |c| c["spec"]["m"] = json!(4),
            "u: expected 4 entries, found 5",
        ),
        (
            |c| c["spec"]["input"] = json!([3]),
            "spec.layers: θ: expected a length of 20, found 17",
        ),
        (
            |c| c["spec"]["input"] = json!([]),
            "spec.input: expected one, two or three",
        ),
        (
            |c| c["spec"]["layers"][0]["type"] = json!("dens"),
            "spec.layers[0].type: expected a known type of layer, found \"dens\"",
        ),
        (
            |c| c["spec"]["layers"][0]["gain"] = json!(2.0),
            "spec.layers[0].gain: unknown",
        ),
        (
            |c| remove(&mut c["spec"]["layers"][0], "bias"),
            "spec.layers[0].bias: missing",
        ),
        (
            |c| c["spec"]["layers"][1]["g"] = json!("swish"),
            "spec.layers[1].g: expected a known activation, found \"swish\"",
        ),
        (
            |c| c["spec"]["layers"][1] = json!({"type": "transpose"}),
            "spec.layers[1]: ",
        ),
        (|c| c["n_params"] = json!(16), "n_params: 16, but 17"),
        (
            |c| c["parameters"][0]["layer"] = json!("1"),
            "parameters[0]: 1 weight: no such layer",
        ),
        (
            |c| c["parameters"][1]["name"] = json!("gain"),
            "parameters[1]: 0 gain: not the name and the shape of a block",
        ),
        (
            |c| c["parameters"][1]["penalised"] = json!(true),
            "parameters[1]: 0 bias: the network penalises other entries",
        ),
        (
            |c| c["parameters"][0]["values"][1] = json!([0.5]),
            "parameters[0].values[1]: expected 2 entries, found 1",
        ),
        (
            |c| drop(c["parameters"].as_array_mut().unwrap().pop()),
            "spec.layers: ",
        ),
        (
            |c| c["v"][1]["layer"] = json!("2"),
            "v[1].layer: expected \"0\", found \"2\"",
        ),
        (
            |c| c["hessian"][3][4] = json!(null),
            "hessian[3][4]: expected a number",
        ),
        (
            |c| c["bound"]["grad"] = json!(0),
            "bound.grad: expected a number between 0 and 1",
        ),
        (
            |c| c["zero_blocks"]["grad"] = json!([4]),
            "zero_blocks.grad: expected indices of 4 blocks",
        ),
    ];
    for (change, expected) in cases {
        let failures = changed(GOOD, change);
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].starts_with(expected), "{failures:?}");
    }
}

/// A case is skipped for its types of layers, also of inner ones. Nothing in it may be unknown.
#[test]
fn cases_are_skipped_by_type_only() {
    let mut summary = Summary::default();
    let mut examine = |case: &Value| {
        let file = File {
            name: "case.json",
            extreme: false,
        };
        summary.examine(&case.to_string(), file, &mut Workspace::new())
    };
    let none = Vec::<String>::new();
    assert_eq!(examine(&case("conv1d_gru")), none);
    assert_eq!(examine(&case("conv2d_stacked")), none);

    let mut other = case("batch_norm_train_conv2d");
    other["future"] = json!(1);
    assert_eq!(examine(&other), ["future: unknown"]);
    other = case("batch_norm_train_conv2d");
    other["spec"]["layers"][3]["type"] = json!("unflatten");
    let failures = examine(&other);
    assert!(failures[0].starts_with("spec.layers[3].type: expected a known type"));

    assert_eq!(summary.skipped, 2);
    let types = summary.types.into_iter().collect::<Vec<_>>();
    assert_eq!(types, ["conv1d", "conv2d", "gru"].map(|kind| (kind, 1)));
}

/// A folder in the temporary directory. Dropping it removes the folder.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("backprop-golden-layers-{}-{name}", process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(folder.join("extreme")).unwrap();
        Self(folder)
    }

    fn write(&self, file: &str, case: &Value) {
        fs::write(self.0.join(file), case.to_string()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // At worst the folder remains, which is no reason to fail the test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn folders_fail_with_the_names_of_their_files() {
    let missing = golden().join("no such folder");
    assert!(run(&missing).unwrap_err()[0].contains("no such folder"));
    let folder = Folder::new("files");
    let failures = || run(&folder.0).unwrap_err();
    assert!(failures()[0].ends_with("files: no *.json in it"));
    folder.write("good.json", &case(GOOD));
    assert!(failures()[0].ends_with("extreme: no *.json in it"));
    folder.write("extreme/skipped.json", &case("conv1d_alone"));
    let summary = run(&folder.0).unwrap();
    assert_eq!((summary.cases, summary.extreme, summary.skipped), (1, 1, 1));
    assert!(
        summary
            .line()
            .contains("; compared: J 1, per_example_cost 1, logits 1")
    );
    assert!(summary.line().ends_with("; skipped: 1 (types conv1d 1)"));

    let mut wrong = case(GOOD);
    nudge(&mut wrong["outputs"][1][0]);
    folder.write("extreme/wrong.json", &wrong);
    fs::write(folder.0.join("broken.json"), "{\"J\": NaN}").unwrap();
    let failures = failures();
    let starts = ["broken.json: the JSON: ", "wrong.json: outputs: f64 error "];
    assert_eq!(failures.len(), starts.len(), "{failures:?}");
    for (failure, start) in failures.iter().zip(starts) {
        assert!(failure.starts_with(start), "{failure}");
    }
}
