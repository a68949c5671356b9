//! The part of JSON Schema 2020-12 that `docs/network.schema.json` uses. A keyword that is not here
//! is an error, so the schema cannot state anything that the tests overlook.

use serde_json::{Map, Value};

/// Keywords that validate nothing.
const ANNOTATIONS: [&str; 4] = ["$schema", "title", "description", "$defs"];

/// Follows references until there is none. They are to `#/$defs/…` and stand alone, except for a
/// description.
pub(crate) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Map<String, Value> {
    let map = schema.as_object().unwrap();
    let Some(reference) = map.get("$ref") else {
        return map;
    };
    let others = map.keys().filter(|key| *key != "$ref");
    assert!(
        others.into_iter().all(|key| key == "description"),
        "{map:?}"
    );
    let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
    let target = root.pointer(pointer);
    resolve(root, target.unwrap_or_else(|| panic!("{reference}")))
}

/// Returns whether a value matches a part of the schema `root`.
pub(crate) fn matches(root: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolve(root, schema);
    schema.iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => has_type(rule.as_str().unwrap(), value),
        "enum" => rule.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
        "exclusiveMinimum" => value.as_f64().is_none_or(|v| v > rule.as_f64().unwrap()),
        "items" => {
            let mut items = value.as_array().into_iter().flatten();
            items.all(|item| matches(root, rule, item))
        }
        "minItems" => {
            let least = rule.as_u64().unwrap();
            value
                .as_array()
                .is_none_or(|list| list.len() as u64 >= least)
        }
        "required" => {
            let mut names = rule.as_array().unwrap().iter();
            let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
            value.as_object().is_none() || names.all(has)
        }
        "properties" => {
            let mut members = value.as_object().into_iter().flatten();
            members.all(|(name, member)| {
                let property = rule.get(name);
                property.is_none_or(|property| matches(root, property, member))
            })
        }
        "additionalProperties" => {
            assert_eq!(rule, &Value::Bool(false));
            let mut names = value.as_object().into_iter().flat_map(Map::keys);
            names.all(|name| schema["properties"].get(name).is_some())
        }
        "oneOf" => {
            let options = rule.as_array().unwrap().iter();
            options
                .filter(|option| matches(root, option, value))
                .count()
                == 1
        }
        other if ANNOTATIONS.contains(&other) => true,
        other => panic!("the validator does not know {other}"),
    })
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        // 2.0 is an integer too, although serde does not read it as one.
        "integer" => value.as_f64().is_some_and(|v| v.fract() == 0.0),
        other => panic!("the validator does not know the type {other}"),
    }
}
