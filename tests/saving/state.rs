//! Networks with state: its form in files, what is read, and what is refused.

use super::Folder;
use backprop::activation::{Identity, Tanh};
use backprop::layer::{AnyLayer, BatchNorm, LayerNorm, RmsNorm};
use backprop::{Network, Path, Workspace, saving};
use serde_json::{Value, json};

/// Every layer with state or chance, ids, and a layer whose statistics are fixed.
pub(crate) fn with_state() -> Network<f64> {
    let builder = Network::builder(2).embedding(4, 3).flatten();
    let builder = builder.dense_without_bias(3, Identity).batch_norm();
    let builder = builder.activate(Tanh).dropout(0.25).gaussian_noise(0.5);
    let builder = builder
        .layer(LayerNorm::new().eps(0.01).into())
        .layer(RmsNorm::new().affine(false).into())
        .residual(|body| {
            let norm = BatchNorm::new().cumulative().affine(false);
            body.dense(3, Identity).layer(norm.into())
        });
    let p = builder.clone().zeros().unwrap().parameters();
    let theta: Vec<f64> = (0..p).map(|i| (0.3 + 1.3 * i as f64).sin()).collect();
    let mut network = builder.with_theta(&theta).unwrap();
    let state: Vec<f64> = (0..network.state().len())
        .map(|i| 0.25 + 0.5 * i as f64)
        .collect();
    network.set_state(&state).unwrap();
    network.fix_statistics([9, 0, 1]).unwrap();
    network
}

#[test]
fn state_is_saved_with_the_network() {
    let folder = Folder::new("state");
    let (network, path) = (with_state(), folder.file("network.backprop"));
    saving::save(&path, "network", &network).unwrap();
    let loaded: Network<f64> = saving::load(&path, "network").unwrap();
    assert_eq!(loaded, network);
    assert_eq!(loaded.state(), network.state());
    let x = [1.0, 3.0];
    assert_eq!(loaded.forward(&x).unwrap(), network.forward(&x).unwrap());
    // The loaded network trains as the other would, with the same fixed statistics.
    let run = |network: &Network<f64>| {
        let mut network = network.clone();
        let mut workspace = Workspace::new();
        workspace.set_training(Some(5));
        let x = backprop::nalgebra::DMatrix::from_row_slice(2, 3, &[0., 1., 2., 3., 2., 1.]);
        let a = network
            .forward_into(&x, &mut workspace)
            .unwrap()
            .clone_owned();
        network.take_state(&workspace).unwrap();
        (a, network.state().clone())
    };
    assert_eq!(run(&loaded), run(&network));
    let fixed: Vec<Path> = loaded
        .state_by_path()
        .filter(|s| s.is_fixed)
        .map(|s| s.path.clone())
        .collect();
    assert_eq!(fixed, vec![Path::from([9, 0, 1]); 3]);
}

/// The form in JSON. Other programs read and write it.
#[test]
fn the_form_is_settled() {
    let layers: Vec<AnyLayer> = vec![
        BatchNorm::new().into(),
        BatchNorm::new().cumulative().affine(false).eps(0.5).into(),
        LayerNorm::new().axes(1).into(),
        RmsNorm::new().eps(0.25).into(),
        backprop::layer::Dropout::new(0.5).into(),
        backprop::layer::GaussianNoise::new(2.0).into(),
    ];
    let theta = [1.0, 0.0, 1.0, 0.0, 1.0];
    let mut network = Network::<f64>::from_layers(1, layers, &theta).unwrap();
    network.fix_statistics(0).unwrap();
    let expected = json!({
        "scalar": "f64",
        "inputs": 1,
        "layers": [
            {"batch_norm": {"eps": 1e-5, "momentum": 0.1, "affine": true}},
            {"batch_norm": {"eps": 0.5, "momentum": null, "affine": false}},
            {"layer_norm": {"axes": 1, "eps": 1e-5, "affine": true}},
            {"rms_norm": {"axes": 1, "eps": 0.25, "affine": true}},
            {"dropout": {"p": 0.5}},
            {"gaussian_noise": {"sigma": 2.0}},
        ],
        "theta": [1.0, 0.0, 1.0, 0.0, 1.0],
        "state": [0.0, 1.0, 0.0, 1.0, 0.0],
        "fixed_statistics": [[0]],
    });
    assert_eq!(serde_json::to_value(&network).unwrap(), expected);
    // Without state nothing is added to the form.
    let plain = Network::<f64>::builder(1).layer_norm().zeros().unwrap();
    let saved = serde_json::to_value(&plain).unwrap();
    assert_eq!(saved.as_object().unwrap().len(), 4, "{saved}");
}

/// A state that is missing, too short, out of range or of no layer is refused.
#[test]
fn faults_in_the_state_are_refused() {
    let whole = serde_json::to_value(with_state()).unwrap();
    assert!(serde_json::from_value::<Network<f64>>(whole.clone()).is_ok());
    type Fault = fn(&mut Value);
    let faults: [(&str, Fault); 8] = [
        ("no state", |v| {
            drop(v.as_object_mut().unwrap().remove("state"));
        }),
        ("a short state", |v| {
            drop(v["state"].as_array_mut().unwrap().pop());
        }),
        ("a long state", |v| {
            v["state"].as_array_mut().unwrap().push(json!(1.0));
        }),
        ("a negative variance", |v| v["state"][3] = json!(-0.125)),
        ("a negative count", |v| v["state"][12] = json!(-1.0)),
        ("text", |v| v["state"] = json!("1 2 3")),
        ("no such layer", |v| v["fixed_statistics"] = json!([[10]])),
        ("another momentum", |v| {
            v["layers"][3]["batch_norm"]["momentum"] = json!(1.5);
        }),
    ];
    for (name, fault) in faults {
        let mut forged = whole.clone();
        fault(&mut forged);
        assert_ne!(forged, whole, "{name}");
        let refused = serde_json::from_value::<Network<f64>>(forged);
        assert!(refused.is_err(), "{name}");
    }
    // A state in a network that has none.
    let plain = Network::<f64>::builder(1).layer_norm().zeros().unwrap();
    let mut forged = serde_json::to_value(plain).unwrap();
    forged["state"] = json!([1.0]);
    assert!(serde_json::from_value::<Network<f64>>(forged).is_err());
}
