//! `docs/network.schema.json` describes exactly what is written and read: every tag and field of
//! the types is in the schema and the other way round, every kind of network is valid, and the
//! schema and the crate refuse the same mistakes.

mod page;
mod probe;
mod validator;

use super::containers::every_kind;
use super::state::with_state;
use crate::python::Python;
use backprop::activation::{AnyActivation, Elu, Identity, LeakyRelu, Tanh};
use backprop::layer::Axis;
use backprop::{Network, Shape, saving};
use probe::{Kind, Step, kind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use validator::{matches, resolve};

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(saving::NETWORK_SCHEMA).unwrap());

fn is_valid(document: &Value) -> bool {
    matches(&SCHEMA, &SCHEMA, document)
}

/// Returns the alternatives of an enum by their tags, with the schema of their content. Among the
/// shapes, the number is that of units.
fn alternatives(schema: &'static Value) -> BTreeMap<&'static str, Option<&'static Value>> {
    let alone = std::slice::from_ref(schema);
    let options = resolve(&SCHEMA, schema).get("oneOf");
    let options = options.map_or(alone, |options| options.as_array().unwrap());
    let mut found = BTreeMap::new();
    for option in options {
        let node = resolve(&SCHEMA, option);
        if let Some(names) = node.get("enum") {
            let names = names.as_array().unwrap().iter();
            found.extend(names.map(|name| (name.as_str().unwrap(), None)));
        } else if node["type"] == "integer" {
            found.insert("units", Some(option));
        } else {
            let members = node["properties"].as_object().unwrap();
            assert_eq!(node["required"], json!(Vec::from_iter(members.keys())));
            assert_eq!(members.len(), 1, "a tag for each alternative");
            let members = members.iter();
            found.extend(members.map(|(tag, content)| (tag.as_str(), Some(content))));
        }
    }
    found
}

/// Compares a part of the type with a part of the schema, and everything inside. `outer` has the
/// enums around it, which are not compared again.
fn compare(path: &[Step], schema: &'static Value, outer: &[&'static [&'static str]]) {
    let node = resolve(&SCHEMA, schema);
    let compare_inside = |step: Step, schema: &'static Value, outer: &[_]| {
        compare(&[path, &[step]].concat(), schema, outer);
    };
    let is_type = |name: &str| assert_eq!(node["type"], name, "{path:?}");
    match kind::<Network<f64>>(path) {
        Kind::Struct(fields) => {
            is_type("object");
            let properties = node["properties"].as_object().unwrap();
            let found: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(found, fields.iter().copied().collect(), "{path:?}");
            for &field in fields {
                compare_inside(Step::Field(field), &properties[field], outer);
            }
        }
        Kind::Enum(names) => {
            let found = alternatives(schema);
            let tags: BTreeSet<&str> = found.keys().copied().collect();
            // Custom layers are whatever their type writes.
            let expected = names.iter().copied().filter(|&name| name != "custom");
            assert_eq!(tags, expected.collect(), "{path:?}");
            if outer.contains(&names) {
                return;
            }
            let outer = [outer, &[names]].concat();
            for (tag, content) in found {
                match content {
                    Some(content) => compare_inside(Step::Variant(tag), content, &outer),
                    None => {
                        let unit = [path, &[Step::Variant(tag)]].concat();
                        assert_eq!(kind::<Network<f64>>(&unit), Kind::Unit);
                    }
                }
            }
        }
        Kind::List => {
            is_type("array");
            compare_inside(Step::Item, &node["items"], outer);
        }
        Kind::Optional => {
            let [value, null] = &node["oneOf"].as_array().unwrap()[..] else {
                panic!("{path:?}")
            };
            assert_eq!(null, &json!({"type": "null"}));
            compare_inside(Step::Value, value, outer);
        }
        Kind::Integer => is_type("integer"),
        Kind::Number => is_type("number"),
        Kind::Flag => is_type("boolean"),
        Kind::Text => assert_eq!(node["enum"], json!(["f32", "f64"])),
        Kind::Unit => panic!("{path:?} has content in the schema"),
    }
}

#[test]
fn every_field_and_tag_is_in_both() {
    compare(&[], &SCHEMA, &[]);
    // No definition is left over.
    let text = saving::NETWORK_SCHEMA;
    for name in SCHEMA["$defs"].as_object().unwrap().keys() {
        assert!(
            text.contains(&format!(r##""#/$defs/{name}""##)),
            "{name} is not used"
        );
    }
}

/// Every built-in activation. The tests above and below fail if one is missing.
pub(crate) fn activations() -> Vec<AnyActivation> {
    let names = alternatives(&SCHEMA["$defs"]["activation"]);
    let units = names.iter().filter(|(_, content)| content.is_none());
    let units = units.map(|(name, _)| serde_json::from_value(json!(name)).unwrap());
    units
        .chain([LeakyRelu { slope: 0.25 }, Elu { alpha: 0.75 }])
        .collect()
}

/// Networks with every layer, activation, shape and option.
fn networks() -> Vec<Value> {
    let mut written = Vec::new();
    for g in activations() {
        let network = Network::<f64>::builder(2).dense(3, g).activate(g);
        written.push(serde_json::to_value(network.zeros().unwrap()).unwrap());
    }
    let (channels, length) = (2, 3);
    for shape in [
        Shape::Signal { channels, length },
        Shape::Image {
            channels,
            height: 4,
            width: 5,
        },
    ] {
        let builder = Network::<f32>::builder(shape);
        let builder = builder.batch_norm().flatten().dense_without_bias(2, Tanh);
        written.push(serde_json::to_value(builder.zeros().unwrap()).unwrap());
    }
    let mut frozen = every_kind();
    frozen.freeze([3, 0, 0]).unwrap();
    frozen.freeze(7).unwrap();
    for network in [frozen, every_kind(), with_state()] {
        written.push(serde_json::to_value(&network).unwrap());
    }
    let heads = Network::<f64>::builder(2).concat(Axis::First, |branches| {
        branches.branch(|b| b.dense(1, Identity)).branch(|b| b)
    });
    written.push(serde_json::to_value(heads.zeros().unwrap()).unwrap());
    written
}

/// The tags in a document at which the schema has a choice.
fn tags_used(document: &Value, schema: &'static Value, used: &mut BTreeSet<String>) {
    let node = resolve(&SCHEMA, schema);
    if let Some(options) = node.get("oneOf").and_then(Value::as_array) {
        let option = options
            .iter()
            .find(|option| matches(&SCHEMA, option, document));
        return tags_used(document, option.unwrap(), used);
    }
    if node.contains_key("enum") {
        used.insert(document.to_string());
    }
    for item in document.as_array().into_iter().flatten() {
        tags_used(item, &node["items"], used);
    }
    let members = document.as_object().into_iter().flatten();
    for (name, member) in members.filter(|_| node.contains_key("properties")) {
        used.insert(name.clone());
        tags_used(member, &node["properties"][name], used);
    }
}

/// The names of all members, and the values of all enums, in a part of the schema.
fn tags_defined(schema: &Value, defined: &mut BTreeSet<String>) {
    for value in schema["enum"].as_array().into_iter().flatten() {
        defined.insert(value.to_string());
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    defined.extend(properties.map(|(name, _)| name.clone()));
    for part in schema.as_object().into_iter().flat_map(|map| map.values()) {
        tags_defined(part, defined);
    }
    for part in schema.as_array().into_iter().flatten() {
        tags_defined(part, defined);
    }
}

#[test]
fn every_kind_of_network_is_valid() {
    let (mut used, mut defined) = (BTreeSet::new(), BTreeSet::new());
    for written in networks() {
        assert!(is_valid(&written), "{written}");
        tags_used(&written, &SCHEMA, &mut used);
    }
    tags_defined(&SCHEMA, &mut defined);
    assert_eq!(used, defined, "used and defined");
    // Files of earlier versions.
    for version in ["v1", "v2"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/saving/");
        let file = std::fs::read_to_string(format!("{folder}{version}/network-f64.backprop"));
        let file = file.unwrap();
        let (_, content) = file.split_once('\n').unwrap();
        assert!(is_valid(&serde_json::from_str(content).unwrap()));
    }
}

/// Documents with one mistake or change each.
fn changed(document: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut pointers = Vec::new();
    fn collect(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
        pointers.push(pointer.to_owned());
        for (name, member) in value.as_object().into_iter().flatten() {
            collect(member, &format!("{pointer}/{name}"), pointers);
        }
        // The other numbers of θ are like the first.
        let items = value.as_array().into_iter().flatten().enumerate();
        let few = items.filter(|(i, item)| *i == 0 || !item.is_number());
        for (i, item) in few {
            collect(item, &format!("{pointer}/{i}"), pointers);
        }
    }
    collect(document, "", &mut pointers);
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!("other"),
        json!([]),
        json!({}),
    ];
    for pointer in pointers {
        let mut change = |edit: &dyn Fn(&mut Value)| {
            let mut copy = document.clone();
            edit(copy.pointer_mut(&pointer).unwrap());
            found.push(copy);
        };
        for other in &others {
            change(&|value| *value = other.clone());
        }
        let part = document.pointer(&pointer).unwrap();
        for name in part.as_object().into_iter().flat_map(|map| map.keys()) {
            let remove = |value: &mut Value| value.as_object_mut().unwrap().remove(name).unwrap();
            change(&|value| drop(remove(value)));
            change(&|value| {
                let member = remove(value);
                value[format!("{name}s")] = member;
            });
        }
        if part.is_object() {
            change(&|value| value["more"] = json!(1));
        }
    }
    found
}

/// Parts of the crate's messages about mistakes that the schema states too.
const IN_THE_SCHEMA: [&str; 8] = [
    "unknown field",
    "unknown variant",
    "missing field",
    "invalid ",
    "expected value",
    "expected a number in",
    "expected at least one",
    " is 0, expected",
];

/// Where the schema refuses a document, the crate does. Where only the crate does, it is for sizes
/// and lengths, which the schema cannot express.
#[test]
fn the_schema_and_the_crate_refuse_the_same_mistakes() {
    let (mut refused, mut sizes, mut documents) = (0, 0, Vec::new());
    for (i, document) in networks().into_iter().enumerate() {
        for changed in changed(&document) {
            let is_f32 = document["scalar"] == "f32";
            let read = if is_f32 {
                serde_json::from_value::<Network<f32>>(changed.clone()).map(drop)
            } else {
                serde_json::from_value::<Network<f64>>(changed.clone()).map(drop)
            };
            let valid = is_valid(&changed);
            match (valid, read) {
                (true, Ok(())) => {}
                (true, Err(error)) => {
                    let message = error.to_string();
                    let stated = IN_THE_SCHEMA.iter().any(|part| message.contains(part));
                    assert!(!stated, "{message}: {changed}");
                    sizes += 1;
                }
                (false, Ok(())) => panic!("the crate reads {changed}"),
                (false, Err(_)) => refused += 1,
            }
            if i % 5 == 0 {
                documents.push(json!([changed, valid]));
            }
        }
        documents.push(json!([document, true]));
    }
    assert!(refused > 4000 && sizes > 50, "{refused} {sizes}");

    let unchecked = "docs/network.schema.json with the library jsonschema";
    let Some(python) = Python::with(&["jsonschema"], unchecked) else {
        return;
    };
    let code = "import json, sys, jsonschema\n\
                schema, documents = json.load(sys.stdin)\n\
                jsonschema.Draft202012Validator.check_schema(schema)\n\
                validator = jsonschema.Draft202012Validator(schema)\n\
                for document, valid in documents:\n    \
                    assert validator.is_valid(document) == valid, (document, valid)\n\
                print(len(documents))";
    let input = json!([*SCHEMA, documents]).to_string();
    let checked = python.run(&["-c", code], std::path::Path::new("."), &input);
    assert_eq!(checked.trim(), documents.len().to_string());
}
