//! The name of the scalar and lists of numbers in saved content (feature `serde`).

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::type_name;
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

/// Returns the name of a scalar in saved content: the name of its type without module paths.
pub(crate) fn scalar_name<T>() -> String {
    let (mut name, mut word) = (String::new(), 0);
    for c in type_name::<T>().chars() {
        if c == ':' {
            name.truncate(word);
            continue;
        }
        name.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            word = name.len();
        }
    }
    name
}

/// Serialises as the name of T, and deserialises only from that name.
///
/// Content of version 1 does not name its scalar. The default then represents the requested type.
pub(crate) struct ScalarName<T>(PhantomData<fn() -> T>);

impl<T> Default for ScalarName<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Serialize for ScalarName<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&scalar_name::<T>())
    }
}

impl<'de, T> Deserialize<'de> for ScalarName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (expected, found) = (scalar_name::<T>(), String::deserialize(deserializer)?);
        if found == expected {
            return Ok(Self::default());
        }
        Err(D::Error::custom(format_args!(
            "the numbers are {found}, expected {expected}: load them as {found}; `Network::map` \
             converts a network"
        )))
    }
}

/// Reads a list. Returns an error if there is not enough memory for it.
pub(crate) fn list<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<V>, D::Error> {
    struct List<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for List<V> {
        type Value = Vec<V>;

        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<V>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                let room = list.try_reserve(1);
                room.map_err(|_| A::Error::custom("there is not enough memory for the list"))?;
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::scalar_name;
    use num_dual::Dual64;

    /// Saved files contain these names, so they must not change.
    #[test]
    fn names() {
        assert_eq!(scalar_name::<f32>(), "f32");
        assert_eq!(scalar_name::<f64>(), "f64");
        assert_eq!(scalar_name::<Dual64>(), "Dual<f64>");
    }
}
