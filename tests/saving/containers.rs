//! Networks whose layers contain layers, and whose inputs have several axes.

use super::{Folder, refusal};
use backprop::activation::{Identity, Relu, Sigmoid, Tanh};
use backprop::layer::{AnyLayer, Axis, Concat, Residual, Sequential};
use backprop::saving::{self, Refusal};
use backprop::{Builder, Dense, Network, Shape};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, I64Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const STEPS: Shape = Shape::Sequence {
    steps: 2,
    features: 3,
};

/// A network with every kind of layer.
pub(crate) fn every_kind() -> Network<f64> {
    let builder = Network::builder(STEPS)
        .residual(|body| body.dense(3, Tanh))
        .concat(Axis::Last, |branches| {
            branches.branch(|b| b.dense(1, Tanh)).branch(|b| b)
        })
        .transpose()
        .residual_with_shortcut(|b| b.dense(1, Tanh), |b| b.dense(1, Identity))
        .flatten()
        .select(1..3)
        .activate(Relu)
        .sequential(|s| s.dense(1, Sigmoid));
    let len = builder.clone().zeros().unwrap().parameters();
    let theta: Vec<f64> = (0..len).map(|i| (i as f64 * 1.3).sin()).collect();
    builder.with_theta(&theta).unwrap()
}

#[test]
fn every_kind_of_layer_is_saved() {
    let folder = Folder::new("containers");
    let network = every_kind();
    let path = folder.file("network.backprop");
    saving::save(&path, "network", &network).unwrap();
    let loaded: Network<f64> = saving::load(&path, "network").unwrap();
    assert_eq!(loaded, network);
    let x = [0.1, -0.7, 0.4, 0.9, 0.2, -0.3];
    assert_eq!(loaded.forward(&x).unwrap(), network.forward(&x).unwrap());
    assert_eq!(loaded.layout().blocks(), network.layout().blocks());

    let single = network.map(|w| w as f32).unwrap();
    let json = serde_json::to_string(&single).unwrap();
    let loaded: Network<f32> = serde_json::from_str(&json).unwrap();
    assert_eq!(loaded, single);
    let error = serde_json::from_str::<Network<f64>>(&json).unwrap_err();
    assert!(error.to_string().contains("the numbers are f32"), "{error}");
}

/// The form of each container and of the inputs.
#[test]
fn the_form_is_settled() {
    let dense = |inputs: usize, g: &str| {
        format!(r#"{{"dense":{{"inputs":{inputs},"outputs":1,"activation":"{g}"}}}}"#)
    };
    let body = dense(3, "tanh").replace(r#""outputs":1"#, r#""outputs":3"#);
    let layers = [
        format!(r#"{{"residual":{{"body":[{body}],"shortcut":null}}}}"#),
        format!(
            r#"{{"concat":{{"branches":[[{}],[]],"axis":"last"}}}}"#,
            dense(3, "tanh")
        ),
        r#"{"rearrange":"transpose"}"#.to_owned(),
        format!(
            r#"{{"residual":{{"body":[{}],"shortcut":[{}]}}}}"#,
            dense(2, "tanh"),
            dense(2, "identity")
        ),
        r#"{"rearrange":"flatten"}"#.to_owned(),
        r#"{"rearrange":{"select":{"from":1,"to":3}}}"#.to_owned(),
        r#"{"activate":{"activation":"relu"}}"#.to_owned(),
        format!(r#"{{"sequential":[{}]}}"#, dense(2, "sigmoid")),
    ];
    let network = every_kind();
    let theta = serde_json::to_string(network.theta().as_slice()).unwrap();
    let json = format!(
        r#"{{"scalar":"f64","inputs":{},"layers":[{}],"theta":{theta}}}"#,
        r#"{"sequence":{"steps":2,"features":3}}"#,
        layers.join(",")
    );
    assert_eq!(serde_json::to_string(&network).unwrap(), json);
    // A residual may omit the shortcut that it does not have.
    let without = json.replace(r#","shortcut":null"#, "");
    assert_ne!(without, json);
    for text in [json, without] {
        assert_eq!(
            serde_json::from_str::<Network<f64>>(&text).unwrap(),
            network
        );
    }
}

#[test]
fn shapes_are_numbers_or_maps() {
    let signal = Shape::Signal {
        channels: 2,
        length: 7,
    };
    let image = Shape::Image {
        channels: 1,
        height: 2,
        width: 3,
    };
    for (shape, json) in [
        (Shape::Units(5), "5"),
        (STEPS, r#"{"sequence":{"steps":2,"features":3}}"#),
        (signal, r#"{"signal":{"channels":2,"length":7}}"#),
        (image, r#"{"image":{"channels":1,"height":2,"width":3}}"#),
    ] {
        assert_eq!(serde_json::to_string(&shape).unwrap(), json);
        assert_eq!(serde_json::from_str::<Shape>(json).unwrap(), shape);
        let value = serde_json::from_str::<Value>(json).unwrap();
        assert_eq!(serde_json::from_value::<Shape>(value).unwrap(), shape);
        let network = Network::<f64>::builder(shape).activate(Tanh);
        let network = network.zeros().unwrap();
        let text = serde_json::to_string(&network).unwrap();
        assert!(text.contains(&format!(r#""inputs":{json},"#)), "{text}");
        assert_eq!(
            serde_json::from_str::<Network<f64>>(&text).unwrap(),
            network
        );
        // Some formats have only signed integers.
        if let Shape::Units(units) = shape {
            let signed: I64Deserializer<ValueError> =
                i64::try_from(units).unwrap().into_deserializer();
            assert_eq!(Shape::deserialize(signed), Ok(shape));
        }
    }
    for (json, reason) in [
        (
            "-1",
            "integer `-1`, expected a number of units or a shape at",
        ),
        (
            "2.0",
            "floating point `2.0`, expected a number of units or a shape",
        ),
        ("18446744073709551616", "expected a number of units"),
        (
            r#""2""#,
            r#"string "2", expected a number of units or a shape"#,
        ),
        ("null", "null, expected a number of units or a shape"),
        ("[2,3]", "sequence, expected a number of units or a shape"),
        ("{}", "expected"),
        (
            r#"{"volume":{"steps":2}}"#,
            "unknown variant `volume`, expected one of",
        ),
        (r#"{"sequence":{"steps":2}}"#, "missing field `features`"),
        (
            r#"{"sequence":{"steps":2,"features":3,"more":1}}"#,
            "unknown field `more`",
        ),
        (r#"{"sequence":{"steps":2,"features":3},"more":1}"#, ""),
        (
            r#"{"sequence":{"steps":-2,"features":3}}"#,
            "integer `-2`, expected usize",
        ),
    ] {
        let text = serde_json::from_str::<Shape>(json).unwrap_err().to_string();
        assert!(text.contains(reason), "{json}: {text}");
        if let Ok(value) = serde_json::from_str::<Value>(json) {
            assert!(serde_json::from_value::<Shape>(value).is_err(), "{json}");
        }
    }
    // A shape that the layers cannot take, and one without entries or too large.
    let file = |inputs: &str| {
        format!(r#"{{"inputs":{inputs},"layers":[{{"rearrange":"transpose"}}],"theta":[]}}"#)
    };
    for (inputs, reason) in [
        ("6", "are 6 units, expected a sequence or a signal"),
        (r#"{"sequence":{"steps":0,"features":3}}"#, "no inputs"),
    ] {
        let error = serde_json::from_str::<Network<f64>>(&file(inputs)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// Every object of a file, at every depth, has only the fields that it should have, and all of
/// them.
#[test]
fn unknown_and_missing_fields_are_refused() {
    fn parts(value: &mut Value) -> Vec<&mut Value> {
        match value {
            Value::Array(parts) => parts.iter_mut().collect(),
            Value::Object(parts) => parts.values_mut().collect(),
            _ => Vec::new(),
        }
    }
    /// Calls `change` with the object of this number, in the order of the file.
    fn change(
        value: &mut Value,
        at: &mut usize,
        change_it: &mut dyn FnMut(&mut Map<String, Value>),
    ) {
        if let Value::Object(fields) = value {
            if *at == 0 {
                change_it(fields);
            }
            *at = at.wrapping_sub(1);
        }
        for part in parts(value) {
            change(part, at, change_it);
        }
    }

    let saved = serde_json::to_value(every_kind()).unwrap();
    let read = |value: &Value| Network::<f64>::deserialize(value);
    read(&saved).unwrap();
    let (mut objects, mut fields_removed) = (0, 0);
    loop {
        let (mut more, mut fields) = (saved.clone(), None);
        change(&mut more, &mut { objects }, &mut |object| {
            fields = Some(object.keys().cloned().collect::<Vec<_>>());
            object.insert("more".into(), 1.into());
        });
        let Some(fields) = fields else { break };
        assert!(read(&more).is_err(), "{more}");
        for field in fields {
            let mut fewer = saved.clone();
            change(&mut fewer, &mut { objects }, &mut |object| {
                object.remove(&field);
            });
            // The scalar of a file of version 1, and a shortcut that is not there. Without one
            // that is there, the layers still fit, but θ does not.
            let optional = field == "scalar" || field == "shortcut";
            match read(&fewer) {
                Ok(network) => {
                    assert!(optional, "{field}: {fewer}");
                    assert_eq!(network, every_kind());
                }
                Err(_) => fields_removed += 1,
            }
        }
        objects += 1;
    }
    // Two shapes of objects around each layer, and those of the file and its inputs.
    assert!(
        objects > 20 && fields_removed > 40,
        "{objects} {fields_removed}"
    );
}

/// Layers that do not fit are refused with the path of the layer.
#[test]
fn containers_that_do_not_fit_are_refused() {
    let folder = Folder::new("misfits");
    let fine = serde_json::to_string(&every_kind()).unwrap();
    for (from, to, reason) in [
        (
            r#""outputs":3"#,
            r#""outputs":4"#,
            "the output of layer 0.0 ",
        ),
        (
            r#""axis":"last""#,
            r#""axis":"first""#,
            "the output of layer 1.1 ",
        ),
        (r#""steps":2"#, r#""steps":3"#, "layer 3.0.0 "),
        (r#""to":3"#, r#""to":9"#, "the inputs of layer 5 "),
        (
            r#""axis":"last""#,
            r#""axis":"middle""#,
            "unknown variant `middle`",
        ),
        (
            r#","theta":["#,
            r#","theta":[1.0,"#,
            "θ: expected a length of ",
        ),
    ] {
        let changed = fine.replacen(from, to, 1);
        assert_ne!(changed, fine);
        let content: Value = serde_json::from_str(&changed).unwrap();
        let bytes = saving::to_bytes("network", &content).unwrap();
        let Refusal::Content { message } = refusal::<Network<f64>>(&bytes, "network", &folder)
        else {
            panic!("{changed}");
        };
        assert!(message.contains(reason), "{message}, expected {reason}");
    }
}

/// A layer type of a user, which holds the containers too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Own {
    Dense(Dense),
    Residual(Residual<Own>),
    Concat(Concat<Own>),
    Sequential(Sequential<Own>),
}

type Custom = AnyLayer<Dense>;

#[test]
fn custom_layers_are_saved_at_any_depth() {
    let inner = AnyLayer::Custom(Dense::new(2, 2, Tanh));
    let network = Builder::<f64, Custom>::new(2)
        .residual(|body| {
            body.concat(Axis::First, |branches| {
                let branches = branches.branch(|b| b.layer(inner.clone()));
                branches.branch(|b| b.sequential(|s| s.layer(inner).dense(1, Tanh)))
            })
            .dense(2, Tanh)
        })
        .zeros()
        .unwrap();
    let json = serde_json::to_string(&network).unwrap();
    assert!(
        json.contains(r#"{"sequential":[{"custom":{"inputs":2"#),
        "{json}"
    );
    let read: Network<f64, Custom> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, network);

    let own = Own::Residual(Residual::new(Sequential::new(vec![
        Own::Dense(Dense::new(2, 2, Tanh)),
        Own::Sequential(Sequential::new(vec![])),
    ])));
    let json = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<Own>(&json).unwrap(), own);
    // A container that is saved by itself.
    let concat = Concat::new(vec![Sequential::new(vec![own])], Axis::Last);
    let json = serde_json::to_string(&concat).unwrap();
    assert_eq!(serde_json::from_str::<Concat<Own>>(&json).unwrap(), concat);
}
