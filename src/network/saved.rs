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
    /// The state of the layers, and the layers whose statistics are fixed, as `frozen` is.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "numbers")]
    state: Option<&'a [T]>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    fixed_statistics: Option<Vec<&'a [usize]>>,
}

/// Serialises the list itself, without the `Option`.
fn numbers<T: Serialize, S: Serializer>(
    list: &Option<&[T]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    list.unwrap_or_default().serialize(serializer)
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
    #[serde(default = "Option::default", deserialize_with = "some_list")]
    state: Option<Vec<T>>,
    #[serde(default)]
    fixed_statistics: Vec<Vec<usize>>,
}

fn some_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    list(deserializer).map(Some)
}

impl<T: Scalar + Serialize, L: Layer<T> + Serialize> Serialize for Network<T, L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (frozen, fixed) = (self.frozen_layers(), self.fixed_statistics());
        let is_written = |is_empty: bool| !serializer.is_human_readable() || !is_empty;
        let writes = [frozen.is_empty(), self.state.is_empty(), fixed.is_empty()].map(is_written);
        let written = Written {
            scalar: ScalarName::<T>::default(),
            inputs: self.layout.plan().input(),
            layers: self.layers(),
            theta: self.theta.as_slice(),
            frozen: writes[0].then(|| frozen.iter().map(Path::indices).collect()),
            state: writes[1].then_some(self.state.as_slice()),
            fixed_statistics: writes[2].then(|| fixed.iter().map(Path::indices).collect()),
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
        let paths = |layers: &[Vec<usize>]| -> Vec<Path> {
            layers.iter().map(|layer| layer[..].into()).collect()
        };
        let made = Self::from_layers(read.inputs, read.layers, &read.theta);
        let made = made.and_then(|mut network| {
            match &read.state {
                Some(state) => network.set_state(state)?,
                // A network with state and a file without it are not the same function.
                None => network.set_state(&[])?,
            }
            network
                .with_frozen(&paths(&read.frozen))?
                .with_fixed_statistics(&paths(&read.fixed_statistics))
        });
        made.map_err(D::Error::custom)
    }
}
