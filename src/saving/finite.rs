//! Finds NaNs and infinities before they are written, because `serde_json` writes them as `null`.

use super::SaveError;
use serde::ser::{self, Serialize, Serializer};
use std::fmt::Display;

/// Checks that a value contains only finite numbers.
pub(super) fn check<S: Serialize + ?Sized>(value: &S) -> Result<(), SaveError> {
    match value.serialize(Finite) {
        Err(Stop::NotFinite { place, value }) => {
            let place = place.trim_start_matches('.').to_owned();
            Err(SaveError::NotFinite { place, value })
        }
        // An error from the type itself occurs again when the value is written.
        Err(Stop::Refused) | Ok(()) => Ok(()),
    }
}

/// A serializer that writes nothing, and stops at the first number that is not finite.
struct Finite;

/// Why [`Finite`] stopped. The place is assembled from the innermost value outwards.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("{place} is {value}")]
    NotFinite { place: String, value: f64 },
    #[error("refused by the type")]
    Refused,
}

impl Stop {
    fn inside(self, part: impl Display) -> Self {
        match self {
            Self::NotFinite { place, value } => Self::NotFinite {
                place: format!("{part}{place}"),
                value,
            },
            Self::Refused => Self::Refused,
        }
    }
}

impl ser::Error for Stop {
    fn custom<M: Display>(_: M) -> Self {
        Self::Refused
    }
}

/// Checks and counts the parts of a value.
struct Parts {
    index: usize,
}

impl Parts {
    fn next<S: Serialize + ?Sized>(&mut self, part: &S) -> Result<(), Stop> {
        let index = self.index;
        self.index += 1;
        let checked = part.serialize(Finite);
        checked.map_err(|stop| stop.inside(format_args!("[{index}]")))
    }
}

const PARTS: Result<Parts, Stop> = Ok(Parts { index: 0 });

macro_rules! finite {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method(self, _: $kind) -> Result<(), Stop> {
            Ok(())
        })*
    };
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    finite! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit_struct(&'static str);
    }

    fn serialize_f32(self, value: f32) -> Result<(), Stop> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Stop> {
        let place = String::new();
        let finite = value.is_finite().then_some(());
        finite.ok_or(Stop::NotFinite { place, value })
    }

    fn serialize_none(self) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_some<S: Serialize + ?Sized>(self, value: &S) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_newtype_struct<S: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &S,
    ) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<S: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &S,
    ) -> Result<(), Stop> {
        let checked = value.serialize(self);
        checked.map_err(|stop| stop.inside(format_args!(".{variant}")))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, Stop> {
        PARTS
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, Stop> {
        PARTS
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, Stop> {
        PARTS
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts, Stop> {
        PARTS
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, Stop> {
        PARTS
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, Stop> {
        PARTS
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts, Stop> {
        PARTS
    }

    fn collect_str<S: Display + ?Sized>(self, _: &S) -> Result<(), Stop> {
        Ok(())
    }
}

macro_rules! indexed {
    ($($kind:ident $method:ident;)*) => {
        $(impl ser::$kind for Parts {
            type Ok = ();
            type Error = Stop;

            fn $method<S: Serialize + ?Sized>(&mut self, part: &S) -> Result<(), Stop> {
                self.next(part)
            }

            fn end(self) -> Result<(), Stop> {
                Ok(())
            }
        })*
    };
}

indexed! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! named {
    ($($kind:ident)*) => {
        $(impl ser::$kind for Parts {
            type Ok = ();
            type Error = Stop;

            fn serialize_field<S: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                part: &S,
            ) -> Result<(), Stop> {
                let checked = part.serialize(Finite);
                checked.map_err(|stop| stop.inside(format_args!(".{name}")))
            }

            fn end(self) -> Result<(), Stop> {
                Ok(())
            }
        })*
    };
}

named! { SerializeStruct SerializeStructVariant }

/// Keys are not checked here, because `serde_json` itself refuses those that are not finite.
impl ser::SerializeMap for Parts {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<S: Serialize + ?Sized>(&mut self, _: &S) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_value<S: Serialize + ?Sized>(&mut self, part: &S) -> Result<(), Stop> {
        self.next(part)
    }

    fn end(self) -> Result<(), Stop> {
        Ok(())
    }
}
