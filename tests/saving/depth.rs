//! Layers nested too deeply are refused while they are read, in any format.

use super::containers::Own;
use backprop::Network;
use backprop::layer::{AnyLayer, Concat, Residual, Sequential};
use backprop::saving;
use serde::de::value::{
    Error as ValueError, MapAccessDeserializer, MapDeserializer, SeqDeserializer,
};
use serde::de::{IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};
use std::fmt::Debug;

const TOO_DEEP: &str = "layers are nested more than 32 deep";

/// The names of the ways in which a layer contains layers.
const WAYS: [&str; 4] = ["sequential", "body", "shortcut", "concat"];

/// Puts a list of layers into a layer.
fn layer(way: &str, layers: Value) -> Value {
    let object = |field: &str, value: Value| {
        let mut fields = Map::new();
        fields.insert(field.into(), value);
        fields
    };
    Value::Object(match way {
        "sequential" => object("sequential", layers),
        "body" => object("residual", object("body", layers).into()),
        "shortcut" => {
            let mut fields = object("shortcut", layers);
            fields.insert("body".into(), Value::Array(vec![]));
            object("residual", fields.into())
        }
        _ => {
            let mut fields = object("branches", Value::Array(vec![layers]));
            fields.insert("axis".into(), "first".into());
            object("concat", fields.into())
        }
    })
}

/// A network of one input whose layers are nested.
fn nested(way: &str, levels: usize) -> Value {
    let mut layers = Value::Array(vec![]);
    for _ in 0..levels {
        layers = Value::Array(vec![layer(way, layers)]);
    }
    let mut fields = Map::new();
    fields.insert("inputs".into(), 1.into());
    fields.insert("layers".into(), layers);
    fields.insert("theta".into(), Value::Array(vec![]));
    Value::Object(fields)
}

/// Takes a value apart from the outside, because to drop a deep one is recursive.
fn take_apart(value: Value) {
    let mut parts = vec![value];
    while let Some(part) = parts.pop() {
        match part {
            Value::Array(inner) => parts.extend(inner),
            Value::Object(inner) => parts.extend(inner.into_iter().map(|(_, part)| part)),
            _ => {}
        }
    }
}

#[test]
fn files_are_read_as_deep_as_networks_are() {
    for way in WAYS {
        // A residual and its body are two levels, and so are a concatenation and its branch.
        let most = if way == "sequential" { 32 } else { 16 };
        let deepest = nested(way, most);
        let network = Network::<f64>::deserialize(&deepest).unwrap();
        let text = serde_json::to_string(&network).unwrap();
        assert_eq!(
            serde_json::from_str::<Network<f64>>(&text).unwrap(),
            network,
            "{way}"
        );
        let bytes = saving::to_bytes("network", &network).unwrap();
        let loaded = saving::from_bytes::<Network<f64>>(&bytes, "network");
        assert_eq!(loaded.unwrap(), network, "{way}");
        for deeper in [most + 1, most + 2, 10_000] {
            let deeper = nested(way, deeper);
            let error = Network::<f64>::deserialize(&deeper).unwrap_err();
            assert!(error.to_string().contains(TOO_DEEP), "{way}: {error}");
            take_apart(deeper);
        }
        // What was refused leaves nothing behind, and layers side by side are not deeper.
        let mut side_by_side = nested(way, most - 1);
        let layer = side_by_side["layers"][0].clone();
        side_by_side["layers"] = Value::Array(vec![layer; 40]);
        let network = Network::<f64>::deserialize(&side_by_side).unwrap();
        assert_eq!(network.depth(), 40, "{way}");
    }
}

/// A format in which layers are nested without end.
#[derive(Clone, Copy, Debug)]
enum Endless {
    Layer(&'static str),
    Content(&'static str),
    Layers(&'static str),
    Branches,
}

type Fields<const N: usize> =
    MapDeserializer<'static, std::array::IntoIter<(&'static str, Endless), N>, ValueError>;

fn fields<const N: usize>(fields: [(&'static str, Endless); N]) -> Fields<N> {
    MapDeserializer::new(fields.into_iter())
}

impl<'de> IntoDeserializer<'de> for Endless {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Endless {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let list = |item| SeqDeserializer::new([item].into_iter());
        match self {
            Self::Layer(way) => {
                let name = match way {
                    "body" | "shortcut" => "residual",
                    way => way,
                };
                let layer = fields([(name, Self::Content(way))]);
                visitor.visit_enum(MapAccessDeserializer::new(layer))
            }
            Self::Content("sequential") => visitor.visit_seq(list(Self::Layer("sequential"))),
            Self::Content("concat") => visitor.visit_map(fields([("branches", Self::Branches)])),
            Self::Content(way) => visitor.visit_map(fields([(way, Self::Layers(way))])),
            Self::Branches => visitor.visit_seq(list(Self::Layers("concat"))),
            Self::Layers(way) => visitor.visit_seq(list(Self::Layer(way))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[test]
fn endless_nesting_is_refused() {
    #[track_caller]
    fn refuse<V: Deserialize<'static> + Debug>(source: Endless) {
        let text = V::deserialize(source).unwrap_err().to_string();
        assert!(text.contains(TOO_DEEP), "{source:?}: {text}");
    }
    for way in WAYS {
        refuse::<AnyLayer>(Endless::Layer(way));
        refuse::<AnyLayer<Own>>(Endless::Layer(way));
        refuse::<Own>(Endless::Layer(way));
        refuse::<Vec<AnyLayer>>(Endless::Layers(way));
        refuse::<Sequential<AnyLayer>>(Endless::Layers(way));
    }
    refuse::<Sequential<Own>>(Endless::Content("sequential"));
    refuse::<Residual<Own>>(Endless::Content("body"));
    refuse::<Concat<AnyLayer>>(Endless::Content("concat"));
}
