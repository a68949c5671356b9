//! The runner on cases with modes, masks and ids.

use super::fields::Field;
use super::runner::{all_fields, changed, failures, fields, nudge_largest, remove};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// W = \[1 2; 3 4\] without a bias, then dropout with p = ½ in training, worked out by hand: the
/// first example keeps the first unit, and the second the second.
fn masked() -> Value {
    let block = |values: Value| json!([{"layer": "0", "name": "weight", "values": values}]);
    let mut parameters = block(json!([[1, 2], [3, 4]]));
    parameters[0]["shape"] = json!([2, 2]);
    parameters[0]["penalised"] = json!(true);
    let curved = block(json!([[2, 2], [-4, 2]]));
    json!({
        "spec": {
            "input": [2], "cost": "half_mse", "lambda": 0, "m": 2, "layers": [
                {"type": "dense", "units": 2, "activation": "identity", "bias": false},
                {"type": "dropout", "p": 0.5, "mode": "train"},
            ],
        },
        "parameters": parameters, "n_params": 4,
        "masks": [{"layer": "1", "values": [[1, 0], [0, 1]]}],
        "X": [[1, 1], [2, -1]], "Y": [[5, 0], [0, 1]],
        "J": 2.5, "per_example_cost": [0.5, 4.5],
        "logits": [[6, 0], [0, 4]], "outputs": [[6, 0], [0, 4]],
        "grad": block(json!([[1, 1], [6, -3]])), "grad_X": [[1, 2], [9, 12]],
        "v": block(json!([[1, 0], [0, 1]])), "hvp": curved, "ggn_logits_vp": curved,
        "u": [[1, 0], [0, 1]], "jvp_X": [[2, 0], [0, 8]],
        "per_example_grad": [[[[2, 2], [0, 0]]], [[[0, 0], [12, -6]]]],
        "bound": {"default": 1e-15}, "zero_blocks": {},
    })
}

#[test]
fn masks_are_given_to_the_layers_of_chance() {
    assert_eq!(failures(&masked(), false), Vec::<String>::new());
    let failures = |change: fn(&mut Value)| {
        let mut case = masked();
        change(&mut case);
        failures(&case, true)
    };
    let found = failures(|c| c["masks"][0]["values"][0] = json!([1, 1]));
    let present = all_fields().filter(|&field| field != Field::Hessian);
    let present: BTreeSet<&str> = present.map(Field::name).collect();
    assert_eq!(fields(&found), present, "{found:?}");
    // In evaluation, dropout does nothing, and there are no masks.
    let found = failures(|c| c["spec"]["layers"][1]["mode"] = json!("eval"));
    assert_eq!(
        found,
        ["masks: expected no such field: no layer of the case has it"]
    );
    let found = failures(|c| {
        c["spec"]["layers"][1]["mode"] = json!("eval");
        remove(c, "masks");
    });
    assert!(fields(&found).contains("outputs"), "{found:?}");
    assert_eq!(failures(|c| remove(c, "masks")), ["masks: missing"]);
    let found = failures(|c| c["masks"][0]["layer"] = json!("0"));
    assert_eq!(
        found,
        ["masks[0].layer: expected the layers that have masks, in order"]
    );
    let found = failures(|c| c["masks"][0]["values"] = json!([[1], [0]]));
    assert!(found[0].starts_with("J: f64: refused: "), "{found:?}");
    let found = failures(|c| c["spec"]["layers"][1]["mode"] = json!("both"));
    assert_eq!(found, ["spec.layers[1].mode: expected train or eval"]);
}

/// The table of an embedding, its ids, and that derivatives by ids have to be refused.
#[test]
fn embeddings_are_compared() {
    let name = "embedding_flatten_dense";
    for field in ["grad", "hvp"] {
        let found = changed(name, |case| nudge_largest(&mut case[field][0]["values"]));
        assert!(
            found[0].starts_with(&format!("{field}: f64 error")),
            "{found:?}"
        );
    }
    let found = changed(name, |case| {
        let id = case["X"][0][0].as_f64().unwrap();
        case["X"][0][0] = json!(if id == 0.0 { 1.0 } else { id - 1.0 });
    });
    assert!(fields(&found).contains("outputs"), "{found:?}");
    let found = changed(name, |case| case["X"][0][0] = json!(1e6));
    assert!(
        found[0].starts_with("J: f64: refused: row 0 of X"),
        "{found:?}"
    );
    let found = changed(name, |case| case["grad_X"] = case["X"].clone());
    assert!(
        found[0].starts_with("grad_X: f64: refused: row 0 of X"),
        "{found:?}"
    );
}

/// Statistics are read, used, replaced in training and kept in evaluation.
#[test]
fn the_state_is_compared() {
    let name = "batch_norm_train_alone";
    for key in ["running_mean", "running_var"] {
        let found = changed(name, |case| nudge_largest(&mut case["state_after"][0][key]));
        assert!(found[0].starts_with("state_after: f64 error"), "{found:?}");
        // In training, outputs do not depend on the running statistics.
        let found = changed(name, |case| nudge_largest(&mut case["state"][0][key]));
        assert_eq!(fields(&found), BTreeSet::from(["state_after"]));
    }
    let found = changed(name, |case| remove(case, "state"));
    assert_eq!(found, ["state: missing"]);
    let found = changed(name, |case| {
        drop(case["state"].as_array_mut().unwrap().pop());
    });
    assert!(
        found[0].starts_with("state: expected the state of layer "),
        "{found:?}"
    );
    let found = changed(name, |case| case["state"][0]["layer"] = json!("7"));
    assert!(
        found[0].starts_with("state[0]: expected the layers that have state"),
        "{found:?}"
    );
    let found = changed(name, |case| {
        case["state"][0]["running_var"][0] = json!(-1.0);
    });
    assert_eq!(found.len(), 1, "{found:?}");

    let name = "batch_norm_eval_dense";
    let found = changed(name, |case| {
        nudge_largest(&mut case["state"][0]["running_mean"]);
    });
    let expected = ["outputs", "state_after"];
    assert!(
        fields(&found).is_superset(&BTreeSet::from(expected)),
        "{found:?}"
    );
    let found = changed(name, |case| {
        case["spec"]["layers"][1]["mode"] = json!("train");
    });
    let expected = ["outputs", "state_after"];
    assert!(
        fields(&found).is_superset(&BTreeSet::from(expected)),
        "{found:?}"
    );
}

/// γ and β, and the shape that a norm sums over.
#[test]
fn norms_are_compared() {
    for name in [
        "layer_norm_alone",
        "rms_norm_alone",
        "batch_norm_train_alone",
    ] {
        let found = changed(name, |case| nudge_largest(&mut case["grad"][0]["values"]));
        assert!(found[0].starts_with("grad: f64 error"), "{found:?}");
        let found = changed(name, |case| case["spec"]["layers"][0]["eps"] = json!(0.1));
        assert!(fields(&found).contains("outputs"), "{found:?}");
    }
    let found = changed("layer_norm_alone", |case| {
        case["spec"]["layers"][0]["shape"] = json!([5]);
    });
    assert_eq!(
        found,
        ["spec.layers[0].shape: expected the last axes of the input"]
    );
    let found = changed("layer_norm_alone", |case| {
        case["parameters"][0]["penalised"] = json!(true);
    });
    assert_eq!(
        found,
        ["parameters[0]: 0 weight: the network penalises other entries"]
    );
}
