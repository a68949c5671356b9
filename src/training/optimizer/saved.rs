//! States of optimisers as plain data (feature `serde`).

use super::OptimizerState;
use crate::saved_numbers::{ScalarName, list};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize)]
#[serde(rename = "OptimizerState", bound = "T: Serialize")]
struct Written<'a, T> {
    scalar: ScalarName<T>,
    steps: u64,
    buffers: &'a [Vec<T>],
}

#[derive(Deserialize)]
#[serde(
    rename = "OptimizerState",
    deny_unknown_fields,
    bound = "T: Deserialize<'de>"
)]
struct Read<T> {
    #[serde(default, rename = "scalar")]
    _scalar: ScalarName<T>,
    steps: u64,
    buffers: Vec<Buffer<T>>,
}

#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
struct Buffer<T>(#[serde(deserialize_with = "list")] Vec<T>);

impl<T: Serialize> Serialize for OptimizerState<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            scalar: ScalarName::<T>::default(),
            steps: self.steps,
            buffers: &self.buffers,
        };
        written.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OptimizerState<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { steps, buffers, .. } = Read::deserialize(deserializer)?;
        let buffers = buffers.into_iter().map(|Buffer(values)| values).collect();
        Ok(Self { steps, buffers })
    }
}
