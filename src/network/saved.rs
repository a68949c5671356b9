//! Networks as plain data (feature `serde`).

use super::Network;
use crate::layer::Layer;
use crate::path::Path;
use crate::saved_numbers::{ScalarName, list};
use crate::scalar::Scalar;
use crate::shape::Shape;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The serialised form: the network without the parts that can be derived.
#[derive(Serialize)]
#[serde(rename = "Network", bound = "T: Serialize, L: Serialize")]
struct Written<'a, T, L> {
    scalar: ScalarName<T>,
    inputs: Shape,
    layers: &'a [L],
    theta: &'a [T],
    /// The layers whose own parameters are frozen. Omitted from JSON if empty; earlier files do not
    /// have it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    frozen: Option<Vec<&'a [usize]>>,
}

/// Serialises the list itself, without the `Option`.
fn plain<S: Serializer>(list: &Option<Vec<&[usize]>>, serializer: S) -> Result<S::Ok, S::Error> {
    list.as_deref().unwrap_or_default().serialize(serializer)
}

#[derive(Deserialize)]
#[serde(
    rename = "Network",
    deny_unknown_fields,
    bound = "T: Deserialize<'de>, L: Deserialize<'de>"
)]
struct Read<T, L> {
    #[serde(default, rename = "scalar")]
    _scalar: ScalarName<T>,
    inputs: Shape,
    layers: Vec<L>,
    #[serde(deserialize_with = "list")]
    theta: Vec<T>,
    #[serde(default)]
    frozen: Vec<Vec<usize>>,
}

impl<T: Scalar + Serialize, L: Layer<T> + Serialize> Serialize for Network<T, L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let frozen = self.frozen_layers();
        let is_written = !serializer.is_human_readable() || !frozen.is_empty();
        let written = Written {
            scalar: ScalarName::<T>::default(),
            inputs: self.layout.plan().input(),
            layers: self.layers(),
            theta: self.theta.as_slice(),
            frozen: is_written.then(|| frozen.iter().map(Path::indices).collect()),
        };
        written.serialize(serializer)
    }
}

/// Rejects data that is not a network (shapes that do not fit, a NaN in θ), as
/// [`Network::from_layers`] does. It also rejects numbers of a scalar other than T, and unknown
/// fields.
impl<'de, T: Scalar + Deserialize<'de>, L: Layer<T> + Deserialize<'de>> Deserialize<'de>
    for Network<T, L>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::<T, L>::deserialize(deserializer)?;
        let frozen: Vec<Path> = read.frozen.iter().map(|layer| layer[..].into()).collect();
        Self::from_layers(read.inputs, read.layers, &read.theta)
            .and_then(|network| network.with_frozen(&frozen))
            .map_err(D::Error::custom)
    }
}
