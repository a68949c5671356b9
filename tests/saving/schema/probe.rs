//! What a type asks of the format when it is read: the fields of a struct, the variants of an enum.
//!
//! A probe is a format that follows a path into the type, notes what it finds there, and stops with
//! an error.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, VariantAccess, Visitor,
    value::{Error, StrDeserializer},
};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;

type Names = &'static [&'static str];

/// What is at the end of a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Struct(Names),
    Enum(Names),
    List,
    Optional,
    Integer,
    Number,
    Flag,
    Text,
    /// A variant without content.
    Unit,
}

/// One step into a type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Field(&'static str),
    Variant(&'static str),
    Item,
    Value,
}

/// Returns what a type asks for at the end of a path.
pub(crate) fn kind<D: DeserializeOwned>(path: &[Step]) -> Kind {
    let found = RefCell::new(None);
    let probe = Probe {
        path,
        found: &found,
    };
    let stopped = D::deserialize(probe).err().unwrap();
    let found = found.into_inner();
    found.unwrap_or_else(|| panic!("{path:?}: {stopped}"))
}

#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [Step],
    found: &'a RefCell<Option<Kind>>,
}

impl<'a> Probe<'a> {
    fn found<V>(self, kind: Kind) -> Result<V, Error> {
        self.found.replace(Some(kind));
        Err(Error::custom("found"))
    }

    /// The next step, unless the path ends here.
    fn step(self) -> Option<(Step, Self)> {
        let (&step, path) = self.path.split_first()?;
        Some((step, Self { path, ..self }))
    }

    /// The kind of something that has nothing inside it.
    fn end<V>(self, kind: Kind) -> Result<V, Error> {
        assert!(self.path.is_empty(), "{kind:?} has no {:?}", self.path);
        self.found(kind)
    }

    fn fields<'de, V: Visitor<'de>>(self, names: Names, visitor: V) -> Result<V::Value, Error> {
        match self.step() {
            None => self.found(Kind::Struct(names)),
            Some((Step::Field(name), inside)) => visitor.visit_map(Inside { name, inside }),
            Some((step, _)) => panic!("a struct has no {step:?}"),
        }
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    /// Shapes are an enum in such formats.
    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.step() {
            None => self.found(Kind::Enum(variants)),
            Some((Step::Variant(name), inside)) => visitor.visit_enum(Inside { name, inside }),
            Some((step, _)) => panic!("an enum has no {step:?}"),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.step() {
            None => self.found(Kind::List),
            Some((_, inside)) => visitor.visit_seq(inside),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.step() {
            None => self.found(Kind::Optional),
            Some((_, inside)) => visitor.visit_some(inside),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        self.end(Kind::Integer)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        self.end(Kind::Number)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        self.end(Kind::Flag)
    }

    fn deserialize_string<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        self.end(Kind::Text)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("a probe does not know what this is"))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 char str bytes byte_buf unit unit_struct tuple
        tuple_struct map identifier ignored_any
    }
}

/// A map with one field, or an enum with one variant, and what is inside.
struct Inside<'a> {
    name: &'static str,
    inside: Probe<'a>,
}

impl Inside<'_> {
    fn name<'de, K: DeserializeSeed<'de>>(&self, seed: K) -> Result<K::Value, Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        seed.deserialize(name)
    }
}

impl<'de> MapAccess<'de> for Inside<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.name(seed).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.inside)
    }
}

impl<'de, 'a> EnumAccess<'de> for Inside<'a> {
    type Error = Error;
    type Variant = Probe<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Probe<'a>), Error> {
        Ok((self.name(seed)?, self.inside))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.end(Kind::Unit)
    }

    fn newtype_variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom(format_args!("a variant of {len} values")))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: Names, visitor: V) -> Result<V::Value, Error> {
        self.fields(fields, visitor)
    }
}

impl<'de> SeqAccess<'de> for Probe<'_> {
    type Error = Error;

    fn next_element_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<Option<V::Value>, Error> {
        seed.deserialize(*self).map(Some)
    }
}
